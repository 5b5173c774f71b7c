//! What the documentation says is what the code does.

use std::collections::BTreeSet;
use std::path::Path;

use cetusguard_policy::rule;

#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the documentation that it is about"
)]
fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    std::fs::read_to_string(file).expect(path)
}

#[test]
fn the_rules_page_lists_every_variable_with_its_value() {
    let page = read("docs/rules.md");
    for (name, value) in rule::VARIABLES {
        let row = format!("| `%{name}%` | `{}` |", value.replace('|', "\\|"));
        assert!(page.contains(&row), "docs/rules.md lacks {row}");
    }
    assert_eq!(
        page.matches("\n| `%").count(),
        rule::VARIABLES.len(),
        "and no other"
    );
    assert!(
        page.contains(rule::BUILT_IN),
        "docs/rules.md must hold the built-in rules"
    );
}

/// Rules in tables and code blocks, of all pages and examples, are rules.
#[test]
fn every_rule_in_the_documentation_is_one() {
    let mut count = 0;
    for page in [
        "README.md",
        "docs/rules.md",
        "docs/migration.md",
        "docs/clients.md",
        "docs/build.md",
        "docs/profiles.md",
        "docs/guard.md",
    ] {
        let text = read(page);
        let quoted = text
            .split('`')
            .skip(1)
            .step_by(2)
            .map(|rule| rule.replace("\\|", "|"));
        let plain = text.lines().map(|line| line.trim().to_owned());
        for rule in quoted.chain(plain).filter(|rule| is_rule(rule)) {
            if let Err(mistakes) = rule::parse(page, &rule) {
                panic!("{}", mistakes[0]);
            }
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

/// Whether a text is meant as a rule: methods and a pattern, or names behind their word.
fn is_rule(text: &str) -> bool {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let is_by_name = matches!(first, "ALLOW" | "DENY") && !rest.is_empty();
    is_by_name || (is_methods(first) && text.contains(['/', '%']))
}

fn is_methods(word: &str) -> bool {
    ["GET", "HEAD", "POST", "PUT", "DELETE"].contains(&word.split(',').next().unwrap_or_default())
}

/// Every test that a page names exists.
#[test]
fn tests_that_the_documentation_names_exist() {
    let mut count = 0;
    for page in ["docs/compatibility.md", "docs/threat-model.md"] {
        let text = read(page);
        for word in text.split('`').skip(1).step_by(2) {
            if let Some((file, test)) = word.split_once("::") {
                let source = read(&format!("crates/cetusguard/tests/{file}.rs"));
                assert!(
                    source.contains(&format!("fn {test}()")),
                    "{page} names {word}"
                );
                count += 1;
            } else if let Some(file) = word.strip_suffix(".rs") {
                let places = [
                    "crates/cetusguard/tests",
                    "crates/policy/src",
                    "crates/policy/src/request",
                    "crates/policy/src/guard",
                ];
                assert!(
                    places
                        .iter()
                        .any(|place| Path::new(env!("CARGO_MANIFEST_DIR"))
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

/// The pages that users read, relative to the root of the repository.
fn pages() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let names = std::fs::read_dir(folder)
        .expect("docs")
        .map(|entry| entry.expect("an entry").file_name());
    let names = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".md"));
    let mut pages: Vec<String> = names.map(|name| format!("docs/{name}")).collect();
    pages.extend(
        [
            "README.md",
            "SECURITY.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
        ]
        .map(str::to_owned),
    );
    assert!(pages.len() > 20, "{pages:?}");
    pages.sort();
    pages
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let headings = page
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| -> String {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
            .collect()
    };
    headings.map(anchor).collect()
}

/// The links of a page. Patterns of rules look like links in places.
fn links(page: &str) -> Vec<String> {
    let text: String = page
        .lines()
        .filter(|line| !line.starts_with("| `%"))
        .map(|line| format!("{line}\n"))
        .collect();
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(str::to_owned)
        .collect()
}

/// The pages about decisions, relative to the root of the repository.
fn decisions() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decisions");
    let names = std::fs::read_dir(folder)
        .expect("docs/decisions")
        .map(|entry| entry.expect("an entry").file_name());
    let pages: Vec<String> = names
        .map(|name| format!("docs/decisions/{}", name.to_string_lossy()))
        .collect();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// The index links every page about a decision.
#[test]
fn the_index_links_every_decision() {
    let index = "docs/decisions/README.md";
    let linked = links(&read(index));
    for page in decisions().into_iter().filter(|page| page != index) {
        let name = page.trim_start_matches("docs/decisions/");
        assert!(
            linked.iter().any(|link| link == name),
            "{index} does not link {name}"
        );
    }
}

/// Links lead to files that exist, and to headings in them.
#[test]
fn links_lead_somewhere() {
    for page in pages().into_iter().chain(decisions()) {
        let folder = Path::new(&page).parent().expect("a page");
        for link in links(&read(&page)) {
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            if target.starts_with("http") {
                continue;
            }
            let file = if target.is_empty() {
                Path::new(&page).to_owned()
            } else {
                folder.join(target)
            };
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../..")
                .join(&file);
            assert!(path.exists(), "{page} links to {link}");
            if !anchor.is_empty() {
                let found = anchors(&read(&file.to_string_lossy()));
                assert!(
                    found.iter().any(|one| one == anchor),
                    "{page} links to {link}, and its page has {found:?}"
                );
            }
        }
    }
}

/// The README is the index: every page is linked from it.
#[test]
fn the_readme_links_every_page() {
    let linked = links(&read("README.md"));
    for page in pages().into_iter().filter(|page| page != "README.md") {
        assert!(
            linked
                .iter()
                .any(|link| link.split('#').next() == Some(&page)),
            "README.md does not link {page}"
        );
    }
}

/// Code blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let (mut found, mut block) = (Vec::new(), None::<String>);
    for line in page.lines() {
        let bare = line.trim_start();
        match (&mut block, bare.strip_prefix("```")) {
            (None, Some(tag)) if tag == language => block = Some(String::new()),
            (Some(_), Some("")) => found.extend(block.take()),
            (Some(text), _) => text.push_str(&format!("{line}\n")),
            _ => {}
        }
    }
    found
}

/// The keys that the source adds to lines of the log.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the source that it is about"
)]
fn keys_of_the_log() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("proxy/src"), root.join("cetusguard/src")];
    // Those that begin each line.
    let mut keys = BTreeSet::from(["time", "level", "host", "msg"].map(str::to_owned));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("a source file");
            let source = source.split("#[cfg(test)]").next().unwrap_or_default();
            for method in [".text(", ".maybe(", ".number(", ".flag(", ".milliseconds("] {
                let calls = source.split(method).skip(1);
                // A key is a literal, and a value follows.
                let found = calls.filter_map(|call| {
                    let (key, rest) = call.trim_start().strip_prefix('"')?.split_once('"')?;
                    rest.starts_with(',').then(|| key.to_owned())
                });
                keys.extend(found);
            }
        }
    }
    assert!(keys.len() > 30, "{keys:?}");
    keys
}

