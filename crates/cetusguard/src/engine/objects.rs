//! Objects by the words that clients have for them.
//!
//! A decision that depends on an object asks for it here. A client's requests for the same object
//! share one question to the engine. What the engine says of a container is kept while its events
//! are followed, until an event tells of that container: what a container may do is fixed when it
//! is created, but its name is not. Other objects are asked about each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::Object;
use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Defaults, Engine, Inspection, Malformed};
use tokio::sync::{OnceCell, Semaphore};

use super::{Asked, Containers, DEADLINE, Trouble, fetch, read_apart, within};
use crate::backend::Backend;
use crate::shares::ClientShare;

/// How long an answer is kept that was asked for by the full identifier.
const AGE: Duration = Duration::from_secs(60);
/// How long the container of a name is kept: the engine may tell late that the name went to another
/// one.
const NAME_AGE: Duration = Duration::from_secs(1);
/// How long the engine's version and defaults are kept: it may be upgraded, or set up anew.
const ENGINE_AGE: Duration = Duration::from_secs(60);
/// Answers that are kept at a time.
const SIZE: usize = 256;
/// Answers with more text than this are not kept, in bytes: a client can give a container a
/// megabyte of labels.
const WEIGHT: usize = 16 << 10;
/// Questions to the engine at a time; others wait.
const QUESTIONS: usize = 32;

type Key = (ObjectKind, String);
/// A question, and the address of the client that asks it.
type Asking = (Key, usize);
/// An answer for all who wait for it, also where there is none.
type Shared = Result<Found, Arc<Trouble>>;

/// What the engine says of an object.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// The object.
    Object(Arc<Object>),
    /// There is none; the body of the engine's own answer says so.
    Missing(Arc<[u8]>),
}

/// What the engine says of a container whose re-creation is judged.
#[derive(Debug)]
pub(crate) enum Inspected {
    /// The container, with its settings.
    Container(Box<Inspection>),
    /// There is none; the body of the engine's own answer says so.
    Missing(Arc<[u8]>),
}

/// The objects that decisions have asked for.
#[derive(Debug)]
pub(crate) struct Objects {
    containers: Arc<Containers>,
    kept: Mutex<Kept>,
    questions: Semaphore,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Key, (Arc<Object>, Instant)>,
    /// Questions that are being asked, and how many events were heard before.
    asking: HashMap<Asking, (Arc<OnceCell<Shared>>, u64)>,
    engine: Option<(Engine, Instant)>,
    defaults: Option<(Defaults, Instant)>,
    /// Counts events: an answer that was asked for before one is not kept.
    heard: u64,
}

