//! ConfigMaps, Secrets and ServiceAccounts.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Secret, ServiceAccount};
use serde_json::Value;

use crate::api::check::{IMMUTABLE, invalid_each, list, text};
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;
use crate::machinery::yaml::read_json;

/// `MaxSecretSize`, for ConfigMaps too.
const DATA_BYTES_MAX: usize = 1024 * 1024;
/// What no change may touch once `immutable` is true.
const FROZEN: &str = "field is immutable when `immutable` is set";

/// `ValidateConfigMap`.
pub(crate) fn validate_config_map(map: &ConfigMap) -> ErrorList {
    let mut errors = meta::validate(&map.metadata, true, names::is_dns1123_subdomain);
    let mut bytes = 0;
    for (key, value) in map.data.iter().flatten() {
        let path = Path::new("data").key(key);
        invalid_each(&mut errors, &path, key, names::is_config_map_key(key));
        if map.binary_data.as_ref().is_some_and(|data| data.contains_key(key)) {
            errors.push(FieldError::invalid(&path, key.as_str(), "duplicate of key present in binaryData"));
        }
        bytes += value.len();
    }
    for (key, value) in map.binary_data.iter().flatten() {
        invalid_each(&mut errors, &Path::new("binaryData").key(key), key, names::is_config_map_key(key));
        bytes += value.0.len();
    }
    if bytes > DATA_BYTES_MAX {
        // Upstream means the object as a whole, which it prints like this.
        errors.push(FieldError::too_long(&Path::new("[]"), DATA_BYTES_MAX));
    }
    errors
}

/// `ValidateConfigMapUpdate`.
pub(crate) fn validate_config_map_update(new: &ConfigMap, old: &ConfigMap) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if old.immutable == Some(true) {
        let mut freeze = |field: &str, changed: bool| {
            if changed {
                errors.push(FieldError::forbidden(&Path::new(field), FROZEN));
            }
        };
        freeze("immutable", new.immutable != Some(true));
        freeze("data", new.data != old.data);
        freeze("binaryData", new.binary_data != old.binary_data);
    }
    errors.extend(validate_config_map(new));
    errors
}

/// `SetDefaults_Secret`, and texts become data as the conversion does it.
pub(crate) fn default_secret(secret: &mut Secret) {
    if let Some(texts) = secret.string_data.take() {
        let data = secret.data.get_or_insert_default();
        data.extend(texts.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes()))));
    }
    if text(&secret.type_).is_empty() {
        secret.type_ = Some("Opaque".to_owned());
    }
}

/// An update that names no type keeps the old one. The default has set one, so only a type sent empty comes here.
pub(crate) fn prepare_secret_for_update(new: &mut Secret, old: &Secret) {
    if text(&new.type_).is_empty() {
        new.type_.clone_from(&old.type_);
    }
}

/// `ValidateSecret`.
pub(crate) fn validate_secret(secret: &Secret) -> ErrorList {
    let mut errors = meta::validate(&secret.metadata, true, names::is_dns1123_subdomain);
    let path = Path::new("data");
    let mut bytes = 0;
    for (key, value) in secret.data.iter().flatten() {
        invalid_each(&mut errors, &path.key(key), key, names::is_config_map_key(key));
        bytes += value.0.len();
    }
    if bytes > DATA_BYTES_MAX {
        errors.push(FieldError::too_long(&path, DATA_BYTES_MAX));
    }
    validate_secret_type(&mut errors, &path, secret);
    errors
}

fn validate_secret_type(errors: &mut ErrorList, path: &Path, secret: &Secret) {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    let mut require = |path: Path| errors.push(FieldError::required(&path, ""));
    match text(&secret.type_) {
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            let annotations = secret.metadata.annotations.as_ref();
            if annotations.and_then(|map| map.get(ACCOUNT)).is_none_or(String::is_empty) {
                require(Path::new("metadata").child("annotations").key(ACCOUNT));
            }
        }
        "kubernetes.io/dockercfg" => validate_docker(errors, path, ".dockercfg", data(".dockercfg")),
        "kubernetes.io/dockerconfigjson" => {
            validate_docker(errors, path, ".dockerconfigjson", data(".dockerconfigjson"));
        }
        "kubernetes.io/basic-auth" if data("username").is_none() && data("password").is_none() => {
            require(path.key("username"));
            require(path.key("password"));
        }
        "kubernetes.io/ssh-auth" if data("ssh-privatekey").is_none_or(|key| key.0.is_empty()) => {
            require(path.key("ssh-privatekey"));
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].into_iter().filter(|key| data(key).is_none()) {
                require(path.key(key));
            }
        }
        _ => {}
    }
}

/// The file of a registry's passwords must be a JSON object.
fn validate_docker(errors: &mut ErrorList, path: &Path, key: &str, content: Option<&ByteString>) {
    let path = path.key(key);
    let Some(content) = content else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    if let Some(detail) = go_json_error(&content.0) {
        errors.push(FieldError::invalid(&path, "<secret contents redacted>", detail));
    }
}

