//! Commands in containers: a client creates one with a call, and starts it with another.

use crate::endpoint::{Endpoint, EndpointId};
use crate::identity::profile::Profile;
use crate::request::call::Call;

/// The calls that create a command, each with the one that starts it.
const HALVES: [[EndpointId; 2]; 2] = [
    [EndpointId::ExecCreate, EndpointId::ExecStart],
    [EndpointId::LibpodExecCreate, EndpointId::LibpodExecStart],
];

/// Returns the endpoint without which the call is of no use, if no rule of the profile opens it for
/// any object.
pub(crate) fn find_missing_half(call: &Call, profile: &Profile) -> Option<EndpointId> {
    let other = other_half(call)?;
    let is_open = call_of(other).is_some_and(|call| profile.rules.may_allow_any_object(&call));
    (!is_open).then_some(other)
}

/// Returns the rule that a client needs beside the one for a call that creates or starts a command.
#[must_use]
pub fn exec_rule_beside(call: &Call) -> Option<String> {
    rule_of(other_half(call)?)
}

/// Returns the call that starts the command that a call creates, or the other way round.
fn other_half(call: &Call) -> Option<EndpointId> {
    let id = call.endpoint()?.id;
    HALVES.iter().find_map(|[create, start]| match id {
        _ if id == *create => Some(*start),
        _ if id == *start => Some(*create),
        _ => None,
    })
}

/// Returns the rule that opens an endpoint for any object.
pub(crate) fn rule_of(id: EndpointId) -> Option<String> {
    call_of(id)?.rule_to_add()
}

fn call_of(id: EndpointId) -> Option<Call> {
    let endpoint = Endpoint::of(id);
    Call::from_path(endpoint.method, &endpoint.path_with("some-name")).ok()
}
