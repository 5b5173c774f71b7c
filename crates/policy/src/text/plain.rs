//! The plain characters of a JSON text: those that stand for themselves between two quotes.

/// Eight bytes of one.
const ONES: u64 = u64::from_le_bytes([1; 8]);
/// The highest bit of eight bytes.
const HIGH_BITS: u64 = ONES << 7;

/// Returns the number of bytes before the first quote, backslash or control character, or of all
/// bytes if there is none. Such a byte is a character of its own in UTF-8.
///
/// Reads eight bytes at a time: most bytes of a list belong to its texts.
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = first_special(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, 0..b' ' | b'"' | b'\\');
    let behind = rest.iter().position(is_special);
    words.len() * 8 + behind.unwrap_or(rest.len())
}

/// Returns a word whose lowest bit stands in the first byte that is a quote, a backslash or a
/// control character; zero if there is none. The bits above the lowest mean nothing: a subtraction
/// borrows from the bytes above one that it finds.
fn first_special(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | equal(b'"') | equal(b'\\')) & HIGH_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_by_one(bytes: &[u8]) -> usize {
        let plain = bytes
            .iter()
            .take_while(|byte| **byte >= b' ' && **byte != b'"' && **byte != b'\\');
        plain.count()
    }

    #[test]
    fn every_byte_is_found_at_every_place() {
        for background in [b' ', b'!', b'#', b'[', b']', b'a', 0x7f, 0x80, 0xff] {
            for length in 0..=40 {
                let mut bytes = vec![background; length];
                assert_eq!(plain_length(&bytes), length);
                for place in 0..length {
                    for byte in 0..=u8::MAX {
                        bytes[place] = byte;
                        assert_eq!(plain_length(&bytes), one_by_one(&bytes), "{bytes:?}");
                    }
                    bytes[place] = background;
                }
            }
        }
    }

    /// A subtraction that borrows must not hide or move the first of two.
    #[test]
    fn the_first_of_two_is_found() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for (one, other) in [(0, 1), (2, 3), (3, 7), (7, 8), (6, 11)] {
                    let mut bytes = [b'a'; 13];
                    (bytes[one], bytes[other]) = (first, second);
                    assert_eq!(plain_length(&bytes), one_by_one(&bytes), "{bytes:?}");
                }
            }
        }
    }
}
