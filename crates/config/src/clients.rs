//! The conditions of `clients`, made into the selectors of a profile.

use std::net::IpAddr;

use cetusguard_policy::{COMPOSE_PROJECT, COMPOSE_SERVICE, Condition, FactKind, Pattern, Selector};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use ipnet::IpNet;

use super::Mistake;
use super::address::Address;
use super::file::Client;
use super::frontends::Named;
use super::tls::{ListenerTls, MakeTls};
use super::written::Source;

/// Which kinds of conditions a client can meet at all, with the frontends that no profile has
/// taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doors {
    tcp: bool,
    unix: bool,
    certificates: bool,
}

impl Doors {
    pub(super) fn of<T: MakeTls>(frontends: &[Named<'_, T>]) -> Self {
        let mut doors = Self {
            tcp: false,
            unix: false,
            certificates: false,
        };
        for (frontend, _) in frontends.iter().filter(|(_, profile)| profile.is_none()) {
            doors.tcp |= !matches!(frontend.address, Address::Unix(_));
            doors.unix |= !matches!(frontend.address, Address::Tcp { .. });
            doors.certificates |= frontend.tls.as_ref().is_some_and(ListenerTls::asks_clients);
        }
        doors
    }

    /// Returns the missing setting without which no client can meet a condition of this kind.
    const fn lack(self, kind: FactKind) -> Option<&'static str> {
        match kind {
            FactKind::Peer if !self.unix => {
                Some("expected a Unix frontend without a profile, for such clients to use")
            }
            FactKind::Container | FactKind::Address if !self.tcp => {
                Some("expected a TCP frontend without a profile, for such clients to use")
            }
            FactKind::Certificate if !self.certificates => Some(
                "expected a TLS frontend with tls-cacert and without a profile, for such clients \
                to use",
            ),
            _ => None,
        }
    }
}

/// Reads one entry of `clients`. A condition that no client can meet is a mistake: the intended
/// clients would get another profile.
pub(super) fn read(
    client: &Client,
    doors: Doors,
    mistakes: &mut Vec<Mistake>,
) -> Option<(Selector, Source)> {
    let (begins, written) = client;
    let mut conditions = Vec::new();
    for (key, (text, source)) in written {
        let read = condition(key, text).and_then(|read| match doors.lack(read.kind()) {
            Some(expected) => Err(expected),
            None => Ok(read),
        });
        match read {
            Ok(condition) => conditions.push(condition),
            Err(expected) => mistakes.push(Mistake::value(source, key, text, expected)),
        }
    }
    if conditions.len() < written.len() {
        return None;
    }
    // The message points at the first value; without one there is no condition, which was reported
    // already.
    let (_, (_, source)) = written.first()?;
    let selector = Selector::new(conditions);
    if selector.is_none() {
        let fix = "conditions of one entry are about one thing: its container, its certificate, \
            its process or its address; write others behind a dash of their own";
        mistakes.push(Mistake::about(
            begins,
            "conditions that are about different things",
            fix,
        ));
    }
    Some((selector?, source.clone()))
}

/// Reads one condition.
///
/// # Errors
/// Returns the description of the expected value.
pub fn condition(key: &str, text: &str) -> Result<Condition, &'static str> {
    let pattern = || {
        if text.is_empty() {
            Err("expected a name, or a pattern with *")
        } else {
            Ok(Pattern::new(text))
        }
    };
    Ok(match key {
        "cert-cn" => Condition::CommonName(pattern()?),
        // Names of hosts are the same in both cases (RFC 4343).
        "cert-dns" => Condition::DnsName(
            pattern().map(|name| Pattern::new(name.as_str().to_ascii_lowercase()))?,
        ),
        "cert-ip" => Condition::IpName(text.parse().map_err(|_| "expected an IP address")?),
        "cert-sha256" => Condition::Pin(
            read_pin(text).ok_or("expected 64 hexadecimal digits, or 32 bytes in base64")?,
        ),
        "cert-uri" => Condition::Uri(pattern()?),
        "compose-project" => Condition::Label(COMPOSE_PROJECT.to_owned(), pattern()?),
        "compose-service" => Condition::Label(COMPOSE_SERVICE.to_owned(), pattern()?),
        "container" => Condition::Name(Pattern::new(pattern()?.as_str().trim_start_matches('/'))),
        "group" => Condition::Group(read_number(text)?),
        "label" => {
            let (label, value) = text
                .split_once('=')
                .ok_or("expected KEY=PATTERN, as in cetusguard.profile=homepage")?;
            Condition::Label(label.to_owned(), Pattern::new(value))
        }
        "user" => Condition::User(read_number(text)?),
        _ => Condition::Network(read_network(text)?),
    })
}

