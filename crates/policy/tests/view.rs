//! Views: which objects exist for a client, and what it gets of an answer.

use std::sync::Arc;

use cetusguard_policy::endpoint::{Endpoint, ObjectKind};
use cetusguard_policy::guard::{Exception, Guard, Question, Surroundings};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    AnswerFilter, Call, DenialKind, Detail, Object, Owner, Ownership, Pattern, Permit, Profile,
    Redaction, Scope, ScopeCondition, SessionSource, TargetCondition, Verdict, View, Viewer,
    decide,
};

const ID: &str = "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e";

/// The identifiers of a visible container, of a hidden one, and of one that does not exist any more.
const SEEN: &str = "5555555555555555555555555555555555555555555555555555555555555555";
const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const GONE: &str = "9999999999999999999999999999999999999999999999999999999999999999";

fn named(pattern: &str) -> ScopeCondition {
    ScopeCondition::object(TargetCondition::Name(Pattern::new(pattern)), false)
}

/// A scope of objects with these names, of images as well.
fn scope() -> Scope {
    let of_image = ScopeCondition::kind(ObjectKind::Image, false);
    Scope::new(vec![vec![named("seen*")], vec![of_image, named("seen*")]])
}

fn profile(rules: &str, view: View) -> Profile {
    Profile {
        name: "p".to_owned(),
        rules: RuleSet::new(parse("test", rules).expect("rules")),
        guard: Arc::new(Guard::default()),
        view: Arc::new(view),
        ..Profile::default()
    }
}

fn viewer(profile: &Profile) -> Arc<Viewer> {
    let ownership = profile.view.ownership.as_ref();
    Arc::new(Viewer {
        view: Arc::clone(&profile.view),
        owner: ownership.map(|ownership| Owner::profile(&ownership.owner)),
    })
}

fn object(kind: ObjectKind, name: &str) -> Object {
    let detail = match kind {
        ObjectKind::Container => Detail::Container(Box::default()),
        ObjectKind::Image => Detail::Image {
            user: String::new(),
            names: vec![name.to_owned()],
        },
        ObjectKind::Exec => Detail::Exec {
            container: "hidden".to_owned(),
            privileged: false,
            user: String::new(),
            command: Vec::new(),
        },
        ObjectKind::Task => Detail::Task {
            service: "hidden".to_owned(),
        },
        _ => Detail::Plain,
    };
    Object {
        id: ID.to_owned(),
        name: name.to_owned(),
        detail,
        ..Object::default()
    }
}

/// The path of an endpoint with a word in place of each placeholder.
fn path_of(endpoint: &Endpoint, word: &str) -> String {
    let version = if endpoint.is_libpod() { "/v5.0.0" } else { "" };
    let segments = endpoint.shape[1..].split('/').map(|segment| {
        if segment.starts_with('{') {
            word
        } else {
            segment
        }
    });
    format!("{version}/{}", segments.collect::<Vec<_>>().join("/"))
}

/// The way in which a call about an object of this name ends.
fn outcome(endpoint: &'static Endpoint, name: &str, view: View) -> String {
    let profile = profile(&format!("ALLOW {}", endpoint.id.name()), view);
    let target = path_of(endpoint, name);
    let call = Call::read(endpoint.method.as_str(), &target).expect("a call");
    let viewer = viewer(&profile);
    let permit = match decide(call, &profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => return denial.reason.kind().word().to_owned(),
    };
    let permit = describe(permit, &profile, name);
    let surroundings = Surroundings {
        viewer: Some(&viewer),
        ..Surroundings::default()
    };
    let mut case = match permit.open(Some("application/json"), b"{}", surroundings) {
        Ok(case) => case,
        Err(objection) => return format!("refused: {objection}"),
    };
    while let Some(question) = case.question() {
        let (kind, word) = match question {
            Question::Object { kind, word } => (kind, word.to_owned()),
            _ => break,
        };
        if let Err(missing) = case.answer(Some(&object(kind, &word))) {
            return format!("no {} {}", missing.kind.name(), missing.word);
        }
    }
    match case.close() {
        Ok(_) => "allowed".to_owned(),
        Err(objection) => format!("refused: {objection}"),
    }
}

/// Answers the questions of rules by name.
fn describe(mut permit: Permit, profile: &Profile, name: &str) -> Permit {
    while let Some((kind, _)) = permit.question() {
        match permit.answer(&object(kind, name), profile) {
            Verdict::Allow(next) => permit = next,
            Verdict::Deny(_) => unreachable!("the rule is by name alone"),
        }
    }
    permit
}

fn scoped() -> View {
    View {
        scope: scope(),
        ..View::default()
    }
}

/// The view of a client that also sees objects of others.
fn owning() -> View {
    View {
        scope: scope(),
        ownership: Some(Ownership {
            owner: "p".to_owned(),
            session: SessionSource::Profile,
            lifetime: None,
        }),
        ..View::default()
    }
}

/// The endpoints that name an object and do not look it up for a client of this view, and why. Each
/// other one that names an object is tested with a hidden one.
const CLOSED: [(&str, &str); 10] = [
    // Registries have images of the same names, and these are not the engine's objects.
    ("distribution.inspect", "allowed"),
    // The guard closes what changes plugins, for all of them; their list, their inspection and their
    // removal are bounded as those of other objects.
    ("plugin.enable", "closed_endpoint"),
    ("plugin.disable", "closed_endpoint"),
    ("plugin.upgrade", "closed_endpoint"),
    ("plugin.set", "closed_endpoint"),
    ("plugin.push", "closed_endpoint"),
    // Bodies and texts that can name other objects are not judged.
    ("libpod.container.restore", "beyond_view"),
    ("libpod.image.tree", "beyond_view"),
    ("libpod.image.scp", "beyond_view"),
    ("libpod.network.update", "beyond_view"),
];

