//! The lists and prunes that an engine is asked for by a client that does not see all objects: their
//! filters and limits reach no hidden object, and tell nothing of one.

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Engine, Question, Surroundings};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    Call, Object, Owner, Ownership, Pattern, Profile, Redaction, Scope, ScopeCondition,
    SessionSource, TargetCondition, Verdict, View, Viewer, decide,
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const DOCKER: &str = r#"{"ApiVersion":"1.51","Components":[{"Name":"Engine"}]}"#;
const PODMAN: &str = r#"{"ApiVersion":"1.41","Components":[{"Name":"Podman Engine"}]}"#;

/// Returns the objects of an engine: those that are called `hidden` have no label, all others have
/// that of the scope.
fn labelled(kind: ObjectKind, word: &str) -> Object {
    let labels = if word.contains("hidden") {
        "{}"
    } else {
        r#"{"team":"blue"}"#
    };
    let answer = format!(
        r#"{{"ID":"{word}","Id":"{word}","Name":"{word}","RepoTags":["{word}"],"Labels":{labels},
        "Config":{{"Labels":{labels}}},"Spec":{{"Name":"{word}","Labels":{labels}}}}}"#
    );
    Object::read(kind, answer.as_bytes()).expect("JSON")
}

/// The view of a client that sees the objects with one of these labels.
fn seeing(labels: &[(&str, &str)]) -> View {
    let entry = |(key, value): &(&str, &str)| {
        let label = TargetCondition::Label((*key).to_owned(), Pattern::new(*value));
        vec![ScopeCondition::object(label, false)]
    };
    View {
        scope: Scope::new(labels.iter().map(entry).collect()),
        ..View::default()
    }
}

/// The same for images and other objects.
fn seeing_images(key: &str, value: &str) -> View {
    let label = || {
        let label = TargetCondition::Label(key.to_owned(), Pattern::new(value));
        ScopeCondition::object(label, false)
    };
    let of_image = ScopeCondition::kind(ObjectKind::Image, false);
    View {
        scope: Scope::new(vec![vec![label()], vec![of_image, label()]]),
        ..View::default()
    }
}

/// The view of a client that sees the objects that it owns.
fn owning() -> View {
    View {
        ownership: Some(Ownership {
            owner: "ci".to_owned(),
            session: SessionSource::Profile,
            lifetime: None,
        }),
        ..View::default()
    }
}

/// Returns the target that the engine gets, decoded, or the refusal.
fn sent_to(engine: &str, request: &str, view: View) -> String {
    let (method, target) = request.split_once(' ').expect("a request line");
    let rules = parse("test", "GET,POST .*").expect("rules");
    let owner = view.ownership.as_ref();
    let viewer = Viewer {
        owner: owner.map(|ownership| Owner::profile(&ownership.owner)),
        view: Arc::new(view),
    };
    let profile = Profile {
        rules: RuleSet::new(rules),
        guard: Arc::default(),
        view: Arc::clone(&viewer.view),
        ..Profile::default()
    };
    let call = Call::read(method, target).expect(request);
    let Verdict::Allow(permit) = decide(call, &profile) else {
        return "denied".to_owned();
    };
    let around = Surroundings {
        viewer: Some(&viewer),
        ..Surroundings::default()
    };
    let mut case = match permit.open(None, b"", around) {
        Ok(case) => case,
        Err(objection) => return format!("refused: {objection}"),
    };
    while let Some(question) = case.question() {
        match question {
            Question::Inspection { .. } => unreachable!("no container is created"),
            Question::Object { kind, word } => {
                if let Err(missing) = case.answer(Some(&labelled(kind, word))) {
                    return format!("no {} {}", missing.kind.name(), missing.word);
                }
            }
            Question::Engine => case.answer_engine(&Engine::read(engine.as_bytes()).expect("JSON")),
        }
    }
    match case.close() {
        Ok(cleared) => {
            let target = cleared.call(permit.call()).target();
            let decoded = percent_decode_str(&target).decode_utf8_lossy();
            decoded.into_owned()
        }
        Err(objection) => format!("refused: {objection}"),
    }
}

