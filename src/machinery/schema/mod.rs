//! The table of built-in types: every field of every kind, as upstream's `types.go` declares it.
//!
//! Three rooms read it. Decoding ([`super::strict`]) finds unknown fields and wrong types with Go's own words, which
//! needs Go's type names and which fields are pointers. Strategic merge patch needs the merge key of a list, and
//! server-side apply its list type. The files under `types/` hold the facts, one file a Go package, in Go's notation:
//!
//! ```text
//! package core v1                     the package and the apiVersion of its kinds
//! strings Protocol PullPolicy         types that are strings underneath
//! type ResourceList = map[ResourceName]Quantity
//! type ContainerPort                  a struct; `kind` adds apiVersion and kind, `atomic` is structType=atomic
//!     containerPort int32 required    `required`: written even when it has its zero value (no omitempty)
//!     name string                     Go's types: *int32, []Container, map[string]string …
//!     ports []ContainerPort merge:containerPort map:containerPort,protocol=TCP
//! ```
//!
//! After the type: `merge:KEY` or `merge` is `patchStrategy=merge` (with its `patchMergeKey`), `retainKeys` is
//! `patchStrategy=retainKeys`, `map:KEYS`, `set` and `atomic` are the list or map type of server-side apply
//! (`KEY=DEFAULT` where a key has a default); a list that says nothing is atomic, a map or struct granular.
//!
//! Fields stand in the order of Go's struct, in which Go's clients write an object's JSON; the packages `apiextensions`,
//! `flowcontrol`, `kubescheduler` and `resource`, whose objects no client prints so, have theirs by name.
//!
//! One field says `required` though Go leaves it out when empty: an autoscaler's `policies`, since validation tells an
//! empty list from a missing one, which gets the default policies.
//!
//! One package is no API of the server: `kubescheduler`, the scheduler's configuration, which it decodes like one.
//!
//! Not here: alpha and beta groups, which the simulated API server does not serve.

use std::sync::LazyLock;

mod read;

/// The whole table. It is a constant: read from text at first use because the text is a fraction of the size that the
/// same table has as compiled statics.
static TABLE: LazyLock<Vec<Struct>> = LazyLock::new(|| read::read(SOURCES));

/// The table's text, one entry a Go package. References are looked up in the own package, then in `meta`, then in
/// `core`.
const SOURCES: &[&str] = &[
    include_str!("types/meta.txt"),
    include_str!("types/core.txt"),
    include_str!("types/admissionregistration.txt"),
    include_str!("types/apiextensions.txt"),
    include_str!("types/apiregistration.txt"),
    include_str!("types/apps.txt"),
    include_str!("types/authentication.txt"),
    include_str!("types/authorization.txt"),
    include_str!("types/autoscaling.txt"),
    include_str!("types/autoscaling.v2.txt"),
    include_str!("types/batch.txt"),
    include_str!("types/certificates.txt"),
    include_str!("types/coordination.txt"),
    include_str!("types/discovery.txt"),
    include_str!("types/events.txt"),
    include_str!("types/flowcontrol.txt"),
    include_str!("types/kubescheduler.txt"),
    include_str!("types/networking.txt"),
    include_str!("types/node.txt"),
    include_str!("types/policy.txt"),
    include_str!("types/rbac.txt"),
    include_str!("types/resource.txt"),
    include_str!("types/scheduling.txt"),
    include_str!("types/storage.txt"),
];

/// A Go struct.
#[derive(Debug)]
pub struct Struct {
    /// The Go package in upstream's `k8s.io/api`: `core`, `apps`, `autoscaling.v2`, or `meta` for `apimachinery`.
    pub package: &'static str,
    /// The `apiVersion` of the package's kinds, such as `apps/v1`.
    pub api_version: &'static str,
    /// The Go name: `PodSpec`.
    pub name: &'static str,
    /// Whether it embeds `TypeMeta`, and so is (or is inlined like) a kind.
    pub is_kind: bool,
    /// Whether server-side apply owns it as a whole (`structType=atomic`).
    pub atomic: bool,
    fields: Vec<Field>,
}

