//! `kubectl explain`.
//!
//! Follows `k8s.io/kubectl/pkg/explain/v2` with its template `plaintext.tmpl`, on the table of types and the schemas of
//! custom kinds instead of the server's OpenAPI document. What fields of built-in kinds are for is read from a file, as
//! the host has it ([`descriptions`]): it is larger than all of kubectl.

mod descriptions;

use super::cli::{Cli, Step, Waiting};
use super::failure::Failure;
use super::resource;
use crate::api::{Kind, OTHER_VERSIONS};
use crate::machinery::schema::{self, Custom, Struct, Type};
use crate::machinery::structural::{Additional, Schema};
use descriptions::Descriptions;

/// How wide descriptions are, with what they are indented by.
const WIDTH: usize = 78;
/// So many values of an enumeration are shown in a list of fields.
const VALUES_MAX: usize = 4;

/// What is to be explained, while its descriptions are on their way.
#[derive(Clone, Debug)]
pub(super) struct Explain {
    kind: Kind,
    version: String,
    path: Vec<String>,
}

/// Runs `kubectl explain`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let word = match cli.arguments() {
        [word] => word.clone(),
        [] => {
            return Err(Failure::message(
                "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of \
                 supported resources.\n",
            ));
        }
        _ => return Err(Failure::message("We accept only this format: explain RESOURCE\n")),
    };
    let output = cli.flags().text("output");
    if !matches!(output, "" | "plaintext" | "plaintext-openapiv2") {
        return Err(Failure::Message(format!("unrecognized format: {output}")));
    }
    // `deployments.v1.apps` names a version and a group, `deployments.spec` a field.
    let known = resource::kind_of(cli.api, &word).map(|kind| (kind, Vec::new()));
    let (kind, path) = known.or_else(|_| {
        let mut parts = word.split('.');
        let kind = resource::kind_of(cli.api, parts.next().unwrap_or(""));
        let kind = kind.map_err(|failure| Failure::Plain(failure.bare()))?;
        Ok::<_, Failure>((kind, parts.map(str::to_owned).collect::<Vec<_>>()))
    })?;
    let mut version = kind.api_version();
    let asked = cli.flags().text("api-version");
    if asked.split('/').count() > 2 {
        return Err(Failure::Message(format!("unexpected GroupVersion string: {asked}")));
    }
    if !asked.is_empty() && asked != version {
        let other = OTHER_VERSIONS
            .iter()
            .find(|other| other.kind == kind && format!("{}/{}", other.group, other.version) == asked);
        if other.is_none() {
            let name = kind.info().plural;
            return Err(Failure::Message(format!("couldn't find resource for \"{asked}, Resource={name}\"")));
        }
        asked.clone_into(&mut version);
    }
    Explain { kind, version, path }.poll(cli)
}

impl Explain {
    /// Prints it, once the descriptions are there or never will be.
    pub(super) fn poll(self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        let Some(descriptions) = Descriptions::of(cli) else { return Ok(Step::Wait(Waiting::Explain(self))) };
        let root = match self.kind.custom() {
            Some(custom) => Shape::Schema(&custom.definition().schema, true),
            None => schema::lookup(&self.version, self.kind.info().kind).map_or(Shape::Leaf, Shape::Struct),
        };
        if matches!(root, Shape::Leaf) {
            return Err(Failure::Message(format!("couldn't find resource for {:?}", self.kind.info().plural)));
        }
        let kind = self.kind.info().kind;
        let recursive = cli.flags().is("recursive", false);
        let (text, failure) = explain(root, (kind, &self.version), &self.path, recursive, &descriptions);
        cli.out.push_str(&text);
        failure.map_or(Ok(Step::Done), Err)
    }
}

