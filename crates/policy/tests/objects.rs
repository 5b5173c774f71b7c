//! What calls are about: the findings of an attack in November 2026, one line a fact. The names of
//! the tests have their numbers.

#![allow(clippy::panic, reason = "a failed expectation ends a test")]

mod world;

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Cleared, Exception, Guard, GuardLevel, Objection, Surroundings};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    Call, ClientLimits, Condition, Mode, Object, Pattern, Permit, Profile, Profiles,
    TargetCondition, Targets, Verdict, decide,
};

const RULES: &str = "GET,HEAD,POST,PUT,DELETE .*
GET,HEAD,PUT %API_PREFIX_CONTAINERS%/.+/archive
GET %API_PREFIX_CONTAINERS%/.+/(export|attach/ws)
POST,GET,DELETE %API_PREFIX_CONTAINERS%/.+/checkpoints(/.+)?
PUT %API_PREFIX_VOLUMES%/.+
PUT %API_PREFIX_LIBPOD_CONTAINERS%/.+/archive
GET,POST %API_PREFIX_LIBPOD_VOLUMES%/.+/(export|import)
POST %API_PREFIX_LIBPOD%/.+/(update|restore|checkpoint|commit|mount|push)
POST %API_PREFIX_IMAGES%/.+/push
POST %API_PREFIX_LIBPOD%/commit";

/// The proxy's own container.
const PROXY: &str = r#"{"Id":"9999","Name":"/stack-cetusguard-1","Config":{"Image":"cetusguard/cetusguard","Hostname":"999900001111",
    "Labels":{"com.docker.swarm.service.id":"own-service","com.docker.swarm.service.name":"guard_proxy"}},"HostConfig":{},"Mounts":[{"Type":"bind","Source":"/run/docker.sock"},
    {"Type":"bind","Source":"/srv/cetusguard/config"},{"Type":"volume","Name":"sockets","Source":"/var/lib/docker/volumes/sockets/_data"}],
    "NetworkSettings":{"Networks":{"socket":{"Aliases":["cetusguard"],"IPAddress":"10.1.0.2"}}}}"#;

