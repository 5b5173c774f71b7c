//! The objects that the calls and answers of each endpoint are about, for a client that does not
//! see all of them.

use super::splitter::Shape;
use crate::endpoint::{EndpointId, ObjectKind};

/// The relation of an endpoint to objects that a client may not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// None: neither its calls nor its answers are about objects.
    Nothing,
    /// Its calls name objects, which have to be visible.
    Named,
    /// Its answers list objects of this kind.
    List(ObjectKind),
    /// Its answer describes a container, with those that it was created with.
    Container,
    /// Its answer describes networks, with the containers on each.
    Networks,
    /// Its answer describes a pod, with the containers in it.
    Pod,
    /// Its answer describes an image, with all its names.
    Image,
    /// Its answer lists the layers of an image, with the names of it and of others.
    ImageHistory,
    /// Its calls name an image, and its answer is a text with the names of all images that share
    /// its layers.
    ImageTree,
    /// Its answer describes a task, with the networks that it is on.
    Task,
    /// Its answer has volumes in the member `Volumes`.
    Volumes,
    /// Its answer is a stream of events.
    Events,
    /// Its answer is the use of the disk, by object.
    DiskUsage,
    /// Its calls remove all unused objects of this kind.
    Prune(ObjectKind),
    /// Its calls bring in images that the proxy cannot see.
    Images,
    /// A channel to the builder, whose builds and cache belong to all clients.
    Builder,
    /// Clients that do not see all objects cannot call it, for this reason.
    Closed(&'static str),
}

const BULK: &str = "it is about more objects than those that this profile sees";
const CLUSTER: &str = "the cluster belongs to all clients, and this profile sees a part of it";
const UNREAD: &str = "its body can name objects that this profile does not see, and is not judged";
const UNMARKED: &str = "its answer does not tell which objects this profile sees";
const INTERNALS: &str = "it shows the inside of the engine, which serves all clients";

/// The members of a report on the use of the disk that have members of their own (API 1.52).
const USAGES: &[&str] = &[
    "BuildCacheUsage",
    "ContainerUsage",
    "ImageUsage",
    "VolumeUsage",
];

impl Exposure {
    /// Returns the parts in which an answer is judged, if its objects are.
    pub(super) fn shape(self) -> Option<Shape> {
        match self {
            Self::List(_) | Self::ImageHistory => Some(Shape::List),
            Self::Volumes => Some(Shape::Report(&[])),
            Self::Events => Some(Shape::Lines),
            Self::DiskUsage => Some(Shape::Report(USAGES)),
            Self::Container | Self::Networks | Self::Pod | Self::Image | Self::Task => {
                Some(Shape::Value)
            }
            Self::Nothing
            | Self::Named
            | Self::ImageTree
            | Self::Prune(_)
            | Self::Images
            | Self::Builder
            | Self::Closed(_) => None,
        }
    }
}

/// Returns the parts in which the answers of an endpoint are redacted.
pub(super) fn shape_of_values(id: EndpointId) -> Shape {
    use EndpointId::*;
    match id {
        // They are streams, unless the query says otherwise.
        PluginPull
        | PluginUpgrade
        | PluginPush
        | ImageCreate
        | ImagePush
        | LibpodImagePull
        | LibpodImagePush
        | BuildStart
        | LibpodBuildStart
        | ContainerStats
        | LibpodContainerStats
        | LibpodContainerStatsMany
        | LibpodContainerTop
        | LibpodPodTop
        | LibpodPodStats => Shape::Lines,
        // Podman's own report is small, and its members are lists.
        LibpodSystemDf => Shape::Report(&[]),
        id => exposure(id).shape().unwrap_or(Shape::Value),
    }
}

