//! Several proxies of one compose file become one instance, with a profile for each class of
//! clients.
//!
//! Networks kept the clients of one proxy from another proxy. One instance is on all of these
//! networks, so it tells clients apart by their services, which the engine is asked for. Proxies
//! whose clients are not known from the file stay by themselves.

use std::collections::BTreeMap;

use super::note::{Kind, Note};
use super::plan::{Class, Plan, Rights, profile_name};
use super::project::Project;
use super::settings::Settings;
use super::yaml::Value;

/// One proxy, or several that became one.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) settings: Settings,
    pub(super) plan: Plan,
}

/// Puts those together that can be.
pub(super) fn joined(instances: Vec<Instance>) -> Vec<Instance> {
    let proxies: Vec<String> = instances
        .iter()
        .filter_map(|instance| instance.settings.service.clone())
        .collect();
    let known = instances.into_iter().map(|instance| {
        let clients = clients(&instance, &proxies);
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
    let one = join(
        together
            .into_iter()
            .map(|(instance, clients)| (instance, clients.unwrap_or_default()))
            .collect(),
    );
    std::iter::once(one)
        .chain(alone.into_iter().map(|(instance, _)| instance))
        .collect()
}

/// The clients of a proxy, each with its rights; `None` where they are not known, or cannot be told
/// apart by their services.
fn clients(instance: &Instance, proxies: &[String]) -> Option<Vec<(String, Rights)>> {
    let Instance { settings, plan } = instance;
    let service = settings.service.as_deref()?;
    let is_simple = plan.frontends.len() == 1
        && plan.frontends[0].port().is_some()
        && plan.frontends[0].keys.is_empty();
    // Clients on the host have no service.
    if !is_simple || settings.key("ports").is_some() || settings.key("network_mode").is_some() {
        return None;
    }
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
            all.push((name.clone(), class.rights.clone()));
        }
    }
    if plan.profiles.is_empty() {
        let names = found(
            &settings.project,
            service,
            settings.container_name(),
            proxies,
        );
        all.extend(names.into_iter().map(|name| (name, plan.default.clone())));
    }
    (!all.is_empty()).then_some(all)
}