/// The other objects of the engine, by name; each has its name with `-id` behind it for an
/// identifier.
fn object(kind: ObjectKind, word: &str) -> Option<Object> {
    let container = |host: &str, rest: &str| {
        let name = word.trim_end_matches("-id");
        format!(
            "{{\"Id\":\"{name}-id\",\"Name\":\"/{name}\",\"Config\":{{\"Image\":\"busybox\",\"Labels\":{{\"tier\":\"{name}\"}}}},\"HostConfig\":{{{host}}}{rest}}}"
        )
    };
    let mount =
        |source: &str| format!(",\"Mounts\":[{{\"Type\":\"bind\",\"Source\":\"{source}\"}}]");
    let answer = match (kind, word.trim_end_matches("-id")) {
        (ObjectKind::Container, "proxy" | "9999" | "stack-cetusguard-1") => PROXY.to_owned(),
        (ObjectKind::Container, "privileged") => container("\"Privileged\":true", ""),
        (ObjectKind::Container, "hostnet") => container("\"NetworkMode\":\"host\"", ""),
        (ObjectKind::Container, "hostpid") => container("\"PidMode\":\"host\"", ""),
        (ObjectKind::Container, "behind") => container("\"PidMode\":\"container:hostpid-id\"", ""),
        (ObjectKind::Container, "sidecar") => container("\"NetworkMode\":\"container:trusted\"", ""),
        (ObjectKind::Container, "proxycar") => container("\"NetworkMode\":\"container:proxy\"", ""),
        (ObjectKind::Container, "rules") => container("\"DeviceCgroupRules\":[\"b *:* rwm\"]", ""),
        (ObjectKind::Container, "unmasked") => container("\"MaskedPaths\":[],\"ReadonlyPaths\":[]", ""),
        (ObjectKind::Container, "holder") => {
            container("", ",\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"hosts-etc\",\"Source\":\"/x\"}]")
        }
        (ObjectKind::Image, "labelled") => {
            r#"{"Id":"sha256:1","Config":{"Labels":{"cetusguard.profile":"high"}}}"#.to_owned()
        }
        (ObjectKind::Image, _) => r#"{"Id":"sha256:2"}"#.to_owned(),
        (ObjectKind::Container, "admin") => container("\"CapAdd\":[\"CAP_SYS_ADMIN\"]", ""),
        (ObjectKind::Container, "pinger") => {
            container("\"CapAdd\":[\"CAP_NET_RAW\",\"NET_BIND_SERVICE\",\"IPC_LOCK\"]", "")
        }
        (ObjectKind::Container, "disk") => container("\"Devices\":[{\"PathOnHost\":\"/dev/sda\"}]", ""),
        (ObjectKind::Container, "socket") => container("", &mount("/var/run/docker.sock")),
        (ObjectKind::Container, "etc") => container("", &mount("/etc")),
        (ObjectKind::Container, "packages") => container("", &mount("/var/lib/dpkg")),
        (ObjectKind::Container, "plugins") => container("", &mount("/opt/cni/bin")),
        (ObjectKind::Container, "configured") => container("", &mount("/srv/cetusguard")),
        (ObjectKind::Container, "socketed") => {
            container("", ",\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"sockets\",\"Source\":\"/x\"}]")
        }
        (ObjectKind::Container, "data") => container("", &mount("/home/me/shop/config")),
        (ObjectKind::Container, "clock") => container("", &mount("/etc/localtime")),
        (ObjectKind::Container, "trusted") => {
            container("", ",\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAddress\":\"10.99.0.5\"}}}")
        }
        (ObjectKind::Container, "absent") => return None,
        (ObjectKind::Container, _) => container("", ""),
        (ObjectKind::Exec, name) => format!("{{\"ID\":\"{name}\",\"ContainerID\":\"{name}-id\"}}"),
        (ObjectKind::Volume, "new") => return None,
        (ObjectKind::Volume, "hosts-etc") => volume(word, r#"{"type":"none","o":"bind","device":"/etc"}"#),
        (ObjectKind::Volume, "overlay") => volume(word, r#"{"type":"overlay","o":"lowerdir=/etc","device":"overlay"}"#),
        (ObjectKind::Volume, "disk") => volume(word, r#"{"type":"ext4","device":"/dev/sda1"}"#),
        (ObjectKind::Volume, "media") => volume(word, r#"{"type":"none","o":"bind","device":"/srv/media"}"#),
        (ObjectKind::Volume, "nfs") => volume(word, r#"{"type":"nfs","o":"addr=10.0.0.1","device":":/x"}"#),
        (ObjectKind::Volume, "memory") => volume(word, r#"{"type":"tmpfs","o":"size=1m","device":"tmpfs"}"#),
        (ObjectKind::Volume, _) => volume(word, "null"),
        (ObjectKind::Network, "nosuchnet") => return None,
        (ObjectKind::Network, "mon") => {
            r#"{"Id":"mon-id","Name":"mon","Driver":"bridge","IPAM":{"Config":[{"Subnet":"10.98.0.0/15"}]}}"#.to_owned()
        }
        (ObjectKind::Network, "abc123") => r#"{"Id":"hostid","Name":"host","Driver":"host"}"#.to_owned(),
        (ObjectKind::Network, _) => format!("{{\"Id\":\"{word}-id\",\"Name\":\"{word}\",\"Driver\":\"overlay\"}}"),
        (ObjectKind::Pod, _) => format!(
            "{{\"Id\":\"{word}-id\",\"Name\":\"{word}\",\"Containers\":[{{\"Id\":\"{}\"}}]}}",
            if word == "own" { "9999" } else { "1" }
        ),
        (ObjectKind::Node, _) => format!("{{\"ID\":\"{word}-id\",\"Spec\":{{\"Role\":{word:?}}}}}"),
        (_, name) => format!("{{\"ID\":\"{name}\",\"Spec\":{{\"Name\":\"name-of-{name}\"}}}}"),
    };
    Some(Object::read(kind, answer.as_bytes()).expect("JSON"))
}

fn volume(name: &str, options: &str) -> String {
    format!("{{\"Name\":\"{name}\",\"Driver\":\"local\",\"Options\":{options}}}")
}

fn profile(level: GuardLevel, allow: &[&str], targets: Targets) -> Profile {
    let allow = allow
        .iter()
        .map(|text| Exception::read(text).expect(text))
        .collect();
    Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("test", RULES).expect("rules")),
        limits: ClientLimits::default(),
        guard: Arc::new(Guard {
            level,
            allow,
            ..Guard::default()
        }),
        targets: Arc::new(targets),
        view: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
    }
}

fn permit(request: &str, profile: &Profile) -> Permit {
    let (method, target) = request.split_once(' ').expect("a request line");
    match decide(Call::read(method, target).expect(request), profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => panic!("{request}: {denial}"),
    }
}

/// Who else is a client: the container `trusted`, anything at an address of 10.99.0.0/24.
fn profiles() -> Profiles {
    let named = Condition::Name(Pattern::new("trusted")).into();
    let labelled = Condition::Label("cetusguard.profile".to_owned(), Pattern::new("high")).into();
    let placed = Condition::Network("10.99.0.0/24".parse().expect("a network")).into();
    let high = Profile {
        name: "high".to_owned(),
        ..profile(GuardLevel::Baseline, &[], Targets::default())
    };
    Profiles::new(
        profile(GuardLevel::Baseline, &[], Targets::default()),
        vec![],
        vec![(high, vec![named, labelled, placed])],
    )
}

fn settle(permit: &Permit, body: &str, engine: &str) -> Result<Cleared, Objection> {
    let (profiles, own) = (profiles(), object(ObjectKind::Container, "proxy"));
    let surroundings = Surroundings {
        profile: "default",
        profiles: Some(&profiles),
        proxy_id: Some("9999"),
        proxy: own.as_ref(),
        resolve_path: None,
        viewer: None,
    };
    let kind = (!body.is_empty()).then_some("application/json");
    world::settle_in(permit, kind, body.as_bytes(), surroundings, &object, engine)
}

/// The exceptions that would let a call pass; `-` where nothing objects, `!` where no exception
/// helps.
fn needs(request: &str, allow: &[&str], body: &str) -> String {
    match settle(
        &permit(
            request,
            &profile(GuardLevel::Baseline, allow, Targets::default()),
        ),
        body,
        world::RECENT,
    ) {
        Ok(_) => "-".to_owned(),
        Err(objection) if objection.hopeless().is_some() => "!".to_owned(),
        Err(objection) => objection
            .exceptions()
            .into_iter()
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn check(rows: &[(&str, &str, &str)]) {
    for (request, body, want) in rows {
        assert_eq!(needs(request, &[], body), *want, "{request} {body}");
        if *want != "-" && *want != "!" {
            let allow: Vec<&str> = want.split(' ').collect();
            assert_eq!(
                needs(request, &allow, body),
                "-",
                "{request} {body} with {allow:?}"
            );
        }
    }
}

#[test]
fn t1_the_proxy_protects_its_own_container() {
    for request in [
        "POST /containers/proxy/exec",
        "POST /exec/9999/start",
        "POST /containers/proxy/attach",
        "GET /containers/proxy/attach/ws",
        "GET /containers/proxy/archive?path=/",
        "HEAD /containers/proxy/archive?path=/",
        "PUT /containers/proxy/archive?path=/",
        "GET /containers/proxy/export",
        "POST /commit?container=proxy&repo=x",
        "POST /containers/proxy/checkpoints",
        "DELETE /containers/proxy/checkpoints/x",
        "POST /containers/proxy/update",
        "POST /containers/proxy/rename?name=x",
        "POST /containers/proxy/start",
        "POST /containers/proxy/stop",
        "POST /containers/proxy/kill?signal=HUP",
        "POST /containers/proxy/restart",
        "POST /containers/proxy/pause",
        "POST /containers/proxy/unpause",
        "DELETE /containers/proxy?force=1",
        "POST /services/own-service/update?version=1",
        "DELETE /services/own-service",
        "POST /v5.0.0/libpod/containers/proxy/exec",
        "POST /v5.0.0/libpod/exec/9999/start",
        "POST /v5.0.0/libpod/containers/proxy/attach",
        "POST /v5.0.0/libpod/containers/proxy/stop",
        "POST /v5.0.0/libpod/containers/proxy/init",
        "POST /v5.0.0/libpod/containers/proxy/mount",
        "POST /v5.0.0/libpod/containers/proxy/checkpoint",
        "POST /v5.0.0/libpod/containers/proxy/restore",
        "POST /v5.0.0/libpod/containers/proxy/update",
        "GET /v5.0.0/libpod/containers/proxy/healthcheck",
        "DELETE /v5.0.0/libpod/containers/proxy",
        "POST /v5.0.0/libpod/commit?container=proxy",
        "POST /v5.0.0/libpod/pods/own/stop",
        "DELETE /v5.0.0/libpod/pods/own",
    ] {
        // What it mounts is a reason of its own for those that enter it.
        let body = if request.contains("update") || request.ends_with("/exec") {
            "{}"
        } else {
            ""
        };
        let found = needs(request, &[], body);
        assert!(
            found.split(' ').any(|one| one == "proxy"),
            "{request}: {found}"
        );
        assert_eq!(
            needs(request, &["proxy", "target=*"], body),
            "-",
            "{request}"
        );
        let open = profile(GuardLevel::Privileged, &[], Targets::default());
        assert!(
            settle(&permit(request, &open), body, world::RECENT).is_ok(),
            "{request}"
        );
    }
    check(&[
        (
            "POST /networks/n/connect",
            r#"{"Container":"proxy"}"#,
            "proxy",
        ),
        (
            "POST /networks/n/disconnect",
            r#"{"container":"proxy","Force":true}"#,
            "proxy",
        ),
        (
            "POST /v5.0.0/libpod/networks/n/connect",
            r#"{"container":"proxy"}"#,
            "proxy",
        ),
        (
            "POST /v5.0.0/libpod/networks/n/disconnect",
            r#"{"Container":"proxy"}"#,
            "proxy",
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"container:proxy"}}"#,
            "proxy",
        ),
        // A new image under the name of the old one is what starts next.
        (
            "POST /images/evil/tag?repo=cetusguard/cetusguard&tag=latest",
            "",
            "proxy",
        ),
        (
            "POST /images/evil/tag?repo=docker.io/cetusguard/cetusguard",
            "",
            "proxy",
        ),
        (
            "POST /commit?container=web&repo=cetusguard/cetusguard",
            "",
            "proxy",
        ),
        (
            "POST /build?networkmode=none&t=cetusguard/cetusguard",
            "",
            "proxy",
        ),
        (
            "POST /images/create?fromImage=cetusguard/cetusguard&tag=latest",
            "",
            "proxy",
        ),
        // Docker pulls every tag.
        (
            "POST /images/create?fromImage=docker.io/cetusguard/cetusguard",
            "",
            "proxy",
        ),
        (
            "POST /images/create?fromImage=cetusguard/cetusguard&tag=other",
            "",
            "-",
        ),
        (
            "POST /v5.0.0/libpod/images/pull?reference=docker.io/cetusguard/cetusguard:latest",
            "",
            "proxy",
        ),
        (
            "POST /services/create",
            r#"{"Name":"x","TaskTemplate":{"ContainerSpec":{"Image":"cetusguard/cetusguard"}}}"#,
            "proxy",
        ),
        // Without its name, the next start pulls another image.
        ("DELETE /images/cetusguard/cetusguard", "", "proxy"),
        (
            "DELETE /images/cetusguard/cetusguard:latest?force=1",
            "",
            "proxy",
        ),
        ("DELETE /images/cetusguard/cetusguard:other", "", "-"),
        (
            "DELETE /images/cetusguard/cetusguard@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "",
            "proxy",
        ),
        (
            "DELETE /v5.0.0/libpod/images/remove?images=web&images=cetusguard/cetusguard",
            "",
            "proxy",
        ),
        ("POST /v5.0.0/libpod/images/c0ffee/untag", "", "proxy"),
        (
            "DELETE /v5.0.0/libpod/manifests/docker.io%2Fcetusguard%2Fcetusguard",
            "",
            "proxy",
        ),
        ("POST /v5.0.0/libpod/images/web/untag", "", "proxy"),
        (
            "POST /v5.0.0/libpod/images/web/untag?repo=docker.io/cetusguard/cetusguard&tag=latest",
            "",
            "proxy",
        ),
        // Podman takes the last of several values.
        (
            "POST /v5.0.0/libpod/images/web/untag?repo=docker.io/cetusguard/cetusguard&tag=x&tag=latest",
            "",
            "proxy",
        ),
        (
            "POST /v5.0.0/libpod/images/web/untag?repo=localhost/web&tag=1",
            "",
            "-",
        ),
        // The names in an archive are not read.
        ("POST /images/load", "", "image-load"),
        (
            "POST /v5.0.0/libpod/commit?container=web&repo=docker.io/cetusguard/cetusguard",
            "",
            "proxy",
        ),
        (
            "POST /v5.0.0/libpod/manifests/create?name=cetusguard/cetusguard&amend=true",
            "{}",
            "proxy",
        ),
        (
            "POST /v5.0.0/libpod/manifests/cetusguard/cetusguard",
            "{}",
            "proxy",
        ),
        // It is of a registry that no client serves.
        ("POST /build?networkmode=none&pull=1", "", "-"),
        (
            "POST /images/evil/tag?repo=cetusguard/cetusguard:x&tag=latest",
            "",
            "!",
        ),
        (
            "POST /build?networkmode=none&outputs=[{\"Type\":\"moby\",\"Attrs\":{\"name\":\"a,cetusguard/cetusguard\"}}]",
            "",
            "proxy",
        ),
        ("DELETE /networks/n?force=true", "", "!"),
        ("DELETE /v5.0.0/libpod/networks/n?force=true", "", "!"),
        ("DELETE /networks/n", "", "-"),
        ("DELETE /v5.0.0/libpod/volumes/v?force=true", "", "!"),
        (
            "DELETE /v5.0.0/libpod/volumes/v?Force=1&force=false",
            "",
            "!",
        ),
        ("DELETE /v5.0.0/libpod/volumes/v?force=false", "", "-"),
        ("DELETE /v5.0.0/libpod/images/i?force=true", "", "!"),
        (
            "DELETE /v5.0.0/libpod/images/remove?images=i&force=true",
            "",
            "!",
        ),
        ("DELETE /v5.0.0/libpod/images/remove?images=force", "", "-"),
        ("DELETE /v5.0.0/libpod/quadlets/q?force=true", "", "!"),
        (
            "DELETE /v5.0.0/libpod/quadlets?all=true&force=true",
            "",
            "!",
        ),
        // Docker keeps the containers of an image, and Podman those of a volume on Docker's path.
        ("DELETE /images/i?force=1", "", "-"),
        ("DELETE /volumes/v?force=1", "", "-"),
        // To look at it is no more than the rules say.
        ("GET /containers/proxy/json", "", "-"),
        ("GET /containers/proxy/logs", "", "-"),
        ("POST /containers/web/stop", "", "-"),
        ("POST /services/other/update?version=1", "{}", "-"),
        ("POST /v5.0.0/libpod/pods/other/stop", "", "-"),
        ("POST /images/evil/tag?repo=cetusguard/other", "", "-"),
    ]);
}

/// Podman removes the containers of an image with it, the proxy's own included.
#[test]
fn t1_a_forced_removal_is_judged_by_the_engine() {
    const PODMAN: &str = r#"{"ApiVersion":"1.41","Components":[{"Name":"Podman Engine"}]}"#;
    let bounded = Targets::new(vec![vec![TargetCondition::Name(Pattern::new("*"))]]);
    for (level, targets) in [
        (GuardLevel::Baseline, Targets::default()),
        (GuardLevel::Restricted, Targets::default()),
        (GuardLevel::Privileged, bounded),
    ] {
        let profile = profile(level, &["proxy"], targets);
        for (request, on_docker, on_podman) in [
            ("DELETE /images/i?force=1", true, false),
            ("DELETE /images/i?force=0", true, true),
            ("DELETE /images/i", true, true),
            ("DELETE /v5.0.0/libpod/volumes/v?force=true", false, false),
            ("DELETE /networks/n?force=true", false, false),
        ] {
            for (engine, want) in [(world::RECENT, on_docker), (PODMAN, on_podman)] {
                let found = settle(&permit(request, &profile), "", engine).is_ok();
                assert_eq!(found, want, "{level:?} {request} {engine}");
            }
        }
    }
    let open = profile(GuardLevel::Privileged, &[], Targets::default());
    assert!(settle(&permit("DELETE /images/i?force=1", &open), "", PODMAN).is_ok());
}

#[test]
fn t2_containers_that_give_the_host_away_are_not_entered() {
    for name in [
        "privileged",
        "hostnet",
        "hostpid",
        "admin",
        "disk",
        "rules",
        "unmasked",
        "socket",
        "etc",
    ] {
        let want = format!("target={name}");
        for request in [
            format!("POST /containers/{name}/exec"),
            format!("POST /containers/{name}/attach"),
            format!("GET /containers/{name}/attach/ws"),
            format!("POST /exec/{name}/start"),
            format!("POST /v5.0.0/libpod/containers/{name}/exec"),
            format!("POST /v5.0.0/libpod/containers/{name}/attach"),
        ] {
            let body = if request.ends_with("exec") { "{}" } else { "" };
            assert_eq!(needs(&request, &[], body), want, "{request}");
            let label = format!("target-label=tier={name}");
            for allow in [want.as_str(), "target=*", &label] {
                assert_eq!(
                    needs(&request, &[allow], body),
                    "-",
                    "{request} with {allow}"
                );
            }
            assert_eq!(
                needs(&request, &["target=web", "target-label=tier=web"], body),
                want,
                "{request}"
            );
        }
    }
    check(&[
        ("POST /containers/behind/exec", "{}", "host-namespace=pid"),
        ("POST /containers/holder/exec", "{}", "volume=hosts-etc"),
        (
            "GET /containers/holder/archive?path=/",
            "",
            "volume=hosts-etc",
        ),
        ("GET /containers/etc/archive?path=/", "", "target=etc"),
        (
            "HEAD /containers/socket/archive?path=/",
            "",
            "target=socket",
        ),
        ("PUT /containers/etc/archive?path=/", "", "target=etc"),
        // Files that are read are no more than its own; those that are put there, it may run.
        ("GET /containers/privileged/archive?path=/", "", "-"),
        (
            "PUT /containers/privileged/archive?path=/",
            "",
            "target=privileged",
        ),
        (
            "PUT /containers/hostpid/archive?path=/",
            "",
            "target=hostpid",
        ),
        (
            "PUT /v5.0.0/libpod/containers/admin/archive?path=/",
            "",
            "target=admin",
        ),
        ("PUT /containers/trusted/archive?path=/", "", "profile=high"),
        ("POST /containers/packages/exec", "{}", "target=packages"),
        ("POST /containers/plugins/exec", "{}", "target=plugins"),
        ("POST /containers/data/exec", "{}", "-"),
        ("POST /containers/clock/exec", "{}", "-"),
        ("POST /containers/pinger/exec", "{}", "-"),
        ("POST /containers/web/exec", "{}", "-"),
        ("POST /containers/privileged/restart", "", "-"),
    ]);
    // Who may create such a container may enter it.
    for (name, allow) in [
        ("privileged", "privileged"),
        ("hostnet", "host-namespace=network"),
        ("admin", "capability=SYS_ADMIN"),
        ("disk", "device=/dev/sda"),
        ("etc", "bind=/etc:ro"),
    ] {
        assert_eq!(
            needs(&format!("POST /containers/{name}/exec"), &[allow], "{}"),
            "-",
            "{name} with {allow}"
        );
    }
}

#[test]
fn t3_addresses_that_profiles_name_are_not_taken() {
    let network = |subnet: &str| {
        format!("{{\"Name\":\"n\",\"IPAM\":{{\"Config\":[{{\"Subnet\":\"{subnet}\"}}]}}}}")
    };
    for (subnet, want) in [
        ("10.99.0.0/24", "profile=high"),
        ("10.99.0.0/28", "profile=high"),
        ("10.0.0.0/8", "profile=high"),
        ("10.98.0.0/24", "-"),
    ] {
        assert_eq!(
            needs("POST /networks/create", &[], &network(subnet)),
            want,
            "{subnet}"
        );
    }
    let address = r#"{"NetworkingConfig":{"EndpointsConfig":{"n":{"IPAMConfig":{"IPv4Address":"10.99.0.5"}}}}}"#;
    let connect =
        r#"{"Container":"web","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.99.0.5"}}}"#;
    check(&[
        ("POST /containers/create", address, "profile=high"),
        ("POST /networks/n/connect", connect, "profile=high"),
        (
            "POST /v5.0.0/libpod/networks/n/connect",
            r#"{"container":"web","static_ips":["10.99.0.5"]}"#,
            "profile=high",
        ),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"x","Networks":{"n":{"static_ips":["10.99.0.5"]}}}"#,
            "profile=high",
        ),
    ]);
}

#[test]
fn t4_what_the_proxy_mounts_is_not_mounted() {
    check(&[
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Binds":["sockets:/x"]}}"#,
            "proxy",
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Mounts":[{"Type":"volume","Source":"sockets","Target":"/x"}]}}"#,
            "proxy",
        ),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"x","volumes":[{"Name":"sockets","Dest":"/x"}]}"#,
            "proxy",
        ),
        (
            "POST /services/create",
            r#"{"TaskTemplate":{"ContainerSpec":{"Mounts":[{"Type":"volume","Source":"sockets","Target":"/x"}]}}}"#,
            "proxy",
        ),
        ("DELETE /volumes/sockets", "", "proxy"),
        ("PUT /volumes/sockets", "", "proxy"),
        ("GET /v5.0.0/libpod/volumes/sockets/export", "", "proxy"),
        ("POST /v5.0.0/libpod/volumes/sockets/import", "", "proxy"),
        ("DELETE /v5.0.0/libpod/volumes/sockets", "", "proxy"),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Binds":["other:/x"]}}"#,
            "-",
        ),
        ("DELETE /volumes/other", "", "-"),
    ]);
    let bind = |path: &str| format!("{{\"HostConfig\":{{\"Binds\":[\"{path}:/x\"]}}}}");
    let with = ["bind=/srv/**", "volumes-from"];
    for (path, want) in [
        ("/srv/cetusguard/config", "proxy"),
        ("/srv/cetusguard", "proxy"),
        ("/srv/cetusguard/config/x", "proxy"),
        ("/srv/x/../cetusguard/config", "proxy"),
        ("/srv/other", "-"),
        ("/srv/cetusguard2", "-"),
    ] {
        assert_eq!(
            needs("POST /v1.44/containers/create", &with, &bind(path)),
            want,
            "{path}"
        );
    }
    assert_eq!(
        needs(
            "POST /containers/create",
            &with,
            r#"{"HostConfig":{"VolumesFrom":["proxy:ro"]}}"#
        ),
        "proxy"
    );
    let made =
        r#"{"Name":"v","DriverOpts":{"type":"none","o":"bind","device":"/srv/cetusguard/config"}}"#;
    assert_eq!(
        needs("POST /volumes/create", &["volume-option=*=*"], made),
        "proxy"
    );
}

