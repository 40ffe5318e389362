//! Reads the table's text. The text is ours: a mistake in it is a bug, so it panics with the line.

use std::collections::BTreeMap;

use super::{Custom, Field, MapKey, Patch, Struct, StructRef, Topology, Type, version_of};
use crate::machinery::order::Order as _;

/// What a name in a type can mean.
#[derive(Clone, Copy)]
enum Name {
    /// A string underneath.
    Text,
    /// A struct, by its place in the table.
    Struct(u16),
    /// A named map or list: what is underneath, as text.
    Alias(&'static str),
}

/// The names of all packages, with the apiVersion of each.
struct Names {
    by_package: BTreeMap<(&'static str, &'static str), Name>,
    api_versions: BTreeMap<&'static str, &'static str>,
}

/// Reads every package. Names may be used before they are declared, so this goes over the text twice.
pub(super) fn read(sources: &[&'static str]) -> Vec<Struct> {
    let names = collect_names(sources);
    let mut table: Vec<Struct> = Vec::new();
    for source in sources {
        let mut package = "";
        for line in source.lines() {
            if let Some(field) = line.strip_prefix('\t') {
                let owner = table.last_mut().expect("a field stands under its struct");
                owner.fields.push(names.field(package, field));
                continue;
            }
            let mut words = line.split_whitespace();
            match words.next() {
                Some("package") => package = words.next().expect("a package has a name"),
                Some("type") => {
                    let name = words.next().expect("a type has a name");
                    let marks: Vec<&str> = words.collect();
                    if marks.first() != Some(&"=") {
                        table.push(new_struct(&names, package, name, &marks));
                    }
                }
                _ => {}
            }
        }
    }
    for owner in &mut table {
        for (place, field) in (0..).zip(&mut owner.fields) {
            field.place = place;
        }
        owner.fields.order_by_key(|f| f.name);
    }
    table
}

fn new_struct(names: &Names, package: &'static str, name: &'static str, marks: &[&'static str]) -> Struct {
    let is_kind = marks.contains(&"kind");
    let fields = if is_kind {
        vec![names.field(package, "kind string"), names.field(package, "apiVersion string")]
    } else {
        Vec::new()
    };
    Struct {
        package,
        api_version: names.api_versions[package],
        name,
        is_kind,
        atomic: marks.contains(&"atomic"),
        fields,
    }
}

fn collect_names(sources: &[&'static str]) -> Names {
    let mut names = Names { by_package: BTreeMap::new(), api_versions: BTreeMap::new() };
    let mut structs = 0;
    for source in sources {
        let mut package = "";
        for line in source.lines().filter(|line| !line.starts_with('\t')) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("package") => {
                    package = words.next().expect("a package has a name");
                    let api_version = words.next().expect("a package has an apiVersion");
                    names.api_versions.insert(package, api_version);
                }
                Some("strings") => {
                    for name in words {
                        names.by_package.insert((package, name), Name::Text);
                    }
                }
                Some("type") => {
                    let name = words.next().expect("a type has a name");
                    let meaning = if words.next() == Some("=") {
                        Name::Alias(words.next().expect("a named type is over something"))
                    } else {
                        structs += 1;
                        Name::Struct(structs - 1)
                    };
                    names.by_package.insert((package, name), meaning);
                }
                _ => {}
            }
        }
    }
    names
}

impl Names {
    /// A field's line without its tab: name, type, then marks.
    fn field(&self, package: &'static str, line: &'static str) -> Field {
        let mut words = line.split_whitespace();
        let (Some(name), Some(ty)) = (words.next(), words.next()) else {
            panic!("a field has a name and a type: {line}");
        };
        let mut field = Field {
            name,
            ty: self.ty(package, ty),
            required: false,
            patch: Patch::default(),
            topology: Topology::Default,
            place: 0,
        };
        for mark in words {
            apply_mark(&mut field, mark);
        }
        field
    }

    fn ty(&self, package: &'static str, text: &'static str) -> Type {
        if let Some(inner) = text.strip_prefix('*') {
            return Type::Pointer(Box::new(self.ty(package, inner)));
        }
        if text == "[]byte" {
            return Type::Bytes;
        }
        if let Some(item) = text.strip_prefix("[]") {
            return Type::List(Box::new(self.ty(package, item)));
        }
        if let Some(rest) = text.strip_prefix("map[") {
            let (key, value) = rest.split_once(']').expect("a map's key ends with ]");
            return Type::Map(Box::new(self.ty(package, key)), Box::new(self.ty(package, value)));
        }
        if let Some((package, name)) = text.split_once('.') {
            return Type::String(Some((package, name)));
        }
        builtin(text).unwrap_or_else(|| self.resolve(package, text))
    }

    fn resolve(&self, package: &'static str, name: &'static str) -> Type {
        let found = [package, "meta", "core"]
            .into_iter()
            .find_map(|package| Some((package, *self.by_package.get(&(package, name))?)));
        let Some((package, meaning)) = found else {
            panic!("{package} uses {name}, which is declared nowhere");
        };
        let api_version = self.api_versions[package];
        match meaning {
            Name::Text => Type::String(Some((version_of(api_version), name))),
            Name::Struct(index) => Type::Struct(StructRef(index)),
            Name::Alias(text) => Type::Named(api_version, name, Box::new(self.ty(package, text))),
        }
    }
}

fn builtin(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "float64" => Type::Float64,
        "string" => Type::String(None),
        "Time" => Type::Custom(Custom::Time),
        "MicroTime" => Type::Custom(Custom::MicroTime),
        "Quantity" => Type::Custom(Custom::Quantity),
        "IntOrString" => Type::Custom(Custom::IntOrString),
        "RawExtension" | "FieldsV1" | "JSON" => Type::Custom(Custom::Any),
        "JSONSchemaPropsOrBool" => Type::Custom(Custom::SchemaOrBool),
        "JSONSchemaPropsOrArray" => Type::Custom(Custom::SchemaOrArray),
        "JSONSchemaPropsOrStringArray" => Type::Custom(Custom::SchemaOrStringArray),
        _ => return None,
    })
}

fn apply_mark(field: &mut Field, mark: &'static str) {
    match mark.split_once(':') {
        Some(("merge", key)) => {
            field.patch.merge = true;
            field.patch.merge_key = Some(key);
        }
        Some(("map", keys)) => field.topology = Topology::Map(keys.split(',').map(map_key).collect()),
        _ => match mark {
            "required" => field.required = true,
            "merge" => field.patch.merge = true,
            "retainKeys" => field.patch.retain_keys = true,
            "set" => field.topology = Topology::Set,
            "atomic" => field.topology = Topology::Atomic,
            "granular" => field.topology = Topology::Granular,
            _ => panic!("{} has the unknown mark {mark}", field.name),
        },
    }
}

fn map_key(text: &'static str) -> MapKey {
    match text.split_once('=') {
        Some((name, default)) => MapKey { name, default: Some(default) },
        None => MapKey { name: text, default: None },
    }
}
