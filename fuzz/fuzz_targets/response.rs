//! An answer's head is read alike in one piece and in many, is accepted where `httparse` and strict
//! line ends allow it, and is written for the client so that it reads as the engine's, in the
//! plainest reading too.
#![no_main]

use cetusguard_proxy::fuzzing::forward_response;
use http1::read_response;
use libfuzzer_sys::fuzz_target;
use naive::{HEADER_LIMIT, end_to_end, is};

mod http1;
mod naive;

fuzz_target!(|bytes: &[u8]| {
    for to_head in [false, true] {
        let head = read_response(bytes, bytes.len(), to_head);
        assert_eq!(read_response(bytes, 1, to_head), head);
        assert_eq!(read_response(bytes, 7, to_head), head);
        assert_eq!(
            head.as_ref().map(|head| &head.start),
            accepted(bytes).as_ref()
        );
        let Some(head) = head else { return };
        for close in [false, true] {
            let Some(sent) = forward_response(bytes, to_head, close) else {
                assert!(head.framing.is_err());
                continue;
            };
            // The line that is added could be one too many for the reader, as it is for some
            // clients.
            if head.fields.len() >= HEADER_LIMIT {
                continue;
            }
            let again = read_response(&sent, sent.len(), to_head).expect("it reads again");
            assert_eq!((&again.start, &again.framing), (&head.start, &head.framing));
            let [status, reason] = head
                .start
                .clone()
                .map(|part| String::from_utf8(part).expect("ASCII"));
            let line = format!("HTTP/1.1 {status} {reason}");
            assert_eq!(
                naive::read(&sent),
                Some((line.as_bytes(), again.fields.clone(), &b""[..]))
            );

            let mut want = end_to_end(&head.fields);
            for name in ["Content-Length", "Transfer-Encoding"] {
                let value = head
                    .fields
                    .iter()
                    .find(|field| is(&name.to_ascii_lowercase(), field));
                want.extend(value.map(|(_, value)| (name.into(), value.clone())));
            }
            if close {
                want.push((b"Connection".to_vec(), b"close".to_vec()));
            }
            assert_eq!(again.fields, want);
        }
    }
});

/// Returns status and reason of a head that ought to be accepted.
fn accepted(bytes: &[u8]) -> Option<[Vec<u8>; 2]> {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = response.parse(bytes) else {
        return None;
    };
    // No line may come before the head: the end of what came earlier could be misplaced.
    naive::read(&bytes[..length])
        .filter(|(line, ..)| !line.is_empty() && response.code >= Some(100))?;
    Some(
        [
            response.code?.to_string(),
            response.reason.unwrap_or_default().to_owned(),
        ]
        .map(String::into_bytes),
    )
}