#[test]
fn t5_names_of_the_proxy_are_not_taken() {
    for (request, body) in [
        ("POST /containers/create?name=cetusguard", "{}"),
        ("POST /containers/create?name=/CetusGuard", "{}"),
        ("POST /containers/create", r#"{"Hostname":"cetusguard"}"#),
        (
            "POST /containers/create",
            r#"{"NetworkingConfig":{"EndpointsConfig":{"socket":{"Aliases":["cetusguard"]}}}}"#,
        ),
        (
            "POST /containers/create",
            r#"{"NetworkingConfig":{"EndpointsConfig":{"socket":{"DNSNames":["stack-cetusguard-1"]}}}}"#,
        ),
        (
            "POST /networks/socket/connect",
            r#"{"Container":"web","EndpointConfig":{"Aliases":["cetusguard"]}}"#,
        ),
        (
            "POST /networks/socket/connect",
            r#"{"Container":"web","EndpointConfig":{"Aliases":["cetusguard.socket"]}}"#,
        ),
        ("POST /containers/web/rename?name=cetusguard", ""),
        (
            "POST /v5.0.0/libpod/containers/web/rename?name=cetusguard",
            "",
        ),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"x","name":"cetusguard"}"#,
        ),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"x","Networks":{"n":{"aliases":["cetusguard"]}}}"#,
        ),
        (
            "POST /v5.0.0/libpod/networks/n/connect",
            r#"{"container":"web","aliases":["cetusguard"]}"#,
        ),
        ("POST /services/create", r#"{"Name":"cetusguard"}"#),
        (
            "POST /services/create",
            r#"{"TaskTemplate":{"Networks":[{"Target":"front","Aliases":["cetusguard"]}]}}"#,
        ),
    ] {
        assert_eq!(needs(request, &[], body), "proxy", "{request} {body}");
        assert_eq!(needs(request, &["proxy"], body), "-", "{request} {body}");
    }
    check(&[
        ("POST /containers/create?name=cetusguard2", "{}", "-"),
        ("POST /containers/web/rename?name=shop", "", "-"),
    ]);
}