/// Returns the relation of an endpoint to objects.
///
/// Every endpoint has an entry: one that is added to the API's table does not compile without.
pub(crate) fn exposure(id: EndpointId) -> Exposure {
    use EndpointId::*;
    match id {
        Options | SystemPing | SystemPingHead | SystemVersion | SystemInfo | SystemAuth
        | ImageSearch | DistributionInspect | PluginPrivileges | LibpodSystemPing
        | LibpodSystemPingHead | LibpodSystemVersion | LibpodSystemInfo | LibpodSystemSwagger
        | LibpodImageSearch => Exposure::Nothing,
        BuildSession | BuildGrpc | BuildkitControl | BuildkitBridge | BuildkitContent
        | BuildkitTrace => Exposure::Builder,
        ImageCreate | ImageLoad | ImageSaveMany | BuildStart | LibpodImageLoad
        | LibpodImageImport | LibpodImagePull | LibpodImageSaveMany => Exposure::Images,
        SystemEvents | LibpodSystemEvents => Exposure::Events,
        ContainerInspect | LibpodContainerInspect => Exposure::Container,
        ImageInspect | LibpodImageInspect => Exposure::Image,
        ImageHistory | LibpodImageHistory => Exposure::ImageHistory,
        LibpodImageTree => Exposure::ImageTree,
        LibpodPodInspect => Exposure::Pod,
        TaskInspect => Exposure::Task,
        SystemDf => Exposure::DiskUsage,
        ContainerList | LibpodContainerList => Exposure::List(ObjectKind::Container),
        ImageList | LibpodImageList => Exposure::List(ObjectKind::Image),
        NetworkList | NetworkListSlash | LibpodNetworkList => Exposure::List(ObjectKind::Network),
        NetworkInspect | LibpodNetworkInspect | LibpodNetworkInspectShort => Exposure::Networks,
        VolumeList => Exposure::Volumes,
        LibpodVolumeList => Exposure::List(ObjectKind::Volume),
        PluginList => Exposure::List(ObjectKind::Plugin),
        NodeList => Exposure::List(ObjectKind::Node),
        ServiceList => Exposure::List(ObjectKind::Service),
        TaskList => Exposure::List(ObjectKind::Task),
        SecretList | LibpodSecretList => Exposure::List(ObjectKind::Secret),
        ConfigList => Exposure::List(ObjectKind::Config),
        LibpodPodList => Exposure::List(ObjectKind::Pod),
        ContainerPrune | LibpodContainerPrune => Exposure::Prune(ObjectKind::Container),
        ImagePrune | LibpodImagePrune => Exposure::Prune(ObjectKind::Image),
        VolumePrune | LibpodVolumePrune => Exposure::Prune(ObjectKind::Volume),
        NetworkPrune | LibpodNetworkPrune => Exposure::Prune(ObjectKind::Network),
        ContainerTop
        | ContainerLogs
        | ContainerStats
        | ContainerChanges
        | ContainerExport
        | ContainerArchiveGet
        | ContainerArchiveStat
        | ContainerArchivePut
        | ContainerAttachWs
        | ContainerAttach
        | ExecCreate
        | ExecStart
        | ExecResize
        | ExecInspect
        | ContainerCreate
        | ContainerStart
        | ContainerStop
        | ContainerRestart
        | ContainerKill
        | ContainerPause
        | ContainerUnpause
        | ContainerWait
        | ContainerResize
        | ContainerRename
        | ContainerUpdate
        | ContainerRemove
        | ContainerCommit
        | CheckpointList
        | CheckpointCreate
        | CheckpointRemove
        | ContainerCopy
        | ImageSave
        | ImageAttestations
        | ImagePush
        | ImageTag
        | ImageRemove
        | VolumeInspect
        | VolumeCreate
        | VolumeUpdate
        | VolumeRemove
        | NetworkCreate
        | NetworkConnect
        | NetworkDisconnect
        | NetworkRemove
        | PluginInspect
        | PluginEnable
        | PluginDisable
        | PluginUpgrade
        | PluginSet
        | PluginPush
        | PluginRemove
        | NodeInspect
        | NodeUpdate
        | NodeRemove
        | ServiceInspect
        | ServiceCreate
        | ServiceUpdate
        | ServiceRemove
        | ServiceLogs
        | TaskLogs
        | SecretCreate
        | SecretInspect
        | SecretUpdate
        | SecretRemove
        | ConfigCreate
        | ConfigInspect
        | ConfigUpdate
        | ConfigRemove
        | LibpodContainerExists
        | LibpodContainerTop
        | LibpodContainerLogs
        | LibpodContainerStats
        | LibpodContainerChanges
        | LibpodContainerExport
        | LibpodContainerArchiveGet
        | LibpodContainerArchiveStat
        | LibpodContainerArchivePut
        | LibpodContainerMount
        | LibpodContainerUnmount
        | LibpodContainerHealthcheck
        | LibpodContainerCreate
        | LibpodContainerInit
        | LibpodContainerStart
        | LibpodContainerStop
        | LibpodContainerRestart
        | LibpodContainerKill
        | LibpodContainerPause
        | LibpodContainerUnpause
        | LibpodContainerWait
        | LibpodContainerResize
        | LibpodContainerRename
        | LibpodContainerUpdate
        | LibpodContainerAttach
        | LibpodContainerCheckpoint
        | LibpodContainerRemove
        | LibpodExecCreate
        | LibpodExecStart
        | LibpodExecResize
        | LibpodExecInspect
        | LibpodExecRemove
        | LibpodImageExists
        | LibpodImageResolve
        | LibpodImageChanges
        | LibpodImageSave
        | LibpodImagePush
        | LibpodImageTag
        | LibpodImageUntag
        | LibpodImageRemove
        | LibpodNetworkExists
        | LibpodNetworkConnect
        | LibpodNetworkDisconnect
        | LibpodNetworkRemove
        | LibpodPodExists
        | LibpodPodTop
        | LibpodPodStart
        | LibpodPodStop
        | LibpodPodRestart
        | LibpodPodKill
        | LibpodPodPause
        | LibpodPodUnpause
        | LibpodPodRemove
        | LibpodSecretInspect
        | LibpodSecretExists
        | LibpodSecretRemove
        | LibpodVolumeInspect
        | LibpodVolumeExists
        | LibpodVolumeExport
        | LibpodVolumeImport
        | LibpodVolumeCreate
        | LibpodVolumeRemove => Exposure::Named,
        BuildPrune
        | BuildCancel
        | LibpodSystemPrune
        | LibpodSystemCheck
        | LibpodContainerStatsMany
        | LibpodContainerShowmounted
        | LibpodGenerateKube
        | LibpodKubeGenerate
        | LibpodGenerateSystemd
        | LibpodKubeDownOld
        | LibpodKubeDown
        | LibpodImageRemoveMany
        | LibpodArtifactRemoveMany
        | LibpodPodStats
        | LibpodPodPrune
        | LibpodQuadletRemoveMany => Exposure::Closed(BULK),
        SwarmInspect | SwarmInit | SwarmJoin | SwarmLeave | SwarmUpdate | SwarmUnlockKey
        | SwarmUnlock => Exposure::Closed(CLUSTER),
        PluginPull
        | PluginCreate
        | LibpodContainerRestore
        | LibpodContainerCommit
        | LibpodKubePlayOld
        | LibpodKubePlay
        | LibpodKubeApply
        | LibpodImageLoadLocal
        | LibpodImageScp
        | LibpodBuildStart
        | LibpodBuildStartLocal
        | LibpodArtifactPull
        | LibpodArtifactPush
        | LibpodArtifactAdd
        | LibpodArtifactAddLocal
        | LibpodManifestCreateNamed
        | LibpodManifestUpdate
        | LibpodManifestPush
        | LibpodManifestCreate
        | LibpodManifestAdd
        | LibpodManifestPushOld
        | LibpodNetworkCreate
        | LibpodNetworkUpdate
        | LibpodPodCreate
        | LibpodQuadletInstall
        | LibpodSecretCreate => Exposure::Closed(UNREAD),
        LibpodSystemDf
        | LibpodArtifactList
        | LibpodArtifactInspect
        | LibpodArtifactExtract
        | LibpodArtifactRemove
        | LibpodManifestExists
        | LibpodManifestInspect
        | LibpodManifestRemove
        | LibpodQuadletList
        | LibpodQuadletFile
        | LibpodQuadletExists
        | LibpodQuadletRemove => Exposure::Closed(UNMARKED),
        DebugVars | DebugIndex | DebugCmdline | DebugCpu | DebugSymbol | DebugTrace
        | DebugProfile => Exposure::Closed(INTERNALS),
    }
}
