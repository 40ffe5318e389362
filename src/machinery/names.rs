//! What names may look like, with upstream's messages.
//!
//! Follows `apimachinery/pkg/util/validation`, `apimachinery/pkg/api/validate/content`,
//! `apimachinery/pkg/api/validation/path` and `apiserver/pkg/storage/names`. Every check returns
//! the list of what is wrong, empty when the value is fine, as upstream's do.

use super::random::{Random, SAFE_ALPHABET};

/// The longest DNS label, in bytes.
pub const DNS1123_LABEL_MAX_LENGTH: usize = 63;
/// The longest DNS subdomain, in bytes.
pub const DNS1123_SUBDOMAIN_MAX_LENGTH: usize = 253;
/// The longest DNS label by RFC 1035, in bytes.
pub const DNS1035_LABEL_MAX_LENGTH: usize = 63;
/// The longest label value, in bytes.
pub const LABEL_VALUE_MAX_LENGTH: usize = 63;
/// The longest name part of a label key, in bytes.
const LABEL_KEY_MAX_LENGTH: usize = 63;

const DNS1123_LABEL_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS1123_LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const DNS1123_SUBDOMAIN_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS1123_SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const DNS1123_UNDERSCORE_FORMAT: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";
const DNS1123_UNDERSCORE_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
const DNS1123_CASELESS_MESSAGE: &str = "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const DNS1035_LABEL_FORMAT: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const DNS1035_LABEL_MESSAGE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const WILDCARD_FORMAT: &str = "\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const WILDCARD_MESSAGE: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
const LABEL_KEY_FORMAT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_KEY_MESSAGE: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const LABEL_VALUE_FORMAT: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const LABEL_VALUE_MESSAGE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const C_IDENTIFIER_FORMAT: &str = "[A-Za-z_][A-Za-z0-9_]*";
const C_IDENTIFIER_MESSAGE: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
const ENV_VAR_NAME_FORMAT: &str = "[-._a-zA-Z][-._a-zA-Z0-9]*";
const ENV_VAR_NAME_MESSAGE: &str = "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit";
const RELAXED_ENV_VAR_NAME_MESSAGE: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const CONFIG_MAP_KEY_FORMAT: &str = "[-._a-zA-Z0-9]+";
const CONFIG_MAP_KEY_MESSAGE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
const HTTP_HEADER_NAME_FORMAT: &str = "[-A-Za-z0-9]+";
const HTTP_HEADER_NAME_MESSAGE: &str = "a valid HTTP header must consist of alphanumeric characters or '-'";
const HTTP_PATH_FORMAT: &str = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const PERCENT_FORMAT: &str = "[0-9]+%";
const PERCENT_MESSAGE: &str = "a valid percent string must be a numeric string followed by an ending '%'";

/// "must be no more than N characters", of the checks in `util/validation`.
pub fn max_length_error(length: usize) -> String {
    format!("must be no more than {length} characters")
}

/// "must be no more than N bytes", of the checks in `api/validate/content` (label keys and values).
pub fn max_bytes_error(length: usize) -> String {
    format!("must be no more than {length} bytes")
}

/// A value that does not have the form it should have (`RegexError`).
pub fn regex_error(message: &str, format: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{message} (regex used for validation is '{format}')");
    }
    let quoted: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{format}')", quoted.join(" or "))
}

/// `EmptyError`.
pub const EMPTY_ERROR: &str = "must be non-empty";

/// A number outside of its bounds (`InclusiveRangeError`).
pub fn inclusive_range_error(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

/// Lower-case letters, digits and hyphens, neither beginning nor ending with a hyphen.
fn matches_dns_label(value: &str) -> bool {
    starts_and_ends(value, is_lower_alphanumeric, |byte| is_lower_alphanumeric(byte) || byte == b'-')
}

fn matches_dns_subdomain(value: &str) -> bool {
    value.split('.').all(matches_dns_label)
}

/// Whether the first and last byte satisfy `ends` and all between satisfy `inner`.
fn starts_and_ends(value: &str, ends: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    match value.as_bytes() {
        [] => false,
        [only] => ends(*only),
        [first, middle @ .., last] => ends(*first) && ends(*last) && middle.iter().all(|byte| inner(*byte)),
    }
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn matches_label_key(value: &str) -> bool {
    starts_and_ends(value, |byte| byte.is_ascii_alphanumeric(), is_label_character)
}

/// A DNS label by RFC 1123 (`IsDNS1123Label`): Services of old, containers, volumes, namespaces.
pub fn is_dns1123_label(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > DNS1123_LABEL_MAX_LENGTH {
        errors.push(max_length_error(DNS1123_LABEL_MAX_LENGTH));
    }
    if !matches_dns_label(value) {
        errors.push(if matches_dns_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            regex_error(DNS1123_LABEL_MESSAGE, DNS1123_LABEL_FORMAT, &["my-name", "123-abc"])
        });
    }
    errors
}

/// A DNS subdomain by RFC 1123 (`IsDNS1123Subdomain`): the names of most objects.
pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    subdomain_errors(value, max_length_error)
}

