//! A control group with a memory limit, as a container has one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;

/// A group for one process. It is removed when dropped, after the end of the process.
#[derive(Debug)]
pub struct MemoryGroup {
    path: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug)]
enum Version {
    One,
    Two,
}

impl MemoryGroup {
    /// Makes a group with this limit in bytes.
    ///
    /// # Errors
    /// The process may not, or the memory controller is absent; the message says which.
    pub fn make(limit: u64) -> Result<Self, Failure> {
        let (root, version) = if Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists() {
            ("/sys/fs/cgroup/memory", Version::One)
        } else {
            ("/sys/fs/cgroup", Version::Two)
        };
        let path = Path::new(root).join(format!("cetusguard-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{root}: {error}"))?;
        let group = Self { path, version };
        group
            .limit(Path::new(root), limit)
            .map_err(|error| format!("{root}: no memory limit: {error}"))?;
        Ok(group)
    }

    fn limit(&self, root: &Path, limit: u64) -> std::io::Result<()> {
        match self.version {
            Version::One => {
                fs::write(self.path.join("memory.limit_in_bytes"), limit.to_string())?;
                // Version 1 counts the memory of TCP apart, and only where it has a limit. One that
                // is out of reach: it is the sum that counts.
                fs::write(
                    self.path.join("memory.kmem.tcp.limit_in_bytes"),
                    (1_u64 << 40).to_string(),
                )
            }
            Version::Two => {
                // It may be there already, and a group with processes cannot add it.
                let _ = fs::write(root.join("cgroup.subtree_control"), "+memory");
                fs::write(self.path.join("memory.max"), limit.to_string())?;
                // Absent where there is no swap.
                let _ = fs::write(self.path.join("memory.swap.max"), "0");
                Ok(())
            }
        }
    }

    /// A shell command that enters the group and becomes the program behind it.
    #[must_use]
    pub fn entrance(&self) -> String {
        format!(
            "echo $$ >{}/cgroup.procs && exec \"$0\" \"$@\"",
            self.path.display()
        )
    }

    /// The most memory that was charged to the group, in bytes, socket buffers included.
    ///
    /// # Errors
    /// The kernel does not count it.
    pub fn peak(&self) -> Result<u64, Failure> {
        match self.version {
            Version::One => Ok(self.read("memory.max_usage_in_bytes")?
                + self.read("memory.kmem.tcp.max_usage_in_bytes")?),
            Version::Two => self.read("memory.peak"),
        }
    }

    fn read(&self, file: &str) -> Result<u64, Failure> {
        Ok(fs::read_to_string(self.path.join(file))?.trim().parse()?)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A process that has just ended may still be in it.
        for _ in 0..50 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
