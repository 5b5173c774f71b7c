//! The example with three tiers of trust allows what its comments say, and nothing that they rule
//! out.

use cetusguard_testkit::ProxyBuilder;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const CONFIG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/tiers/config/cetusguard.yaml"
);

/// A sentence of the example about a tier, whether it grants its calls, and these calls.
type Claim = (&'static str, bool, &'static [&'static str]);

const MANAGES: Claim = (
    "Manages containers: lists, inspects, creates, starts, stops, restarts, kills, pauses, renames, \
    updates and prunes them, reads their logs, attaches to them, and runs commands in them.",
    true,
    &[
        "GET /containers/json",
        "GET /containers/web/json",
        "POST /containers/create",
        "POST /containers/web/start",
        "POST /containers/web/stop",
        "POST /containers/web/restart",
        "POST /containers/web/kill",
        "POST /containers/web/pause",
        "POST /containers/web/unpause",
        "POST /containers/web/rename?name=x",
        "POST /containers/web/update",
        "POST /containers/prune",
        "GET /containers/web/logs?stdout=1",
        "POST /containers/web/attach",
        "POST /containers/web/exec",
        "POST /exec/0123abcd/start",
        "POST /exec/0123abcd/resize?h=1&w=1",
        "GET /exec/0123abcd/json",
    ],
);

const READS: &[&str] = &[
    "GET /containers/json",
    "GET /containers/web/json",
    "GET /containers/web/logs?stdout=1",
    "GET /containers/web/top",
    "GET /containers/web/stats",
    "GET /containers/web/changes",
];

const IMAGES: &[&str] = &[
    "GET /images/json",
    "GET /images/busybox/json",
    "GET /images/busybox/history",
];

const EVENTS: &[&str] = &["GET /events"];

const CHANGES: &[&str] = &[
    "POST /containers/create",
    "POST /containers/web/start",
    "POST /containers/web/stop",
    "POST /containers/web/restart",
    "POST /containers/web/kill",
    "POST /containers/web/pause",
    "POST /containers/web/rename?name=x",
    "POST /containers/web/update",
    "POST /containers/prune",
    "DELETE /containers/web",
    "POST /containers/web/attach",
    "PUT /containers/web/archive?path=/",
    "POST /images/create?fromImage=busybox",
    "DELETE /images/busybox",
    "POST /networks/create",
    "POST /volumes/create",
];

const TIERS: &[(&str, &[Claim])] = &[
    (
        "high",
        &[
            MANAGES,
            ("Reads images and events.", true, IMAGES),
            ("Reads images and events.", true, EVENTS),
            (
                "Neither removes a single container, nor pulls or removes images, nor reaches \
                networks and volumes.",
                false,
                &[
                    "DELETE /containers/web",
                    "POST /images/create?fromImage=busybox",
                    "DELETE /images/busybox",
                    "POST /images/prune",
                    "GET /networks",
                    "POST /networks/create",
                    "GET /volumes",
                    "POST /volumes/create",
                ],
            ),
        ],
    ),
    (
        "medium",
        &[
            (
                "Reads containers: their settings with environment variables, logs, processes, \
                figures.",
                true,
                READS,
            ),
            ("Reads images and events.", true, IMAGES),
            ("Reads images and events.", true, EVENTS),
            (
                "Runs commands in containers, which can change all that the container can change.",
                true,
                &["POST /containers/web/exec", "POST /exec/0123abcd/start"],
            ),
            (
                "Neither creates, starts, stops, changes nor removes containers, and attaches to \
                none.",
                false,
                CHANGES,
            ),
        ],
    ),
    (
        "low",
        &[
            (
                "Reads containers, secrets included: their settings with environment variables, \
                logs, processes, figures. Reads images.",
                true,
                READS,
            ),
            ("Reads images.", true, IMAGES),
            (
                "Changes nothing, runs nothing, and follows no events.",
                false,
                CHANGES,
            ),
            (
                "Changes nothing, runs nothing, and follows no events.",
                false,
                EVENTS,
            ),
            (
                "Changes nothing, runs nothing, and follows no events.",
                false,
                &["POST /containers/web/exec", "POST /exec/0123abcd/start"],
            ),
        ],
    ),
];

/// Asks the program for its decision about a call of a client of this profile.
fn is_allowed(profile: &str, call: &str) -> bool {
    let (method, path) = call.split_once(' ').expect(call);
    let (code, out, errors) = ProxyBuilder::bare(PROGRAM)
        .word("explain")
        .word(method)
        .word(&format!("/v1.43{path}"))
        .arg("--config", CONFIG)
        .arg("--profile", profile)
        .run();
    assert!(
        matches!(code, Some(0 | 1)),
        "{profile}: {call}: {out}{errors}"
    );
    code == Some(0)
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the example that it is about"
)]
fn each_tier_can_do_what_its_comments_say() {
    let text = std::fs::read_to_string(CONFIG).expect("the example");
    let comments = |from: &str| -> String {
        let tier = text.split_once(&format!("\n  {from}:\n")).expect(from).1;
        let tier = tier.split("\n\n").next().unwrap_or_default();
        let lines = tier
            .lines()
            .filter_map(|line| line.trim().strip_prefix("# "));
        lines.collect::<Vec<_>>().join(" ")
    };
    for (tier, claims) in TIERS {
        let said = comments(tier);
        for (sentence, is_granted, calls) in *claims {
            assert!(said.contains(sentence), "{tier} does not say: {sentence}");
            for call in *calls {
                assert_eq!(
                    is_allowed(tier, call),
                    *is_granted,
                    "{tier}: {sentence} {call}"
                );
            }
        }
    }
    assert!(text.contains("A client that is none of these can call _ping, version\n# and info."));
    for (call, want) in [
        ("GET /_ping", true),
        ("GET /version", true),
        ("GET /info", true),
        ("GET /containers/json", false),
        ("GET /events", false),
    ] {
        assert_eq!(is_allowed("default", call), want, "{call}");
    }
}