/// Each endpoint of the table that names an object: a hidden one is missing, whatever the endpoint
/// does with it.
#[test]
fn no_endpoint_reaches_a_hidden_object() {
    let mut count = 0;
    let mut closed = Vec::new();
    for endpoint in Endpoint::all() {
        let call = Call::read(endpoint.method.as_str(), &path_of(endpoint, "hidden"));
        let call = call.expect("a call");
        let Some(captured) = call.captured() else {
            continue;
        };
        count += 1;
        let found = outcome(endpoint, "hidden", scoped());
        let is_missing = found == format!("no {} hidden", captured.kind.name());
        if !is_missing {
            closed.push((endpoint.id.name(), found));
            continue;
        }
        // Most endpoints are open for visible objects.
        if endpoint.method.is_safe()
            && !matches!(captured.kind, ObjectKind::Exec | ObjectKind::Task)
        {
            let found = outcome(endpoint, "seen", scoped());
            assert_eq!(found, "allowed", "{}", endpoint.id.name());
        }
    }
    assert!(count > 100, "{count} endpoints name an object");
    let closed: Vec<_> = closed
        .iter()
        .map(|(name, how)| (*name, how.as_str()))
        .collect();
    assert_eq!(closed, CLOSED);
}

/// Docker also takes the name of a link for the container to which it leads, which may be hidden.
#[test]
fn no_endpoint_takes_the_name_of_a_link() {
    let mut count = 0;
    for endpoint in Endpoint::all() {
        let target = path_of(endpoint, "seen/alias");
        let call = Call::read(endpoint.method.as_str(), &target).expect("a call");
        let is_named = call
            .captured()
            .is_some_and(|captured| captured.kind == ObjectKind::Container);
        let finds_endpoint = call.endpoint().is_some_and(|found| found.id == endpoint.id);
        if is_named && finds_endpoint {
            count += 1;
            let found = outcome(endpoint, "seen/alias", scoped());
            let is_closed = ["beyond_view", "closed_endpoint"].contains(&found.as_str());
            assert!(
                is_closed || found.starts_with("refused: "),
                "{}: {found}",
                endpoint.id.name()
            );
        }
    }
    assert!(count > 20, "{count} endpoints take such names");
}

