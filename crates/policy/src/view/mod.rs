//! Views: the part of the engine that the clients of a profile see.

/// The part of the engine that the clients of a profile see, and the form in which they see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {}
