//! The key `redact`: where a profile gets its redaction from.

use cetusguard_policy::Redaction;
use cetusguard_policy::endpoint::Endpoint;
use cetusguard_testkit::{ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

fn check(config: &str, option: Option<&str>) -> (Option<i32>, String, String) {
    let folder = TempDir::new();
    let file = folder.write("cetusguard.yaml", config);
    let check = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--config", &file)
        .arg("--format", "json");
    match option {
        Some(value) => check.env("CETUSGUARD_REDACT", value).run(),
        None => check.run(),
    }
}

/// Returns the redaction of each profile, as `check` prints it.
fn redactions(config: &str, option: Option<&str>) -> Vec<String> {
    let (_, out, errors) = check(config, option);
    assert_eq!(errors, "", "{config}");
    let report: serde_json::Value = serde_json::from_str(&out).expect(&out);
    let profiles = report["profiles"].as_array().expect("profiles");
    let values = profiles.iter().map(|profile| {
        let values = profile["redact"].as_array().expect("redact");
        let values: Vec<_> = values.iter().filter_map(|value| value.as_str()).collect();
        values.join(" ")
    });
    values.collect()
}

const SECRETS: &str = "env commands proxies tokens";

#[test]
fn a_profile_has_its_own_redaction_or_that_of_the_option_or_of_its_presets() {
    for (config, option, want) in [
        ("rules: GET /info", None, ""),
        ("redact: secrets", None, SECRETS),
        (
            "redact: [env, labels=traefik.*]",
            None,
            "env labels=traefik.*",
        ),
        ("redact: env, host-paths", None, "env host-paths"),
        ("rules: GET /info", Some("tokens,host"), "tokens host"),
        ("presets: homepage", None, SECRETS),
        ("presets: [homepage, dozzle]", None, SECRETS),
        // Both clients work without these.
        (
            "presets: [homepage, nginx-proxy]",
            None,
            "commands proxies tokens",
        ),
        (
            "presets: nginx-proxy, homepage",
            None,
            "commands proxies tokens",
        ),
        // A client that recreates containers needs what they hold.
        ("presets: [homepage, portainer]", None, ""),
        ("presets: watchtower", None, ""),
        (
            "presets: dozzle\nrules: POST %API_PREFIX_CONTAINERS%/create",
            None,
            "",
        ),
        (
            "presets: dozzle\nrules: POST /v1.41/containers/create",
            None,
            "",
        ),
        ("presets: dozzle\nrules: ALLOW container.create", None, ""),
        (
            "presets: dozzle\nrules: POST %API_PREFIX_SERVICES%/web/update",
            None,
            "",
        ),
        (
            "presets: dozzle\nrules: DENY POST %API_PREFIX_CONTAINERS%/create",
            None,
            SECRETS,
        ),
        ("presets: homepage\nredact: none", None, ""),
        ("presets: homepage", Some("none"), ""),
        ("presets: homepage\nredact: users", None, "users"),
    ] {
        assert_eq!(redactions(config, option)[0], want, "{config} {option:?}");
    }
}

#[test]
fn a_profile_takes_its_own_redaction_in_the_place_of_the_option() {
    let config = "redact: env\nrules: GET /info\nprofiles:\n  \
        a: {clients: [{address: 10.0.0.1}], rules: GET /info}\n  \
        b: {clients: [{address: 10.0.0.2}], rules: GET /info, redact: [all]}\n  \
        c: {clients: [{address: 10.0.0.3}], rules: GET /info, redact: none}\n  \
        d: {clients: [{address: 10.0.0.4}], presets: homepage}\n\
        frontend-addr: tcp://127.0.0.1:1\n";
    let all = "env commands labels host-paths addresses registries proxies tokens host users";
    assert_eq!(redactions(config, None), ["env", "env", all, "", "env"]);
}

#[test]
fn a_value_that_is_no_class_is_a_mistake() {
    for (config, want) in [
        ("redact: envs", "did you mean env?"),
        (
            "redact: [env, everything]",
            "expected one of: env, commands,",
        ),
        ("redact: labels=", "labels"),
        ("redact: [none, env]", "expected none alone"),
        (
            "profiles:\n  a: {clients: [{address: 10.0.0.1}], redact: tokns}",
            "did you mean tokens?",
        ),
    ] {
        let (code, out, _) = check(config, None);
        assert_eq!(code, Some(2), "{config}: {out}");
        assert!(out.contains(want), "{config}: {out}");
    }
}

#[test]
fn explain_shows_the_redaction_of_a_call() {
    for (call, shown) in [
        ("/containers/web/json", true),
        ("/containers/web/logs", false),
    ] {
        let (_, out, errors) = ProxyBuilder::bare(PROGRAM)
            .word("explain")
            .arg("--presets", "dozzle")
            .word("GET")
            .word(call)
            .run();
        assert_eq!(errors, "", "{call}");
        let line = "env, commands, proxies, tokens in the answer";
        assert_eq!(out.contains(line), shown, "{call}: {out}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the page that it is about"
)]
fn the_page_lists_every_value_and_every_closed_endpoint() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redaction.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for (value, _) in Redaction::VALUES {
        assert!(page.contains(&format!("| `{value}` |")), "{value}");
    }
    let closing = page
        .split("## Endpoints that close")
        .nth(1)
        .and_then(|rest| rest.split("Two parameters").next())
        .expect("the section");
    let all = Redaction::read(["all"]).expect("a value");
    for endpoint in Endpoint::all() {
        let name = endpoint.id.name();
        assert_eq!(
            closing.contains(&format!("`{name}`")),
            all.closes(endpoint.id).is_some(),
            "{name}"
        );
    }
}
