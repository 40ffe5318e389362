//! `kubectl explain`.
//!
//! Follows `k8s.io/kubectl/pkg/explain/v2` with its template `plaintext.tmpl`, on the table of types instead of the
//! server's OpenAPI document. The table has no descriptions: they would be larger than all of kubectl.

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::resource;
use crate::api::OTHER_VERSIONS;
use crate::machinery::schema::{self, Custom, Struct, Type};

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
        let kind = resource::kind_of(cli.api, parts.next().unwrap_or(""))?;
        Ok::<_, Failure>((kind, parts.map(str::to_owned).collect::<Vec<_>>()))
    })?;
    let mut version = kind.api_version();
    let asked = cli.flags().text("api-version");
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
    let Some(structure) = schema::lookup(&version, kind.info().kind) else {
        return Err(Failure::Message(format!("couldn't find resource for {word:?}")));
    };
    let text = explain(structure, &version, &path, cli.flags().is("recursive", false))?;
    cli.out.push_str(&text);
    Ok(Step::Done)
}

fn explain(root: &'static Struct, version: &str, path: &[String], recursive: bool) -> Result<String, Failure> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let mut text = if group.is_empty() { String::new() } else { format!("GROUP:      {group}\n") };
    text.push_str(&format!("KIND:       {}\nVERSION:    {version}\n\n", root.name));
    let mut element = Some(root);
    for (at, name) in path.iter().enumerate() {
        let found = properties(element).into_iter().find(|(known, ..)| known == name);
        let Some((_, ty, _, next)) = found else {
            let last = path.last().map_or("", String::as_str);
            return Err(Failure::Message(format!("field {last:?} does not exist")));
        };
        if at + 1 == path.len() {
            text.push_str(&format!("FIELD: {name} <{ty}>\n\n\n"));
        }
        element = next;
    }
    text.push_str("DESCRIPTION:\n    <empty>\n");
    let mut fields = String::new();
    list(&mut fields, element, 1, recursive, &mut Vec::new());
    if !fields.is_empty() {
        text.push_str("FIELDS:\n");
        text.push_str(&fields);
    }
    text.push('\n');
    Ok(text)
}

/// A field: its name, its type, whether it is required, and what it holds.
type Property = (String, String, bool, Option<&'static Struct>);

/// The fields of a struct; a kind has its version and its kind besides.
fn properties(structure: Option<&'static Struct>) -> Vec<Property> {
    let Some(structure) = structure else { return Vec::new() };
    let own = structure.fields().iter().map(|field| {
        // A kind can do without its metadata.
        let is_required = field.required && !(structure.is_kind && field.name == "metadata");
        (field.name.to_owned(), type_name(&field.ty), is_required, field.ty.element())
    });
    let mut properties: Vec<Property> = own.collect();
    if structure.is_kind {
        for name in ["apiVersion", "kind"] {
            properties.push((name.to_owned(), "string".to_owned(), false, None));
        }
        properties.sort_by(|a, b| a.0.cmp(&b.0));
    }
    properties
}

/// What a type is called: `typeGuess`.
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

/// Writes the fields of a struct, and those below them when that is asked for: `fieldList`.
fn list(
    text: &mut String,
    structure: Option<&'static Struct>,
    level: usize,
    recursive: bool,
    above: &mut Vec<&'static str>,
) {
    let blanks = "  ".repeat(level);
    for (name, ty, is_required, element) in properties(structure) {
        let required = if is_required { " -required-" } else { "" };
        text.push_str(&format!("{blanks}{name}\t<{ty}>{required}\n"));
        if !recursive {
            text.push_str(&format!("{blanks}  <no description>\n\n"));
            continue;
        }
        // A type within itself is not written again.
        if let Some(element) = element.filter(|element| !above.contains(&element.name)) {
            above.push(element.name);
            list(text, Some(element), level + 1, recursive, above);
            above.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::explain;
    use crate::machinery::schema;

    #[test]
    fn fields_are_listed_with_their_types() {
        let pod = schema::lookup("v1", "Pod").expect("there are pods");
        let path = ["spec", "containers", "ports"].map(str::to_owned);
        let text = explain(pod, "v1", &path, false).unwrap_or_else(|failure| failure.text());
        expect![[r#"
            KIND:       Pod
            VERSION:    v1

            FIELD: ports <[]ContainerPort>


            DESCRIPTION:
                <empty>
            FIELDS:
              containerPort	<integer> -required-
                <no description>

              hostIP	<string>
                <no description>

              hostPort	<integer>
                <no description>

              name	<string>
                <no description>

              protocol	<string>
                <no description>


        "#]]
        .assert_eq(&text);
        let missing = explain(pod, "v1", &["spec".to_owned(), "nosuch".to_owned()], false);
        assert_eq!(missing.expect_err("no such field").text(), "error: field \"nosuch\" does not exist\n");
    }
}
