//! What a guarded profile lets pass unread.

use crate::call::Call;
use crate::decide::{Verdict, decide};
use crate::endpoint::Endpoint;
use crate::guard::{Duty, duty};
use crate::profile::Profile;

/// Endpoints whose bodies nobody judges although the profile is guarded: its rules name them. As `METHOD /path`.
#[must_use]
pub fn unjudged(profile: &Profile) -> Vec<String> {
    let open = Endpoint::all().filter(|endpoint| {
        let call = Call::read(endpoint.method.as_str(), &endpoint.path_with("x"));
        call.is_ok_and(|call| is_open(call, profile))
    });
    open.map(|endpoint| format!("{} {}", endpoint.method, endpoint.shape)).collect()
}

fn is_open(call: Call, profile: &Profile) -> bool {
    if !matches!(duty(&call, &profile.guard), Duty::Unread) {
        return false;
    }
    matches!(decide(call, profile), Verdict::Allow(_))
}