/// What Go's JSON decoder says when the text is no object.
fn go_json_error(content: &[u8]) -> Option<String> {
    match read_json(&String::from_utf8_lossy(content)).map(|document| document.value) {
        Ok(Value::Object(_) | Value::Null) => None,
        Ok(other) => {
            let kind = match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            Some(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
        }
        // A text that ends too early is told in other words than a stream that does.
        Err(error) if error.message == "unexpected EOF" => Some("unexpected end of JSON input".to_owned()),
        Err(error) => Some(error.json_words().to_owned()),
    }
}

/// `ValidateSecretUpdate`.
pub(crate) fn validate_secret_update(new: &Secret, old: &Secret) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if text(&new.type_) != text(&old.type_) {
        errors.push(FieldError::invalid(&Path::new("type"), text(&new.type_), IMMUTABLE));
    }
    if old.immutable == Some(true) {
        if new.immutable != Some(true) {
            errors.push(FieldError::forbidden(&Path::new("immutable"), FROZEN));
        }
        if new.data != old.data {
            errors.push(FieldError::forbidden(&Path::new("data"), FROZEN));
        }
    }
    errors.extend(validate_secret(new));
    errors
}

/// `cleanSecretReferences`: nothing but the names of secrets is kept.
pub(crate) fn prepare_service_account(account: &mut ServiceAccount) {
    for secret in account.secrets.iter_mut().flatten() {
        *secret = ObjectReference { name: secret.name.take(), ..ObjectReference::default() };
    }
}

/// `ValidateServiceAccount`.
pub(crate) fn validate_service_account(account: &ServiceAccount) -> ErrorList {
    meta::validate(&account.metadata, true, names::is_dns1123_subdomain)
}

/// `ValidateServiceAccountUpdate`.
pub(crate) fn validate_service_account_update(new: &ServiceAccount, old: &ServiceAccount) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    errors.extend(validate_service_account(new));
    errors
}

/// `warnIfHasEnforceMountableSecretsAnnotation`: told when the annotation is new.
pub(crate) fn service_account_warnings(new: &ServiceAccount, old: Option<&ServiceAccount>) -> Vec<String> {
    const ANNOTATION: &str = "kubernetes.io/enforce-mountable-secrets";
    let has = |account: &ServiceAccount| {
        account.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(ANNOTATION))
    };
    if !has(new) || old.is_some_and(has) {
        return Vec::new();
    }
    vec![format!(
        "metadata.annotations[{ANNOTATION}]: deprecated in v1.32+; prefer separate namespaces to isolate access to \
         mounted secrets"
    )]
}

pub(crate) const CONFIG_MAP_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Data",
        "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. \
         Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap \
         with the keys in the BinaryData field, this is enforced during validation process.",
    ),
    AGE,
];

pub(crate) fn config_map_row(map: &ConfigMap, now: Time) -> Vec<Value> {
    let keys = map.data.as_ref().map_or(0, |data| data.len()) + map.binary_data.as_ref().map_or(0, |data| data.len());
    vec![name_of(&map.metadata), keys.into(), age_of(&map.metadata, now)]
}

pub(crate) const SECRET_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Type",
        "Used to facilitate programmatic handling of secret data. More info: \
         https://kubernetes.io/docs/concepts/configuration/secret/#secret-types",
    ),
    ColumnDefinition::text(
        "Data",
        "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The \
         serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly \
         non-string) data value here. Described in https://tools.ietf.org/html/rfc4648#section-4",
    ),
    AGE,
];

pub(crate) fn secret_row(secret: &Secret, now: Time) -> Vec<Value> {
    let keys = secret.data.as_ref().map_or(0, |data| data.len());
    vec![name_of(&secret.metadata), text(&secret.type_).into(), keys.into(), age_of(&secret.metadata, now)]
}

pub(crate) const SERVICE_ACCOUNT_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Secrets",
        "Secrets is a list of the secrets in the same namespace that pods running using this ServiceAccount are \
         allowed to use. Pods are only limited to this list if this service account has a \
         \"kubernetes.io/enforce-mountable-secrets\" annotation set to \"true\". The \
         \"kubernetes.io/enforce-mountable-secrets\" annotation is deprecated since v1.32. Prefer separate namespaces \
         to isolate access to mounted secrets. This field should not be used to find auto-generated service account \
         token secrets for use outside of pods. Instead, tokens can be requested directly using the TokenRequest API, \
         or service account token secrets can be manually created. More info: \
         https://kubernetes.io/docs/concepts/configuration/secret",
    ),
    AGE,
];

pub(crate) fn service_account_row(account: &ServiceAccount, now: Time) -> Vec<Value> {
    vec![name_of(&account.metadata), list(&account.secrets).len().into(), age_of(&account.metadata, now)]
}
