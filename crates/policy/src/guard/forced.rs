//! Removals by force: Podman removes the containers that use the object along with it, those of
//! other clients and the proxy's own included.

use super::judge::{Judge, Step};
use crate::endpoint::{Endpoint, EndpointId};
use crate::request::call::Call;

/// The parameter that turns force on.
const FORCE: &str = "force";

/// The engines on which the force of a removal takes containers along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TakesContainers {
    /// All engines that have the endpoint.
    Always,
    /// Podman. Docker takes tags off the image, and keeps its containers.
    OnPodman,
}

/// Returns whether the removal takes containers along where it is forced (Podman
/// `pkg/api/handlers`). Its removal of a volume by Docker's path does not: force only makes a
/// missing volume no error there.
fn takes_containers(id: EndpointId) -> Option<(TakesContainers, &'static str)> {
    use EndpointId::*;
    match id {
        LibpodVolumeRemove => Some((TakesContainers::Always, "volume")),
        LibpodImageRemove | LibpodImageRemoveMany => Some((TakesContainers::Always, "image")),
        ImageRemove => Some((TakesContainers::OnPodman, "image")),
        NetworkRemove | LibpodNetworkRemove => Some((TakesContainers::Always, "network")),
        LibpodQuadletRemove | LibpodQuadletRemoveMany => Some((TakesContainers::Always, "quadlet")),
        _ => None,
    }
}

impl Judge<'_> {
    /// Refuses a removal that takes containers along which the call does not name: neither the
    /// targets nor the protection of the proxy's own container would hold for them.
    pub(super) fn refuse_forced_removal(&mut self, call: &Call, endpoint: &Endpoint) {
        let Some((when, kind)) = takes_containers(endpoint.id) else {
            return;
        };
        let is_bounded = self.is_guarded() || self.bounds_objects();
        if !is_bounded || !call.turns_on(FORCE) {
            return;
        }
        self.within(Step::Parameter(FORCE), |judge| match when {
            TakesContainers::Always => judge.takes_containers_along(kind),
            TakesContainers::OnPodman => {
                judge.forced_removal = Some((judge.place().to_vec(), kind))
            }
        });
    }

    /// Notes that the containers of an object are removed with it.
    pub(super) fn takes_containers_along(&mut self, kind: &str) {
        let what = format!(
            "removes the containers of the {kind} with it; remove or disconnect those first"
        );
        self.refuse(what, None);
    }
}
