//! Aggregates: endpoints that do the operation of others as well, to objects that their calls do
//! not name one by one. A denial of a part is a denial of the whole.

use super::Endpoint;
use super::table::EndpointId::{self, *};

/// An operation that an endpoint does beside its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IncludedOperation {
    /// The operation, as [`Endpoint::operation`] names it.
    pub(crate) operation: &'static str,
    /// The calls that do it.
    pub(crate) when: CallCondition,
    /// `true` if such calls do it only to the object that they name.
    pub(crate) is_to_same_object: bool,
}

/// The calls of an aggregate that do the operation of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallCondition {
    /// All of them.
    Always,
    /// Those that turn on this parameter of the query.
    With(&'static str),
    /// Those that turn it on, on Podman alone. The guard asks which engine it is, so that a denial
    /// decides about these calls only for clients that are not guarded.
    WithOnPodman(&'static str),
}

/// Endpoints, when they do the operations, and the operations.
type Row = (
    &'static [EndpointId],
    CallCondition,
    &'static [&'static str],
);

/// The sources are Podman's `pkg/api/handlers` and `pkg/domain/infra/abi`, and moby's
/// `daemon/server/router`.
const AGGREGATES: &[Row] = &[
    (
        &[ContainerPrune, LibpodContainerPrune],
        CallCondition::Always,
        &["container.remove"],
    ),
    (
        &[ImagePrune, LibpodImagePrune],
        CallCondition::Always,
        &["image.remove"],
    ),
    (
        &[LibpodImagePrune],
        CallCondition::With("buildcache"),
        &["build.prune"],
    ),
    (
        &[LibpodImagePrune],
        CallCondition::With("external"),
        &["build.prune"],
    ),
    (
        &[VolumePrune, LibpodVolumePrune],
        CallCondition::Always,
        &["volume.remove"],
    ),
    (
        &[NetworkPrune, LibpodNetworkPrune],
        CallCondition::Always,
        &["network.remove"],
    ),
    (
        &[LibpodPodPrune],
        CallCondition::Always,
        &["pod.remove", "container.remove", "container.prune"],
    ),
    // It removes dangling images, which are Podman's build cache.
    (
        &[LibpodSystemPrune],
        CallCondition::Always,
        &[
            "container.prune",
            "container.remove",
            "pod.prune",
            "pod.remove",
            "image.prune",
            "image.remove",
            "network.prune",
            "network.remove",
            "build.prune",
        ],
    ),
    (
        &[LibpodSystemPrune],
        CallCondition::With("volumes"),
        &["volume.prune", "volume.remove"],
    ),
    // A repair removes images and layers that it finds damaged, a lossy one containers as well.
    (
        &[LibpodSystemCheck],
        CallCondition::With("repair"),
        &["image.remove", "build.prune"],
    ),
    (
        &[LibpodSystemCheck],
        CallCondition::With("repair_lossy"),
        &["container.remove", "image.remove"],
    ),
    // A removal by force takes the containers along that use the object.
    (
        &[
            LibpodVolumeRemove,
            LibpodImageRemove,
            LibpodImageRemoveMany,
            NetworkRemove,
            LibpodNetworkRemove,
            LibpodQuadletRemove,
            LibpodQuadletRemoveMany,
        ],
        CallCondition::With("force"),
        &["container.remove", "container.stop", "container.kill"],
    ),
    (
        &[ImageRemove],
        CallCondition::WithOnPodman("force"),
        &["container.remove", "container.stop", "container.kill"],
    ),
    // A pod's operations reach each of its containers.
    (
        &[LibpodPodRemove],
        CallCondition::Always,
        &["container.remove"],
    ),
    (
        &[LibpodPodRemove],
        CallCondition::With("force"),
        &["container.stop", "container.kill"],
    ),
    (
        &[LibpodPodStart],
        CallCondition::Always,
        &["container.start"],
    ),
    (&[LibpodPodStop], CallCondition::Always, &["container.stop"]),
    (
        &[LibpodPodRestart],
        CallCondition::Always,
        &["container.restart", "container.start"],
    ),
    (&[LibpodPodKill], CallCondition::Always, &["container.kill"]),
    (
        &[LibpodPodPause],
        CallCondition::Always,
        &["container.pause"],
    ),
    (
        &[LibpodPodUnpause],
        CallCondition::Always,
        &["container.unpause"],
    ),
    (&[LibpodPodTop], CallCondition::Always, &["container.top"]),
    (
        &[LibpodPodStats],
        CallCondition::Always,
        &["container.stats"],
    ),
    (
        &[LibpodPodCreate],
        CallCondition::Always,
        &["container.create"],
    ),
    // Both take the name off an image, as the removal by that name does.
    (
        &[LibpodImageUntag, LibpodManifestRemove],
        CallCondition::Always,
        &["image.remove"],
    ),
    // These answers contain enough to create the container again.
    (
        &[
            LibpodGenerateKube,
            LibpodKubeGenerate,
            LibpodGenerateSystemd,
        ],
        CallCondition::Always,
        &["container.inspect", "pod.inspect"],
    ),
    (
        &[LibpodKubePlay, LibpodKubePlayOld],
        CallCondition::Always,
        &[
            "pod.create",
            "pod.start",
            "container.create",
            "container.start",
            "volume.create",
            "secret.create",
            "image.create",
            // Without a parameter, Podman builds images that it does not have.
            "build.start",
            "network.create",
        ],
    ),
    (
        &[LibpodKubePlay, LibpodKubePlayOld],
        CallCondition::With("replace"),
        &[
            "pod.remove",
            "pod.stop",
            "container.remove",
            "container.stop",
        ],
    ),
    (
        &[LibpodKubeDown, LibpodKubeDownOld],
        CallCondition::Always,
        &[
            "pod.remove",
            "pod.stop",
            "container.remove",
            "container.stop",
            "secret.remove",
        ],
    ),
    (
        &[LibpodKubeDown, LibpodKubeDownOld],
        CallCondition::With("force"),
        &["volume.remove"],
    ),
    (
        &[LibpodQuadletInstall],
        CallCondition::Always,
        &[
            "container.create",
            "container.start",
            "pod.create",
            "volume.create",
            "network.create",
            "image.create",
            "build.start",
        ],
    ),
    (
        &[LibpodContainerRestore],
        CallCondition::Always,
        &["container.start"],
    ),
    (
        // A checkpoint is an archive or an image.
        &[LibpodContainerRestore],
        CallCondition::Always,
        &["container.create"],
    ),
    // The tasks of a service are containers.
    (
        &[ServiceCreate, ServiceUpdate],
        CallCondition::Always,
        &["container.create", "container.start", "image.create"],
    ),
    (
        &[ServiceUpdate, ServiceRemove],
        CallCondition::Always,
        &["container.stop", "container.kill", "container.remove"],
    ),
    (
        &[ServiceLogs, TaskLogs],
        CallCondition::Always,
        &["container.logs"],
    ),
    // A build pulls the images that it begins with.
    (
        &[
            BuildStart,
            LibpodBuildStart,
            LibpodBuildStartLocal,
            BuildSession,
            BuildGrpc,
            BuildkitControl,
            BuildkitBridge,
        ],
        CallCondition::Always,
        &["image.create"],
    ),
    // The pod of an infra container depends on it.
    (
        &[LibpodContainerRemove],
        CallCondition::With("depend"),
        &["pod.remove", "container.stop", "container.kill"],
    ),
    (
        &[LibpodSecretCreate],
        CallCondition::With("replace"),
        &["secret.remove", "secret.update"],
    ),
    // BuildKit's channels are another way to build, and its control service prunes as well.
    (
        &[BuildSession, BuildGrpc, BuildkitControl, BuildkitBridge],
        CallCondition::Always,
        &["build.start"],
    ),
    (
        &[BuildGrpc, BuildkitControl],
        CallCondition::Always,
        &["build.prune"],
    ),
];

