//! Changes of headers, which proxies make on the way to a server and back.

/// A header's name and value.
type Header = (String, String);

/// A change of headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChange {
    /// Those that have this value from now on, and no other.
    pub set: Vec<Header>,
    /// Those that have this value, too.
    pub add: Vec<Header>,
    /// Those that go.
    pub remove: Vec<String>,
}

impl HeaderChange {
    /// Changes headers.
    pub fn apply(&self, headers: &mut Vec<Header>) {
        let is = |header: &Header, name: &str| header.0.eq_ignore_ascii_case(name);
        for (name, value) in &self.set {
            headers.retain(|header| !is(header, name));
            headers.push((name.clone(), value.clone()));
        }
        for (name, value) in &self.add {
            match headers.iter_mut().find(|header| is(header, name)) {
                Some((_, known)) => *known = format!("{known},{value}"),
                None => headers.push((name.clone(), value.clone())),
            }
        }
        headers.retain(|header| !self.remove.iter().any(|name| is(header, name)));
    }
}
