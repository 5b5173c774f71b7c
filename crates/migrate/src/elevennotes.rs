//! 11notes/socket-proxy: allows every GET and HEAD, but for some paths.
//!
//! Facts: `go/socket-proxy/main.go` and `arch.dockerfile` of 11notes/docker-socket-proxy, 2.1.

use cetusguard_policy::Method;
use cetusguard_policy::endpoint::Endpoint;

use super::lines::Lines;
use super::note::NoteKind;
use super::plan::{PeerDecisions, Plan, PlannedFrontend};
use super::settings::PeerSettings;

/// Words anywhere in a path that close it, in any case.
const CLOSED: &[&str] = &["secrets", "configs", "swarm/unlockkey", "images/get"];

/// Parts of a path behind a container's name that close it.
const CLOSED_PARTS: &[&str] = &["/attach/ws", "/export", "/archive"];

/// The variables that are carried over.
const KNOWN: &[&str] = &[
    "SOCKET_PROXY_VOLUME",
    "SOCKET_PROXY_DOCKER_SOCKET",
    "SOCKET_PROXY_UID",
    "SOCKET_PROXY_GID",
    "SOCKET_PROXY_HTTP_LISTEN_IP",
];

/// Plans for its variables.
pub(super) fn plan(settings: &PeerSettings, plan: &mut Plan) {
    let var = |name, default: &str| match settings.var(name) {
        "" => default.to_owned(),
        value => value.to_owned(),
    };
    let folder = var("SOCKET_PROXY_VOLUME", "/run/proxy");
    let keys = vec![
        ("socket-mode", "0600".to_owned()),
        ("socket-owner", var("SOCKET_PROXY_UID", "1000")),
        ("socket-group", var("SOCKET_PROXY_GID", "1000")),
    ];
    plan.frontends.push(PlannedFrontend {
        keys,
        ..PlannedFrontend::at(format!(
            "unix://{}/docker.sock",
            folder.trim_end_matches('/')
        ))
    });
    let host = var("SOCKET_PROXY_HTTP_LISTEN_IP", "0.0.0.0");
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host
    };
    plan.frontends
        .push(PlannedFrontend::at(format!("tcp://{host}:2375")));
    plan.backend = format!(
        "unix://{}",
        var("SOCKET_PROXY_DOCKER_SOCKET", "/run/docker.sock")
    );
    let mut lines = Lines::default();
    let is_podman = plan.backend.contains("podman");
    let is_open = |endpoint: &&Endpoint| {
        let is_served = is_podman || !endpoint.is_libpod();
        is_served
            && !endpoint.is_named_only()
            && endpoint.shape != "/{path*}"
            && allows_call(endpoint.method, endpoint.shape)
    };
    Endpoint::all()
        .filter(is_open)
        .for_each(|endpoint| lines.add(endpoint));
    lines.into_rules().for_each(|rule| plan.rule(rule, ""));
    plan.default.peer = PeerDecisions::new(allows_call);
    for (name, _) in settings
        .vars
        .iter()
        .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
    {
        plan.note(
            NoteKind::Different,
            format!("{name} has no counterpart here: left out"),
        );
    }
}

fn allows_call(method: Method, path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let part = path.split_once("containers/").map_or("", |(_, rest)| rest);
    let is_closed = CLOSED.iter().any(|word| path.contains(word))
        || CLOSED_PARTS.iter().any(|word| part.contains(word));
    matches!(method, Method::Get | Method::Head) && !is_closed
}
