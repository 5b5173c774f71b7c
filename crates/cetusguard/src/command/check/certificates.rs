//! The warnings about certificates that expire.

use std::time::{Duration, SystemTime};

use super::problem::{Problem, Severity};
use cetusguard_proxy::ShownCertificate;

/// The time before the end of a certificate at which it is reported: an operator who learns of it
/// later has no time to act.
pub(in crate::command) const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Warns of certificates that have expired, or expire soon.
pub(super) fn problems(shown: &[ShownCertificate], now: SystemTime) -> Vec<Problem> {
    let late = shown.iter().filter(|one| one.expires < now + SOON);
    let warn = |one: &ShownCertificate| {
        let verb = match one.expires <= now {
            true => "has expired",
            false => "expires soon",
        };
        Problem {
            severity: Severity::Warning,
            code: "certificate-expiry",
            profile: None,
            what: format!(
                "the certificate of {} {verb}: it is valid until {}",
                one.listener,
                humantime::format_rfc3339_seconds(one.expires)
            ),
            fix: "renew it, and replace the file: the proxy takes the new one without a restart"
                .to_owned(),
        }
    };
    late.map(warn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_reported_before_it_expires() {
        let at = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(day * 24 * 3600);
        let shown = [ShownCertificate {
            listener: "the frontend tcp://:2376".to_owned(),
            expires: at(100),
        }];
        for (day, want) in [
            (80, ""),
            (
                90,
                "the certificate of the frontend tcp://:2376 expires soon: it is valid until 1970-04-11T00:00:00Z",
            ),
            (
                100,
                "the certificate of the frontend tcp://:2376 has expired: it is valid until 1970-04-11T00:00:00Z",
            ),
        ] {
            let found = problems(&shown, at(day));
            let found = found.first().map_or("", |problem| &problem.what);
            assert_eq!(found, want, "day {day}");
        }
    }
}
