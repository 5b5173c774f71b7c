//! The engine's descriptions of objects, found by the words that clients have for them.
//!
//! A decision that depends on an object asks for it here. A client's requests for the same object
//! share one question to the engine. The engine's answer about a container is kept while its events
//! are followed, until an event is about that container: its rights are fixed when it is created,
//! but its name is not. Other objects are asked about each time. The whole settings of a container
//! are shared as well and never kept; few of them are in memory at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Defaults, Engine, Inspection, MalformedJson};
use cetusguard_policy::{Call, Object, Viewer};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, SemaphorePermit};
use tokio::time::timeout;

use super::listed::{self, ListedVisibility};
use super::missing::{self, MissingAnswer, StandIn};
use super::{
    Containers, DEADLINE, EngineError, ObjectAnswer, OwnCall, fetch, fetch_any, read_apart,
};
use crate::engine::backend::Backend;
use crate::limits::shares::ClientShare;
use crate::limits::turns::{Turn, Turns};

/// The time for which an answer is kept if the question used the full identifier.
const AGE: Duration = Duration::from_secs(60);
/// The time for which the container of a name is kept: the engine may report late that the name
/// went to another one.
const NAME_AGE: Duration = Duration::from_secs(1);
/// The time for which the engine's version and defaults are kept: it may be upgraded or
/// reconfigured.
const ENGINE_AGE: Duration = Duration::from_secs(60);
/// The number of answers that are kept at a time.
const SIZE: usize = 256;
/// The most text of an answer that is kept, in bytes: a client can give a container a megabyte of
/// labels.
const WEIGHT: usize = 16 << 10;
/// The number of requests to the engine at a time; others wait.
const QUESTIONS: usize = 32;
/// The requests among these that are left for clients that have none under way.
const RESERVED_QUESTIONS: usize = QUESTIONS / 4;
/// The time that a question may wait for its turn. It is far longer than the engine may take for an
/// answer, so that a client that stops forty containers at once on a slow engine is served.
const TURN_DEADLINE: Duration = Duration::from_secs(60);
/// The number of containers whose whole settings are in memory at a time, for all clients together:
/// each may have some MiB.
const INSPECTIONS: usize = 4;
/// The part of these that is left for clients that have none.
const RESERVED_INSPECTIONS: usize = INSPECTIONS / 4;

type Key = (ObjectKind, String);
/// The client that asks a question, by the address of its share.
type Asker = usize;
/// An answer or an error, for all who wait for it.
type Shared<T> = Result<T, Arc<EngineError>>;
/// Questions under way, each with the number of events that were heard before it was asked.
type Questions<K, T> = HashMap<(K, Asker), (Arc<OnceCell<Shared<T>>>, u64)>;

/// The engine's answer about an object.
#[derive(Clone, Debug)]
pub(crate) enum ObjectLookup {
    /// The description of the object.
    Object(Arc<Object>),
    /// The body of the engine's own answer that the object does not exist.
    Missing(Arc<[u8]>),
}

/// The engine's answer about a container whose re-creation is judged.
#[derive(Clone, Debug)]
pub(crate) enum InspectedContainer {
    /// The container, with its settings.
    Container(Arc<HeldInspection>),
    /// The body of the engine's own answer that the container does not exist.
    Missing(Arc<[u8]>),
}

/// The settings of a container, and the right to have them in memory, which ends with them.
#[derive(Debug)]
pub(crate) struct HeldInspection {
    pub(crate) inspection: Inspection,
    /// The client's turn, and the turn among those of all clients.
    _turns: (Option<OwnedSemaphorePermit>, Turn),
}

/// The objects that decisions have asked for.
#[derive(Debug)]
pub(crate) struct Objects {
    containers: Arc<Containers>,
    kept: Mutex<Kept>,
    questions: Arc<Turns>,
    inspections: Arc<Turns>,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Key, (Arc<Object>, Instant)>,
    objects_asked: Questions<Key, ObjectLookup>,
    inspections_asked: Questions<String, InspectedContainer>,
    engine_asked: Questions<(), Engine>,
    defaults_asked: Questions<(), Defaults>,
    engine: Option<(Engine, Instant)>,
    defaults: Option<(Defaults, Instant)>,
    /// The number of events so far: an answer that was asked for before the last one is not kept.
    heard: u64,
}

impl Objects {
    /// Builds a store without any answers.
    pub(crate) fn new(containers: Arc<Containers>) -> Self {
        Self {
            containers,
            kept: Mutex::default(),
            questions: Turns::new(QUESTIONS, RESERVED_QUESTIONS),
            inspections: Turns::new(INSPECTIONS, RESERVED_INSPECTIONS),
        }
    }

