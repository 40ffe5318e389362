//! Workloads as chance makes them: each kind with the settings that its controller tells apart.

use kubetab::machinery::random::Random;
use serde_json::{Value, json};

/// What a seed may make: a few kinds only, so that their seeds differ, and so that each is looked at closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    ReplicaSet,
    Pod,
}

impl Workload {
    pub const ALL: [Self; 7] =
        [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::Job, Self::CronJob, Self::ReplicaSet, Self::Pod];

    pub const fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::ReplicaSet => "ReplicaSet",
            Self::Pod => "Pod",
        }
    }

    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Job | Self::CronJob => "batch/v1",
            Self::Pod => "v1",
            _ => "apps/v1",
        }
    }
}

/// One of several, by chance.
pub fn one_of<T: Clone>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len() as u64) as usize].clone()
}

/// Whether something with so many chances in a hundred happens.
pub fn percent(random: &mut Random, chances: u64) -> bool {
    random.below(100) < chances
}

/// The images that servers run; each is pulled once a node.
pub const IMAGES: [&str; 3] = ["nginx:1.27", "nginx:1.28", "httpd:2.4"];

/// A Deployment, a StatefulSet and so on, of this name, together with what belongs to it.
pub fn manifest(random: &mut Random, workload: Workload, namespace: &str, name: &str) -> Vec<Value> {
    let spec = match workload {
        Workload::Deployment => deployment(random, name),
        Workload::StatefulSet => stateful_set(random, name),
        Workload::DaemonSet => daemon_set(random, name),
        Workload::Job => job(random, true),
        Workload::CronJob => cron_job(random),
        Workload::ReplicaSet => json!({
            "replicas": random.below(4),
            "minReadySeconds": one_of(random, &[0, 0, 5]),
            "selector": { "matchLabels": { "app": name } },
            "template": server_template(random, name),
        }),
        Workload::Pod => server_template(random, name)["spec"].take(),
    };
    let mut manifests = vec![json!({
        "apiVersion": workload.api_version(),
        "kind": workload.kind(),
        "metadata": { "name": name, "namespace": namespace, "labels": { "app": name } },
        "spec": spec,
    })];
    let takes_requests = matches!(workload, Workload::Deployment | Workload::StatefulSet | Workload::ReplicaSet);
    if workload == Workload::StatefulSet || takes_requests && percent(random, 40) {
        manifests.push(service(random, workload, namespace, name));
    }
    if takes_requests && percent(random, 50) {
        manifests.push(budget(random, namespace, name));
    }
    if workload == Workload::Deployment && percent(random, 15) {
        manifests.push(autoscaler(random, namespace, name));
    }
    manifests
}

/// Classes of priority, so that some pods may take the room of others.
pub fn priorities() -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": { "name": "urgent" }, "value": 1000,
    })
}

/// The class whose volumes a driver of the cloud makes.
pub const DISKS: &str = "disks";

/// A storage driver of the cloud, and the class of its volumes.
pub fn disks(random: &mut Random) -> Vec<Value> {
    let driver = one_of(random, &["ebs.csi.aws.com", "ebs.csi.aws.com", "hostpath.csi.k8s.io", "nfs.csi.k8s.io"]);
    vec![
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": { "name": driver },
            "spec": { "attachRequired": driver != "nfs.csi.k8s.io" },
        }),
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": DISKS },
            "provisioner": driver, "reclaimPolicy": one_of(random, &["Delete", "Delete", "Retain"]),
            "volumeBindingMode": one_of(random, &["WaitForFirstConsumer", "Immediate"]),
        }),
    ]
}

/// Lets claims of StatefulSets be for volumes of the driver.
pub fn use_disks(manifests: &mut [Value]) {
    for manifest in manifests {
        if let Some(claim) = manifest.pointer_mut("/spec/volumeClaimTemplates/0/spec") {
            claim["storageClassName"] = json!(DISKS);
        }
    }
}

/// A pod that a machine runs by itself.
pub fn static_pod(random: &mut Random) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "static", "labels": { "tier": "node" } },
        "spec": { "terminationGracePeriodSeconds": 1, "containers": [{ "name": "web", "image": one_of(random, &IMAGES) }] },
    })
    .to_string()
}

/// A limit to how many pods a namespace may have.
pub fn quota(random: &mut Random, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "pods", "namespace": namespace },
        "spec": { "hard": { "pods": (1 + random.below(6)).to_string() } },
    })
}

