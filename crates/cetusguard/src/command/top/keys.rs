//! The keys of the terminal, as the bytes that it sends for them.

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PressedKey {
    /// A key that writes a character.
    Char(char),
    Enter,
    Backspace,
    Escape,
    /// Ctrl-U, which terminals take for deleting a line.
    DeleteLine,
    /// Ctrl-C or Ctrl-D where the terminal makes no signal of it.
    Quit,
}

const ESCAPE: u8 = 0x1b;

/// Cuts the bytes of one read into keys. Sequences of other keys, such as arrows, are dropped: a
/// terminal sends each in one piece.
pub(super) fn read_keys(bytes: &[u8]) -> Vec<PressedKey> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match *first {
            ESCAPE => match sequence_length(behind) {
                0 => keys.push(PressedKey::Escape),
                length => rest = &behind[length..],
            },
            b'\r' | b'\n' => keys.push(PressedKey::Enter),
            0x08 | 0x7f => keys.push(PressedKey::Backspace),
            0x15 => keys.push(PressedKey::DeleteLine),
            0x03 | 0x04 => keys.push(PressedKey::Quit),
            byte if byte.is_ascii_control() => {}
            byte if byte.is_ascii() => keys.push(PressedKey::Char(byte.into())),
            _ => {
                let text = &bytes[bytes.len() - behind.len() - 1..];
                let length = text
                    .iter()
                    .skip(1)
                    .take_while(|byte| **byte & 0xc0 == 0x80)
                    .count();
                let c = std::str::from_utf8(&text[..=length])
                    .ok()
                    .and_then(|text| text.chars().next());
                keys.extend(c.map(PressedKey::Char));
                rest = &behind[length..];
            }
        }
    }
    keys
}

/// Returns the length of the rest of a control sequence (ECMA-48, section 5.4) or of a function key
/// behind its escape character; 0 if that was the key itself.
fn sequence_length(behind: &[u8]) -> usize {
    match behind {
        [b'[', parameters @ ..] => {
            let is_final = |byte: &u8| (0x40..=0x7e).contains(byte);
            let end = parameters.iter().position(is_final);
            2 + end.unwrap_or(parameters.len().saturating_sub(1))
        }
        [b'O', _, ..] => 2,
        // Alt and a key.
        [byte, ..] if *byte != ESCAPE => 1,
        _ => 0,
    }
    .min(behind.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_terminal_are_keys() {
        use PressedKey::{Backspace, Char, DeleteLine, Enter, Escape, Quit};
        for (bytes, keys) in [
            (&b"qp"[..], &[Char('q'), Char('p')][..]),
            ("é漢".as_bytes(), &[Char('é'), Char('漢')]),
            (b"\xe6q", &[Char('q')]),
            (b"\xff\x80q", &[Char('q')]),
            (
                b"\r\x7f\x08\x15\x03\x04",
                &[Enter, Backspace, Backspace, DeleteLine, Quit, Quit],
            ),
            (b"\x1b", &[Escape]),
            (b"\x1b\x1b", &[Escape, Escape]),
            (b"\x1b[Aq", &[Char('q')]),
            (b"\x1b[1;5Cq", &[Char('q')]),
            (b"\x1bOPq", &[Char('q')]),
            (b"\x1bxq", &[Char('q')]),
            (b"\x1b[", &[]),
            (b"\x1b[1", &[]),
            (b"\x00\x01", &[]),
        ] {
            assert_eq!(read_keys(bytes), keys, "{bytes:?}");
        }
    }
}
