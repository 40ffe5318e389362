//! What recordings of Jobs looked at with Python.

use kubetab::machinery::time::Time;
use serde_json::{Value, json};

use super::python::{dumps_sorted, printed, repr};

/// A Job's status without times, and a line for each of its conditions.
pub fn status(job: &Value) -> String {
    let mut status = job["status"].clone();
    let fields = status.as_object_mut().expect("a status");
    let conditions = fields.shift_remove("conditions").unwrap_or_default();
    fields.shift_remove("startTime");
    fields.shift_remove("completionTime");
    let mut text = format!("{}\n", dumps_sorted(&status));
    for condition in conditions.as_array().into_iter().flatten() {
        let field = |name: &str| printed(&condition[name]);
        text.push_str(&format!("{} {} {} | {}\n", field("type"), field("status"), field("reason"), field("message")));
    }
    text
}

/// What tells the pods of an indexed Job apart.
pub fn indexed_pods(pods: &Value) -> String {
    let mut pods: Vec<&Value> = pods["items"].as_array().into_iter().flatten().collect();
    pods.sort_by_key(|pod| pod["metadata"]["generateName"].as_str().unwrap_or("").to_owned());
    let line = |pod: &Value| {
        let metadata = &pod["metadata"];
        format!(
            "{} {} {} {} {}\n",
            printed(&metadata["generateName"]),
            repr(&metadata["annotations"]),
            printed(&metadata["labels"]["batch.kubernetes.io/job-completion-index"]),
            printed(&pod["spec"]["hostname"]),
            repr(&pod["spec"]["containers"][0]["env"])
        )
    };
    pods.into_iter().map(line).collect()
}

/// How far apart pods were created, as the step of the back-off that this shows.
pub fn gaps(pods: &Value) -> String {
    let created =
        |pod: &Value| Time::parse(pod["metadata"]["creationTimestamp"].as_str().unwrap_or("")).expect("a time");
    let mut times: Vec<Time> = pods["items"].as_array().into_iter().flatten().map(created).collect();
    times.sort();
    let gap = |pair: &[Time]| {
        let gap = pair[1].since(pair[0]).as_secs();
        [80, 40, 20, 10].into_iter().find(|known| *known <= gap).unwrap_or(0)
    };
    let gaps: Vec<u64> = times.windows(2).map(gap).collect();
    format!("gaps, as the back-off that they show: {}\n", repr(&json!(gaps)))
}
