//! No text of a configuration file makes the program panic. What is wrong with the file is told
//! with its line, and a comment before a document changes nothing but the lines.
#![no_main]

use cetusguard_proxy::fuzzing::{ConfigurationMistake, read_configuration};
use libfuzzer_sys::fuzz_target;

/// A long file of rules takes long to compile, and finds no more.
const LIMIT: usize = 2048;

fuzz_target!(|text: &[u8]| {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    // A byte order mark and a directive have to come first.
    if text.len() > LIMIT || text.starts_with(['\u{feff}', '%']) {
        return;
    }
    let [in_file, meant] = read_configuration(text);
    let lines = text
        .replace("\r\n", "\n")
        .split_inclusive(['\n', '\r'])
        .count()
        .max(1);
    for mistake in &in_file {
        assert!(
            mistake.line.is_some_and(|line| (1..=lines).contains(&line)),
            "{}",
            mistake.message
        );
    }
    for mistake in &meant {
        assert!(
            mistake.line.is_none_or(|line| (1..=lines).contains(&line)),
            "{}",
            mistake.message
        );
    }
    let [in_file_later, meant_later] = read_configuration(&format!("# A comment.\n{text}"));
    assert_eq!(places(&in_file, 1), places(&in_file_later, 0));
    assert_eq!(places(&meant, 1), places(&meant_later, 0));
});

fn places(mistakes: &[ConfigurationMistake], later: usize) -> Vec<Option<usize>> {
    mistakes
        .iter()
        .map(|mistake| mistake.line.map(|line| line + later))
        .collect()
}
