//! Resolve: the objects that a call is about. The proxy asks the engine for the objects on which
//! the decision depends, and for its own container where the call may name an object that belongs
//! to it.

use std::sync::Arc;

use cetusguard_config::address::Address;
use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Case, Defaults, Missing, Question, Surroundings};
use cetusguard_policy::{Call, Denial, Mode, Object, Permit, Profile, Verdict, Viewer};

use super::identify::Client;
use super::viewer::{missing, not_visible};
use super::{Proxy, Settings};
use crate::engine::{EngineError, InspectedContainer, MissingAnswer, ObjectLookup, Own};
use crate::outcome::refusal::Refusal;
use crate::runtime::host_paths::HostPaths;

/// The facts around a call, for as long as it is judged.
pub(super) struct Facts {
    /// The client's own.
    profile: Arc<Profile>,
    settings: Arc<Settings>,
    proxy_id: Option<String>,
    proxy: Option<Arc<Object>>,
    viewer: Arc<Viewer>,
    /// Resolves paths of the host, if the proxy sees the same files as the engine.
    host_paths: Option<Arc<HostPaths>>,
}

impl Facts {
    /// Gathers the facts that judging this call may take.
    pub(super) async fn gather(
        permit: &Permit,
        viewer: &Arc<Viewer>,
        client: &Client,
        proxy: &Proxy,
    ) -> Result<Self, Refusal> {
        let settings = proxy.settings();
        let (mut proxy_id, mut own) = (None, None);
        match &proxy.own {
            Own::Id(id) if !permit.needs_proxy() => proxy_id = Some(id.clone()),
            known => {
                // The engine may be another machine's, and not know the container.
                if let Some(word) = known.word().filter(|_| permit.is_judged())
                    && let ObjectLookup::Object(object) =
                        find(ObjectKind::Container, word, client, proxy).await?
                {
                    proxy_id = Some(object.id.clone());
                    own = Some(object);
                }
            }
        }
        let sees_host =
            proxy.own == Own::Nowhere && matches!(proxy.backend.address(), Address::Unix(_));
        Ok(Self {
            profile: Arc::clone(&client.profile),
            settings,
            proxy_id,
            proxy: own,
            viewer: Arc::clone(viewer),
            host_paths: sees_host.then(|| Arc::clone(&proxy.host_paths)),
        })
    }

    /// The facts, as the policy takes them.
    pub(super) fn around(&self) -> Surroundings<'_> {
        Surroundings {
            profile: &self.profile.name,
            profiles: Some(&self.settings.profiles),
            proxy_id: self.proxy_id.as_deref(),
            proxy: self.proxy.as_deref(),
            resolve_path: self.host_paths.as_deref().map(|paths| paths as _),
            viewer: Some(&*self.viewer),
        }
    }
}

/// Asks the engine every question of a case.
pub(super) async fn settle(
    case: &mut Case<'_>,
    call: &Call,
    is_scoped: bool,
    client: &Client,
    proxy: &Proxy,
) -> Result<(), Refusal> {
    while let Some(question) = case.question() {
        match question {
            Question::Object { kind, word } => {
                match find_visible(kind, word, is_scoped, client, proxy).await? {
                    ObjectLookup::Object(object) => {
                        if let Err(Missing { kind, word }) = case.answer(Some(&object)) {
                            return Err(not_visible(kind, &word, call, client, proxy).await);
                        }
                    }
                    ObjectLookup::Missing(answer) => {
                        if let Err(Missing { kind, word }) = case.answer(None) {
                            // So that the answer takes as long as that for a hidden object.
                            if is_scoped {
                                return Err(missing(kind, &word, call, client, proxy).await);
                            }
                            return Err(no_such_object(&answer));
                        }
                    }
                }
            }
            Question::Inspection {
                word,
                wants_defaults,
            } => {
                let (objects, share, backend) = (&proxy.objects, &client.share, &proxy.backend);
                let inspected = objects.inspect(word, share, backend).await?;
                let defaults = match wants_defaults {
                    true => objects.defaults(share, backend).await?,
                    false => Defaults::default(),
                };
                match inspected {
                    InspectedContainer::Container(one) => {
                        let answered = case.answer_inspection(Some(&one.inspection), &defaults);
                        if let Err(Missing { kind, word }) = answered {
                            return Err(not_visible(kind, &word, call, client, proxy).await);
                        }
                    }
                    InspectedContainer::Missing(answer) => {
                        case.answer_inspection(None, &defaults)
                            .map_err(|_| no_such_object(&answer))?;
                    }
                }
            }
            Question::Engine => {
                let engine = proxy.objects.engine(&client.share, &proxy.backend).await?;
                case.answer_engine(&engine);
            }
        }
    }
    Ok(())
}

