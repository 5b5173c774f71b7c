//! Several proxies of one compose file become one instance, with a profile for each class of
//! clients.
//!
//! Networks kept the clients of one proxy from another proxy. One instance is on all of these
//! networks, so it tells clients apart by their services, about which it asks the engine. Proxies
//! whose clients are not known from the file stay by themselves, as do those on external networks.

use std::collections::BTreeMap;

use super::note::{Note, NoteKind};
use super::plan::{ClientClass, Plan, Rights, profile_name};
use super::project::{CHAIN, Project};
use super::settings::PeerSettings;
use super::yaml::ComposeValue;

/// One proxy, or several that became one.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) settings: PeerSettings,
    pub(super) plan: Plan,
}

/// Joins the instances whose clients are known.
pub(super) fn join_known_clients(instances: Vec<Instance>) -> Vec<Instance> {
    let proxies: Vec<String> = instances
        .iter()
        .filter_map(|instance| instance.settings.service.clone())
        .collect();
    let known = instances.into_iter().map(|instance| {
        let clients = known_clients(&instance, &proxies);
        (instance, clients)
    });
    let (mut together, mut alone): (Vec<_>, Vec<_>) =
        known.partition(|(_, clients)| clients.is_some());
    // All of one instance speak to one engine, at one port.
    let place = |instance: &Instance| {
        (
            instance.plan.backend.clone(),
            instance
                .plan
                .frontends
                .first()
                .map(|frontend| frontend.addr.clone()),
        )
    };
    if let Some(first) = together.first().map(|(instance, _)| place(instance)) {
        alone.extend(together.extract_if(.., |(instance, _)| place(instance) != first));
    }
    if together.len() < 2 {
        return together
            .into_iter()
            .chain(alone)
            .map(|(instance, _)| instance)
            .collect();
    }
    let one = join_instances(
        together
            .into_iter()
            .map(|(instance, clients)| (instance, clients.unwrap_or_default()))
            .collect(),
    );
    std::iter::once(one)
        .chain(alone.into_iter().map(|(instance, _)| instance))
        .collect()
}

/// Returns the clients of a proxy, each with its rights; `None` where they are not known, or cannot
/// be told apart by their services.
fn known_clients(instance: &Instance, proxies: &[String]) -> Option<Vec<(String, Rights)>> {
    let Instance { settings, plan } = instance;
    settings.service.as_ref()?;
    let is_simple = plan.frontends.len() == 1
        && plan.frontends[0].port().is_some()
        && plan.frontends[0].keys.is_empty();
    let has_strangers = own_networks(settings)
        .iter()
        .any(|network| settings.project.is_external(network));
    // Clients on the host have no service, and those on an external network may be services of
    // other files: one instance would also connect that network with the others.
    if !is_simple
        || has_strangers
        || settings.key("ports").is_some()
        || settings.key("network_mode").is_some()
    {
        return None;
    }
    // One instance connects all networks: a service that did not reach this proxy gets no rights.
    let reaching = neighbours(settings);
    let mut all = Vec::new();
    for class in &plan.profiles {
        for entry in &class.clients {
            if entry
                .iter()
                .any(|(key, _)| !["compose-service", "compose-project"].contains(key))
            {
                return None;
            }
            let (_, name) = entry.iter().find(|(key, _)| *key == "compose-service")?;
            if reaching.contains(name) {
                all.push((name.clone(), class.rights.clone()));
            }
        }
    }
    if plan.profiles.is_empty() {
        let mut named = naming_services(settings);
        named.retain(|name| reaching.contains(name));
        let found = if named.is_empty() { reaching } else { named };
        let found = found.into_iter().filter(|name| !proxies.contains(name));
        all.extend(found.map(|name| (name, plan.default.clone())));
    }
    (!all.is_empty()).then_some(all)
}

/// Returns the services that name the address of a proxy in their settings, or depend on it.
fn naming_services(settings: &PeerSettings) -> Vec<String> {
    let Some(service) = settings.service.as_deref() else {
        return Vec::new();
    };
    let networks = settings.key("networks").map(ComposeValue::pairs);
    let aliases = networks
        .into_iter()
        .flatten()
        .filter_map(|(_, network)| network.get("aliases"))
        .flat_map(ComposeValue::texts);
    let hosts: Vec<&str> = std::iter::once(service)
        .chain(settings.container_name())
        .chain(aliases)
        .filter(|host| !host.is_empty())
        .collect();
    let names_it = |text: &str| hosts.iter().any(|host| names_host(text, host));
    let services = settings.project.services.iter();
    let naming = services.filter(|(name, node)| {
        let mut linked = ["depends_on", "links"]
            .into_iter()
            .filter_map(|key| node.get(key))
            .flat_map(ComposeValue::names);
        name != service
            && (node.texts().into_iter().any(names_it)
                || linked.any(|linked| linked.split(':').next() == Some(service)))
    });
    naming.map(|(name, _)| name.clone()).collect()
}

