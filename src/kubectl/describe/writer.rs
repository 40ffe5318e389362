//! How a description is written: levels of two blanks, labels and values parted by tabs, columns laid out at the end.
//!
//! Follows `PrefixWriter` and the `print…Multiline` functions of `k8s.io/kubectl/pkg/describe/describe.go`.

use serde_json::Value;

use super::super::apply::LAST_APPLIED;
use super::super::tabwriter::TabWriter;
use crate::machinery::time::Time;

/// Annotations that are longer are cut: `maxAnnotationLen`.
pub(super) const ANNOTATION_BYTES_MAX: usize = 140;

/// A text that grows.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    text: String,
    /// What is added to every level: `NewNestedPrefixWriter`.
    indent: usize,
}

impl Writer {
    /// Writes a piece of a line, with the blanks of its level before it: `Write`.
    pub(super) fn write(&mut self, level: usize, piece: &str) {
        self.text.extend(std::iter::repeat_n("  ", level + self.indent));
        for character in piece.chars() {
            // What would steer a terminal is shown instead: `WriteEscaped`.
            match character {
                '\u{1b}' => self.text.push_str("^["),
                '\r' => self.text.push_str("\\r"),
                other => self.text.push(other),
            }
        }
    }

    /// Ends a line with a piece that has no level: `WriteLine`.
    pub(super) fn end_line(&mut self, piece: &str) {
        self.write(0, piece);
        self.text.push('\n');
    }

    /// Writes a line.
    pub(super) fn line(&mut self, level: usize, line: &str) {
        self.write(level, line);
        self.text.push('\n');
    }

    /// Writes a line of a label and its value.
    pub(super) fn field(&mut self, level: usize, label: &str, value: &str) {
        self.line(level, &format!("{label}:\t{value}"));
    }

    /// Runs `work` with everything further in.
    pub(super) fn nested(&mut self, levels: usize, work: impl FnOnce(&mut Self)) {
        self.indent += levels;
        work(self);
        self.indent -= levels;
    }

    /// The name and the namespace, with which almost every description begins.
    pub(super) fn name_and_namespace(&mut self, object: &Value) {
        self.field(0, "Name", text(&object["metadata"]["name"]));
        self.field(0, "Namespace", text(&object["metadata"]["namespace"]));
    }

    /// Labels and annotations.
    pub(super) fn labels_and_annotations(&mut self, object: &Value) {
        self.labels("Labels", &object["metadata"]["labels"]);
        self.annotations("Annotations", &object["metadata"]["annotations"]);
    }

    /// When the object was made.
    pub(super) fn created(&mut self, object: &Value) {
        self.field(0, "CreationTimestamp", &time(&object["metadata"]["creationTimestamp"]));
    }

    /// `a=b`, an entry a line: `printLabelsMultiline`.
    pub(super) fn labels(&mut self, title: &str, map: &Value) {
        self.labels_indented("", title, map);
    }

    /// As [`Self::labels`], with blanks before each line: `printLabelsMultilineWithIndent`.
    pub(super) fn labels_indented(&mut self, indent: &str, title: &str, map: &Value) {
        let entries = sorted(map).into_iter().map(|(key, value)| format!("{key}={}", text(value)));
        self.several(indent, title, entries.collect());
    }

