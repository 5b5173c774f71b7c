//! A request target that is accepted is sent as it was judged, reads the same again, and holds
//! nothing that a second reader could resolve or decode in another way.
#![no_main]

use cetusguard_policy::{Call, Method};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|target: &[u8]| {
    let Ok(target) = std::str::from_utf8(target) else {
        return;
    };
    let Ok(call) = Call::read("POST", target) else {
        return;
    };
    let sent = call.target();
    assert!(
        sent.starts_with('/') && sent.bytes().all(|byte| byte.is_ascii_graphic()),
        "{sent}"
    );
    let again = Call::read("POST", &sent).expect("it reads again");
    assert_eq!(
        (again.path(), again.query(), again.version()),
        (call.path(), call.query(), call.version())
    );
    assert_eq!(again.target(), sent);

    let path = call.path();
    assert!(
        path.len() <= Call::PATH_LIMIT && !path.chars().any(|c| c.is_ascii_control() || c == '\\'),
        "{path:?}"
    );
    assert!(
        path.ends_with(call.unversioned_path()) && call.unversioned_path().starts_with('/'),
        "{path:?}"
    );
    let mut segments: Vec<_> = path[1..].split('/').collect();
    // A path may end with one slash.
    segments.pop_if(|last| last.is_empty());
    assert!(
        !segments
            .iter()
            .any(|segment| ["", ".", ".."].contains(segment)),
        "{path:?}"
    );
    let decoded = Call::from_path(Method::Post, path).expect("a path that was judged");
    assert_eq!((decoded.path(), decoded.query()), (path, None));
    if let Some(captured) = call.captured() {
        assert!(
            path.contains(captured.word) && !captured.word.is_empty(),
            "{path:?}"
        );
    }
});
