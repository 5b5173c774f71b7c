//! The set of all texts that an expression matches (`docs/internals/languages.md`).
//!
//! Does a rule match any path of an endpoint? Does another rule match all paths of this one? Such
//! questions about all paths at once are decidable for regular languages, by a walk through their
//! automata. Each walk has a limit. Beyond it, and for expressions with an assertion such as `\b`,
//! the answer is unknown.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;

use regex_automata::nfa::thompson::{NFA, State, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;

/// The limit of the size of one automaton, in bytes.
const AUTOMATON_SIZE_LIMIT: usize = 1 << 20;
/// The limit of the positions that one walk may visit.
const WALK_LIMIT: usize = 20_000;

/// The error of a walk that reaches its limit, such as [`WALK_LIMIT`], before it has an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalkTooLong;

/// The set of texts that an expression matches as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Language(NFA);

/// A position of a walk: a state that takes a byte or accepts, and `true` if the text has to end
/// here because the walk came through a `$`.
type WalkPosition = (StateID, bool);

/// A transition: its first and its last byte, and the state behind it.
type Transition = (u8, u8, StateID);

impl Language {
    /// Returns the language of an expression in the syntax of the `regex` crate; `None` if the
    /// automaton is too large, or has an assertion other than `^` and `$`.
    pub(crate) fn new(expression: &str) -> Option<Self> {
        let config = NFA::config()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(AUTOMATON_SIZE_LIMIT));
        let nfa = NFA::compiler().configure(config).build(expression).ok()?;
        let is_supported = nfa
            .look_set_any()
            .iter()
            .all(|look| matches!(look, Look::Start | Look::End));
        is_supported.then_some(Self(nfa))
    }

    /// Returns the shortest text that is in both languages, and of several a readable one; `None`
    /// if there is none.
    ///
    /// # Errors
    /// Fails if the walk reaches its limit.
    pub(crate) fn shortest_common_text(&self, other: &Self) -> Result<Option<String>, WalkTooLong> {
        type PositionPair = (WalkPosition, WalkPosition);
        let mut seen: HashMap<PositionPair, Option<(PositionPair, u8)>> = HashMap::new();
        let mut queue: VecDeque<PositionPair> = VecDeque::new();
        let mut reach = |from: Option<(PositionPair, u8)>,
                         ones: &[WalkPosition],
                         others: &[WalkPosition],
                         queue: &mut VecDeque<PositionPair>| {
            for pair in ones
                .iter()
                .flat_map(|one| others.iter().map(move |other| (*one, *other)))
            {
                seen.entry(pair).or_insert_with(|| {
                    queue.push_back(pair);
                    from
                });
            }
            if seen.len() <= WALK_LIMIT {
                Ok(())
            } else {
                Err(WalkTooLong)
            }
        };
        reach(
            None,
            &self.start_positions(),
            &other.start_positions(),
            &mut queue,
        )?;
        let end = loop {
            let Some(pair) = queue.pop_front() else {
                return Ok(None);
            };
            let (one, another) = pair;
            if self.is_accepting(one) && other.is_accepting(another) {
                break pair;
            }
            let mut steps = Vec::new();
            for (from, to, next) in self.transitions_from(one) {
                for (other_from, other_to, other_next) in other.transitions_from(another) {
                    let (low, high) = (from.max(other_from), to.min(other_to));
                    steps.extend(
                        (low <= high).then(|| (most_readable_byte(low, high), next, other_next)),
                    );
                }
            }
            steps.sort_by_key(|(byte, ..)| readability_rank(*byte));
            for (byte, next, other_next) in steps {
                let came = Some((pair, byte));
                reach(
                    came,
                    &self.follow_without_input(next, false),
                    &other.follow_without_input(other_next, false),
                    &mut queue,
                )?;
            }
        };
        Ok(text_of_walk(&seen, &end))
    }

    /// Returns the shortest text that is in both languages and not in a third one; `None` if there
    /// is none.
    ///
    /// # Errors
    /// Fails if the walk reaches its limit.
    pub(crate) fn shortest_common_text_outside(
        &self,
        other: &Self,
        without: &Self,
    ) -> Result<Option<String>, WalkTooLong> {
        Self::shortest_text_of_all(&[self, other], without)
    }

    /// Returns the shortest text that is in all of these languages and not in another one; `None` if
    /// there is none.
    ///
    /// # Errors
    /// Fails if the walk reaches its limit.
    pub(crate) fn shortest_text_of_all(
        all: &[&Self],
        without: &Self,
    ) -> Result<Option<String>, WalkTooLong> {
        type WalkState = (Vec<WalkPosition>, BTreeSet<WalkPosition>);
        let mut seen: HashMap<WalkState, Option<(WalkState, u8)>> = HashMap::new();
        let mut queue: VecDeque<WalkState> = VecDeque::new();
        let starts: Vec<_> = all.iter().map(|one| one.start_positions()).collect();
        let left_out = BTreeSet::from_iter(without.start_positions());
        let starts = combinations(&starts).into_iter();
        queue.extend(starts.map(|positions| (positions, left_out.clone())));
        seen.extend(queue.iter().map(|state| (state.clone(), None)));
        let mut steps = WALK_LIMIT;
        let end = loop {
            let Some(state) = queue.pop_front() else {
                return Ok(None);
            };
            let (positions, left_out) = &state;
            let is_left_out = left_out
                .iter()
                .any(|position| without.is_accepting(*position));
            let mut own = all.iter().zip(positions);
            if !is_left_out && own.all(|(one, position)| one.is_accepting(*position)) {
                break state;
            }
            let transitions: Vec<Vec<Transition>> = all
                .iter()
                .zip(positions)
                .map(|(one, position)| one.transitions_from(*position))
                .collect();
            let left_out_transitions: Vec<Transition> = left_out
                .iter()
                .flat_map(|position| without.transitions_from(*position))
                .collect();
            let every = transitions.iter().flatten().chain(&left_out_transitions);
            let bytes = byte_class_representatives(every);
            let mut bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte >= b' ').collect();
            bytes.sort_by_key(|byte| readability_rank(*byte));
            for byte in bytes {
                let next = without.positions_after(&left_out_transitions, byte);
                let after: Vec<Vec<WalkPosition>> = all
                    .iter()
                    .zip(&transitions)
                    .map(|(one, own)| one.positions_after(own, byte).into_iter().collect())
                    .collect();
                for positions in combinations(&after) {
                    let next = (positions, next.clone());
                    steps = steps
                        .checked_sub(1 + next.1.len() / 64)
                        .ok_or(WalkTooLong)?;
                    seen.entry(next.clone()).or_insert_with(|| {
                        queue.push_back(next);
                        Some((state.clone(), byte))
                    });
                }
            }
        };
        Ok(text_of_walk(&seen, &end))
    }

    /// Returns true if every text of this language is in the other one. The walk takes its steps
    /// from a budget, which several walks may share.
    ///
    /// # Errors
    /// Fails if the budget is used up.
    pub(crate) fn is_within(&self, other: &Self, budget: &mut usize) -> Result<bool, WalkTooLong> {
        type Positions = BTreeSet<WalkPosition>;
        let mut seen: HashSet<(Positions, Positions)> = HashSet::new();
        let mut queue = vec![(
            Positions::from_iter(self.start_positions()),
            Positions::from_iter(other.start_positions()),
        )];
        while let Some(both) = queue.pop() {
            if seen.contains(&both) {
                continue;
            }
            let (ours, theirs) = &both;
            if ours.iter().any(|position| self.is_accepting(*position))
                && !theirs.iter().any(|position| other.is_accepting(*position))
            {
                return Ok(false);
            }
            let our_transitions: Vec<Transition> = ours
                .iter()
                .flat_map(|position| self.transitions_from(*position))
                .collect();
            let their_transitions: Vec<Transition> = theirs
                .iter()
                .flat_map(|position| other.transitions_from(*position))
                .collect();
            for byte in byte_class_representatives(our_transitions.iter().chain(&their_transitions))
            {
                let ours = self.positions_after(&our_transitions, byte);
                if !ours.is_empty() {
                    queue.push((ours, other.positions_after(&their_transitions, byte)));
                }
            }
            // The work of a step grows with the transitions that it follows.
            let cost = 1 + (our_transitions.len() + their_transitions.len()) / 64;
            *budget = budget.checked_sub(cost).ok_or(WalkTooLong)?;
            seen.insert(both);
            if queue.len() > WALK_LIMIT {
                return Err(WalkTooLong);
            }
        }
        Ok(true)
    }

    /// Returns the length in bytes of the longest prefix of a text that is in the language.
    pub(crate) fn longest_prefix_of(&self, text: &str) -> Option<usize> {
        let mut positions = BTreeSet::from_iter(self.start_positions());
        let mut longest = None;
        for (length, byte) in text.bytes().map(Some).chain([None]).enumerate() {
            if positions
                .iter()
                .any(|(id, ended)| self.is_accepting((*id, *ended)) && (!ended || byte.is_none()))
            {
                longest = Some(length);
            }
            let Some(byte) = byte.filter(|_| !positions.is_empty()) else {
                break;
            };
            let transitions: Vec<Transition> = positions
                .iter()
                .flat_map(|position| self.transitions_from(*position))
                .collect();
            positions = self.positions_after(&transitions, byte);
        }
        longest
    }

    /// Returns the positions behind those transitions that take a byte.
    fn positions_after(&self, transitions: &[Transition], byte: u8) -> BTreeSet<WalkPosition> {
        let taken = transitions
            .iter()
            .filter(|(from, to, _)| (*from..=*to).contains(&byte));
        taken
            .flat_map(|(_, _, next)| self.follow_without_input(*next, false))
            .collect()
    }

    /// Returns the positions before the first byte.
    fn start_positions(&self) -> Vec<WalkPosition> {
        self.follow_without_input(self.0.start_anchored(), true)
    }

    /// Returns the positions that a walk can reach from a state without another byte.
    fn follow_without_input(&self, state: StateID, at_start: bool) -> Vec<WalkPosition> {
        let (mut seen, mut open, mut positions) =
            (HashSet::new(), vec![(state, false)], Vec::new());
        while let Some((id, ended)) = open.pop() {
            if !seen.insert((id, ended)) {
                continue;
            }
            match self.0.state(id) {
                State::ByteRange { .. }
                | State::Sparse(_)
                | State::Dense(_)
                | State::Match { .. } => {
                    positions.push((id, ended));
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
        positions
    }

    /// Returns true if a text may end in a position.
    fn is_accepting(&self, (id, _): WalkPosition) -> bool {
        matches!(self.0.state(id), State::Match { .. })
    }

    /// Returns the transitions from a position, without control characters: no path contains any,
    /// and `.` would otherwise differ from `[^/]` in the line feed.
    fn transitions_from(&self, (id, ended): WalkPosition) -> Vec<Transition> {
        let transitions = match self.0.state(id) {
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
        let printable = transitions
            .into_iter()
            .map(|(from, to, next)| (from.max(b' '), to, next));
        printable.filter(|(from, to, _)| from <= to).collect()
    }
}

/// Returns every combination of one position of each language.
fn combinations(positions: &[Vec<WalkPosition>]) -> Vec<Vec<WalkPosition>> {
    let none = vec![Vec::new()];
    positions.iter().fold(none, |known, one| {
        let longer = |known: &Vec<WalkPosition>| {
            let known = known.clone();
            one.iter()
                .map(move |position| [known.as_slice(), &[*position]].concat())
        };
        known.iter().flat_map(longer).collect()
    })
}

/// Returns the bytes of a walk to its end. Each visited place is kept with the place and the byte
/// from which the walk came.
fn text_of_walk<P: Clone + Eq + Hash>(
    seen: &HashMap<P, Option<(P, u8)>>,
    end: &P,
) -> Option<String> {
    let came_from = |place: &P| seen.get(place).cloned().flatten();
    let steps = std::iter::successors(came_from(end), |(before, _)| came_from(before));
    let mut bytes: Vec<u8> = steps.map(|(_, byte)| byte).collect();
    bytes.reverse();
    String::from_utf8(bytes).ok()
}

/// Returns one byte of each class of bytes that take the same transitions.
fn byte_class_representatives<'a>(
    transitions: impl Iterator<Item = &'a Transition>,
) -> BTreeSet<u8> {
    transitions
        .flat_map(|(from, to, _)| [Some(*from), to.checked_add(1)])
        .flatten()
        .collect()
}

/// Returns the byte of a range that is the most readable in a path.
fn most_readable_byte(low: u8, high: u8) -> u8 {
    (low..=high)
        .min_by_key(|byte| readability_rank(*byte))
        .unwrap_or(low)
}

/// Returns the rank of a byte in an example: letters before digits before other printable ones.
fn readability_rank(byte: u8) -> u8 {
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
                    .shortest_common_text(&language(other))
                    .expect(one)
                    .as_deref(),
                want,
                "{one} {other}"
            );
            assert_eq!(
                language(other)
                    .shortest_common_text(&language(one))
                    .expect(one)
                    .is_some(),
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
                .shortest_common_text_outside(&language(other), &language(without))
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
                language(one).is_within(&language(other), &mut { WALK_LIMIT }),
                Ok(want),
                "{one} {other}"
            );
        }
        assert!(Language::new(r"/a\b.*").is_none(), "it looks around itself");
        // The textbook's expression whose automaton doubles with every letter.
        let doubling = language("/.*a.{14}");
        assert_eq!(
            language("/.*").is_within(&doubling, &mut { WALK_LIMIT }),
            Ok(false)
        );
        assert_eq!(
            doubling.is_within(&doubling.clone(), &mut { WALK_LIMIT }),
            Err(WalkTooLong)
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
                language(expression).longest_prefix_of(text),
                want,
                "{expression} {text}"
            );
        }
    }
}
