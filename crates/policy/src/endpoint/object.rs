//! The objects that paths name.

/// A kind of object that an engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A container.
    Container,
    /// A command in a container.
    Exec,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
    /// A service of a swarm.
    Service,
    /// A task of a service.
    Task,
    /// A node of a swarm.
    Node,
    /// A secret.
    Secret,
    /// A config of a swarm.
    Config,
    /// A plugin of the engine.
    Plugin,
    /// A pod of Podman.
    Pod,
}

impl ObjectKind {
    /// Returns the word for the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Exec => "exec",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Service => "service",
            Self::Task => "task",
            Self::Node => "node",
            Self::Secret => "secret",
            Self::Config => "config",
            Self::Plugin => "plugin",
            Self::Pod => "pod",
        }
    }

    /// Returns whether objects of this kind have a name or labels by which a profile can choose its
    /// targets.
    #[must_use]
    pub const fn has_labels(self) -> bool {
        !matches!(self, Self::Exec | Self::Image | Self::Plugin)
    }

    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Container,
        Self::Exec,
        Self::Image,
        Self::Volume,
        Self::Network,
        Self::Service,
        Self::Task,
        Self::Node,
        Self::Secret,
        Self::Config,
        Self::Plugin,
        Self::Pod,
    ];

    /// Returns the kind of this name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }

    /// Returns the kind that a placeholder of a shape stands for; `None` for placeholders of other
    /// things.
    pub(super) fn of_placeholder(segment: &str) -> Option<Self> {
        let word = segment.strip_prefix('{')?.trim_end_matches('}');
        Self::named(word.trim_end_matches('*'))
    }
}

/// The object that a path names, in the client's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured<'p> {
    /// Its kind.
    pub kind: ObjectKind,
    /// The name, identifier or part of one by which the client calls it.
    pub word: &'p str,
    /// Where the word starts in the path.
    pub(crate) start: usize,
}

/// Finds the object in a path that has this shape: the first placeholder that stands for one.
///
/// All segments before such a placeholder are literal in every shape, and all segments behind it
/// are single ones.
pub(super) fn captured<'p>(shape: &str, path: &'p str) -> Option<Captured<'p>> {
    // Most calls are asked several times.
    if !shape.as_bytes().contains(&b'{') {
        return None;
    }
    let mut segments = shape.split('/');
    let mut start = 0;
    let kind = loop {
        let segment = segments.next()?;
        match ObjectKind::of_placeholder(segment) {
            Some(kind) => break kind,
            None => start += segment.len() + 1,
        }
    };
    let mut end = path.len();
    for _ in segments {
        end = path[..end].rfind('/')?;
    }
    Some(Captured {
        kind,
        word: path.get(start..end)?,
        start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::request::call::Call;

    #[test]
    fn the_named_object_is_found() {
        for (method, target, want) in [
            ("GET", "/v1.43/containers/web/json", "container web"),
            (
                "GET",
                "/containers/ghcr.io/a/b:tag/json",
                "container ghcr.io/a/b:tag",
            ),
            ("GET", "/containers/web/attach/ws", "container web"),
            ("DELETE", "/containers/web/checkpoints/one", "container web"),
            ("DELETE", "/containers/web", "container web"),
            ("POST", "/containers/web/db/exec", "container web/db"),
            ("POST", "/exec/0123/start", "exec 0123"),
            ("POST", "/images/ghcr.io/a/b/tag", "image ghcr.io/a/b"),
            ("GET", "/distribution/ghcr.io/a/b/json", "image ghcr.io/a/b"),
            ("POST", "/v4.0.0/libpod/images/scp/a/b", "image a/b"),
            ("POST", "/networks/front/connect", "network front"),
            ("DELETE", "/volumes/data", "volume data"),
            ("POST", "/v4.0.0/libpod/pods/p/start", "pod p"),
            (
                "POST",
                "/v4.0.0/libpod/containers/web/exec",
                "container web",
            ),
            ("POST", "/nodes/n/update", "node n"),
            ("GET", "/containers/json", ""),
            ("POST", "/commit?container=web", ""),
            ("GET", "/debug/pprof/heap", ""),
        ] {
            let call = Call::read(method, target).expect(target);
            let found = call
                .captured()
                .map(|found| format!("{} {}", found.kind.name(), found.word));
            assert_eq!(found.unwrap_or_default(), want, "{method} {target}");
        }
    }

    /// The two assumptions of [`captured`].
    #[test]
    fn an_object_stands_behind_words_and_before_single_segments() {
        for shape in Endpoint::all().map(|endpoint| endpoint.shape) {
            let segments: Vec<&str> = shape.split('/').collect();
            let Some(at) = segments
                .iter()
                .position(|segment| ObjectKind::of_placeholder(segment).is_some())
            else {
                continue;
            };
            assert!(
                segments[..at]
                    .iter()
                    .all(|segment| !segment.starts_with('{')),
                "{shape}"
            );
            assert!(
                segments[at + 1..]
                    .iter()
                    .all(|segment| !segment.ends_with("*}")),
                "{shape}"
            );
        }
    }
}
