//! Builds with BuildKit. A client needs two channels to the engine's own builder. If one is
//! refused, buildx starts a builder in a privileged container instead, without a message
//! (docker/buildx `driver/manager.go`, `driver/docker-container`).

use crate::endpoint::EndpointId;
use crate::guard::Guard;
use crate::request::call::Call;

/// The rules that open both channels.
pub const BUILD_RULES: &[&str] = &["POST %API_PREFIX_GRPC%", "POST %API_PREFIX_SESSION%"];

/// The step of a build that a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuildStep {
    /// The call opens one of the two channels.
    Channel,
    /// The call prepares a builder in a container of its own.
    Builder,
}

impl BuildStep {
    /// Returns the step that method, path and query tell.
    pub(crate) fn of_call(call: &Call) -> Option<Self> {
        match call.endpoint()?.id {
            EndpointId::BuildGrpc | EndpointId::BuildSession => Some(Self::Channel),
            EndpointId::ContainerCreate if has_parameter(call, "name", is_builder_name) => {
                Some(Self::Builder)
            }
            EndpointId::ImageCreate if has_parameter(call, "fromImage", is_builder_image) => {
                Some(Self::Builder)
            }
            _ => None,
        }
    }
}

/// Returns whether the query has one parameter of this name, with such a value.
fn has_parameter(call: &Call, name: &str, is_such: fn(&str) -> bool) -> bool {
    let pairs = call.parameters().unwrap_or_default();
    let mut values = pairs
        .iter()
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value);
    values.next().is_some_and(|value| is_such(value)) && values.next().is_none()
}

/// Returns whether buildx gives this name to a container (docker/buildx `driver.BuilderName`).
pub(crate) fn is_builder_name(name: &str) -> bool {
    name.trim_start_matches('/').starts_with("buildx_buildkit_")
}

/// Returns whether an image is one of BuildKit itself, under its public name.
pub(crate) fn is_builder_image(image: &str) -> bool {
    image
        .trim_start_matches("docker.io/")
        .starts_with("moby/buildkit")
}

/// Returns whether rules can open the channels for clients with this guard: one that restricts
/// images cannot see those of a build.
pub(crate) fn can_be_opened(guard: &Guard) -> bool {
    guard.level == crate::guard::GuardLevel::Privileged || !guard.binds_images()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_build_are_recognised() {
        use BuildStep::{Builder, Channel};
        for (line, want) in [
            ("POST /v1.51/grpc", Some(Channel)),
            ("POST /session", Some(Channel)),
            (
                "POST /v1.51/containers/create?name=buildx_buildkit_default",
                Some(Builder),
            ),
            (
                "POST /containers/create?name=/buildx_buildkit_x0",
                Some(Builder),
            ),
            (
                "POST /images/create?fromImage=moby%2Fbuildkit&tag=buildx-stable-1",
                Some(Builder),
            ),
            (
                "POST /images/create?fromImage=docker.io%2Fmoby%2Fbuildkit",
                Some(Builder),
            ),
            ("POST /containers/create?name=web", None),
            ("POST /containers/create", None),
            (
                "POST /containers/create?name=buildx_buildkit_a&name=b",
                None,
            ),
            ("POST /images/create?fromImage=busybox", None),
            ("POST /build", None),
            ("GET /grpc", None),
        ] {
            let (method, target) = line.split_once(' ').expect("METHOD TARGET");
            assert_eq!(
                BuildStep::of_call(&Call::read(method, target).expect(line)),
                want,
                "{line}"
            );
        }
    }
}