/// Endpoints that do other operations to the very object that their calls name: a restart starts a
/// container that was stopped, and an export hands over every file of it.
const OF_SAME_OBJECT: &[Row] = &[
    // The image has the settings and the files of its container.
    (
        &[ContainerCommit, LibpodContainerCommit],
        CallCondition::Always,
        &[
            "container.inspect",
            "container.export",
            "container.archive_get",
        ],
    ),
    (
        &[ContainerRestart, LibpodContainerRestart],
        CallCondition::Always,
        &["container.start"],
    ),
    (
        &[ContainerExport, LibpodContainerExport],
        CallCondition::Always,
        &["container.archive_get"],
    ),
    // With `logs`, which Docker also reads from a form, it begins with all output so far.
    (
        &[ContainerAttach, ContainerAttachWs, LibpodContainerAttach],
        CallCondition::Always,
        &["container.logs"],
    ),
    (
        &[ContainerRemove, LibpodContainerRemove],
        CallCondition::With("force"),
        &["container.stop", "container.kill"],
    ),
];

impl Endpoint {
    /// Returns the operations that calls of the endpoint do beside its own.
    pub(crate) fn parts(&self) -> impl Iterator<Item = IncludedOperation> {
        let id = self.id;
        let part = |operation, when, is_to_same_object| IncludedOperation {
            operation,
            when,
            is_to_same_object,
        };
        let rows_of = |rows: &'static [Row], is_to_same_object| {
            rows.iter()
                .filter(move |(endpoints, ..)| endpoints.contains(&id))
                .flat_map(move |(_, when, operations)| {
                    operations
                        .iter()
                        .map(move |operation| part(operation, *when, is_to_same_object))
                })
        };
        rows_of(AGGREGATES, false).chain(rows_of(OF_SAME_OBJECT, true))
    }

    /// Returns whether calls of the endpoint name any number of objects in their query, so that
    /// their path does not tell which objects they affect.
    pub(crate) fn names_objects_in_query(&self) -> bool {
        matches!(
            self.id,
            LibpodContainerStatsMany
                | LibpodPodStats
                | LibpodGenerateKube
                | LibpodKubeGenerate
                | LibpodGenerateSystemd
                | LibpodImageRemoveMany
                | LibpodImageSaveMany
                | ImageSaveMany
                | LibpodArtifactRemoveMany
                | LibpodQuadletRemoveMany
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_operations_of_other_endpoints() {
        for endpoint in Endpoint::all() {
            for part in endpoint.parts() {
                let operation = part.operation;
                assert!(
                    Endpoint::all().any(|other| other.operation() == operation),
                    "{operation} is no operation"
                );
                assert_ne!(endpoint.operation(), operation, "{}", endpoint.id.name());
            }
        }
    }

    /// An aggregate of an aggregate holds the parts of both, so that one look at the table is
    /// enough.
    #[test]
    fn parts_of_parts_are_parts() {
        for endpoint in Endpoint::all() {
            let own: Vec<_> = endpoint.parts().collect();
            for part in &own {
                let inner = Endpoint::all()
                    .filter(|other| other.operation() == part.operation)
                    .flat_map(Endpoint::parts)
                    .filter(|inner| inner.when == CallCondition::Always)
                    .filter(|inner| inner.operation != endpoint.operation());
                for inner in inner {
                    assert!(
                        own.iter().any(|one| one.operation == inner.operation),
                        "{} does {}, and so {}",
                        endpoint.id.name(),
                        part.operation,
                        inner.operation
                    );
                }
            }
        }
    }
}
