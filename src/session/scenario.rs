//! Scenarios: sessions to begin with and, for some, a lesson that leads through them.
//!
//! Each is a file in `assets/scenarios`, in English and Korean, compiled into the engine: into the part that a page loads
//! after its cluster lives.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::machinery::json;
use crate::machinery::time::Time;
use crate::sim::Profile;

use super::{Action, Expectation, File, LogEntry, Session, SessionConfig, SessionLog};

/// A text in the page's languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// Korean.
    pub ko: String,
}

/// What a scenario is about. The gallery has a heading for each, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// What everything else is made of.
    #[default]
    Basics,
    /// From one version to the next.
    RollOuts,
    /// What else runs pods.
    Workloads,
    /// Where pods run.
    Scheduling,
    /// Who reaches whom.
    Network,
    /// What outlives a pod.
    Storage,
    /// Bounds: what nobody gets past.
    Safety,
}

/// What the gallery shows of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its name in addresses.
    pub id: String,
    /// What it is about.
    pub group: Group,
    /// Its title.
    pub title: Text,
    /// What one sees in it.
    pub summary: Text,
    /// How many steps its lesson has.
    pub steps: usize,
}

/// An object that a step points at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointed {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for kinds that have none.
    #[serde(default)]
    pub namespace: String,
    /// Its name, or what its name begins with.
    pub name: String,
}

/// A write that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Who writes: `deployment-controller`.
    pub by: String,
    /// The kind of what is written.
    pub kind: String,
}

/// A step of a lesson: something to read, and something that the page does when asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LessonStep {
    /// What to read.
    pub text: Text,
    /// What stands on the button; without it there is nothing to do.
    pub button: Option<Text>,
    /// Files that take their place in the editor.
    pub files: Vec<File>,
    /// Applies these files of the editor.
    pub apply: Vec<String>,
    /// Does this to the cluster.
    pub actions: Vec<Action>,
    /// Lets so many seconds pass in a flash.
    pub skip_seconds: f64,
    /// Runs until nothing is left to do.
    pub until_idle: bool,
    /// Makes single steps until this was written.
    pub until_written: Option<Written>,
    /// Lets time run, or stops it.
    pub play: Option<bool>,
    /// How much simulated time passes in a second.
    pub speed: Option<f64>,
    /// What is shown in the inspector.
    pub select: Option<Pointed>,
    /// What is in the cluster once the step has had its effect; all of it.
    pub expect: Vec<Expectation>,
}

/// A scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scenario {
    /// Its title.
    pub title: Text,
    /// What one sees in it.
    pub summary: Text,
    /// What it is about.
    pub group: Group,
    /// The seed; most have the same.
    pub seed: u64,
    /// The cluster that it begins with.
    pub profile: Profile,
    /// The files in the editor.
    pub files: Vec<File>,
    /// How long the cluster has run before anything is done, in seconds.
    pub warm_up_seconds: u64,
    /// The files that are applied already, by name.
    pub applied: Vec<String>,
    /// What was done besides.
    pub actions: Vec<Action>,
    /// How long the cluster has run since, in seconds.
    pub settle_seconds: u64,
    /// How much simulated time passes in a second at first.
    pub speed: Option<f64>,
    /// The lesson's steps.
    pub steps: Vec<LessonStep>,
}

/// A scenario's name, and its file. The text is behind a function, so that no data point to it: what nothing first can
/// find comes with the engine's late part.
macro_rules! scenario {
    ($name:literal) => {
        ($name, || include_str!(concat!("../../assets/scenarios/", $name, ".yaml")))
    };
}

/// The text of a scenario's file.
pub type Source = fn() -> &'static str;

/// The scenarios in the order of the gallery.
pub const SCENARIOS: &[(&str, Source)] = &[
    scenario!("how-a-pod-comes-to-be"),
    scenario!("first-pod"),
    scenario!("self-healing"),
    scenario!("init-containers"),
    scenario!("sidecar"),
    scenario!("rolling-update"),
    scenario!("rollout-requests"),
    scenario!("bad-image"),
    scenario!("recreate"),
    scenario!("blue-green"),
    scenario!("canary"),
    scenario!("statefulset"),
    scenario!("daemonset"),
    scenario!("job-retries"),
    scenario!("cronjob-day"),
    scenario!("hpa-load"),
    scenario!("unschedulable"),
    scenario!("topology-spread"),
    scenario!("preemption"),
    scenario!("node-failure"),
    scenario!("cluster-autoscaler"),
    scenario!("control-plane"),
    scenario!("load-balancer"),
    scenario!("network-policy"),
    scenario!("default-deny"),
    scenario!("ingress-canary"),
    scenario!("gateway-canary"),
    scenario!("pvc-binding"),
    scenario!("oom-kill"),
    scenario!("node-pressure"),
    scenario!("quota-exceeded"),
    scenario!("rbac-refusal"),
    scenario!("pdb-drain"),
];

