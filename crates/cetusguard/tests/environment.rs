//! A configuration in the environment alone: profiles by their variables, and the whole file in
//! one.

use cetusguard_testkit::{Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

fn errors(builder: ProxyBuilder) -> String {
    let (code, _, errors) = builder.run();
    assert_eq!(code, Some(2), "{errors}");
    errors
}

fn status(proxy: &Proxy, request: &str) -> u16 {
    proxy.client().request(request).status
}

#[test]
fn profiles_come_from_the_environment() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let rules = folder.write("some rules", "GET %API_PREFIX_EVENTS%");
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "ALLOW image.list")
        .env(
            "CETUSGUARD_PROFILE_HOME_PAGE_CLIENTS",
            "address=127.0.0.1\naddress=::1",
        )
        .env(
            "CETUSGUARD_PROFILE_HOME_PAGE_RULES",
            "\n  ALLOW container.list # why\n  DENY GET %API_PREFIX_VERSION%\n",
        )
        .env("CETUSGUARD_PROFILE_HOME_PAGE_RULES_FILE", &rules)
        .env("CETUSGUARD_PROFILE_HOME_PAGE_NO_BUILTIN_RULES", "false")
        .env(
            "CETUSGUARD_PROFILE_HOME_PAGE_GUARD_ALLOW",
            "bind=/srv/a,bind=/srv/b",
        )
        .env("CETUSGUARD_PROFILE_HOME_PAGE_MODE", "")
        .env("CETUSGUARD_LOG_LEVEL", "7")
        .start();
    for (request, want) in [
        ("GET /containers/json", 200),
        ("GET /info", 200),
        ("GET /version", 403),
        ("GET /images/json", 403),
    ] {
        assert_eq!(status(&proxy, request), want, "{request}");
    }
    let _ = proxy.logged(&[
        "profile=home-page",
        "CETUSGUARD_PROFILE_HOME_PAGE_RULES:2",
        "ALLOW container.list",
    ]);
    let _ = proxy.logged(&[
        "profile=home-page",
        "some rules:1",
        "GET %API_PREFIX_EVENTS%",
    ]);
    assert!(
        !proxy
            .log()
            .iter()
            .any(|line| line.contains("has no effect"))
    );
    let (_, checked, _) = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--frontend-addr", "tcp://127.0.0.1:0")
        .env(
            "CETUSGUARD_PROFILE_CI_CLIENTS",
            "compose-project=shop compose-service=ci-*, address=10.0.0.7",
        )
        .env("CETUSGUARD_PROFILE_CI_PRESETS", "homepage,dozzle")
        .env(
            "CETUSGUARD_PROFILE_CI_GUARD_ALLOW",
            "bind=/srv/a,bind=/srv/b",
        )
        .run();
    for want in [
        "profile ci: enforced",
        "compose-project shop and compose-service ci-*",
        "address 10.0.0.7",
        "guard-allow bind=/srv/b",
    ] {
        assert!(checked.contains(want), "{want} in {checked}");
    }
}

#[test]
fn the_environment_completes_the_file_and_does_not_contradict_it() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let config = folder.write(
        "c.yaml",
        "profiles:\n  Home.Page:\n    clients: [{address: 127.0.0.0/8}]\n    mode: enforce\n",
    );
    let builder = || {
        ProxyBuilder::bare(PROGRAM)
            .arg("--config", &config)
            .arg("--backend-addr", &engine.address())
    };
    let proxy = builder()
        .frontend("tcp://127.0.0.1:0")
        .env("CETUSGUARD_PROFILE_HOME_PAGE_RULES", "ALLOW container.list")
        .start();
    assert_eq!(
        (
            status(&proxy, "GET /containers/json"),
            status(&proxy, "GET /images/json")
        ),
        (200, 403)
    );
    let told = errors(builder().env("CETUSGUARD_PROFILE_HOME_PAGE_MODE", "audit"));
    assert!(
        told.contains(
            "CETUSGUARD_PROFILE_HOME_PAGE_MODE says what the file says already: mode of the \
            profile Home.Page"
        ),
        "{told}"
    );
    let told = errors(builder().env("CETUSGUARD_PROFILE_HOME_PAGE_CLIENTS", "user=1"));
    assert!(
        told.contains("says what the file says already: clients"),
        "{told}"
    );
}

