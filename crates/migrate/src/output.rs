//! The result for the user: the files as a text to copy from, as JSON, or in a folder.

use std::path::Path;

use cetusguard_config::Unwritable;
use cetusguard_config::printed::json;
use serde::Serialize;

use super::compose::Compose;
use super::container;
use super::note::{Note, NoteKind};
use super::several::Instance;
use super::text;

/// A file of the result.
#[derive(Debug, Serialize)]
pub(super) struct ResultFile {
    /// The path below the folder of the compose file.
    path: String,
    text: String,
}

/// The result.
#[derive(Debug, Serialize)]
pub(super) struct MigrationResult {
    files: Vec<ResultFile>,
    notes: Vec<Note>,
}

impl MigrationResult {
    /// Makes the files of all instances. With `out`, they are to lie in that folder.
    pub(super) fn new(instances: Vec<Instance>, out: Option<&str>) -> Self {
        let (mut files, mut notes, mut containers) = (Vec::new(), Vec::<Note>::new(), Vec::new());
        let out = out.map(Path::new);
        let count = instances.len();
        let project = instances
            .first()
            .map(|instance| std::rc::Rc::clone(&instance.settings.project))
            .unwrap_or_default();
        notes.extend(project.notes.iter().cloned());
        for Instance { settings, mut plan } in instances {
            let service = settings.service.clone().unwrap_or_default();
            let folder = if count == 1 {
                "cetusguard".to_owned()
            } else {
                format!("cetusguard-{}", file_name(&service))
            };
            let container = container::build_service(&settings, &folder, out, &mut plan);
            containers.push(container);
            files.push(ResultFile {
                path: format!("{folder}/cetusguard.yaml"),
                text: text::configuration(&plan),
            });
            for mut note in plan.notes {
                if count > 1 {
                    note.what = format!("{service}: {}", note.what);
                }
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
        if out.is_some() && project.name.is_none() && !project.services.is_empty() {
            let what = "the name of the Compose project is not known, and without it the networks \
                are not those of the clients: run migrate again with --project NAME";
            notes.push(Note::new(NoteKind::Missing, what));
        }
        let mut compose = Compose::new(&containers, &project, out);
        compose.require_variables(project.knows_variables);
        notes.append(&mut compose.notes);
        files.push(ResultFile {
            path: "compose.yaml".to_owned(),
            text: text::compose_file(&compose),
        });
        notes.sort_by_key(|note| note.kind);
        Self { files, notes }
    }

    /// Returns whether some note asks for a decision before the result is used.
    pub(super) fn needs_decision(&self) -> bool {
        self.notes.iter().any(Note::needs_decision)
    }

    /// Returns the files one after the other, with the notes as comments before them.
    pub(super) fn page(&self, proxy: &str) -> String {
        let head = format!(
            "Cetusguard with the intent of this {proxy} proxy. Read the notes; then save the files \
            under\n# their names, or have them written with --out FOLDER."
        );
        let files = self
            .files
            .iter()
            .map(|file| format!("\n# ---- {}\n{}", file.path, file.text));
        text::note_comments(&self.notes, &head) + &files.collect::<String>()
    }

    /// Writes the files into a folder, and returns the notes. Nothing that is there is replaced.
    ///
    /// # Errors
    /// Why the files cannot be written.
    pub(super) fn write(
        &self,
        folder: &str,
        proxy: &str,
        wants_json: bool,
    ) -> Result<String, String> {
        let place = |file: &ResultFile| Path::new(folder).join(&file.path);
        if let Some(there) = self
            .files
            .iter()
            .map(place)
            .find(|path| path.symlink_metadata().is_ok())
        {
            return Err(format!(
                "{} is there already, so nothing was written: name another folder with --out",
                there.display()
            ));
        }
        for file in &self.files {
            let path = place(file);
            let made = path
                .parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| write_new(&path, &file.text));
            made.map_err(|error| {
                let why = Unwritable::from(error);
                let path = path.display().to_string();
                let advice = why.advice(&path);
                format!("cannot write {path}: {why}; {advice}, or name another folder with --out")
            })?;
        }
        if wants_json {
            return Ok(json(self));
        }
        let head = format!(
            "Cetusguard with the intent of this {proxy} proxy is in {folder}. Read the notes; \
            build the image\n# {} from the repository of Cetusguard; then run in the folder: \
            docker compose up -d.\n# It takes the place of the old service. Services that are not \
            in this file go on, unless\n# --remove-orphans is given.",
            container::IMAGE
        );
        Ok(text::note_comments(&self.notes, &head))
    }
}

/// Makes a part of a path of a name. Names that Compose accepts have none of the replaced
/// characters.
fn file_name(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Writes a file that must not exist, also not since it was looked for.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?
        .write_all(text.as_bytes())
}
