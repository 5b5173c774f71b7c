//! The re-creation of a container. Clients that replace a container delete it before they create it
//! again; if the guard refuses that create, the container is gone. So before such a client deletes
//! a container, the create that would follow is judged by the reader of a create, with the settings
//! that the engine reports.

use std::borrow::Cow;

use super::case::Case;
use super::json::Json;
use super::readers::CONTAINER_CREATE;
use super::subject::{Role, Slot, Subject};
use super::visibility::Visibility;
use super::{
    Judge, MalformedJson, Missing, Objection, Question, Step, container, host_config, restricted,
};
use crate::endpoint::{EndpointId, ObjectKind};
use crate::object::{Detail, Object};
use crate::request::call::Call;

/// The way in which the clients of a profile create a container again that they have deleted. Later
/// variants judge more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recreation {
    /// They do not create it again: they may delete containers for good.
    Off,
    /// They create it from a file of their own, as Compose and Ansible do. Values that an engine
    /// fills in by itself are left out.
    Declared,
    /// They create it from the settings that they inspected: everything that the engine reports
    /// counts.
    Copied,
    /// As `Copied`; they also stop a container only in order to replace it, so that it is not
    /// stopped either.
    Updater,
}

impl Recreation {
    /// All variants, in their order.
    pub const ALL: [Self; 4] = [Self::Off, Self::Declared, Self::Copied, Self::Updater];

    /// Returns the value of the option.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Declared => "declared",
            Self::Copied => "copied",
            Self::Updater => "updater",
        }
    }
}

/// The way in which a call loses a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The call deletes the container.
    Delete,
    /// The call ends the container, which the engine then deletes if it was created so
    /// (`AutoRemove`).
    Stop,
}

impl Loss {
    /// Returns the way in which a call loses the container that its path names; `None` if it does
    /// not, as a restart (moby `daemon/restart.go`).
    pub(crate) fn of_call(call: &Call) -> Option<Self> {
        match call.endpoint()?.id {
            EndpointId::ContainerRemove | EndpointId::LibpodContainerRemove => Some(Self::Delete),
            EndpointId::ContainerStop
            | EndpointId::ContainerKill
            | EndpointId::LibpodContainerStop
            | EndpointId::LibpodContainerKill => Some(Self::Stop),
            _ => None,
        }
    }

    /// Returns the part of a refusal that names the prevented action on the container.
    const fn prevented(self) -> &'static str {
        match self {
            Self::Delete => "is not deleted",
            Self::Stop => "is not stopped",
        }
    }
}

/// The obligation to judge the re-creation of a container before a call loses it.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    pub(crate) loss: Loss,
    pub(crate) how: Recreation,
    /// The create that would follow, without its query.
    pub(crate) create: Call,
    /// The rule by which the client could give the new container its name, if no rule lets it
    /// rename.
    pub(crate) rename_rule: Option<String>,
}

/// The engine's description of a container, with the body by which a client would create the
/// container again.
#[derive(Clone, Debug)]
pub struct Inspection {
    object: Object,
    /// The identifier of its image.
    image: String,
    /// The user that the container runs as.
    user: String,
    is_auto_removed: bool,
    /// The body of a create; `None` if the engine does not tell the container's settings.
    create: Option<String>,
}

impl Inspection {
    /// Reads the engine's answer to `GET /containers/{id}/json` (moby
    /// `api/types/container.InspectResponse`). The fields of the create are those of `Config`,
    /// `HostConfig`, and the networks under another name.
    ///
    /// # Errors
    /// The answer is not JSON that all readers read alike.
    pub fn read(answer: &[u8]) -> Result<Self, MalformedJson> {
        let object = Object::read(ObjectKind::Container, answer)?;
        let answer = Json::read(answer)?;
        let at = |path: &[&str]| path.iter().try_fold(&answer, |value, key| value.get(key));
        let text = |path: &[&str]| at(path).map(Json::text).unwrap_or_default().to_owned();
        Ok(Self {
            object,
            image: text(&["Image"]),
            user: text(&["Config", "User"]),
            is_auto_removed: at(&["HostConfig", "AutoRemove"]) == Some(&Json::Bool(true)),
            create: create_body(
                at(&["Config"]),
                at(&["HostConfig"]),
                at(&["NetworkSettings", "Networks"]),
            ),
        })
    }

    /// Returns the container.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }
}

/// The values that an engine gives a container whose client does not set them.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    log_driver: String,
    runtime: String,
}

impl Defaults {
    /// Reads the engine's answer to `GET /info` (moby `api/types/system.Info`).
    ///
    /// # Errors
    /// The answer is not JSON that all readers read alike.
    pub fn read(answer: &[u8]) -> Result<Self, MalformedJson> {
        let answer = Json::read(answer)?;
        let text = |key| {
            answer
                .get(key)
                .map(Json::text)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Self {
            log_driver: text("LoggingDriver"),
            runtime: text("DefaultRuntime"),
        })
    }
}

