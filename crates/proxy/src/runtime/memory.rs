//! Memory that is given back to the system once a crowd has left.
//!
//! The C library's allocator is the smallest of those that were measured (see
//! `docs/performance.md`), but it keeps freed memory that lies below live memory. This is the one
//! foreign function of the program, and the one file that declares any.

/// Notices that many connections have gone.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The most connections since memory was last given back.
    peak: usize,
}

impl Memory {
    /// Begins to count, and gives back the memory of the start: the command line's grammar, and
    /// rules in the making.
    pub(crate) fn begin() -> Self {
        give_back();
        Self::default()
    }

    /// Takes the number of connections, and the most since the last call; gives memory back where
    /// most are gone.
    pub(crate) fn look(&mut self, connections: usize, peak: usize) {
        self.peak = self.peak.max(peak);
        if connections < self.peak / 2 {
            give_back();
            self.peak = connections;
        }
    }
}

/// Gives memory that was freed back to the system.
#[cfg(target_env = "gnu")]
pub(crate) fn give_back() {
    #[expect(
        unsafe_code,
        reason = "a call without pointers, which the C library allows at any time: malloc_trim(3)"
    )]
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    // Whether there was anything to give back does not matter.
    let _ = malloc_trim(0);
}

/// Other libraries give memory back by themselves, or not at all.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back() {}
