//! Images are sent under the names by which they were judged: Podman completes names without a
//! registry by its own settings.

#![allow(clippy::panic, reason = "a failed expectation ends a test")]

mod world;

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{
    Creation, Exception, Guard, ImageDenial, ImageRewrite, Objection, Surroundings,
};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    Call, Object, Profile, Scope, ScopeCondition, TargetCondition, Verdict, View, Viewer, decide,
};

const PODMAN: &str =
    r#"{"ApiVersion":"1.41","KernelVersion":"6.1.0","Components":[{"Name":"Podman Engine"}]}"#;

const REGISTRY: &str = "registry=docker.io";
const PULL: &str = "POST /v5.0.0/libpod/images/pull?reference=";
const CREATE: &str = "POST /v5.0.0/libpod/containers/create";

/// Returns a guard with one setting that decides by the names of images.
fn guard(setting: &str) -> Guard {
    let mut guard = Guard::default();
    let mut creation = Creation::default();
    match setting.split_once(' ') {
        Some(("deny", image)) => creation.denied_images.push(ImageDenial::new(image)),
        Some(("rewrite", rule)) => creation
            .image_rewrites
            .push(ImageRewrite::read(rule).expect(rule)),
        _ if setting.is_empty() => {}
        _ => guard.allow.push(Exception::read(setting).expect(setting)),
    }
    guard.creation = (creation != Creation::default()).then(|| Box::new(creation));
    guard
}

const DIGEST: &str = "sha256:31532d962fb8722838e01cd38515f048dbbe0a9744f9af1464c5f504b6185966";

/// Returns the image that Podman finds by the digest, whatever the name before it.
fn digested(word: &str) -> Option<Object> {
    let names = format!("{{\"Id\":\"a6\",\"RepoDigests\":[\"docker.io/me/x@{DIGEST}\"]}}");
    word.contains(DIGEST)
        .then(|| Object::read(ObjectKind::Image, names.as_bytes()).expect("JSON"))
}

/// Returns the target and the body that the engine gets, or the places that are objected to.
fn sent(request: &str, setting: &str, body: &str, engine: &str) -> String {
    sent_to(request, guard(setting), View::default(), body, engine)
}

fn sent_to(request: &str, guard: Guard, view: View, body: &str, engine: &str) -> String {
    let world = |kind, word: &str| -> Option<Object> {
        if kind == ObjectKind::Image && word.contains('@') {
            return digested(word);
        }
        // The labels of an image would be those of another one under a short name.
        assert!(
            kind != ObjectKind::Image || word.starts_with("docker.io/"),
            "{word} is looked up"
        );
        world::plain(kind, word)
    };
    let (method, target) = request.split_once(' ').expect("a request line");
    let rules = "GET,POST,DELETE .*\nALLOW image.push, libpod.image.push";
    let profile = Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("test", rules).expect("rules")),
        guard: Arc::new(guard),
        view: Arc::new(view),
        ..Profile::default()
    };
    let call = match Call::read(method, target) {
        Ok(call) => profile.rewrite_images(call),
        Err(malformed) => return format!("refused: {malformed}"),
    };
    let permit = match decide(call, &profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => panic!("{request}: {denial}"),
    };
    let kind = (!body.is_empty()).then_some("application/json");
    let viewer = Viewer {
        view: Arc::clone(&profile.view),
        owner: None,
    };
    let around = Surroundings {
        viewer: Some(&viewer),
        ..Surroundings::default()
    };
    match world::settle_in(&permit, kind, body.as_bytes(), around, &world, engine) {
        Ok(cleared) => {
            let target = cleared.call(permit.call()).target();
            let body = cleared.body().unwrap_or_default();
            format!("{target} {body}").trim_end().to_owned()
        }
        Err(Objection::Findings(findings)) => {
            let places: Vec<_> = findings.iter().map(|one| one.field.as_str()).collect();
            format!("refused: {}", places.join(" "))
        }
        Err(objection) => format!("refused: {objection}"),
    }
}

