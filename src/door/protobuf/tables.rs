//! The fields of Protobuf messages, by the numbers of `k8s.io/api/*/generated.proto`.

/// A field: its number, its name in JSON, and what it holds.
pub(super) struct Field(pub(super) u64, pub(super) &'static str, pub(super) Type);

/// What a field holds. Go writes plain fields even when they are zero, and JSON leaves them out then; what stands behind
/// a pointer is kept as it is (`Some…`).
pub(super) enum Type {
    Text,
    Texts,
    Int,
    SomeInt,
    Bool,
    SomeBool,
    Bytes,
    Time,
    IntOrString,
    Quantity,
    Message(&'static [Field]),
    Messages(&'static [Field]),
    Map(&'static Type),
    /// A message of nothing but a list of texts, which JSON has as the list.
    Items,
    /// A message whose fields JSON has among those beside it.
    Inline(&'static [Field]),
    /// A message that holds JSON as it is.
    Json,
}

use self::Type::{Bool, Int, IntOrString, Message, Messages, Quantity, SomeBool, SomeInt, Text, Texts};

const TEXTS: Type = Type::Map(&Text);
const QUANTITIES: Type = Type::Map(&Quantity);

const METADATA: Type = Message(&[
    Field(1, "name", Text),
    Field(2, "generateName", Text),
    Field(3, "namespace", Text),
    Field(4, "selfLink", Text),
    Field(5, "uid", Text),
    Field(6, "resourceVersion", Text),
    Field(7, "generation", Int),
    Field(8, "creationTimestamp", Type::Time),
    Field(9, "deletionTimestamp", Type::Time),
    Field(10, "deletionGracePeriodSeconds", SomeInt),
    Field(11, "labels", TEXTS),
    Field(12, "annotations", TEXTS),
    Field(
        13,
        "ownerReferences",
        Messages(&[
            Field(1, "kind", Text),
            Field(3, "name", Text),
            Field(4, "uid", Text),
            Field(5, "apiVersion", Text),
            Field(6, "controller", SomeBool),
            Field(7, "blockOwnerDeletion", SomeBool),
        ]),
    ),
    Field(14, "finalizers", Texts),
    Field(
        17,
        "managedFields",
        Messages(&[
            Field(1, "manager", Text),
            Field(2, "operation", Text),
            Field(3, "apiVersion", Text),
            Field(4, "time", Type::Time),
            Field(6, "fieldsType", Text),
            Field(7, "fieldsV1", Type::Json),
            Field(8, "subresource", Text),
        ]),
    ),
]);

/// A list's metadata.
const LIST_METADATA: Type = Message(&[
    Field(1, "selfLink", Text),
    Field(2, "resourceVersion", Text),
    Field(3, "continue", Text),
    Field(4, "remainingItemCount", SomeInt),
]);

/// A refusal, or that something was done.
const STATUS: &[Field] = &[
    Field(1, "metadata", LIST_METADATA),
    Field(2, "status", Text),
    Field(3, "message", Text),
    Field(4, "reason", Text),
    Field(
        5,
        "details",
        Message(&[
            Field(1, "name", Text),
            Field(2, "group", Text),
            Field(3, "kind", Text),
            Field(
                4,
                "causes",
                Messages(&[Field(1, "reason", Text), Field(2, "message", Text), Field(3, "field", Text)]),
            ),
            Field(5, "retryAfterSeconds", Int),
            Field(6, "uid", Text),
        ]),
    ),
    Field(6, "code", Int),
];

const CONFIG_MAP: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "data", TEXTS),
    Field(3, "binaryData", Type::Map(&Type::Bytes)),
    Field(4, "immutable", SomeBool),
];

const SECRET: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "data", Type::Map(&Type::Bytes)),
    Field(3, "type", Text),
    Field(4, "stringData", TEXTS),
    Field(5, "immutable", SomeBool),
];

const NAMESPACE: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "spec", Message(&[Field(1, "finalizers", Texts)])),
    Field(3, "status", Message(&[Field(1, "phase", Text)])),
];

