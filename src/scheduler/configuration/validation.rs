//! What is wrong with a configuration, in upstream's words.
//!
//! Follows `pkg/scheduler/apis/config/validation/{validation,validation_pluginargs}.go`. NodeResourcesFit's arguments
//! are not looked at here: upstream has them in its table under a name that no plugin has, and finds their faults only
//! when the plugin is set up.

use k8s_openapi::api::core::v1::NodeSelector;
use serde_json::Value;

use crate::api::core::pod::placement::validate_node_selector;
use crate::api::core::pod::requirements::is_extended;
use crate::machinery::duration::GoDuration;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::json::from_value;
use crate::machinery::names::is_qualified_name;
use crate::machinery::quote::quote;

use super::super::framework::extension_point::ExtensionPoint;
use super::load::{API_VERSION, ProfileSource};
use super::plugin_args::{MAX_CUSTOM_PRIORITY_SCORE, duration, list, number, text};

/// Plugins that are gone.
const REMOVED: [&str; 4] = ["AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits"];
const STRATEGIES: [&str; 3] = ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"];

/// Errors as Go prints several of them: one by itself, more in brackets, none twice.
pub(super) fn aggregate(errors: &ErrorList) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for error in errors {
        let error = error.to_string();
        if !told.contains(&error) {
            told.push(error);
        }
    }
    match &told[..] {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

/// `ValidateKubeSchedulerConfiguration`.
///
/// # Errors
/// All that is wrong.
pub(super) fn validate(source: &Value, profiles: &[ProfileSource]) -> Result<(), String> {
    let mut errors = ErrorList::new();
    if let Some(election) = source.get("leaderElection")
        && election.get("leaderElect").and_then(Value::as_bool) != Some(false)
        && !matches!(text(election, "resourceLock"), "" | "leases")
    {
        let path = Path::new("leaderElection").child("resourceLock");
        let lock = text(election, "resourceLock");
        errors.push(FieldError::invalid(&path, lock, "resourceLock value must be \"leases\""));
    }
    if let Some(parallelism) = number(source, "parallelism").filter(|parallelism| *parallelism <= 0) {
        let detail = "should be an integer value greater than zero";
        errors.push(FieldError::invalid(&Path::new("parallelism"), parallelism, detail));
    }
    let path = Path::new("profiles");
    for (index, profile) in profiles.iter().enumerate() {
        validate_profile(&mut errors, &path.index(index), profile);
        let earlier = profiles[..index].iter().rposition(|other| other.scheduler_name == profile.scheduler_name);
        if let Some(earlier) = earlier {
            let same = path.index(earlier).child("schedulerName");
            errors.push(FieldError::duplicate(&path.index(index).child("schedulerName"), same.as_str()));
        }
    }
    validate_queue_sort(&mut errors, &path, profiles);
    validate_percentage(&mut errors, &Path::root(), number(source, "percentageOfNodesToScore"));
    validate_backoff(&mut errors, source);
    validate_extenders(&mut errors, list(source, "extenders"));
    aggregate(&errors).map_or(Ok(()), Err)
}

fn validate_percentage(errors: &mut ErrorList, path: &Path, percentage: Option<i64>) {
    if let Some(percentage) = percentage.filter(|percentage| !(0..=100).contains(percentage)) {
        let path = path.child("percentageOfNodesToScore");
        errors.push(FieldError::invalid(&path, percentage, "not in valid range [0-100]"));
    }
}

fn validate_backoff(errors: &mut ErrorList, source: &Value) {
    let initial = number(source, "podInitialBackoffSeconds").unwrap_or(1);
    let max = number(source, "podMaxBackoffSeconds").unwrap_or(10);
    if initial <= 0 {
        let path = Path::new("podInitialBackoffSeconds");
        errors.push(FieldError::invalid(&path, initial, "must be greater than 0"));
    }
    if max < initial {
        let detail = "must be greater than or equal to PodInitialBackoffSeconds";
        errors.push(FieldError::invalid(&Path::new("podMaxBackoffSeconds"), max, detail));
    }
}

fn validate_profile(errors: &mut ErrorList, path: &Path, profile: &ProfileSource) {
    if profile.scheduler_name.is_empty() {
        errors.push(FieldError::required(&path.child("schedulerName"), ""));
    }
    validate_percentage(errors, path, profile.percentage_of_nodes_to_score);
    let removed = |path: &Path, name: &str| {
        let why =
            format!("was invalid in version \"v1\" (KubeSchedulerConfiguration is version {})", quote(API_VERSION),);
        REMOVED.contains(&name).then(|| FieldError::invalid(path, name, why))
    };
    for point in ExtensionPoint::ALL {
        let path = path.child("plugins").child(point.field()).child("enabled");
        let enabled = profile.plugins.at(point).enabled.iter().enumerate();
        errors.extend(enabled.filter_map(|(index, plugin)| removed(&path.index(index), &plugin.name)));
    }
    for (index, (plugin, args)) in profile.args.iter().enumerate() {
        let path = path.child("pluginConfig").index(index);
        if profile.args[..index].iter().any(|(other, _)| other == plugin) {
            errors.push(FieldError::duplicate(&path, plugin.as_str()));
        }
        match removed(&path, plugin) {
            Some(error) => errors.push(error),
            None => validate_args(errors, &path.child("args"), plugin, args),
        }
    }
}

/// `validateCommonQueueSort`: there is one queue, so that all profiles sort it in the same way.
fn validate_queue_sort(errors: &mut ErrorList, path: &Path, profiles: &[ProfileSource]) {
    let Some(first) = profiles.first().map(|profile| profile.plugins.at(ExtensionPoint::QueueSort)) else { return };
    if first.enabled.len() > 1 {
        let path = path.index(0).child("plugins").child("queueSort").child("Enabled");
        errors.push(FieldError::invalid(&path, first.enabled.len(), "only one queue sort plugin can be enabled"));
    }
    for (index, profile) in profiles.iter().enumerate().skip(1) {
        let own = profile.plugins.at(ExtensionPoint::QueueSort);
        if own != first {
            let path = path.index(index).child("plugins").child("queueSort");
            let names: Vec<&str> = own.enabled.iter().map(|plugin| plugin.name.as_str()).collect();
            errors.push(FieldError::invalid(&path, names, "must be the same for all profiles"));
        }
    }
}

fn validate_extenders(errors: &mut ErrorList, extenders: &[Value]) {
    let path = Path::new("extenders");
    let mut managed: Vec<&str> = Vec::new();
    for (index, extender) in extenders.iter().enumerate() {
        let path = path.index(index);
        let weight = number(extender, "weight").unwrap_or(0);
        if !text(extender, "prioritizeVerb").is_empty() && weight <= 0 {
            let detail = "must have a positive weight applied to it";
            errors.push(FieldError::invalid(&path.child("weight"), weight, detail));
        }
        for (index, resource) in list(extender, "managedResources").iter().enumerate() {
            let (path, name) = (path.child("managedResources").index(index).child("name"), text(resource, "name"));
            let faults = is_qualified_name(name);
            if faults.is_empty() && !is_extended(name) {
                errors.push(FieldError::invalid(&path, name, "is an invalid extended resource name"));
            }
            errors.extend(faults.iter().map(|fault| FieldError::invalid(&path, name, fault)));
            if managed.contains(&name) {
                errors.push(FieldError::invalid(&path, name, "duplicate extender managed resource name"));
            }
            managed.push(name);
        }
    }
    let binders = extenders.iter().filter(|extender| !text(extender, "bindVerb").is_empty()).count();
    if binders > 1 {
        let found = format!("found {binders} extenders implementing bind");
        errors.push(FieldError::invalid(&path, found, "only one extender can implement bind"));
    }
    if !extenders.is_empty() {
        errors.push(FieldError::forbidden(&path, "extenders are not simulated: nobody answers at their addresses"));
    }
}

fn validate_args(errors: &mut ErrorList, path: &Path, plugin: &str, args: &Value) {
    match plugin {
        "DefaultPreemption" => default_preemption_args(errors, path, args),
        "DynamicResources" => dynamic_resources_args(errors, path, args),
        "InterPodAffinity" => {
            let weight = number(args, "hardPodAffinityWeight").unwrap_or(1);
            check_range(errors, &path.child("hardPodAffinityWeight"), weight, 100);
        }
        "NodeAffinity" => node_affinity_args(errors, path, args),
        "NodeResourcesBalancedAllocation" => balanced_allocation_args(errors, path, args),
        "PodTopologySpread" => pod_topology_spread_args(errors, path, args),
        "VolumeBinding" => volume_binding_args(errors, path, args),
        _ => {}
    }
}

fn check_range(errors: &mut ErrorList, path: &Path, value: i64, max: i64) {
    if !(0..=max).contains(&value) {
        errors.push(FieldError::invalid(path, value, format!("not in valid range [0, {max}]")));
    }
}

fn default_preemption_args(errors: &mut ErrorList, path: &Path, args: &Value) {
    let of_all = path.child("minCandidateNodesPercentage");
    let absolute = path.child("minCandidateNodesAbsolute");
    let percentage = number(args, "minCandidateNodesPercentage").unwrap_or(0);
    let count = number(args, "minCandidateNodesAbsolute").unwrap_or(0);
    check_range(errors, &of_all, percentage, 100);
    if count < 0 {
        errors.push(FieldError::invalid(&absolute, count, "not in valid range [0, inf)"));
    }
    if percentage == 0 && count == 0 {
        let with = |other: &str| format!("cannot be zero at the same time as {other}");
        errors.push(FieldError::invalid(&of_all, percentage, with("minCandidateNodesAbsolute")));
        errors.push(FieldError::invalid(&absolute, count, with("minCandidateNodesPercentage")));
    }
}

/// `ValidateDynamicResourcesArgs`.
fn dynamic_resources_args(errors: &mut ErrorList, path: &Path, args: &Value) {
    for (field, least, detail) in
        [("filterTimeout", 0, "must be zero or positive"), ("bindingTimeout", 1, "must be at least 1 second")]
    {
        let Some(given) = duration(args, field) else { continue };
        if given < GoDuration::from_secs(least) {
            errors.push(FieldError::invalid(&path.child(field), given.to_string(), detail));
        }
    }
}

fn node_affinity_args(errors: &mut ErrorList, path: &Path, args: &Value) {
    let Some(added) = args.get("addedAffinity") else { return };
    let (required, preferred) =
        ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution");
    let path = path.child("addedAffinity");
    if let Some(selector) = added.get(required).and_then(|selector| from_value::<NodeSelector>(selector).ok()) {
        // That it has terms is not asked for: one without any matches nothing.
        if !selector.node_selector_terms.is_empty() {
            validate_node_selector(errors, &path.child(required), &selector);
        }
    }
    for (index, wish) in list(added, preferred).iter().enumerate() {
        let term = wish.get("preference").and_then(|term| from_value(term).ok()).unwrap_or_default();
        let selector = NodeSelector { node_selector_terms: vec![term] };
        let mut of_wish = ErrorList::new();
        validate_node_selector(&mut of_wish, &Path::root(), &selector);
        let path = path.child(preferred).index(index);
        errors.extend(of_wish.into_iter().map(|error| {
            let field = error.field.trim_start_matches("nodeSelectorTerms[0]").trim_start_matches('.');
            FieldError { field: path.child(field).as_str().to_owned(), ..error }
        }));
    }
}

fn balanced_allocation_args(errors: &mut ErrorList, path: &Path, args: &Value) {
    let resources = list(args, "resources");
    for (index, resource) in resources.iter().enumerate() {
        let path = path.child("resources").index(index);
        let name = text(resource, "name");
        if resources[..index].iter().any(|other| text(other, "name") == name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        let weight = number(resource, "weight").unwrap_or(0);
        if weight != 1 {
            errors.push(FieldError::invalid(&path.child("weight"), weight, "must be 1"));
        }
    }
}

fn pod_topology_spread_args(errors: &mut ErrorList, path: &Path, args: &Value) {
    let constraints = list(args, "defaultConstraints");
    let (type_path, defaulting) = (path.child("defaultingType"), text(args, "defaultingType"));
    match defaulting {
        "System" if !constraints.is_empty() => {
            errors.push(FieldError::invalid(&type_path, defaulting, "when .defaultConstraints are not empty"));
        }
        "System" | "List" => {}
        _ => errors.push(FieldError::not_supported(&type_path, defaulting, &["System", "List"])),
    }
    let path = path.child("defaultConstraints");
    for (index, constraint) in constraints.iter().enumerate() {
        let own = path.index(index);
        let max_skew = number(constraint, "maxSkew").unwrap_or(0);
        if max_skew <= 0 {
            errors.push(FieldError::invalid(&own.child("maxSkew"), max_skew, "not in valid range (0, inf)"));
        }
        let (key, action) = (text(constraint, "topologyKey"), text(constraint, "whenUnsatisfiable"));
        if key.is_empty() {
            errors.push(FieldError::required(&own.child("topologyKey"), "can not be empty"));
        } else {
            label_name(errors, &own.child("topologyKey"), key);
        }
        let action_path = own.child("whenUnsatisfiable");
        match action {
            "" => errors.push(FieldError::required(&action_path, "can not be empty")),
            "DoNotSchedule" | "ScheduleAnyway" => {}
            _ => errors.push(FieldError::not_supported(&action_path, action, &["DoNotSchedule", "ScheduleAnyway"])),
        }
        if constraint.get("labelSelector").is_some() {
            let why = "constraint must not define a selector, as they deduced for each pod";
            errors.push(FieldError::forbidden(&own.child("labelSelector"), why));
        }
        let same = |other: &Value| text(other, "topologyKey") == key && text(other, "whenUnsatisfiable") == action;
        if constraints[..index].iter().any(same) {
            errors.push(FieldError::duplicate(&own, format!("{{{key}, {action}}}")));
        }
    }
}

/// `ValidateLabelName`.
fn label_name(errors: &mut ErrorList, path: &Path, name: &str) {
    errors.extend(is_qualified_name(name).iter().map(|fault| FieldError::invalid(path, name, fault)));
}

fn volume_binding_args(errors: &mut ErrorList, path: &Path, args: &Value) {
    let timeout = number(args, "bindTimeoutSeconds").unwrap_or(0);
    if timeout < 0 {
        let detail = "invalid BindTimeoutSeconds, should not be a negative value";
        errors.push(FieldError::invalid(&path.child("bindTimeoutSeconds"), timeout, detail));
    }
    if let Some(shape) = args.get("shape") {
        let detail = "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring";
        errors.push(FieldError::invalid(&path.child("shape"), shape.clone(), detail));
    }
}

/// `ValidateNodeResourcesFitArgs`.
pub(super) fn node_resources_fit_args(path: &Path, args: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    for (index, name) in list(args, "ignoredResources").iter().filter_map(Value::as_str).enumerate() {
        label_name(&mut errors, &path.child("ignoredResources").index(index), name);
    }
    for (index, group) in list(args, "ignoredResourceGroups").iter().filter_map(Value::as_str).enumerate() {
        let path = path.child("ignoredResourceGroups").index(index);
        if group.contains('/') {
            errors.push(FieldError::invalid(&path, group, "resource group name can't contain '/'"));
        }
        label_name(&mut errors, &path, group);
    }
    let (path, strategy) = (path.child("scoringStrategy"), &args["scoringStrategy"]);
    let kind = text(strategy, "type");
    if !STRATEGIES.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, &STRATEGIES));
    }
    for (index, resource) in list(strategy, "resources").iter().enumerate() {
        let weight = number(resource, "weight").unwrap_or(0);
        if !(1..=100).contains(&weight) {
            let path = path.child("resources").index(index).child("weight");
            let detail = format!("resource weight of {} not in valid range (0, 100]", text(resource, "name"));
            errors.push(FieldError::invalid(&path, weight, detail));
        }
    }
    let (path, ratio) = (path.child("requestedToCapacityRatio"), strategy.get("requestedToCapacityRatio"));
    match (kind == "RequestedToCapacityRatio", ratio) {
        (true, Some(ratio)) => validate_shape(&mut errors, &path.child("shape"), list(ratio, "shape")),
        (true, None) => {
            errors.push(FieldError::required(&path, "must be specified when type is RequestedToCapacityRatio"));
        }
        (false, Some(_)) => {
            errors.push(FieldError::forbidden(&path, "must be nil when type is not RequestedToCapacityRatio"));
        }
        (false, None) => {}
    }
    errors
}

/// `validateFunctionShape`.
fn validate_shape(errors: &mut ErrorList, path: &Path, shape: &[Value]) {
    if shape.is_empty() {
        errors.push(FieldError::required(path, "at least one point must be specified"));
        return;
    }
    let utilization = |point: &Value| number(point, "utilization").unwrap_or(0);
    let falls = shape.windows(2).position(|pair| utilization(&pair[0]) >= utilization(&pair[1]));
    if let Some(before) = falls {
        let at = path.index(before + 1).child("utilization");
        let detail = "values must be sorted in increasing order";
        errors.push(FieldError::invalid(&at, utilization(&shape[before + 1]), detail));
    }
    for (index, point) in shape.iter().enumerate() {
        check_range(errors, &path.index(index).child("utilization"), utilization(point), 100);
        let score = number(point, "score").unwrap_or(0);
        check_range(errors, &path.index(index).child("score"), score, MAX_CUSTOM_PRIORITY_SCORE);
    }
}
