//! The reasons for which a request ends without a complete answer: one row each. The log, the
//! response and the commands that read a log share these rows.

use cetusguard_policy::DenialKind;

use crate::telemetry::log::Level;

/// Defines [`Reason`] from one row per reason: its name, the word in the log, the status code of
/// the response (`None` where there is no response of the proxy's own), and the level of the
/// record.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $word:literal, $status:expr, $level:ident;)*) => {
        /// The reason for which a request ended without a complete answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            /// The rules of the profile deny the call.
            Denied(DenialKind),
            $($(#[$doc])* $name,)*
        }

        /// The reasons but the denials, as numbers.
        #[repr(usize)]
        enum ReasonIndex {
            $($name,)*
        }

        impl Reason {
            /// The number of reasons.
            pub(crate) const COUNT: usize = DenialKind::ALL.len() + Self::OTHERS.len();

            /// Returns the place of the reason among all, for counters in an array.
            pub(crate) const fn index(self) -> usize {
                match self {
                    Self::Denied(kind) => kind as usize,
                    $(Self::$name => DenialKind::ALL.len() + ReasonIndex::$name as usize,)*
                }
            }

            /// Every reason but the denials.
            const OTHERS: &[Self] = &[$(Self::$name,)*];

            /// Returns the row of the table: word, status and level.
            const fn row(self) -> (&'static str, Option<u16>, Level) {
                match self {
                    Self::Denied(kind) => (kind.word(), Some(403), Level::Warning),
                    $(Self::$name => ($word, $status, Level::$level),)*
                }
            }
        }
    };
}

reasons! {
    /// The request head, or one of its headers, exceeds the limit.
    HeadTooLarge: "head_too_large", Some(431), Warning;
    /// The request head is not valid HTTP/1.1, or servers could parse it in different ways.
    MalformedHead: "malformed_head", Some(400), Warning;
    /// The request head did not arrive in time.
    HeadTimeout: "head_timeout", Some(408), Warning;
    /// The request body did not arrive in time.
    BodyTimeout: "body_timeout", Some(408), Warning;
    /// The proxy received a request that it had sent itself.
    ProxyLoop: "proxy_loop", Some(508), Error;
    /// The request target is longer than the limit.
    TargetTooLong: "target_too_long", Some(431), Warning;
    /// The request target cannot be read in the way in which the engine reads it.
    MalformedTarget: "malformed_target", Some(400), Warning;
    /// The chunked coding of the request body is invalid or ambiguous.
    MalformedBody: "malformed_body", Some(400), Warning;
    /// The request body is not JSON that all decoders read alike.
    MalformedJson: "malformed_json", Some(400), Warning;
    /// The guard cannot inspect a body of this content type.
    ContentType: "content_type", Some(400), Warning;
    /// The request body is larger than the guard inspects.
    BodyTooLarge: "body_too_large", Some(413), Warning;
    /// The client has as many connections as it may. Level debug, since a warning per client and
    /// minute reports it at the accept.
    MaxConnectionsPerClient: "max_connections_per_client", Some(429), Debug;
    /// All clients together have reached the number of connections.
    MaxConnections: "max_connections", Some(503), Warning;
    /// The memory limit allows no further exchange.
    MemoryLimit: "memory_limit", Some(503), Warning;
    /// The client has reached the request rate of its profile.
    RateLimit: "rate_limit", Some(429), Warning;
    /// The client has reached the number of concurrent requests of its profile.
    MaxRequests: "max_requests", Some(429), Warning;
    /// The client has reached the number of concurrent streams of its profile.
    MaxStreams: "max_streams", Some(429), Warning;
    /// The client matches two profiles, or its address belongs to more than one container.
    AmbiguousClient: "ambiguous_client", Some(403), Warning;
    /// Another container may have taken over the client's address since the connection was
    /// accepted.
    ClientReplaced: "client_replaced", Some(403), Warning;
    /// The client's address is link-local, which can belong to any host on the network.
    LinkLocalAddress: "link_local_address", Some(403), Warning;
    /// The engine did not say which container has the client's address.
    ClientLookupFailed: "client_lookup_failed", Some(502), Error;
    /// A browser sent the request for a page whose origin the profile does not allow.
    BrowserOrigin: "browser_origin", Some(403), Warning;
    /// The profile does not allow the user agent.
    UserAgent: "user_agent", Some(403), Warning;
    /// The guard found something in the query or body that the profile does not allow.
    Guard: "guard", Some(403), Warning;
    /// The call would remove a container that the guard would refuse to create again.
    NotRecreatable: "not_recreatable", Some(403), Warning;
    /// The engine did not describe an object that the decision depends on.
    EngineLookupFailed: "engine_lookup_failed", Some(502), Error;
    /// The engine has no object of the name that the call uses.
    NoSuchObject: "no_such_object", Some(404), Debug;
    /// The object that the call names is hidden from the client's profile.
    NotVisible: "not_visible", Some(404), Warning;
    /// The profile needs the name of a session, and the request does not have one.
    NoSession: "no_session", Some(400), Warning;
    /// The quota of the client's profile has no room for the container or command that the call
    /// would create or start.
    OverQuota: "over_quota", Some(403), Warning;
    /// A call of another owner that is under way gives the same name to an object.
    NameInUse: "name_in_use", Some(409), Warning;
    /// The engine's answer cannot be filtered.
    UnfilterableAnswer: "unfilterable_answer", Some(502), Error;
    /// The proxy could not connect to the engine.
    EngineUnreachable: "engine_unreachable", Some(502), Error;
    /// The engine closed the connection before it answered.
    EngineClosed: "engine_closed", Some(502), Error;
    /// The engine's response is not valid HTTP/1.1, or does not belong to the request.
    EngineProtocolError: "engine_protocol_error", Some(502), Error;
    /// The engine did not answer in time.
    EngineTimeout: "engine_timeout", Some(504), Error;
    /// The engine broke off its answer.
    EngineDisconnected: "engine_disconnected", None, Error;
    /// The client closed the connection.
    ClientDisconnected: "client_disconnected", None, Debug;
    /// The client read nothing of the answer for too long.
    ClientStalled: "client_stalled", None, Warning;
    /// The frontend's certificate authorities have changed since the client connected.
    OutdatedCertificate: "outdated_certificate", None, Warning;
    /// The proxy shuts down.
    ShuttingDown: "shutting_down", None, Debug;
    /// A bug in the proxy ended the request.
    Internal: "internal", None, Error;
}

