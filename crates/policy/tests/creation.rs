//! Requirements on what clients create: one line a fact, for Docker's API, Podman's own, and
//! services, at create and at update.

#![allow(clippy::panic, reason = "a failed expectation ends a test")]

mod world;

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{
    Amount, CommandPattern, Creation, Exception, Guard, GuardLevel, ImageDenial, ImageRewrite,
    LabelPattern, ObjectPattern, Objection, PortPattern, Quota, RestartPolicy, Surroundings, Unit,
    UserPattern,
};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, Object, Pattern, Permit, Profile, Verdict, decide};

const DOCKER: &str = "POST /v1.43/containers/create?name=web";
const LIBPOD: &str = "POST /v5.0.0/libpod/containers/create";
const SERVICE: &str = "POST /v1.43/services/create";
const SERVICE_UPDATE: &str = "POST /v1.43/services/s1/update?version=1";
const UPDATE: &str = "POST /v1.43/containers/web/update";
const LIBPOD_UPDATE: &str = "POST /v5.0.0/libpod/containers/web/update";
const EXEC: &str = "POST /v1.43/containers/web/exec";
const LIBPOD_EXEC: &str = "POST /v5.0.0/libpod/containers/web/exec";

/// Endpoints that hand over images need a rule that names them.
const RULES: &str = "GET,POST,DELETE .*
ALLOW image.save, image.save_many, image.push, libpod.image.push";

fn permit(request: &str, creation: Creation) -> Result<Permit, String> {
    let (method, target) = request.split_once(' ').expect("a request line");
    let profile = Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("test", RULES).expect("rules")),
        guard: Arc::new(Guard {
            level: GuardLevel::Baseline,
            allow: vec![Exception::read("gpus").expect("an exception")],
            creation: Some(Box::new(creation)),
        }),
        ..Profile::default()
    };
    match decide(Call::read(method, target).expect(request), &profile) {
        Verdict::Allow(permit) => Ok(permit),
        Verdict::Deny(denial) => Err(denial.to_string()),
    }
}

/// An engine with a volume and two networks that have labels, and with plain other objects.
fn world(kind: ObjectKind, word: &str) -> Option<Object> {
    let answer = match (kind, word) {
        (ObjectKind::Volume, "data") => {
            r#"{"Name":"data","Driver":"local","Labels":{"team":"web"}}"#.to_owned()
        }
        (ObjectKind::Network, "front" | "f00d") => {
            r#"{"Id":"f00d","Name":"front","Driver":"bridge","Labels":{"team":"web"}}"#.to_owned()
        }
        (ObjectKind::Network, "missing") => return None,
        (ObjectKind::Exec, "e1") => r#"{"ID":"e1","ContainerID":"web","ProcessConfig":
            {"entrypoint":"ls","arguments":["-l"],"user":"1000"}}"#
            .to_owned(),
        _ => return world::plain(kind, word),
    };
    Some(Object::read(kind, answer.as_bytes()).expect("JSON"))
}

fn judge(request: &str, creation: Creation, body: &str) -> Result<String, Objection> {
    let permit = permit(request, creation).unwrap_or_else(|denial| panic!("{request}: {denial}"));
    let cleared = world::settle_in(
        &permit,
        Some("application/json"),
        body.as_bytes(),
        Surroundings::default(),
        &world,
        world::RECENT,
    )?;
    Ok(cleared.body().unwrap_or_default().to_owned())
}

/// Compares the first field that is objected to with the wanted one, which is empty if the call
/// passes. An unmet requirement names its key.
fn check(creation: &Creation, key: &str, rows: &[(&str, &str, &str)]) {
    for (request, body, want) in rows {
        let found = match judge(request, creation.clone(), body) {
            Ok(_) => String::new(),
            Err(Objection::Findings(findings)) => {
                let finding = &findings[0];
                assert!(
                    finding.what.contains(key) || finding.what.starts_with("expected "),
                    "{request}: {body}: {finding}"
                );
                assert_eq!(finding.allow, None, "{finding}");
                match finding.field.as_str() {
                    "" => "the object of the path".to_owned(),
                    field => field.to_owned(),
                }
            }
            Err(objection) => panic!("{request}: {body}: {objection}"),
        };
        assert_eq!(found, *want, "{request}: {body}");
    }
}

fn size(text: &str) -> Option<Amount> {
    Some(Amount::read(text, Unit::Bytes).expect(text))
}

fn patterns(texts: &[&str]) -> Option<Vec<Pattern>> {
    Some(texts.iter().map(|text| Pattern::new(*text)).collect())
}

