//! Tables in Markdown, and what stands above them: when, where, with what.

use std::fmt::{self, Display};
use std::process::Command;

use crate::contender::first_line;

/// One column a contender, one row a measure.
#[derive(Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// An empty table with these columns behind the one of the measures' names.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = String>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a measure.
    pub fn row(&mut self, measure: impl Into<String>, cells: Vec<String>) {
        self.rows.push((measure.into(), cells));
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | {} |", self.columns.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(self.columns.len()))?;
        self.rows
            .iter()
            .try_for_each(|(measure, cells)| writeln!(f, "| {measure} | {} |", cells.join(" | ")))
    }
}

/// Values of one measure from runs that took turns.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle one; not a number where there are none.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The median, with the smallest and the largest.
    #[must_use]
    pub fn absolute(&self) -> String {
        self.relative_to(1.0)
    }

    /// The same as parts of a base.
    #[must_use]
    pub fn relative_to(&self, base: f64) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(low), Some(high)) => {
                format!(
                    "{} [{}–{}]",
                    short(self.median() / base),
                    short(low / base),
                    short(high / base)
                )
            }
            _ => "–".to_owned(),
        }
    }
}

/// Three figures.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        high if high >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A number where there is one.
#[must_use]
pub fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), short)
}

/// The machine, the day and the tools of a run.
#[must_use]
pub fn conditions() -> String {
    let ask = |program: &str, args: &[&str]| {
        first_line(Command::new(program).args(args)).unwrap_or_default()
    };
    format!(
        "{}; {} cores of {}, {} of memory; Linux {}; {}; commit {}",
        ask("date", &["-u", "+%F"]),
        ask("nproc", &[]),
        ask(
            "sh",
            &["-c", "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"]
        ),
        ask(
            "sh",
            &[
                "-c",
                "awk '/MemTotal/ {printf \"%.0f GiB\", $2 / 1048576}' /proc/meminfo"
            ]
        ),
        ask("uname", &["-r"]),
        ask("rustc", &["-V"]),
        ask(
            "git",
            &["describe", "--always", "--dirty", "--exclude", "*"]
        ),
    )
}
