//! The objects that a test file declares: the answers of an engine about them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use cetusguard_config::document::Spot;
use cetusguard_config::yaml::{self, Node};
use cetusguard_config::{Mistake, nearest};
use cetusguard_policy::Object;
use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Engine, Inspection, full_image_name};
use serde_json::{Map, Value, json};

use super::file::{FileReader, json_of};

/// The objects of an engine, and the engine itself.
#[derive(Debug, Default)]
pub(super) struct World {
    declared: Vec<Declared>,
    /// The engine's answer about its version.
    pub(super) engine: Option<Engine>,
    /// The name of the proxy's own container.
    pub(super) proxy: Option<(String, Spot)>,
    /// The names of objects for which a star stands, by the identifiers that were made of them.
    starred: RefCell<HashMap<String, String>>,
}

/// An object of a test file.
#[derive(Debug)]
struct Declared {
    spot: Spot,
    kind: ObjectKind,
    /// The name; a star stands for every object of the kind that is not declared.
    name: String,
    /// The identifier, if the file gives one.
    id: Option<String>,
    is_missing: bool,
    /// The container of a command, or the service of a task, by its declared name.
    part_of: Option<(String, Spot)>,
    /// The engine's answer to an inspection.
    answer: Value,
}

/// The engine's answer about an object.
pub(super) enum FoundObject {
    /// The description, with the whole answer.
    Object(Box<Object>, String),
    Missing,
}

const COMMON_KEYS: [&str; 4] = ["id", "labels", "missing", "inspect"];

/// The name that stands for every object that is not declared.
const ANY: &str = "*";

/// Reads the list of objects.
pub(super) fn read(reader: &mut FileReader<'_>, node: &Node, world: &mut World) {
    for item in reader.items(node) {
        world.declared.extend(read_object(reader, item));
    }
}

/// Reads the version of the engine.
pub(super) fn read_engine(reader: &mut FileReader<'_>, node: &Node, world: &mut World) {
    let (mut api, mut kernel, mut name) = (String::new(), String::new(), "docker".to_owned());
    for (key, node) in reader.keys(node, &["name", "api-version", "kernel"]) {
        let text = reader.text(key, node).unwrap_or_default();
        match key {
            "api-version" => api = text,
            "kernel" => kernel = text,
            _ if matches!(text.as_str(), "docker" | "podman") => name = text,
            _ => reader.refuse(
                node,
                &format!("name is {text:?}"),
                "expected docker or podman",
            ),
        }
    }
    let component = if name == "podman" {
        "Podman Engine"
    } else {
        "Engine"
    };
    let answer = json!({
        "ApiVersion": api,
        "KernelVersion": kernel,
        "Components": [{ "Name": component }],
    });
    world.engine = Engine::read(answer.to_string().as_bytes()).ok();
}

fn read_object(reader: &mut FileReader<'_>, node: &Node) -> Option<Declared> {
    let kinds = ObjectKind::ALL.map(ObjectKind::name);
    let known: Vec<&'static str> = kinds.into_iter().chain(COMMON_KEYS).collect();
    let mut names = Vec::new();
    let mut declared = Declared {
        spot: reader.spot(node),
        kind: ObjectKind::Container,
        name: String::new(),
        id: None,
        is_missing: false,
        part_of: None,
        answer: Value::Object(Map::new()),
    };
    let mut labels = None;
    for (key, node) in reader.keys(node, &known) {
        match key {
            "id" => declared.id = reader.text(key, node),
            "labels" => labels = Some(reader.pairs(key, node)),
            "missing" => {
                let text = reader.text(key, node);
                declared.is_missing = text.as_deref() == Some("true");
                if text.is_some_and(|text| !matches!(text.as_str(), "true" | "false")) {
                    reader.refuse(node, "missing is no truth value", "expected true or false");
                }
            }
            "inspect" => declared.answer = inspected(reader, node),
            kind => {
                let name = reader.text(kind, node);
                names.extend(name.map(|name| (kind, (name, reader.spot(node)))));
            }
        }
    }
    let refuse = |reader: &mut FileReader<'_>| {
        let fix = "name it by its kind, as in container: web";
        reader.refuse(node, "an object needs one kind and name", fix);
        None
    };
    // A command stands in a container, a task belongs to a service, and a container has an image.
    let (name, other) = match names.as_slice() {
        [one] => (one.clone(), None),
        [one, other] => match (one.0, other.0) {
            ("exec", "container") | ("task", "service") | ("container", "image") => {
                (one.clone(), Some(other.clone()))
            }
            ("container", "exec") | ("service", "task") | ("image", "container") => {
                (other.clone(), Some(one.clone()))
            }
            _ => return refuse(reader),
        },
        _ => return refuse(reader),
    };
    declared.kind = ObjectKind::named(name.0)?;
    declared.name = name.1.0;
    match other {
        Some(("image", (image, _))) => {
            set(&mut declared.answer, &["Config", "Image"], image.into())
        }
        Some((_, part_of)) => declared.part_of = Some(part_of),
        None => {}
    }
    if let Some(labels) = labels {
        declared.set_labels(labels);
    }
    Some(declared)
}

