//! A pod of a StatefulSet has its name to itself: at no time do two pods of one name run, be it on different machines
//! of which one cannot be reached. This is counted by what machines really run.

use std::collections::BTreeMap;

use kubetab::api::{Kind, Object, ObjectKey};
use kubetab::session::Session;

use super::super::faults::machines;
use super::{Finding, look};

#[derive(Default)]
pub struct Identity {
    /// The uids of the pods of StatefulSets. Pods that users make may be forced away, and so have no such promise.
    is_of_set: BTreeMap<String, bool>,
}

impl Identity {
    pub fn check(&mut self, session: &Session, looks: &mut BTreeMap<&'static str, u64>) -> Finding {
        let etcd = session.cluster().api().etcd();
        if etcd.count(Kind::StatefulSet) == 0 && self.is_of_set.is_empty() {
            return Ok(());
        }
        for (_, object) in etcd.range(Kind::Pod, None) {
            let Object::Pod(pod) = object else { continue };
            let owners = pod.metadata.owner_references.iter().flatten();
            if owners.into_iter().any(|owner| owner.kind == "StatefulSet") {
                self.is_of_set.insert(pod.metadata.uid.clone().unwrap_or_default(), true);
            }
        }
        let mut running: BTreeMap<ObjectKey, (String, String)> = BTreeMap::new();
        for node in machines(session) {
            for (key, uid) in session.cluster().running_pods(&node) {
                if !self.is_of_set.contains_key(&*uid) {
                    continue;
                }
                look(looks, "identity");
                let here = (node.clone(), uid.to_string());
                if let Some((there, other)) = running.insert(key.clone(), here)
                    && other != *uid
                {
                    return Err(format!("{key} runs on {there} as {other} and on {node} as {uid}"));
                }
            }
        }
        Ok(())
    }
}
