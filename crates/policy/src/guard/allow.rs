//! Exceptions from the guard's refusals, and the images to which it may be restricted.

mod kind;

use std::fmt;

use ipnet::IpNet;
use strsim::levenshtein;

use kind::CAPABILITIES;
pub use kind::{ExceptionKind, KINDS};

use super::host::{POWERFUL, gives_host_path};
use crate::text::list::{list_value, split_list};
use crate::text::pattern::Pattern;

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    kind: &'static str,
    what: What,
    /// The exception as it is written in a list.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Switch,
    Pattern(Pattern),
    Path {
        path: String,
        below: bool,
        read_only: bool,
    },
    Network(IpNet),
}

impl Exception {
    /// Reads `name` or `name=value`.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .map_or((text, None), |(name, value)| (name, Some(value)));
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let near = KINDS
                .iter()
                .map(|kind| (levenshtein(name, kind.name), kind))
                .min_by_key(|(distance, _)| *distance);
            if let Some((1..=3, near)) = near {
                return Err(format!("did you mean {near}?"));
            }
            let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            return Err(format!("expected one of: {}", names.join(", ")));
        };
        let expected = || format!("expected {}", kind);
        let what = match (kind.value, value) {
            ("", None) => What::Switch,
            ("", Some(_)) | (_, None | Some("")) => return Err(expected()),
            (form, Some(value)) if form.starts_with("/PATH") => {
                let takes_ro = form.ends_with(":ro]");
                let meant = || {
                    meant_path(value, takes_ro).map(|meant| format!("did you mean {name}={meant}?"))
                };
                read_path(value, takes_ro).ok_or_else(|| meant().unwrap_or_else(expected))?
            }
            (form, Some(value))
                if form.contains('|') && !form.split('|').any(|known| known == value) =>
            {
                return Err(expected());
            }
            ("NAME=PATTERN", Some(value)) if !value.contains('=') => return Err(expected()),
            ("CIDR", Some(value)) => What::Network(value.parse().map_err(|_| expected())?),
            (_, Some(value)) if matches!(kind.name, "image" | "build-frontend") => {
                What::Pattern(super::reference::pattern(value))
            }
            (_, Some(value)) if kind.name == "capability" => {
                let pattern = Pattern::new(capability(value));
                if !CAPABILITIES.iter().any(|known| pattern.fits(known)) {
                    return Err(
                        "expected a capability, as in NET_ADMIN, or ALL: capabilities(7) \
                        lists them"
                            .to_owned(),
                    );
                }
                What::Pattern(pattern)
            }
            (_, Some(value)) => What::Pattern(Pattern::new(value)),
        };
        Ok(Self {
            kind: kind.name,
            what,
            text: list_value(text),
        })
    }

    /// Reads an exception as it stands in a list: see [`split_list`].
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read_in_list(text: &str) -> Result<Self, String> {
        match split_list(text, |_| false).as_slice() {
            [one] => Self::read(one),
            _ => Err("expected one exception".to_owned()),
        }
    }

    /// Returns whether the exception is of this kind and allows this value.
    pub(super) fn covers(&self, kind: &str, value: &str) -> bool {
        self.kind == kind
            && match &self.what {
                What::Switch => true,
                What::Pattern(pattern) => self.fits(pattern, value),
                What::Path { .. } | What::Network(_) => false,
            }
    }

    /// Returns the pattern over the names of profiles, if the exception is about other profiles.
    #[must_use]
    pub fn profile_pattern(&self) -> Option<&Pattern> {
        match &self.what {
            What::Pattern(pattern) if self.kind == "profile" => Some(pattern),
            _ => None,
        }
    }

    /// Returns whether the pattern of this exception matches the value in the form in which the
    /// engine reads it.
    fn fits(&self, pattern: &Pattern, value: &str) -> bool {
        match (self.kind, value.split_once('=')) {
            ("image" | "build-frontend", _) => pattern.fits(&super::reference::normalised(value)),
            ("build-remote" | "import-url" | "cgroup-parent", _) => {
                is_direct(value) && pattern.fits(value)
            }
            ("volume-option", Some(("o", words))) => words
                .split(',')
                .all(|word| is_direct(word) && pattern.fits(&format!("o={word}"))),
            ("volume-option" | "network-option", _) => is_direct(value) && pattern.fits(value),
            ("sysctl", _) => !value.contains('/') && pattern.fits(value),
            _ => pattern.fits(value),
        }
    }

    /// Returns whether the exception is of this kind and covers this network.
    pub(super) fn covers_network(&self, kind: &str, network: IpNet) -> bool {
        matches!(&self.what, What::Network(own) if self.kind == kind && own.contains(&network))
    }

    /// Returns whether the exception is of this kind and allows this path, which is clean.
    pub(super) fn covers_path(&self, kind: &str, path: &str, is_read_only: bool) -> bool {
        let What::Path {
            path: own,
            below,
            read_only,
        } = &self.what
        else {
            return false;
        };
        let is_below = || {
            path.strip_prefix(own.as_str())
                .is_some_and(|rest| own == "/" || rest.starts_with('/'))
        };
        self.kind == kind && (path == own || (*below && is_below())) && (is_read_only || !read_only)
    }

    /// Returns why the exception gives the host away to a client that can create containers; `None`
    /// if it does not by itself.
    ///
    /// Source: capabilities(7), mount_namespaces(7), and the engines' own documentation of these
    /// options.
    #[must_use]
    pub fn gives_host(&self) -> Option<&'static str> {
        let names = |known: &[&str]| match &self.what {
            What::Pattern(pattern) => known.iter().any(|name| pattern.fits(name)),
            What::Switch => true,
            What::Path { .. } | What::Network(_) => false,
        };
        Some(match self.kind {
            "privileged" => "a privileged container has every right on the host",
            "podman-build" => "a Dockerfile can read and write files of the host on Podman",
            "exec-privileged" => "a privileged command has every right on the host",
            "bind" if self.is_of_the_host() => "what the host runs, knows or listens on lies there",
            "bind" if self.is_writable_tree() => {
                "a client that runs containers can make a symbolic link there and then mount the \
                link, to any folder of the host"
            }
            "proxy" => "a client that controls the proxy has every right that the proxy has",
            "target" | "target-label" if names(&["*", "any=thing"]) => {
                "containers that give the host away can be entered"
            }
            "volume" if names(&["any"]) => "volumes can be paths and devices of the host",
            "device" => "a device is read and written past all rights of files",
            "device-cgroup-rule" => "with such a rule a container makes devices for itself",
            "capability" if names(POWERFUL) => "this capability leads out of a container",
            "host-namespace" if names(&["pid"]) => {
                "processes of the host can be looked into, and ended"
            }
            "volume-option" if self.names_a_device() => {
                "a local volume is then a path or a device of the host"
            }
            "volume-driver" if names(&["any driver"]) => "some drivers hand out paths of the host",
            "security-opt" if names(&["systempaths=unconfined"]) => {
                "the kernel's settings lie below /proc/sys"
            }
            "mount-propagation" => "what the container mounts appears on the host",
            "masked-paths" => "the kernel's settings lie below /proc/sys",
            "annotation" => "runtimes run commands that annotations name",
            "runtime" if names(&["*"]) => "some runtimes do not isolate",
            _ => return None,
        })
    }

    /// Returns whether the exception opens the options that make a local volume from a path, a
    /// device or another machine.
    fn names_a_device(&self) -> bool {
        let What::Pattern(pattern) = &self.what else {
            return false;
        };
        let (name, _) = pattern.as_str().split_once('=').unwrap_or_default();
        Pattern::new(name).fits("device")
    }

    /// Returns whether the exception opens a path that the host depends on: a folder is mounted
    /// with everything below it.
    fn is_of_the_host(&self) -> bool {
        let What::Path { path, .. } = &self.what else {
            return false;
        };
        gives_host_path(path)
    }

    /// Returns whether the exception opens a folder for writing, with everything below it.
    fn is_writable_tree(&self) -> bool {
        matches!(
            self.what,
            What::Path {
                below: true,
                read_only: false,
                ..
            }
        )
    }

    /// Returns whether the exception restricts a kind of object to some, and does not allow
    /// anything.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        matches!(self.kind, "image" | "registry" | "secret" | "config")
    }

    /// Returns whether the exception is of this kind.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns whether a path or a URL is written plainly: without `..`, `//` and escapes that an
