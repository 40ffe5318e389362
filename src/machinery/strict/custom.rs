//! The types that read their JSON themselves (`UnmarshalJSON`).

use serde_json::Value;

use crate::machinery::quantity::{ParseError, Quantity};
use crate::machinery::schema::{self, Custom};

use super::decode::{Decoder, Failure, go_kind, number_text};
use super::time;

/// Decodes a value of a custom type. Unlike a plain wrong type, a failure ends the decoding of the whole object.
pub(super) fn decode(ty: Custom, value: &Value) -> Result<Value, Failure> {
    match ty {
        Custom::Time | Custom::MicroTime => match value {
            Value::Null => Ok(Value::Null),
            Value::String(text) => {
                let read = if ty == Custom::Time { time::seconds } else { time::micros };
                read(text).map(Value::String).map_err(Failure::Text)
            }
            _ => Err(wrong(value, "string")),
        },
        Custom::Quantity => quantity(value),
        Custom::IntOrString => int_or_string(value),
        Custom::Any => Ok(value.clone()),
        Custom::SchemaOrBool => match value {
            Value::Bool(_) => Ok(value.clone()),
            Value::Object(_) => schema(value),
            _ => Err(Failure::Text("boolean or JSON schema expected".to_owned())),
        },
        Custom::SchemaOrArray => match value {
            Value::Object(_) => schema(value),
            Value::Array(items) => items.iter().map(schema).collect::<Result<_, _>>().map(Value::Array),
            _ => Ok(Value::Null),
        },
        Custom::SchemaOrStringArray => match value {
            Value::Object(_) => schema(value),
            Value::Array(items) => match items.iter().find(|item| !item.is_string()) {
                Some(wrong_item) => Err(wrong(wrong_item, "string")),
                None => Ok(value.clone()),
            },
            _ => Ok(Value::Null),
        },
    }
}

/// The zero value of a custom type as Go writes it.
pub(super) fn zero(ty: Custom) -> Value {
    match ty {
        Custom::Quantity => Value::from("0"),
        Custom::IntOrString => Value::from(0),
        _ => Value::Null,
    }
}

fn wrong(value: &Value, ty: &str) -> Failure {
    Failure::Type { found: go_kind(value).to_owned(), ty: ty.to_owned() }
}

/// A quantity is kept in its canonical form: `0.5` and `500m` are the same text afterwards.
fn quantity(value: &Value) -> Result<Value, Failure> {
    let number;
    let text = match value {
        Value::Null => return Ok(zero(Custom::Quantity)),
        Value::String(text) => text.trim(),
        Value::Number(given) => {
            number = number_text(given);
            number.as_str()
        }
        _ => return Err(Failure::Text(ParseError::Format.to_string())),
    };
    match Quantity::canonicalize(text) {
        Ok(canonical) => Ok(Value::String(canonical.into_owned())),
        Err(error) => Err(Failure::Text(error.to_string())),
    }
}

fn int_or_string(value: &Value) -> Result<Value, Failure> {
    match value {
        Value::String(_) => Ok(value.clone()),
        Value::Null => Ok(Value::from(0)),
        Value::Number(number) => match number.as_i64().map(i32::try_from) {
            Some(Ok(_)) => Ok(value.clone()),
            _ => Err(Failure::Type { found: format!("number {}", number_text(number)), ty: "int32".to_owned() }),
        },
        _ => Err(wrong(value, "int32")),
    }
}

/// A schema within one of the either-or types. It is read without strictness: unknown fields vanish unsaid.
fn schema(value: &Value) -> Result<Value, Failure> {
    let props = schema::named("apiextensions", "JSONSchemaProps").expect("the table has it");
    let mut decoder = Decoder::lenient();
    let decoded = decoder.root(props, value).map_err(|failure| Failure::Text(decoder.tell(failure)))?;
    match decoder.saved() {
        Some(error) => Err(Failure::Text(error)),
        None => Ok(decoded),
    }
}