#[test]
fn memory_has_a_limit() {
    let creation = Creation {
        max_memory: size("1000"),
        ..Creation::default()
    };
    check(
        &creation,
        "max-memory",
        &[
            (DOCKER, r#"{"HostConfig":{"Memory":1000}}"#, ""),
            (DOCKER, r#"{"hostconfig":{"memory":1000}}"#, ""),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":1001}}"#,
                "HostConfig.Memory",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":0}}"#,
                "HostConfig.Memory",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":-1}}"#,
                "HostConfig.Memory",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":null}}"#,
                "HostConfig.Memory",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":1e2}}"#,
                "HostConfig.Memory",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":10.0}}"#,
                "HostConfig.Memory",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":18446744073709551615}}"#,
                "HostConfig.Memory",
            ),
            (DOCKER, r#"{"HostConfig":null}"#, "HostConfig.Memory"),
            (DOCKER, "{}", "HostConfig.Memory"),
            (DOCKER, "", "HostConfig.Memory"),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":9,"MemorySwap":2000}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":9,"MemorySwap":2001}}"#,
                "HostConfig.MemorySwap",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":9,"MemorySwap":-1}}"#,
                "HostConfig.MemorySwap",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"memory":{"limit":1000}}}"#,
                "",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"memory":{"limit":1001}}}"#,
                "resource_limits.memory.limit",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"memory":{"limit":-1}}}"#,
                "resource_limits.memory.limit",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"memory":{}}}"#,
                "resource_limits.memory.limit",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":null}"#,
                "resource_limits.memory.limit",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"memory":{"limit":1,"swap":-1}}}"#,
                "resource_limits.memory.swap",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":1000}}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":1001}}}}"#,
                "TaskTemplate.Resources.Limits.MemoryBytes",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Reservations":{"MemoryBytes":1}}}}"#,
                "TaskTemplate.Resources.Limits.MemoryBytes",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":9},"SwapBytes":-1}}}"#,
                "TaskTemplate.Resources.SwapBytes",
            ),
            (
                SERVICE_UPDATE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":1000}}}}"#,
                "",
            ),
            (
                SERVICE_UPDATE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":1001}}}}"#,
                "TaskTemplate.Resources.Limits.MemoryBytes",
            ),
            (
                SERVICE_UPDATE,
                "{}",
                "TaskTemplate.Resources.Limits.MemoryBytes",
            ),
            (UPDATE, r#"{"Memory":1000}"#, ""),
            (UPDATE, r#"{"memory":1001}"#, "Memory"),
            (UPDATE, r#"{"Memory":-1}"#, "Memory"),
            // The Docker CLI sends zeroes for what it leaves as it is.
            (UPDATE, r#"{"Memory":0,"MemorySwap":0,"CpuShares":9}"#, ""),
            (UPDATE, r#"{"MemorySwap":-1}"#, "MemorySwap"),
            (UPDATE, "{}", ""),
            (LIBPOD_UPDATE, r#"{"memory":{"limit":1000}}"#, ""),
            (
                LIBPOD_UPDATE,
                r#"{"memory":{"limit":1001}}"#,
                "memory.limit",
            ),
            (LIBPOD_UPDATE, r#"{"memory":{"limit":0}}"#, "memory.limit"),
            (LIBPOD_UPDATE, r#"{"memory":{"limit":-1}}"#, "memory.limit"),
            (LIBPOD_UPDATE, r#"{"memory":{"swap":-1}}"#, "memory.swap"),
            (LIBPOD_UPDATE, r#"{"cpu":{"shares":9}}"#, ""),
        ],
    );
}

#[test]
fn memory_and_swap_have_a_limit_together() {
    let creation = Creation {
        max_memory_swap: size("1000"),
        ..Creation::default()
    };
    check(
        &creation,
        "max-memory-swap",
        &[
            (DOCKER, r#"{"HostConfig":{"Memory":500}}"#, ""),
            // The engine gives twice the memory.
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":501}}"#,
                "HostConfig.MemorySwap",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":501,"MemorySwap":1000}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Memory":501,"MemorySwap":1001}}"#,
                "HostConfig.MemorySwap",
            ),
            (DOCKER, "{}", "HostConfig.MemorySwap"),
            (
                LIBPOD,
                r#"{"resource_limits":{"memory":{"limit":9}}}"#,
                "resource_limits.memory.swap",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"memory":{"limit":9,"swap":1000}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":500}}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":501}}}}"#,
                "TaskTemplate.Resources.SwapBytes",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":900},"SwapBytes":0}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":900},"SwapBytes":101}}}"#,
                "TaskTemplate.Resources.SwapBytes",
            ),
            (UPDATE, r#"{"MemorySwap":1000}"#, ""),
            (UPDATE, r#"{"MemorySwap":1001}"#, "MemorySwap"),
            (UPDATE, r#"{"Memory":900}"#, ""),
            (LIBPOD_UPDATE, r#"{"memory":{"swap":0}}"#, "memory.swap"),
        ],
    );
}

#[test]
fn processors_have_a_limit_in_either_form() {
    let creation = Creation {
        max_cpus: Some(Amount::read("1.5", Unit::Cpus).expect("1.5")),
        ..Creation::default()
    };
    check(
        &creation,
        "max-cpus",
        &[
            (DOCKER, r#"{"HostConfig":{"NanoCpus":1500000000}}"#, ""),
            (
                DOCKER,
                r#"{"HostConfig":{"NanoCpus":1500000001}}"#,
                "HostConfig.NanoCpus",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NanoCpus":-1}}"#,
                "HostConfig.NanoCpus",
            ),
            (DOCKER, "{}", "HostConfig.NanoCpus"),
            (DOCKER, r#"{"HostConfig":{"CpuQuota":150000}}"#, ""),
            (
                DOCKER,
                r#"{"HostConfig":{"CpuQuota":150001}}"#,
                "HostConfig.CpuQuota",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"CpuQuota":150000,"CpuPeriod":1000}}"#,
                "HostConfig.CpuQuota",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"CpuQuota":1500,"CpuPeriod":1000}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"CpuQuota":-1}}"#,
                "HostConfig.CpuQuota",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"CpuQuota":1,"CpuPeriod":-1}}"#,
                "HostConfig.CpuQuota",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"CpuPeriod":1000}}"#,
                "HostConfig.NanoCpus",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NanoCpus":1,"CpuPeriod":1000}}"#,
                "HostConfig.NanoCpus",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NanoCpus":1,"CpuQuota":1}}"#,
                "HostConfig.NanoCpus",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"CpusetCpus":"0"}}"#,
                "HostConfig.NanoCpus",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"cpu":{"quota":150000,"period":100000}}}"#,
                "",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"cpu":{"quota":150001,"period":100000}}}"#,
                "resource_limits.cpu.quota",
            ),
            (
                LIBPOD,
                r#"{"resource_limits":{"cpu":{"period":100000}}}"#,
                "resource_limits.cpu.quota",
            ),
            (LIBPOD, "{}", "resource_limits.cpu.quota"),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"NanoCPUs":1500000000}}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"NanoCPUs":1500000001}}}}"#,
                "TaskTemplate.Resources.Limits.NanoCPUs",
            ),
            (
                SERVICE_UPDATE,
                "{}",
                "TaskTemplate.Resources.Limits.NanoCPUs",
            ),
            (
                UPDATE,
                r#"{"NanoCpus":1500000000,"CpuQuota":0,"CpuPeriod":0}"#,
                "",
            ),
            (UPDATE, r#"{"NanoCpus":1500000001}"#, "NanoCpus"),
            (UPDATE, r#"{"NanoCpus":-1}"#, "NanoCpus"),
            (UPDATE, r#"{"CpuPeriod":1000}"#, "CpuPeriod"),
            (UPDATE, r#"{"CpuQuota":1000}"#, "CpuQuota"),
            (UPDATE, r#"{"CpuQuota":-1}"#, "CpuQuota"),
            (UPDATE, r#"{"CpuQuota":1500,"CpuPeriod":1000}"#, ""),
            (UPDATE, "{}", ""),
            (LIBPOD_UPDATE, r#"{"cpu":{"quota":1500,"period":1000}}"#, ""),
            (
                LIBPOD_UPDATE,
                r#"{"cpu":{"quota":1501,"period":1000}}"#,
                "cpu.quota",
            ),
            (
                LIBPOD_UPDATE,
                r#"{"cpu":{"quota":0,"period":1000}}"#,
                "cpu.quota",
            ),
            (LIBPOD_UPDATE, r#"{"cpu":{"period":1000}}"#, "cpu.period"),
        ],
    );
}

#[test]
fn processes_have_a_limit() {
    let creation = Creation {
        max_pids: Some(Amount::read("100", Unit::Count).expect("100")),
        ..Creation::default()
    };
    check(
        &creation,
        "max-pids",
        &[
            (DOCKER, r#"{"HostConfig":{"PidsLimit":100}}"#, ""),
            (
                DOCKER,
                r#"{"HostConfig":{"PidsLimit":101}}"#,
                "HostConfig.PidsLimit",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"PidsLimit":0}}"#,
                "HostConfig.PidsLimit",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"PidsLimit":-1}}"#,
                "HostConfig.PidsLimit",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"PidsLimit":null}}"#,
                "HostConfig.PidsLimit",
            ),
            (LIBPOD, r#"{"resource_limits":{"pids":{"limit":100}}}"#, ""),
            (
                LIBPOD,
                r#"{"resource_limits":{"pids":{"limit":0}}}"#,
                "resource_limits.pids.limit",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"Pids":100}}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Limits":{"Pids":0}}}}"#,
                "TaskTemplate.Resources.Limits.Pids",
            ),
            (UPDATE, r#"{"PidsLimit":100}"#, ""),
            (UPDATE, r#"{"PidsLimit":null}"#, ""),
            (UPDATE, r#"{"PidsLimit":0}"#, "PidsLimit"),
            (UPDATE, r#"{"PidsLimit":-1}"#, "PidsLimit"),
            (UPDATE, r#"{"PidsLimit":101}"#, "PidsLimit"),
            (LIBPOD_UPDATE, r#"{"pids":{"limit":100}}"#, ""),
            (LIBPOD_UPDATE, r#"{"pids":{"limit":-1}}"#, "pids.limit"),
        ],
    );
}

#[test]
fn labels_are_given_by_the_client() {
    let labels = ["team=w*", "cost"].map(|text| LabelPattern::read(text).expect(text));
    let creation = Creation {
        labels: labels.to_vec(),
        ..Creation::default()
    };
    check(
        &creation,
        "require-labels",
        &[
            (DOCKER, r#"{"Labels":{"team":"web","cost":"1"}}"#, ""),
            (DOCKER, r#"{"Labels":{"team":"db","cost":"1"}}"#, "Labels"),
            (DOCKER, r#"{"Labels":{"Team":"web","cost":"1"}}"#, "Labels"),
            (DOCKER, r#"{"Labels":{"team":"web","cost":""}}"#, "Labels"),
            (DOCKER, r#"{"Labels":{"team":"web","cost":null}}"#, "Labels"),
            (DOCKER, "{}", "Labels"),
            (LIBPOD, r#"{"labels":{"team":"web","cost":"1"}}"#, ""),
            (LIBPOD, r#"{"labels":{"team":"web"}}"#, "labels"),
            (
                SERVICE,
                r#"{"Labels":{"team":"web","cost":"1"}}"#,
                "TaskTemplate.ContainerSpec.Labels",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"Labels":{"team":"web","cost":"1"}}}}"#,
                "Labels",
            ),
            (
                SERVICE_UPDATE,
                r#"{"Labels":{"team":"web","cost":"1"},"TaskTemplate":{"ContainerSpec":{"Labels":{"team":"web","cost":"1"}}}}"#,
                "",
            ),
            (
                "POST /volumes/create",
                r#"{"Labels":{"team":"web","cost":"1"}}"#,
                "",
            ),
            ("POST /volumes/create", r#"{"Name":"v"}"#, "Labels"),
            (
                "POST /v5.0.0/libpod/volumes/create",
                r#"{"Label":{"team":"web"},"Labels":{"cost":"1"}}"#,
                "",
            ),
            (
                "POST /v5.0.0/libpod/volumes/create",
                r#"{"Label":{"team":"web"}}"#,
                "Labels",
            ),
            (
                "POST /networks/create",
                r#"{"Name":"n","Labels":{"team":"web","cost":"1"}}"#,
                "",
            ),
            ("POST /networks/create", r#"{"Name":"n"}"#, "Labels"),
            // The engine would create the volume without labels.
            (
                DOCKER,
                r#"{"Labels":{"team":"web","cost":"1"},"HostConfig":{"Binds":["new:/x"]}}"#,
                "HostConfig.Binds[0]",
            ),
            (
                DOCKER,
                r#"{"Labels":{"team":"web","cost":"1"},"HostConfig":{"Binds":["data:/x"]}}"#,
                "",
            ),
        ],
    );
}

#[test]
fn names_and_root_file_systems() {
    let names = Creation {
        names: patterns(&["web-*", "web"]),
        ..Creation::default()
    };
    check(
        &names,
        "allow-names",
        &[
            (DOCKER, "{}", ""),
            ("POST /containers/create?name=/web-1", "{}", ""),
            ("POST /containers/create?name=db", "{}", "?name"),
            ("POST /containers/create", "{}", "?name"),
            ("POST /containers/create?name=", "{}", "?name"),
            ("POST /containers/c1/rename?name=web-2", "", ""),
            ("POST /containers/c1/rename?name=db", "", "?name"),
            (
                "POST /v5.0.0/libpod/containers/c1/rename?name=db",
                "",
                "?name",
            ),
            (LIBPOD, r#"{"name":"web-1"}"#, ""),
            (LIBPOD, r#"{"name":"db"}"#, "name"),
            (LIBPOD, "{}", "name"),
            (SERVICE, r#"{"Name":"web"}"#, ""),
            (SERVICE_UPDATE, r#"{"Name":"db"}"#, "Name"),
        ],
    );
    let read_only = Creation {
        read_only: true,
        ..Creation::default()
    };
    check(
        &read_only,
        "require-read-only",
        &[
            (DOCKER, r#"{"HostConfig":{"ReadonlyRootfs":true}}"#, ""),
            (
                DOCKER,
                r#"{"HostConfig":{"ReadonlyRootfs":false}}"#,
                "HostConfig.ReadonlyRootfs",
            ),
            (DOCKER, "{}", "HostConfig.ReadonlyRootfs"),
            (LIBPOD, r#"{"read_only_filesystem":true}"#, ""),
            (LIBPOD, "{}", "read_only_filesystem"),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"ReadOnly":true}}}"#,
                "",
            ),
            (SERVICE_UPDATE, "{}", "TaskTemplate.ContainerSpec.ReadOnly"),
        ],
    );
}

/// Podman changes the cgroup of a container, and reports the limits that it was created with.
#[test]
fn new_limits_are_refused_where_a_quota_would_not_count_them() {
    const PODMAN: &str = r#"{"ApiVersion":"1.41","KernelVersion":"6.1.0",
        "Components":[{"Name":"Podman Engine"}]}"#;
    let cpus = Amount::read("2", Unit::Cpus).ok();
    let memory = size("1000");
    let quotas = [
        ("", Quota::default()),
        (
            "quota-memory",
            Quota {
                memory,
                ..Quota::default()
            },
        ),
        (
            "quota-cpus",
            Quota {
                cpus,
                ..Quota::default()
            },
        ),
    ];
    let place = |quota: &Quota, engine: &str, (request, body): (&str, &str)| {
        let creation = Creation {
            quota: quota.clone(),
            ..Creation::default()
        };
        let permit = permit(request, creation).expect(request);
        let surroundings = Surroundings::default();
        let json = Some("application/json");
        match world::settle_in(&permit, json, body.as_bytes(), surroundings, &world, engine) {
            Ok(_) => String::new(),
            Err(Objection::Findings(findings)) => findings[0].to_string(),
            Err(objection) => panic!("{request}: {body}: {objection}"),
        }
    };
    for (request, body, closed_by) in [
        (LIBPOD_UPDATE, r#"{"memory":{"limit":9}}"#, "quota-memory"),
        (
            LIBPOD_UPDATE,
            r#"{"cpu":{"quota":9000,"period":10000}}"#,
            "quota-cpus",
        ),
        (LIBPOD_UPDATE, r#"{"cpu":{"shares":9}}"#, "no quota"),
        (LIBPOD_UPDATE, r#"{"pids":{"limit":9}}"#, "no quota"),
        (UPDATE, r#"{"Memory":9}"#, "quota-memory"),
        (UPDATE, r#"{"NanoCpus":9}"#, "quota-cpus"),
        (
            UPDATE,
            r#"{"CpuQuota":9000,"CpuPeriod":10000}"#,
            "quota-cpus",
        ),
        (
            UPDATE,
            r#"{"Memory":0,"RestartPolicy":{"Name":"no"}}"#,
            "no quota",
        ),
    ] {
        for (key, quota) in &quotas {
            let found = place(quota, PODMAN, (request, body));
            let want = format!("would not be counted; {key} of this profile");
            match *key == closed_by {
                true => assert!(found.contains(&want), "{key}: {request}: {body}: {found}"),
                false => assert_eq!(found, "", "{key}: {request}: {body}"),
            }
            // Docker reports new limits.
            if request == UPDATE {
                let found = place(quota, world::RECENT, (request, body));
                assert_eq!(found, "", "{key}: {request}: {body}");
            }
        }
    }
}

/// Engines drop the limit from services before version 1.41 of the API.
#[test]
fn processes_of_services_are_limited_where_the_engine_keeps_the_limit() {
    let pids = || Amount::read("100", Unit::Count).ok();
    let body = r#"{"Name":"s","TaskTemplate":{"ContainerSpec":{"Image":"a"},"Resources":{"Limits":{"Pids":40}}}}"#;
    for (version, is_refused) in [("/v1.40", true), ("/v1.41", false), ("", false)] {
        for (max_pids, default_pids) in [(pids(), None), (None, pids())] {
            let creation = Creation {
                max_pids,
                default_pids,
                ..Creation::default()
            };
            let request = format!("POST {version}/services/create");
            let permit = permit(&request, creation).expect("a permit");
            let judged = world::settle(&permit, Some("application/json"), body.as_bytes());
            assert_eq!(judged.is_err(), is_refused, "{version}");
        }
    }
}

#[test]
fn users_are_not_root() {
    let users = ["1000:1000", "2*"].map(|text| UserPattern::read(text).expect(text));
    let creation = Creation {
        users: Some(users.to_vec()),
        ..Creation::default()
    };
    check(
        &creation,
        "allow-users",
        &[
            (DOCKER, r#"{"User":"1000:1000"}"#, ""),
            (DOCKER, r#"{"User":"2000"}"#, ""),
            (DOCKER, r#"{"User":"1000"}"#, "User"),
            (DOCKER, r#"{"User":"0:0"}"#, "User"),
            (DOCKER, r#"{"User":"root"}"#, "User"),
            (DOCKER, r#"{"User":""}"#, "User"),
            (DOCKER, "{}", "User"),
            (LIBPOD, r#"{"user":"2000"}"#, ""),
            (LIBPOD, "{}", "user"),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"User":"2000"}}}"#,
                "",
            ),
            (SERVICE, "{}", "TaskTemplate.ContainerSpec.User"),
            (EXEC, r#"{"Cmd":["ls"]}"#, ""),
            (EXEC, r#"{"Cmd":["ls"],"User":"2000"}"#, ""),
            (EXEC, r#"{"Cmd":["ls"],"User":"root"}"#, "User"),
            (EXEC, r#"{"Cmd":["ls"],"user":"0"}"#, "User"),
            (LIBPOD_EXEC, r#"{"Cmd":["ls"],"User":"0"}"#, "User"),
        ],
    );
}

#[test]
fn commands_are_those_that_are_allowed() {
    let commands = ["ls **", "cat /var/log/*"].map(|text| CommandPattern::read(text).expect(text));
    let creation = Creation {
        exec: Some(commands.to_vec()),
        ..Creation::default()
    };
    check(
        &creation,
        "allow-exec",
        &[
            (EXEC, r#"{"Cmd":["ls","-l","/"]}"#, ""),
            (EXEC, r#"{"Cmd":"ls"}"#, ""),
            (EXEC, r#"{"Cmd":["ls -l"]}"#, "Cmd"),
            (EXEC, r#"{"Cmd":["cat","/var/log/a","/etc/shadow"]}"#, "Cmd"),
            (EXEC, r#"{"Cmd":["sh"]}"#, "Cmd"),
            (EXEC, r#"{"cmd":["sh"]}"#, "Cmd"),
            (EXEC, r#"{"Cmd":[]}"#, "Cmd"),
            (EXEC, "{}", "Cmd"),
            (EXEC, r#"{"Cmd":["ls"],"Env":["PATH=/tmp"]}"#, "Env[0]"),
            (LIBPOD_EXEC, r#"{"Cmd":["sh"]}"#, "Cmd"),
            // A star does not leave the folder that stands before it.
            (EXEC, r#"{"Cmd":["cat","/var/log/a"]}"#, ""),
            (EXEC, r#"{"Cmd":["cat","/var/log/../../bin/sh"]}"#, "Cmd"),
            // Another folder changes what relative words are.
            (EXEC, r#"{"Cmd":["ls"],"WorkingDir":""}"#, ""),
            (EXEC, r#"{"Cmd":["ls"],"WorkingDir":"/tmp"}"#, "WorkingDir"),
            (
                LIBPOD_EXEC,
                r#"{"Cmd":["ls"],"workingdir":"/"}"#,
                "WorkingDir",
            ),
            (DOCKER, r#"{"Cmd":["sh"]}"#, ""),
            (DOCKER, r#"{"Healthcheck":{"Test":["CMD","ls","/"]}}"#, ""),
            (DOCKER, r#"{"Healthcheck":{"Test":["NONE"]}}"#, ""),
            (
                DOCKER,
                r#"{"Healthcheck":{"Test":["CMD","sh"]}}"#,
                "Healthcheck.Test",
            ),
            (
                DOCKER,
                r#"{"Healthcheck":{"Test":["CMD-SHELL","ls"]}}"#,
                "Healthcheck.Test",
            ),
            (
                LIBPOD,
                r#"{"healthconfig":{"Test":["sh"]}}"#,
                "healthconfig.Test",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"Healthcheck":{"Test":["CMD","sh"]}}}}"#,
                "TaskTemplate.ContainerSpec.Healthcheck.Test",
            ),
            // A command that another client has stored.
            ("POST /exec/e1/start", "{}", ""),
            ("POST /exec/e2/start", "{}", "ProcessConfig.entrypoint"),
        ],
    );
    let creation = Creation {
        exec_env: patterns(&["LANG", "LC_*"]),
        exec_users: Some(vec![UserPattern::read("1000").expect("a user")]),
        ..Creation::default()
    };
    check(
        &creation,
        "allow-exec-",
        &[
            (EXEC, r#"{"Env":["LANG=C","LC_ALL=C"],"User":"1000"}"#, ""),
            (
                EXEC,
                r#"{"Env":["LANG=C","LD_PRELOAD=/x"],"User":"1000"}"#,
                "Env[1]",
            ),
            (EXEC, r#"{"User":"root"}"#, "User"),
            (EXEC, "{}", "User"),
            ("POST /exec/e1/start", "{}", ""),
            ("POST /exec/e2/start", "{}", "ProcessConfig.user"),
        ],
    );
}

#[test]
fn ports_are_published_where_they_may_be() {
    let ports = ["8000-8999", "443:443/tcp"].map(|text| PortPattern::read(text).expect(text));
    let creation = Creation {
        ports: Some(ports.to_vec()),
        ..Creation::default()
    };
    let docker = |ports: &str| format!("{{\"HostConfig\":{{\"PortBindings\":{{{ports}}}}}}}");
    const AT: &str = "HostConfig.PortBindings";
    for (ports, want) in [
        (r#""80/tcp":[{"HostPort":"8080"}]"#, ""),
        (r#""80/udp":[{"HostPort":"8000-8999"}]"#, ""),
        (r#""443/tcp":[{"HostPort":"443"}]"#, ""),
        (r#""443":[{"HostPort":"443"}]"#, ""),
        (r#""443/TCP":[{"HostPort":"443"}]"#, ""),
        (r#""443/udp":[{"HostPort":"443"}]"#, "[\"443/udp\"][0]"),
        (r#""80/tcp":[{"HostPort":"443"}]"#, "[\"80/tcp\"][0]"),
        (
            r#""80/tcp":[{"HostPort":"8080"},{"HostPort":"22"}]"#,
            "[\"80/tcp\"][1]",
        ),
        (r#""80/tcp":[{"HostPort":"8999-9000"}]"#, "[\"80/tcp\"][0]"),
        (r#""80/tcp":[{"HostPort":""}]"#, "[\"80/tcp\"][0]"),
        (r#""80/tcp":[{"HostPort":"0"}]"#, "[\"80/tcp\"][0]"),
        (r#""80/tcp":[{}]"#, "[\"80/tcp\"][0]"),
        (r#""80/tcp":[]"#, "[\"80/tcp\"][0]"),
        (r#""80/tcp":null"#, "[\"80/tcp\"][0]"),
        (r#""80/tcp":[{"HostPort":"8080x"}]"#, "[\"80/tcp\"][0]"),
        (r#""x/tcp":[{"HostPort":"8080"}]"#, "[\"x/tcp\"][0]"),
        ("", ""),
    ] {
        let want = match want {
            "" => String::new(),
            want => format!("{AT}{want}"),
        };
        check(&creation, "allow-ports", &[(DOCKER, &docker(ports), &want)]);
    }
    check(
        &creation,
        "allow-ports",
        &[
            (
                DOCKER,
                r#"{"HostConfig":{"PublishAllPorts":true}}"#,
                "HostConfig.PublishAllPorts",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":80,"host_port":8080}]}"#,
                "",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":80,"host_port":8990,"range":10}]}"#,
                "",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":80,"host_port":8990,"range":11}]}"#,
                "portmappings[0]",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":80,"host_port":22}]}"#,
                "portmappings[0]",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":443,"host_port":443,"protocol":"tcp,udp"}]}"#,
                "portmappings[0]",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":80}]}"#,
                "portmappings[0]",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":80,"host_port":65535,"range":9}]}"#,
                "portmappings[0]",
            ),
            (
                LIBPOD,
                r#"{"publish_image_ports":true}"#,
                "publish_image_ports",
            ),
            (
                SERVICE,
                r#"{"EndpointSpec":{"Ports":[{"TargetPort":80,"PublishedPort":8080}]}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"EndpointSpec":{"Ports":[{"TargetPort":80}]}}"#,
                "EndpointSpec.Ports[0]",
            ),
            (
                SERVICE_UPDATE,
                r#"{"EndpointSpec":{"Ports":[{"TargetPort":80,"PublishedPort":22}]}}"#,
                "EndpointSpec.Ports[0]",
            ),
        ],
    );
    let creation = Creation {
        port_addresses: Some(vec![
            "127.0.0.0/8".parse().expect("a network"),
            "::1/128".parse().expect("a network"),
        ]),
        ..Creation::default()
    };
    for (address, want) in [
        ("127.0.0.1", ""),
        ("127.1.2.3", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("", "[\"80/tcp\"][0]"),
        ("0.0.0.0", "[\"80/tcp\"][0]"),
        ("::", "[\"80/tcp\"][0]"),
        ("localhost", "[\"80/tcp\"][0]"),
        ("[::1]", "[\"80/tcp\"][0]"),
        ("127.0.0.1 ", "[\"80/tcp\"][0]"),
    ] {
        let body = docker(&format!(
            "\"80/tcp\":[{{\"HostIp\":\"{address}\",\"HostPort\":\"1\"}}]"
        ));
        let want = match want {
            "" => String::new(),
            want => format!("{AT}{want}"),
        };
        check(&creation, "allow-port-addresses", &[(DOCKER, &body, &want)]);
    }
    check(
        &creation,
        "allow-port-addresses",
        &[
            (
                DOCKER,
                r#"{"HostConfig":{"PublishAllPorts":true}}"#,
                "HostConfig.PublishAllPorts",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":80,"host_port":1,"host_ip":"127.0.0.1"}]}"#,
                "",
            ),
            (
                LIBPOD,
                r#"{"portmappings":[{"container_port":80,"host_port":1}]}"#,
                "portmappings[0]",
            ),
            (
                SERVICE,
                r#"{"EndpointSpec":{"Ports":[{"TargetPort":80,"PublishedPort":1}]}}"#,
                "EndpointSpec.Ports[0]",
            ),
        ],
    );
}

#[test]
fn restart_policies_are_those_that_are_allowed() {
    let creation = Creation {
        restart: Some(vec![RestartPolicy::No, RestartPolicy::OnFailure]),
        ..Creation::default()
    };
    check(
        &creation,
        "allow-restart",
        &[
            (DOCKER, "{}", ""),
            (
                DOCKER,
                r#"{"HostConfig":{"RestartPolicy":{"Name":"on-failure"}}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"RestartPolicy":{"Name":"always"}}}"#,
                "HostConfig.RestartPolicy.Name",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"RestartPolicy":{"Name":"odd"}}}"#,
                "HostConfig.RestartPolicy.Name",
            ),
            (LIBPOD, r#"{"restart_policy":"always"}"#, "restart_policy"),
            (LIBPOD, "{}", ""),
            (
                SERVICE,
                r#"{"TaskTemplate":{"RestartPolicy":{"Condition":"none"}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"RestartPolicy":{"Condition":"any"}}}"#,
                "TaskTemplate.RestartPolicy.Condition",
            ),
            (SERVICE, "{}", "TaskTemplate.RestartPolicy.Condition"),
            (UPDATE, "{}", ""),
            (UPDATE, r#"{"RestartPolicy":{"Name":""}}"#, ""),
            (
                UPDATE,
                r#"{"RestartPolicy":{"Name":"unless-stopped"}}"#,
                "RestartPolicy.Name",
            ),
            (LIBPOD_UPDATE, "{}", ""),
            (
                "POST /v5.0.0/libpod/containers/web/update?restartPolicy=always",
                "{}",
                "?restartPolicy",
            ),
            (
                "POST /v5.0.0/libpod/containers/web/update?restartPolicy=no",
                "{}",
                "",
            ),
        ],
    );
}

#[test]
fn hosts_and_groups_are_those_that_are_allowed() {
    let creation = Creation {
        extra_hosts: patterns(&["db:10.*"]),
        group_add: Some(Vec::new()),
        ..Creation::default()
    };
    check(
        &creation,
        "allow-",
        &[
            (
                DOCKER,
                r#"{"HostConfig":{"ExtraHosts":["db:10.0.0.1"],"GroupAdd":[]}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"ExtraHosts":["db=10.0.0.1"]}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"ExtraHosts":["db:host-gateway"]}}"#,
                "HostConfig.ExtraHosts[0]",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"ExtraHosts":["hub:10.0.0.1"]}}"#,
                "HostConfig.ExtraHosts[0]",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"GroupAdd":["0"]}}"#,
                "HostConfig.GroupAdd[0]",
            ),
            (LIBPOD, r#"{"hostadd":["db:10.0.0.1"]}"#, ""),
            (LIBPOD, r#"{"hostadd":["db;hub:10.0.0.1"]}"#, "hostadd[0]"),
            (LIBPOD, r#"{"groups":["docker"]}"#, "groups[0]"),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"Hosts":["10.0.0.1 db"]}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"Hosts":["10.0.0.1 db hub"]}}}"#,
                "TaskTemplate.ContainerSpec.Hosts[0]",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"Groups":["0"]}}}"#,
                "TaskTemplate.ContainerSpec.Groups[0]",
            ),
        ],
    );
}

fn objects(texts: &[&str]) -> Option<Vec<ObjectPattern>> {
    let read = |text: &&str| ObjectPattern::read(text).expect(text);
    Some(texts.iter().map(read).collect())
}

#[test]
fn volumes_are_those_that_are_allowed() {
    let creation = Creation {
        volumes: objects(&["app-*", "label=team=web"]),
        ..Creation::default()
    };
    check(
        &creation,
        "allow-volumes",
        &[
            (
                DOCKER,
                r#"{"HostConfig":{"Binds":["app-1:/x","data:/y"]},"Volumes":{"/z":{}}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Binds":["db:/x"]}}"#,
                "HostConfig.Binds[0]",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"Mounts":[{"Type":"volume","Source":"db","Target":"/x"}]}}"#,
                "HostConfig.Mounts[0].Source",
            ),
            (LIBPOD, r#"{"volumes":[{"Name":"data","Dest":"/x"}]}"#, ""),
            (
                LIBPOD,
                r#"{"volumes":[{"Name":"db","Dest":"/x"}]}"#,
                "volumes[0].Name",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"Mounts":[{"Type":"volume","Source":"db","Target":"/x"}]}}}"#,
                "TaskTemplate.ContainerSpec.Mounts[0].Source",
            ),
            ("POST /volumes/create", r#"{"Name":"app-2"}"#, ""),
            (
                "POST /volumes/create",
                r#"{"Name":"x","Labels":{"team":"web"}}"#,
                "",
            ),
            ("POST /volumes/create", r#"{"Name":"x"}"#, "Name"),
            ("POST /volumes/create", "{}", "Name"),
            (
                "POST /v5.0.0/libpod/volumes/create",
                r#"{"Name":"x"}"#,
                "Name",
            ),
        ],
    );
}

#[test]
fn networks_are_those_that_are_allowed() {
    let creation = Creation {
        networks: objects(&["label=team=web", "app-*", "container:vpn"]),
        ..Creation::default()
    };
    check(
        &creation,
        "allow-networks",
        &[
            (DOCKER, r#"{"HostConfig":{"NetworkMode":"front"}}"#, ""),
            (DOCKER, r#"{"HostConfig":{"NetworkMode":"f00d"}}"#, ""),
            (DOCKER, r#"{"HostConfig":{"NetworkMode":"none"}}"#, ""),
            (
                DOCKER,
                r#"{"HostConfig":{"NetworkMode":"container:vpn"}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NetworkMode":"container:web"}}"#,
                "HostConfig.NetworkMode",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NetworkMode":"db"}}"#,
                "HostConfig.NetworkMode",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NetworkMode":""}}"#,
                "HostConfig.NetworkMode",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NetworkMode":"default"}}"#,
                "HostConfig.NetworkMode",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NetworkMode":"pasta"}}"#,
                "HostConfig.NetworkMode",
            ),
            (DOCKER, "{}", "HostConfig.NetworkMode"),
            (
                DOCKER,
                r#"{"HostConfig":{"NetworkMode":"front"},"NetworkingConfig":{"EndpointsConfig":{"db":{}}}}"#,
                "NetworkingConfig.EndpointsConfig[\"db\"]",
            ),
            (
                LIBPOD,
                r#"{"Networks":{"front":{}},"netns":{"nsmode":"bridge"}}"#,
                "",
            ),
            (
                LIBPOD,
                r#"{"Networks":{"db":{}},"netns":{"nsmode":"bridge"}}"#,
                "Networks[\"db\"]",
            ),
            (LIBPOD, r#"{"netns":{"nsmode":"pasta"}}"#, "netns.nsmode"),
            (LIBPOD, "{}", "netns"),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Networks":[{"Target":"front"}]}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"Networks":[{"Target":"db"}]}"#,
                "Networks[0].Target",
            ),
            ("POST /networks/front/connect", r#"{"Container":"web"}"#, ""),
            (
                "POST /networks/db/connect",
                r#"{"Container":"web"}"#,
                "the object of the path",
            ),
            (
                "POST /v5.0.0/libpod/networks/db/connect",
                r#"{"container":"web"}"#,
                "the object of the path",
            ),
            ("POST /networks/create", r#"{"Name":"app-1"}"#, ""),
            ("POST /networks/create", r#"{"Name":"db"}"#, "Name"),
        ],
    );
}

#[test]
fn images_are_named_by_digest_and_not_denied() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let creation = Creation {
        image_digest: true,
        ..Creation::default()
    };
    for (image, want) in [
        (format!("nginx@{digest}"), ""),
        (format!("nginx:1@{digest}"), ""),
        (digest.clone(), ""),
        ("nginx:1".to_owned(), "Image"),
        ("nginx@sha256:0a".to_owned(), "Image"),
        ("0a0a0a0a".to_owned(), "Image"),
        (String::new(), "Image"),
    ] {
        let body = format!("{{\"Image\":\"{image}\"}}");
        check(&creation, "require-image-digest", &[(DOCKER, &body, want)]);
    }
    check(
        &creation,
        "require-image-digest",
        &[
            (LIBPOD, r#"{"image":"nginx"}"#, "image"),
            (
                SERVICE,
                r#"{"TaskTemplate":{"ContainerSpec":{"Image":"nginx"}}}"#,
                "TaskTemplate.ContainerSpec.Image",
            ),
        ],
    );
    let creation = Creation {
        denied_images: vec![ImageDenial::new("nginx"), ImageDenial::new("evil.io/*")],
        ..Creation::default()
    };
    check(
        &creation,
        "deny-images",
        &[
            (DOCKER, r#"{"Image":"busybox"}"#, ""),
            (DOCKER, r#"{"Image":"docker.io/library/nginx:9"}"#, "Image"),
            (LIBPOD, r#"{"image":"evil.io/a"}"#, "image"),
            (
                SERVICE_UPDATE,
                r#"{"TaskTemplate":{"ContainerSpec":{"Image":"nginx"}}}"#,
                "TaskTemplate.ContainerSpec.Image",
            ),
            (
                "POST /images/create?fromImage=nginx&tag=1",
                "",
                "?fromImage",
            ),
            ("POST /images/nginx/tag?repo=mine&tag=1", "", "the image"),
        ],
    );
}

#[test]
fn gpus_are_counted_and_named() {
    let creation = Creation {
        max_gpus: Some(1),
        gpu_drivers: patterns(&["nvidia", "cdi", "GPU"]),
        ..Creation::default()
    };
    check(
        &creation,
        "gpu",
        &[
            (DOCKER, "{}", ""),
            (
                DOCKER,
                r#"{"HostConfig":{"DeviceRequests":[{"Driver":"nvidia","Count":1}]}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"DeviceRequests":[{"Driver":"nvidia","Count":-1}]}}"#,
                "HostConfig.DeviceRequests",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"DeviceRequests":[{"Driver":"nvidia","Count":1},{"Driver":"nvidia","Count":1}]}}"#,
                "HostConfig.DeviceRequests",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"DeviceRequests":[{"Driver":"nvidia","DeviceIDs":["0","1"]}]}}"#,
                "HostConfig.DeviceRequests",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"DeviceRequests":[{"Count":1}]}}"#,
                "HostConfig.DeviceRequests[0]",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"DeviceRequests":[{"Driver":"other","Count":1}]}}"#,
                "HostConfig.DeviceRequests[0]",
            ),
            (LIBPOD, r#"{"gpus":["0"]}"#, ""),
            (LIBPOD, r#"{"gpus":["all"]}"#, "gpus"),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Reservations":{"GenericResources":[{"DiscreteResourceSpec":{"Kind":"GPU","Value":1}}]}}}}"#,
                "",
            ),
            (
                SERVICE,
                r#"{"TaskTemplate":{"Resources":{"Reservations":{"GenericResources":[{"DiscreteResourceSpec":{"Kind":"GPU","Value":2}}]}}}}"#,
                "TaskTemplate.Resources.Reservations.GenericResources",
            ),
        ],
    );
}

#[test]
fn what_the_profile_sets_is_sent() {
    let creation = Creation {
        default_memory: size("1000"),
        default_cpus: Some(Amount::read("0.5", Unit::Cpus).expect("0.5")),
        default_pids: Some(Amount::read("9", Unit::Count).expect("9")),
        default_user: Some("1000:1000".to_owned()),
        default_port_address: Some("127.0.0.1".parse().expect("an address")),
        added_labels: vec![("team".to_owned(), "web".to_owned())],
        max_memory: size("2000"),
        ..Creation::default()
    };
    for (request, body, want) in [
        (
            DOCKER,
            r#"{"Image":"x","HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"1"}],"81/tcp":null}}}"#,
            r#"{"Image":"x","HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"1","HostIp":"127.0.0.1"}],"81/tcp":[{"HostIp":"127.0.0.1"}]},"Memory":1000,"PidsLimit":9,"NanoCpus":500000000},"Labels":{"team":"web"},"User":"1000:1000"}"#,
        ),
        (
            DOCKER,
            r#"{"User":"7","Labels":{"a":"b","team":"db"},"HostConfig":{"Memory":5,"CpuQuota":7,"PidsLimit":3}}"#,
            r#"{"User":"7","Labels":{"a":"b","team":"web"},"HostConfig":{"Memory":5,"CpuQuota":7,"PidsLimit":3}}"#,
        ),
        (
            LIBPOD,
            r#"{"image":"x","portmappings":[{"container_port":80}]}"#,
            r#"{"image":"x","portmappings":[{"container_port":80,"host_ip":"127.0.0.1"}],"labels":{"team":"web"},"user":"1000:1000","resource_limits":{"memory":{"limit":1000},"pids":{"limit":9},"cpu":{"quota":50000,"period":100000}}}"#,
        ),
        (
            "POST /networks/create",
            r#"{"Name":"n"}"#,
            r#"{"Name":"n","Labels":{"team":"web"}}"#,
        ),
        (UPDATE, r#"{"Memory":7}"#, r#"{"Memory":7}"#),
    ] {
        let sent = judge(request, creation.clone(), body).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(sent, want, "{request}: {body}");
    }
    // Defaults are judged as well.
    let creation = Creation {
        default_user: Some("0".to_owned()),
        users: Some(vec![UserPattern::read("1000").expect("a user")]),
        ..Creation::default()
    };
    check(&creation, "allow-users", &[(DOCKER, "{}", "User")]);
}

#[test]
fn a_container_without_a_network_joins_that_of_the_profile() {
    let creation = Creation {
        default_network: Some("front".to_owned()),
        ..Creation::default()
    };
    for (request, body, want) in [
        (DOCKER, "{}", r#"{"HostConfig":{"NetworkMode":"front"}}"#),
        (
            DOCKER,
            r#"{"hostconfig":{"networkmode":"default"}}"#,
            r#"{"HostConfig":{"NetworkMode":"front"}}"#,
        ),
        (
            DOCKER,
            r#"{"HostConfig":{"NetworkMode":""},"NetworkingConfig":{"EndpointsConfig":{"default":{"Aliases":["a"]}}}}"#,
            r#"{"HostConfig":{"NetworkMode":"front"},"NetworkingConfig":{"EndpointsConfig":{"front":{"Aliases":["a"]}}}}"#,
        ),
        (
            DOCKER,
            r#"{"NetworkingConfig":{"EndpointsConfig":{"db":{}}}}"#,
            r#"{"NetworkingConfig":{"EndpointsConfig":{"db":{}}}}"#,
        ),
        (
            DOCKER,
            r#"{"HostConfig":{"NetworkMode":"bridge"}}"#,
            r#"{"HostConfig":{"NetworkMode":"bridge"}}"#,
        ),
        (
            DOCKER,
            r#"{"HostConfig":{"NetworkMode":"none"}}"#,
            r#"{"HostConfig":{"NetworkMode":"none"}}"#,
        ),
        (
            DOCKER,
            r#"{"HostConfig":{"NetworkMode":"container:web"}}"#,
            r#"{"HostConfig":{"NetworkMode":"container:web"}}"#,
        ),
        (
            LIBPOD,
            "{}",
            r#"{"netns":{"nsmode":"bridge"},"Networks":{"front":{}}}"#,
        ),
        (
            LIBPOD,
            r#"{"netns":{"nsmode":"private"},"networks":{"default":{"aliases":["a"]}}}"#,
            r#"{"netns":{"nsmode":"bridge"},"Networks":{"front":{"aliases":["a"]}}}"#,
        ),
        (
            LIBPOD,
            r#"{"netns":{"nsmode":"none"}}"#,
            r#"{"netns":{"nsmode":"none"}}"#,
        ),
        (
            LIBPOD,
            r#"{"netns":{"nsmode":"pasta"}}"#,
            r#"{"netns":{"nsmode":"pasta"}}"#,
        ),
        (
            LIBPOD,
            r#"{"netns":{"nsmode":"bridge"},"Networks":{"db":{}}}"#,
            r#"{"netns":{"nsmode":"bridge"},"Networks":{"db":{}}}"#,
        ),
        (
            LIBPOD,
            r#"{"cni_networks":["db"]}"#,
            r#"{"cni_networks":["db"]}"#,
        ),
        (
            SERVICE,
            r#"{"Name":"s","TaskTemplate":{"Networks":[]}}"#,
            r#"{"Name":"s","TaskTemplate":{"Networks":[{"Target":"f00d"}]}}"#,
        ),
        (
            SERVICE_UPDATE,
            r#"{"Name":"s"}"#,
            r#"{"Name":"s","TaskTemplate":{"Networks":[{"Target":"f00d"}]}}"#,
        ),
        (
            SERVICE,
            r#"{"Networks":[{"Target":"db"}]}"#,
            r#"{"Networks":[{"Target":"db"}]}"#,
        ),
    ] {
        let sent = judge(request, creation.clone(), body).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(sent, want, "{request}: {body}");
    }
}

#[test]
fn the_network_of_the_profile_is_judged_as_any_other() {
    let with = |network: &str| Creation {
        default_network: Some(network.to_owned()),
        networks: objects(&["front"]),
        ..Creation::default()
    };
    check(
        &with("front"),
        "allow-networks",
        &[
            (DOCKER, "{}", ""),
            (LIBPOD, "{}", ""),
            (SERVICE, "{}", ""),
            (
                DOCKER,
                r#"{"NetworkingConfig":{"EndpointsConfig":{"default":{}}}}"#,
                "",
            ),
            (
                DOCKER,
                r#"{"HostConfig":{"NetworkMode":"bridge"}}"#,
                "HostConfig.NetworkMode",
            ),
            (
                DOCKER,
                r#"{"NetworkingConfig":{"EndpointsConfig":{"default":{},"front":{}}}}"#,
                "HostConfig.NetworkMode",
            ),
        ],
    );
    check(
        &with("db"),
        "allow-networks",
        &[
            (DOCKER, "{}", "HostConfig.NetworkMode"),
            (
                DOCKER,
                r#"{"NetworkingConfig":{"EndpointsConfig":{"default":{}}}}"#,
                "HostConfig.NetworkMode",
            ),
            (LIBPOD, "{}", "Networks[\"db\"]"),
            (SERVICE, "{}", "TaskTemplate.Networks[0].Target"),
        ],
    );
}

const HUB: &str = "docker.io/*=r.io/hub/*";

fn rewriting(rules: &[&str]) -> Creation {
    let rules = rules
        .iter()
        .map(|rule| ImageRewrite::read(rule).expect(rule));
    Creation {
        image_rewrites: rules.collect(),
        ..Creation::default()
    }
}

/// Returns the target and the body that are sent, or the objection.
fn sent(request: &str, creation: Creation, body: &str) -> String {
    let permit = permit(request, creation).unwrap_or_else(|denial| panic!("{request}: {denial}"));
    let kind = (!body.is_empty()).then_some("application/json");
    let around = Surroundings::default();
    match world::settle_in(
        &permit,
        kind,
        body.as_bytes(),
        around,
        &world,
        world::RECENT,
    ) {
        Ok(cleared) => {
            let target = cleared.call(permit.call()).target();
            let body = cleared.body().unwrap_or_default();
            format!("{target} {body}").trim_end().to_owned()
        }
        Err(objection) => format!("refused: {objection}"),
    }
}

#[test]
fn images_of_bodies_have_the_names_of_the_profile() {
    let id = "0a".repeat(32);
    for (request, body, want) in [
        (DOCKER, r#"{"Image":"nginx"}"#.to_owned(), r#"{"Image":"r.io/hub/library/nginx:latest"}"#.to_owned()),
        (DOCKER, r#"{"iMAGE":"me/x:1"}"#.to_owned(), r#"{"Image":"r.io/hub/me/x:1"}"#.to_owned()),
        (DOCKER, r#"{"Image":"ghcr.io/x"}"#.to_owned(), r#"{"Image":"ghcr.io/x"}"#.to_owned()),
        (DOCKER, format!("{{\"Image\":\"{id}\"}}"), format!("{{\"Image\":\"{id}\"}}")),
        (DOCKER, r#"{"Image":"r.io/hub/me/x"}"#.to_owned(), r#"{"Image":"r.io/hub/me/x"}"#.to_owned()),
        (
            DOCKER,
            r#"{"HostConfig":{"Mounts":[{"Type":"image","source":"me/x","Target":"/x"},{"Type":"volume","Source":"data","Target":"/y"}]}}"#.to_owned(),
            r#"{"HostConfig":{"Mounts":[{"Type":"image","Source":"r.io/hub/me/x:latest","Target":"/x"},{"Type":"volume","Source":"data","Target":"/y"}]}}"#.to_owned(),
        ),
        (
            LIBPOD,
            r#"{"image":"nginx","raw_image_name":"nginx"}"#.to_owned(),
            r#"{"image":"r.io/hub/library/nginx:latest","raw_image_name":"r.io/hub/library/nginx:latest"}"#.to_owned(),
        ),
        (
            SERVICE,
            r#"{"TaskTemplate":{"ContainerSpec":{"Image":"deadbeef"}}}"#.to_owned(),
            r#"{"TaskTemplate":{"ContainerSpec":{"Image":"r.io/hub/library/deadbeef:latest"}}}"#.to_owned(),
        ),
        (
            SERVICE_UPDATE,
            r#"{"TaskTemplate":{"ContainerSpec":{"Image":"nginx:1@sha256:00112233445566778899aabbccddeeff"}}}"#.to_owned(),
            r#"{"TaskTemplate":{"ContainerSpec":{"Image":"r.io/hub/library/nginx:1@sha256:00112233445566778899aabbccddeeff"}}}"#.to_owned(),
        ),
    ] {
        let sent = judge(request, rewriting(&[HUB]), &body).unwrap_or_else(|why| panic!("{body}: {why}"));
        assert_eq!(sent, want, "{request}: {body}");
    }
}

#[test]
fn images_of_paths_and_queries_have_the_names_of_the_profile() {
    for (request, want) in [
        (
            "POST /images/create?fromImage=nginx&tag=1",
            "/images/create?fromImage=r.io%2Fhub%2Flibrary%2Fnginx&tag=1",
        ),
        (
            "POST /images/create?fromImage=nginx:1",
            "/images/create?fromImage=r.io%2Fhub%2Flibrary%2Fnginx&tag=1",
        ),
        (
            "POST /images/create?fromImage=docker.io%2Fnginx&tag=sha256%3A00112233445566778899aabbccddeeff",
            "/images/create?fromImage=r.io%2Fhub%2Flibrary%2Fnginx&tag=sha256%3A00112233445566778899aabbccddeeff",
        ),
        // Docker would pull every tag.
        (
            "POST /images/create?fromImage=nginx",
            "/images/create?fromImage=r.io%2Fhub%2Flibrary%2Fnginx&tag=latest",
        ),
        (
            "POST /images/create?fromImage=ghcr.io%2Fx",
            "/images/create?fromImage=ghcr.io%2Fx&tag=latest",
        ),
        (
            "POST /images/create?fromImage=deadbeef&tag=",
            "/images/create?fromImage=r.io%2Fhub%2Flibrary%2Fdeadbeef&tag=latest",
        ),
        ("POST /images/create?fromImage=nginx:1&tag=2", "refused"),
        (
            "POST /images/create?fromImage=nginx&fromImage=me",
            "refused",
        ),
        (
            "POST /images/create?fromImage=nginx&FromImage=me",
            "refused",
        ),
        ("POST /images/create?fromImage=nginx&tag=1&tag=2", "refused"),
        ("POST /images/create?fromImage=Nginx&tag=1", "refused"),
        ("POST /images/create?fromImage=nginx:", "refused"),
        (
            "POST /v5.0.0/libpod/images/pull?reference=docker://nginx",
            "/v5.0.0/libpod/images/pull?reference=r.io%2Fhub%2Flibrary%2Fnginx%3Alatest",
        ),
        (
            "POST /v5.0.0/libpod/images/pull?reference=nginx&alltags=true",
            "refused",
        ),
        ("POST /v5.0.0/libpod/images/pull?Reference=nginx", "refused"),
        (
            "GET /images/nginx/json",
            "/images/r.io/hub/library/nginx:latest/json",
        ),
        (
            "GET /v1.43/images/docker.io%2Fme%2fx:1/history",
            "/v1.43/images/r.io/hub/me/x:1/history",
        ),
        (
            "GET /images/nginx/get",
            "/images/r.io/hub/library/nginx:latest/get",
        ),
        (
            "GET /images/get?names=nginx&names=4f1e",
            "/images/get?names=r.io%2Fhub%2Flibrary%2Fnginx%3Alatest&names=4f1e",
        ),
        (
            "GET /distribution/cafe/json",
            "/distribution/r.io/hub/library/cafe:latest/json",
        ),
        ("GET /images/4f1e6c2b9d7a/json", "/images/4f1e6c2b9d7a/json"),
        (
            "GET /images/ng%2569nx/json",
            "/images/r.io/hub/library/ng%2569nx:latest/json",
        ),
        (
            "DELETE /images/nginx:1?force=0",
            "/images/r.io/hub/library/nginx:1?force=0",
        ),
        (
            "POST /images/4f1e/tag?repo=me%2Fx&tag=1",
            "/images/4f1e/tag?repo=r.io%2Fhub%2Fme%2Fx&tag=1",
        ),
        (
            "POST /images/nginx/tag?repo=ghcr.io%2Fx",
            "/images/r.io/hub/library/nginx:latest/tag?repo=ghcr.io%2Fx",
        ),
        (
            "POST /images/me%2Fx/push?tag=1",
            "/images/r.io/hub/me/x/push?tag=1 {}",
        ),
        (
            "POST /v5.0.0/libpod/images/nginx/push?destination=me%2Fx",
            "/v5.0.0/libpod/images/r.io/hub/library/nginx:latest/push?destination=r.io%2Fhub%2Fme%2Fx%3Alatest {}",
        ),
        // The client's credentials are for the registry that it has named.
        (
            "POST /v5.0.0/libpod/images/pull?reference=nginx&username=me&password=secret&policy=always",
            "/v5.0.0/libpod/images/pull?reference=r.io%2Fhub%2Flibrary%2Fnginx%3Alatest&policy=always",
        ),
        (
            "POST /v5.0.0/libpod/images/pull?reference=ghcr.io%2Fx&username=me&password=secret",
            "/v5.0.0/libpod/images/pull?reference=ghcr.io%2Fx&username=me&password=secret",
        ),
        (
            "GET /v5.0.0/libpod/images/nginx/exists",
            "/v5.0.0/libpod/images/r.io/hub/library/nginx:latest/exists",
        ),
        (
            "DELETE /v5.0.0/libpod/images/remove?Images=nginx",
            "/v5.0.0/libpod/images/remove?Images=r.io%2Fhub%2Flibrary%2Fnginx%3Alatest",
        ),
        ("POST /build", "refused"),
        ("POST /images/load", "refused"),
    ] {
        let sent = sent(request, rewriting(&[HUB]), "");
        let is_refused = want == "refused" && sent.starts_with("refused");
        assert!(is_refused || sent == want, "{request}: {sent}");
    }
    // Engines before 24 take credentials from the body of a push, and want one or the header.
    let login = r#"{"username":"me","password":"secret"}"#;
    for (request, body, want) in [
        (
            "POST /images/me/x/push?tag=1",
            login,
            "/images/r.io/hub/me/x/push?tag=1 {}",
        ),
        (
            "POST /images/me/x/push",
            "",
            "/images/r.io/hub/me/x:latest/push {}",
        ),
        (
            "POST /v5.0.0/libpod/images/quay.io/x/push?destination=me%2Fx",
            login,
            "/v5.0.0/libpod/images/quay.io/x/push?destination=r.io%2Fhub%2Fme%2Fx%3Alatest {}",
        ),
        (
            "POST /images/ghcr.io/x/push",
            login,
            &format!("/images/ghcr.io/x/push {login}"),
        ),
        ("POST /images/ghcr.io/x/push", "", "/images/ghcr.io/x/push"),
    ] {
        assert_eq!(
            sent(request, rewriting(&[HUB]), body),
            want,
            "{request} {body}"
        );
    }
    let commit = "POST /commit?container=web&repo=me%2Fx&tag=1";
    let sent = sent(commit, rewriting(&[HUB]), "{}");
    assert!(sent.contains("repo=r.io%2Fhub%2Fme%2Fx&tag=1"), "{sent}");
}

#[test]
fn the_new_name_of_an_image_is_judged() {
    let pinned = "nginx:1=r.io/nginx@sha256:00112233445566778899aabbccddeeff";
    let denied = |denial: &str| Creation {
        denied_images: vec![ImageDenial::new(denial)],
        ..rewriting(&[HUB])
    };
    for (request, creation, body, is_allowed) in [
        (DOCKER, denied("nginx"), r#"{"Image":"nginx"}"#, true),
        (
            DOCKER,
            denied("r.io/hub/library/nginx"),
            r#"{"Image":"nginx"}"#,
            false,
        ),
        (
            "POST /images/create?fromImage=nginx&tag=1",
            denied("r.io/*"),
            "",
            false,
        ),
        (
            "POST /images/create?fromImage=ghcr.io%2Fx&tag=1",
            denied("r.io/*"),
            "",
            true,
        ),
        // An identifier does not tell what image it is.
        (DOCKER, denied("nginx"), r#"{"Image":"4f1e"}"#, false),
        (DOCKER, rewriting(&[HUB]), r#"{"Image":"4f1e"}"#, true),
        // Podman's own storage, by its transport.
        (
            DOCKER,
            rewriting(&[HUB]),
            r#"{"Image":"containers-storage:docker.io/library/nginx:latest"}"#,
            false,
        ),
        (
            DOCKER,
            rewriting(&[HUB]),
            r#"{"Image":"nginx","image":"me/x"}"#,
            false,
        ),
        // No image can be given a digest.
        (
            "POST /images/4f1e/tag?repo=nginx&tag=1",
            rewriting(&[pinned]),
            "",
            false,
        ),
        (
            "POST /images/4f1e/tag?repo=nginx&tag=2",
            rewriting(&[pinned]),
            "",
            true,
        ),
        (
            "POST /images/create?fromImage=nginx&tag=1",
            rewriting(&[pinned]),
            "",
            true,
        ),
    ] {
        let sent = sent(request, creation, body);
        assert_eq!(
            !sent.starts_with("refused"),
            is_allowed,
            "{request} {body}: {sent}"
        );
    }
    let digest = Creation {
        image_digest: true,
        ..rewriting(&[
            "nginx:1=r.io/nginx@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        ])
    };
    check(
        &digest,
        "require-image-digest",
        &[
            (DOCKER, r#"{"Image":"nginx:1"}"#, ""),
            (DOCKER, r#"{"Image":"nginx:2"}"#, "Image"),
        ],
    );
}

#[test]
fn rules_are_about_the_new_name_of_an_image() {
    let profile = Profile {
        rules: RuleSet::new(
            parse("test", "GET %API_PREFIX_IMAGES%/r\\.io/hub/.*/json").expect("rules"),
        ),
        guard: Arc::new(Guard {
            creation: Some(Box::new(rewriting(&[HUB]))),
            ..Guard::default()
        }),
        ..Profile::default()
    };
    for (target, is_allowed) in [
        ("/images/nginx/json", true),
        ("/images/ghcr.io/x/json", false),
    ] {
        let verdict = decide(Call::read("GET", target).expect(target), &profile);
        assert_eq!(matches!(verdict, Verdict::Allow(_)), is_allowed, "{target}");
    }
}

#[test]
fn what_cannot_be_seen_is_closed() {
    let creation = Creation {
        max_memory: size("1000"),
        ..Creation::default()
    };
    for request in [
        "POST /v5.0.0/libpod/pods/create",
        "POST /v5.0.0/libpod/kube/play",
        "POST /v5.0.0/libpod/play/kube",
        "POST /v5.0.0/libpod/quadlets",
        "POST /v5.0.0/libpod/networks/create",
        "POST /v5.0.0/libpod/containers/x/restore",
    ] {
        let denial = permit(request, creation.clone()).err().unwrap_or_default();
        assert!(denial.contains("cannot be seen"), "{request}: {denial}");
    }
}
