//! Which of the engine's containers the clients of a profile could not create again after they have
//! deleted them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{
    Case, Defaults, Engine, GuardLevel, Inspection, Json, Objection, Question, Recreation,
    Surroundings,
};
use cetusguard_policy::{Call, Object, Permit, Profile, Profiles, Verdict, decide};

use super::engine_socket::EngineSockets;
use super::{Diagnosis, count};
use cetusguard_proxy::Backend;
use cetusguard_proxy::Config;
use cetusguard_proxy::{EngineError, ObjectAnswer, Own, fetch, inspection_target};

const ABOUT: &str = "re-creation";

/// Containers that are looked at.
const CONTAINERS: usize = 100;
/// Containers that are named, of each profile.
const NAMED: usize = 10;
/// The time that all questions to the engine may take together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Judges the re-creation of each container by each profile that may delete and create containers.
pub(super) fn examine(config: &Config) -> Vec<Diagnosis> {
    let profiles: Vec<_> = config
        .profiles
        .all()
        .filter_map(|profile| profile_to_judge(profile))
        .collect();
    if profiles.is_empty() {
        return Vec::new();
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let backend = Backend::new(
        config.backend.clone(),
        config.backend_tls.clone(),
        config.limits.connect,
    );
    let engine = Questions {
        backend,
        end: Instant::now() + PATIENCE,
        sockets: EngineSockets::new(&config.backend),
    };
    match runtime.block_on(engine.look(&profiles, config)) {
        Ok(findings) => findings,
        Err(trouble) => {
            let fix = "see what is said of the engine, then run cetusguard doctor once more";
            let what =
                format!("which containers could not be created again is not known: {trouble}");
            vec![Diagnosis::warning(ABOUT, what, fix)]
        }
    }
}

/// A profile as re-creations are judged by it.
struct JudgedProfile {
    profile: Profile,
    /// The consequence for a container that its clients could not create again.
    outcome: &'static str,
}

/// Returns the profile under which re-creations are judged; `None` if its clients cannot create
/// containers under a guard, or may lose containers that they delete. If the mode of re-creation is
/// not set, the clients are assumed to copy the settings that they inspect.
fn profile_to_judge(profile: &Profile) -> Option<JudgedProfile> {
    let paths = ["/containers/create", "/v1.44/containers/create"];
    let creates = paths.iter().any(|path| is_allowed("POST", path, profile));
    let recreation = profile.recreation.unwrap_or(Recreation::Copied);
    let is_due =
        creates && profile.guard.level != GuardLevel::Privileged && recreation != Recreation::Off;
    let outcome = match profile.recreation {
        None => "a client that replaces it loses it (guard-recreation is not set)",
        Some(Recreation::Updater) => "it is neither stopped nor deleted",
        Some(_) => "it is not deleted",
    };
    is_due.then(|| JudgedProfile {
        profile: Profile {
            recreation: Some(recreation),
            ..profile.clone()
        },
        outcome,
    })
}

fn is_allowed(method: &str, path: &str, profile: &Profile) -> bool {
    Call::read(method, path).is_ok_and(|call| matches!(decide(call, profile), Verdict::Allow(_)))
}

/// Returns the permit to delete a container, by its identifier or its name.
fn permit_deletion(container: &Object, version: &str, profile: &Profile) -> Option<Permit> {
    let words = [&container.id, &container.name].into_iter();
    let paths = words.flat_map(|word| {
        [
            format!("/v{version}/containers/{word}"),
            format!("/containers/{word}"),
        ]
    });
    paths
        .filter_map(|path| Call::read("DELETE", &path).ok())
        .find_map(|call| match decide(call, profile) {
            Verdict::Allow(permit) => permit.judges_recreation().then_some(permit),
            Verdict::Deny(_) => None,
        })
}

/// The containers that a profile could not create again.
#[derive(Default)]
struct ContainerTally {
    judged: usize,
    refused: Vec<RefusedContainer>,
}

/// A container that could not be created again.
struct RefusedContainer {
    container: String,
    objection: Objection,
    /// The reason why no exception should allow it.
    warning: Option<String>,
}

/// The questions to the engine, within their time.
struct Questions {
    backend: Backend,
    end: Instant,
    sockets: EngineSockets,
}

impl Questions {
    async fn ask(&self, target: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let left = self.end.saturating_duration_since(Instant::now());
        match fetch(&self.backend, target, left).await? {
            ObjectAnswer::Answer(answer) => Ok(Some(answer)),
            ObjectAnswer::Missing(_) => Ok(None),
        }
    }

    async fn object(&self, kind: ObjectKind, word: &str) -> Result<Option<Object>, EngineError> {
        let answer = self.ask(&inspection_target(kind, word)).await?;
        answer
            .map(|answer| Object::read(kind, &answer).map_err(unreadable_answer))
            .transpose()
    }

    async fn look(
        &self,
        profiles: &[JudgedProfile],
        config: &Config,
    ) -> Result<Vec<Diagnosis>, EngineError> {
        let version = self.ask("/version").await?.unwrap_or_default();
        let engine = Engine::read(&version).map_err(unreadable_answer)?;
        let version = api_version(&version);
        let defaults = match self.ask("/info").await? {
            Some(info) => Defaults::read(&info).map_err(unreadable_answer)?,
            None => Defaults::default(),
        };
        let engine = (engine, defaults);
        let own = match Own::find(&config.proxy_container).word() {
            Some(word) => self.object(ObjectKind::Container, word).await?,
            None => None,
        };
        let list = self
            .ask(&format!("/containers/json?all=1&limit={}", CONTAINERS + 1))
            .await?
            .unwrap_or_default();
        let ids = read_identifiers(&list)?;
        let mut tallies: Vec<ContainerTally> =
            profiles.iter().map(|_| ContainerTally::default()).collect();
        for id in ids.iter().take(CONTAINERS) {
            // The container may have been removed since the list.
            let Some(answer) = self
                .ask(&inspection_target(ObjectKind::Container, id))
                .await?
            else {
                continue;
            };
            let inspection = Inspection::read(&answer).map_err(unreadable_answer)?;
            // The proxy's own container is kept from its clients on purpose.
            if own
                .as_ref()
                .is_some_and(|own| own.id == inspection.object().id)
            {
                continue;
            }
            for (JudgedProfile { profile, .. }, tally) in profiles.iter().zip(&mut tallies) {
                let Some(permit) = permit_deletion(inspection.object(), &version, profile) else {
                    continue;
                };
                let around = surroundings_of(profile, &config.profiles, own.as_ref());
                tally.judged += 1;
                tally
                    .refused
                    .extend(self.judge(&permit, around, &inspection, &engine).await?);
            }
        }
        let is_all = ids.len() <= CONTAINERS;
        Ok(profiles
            .iter()
            .zip(tallies)
            .flat_map(|(judged, tally)| report_tally(judged, &tally, is_all))
            .collect())
    }

    async fn judge(
        &self,
        permit: &Permit,
        around: Surroundings<'_>,
        inspection: &Inspection,
        (engine, defaults): &(Engine, Defaults),
    ) -> Result<Option<RefusedContainer>, EngineError> {
        let container = inspection.object();
        let refused = |objection: Objection, volumes: &[String]| RefusedContainer {
            container: container.name.clone(),
            warning: self.sockets.warning(container, &objection, volumes),
            objection,
        };
        let mut volumes = Vec::new();
        let mut case: Case<'_> = match permit.open(None, b"", around) {
            Ok(case) => case,
            Err(objection) => return Ok(Some(refused(objection, &volumes))),
        };
        while let Some(question) = case.question() {
            let answered = match question {
                Question::Inspection { .. } => case.answer_inspection(Some(inspection), defaults),
                Question::Object { kind, word } => {
                    let object = self.object(kind, word).await?;
                    let with_socket = object
                        .as_ref()
                        .filter(|object| self.sockets.are_in_volume(object));
                    volumes.extend(with_socket.map(|volume| volume.name.clone()));
                    case.answer(object.as_ref())
                }
                Question::Engine => {
                    case.answer_engine(engine);
                    Ok(())
                }
            };
            // The container itself is there: no other object ends a case.
            if answered.is_err() {
                return Ok(None);
            }
        }
        let closed = case.close();
        Ok(closed.err().map(|objection| refused(objection, &volumes)))
    }
}

