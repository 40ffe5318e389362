//! Reads a configuration from YAML. Follows `loadConfig` of `cmd/kube-scheduler/app/options/configfile.go`, and what
//! `scheduler.New` does with it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::machinery::duration::GoDuration;
use crate::machinery::field::Path;
use crate::machinery::quote::quote;
use crate::machinery::schema;
use crate::machinery::strict::{self, Decoded};
use crate::machinery::yaml;

use super::super::framework::extension_point::ExtensionPoint;
use super::super::framework::plugin::{Plugin, PluginSet};
use super::plugin_args::{DURATIONS, PluginArgs, WITH_ARGS, list, number, set_defaults, text};
use super::plugins::Plugins;
use super::validation;
use super::{Backoff, Configuration, DEFAULT_SCHEDULER_NAME, Profile};

pub(super) const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";
const KIND: &str = "KubeSchedulerConfiguration";

/// A profile, decoded and with its defaults.
pub(super) struct ProfileSource {
    pub scheduler_name: String,
    pub percentage_of_nodes_to_score: Option<i64>,
    pub plugins: Plugins,
    /// By the plugins' names.
    pub args: Vec<(String, Value)>,
}

/// Reads a configuration.
///
/// # Errors
/// Why the scheduler would not start with it, in upstream's words.
pub fn load(text: &str) -> Result<Configuration, String> {
    let source = decode(text)?;
    let profiles = profiles(&source);
    validation::validate(&source, &profiles)?;
    let initial = number(&source, "podInitialBackoffSeconds").unwrap_or(1);
    let max = number(&source, "podMaxBackoffSeconds").unwrap_or(10);
    let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let in_hundredths = |percentage: i64| u32::try_from(percentage).unwrap_or(0);
    let mut built = Vec::new();
    for profile in profiles {
        let name = profile.scheduler_name.clone();
        let profile = build(profile)
            .map_err(|error| format!("initializing profiles: creating profile for scheduler name {name}: {error}"))?;
        built.push(Arc::new(profile));
    }
    Ok(Configuration {
        percentage_of_nodes_to_score: number(&source, "percentageOfNodesToScore").map_or(0, in_hundredths),
        backoff: Backoff { initial: seconds(initial), max: seconds(max) },
        profiles: built,
    })
}

/// Reads the text and holds it against the types of a configuration.
fn decode(text: &str) -> Result<Value, String> {
    let document = yaml::read_one(text).map_err(|error| error.to_string())?;
    let (api_version, kind) = strict::type_meta(&document.value)?;
    for (name, found) in [("Kind", kind), ("apiVersion", api_version)] {
        if found.is_empty() {
            return Err(format!("Object '{name}' is missing in '{text}'"));
        }
    }
    let Some(known) = schema::lookup(api_version, kind).filter(|known| known.package == "kubescheduler") else {
        return Err(format!(
            "no kind {} is registered for version {} in scheme \"pkg/scheduler/apis/config/scheme/scheme.go:33\"",
            quote(kind),
            quote(api_version),
        ));
    };
    let mut errors = strict::duplicate_errors(&document);
    let Decoded { mut value, strict_errors } = strict::decode(known, &document.value)?;
    errors.extend(strict_errors);
    if kind != KIND {
        return Err(format!("couldn't decode as KubeSchedulerConfiguration, got {api_version}, Kind={kind}: "));
    }
    let profiles = value.get_mut("profiles").and_then(Value::as_array_mut);
    for (place, profile) in profiles.into_iter().flatten().enumerate() {
        let configs = profile.get_mut("pluginConfig").and_then(Value::as_array_mut);
        for (index, config) in configs.into_iter().flatten().enumerate() {
            let at = format!("decoding .profiles[{place}].pluginConfig[{index}]: ");
            let strict = decode_args(config).map_err(|error| format!("{at}{error}"))?;
            errors.extend(strict.map(|error| format!("{at}strict decoding error: {error}")));
        }
    }
    match (Decoded { value: Value::Null, strict_errors: errors }).strict_error() {
        Some(error) => Err(error),
        None => Ok(value),
    }
}

