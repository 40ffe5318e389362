//! Fills the Secrets that somebody made to hold a service account's token, and takes them away with the account.
//!
//! Watches Secrets and ServiceAccounts. Follows `kubernetes/pkg/controller/serviceaccount/tokens_controller.go`. Tokens of
//! Secrets that an account lists are not cleaned up after the Secrets.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};

use super::root_ca;
use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::{DeleteOptions, legacy_token};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;

/// `SecretTypeServiceAccountToken`.
const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
/// `ServiceAccountNameKey` and `ServiceAccountUIDKey`.
const NAME_KEY: &str = "kubernetes.io/service-account.name";
const UID_KEY: &str = "kubernetes.io/service-account.uid";

/// The controller of tokens in Secrets.
#[derive(Clone, Copy, Debug)]
pub struct TokensController;

/// The account whose token a Secret is to hold.
fn account_of(secret: &Secret) -> Option<ObjectKey> {
    let is_token = secret.type_.as_deref() == Some(TOKEN_TYPE);
    let name = secret.metadata.annotations.as_ref()?.get(NAME_KEY).filter(|_| is_token)?;
    Some(ObjectKey::new(secret.namespace(), name.as_str()))
}

/// `secretUpdateNeeded` and what is written then; nothing when all is there.
fn filled(secret: &Secret, account: &ServiceAccount) -> Option<Secret> {
    let data = secret.data.clone().unwrap_or_default();
    let has = |key: &str| data.get(key).is_some_and(|value| !value.0.is_empty());
    if has("ca.crt") && has("namespace") && has("token") {
        return None;
    }
    let token = legacy_token(account, secret.name());
    let mut filled = secret.clone();
    let wanted = filled.data.get_or_insert_default();
    for (key, value) in [("ca.crt", root_ca::CERTIFICATE), ("namespace", secret.namespace()), ("token", token.as_str())]
    {
        wanted.entry(key.to_owned()).or_insert_with(|| ByteString(value.as_bytes().to_vec()));
    }
    let annotations = filled.metadata.annotations.get_or_insert_default();
    annotations.insert(UID_KEY.to_owned(), account.uid().to_owned());
    Some(filled)
}

impl Controller for TokensController {
    fn name(&self) -> &'static str {
        "serviceaccount-token-controller"
    }

    /// The controller manager runs it with one.
    fn workers(&self) -> usize {
        1
    }

    fn account(&self) -> &'static str {
        "tokens-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Secret), WatchSpec::all(Kind::ServiceAccount)]
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        if event.kind == Kind::Secret {
            let secret = event.after.as_ref().and_then(|object| object.downcast::<Secret>());
            if secret.is_some_and(|secret| account_of(secret).is_some()) {
                queue.add(event.key.clone());
            }
            return;
        }
        for secret in listers.list_in::<Secret>(&event.key.namespace) {
            if account_of(secret).is_some_and(|account| account == event.key) {
                queue.add(ObjectKey::new(secret.namespace(), secret.name()));
            }
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(secret) = listers.get::<Secret>(key) else { return Ok(Requeue::Forget) };
        let Some(account) = account_of(secret) else { return Ok(Requeue::Forget) };
        let uid = secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(UID_KEY));
        let known = listers.get::<ServiceAccount>(&account);
        let known = known.filter(|known| uid.is_none_or(|uid| uid == known.uid()));
        let written = match known {
            None => {
                client.because(Why::new(
                    "The service account {} of {} is gone.",
                    [account.name.to_string(), key.to_string()],
                ));
                client.delete(Kind::Secret, key, DeleteOptions::default())
            }
            Some(known) => match filled(secret, known) {
                None => return Ok(Requeue::Forget),
                Some(filled) => {
                    client.because(Why::new("{} holds no token of its service account yet.", [key.to_string()]));
                    client.update(filled).map(drop)
                }
            },
        };
        match written {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_filled_once() {
        let account: ServiceAccount =
            serde_json::from_value(json!({ "metadata": { "name": "robot", "namespace": "a", "uid": "u" } }))
                .expect("an account");
        let secret: Secret = serde_json::from_value(json!({
            "metadata": { "name": "t", "namespace": "a", "annotations": { NAME_KEY: "robot" } },
            "type": TOKEN_TYPE,
        }))
        .expect("a secret");
        assert_eq!(account_of(&secret), Some(ObjectKey::new("a", "robot")));
        let filled_once = filled(&secret, &account).expect("there is no token yet");
        let keys: Vec<&String> = filled_once.data.iter().flatten().map(|(key, _)| key).collect();
        assert_eq!(keys, ["ca.crt", "namespace", "token"]);
        assert_eq!(
            filled_once.metadata.annotations.as_ref().and_then(|map| map.get(UID_KEY)).map(String::as_str),
            Some("u")
        );
        assert_eq!(filled(&filled_once, &account), None);
    }
}