fn surroundings_of<'s>(
    profile: &'s Profile,
    profiles: &'s Profiles,
    own: Option<&'s Object>,
) -> Surroundings<'s> {
    Surroundings {
        profile: &profile.name,
        profiles: Some(profiles),
        proxy_id: own.map(|own| own.id.as_str()),
        proxy: own,
        resolve_path: None,
        viewer: None,
    }
}

fn unreadable_answer(malformed: impl std::fmt::Display) -> EngineError {
    EngineError::Answer(format!("the engine's answer cannot be read: {malformed}"))
}

/// Returns the newest version of the API that the engine speaks, which most clients use.
fn api_version(version: &[u8]) -> String {
    let version = Json::read(version).unwrap_or(Json::Null);
    version
        .get("ApiVersion")
        .map(Json::text)
        .unwrap_or_default()
        .to_owned()
}

fn read_identifiers(list: &[u8]) -> Result<Vec<String>, EngineError> {
    let list = Json::read(list).map_err(unreadable_answer)?;
    Ok(list
        .list()
        .iter()
        .filter_map(|one| one.get("Id"))
        .map(|id| id.text().to_owned())
        .collect())
}

fn report_tally(
    JudgedProfile { profile, outcome }: &JudgedProfile,
    tally: &ContainerTally,
    is_all: bool,
) -> Vec<Diagnosis> {
    let name = &profile.name;
    let many = if is_all {
        String::new()
    } else {
        format!(" of the {CONTAINERS} that were looked at")
    };
    if tally.refused.is_empty() {
        let all = count(tally.judged, "container");
        let what = format!("profile {name} could create again what it may delete: {all}{many}");
        return if tally.judged == 0 {
            Vec::new()
        } else {
            vec![Diagnosis::good(ABOUT, what)]
        };
    }
    let (named, rest) = tally.refused.split_at(tally.refused.len().min(NAMED));
    let mut findings: Vec<_> = named
        .iter()
        .map(|refused| warn_of_container(name, refused, outcome))
        .collect();
    if !rest.is_empty() {
        let more = count(rest.len(), "more container");
        let what = format!("profile {name} could not create {more}{many} again");
        let exceptions: BTreeSet<_> = rest
            .iter()
            .filter(|refused| refused.warning.is_none())
            .flat_map(|refused| refused.objection.exceptions())
            .collect();
        let fix = if exceptions.is_empty() {
            "no exception helps".to_owned()
        } else {
            write_exceptions(exceptions)
        };
        findings.push(Diagnosis::warning(ABOUT, what, fix));
    }
    findings
}