/// Returns the engine's answer that the file gives: fields, or a file in JSON.
fn inspected(reader: &mut FileReader<'_>, node: &Node) -> Value {
    let text = match &node.value {
        yaml::YamlValue::Text(..) => reader.file("inspect", node).unwrap_or_default(),
        _ => json_of(node),
    };
    let value = serde_json::from_str::<Value>(&text).ok();
    // `docker inspect` prints a list of one object.
    let value = match value {
        Some(Value::Array(mut list)) if list.len() == 1 => list.pop(),
        value => value,
    };
    match value.filter(Value::is_object) {
        Some(value) => value,
        None => {
            let fix = "expected the fields of the engine's answer, or a JSON file with them";
            reader.refuse(node, "inspect is no object", fix);
            Value::Object(Map::new())
        }
    }
}

/// Sets a value in nested objects, which are made if they are missing.
fn set(answer: &mut Value, path: &[&str], value: Value) {
    let Some((last, outer)) = path.split_last() else {
        return;
    };
    let mut inner = answer;
    for key in outer {
        if !inner.is_object() {
            return;
        }
        inner = &mut inner[*key];
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
    }
    if inner.is_object() {
        inner[*last] = value;
    }
}

impl Declared {
    fn set_labels(&mut self, labels: Vec<(String, String)>) {
        let path: &[&str] = match self.kind {
            ObjectKind::Container | ObjectKind::Image => &["Config", "Labels"],
            ObjectKind::Service | ObjectKind::Secret | ObjectKind::Config | ObjectKind::Node => {
                &["Spec", "Labels"]
            }
            _ => &["Labels"],
        };
        let labels: Map<String, Value> = labels
            .into_iter()
            .map(|(key, value)| (key, value.into()))
            .collect();
        set(&mut self.answer, path, labels.into());
    }

    /// Returns whether a client can mean the object by this word.
    fn is_meant_by(&self, word: &str) -> bool {
        let word = match self.kind {
            ObjectKind::Container => word.trim_start_matches('/'),
            _ => word,
        };
        let is_name = match self.kind {
            ObjectKind::Image => full_image_name(&self.name) == full_image_name(word),
            _ => self.name == word,
        };
        let is_id = |id: &str| id == word || (!word.is_empty() && id.starts_with(word));
        let has_id = match &self.id {
            Some(id) => is_id(id),
            // An identifier that the file does not give is meant as a whole alone.
            None => self.id_as(&self.name) == word,
        };
        is_name || (self.kind != ObjectKind::Volume && has_id)
    }

    /// Returns the engine's answer about the object under this name.
    fn answer_as(&self, name: &str, parent: &str) -> Value {
        let (mut answer, id) = (self.answer.clone(), self.id_as(name));
        let mut put = |path: &[&str], value: &str| set(&mut answer, path, value.into());
        match self.kind {
            ObjectKind::Container => {
                put(&["Id"], &id);
                put(&["Name"], &format!("/{name}"));
            }
            ObjectKind::Exec => {
                put(&["ID"], &id);
                put(&["ContainerID"], parent);
            }
            ObjectKind::Image => put(&["Id"], &id),
            ObjectKind::Volume => put(&["Name"], name),
            ObjectKind::Network | ObjectKind::Pod | ObjectKind::Plugin => {
                put(&["Id"], &id);
                put(&["Name"], name);
            }
            ObjectKind::Service | ObjectKind::Secret | ObjectKind::Config => {
                put(&["ID"], &id);
                put(&["Spec", "Name"], name);
            }
            ObjectKind::Node => {
                put(&["ID"], &id);
                put(&["Description", "Hostname"], name);
            }
            ObjectKind::Task => {
                put(&["ID"], &id);
                put(&["ServiceID"], parent);
            }
        }
        let is_unset = |answer: &Value, key: &str| answer.get(key).is_none();
        match self.kind {
            ObjectKind::Container => {
                for key in ["Config", "HostConfig"] {
                    if is_unset(&answer, key) {
                        answer[key] = Value::Object(Map::new());
                    }
                }
            }
            ObjectKind::Image if is_unset(&answer, "RepoTags") => {
                answer["RepoTags"] = json!([name]);
            }
            ObjectKind::Volume | ObjectKind::Network if is_unset(&answer, "Driver") => {
                let is_volume = self.kind == ObjectKind::Volume;
                answer["Driver"] = if is_volume { "local" } else { "bridge" }.into();
            }
            _ => {}
        }
        answer
    }

    /// Returns the identifier: that of the file, or one that is made from the name.
    fn id_as(&self, name: &str) -> String {
        if let Some(id) = &self.id {
            return id.clone();
        }
        if matches!(self.kind, ObjectKind::Exec | ObjectKind::Task) {
            return name.to_owned();
        }
        let digits: String = (0..4_u8)
            .map(|part| {
                let mut hasher = DefaultHasher::new();
                (self.kind.name(), name, part).hash(&mut hasher);
                format!("{:016x}", hasher.finish())
            })
            .collect();
        match self.kind {
            ObjectKind::Image => format!("sha256:{digits}"),
            _ => digits,
        }
    }
}