fn sent(request: &str, view: View) -> String {
    sent_to(DOCKER, request, view)
}

/// Returns the request with these filters.
fn with_filters(request: &str, filters: &str) -> String {
    let filters = utf8_percent_encode(filters, NON_ALPHANUMERIC);
    format!("{request}?filters={filters}")
}

/// The engine counts hidden containers as well: a client could find out how many there are, or would
/// get fewer of its own.
#[test]
fn the_engine_limits_no_list_that_is_filtered() {
    for (query, want) in [
        ("", ""),
        ("?all=1", "?all=1"),
        ("?limit=2", "?all=true"),
        ("?Limit=2&size=1", "?size=1&all=true"),
        // All containers are listed, whatever is said beside a limit.
        ("?limit=2&all=0&ALL=false", "?all=true"),
        ("?limit=0", ""),
        ("?limit=-1&all=1", "?all=1"),
        ("?limit=x", ""),
    ] {
        let request = format!("GET /containers/json{query}");
        let sent = sent(&request, seeing(&[("team", "blue")]));
        assert_eq!(sent, format!("/containers/json{want}"), "{request}");
    }
    let podman = "GET /v5.0.0/libpod/containers/json?last=3";
    let sent_to_podman = sent(podman, seeing(&[("team", "blue")]));
    assert_eq!(
        sent_to_podman, "/v5.0.0/libpod/containers/json?all=true",
        "{podman}"
    );
    // Engines differ about which one counts.
    let two = sent(
        "GET /containers/json?limit=1&limit=2",
        seeing(&[("team", "blue")]),
    );
    assert!(two.starts_with("refused: "), "{two}");
}