#[test]
fn t6_links_hand_over_an_environment() {
    let link = |link: &str| format!("{{\"HostConfig\":{{\"Links\":[\"{link}\"]}}}}");
    check(&[
        ("POST /containers/create", &link("db:v"), "link=db"),
        ("POST /containers/create", &link("db"), "link=db"),
        ("POST /containers/create", &link("/db-id:/web/v"), "link=db"),
        ("POST /containers/create", &link("absent:v"), "!"),
    ]);
    // What was judged is what is sent.
    let open = profile(GuardLevel::Baseline, &["link=db"], Targets::default());
    let sent = settle(
        &permit("POST /containers/create", &open),
        &link("db"),
        world::RECENT,
    )
    .expect("allowed");
    assert_eq!(sent.body(), Some(link("db-id:db").as_str()));
}

#[test]
fn t7_a_namespace_that_is_joined_is_looked_up() {
    let mode = |key: &str, container: &str| {
        format!("{{\"HostConfig\":{{\"{key}\":\"container:{container}\"}}}}")
    };
    let podman = |key: &str, name: &str| {
        format!("{{\"image\":\"x\",\"{key}\":{{\"nsmode\":\"container\",\"value\":\"{name}\"}}}}")
    };
    let libpod = "POST /v5.0.0/libpod/containers/create";
    check(&[
        // The network of a harmless container is ordinary: `network_mode: service:vpn`.
        ("POST /containers/create", &mode("NetworkMode", "vpn"), "-"),
        (
            "POST /containers/create",
            &mode("NetworkMode", "hostnet"),
            "host-namespace=network",
        ),
        (
            "POST /containers/create",
            &mode("NetworkMode", "trusted"),
            "profile=high",
        ),
        (
            "POST /containers/create",
            &mode("NetworkMode", "absent"),
            "!",
        ),
        (
            "POST /containers/create",
            &mode("PidMode", "vpn"),
            "container-namespace=pid",
        ),
        (
            "POST /build?networkmode=container:hostnet",
            "",
            "host-namespace=network",
        ),
        (libpod, &podman("netns", "vpn"), "-"),
        (
            libpod,
            &podman("netns", "hostnet"),
            "host-namespace=network",
        ),
        (libpod, &podman("pidns", "vpn"), "container-namespace=pid"),
    ]);
    for target in ["hostpid", "behind"] {
        assert_eq!(
            needs(
                "POST /containers/create",
                &["container-namespace=pid"],
                &mode("PidMode", target)
            ),
            "host-namespace=pid",
            "{target}"
        );
    }
    let open = profile(GuardLevel::Baseline, &[], Targets::default());
    let sent = settle(
        &permit("POST /containers/create", &open),
        &mode("NetworkMode", "vpn"),
        world::RECENT,
    );
    assert_eq!(
        sent.expect("harmless").body(),
        Some(mode("NetworkMode", "vpn-id").as_str())
    );
    let sent = settle(
        &permit("POST /build?networkmode=container:vpn", &open),
        "",
        world::RECENT,
    )
    .expect("harmless");
    let call = permit("GET /_ping", &open);
    assert_eq!(
        sent.call(call.call()).target(),
        "/build?networkmode=container%3Avpn-id"
    );
}

#[test]
fn t8_volumes_of_the_host_are_looked_up() {
    let bind = |name: &str| format!("{{\"HostConfig\":{{\"Binds\":[\"{name}:/x:ro\"]}}}}");
    for (name, want) in [
        ("hosts-etc", "volume=hosts-etc"),
        ("overlay", "volume=overlay"),
        ("disk", "volume=disk"),
        ("media", "volume=media"),
        ("nfs", "-"),
        ("memory", "-"),
        ("plain", "-"),
        ("new", "-"),
    ] {
        assert_eq!(
            needs("POST /containers/create", &[], &bind(name)),
            want,
            "{name}"
        );
    }
    // A bind of the same path is as good, and so is the right to have made the volume.
    assert_eq!(
        needs(
            "POST /containers/create",
            &["bind=/srv/media"],
            &bind("media")
        ),
        "-"
    );
    assert_eq!(
        needs(
            "POST /containers/create",
            &["bind=/srv/media/**:ro"],
            &bind("media")
        ),
        "volume=media"
    );
    let options = [
        "volume-option=type=none",
        "volume-option=o=bind",
        "volume-option=device=/srv/*",
    ];
    assert_eq!(
        needs("POST /containers/create", &options, &bind("media")),
        "-"
    );
    let service = r#"{"TaskTemplate":{"ContainerSpec":{"Mounts":[{"Type":"volume","Source":"hosts-etc","Target":"/x"}]}}}"#;
    check(&[
        ("POST /services/create", service, "volume=hosts-etc"),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"x","volumes":[{"Name":"hosts-etc","Dest":"/x"}]}"#,
            "volume=hosts-etc",
        ),
    ]);
}

#[test]
fn templates_of_a_swarm_make_no_paths_and_names() {
    let mount = |kind: &str, source: &str| {
        format!(
            "{{\"TaskTemplate\":{{\"ContainerSpec\":{{\"Mounts\":[{{\"Type\":\"{kind}\",\"ReadOnly\":true,\"Target\":\"/h\",\"Source\":\"{source}\"}}]}}}}}}"
        )
    };
    let host = |name: &str| {
        format!("{{\"TaskTemplate\":{{\"ContainerSpec\":{{\"Hostname\":\"{name}\"}}}}}}")
    };
    for (body, want) in [
        (
            mount(
                "bind",
                "/usr/share/zoneinfo/{{print `..`}}/{{print `..`}}/{{print `..`}}/run",
            ),
            "!",
        ),
        (mount("bind", "/usr/share/zoneinfo/Europe/Paris"), "-"),
        (mount("volume", "data-{{.Task.Slot}}"), "!"),
        (host("web-{{.Task.Slot}}"), "-"),
        (host("{{print `cetus`}}guard"), "!"),
        (host("{{index .Service.Labels `x`}}"), "!"),
        (host("{{.Service.Labels}}"), "!"),
    ] {
        assert_eq!(needs("POST /services/create", &[], &body), want, "{body}");
        assert_eq!(
            needs("POST /services/create", &["bind=/srv/**"], &body),
            want,
            "{body}"
        );
    }
}

#[test]
fn t9_secrets_and_configs_can_be_bound() {
    let service = r#"{"TaskTemplate":{"ContainerSpec":{"Secrets":[{"SecretID":"s1","SecretName":"mine"}],"Configs":[{"ConfigID":"c1"}]}}}"#;
    let request = "POST /services/create";
    assert_eq!(
        needs(request, &[], service),
        "-",
        "as docker stack deploy needs it"
    );
    assert_eq!(
        needs(request, &["secret=mine*"], service),
        "secret=name-of-s1",
        "the identifier counts, not the name beside it"
    );
    assert_eq!(
        needs(request, &["secret=name-of-*", "config=other"], service),
        "config=name-of-c1"
    );
    assert_eq!(
        needs(request, &["secret=name-of-*", "config=name-of-c1"], service),
        "-"
    );
}

#[test]
fn t10_what_was_resolved_is_what_is_sent() {
    let open = profile(GuardLevel::Baseline, &[], Targets::default());
    let service = |target: &str| {
        format!("{{\"TaskTemplate\":{{\"Networks\":[{{\"Target\":\"{target}\"}}]}}}}")
    };
    check(&[
        (
            "POST /services/create",
            &service("abc123"),
            "host-namespace=network",
        ),
        ("POST /services/create", &service("nosuchnet"), "!"),
        ("POST /services/create", &service("front"), "-"),
    ]);
    for (request, body, want) in [
        (
            "POST /services/create",
            service("front"),
            format!("/services/create {}", service("front-id")),
        ),
        (
            "POST /containers/web/exec",
            "{\"Cmd\":[\"ls\"]}".to_owned(),
            "/containers/web-id/exec {\"Cmd\":[\"ls\"]}".to_owned(),
        ),
        (
            "POST /containers/web/stop?t=1",
            String::new(),
            "/containers/web-id/stop?t=1 ".to_owned(),
        ),
        (
            "POST /commit?container=web&repo=x",
            String::new(),
            "/commit?container=web-id&repo=x ".to_owned(),
        ),
        (
            "POST /networks/n/connect",
            "{\"Container\":\"web\"}".to_owned(),
            "/networks/n-id/connect {\"Container\":\"web-id\"}".to_owned(),
        ),
        (
            "GET /containers/web/archive?path=/x",
            String::new(),
            "/containers/web-id/archive?path=%2Fx ".to_owned(),
        ),
    ] {
        let permit = permit(request, &open);
        let sent = settle(&permit, &body, world::RECENT)
            .unwrap_or_else(|objection| panic!("{request}: {objection}"));
        assert_eq!(
            format!(
                "{} {}",
                sent.call(permit.call()).target(),
                sent.body().unwrap_or_default()
            ),
            want
        );
    }
}

#[test]
fn a_word_leads_to_no_other_path() {
    for word in ["../volumes/x", "a/../../info", ".", "..", "", "a//b"] {
        let body = format!("{{\"HostConfig\":{{\"NetworkMode\":\"container:{word}\"}}}}");
        assert_eq!(needs("POST /containers/create", &[], &body), "!", "{word}");
    }
    let slash = r#"{"HostConfig":{"NetworkMode":"container:/vpn"}}"#;
    assert_eq!(needs("POST /containers/create", &[], slash), "-");
    // A parameter of another call does not keep the client's word.
    let open = profile(GuardLevel::Baseline, &[], Targets::default());
    for (request, want) in [
        (
            "POST /containers/web/stop?link=1",
            "/containers/web-id/stop?link=1",
        ),
        (
            "DELETE /containers/web?force=1",
            "/containers/web-id?force=1",
        ),
        (
            "DELETE /containers/shop/web?link=1",
            "/containers/shop/web?link=1",
        ),
    ] {
        let permit = permit(request, &open);
        let sent = settle(&permit, "", world::RECENT)
            .unwrap_or_else(|objection| panic!("{request}: {objection}"));
        assert_eq!(sent.call(permit.call()).target(), want);
    }
}