impl World {
    /// Checks the references between objects.
    pub(super) fn connect(&self, mistakes: &mut Vec<Mistake>) {
        for (at, one) in self.declared.iter().enumerate() {
            let is_same = |other: &Declared| other.kind == one.kind && other.name == one.name;
            if self.declared[..at].iter().any(is_same) {
                let what = format!("the {} {} is declared twice", one.kind.name(), one.name);
                mistakes.push(Mistake::at(&one.spot, what, "declare it once"));
            }
            let kind = if one.kind == ObjectKind::Task {
                ObjectKind::Service
            } else {
                ObjectKind::Container
            };
            if let Some((name, spot)) = &one.part_of {
                self.expect(kind, name, spot, mistakes);
            } else if matches!(one.kind, ObjectKind::Exec | ObjectKind::Task) && !one.is_missing {
                let (own, other) = (one.kind.name(), kind.name());
                let fix = format!("add {other}, with the name of a declared {other}");
                let what = format!("the {own} {} has no {other}", one.name);
                mistakes.push(Mistake::at(&one.spot, what, fix));
            }
        }
        if let Some((name, spot)) = &self.proxy {
            self.expect(ObjectKind::Container, name, spot, mistakes);
        }
    }

    /// Notes a mistake if there is no such object.
    fn expect(&self, kind: ObjectKind, name: &str, spot: &Spot, mistakes: &mut Vec<Mistake>) {
        if self.declared(kind, name).is_some() {
            return;
        }
        let of_kind = self.declared.iter().filter(|one| one.kind == kind);
        let near = nearest(name, of_kind.map(|one| one.name.as_str()));
        let fix = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("declare it among the objects: - {}: {name}", kind.name()),
        };
        let what = format!("the {} {name} is not declared", kind.name());
        mistakes.push(Mistake::at(spot, what, fix));
    }

    fn declared(&self, kind: ObjectKind, word: &str) -> Option<&Declared> {
        let of_kind = || self.declared.iter().filter(|one| one.kind == kind);
        of_kind()
            .find(|one| one.name != ANY && one.is_meant_by(word))
            .or_else(|| of_kind().find(|one| one.name == ANY))
    }

    /// Finds a container that the file declares by this very name.
    pub(super) fn declared_container(&self, name: &str) -> Option<FoundObject> {
        let is_it = |one: &Declared| one.kind == ObjectKind::Container && one.name == name;
        self.declared.iter().any(is_it).then_some(())?;
        self.find(ObjectKind::Container, name).ok()
    }

    /// Finds an object by a client's word for it.
    ///
    /// # Errors
    /// The file does not declare it.
    pub(super) fn find(&self, kind: ObjectKind, word: &str) -> Result<FoundObject, String> {
        let undeclared = || {
            format!(
                "it depends on the {} {word}, which the file does not declare; add it to objects: \
                - {}: {word}, with missing: true if the engine does not have it",
                kind.name(),
                kind.name()
            )
        };
        let declared = self.declared(kind, word).ok_or_else(undeclared)?;
        if declared.is_missing {
            return Ok(FoundObject::Missing);
        }
        let name = match declared.name.as_str() {
            ANY => self.starred_name(declared, word),
            name => name.to_owned(),
        };
        let parent_kind = match kind {
            ObjectKind::Task => ObjectKind::Service,
            _ => ObjectKind::Container,
        };
        let parent = declared.part_of.as_ref().and_then(|(name, _)| {
            let parent = self.declared(parent_kind, name)?;
            Some(parent.id_as(name))
        });
        let answer = declared.answer_as(&name, &parent.unwrap_or_default());
        let answer = answer.to_string();
        let object = Object::read(kind, answer.as_bytes())
            .map_err(|why| format!("what the file says of the {} {word} is {why}", kind.name()))?;
        Ok(FoundObject::Object(Box::new(object), answer))
    }

    /// Returns the name of an object for which a star stands. The decision first asks about the
    /// client's word, and then about the identifier that it was told.
    fn starred_name(&self, declared: &Declared, word: &str) -> String {
        let mut starred = self.starred.borrow_mut();
        if let Some(name) = starred.get(word) {
            return name.clone();
        }
        let name = word.trim_start_matches('/').to_owned();
        starred.insert(declared.id_as(&name), name.clone());
        name
    }

    /// Finds a container with all its settings; `None` if the engine does not have it.
    ///
    /// # Errors
    /// As for [`World::find`].
    pub(super) fn inspect(&self, word: &str) -> Result<Option<Inspection>, String> {
        match self.find(ObjectKind::Container, word)? {
            FoundObject::Missing => Ok(None),
            FoundObject::Object(_, answer) => Inspection::read(answer.as_bytes())
                .map(Some)
                .map_err(|why| format!("what the file says of the container {word} is {why}")),
        }
    }
}
