//! The description of each endpoint's answer, and the endpoints whose answer cannot be rewritten.

use super::class::{
    ADDRESSES, COMMANDS, Classes, ENV, HOST, HOST_PATHS, LABELS, PROXIES, TOKENS, USERS,
};
use super::shape::{
    CONTAINER, DISK_USAGE, EVENT, HOST_PATH, INFO, LIBPOD_INFO, NETWORK, NODE, PLAIN, PLUGIN,
    PLUGIN_PRIVILEGE, PROCESSES, QUADLET, VOLUME, VOLUME_LIST, ValueShape,
};
use crate::endpoint::EndpointId::{self, *};

/// Returns the description of the endpoint's answer; `None` if the answer is no JSON, or has no
/// value of any class.
pub(super) fn part(endpoint: EndpointId) -> Option<&'static ValueShape> {
    let part = match endpoint {
        ContainerInspect | LibpodContainerInspect => &CONTAINER,
        ContainerTop | LibpodContainerTop | LibpodPodTop => &PROCESSES,
        SystemInfo => &INFO,
        LibpodSystemInfo => &LIBPOD_INFO,
        SystemEvents | LibpodSystemEvents => &EVENT,
        SystemDf | LibpodSystemDf => &DISK_USAGE,
        VolumeList => &VOLUME_LIST,
        VolumeInspect | VolumeCreate | VolumeUpdate | LibpodVolumeList | LibpodVolumeInspect
        | LibpodVolumeCreate => &VOLUME,
        NetworkList
        | NetworkListSlash
        | NetworkInspect
        | NetworkCreate
        | LibpodNetworkList
        | LibpodNetworkInspect
        | LibpodNetworkInspectShort
        | LibpodNetworkCreate => &NETWORK,
        NodeList | NodeInspect => &NODE,
        PluginList | PluginInspect | PluginRemove => &PLUGIN,
        PluginPrivileges => &PLUGIN_PRIVILEGE,
        LibpodContainerShowmounted => &HOST_PATH,
        LibpodQuadletList | LibpodQuadletInstall => &QUADLET,
        endpoint if has_objects(endpoint) => &PLAIN,
        _ => return None,
    };
    Some(part)
}

/// Returns whether the answer is JSON whose members the names alone describe. An endpoint that is
/// not in the list of the others is one, so that a new endpoint is redacted.
fn has_objects(endpoint: EndpointId) -> bool {
    !has_no_class(endpoint) && !is_no_json(endpoint)
}

/// Returns whether the answer is empty, or one that has identifiers, names, figures and progress
/// alone. A client that waits for a container needs the head of its answer at once, so that it is
/// passed on as it comes.
fn has_no_class(endpoint: EndpointId) -> bool {
    matches!(
        endpoint,
        Options
            | SystemPing
            | SystemPingHead
            | ContainerStats
            | ContainerChanges
            | ContainerArchiveStat
            | ContainerArchivePut
            | ExecCreate
            | ExecResize
            | ContainerStart
            | ContainerStop
            | ContainerRestart
            | ContainerKill
            | ContainerPause
            | ContainerUnpause
            | ContainerResize
            | ContainerRename
            | ContainerPrune
            | ContainerRemove
            | ImageTag
            | ImageRemove
            | ImagePrune
            | ImageSearch
            | NetworkConnect
            | NetworkDisconnect
            | NetworkPrune
            | NetworkRemove
            | VolumePrune
            | VolumeRemove
            | BuildPrune
            | BuildCancel
            | LibpodSystemPing
            | LibpodSystemPingHead
            | LibpodSystemSwagger
            | LibpodContainerExists
            | LibpodContainerChanges
            | LibpodContainerArchiveStat
            | LibpodContainerArchivePut
            | LibpodContainerUnmount
            | LibpodContainerResize
            | LibpodContainerRename
            | LibpodContainerPause
            | LibpodContainerUnpause
            | LibpodContainerKill
            | LibpodContainerWait
            | LibpodExecCreate
            | LibpodExecResize
            | LibpodExecRemove
            | LibpodImageExists
            | LibpodImageTree
            | LibpodImageChanges
            | LibpodImageTag
            | LibpodImageUntag
            | LibpodImageSearch
            | LibpodImageResolve
            | LibpodManifestExists
            | LibpodNetworkExists
            | LibpodNetworkConnect
            | LibpodNetworkDisconnect
            | LibpodPodExists
            | LibpodPodStats
            | LibpodQuadletExists
            | LibpodSecretExists
            | LibpodVolumeExists
            | CheckpointCreate
            | CheckpointRemove
            | ContainerCommit
            | ContainerWait
            | SwarmInit
            | SwarmJoin
            | SwarmLeave
            | SwarmUpdate
            | SwarmUnlock
            | NodeUpdate
            | NodeRemove
            | ServiceRemove
            | SecretCreate
            | SecretUpdate
            | SecretRemove
            | ConfigCreate
            | ConfigUpdate
            | ConfigRemove
            | PluginCreate
            | PluginEnable
            | PluginDisable
            | PluginSet
            | PluginPull
            | PluginPush
            | PluginUpgrade
            | LibpodContainerInit
            | LibpodContainerStart
            | LibpodContainerStop
            | LibpodContainerRestart
            | LibpodContainerStats
            | LibpodContainerStatsMany
            | LibpodContainerUpdate
            | LibpodContainerCommit
            | LibpodContainerRestore
            | LibpodArtifactAdd
            | LibpodArtifactPull
            | LibpodArtifactPush
            | LibpodNetworkUpdate
            | LibpodNetworkRemove
            | LibpodSecretCreate
            | LibpodSecretRemove
            | LibpodVolumeRemove
            | LibpodVolumeImport
    )
}

