//! What a step of a lesson leads to, told by the objects that are in the cluster then.

use serde::{Deserialize, Serialize};

use crate::api::{Kind, Object};
use crate::etcd::Etcd;
use crate::machinery::jsonpath::JsonPath;

/// Objects that are to be found: of a kind, under a name, and with something written in them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// Their kind.
    pub kind: String,
    /// Their namespace, when the kind has namespaces.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Their name, or what it begins with.
    #[serde(default)]
    pub name: String,
    /// Where to look in them, as `kubectl get -o jsonpath` takes it; without one it is enough that they are there.
    #[serde(default)]
    pub path: String,
    /// What is written there.
    #[serde(default)]
    pub is: Option<String>,
    /// What is written there among other things.
    #[serde(default)]
    pub contains: Option<String>,
    /// The least number that is written there.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// How many of them there are, neither more nor less; without it one is enough.
    #[serde(default)]
    pub count: Option<usize>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

impl Expectation {
    /// The kind of the objects, if there is such a kind.
    #[must_use]
    pub fn known_kind(&self) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.info().kind == self.kind)
    }

    /// Whether the cluster's objects are as expected.
    #[must_use]
    pub fn is_met(&self, etcd: &Etcd) -> bool {
        let Some(kind) = self.known_kind() else { return false };
        let namespace = kind.info().namespaced.then_some(self.namespace.as_str());
        let path = JsonPath::parse(&self.path).map(|path| path.allow_missing_keys(true));
        let Ok(path) = path else { return false };
        let named = etcd.range(kind, namespace).filter(|(key, _)| key.name.starts_with(&self.name));
        let found = named.filter(|(_, object)| self.fits(object, &path)).count();
        self.count.map_or(found > 0, |count| found == count)
    }

    fn fits(&self, object: &Object, path: &JsonPath) -> bool {
        if self.path.is_empty() {
            return true;
        }
        let Ok(text) = path.execute(&object.to_value()) else { return false };
        let number = || text.parse::<f64>().unwrap_or(f64::NEG_INFINITY);
        self.is.as_ref().is_none_or(|expected| text == *expected)
            && self.contains.as_ref().is_none_or(|part| text.contains(part))
            && self.at_least.is_none_or(|least| number() >= least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Action, File, Session, SessionConfig};

    #[test]
    fn objects_are_found_by_name_and_by_what_is_written_in_them() {
        let mut session = Session::new(SessionConfig::default());
        let map = |name: &str, cups: &str| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  cups: \"{cups}\"\n---\n")
        };
        let text = map("tea-1", "2") + &map("tea-2", "12");
        let files = vec![File { name: "a.yaml".to_owned(), text }];
        session.act(Action::Apply { files, namespace: "default".to_owned(), dry_run: false }).expect("it is taken");
        let cups = r"kind: ConfigMap, name: tea-, path: '{.data.cups}'";
        let cases = [
            ("kind: ConfigMap, name: tea-1".to_owned(), true),
            ("kind: ConfigMap, name: tea-, count: 2".to_owned(), true),
            ("kind: ConfigMap, name: tea-, count: 1".to_owned(), false),
            ("kind: ConfigMap, name: coffee".to_owned(), false),
            ("kind: ConfigMap, name: coffee, count: 0".to_owned(), true),
            ("kind: ConfigMap, namespace: kube-system, name: tea-1".to_owned(), false),
            ("kind: Namespace, name: default".to_owned(), true),
            ("kind: Teapot, count: 0".to_owned(), false),
            (format!("{cups}, is: '2', count: 1"), true),
            (format!("{cups}, contains: '2', count: 2"), true),
            (format!("{cups}, atLeast: 12, count: 1"), true),
            (format!("{cups}, atLeast: 13"), false),
            ("kind: ConfigMap, name: tea-, path: '{.data.milk}', is: '2'".to_owned(), false),
            ("kind: ConfigMap, name: tea-, path: '{.data'".to_owned(), false),
        ];
        for (text, expected) in cases {
            let expectation: Expectation = serde_yaml::from_str(&format!("{{{text}}}")).expect("an expectation");
            assert_eq!(expectation.is_met(session.cluster().api().etcd()), expected, "{text}");
        }
    }
}
