//! LimitRanges. Follows `pkg/registry/core/limitrange`, `SetDefaults_LimitRangeItem` and `ValidateLimitRange`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::Value;

use super::pod::defaults::round_up;
use super::pod::requirements::{validate_container_name, validate_name};
use super::pod::resources::may_overcommit;
use crate::api::check;
use crate::api::meta;
use crate::api::table::{ColumnDefinition, NAME, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::{Format, Quantity};

type Amounts = Option<BTreeMap<String, ApiQuantity>>;

/// The limits of a range.
pub(crate) fn items(range: &LimitRange) -> &[LimitRangeItem] {
    range.spec.as_ref().map_or(&[], |spec| &spec.limits)
}

/// `SetDefaults_LimitRangeItem`: what a container gets by default is its maximum, and what it asks for by default is
/// what it gets, or else its minimum.
pub(crate) fn default(range: &mut LimitRange) {
    for item in range.spec.iter_mut().flat_map(|spec| &mut spec.limits) {
        let lists = [&mut item.max, &mut item.min, &mut item.default, &mut item.default_request];
        lists.into_iter().chain([&mut item.max_limit_request_ratio]).flatten().for_each(round_up);
        if item.type_ == "Container" {
            let default = item.default.get_or_insert_default();
            fill_in(default, &item.max);
            let default_request = item.default_request.get_or_insert_default();
            for (name, amount) in default {
                default_request.entry(name.clone()).or_insert_with(|| amount.clone());
            }
            fill_in(default_request, &item.min);
        }
    }
}

fn fill_in(amounts: &mut BTreeMap<String, ApiQuantity>, from: &Amounts) {
    for (name, amount) in from.iter().flatten() {
        amounts.entry(name.clone()).or_insert_with(|| amount.clone());
    }
}

/// `ValidateLimitRange`, of a creation and of an update.
pub(crate) fn validate(range: &LimitRange) -> ErrorList {
    let mut errors = meta::validate(&range.metadata, true, names::is_dns1123_subdomain);
    let mut types = BTreeSet::new();
    for (index, item) in items(range).iter().enumerate() {
        let path = Path::new("spec").child("limits").index(index);
        validate_type(&mut errors, &path.child("type"), &item.type_);
        if !types.insert(item.type_.as_str()) {
            errors.push(FieldError::duplicate(&path.child("type"), item.type_.as_str()));
        }
        validate_item(&mut errors, &path, item);
    }
    errors
}

/// `validateLimitRangeTypeName`.
fn validate_type(errors: &mut ErrorList, path: &Path, name: &str) {
    let messages = names::is_qualified_name(name);
    let is_standard = matches!(name, "Pod" | "Container" | "PersistentVolumeClaim");
    if messages.is_empty() && !name.contains('/') && !is_standard {
        errors.push(FieldError::invalid(path, name, "must be a standard limit type or fully qualified"));
    }
    check::invalid_each(errors, path, name, messages);
}

fn validate_item(errors: &mut ErrorList, path: &Path, item: &LimitRangeItem) {
    let mut names: BTreeSet<&String> = BTreeSet::new();
    let is_compute = matches!(item.type_.as_str(), "Pod" | "Container");
    let take_in = |errors: &mut ErrorList, field: &str, amounts: &'_ Amounts| {
        for name in amounts.iter().flat_map(BTreeMap::keys) {
            let path = path.child(field).key(name);
            if is_compute { validate_container_name(errors, &path, name) } else { validate_name(errors, &path, name) }
        }
    };
    take_in(errors, "max", &item.max);
    take_in(errors, "min", &item.min);
    if item.type_ == "Pod" {
        for (field, amounts) in [("default", &item.default), ("defaultRequest", &item.default_request)] {
            if amounts.as_ref().is_some_and(|amounts| !amounts.is_empty()) {
                let detail = "may not be specified when `type` is 'Pod'";
                errors.push(FieldError::forbidden(&path.child(field), detail));
            }
        }
    } else {
        take_in(errors, "default", &item.default);
        take_in(errors, "defaultRequest", &item.default_request);
    }
    let bounds_storage = [&item.min, &item.max].into_iter().flatten().any(|amounts| amounts.contains_key("storage"));
    if item.type_ == "PersistentVolumeClaim" && !bounds_storage {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(FieldError::required(&path.child("limits"), detail));
    }
    take_in(errors, "maxLimitRequestRatio", &item.max_limit_request_ratio);
    let defaults = (item.type_ != "Pod").then_some([&item.default, &item.default_request]);
    let lists = [&item.max, &item.min, &item.max_limit_request_ratio].into_iter().chain(defaults.into_iter().flatten());
    names.extend(lists.flatten().flat_map(BTreeMap::keys));
    for name in names {
        validate_amounts(errors, path, item, name);
    }
}

