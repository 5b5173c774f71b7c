//! What an expression can match, exactly: by walking its automaton instead of trying paths.
//!
//! "Does this rule reach that endpoint", "does another rule cover it": such questions about all
//! paths at once are questions about regular languages, and those have answers. The walks are
//! bounded; where a bound is reached, or an expression looks around itself (`\b`), the answer is
//! that nobody can tell.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use regex_automata::nfa::thompson::{NFA, State, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;

/// Bound for one automaton's size, in bytes.
const SIZE: usize = 1 << 20;
/// Bound for what one walk may come to.
const STEPS: usize = 20_000;

/// The answer would take more than [`STEPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// All texts that an expression matches as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Language(NFA);

/// Where a walk stands: a state that takes a byte or accepts, and whether the text has to end here.
type Spot = (StateID, bool);

/// A step: bytes from, to, and the state behind it.
type Arc = (u8, u8, StateID);

impl Language {
    /// The language of an expression of the `regex` crate. `None` where it cannot be told.
    pub(crate) fn new(expression: &str) -> Option<Self> {
        let config = NFA::config()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(SIZE));
        let nfa = NFA::compiler().configure(config).build(expression).ok()?;
        let known = nfa
            .look_set_any()
            .iter()
            .all(|look| matches!(look, Look::Start | Look::End));
        known.then_some(Self(nfa))
    }

    /// The shortest text of both languages; of several, one that reads well.
    ///
    /// # Errors
    /// It takes too long to tell.
    pub(crate) fn common(&self, other: &Self) -> Result<Option<String>, TooMuch> {
        type Pair = (Spot, Spot);
        let mut seen: HashMap<Pair, Option<(Pair, u8)>> = HashMap::new();
        let mut queue: VecDeque<Pair> = VecDeque::new();
        let mut reach = |from: Option<(Pair, u8)>,
                         ones: &[Spot],
                         others: &[Spot],
                         queue: &mut VecDeque<Pair>| {
            for pair in ones
                .iter()
                .flat_map(|one| others.iter().map(move |other| (*one, *other)))
            {
                seen.entry(pair).or_insert_with(|| {
                    queue.push_back(pair);
                    from
                });
            }
            if seen.len() <= STEPS {
                Ok(())
            } else {
                Err(TooMuch)
            }
        };
        reach(None, &self.begin(), &other.begin(), &mut queue)?;
        let end = loop {
            let Some(pair) = queue.pop_front() else {
                return Ok(None);
            };
            let (one, another) = pair;
            if self.accepts(one) && other.accepts(another) {
                break pair;
            }
            let mut steps = Vec::new();
            for (from, to, next) in self.arcs(one) {
                for (other_from, other_to, other_next) in other.arcs(another) {
                    let (low, high) = (from.max(other_from), to.min(other_to));
                    steps.extend((low <= high).then(|| (readable(low, high), next, other_next)));
                }
            }
            steps.sort_by_key(|(byte, ..)| rank(*byte));
            for (byte, next, other_next) in steps {
                let came = Some((pair, byte));
                reach(
                    came,
                    &self.close(next, false),
                    &other.close(other_next, false),
                    &mut queue,
                )?;
            }
        };
        let steps = std::iter::successors(seen[&end], |(before, _)| seen[before]);
        let mut bytes: Vec<u8> = steps.map(|(_, byte)| byte).collect();
        bytes.reverse();
        Ok(String::from_utf8(bytes).ok())
    }

    /// A short text of both languages that a third one does not have.
    ///
    /// # Errors
    /// It takes too long to tell.
    pub(crate) fn common_without(
        &self,
        other: &Self,
        without: &Self,
    ) -> Result<Option<String>, TooMuch> {
        type State = (Spot, Spot, BTreeSet<Spot>);
        let mut seen: HashMap<State, Option<(State, u8)>> = HashMap::new();
        let mut queue: VecDeque<State> = VecDeque::new();
        let starts = self
            .begin()
            .into_iter()
            .flat_map(|one| other.begin().into_iter().map(move |another| (one, another)));
        let left_out = BTreeSet::from_iter(without.begin());
        queue.extend(starts.map(|(one, another)| (one, another, left_out.clone())));
        seen.extend(queue.iter().map(|state| (state.clone(), None)));
        let mut steps = STEPS;
        let end = loop {
            let Some(state) = queue.pop_front() else {
                return Ok(None);
            };
            let (one, another, left_out) = &state;
            let is_left_out = left_out.iter().any(|spot| without.accepts(*spot));
            if self.accepts(*one) && other.accepts(*another) && !is_left_out {
                break state;
            }
            let (ours, theirs) = (self.arcs(*one), other.arcs(*another));
            let without_arcs: Vec<Arc> = left_out
                .iter()
                .flat_map(|spot| without.arcs(*spot))
                .collect();
            let bytes = representatives(ours.iter().chain(&theirs).chain(&without_arcs));
            let mut bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte >= b' ').collect();
            bytes.sort_by_key(|byte| rank(*byte));
            for byte in bytes {
                let next = without.step(&without_arcs, byte);
                for one in self.step(&ours, byte) {
                    for another in other.step(&theirs, byte) {
                        let next = (one, another, next.clone());
                        steps = steps.checked_sub(1 + next.2.len() / 64).ok_or(TooMuch)?;
                        seen.entry(next.clone()).or_insert_with(|| {
                            queue.push_back(next);
                            Some((state.clone(), byte))
                        });
                    }
                }
            }
        };
        let steps = std::iter::successors(seen.get(&end).cloned().flatten(), |(before, _)| {
            seen.get(before)?.clone()
        });
        let mut bytes: Vec<u8> = steps.map(|(_, byte)| byte).collect();
        bytes.reverse();
        Ok(String::from_utf8(bytes).ok())
    }

    /// Whether every text of this language is one of the other's.
    /// Takes its steps from a budget that several walks may share.
    ///
    /// # Errors
    /// It takes too long to tell.
    pub(crate) fn is_within(&self, other: &Self, budget: &mut usize) -> Result<bool, TooMuch> {
        type Spots = BTreeSet<Spot>;
        let mut seen: HashSet<(Spots, Spots)> = HashSet::new();
        let mut queue = vec![(
            Spots::from_iter(self.begin()),
            Spots::from_iter(other.begin()),
        )];
        while let Some(both) = queue.pop() {
            if seen.contains(&both) {
                continue;
            }
            let (ours, theirs) = &both;
            if ours.iter().any(|spot| self.accepts(*spot))
                && !theirs.iter().any(|spot| other.accepts(*spot))
            {
                return Ok(false);
            }
            let our_arcs: Vec<Arc> = ours.iter().flat_map(|spot| self.arcs(*spot)).collect();
            let their_arcs: Vec<Arc> = theirs.iter().flat_map(|spot| other.arcs(*spot)).collect();
            for byte in representatives(our_arcs.iter().chain(&their_arcs)) {
                let ours = self.step(&our_arcs, byte);
                if !ours.is_empty() {
                    queue.push((ours, other.step(&their_arcs, byte)));
                }
            }
            // A step costs as much as it has states to follow.
            let cost = 1 + (our_arcs.len() + their_arcs.len()) / 64;
            *budget = budget.checked_sub(cost).ok_or(TooMuch)?;
            seen.insert(both);
            if queue.len() > STEPS {
                return Err(TooMuch);
            }
        }
        Ok(true)
    }

    /// How long the longest beginning of the text is that belongs to the language, in bytes.
    pub(crate) fn longest_beginning(&self, text: &str) -> Option<usize> {
        let mut spots = BTreeSet::from_iter(self.begin());
        let mut longest = None;
        for (length, byte) in text.bytes().map(Some).chain([None]).enumerate() {
            if spots
                .iter()
                .any(|(id, ended)| self.accepts((*id, *ended)) && (!ended || byte.is_none()))
            {
                longest = Some(length);
            }
            let Some(byte) = byte.filter(|_| !spots.is_empty()) else {
                break;
            };
            let arcs: Vec<Arc> = spots.iter().flat_map(|spot| self.arcs(*spot)).collect();
            spots = self.step(&arcs, byte);
        }
        longest
    }

    fn step(&self, arcs: &[Arc], byte: u8) -> BTreeSet<Spot> {
        let taken = arcs
            .iter()
            .filter(|(from, to, _)| (*from..=*to).contains(&byte));
        taken
            .flat_map(|(_, _, next)| self.close(*next, false))
            .collect()
    }

    fn begin(&self) -> Vec<Spot> {
        self.close(self.0.start_anchored(), true)
    }

    /// Where a walk can stand once it has come to a state, without another byte.
    fn close(&self, state: StateID, at_start: bool) -> Vec<Spot> {
        let (mut seen, mut open, mut spots) = (HashSet::new(), vec![(state, false)], Vec::new());
        while let Some((id, ended)) = open.pop() {
            if !seen.insert((id, ended)) {
                continue;
            }
            match self.0.state(id) {
                State::ByteRange { .. }
                | State::Sparse(_)
                | State::Dense(_)
                | State::Match { .. } => {
                    spots.push((id, ended));
                }
                State::Look {
                    look: Look::Start,
                    next,
                } if at_start => open.push((*next, ended)),
                State::Look {
                    look: Look::End,
                    next,
                } => open.push((*next, true)),
                State::Look { .. } | State::Fail => {}
                State::Union { alternates } => {
                    open.extend(alternates.iter().map(|next| (*next, ended)))
                }
                State::BinaryUnion { alt1, alt2 } => open.extend([(*alt1, ended), (*alt2, ended)]),
                State::Capture { next, .. } => open.push((*next, ended)),
            }
        }
        spots
    }

    fn accepts(&self, (id, _): Spot) -> bool {
        matches!(self.0.state(id), State::Match { .. })
    }

    /// The steps from here. No path has a control character in it, so none is taken: `.` and `[^/]`
    /// differ in nothing else.
    fn arcs(&self, (id, ended): Spot) -> Vec<Arc> {
        let arcs = match self.0.state(id) {
            _ if ended => Vec::new(),
            State::ByteRange { trans } => vec![(trans.start, trans.end, trans.next)],
            State::Sparse(sparse) => sparse
                .transitions
                .iter()
                .map(|t| (t.start, t.end, t.next))
                .collect(),
            State::Dense(dense) => {
                let bytes = (0..=u8::MAX).zip(dense.transitions.iter());
                bytes
                    .filter(|(_, next)| **next != StateID::ZERO)
                    .map(|(byte, next)| (byte, byte, *next))
                    .collect()
            }
            _ => Vec::new(),
        };
        let printable = arcs
            .into_iter()
            .map(|(from, to, next)| (from.max(b' '), to, next));
        printable.filter(|(from, to, _)| from <= to).collect()
    }
}

