//! A case and its recording: how they are read, and what an answer must be like to be the recorded one.

use std::path::{Path, PathBuf};

use kubetab::machinery::diff::unified;
use kubetab::machinery::yaml;
use serde_json::{Value, json};

use super::{normal, python};

/// What a command came to.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; 124 when it took too long.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub error: String,
}

fn directory(area: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(area)
}

/// The names of an area's cases, in order.
pub fn names(area: &str) -> Vec<String> {
    let files = std::fs::read_dir(directory(area)).expect("the area has a folder").flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| file.file_name().to_string_lossy().strip_suffix(".recorded.yaml").map(str::to_owned))
        // Of some cases another test needs the answers only.
        .filter(|name| directory(area).join(format!("{name}.yaml")).exists())
        .collect();
    names.sort();
    names
}

/// A case with its recording.
pub struct Case {
    name: String,
    /// The case as it is written.
    pub spec: Value,
    /// What was answered to each step.
    pub recorded: Vec<Value>,
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a readable case");
    // The recorder's YAML is not kubectl's: a plain `y` is a text there.
    let value: serde_yaml::Value =
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::to_value(value).expect("text keys")
}

impl Case {
    /// Reads a case of one's own, to which no answers were recorded.
    pub fn own(file: &str) -> Self {
        Self { name: "own".to_owned(), spec: read(Path::new(file)), recorded: Vec::new() }
    }

    /// Reads a case.
    pub fn read(area: &str, name: &str) -> Self {
        let read = |file: String| read(&directory(area).join(file));
        let recorded = read(format!("{name}.recorded.yaml"));
        let recorded = recorded.as_array().cloned().expect("a list of answers");
        Self { name: name.to_owned(), spec: read(format!("{name}.yaml")), recorded }
    }

    /// The namespace that it is played in.
    pub fn namespace(&self) -> String {
        let letters = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let own = format!("case-{}", self.name.to_lowercase().chars().map(letters).collect::<String>());
        let namespace = self.spec["namespace"].as_str().unwrap_or(&own);
        namespace.chars().take(60).collect()
    }
}

/// What differs between an answer and the recorded one.
pub fn difference(step: &Value, expected: &Value, answer: &Value) -> Option<String> {
    let mut expected = normal::json(expected, &KEEP_ALL.map(str::to_owned), "recorded");
    if let Some(fields) = expected.as_object_mut() {
        fields.shift_remove("watch");
    }
    let same = sorted(&expected) == sorted(answer);
    (!same).then(|| {
        let line = step["run"].as_str().or(step["until"].as_str()).unwrap_or("");
        let difference = unified(&yaml::print(&expected), &yaml::print(answer));
        format!("$ {line}\n{difference}")
    })
}

/// Recordings are normal already; this keeps what they kept.
const KEEP_ALL: [&str; 5] = ["uid", "resourceVersion", "creationTimestamp", "selfLink", "managedFields"];

fn sorted(value: &Value) -> String {
    python::dumps_sorted(value)
}

/// Seconds as a case writes them: `3s` or `3`.
pub fn seconds(value: &Value) -> f64 {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.trim_end_matches('s').parse().unwrap_or_else(|_| panic!("seconds: {text}"))
}

/// What a step's answer looks like in a recording.
pub fn answer(step: &Value, finished: &Finished) -> Value {
    let texts = |field: &str| -> Vec<String> {
        step[field].as_array().into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
    };
    let patterns: Vec<_> = texts("hide").iter().map(|pattern| normal::regex(pattern)).collect();
    let hidden =
        |text: String| patterns.iter().fold(text, |text, pattern| pattern.replace_all(&text, "<hidden>").into_owned());
    let mut answer = json!({ "exit": finished.code });
    let trimmed = finished.out.trim_start();
    let parsed: Option<Value> =
        if trimmed.starts_with(['{', '[']) { serde_json::from_str(&finished.out).ok() } else { None };
    if let Some(value) = parsed {
        let text = hidden(python::dumps(&normal::json(&value, &texts("keep"), "")));
        answer["json"] = serde_json::from_str(&text).expect("hiding leaves JSON");
    } else if !finished.out.is_empty() {
        let mut text = hidden(normal::text(&finished.out));
        if step["sort"] == true {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            text = format!("{}\n", lines.join("\n"));
        }
        answer["stdout"] = text.into();
    }
    if !finished.error.is_empty() {
        answer["stderr"] = hidden(normal::text(&finished.error)).into();
    }
    answer
}
