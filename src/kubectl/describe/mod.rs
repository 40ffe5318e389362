//! `kubectl describe`: an object in words, with what belongs to it.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/describe` and `k8s.io/kubectl/pkg/describe`, a file for each family of kinds. All of it
//! works on the API's answers.

mod access;
mod autoscaler;
mod certificates;
mod config;
mod containers;
mod events;
mod generic;
mod network;
mod node;
mod pod;
mod policies;
mod storage;
mod volumes;
mod workloads;
mod writer;

pub(super) use events::interval;
use writer::Writer;

use serde_json::Value;

use super::builder::{self, Info, Query};
use super::cli::{Cli, Step};
use super::failure::Failure;
use super::resource;
use crate::api::Kind;
use crate::apiserver::ListOptions;
use crate::machinery::status::Status;
use events::About;

/// How many objects a list is asked for at once: `DefaultChunkSize`.
const CHUNK: usize = 500;

/// What is shown, and how lists are asked for: `DescriberSettings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    /// Whether events are shown.
    show_events: bool,
    /// How many objects a list is asked for at once; 0 for all.
    chunk: usize,
}

/// Runs `kubectl describe`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if cli.arguments().is_empty() && !flags.has("filename") && !flags.has("kustomize") {
        return Err(Failure::message(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of \
             supported resources.\n",
        ));
    }
    let kinds = cli.arguments().first().filter(|word| !word.contains('/'));
    if let Some(kinds) = kinds
        && cli.arguments().len() > 1
        && resource::kinds_of(cli.api, kinds)?.len() > 1
    {
        return Err(Failure::message("you may only specify a single resource type"));
    }
    let chunk = flags.integer("chunk-size").and_then(|size| usize::try_from(size).ok()).unwrap_or(CHUNK);
    let mut settings = Settings { show_events: flags.is("show-events", true), chunk };
    let query = Query { kind_means_all: true, ..Query::new(cli.arguments()) };
    let found = builder::find(cli, query)?;
    let (infos, failures): (Vec<_>, Vec<_>) = found.infos.into_iter().partition(Result::is_ok);
    let infos: Vec<Info> = infos.into_iter().flatten().collect();
    let mut failures: Vec<Failure> = failures.into_iter().filter_map(Result::err).collect();
    // The events of many objects are many requests, and are asked for by whoever wants them.
    if (!failures.is_empty() || infos.len() > 1) && !flags.has("show-events") {
        settings.show_events = false;
    }
    if let ([failure], [kind, prefix]) = (failures.as_slice(), cli.arguments())
        && failure.is_not_found()
        && infos.is_empty()
    {
        return matching(cli, failure, kind, prefix, settings).map(|()| Step::Done);
    }
    let nothing = infos.is_empty() && failures.is_empty();
    let mut is_first = true;
    for info in infos {
        match describe(cli, info.kind, &info.namespace, &info.name, settings) {
            Ok(text) => {
                if !std::mem::take(&mut is_first) {
                    cli.out.push_str("\n\n");
                }
                cli.out.push_str(&text);
            }
            Err(failure) if failures.contains(&failure) => {}
            Err(failure) => failures.push(failure),
        }
    }
    if nothing {
        let everywhere = flags.is("all-namespaces", false);
        let place = if everywhere { String::new() } else { format!(" in {} namespace.", cli.namespace()) };
        cli.complain(&format!("No resources found{place}"));
    }
    Failure::of(failures).map(|()| Step::Done)
}

/// Describes all objects whose name begins so: `DescribeMatchingResources`.
fn matching(
    cli: &mut Cli<'_>,
    not_found: &Failure,
    word: &str,
    prefix: &str,
    settings: Settings,
) -> Result<(), Failure> {
    let [kind] = resource::kinds_of(cli.api, word)?[..] else {
        return Err(Failure::message("you may only specify a single resource type"));
    };
    let namespace = if kind.info().namespaced { cli.namespace() } else { String::new() };
    let objects = list(cli, kind, &namespace, ("", ""), settings)?;
    let names = objects.iter().filter_map(|object| object["metadata"]["name"].as_str());
    let names: Vec<&str> = names.filter(|name| name.starts_with(prefix)).collect();
    if names.is_empty() {
        return Err(not_found.clone());
    }
    for name in names {
        let text = describe(cli, kind, &namespace, name, settings)?;
        cli.say(&text);
    }
    Ok(())
}

/// A pod template as descriptions show it, with its tabs as they are: `printTemplate`.
pub(super) fn template_in_words(template: &Value) -> String {
    let mut writer = Writer::default();
    containers::pod_template(&mut writer, template);
    writer.raw()
}

/// All objects of a kind that fields select, whatever their labels.
pub(super) fn list_all(cli: &mut Cli<'_>, kind: Kind, namespace: &str, fields: &str) -> Result<Vec<Value>, Status> {
    list(cli, kind, namespace, ("", fields), Settings { show_events: false, chunk: CHUNK })
}