const SERVICE_ACCOUNT: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(3, "imagePullSecrets", Messages(&[Field(1, "name", Text)])),
    Field(4, "automountServiceAccountToken", SomeBool),
];

const SERVICE: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "spec", Message(SERVICE_SPEC)),
    Field(3, "status", Message(&[Field(1, "loadBalancer", Message(&[]))])),
];

const SERVICE_SPEC: &[Field] = &[
    Field(1, "ports", Messages(SERVICE_PORT)),
    Field(2, "selector", TEXTS),
    Field(3, "clusterIP", Text),
    Field(4, "type", Text),
    Field(5, "externalIPs", Texts),
    Field(7, "sessionAffinity", Text),
    Field(8, "loadBalancerIP", Text),
    Field(9, "loadBalancerSourceRanges", Texts),
    Field(10, "externalName", Text),
    Field(11, "externalTrafficPolicy", Text),
    Field(12, "healthCheckNodePort", Int),
    Field(13, "publishNotReadyAddresses", Bool),
    Field(17, "ipFamilyPolicy", Text),
    Field(18, "clusterIPs", Texts),
    Field(19, "ipFamilies", Texts),
    Field(20, "allocateLoadBalancerNodePorts", SomeBool),
    Field(21, "loadBalancerClass", Text),
    Field(22, "internalTrafficPolicy", Text),
    Field(23, "trafficDistribution", Text),
];

const SERVICE_PORT: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "protocol", Text),
    Field(3, "port", Int),
    Field(4, "targetPort", IntOrString),
    Field(5, "nodePort", Int),
    Field(6, "appProtocol", Text),
];

const CONTAINER: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "image", Text),
    Field(3, "command", Texts),
    Field(4, "args", Texts),
    Field(5, "workingDir", Text),
    Field(6, "ports", Messages(CONTAINER_PORT)),
    Field(7, "env", Messages(&[Field(1, "name", Text), Field(2, "value", Text)])),
    Field(8, "resources", Message(&[Field(1, "limits", QUANTITIES), Field(2, "requests", QUANTITIES)])),
    Field(13, "terminationMessagePath", Text),
    Field(14, "imagePullPolicy", Text),
    Field(
        15,
        "securityContext",
        Message(&[
            Field(2, "privileged", SomeBool),
            Field(4, "runAsUser", SomeInt),
            Field(5, "runAsNonRoot", SomeBool),
            Field(6, "readOnlyRootFilesystem", SomeBool),
            Field(7, "allowPrivilegeEscalation", SomeBool),
            Field(8, "runAsGroup", SomeInt),
        ]),
    ),
    Field(16, "stdin", Bool),
    Field(17, "stdinOnce", Bool),
    Field(18, "tty", Bool),
    Field(20, "terminationMessagePolicy", Text),
];

const CONTAINER_PORT: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "hostPort", Int),
    Field(3, "containerPort", Int),
    Field(4, "protocol", Text),
    Field(5, "hostIP", Text),
];

