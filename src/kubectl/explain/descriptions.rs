//! What types and their fields are for: texts of Kubernetes itself, in a file of the machine that kubectl runs on.
//!
//! A test of the door's OpenAPI documents (`door/openapi/schemas.rs`) makes the file, so that both explain the same:
//!
//! ```text
//! = core PodSpec
//! PodSpec is a description of a pod.
//! \tactiveDeadlineSeconds\tOptional duration in seconds …
//! ```
//!
//! A line break in a text is written `\n`, a tabulator `\t` and a backslash `\\`.

use super::super::cli::{Cli, Fetched};

/// Where the file is.
const PATH: &str = "/usr/share/kubectl/descriptions.txt";

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should \
                           convert recognized schemas to the latest internal value, and may reject unrecognized values. \
                           More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this \
                    from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
                    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: \
                        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// The texts; none where there is no such file.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptions(String);

impl Descriptions {
    /// The texts, as the host has them; nothing while they are on their way.
    pub(super) fn of(cli: &mut Cli<'_>) -> Option<Self> {
        match cli.files.fetch(PATH) {
            Fetched::Here(bytes) => Some(Self(String::from_utf8_lossy(&bytes).into_owned())),
            Fetched::Coming => None,
            Fetched::Absent => Some(Self::default()),
        }
    }

    /// Of texts, for tests.
    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn section(&self, package: &str, name: &str) -> &str {
        let head = format!("= {package} {name}\n");
        let start =
            if self.0.starts_with(&head) { Some(0) } else { self.0.find(&format!("\n{head}")).map(|at| at + 1) };
        let Some(start) = start else { return "" };
        let body = &self.0[start + head.len()..];
        body.find("\n= ").map_or(body, |end| &body[..end])
    }

    /// What a type is.
    pub(super) fn of_type(&self, package: &str, name: &str) -> String {
        let first = self.section(package, name).lines().next().unwrap_or("");
        if first.starts_with('\t') { String::new() } else { plain(first) }
    }

    /// What a field of a type is.
    pub(super) fn of_field(&self, package: &str, name: &str, field: &str) -> String {
        let lines = self.section(package, name).lines().filter_map(|line| line.strip_prefix('\t')?.split_once('\t'));
        lines.into_iter().find(|(known, _)| *known == field).map_or_else(String::new, |(_, text)| plain(text))
    }

    /// What the fields are that every kind has; nothing where nothing is told at all.
    pub(super) fn of_kind(&self, field: &str) -> String {
        match field {
            _ if self.0.is_empty() => "",
            "apiVersion" => API_VERSION,
            "kind" => KIND,
            _ => METADATA,
        }
        .to_owned()
    }
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.extend(letters.next().map(|escaped| match escaped {
                'n' => '\n',
                't' => '\t',
                other => other,
            })),
            other => plain.push(other),
        }
    }
    plain
}

/// The values that a description lists: `` - `"Always"` means … ``.
pub(super) fn values(description: &str) -> Vec<String> {
    let Some((_, listed)) = description.split_once("Possible enum values:") else { return Vec::new() };
    let lines = listed.lines().filter_map(|line| line.trim_start().strip_prefix("- `\"")?.split_once("\"`"));
    lines.map(|(value, _)| value.to_owned()).collect()
}
