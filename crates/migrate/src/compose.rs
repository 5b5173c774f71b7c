//! The compose file of the result: the services, and the networks, volumes, secrets and configs of
//! the old file that they use.

use std::collections::BTreeSet;
use std::path::Path;

use super::container::ComposeService;
use super::mount;
use super::note::{Note, NoteKind};
use super::project::Project;
use super::words;
use super::yaml::ComposeValue;

/// A compose file, ready to be written.
#[derive(Debug)]
pub(super) struct Compose {
    /// The name of the project, if the file is to have it.
    pub(super) name: Option<String>,
    /// The services and the other sections, in the order of the file.
    pub(super) sections: Vec<(&'static str, Vec<(String, ComposeValue)>)>,
    /// Notes on parts of the file.
    pub(super) notes: Vec<Note>,
}

impl Compose {
    /// Puts the file together. With `out`, it is to lie in that folder.
    pub(super) fn new(
        containers: &[ComposeService],
        project: &Project,
        out: Option<&Path>,
    ) -> Self {
        let service = |container: &ComposeService| {
            let keys = ComposeValue::Map(container.keys.clone());
            (container.name.clone(), keys)
        };
        let mut compose = Self {
            name: project.name.clone().filter(|_| out.is_some()),
            sections: vec![("services", containers.iter().map(service).collect())],
            notes: Vec::new(),
        };
        for section in ["networks", "volumes", "secrets", "configs"] {
            let used: BTreeSet<String> = containers
                .iter()
                .flat_map(|container| used_names(container, section))
                .collect();
            if !used.is_empty() {
                let new = containers
                    .iter()
                    .flat_map(|container| &container.new_volumes);
                let new: Vec<_> = new.map(String::as_str).collect();
                compose.add_section(section, used, &new, (project, out));
            }
        }
        compose
    }

    /// Adds the definitions that the services use of a section of the old file.
    fn add_section(
        &mut self,
        section: &'static str,
        used: BTreeSet<String>,
        new: &[&str],
        (project, out): (&Project, Option<&Path>),
    ) {
        let all = project
            .top
            .iter()
            .find(|(key, _)| key == section)
            .map(|(_, all)| all);
        let (mut pairs, mut undefined) = (Vec::new(), Vec::new());
        for name in used {
            let definition = all.and_then(|all| all.get(&name));
            if definition.is_none() && name != "default" && !new.contains(&name.as_str()) {
                undefined.push(name.clone());
            }
            let definition = definition.map_or(ComposeValue::Null, |value| {
                moved_definition(value, project, out)
            });
            pairs.push((name, definition));
        }
        if !undefined.is_empty() {
            let what = format!(
                "the input does not define the {section} {}, so compose.yaml has them as new ones: \
                write external: true below each that exists already",
                undefined.join(", ")
            );
            self.notes.push(Note::new(NoteKind::Missing, what));
        }
        self.sections.push((section, pairs));
    }

    /// Makes Compose refuse the file as long as a variable is not set whose value is not known
    /// here.
    pub(super) fn require_variables(&mut self, knows_variables: bool) {
        let (mut unknown, mut all) = (Vec::new(), Vec::new());
        let mut require = |text: &str| {
            all.extend(words::variables(text).into_iter().map(str::to_owned));
            words::require_variables(text, knows_variables, &mut unknown)
        };
        for (_, pairs) in &mut self.sections {
            for (_, value) in pairs {
                *value = value.with_texts(&mut require);
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let what = format!(
                "the values of {} are not known, so Compose refuses compose.yaml until .env beside \
                it sets them: write them there, or run migrate again with --env-file FILE",
                unknown.join(", ")
            );
            self.notes.push(Note::new(NoteKind::Missing, what));
        }
        all.retain(|name| !unknown.contains(name));
        all.sort_unstable();
        all.dedup();
        if !all.is_empty() {
            let what = format!(
                "compose.yaml has defaults for {}, which hold unless .env beside it sets others",
                all.join(", ")
            );
            self.notes.push(Note::new(NoteKind::Hint, what));
        }
    }
}

/// Returns the names that a service uses of a section of the compose file.
fn used_names(container: &ComposeService, section: &str) -> Vec<String> {
    let Some((_, value)) = container.keys.iter().find(|(key, _)| key == section) else {
        return Vec::new();
    };
    if section == "volumes" {
        let mounts = value.items().iter().filter_map(mount::parse_mount);
        return mounts
            .filter_map(|mount| mount.volume().map(str::to_owned))
            .collect();
    }
    if matches!(value, ComposeValue::Map(_)) {
        return value.names().into_iter().map(str::to_owned).collect();
    }
    let name = |item: &ComposeValue| item.get("source").unwrap_or(item).plain().to_owned();
    value.items().iter().map(name).collect()
}

/// Returns a definition whose files are found from another folder.
fn moved_definition(value: &ComposeValue, project: &Project, out: Option<&Path>) -> ComposeValue {
    let ComposeValue::Map(pairs) = value else {
        return value.clone();
    };
    let is_file = |key: &str, value: &ComposeValue| {
        key == "file" && value.plain().starts_with('.') && out.is_some()
    };
    let pairs = pairs
        .iter()
        .map(|(key, value)| match project.path(value.plain()) {
            Some(path) if is_file(key, value) => {
                (key.clone(), ComposeValue::text(path.to_string_lossy()))
            }
            _ => (key.clone(), value.clone()),
        });
    ComposeValue::Map(pairs.collect())
}
