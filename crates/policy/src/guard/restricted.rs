//! The demands of the level `restricted` beside those of `baseline`: a user other than root, no
//! capabilities, and no way to gain any. Every form of a container has its own fields for them.

use super::allow::capability;
use super::{Judge, Step};

use super::host_config::words;
use super::json::Json;

/// Judges `USER[:GROUP]`, which must be a user other than root: by number, since a name may stand
/// for any number in the image.
pub(super) fn user(judge: &mut Judge<'_>, field: &'static str, user: Option<&Json<'_>>) {
    let name = user
        .map(Json::text)
        .unwrap_or_default()
        .split(':')
        .next()
        .unwrap_or_default();
    // The engine takes a number beyond its range for the name of a user of the image.
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let is_somebody_else = is_number && name.parse::<i32>().is_ok_and(|number| number > 0);
    needs(
        judge,
        field,
        is_somebody_else,
        "a user other than root, by number, as in 1000:1000",
    );
}

/// Judges the dropped capabilities, which must be all of them.
pub(super) fn dropped(judge: &mut Judge<'_>, field: &'static str, dropped: Option<&Json<'_>>) {
    let is_all = dropped.is_some_and(|names| words(names).any(|name| capability(name) == "ALL"));
    needs(judge, field, is_all, "every capability dropped: [\"ALL\"]");
}

/// Judges the option by which a program cannot gain rights.
pub(super) fn no_new_privileges(judge: &mut Judge<'_>, field: &'static str, is_set: bool) {
    needs(judge, field, is_set, "no-new-privileges");
}

fn needs(judge: &mut Judge<'_>, field: &'static str, is_met: bool, what: &str) {
    if !is_met {
        judge.within(Step::Field(field), |judge| {
            judge.refuse(format!("the level restricted needs {what}"), None)
        });
    }
}
