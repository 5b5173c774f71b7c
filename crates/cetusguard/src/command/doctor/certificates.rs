//! Checks that the certificates of the configuration are valid now, and reports for how long.

use std::time::SystemTime;

use cetusguard_config::read_text;
use cetusguard_config::written::Written;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_cert::der::Decode;

use super::Diagnosis;
use crate::command::check::SOON;

/// Looks into every file that holds certificates.
pub(super) fn examine(written: &Written) -> Vec<Diagnosis> {
    let mut findings = Vec::new();
    for path in written.files() {
        let path = path.display().to_string();
        let Ok(text) = read_text(&path) else { continue };
        if text.contains("-----BEGIN CERTIFICATE-----") {
            findings.extend(
                CertificateDer::pem_slice_iter(text.as_bytes())
                    .flatten()
                    .filter_map(|der| examine_certificate(&path, &der)),
            );
        }
    }
    findings
}

fn examine_certificate(path: &str, der: &CertificateDer<'_>) -> Option<Diagnosis> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let (from, until) = (
        validity.not_before.to_system_time(),
        validity.not_after.to_system_time(),
    );
    Some(judge_validity(path, from, until, SystemTime::now()))
}

fn judge_validity(path: &str, from: SystemTime, until: SystemTime, now: SystemTime) -> Diagnosis {
    const ABOUT: &str = "certificate";
    let day = |time| humantime::format_rfc3339_seconds(time).to_string();
    if now < from {
        return Diagnosis::bad(
            ABOUT,
            format!(
                "{path} is valid from {} on, and it is {}",
                day(from),
                day(now)
            ),
            "set the clock, or wait",
        );
    }
    match until.duration_since(now) {
        Err(_) => Diagnosis::bad(
            ABOUT,
            format!("{path} was valid until {}", day(until)),
            "renew it",
        ),
        Ok(left) if left < SOON => Diagnosis::warning(
            ABOUT,
            format!("{path} is valid until {}", day(until)),
            "renew it soon",
        ),
        Ok(_) => Diagnosis::good(ABOUT, format!("{path} is valid until {}", day(until))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::DiagnosisState;
    use super::*;

    #[test]
    fn certificates_are_judged_by_the_clock() {
        let at = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(day * 24 * 3600);
        for (now, want) in [
            (9, DiagnosisState::Bad),
            (11, DiagnosisState::Good),
            (90, DiagnosisState::Warning),
            (101, DiagnosisState::Bad),
        ] {
            assert_eq!(
                judge_validity("x.pem", at(10), at(100), at(now)).state,
                want,
                "day {now}"
            );
        }
    }
}