/// What stands below a field.
#[derive(Clone, Copy, Debug)]
enum Shape<'a> {
    Struct(&'static Struct),
    /// A schema, and whether it is that of a whole kind.
    Schema(&'a Schema, bool),
    /// A type that is written as a text or a number, but has a name.
    Named(&'static str),
    Leaf,
}

/// A field.
struct Property<'a> {
    name: String,
    ty: String,
    is_required: bool,
    values: Vec<String>,
    description: String,
    below: Shape<'a>,
}

/// The page, and why it breaks off.
fn explain(
    root: Shape<'_>,
    (kind, version): (&str, &str),
    path: &[String],
    recursive: bool,
    descriptions: &Descriptions,
) -> (String, Option<Failure>) {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let mut text = if group.is_empty() { String::new() } else { format!("GROUP:      {group}\n") };
    text.push_str(&format!("KIND:       {kind}\nVERSION:    {version}\n\n"));
    let mut shape = root;
    let mut described = Vec::new();
    for (at, name) in path.iter().enumerate() {
        let Some(found) = properties(shape, descriptions).into_iter().find(|known| known.name == *name) else {
            // Upstream names the last part of the path, whichever is missing.
            let name = path.last().unwrap_or(name);
            return (text, Some(Failure::Message(format!("field {name:?} does not exist"))));
        };
        if at + 1 == path.len() {
            text.push_str(&format!("FIELD: {name} <{}>\n", found.ty));
            if !found.values.is_empty() {
                text.push_str("ENUM:");
                found.values.iter().for_each(|value| text.push_str(&format!("\n    {}", shown_value(value))));
                text.push_str("\n\n");
            } else {
                text.push_str("\n\n");
            }
            described.push(found.description);
        }
        shape = found.below;
    }
    described.push(description_of(shape, descriptions));
    // The field is described before its type.
    let described: String =
        described.iter().filter(|text| !text.is_empty()).flat_map(|text| [text.as_str(), "\n"]).collect();
    let described = if described.is_empty() { "<empty>" } else { &described };
    text.push_str(&format!("DESCRIPTION:\n{}\n", indented(&wrapped(described, WIDTH - 2), 4)));
    let mut fields = String::new();
    list(&mut fields, shape, 1, recursive, &mut Vec::new(), descriptions);
    if !fields.is_empty() {
        text.push_str("FIELDS:\n");
        text.push_str(&fields);
    }
    text.push('\n');
    (text, None)
}

fn description_of(shape: Shape<'_>, descriptions: &Descriptions) -> String {
    match shape {
        Shape::Struct(structure) => descriptions.of_type(structure.package, structure.name),
        // What a schema says of itself was said of its field.
        Shape::Named(name) => descriptions.of_type("meta", name),
        Shape::Schema(schema, true) => schema.description.clone(),
        Shape::Schema(_, false) | Shape::Leaf => String::new(),
    }
}

fn shown_value(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// The fields below a field; a kind has its version and its kind besides.
fn properties<'a>(shape: Shape<'a>, descriptions: &Descriptions) -> Vec<Property<'a>> {
    let mut properties = match shape {
        Shape::Named(_) | Shape::Leaf => return Vec::new(),
        Shape::Struct(structure) => of_struct(structure, descriptions),
        Shape::Schema(schema, _) => of_schema(schema),
    };
    let is_kind = match shape {
        Shape::Struct(structure) => structure.is_kind,
        Shape::Schema(_, is_kind) => is_kind,
        Shape::Named(_) | Shape::Leaf => false,
    };
    if is_kind {
        let plain = |name: &str, ty: &str, below| Property {
            name: name.to_owned(),
            ty: ty.to_owned(),
            is_required: false,
            values: Vec::new(),
            description: descriptions.of_kind(name),
            below,
        };
        properties.push(plain("apiVersion", "string", Shape::Leaf));
        properties.push(plain("kind", "string", Shape::Leaf));
        if !properties.iter().any(|known| known.name == "metadata")
            && let Some(pod) = schema::lookup("v1", "Pod")
            && let Some(metadata) = pod.fields().iter().find(|field| field.name == "metadata")
        {
            let below = metadata.ty.element().map_or(Shape::Leaf, Shape::Struct);
            properties.push(plain("metadata", "ObjectMeta", below));
        }
        properties.sort_by(|a, b| a.name.cmp(&b.name));
        properties.dedup_by(|a, b| a.name == b.name);
    }
    properties
}

/// Fields that Go writes always and that may be left out all the same.
const OPTIONAL: [(&str, &str); 3] =
    [("Event", "reportingComponent"), ("Event", "reportingInstance"), ("HPAScalingRules", "policies")];

fn of_struct(structure: &'static Struct, descriptions: &Descriptions) -> Vec<Property<'static>> {
    let fields = structure.fields().iter().map(|field| {
        let description = descriptions.of_field(structure.package, structure.name, field.name);
        Property {
            name: field.name.to_owned(),
            ty: type_name(&field.ty),
            // A kind can do without its metadata.
            is_required: field.required
                && !(structure.is_kind && field.name == "metadata")
                && !OPTIONAL.contains(&(structure.name, field.name)),
            values: descriptions::values(&description),
            description,
            below: field.ty.element().map_or_else(|| named(&field.ty), Shape::Struct),
        }
    });
    fields.collect()
}

/// What a type without fields is.
fn named(ty: &Type) -> Shape<'static> {
    match ty {
        Type::Pointer(inner) | Type::Named(_, _, inner) | Type::List(inner) | Type::Map(_, inner) => named(inner),
        Type::Custom(Custom::Quantity) => Shape::Named("Quantity"),
        Type::Custom(Custom::IntOrString) => Shape::Named("IntOrString"),
        Type::Custom(Custom::Time) => Shape::Named("Time"),
        Type::Custom(Custom::MicroTime) => Shape::Named("MicroTime"),
        _ => Shape::Leaf,
    }
}

