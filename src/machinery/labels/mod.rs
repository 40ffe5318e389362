//! Labels and the selectors over them.
//!
//! Follows `apimachinery/pkg/labels/selector.go` and `apis/meta/v1/helpers.go`, with their messages.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde_json::Value;

use super::intstr::parse_int;
use super::names;
use super::quote::quote;
use crate::machinery::order::Order as _;

mod parse;

/// Something that has labels: a map of strings, perhaps a missing one, or an object's JSON.
pub trait Labels {
    /// The value of the label `key`.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

impl Labels for Value {
    /// The value must be the label map itself (or null), not the object that carries it.
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }
}

impl<L: Labels> Labels for Option<L> {
    fn label(&self, key: &str) -> Option<&str> {
        self.as_ref().and_then(|labels| labels.label(key))
    }
}

impl<L: Labels + ?Sized> Labels for &L {
    fn label(&self, key: &str) -> Option<&str> {
        (**self).label(key)
    }
}

/// How a requirement's values relate to a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is there and has one of the values.
    In,
    /// The label is missing or has none of the values.
    NotIn,
    /// `=`: the label has the value.
    Equals,
    /// `==`: the same, written with two signs.
    DoubleEquals,
    /// `!=`: the label is missing or has another value.
    NotEquals,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
    /// The label is an integer above the value (node affinity only).
    GreaterThan,
    /// The label is an integer below the value (node affinity only).
    LessThan,
}

