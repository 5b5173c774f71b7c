//! The service of an instance in the compose file. The keys of the other proxy's service that are
//! not about that proxy stay.

use std::path::Path;

use super::mount::{Mount, is_within};
use super::note::NoteKind;
use super::plan::Plan;
use super::settings::PeerSettings;
use super::yaml::ComposeValue;

/// The name of the image that is built from Cetusguard's repository.
pub(super) const IMAGE: &str = concat!("localhost/cetusguard:", env!("CARGO_PKG_VERSION"));

/// A service of the compose file.
#[derive(Debug)]
pub(super) struct ComposeService {
    pub(super) name: String,
    pub(super) keys: Vec<(String, ComposeValue)>,
    /// Volumes that the old service did not have.
    pub(super) new_volumes: Vec<String>,
}

/// Keys that the new service has in its own way.
const OURS: &[&str] = &[
    "build",
    "cap_drop",
    "command",
    "entrypoint",
    "env_file",
    "environment",
    "extends",
    "healthcheck",
    "image",
    "mem_limit",
    "pull_policy",
    "read_only",
    "security_opt",
    "volumes",
];

/// Keys that gave the container more than Cetusguard needs.
const TOO_MUCH: &[&str] = &[
    "cap_add",
    "device_cgroup_rules",
    "devices",
    "gpus",
    "ipc",
    "pid",
    "privileged",
    "tmpfs",
    "uts",
];

/// Files of the host that containers with a distribution in them are given.
const OF_A_DISTRIBUTION: &[&str] = &["/etc/localtime", "/etc/timezone"];

/// Builds the service. `config` is the folder of the configuration beside the compose file; `out`
/// where that will lie, unless it is to take the place of the old one.
pub(super) fn build_service(
    settings: &PeerSettings,
    config: &str,
    out: Option<&Path>,
    plan: &mut Plan,
) -> ComposeService {
    let name = settings
        .service
        .clone()
        .unwrap_or_else(|| "cetusguard".to_owned());
    let (volumes, new_volumes) = split_volumes(settings, out, plan);
    let folder = config_folder(settings);
    let text = |text: &str| ComposeValue::text(text);
    let switch = |text: &str| ComposeValue::Scalar {
        text: text.to_owned(),
        is_quoted: false,
    };
    let list = |items: &[&str]| {
        ComposeValue::List(items.iter().map(|item| ComposeValue::text(*item)).collect())
    };
    let mut keys = vec![
        ("image".to_owned(), text(IMAGE)),
        ("read_only".to_owned(), switch("true")),
        ("cap_drop".to_owned(), list(&["ALL"])),
    ];
    let user = user(settings, plan);
    if needs_ownership(plan, user.as_deref()) {
        // The socket is made in a folder that may belong to its owner, and is given to that owner.
        keys.push(("cap_add".to_owned(), list(&["CHOWN", "DAC_OVERRIDE"])));
    }
    keys.push(("security_opt".to_owned(), security_options(settings)));
    keys.extend(memory_limit(settings).map(|limit| ("mem_limit".to_owned(), limit)));
    if let Some(user) = user {
        keys.push(("user".to_owned(), text(&user)));
    }
    keys.push(("environment".to_owned(), environment(folder)));
    // The folder is mounted, not the file: a mounted file would stay the same when another takes
    // its name, and no reload would see the new one.
    let own = text(&format!("./{config}:{folder}:ro"));
    keys.push((
        "volumes".to_owned(),
        ComposeValue::List(std::iter::once(own).chain(volumes).collect()),
    ));
    keys.extend(kept_keys(settings, out, plan));
    if !keys.iter().any(|(key, _)| key == "restart") {
        keys.push(("restart".to_owned(), text("unless-stopped")));
    }
    let asked = plan.healthcheck.as_deref();
    let test: Vec<&str> = ["CMD", "/cetusguard", "healthcheck"]
        .into_iter()
        .chain(asked)
        .collect();
    keys.push((
        "healthcheck".to_owned(),
        ComposeValue::Map(vec![("test".to_owned(), list(&test))]),
    ));
    ComposeService {
        name,
        keys,
        new_volumes,
    }
}

