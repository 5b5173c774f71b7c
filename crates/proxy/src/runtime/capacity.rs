//! Capacity: how many exchanges fit into the memory that the process may have, and how large their
//! sockets' buffers may be.
//!
//! The kernel charges the bytes in a socket's buffers to the container of the process. Without a
//! bound, a few hundred peers that read nothing make the OOM killer end the process, and with it
//! the exchanges of all clients.

use std::io;

use cetusguard_config::meant::MemoryLimit;
use cetusguard_config::read_text;
use socket2::SockRef;

/// The memory of the program, its buffers and the judged bodies, in bytes.
const PROGRAM: u64 = 28 << 20;
/// With little memory, buffers become smaller until so many exchanges fit; only with less memory do
/// fewer exchanges fit.
const MANY: u64 = 512;
/// The memory of the program for one exchange, in bytes.
const OWN: u64 = 16 << 10;
/// The buffers of an exchange that may be full: two towards the client and one towards the engine.
/// Each counts twice, since the kernel doubles the size that is set. The kernel charges bytes that
/// come from an engine on a Unix socket to the engine.
const BUFFERS: u64 = 6;
/// The bounds of one buffer, in bytes.
const SMALLEST: u64 = 16 << 10;
const LARGEST: u64 = 256 << 10;
/// Exchanges that are allowed however little memory there is.
const FEWEST: u64 = 16;

/// The exchanges that fit into the memory, and the size of their sockets' buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// The memory, in bytes.
    pub(crate) limit: Option<u64>,
    /// Exchanges with the engine at the same time.
    pub(crate) exchanges: Option<usize>,
    /// The bound of each buffer of a socket.
    pub(crate) buffer: SocketBuffer,
}

/// The bound of the buffers of a socket, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketBuffer(usize);

impl Capacity {
    /// Reads the memory limit where the option says `auto`, and derives the capacity from it.
    pub(crate) fn find(limit: MemoryLimit) -> Self {
        Self::of(match limit {
            MemoryLimit::Auto => cgroup_limit(),
            MemoryLimit::Bytes(limit) => Some(limit),
            MemoryLimit::None => None,
        })
    }

    fn of(limit: Option<u64>) -> Self {
        let Some(memory) = limit else {
            return Self {
                limit,
                exchanges: None,
                buffer: SocketBuffer(to_usize(LARGEST)),
            };
        };
        let memory = memory.saturating_sub(PROGRAM);
        let buffer = ((memory / MANY).saturating_sub(OWN) / BUFFERS).clamp(SMALLEST, LARGEST);
        let exchanges = (memory / (BUFFERS * buffer + OWN)).max(FEWEST);
        Self {
            limit,
            exchanges: Some(to_usize(exchanges)),
            buffer: SocketBuffer(to_usize(buffer)),
        }
    }
}

impl SocketBuffer {
    /// The size of each buffer, in bytes.
    pub(crate) fn size(self) -> usize {
        self.0
    }

    /// Sets the sizes of a socket's buffers: for a peer that reads nothing, and for a peer that
    /// sends faster than it is read.
    pub(crate) fn bound(self, socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_send_buffer_size(self.0)?;
        socket.set_recv_buffer_size(self.0)
    }
}

impl Default for SocketBuffer {
    fn default() -> Self {
        Capacity::of(None).buffer
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Reads the least memory limit of the process's control group and those around it (cgroups(7),
/// versions 2 and 1).
fn cgroup_limit() -> Option<u64> {
    let groups = read_text("/proc/self/cgroup").unwrap_or_default();
    limit_files(&groups)
        .iter()
        .filter_map(|path| read_limit(&read_text(path).ok()?))
        .min()
}

/// The files that may hold a limit. In a container the path is often that of the host, and the root
/// is the container's own.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (roots, file): (&[&str], _) = match controllers {
            "" => (&["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], "memory.max"),
            list if list.split(',').any(|one| one == "memory") => {
                (&["/sys/fs/cgroup/memory"], "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            files.extend(roots.iter().map(|root| format!("{root}{path}/{file}")));
            let Some((above, _)) = path.rsplit_once('/') else {
                break;
            };
            path = above;
        }
    }
    files
}

/// A limit of either version; none is `max`, or the largest number that a page counter holds.
fn read_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_never_exceeds_the_limit() {
        for mib in [64, 96, 128, 256, 512, 1024, 4096] {
            let limit: u64 = mib << 20;
            let Capacity {
                exchanges, buffer, ..
            } = Capacity::of(Some(limit));
            let exchanges = exchanges.expect("a bound") as u64;
            assert!(exchanges >= 300, "{exchanges} in {mib} MiB");
            assert!(
                PROGRAM + exchanges * (BUFFERS * buffer.0 as u64 + OWN) <= limit,
                "{mib} MiB"
            );
        }
        assert_eq!(Capacity::of(Some(1 << 20)).exchanges, Some(16));
        assert_eq!(Capacity::of(None).exchanges, None);
    }

    #[test]
    fn limits_are_found_in_both_versions() {
        assert_eq!(
            limit_files("0::/a/b\n"),
            ["/a/b", "/a", ""]
                .map(|path| [
                    format!("/sys/fs/cgroup{path}/memory.max"),
                    format!("/sys/fs/cgroup/unified{path}/memory.max")
                ])
                .concat()
        );
        assert_eq!(
            limit_files("8:cpu:/x\n4:memory,hugetlb:/docker/1\nnonsense\n"),
            ["/docker/1", "/docker", ""]
                .map(|path| format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"))
        );
        assert_eq!(read_limit("67108864\n"), Some(64 << 20));
        for none in ["max\n", "9223372036854771712\n", ""] {
            assert_eq!(read_limit(none), None);
        }
    }
}
