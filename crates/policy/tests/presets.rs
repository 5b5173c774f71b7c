//! Presets give their clients what these call, and nothing else. `presets/calls.tsv` has the calls,
//! by client and need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use cetusguard_policy::endpoint::{Endpoint, Power};
use cetusguard_policy::guard::Recreation;
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    Call, ClientLimits, Mode, Ownership, Preset, Profile, Redaction, SessionSource, Survey,
    Verdict, View, decide,
};

const CALLS: &str = include_str!("presets/calls.tsv");

/// What stands for the placeholders of a call: names and identifiers, short and long.
const OBJECTS: [&str; 3] = [
    "web-1",
    "0123456789ab",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];
const IMAGES: [&str; 4] = [
    "busybox",
    "ghcr.io/some/image:1.2",
    "sha256:0123456789abcdef0123456789abcdef",
    "localhost:5000/a/b",
];

struct Needed {
    preset: &'static str,
    need: &'static str,
    method: &'static str,
    path: &'static str,
    /// The heading of the optional lines that open an optional call.
    feature: Option<&'static str>,
}

fn calls() -> impl Iterator<Item = Needed> {
    CALLS.lines().skip(1).map(|line| {
        let mut cells = line.split('\t');
        let [preset, need, method, path] = [(); 4].map(|()| cells.next().expect(line));
        let feature = cells.next();
        assert_eq!(feature.is_some(), need == "optional", "{line}");
        Needed {
            preset,
            need,
            method,
            path,
            feature,
        }
    })
}

impl Needed {
    /// The call in every form in which clients make it.
    fn forms(&self) -> impl Iterator<Item = Call> {
        let is_image = self.path.contains("{name}") && !self.path.contains("/volumes/");
        let objects = if is_image { &IMAGES[..] } else { &OBJECTS };
        let versions = if self.path.starts_with("/libpod/") {
            ["/v4.9.3", "/v5.8.0"]
        } else {
            ["", "/v1.43"]
        };
        let paths = objects.iter().flat_map(move |object| {
            let path = self.path.replace("{id}", object).replace("{name}", object);
            versions.map(|version| format!("{version}{path}"))
        });
        paths.map(|path| Call::read(self.method, &path).expect(&path))
    }
}

fn profile(text: &str) -> Profile {
    let rules = RuleSet::new(
        parse("preset", text)
            .map_err(|mistakes| mistakes[0].to_string())
            .expect("rules"),
    );
    let (limits, guard, targets) = (ClientLimits::default(), Arc::default(), Arc::default());
    Profile {
        name: "p".to_owned(),
        rules,
        limits,
        guard,
        targets,
        mode: Mode::Enforce,
        recreation: None,
        ..Profile::default()
    }
}

/// Surveys the rules of a text, once for all tests: it takes long without optimisation.
fn survey(text: &str) -> Arc<Survey> {
    static KNOWN: Mutex<BTreeMap<String, Arc<OnceLock<Arc<Survey>>>>> = Mutex::new(BTreeMap::new());
    let known = Arc::clone(
        KNOWN
            .lock()
            .expect("no test panics here")
            .entry(text.to_owned())
            .or_default(),
    );
    Arc::clone(known.get_or_init(|| Arc::new(cetusguard_policy::survey(&profile(text)))))
}

/// The optional rules of a preset, by the heading above them.
fn options(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for paragraph in text.split("\n\n").skip(1) {
        let mut lines = paragraph
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line));
        let heading = lines.next().and_then(|line| line.strip_suffix(':'));
        groups.push((heading.expect(paragraph), lines.collect()));
    }
    groups
}

/// Reads a preset with the rules of one of its groups, or of all, in effect.
fn with_options(text: &str, is_chosen: impl Fn(&str) -> bool) -> Profile {
    let chosen = options(text)
        .into_iter()
        .filter(|(heading, _)| is_chosen(heading));
    let lines = chosen
        .flat_map(|(_, lines)| lines)
        .map(|line| format!("\n{line}"));
    profile(&format!("{text}{}", lines.collect::<String>()))
}

fn allows(profile: &Profile, call: Call) -> bool {
    matches!(decide(call, profile), Verdict::Allow(_))
}

