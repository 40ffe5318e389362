//! `x-kubernetes-validations`: rules in the Common Expression Language, of which each sees its own value as `self`.
//!
//! Follows `k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go`. Not there: the estimate of costs at
//! which upstream refuses a schema.

use serde_json::{Map, Value};

use super::Schema;
use super::validate::correlated;
use crate::machinery::cel::{self, Fields, Program, Type, Value as Cel};
use crate::machinery::field::{ErrorList, FieldError, Path};

/// The longest text that a `messageExpression` may make: `MaxEvaluatedMessageExpressionSizeBytes`.
const MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// The value that a rule is about, and what it was before.
const VARIABLES: [&str; 2] = ["self", "oldSelf"];

/// A rule that a value must obey.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// The expression.
    pub rule: String,
    /// What is said when it does not hold.
    pub message: String,
    /// An expression that says it.
    pub message_expression: String,
    /// What sort of error that is.
    pub reason: String,
    /// The field that is to blame.
    pub field_path: String,
    /// Whether `oldSelf` is an optional value, so that the rule is asked of new values too.
    pub optional_old_self: bool,
    program: Option<Program>,
    message_program: Option<Program>,
}

impl Rule {
    pub(super) fn read(json: &Value) -> Self {
        let text = |name: &str| json[name].as_str().unwrap_or("").to_owned();
        let compile = |text: &str| Program::compile(text, &VARIABLES).ok().filter(|_| !text.is_empty());
        let (rule, message_expression) = (text("rule"), text("messageExpression"));
        Self {
            program: compile(&rule),
            message_program: compile(&message_expression),
            message: text("message"),
            reason: text("reason"),
            field_path: text("fieldPath"),
            optional_old_self: json["optionalOldSelf"].as_bool().unwrap_or(false),
            rule,
            message_expression,
        }
    }

    /// What is wrong with an expression of a rule about values of a schema, which must be of a type: cel-go's words.
    ///
    /// # Errors
    /// What is wrong.
    pub fn compile(text: &str, wanted: &str, schema: &Schema) -> Result<Program, String> {
        let failed = |why: String| format!("compilation failed: {why}");
        let program = Program::compile(text, &VARIABLES).map_err(failed)?;
        let of_variable = |name: &str| match name {
            "self" | "oldSelf" => Some(type_of(schema)),
            _ => None,
        };
        let found = program.check(text, &of_variable).map_err(failed)?;
        match found.name() {
            Some(found) if found != wanted => Err(match wanted {
                "bool" => "cel expression must evaluate to a bool".to_owned(),
                _ => format!("must evaluate to a {wanted}"),
            }),
            _ => Ok(program),
        }
    }

    /// What is said when the rule does not hold.
    fn told(&self) -> String {
        match self.message.trim() {
            "" => format!("failed rule: {}", self.rule.trim()),
            message => message.to_owned(),
        }
    }

    fn name(&self) -> &str {
        if self.message.is_empty() { self.rule.trim() } else { self.message.trim() }
    }
}

/// What is known of the values of a schema before there are any.
fn type_of(schema: &Schema) -> Type<'_> {
    if schema.is_int_or_string || schema.nullable || !schema.format.is_empty() {
        return Type::Unknown;
    }
    match schema.ty.as_str() {
        "boolean" => Type::Named("bool"),
        "integer" => Type::Named("int"),
        "number" => Type::Named("double"),
        "string" => Type::Named("string"),
        "array" => Type::List(Box::new(schema.items.as_deref().map_or(Type::Unknown, type_of))),
        "object" => match schema.additional_schema() {
            Some(schema) => Type::Map(Box::new(type_of(schema))),
            None if schema.preserves_unknown || schema.is_embedded || schema.properties.is_empty() => Type::Unknown,
            None => Type::Object(schema),
        },
        _ => Type::Unknown,
    }
}