impl Reason {
    /// Returns every reason.
    pub fn all() -> impl Iterator<Item = Self> {
        let denials = DenialKind::ALL.into_iter().map(Self::Denied);
        denials.chain(Self::OTHERS.iter().copied())
    }

    /// Reads the word of a log line; `None` for a word of another version. Logs from before the
    /// reasons got their present names can be read as far as `explain` gives advice about them.
    pub fn parse(word: &str) -> Option<Self> {
        let word = match word {
            "unread_body" => DenialKind::UninspectedBody.word(),
            "unrecreatable" => Self::NotRecreatable.word(),
            word => word,
        };
        Self::all().find(|reason| reason.word() == word)
    }

    /// Returns the word in the log.
    pub const fn word(self) -> &'static str {
        self.row().0
    }

    /// Returns the status code of the proxy's response; `None` where the proxy sends none.
    pub(crate) const fn status(self) -> Option<u16> {
        self.row().1
    }

    /// Returns the level of the record.
    pub(crate) const fn level(self) -> Level {
        self.row().2
    }

    /// Returns whether the request failed because of the engine.
    pub(crate) const fn is_engine_fault(self) -> bool {
        matches!(
            self,
            Self::ClientLookupFailed
                | Self::EngineLookupFailed
                | Self::EngineUnreachable
                | Self::EngineClosed
                | Self::EngineProtocolError
                | Self::EngineTimeout
                | Self::EngineDisconnected
        )
    }

    /// Returns whether adding an allow rule to the profile lets the call pass.
    pub const fn is_mended_by_rule(self) -> bool {
        match self {
            Self::Denied(kind) => kind.is_mended_by_rule(),
            _ => false,
        }
    }
}
