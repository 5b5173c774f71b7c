//! Texts: excerpts for messages, lists, patterns with stars, and plain JSON.

pub(crate) mod excerpt;
pub(crate) mod list;
pub(crate) mod pattern;
pub(crate) mod plain;
