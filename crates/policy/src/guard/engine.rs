//! The facts about the engine that decisions depend on.

use super::json::Json;
use super::judge::{Judge, TakenStep};
use crate::request::call::Version;

/// The engine, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// The newest version of the API that it speaks.
    pub api: Option<Version>,
    /// Major and minor version of its kernel.
    pub kernel: (u32, u32),
    /// `true` if it is Podman.
    pub is_podman: bool,
    /// The first number of Podman's version; `None` if it is not known, or another engine.
    pub podman: Option<u32>,
}

impl Engine {
    /// Since this version of the API, read-only binds are read-only all the way down (moby 25,
    /// `ReadOnlyNonRecursive`).
    const RECURSIVE: &'static str = "1.44";
    /// Since this kernel, mounts can be made read-only recursively (`mount_setattr(2)`).
    const RECURSIVE_KERNEL: (u32, u32) = (5, 12);

    /// Reads the engine's answer to `GET /version`.
    ///
    /// # Errors
    /// The answer is not JSON that all readers read alike.
    pub fn read(answer: &[u8]) -> Result<Self, super::MalformedJson> {
        let answer = Json::read(answer)?;
        let text = |key: &str| answer.get(key).map(Json::text).unwrap_or_default();
        let components = answer.get("Components").map(Json::list).unwrap_or_default();
        let mut kernel = text("KernelVersion")
            .split(['.', '-'])
            .map(|part| part.parse().unwrap_or(0));
        let podman = components.iter().find(|one| {
            let name = one.get("Name").map(Json::text).unwrap_or_default();
            name.starts_with("Podman")
        });
        let version = podman.and_then(|podman| podman.get("Version"));
        let major = version.and_then(|version| version.text().split('.').next()?.parse().ok());
        Ok(Self {
            api: Version::parse(text("ApiVersion")),
            kernel: (kernel.next().unwrap_or(0), kernel.next().unwrap_or(0)),
            is_podman: podman.is_some(),
            podman: major,
        })
    }

    /// Returns whether it keeps the labels of secrets: Podman of version 4 drops them.
    pub(super) fn labels_secrets(&self) -> bool {
        !self.is_podman || self.podman.is_some_and(|major| major >= 5)
    }

    /// Returns whether a call of this version of the API, or of the engine's own, can have binds
    /// that are read-only all the way down.
    pub(super) fn takes_recursive(asked: Option<Version>) -> bool {
        asked.is_none_or(|asked| Some(asked) >= Version::parse(Self::RECURSIVE))
    }

    fn is_recent(&self, asked: Option<Version>) -> bool {
        self.api >= Version::parse(Self::RECURSIVE) && Self::takes_recursive(asked)
    }

    pub(super) fn mounts_read_only_recursively(&self, asked: Option<Version>) -> bool {
        !self.is_podman && self.is_recent(asked) && self.kernel >= Self::RECURSIVE_KERNEL
    }

    pub(super) fn why_not(&self, asked: Option<Version>) -> String {
        if self.is_podman {
            "Podman makes only the folder itself read-only".to_owned()
        } else if !self.is_recent(asked) {
            format!(
                "before API version {}, the engine makes only the folder itself read-only",
                Self::RECURSIVE
            )
        } else {
            "its kernel is older than 5.12".to_owned()
        }
    }
}

impl Judge<'_> {
    /// Refuses variables that an engine takes from its own environment.
    pub(super) fn copies_no_environment(&mut self, place: &[TakenStep], engine: &Engine) {
        if engine.is_podman {
            let what = "Podman takes a variable without a value from its own environment; write \
                NAME=VALUE";
            self.back_at(place, |judge| judge.refuse(what.to_owned(), None));
        }
    }

    /// Judges whether a bind that is allowed for reading only can be kept read-only all the way
    /// down.
    pub(super) fn reads_only_below(&mut self, place: &[TakenStep], path: &str, engine: &Engine) {
        if engine.mounts_read_only_recursively(self.version) {
            return;
        }
        self.back_at(place, |judge| {
            let what = format!(
                "what is mounted below {path} on the host would stay writable: {}; mount it with \
                BindOptions.NonRecursive, or allow it for writing",
                engine.why_not(judge.version)
            );
            let hint = judge.hint("bind", path);
            judge.refuse(what, hint);
        });
    }
}
