//! The form of a pattern: a literal head, an expression in the middle, and a literal tail
//! (`docs/internals/path-forms.md`).
//!
//! Nearly every rule is `/containers/`, a name, and `/json`. The matcher compares heads and tails
//! as text. The middles are few and often equal, and each is compiled once for all rules. Hundreds
//! of rules therefore stay small, and are fast to load and to match.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use regex_automata::meta::Regex;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

use super::to_regex_syntax;

/// The limits of the compiled size of one expression and of the cache of its searches, in bytes.
const EXPRESSION_SIZE_LIMIT: usize = 256 << 10;
const SEARCH_CACHE_SIZE: usize = 512 << 10;

/// The largest number of forms of one rule. A pattern with more branches stays one expression.
const MAX_FORMS: usize = 32;

/// A set of compiled expressions that rules share, so that each is compiled once.
#[derive(Debug, Default)]
pub struct Expressions(HashMap<String, Arc<Regex>>);

/// One way in which a pattern can match: the head, then the middle, then the tail.
#[derive(Clone, Debug)]
pub(super) struct PathForm {
    version: VersionPrefix,
    head: Box<str>,
    /// `None` if the head is the whole text.
    middle: Option<Arc<Regex>>,
    tail: Box<str>,
}

/// The version prefix that a form expects before its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VersionPrefix {
    /// The head starts where the path starts.
    Whole,
    /// A path may have a version prefix, and the head starts behind it.
    Optional,
    /// A path must have a version prefix, and the head starts behind it.
    Required,
}

impl PathForm {
    /// Returns true if the form matches a path, whose version prefix ends at `unversioned`.
    pub(super) fn matches_path(&self, path: &str, unversioned: usize) -> bool {
        let text = match self.version {
            VersionPrefix::Whole => path,
            VersionPrefix::Optional => &path[unversioned..],
            VersionPrefix::Required if unversioned > 0 => &path[unversioned..],
            VersionPrefix::Required => return false,
        };
        let Some(rest) = text.strip_prefix(&*self.head) else {
            return false;
        };
        match &self.middle {
            None => rest.is_empty(),
            Some(middle) => rest
                .strip_suffix(&*self.tail)
                .is_some_and(|inner| middle.is_match(inner)),
        }
    }

    /// Returns false only if no word between two parts of a path makes the form match: `before`
    /// ends where the word starts, and `after` begins where it ends. A `true` may be wrong.
    pub(super) fn may_match_around(&self, before: &str, after: &str, unversioned: usize) -> bool {
        let before = match self.version {
            VersionPrefix::Whole => before,
            VersionPrefix::Optional => &before[unversioned..],
            VersionPrefix::Required if unversioned > 0 => &before[unversioned..],
            VersionPrefix::Required => return false,
        };
        match &self.middle {
            None => {
                self.head.len() > before.len() + after.len()
                    && self.head.starts_with(before)
                    && self.head.ends_with(after)
            }
            Some(_) => {
                let begins = self.head.starts_with(before) || before.starts_with(&*self.head);
                begins && (self.tail.ends_with(after) || after.ends_with(&*self.tail))
            }
        }
    }

    /// Returns the first segment behind the version prefix, if it is the same in every path that
    /// the form matches.
    pub(super) fn first_segment(&self) -> Option<&str> {
        let path = self.head.strip_prefix('/')?;
        let (segment, complete) = match path.split_once('/') {
            Some((segment, _)) => (segment, true),
            None => (path, self.middle.is_none()),
        };
        (complete && (self.version != VersionPrefix::Whole || !is_version_segment(segment)))
            .then_some(segment)
    }
}