fn subdomain_errors(value: &str, too_long: fn(usize) -> String) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > DNS1123_SUBDOMAIN_MAX_LENGTH {
        errors.push(too_long(DNS1123_SUBDOMAIN_MAX_LENGTH));
    }
    if !matches_dns_subdomain(value) {
        errors.push(regex_error(DNS1123_SUBDOMAIN_MESSAGE, DNS1123_SUBDOMAIN_FORMAT, &["example.com"]));
    }
    errors
}

/// A DNS subdomain in any case (`IsDNS1123SubdomainCaseless`).
pub fn is_dns1123_subdomain_caseless(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > DNS1123_SUBDOMAIN_MAX_LENGTH {
        errors.push(max_bytes_error(DNS1123_SUBDOMAIN_MAX_LENGTH));
    }
    if !matches_dns_subdomain(&value.to_ascii_lowercase()) {
        errors.push(regex_error(DNS1123_CASELESS_MESSAGE, DNS1123_SUBDOMAIN_FORMAT, &["Example.com"]));
    }
    errors
}

/// A DNS subdomain that may hold underscores (`IsDNS1123SubdomainWithUnderscore`), as search
/// domains of a Pod's DNS do.
pub fn is_dns1123_subdomain_with_underscore(value: &str) -> Vec<String> {
    let matches_part = |part: &str| {
        starts_and_ends(part.strip_prefix('_').unwrap_or(part), is_lower_alphanumeric, |byte| {
            is_lower_alphanumeric(byte) || matches!(byte, b'-' | b'_')
        })
    };
    let mut errors = Vec::new();
    if value.len() > DNS1123_SUBDOMAIN_MAX_LENGTH {
        errors.push(max_length_error(DNS1123_SUBDOMAIN_MAX_LENGTH));
    }
    if !value.split('.').all(matches_part) {
        errors.push(regex_error(DNS1123_UNDERSCORE_MESSAGE, DNS1123_UNDERSCORE_FORMAT, &["example.com"]));
    }
    errors
}

/// A DNS label by RFC 1035 (`IsDNS1035Label`), which cannot begin with a digit.
pub fn is_dns1035_label(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > DNS1035_LABEL_MAX_LENGTH {
        errors.push(max_length_error(DNS1035_LABEL_MAX_LENGTH));
    }
    let begins_well = value.starts_with(|character: char| character.is_ascii_lowercase());
    if !begins_well || !matches_dns_label(value) {
        errors.push(regex_error(DNS1035_LABEL_MESSAGE, DNS1035_LABEL_FORMAT, &["my-name", "abc-123"]));
    }
    errors
}

/// A host such as `*.example.com` (`IsWildcardDNS1123Subdomain`).
pub fn is_wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > DNS1123_SUBDOMAIN_MAX_LENGTH {
        errors.push(max_length_error(DNS1123_SUBDOMAIN_MAX_LENGTH));
    }
    if !value.strip_prefix("*.").is_some_and(matches_dns_subdomain) {
        errors.push(regex_error(WILDCARD_MESSAGE, WILDCARD_FORMAT, &["*.example.com"]));
    }
    errors
}

/// A label's key, with or without a prefix (`IsQualifiedName`, `IsLabelKey`).
pub fn is_qualified_name(value: &str) -> Vec<String> {
    let examples = &["MyName", "my.name", "123-abc"];
    let mut errors = Vec::new();
    let parts: Vec<&str> = value.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push(format!("prefix part {EMPTY_ERROR}"));
            } else {
                let prefixed = subdomain_errors(prefix, max_bytes_error).into_iter();
                errors.extend(prefixed.map(|error| format!("prefix part {error}")));
            }
            name
        }
        _ => {
            let message = regex_error(LABEL_KEY_MESSAGE, LABEL_KEY_FORMAT, examples);
            return vec![format!(
                "a valid label key {message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        errors.push(format!("name part {EMPTY_ERROR}"));
    } else if name.len() > LABEL_KEY_MAX_LENGTH {
        errors.push(format!("name part {}", max_bytes_error(LABEL_KEY_MAX_LENGTH)));
    }
    if !matches_label_key(name) {
        let message = regex_error(LABEL_KEY_MESSAGE, LABEL_KEY_FORMAT, examples);
        errors.push(format!("name part {message}"));
    }
    errors
}

/// A label's value (`IsValidLabelValue`).
pub fn is_label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > LABEL_VALUE_MAX_LENGTH {
        errors.push(max_bytes_error(LABEL_VALUE_MAX_LENGTH));
    }
    if !value.is_empty() && !matches_label_key(value) {
        errors.push(regex_error(LABEL_VALUE_MESSAGE, LABEL_VALUE_FORMAT, &["MyValue", "my_value", "12345"]));
    }
    errors
}