/// Returns whether a text has an address of a host: `//HOST`, or `HOST:PORT`.
fn names_host(text: &str, host: &str) -> bool {
    text.match_indices(host).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + host.len()..]);
        let has_scheme = before.ends_with("//");
        let is_whole = has_scheme
            || !before.ends_with(|c: char| c.is_ascii_alphanumeric() || "-_./".contains(c));
        let port = behind.strip_prefix(':').unwrap_or_default();
        is_whole
            && (port.starts_with(|c: char| c.is_ascii_digit())
                || (has_scheme && (behind.is_empty() || behind.starts_with([':', '/']))))
    })
}

/// Returns the services that share a network with a proxy.
fn neighbours(settings: &PeerSettings) -> Vec<String> {
    let service = settings.service.as_deref().unwrap_or_default();
    let project = &settings.project;
    let own = own_networks(settings);
    let shares = |name: &str| {
        networks_of_service(project, name)
            .iter()
            .any(|network| own.contains(network))
    };
    let others = project.services.iter().map(|(name, _)| name);
    others
        .filter(|name| *name != service && shares(name))
        .cloned()
        .collect()
}

/// Notes clients that are found by the name of their service in every project, and services that
/// use the proxy and have no rights in the result.
pub(super) fn note_clients(settings: &PeerSettings, plan: &mut Plan) {
    note_services_of_every_project(&settings.project, plan);
    note_clients_without_rights(settings, plan);
}

