//! Devices as the expressions of selectors see them.
//!
//! Follows `k8s.io/dynamic-resource-allocation/cel/compile.go`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::claim::text;
use crate::machinery::cel::{Fields, Program, Semver, Type, Value};
use crate::machinery::quantity::Quantity;

/// The name of the one variable.
const DEVICE: &str = "device";

struct DeviceType;

impl Fields for DeviceType {
    fn field(&self, name: &str) -> Option<Type<'_>> {
        let map_of = |item| Type::Map(Box::new(Type::Map(Box::new(item))));
        match name {
            "driver" => Some(Type::Named("string")),
            "allowMultipleAllocations" => Some(Type::Named("bool")),
            "attributes" => Some(map_of(Type::Unknown)),
            "capacity" => Some(map_of(Type::Named("kubernetes.Quantity"))),
            _ => None,
        }
    }
}

/// Reads the expression of a selector.
///
/// # Errors
/// What is wrong with it.
pub fn compile(expression: &str) -> Result<Program, String> {
    let failed = |why: String| format!("compilation failed: {why}");
    let program = Program::compile(expression, &[DEVICE]).map_err(failed)?;
    let of = |name: &str| (name == DEVICE).then_some(Type::Object(&DeviceType));
    match program.check(expression, &of).map_err(failed)?.name() {
        None | Some("bool") => Ok(program),
        Some(other) => Err(format!("must evaluate to bool or the unknown type, not {other}")),
    }
}

/// Whether a device is one of those that an expression selects.
///
/// # Errors
/// Why that cannot be told.
pub fn matches(program: &Program, device: &Value) -> Result<bool, String> {
    match program.evaluate(&|name| (name == DEVICE).then(|| Ok(device.clone())))? {
        Value::Bool(matches) => Ok(matches),
        other => Err(format!("CEL result of type {} could not be converted to bool", other.type_name())),
    }
}

/// A device as its variable has it; names without a domain are in the driver's.
///
/// # Errors
/// An attribute without a value that is known.
pub fn value(driver: &str, device: &Json) -> Result<Value, String> {
    let attribute = |name: &str, given: &Json| {
        let known = ["int", "bool", "string"].into_iter().find_map(|field| given.get(field));
        let value = match (known, given.get("version").and_then(Json::as_str)) {
            (Some(known), _) => Ok(Value::from_json(known)),
            (None, Some(version)) => {
                let version = Semver::parse(version).map(Value::Semver);
                version.ok_or_else(|| "parse semantic version: invalid".to_owned())
            }
            (None, None) => Err("unsupported attribute value".to_owned()),
        };
        value.map_err(|why| format!("attribute {name}: {why}"))
    };
    let capacity = |name: &str, given: &Json| {
        Quantity::parse_json(&given["value"]).map(Value::Quantity).map_err(|error| format!("capacity {name}: {error}"))
    };
    let map = BTreeMap::from([
        ("driver".to_owned(), Value::Text(driver.to_owned())),
        ("allowMultipleAllocations".to_owned(), Value::Bool(device["allowMultipleAllocations"] == true)),
        ("attributes".to_owned(), by_domain(driver, &device["attributes"], attribute)?),
        ("capacity".to_owned(), by_domain(driver, &device["capacity"], capacity)?),
    ]);
    Ok(Value::Map(map))
}

fn by_domain(
    driver: &str,
    given: &Json,
    value: impl Fn(&str, &Json) -> Result<Value, String>,
) -> Result<Value, String> {
    let mut domains: BTreeMap<String, Value> = BTreeMap::new();
    for (name, given) in given.as_object().into_iter().flatten() {
        let (domain, identifier) = name.split_once('/').unwrap_or((driver, name));
        let domain = domains.entry(domain.to_owned()).or_insert_with(|| Value::Map(BTreeMap::new()));
        if let Value::Map(domain) = domain {
            domain.insert(identifier.to_owned(), value(name, given)?);
        }
    }
    Ok(Value::Domains(domains))
}

/// An attribute of a device by its whole name: `lookupAttribute`.
#[must_use]
pub fn attribute<'a>(driver: &str, device: &'a Json, name: &str) -> Option<&'a Json> {
    let attributes = device["attributes"].as_object()?;
    let own = || name.split_once('/').filter(|(domain, _)| *domain == driver).map(|(_, own)| own);
    attributes.get(name).or_else(|| attributes.get(own()?))
}

/// Whether a toleration covers a device's taint: `ToleratesTaint`.
#[must_use]
pub fn tolerates(toleration: &Json, taint: &Json) -> bool {
    let is_or_all = |field: &str| text(toleration, field).is_empty() || text(toleration, field) == text(taint, field);
    let is_value = match text(toleration, "operator") {
        "" | "Equal" => text(toleration, "value") == text(taint, "value"),
        "Exists" => true,
        _ => false,
    };
    is_or_all("effect") && is_or_all("key") && is_value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn devices_are_selected() {
        let device = json!({
            "name": "gpu-0",
            "attributes": {
                "model": { "string": "A100" }, "other.example/slot": { "int": 3 }, "driverVersion": { "version": "1.10.0" },
            },
            "capacity": { "memory": { "value": "40Gi" } },
        });
        let device = value("gpu.example.com", &device).expect("it is a device");
        let table = [
            ("device.driver == 'gpu.example.com'", Ok(true)),
            ("device.attributes['gpu.example.com'].model == 'A100'", Ok(true)),
            ("device.attributes['other.example'].slot > 3", Ok(false)),
            ("'model' in device.attributes['nobody.example']", Ok(false)),
            ("has(device.attributes['gpu.example.com'].model)", Ok(true)),
            ("device.attributes['gpu.example.com'].driverVersion.isGreaterThan(semver('1.9.0'))", Ok(true)),
            ("device.capacity['gpu.example.com'].memory.compareTo(quantity('40Gi')) >= 0", Ok(true)),
            ("cel.bind(gpu, device.attributes['gpu.example.com'], gpu.model.startsWith('A'))", Ok(true)),
            ("device.attributes['gpu.example.com'].colour == 'red'", Err("no such key: colour")),
        ];
        for (expression, expected) in table {
            let program = compile(expression).expect(expression);
            assert_eq!(matches(&program, &device), expected.map_err(str::to_owned), "{expression}");
        }
    }

    #[test]
    fn what_is_wrong_with_expressions_is_told() {
        let table = [
            ("device.driver", "must evaluate to bool or the unknown type, not string"),
            (
                "device.name == 'x'",
                "compilation failed: ERROR: <input>:1:7: undefined field 'name'\n | device.name == 'x'\n | ......^",
            ),
        ];
        for (expression, expected) in table {
            assert_eq!(compile(expression).err().as_deref(), Some(expected), "{expression}");
        }
    }

    #[test]
    fn taints_are_tolerated() {
        let taint = json!({ "key": "k", "value": "v", "effect": "NoSchedule" });
        let table = [
            (json!({ "operator": "Exists" }), true),
            (json!({ "key": "k", "operator": "Equal", "value": "v" }), true),
            (json!({ "key": "k", "value": "w" }), false),
            (json!({ "key": "k", "operator": "Exists", "effect": "NoExecute" }), false),
        ];
        for (toleration, expected) in table {
            assert_eq!(tolerates(&toleration, &taint), expected, "{toleration}");
        }
    }
}
