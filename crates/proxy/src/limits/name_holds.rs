//! Holds on the names that calls under way give to objects.
//!
//! The proxy judges a name before it sends the call, and the engine gives the name to the new object
//! at the end of the call. A build, an import or a pull can take minutes. If another owner created an
//! object of the same name meanwhile, the engine would replace its image, or have two networks of one
//! name. So the proxy refuses calls of other owners that give a name that is held.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::{LimitSubject, Owner};

/// The time for which a name is held after its client has left a call without an answer: the engine
/// may still do what the call asks for.
const AFTER_DEPARTURE: Duration = Duration::from_secs(60);

/// The same for a commit. Docker before version 23 goes on with it when its client has left, and
/// waits for the lock of the container, which the client can hold by a slow download.
const AFTER_COMMIT: Duration = Duration::from_secs(60 * 60);

/// The most names that are held without a call. Beyond it, the name of a call whose client has left
/// is free at once.
const REMEMBERED: usize = 16_384;

/// The part of these that one client may cause, whatever owners it names.
const PER_CLIENT: usize = 256;

/// A name, with the kind of the object that gets it.
type Name = (ObjectKind, String);

/// The names that are held: those of calls under way, which the shares of clients bound, and those
/// of clients that have left.
#[derive(Debug, Default)]
pub(crate) struct NameHolds(Arc<Mutex<HeldNames>>);

#[derive(Debug, Default)]
struct HeldNames {
    names: HashMap<Name, NameHolder>,
    /// The names that are held without a call, by the time at which they become free, with the client
    /// that has left.
    expiring: BTreeMap<(Instant, u64), (LimitSubject, Name)>,
    /// The number of entries of `expiring` for each client.
    caused: HashMap<LimitSubject, usize>,
    /// A number that makes each key of `expiring` unique.
    next: u64,
}

/// The reason why a call cannot hold its names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotHeld {
    /// A call of another owner is giving this name.
    Taken(Name),
    /// The client has left too many calls that gave names.
    TooMany,
}

/// The owner who holds a name.
#[derive(Debug)]
struct NameHolder {
    owner: Owner,
    /// The number of its calls under way that give the name.
    calls: usize,
    /// The time until which the name is held without a call.
    until: Option<Instant>,
}

impl NameHolder {
    fn is_over(&self, now: Instant) -> bool {
        self.calls == 0 && self.until.is_none_or(|until| until <= now)
    }
}

impl HeldNames {
    /// Forgets the names that are no longer held.
    fn forget(&mut self, now: Instant) {
        while let Some(first) = self.expiring.first_entry() {
            if first.key().0 > now {
                return;
            }
            let (client, name) = first.remove();
            if let Some(count) = self.caused.get_mut(&client) {
                *count -= 1;
                if *count == 0 {
                    self.caused.remove(&client);
                }
            }
            self.release(&name, now);
        }
    }

    /// Keeps a name for some time after its client has left.
    fn keep(&mut self, client: &LimitSubject, until: Instant, name: Name) {
        self.next += 1;
        *self.caused.entry(client.clone()).or_default() += 1;
        let entry = (client.clone(), name);
        self.expiring.insert((until, self.next), entry);
    }

    /// Removes a name if it is no longer held.
    fn release(&mut self, name: &Name, now: Instant) {
        if self.names.get(name).is_some_and(|one| one.is_over(now)) {
            self.names.remove(name);
        }
    }
}

/// The hold of one call on the names that it gives.
#[derive(Debug)]
pub(crate) struct NameHold {
    held: Arc<Mutex<HeldNames>>,
    names: Vec<Name>,
    client: LimitSubject,
    /// The time for which the names are held if the client leaves.
    patience: Duration,
    /// `true` from the time that the call is sent until its answer has ended.
    may_act: bool,
}

impl NameHolds {
    /// Holds names for a call of an owner, which a client makes. `is_commit` is set for a commit,
    /// whose names are held for longer if the client leaves.
    ///
    /// # Errors
    /// A call of another owner is giving one of the names, or the client has left many calls.
    pub(crate) fn hold(
        &self,
        names: &[Name],
        owner: &Owner,
        client: &LimitSubject,
        is_commit: bool,
    ) -> Result<NameHold, NotHeld> {
        let mut held = lock(&self.0);
        held.forget(Instant::now());
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        let is_taken = |name: &&Name| held.names.get(*name).is_some_and(|one| one.owner != *owner);
        if let Some(taken) = names.iter().find(is_taken) {
            return Err(NotHeld::Taken(taken.clone()));
        }
        let caused = held.caused.get(client).copied().unwrap_or_default();
        if caused + names.len() > PER_CLIENT {
            return Err(NotHeld::TooMany);
        }
        for name in &names {
            let holder = held
                .names
                .entry(name.clone())
                .or_insert_with(|| NameHolder {
                    owner: owner.clone(),
                    calls: 0,
                    until: None,
                });
            holder.calls += 1;
        }
        Ok(NameHold {
            held: Arc::clone(&self.0),
            names,
            client: client.clone(),
            patience: match is_commit {
                true => AFTER_COMMIT,
                false => AFTER_DEPARTURE,
            },
            may_act: false,
        })
    }
}

