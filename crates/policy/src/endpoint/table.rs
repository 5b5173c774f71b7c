//! The API of both engines: one row for each endpoint.
//!
//! Sources: the routers under moby `daemon/server/router/` up to API 1.56, and containers/podman
//! `pkg/api/server/register_*.go` up to 5.8. Docker takes names of containers, images, volumes,
//! networks, plugins and execs with slashes in them (`{name:.*}`); Podman's own routes do not,
//! except for images and a few others.

use super::{Answer::*, Endpoint, Power::*, Protocol::*, Wildcard::*};
use crate::request::method::Method::*;

macro_rules! endpoints {
    ($($id:ident $name:literal $method:ident $shape:literal $answer:ident $(($protocol:ident))? $power:ident
        $wildcard:ident $(($parameter:literal))?;)*) => {
        /// The identity of an endpoint for the guard, the powers, `check` and the log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EndpointId {
            $(#[doc = concat!("`", stringify!($method), " ", $shape, "`")] $id,)*
        }

        impl EndpointId {
            /// Returns the stable name of the endpoint for logs and documentation, such as
            /// `container.list`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }
        }

        /// Every endpoint, in the order of [`EndpointId`].
        pub(super) const TABLE: &[Endpoint] = &[$(Endpoint {
            id: EndpointId::$id,
            method: $method,
            shape: $shape,
            answer: $answer $(($protocol))?,
            power: $power,
            wildcard: $wildcard $(($parameter))?,
        },)*];
    };
}

