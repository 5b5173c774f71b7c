//! A request's head is read alike in one piece and in many, is accepted where `httparse` and strict
//! line ends allow it, and is written for the engine so that it reads as what was judged, in the
//! plainest reading too.
#![no_main]

use cetusguard_policy::Call;
use cetusguard_proxy::fuzzing::forward_request;
use http1::{Head, read_request};
use libfuzzer_sys::fuzz_target;
use naive::{Field, HEADER_LIMIT, end_to_end, is};

mod http1;
mod naive;

const VIA: &str = "1.1 cetusguard-fuzz";

/// What is added for the engine, in header lines, at the most.
const ADDED: usize = 6;

fuzz_target!(|bytes: &[u8]| {
    let head = read_request(bytes, bytes.len());
    assert_eq!(read_request(bytes, 1), head);
    assert_eq!(read_request(bytes, 7), head);
    assert_eq!(
        head.as_ref().map(|head| &head.start),
        accepted(bytes).as_ref()
    );
    let Some(head) = head else { return };
    let call = match &head.start.clone().map(String::from_utf8) {
        [Ok(method), Ok(target)] => Call::read(method, target).ok(),
        _ => None,
    };
    let Some(call) = call.filter(|_| head.framing.is_ok()) else {
        assert_eq!(forward_request(bytes, VIA, None), None);
        return;
    };
    for judged in [None, Some(&b""[..]), Some(b"{\"Image\":\"x\"}")] {
        let has_body = judged.is_some_and(|body| !body.is_empty());
        // A body is judged where one was announced.
        if has_body && head.framing == Ok("None".to_owned())
            || head.fields.len() > HEADER_LIMIT - ADDED
        {
            continue;
        }
        let sent = forward_request(bytes, VIA, judged).expect("an accepted head");
        let again = read_request(&sent, sent.len()).expect("it reads again");
        assert_eq!(
            again.start,
            [head.start[0].clone(), call.target().into_bytes()]
        );
        assert_eq!(again.rest, judged.unwrap_or_default());
        assert_eq!(again.framing, framing(&head, judged));
        let line = format!("{} {} HTTP/1.1", call.method(), call.target());
        assert_eq!(
            naive::read(&sent),
            Some((line.as_bytes(), again.fields.clone(), again.rest.as_slice()))
        );
        check_fields(&head, again.fields, has_body, judged.is_some());
    }
});

/// Returns method and target of a head that ought to be accepted.
fn accepted(bytes: &[u8]) -> Option<[Vec<u8>; 2]> {
    let mut bytes = bytes;
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = request.parse(bytes) else {
        return None;
    };
    naive::read(&bytes[..length])
        .filter(|_| bytes[0].is_ascii_alphabetic() && request.version == Some(1))?;
    Some([request.method?, request.path?].map(|part| part.as_bytes().to_vec()))
}

fn framing(head: &Head, judged: Option<&[u8]>) -> Result<String, String> {
    match judged {
        Some(body) if head.framing != Ok("None".to_owned()) => {
            Ok(format!("Length({})", body.len()))
        }
        _ => head.framing.clone(),
    }
}

/// Checks that the end-to-end fields of the client are sent, between those that are always written,
/// and no others.
fn check_fields(head: &Head, mut sent: Vec<Field>, has_body: bool, is_judged: bool) {
    let upgrade = sent
        .iter()
        .position(|field| is("connection", field))
        .map(|at| sent.split_off(at));
    if let Some(upgrade) = upgrade {
        assert!(head.fields.iter().any(|field| is("upgrade", field)));
        let [connection, protocol] = upgrade.as_slice() else {
            panic!("{upgrade:?}")
        };
        assert_eq!(connection, &field("Connection", "Upgrade"));
        assert!(
            ["tcp", "h2c", "websocket"]
                .map(|token| field("Upgrade", token))
                .contains(protocol),
            "{protocol:?}"
        );
    }
    let mut want = vec![field("Host", "docker")];
    let replaced = ["host", "expect", "authorization"]
        .into_iter()
        .chain(is_judged.then_some("content-type"));
    let replaced: Vec<_> = replaced.collect();
    let own = end_to_end(&head.fields).into_iter();
    want.extend(own.filter(|field| !replaced.iter().any(|name| is(name, field))));
    want.push(field("Via", VIA));
    if has_body {
        want.push(field("Content-Type", "application/json"));
    }
    let about_body = |field: &Field| is("content-length", field) || is("transfer-encoding", field);
    sent.pop_if(|last| about_body(last));
    assert_eq!(sent, want);
}

fn field(name: &str, value: &str) -> Field {
    (name.into(), value.into())
}