#[test]
fn t11_identities_of_other_profiles_are_not_taken() {
    check(&[
        (
            "POST /containers/evil/rename?name=trusted",
            "",
            "profile=high",
        ),
        ("POST /containers/create?name=trusted", "{}", "profile=high"),
        (
            "POST /containers/create?name=x",
            r#"{"Labels":{"cetusguard.profile":"high"}}"#,
            "profile=high",
        ),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"x","name":"trusted"}"#,
            "profile=high",
        ),
        (
            "POST /services/create",
            r#"{"TaskTemplate":{"ContainerSpec":{"Labels":{"cetusguard.profile":"high"}}}}"#,
            "profile=high",
        ),
        // To enter a container is to call with its rights.
        ("POST /containers/trusted/exec", "{}", "profile=high"),
        (
            "POST /containers/trusted/rename?name=old",
            "",
            "profile=high",
        ),
        // An image brings its labels along; a network is shared with its client.
        (
            "POST /containers/create?name=x",
            r#"{"Image":"labelled"}"#,
            "profile=high",
        ),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"labelled"}"#,
            "profile=high",
        ),
        (
            "POST /services/create",
            r#"{"TaskTemplate":{"ContainerSpec":{"Image":"labelled"}}}"#,
            "profile=high",
        ),
        (
            "POST /containers/create?name=x",
            r#"{"Image":"plain"}"#,
            "-",
        ),
        ("POST /containers/sidecar/exec", "{}", "profile=high"),
        ("POST /containers/proxycar/exec", "{}", "proxy"),
        ("POST /containers/web/rename?name=shop", "", "-"),
        (
            "POST /containers/create?name=x",
            r#"{"Labels":{"cetusguard.profile":"low"}}"#,
            "-",
        ),
    ]);
}

#[test]
fn g1_processes_of_the_host_are_not_listed() {
    for path in [
        "/containers/web/top",
        "/v5.0.0/libpod/containers/web/top",
        "/v5.0.0/libpod/pods/p/top",
    ] {
        for (arguments, want) in [
            ("-oluid%3DPID+-eoargs+--sort%3D-luid+eww", "!"),
            ("eww", "!"),
            ("-ef", "-"),
            ("aux", "-"),
        ] {
            assert_eq!(
                needs(&format!("GET {path}?ps_args={arguments}"), &[], ""),
                want,
                "{path} {arguments}"
            );
        }
        assert_eq!(
            needs(&format!("GET {path}?PS_ARGS=eww"), &[], ""),
            "!",
            "{path}"
        );
    }
}

#[test]
fn g2_reading_only_holds_for_everything_below() {
    const OLD: &str = r#"{"ApiVersion":"1.41","KernelVersion":"6.1.0-43-amd64"}"#;
    const OLD_KERNEL: &str = r#"{"ApiVersion":"1.51","KernelVersion":"5.10.0"}"#;
    const PODMAN: &str =
        r#"{"ApiVersion":"1.44","KernelVersion":"6.1.0","Components":[{"Name":"Podman Engine"}]}"#;
    let open = profile(
        GuardLevel::Baseline,
        &["bind=/srv/**:ro"],
        Targets::default(),
    );
    let passes = |request: &str, body: &str, engine: &str| {
        settle(&permit(request, &open), body, engine).is_ok()
    };
    let bind = r#"{"HostConfig":{"Binds":["/srv/x:/x:ro"]}}"#;
    let mount = |option: &str| {
        format!(
            "{{\"HostConfig\":{{\"Mounts\":[{{\"Type\":\"bind\",\"Source\":\"/srv/x\",\"Target\":\"/x\",\"ReadOnly\":true,\"BindOptions\":{{\"{option}\":true}}}}]}}}}"
        )
    };
    let (bare, new, old) = (
        "POST /containers/create",
        "POST /v1.44/containers/create",
        "POST /v1.43/containers/create",
    );
    for (request, body, engine, want) in [
        (bare, bind.to_owned(), world::RECENT, true),
        (new, bind.to_owned(), world::RECENT, true),
        (old, bind.to_owned(), world::RECENT, false),
        (bare, bind.to_owned(), OLD, false),
        (bare, bind.to_owned(), OLD_KERNEL, false),
        (bare, bind.to_owned(), PODMAN, false),
        (old, mount("NonRecursive"), OLD, true),
        // Docker drops the option before 1.40.
        (
            "POST /v1.39/containers/create",
            mount("NonRecursive"),
            OLD,
            false,
        ),
        (
            "POST /v1.40/containers/create",
            mount("NonRecursive"),
            OLD,
            true,
        ),
        (bare, mount("NonRecursive"), PODMAN, true),
        (new, mount("CreateMountpoint"), world::RECENT, true),
        (new, mount("ReadOnlyNonRecursive"), world::RECENT, false),
    ] {
        assert_eq!(
            passes(request, &body, engine),
            want,
            "{request} {body} {engine}"
        );
    }
    let libpod = "POST /v5.0.0/libpod/containers/create";
    for (options, want) in [
        ("\"ro\"", false),
        ("\"ro\",\"rbind\"", false),
        ("\"ro\",\"bind\"", true),
    ] {
        let body = format!(
            "{{\"image\":\"x\",\"mounts\":[{{\"type\":\"bind\",\"source\":\"/srv/x\",\"destination\":\"/x\",\"options\":[{options}]}}]}}"
        );
        assert_eq!(passes(libpod, &body, PODMAN), want, "{options}");
    }
    // A file has nothing below.
    assert_eq!(
        needs(
            old,
            &[],
            r#"{"HostConfig":{"Binds":["/etc/localtime:/etc/localtime:ro","/etc/timezone:/etc/timezone:ro"]}}"#
        ),
        "-"
    );
    assert_ne!(
        needs(
            old,
            &[],
            r#"{"HostConfig":{"Binds":["/etc/localtime:/etc/localtime"]}}"#
        ),
        "-"
    );
}

#[test]
fn g5_to_g13_parameters_and_patterns() {
    check(&[
        // G5: transports, on the paths of both engines, for pulls and for pushes.
        ("POST /images/create?fromImage=tarball:/etc/passwd", "", "!"),
        ("POST /images/create?fromImage=dir&tag=/etc", "", "!"),
        ("POST /images/create?fromImage=docker-archive:/x", "", "!"),
        ("POST /images/create?fromImage=busybox&tag=latest", "", "-"),
        ("POST /images/x/push?destination=dir:/etc", "", "!"),
        (
            "POST /v5.0.0/libpod/images/x/push?destination=quay.io/a/b",
            "",
            "-",
        ),
        // G9: addresses of others.
        (
            "POST /networks/create",
            r#"{"IPAM":{"Config":[{"Subnet":"8.8.8.0/24"}]}}"#,
            "subnet=8.8.8.0/24",
        ),
        (
            "POST /networks/create",
            r#"{"IPAM":{"Config":[{"Subnet":"2001:db8::/64"}]}}"#,
            "subnet=2001:db8::/64",
        ),
        (
            "POST /networks/create",
            r#"{"IPAM":{"Config":[{"Subnet":"172.31.0.0/16"}]}}"#,
            "-",
        ),
        (
            "POST /networks/create",
            r#"{"IPAM":{"Config":[{"Subnet":"fd00:1::/64"}]}}"#,
            "-",
        ),
        // G12: the engine's own output.
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"x","log_configuration":{"driver":"passthrough"}}"#,
            "log-driver=passthrough",
        ),
    ]);
    // G6: patterns over paths and URLs are for what is written plainly.
    let volume =
        |device: &str| format!("{{\"Name\":\"v\",\"DriverOpts\":{{\"device\":\"{device}\"}}}}");
    let volumes = "POST /volumes/create";
    assert_eq!(
        needs(
            volumes,
            &["volume-option=device=/srv/data/*"],
            &volume("/srv/data/x")
        ),
        "-"
    );
    for device in [
        "/srv/data/../../etc",
        "/srv/data//../../etc",
        "/srv/data/./../../etc",
    ] {
        assert_ne!(
            needs(
                volumes,
                &["volume-option=device=/srv/data/*"],
                &volume(device)
            ),
            "-",
            "{device}"
        );
    }
    let nfs = |o: &str| format!("{{\"Name\":\"v\",\"DriverOpts\":{{\"o\":\"{o}\"}}}}");
    assert_eq!(
        needs(
            volumes,
            &["volume-option=o=addr=10.*"],
            &nfs("addr=10.0.0.1")
        ),
        "-"
    );
    assert_ne!(
        needs(
            volumes,
            &["volume-option=o=addr=10.*"],
            &nfs("addr=10.0.0.1,bind")
        ),
        "-"
    );
    let remote = |url: &str| {
        needs(
            &format!("POST /build?networkmode=none&remote={url}"),
            &["build-remote=http://host/me/*"],
            "",
        )
    };
    assert_eq!(remote("http://host/me/x.git"), "-");
    for url in [
        "http://host/me/../evil",
        "http://host/me/%252e%252e/evil",
        "http://host/me//../evil",
        "http://host/me/x%2523:../y",
    ] {
        assert_ne!(remote(url), "-", "{url}");
    }
    let import = |url: &str| {
        needs(
            &format!("POST /images/create?fromSrc={url}"),
            &["import-url=http://host/me/*"],
            "",
        )
    };
    assert!(import("http://host/me/x") == "-" && import("http://host/me/../x") != "-");
    let parent = |path: &str| {
        needs(
            "POST /containers/create",
            &["cgroup-parent=/tenants/*"],
            &format!("{{\"HostConfig\":{{\"CgroupParent\":\"{path}\"}}}}"),
        )
    };
    assert!(parent("/tenants/a") == "-" && parent("/tenants/../system.slice") != "-");
    // G13: references are what the engine makes of them.
    let image = |reference: &str| {
        needs(
            "POST /containers/create",
            &["image=busybox:*"],
            &format!("{{\"Image\":\"{reference}\"}}"),
        )
    };
    for reference in [
        "busybox",
        "busybox:1",
        "docker.io/library/busybox",
        "docker.io/busybox:latest",
        "index.docker.io/library/busybox",
    ] {
        assert_eq!(image(reference), "-", "{reference}");
    }
    for reference in [
        "evil/busybox",
        "busybox.example/x",
        "alpine",
        "sha256:0123",
        "cafe",
    ] {
        assert_ne!(image(reference), "-", "{reference}");
    }
}