/// Returns the body of a create with these settings; `None` if some are missing.
fn create_body(
    config: Option<&Json<'_>>,
    host: Option<&Json<'_>>,
    networks: Option<&Json<'_>>,
) -> Option<String> {
    let (Some(Json::Map(config)), Some(host @ Json::Map(_))) = (config, host) else {
        return None;
    };
    let mut body = config.clone();
    body.push((Cow::Borrowed("HostConfig"), host.clone()));
    if let Some(networks @ Json::Map(_)) = networks {
        let endpoints = vec![(Cow::Borrowed("EndpointsConfig"), networks.clone())];
        body.push((Cow::Borrowed("NetworkingConfig"), Json::Map(endpoints)));
    }
    Some(Json::Map(body).to_string())
}

/// Returns the body that a client with a file of its own would send: without the values that an
/// engine fills in. The guard may refuse such values, which are the same for every container of an
/// engine.
fn declared(create: &str, defaults: &Defaults) -> Result<String, MalformedJson> {
    let mut create = Json::read(create.as_bytes())?;
    if let Json::Map(fields) = &mut create {
        fields.retain(|(name, _)| container::CREATE.has_field(name));
        for (name, value) in fields {
            match (name.as_ref(), value) {
                ("HostConfig", Json::Map(host)) => undeclare_host(host, defaults),
                ("NetworkingConfig", Json::Map(networking)) => undeclare_endpoints(networking),
                _ => {}
            }
        }
    }
    Ok(create.to_string())
}

type Fields<'b> = Vec<(Cow<'b, str>, Json<'b>)>;

fn undeclare_host(host: &mut Fields<'_>, defaults: &Defaults) {
    let is = |name: &str, wanted: &dyn Fn(&Json<'_>) -> bool| {
        host.iter().any(|(key, value)| key == name && wanted(value))
    };
    let is_host = |value: &Json<'_>| value.text() == "host";
    // moby `generateSecurityOpt`: SELinux is off for containers that see the host.
    let sees_host = is("Privileged", &|value| *value == Json::Bool(true))
        || is("PidMode", &is_host)
        || is("IpcMode", &is_host);
    host.retain_mut(|(name, value)| match (name.as_ref(), value) {
        // The default of engines with cgroup version 1.
        ("CgroupnsMode", value) => value.text() != "host",
        ("Runtime", value) => value.text() != defaults.runtime,
        ("LogConfig", value) => {
            value.get("Type").map(Json::text).unwrap_or_default() != defaults.log_driver
        }
        ("SecurityOpt", Json::List(options)) if sees_host => {
            options.retain(|option| option.text() != "label=disable");
            true
        }
        ("Annotations", Json::Map(annotations)) => {
            annotations
                .retain(|(name, _)| !OF_PODMAN.iter().any(|prefix| name.starts_with(prefix)));
            true
        }
        (name, _) => host_config::HOST_CONFIG.has_field(name),
    });
}

/// Annotations that Podman gives containers by itself (`libpod/define/annotations.go`).
const OF_PODMAN: [&str; 3] = [
    "io.podman.annotations.",
    "io.container.manager",
    "org.opencontainers.image.",
];

/// Keeps the settings of network endpoints that a client declares; the engine adds the others.
fn undeclare_endpoints(networking: &mut Fields<'_>) {
    for (_, endpoints) in networking {
        let Json::Map(endpoints) = endpoints else {
            continue;
        };
        for (_, endpoint) in endpoints {
            let Json::Map(fields) = endpoint else {
                continue;
            };
            fields.retain(|(name, _)| {
                matches!(
                    name.as_ref(),
                    "IPAMConfig" | "Links" | "Aliases" | "DriverOpts"
                )
            });
        }
    }
}

/// The largest body that is judged, in bytes: the create itself would be refused beyond it.
const CREATE_LIMIT: usize = 1 << 20;

/// A name as engines make it if the client gives none (moby `pkg/namesgenerator`).
const GENERATED_NAME: &str = "bold_turing";

/// A container that a call loses unless the guard objects to its re-creation.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) name: String,
    pub(super) prevented: &'static str,
}

impl Lost {
    /// Makes the objection to losing the container from the findings about its re-creation.
    pub(super) fn kept_by(self, objection: Objection) -> Objection {
        let Self {
            name: container,
            prevented,
        } = self;
        match objection {
            Objection::Findings(findings) => Objection::Unrecreatable {
                container,
                prevented,
                findings,
            },
            other => other,
        }
    }
}

