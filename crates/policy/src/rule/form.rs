//! What an expression is made of: a literal head, an expression in the middle, a literal tail.
//!
//! Nearly every rule is `/containers/` + a name + `/json`. Heads and tails are compared as text;
//! the middles, few and often the same, are compiled once for all rules. That keeps hundreds of
//! rules small, quick to load and quick to ask. It is exact: a regular expression without
//! look-around matches a whole text where its parts match parts of it, and literals leave one way
//! to cut.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use regex_automata::meta::Regex;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

use super::{dialect, variable};

/// Bounds for one expression's compiled size and for the cache of its searches, in bytes.
const SIZE: usize = 256 << 10;
const CACHE_SIZE: usize = 512 << 10;

/// Branches of one rule that are told apart; where there are more, one expression holds them.
const FORMS: usize = 32;

/// Compiled expressions, each kept once however many rules hold it.
#[derive(Debug, Default)]
pub struct Expressions(HashMap<String, Arc<Regex>>);

/// One way for a rule to match.
#[derive(Clone, Debug)]
pub(super) struct Form {
    version: Prefix,
    head: Box<str>,
    /// Nothing at all, where it is missing.
    middle: Option<Arc<Regex>>,
    tail: Box<str>,
}

/// What the form says of the path's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    /// The form is about the whole path, version or not.
    Whole,
    /// A version may stand there; the form is about what follows it.
    Optional,
    /// A version has to stand there; the form is about what follows it.
    Required,
}

