//! The mounts of a proxy's container, in both of Compose's forms.

use std::collections::HashMap;

use super::words::{interpolate, split_at_colons};
use super::yaml::ComposeValue;

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The item of `volumes` as it was written.
    pub(super) raw: ComposeValue,
    /// A path of the host, or the name of a volume; empty if there is none.
    pub(super) source: String,
    /// The path in the container.
    pub(super) target: String,
}

/// Reads an item of `volumes`, in which the known variables have been replaced. A default stands
/// in for a variable that is not known.
pub(super) fn parse_mount(item: &ComposeValue) -> Option<Mount> {
    let text = |text: &str| interpolate(text, &HashMap::new(), &mut Vec::new());
    let (source, target) = match item {
        ComposeValue::Map(_) => {
            let part = |key| {
                item.get(key)
                    .map(|value| text(value.plain()))
                    .unwrap_or_default()
            };
            (part("source"), part("target"))
        }
        ComposeValue::Scalar { text: short, .. } => {
            let mut parts = split_at_colons(short).into_iter();
            match (parts.next()?, parts.next()) {
                (source, Some(target)) => (text(&source), text(&target)),
                (target, None) => (String::new(), text(&target)),
            }
        }
        _ => return None,
    };
    let target = if target.len() > 1 {
        target.trim_end_matches('/').to_owned()
    } else {
        target
    };
    Some(Mount {
        raw: item.clone(),
        source,
        target,
    })
}

impl Mount {
    /// Returns whether a path of the host is mounted, and not a volume.
    pub(super) fn is_bind(&self) -> bool {
        self.source.starts_with(['/', '.', '~'])
    }

    /// Returns the name of the volume that is mounted, if it is one.
    pub(super) fn volume(&self) -> Option<&str> {
        let is_name = !self.is_bind() && !self.source.is_empty() && !self.source.contains('$');
        is_name.then_some(&*self.source)
    }

    /// Returns the path in this container of a file that another image has at `path`: in most
    /// images, `/var/run` is a link to `/run`.
    pub(super) fn path_of(&self, path: &str) -> Option<String> {
        let own = |text: &str| {
            text.strip_prefix("/var")
                .filter(|rest| is_within(rest, "/run"))
                .unwrap_or(text)
                .to_owned()
        };
        let (path, target) = (own(path), own(&self.target));
        let rest = path.strip_prefix(target.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/'))
            .then(|| format!("{}{rest}", self.target.trim_end_matches('/')))
    }

    /// Returns the path of the host that lies at a path of the container.
    pub(super) fn host_path(&self, path: &str) -> Option<String> {
        let inner = self.path_of(path).filter(|_| self.is_bind())?;
        let rest = inner.strip_prefix(self.target.trim_end_matches('/'))?;
        Some(format!(
            "{}{rest}",
            if rest.is_empty() {
                &self.source
            } else {
                self.source.trim_end_matches('/')
            }
        ))
    }

    /// Returns whether it is the socket of an engine and nothing else.
    pub(super) fn is_engine_socket(&self) -> bool {
        [&self.source, &self.target]
            .iter()
            .any(|path| path.ends_with("docker.sock") || path.ends_with("podman.sock"))
    }

    /// Returns the item of `volumes` with another source.
    pub(super) fn with_source(&self, source: &str) -> ComposeValue {
        match &self.raw {
            ComposeValue::Map(pairs) => ComposeValue::Map(
                pairs
                    .iter()
                    .map(|(key, value)| {
                        (
                            key.clone(),
                            if key == "source" {
                                ComposeValue::text(source)
                            } else {
                                value.clone()
                            },
                        )
                    })
                    .collect(),
            ),
            raw => {
                let mode = raw
                    .plain()
                    .rsplit_once(':')
                    .map(|(_, mode)| mode)
                    .filter(|mode| !mode.contains(['/', '}']));
                let mode = mode.map(|mode| format!(":{mode}")).unwrap_or_default();
                ComposeValue::text(format!("{source}:{}{mode}", self.target))
            }
        }
    }
}

/// Returns whether a path is another or lies below it.
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> Mount {
        parse_mount(&super::super::yaml::parse_document(text).expect(text)).expect(text)
    }

    #[test]
    fn both_forms_are_read() {
        for text in [
            "\"${X:-/run/d.sock}:/var/run/docker.sock:ro\"",
            "{type: bind, source: /run/d.sock, target: /var/run/docker.sock}",
        ] {
            let mount = mount(text);
            assert_eq!(
                (mount.source.as_str(), mount.target.as_str()),
                ("/run/d.sock", "/var/run/docker.sock"),
                "{text}"
            );
            assert_eq!(
                mount.host_path("/run/docker.sock").as_deref(),
                Some("/run/d.sock")
            );
        }
        assert!(!mount("data:/data").is_bind() && mount("./a:/b").is_bind());
    }

    #[test]
    fn paths_below_a_mount_are_found() {
        let folder = mount("/run/user/1000:/run:ro");
        assert_eq!(
            folder.path_of("/var/run/docker.sock").as_deref(),
            Some("/run/docker.sock")
        );
        assert_eq!(
            folder.host_path("/var/run/docker.sock").as_deref(),
            Some("/run/user/1000/docker.sock")
        );
        assert_eq!(folder.path_of("/runner/x"), None);
        assert_eq!(
            mount("/a:/var/run").path_of("/var/run/x").as_deref(),
            Some("/var/run/x")
        );
        assert_eq!(folder.with_source("/x").plain(), "/x:/run:ro");
        assert_eq!(mount("./a:/b").with_source("/x/a").plain(), "/x/a:/b");
    }
}
