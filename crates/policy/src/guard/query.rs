//! Parameters of judged calls: which there may be, how often, and what they may say.

use super::json::fold;
use super::{Judge, Step};
use crate::call::Call;

/// The parameters of a query, decoded.
pub(super) type Pairs = [(String, String)];

/// Looks at all of them together, and at the call.
pub(super) type PairsCheck = fn(&mut Judge<'_>, &Call, &Pairs);

/// A parameter that an endpoint has.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Whether it may stand more than once.
    pub(super) many: bool,
    /// Looks at each of its values.
    pub(super) check: Option<fn(&mut Judge<'_>, &str)>,
}

/// A parameter that can do no harm.
pub(super) const fn plain(name: &'static str) -> Parameter {
    Parameter {
        name,
        many: false,
        check: None,
    }
}

/// One that may stand more than once.
pub(super) const fn many(name: &'static str) -> Parameter {
    Parameter {
        name,
        many: true,
        check: None,
    }
}

/// A parameter that is looked at.
pub(super) const fn judged(name: &'static str, check: fn(&mut Judge<'_>, &str)) -> Parameter {
    Parameter {
        name,
        many: false,
        check: Some(check),
    }
}

/// One that is looked at, and may stand more than once.
pub(super) const fn many_judged(name: &'static str, check: fn(&mut Judge<'_>, &str)) -> Parameter {
    Parameter {
        name,
        many: true,
        check: Some(check),
    }
}

/// No client sends more.
const LIMIT: usize = 512;

/// Judges every parameter, and returns the call with a query that was written from them; and them.
///
/// Docker takes the first of several values and names in one spelling; Podman the last, and names
/// in any. So each name stands once, in its one spelling. What a call with a body has beside goes
/// no further: docker-modem sends the body's fields there too.
pub(super) fn judge(
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
