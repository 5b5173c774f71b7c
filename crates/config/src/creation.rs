//! The requirements of a profile on objects that its clients create: from the written values to
//! their meaning.

use std::fmt::Display;

use cetusguard_policy::Pattern;
use cetusguard_policy::guard::{
    Amount, CommandPattern, Creation, Guard, GuardLevel, ImageDenial, ImageRewrite, LabelPattern,
    ObjectPattern, PortPattern, Quota, RestartPolicy, Unit, UserPattern,
};

use super::Mistake;
use super::file::FileEntry;
use super::meant::{SettingsReader, read_bool};
use super::name::SettingName;
use super::written::Source;

/// The word for a list that allows every value, and for a number or a text that is not given.
const ANY: &str = "any";
/// The word for a list that allows no value.
const NONE: &str = "none";

impl SettingsReader<'_> {
    /// Returns the requirements of a profile: those of its entry, and for the rest those of the
    /// options; `None` if there are none.
    pub(super) fn creation(
        &mut self,
        entry: Option<&FileEntry>,
        level: GuardLevel,
    ) -> Option<Box<Creation>> {
        let mut creation = Creation::default();
        self.maxima(entry, &mut creation);
        self.allowed_values(entry, &mut creation);
        self.allowed_objects(entry, &mut creation);
        self.set_values(entry, &mut creation);
        creation.labels = self
            .allowed(entry, setting!("require-labels"), LabelPattern::read)
            .unwrap_or_default();
        creation.read_only = self.switch(entry, setting!("require-read-only"));
        creation.image_digest = self.switch(entry, setting!("require-image-digest"));
        let deny = |text: &str| Ok(ImageDenial::new(text));
        creation.denied_images = self
            .allowed(entry, setting!("deny-images"), deny)
            .unwrap_or_default();
        self.quota(entry, &mut creation);
        creation.image_rewrites = self
            .allowed(entry, setting!("rewrite-images"), ImageRewrite::read)
            .unwrap_or_default();
        if creation.is_empty() {
            return None;
        }
        creation.written = self.written_requirements(entry);
        self.refuse_default_beyond(entry, &creation);
        if level == GuardLevel::Privileged {
            self.refuse_unread(entry, &creation);
        }
        Some(Box::new(creation))
    }

    fn maxima(&mut self, entry: Option<&FileEntry>, creation: &mut Creation) {
        creation.max_memory = self.amount(entry, setting!("max-memory"), Unit::Bytes);
        creation.max_memory_swap = self.amount(entry, setting!("max-memory-swap"), Unit::Bytes);
        creation.max_cpus = self.amount(entry, setting!("max-cpus"), Unit::Cpus);
        creation.max_pids = self.amount(entry, setting!("max-pids"), Unit::Count);
        creation.max_gpus = self.given(entry, setting!("max-gpus"), |text| {
            text.parse::<u64>()
                .map_err(|_| "expected a number, as in 1".to_owned())
        });
    }

    fn quota(&mut self, entry: Option<&FileEntry>, creation: &mut Creation) {
        let count = |text: &str| {
            text.parse::<u64>()
                .map_err(|_| "expected a number, as in 20".to_owned())
        };
        creation.quota = Quota {
            containers: self.given(entry, setting!("quota-containers"), count),
            execs: self.given(entry, setting!("quota-execs"), count),
            memory: self.amount(entry, setting!("quota-memory"), Unit::Bytes),
            cpus: self.amount(entry, setting!("quota-cpus"), Unit::Cpus),
        };
    }

    /// Takes the quota out of a profile whose clients own nothing: one of the options is for other
    /// profiles, and one of its own is a mistake.
    pub(super) fn drop_quota(
        &mut self,
        entry: Option<&FileEntry>,
        profile: &str,
        guard: &mut Guard,
    ) {
        let Some(creation) = &mut guard.creation else {
            return;
        };
        creation.quota = Quota::default();
        creation
            .written
            .retain(|words| !words.starts_with("quota-"));
        if creation.written.is_empty() {
            guard.creation = None;
        }
        let has_other_profiles = entry.is_none() && !self.written.profiles().is_empty();
        for key in super::keys::CREATION_KEYS
            .iter()
            .map(SettingName::of_key)
            .filter(|name| name.as_str().starts_with("quota-") && !has_other_profiles)
        {
            let (values, is_own) = self.values_of(entry, key);
            let own = values.first().filter(|(text, _)| is_own && text != NONE);
            if let Some((text, source)) = own.cloned() {
                let expected = format!(
                    "add own: true to the profile {profile}: a quota counts what its clients own"
                );
                self.mistakes
                    .push(Mistake::value(&source, key.as_str(), &text, expected));
            }
        }
    }

    fn allowed_values(&mut self, entry: Option<&FileEntry>, creation: &mut Creation) {
        creation.names = self.patterns_of(entry, setting!("allow-names"));
        creation.users = self.allowed(entry, setting!("allow-users"), UserPattern::read);
        creation.ports = self.allowed(entry, setting!("allow-ports"), PortPattern::read);
        creation.port_addresses =
            self.allowed(entry, setting!("allow-port-addresses"), read_network);
        creation.restart = self.allowed(entry, setting!("allow-restart"), RestartPolicy::read);
        creation.exec = self.allowed(entry, setting!("allow-exec"), CommandPattern::read);
        creation.exec_env = self.patterns_of(entry, setting!("allow-exec-env"));
        creation.exec_users = self.allowed(entry, setting!("allow-exec-users"), UserPattern::read);
        creation.extra_hosts = self.patterns_of(entry, setting!("allow-extra-hosts"));
        creation.group_add = self.patterns_of(entry, setting!("allow-group-add"));
        creation.gpu_drivers = self.patterns_of(entry, setting!("allow-gpu-drivers"));
    }

    fn allowed_objects(&mut self, entry: Option<&FileEntry>, creation: &mut Creation) {
        creation.volumes = self.allowed(entry, setting!("allow-volumes"), ObjectPattern::read);
        creation.networks = self.allowed(entry, setting!("allow-networks"), ObjectPattern::read);
    }

    fn set_values(&mut self, entry: Option<&FileEntry>, creation: &mut Creation) {
        creation.default_memory = self.amount(entry, setting!("default-memory"), Unit::Bytes);
        creation.default_cpus = self.amount(entry, setting!("default-cpus"), Unit::Cpus);
        creation.default_pids = self.amount(entry, setting!("default-pids"), Unit::Count);
        creation.default_user = self.given(entry, setting!("default-user"), |text| {
            UserPattern::read(text)
                .ok()
                .filter(|_| !text.contains('*'))
                .map(|_| text.to_owned())
                .ok_or_else(|| "expected USER or USER:GROUP, as in 1000:1000".to_owned())
        });
        creation.default_network =
            self.given(entry, setting!("default-network"), read_network_name);
        creation.default_port_address =
            self.given(entry, setting!("default-port-address"), |text| {
                text.parse()
                    .map_err(|_| "expected an IP address, as in 127.0.0.1".to_owned())
            });
        creation.cgroup_parent = self.given(entry, setting!("set-cgroup-parent"), |text| {
            let is_name =
                !text.contains(char::is_whitespace) && !text.split('/').any(|part| part == "..");
            is_name
                .then(|| text.to_owned())
                .ok_or_else(|| "expected a cgroup, as in clients.slice or /clients".to_owned())
        });
        creation.added_labels = self
            .allowed(entry, setting!("add-labels"), read_label)
            .unwrap_or_default();
    }

    fn amount(
        &mut self,
        entry: Option<&FileEntry>,
        key: SettingName,
        unit: Unit,
    ) -> Option<Amount> {
        self.given(entry, key, |text| Amount::read(text, unit))
    }

    /// Returns the value of a key that takes one; `None` if there is none, or if it is `none`.
    fn given<T>(
        &mut self,
        entry: Option<&FileEntry>,
        key: SettingName,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let read = |text: &str| match text {
            NONE => Ok(None),
            text => read(text)
                .map(Some)
                .map_err(|expected| format!("{expected}, or none")),
        };
        self.inherited(entry, key, read).flatten()
    }

    fn switch(&mut self, entry: Option<&FileEntry>, key: SettingName) -> bool {
        self.inherited(entry, key, read_bool).unwrap_or_default()
    }

    fn patterns_of(&mut self, entry: Option<&FileEntry>, key: SettingName) -> Option<Vec<Pattern>> {
        self.allowed(entry, key, |text| Ok(Pattern::new(text)))
    }

    /// Returns the values of a key that takes several: `None` for `any` and for a key that is not
    /// given, an empty list for `none`.
    fn allowed<T>(
        &mut self,
        entry: Option<&FileEntry>,
        key: SettingName,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let (values, is_own) = self.values_of(entry, key);
        let values: Vec<(String, Source)> = values.to_vec();
        match values.as_slice() {
            [] => return None,
            [(word, _)] if word == ANY => return None,
            [(word, _)] if word == NONE => return Some(Vec::new()),
            _ => {}
        }
        let mut list = Vec::new();
        for (text, source) in &values {
            let one = match text.as_str() {
                ANY | NONE => Err(format!("expected {text} alone, or values without it")),
                text => read(text),
            };
            match one {
                Ok(value) => list.push(value),
                Err(expected) if is_own => {
                    self.mistakes
                        .push(Mistake::value(source, key.as_str(), text, expected))
                }
                // The option's own mistakes are reported with the default profile.
                Err(_) => {}
            }
        }
        Some(list)
    }

    /// Returns the values of a key: those of the entry, or those of the option; and whether it is
    /// the entry, or the default profile, that has them.
    fn values_of<'v>(
        &'v self,
        entry: Option<&'v FileEntry>,
        key: SettingName,
    ) -> (&'v [(String, Source)], bool) {
        let own = entry.map(|entry| entry.all(key)).unwrap_or_default();
        match own {
            [] => (self.written.all(key), entry.is_none()),
            own => (own, true),
        }
    }

    /// Returns the requirements as they are written, for reports.
    fn written_requirements(&self, entry: Option<&FileEntry>) -> Vec<String> {
        let mut written = Vec::new();
        for key in super::keys::CREATION_KEYS {
            let (values, _) = self.values_of(entry, SettingName::of_key(key));
            let words: Vec<&str> = values.iter().map(|(text, _)| text.as_str()).collect();
            let is_none = matches!(words.as_slice(), [ANY] | ["false"])
                || (words == [NONE] && !key.name.starts_with("allow-"));
            if !words.is_empty() && !is_none {
                written.push(format!("{} {}", key.name, words.join(", ")));
            }
        }
        written
    }

    /// Refuses a default that the maximum of the same profile does not allow.
    fn refuse_default_beyond(&mut self, entry: Option<&FileEntry>, creation: &Creation) {
        for (key, default, max) in [
            (
                setting!("default-memory"),
                &creation.default_memory,
                &creation.max_memory,
            ),
            (
                setting!("default-cpus"),
                &creation.default_cpus,
                &creation.max_cpus,
            ),
            (
                setting!("default-pids"),
                &creation.default_pids,
                &creation.max_pids,
            ),
        ] {
            if let (Some(default), Some(max)) = (default, max)
                && default.exceeds(max)
            {
                let what = format!("at most {max}, which the maximum of this profile allows");
                self.refuse_value(entry, key, default, &what);
            }
        }
    }

    /// Refuses the guard's level under which bodies are not read, so that no requirement could
    /// hold.
    fn refuse_unread(&mut self, entry: Option<&FileEntry>, creation: &Creation) {
        let profile = entry.map_or(super::profiles::DEFAULT, |entry| entry.name.as_str());
        let given = creation.written.first().map_or("", String::as_str);
        let what = format!(
            "baseline or restricted, because the profile {profile} has {given}: under privileged, \
            the guard does not read what clients create"
        );
        self.refuse_value(
            entry,
            setting!("guard"),
            GuardLevel::Privileged.name(),
            &what,
        );
    }

    fn refuse_value(
        &mut self,
        entry: Option<&FileEntry>,
        key: SettingName,
        value: impl Display,
        expected: &str,
    ) {
        let (values, _) = self.values_of(entry, key);
        if let Some((_, source)) = values.first() {
            let mistake = Mistake::value(
                source,
                key.as_str(),
                &value.to_string(),
                format!("expected {expected}"),
            );
            self.mistakes.push(mistake);
        }
    }
}

/// Reads the name of a network that containers can join. Words for modes of the engine are no names.
fn read_network_name(text: &str) -> Result<String, String> {
    const MODES: [&str; 7] = [
        "host",
        "container",
        "default",
        "private",
        "ns",
        "pasta",
        "slirp4netns",
    ];
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_name = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(is_plain)
        && !MODES.iter().any(|mode| mode.eq_ignore_ascii_case(text));
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "expected the name of a network, as in clients".to_owned())
}

/// Reads an address, or a network of them.
fn read_network(text: &str) -> Result<ipnet::IpNet, String> {
    let address = text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    address
        .or_else(|_| text.parse::<ipnet::IpNet>())
        .map_err(|_| {
            "expected an IP address or a network, as in 127.0.0.1 or 10.0.0.0/8".to_owned()
        })
}

/// Reads `KEY=VALUE`.
fn read_label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected KEY=VALUE, as in team=web".to_owned())
}
