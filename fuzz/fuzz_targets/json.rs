//! What the strict reader takes, it writes so that it reads the same again.
#![no_main]

use cetusguard_policy::guard::Json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(json) = Json::read(body) {
        let written = json.to_string();
        assert_eq!(Json::read(written.as_bytes()).as_ref(), Ok(&json));
    }
});
