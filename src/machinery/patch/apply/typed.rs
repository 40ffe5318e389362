//! What a value is to ownership: `schema.Atom` and the items of lists.

use serde_json::Value;

use super::element::{Element, Scalar};
use crate::machinery::order::Order as _;
use crate::machinery::schema::{self, Custom, MapKey, Struct, Topology, Type};
use crate::machinery::structural::{Additional, ListType, Schema};

/// The type at a place of an object.
#[derive(Clone, Copy, Debug)]
pub enum TypeRef {
    /// A struct of the table that nothing is said of by a field: a whole object.
    Struct(&'static Struct),
    /// The type of a field, and how the field divides it.
    Field(&'static Type, &'static Topology),
    /// What a schema of a CustomResourceDefinition says.
    Schema(&'static Schema),
    /// The same, of a whole resource, which has metadata besides.
    Resource(&'static Schema),
    /// A type that nothing is known of: maps are divided, lists are owned whole (`DeducedParseableType`).
    Deduced,
}

/// What a scalar may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarType {
    /// An integer or a float.
    Numeric,
    /// A text.
    String,
    /// Yes or no.
    Boolean,
    /// Any of them: quantities, times, `IntOrString`.
    Untyped,
}

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug)]
pub enum Relation {
    /// They are not: the list is owned whole.
    Atomic,
    /// By their values.
    Set,
    /// By their keys, which are fields of this struct.
    Map(&'static [MapKey], Option<&'static Struct>),
    /// By the keys that the schema of the list names.
    Keys(&'static [String], Option<&'static Schema>),
}

