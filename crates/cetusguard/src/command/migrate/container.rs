//! The service of an instance in the compose file: what the other proxy's service had that is not
//! about that proxy stays.

use std::path::Path;

use super::mount::{Mount, is_within};
use super::note::Kind;
use super::plan::Plan;
use super::settings::Settings;
use super::yaml::Value;

/// What the image is called that is built from Cetusguard's repository.
pub(super) const IMAGE: &str = concat!("localhost/cetusguard:", env!("CARGO_PKG_VERSION"));

/// A service of the compose file.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) keys: Vec<(String, Value)>,
}

/// Keys that ours has in its own way.
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

/// Keys that gave the container more than ours needs.
const TOO_MUCH: &[&str] = &["cap_add", "devices", "privileged", "tmpfs"];

/// Files of the host that containers with a distribution in them are given.
const OF_A_DISTRIBUTION: &[&str] = &["/etc/localtime", "/etc/timezone"];

/// Makes the service. `config` is the folder of the configuration beside the compose file; `out`
/// where that will lie, unless it is to take the place of the old one.
pub(super) fn of(
    settings: &Settings,
    config: &str,
    out: Option<&Path>,
    plan: &mut Plan,
) -> Container {
    let name = settings
        .service
        .clone()
        .unwrap_or_else(|| "cetusguard".to_owned());
    let volumes = volumes(settings, out, plan);
    let folder = config_folder(settings);
    let text = |text: &str| Value::text(text);
    let switch = |text: &str| Value::Scalar {
        text: text.to_owned(),
        is_quoted: false,
    };
    let list = |items: &[&str]| Value::List(items.iter().map(|item| Value::text(*item)).collect());
    let mut keys = vec![
        ("image".to_owned(), text(IMAGE)),
        ("read_only".to_owned(), switch("true")),
        ("cap_drop".to_owned(), list(&["ALL"])),
    ];
    let user = settings.key("user").map(Value::plain).map(str::to_owned);
    let user = user.or_else(|| {
        plan.user
            .filter(|_| !settings.keys.is_empty())
            .map(str::to_owned)
    });
    let is_root = user
        .as_deref()
        .is_none_or(|user| user == "root" || user == "0" || user.starts_with("0:"));
    let owns = plan.frontends.iter().any(|frontend| {
        frontend
            .keys
            .iter()
            .any(|(key, _)| ["socket-owner", "socket-group"].contains(key))
    });
    if owns && is_root {
        // The socket is made in a folder that may belong to its owner, and is given to that owner.
        keys.push(("cap_add".to_owned(), list(&["CHOWN", "DAC_OVERRIDE"])));
    }
    keys.push(("security_opt".to_owned(), security(settings)));
    // Compose refuses two limits that differ.
    let limits = ["deploy", "resources", "limits", "memory"];
    let has_limit = limits[1..]
        .iter()
        .try_fold(settings.key(limits[0]), |value, key| Some(value?.get(key)))
        .flatten();
    let limit = settings
        .key("mem_limit")
        .cloned()
        .or_else(|| has_limit.is_none().then(|| text("64M")));
    keys.extend(limit.map(|limit| ("mem_limit".to_owned(), limit)));
    if let Some(user) = user {
        keys.push(("user".to_owned(), text(&user)));
    }
    let environment = vec![
        (
            "CETUSGUARD_CONFIG".to_owned(),
            text(&format!("{folder}/cetusguard.yaml")),
        ),
        // The image has an address of its own here, and the file says where to listen.
        ("CETUSGUARD_FRONTEND_ADDR".to_owned(), text("")),
    ];
    keys.push(("environment".to_owned(), Value::Map(environment)));
    // A file that is mounted by itself stays what it was when another takes its name: the folder
    // is.
    let own = text(&format!("./{config}:{folder}:ro"));
    keys.push((
        "volumes".to_owned(),
        Value::List(std::iter::once(own).chain(volumes).collect()),
    ));
    keys.extend(kept(settings, out, plan));
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
        Value::Map(vec![("test".to_owned(), list(&test))]),
    ));
    Container { name, keys }
}

/// A folder of the container that nothing else is mounted at.
fn config_folder(settings: &Settings) -> &'static str {
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

