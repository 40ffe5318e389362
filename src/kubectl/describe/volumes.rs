//! Where volumes come from.
//!
//! Follows the `print…VolumeSource` functions of `k8s.io/kubectl/pkg/describe/describe.go`. Almost all of them are a title
//! and some fields, so that they are a table here.

use serde_json::Value;

use super::storage::claim;
use super::writer::{ANNOTATION_BYTES_MAX, Writer, items, number, shortened, sorted, text, texts};
use crate::machinery::quantity::Quantity;

/// How a field is shown.
#[derive(Clone, Copy, Debug)]
enum Show {
    /// A text, or nothing.
    Text,
    /// A text, or `<none>`.
    TextOrNone,
    /// A text, or `<unset>`.
    TextOrUnset,
    /// A number, or 0.
    Number,
    /// A number, or `<none>`.
    NumberOrNone,
    /// `true` or `false`.
    Flag,
    /// A list as Go prints it.
    List,
    /// A list with commas.
    Joined,
    /// A map as Go prints it.
    Map,
    /// A reference to a Secret, as Go prints it.
    Reference,
    /// An amount, or `<unset>` when it is not more than nothing.
    Amount,
}

use Show::{Amount, Flag, Joined, List, Map, Number, NumberOrNone, Reference, Text, TextOrNone, TextOrUnset};

/// A row: the label with its colon, the field, and how it is shown.
type Row = (&'static str, &'static str, Show);

