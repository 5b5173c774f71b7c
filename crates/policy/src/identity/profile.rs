//! Profiles: the rights of a class of clients, and the selection of a client's profile.

use core::net::IpAddr;
use std::fmt;
use std::sync::Arc;

use crate::guard::{Guard, Recreation};
use crate::identity::client::{Condition, Container, FactKind, Principal, Selector};
use crate::identity::limit::ClientLimits;
use crate::identity::target::Targets;
use crate::request::call::Call;
use crate::rule::RuleSet;
use crate::view::View;

/// A named set of rights.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The name that logs and refusals show.
    pub name: String,
    /// The endpoints that a client of this profile may call.
    pub rules: RuleSet,
    /// The limits of each of its clients.
    pub limits: ClientLimits,
    /// The guard that judges allowed calls.
    pub guard: Arc<Guard>,
    /// The objects that its calls may be about.
    pub targets: Arc<Targets>,
    /// The part of the engine that its clients see.
    pub view: Arc<View>,
    /// The mode of the profile.
    pub mode: Mode,
    /// The way in which its clients create a container again that they have deleted; `None` if that
    /// is not known.
    pub recreation: Option<Recreation>,
}

impl Profile {
    /// Returns the call with the images of its path and its query by the names that the profile
    /// gives them. Rules, guard and view judge these names.
    #[must_use]
    pub fn rewrite_images(&self, call: Call) -> Call {
        self.guard.rewrite_images_of_call(call)
    }
}

/// The effect of a profile's decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A call that the profile does not allow is refused.
    #[default]
    Enforce,
    /// A call that the profile does not allow is forwarded and logged.
    Audit,
}

/// All profiles, and the selectors that give them to clients.
#[derive(Clone, Debug)]
pub struct Profiles {
    default: Arc<Profile>,
    /// In the order in which selectors are asked.
    selected: Vec<(Selector, Arc<Profile>)>,
}

/// Two profiles that match a client, neither of which takes precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// Their names.
    pub profiles: [String; 2],
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = &self.profiles;
        write!(
            f,
            "this client is one of profile {one} and of profile {other}; make their clients \
            distinct, or give it a socket of its own"
        )
    }
}

impl std::error::Error for Ambiguous {}

impl Profiles {
    /// Builds the set from the default profile with its selectors, the other profiles, and their
    /// selectors.
    #[must_use]
    pub fn new(
        default: Profile,
        also: Vec<Selector>,
        others: Vec<(Profile, Vec<Selector>)>,
    ) -> Self {
        let default = Arc::new(default);
        let mut selected: Vec<(Selector, Arc<Profile>)> = Vec::new();
        selected.extend(
            also.into_iter()
                .map(|selector| (selector, Arc::clone(&default))),
        );
        for (profile, selectors) in others {
            let profile = Arc::new(profile);
            selected.extend(
                selectors
                    .into_iter()
                    .map(|selector| (selector, Arc::clone(&profile))),
            );
        }
        selected.sort_by_key(|(selector, _)| selector.rank());
        Self { default, selected }
    }

    /// Returns the profile of a client, and the selector that found it.
    ///
    /// # Errors
    /// Two profiles match the client.
    pub fn of(&self, client: &Principal) -> Result<(&Arc<Profile>, Option<&Selector>), Ambiguous> {
        let mut matching = self
            .selected
            .iter()
            .filter(|(selector, _)| selector.matches(client));
        let Some((first, profile)) = matching.next() else {
            return Ok((&self.default, None));
        };
        let rival = matching
            .take_while(|(selector, _)| selector.rank() == first.rank())
            .find(|(_, other)| !Arc::ptr_eq(profile, other));
        match rival {
            None => Ok((profile, Some(first))),
            Some((_, other)) => Err(Ambiguous {
                profiles: [profile.name.clone(), other.name.clone()],
            }),
        }
    }