    /// Finds an object by the client's word for it.
    ///
    /// # Errors
    /// The engine cannot be reached, or does not answer in time or in a form that can be read.
    pub(crate) async fn find(
        &self,
        kind: ObjectKind,
        word: &str,
        client: &ClientShare,
        backend: &Backend,
    ) -> Shared<ObjectLookup> {
        let key = (kind, word.to_owned());
        if let Some(object) = self.kept_answer(&key) {
            return Ok(ObjectLookup::Object(object));
        }
        // From now on events are followed, so that the next answer can be kept.
        self.containers.want_for_objects();
        let ask = || self.ask_for_object(kind, word, client, backend);
        let (found, heard) = self
            .share(|kept| &mut kept.objects_asked, key.clone(), client, ask)
            .await;
        let mut kept = self.lock();
        if let (Ok(ObjectLookup::Object(object)), ObjectKind::Container) = (&found, kind)
            && kept.heard == heard
            && self.containers.is_in_step()
        {
            kept.keep(key, Arc::clone(object));
        }
        found
    }

    /// Returns the description of an object that an earlier answer gave, if it is still valid.
    pub(crate) fn known(&self, kind: ObjectKind, word: &str) -> Option<Arc<Object>> {
        self.kept_answer(&(kind, word.to_owned()))
    }

    /// Lists the first of these containers, as many as fit into one list, and judges each by the
    /// view of a client. Other than their descriptions, the list needs no lock of theirs.
    ///
    /// # Errors
    /// As for [`Objects::find`].
    pub(crate) async fn judge_listed(
        &self,
        ids: &[&str],
        viewer: &Arc<Viewer>,
        client: &ClientShare,
        backend: &Backend,
    ) -> Shared<HashMap<String, ListedVisibility>> {
        let ids = &ids[..ids.len().min(listed::MOST)];
        let _turns = self.wait_for_turns("a list of containers", client).await?;
        Ok(listed::judge_listed(ids, viewer, backend).await?)
    }

    /// Asks a question, or waits for the answer to the same one if the client is asking it already.
    /// Returns the number of events that were heard before it was asked, too.
    ///
    /// A question is shared within the client alone: it must not wait for the turn of another one.
    async fn share<K: Clone + Eq + Hash, T: Clone, F: Future<Output = Shared<T>>>(
        &self,
        under_way: impl Fn(&mut Kept) -> &mut Questions<K, T>,
        key: K,
        client: &ClientShare,
        ask: impl FnOnce() -> F,
    ) -> (Shared<T>, u64) {
        let key = (key, std::ptr::from_ref(client).addr());
        let (cell, heard) = {
            let mut kept = self.lock();
            let heard = kept.heard;
            let questions = under_way(&mut kept);
            // The clients of some questions may have left before there was an answer.
            questions.retain(|_, (cell, _)| Arc::strong_count(cell) > 1);
            let question = questions.entry(key.clone());
            question.or_insert_with(|| (Arc::default(), heard)).clone()
        };
        let answer = cell.get_or_init(ask).await.clone();
        let mut kept = self.lock();
        let questions = under_way(&mut kept);
        if questions
            .get(&key)
            .is_some_and(|(asked, _)| Arc::ptr_eq(asked, &cell))
        {
            questions.remove(&key);
        }
        (answer, heard)
    }

    /// Returns the kind and version of the engine.
    ///
    /// # Errors
    /// As for [`Objects::find`].
    pub(crate) async fn engine(&self, client: &ClientShare, backend: &Backend) -> Shared<Engine> {
        if let Some((engine, at)) = &self.lock().engine
            && at.elapsed() < ENGINE_AGE
        {
            return Ok(engine.clone());
        }
        let ask = || self.ask_for("/version", client, backend, Engine::read);
        let (engine, _) = self
            .share(|kept| &mut kept.engine_asked, (), client, ask)
            .await;
        if let Ok(engine) = &engine {
            self.lock().engine = Some((engine.clone(), Instant::now()));
        }
        engine
    }