const POD_SPEC: &[Field] = &[
    Field(2, "containers", Messages(CONTAINER)),
    Field(3, "restartPolicy", Text),
    Field(4, "terminationGracePeriodSeconds", SomeInt),
    Field(5, "activeDeadlineSeconds", SomeInt),
    Field(6, "dnsPolicy", Text),
    Field(7, "nodeSelector", TEXTS),
    Field(8, "serviceAccountName", Text),
    Field(9, "serviceAccount", Text),
    Field(10, "nodeName", Text),
    Field(11, "hostNetwork", Bool),
    Field(12, "hostPID", Bool),
    Field(13, "hostIPC", Bool),
    Field(
        14,
        "securityContext",
        Message(&[
            Field(2, "runAsUser", SomeInt),
            Field(3, "runAsNonRoot", SomeBool),
            Field(5, "fsGroup", SomeInt),
            Field(6, "runAsGroup", SomeInt),
        ]),
    ),
    Field(15, "imagePullSecrets", Messages(&[Field(1, "name", Text)])),
    Field(16, "hostname", Text),
    Field(17, "subdomain", Text),
    Field(19, "schedulerName", Text),
    Field(20, "initContainers", Messages(CONTAINER)),
    Field(21, "automountServiceAccountToken", SomeBool),
    Field(
        22,
        "tolerations",
        Messages(&[
            Field(1, "key", Text),
            Field(2, "operator", Text),
            Field(3, "value", Text),
            Field(4, "effect", Text),
            Field(5, "tolerationSeconds", SomeInt),
        ]),
    ),
    Field(24, "priorityClassName", Text),
    Field(25, "priority", SomeInt),
    Field(29, "runtimeClassName", Text),
    Field(30, "enableServiceLinks", SomeBool),
    Field(31, "preemptionPolicy", Text),
];

const POD_TEMPLATE: Type = Message(&[Field(1, "metadata", METADATA), Field(2, "spec", Message(POD_SPEC))]);

const LABEL_SELECTOR: Type = Message(&[
    Field(1, "matchLabels", TEXTS),
    Field(
        2,
        "matchExpressions",
        Messages(&[Field(1, "key", Text), Field(2, "operator", Text), Field(3, "values", Texts)]),
    ),
]);

const DEPLOYMENT_SPEC: &[Field] = &[
    Field(1, "replicas", SomeInt),
    Field(2, "selector", LABEL_SELECTOR),
    Field(3, "template", POD_TEMPLATE),
    Field(
        4,
        "strategy",
        Message(&[
            Field(1, "type", Text),
            Field(
                2,
                "rollingUpdate",
                Message(&[Field(1, "maxUnavailable", IntOrString), Field(2, "maxSurge", IntOrString)]),
            ),
        ]),
    ),
    Field(5, "minReadySeconds", Int),
    Field(6, "revisionHistoryLimit", SomeInt),
    Field(7, "paused", Bool),
    Field(9, "progressDeadlineSeconds", SomeInt),
];

const DEPLOYMENT: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "spec", Message(DEPLOYMENT_SPEC)),
    Field(
        3,
        "status",
        Message(&[
            Field(1, "observedGeneration", Int),
            Field(2, "replicas", Int),
            Field(3, "updatedReplicas", Int),
            Field(4, "availableReplicas", Int),
            Field(5, "unavailableReplicas", Int),
            Field(7, "readyReplicas", Int),
        ]),
    ),
];

const DELETE_OPTIONS: &[Field] = &[
    Field(1, "gracePeriodSeconds", SomeInt),
    Field(2, "preconditions", Message(&[Field(1, "uid", Text), Field(2, "resourceVersion", Text)])),
    Field(3, "orphanDependents", SomeBool),
    Field(4, "propagationPolicy", Text),
    Field(5, "dryRun", Texts),
];

const EVICTION: &[Field] = &[Field(1, "metadata", METADATA), Field(2, "deleteOptions", Message(DELETE_OPTIONS))];

const POLICY_RULES: Type = Messages(&[
    Field(1, "verbs", Texts),
    Field(2, "apiGroups", Texts),
    Field(3, "resources", Texts),
    Field(4, "resourceNames", Texts),
    Field(5, "nonResourceURLs", Texts),
]);

const ROLE: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "rules", POLICY_RULES),
    Field(3, "aggregationRule", Message(&[Field(1, "clusterRoleSelectors", LABEL_SELECTORS)])),
];

const LABEL_SELECTORS: Type = Messages(&[
    Field(1, "matchLabels", TEXTS),
    Field(
        2,
        "matchExpressions",
        Messages(&[Field(1, "key", Text), Field(2, "operator", Text), Field(3, "values", Texts)]),
    ),
]);