#[test]
fn g14_g15_g16_what_cannot_be_seen() {
    let bound = profile(GuardLevel::Baseline, &["image=busybox"], Targets::default());
    let named = Profile {
        rules: RuleSet::new(parse("test", "POST %API_PREFIX%/(grpc|session)\nPOST \
            %API_PREFIX_LIBPOD%/(build|kube/play|pods/create|images/load|images/import|commit)\nDELETE \
            %API_PREFIX_LIBPOD%/kube/play").expect("rules")),
        ..bound.clone()
    };
    for request in [
        "POST /grpc",
        "POST /session",
        "POST /v5.0.0/libpod/build",
        "POST /v5.0.0/libpod/kube/play",
        "POST /v5.0.0/libpod/pods/create",
        "POST /v5.0.0/libpod/images/load",
        "POST /v5.0.0/libpod/images/import",
        "POST /v5.0.0/libpod/commit?container=web",
    ] {
        let (method, target) = request.split_once(' ').expect("a request line");
        let denied = |profile: &Profile| {
            matches!(
                decide(Call::read(method, target).expect("plain"), profile),
                Verdict::Deny(_)
            )
        };
        assert!(denied(&named), "{request}");
        let free = Profile {
            guard: Arc::default(),
            ..named.clone()
        };
        assert!(!denied(&free), "{request}");
    }
    // G15: what a call does is told by its row, not by its method.
    let wildcard = Profile {
        rules: RuleSet::new(parse("test", "DELETE .*").expect("a rule")),
        ..bound
    };
    let down = Call::read("DELETE", "/v5.0.0/libpod/kube/play").expect("plain");
    assert!(matches!(decide(down, &wildcard), Verdict::Deny(_)));
    // G16: a form in the body goes before the query.
    let open = profile(GuardLevel::Baseline, &[], Targets::default());
    for request in [
        "POST /containers/prune?filters={}",
        "POST /volumes/prune",
        "POST /containers/web/stop",
        "POST /v5.0.0/libpod/images/x/untag",
    ] {
        let permit = permit(request, &open);
        assert!(
            permit
                .open(
                    Some("application/x-www-form-urlencoded"),
                    b"",
                    Surroundings::default()
                )
                .is_err(),
            "{request}"
        );
        assert!(
            permit
                .open(Some("application/json"), b"", Surroundings::default())
                .is_ok(),
            "{request}"
        );
    }
}

#[test]
fn g10_g11_the_level_restricted() {
    let restricted = |allow: &[&str]| profile(GuardLevel::Restricted, allow, Targets::default());
    let container = |user: &str| {
        format!(
            "{{\"User\":\"{user}\",\"HostConfig\":{{\"CapDrop\":[\"ALL\"],\"SecurityOpt\":[\"no-new-privileges=1\"]}}}}"
        )
    };
    for (user, want) in [
        ("1000", true),
        ("2147483647", true),
        ("2147483648", false),
        ("99999999999999999999", false),
        ("000", false),
    ] {
        let judged = settle(
            &permit("POST /containers/create", &restricted(&[])),
            &container(user),
            world::RECENT,
        );
        assert_eq!(judged.is_ok(), want, "{user}");
    }
    let builds = |allow: &[&str]| {
        settle(
            &permit("POST /build?networkmode=none", &restricted(allow)),
            "",
            world::RECENT,
        )
        .is_ok()
    };
    assert!(!builds(&[]) && builds(&["build"]));
}

/// Go's last `null` empties what another spelling of the key has set.
#[test]
fn a_key_stands_once_in_whatever_spelling() {
    check(&[
        (
            "POST /containers/create",
            r#"{"Labels":{"a":"b"},"laBeLs":null}"#,
            "!",
        ),
        (
            "POST /containers/create",
            r#"{"Labels":null,"labels":{"a":"b"}}"#,
            "!",
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"CapDrop":["ALL"],"capdrop":null}}"#,
            "!",
        ),
        (
            "POST /containers/create",
            r#"{"labels":{"a":"b"},"HOSTCONFIG":null}"#,
            "-",
        ),
    ]);
}

#[test]
fn e1_services_and_nodes_are_updated_as_clients_do() {
    check(&[
        ("POST /services/s/update?version=1&rollback=none", "{}", "-"),
        ("POST /services/s/update?version=1&rollback=", "{}", "-"),
        (
            "POST /services/s/update?version=1&rollback=previous",
            "{}",
            "service-rollback",
        ),
        (
            "POST /nodes/worker/update?version=1",
            r#"{"Role":"worker"}"#,
            "-",
        ),
        (
            "POST /nodes/manager/update?version=1",
            r#"{"Role":"manager","Availability":"drain"}"#,
            "manager-node",
        ),
        (
            "POST /nodes/worker/update?version=1",
            r#"{"Role":"manager"}"#,
            "!",
        ),
    ]);
    assert_eq!(
        needs(
            "POST /nodes/worker/update?version=1",
            &["manager-node"],
            r#"{"Role":"manager"}"#
        ),
        "!"
    );
}

#[test]
fn ordinary_work_passes() {
    let libpod = "POST /v5.0.0/libpod/containers/create";
    for (request, body) in [
        (
            "POST /containers/create",
            r#"{"image":"x","hostconfig":{"memory":1,"NETWORKMODE":"n"}}"#,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Sysctls":{"net.core.somaxconn":"1","net.ipv4.ip_forward":"1","net.ipv4.conf.all.src_valid_mark":"1","net.ipv6.conf.all.disable_ipv6":"0"}}}"#,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Devices":[{"PathOnHost":"/dev/null"},{"PathOnHost":"/dev/zero"}],"CapAdd":["IPC_LOCK"],"SecurityOpt":["no-new-privileges=1"]}}"#,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"IpcMode":"shareable","PidMode":"private","UsernsMode":"private"}}"#,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"IpcMode":"none"}}"#,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"SecurityOpt":["seccomp=builtin","apparmor=docker-default","label=level:s0:c1,c2","label:type:container_t"]}}"#,
        ),
        (
            "POST /volumes/create",
            r#"{"Name":"v","DriverOpts":{"type":"tmpfs","device":"tmpfs","o":"size=100m,uid=1000"}}"#,
        ),
        (
            "POST /networks/create",
            r#"{"Name":"n","Options":{"com.docker.network.bridge.enable_icc":"false","encrypted":""}}"#,
        ),
        (
            "POST /secrets/create",
            r#"{"Name":"s","Data":"eA==","Templating":{"Name":""}}"#,
        ),
        (
            "POST /configs/create",
            r#"{"Name":"s","Data":"eA==","Templating":null}"#,
        ),
        (
            libpod,
            r#"{"image":"x","annotations":{"io.podman.annotations.pids-limit":"5","io.podman.annotations.cid-file":"/x"},"networkOrder":["a"],"Networks":{"a":{}}}"#,
        ),
    ] {
        assert_eq!(needs(request, &[], body), "-", "{request} {body}");
    }
    for (request, body) in [
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Sysctls":{"net.ipv4.conf.all.forwarding":"1"}}}"#,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Sysctls":{"net.ipv4.conf.x/../../kernel/core_pattern.src_valid_mark":"1"}}}"#,
        ),
        (
            "POST /volumes/create",
            r#"{"Name":"v","DriverOpts":{"type":"tmpfs","device":"/dev/sda","o":"size=1"}}"#,
        ),
        (
            "POST /volumes/create",
            r#"{"Name":"v","DriverOpts":{"type":"tmpfs","device":"tmpfs","o":"bind"}}"#,
        ),
        (
            "POST /networks/create",
            r#"{"Options":{"com.docker.network.bridge.enable_icc":"true"}}"#,
        ),
        (libpod, r#"{"image":"x","networkOrder":["host"]}"#),
        (libpod, r#"{"image":"x","gpus":["all"]}"#),
        ("POST /containers/create", r#"{"image":"x","Image":"y"}"#),
    ] {
        assert_ne!(needs(request, &[], body), "-", "{request} {body}");
    }
    // What is dropped does not reach the engine.
    let open = profile(GuardLevel::Baseline, &[], Targets::default());
    let sent = settle(
        &permit(libpod, &open),
        r#"{"image":"x","annotations":{"io.podman.annotations.cid-file":"/x","a":"b"}}"#,
        world::RECENT,
    );
    assert!(sent.is_err(), "the other annotation is judged");
    let sent = settle(
        &permit(libpod, &open),
        r#"{"image":"x","annotations":{"io.podman.annotations.cid-file":"/x"}}"#,
        world::RECENT,
    );
    assert_eq!(
        sent.expect("dropped").body(),
        Some(r#"{"image":"x","annotations":{}}"#)
    );
}

/// The second attack: files, networks, labels of builds and of swarms, and mounts by which a client
/// gets the rights of another.
#[test]
fn rights_of_others_are_not_reached_by_another_way() {
    check(&[
        // An address of the network is one of the profile.
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"mon"}}"#,
            "profile=high",
        ),
        (
            "POST /containers/create",
            r#"{"NetworkingConfig":{"EndpointsConfig":{"mon":{}}}}"#,
            "profile=high",
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"front"}}"#,
            "-",
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"nosuchnet"}}"#,
            "!",
        ),
        (
            "POST /networks/mon/connect",
            r#"{"Container":"web"}"#,
            "profile=high",
        ),
        (
            "POST /networks/mon/disconnect",
            r#"{"Container":"web"}"#,
            "-",
        ),
        (
            "POST /v5.0.0/libpod/networks/mon/connect",
            r#"{"container":"web"}"#,
            "profile=high",
        ),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"x","Networks":{"mon":{}}}"#,
            "profile=high",
        ),
        (
            "POST /services/create",
            r#"{"Name":"s","TaskTemplate":{"Networks":[{"Target":"mon"}]}}"#,
            "profile=high",
        ),
        (
            "POST /services/create",
            r#"{"Name":"s","Networks":[{"Target":"mon"}]}"#,
            "profile=high",
        ),
        (
            "POST /containers/create",
            r#"{"NetworkingConfig":{"EndpointsConfig":{"n":{"IPAddress":"10.99.0.5"}}}}"#,
            "profile=high",
        ),
        (
            "POST /containers/create",
            r#"{"NetworkingConfig":{"EndpointsConfig":{"n":{"GlobalIPv6Address":"fd00::1"}}}}"#,
            "-",
        ),
        // Steps of a build have the labels of the Dockerfile.
        ("POST /build", "", "profile=high"),
        ("POST /build?networkmode=mon", "", "profile=high"),
        ("POST /build?networkmode=none", "", "-"),
        // Tasks have labels and names that the engine gives them.
        ("POST /services/create", r#"{"Name":"trusted"}"#, "-"),
        // What the proxy mounts is in reach of who enters another container that mounts it.
        ("POST /containers/socketed/exec", "{}", "target=socketed"),
        (
            "PUT /containers/socketed/archive?path=/",
            "",
            "target=socketed",
        ),
        (
            "GET /containers/configured/archive?path=/",
            "",
            "target=configured",
        ),
        // Names of the proxy as a service.
        (
            "POST /networks/n/connect",
            r#"{"Container":"web","EndpointConfig":{"Aliases":["guard_proxy"]}}"#,
            "proxy",
        ),
        (
            "POST /networks/n/connect",
            r#"{"Container":"web","EndpointConfig":{"Aliases":["tasks.guard_proxy"]}}"#,
            "proxy",
        ),
    ]);
    let volumes_from = r#"{"HostConfig":{"VolumesFrom":["socketed"]}}"#;
    assert_eq!(
        needs("POST /containers/create", &["volumes-from"], volumes_from),
        "proxy"
    );
    // An exception by name is not reached by renaming.
    for allow in ["target=debug-*", "link=debug-*"] {
        assert_eq!(
            needs(
                "POST /containers/privileged/rename?name=debug-2",
                &[allow],
                ""
            ),
            "!",
            "{allow}"
        );
        assert_eq!(
            needs("POST /containers/debug-1/rename?name=debug-2", &[allow], ""),
            "-",
            "{allow}"
        );
        assert_eq!(
            needs("POST /containers/debug-1/rename?name=other", &[allow], ""),
            "-",
            "{allow}"
        );
    }
}