    /// Returns the settings that the engine gives containers by itself.
    ///
    /// # Errors
    /// As for [`Objects::find`].
    pub(crate) async fn defaults(
        &self,
        client: &ClientShare,
        backend: &Backend,
    ) -> Shared<Defaults> {
        if let Some((defaults, at)) = &self.lock().defaults
            && at.elapsed() < ENGINE_AGE
        {
            return Ok(defaults.clone());
        }
        let ask = || self.ask_for("/info", client, backend, Defaults::read);
        let (defaults, _) = self
            .share(|kept| &mut kept.defaults_asked, (), client, ask)
            .await;
        if let Ok(defaults) = &defaults {
            self.lock().defaults = Some((defaults.clone(), Instant::now()));
        }
        defaults
    }

    /// Inspects a container with all its settings, which are not kept. Requests of one client for
    /// the same container share one answer.
    ///
    /// # Errors
    /// As for [`Objects::find`].
    pub(crate) async fn inspect(
        &self,
        word: &str,
        client: &ClientShare,
        backend: &Backend,
    ) -> Shared<InspectedContainer> {
        // An event about the container ends the sharing of its answer.
        self.containers.want_for_objects();
        let ask = || self.ask_for_settings(word, client, backend);
        let (inspected, _) = self
            .share(
                |kept| &mut kept.inspections_asked,
                word.to_owned(),
                client,
                ask,
            )
            .await;
        inspected
    }

    /// Returns the engine's answer about an object that does not exist, with the client's word for
    /// it. The engine is asked about a name that no object has: by the client's own call, or by an
    /// inspection if the call does not name the object in its path.
    ///
    /// # Errors
    /// As for [`Objects::find`].
    pub(crate) async fn answer_for_missing(
        &self,
        kind: ObjectKind,
        word: &str,
        call: &Call,
        client: &ClientShare,
        backend: &Backend,
    ) -> Shared<Arc<MissingAnswer>> {
        let stand_in = StandIn::of(kind, word);
        let is_named = call
            .captured()
            .is_some_and(|captured| captured.kind == kind && captured.word == word);
        let asked = is_named
            .then(|| call.about_stand_in(&stand_in.name))
            .flatten();
        let request = match &asked {
            Some(asked) => OwnCall {
                method: asked.call.method().as_str(),
                target: asked.call.target(),
                // Engines refuse to push without credentials before they look the image up.
                lines: if asked.is_push {
                    "X-Registry-Auth: e30=\r\n"
                } else {
                    ""
                },
                json: asked.body,
                ..OwnCall::default()
            },
            None => OwnCall {
                target: inspection_target(kind, &stand_in.name),
                ..OwnCall::default()
            },
        };
        let _turns = self.wait_for_turns(&request.target, client).await?;
        let (head, body) = fetch_any(backend, &request, missing::LIMIT, DEADLINE).await?;
        Ok(Arc::new(MissingAnswer::read(&head, &body, &stand_in)))
    }

    /// Forgets a container that an event is about; an empty identifier stands for all.
    pub(super) fn forget_after_event(&self, id: &str) {
        let mut kept = self.lock();
        kept.heard += 1;
        // An answer under way may be older than the event: clients that come now ask again.
        kept.objects_asked.clear();
        kept.inspections_asked.clear();
        kept.answers
            .retain(|_, (object, _)| !id.is_empty() && object.id != id);
    }

    fn kept_answer(&self, key: &Key) -> Option<Arc<Object>> {
        let kept = self.lock();
        let (object, at) = kept.answers.get(key)?;
        (self.containers.is_in_step() && at.elapsed() < longest_age(&key.1, object))
            .then(|| Arc::clone(object))
    }