/// `docs/log.md` explains every key of the log, and no other.
#[test]
fn the_page_about_the_log_explains_every_key() {
    let page = read("docs/log.md");
    let (_, tables) = page.split_once("\n## Keys").expect("a section");
    let tables = tables.split("\n## ").next().unwrap_or_default();
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| `"));
    let explained: Vec<String> = rows
        .filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect();
    let unique: BTreeSet<String> = explained.iter().cloned().collect();
    assert_eq!(unique.len(), explained.len(), "{explained:?}");
    assert_eq!(unique, keys_of_the_log());
}

/// The page about the log shows the example of logrotate as it is.
#[test]
fn the_page_about_the_log_shows_the_rotation() {
    let example = read("examples/logrotate/cetusguard");
    let (_, rules) = example.split_once("\n\n").expect("a comment and rules");
    assert!(read("docs/log.md").contains(rules));
}

/// Every variable of ours that a page or an example names exists, and so does every preset that it
/// uses.
#[test]
fn variables_and_presets_exist() {
    let configuration = read("docs/configuration.md");
    let mut files = pages();
    for folder in ["examples", "compose/core"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(folder);
        for entry in std::fs::read_dir(&folder)
            .expect("a folder")
            .map_while(Result::ok)
        {
            files.extend(
                Some(
                    entry
                        .path()
                        .join("compose.yaml")
                        .to_string_lossy()
                        .into_owned(),
                )
                .filter(|f| Path::new(f).exists()),
            );
        }
    }
    let (mut variables, mut presets) = (0, 0);
    for file in files
        .iter()
        .filter(|file| !matches!(file.as_str(), "CHANGELOG.md" | "CONTRIBUTING.md"))
    {
        let text = read(file);
        for rest in text.split("CETUSGUARD_").skip(1) {
            let end = rest
                .find(|c: char| !(c.is_ascii_uppercase() || c == '_'))
                .unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            // `CETUSGUARD_…` stands for any of them; those of a profile have its name and a key
            // behind this.
            if !(name.is_empty()
                || name.starts_with("PROFILE_")
                || configuration.contains(&format!("`CETUSGUARD_{name}`")))
            {
                panic!("{file} names CETUSGUARD_{name}");
            }
            variables += 1;
            let value = behind
                .strip_prefix(": ")
                .or(behind.strip_prefix('='))
                .filter(|_| name == "PRESETS");
            let value = value
                .and_then(|value| value.split(['`', ' ', '\n', '\'', '"']).next())
                .unwrap_or_default();
            for preset in value
                .split(',')
                .filter(|preset| !matches!(*preset, "" | "NAME"))
            {
                assert!(
                    cetusguard_policy::Preset::find(preset).is_some(),
                    "{file} uses the preset {preset}"
                );
                presets += 1;
            }
        }
    }
    assert!(variables > 60 && presets > 6, "{variables}, {presets}");
}

