//! Protobuf bodies, as far as kubectl sends them: what `kubectl create` makes from flags, evictions and delete options.
//!
//! kubectl's typed clients write Protobuf and know no way back to JSON; everything else that it sends is JSON. The field
//! numbers are those of `k8s.io/api/*/generated.proto`. What the tables below do not know is refused, never dropped.

use serde_json::{Map, Value, json};

use crate::machinery::base64;
use crate::machinery::time::Time;

/// What every Kubernetes Protobuf body begins with; a `runtime.Unknown` follows.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may lie in one another.
const DEPTH_MAX: u32 = 32;

/// A field: its number, its name in JSON, and what it holds.
struct Field(u64, &'static str, Type);

/// What a field holds. Go writes plain fields even when they are zero, and JSON leaves them out then; what stands behind
/// a pointer is kept as it is (`Some…`).
enum Type {
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
}

use Type::{Bool, Int, IntOrString, Message, Messages, Quantity, SomeBool, SomeInt, Text, Texts};

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
    Field(14, "finalizers", Texts),
]);

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
    Field(16, "hostname", Text),
    Field(17, "subdomain", Text),
    Field(19, "schedulerName", Text),
    Field(20, "initContainers", Messages(CONTAINER)),
    Field(21, "automountServiceAccountToken", SomeBool),
    Field(24, "priorityClassName", Text),
    Field(25, "priority", SomeInt),
];

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
    Field(3, "template", Message(&[Field(1, "metadata", METADATA), Field(2, "spec", Message(POD_SPEC))])),
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

const UNKNOWN: &[Field] = &[
    Field(1, "typeMeta", Message(&[Field(1, "apiVersion", Text), Field(2, "kind", Text)])),
    Field(2, "raw", Type::Bytes),
    Field(3, "contentEncoding", Text),
    Field(4, "contentType", Text),
];

fn fields_of(version: &str, kind: &str) -> Option<&'static [Field]> {
    Some(match (version, kind) {
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "Secret") => SECRET,
        ("v1", "Service") => SERVICE,
        ("v1", "ServiceAccount") => SERVICE_ACCOUNT,
        ("apps/v1", "Deployment") => DEPLOYMENT,
        ("policy/v1", "Eviction") => EVICTION,
        (_, "DeleteOptions") => DELETE_OPTIONS,
        _ => return None,
    })
}

/// Reads a body; nothing when it is none, or holds what is not known here.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let unknown = message(UNKNOWN, body.strip_prefix(MAGIC)?, 0)?;
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (version, kind) = (text(&unknown["typeMeta"]["apiVersion"]), text(&unknown["typeMeta"]["kind"]));
    let raw = base64::decode(&text(&unknown["raw"])).ok()?;
    let mut value = json!({ "kind": kind, "apiVersion": version });
    for (name, field) in message(fields_of(&version, &kind)?, &raw, 0)?.as_object()? {
        value[name] = field.clone();
    }
    Some(value)
}

/// The value of a field on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes a number in base 128.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = varint(bytes)?;
    let wire = match key & 7 {
        0 => Wire::Number(varint(bytes)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            let (taken, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Wire::Bytes(taken)
        }
        _ => return None,
    };
    Some((key >> 3, wire))
}

fn message(fields: &[Field], mut bytes: &[u8], depth: u32) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut object = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = take(&mut bytes)?;
        let Field(_, name, ty) = fields.iter().find(|field| field.0 == number)?;
        match ty {
            Texts | Messages(_) => {
                let item = value(ty, &wire, depth)?;
                let list = object.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut()?.push(item);
            }
            Type::Map(held) => {
                let (key, item) = entry(held, &wire, depth)?;
                let map = object.entry(*name).or_insert_with(|| Value::Object(Map::new()));
                map.as_object_mut()?.insert(key, item);
            }
            _ => {
                let read = value(ty, &wire, depth)?;
                if !is_left_out(ty, &read) {
                    object.insert((*name).to_owned(), read);
                }
            }
        }
    }
    Some(Value::Object(object))
}

/// Whether JSON leaves a plain field of this value out.
fn is_left_out(ty: &Type, value: &Value) -> bool {
    match ty {
        Text => value == "",
        Int => *value == 0,
        Bool => *value == false,
        Type::Time => value.is_null(),
        _ => false,
    }
}

