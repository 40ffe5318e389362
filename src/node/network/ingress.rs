//! The ingress controller: brings HTTP requests from outside to Services, by their host and path.
//!
//! Guarantees that a request is answered by a ready endpoint of the Service that the most exact rule names, as old as the
//! last event that reached the controller, and that Ingresses tell its address. Watches Ingresses, IngressClasses,
//! Services and EndpointSlices. Follows ingress-nginx as kind installs it: class `nginx`, and Ingresses without a class.
//!
//! Not simulated: the pods that it runs in, certificates, the time of a reload, most annotations. Of these there are
//! `canary` with weight, header and cookie, `rewrite-target`, `use-regex`, `app-root`, the redirects, `server-alias`,
//! `whitelist-source-range`, `upstream-vhost`, `x-forwarded-prefix` and `proxy-read-timeout`.

mod annotations;

use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::core::v1::ServicePort;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressClass};

use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::apiserver::User;
use crate::client::{Client, EventType, Identity, InformerEvent, Informers, Process, Token, WatchSpec};
use crate::etcd::Why;
use crate::machinery::random::Random;
use crate::machinery::shell::HttpRequest;
use crate::machinery::shell::regex::Regex;
use crate::machinery::time::Time;

use super::backends::ready_endpoints;
use annotations::{annotation, is_canary, is_chosen};

/// The address at which the controller is reached: that of its load balancer.
pub const INGRESS_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 255, 254);
/// The class that a new cluster has.
pub const INGRESS_CLASS: &str = "nginx";
/// The controller of that class.
pub const INGRESS_CONTROLLER: &str = "k8s.io/ingress-nginx";
/// How often the controller tells its address to Ingresses that do not have it: `--update-status` of 60 s.
const STATUS_PERIOD: Duration = Duration::from_secs(60);
/// The only timer.
const STATUS: Token = 0;
/// The annotation that named a class before there was a field for it.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// The controller.
#[derive(Clone, Debug, Default)]
pub struct IngressController {
    informers: Informers,
    started: Time,
    is_due: bool,
}

/// Where a request goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routed {
    /// To one of these endpoints, as this request, whose answer may take so long.
    Endpoints(Vec<(Ipv4Addr, u16)>, Box<HttpRequest>, Option<Duration>),
    /// Nowhere: this is the answer.
    Status(u16),
    /// To another place, with this status.
    Redirect(u16, String),
}

/// How well a rule fits.
type Fit = (u8, u8, usize);

/// A rule that a request fits.
struct Candidate<'a> {
    fit: Fit,
    ingress: &'a Ingress,
    backend: &'a IngressBackend,
    path: &'a str,
}

/// How well a host fits a rule's: exactly, by a wildcard, or since the rule names none.
fn host_fit(rule: &str, host: &str) -> Option<u8> {
    if rule.is_empty() {
        return Some(0);
    }
    if rule.eq_ignore_ascii_case(host) {
        return Some(2);
    }
    let (_, domain) = host.split_once('.')?;
    (rule.strip_prefix("*.")?.eq_ignore_ascii_case(domain)).then_some(1)
}