/// `docs/clients.md` names presets that exist, in the line of each client and in the table at its
/// end, and leaves none out.
#[test]
fn clients_have_presets_that_exist() {
    let page = read("docs/clients.md");
    let is_about_presets = |line: &&str| line.starts_with("- **Preset") || line.starts_with("| ");
    let mut count = 0;
    for line in page.lines().filter(is_about_presets) {
        let text = line
            .split("**:")
            .nth(1)
            .unwrap_or_else(|| line.rsplit(" | ").next().unwrap_or_default());
        for word in text.split('`').skip(1).step_by(2) {
            // Variables and commands stand in such lines as well.
            let is_name = word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                && !word.starts_with('_');
            if is_name {
                assert!(
                    cetusguard_policy::Preset::find(word).is_some(),
                    "docs/clients.md names the preset {word}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count}");
    for preset in cetusguard_policy::Preset::ALL {
        assert!(
            page.contains(&format!("`{}`", preset.name)),
            "docs/clients.md has no client for {}",
            preset.name
        );
    }
}

/// No registry can serve the image under its name, and the version is that of the program.
#[test]
fn the_image_has_one_name_everywhere() {
    let mut files = pages();
    let examples = [
        "dozzle",
        "homepage",
        "monitoring",
        "mutual-tls",
        "portainer",
        "tiers",
        "traefik",
        "unix-to-unix",
    ];
    files.extend(examples.map(|example| format!("examples/{example}/compose.yaml")));
    files.extend(
        [
            "compose/core/cetusguard/compose.yaml",
            "examples/quadlet/cetusguard.container",
            "tests/packaging/session",
            "Dockerfile",
        ]
        .map(str::to_owned),
    );
    let mut count = 0;
    for file in &files {
        let text = read(file);
        for rest in text.split("localhost/cetusguard:").skip(1) {
            let tag = rest.split([' ', '\n', '`', '"']).next().unwrap_or_default();
            assert_eq!(
                tag,
                env!("CARGO_PKG_VERSION"),
                "{file}: the version of localhost/cetusguard"
            );
            count += 1;
        }
        let is_published = text
            .lines()
            .any(|line| line.contains("image: ") && line.contains("cetusguard/cetusguard"));
        assert!(!is_published, "{file} takes the image from a registry");
    }
    assert!(count > 15, "{count}");
}

/// Blocks of YAML are YAML. Those that are a configuration file of ours are accepted by `check`.
#[test]
fn blocks_of_yaml_are_what_they_seem() {
    let folder = cetusguard_testkit::TempDir::new();
    let (mut all, mut ours) = (0, 0);
    for page in pages() {
        for block in blocks(&read(&page), "yaml") {
            for event in saphyr_parser::Parser::new_from_str(&block) {
                if let Err(error) = event {
                    panic!("{page}: {error}\n{block}");
                }
            }
            all += 1;
            let is_ours = [
                "rules: |",
                "profiles:",
                "frontends:",
                "guard-allow:",
                "frontend-addr:",
            ];
            if !block
                .lines()
                .any(|line| is_ours.iter().any(|key| line.starts_with(key)))
            {
                continue;
            }
            let file = folder.write("config.yaml", &block);
            let program = cetusguard_testkit::ProxyBuilder::bare(env!("CARGO_BIN_EXE_cetusguard"));
            let (code, out, errors) = program.word("check").arg("--config", &file).run();
            assert_eq!(code, Some(0), "{page}: {out}{errors}\n{block}");
            ours += 1;
        }
    }
    assert!(all > 25 && ours > 3, "{all}, {ours}");
}

/// Files that a page shows are the files of the examples.
#[test]
fn pages_show_the_files_of_the_examples() {
    for (page, language, file) in [
        (
            "docs/podman.md",
            "ini",
            "examples/quadlet/vnet-socket.network",
        ),
        (
            "docs/podman.md",
            "ini",
            "examples/quadlet/cetusguard.container",
        ),
        (
            "docs/systemd.md",
            "yaml",
            "examples/systemd/cetusguard.yaml",
        ),
        ("docs/test.md", "yaml", "docs/samples/tests.yaml"),
    ] {
        let plain = |text: &str| {
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let shown = blocks(&read(page), language);
        let wanted = plain(&read(file));
        assert!(
            shown
                .iter()
                .any(|block| plain(block).trim() == wanted.trim()),
            "{page} does not show {file}: {shown:#?}"
        );
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
        let Endpoint {
            id, method, shape, ..
        } = endpoint;
        format!(
            "| `{}` | `{method} {shape}` | {} | {wildcard} |\n",
            id.name(),
            endpoint.says()
        )
    };
    let rows: String = Endpoint::all().map(row).collect();
    let page = format!(
        "# Endpoints\n\nEvery endpoint of the engines that Cetusguard knows, by the name that log \
        lines have (`endpoint=container.list`). `{{x}}` is one segment of the path, `{{x*}}` one \
        or more. A wildcard opens an endpoint only where the last column says so; the others need \
        a rule that names them ([rules](rules.md)).\n\n| name | call | what it lets a client do | \
        opened by a wildcard |\n|---|---|---|---|\n{rows}"
    );
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/endpoints.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page");
    }
    #[expect(clippy::disallowed_methods, reason = "a page of the documentation")]
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, page,
        "docs/endpoints.md: run the tests with UPDATE_DOCS=1"
    );
}

/// Settings are written in many forms: `NAME: value`, `NAME=value`, `name = "value"`, and with the
/// host's own address where the client runs on the host.
fn without_form(text: &str) -> String {
    let text = text.replace(['"', '`', '\'', '*'], "");
    text.replace(": ", "=")
        .replace(" = ", "=")
        .replace("127.0.0.1", "cetusguard")
}

/// The words of a text that name the proxy's address.
fn addresses(text: &str) -> Vec<String> {
    let text = without_form(text);
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| "(),;.|{}[]".contains(c)))
        .filter(|word| word.contains("cetusguard") && !word.contains(".md"))
        .map(|word| word.split('|').next().unwrap_or_default().to_owned())
        .collect()
}