/// The calls of a preset that are always allowed, or those of one of its features, by method and
/// shape.
fn needed_shapes(preset: &Preset, feature: Option<&str>) -> BTreeSet<(&'static str, &'static str)> {
    let own = calls().filter(|call| call.preset == preset.name && call.feature == feature);
    let shapes = own.filter_map(|call| Some((call.method, call.forms().next()?.endpoint()?.shape)));
    // A rule that allows GET allows HEAD too, which tells less.
    let with_head = |(method, shape)| {
        [
            (method, shape),
            (if method == "GET" { "HEAD" } else { method }, shape),
        ]
    };
    shapes.flat_map(with_head).collect()
}

#[test]
fn presets_allow_what_their_clients_need() {
    for preset in Preset::ALL {
        let (plain, all) = (profile(preset.text), with_options(preset.text, |_| true));
        let own: Vec<_> = calls().filter(|call| call.preset == preset.name).collect();
        assert!(own.len() > 2, "{} has no calls", preset.name);
        for needed in own {
            for call in needed.forms() {
                let shown = format!(
                    "{}: {} {} {}",
                    preset.name,
                    needed.need,
                    needed.method,
                    call.path()
                );
                assert_eq!(
                    allows(&plain, call.clone()),
                    needed.need != "optional",
                    "{shown}"
                );
                assert!(allows(&all, call), "{shown}, with the rules in comments");
            }
        }
    }
}

#[test]
fn presets_allow_nothing_else() {
    for preset in Preset::ALL {
        let needed = needed_shapes(preset, None);
        let found = survey(preset.text);
        for open in &found.open {
            let Endpoint { method, shape, .. } = open.endpoint;
            assert!(
                needed.contains(&(method.as_str(), shape)),
                "{}: nothing needs {method} {shape}",
                preset.name
            );
        }
        assert!(
            found.idle.is_empty() && found.covered.is_empty() && found.closed.is_empty(),
            "{}: {found:?}",
            preset.name
        );
    }
}

/// A user who takes the lines below one heading gets the whole feature and no other.
#[test]
fn optional_lines_are_complete_by_themselves() {
    for preset in Preset::ALL {
        let in_effect: BTreeSet<_> = preset.text.lines().map(call_of).collect();
        let groups = options(preset.text);
        let named: BTreeSet<_> = calls()
            .filter(|call| call.preset == preset.name)
            .filter_map(|call| call.feature)
            .collect();
        assert_eq!(
            groups
                .iter()
                .map(|(heading, _)| *heading)
                .collect::<BTreeSet<_>>(),
            named,
            "{}",
            preset.name
        );
        for (heading, lines) in groups {
            let shown = format!("{}: {heading}", preset.name);
            for line in &lines {
                assert!(
                    parse("t", line).is_ok_and(|rules| rules.len() == 1),
                    "{shown}: {line}"
                );
                assert!(
                    !in_effect.contains(call_of(line)),
                    "{shown}: {line} is in effect anyway"
                );
            }
            let chosen = with_options(preset.text, |other| other == heading);
            for needed in
                calls().filter(|call| call.preset == preset.name && call.feature == Some(heading))
            {
                needed.forms().for_each(|call| {
                    assert!(allows(&chosen, call.clone()), "{shown}: {}", call.path())
                });
            }
            let (found, needed) = (
                survey(&lines.join("\n")),
                needed_shapes(preset, Some(heading)),
            );
            for open in &found.open {
                let Endpoint { method, shape, .. } = open.endpoint;
                assert!(
                    needed.contains(&(method.as_str(), shape)),
                    "{shown}: nothing needs {method} {shape}"
                );
            }
            assert!(
                found.idle.is_empty() && found.covered.is_empty() && found.closed.is_empty(),
                "{shown}: {found:?}"
            );
        }
    }
}

/// A rule without the comment behind it.
fn call_of(line: &str) -> &str {
    line.split("  # ").next().unwrap_or_default()
}