impl NameHold {
    /// Notes that the call is about to be sent: if its client leaves, the engine may still carry it
    /// out.
    pub(crate) fn note_sent(&mut self) {
        self.may_act = true;
    }

    /// Notes that the answer has ended.
    pub(crate) fn settle(&mut self) {
        self.may_act = false;
    }
}

impl Drop for NameHold {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut held = lock(&self.held);
        held.forget(now);
        for name in self.names.drain(..) {
            let has_room = held.expiring.len() < REMEMBERED;
            let until = (self.may_act && has_room).then(|| now + self.patience);
            if let Some(holder) = held.names.get_mut(&name) {
                holder.calls = holder.calls.saturating_sub(1);
                holder.until = holder.until.max(until);
            }
            match until {
                Some(until) => held.keep(&self.client, until, name),
                None => held.release(&name, now),
            }
        }
    }
}

fn lock(held: &Mutex<HeldNames>) -> MutexGuard<'_, HeldNames> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str) -> Name {
        (ObjectKind::Image, name.to_owned())
    }

    /// Holds names for a client of its own.
    fn hold(holds: &NameHolds, names: &[Name], owner: &Owner) -> Result<NameHold, NotHeld> {
        holds.hold(names, owner, &LimitSubject::Frontend(0), false)
    }

    #[test]
    fn a_name_is_held_by_one_owner() {
        let holds = NameHolds::default();
        let (alice, bob) = (Owner::profile("alice"), Owner::profile("bob"));
        let first = hold(&holds, &[image("app:1"), image("app:1")], &alice).expect("a free name");
        let second = hold(&holds, &[image("app:1")], &alice).expect("its own name");
        let both = [image("app:2"), image("app:1")];
        assert_eq!(
            hold(&holds, &both, &bob).err(),
            Some(NotHeld::Taken(image("app:1")))
        );
        // A name of a call that was refused is not held.
        let other = hold(&holds, &[image("app:2")], &alice).expect("a free name");
        let volume = (ObjectKind::Volume, "app:1".to_owned());
        drop(hold(&holds, &[volume], &bob).expect("a name of another kind"));
        drop((first, other));
        assert!(hold(&holds, &both, &bob).is_err());
        drop(second);
        let mut sent = hold(&holds, &both, &bob).expect("free names");
        sent.note_sent();
        sent.settle();
        drop(sent);
        let mut sent = hold(&holds, &both, &alice).expect("free names");
        sent.note_sent();
        // The engine may still carry out a call whose client has left.
        drop(sent);
        assert!(hold(&holds, &both, &bob).is_err());
        drop(hold(&holds, &both, &alice).expect("its own names"));
    }

    #[test]
    fn names_of_clients_that_have_left_are_bounded() {
        let holds = NameHolds::default();
        for number in 0..2 * REMEMBERED {
            let (name, owner) = (image(&format!("app:{number}")), Owner::profile("ci"));
            let client = LimitSubject::Frontend(number / PER_CLIENT);
            let hold = holds.hold(&[name], &owner, &client, false);
            hold.expect("a free name").note_sent();
        }
        assert_eq!(lock(&holds.0).names.len(), REMEMBERED);
    }

    /// A client that connects again, or names another owner, is the same client.
    #[test]
    fn a_client_cannot_use_up_the_memory_for_names_that_it_has_left() {
        let holds = NameHolds::default();
        let greedy = LimitSubject::Frontend(1);
        for number in 0..PER_CLIENT {
            let owner = Owner::profile(&format!("ci-{number}"));
            let hold = holds.hold(&[image(&format!("app:{number}"))], &owner, &greedy, false);
            hold.expect("a free name").note_sent();
        }
        let ci = Owner::profile("ci");
        let more = holds.hold(&[image("app")], &ci, &greedy, false);
        assert_eq!(more.err(), Some(NotHeld::TooMany));
        drop(hold(&holds, &[image("app")], &ci).expect("the name is free for others"));
        // Once they are over, it may go on.
        let later = Instant::now() + AFTER_COMMIT;
        lock(&holds.0).forget(later);
        drop(
            holds
                .hold(&[image("app")], &ci, &greedy, false)
                .expect("a free name"),
        );
    }

    #[test]
    fn the_name_of_a_commit_is_held_for_longer() {
        let holds = NameHolds::default();
        let (alice, client) = (Owner::profile("alice"), LimitSubject::Frontend(0));
        for (name, is_commit) in [("built", false), ("committed", true)] {
            let hold = holds.hold(&[image(name)], &alice, &client, is_commit);
            hold.expect("a free name").note_sent();
        }
        lock(&holds.0).forget(Instant::now() + AFTER_DEPARTURE);
        let held = lock(&holds.0);
        assert!(held.names.contains_key(&image("committed")) && held.names.len() == 1);
    }

    #[test]
    fn names_that_are_free_take_no_memory() {
        let holds = NameHolds::default();
        for number in 0..100 {
            let name = image(&format!("app:{number}"));
            let hold = hold(&holds, &[name], &Owner::profile("ci"));
            drop(hold.expect("a free name"));
        }
        assert!(lock(&holds.0).names.is_empty());
    }
}
