//! `cetusguard test`: compares the decisions of a policy with the expected ones in files, so that
//! policies have tests.

mod file;
mod objects;
mod ruling;
mod verdict;

use std::sync::Arc;

use cetusguard_config::{Mistake, Mistakes, nearest, read_input};
use cetusguard_policy::{Container, Mode, Principal, Profile, Profiles};
use serde::Serialize;

use super::explain::client::add_mark;
use super::page::{Emphasis, TextPage, count};
use super::{CommandFailure, CommandOutput, Invocation};
use cetusguard_proxy::Config;
use file::{ExpectationGroup, TestFile};
use objects::{FoundObject, World};
use ruling::{Court, Ruling, TestClient};
use verdict::Checked;

/// The result of all files.
#[derive(Debug, Serialize)]
struct TestReport {
    passed: usize,
    failed: usize,
    expectations: Vec<Checked>,
}

/// Tests the policies of all files. Exits with 1 if an expectation does not hold.
pub(super) fn run(asked: &Invocation) -> Result<CommandOutput, CommandFailure> {
    let (mut checked, mut mistakes) = (Vec::new(), Vec::new());
    for path in asked.values("FILE") {
        match test_file(path, asked) {
            Ok(found) => checked.extend(found),
            Err(Mistakes(found)) => mistakes.extend(found),
        }
    }
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes).into());
    }
    let passed = checked.iter().filter(|one| one.passed).count();
    let report = TestReport {
        passed,
        failed: checked.len() - passed,
        expectations: checked,
    };
    let code = u8::from(report.failed > 0);
    let text = asked.write_report(&report, |page| write(&report, page));
    Ok(CommandOutput { text, code })
}

fn write(report: &TestReport, page: &mut TextPage) {
    for failure in report.expectations.iter().filter(|one| !one.passed) {
        page.line(0, Emphasis::Bad, &failure.line());
    }
    let all = count(report.expectations.len(), "expectation");
    match report.failed {
        0 => page.say(0, Emphasis::Good, &format!("{all}, all as expected.")),
        failed => page.say(
            0,
            Emphasis::Plain,
            &format!("{all}, {failed} not as expected."),
        ),
    }
}

/// Tests the policy of one file.
fn test_file(path: &str, asked: &Invocation) -> Result<Vec<Checked>, Mistakes> {
    let mut mistakes = Vec::new();
    let file = TestFile::read(path, &read_input(path)?, &mut mistakes);
    let Some(file) = file.filter(|_| mistakes.is_empty()) else {
        return Err(Mistakes(mistakes));
    };
    let loaded = match &file.config {
        Some(config) if !asked.sources.has_source_flag() => asked.sources.load_file(config)?,
        _ => asked.load().1?,
    };
    let mut config = loaded.config;
    if asked.flag("as-enforced") {
        config.profiles = config.profiles.replaced(|profile| {
            Some(Profile {
                mode: Mode::Enforce,
                ..profile.clone()
            })
        });
    }
    let mut checked = Vec::new();
    for group in &file.groups {
        match check_group(group, &file.world, &config) {
            Ok(found) => checked.extend(found),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    match mistakes.is_empty() {
        true => Ok(checked),
        false => Err(Mistakes(mistakes)),
    }
}

fn check_group(
    group: &ExpectationGroup,
    world: &World,
    config: &Config,
) -> Result<Vec<Checked>, Mistake> {
    let wanted = group
        .profile
        .as_ref()
        .map(|(name, spot)| match config.profile(name) {
            Ok(profile) => Ok(profile),
            Err(_) => {
                let names = config.profiles.all().map(|profile| profile.name.as_str());
                let names: Vec<_> = names.collect();
                let fix = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("expected one of: {}", names.join(", ")),
                };
                let what = format!("there is no profile {name}");
                Err(Mistake::at(spot, what, fix))
            }
        })
        .transpose()?;
    let client = match &wanted {
        Some(profile) if group.marks.is_empty() => Ok(TestClient::of_profile(profile)),
        _ => TestClient::identify(&principal(group, world, config)?, &config.profiles),
    };
    let client = match client {
        Ok(client) => client,
        Err(refusal) => {
            let ruling = Ruling::Refused(refusal);
            let expectations = group.expectations.iter();
            return Ok(expectations
                .map(|expected| Checked::new(expected, None, &ruling))
                .collect());
        }
    };
    Ok(check_calls(
        group,
        wanted.as_deref(),
        &client,
        world,
        &config.profiles,
    ))
}

fn check_calls(
    group: &ExpectationGroup,
    wanted: Option<&Profile>,
    client: &TestClient,
    world: &World,
    profiles: &Profiles,
) -> Vec<Checked> {
    let court = Court {
        client,
        profiles,
        world,
    };
    let actual = &client.profile;
    let mut checked = Vec::new();
    for expected in &group.expectations {
        let other = wanted.filter(|wanted| wanted.name != actual.name);
        checked.push(match other {
            Some(wanted) => Checked::wrong_profile(expected, &wanted.name, &actual.name),
            None => Checked::new(expected, Some(actual), &court.rule_on(expected)),
        });
    }
    checked
}

/// Returns the client that the marks of a group describe. A declared container of the same name
/// gives its identifier and its labels.
fn principal(
    group: &ExpectationGroup,
    world: &World,
    config: &Config,
) -> Result<Principal, Mistake> {
    let mut client = Principal::default();
    for (key, value, spot) in &group.marks {
        add_mark(&mut client, key, value, config)
            .map_err(|expected| Mistake::at(spot, format!("{key} is {value:?}"), expected))?;
    }
    let declared = client.container.as_ref().and_then(|container| {
        match world.declared_container(&container.name)? {
            FoundObject::Object(object, _) => Some(object),
            FoundObject::Missing => None,
        }
    });
    if let (Some(container), Some(object)) = (&client.container, declared) {
        let own = container.labels.iter();
        let is_given = |key: &str| container.labels.iter().any(|(known, _)| known == key);
        let more = object.labels.iter().filter(|(key, _)| !is_given(key));
        client.container = Some(Arc::new(Container {
            id: object.id.clone(),
            name: container.name.clone(),
            labels: own.chain(more).cloned().collect(),
        }));
    }
    Ok(client)
}