/// engine would resolve.
fn is_direct(value: &str) -> bool {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let lower = rest.to_ascii_lowercase();
    let has_dots = rest
        .split(['/', ':', '#', '?', '&', '=', ','])
        .any(|part| matches!(part, "." | ".."));
    let is_escaped = ["%2e", "%2f", "%5c", "%25"]
        .iter()
        .any(|escape| lower.contains(escape));
    !has_dots && !is_escaped && !rest.contains(['\\', '@']) && !rest.contains("//")
}

fn read_path(value: &str, takes_ro: bool) -> Option<What> {
    let (value, read_only) = value
        .strip_suffix(":ro")
        .filter(|_| takes_ro)
        .map_or((value, false), |value| (value, true));
    let (path, below) = match value.strip_suffix("/**") {
        Some("") => ("/", true),
        Some(path) => (path, true),
        None => (value, false),
    };
    // A path that is not clean would never match, or not as its writer meant.
    (path.starts_with('/') && clean(path) == path && !path.contains(['*', ':'])).then(|| {
        What::Path {
            path: path.to_owned(),
            below,
            read_only,
        }
    })
}

/// Returns the path that was probably meant: a clean one, without the options that Docker writes
/// behind a bind.
fn meant_path(value: &str, takes_ro: bool) -> Option<String> {
    let (path, mode) = match value.split_once(':') {
        Some((path, "rw")) => (path, ""),
        Some((path, mode)) if takes_ro && mode.split(',').any(|word| word == "ro") => (path, ":ro"),
        Some(_) => return None,
        None => (value, ""),
    };
    let (folder, below) = match path.strip_suffix("/**").or_else(|| path.strip_suffix("/*")) {
        Some(folder) => (folder, "/**"),
        None => (path, ""),
    };
    let meant = format!("{}{below}{mode}", clean(folder).trim_end_matches('/'));
    (path.starts_with('/') && meant != value && read_path(&meant, takes_ro).is_some())
        .then_some(meant)
}

