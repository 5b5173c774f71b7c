//! The powers that calls give a client, in words for readers who do not know the API.

/// The harm that a power can do in the wrong hands, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    /// Looks at names, states and figures.
    Look,
    /// Reads secrets: environment variables, logs, files, command lines.
    Secrets,
    /// Stops, changes or deletes: loss of service or of data.
    Change,
    /// Runs code, or brings in code that others will run.
    Run,
    /// Is root on the host, unless the guard judges it.
    Host,
}

impl Risk {
    /// Every risk, the least first.
    pub const ALL: [Self; 5] = [
        Self::Look,
        Self::Secrets,
        Self::Change,
        Self::Run,
        Self::Host,
    ];

    /// Returns the word for it in rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Secrets => "secrets",
            Self::Change => "change",
            Self::Run => "run",
            Self::Host => "host",
        }
    }

    /// Returns the heading over powers of this risk.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Look => "looks at names, states and figures",
            Self::Secrets => "reads what is usually secret",
            Self::Change => "changes, stops and deletes",
            Self::Run => "runs code",
            Self::Host => "can become root on the host, unless the guard judges it",
        }
    }
}

macro_rules! powers {
    ($($power:ident, $risk:ident, $says:literal;)*) => {
        /// A power over the engine that several endpoints may give.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Power {
            $(#[doc = $says] $power,)*
        }

        impl Power {
            /// Returns the power as the rest of a sentence that begins with "the client can".
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self { $(Self::$power => $says,)* }
            }

            /// Returns the harm that it can do.
            #[must_use]
            pub const fn risk(self) -> Risk {
                match self { $(Self::$power => Risk::$risk,)* }
            }
        }
    };
}

powers! {
    Ping, Look, "ask whether the engine is there";
    EngineInfo, Look, "read the engine's version and settings";
    Events, Look, "follow events with the command lines of exec";
    DiskUsage, Look, "list everything with its size on disk";
    ListContainers, Look, "list containers with their labels, ports and commands";
    Figures, Look, "read processor, memory and network figures of containers";
    ChangedFiles, Look, "list the changed files of containers";
    Wait, Look, "wait for containers to end";
    LookAtImages, Look, "list and inspect images";
    AskRegistries, Look, "look images up in registries through the engine";
    LookAtVolumes, Look, "list and inspect volumes with their options";
    LookAtNetworks, Look, "list and inspect networks";
    LookAtPlugins, Look, "list and inspect plugins";
    LookAtSecrets, Look, "list secrets without their contents";
    LookAtNodes, Look, "list and inspect the cluster's nodes";
    LookAtPods, Look, "list and inspect pods, manifests, artifacts and quadlets";

    InspectContainers, Secrets, "read environment variables, mounts and settings of containers";
    Logs, Secrets, "read and follow logs";
    Processes, Secrets, "list processes in containers with their command lines";
    LookAtExecs, Secrets, "read the commands that run in containers";
    ReadFiles, Secrets, "read files out of containers and volumes";
    SaveImages, Secrets, "read images with all files in them";
    Push, Secrets, "push images to registries";
    LookAtServices, Secrets, "list and inspect services and tasks with their environment variables";
    ReadConfigs, Secrets, "read the contents of secrets and configs";
    LookAtSwarm, Secrets, "read the cluster's settings with its join tokens";
    Debug, Secrets, "read the engine's own memory and processor profiles";

    Resize, Change, "set the size of terminals";
    StartContainers, Change, "start containers";
    StopContainers, Change, "stop, restart, kill and pause containers";
    RenameContainers, Change, "rename containers";
    UpdateContainers, Change, "change limits and restart policy of containers";
    RemoveContainers, Change, "remove containers";
    Prune, Change, "remove everything that is unused";
    TagImages, Change, "point tags at other images";
    RemoveImages, Change, "remove images";
    RemoveVolumes, Change, "remove volumes with their data";
    ConnectNetworks, Change, "connect containers to networks and take them off";
    CreateNetworks, Change, "create and change networks";
    RemoveNetworks, Change, "remove networks";
    Login, Change, "send registry credentials through the engine";
    RemoveServices, Change, "remove services";
    ManageSecrets, Change, "create and remove secrets and configs";
    ManagePods, Change, "start, stop and remove pods";
    ManageArtifacts, Change, "change manifests, artifacts and mounts";

    Exec, Run, "run commands inside containers";
    Attach, Run, "attach to containers, to see what they print and to type into them";
    Pull, Run, "pull and import images";
    LoadImages, Run, "load images from archives";
    Commit, Run, "make images of containers";
    Build, Run, "build images";
    BuildSession, Run, "build images over a channel that is not inspected (BuildKit)";

    CreateContainers, Host, "create containers";
    CreateVolumes, Host, "create volumes";
    WriteFiles, Host, "write files into containers and volumes";
    Checkpoints, Host, "checkpoint and restore containers";
    CreateServices, Host, "create and change services";
    ManageNodes, Host, "change and remove nodes of the cluster";
    ManageSwarm, Host, "make, join, change and leave the cluster";
    ManagePlugins, Host, "install, change and remove plugins";
    PodmanHost, Host, "hand Podman paths of its host, and drivers that it runs there";
    CreatePods, Host, "create pods and units, and play Kubernetes files";
}

impl Power {
    /// Returns the way from this power to root on the host if nothing is judged; `None` if no way
    /// is known.
    #[must_use]
    pub const fn way_to_host(self) -> Option<&'static str> {
        Some(match self {
            Self::CreateContainers => {
                "a new container may be privileged or mount any folder of the host"
            }
            Self::CreateServices => "a service's containers may mount any folder of every node",
            Self::CreatePods => {
                "a pod's containers may be privileged or mount any folder of the host"
            }
            Self::PodmanHost => "the engine reads such paths, and runs such drivers, as itself",
            Self::CreateVolumes => "a local volume can be any folder of the host",
            Self::Exec => {
                "a command can be made privileged, or run in a container that has the host"
            }
            Self::Attach => "a container that has the host can be typed into",
            Self::WriteFiles => "files land in what a container mounts from the host",
            Self::Checkpoints => "a checkpoint's folder can be any folder of the host",
            Self::Build => "a build can use the host's network",
            Self::BuildSession => {
                "a build can ask for the host's network, and the guard cannot see it"
            }
            Self::ManageNodes | Self::ManageSwarm => {
                "a client that can change the cluster controls every node of it"
            }
            Self::ManagePlugins => "plugins run on the host as root",
            Self::UpdateContainers => "devices can be opened to a running container",
            Self::CreateNetworks => "a network can take over an interface of the host",
            _ => return None,
        })
    }

    /// Returns the way to the host that remains although the guard judges the calls.
    #[must_use]
    pub const fn remains(self) -> Option<&'static str> {
        Some(match self {
            Self::LookAtSwarm => "the join token of managers makes any machine one of them",
            Self::ReadFiles => "keys and tokens lie in files",
            _ => return None,
        })
    }
}