/// With a scope and redaction together, every endpoint passes answers of its shape on.
#[test]
fn a_scope_and_redaction_go_together() {
    let view = || View {
        redaction: Redaction::read(["all"]).expect("classes"),
        ..scoped()
    };
    let mut count = 0;
    for endpoint in Endpoint::all() {
        let profile = profile(&format!("ALLOW {}", endpoint.id.name()), view());
        let target = path_of(endpoint, "seen");
        let call = Call::read(endpoint.method.as_str(), &target).expect("a call");
        let Verdict::Allow(permit) = decide(call, &profile) else {
            continue;
        };
        let permit = describe(permit, &profile, "seen");
        let passes = |answer: &str| {
            let Some(mut filter) = permit.answer_filter(&viewer(&profile)) else {
                return true;
            };
            let mut out = Vec::new();
            let taken = filter.take(answer.as_bytes(), &mut out);
            !filter.judges_elements() || taken.is_ok() && filter.finish(&mut out).is_ok()
        };
        count += 1;
        let passes = [r#"{"Id":"a","Warnings":[]}"#, "[]", "{}"].map(passes);
        assert!(passes.contains(&true), "{}", endpoint.id.name());
        // What creates and inspects one object answers with an object.
        let name = endpoint.id.name();
        if name.ends_with("create") || name.ends_with("inspect") {
            assert!(passes[0], "{name}");
        }
    }
    assert!(count > 100, "{count} endpoints are open");
}

/// Each endpoint of the table that names no object: its answer is filtered, or it is closed, or it
/// is one of those that have nothing to hide.
#[test]
fn no_answer_lists_hidden_objects() {
    let open = [
        "options",
        "system.ping",
        "system.ping_head",
        "system.version",
        "system.info",
        "system.auth",
        "image.search",
        "plugin.privileges",
        "libpod.system.ping",
        "libpod.system.ping_head",
        "libpod.system.version",
        "libpod.system.info",
        "libpod.system.swagger",
        "libpod.image.search",
    ];
    let profile = profile("ALLOW look", scoped());
    let viewer = viewer(&profile);
    for endpoint in Endpoint::all() {
        let call = Call::read(endpoint.method.as_str(), &path_of(endpoint, "x")).expect("a call");
        if call.captured().is_some() || open.contains(&endpoint.id.name()) {
            continue;
        }
        let profile = Profile {
            rules: RuleSet::new(
                parse("test", &format!("ALLOW {}", endpoint.id.name())).expect("a rule"),
            ),
            ..profile.clone()
        };
        let name = endpoint.id.name();
        match decide(call, &profile) {
            Verdict::Deny(denial) => assert!(
                matches!(
                    denial.reason.kind(),
                    DenialKind::BeyondView | DenialKind::ClosedEndpoint
                ),
                "{name}: {denial}"
            ),
            Verdict::Allow(permit) => {
                let filter = permit.answer_filter(&viewer);
                let is_filtered = filter.is_some_and(|filter| filter.judges_elements());
                let is_change = permit.is_judged() && !endpoint.method.is_safe();
                let is_refused = || outcome(endpoint, "x", scoped()).starts_with("refused");
                assert!(is_filtered || is_change || is_refused(), "{name}");
            }
        }
    }
}

/// Filters an answer in pieces of this size, with an engine that knows these objects.
fn filtered(request: &str, view: View, answer: &str, step: usize) -> Result<String, String> {
    let (method, target) = request.split_once(' ').expect("METHOD TARGET");
    let profile = profile(
        "ALLOW look, secrets\nGET /events|/networks/.*|/system/df",
        view,
    );
    let viewer = viewer(&profile);
    let call = Call::read(method, target).expect("a call");
    let permit = match decide(call, &profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(_) => unreachable!("the rules allow all of it"),
    };
    let mut filter: AnswerFilter = permit.answer_filter(&viewer).expect("a filter");
    let mut out = Vec::new();
    for piece in answer.as_bytes().chunks(step) {
        filter
            .take(piece, &mut out)
            .map_err(|why| why.to_string())?;
        while let Some(lookup) = filter.lookup().cloned() {
            let name = match lookup.id.as_str() {
                SEEN => "seen",
                id => id,
            };
            let found = (name != "gone" && name != GONE).then(|| object(lookup.kind, name));
            let is_visible = found.map(|found| viewer.shows(lookup.kind, &found));
            filter
                .answer(is_visible, &mut out)
                .map_err(|why| why.to_string())?;
        }
    }
    filter.finish(&mut out).map_err(|why| why.to_string())?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn answers_are_filtered() {
    for (request, answer, want) in [
        (
            "GET /containers/json",
            r#"[{"Id":"a","Names":["/seen"],"SizeRw":18446744073709551615},{"Id":"b","Names":["/hidden"]}, {"Id":"c","Names":["/x/seen-link","/hidden"]}]"#,
            r#"[{"Id":"a","Names":["/seen"],"SizeRw":18446744073709551615}]"#,
        ),
        (
            "GET /containers/json?limit=1",
            r#"[{"Names":["/hidden"]},{"Names":["/seen1"]},{"Names":["/seen2"]}]"#,
            r#"[{"Names":["/seen1"]}]"#,
        ),
        ("GET /containers/json", "[]\n", "[]\n"),
        ("GET /containers/json", "null", "null"),
        (
            "GET /v4.0.0/libpod/containers/json",
            r#"[{"Id":"a","Names":["seen"]},{"Id":"b","Names":["hidden"]}]"#,
            r#"[{"Id":"a","Names":["seen"]}]"#,
        ),
        (
            "GET /images/json",
            r#"[{"Id":"a","RepoTags":["seen:1"]},{"Id":"b","RepoTags":null,"RepoDigests":["seen@sha256:1"]},{"Id":"c","RepoTags":["<none>:<none>"]}]"#,
            r#"[{"Id":"a","RepoTags":["seen:1"]},{"Id":"b","RepoTags":null,"RepoDigests":["seen@sha256:1"]}]"#,
        ),
        (
            "GET /volumes",
            r#"{"Volumes":[{"Name":"hidden"},{"Name":"seen"}],"Warnings":["w"]}"#,
            r#"{"Volumes":[{"Name":"seen"}],"Warnings":["w"]}"#,
        ),
        (
            "GET /volumes",
            r#"{"Volumes":null,"Warnings":null}"#,
            r#"{"Volumes":null,"Warnings":null}"#,
        ),
        (
            "GET /networks",
            r#"[{"Name":"bridge","Id":"1"},{"Name":"hidden","Id":"2"},{"Name":"seen","Id":"3"}]"#,
            r#"[{"Name":"bridge","Id":"1"},{"Name":"seen","Id":"3"}]"#,
        ),
        (
            "GET /networks/seen",
            r#"{"Name":"seen","Containers":{"seen1":{"Name":"a"},"hidden":{"Name":"b"}},"Options":{}}"#,
            r#"{"Name":"seen","Containers":{"seen1":{"Name":"a"}},"Options":{}}"#,
        ),
        (
            "GET /tasks",
            r#"[{"ID":"t1","ServiceID":"seen"},{"ID":"t2","ServiceID":"hidden"},{"ID":"t3","ServiceID":"seen"},{"ID":"t4","ServiceID":"gone"}]"#,
            r#"[{"ID":"t1","ServiceID":"seen"},{"ID":"t3","ServiceID":"seen"}]"#,
        ),
        (
            "GET /system/df",
            r#"{"LayersSize":10,"Images":[{"Id":"a","RepoTags":["hidden:1"]}],"Containers":[{"Names":["/seen"]},{"Names":["/hidden"]}],"Volumes":[{"Name":"hidden"}],"BuildCache":[{"ID":"x"}],"Builder":null}"#,
            r#"{"LayersSize":10,"Images":[],"Containers":[{"Names":["/seen"]}],"Volumes":[],"BuildCache":[],"Builder":null}"#,
        ),
        (
            "GET /v1.52/system/df?verbose=1",
            r#"{"ContainerUsage":{"ActiveCount":2,"Items":[{"Names":["/hidden"]},{"Names":["/seen"]}]},"VolumeUsage":{"Items":[{"Name":"hidden"}]},"FutureUsage":5}"#,
            r#"{"ContainerUsage":{"ActiveCount":2,"Items":[{"Names":["/seen"]}]},"VolumeUsage":{"Items":[]},"FutureUsage":5}"#,
        ),
    ] {
        for step in [1, 7, 4096] {
            let found = filtered(request, scoped(), answer, step);
            assert_eq!(found.as_deref(), Ok(want), "{request} by {step}");
        }
    }
}

/// An element that is whole in a piece is read from there, and another one is put together first.
/// Both must be decided alike: texts with escapes, broken texts, and elements that are no JSON.
#[test]
fn an_answer_is_filtered_alike_at_every_split() {
    let elements: [&[u8]; 16] = [
        br#"{"Names":["/seen"],"A":"\"]},{\\","B":1.50}"#,
        br#"{ "Names" : [ "/seen" ] , "C" : { } }"#,
        br#"{"Names":["/hidden"],"Names":["/seen"]}"#,
        br#"{"Names":["/seen"],"D":"\ud83d\ude00 \u00e9"}"#,
        br#"{"Names":["/seen"],"D":"\ud83d"}"#,
        br#"{"Names":["/seen"],"D":"\u0000"}"#,
        b"{\"Names\":[\"/seen\"],\"E\":\"a\x01b\"}",
        b"{\"Names\":[\"/seen\"],\"E\":\"a\xffb\"}",
        b"{\"Names\":[\"/seen\"],\"E\":\"\xf0\x9f\x98\x80\"}",
        br#"{"Names":["/seen"],"F":[}}"#,
        br#"{"Names":["/seen"],"F":tru}"#,
        br#"[{"Names":["/seen"]}]"#,
        br#"{"Names":["/seen"],}"#,
        br#"{"Names":["/x/seen-link","/seen"],"G":"H"}"#,
        b"12",
        br#""{""#,
    ];
    let kept = concat!(
        r#"{"Names":["/seen"],"A":"\"]},{\\","B":1.50}"#,
        r#",{ "Names" : [ "/seen" ] , "C" : { } }"#,
        r#",{"Names":["/seen"],"D":"\ud83d\ude00 \u00e9"}"#,
        r#",{"Names":["/seen"],"E":"😀"}"#,
        r#",{"Names":["/seen"],"G":"H"}"#,
    );
    let answer = [b"[".as_slice(), &elements.join(b", ".as_slice()), b"]\n"].concat();
    let filter_pieces = |pieces: &[&[u8]]| {
        let profile = profile("ALLOW look", scoped());
        let call = Call::read("GET", "/containers/json").expect("a call");
        let Verdict::Allow(permit) = decide(call, &profile) else {
            unreachable!("the rules allow it")
        };
        let mut filter = permit.answer_filter(&viewer(&profile)).expect("a filter");
        let mut out = Vec::new();
        for piece in pieces {
            filter.take(piece, &mut out).expect("an answer");
        }
        filter.finish(&mut out).expect("a whole answer");
        String::from_utf8(out).expect("UTF-8")
    };
    let want = format!("[{kept}]\n");
    for split in 0..=answer.len() {
        let (before, behind) = answer.split_at(split);
        assert_eq!(filter_pieces(&[before, behind]), want, "at {split}");
    }
    for step in 1..=64 {
        let pieces: Vec<&[u8]> = answer.chunks(step).collect();
        assert_eq!(filter_pieces(&pieces), want, "by {step}");
    }
}

#[test]
fn events_are_filtered() {
    let event = |kind: &str, id: &str, attributes: &str| {
        format!(
            r#"{{"Type":"{kind}","Action":"x","Actor":{{"ID":"{id}","Attributes":{{{attributes}}}}}}}"#
        )
    };
    for (event, want) in [
        (event("container", "1", r#""name":"seen""#), true),
        (event("container", "1", r#""name":"hidden""#), false),
        (event("container", "1", r#""image":"seen""#), false),
        (
            event("network", "seen", r#""name":"seen","container":"SEEN""#),
            true,
        ),
        (
            event("network", "seen", r#""name":"seen","container":"OTHER""#),
            false,
        ),
        (event("network", "hidden", r#""name":"seen""#), false),
        (event("network", "gone", r#""name":"seen""#), false),
        (event("volume", "seen", ""), true),
        (event("volume", "", r#""name":"hidden""#), false),
        (event("image", "hidden", r#""name":"seen""#), false),
        (event("service", "seen", ""), true),
        (event("daemon", "seen", r#""name":"seen""#), false),
        (event("builder", "seen", ""), false),
        (event("future", "seen", r#""name":"seen""#), false),
        (r#"{"Type":"container"}"#.to_owned(), false),
        ("{}".to_owned(), false),
    ] {
        let event = event.replace("SEEN", SEEN).replace("OTHER", OTHER);
        for step in [3, 4096] {
            let found = filtered("GET /events", scoped(), &format!("{event}\n"), step);
            let want = if want {
                format!("{event}\n")
            } else {
                String::new()
            };
            assert_eq!(found, Ok(want), "{event}");
        }
    }
}

/// An event of an object that is gone is shown if the object was visible before.
#[test]
fn the_last_event_of_an_object_is_shown() {
    let created = r#"{"Type":"container","Action":"create","Actor":{"ID":"GONE","Attributes":{"name":"seen"}}}"#;
    let left = r#"{"Type":"network","Action":"disconnect","Actor":{"ID":"seen","Attributes":{"container":"GONE"}}}"#;
    let (created, left) = (created.replace("GONE", GONE), left.replace("GONE", GONE));
    let both = format!("{created}\n{left}\n");
    assert_eq!(
        filtered("GET /events", scoped(), &both, 5),
        Ok(both.clone())
    );
    let alone = format!("{left}\n");
    assert_eq!(
        filtered("GET /events", scoped(), &alone, 5),
        Ok(String::new())
    );
}

#[test]
fn answers_of_another_shape_are_refused() {
    for (request, answer) in [
        ("GET /containers/json", r#"{"Id":"hidden"}"#),
        ("GET /containers/json", r#"[{"Names":["/seen"]}"#),
        ("GET /containers/json", ""),
        ("GET /volumes", r#"[{"Name":"hidden"}]"#),
        ("GET /system/df", r#"{"Containers":{"Id":"hidden"}}"#),
        ("GET /networks/seen", "seen"),
        ("GET /events", r#"{"Type":"container""#),
    ] {
        let found = filtered(request, scoped(), answer, 5);
        assert!(found.is_err(), "{request} {answer}: {found:?}");
    }
}

#[test]
fn scopes_combine_their_conditions() {
    let label =
        |key: &str, value: &str| TargetCondition::Label(key.to_owned(), Pattern::new(value));
    let entries = Scope::new(vec![
        vec![
            ScopeCondition::object(label("team", "blue"), false),
            ScopeCondition::object(TargetCondition::Name(Pattern::new("db-*")), true),
        ],
        vec![
            ScopeCondition::kind(ObjectKind::Volume, false),
            named("shared"),
        ],
        vec![ScopeCondition::object(
            TargetCondition::image("redis:*"),
            false,
        )],
    ]);
    let viewer = Viewer {
        view: Arc::new(View {
            scope: entries,
            ..View::default()
        }),
        owner: None,
    };
    let one = |kind, name: &str, team: &str| Object {
        labels: vec![("team".to_owned(), team.to_owned())],
        ..object(kind, name)
    };
    for (kind, name, team, want) in [
        (ObjectKind::Container, "web", "blue", true),
        (ObjectKind::Container, "db-1", "blue", false),
        (ObjectKind::Container, "web", "red", false),
        (ObjectKind::Volume, "shared", "red", true),
        (ObjectKind::Network, "shared", "red", false),
        (ObjectKind::Network, "host", "", true),
        (ObjectKind::Secret, "s", "blue", true),
        // No entry is about images.
        (ObjectKind::Image, "any", "", true),
    ] {
        let found = viewer.shows(kind, &one(kind, name, team));
        assert_eq!(found, want, "{} {name} {team}", kind.name());
    }
}

/// A client that owns things sees them, and changes nothing else.
#[test]
fn owners_change_only_what_they_own() {
    for (method, shape, want) in [
        ("GET", "/containers/{container*}/json", "allowed"),
        ("POST", "/containers/{container*}/wait", "allowed"),
        ("POST", "/containers/{container*}/stop", "refused"),
        ("DELETE", "/containers/{container*}", "refused"),
        ("POST", "/containers/{container*}/exec", "refused"),
        ("DELETE", "/volumes/{volume*}", "refused"),
        ("POST", "/images/{image*}/tag", "allowed"),
        ("DELETE", "/images/{image*}", "refused"),
        ("DELETE", "/networks/{network*}", "refused"),
        ("DELETE", "/secrets/{secret}", "refused"),
        ("POST", "/nodes/{node}/update", "refused"),
    ] {
        let endpoint = Endpoint::all()
            .find(|one| one.method.as_str() == method && one.shape == shape)
            .expect("an endpoint");
        let found = outcome(endpoint, "seen", owning());
        assert!(found.starts_with(want), "{method} {shape}: {found}");
        assert_eq!(
            outcome(endpoint, "hidden", owning()).split(' ').next(),
            Some("no"),
            "{shape}"
        );
    }
}

/// One object that cannot be read does not take the others from a client.
#[test]
fn an_element_that_cannot_be_read_is_left_out() {
    for odd in [
        r#"{"Names":["/seen"],"Names":["/x"]}"#.to_owned(),
        "\"\\ud800\"".to_owned(),
        format!("{}{}", "[".repeat(100), "]".repeat(100)),
        format!("\"{}\"", "x".repeat(3 << 20)),
    ] {
        let answer = format!(r#"[{{"Names":["/seen"]}},{odd},{{"Names":["/seen2"]}}]"#);
        let want = r#"[{"Names":["/seen"]},{"Names":["/seen2"]}]"#;
        let found = filtered("GET /containers/json", scoped(), &answer, 1 << 16);
        assert_eq!(found.as_deref(), Ok(want));
    }
}

/// Answers about one object name others, which are left out.
#[test]
fn other_objects_are_taken_out_of_answers() {
    for (request, answer, want) in [
        (
            "GET /v1.24/networks",
            r#"[{"Name":"seen","Id":"1","Containers":{"seen1":{},"hidden":{}}}]"#,
            r#"[{"Name":"seen","Id":"1","Containers":{"seen1":{}}}]"#,
        ),
        (
            "GET /networks/seen?verbose=true",
            r#"{"Name":"seen","Containers":{},"Services":{"hidden":{}},"Peers":[{"IP":"10.0.0.1"}]}"#,
            r#"{"Name":"seen","Containers":{}}"#,
        ),
        (
            "GET /containers/json",
            r#"[{"Names":["/seen","/hidden/alias"]}]"#,
            r#"[{"Names":["/seen"]}]"#,
        ),
        (
            "GET /images/json",
            r#"[{"RepoTags":["hidden:1","seen:1"],"RepoDigests":["hidden@sha256:1"]}]"#,
            r#"[{"RepoTags":["seen:1"],"RepoDigests":[]}]"#,
        ),
        (
            "GET /images/seen:1/json",
            r#"{"RepoTags":["hidden:1","seen:1"]}"#,
            r#"{"RepoTags":["seen:1"]}"#,
        ),
    ] {
        assert_eq!(
            filtered(request, scoped(), answer, 9).as_deref(),
            Ok(want),
            "{request}"
        );
    }
}

/// The way in which a create ends whose body is this, with an engine that has an object for each
/// word.
fn created(request: &str, view: View, body: &str) -> String {
    let (method, target) = request.split_once(' ').expect("METHOD TARGET");
    let guard = Guard {
        allow: [
            "container-namespace=pid",
            "container-namespace=ipc",
            "volumes-from",
        ]
        .iter()
        .map(|text| Exception::read(text).expect("an exception"))
        .collect(),
        ..Guard::default()
    };
    let profile = Profile {
        guard: Arc::new(guard),
        ..profile("GET,HEAD,POST,PUT,DELETE .*", view)
    };
    let viewer = viewer(&profile);
    let call = Call::read(method, target).expect("a call");
    let permit = match decide(call, &profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => return denial.reason.kind().word().to_owned(),
    };
    let surroundings = Surroundings {
        viewer: Some(&viewer),
        ..Surroundings::default()
    };
    let mut case = match permit.open(Some("application/json"), body.as_bytes(), surroundings) {
        Ok(case) => case,
        Err(objection) => return format!("refused: {objection}"),
    };
    while let Some(question) = case.question() {
        let found = match question {
            Question::Object { kind, word } => {
                let mut found = object(kind, word);
                if word.starts_with("seen-own") {
                    let owner = viewer.owner.as_ref().expect("an owner");
                    let labels = owner.labels().into_iter();
                    found.labels = labels
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .collect();
                }
                found
            }
            _ => break,
        };
        let is_there = !found.name.contains("absent");
        if let Err(missing) = case.answer(is_there.then_some(&found)) {
            return format!("no {} {}", missing.kind.name(), missing.word);
        }
    }
    match case.close() {
        Ok(cleared) => cleared.body().unwrap_or(body).to_owned(),
        Err(objection) => format!("refused: {objection}"),
    }
}

const CREATE: &str = "POST /containers/create";
const LIBPOD_CREATE: &str = "POST /v5.0.0/libpod/containers/create";

/// An image that a container would only mount is as hidden as one that it would run.
#[test]
fn hidden_images_are_not_mounted() {
    let mount = |image: &str| format!(r#"{{"Type":"image","Source":"{image}","Target":"/m"}}"#);
    for (image, want) in [
        ("hidden:1", "no image hidden:1"),
        ("sha256:00aa", "no image sha256:00aa"),
        ("seen:1", "{"),
    ] {
        for (request, body) in [
            (
                CREATE,
                format!(
                    r#"{{"Image":"seen","HostConfig":{{"Mounts":[{}]}}}}"#,
                    mount(image)
                ),
            ),
            (
                "POST /services/create",
                format!(
                    r#"{{"Name":"s","TaskTemplate":{{"ContainerSpec":{{"Image":"seen","Mounts":[{}]}}}}}}"#,
                    mount(image)
                ),
            ),
        ] {
            let found = created(request, scoped(), &body);
            assert!(found.starts_with(want), "{body}: {found}");
        }
    }
    for body in [
        r#"{"image":"seen","image_volumes":[{"Source":"hidden","Destination":"/m"}]}"#,
        r#"{"image":"seen","mounts":[{"type":"image","source":"hidden","destination":"/m"}]}"#,
        r#"{"image":"seen","volumes":[{"Name":"hidden","Dest":"/m"}]}"#,
        r#"{"rootfs":"hidden"}"#,
    ] {
        let found = created(LIBPOD_CREATE, scoped(), body);
        assert!(found.starts_with("refused"), "{body}: {found}");
    }
    for request in ["pods/create", "play/kube", "kube/play"] {
        let found = created(&format!("POST /v5.0.0/libpod/{request}"), scoped(), "{}");
        assert_eq!(found, "beyond_view", "{request}");
    }
}

/// A missing image is answered as a hidden one: the engine's own answer to a create is another one
/// than that about the image.
#[test]
fn missing_images_are_answered_as_hidden_ones() {
    let seen_by_name = || View {
        scope: Scope::new(vec![vec![
            ScopeCondition::kind(ObjectKind::Image, false),
            ScopeCondition::object(
                TargetCondition::Image(Pattern::new("docker.io/library/seen*")),
                false,
            ),
        ]]),
        ..View::default()
    };
    let service = |image: &str| {
        format!(r#"{{"Name":"s","TaskTemplate":{{"ContainerSpec":{{"Image":"{image}"}}}}}}"#)
    };
    for image in ["hidden:1", "absent:1", "seen-absent:1"] {
        let want = format!("no image {image}");
        let body = format!(r#"{{"Image":"{image}"}}"#);
        assert_eq!(created(CREATE, seen_by_name(), &body), want);
        let body = format!(r#"{{"image":"{image}"}}"#);
        assert_eq!(created(LIBPOD_CREATE, seen_by_name(), &body), want);
        // Nodes pull the image of a service, if the client may pull it.
        let found = created("POST /services/create", seen_by_name(), &service(image));
        match image {
            "seen-absent:1" => assert!(found.starts_with('{'), "{found}"),
            _ => assert_eq!(found, want),
        }
    }
    // A client that sees every image gets the engine's own answer.
    let found = created(CREATE, View::default(), r#"{"Image":"absent:1"}"#);
    assert!(found.starts_with('{'), "{found}");
}

/// A container of a client changes nothing that the client sees and does not own.
#[test]
fn what_is_not_owned_is_only_read_by_new_containers() {
    let refused = "refused: HostConfig";
    let passed = "{";
    for (config, want) in [
        (r#""Binds":["seen-it:/d"]"#, refused),
        (r#""Binds":["seen-it:/d:rw"]"#, refused),
        (r#""Binds":["seen-it:/d:nocopy"]"#, refused),
        (r#""Binds":["seen-it:/d:ro,z"]"#, refused),
        (r#""Binds":["seen-it:/d:ro,rw"]"#, refused),
        (r#""Binds":["seen-it:/d:ro"]"#, passed),
        (r#""Binds":["seen-own:/d"]"#, passed),
        (r#""Binds":["seen-own:/d:z"]"#, passed),
        (
            r#""Mounts":[{"Type":"volume","Source":"seen-it","Target":"/d"}]"#,
            refused,
        ),
        (
            r#""Mounts":[{"Type":"volume","Source":"seen-it","Target":"/d","ReadOnly":false}]"#,
            refused,
        ),
        (
            r#""Mounts":[{"Type":"volume","Source":"seen-it","Target":"/d","ReadOnly":true}]"#,
            passed,
        ),
        (
            r#""Mounts":[{"Type":"volume","Source":"seen-own","Target":"/d"}]"#,
            passed,
        ),
        (r#""NetworkMode":"container:seen-it""#, refused),
        (r#""PidMode":"container:seen-it""#, refused),
        (r#""IpcMode":"container:seen-it""#, refused),
        (r#""NetworkMode":"container:seen-own""#, passed),
        (r#""PidMode":"container:seen-own""#, passed),
        (r#""VolumesFrom":["seen-it"]"#, refused),
        (r#""VolumesFrom":["seen-it:ro"]"#, refused),
        (r#""VolumesFrom":["seen-own:z"]"#, refused),
        (r#""VolumesFrom":["seen-own"]"#, passed),
        (r#""VolumesFrom":["seen-own:ro"]"#, passed),
        (r#""NetworkMode":"seen-it""#, passed),
        (r#""NetworkMode":"bridge""#, passed),
    ] {
        let body = format!(r#"{{"Image":"seen","HostConfig":{{{config}}}}}"#);
        let found = created(CREATE, owning(), &body);
        assert!(found.starts_with(want), "{config}: {found}");
        // Without ownership, all that the client sees is its own.
        let found = created(CREATE, scoped(), &body.replace("seen-own", "seen-it"));
        assert!(found.starts_with(passed), "{config}: {found}");
    }
    for (config, want) in [
        (r#""volumes":[{"Name":"seen-it","Dest":"/d"}]"#, "refused"),
        (
            r#""volumes":[{"Name":"seen-it","Dest":"/d","Options":["ro","rw"]}]"#,
            "refused",
        ),
        (
            r#""volumes":[{"Name":"seen-it","Dest":"/d","Options":["ro"]}]"#,
            passed,
        ),
        (r#""volumes":[{"Name":"seen-own","Dest":"/d"}]"#, passed),
        (
            r#""netns":{"nsmode":"container","value":"seen-it"}"#,
            "refused",
        ),
        (
            r#""pidns":{"nsmode":"container","value":"seen-it"}"#,
            "refused",
        ),
        (
            r#""ipcns":{"nsmode":"container","value":"seen-own"}"#,
            passed,
        ),
        (r#""volumes_from":["seen-own"]"#, "refused"),
    ] {
        let body = format!(r#"{{"image":"seen",{config}}}"#);
        let found = created(LIBPOD_CREATE, owning(), &body);
        assert!(found.starts_with(want), "{config}: {found}");
    }
    let body = r#"{"Image":"seen","HostConfig":{"VolumesFrom":["seen-own:rw"]}}"#;
    let found = created(CREATE, owning(), body);
    assert!(
        found.contains(&format!(r#""VolumesFrom":["{ID}"]"#)),
        "{found}"
    );
    // The engine answers with the volume that exists.
    let found = created("POST /volumes/create", owning(), r#"{"Name":"seen-it"}"#);
    assert!(found.starts_with(passed), "{found}");
}

/// Checks what a client gets of answers, each with its request.
fn check_answers(cases: &[(&str, &str, &str)]) {
    for (request, answer, want) in cases {
        let found = filtered(request, scoped(), answer, 9);
        assert_eq!(found.as_deref(), Ok(*want), "{request}");
    }
}

/// A visible image can have hidden names: neither its history nor another answer tells them.
#[test]
fn hidden_names_of_visible_images_are_left_out() {
    check_answers(&[
        (
            "GET /images/seen:1/history",
            r#"[{"Id":"a","Tags":["seen:1","hidden:1"]},{"Id":"<missing>","Tags":null}]"#,
            r#"[{"Id":"a","Tags":["seen:1"]},{"Id":"<missing>","Tags":null}]"#,
        ),
        (
            "GET /v4.0.0/libpod/images/seen:1/history",
            r#"[{"id":"a","tags":["hidden:1","seen:1"]}]"#,
            r#"[{"id":"a","tags":["seen:1"]}]"#,
        ),
        (
            "GET /v4.0.0/libpod/images/seen:1/json",
            r#"{"RepoTags":["seen:1","hidden:1"],"NamesHistory":["hidden:1","seen:1"]}"#,
            r#"{"RepoTags":["seen:1"],"NamesHistory":["seen:1"]}"#,
        ),
        (
            "GET /images/seen:1/json",
            r#"{"RepoTags":["seen:1"],"Descriptor":{"size":1,"annotations":{"io.containerd.image.name":"hidden:1","a":"b"}},"Identity":{"Pull":[{"Repository":"hidden"}]}}"#,
            r#"{"RepoTags":["seen:1"],"Descriptor":{"size":1,"annotations":{"a":"b"}}}"#,
        ),
    ]);
    let tree = Endpoint::all().find(|one| one.id.name() == "libpod.image.tree");
    assert_eq!(
        outcome(tree.expect("an endpoint"), "seen", scoped()),
        "beyond_view"
    );
}

/// An event of a visible image names a hidden tag.
#[test]
fn events_about_hidden_names_of_images_are_left_out() {
    for (id, attributes, want) in [
        (SEEN, r#""name":"seen:1""#, true),
        (SEEN, r#""name":"hidden:1""#, false),
        (SEEN, r#""name":"sha256:SEEN""#, true),
        (SEEN, "", true),
        (SEEN, r#""image":"hidden:1","name":"seen:1""#, false),
        ("seen:1", r#""name":"seen""#, true),
        ("seen:1", r#""name":"hidden""#, false),
        ("seenfor:1", r#""name":"seen""#, true),
    ] {
        let event = format!(
            r#"{{"Type":"image","Action":"tag","Actor":{{"ID":"{id}","Attributes":{{{attributes}}}}}}}"#
        );
        let event = format!(
            "{}\n",
            event.replace("sha256:SEEN", &format!("sha256:{SEEN}"))
        );
        let found = filtered("GET /events", scoped(), &event, 7);
        let want = if want { event } else { String::new() };
        assert_eq!(found, Ok(want), "{id} {attributes}");
    }
}

/// Podman lists an image by a filter that fits one of its hidden names.
#[test]
fn a_filter_by_name_finds_images_by_visible_names_alone() {
    let listed =
        r#"[{"Id":"sha256:abcdef","RepoTags":["docker.io/library/seen:1","seen:2","hidden:1"]}]"#;
    let visible = r#"[{"Id":"sha256:abcdef","RepoTags":["seen:2"]}]"#;
    for (reference, want) in [
        ("hidden:1", "[]"),
        ("h*", "[]"),
        ("*:1", "[]"),
        ("seen", visible),
        ("seen:*", visible),
        ("*", visible),
        ("?een", "[]"),
        ("abcdef", visible),
    ] {
        for query in [
            format!("filters=%7B%22reference%22%3A%5B%22{reference}%22%5D%7D"),
            format!("filters=%7B%22reference%22%3A%7B%22{reference}%22%3Atrue%7D%7D"),
            format!("filter={reference}"),
        ] {
            let request = format!("GET /images/json?{query}");
            let request = request.replace('?', "%3F").replacen("%3F", "?", 1);
            let found = filtered(&request, scoped(), listed, 9);
            assert_eq!(found.as_deref(), Ok(want), "{request}");
        }
    }
}

/// The manifests of an image name the containers that use it.
#[test]
fn hidden_containers_are_taken_out_of_images() {
    let image = |containers: &str| {
        format!(
            r#"{{"RepoTags":["seen:1"],"Manifests":[{{"ImageData":{{"Containers":[{containers}]}}}}]}}"#
        )
    };
    let answer = image(&format!(r#""{SEEN}","{OTHER}""#));
    let want = image(&format!(r#""{SEEN}""#));
    let unbounded = || View {
        scope: Scope::new(vec![vec![named("seen*")]]),
        ..View::default()
    };
    for view in [scoped, unbounded] {
        let found = filtered(
            "GET /v1.48/images/seen:1/json?manifests=1",
            view(),
            &answer,
            9,
        );
        assert_eq!(found, Ok(want.clone()));
        let list = format!("[{answer}]");
        let found = filtered("GET /v1.48/images/json?manifests=1", view(), &list, 9);
        assert_eq!(found, Ok(format!("[{want}]")));
    }
    check_answers(&[(
        "GET /images/seen:1/json",
        r#"{"RepoTags":["seen:1"],"Container":"0000","ContainerConfig":{"Hostname":"0000"},"Config":{"Hostname":"0000"}}"#,
        r#"{"RepoTags":["seen:1"],"Container":"","ContainerConfig":{"Hostname":""},"Config":{"Hostname":""}}"#,
    )]);
}

/// A visible pod can have containers that its client does not see, nor learns the number of.
#[test]
fn hidden_containers_are_taken_out_of_pods() {
    let all = format!(r#"{{"Id":"{SEEN}"}},{{"Id":"{OTHER}"}},{{"Id":"x/../y"}}"#);
    let seen = format!(r#"{{"Id":"{SEEN}"}}"#);
    check_answers(&[
        (
            "GET /libpod/pods/seen/json",
            &format!(r#"{{"Name":"seen","NumContainers":3,"Containers":[{all}],"LockNumber":1}}"#),
            &format!(r#"{{"Name":"seen","Containers":[{seen}],"LockNumber":1}}"#),
        ),
        (
            "GET /libpod/pods/json",
            &format!(r#"[{{"Name":"seen","Id":"1","Containers":[{all}]}}]"#),
            &format!(r#"[{{"Name":"seen","Id":"1","Containers":[{seen}]}}]"#),
        ),
        (
            "GET /libpod/pods/seen/json",
            &format!(r#"{{"Name":"seen","NumContainers":1,"Containers":[{seen}]}}"#),
            &format!(r#"{{"Name":"seen","NumContainers":1,"Containers":[{seen}]}}"#),
        ),
    ]);
}

/// A task of a visible service is on a hidden network, of which it tells the name alone.
#[test]
fn specs_of_hidden_networks_are_taken_out_of_tasks() {
    let task = |hidden: &str| {
        format!(
            r#"{{"ID":"t","ServiceID":"seen","NetworksAttachments":[{{"Network":{{"ID":"1","Spec":{{"Name":"seen"}},"DriverState":{{}}}}}},{{"Network":{{"ID":"2","Spec":{{"Name":"hidden"{hidden}}},"Addresses":["10.0.0.2/24"]}}]}}"#
        )
    };
    let answer = task(r#","Labels":{"secret":"x"}},"IPAMOptions":{"Configs":[]}"#);
    let want = task("}");
    check_answers(&[
        ("GET /tasks/t", &answer, &want),
        ("GET /tasks", &format!("[{answer}]"), &format!("[{want}]")),
    ]);
}

/// A container names the containers and the pod that it was created with. Those that the client
/// does not see are left out of lists and inspections, and what it has from them.
#[test]
fn hidden_companions_are_taken_out_of_containers() {
    let docker = |mode: &str, rest: [&str; 4], links: &str| {
        let [host_name, path, from, linked] = rest;
        format!(
            r#"{{"Id":"a","Names":["/seen"],"HostnamePath":"{path}","Config":{{"Hostname":"{host_name}"}},"HostConfig":{{"NetworkMode":"{mode}","PidMode":"container:seen2","IpcMode":"private","Links":[{linked}],"VolumesFrom":[{from}]}},"NetworkSettings":{{"Networks":{{"seen":{{"Links":[{links}]}}}}}}}}"#
        )
    };
    let answer = docker(
        &format!("container:{OTHER}"),
        [
            "000000000000",
            "/var/lib/docker/containers/0000/hostname",
            r#""seen3:ro","hidden:rw","/hidden""#,
            r#""/seen1:/seen/db","/hidden:/seen/x","a b:/seen/y""#,
        ],
        r#""hidden:x","seen1:y""#,
    );
    let want = docker(
        "container:(hidden)",
        ["", "", r#""seen3:ro""#, r#""/seen1:/seen/db""#],
        r#""seen1:y""#,
    );
    let visible = docker(
        &format!("container:{SEEN}"),
        ["0123", "/x", "", ""],
        r#""seen1:y""#,
    );
    let podman = |pod: &str, more: &str, mode: &str| {
        format!(
            r#"{{"Id":"a","Names":["seen"],"Pod":"{pod}","PodName":"{pod}","Dependencies":["seen1"{more}],"HostConfig":{{"NetworkMode":"{mode}"}}}}"#
        )
    };
    let of_hidden = podman("hidden", r#","hidden""#, "container:hidden");
    let without = podman("", "", "container:(hidden)");
    let of_seen = podman("seen", "", "container:seen1");
    for (path, answer, want) in [
        ("containers", &answer, &want),
        ("containers", &visible, &visible),
        ("v4.0.0/libpod/containers", &of_hidden, &without),
        ("v4.0.0/libpod/containers", &of_seen, &of_seen),
    ] {
        check_answers(&[
            (&format!("GET /{path}/seen/json"), answer, want),
            (
                &format!("GET /{path}/json?limit=1"),
                &format!("[{answer},{answer}]"),
                &format!("[{want}]"),
            ),
        ]);
    }
}

/// However many companions a container has, the engine is asked about a few.
#[test]
fn few_companions_are_looked_up() {
    let names: Vec<String> = (0..5000).map(|n| format!("\"seen{n}\"")).collect();
    let answer = |names: &str| format!(r#"{{"HostConfig":{{"VolumesFrom":[{names}]}}}}"#);
    let found = filtered(
        "GET /containers/seen/json",
        scoped(),
        &answer(&names.join(",")),
        4096,
    );
    assert_eq!(found, Ok(answer(&names[..64].join(","))));
}

/// Podman removes the image at the end of the container, without a call that could be judged.
#[test]
fn containers_of_a_view_do_not_take_their_images_along() {
    for (value, is_refused) in [("true", true), ("false", false)] {
        let body = format!(r#"{{"image":"seen","remove":true,"removeImage":{value}}}"#);
        let found = created(LIBPOD_CREATE, scoped(), &body);
        assert_eq!(found.contains("removes the image"), is_refused, "{found}");
    }
}
