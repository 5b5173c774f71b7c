//! Presets give their clients what these call, and nothing else. `presets/calls.tsv` has the calls, by client and need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use cetusguard_policy::endpoint::{Endpoint, Power};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, Limits, Mode, Preset, Profile, Survey, Verdict, decide};

const CALLS: &str = include_str!("presets/calls.tsv");

/// What stands for the placeholders of a call: names and identifiers, short and long.
const OBJECTS: [&str; 3] =
    ["web-1", "0123456789ab", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"];
const IMAGES: [&str; 4] =
    ["busybox", "ghcr.io/some/image:1.2", "sha256:0123456789abcdef0123456789abcdef", "localhost:5000/a/b"];

struct Needed {
    preset: &'static str,
    need: &'static str,
    method: &'static str,
    path: &'static str,
}

fn calls() -> impl Iterator<Item = Needed> {
    CALLS.lines().skip(1).map(|line| {
        let mut cells = line.split('\t');
        let [preset, need, method, path] = [(); 4].map(|()| cells.next().expect(line));
        Needed { preset, need, method, path }
    })
}

impl Needed {
    /// The call in every form in which clients make it.
    fn forms(&self) -> impl Iterator<Item = Call> {
        let objects =
            if self.path.contains("{name}") && !self.path.starts_with("/volumes") { &IMAGES[..] } else { &OBJECTS };
        let paths = objects.iter().flat_map(|object| {
            let path = self.path.replace("{id}", object).replace("{name}", object);
            ["", "/v1.43"].map(|version| format!("{version}{path}"))
        });
        paths.map(|path| Call::read(self.method, &path).expect(&path))
    }
}

fn profile(text: &str) -> Profile {
    let rules = RuleSet::new(parse("preset", text).map_err(|mistakes| mistakes[0].to_string()).expect("rules"));
    let (limits, guard, targets) = (Limits::default(), Arc::default(), Arc::default());
    Profile { name: "p".to_owned(), rules, limits, guard, targets, mode: Mode::Enforce }
}

/// Surveys the rules of a text, once for all tests: it takes long without optimisation.
fn survey(text: &str) -> Arc<Survey> {
    static KNOWN: Mutex<BTreeMap<String, Arc<OnceLock<Arc<Survey>>>>> = Mutex::new(BTreeMap::new());
    let known = Arc::clone(KNOWN.lock().expect("no test panics here").entry(text.to_owned()).or_default());
    Arc::clone(known.get_or_init(|| Arc::new(cetusguard_policy::survey(&profile(text)))))
}

/// The preset with the rules that it shows as comments.
fn with_options(text: &str) -> String {
    let is_rule = |line: &str| parse("t", line).is_ok_and(|rules| !rules.is_empty());
    let lines = text.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_rule(rest)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn allows(profile: &Profile, call: Call) -> bool {
    matches!(decide(call, profile), Verdict::Allow(_))
}

#[test]
fn presets_allow_what_their_clients_need() {
    for preset in Preset::ALL {
        let (plain, all) = (profile(preset.text), profile(&with_options(preset.text)));
        let own: Vec<_> = calls().filter(|call| call.preset == preset.name).collect();
        assert!(own.len() > 2, "{} has no calls", preset.name);
        for needed in own {
            for call in needed.forms() {
                let shown = format!("{}: {} {} {}", preset.name, needed.need, needed.method, call.path());
                assert_eq!(allows(&plain, call.clone()), needed.need != "optional", "{shown}");
                assert!(allows(&all, call), "{shown}, with the rules in comments");
            }
        }
    }
}

#[test]
fn presets_allow_nothing_else() {
    for preset in Preset::ALL {
        let needed: BTreeSet<(&str, &str)> = calls()
            .filter(|call| call.preset == preset.name && call.need != "optional")
            .filter_map(|call| Some((call.method, call.forms().next()?.endpoint()?.shape)))
            .collect();
        let found = survey(preset.text);
        for open in &found.open {
            let Endpoint { method, shape, .. } = open.endpoint;
            assert!(needed.contains(&(method.as_str(), shape)), "{}: nobody needs {method} {shape}", preset.name);
        }
        assert!(
            found.idle.is_empty() && found.covered.is_empty() && found.closed.is_empty(),
            "{}: {found:?}",
            preset.name
        );
        let all = survey(&with_options(preset.text));
        assert!(all.idle.is_empty() && all.covered.is_empty(), "{}: {:?} {:?}", preset.name, all.idle, all.covered);
    }
}

/// What a client can do with it stands in the file, so that `preset show` tells; it is what the rules come to.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test may read the files that it is about")]
fn headers_say_what_the_rules_come_to() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("presets");
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("the presets") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let text = std::fs::read_to_string(&path).expect("a text");
        let powers: BTreeSet<Power> = survey(&text).open.iter().map(|open| open.power).collect();
        let powers: Vec<_> = powers.iter().filter(|power| **power != Power::Ping).map(|power| power.says()).collect();
        let want = wrapped("# Can:     ", &powers.join("; "));
        let start = text.find("# Can:").expect("a line for it");
        let end = start + text[start..].find("\n# Refused:").expect("a line behind it");
        if update && text[start..end] != want {
            std::fs::write(&path, format!("{}{want}{}", &text[..start], &text[end..])).expect("a writable file");
        } else {
            assert_eq!(text[start..end], want, "{name}: run the tests with UPDATE_DOCS=1");
        }
        assert!(text.contains("\n#\n# Client:  ") && text.contains("\n# Source:  "), "{name}");
        assert!(text.contains("\nGET,HEAD %API_PREFIX_PING%\n"), "{name}");
        assert!(text.lines().all(|line| line.chars().count() <= 118), "{name}");
        names.insert(name);
    }
    assert_eq!(names, Preset::ALL.iter().map(|preset| preset.name.to_owned()).collect());
    let homepage = Preset::find("homepage").expect("a preset");
    assert!(homepage.field("Client").starts_with("gethomepage/homepage, "), "{}", homepage.field("Client"));
    assert!(homepage.field("Can").contains("list containers with their labels") && homepage.field("None").is_empty());
}

/// A text in lines of a comment.
fn wrapped(label: &str, text: &str) -> String {
    let (mut out, mut line) = (String::new(), label.to_owned());
    for word in text.split(' ') {
        if line.len() + word.len() > 117 {
            out.push_str(line.trim_end());
            out.push('\n');
            line = format!("#{}", " ".repeat(label.len() - 1));
        }
        line.push_str(word);
        line.push(' ');
    }
    out + line.trim_end()
}
