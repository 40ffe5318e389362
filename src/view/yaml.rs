//! Objects as a person reads and edits them.

use serde_json::Value;

pub use crate::machinery::yaml::print;

/// The object as a person edits it: without what only the cluster writes.
#[must_use]
pub fn for_editing(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "selfLink"] {
                metadata.shift_remove(field);
            }
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
                annotations.shift_remove("deployment.kubernetes.io/revision");
                if annotations.is_empty() {
                    metadata.shift_remove("annotations");
                }
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_edited_is_what_a_person_would_write() {
        let value = json!({"kind": "Pod", "status": {"phase": "Running"}, "metadata": {
            "name": "web", "uid": "u", "resourceVersion": "7", "generation": 1, "creationTimestamp": "x",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        }});
        assert_eq!(print(&for_editing(&value)), "kind: Pod\nmetadata:\n  name: web\n");
    }
}
