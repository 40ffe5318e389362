//! `/etc/resolv.conf`: which names are tried for a name that somebody typed.

use crate::machinery::shell::Question;

/// How many dots a name has that is tried as it is first, when `/etc/resolv.conf` says nothing.
const NDOTS: usize = 1;

/// What a pod's `/etc/resolv.conf` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverConfig {
    /// The first server.
    pub server: Option<String>,
    /// The domains that are tried.
    searches: Vec<String>,
    ndots: usize,
}

impl ResolverConfig {
    /// Reads the file.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut config = Self { server: None, searches: Vec::new(), ndots: NDOTS };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if config.server.is_none() => config.server = words.next().map(str::to_owned),
                Some("search") => config.searches = words.map(str::to_owned).collect(),
                Some("options") => {
                    let mut words = words.rev();
                    let ndots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    config.ndots = ndots.unwrap_or(config.ndots);
                }
                _ => {}
            }
        }
        config
    }

    /// The full names that are asked for, in order: `res_search`.
    #[must_use]
    pub fn candidates(&self, question: &Question) -> Vec<String> {
        let name = question.name.as_str();
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        if !question.search {
            return vec![name.to_owned()];
        }
        let mut names: Vec<String> = self.searches.iter().map(|domain| format!("{name}.{domain}")).collect();
        let at = if name.matches('.').count() >= self.ndots { 0 } else { names.len() };
        names.insert(at, name.to_owned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "search a.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\nnameserver 1.1.1.1\n";

    fn names(options: &str, name: &str) -> String {
        let config = ResolverConfig::parse(&format!("{FILE}{options}"));
        assert_eq!(config.server.as_deref(), Some("10.96.0.10"));
        config.candidates(&Question::address(name)).join(" ")
    }

    #[test]
    fn domains_are_tried_before_or_after_the_name_itself() {
        let table = [
            ("options ndots:5\n", "web", "web.a.svc.cluster.local web.svc.cluster.local web"),
            ("options ndots:5\n", "web.b", "web.b.a.svc.cluster.local web.b.svc.cluster.local web.b"),
            ("", "web.b", "web.b web.b.a.svc.cluster.local web.b.svc.cluster.local"),
            ("options ndots:5\n", "web.b.", "web.b"),
        ];
        for (options, name, expected) in table {
            assert_eq!(names(options, name), expected, "{name} with {options:?}");
        }
    }
}
