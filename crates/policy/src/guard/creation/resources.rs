//! Limits of memory, processors and processes, at create and at update.

use std::fmt;

use super::fields::{ResourceFields, Swap};
use super::{Creation, find};
use crate::guard::json::Json;
use crate::guard::{Judge, Step};
use crate::request::call::Version;

/// The unit of an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, written with `KiB`, `MiB`, `GiB`, or the letters that the Docker CLI takes.
    Bytes,
    /// Processors, in billionths.
    Cpus,
    /// Processes.
    Count,
}

/// An amount, with the text that was written for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    value: u64,
    /// The value as digits.
    digits: String,
    /// Of processors, the quota of [`Amount::PERIOD`], as digits.
    quota: String,
    text: String,
}

impl Amount {
    /// Reads an amount larger than zero.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str, unit: Unit) -> Result<Self, String> {
        let value = match unit {
            Unit::Bytes => bytes(text),
            Unit::Cpus => billionths(text),
            Unit::Count => text.parse().ok(),
        };
        let expected = match unit {
            Unit::Bytes => "expected a size, as in 512MiB or 2GiB",
            Unit::Cpus => "expected a number of processors, as in 2 or 0.5",
            Unit::Count => "expected a number, as in 200",
        };
        // Engines read signed numbers of 64 bits, and some double them.
        let value = value.filter(|value| (1..=i64::MAX as u64 / 2).contains(value));
        value
            .map(|value| Self {
                value,
                digits: value.to_string(),
                // The kernel takes no quota below a millisecond.
                quota: (value / 10_000).max(1_000).to_string(),
                text: text.to_owned(),
            })
            .ok_or_else(|| expected.to_owned())
    }

    /// Returns the value in the smallest unit.
    pub(super) fn value(&self) -> u64 {
        self.value
    }

    /// Returns the value as digits, in the smallest unit.
    pub(super) fn digits(&self) -> &str {
        &self.digits
    }

    /// The period of a quota that is set for a client, in microseconds.
    pub(super) const PERIOD: &'static str = "100000";

    /// Returns the quota of a period that is this number of processors, as digits.
    pub(super) fn quota(&self) -> &str {
        &self.quota
    }

    /// Returns whether this amount is larger than another.
    #[must_use]
    pub fn exceeds(&self, other: &Self) -> bool {
        self.value > other.value
    }

    /// Returns whether twice this amount is larger than another.
    #[must_use]
    pub fn twice_exceeds(&self, other: &Self) -> bool {
        self.value.saturating_mul(2) > other.value
    }

    fn covers(&self, value: i64) -> bool {
        u64::try_from(value).is_ok_and(|value| (1..=self.value).contains(&value))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn bytes(text: &str) -> Option<u64> {
    let units = [
        ("KiB", 10),
        ("MiB", 20),
        ("GiB", 30),
        ("k", 10),
        ("m", 20),
        ("g", 30),
    ];
    let (number, shift) = units
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((text, 0));
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn billionths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_part = (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !is_part {
        return None;
    }
    let part: u64 = format!("{part:0<9}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(part)
}

/// Whether the call creates a container or changes one, which keeps what the call leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CreateOrUpdate {
    Create,
    Update,
}

/// Judges the limits of a new container.
pub(super) fn create(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    fields: &ResourceFields,
) {
    all(judge, creation, body, fields, CreateOrUpdate::Create);
}

/// Judges new limits of a container.
pub(super) fn update(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    fields: &ResourceFields,
) {
    all(judge, creation, body, fields, CreateOrUpdate::Update);
}

fn all(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    fields: &ResourceFields,
    when: CreateOrUpdate,
) {
    let zero = fields.zero_is_missing;
    if let Some(max) = &creation.max_memory {
        at_most(judge, body, fields.memory, ("max-memory", max), when, zero);
    }
    swap(judge, creation, body, fields, when);
    if let Some(max) = &creation.max_cpus {
        cpus(judge, body, fields, ("max-cpus", max), when);
    }
    // The proxy adds limits up, so that each container needs one. No single limit may exceed the sum.
    if let Some(sum) = &creation.quota.memory {
        at_most(
            judge,
            body,
            fields.memory,
            ("quota-memory", sum),
            when,
            zero,
        );
    }
    if let Some(sum) = &creation.quota.cpus {
        cpus(judge, body, fields, ("quota-cpus", sum), when);
    }
    let drops_pids = judge.is_service
        && judge
            .version
            .is_some_and(|version| version < Version::SERVICE_LIMITS);
    if drops_pids && (creation.max_pids.is_some() || creation.default_pids.is_some()) {
        judge.refuse(
            "max-pids and default-pids limit processes, and engines drop that limit from services \
            before API version 1.41; ask for /v1.41 or later"
                .to_owned(),
            None,
        );
    }
    if let Some(max) = &creation.max_pids {
        let is_unlimited_by_zero = when == CreateOrUpdate::Create;
        at_most(
            judge,
            body,
            fields.pids,
            ("max-pids", max),
            when,
            is_unlimited_by_zero,
        );
    }
}

/// Returns the number at a path; `None` if it is missing, or is a zero that counts as missing.
/// Engines read whole numbers: any other is refused.
fn number(
    judge: &mut Judge<'_>,
    body: &Json<'_>,
    path: &'static str,
    zero_is_missing: bool,
) -> Option<i64> {
    let Json::Number(digits) = find(body, path)? else {
        return None;
    };
    match digits.parse::<i64>() {
        Ok(0) if zero_is_missing => None,
        Ok(number) => Some(number),
        Err(_) => {
            judge.within(Step::Field(path), |judge| {
                judge.malformed("expected a whole number".to_owned())
            });
            None
        }
    }
}

/// Judges a limit that must be there, and be no larger than the maximum.
fn at_most(
    judge: &mut Judge<'_>,
    body: &Json<'_>,
    path: &'static str,
    (key, max): (&'static str, &Amount),
    when: CreateOrUpdate,
    zero_is_missing: bool,
) {
    let what = match number(judge, body, path, zero_is_missing) {
        None if when == CreateOrUpdate::Update => return,
        Some(value) if max.covers(value) => return,
        None => "has no limit".to_owned(),
        Some(value) if value <= 0 => format!("{value} is no limit"),
        Some(value) => format!("{value} is too large"),
    };
    judge.unmet_at(path, key, what, wanted(max));
}

/// Returns the demand of a maximum.
fn wanted(max: &Amount) -> String {
    match max.digits == max.text {
        true => format!("asks for a limit of at most {max}"),
        false => format!("asks for a limit of at most {max} ({})", max.digits),
    }
}

/// Judges the limit of swap. Without `max-memory-swap`, `max-memory` allows as much swap as memory,
/// which is what Docker gives a container that asks for none.
fn swap(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    fields: &ResourceFields,
    when: CreateOrUpdate,
) {
    let (key, largest) = match (&creation.max_memory_swap, &creation.max_memory) {
        (Some(max), _) => ("max-memory-swap", max.value),
        (None, Some(max)) => ("max-memory", 2 * max.value),
        (None, None) => return,
    };
    let must_be_known = creation.max_memory_swap.is_some() && when == CreateOrUpdate::Create;
    let demand = format!("asks for at most {largest} bytes of memory and swap together");
    let memory = number(judge, body, fields.memory, true).filter(|memory| *memory > 0);
    // A service without swap says so by a zero.
    let zero_is_missing = fields.zero_is_missing && fields.swap_is != Swap::Beside;
    let total = match (
        number(judge, body, fields.swap, zero_is_missing),
        fields.swap_is,
        memory,
    ) {
        (Some(swap), Swap::Beside, Some(memory)) if swap >= 0 => memory.checked_add(swap),
        (Some(swap), Swap::Beside, _) => Some(swap),
        (Some(total), Swap::TotalOrDouble | Swap::Total, _) => Some(total),
        (None, Swap::TotalOrDouble | Swap::Beside, Some(memory)) if must_be_known => {
            memory.checked_mul(2)
        }
        (None, _, _) if must_be_known => None,
        (None, _, _) => return,
    };
    let is_covered = total.is_some_and(|total| {
        u64::try_from(total).is_ok_and(|total| (1..=largest).contains(&total))
    });
    if !is_covered {
        let what = match total {
            Some(total) if total > 0 => format!("allows {total} bytes of memory and swap"),
            Some(total) => format!("{total} is no limit"),
            None => "memory and swap have no limit".to_owned(),
        };
        judge.unmet_at(fields.swap, key, what, demand);
    }
}

/// The period of a quota that is given without one, in microseconds (moby and the kernel alike).
pub(super) const DEFAULT_PERIOD: i64 = 100_000;

/// Judges the limit of processors, which is one number, or a quota of a period.
fn cpus(
    judge: &mut Judge<'_>,
    body: &Json<'_>,
    fields: &ResourceFields,
    (key, max): (&'static str, &Amount),
    when: CreateOrUpdate,
) {
    let zero = fields.zero_is_missing;
    let nano = fields
        .nano_cpus
        .and_then(|path| number(judge, body, path, zero).map(|value| (path, value)));
    let [quota, period] = fields.quota.map_or([None, None], |paths| {
        paths.map(|path| number(judge, body, path, zero).map(|value| (path, value)))
    });
    match (nano, quota, period) {
        (None, None, None) if when == CreateOrUpdate::Update => {}
        (Some((_, value)), None, None) if max.covers(value) => {}
        (Some((path, value)), None, None) => {
            judge.unmet_at(
                path,
                key,
                format!("{value} billionths are too many"),
                wanted(max),
            );
        }
        (Some((path, _)), _, _) => {
            let what = "stands beside a quota or a period, and engines differ in which counts";
            judge.unmet_at(path, key, what, "asks for one of the two");
        }
        (None, Some((path, quota)), period) => {
            let is_whole = period.is_some() || when == CreateOrUpdate::Create;
            let period = period.map_or(DEFAULT_PERIOD, |(_, period)| period);
            if !is_whole {
                let what = "changes the quota and leaves the period, which is not known";
                judge.unmet_at(path, key, what, "asks for both");
            } else if !covers_share(max, quota, period) {
                let what = format!("{quota} of {period} microseconds are too many");
                judge.unmet_at(path, key, what, wanted(max));
            }
        }
        (None, None, Some((path, _))) if when == CreateOrUpdate::Update => {
            let what = "changes the period and leaves the quota, which is not known";
            judge.unmet_at(path, key, what, "asks for both");
        }
        (None, None, _) => {
            let path = fields.nano_cpus.or(fields.quota.map(|[quota, _]| quota));
            judge.unmet_at(path.unwrap_or_default(), key, "has no limit", wanted(max));
        }
    }
}

/// Returns the limits of memory, in bytes, and of processors, in billionths, that a judged body
/// sets; zero for a limit that it leaves out.
pub(super) fn asked(body: &Json<'_>, fields: &ResourceFields) -> (u64, u64) {
    let number = |path: &'static str| match find(body, path) {
        Some(Json::Number(digits)) => digits.parse::<u64>().ok().filter(|number| *number > 0),
        _ => None,
    };
    let share = || {
        let [quota, period] = fields.quota?;
        let period = number(period).unwrap_or(DEFAULT_PERIOD as u64);
        Some(share_of(number(quota)?, period))
    };
    let memory = number(fields.memory).unwrap_or_default();
    let cpus = fields.nano_cpus.and_then(number).or_else(share);
    (memory, cpus.unwrap_or_default())
}

/// Returns the billionths of a processor that a quota of a period is, rounded up.
#[must_use]
pub fn share_of(quota: u64, period: u64) -> u64 {
    let share = (u128::from(quota) * 1_000_000_000).div_ceil(u128::from(period.max(1)));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Returns whether a quota of a period is at most as many billionths of a processor.
fn covers_share(max: &Amount, quota: i64, period: i64) -> bool {
    quota > 0
        && period > 0
        && i128::from(quota) * 1_000_000_000 <= i128::from(max.value) * i128::from(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_unit() {
        for (text, unit, want) in [
            ("512MiB", Unit::Bytes, Some("536870912")),
            ("512m", Unit::Bytes, Some("536870912")),
            ("2g", Unit::Bytes, Some("2147483648")),
            ("1024", Unit::Bytes, Some("1024")),
            ("0", Unit::Bytes, None),
            ("-1", Unit::Bytes, None),
            ("1.5GiB", Unit::Bytes, None),
            ("MiB", Unit::Bytes, None),
            ("18446744073709551615", Unit::Bytes, None),
            ("99999999999GiB", Unit::Bytes, None),
            ("2", Unit::Cpus, Some("2000000000")),
            ("0.5", Unit::Cpus, Some("500000000")),
            ("1.25", Unit::Cpus, Some("1250000000")),
            ("0.000000001", Unit::Cpus, Some("1")),
            ("0", Unit::Cpus, None),
            ("0.0000000001", Unit::Cpus, None),
            ("1.", Unit::Cpus, None),
            (".5", Unit::Cpus, None),
            ("1e3", Unit::Cpus, None),
            ("200", Unit::Count, Some("200")),
            ("0", Unit::Count, None),
            ("some", Unit::Count, None),
        ] {
            let read = Amount::read(text, unit).ok();
            assert_eq!(read.as_ref().map(Amount::digits), want, "{text}");
        }
    }
}
