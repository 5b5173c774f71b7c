//! What the commands print is what their pages show: each block of a page is run, in
//! `docs/samples`.
//!
//! `UPDATE_DOCS=1` writes what they print now.

use std::path::{Path, PathBuf};

use cetusguard_testkit::program_without_environment;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const PAGES: &[&str] = &[
    "check",
    "explain",
    "test",
    "diff",
    "presets",
    "learn",
    "doctor",
    "migrate",
    "getting-started",
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the documentation that it is about"
)]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a page")
}

/// The words of a line as a shell has them, with single quotes alone.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted, mut begun) = (Vec::<String>::new(), false, false);
    for c in line.chars() {
        if c == ' ' && !quoted {
            begun = false;
            continue;
        }
        if !begun {
            words.push(String::new());
            begun = true;
        }
        match c {
            '\'' => quoted = !quoted,
            c => words.last_mut().expect("a word").push(c),
        }
    }
    words
}

/// What a command prints, and its exit code.
fn run(line: &str) -> (String, i32) {
    let words = words(line);
    assert_eq!(words[0], "cetusguard", "{line}");
    let mut command = program_without_environment(PROGRAM);
    // The machine's own limits are not what the page is about.
    command
        .args(&words[1..])
        .current_dir(docs().join("samples"))
        .env("CETUSGUARD_MAX_CONNECTIONS", "64");
    let output = command.output().expect("the program");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    assert!(
        !text.contains('\u{1b}'),
        "colours are for terminals: {line}"
    );
    let now = text
        .lines()
        .map(|line| line.split("; written 20").next().unwrap_or_default())
        .collect::<Vec<_>>();
    (now.join("\n"), output.status.code().expect("a code"))
}

/// The page with its blocks run again.
fn rerun(page: &str) -> String {
    let (mut out, mut in_block, mut code) = (String::new(), false, 0);
    for line in page.lines() {
        match line {
            "```console" => in_block = true,
            "```" => in_block = false,
            _ => {}
        }
        match line.strip_prefix("$ ").filter(|_| in_block) {
            Some("echo $?") => out.push_str(&format!("{line}\n{code}\n")),
            Some(command) => {
                let printed = run(command);
                code = printed.1;
                out.push_str(&format!("{line}\n{}\n", printed.0));
            }
            // What was printed the last time.
            None if in_block && line != "```console" => {}
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

#[test]
fn pages_show_what_commands_print() {
    for page in PAGES {
        let path = docs().join(format!("{page}.md"));
        let (text, now) = (read(&path), rerun(&read(&path)));
        if std::env::var_os("UPDATE_DOCS").is_some() && text != now {
            std::fs::write(&path, now).expect("a writable page");
        } else {
            assert_eq!(
                text, now,
                "docs/{page}.md: run the tests with UPDATE_DOCS=1"
            );
        }
        assert!(text.contains("\n$ cetusguard "), "{page} shows nothing");
        // A line is longer only where it could not be wrapped: a rule to copy, a line of a file, or
        // one that begins with `$`.
        let in_blocks = text
            .split("```console")
            .skip(1)
            .filter_map(|rest| rest.split("```").next());
        for line in in_blocks
            .flat_map(str::lines)
            .filter(|line| *page == "check" && line.chars().count() > 100)
        {
            assert!(
                line.starts_with("$ ") || line.trim_start().starts_with('"'),
                "{line}"
            );
        }
    }
}

#[test]
fn every_code_of_check_has_its_row() {
    let page = read(&docs().join("check.md"));
    let rows: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(rows, cetusguard::command::CODES);
}

/// Every command has a page, and the help of each names what it takes.
#[test]
fn every_command_is_documented() {
    let all: String = [
        "check", "explain", "test", "diff", "presets", "learn", "doctor", "migrate", "views",
    ]
    .map(|page| read(&docs().join(format!("{page}.md"))))
    .concat();
    let all = all + &read(&docs().join("../README.md"));
    for command in cetusguard_config::grammar().get_subcommands() {
        let name = command.get_name();
        assert!(
            all.contains(&format!("cetusguard {name}")),
            "no page shows cetusguard {name}"
        );
    }
}

#[test]
fn completions_and_the_manual_come_from_the_grammar() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (script, code) = run(&format!("cetusguard completions {shell}"));
        assert!(
            code == 0 && script.contains("guard-allow") && script.contains("explain"),
            "{shell}"
        );
    }
    let (manual, code) = run("cetusguard man");
    assert_eq!(code, 0);
    for command in cetusguard_config::grammar().get_subcommands() {
        let heading = format!(".SH \"CETUSGUARD {}\"", command.get_name().to_uppercase());
        assert!(manual.contains(&heading), "{heading}");
    }
    for flag in [
        "\\-\\-guard\\-allow",
        "\\-\\-strict",
        "\\-\\-body",
        "\\-\\-risky",
    ] {
        assert!(manual.contains(flag), "{flag}");
    }
}