#[test]
fn podmans_own_api_needs_the_registry_where_names_decide() {
    for setting in [
        REGISTRY,
        "image=nginx:*",
        "image=*",
        "deny quay.io/evil/*",
        "rewrite quay.io/*=mirror.example/*",
    ] {
        for name in ["nginx", "library/nginx", "nginx:1", "Upper/x"] {
            let pull = format!("{PULL}{name}");
            let refused = sent(&pull, setting, "", PODMAN);
            assert!(
                refused.starts_with("refused: ?reference"),
                "{setting} {pull}: {refused}"
            );
            let body = format!("{{\"image\":\"{name}\"}}");
            let refused = sent(CREATE, setting, &body, PODMAN);
            assert!(
                refused.starts_with("refused: image"),
                "{setting} {body}: {refused}"
            );
        }
    }
    let sent_for = |request: &str, body: &str| sent(request, REGISTRY, body, PODMAN);
    for (request, body, want) in [
        (
            format!("{PULL}docker.io%2Flibrary%2Fnginx"),
            "",
            "/v5.0.0/libpod/images/pull?reference=docker.io%2Flibrary%2Fnginx",
        ),
        (
            format!("{PULL}DOCKER.IO%2Fnginx"),
            "",
            "refused: ?reference",
        ),
        (
            format!("{PULL}localhost%2Fnginx"),
            "",
            "refused: ?reference",
        ),
        (format!("{PULL}%6eginx"), "", "refused: ?reference"),
        // It is Docker Hub's for Podman, too.
        (
            format!("{PULL}docker://nginx"),
            "",
            "/v5.0.0/libpod/images/pull?reference=docker%3A%2F%2Fnginx",
        ),
        (
            format!("{PULL}docker%3A%2F%2Fquay.io%2Fx"),
            "",
            "refused: ?reference",
        ),
        (
            format!("{PULL}docker.io%2Fnginx&reference=quay.io%2Fx"),
            "",
            "refused: ?reference ?reference",
        ),
        (
            format!("{PULL}docker.io%2Fnginx&Reference=quay.io%2Fx"),
            "",
            "refused: ?Reference",
        ),
        (
            CREATE.to_owned(),
            r#"{"image":"docker.io/nginx"}"#,
            r#"/v5.0.0/libpod/containers/create {"image":"docker.io/nginx"}"#,
        ),
        (
            CREATE.to_owned(),
            r#"{"image":"docker.io/nginx","raw_image_name":"nginx"}"#,
            "refused: raw_image_name",
        ),
        (
            "POST /v5.0.0/libpod/images/nginx/tag?repo=docker.io%2Fme%2Fx&tag=1".to_owned(),
            "",
            "refused: the image",
        ),
        (
            "POST /v5.0.0/libpod/images/docker.io/nginx/tag?repo=me%2Fx&tag=1".to_owned(),
            "",
            "refused: ?repo",
        ),
        (
            "POST /v5.0.0/libpod/images/quay.io/me/x/push?destination=me%2Fx".to_owned(),
            "",
            "refused: ?destination",
        ),
        (
            "POST /v5.0.0/libpod/images/me/x/push".to_owned(),
            "",
            "refused: the image",
        ),
        (
            "POST /v5.0.0/libpod/images/quay.io/me/x/push?destination=".to_owned(),
            "",
            "refused: the image",
        ),
        (
            "POST /v5.0.0/libpod/images/docker.io/me/x/push".to_owned(),
            "",
            "/v5.0.0/libpod/images/docker.io/me/x/push",
        ),
    ] {
        assert_eq!(sent_for(&request, body), want, "{request} {body}");
    }
    // A rule that fits says what the name means.
    assert_eq!(
        sent(
            &format!("{PULL}nginx"),
            "rewrite docker.io/*=r.io/*",
            "",
            PODMAN
        ),
        "/v5.0.0/libpod/images/pull?reference=r.io%2Flibrary%2Fnginx%3Alatest"
    );
    // Names do not decide.
    assert_eq!(
        sent(&format!("{PULL}nginx"), "", "", PODMAN),
        "/v5.0.0/libpod/images/pull?reference=nginx"
    );
}

#[test]
fn transports_are_no_registries() {
    for reference in [
        "dir:/etc",
        "docker-daemon:x",
        "docker-archive:/etc/passwd",
        "oci:/srv",
        "oci-archive:/srv/x.tar",
        "containers-storage:docker.io/library/nginx",
        "docker://dir:/etc",
    ] {
        let encoded: String = reference
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        for setting in [
            "",
            REGISTRY,
            "image=*",
            "deny evil",
            "rewrite docker.io/*=r.io/*",
        ] {
            for request in [
                format!("{PULL}{encoded}"),
                format!("POST /v5.0.0/libpod/images/docker.io/x/push?destination={encoded}"),
                format!("POST /images/create?fromImage={encoded}"),
            ] {
                let refused = sent(&request, setting, "", PODMAN);
                assert!(
                    refused.starts_with("refused"),
                    "{setting}: {request}: {refused}"
                );
            }
            let body = format!("{{\"image\":\"{reference}\"}}");
            let is_refused = sent(CREATE, setting, &body, PODMAN).starts_with("refused");
            // Podman itself takes no image of a registry by its transport for a container.
            let must_be = !setting.is_empty() || !reference.starts_with("docker:");
            assert_eq!(is_refused, must_be, "{setting}: {body}");
        }
    }
}