    /// A label with a value on each line; `<none>` without any.
    pub(super) fn several(&mut self, indent: &str, title: &str, values: Vec<String>) {
        self.write(0, &format!("{indent}{title}:\t"));
        if values.is_empty() {
            self.end_line("<none>");
        }
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.write(0, indent);
                self.write(0, "\t");
            }
            self.line(0, value);
        }
    }

    /// `a: b`, long and broken values further in: `printAnnotationsMultiline`.
    pub(super) fn annotations(&mut self, title: &str, map: &Value) {
        self.write(0, &format!("{title}:\t"));
        let entries: Vec<_> = sorted(map).into_iter().filter(|(key, _)| key.as_str() != LAST_APPLIED).collect();
        if entries.is_empty() {
            self.end_line("<none>");
        }
        for (at, (key, value)) in entries.into_iter().enumerate() {
            if at > 0 {
                self.write(0, "\t");
            }
            let value = text(value);
            let value = value.strip_suffix('\n').unwrap_or(value);
            if value.len() + key.len() + 2 <= ANNOTATION_BYTES_MAX && !value.contains('\n') {
                self.line(0, &format!("{key}: {value}"));
                continue;
            }
            self.line(0, &format!("{key}:"));
            for line in value.split('\n') {
                self.line(0, &format!("\t  {}", shortened(line, ANNOTATION_BYTES_MAX - 2)));
            }
        }
    }

    /// A pod's tolerations: `printTolerationsMultilineWithIndent`.
    pub(super) fn tolerations(&mut self, title: &str, tolerations: &Value) {
        let mut tolerations: Vec<&Value> = items(tolerations).iter().collect();
        tolerations.sort_by_key(|toleration| text(&toleration["key"]));
        self.several("", title, tolerations.into_iter().map(toleration).collect());
    }

    /// A table of conditions with these columns. Some upstream parts by more than a tab: the first from the second, and
    /// all others.
    pub(super) fn conditions(&mut self, conditions: &Value, columns: &[&str], (first, others): (&str, &str)) {
        if items(conditions).is_empty() {
            return;
        }
        self.line(0, "Conditions:");
        self.line(1, &columns.join("\t"));
        // A rule is as long as its heading, but for one that upstream mistyped.
        let rules = columns.iter().map(|column| match *column {
            "LastProbeTime" | "LastHeartbeatTime" => "-----------------".to_owned(),
            column => "-".repeat(column.len()),
        });
        self.line(1, &rules.collect::<Vec<_>>().join("\t"));
        for condition in items(conditions) {
            let cells = columns.iter().map(|column| {
                let field = format!("{}{}", column[..1].to_lowercase(), &column[1..]);
                let value = &condition[field.as_str()];
                if column.ends_with("Time") { time(value) } else { text(value).to_owned() }
            });
            let cells: Vec<String> = cells.collect();
            self.line(1, &format!("{}{first}{}", cells[0], cells[1..].join(others)));
        }
    }

    /// The conditions of workloads.
    pub(super) fn workload_conditions(&mut self, conditions: &Value) {
        self.conditions(conditions, &["Type", "Status", "Reason"], (" \t", "\t"));
    }

    /// What was written, laid out: `tabbedString`.
    pub(super) fn finish(self) -> String {
        TabWriter::DESCRIPTION.format(&self.text)
    }

    /// What was written, with its tabs as they are.
    pub(super) fn raw(self) -> String {
        self.text
    }
}

fn toleration(toleration: &Value) -> String {
    let [key, value, effect] = ["key", "value", "effect"].map(|field| text(&toleration[field]));
    let mut line = key.to_owned();
    if !value.is_empty() {
        line.push_str(&format!("={value}"));
    }
    if !effect.is_empty() {
        line.push_str(&format!(":{effect}"));
    }
    if toleration["operator"] == "Exists" && value.is_empty() {
        line.push_str(if line.is_empty() { "op=Exists" } else { " op=Exists" });
    }
    if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
        line.push_str(&format!(" for {seconds}s"));
    }
    line
}

/// A text cut after so many bytes, at the end of a letter.
pub(super) fn shortened(line: &str, bytes_max: usize) -> String {
    if line.len() <= bytes_max {
        return line.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &line[..end])
}

/// A field's text; empty when there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// A field's text, or another word when it is empty.
pub(super) fn text_or<'a>(value: &'a Value, other: &'a str) -> &'a str {
    Some(text(value)).filter(|text| !text.is_empty()).unwrap_or(other)
}

/// A field's number; zero when there is none.
pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// A field's items.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a list.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    items(value).iter().map(text).collect()
}

/// A list of texts as Go prints it: `[a b]`.
pub(super) fn bracketed(value: &Value) -> String {
    format!("[{}]", texts(value).join(" "))
}

/// The texts of a list between commas, or `<none>`.
pub(super) fn joined_or_none(value: &Value, between: &str) -> String {
    let texts = texts(value);
    if texts.is_empty() { "<none>".to_owned() } else { texts.join(between) }
}

/// A map's entries in order.
pub(super) fn sorted(map: &Value) -> Vec<(&String, &Value)> {
    let mut entries: Vec<(&String, &Value)> = map.as_object().into_iter().flatten().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

/// A map on one line: `labels.FormatLabels`.
pub(super) fn on_one_line(map: &Value) -> String {
    let pairs: Vec<String> = sorted(map).iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A number or a text: `intstr.IntOrString`.
pub(super) fn int_or_text(value: &Value) -> String {
    value.as_i64().map_or_else(|| text(value).to_owned(), |number| number.to_string())
}

/// Whether something is so, in Python's words, as upstream has them: `printBoolPtr`.
pub(super) fn truth(value: &Value) -> &'static str {
    match value.as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    }
}

/// A moment as `time.RFC1123Z`; the year one when there is none.
pub(super) fn time(value: &Value) -> String {
    let time = Time::parse(text(value));
    time.map_or_else(|| "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(), Time::to_rfc1123z)
}