/// Makes pods so large that few fit on a node, some of them more urgent than others.
pub fn crowd(random: &mut Random, manifests: &mut [Value]) {
    for manifest in manifests.iter_mut().filter(|manifest| !manifest["spec"]["template"].is_null()) {
        let spec = &mut manifest["spec"]["template"]["spec"];
        if percent(random, 60) {
            let cpu = one_of(random, &["300m", "700m", "1100m"]);
            spec["containers"][0]["resources"] = json!({ "requests": { "cpu": cpu } });
        }
        if percent(random, 30) {
            spec["priorityClassName"] = json!("urgent");
        }
    }
}

fn autoscaler(random: &mut Random, namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "minReplicas": 1 + random.below(2), "maxReplicas": 3,
            "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } }],
        },
    })
}

fn deployment(random: &mut Random, name: &str) -> Value {
    let strategy = if percent(random, 20) {
        json!({ "type": "Recreate" })
    } else {
        let amounts = [json!(0), json!(1), json!(2), json!("25%"), json!("50%"), json!("100%")];
        let (mut surge, unavailable) = (one_of(random, &amounts), one_of(random, &amounts));
        if surge == 0 && unavailable == 0 {
            surge = json!(1);
        }
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } })
    };
    json!({
        "replicas": random.below(6),
        "strategy": strategy,
        "minReadySeconds": one_of(random, &[0, 0, 5]),
        "revisionHistoryLimit": one_of(random, &[0, 1, 10]),
        "progressDeadlineSeconds": one_of(random, &[20, 600]),
        "selector": { "matchLabels": { "app": name } },
        "template": server_template(random, name),
    })
}

fn stateful_set(random: &mut Random, name: &str) -> Value {
    let update = match random.below(5) {
        0 => json!({ "type": "OnDelete" }),
        1 => json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": random.below(3) } }),
        2 => json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 2 } }),
        _ => json!({ "type": "RollingUpdate" }),
    };
    let mut spec = json!({
        "replicas": random.below(4),
        "serviceName": name,
        "podManagementPolicy": one_of(random, &["OrderedReady", "OrderedReady", "Parallel"]),
        "updateStrategy": update,
        "minReadySeconds": one_of(random, &[0, 0, 3]),
        "selector": { "matchLabels": { "app": name } },
        "template": server_template(random, name),
    });
    // Without any grace a pod's object goes before the pod does, and its name with it.
    if spec["template"]["spec"]["terminationGracePeriodSeconds"] == 0 {
        spec["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    }
    if percent(random, 20) {
        spec["ordinals"] = json!({ "start": 2 });
    }
    if percent(random, 60) {
        spec["volumeClaimTemplates"] = json!([{
            "metadata": { "name": "data" },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        }]);
        let policies = ["Retain", "Delete"];
        spec["persistentVolumeClaimRetentionPolicy"] =
            json!({ "whenDeleted": one_of(random, &policies), "whenScaled": one_of(random, &policies) });
        spec["template"]["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "/data" }]);
    }
    spec
}

fn daemon_set(random: &mut Random, name: &str) -> Value {
    let update = match random.below(4) {
        0 => json!({ "type": "OnDelete" }),
        1 => json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } }),
        _ => {
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": one_of(random, &[json!(1), json!("50%")]) } })
        }
    };
    json!({
        "updateStrategy": update,
        "minReadySeconds": one_of(random, &[0, 0, 5]),
        "selector": { "matchLabels": { "app": name } },
        "template": server_template(random, name),
    })
}