const ROLE_BINDING: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "subjects",
        Messages(&[
            Field(1, "kind", Text),
            Field(2, "apiGroup", Text),
            Field(3, "name", Text),
            Field(4, "namespace", Text),
        ]),
    ),
    Field(3, "roleRef", Message(&[Field(1, "apiGroup", Text), Field(2, "kind", Text), Field(3, "name", Text)])),
];

const BUDGET: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "minAvailable", IntOrString),
            Field(2, "selector", LABEL_SELECTOR),
            Field(3, "maxUnavailable", IntOrString),
            Field(4, "unhealthyPodEvictionPolicy", Text),
        ]),
    ),
    Field(
        3,
        "status",
        Message(&[
            Field(1, "observedGeneration", Int),
            Field(3, "disruptionsAllowed", Int),
            Field(4, "currentHealthy", Int),
            Field(5, "desiredHealthy", Int),
            Field(6, "expectedPods", Int),
        ]),
    ),
];

const QUOTA: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "hard", QUANTITIES),
            Field(2, "scopes", Texts),
            Field(
                3,
                "scopeSelector",
                Message(&[Field(
                    1,
                    "matchExpressions",
                    Messages(&[Field(1, "scopeName", Text), Field(2, "operator", Text), Field(3, "values", Texts)]),
                )]),
            ),
        ]),
    ),
    Field(3, "status", Message(&[Field(1, "hard", QUANTITIES), Field(2, "used", QUANTITIES)])),
];

const INGRESS_BACKEND: Type = Message(&[
    Field(3, "resource", Message(&[Field(1, "apiGroup", Text), Field(2, "kind", Text), Field(3, "name", Text)])),
    Field(
        4,
        "service",
        Message(&[
            Field(1, "name", Text),
            Field(2, "port", Message(&[Field(1, "name", Text), Field(2, "number", Int)])),
        ]),
    ),
]);

const INGRESS_RULES: Type = Messages(&[
    Field(1, "host", Text),
    Field(
        2,
        "",
        Type::Inline(&[Field(
            1,
            "http",
            Message(&[Field(
                1,
                "paths",
                Messages(&[Field(1, "path", Text), Field(2, "backend", INGRESS_BACKEND), Field(3, "pathType", Text)]),
            )]),
        )]),
    ),
]);

const INGRESS: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "defaultBackend", INGRESS_BACKEND),
            Field(2, "tls", Messages(&[Field(1, "hosts", Texts), Field(2, "secretName", Text)])),
            Field(3, "rules", INGRESS_RULES),
            Field(4, "ingressClassName", Text),
        ]),
    ),
    Field(3, "status", Message(&[Field(1, "loadBalancer", Message(&[]))])),
];

const JOB_SPEC: &[Field] = &[
    Field(1, "parallelism", SomeInt),
    Field(2, "completions", SomeInt),
    Field(3, "activeDeadlineSeconds", SomeInt),
    Field(4, "selector", LABEL_SELECTOR),
    Field(5, "manualSelector", SomeBool),
    Field(6, "template", POD_TEMPLATE),
    Field(7, "backoffLimit", SomeInt),
    Field(8, "ttlSecondsAfterFinished", SomeInt),
    Field(9, "completionMode", Text),
    Field(10, "suspend", SomeBool),
    Field(12, "backoffLimitPerIndex", SomeInt),
    Field(13, "maxFailedIndexes", SomeInt),
    Field(14, "podReplacementPolicy", Text),
    Field(15, "managedBy", Text),
];

const JOB: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "spec", Message(JOB_SPEC)),
    Field(
        3,
        "status",
        Message(&[
            Field(4, "active", Int),
            Field(5, "succeeded", Int),
            Field(6, "failed", Int),
            Field(7, "completedIndexes", Text),
        ]),
    ),
];