impl Objects {
    /// No object is known yet.
    pub(crate) fn new(containers: Arc<Containers>) -> Self {
        Self {
            containers,
            kept: Mutex::default(),
            questions: Semaphore::new(QUESTIONS),
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
    ) -> Shared {
        let key = (kind, word.to_owned());
        if let Some(object) = self.known(&key) {
            return Ok(Found::Object(object));
        }
        // From now on events are followed, so that the next answer can be kept.
        self.containers.want_for_objects();
        // Shared within the client alone: it must not wait for the turn of another one.
        let asking = (key.clone(), std::ptr::from_ref(client).addr());
        let (cell, heard) = self.question(&asking);
        let found = cell
            .get_or_init(|| self.ask(kind, word, client, backend))
            .await
            .clone();
        let mut kept = self.lock();
        if kept
            .asking
            .get(&asking)
            .is_some_and(|(asked, _)| Arc::ptr_eq(asked, &cell))
        {
            kept.asking.remove(&asking);
        }
        if let (Ok(Found::Object(object)), ObjectKind::Container) = (&found, kind)
            && kept.heard == heard
            && self.containers.is_in_step()
        {
            kept.keep(key, Arc::clone(object));
        }
        found
    }

    /// The question that is being asked about an object, or a new one.
    fn question(&self, key: &Asking) -> (Arc<OnceCell<Shared>>, u64) {
        let mut kept = self.lock();
        let heard = kept.heard;
        kept.asking
            .entry(key.clone())
            .or_insert_with(|| (Arc::default(), heard))
            .clone()
    }

    /// Tells which engine it is.
    ///
    /// # Errors
    /// As for [`Objects::find`].
    pub(crate) async fn engine(
        &self,
        client: &ClientShare,
        backend: &Backend,
    ) -> Result<Engine, Arc<Trouble>> {
        if let Some((engine, at)) = &self.lock().engine
            && at.elapsed() < ENGINE_AGE
        {
            return Ok(engine.clone());
        }
        let unread = |what: String| Arc::new(Trouble::Answer(what));
        let Asked::Answer(answer) = self.fetch("/version", client, backend).await? else {
            return Err(unread("the engine has no /version".to_owned()));
        };
        let engine = Engine::read(&answer).map_err(|malformed| {
            unread(format!("the engine's version cannot be read: {malformed}"))
        })?;
        self.lock().engine = Some((engine.clone(), Instant::now()));
        Ok(engine)
    }

    /// Tells what the engine gives containers by itself.
    ///
    /// # Errors
    /// As for [`Objects::find`].
    pub(crate) async fn defaults(
        &self,
        client: &ClientShare,
        backend: &Backend,
    ) -> Result<Defaults, Arc<Trouble>> {
        if let Some((defaults, at)) = &self.lock().defaults
            && at.elapsed() < ENGINE_AGE
        {
            return Ok(defaults.clone());
        }
        let Asked::Answer(answer) = self.fetch("/info", client, backend).await? else {
            return Err(Arc::new(Trouble::Answer(
                "the engine has no /info".to_owned(),
            )));
        };
        let defaults =
            Defaults::read(&answer).map_err(|malformed| unreadable("/info", malformed))?;
        self.lock().defaults = Some((defaults.clone(), Instant::now()));
        Ok(defaults)
    }

    /// Inspects a container with all its settings, which are not kept.
    ///
    /// # Errors
    /// As for [`Objects::find`].
    pub(crate) async fn inspect(
        &self,
        word: &str,
        client: &ClientShare,
        backend: &Backend,
    ) -> Result<Inspected, Arc<Trouble>> {
        let target = inspection_target(ObjectKind::Container, word);
        match self.fetch(&target, client, backend).await? {
            Asked::Missing(answer) => Ok(Inspected::Missing(answer.into())),
            Asked::Answer(answer) => {
                let inspection = read_apart(answer, Inspection::read).await?;
                let inspection = inspection.map_err(|malformed| unreadable(&target, malformed))?;
                Ok(Inspected::Container(Box::new(inspection)))
            }
        }
    }

    /// Forgets a container about which the engine tells something; an empty identifier stands for
    /// all.
    pub(super) fn heard(&self, id: &str) {
        let mut kept = self.lock();
        kept.heard += 1;
        // An answer that is on its way may be older than the event: those who come now ask anew.
        kept.asking.clear();
        kept.answers
            .retain(|_, (object, _)| !id.is_empty() && object.id != id);
    }

    fn known(&self, key: &Key) -> Option<Arc<Object>> {
        let kept = self.lock();
        let (object, at) = kept.answers.get(key)?;
        (self.containers.is_in_step() && at.elapsed() < age(&key.1, object))
            .then(|| Arc::clone(object))
    }

    /// Asks the engine, at the latest after others have been answered for as long as an answer may
    /// take.
    async fn fetch(
        &self,
        target: &str,
        client: &ClientShare,
        backend: &Backend,
    ) -> Result<Asked, Arc<Trouble>> {
        let asked = async {
            // The client's own turn comes first, so that it holds none of the others' while it
            // waits.
            let _turn_of_client = client.lookup_turn().await;
            // The semaphore lives as long as this.
            let _turn = self.questions.acquire().await;
            fetch(backend, target, DEADLINE).await
        };
        within(2 * DEADLINE, target, asked).await.map_err(Arc::new)
    }

    async fn ask(
        &self,
        kind: ObjectKind,
        word: &str,
        client: &ClientShare,
        backend: &Backend,
    ) -> Shared {
        let target = inspection_target(kind, word);
        match self.fetch(&target, client, backend).await? {
            Asked::Missing(answer) => Ok(Found::Missing(answer.into())),
            Asked::Answer(answer) => {
                let object = read_apart(answer, move |answer| Object::read(kind, answer)).await?;
                let object = object.map_err(|malformed| unreadable(&target, malformed))?;
                Ok(Found::Object(Arc::new(object)))
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
        let is_fresh = |word: &str, object: &Object, at: &Instant| at.elapsed() < age(word, object);
        self.answers
            .retain(|(_, word), (object, at)| is_fresh(word, object, at));
        if self.answers.len() < SIZE && object.weight() <= WEIGHT {
            self.answers.insert(key, (object, Instant::now()));
        }
    }
}

/// The time for which an answer is kept that was asked for by this word.
fn age(word: &str, object: &Object) -> Duration {
    if object.id == word { AGE } else { NAME_AGE }
}

fn unreadable(target: &str, malformed: Malformed) -> Arc<Trouble> {
    Arc::new(Trouble::Answer(format!(
        "its answer to {target} cannot be read: {malformed}"
    )))
}

/// The target of the request that shows an object. Podman serves these paths as well.
pub(crate) fn inspection_target(kind: ObjectKind, word: &str) -> String {
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
