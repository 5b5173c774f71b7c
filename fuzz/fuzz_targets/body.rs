//! A chunked body that arrives in any pieces says the same, ends at the same byte, and is passed on
//! as it came; a plain decoder agrees.
//!
//! The first byte of the input chooses the sizes of the pieces; the body follows.
#![no_main]

use http1::{Chunked, decode_chunked, pass_chunked};
use libfuzzer_sys::fuzz_target;

mod http1;

fuzz_target!(|input: &[u8]| {
    let Some((seed, body)) = input.split_first() else {
        return;
    };
    let whole = decode_chunked([body].into_iter());
    let pieces = split(body, *seed);
    let in_pieces = decode_chunked(pieces.iter().copied());
    let passed = pass_chunked(pieces.iter().copied(), usize::from(*seed) % 7 + 1);
    assert_eq!(
        (whole.is_done, whole.is_garbage),
        (in_pieces.is_done, in_pieces.is_garbage)
    );
    assert_eq!(
        (whole.is_done, whole.is_garbage),
        (passed.is_done, passed.is_garbage)
    );
    assert!(
        body.starts_with(&passed.content),
        "what is passed on is what came"
    );
    if !whole.is_garbage {
        assert_eq!(whole, in_pieces);
        assert_eq!(whole.length, passed.length);
    }
    match decode_naively(body) {
        Some((content, length)) => assert_eq!(
            whole,
            Chunked {
                content,
                length,
                is_done: true,
                is_garbage: false
            }
        ),
        None => assert!(!whole.is_done),
    }
});

/// Returns pieces of sizes that look like chance and are the same for the same seed.
fn split(mut bytes: &[u8], seed: u8) -> Vec<&[u8]> {
    let (mut pieces, mut state) = (Vec::new(), u32::from(seed));
    while !bytes.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (piece, rest) = bytes.split_at((1 + (state >> 24) as usize % 19).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Returns the content and the length of a body that is complete and in the one strict form.
fn decode_naively(body: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut content, mut rest) = (Vec::new(), body);
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        if !(1..=15).contains(&size.len()) || !size.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::from_str_radix(size, 16).ok()?;
        let data = &rest[end + 2..];
        content.extend_from_slice(data.get(..size)?);
        rest = data[size..].strip_prefix(b"\r\n")?;
        if size == 0 {
            return Some((content, body.len() - rest.len()));
        }
    }
}
