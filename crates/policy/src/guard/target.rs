//! The use that calls make of the object that their path names.

use crate::endpoint::EndpointId;
use crate::request::call::Call;

/// The use of an object by a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Runs commands in a container, types into it, or puts files into it, which it may run.
    Enter,
    /// Takes files from a container.
    Files,
    /// Stops, changes or removes it, or takes its content.
    Control,
    /// Has a container join this network.
    Join,
    /// Gives it another name.
    Rename,
    /// Looks at it.
    Look,
}

impl Use {
    /// Returns the use of the object that the path or the query names.
    pub(crate) fn of_call(call: &Call) -> Self {
        use EndpointId::*;
        let Some(endpoint) = call.endpoint() else {
            return Self::Look;
        };
        match endpoint.id {
            ExecCreate
            | LibpodExecCreate
            | ContainerAttach
            | ContainerAttachWs
            | LibpodContainerAttach
            | LibpodContainerHealthcheck
            | ContainerArchivePut
            | LibpodContainerArchivePut => Self::Enter,
            ContainerArchiveGet
            | ContainerArchiveStat
            | ContainerCopy
            | LibpodContainerArchiveGet
            | LibpodContainerArchiveStat => Self::Files,
            NetworkConnect | LibpodNetworkConnect => Self::Join,
            ContainerRename | LibpodContainerRename => Self::Rename,
            ContainerExport
            | ContainerCommit
            | ContainerStart
            | ContainerStop
            | ContainerRestart
            | ContainerKill
            | ContainerPause
            | ContainerUnpause
            | ContainerUpdate
            | ContainerRemove
            | CheckpointCreate
            | CheckpointRemove
            | LibpodContainerExport
            | LibpodContainerCommit
            | LibpodContainerMount
            | LibpodContainerUnmount
            | LibpodContainerInit
            | LibpodContainerStart
            | LibpodContainerStop
            | LibpodContainerRestart
            | LibpodContainerKill
            | LibpodContainerPause
            | LibpodContainerUnpause
            | LibpodContainerUpdate
            | LibpodContainerCheckpoint
            | LibpodContainerRestore
            | LibpodContainerRemove
            | NetworkDisconnect
            | LibpodNetworkDisconnect
            | VolumeRemove
            | VolumeUpdate
            | LibpodVolumeRemove
            | LibpodVolumeExport
            | LibpodVolumeImport
            | ServiceUpdate
            | ServiceRemove
            | LibpodPodStart
            | LibpodPodStop
            | LibpodPodRestart
            | LibpodPodKill
            | LibpodPodPause
            | LibpodPodUnpause
            | LibpodPodRemove => Self::Control,
            _ => Self::Look,
        }
    }
}

/// Returns whether a call acts on many objects at once, or on objects that it names in its query:
/// targets cannot bound those.
pub(super) fn is_bulk(id: EndpointId) -> bool {
    use EndpointId::*;
    matches!(
        id,
        ContainerPrune
            | ImagePrune
            | BuildPrune
            | BuildCancel
            | LibpodImagePrune
            | LibpodImageRemoveMany
            | LibpodArtifactRemove
            | LibpodArtifactRemoveMany
            | LibpodQuadletInstall
            | LibpodQuadletRemove
            | LibpodQuadletRemoveMany
            | LibpodKubeApply
            | LibpodSystemCheck
            | VolumePrune
            | NetworkPrune
            | LibpodSystemPrune
            | LibpodContainerPrune
            | LibpodContainerStatsMany
            | LibpodVolumePrune
            | LibpodNetworkPrune
            | LibpodPodPrune
            | LibpodPodStats
            | LibpodGenerateKube
            | LibpodKubeGenerate
            | LibpodGenerateSystemd
            | LibpodKubeDown
            | LibpodKubeDownOld
            | LibpodKubePlay
            | LibpodKubePlayOld
            | LibpodContainerShowmounted
    )
}

/// Returns whether the guard needs the proxy's own container to judge the calls of this endpoint:
/// they may take its names, its image, or its mounts.
pub(crate) fn may_name_the_proxys(id: EndpointId) -> bool {
    use EndpointId::*;
    matches!(
        id,
        ContainerCreate
            | LibpodContainerCreate
            | ExecCreate
            | ExecStart
            | LibpodExecCreate
            | LibpodExecStart
            | ContainerAttach
            | ContainerAttachWs
            | LibpodContainerAttach
            | LibpodContainerHealthcheck
            | ContainerArchiveGet
            | ContainerArchiveStat
            | ContainerArchivePut
            | ContainerCopy
            | LibpodContainerArchiveGet
            | LibpodContainerArchiveStat
            | LibpodContainerArchivePut
            | ContainerRename
            | LibpodContainerRename
            | NetworkConnect
            | LibpodNetworkConnect
            | ServiceCreate
            | ServiceUpdate
            | ServiceRemove
            | VolumeCreate
            | LibpodVolumeCreate
            | VolumeRemove
            | VolumeUpdate
            | LibpodVolumeRemove
            | LibpodVolumeExport
            | LibpodVolumeImport
            | ImageTag
            | LibpodImageTag
            | ContainerCommit
            | ImageCreate
            | LibpodImagePull
            | ImageRemove
            | LibpodImageRemove
            | LibpodImageRemoveMany
            | LibpodImageUntag
            | LibpodManifestCreate
            | LibpodManifestCreateNamed
            | LibpodManifestAdd
            | LibpodManifestUpdate
            | LibpodManifestRemove
            | ImageLoad
            | LibpodImageLoad
            | LibpodImageLoadLocal
            | LibpodImageImport
            | LibpodContainerCommit
            | LibpodBuildStart
            | LibpodBuildStartLocal
            | BuildStart
    )
}
