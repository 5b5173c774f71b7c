//! The shape of the source: which file may use what, as far as the edges between crates do not say
//! it. `docs/life-of-a-request.md` relies on it.
//!
//! The test searches the text: it does not see what a macro writes, or a function under another
//! name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The crates of the program whose code decides, serves or speaks to the user.
const CRATES: &[&str] = &["policy", "config", "migrate", "proxy", "cetusguard"];

/// Every source file of these crates.
fn program() -> Vec<(String, String)> {
    let folders = CRATES.iter().map(|name| format!("crates/{name}/src"));
    folders.flat_map(|folder| sources(&folder)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every source file below a folder with its text, as far as its tests.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the source that it is about"
)]
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .expect("a folder")
            .map_while(Result::ok)
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let text = text
                    .split("#[cfg(test)]")
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let name = path
                    .strip_prefix(root())
                    .expect("below the root")
                    .display()
                    .to_string();
                found.push((name, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn the_policy_is_pure() {
    for (name, text) in sources("crates/policy/src") {
        for banned in [
            "tokio",
            "std::net",
            "std::fs",
            "std::io",
            "std::env",
            "std::time",
            "async ",
            "unsafe ",
        ] {
            assert!(
                !code(&text).any(|line| line.contains(banned)),
                "{name} uses {banned}"
            );
        }
    }
}

#[test]
fn one_file_is_unsafe() {
    for folder in ["crates", "bench"] {
        for (name, text) in sources(folder) {
            let uses = code(&text)
                .any(|line| line.contains("unsafe ") || line.contains("allow(unsafe_code"));
            assert!(
                !uses
                    || name == "crates/proxy/src/runtime/memory.rs"
                    || name.ends_with("tests/structure.rs"),
                "{name}"
            );
        }
    }
}

/// A step may use what earlier ones make and share, never what later ones do. That `flow.rs` calls
/// them in this order is there to be read.
#[test]
fn steps_use_earlier_steps_only() {
    // In the order of the journey; the record, the connection and the view accompany all of it.
    let order = [
        "audit",
        "listen",
        "normalise",
        "identify",
        "admit",
        // Called by inspect, for each subject of a call.
        "resolve",
        "inspect",
        "request_head",
        "forward",
        "answer",
        // Ends an exchange as the answer does.
        "filter",
        "hijack",
    ];
    for (name, text) in sources("crates/proxy/src/flow") {
        let step = name
            .trim_start_matches("crates/proxy/src/flow/")
            .trim_end_matches(".rs");
        let Some(place) = order.iter().position(|known| *known == step) else {
            continue;
        };
        for later in &order[place + 1..] {
            // The record names the client and what was admitted.
            if matches!((step, *later), ("audit", "identify" | "admit")) {
                continue;
            }
            assert!(
                !code(&text).any(|line| line.contains(&format!("super::{later}"))),
                "{name} uses the later step {later}"
            );
        }
    }
}

#[test]
fn each_power_has_one_place() {
    for (power, places) in [
        // Raw paths are read, and paths for the engine written, in one file.
        // The other one reads queries to the admin listener, which go to no engine.
        (
            "percent_decode",
            &[
                "crates/policy/src/request/call.rs",
                "crates/proxy/src/telemetry/live/filter.rs",
            ][..],
        ),
        (
            "utf8_percent_encode",
            &["crates/policy/src/request/call.rs"],
        ),
        // Connections to the engine.
        (
            "TcpStream::connect",
            &["crates/proxy/src/engine/backend.rs"],
        ),
        // A frontend also checks that no other program listens on the path of its socket, and the
        // audit log may go to a collector.
        (
            "UnixStream::connect",
            &[
                "crates/proxy/src/engine/backend.rs",
                "crates/proxy/src/flow/listen/sockets.rs",
                "crates/proxy/src/telemetry/log/output.rs",
            ],
        ),
        (
            "backend.connect",
            &[
                "crates/proxy/src/flow/forward.rs",
                "crates/proxy/src/engine/mod.rs",
            ],
        ),
        ("backend.take_kept", &["crates/proxy/src/flow/forward.rs"]),
        // Error responses.
        ("\"message\":", &["crates/proxy/src/outcome/refusal.rs"]),
        // Permits are made by the decision alone.
        ("Permit {", &["crates/policy/src/decide.rs"]),
        // Only the configuration and TLS read files.
        ("File::open", &["crates/config/src/text_file.rs"]),
        // The audit log is the one file that is written.
        (
            "custom_flags",
            &[
                "crates/config/src/text_file.rs",
                "crates/proxy/src/telemetry/log/output.rs",
            ],
        ),
    ] {
        for (name, text) in program() {
            let used = code(&text).any(|line| {
                line.contains(power) && !line.contains("impl Permit") && !line.contains("-> ")
            });
            assert!(
                !used || places.contains(&name.as_str()),
                "{name} uses {power}, which belongs to {places:?}"
            );
        }
    }
}

#[test]
fn flow_and_policy_see_only_the_meaning_of_the_configuration() {
    for (name, text) in sources("crates/proxy/src/flow") {
        assert!(
            !code(&text)
                .any(|line| line.contains("config::written") || line.contains("config::OPTIONS")),
            "{name}"
        );
    }
}

/// A type has one name in the whole program, so that a reader who meets it without its module's path
/// knows which one it is.
#[test]
fn type_names_are_unique() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for (name, text) in program().into_iter().chain(sources("crates/http1/src")) {
        for line in code(&text) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words
                .iter()
                .position(|word| ["struct", "enum", "trait"].contains(word));
            let is_definition =
                at.is_some_and(|at| words[..at].iter().all(|w| w.starts_with("pub")));
            if let Some(word) = at
                .filter(|_| is_definition)
                .and_then(|at| words.get(at + 1))
            {
                let ends = |c: char| !c.is_alphanumeric();
                let word = word.split(ends).next().unwrap_or_default().to_owned();
                places.entry(word).or_default().push(name.clone());
            }
        }
    }
    assert!(places.len() > 300, "{}", places.len());
    let twice: Vec<_> = places.iter().filter(|(_, names)| names.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

/// A survey takes seconds: the server gets the warnings of `check` from the program.
#[test]
fn the_server_analyses_no_rules() {
    for (name, text) in sources("crates/proxy/src") {
        assert!(
            !code(&text).any(|line| line.contains("Survey")),
            "{name} surveys rules"
        );
    }
}

#[test]
fn files_stay_short() {
    for (name, text) in program().into_iter().chain(sources("crates/http1/src")) {
        let lines = text.lines().count();
        assert!(lines <= 600, "{name} has {lines} lines before its tests");
    }
}

#[test]
fn nothing_panics_on_purpose() {
    for (name, text) in program() {
        for word in [
            ".unwrap()",
            "panic!",
            "unreachable!",
            "todo!",
            "unimplemented!",
            "process::exit",
        ] {
            assert!(
                !code(&text).any(|line| line.contains(word)),
                "{name} has {word}"
            );
        }
    }
}