/// Returns true if a segment, such as `v1.43`, could be a version prefix.
fn is_version_segment(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

impl Expressions {
    /// Splits an expression, in the syntax of the `regex` crate, into its forms.
    ///
    /// # Errors
    /// Returns the reason why the expression cannot be compiled.
    pub(super) fn take_apart(&mut self, expression: &str) -> Result<Vec<PathForm>, String> {
        // The report draws the expression with expanded variables, which the user did not write.
        // Only its last line, the reason, is shown.
        let reason = |report: String| {
            report
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned()
        };
        let whole = regex_syntax::parse(expression).map_err(|error| reason(error.to_string()))?;
        split_branches(&whole)
            .into_iter()
            .map(|parts| self.build_form(&parts))
            .collect()
    }

    /// Makes the form of parts in a row.
    fn build_form(&mut self, parts: &[Hir]) -> Result<PathForm, String> {
        let (version, parts) = split_version(parts);
        let (head, rest) = parts.split_at(count_leading_literals(parts));
        let tail = rest
            .iter()
            .rev()
            .take_while(|part| literal_text(part).is_some())
            .count();
        let (middle, tail) = rest.split_at(rest.len() - tail);
        let middle = if middle.is_empty() {
            None
        } else {
            Some(self.compile_middle(&Hir::concat(middle.to_vec()))?)
        };
        Ok(PathForm {
            version,
            head: join_literals(head),
            middle,
            tail: join_literals(tail),
        })
    }

    /// Compiles an expression for a whole text, or returns the one that another form has.
    fn compile_middle(&mut self, middle: &Hir) -> Result<Arc<Regex>, String> {
        let expression = middle.to_string();
        if let Some(known) = self.0.get(&expression) {
            return Ok(Arc::clone(known));
        }
        // The anchors stand around the whole expression: in `^a|b$` each would hold for one
        // alternative only.
        let whole = Hir::concat(vec![
            Hir::look(Look::Start),
            middle.clone(),
            Hir::look(Look::End),
        ]);
        let compiled = Regex::builder()
            .configure(
                Regex::config()
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(EXPRESSION_SIZE_LIMIT))
                    .hybrid_cache_capacity(SEARCH_CACHE_SIZE),
            )
            .build_from_hir(&whole)
            .map_err(|_| "the expression is too large once compiled".to_owned())?;
        let compiled = Arc::new(compiled);
        self.0.insert(expression, Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// The parts of the expression that variables use for a version prefix.
static VERSION_PARTS: LazyLock<Vec<Hir>> = LazyLock::new(|| {
    let expression = to_regex_syntax("%_API_VERSION%");
    regex_syntax::parse(&expression)
        .map(|hir| flatten(&hir))
        .unwrap_or_default()
});

/// Splits off a version prefix, if no path can have a second version prefix behind it: the proxy
/// cuts off only the first.
fn split_version(parts: &[Hir]) -> (VersionPrefix, &[Hir]) {
    let (prefix, rest) = parts.split_at(count_version_parts(parts));
    let head = join_literals(&rest[..count_leading_literals(rest)]);
    let segment = head.strip_prefix('/').unwrap_or_default();
    if prefix.is_empty() || segment.is_empty() || segment == "v" || is_version_segment(segment) {
        return (VersionPrefix::Whole, parts);
    }
    (
        if prefix.len() == 1 {
            VersionPrefix::Optional
        } else {
            VersionPrefix::Required
        },
        rest,
    )
}

/// Returns the number of leading parts that are a version prefix: one part if the prefix is
/// optional, several if it is required, or none.
fn count_version_parts(parts: &[Hir]) -> usize {
    match parts.first().and_then(optional_part) {
        Some(inner) if flatten(inner) == *VERSION_PARTS => 1,
        _ if parts.starts_with(&VERSION_PARTS) => VERSION_PARTS.len(),
        _ => 0,
    }
}

/// Splits an expression into branches that together match the same texts, each with its parts in a
/// row. Alternatives and optional parts are split as long as only literals stand before and behind
/// them.
fn split_branches(whole: &Hir) -> Vec<Vec<Hir>> {
    let alternatives = match whole.kind() {
        HirKind::Alternation(alternatives) if alternatives.len() <= MAX_FORMS => {
            alternatives.as_slice()
        }
        _ => std::slice::from_ref(whole),
    };
    // Each pair holds the parts that are final, and those that may still be split.
    let mut open: Vec<(Vec<Hir>, Vec<Hir>)> = Vec::new();
    for alternative in alternatives {
        let mut parts = flatten(alternative);
        if parts
            .first()
            .is_some_and(|part| matches!(part.kind(), HirKind::Look(Look::Start)))
        {
            parts.remove(0);
        }
        if parts
            .last()
            .is_some_and(|part| matches!(part.kind(), HirKind::Look(Look::End)))
        {
            parts.pop();
        }
        if parts
            .iter()
            .any(|part| !part.properties().look_set().is_empty())
        {
            // An assertion such as `\b` depends on the characters around it, so that the
            // expression must see the whole path.
            return vec![vec![whole.clone()]];
        }
        open.push((Vec::new(), parts));
    }
    let mut done = Vec::new();
    while let Some((mut front, mut ahead)) = open.pop() {
        let plain = if front.is_empty() {
            count_version_parts(&ahead)
        } else {
            0
        };
        front.extend(ahead.drain(..plain));
        front.extend(ahead.drain(..count_leading_literals(&ahead)));
        let ways = expand_next_part(&ahead);
        if ways.is_empty() || done.len() + open.len() + ways.len() > MAX_FORMS {
            front.append(&mut ahead);
            done.push(front);
            continue;
        }
        for way in ways {
            open.push((
                front.clone(),
                way.into_iter().chain(ahead[1..].iter().cloned()).collect(),
            ));
        }
    }
    done
}

/// Returns the alternatives of the first part, if there are several and each of them continues with
/// a literal or ends the expression; else nothing.
fn expand_next_part(ahead: &[Hir]) -> Vec<Vec<Hir>> {
    let Some((next, behind)) = ahead.split_first() else {
        return Vec::new();
    };
    let ways: Vec<Vec<Hir>> = match (next.kind(), optional_part(next)) {
        (HirKind::Alternation(alternatives), _) => alternatives.iter().map(flatten).collect(),
        (_, Some(inner)) => vec![Vec::new(), flatten(inner)],
        _ => return Vec::new(),
    };
    let is_plain = |way: &Vec<Hir>| {
        way.iter()
            .chain(behind)
            .next()
            .is_none_or(|part| literal_text(part).is_some())
    };
    if ways.iter().all(is_plain) {
        ways
    } else {
        Vec::new()
    }
}

/// Returns the expression in a part that may occur once or not at all.
fn optional_part(part: &Hir) -> Option<&Hir> {
    match part.kind() {
        HirKind::Repetition(Repetition {
            min: 0,
            max: Some(1),
            sub,
            ..
        }) => Some(sub),
        _ => None,
    }
}

/// Returns the parts of an expression in a row, without the groups around them.
fn flatten(hir: &Hir) -> Vec<Hir> {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().flat_map(flatten).collect(),
        HirKind::Capture(capture) => flatten(&capture.sub),
        HirKind::Empty => Vec::new(),
        _ => vec![hir.clone()],
    }
}

/// Returns the text of a part that is a literal.
fn literal_text(part: &Hir) -> Option<&str> {
    match part.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok(),
        _ => None,
    }
}

/// Returns the number of leading parts that are literals.
fn count_leading_literals(parts: &[Hir]) -> usize {
    parts
        .iter()
        .take_while(|part| literal_text(part).is_some())
        .count()
}

/// Joins the text of literals in a row.
fn join_literals(literals: &[Hir]) -> Box<str> {
    literals
        .iter()
        .filter_map(literal_text)
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `version head middle tail` for each form, with `-` for what it lacks.
    fn forms(pattern: &str) -> Vec<String> {
        let expression = to_regex_syntax(pattern);
        let forms = Expressions::default()
            .take_apart(&expression)
            .expect(pattern);
        let mut shown: Vec<_> = forms
            .iter()
            .map(|form| {
                format!(
                    "{:?} {} {} {}",
                    form.version,
                    form.head,
                    form.middle.as_ref().map_or("-", |_| "…"),
                    form.tail
                )
            })
            .collect();
        shown.sort();
        shown
    }

    #[test]
    fn expressions_come_apart() {
        for (pattern, want) in [
            ("/containers/json", &["Whole /containers/json - "][..]),
            ("^/containers/json$", &["Whole /containers/json - "]),
            (
                "%API_PREFIX_CONTAINERS%/json",
                &["Optional /containers/json - "],
            ),
            ("%API_PREFIX_LIBPOD_INFO%", &["Required /libpod/info - "]),
            (
                "%API_PREFIX_CONTAINERS%(/.*)?",
                &["Optional /containers - ", "Optional /containers/ … "],
            ),
            (
                "%API_PREFIX_CONTAINERS%/%CONTAINER_NAME%/json",
                &["Optional /containers/ … /json"],
            ),
            (
                "%API_PREFIX_EXEC%",
                &["Optional /containers/ … /exec", "Optional /exec - "],
            ),
            (
                "%API_PREFIX_LIBPOD_EXEC%/x",
                &[
                    "Required /libpod/containers/ … /exec/x",
                    "Required /libpod/exec/x - ",
                ],
            ),
            (
                "/a|/b(/c)?",
                &["Whole /a - ", "Whole /b - ", "Whole /b/c - "],
            ),
            (
                "%API_PREFIX%/(aa|bb)/c",
                &["Optional /aa/c - ", "Optional /bb/c - "],
            ),
            (
                "%API_PREFIX%/aa|%API_PREFIX%/bb|/cc",
                &["Optional /aa - ", "Optional /bb - ", "Whole /cc - "],
            ),
            // What could be a part of the version stays with it.
            ("%API_PREFIX%.*", &["Whole  … "]),
            ("%API_PREFIX%/v1", &["Whole  … /v1"]),
            ("%API_PREFIX%/v[0-9]", &["Whole  … "]),
            ("%API_PREFIX%/[a-z]+/json", &["Whole  … /json"]),
            // What looks around sees everything.
            (r"/a\b.*", &["Whole  … "]),
            ("/a$|b", &["Whole /a - ", "Whole b - "]),
            ("/a(^|x)", &["Whole  … "]),
            ("(?i)/a", &["Whole / … "]),
            (".*", &["Whole  … "]),
        ] {
            assert_eq!(forms(pattern), want, "{pattern}");
        }
    }

    #[test]
    fn the_first_segment_is_known_where_it_is_whole() {
        for (pattern, want) in [
            (
                "%API_PREFIX_CONTAINERS%(/.*)?",
                &[Some("containers"), Some("containers")][..],
            ),
            (
                "%API_PREFIX_CONTAINERS%(x/.*)?",
                &[Some("containers"), Some("containersx")],
            ),
            ("%API_PREFIX_CONTAINERS%.*", &[None]),
            ("/contain.*", &[None]),
            ("/v1.43/containers/json", &[None]),
            (r"/v1\.43/containers/json", &[None]),
            (r"/volumes/.*", &[Some("volumes")]),
        ] {
            let expression = to_regex_syntax(pattern);
            let forms = Expressions::default()
                .take_apart(&expression)
                .expect(pattern);
            let mut found: Vec<_> = forms.iter().map(PathForm::first_segment).collect();
            found.sort();
            assert_eq!(found, want, "{pattern}");
        }
    }

    #[test]
    fn a_word_that_could_match_is_never_ruled_out() {
        for (pattern, before, after, want) in [
            (
                "%API_PREFIX_CONTAINERS%/db/stop",
                "/containers/",
                "/stop",
                true,
            ),
            (
                "%API_PREFIX_CONTAINERS%/db/stop",
                "/v1.43/containers/",
                "/stop",
                true,
            ),
            (
                "%API_PREFIX_CONTAINERS%/db/stop",
                "/containers/",
                "/start",
                false,
            ),
            ("%API_PREFIX_CONTAINERS%/db", "/containers/", "", true),
            (
                "%API_PREFIX_CONTAINERS%/db(/.*)?",
                "/containers/",
                "/stop",
                true,
            ),
            (
                "%API_PREFIX_CONTAINERS%/(db|web)/.*",
                "/v1.43/containers/",
                "/stop",
                true,
            ),
            (
                "%API_PREFIX_CONTAINERS%/d.*/stop",
                "/containers/",
                "/start",
                false,
            ),
            (
                "/v1.43/containers/db/stop",
                "/v1.43/containers/",
                "/stop",
                true,
            ),
            ("/v1.43/containers/db/stop", "/containers/", "/stop", false),
            (".*db.*", "/containers/", "/stop", true),
            ("/containers/stop", "/containers/", "/stop", false),
        ] {
            let forms = Expressions::default()
                .take_apart(&to_regex_syntax(pattern))
                .expect(pattern);
            let unversioned = if before.starts_with("/v1.43") { 6 } else { 0 };
            let found = forms
                .iter()
                .any(|form| form.may_match_around(before, after, unversioned));
            assert_eq!(found, want, "{pattern}: {before}…{after}");
        }
    }

    #[test]
    fn what_rules_have_in_common_is_kept_once() {
        let mut expressions = Expressions::default();
        for name in 0..100 {
            let pattern = format!("%API_PREFIX_IMAGES%/%IMAGE_REFERENCE%/{name}");
            expressions
                .take_apart(&to_regex_syntax(&pattern))
                .expect("small");
        }
        assert_eq!(expressions.0.len(), 1);
    }
}