impl Form {
    /// Whether the path matches; `unversioned` is where it starts behind its version.
    pub(super) fn matches(&self, path: &str, unversioned: usize) -> bool {
        let text = match self.version {
            Prefix::Whole => path,
            Prefix::Optional => &path[unversioned..],
            Prefix::Required if unversioned > 0 => &path[unversioned..],
            Prefix::Required => return false,
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

    /// Whether some word between two parts of the path could make it match: `before` ends where the
    /// word starts, `after` is what follows it. It is never false where there is one, and may be
    /// true where there is none.
    pub(super) fn may_match_around(&self, before: &str, after: &str, unversioned: usize) -> bool {
        let before = match self.version {
            Prefix::Whole => before,
            Prefix::Optional => &before[unversioned..],
            Prefix::Required if unversioned > 0 => &before[unversioned..],
            Prefix::Required => return false,
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

    /// The first segment of every path that matches, behind the version, where the form tells.
    pub(super) fn segment(&self) -> Option<&str> {
        let path = self.head.strip_prefix('/')?;
        let (segment, complete) = match path.split_once('/') {
            Some((segment, _)) => (segment, true),
            None => (path, self.middle.is_none()),
        };
        (complete && (self.version != Prefix::Whole || !is_version(segment))).then_some(segment)
    }
}

/// `v1.43` and its kind: it could be a part of the version.
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

impl Expressions {
    /// Takes an expression of the `regex` crate apart.
    ///
    /// # Errors
    /// The reason why it cannot be compiled.
    pub(super) fn forms(&mut self, expression: &str) -> Result<Vec<Form>, String> {
        // The last line of the report is the reason; the lines before it draw the expanded
        // expression.
        let reason = |report: String| {
            report
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned()
        };
        let whole = regex_syntax::parse(expression).map_err(|error| reason(error.to_string()))?;
        branches(&whole)
            .into_iter()
            .map(|parts| self.form(&parts))
            .collect()
    }

    fn form(&mut self, parts: &[Hir]) -> Result<Form, String> {
        let (version, parts) = split_version(parts);
        let (head, rest) = parts.split_at(literals(parts));
        let tail = rest
            .iter()
            .rev()
            .take_while(|part| literal(part).is_some())
            .count();
        let (middle, tail) = rest.split_at(rest.len() - tail);
        let middle = if middle.is_empty() {
            None
        } else {
            Some(self.compile(&Hir::concat(middle.to_vec()))?)
        };
        Ok(Form {
            version,
            head: text(head),
            middle,
            tail: text(tail),
        })
    }

    fn compile(&mut self, middle: &Hir) -> Result<Arc<Regex>, String> {
        let expression = middle.to_string();
        if let Some(known) = self.0.get(&expression) {
            return Ok(Arc::clone(known));
        }
        // Anchored as a whole, so that `a|b` never matches by half.
        let whole = Hir::concat(vec![
            Hir::look(Look::Start),
            middle.clone(),
            Hir::look(Look::End),
        ]);
        let compiled = Regex::builder()
            .configure(
                Regex::config()
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(SIZE))
                    .hybrid_cache_capacity(CACHE_SIZE),
            )
            .build_from_hir(&whole)
            .map_err(|_| "the expression is too large once compiled".to_owned())?;
        let compiled = Arc::new(compiled);
        self.0.insert(expression, Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// The parts of a version prefix, as variables write it.
static VERSION: LazyLock<Vec<Hir>> = LazyLock::new(|| {
    let expression = dialect::from_go(&variable::expand("%_API_VERSION%"));
    regex_syntax::parse(&expression)
        .map(|hir| flat(&hir))
        .unwrap_or_default()
});

/// Cuts off a version prefix, where what follows cannot be taken for a part of one.
fn split_version(parts: &[Hir]) -> (Prefix, &[Hir]) {
    let (prefix, rest) = parts.split_at(version_parts(parts));
    let head = text(&rest[..literals(rest)]);
    let segment = head.strip_prefix('/').unwrap_or_default();
    if prefix.is_empty() || segment.is_empty() || segment == "v" || is_version(segment) {
        return (Prefix::Whole, parts);
    }
    (
        if prefix.len() == 1 {
            Prefix::Optional
        } else {
            Prefix::Required
        },
        rest,
    )
}

/// How many parts at the front are a version prefix: one that may be missing, or several.
fn version_parts(parts: &[Hir]) -> usize {
    match parts.first().and_then(optional) {
        Some(inner) if flat(inner) == *VERSION => 1,
        _ if parts.starts_with(&VERSION) => VERSION.len(),
        _ => 0,
    }
}

/// The ways through an expression, each as parts in a row: alternatives and optional parts are told
/// apart as long as only literals stand before them and behind.
fn branches(whole: &Hir) -> Vec<Vec<Hir>> {
    let alternatives = match whole.kind() {
        HirKind::Alternation(alternatives) if alternatives.len() <= FORMS => {
            alternatives.as_slice()
        }
        _ => std::slice::from_ref(whole),
    };
    // What was gone through, and what is ahead.
    let mut open: Vec<(Vec<Hir>, Vec<Hir>)> = Vec::new();
    for alternative in alternatives {
        let mut parts = flat(alternative);
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
            // What looks around must see the whole path.
            return vec![vec![whole.clone()]];
        }
        open.push((Vec::new(), parts));
    }
    let mut done = Vec::new();
    while let Some((mut front, mut ahead)) = open.pop() {
        let plain = if front.is_empty() {
            version_parts(&ahead)
        } else {
            0
        };
        front.extend(ahead.drain(..plain));
        front.extend(ahead.drain(..literals(&ahead)));
        let ways = ways(&ahead);
        if ways.is_empty() || done.len() + open.len() + ways.len() > FORMS {
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

/// What may stand in the place of the next part, where that is one of a few and each goes on with a
/// literal or ends here.
fn ways(ahead: &[Hir]) -> Vec<Vec<Hir>> {
    let Some((next, behind)) = ahead.split_first() else {
        return Vec::new();
    };
    let ways: Vec<Vec<Hir>> = match (next.kind(), optional(next)) {
        (HirKind::Alternation(alternatives), _) => alternatives.iter().map(flat).collect(),
        (_, Some(inner)) => vec![Vec::new(), flat(inner)],
        _ => return Vec::new(),
    };
    let is_plain = |way: &Vec<Hir>| {
        way.iter()
            .chain(behind)
            .next()
            .is_none_or(|part| literal(part).is_some())
    };
    if ways.iter().all(is_plain) {
        ways
    } else {
        Vec::new()
    }
}

fn optional(part: &Hir) -> Option<&Hir> {
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

/// The parts in a row, without groups around them.
fn flat(hir: &Hir) -> Vec<Hir> {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().flat_map(flat).collect(),
        HirKind::Capture(capture) => flat(&capture.sub),
        HirKind::Empty => Vec::new(),
        _ => vec![hir.clone()],
    }
}

fn literal(part: &Hir) -> Option<&str> {
    match part.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok(),
        _ => None,
    }
}

/// How many parts at the front are literals.
fn literals(parts: &[Hir]) -> usize {
    parts
        .iter()
        .take_while(|part| literal(part).is_some())
        .count()
}

/// The text of literals in a row.
fn text(literals: &[Hir]) -> Box<str> {
    literals
        .iter()
        .filter_map(literal)
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `version head middle tail` of each form, `-` where there is nothing.
    fn forms(pattern: &str) -> Vec<String> {
        let expression = dialect::from_go(&variable::expand(pattern));
        let forms = Expressions::default().forms(&expression).expect(pattern);
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
            let expression = dialect::from_go(&variable::expand(pattern));
            let forms = Expressions::default().forms(&expression).expect(pattern);
            let mut found: Vec<_> = forms.iter().map(Form::segment).collect();
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
                .forms(&dialect::from_go(&variable::expand(pattern)))
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
                .forms(&dialect::from_go(&variable::expand(&pattern)))
                .expect("small");
        }
        assert_eq!(expressions.0.len(), 1);
    }
}