/// A name with at least three DNS segments (`IsFullyQualifiedName`). The caller says "Required" of
/// an empty one.
pub fn is_fully_qualified_name(value: &str) -> Vec<String> {
    let errors = is_dns1123_subdomain(value);
    if !errors.is_empty() {
        return vec![errors.join(",")];
    }
    if value.split('.').count() < 3 {
        return vec!["should be a domain with at least three segments separated by dots".to_owned()];
    }
    Vec::new()
}

/// A domain name of at least two segments, perhaps ending with a dot
/// (`IsFullyQualifiedDomainName`): pairs of the part that is wrong and what is wrong with it. The
/// caller says "Required" of an empty one.
pub fn is_fully_qualified_domain_name(value: &str) -> Vec<(String, String)> {
    let name = value.strip_suffix('.').unwrap_or(value);
    let errors = is_dns1123_subdomain(name);
    if !errors.is_empty() {
        return vec![(name.to_owned(), errors.join(","))];
    }
    if name.split('.').count() < 2 {
        let message = "should be a domain with at least two segments separated by dots";
        return vec![(name.to_owned(), message.to_owned())];
    }
    for label in name.split('.') {
        let errors = is_dns1123_label(label);
        if !errors.is_empty() {
            return vec![(label.to_owned(), errors.join(","))];
        }
    }
    Vec::new()
}

/// A path behind a domain, `acme.io/foo` (`IsDomainPrefixedPath`): pairs of the part that is wrong
/// and what is wrong with it. The caller says "Required" of an empty one.
pub fn is_domain_prefixed_path(value: &str) -> Vec<(String, String)> {
    let (host, path) = match value.split_once('/') {
        Some((host, path)) if !host.is_empty() && !path.is_empty() => (host, path),
        _ => {
            let message = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            return vec![(value.to_owned(), message.to_owned())];
        }
    };
    let mut errors: Vec<(String, String)> =
        is_dns1123_subdomain(host).into_iter().map(|error| (host.to_owned(), error)).collect();
    if !is_http_path(path) {
        errors.push((path.to_owned(), regex_error("Invalid path", HTTP_PATH_FORMAT, &[])));
    }
    errors
}

/// A label key that must have a prefix (`IsDomainPrefixedKey`). The caller says "Required" of an
/// empty one.
pub fn is_domain_prefixed_key(value: &str) -> Vec<String> {
    let errors = is_qualified_name(value);
    if errors.is_empty() && !value.contains('/') {
        return vec!["must be a domain-prefixed key (such as \"acme.io/foo\")".to_owned()];
    }
    errors
}

/// Whether all characters may stand in an HTTP path (RFC 3986).
pub fn is_http_path(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    !value.is_empty() && value.bytes().all(allowed)
}

/// An identifier as in C (`IsCIdentifier`).
pub fn is_c_identifier(value: &str) -> Vec<String> {
    let begins_well = value.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if begins_well && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Vec::new();
    }
    vec![regex_error(C_IDENTIFIER_MESSAGE, C_IDENTIFIER_FORMAT, &["my_name", "MY_NAME", "MyName"])]
}

/// A port's number (`IsValidPortNum`).
pub fn is_port_number(port: i64) -> Vec<String> {
    is_in_range(port, 1, 65535)
}

/// A number between two bounds, both allowed (`IsInRange`).
pub fn is_in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    if (low..=high).contains(&value) {
        return Vec::new();
    }
    vec![inclusive_range_error(low, high)]
}

/// A user or group id (`IsValidUserID`, `IsValidGroupID`).
pub fn is_unix_id(id: i64) -> Vec<String> {
    is_in_range(id, 0, i64::from(i32::MAX))
}

