//! The request that gets an endpoint's own answer about a missing object.
//!
//! Engines answer about a missing object in words, with a status and with headers that depend on the
//! endpoint, its parameters and the engine's version: 204 for the forced removal of a volume, 500 for
//! the changed files of a container of Podman. A client that may not see an object gets the answer
//! that the same call has for a name that no object has.

use super::EndpointId::{self, *};
use crate::request::call::Call;
use crate::view::{Exposure, exposure};

/// A request of the proxy's own, about a name that no object has.
#[derive(Clone, Debug)]
pub struct StandInCall {
    /// The call, with the name that stands for a missing object.
    pub call: Call,
    /// Its JSON body; empty if it has none.
    pub body: &'static str,
    /// `true` if it pushes, so that it needs credentials for a registry.
    pub is_push: bool,
}

/// The parameters of changing calls on which the answer about a missing object depends. The others
/// are left out: none of them may do anything beside the object of the path.
const PARAMETERS: &[&str] = &[
    "condition",
    "destination",
    "force",
    "h",
    "ignore",
    "name",
    "path",
    "remote",
    "repo",
    "signal",
    "t",
    "tag",
    "timeout",
    "v",
    "version",
    "w",
];

impl Call {
    /// Returns the call about an object of this name, for an answer about a missing object. `None`
    /// if the endpoint does not answer about the object of its path alone: the caller then uses the
    /// answer of an inspection.
    ///
    /// No object may have the name: the call goes to the engine without a judgement. The client's
    /// body does not go with it, which can name other objects that the client does not see.
    #[must_use]
    pub fn about_stand_in(&self, name: &str) -> Option<StandInCall> {
        let endpoint = self.endpoint()?;
        let body = body(endpoint.id)?;
        let call = self.with_captured(name);
        let call = match call.method().is_safe() {
            // The head of an answer does not say how long its body is with another name in it.
            true => call.as_get(),
            false => call.with_parameters_of(PARAMETERS),
        };
        call.endpoint()?;
        let is_push = matches!(endpoint.id, ImagePush | LibpodImagePush | PluginPush);
        Some(StandInCall {
            call,
            body,
            is_push,
        })
    }
}

/// Returns the body with which an endpoint answers about a missing object, instead of about a body
/// that it cannot read; `None` if it is not asked.
fn body(id: EndpointId) -> Option<&'static str> {
    match exposure(id) {
        Exposure::Named
        | Exposure::Container
        | Exposure::Networks
        | Exposure::Pod
        | Exposure::Image
        | Exposure::ImageHistory
        | Exposure::ImageTree
        | Exposure::Task => {}
        Exposure::Nothing
        | Exposure::List(_)
        | Exposure::Volumes
        | Exposure::Events
        | Exposure::DiskUsage
        | Exposure::Prune(_)
        | Exposure::Images
        | Exposure::Builder
        | Exposure::Closed(_) => return None,
    }
    match id {
        // The container in their bodies is looked up first.
        NetworkConnect | NetworkDisconnect | LibpodNetworkConnect | LibpodNetworkDisconnect => None,
        ExecCreate | LibpodExecCreate => Some(r#"{"Cmd":["true"]}"#),
        PluginSet | PluginUpgrade => Some("[]"),
        ExecStart
        | LibpodExecStart
        | LibpodExecRemove
        | ContainerUpdate
        | LibpodContainerUpdate
        | ServiceUpdate
        | NodeUpdate
        | SecretUpdate
        | ConfigUpdate
        | VolumeUpdate => Some("{}"),
        _ => Some(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn stand_in(line: &str) -> Option<String> {
        let (method, target) = line.split_once(' ').expect("METHOD TARGET");
        let asked = Call::read(method, target)
            .expect(target)
            .about_stand_in("none")?;
        let (method, target) = (asked.call.method().as_str(), asked.call.target());
        Some(
            format!("{method} {target} {}", asked.body)
                .trim_end()
                .to_owned(),
        )
    }

    #[test]
    fn the_same_call_is_made_about_another_name() {
        for (line, want) in [
            (
                "GET /v1.43/containers/web/json",
                "GET /v1.43/containers/none/json",
            ),
            (
                "GET /containers/web/logs?stdout=1&tail=5",
                "GET /containers/none/logs?stdout=1&tail=5",
            ),
            (
                "DELETE /volumes/data?force=1&x=y",
                "DELETE /volumes/none?force=1",
            ),
            (
                "HEAD /containers/web/archive?path=/etc",
                "GET /containers/none/archive?path=%2Fetc",
            ),
            // Podman would restart all containers.
            (
                "POST /containers/web/restart?all=true&t=1",
                "POST /containers/none/restart?t=1",
            ),
            (
                "POST /containers/web/restart?ALL=true&%61ll=1",
                "POST /containers/none/restart",
            ),
            (
                "POST /v4.0.0/libpod/containers/web/exec",
                r#"POST /v4.0.0/libpod/containers/none/exec {"Cmd":["true"]}"#,
            ),
        ] {
            assert_eq!(stand_in(line).as_deref(), Some(want), "{line}");
        }
    }

    /// No name keeps these from what they do.
    #[test]
    fn calls_that_do_more_than_to_look_up_a_name_are_not_made() {
        for line in [
            "POST /v4.0.0/libpod/containers/web/restore?import=1",
            "POST /v4.0.0/libpod/images/scp/web?destination=x",
            "POST /v4.0.0/libpod/manifests/web",
            "GET /distribution/web/json",
            "POST /networks/front/connect",
            "GET /containers/json",
        ] {
            assert_eq!(stand_in(line), None, "{line}");
        }
    }

    /// The name is the only part of a path that changes.
    #[test]
    fn the_call_reaches_the_same_endpoint() {
        let mut count = 0;
        for endpoint in Endpoint::all() {
            let call = Call::read(endpoint.method.as_str(), &endpoint.path_with("web"));
            let call = call.expect("a call");
            let Some(asked) = call
                .about_stand_in("none")
                .filter(|_| call.captured().is_some())
            else {
                continue;
            };
            count += 1;
            let found = asked.call.endpoint().expect("an endpoint");
            let is_same = found.id == endpoint.id;
            assert!(is_same || !endpoint.method.is_safe() || found.shape == endpoint.shape);
            assert_eq!(asked.call.captured().map(|one| one.word), Some("none"));
        }
        assert!(count > 120, "{count} endpoints are asked");
    }
}