/// Returns whether the answer is an archive, a tunnel, a text, or the output of processes.
fn is_no_json(endpoint: EndpointId) -> bool {
    matches!(
        endpoint,
        ContainerLogs
            | ContainerExport
            | ContainerArchiveGet
            | ContainerAttach
            | ContainerAttachWs
            | ContainerCopy
            | LibpodContainerMount
            | ExecStart
            | ServiceLogs
            | TaskLogs
            | ImageSave
            | ImageSaveMany
            | ImageLoad
            | ImageCreate
            | ImagePush
            | BuildStart
            | BuildSession
            | BuildGrpc
            | BuildkitControl
            | BuildkitBridge
            | BuildkitContent
            | BuildkitTrace
            | DebugIndex
            | DebugCmdline
            | DebugCpu
            | DebugSymbol
            | DebugTrace
            | DebugProfile
            | LibpodContainerLogs
            | LibpodContainerExport
            | LibpodContainerArchiveGet
            | LibpodContainerAttach
            | LibpodContainerCheckpoint
            | LibpodExecStart
            | LibpodGenerateKube
            | LibpodGenerateSystemd
            | LibpodKubeGenerate
            | LibpodImageSave
            | LibpodImageSaveMany
            | LibpodImageLoad
            | LibpodImageLoadLocal
            | LibpodImageImport
            | LibpodImagePull
            | LibpodImagePush
            | LibpodBuildStart
            | LibpodBuildStartLocal
            | LibpodArtifactExtract
            | LibpodManifestPush
            | LibpodManifestPushOld
            | LibpodQuadletFile
            | LibpodVolumeExport
    )
}

/// The settings of a container, in any form.
const SETTINGS: Classes = ENV
    .and(COMMANDS)
    .and(LABELS)
    .and(HOST_PATHS)
    .and(ADDRESSES)
    .and(PROXIES)
    .and(TOKENS)
    .and(USERS);
/// The settings of an image.
const IMAGE: Classes = ENV.and(COMMANDS).and(LABELS).and(PROXIES).and(USERS);

/// Returns the classes that the answer holds in a form that cannot be rewritten, and the reason.
pub(super) fn unreadable(endpoint: EndpointId) -> Option<(Classes, &'static str)> {
    let found = match endpoint {
        LibpodGenerateKube | LibpodKubeGenerate => (
            SETTINGS,
            "it answers with a Kubernetes file, in which redacted values cannot be replaced",
        ),
        LibpodGenerateSystemd => (
            SETTINGS,
            "it answers with unit files, in which redacted values cannot be replaced",
        ),
        LibpodQuadletFile => (
            SETTINGS,
            "it answers with the text of a Quadlet, in which redacted values cannot be replaced",
        ),
        LibpodContainerCheckpoint => (
            SETTINGS,
            "it answers with an archive that holds the settings of the container",
        ),
        ImageSave | ImageSaveMany | LibpodImageSave | LibpodImageSaveMany | LibpodImageScp => (
            IMAGE,
            "it answers with an archive that holds the settings of the image",
        ),
        ImageAttestations => (
            IMAGE.and(HOST),
            "it answers with signed statements, which hold build arguments and commands",
        ),
        BuildGrpc | BuildkitControl | BuildkitBridge | BuildkitContent => (
            IMAGE,
            "it shows the builds of all clients, with their arguments and commands, in a protocol \
            that the proxy does not rewrite",
        ),
        LibpodContainerMount => (
            HOST_PATHS,
            "it answers with a folder of the engine as a text",
        ),
        DebugCmdline => (
            COMMANDS.and(HOST_PATHS).and(HOST),
            "it answers with the command line of the engine",
        ),
        _ => return None,
    };
    Some(found)
}

/// Returns the classes that a parameter of the query moves to a place where they cannot be
/// recognised, and the reason.
pub(super) fn moving_parameter(
    endpoint: EndpointId,
    parameter: &str,
) -> Option<(Classes, &'static str)> {
    let found = match (endpoint, parameter) {
        (ContainerLogs | ServiceLogs | TaskLogs | LibpodContainerLogs, "details") => (
            ENV.and(LABELS),
            "details puts labels and environment variables into the lines of the log",
        ),
        (ContainerTop | LibpodContainerTop | LibpodPodTop, "ps_args" | "descriptors") => (
            COMMANDS.and(USERS),
            "ps_args chooses the columns and their titles, so that command lines cannot be told \
            from other values",
        ),
        _ => return None,
    };
    Some(found)
}
