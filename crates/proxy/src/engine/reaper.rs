//! Removes objects that clients own once their lifetime is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::{Owner, Profiles};
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::{KINDS, Owned, list_owned_kind, remove_owned};
use crate::flow::Proxy;
use crate::telemetry::log::{Level, Log};

/// The interval at which the engine is asked for objects whose lifetime is over.
const INTERVAL: Duration = Duration::from_secs(30);

/// Removes the objects of profiles with a lifetime, for ever. Asks the engine only if a profile has
/// one.
pub(crate) async fn reap(proxy: Arc<Proxy>) {
    let mut ticks = interval(INTERVAL);
    // After a time without ticks, one is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ages = Ages::default();
    loop {
        ticks.tick().await;
        let mut listed = Vec::new();
        for (owner, lifetime) in lifetimes(&proxy.profiles()) {
            listed.extend(reap_once(&owner, lifetime, &ages, &proxy).await);
        }
        ages = Ages::of(&listed);
    }
}

/// The earliest times at which objects were said to be created. Docker before version 25 tells the
/// last change of a volume's folder instead, which its container can bring about.
#[derive(Debug, Default)]
struct Ages(HashMap<(ObjectKind, String), SystemTime>);

impl Ages {
    /// Returns the ages of these objects. Those of others are forgotten.
    fn of(listed: &[Owned]) -> Self {
        let known = listed.iter().filter_map(|one| {
            let created = one.created?;
            Some(((one.kind, one.id.clone()), created))
        });
        Self(known.collect())
    }

    /// Sets the time back at which an object was created to the earliest one that is known.
    fn correct(&self, owned: &mut Owned) {
        let known = self.0.get(&(owned.kind, owned.id.clone())).copied();
        owned.created = match (owned.created, known) {
            (Some(created), Some(known)) => Some(created.min(known)),
            (created, known) => created.or(known),
        };
    }
}

/// Returns the owners whose objects have a lifetime, with that.
fn lifetimes(profiles: &Profiles) -> Vec<(Owner, Duration)> {
    profiles
        .all()
        .filter_map(|profile| {
            let ownership = profile.view.ownership.as_ref()?;
            let lifetime = Duration::from_secs(ownership.lifetime?);
            Some((Owner::profile(&ownership.owner), lifetime))
        })
        .collect()
}

/// Removes the objects of an owner whose lifetime is over. Returns all that were listed.
async fn reap_once(owner: &Owner, lifetime: Duration, ages: &Ages, proxy: &Proxy) -> Vec<Owned> {
    let mut owned = Vec::new();
    // A list that cannot be read, because a client has filled it with labels, keeps no others.
    for kind in KINDS {
        match list_owned_kind(kind, owner, &proxy.backend).await {
            Ok(listed) => owned.extend(listed),
            Err(trouble) => {
                let what = format!("objects whose lifetime is over could not be listed: {trouble}");
                proxy.log.say(Level::Warning, &what);
            }
        }
    }
    owned.iter_mut().for_each(|one| ages.correct(one));
    let now = SystemTime::now();
    for one in owned.iter().filter(|one| is_over(one, lifetime, now)) {
        let removed = remove_owned(one, &proxy.backend).await;
        log_removal(
            one,
            removed.err().map(|trouble| trouble.to_string()),
            &proxy.log,
        );
    }
    owned
}

/// Returns whether the lifetime of an object is over. An object of an unknown age is kept.
fn is_over(owned: &Owned, lifetime: Duration, now: SystemTime) -> bool {
    let age = owned
        .created
        .and_then(|created| now.duration_since(created).ok());
    age.is_some_and(|age| age >= lifetime)
}

fn log_removal(owned: &Owned, failure: Option<String>, log: &Log) {
    let (level, message) = match failure {
        None => (Level::Info, "removed an object whose lifetime is over"),
        Some(_) => (
            Level::Warning,
            "cannot remove an object whose lifetime is over",
        ),
    };
    let mut line = log
        .line(level, message)
        .text("kind", owned.kind.name())
        .text("name", &owned.name);
    if !owned.session.is_empty() {
        line = line.text("session", &owned.session);
    }
    if let Some(why) = failure {
        line = line.text("detail", &why);
    }
    log.send(line);
}

#[cfg(test)]
mod tests {
    use cetusguard_policy::endpoint::ObjectKind;

    use super::*;

    #[test]
    fn an_object_does_not_become_younger() {
        let volume = |name: &str, created: u64| Owned {
            kind: ObjectKind::Volume,
            id: name.to_owned(),
            name: name.to_owned(),
            session: String::new(),
            created: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(created)),
        };
        let ages = Ages::of(&[volume("data", 100)]);
        for (name, created, want) in [("data", 900, 100), ("data", 50, 50), ("new", 900, 900)] {
            let mut found = volume(name, created);
            ages.correct(&mut found);
            assert_eq!(
                found.created,
                volume(name, want).created,
                "{name} {created}"
            );
        }
    }

    #[test]
    fn only_old_objects_of_a_known_age_are_removed() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        for (created, want) in [
            (Some(900), true),
            (Some(901), false),
            // The engine's clock may be ahead.
            (Some(2000), false),
            (None, false),
        ] {
            let owned = Owned {
                kind: ObjectKind::Container,
                id: "1".to_owned(),
                name: "web".to_owned(),
                session: String::new(),
                created: created.map(|at| SystemTime::UNIX_EPOCH + Duration::from_secs(at)),
            };
            let found = is_over(&owned, Duration::from_secs(100), now);
            assert_eq!(found, want, "{created:?}");
        }
    }
}
