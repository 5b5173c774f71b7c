//! The processes of a container: rows of cells, and a title for each column.

use super::Redaction;
use super::class::Class;
use super::replace::{REDACTED, each_text};
use super::shape::ValueShape;
use crate::guard::Json;

/// The titles of columns without a command line. `ps` lets its caller choose the titles: the
/// parameter that does so is closed (`answer::moving_parameter`).
const HARMLESS: &[&str] = &[
    "%CPU", "%MEM", "C", "CPU", "ELAPSED", "F", "GID", "GROUP", "NI", "PGID", "PGRP", "PID",
    "PPID", "PRI", "RSS", "S", "SESS", "SID", "START", "STARTED", "STAT", "STATE", "STIME", "SZ",
    "TIME", "TT", "TTY", "VSZ",
];
const USERS: &[&str] = &["EUSER", "HUSER", "RUSER", "UID", "USER"];

/// Replaces the cells of the columns that hold command lines, and all cells of columns with a title
/// that is not known.
pub(super) fn redact_rows(redaction: &Redaction, _: &ValueShape, answer: &mut Json<'_>) {
    let titles: Vec<String> = answer
        .get("Titles")
        .map(Json::list)
        .unwrap_or_default()
        .iter()
        .map(|title| title.text().to_owned())
        .collect();
    let is_redacted = |column: usize| {
        let title = titles.get(column).map_or("", String::as_str);
        if USERS.contains(&title) {
            redaction.has(Class::Users)
        } else {
            redaction.has(Class::Commands) && !HARMLESS.contains(&title)
        }
    };
    let Json::Map(members) = answer else { return };
    let rows = members.iter_mut().filter(|(key, _)| key == "Processes");
    for (_, rows) in rows {
        let Json::List(rows) = rows else { continue };
        for row in rows {
            match row {
                Json::List(cells) => {
                    for (column, cell) in cells.iter_mut().enumerate() {
                        if is_redacted(column) {
                            each_text(cell, &|_| REDACTED.into());
                        }
                    }
                }
                row if is_redacted(usize::MAX) => each_text(row, &|_| REDACTED.into()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::redaction::shape::PROCESSES;

    #[test]
    fn columns_are_known_by_their_titles() {
        for (value, json, want) in [
            (
                "commands",
                r#"{"Titles":["UID","PID","CMD"],"Processes":[["root","1","sh -c x"]]}"#,
                r#"{"Titles":["UID","PID","CMD"],"Processes":[["root","1","redacted"]]}"#,
            ),
            (
                "users",
                r#"{"Processes":[["root","1","sh"]],"Titles":["USER","PID","COMMAND"]}"#,
                r#"{"Processes":[["redacted","1","sh"]],"Titles":["USER","PID","COMMAND"]}"#,
            ),
            // More cells than titles, and titles that are not known.
            (
                "commands",
                r#"{"Titles":["PID","EXTRA"],"Processes":[["1","a","b"],"c"]}"#,
                r#"{"Titles":["PID","EXTRA"],"Processes":[["1","redacted","redacted"],"redacted"]}"#,
            ),
            (
                "commands",
                r#"{"Processes":[["1"]]}"#,
                r#"{"Processes":[["redacted"]]}"#,
            ),
        ] {
            let redaction = Redaction::read([value]).expect("a value");
            let mut answer = Json::read(json.as_bytes()).expect("JSON");
            redact_rows(&redaction, &PROCESSES, &mut answer);
            assert_eq!(answer.to_string(), want);
        }
    }
}
