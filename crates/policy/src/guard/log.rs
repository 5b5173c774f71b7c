//! Log drivers: the destinations of a container's output.

use super::{Judge, Step};

use super::json::Json;

/// Drivers that keep the output on the host.
pub(super) fn driver(judge: &mut Judge<'_>, value: &Json<'_>) {
    let driver = value.text();
    if !matches!(
        driver,
        "" | "json-file" | "local" | "none" | "journald" | "k8s-file"
    ) {
        judge.unless_allowed("log-driver", driver, || {
            format!(
                "the log driver {:?} is not known to keep what is logged on the host and in its \
                own files",
                super::shortened(driver)
            )
        });
    }
}

/// Judges a driver with its options. An engine's own default may send the output elsewhere, and
/// Podman takes the file to write to, and another driver, from the options: only harmless options
/// pass, and others only with a driver that an exception names.
pub(super) fn config(
    judge: &mut Judge<'_>,
    value: &Json<'_>,
    key: &'static str,
    options: &'static str,
) {
    let nothing = Json::Null;
    let name = value.get(key).unwrap_or(&nothing);
    judge.within(Step::Field(key), |judge| driver(judge, name));
    let is_allowed = !name.text().is_empty() && judge.allows("log-driver", name.text());
    judge.within(Step::Field(options), |judge| {
        for (option, _) in value.get(options).map(Json::map).unwrap_or_default() {
            let is_harmless = matches!(
                option.as_ref(),
                "max-size"
                    | "max-file"
                    | "compress"
                    | "labels"
                    | "labels-regex"
                    | "env"
                    | "env-regex"
                    | "tag"
                    | "mode"
                    | "max-buffer-size"
            );
            let is_podmans =
                option.eq_ignore_ascii_case("path") || option.eq_ignore_ascii_case("driver");
            if is_podmans || !(is_harmless || is_allowed) {
                judge.within(Step::Key(option), |judge| {
                    let advice = if is_podmans {
                        ""
                    } else {
                        "; name the log driver, and allow that with guard-allow log-driver=NAME"
                    };
                    judge.refuse(format!("may say where what is logged goes{advice}"), None);
                });
            }
        }
    });
}
