//! What the table of types says of a field to a strategic merge patch.

use super::super::schema::{Custom, Field, Patch, Struct, Type};
use super::PatchError;

/// Where in the types a patch is: at a kind, or at the type of one of its fields.
#[derive(Clone, Copy)]
pub(super) enum Meta {
    Struct(&'static Struct),
    Type(&'static Type),
}

impl Meta {
    /// The type and patch strategy of a field whose value is an object
    /// (`LookupPatchMetadataForStruct`).
    pub(super) fn field(self, name: &str) -> Result<(Self, &'static Patch), PatchError> {
        let field = self.lookup(name)?;
        Ok((Self::Type(&field.ty), &field.patch))
    }

    /// The type of the items and the patch strategy of a field whose value is a list
    /// (`LookupPatchMetadataForSlice`).
    pub(super) fn list(self, name: &str) -> Result<(Self, &'static Patch), PatchError> {
        let field = self.lookup(name)?;
        match field.ty.underlying() {
            Type::List(item) if item.is_list() => Err(PatchError::Other("unexpected slice of slice".to_owned())),
            Type::List(item) => Ok((Self::Type(item), &field.patch)),
            _ => Err(PatchError::Other(format!("expected slice or array type, but got: {}", self.kind()))),
        }
    }

    fn lookup(self, name: &str) -> Result<&'static Field, PatchError> {
        let (owner, type_name) = match self {
            Self::Struct(owner) => (Some(owner), owner.name),
            Self::Type(ty) => match ty.underlying() {
                Type::Struct(reference) => (Some(reference.get()), reference.get().name),
                Type::Custom(custom) => (None, custom_name(*custom)),
                _ => {
                    let kind = self.kind();
                    return Err(PatchError::Other(format!(
                        "merging an object in json but data type is not struct, instead is: {kind}"
                    )));
                }
            },
        };
        owner.and_then(|owner| owner.field(name)).ok_or_else(|| {
            PatchError::Other(format!("unable to find api field in struct {type_name} for the json field \"{name}\""))
        })
    }

    /// Go's kind of the type.
    pub(super) fn kind(self) -> &'static str {
        let Self::Type(ty) = self else {
            return "struct";
        };
        match ty.underlying() {
            Type::Bool => "bool",
            Type::Int32 => "int32",
            Type::Int64 => "int64",
            Type::Float64 => "float64",
            Type::String(_) => "string",
            Type::Bytes | Type::List(_) => "slice",
            Type::Map(..) => "map",
            Type::Custom(_) | Type::Struct(_) => "struct",
            Type::Pointer(_) | Type::Named(..) => "ptr",
        }
    }
}

fn custom_name(custom: Custom) -> &'static str {
    match custom {
        Custom::Time => "Time",
        Custom::MicroTime => "MicroTime",
        Custom::Quantity => "Quantity",
        Custom::IntOrString => "IntOrString",
        Custom::Any => "RawExtension",
        Custom::SchemaOrBool => "JSONSchemaPropsOrBool",
        Custom::SchemaOrArray => "JSONSchemaPropsOrArray",
        Custom::SchemaOrStringArray => "JSONSchemaPropsOrStringArray",
    }
}