/// All objects of a kind that labels and fields select, asked for in chunks.
fn list(
    cli: &mut Cli<'_>,
    kind: Kind,
    namespace: &str,
    (labels, fields): (&str, &str),
    settings: Settings,
) -> Result<Vec<Value>, Status> {
    let mut options = ListOptions {
        label_selector: labels.to_owned(),
        field_selector: fields.to_owned(),
        limit: settings.chunk,
        ..ListOptions::default()
    };
    let mut objects = Vec::new();
    loop {
        let mut answer = cli.list(kind, namespace, options.clone())?.wire();
        objects.extend(answer["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match answer["metadata"]["continue"].as_str() {
            Some(token) if !token.is_empty() => token.clone_into(&mut options.continue_token),
            _ => return Ok(objects),
        }
    }
}

/// One object in words.
fn describe(cli: &mut Cli<'_>, kind: Kind, namespace: &str, name: &str, settings: Settings) -> Result<String, Failure> {
    let object = cli.get(kind, namespace, name)?;
    let mut writer = Writer::default();
    let w = &mut writer;
    match kind {
        Kind::CertificateSigningRequest => certificates::describe(w, &object)?,
        Kind::ClusterRole | Kind::Role => access::role(w, &object),
        Kind::ClusterRoleBinding | Kind::RoleBinding => access::binding(w, &object),
        Kind::ConfigMap => config::config_map(w, &object),
        Kind::CronJob => workloads::cron_job(w, &object),
        Kind::CSINode => storage::csi_node(w, &object),
        Kind::DaemonSet => workloads::daemon_set(cli, w, &object, settings)?,
        Kind::Deployment => workloads::deployment(cli, w, &object, settings)?,
        Kind::Endpoints => network::endpoints(w, &object),
        Kind::EndpointSlice => network::endpoint_slice(w, &object),
        Kind::HorizontalPodAutoscaler => autoscaler::describe(w, &object),
        Kind::Ingress => network::ingress(cli, w, &object, settings),
        Kind::IngressClass => network::ingress_class(w, &object),
        Kind::IPAddress => network::ip_address(w, &object),
        Kind::Job => workloads::job(w, &object),
        Kind::LimitRange => policies::limit_range(w, &object),
        Kind::Namespace => policies::namespace(cli, w, &object, settings)?,
        Kind::NetworkPolicy => policies::network_policy(w, &object),
        Kind::Node => node::describe(cli, w, &object, settings)?,
        Kind::PersistentVolume => storage::volume(cli, w, &object),
        Kind::PersistentVolumeClaim => storage::whole_claim(cli, w, &object, settings)?,
        Kind::Pod => pod::describe(cli, w, &object),
        Kind::PodDisruptionBudget => policies::budget(w, &object),
        Kind::PriorityClass => config::priority_class(w, &object),
        Kind::ReplicaSet => workloads::replica_set(cli, w, &object, settings)?,
        Kind::ReplicationController => workloads::replication_controller(cli, w, &object, settings)?,
        Kind::ResourceQuota => policies::quota(w, &object),
        Kind::Secret => config::secret(w, &object),
        Kind::Service => network::service(cli, w, &object, settings),
        Kind::ServiceAccount => config::service_account(cli, w, &object, settings),
        Kind::ServiceCIDR => network::service_cidr(w, &object),
        Kind::StatefulSet => workloads::stateful_set(cli, w, &object, settings)?,
        Kind::StorageClass => storage::class(w, &object),
        Kind::VolumeAttributesClass => storage::attributes_class(w, &object),
        _ => generic::describe(w, &object),
    }
    if settings.show_events {
        let events = events_of(cli, kind, &object, settings);
        events::describe(cli, w, events);
    }
    Ok(writer.finish())
}

/// The events of an object; nothing for kinds of which none are shown.
fn events_of(cli: &mut Cli<'_>, kind: Kind, object: &Value, settings: Settings) -> Option<Vec<Value>> {
    match kind {
        Kind::ClusterRole
        | Kind::ClusterRoleBinding
        | Kind::LimitRange
        | Kind::Namespace
        | Kind::NetworkPolicy
        | Kind::ResourceQuota
        | Kind::Role
        | Kind::RoleBinding
        | Kind::Secret => None,
        Kind::Node => node::events(cli, object, settings),
        Kind::Pod => pod::events(cli, object, settings),
        kind => About::object(kind, object).search(cli, settings).ok(),
    }
}

/// The owner that controls an object.
fn controller_of(object: &Value) -> Option<&Value> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().find(|owner| owner["controller"] == true)
}

/// `Deployment/web`: what controls an object.
fn controller(object: &Value) -> Option<String> {
    let owner = controller_of(object)?;
    Some(format!("{}/{}", writer::text(&owner["kind"]), writer::text(&owner["name"])))
}
