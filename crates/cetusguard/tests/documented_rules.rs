//! The rule sets that users find in the documentation mean what it says.

use cetusguard_testkit::simulator::Simulator;
use cetusguard_testkit::{Engine, Proxy, ProxyBuilder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

fn simulated() -> Engine {
    let simulator = Simulator::default();
    Engine::start(move |exchange, link| simulator.answer(exchange, link))
}

/// As compose writes them: one variable, several lines, comments.
fn proxy(engine: &Engine, rules: &str) -> Proxy {
    let builder = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .frontend("tcp://127.0.0.1:0");
    builder
        .env("CETUSGUARD_RULES", rules)
        .env("CETUSGUARD_LOG_LEVEL", "7")
        .start()
}

const BASIC: &str = "
  GET %API_PREFIX_EVENTS%                        # Event stream
  GET,HEAD,POST %API_PREFIX_EXEC%(/.*)?         # Container exec
  GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?   # Container operations
  GET,HEAD %API_PREFIX_IMAGES%(/.*)?            # Image read-only
  GET,HEAD %API_PREFIX_VOLUMES%(/.*)?           # Volume read-only
  GET,HEAD %API_PREFIX_NETWORKS%(/.*)?          # Network read-only
  GET,HEAD %API_PREFIX_BUILD%(/.*)?             # Build read-only
";
const READ_ONLY: &str = "
  GET %API_PREFIX_EVENTS%
  GET,HEAD %API_PREFIX_EXEC%(/.*)?
  GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?
  GET,HEAD %API_PREFIX_IMAGES%(/.*)?
  GET,HEAD %API_PREFIX_VOLUMES%(/.*)?
  GET,HEAD %API_PREFIX_NETWORKS%(/.*)?
  GET,HEAD %API_PREFIX_BUILD%(/.*)?
";
const SPECIFIC: &str = "
  GET %API_PREFIX_CONTAINERS%/json              # List only
  GET %API_PREFIX_CONTAINERS%/.*/json          # Inspect only
  GET %API_PREFIX_CONTAINERS%/.*/logs          # Logs only
  GET %API_PREFIX_IMAGES%/json                  # Image list only
";
const CUSTOM: &str = "
  # Allow GET and HEAD for all container endpoints
  GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?

  # Allow POST only for specific actions
  POST %API_PREFIX_CONTAINERS%/.*/start
  POST %API_PREFIX_CONTAINERS%/.*/stop
  POST %API_PREFIX_CONTAINERS%/.*/restart

  # Allow exec access (GET for info, POST for execution)
  GET,POST %API_PREFIX_EXEC%(/.*)?

  # Read-only image access
  GET,HEAD %API_PREFIX_IMAGES%(/.*)?
";
const MANAGEMENT: &str = "
  GET %API_PREFIX_EVENTS%
  GET,HEAD,POST %API_PREFIX_EXEC%(/.*)?
  GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?
  GET,HEAD %API_PREFIX_IMAGES%(/.*)?
";
const MONITORING: &str = "
  GET %API_PREFIX_EVENTS%
  GET,HEAD,POST %API_PREFIX_EXEC%(/.*)?
  GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?
  GET,HEAD %API_PREFIX_IMAGES%(/.*)?
";
const DISPLAY: &str = "
  GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?
  GET,HEAD %API_PREFIX_IMAGES%(/.*)?
";

/// The documentation's four checks, and its log.
#[test]
fn the_four_access_checks() {
    let engine = simulated();
    let proxy = proxy(&engine, BASIC);
    let mut client = proxy.client();
    assert!(
        client
            .request("GET /v1.43/containers/json")
            .body
            .contains("/web")
    );
    assert_eq!(
        client.request("POST /v1.43/containers/db/start").status,
        204
    );
    assert_eq!(client.request("DELETE /v1.43/containers/db").status, 403);
    assert_eq!(client.request("POST /v1.43/images/create").status, 403);
    assert_eq!(client.request("GET /version").status, 200);
    assert!(
        proxy
            .logged(&["method=POST", "/start"])
            .contains("status=204")
    );
    assert!(
        proxy
            .logged(&["method=POST", "/images/create"])
            .contains("status=403")
    );
}

/// Requests, and under which of the rule sets they are allowed.
#[test]
fn every_rule_set_grants_what_it_says() {
    let sets = [
        BASIC, READ_ONLY, SPECIFIC, CUSTOM, MANAGEMENT, MONITORING, DISPLAY,
    ];
    let engine = Engine::start(|exchange, link| match exchange.line.contains("/exec/") {
        // A command is judged before it is started.
        true => link.answer(200, "{\"ProcessConfig\":{\"privileged\":false}}"),
        false => link.answer(200, "OK"),
    });
    let proxies: Vec<Proxy> = sets.iter().map(|rules| proxy(&engine, rules)).collect();
    for (request, want) in [
        ("GET /_ping", "yyyyyyy"),
        ("GET /v1.43/info", "yyyyyyy"),
        ("GET /events", "yy--yy-"),
        ("GET /containers/json?all=1", "yyyyyyy"),
        ("HEAD /containers/json", "yyyyyyy"),
        ("GET /containers/web/json", "yyyyyyy"),
        ("GET /containers/web/logs?follow=1", "yyyyyyy"),
        ("GET /containers/web/top", "yy-yyyy"),
        ("POST /containers/web/start", "y--yy--"),
        ("POST /containers/web/pause", "y---y--"),
        ("POST /containers/create", "y---y--"),
        ("POST /containers/web/exec", "y--yyy-"),
        ("POST /exec/0a1b/start", "y--yyy-"),
        ("GET /exec/0a1b/json", "yy-yyy-"),
        ("GET /images/json", "yyyyyyy"),
        ("GET /images/ghcr.io/a/b:1/json", "yy-yyyy"),
        ("GET /volumes", "yy-----"),
        ("GET /networks/n", "yy-----"),
        ("POST /images/create?fromImage=x", "-------"),
        ("POST /images/x/push", "-------"),
        ("POST /build", "-------"),
        ("DELETE /containers/web", "-------"),
        ("PUT /containers/web/archive", "-------"),
        ("GET /containers/web/archive", "-------"),
        ("GET /containers/web/export", "-------"),
        ("GET /images/x/get", "-------"),
        ("GET /secrets", "-------"),
        ("POST /volumes/create", "-------"),
    ] {
        let got: String = proxies
            .iter()
            .map(|proxy| {
                if proxy.client().request(request).status == 200 {
                    'y'
                } else {
                    '-'
                }
            })
            .collect();
        assert_eq!(got, want, "{request}");
    }
}
