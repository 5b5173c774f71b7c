//! Proxies with a switch for each section of the API: Tecnativa's, and LinuxServer's, which is made
//! after it.
//!
//! Facts: `haproxy.cfg`, `Dockerfile` and `docker-entrypoint.sh` of Tecnativa/docker-socket-proxy,
//! 0.4 and its main branch of September 2026, which has switches for methods and for parts of
//! `CONTAINERS`; and of linuxserver/docker-socket-proxy, which has switches for other parts since
//! 18 August 2026.

use cetusguard_policy::Method;
use cetusguard_policy::endpoint::Endpoint;

use super::lines::Lines;
use super::note::NoteKind;
use super::plan::{PeerDecisions, Plan};
use super::settings::PeerSettings;
use super::switches::{ACTIONS, ClosedPart, LIBPOD_SECTIONS, SECTIONS, SwitchFamily, Switches};

/// Variables that are not switches.
const OTHERS: &[&str] = &[
    "SOCKET_PATH",
    "LOG_LEVEL",
    "DISABLE_IPV6",
    "BIND_CONFIG",
    "TZ",
];

/// Plans for switches.
pub(super) fn plan(settings: &PeerSettings, gate: SwitchFamily, plan: &mut Plan) {
    let switches = Switches::new(settings, gate);
    for section in SECTIONS.iter().filter(|section| switches.is_on(section)) {
        open_section(&switches, "", section, plan);
    }
    for section in LIBPOD_SECTIONS
        .iter()
        .filter(|section| switches.opens_libpod(section))
    {
        open_section(&switches, "LIBPOD_", section, plan);
    }
    open_actions(&switches, plan);
    parts_without_section(&switches, plan);
    plan.default.peer = peer_of_switches(&switches);
    note_unknown_variables(&switches, plan);
    plan.note(NoteKind::Hint, switches.assumption());
    super::haproxy::plan(settings, plan);
    plan.note(
        NoteKind::Different,
        "paths are compared whole and in their own case; there, by their beginning and in any case",
    );
}

fn peer_of_switches(switches: &Switches) -> PeerDecisions {
    let (strictest, loosest) = (switches.clone(), switches.clone());
    PeerDecisions::with_older(
        move |method, path| {
            strictest
                .generations()
                .all(|generation| strictest.allows(generation, method, path))
        },
        move |method, path| {
            loosest
                .generations()
                .any(|generation| loosest.allows(generation, method, path))
        },
    )
}

/// Opens a section with everything below it, except for the parts that have switches of their own
/// and are closed.
fn open_section(switches: &Switches, engine: &str, section: &str, plan: &mut Plan) {
    let name = format!("{engine}{section}");
    let word = section_word(engine, section);
    let from = format!("{name}=1");
    let methods = switches.methods();
    let below = || Endpoint::all().filter(|endpoint| starts_with(endpoint.shape, &word));
    let has = |method: Method| {
        below().any(|endpoint| {
            endpoint.method == method || (method == Method::Head && endpoint.method == Method::Get)
        })
    };
    let useful: Vec<_> = methods
        .iter()
        .filter(|method| has(**method))
        .map(|method| method.as_str())
        .collect();
    if useful.is_empty() {
        plan.note(
            NoteKind::Different,
            format!("{name}=1 opens nothing without POST=1"),
        );
        return;
    }
    let is_parted = below().any(|endpoint| {
        switches
            .part_of(endpoint)
            .is_some_and(|part| !switches.is_on(part.switch))
    });
    if !is_parted {
        // Here, the variable for exec covers more than the section.
        let start = match (engine, section) {
            ("", "EXEC") => "%API_PREFIX%/exec".to_owned(),
            (_, "EXEC") => "%API_PREFIX_LIBPOD%/exec".to_owned(),
            _ => format!("%API_PREFIX_{name}%"),
        };
        let is_deep = below().any(|endpoint| endpoint.shape.len() > word.len());
        let rest = if is_deep { "(/.*)?" } else { "" };
        plan.rule(format!("{} {start}{rest}", useful.join(",")), from.clone());
    }
    let mut lines = Lines::default();
    for endpoint in below().filter(|endpoint| methods.contains(&endpoint.method)) {
        let is_opened = |part: &ClosedPart| switches.is_on(part.switch);
        match switches.part_of(endpoint) {
            // A switch that names it is a name; a section is a wildcard.
            Some(part) if is_opened(part) && (is_parted || endpoint.is_named_only()) => {
                lines.add(endpoint)
            }
            None if is_parted && !endpoint.is_named_only() => lines.add(endpoint),
            _ => {}
        }
    }
    lines
        .into_rules()
        .for_each(|rule| plan.rule(rule, from.clone()));
}

