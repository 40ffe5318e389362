//! From a type to a value.

use std::fmt;

use serde::Serialize;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};
use serde_json::{Map, Value};

/// Writes a type as a value. What JSON cannot say (a number that is none, a key that is no text) becomes null.
#[must_use]
// By itself, as `from_value`.
#[inline(never)]
pub fn to_value<T: Serialize + ?Sized>(it: &T) -> Value {
    it.serialize(Output).unwrap_or(Value::Null)
}

/// A type that refused to be written.
#[derive(Debug)]
struct WriteError;

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot be written as JSON")
    }
}

impl std::error::Error for WriteError {}

impl Error for WriteError {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

struct Output;

impl Serializer for Output {
    type Ok = Value;
    type Error = WriteError;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    fn serialize_bool(self, value: bool) -> Result<Value, WriteError> {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Value, WriteError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<Value, WriteError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<Value, WriteError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<Value, WriteError> {
        Ok(value.into())
    }

    fn serialize_u8(self, value: u8) -> Result<Value, WriteError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<Value, WriteError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<Value, WriteError> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<Value, WriteError> {
        Ok(value.into())
    }

    fn serialize_f32(self, value: f32) -> Result<Value, WriteError> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Value, WriteError> {
        Ok(value.into())
    }

    fn serialize_char(self, value: char) -> Result<Value, WriteError> {
        Ok(Value::String(value.into()))
    }

    fn serialize_str(self, value: &str) -> Result<Value, WriteError> {
        Ok(Value::String(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, WriteError> {
        Ok(Value::Array(value.iter().map(|&byte| byte.into()).collect()))
    }

    fn serialize_none(self) -> Result<Value, WriteError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, WriteError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, WriteError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, WriteError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, WriteError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value, WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, WriteError> {
        Ok(tagged(variant, value.serialize(self)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<List, WriteError> {
        Ok(List { items: Vec::with_capacity(len.unwrap_or(0)), variant: "" })
    }

    fn serialize_tuple(self, len: usize) -> Result<List, WriteError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<List, WriteError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List, WriteError> {
        Ok(List { items: Vec::new(), variant })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Fields, WriteError> {
        Ok(Fields { fields: Map::with_capacity(len.unwrap_or(0)), key: String::new(), variant: "" })
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Fields, WriteError> {
        self.serialize_map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Fields, WriteError> {
        Ok(Fields { fields: Map::new(), key: String::new(), variant })
    }
}

/// A choice with something in it: an object with the choice's name as its only key.
fn tagged(variant: &str, content: Value) -> Value {
    if variant.is_empty() {
        return content;
    }
    let mut object = Map::new();
    object.insert(variant.to_owned(), content);
    Value::Object(object)
}

/// A list that is being written.
struct List {
    items: Vec<Value>,
    variant: &'static str,
}

impl List {
    #[inline(never)]
    fn push(&mut self, item: Result<Value, WriteError>) -> Result<(), WriteError> {
        self.items.push(item?);
        Ok(())
    }

    fn finish(self) -> Value {
        tagged(self.variant, Value::Array(self.items))
    }
}

/// An object that is being written.
struct Fields {
    fields: Map<String, Value>,
    /// The key that waits for its value.
    key: String,
    variant: &'static str,
}

impl Fields {
    #[inline(never)]
    fn put(&mut self, key: &str, value: Result<Value, WriteError>) -> Result<(), WriteError> {
        self.fields.insert(key.to_owned(), value?);
        Ok(())
    }

    fn finish(self) -> Value {
        tagged(self.variant, Value::Object(self.fields))
    }
}

impl SerializeMap for Fields {
    type Ok = Value;
    type Error = WriteError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WriteError> {
        self.key = match key.serialize(Output)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err(WriteError),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        let key = std::mem::take(&mut self.key);
        self.put(&key, value.serialize(Output))
    }

    fn end(self) -> Result<Value, WriteError> {
        Ok(self.finish())
    }
}

/// Implements a way to write fields by name.
macro_rules! fields {
    ($trait:ident) => {
        impl $trait for Fields {
            type Ok = Value;
            type Error = WriteError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), WriteError> {
                self.put(key, value.serialize(Output))
            }

            fn end(self) -> Result<Value, WriteError> {
                Ok(self.finish())
            }
        }
    };
}

/// Implements a way to write items.
macro_rules! items {
    ($trait:ident, $method:ident) => {
        impl $trait for List {
            type Ok = Value;
            type Error = WriteError;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), WriteError> {
                self.push(item.serialize(Output))
            }

            fn end(self) -> Result<Value, WriteError> {
                Ok(self.finish())
            }
        }
    };
}

fields!(SerializeStruct);
fields!(SerializeStructVariant);
items!(SerializeSeq, serialize_element);
items!(SerializeTuple, serialize_element);
items!(SerializeTupleStruct, serialize_field);
items!(SerializeTupleVariant, serialize_field);