/// A port's name, an IANA service name in lower case (`IsValidPortName`).
pub fn is_port_name(port: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if port.len() > 15 {
        errors.push(max_length_error(15));
    }
    let allowed = |byte: u8| is_lower_alphanumeric(byte) || byte == b'-';
    if port.is_empty() || !port.bytes().all(allowed) {
        let message = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
        errors.push(message.to_owned());
    }
    if !port.bytes().any(|byte| byte.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if port.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if port.starts_with('-') || port.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// A percentage such as `25%` (`IsValidPercent`).
pub fn is_percent(value: &str) -> Vec<String> {
    let digits = value.strip_suffix('%').unwrap_or("");
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    vec![regex_error(PERCENT_MESSAGE, PERCENT_FORMAT, &["1%", "93%"])]
}

/// The name of an HTTP header (`IsHTTPHeaderName`).
pub fn is_http_header_name(value: &str) -> Vec<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !value.is_empty() && value.bytes().all(allowed) {
        return Vec::new();
    }
    vec![regex_error(HTTP_HEADER_NAME_MESSAGE, HTTP_HEADER_NAME_FORMAT, &["X-Header-Name"])]
}

/// An environment variable's name by the older, strict rule (`IsEnvVarName`).
pub fn is_env_var_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let begins_with_digit = value.starts_with(|first: char| first.is_ascii_digit());
    if value.is_empty() || begins_with_digit || !value.bytes().all(is_label_character) {
        errors.push(regex_error(
            ENV_VAR_NAME_MESSAGE,
            ENV_VAR_NAME_FORMAT,
            &["my.env-name", "MY_ENV.NAME", "MyEnvName1"],
        ));
    }
    errors.extend(parent_folder_error(value));
    errors
}

/// An environment variable's name by today's rule (`IsRelaxedEnvVarName`).
pub fn is_relaxed_env_var_name(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec![format!("environment variable name {EMPTY_ERROR}")];
    }
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=') {
        return Vec::new();
    }
    vec![RELAXED_ENV_VAR_NAME_MESSAGE.to_owned()]
}

/// A key of a ConfigMap's or Secret's data (`IsConfigMapKey`).
pub fn is_config_map_key(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > DNS1123_SUBDOMAIN_MAX_LENGTH {
        errors.push(max_length_error(DNS1123_SUBDOMAIN_MAX_LENGTH));
    }
    if value.is_empty() || !value.bytes().all(is_label_character) {
        errors.push(regex_error(CONFIG_MAP_KEY_MESSAGE, CONFIG_MAP_KEY_FORMAT, &["key.name", "KEY_NAME", "key-name"]));
    }
    errors.extend(parent_folder_error(value));
    errors
}

/// What would mean this or the parent folder when used as a file's name.
fn parent_folder_error(value: &str) -> Option<String> {
    let message = match value {
        "." => "must not be '.'",
        ".." => "must not be '..'",
        _ if value.starts_with("..") => "must not start with '..'",
        _ => return None,
    };
    Some(message.to_owned())
}

/// A name that can stand alone between two slashes of an address (`IsValidPathSegmentName`): what
/// Roles and other kinds ask of their names.
pub fn is_path_segment_name(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    is_path_segment_prefix(name)
}

/// As [`is_path_segment_name`] for the beginning of a name (`IsValidPathSegmentPrefix`).
pub fn is_path_segment_prefix(name: &str) -> Vec<String> {
    let contained = ["/", "%"].into_iter().filter(|illegal| name.contains(illegal));
    contained.map(|illegal| format!("may not contain '{illegal}'")).collect()
}

/// Makes a `generateName` look like a name that was generated from it, so that the checks above can
/// be applied to it (`maskTrailingDash`).
pub fn mask_trailing_dash(name: &str) -> String {
    match name.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => format!("{rest}a"),
        _ => name.to_owned(),
    }
}

/// How many random characters a generated name ends with.
pub const GENERATED_SUFFIX_LENGTH: usize = 5;
/// A longer base is cut so that the generated name is a DNS label.
pub const GENERATED_BASE_LENGTH_MAX: usize = 63 - GENERATED_SUFFIX_LENGTH;

/// A name from `metadata.generateName` (`SimpleNameGenerator`).
pub fn generate_name(base: &str, random: &mut Random) -> String {
    let mut end = base.len().min(GENERATED_BASE_LENGTH_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &base[..end], random.suffix(GENERATED_SUFFIX_LENGTH))
}

/// Writes `text` in the alphabet of generated names, a character for a character
/// (`SafeEncodeString`); template hashes are written so.
pub fn safe_encode(text: &str) -> String {
    let encode = |byte: u8| char::from(SAFE_ALPHABET[usize::from(byte) % SAFE_ALPHABET.len()]);
    text.bytes().map(encode).collect()
}

