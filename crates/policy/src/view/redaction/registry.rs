//! Registries in the settings of an engine.

use std::borrow::Cow;

use super::replace::redact_address;
use crate::guard::Json;

/// The public registry, which every engine knows.
const PUBLIC: &str = "docker.io";
const PUBLIC_ADDRESS: &str = "https://index.docker.io/v1/";
/// The reserved name (RFC 2606) in the place of a registry.
const NAME: &str = "redacted.invalid";

/// Returns the text in the place of a registry: a host, an address, or a network.
pub(super) fn redact_registry(text: &str) -> Cow<'static, str> {
    match text.split_once("://") {
        _ if text == PUBLIC || text == PUBLIC_ADDRESS => text.to_owned().into(),
        Some((_, rest)) => {
            let slash = if rest.ends_with('/') { "/" } else { "" };
            format!("https://{NAME}{slash}").into()
        }
        None => match redact_address(text) {
            network if network.ends_with("/0") => network,
            _ => NAME.into(),
        },
    }
}

/// Renames the registries of an object whose keys are registries, and redacts the values of these
/// keys.
pub(super) fn redact_keys(value: &mut Json<'_>) {
    let Json::Map(map) = value else {
        return super::replace::each_text(value, &redact_registry);
    };
    for (index, (key, value)) in map.iter_mut().enumerate() {
        // Podman's list of registries for short names stands among them.
        if key != PUBLIC && key != "search" {
            *key = format!("registry-{index}.invalid").into();
        }
        super::replace::each_text(value, &redact_registry);
    }
}