#[test]
fn tasks_are_known_by_what_the_engine_adds() {
    let selected = |condition: Condition| {
        let high = Profile {
            name: "high".to_owned(),
            ..profile(GuardLevel::Baseline, &[], Targets::default())
        };
        let default = profile(GuardLevel::Baseline, &[], Targets::default());
        Profiles::new(default, vec![], vec![(high, vec![condition.into()])])
    };
    let label = |key: &str, value: &str| {
        Condition::Label(format!("com.docker.swarm.{key}"), Pattern::new(value))
    };
    let open = profile(GuardLevel::Baseline, &[], Targets::default());
    for (condition, service, want) in [
        (label("service.name", "mon*"), "monitor", false),
        (label("service.name", "mon*"), "web", true),
        (label("task.name", "monitor.1.*"), "monitor", false),
        (label("task.name", "monitor.1.*"), "web", true),
        (label("node.id", "abc"), "web", false),
        (
            Condition::Name(Pattern::new("monitor.1.*")),
            "monitor",
            false,
        ),
        (
            Condition::Name(Pattern::new("monitor.*.*")),
            "monitor",
            false,
        ),
        (Condition::Name(Pattern::new("monitor")), "monitor", true),
        (
            Condition::Label("tier".to_owned(), Pattern::new("low")),
            "monitor",
            true,
        ),
    ] {
        let profiles = selected(condition.clone());
        let surroundings = Surroundings {
            profile: "default",
            profiles: Some(&profiles),
            ..Surroundings::default()
        };
        for request in ["POST /services/create", "POST /services/x/update?version=1"] {
            let permit = permit(request, &open);
            let body = format!("{{\"Name\":\"{service}\"}}");
            let judged = world::settle_in(
                &permit,
                Some("application/json"),
                body.as_bytes(),
                surroundings,
                &object,
                world::RECENT,
            );
            assert_eq!(
                judged.is_ok(),
                want,
                "{condition:?} {request} {service}: {judged:?}"
            );
        }
    }
}

#[test]
fn podman_has_names_and_variables_of_its_own() {
    const PODMAN: &str =
        r#"{"ApiVersion":"1.44","KernelVersion":"6.1.0","Components":[{"Name":"Podman Engine"}]}"#;
    let open = profile(GuardLevel::Baseline, &[], Targets::default());
    for (request, body) in [
        (
            "POST /containers/create",
            r#"{"Image":"x","Env":["TOKEN"]}"#,
        ),
        ("POST /containers/web/exec", r#"{"Env":["A=b","TOKEN"]}"#),
    ] {
        assert!(
            settle(&permit(request, &open), body, PODMAN).is_err(),
            "{request}"
        );
        assert!(
            settle(&permit(request, &open), body, world::RECENT).is_ok(),
            "{request}"
        );
    }
    let image = r#"{"Id":"9999","Name":"/p","Config":{"Image":"localhost/cetusguard:latest"}}"#;
    let own = Object::read(ObjectKind::Container, image.as_bytes()).expect("JSON");
    let surroundings = Surroundings {
        proxy_id: Some("9999"),
        proxy: Some(&own),
        ..Surroundings::default()
    };
    for (target, want) in [
        (
            "/v5.0.0/libpod/images/evil/tag?repo=cetusguard&tag=latest",
            false,
        ),
        (
            "/v5.0.0/libpod/images/evil/tag?repo=localhost/cetusguard",
            false,
        ),
        (
            "/v5.0.0/libpod/images/evil/tag?repo=cetusguard&tag=other",
            true,
        ),
    ] {
        let permit = permit(&format!("POST {target}"), &open);
        let judged = world::settle_in(&permit, None, b"", surroundings, &object, world::RECENT);
        assert_eq!(judged.is_ok(), want, "{target}");
    }
}

/// Docker trims a flag's value before it reads it; only a link has a name with a slash inside.
#[test]
fn a_container_is_removed_by_its_identifier_whatever_the_flags() {
    let open = profile(GuardLevel::Baseline, &[], Targets::default());
    for (target, want) in [
        ("/containers/web?link=%20&force=1", "/containers/web-id?"),
        ("/containers/web?link=1", "/containers/web-id?"),
        ("/containers/a/b?link=1", "/containers/a/b?"),
        ("/containers/web?link=false", "/containers/web-id?"),
    ] {
        let permit = permit(&format!("DELETE {target}"), &open);
        let sent = settle(&permit, "", world::RECENT).expect(target);
        assert!(
            sent.call(permit.call()).target().starts_with(want),
            "{target}"
        );
    }
    assert_eq!(
        needs("DELETE /v5.0.0/libpod/containers/web?depend=true", &[], ""),
        "!"
    );
    assert_eq!(
        needs("DELETE /v5.0.0/libpod/containers/web?force=true", &[], ""),
        "-"
    );
}

#[test]
fn targets_bound_what_calls_are_about() {
    let named = TargetCondition::Name(Pattern::new("web*"));
    let tier = TargetCondition::Label("tier".to_owned(), Pattern::new("db"));
    let image = TargetCondition::image("alpine");
    let targets = Targets::new(vec![vec![named], vec![tier], vec![image]]);
    let bounded = profile(GuardLevel::Baseline, &[], targets.clone());
    let open = profile(GuardLevel::Privileged, &[], targets);
    for (request, body, want) in [
        ("GET /containers/web/json", "", true),
        ("GET /containers/web-id/logs", "", true),
        ("GET /containers/db/json", "", true),
        ("GET /containers/other/json", "", false),
        ("POST /containers/other/restart", "", false),
        ("POST /containers/other/exec", "{}", false),
        ("POST /exec/other/start", "", false),
        ("GET /exec/other/json", "", false),
        ("GET /exec/web/json", "", true),
        ("POST /commit?container=other&repo=x", "", false),
        (
            "POST /networks/web-net/connect",
            r#"{"Container":"other"}"#,
            false,
        ),
        (
            "POST /networks/web-net/connect",
            r#"{"Container":"web"}"#,
            true,
        ),
        ("GET /networks/other", "", false),
        ("GET /volumes/web-data", "", true),
        ("DELETE /volumes/other", "", false),
        ("GET /services/other", "", false),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"container:other"}}"#,
            false,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"container:web"}}"#,
            true,
        ),
        // What a body names is what the call is about too.
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Binds":["other-data:/x"]}}"#,
            false,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Binds":["web-data:/x"]}}"#,
            true,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"Binds":["new:/x"]}}"#,
            true,
        ),
        // A swarm looks for the volume later, and it may be another one by then.
        (
            "POST /services/create",
            r#"{"Name":"web","TaskTemplate":{"ContainerSpec":{"Image":"alpine","Mounts":[{"Type":"volume","Source":"web-data","Target":"/x"}]}}}"#,
            false,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"other-net"}}"#,
            false,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"web-net"}}"#,
            true,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"bridge"}}"#,
            true,
        ),
        (
            "POST /containers/create",
            r#"{"HostConfig":{"NetworkMode":"none"}}"#,
            true,
        ),
        ("POST /containers/create", "{}", true),
        (
            "POST /containers/create",
            r#"{"NetworkingConfig":{"EndpointsConfig":{"other-net":{}}}}"#,
            false,
        ),
        (
            "POST /services/create",
            r#"{"TaskTemplate":{"ContainerSpec":{"Secrets":[{"SecretID":"other"}]}}}"#,
            false,
        ),
        (
            "POST /services/create",
            r#"{"Networks":[{"Target":"other-net"}]}"#,
            false,
        ),
        (
            "POST /networks/other-net/connect",
            r#"{"Container":"web"}"#,
            false,
        ),
        (
            "POST /nodes/manager/update?version=1",
            r#"{"Role":"manager","Availability":"drain"}"#,
            false,
        ),
        ("POST /containers/prune", "", false),
        ("POST /images/prune", "", false),
        ("POST /build/prune", "", false),
        ("DELETE /v5.0.0/libpod/quadlets?all=true", "", false),
        ("DELETE /v5.0.0/libpod/quadlets/other.container", "", false),
        (
            "GET /v5.0.0/libpod/containers/stats?containers=other",
            "",
            false,
        ),
        ("GET /v5.0.0/libpod/generate/kube?names=other", "", false),
        ("GET /containers/json", "", true),
        ("GET /images/busybox/json", "", true),
    ] {
        assert_eq!(
            settle(&permit(request, &bounded), body, world::RECENT).is_ok(),
            want,
            "{request} {body}"
        );
        // They hold also where the guard does not judge.
        if !matches!(request, "POST /containers/create" | "POST /services/create")
            && !body.contains("Container")
        {
            assert_eq!(
                settle(&permit(request, &open), body, world::RECENT).is_ok(),
                want,
                "privileged: {request} {body}"
            );
        }
    }
}

