//! Lessons: the calls of clients by endpoint, from which `learn` writes a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use cetusguard_policy::guard::Objection;
use cetusguard_policy::{Lesson, Permit};

/// The number of patterns, the bytes of one, and the number of exceptions of each. A client can
/// send any number of paths.
const PATTERNS: usize = 2_000;
const PATTERN_LENGTH: usize = 512;
const EXCEPTIONS: usize = 200;

/// Everything that was asked for so far.
#[derive(Debug, Default)]
pub struct Lessons(Mutex<LessonBook>);

#[derive(Debug, Default)]
struct LessonBook {
    /// By profile, pattern and method.
    seen: BTreeMap<(String, String, &'static str), Seen>,
    /// Requests for which there was no place.
    lost: u64,
    /// The profiles whose clients have sent a request, allowed or not.
    callers: BTreeSet<String>,
}

/// The requests of one kind.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The profile whose client it was.
    pub profile: String,
    /// The call.
    pub lesson: Lesson,
    /// The number of requests.
    pub count: u64,
    /// The first time, in words.
    pub first: String,
    /// Exceptions of the guard that it needed, with the number of requests for each.
    pub exceptions: BTreeMap<String, u64>,
    /// A finding that no exception lets pass.
    pub hopeless: Option<String>,
}

impl Lessons {
    /// Notes a request that goes to the engine now.
    pub(crate) fn note(&self, profile: &str, permit: &Permit, objection: Option<&Objection>) {
        let exceptions = objection.map(Objection::exceptions).unwrap_or_default();
        let hopeless = objection.and_then(Objection::hopeless);
        self.add(profile, permit.lesson(), &exceptions, hopeless, time_of_day);
    }

    /// Notes that a client of this profile calls.
    pub fn note_caller(&self, profile: &str) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !book.callers.contains(profile) {
            book.callers.insert(profile.to_owned());
        }
    }

    /// Returns the names of the profiles whose clients have called so far.
    pub fn callers(&self) -> BTreeSet<String> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.callers.clone()
    }

    /// Notes a request; `time` is asked where it is the first of its kind.
    pub fn add(
        &self,
        profile: &str,
        lesson: Lesson,
        exceptions: &BTreeSet<&str>,
        hopeless: Option<String>,
        time: impl FnOnce() -> String,
    ) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (
            profile.to_owned(),
            lesson.pattern.clone(),
            lesson.method.as_str(),
        );
        let has_no_place = book.seen.len() >= PATTERNS || lesson.pattern.len() > PATTERN_LENGTH;
        if has_no_place && !book.seen.contains_key(&key) {
            book.lost += 1;
            return;
        }
        let seen = book.seen.entry(key).or_insert_with(|| Seen {
            profile: profile.to_owned(),
            lesson,
            count: 0,
            first: time(),
            exceptions: BTreeMap::new(),
            hopeless: None,
        });
        seen.count += 1;
        for exception in exceptions {
            if seen.exceptions.len() < EXCEPTIONS || seen.exceptions.contains_key(*exception) {
                *seen.exceptions.entry((*exception).to_owned()).or_default() += 1;
            }
        }
        seen.hopeless = seen.hopeless.take().or(hopeless);
    }

    /// Everything so far, and how many requests found no place.
    pub fn all(&self) -> (Vec<Seen>, u64) {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (book.seen.values().cloned().collect(), book.lost)
    }
}

/// The time of day, in seconds and UTC.
pub fn time_of_day() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