/// How a client is pointed at the proxy is written in its preset; `docs/clients.md` says the same,
/// in the section of the client or in its row of the table.
#[test]
fn clients_and_presets_name_the_same_settings() {
    let page = read("docs/clients.md");
    let mut checked = 0;
    for section in page.split("\n## ") {
        let places: Vec<(&str, &str)> = if section.starts_with("Others\n") {
            let rows = section.lines().filter(|line| line.starts_with("| "));
            rows.filter_map(|row| Some((row, row.trim_end_matches(" |").rsplit_once(" | ")?.1)))
                .collect()
        } else {
            let line = section
                .split("- **Preset")
                .nth(1)
                .and_then(|rest| rest.split(". ").next());
            line.map(|line| (section, line)).into_iter().collect()
        };
        for (place, names) in places {
            let presets: Vec<_> = names
                .split('`')
                .skip(1)
                .step_by(2)
                .filter_map(cetusguard_policy::Preset::find)
                .collect();
            let written = without_form(place);
            for preset in &presets {
                for address in addresses(&preset.field("Connect")) {
                    assert!(
                        written.contains(&address),
                        "docs/clients.md does not say {address}, as the preset {} does:\n{place}",
                        preset.name
                    );
                    checked += 1;
                }
            }
            let connect: String = presets
                .iter()
                .map(|preset| without_form(&preset.field("Connect")))
                .collect();
            let shown = ["yaml", "toml", "json", "sh"]
                .iter()
                .flat_map(|language| blocks(place, language));
            for address in shown.flat_map(|block| addresses(&block)) {
                assert!(
                    presets.is_empty() || connect.contains(&address),
                    "no preset of this section says {address}, which docs/clients.md shows:\n{place}"
                );
            }
        }
    }
    assert!(checked > 50, "{checked}");
}

/// `docs/monitoring.md` has the table of all metrics: run this with UPDATE_DOCS=1.
#[test]
fn the_monitoring_page_has_every_metric() {
    let (path, page) = ("docs/monitoring.md", read("docs/monitoring.md"));
    let (begin, end) = (
        "<!-- metrics: made from the code -->\n",
        "<!-- end of metrics -->",
    );
    let (before, rest) = page.split_once(begin).expect(begin);
    let (table, after) = rest.split_once(end).expect(end);
    let wanted = format!("\n{}\n", cetusguard_proxy::metrics_reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(path);
        let text = format!("{before}{begin}{wanted}{end}{after}");
        std::fs::write(file, text).expect(path);
        return;
    }
    assert_eq!(table, wanted, "{path}: run the tests with UPDATE_DOCS=1");
}

/// Each alert of the rules for Prometheus has its row in the table of `docs/monitoring.md`.
#[test]
fn the_monitoring_page_has_every_alert() {
    let page = read("docs/monitoring.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let rules = read("examples/monitoring/rules.yml");
    let alerts: Vec<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        let name = format!("`{alert}`");
        assert!(
            rows.iter().any(|row| row.contains(&name)),
            "docs/monitoring.md has no row for {alert}"
        );
    }
}
