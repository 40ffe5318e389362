//! From a value to a type.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

/// Why a value is not what a type wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    what: &'static str,
    /// The field, where serde knows it.
    field: &'static str,
}

impl ReadError {
    const WRONG_TYPE: Self = Self { what: "a value has the wrong type", field: "" };
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if self.field.is_empty() { Ok(()) } else { write!(f, " {:?}", self.field) }
    }
}

impl std::error::Error for ReadError {}

impl Error for ReadError {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self { what: "a value is malformed", field: "" }
    }

    fn invalid_type(_found: Unexpected<'_>, _expected: &dyn Expected) -> Self {
        Self::WRONG_TYPE
    }

    fn invalid_value(_found: Unexpected<'_>, _expected: &dyn Expected) -> Self {
        Self { what: "a value is out of range", field: "" }
    }

    fn invalid_length(_len: usize, _expected: &dyn Expected) -> Self {
        Self { what: "a list has the wrong length", field: "" }
    }

    fn unknown_variant(_variant: &str, _expected: &'static [&'static str]) -> Self {
        Self { what: "a choice is unknown", field: "" }
    }

    fn unknown_field(_field: &str, _expected: &'static [&'static str]) -> Self {
        Self { what: "a field is unknown", field: "" }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { what: "missing field", field }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self { what: "duplicate field", field }
    }
}

/// Reads a type from a value.
///
/// # Errors
/// When the value has not the type's shape.
// By itself, so that a type that a new cluster has none of is not among what the page loads first.
#[inline(never)]
pub fn from_value<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, ReadError> {
    T::deserialize(Input::Value(value))
}

/// What is read: a value, or the key of a map.
#[derive(Clone, Copy)]
enum Input<'de> {
    Value(&'de Value),
    Key(&'de str),
}

impl<'de> Input<'de> {
    fn text(self) -> Result<&'de str, ReadError> {
        match self {
            Input::Key(text) => Ok(text),
            Input::Value(Value::String(text)) => Ok(text),
            Input::Value(_) => Err(ReadError::WRONG_TYPE),
        }
    }

    fn integer(self) -> Result<i64, ReadError> {
        match self {
            // A map's key is text, whatever type it is read as.
            Input::Key(text) => text.parse().map_err(|_| ReadError::WRONG_TYPE),
            Input::Value(Value::Number(number)) => number.as_i64().ok_or(ReadError::WRONG_TYPE),
            Input::Value(_) => Err(ReadError::WRONG_TYPE),
        }
    }

    fn natural(self) -> Result<u64, ReadError> {
        match self {
            Input::Key(text) => text.parse().map_err(|_| ReadError::WRONG_TYPE),
            Input::Value(Value::Number(number)) => number.as_u64().ok_or(ReadError::WRONG_TYPE),
            Input::Value(_) => Err(ReadError::WRONG_TYPE),
        }
    }

    fn object(self) -> Result<&'de Map<String, Value>, ReadError> {
        match self {
            Input::Value(Value::Object(object)) => Ok(object),
            _ => Err(ReadError::WRONG_TYPE),
        }
    }

    fn list(self) -> Result<&'de [Value], ReadError> {
        match self {
            Input::Value(Value::Array(list)) => Ok(list),
            _ => Err(ReadError::WRONG_TYPE),
        }
    }
}

impl<'de> Deserializer<'de> for Input<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Input::Key(text) => visitor.visit_str(text),
            Input::Value(Value::Null) => visitor.visit_unit(),
            Input::Value(Value::Bool(value)) => visitor.visit_bool(*value),
            Input::Value(Value::String(text)) => visitor.visit_str(text),
            Input::Value(Value::Array(list)) => visitor.visit_seq(Items(list.iter())),
            Input::Value(Value::Object(object)) => visitor.visit_map(Entries { left: object.iter(), value: None }),
            Input::Value(Value::Number(number)) => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or_default())
                }
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Input::Value(Value::Bool(value)) => visitor.visit_bool(*value),
            _ => Err(ReadError::WRONG_TYPE),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_u64(self.natural()?)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_u64(self.natural()?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_u64(self.natural()?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_u64(self.natural()?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Input::Value(Value::Number(number)) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            _ => Err(ReadError::WRONG_TYPE),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Input::Value(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_seq(Items(self.list()?.iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_map(Entries { left: self.object()?.iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let (name, content) = match self {
            Input::Value(Value::Object(object)) if object.len() == 1 => {
                let (name, content) = object.iter().next().expect("it has one entry");
                (name.as_str(), content)
            }
            _ => (self.text()?, &Value::Null),
        };
        visitor.visit_enum(Variant { name, content })
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit_struct }
}

/// The items of a list.
struct Items<'de>(std::slice::Iter<'de, Value>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        self.0.next().map(|item| seed.deserialize(Input::Value(item))).transpose()
    }

    // No hint of the size: to reserve what will be needed would cost more code than it saves time.
}

/// The entries of an object.
struct Entries<'de> {
    left: serde_json::map::Iter<'de>,
    value: Option<&'de Value>,
}

impl<'de> Entries<'de> {
    #[inline(never)]
    fn advance(&mut self) -> Option<&'de str> {
        let (key, value) = self.left.next()?;
        self.value = Some(value);
        Some(key)
    }

    #[inline(never)]
    fn value(&mut self) -> Input<'de> {
        Input::Value(self.value.take().expect("serde asks for a value after its key"))
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        self.advance().map(|key| seed.deserialize(Input::Key(key))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.value())
    }
}

/// A choice, as serde writes it: its name, or an object with its name as the only key.
struct Variant<'de> {
    name: &'de str,
    content: &'de Value,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ReadError;
    type Variant = Input<'de>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Input<'de>), ReadError> {
        Ok((seed.deserialize(Input::Key(self.name))?, Input::Value(self.content)))
    }
}

impl<'de> VariantAccess<'de> for Input<'de> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        if matches!(self, Input::Value(Value::Null)) { Ok(()) } else { Err(ReadError::WRONG_TYPE) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }
}
