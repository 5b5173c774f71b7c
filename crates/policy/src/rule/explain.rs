//! The reason why a rule does not match a call, for `explain`.

use std::ops::Range;

use regex_syntax::ast::{self, Ast};

use super::{Language, Rule, RuleBody, to_regex_syntax, variable};
use crate::request::call::Call;

/// The reason why a rule does not match a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The rule matches the path by another method.
    Method,
    /// The rule matches the path without its version prefix.
    Version,
    /// The rule matches the path up to a place.
    Path {
        /// The part of [`Rule::text`] that does not match, in bytes; empty and at its end if the
        /// path is longer than the rule.
        at: Range<usize>,
        /// The length of the path that the part before it matches, in bytes.
        taken: usize,
    },
    /// The rule is about other paths.
    Elsewhere,
}

impl Rule {
    /// Returns the reason why this rule does not match a call; `None` if it does.
    #[must_use]
    pub fn miss(&self, call: &Call) -> Option<Miss> {
        if self.matches(call) {
            return None;
        }
        let RuleBody::Pattern { methods, .. } = &self.body else {
            return Some(self.miss_by_name(call));
        };
        let (unversioned, has_method) =
            (call.version_prefix().len(), methods.contain(call.method()));
        match self.matches_path(call.path(), unversioned) {
            true => return Some(Miss::Method),
            false
                if has_method
                    && unversioned > 0
                    && self.matches_path(call.unversioned_path(), 0) =>
            {
                return Some(Miss::Version);
            }
            false => {}
        }
        let pattern = self.pattern();
        let offset = self.text().len() - pattern.len();
        let (at, taken) = split_alternatives(pattern)
            .into_iter()
            .filter_map(|pieces| find_first_misfit(pattern, &pieces, call.path()))
            .max_by_key(|(_, taken)| *taken)?;
        let section = call.unversioned_path()[1..]
            .find('/')
            .map_or(call.path().len(), |end| unversioned + 1 + end);
        let is_near = has_method && taken >= section;
        Some(if is_near {
            Miss::Path {
                at: offset + at.start..offset + at.end,
                taken,
            }
        } else {
            Miss::Elsewhere
        })
    }

    /// Returns the reason why a rule by name does not match: it is about other endpoints, other
    /// objects of the endpoint, or another method.
    fn miss_by_name(&self, call: &Call) -> Miss {
        let (RuleBody::Names(names), Some(endpoint)) = (&self.body, call.endpoint()) else {
            return Miss::Elsewhere;
        };
        let Some(named) = names.iter().find(|named| named.endpoint.id == endpoint.id) else {
            return Miss::Elsewhere;
        };
        match call.captured() {
            Some(captured) if !named.is_about(captured.word) => {
                let start = self.methods_at;
                let at = start + named.at.start..start + named.at.end;
                Miss::Path {
                    at,
                    taken: call.version_prefix().len() + captured.start,
                }
            }
            _ => Miss::Method,
        }
    }
}

/// Returns the first piece that does not match the path, and the length of the path that those
/// before it match.
fn find_first_misfit(
    pattern: &str,
    pieces: &[Range<usize>],
    path: &str,
) -> Option<(Range<usize>, usize)> {
    let start = pieces.first()?.start;
    let taken = |end: usize| {
        let language = Language::new(&to_regex_syntax(&pattern[start..end]))?;
        language.longest_prefix_of(path)
    };
    let mut before = 0;
    for piece in pieces {
        match taken(piece.end) {
            Some(length) => before = length,
            None => return Some((piece.clone(), before)),
        }
    }
    let end = pieces.last()?.end;
    Some((end..end, before))
}

