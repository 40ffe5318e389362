//! What a namespace's labels ask for. Follows `k8s.io/pod-security-admission/api/helpers.go`.

use std::collections::BTreeMap;
use std::fmt;

use crate::machinery::field::{ErrorList, FieldError, Path};

/// What the labels' names begin with.
const PREFIX: &str = "pod-security.kubernetes.io/";

/// How strict a standard is; the later the stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    #[default]
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }
}

/// A standard as of a minor version of Kubernetes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LevelVersion {
    pub level: Level,
    /// `None` is the latest.
    pub version: Option<u16>,
}

impl LevelVersion {
    /// Whether the version is this minor one or a later.
    pub(super) fn since(self, minor: u16) -> bool {
        self.version.is_none_or(|version| version >= minor)
    }
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.version {
            None => write!(f, "{level}:latest"),
            Some(minor) => write!(f, "{level}:v1.{minor}"),
        }
    }
}

/// `latest` or `v1.x`.
fn parse_version(text: &str) -> Option<Option<u16>> {
    if text == "latest" {
        return Some(None);
    }
    let digits = text.strip_prefix("v1.")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let has_no_leading_zero = digits == "0" || !digits.starts_with('0');
    (is_number && has_no_leading_zero).then(|| digits.parse().ok()).flatten().map(Some)
}

/// The standards of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// What pods must keep to.
    pub enforce: LevelVersion,
    /// What makers of pods are warned of.
    pub warn: LevelVersion,
}

impl Policy {
    /// Whether nothing is enforced and nobody warned.
    pub(super) fn allows_everything(self) -> bool {
        self.enforce.level == Level::Privileged && self.warn.level == Level::Privileged
    }

    /// `PolicyToEvaluate`: the policy, and what is wrong with the labels. An unknown level to be enforced is the strictest.
    pub(super) fn of(labels: &BTreeMap<String, String>) -> (Self, ErrorList) {
        let mut errors = ErrorList::new();
        if !labels.keys().any(|name| name.starts_with(PREFIX)) {
            return (Self::default(), errors);
        }
        let mut read = |mode: &str, when_unknown: Level| {
            let label = |name: &str| labels.get(&format!("{PREFIX}{name}")).map(String::as_str);
            let mut refuse = |name: &str, text: &str, detail: &str| {
                let path = Path::new("metadata").child("labels").key(&format!("{PREFIX}{name}"));
                errors.push(FieldError::invalid(&path, text, detail));
            };
            let level = label(mode).map(|text| {
                Level::parse(text).ok_or(()).inspect_err(|()| {
                    refuse(mode, text, "must be one of privileged, baseline, restricted");
                })
            });
            let name = format!("{mode}-version");
            let version = label(&name).map(|text| {
                parse_version(text).unwrap_or_else(|| {
                    refuse(&name, text, "must be \"latest\" or \"v1.x\"");
                    None
                })
            });
            (level, version, when_unknown)
        };
        let enforce = read("enforce", Level::Restricted);
        // Nothing is audited here, but its labels are looked at.
        read("audit", Level::Privileged);
        let warn = read("warn", Level::Privileged);
        let of =
            |(level, version, when_unknown): (Option<Result<Level, ()>>, Option<Option<u16>>, Level)| LevelVersion {
                level: level.map_or(Level::Privileged, |level| level.unwrap_or(when_unknown)),
                version: version.flatten(),
            };
        let mut policy = Self { enforce: of(enforce), warn: of(warn) };
        // Who enforces a level warns of it too, unless told otherwise.
        if warn.0.is_none() && matches!(enforce.0, Some(Ok(_))) && policy.enforce.level > policy.warn.level {
            policy.warn.level = policy.enforce.level;
            if warn.1.is_none() {
                policy.warn.version = policy.enforce.version;
            }
        }
        (policy, errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(labels: &[(&str, &str)]) -> (String, String, Vec<String>) {
        let labels = labels.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())).collect();
        let (policy, errors) = Policy::of(&labels);
        (policy.enforce.to_string(), policy.warn.to_string(), errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn labels_make_a_policy() {
        let latest = |level: &str| format!("{level}:latest");
        type Labels<'a> = &'a [(&'a str, &'a str)];
        let table: [(Labels<'_>, String, String); 5] = [
            (&[], latest("privileged"), latest("privileged")),
            (&[("enforce", "baseline")], latest("baseline"), latest("baseline")),
            (
                &[("enforce", "restricted"), ("enforce-version", "v1.24")],
                "restricted:v1.24".into(),
                "restricted:v1.24".into(),
            ),
            (&[("enforce", "restricted"), ("warn", "baseline")], latest("restricted"), latest("baseline")),
            (&[("warn", "restricted")], latest("privileged"), latest("restricted")),
        ];
        for (labels, enforce, warn) in table {
            assert_eq!(policy(labels), (enforce, warn, Vec::new()), "{labels:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let (enforce, warn, errors) = policy(&[("enforce", "odd"), ("warn-version", "1.20"), ("audit", "none")]);
        assert_eq!((enforce.as_str(), warn.as_str()), ("restricted:latest", "privileged:latest"));
        let path = |name: &str| format!("metadata.labels[{PREFIX}{name}]: Invalid value: ");
        let expected = [
            path("enforce") + "\"odd\": must be one of privileged, baseline, restricted",
            path("audit") + "\"none\": must be one of privileged, baseline, restricted",
            path("warn-version") + "\"1.20\": must be \"latest\" or \"v1.x\"",
        ];
        assert_eq!(errors, expected);
    }
}
