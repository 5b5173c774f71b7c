//! Builds: their parameters. The context is not inspected; a build's steps run as containers do.

use super::form::{Form, judged as judged_field, walk};
use super::json::Json;
use super::network;
use super::query::{Pairs, Parameter, judged, many, many_judged, plain};
use super::visibility::Overwriting;
use super::{Judge, Step};
use crate::request::call::Call;

/// Of `POST /build` (moby `build_routes.go` `newImageBuildOptions`, those too that its
/// documentation leaves out). Podman's own, of which many are the host's, are none of them.
pub(super) const PARAMETERS: &[Parameter] = &[
    many_judged("t", |judge, tag| judge.claim_image(tag)),
    judged("dockerfile", dockerfile),
    plain("target"),
    plain("platform"),
    judged("labels", super::stamp::labels),
    plain("squash"),
    judged("pull", |judge, value| {
        if super::image::is_on(value) {
            judge.claim_pulled_by_build();
        }
    }),
    plain("nocache"),
    plain("rm"),
    plain("forcerm"),
    plain("q"),
    plain("memory"),
    plain("memswap"),
    plain("cpushares"),
    plain("cpuquota"),
    plain("cpuperiod"),
    plain("cpusetcpus"),
    plain("cpusetmems"),
    plain("shmsize"),
    plain("ulimits"),
    plain("version"),
    plain("session"),
    plain("buildid"),
    plain("cachefrom"),
    many("extrahosts"),
    judged("buildargs", arguments),
    judged("outputs", outputs),
    judged("remote", remote),
    judged("networkmode", network::mode),
    judged("cgroupparent", |judge, value| {
        if !value.is_empty() {
            judge.unless_allowed("cgroup-parent", value, || {
                "names a cgroup of the host".to_owned()
            });
        }
    }),
    many_judged("securityopt", security),
    judged("isolation", |judge, value| {
        if !matches!(value, "" | "default") {
            judge.refuse("is for Windows".to_owned(), None);
        }
    }),
];

impl Judge<'_> {
    /// Judges a build on Podman, whose Dockerfiles reach the host: a step takes files from archives,
    /// folders and stores of the host by a transport before the name of an image (containers/image
    /// `transports`), and mounts folders of the host as a cache, by links or `..` in versions before
    /// 5 (CVE-2024-1753, CVE-2024-9675).
    pub(super) fn builds_on_podman(&mut self) {
        self.unless_allowed("podman-build", "", || {
            "a Dockerfile can read files of the host on Podman, and write them before version 5"
                .to_owned()
        });
    }
}

/// Judges a file of the context. Podman takes absolute paths for the host's, and also lists, URLs
/// and escapes.
fn dockerfile(judge: &mut Judge<'_>, path: &str) {
    let is_plain = path
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+' | '@' | ' '));
    if !is_plain
        || path.starts_with(['/', ' '])
        || path.contains("//")
        || path.split('/').any(|part| part == "..")
    {
        judge.refuse(
            "a Dockerfile must stand in the context: a plain relative path without ..".to_owned(),
            None,
        );
    }
}

/// Judges the context. The engine fetches it from a URL; `client-session` is BuildKit's, over the
/// client's session.
fn remote(judge: &mut Judge<'_>, remote: &str) {
    if !matches!(remote, "" | "client-session") {
        judge.unless_allowed("build-remote", remote, || {
            "has the engine fetch a build context".to_owned()
        });
    }
}

fn security(judge: &mut Judge<'_>, option: &str) {
    if !option.is_empty() {
        judge.unless_allowed("security-opt", option, || {
            "weakens what keeps the build in".to_owned()
        });
    }
}

/// Judges a frontend: an image that BuildKit runs in place of the Dockerfile.
fn arguments(judge: &mut Judge<'_>, text: &str) {
    let Some(arguments) = json(judge, text) else {
        return;
    };
    for (name, value) in arguments.map() {
        if name.eq_ignore_ascii_case("BUILDKIT_SYNTAX") {
            judge.within(Step::Key(name), |judge| {
                judge.unless_allowed("build-frontend", value.text(), || {
                    "runs an image in the Dockerfile's place".to_owned()
                });
            });
        }
    }
}

/// Judges the outputs. Results stay with the engine or go to the client; a push would go elsewhere.
fn outputs(judge: &mut Judge<'_>, text: &str) {
    static OUTPUTS: Form = Form::List(&Form::Struct(&[
        judged_field("Type", Form::Text, |judge, value| {
            if !matches!(
                value.text(),
                "" | "moby" | "docker" | "oci" | "local" | "tar" | "cacheonly"
            ) {
                judge.refuse("sends what is built to a registry".to_owned(), None);
            }
        }),
        judged_field("Attrs", Form::Map(&Form::Text), |judge, value| {
            for (_, names) in value.map().iter().filter(|(name, _)| *name == "name") {
                judge.each(names.text().split(','), |judge, name| {
                    judge.claim_image(name);
                    if !name.is_empty() {
                        judge.look_up_name(name.to_owned(), Overwriting::Name);
                    }
                });
            }
            // BuildKit takes the rest for metadata: this is the configuration of the image, with its
            // labels (moby `builder-next/exporter`).
            if value
                .map()
                .iter()
                .any(|(name, _)| name.starts_with("containerimage."))
            {
                judge.refuse("replaces the configuration of the image".to_owned(), None);
            }
            if value.map().iter().any(|(name, _)| name.starts_with("push")) {
                judge.refuse("sends what is built to a registry".to_owned(), None);
            }
        }),
    ]));
    if let Some(mut outputs) = json(judge, text) {
        walk(judge, &mut outputs, &OUTPUTS);
    }
}

/// Reads a parameter that is JSON or empty.
fn json<'t>(judge: &mut Judge<'_>, text: &'t str) -> Option<Json<'t>> {
    if text.is_empty() {
        return None;
    }
    match Json::read(text.as_bytes()) {
        Ok(json) => Some(json),
        Err(malformed) => {
            judge.malformed(malformed.to_string());
            None
        }
    }
}

/// Judges the clients that the steps of a build would be: they run as containers with the labels of
/// the Dockerfile, which is not inspected, on the network that the query names.
pub(super) fn steps(judge: &mut Judge<'_>, _: &Call, pairs: &Pairs) {
    let network = pairs
        .iter()
        .find(|(name, _)| name == "networkmode")
        .map(|(_, mode)| mode.as_str());
    // In the network of another container, a step has that container's rights. Its own labels do
    // not matter.
    if network.is_some_and(|mode| mode == "none" || mode.starts_with("container:")) {
        return;
    }
    judge.within(Step::Parameter("networkmode"), |judge| {
        if network.is_none() {
            network::joins(judge, "");
        }
        let known: Vec<&str> = judge.surroundings.known_by_labels().collect();
        for profile in known {
            judge.unless_allowed("profile", profile, || {
                format!(
                    "by the labels of its Dockerfile, a step would have the rights of the \
                    profile {profile}; networkmode=none gives it no network"
                )
            });
        }
    });
}

/// Judges a build as a whole: its images cannot be seen, and its commands run as root with the
/// default capabilities.
pub(super) fn whole(judge: &mut Judge<'_>, nothing: &Json<'_>) {
    super::image::unseen(judge, nothing);
    if judge.is_restricted() {
        judge.unless_allowed("build", "", || {
            "the level restricted lets no build pass: its commands run as root, with the default \
            capabilities"
                .to_owned()
        });
    }
}
