//! `docs/troubleshooting.md` quotes the program's own words: every message that it lists can be
//! printed, and the refusals that users meet first are listed.

use std::path::{Path, PathBuf};

use cetusguard_testkit::{Client, Engine, Proxy, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// The sections whose first column holds the program's own messages. In the others, it holds those
/// of clients.
const OWN: [&str; 3] = ["## An answer says", "## At the start", "## In the log"];

/// Words of the library for regular expressions. [`mistakes_are_found_on_the_page`] has the program
/// print them.
const NOT_OURS: [&str; 1] = ["unclosed group"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the documentation and the source that it is about"
)]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file of the repository")
}

fn page() -> String {
    read(&root().join("docs/troubleshooting.md"))
}

/// The messages of the page: the code spans in the first column of the tables in [`OWN`].
fn messages(page: &str) -> Vec<String> {
    let sections = page
        .split("\n## ")
        .skip(1)
        .map(|section| format!("## {section}"));
    let own = sections.filter(|section| OWN.iter().any(|heading| section.starts_with(heading)));
    let rows: Vec<String> = own
        .flat_map(|section| section.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let cells = rows.iter().filter_map(|row| {
        row.strip_prefix("| `")
            .and_then(|row| row.split(" | ").next())
    });
    let spans = cells.flat_map(|cell| {
        format!("`{cell}")
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    spans.collect()
}

/// Returns whether the text has the parts of the pattern in their order; `…` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    pattern
        .split('…')
        .all(|part| match rest.split_once(part.trim()) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
}

/// The source of the program without its tests, with each text that goes on in the next line put
/// together.
fn sources() -> String {
    let (mut all, mut folders) = (
        String::new(),
        vec![
            root().join("crates/cetusguard/src"),
            root().join("crates/proxy/src"),
            root().join("crates/config/src"),
            root().join("crates/migrate/src"),
            root().join("crates/http1/src"),
            root().join("crates/policy/src"),
        ],
    );
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .expect("a folder")
            .map_while(Result::ok)
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = read(&path);
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let parts: Vec<&str> = code.split("\\\n").collect();
                let joined = parts
                    .iter()
                    .enumerate()
                    .map(|(at, part)| if at == 0 { part } else { part.trim_start() });
                all.push_str(&joined.collect::<String>().replace("\\\"", "\""));
            }
        }
    }
    all
}

/// A message is put together from several texts: at names and numbers, and behind colons and
/// semicolons.
#[test]
fn every_message_of_the_page_is_in_the_source() {
    let (page, sources) = (page(), sources());
    let messages = messages(&page);
    assert!(messages.len() > 60, "{}", messages.len());
    let mut missing = Vec::new();
    for message in messages {
        let key = message
            .split_once('=')
            .filter(|(key, _)| matches!(*key, "msg" | "reason" | "decision" | "outcome"));
        let parts: Vec<&str> = match key {
            // A field of a log line: its values stand in the source by themselves.
            Some(_) => message
                .split(' ')
                .filter_map(|field| field.split_once('='))
                .map(|(_, value)| value)
                .collect(),
            None => message
                .split('…')
                .flat_map(|part| part.split(": "))
                .flat_map(|part| part.split("; "))
                .collect(),
        };
        let parts = parts
            .iter()
            .map(|part| part.trim_matches([' ', ':', ';', ',', '"', '[', '…']));
        let unknown = parts
            .filter(|part| part.len() > 2 && !NOT_OURS.contains(part) && !sources.contains(part));
        missing.extend(unknown.map(|part| format!("{part:?} of {message:?}")));
    }
    assert!(
        missing.is_empty(),
        "no text of the program has: {missing:#?}"
    );
}

fn simple(engine: &Engine, arguments: &[(&str, &str)]) -> Proxy {
    let rules = "GET /containers/json\nGET,POST %API_PREFIX_CONTAINERS%(/.*)?\nPOST .*\nDELETE .*";
    let builder = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--rules", rules);
    let builder = arguments
        .iter()
        .fold(builder, |builder, (name, value)| builder.arg(name, value));
    builder.frontend("tcp://127.0.0.1:0").start()
}

/// The answer to a request that is sent as it is.
fn answer_to(proxy: &Proxy, request: &str) -> String {
    let mut client = proxy.client();
    client.send(request);
    client.read_response().body
}

