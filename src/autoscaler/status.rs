//! What the autoscaler tells of itself: the ConfigMap `cluster-autoscaler-status`, and events about it.
//!
//! Follows `cluster-autoscaler/clusterstate/{api/types.go,utils/status.go}`.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, ObjectKey};
use crate::client::{Client, EventType, Informers};
use crate::etcd::Why;
use crate::machinery::order::map_of;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;

use super::NodeGroup;
use super::backoff::Backoff;
use super::readiness::Counts;

/// `StatusConfigMapName`, in kube-system.
pub const STATUS_CONFIG_MAP: &str = "cluster-autoscaler-status";
const NAMESPACE: &str = "kube-system";
/// `ConfigMapLastUpdatedKey`.
const LAST_UPDATED: &str = "cluster-autoscaler.kubernetes.io/last-updated";

fn key() -> ObjectKey {
    ObjectKey::new(NAMESPACE, STATUS_CONFIG_MAP)
}

/// Tells of something that is about no node or pod: `LogEventRecorder`.
pub(super) fn tell(event_type: EventType, reason: &str, message: &str, client: &mut Client<'_>) {
    let Ok(map) = client.get::<ConfigMap>(&key()) else { return };
    let about: ObjectReference = crate::client::reference_to(Kind::ConfigMap, &map.metadata);
    client.event_about(&about, event_type, reason, message);
}

/// What the status is made of.
pub(super) struct Seen<'a> {
    pub groups: &'a [NodeGroup],
    pub listers: &'a Informers,
    /// The names of the nodes that may be removed.
    pub candidates: Vec<&'a str>,
    /// The groups that are left alone.
    pub backoff: &'a Backoff,
}

/// Since when each part of the status is as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct StatusKeeper {
    since: OrdMap<String, (String, Time)>,
}

/// Go's `2006-01-02 15:04:05.999999999 -0700 MST`.
fn stamp(now: Time) -> String {
    let text = nanos(now);
    format!("{} +0000 UTC", text.trim_end_matches('Z').replace('T', " "))
}

/// Go's RFC 3339 with as many digits of a second as there are.
fn nanos(now: Time) -> String {
    let text = now.to_rfc3339_micro();
    let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{text}Z")
}

fn write_counts(text: &mut String, indent: &str, counts: &Counts) {
    let Counts { total, ready, not_started, being_deleted, unready, unregistered } = counts;
    let _ = write!(
        text,
        "{indent}nodeCounts:\n{indent}  registered:\n{indent}    total: {total}\n{indent}    ready: {ready}\n\
         {indent}    notStarted: {not_started}\n"
    );
    if *being_deleted > 0 {
        let _ = writeln!(text, "{indent}    beingDeleted: {being_deleted}");
    }
    if *unready > 0 {
        let _ =
            write!(text, "{indent}    unready:\n{indent}      total: {unready}\n{indent}      resourceUnready: 0\n");
    }
    let _ = write!(text, "{indent}  longUnregistered: 0\n{indent}  unregistered: {unregistered}\n");
}

impl StatusKeeper {
    fn write_part(&mut self, text: &mut String, (group, part): (&str, &str), status: &str, more: &str, now: Time) {
        let indent = "    ";
        let known = self.since.entry(format!("{group}/{part}")).or_insert_with(|| (status.to_owned(), now));
        if known.0 != status {
            *known = (status.to_owned(), now);
        }
        let since = nanos(known.1);
        let _ = write!(
            text,
            "  {part}:\n{indent}status: {status}\n{more}{indent}lastProbeTime: \"{}\"\n\
             {indent}lastTransitionTime: \"{since}\"\n",
            nanos(now)
        );
    }

    /// The text of the status.
    fn text(&mut self, seen: &Seen<'_>, now: Time) -> String {
        let counts = Counts::of_cluster(seen.groups, seen.listers, now);
        let health = if counts.is_healthy() { "Healthy" } else { "Unhealthy" };
        let of_groups: Vec<(&NodeGroup, Counts)> =
            seen.groups.iter().map(|group| (group, Counts::of_group(group, seen.listers, now))).collect();
        let grows = |counts: &Counts| counts.unregistered + counts.not_started > 0;
        let scale_up = |grows: bool| if grows { "InProgress" } else { "NoActivity" };
        let mut text = format!("time: {}\nautoscalerStatus: Running\nclusterWide:\n", stamp(now));
        let mut more = String::new();
        write_counts(&mut more, "    ", &counts);
        self.write_part(&mut text, ("", "health"), health, &more, now);
        let any = of_groups.iter().any(|(_, counts)| grows(counts));
        self.write_part(&mut text, ("", "scaleUp"), scale_up(any), "", now);
        self.write_scale_down(&mut text, "", seen.candidates.len(), now);
        text.push_str("nodeGroups:\n");
        for (group, counts) in &of_groups {
            let _ = writeln!(text, "- name: {}", group.name);
            let mut more = String::new();
            write_counts(&mut more, "    ", counts);
            let NodeGroup { target, min, max, .. } = group;
            let _ = write!(more, "    cloudProviderTarget: {target}\n    minSize: {min}\n    maxSize: {max}\n");
            self.write_part(&mut text, (&group.name, "health"), "Healthy", &more, now);
            let failure = seen.backoff.of(&group.name, now);
            let more = failure.map(|failure| {
                let message = serde_json::Value::from(failure.message.as_str());
                format!("    backoffInfo:\n      errorCode: {}\n      errorMessage: {message}\n", failure.code)
            });
            let status = if failure.is_some() { "Backoff" } else { scale_up(grows(counts)) };
            self.write_part(&mut text, (&group.name, "scaleUp"), status, more.as_deref().unwrap_or(""), now);
            let candidates = seen.candidates.iter().filter(|name| group.machine(name).is_some()).count();
            self.write_scale_down(&mut text, &group.name, candidates, now);
        }
        text
    }

