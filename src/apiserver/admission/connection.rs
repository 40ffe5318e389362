//! Whether policies and webhooks let somebody connect to a pod: `exec`, `attach`, `portforward` and `proxy`.
//!
//! `k8s.io/apiserver/pkg/endpoints/handlers/rest.go` (`ConnectResource`): what they see as the object are the options of the
//! connection.

use serde_json::{Value, json};

use super::{Attributes, validating_policy};
use crate::api::{Kind, Subresource};
use crate::apiserver::{ApiServer, Context, Target, User};
use crate::etcd::{Cause, Why};
use crate::machinery::random::Random;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

/// The kind of a connection's options.
fn options_kind(target: &Target) -> String {
    let way = match target.subresource {
        Some(Subresource::Exec) => "Exec",
        Some(Subresource::Attach) => "Attach",
        Some(Subresource::PortForward) => "PortForward",
        _ => "Proxy",
    };
    format!("{}{way}Options", target.kind.info().kind)
}

impl ApiServer {
    /// Lets the plugins refuse a connection to an object; `options` are what the client wants of it. What they warn of is
    /// returned.
    ///
    /// # Errors
    /// The refusal.
    #[inline(never)]
    pub fn admit_connection(
        &self,
        now: Time,
        user: &User,
        target: &Target,
        mut options: Value,
    ) -> Result<Vec<String>, Status> {
        // That it is not there is told by whoever looks for its container.
        let Ok(object) = self.get(&Target { subresource: None, ..target.clone() }) else { return Ok(Vec::new()) };
        options["kind"] = options_kind(target).into();
        options["apiVersion"] = json!("v1");
        let mut context = Context {
            now,
            // Nobody who only judges takes anything from it.
            random: &mut Random::new(0),
            user: user.clone(),
            subresource: target.subresource,
            cause: Cause::new("unknown", Why::default()),
            warnings: Vec::new(),
            created: false,
            touches: false,
        };
        let attributes = Attributes {
            old: None,
            subresource: target.subresource,
            dry_run: false,
            deletes: false,
            connects: Some(&options),
        };
        let etcd = self.etcd();
        validating_policy::call_webhooks(etcd, &context, &object, attributes, Kind::MutatingWebhookConfiguration)?;
        validating_policy::validate(etcd, &mut context, &object, attributes)?;
        validating_policy::call_webhooks(etcd, &context, &object, attributes, Kind::ValidatingWebhookConfiguration)?;
        Ok(context.warnings)
    }
}
