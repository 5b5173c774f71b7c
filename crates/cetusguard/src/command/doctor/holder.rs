//! The process that has a port, as far as this user may see it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cetusguard_config::read_text;

/// A process that listens on a port.
#[derive(Debug)]
pub(super) struct PortHolder {
    /// Its number.
    pub(super) process: u32,
    /// Its name, as ps shows it.
    pub(super) name: String,
    /// Set if the process runs this program.
    pub(super) is_cetusguard: bool,
}

impl PortHolder {
    /// Finds the process that listens on a TCP port in this network. Sockets of other users, and
    /// those of other containers in the same network, belong to processes that are not seen.
    pub(super) fn of(port: u16) -> Option<Self> {
        let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|table| read_text(table).ok())
            .flat_map(|table| {
                table
                    .lines()
                    .filter_map(|row| listening_inode(row, port))
                    .collect::<Vec<_>>()
            })
            .collect();
        let folders = std::fs::read_dir("/proc")
            .ok()?
            .flatten()
            .map(|entry| entry.path());
        let (process, folder) = folders
            .filter_map(|folder| Some((folder.file_name()?.to_str()?.parse().ok()?, folder)))
            .find(|(_, folder)| has_one(folder, &sockets))?;
        let name = read_text(&folder.join("comm").display().to_string())
            .unwrap_or_default()
            .trim()
            .to_owned();
        let is_cetusguard = name == "cetusguard" || is_this_program(&folder.join("exe"));
        Some(Self {
            process,
            name,
            is_cetusguard,
        })
    }
}

/// Returns the socket of a row of the kernel's table that listens on the port, as links of
/// descriptors name it.
fn listening_inode(row: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = row.split_whitespace().collect();
    let (_, own) = fields.get(1)?.rsplit_once(':')?;
    let is_it = *fields.get(3)? == LISTEN && u16::from_str_radix(own, 16) == Ok(port);
    is_it.then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
}

/// Returns whether a process has one of these sockets.
fn has_one(folder: &Path, sockets: &[String]) -> bool {
    let descriptors = std::fs::read_dir(folder.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    let mut links = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    links.any(|link| {
        sockets
            .iter()
            .any(|socket| link.as_os_str() == socket.as_str())
    })
}

fn is_this_program(exe: &Path) -> bool {
    let file = |path: &Path| {
        std::fs::metadata(path)
            .ok()
            .map(|meta| (meta.dev(), meta.ino()))
    };
    file(exe).is_some_and(|there| file(Path::new("/proc/self/exe")) == Some(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let holder = PortHolder::of(port).expect("this process");
        assert!(
            holder.process == std::process::id() && holder.is_cetusguard && !holder.name.is_empty(),
            "{holder:?}"
        );
        drop(listener);
        assert!(PortHolder::of(port).is_none());
    }
}