impl Case<'_> {
    /// Returns the question about a container that the call may lose.
    pub(super) fn inspection<'c>(&self, word: &'c str) -> Question<'c> {
        let wants_defaults = self
            .replacement
            .is_some_and(|replacement| replacement.how == Recreation::Declared);
        Question::Inspection {
            word,
            wants_defaults,
        }
    }

    /// Takes the answer to a question about a container that the call may lose, and the engine's
    /// defaults if the question wants them; `None` stands for a container that the engine does not
    /// have. Judges the create that would follow; the objects that it names become the next
    /// questions.
    ///
    /// # Errors
    /// The call is about the missing container: the engine's own answer is the client's.
    pub fn answer_inspection(
        &mut self,
        inspection: Option<&Inspection>,
        defaults: &Defaults,
    ) -> Result<(), Missing> {
        let Some((subject, replacement)) = self
            .judge
            .subjects
            .get(self.next)
            .cloned()
            .zip(self.replacement)
        else {
            return Ok(());
        };
        let Some(inspection) = inspection else {
            return self.answer(None);
        };
        self.next += 1;
        let target = Subject {
            role: Role::Target(super::Use::Control),
            ..subject
        };
        if self.judge.visibility_of(&target, &inspection.object) == Visibility::Hidden {
            return Err(self.missing(&target));
        }
        self.judge.judge_subject(&target, Some(&inspection.object));
        self.replace(&target, &inspection.object.id);
        let is_lost = replacement.loss == Loss::Delete
            || inspection.is_auto_removed
            || replacement.how == Recreation::Updater;
        if self.judge.count() == 0 && is_lost {
            let (name, prevented) = (inspection.object.name.clone(), replacement.loss.prevented());
            self.lost = Some(Lost { name, prevented });
            self.judge.recreates(replacement, inspection, defaults);
        }
        Ok(())
    }
}

impl Judge<'_> {
    /// Judges the create of a container with the settings of an inspected one.
    fn recreates(
        &mut self,
        replacement: &Replacement,
        inspection: &Inspection,
        defaults: &Defaults,
    ) {
        let create = match (&inspection.create, replacement.how) {
            (None, _) => {
                return self.refuse("the engine does not tell its settings".to_owned(), None);
            }
            (Some(create), Recreation::Declared) => declared(create, defaults),
            (Some(create), _) => Ok(create.clone()),
        };
        let name = &inspection.object.name;
        let call = replacement
            .create
            .with_parameters(&[("name".to_owned(), name.clone())]);
        let before = self.subjects.len();
        self.omits_missing = replacement.how == Recreation::Declared;
        match create {
            Ok(create) if create.len() > CREATE_LIMIT => {
                self.refuse(
                    "its settings are larger than the 1 MiB that the guard judges".to_owned(),
                    None,
                );
            }
            Ok(create) => {
                if let Err(objection) =
                    CONTAINER_CREATE.read(self, &call, Some("application/json"), create.as_bytes())
                {
                    self.refuse(objection.to_string(), None);
                }
            }
            Err(malformed) => {
                self.refuse(format!("its settings cannot be read: {malformed}"), None)
            }
        }
        // The body is not forwarded, so that no identifier has to be written into it.
        self.subjects
            .iter_mut()
            .skip(before)
            .for_each(|subject| subject.slot = Slot::Nowhere);
        if replacement.how == Recreation::Updater {
            self.regains_name(name, replacement.rename_rule.as_deref());
        }
        if self.is_restricted()
            && replacement.how != Recreation::Copied
            && !inspection.user.is_empty()
        {
            self.image_user = Some(inspection.user.clone());
            let (kind, word, place, slot) = (
                ObjectKind::Image,
                inspection.image.clone(),
                Vec::new(),
                Slot::Nowhere,
            );
            self.add_subject(Subject {
                kind,
                word,
                role: Role::Defaults,
                place,
                slot,
            });
        }
    }

    /// Judges the rename of a container that was created without a name. The maintained Watchtower
    /// does so, and deletes the new container as well if the rename is refused.
    fn regains_name(&mut self, name: &str, rule: Option<&str>) {
        if let Some(rule) = rule {
            let what = format!(
                "no rule lets the client rename the new container, as Watchtower does; add the \
                rule: {rule}"
            );
            self.within(Step::Parameter("name"), |judge| judge.refuse(what, None));
        }
        let gained = |kind: &&str| self.allows(kind, name) && !self.allows(kind, GENERATED_NAME);
        if let Some(kind) = ["target", "link"].into_iter().find(gained) {
            let what = format!(
                "a new container may not get this name by a rename, since guard-allow {kind} \
                covers it; name the container by a label instead"
            );
            self.within(Step::Parameter("name"), |judge| judge.refuse(what, None));
        }
    }

    /// Judges a user that the container has from its image: clients do not send the image's own
    /// user, and the level `restricted` asks for a user in the body.
    pub(super) fn omits_user_of(&mut self, image: &Object) {
        let Detail::Image {
            user: user_of_image,
            ..
        } = &image.detail
        else {
            return;
        };
        if self
            .image_user
            .take()
            .is_some_and(|user| user == *user_of_image)
        {
            restricted::user(self, "User", None);
        }
    }
}