/// The fields that a type declares.
#[derive(Clone, Copy, Debug)]
pub enum Fields {
    /// Those of a struct.
    Struct(&'static Struct),
    /// Those of a schema.
    Schema(&'static Schema),
    /// Those of a schema, and those that every resource has.
    Resource(&'static Schema),
}

impl Fields {
    /// The type of a field; nothing when it is not declared.
    #[must_use]
    pub fn field(self, name: &str) -> Option<TypeRef> {
        match self {
            Self::Struct(fields) => fields.field(name).map(|field| TypeRef::Field(&field.ty, &field.topology)),
            Self::Schema(schema) => schema.properties.get(name).map(TypeRef::of_schema),
            Self::Resource(schema) => of_every_resource(name).or_else(|| Self::Schema(schema).field(name)),
        }
    }
}

/// A text.
const TEXT: &Type = &Type::String(None);

/// The fields that every resource has, whatever its schema says.
#[inline(never)]
fn of_every_resource(name: &str) -> Option<TypeRef> {
    match name {
        "apiVersion" | "kind" => Some(TypeRef::Field(TEXT, UNSAID)),
        "metadata" => schema::named("meta", "ObjectMeta").map(TypeRef::Struct),
        _ => None,
    }
}

/// What a value with this type is made of.
#[derive(Clone, Copy, Debug)]
pub enum Atom {
    /// Nothing.
    Scalar(ScalarType),
    /// Items.
    List(Relation, TypeRef),
    /// Fields, or entries; `atomic` when it is owned whole.
    Map {
        /// Whether it is owned whole.
        atomic: bool,
        /// The fields that are declared.
        fields: Option<Fields>,
        /// What the others are; without it there may be no others.
        item: Option<TypeRef>,
    },
}

/// What the items of lists and the values of maps have: nothing is said of them but by their own type.
const UNSAID: &Topology = &Topology::Default;

impl TypeRef {
    /// The type that a schema describes.
    #[must_use]
    pub const fn of_schema(schema: &'static Schema) -> Self {
        if schema.is_embedded { Self::Resource(schema) } else { Self::Schema(schema) }
    }

    /// What a value of the type is made of. The value decides for types that nothing is known of.
    #[must_use]
    pub fn atom(self, value: Option<&Value>) -> Atom {
        match self {
            Self::Struct(fields) => {
                Atom::Map { atomic: fields.atomic, fields: Some(Fields::Struct(fields)), item: None }
            }
            Self::Schema(schema) => of_schema(schema, value),
            Self::Resource(schema) => Atom::Map {
                atomic: false,
                fields: Some(Fields::Resource(schema)),
                item: schema.preserves_unknown.then_some(Self::Deduced),
            },
            Self::Field(ty, topology) => of_field(ty, topology, value),
            Self::Deduced => match value {
                Some(Value::Array(_)) => Atom::List(Relation::Atomic, Self::Deduced),
                None | Some(Value::Object(_) | Value::Null) => {
                    Atom::Map { atomic: false, fields: None, item: Some(Self::Deduced) }
                }
                Some(_) => Atom::Scalar(ScalarType::Untyped),
            },
        }
    }

    /// The type of a field or entry; nothing when there may be none of the name.
    #[must_use]
    pub fn field(self, name: &str) -> Option<Self> {
        match self.atom(None) {
            Atom::Map { fields, item, .. } => fields.and_then(|fields| fields.field(name)).or(item),
            _ => None,
        }
    }

    /// Whether a struct declares the field.
    #[must_use]
    pub fn is_declared(self, name: &str) -> bool {
        matches!(self.atom(None), Atom::Map { fields: Some(fields), .. } if fields.field(name).is_some())
    }

    /// The type behind a step. What cannot be there is of unknown type.
    #[must_use]
    pub fn step(self, element: &Element) -> Self {
        match (element, self.atom(None)) {
            (Element::Field(name), _) => self.field(name).unwrap_or(Self::Deduced),
            (Element::Key(_), Atom::List(_, item)) => item,
            _ => Self::Deduced,
        }
    }
}

#[inline(never)]
fn of_schema(schema: &'static Schema, value: Option<&Value>) -> Atom {
    if schema.is_int_or_string {
        return Atom::Scalar(ScalarType::Untyped);
    }
    match schema.ty.as_str() {
        "boolean" => Atom::Scalar(ScalarType::Boolean),
        "integer" | "number" => Atom::Scalar(ScalarType::Numeric),
        "string" => Atom::Scalar(ScalarType::String),
        "array" => {
            let items = schema.items.as_deref();
            let relation = match &schema.list {
                ListType::Atomic => Relation::Atomic,
                ListType::Set => Relation::Set,
                ListType::Map(keys) => Relation::Keys(keys, items),
            };
            Atom::List(relation, items.map_or(TypeRef::Deduced, TypeRef::of_schema))
        }
        "object" => {
            let item = match &schema.additional {
                Some(Additional::Schema(schema)) => Some(TypeRef::of_schema(schema)),
                Some(Additional::Allowed(true)) => Some(TypeRef::Deduced),
                _ => schema.preserves_unknown.then_some(TypeRef::Deduced),
            };
            let fields = Some(Fields::Schema(schema)).filter(|_| !schema.properties.is_empty() || item.is_none());
            Atom::Map { atomic: schema.is_atomic_map, fields, item }
        }
        _ => TypeRef::Deduced.atom(value),
    }
}

fn of_field(ty: &'static Type, topology: &'static Topology, value: Option<&Value>) -> Atom {
    let scalar = Atom::Scalar;
    match ty.underlying() {
        Type::Bool => scalar(ScalarType::Boolean),
        Type::Int32 | Type::Int64 | Type::Float64 => scalar(ScalarType::Numeric),
        Type::String(_) | Type::Bytes => scalar(ScalarType::String),
        Type::Custom(Custom::Time | Custom::MicroTime | Custom::Quantity | Custom::IntOrString) => {
            scalar(ScalarType::Untyped)
        }
        Type::Custom(_) | Type::Pointer(_) | Type::Named(..) => TypeRef::Deduced.atom(value),
        Type::List(item) => {
            let relation = match topology {
                Topology::Set => Relation::Set,
                Topology::Map(keys) => Relation::Map(keys, item.element()),
                _ => Relation::Atomic,
            };
            Atom::List(relation, TypeRef::Field(item, UNSAID))
        }
        Type::Map(_, item) => {
            Atom::Map { atomic: *topology == Topology::Atomic, fields: None, item: Some(TypeRef::Field(item, UNSAID)) }
        }
        Type::Struct(reference) => {
            let fields = reference.get();
            let atomic = match topology {
                Topology::Atomic => true,
                Topology::Granular => false,
                _ => fields.atomic,
            };
            Atom::Map { atomic, fields: Some(Fields::Struct(fields)), item: None }
        }
    }
}

impl Atom {
    /// Whether a value has no parts of this sort: what is of another sort has none.
    #[must_use]
    pub fn finds_nothing_in(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::List(..), Some(Value::Array(items))) => items.is_empty(),
            (Self::Map { .. }, Some(Value::Object(fields))) => fields.is_empty(),
            _ => true,
        }
    }
}

impl Relation {
    /// Whether the list is owned whole.
    #[must_use]
    pub const fn is_atomic(self) -> bool {
        matches!(self, Self::Atomic)
    }

