//! Bytes that both ends know from a seed, so that each can tell where another's went wrong.

use crate::random::mix;

/// A run of random bytes, made or compared from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    seed: u64,
    length: u64,
    at: u64,
}

impl Payload {
    /// The bytes of a seed.
    pub(crate) fn new(seed: u64, length: u64) -> Self {
        Self {
            seed,
            length,
            at: 0,
        }
    }

    /// The number of bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.length - self.at
    }

    /// Returns the next bytes, at most so many; empty at the end.
    pub(crate) fn make(&mut self, most: usize) -> Vec<u8> {
        let count = self.left().min(most as u64);
        let (first, last) = (self.at / 8, (self.at + count).div_ceil(8));
        let mut bytes = Vec::with_capacity(most + 16);
        for word in first..last {
            bytes.extend_from_slice(
                &mix(self.seed ^ word.wrapping_mul(0x2545_f491_4f6c_dd1d)).to_le_bytes(),
            );
        }
        bytes.drain(..usize::try_from(self.at % 8).unwrap_or(0));
        bytes.truncate(usize::try_from(count).unwrap_or(most));
        self.at += count;
        bytes
    }

    /// Compares the next bytes with those that came.
    pub(crate) fn check(&mut self, came: &[u8]) -> Result<(), String> {
        let begin = self.at;
        let wanted = self.make(came.len());
        if let Some(wrong) = wanted
            .iter()
            .zip(came)
            .position(|(wanted, came)| wanted != came)
        {
            return Err(format!(
                "byte {} of {} is wrong",
                begin + wrong as u64,
                self.length
            ));
        }
        match came.len() - wanted.len() {
            0 => Ok(()),
            more => Err(format!(
                "{more} bytes more than the {} that were sent",
                self.length
            )),
        }
    }

    /// Checks that nothing is missing.
    pub(crate) fn finish(&self) -> Result<(), String> {
        match self.left() {
            0 => Ok(()),
            left => Err(format!(
                "the last {left} of {} bytes are missing",
                self.length
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_make_the_same_bytes() {
        let whole = Payload::new(7, 1000).make(2000);
        let mut pieces = Payload::new(7, 1000);
        let joined: Vec<u8> = [1, 2, 30, 467, 0, 900]
            .iter()
            .flat_map(|size| pieces.make(*size))
            .collect();
        assert_eq!(
            (joined.len(), joined == whole, pieces.left()),
            (1000, true, 0)
        );
        assert_ne!(Payload::new(8, 1000).make(1000), whole);
    }

    #[test]
    fn a_wrong_byte_a_lost_one_and_one_too_many_are_found() {
        let whole = Payload::new(7, 1000).make(1000);
        let check = |bytes: &[u8]| {
            let mut payload = Payload::new(7, 1000);
            payload.check(bytes).and_then(|()| payload.finish())
        };
        assert_eq!(check(&whole), Ok(()));
        let mut wrong = whole.clone();
        wrong[500] ^= 1;
        assert_eq!(check(&wrong), Err("byte 500 of 1000 is wrong".to_owned()));
        assert_eq!(
            check(&whole[..999]),
            Err("the last 1 of 1000 bytes are missing".to_owned())
        );
        assert_eq!(
            check(&[&whole[..], b"x"].concat()),
            Err("1 bytes more than the 1000 that were sent".to_owned())
        );
    }
}
