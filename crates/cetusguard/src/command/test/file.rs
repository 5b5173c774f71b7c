//! The file with expected decisions, as it was written.

use std::path::Path;

use cetusguard_config::document::{Document, Spot};
use cetusguard_config::yaml::{Node, YamlValue};
use cetusguard_config::{CLIENT_KEYS, Mistake, nearest, read_text};

use cetusguard_proxy::Reason;

use super::objects::{self, World};

/// A file with expected decisions.
#[derive(Debug)]
pub(super) struct TestFile {
    /// The configuration to test, as a path from the working directory.
    pub(super) config: Option<String>,
    pub(super) world: World,
    pub(super) groups: Vec<ExpectationGroup>,
}

/// Expectations about the calls of one client.
#[derive(Debug)]
pub(super) struct ExpectationGroup {
    /// The marks of the client, as `--client` takes them; each with its place.
    pub(super) marks: Vec<(&'static str, String, Spot)>,
    /// The profile that the client has to get; without marks, the profile that decides.
    pub(super) profile: Option<(String, Spot)>,
    pub(super) expectations: Vec<Expectation>,
}

/// A call, with the decision that the policy has to come to.
#[derive(Debug)]
pub(super) struct Expectation {
    pub(super) spot: Spot,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) is_allowed: bool,
    /// The rule that has to decide: its text, or its file and line.
    pub(super) rule: Option<String>,
    pub(super) reason: Option<Reason>,
    /// The field in which the guard has to find something.
    pub(super) field: Option<String>,
}

/// The reader of a file, with the mistakes that it has found.
pub(super) struct FileReader<'m> {
    document: Document,
    /// The folder from which paths of the file begin.
    folder: String,
    mistakes: &'m mut Vec<Mistake>,
}

const FILE_KEYS: &[&str] = &["config", "objects", "engine", "proxy", "tests"];
const GROUP_KEYS: &[&str] = &[
    "client", "profile", "session", "headers", "allowed", "refused",
];
const EXPECTATION_KEYS: &[&str] = &[
    "call",
    "body",
    "body-file",
    "headers",
    "session",
    "rule",
    "reason",
    "field",
];

impl TestFile {
    /// Reads a file, and notes every mistake in it. Returns `None` if nothing of it can be used.
    pub(super) fn read(path: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Option<Self> {
        let (document, root) = Document::read(path, text);
        let root = root.map_err(|mistake| mistakes.push(mistake)).ok()?;
        let folder = Path::new(path).parent().map(Path::to_string_lossy);
        let mut reader = FileReader {
            document,
            folder: folder.unwrap_or_default().into_owned(),
            mistakes,
        };
        let mut file = Self {
            config: None,
            world: World::default(),
            groups: Vec::new(),
        };
        for (key, node) in reader.keys(&root, FILE_KEYS) {
            match key {
                "config" => {
                    let path = reader.text(key, node);
                    file.config = path.map(|path| reader.beside_file(&path));
                }
                "objects" => objects::read(&mut reader, node, &mut file.world),
                "engine" => objects::read_engine(&mut reader, node, &mut file.world),
                "proxy" => {
                    let name = reader.text(key, node);
                    file.world.proxy = name.map(|name| (name, reader.spot(node)));
                }
                _ => {
                    for node in reader.items(node) {
                        let group = reader.group(node);
                        file.groups.extend(group);
                    }
                }
            }
        }
        file.world.connect(reader.mistakes);
        if file.groups.is_empty() && reader.mistakes.is_empty() {
            let fix = "add tests, with calls under allowed and refused";
            reader.refuse(&root, "the file tests nothing", fix);
        }
        Some(file)
    }
}

impl FileReader<'_> {
    /// Returns the known keys of a mapping.
    pub(super) fn keys<'n>(
        &mut self,
        node: &'n Node,
        known: &[&'static str],
    ) -> Vec<(&'static str, &'n Node)> {
        self.document.keys(node, known, self.mistakes)
    }

