//! Messages about errors of the operating system name the cause and the next step, and no error
//! numbers.

use std::net::TcpListener;
use std::path::Path;

use cetusguard_testkit::{ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Files of every kind that is no text: each with the cause that is told, and a word of the advice.
fn unreadable(folder: &TempDir) -> Vec<(String, &'static str, &'static str)> {
    folder.write("text", "text");
    std::fs::create_dir(folder.file("folder")).expect("a folder");
    let binary = Path::new(&folder.file("binary")).to_owned();
    std::fs::write(&binary, [0xff, 0xfe, 0]).expect("a file");
    vec![
        (folder.file("folder"), "it is a folder", "name a file"),
        (
            folder.file("missing"),
            "there is no such file",
            "name a file that is there",
        ),
        (
            folder.file("text/below"),
            "a part of its path is a file",
            "correct the path",
        ),
        (folder.file("binary"), "it is not text in UTF-8", "iconv"),
    ]
}

/// Asserts that a message has its three parts.
fn assert_told(program: ProxyBuilder, why: &str, advice: &str) {
    let (code, _, errors) = program.run();
    let in_one_line: String = errors.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        matches!(code, Some(1 | 2)),
        "{code:?} for {why}: {in_one_line}"
    );
    assert!(in_one_line.contains(why), "{why:?}: {in_one_line}");
    assert!(in_one_line.contains(advice), "{advice:?}: {in_one_line}");
    assert!(!in_one_line.contains("os error"), "{in_one_line}");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = TempDir::new();
    for (path, why, advice) in unreadable(&folder) {
        let commands: [&[&str]; 8] = [
            &["test", &path],
            &["learn", "--from", &path],
            &["explain", "--log", &path],
            &["explain", "--body", &path, "POST", "/containers/create"],
            &["migrate", "tecnativa", &path],
            &["migrate", "tecnativa", "--env-file", &path, "/dev/null"],
            &["diff", &path, &path],
            &["serve", "--config", &path],
        ];
        for words in commands {
            let program = words
                .iter()
                .fold(ProxyBuilder::bare(PROGRAM), |program, word| {
                    program.word(word)
                });
            assert_told(program, why, advice);
        }
    }
}

#[test]
fn files_and_folders_that_cannot_be_written() {
    let folder = TempDir::new();
    let _ = unreadable(&folder);
    let settings = folder.write("settings", "CONTAINERS=1\n");
    for (out, why, advice) in [
        ("text", "where a folder should be", "correct the path"),
        ("text/below", "where a folder should be", "correct the path"),
    ] {
        let program = [
            "migrate",
            "tecnativa",
            "--out",
            &folder.file(out),
            &settings,
        ]
        .iter()
        .fold(ProxyBuilder::bare(PROGRAM), |program, word| {
            program.word(word)
        });
        assert_told(program, why, advice);
    }
    for (path, why, advice) in [
        ("folder", "it is a folder", "name a file in it"),
        ("no/below", "its folder is missing", "make its folder first"),
        ("text/below", "where a folder should be", "correct the path"),
    ] {
        let serve = ProxyBuilder::bare(PROGRAM).frontend("tcp://127.0.0.1:0");
        let audit = serve.arg("--audit-log", &folder.file(path));
        assert_told(audit, why, advice);
        let learn = ProxyBuilder::bare(PROGRAM).word("learn");
        assert_told(learn.arg("--out", &folder.file(path)), why, "--out");
    }
}

#[test]
fn addresses_that_cannot_be_listened_on() {
    let folder = TempDir::new();
    let _ = unreadable(&folder);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = format!("tcp://{}", taken.local_addr().expect("bound"));
    let unix = |name: &str| format!("unix://{}", folder.file(name));
    let long = unix(&"x".repeat(120));
    for (address, why, advice) in [
        (taken.clone(), "in use", "choose another port"),
        (unix("folder"), "a folder has this path", "remove it"),
        (unix("text"), "another file", "choose another path"),
        (unix("text/x"), "where a folder should be", "correct"),
        (unix("no/x"), "its folder is missing", "make its folder"),
        (long, "107 at the most", "choose a shorter path"),
    ] {
        let bare = || ProxyBuilder::bare(PROGRAM);
        assert_told(bare().arg("--frontend-addr", &address), why, advice);
        let admin = bare().frontend("tcp://127.0.0.1:0");
        assert_told(admin.arg("--admin-addr", &address), why, advice);
    }
    for (address, why, advice) in [
        (
            "tcp://[fe80::1]:2375",
            "link-local address",
            "choose another one",
        ),
        (
            "tcp://name.invalid:2375",
            "no address of this host has that name",
            "name one of",
        ),
    ] {
        let program = ProxyBuilder::bare(PROGRAM).arg("--frontend-addr", address);
        assert_told(program, why, advice);
    }
}
