//! Small checks that the validation of every group is built from.
//!
//! Each pushes what it finds onto a list, in upstream's order and words.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use serde_json::Value;

use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::ip::{self, Cidr};
use crate::machinery::names;

/// `validation.NonNegativeErrorMsg` as this version words it.
pub(crate) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
/// `isNotPositiveErrorMsg`.
pub(crate) const NOT_POSITIVE: &str = "must be greater than zero";
/// `FieldImmutableErrorMsg`.
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// The text, or an empty one when there is none: what Go's zero value is.
pub(crate) fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("")
}

/// The list, or an empty one when there is none.
pub(crate) fn list<T>(value: &Option<Vec<T>>) -> &[T] {
    value.as_deref().unwrap_or(&[])
}

/// Whether a text is there and not empty.
pub(crate) fn has_text(value: &Option<String>) -> bool {
    !text(value).is_empty()
}

/// The value as JSON; Kubernetes types always have one.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Value {
    crate::machinery::json::to_value(value)
}

/// One "Invalid value" for each message.
pub(crate) fn invalid_each(errors: &mut ErrorList, path: &Path, value: &str, messages: Vec<String>) {
    errors.extend(messages.into_iter().map(|message| FieldError::invalid(path, value, message)));
}

/// `ValidateNonnegativeField`.
pub(crate) fn not_negative(errors: &mut ErrorList, path: &Path, value: i64) {
    if value < 0 {
        errors.push(FieldError::invalid(path, value, NOT_NEGATIVE));
    }
}

/// The value must be one of `supported`, which the message tells in this order.
pub(crate) fn supported(errors: &mut ErrorList, path: &Path, value: &str, supported: &[&str]) {
    if !supported.contains(&value) {
        errors.push(FieldError::not_supported(path, value, supported));
    }
}

/// As [`supported`]; an empty value is a missing one.
pub(crate) fn required_supported(errors: &mut ErrorList, path: &Path, value: &str, choices: &[&str]) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        supported(errors, path, value, choices);
    }
}

/// The value must not be empty.
pub(crate) fn required(errors: &mut ErrorList, path: &Path, value: &str) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
}

/// `ValidateDNS1123Label`.
pub(crate) fn dns_label(errors: &mut ErrorList, path: &Path, value: &str) {
    invalid_each(errors, path, value, names::is_dns1123_label(value));
}

/// `ValidateDNS1123Subdomain`.
pub(crate) fn dns_subdomain(errors: &mut ErrorList, path: &Path, value: &str) {
    invalid_each(errors, path, value, names::is_dns1123_subdomain(value));
}

/// `ValidateQualifiedName` and `ValidateLabelName`.
pub(crate) fn qualified_name(errors: &mut ErrorList, path: &Path, value: &str) {
    invalid_each(errors, path, value, names::is_qualified_name(value));
}

/// `ValidateLabels`.
pub(crate) fn labels(errors: &mut ErrorList, path: &Path, labels: Option<&BTreeMap<String, String>>) {
    for (key, value) in labels.into_iter().flatten() {
        qualified_name(errors, path, key);
        invalid_each(errors, path, value, names::is_label_value(value));
    }
}

/// `ValidateLabelSelector` with strict label values.
pub(crate) fn label_selector(errors: &mut ErrorList, path: &Path, selector: Option<&LabelSelector>) {
    let Some(selector) = selector else { return };
    labels(errors, &path.child("matchLabels"), selector.match_labels.as_ref());
    for (index, expression) in list(&selector.match_expressions).iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        let values = list(&expression.values);
        match expression.operator.as_str() {
            "In" | "NotIn" => {
                if values.is_empty() {
                    let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                    errors.push(FieldError::required(&path.child("values"), detail));
                }
            }
            "Exists" | "DoesNotExist" => {
                if !values.is_empty() {
                    let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    errors.push(FieldError::forbidden(&path.child("values"), detail));
                }
            }
            other => {
                errors.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator"));
            }
        }
        qualified_name(errors, &path.child("key"), &expression.key);
        for (index, value) in values.iter().enumerate() {
            let path = path.child("values").index(index);
            invalid_each(errors, &path, value, names::is_label_value(value));
        }
    }
}

