//! Holds a value against a struct of the table, as Go's decoder holds it against the struct itself.
//!
//! A wrong type is remembered and decoding goes on; the first is told in the end. An error from a type that reads its
//! JSON itself ends it at once, and so is told in favour of a wrong type that came before.

use serde_json::{Map, Value};

use crate::machinery::base64;
use crate::machinery::go_json::marshal;
use crate::machinery::quote::quote;
use crate::machinery::schema::{Field, Struct, Type};

use super::{Decoded, MAX_STRICT_ERRORS, custom};

/// Decodes a whole object.
pub(super) fn decode(kind: &'static Struct, value: &Value) -> Result<Decoded, String> {
    let mut decoder = Decoder { is_strict: true, ..Decoder::default() };
    let value = decoder.root(kind, value).map_err(|failure| decoder.tell(failure))?;
    match decoder.saved {
        Some(error) => Err(error),
        None => Ok(Decoded { value, strict_errors: decoder.strict_errors }),
    }
}

/// Why a value of a custom type cannot be read.
pub(super) enum Failure {
    /// A wrong type: told with the field at hand.
    Type { found: String, ty: String },
    /// A text that stands for itself.
    Text(String),
}

#[derive(Default)]
pub(super) struct Decoder {
    /// The struct at hand and the JSON names from the outermost struct to its field.
    struct_name: &'static str,
    fields: Vec<&'static str>,
    /// The path for strict errors, indices and map keys included.
    path: String,
    saved: Option<String>,
    pub(super) strict_errors: Vec<String>,
    is_strict: bool,
}

/// What a JSON value is called in `cannot unmarshal …`.
pub(crate) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A number's text as it was sent.
pub(super) fn number_text(number: &serde_json::Number) -> String {
    // A whole float below this can only have been sent as `1.0`, which Go's encoder never writes.
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => number.to_string(),
        _ => marshal(&Value::Number(number.clone())),
    }
}

impl Decoder {
    /// A decoder for a value within a custom type, which reads without strictness.
    pub(super) fn lenient() -> Self {
        Self::default()
    }

    /// The first wrong type that was met, if any.
    pub(super) fn saved(self) -> Option<String> {
        self.saved
    }

    pub(super) fn root(&mut self, kind: &'static Struct, value: &Value) -> Result<Value, Failure> {
        self.structure(kind, value)
    }

    /// Go's sentence for a failure at the field at hand.
    pub(super) fn tell(&self, failure: Failure) -> String {
        match failure {
            Failure::Text(text) => text,
            Failure::Type { found, ty } if self.fields.is_empty() => {
                format!("json: cannot unmarshal {found} into Go value of type {ty}")
            }
            Failure::Type { found, ty } => {
                let (owner, path) = (self.struct_name, self.fields.join("."));
                format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {ty}")
            }
        }
    }

    fn wrong_type(&mut self, found: String, ty: String) {
        if self.saved.is_none() {
            self.saved = Some(self.tell(Failure::Type { found, ty }));
        }
    }

    fn strict_error(&mut self, key: &str) {
        if !self.is_strict || self.strict_errors.len() >= MAX_STRICT_ERRORS {
            return;
        }
        let dot = if self.path.is_empty() { "" } else { "." };
        let error = format!("unknown field {}", quote(&format!("{}{dot}{key}", self.path)));
        if !self.strict_errors.contains(&error) {
            self.strict_errors.push(error);
        }
    }

    /// Does something one step down the strict path.
    fn within<T>(&mut self, step: impl FnOnce(&mut String), then: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        step(&mut self.path);
        let result = then(self);
        self.path.truncate(length);
        result
    }

    fn structure(&mut self, owner: &'static Struct, value: &Value) -> Result<Value, Failure> {
        let Value::Object(object) = value else {
            if !value.is_null() {
                self.wrong_type(go_kind(value).to_owned(), owner.go_name());
            }
            return Ok(Value::Object(Map::new()));
        };
        let mut result = Map::with_capacity(object.len());
        for (key, value) in object {
            let Some(field) = owner.field(key) else {
                self.strict_error(key);
                continue;
            };
            if value.is_null() {
                // Null fits every type and sets nothing.
                if is_required_scalar(field) {
                    result.insert(key.clone(), zero(&field.ty));
                }
                continue;
            }
            let outer = std::mem::replace(&mut self.struct_name, owner.name);
            self.fields.push(field.name);
            // On a failure the context must stay as it is: it is where the failure was met.
            let decoded = self.within(|path| push_key(path, key), |this| this.value(&field.ty, value))?;
            self.fields.pop();
            self.struct_name = outer;
            if field.required || TOLD_WHEN_EMPTY.contains(&field.name) || !is_empty(&field.ty, &decoded) {
                result.insert(key.clone(), decoded);
            }
        }
        Ok(Value::Object(result))
    }

