//! kube-proxy: keeps a node's rules for how to reach Services.
//!
//! Guarantees that the rules follow the Services and EndpointSlices that it knows of, a second after each other at
//! most. Watches both, and its own Node for its zone. Follows `kubernetes/pkg/proxy` in its iptables mode; the rules are data, see [`Rules`].
//!
//! Not simulated: the full sync once an hour, which would find nothing.

mod health;
mod rules;

use rules::Place;
pub use rules::{Destination, Rule, Rules, Verdict};

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::apiserver::User;
use crate::client::{Client, Identity, InformerEvent, Informers, Process, Token, WatchSelector, WatchSpec};
use crate::machinery::persistent::OrdSet;
use crate::machinery::time::Time;

/// `--iptables-min-sync-period`: changes within this time are applied together.
const MIN_SYNC_PERIOD: Duration = Duration::from_secs(1);
/// The only timer.
const SYNC: Token = 0;
/// `LabelServiceProxyName`: another proxy serves the object.
const SERVICE_PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
/// `IsHeadlessService`: the object's Service has no address of its own.
const HEADLESS: &str = "service.kubernetes.io/headless";
/// `LabelTopologyZone`.
const LABEL_ZONE: &str = "topology.kubernetes.io/zone";
/// `LabelServiceName`: the Service of an EndpointSlice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A node's kube-proxy.
#[derive(Clone, Debug)]
pub struct KubeProxy {
    node: Name,
    informers: Informers,
    rules: Rules,
    /// The Services whose rules are out of date.
    pending: OrdSet<ObjectKey>,
    synced_at: Option<Time>,
    is_due: bool,
    /// The zone of its node, once it is known.
    zone: Option<String>,
}

fn label<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(name).map(String::as_str)
}

/// Whether the object is for this proxy: the selector of its informers.
fn is_ours(metadata: &ObjectMeta) -> bool {
    label(metadata, SERVICE_PROXY_NAME).is_none() && label(metadata, HEADLESS).is_none()
}

impl KubeProxy {
    /// The proxy of a node.
    #[must_use]
    pub fn new(node: Name) -> Self {
        Self {
            node,
            informers: Informers::new(),
            rules: Rules::default(),
            pending: OrdSet::new(),
            synced_at: None,
            is_due: false,
            zone: None,
        }
    }

    /// Who this proxy is to the API server.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            component: Name::from("kube-proxy"),
            host: self.node.clone(),
            user: User::component(
                "system:serviceaccount:kube-system:kube-proxy",
                &["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            ),
        }
    }

    /// What it knows of what it watches.
    #[must_use]
    pub const fn informers(&self) -> &Informers {
        &self.informers
    }

    /// The node's rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What the API server says of the node: when its zone changed, all rules are made anew (`NodeManager`).
    fn set_node(&mut self, node: Option<&Node>, client: &mut Client<'_>) {
        let zone = node.and_then(|node| label(&node.metadata, LABEL_ZONE)).map(str::to_owned);
        if zone != self.zone {
            self.zone = zone;
            self.pending.extend(self.informers.list::<Service>().map(|service| service.key()));
            self.plan(client);
        }
    }

    /// Plans to bring the rules up to date, if they are not.
    fn plan(&mut self, client: &mut Client<'_>) {
        if !self.is_due && !self.pending.is_empty() {
            self.is_due = true;
            let at = self.synced_at.map_or(client.now, |synced| client.now.max(synced + MIN_SYNC_PERIOD));
            client.wake_at(at, SYNC);
        }
    }

    /// Brings the rules up to date: `syncProxyRules`.
    fn sync(&mut self, now: Time) {
        let place = Place { node: &self.node, zone: self.zone.as_deref() };
        for key in &std::mem::take(&mut self.pending) {
            let service = self.informers.get::<Service>(key).filter(|service| is_ours(&service.metadata));
            let is_of_service = |slice: &&EndpointSlice| {
                is_ours(&slice.metadata) && label(&slice.metadata, SERVICE_NAME) == Some(&*key.name)
            };
            let slices = self.informers.list_in::<EndpointSlice>(&key.namespace).map(|slice| &**slice);
            let slices: Vec<&EndpointSlice> = slices.filter(is_of_service).collect();
            self.rules.replace(key, service.map(|service| &**service), &slices, &place);
        }
        self.synced_at = Some(now);
    }
}

impl Process for KubeProxy {
    fn watches(&self) -> Vec<WatchSpec> {
        let own = WatchSpec { kind: Kind::Node, selector: WatchSelector::Named(self.node.clone()) };
        vec![WatchSpec::all(Kind::Service), WatchSpec::all(Kind::EndpointSlice), own]
    }

    fn start(&mut self, _client: &mut Client<'_>) {
        *self = Self::new(self.node.clone());
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        if event.kind == Kind::Node {
            return self.set_node(event.after::<Node>(), client);
        }
        self.informers.apply(event);
        let of_slice = |slice: &EndpointSlice| {
            label(&slice.metadata, SERVICE_NAME).map(|name| ObjectKey::new(slice.namespace(), name))
        };
        match event.kind {
            Kind::Service => {
                self.pending.insert(event.key.clone());
            }
            _ => self
                .pending
                .extend([event.before().and_then(of_slice), event.after().and_then(of_slice)].into_iter().flatten()),
        }
        self.plan(client);
    }

    fn wake(&mut self, _token: Token, client: &mut Client<'_>) {
        self.is_due = false;
        self.sync(client.now);
    }
}