/// Every endpoint of the engines stays closed but for those that the client calls, whatever its
/// object is called.
#[test]
fn neighbouring_calls_stay_closed() {
    for preset in Preset::ALL {
        let (plain, needed) = (profile(preset.text), needed_shapes(preset, None));
        for endpoint in Endpoint::all().filter(|endpoint| !endpoint.shape.starts_with("/{")) {
            if needed.contains(&(endpoint.method.as_str(), endpoint.shape)) {
                continue;
            }
            let version = if endpoint.is_libpod() {
                "/v5.0.0"
            } else {
                "/v1.43"
            };
            for object in OBJECTS {
                let fill = |segment: &'static str| {
                    if segment.starts_with('{') {
                        object
                    } else {
                        segment
                    }
                };
                let path = endpoint
                    .shape
                    .split('/')
                    .map(fill)
                    .collect::<Vec<_>>()
                    .join("/");
                let call =
                    Call::read(endpoint.method.as_str(), &format!("{version}{path}")).expect(&path);
                assert!(
                    !allows(&plain, call),
                    "{}: {} {path}",
                    preset.name,
                    endpoint.method
                );
            }
        }
    }
}

/// The days that a field names, as in `commit 464d98e of 2026-08-08`.
fn days(text: &str) -> Vec<&str> {
    let is_day = |word: &&str| {
        let parts: Vec<_> = word.split('-').map(str::len).collect();
        parts == [4, 2, 2] && word.chars().all(|c| c.is_ascii_digit() || c == '-')
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(is_day)
        .collect()
}

#[test]
fn headers_say_what_was_read_when_and_how_the_client_is_connected() {
    for preset in Preset::ALL {
        let [client, checked, connect, source] =
            ["Client", "Checked", "Connect", "Source"].map(|name| preset.field(name));
        let name = preset.name;
        let day = days(&checked)
            .first()
            .copied()
            .unwrap_or_else(|| panic!("{name}: no day in Checked: {checked}"));
        assert!(
            checked.starts_with(&format!("{day}, ")),
            "{name}: {checked}"
        );
        assert!(
            !days(&client).is_empty(),
            "{name}: no day of a commit in Client: {client}"
        );
        assert!(
            days(&client).iter().all(|read| *read <= day),
            "{name} was checked before its client was made"
        );
        assert!(
            connect.len() > 10 && source.len() > 5,
            "{name}: {connect}; {source}"
        );
        let fields = preset
            .text
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('#'));
        let fields: Vec<_> = fields
            .filter_map(|line| line.strip_prefix("# ")?.split(':').next())
            .collect();
        let fields: Vec<_> = fields
            .into_iter()
            .filter(|field| !field.starts_with(' '))
            .collect();
        let order = [
            "Client", "Checked", "Connect", "Needs", "Can", "Redact", "Own", "Refused", "Source",
        ];
        let wanted = order
            .into_iter()
            .filter(|field| *field != "Needs" || preset.needs_targets())
            .filter(|field| *field != "Redact" || !preset.redaction().is_empty())
            .filter(|field| *field != "Own" || preset.owns());
        assert_eq!(fields, wanted.collect::<Vec<_>>(), "{name}");
    }
    let needing: Vec<_> = Preset::ALL
        .iter()
        .filter(|preset| preset.needs_targets())
        .map(|preset| preset.name)
        .collect();
    assert_eq!(needing, ["ai-agent"]);
}

/// Clients of these presets work with what they create, so that a call that ownership closes would be
/// of no use to them.
#[test]
fn presets_own_where_their_client_creates_what_it_uses() {
    let owning: Vec<_> = Preset::ALL.iter().filter(|preset| preset.owns()).collect();
    let names: Vec<_> = owning.iter().map(|preset| preset.name).collect();
    assert_eq!(
        names,
        [
            "ai-agent",
            "drone",
            "forgejo-runner",
            "github-actions-runner",
            "gitlab-runner",
            "renovate",
            "testcontainers",
            "woodpecker"
        ]
    );
    for preset in owning {
        let view = View {
            ownership: Some(Ownership {
                owner: preset.name.to_owned(),
                session: SessionSource::Profile,
                lifetime: None,
            }),
            ..View::default()
        };
        let owned = Profile {
            view: Arc::new(view),
            ..profile(preset.text)
        };
        for call in calls().filter(|call| call.preset == preset.name && call.need != "optional") {
            for form in call.forms() {
                assert!(allows(&owned, form), "{}: {}", preset.name, call.path);
            }
        }
    }
}