fn security(settings: &Settings) -> Value {
    let theirs = settings
        .key("security_opt")
        .map(Value::items)
        .unwrap_or_default();
    let others = theirs
        .iter()
        .filter(|item| !item.plain().starts_with("no-new-privileges"))
        .cloned();
    Value::List(
        std::iter::once(Value::text("no-new-privileges:true"))
            .chain(others)
            .collect(),
    )
}

/// The keys that stay as they were.
fn kept(settings: &Settings, out: Option<&Path>, plan: &mut Plan) -> Vec<(String, Value)> {
    let mut left_out = Vec::new();
    let mut kept = Vec::new();
    for (key, value) in &settings.keys {
        match key.as_str() {
            key if OURS.contains(&key) || key == "user" => {}
            key if TOO_MUCH.contains(&key) => left_out.push(key.to_owned()),
            // A compose file with this service alone has nothing that it could be about.
            key @ ("depends_on" | "links" | "volumes_from") if out.is_some() => {
                left_out.push(key.to_owned())
            }
            "configs" => {
                let target = |item: &Value| {
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
                    kept.push((key.clone(), Value::List(needed)));
                }
            }
            _ => kept.push((key.clone(), value.clone())),
        }
    }
    if settings.key("entrypoint").is_some() {
        plan.note(
            Kind::Missing,
            "its entrypoint is left out: what that did before the proxy started does not happen \
            here",
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
        plan.note(Kind::Different, what);
    }
    kept
}

/// The mounts that stay, with the engine's socket and a place for each of the proxy's own.
fn volumes(settings: &Settings, out: Option<&Path>, plan: &mut Plan) -> Vec<Value> {
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
    if !left_out.is_empty() {
        let names: Vec<_> = left_out
            .iter()
            .map(|mount| {
                if mount.source.is_empty() {
                    &mount.target
                } else {
                    &mount.source
                }
            })
            .map(String::as_str)
            .collect();
        plan.note(
            Kind::Different,
            format!(
                "the volumes {} are left out: nothing here reads them",
                names.join(", ")
            ),
        );
    }
    let mut volumes: Vec<_> = stay
        .iter()
        .map(|mount| placed(mount, settings, out))
        .collect();
    if let Some(socket) = plan.backend.strip_prefix("unix://").map(str::to_owned) {
        match stay.iter().find_map(|mount| mount.path_of(&socket)) {
            Some(path) => plan.backend = format!("unix://{path}"),
            None => {
                let path = escaped(&socket);
                volumes.push(Value::text(format!("{path}:{path}:ro")));
            }
        }
    }
    let mut new: Vec<String> = Vec::new();
    let mut frontends = std::mem::take(&mut plan.frontends);
    for frontend in &mut frontends {
        let Some(socket) = frontend.socket().map(str::to_owned) else {
            continue;
        };
        if let Some(path) = stay.iter().find_map(|mount| mount.path_of(&socket)) {
            frontend.addr = format!("unix://{path}");
            continue;
        }
        let folder = Path::new(&socket)
            .parent()
            .map(|folder| folder.to_string_lossy().into_owned())
            .unwrap_or_default();
        let name = format!(
            "cetusguard-socket{}",
            if new.is_empty() {
                String::new()
            } else {
                format!("-{}", new.len() + 1)
            }
        );
        plan.note(
            Kind::Missing,
            format!(
                "no volume was mounted where the socket {socket} is made: mount {name} into \
                the clients, too"
            ),
        );
        volumes.push(Value::text(format!("{name}:{folder}")));
        new.push(name);
    }
    plan.frontends = frontends;
    volumes
}

/// A mount as the new compose file has it: a relative path is one from another folder there.
fn placed(mount: &Mount, settings: &Settings, out: Option<&Path>) -> Value {
    let is_relative = mount.source.starts_with('.');
    let path = settings
        .project
        .path(&mount.source)
        .filter(|_| is_relative && out.is_some());
    path.map_or_else(
        || mount.raw.clone(),
        |path| mount.with_source(&escaped(&path.to_string_lossy())),
    )
}

/// Compose takes a dollar sign for the beginning of a variable.
fn escaped(path: &str) -> String {
    path.replace('$', "$$")
}