/// What the bounds and defaults of one resource must be to each other.
fn validate_amounts(errors: &mut ErrorList, path: &Path, item: &LimitRangeItem, name: &str) {
    let of = |amounts: &Amounts| amounts.as_ref().and_then(|amounts| amounts.get(name)).map(Quantity::of);
    let (min, max, ratio) = (of(&item.min), of(&item.max), of(&item.max_limit_request_ratio));
    let of_default = |amounts: &Amounts| if item.type_ == "Pod" { None } else { of(amounts) };
    let (default, request) = (of_default(&item.default), of_default(&item.default_request));
    let mut at_most = |field: &str, low: (&str, Option<Quantity>), high: (&str, Option<Quantity>), shown: usize| {
        if let (Some(low_value), Some(high_value)) = (low.1, high.1)
            && low_value > high_value
        {
            let shown = [low_value, high_value][shown].to_string();
            let detail = format!("{} value {low_value} is greater than {} value {high_value}", low.0, high.0);
            errors.push(FieldError::invalid(&path.child(field).key(name), shown, detail));
        }
    };
    at_most("min", ("min", min), ("max", max), 0);
    at_most("defaultRequest", ("min", min), ("default request", request), 1);
    at_most("defaultRequest", ("default request", request), ("max", max), 0);
    at_most("defaultRequest", ("default request", request), ("default limit", default), 0);
    at_most("default", ("min", min), ("default", default), 0);
    at_most("default", ("default", default), ("max", max), 1);
    if let Some(ratio) = ratio {
        validate_ratio(errors, &path.child("maxLimitRequestRatio").key(name), ratio, min, max);
    }
    if let (Some(default), Some(request)) = (default, request)
        && !may_overcommit(name)
        && default != request
    {
        let detail = format!("default value {default} must equal to defaultRequest value {request} in {name}");
        errors.push(FieldError::invalid(&path.child("defaultRequest").key(name), request.to_string(), detail));
    }
}

fn validate_ratio(errors: &mut ErrorList, path: &Path, ratio: Quantity, min: Option<Quantity>, max: Option<Quantity>) {
    if ratio < Quantity::new(1, Format::DecimalSI) {
        errors.push(FieldError::invalid(path, ratio.to_string(), format!("ratio {ratio} is less than 1")));
    }
    if let (Some(min), Some(max)) = (min, max) {
        let most = max.as_f64() / min.as_f64();
        if ratio.as_f64() > most {
            let detail = format!("ratio {ratio} is greater than max/min = {most:.6}");
            errors.push(FieldError::invalid(path, ratio.to_string(), detail));
        }
    }
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[NAME, ColumnDefinition::CREATED_AT];

pub(crate) fn row(range: &LimitRange) -> Vec<Value> {
    let created = range.metadata.creation_timestamp.as_ref().map(check::json).unwrap_or_default();
    vec![name_of(&range.metadata), created]
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn range(limits: Value) -> LimitRange {
        let metadata = json!({ "name": "l", "namespace": "n" });
        serde_json::from_value(json!({ "metadata": metadata, "spec": { "limits": limits } })).expect("a limit range")
    }

    fn refusals(limits: Value) -> String {
        validate(&range(limits)).iter().map(|error| format!("{error}\n")).collect()
    }

    #[test]
    fn defaults_follow_from_bounds() {
        let mut range = range(json!([
            { "type": "Container", "max": { "cpu": "2" }, "min": { "cpu": "100m", "memory": "1Mi" } },
            { "type": "Pod", "max": { "cpu": "4" } },
        ]));
        default(&mut range);
        let items = items(&range);
        assert_eq!(check::json(&items[0].default), json!({ "cpu": "2" }));
        assert_eq!(check::json(&items[0].default_request), json!({ "cpu": "2", "memory": "1Mi" }));
        assert_eq!(items[1].default, None);
    }

    #[test]
    fn bounds_and_defaults_fit_each_other() {
        let crossed = json!([{
            "type": "Container",
            "min": { "cpu": "2" }, "max": { "cpu": "1" }, "default": { "cpu": "3" }, "defaultRequest": { "cpu": "4" },
            "maxLimitRequestRatio": { "cpu": "500m" },
        }]);
        expect![[r#"
            spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1
            spec.limits[0].defaultRequest[cpu]: Invalid value: "4": default request value 4 is greater than max value 1
            spec.limits[0].defaultRequest[cpu]: Invalid value: "4": default request value 4 is greater than default limit value 3
            spec.limits[0].default[cpu]: Invalid value: "1": default value 3 is greater than max value 1
            spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1
        "#]]
        .assert_eq(&refusals(crossed));
    }

    #[test]
    fn types_and_names_are_known() {
        let odd = json!([
            { "type": "Odd", "max": { "cpu": "1" } },
            { "type": "Pod", "max": { "storage": "1" }, "default": { "cpu": "1" } },
            { "type": "Pod" },
            { "type": "PersistentVolumeClaim", "max": { "cpu": "1" } },
        ]);
        expect![[r#"
            spec.limits[0].type: Invalid value: "Odd": must be a standard limit type or fully qualified
            spec.limits[1].max[storage]: Invalid value: "storage": must be a standard resource for containers
            spec.limits[1].default: Forbidden: may not be specified when `type` is 'Pod'
            spec.limits[2].type: Duplicate value: "Pod"
            spec.limits[3].limits: Required value: either minimum or maximum storage value is required, but neither was provided
        "#]]
        .assert_eq(&refusals(odd));
    }
}