/// `decodeNestedObjects`: holds a plugin's arguments against their type, and fills in their defaults. Arguments of
/// plugins that nobody knows are left as they are. Gives what strict decoding says.
fn decode_args(config: &mut Value) -> Result<Option<String>, String> {
    let plugin = text(config, "name").to_owned();
    if !WITH_ARGS.contains(&&*plugin) {
        return Ok(None);
    }
    let wanted = format!("{plugin}Args");
    let args = config.get("args").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let in_decoding = |error: &str| format!("decoding args for plugin {plugin}: {error}");
    let (api_version, kind) = strict::type_meta(&args).map_err(|error| in_decoding(&error))?;
    let api_version = if api_version.is_empty() { API_VERSION } else { api_version };
    let kind = if kind.is_empty() { &*wanted } else { kind };
    let Some(known) = schema::lookup(api_version, kind) else {
        return Err(in_decoding(&format!(
            "no kind {} is registered for version {} in scheme \"pkg/scheduler/apis/config/scheme/scheme.go:33\"",
            quote(kind),
            quote(api_version),
        )));
    };
    let mut decoded = strict::decode(known, &args).map_err(|error| in_decoding(&error))?;
    if kind != wanted {
        let group = "kubescheduler.config.k8s.io";
        return Err(format!("args for plugin {plugin} were not of type {wanted}.{group}, got {kind}.{group}"));
    }
    for field in DURATIONS {
        let given = decoded.value.get(field).and_then(Value::as_str);
        given.map_or(Ok(()), |given| GoDuration::parse(given).map(drop)).map_err(|error| in_decoding(&error))?;
    }
    set_defaults(&plugin, &mut decoded.value);
    let strict = decoded.strict_error().map(|error| in_decoding(&error));
    config["args"] = decoded.value;
    Ok(strict)
}

/// The profiles with their defaults: `SetDefaults_KubeSchedulerConfiguration`.
fn profiles(source: &Value) -> Vec<ProfileSource> {
    let empty = [json!({})];
    let given = match list(source, "profiles") {
        [] => &empty[..],
        given => given,
    };
    let profile = |profile: &Value| {
        let named = profile.get("schedulerName").and_then(Value::as_str);
        // Only a single profile has a name by default.
        let default = if given.len() == 1 { DEFAULT_SCHEDULER_NAME } else { "" };
        let config = |config: &Value| (text(config, "name").to_owned(), config["args"].clone());
        ProfileSource {
            scheduler_name: named.unwrap_or(default).to_owned(),
            percentage_of_nodes_to_score: number(profile, "percentageOfNodesToScore"),
            plugins: Plugins::read(profile.get("plugins").unwrap_or(&Value::Null)),
            args: list(profile, "pluginConfig").iter().map(config).collect(),
        }
    };
    given.iter().map(profile).collect()
}

/// `NewFramework`: what a profile comes to.
fn build(source: ProfileSource) -> Result<Profile, String> {
    let mut args = PluginArgs::default();
    for (plugin, value) in source.args.iter().filter(|(plugin, _)| source.plugins.is_needed(plugin)) {
        if plugin == Plugin::NodeResourcesFit.as_str() {
            // Upstream looks at these only here, where no path leads to them.
            let errors = validation::node_resources_fit_args(&Path::root(), value);
            if let Some(error) = validation::aggregate(&errors) {
                return Err(format!("initializing plugin {}: {error}", quote(plugin)));
            }
        }
        args.set(plugin, value);
    }
    let mut resolved = source.plugins.resolve(&source.scheduler_name)?;
    let unprepared = |before: ExtensionPoint, point: ExtensionPoint| {
        let asked_before = &resolved[before as usize];
        let asked = resolved[point as usize].iter().copied();
        asked.filter(|plugin| before.has(*plugin) && !asked_before.contains(plugin)).collect()
    };
    let unprepared_filters = unprepared(ExtensionPoint::PreFilter, ExtensionPoint::Filter);
    let mut unprepared_scores: PluginSet = unprepared(ExtensionPoint::PreScore, ExtensionPoint::Score);
    // The one plugin whose scores are of what it found out at PreFilter.
    let is_at = |point: ExtensionPoint| resolved[point as usize].contains(&Plugin::DynamicResources);
    if is_at(ExtensionPoint::Score) && !is_at(ExtensionPoint::PreFilter) {
        unprepared_scores.insert(Plugin::DynamicResources);
    }
    let mut at = |point: ExtensionPoint| std::mem::take(&mut resolved[point as usize]);
    Ok(Profile {
        percentage_of_nodes_to_score: source
            .percentage_of_nodes_to_score
            .and_then(|percentage| u32::try_from(percentage).ok()),
        pre_enqueue: at(ExtensionPoint::PreEnqueue).into_iter().collect(),
        pre_filter: at(ExtensionPoint::PreFilter),
        filter: at(ExtensionPoint::Filter),
        unprepared_filters,
        unprepared_scores,
        post_filter: at(ExtensionPoint::PostFilter),
        score: at(ExtensionPoint::Score).into_iter().map(|plugin| (plugin, source.plugins.weight(plugin))).collect(),
        reserve: at(ExtensionPoint::Reserve).into_iter().collect(),
        pre_bind: at(ExtensionPoint::PreBind).into_iter().collect(),
        args,
        scheduler_name: source.scheduler_name.into(),
    })
}
