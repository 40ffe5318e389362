//! Gives every namespace the certificate by which pods know the API server.
//!
//! Guarantees a ConfigMap `kube-root-ca.crt` in every namespace that is not going away, and mends it when somebody
//! changes it. Watches Namespaces and ConfigMaps. Follows `kubernetes/pkg/controller/certificates/rootcacertpublisher`.
//! The certificate is a mere text, since nothing here is encrypted.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, ObjectKey, Resource};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::order::map_of;

/// `RootCACertConfigMapName`.
const CONFIG_MAP: &str = "kube-root-ca.crt";
/// `DescriptionAnnotation`.
const DESCRIPTION_KEY: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
    endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
    distributions of Kubernetes clusters.";
/// Looks like a certificate and is none.
pub(super) const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
    S3ViZXRhYiBzaW11bGF0ZXMgYSBjbHVzdGVyIGFuZCBlbmNyeXB0cyBub3RoaW5n\n\
    -----END CERTIFICATE-----\n";

/// The root CA certificate publisher.
#[derive(Clone, Copy, Debug)]
pub struct RootCaController;

fn wanted() -> BTreeMap<String, String> {
    map_of([("ca.crt".to_owned(), CERTIFICATE.to_owned())])
}

/// Whether a ConfigMap says what it should.
fn is_right(config_map: &ConfigMap) -> bool {
    let described = config_map.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DESCRIPTION_KEY));
    config_map.data.as_ref() == Some(&wanted()) && described.is_some_and(|text| !text.is_empty())
}

impl Controller for RootCaController {
    fn name(&self) -> &'static str {
        "root-ca-certificate-publisher-controller"
    }

    /// The controller manager runs it with one.
    fn workers(&self) -> usize {
        1
    }

    fn account(&self) -> &'static str {
        "root-ca-cert-publisher"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Namespace), WatchSpec::all(Kind::ConfigMap)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Namespace if event.after.is_some() => queue.add(ObjectKey::new("", event.key.name.clone())),
            // What is added is as it should be, unless the namespace's own event says otherwise.
            Kind::ConfigMap if event.before.is_some() && &*event.key.name == CONFIG_MAP => {
                queue.add(ObjectKey::new("", event.key.namespace.clone()));
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        if listers.get::<Namespace>(key).is_none_or(|namespace| namespace.is_deleting()) {
            return Ok(Requeue::Forget);
        }
        let known = listers.get::<ConfigMap>(&ObjectKey::new(key.name.clone(), CONFIG_MAP));
        if known.is_some_and(|known| is_right(known)) {
            return Ok(Requeue::Forget);
        }
        let annotations = map_of([(DESCRIPTION_KEY.to_owned(), DESCRIPTION.to_owned())]);
        let written = if let Some(known) = known {
            client.because(Why::new("Somebody changed {} in namespace {}.", [CONFIG_MAP.into(), key.name.to_string()]));
            let mut mended = (**known).clone();
            mended.data = Some(wanted());
            mended.metadata.annotations.get_or_insert_default().extend(annotations);
            client.update(mended)
        } else {
            client.because(Why::new(
                "The namespace {} has no {}, by which its pods know the API server.",
                [key.name.to_string(), CONFIG_MAP.into()],
            ));
            client.create(ConfigMap {
                metadata: ObjectMeta {
                    name: Some(CONFIG_MAP.to_owned()),
                    namespace: Some(key.name.to_string()),
                    annotations: Some(annotations),
                    ..ObjectMeta::default()
                },
                data: Some(wanted()),
                ..ConfigMap::default()
            })
        };
        match written {
            Err(error) if !error.is_already_exists() && !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
