//! Rules of roles, taken apart and put together again for people.
//!
//! Follows `k8s.io/kubectl/pkg/util/rbac`.

use serde_json::{Value, json};

use crate::machinery::order::Order as _;

/// A rule about one resource or one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    urls: Vec<String>,
}

impl Rule {
    /// `PolicyRule.String`, by which rules are sorted.
    fn text(&self) -> String {
        let list = |items: &[String]| format!("[{}]", items.join(" "));
        let Self { verbs, groups, resources, names, urls } = self;
        format!(
            "&PolicyRule{{Verbs:{},APIGroups:{},Resources:{},ResourceNames:{},NonResourceURLs:{},}}",
            list(verbs),
            list(groups),
            list(resources),
            list(names),
            list(urls)
        )
    }

    /// The resource with its group, paths, names and verbs, with tabs between them.
    pub(super) fn row(&self) -> String {
        let resource = self.resources.first().map_or("", String::as_str);
        let group = self.groups.first().filter(|group| !group.is_empty());
        let group = group.map_or_else(String::new, |group| format!(".{group}"));
        let (resource, below) = resource
            .split_once('/')
            .map_or((resource, String::new()), |(resource, below)| (resource, format!("/{below}")));
        let [urls, names, verbs] = [&self.urls, &self.names, &self.verbs].map(|items| items.join(" "));
        format!("{resource}{group}{below}\t[{urls}]\t[{names}]\t[{verbs}]")
    }
}

/// The rules, each taken apart and those of one resource put together again, in order: `BreakdownRule`, `CompactRules`.
pub(super) fn compacted(rules: &[Value]) -> Vec<Rule> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut compacted: Vec<Rule> = Vec::new();
    let mut add = |rule: Rule| {
        let same = |known: &&mut Rule| {
            known.urls.is_empty()
                && rule.urls.is_empty()
                && (&known.groups, &known.resources, &known.names) == (&rule.groups, &rule.resources, &rule.names)
        };
        match compacted.iter_mut().find(same) {
            Some(known) => known.verbs.extend(rule.verbs),
            None => compacted.push(rule),
        }
    };
    for rule in rules {
        let (verbs, names) = (texts(&rule["verbs"]), texts(&rule["resourceNames"]));
        // A rule for all names is one without any.
        let names: Vec<Vec<String>> =
            if names.is_empty() { vec![Vec::new()] } else { names.into_iter().map(|name| vec![name]).collect() };
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for (verb, names) in verbs.iter().flat_map(|verb| names.iter().map(move |names| (verb, names))) {
                    add(Rule {
                        verbs: vec![verb.clone()],
                        groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        names: names.clone(),
                        urls: Vec::new(),
                    });
                }
            }
        }
        for url in texts(&rule["nonResourceURLs"]) {
            for verb in &verbs {
                add(Rule { verbs: vec![verb.clone()], urls: vec![url.clone()], ..Rule::default() });
            }
        }
    }
    compacted.order_by_key(Rule::text);
    compacted
}

/// What of the wanted rules those that are held do not cover, taken apart: `validation.Covers`.
pub(super) fn uncovered(held: &[Value], wanted: &[Value]) -> Vec<Value> {
    let list = |rule: &Value, field: &str| rule[field].as_array().cloned().unwrap_or_default();
    let mut missing = Vec::new();
    for rule in wanted {
        let mut parts = Vec::new();
        let names = list(rule, "resourceNames");
        let names: Vec<Option<Value>> =
            if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                for verb in list(rule, "verbs") {
                    for name in &names {
                        let mut part = json!({ "verbs": [verb], "apiGroups": [group], "resources": [resource] });
                        if let Some(name) = name {
                            part["resourceNames"] = json!([name]);
                        }
                        parts.push(part);
                    }
                }
            }
        }
        for url in list(rule, "nonResourceURLs") {
            for verb in list(rule, "verbs") {
                parts.push(json!({ "verbs": [verb], "nonResourceURLs": [url] }));
            }
        }
        missing.extend(parts.into_iter().filter(|part| !held.iter().any(|rule| covers(rule, part))));
    }
    missing
}

/// `ruleCovers`: the part has one of each.
fn covers(rule: &Value, part: &Value) -> bool {
    let first = |field: &str| part[field][0].as_str();
    let any = |field: &str, fits: &dyn Fn(&str) -> bool| {
        rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).any(fits)
    };
    let has = |field: &str| first(field).is_none_or(|wanted| any(field, &|known| known == "*" || known == wanted));
    let resource = first("resources").is_none_or(|wanted| {
        let below = wanted.split_once('/').map(|(_, below)| format!("*/{below}"));
        any("resources", &|known| known == "*" || known == wanted || Some(known) == below.as_deref())
    });
    let url = first("nonResourceURLs").is_none_or(|wanted| {
        any("nonResourceURLs", &|known| {
            known == wanted || known.strip_suffix('*').is_some_and(|begin| wanted.starts_with(begin))
        })
    });
    let is_named = rule["resourceNames"].as_array().is_some_and(|names| !names.is_empty());
    let name = !is_named || first("resourceNames").is_some_and(|wanted| any("resourceNames", &|known| known == wanted));
    has("verbs") && has("apiGroups") && resource && url && name
}
