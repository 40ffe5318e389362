//! What a new cluster has before its user comes: namespaces, and the processes.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{self as core, EndpointAddress, EndpointSubset, Endpoints, Namespace};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassSpec};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::scheduling::SYSTEM_CLASSES;
use crate::api::{Kind, Name, Object};
use crate::apiserver::{Body, Request, Target, User, Verb, WriteOptions};
use crate::client::Identity;
use crate::cloud::CloudControllerManager;
use crate::controllers::{ControllerManager, NodeIpamController};
use crate::etcd::{Cause, Why};
use crate::machinery::manifest;
use crate::node::network::{
    ClusterDns, GATEWAY_API, GatewayController, INGRESS_CLASS, INGRESS_CONTROLLER, IngressController, PolicyAgent,
};
use crate::scheduler::DEFAULT_SCHEDULER_NAME;

use super::cluster::Cluster;
use super::processes::{ProcessId, Program};

/// The namespaces that the API server makes by itself.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The address of the machine that the control plane runs on.
pub const API_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
/// The port of the API server there.
pub const API_SERVER_PORT: u16 = 6443;

impl Cluster {
    pub(super) fn bootstrap(&mut self) {
        for name in NAMESPACES {
            self.create_namespace(name);
        }
        self.create_kubernetes_service();
        self.create_priority_classes();
        if self.profile.default_storage_class {
            self.create_storage_class();
        }
        if self.profile.metrics {
            self.start_metrics_server();
        }
        self.api.start(self.now);
        let identity = control_plane("kube-controller-manager");
        let mut controllers = crate::controllers::all();
        if self.profile.node_cidrs {
            let (base, mask) = cluster_cidr(self.profile.nodes);
            controllers.push(Box::new(NodeIpamController::new(base, mask, CONTROL_PLANE_CIDR)));
        }
        if self.profile.cloud.is_some() {
            controllers.extend(crate::controllers::storage_sidecars());
        }
        let manager = ControllerManager::new(controllers);
        self.add_process(ProcessId::ControllerManager, Program::ControllerManager(Arc::new(manager)), identity);
        let mut identity = control_plane("kube-scheduler");
        identity.component = Name::from(DEFAULT_SCHEDULER_NAME);
        self.add_process(ProcessId::Scheduler, Program::Scheduler(Arc::default()), identity);
        let profile = self.profile.clone();
        if let Some(cloud) = &profile.cloud {
            self.api.take_lease(self.now, "cloud-controller-manager");
            let identity = control_plane("cloud-controller-manager");
            let program = Program::CloudControllerManager(Arc::new(CloudControllerManager::new(cloud.clone())));
            self.add_process(ProcessId::CloudControllerManager, program, identity);
        }
        if profile.cluster_dns {
            let program = Program::ClusterDns(Arc::default());
            self.add_process(ProcessId::ClusterDns, program, ClusterDns::identity());
        }
        if profile.network_policies {
            let program = Program::PolicyAgent(Arc::default());
            self.add_process(ProcessId::PolicyAgent, program, PolicyAgent::identity());
        }
        if profile.ingress_controller {
            self.create_ingress_class();
            let program = Program::IngressController(Arc::default());
            self.add_process(ProcessId::IngressController, program, IngressController::identity());
        }
        if profile.gateway_controller {
            let program = Program::GatewayController(Arc::default());
            self.add_process(ProcessId::GatewayController, program, GatewayController::identity());
        }
        if profile.gateway_api {
            self.install_gateway_api();
        }
        for number in 1..=profile.nodes {
            let added = self.add_node(&profile.node(number));
            assert!(added.is_ok(), "a profile that was checked has nodes that can join: {added:?}");
        }
    }

    fn create_namespace(&mut self, name: &str) {
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        self.create_own(Kind::Namespace, "", Body::Object(Object::from(namespace)));
    }