/// What one expression of a selector asks of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl Requirement {
    /// Checks and makes a requirement (`labels.NewRequirement`).
    ///
    /// # Errors
    /// Upstream's field errors as one text; several stand in brackets.
    pub fn new(key: &str, operator: Operator, values: Vec<String>) -> Result<Self, String> {
        let mut errors = Vec::new();
        errors.extend(label_key_error("key", key));
        let counted = match operator {
            Operator::In | Operator::NotIn => {
                values.is_empty().then_some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals => {
                (values.len() != 1).then_some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist => {
                (!values.is_empty()).then_some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan => {
                (values.len() != 1).then_some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
        };
        if let Some(message) = counted {
            let shown = if values.is_empty() { "null".to_owned() } else { Value::from(values.clone()).to_string() };
            errors.push(format!("values: Invalid value: {shown}: {message}"));
        }
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            let not_integers = values.iter().enumerate().filter(|(_, value)| parse_int(value).is_err());
            errors.extend(not_integers.map(|(index, value)| {
                format!(
                    "values[{index}]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be an integer",
                    quote(value)
                )
            }));
        }
        for (index, value) in values.iter().enumerate() {
            errors.extend(label_value_error(&format!("values[{index}][{key}]"), value));
        }
        match aggregate(errors) {
            Some(error) => Err(error),
            None => Ok(Self { key: key.to_owned(), operator, values }),
        }
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The operator.
    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// The values, in the order in which they were given.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether `labels` satisfy the requirement.
    pub fn matches(&self, labels: &(impl Labels + ?Sized)) -> bool {
        let label = labels.label(&self.key);
        let has_value = |label: &str| self.values.iter().any(|value| value == label);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => label.is_some_and(has_value),
            Operator::NotIn | Operator::NotEquals => !label.is_some_and(has_value),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan | Operator::LessThan => {
                let integer = |text: &str| parse_int(text).ok();
                let (Some(label), [value]) = (label.and_then(integer), &self.values[..]) else {
                    return false;
                };
                integer(value).is_some_and(|value| match self.operator {
                    Operator::GreaterThan => label > value,
                    _ => label < value,
                })
            }
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<&str> = self.values.iter().map(String::as_str).collect();
        sorted.order();
        let values = sorted.join(",");
        let key = &self.key;
        match self.operator {
            Operator::In => write!(formatter, "{key} in ({values})"),
            Operator::NotIn => write!(formatter, "{key} notin ({values})"),
            Operator::Equals => write!(formatter, "{key}={values}"),
            Operator::DoubleEquals => write!(formatter, "{key}=={values}"),
            Operator::NotEquals => write!(formatter, "{key}!={values}"),
            Operator::Exists => formatter.write_str(key),
            Operator::DoesNotExist => write!(formatter, "!{key}"),
            Operator::GreaterThan => write!(formatter, "{key}>{values}"),
            Operator::LessThan => write!(formatter, "{key}<{values}"),
        }
    }
}

/// All requirements must hold. Printing gives the text that [`Selector::parse`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// `None` is the selector that matches nothing at all.
    requirements: Option<Vec<Requirement>>,
}

impl Selector {
    /// Matches everything (`labels.Everything`).
    pub const fn everything() -> Self {
        Self { requirements: Some(Vec::new()) }
    }

    /// Matches nothing (`labels.Nothing`).
    pub const fn nothing() -> Self {
        Self { requirements: None }
    }

    /// All of `requirements`, which are sorted by key.
    pub fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.order_by(|left, right| left.key.cmp(&right.key));
        Self { requirements: Some(requirements) }
    }

    /// Reads a selector as `kubectl get -l` takes it (`labels.Parse`).
    ///
    /// # Errors
    /// Upstream's text, such as `found 'x', expected: …`.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text).map(Self::new)
    }

    /// Matches exactly these labels, unchecked (`labels.SelectorFromSet`); no labels match everything.
    pub fn from_map(labels: &BTreeMap<String, String>) -> Self {
        let requirement = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.clone()],
        };
        Self { requirements: Some(labels.iter().map(requirement).collect()) }
    }

    /// What an API object's selector means (`LabelSelectorAsSelector`): a missing one matches
    /// nothing, an empty one everything.
    ///
    /// # Errors
    /// Upstream's text when an expression is not valid.
    pub fn from_label_selector(selector: Option<&LabelSelector>) -> Result<Self, String> {
        let Some(selector) = selector else {
            return Ok(Self::nothing());
        };
        let mut requirements = Vec::new();
        for (key, value) in selector.match_labels.iter().flatten() {
            requirements.push(Requirement::new(key, Operator::Equals, vec![value.clone()])?);
        }
        for expression in selector.match_expressions.iter().flatten() {
            let operator = match expression.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    return Err(format!("{} is not a valid pod selector operator", quote(other)));
                }
            };
            let values = expression.values.clone().unwrap_or_default();
            requirements.push(Requirement::new(&expression.key, operator, values)?);
        }
        Ok(Self::new(requirements))
    }

    /// Whether `labels` satisfy every requirement.
    pub fn matches(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.requirements
            .as_ref()
            .is_some_and(|requirements| requirements.iter().all(|requirement| requirement.matches(labels)))
    }

    /// Whether nothing is asked for. The selector that matches nothing is not empty.
    pub fn is_empty(&self) -> bool {
        self.requirements.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether this is the selector that matches nothing.
    pub const fn matches_nothing(&self) -> bool {
        self.requirements.is_none()
    }

    /// The requirements by key; none for the selector that matches nothing.
    pub fn requirements(&self) -> &[Requirement] {
        self.requirements.as_deref().unwrap_or(&[])
    }

    /// The selector with more requirements; the one that matches nothing stays so.
    #[must_use]
    pub fn with(self, more: impl IntoIterator<Item = Requirement>) -> Self {
        match self.requirements {
            Some(mut requirements) => {
                requirements.extend(more);
                Self::new(requirements)
            }
            None => self,
        }
    }

    /// The only value that the label `key` may have, if the selector fixes it.
    pub fn requires_exact_match(&self, key: &str) -> Option<&str> {
        let requirement = self.requirements().iter().find(|requirement| requirement.key == key)?;
        match (requirement.operator, &requirement.values[..]) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, [value]) => Some(value),
            _ => None,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements().iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            requirement.fmt(formatter)?;
        }
        Ok(())
    }
}

/// A selector as tables show it: `<none>` when empty and `<error>` when not valid
/// (`FormatLabelSelector`).
pub fn format_label_selector(selector: Option<&LabelSelector>) -> String {
    match Selector::from_label_selector(selector).map(|selector| selector.to_string()) {
        Ok(text) if text.is_empty() => "<none>".to_owned(),
        Ok(text) => text,
        Err(_) => "<error>".to_owned(),
    }
}

