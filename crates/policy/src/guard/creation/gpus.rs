//! GPUs: their number and their driver. The guard's exception `gpus` allows them at all.

use super::fields::Api;
use super::{Creation, allows_patterns, find};
use crate::guard::json::Json;
use crate::guard::{Judge, Step};

/// A request for devices.
struct GpuRequest<'j> {
    /// The number of devices; `None` for all of them, or for a number that is not known.
    count: Option<u64>,
    driver: &'j str,
}

/// Judges the devices that a container or a service asks for.
pub(super) fn requested(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>, api: Api) {
    if creation.max_gpus.is_none() && creation.gpu_drivers.is_none() {
        return;
    }
    let (path, read): (_, for<'j> fn(&'j Json<'_>) -> GpuRequest<'j>) = match api {
        Api::Docker => ("HostConfig.DeviceRequests", of_docker),
        Api::Libpod => ("gpus", of_podman),
        Api::Service => (
            "TaskTemplate.Resources.Reservations.GenericResources",
            of_service,
        ),
    };
    let requests: Vec<_> = find(body, path)
        .map(Json::list)
        .unwrap_or_default()
        .iter()
        .map(read)
        .collect();
    if requests.is_empty() {
        return;
    }
    if let Some(max) = creation.max_gpus {
        let total = requests
            .iter()
            .try_fold(0_u64, |total, one| total.checked_add(one.count?));
        if total.is_none_or(|total| total > max) {
            let what = match total {
                Some(total) => format!("asks for {total} devices"),
                None => "asks for all devices, or for an unknown number".to_owned(),
            };
            judge.unmet_at(path, "max-gpus", what, format!("asks for at most {max}"));
        }
    }
    if let Some(allowed) = &creation.gpu_drivers {
        for (index, request) in requests.iter().enumerate() {
            let driver = request.driver;
            if driver.is_empty() || !allowed.iter().any(|pattern| pattern.fits(driver)) {
                let what = match driver {
                    "" => {
                        "names no driver, as in docker run --gpus driver=nvidia,count=1".to_owned()
                    }
                    driver => format!(
                        "the driver {:?} is not allowed",
                        crate::guard::shortened(driver)
                    ),
                };
                judge.within(Step::Field(path), |judge| {
                    judge.within(Step::Index(index), |judge| {
                        judge.unmet("allow-gpu-drivers", what, allows_patterns(allowed))
                    });
                });
            }
        }
    }
}

/// Returns the number of devices that identifiers name; `None` if one of them may name several.
fn count_ids<'j>(ids: impl Iterator<Item = &'j str>) -> Option<u64> {
    // Docker joins the identifiers with commas, and drivers take the word all among them.
    ids.flat_map(|id| id.split(',')).try_fold(0, |count, id| {
        let device = id.rsplit(['=', ':']).next().unwrap_or_default().trim();
        let is_one = !device.is_empty() && !device.eq_ignore_ascii_case("all");
        is_one.then_some(count + 1)
    })
}

fn of_docker<'j>(request: &'j Json<'_>) -> GpuRequest<'j> {
    let ids = request.get("DeviceIDs").map(Json::list).unwrap_or_default();
    let count = match request.get("Count") {
        Some(Json::Number(digits)) => digits.parse::<u64>().ok(),
        _ => Some(0),
    };
    let named = count_ids(ids.iter().map(Json::text));
    GpuRequest {
        count: count.zip(named).map(|(count, named)| count.max(named)),
        driver: request.get("Driver").map(Json::text).unwrap_or_default(),
    }
}

/// Podman finds GPUs by the names of their devices (CDI).
fn of_podman<'j>(name: &'j Json<'_>) -> GpuRequest<'j> {
    GpuRequest {
        count: count_ids(std::iter::once(name.text())),
        driver: "cdi",
    }
}

fn of_service<'j>(resource: &'j Json<'_>) -> GpuRequest<'j> {
    let mut counts = resource
        .map()
        .iter()
        .map(|(_, spec)| match spec.get("Value") {
            Some(Json::Number(digits)) => digits.parse::<u64>().ok(),
            _ => Some(1),
        });
    let count = counts.try_fold(0_u64, |total, count| total.checked_add(count?));
    let kind = resource
        .map()
        .iter()
        .find_map(|(_, spec)| spec.get("Kind"))
        .map(Json::text);
    GpuRequest {
        count,
        driver: kind.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_counted() {
        for (text, want) in [
            (r#"{"Count":2}"#, Some(2)),
            (r#"{"Count":-1}"#, None),
            (r#"{"DeviceIDs":["0","1"]}"#, Some(2)),
            (r#"{"DeviceIDs":["0,1,2"]}"#, Some(3)),
            (r#"{"DeviceIDs":["all"]}"#, None),
            (r#"{"DeviceIDs":["0,All"]}"#, None),
            (
                r#"{"Driver":"cdi","DeviceIDs":["nvidia.com/gpu=all"]}"#,
                None,
            ),
            (
                r#"{"Driver":"cdi","DeviceIDs":["nvidia.com/gpu=0"]}"#,
                Some(1),
            ),
            (r#"{"Count":1,"DeviceIDs":["0","1","2"]}"#, Some(3)),
            (r#"{"Count":1.5}"#, None),
        ] {
            let request = Json::read(text.as_bytes()).expect(text);
            assert_eq!(of_docker(&request).count, want, "{text}");
        }
    }
}
