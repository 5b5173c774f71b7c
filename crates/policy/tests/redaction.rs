//! Redaction of real answers: no planted value survives, and nothing else changes.
//!
//! `answers/ENGINE.tsv` holds answers of real engines, an endpoint and its JSON on each line. Their
//! containers, networks and services were created with `planted-CLASS` as the values of a class.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cetusguard_policy::Redaction;
use cetusguard_policy::endpoint::{Answer, Endpoint, EndpointId};
use cetusguard_policy::guard::Json;

const ANSWERS: &[(&str, &str)] = &[
    ("docker-20.10", include_str!("answers/docker-20.10.tsv")),
    ("docker-28.5", include_str!("answers/docker-28.5.tsv")),
    ("podman-4.3", include_str!("answers/podman-4.3.tsv")),
    ("podman-5.8", include_str!("answers/podman-5.8.tsv")),
];

/// The classes, each with the texts that were planted as its values.
const PLANTED: &[(&str, &[&str])] = &[
    ("env", &["planted-env"]),
    ("commands", &["planted-command"]),
    ("labels", &["planted-label"]),
    ("host-paths", &["planted-path", "/var/lib/engine"]),
    (
        "addresses",
        &[
            "planted-address",
            "addr=10.99.0.1",
            "10.99.0.2",
            "10.99.0.3",
            "10.99.0.4",
            "10.215.77.",
            "10.216.77.",
            "10.217.",
            "10.213.",
            "10.214.",
        ],
    ),
    ("registries", &["planted-registry", "10.99.0.0"]),
    ("proxies", &["planted-proxy", "planted-env:x@p"]),
    (
        "tokens",
        &[
            "planted-token",
            "cGxhbnRlZC10b2tlbg",
            "SWMTKN",
            "BEGIN CERT",
        ],
    ),
    ("host", &["planted-host"]),
    ("users", &["\"4242\""]),
];

fn redaction(value: &str) -> Redaction {
    Redaction::read([value]).expect("a value of redact")
}

fn endpoint(name: &str) -> EndpointId {
    Endpoint::all()
        .find(|endpoint| endpoint.id.name() == name)
        .expect(name)
        .id
}

/// Returns the answers of an engine with their endpoints.
fn lines(answers: &'static str) -> impl Iterator<Item = (EndpointId, &'static str)> {
    answers.lines().map(|line| {
        let (name, json) = line.split_once('\t').expect("a tab");
        (endpoint(name), json)
    })
}

fn redacted(redaction: &Redaction, endpoint: EndpointId, json: &str) -> String {
    let mut value = Json::read(json.as_bytes()).expect("JSON");
    redaction.apply(endpoint, "", &mut value);
    value.to_string()
}

#[test]
fn no_planted_value_survives() {
    for (class, planted) in PLANTED {
        let redaction = redaction(class);
        let mut seen = BTreeSet::new();
        for (engine, answers) in ANSWERS {
            for (endpoint, json) in lines(answers) {
                let after = redacted(&redaction, endpoint, json);
                for text in *planted {
                    if json.contains(text) {
                        seen.insert(*text);
                    }
                    let name = endpoint.name();
                    assert!(
                        !after.contains(text),
                        "{class}: {text} in {engine} {name}: {after}"
                    );
                }
            }
        }
        let planted: BTreeSet<_> = planted.iter().copied().collect();
        assert_eq!(seen, planted, "{class}: each text occurs in some answer");
    }
}

#[test]
fn all_leaves_nothing_planted() {
    for (engine, answers) in ANSWERS {
        for (endpoint, json) in lines(answers) {
            let after = redacted(&redaction("all"), endpoint, json);
            assert!(
                !after.contains("planted-"),
                "{engine} {}: {after}",
                endpoint.name()
            );
        }
    }
}

/// Adds the places at which two values differ, and the new value of each.
fn compare(before: &Json<'_>, after: &Json<'_>, path: &str, changes: &mut BTreeSet<String>) {
    match (before, after) {
        (Json::List(before), Json::List(after)) if before.len() == after.len() => {
            for (before, after) in before.iter().zip(after) {
                compare(before, after, &format!("{path}[]"), changes);
            }
        }
        (Json::Map(before), Json::Map(after)) if before.len() == after.len() => {
            for ((old, before), (new, after)) in before.iter().zip(after) {
                if old != new {
                    changes.insert(format!("{path}.(key)\t{new}"));
                }
                // Identifiers differ with each capture.
                let key = match new.len() {
                    25 | 64 => "*",
                    _ => new,
                };
                compare(before, after, &format!("{path}.{key}"), changes);
            }
        }
        (Json::Text(_), Json::Text(_)) | (Json::Number(_), Json::Number(_)) => {
            if before != after {
                let path = path.trim_start_matches("[]").trim_start_matches('.');
                changes.insert(format!("{path}\t{after}"));
            }
        }
        (before, after) => assert_eq!(before, after, "{path} changed its type"),
    }
}