    /// Fetches an answer of the engine. The wait for a turn and the exchange have a deadline each.
    /// The turns end when the answer has been read, since it may have some MiB in memory until
    /// then.
    async fn fetch<'t>(
        &'t self,
        target: &str,
        client: &'t ClientShare,
        backend: &Backend,
    ) -> Shared<(ObjectAnswer, (Option<SemaphorePermit<'t>>, Turn))> {
        let turns = self.wait_for_turns(target, client).await?;
        let asked = fetch(backend, target, DEADLINE).await?;
        Ok((asked, turns))
    }

    /// Waits for a turn of the client and one among those of all.
    async fn wait_for_turns<'t>(
        &'t self,
        target: &str,
        client: &'t ClientShare,
    ) -> Shared<(Option<SemaphorePermit<'t>>, Turn)> {
        let turns = async {
            // The client's own turn comes first, so that a client that waits for it holds none of
            // the others' turns.
            let of_client = client.lookup_turn().await;
            (of_client, self.questions.take(client).await)
        };
        wait_for_turns(target, turns).await
    }

    async fn ask_for_object(
        &self,
        kind: ObjectKind,
        word: &str,
        client: &ClientShare,
        backend: &Backend,
    ) -> Shared<ObjectLookup> {
        let target = inspection_target(kind, word);
        let (asked, _turns) = self.fetch(&target, client, backend).await?;
        match asked {
            ObjectAnswer::Missing(answer) => Ok(ObjectLookup::Missing(answer.into())),
            ObjectAnswer::Answer(answer) => {
                let object = read_apart(answer, move |answer| Object::read(kind, answer)).await?;
                let object = object.map_err(|malformed| unreadable_answer(&target, malformed))?;
                Ok(ObjectLookup::Object(Arc::new(object)))
            }
        }
    }

    /// Asks for the settings of a container, once the client and all together have room for them.
    async fn ask_for_settings(
        &self,
        word: &str,
        client: &ClientShare,
        backend: &Backend,
    ) -> Shared<InspectedContainer> {
        let target = inspection_target(ObjectKind::Container, word);
        let turns = async {
            let of_client = client.inspection_turn().await;
            (of_client, self.inspections.take(client).await)
        };
        let held = wait_for_turns(&target, turns).await?;
        let (asked, _turns) = self.fetch(&target, client, backend).await?;
        match asked {
            ObjectAnswer::Missing(answer) => Ok(InspectedContainer::Missing(answer.into())),
            ObjectAnswer::Answer(answer) => {
                let inspection = read_apart(answer, Inspection::read).await?;
                let inspection =
                    inspection.map_err(|malformed| unreadable_answer(&target, malformed))?;
                Ok(InspectedContainer::Container(Arc::new(HeldInspection {
                    inspection,
                    _turns: held,
                })))
            }
        }
    }

    /// Fetches an answer that every engine has, and reads it.
    async fn ask_for<T>(
        &self,
        target: &str,
        client: &ClientShare,
        backend: &Backend,
        read: impl FnOnce(&[u8]) -> Result<T, MalformedJson>,
    ) -> Shared<T> {
        let (asked, _turns) = self.fetch(target, client, backend).await?;
        match asked {
            ObjectAnswer::Missing(_) => Err(Arc::new(EngineError::Answer(format!(
                "the engine has no {target}"
            )))),
            ObjectAnswer::Answer(answer) => {
                read(&answer).map_err(|malformed| unreadable_answer(target, malformed))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing is done under the lock that could leave half a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, key: Key, object: Arc<Object>) {
        let is_fresh =
            |word: &str, object: &Object, at: &Instant| at.elapsed() < longest_age(word, object);
        self.answers
            .retain(|(_, word), (object, at)| is_fresh(word, object, at));
        if self.answers.len() < SIZE && object.weight() <= WEIGHT {
            self.answers.insert(key, (object, Instant::now()));
        }
    }
}

/// Returns the time for which the answer to a question with this word is kept.
fn longest_age(word: &str, object: &Object) -> Duration {
    if object.id == word { AGE } else { NAME_AGE }
}

/// Waits for the turns of a question.
///
/// # Errors
/// [`EngineError::Busy`] if they do not come in time.
async fn wait_for_turns<T>(
    target: &str,
    turns: impl Future<Output = T>,
) -> Result<T, Arc<EngineError>> {
    timeout(TURN_DEADLINE, turns)
        .await
        .map_err(|_| Arc::new(EngineError::Busy(target.to_owned())))
}

fn unreadable_answer(target: &str, malformed: MalformedJson) -> Arc<EngineError> {
    Arc::new(EngineError::Answer(format!(
        "its answer to {target} cannot be read: {malformed}"
    )))
}

/// Returns the request target that describes an object. Podman serves these paths as well.
pub fn inspection_target(kind: ObjectKind, word: &str) -> String {
    let word = Object::escaped(word);
    match kind {
        ObjectKind::Container => format!("/containers/{word}/json"),
        ObjectKind::Exec => format!("/exec/{word}/json"),
        ObjectKind::Image => format!("/images/{word}/json"),
        ObjectKind::Plugin => format!("/plugins/{word}/json"),
        ObjectKind::Pod => format!("/v4.0.0/libpod/pods/{word}/json"),
        ObjectKind::Volume => format!("/volumes/{word}"),
        ObjectKind::Network => format!("/networks/{word}"),
        ObjectKind::Service => format!("/services/{word}"),
        ObjectKind::Task => format!("/tasks/{word}"),
        ObjectKind::Node => format!("/nodes/{word}"),
        ObjectKind::Secret => format!("/secrets/{word}"),
        ObjectKind::Config => format!("/configs/{word}"),
    }
}
