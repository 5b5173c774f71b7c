//! Rules for single endpoints, put together where they differ in their last word alone.

use std::collections::BTreeMap;

use cetusguard_policy::endpoint::Endpoint;

/// Endpoints that shall be open: patterns, each with its methods.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, Vec<&'static str>>);

impl Lines {
    /// Opens an endpoint.
    pub(super) fn add(&mut self, endpoint: &Endpoint) {
        let methods = self.0.entry(endpoint.pattern()).or_default();
        let mut add = |method: &'static str| {
            if !methods.contains(&method) {
                methods.push(method);
            }
        };
        add(endpoint.method.as_str());
        if endpoint.method.as_str() == "GET" {
            add("HEAD");
        }
    }

    /// Returns the rules.
    pub(super) fn into_rules(self) -> impl Iterator<Item = String> {
        let mut groups: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (pattern, mut methods) in self.0 {
            methods.sort_unstable();
            let (start, last) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
            let is_word =
                !start.is_empty() && last.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let (start, last) = if is_word {
                (start, last)
            } else {
                (pattern.as_str(), "")
            };
            groups
                .entry((methods.join(","), start.to_owned()))
                .or_default()
                .push(last.to_owned());
        }
        groups.into_iter().flat_map(|((methods, start), words)| {
            let (named, bare): (Vec<_>, Vec<_>) =
                words.into_iter().partition(|word| !word.is_empty());
            let named = match named.as_slice() {
                [] => None,
                [word] => Some(format!("{methods} {start}/{word}")),
                words => Some(format!("{methods} {start}/({})", words.join("|"))),
            };
            bare.first()
                .map(|_| format!("{methods} {start}"))
                .into_iter()
                .chain(named)
                .collect::<Vec<_>>()
        })
    }
}