/// `answers/redacted.tsv` lists each value that changes. All others stay as they are, since the
/// comparison goes through all of both answers.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the file that it writes"
)]
fn only_values_of_the_class_change() {
    let mut golden = String::new();
    for (class, _) in PLANTED {
        let redaction = redaction(class);
        for (engine, answers) in ANSWERS {
            let mut changes = BTreeSet::new();
            for (endpoint, json) in lines(answers) {
                let before = Json::read(json.as_bytes()).expect("JSON");
                let mut after = before.clone();
                redaction.apply(endpoint, "", &mut after);
                let mut own = BTreeSet::new();
                compare(&before, &after, "", &mut own);
                let name = endpoint.name();
                changes.extend(own.iter().map(|change| format!("{name}\t{change}")));
            }
            for change in changes {
                writeln!(golden, "{class}\t{engine}\t{change}").expect("a text");
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/answers/redacted.tsv");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &golden).expect("the golden file");
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    for (line, (known, new)) in known.lines().zip(golden.lines()).enumerate() {
        assert_eq!(
            known,
            new,
            "line {}; UPDATE_DOCS=1 writes the file",
            line + 1
        );
    }
    assert_eq!(known.len(), golden.len(), "UPDATE_DOCS=1 writes the file");
}

#[test]
fn an_answer_that_comes_in_parts_is_redacted_alike() {
    for value in ["secrets", "all"] {
        let redaction = redaction(value);
        for (_, answers) in ANSWERS {
            for (endpoint, json) in lines(answers) {
                let mut whole = Json::read(json.as_bytes()).expect("JSON");
                let mut parts = whole.clone();
                redaction.apply(endpoint, "", &mut whole);
                match &mut parts {
                    Json::List(list) => {
                        for element in list {
                            redaction.apply(endpoint, "", element);
                        }
                    }
                    Json::Map(map) if endpoint.name().ends_with("system.df") => {
                        for (key, value) in map {
                            match value {
                                Json::List(list) => {
                                    for element in list {
                                        redaction.apply(endpoint, key, element);
                                    }
                                }
                                value => redaction.apply(endpoint, key, value),
                            }
                        }
                    }
                    whole => redaction.apply(endpoint, "", whole),
                }
                assert_eq!(parts.to_string(), whole.to_string(), "{}", endpoint.name());
            }
        }
    }
}

/// Answers that are not JSON, or that a client needs before they are complete, are passed as they
/// come.
#[test]
fn streams_and_transfers_are_passed_as_they_come() {
    let all = redaction("all");
    for endpoint in Endpoint::all() {
        let is_redacted = match endpoint.answer {
            Answer::Quick | Answer::Slow => continue,
            Answer::Transfer => endpoint.id == EndpointId::LibpodQuadletInstall,
            Answer::Follow => matches!(
                endpoint.id,
                EndpointId::SystemEvents
                    | EndpointId::LibpodSystemEvents
                    | EndpointId::LibpodContainerTop
                    | EndpointId::LibpodPodTop
            ),
            Answer::Tunnel(_) => false,
        };
        assert_eq!(
            all.concerns(endpoint.id),
            is_redacted,
            "{}",
            endpoint.id.name()
        );
    }
}

/// Podman answers an update with the identifier of the container as a text, and a mount with a
/// folder.
#[test]
fn texts_of_podman_are_passed_or_closed() {
    for name in ["libpod.container.update", "libpod.container.mount"] {
        assert!(!redaction("all").concerns(endpoint(name)), "{name}");
    }
}

#[test]
fn answers_that_cannot_be_rewritten_are_closed() {
    for (class, name, is_closed) in [
        ("env", "libpod.generate.kube", true),
        ("env", "libpod.kube.generate", true),
        ("commands", "libpod.generate.systemd", true),
        ("labels=a", "libpod.quadlet.file", true),
        ("host", "libpod.generate.kube", false),
        ("env", "image.save", true),
        ("addresses", "image.save", false),
        ("tokens", "libpod.container.checkpoint", true),
        ("env", "build.grpc", true),
        ("env", "build.start", false),
        ("host-paths", "libpod.container.mount", true),
        ("secrets", "libpod.container.mount", false),
        ("all", "libpod.container.update", false),
        ("all", "container.export", false),
        ("all", "container.logs", false),
        ("all", "container.inspect", false),
        ("none", "libpod.generate.kube", false),
    ] {
        let reason = redaction(class).closes(endpoint(name));
        assert_eq!(reason.is_some(), is_closed, "{class} {name}");
    }
    for (class, name, parameter, is_closed) in [
        ("env", "container.logs", "details", true),
        ("labels=x", "service.logs", "details", true),
        ("tokens", "container.logs", "details", false),
        ("env", "container.logs", "tail", false),
        ("commands", "container.top", "ps_args", true),
        ("env", "container.top", "ps_args", false),
    ] {
        let reason = redaction(class).closes_parameter(endpoint(name), parameter);
        assert_eq!(reason.is_some(), is_closed, "{class} {name} {parameter}");
    }
}

#[test]
fn nested_lists_of_newer_engines_have_a_section_of_their_own() {
    let df = r#"{"VolumeUsage":{"Items":[{"Status":{"mount":"/x"},"Mountpoint":"/x"}]},
        "BuildCacheUsage":{"Items":[{"Description":"RUN x","ID":"x"}]}}"#;
    for (section, element, want) in [
        (
            "VolumeUsage.Items",
            r#"{"Status":{"mount":"/x"},"Mountpoint":"/x","Name":"x"}"#,
            r#"{"Status":{"mount":"/redacted"},"Mountpoint":"/redacted","Name":"x"}"#,
        ),
        (
            "BuildCacheUsage.Items",
            r#"{"Description":"RUN x","ID":"x"}"#,
            r#"{"Description":"redacted","ID":"x"}"#,
        ),
        ("VolumeUsage.ActiveCount", "3", "3"),
        (
            "",
            df,
            r#"{"VolumeUsage":{"Items":[{"Status":{"mount":"/redacted"},"Mountpoint":"/redacted"}]},"BuildCacheUsage":{"Items":[{"Description":"redacted","ID":"x"}]}}"#,
        ),
    ] {
        let mut value = Json::read(element.as_bytes()).expect("JSON");
        redaction("all").apply(endpoint("system.df"), section, &mut value);
        assert_eq!(value.to_string(), want, "{section}");
    }
}

/// A generator that gives the same values each time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % sides
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len())]
    }

    /// A value whose members have names of real answers, with values of any type.
    fn value(&mut self, names: &[&str], depth: usize) -> String {
        const LEAVES: &[&str] = &[
            "null",
            "true",
            "0",
            "-1.5e3",
            "\"\"",
            "\"a\"",
            "\"K=v\"",
            "\"=\"",
            "\"/srv/x:/y:ro\"",
            "\"10.0.0.1/8\"",
            "\"[::1]:80\"",
            "\"fe80::1%eth0\"",
            "\"a:b:c\"",
            "\"http://u:p@h/\"",
            "\"exec_create: x\"",
            "\"health_status: \"",
            "\"node.hostname==x\"",
            "\"é\\\"\\u0001\"",
            "\"CMD\"",
            "\"k=/x\"",
            "\"a b c\"",
            "\":\"",
            "\"docker.io\"",
            "\"container\"",
        ];
        match self.roll(if depth == 0 { 1 } else { 4 }) {
            0 | 1 if depth == 0 || self.roll(2) == 0 => self.pick(LEAVES).to_owned(),
            1 => {
                let elements = self.roll(4);
                let all: Vec<_> = (0..elements)
                    .map(|_| self.value(names, depth - 1))
                    .collect();
                format!("[{}]", all.join(","))
            }
            _ => {
                let members: BTreeSet<_> = (0..self.roll(6)).map(|_| self.pick(names)).collect();
                let all: Vec<_> = members
                    .iter()
                    .map(|name| format!("\"{name}\":{}", self.value(names, depth - 1)))
                    .collect();
                format!("{{{}}}", all.join(","))
            }
        }
    }
}