/// A field of a Go struct.
#[derive(Debug)]
pub struct Field {
    /// The JSON name.
    pub name: &'static str,
    /// The Go type.
    pub ty: Type,
    /// Whether Go writes it even when it has its zero value.
    pub required: bool,
    /// What a strategic merge patch does here.
    pub patch: Patch,
    /// How server-side apply divides ownership here.
    pub topology: Topology,
    /// Its place among the fields of Go's struct.
    place: u8,
}

/// What a strategic merge patch does at a field (the `patchStrategy` and `patchMergeKey` tags).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Patch {
    /// `patchStrategy=merge`: a list is merged instead of being replaced.
    pub merge: bool,
    /// `patchMergeKey`: the key by which items are matched; none for lists of strings.
    pub merge_key: Option<&'static str>,
    /// `patchStrategy=retainKeys`: keys that the patch does not retain are dropped.
    pub retain_keys: bool,
}

/// How server-side apply divides a field's ownership (the `listType`, `mapType` and `structType` markers).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Topology {
    /// What upstream's schema takes when no marker is given: atomic for lists, granular for maps; a struct's own mark.
    #[default]
    Default,
    /// Owned as a whole.
    Atomic,
    /// Divided although the type itself is marked atomic.
    Granular,
    /// `listType=set`: each item is owned by its value.
    Set,
    /// `listType=map`: each item is owned by its keys.
    Map(Vec<MapKey>),
}

/// One `listMapKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapKey {
    /// The JSON name of the key's field.
    pub name: &'static str,
    /// The value that an item without the field has (only `protocol` has one: TCP).
    pub default: Option<&'static str>,
}

/// A Go type, as far as its JSON form and its name in error messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `float64`
    Float64,
    /// `[]byte`: base64 text in JSON.
    Bytes,
    /// `string`, or a type over it whose qualified name is given: `v1.Protocol`, `types.UID`.
    String(Option<(&'static str, &'static str)>),
    /// A type that reads its JSON itself.
    Custom(Custom),
    /// `*T`
    Pointer(Box<Type>),
    /// `[]T`
    List(Box<Type>),
    /// `map[K]V`; the key is always a string underneath.
    Map(Box<Type>, Box<Type>),
    /// A named map or list such as `v1.ResourceList`: package version, name and what is underneath.
    Named(&'static str, &'static str, Box<Type>),
    /// A struct of the table.
    Struct(StructRef),
}

/// Types with an `UnmarshalJSON` of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custom {
    /// `metav1.Time`: RFC 3339 text.
    Time,
    /// `metav1.MicroTime`: RFC 3339 text with microseconds.
    MicroTime,
    /// `resource.Quantity`: text or number.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
    /// Any JSON: `runtime.RawExtension`, `metav1.FieldsV1`, `apiextensions.JSON`.
    Any,
    /// `apiextensions.JSONSchemaPropsOrBool`.
    SchemaOrBool,
    /// `apiextensions.JSONSchemaPropsOrArray`.
    SchemaOrArray,
    /// `apiextensions.JSONSchemaPropsOrStringArray`.
    SchemaOrStringArray,
}

/// A reference to a struct of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StructRef(u16);

impl StructRef {
    /// The struct it refers to.
    #[must_use]
    pub fn get(self) -> &'static Struct {
        &TABLE[usize::from(self.0)]
    }
}

/// The struct of a kind: `lookup("apps/v1", "Deployment")`. `None` for kinds that are not built in.
#[must_use]
pub fn lookup(api_version: &str, kind: &str) -> Option<&'static Struct> {
    TABLE.iter().find(|s| s.is_kind && s.name == kind && s.api_version == api_version)
}

/// The struct of a Go name in a package: `named("meta", "ObjectMeta")`.
#[must_use]
pub fn named(package: &str, name: &str) -> Option<&'static Struct> {
    TABLE.iter().find(|s| s.name == name && s.package == package)
}

/// The package of the scheduler's configuration, whose kinds are not served.
const CONFIGURATION: &str = "kubescheduler";

/// Every built-in kind.
pub fn kinds() -> impl Iterator<Item = &'static Struct> {
    TABLE.iter().filter(|s| s.is_kind && s.package != CONFIGURATION)
}

