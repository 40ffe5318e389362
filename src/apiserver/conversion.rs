//! Custom objects in another version than they are stored in, when a webhook is to convert them: it is called in vain, like
//! every webhook.
//!
//! `k8s.io/apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go`.

use serde_json::{Value, json};

use crate::api::{CustomKind, Kind, Object};
use crate::machinery::status::{Reason, Status};

use super::admission::unreachable;
use super::{ApiServer, Target, Verb};

/// How long the server waits for a conversion.
const TIMEOUT_SECONDS: u64 = 30;

/// What a webhook would be asked with, when a definition has one convert its objects.
pub(super) fn webhook(spec: &Value) -> Option<Value> {
    let conversion = &spec["conversion"];
    (conversion["strategy"] == "Webhook").then(|| conversion["webhook"]["clientConfig"].clone())
}

fn is_other(one: CustomKind, other: CustomKind) -> bool {
    one.info().version != other.info().version
}

impl ApiServer {
    /// Refuses to read what would have to be converted first.
    ///
    /// # Errors
    /// That the webhook cannot be called.
    #[inline(never)]
    pub fn check_conversion(&self, target: &Target, verb: &Verb) -> Result<(), Status> {
        let Kind::Custom(kind) = target.kind else { return Ok(()) };
        let Some(config) = self.conversion_webhook(kind) else { return Ok(()) };
        let version_of = |object: &Object| object.kind().custom().filter(|stored| is_other(*stored, kind));
        let other = match verb {
            Verb::Create { .. } if target.subresource.is_none() => None,
            Verb::List(_) | Verb::DeleteCollection(..) => {
                let namespace = Some(&*target.namespace).filter(|namespace| !namespace.is_empty());
                self.etcd().range(target.kind, namespace).find_map(|(_, object)| version_of(object))
            }
            _ => self.etcd().get(target.kind, &target.key()).and_then(version_of),
        };
        other.map_or(Ok(()), |other| Err(self.conversion_failure(other, config)))
    }

    /// Refuses to store what would have to be converted before.
    #[inline(never)]
    pub(super) fn check_storage(&self, kind: CustomKind, storage: CustomKind) -> Result<(), Status> {
        match self.conversion_webhook(kind) {
            Some(config) if is_other(kind, storage) => Err(self.conversion_failure(kind, config)),
            _ => Ok(()),
        }
    }

    fn conversion_failure(&self, from: CustomKind, config: &Value) -> Status {
        let hook = json!({ "clientConfig": config, "timeoutSeconds": TIMEOUT_SECONDS });
        let (address, why) = unreachable(self.etcd(), &hook);
        let (version, kind) = (Kind::Custom(from).api_version(), from.info().kind);
        let told = format!("conversion webhook for {version}, Kind={kind} failed: Post {address:?}: {why}");
        Status::new(Reason::Unknown, told)
    }
}
