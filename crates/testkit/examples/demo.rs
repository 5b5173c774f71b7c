//! `make demo`: the proxy in front of this machine's engine, or of a simulated one, and five
//! requests through it.
//!
//! The first argument is the program to start.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the demonstration is what it prints"
)]

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cetusguard_testkit::simulator::Simulator;
use cetusguard_testkit::{Client, Engine, Proxy, ProxyBuilder};

/// What the documentation's basic setup allows.
const RULES: &str = "\
GET %API_PREFIX_EVENTS%                        # Event stream
GET,HEAD,POST %API_PREFIX_EXEC%(/.*)?         # Container exec
GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?   # Container operations
GET,HEAD %API_PREFIX_IMAGES%(/.*)?            # Image read-only
GET,HEAD %API_PREFIX_VOLUMES%(/.*)?           # Volume read-only
GET,HEAD %API_PREFIX_NETWORKS%(/.*)?          # Network read-only
GET,HEAD %API_PREFIX_BUILD%(/.*)?             # Build read-only
";
/// A body that an engine would take.
const TAKES_THE_HOST: &str =
    r#"{"Image":"busybox","HostConfig":{"Binds":["/:/host"],"Privileged":true}}"#;
const SOCKET: &str = "unix:///var/run/docker.sock";

fn main() {
    let Some(program) = std::env::args().nth(1) else {
        return eprintln!("name the program to start, as `make demo` does");
    };
    let (backend, simulated, container) = find_engine();
    let frontend = match TcpListener::bind("127.0.0.1:2375") {
        Ok(_) => "tcp://127.0.0.1:2375",
        Err(_) => {
            println!("Port 2375 is taken: using another one.");
            "tcp://127.0.0.1:0"
        }
    };
    let builder = ProxyBuilder::bare(&program)
        .arg("--backend-addr", &backend)
        .arg("--log-level", "7")
        .frontend(frontend);
    let mut proxy = builder.env("CETUSGUARD_RULES", RULES).start();
    println!("\nThe rules:\n");
    RULES.lines().for_each(|line| println!("    {line}"));

    check(
        &proxy,
        "1. List the containers: allowed.",
        "GET",
        "/v1.41/containers/json",
        "",
    );
    check(
        &proxy,
        "2. Start a container: allowed.",
        "POST",
        &format!("/v1.41/containers/{container}/start"),
        "",
    );
    check(
        &proxy,
        "3. Delete a container: refused.",
        "DELETE",
        &format!("/v1.41/containers/{container}"),
        "",
    );
    check(
        &proxy,
        "4. Pull an image: refused.",
        "POST",
        "/v1.41/images/create?fromImage=busybox",
        "",
    );
    let title = "5. Create a container that has the host: the rules allow it, the guard does not.";
    check(
        &proxy,
        title,
        "POST",
        "/v1.41/containers/create",
        TAKES_THE_HOST,
    );

    let address = proxy.address().to_owned();
    println!("\nThe proxy stays up. In another terminal:\n");
    println!("    curl {}/version", address.replace("tcp", "http"));
    println!("    docker -H {address} ps\n");
    println!("Its log follows; Ctrl-C stops it.\n");
    follow(&mut proxy);
    drop(simulated);
}

/// This machine's engine where one answers, else a simulated one; and a container to start: a
/// stopped one of the simulator's, or one that does not exist, since starting yours is not for a
/// demonstration to do.
fn find_engine() -> (String, Option<Engine>, &'static str) {
    let host = std::env::var("DOCKER_HOST")
        .ok()
        .filter(|host| host.starts_with("unix://"));
    let address = host.unwrap_or_else(|| SOCKET.to_owned());
    if UnixStream::connect(&address["unix://".len()..]).is_ok()
        && Client::connect(&address).request("GET /_ping").status == 200
    {
        println!("In front of this machine's engine at {address}.");
        return (address, None, "no-such-container");
    }
    println!(
        "No engine answers at {address}: in front of a simulated one, with two containers, web \
        (running) and db (stopped)."
    );
    let simulator = Simulator::default();
    let engine = Engine::start(move |exchange, link| simulator.answer(exchange, link));
    (engine.address(), Some(engine), "db")
}

/// One request: what is asked, what comes back, and what the log says of it.
fn check(proxy: &Proxy, title: &str, method: &str, path: &str, body: &str) {
    let request = format!("{method} {path}");
    let mut client = proxy.client();
    let response = if body.is_empty() {
        client.request(&request)
    } else {
        client.request_with(&request, body)
    };
    let path_only = path.split('?').next().unwrap_or_default();
    let line = proxy.logged(&["request_id=", &format!("method={method} path={path_only} ")]);
    println!("\n{title}\n");
    println!("    request   {method} {path} {body}");
    println!(
        "    answer    {} {}",
        response.status,
        response.body.trim().chars().take(420).collect::<String>()
    );
    println!("    decision  {}", field(&line, "msg"));
    for key in ["rule", "reason"] {
        match field(&line, key) {
            "" => {}
            value => println!("    {key:<9} {value}"),
        }
    }
}

/// The value of a key of a logfmt line, without its quotes.
fn field<'a>(line: &'a str, key: &str) -> &'a str {
    let Some((_, rest)) = line.split_once(&format!(" {key}=")) else {
        return "";
    };
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => rest.split(' ').next().unwrap_or_default(),
    }
}

/// Shows the log until the proxy ends.
fn follow(proxy: &mut Proxy) {
    let mut shown = proxy.log().len();
    while proxy.is_running() {
        for line in proxy.log().iter().skip(shown) {
            println!("{line}");
            shown += 1;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    proxy
        .log()
        .iter()
        .skip(shown)
        .for_each(|line| println!("{line}"));
}