impl Fields for Schema {
    fn field(&self, name: &str) -> Option<Type<'_>> {
        match name {
            // Every resource has these, and whether it is one, the schema does not say.
            "apiVersion" | "kind" | "metadata" => Some(Type::Unknown),
            name => {
                let property = || self.properties.iter().find(|(known, _)| escaped(known) == name);
                self.properties.get(name).or_else(|| property().map(|(_, schema)| schema)).map(type_of)
            }
        }
    }
}

/// Everything that rules find wrong with a value; `old` is what it was before, where that can be told.
pub fn validate(path: &Path, value: &Value, old: Option<&Value>, schema: &Schema, errors: &mut ErrorList) {
    if value.is_null() {
        return;
    }
    judge(path, value, old, schema, errors);
    for schema in &schema.checks.all_of {
        if !schema.rules.is_empty() {
            judge(path, value, old, schema, errors);
        }
    }
    match value {
        Value::Array(items) => {
            let Some(schema_of_items) = &schema.items else { return };
            for (index, item) in items.iter().enumerate() {
                let old = old.and_then(|old| correlated(old, item, &schema.list));
                validate(&path.index(index), item, old, schema_of_items, errors);
            }
        }
        Value::Object(fields) => validate_fields(path, fields, old, schema, errors),
        _ => {}
    }
}

fn validate_fields(
    path: &Path,
    fields: &Map<String, Value>,
    old: Option<&Value>,
    schema: &Schema,
    errors: &mut ErrorList,
) {
    let old = old.filter(|_| !schema.is_atomic_map);
    if let Some(schema) = schema.additional_schema() {
        for (name, value) in fields {
            validate(&path.key(name), value, old.and_then(|old| old.get(name)), schema, errors);
        }
    }
    for (name, schema) in &schema.properties {
        if let Some(value) = fields.get(name) {
            validate(&path.child(name), value, old.and_then(|old| old.get(name)), schema, errors);
        }
    }
}

/// Whether there is any rule in a schema.
#[must_use]
pub fn has_any(schema: &Schema) -> bool {
    let below = schema.properties.values().chain(schema.items.as_deref()).chain(schema.additional_schema());
    !schema.rules.is_empty() || below.chain(&schema.checks.all_of).any(has_any)
}

/// The name by which rules speak of a field: `cel.Escape`.
fn escaped(name: &str) -> String {
    if cel::RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return name.to_owned();
    }
    let name = name.replace("__", "__underscores__");
    name.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

/// A value as rules see it: fields go by other names where theirs mean something else, and times and spans of time are no
/// texts.
fn to_cel(value: &Value, schema: &Schema) -> Cel {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let shown = if schema.properties.contains_key(name) { escaped(name) } else { name.clone() };
                let schema = schema.field(name);
                (shown, schema.map_or_else(|| Cel::from_json(value), |schema| to_cel(value, schema)))
            };
            Cel::Map(fields.iter().map(field).collect())
        }
        Value::Array(items) => {
            let item =
                |item| schema.items.as_deref().map_or_else(|| Cel::from_json(item), |schema| to_cel(item, schema));
            Cel::List(items.iter().map(item).collect())
        }
        Value::String(text) => match schema.format.as_str() {
            "date-time" | "date" => Cel::timestamp(text),
            "duration" => Cel::duration(text),
            _ => None,
        }
        .unwrap_or_else(|| Cel::from_json(value)),
        _ if schema.ty == "number" => value.as_f64().map_or_else(|| Cel::from_json(value), Cel::Double),
        _ => Cel::from_json(value),
    }
}

