//! Which calls are judged, and how: a row for each endpoint that takes a body, or whose query carries power.

use super::form::{Form, field, judged};
use super::json::Json;
use super::query::{self, Parameter, many, plain};
use super::{
    Body, Judge, Level, Reader, build, container, exec, host_config, image, network, service, specgen, volume,
};
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::method::Method;

/// What the guard does with the calls of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duty {
    /// Nothing.
    Pass,
    /// They are read and judged.
    Judge(&'static Reader),
    /// They are refused, for this reason.
    Closed(&'static str),
    /// They carry what nobody reads here: only a rule that names the endpoint lets them pass.
    Unread,
}

const fn json(parameters: &'static [Parameter], form: &'static Form) -> Reader {
    Reader { parameters, body: Body::Json(form), whole: None, pairs: None }
}

const fn stream(parameters: &'static [Parameter], whole: fn(&mut Judge<'_>, &Json<'_>)) -> Reader {
    Reader { parameters, body: Body::Stream, whole: Some(whole), pairs: None }
}

static CONTAINER_CREATE: Reader =
    Reader { whole: Some(container::whole), ..json(&[plain("name"), plain("platform")], &container::CREATE) };
static LIBPOD_CREATE: Reader = Reader { whole: Some(specgen::whole), ..json(&[], &specgen::CREATE) };
static LIBPOD_START: Reader =
    Reader { parameters: &[plain("detachkeys"), plain("recursive")], body: Body::Nothing, whole: None, pairs: None };
static SERVICE_CREATE: Reader = Reader { whole: Some(service::whole), ..json(&[], &service::SPEC) };
static SERVICE_UPDATE: Reader =
    Reader { whole: Some(service::whole), ..json(service::UPDATE_PARAMETERS, &service::SPEC) };
static CONTAINER_UPDATE: Reader = json(&[], &host_config::UPDATE);
static CONTAINER_START: Reader = Reader { parameters: START_PARAMETERS, body: Body::Nothing, whole: None, pairs: None };
const START_PARAMETERS: &[Parameter] =
    &[plain("detachKeys"), query::judged("checkpoint", checkpoint), query::judged("checkpoint-dir", host_folder)];
/// Listing and removing them.
static CHECKPOINTS: Reader =
    Reader { parameters: &[query::judged("dir", host_folder)], body: Body::Nothing, whole: None, pairs: None };
static EXEC_CREATE: Reader = Reader { whole: Some(exec::whole), ..json(&[], &exec::CREATE) };
static EXEC_START: Reader = json(&[], &exec::START);
static COMMIT: Reader = Reader { pairs: Some(image::made), ..json(image::COMMIT, &container::COMMIT) };
static PULL_OR_IMPORT: Reader =
    Reader { parameters: image::CREATE, body: Body::Stream, whole: None, pairs: Some(image::made) };
static TAG: Reader = Reader { parameters: image::TAG, body: Body::Nothing, whole: None, pairs: Some(image::tagged) };
static LIBPOD_EXEC_REMOVE: Reader = json(&[], &exec::LIBPOD_REMOVE);
static LIBPOD_PULL: Reader = Reader { parameters: image::LIBPOD_PULL, body: Body::Stream, whole: None, pairs: None };
static LOAD: Reader = stream(&[plain("quiet"), many("platform")], image::unseen);
static BUILD: Reader = stream(build::PARAMETERS, image::unseen);
static VOLUME_CREATE: Reader = json(&[], &volume::CREATE);
static LIBPOD_VOLUME_CREATE: Reader = json(&[], &volume::LIBPOD_CREATE);
static NETWORK_CREATE: Reader = json(&[], &network::CREATE);
static NETWORK_CONNECT: Reader = json(&[], &network::CONNECT);
static NETWORK_DISCONNECT: Reader = json(&[], &network::DISCONNECT);
static LOGIN: Reader = json(&[], &LOGIN_FORM);
static SECRET: Reader = json(&[plain("version")], &SECRET_FORM);
static NODE_UPDATE: Reader = json(&[plain("version")], &NODE_FORM);

/// moby `api/types/registry.AuthConfig`. The engine connects to the address that it names.
static LOGIN_FORM: Form = Form::Struct(&[
    field("username", Form::Text),
    field("password", Form::Text),
    field("auth", Form::Text),
    field("email", Form::Text),
    judged("serveraddress", Form::Text, |judge, value| image::server(judge, value.text())),
    field("identitytoken", Form::Text),
    field("registrytoken", Form::Text),
]);

/// moby `api/types/swarm.SecretSpec` and `ConfigSpec`; drivers and templates, which read what is not the client's, are not in it.
static SECRET_FORM: Form =
    Form::Struct(&[field("Name", Form::Text), field("Labels", Form::Map(&Form::Text)), field("Data", Form::Text)]);

/// moby `api/types/swarm.NodeSpec`.
static NODE_FORM: Form = Form::Struct(&[
    field("Name", Form::Text),
    field("Labels", Form::Map(&Form::Text)),
    judged("Role", Form::Text, role),
    field("Availability", Form::Text),
]);

/// The engine compares without case; a manager has all of the cluster.
fn role(judge: &mut Judge<'_>, value: &Json<'_>) {
    if value.text() != "worker" {
        judge.refuse("only the role worker can be given: a manager has all of the cluster".to_owned(), None);
    }
}

fn host_folder(judge: &mut Judge<'_>, folder: &str) {
    if !folder.is_empty() {
        judge.refuse("names a folder of the host".to_owned(), None);
    }
}

/// The engine joins it to its own folder; what it takes for a name when it makes one (moby `names.RestrictedNamePattern`) leads
/// nowhere else.
fn checkpoint(judge: &mut Judge<'_>, name: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.starts_with('.') || !name.chars().all(is_plain) {
        judge.refuse("is no name of a checkpoint".to_owned(), None);
    }
}

