//! What one class of client may do, and which class a client is of.

use std::sync::Arc;

use crate::client::{Principal, Selector};
use crate::rule::RuleSet;

/// A named set of rights.
#[derive(Debug)]
pub struct Profile {
    /// The name that logs and refusals show.
    pub name: String,
    /// The endpoints that a client of this profile may call.
    pub rules: RuleSet,
}

/// Every profile, and who has it.
#[derive(Debug)]
pub struct Profiles {
    default: Arc<Profile>,
    /// In the order in which selectors are asked.
    selected: Vec<(Selector, Arc<Profile>)>,
}

impl Profiles {
    /// The rights of everybody whom no selector finds, and of those whom these find; and those of the others.
    #[must_use]
    pub fn new(default: Profile, also: Vec<Selector>, others: Vec<(Profile, Vec<Selector>)>) -> Self {
        let default = Arc::new(default);
        let mut selected: Vec<(Selector, Arc<Profile>)> = Vec::new();
        selected.extend(also.into_iter().map(|selector| (selector, Arc::clone(&default))));
        for (profile, selectors) in others {
            let profile = Arc::new(profile);
            selected.extend(selectors.into_iter().map(|selector| (selector, Arc::clone(&profile))));
        }
        selected.sort_by_key(|(selector, _)| *selector);
        Self { default, selected }
    }

    /// The profile of a client.
    #[must_use]
    pub fn of(&self, client: &Principal) -> &Arc<Profile> {
        let found = self.selected.iter().find(|(selector, _)| selector.matches(client));
        found.map_or(&self.default, |(_, profile)| profile)
    }

    /// Each profile once, the default first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Profile>> {
        let one = |at: &usize| if *at == 0 { &self.default } else { &self.selected[*at - 1].1 };
        let is_first = move |at: &usize| !(0..*at).any(|before| Arc::ptr_eq(one(&before), one(at)));
        (0..=self.selected.len()).filter(is_first).map(move |at| one(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str) -> Profile {
        Profile { name: name.to_owned(), rules: RuleSet::default() }
    }

    #[test]
    fn what_is_harder_to_come_by_decides() {
        let network = |text: &str| Selector::Network(text.parse().expect(text));
        let profiles = Profiles::new(
            profile("default"),
            vec![Selector::Frontend(3)],
            vec![
                (profile("net"), vec![network("10.0.0.0/8"), network("fd00::/8")]),
                (profile("group"), vec![Selector::Group(100)]),
                (profile("user"), vec![Selector::User(7), Selector::User(8)]),
                (profile("door"), vec![Selector::Frontend(2)]),
            ],
        );
        assert_eq!(
            profiles.all().map(|profile| profile.name.as_str()).collect::<Vec<_>>(),
            ["default", "door", "user", "group", "net"]
        );
        for (frontend, peer, address, want) in [
            (0, None, None, "default"),
            (0, None, Some("192.168.0.1"), "default"),
            (0, None, Some("10.1.2.3"), "net"),
            (0, None, Some("fd00::1"), "net"),
            (0, None, Some("::ffff:10.1.2.3"), "default"),
            (2, None, Some("10.1.2.3"), "door"),
            (0, Some((7, 100)), None, "user"),
            (0, Some((9, 100)), None, "group"),
            (0, Some((100, 9)), None, "default"),
            (2, Some((7, 100)), None, "door"),
            (3, Some((7, 100)), Some("10.1.2.3"), "default"),
        ] {
            let address = address.map(|text| text.parse().expect(text));
            let found = profiles.of(&Principal { frontend, peer, address });
            assert_eq!(found.name, want, "{frontend} {peer:?} {address:?}");
        }
    }
}