/// Makes a finding of a container that could not be created again, with the exceptions to add.
fn warn_of_container(profile: &str, refused: &RefusedContainer, outcome: &str) -> Diagnosis {
    let (container, why) = (&refused.container, &refused.objection);
    let reasons: BTreeSet<_> = why
        .findings()
        .iter()
        .map(|finding| (&finding.field, &finding.what))
        .collect();
    let first = why
        .findings()
        .first()
        .map(|finding| (&finding.field, &finding.what))
        .map(|(field, what)| match field.is_empty() {
            true => what.clone(),
            false => format!("{field}: {what}"),
        });
    let (first, more) = (
        first.unwrap_or_else(|| why.to_string()),
        reasons.len().saturating_sub(1),
    );
    let more = if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more)")
    };
    let what = format!(
        "profile {profile} could not create {container} again, so {outcome}: {first}{more}"
    );
    if let Some(fix) = &refused.warning {
        return Diagnosis::warning(ABOUT, what, fix);
    }
    let exceptions = why.exceptions();
    let fix = match (why.hopeless(), exceptions.is_empty()) {
        (Some(_), true) => {
            "no exception helps: have the client leave this container alone".to_owned()
        }
        (Some(hopeless), false) => format!(
            "{}; but no exception helps against {hopeless}",
            write_exceptions(exceptions)
        ),
        (None, _) => write_exceptions(exceptions),
    };
    Diagnosis::warning(ABOUT, what, fix)
}

fn write_exceptions(exceptions: BTreeSet<&str>) -> String {
    exceptions
        .into_iter()
        .map(|exception| format!("guard-allow {exception}"))
        .collect::<Vec<_>>()
        .join(", ")
}
