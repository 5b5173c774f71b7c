//! Command lines of `docker run`, as the service that a compose file would have for them.

use super::note::{Note, NoteKind};
use super::words::split;
use super::yaml::ComposeValue;

/// A command line of `docker run`.
#[derive(Debug)]
pub(super) struct CommandLine {
    /// The name of the container, if it has one.
    pub(super) name: Option<String>,
    /// The service of a compose file that stands for the command line.
    pub(super) service: ComposeValue,
    /// The networks of the container, which exist already.
    pub(super) networks: Vec<String>,
    /// Options without a counterpart.
    pub(super) left_out: Vec<String>,
}

/// Options by which clients reach a container.
const REACHABILITY: &[&str] = &["ip", "ip6", "link", "network-alias", "publish-all"];

/// Options that take no value.
const SWITCHES: &[&str] = &[
    "detach",
    "init",
    "interactive",
    "no-healthcheck",
    "oom-kill-disable",
    "privileged",
    "publish-all",
    "quiet",
    "read-only",
    "rm",
    "sig-proxy",
    "tty",
];

/// The long names of the one-letter options.
const LETTERS: &[(char, &str)] = &[
    ('P', "publish-all"),
    ('d', "detach"),
    ('e', "env"),
    ('h', "hostname"),
    ('i', "interactive"),
    ('l', "label"),
    ('m', "memory"),
    ('p', "publish"),
    ('q', "quiet"),
    ('t', "tty"),
    ('u', "user"),
    ('v', "volume"),
    ('w', "workdir"),
];

/// Options that a compose file knows under another name, as lists.
const LISTS: &[(&str, &str)] = &[
    ("cap-add", "cap_add"),
    ("env", "environment"),
    ("expose", "expose"),
    ("group-add", "group_add"),
    ("label", "labels"),
    ("publish", "ports"),
    ("security-opt", "security_opt"),
    ("volume", "volumes"),
];

/// The same, as texts.
const TEXTS: &[(&str, &str)] = &[
    ("cpus", "cpus"),
    ("hostname", "hostname"),
    ("memory", "mem_limit"),
    ("name", "container_name"),
    ("pids-limit", "pids_limit"),
    ("restart", "restart"),
    ("user", "user"),
];

/// Options without a use: the service has its own way, or they are about the terminal.
const UNUSED: &[&str] = &[
    "cap-drop",
    "detach",
    "init",
    "interactive",
    "pull",
    "quiet",
    "read-only",
    "rm",
    "sig-proxy",
    "tmpfs",
    "tty",
];

/// Reads a command line; `None` if the text is something else.
pub(super) fn parse_command_line(text: &str) -> Option<CommandLine> {
    let words = split(text);
    let mut words = words
        .iter()
        .map(String::as_str)
        .skip_while(|word| ["$", "sudo"].contains(word))
        .peekable();
    words
        .next()
        .filter(|word| ["docker", "podman", "nerdctl"].contains(word))?;
    words.next_if_eq(&"container");
    words
        .next()
        .filter(|word| ["run", "create"].contains(word))?;
    let mut line = CommandLine {
        name: None,
        service: ComposeValue::Null,
        networks: Vec::new(),
        left_out: Vec::new(),
    };
    let mut pairs = Vec::new();
    while let Some(word) = words.next_if(|word| word.starts_with('-')) {
        for (option, value) in options_in_word(word) {
            let value = match value {
                Some(value) => value,
                None if SWITCHES.contains(&option.as_str()) => "true".to_owned(),
                None => words.next().unwrap_or_default().to_owned(),
            };
            line.option(&option, &value, &mut pairs);
        }
    }
    push_pair(
        &mut pairs,
        "image",
        ComposeValue::text(words.next().unwrap_or_default()),
    );
    let command: Vec<_> = words.map(ComposeValue::text).collect();
    if !command.is_empty() {
        push_pair(&mut pairs, "command", ComposeValue::List(command));
    }
    line.service = ComposeValue::Map(pairs);
    Some(line)
}

/// Returns the options in a word such as `--name=value`, `-eA=1` or `-dit`, each with its value if
/// the word holds that too.
fn options_in_word(word: &str) -> Vec<(String, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long
            .split_once('=')
            .map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        let name = if name == "net" { "network" } else { name };
        return vec![(name.to_owned(), value)];
    }
    let mut options = Vec::new();
    let mut rest = word[1..].chars();
    while let Some(letter) = rest.next() {
        let name = LETTERS
            .iter()
            .find(|(known, _)| *known == letter)
            .map_or_else(|| letter.to_string(), |(_, name)| (*name).to_owned());
        if SWITCHES.contains(&name.as_str()) {
            options.push((name, Some("true".to_owned())));
            continue;
        }
        let value = rest.as_str();
        let value = value.strip_prefix('=').unwrap_or(value);
        options.push((name, (!value.is_empty()).then(|| value.to_owned())));
        break;
    }
    options
}

