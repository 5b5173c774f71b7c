//! Parameters of judged calls: their names, how often each may occur, and their values.

use super::json::fold;
use super::{Judge, Step};
use crate::request::call::Call;

/// The parameters of a query, decoded.
pub(super) type Pairs = [(String, String)];

/// A check of all parameters together, and of the call.
pub(super) type PairsCheck = fn(&mut Judge<'_>, &Call, &Pairs);

/// A parameter of an endpoint.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `true` if the parameter may occur more than once.
    pub(super) many: bool,
    /// The check of each of its values.
    pub(super) check: Option<fn(&mut Judge<'_>, &str)>,
}

/// Returns a parameter that can do no harm.
pub(super) const fn plain(name: &'static str) -> Parameter {
    Parameter {
        name,
        many: false,
        check: None,
    }
}

/// Returns a parameter that can do no harm and may occur more than once.
pub(super) const fn many(name: &'static str) -> Parameter {
    Parameter {
        name,
        many: true,
        check: None,
    }
}

/// Returns a parameter whose values are judged.
pub(super) const fn judged(name: &'static str, check: fn(&mut Judge<'_>, &str)) -> Parameter {
    Parameter {
        name,
        many: false,
        check: Some(check),
    }
}

/// Returns a parameter whose values are judged, and that may occur more than once.
pub(super) const fn many_judged(name: &'static str, check: fn(&mut Judge<'_>, &str)) -> Parameter {
    Parameter {
        name,
        many: true,
        check: Some(check),
    }
}

/// The most parameters that a client sends.
const LIMIT: usize = 512;

/// Judges every parameter. Returns the parameters, and the call with a query that is written from
/// them.
///
/// Docker takes the first of several values and names in one spelling; Podman the last, and names
/// in any spelling. So each name occurs once, in its one spelling. Unknown parameters of a call
/// with a body are dropped: docker-modem repeats the body's fields there.
pub(super) fn judge_parameters(
    judge: &mut Judge<'_>,
    call: &Call,
    known: &[Parameter],
    has_body: bool,
) -> (Call, Vec<(String, String)>) {
    let Some(pairs) = call.parameters() else {
        judge.within(Step::Parameter(""), |judge| {
            judge.malformed("the query is not UTF-8 once decoded".to_owned())
        });
        return (call.clone(), Vec::new());
    };
    if pairs.len() > LIMIT {
        judge.within(Step::Parameter(""), |judge| {
            judge.malformed(format!("more than {LIMIT} parameters"))
        });
        return (call.clone(), Vec::new());
    }
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        if judge.is_full() {
            break;
        }
        judge.step(known.len());
        let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
            let folded = fold(&name);
            let meant = known
                .iter()
                .find(|parameter| parameter.name.eq_ignore_ascii_case(&folded));
            let what = match meant {
                Some(parameter) => format!(
                    "engines may take this for {name}; write {name}",
                    name = parameter.name
                ),
                None if has_body => continue,
                None => "the guard does not know this parameter here".to_owned(),
            };
            judge.within(Step::Parameter(&name), |judge| judge.refuse(what, None));
            continue;
        };
        judge.within(Step::Parameter(&name), |judge| {
            if !parameter.many && kept.iter().any(|(known, _)| *known == name) {
                judge.malformed("stands more than once".to_owned());
            }
            if let Some(check) = parameter.check {
                check(judge, &value);
            }
        });
        kept.push((name, value));
    }
    (call.with_parameters(&kept), kept)
}