    /// Returns whether a client that no selector has found could have had another profile.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.selected
            .iter()
            .any(|(_, profile)| !Arc::ptr_eq(profile, &self.default))
    }

    /// Returns whether a client's profile depends on its container, because no selector with
    /// precedence matches.
    #[must_use]
    pub fn depends_on_container(&self, client: &Principal) -> bool {
        let before =
            |selector: &Selector| selector.kind() < FactKind::Container && selector.matches(client);
        self.by_container() && !self.selected.iter().any(|(selector, _)| before(selector))
    }

    /// Returns whether any profile is found by container.
    #[must_use]
    pub fn by_container(&self) -> bool {
        self.selected
            .iter()
            .any(|(selector, _)| selector.kind() == FactKind::Container)
    }

    /// Returns the keys of the labels by which profiles are found; some may come several times.
    pub fn selecting_labels(&self) -> impl Iterator<Item = &str> {
        self.selected
            .iter()
            .flat_map(|(selector, _)| selector.conditions())
            .filter_map(|condition| match condition {
                Condition::Label(key, _) => Some(key.as_str()),
                _ => None,
            })
    }

    /// Returns every selector with the name of its profile, in the order in which selectors are
    /// asked.
    pub(crate) fn selected(&self) -> impl Iterator<Item = (&Selector, &str)> {
        self.selected
            .iter()
            .map(|(selector, profile)| (selector, profile.name.as_str()))
    }

    /// Returns the names of the profiles that a container has at each of its addresses.
    pub(crate) fn of_container(&self, container: &Container, addresses: &[IpAddr]) -> Vec<&str> {
        let container = Some(Arc::new(container.clone()));
        let places: Vec<_> = if addresses.is_empty() {
            vec![None]
        } else {
            addresses.iter().copied().map(Some).collect()
        };
        let at = |address| {
            let client = Principal {
                address,
                container: container.clone(),
                ..Principal::default()
            };
            let mut selectors = self.selected().filter(|(selector, _)| {
                matches!(selector.kind(), FactKind::Container | FactKind::Address)
            });
            selectors
                .find(|(selector, _)| selector.matches(&client))
                .map(|(_, name)| name)
        };
        places.into_iter().filter_map(at).collect()
    }

    /// Returns the same set with other rights for some profiles.
    #[must_use]
    pub fn replaced(self, other: impl Fn(&Profile) -> Option<Profile>) -> Self {
        let mut known: Vec<(Arc<Profile>, Arc<Profile>)> = Vec::new();
        let mut take =
            |old: Arc<Profile>| match known.iter().find(|(known, _)| Arc::ptr_eq(known, &old)) {
                Some((_, new)) => Arc::clone(new),
                None => {
                    let new = other(&old).map_or_else(|| Arc::clone(&old), Arc::new);
                    known.push((old, Arc::clone(&new)));
                    new
                }
            };
        let default = take(self.default);
        let selected = self
            .selected
            .into_iter()
            .map(|(selector, profile)| (selector, take(profile)))
            .collect();
        Self { default, selected }
    }

    /// Returns the selectors of a profile. The default profile also has all clients that no
    /// selector matches.
    pub fn selectors_of<'p>(
        &'p self,
        profile: &'p Arc<Profile>,
    ) -> impl Iterator<Item = &'p Selector> {
        self.selected
            .iter()
            .filter(|(_, own)| Arc::ptr_eq(own, profile))
            .map(|(selector, _)| selector)
    }

    /// Returns each profile once, the default first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Profile>> {
        let one = |at: &usize| {
            if *at == 0 {
                &self.default
            } else {
                &self.selected[*at - 1].1
            }
        };
        let is_first = move |at: &usize| !(0..*at).any(|before| Arc::ptr_eq(one(&before), one(at)));
        (0..=self.selected.len())
            .filter(is_first)
            .map(move |at| one(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::client::{Certificate, Condition, Container};
    use crate::text::pattern::Pattern;

    fn profile(name: &str) -> Profile {
        let (rules, limits, guard) = (RuleSet::default(), ClientLimits::default(), Arc::default());
        let (name, targets) = (name.to_owned(), Arc::default());
        Profile {
            name,
            rules,
            limits,
            guard,
            targets,
            mode: Mode::Enforce,
            recreation: None,
            ..Profile::default()
        }
    }

    fn profiles() -> Profiles {
        let network = |text: &str| Condition::Network(text.parse().expect(text)).into();
        let named = |name: &str| Condition::Name(Pattern::new(name));
        let label = |value: &str| Condition::Label("tier".to_owned(), Pattern::new(value));
        Profiles::new(
            profile("default"),
            vec![Condition::Frontend(3).into()],
            vec![
                (
                    profile("net"),
                    vec![network("10.0.0.0/8"), network("fd00::/8")],
                ),
                (profile("name"), vec![named("web-*").into()]),
                (profile("label"), vec![label("low").into()]),
                (
                    profile("both"),
                    vec![Selector::new(vec![named("web-*"), label("*")]).expect("one kind")],
                ),
                (profile("group"), vec![Condition::Group(100).into()]),
                (
                    profile("user"),
                    vec![Condition::User(7).into(), Condition::User(8).into()],
                ),
                (
                    profile("cert"),
                    vec![Condition::CommonName(Pattern::new("ci")).into()],
                ),
                (profile("door"), vec![Condition::Frontend(2).into()]),
            ],
        )
    }

    #[test]
    fn what_is_harder_to_come_by_decides() {
        let profiles = profiles();
        let names: Vec<_> = profiles
            .all()
            .map(|profile| profile.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "default", "door", "cert", "user", "group", "both", "name", "label", "net"
            ]
        );
        for (frontend, cert, peer, container, address, want) in [
            (0, None, None, None, None, "default"),
            (0, None, None, None, Some("192.168.0.1"), "default"),
            (0, None, None, None, Some("10.1.2.3"), "net"),
            (0, None, None, None, Some("fd00::1"), "net"),
            (0, None, None, None, Some("::ffff:10.1.2.3"), "default"),
            (0, None, None, Some(("web-1", "")), Some("10.1.2.3"), "name"),
            (
                0,
                None,
                None,
                Some(("web-1", "low")),
                Some("10.1.2.3"),
                "both",
            ),
            (
                0,
                None,
                None,
                Some(("db", "low")),
                Some("10.1.2.3"),
                "label",
            ),
            (0, None, None, Some(("db", "")), Some("10.1.2.3"), "net"),
            (
                0,
                Some("ci"),
                None,
                Some(("web-1", "low")),
                Some("10.1.2.3"),
                "cert",
            ),
            (
                0,
                Some("x"),
                None,
                Some(("web-1", "")),
                Some("10.1.2.3"),
                "name",
            ),
            (2, Some("ci"), None, None, Some("10.1.2.3"), "door"),
            (0, None, Some((7, 100)), None, None, "user"),
            (0, None, Some((9, 100)), None, None, "group"),
            (0, None, Some((100, 9)), None, None, "default"),
            (2, None, Some((7, 100)), None, None, "door"),
            (3, None, Some((7, 100)), None, Some("10.1.2.3"), "default"),
        ] {
            let certificate = cert.map(|name: &str| {
                Arc::new(Certificate {
                    common_name: Some(name.to_owned()),
                    ..Certificate::default()
                })
            });
            let container = container.map(|(name, tier): (&str, &str)| {
                let labels = [("tier".to_owned(), tier.to_owned())]
                    .into_iter()
                    .filter(|(_, tier)| !tier.is_empty());
                Arc::new(Container {
                    id: String::new(),
                    name: name.to_owned(),
                    labels: labels.collect(),
                })
            });
            let address = address.map(|text| text.parse().expect(text));
            let client = Principal {
                frontend,
                certificate,
                peer,
                container,
                address,
            };
            assert_eq!(
                profiles.of(&client).expect("one").0.name,
                want,
                "{client:?}"
            );
        }
    }

    #[test]
    fn every_address_of_a_container_counts() {
        let profiles = profiles();
        let found = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses
                .iter()
                .map(|text| text.parse().expect(text))
                .collect();
            profiles
                .of_container(&Container::default(), &addresses)
                .join(" ")
        };
        assert_eq!(found(&[]), "");
        assert_eq!(found(&["192.168.0.1", "10.0.0.1"]), "net");
        assert_eq!(found(&["fd00::1", "10.0.0.1"]), "net net");
    }

    #[test]
    fn a_client_of_two_profiles_has_none() {
        let label = |key: &str| Condition::Label(key.to_owned(), Pattern::new("yes")).into();
        let others = vec![
            (profile("a"), vec![label("a")]),
            (profile("b"), vec![label("b"), label("c")]),
        ];
        let profiles = Profiles::new(profile("default"), vec![], others);
        for (keys, want) in [
            (&["a"][..], Ok("a")),
            (&["b", "c"], Ok("b")),
            (&["a", "c"], Err(["a", "b"])),
            (&["x"], Ok("default")),
        ] {
            let labels = keys
                .iter()
                .map(|key| ((*key).to_owned(), "yes".to_owned()))
                .collect();
            let container = Container {
                labels,
                ..Container::default()
            };
            let client = Principal {
                container: Some(Arc::new(container)),
                ..Principal::default()
            };
            let found = profiles
                .of(&client)
                .map(|(profile, _)| profile.name.as_str());
            assert_eq!(
                found,
                want.map_err(|names| Ambiguous {
                    profiles: names.map(str::to_owned)
                }),
                "{keys:?}"
            );
        }
    }

    #[test]
    fn the_engine_is_asked_only_where_it_matters() {
        let profiles = profiles();
        let client = |frontend| Principal {
            frontend,
            ..Principal::default()
        };
        assert!(profiles.depends_on_container(&client(0)));
        assert!(!profiles.depends_on_container(&client(2)));
        assert!(
            !Profiles::new(profile("default"), vec![], vec![]).depends_on_container(&client(0))
        );
    }
}