/// The seed of scenarios that name none.
const SEED: u64 = 1;

impl Scenario {
    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let (_, source) = SCENARIOS.iter().find(|(id, _)| *id == name)?;
        Some(Self::read(source()).unwrap_or_else(|error| panic!("assets/scenarios/{name}.yaml: {error}")))
    }

    /// Reads a scenario's file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        // By way of JSON, where enums look as they do in a log, and with one deserializer for all.
        let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        json::from_value(&value).map_err(|error| error.to_string())
    }

    /// What the gallery shows of it.
    #[must_use]
    pub fn card(&self, id: &str) -> Card {
        let (title, summary) = (self.title.clone(), self.summary.clone());
        Card { id: id.to_owned(), group: self.group, title, summary, steps: self.steps.len() }
    }

    /// The session with which it begins.
    #[must_use]
    pub fn session(&self) -> Session {
        let start = self.profile.start;
        let at = start + std::time::Duration::from_secs(self.warm_up_seconds);
        let files: Vec<File> = self.files.iter().filter(|file| self.applied.contains(&file.name)).cloned().collect();
        let apply = Action::Apply { files, namespace: "default".to_owned(), dry_run: false };
        let apply = (!self.applied.is_empty()).then_some(apply);
        let entries = apply.into_iter().chain(self.actions.iter().cloned());
        let seed = if self.seed == 0 { SEED } else { self.seed };
        let config = SessionConfig { seed, profile: self.profile.clone(), ..SessionConfig::default() };
        let now: Time = at + std::time::Duration::from_secs(self.settle_seconds);
        let entries = entries.map(|action| LogEntry { at, action }).collect();
        Session::from_log(SessionLog { config, entries, now, steps: 0 })
    }
}

/// The cards of the gallery.
#[must_use]
pub fn gallery() -> Vec<Card> {
    SCENARIOS.iter().filter_map(|(id, _)| Some(Scenario::named(id)?.card(id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::jsonpath::JsonPath;

    #[test]
    fn every_scenario_can_be_read_and_says_itself_in_both_languages() {
        for (id, source) in SCENARIOS {
            let scenario = Scenario::read(source()).unwrap_or_else(|error| panic!("{id}: {error}"));
            let buttons = scenario.steps.iter().filter_map(|step| step.button.as_ref());
            let texts = scenario.steps.iter().map(|step| &step.text).chain(buttons);
            for text in texts.chain([&scenario.title, &scenario.summary]) {
                assert!(!text.en.is_empty() && !text.ko.is_empty(), "{id}: {text:?}");
                assert!(text.ko.chars().any(|c| ('가'..='힣').contains(&c)), "{id}: not Korean: {}", text.ko);
                let code = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(code(&text.en), code(&text.ko), "{id}: the same commands in both languages");
            }
            for expectation in scenario.steps.iter().flat_map(|step| &step.expect) {
                // Kinds of the Gateway API are custom ones.
                let is_known = expectation.known_kind().is_some() || scenario.profile.gateway_api;
                assert!(is_known, "{id}: no kind {}", expectation.kind);
                JsonPath::parse(&expectation.path).unwrap_or_else(|error| panic!("{id}: {error}"));
            }
            let names: Vec<&String> = scenario
                .files
                .iter()
                .chain(scenario.steps.iter().flat_map(|step| &step.files))
                .map(|f| &f.name)
                .collect();
            for name in scenario.applied.iter().chain(scenario.steps.iter().flat_map(|step| &step.apply)) {
                assert!(names.contains(&name), "{id} applies {name}, which it does not have");
            }
        }
    }

    #[test]
    fn the_gallery_goes_from_group_to_group() {
        let groups: Vec<Group> = gallery().iter().map(|card| card.group).collect();
        assert!(groups.is_sorted(), "{groups:?}");
    }

    #[test]
    fn every_scenario_begins_without_a_refusal() {
        for (id, _) in SCENARIOS {
            let session = Scenario::named(id).expect("it is listed").session();
            let applied = session.entries().iter().filter(|entry| matches!(entry.action, Action::Apply { .. }));
            for entry in applied {
                let mut again = Session::new(session.config().clone());
                again.run_until(entry.at);
                let outcome = again.act(entry.action.clone()).expect("it is taken");
                assert!(outcome.is_success(), "{id}: {outcome:?}");
            }
        }
    }
}