/// The number that the kernel shows for users and groups that it cannot map.
const OVERFLOW: u32 = 65534;

fn read_number(text: &str) -> Result<u32, &'static str> {
    match text.parse() {
        Ok(OVERFLOW) => {
            Err("expected another number: every user that the kernel cannot map is shown as 65534")
        }
        Ok(number) => Ok(number),
        Err(_) => Err("expected a number, as id -u NAME and id -g NAME print it"),
    }
}

/// Reads a network; an address is a network of one.
fn read_network(text: &str) -> Result<IpNet, &'static str> {
    let net = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net: IpNet =
        net.map_err(|_| "expected an address or a network, as in 172.28.0.0/16 or fd00::/8")?;
    match net {
        IpNet::V6(six) if six.addr().to_ipv4_mapped().is_some() => {
            Err("expected it as IPv4: so its clients are seen")
        }
        _ if net.addr() != net.network() => {
            Err("expected a network without bits behind its prefix")
        }
        _ => Ok(net),
    }
}

/// Reads the hash of a key in both forms: as `openssl dgst -sha256` and as curl's `--pinnedpubkey
/// sha256//…` write it.
fn read_pin(text: &str) -> Option<[u8; 32]> {
    let text = text
        .strip_prefix("sha256//")
        .or_else(|| text.strip_prefix("SHA256:"))
        .unwrap_or(text);
    let plain: String = text.chars().filter(|c| *c != ':').collect();
    let bytes = match plain.len() {
        64 => HEXLOWER_PERMISSIVE.decode(plain.as_bytes()),
        _ => BASE64.decode(text.as_bytes()),
    };
    bytes.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_in_both_forms() {
        let bytes: [u8; 32] =
            core::array::from_fn(|at| u8::try_from(at * 7 % 256).expect("a byte"));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let colons: String = bytes.map(|byte| format!("{byte:02X}")).join(":");
        let base = "AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk=";
        for text in [&hex, &colons, base, &format!("sha256//{base}")] {
            assert_eq!(read_pin(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "00",
            &hex[..63],
            &format!("{hex}0"),
            &base[..43],
            "sha256//",
            &hex.replace('0', "x"),
        ] {
            assert_eq!(read_pin(text), None, "{text}");
        }
    }

    #[test]
    fn conditions_say_what_they_expect() {
        for (key, text, want) in [
            ("user", "1000", ""),
            ("user", "x", "a number"),
            ("user", "65534", "another number"),
            ("address", "10.0.0.0/8", ""),
            ("address", "::1", ""),
            ("address", "10.0.0.1/8", "without bits"),
            ("address", "::ffff:10.0.0.0/104", "as IPv4"),
            ("container", "web-*", ""),
            ("container", "", "a name"),
            ("label", "a=b", ""),
            ("label", "a=", ""),
            ("label", "a", "KEY=PATTERN"),
            ("cert-ip", "10.0.0.1", ""),
            ("cert-ip", "10.0.0.0/8", "an IP address"),
            ("cert-sha256", "abc", "64 hexadecimal digits"),
        ] {
            match condition(key, text) {
                Ok(_) => assert_eq!(want, "", "{key}: {text}"),
                Err(expected) => assert!(
                    !want.is_empty() && expected.contains(want),
                    "{key}: {text}: {expected}"
                ),
            }
        }
    }
}