/// Returns the name of a capability as the engine compares it: upper case, without `CAP_` (moby
/// `oci/caps/utils.go`).
pub(super) fn capability(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

/// Cleans an absolute path as Go's `path.Clean` does.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(text: &str) -> Exception {
        Exception::read(text).unwrap_or_else(|expected| panic!("{text}: {expected}"))
    }

    #[test]
    fn paths_cover_what_they_say() {
        for (text, path, read_only, want) in [
            ("bind=/srv/app", "/srv/app", false, true),
            ("bind=/srv/app", "/srv/app/x", false, false),
            ("bind=/srv/app/**", "/srv/app", false, true),
            ("bind=/srv/app/**", "/srv/app/x/y", false, true),
            ("bind=/srv/app/**", "/srv/app2", false, false),
            ("bind=/srv/app/**", "/srv", false, false),
            ("bind=/srv/**:ro", "/srv/x", true, true),
            ("bind=/srv/**:ro", "/srv/x", false, false),
            ("bind=/**", "/", false, true),
            ("bind=/**", "/etc", false, true),
            ("bind=/", "/etc", false, false),
            ("device=/dev/dri/**", "/dev/dri/card0", false, false),
        ] {
            assert_eq!(
                exception(text).covers_path("bind", path, read_only),
                want,
                "{text}: {path}"
            );
        }
        assert!(exception("device=/dev/dri/**").covers_path("device", "/dev/dri/card0", false));
        assert!(!exception("gpus").covers_path("bind", "/", true));
    }

    #[test]
    fn values_are_read_as_their_kind_says() {
        for text in [
            "gpus",
            "privileged",
            "capability=CAP_net_admin",
            "host-namespace=network",
            "network-option=parent=eth0",
            "bind=/",
            "bind=/a.b/c-d/**:ro",
            "device=/dev/ttyUSB0",
            "image=ghcr.io/me/*",
            "sysctl=net.*",
        ] {
            let _ = exception(text);
        }
        for text in [
            "",
            "gpu",
            "gpus=1",
            "gpus=",
            "capability",
            "capability=",
            "host-namespace=mount",
            "network-option=parent",
            "bind=srv",
            "bind=/srv/",
            "bind=/srv/../etc",
            "bind=/srv/*",
            "bind=/srv/**/x",
            "device=/dev/x:ro",
            "bind=//etc",
            "capability=SYSADMIN",
            "capability=NOT_*",
        ] {
            assert!(Exception::read(text).is_err(), "{text}");
        }
        assert!(exception("capability=CAP_net_admin").covers("capability", "NET_ADMIN"));
        assert!(!exception("capability=NET_*").covers("capability", "SYS_ADMIN"));
        assert!(exception("capability=*").covers("capability", "ALL"));
    }

    #[test]
    fn a_path_that_was_meant_is_offered() {
        for (text, want) in [
            ("bind=/srv/", "did you mean bind=/srv?"),
            ("bind=/srv/*", "did you mean bind=/srv/**?"),
            ("bind=/srv:rw", "did you mean bind=/srv?"),
            ("bind=/srv/../etc", "did you mean bind=/etc?"),
            ("bind=/srv/:ro,z", "did you mean bind=/srv:ro?"),
            ("device=/dev/dri/", "did you mean device=/dev/dri?"),
            ("device=/dev/x:ro", "expected device=/PATH[/**]"),
            ("bind=srv", "expected bind=/PATH[/**][:ro]"),
            ("bind=/srv/*/x", "expected bind=/PATH[/**][:ro]"),
        ] {
            assert_eq!(Exception::read(text).expect_err(text), want);
        }
    }

    #[test]
    fn what_gives_the_host_away_is_known() {
        for (text, want) in [
            ("privileged", true),
            ("bind=/", true),
            ("bind=/srv/app/**", true),
            ("bind=/srv/app/**:ro", false),
            ("bind=/srv/app", false),
            ("bind=/var/run/docker.sock:ro", true),
            ("bind=/var/run/docker.sock", true),
            ("bind=/var/**", true),
            ("bind=/var", true),
            ("bind=/var/lib", true),
            ("volume-option=device=/dev/*", true),
            ("volume-option=device=/srv/x", true),
            ("volume-driver=*", true),
            ("security-opt=systempaths=unconfined", true),
            ("security-opt=*", true),
            ("device=/dev/sda1", true),
            ("bind=/var/www/**:ro", false),
            ("bind=/etc/localtime:ro", false),
            ("bind=/etc/shadow:ro", true),
            ("bind=/home/me/app/config", false),
            ("bind=/home/me/.ssh:ro", true),
            ("bind=/home/me", true),
            ("bind=/**:ro", true),
            ("bind=/etcetera", false),
            ("capability=SYS_ADMIN", true),
            ("capability=NET_*", true),
            ("capability=NET_RAW", false),
            ("host-namespace=network", false),
            ("host-namespace=pid", true),
            ("volume-option=device=*", true),
            ("volume-option=o=size=*", false),
            ("image=ghcr.io/*", false),
        ] {
            assert_eq!(exception(text).gives_host().is_some(), want, "{text}");
        }
    }

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, want) in [
            ("/", "/"),
            ("//etc", "/etc"),
            ("/var/../etc", "/etc"),
            ("/a/./b/", "/a/b"),
            ("/../..", "/"),
            ("/a//..//b", "/b"),
        ] {
            assert_eq!(clean(path), want);
        }
    }
}
