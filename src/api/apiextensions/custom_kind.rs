//! Kinds that CustomResourceDefinitions declare.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::Value;

use super::columns::{self, Column};
use crate::api::kind::{KindInfo, Subresource};
use crate::machinery::structural::Schema;

/// A kind as one version of a CustomResourceDefinition declares it.
///
/// It is a name for a definition that never changes: when a CustomResourceDefinition changes, its kinds are others from
/// then on, and the API server knows which ones it serves. Two of them are equal when they are of one resource, whatever
/// their versions, so that objects of all versions are stored together. Nothing depends on when, or in which session, a
/// definition was seen first.
#[derive(Clone, Copy)]
pub struct CustomKind(&'static Definition);

/// What a version of a CustomResourceDefinition says of its kind.
#[derive(Debug)]
pub struct Definition {
    /// The row that it would have in the table of kinds.
    pub info: KindInfo,
    /// The kind of lists.
    pub list_kind: &'static str,
    /// What its objects may be.
    pub schema: Schema,
    /// `additionalPrinterColumns`
    pub columns: Vec<Column>,
    /// The paths of fields that lists can be selected by, without the dot they begin with.
    pub selectable_fields: Vec<String>,
    /// Where the numbers of replicas are.
    pub scale: Option<Scale>,
    /// What those are warned of who use a version that is deprecated.
    pub deprecation: Option<String>,
    /// Whether objects are stored in this version.
    pub is_storage: bool,
}

/// Where an object holds what its `Scale` shows.
#[derive(Debug)]
pub struct Scale {
    /// The number that is wanted.
    pub spec_replicas: String,
    /// The number that there is.
    pub status_replicas: String,
    /// The selector of what is counted, as text.
    pub label_selector: Option<String>,
}

/// All definitions that were ever seen, by their text. They are as immutable as the table of kinds and are kept as long:
/// a kind is copied all the time, and there are few of them.
static DEFINITIONS: LazyLock<Mutex<BTreeMap<String, &'static Definition>>> = LazyLock::new(Mutex::default);

/// Stands for every custom kind where somebody watches them all.
static ANY: Definition = Definition {
    info: KindInfo {
        group: "",
        version: "",
        kind: "CustomResource",
        plural: "*",
        singular: "",
        short_names: &[],
        namespaced: false,
        categories: &[],
        subresources: &[],
        generation: false,
    },
    list_kind: "",
    schema: Schema::NONE,
    columns: Vec::new(),
    selectable_fields: Vec::new(),
    scale: None,
    deprecation: None,
    is_storage: false,
};

impl CustomKind {
    /// Stands for every custom kind in a watch.
    pub const ANY: Self = Self(&ANY);

    /// The kind that a version of a CustomResourceDefinition declares, under the names that were accepted.
    #[must_use]
    pub fn define(spec: &Value, names: &Value, version: &Value) -> Self {
        let text = [&spec["group"], &spec["scope"], names, version].map(Value::to_string).concat();
        let mut definitions = DEFINITIONS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = definitions.get(&text) {
            return Self(known);
        }
        let definition: &'static Definition = Box::leak(Box::new(Definition::read(spec, names, version)));
        definitions.insert(text, definition);
        Self(definition)
    }

    /// The row that the kind would have in the table of kinds.
    #[must_use]
    pub const fn info(self) -> &'static KindInfo {
        &self.0.info
    }

    /// The definition.
    #[must_use]
    pub const fn definition(self) -> &'static Definition {
        self.0
    }

    /// Whether both are one definition, and not only one resource.
    #[must_use]
    pub fn is_same(self, other: Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }

    /// Whether this stands for every custom kind.
    #[must_use]
    pub fn is_any(self) -> bool {
        self == Self::ANY
    }

    fn name(self) -> (&'static str, &'static str) {
        (self.0.info.group, self.0.info.plural)
    }
}

fn leak(value: &Value) -> &'static str {
    Box::leak(value.as_str().unwrap_or("").to_owned().into_boxed_str())
}

fn leak_all(value: &Value) -> &'static [&'static str] {
    Box::leak(value.as_array().into_iter().flatten().map(leak).collect())
}

impl Definition {
    fn read(spec: &Value, names: &Value, version: &Value) -> Self {
        let below = &version["subresources"];
        let scale = below.get("scale").filter(|scale| scale.is_object());
        let path = |scale: &Value, name: &str| scale[name].as_str().map(str::to_owned);
        let mut subresources = Vec::new();
        if below["status"].is_object() {
            subresources.push(Subresource::Status);
        }
        if scale.is_some() {
            subresources.push(Subresource::Scale);
        }
        let info = KindInfo {
            group: leak(&spec["group"]),
            version: leak(&version["name"]),
            kind: leak(&names["kind"]),
            plural: leak(&names["plural"]),
            singular: leak(&names["singular"]),
            short_names: leak_all(&names["shortNames"]),
            namespaced: spec["scope"] == "Namespaced",
            categories: leak_all(&names["categories"]),
            subresources: subresources.leak(),
            generation: true,
        };
        let deprecation = (version["deprecated"] == true).then(|| {
            let default = || format!("{}/{} {} is deprecated", info.group, info.version, info.kind);
            version["deprecationWarning"].as_str().map_or_else(default, str::to_owned)
        });
        let fields = version["selectableFields"].as_array().into_iter().flatten();
        let schema = &version["schema"]["openAPIV3Schema"];
        Self {
            list_kind: leak(&names["listKind"]),
            schema: if schema.is_object() { Schema::read(schema) } else { Schema::open() },
            columns: columns::read(&version["additionalPrinterColumns"]),
            selectable_fields: fields
                .filter_map(|field| Some(field["jsonPath"].as_str()?.trim_start_matches('.').to_owned()))
                .collect(),
            scale: scale.map(|scale| Scale {
                spec_replicas: path(scale, "specReplicasPath").unwrap_or_default(),
                status_replicas: path(scale, "statusReplicasPath").unwrap_or_default(),
                label_selector: path(scale, "labelSelectorPath").filter(|path| !path.is_empty()),
            }),
            deprecation,
            is_storage: version["storage"] == true,
            info,
        }
    }
}

impl PartialEq for CustomKind {
    #[inline(never)]
    fn eq(&self, other: &Self) -> bool {
        self.is_same(*other) || self.name() == other.name()
    }
}

impl Eq for CustomKind {}

impl PartialOrd for CustomKind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CustomKind {
    #[inline(never)]
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(&other.name())
    }
}

impl Hash for CustomKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for CustomKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        write!(f, "{}.{}/{}", info.plural, info.group, info.version)
    }
}
