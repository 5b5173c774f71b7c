//! Holds on the names that calls under way give to objects.
//!
//! The proxy judges a name before it sends the call, and the engine gives the name to the new object
//! at the end of the call. A build, an import or a pull can take minutes. If another owner created an
//! object of the same name meanwhile, the engine would replace its image, or have two networks of one
//! name. So the proxy refuses calls of other owners that give a name that is held.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::Owner;
use cetusguard_policy::endpoint::ObjectKind;

/// The time for which a name is held after its call has ended without an answer: the engine may
/// still do what the call asks for. A commit of Docker before version 23 goes on when its client has
/// left, and waits for the lock of its container, which the client can hold by a slow download.
const UNSETTLED: Duration = Duration::from_secs(60 * 60);

/// The most names that are held without a call. Beyond it, the name of a call whose client has left
/// is free at once.
const REMEMBERED: usize = 4096;

/// A name, with the kind of the object that gets it.
type Name = (ObjectKind, String);

/// The names that are held: those of calls under way, which the shares of clients bound, and those
/// of clients that have left.
#[derive(Debug, Default)]
pub(crate) struct NameHolds(Arc<Mutex<HeldName>>);

#[derive(Debug, Default)]
struct HeldName {
    names: HashMap<Name, NameHolder>,
    /// The names that are held without a call, with the time until which they are, in its order.
    left: VecDeque<(Instant, Name)>,
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

impl HeldName {
    /// Forgets the names that are no longer held.
    fn forget(&mut self, now: Instant) {
        while let Some((_, name)) = self.left.pop_front_if(|(until, _)| *until <= now) {
            self.release(&name, now);
        }
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
    held: Arc<Mutex<HeldName>>,
    names: Vec<Name>,
    /// `true` from the time that the call is sent until its answer has ended.
    may_act: bool,
}

impl NameHolds {
    /// Holds names for a call of an owner.
    ///
    /// # Errors
    /// The name that a call of another owner is giving.
    pub(crate) fn hold(&self, names: &[Name], owner: &Owner) -> Result<NameHold, Name> {
        let mut held = lock(&self.0);
        held.forget(Instant::now());
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        let is_taken = |name: &&Name| held.names.get(*name).is_some_and(|one| one.owner != *owner);
        if let Some(taken) = names.iter().find(is_taken) {
            return Err(taken.clone());
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
            may_act: false,
        })
    }
}

impl NameHold {
    /// Notes that the call is sent: if its client leaves, the engine may still carry it out.
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
            let has_room = held.left.len() < REMEMBERED;
            let until = (self.may_act && has_room).then(|| now + UNSETTLED);
            if let Some(holder) = held.names.get_mut(&name) {
                holder.calls = holder.calls.saturating_sub(1);
                holder.until = holder.until.max(until);
            }
            match until {
                Some(until) => held.left.push_back((until, name)),
                None => held.release(&name, now),
            }
        }
    }
}

fn lock(held: &Mutex<HeldName>) -> MutexGuard<'_, HeldName> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str) -> Name {
        (ObjectKind::Image, name.to_owned())
    }

    #[test]
    fn a_name_is_held_by_one_owner() {
        let holds = NameHolds::default();
        let (alice, bob) = (Owner::profile("alice"), Owner::profile("bob"));
        let first = holds
            .hold(&[image("app:1"), image("app:1")], &alice)
            .expect("a free name");
        let second = holds.hold(&[image("app:1")], &alice).expect("its own name");
        let both = [image("app:2"), image("app:1")];
        assert_eq!(holds.hold(&both, &bob).err(), Some(image("app:1")));
        // A name of a call that was refused is not held.
        let other = holds.hold(&[image("app:2")], &alice).expect("a free name");
        let volume = (ObjectKind::Volume, "app:1".to_owned());
        drop(holds.hold(&[volume], &bob).expect("a name of another kind"));
        drop((first, other));
        assert!(holds.hold(&both, &bob).is_err());
        drop(second);
        let mut sent = holds.hold(&both, &bob).expect("free names");
        sent.note_sent();
        sent.settle();
        drop(sent);
        let mut sent = holds.hold(&both, &alice).expect("free names");
        sent.note_sent();
        // The engine may still carry out a call whose client has left.
        drop(sent);
        assert!(holds.hold(&both, &bob).is_err());
        drop(holds.hold(&both, &alice).expect("its own names"));
    }

    #[test]
    fn names_of_clients_that_have_left_are_bounded() {
        let holds = NameHolds::default();
        for number in 0..2 * REMEMBERED {
            let name = image(&format!("app:{number}"));
            let hold = holds.hold(&[name], &Owner::profile("ci"));
            hold.expect("a free name").note_sent();
        }
        assert_eq!(lock(&holds.0).names.len(), REMEMBERED);
    }

    #[test]
    fn names_that_are_free_take_no_memory() {
        let holds = NameHolds::default();
        for number in 0..100 {
            let name = image(&format!("app:{number}"));
            let hold = holds.hold(&[name], &Owner::profile("ci"));
            drop(hold.expect("a free name"));
        }
        assert!(lock(&holds.0).names.is_empty());
    }
}