/// The 32-bit FNV-1a hash (`fnv.New32a`), which names revisions and templates.
pub fn fnv32a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    type Check = fn(&str) -> Vec<String>;

    fn check(check: Check, good: &[&str], bad: &[&str]) {
        for value in good {
            assert_eq!(check(value), Vec::<String>::new(), "{value:?}");
        }
        for value in bad {
            assert!(!check(value).is_empty(), "{value:?}");
        }
    }

    #[test]
    fn dns_names() {
        let long = "a".repeat(64);
        check(
            is_dns1123_label,
            &["a", "ab", "a1", "0", "01a", "a-1--2", "a--1"],
            &["", "A", "-", "a-", "-a", "_", "a_b", "a.b", "a b", " a", "1 ", &long],
        );
        check(
            is_dns1123_subdomain,
            &["a", "a.b", "0.0.1", "a-1.b-2", "aaa.bbb.ccc"],
            &["", "A", "a.", ".a", "a..b", "a.-b", "a_b", "a,b", &"a.".repeat(130)],
        );
        check(is_dns1123_subdomain_with_underscore, &["_a.b_c", "a-b"], &["__a", "a_", "a._"]);
        check(is_dns1035_label, &["a", "a-1"], &["0", "1a", "-a", "a-", "A", "a.b", ""]);
        check(is_wildcard_dns1123_subdomain, &["*.bar.com"], &["*.*.com", "*bar.com", "*", "a.b"]);
    }

    #[test]
    fn label_keys_and_values() {
        check(
            is_qualified_name,
            &[
                "simple",
                "now-with-dashes",
                "1-starts-with-num",
                "1234",
                "simple/simple",
                "1.2.3.4/5678",
                "Uppercase_Is_OK_123",
                "example.com/Uppercase_Is_OK_123",
            ],
            &[
                "nospecialchars%^=@",
                "cantendwithadash-",
                "-cantstartwithadash-",
                "only/one/slash",
                "Example.com/abc",
                "example_com/abc",
                "example.com/",
                "/simple",
                "",
            ],
        );
        check(is_label_value, &["", "a", "A1_b.c-d"], &["-a", "a-", "a b", "@"]);
        expect![[r#"
            [
                "name part must be non-empty",
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ]
        "#]]
        .assert_debug_eq(&is_qualified_name(""));
        assert_eq!(is_label_value(&"v".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(is_dns1123_label(&"n".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(is_dns1123_label("a.b"), ["must not contain dots"]);
    }

    #[test]
    fn other_names() {
        check(is_c_identifier, &["a", "_a1"], &["", "1a", "a-b"]);
        check(is_env_var_name, &["a", ".a", "-x_Y"], &["", "1a", "..", "a b", "..a"]);
        check(is_relaxed_env_var_name, &["1a", "a b", "{"], &["", "a=b", "é", "\n"]);
        check(is_config_map_key, &["a.b", "_", ".x", "1"], &["", ".", "..", "..x", "a/b"]);
        check(
            is_port_name,
            &["telnet", "re-mail-ck", "a", "0a"],
            &["", "1", "a--b", "-a", "a-", "Telnet", "sixteen-chars-xx"],
        );
        check(is_percent, &["0%", "100%"], &["", "%", "1", "-1%", "1.5%"]);
        check(is_http_header_name, &["X-A"], &["", "a_b"]);
        check(is_path_segment_name, &["a:b", "..."], &[".", "..", "a/b", "a%b"]);
        check(is_fully_qualified_name, &["a.b.c"], &["a.b", "A.b.c"]);
        check(is_domain_prefixed_key, &["a.io/b"], &["b", "a.io/b/c"]);
        assert!(is_domain_prefixed_path("a.io/b(c)").is_empty());
        assert!(!is_domain_prefixed_path("a.io/").is_empty());
        assert!(is_fully_qualified_domain_name("a.b.").is_empty());
        assert_eq!(is_port_number(0), ["must be between 1 and 65535, inclusive"]);
    }

    #[test]
    fn generated_names() {
        let mut random = Random::new(1);
        let name = generate_name("web-", &mut random);
        assert!(name.starts_with("web-") && name.len() == 9, "{name}");
        assert_eq!(generate_name(&"x".repeat(80), &mut random).len(), 63);
        assert_eq!(mask_trailing_dash("web-"), "weba");
        assert_eq!(safe_encode("1234567890"), "56789bcdf4");
        assert_eq!(fnv32a(b""), 0x811c_9dc5);
        assert_eq!(fnv32a(b"foobar"), 0xbf9c_f968);
    }
}