/// A client that copies what it reads would write redacted values back; and a call that the
/// redaction closes would be of no use in the preset.
#[test]
fn presets_redact_where_their_client_only_looks() {
    for preset in Preset::ALL {
        let field = preset.field("Redact");
        let values = field
            .split(',')
            .map(str::trim)
            .filter(|value| !value.is_empty());
        let redaction = preset.redaction();
        assert_eq!(
            Redaction::read(values),
            Ok(redaction.clone()),
            "{}",
            preset.name
        );
        if redaction.is_empty() {
            continue;
        }
        let profile = profile(preset.text);
        for (method, path) in [
            ("POST", "/v1.44/containers/create"),
            ("POST", "/v5.0.0/libpod/containers/create"),
            ("POST", "/v1.44/services/create"),
            ("POST", "/v1.44/services/web/update"),
        ] {
            let call = Call::read(method, path).expect(path);
            assert!(!allows(&profile, call), "{}: {path}", preset.name);
        }
        for call in calls().filter(|call| call.preset == preset.name && call.need != "optional") {
            let closed = call
                .forms()
                .filter_map(|call| redaction.closes(call.endpoint()?.id))
                .next();
            assert_eq!(closed, None, "{}: {}", preset.name, call.path);
        }
    }
    let of = |name| Preset::find(name).map(|preset| preset.redaction().to_string());
    assert_eq!(
        of("homepage").as_deref(),
        Some("env, commands, proxies, tokens")
    );
    assert_eq!(of("portainer").as_deref(), Some("none"));
}

/// A client that deletes containers in order to create them again loses those that the guard
/// refuses: each preset for such a client says how it does that, in the table of
/// `Preset::recreation`.
#[test]
fn presets_that_may_replace_containers_say_how() {
    for preset in Preset::ALL {
        let profile = with_options(preset.text, |_| true);
        let may = |method, path| allows(&profile, Call::read(method, path).expect(path));
        let replaces =
            may("DELETE", "/v1.44/containers/web-1") && may("POST", "/v1.44/containers/create");
        assert_eq!(
            preset.recreation().is_some(),
            replaces,
            "{}: see RECREATIONS in src/preset.rs",
            preset.name
        );
    }
    let of = |name| Preset::find(name).and_then(Preset::recreation);
    assert_eq!(of("watchtower"), Some(Recreation::Updater));
    assert_eq!(of("compose"), Some(Recreation::Declared));
    assert_eq!(of("dozzle"), Some(Recreation::Copied));
}

/// What a client can do with it stands in the file, so that `preset show` tells; it is what the
/// rules come to.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the files that it is about"
)]
fn headers_say_what_the_rules_come_to() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("presets");
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("the presets") {
        let path = entry.expect("a file").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        let text = std::fs::read_to_string(&path).expect("a text");
        let powers: BTreeSet<Power> = survey(&text).open.iter().map(|open| open.power).collect();
        let powers: Vec<_> = powers
            .iter()
            .filter(|power| **power != Power::Ping)
            .map(|power| power.says())
            .collect();
        let want = wrapped("# Can:     ", &powers.join("; "));
        let start = text.find("# Can:").expect("a line for it");
        let next = ["\n# Redact:", "\n# Own:", "\n# Refused:"];
        let length = next
            .iter()
            .filter_map(|field| text[start..].find(field))
            .min();
        let end = start + length.expect("a line behind it");
        if update && text[start..end] != want {
            std::fs::write(&path, format!("{}{want}{}", &text[..start], &text[end..]))
                .expect("a writable file");
        } else {
            assert_eq!(
                text[start..end],
                want,
                "{name}: run the tests with UPDATE_DOCS=1"
            );
        }
        assert!(text.contains("\n#\n# Client:  "), "{name}");
        assert!(text.contains("\nGET,HEAD %API_PREFIX_PING%\n"), "{name}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 118),
            "{name}"
        );
        names.insert(name);
    }
    assert_eq!(
        names,
        Preset::ALL
            .iter()
            .map(|preset| preset.name.to_owned())
            .collect()
    );
    let homepage = Preset::find("homepage").expect("a preset");
    assert!(
        homepage
            .field("Client")
            .starts_with("gethomepage/homepage, "),
        "{}",
        homepage.field("Client")
    );
    assert!(
        homepage
            .field("Can")
            .contains("list containers with their labels")
            && homepage.field("None").is_empty()
    );
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
