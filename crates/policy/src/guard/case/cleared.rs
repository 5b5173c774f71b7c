//! A call that has been judged, as it is sent.

use super::super::creation::{self, Claim};
use crate::request::call::Call;

/// A call that may be sent, because all obligations of its permit are discharged. Only
/// [`Case::close`](super::Case::close) and the permit make one.
#[derive(Debug)]
pub struct Cleared {
    /// The call for the engine; `None` if it is forwarded as it was permitted.
    pub(crate) call: Option<Call>,
    /// The body that replaces the client's own; `None` if that is forwarded.
    pub(crate) body: Option<String>,
    /// The volumes that the engine would create without the labels of their owner.
    pub(crate) new_volumes: Vec<String>,
    /// The part of a quota that the call takes.
    pub(crate) claim: Option<Box<Claim>>,
    /// The images of the body that the profile calls by other names, each with the new name.
    pub(crate) rewritten: Vec<(String, String)>,
}

impl Cleared {
    /// Returns the images of the body that the profile calls by other names: each as the client has
    /// written it, with the name that was judged and is sent.
    #[must_use]
    pub fn rewritten_images(&self) -> &[(String, String)] {
        &self.rewritten
    }

    /// Returns whether an image has its new name in another registry, for which the client's
    /// credentials are not meant.
    #[must_use]
    pub fn changes_registry(&self, permitted: &Call) -> bool {
        let images = permitted.rewritten_images().iter().chain(&self.rewritten);
        creation::changes_registry(images)
    }

    /// Returns the call for the engine, given the one that was permitted.
    #[must_use]
    pub fn call<'c>(&'c self, permitted: &'c Call) -> &'c Call {
        self.call.as_ref().unwrap_or(permitted)
    }

    /// Returns the body that replaces the client's own; `None` if that is forwarded.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.body.as_deref()
    }

    /// Returns the volumes that have to be created with the labels of their owner before the call
    /// is sent: the engine would create them without any.
    #[must_use]
    pub fn new_volumes(&self) -> &[String] {
        &self.new_volumes
    }

    /// Returns the part of the profile's quota that the call takes, which must be free when the call
    /// is sent; `None` if it takes nothing.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_deref()
    }

    /// Takes the body out in order to send it. It can be taken once.
    pub fn take_body(&mut self) -> Option<String> {
        self.body.take()
    }
}
