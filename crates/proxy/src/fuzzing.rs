//! Access for fuzz targets to private parts of the server. Fuzz builds alone have it:
//! `cfg(fuzzing)`.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use cetusguard_config::file::ConfigFile;
use cetusguard_config::written::Written;
use cetusguard_config::{Mistake, grammar, setting};
use cetusguard_http1::{cut_head, parse_request_head, parse_response_head};
use clap::ArgMatches;

use crate::config::Config;
use crate::flow::fuzzing::{forwarded_request, forwarded_response};
use crate::telemetry::log::{Format, Level, Line, LineForm};

/// Writes the head of the engine's request for a client's, and the judged body behind it; `None`
/// where that is refused.
#[must_use]
pub fn forward_request(bytes: &[u8], via: &str, judged: Option<&[u8]>) -> Option<Vec<u8>> {
    let raw = whole_head(bytes, true)?;
    forwarded_request(parse_request_head(raw).ok()?, via, judged)
}

/// Writes the head of the client's answer for the engine's; `None` where that is not passed on.
#[must_use]
pub fn forward_response(bytes: &[u8], to_head: bool, close: bool) -> Option<Vec<u8>> {
    let raw = whole_head(bytes, false)?;
    forwarded_response(&parse_response_head(raw).ok()?, to_head, close)
}

/// Cuts off the head at the front of bytes.
fn whole_head(bytes: &[u8], request: bool) -> Option<Bytes> {
    cut_head(&mut BytesMut::from(bytes), &mut 0, request).ok()?
}

/// A fault of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationMistake {
    /// The line of the file, where the mistake is at one place.
    pub line: Option<usize>,
    /// The message for the user.
    pub message: String,
}

static NO_FLAGS: LazyLock<ArgMatches> =
    LazyLock::new(|| grammar().get_matches_from(["cetusguard"]));

/// Reads a configuration file of this text, and its meaning unless other files or the network would
/// have to be asked: returns the mistakes of the file itself, and those of its meaning.
#[must_use]
pub fn read_configuration(text: &str) -> [Vec<ConfigurationMistake>; 2] {
    let mut in_file = Vec::new();
    let file = ConfigFile::read("fuzz", text, &mut in_file);
    let mut mistakes = Vec::new();
    let written = Written::beside(Some(file), &NO_FLAGS, &HashMap::new(), &mut mistakes);
    let asks_network = written
        .all(setting!("backend-addr"))
        .iter()
        .any(|(address, _)| address.starts_with("tcp"));
    if written.files().is_empty() && !asks_network {
        mistakes = Config::mean(&written, mistakes)
            .err()
            .map(|all| all.0)
            .unwrap_or_default();
    }
    [in_file, mistakes].map(|mistakes| mistakes.iter().map(told).collect())
}

fn told(mistake: &Mistake) -> ConfigurationMistake {
    let place = match mistake {
        Mistake::Option { .. } => None,
        Mistake::File { spot, .. } => Some(spot.place()),
        Mistake::Rule(wrong) => Some(wrong.in_one_line()),
    };
    let line = place.and_then(|place| place.strip_prefix("fuzz:")?.split(':').next()?.parse().ok());
    ConfigurationMistake {
        line,
        message: mistake.to_string(),
    }
}

/// Writes a record as the log does, as JSON or as logfmt.
#[must_use]
pub fn write_log(json: bool, message: &str, fields: &[(&str, &str)]) -> String {
    let format = if json { Format::Json } else { Format::Logfmt };
    let line = Line::new(&LineForm::new(format, "host"), Level::Info, message);
    fields
        .iter()
        .fold(line, |line, (key, value)| line.text(key, value))
        .finish()
}