/// A kind of source: its field, its title, and its rows.
type Source = (&'static str, &'static str, &'static [Row]);

const READ_ONLY: Row = ("ReadOnly:", "readOnly", Flag);
const FS_TYPE: Row = ("FSType:", "fsType", Text);
const VOLUME_ID: Row = ("VolumeID:", "volumeID", Text);
const PARTITION: Row = ("Partition:", "partition", Number);
const PATH: Row = ("Path:", "path", Text);
const OPTIONAL: Row = ("Optional:", "optional", Flag);
const SECRET: Row = ("SecretRef:", "secretRef", Reference);
const ENDPOINTS: Row = ("EndpointsName:", "endpoints", Text);
const DRIVER: Row = ("Driver:", "driver", Text);

const ISCSI: &str =
    "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)";
const GLUSTERFS: &str = "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)";
const SCALE_IO: &str = "ScaleIO (a persistent volume backed by a block device in ScaleIO)";
const AZURE_FILE: &str = "AzureFile (an Azure File Service mount on the host and bind mount to the pod)";
const CSI: &str = "CSI (a Container Storage Interface (CSI) volume source)";

/// What only volumes of pods are, or show in their own way.
const OF_PODS: &[Source] = &[
    ("secret", "Secret (a volume populated by a Secret)", &[("SecretName:", "secretName", Text), OPTIONAL]),
    ("configMap", "ConfigMap (a volume populated by a ConfigMap)", &[("Name:", "name", Text), OPTIONAL]),
    (
        "emptyDir",
        "EmptyDir (a temporary directory that shares a pod's lifetime)",
        &[("Medium:", "medium", Text), ("SizeLimit:", "sizeLimit", Amount)],
    ),
    (
        "gitRepo",
        "GitRepo (a volume that is pulled from git when the pod is created)",
        &[("Repository:", "repository", Text), ("Revision:", "revision", Text)],
    ),
    (
        "persistentVolumeClaim",
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        &[("ClaimName:", "claimName", Text), READ_ONLY],
    ),
    ("glusterfs", GLUSTERFS, &[ENDPOINTS, PATH, READ_ONLY]),
    (
        "scaleIO",
        SCALE_IO,
        &[
            ("Gateway:", "gateway", Text),
            ("System:", "system", Text),
            ("Protection Domain:", "protectionDomain", Text),
            ("Storage Pool:", "storagePool", Text),
            ("Storage Mode:", "storageMode", Text),
            ("VolumeName:", "volumeName", Text),
            FS_TYPE,
            READ_ONLY,
        ],
    ),
    ("azureFile", AZURE_FILE, &[("SecretName:", "secretName", Text), ("ShareName:", "shareName", Text), READ_ONLY]),
    ("csi", CSI, &[DRIVER, FS_TYPE, READ_ONLY]),
    (
        "image",
        "Image (a container image or OCI artifact)",
        &[("Reference:", "reference", Text), ("PullPolicy:", "pullPolicy", Text)],
    ),
];

/// What only PersistentVolumes are, or show in their own way.
const PERSISTENT: &[Source] = &[
    ("glusterfs", GLUSTERFS, &[ENDPOINTS, ("EndpointsNamespace:", "endpointsNamespace", TextOrUnset), PATH, READ_ONLY]),
    (
        "scaleIO",
        SCALE_IO,
        &[
            ("Gateway:", "gateway", Text),
            ("System:", "system", Text),
            ("Protection Domain:", "protectionDomain", Text),
            ("Storage Pool:", "storagePool", Text),
            ("Storage Mode:", "storageMode", Text),
            ("VolumeName:", "volumeName", Text),
            ("SecretName:", "/secretRef/name", Text),
            ("SecretNamespace:", "/secretRef/namespace", Text),
            FS_TYPE,
            READ_ONLY,
        ],
    ),
    (
        "azureFile",
        AZURE_FILE,
        &[
            ("SecretName:", "secretName", Text),
            ("SecretNamespace:", "secretNamespace", Text),
            ("ShareName:", "shareName", Text),
            READ_ONLY,
        ],
    ),
    ("local", "LocalVolume (a persistent volume backed by local storage on a node)", &[PATH]),
    ("csi", CSI, &[DRIVER, FS_TYPE, ("VolumeHandle:", "volumeHandle", Text), READ_ONLY]),
];

/// What both are.
const BOTH: &[Source] = &[
    ("hostPath", "HostPath (bare host directory volume)", &[PATH, ("HostPathType:", "type", TextOrNone)]),
    (
        "gcePersistentDisk",
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        &[("PDName:", "pdName", Text), FS_TYPE, PARTITION, READ_ONLY],
    ),
    (
        "awsElasticBlockStore",
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        &[VOLUME_ID, FS_TYPE, PARTITION, READ_ONLY],
    ),
    ("nfs", "NFS (an NFS mount that lasts the lifetime of a pod)", &[("Server:", "server", Text), PATH, READ_ONLY]),
    (
        "iscsi",
        ISCSI,
        &[
            ("TargetPortal:", "targetPortal", Text),
            ("IQN:", "iqn", Text),
            ("Lun:", "lun", Number),
            ("ISCSIInterface", "iscsiInterface", Text),
            FS_TYPE,
            READ_ONLY,
            ("Portals:", "portals", List),
            ("DiscoveryCHAPAuth:", "chapAuthDiscovery", Flag),
            ("SessionCHAPAuth:", "chapAuthSession", Flag),
            SECRET,
            ("InitiatorName:", "initiatorName", TextOrNone),
        ],
    ),
    (
        "rbd",
        "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        &[
            ("CephMonitors:", "monitors", List),
            ("RBDImage:", "image", Text),
            FS_TYPE,
            ("RBDPool:", "pool", Text),
            ("RadosUser:", "user", Text),
            ("Keyring:", "keyring", Text),
            SECRET,
            READ_ONLY,
        ],
    ),
    (
        "quobyte",
        "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        &[("Registry:", "registry", Text), ("Volume:", "volume", Text), READ_ONLY],
    ),
    (
        "azureDisk",
        "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        &[
            ("DiskName:", "diskName", Text),
            ("DiskURI:", "diskURI", Text),
            ("Kind: ", "kind", Text),
            FS_TYPE,
            ("CachingMode:", "cachingMode", Text),
            READ_ONLY,
        ],
    ),
    (
        "vsphereVolume",
        "vSphereVolume (a Persistent Disk resource in vSphere)",
        &[("VolumePath:", "volumePath", Text), FS_TYPE, ("StoragePolicyName:", "storagePolicyName", Text)],
    ),
    ("cinder", "Cinder (a Persistent Disk resource in OpenStack)", &[VOLUME_ID, FS_TYPE, READ_ONLY, SECRET]),
    (
        "photonPersistentDisk",
        "PhotonPersistentDisk (a Persistent Disk resource in photon platform)",
        &[("PdID:", "pdID", Text), FS_TYPE],
    ),
    ("portworxVolume", "PortworxVolume (a Portworx Volume resource)", &[VOLUME_ID]),
    (
        "cephfs",
        "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        &[
            ("Monitors:", "monitors", List),
            PATH,
            ("User:", "user", Text),
            ("SecretFile:", "secretFile", Text),
            SECRET,
            READ_ONLY,
        ],
    ),
    (
        "storageos",
        "StorageOS (a StorageOS Persistent Disk resource)",
        &[("VolumeName:", "volumeName", Text), ("VolumeNamespace:", "volumeNamespace", Text), FS_TYPE, READ_ONLY],
    ),
    (
        "fc",
        "FC (a Fibre Channel disk)",
        &[("TargetWWNs:", "targetWWNs", Joined), ("LUN:", "lun", NumberOrNone), FS_TYPE, READ_ONLY],
    ),
    (
        "flexVolume",
        "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)",
        &[DRIVER, FS_TYPE, SECRET, READ_ONLY, ("Options:", "options", Map)],
    ),
    (
        "flocker",
        "Flocker (a Flocker volume mounted by the Flocker agent)",
        &[("DatasetName:", "datasetName", Text), ("DatasetUUID:", "datasetUUID", Text)],
    ),
];