endpoints! {
    Options "options" Options "/{path*}" Quick Ping Open;
    SystemPing "system.ping" Get "/_ping" Quick Ping Open;
    SystemPingHead "system.ping_head" Head "/_ping" Quick Ping Open;
    SystemVersion "system.version" Get "/version" Quick EngineInfo Open;
    SystemInfo "system.info" Get "/info" Quick EngineInfo Open;
    SystemEvents "system.events" Get "/events" Follow Events Open;
    SystemDf "system.df" Get "/system/df" Slow DiskUsage Open;
    SystemAuth "system.auth" Post "/auth" Slow Login Open;
    ContainerList "container.list" Get "/containers/json" Slow ListContainers Open;
    ContainerInspect "container.inspect" Get "/containers/{container*}/json" Quick InspectContainers Open;
    ContainerTop "container.top" Get "/containers/{container*}/top" Quick Processes Open;
    ContainerLogs "container.logs" Get "/containers/{container*}/logs" Follow Logs Open;
    ContainerStats "container.stats" Get "/containers/{container*}/stats" Follow Figures Open;
    ContainerChanges "container.changes" Get "/containers/{container*}/changes" Slow ChangedFiles Open;
    ContainerExport "container.export" Get "/containers/{container*}/export" Transfer ReadFiles Named;
    ContainerArchiveGet "container.archive_get" Get "/containers/{container*}/archive" Transfer ReadFiles Named;
    ContainerArchiveStat "container.archive_stat" Head "/containers/{container*}/archive" Quick ReadFiles Named;
    ContainerArchivePut "container.archive_put" Put "/containers/{container*}/archive" Transfer WriteFiles Named;
    ContainerAttachWs "container.attach_ws" Get "/containers/{container*}/attach/ws" Tunnel(WebSocket) Attach Named;
    ContainerAttach "container.attach" Post "/containers/{container*}/attach" Tunnel(Tcp) Attach Open;
    ExecCreate "exec.create" Post "/containers/{container*}/exec" Quick Exec Open;
    ExecStart "exec.start" Post "/exec/{exec*}/start" Tunnel(Tcp) Exec Open;
    ExecResize "exec.resize" Post "/exec/{exec*}/resize" Quick Resize Open;
    ExecInspect "exec.inspect" Get "/exec/{exec*}/json" Quick LookAtExecs Open;
    ContainerCreate "container.create" Post "/containers/create" Slow CreateContainers Open;
    ContainerStart "container.start" Post "/containers/{container*}/start" Slow StartContainers Open;
    ContainerStop "container.stop" Post "/containers/{container*}/stop" Slow StopContainers Open;
    ContainerRestart "container.restart" Post "/containers/{container*}/restart" Slow StopContainers Open;
    ContainerKill "container.kill" Post "/containers/{container*}/kill" Slow StopContainers Open;
    ContainerPause "container.pause" Post "/containers/{container*}/pause" Slow StopContainers Open;
    ContainerUnpause "container.unpause" Post "/containers/{container*}/unpause" Quick StopContainers Open;
    ContainerWait "container.wait" Post "/containers/{container*}/wait" Follow Wait Open;
    ContainerResize "container.resize" Post "/containers/{container*}/resize" Quick Resize Open;
    ContainerRename "container.rename" Post "/containers/{container*}/rename" Quick RenameContainers Open;
    ContainerUpdate "container.update" Post "/containers/{container*}/update" Quick UpdateContainers Open;
    ContainerPrune "container.prune" Post "/containers/prune" Slow Prune Open;
    ContainerRemove "container.remove" Delete "/containers/{container*}" Slow RemoveContainers Open;
    ContainerCommit "container.commit" Post "/commit" Slow Commit Open;
    CheckpointList "checkpoint.list" Get "/containers/{container*}/checkpoints" Quick Checkpoints Named;
    CheckpointCreate "checkpoint.create" Post "/containers/{container*}/checkpoints" Quick Checkpoints Named;
    CheckpointRemove "checkpoint.remove" Delete "/containers/{container}/checkpoints/{checkpoint}" Slow Checkpoints Named;
    ContainerCopy "container.copy" Post "/containers/{container*}/copy" Transfer ReadFiles Named;
    ImageList "image.list" Get "/images/json" Quick LookAtImages Open;
    ImageSearch "image.search" Get "/images/search" Slow AskRegistries Open;
    ImageSaveMany "image.save_many" Get "/images/get" Transfer SaveImages Named;
    ImageSave "image.save" Get "/images/{image*}/get" Transfer SaveImages Named;
    ImageHistory "image.history" Get "/images/{image*}/history" Quick LookAtImages Open;
    ImageInspect "image.inspect" Get "/images/{image*}/json" Quick LookAtImages Open;
    ImageAttestations "image.attestations" Get "/images/{image*}/attestations" Quick LookAtImages Open;
    ImageLoad "image.load" Post "/images/load" Transfer LoadImages Open;
    ImageCreate "image.create" Post "/images/create" Transfer Pull Open;
    ImagePush "image.push" Post "/images/{image*}/push" Transfer Push Named;
    ImageTag "image.tag" Post "/images/{image*}/tag" Quick TagImages Open;
    ImagePrune "image.prune" Post "/images/prune" Slow Prune Open;
    ImageRemove "image.remove" Delete "/images/{image*}" Slow RemoveImages Open;
    DistributionInspect "distribution.inspect" Get "/distribution/{image*}/json" Slow AskRegistries Open;
    BuildStart "build.start" Post "/build" Transfer Build Open;
    BuildPrune "build.prune" Post "/build/prune" Slow Prune Open;
    BuildCancel "build.cancel" Post "/build/cancel" Quick Prune Open;
    BuildSession "build.session" Post "/session" Tunnel(H2c) BuildSession Named;
    BuildGrpc "build.grpc" Post "/grpc" Tunnel(H2c) BuildSession Named;
    // gRPC services that engines of 29.2 and later serve over HTTP/2 alone, which the proxy does
    // not speak.
    BuildkitControl "buildkit.control" Post "/moby.buildkit.v1.Control/{rpc}" Transfer BuildSession Named;
    BuildkitBridge "buildkit.bridge" Post "/moby.buildkit.v1.frontend.LLBBridge/{rpc}" Transfer BuildSession Named;
    BuildkitContent "buildkit.content" Post "/containerd.services.content.v1.Content/{rpc}" Transfer BuildSession Named;
    BuildkitTrace "buildkit.trace" Post "/opentelemetry.proto.collector.trace.v1.TraceService/Export" Transfer BuildSession Named;
    VolumeList "volume.list" Get "/volumes" Quick LookAtVolumes Open;
    VolumeInspect "volume.inspect" Get "/volumes/{volume*}" Quick LookAtVolumes Open;
    VolumeCreate "volume.create" Post "/volumes/create" Slow CreateVolumes Open;
    VolumeUpdate "volume.update" Put "/volumes/{volume*}" Quick CreateVolumes Open;
    VolumePrune "volume.prune" Post "/volumes/prune" Slow Prune Open;
    VolumeRemove "volume.remove" Delete "/volumes/{volume*}" Slow RemoveVolumes Open;
    NetworkList "network.list" Get "/networks" Quick LookAtNetworks Open;
    NetworkListSlash "network.list_slash" Get "/networks/" Quick LookAtNetworks Open;
    NetworkInspect "network.inspect" Get "/networks/{network*}" Quick LookAtNetworks Open;
    NetworkCreate "network.create" Post "/networks/create" Slow CreateNetworks Open;
    NetworkConnect "network.connect" Post "/networks/{network*}/connect" Slow ConnectNetworks Open;
    NetworkDisconnect "network.disconnect" Post "/networks/{network*}/disconnect" Slow ConnectNetworks Open;
    NetworkPrune "network.prune" Post "/networks/prune" Slow Prune Open;
    NetworkRemove "network.remove" Delete "/networks/{network*}" Slow RemoveNetworks Open;
    PluginList "plugin.list" Get "/plugins" Quick LookAtPlugins Open;
    PluginInspect "plugin.inspect" Get "/plugins/{plugin*}/json" Quick LookAtPlugins Open;
    PluginPrivileges "plugin.privileges" Get "/plugins/privileges" Slow AskRegistries Open;
    PluginPull "plugin.pull" Post "/plugins/pull" Transfer ManagePlugins Open;
    PluginCreate "plugin.create" Post "/plugins/create" Transfer ManagePlugins Named;
    PluginEnable "plugin.enable" Post "/plugins/{plugin*}/enable" Slow ManagePlugins Open;
    PluginDisable "plugin.disable" Post "/plugins/{plugin*}/disable" Slow ManagePlugins Open;
    PluginUpgrade "plugin.upgrade" Post "/plugins/{plugin*}/upgrade" Transfer ManagePlugins Open;
    PluginSet "plugin.set" Post "/plugins/{plugin*}/set" Slow ManagePlugins Open;
    PluginPush "plugin.push" Post "/plugins/{plugin*}/push" Transfer ManagePlugins Named;
    PluginRemove "plugin.remove" Delete "/plugins/{plugin*}" Slow ManagePlugins Open;
    SwarmInspect "swarm.inspect" Get "/swarm" Quick LookAtSwarm Named;
    SwarmInit "swarm.init" Post "/swarm/init" Slow ManageSwarm Open;
    SwarmJoin "swarm.join" Post "/swarm/join" Slow ManageSwarm Open;
    SwarmLeave "swarm.leave" Post "/swarm/leave" Slow ManageSwarm Named;
    SwarmUpdate "swarm.update" Post "/swarm/update" Slow ManageSwarm Open;
    SwarmUnlockKey "swarm.unlock_key" Get "/swarm/unlockkey" Quick LookAtSwarm Named;
    SwarmUnlock "swarm.unlock" Post "/swarm/unlock" Slow ManageSwarm Open;
    NodeList "node.list" Get "/nodes" Quick LookAtNodes Open;
    NodeInspect "node.inspect" Get "/nodes/{node}" Quick LookAtNodes Open;
    NodeUpdate "node.update" Post "/nodes/{node}/update" Slow ManageNodes Open;
    NodeRemove "node.remove" Delete "/nodes/{node}" Slow ManageNodes Open;
    ServiceList "service.list" Get "/services" Quick LookAtServices Open;
    ServiceInspect "service.inspect" Get "/services/{service}" Quick LookAtServices Open;
    ServiceCreate "service.create" Post "/services/create" Slow CreateServices Open;
    ServiceUpdate "service.update" Post "/services/{service}/update" Slow CreateServices Open;
    ServiceRemove "service.remove" Delete "/services/{service}" Slow RemoveServices Open;
    ServiceLogs "service.logs" Get "/services/{service}/logs" Follow Logs Open;
    TaskList "task.list" Get "/tasks" Quick LookAtServices Open;
    TaskInspect "task.inspect" Get "/tasks/{task}" Quick LookAtServices Open;
    TaskLogs "task.logs" Get "/tasks/{task}/logs" Follow Logs Open;
    SecretList "secret.list" Get "/secrets" Quick LookAtSecrets Open;
    SecretCreate "secret.create" Post "/secrets/create" Slow ManageSecrets Open;
    // Docker never returns the secret; Podman does where it is asked to.
    SecretInspect "secret.inspect" Get "/secrets/{secret}" Quick LookAtSecrets NamedWith("showsecret");
    SecretUpdate "secret.update" Post "/secrets/{secret}/update" Quick ManageSecrets Open;
    SecretRemove "secret.remove" Delete "/secrets/{secret}" Slow ManageSecrets Open;
    ConfigList "config.list" Get "/configs" Quick ReadConfigs Open;
    ConfigCreate "config.create" Post "/configs/create" Slow ManageSecrets Open;
    ConfigInspect "config.inspect" Get "/configs/{config}" Quick ReadConfigs Open;
    ConfigUpdate "config.update" Post "/configs/{config}/update" Quick ManageSecrets Open;
    ConfigRemove "config.remove" Delete "/configs/{config}" Slow ManageSecrets Open;
    DebugVars "debug.vars" Get "/debug/vars" Quick Debug Named;
    DebugIndex "debug.index" Get "/debug/pprof/" Quick Debug Named;
    DebugCmdline "debug.cmdline" Get "/debug/pprof/cmdline" Quick Debug Named;
    DebugCpu "debug.cpu" Get "/debug/pprof/profile" Transfer Debug Named;
    DebugSymbol "debug.symbol" Get "/debug/pprof/symbol" Quick Debug Named;
    DebugTrace "debug.trace" Get "/debug/pprof/trace" Transfer Debug Named;
    DebugProfile "debug.profile" Get "/debug/pprof/{profile}" Transfer Debug Named;

    // Podman's own API. It serves Docker's endpoints as well.
    LibpodSystemPing "libpod.system.ping" Get "/libpod/_ping" Quick Ping Open;
    LibpodSystemPingHead "libpod.system.ping_head" Head "/libpod/_ping" Quick Ping Open;
    LibpodSystemVersion "libpod.system.version" Get "/libpod/version" Quick EngineInfo Open;
    LibpodSystemInfo "libpod.system.info" Get "/libpod/info" Quick EngineInfo Open;
    LibpodSystemEvents "libpod.system.events" Get "/libpod/events" Follow Events Open;
    LibpodSystemSwagger "libpod.system.swagger" Get "/libpod/swagger" Quick EngineInfo Open;
    LibpodSystemDf "libpod.system.df" Get "/libpod/system/df" Slow DiskUsage Open;
    LibpodSystemCheck "libpod.system.check" Post "/libpod/system/check" Slow ManageArtifacts Open;
    LibpodSystemPrune "libpod.system.prune" Post "/libpod/system/prune" Slow Prune Open;
    LibpodContainerList "libpod.container.list" Get "/libpod/containers/json" Slow ListContainers Open;
    LibpodContainerInspect "libpod.container.inspect" Get "/libpod/containers/{container}/json" Quick InspectContainers Open;
    LibpodContainerExists "libpod.container.exists" Get "/libpod/containers/{container}/exists" Quick ListContainers Open;
    LibpodContainerTop "libpod.container.top" Get "/libpod/containers/{container}/top" Follow Processes Open;
    LibpodContainerLogs "libpod.container.logs" Get "/libpod/containers/{container}/logs" Follow Logs Open;
    LibpodContainerStats "libpod.container.stats" Get "/libpod/containers/{container}/stats" Follow Figures Open;
    LibpodContainerStatsMany "libpod.container.stats_many" Get "/libpod/containers/stats" Follow Figures Open;
    LibpodContainerChanges "libpod.container.changes" Get "/libpod/containers/{container}/changes" Slow ChangedFiles Open;
    LibpodContainerExport "libpod.container.export" Get "/libpod/containers/{container}/export" Transfer ReadFiles Named;
    LibpodContainerArchiveGet "libpod.container.archive_get" Get "/libpod/containers/{container}/archive" Transfer ReadFiles Named;
    LibpodContainerArchiveStat "libpod.container.archive_stat" Head "/libpod/containers/{container}/archive" Quick ReadFiles Named;
    LibpodContainerArchivePut "libpod.container.archive_put" Put "/libpod/containers/{container}/archive" Transfer WriteFiles Named;
    LibpodContainerShowmounted "libpod.container.showmounted" Get "/libpod/containers/showmounted" Quick ListContainers Open;
    LibpodContainerMount "libpod.container.mount" Post "/libpod/containers/{container}/mount" Slow ManageArtifacts Open;
    LibpodContainerUnmount "libpod.container.unmount" Post "/libpod/containers/{container}/unmount" Slow ManageArtifacts Open;
    LibpodContainerHealthcheck "libpod.container.healthcheck" Get "/libpod/containers/{container}/healthcheck" Slow Exec Open;
    LibpodContainerCreate "libpod.container.create" Post "/libpod/containers/create" Slow CreateContainers Open;
    LibpodContainerInit "libpod.container.init" Post "/libpod/containers/{container}/init" Slow StartContainers Open;
    LibpodContainerStart "libpod.container.start" Post "/libpod/containers/{container}/start" Slow StartContainers Open;
    LibpodContainerStop "libpod.container.stop" Post "/libpod/containers/{container}/stop" Slow StopContainers Open;
    LibpodContainerRestart "libpod.container.restart" Post "/libpod/containers/{container}/restart" Slow StopContainers Open;
    LibpodContainerKill "libpod.container.kill" Post "/libpod/containers/{container}/kill" Slow StopContainers Open;
    LibpodContainerPause "libpod.container.pause" Post "/libpod/containers/{container}/pause" Slow StopContainers Open;
    LibpodContainerUnpause "libpod.container.unpause" Post "/libpod/containers/{container}/unpause" Quick StopContainers Open;
    LibpodContainerWait "libpod.container.wait" Post "/libpod/containers/{container}/wait" Follow Wait Open;
    LibpodContainerResize "libpod.container.resize" Post "/libpod/containers/{container}/resize" Quick Resize Open;
    LibpodContainerRename "libpod.container.rename" Post "/libpod/containers/{container}/rename" Quick RenameContainers Open;
    LibpodContainerUpdate "libpod.container.update" Post "/libpod/containers/{container}/update" Quick UpdateContainers Open;
    LibpodContainerAttach "libpod.container.attach" Post "/libpod/containers/{container}/attach" Tunnel(Tcp) Attach Open;
    LibpodContainerCheckpoint "libpod.container.checkpoint" Post "/libpod/containers/{container}/checkpoint" Transfer Checkpoints Named;
    LibpodContainerRestore "libpod.container.restore" Post "/libpod/containers/{container}/restore" Transfer Checkpoints Named;
    LibpodContainerPrune "libpod.container.prune" Post "/libpod/containers/prune" Slow Prune Open;
    LibpodContainerRemove "libpod.container.remove" Delete "/libpod/containers/{container}" Slow RemoveContainers Open;
    LibpodExecCreate "libpod.exec.create" Post "/libpod/containers/{container}/exec" Quick Exec Open;
    LibpodExecStart "libpod.exec.start" Post "/libpod/exec/{exec}/start" Tunnel(Tcp) Exec Open;
    LibpodExecResize "libpod.exec.resize" Post "/libpod/exec/{exec}/resize" Quick Resize Open;
    LibpodExecInspect "libpod.exec.inspect" Get "/libpod/exec/{exec}/json" Quick LookAtExecs Open;
    LibpodExecRemove "libpod.exec.remove" Post "/libpod/exec/{exec}/remove" Quick Exec Open;
    LibpodContainerCommit "libpod.container.commit" Post "/libpod/commit" Transfer Commit Open;
    LibpodGenerateSystemd "libpod.generate.systemd" Get "/libpod/generate/{unit*}/systemd" Quick InspectContainers Open;
    LibpodGenerateKube "libpod.generate.kube" Get "/libpod/generate/kube" Quick InspectContainers Open;
    LibpodKubeGenerate "libpod.kube.generate" Get "/libpod/kube/generate" Quick InspectContainers Open;
    LibpodKubePlayOld "libpod.kube.play_old" Post "/libpod/play/kube" Slow CreatePods Open;
    LibpodKubePlay "libpod.kube.play" Post "/libpod/kube/play" Slow CreatePods Open;
    LibpodKubeDownOld "libpod.kube.down_old" Delete "/libpod/play/kube" Slow CreatePods Open;
    LibpodKubeDown "libpod.kube.down" Delete "/libpod/kube/play" Slow CreatePods Open;
    LibpodKubeApply "libpod.kube.apply" Post "/libpod/kube/apply" Slow CreatePods Open;
    LibpodImageList "libpod.image.list" Get "/libpod/images/json" Quick LookAtImages Open;
    LibpodImageSearch "libpod.image.search" Get "/libpod/images/search" Slow AskRegistries Open;
    LibpodImageExists "libpod.image.exists" Get "/libpod/images/{image*}/exists" Quick LookAtImages Open;
    LibpodImageInspect "libpod.image.inspect" Get "/libpod/images/{image*}/json" Quick LookAtImages Open;
    LibpodImageTree "libpod.image.tree" Get "/libpod/images/{image*}/tree" Quick LookAtImages Open;
    LibpodImageHistory "libpod.image.history" Get "/libpod/images/{image*}/history" Quick LookAtImages Open;
    LibpodImageResolve "libpod.image.resolve" Get "/libpod/images/{image*}/resolve" Quick LookAtImages Open;
    LibpodImageChanges "libpod.image.changes" Get "/libpod/images/{image}/changes" Quick ChangedFiles Open;
    LibpodImageSave "libpod.image.save" Get "/libpod/images/{image*}/get" Transfer SaveImages Named;
    LibpodImageSaveMany "libpod.image.save_many" Get "/libpod/images/export" Transfer SaveImages Named;
    LibpodImageLoad "libpod.image.load" Post "/libpod/images/load" Transfer LoadImages Open;
    LibpodImageLoadLocal "libpod.image.load_local" Post "/libpod/local/images/load" Slow PodmanHost Named;
    LibpodImageImport "libpod.image.import" Post "/libpod/images/import" Transfer Pull Open;
    LibpodImagePull "libpod.image.pull" Post "/libpod/images/pull" Transfer Pull Open;
    LibpodImagePush "libpod.image.push" Post "/libpod/images/{image*}/push" Transfer Push Named;
    LibpodImageScp "libpod.image.scp" Post "/libpod/images/scp/{image*}" Slow PodmanHost Named;
    LibpodImageTag "libpod.image.tag" Post "/libpod/images/{image*}/tag" Quick TagImages Open;
    LibpodImageUntag "libpod.image.untag" Post "/libpod/images/{image*}/untag" Quick TagImages Open;
    LibpodImagePrune "libpod.image.prune" Post "/libpod/images/prune" Slow Prune Open;
    LibpodImageRemoveMany "libpod.image.remove_many" Delete "/libpod/images/remove" Slow RemoveImages Open;
    LibpodImageRemove "libpod.image.remove" Delete "/libpod/images/{image*}" Slow RemoveImages Open;
    LibpodBuildStart "libpod.build.start" Post "/libpod/build" Transfer Build Open;
    LibpodBuildStartLocal "libpod.build.start_local" Post "/libpod/local/build" Transfer PodmanHost Named;
    LibpodArtifactList "libpod.artifact.list" Get "/libpod/artifacts/json" Quick LookAtPods Open;
    LibpodArtifactInspect "libpod.artifact.inspect" Get "/libpod/artifacts/{artifact*}/json" Quick LookAtPods Open;
    LibpodArtifactExtract "libpod.artifact.extract" Get "/libpod/artifacts/{artifact*}/extract" Transfer ReadFiles Named;
    LibpodArtifactPull "libpod.artifact.pull" Post "/libpod/artifacts/pull" Slow Pull Open;
    LibpodArtifactPush "libpod.artifact.push" Post "/libpod/artifacts/{artifact*}/push" Slow Push Named;
    LibpodArtifactAdd "libpod.artifact.add" Post "/libpod/artifacts/add" Transfer ManageArtifacts Open;
    LibpodArtifactAddLocal "libpod.artifact.add_local" Post "/libpod/artifacts/local/add" Slow PodmanHost Named;
    LibpodArtifactRemoveMany "libpod.artifact.remove_many" Delete "/libpod/artifacts/remove" Slow ManageArtifacts Open;
    LibpodArtifactRemove "libpod.artifact.remove" Delete "/libpod/artifacts/{artifact*}" Slow ManageArtifacts Open;
    LibpodManifestCreate "libpod.manifest.create" Post "/libpod/manifests/create" Slow ManageArtifacts Open;
    LibpodManifestAdd "libpod.manifest.add" Post "/libpod/manifests/{manifest*}/add" Slow ManageArtifacts Open;
    LibpodManifestCreateNamed "libpod.manifest.create_named" Post "/libpod/manifests/{manifest*}" Slow ManageArtifacts Open;
    LibpodManifestUpdate "libpod.manifest.update" Put "/libpod/manifests/{manifest*}" Slow ManageArtifacts Open;
    LibpodManifestExists "libpod.manifest.exists" Get "/libpod/manifests/{manifest*}/exists" Quick LookAtPods Open;
    LibpodManifestInspect "libpod.manifest.inspect" Get "/libpod/manifests/{manifest*}/json" Quick LookAtPods Open;
    LibpodManifestRemove "libpod.manifest.remove" Delete "/libpod/manifests/{manifest*}" Slow ManageArtifacts Open;
    LibpodManifestPush "libpod.manifest.push" Post "/libpod/manifests/{manifest*}/registry/{destination*}" Transfer Push Named;
    LibpodManifestPushOld "libpod.manifest.push_old" Post "/libpod/manifests/{manifest}/push" Slow Push Named;
    LibpodNetworkList "libpod.network.list" Get "/libpod/networks/json" Quick LookAtNetworks Open;
    LibpodNetworkInspectShort "libpod.network.inspect_short" Get "/libpod/networks/{network}" Quick LookAtNetworks Open;
    LibpodNetworkInspect "libpod.network.inspect" Get "/libpod/networks/{network}/json" Quick LookAtNetworks Open;
    LibpodNetworkExists "libpod.network.exists" Get "/libpod/networks/{network}/exists" Quick LookAtNetworks Open;
    LibpodNetworkCreate "libpod.network.create" Post "/libpod/networks/create" Slow CreateNetworks Open;
    LibpodNetworkUpdate "libpod.network.update" Post "/libpod/networks/{network}/update" Quick CreateNetworks Open;
    LibpodNetworkConnect "libpod.network.connect" Post "/libpod/networks/{network}/connect" Slow ConnectNetworks Open;
    LibpodNetworkDisconnect "libpod.network.disconnect" Post "/libpod/networks/{network}/disconnect" Slow ConnectNetworks Open;
    LibpodNetworkPrune "libpod.network.prune" Post "/libpod/networks/prune" Slow Prune Open;
    LibpodNetworkRemove "libpod.network.remove" Delete "/libpod/networks/{network}" Slow RemoveNetworks Open;
    LibpodPodList "libpod.pod.list" Get "/libpod/pods/json" Quick LookAtPods Open;
    LibpodPodInspect "libpod.pod.inspect" Get "/libpod/pods/{pod}/json" Quick LookAtPods Open;
    LibpodPodExists "libpod.pod.exists" Get "/libpod/pods/{pod}/exists" Quick LookAtPods Open;
    LibpodPodTop "libpod.pod.top" Get "/libpod/pods/{pod}/top" Follow Processes Open;
    LibpodPodStats "libpod.pod.stats" Get "/libpod/pods/stats" Follow Figures Open;
    LibpodPodCreate "libpod.pod.create" Post "/libpod/pods/create" Slow CreatePods Open;
    LibpodPodStart "libpod.pod.start" Post "/libpod/pods/{pod}/start" Slow ManagePods Open;
    LibpodPodStop "libpod.pod.stop" Post "/libpod/pods/{pod}/stop" Slow ManagePods Open;
    LibpodPodRestart "libpod.pod.restart" Post "/libpod/pods/{pod}/restart" Slow ManagePods Open;
    LibpodPodKill "libpod.pod.kill" Post "/libpod/pods/{pod}/kill" Slow ManagePods Open;
    LibpodPodPause "libpod.pod.pause" Post "/libpod/pods/{pod}/pause" Slow ManagePods Open;
    LibpodPodUnpause "libpod.pod.unpause" Post "/libpod/pods/{pod}/unpause" Slow ManagePods Open;
    LibpodPodPrune "libpod.pod.prune" Post "/libpod/pods/prune" Slow Prune Open;
    LibpodPodRemove "libpod.pod.remove" Delete "/libpod/pods/{pod}" Slow ManagePods Open;
    LibpodQuadletList "libpod.quadlet.list" Get "/libpod/quadlets/json" Quick LookAtPods Open;
    LibpodQuadletFile "libpod.quadlet.file" Get "/libpod/quadlets/{quadlet}/file" Quick InspectContainers Named;
    LibpodQuadletExists "libpod.quadlet.exists" Get "/libpod/quadlets/{quadlet}/exists" Quick LookAtPods Open;
    LibpodQuadletInstall "libpod.quadlet.install" Post "/libpod/quadlets" Transfer CreatePods Named;
    LibpodQuadletRemoveMany "libpod.quadlet.remove_many" Delete "/libpod/quadlets" Slow CreatePods Open;
    LibpodQuadletRemove "libpod.quadlet.remove" Delete "/libpod/quadlets/{quadlet}" Slow CreatePods Open;
    LibpodSecretCreate "libpod.secret.create" Post "/libpod/secrets/create" Slow PodmanHost Open;
    LibpodSecretList "libpod.secret.list" Get "/libpod/secrets/json" Quick LookAtSecrets Open;
    LibpodSecretInspect "libpod.secret.inspect" Get "/libpod/secrets/{secret}/json" Quick ReadConfigs Named;
    LibpodSecretExists "libpod.secret.exists" Get "/libpod/secrets/{secret}/exists" Quick LookAtSecrets Open;
    LibpodSecretRemove "libpod.secret.remove" Delete "/libpod/secrets/{secret}" Slow ManageSecrets Open;
    LibpodVolumeList "libpod.volume.list" Get "/libpod/volumes/json" Quick LookAtVolumes Open;
    LibpodVolumeInspect "libpod.volume.inspect" Get "/libpod/volumes/{volume}/json" Quick LookAtVolumes Open;
    LibpodVolumeExists "libpod.volume.exists" Get "/libpod/volumes/{volume}/exists" Quick LookAtVolumes Open;
    LibpodVolumeExport "libpod.volume.export" Get "/libpod/volumes/{volume}/export" Transfer ReadFiles Named;
    LibpodVolumeImport "libpod.volume.import" Post "/libpod/volumes/{volume}/import" Transfer WriteFiles Named;
    LibpodVolumeCreate "libpod.volume.create" Post "/libpod/volumes/create" Slow CreateVolumes Open;
    LibpodVolumePrune "libpod.volume.prune" Post "/libpod/volumes/prune" Slow Prune Open;
    LibpodVolumeRemove "libpod.volume.remove" Delete "/libpod/volumes/{volume}" Slow RemoveVolumes Open;
}