    /// Returns the entries of a list.
    pub(super) fn items<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        self.document.items(node, self.mistakes)
    }

    /// Notes a mistake at a value.
    pub(super) fn refuse(&mut self, node: &Node, what: &str, fix: &str) {
        self.mistakes.push(self.document.wrong(node, what, fix));
    }

    /// Returns the place of a value.
    pub(super) fn spot(&self, node: &Node) -> Spot {
        self.document.spot(node.at)
    }

    /// Returns the text of a key.
    pub(super) fn text(&mut self, key: &str, node: &Node) -> Option<String> {
        match &node.value {
            YamlValue::Text(text, _) => Some(text.clone()),
            YamlValue::Nothing | YamlValue::List(_) | YamlValue::Map(_) => {
                self.refuse(node, &format!("{key} is no text"), "expected one value");
                None
            }
        }
    }

    /// Returns the texts of a key that takes one or a list of them.
    pub(super) fn texts(&mut self, key: &str, node: &Node) -> Vec<(String, Spot)> {
        let nodes = match &node.value {
            YamlValue::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::new();
        for node in nodes {
            let text = self.text(key, node);
            texts.extend(text.map(|text| (text, self.spot(node))));
        }
        texts
    }

    /// Returns keys of any name with their texts.
    pub(super) fn pairs(&mut self, key: &str, node: &Node) -> Vec<(String, String)> {
        let YamlValue::Map(map) = &node.value else {
            let fix = "expected a name, a colon and a value for each";
            self.refuse(node, &format!("{key} is no mapping"), fix);
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, _, node) in map {
            match &node.value {
                YamlValue::Nothing => pairs.push((name.clone(), String::new())),
                _ => pairs.extend(self.text(name, node).map(|text| (name.clone(), text))),
            }
        }
        pairs
    }

    /// Reads a file that the test file names.
    pub(super) fn file(&mut self, key: &str, node: &Node) -> Option<String> {
        let path = self.text(key, node)?;
        let path = self.beside_file(&path);
        read_text(&path)
            .map_err(|why| {
                let what = format!("{key} {path} cannot be read: {why}");
                self.refuse(node, &what, &why.advice());
            })
            .ok()
    }

    fn beside_file(&self, path: &str) -> String {
        Path::new(&self.folder).join(path).display().to_string()
    }

    fn group(&mut self, node: &Node) -> Option<ExpectationGroup> {
        let mut group = ExpectationGroup {
            marks: Vec::new(),
            profile: None,
            expectations: Vec::new(),
        };
        let (mut headers, mut lists) = (Vec::new(), Vec::new());
        for (key, node) in self.keys(node, GROUP_KEYS) {
            match key {
                "client" => group.marks = self.marks(node),
                "profile" => {
                    let name = self.text(key, node);
                    group.profile = name.map(|name| (name, self.spot(node)));
                }
                "session" => headers.extend(self.session(key, node)),
                "headers" => headers.extend(self.pairs(key, node)),
                list => lists.push((list == "allowed", node)),
            }
        }
        for (is_allowed, node) in lists {
            for item in self.items(node) {
                let found = self.expectations(item, is_allowed, &headers);
                group.expectations.extend(found);
            }
        }
        if group.expectations.is_empty() && self.mistakes.is_empty() {
            let fix = "list calls under allowed or refused, as in - GET /containers/json";
            self.refuse(node, "this entry tests nothing", fix);
        }
        Some(group).filter(|group| !group.expectations.is_empty())
    }

    fn marks(&mut self, node: &Node) -> Vec<(&'static str, String, Spot)> {
        let names = CLIENT_KEYS.iter().map(|key| key.name);
        let known: Vec<&'static str> = names.chain(["frontend"]).collect();
        let mut marks = Vec::new();
        for (key, node) in self.keys(node, &known) {
            let texts = self.texts(key, node).into_iter();
            marks.extend(texts.map(|(text, spot)| (key, text, spot)));
        }
        if marks.is_empty() && self.mistakes.is_empty() {
            let fix = format!("expected one of: {}", known.join(", "));
            self.refuse(node, "a client without a mark", &fix);
        }
        marks
    }

    fn session(&mut self, key: &str, node: &Node) -> Option<(String, String)> {
        let name = self.text(key, node)?;
        Some(("X-Cetusguard-Session".to_owned(), name))
    }

    /// Reads one entry of a list: a call, or a mapping with one or several of them.
    fn expectations(
        &mut self,
        node: &Node,
        is_allowed: bool,
        shared: &[(String, String)],
    ) -> Vec<Expectation> {
        let mut calls = Vec::new();
        let mut common = Expectation {
            spot: self.spot(node),
            method: String::new(),
            target: String::new(),
            headers: Vec::new(),
            body: None,
            is_allowed,
            rule: None,
            reason: None,
            field: None,
        };
        if let YamlValue::Text(text, _) = &node.value {
            calls.push((text.clone(), self.spot(node)));
        } else {
            for (key, node) in self.keys(node, EXPECTATION_KEYS) {
                match key {
                    "call" => calls = self.texts(key, node),
                    key => self.take_part(key, node, &mut common),
                }
            }
            if calls.is_empty() {
                let fix = "add call, as in call: GET /containers/json";
                self.refuse(node, "an expectation without a call", fix);
            }
        }
        let is_own = |name: &str| {
            let mut names = common.headers.iter().map(|(own, _)| own);
            names.any(|own| own.eq_ignore_ascii_case(name))
        };
        let inherited = shared.iter().filter(|(name, _)| !is_own(name));
        let inherited: Vec<_> = inherited.cloned().collect();
        common.headers.extend(inherited);
        let mut found = Vec::new();
        for (text, spot) in calls {
            let Some((method, target)) = text.split_once(' ') else {
                let fix = "expected a method and a path, as in GET /containers/json";
                let what = format!("{text:?} is no call");
                self.mistakes.push(Mistake::at(&spot, what, fix));
                continue;
            };
            found.push(Expectation {
                spot,
                method: method.to_owned(),
                target: target.trim().to_owned(),
                headers: common.headers.clone(),
                body: common.body.clone(),
                rule: common.rule.clone(),
                field: common.field.clone(),
                ..common
            });
        }
        found
    }

    /// Reads a key of an expectation beside its calls.
    fn take_part(&mut self, key: &str, node: &Node, common: &mut Expectation) {
        let is_about_refusal = matches!(key, "reason" | "field");
        if is_about_refusal && common.is_allowed {
            let what = format!("{key} is about a refusal, and the call is to be allowed");
            self.refuse(node, &what, "take it out, or move the call below refused");
            return;
        }
        let is_second = common.body.is_some() && matches!(key, "body" | "body-file");
        if is_second {
            self.refuse(node, "a second body", "keep body or body-file");
            return;
        }
        match key {
            "body" => common.body = Some(body_of(node).into_bytes()),
            "body-file" => common.body = self.file(key, node).map(String::into_bytes),
            "headers" => common.headers.extend(self.pairs(key, node)),
            "session" => common.headers.extend(self.session(key, node)),
            "rule" => common.rule = self.text(key, node),
            "field" => common.field = self.text(key, node),
            _ => {
                let word = self.text(key, node);
                common.reason = word.and_then(|word| self.reason(&word, node));
            }
        }
    }

    fn reason(&mut self, word: &str, node: &Node) -> Option<Reason> {
        let known = || Reason::all().filter(|reason| depends_on_policy(*reason));
        let found = known().find(|reason| reason.word() == word);
        if found.is_none() {
            let words: Vec<_> = known().map(Reason::word).collect();
            let fix = match nearest(word, words.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("expected one of: {}", words.join(", ")),
            };
            let what = format!("{word:?} is no reason for which a policy refuses a call");
            self.refuse(node, &what, &fix);
        }
        found
    }
}