/// The services that use a proxy: those that name its address or depend on it; if none does, those
/// that share a network with it.
fn found(
    project: &Project,
    service: &str,
    container: Option<&str>,
    proxies: &[String],
) -> Vec<String> {
    let others = || {
        project
            .services
            .iter()
            .filter(|(name, _)| !proxies.contains(name))
    };
    let hosts: Vec<String> = [Some(service), container]
        .into_iter()
        .flatten()
        .map(|name| format!("//{name}"))
        .collect();
    let names_it = |text: &str| {
        let is_whole = |end: usize| text[end..].is_empty() || text[end..].starts_with([':', '/']);
        hosts.iter().any(|host| {
            text.match_indices(host.as_str())
                .any(|(at, _)| is_whole(at + host.len()))
        })
    };
    let named = others().filter(|(_, node)| {
        node.texts().into_iter().any(names_it)
            || node
                .get("depends_on")
                .is_some_and(|on| on.names().contains(&service))
    });
    let named: Vec<_> = named.map(|(name, _)| name.clone()).collect();
    if !named.is_empty() {
        return named;
    }
    let own = networks(project, service);
    others()
        .filter(|(name, _)| {
            networks(project, name)
                .iter()
                .any(|network| own.contains(network))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

fn networks(project: &Project, service: &str) -> Vec<String> {
    let node = project
        .services
        .iter()
        .find(|(name, _)| name == service)
        .and_then(|(_, node)| node.get("networks"));
    node.map_or_else(
        || vec!["default".to_owned()],
        |node| node.names().into_iter().map(str::to_owned).collect(),
    )
}

fn join(mut all: Vec<(Instance, Vec<(String, Rights)>)>) -> Instance {
    let names: Vec<String> = all
        .iter()
        .filter_map(|(instance, _)| instance.settings.service.clone())
        .collect();
    let project = std::rc::Rc::clone(&all[0].0.settings.project);
    let mut of_client: BTreeMap<String, (Vec<String>, Rights)> = BTreeMap::new();
    for (instance, clients) in &all {
        for (client, rights) in clients {
            let (proxies, known) = of_client.entry(client.clone()).or_default();
            proxies.extend(instance.settings.service.clone());
            add(known, rights);
        }
    }
    let mut classes: Vec<Class> = Vec::new();
    for (client, (proxies, rights)) in of_client {
        let conditions = project.service(&client);
        let name = profile_name(&proxies.join("-and-"));
        match classes
            .iter_mut()
            .find(|class| class.name == name && class.rights.rules == rights.rules)
        {
            Some(class) => class.clients.push(conditions),
            None => {
                let is_taken = classes.iter().any(|class| class.name == name);
                let name = if is_taken {
                    format!("{name}-{}", profile_name(&conditions[0].1))
                } else {
                    name
                };
                classes.push(Class {
                    name,
                    clients: vec![conditions],
                    rights,
                });
            }
        }
    }
    let others: Vec<_> = all.drain(1..).map(|(instance, _)| instance).collect();
    let (mut one, _) = all.swap_remove(0);
    share_networks(&mut one.settings, &others, &project);
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
        one.plan.is_incomplete |= other.plan.is_incomplete;
        for note in other.plan.notes {
            if !one.plan.notes.contains(&note) {
                one.plan.notes.push(note);
            }
        }
    }
    one.plan.default = Rights::default();
    one.plan.profiles = classes;
    let what = format!(
        "{} are one instance: it has the names of all of them, and tells clients apart by their \
        Compose services; services of other compose files have no rights: add them to clients. \
        Where a service depends on another name than {}, write that",
        names.join(", "),
        names[0]
    );
    one.plan.notes.push(Note::new(Kind::Different, what));
    one
}

/// Adds rights to others: a client of two proxies had what either allowed.
fn add(known: &mut Rights, more: &Rights) {
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
fn share_networks(settings: &mut Settings, others: &[Instance], project: &Project) {
    let mut joined: Vec<(String, Value)> = match settings.key("networks") {
        Some(Value::Map(pairs)) => pairs.clone(),
        _ => networks(project, settings.service.as_deref().unwrap_or_default())
            .into_iter()
            .map(|name| (name, Value::Null))
            .collect(),
    };
    for other in others.iter().map(|instance| &instance.settings) {
        let service = other.service.clone().unwrap_or_default();
        let aliases: Vec<_> = std::iter::once(service.as_str())
            .chain(other.container_name())
            .collect();
        for network in networks(project, &service) {
            let at = joined
                .iter()
                .position(|(name, _)| *name == network)
                .unwrap_or_else(|| {
                    joined.push((network, Value::Null));
                    joined.len() - 1
                });
            let theirs = other
                .key("networks")
                .and_then(|node| node.get(&joined[at].0)?.get("aliases"));
            let all = aliases
                .iter()
                .copied()
                .chain(theirs.map(Value::texts).unwrap_or_default());
            let mut pairs = joined[at].1.pairs().to_vec();
            let known = pairs
                .iter()
                .position(|(key, _)| key == "aliases")
                .map(|at| pairs.remove(at).1);
            let mut items = known
                .map(|known| known.items().to_vec())
                .unwrap_or_default();
            for alias in all.map(Value::text) {
                if !items.contains(&alias) {
                    items.push(alias);
                }
            }
            pairs.push(("aliases".to_owned(), Value::List(items)));
            joined[at].1 = Value::Map(pairs);
        }
    }
    settings.keys.retain(|(key, _)| key != "networks");
    settings
        .keys
        .push(("networks".to_owned(), Value::Map(joined)));
}