fn note_services_of_every_project(project: &Project, plan: &mut Plan) {
    let entries = plan.profiles.iter().flat_map(|class| &class.clients);
    let unbound = entries.filter(|entry| entry.iter().all(|(key, _)| *key != "compose-project"));
    let services = unbound
        .flatten()
        .filter(|(key, _)| *key == "compose-service");
    let mut services: Vec<_> = services.map(|(_, name)| name.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    if services.is_empty() {
        return;
    }
    let next = if project.name.is_none() {
        "run migrate again with --project NAME"
    } else {
        "add compose-project to these entries of clients in cetusguard.yaml"
    };
    let what = format!(
        "services called {} have rights in every Compose project, since theirs is not known: \
        {next}",
        services.join(", ")
    );
    plan.lost(what);
}

fn note_clients_without_rights(settings: &PeerSettings, plan: &mut Plan) {
    if plan.profiles.is_empty() || !plan.default.rules.is_empty() {
        return;
    }
    let has_profile = |service: &String| {
        let mut conditions = plan.profiles.iter().flat_map(|class| &class.clients);
        conditions.any(|entry| {
            entry
                .iter()
                .any(|(key, value)| *key == "compose-service" && value == service)
        })
    };
    let without: Vec<_> = naming_services(settings)
        .into_iter()
        .filter(|service| !has_profile(service))
        .collect();
    if !without.is_empty() {
        let what = format!(
            "services without a profile name this proxy in their settings: {}; if the old proxy \
            let them in, add them to the clients of a profile in cetusguard.yaml",
            without.join(", ")
        );
        plan.note(NoteKind::Missing, what);
    }
}

/// Returns the networks of a proxy, also those of the service that it extends.
fn own_networks(settings: &PeerSettings) -> Vec<String> {
    network_names(settings.key("networks"))
}

fn networks_of_service(project: &Project, service: &str) -> Vec<String> {
    let (node, _) = project.extended(service, CHAIN);
    network_names(node.get("networks"))
}

fn network_names(networks: Option<&ComposeValue>) -> Vec<String> {
    networks.map_or_else(
        || vec!["default".to_owned()],
        |networks| networks.names().into_iter().map(str::to_owned).collect(),
    )
}

fn join_instances(mut all: Vec<(Instance, Vec<(String, Rights)>)>) -> Instance {
    let names: Vec<String> = all
        .iter()
        .filter_map(|(instance, _)| instance.settings.service.clone())
        .collect();
    let strangers = unknown_neighbours(&all, &names);
    let project = std::rc::Rc::clone(&all[0].0.settings.project);
    let classes = classes_of_clients(&all, &project);
    let others: Vec<_> = all.drain(1..).map(|(instance, _)| instance).collect();
    let (mut one, _) = all.swap_remove(0);
    share_networks(&mut one.settings, &others);
    for other in others {
        for mount in other.settings.mounts {
            if !one
                .settings
                .mounts
                .iter()
                .any(|known| known.target == mount.target)
            {
                one.settings.mounts.push(mount);
            }
        }
        for note in other.plan.notes {
            if !one.plan.notes.contains(&note) {
                one.plan.notes.push(note);
            }
        }
    }
    one.plan.default = Rights::default();
    one.plan.profiles = classes;
    let what = format!(
        "{} become one instance with the names of all of them, which tells clients apart by their \
        Compose services: add services of other compose files to the clients of a profile, and \
        write {} where a service depends on another of these names",
        names.join(", "),
        names[0]
    );
    one.plan.notes.push(Note::new(NoteKind::Different, what));
    if !strangers.is_empty() {
        let what = format!(
            "services without a profile share a network with these proxies: {}; add those that use \
            one to the clients of a profile in cetusguard.yaml",
            strangers.join(", ")
        );
        one.plan.notes.push(Note::new(NoteKind::Hint, what));
    }
    one
}

/// Returns a class for each set of clients with the same rights.
fn classes_of_clients(
    all: &[(Instance, Vec<(String, Rights)>)],
    project: &Project,
) -> Vec<ClientClass> {
    let mut of_client: BTreeMap<String, (Vec<String>, Rights)> = BTreeMap::new();
    for (instance, clients) in all {
        for (client, rights) in clients {
            let (proxies, known) = of_client.entry(client.clone()).or_default();
            proxies.extend(instance.settings.service.clone());
            add_rights(known, rights);
        }
    }
    let mut classes: Vec<ClientClass> = Vec::new();
    for (client, (proxies, rights)) in of_client {
        let conditions = project.service(&client);
        let name = profile_name(&proxies.join("-and-"));
        let same = classes
            .iter_mut()
            .find(|class| class.name == name && class.rights.rules == rights.rules);
        if let Some(class) = same {
            class.clients.push(conditions);
            continue;
        }
        let is_taken = classes.iter().any(|class| class.name == name);
        let name = if is_taken {
            format!("{name}-{}", profile_name(&conditions[0].1))
        } else {
            name
        };
        classes.push(ClientClass {
            name,
            clients: vec![conditions],
            rights,
        });
    }
    classes
}

/// Returns the services on the networks of several proxies that are not among their clients.
fn unknown_neighbours(
    all: &[(Instance, Vec<(String, Rights)>)],
    proxies: &[String],
) -> Vec<String> {
    let is_client = |name: &String| {
        all.iter()
            .any(|(_, clients)| clients.iter().any(|(client, _)| client == name))
    };
    let mut unknown: Vec<_> = all
        .iter()
        .flat_map(|(instance, _)| neighbours(&instance.settings))
        .filter(|name| !is_client(name) && !proxies.contains(name))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}

/// Adds rights to others: a client of two proxies had the rights of both.
fn add_rights(known: &mut Rights, more: &Rights) {
    for rule in &more.rules {
        if !known.rules.iter().any(|(text, _)| *text == rule.0) {
            known.rules.push(rule.clone());
        }
    }
    for exception in &more.guard_allow {
        if !known.guard_allow.contains(exception) {
            known.guard_allow.push(exception.clone());
        }
    }
    known.peer = known.peer.or(&more.peer);
}

/// Puts the instance on every network of the others, under their names.
fn share_networks(settings: &mut PeerSettings, others: &[Instance]) {
    let mut joined: Vec<(String, ComposeValue)> = match settings.key("networks") {
        Some(ComposeValue::Map(pairs)) => pairs.clone(),
        _ => own_networks(settings)
            .into_iter()
            .map(|name| (name, ComposeValue::Null))
            .collect(),
    };
    for other in others.iter().map(|instance| &instance.settings) {
        let service = other.service.clone().unwrap_or_default();
        let aliases: Vec<_> = std::iter::once(service.as_str())
            .chain(other.container_name())
            .collect();
        for network in own_networks(other) {
            let at = joined
                .iter()
                .position(|(name, _)| *name == network)
                .unwrap_or_else(|| {
                    joined.push((network, ComposeValue::Null));
                    joined.len() - 1
                });
            let theirs = other
                .key("networks")
                .and_then(|node| node.get(&joined[at].0)?.get("aliases"));
            let all = aliases
                .iter()
                .copied()
                .chain(theirs.map(ComposeValue::texts).unwrap_or_default());
            let mut pairs = joined[at].1.pairs().to_vec();
            let known = pairs
                .iter()
                .position(|(key, _)| key == "aliases")
                .map(|at| pairs.remove(at).1);
            let mut items = known
                .map(|known| known.items().to_vec())
                .unwrap_or_default();
            for alias in all.map(ComposeValue::text) {
                if !items.contains(&alias) {
                    items.push(alias);
                }
            }
            pairs.push(("aliases".to_owned(), ComposeValue::List(items)));
            joined[at].1 = ComposeValue::Map(pairs);
        }
    }
    settings.keys.retain(|(key, _)| key != "networks");
    settings
        .keys
        .push(("networks".to_owned(), ComposeValue::Map(joined)));
}
