//! What the documentation says is what the code does.

use std::path::Path;

use cetusguard_policy::rule;

#[expect(clippy::disallowed_methods, reason = "a test may read the documentation that it is about")]
fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(file).expect(path)
}

#[test]
fn the_rules_page_lists_every_variable_with_its_value() {
    let page = read("docs/rules.md");
    for (name, value) in rule::VARIABLES {
        let row = format!("| `%{name}%` | `{}` |", value.replace('|', "\\|"));
        assert!(page.contains(&row), "docs/rules.md lacks {row}");
    }
    assert_eq!(page.matches("\n| `%").count(), rule::VARIABLES.len(), "and no other");
    assert!(page.contains(rule::BUILT_IN), "docs/rules.md must hold the built-in rules");
}

/// Rules in tables and code blocks, of all pages and examples, are rules.
#[test]
fn every_rule_in_the_documentation_is_one() {
    let mut count = 0;
    for page in ["README.md", "docs/rules.md", "docs/migration.md"] {
        let text = read(page);
        let quoted = text.split('`').skip(1).step_by(2).map(|rule| rule.replace("\\|", "|"));
        let plain = text.lines().map(|line| line.trim().to_owned());
        for rule in quoted
            .chain(plain)
            .filter(|rule| rule.split(' ').next().is_some_and(is_methods) && rule.contains('/') | rule.contains('%'))
        {
            if let Err(mistakes) = rule::parse(page, &rule) {
                panic!("{}", mistakes[0]);
            }
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

fn is_methods(word: &str) -> bool {
    ["GET", "HEAD", "POST", "PUT", "DELETE"].contains(&word.split(',').next().unwrap_or_default())
}

/// Every test that a page names exists.
#[test]
fn tests_that_the_documentation_names_exist() {
    let mut count = 0;
    for page in ["docs/clients.md", "docs/threat-model.md"] {
        let text = read(page);
        for word in text.split('`').skip(1).step_by(2) {
            if let Some((file, test)) = word.split_once("::") {
                let source = read(&format!("crates/cetusguard/tests/{file}.rs"));
                assert!(source.contains(&format!("fn {test}()")), "{page} names {word}");
                count += 1;
            } else if let Some(file) = word.strip_suffix(".rs") {
                let places = ["crates/cetusguard/tests", "crates/policy/src", "crates/policy/src/guard"];
                assert!(
                    places.iter().any(|place| Path::new(env!("CARGO_MANIFEST_DIR"))
                        .join("../..")
                        .join(place)
                        .join(format!("{file}.rs"))
                        .exists()),
                    "{page} names {word}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 40, "{count}");
}

/// Links between the pages lead somewhere.
#[test]
fn links_lead_to_files() {
    for page in [
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "docs/rules.md",
        "docs/check.md",
        "docs/explain.md",
        "docs/learn.md",
        "docs/presets.md",
        "docs/migrate.md",
        "docs/doctor.md",
        "docs/session.md",
        "docs/migration.md",
        "docs/threat-model.md",
        "docs/profiles.md",
        "docs/guard.md",
        "docs/configuration.md",
        "docs/life-of-a-request.md",
        "docs/performance.md",
    ] {
        let folder = Path::new(page).parent().expect("a page");
        let text: String = read(page).lines().filter(|line| !line.starts_with("| `%")).collect();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder).join(target);
            assert!(path.exists(), "{page} links to {link}");
        }
    }
}

/// `docs/endpoints.md` is made from the table of endpoints: run this with UPDATE_DOCS=1.
#[test]
fn the_page_of_endpoints_is_that_of_the_table() {
    use cetusguard_policy::endpoint::{Endpoint, Wildcard};
    let row = |endpoint: &Endpoint| {
        let wildcard = match endpoint.wildcard {
            Wildcard::Open => "yes".to_owned(),
            Wildcard::Named => "no".to_owned(),
            Wildcard::NamedWith(parameter) => format!("not with `{parameter}`"),
        };
        let Endpoint { id, method, shape, power, .. } = endpoint;
        format!("| `{}` | `{method} {shape}` | {} | {wildcard} |\n", id.name(), power.says())
    };
    let rows: String = Endpoint::all().map(row).collect();
    let page = format!(
        "# Endpoints\n\nEvery endpoint of the engines that Cetusguard knows, by the name that log lines have (`endpoint=container.list`). \
         `{{x}}` is one segment of the path, `{{x*}}` one or more. A wildcard opens an endpoint only where the last column says so; the \
         others need a rule that names them ([rules](rules.md)).\n\n\
         | name | call | what it lets a client do | opened by a wildcard |\n|---|---|---|---|\n{rows}"
    );
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/endpoints.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page");
    }
    #[expect(clippy::disallowed_methods, reason = "a page of the documentation")]
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "docs/endpoints.md: run the tests with UPDATE_DOCS=1");
}
