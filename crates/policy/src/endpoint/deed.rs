//! The deeds of endpoints: a power covers several endpoints, and a rule may open
//! one of them alone.

use super::table::EndpointId::{self, *};
use super::{Endpoint, Power};

/// A verb and its object, for endpoints that give a part of a power alone.
struct Deed {
    power: Power,
    endpoints: &'static [EndpointId],
    verb: &'static str,
    object: &'static str,
}

const fn deed(
    power: Power,
    endpoints: &'static [EndpointId],
    verb: &'static str,
    object: &'static str,
) -> Deed {
    Deed {
        power,
        endpoints,
        verb,
        object,
    }
}

/// The parts of powers, in the order in which a sentence names them. A power that does not stand
/// here is given whole by each of its endpoints.
const DEEDS: &[Deed] = &[
    deed(
        Power::EngineInfo,
        &[SystemVersion, LibpodSystemVersion],
        "read",
        "the engine's version",
    ),
    deed(
        Power::EngineInfo,
        &[SystemInfo, LibpodSystemInfo],
        "read",
        "the engine's settings",
    ),
    deed(
        Power::EngineInfo,
        &[LibpodSystemSwagger],
        "read",
        "the description of the engine's API",
    ),
    deed(
        Power::LookAtImages,
        &[ImageList, LibpodImageList, LibpodImageExists],
        "list",
        "images",
    ),
    deed(
        Power::LookAtImages,
        &[
            ImageInspect,
            ImageHistory,
            ImageAttestations,
            LibpodImageInspect,
            LibpodImageHistory,
            LibpodImageTree,
        ],
        "inspect",
        "images",
    ),
    deed(
        Power::LookAtImages,
        &[LibpodImageResolve],
        "resolve the names of",
        "images",
    ),
    deed(
        Power::LookAtVolumes,
        &[VolumeList, LibpodVolumeList],
        "list",
        "volumes with their options",
    ),
    deed(
        Power::LookAtVolumes,
        &[LibpodVolumeExists],
        "look for",
        "volumes",
    ),
    deed(
        Power::LookAtVolumes,
        &[VolumeInspect, LibpodVolumeInspect],
        "inspect",
        "volumes with their options",
    ),
    deed(
        Power::LookAtNetworks,
        &[
            NetworkList,
            NetworkListSlash,
            LibpodNetworkList,
            LibpodNetworkExists,
        ],
        "list",
        "networks",
    ),
    deed(
        Power::LookAtNetworks,
        &[
            NetworkInspect,
            LibpodNetworkInspect,
            LibpodNetworkInspectShort,
        ],
        "inspect",
        "networks",
    ),
    deed(Power::LookAtPlugins, &[PluginList], "list", "plugins"),
    deed(Power::LookAtPlugins, &[PluginInspect], "inspect", "plugins"),
    deed(
        Power::LookAtNodes,
        &[NodeList],
        "list",
        "the cluster's nodes",
    ),
    deed(
        Power::LookAtNodes,
        &[NodeInspect],
        "inspect",
        "the cluster's nodes",
    ),
    deed(
        Power::Logs,
        &[ContainerLogs, LibpodContainerLogs],
        "read and follow",
        "logs of containers",
    ),
    deed(
        Power::Logs,
        &[ServiceLogs, TaskLogs],
        "read and follow",
        "logs of services",
    ),
    deed(
        Power::ReadFiles,
        &[ContainerExport, LibpodContainerExport],
        "export",
        "containers with all their files",
    ),
    deed(
        Power::ReadFiles,
        &[
            ContainerArchiveGet,
            ContainerCopy,
            LibpodContainerArchiveGet,
        ],
        "read",
        "files out of containers",
    ),
    deed(
        Power::ReadFiles,
        &[ContainerArchiveStat, LibpodContainerArchiveStat],
        "see",
        "which files are in containers",
    ),
    deed(
        Power::ReadFiles,
        &[LibpodVolumeExport],
        "read",
        "files out of volumes",
    ),
    deed(
        Power::ReadFiles,
        &[LibpodArtifactExtract],
        "read",
        "files out of artifacts",
    ),
    deed(
        Power::Push,
        &[ImagePush, LibpodImagePush],
        "push",
        "images to registries",
    ),
    deed(
        Power::Push,
        &[LibpodArtifactPush],
        "push",
        "artifacts to registries",
    ),
    deed(
        Power::Push,
        &[LibpodManifestPush, LibpodManifestPushOld],
        "push",
        "manifests to registries",
    ),
    deed(
        Power::LookAtServices,
        &[ServiceList],
        "list",
        "services with their environment variables",
    ),
    deed(
        Power::LookAtServices,
        &[ServiceInspect],
        "inspect",
        "services with their environment variables",
    ),
    deed(
        Power::LookAtServices,
        &[TaskList],
        "list",
        "tasks with their environment variables",
    ),
    deed(
        Power::LookAtServices,
        &[TaskInspect],
        "inspect",
        "tasks with their environment variables",
    ),
    deed(
        Power::ReadConfigs,
        &[SecretInspect, LibpodSecretInspect],
        "read",
        "the contents of secrets",
    ),
    deed(
        Power::ReadConfigs,
        &[ConfigList, ConfigInspect],
        "read",
        "the contents of configs",
    ),
    deed(
        Power::LookAtSwarm,
        &[SwarmInspect],
        "read",
        "the cluster's settings with its join tokens",
    ),
    deed(
        Power::LookAtSwarm,
        &[SwarmUnlockKey],
        "read",
        "the key that unlocks the cluster",
    ),
    deed(
        Power::StartContainers,
        &[ContainerStart, LibpodContainerStart],
        "start",
        "containers",
    ),
    deed(
        Power::StartContainers,
        &[LibpodContainerInit],
        "prepare",
        "containers",
    ),
    deed(
        Power::StopContainers,
        &[ContainerStop, LibpodContainerStop],
        "stop",
        "containers",
    ),
    deed(
        Power::StopContainers,
        &[ContainerRestart, LibpodContainerRestart],
        "restart",
        "containers",
    ),
    deed(
        Power::StopContainers,
        &[ContainerKill, LibpodContainerKill],
        "kill",
        "containers",
    ),
    deed(
        Power::StopContainers,
        &[ContainerPause, LibpodContainerPause],
        "pause",
        "containers",
    ),
    deed(
        Power::StopContainers,
        &[ContainerUnpause, LibpodContainerUnpause],
        "unpause",
        "containers",
    ),
    deed(
        Power::Prune,
        &[ContainerPrune, LibpodContainerPrune],
        "remove",
        "stopped containers",
    ),
    deed(
        Power::Prune,
        &[ImagePrune, LibpodImagePrune],
        "remove",
        "unused images",
    ),
    deed(
        Power::Prune,
        &[VolumePrune, LibpodVolumePrune],
        "remove",
        "unused volumes",
    ),
    deed(
        Power::Prune,
        &[NetworkPrune, LibpodNetworkPrune],
        "remove",
        "unused networks",
    ),
    deed(Power::Prune, &[LibpodPodPrune], "remove", "stopped pods"),
    deed(Power::Prune, &[BuildPrune], "remove", "the cache of builds"),
    deed(
        Power::Prune,
        &[LibpodSystemPrune],
        "remove",
        "everything that is unused",
    ),
    deed(Power::Prune, &[BuildCancel], "cancel", "builds"),
    deed(
        Power::TagImages,
        &[ImageTag, LibpodImageTag],
        "point tags at",
        "other images",
    ),
    deed(
        Power::TagImages,
        &[LibpodImageUntag],
        "take tags off",
        "images",
    ),
    deed(
        Power::ConnectNetworks,
        &[NetworkConnect, LibpodNetworkConnect],
        "connect",
        "containers to networks",
    ),
    deed(
        Power::ConnectNetworks,
        &[NetworkDisconnect, LibpodNetworkDisconnect],
        "take containers off",
        "networks",
    ),
    deed(
        Power::CreateNetworks,
        &[NetworkCreate, LibpodNetworkCreate],
        "create",
        "networks",
    ),
    deed(
        Power::CreateNetworks,
        &[LibpodNetworkUpdate],
        "change",
        "networks",
    ),
    deed(Power::ManageSecrets, &[SecretCreate], "create", "secrets"),
    deed(Power::ManageSecrets, &[SecretUpdate], "change", "secrets"),
    deed(
        Power::ManageSecrets,
        &[SecretRemove, LibpodSecretRemove],
        "remove",
        "secrets",
    ),
    deed(Power::ManageSecrets, &[ConfigCreate], "create", "configs"),
    deed(Power::ManageSecrets, &[ConfigUpdate], "change", "configs"),
    deed(Power::ManageSecrets, &[ConfigRemove], "remove", "configs"),
    deed(Power::ManagePods, &[LibpodPodStart], "start", "pods"),
    deed(Power::ManagePods, &[LibpodPodStop], "stop", "pods"),
    deed(Power::ManagePods, &[LibpodPodRestart], "restart", "pods"),
    deed(Power::ManagePods, &[LibpodPodKill], "kill", "pods"),
    deed(Power::ManagePods, &[LibpodPodPause], "pause", "pods"),
    deed(Power::ManagePods, &[LibpodPodUnpause], "unpause", "pods"),
    deed(Power::ManagePods, &[LibpodPodRemove], "remove", "pods"),
    deed(
        Power::Exec,
        &[ExecCreate, LibpodExecCreate],
        "prepare",
        "commands inside containers",
    ),
    deed(
        Power::Exec,
        &[ExecStart, LibpodExecStart],
        "run",
        "commands inside containers",
    ),
    deed(
        Power::Exec,
        &[LibpodExecRemove],
        "remove",
        "commands inside containers",
    ),
    deed(
        Power::Exec,
        &[LibpodContainerHealthcheck],
        "run",
        "the health checks of containers",
    ),
    deed(Power::Pull, &[LibpodImagePull], "pull", "images"),
    deed(Power::Pull, &[LibpodImageImport], "import", "images"),
    deed(Power::Pull, &[ImageCreate], "pull and import", "images"),
    deed(Power::Pull, &[LibpodArtifactPull], "pull", "artifacts"),
    deed(
        Power::CreateVolumes,
        &[VolumeCreate, LibpodVolumeCreate],
        "create",
        "volumes",
    ),
    deed(
        Power::CreateVolumes,
        &[VolumeUpdate],
        "change",
        "volumes of the cluster",
    ),
    deed(
        Power::WriteFiles,
        &[ContainerArchivePut, LibpodContainerArchivePut],
        "write",
        "files into containers",
    ),
    deed(
        Power::WriteFiles,
        &[LibpodVolumeImport],
        "write",
        "files into volumes",
    ),
    deed(
        Power::Checkpoints,
        &[CheckpointList],
        "list",
        "checkpoints of containers",
    ),
    deed(
        Power::Checkpoints,
        &[CheckpointCreate, LibpodContainerCheckpoint],
        "make",
        "checkpoints of containers",
    ),
    deed(
        Power::Checkpoints,
        &[CheckpointRemove],
        "remove",
        "checkpoints of containers",
    ),
    deed(
        Power::Checkpoints,
        &[LibpodContainerRestore],
        "restore",
        "containers from checkpoints",
    ),
    deed(
        Power::CreateServices,
        &[ServiceCreate],
        "create",
        "services",
    ),
    deed(
        Power::CreateServices,
        &[ServiceUpdate],
        "change",
        "services",
    ),
    deed(
        Power::ManageNodes,
        &[NodeUpdate],
        "change",
        "nodes of the cluster",
    ),
    deed(
        Power::ManageNodes,
        &[NodeRemove],
        "remove",
        "nodes of the cluster",
    ),
    deed(Power::ManageSwarm, &[SwarmInit], "make", "the cluster"),
    deed(Power::ManageSwarm, &[SwarmJoin], "join", "the cluster"),
    deed(Power::ManageSwarm, &[SwarmUpdate], "change", "the cluster"),
    deed(Power::ManageSwarm, &[SwarmUnlock], "unlock", "the cluster"),
    deed(Power::ManageSwarm, &[SwarmLeave], "leave", "the cluster"),
    deed(
        Power::ManagePlugins,
        &[PluginPull, PluginCreate],
        "install",
        "plugins",
    ),
    deed(Power::ManagePlugins, &[PluginEnable], "turn on", "plugins"),
    deed(
        Power::ManagePlugins,
        &[PluginDisable],
        "turn off",
        "plugins",
    ),
    deed(Power::ManagePlugins, &[PluginUpgrade], "upgrade", "plugins"),
    deed(Power::ManagePlugins, &[PluginSet], "set", "plugins"),
    deed(Power::ManagePlugins, &[PluginPush], "push", "plugins"),
    deed(Power::ManagePlugins, &[PluginRemove], "remove", "plugins"),
];

