//! The proxy's own container, as the kernel shows it.

use std::collections::BTreeSet;

/// The source of the identity of the proxy's own container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// No container was found.
    Nowhere,
    /// Its full identifier, found in the kernel's list of mounts.
    Id(String),
    /// Its name or identifier, as the option `proxy-container` has it.
    Named(String),
}

impl Own {
    /// Finds the container by the option: `auto`, `none`, or a name.
    pub fn find(option: &str) -> Self {
        match option {
            "none" => Self::Nowhere,
            "auto" => own_id(&mounts()).map_or(Self::Nowhere, Self::Id),
            name => Self::Named(name.to_owned()),
        }
    }

    /// Returns the word for the container with which the engine can be asked.
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Nowhere => None,
            Self::Id(word) | Self::Named(word) => Some(word),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file of the kernel, not of the configuration"
)]
fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// The files that engines mount from the container's own folder.
const OWN_FILES: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// Finds the identifier in the mounts of the files that every engine provides:
/// `/…/containers/ID/hostname` of Docker, `/…/overlay-containers/ID/userdata/hostname` of Podman.
/// `None` if they belong to different containers.
fn own_id(mounts: &str) -> Option<String> {
    let ids: BTreeSet<&str> = mounts
        .lines()
        .filter_map(|line| {
            // proc_pid_mountinfo(5): identifier, parent, device, root, mount point.
            let mut fields = line.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            let is_id =
                |id: &str| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            let mut folders = root
                .split('/')
                .zip(root.split('/').skip(1))
                .filter(|_| OWN_FILES.contains(&point));
            folders
                .find(|(folder, id)| folder.ends_with("containers") && is_id(id))
                .map(|(_, id)| id)
        })
        .collect();
    let mut ids = ids.into_iter();
    ids.next()
        .filter(|_| ids.next().is_none())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e";

    #[test]
    fn the_own_container_is_found_in_the_mounts() {
        let docker = format!(
            "1 0 0:50 / / rw - overlay overlay rw\n2 1 254:1 \
            /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw\n3 \
            1 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n"
        );
        assert_eq!(own_id(&docker).as_deref(), Some(ID));
        let podman = format!(
            "2 1 0:25 /containers/storage/overlay-containers/{ID}/userdata/hosts /etc/hosts rw - \
            tmpfs tmpfs rw\n"
        );
        assert_eq!(own_id(&podman).as_deref(), Some(ID));
        let other = "a".repeat(64);
        let two = format!("{docker}4 1 0:1 /containers/{other}/hosts /etc/hosts rw - ext4 x rw\n");
        assert_eq!(own_id(&two), None, "two containers");
        let elsewhere =
            format!("2 1 254:1 /var/lib/docker/containers/{ID}/x /mnt/x rw - ext4 /dev/vda1 rw\n");
        assert_eq!(own_id(&elsewhere), None, "a folder that was mounted");
        assert_eq!(
            own_id("2 1 254:1 /containers/short/hosts /etc/hosts rw - ext4 x rw\n"),
            None
        );
        assert_eq!(own_id(""), None);
    }
}
