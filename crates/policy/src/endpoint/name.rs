//! The names of endpoints in rules, and the endpoints that do the same as another.

use super::{Endpoint, EndpointId, ObjectKind};

impl Endpoint {
    /// Returns the endpoint of a stable name, such as `container.list`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|endpoint| endpoint.id.name() == name)
    }

    /// Returns the kind of the object that its path, or the query of a commit, names; `None` where
    /// a call names none.
    pub(crate) fn object_kind(&self) -> Option<ObjectKind> {
        let in_path = self.shape.split('/').find_map(ObjectKind::of_placeholder);
        in_path.or_else(|| self.id.is_commit().then_some(ObjectKind::Container))
    }

    /// Returns the name of the endpoint's operation. Endpoints of one operation give a client the
    /// same by another path: those of Podman's own API, older forms, and those that take several
    /// objects at once. A denial of one is a denial of all.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        let name = self.id.name();
        let name = name.strip_prefix("libpod.").unwrap_or(name);
        match name {
            // The engine says the same of a file in the head of its answer, and older versions
            // copied by another path.
            "container.archive_stat" | "container.copy" => "container.archive_get",
            "container.checkpoint" => "checkpoint.create",
            "generate.kube" => "kube.generate",
            "manifest.add" => "manifest.update",
            "image.pull" | "image.import" => "image.create",
            name => OTHER_FORMS
                .iter()
                .find_map(|ending| name.strip_suffix(ending))
                .unwrap_or(name),
        }
    }
}

impl EndpointId {
    /// Returns whether a call of the endpoint names its container in the query.
    pub(crate) fn is_commit(self) -> bool {
        matches!(self, Self::ContainerCommit | Self::LibpodContainerCommit)
    }
}

/// The endings of names by which an endpoint is another form of the one without.
const OTHER_FORMS: [&str; 8] = [
    "_head", "_slash", "_many", "_local", "_named", "_old", "_short", "_ws",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn endpoints_of_one_operation_are_known() {
        let mut operations: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for endpoint in Endpoint::all() {
            operations
                .entry(endpoint.operation())
                .or_default()
                .push(endpoint.id.name());
        }
        for (operation, want) in [
            (
                "container.remove",
                &["container.remove", "libpod.container.remove"][..],
            ),
            (
                "container.attach",
                &[
                    "container.attach_ws",
                    "container.attach",
                    "libpod.container.attach",
                ],
            ),
            (
                "container.archive_get",
                &[
                    "container.archive_get",
                    "container.archive_stat",
                    "container.copy",
                    "libpod.container.archive_get",
                    "libpod.container.archive_stat",
                ],
            ),
            (
                "container.stats",
                &[
                    "container.stats",
                    "libpod.container.stats",
                    "libpod.container.stats_many",
                ],
            ),
            (
                "image.create",
                &["image.create", "libpod.image.import", "libpod.image.pull"],
            ),
            (
                "image.remove",
                &[
                    "image.remove",
                    "libpod.image.remove_many",
                    "libpod.image.remove",
                ],
            ),
            (
                "checkpoint.create",
                &["checkpoint.create", "libpod.container.checkpoint"],
            ),
            (
                "network.list",
                &["network.list", "network.list_slash", "libpod.network.list"],
            ),
            (
                "build.start",
                &[
                    "build.start",
                    "libpod.build.start",
                    "libpod.build.start_local",
                ],
            ),
            ("exec.create", &["exec.create", "libpod.exec.create"]),
            (
                "system.ping",
                &[
                    "system.ping",
                    "system.ping_head",
                    "libpod.system.ping",
                    "libpod.system.ping_head",
                ],
            ),
        ] {
            assert_eq!(operations[operation], want, "{operation}");
        }
    }

    /// Operations are named like one of their endpoints, so that a reader of a rule finds them, and
    /// every twin belongs to the operation, even if its name differs.
    #[test]
    fn operations_are_named_like_an_endpoint_and_hold_every_twin() {
        for endpoint in Endpoint::all() {
            let operation = endpoint.operation();
            let is_known = Endpoint::named(operation)
                .or_else(|| Endpoint::named(&format!("libpod.{operation}")));
            assert!(is_known.is_some(), "{operation}");
        }
        // The path of Docker's API behind /libpod is the twin's, unless the engines call it
        // otherwise.
        for endpoint in Endpoint::all().filter(|endpoint| endpoint.is_libpod()) {
            let docker = |other: &&Endpoint| {
                let plain = |shape: &str| shape.replace("*}", "}");
                !other.is_libpod()
                    && other.method == endpoint.method
                    && plain(&endpoint.shape[7..]) == plain(other.shape)
            };
            if let Some(twin) = Endpoint::all().find(docker) {
                assert_eq!(
                    endpoint.operation(),
                    twin.operation(),
                    "{} and {}",
                    endpoint.id.name(),
                    twin.id.name()
                );
            }
        }
    }

    #[test]
    fn the_kind_of_object_is_known() {
        for (name, want) in [
            ("container.stop", Some(ObjectKind::Container)),
            ("container.commit", Some(ObjectKind::Container)),
            ("exec.start", Some(ObjectKind::Exec)),
            ("network.connect", Some(ObjectKind::Network)),
            ("container.list", None),
            ("libpod.container.stats_many", None),
        ] {
            assert_eq!(
                Endpoint::named(name).expect(name).object_kind(),
                want,
                "{name}"
            );
        }
        assert!(Endpoint::named("container.exec").is_none());
    }
}