/// Returns whether a request can be refused for this reason without an engine, a connection or a
/// clock.
fn depends_on_policy(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Denied(_)
            | Reason::MalformedHead
            | Reason::TargetTooLong
            | Reason::MalformedTarget
            | Reason::MalformedJson
            | Reason::ContentType
            | Reason::BodyTooLarge
            | Reason::AmbiguousClient
            | Reason::BrowserOrigin
            | Reason::UserAgent
            | Reason::Guard
            | Reason::NotRecreatable
            | Reason::NoSuchObject
            | Reason::NotVisible
            | Reason::NoSession
    )
}

/// Returns a body as a client sends it: a text as it is, and anything else as JSON.
fn body_of(node: &Node) -> String {
    match &node.value {
        YamlValue::Text(text, _) => text.clone(),
        YamlValue::Nothing => String::new(),
        YamlValue::List(_) | YamlValue::Map(_) => json_of(node),
    }
}

/// Writes a value as JSON. Numbers and truth values without quotes keep their type, as in YAML 1.2.
pub(super) fn json_of(node: &Node) -> String {
    let text_of = |text: &str| serde_json::Value::from(text).to_string();
    match &node.value {
        YamlValue::Nothing => "null".to_owned(),
        YamlValue::Text(text, _) if node.is_plain && is_json_scalar(text) => text.clone(),
        YamlValue::Text(text, _) => text_of(text),
        YamlValue::List(items) => {
            let items: Vec<_> = items.iter().map(json_of).collect();
            format!("[{}]", items.join(","))
        }
        YamlValue::Map(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(key, _, node)| format!("{}:{}", text_of(key), json_of(node)))
                .collect();
            format!("{{{}}}", pairs.join(","))
        }
    }
}

fn is_json_scalar(text: &str) -> bool {
    matches!(text, "true" | "false") || serde_json::from_str::<serde_json::Number>(text).is_ok()
}