/// Labels as tables show them, `a=1,b=2` or `<none>` (`labels.FormatLabels`).
pub fn format_labels(labels: Option<&BTreeMap<String, String>>) -> String {
    let pairs: Vec<String> = labels.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// Reads a selector text into the API's form (`ParseToLabelSelector`).
///
/// # Errors
/// Upstream's text when it cannot be read or uses an operator that the API does not have.
pub fn parse_to_label_selector(text: &str) -> Result<LabelSelector, String> {
    let selector =
        Selector::parse(text).map_err(|error| format!("couldn't parse the selector string \"{text}\": {error}"))?;
    let mut match_labels = BTreeMap::new();
    let mut match_expressions = Vec::new();
    for requirement in selector.requirements.into_iter().flatten() {
        let operator = match requirement.operator {
            Operator::Equals | Operator::DoubleEquals => {
                match_labels.extend(requirement.values.into_iter().map(|value| (requirement.key.clone(), value)));
                continue;
            }
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            Operator::GreaterThan => {
                return Err("\"gt\" isn't supported in label selectors".to_owned());
            }
            Operator::LessThan => {
                return Err("\"lt\" isn't supported in label selectors".to_owned());
            }
            Operator::NotEquals => {
                return Err("\"!=\" is not a valid label selector operator".to_owned());
            }
        };
        match_expressions.push(LabelSelectorRequirement {
            key: requirement.key,
            operator: operator.to_owned(),
            values: (!requirement.values.is_empty()).then_some(requirement.values),
        });
    }
    Ok(LabelSelector {
        match_labels: (!match_labels.is_empty()).then_some(match_labels),
        match_expressions: (!match_expressions.is_empty()).then_some(match_expressions),
    })
}

/// Reads `a=1,b=2`, where only single values are allowed (`ConvertSelectorToLabelsMap`).
///
/// # Errors
/// Upstream's text when a part is not `key=value` or key or value are not valid.
pub fn parse_map(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    if text.is_empty() {
        return Ok(labels);
    }
    for part in text.split(',') {
        let pair: Vec<&str> = part.split('=').collect();
        let [key, value] = pair[..] else {
            return Err(format!("invalid selector: [{}]", pair.join(" ")));
        };
        let (key, value) = (key.trim(), value.trim());
        let error = label_key_error("<nil>", key).or_else(|| label_value_error(&format!("[{key}]"), value));
        if let Some(error) = error {
            return Err(error);
        }
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(labels)
}

fn label_key_error(path: &str, key: &str) -> Option<String> {
    let errors = names::is_qualified_name(key);
    (!errors.is_empty()).then(|| format!("{path}: Invalid value: {}: {}", quote(key), errors.join("; ")))
}

fn label_value_error(path: &str, value: &str) -> Option<String> {
    let errors = names::is_label_value(value);
    (!errors.is_empty()).then(|| format!("{path}: Invalid value: {}: {}", quote(value), errors.join("; ")))
}

/// Several errors as one text, as Go's aggregate prints them: alone as it is, others in brackets.
fn aggregate(mut errors: Vec<String>) -> Option<String> {
    let mut seen = Vec::new();
    errors.retain(|error| {
        let fresh = !seen.contains(error);
        seen.push(error.clone());
        fresh
    });
    match errors.len() {
        0 => None,
        1 => errors.pop(),
        _ => Some(format!("[{}]", errors.join(", "))),
    }
}

/// A `*LabelSelector` as Go prints it with `%v`.
#[must_use]
pub fn go_text(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    let labels: Vec<String> =
        selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}: {value},")).collect();
    let expressions = selector.match_expressions.iter().flatten().map(|it| {
        let values: Vec<&str> = it.values.iter().flatten().map(String::as_str).collect();
        format!("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},", it.key, it.operator, values.join(" "))
    });
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.concat(),
        expressions.collect::<String>()
    )
}

#[cfg(test)]
mod tests;