/// Describes the actions that endpoints of one power allow, as the rest of a sentence that begins
/// with "the client can". Where they give the whole power of one engine, the sentence is the
/// power's own.
#[must_use]
pub fn says(power: Power, open: &[EndpointId]) -> String {
    let deeds: Vec<&Deed> = DEEDS.iter().filter(|deed| deed.power == power).collect();
    let is_open = |deed: &&&Deed| deed.endpoints.iter().any(|id| open.contains(id));
    let given: Vec<&Deed> = deeds.iter().filter(is_open).copied().collect();
    let is_docker = |deed: &&&Deed| {
        deed.endpoints
            .iter()
            .any(|id| !Endpoint::of(*id).is_libpod())
    };
    let is_known = open
        .iter()
        .all(|id| deeds.iter().any(|deed| deed.endpoints.contains(id)));
    let has_all_of = |own: Vec<&&Deed>| !own.is_empty() && own.iter().all(&is_open);
    if !is_known || has_all_of(deeds.iter().filter(is_docker).collect()) {
        return power.says().to_owned();
    }
    let mut objects: Vec<(&str, Vec<&str>)> = Vec::new();
    for deed in given {
        match objects
            .iter_mut()
            .find(|(object, _)| *object == deed.object)
        {
            Some((_, verbs)) => verbs.push(deed.verb),
            None => objects.push((deed.object, vec![deed.verb])),
        }
    }
    // One verb with several objects names the verb once.
    let mut phrases: Vec<(String, Vec<&str>)> = Vec::new();
    for (object, verbs) in objects {
        let verbs = joined(&verbs);
        match phrases.iter_mut().find(|(known, _)| *known == verbs) {
            Some((_, objects)) => objects.push(object),
            None => phrases.push((verbs, vec![object])),
        }
    }
    let phrases: Vec<_> = phrases
        .iter()
        .map(|(verbs, objects)| format!("{verbs} {}", joined(objects)))
        .collect();
    phrases.join("; ")
}