#[test]
fn podman_gets_the_judged_name_by_dockers_api() {
    let create = "POST /v1.41/containers/create";
    let mounts = r#"{"Image":"nginx","HostConfig":{"Mounts":[{"Type":"image","Source":"me/x","Target":"/x"}]}}"#;
    for (request, body, podman) in [
        (
            create,
            r#"{"Image":"nginx:1"}"#,
            r#"/v1.41/containers/create {"Image":"docker.io/library/nginx:1"}"#,
        ),
        (
            create,
            r#"{"Image":"docker.io/nginx"}"#,
            r#"/v1.41/containers/create {"Image":"docker.io/nginx"}"#,
        ),
        (
            create,
            mounts,
            r#"/v1.41/containers/create {"Image":"docker.io/library/nginx","HostConfig":{"Mounts":[{"Type":"image","Source":"docker.io/me/x","Target":"/x"}]}}"#,
        ),
        (
            "POST /images/create?fromImage=nginx&tag=1",
            "",
            "/images/create?fromImage=docker.io%2Flibrary%2Fnginx&tag=1",
        ),
        (
            "POST /images/create?fromImage=me%2Fx:2",
            "",
            "/images/create?fromImage=docker.io%2Fme%2Fx%3A2",
        ),
        // Podman takes this path for one of its own API.
        (
            "POST /images/libpod/x/tag?repo=me%2Fx&tag=1",
            "",
            "/images/docker.io/libpod/x/tag?repo=docker.io%2Fme%2Fx&tag=1",
        ),
        (
            "POST /commit?container=web&repo=x&tag=1",
            "{}",
            "/commit?container=web&repo=docker.io%2Flibrary%2Fx&tag=1 {}",
        ),
    ] {
        let own = sent(request, REGISTRY, body, world::RECENT);
        let (_, target) = request.split_once(' ').expect("a request line");
        let plain = |text: &str| text.replace("%2F", "/").replace("%3A", ":");
        assert_eq!(
            plain(&own),
            plain(format!("{target} {body}").trim_end()),
            "Docker"
        );
        assert_eq!(sent(request, REGISTRY, body, PODMAN), podman, "{request}");
        let unbound = sent(request, "", body, PODMAN);
        assert_eq!(plain(&unbound), plain(&own), "names do not decide");
    }
}

#[test]
fn a_profile_that_sees_some_images_pulls_them_by_the_names_that_it_sees() {
    let of_hub = TargetCondition::image("docker.io/*");
    let conditions = vec![
        ScopeCondition::kind(ObjectKind::Image, false),
        ScopeCondition::object(of_hub, false),
    ];
    let view = View {
        scope: Scope::new(vec![conditions]),
        ..View::default()
    };
    let compat = "POST /images/create?tag=1&fromImage=nginx";
    for (request, want) in [
        (format!("{PULL}nginx"), "refused: ?reference"),
        (format!("{PULL}quay.io%2Fx"), "refused: "),
        (
            format!("{PULL}docker.io%2Fnginx"),
            "/v5.0.0/libpod/images/pull?reference=docker.io%2Fnginx",
        ),
        (
            compat.to_owned(),
            "/images/create?tag=1&fromImage=docker.io%2Flibrary%2Fnginx",
        ),
    ] {
        let own = sent_to(&request, Guard::default(), view.clone(), "", PODMAN);
        assert_eq!(own, want, "{request}");
    }
}

#[test]
fn a_digest_names_no_image_of_another_name() {
    let other = "0".repeat(64);
    for (name, setting, is_allowed) in [
        (format!("docker.io/me/x@{DIGEST}"), REGISTRY, true),
        (format!("docker.io/me/x:1@{DIGEST}"), REGISTRY, true),
        (format!("docker.io/me/other@{DIGEST}"), REGISTRY, false),
        (format!("ghcr.io/me/x@{DIGEST}"), "registry=ghcr.io", false),
        (format!("ghcr.io/me/x@{DIGEST}"), "image=ghcr.io/*", false),
        (
            format!("ghcr.io/me/x@{DIGEST}"),
            "deny docker.io/me/x",
            false,
        ),
        (format!("ghcr.io/me/x@{DIGEST}"), "", true),
        // The engine says that it has none.
        (
            format!("ghcr.io/me/x@sha256:{other}"),
            "registry=ghcr.io",
            true,
        ),
    ] {
        let tag = name.split('/').next().unwrap_or_default();
        for (request, body) in [
            (CREATE.to_owned(), format!("{{\"image\":\"{name}\"}}")),
            (
                "POST /containers/create".to_owned(),
                format!("{{\"Image\":\"{name}\"}}"),
            ),
            (
                format!("POST /images/{name}/tag?repo={tag}%2Fme%2Fy&tag=1"),
                String::new(),
            ),
        ] {
            let sent = sent(&request, setting, &body, PODMAN);
            assert_eq!(
                !sent.starts_with("refused"),
                is_allowed,
                "{setting} {request} {body}: {sent}"
            );
        }
    }
    let short = format!("{{\"Image\":\"me/x@{DIGEST}\"}}");
    let sent = sent("POST /containers/create", REGISTRY, &short, PODMAN);
    assert!(sent.contains("docker.io/me/x@"), "{sent}");
}