const LIKE_A_JUDGED_ONE: &str = "it ends like an endpoint that is judged, and is not that endpoint";

/// Whether an unknown path ends as an endpoint does that is not let pass unread: the engine's last segments decide, and the name
/// of a linked container has a slash in it (`/containers/web/db/exec`).
fn is_like_a_judged_one(call: &Call) -> bool {
    let path = call.unversioned_path();
    let Some(word) = path.split('/').rfind(|segment| !segment.is_empty()) else { return false };
    let section = |path: &str| path.trim_start_matches("/libpod").split('/').nth(1).unwrap_or_default().to_owned();
    let is_harmless = |endpoint: &Endpoint| BODILESS.contains(&endpoint.shape);
    Endpoint::all().any(|endpoint| {
        let last = endpoint.shape.rsplit('/').next().unwrap_or_default();
        endpoint.method == call.method()
            && last == word
            && section(endpoint.shape) == section(path)
            && !is_harmless(endpoint)
    })
}

const PLUGINS: &str = "plugins run on the host, as root";
const SWARM: &str = "who may change the cluster has every node of it";

/// What the guard of this level does with a call.
pub(crate) fn duty(call: &Call, level: Level) -> Duty {
    let writes = matches!(call.method(), Method::Post | Method::Put | Method::Patch);
    let Some(endpoint) = call.endpoint() else {
        let is_closed = level != Level::Privileged && writes && is_like_a_judged_one(call);
        return if is_closed { Duty::Closed(LIKE_A_JUDGED_ONE) } else { Duty::Unread };
    };
    if level == Level::Privileged {
        return Duty::Pass;
    }
    match (call.method(), endpoint.shape) {
        // Their query names a folder of the host, to be listed, or removed as root.
        (_, "/containers/{container}/checkpoints" | "/containers/{container}/checkpoints/{checkpoint}") if !writes => {
            Duty::Judge(&CHECKPOINTS)
        }
        _ if !writes => Duty::Pass,
        (_, "/containers/create") => Duty::Judge(&CONTAINER_CREATE),
        (_, "/libpod/containers/create") => Duty::Judge(&LIBPOD_CREATE),
        (_, "/containers/{container}/update") => Duty::Judge(&CONTAINER_UPDATE),
        (_, "/containers/{container}/start") => Duty::Judge(&CONTAINER_START),
        (_, "/libpod/containers/{container}/start") => Duty::Judge(&LIBPOD_START),
        (_, "/containers/{container}/exec" | "/libpod/containers/{container}/exec") => Duty::Judge(&EXEC_CREATE),
        (_, "/exec/{id}/start" | "/libpod/exec/{id}/start") => Duty::Judge(&EXEC_START),
        (_, "/commit") => Duty::Judge(&COMMIT),
        (_, "/images/create") => Duty::Judge(&PULL_OR_IMPORT),
        (_, "/images/{image*}/tag" | "/libpod/images/{image*}/tag") => Duty::Judge(&TAG),
        (_, "/libpod/exec/{id}/remove") => Duty::Judge(&LIBPOD_EXEC_REMOVE),
        (_, "/libpod/images/pull") => Duty::Judge(&LIBPOD_PULL),
        (_, "/images/load") => Duty::Judge(&LOAD),
        (_, "/build") => Duty::Judge(&BUILD),
        (_, "/volumes/create") => Duty::Judge(&VOLUME_CREATE),
        (_, "/libpod/volumes/create") => Duty::Judge(&LIBPOD_VOLUME_CREATE),
        (_, "/networks/create") => Duty::Judge(&NETWORK_CREATE),
        (_, "/networks/{network}/connect") => Duty::Judge(&NETWORK_CONNECT),
        (_, "/networks/{network}/disconnect") => Duty::Judge(&NETWORK_DISCONNECT),
        (_, "/services/create") => Duty::Judge(&SERVICE_CREATE),
        (_, "/services/{id}/update") => Duty::Judge(&SERVICE_UPDATE),
        (_, "/auth") => Duty::Judge(&LOGIN),
        (_, "/secrets/create" | "/secrets/{id}/update" | "/configs/create" | "/configs/{id}/update") => {
            Duty::Judge(&SECRET)
        }
        (_, "/nodes/{id}/update") => Duty::Judge(&NODE_UPDATE),
        (_, "/swarm/init" | "/swarm/join" | "/swarm/update" | "/swarm/unlock") => Duty::Closed(SWARM),
        (_, shape) if shape.starts_with("/plugins/") => Duty::Closed(PLUGINS),
        (Method::Post, shape) if BODILESS.contains(&shape) => Duty::Pass,
        // What takes a body and is not above, and whatever is added to the table of endpoints before anybody thinks of it here.
        _ => Duty::Unread,
    }
}