fn judge(path: &Path, value: &Value, old: Option<&Value>, schema: &Schema, errors: &mut ErrorList) {
    if schema.rules.is_empty() {
        return;
    }
    let (now, before) = (to_cel(value, schema), old.map(|old| to_cel(old, schema)));
    for rule in &schema.rules {
        let Some(program) = &rule.program else { continue };
        let is_transition = program.refers_to("oldSelf");
        if is_transition && old.is_none() && !rule.optional_old_self {
            continue;
        }
        let variable = |name: &str| match name {
            "self" => Some(Ok(now.clone())),
            "oldSelf" if rule.optional_old_self => Some(Ok(Cel::Optional(before.clone().map(Box::new)))),
            "oldSelf" => before.clone().map(Ok),
            // A field is asked for by its whole name first, lest all of the value be copied for it.
            _ => match (name.split_once('.')?, &now, &before) {
                (("self", field), Cel::Map(now), _) => now.get(field).cloned().map(Ok),
                (("oldSelf", field), _, Some(Cel::Map(before))) if !rule.optional_old_self => {
                    before.get(field).cloned().map(Ok)
                }
                _ => None,
            },
        };
        match program.evaluate(&variable) {
            Ok(Cel::Bool(true)) => {}
            // What was as wrong before may stay so.
            Ok(_) if !is_transition && old == Some(value) => {}
            Ok(_) => errors.push(broken(path, rule, schema, &variable)),
            Err(why) => {
                let is_endless = why.starts_with("operation cancelled");
                let detail = if is_endless {
                    let limit = "no further validation rules will be run due to call cost exceeds limit for rule";
                    format!("'{why}': {limit}: {}", rule.name())
                } else {
                    format!("{why} evaluating rule: {}", rule.name())
                };
                errors.push(FieldError::invalid_as_a_whole(path, detail));
                if is_endless {
                    return;
                }
            }
        }
    }
}

/// The error of a rule that does not hold.
fn broken(
    path: &Path,
    rule: &Rule,
    schema: &Schema,
    variable: &dyn Fn(&str) -> Option<Result<Cel, String>>,
) -> FieldError {
    let field = field_path(&rule.field_path, schema).unwrap_or_default();
    let path = if field.is_empty() { path.clone() } else { path.child(&field) };
    let expressed = rule.message_program.as_ref().and_then(|program| match program.evaluate(variable) {
        Ok(Cel::Text(text)) => {
            let text = text.trim();
            let is_fit = !text.is_empty() && text.len() <= MESSAGE_BYTES_MAX && !text.contains('\n');
            is_fit.then(|| text.to_owned())
        }
        _ => None,
    });
    let detail = expressed.unwrap_or_else(|| rule.told());
    match rule.reason.as_str() {
        "FieldValueForbidden" => FieldError::forbidden(&path, detail),
        "FieldValueRequired" => FieldError::required(&path, detail),
        "FieldValueDuplicate" => FieldError::duplicate(&path, schema.ty.as_str()),
        _ => FieldError::invalid_as_a_whole(&path, detail),
    }
}

/// A path like `.spec.labels['app']` as errors write it, `spec.labels[app]`: `ValidFieldPath`.
///
/// # Errors
/// Why it leads nowhere.
pub fn field_path(text: &str, schema: &Schema) -> Result<String, String> {
    let mut path = Path::root();
    let (mut rest, mut schema) = (text, schema);
    while !rest.is_empty() {
        let (name, after) = if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[', ']']).unwrap_or(after.len());
            if end == 0 {
                return Err("unexpected end of JSON path".to_owned());
            }
            (after[..end].to_owned(), &after[end..])
        } else if let Some(after) = rest.strip_prefix('[') {
            let quoted = after.strip_prefix('\'').and_then(|inner| inner.split_once("']"));
            let Some((name, after)) = quoted else {
                return Err(format!(
                    "expected single quoted string but got {}",
                    after.split(']').next().unwrap_or(after)
                ));
            };
            (name.replace("\\'", "'"), after)
        } else {
            let found = rest.split(['.', '[', ']']).next().unwrap_or(rest);
            return Err(format!("expected [ or . but got: {found}"));
        };
        (path, schema) = if !schema.properties.is_empty() {
            let found = schema.properties.get(&name);
            (path.child(&name), found.ok_or("does not refer to a valid field")?)
        } else {
            (path.key(&name), schema.additional_schema().ok_or("does not refer to a valid field")?)
        };
        rest = after;
    }
    Ok(path.as_str().to_owned())
}