/// Returns the first word of the paths of a section.
fn section_word(engine: &str, section: &str) -> String {
    let engine = if engine.is_empty() { "" } else { "/libpod" };
    match section {
        "PING" => format!("{engine}/_ping"),
        section => format!("{engine}/{}", section.to_lowercase()),
    }
}

pub(super) fn starts_with(shape: &str, word: &str) -> bool {
    shape
        .strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn open_actions(switches: &Switches, plan: &mut Plan) {
    for engine in ["", "LIBPOD_"] {
        for (name, actions) in ACTIONS {
            let name = format!("{engine}{name}");
            if !switches.is_on(&name) || (!engine.is_empty() && !switches.knows_libpod()) {
                continue;
            }
            let actions: Vec<_> = actions
                .iter()
                .filter(|action| !switches.denies_action(action))
                .copied()
                .collect();
            let actions = if let [action] = actions.as_slice() {
                (*action).to_owned()
            } else {
                format!("({})", actions.join("|"))
            };
            let rule =
                format!("POST %API_PREFIX_{engine}CONTAINERS%/%CONTAINER_ID_OR_NAME%/{actions}");
            match switches.actions_work() {
                true => plan.rule(rule, format!("{name}=1")),
                false => plan.note(
                    NoteKind::Hint,
                    format!(
                        "{name}=1 did nothing there without POST=1; if it was meant to work, \
                        add the rule: {rule}"
                    ),
                ),
            }
        }
    }
    for (name, actions) in ACTIONS {
        let name = name.replace("ALLOW_", "LIBPOD_ALLOW_POD_");
        if switches.knows_libpod() && switches.is_on(&name) {
            plan.rule(
                format!(
                    "POST %API_PREFIX_LIBPOD_PODS%/[^/]+/({})",
                    actions.join("|")
                ),
                format!("{name}=1"),
            );
        }
    }
}

/// Notes switches for a part of a section that is closed as a whole.
fn parts_without_section(switches: &Switches, plan: &mut Plan) {
    for part in switches
        .parts()
        .iter()
        .filter(|part| switches.is_on(part.switch) && !switches.is_on("CONTAINERS"))
    {
        // With POST alone, the actions of the same name may be open.
        let what = format!(
            "{}=1 opens nothing here without CONTAINERS=1; if it was meant to work, add the rule: \
            {} %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/{}",
            part.switch, part.method, part.word
        );
        plan.note(NoteKind::Different, what);
    }
}

/// Notes variables that the proxy does not read, and values that look on and are off.
fn note_unknown_variables(switches: &Switches, plan: &mut Plan) {
    for (name, value) in switches.written() {
        let is_switch = switches.knows(name);
        let looks_on = ["true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str());
        if !is_switch && !OTHERS.contains(&name.as_str()) {
            plan.note(
                NoteKind::Different,
                format!("{name} is no variable of that proxy: left out"),
            );
        } else if is_switch && looks_on {
            plan.note(
                NoteKind::Different,
                format!(
                    "{name}={value} was off there, where only numbers are on: left off; 1 is on"
                ),
            );
        }
    }
}
