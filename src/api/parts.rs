//! Objects without the parts that nobody looks at.
//!
//! A patch names what it changes, and most change one part of an object that has two large ones: a status, or the
//! spec, or neither. The part that a patch does not name needs no way through JSON and back: it stays what it is.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::object::Object;
use crate::machinery::json::to_value;

/// Some of the two large parts of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The `spec`.
    pub spec: bool,
    /// The `status`.
    pub status: bool,
}

impl Parts {
    /// The parts that a patch leaves alone, which merges objects by their keys. None where it may mean more than what
    /// it names: it is no object, or has a directive.
    #[must_use]
    pub fn left_by(patch: &Value) -> Self {
        match patch {
            Value::Object(fields) if !fields.keys().any(|key| key.starts_with('$')) => {
                Self { spec: !fields.contains_key("spec"), status: !fields.contains_key("status") }
            }
            _ => Self::default(),
        }
    }

    /// Copies the parts from the JSON of one object to that of another.
    pub fn copy(self, from: &Value, to: &mut Value) {
        for (name, wanted) in [("spec", self.spec), ("status", self.status)] {
            if let Some(part) = from.get(name).filter(|_| wanted) {
                to[name] = part.clone();
            }
        }
    }
}

/// Kinds that are metadata, a spec and a status, and are patched often.
macro_rules! parted {
    ($($kind:ident),*) => {
        impl Object {
            /// The object as JSON without some of its parts. What could not be left out is told by the second value.
            #[must_use]
            pub fn to_value_without(&self, parts: Parts) -> (Value, Parts) {
                let (metadata, spec, status) = match self {
                    $(Self::$kind(object) => (
                        &object.metadata,
                        object.spec.as_ref().filter(|_| !parts.spec).map(to_value),
                        object.status.as_ref().filter(|_| !parts.status).map(to_value),
                    ),)*
                    _ => return (self.to_value(), Parts::default()),
                };
                let mut fields = Map::new();
                fields.insert("apiVersion".to_owned(), self.kind().api_version().into());
                fields.insert("kind".to_owned(), self.kind().info().kind.into());
                fields.insert("metadata".to_owned(), to_value(metadata));
                fields.extend(spec.map(|spec| ("spec".to_owned(), spec)));
                fields.extend(status.map(|status| ("status".to_owned(), status)));
                (Value::Object(fields), parts)
            }

            /// Takes over parts of another object of the same kind.
            pub fn take_over(&mut self, parts: Parts, other: &Self) {
                match (self, other) {
                    $((Self::$kind(object), Self::$kind(other)) => {
                        let object = Arc::make_mut(object);
                        if parts.spec {
                            object.spec.clone_from(&other.spec);
                        }
                        if parts.status {
                            object.status.clone_from(&other.status);
                        }
                    })*
                    _ => assert_eq!(parts, Parts::default(), "only objects of these kinds have parts"),
                }
            }
        }
    };
}

parted! { DaemonSet, Deployment, Job, Namespace, Node, Pod, ReplicaSet, Service, StatefulSet }

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Kind;

    #[test]
    fn a_patch_leaves_what_it_does_not_name() {
        let left = |patch: Value| {
            let Parts { spec, status } = Parts::left_by(&patch);
            (spec, status)
        };
        assert_eq!(left(json!({ "status": {} })), (true, false));
        assert_eq!(left(json!({ "metadata": {} })), (true, true));
        assert_eq!(left(json!({ "spec": null })), (false, true));
        assert_eq!(left(json!({ "$patch": "replace" })), (false, false), "that leaves nothing");
        assert_eq!(left(json!({ "$retainKeys": ["metadata"] })), (false, false));
        assert_eq!(left(json!([])), (false, false));
    }

    #[test]
    fn both_halves_make_the_whole() {
        for kind in [Kind::Pod, Kind::Node, Kind::Namespace, Kind::Service, Kind::Deployment, Kind::Job] {
            let spec = if kind == Kind::Node { json!({ "podCIDR": "10.0.0.0/24" }) } else { json!({}) };
            let manifest = json!({ "metadata": { "name": "a" }, "spec": spec, "status": {} });
            let whole = Object::from_value(kind, &manifest).expect("it has the shape of its kind");
            for (spec, status) in [(false, false), (false, true), (true, false), (true, true)] {
                let (value, left) = whole.to_value_without(Parts { spec, status });
                assert_eq!(left, Parts { spec, status });
                assert_eq!((value.get("spec").is_none(), value.get("status").is_none()), (spec, status));
                let mut object = Object::from_value(kind, &value).expect("it has the shape of its kind");
                object.take_over(left, &whole);
                assert_eq!(object, whole);
                assert_eq!(object.to_value(), whole.to_value());
            }
        }
        let config = Object::from_value(Kind::ConfigMap, &json!({ "data": { "a": "b" } })).expect("it has its shape");
        let (value, left) = config.to_value_without(Parts { spec: true, status: true });
        assert_eq!((value, left), (config.to_value(), Parts::default()));
    }
}
