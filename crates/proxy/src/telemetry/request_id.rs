//! Identifiers of requests, unique across restarts and hosts.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use data_encoding::BASE32_NOPAD;

/// The identifier of a request: a random word of the process, and the number of the request in it.
///
/// The word has 64 random bits, so that two processes have the same one with a probability of less
/// than one in a billion among 100,000 processes. It tells nothing about the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(u64);

/// The word of this process: 13 letters and digits of base 32 (RFC 4648 §6), in lower case.
static PROCESS: LazyLock<String> = LazyLock::new(|| {
    // The standard library seeds it with random keys.
    let random: u64 = RandomState::new().hash_one(());
    BASE32_NOPAD
        .encode(&random.to_be_bytes())
        .to_ascii_lowercase()
});

/// The number of the last request.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

impl RequestId {
    /// Returns the identifier of the next request.
    pub(crate) fn next() -> Self {
        Self(REQUESTS.fetch_add(1, Relaxed) + 1)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PROCESS)?;
        f.write_str("-")?;
        f.write_str(itoa::Buffer::new().format(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_and_need_no_quotes() {
        let (one, two) = (RequestId::next().to_string(), RequestId::next().to_string());
        assert_ne!(one, two);
        let (word, number) = one.split_once('-').expect("two parts");
        assert_eq!(word.len(), 13);
        assert!(
            word.bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
        );
        assert!(number.parse::<u64>().is_ok());
        assert!(two.starts_with(&format!("{word}-")));
    }
}
