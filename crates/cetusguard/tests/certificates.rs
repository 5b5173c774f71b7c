//! Clients told by the certificate that they show.

use cetusguard_testkit::{Certs, Client, Engine, Proxy, ProxyBuilder, Response, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const PATHS: [&str; 6] = ["/cn", "/dns", "/ip", "/uri", "/pin", "/net"];

fn start(engine: &Engine, folder: &TempDir, certs: &Certs, pin: &str) -> Proxy {
    let file = format!(
        "rules: GET /events
log-level: 7
frontend-addr: tcp://127.0.0.1:0
frontend-tls-cacert: {}
frontend-tls-cert: {}
frontend-tls-key: {}
profiles:
  cn: {{rules: GET /cn, clients: [{{cert-cn: ci-*}}]}}
  dns: {{rules: GET /dns, clients: [{{cert-dns: '*.Example.com'}}]}}
  ip: {{rules: GET /ip, clients: [{{cert-ip: 10.0.0.7}}]}}
  uri: {{rules: GET /uri, clients: [{{cert-uri: 'spiffe://example.com/*'}}]}}
  pin: {{rules: GET /pin, clients: [{{cert-sha256: {pin}}}]}}
  both: {{rules: 'GET /(cn|dns)', clients: [{{cert-cn: ci-*, cert-dns: both.example.com}}]}}
  net: {{rules: GET /net, clients: [{{address: 127.0.0.0/8}}]}}
",
        certs.file("ca.pem"),
        certs.file("server.pem"),
        certs.file("server.key")
    );
    let path = folder.write("config.yaml", &file);
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address());
    proxy.expect_frontend().start()
}

fn ask(proxy: &Proxy, certs: &Certs, own: &str, path: &str) -> Response {
    Client::connect_tls(proxy.address(), certs.client(Some(own))).request(&format!("GET {path}"))
}

/// SHA-256 in hexadecimal digits, by a program that others use to make pins.
fn sha256(bytes: &[u8]) -> String {
    let folder = TempDir::new();
    std::fs::write(folder.path().join("key"), bytes).expect("a file");
    let output = std::process::Command::new("sha256sum")
        .arg(folder.path().join("key"))
        .output()
        .expect("coreutils");
    String::from_utf8_lossy(&output.stdout)
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_client_is_told_by_what_its_certificate_says() {
    let (engine, folder, certs) = (Engine::ok(), TempDir::new(), Certs::make());
    certs.client_named("cn", "ci-7", &["ci.test"]);
    certs.client_named(
        "near",
        "xci-7",
        &["example.com", "xexample.com", "10.0.0.70"],
    );
    certs.client_named("dns", "x", &["a.EXAMPLE.com"]);
    certs.client_named("ip", "", &["10.0.0.7"]);
    certs.client_named("uri", "x", &["spiffe://example.com/ci"]);
    certs.client_named("both", "ci-8", &["both.example.com"]);
    certs.client_named("torn", "ci-9", &["torn.example.com"]);
    let pin = sha256(&certs.client_named("pin", "", &[]));
    let proxy = start(&engine, &folder, &certs, &pin);
    for (own, want) in [
        ("cn", &["/cn"][..]),
        ("dns", &["/dns"]),
        ("ip", &["/ip"]),
        ("uri", &["/uri"]),
        ("pin", &["/pin"]),
        // Who asks for more goes first.
        ("both", &["/cn", "/dns"]),
        // What a certificate says goes before an address; where it says nothing of the kind, the
        // address counts.
        ("near", &["/net"]),
    ] {
        let got: Vec<_> = PATHS
            .into_iter()
            .filter(|path| ask(&proxy, &certs, own, path).status == 200)
            .collect();
        assert_eq!(got, want, "{own}");
    }
    let refused = ask(&proxy, &certs, "torn", "/cn");
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .body
            .contains("one of profile cn and of profile dns"),
        "{}",
        refused.body
    );
    let line = proxy.logged(&["request allowed", "path=/cn "]);
    assert!(line.contains(" certificate=ci-7 profile=cn "), "{line}");
    // A certificate of nobody's does not get as far as a profile.
    assert_eq!(ask(&proxy, &certs, "stranger", "/net").status, 0);
    assert_eq!(
        Client::connect_tls(proxy.address(), certs.client(None))
            .request("GET /net")
            .status,
        0
    );
}
