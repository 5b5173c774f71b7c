//! The replacement of a container: a call that loses it, and the create by which its client makes
//! it again.

use crate::decide::{STRANGERS, find_granting_rule};
use crate::endpoint::{Endpoint, EndpointId};
use crate::guard::{GuardLevel, Loss, Recreation, Replacement};
use crate::identity::profile::Profile;
use crate::request::call::Call;
use crate::request::method::Method;

/// Returns the re-creation that is judged before a call loses a container. `None` if the client
/// does not replace containers, or cannot create any: then it loses no container if the guard
/// refuses a create.
pub(crate) fn replacement(call: &Call, profile: &Profile) -> Option<Replacement> {
    let how = profile.recreation.filter(|how| *how != Recreation::Off)?;
    let loss = Loss::of_call(call).filter(|_| profile.guard.level != GuardLevel::Privileged)?;
    let prefix = call.version_prefix();
    let may = |path: &str| {
        let sibling = Call::from_path(Method::Post, &format!("{prefix}{path}")).ok()?;
        find_granting_rule(&sibling, profile)
            .is_ok()
            .then_some(sibling)
    };
    let create = may("/containers/create").or_else(|| may("/libpod/containers/create"))?;
    let renames = EndpointId::ContainerRename;
    let rename = Endpoint::of(renames).path_with(STRANGERS[0]);
    let rename_rule = may(&rename)
        .is_none()
        .then(|| format!("POST {}", Endpoint::of(renames).pattern()));
    Some(Replacement {
        loss,
        how,
        create,
        rename_rule,
    })
}