/// Writes without a body, whose query can do no more than their path says.
const BODILESS: &[&str] = &[
    "/containers/{container}/attach",
    "/exec/{id}/resize",
    "/containers/{container}/stop",
    "/containers/{container}/restart",
    "/containers/{container}/kill",
    "/containers/{container}/pause",
    "/containers/{container}/unpause",
    "/containers/{container}/wait",
    "/containers/{container}/resize",
    "/containers/{container}/rename",
    "/containers/prune",
    "/images/{image*}/push",
    "/images/prune",
    "/build/prune",
    "/build/cancel",
    "/volumes/prune",
    "/networks/prune",
    "/swarm/leave",
    "/libpod/system/prune",
    "/libpod/containers/{container}/init",
    "/libpod/containers/{container}/stop",
    "/libpod/containers/{container}/restart",
    "/libpod/containers/{container}/kill",
    "/libpod/containers/{container}/pause",
    "/libpod/containers/{container}/unpause",
    "/libpod/containers/{container}/wait",
    "/libpod/containers/{container}/resize",
    "/libpod/containers/{container}/rename",
    "/libpod/containers/{container}/attach",
    "/libpod/containers/prune",
    "/libpod/exec/{id}/resize",
    "/libpod/images/{image*}/push",
    "/libpod/images/{image*}/untag",
    "/libpod/images/prune",
    "/libpod/networks/prune",
    "/libpod/pods/{id}/start",
    "/libpod/pods/{id}/stop",
    "/libpod/pods/{id}/restart",
    "/libpod/pods/{id}/kill",
    "/libpod/pods/{id}/pause",
    "/libpod/pods/{id}/unpause",
    "/libpod/pods/prune",
    "/libpod/volumes/prune",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_an_endpoint() {
        for shape in BODILESS {
            assert!(Endpoint::all().any(|known| known.shape == *shape), "{shape}");
        }
    }

    #[test]
    fn what_carries_power_does_not_just_pass() {
        let name = |duty| match duty {
            Duty::Pass => "pass",
            Duty::Judge(_) => "judge",
            Duty::Closed(_) => "closed",
            Duty::Unread => "unread",
        };
        for (request, want) in [
            ("GET /containers/json", "pass"),
            ("DELETE /containers/x", "pass"),
            ("GET /containers/x/checkpoints", "judge"),
            ("DELETE /containers/x/checkpoints/y", "judge"),
            ("POST /v1.43/containers/create", "judge"),
            ("POST /containers/x/start", "judge"),
            ("POST /containers/x/stop", "pass"),
            ("POST /containers/x/exec", "judge"),
            ("POST /exec/x/start", "judge"),
            ("POST /build", "judge"),
            ("POST /session", "unread"),
            ("POST /grpc", "unread"),
            ("POST /services/create", "judge"),
            ("POST /services/x/update", "judge"),
            ("POST /swarm/init", "closed"),
            ("POST /swarm/join", "closed"),
            ("POST /swarm/update", "closed"),
            ("POST /swarm/unlock", "closed"),
            ("POST /plugins/pull", "closed"),
            ("POST /plugins/create", "closed"),
            ("POST /plugins/x/enable", "closed"),
            ("POST /plugins/x/set", "closed"),
            ("PUT /volumes/x", "unread"),
            ("PUT /containers/x/archive", "unread"),
            ("POST /containers/x/checkpoints", "unread"),
            ("POST /v4.0.0/libpod/containers/create", "judge"),
            ("POST /v4.0.0/libpod/pods/create", "unread"),
            ("POST /v4.0.0/libpod/play/kube", "unread"),
            ("POST /v4.0.0/libpod/kube/play", "unread"),
            ("POST /v4.0.0/libpod/build", "unread"),
            ("POST /v4.0.0/libpod/secrets/create", "unread"),
            ("POST /v4.0.0/libpod/quadlets", "unread"),
            ("POST /v4.0.0/libpod/images/import", "unread"),
            ("POST /v4.0.0/libpod/networks/create", "unread"),
            ("POST /v4.0.0/libpod/containers/x/exec", "judge"),
            ("POST /nobody/knows/this", "unread"),
            // The engine reads a linked container's name there.
            ("POST /containers/web/db/exec", "closed"),
            ("POST /containers/web/db/update", "closed"),
            ("POST /containers/create/", "closed"),
            ("POST /containers/web/db/stop", "unread"),
            ("POST /images/x/tag", "judge"),
        ] {
            let (method, target) = request.split_once(' ').expect("a request line");
            let call = Call::read(method, target).expect(request);
            assert_eq!(name(duty(&call, Level::Baseline)), want, "{request}");
            assert_eq!(name(duty(&call, Level::Restricted)), want, "{request}");
            if call.endpoint().is_some() {
                assert_eq!(name(duty(&call, Level::Privileged)), "pass", "{request}");
            }
        }
    }
}