    /// What whoever set the cluster up has put there: `kind` does the same.
    fn create_storage_class(&mut self) {
        let class = serde_json::json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
            },
            "provisioner": "rancher.io/local-path",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        });
        self.create_own(Kind::StorageClass, "", Body::Json(class));
    }

    #[inline(never)]
    fn install_gateway_api(&mut self) {
        for definition in manifest::read(GATEWAY_API).entries.into_iter().flatten() {
            self.create_own(Kind::CustomResourceDefinition, "", Body::Json(definition.value));
        }
    }

    /// The class whose Ingresses the controller serves.
    fn create_ingress_class(&mut self) {
        let class = IngressClass {
            metadata: named(INGRESS_CLASS, ""),
            spec: Some(IngressClassSpec {
                controller: Some(INGRESS_CONTROLLER.to_owned()),
                ..IngressClassSpec::default()
            }),
        };
        self.create_own(Kind::IngressClass, "", Body::Object(Object::from(class)));
    }

    fn create_kubernetes_service(&mut self) {
        let service = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": { "component": "apiserver", "provider": "kubernetes" },
            },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": "10.96.0.1",
                "ports": [{ "name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443 }],
            },
        });
        self.create_own(Kind::Service, "default", Body::Json(service));
        self.create_kubernetes_endpoints();
    }

    /// Where the API server is: it keeps these by itself (`reconcilers.NewLeaseEndpointReconciler`).
    fn create_kubernetes_endpoints(&mut self) {
        let label = |name: &str, value: &str| Some([(name.to_owned(), value.to_owned())].into());
        let (address, port) = (API_SERVER.to_string(), i32::from(API_SERVER_PORT));
        let (name, protocol) = (Some("https".to_owned()), Some("TCP".to_owned()));
        let mut endpoints = Endpoints { metadata: named("kubernetes", "default"), ..Endpoints::default() };
        endpoints.metadata.labels = label("endpointslice.kubernetes.io/skip-mirror", "true");
        endpoints.subsets = Some(vec![EndpointSubset {
            addresses: Some(vec![EndpointAddress { ip: address.clone(), ..EndpointAddress::default() }]),
            ports: Some(vec![core::EndpointPort {
                name: name.clone(),
                port,
                protocol: protocol.clone(),
                app_protocol: None,
            }]),
            not_ready_addresses: None,
        }]);
        let mut slice = EndpointSlice {
            metadata: named("kubernetes", "default"),
            address_type: "IPv4".to_owned(),
            endpoints: Some(vec![Endpoint {
                addresses: vec![address],
                conditions: Some(EndpointConditions { ready: Some(true), ..EndpointConditions::default() }),
                ..Endpoint::default()
            }]),
            ports: Some(vec![EndpointPort { name, port: Some(port), protocol, app_protocol: None }]),
        };
        slice.metadata.labels = label("kubernetes.io/service-name", "kubernetes");
        self.create_own(Kind::Endpoints, "default", Body::Object(Object::from(endpoints)));
        self.create_own(Kind::EndpointSlice, "default", Body::Object(Object::from(slice)));
    }

    /// `storage_scheduling.go`: the classes of what the cluster itself needs.
    fn create_priority_classes(&mut self) {
        for (name, value, description) in SYSTEM_CLASSES {
            let class = PriorityClass {
                metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
                value: Some(value),
                description: Some(description.to_owned()),
                ..PriorityClass::default()
            };
            self.create_own(Kind::PriorityClass, "", Body::Object(Object::from(class)));
        }
    }

    fn create_own(&mut self, kind: Kind, namespace: &str, body: Body) {
        let request = Request {
            user: User::new("system:apiserver", &["system:masters"]),
            cause: Cause::new("kube-apiserver", Why::plain("The API server makes what every cluster has.")),
            target: Target::collection(kind, namespace),
            verb: Verb::Create { body, options: WriteOptions::default() },
        };
        // Only the refusal is printed: printing any answer would take the code that prints every kind.
        let refusal = self.request(request).err();
        assert!(refusal.is_none(), "a new cluster takes what every cluster has: {refusal:?}");
    }
}

/// The addresses of the add-ons' pods, which are on the control plane's machine.
const CONTROL_PLANE_CIDR: &str = "10.244.0.0/24";

/// The block that pods have their addresses from: a larger one for whoever sets up a larger cluster.
const fn cluster_cidr(nodes: u32) -> (Ipv4Addr, u32) {
    if nodes <= 200 { (Ipv4Addr::new(10, 244, 0, 0), 16) } else { (Ipv4Addr::new(10, 128, 0, 0), 9) }
}

fn named(name: &str, namespace: &str) -> ObjectMeta {
    let namespace = Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty());
    ObjectMeta { name: Some(name.to_owned()), namespace, ..ObjectMeta::default() }
}

/// The identity of a part of the control plane.
pub(super) fn control_plane(name: &str) -> Identity {
    Identity {
        component: Name::from(name),
        host: Name::from(""),
        user: User::component(format!("system:{name}"), &["system:authenticated"]),
    }
}