fn job(random: &mut Random, alone: bool) -> Value {
    let seconds = one_of(random, &[0, 2, 10, 40]);
    // By the second at which it ends, so that a retry may go otherwise.
    let fate = one_of(random, &["exit 0", "exit 0", "exit $(( $(date +%s) % 2 ))", "exit 3"]);
    let restart = one_of(random, &["Never", "Never", "OnFailure"]);
    let mut spec = json!({
        "parallelism": 1 + random.below(3),
        "backoffLimit": one_of(random, &[0, 1, 3]),
        "template": {
            "metadata": { "labels": { "work": "true" } },
            "spec": {
                "restartPolicy": restart,
                "terminationGracePeriodSeconds": one_of(random, &[0, 2, 30]),
                "containers": [{
                    "name": "work",
                    "image": "busybox:1.36",
                    "command": ["sh", "-c", format!("trap 'exit 143' TERM; sleep {seconds}; {fate}")],
                    "resources": { "requests": { "cpu": "50m" } },
                }],
            },
        },
    });
    if percent(random, 80) {
        spec["completions"] = json!(1 + random.below(5));
        if percent(random, 40) {
            spec["completionMode"] = json!("Indexed");
            if restart == "Never" && percent(random, 30) {
                spec["backoffLimitPerIndex"] = json!(1);
                spec["backoffLimit"] = Value::Null;
            } else if percent(random, 30) {
                spec["successPolicy"] = json!({ "rules": [{ "succeededCount": 1 }] });
            }
        }
    }
    if restart == "Never" && percent(random, 20) {
        spec["podReplacementPolicy"] = json!("Failed");
    }
    if restart == "Never" && percent(random, 20) {
        let on = json!({ "containerName": "work", "operator": "In", "values": [3] });
        let action = one_of(random, &["FailJob", "Ignore", "Count"]);
        // Ignored for ever would be tried for ever.
        let action = if fate == "exit 3" && action == "Ignore" { "FailJob" } else { action };
        spec["podFailurePolicy"] = json!({ "rules": [{ "action": action, "onExitCodes": on }] });
    }
    if alone && percent(random, 20) {
        spec["ttlSecondsAfterFinished"] = json!(one_of(random, &[0, 20]));
    }
    if percent(random, 15) {
        spec["activeDeadlineSeconds"] = json!(25);
    }
    spec
}

fn cron_job(random: &mut Random) -> Value {
    json!({
        "schedule": "* * * * *",
        "concurrencyPolicy": one_of(random, &["Allow", "Forbid", "Replace"]),
        "successfulJobsHistoryLimit": random.below(3),
        "failedJobsHistoryLimit": random.below(2),
        "startingDeadlineSeconds": one_of(random, &[Value::Null, json!(30)]),
        "jobTemplate": { "spec": job(random, false) },
    })
}

/// A pod that serves until it is told to end.
fn server_template(random: &mut Random, name: &str) -> Value {
    let image = one_of(random, &IMAGES);
    let mut container = json!({
        "name": "web",
        "image": image,
        "ports": [{ "containerPort": 80 }],
        "resources": { "requests": { "cpu": one_of(random, &["10m", "50m", "100m", "200m"]) } },
    });
    if percent(random, 50) {
        container["readinessProbe"] =
            json!({ "httpGet": { "path": "/", "port": 80 }, "periodSeconds": one_of(random, &[1, 5]) });
    }
    if percent(random, 20) {
        container["livenessProbe"] = json!({ "tcpSocket": { "port": 80 }, "periodSeconds": 5, "failureThreshold": 2 });
    }
    if percent(random, 20) {
        container["lifecycle"] = json!({ "preStop": { "exec": { "command": ["sleep", "3"] } } });
    }
    let mut spec = json!({
        "terminationGracePeriodSeconds": one_of(random, &[0, 2, 30]),
        "containers": [container],
    });
    if percent(random, 40) {
        let tolerate =
            |key: &str| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 15 });
        spec["tolerations"] =
            json!([tolerate("node.kubernetes.io/not-ready"), tolerate("node.kubernetes.io/unreachable")]);
    }
    if percent(random, 20) {
        spec["initContainers"] = json!([{ "name": "prepare", "image": "busybox:1.36", "command": ["sleep", "1"] }]);
    }
    if percent(random, 15) {
        spec["topologySpreadConstraints"] = json!([{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": { "app": name } },
        }]);
    }
    json!({ "metadata": { "labels": { "app": name } }, "spec": spec })
}

fn service(random: &mut Random, workload: Workload, namespace: &str, name: &str) -> Value {
    let mut spec = json!({ "selector": { "app": name }, "ports": [{ "port": 80 }] });
    if workload == Workload::StatefulSet {
        spec["clusterIP"] = json!("None");
    } else if percent(random, 30) {
        spec["type"] = json!(one_of(random, &["NodePort", "LoadBalancer"]));
    }
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": namespace }, "spec": spec })
}

fn budget(random: &mut Random, namespace: &str, name: &str) -> Value {
    let amount = one_of(random, &[json!(0), json!(1), json!(2), json!("50%")]);
    let mut spec = json!({ "selector": { "matchLabels": { "app": name } } });
    spec[one_of(random, &["minAvailable", "maxUnavailable"])] = amount;
    if percent(random, 30) {
        spec["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
    }
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": name, "namespace": namespace }, "spec": spec,
    })
}