/// A label selector as Go writes it: fields in the order of its declaration, empty ones left out.
pub(crate) fn selector_json(selector: Option<&LabelSelector>) -> Value {
    let Some(selector) = selector else { return Value::Null };
    let mut map = serde_json::Map::new();
    if let Some(labels) = selector.match_labels.as_ref().filter(|labels| !labels.is_empty()) {
        map.insert("matchLabels".to_owned(), json(labels));
    }
    if let Some(expressions) = selector.match_expressions.as_ref().filter(|expressions| !expressions.is_empty()) {
        map.insert("matchExpressions".to_owned(), json(expressions));
    }
    Value::Object(map)
}

/// Whether a selector asks for nothing.
pub(crate) fn selector_is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty) && list(&selector.match_expressions).is_empty()
}

/// `ValidatePortNumOrName`.
pub(crate) fn port_number_or_name(errors: &mut ErrorList, path: &Path, port: &IntOrString) {
    match port {
        IntOrString::Int(number) => {
            let number = i64::from(*number);
            let messages = names::is_port_number(number).into_iter();
            errors.extend(messages.map(|message| FieldError::invalid(path, number, message)));
        }
        IntOrString::String(name) => invalid_each(errors, path, name, names::is_port_name(name)),
    }
}

/// A port's number, which must be between 1 and 65535.
pub(crate) fn port_number(errors: &mut ErrorList, path: &Path, number: i32) {
    port_number_or_name(errors, path, &IntOrString::Int(number));
}

/// An address as the API reads it from now on: without leading zeros.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// `IsValidIPForLegacyField` with strict validation, which is on by default in this version.
pub(crate) fn ip(errors: &mut ErrorList, path: &Path, value: &str) -> bool {
    let detail = match parse_ip(value) {
        Some(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => "must not be an IPv4-mapped IPv6 address",
        Some(_) => return true,
        None if ip::parse_ip(value).is_some() => "must not have leading 0s",
        None => ip::INVALID_IP,
    };
    errors.push(FieldError::invalid(path, value, detail));
    false
}

/// `GetWarningsForIP` of each address in a list.
#[inline(never)]
pub(crate) fn ip_warnings<'a>(warnings: &mut Vec<String>, path: &Path, values: impl IntoIterator<Item = &'a String>) {
    for (index, value) in values.into_iter().enumerate() {
        warnings.extend(ip::warnings_for_ip(&path.index(index), value));
    }
}

/// `IsValidCIDRForLegacyField` with strict validation.
pub(crate) fn cidr(errors: &mut ErrorList, path: &Path, value: &str) {
    let Some(block) = Cidr::parse(value) else {
        errors.push(FieldError::invalid(path, value, ip::INVALID_CIDR));
        return;
    };
    let (address, bits) = value.split_once('/').unwrap_or((value, ""));
    let leading_zero = parse_ip(address).is_none() || (bits.len() > 1 && bits.starts_with('0'));
    let detail = match parse_ip(address) {
        _ if leading_zero => "must not have leading 0s in IP or prefix length",
        Some(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => "must not have an IPv4-mapped IPv6 address",
        _ if block.address != block.network => "must not have bits set beyond the prefix length",
        _ => return,
    };
    errors.push(FieldError::invalid(path, value, detail));
}

/// `ValidateNonSpecialIP`: addresses that no endpoint can have.
pub(crate) fn non_special_ip(errors: &mut ErrorList, path: &Path, value: &str) {
    let Some(address) = parse_ip(value) else {
        errors.push(FieldError::invalid(path, value, "must be a valid IP address"));
        return;
    };
    let mut refuse = |detail: &str| errors.push(FieldError::invalid(path, value, detail));
    if address.is_unspecified() {
        refuse(&format!("may not be unspecified ({value})"));
    }
    if address.is_loopback() {
        refuse("may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (link_local, multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if link_local {
        refuse("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if multicast {
        refuse("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// `ValidateImmutableField`: `shown` is how the new value prints.
pub(crate) fn immutable<T: PartialEq>(
    errors: &mut ErrorList,
    path: &Path,
    new: &T,
    old: &T,
    shown: impl FnOnce() -> Value,
) {
    if new != old {
        errors.push(FieldError::invalid(path, shown(), IMMUTABLE));
    }
}
