//! The columns of custom resources: `pkg/registry/customresource/tableconvertor`.

use serde_json::{Value, json};

use crate::api::object::Object;
use crate::api::table::AGE;
use crate::machinery::duration;
use crate::machinery::jsonpath::{self, JsonPath};
use crate::machinery::time::Time;

/// A column of the table of a custom kind.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    ty: String,
    format: String,
    description: String,
    priority: i64,
    path: Option<JsonPath>,
}

/// The columns that a version of a CustomResourceDefinition has, or else the age.
pub(super) fn read(columns: &Value) -> Vec<Column> {
    let columns: Vec<Column> = columns.as_array().into_iter().flatten().map(Column::read).collect();
    if columns.is_empty() { vec![Column::age()] } else { columns }
}

impl Column {
    fn read(json: &Value) -> Self {
        let text = |name: &str| json[name].as_str().unwrap_or("").to_owned();
        let path = text("jsonPath");
        let description = match text("description") {
            empty if empty.is_empty() => {
                format!("Custom resource definition column (in JSONPath format): {path}")
            }
            description => description,
        };
        Self {
            name: text("name"),
            ty: text("type"),
            format: text("format"),
            description,
            priority: json["priority"].as_i64().unwrap_or(0),
            path: parse(&path),
        }
    }

    /// What a kind has that declares no columns: `serveDefaultColumnsIfEmpty`.
    fn age() -> Self {
        Self {
            name: "Age".to_owned(),
            ty: "date".to_owned(),
            format: String::new(),
            description: AGE.description.to_owned(),
            priority: 0,
            path: parse(".metadata.creationTimestamp"),
        }
    }

    /// The column as a table declares it.
    pub(crate) fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.ty,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    fn cell(&self, object: &Value, now: Time) -> Value {
        let found = self.path.as_ref().and_then(|path| path.find(object).ok());
        let Some(value) = found.and_then(|found| Some(found.first()?.first()?.clone().into_owned())) else {
            return Value::Null;
        };
        match (self.ty.as_str(), &value) {
            (_, Value::Null) => Value::Null,
            ("string", value) => jsonpath::print(value).into(),
            ("integer", Value::Number(number)) => {
                number.as_i64().map_or_else(|| number.as_f64().map(|number| number as i64).into(), Value::from)
            }
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value,
            ("date", Value::String(text)) => {
                Time::parse(text).map_or_else(|| "<invalid>".to_owned(), |time| duration::age(time, now)).into()
            }
            _ => Value::Null,
        }
    }
}

fn parse(path: &str) -> Option<JsonPath> {
    JsonPath::parse(&format!("{{{path}}}")).ok().map(|path| path.allow_missing_keys(true))
}

/// The cells of an object, behind that of its name.
#[inline(never)]
pub(crate) fn row(columns: &[Column], object: &Object, now: Time) -> Vec<Value> {
    let value = object.to_value();
    let name = object.metadata().name.clone().unwrap_or_default();
    std::iter::once(name.into()).chain(columns.iter().map(|column| column.cell(&value, now))).collect()
}