const CRON_JOB: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "schedule", Text),
            Field(2, "startingDeadlineSeconds", SomeInt),
            Field(3, "concurrencyPolicy", Text),
            Field(4, "suspend", SomeBool),
            Field(5, "jobTemplate", Message(&[Field(1, "metadata", METADATA), Field(2, "spec", Message(JOB_SPEC))])),
            Field(6, "successfulJobsHistoryLimit", SomeInt),
            Field(7, "failedJobsHistoryLimit", SomeInt),
            Field(8, "timeZone", Text),
        ]),
    ),
    Field(
        3,
        "status",
        Message(&[Field(4, "lastScheduleTime", Type::Time), Field(5, "lastSuccessfulTime", Type::Time)]),
    ),
];

const PRIORITY_CLASS: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "value", Int),
    Field(3, "globalDefault", Bool),
    Field(4, "description", Text),
    Field(5, "preemptionPolicy", Text),
];

const SCALED: Type = Message(&[Field(1, "kind", Text), Field(2, "name", Text), Field(3, "apiVersion", Text)]);

const METRIC_TARGET: Type = Message(&[
    Field(1, "type", Text),
    Field(2, "value", Quantity),
    Field(3, "averageValue", Quantity),
    Field(4, "averageUtilization", SomeInt),
]);

const AUTOSCALER: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "scaleTargetRef", SCALED),
            Field(2, "minReplicas", SomeInt),
            Field(3, "maxReplicas", Int),
            Field(
                4,
                "metrics",
                Messages(&[
                    Field(1, "type", Text),
                    Field(4, "resource", Message(&[Field(1, "name", Text), Field(2, "target", METRIC_TARGET)])),
                ]),
            ),
        ]),
    ),
    Field(3, "status", Message(&[Field(3, "currentReplicas", Int), Field(4, "desiredReplicas", Int)])),
];

const AUTOSCALER_V1: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "scaleTargetRef", SCALED),
            Field(2, "minReplicas", SomeInt),
            Field(3, "maxReplicas", Int),
            Field(4, "targetCPUUtilizationPercentage", SomeInt),
        ]),
    ),
    Field(3, "status", Message(&[Field(3, "currentReplicas", Int), Field(4, "desiredReplicas", Int)])),
];

const SIGNING_REQUEST: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "request", Type::Bytes),
            Field(2, "username", Text),
            Field(3, "uid", Text),
            Field(4, "groups", Texts),
            Field(5, "usages", Texts),
            Field(6, "extra", Type::Map(&Type::Items)),
            Field(7, "signerName", Text),
            Field(8, "expirationSeconds", SomeInt),
        ]),
    ),
    Field(
        3,
        "status",
        Message(&[
            Field(
                1,
                "conditions",
                Messages(&[
                    Field(1, "type", Text),
                    Field(2, "reason", Text),
                    Field(3, "message", Text),
                    Field(4, "lastUpdateTime", Type::Time),
                    Field(5, "lastTransitionTime", Type::Time),
                    Field(6, "status", Text),
                ]),
            ),
            Field(2, "certificate", Type::Bytes),
        ]),
    ),
];

const SELECTED: Type = Message(&[
    Field(1, "rawSelector", Text),
    Field(2, "requirements", Messages(&[Field(1, "key", Text), Field(2, "operator", Text), Field(3, "values", Texts)])),
]);

const RESOURCE_ATTRIBUTES: Type = Message(&[
    Field(1, "namespace", Text),
    Field(2, "verb", Text),
    Field(3, "group", Text),
    Field(4, "version", Text),
    Field(5, "resource", Text),
    Field(6, "subresource", Text),
    Field(7, "name", Text),
    Field(8, "fieldSelector", SELECTED),
    Field(9, "labelSelector", SELECTED),
]);

const OTHER_ATTRIBUTES: Type = Message(&[Field(1, "path", Text), Field(2, "verb", Text)]);

