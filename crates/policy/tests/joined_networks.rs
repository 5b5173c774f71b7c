//! A container joins the network that was judged, whatever its fields say and whenever it starts.

mod world;

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::Surroundings;
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    Call, Object, Owner, Ownership, Profile, SessionSource, Verdict, View, Viewer, decide,
};

/// The objects of an engine. `theirs` belongs to another client.
fn world_of_two(kind: ObjectKind, word: &str) -> Option<Object> {
    let (id, name, owner) = match word {
        "web" => ("3eb3eb", "web", "default"),
        "shared" | "5a5a" => ("5a5a", "shared", "default"),
        "theirs" | "7e7e" => ("7e7e", "theirs", "other"),
        word => return world::plain(kind, word),
    };
    let labels = format!(r#"{{"cetusguard.owner":"{owner}"}}"#);
    let answer = format!(
        r#"{{"Id":"{id}","Name":"{name}","Labels":{labels},"Config":{{"Labels":{labels}}}}}"#
    );
    Some(Object::read(kind, answer.as_bytes()).expect("JSON"))
}

/// Returns the body that is sent for a client that owns what it creates, or the refusal.
fn sent(request: &str, body: &str) -> String {
    let rules = parse("test", "GET,POST,DELETE .*").expect("rules");
    let ownership = Ownership {
        owner: "default".to_owned(),
        session: SessionSource::Profile,
        lifetime: None,
    };
    let profile = Profile {
        rules: RuleSet::new(rules).into(),
        guard: Arc::default(),
        view: Arc::new(View {
            ownership: Some(ownership),
            ..View::default()
        }),
        ..Profile::default()
    };
    let (method, target) = request.split_once(' ').expect("a request line");
    let call = Call::read(method, target).expect(request);
    let Verdict::Allow(permit) = decide(call, &profile) else {
        return "denied".to_owned();
    };
    let viewer = Viewer {
        view: Arc::clone(&profile.view),
        owner: Some(Owner::profile("default")),
    };
    let around = Surroundings {
        viewer: Some(&viewer),
        ..Surroundings::default()
    };
    match world::settle_in(
        &permit,
        Some("application/json"),
        body.as_bytes(),
        around,
        &world_of_two,
        world::RECENT,
    ) {
        Ok(cleared) => cleared.body().unwrap_or_default().to_owned(),
        Err(objection) => format!("refused: {objection}"),
    }
}

/// Docker prefers `NetworkID` to the name beside it, and looks a network up when the container
/// starts.
#[test]
fn docker_gets_the_identifier_of_the_network_that_was_judged() {
    let theirs = r#"{"EndpointsConfig":{"shared":{"NetworkID":"theirs"}}}"#;
    let want = r#""NetworkingConfig":{"EndpointsConfig":{"shared":{"NetworkID":"5a5a"}}}"#;
    for (request, mode, networks) in [
        ("POST /containers/create", "shared", theirs),
        ("POST /v1.41/containers/create", "shared", "{}"),
        (
            "POST /containers/create",
            "bridge",
            r#"{"EndpointsConfig":{"shared":null}}"#,
        ),
        // Before version 1.44, Docker takes one network here, and ignores the mode beside it.
        (
            "POST /v1.43/containers/create",
            "5a5a",
            r#"{"EndpointsConfig":{"shared":{"networkid":"7e7e"}}}"#,
        ),
    ] {
        let body =
            format!(r#"{{"HostConfig":{{"NetworkMode":"{mode}"}},"NetworkingConfig":{networks}}}"#);
        let sent = sent(request, &body);
        assert!(sent.contains(want), "{request} {body}: {sent}");
    }
    let refused = sent(
        "POST /containers/create",
        r#"{"NetworkingConfig":{"EndpointsConfig":{"theirs":{}}}}"#,
    );
    assert!(refused.starts_with("refused"), "{refused}");
}

#[test]
fn a_connect_is_about_the_network_of_its_path() {
    let body = r#"{"Container":"web","EndpointConfig":{"NetworkID":"theirs","Aliases":["db"]}}"#;
    let sent = sent("POST /networks/shared/connect", body);
    assert!(
        sent.contains(r#""Aliases":["db"]"#) && !sent.contains("theirs"),
        "{sent}"
    );
}
