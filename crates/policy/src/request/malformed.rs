//! The reasons why a request line could be read in two ways.

use std::fmt;

use crate::request::call::{Call, Version};

/// The reason why a request line cannot be read the way the engine reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not one of [`crate::Method::ALL`].
    Method(String),
    /// Absolute-form, authority-form or `*`: engines read the host in it, or ignore it, each in its
    /// own way.
    NotOriginForm,
    /// A raw `#`: a path byte for Go, the end of the target for others.
    Fragment,
    /// `%` without two hexadecimal digits behind it.
    Escape {
        /// `path` or `query`.
        part: &'static str,
    },
    /// The decoded path is not UTF-8.
    NotUtf8,
    /// The decoded path or the query holds a byte below 0x20, or 0x7f.
    Control,
    /// The decoded path holds a backslash.
    Backslash,
    /// The path is longer than [`Call::PATH_LIMIT`].
    TooLong,
    /// A raw `;` in the query: Go refuses the pair or drops it, depending on who reads.
    Semicolon,
    /// An image with a transport before its name: Podman takes it from a path of the host, as root.
    ImageOfHost(&'static str),
    /// A first segment that starts like a version and is none.
    BadVersion(String),
    /// A Docker API version below [`Version::OLDEST`].
    OldVersion(Version),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => {
                write!(
                    f,
                    "the method {:?} is not one that a container engine knows",
                    shortened(method)
                )
            }
            Self::NotOriginForm => {
                f.write_str("the request target must be a path that starts with /")
            }
            Self::Fragment => f.write_str("the request target holds a raw '#'; send %23"),
            Self::Escape { part } => {
                write!(
                    f,
                    "the {part} holds a '%' that two hexadecimal digits do not follow; send %25"
                )
            }
            Self::NotUtf8 => f.write_str("the path is not UTF-8 once decoded"),
            Self::Control => f.write_str("the request target holds a control character"),
            Self::Backslash => f.write_str("the path holds a backslash"),
            Self::TooLong => write!(f, "the path is longer than {} bytes", Call::PATH_LIMIT),
            Self::Semicolon => {
                f.write_str("the query holds a raw ';'; separate pairs with '&' and send %3B")
            }
            Self::ImageOfHost(transport) => write!(
                f,
                "the image has the transport {transport}: before its name, so that Podman would take it \
                from a path of the host; name the image without a transport"
            ),
            Self::BadVersion(segment) => {
                write!(
                    f,
                    "the API version {:?} is not 'v' and one to three numbers, as in /v1.43/",
                    shortened(segment)
                )
            }
            Self::OldVersion(version) => {
                write!(
                    f,
                    "API version {version} is too old, the oldest that can be judged is {}; ",
                    Version::OLDEST
                )?;
                f.write_str(if *version == Version::OF_OLD_IMAGE_TOOLS {
                    "skopeo before 1.14.2, and buildah of its time, always ask for 1.22: upgrade \
                    them, or give them archives (docker-archive:) that docker save and docker load \
                    exchange with the engine"
                } else {
                    "upgrade the client; one that reads DOCKER_API_VERSION, as docker does, has it \
                    from there"
                })
            }
        }
    }
}

impl std::error::Error for Malformed {}

/// Returns a client's word, cut to a length that a message can show.
fn shortened(word: &str) -> &str {
    &word[..word.floor_char_boundary(32)]
}