fn entry(held: &Type, wire: &Wire<'_>, depth: u32) -> Option<(String, Value)> {
    let Wire::Bytes(mut bytes) = *wire else { return None };
    let (mut key, mut item) = (String::new(), None);
    while !bytes.is_empty() {
        match take(&mut bytes)? {
            (1, Wire::Bytes(text)) => key = std::str::from_utf8(text).ok()?.to_owned(),
            (2, wire) => item = Some(value(held, &wire, depth)?),
            _ => return None,
        }
    }
    Some((key, item.unwrap_or_else(|| "".into())))
}

/// A single value.
fn value(ty: &Type, wire: &Wire<'_>, depth: u32) -> Option<Value> {
    Some(match (ty, wire) {
        (Text | Texts, Wire::Bytes(bytes)) => std::str::from_utf8(bytes).ok()?.into(),
        // Negative numbers come as the two's complement of 64 bits.
        (Int | SomeInt, Wire::Number(number)) => number.cast_signed().into(),
        (Bool | SomeBool, Wire::Number(number)) => (*number != 0).into(),
        (Type::Bytes, Wire::Bytes(bytes)) => base64::encode(bytes).into(),
        (Message(fields) | Messages(fields), Wire::Bytes(bytes)) => message(fields, bytes, depth + 1)?,
        (Quantity, Wire::Bytes(bytes)) => match &message(&[Field(1, "string", Text)], bytes, depth + 1)?["string"] {
            Value::Null => "0".into(),
            text => text.clone(),
        },
        (IntOrString, Wire::Bytes(bytes)) => {
            let fields = [Field(1, "type", Int), Field(2, "number", Int), Field(3, "text", Text)];
            let read = message(&fields, bytes, depth + 1)?;
            if read["type"] == 1 {
                read["text"].as_str().unwrap_or("").into()
            } else {
                read["number"].as_i64().unwrap_or(0).into()
            }
        }
        (Type::Time, Wire::Bytes([])) => Value::Null,
        (Type::Time, Wire::Bytes(bytes)) => {
            let read = message(&[Field(1, "seconds", Int), Field(2, "nanos", Int)], bytes, depth + 1)?;
            let seconds = u64::try_from(read["seconds"].as_i64().unwrap_or(0)).ok()?;
            Time::from_micros(seconds.checked_mul(1_000_000)?).to_rfc3339().into()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("a short test");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn body(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw), field(3, b""), field(4, b"")].concat()
    }

    #[test]
    fn what_kubectl_create_sends_is_read() {
        let metadata = [field(1, b"a"), field(2, b""), field(8, b""), vec![7 << 3, 0]].concat();
        let data = [field(1, b"key"), field(2, b"value")].concat();
        let raw = [field(1, &metadata), field(2, &data)].concat();
        assert_eq!(
            read(&body("v1", "ConfigMap", &raw)),
            Some(json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"key": "value"}}))
        );
        let port = [vec![3 << 3, 80], field(4, &[vec![1 << 3, 1], field(3, b"http")].concat())].concat();
        let raw = field(2, &field(1, &port));
        assert_eq!(
            read(&body("v1", "Service", &raw)).map(|value| value["spec"].clone()),
            Some(json!({"ports": [{"port": 80, "targetPort": "http"}]}))
        );
        let raw = field(2, &[1 << 3, 0, 5 << 3, 0]);
        assert_eq!(
            read(&body("apps/v1", "Deployment", &raw)).map(|value| value["spec"].clone()),
            Some(json!({"replicas": 0})),
        );
    }

    #[test]
    fn what_is_not_known_or_broken_is_refused() {
        let good = body("v1", "ConfigMap", &field(1, &field(1, b"a")));
        assert!(read(&good).is_some());
        for length in 0..good.len() - 4 {
            assert_eq!(read(&good[..length]), None, "{length}");
        }
        assert_eq!(read(&body("v1", "ConfigMap", &field(9, b"new"))), None);
        assert_eq!(read(&body("v1", "Pod", b"")), None);
        assert_eq!(read(&body("v1", "ConfigMap", &[0xff; 20])), None);
    }
}
