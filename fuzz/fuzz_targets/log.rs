//! A record is one line in both formats, and the values that it was made of can be read back from
//! it.
//!
//! The input is values between bytes 0xff, which no text has.
#![no_main]

use cetusguard::fuzzing::read_log;
use cetusguard_proxy::fuzzing::write_log;
use libfuzzer_sys::fuzz_target;

const KEYS: [&str; 8] = [
    "path", "client", "profile", "endpoint", "reason", "detail", "agent", "rule",
];

fuzz_target!(|input: &[u8]| {
    let values: Vec<_> = input
        .split(|byte| *byte == 0xff)
        .map(String::from_utf8_lossy)
        .collect();
    let [message, values @ ..] = values.as_slice() else {
        return;
    };
    // Readers pass over records without a message, a method or a path: these are about requests.
    let message = format!("{message}.");
    let mut values: Vec<String> = values
        .iter()
        .take(KEYS.len())
        .map(ToString::to_string)
        .collect();
    values.resize(KEYS.len(), String::new());
    values[0].insert(0, '/');
    let mut fields = vec![("method", "GET")];
    fields.extend(KEYS.into_iter().zip(values.iter().map(String::as_str)));
    let mut log = String::new();
    for json in [false, true] {
        let line = write_log(json, &message, &fields);
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(
            line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(char::is_control),
            "{line:?}"
        );
        log.push_str(&line);
        log.push_str(&format!("web-1  | {line}"));
    }
    let mut want = vec!["info".to_owned(), message, "GET".to_owned()];
    want.extend(values);
    let keys: Vec<_> = ["level", "msg", "method"].into_iter().chain(KEYS).collect();
    let read = read_log(&log, &keys);
    assert_eq!(read.len(), 4, "{log}");
    assert!(
        read.iter().all(|record| *record == want),
        "{read:?} is not {want:?}"
    );
});