/// Adds the keys of an answer, but for identifiers.
fn add_names(value: &Json<'_>, names: &mut BTreeSet<String>) {
    for element in value.list() {
        add_names(element, names);
    }
    for (key, value) in value.map() {
        if key.len() < 40 && !key.contains('"') {
            names.insert(key.to_string());
        }
        add_names(value, names);
    }
}

#[test]
fn redaction_keeps_the_structure_and_is_idempotent() {
    let mut names = BTreeSet::new();
    for (_, answers) in ANSWERS {
        for (_, json) in lines(answers) {
            add_names(&Json::read(json.as_bytes()).expect("JSON"), &mut names);
        }
    }
    for row in include_str!("answers/places.tsv").lines() {
        let path = row.rsplit('\t').next().unwrap_or_default();
        names.extend(path.split(['.', '[', ']', ' ']).map(str::to_owned));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let endpoints: Vec<_> = Endpoint::all().map(|endpoint| endpoint.id).collect();
    let mut dice = Dice(0x5eed);
    for _ in 0..5_000 {
        let classes: Vec<_> = (0..=dice.roll(3))
            .map(|_| PLANTED[dice.roll(PLANTED.len())].0)
            .collect();
        let redaction = Redaction::read(classes).expect("classes");
        let endpoint = endpoints[dice.roll(endpoints.len())];
        let json = dice.value(&names, 6);
        let before = Json::read(json.as_bytes()).expect("JSON");
        let mut after = before.clone();
        redaction.apply(endpoint, "", &mut after);
        compare(&before, &after, "", &mut BTreeSet::new());
        let once = after.to_string();
        assert!(
            serde_json::from_str::<serde_json::Value>(&once).is_ok(),
            "{once}"
        );
        redaction.apply(endpoint, "", &mut after);
        assert_eq!(
            after.to_string(),
            once,
            "{redaction}: {} {json}",
            endpoint.name()
        );
        if !redaction.concerns(endpoint) {
            assert_eq!(once, before.to_string(), "{}", endpoint.name());
        }
    }
}

/// Builds an answer that has a value at this path.
fn answer_with(path: &str, leaf: &str) -> String {
    let (first, rest) = match path.find(['.', '[']) {
        Some(0) if path.starts_with("[]") => {
            let rest = path[2..].trim_start_matches('.');
            return format!("[{}]", answer_with(rest, leaf));
        }
        Some(at) => (&path[..at], path[at..].trim_start_matches('.')),
        None => (path, ""),
    };
    let key = if first == "*" {
        "planted.example/key"
    } else {
        first
    };
    match path {
        "" => leaf.to_owned(),
        _ => format!(r#"{{"{key}":{}}}"#, answer_with(rest, leaf)),
    }
}

/// Returns a value of the class, and the text that must not be left of it.
fn marked(class: &str, path: &str) -> (&'static str, &'static str) {
    let last = path.rsplit('.').next().unwrap_or_default();
    match class {
        "env" if !path.contains("Config.Env[].") => (r#""KEY=10.66.66.66""#, "10.66.66.66"),
        "commands" if path == "Action" || path == "status" => {
            (r#""exec_create: 10.66.66.66""#, "10.66.66.66")
        }
        "labels" if last == "Labels[]" => (r#""key=10.66.66.66""#, "10.66.66.66"),
        "host-paths" if last.starts_with("Binds") => (r#""/10.66.66.66:/b""#, "10.66.66.66"),
        "host-paths" => (r#""/10.66.66.66""#, "10.66.66.66"),
        "host" if matches!(last, "MemTotal" | "NCPU") => ("666666", "666666"),
        _ => (r#""10.66.66.66""#, "10.66.66.66"),
    }
}

#[test]
fn every_known_place_of_a_class_is_redacted() {
    let mut left = String::new();
    for row in include_str!("answers/places.tsv").lines() {
        if row.starts_with('#') {
            continue;
        }
        let [name, class, path] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {row}");
        };
        // The rows of some drivers are pairs, of which the first is a name; names of variables stay.
        if path.ends_with("Config.Env[].Name") {
            continue;
        }
        let (leaf, marker) = marked(class, path);
        let leaf = match path.strip_suffix("[][]") {
            Some(_) if path.starts_with("Processes") => leaf.to_owned(),
            Some(_) => format!(r#""name",{leaf}"#),
            None => leaf.to_owned(),
        };
        let after = redacted(&redaction(class), endpoint(name), &answer_with(path, &leaf));
        if after.contains(marker) {
            writeln!(left, "{row}: {after}").expect("a text");
        }
    }
    assert!(left.is_empty(), "{left}");
}
