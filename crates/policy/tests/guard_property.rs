//! Whatever is put together at random: what the guard passes, read again as the engine reads it,
//! holds nothing that it refuses.

mod world;

use std::sync::Arc;

use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, ClientLimits, Mode, Permit, Profile, Verdict, decide};
use serde_json::Value;
use world::reading::{MODES, as_go_reads, dangers};

/// A generator that gives the same bodies each time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % sides
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len())]
    }

    /// A key, now and then in a spelling of its own.
    fn key(&mut self, of: &[&str]) -> String {
        let key = self.pick(of);
        match self.roll(12) {
            0 => key.to_lowercase(),
            1 => key.to_uppercase(),
            2 => key.replacen('s', "\u{17f}", 1),
            3 => key.replacen('k', "\u{212a}", 1),
            4 => key.replacen(
                |c: char| c.is_ascii_uppercase(),
                &format!("\\u00{:02x}", key.as_bytes()[0]),
                1,
            ),
            5 => format!("{key} "),
            _ => key.to_owned(),
        }
    }

    fn value(&mut self, depth: usize) -> String {
        match self.roll(if depth > 4 { 9 } else { 12 }) {
            0 => "true".to_owned(),
            1 => "false".to_owned(),
            2 => "null".to_owned(),
            3 => format!("{}", self.roll(3)),
            4..9 => format!("\"{}\"", self.pick(WORDS)),
            9 => format!(
                "[{}]",
                (0..self.roll(3))
                    .map(|_| self.value(depth + 1))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            _ => self.object(depth + 1),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        let pairs =
            (0..self.roll(5)).map(|_| format!("\"{}\":{}", self.key(KEYS), self.value(depth)));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
    }

    fn body(&mut self) -> String {
        let mut pairs: Vec<String> = Vec::new();
        for _ in 0..1 + self.roll(4) {
            let (key, value) = match self.roll(6) {
                0 => (self.key(&["HostConfig"]), self.object(1)),
                1 => (
                    self.key(&["Privileged"]),
                    self.pick(&["true", "false", "null"]).to_owned(),
                ),
                2 => (self.key(&["Binds"]), format!("[\"{}\"]", self.pick(WORDS))),
                3 => (self.key(&["Mounts"]), format!("[{}]", self.object(2))),
                4 => (self.key(MODES), format!("\"{}\"", self.pick(WORDS))),
                _ => (self.key(KEYS), self.value(1)),
            };
            pairs.push(format!("\"{key}\":{value}"));
        }
        let inner = pairs.join(",");
        if self.roll(3) == 0 {
            format!("{{{inner}}}")
        } else {
            format!("{{\"HostConfig\":{{{inner}}}}}")
        }
    }
}

const KEYS: &[&str] = &[
    "HostConfig",
    "Privileged",
    "Binds",
    "Mounts",
    "Type",
    "Source",
    "Target",
    "NetworkMode",
    "PidMode",
    "IpcMode",
    "UTSMode",
    "UsernsMode",
    "CgroupnsMode",
    "CapAdd",
    "SecurityOpt",
    "Devices",
    "PathOnHost",
    "VolumesFrom",
    "MaskedPaths",
    "VolumeOptions",
    "DriverConfig",
    "Options",
    "device",
    "o",
    "Image",
    "Labels",
    "Cmd",
    "BindOptions",
    "Propagation",
    "CgroupParent",
    "Tmpfs",
];
const WORDS: &[&str] = &[
    "",
    "host",
    "bridge",
    "/",
    "/etc:/x",
    "data:/x",
    "data",
    "bind",
    "volume",
    "tmpfs",
    "ALL",
    "CHOWN",
    "SYS_ADMIN",
    "seccomp=unconfined",
    "no-new-privileges",
    "container:x",
    "/dev/sda",
    "x",
    "HOST",
    "private",
    "rshared",
    "..:/x",
    "/etc",
];

fn permit() -> Permit {
    let profile = Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("test", "POST %API_PREFIX_CONTAINERS%/create").expect("a rule")),
        limits: ClientLimits::default(),
        guard: Arc::default(),
        targets: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
        ..Profile::default()
    };
    match decide(
        Call::read("POST", "/containers/create").expect("plain"),
        &profile,
    ) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => unreachable!("{denial}"),
    }
}

#[test]
fn nothing_passes_that_the_engine_would_read_as_refused() {
    let (permit, mut dice, mut passed, mut refused) = (permit(), Dice(0x5eed), 0, 0);
    for _ in 0..60_000 {
        let body = dice.body();
        let Ok(judged) = world::settle(&permit, Some("application/json"), body.as_bytes()) else {
            refused += 1;
            continue;
        };
        passed += 1;
        let sent = judged.body().unwrap_or_default().to_owned();
        let read = as_go_reads(&serde_json::from_str(&sent).expect("JSON"));
        let found = dangers(&read).or_else(|| dangers(&read["hostconfig"]));
        assert_eq!(found, None, "{body} was sent as {sent}");
    }
    // A test of nothing but refusals, or of nothing but harmless bodies, would prove little.
    assert!(passed > 4_000 && refused > 20_000, "{passed} {refused}");
}

/// The same with what a strict reader and a lenient one would take for two things: whatever passes
/// is read alike by both.
#[test]
fn what_is_sent_is_read_alike_by_all() {
    let (permit, mut dice) = (permit(), Dice(0xfeed));
    for _ in 0..60_000 {
        let mut body = dice.body().into_bytes();
        for _ in 0..dice.roll(3) {
            let at = dice.roll(body.len());
            match dice.roll(3) {
                0 => drop(body.remove(at)),
                1 => body.insert(at, b"{}[]\",:\\ 0tn\xff\x00"[dice.roll(14)]),
                _ => body.truncate(at),
            }
            if body.is_empty() {
                body.push(b' ');
            }
        }
        if let Ok(judged) = world::settle(&permit, Some("application/json"), &body) {
            let sent = judged.body().unwrap_or_default().to_owned();
            if !sent.is_empty() {
                let again = world::settle(&permit, Some("application/json"), sent.as_bytes())
                    .expect("it passes again");
                assert_eq!(
                    again.body(),
                    Some(sent.as_str()),
                    "judged twice, it is the same"
                );
                let strict: Value = serde_json::from_slice(sent.as_bytes()).expect("JSON");
                assert!(strict.is_object(), "{sent}");
            }
        }
    }
}
