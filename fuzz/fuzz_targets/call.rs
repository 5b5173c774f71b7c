//! Whatever the request line: what is judged is what is sent, and reads the same again.
#![no_main]

use cetusguard_policy::Call;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let Ok(target) = std::str::from_utf8(line) else { return };
    if let Ok(call) = Call::read("POST", target) {
        let again = Call::read("POST", &call.target()).expect("it reads again");
        assert_eq!((again.path(), again.query()), (call.path(), call.query()));
    }
});
