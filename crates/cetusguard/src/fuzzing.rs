//! Access for fuzz targets to private parts of the program. Fuzz builds alone have it:
//! `cfg(fuzzing)`.

use crate::command::log_lines::requests;

/// Reads the records about requests in a log: these fields of each.
#[must_use]
pub fn read_log(text: &str, keys: &[&str]) -> Vec<Vec<String>> {
    let lines = requests("fuzz", text).unwrap_or_default();
    lines
        .iter()
        .map(|line| keys.iter().map(|key| line.get(key).to_owned()).collect())
        .collect()
}