/// Joins words to `a`, `a and b`, or `a, b and c`.
fn joined(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

impl Endpoint {
    /// Describes the actions that it allows by itself, as the rest of a sentence that begins with
    /// "the client can".
    #[must_use]
    pub fn says(&self) -> String {
        says(self.power, &[self.id])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_power_are_named() {
        for (power, open, want) in [
            (
                Power::StopContainers,
                &[ContainerRestart][..],
                "restart containers",
            ),
            (
                Power::StopContainers,
                &[ContainerStop, ContainerRestart],
                "stop and restart containers",
            ),
            (
                Power::StopContainers,
                &[
                    ContainerStop,
                    ContainerRestart,
                    ContainerKill,
                    ContainerPause,
                    ContainerUnpause,
                ],
                Power::StopContainers.says(),
            ),
            (Power::Prune, &[ContainerPrune], "remove stopped containers"),
            (
                Power::Prune,
                &[ImagePrune, ContainerPrune],
                "remove stopped containers and unused images",
            ),
            (
                Power::Prune,
                &[VolumePrune, BuildCancel],
                "remove unused volumes; cancel builds",
            ),
            (
                Power::Prune,
                &[LibpodSystemPrune],
                "remove everything that is unused",
            ),
            (
                Power::LookAtVolumes,
                &[VolumeList],
                "list volumes with their options",
            ),
            (
                Power::LookAtVolumes,
                &[LibpodVolumeList, LibpodVolumeInspect],
                "list and inspect volumes with their options",
            ),
            (
                Power::ReadConfigs,
                &[SecretInspect],
                "read the contents of secrets",
            ),
            (Power::CreateServices, &[ServiceUpdate], "change services"),
            (Power::Ping, &[SystemPing], Power::Ping.says()),
        ] {
            assert_eq!(says(power, open), want, "{open:?}");
        }
    }

    /// Every part is one of its power, and a power with parts has no endpoint beside them.
    #[test]
    fn parts_make_up_their_powers() {
        for deed in DEEDS {
            for id in deed.endpoints {
                let endpoint = Endpoint::of(*id);
                // Contents of secrets are handed over where a parameter asks for them.
                let reveals = deed.power == Power::ReadConfigs && endpoint.reveals().is_some();
                assert!(endpoint.power == deed.power || reveals, "{id:?}");
            }
        }
        for endpoint in
            Endpoint::all().filter(|endpoint| DEEDS.iter().any(|deed| deed.power == endpoint.power))
        {
            let parts = DEEDS.iter().filter(|deed| {
                deed.power == endpoint.power && deed.endpoints.contains(&endpoint.id)
            });
            assert_eq!(parts.count(), 1, "{:?}", endpoint.id);
        }
    }
}