/// How well a path fits a rule's: an exact one before prefixes, longer ones before shorter ones.
fn path_fit(rule: &HTTPIngressPath, path: &str, is_regex: bool) -> Option<(u8, usize)> {
    let wanted = rule.path.as_deref().unwrap_or("/");
    let fits = match rule.path_type.as_str() {
        _ if is_regex => Regex::new(&format!("^{wanted}"), true, true).is_ok_and(|regex| regex.is_match(path)),
        "Exact" => return (wanted == path).then_some((2, wanted.len())),
        "Prefix" => {
            let stem = wanted.trim_end_matches('/');
            path.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        _ => path.starts_with(wanted),
    };
    fits.then_some((1, wanted.len()))
}

impl IngressController {
    /// What it knows of what it watches.
    #[must_use]
    pub const fn informers(&self) -> &Informers {
        &self.informers
    }

    /// Who the controller is to the API server.
    #[must_use]
    pub fn identity() -> Identity {
        let groups = ["system:serviceaccounts", "system:serviceaccounts:ingress-nginx", "system:authenticated"];
        Identity {
            component: Name::from("nginx-ingress-controller"),
            host: Name::from(""),
            user: User::component("system:serviceaccount:ingress-nginx:ingress-nginx", &groups),
        }
    }

    /// Whether an Ingress is this controller's.
    fn is_ours(&self, ingress: &Ingress) -> bool {
        let class = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
        let annotations = ingress.metadata.annotations.as_ref();
        match (class, annotations.and_then(|all| all.get(CLASS_ANNOTATION))) {
            (Some(class), _) => {
                let class = self.informers.get::<IngressClass>(&ObjectKey::new("", class));
                let controller = class.and_then(|class| class.spec.as_ref()?.controller.as_deref());
                controller == Some(INGRESS_CONTROLLER)
            }
            (None, Some(class)) => class == INGRESS_CLASS,
            (None, None) => true,
        }
    }

    /// Where a request goes on.
    #[must_use]
    pub fn route(&self, request: &HttpRequest, random: &mut Random) -> Routed {
        let host = request.header("host").unwrap_or(&request.host);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let path = request.path.split('?').next().unwrap_or("/");
        let best = self.best(host, path, |ingress| !is_canary(ingress));
        let canary = self.best(host, path, |ingress| is_canary(ingress) && is_chosen(ingress, request, random));
        let canary = canary.filter(|_| best.is_some());
        let Some(candidate) = best.or_else(|| self.default_backend()) else { return Routed::Status(404) };
        if let Some(answer) = annotations::answer(candidate.ingress, host, request) {
            return answer;
        }
        // Of a canary only the backend counts.
        let chosen = canary.as_ref().unwrap_or(&candidate);
        let endpoints = self.endpoints(chosen.ingress.namespace(), chosen.backend);
        if endpoints.is_empty() {
            return Routed::Status(503);
        }
        let onward = annotations::onward(candidate.ingress, candidate.path, host, request, random);
        Routed::Endpoints(endpoints, Box::new(onward), annotations::read_timeout(candidate.ingress))
    }

    /// Whether all paths of a host are regular expressions, since one of them is rewritten or says that it is one:
    /// `enforceRegexModifier`.
    fn has_regex_paths(&self, host: &str) -> bool {
        let mut ingresses = self.informers.list::<Ingress>().filter(|ingress| self.is_ours(ingress));
        ingresses.any(|ingress| {
            let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
            let of_host = rules.filter(|rule| rule.host.as_deref().unwrap_or("") == host);
            let mut paths = of_host.flat_map(|rule| rule.http.iter().flat_map(|http| &http.paths));
            !is_canary(ingress)
                && paths.any(|one| {
                    let target = annotation(ingress, "rewrite-target").unwrap_or("");
                    annotation(ingress, "use-regex") == Some("true")
                        || !(target.is_empty() || one.path.as_deref() == Some(target))
                })
        })
    }

    /// The rule that fits a request best.
    fn best(&self, host: &str, path: &str, mut wanted: impl FnMut(&Ingress) -> bool) -> Option<Candidate<'_>> {
        let mut best: Option<Candidate<'_>> = None;
        for ingress in self.informers.list::<Ingress>().filter(|ingress| self.is_ours(ingress)) {
            let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
            for rule in rules {
                let named = rule.host.as_deref().unwrap_or("");
                let alias = || annotations::is_alias(ingress, host).then_some(2);
                let Some(of_host) = host_fit(named, host).or_else(alias) else { continue };
                let is_regex = self.has_regex_paths(named);
                for one in rule.http.iter().flat_map(|http| &http.paths) {
                    let Some((of_type, length)) = path_fit(one, path, is_regex) else { continue };
                    let fit = (of_host, of_type, length);
                    if best.as_ref().is_none_or(|best| best.fit < fit) && wanted(ingress) {
                        let path = one.path.as_deref().unwrap_or("/");
                        best = Some(Candidate { fit, ingress, backend: &one.backend, path });
                    }
                }
            }
        }
        best
    }

    /// The backend for what no rule fits.
    fn default_backend(&self) -> Option<Candidate<'_>> {
        self.informers.list::<Ingress>().filter(|ingress| self.is_ours(ingress)).find_map(|ingress| {
            let backend = ingress.spec.as_ref()?.default_backend.as_ref()?;
            Some(Candidate { fit: (0, 0, 0), ingress, backend, path: "/" })
        })
    }

    /// The ready endpoints of a backend.
    fn endpoints(&self, namespace: &str, backend: &IngressBackend) -> Vec<(Ipv4Addr, u16)> {
        let Some(wanted) = &backend.service else { return Vec::new() };
        let is_meant = |found: &ServicePort| {
            wanted.port.as_ref().is_some_and(|port| match (&port.name, port.number) {
                (Some(wanted), _) => found.name.as_deref() == Some(wanted),
                (None, wanted) => wanted == Some(found.port),
            })
        };
        ready_endpoints(&self.informers, namespace, &wanted.name, is_meant).unwrap_or_default()
    }

    /// The controller's Ingresses that do not tell its address.
    fn untold(&self) -> Vec<ObjectKey> {
        let has_address = |ingress: &Ingress| {
            let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let mut points = status.into_iter().flat_map(|status| status.ingress.iter().flatten());
            points.any(|point| point.ip.as_deref() == Some(&INGRESS_ADDRESS.to_string()))
        };
        let ours = self.informers.list::<Ingress>().filter(|ingress| self.is_ours(ingress));
        ours.filter(|ingress| !has_address(ingress)).map(|ingress| ingress.key()).collect()
    }

    /// Plans to tell the address, at the next of its times, if there is somebody to be told.
    fn plan(&mut self, client: &mut Client<'_>) {
        if !self.is_due && !self.untold().is_empty() {
            self.is_due = true;
            let periods = client.now.since(self.started).as_secs() / STATUS_PERIOD.as_secs() + 1;
            let at = self.started + STATUS_PERIOD * u32::try_from(periods).unwrap_or(u32::MAX);
            client.wake_at(at, STATUS);
        }
    }
}

impl Process for IngressController {
    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::Ingress, Kind::IngressClass, Kind::Service, Kind::EndpointSlice].map(WatchSpec::all).into()
    }

    fn start(&mut self, client: &mut Client<'_>) {
        *self = Self { started: client.now, ..Self::default() };
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        self.informers.apply(event);
        match event.kind {
            Kind::Ingress => {
                // Each change of it is one, that of its status too.
                if let Some(ingress) = event.after::<Ingress>()
                    && self.is_ours(ingress)
                {
                    client.event(ingress, EventType::Normal, "Sync", "Scheduled for sync");
                }
                self.plan(client);
            }
            Kind::IngressClass => self.plan(client),
            _ => {}
        }
    }

    fn wake(&mut self, _token: Token, client: &mut Client<'_>) {
        self.is_due = false;
        for key in self.untold() {
            client.because(Why::new(
                "The ingress controller serves Ingress {} at {}.",
                [key.name.to_string(), INGRESS_ADDRESS.to_string()],
            ));
            let point = serde_json::json!({ "ip": INGRESS_ADDRESS.to_string() });
            let patch = serde_json::json!({ "status": { "loadBalancer": { "ingress": [point] } } });
            // Whoever is gone or changed meanwhile is looked at again with the next event.
            let _ = client.patch_status::<Ingress>(&key, patch);
        }
    }
}