#[test]
fn what_is_wrong_with_a_variable_is_told() {
    for (name, value, want) in [
        (
            "CETUSGUARD_PROFILE_CI_RULE",
            "x",
            "did you mean CETUSGUARD_PROFILE_CI_RULES?",
        ),
        (
            "CETUSGUARD_PROFILE_MY_CI_GUARD_ALOW",
            "x",
            "did you mean CETUSGUARD_PROFILE_MY_CI_GUARD_ALLOW?",
        ),
        (
            "CETUSGUARD_PROFILE_CI_COLOUR",
            "x",
            "expected CETUSGUARD_PROFILE_NAME_KEY, where KEY is one of GUARD",
        ),
        (
            "CETUSGUARD_PROFILE_RULES",
            "GET /x",
            "expected CETUSGUARD_PROFILE_NAME_KEY",
        ),
        (
            "CETUSGUARD_PROFILE_ci_RULES",
            "GET /x",
            "expected capital letters, digits and underscores",
        ),
        (
            "CETUSGUARD_PROFILE_CI_RULES",
            "GET /x",
            "nothing reaches the profile ci",
        ),
        (
            "CETUSGUARD_PROFILE_DEFAULT_RULES",
            "GET /x",
            "the profile default is made by the options",
        ),
        (
            "CETUSGUARD_PROFILE_CI_RULES",
            "GET /x\nALLOW container.lst",
            "--> CETUSGUARD_PROFILE_CI_RULES:2:7",
        ),
        (
            "CETUSGUARD_PROFILE_CI_CLIENTS",
            "colour=red",
            "has the condition \"colour=red\"",
        ),
        (
            "CETUSGUARD_PROFILE_CI_CLIENTS",
            " , ",
            "which holds no value",
        ),
        (
            "CETUSGUARD_PROFILE_CI_PRESETS",
            " , ",
            "which holds no value",
        ),
        (
            "CETUSGUARD_PROFILE_CI_CLIENTS",
            "address=10.0.0.1 container=web",
            "conditions that are about different things",
        ),
        (
            "CETUSGUARD_PROFILE_CI_MODE",
            "adit",
            "CETUSGUARD_PROFILE_CI_MODE is \"adit\"\n  = expected enforce or audit",
        ),
        (
            "CETUSGUARD_CONFIG_DATA",
            "log-level: 1\nmde: audit\n",
            "--> CETUSGUARD_CONFIG_DATA:2:1",
        ),
        (
            "CETUSGUARD_CONFIG_DATA",
            "\n\nrules: |\n  GET /x\n  GET /(\n",
            "--> CETUSGUARD_CONFIG_DATA:5:8",
        ),
        ("CETUSGUARD_CONFIG_DATA", "config: x", "unknown key config"),
    ] {
        let told = errors(ProxyBuilder::bare(PROGRAM).env(name, value));
        assert!(told.contains(want), "{name}: {want} in {told}");
    }
    let folder = TempDir::new();
    let config = folder.write("c.yaml", "log-level: 6\n");
    let both = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &config)
        .env("CETUSGUARD_CONFIG_DATA", "log-level: 6");
    let told = errors(both);
    assert!(
        told.contains("CETUSGUARD_CONFIG_DATA gives a configuration beside that of --config"),
        "{told}"
    );
    // What Kubernetes sets for a service is none of a profile.
    let (code, out, _) = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .env("CETUSGUARD_PROFILE_CI_SERVICE_HOST", "10.0.0.1")
        .run();
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn one_variable_holds_the_whole_file() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let more = folder.write("more.rules", "ALLOW image.list");
    let data = format!(
        "\nbackend-addr: {}\nrules-file: {more}\nlog-level: 7\nfrontends:\n  - {{addr: \
        'tcp://127.0.0.1:0', profile: door}}\nprofiles:\n  door:\n    rules: |\n      ALLOW \
        container.list\n      ALLOW image.list(x\n",
        engine.address()
    );
    let told = errors(ProxyBuilder::bare(PROGRAM).env("CETUSGUARD_CONFIG_DATA", &data));
    assert!(told.contains("--> CETUSGUARD_CONFIG_DATA:11:23"), "{told}");
    let data = data.replace(
        "      ALLOW image.list(x\n",
        &format!("    rules-file: {more}\n"),
    );
    let proxy = ProxyBuilder::bare(PROGRAM)
        .expect_frontend()
        .env("CETUSGUARD_CONFIG_DATA", &data)
        .start();
    assert_eq!(
        (
            status(&proxy, "GET /containers/json"),
            status(&proxy, "GET /images/json")
        ),
        (200, 200)
    );
    let _ = proxy.logged(&[
        "profile=door",
        "CETUSGUARD_CONFIG_DATA:10",
        "ALLOW container.list",
    ]);
    // A reload reads the files again, and keeps what the variable says.
    folder.write("more.rules", "ALLOW volume.list");
    eventually("the configuration is read again", || {
        status(&proxy, "GET /volumes") == 200
    });
    assert_eq!(
        (
            status(&proxy, "GET /containers/json"),
            status(&proxy, "GET /images/json")
        ),
        (200, 403)
    );
}
