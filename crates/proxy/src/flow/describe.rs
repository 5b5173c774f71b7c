//! Describe: the objects in an answer on which the view of its client depends.
//!
//! A client can hold the lock of its container by a slow download of an archive, and the engine does
//! not describe the container meanwhile. Answers to other clients must not depend on that. So
//! containers are looked up in a list, which needs no lock and has every field that a view uses. An
//! object that the engine does not describe in time counts as hidden.

use std::collections::HashMap;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::{AnswerFilter, Lookup};

use super::Proxy;
use super::identify::Client;
use crate::engine::{EngineError, ListedVisibility, ObjectLookup, is_listed_by};
use crate::outcome::refusal::Refusal;

/// The descriptions of the objects in one answer.
pub(super) struct Describer<'d> {
    client: &'d Client,
    proxy: &'d Proxy,
    /// Containers that were listed and are not judged yet.
    listed: HashMap<String, ListedVisibility>,
    /// `true` if the engine was late to describe an object: it is not asked about others.
    is_late: bool,
}

impl<'d> Describer<'d> {
    pub(super) fn new(client: &'d Client, proxy: &'d Proxy) -> Self {
        Self {
            client,
            proxy,
            listed: HashMap::new(),
            is_late: false,
        }
    }

    /// Begins with the next piece of a stream. The engine may be in time for that again, and what
    /// it has listed may have changed.
    pub(super) fn begin_piece(&mut self) {
        self.listed.clear();
        self.is_late = false;
    }

    /// Returns whether the client sees an object that a filter asks about; `None` stands for one
    /// that the engine does not have.
    pub(super) async fn is_visible(
        &mut self,
        lookup: &Lookup,
        filter: &AnswerFilter,
    ) -> Result<Option<bool>, Refusal> {
        match self.look_in_list(lookup, filter).await? {
            ListedVisibility::Seen(is_visible) => Ok(Some(is_visible)),
            ListedVisibility::Missing => Ok(None),
            ListedVisibility::Unclear if self.is_late => Ok(Some(false)),
            ListedVisibility::Unclear => self.inspect(lookup, filter).await,
        }
    }

    /// Looks an object up in a list of all containers that the filter asks about.
    async fn look_in_list(
        &mut self,
        lookup: &Lookup,
        filter: &AnswerFilter,
    ) -> Result<ListedVisibility, Refusal> {
        if !self.needs_list(lookup) {
            return Ok(ListedVisibility::Unclear);
        }
        if let Some(listed) = self.listed.remove(&lookup.id) {
            return Ok(listed);
        }
        if self.is_late {
            return Ok(ListedVisibility::Seen(false));
        }
        // The next one is the last.
        let others = filter.lookups().iter().rev();
        let ids: Vec<&str> = others
            .filter(|other| self.needs_list(other))
            .map(|other| other.id.as_str())
            .collect();
        let (share, backend) = (&self.client.share, &self.proxy.backend);
        let objects = &self.proxy.objects;
        let listed = objects.judge_listed(&ids, filter.viewer(), share, backend);
        match listed.await {
            Ok(listed) => self.listed = listed,
            Err(trouble) => self.note_trouble(&trouble)?,
        }
        let listed = self.listed.remove(&lookup.id);
        Ok(listed.unwrap_or(ListedVisibility::Seen(false)))
    }

    /// Returns whether an object is looked up in a list: a container that no earlier answer has
    /// described.
    fn needs_list(&self, lookup: &Lookup) -> bool {
        lookup.kind == ObjectKind::Container
            && is_listed_by(&lookup.id)
            && self.proxy.objects.known(lookup.kind, &lookup.id).is_none()
    }

    async fn inspect(
        &mut self,
        lookup: &Lookup,
        filter: &AnswerFilter,
    ) -> Result<Option<bool>, Refusal> {
        let Lookup { kind, id } = lookup;
        let (share, backend) = (&self.client.share, &self.proxy.backend);
        match self.proxy.objects.find(*kind, id, share, backend).await {
            // Podman takes the beginning of a volume's name for the volume.
            Ok(ObjectLookup::Object(object))
                if *kind == ObjectKind::Volume && object.name != *id =>
            {
                Ok(None)
            }
            Ok(ObjectLookup::Object(object)) => Ok(Some(filter.viewer().shows(*kind, &object))),
            Ok(ObjectLookup::Missing(_)) => Ok(None),
            Err(trouble) => {
                self.note_trouble(&trouble)?;
                Ok(Some(false))
            }
        }
    }

    /// Notes that the engine does not describe an object, which makes it a hidden one. Returns a
    /// refusal if that says nothing about the object.
    fn note_trouble(&mut self, trouble: &EngineError) -> Result<(), Refusal> {
        match trouble {
            EngineError::Late(_) => self.is_late = true,
            EngineError::Status(..) | EngineError::Answer(_) => {}
            EngineError::Unreachable(_) | EngineError::Busy(_) => return Err(trouble.into()),
        }
        Ok(())
    }
}
