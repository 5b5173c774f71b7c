//! From what the file says of frontends and profiles to who has which rights.

use cetusguard_policy::rule::{self, RuleSet};
use cetusguard_policy::{Profile, Profiles, Selector};
use ipnet::IpNet;

use super::Mistake;
use super::address::Address;
use super::file::Entry;
use super::frontends::Named;
use super::meant::{Reader, read_bool};
use super::written::Source;

/// The name of the profile of everybody whom no other is for.
const DEFAULT: &str = "default";

/// A profile in the making.
struct Draft<'f> {
    entry: &'f Entry,
    selectors: Vec<(Selector, Source)>,
}

impl Reader<'_> {
    /// The profiles of the file, and the default one that the options make.
    pub(super) fn profiles(&mut self, frontends: &[Named<'_>]) -> Profiles {
        let entries = self.written.file().map(|file| file.profiles.as_slice()).unwrap_or_default();
        let mut drafts: Vec<Draft<'_>> = entries.iter().map(|entry| self.draft(entry, frontends)).collect();
        let mut also = Vec::new();
        for (index, (_, named)) in frontends.iter().enumerate() {
            let Some((name, source)) = named else { continue };
            match drafts.iter_mut().find(|draft| draft.entry.name == *name) {
                Some(draft) => draft.selectors.push((Selector::Frontend(index), (*source).clone())),
                None if *name == DEFAULT => also.push(Selector::Frontend(index)),
                None => {
                    let known = entries.iter().map(|entry| entry.name.as_str()).chain([DEFAULT]);
                    let fix = format!("expected one of: {}", known.collect::<Vec<_>>().join(", "));
                    self.mistakes.push(Mistake::value(source, "profile", name, fix));
                }
            }
        }
        self.check(&drafts);
        let bare = self.read("no-builtin-rules", read_bool).unwrap_or_default();
        let default = Profile { name: DEFAULT.to_owned(), rules: self.rules(None, bare) };
        let mut others = Vec::new();
        for draft in drafts {
            let rules = self.rules(Some(draft.entry), bare);
            let selectors = draft.selectors.into_iter().map(|(selector, _)| selector).collect();
            others.push((Profile { name: draft.entry.name.clone(), rules }, selectors));
        }
        Profiles::new(default, also, others)
    }

    /// What selects a profile, apart from frontends. A selector that no client can meet is a mistake: those it was written for
    /// would be somebody else.
    fn draft<'f>(&mut self, entry: &'f Entry, frontends: &[Named<'_>]) -> Draft<'f> {
        let open = |is_kind: fn(&Address) -> bool| {
            frontends.iter().any(|(frontend, named)| {
                named.is_none() && (is_kind(&frontend.address) || frontend.address == Address::Inherited)
            })
        };
        let (by_peer, by_address) = (
            open(|address| matches!(address, Address::Unix(_))),
            open(|address| matches!(address, Address::Tcp { .. })),
        );
        let mut selectors = Vec::new();
        for (key, (text, source)) in &entry.clients {
            let selector = match *key {
                "user" | "group" if !by_peer => {
                    Err("expected a Unix frontend without a profile, for such clients to use")
                }
                "address" if !by_address => Err("expected a TCP frontend without a profile, for such clients to use"),
                "user" => number(text).map(Selector::User),
                "group" => number(text).map(Selector::Group),
                _ => network(text),
            };
            match selector {
                Ok(selector) => selectors.push((selector, source.clone())),
                Err(expected) => self.mistakes.push(Mistake::value(source, key, text, expected)),
            }
        }
        Draft { entry, selectors }
    }

    /// Profiles that nobody reaches, and clients that two of them would have.
    fn check(&mut self, drafts: &[Draft<'_>]) {
        let mut seen: Vec<(&Selector, &str)> = Vec::new();
        for draft in drafts {
            let name = draft.entry.name.as_str();
            let mut wrong = |what: String, fix: &str| self.mistakes.push(Mistake::at(&draft.entry.spot, what, fix));
            if name == DEFAULT {
                let fix = "the rules of the profile default are those of the options: rules and rules-file";
                wrong("the profile default is made by the options".to_owned(), fix);
            } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
                let fix = "expected letters, digits, dashes, dots and underscores";
                wrong(format!("{name:?} is no name of a profile"), fix);
            } else if draft.selectors.is_empty() && draft.entry.clients.is_empty() {
                let fix = "give it clients, or name it in an entry of frontends";
                wrong(format!("nothing reaches the profile {name}"), fix);
            }
            for (selector, source) in &draft.selectors {
                if let Some((_, other)) = seen.iter().find(|(known, _)| known.collides_with(selector)) {
                    let whose = if *other == name {
                        "twice this profile's".to_owned()
                    } else {
                        format!("the profile {other}'s as well")
                    };
                    let fix = "each client has one profile: take one of the two out, or make them distinct";
                    let what = format!("these clients are {whose}");
                    self.mistakes.push(match source {
                        Source::File(spot) => Mistake::at(spot, what, fix),
                        Source::Flag(_) | Source::Env(_) | Source::Default => Mistake::new(what, fix),
                    });
                }
                seen.push((selector, name));
            }
        }
    }

    /// Built-in rules, then those written, then those of files: of one profile, or of the options. `bare` is what the option
    /// says about the built-in ones.
    fn rules(&mut self, entry: Option<&Entry>, bare: bool) -> RuleSet {
        let own = entry.and_then(|entry| self.value(entry, "no-builtin-rules", read_bool));
        let all = |key: &'static str| entry.map_or_else(|| self.written.all(key), |entry| entry.all(key));
        let mut texts: Vec<(String, usize, String)> = Vec::new();
        if !own.unwrap_or(bare) {
            texts.push(("built-in".to_owned(), 1, rule::BUILT_IN.to_owned()));
        }
        for (text, source) in all("rules") {
            let first = if let Source::File(spot) = source { spot.begins() } else { 1 };
            texts.push((source.to_string(), first, text.clone()));
        }
        for (path, source) in all("rules-file") {
            match super::read_text(path) {
                Ok(text) => texts.push((path.clone(), 1, text)),
                Err(why) => {
                    let expected = format!("expected a readable file of rules: {why}");
                    self.mistakes.push(Mistake::value(source, "rules-file", path, expected));
                }
            }
        }
        let mut rules = Vec::new();
        for (origin, first, text) in texts {
            match rule::parse_sharing(&mut self.expressions, &origin, first, &text) {
                Ok(parsed) => rules.extend(parsed),
                Err(wrong) => self.mistakes.extend(wrong.into_iter().map(|wrong| Mistake::Rule(Box::new(wrong)))),
            }
        }
        RuleSet::new(rules)
    }
}

/// What the kernel shows for every user and group that it cannot map.
const OVERFLOW: u32 = 65534;

fn number(text: &str) -> Result<u32, &'static str> {
    match text.parse() {
        Ok(OVERFLOW) => Err("expected another number: every user that the kernel cannot map is shown as 65534"),
        Ok(number) => Ok(number),
        Err(_) => Err("expected a number"),
    }
}

/// An address is a network of one.
fn network(text: &str) -> Result<Selector, &'static str> {
    let net = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let net: IpNet = net.map_err(|_| "expected an address or a network, as in 172.28.0.0/16 or fd00::/8")?;
    match net {
        IpNet::V6(six) if six.addr().to_ipv4_mapped().is_some() => Err("expected it as IPv4: so its clients are seen"),
        _ if net.addr() != net.network() => Err("expected a network without bits behind its prefix"),
        _ => Ok(Selector::Network(net)),
    }
}