const ACCESS_STATUS: Type = Message(&[
    Field(1, "allowed", Bool),
    Field(2, "reason", Text),
    Field(3, "evaluationError", Text),
    Field(4, "denied", Bool),
]);

const ACCESS_REVIEW: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "resourceAttributes", RESOURCE_ATTRIBUTES),
            Field(2, "nonResourceAttributes", OTHER_ATTRIBUTES),
            Field(3, "user", Text),
            Field(4, "groups", Texts),
            Field(5, "extra", Type::Map(&Type::Items)),
            Field(6, "uid", Text),
        ]),
    ),
    Field(3, "status", ACCESS_STATUS),
];

const RULES_REVIEW: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "spec", Message(&[Field(1, "namespace", Text)])),
    Field(3, "status", Message(&[Field(3, "incomplete", Bool), Field(4, "evaluationError", Text)])),
];

const SELF_REVIEW: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(2, "status", Message(&[Field(1, "userInfo", Message(&[Field(1, "username", Text), Field(2, "uid", Text)]))])),
];

const TOKEN_REQUEST: &[Field] = &[
    Field(1, "metadata", METADATA),
    Field(
        2,
        "spec",
        Message(&[
            Field(1, "audiences", Texts),
            Field(
                3,
                "boundObjectRef",
                Message(&[
                    Field(1, "kind", Text),
                    Field(2, "apiVersion", Text),
                    Field(3, "name", Text),
                    Field(4, "uid", Text),
                ]),
            ),
            Field(4, "expirationSeconds", SomeInt),
        ]),
    ),
    Field(3, "status", Message(&[Field(1, "token", Text), Field(2, "expirationTimestamp", Type::Time)])),
];

pub(super) const UNKNOWN: &[Field] = &[
    Field(1, "typeMeta", Message(&[Field(1, "apiVersion", Text), Field(2, "kind", Text)])),
    Field(2, "raw", Type::Bytes),
    Field(3, "contentEncoding", Text),
    Field(4, "contentType", Text),
];

pub(super) fn fields_of(version: &str, kind: &str) -> Option<&'static [Field]> {
    Some(match (version, kind) {
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "Status") => STATUS,
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "Secret") => SECRET,
        ("v1", "Service") => SERVICE,
        ("v1", "ServiceAccount") => SERVICE_ACCOUNT,
        ("v1", "ResourceQuota") => QUOTA,
        ("apps/v1", "Deployment") => DEPLOYMENT,
        ("authentication.k8s.io/v1", "SelfSubjectReview") => SELF_REVIEW,
        ("authentication.k8s.io/v1", "TokenRequest") => TOKEN_REQUEST,
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => RULES_REVIEW,
        ("authorization.k8s.io/v1", "LocalSubjectAccessReview" | "SelfSubjectAccessReview" | "SubjectAccessReview") => {
            ACCESS_REVIEW
        }
        ("autoscaling/v1", "HorizontalPodAutoscaler") => AUTOSCALER_V1,
        ("autoscaling/v2", "HorizontalPodAutoscaler") => AUTOSCALER,
        ("batch/v1", "CronJob") => CRON_JOB,
        ("batch/v1", "Job") => JOB,
        ("certificates.k8s.io/v1", "CertificateSigningRequest") => SIGNING_REQUEST,
        ("networking.k8s.io/v1", "Ingress") => INGRESS,
        ("policy/v1", "Eviction") => EVICTION,
        ("policy/v1", "PodDisruptionBudget") => BUDGET,
        ("rbac.authorization.k8s.io/v1", "ClusterRole" | "Role") => ROLE,
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding" | "RoleBinding") => ROLE_BINDING,
        ("scheduling.k8s.io/v1", "PriorityClass") => PRIORITY_CLASS,
        (_, "DeleteOptions") => DELETE_OPTIONS,
        _ => return None,
    })
}
