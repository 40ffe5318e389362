//! Versions as values: Kubernetes's `semver` library (`k8s.io/apiserver/pkg/cel/library/semverlib.go`).

use std::cmp::Ordering;

use super::value::Value;

/// A version of `semver.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semver {
    numbers: [u64; 3],
    /// The parts of the pre-release, which comes before the release itself.
    pre_release: Vec<String>,
    build: String,
}

fn number(text: &str) -> Option<u64> {
    let is_plain = text == "0" || !text.starts_with('0');
    (is_plain && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Semver {
    /// Reads a version in its strict form: `1.2.3-rc.1+build`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (text, build) = text.split_once('+').map_or((text, ""), |(text, build)| (text, build));
        let has_build = build.is_empty() || build.split('.').all(is_identifier);
        let (core, pre_release) = text.split_once('-').map_or((text, None), |(core, rest)| (core, Some(rest)));
        let parts: Vec<u64> = core.split('.').map(number).collect::<Option<_>>()?;
        let numbers: [u64; 3] = parts.try_into().ok()?;
        let pre_release: Vec<String> =
            pre_release.into_iter().flat_map(|text| text.split('.')).map(str::to_owned).collect();
        let is_part = |part: &String| {
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            is_identifier(part) && (!is_number || number(part).is_some())
        };
        (has_build && pre_release.iter().all(is_part)).then(|| Self { numbers, pre_release, build: build.to_owned() })
    }

    /// Which of two versions comes first; what they were built from does not count.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let part = |left: &String, right: &String| match (number(left), number(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => left.cmp(right),
        };
        let pre_release = || match (self.pre_release.is_empty(), other.pre_release.is_empty()) {
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => {
                let mut parts = self.pre_release.iter().zip(&other.pre_release).map(|(left, right)| part(left, right));
                let different = parts.find(|order| order.is_ne());
                different.unwrap_or_else(|| self.pre_release.len().cmp(&other.pre_release.len()))
            }
        };
        self.numbers.cmp(&other.numbers).then_with(pre_release)
    }

    pub(super) fn show(&self) -> String {
        let [major, minor, patch] = self.numbers;
        let mut text = format!("{major}.{minor}.{patch}");
        for (mark, part) in [('-', self.pre_release.join(".")), ('+', self.build.clone())] {
            if !part.is_empty() {
                text.push(mark);
                text.push_str(&part);
            }
        }
        text
    }
}

/// A method of a version.
pub(super) fn of_semver(name: &str, version: &Semver, arguments: &[Value]) -> Option<Result<Value, String>> {
    let part = |index: usize| Value::Int(i64::try_from(version.numbers[index]).unwrap_or(i64::MAX));
    Some(Ok(match (name, arguments) {
        ("major", []) => part(0),
        ("minor", []) => part(1),
        ("patch", []) => part(2),
        ("isGreaterThan", [Value::Semver(other)]) => Value::Bool(version.compare(other).is_gt()),
        ("isLessThan", [Value::Semver(other)]) => Value::Bool(version.compare(other).is_lt()),
        ("compareTo", [Value::Semver(other)]) => Value::Int(version.compare(other) as i64),
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_an_order() {
        let ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0"];
        for pair in ordered.windows(2) {
            let [left, right] = [pair[0], pair[1]].map(|text| Semver::parse(text).expect("it is a version"));
            assert_eq!(left.compare(&right), Ordering::Less, "{pair:?}");
            assert_eq!(left.show(), pair[0]);
        }
        for wrong in ["1.0", "v1.0.0", "1.01.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b", ""] {
            assert_eq!(Semver::parse(wrong), None, "{wrong}");
        }
    }
}
