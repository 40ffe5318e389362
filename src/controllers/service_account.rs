//! Gives every namespace its `default` service account, and again when somebody deletes it.
//!
//! Watches Namespaces and ServiceAccounts. Follows `kubernetes/pkg/controller/serviceaccount`
//! (`serviceaccounts_controller.go`).

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, ObjectKey, Resource};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;

/// The account that pods use when they name none.
const DEFAULT_NAME: &str = "default";

/// The service account controller.
#[derive(Clone, Copy, Debug)]
pub struct ServiceAccountController;

impl Controller for ServiceAccountController {
    fn name(&self) -> &'static str {
        "service-account-controller"
    }

    /// The controller manager runs it with one.
    fn workers(&self) -> usize {
        1
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Namespace), WatchSpec::all(Kind::ServiceAccount)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Namespace if event.after.is_some() => queue.add(ObjectKey::new("", event.key.name.clone())),
            Kind::ServiceAccount if event.after.is_none() && &*event.key.name == DEFAULT_NAME => {
                queue.add(ObjectKey::new("", event.key.namespace.clone()));
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let alive = listers.get::<Namespace>(key).is_some_and(|namespace| !namespace.is_deleting());
        let account = ObjectKey::new(key.name.clone(), DEFAULT_NAME);
        if !alive || listers.get::<ServiceAccount>(&account).is_some() {
            return Ok(Requeue::Forget);
        }
        client.because(Why::new("The namespace {} has no default service account.", [key.name.to_string()]));
        let created = client.create(ServiceAccount {
            metadata: ObjectMeta {
                name: Some(DEFAULT_NAME.to_owned()),
                namespace: Some(key.name.to_string()),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        });
        match created {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