    fn write_scale_down(&mut self, text: &mut String, group: &str, candidates: usize, now: Time) {
        let status = if candidates > 0 { "CandidatesPresent" } else { "NoCandidates" };
        let more = if candidates > 0 { format!("    candidates: {candidates}\n") } else { String::new() };
        self.write_part(text, (group, "scaleDown"), status, &more, now);
    }

    /// `WriteStatusConfigMap`.
    pub(super) fn write(&mut self, seen: &Seen<'_>, client: &mut Client<'_>) {
        let text = self.text(seen, client.now);
        write_map(text, client);
    }
}

/// `NewStatusMapRecorder`: there is a ConfigMap before there is anything to tell.
pub(super) fn initialize(client: &mut Client<'_>) {
    write_map(format!("time: {}\nautoscalerStatus: Initializing\n", stamp(client.now)), client);
}

fn write_map(text: String, client: &mut Client<'_>) {
    client.because(Why::plain("The cluster autoscaler tells how its node groups are."));
    let stamp = stamp(client.now);
    // What cannot be written now is written with the next look.
    let _ = match client.get::<ConfigMap>(&key()) {
        Ok(map) => {
            let mut map = (*map).clone();
            map.data.get_or_insert_default().insert("status".to_owned(), text);
            map.metadata.annotations.get_or_insert_default().insert(LAST_UPDATED.to_owned(), stamp);
            client.update(map)
        }
        Err(_) => client.create(ConfigMap {
            metadata: ObjectMeta {
                name: Some(STATUS_CONFIG_MAP.to_owned()),
                namespace: Some(NAMESPACE.to_owned()),
                annotations: Some(map_of([(LAST_UPDATED.to_owned(), stamp)])),
                ..ObjectMeta::default()
            },
            data: Some(map_of([("status".to_owned(), text)])),
            ..ConfigMap::default()
        }),
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::api::Name;

    use super::*;

    #[test]
    fn times_have_as_many_digits_as_they_need() {
        let at = |text: &str| Time::parse(text).expect("a time");
        assert_eq!(nanos(at("2026-01-01T00:00:10.250000Z")), "2026-01-01T00:00:10.25Z");
        assert_eq!(nanos(at("2026-01-01T00:00:10Z")), "2026-01-01T00:00:10Z");
        assert_eq!(stamp(at("2026-01-01T00:00:10.5Z")), "2026-01-01 00:00:10.5 +0000 UTC");
    }

    #[test]
    fn the_status_is_yaml_of_upstreams_form() {
        let mut group = NodeGroup::new(Name::from("pool"), (1, 3), vec!["a".to_owned()], Arc::default());
        group.target = 1;
        group.make_machine(|_| false);
        let listers = Informers::new();
        let mut keeper = StatusKeeper::default();
        let at = |text: &str| Time::parse(text).expect("a time");
        let groups = [group];
        let backoff = Backoff::default();
        let seen = || Seen { groups: &groups, listers: &listers, candidates: Vec::new(), backoff: &backoff };
        keeper.text(&seen(), at("2026-01-01T00:00:00Z"));
        let text = keeper.text(&seen(), at("2026-01-01T00:00:10Z"));
        let value: serde_json::Value = serde_yaml::from_str(&text).expect("it is YAML");
        assert_eq!(value["autoscalerStatus"], "Running");
        assert_eq!(value["clusterWide"]["health"]["nodeCounts"]["unregistered"], 1);
        let pool = &value["nodeGroups"][0];
        assert_eq!((&pool["name"], &pool["health"]["cloudProviderTarget"]), (&"pool".into(), &1.into()));
        assert_eq!(pool["scaleUp"]["status"], "InProgress");
        assert_eq!(pool["scaleUp"]["lastTransitionTime"], "2026-01-01T00:00:00Z");
        assert_eq!(pool["scaleUp"]["lastProbeTime"], "2026-01-01T00:00:10Z");
    }
}