#[test]
fn u8_a_rule_by_name_finds_the_container_by_its_identifier() {
    let rules = "POST %API_PREFIX_CONTAINERS%/web/restart\nGET %API_PREFIX_CONTAINERS%/web-.*/json";
    let profile = Profile {
        rules: RuleSet::new(parse("test", rules).expect("rules")),
        ..profile(GuardLevel::Baseline, &[], Targets::default())
    };
    let decided = |request: &str, name: &str| {
        let (method, target) = request.split_once(' ').expect("a request line");
        let Verdict::Deny(denial) = decide(Call::read(method, target).expect("plain"), &profile)
        else {
            panic!("{request} passes")
        };
        denial.identifier()?;
        let container = Object {
            id: "abc123def".to_owned(),
            name: name.to_owned(),
            ..Object::default()
        };
        match denial.decide_by_name(&container, &profile) {
            Verdict::Allow(permit) => Some(permit.call().target()),
            Verdict::Deny(_) => None,
        }
    };
    let sent = Some("/v1.43/containers/abc123def/restart".to_owned());
    assert_eq!(
        decided("POST /v1.43/containers/abc123def/restart", "web"),
        sent
    );
    assert_eq!(decided("POST /v1.43/containers/abc/restart", "web"), sent);
    assert_eq!(decided("POST /v1.43/containers/abc/restart", "db"), None);
    assert_eq!(decided("POST /v1.43/containers/abc/stop", "web"), None);
    assert_eq!(
        decided("GET /containers/abc/json", "web-1").as_deref(),
        Some("/containers/abc123def/json")
    );
    assert_eq!(
        decided("POST /v1.43/containers/nothex/restart", "web"),
        None,
        "no identifier, no question"
    );
}

#[test]
fn e3_a_name_that_no_container_can_have_is_asked_for_all_the_same() {
    let any = "GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json\nGET %API_PREFIX_VOLUMES%/%VOLUME_ID_OR_NAME%";
    let one = "GET %API_PREFIX_CONTAINERS%/web/json";
    let passes = |rules: &str, request: &str| {
        let profile = Profile {
            rules: RuleSet::new(parse("test", rules).expect("rules")),
            ..profile(GuardLevel::Baseline, &[], Targets::default())
        };
        let (method, target) = request.split_once(' ').expect("a request line");
        matches!(
            decide(Call::read(method, target).expect("plain"), &profile),
            Verdict::Allow(_)
        )
    };
    for target in [
        "busybox:local",
        "ghcr.io/a/b:tag",
        "sha256:0123",
        "x",
        "a/b",
        "no%20such",
    ] {
        assert!(
            passes(any, &format!("GET /v1.43/containers/{target}/json")),
            "{target}"
        );
        assert!(
            passes(any, &format!("HEAD /containers/{target}/json"))
                == passes(any, "HEAD /containers/web/json"),
            "{target}"
        );
        assert!(passes(any, &format!("GET /volumes/{target}")), "{target}");
        assert!(
            !passes(one, &format!("GET /containers/{target}/json")),
            "{target}"
        );
        assert!(
            !passes(any, &format!("GET /containers/{target}/logs")),
            "{target}"
        );
    }
}

/// A Dockerfile reaches files of the host on Podman, and no reader sees it.
#[test]
fn builds_on_podman_need_an_exception() {
    const PODMAN: &str =
        r#"{"ApiVersion":"1.41","KernelVersion":"6.1.0","Components":[{"Name":"Podman Engine"}]}"#;
    for (level, allow, on_podman) in [
        (GuardLevel::Baseline, &[][..], false),
        (GuardLevel::Baseline, &["podman-build"], true),
        (GuardLevel::Privileged, &[], true),
    ] {
        let profile = profile(level, allow, Targets::default());
        for request in ["POST /build?t=a:1", "POST /v1.41/build"] {
            let permit = permit(request, &profile);
            for (engine, passes) in [(PODMAN, on_podman), (world::RECENT, true)] {
                let found = match permit.cleared() {
                    Some(_) => true,
                    None => {
                        let around = Surroundings::default();
                        let tar = Some("application/x-tar");
                        world::settle_in(&permit, tar, b"", around, &world::plain, engine).is_ok()
                    }
                };
                assert_eq!(found, passes, "{level:?} {allow:?} {request} {engine}");
            }
        }
    }
}

/// Engines look for an image of `localhost` on the host, where a client can publish a port.
#[test]
fn a_build_that_pulls_does_not_replace_an_image_that_a_client_could_serve() {
    for (image, want) in [
        ("localhost/cetusguard:1", "proxy"),
        ("LOCALHOST:5000/cetusguard:1", "proxy"),
        ("127.0.0.1:5000/cetusguard:1", "proxy"),
        ("[::1]:5000/cetusguard:1", "proxy"),
        ("ghcr.io/cetusguard/cetusguard:1", "-"),
        ("cetusguard/cetusguard", "-"),
    ] {
        let own = PROXY.replace("cetusguard/cetusguard", image);
        let own = Object::read(ObjectKind::Container, own.as_bytes()).expect("JSON");
        for (request, want) in [
            ("POST /build?networkmode=none&pull=1", want),
            ("POST /build?networkmode=none&pull=true", want),
            ("POST /build?networkmode=none&pull=0", "-"),
            ("POST /build?networkmode=none", "-"),
        ] {
            let permit = permit(
                request,
                &profile(GuardLevel::Baseline, &[], Targets::default()),
            );
            let around = Surroundings {
                proxy_id: Some("9999"),
                proxy: Some(&own),
                ..Surroundings::default()
            };
            let settled = world::settle_in(&permit, None, b"", around, &object, world::RECENT);
            let found = settled.map_or_else(
                |objection| objection.exceptions().into_iter().collect(),
                |_| "-".to_owned(),
            );
            assert_eq!(found, want, "{image}: {request}");
        }
    }
}

/// An image has labels of its own for each platform, and the engine tells those of its own.
#[test]
fn images_of_other_platforms_give_no_rights() {
    let sent = |request: &str, body: &str| {
        let permit = permit(
            request,
            &profile(GuardLevel::Baseline, &[], Targets::default()),
        );
        let cleared = settle(&permit, body, world::RECENT).map_err(|error| error.to_string());
        cleared.map(|cleared| cleared.body().unwrap_or_default().to_owned())
    };
    let cleared = r#""cetusguard.profile":"""#;
    for (request, body, is_cleared) in [
        (
            "POST /containers/create?platform=linux/386",
            r#"{"Image":"web"}"#,
            true,
        ),
        (
            "POST /containers/create?platform=linux/386",
            r#"{"Image":"web","Labels":{"a":"b"}}"#,
            true,
        ),
        (
            "POST /containers/create?platform=",
            r#"{"Image":"web"}"#,
            false,
        ),
        ("POST /containers/create", r#"{"Image":"web"}"#, false),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"web","image_arch":"386"}"#,
            true,
        ),
        (
            "POST /v5.0.0/libpod/containers/create",
            r#"{"image":"web"}"#,
            false,
        ),
        (
            "POST /services/create",
            r#"{"Name":"x","TaskTemplate":{"ContainerSpec":{"Image":"web"}}}"#,
            true,
        ),
    ] {
        let sent = sent(request, body).expect(request);
        assert_eq!(
            sent.contains(cleared),
            is_cleared,
            "{request} {body}: {sent}"
        );
    }
    let own = r#"{"Image":"web","Labels":{"cetusguard.profile":"low"}}"#;
    let kept = sent("POST /containers/create?platform=linux/386", own).expect("a body");
    assert!(kept.contains(r#""cetusguard.profile":"low""#), "{kept}");
    let high = r#"{"Image":"web","Labels":{"cetusguard.profile":"high"}}"#;
    sent("POST /containers/create?platform=linux/386", high).expect_err("another profile");
}