impl CommandLine {
    /// Returns notes on the options that are left out.
    pub(super) fn notes(&self) -> Vec<Note> {
        let is_needed = |option: &&String| {
            let name = option.trim_start_matches('-').split(' ').next();
            name.is_some_and(|name| REACHABILITY.contains(&name))
        };
        let (needed, others): (Vec<_>, Vec<_>) = self.left_out.iter().partition(is_needed);
        let note = |kind: NoteKind, what: &str, options: Vec<&String>| {
            let options: Vec<_> = options.into_iter().map(String::as_str).collect();
            (!options.is_empty())
                .then(|| Note::new(kind, format!("{what}: {}", options.join(", "))))
        };
        [
            note(
                NoteKind::Missing,
                "clients may reach the container by these options, which are left out",
                needed,
            ),
            note(
                NoteKind::Different,
                "options of the command line without a counterpart are left out",
                others,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn option(&mut self, option: &str, value: &str, pairs: &mut Vec<(String, ComposeValue)>) {
        if let Some((_, key)) = LISTS.iter().find(|(known, _)| *known == option) {
            push_pair(
                pairs,
                key,
                ComposeValue::List(vec![ComposeValue::text(value)]),
            );
        } else if let Some((_, key)) = TEXTS.iter().find(|(known, _)| *known == option) {
            push_pair(pairs, key, ComposeValue::text(value));
            if option == "name" {
                self.name = Some(value.to_owned());
            }
        } else {
            match option {
                // The command line keeps quotes and dollar signs, as the raw format of Compose.
                "env-file" => {
                    let path = ("path".to_owned(), ComposeValue::text(value));
                    let format = ("format".to_owned(), ComposeValue::text("raw"));
                    let file = ComposeValue::Map(vec![path, format]);
                    push_pair(pairs, "env_file", ComposeValue::List(vec![file]));
                }
                "mount" => push_pair(
                    pairs,
                    "volumes",
                    ComposeValue::List(vec![long_form_mount(value)]),
                ),
                "privileged" => push_pair(pairs, "privileged", ComposeValue::text(value)),
                "network"
                    if ["host", "none", "bridge", "default"].contains(&value)
                        || value.contains(':') =>
                {
                    push_pair(pairs, "network_mode", ComposeValue::text(value));
                }
                "network" => {
                    push_pair(
                        pairs,
                        "networks",
                        ComposeValue::List(vec![ComposeValue::text(value)]),
                    );
                    self.networks.push(value.to_owned());
                }
                option if UNUSED.contains(&option) => {}
                option => self.left_out.push(format!("--{option} {value}")),
            }
        }
    }
}

/// Adds a pair; lists of one key grow.
fn push_pair(pairs: &mut Vec<(String, ComposeValue)>, key: &str, value: ComposeValue) {
    match (pairs.iter_mut().find(|(known, _)| known == key), value) {
        (Some((_, ComposeValue::List(items))), ComposeValue::List(more)) => items.extend(more),
        (Some((_, known)), value) => *known = value,
        (None, value) => pairs.push((key.to_owned(), value)),
    }
}

/// `type=bind,source=/a,target=/b,readonly` as the long form of a volume.
fn long_form_mount(text: &str) -> ComposeValue {
    let pairs = text.split(',').map(
        |part| match part.split_once('=').unwrap_or((part, "true")) {
            ("src", value) => ("source", value),
            ("dst" | "destination", value) => ("target", value),
            ("readonly" | "ro", value) => ("read_only", value),
            pair => pair,
        },
    );
    let is_switch = |key: &str| key == "read_only";
    let value = |key: &str, text: &str| ComposeValue::Scalar {
        text: text.to_owned(),
        is_quoted: !is_switch(key),
    };
    ComposeValue::Map(
        pairs
            .map(|(key, text)| (key.to_owned(), value(key, text)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_services() {
        let text = "docker run -d \\\n  --name=proxy -eA=1 -e B=2 `#optional` \\\n --privileged -p \
            127.0.0.1:2375:2375 --net back \\\n  --mount type=bind,src=/a,dst=/b,readonly -v \
            /x:/y:ro --restart unless-stopped --ulimit nofile=1 \\\n  \
            tecnativa/docker-socket-proxy -f '/x y'\n";
        let line = parse_command_line(text).expect("a command line");
        let mut out = String::new();
        super::super::yaml::write_pairs(&mut out, line.service.pairs(), 0);
        let want = "container_name: proxy\nenvironment:\n  - A=1\n  - B=2\nprivileged: \
            \"true\"\nports:\n  - \"127.0.0.1:2375:2375\"\nnetworks:\n  - back\nvolumes:\n  - \
            type: bind\n    source: /a\n    target: /b\n    read_only: true\n  - \
            \"/x:/y:ro\"\nrestart: unless-stopped\nimage: \
            tecnativa/docker-socket-proxy\ncommand:\n  - \"-f\"\n  - \"/x y\"\n";
        assert_eq!(out, want);
        assert_eq!(
            (line.name.as_deref(), line.left_out),
            (Some("proxy"), vec!["--ulimit nofile=1".to_owned()])
        );
        assert!(
            parse_command_line("A=1").is_none()
                && parse_command_line("docker compose up").is_none()
        );
    }
}