/// One byte of each class that the arcs tell apart.
fn representatives<'a>(arcs: impl Iterator<Item = &'a Arc>) -> BTreeSet<u8> {
    arcs.flat_map(|(from, to, _)| [Some(*from), to.checked_add(1)])
        .flatten()
        .collect()
}

/// The byte of a range that reads best in a path.
fn readable(low: u8, high: u8) -> u8 {
    (low..=high).min_by_key(|byte| rank(*byte)).unwrap_or(low)
}

/// Letters before digits before whatever else can be printed.
fn rank(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 0,
        b'0'..=b'9' => 1,
        b'A'..=b'Z' => 2,
        _ if byte.is_ascii_graphic() => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(expression: &str) -> Language {
        Language::new(expression).unwrap_or_else(|| panic!("{expression}"))
    }

    #[test]
    fn what_two_have_in_common() {
        for (one, other, want) in [
            (
                "/containers(/.*)?",
                "/containers/[^/]+/json",
                Some("/containers/a/json"),
            ),
            (
                "/containers/web.*/json",
                "/containers/[^/]+/json",
                Some("/containers/web/json"),
            ),
            ("/containers/json", "/containers/[^/]+/json", None),
            ("/a|/b", "/b|/c", Some("/b")),
            ("/(sam|samwise)/x", "/samwise/.*", Some("/samwise/x")),
            ("^/info$", "/info", Some("/info")),
            ("/inf(^o)", "/info", None),
            ("/info$x?", "/info.*", Some("/info")),
            ("/[^a-z0-9A-Z/]+", "/.+", Some("/!")),
            ("/é+", "/.", Some("/é")),
        ] {
            assert_eq!(
                language(one)
                    .common(&language(other))
                    .expect(one)
                    .as_deref(),
                want,
                "{one} {other}"
            );
            assert_eq!(
                language(other).common(&language(one)).expect(one).is_some(),
                want.is_some(),
                "{other} {one}"
            );
        }
    }

    #[test]
    fn what_two_have_in_common_without_a_third() {
        for (one, other, without, want) in [
            (
                "/containers/(db|web)/json",
                "/containers/[^/]+/json",
                "/containers/db/json",
                Some("/containers/web/json"),
            ),
            (
                "/containers/db/json",
                "/containers/[^/]+/json",
                "/containers/d.*",
                None,
            ),
            (
                "/containers/.*",
                "/containers/[^/]+/json",
                "/containers/.*/json",
                None,
            ),
            ("/a|/b", "/[a-c]", "/c", Some("/a")),
            ("/.*", "/[^/]+", "/[a-y]+", Some("/z")),
        ] {
            let found = language(one)
                .common_without(&language(other), &language(without))
                .expect(one);
            assert_eq!(found.as_deref(), want, "{one} {other} without {without}");
        }
    }

    #[test]
    fn what_lies_within_another() {
        for (one, other, want) in [
            ("/containers/json", "/containers(/.*)?", true),
            ("/containers(/.*)?", "/containers/json", false),
            ("/containers/.*/json", "/containers/[^/]+/json", false),
            ("/containers/[^/]+/json", "/containers/.*/json", true),
            ("/(a|b)+", "/[a-c]*", true),
            ("/(a|b)+", "/a*|/b*", false),
            ("/info", "^/info$", true),
            ("/x", "/x", true),
            ("/.", "/[\\x00-\\x7f]", false),
        ] {
            assert_eq!(
                language(one).is_within(&language(other), &mut { STEPS }),
                Ok(want),
                "{one} {other}"
            );
        }
        assert!(Language::new(r"/a\b.*").is_none(), "it looks around itself");
        // The textbook's expression whose automaton doubles with every letter.
        let doubling = language("/.*a.{14}");
        assert_eq!(
            language("/.*").is_within(&doubling, &mut { STEPS }),
            Ok(false)
        );
        assert_eq!(
            doubling.is_within(&doubling.clone(), &mut { STEPS }),
            Err(TooMuch)
        );
    }

    #[test]
    fn how_far_a_text_is_followed() {
        for (expression, text, want) in [
            ("/containers", "/containers/web", Some(11)),
            ("/containers/", "/containers", None),
            ("/containers$", "/containers/web", None),
            ("/containers$", "/containers", Some(11)),
            ("/c.*", "/containers/web", Some(15)),
            ("(/[^/]+)?", "/x/y", Some(2)),
            ("", "/x", Some(0)),
        ] {
            assert_eq!(
                language(expression).longest_beginning(text),
                want,
                "{expression} {text}"
            );
        }
    }
}
