//! Checks whether the engine can be used, and its clock.

use std::time::{Duration, SystemTime};

use cetusguard_config::address::Address;
use cetusguard_policy::guard::Json;

use super::Diagnosis;
use cetusguard_proxy::Backend;
use cetusguard_proxy::Config;
use cetusguard_proxy::{EngineVersion, ObjectAnswer, PROBE_PATIENCE, fetch, probe_engine};

const ABOUT: &str = "engine";

/// Clocks that differ by more disagree about certificates sooner or later.
const CLOCK_LIMIT: Duration = Duration::from_secs(60);

/// Asks the engine for its version, and for its time.
pub(super) fn examine(config: &Config) -> Vec<Diagnosis> {
    let backend = Backend::new(
        config.backend.clone(),
        config.backend_tls.clone(),
        config.limits.connect,
    );
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return vec![Diagnosis::bad(
                ABOUT,
                format!("cannot be asked: {error}"),
                "raise the limits of this process",
            )];
        }
    };
    let limit = config.limits.answer.min(PROBE_PATIENCE);
    let probe = probe_engine("cetusguard doctor", &backend, limit);
    let mut findings = match runtime.block_on(probe) {
        Ok(version) => vec![describe(&version, &config.backend)],
        Err(unusable) => return vec![Diagnosis::bad(ABOUT, unusable.problem, unusable.fix)],
    };
    if let Ok(ObjectAnswer::Answer(info)) =
        runtime.block_on(async { fetch(&backend, "/info", limit).await })
    {
        findings.extend(compare_clocks(&info));
    }
    findings
}

fn describe(version: &EngineVersion, address: &Address) -> Diagnosis {
    let EngineVersion {
        name,
        newest,
        oldest,
    } = version;
    let range = match oldest.is_empty() {
        true => format!("up to {newest}"),
        false => format!("{oldest} to {newest}"),
    };
    Diagnosis::good(
        ABOUT,
        format!("version {name} answers at {address}, API {range}"),
    )
}

/// Returns the engine's time, if the engine gives it in UTC.
fn compare_clocks(info: &[u8]) -> Option<Diagnosis> {
    let info = Json::read(info).ok()?;
    let time = humantime::parse_rfc3339(info.get("SystemTime")?.text()).ok()?;
    let now = SystemTime::now();
    let apart = now
        .duration_since(time)
        .or_else(|_| time.duration_since(now))
        .ok()?;
    let seconds = apart.as_secs();
    Some(match apart > CLOCK_LIMIT {
        true => Diagnosis::warning(
            "clock",
            format!("the engine's differs by {seconds} s"),
            "let both set their clocks by NTP: certificates are valid by the clock",
        ),
        false => Diagnosis::good("clock", "agrees with the engine's"),
    })
}