/// Splits a pattern into its alternatives, and each of them into pieces: variables, groups,
/// classes, and literals up to the next slash.
fn split_alternatives(pattern: &str) -> Vec<Vec<Range<usize>>> {
    let Ok(whole) = ast::parse::Parser::new().parse(pattern) else {
        return vec![vec![0..pattern.len()]];
    };
    let branches = match &whole {
        Ast::Alternation(alternation) => alternation.asts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let variables: Vec<_> = variable::find_variables(pattern)
        .map(|(range, _)| range)
        .collect();
    branches
        .iter()
        .map(|branch| split_pieces(pattern, branch, &variables))
        .collect()
}

/// Splits one alternative into pieces.
fn split_pieces(pattern: &str, branch: &Ast, variables: &[Range<usize>]) -> Vec<Range<usize>> {
    let parts = match branch {
        Ast::Concat(concat) => concat.asts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut pieces: Vec<(Range<usize>, bool)> = Vec::new();
    for part in parts {
        let span = part.span().start.offset..part.span().end.offset;
        let is_literal = matches!(part, Ast::Literal(_));
        let own = variables
            .iter()
            .find(|range| range.start < span.end && span.start < range.end);
        match (pieces.last_mut(), own) {
            // The letters of a variable's name and the repetition behind it make one piece.
            (Some((last, _)), Some(own)) if last.start == own.start => {
                last.end = own.end.max(span.end)
            }
            (_, Some(own)) => pieces.push((own.start..own.end.max(span.end), false)),
            (Some((last, true)), None) if is_literal && &pattern[span.clone()] != "/" => {
                last.end = span.end
            }
            _ => pieces.push((span, is_literal)),
        }
    }
    pieces.into_iter().map(|(range, _)| range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse;

    #[test]
    fn the_caret_stands_where_it_stops_to_fit() {
        for (rule, request, want) in [
            (
                "GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json",
                "GET /v1.43/containers/web/logs",
                ("/json", "/v1.43/containers/web"),
            ),
            (
                "GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID%/json",
                "GET /containers/web/json",
                ("%CONTAINER_ID%", "/containers/"),
            ),
            (
                "GET /containers/json",
                "GET /containers/json/x",
                ("", "/containers/json"),
            ),
            (
                "GET /containers/(json|web/top)",
                "GET /containers/web/json",
                ("(json|web/top)", "/containers/"),
            ),
            (
                "GET /containers/jsn",
                "GET /containers/json",
                ("/jsn", "/containers"),
            ),
            (
                "GET /info|/containers/x+",
                "GET /containers/y",
                ("x+", "/containers/"),
            ),
            (
                "GET %API_PREFIX%?/containers/j[a-r]+n",
                "GET /containers/json",
                ("[a-r]+", "/containers/j"),
            ),
            (
                "GET\t/containers/jsn",
                "GET /containers/json",
                ("/jsn", "/containers"),
            ),
        ] {
            let rules = parse("t", rule).expect(rule);
            let (method, target) = request.split_once(' ').expect("METHOD TARGET");
            let call = Call::read(method, target).expect(target);
            let Some(Miss::Path { at, taken }) = rules[0].miss(&call) else {
                panic!("{rule}: {:?}", rules[0].miss(&call))
            };
            assert_eq!(
                (&rules[0].text()[at], &call.path()[..taken]),
                want,
                "{rule} ← {request}"
            );
        }
    }

    #[test]
    fn other_ways_to_miss() {
        for (rule, request, want) in [
            (
                "GET /containers/json",
                "POST /containers/json",
                Some(Miss::Method),
            ),
            ("GET /containers/json", "GET /containers/json", None),
            (
                "GET /containers/json",
                "GET /v1.43/containers/json",
                Some(Miss::Version),
            ),
            (
                "GET /images/json",
                "GET /containers/json",
                Some(Miss::Elsewhere),
            ),
            (
                "GET %API_PREFIX_EVENTS%",
                "GET /v1.43/containers/json",
                Some(Miss::Elsewhere),
            ),
            (
                "POST /containers/x",
                "GET /containers/json",
                Some(Miss::Elsewhere),
            ),
        ] {
            let (method, target) = request.split_once(' ').expect("METHOD TARGET");
            let call = Call::read(method, target).expect(target);
            assert_eq!(
                parse("t", rule).expect(rule)[0].miss(&call),
                want,
                "{rule} ← {request}"
            );
        }
    }
}