/// Returns the variables of the service. The image has an address of its own, which the empty
/// variable takes back: the file says where to listen.
fn environment(folder: &str) -> ComposeValue {
    let file = format!("{folder}/cetusguard.yaml");
    ComposeValue::Map(vec![
        ("CETUSGUARD_CONFIG".to_owned(), ComposeValue::text(file)),
        (
            "CETUSGUARD_FRONTEND_ADDR".to_owned(),
            ComposeValue::text(""),
        ),
    ])
}

/// Returns the user of the old container: that of the service, or that of the image.
fn user(settings: &PeerSettings, plan: &Plan) -> Option<String> {
    let of_service = settings
        .key("user")
        .map(ComposeValue::plain)
        .map(str::to_owned);
    let of_image = plan.user.filter(|_| !settings.keys.is_empty());
    of_service.or_else(|| of_image.map(str::to_owned))
}

/// Returns whether the container, as root, gives its socket to another user.
fn needs_ownership(plan: &Plan, user: Option<&str>) -> bool {
    let is_root = user.is_none_or(|user| user == "root" || user == "0" || user.starts_with("0:"));
    let is_owner = |(key, _): &(&str, String)| ["socket-owner", "socket-group"].contains(key);
    is_root
        && plan
            .frontends
            .iter()
            .any(|frontend| frontend.keys.iter().any(is_owner))
}

/// Returns the limit of memory, unless `deploy` has one: Compose refuses two limits that differ.
fn memory_limit(settings: &PeerSettings) -> Option<ComposeValue> {
    let path = ["resources", "limits", "memory"];
    let of_deploy = settings
        .key("deploy")
        .and_then(|deploy| path.iter().try_fold(deploy, |value, key| value.get(key)));
    let own = settings.key("mem_limit").cloned();
    own.or_else(|| of_deploy.is_none().then(|| ComposeValue::text("64M")))
}

/// Returns a folder of the container that nothing else is mounted at.
fn config_folder(settings: &PeerSettings) -> &'static str {
    let is_free = |folder: &&&str| {
        !settings
            .mounts
            .iter()
            .any(|mount| is_within(&mount.target, folder) || is_within(folder, &mount.target))
    };
    ["/config", "/cetusguard-config"]
        .iter()
        .find(is_free)
        .copied()
        .unwrap_or("/etc/cetusguard.d")
}

fn security_options(settings: &PeerSettings) -> ComposeValue {
    let theirs = settings
        .key("security_opt")
        .map(ComposeValue::items)
        .unwrap_or_default();
    let others = theirs
        .iter()
        .filter(|item| !item.plain().starts_with("no-new-privileges"))
        .cloned();
    ComposeValue::List(
        std::iter::once(ComposeValue::text("no-new-privileges:true"))
            .chain(others)
            .collect(),
    )
}

/// Returns the keys that stay as they were.
fn kept_keys(
    settings: &PeerSettings,
    out: Option<&Path>,
    plan: &mut Plan,
) -> Vec<(String, ComposeValue)> {
    let mut left_out = Vec::new();
    let mut kept = Vec::new();
    for (key, value) in &settings.keys {
        match key.as_str() {
            key if OURS.contains(&key) || key == "user" => {}
            key if TOO_MUCH.contains(&key) => left_out.push(key.to_owned()),
            // These name other services, which are not in the new compose file.
            key @ ("depends_on" | "links" | "volumes_from") if out.is_some() => {
                left_out.push(key.to_owned())
            }
            "configs" => {
                let target = |item: &ComposeValue| {
                    item.get("target").map_or_else(
                        || format!("/{}", item.plain()),
                        |target| target.plain().to_owned(),
                    )
                };
                let needed = value.items().iter().filter(|item| {
                    !plan
                        .unneeded
                        .iter()
                        .any(|path| is_within(&target(item), path))
                });
                let needed: Vec<_> = needed.cloned().collect();
                if !needed.is_empty() {
                    kept.push((key.clone(), ComposeValue::List(needed)));
                }
            }
            _ => kept.push((key.clone(), value.clone())),
        }
    }
    if settings.key("entrypoint").is_some() {
        plan.note(
            NoteKind::Missing,
            "its entrypoint is left out, and with it the steps before the start of the proxy",
        );
    }
    if !left_out.is_empty() {
        let selinux = if left_out.iter().any(|key| key == "privileged") {
            "; where SELinux keeps the engine's socket away, add label:disable to security_opt"
        } else {
            ""
        };
        let what = format!(
            "left out, since this service works without: {}{selinux}",
            left_out.join(", ")
        );
        plan.note(NoteKind::Different, what);
    }
    kept
}

