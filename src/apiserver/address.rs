//! What an address of the API is about.
//!
//! `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`, against the table of kinds.

use crate::api::{Kind, Name, OTHER_VERSIONS, OtherVersion};
use crate::machinery::status::{Reason, Status};

use super::Target;

/// The refusal of an address that leads nowhere.
#[must_use]
pub fn unknown_address() -> Status {
    Status::new(Reason::NotFound, "the server could not find the requested resource")
}

/// What a path below `/api` or `/apis` is about, as long as its kind is built in; what follows a `?` is not looked at.
///
/// # Errors
/// `NotFound` when it leads nowhere.
pub fn target(path: &str) -> Result<Target, Status> {
    target_among(path, &Vec::new)
}

/// As [`target`], with the custom kinds that there are.
pub(super) fn target_among(path: &str, custom: &dyn Fn() -> Vec<Kind>) -> Result<Target, Status> {
    let path = path.split('?').next().unwrap_or(path).trim_matches('/');
    let parts: Option<Vec<String>> = path.split('/').map(decode).collect();
    let parts = parts.ok_or_else(unknown_address)?;
    let mut parts = parts.iter().map(String::as_str);
    let (group, version) = match parts.next() {
        Some("api") => ("", parts.next().unwrap_or("")),
        Some("apis") => (parts.next().unwrap_or(""), parts.next().unwrap_or("")),
        _ => return Err(unknown_address()),
    };
    let rest: Vec<&str> = parts.collect();
    let custom = if group.contains('.') { custom() } else { Vec::new() };
    let is_plural = |word: &str| is_plural(word) || custom.iter().any(|kind| kind.info().plural == word);
    let (namespace, rest) = match rest.as_slice() {
        ["namespaces", namespace, rest @ ..] if rest.len() > 1 || matches!(rest, [one] if is_plural(one)) => {
            (*namespace, rest)
        }
        rest => ("", rest),
    };
    let plural = rest.first().copied().unwrap_or("");
    let fits = |kind: &&Kind| {
        let info = kind.info();
        info.group == group && info.version == version && info.plural == plural
    };
    let in_other_version = || other_version(group, version, plural).map(|other| &other.kind);
    let built_in = Kind::ALL.iter().find(fits).or_else(in_other_version);
    let kind = *built_in.or_else(|| custom.iter().find(fits)).ok_or_else(unknown_address)?;
    let subresource = match rest.get(2) {
        None => None,
        Some(name) => {
            let known = kind.info().subresources.iter().find(|known| known.as_str() == *name);
            Some(*known.ok_or_else(unknown_address)?)
        }
    };
    let name = rest.get(1).copied().unwrap_or("");
    let is_whole = kind.info().namespaced || namespace.is_empty();
    let is_placed = !kind.info().namespaced || !namespace.is_empty() || name.is_empty();
    if !is_whole || !is_placed || rest.len() > 3 || rest[1..].contains(&"") {
        return Err(unknown_address());
    }
    Ok(Target { kind, namespace: Name::from(namespace), name: Name::from(name), subresource })
}

fn other_version(group: &str, version: &str, plural: &str) -> Option<&'static OtherVersion> {
    let fits =
        |other: &&OtherVersion| (other.group, other.version, other.kind.info().plural) == (group, version, plural);
    OTHER_VERSIONS.iter().find(fits)
}

/// The version that a path asks for, when it is not the one that is stored.
#[must_use]
pub fn asked_version(path: &str) -> Option<&'static OtherVersion> {
    let mut parts = path.split('?').next()?.trim_matches('/').split('/');
    let (_, group, version) = (parts.next().filter(|first| *first == "apis")?, parts.next()?, parts.next()?);
    let rest: Vec<&str> = parts.collect();
    let plural = match rest.as_slice() {
        ["namespaces", _, plural, ..] => plural,
        [plural, ..] => plural,
        [] => return None,
    };
    other_version(group, version, plural)
}

fn is_plural(word: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.info().plural == word)
}

/// A part of an address or of its query without its percent signs; nothing when they do not spell text.
#[must_use]
pub fn decode(part: &str) -> Option<String> {
    if !part.contains('%') {
        return Some(part.to_owned());
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok().filter(|digits| !digits.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// What follows the `?` of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The query of an address. Pairs that do not spell text are left out, as Go leaves them out.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let Some((_, query)) = path.split_once('?') else { return Self::default() };
        let text = |part: &str| decode(&part.replace('+', " "));
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((text(name)?, text(value)?))
        });
        Self(pairs.collect())
    }

    /// The first value under a name; empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// All values under a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is anything under a name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Whether a switch is on, as `Convert_Slice_string_To_bool` takes it: anything but `0`, `false` and their like.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.has(name) && !matches!(self.get(name).to_ascii_lowercase().as_str(), "0" | "false" | "f")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Subresource;

    #[test]
    fn paths_lead_to_objects_and_what_is_below_them() {
        let found = target("/api/v1/namespaces/a/pods/p/eviction").expect("an address");
        assert_eq!((found.kind, &*found.namespace, &*found.name), (Kind::Pod, "a", "p"));
        assert_eq!(found.subresource, Some(Subresource::Eviction));
        let found = target("/api/v1/namespaces/a").expect("an address");
        assert_eq!((found.kind, &*found.namespace, &*found.name), (Kind::Namespace, "", "a"));
        let found = target("/apis/apps/v1/deployments").expect("an address");
        assert_eq!((found.kind, &*found.namespace, &*found.name), (Kind::Deployment, "", ""));
        let astray = [
            "/apis/nowhere/v1/things",
            "/api/v1/pods/p",
            "/api/v1/namespaces/a/nodes/n",
            "/api/v1/namespaces/a/pods/p/nosuch",
            "/api/v1/namespaces/a/pods/p/log/more",
            "/api/v1/namespaces/a/pods//log",
            "/api/v1/namespaces/a/pods/%ff",
            "/api/v1/namespaces/a/pods/%+1",
        ];
        for path in astray {
            assert!(target(path).is_err(), "{path}");
        }
        assert_eq!(&*target("/api/v1/nodes/%61").expect("an address").name, "a");
    }

    #[test]
    fn queries_are_read_as_go_reads_them() {
        let query = Query::of("/x?labelSelector=app%3Dx+y&watch&dryRun=All&dryRun=Some&bad=%zz&force=false");
        assert_eq!(query.get("labelSelector"), "app=x y");
        assert!(query.is_on("watch") && !query.is_on("force") && !query.has("bad"));
        assert_eq!(query.all("dryRun").collect::<Vec<_>>(), ["All", "Some"]);
    }
}
