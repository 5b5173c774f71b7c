//! A client that owns what it creates reaches nothing of another owner, whatever fields it uses and
//! whenever its containers start.

mod world;

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::Surroundings;
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    Call, Object, Owner, Ownership, Profile, Profiles, SessionSource, Verdict, View, Viewer, decide,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The objects of an engine. `theirs` belongs to another client.
fn world_of_two(kind: ObjectKind, word: &str) -> Option<Object> {
    let (id, name, owner) = match word {
        "web" => ("3eb3eb", "web", "default"),
        "shared" | "5a5a" => ("5a5a", "shared", "default"),
        "theirs" | "7e7e" => ("7e7e", "theirs", "other"),
        "their/app:1" | "docker.io/their/app:1" => ("a4a4", "their/app:1", "other"),
        "pulled:1" | "docker.io/library/pulled:1" | "built:1" | "absent:1" => ("b5b5", word, ""),
        word => return world::plain(kind, word),
    };
    if word == "absent:1" {
        return None;
    }
    let labels = match kind {
        ObjectKind::Image if owner.is_empty() => "{}".to_owned(),
        ObjectKind::Image => format!(r#"{{"cetusguard.image-owner":"{owner}"}}"#),
        _ => format!(r#"{{"cetusguard.owner":"{owner}"}}"#),
    };
    let digests = match word {
        "pulled:1" => r#"["pulled@sha256:00"]"#,
        _ => "[]",
    };
    let answer = format!(
        r#"{{"Id":"{id}","Name":"{name}","RepoDigests":{digests},"Labels":{labels},"Config":{{"Labels":{labels}}}}}"#
    );
    Some(Object::read(kind, answer.as_bytes()).expect("JSON"))
}

fn profile(ownership: Option<Ownership>) -> Profile {
    let rules = parse("test", "GET,POST,DELETE .*").expect("rules");
    Profile {
        rules: RuleSet::new(rules),
        guard: Arc::default(),
        view: Arc::new(View {
            ownership,
            ..View::default()
        }),
        ..Profile::default()
    }
}

fn owning_profile() -> Profile {
    profile(Some(Ownership {
        owner: "default".to_owned(),
        session: SessionSource::Profile,
        lifetime: None,
    }))
}

/// Returns the target and the body that are sent for a client that owns what it creates, or the
/// refusal.
fn sent(request: &str, body: &str) -> String {
    let profile = owning_profile();
    let viewer = Viewer {
        view: Arc::clone(&profile.view),
        owner: Some(Owner::profile("default")),
    };
    let around = Surroundings {
        viewer: Some(&viewer),
        ..Surroundings::default()
    };
    sent_in(request, body, &profile, around)
}

/// Returns the same for a client that owns nothing, beside one that does.
fn sent_beside_an_owner(request: &str, body: &str) -> String {
    let profiles = Profiles::new(owning_profile(), Vec::new(), Vec::new());
    let around = Surroundings {
        profiles: Some(&profiles),
        ..Surroundings::default()
    };
    sent_in(request, body, &profile(None), around)
}

fn sent_in(request: &str, body: &str, profile: &Profile, around: Surroundings<'_>) -> String {
    let (method, target) = request.split_once(' ').expect("a request line");
    let call = Call::read(method, target).expect(request);
    let Verdict::Allow(permit) = decide(call, profile) else {
        return "denied".to_owned();
    };
    match world::settle_in(
        &permit,
        (!body.is_empty()).then_some("application/json"),
        body.as_bytes(),
        around,
        &world_of_two,
        world::RECENT,
    ) {
        Ok(cleared) => {
            let target = cleared.call(permit.call()).target();
            format!("{target} {}", cleared.body().unwrap_or_default())
        }
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
    // Docker reads keys in any letter case.
    let body = r#"{"hostconfig":{"networkMODE":"shared"},"networkingconfig":{"endpointsconfig":{"shared":{"networkid":"theirs"}}}}"#;
    let folded = sent("POST /containers/create", body);
    assert!(
        folded.contains(want) && !folded.contains("theirs"),
        "{folded}"
    );
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

/// Every client sees the networks that belong to the engine.
#[test]
fn a_new_network_is_none_of_the_engines_own() {
    for (name, is_refused) in [("ingress", true), ("docker_gwbridge", true), ("web", false)] {
        let sent = sent("POST /networks/create", &format!(r#"{{"Name":"{name}"}}"#));
        assert_eq!(sent.starts_with("refused"), is_refused, "{name}: {sent}");
    }
}

/// A build, a pull and an import give the name of an image to another one.
#[test]
fn images_of_other_owners_keep_their_names() {
    let output =
        |name: &str| format!(r#"[{{"Type":"moby","Attrs":{{"name":"docker.io/{name}"}}}}]"#);
    let theirs = utf8_percent_encode(&output("their/app:1"), NON_ALPHANUMERIC).to_string();
    for (request, is_refused) in [
        ("POST /build?t=their/app:1".to_owned(), true),
        ("POST /build?t=absent:1".to_owned(), false),
        (format!("POST /build?outputs={theirs}"), true),
        (
            "POST /images/create?fromImage=their/app&tag=1".to_owned(),
            true,
        ),
        (
            "POST /images/create?fromImage=pulled&tag=1".to_owned(),
            false,
        ),
        (
            "POST /images/create?fromImage=absent&tag=1".to_owned(),
            false,
        ),
        // The operator has built it, and it has no label.
        ("POST /images/create?fromImage=built&tag=1".to_owned(), true),
        // The Dockerfile says which ones are pulled.
        ("POST /build?t=absent:1&pull=1".to_owned(), true),
        ("POST /build?t=absent:1&pull=0".to_owned(), false),
        // Docker would pull every tag.
        ("POST /images/create?fromImage=absent".to_owned(), true),
    ] {
        let sent = sent(&request, "");
        assert_eq!(sent.starts_with("refused"), is_refused, "{request}: {sent}");
    }
}

/// BuildKit keeps what `RUN --mount=type=cache` writes for the builds of all clients.
#[test]
fn builds_by_buildkit_are_closed_as_its_channels_are() {
    for (query, is_refused) in [
        ("version=2", true),
        ("Version=2", true),
        ("version=1&version=2", true),
        ("version=1", false),
        ("version=", false),
        ("q=1", false),
    ] {
        let sent = sent(&format!("POST /build?{query}"), "");
        assert_eq!(sent.starts_with("refused"), is_refused, "{query}: {sent}");
    }
}

#[test]
fn instructions_of_images_forge_no_owner() {
    for (change, is_refused) in [
        ("CMD true", false),
        ("LABEL a=b", false),
        ("LABEL cetusguard.image-owner=other", true),
        ("LABEL CetusGuard.Owner=other", true),
        // The stamps of the proxy stand behind these, and would be a part of them.
        ("CMD foo \\", true),
        ("CMD foo \\ ", true),
        ("CMD foo `", true),
        ("CMD foo \\\n# a comment", true),
        ("ONBUILD RUN <<x", true),
    ] {
        let change = utf8_percent_encode(change, NON_ALPHANUMERIC);
        for request in [
            format!("POST /commit?container=web&changes={change}"),
            format!("POST /images/create?fromSrc=-&repo=absent&tag=1&changes={change}"),
        ] {
            let sent = sent(&request, "");
            assert_eq!(sent.starts_with("refused"), is_refused, "{request}: {sent}");
            if !is_refused {
                let stamp = "cetusguard.image-owner%3D%22default%22";
                assert!(sent.contains(stamp), "{request}: {sent}");
            }
        }
    }
}

/// The labels of an image name its owner, whoever made it. A client that owns nothing can hide the
/// key of a label from the proxy, in a Dockerfile or in an instruction.
#[test]
fn clients_that_own_nothing_make_images_of_no_owner() {
    let hidden = utf8_percent_encode(r#"LABEL cetus"guard".owner=other"#, NON_ALPHANUMERIC);
    for (request, stamps) in [
        (
            "POST /build?t=app:1".to_owned(),
            "%22cetusguard.image-owner%22%3A%22%22",
        ),
        (
            format!("POST /commit?container=web&changes={hidden}"),
            "LABEL%20cetusguard.image-owner%3D%22%22",
        ),
        (
            format!("POST /images/create?fromSrc=-&repo=app&changes={hidden}"),
            "LABEL%20cetusguard.owner%3D%22%22",
        ),
    ] {
        let sent = sent_beside_an_owner(&request, "");
        assert!(sent.contains(stamps), "{request}: {sent}");
    }
    let open = "POST /commit?container=web&changes=CMD%20foo%20%5C";
    let refused = sent_beside_an_owner(open, "");
    assert!(refused.starts_with("refused"), "{refused}");
    // Nobody owns anything: nothing is added.
    let plain = sent_in(
        "POST /build?t=app:1",
        "",
        &profile(None),
        Surroundings::default(),
    );
    assert!(!plain.contains("owner"), "{plain}");
}

/// Swarm looks a volume up when a task starts: by then, the name may be that of another client's.
#[test]
fn services_of_owners_mount_no_volumes_by_name() {
    for (mount, is_refused) in [
        (r#"{"Type":"volume","Source":"mine","Target":"/v"}"#, true),
        (
            r#"{"Type":"volume","Source":"mine","Target":"/v","ReadOnly":true}"#,
            true,
        ),
        (r#"{"Type":"volume","Target":"/v"}"#, false),
        (r#"{"Type":"tmpfs","Target":"/v"}"#, false),
    ] {
        let body = format!(
            r#"{{"Name":"web","TaskTemplate":{{"ContainerSpec":{{"Image":"pulled:1","Mounts":[{mount}]}}}}}}"#
        );
        let sent = sent("POST /services/create", &body);
        assert_eq!(sent.starts_with("refused"), is_refused, "{mount}: {sent}");
    }
}

/// The containers of a build's steps have the labels that the Dockerfile says, and the cache has the
/// steps of all clients.
#[test]
fn builds_of_owners_leave_no_containers_and_take_no_steps_of_others() {
    for query in [
        "t=absent:1",
        "t=absent:1&rm=0&forcerm=0&nocache=0",
        "t=absent:1&rm=1",
    ] {
        let sent = sent(&format!("POST /build?{query}"), "");
        assert!(
            sent.contains("&rm=1&forcerm=1&nocache=1"),
            "{query}: {sent}"
        );
        assert!(!sent.contains("=0"), "{query}: {sent}");
    }
}

/// Anonymous volumes have no labels.
#[test]
fn containers_of_owners_take_their_anonymous_volumes_along() {
    for (request, flags) in [
        ("DELETE /containers/web", "v=1"),
        ("DELETE /containers/web?v=0&force=1", "force=1&v=1"),
        // Podman's own path reads another name.
        ("DELETE /v4.0.0/libpod/containers/web?V=false", "volumes=1"),
        (
            "DELETE /v4.0.0/libpod/containers/web?Volumes=false&force=1",
            "force=1&volumes=1",
        ),
    ] {
        let sent = sent(request, "");
        let found = sent.split('?').nth(1).unwrap_or_default();
        assert_eq!(found.trim_end(), flags, "{request}: {sent}");
    }
}

/// Engines take a name before they take the beginning of an identifier.
#[test]
fn new_names_are_no_identifiers_of_others() {
    let long = "0123456789abcdef".repeat(4);
    for name in ["0123456789ab", "ABCDEF012345", long.as_str()] {
        for (request, body) in [
            (format!("POST /containers/create?name={name}"), "{}"),
            (format!("POST /containers/create?name=/{name}"), "{}"),
            (format!("POST /containers/web/rename?name={name}"), ""),
            (
                "POST /networks/create".to_owned(),
                &*format!(r#"{{"Name":"{name}"}}"#),
            ),
            (format!("POST /images/web/tag?repo={name}&tag=latest"), ""),
            (format!("POST /build?t={name}:1"), ""),
            (format!("POST /commit?container=web&repo={name}"), ""),
        ] {
            let sent = sent(&request, body);
            assert!(sent.starts_with("refused"), "{request} {body}: {sent}");
        }
    }
    for request in [
        "POST /containers/create?name=cafe",
        "POST /containers/create?name=0123456789abg",
        "POST /build?t=cafe:1",
        "POST /build?t=me/0123456789ab:1",
    ] {
        let body = if request.contains("create") { "{}" } else { "" };
        let sent = sent(request, body);
        assert!(!sent.contains("hexadecimal"), "{request}: {sent}");
    }
}

/// The node of a task pulls the image, and gives its name to what the registry has.
#[test]
fn services_of_owners_replace_no_images_of_others() {
    for (image, is_refused) in [
        ("their/app:1", true),
        ("pulled:1", false),
        (
            "their/app@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            false,
        ),
    ] {
        let body =
            format!(r#"{{"Name":"web","TaskTemplate":{{"ContainerSpec":{{"Image":"{image}"}}}}}}"#);
        let sent = sent("POST /services/create", &body);
        assert_eq!(sent.starts_with("refused"), is_refused, "{image}: {sent}");
    }
}

/// The labels of owners decide who sees and changes an object: no client gives them.
#[test]
fn no_body_and_no_parameter_gives_an_object_to_another_owner() {
    let labels = utf8_percent_encode(r#"{"cetusguard.owner":"other"}"#, NON_ALPHANUMERIC);
    let build = format!("POST /build?t=absent:1&labels={labels}");
    let body = r#"{"Labels":{"cetusguard.owner":"other"}}"#;
    let session = r#"{"Labels":{"cetusguard.session":"other"}}"#;
    for (request, body) in [
        ("POST /containers/create", body),
        ("POST /containers/create", session),
        ("POST /networks/create", body),
        ("POST /volumes/create", body),
        (build.as_str(), ""),
    ] {
        let refused = "only the proxy gives objects the label cetusguard.";
        let beside = sent_beside_an_owner(request, body);
        assert!(beside.contains(refused), "{request} {body}: {beside}");
        let alone = sent_in(request, body, &profile(None), Surroundings::default());
        assert!(alone.contains(refused), "{request} {body}: {alone}");
        // The proxy replaces those of a client that owns what it creates.
        let own = sent(request, body);
        assert!(own.contains("owner") && own.contains("default"), "{own}");
        assert!(!own.contains("other"), "{request} {body}: {own}");
    }
    // They stand nowhere else, in whatever field.
    let elsewhere = r#"{"HostConfig":{"Annotations":{"cetusguard.owner":"other"}}}"#;
    let refused = sent("POST /containers/create", elsewhere);
    assert!(refused.starts_with("refused"), "{refused}");
}

#[test]
fn labels_of_a_build_are_read_in_one_way() {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    for (labels, is_refused) in [
        (String::new(), false),
        ("labels=".to_owned(), false),
        (format!("labels={}", encoded(" ")), false),
        ("labels=null".to_owned(), false),
        (format!("labels={}", encoded(r#"{"a":"b"}"#)), false),
        (format!("labels={}", encoded("{")), true),
        (format!("labels={}", encoded(r#"{"a":"1","a":"2"}"#)), true),
        (format!("labels={0}&labels={0}", encoded("{}")), true),
    ] {
        let sent = sent(&format!("POST /build?t=absent:1&{labels}"), "");
        assert_eq!(sent.starts_with("refused"), is_refused, "{labels}: {sent}");
        let stamp = "%22cetusguard.image-owner%22%3A%22default%22";
        assert_ne!(sent.contains(stamp), is_refused, "{labels}: {sent}");
    }
}

/// Each engine has these networks, which containers of all clients use.
#[test]
fn networks_of_the_engine_belong_to_all_clients() {
    let container = r#"{"Container":"web"}"#;
    for (request, body, is_refused) in [
        ("DELETE /networks/bridge", "", true),
        ("DELETE /networks/host", "", true),
        ("POST /networks/bridge/disconnect", container, true),
        ("DELETE /networks/shared", "", false),
        ("POST /networks/shared/disconnect", container, false),
    ] {
        let sent = sent(request, body);
        let says_so = sent.ends_with("belongs to all clients");
        assert_eq!(says_so, is_refused, "{request}: {sent}");
    }
}

/// Docker takes `sha256` for the beginning of a digest.
#[test]
fn no_image_is_called_as_digests_begin() {
    for (name, is_refused) in [
        ("sha256", true),
        ("docker.io/library/sha256", true),
        ("sha256x", false),
        ("me/sha256", false),
    ] {
        let request = format!("POST /images/pulled:1/tag?repo={name}&tag=1");
        let sent = sent(&request, "");
        let says_so = sent.contains("is the beginning of a digest");
        assert_eq!(says_so, is_refused, "{request}: {sent}");
    }
}
