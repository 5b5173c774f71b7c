//! The guard's duty for each endpoint: a reader for those that take a body, or whose query carries
//! power.

use super::readers::{
    BUILD, CHECKPOINTS, COMMIT, CONTAINER_CREATE, CONTAINER_RESTART, CONTAINER_START,
    CONTAINER_UPDATE, EXEC_CREATE, EXEC_START, LIBPOD_CONNECT, LIBPOD_CREATE, LIBPOD_DISCONNECT,
    LIBPOD_EXEC_REMOVE, LIBPOD_PULL, LIBPOD_PUSH, LIBPOD_START, LIBPOD_UPDATE,
    LIBPOD_VOLUME_CREATE, LOAD, LOGIN, MANIFEST, NETWORK_CONNECT, NETWORK_CREATE,
    NETWORK_DISCONNECT, NETWORK_REMOVE, NODE_UPDATE, PULL_OR_IMPORT, PUSH, RENAME, SECRET,
    SERVICE_CREATE, SERVICE_UPDATE, TAG, TOP, VOLUME_CREATE,
};
use super::{EndpointReader, Guard, GuardLevel, creation};
use crate::endpoint::EndpointId;
use crate::request::call::Call;

/// The guard's duty for the calls of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duty {
    /// None.
    Pass,
    /// The reader judges them.
    Judge(&'static EndpointReader),
    /// They are refused, for this reason.
    Closed(&'static str),
    /// They carry content that the guard cannot inspect: only a rule that names the endpoint lets
    /// them pass.
    Unread,
}

const PLUGINS: &str = "plugins run on the host, as root";
const SWARM: &str = "a client that can change the cluster controls every node of it";
const UNSEEN_IMAGES: &str = "guard-allow, deny-images or rewrite-images names images or \
    registries, and those of this call cannot be seen";

const UNSEEN_CREATION: &str = "this profile has requirements on what is created, and what this call creates cannot be seen; \
    create the containers or networks one by one";

const UNCOUNTED: &str = "this profile has quotas, and the tasks of a service run on any node, where \
    they are not counted; create containers instead";

/// Returns the guard's duty for a call.
pub(crate) fn duty(call: &Call, guard: &Guard) -> Duty {
    let Some(endpoint) = call.endpoint() else {
        return Duty::Unread;
    };
    if guard.level == GuardLevel::Privileged {
        return Duty::Pass;
    }
    match duty_of(endpoint.id) {
        Duty::Unread | Duty::Judge(_) if makes_images(endpoint.id) && guard.binds_images() => {
            Duty::Closed(UNSEEN_IMAGES)
        }
        Duty::Unread if creation::creates_unseen(endpoint.id) && guard.creation.is_some() => {
            Duty::Closed(UNSEEN_CREATION)
        }
        Duty::Judge(_) if creation::creates_uncounted(endpoint.id) && guard.counts_containers() => {
            Duty::Closed(UNCOUNTED)
        }
        duty => duty,
    }
}

/// Returns the guard's duty for the calls of an endpoint, at every level but `privileged`.
///
/// Every endpoint has an entry: one that is added to the API's table does not compile without.
fn duty_of(id: EndpointId) -> Duty {
    use EndpointId::*;
    match id {
        ContainerCreate => Duty::Judge(&CONTAINER_CREATE),
        LibpodContainerCreate => Duty::Judge(&LIBPOD_CREATE),
        ContainerUpdate => Duty::Judge(&CONTAINER_UPDATE),
        LibpodContainerUpdate => Duty::Judge(&LIBPOD_UPDATE),
        ContainerStart => Duty::Judge(&CONTAINER_START),
        LibpodContainerStart => Duty::Judge(&LIBPOD_START),
        ContainerRestart | LibpodContainerRestart => Duty::Judge(&CONTAINER_RESTART),
        ExecCreate | LibpodExecCreate => Duty::Judge(&EXEC_CREATE),
        ExecStart | LibpodExecStart => Duty::Judge(&EXEC_START),
        ContainerCommit => Duty::Judge(&COMMIT),
        ImageCreate => Duty::Judge(&PULL_OR_IMPORT),
        ImageTag | LibpodImageTag => Duty::Judge(&TAG),
        LibpodExecRemove => Duty::Judge(&LIBPOD_EXEC_REMOVE),
        LibpodImagePull => Duty::Judge(&LIBPOD_PULL),
        LibpodManifestCreate
        | LibpodManifestCreateNamed
        | LibpodManifestAdd
        | LibpodManifestUpdate => Duty::Judge(&MANIFEST),
        ImageLoad => Duty::Judge(&LOAD),
        BuildStart => Duty::Judge(&BUILD),
        VolumeCreate => Duty::Judge(&VOLUME_CREATE),
        LibpodVolumeCreate => Duty::Judge(&LIBPOD_VOLUME_CREATE),
        NetworkCreate => Duty::Judge(&NETWORK_CREATE),
        NetworkConnect => Duty::Judge(&NETWORK_CONNECT),
        NetworkDisconnect => Duty::Judge(&NETWORK_DISCONNECT),
        ServiceCreate => Duty::Judge(&SERVICE_CREATE),
        ServiceUpdate => Duty::Judge(&SERVICE_UPDATE),
        SystemAuth => Duty::Judge(&LOGIN),
        SecretCreate | SecretUpdate | ConfigCreate | ConfigUpdate => Duty::Judge(&SECRET),
        NodeUpdate => Duty::Judge(&NODE_UPDATE),
        CheckpointList | CheckpointRemove => Duty::Judge(&CHECKPOINTS),
        ContainerTop | LibpodContainerTop | LibpodPodTop => Duty::Judge(&TOP),
        ImagePush => Duty::Judge(&PUSH),
        LibpodImagePush => Duty::Judge(&LIBPOD_PUSH),
        NetworkRemove | LibpodNetworkRemove => Duty::Judge(&NETWORK_REMOVE),
        LibpodNetworkConnect => Duty::Judge(&LIBPOD_CONNECT),
        LibpodNetworkDisconnect => Duty::Judge(&LIBPOD_DISCONNECT),
        ContainerRename | LibpodContainerRename => Duty::Judge(&RENAME),
        // They take a body or a channel that is not judged.
        ContainerArchivePut
        | CheckpointCreate
        | ContainerCopy
        | BuildSession
        | BuildGrpc
        | BuildkitControl
        | BuildkitBridge
        | BuildkitContent
        | BuildkitTrace
        | VolumeUpdate
        | LibpodSystemCheck
        | LibpodContainerArchivePut
        | LibpodContainerMount
        | LibpodContainerUnmount
        | LibpodContainerCheckpoint
        | LibpodContainerRestore
        | LibpodContainerCommit
        | LibpodKubePlayOld
        | LibpodKubePlay
        | LibpodKubeDownOld
        | LibpodKubeDown
        | LibpodKubeApply
        | LibpodImageLoad
        | LibpodImageLoadLocal
        | LibpodImageImport
        | LibpodImageScp
        | LibpodBuildStart
        | LibpodBuildStartLocal
        | LibpodArtifactPull
        | LibpodArtifactPush
        | LibpodArtifactAdd
        | LibpodArtifactAddLocal
        | LibpodManifestPush
        | LibpodManifestPushOld
        | LibpodNetworkCreate
        | LibpodNetworkUpdate
        | LibpodPodCreate
        | LibpodQuadletInstall
        | LibpodSecretCreate
        | LibpodVolumeImport => Duty::Unread,
        SwarmInit | SwarmJoin | SwarmUpdate | SwarmUnlock => Duty::Closed(SWARM),
        PluginPull | PluginCreate | PluginEnable | PluginDisable | PluginUpgrade | PluginSet
        | PluginPush => Duty::Closed(PLUGINS),
        // They read, delete, or write without a body, and their query can do no more than their
        // path says.
        Options
        | SystemPing
        | SystemPingHead
        | SystemVersion
        | SystemInfo
        | SystemEvents
        | SystemDf
        | ContainerList
        | ContainerInspect
        | ContainerLogs
        | ContainerStats
        | ContainerChanges
        | ContainerExport
        | ContainerArchiveGet
        | ContainerArchiveStat
        | ContainerAttachWs
        | ContainerAttach
        | ExecResize
        | ExecInspect
        | ContainerStop
        | ContainerKill
        | ContainerPause
        | ContainerUnpause
        | ContainerWait
        | ContainerResize
        | ContainerPrune
        | ContainerRemove
        | ImageList
        | ImageSearch
        | ImageSaveMany
        | ImageSave
        | ImageHistory
        | ImageInspect
        | ImageAttestations
        | ImagePrune
        | ImageRemove
        | DistributionInspect
        | BuildPrune
        | BuildCancel
        | VolumeList
        | VolumeInspect
        | VolumePrune
        | VolumeRemove
        | NetworkList
        | NetworkListSlash
        | NetworkInspect
        | NetworkPrune
        | PluginList
        | PluginInspect
        | PluginPrivileges
        | PluginRemove
        | SwarmInspect
        | SwarmLeave
        | SwarmUnlockKey
        | NodeList
        | NodeInspect
        | NodeRemove
        | ServiceList
        | ServiceInspect
        | ServiceRemove
        | ServiceLogs
        | TaskList
        | TaskInspect
        | TaskLogs
        | SecretList
        | SecretInspect
        | SecretRemove
        | ConfigList
        | ConfigInspect
        | ConfigRemove
        | DebugVars
        | DebugIndex
        | DebugCmdline
        | DebugCpu
        | DebugSymbol
        | DebugTrace
        | DebugProfile
        | LibpodSystemPing
        | LibpodSystemPingHead
        | LibpodSystemVersion
        | LibpodSystemInfo
        | LibpodSystemEvents
        | LibpodSystemSwagger
        | LibpodSystemDf
        | LibpodSystemPrune
        | LibpodContainerList
        | LibpodContainerInspect
        | LibpodContainerExists
        | LibpodContainerLogs
        | LibpodContainerStats
        | LibpodContainerStatsMany
        | LibpodContainerChanges
        | LibpodContainerExport
        | LibpodContainerArchiveGet
        | LibpodContainerArchiveStat
        | LibpodContainerShowmounted
        | LibpodContainerHealthcheck
        | LibpodContainerInit
        | LibpodContainerStop
        | LibpodContainerKill
        | LibpodContainerPause
        | LibpodContainerUnpause
        | LibpodContainerWait
        | LibpodContainerResize
        | LibpodContainerAttach
        | LibpodContainerPrune
        | LibpodContainerRemove
        | LibpodExecResize
        | LibpodExecInspect
        | LibpodGenerateSystemd
        | LibpodGenerateKube
        | LibpodKubeGenerate
        | LibpodImageList
        | LibpodImageSearch
        | LibpodImageExists
        | LibpodImageInspect
        | LibpodImageTree
        | LibpodImageHistory
        | LibpodImageResolve
        | LibpodImageChanges
        | LibpodImageSave
        | LibpodImageSaveMany
        | LibpodImageUntag
        | LibpodImagePrune
        | LibpodImageRemoveMany
        | LibpodImageRemove
        | LibpodArtifactList
        | LibpodArtifactInspect
        | LibpodArtifactExtract
        | LibpodArtifactRemoveMany
        | LibpodArtifactRemove
        | LibpodManifestExists
        | LibpodManifestInspect
        | LibpodManifestRemove
        | LibpodNetworkList
        | LibpodNetworkInspectShort
        | LibpodNetworkInspect
        | LibpodNetworkExists
        | LibpodNetworkPrune
        | LibpodPodList
        | LibpodPodInspect
        | LibpodPodExists
        | LibpodPodStats
        | LibpodPodStart
        | LibpodPodStop
        | LibpodPodRestart
        | LibpodPodKill
        | LibpodPodPause
        | LibpodPodUnpause
        | LibpodPodPrune
        | LibpodPodRemove
        | LibpodQuadletList
        | LibpodQuadletFile
        | LibpodQuadletExists
        | LibpodQuadletRemoveMany
        | LibpodQuadletRemove
        | LibpodSecretList
        | LibpodSecretInspect
        | LibpodSecretExists
        | LibpodSecretRemove
        | LibpodVolumeList
        | LibpodVolumeInspect
        | LibpodVolumeExists
        | LibpodVolumeExport
        | LibpodVolumePrune
        | LibpodVolumeRemove => Duty::Pass,
    }
}

/// Returns whether an endpoint that is not judged can bring in, run or make images.
fn makes_images(id: EndpointId) -> bool {
    use EndpointId::*;
    matches!(
        id,
        BuildSession
            | BuildGrpc
            | BuildkitControl
            | BuildkitBridge
            | BuildkitContent
            | LibpodBuildStart
            | LibpodBuildStartLocal
            | LibpodContainerCommit
            | LibpodContainerRestore
            | LibpodImageImport
            | LibpodImageLoad
            | LibpodImageLoadLocal
            | LibpodImageScp
            | LibpodKubeApply
            | LibpodKubePlay
            | LibpodKubePlayOld
            | LibpodManifestAdd
            | LibpodManifestCreate
            | LibpodManifestCreateNamed
            | LibpodManifestUpdate
            | LibpodPodCreate
            | LibpodQuadletInstall
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_power_does_not_just_pass() {
        let name = |duty| match duty {
            Duty::Pass => "pass",
            Duty::Judge(_) => "judge",
            Duty::Closed(_) => "closed",
            Duty::Unread => "unread",
        };
        for (request, want) in [
            ("GET /containers/json", "pass"),
            ("DELETE /containers/x", "pass"),
            ("GET /containers/x/checkpoints", "judge"),
            ("DELETE /containers/x/checkpoints/y", "judge"),
            ("POST /v1.43/containers/create", "judge"),
            ("POST /containers/x/start", "judge"),
            ("POST /containers/x/stop", "pass"),
            ("POST /containers/x/exec", "judge"),
            ("POST /exec/x/start", "judge"),
            ("POST /build", "judge"),
            ("POST /session", "unread"),
            ("POST /grpc", "unread"),
            ("POST /services/create", "judge"),
            ("POST /services/x/update", "judge"),
            ("POST /swarm/init", "closed"),
            ("POST /swarm/join", "closed"),
            ("POST /swarm/update", "closed"),
            ("POST /swarm/unlock", "closed"),
            ("POST /plugins/pull", "closed"),
            ("POST /plugins/create", "closed"),
            ("POST /plugins/x/enable", "closed"),
            ("POST /plugins/x/set", "closed"),
            ("PUT /volumes/x", "unread"),
            ("PUT /containers/x/archive", "unread"),
            ("POST /containers/x/checkpoints", "unread"),
            ("POST /v4.0.0/libpod/containers/create", "judge"),
            ("POST /v4.0.0/libpod/pods/create", "unread"),
            ("POST /v4.0.0/libpod/play/kube", "unread"),
            ("POST /v4.0.0/libpod/kube/play", "unread"),
            ("POST /v4.0.0/libpod/build", "unread"),
            ("POST /v4.0.0/libpod/secrets/create", "unread"),
            ("POST /v4.0.0/libpod/quadlets", "unread"),
            ("POST /v4.0.0/libpod/images/import", "unread"),
            ("POST /v4.0.0/libpod/networks/create", "unread"),
            ("POST /v4.0.0/libpod/containers/x/exec", "judge"),
            ("POST /nobody/knows/this", "unread"),
            // The engine takes the name of a linked container there.
            ("POST /containers/web/db/exec", "judge"),
            ("POST /containers/web/db/update", "judge"),
            ("POST /containers/web/db/stop", "pass"),
            ("POST /containers/create/", "unread"),
            ("DELETE /v5.0.0/libpod/kube/play", "unread"),
            ("GET /containers/x/top", "judge"),
            ("POST /images/x/push", "judge"),
            ("POST /images/x/tag", "judge"),
        ] {
            let (method, target) = request.split_once(' ').expect("a request line");
            let call = Call::read(method, target).expect(request);
            let at = |level| {
                name(duty(
                    &call,
                    &Guard {
                        level,
                        ..Guard::default()
                    },
                ))
            };
            assert_eq!(at(GuardLevel::Baseline), want, "{request}");
            assert_eq!(at(GuardLevel::Restricted), want, "{request}");
            if call.endpoint().is_some() {
                assert_eq!(at(GuardLevel::Privileged), "pass", "{request}");
            }
        }
    }
}