/// Returns the refusal of a call about an object that does not exist, with the body of the engine's
/// answer.
fn no_such_object(answer: &[u8]) -> Refusal {
    Refusal::NoSuchObject(Arc::new(MissingAnswer::not_found(answer)))
}

/// Decides once more about a call that no rule allows, by the name of the container that the call
/// names by its identifier.
pub(super) async fn decide_by_name(
    denial: Denial,
    client: &Client,
    viewer: &Viewer,
    proxy: &Proxy,
) -> Result<Verdict, Refusal> {
    let Some(word) = denial
        .identifier()
        .filter(|_| client.profile.rules.name_objects())
    else {
        return Ok(Verdict::Deny(denial));
    };
    match find(ObjectKind::Container, word, client, proxy).await {
        // A container that does not exist for the client has no name either.
        Ok(ObjectLookup::Object(container)) if !viewer.shows(ObjectKind::Container, &container) => {
            Ok(Verdict::Deny(denial))
        }
        Ok(ObjectLookup::Object(container)) => {
            Ok(denial.decide_by_name(&container, &client.profile))
        }
        Ok(ObjectLookup::Missing(_)) => Ok(Verdict::Deny(denial)),
        // The call goes on, and the engine answers with its own error.
        Err(_) if client.profile.mode == Mode::Audit => Ok(Verdict::Deny(denial)),
        Err(refusal) => Err(refusal),
    }
}

/// Decides once more about a call that a rule allows or denies for some objects by name.
pub(super) async fn decide_by_object(
    permit: Permit,
    client: &Client,
    viewer: &Viewer,
    proxy: &Proxy,
) -> Result<Verdict, Refusal> {
    let mut permit = permit;
    while let Some((kind, word)) = permit.question() {
        let call = permit.call();
        let is_scoped = viewer.is_scoped();
        let object = match find_visible(kind, word, is_scoped, client, proxy).await {
            Ok(ObjectLookup::Object(object)) => object,
            Ok(ObjectLookup::Missing(_)) if is_scoped => {
                return Err(missing(kind, word, call, client, proxy).await);
            }
            Ok(ObjectLookup::Missing(answer)) => return Err(no_such_object(&answer)),
            // The call goes on all the same, and the log says that its object is not known.
            Err(_) if client.profile.mode == Mode::Audit => break,
            Err(refusal) => return Err(refusal),
        };
        // The container of a command, and the service of a task, are checked when the call is judged.
        let decides = !matches!(kind, ObjectKind::Exec | ObjectKind::Task);
        if client.profile.mode == Mode::Enforce && decides && !viewer.shows(kind, &object) {
            return Err(not_visible(kind, word, call, client, proxy).await);
        }
        match permit.answer(&object, &client.profile) {
            Verdict::Allow(next) => permit = next,
            denied @ Verdict::Deny(_) => return Ok(denied),
        }
    }
    Ok(Verdict::Allow(permit))
}

/// Finds an object for a client that may not see all. A word that is the beginning of several
/// identifiers may mean hidden objects alone: for such a client it means none.
async fn find_visible(
    kind: ObjectKind,
    word: &str,
    is_scoped: bool,
    client: &Client,
    proxy: &Proxy,
) -> Result<ObjectLookup, Refusal> {
    let objects = &proxy.objects;
    let found = objects.find(kind, word, &client.share, &proxy.backend);
    match found.await {
        Err(trouble)
            if is_scoped && matches!(*trouble, EngineError::Status(400 | 500 | 503, _)) =>
        {
            Ok(ObjectLookup::Missing(Arc::default()))
        }
        found => found.map_err(Refusal::from),
    }
}

pub(super) async fn find(
    kind: ObjectKind,
    word: &str,
    client: &Client,
    proxy: &Proxy,
) -> Result<ObjectLookup, Refusal> {
    proxy
        .objects
        .find(kind, word, &client.share, &proxy.backend)
        .await
        .map_err(Refusal::from)
}