/// These filters compare with another object, and the answer tells whether it exists.
#[test]
fn no_list_is_filtered_by_a_hidden_object() {
    for (request, filters, is_refused) in [
        ("GET /containers/json", r#"{"name":["web"]}"#, false),
        ("GET /containers/json", r#"{"before":["hidden"]}"#, true),
        ("GET /containers/json", r#"{"Since":{"hidden":true}}"#, true),
        ("GET /images/json", r#"{"before":["hidden"]}"#, true),
        (
            "GET /v5.0.0/libpod/images/json",
            r#"{"after":["hidden"]}"#,
            true,
        ),
        (
            "GET /v5.0.0/libpod/pods/json",
            r#"{"ctr-names":["hidden"]}"#,
            true,
        ),
        (
            "GET /v5.0.0/libpod/containers/json",
            r#"{"pod":["hidden"]}"#,
            true,
        ),
        // Two readers of such filters may differ.
        (
            "GET /containers/json",
            r#"{"name":["a"],"name":["b"]}"#,
            true,
        ),
        ("GET /volumes", r#"{"name":"#, true),
        ("GET /volumes", " ", false),
    ] {
        let sent = sent(
            &with_filters(request, filters),
            seeing(&[("team", "blue"), ("team", "red")]),
        );
        assert_eq!(
            sent.starts_with("refused: "),
            is_refused,
            "{request} {filters}: {sent}"
        );
    }
    let sent = sent("GET /containers/json?filters=%FF", owning());
    assert!(sent.starts_with("refused: "), "not UTF-8: {sent}");
}

/// The engine answers a filter by an object that does not exist with 404, so that a list would tell
/// hidden objects from those.
#[test]
fn filters_of_lists_name_visible_objects_alone() {
    for (path, key, kind) in [
        ("/tasks", "service", "service"),
        ("/tasks", "node", "node"),
        ("/containers/json", "ancestor", "image"),
    ] {
        for (name, want) in [
            ("web", "passes".to_owned()),
            ("hidden", format!("no {kind} hidden")),
        ] {
            for filters in [
                format!(r#"{{"{key}":["{name}"]}}"#),
                format!(r#"{{"{key}":{{"{name}":true}}}}"#),
            ] {
                let request = with_filters(&format!("GET {path}"), &filters);
                let sent = sent(&request, seeing_images("team", "blue"));
                let passes = sent == format!("{path}?filters={filters}");
                let found = if passes { "passes".to_owned() } else { sent };
                assert_eq!(found, want, "{path} {filters}");
            }
        }
    }
}

/// An engine removes what a prune selects without a word from the proxy: it selects only what the
/// client may remove.
#[test]
fn prunes_select_the_objects_of_the_client_alone() {
    let own = r#"{"label":{"cetusguard.owner=ci":true}}"#;
    for (request, view, want) in [
        ("POST /containers/prune", owning(), own),
        ("POST /networks/prune", owning(), own),
        ("POST /volumes/prune", owning(), own),
        (
            "POST /images/prune",
            owning(),
            r#"{"label":{"cetusguard.image-owner=ci":true}}"#,
        ),
        (
            "POST /containers/prune",
            seeing(&[("team", "blue")]),
            r#"{"label":{"team=blue":true}}"#,
        ),
    ] {
        let path = request.split(' ').nth(1).expect("a path");
        assert_eq!(
            sent(request, view),
            format!("{path}?filters={want}"),
            "{request}"
        );
    }
    let filtered = with_filters("POST /containers/prune", r#"{"label":["a"]}"#);
    assert_eq!(
        sent(&filtered, owning()),
        r#"/containers/prune?filters={"label":["a","cetusguard.owner=ci"]}"#
    );
}

/// No filter of an engine means such a scope.
#[test]
fn prunes_that_cannot_be_narrowed_are_refused() {
    let negated = || {
        let label = TargetCondition::Label("team".to_owned(), Pattern::new("red"));
        View {
            scope: Scope::new(vec![vec![ScopeCondition::object(label, true)]]),
            ..View::default()
        }
    };
    for view in [
        seeing(&[("team", "*")]),
        seeing(&[("team=x", "blue")]),
        seeing(&[("team", "blue"), ("team", "red")]),
        negated(),
    ] {
        let scope: Vec<String> = view.scope.entries().collect();
        let sent = sent("POST /containers/prune", view);
        assert!(
            sent.contains("the engine cannot prune those containers alone"),
            "{scope:?}: {sent}"
        );
    }
    let unclear = with_filters("POST /containers/prune", r#"{"label":"a"}"#);
    let sent_unclear = sent(&unclear, owning());
    assert!(sent_unclear.starts_with("refused: "), "{sent_unclear}");
}

/// Podman 4 combines the labels of these prunes by OR: the client's own label would select more.
#[test]
fn podman_prunes_no_volumes_and_images_of_some_clients() {
    for (request, is_refused) in [
        ("POST /volumes/prune", true),
        ("POST /images/prune", true),
        ("POST /containers/prune", false),
    ] {
        let sent = sent_to(PODMAN, request, owning());
        assert_eq!(
            sent.contains("remove them one by one"),
            is_refused,
            "{request}: {sent}"
        );
    }
}

/// An archive names its images inside.
#[test]
fn owners_load_no_archives() {
    let refused = sent("POST /images/load", owning());
    assert!(
        refused.contains("may replace images of other clients"),
        "{refused}"
    );
}

/// The arguments of `ps` choose the columns: command lines cannot be told from other values then.
#[test]
fn a_redaction_closes_parameters_that_move_values() {
    let redacting = |class: &str| View {
        redaction: Redaction::read([class]).expect("classes"),
        ..View::default()
    };
    let request = "GET /containers/web/top?ps_args=auxe";
    let refused = sent(request, redacting("all"));
    assert!(
        refused.contains("ps_args: the redact of this profile closes it"),
        "{refused}"
    );
    let open = sent("GET /containers/web/top", redacting("all"));
    assert_eq!(open, "/containers/web/top");
}