    /// What tells an item from the others.
    ///
    /// # Errors
    /// Why it cannot be told, in upstream's words.
    pub fn element(self, item: &Value) -> Result<Element, String> {
        match self {
            Self::Atomic => Err("invalid indexing of non-associative list".to_owned()),
            Self::Set => set_element(item),
            Self::Map(keys, fields) => {
                let of_name = |name: &str| keys.iter().find(|key| key.name == name);
                let default = |name: &str| of_name(name).and_then(|key| key_default(key, fields));
                keyed_element(keys.iter().map(|key| key.name), &default, item)
            }
            Self::Keys(keys, items) => {
                let default = |name: &str| Scalar::of(items?.properties.get(name)?.default.as_ref()?);
                keyed_element(keys.iter().map(String::as_str), &default, item)
            }
        }
    }
}

fn set_element(item: &Value) -> Result<Element, String> {
    let why = match item {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        scalar => return Scalar::of(scalar).map(Element::Value).ok_or_else(String::new),
    };
    Err(why.to_owned())
}

/// The name of an item by its keys; `default` tells what a key is that the item leaves out.
fn keyed_element<'a>(
    keys: impl Iterator<Item = &'a str>,
    default: &dyn Fn(&str) -> Option<Scalar>,
    item: &Value,
) -> Result<Element, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let mut found = Vec::new();
    for name in keys {
        let value = match fields.get(name) {
            Some(value) => Scalar::of(value).ok_or_else(|| format!("the key field {name:?} has parts"))?,
            None => default(name).ok_or_else(|| {
                format!(
                    "associative list with keys has an element that omits key field {name:?} (and doesn't have default value)"
                )
            })?,
        };
        found.push((name.into(), value));
    }
    Ok(Element::key(found))
}

/// What an item that leaves a key out has there: upstream's OpenAPI gives the zero value as the default of every field
/// that is always written.
fn key_default(key: &MapKey, of: Option<&Struct>) -> Option<Scalar> {
    if let Some(default) = key.default {
        return Some(Scalar::Text(default.into()));
    }
    let field = of?.field(key.name).filter(|field| field.required)?;
    Some(match field.ty {
        Type::String(_) => Scalar::Text("".into()),
        Type::Int32 | Type::Int64 => Scalar::Number(0.into()),
        Type::Bool => Scalar::Bool(false),
        _ => return None,
    })
}

/// The items of a list by what names them.
#[derive(Debug)]
pub struct Items<'a> {
    items: Vec<(Element, &'a Value)>,
    /// Places in `items` in the order of the names; of one name, in the order of the list.
    sorted: Vec<usize>,
}

impl<'a> Items<'a> {
    /// Names the items of a list; what is no list has none.
    ///
    /// # Errors
    /// When an item cannot be named.
    pub fn read(list: Option<&'a Value>, relation: Relation) -> Result<Self, String> {
        let items = list.and_then(Value::as_array).into_iter().flatten().enumerate().map(|(index, item)| {
            let element = relation.element(item).map_err(|why| format!("element {index}: {why}"))?;
            Ok((element, item))
        });
        items.collect::<Result<_, String>>().map(Self::new)
    }

    /// As [`Self::read`], without the items that cannot be named.
    #[must_use]
    pub fn named(list: Option<&'a Value>, relation: Relation) -> Self {
        let items = list.and_then(Value::as_array).into_iter().flatten();
        Self::new(items.filter_map(|item| Some((relation.element(item).ok()?, item))).collect())
    }

    fn new(items: Vec<(Element, &'a Value)>) -> Self {
        let mut sorted: Vec<usize> = (0..items.len()).collect();
        sorted.order_by(|&a, &b| items[a].0.cmp(&items[b].0));
        Self { items, sorted }
    }

    /// The items in the order of the list.
    #[must_use]
    pub fn in_order(&self) -> &[(Element, &'a Value)] {
        &self.items
    }

    /// Where the name stands among the sorted ones, and how many items have it.
    fn range(&self, element: &Element) -> std::ops::Range<usize> {
        let start = self.sorted.partition_point(|&place| self.items[place].0 < *element);
        let length = self.sorted[start..].iter().take_while(|&&place| self.items[place].0 == *element).count();
        start..start + length
    }

    /// The items of a name. There should be one at most; old objects may have more.
    #[must_use]
    pub fn of(&self, element: &Element) -> Vec<&'a Value> {
        self.sorted[self.range(element)].iter().map(|&place| self.items[place].1).collect()
    }

    /// Whether an item has the name.
    #[must_use]
    pub fn has(&self, element: &Element) -> bool {
        !self.range(element).is_empty()
    }

    /// The names, each once, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&Element> {
        let mut names: Vec<&Element> = self.sorted.iter().map(|&place| &self.items[place].0).collect();
        names.dedup();
        names
    }
}

/// The entries of a map in the order of their names; what is no map has none.
#[must_use]
pub fn entries(value: Option<&Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<(&String, &Value)> = value.and_then(Value::as_object).into_iter().flatten().collect();
    entries.order_by(|a, b| a.0.cmp(b.0));
    entries
}