impl Struct {
    /// The field of a JSON name. Names are compared with case, as the API server does.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| &self.fields[i])
    }

    /// The place of a field in Go's struct; those that it does not have come last.
    #[must_use]
    pub fn place(&self, name: &str) -> u8 {
        self.field(name).map_or(u8::MAX, |field| field.place)
    }

    /// All fields, by JSON name.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The name in Go's error messages: `v1.PodSpec`.
    #[must_use]
    pub fn go_name(&self) -> String {
        format!("{}.{}", version_of(self.api_version), self.name)
    }

    /// Walks down JSON field names, through lists and maps' values without a segment of their own for the list, and
    /// with one for a map's key: `["spec", "containers", "ports"]`, `["metadata", "labels", "app"]`.
    /// Returns the last field met; `None` when a name is unknown.
    #[must_use]
    pub fn walk(&'static self, path: &[&str]) -> Option<&'static Field> {
        let (first, mut rest) = path.split_first()?;
        let mut field = self.field(first)?;
        while let Some((name, after)) = rest.split_first() {
            rest = after;
            if field.ty.is_map() {
                if rest.is_empty() {
                    break;
                }
                continue;
            }
            field = field.ty.element()?.field(name)?;
        }
        Some(field)
    }
}

impl Field {
    /// How server-side apply divides the field, with upstream's defaults filled in.
    #[must_use]
    pub fn effective_topology(&self) -> Topology {
        match &self.topology {
            Topology::Default if self.ty.is_list() => Topology::Atomic,
            Topology::Default if self.ty.is_map() => Topology::Granular,
            Topology::Default => match self.ty.element() {
                Some(s) if s.atomic => Topology::Atomic,
                Some(_) => Topology::Granular,
                None => Topology::Atomic,
            },
            given => given.clone(),
        }
    }
}

impl Type {
    /// The type underneath pointers and names.
    #[must_use]
    pub fn underlying(&self) -> &Type {
        match self {
            Type::Pointer(inner) | Type::Named(_, _, inner) => inner.underlying(),
            other => other,
        }
    }

    /// Whether it is a list (text in base64 is not).
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.underlying(), Type::List(_))
    }

    /// Whether it is a map.
    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(self.underlying(), Type::Map(..))
    }

    /// The items' type of a list or the values' type of a map.
    #[must_use]
    pub fn items(&self) -> Option<&Type> {
        match self.underlying() {
            Type::List(item) | Type::Map(_, item) => Some(item),
            _ => None,
        }
    }

    /// The struct that this is, or that its items or values are.
    #[must_use]
    pub fn element(&self) -> Option<&'static Struct> {
        match self.underlying() {
            Type::Struct(s) => Some(s.get()),
            Type::List(item) | Type::Map(_, item) => item.element(),
            _ => None,
        }
    }

    /// The name in Go's error messages, as `reflect.Type.String()` gives it: `map[string]string`, `[]v1.ServicePort`.
    #[must_use]
    pub fn go_name(&self) -> String {
        match self {
            Type::Bool => "bool".to_owned(),
            Type::Int32 => "int32".to_owned(),
            Type::Int64 => "int64".to_owned(),
            Type::Float64 => "float64".to_owned(),
            Type::Bytes => "[]uint8".to_owned(),
            Type::String(None) => "string".to_owned(),
            Type::String(Some((package, name))) => format!("{package}.{name}"),
            Type::Named(api_version, name, _) => format!("{}.{name}", version_of(api_version)),
            Type::Custom(custom) => custom.go_name().to_owned(),
            Type::Pointer(inner) => format!("*{}", inner.go_name()),
            Type::List(item) => format!("[]{}", item.go_name()),
            Type::Map(key, value) => format!("map[{}]{}", key.go_name(), value.go_name()),
            Type::Struct(s) => s.get().go_name(),
        }
    }
}

impl Custom {
    fn go_name(self) -> &'static str {
        match self {
            Custom::Time => "v1.Time",
            Custom::MicroTime => "v1.MicroTime",
            Custom::Quantity => "resource.Quantity",
            Custom::IntOrString => "intstr.IntOrString",
            Custom::Any => "runtime.RawExtension",
            Custom::SchemaOrBool => "v1.JSONSchemaPropsOrBool",
            Custom::SchemaOrArray => "v1.JSONSchemaPropsOrArray",
            Custom::SchemaOrStringArray => "v1.JSONSchemaPropsOrStringArray",
        }
    }
}

/// The Go package name as messages print it: the last part of an apiVersion.
fn version_of(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or(api_version, |(_, version)| version)
}

#[cfg(test)]
mod tests;
