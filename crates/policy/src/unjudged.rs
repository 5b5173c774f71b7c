//! What a guarded profile lets pass unread.

use crate::call::Call;
use crate::decide::{Ground, Verdict, decide};
use crate::endpoint::Endpoint;
use crate::guard::{Duty, duty};
use crate::profile::Profile;

/// Endpoints whose bodies nobody judges although the profile is guarded: its rules name them. As `METHOD /path`.
#[must_use]
pub fn unjudged(profile: &Profile) -> Vec<String> {
    let open = Endpoint::all().filter(|endpoint| sample(endpoint).is_some_and(|call| is_open(call, profile)));
    open.map(|endpoint| format!("{} {}", endpoint.method, endpoint.shape)).collect()
}

fn is_open(call: Call, profile: &Profile) -> bool {
    if !matches!(duty(&call, profile.guard.level), Duty::Unread) {
        return false;
    }
    match decide(call, profile) {
        Verdict::Allow(permit) => matches!(permit.ground(), Ground::Rule(_)),
        Verdict::Deny(_) => false,
    }
}

/// A call of the endpoint. Podman has its own paths with a version only.
fn sample(endpoint: &Endpoint) -> Option<Call> {
    let segments = endpoint.shape.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment });
    let version = if endpoint.shape.starts_with("/libpod/") { "/v5.0.0" } else { "" };
    Call::read(endpoint.method.as_str(), &format!("{version}{}", segments.collect::<Vec<_>>().join("/"))).ok()
}