/// Writes a pod's volumes: `describeVolumes`.
pub(super) fn describe(writer: &mut Writer, volumes: &Value, space: &str) {
    if items(volumes).is_empty() {
        return writer.line(0, &format!("{space}Volumes:\t<none>"));
    }
    writer.line(0, &format!("{space}Volumes:"));
    let indent = if space.is_empty() { "" } else { " " };
    for volume in items(volumes) {
        writer.line(1, &format!("{indent}{}:", text(&volume["name"])));
        if volume["projected"].is_object() {
            projected(writer, &volume["projected"]);
        } else if volume["downwardAPI"].is_object() {
            downward(writer, &volume["downwardAPI"]);
        } else if volume["ephemeral"].is_object() {
            writer.field(
                2,
                "Type",
                "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
            );
            let template = &volume["ephemeral"]["volumeClaimTemplate"];
            if template.is_object() {
                writer.nested(2, |writer| claim(writer, template, false));
            }
        } else {
            source(writer, volume, OF_PODS);
        }
    }
}

/// Writes where a PersistentVolume's data are.
pub(super) fn persistent(writer: &mut Writer, spec: &Value) {
    source(writer, spec, PERSISTENT);
}

fn source(writer: &mut Writer, holder: &Value, own: &[Source]) {
    let Some((field, title, rows)) = own.iter().chain(BOTH).find(|(field, ..)| holder[*field].is_object()) else {
        return writer.line(1, "<unknown>");
    };
    let source = &holder[*field];
    writer.field(2, "Type", title);
    for (label, field, show) in *rows {
        let value = match field.strip_prefix('/') {
            Some(_) => source.pointer(field).unwrap_or(&Value::Null),
            None => &source[*field],
        };
        writer.line(2, &format!("{label}\t{}", shown(value, *show)));
    }
    if *field == "csi" {
        attributes(writer, &source["volumeAttributes"]);
    }
}

fn shown(value: &Value, show: Show) -> String {
    let or = |other: &str| value.as_str().unwrap_or(other).to_owned();
    match show {
        Text => or(""),
        TextOrNone => or("<none>"),
        TextOrUnset => or("<unset>"),
        Number => number(value).to_string(),
        NumberOrNone => value.as_i64().map_or_else(|| "<none>".to_owned(), |number| number.to_string()),
        Flag => (*value == true).to_string(),
        List => format!("[{}]", texts(value).join(" ")),
        Joined => texts(value).join(", "),
        Map => {
            let pairs: Vec<String> =
                sorted(value).into_iter().map(|(key, value)| format!("{key}:{}", text(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Reference => match (value.is_object(), value["namespace"].as_str()) {
            (false, _) => "nil".to_owned(),
            (true, None) => format!("&LocalObjectReference{{Name:{},}}", text(&value["name"])),
            (true, Some(namespace)) => {
                format!("&SecretReference{{Name:{},Namespace:{namespace},}}", text(&value["name"]))
            }
        },
        Amount => {
            let is_some = Quantity::parse(text(value)).is_ok_and(|amount| amount.sign() > 0);
            if is_some { or("") } else { "<unset>".to_owned() }
        }
    }
}

/// `printCSIPersistentVolumeAttributesMultiline`, whose every piece has the level's blanks before it.
fn attributes(writer: &mut Writer, attributes: &Value) {
    writer.write(2, "VolumeAttributes:\t");
    let attributes = sorted(attributes);
    if attributes.is_empty() {
        writer.end_line("<none>");
    }
    for (at, (key, value)) in attributes.into_iter().enumerate() {
        if at > 0 {
            writer.write(2, "");
            writer.write(2, "\t");
        }
        writer.line(2, &shortened(&format!("{key}={}", text(value)), ANNOTATION_BYTES_MAX));
    }
}

fn projected(writer: &mut Writer, projected: &Value) {
    writer.field(2, "Type", "Projected (a volume that contains injected data from multiple sources)");
    for source in items(&projected["sources"]) {
        if source["secret"].is_object() {
            referred(writer, "SecretName", &source["secret"]);
        } else if source["downwardAPI"].is_object() {
            writer.field(2, "DownwardAPI", "true");
        } else if source["configMap"].is_object() {
            referred(writer, "ConfigMapName", &source["configMap"]);
        } else if source["serviceAccountToken"].is_object() {
            let seconds = number(&source["serviceAccountToken"]["expirationSeconds"]);
            writer.field(2, "TokenExpirationSeconds", &seconds.to_string());
        }
    }
}

fn referred(writer: &mut Writer, label: &str, reference: &Value) {
    writer.field(2, label, text(&reference["name"]));
    writer.field(2, "Optional", &(reference["optional"] == true).to_string());
}

fn downward(writer: &mut Writer, source: &Value) {
    writer.field(2, "Type", "DownwardAPI (a volume populated by information about the pod)");
    writer.line(2, "Items:");
    for item in items(&source["items"]) {
        let path = text(&item["path"]);
        for (reference, field) in [("fieldRef", "fieldPath"), ("resourceFieldRef", "resource")] {
            if item[reference].is_object() {
                writer.line(3, &format!("{} -> {path}", text(&item[reference][field])));
            }
        }
    }
}
