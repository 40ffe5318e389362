//! What the API server does by itself after a write: the controllers that run inside of it.
//!
//! `k8s.io/apiserver/pkg/util/flowcontrol/apf_controller.go` (whether a schema's level is there),
//! `k8s.io/kube-aggregator/pkg/controllers/status` (whether an APIService can be reached) and
//! `pkg/registry/core/service/ipallocator` (an IPAddress for each address of a Service).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use serde_json::Value;

use crate::api::networking::addresses;
use crate::api::{Kind, Object, ObjectKey, Unstructured, api_registration, flow_control};
use crate::etcd::{Cause, Why};
use crate::machinery::names;
use crate::machinery::random::Random;
use crate::machinery::time::Time;

use super::ApiServer;

const WHO: &str = "kube-apiserver";

impl ApiServer {
    /// Looks after what a write to this kind concerns.
    pub(super) fn look_after(&mut self, kind: Kind, now: Time) {
        match kind {
            Kind::FlowSchema | Kind::PriorityLevelConfiguration => self.judge(Kind::FlowSchema, now),
            Kind::APIService | Kind::Service => self.judge(Kind::APIService, now),
            _ => {}
        }
    }

    /// Brings the status of all objects of a kind up to date.
    #[inline(never)]
    fn judge(&mut self, kind: Kind, now: Time) {
        let stale: Vec<(Object, Value)> = self
            .etcd
            .range(kind, None)
            .filter_map(|(_, object)| {
                let Object::Unstructured(unstructured) = object else { return None };
                let status = self.status_of(unstructured, now);
                (!says_the_same(unstructured, &status)).then(|| (object.clone(), status))
            })
            .collect();
        for (old, status) in stale {
            let mut new = old.clone();
            if let Object::Unstructured(object) = &mut new {
                Arc::make_mut(object).fields.insert("status".to_owned(), status);
            }
            let why = "What {} depends on came or went.";
            let cause = Cause::new(WHO, Why::new(why, [old.metadata().name.clone().unwrap_or_default()]));
            let updated = self.etcd.update(now, &old, new, cause);
            debug_assert!(updated.is_ok(), "nobody wrote in between");
        }
    }

    fn status_of(&self, object: &Unstructured, now: Time) -> Value {
        if object.kind == Kind::APIService {
            let has_service =
                |namespace: &str, name: &str| self.etcd.get(Kind::Service, &ObjectKey::new(namespace, name)).is_some();
            let is_metrics = object.metadata.name.as_deref() == Some(api_registration::METRICS);
            if is_metrics && self.has_metrics() {
                return api_registration::passed(now);
            }
            return api_registration::status(object, &has_service, now);
        }
        let level = object.fields.get("spec").and_then(|spec| spec["priorityLevelConfiguration"]["name"].as_str());
        let key = ObjectKey::new("", level.unwrap_or(""));
        let found = self.etcd.get(Kind::PriorityLevelConfiguration, &key).is_some();
        flow_control::status_of_schema(object, found, now)
    }

    /// Writes an IPAddress for the address that a Service now has, and removes that of the one it had.
    pub(super) fn note_address(&mut self, now: Time, before: Option<&Object>, after: Option<&Object>) {
        let of =
            |object: Option<&Object>| object.and_then(Object::downcast::<Service>).and_then(|service| address(service));
        let (old, new) = (of(before), of(after));
        if old != new {
            self.move_address(now, old.as_deref(), new.as_deref(), after);
        }
    }

    #[inline(never)]
    fn move_address(&mut self, now: Time, old: Option<&str>, new: Option<&str>, service: Option<&Object>) {
        if let Some(held) = old.and_then(|old| self.etcd.get(Kind::IPAddress, &ObjectKey::new("", old))).cloned() {
            let cause = Cause::new(WHO, Why::plain("A Service gave its address back."));
            let deleted = self.etcd.delete(now, &held, cause);
            debug_assert!(deleted.is_ok(), "nobody wrote in between");
        }
        let (Some(new), Some(service)) = (new, service) else { return };
        if self.etcd.get(Kind::IPAddress, &ObjectKey::new("", new)).is_some() {
            return;
        }
        let metadata = service.metadata();
        let (namespace, name) = (metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or(""));
        // What it is called follows from the Service, so that it takes nothing from the cluster's chance.
        let seed = names::fnv32a(service.uid().as_bytes());
        let object = Object::Unstructured(Arc::new(addresses::ip_address(new, namespace, name)));
        self.write_own(now, &mut Random::new(u64::from(seed)), object, "A Service got an address.");
    }
}

/// The address of a Service that has one.
fn address(service: &Service) -> Option<String> {
    let address = service.spec.as_ref()?.cluster_ip.as_deref()?;
    (!matches!(address, "" | "None")).then(|| address.to_owned())
}

/// Whether the conditions that an object has are those of a status, whenever they came to be.
fn says_the_same(object: &Unstructured, status: &Value) -> bool {
    let Some(held) = object.fields.get("status").and_then(|held| held["conditions"].as_array()) else { return false };
    let parts = |condition: &Value| ["type", "status", "reason", "message"].map(|part| condition[part].clone());
    let wanted = status["conditions"].as_array().into_iter().flatten();
    held.len() == 1 && wanted.map(parts).eq(held.iter().map(parts))
}