    fn value(&mut self, ty: &Type, value: &Value) -> Result<Value, Failure> {
        match ty {
            Type::Pointer(inner) if value.is_null() => Ok(zero(inner)),
            Type::Pointer(inner) => self.value(inner, value),
            Type::Named(_, _, inner) if matches_shape(inner, value) => self.value(inner, value),
            Type::Struct(owner) => self.structure(owner.get(), value),
            Type::Custom(ty) => custom::decode(*ty, value),
            Type::List(item) => match value {
                Value::Array(items) => self.list(item, items),
                _ => Ok(self.mismatch(ty, value)),
            },
            Type::Map(_, item) => match value {
                Value::Object(fields) => self.map(item, fields),
                _ => Ok(self.mismatch(ty, value)),
            },
            Type::Bytes => self.bytes(value),
            Type::Int32 | Type::Int64 => Ok(self.integer(ty, value)),
            Type::Float64 if value.is_number() => Ok(value.clone()),
            Type::Bool if value.is_boolean() => Ok(value.clone()),
            Type::String(_) if value.is_string() => Ok(value.clone()),
            _ => Ok(self.mismatch(ty, value)),
        }
    }

    /// The zero value, after a word about the wrong type unless the value is null, which fits everything.
    fn mismatch(&mut self, ty: &Type, value: &Value) -> Value {
        if !value.is_null() {
            self.wrong_type(go_kind(value).to_owned(), ty.go_name());
        }
        zero(ty)
    }

    fn list(&mut self, item: &Type, items: &[Value]) -> Result<Value, Failure> {
        let mut result = Vec::with_capacity(items.len());
        for (index, value) in items.iter().enumerate() {
            result.push(self.within(|path| *path += &format!("[{index}]"), |this| this.value(item, value))?);
        }
        Ok(Value::Array(result))
    }

    fn map(&mut self, item: &Type, fields: &Map<String, Value>) -> Result<Value, Failure> {
        let mut result = Map::with_capacity(fields.len());
        for (key, value) in fields {
            let decoded = self.within(|path| push_key(path, key), |this| this.value(item, value))?;
            result.insert(key.clone(), decoded);
        }
        Ok(Value::Object(result))
    }

    fn integer(&mut self, ty: &Type, value: &Value) -> Value {
        let Value::Number(number) = value else { return self.mismatch(ty, value) };
        match number.as_i64() {
            Some(whole) if *ty == Type::Int64 || i32::try_from(whole).is_ok() => value.clone(),
            _ => {
                self.wrong_type(format!("number {}", number_text(number)), ty.go_name());
                zero(ty)
            }
        }
    }

    /// `[]byte` is text in base64; Go also takes a list of numbers.
    fn bytes(&mut self, value: &Value) -> Result<Value, Failure> {
        match value {
            Value::String(text) => match base64::decode(text) {
                Ok(bytes) => Ok(Value::String(base64::encode(&bytes))),
                Err(at) => {
                    if self.saved.is_none() {
                        self.saved = Some(format!("illegal base64 data at input byte {at}"));
                    }
                    Ok(Value::String(String::new()))
                }
            },
            Value::Array(items) => {
                let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
                match items.iter().map(byte).collect::<Option<Vec<u8>>>() {
                    Some(bytes) => Ok(Value::String(base64::encode(&bytes))),
                    None => {
                        let wrong = items.iter().find(|item| byte(item).is_none()).unwrap_or(&Value::Null);
                        self.wrong_type(go_kind(wrong).to_owned(), "uint8".to_owned());
                        Ok(Value::String(String::new()))
                    }
                }
            }
            _ => Ok(self.mismatch(&Type::Bytes, value)),
        }
    }
}

fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// Whether a named map or list meets its like, so that a mismatch is told with its name rather than with what is
/// under it.
fn matches_shape(inner: &Type, value: &Value) -> bool {
    match inner {
        Type::List(_) => value.is_array(),
        Type::Map(..) => value.is_object(),
        _ => true,
    }
}

/// Whether Go writes the field's zero value, and that is not null.
fn is_required_scalar(field: &Field) -> bool {
    field.required && matches!(field.ty, Type::Bool | Type::Int32 | Type::Int64 | Type::Float64 | Type::String(_))
}

/// The zero value inside a list or map, where it cannot be left out.
pub(super) fn zero(ty: &Type) -> Value {
    match ty.underlying() {
        Type::Bool => Value::Bool(false),
        Type::Int32 | Type::Int64 | Type::Float64 => Value::from(0),
        Type::String(_) | Type::Bytes => Value::String(String::new()),
        Type::List(_) => Value::Array(Vec::new()),
        Type::Map(..) | Type::Struct(_) => Value::Object(Map::new()),
        Type::Custom(ty) => custom::zero(*ty),
        Type::Pointer(_) | Type::Named(..) => Value::Null,
    }
}

/// Maps that validation tells from missing ones, so that it can show them as they came.
const TOLD_WHEN_EMPTY: [&str; 2] = ["capacity", "labels"];

/// Whether `omitempty` leaves the value out. It never leaves out structs, nor what a pointer points to.
fn is_empty(ty: &Type, value: &Value) -> bool {
    match ty {
        Type::Pointer(_) | Type::Struct(_) => false,
        Type::Named(_, _, inner) => is_empty(inner, value),
        Type::Custom(_) => value.is_null(),
        _ => match value {
            Value::Null | Value::Bool(false) => true,
            Value::Bool(true) => false,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
        },
    }
}