fn of_schema(schema: &Schema) -> Vec<Property<'_>> {
    let fields = schema.properties.iter().map(|(name, field)| {
        let value = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Property {
            name: name.clone(),
            ty: schema_name(field),
            is_required: schema.checks.required.contains(name),
            values: field.checks.enumeration.iter().map(value).collect(),
            description: field.description.clone(),
            below: Shape::Schema(element(field), field.is_embedded),
        }
    });
    fields.collect()
}

/// The schema of what a list or a map holds, or the schema itself.
fn element(schema: &Schema) -> &Schema {
    match (&schema.items, &schema.additional) {
        (Some(items), _) => element(items),
        (None, Some(Additional::Schema(values))) => element(values),
        _ => schema,
    }
}

/// What a type is called: `typeGuess`.
fn schema_name(schema: &Schema) -> String {
    match (&schema.items, &schema.additional) {
        (Some(items), _) => format!("[]{}", schema_name(items)),
        (None, Some(Additional::Schema(values))) => format!("map[string]{}", schema_name(values)),
        _ if matches!(schema.ty.as_str(), "" | "object") => "Object".to_owned(),
        _ => schema.ty.clone(),
    }
}

/// The same for the types of built-in kinds.
fn type_name(ty: &Type) -> String {
    match ty {
        Type::Bool => "boolean".to_owned(),
        Type::Int32 | Type::Int64 => "integer".to_owned(),
        Type::Float64 => "number".to_owned(),
        Type::Bytes | Type::String(_) | Type::Custom(Custom::Time | Custom::MicroTime) => "string".to_owned(),
        Type::Custom(Custom::Quantity) => "Quantity".to_owned(),
        Type::Custom(Custom::IntOrString) => "IntOrString".to_owned(),
        Type::Custom(_) => "Object".to_owned(),
        Type::Pointer(inner) | Type::Named(_, _, inner) => type_name(inner),
        Type::List(item) => format!("[]{}", type_name(item)),
        Type::Map(_, value) => format!("map[string]{}", type_name(value)),
        Type::Struct(structure) => structure.get().name.to_owned(),
    }
}

/// Writes the fields of a type, and those below them when that is asked for: `fieldList`.
fn list(
    text: &mut String,
    shape: Shape<'_>,
    level: usize,
    recursive: bool,
    above: &mut Vec<&'static str>,
    descriptions: &Descriptions,
) {
    let blanks = "  ".repeat(level);
    for property in properties(shape, descriptions) {
        let required = if property.is_required { " -required-" } else { "" };
        text.push_str(&format!("{blanks}{}\t<{}>{required}\n", property.name, property.ty));
        if !property.values.is_empty() {
            let shown: Vec<&str> = property.values.iter().take(VALUES_MAX).map(|value| shown_value(value)).collect();
            let more = if property.values.len() > VALUES_MAX { ", ...." } else { "" };
            text.push_str(&format!("{blanks}enum: {}{more}\n", shown.join(", ")));
        }
        if !recursive {
            let described =
                if property.description.is_empty() { "<no description>" } else { property.description.as_str() };
            let described = wrapped(described, WIDTH - 2 * level);
            text.push_str(&format!("{}\n\n", indented(&described, 2 * level + 2)));
            continue;
        }
        match property.below {
            // A type within itself is not written again.
            Shape::Struct(structure) if !above.contains(&structure.name) => {
                above.push(structure.name);
                list(text, property.below, level + 1, recursive, above, descriptions);
                above.pop();
            }
            Shape::Schema(..) => list(text, property.below, level + 1, recursive, above, descriptions),
            Shape::Struct(_) | Shape::Named(_) | Shape::Leaf => {}
        }
    }
}

fn indented(text: &str, by: usize) -> String {
    let blanks = " ".repeat(by);
    format!("{blanks}{}", text.replace('\n', &format!("\n{blanks}")))
}

/// Breaks lines between words: `mitchellh/go-wordwrap`.
fn wrapped(text: &str, most: usize) -> String {
    let (mut out, mut at) = (String::new(), 0);
    let (mut word, mut blanks) = (String::new(), String::new());
    let length = |text: &str| text.chars().count();
    for letter in text.chars() {
        if letter == '\n' {
            if !word.is_empty() || at + length(&blanks) <= most {
                out.push_str(&blanks);
            }
            blanks.clear();
            out.push_str(&std::mem::take(&mut word));
            out.push(letter);
            at = 0;
        } else if letter.is_whitespace() && letter != '\u{a0}' {
            if blanks.is_empty() || !word.is_empty() {
                at += length(&blanks) + length(&word);
                out.push_str(&std::mem::take(&mut blanks));
                out.push_str(&std::mem::take(&mut word));
            }
            blanks.push(letter);
        } else {
            word.push(letter);
            if at + length(&word) + length(&blanks) > most && length(&word) < most {
                out.push('\n');
                at = 0;
                blanks.clear();
            }
        }
    }
    if !word.is_empty() || at + length(&blanks) <= most {
        out.push_str(&blanks);
    }
    out.push_str(&word);
    out
}

#[cfg(test)]
mod tests;