/// The messages that users meet first, as the program says them, are on the page.
#[test]
fn refusals_are_found_on_the_page() {
    let (page, engine) = (page(), Engine::ok());
    let patterns = messages(&page);
    let proxy = simple(&engine, &[]);
    let create = |body: &str| {
        proxy
            .client()
            .request_with("POST /containers/create", body)
            .body
    };
    let mut said = vec![
        proxy.client().request("GET /v1.43/secrets").body,
        proxy
            .client()
            .request("GET /v1.43/containers/web/export")
            .body,
        proxy.client().request("DELETE /future/x").body,
        proxy.client().request("POST /session").body,
        proxy.client().request("POST /swarm/init").body,
        create("{\"HostConfig\":{\"Binds\":[\"/etc:/x\"]}}"),
        create("{\"HostConfig\":{\"Privileged\":true}}"),
        create("{\"HostConfig\":1"),
        proxy.client().request("GET /v1.20/containers/json").body,
        answer_to(
            &proxy,
            "GET /containers/json HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n\r\n",
        ),
        answer_to(&proxy, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        answer_to(&proxy, "\u{16}\u{3}\u{1}\u{0}\u{5}hello\r\n\r\n"),
    ];
    let limited = simple(
        &engine,
        &[
            ("--user-agents-denied", "bad*"),
            ("--rate-limit", "1/h"),
            ("--rate-burst", "1"),
        ],
    );
    said.push(answer_to(
        &limited,
        "GET /containers/json HTTP/1.1\r\nHost: x\r\nUser-Agent: bad/1\r\n\r\n",
    ));
    for _ in 0..2 {
        said.push(limited.client().request("GET /containers/json").body);
    }
    said.retain(|body| body.contains("cetusguard:"));
    assert!(said.len() >= 14, "{said:#?}");
    for body in said {
        assert!(
            patterns.iter().any(|pattern| fits(pattern, &body)),
            "docs/troubleshooting.md lacks: {body}"
        );
    }
}

#[test]
fn an_engine_that_is_not_there_is_found_on_the_page() {
    let (page, folder) = (page(), TempDir::new());
    let patterns = messages(&page);
    let dead = folder.file("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).expect("a socket"));
    for (address, want) in [
        (folder.file("none.sock"), "no such socket"),
        (dead, "nothing listens there"),
    ] {
        let proxy = ProxyBuilder::bare(PROGRAM).arg("--backend-addr", &format!("unix://{address}"));
        let proxy = proxy.frontend("tcp://127.0.0.1:0").start();
        let body = Client::connect(proxy.address())
            .request("GET /version")
            .body;
        assert!(body.contains(want), "{body}");
        assert!(
            patterns
                .iter()
                .any(|pattern| pattern.contains(want) && fits(pattern, &body)),
            "{body}"
        );
    }
}

/// What keeps the program from starting is on the page as well.
#[test]
fn mistakes_are_found_on_the_page() {
    let (page, folder) = (page(), TempDir::new());
    let patterns = messages(&page);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = format!("tcp://{}", taken.local_addr().expect("bound"));
    let unreached = folder.write("unreached.yaml", "profiles:\n  p:\n    rules: GET /x\n");
    let listed = folder.write("listed.yaml", "frontends:\n- addr: unix:///run/x.sock\n");
    let bare = || ProxyBuilder::bare(PROGRAM);
    for (builder, want) in [
        (
            bare().arg("--rules", "GET %API_PREFIX_CONTAINER%/json"),
            "unknown variable",
        ),
        (bare().arg("--rules", "\"GET /x\""), "is not a method"),
        (bare().arg("--rules", "GET"), "the rule has no pattern"),
        (bare().arg("--rules", "GET /("), "unclosed group"),
        (
            bare().env("CETUSGUARD_RULE", "GET /x"),
            "unknown environment variable",
        ),
        (
            bare().env("CETUSGUARD_LOG_LEVEL", " "),
            "which holds no value",
        ),
        (
            bare().arg("--rules-file", &folder.file("none.rules")),
            "expected a readable file of rules",
        ),
        (
            bare().arg("--config", &unreached),
            "nothing reaches the profile",
        ),
        (
            bare()
                .arg("--config", &listed)
                .env("CETUSGUARD_FRONTEND_ADDR", "tcp://:2375"),
            "the image sets",
        ),
        (
            bare().arg("--frontend-addr", &taken),
            "another program listens there",
        ),
        (
            bare().arg(
                "--frontend-addr",
                &format!("unix://{}", folder.file("no/x.sock")),
            ),
            "make its folder first",
        ),
        (
            bare().arg("--frontend-addr", "fd://"),
            "systemd passed no listening socket",
        ),
        (
            bare()
                .arg("--frontend-addr", "tcp://127.0.0.1:2")
                .env("DOCKER_HOST", "tcp://127.0.0.1:2"),
            "own frontend",
        ),
    ] {
        let (code, _, errors) = builder.run();
        assert!(code != Some(0) && errors.contains(want), "{want}: {errors}");
        assert!(
            patterns.iter().any(|pattern| fits(pattern, &errors)),
            "docs/troubleshooting.md lacks: {errors}"
        );
    }
}

/// The code that writes refusals, and messages about addresses at the start.
const SPEAKING: [&str; 6] = [
    "crates/proxy/src/outcome/refusal.rs",
    "crates/proxy/src/engine/mod.rs",
    "crates/proxy/src/flow/listen/inherited.rs",
    "crates/proxy/src/flow/listen/sockets.rs",
    "crates/policy/src/denial.rs",
    "crates/policy/src/guard/objection.rs",
];

/// Texts of this code that are no messages: parts of HTTP.
const NO_MESSAGES: [&str; 11] = [
    "Connection: close",
    "Content Too Large",
    "Content-Length: ",
    "Content-Type: ",
    "HTTP/1.1 ",
    "Request Header Fields Too Large",
    "Retry-After: ",
    "Service Unavailable",
    "Too Many Requests",
    "{method} {target} HTTP/1.1",
    "{}{first}",
];

/// The texts of a source file without its tests and comments, with their lines put together.
fn texts(path: &Path) -> Vec<String> {
    let source = read(path);
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: Vec<&str> = code.lines().filter(is_code).collect();
    let code = code.join("\n").replace("\\\"", "\u{0}");
    let texts = code.split('"').skip(1).step_by(2);
    let in_one_line = |text: &str| {
        let parts: Vec<&str> = text.split("\\\n").collect();
        let joined = parts
            .iter()
            .enumerate()
            .map(|(at, part)| if at == 0 { part } else { part.trim_start() });
        joined.collect::<String>()
    };
    texts.map(in_one_line).collect()
}

/// The longest part of a text between values, sentences and colons.
fn longest_part(text: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0_usize;
    for letter in text.chars() {
        match letter {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                plain.push('\n');
            }
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    let plain = plain.replace("; ", "\n").replace(": ", "\n");
    let parts = plain.lines().map(|part| {
        part.trim_matches([' ', ',', ';', ':', '.', '`', '|', '\u{0}'])
            .to_owned()
    });
    parts.max_by_key(String::len).unwrap_or_default()
}

fn assert_listed(page: &str, path: &Path, text: &str) {
    let part = longest_part(text);
    // Shorter parts only join others.
    assert!(
        part.len() < 12 || page.contains(&part),
        "docs/troubleshooting.md lacks {part:?} of {text:?} in {}",
        path.display()
    );
}

/// A new message of a refusal, or about an address at the start, has to be explained.
#[test]
fn every_message_of_a_refusal_is_on_the_page() {
    let (page, mut count) = (page(), 0);
    for file in SPEAKING {
        let path = root().join(file);
        let texts = texts(&path);
        let is_message = |text: &&String| {
            let is_sentence = text.len() >= 16 && text.contains(' ');
            is_sentence && !NO_MESSAGES.iter().any(|other| text.starts_with(other))
        };
        for text in texts.iter().filter(is_message) {
            assert_listed(&page, &path, text);
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}

/// So has a warning or an error in the log.
#[test]
fn every_warning_of_the_log_is_on_the_page() {
    let (page, mut count) = (page(), 0);
    let mut folders = vec![
        root().join("crates/proxy/src"),
        root().join("crates/cetusguard/src"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .expect("a folder")
            .map_while(Result::ok)
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = read(&path);
            for level in ["Level::Warning,", "Level::Error,"] {
                let code = source.split("#[cfg(test)]").next().unwrap_or_default();
                for behind in code.split(level).skip(1) {
                    let Some(text) = behind.trim_start().strip_prefix('"') else {
                        continue;
                    };
                    let text = text.split('"').next().unwrap_or_default();
                    let lines = text.split("\\\n").map(str::trim_start);
                    assert_listed(&page, &path, &lines.collect::<String>());
                    count += 1;
                }
            }
        }
    }
    assert!(count > 10, "{count}");
}
