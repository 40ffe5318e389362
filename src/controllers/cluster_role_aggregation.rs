//! Gives ClusterRoles that aggregate others their rules.
//!
//! Guarantees that a ClusterRole with an aggregation rule has the rules of all ClusterRoles that its selectors match.
//! Watches ClusterRoles. Follows `kubernetes/pkg/controller/clusterroleaggregation`.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use crate::api::{Kind, Resource};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::labels::Selector;

/// The ClusterRole aggregation controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterRoleAggregationController;

/// The rules that a role should have: those of the roles that it aggregates, each once, in the order of their names.
fn aggregated(role: &ClusterRole, all: &[&ClusterRole]) -> Vec<PolicyRule> {
    let selectors = role.aggregation_rule.iter().flat_map(|rule| rule.cluster_role_selectors.iter().flatten());
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in selectors.filter_map(|selector| Selector::from_label_selector(Some(selector)).ok()) {
        let others = all.iter().filter(|other| other.name() != role.name());
        for other in others.filter(|other| selector.matches(&other.metadata.labels)) {
            for rule in other.rules.iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    rules
}

impl Controller for ClusterRoleAggregationController {
    fn name(&self) -> &'static str {
        "clusterrole-aggregation-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::ClusterRole)]
    }

    fn on_event(&mut self, _event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        for role in listers.list::<ClusterRole>().filter(|role| role.aggregation_rule.is_some()) {
            queue.add(role.key());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(role) = listers.get::<ClusterRole>(key).filter(|role| role.aggregation_rule.is_some()) else {
            return Ok(Requeue::Forget);
        };
        let all: Vec<&ClusterRole> = listers.list::<ClusterRole>().map(|role| &**role).collect();
        let rules = aggregated(role, &all);
        if role.rules.iter().flatten().eq(&rules) {
            return Ok(Requeue::Forget);
        }
        client.because(Why::new("ClusterRole {} takes over the rules of others.", [role.name().to_owned()]));
        let updated = ClusterRole { rules: Some(rules), ..(**role).clone() };
        client.update(updated)?;
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn role(value: serde_json::Value) -> ClusterRole {
        crate::machinery::json::from_value(&value).expect("a role")
    }

    #[test]
    fn rules_are_taken_over_once() {
        let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
        let part = |name: &str| role(json!({"metadata": {"name": name, "labels": {"to": "view"}}, "rules": rules}));
        let whole = role(json!({
            "metadata": {"name": "view", "labels": {"to": "view"}},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]},
        }));
        let (first, second) = (part("a"), part("b"));
        let all = [&first, &second, &whole];
        assert_eq!(aggregated(&whole, &all).len(), 1);
        assert!(aggregated(&role(json!({"metadata": {"name": "plain"}})), &all).is_empty());
    }
}
