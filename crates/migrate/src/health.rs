//! The health check, which asks for `/_ping` through a frontend. If clients cannot, it has a
//! frontend of its own, which only the container itself can reach.

use super::note::NoteKind;
use super::plan::{ClientClass, PeerDecisions, Plan, PlannedFrontend, Rights};
use super::settings::PeerSettings;
use super::yaml::ComposeValue;

/// The name of its profile.
const NAME: &str = "healthcheck";

/// Gives the health check a frontend where it needs one.
pub(super) fn plan(settings: &PeerSettings, plan: &mut Plan) {
    let wants_certificates =
        |frontend: &PlannedFrontend| frontend.keys.iter().any(|(key, _)| *key == "tls-cacert");
    let is_found_by_address = |class: &ClientClass| {
        class
            .clients
            .iter()
            .flatten()
            .any(|(key, _)| *key == "address")
    };
    let is_served = plan.default.allows_ping() && !plan.profiles.iter().any(is_found_by_address);
    if is_served && !plan.frontends.first().is_some_and(wants_certificates) {
        return;
    }
    let ports: Vec<&str> = plan
        .frontends
        .iter()
        .filter_map(PlannedFrontend::port)
        .collect();
    let port = ["2374", "2373"]
        .into_iter()
        .find(|port| !ports.contains(port))
        .unwrap_or("2372");
    let addr = format!("tcp://127.0.0.1:{port}");
    plan.frontends.push(PlannedFrontend {
        profile: Some(NAME.to_owned()),
        ..PlannedFrontend::at(addr.clone())
    });
    let rules = vec![("GET %API_PREFIX%/_ping".to_owned(), String::new())];
    let rights = Rights {
        rules,
        peer: PeerDecisions::default(),
        ..Rights::default()
    };
    plan.profiles.push(ClientClass {
        name: NAME.to_owned(),
        clients: Vec::new(),
        rights,
    });
    if settings.key("network_mode").map(ComposeValue::plain) == Some("host") {
        plan.note(
            NoteKind::Different,
            format!("programs on the host may ask for /_ping at {addr}, as the health check does"),
        );
    }
    plan.healthcheck = Some(addr);
}