/// Returns the mounts that stay, with the engine's socket and a place for each of the proxy's own,
/// and the names of the volumes that are new.
fn split_volumes(
    settings: &PeerSettings,
    out: Option<&Path>,
    plan: &mut Plan,
) -> (Vec<ComposeValue>, Vec<String>) {
    let is_remote = !plan.backend.starts_with("unix://");
    let is_unneeded = |mount: &&Mount| {
        let is_its_own = plan
            .unneeded
            .iter()
            .any(|path| is_within(&mount.target, path));
        let is_distribution = OF_A_DISTRIBUTION.contains(&mount.target.as_str());
        is_its_own || is_distribution || (is_remote && mount.is_engine_socket())
    };
    let (left_out, stay): (Vec<_>, Vec<_>) = settings.mounts.iter().partition(is_unneeded);
    note_left_out(&left_out, plan);
    let mut volumes: Vec<_> = stay
        .iter()
        .map(|mount| placed_mount(mount, settings, out))
        .collect();
    if let Some(socket) = plan.backend.strip_prefix("unix://").map(str::to_owned) {
        match stay.iter().find_map(|mount| mount.path_of(&socket)) {
            Some(path) => plan.backend = format!("unix://{path}"),
            None => {
                let path = escape_dollars(&socket);
                volumes.push(ComposeValue::text(format!("{path}:{path}:ro")));
            }
        }
    }
    let new = place_sockets(&stay, settings, plan);
    volumes.extend(
        new.iter()
            .map(|(name, folder)| ComposeValue::text(format!("{name}:{folder}"))),
    );
    (volumes, new.into_iter().map(|(name, _)| name).collect())
}

fn note_left_out(mounts: &[&Mount], plan: &mut Plan) {
    let name = |mount: &&Mount| match mount.source.as_str() {
        "" => mount.target.clone(),
        source => source.to_owned(),
    };
    let names: Vec<_> = mounts.iter().map(name).collect();
    if !names.is_empty() {
        let what = format!(
            "the volumes {} are left out, since Cetusguard does not read them",
            names.join(", ")
        );
        plan.note(NoteKind::Different, what);
    }
}

/// Places the sockets of frontends into mounted folders. Returns a new volume, by its name and its
/// folder, for each socket that has none.
fn place_sockets(
    mounts: &[&Mount],
    settings: &PeerSettings,
    plan: &mut Plan,
) -> Vec<(String, String)> {
    let mut new: Vec<(String, String)> = Vec::new();
    let mut frontends = std::mem::take(&mut plan.frontends);
    for frontend in &mut frontends {
        let Some(socket) = frontend.socket().map(str::to_owned) else {
            continue;
        };
        if let Some(path) = mounts.iter().find_map(|mount| mount.path_of(&socket)) {
            frontend.addr = format!("unix://{path}");
            continue;
        }
        let folder = Path::new(&socket)
            .parent()
            .map(|folder| folder.to_string_lossy().into_owned())
            .unwrap_or_default();
        let name = match new.len() {
            0 => "cetusguard-socket".to_owned(),
            count => format!("cetusguard-socket-{}", count + 1),
        };
        // Without the service, the place of the socket is not known.
        let kind = if settings.keys.is_empty() {
            NoteKind::Hint
        } else {
            NoteKind::Missing
        };
        let what = format!(
            "no volume was mounted where the socket {socket} is made: mount {name} into the \
            clients, too"
        );
        plan.note(kind, what);
        new.push((name, folder));
    }
    plan.frontends = frontends;
    new
}

/// Returns a mount for the new compose file, where a relative path begins at another folder.
fn placed_mount(mount: &Mount, settings: &PeerSettings, out: Option<&Path>) -> ComposeValue {
    let is_relative = mount.source.starts_with('.');
    let path = settings
        .project
        .path(&mount.source)
        .filter(|_| is_relative && out.is_some());
    path.map_or_else(
        || mount.raw.clone(),
        |path| mount.with_source(&escape_dollars(&path.to_string_lossy())),
    )
}

/// Escapes dollar signs, which Compose takes for the beginning of a variable.
fn escape_dollars(path: &str) -> String {
    path.replace('$', "$$")
}
