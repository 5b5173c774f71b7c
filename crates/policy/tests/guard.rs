//! What allowed calls may ask for: one line a fact.

#![allow(clippy::panic, reason = "a failed expectation ends a test")]

mod world;

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Exception, Guard, GuardLevel, HostPath, Objection, Surroundings};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, ClientLimits, Mode, Object, Permit, Profile, Verdict, decide};

const BASELINE: GuardLevel = GuardLevel::Baseline;
const RESTRICTED: GuardLevel = GuardLevel::Restricted;

/// Checkpoints are opened by name only.
const RULES: &str = "GET,POST,PUT,DELETE .*
GET %API_PREFIX_CONTAINERS%/.+/checkpoints
DELETE %API_PREFIX_CONTAINERS%/.+/checkpoints/.+";

fn permit(request: &str, level: GuardLevel, allow: &[&str]) -> Permit {
    let (method, target) = request.split_once(' ').expect("a request line");
    let allow = allow
        .iter()
        .map(|text| Exception::read(text).expect(text))
        .collect();
    let profile = Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("test", RULES).expect("rules")),
        limits: ClientLimits::default(),
        guard: Arc::new(Guard {
            level,
            allow,
            ..Guard::default()
        }),
        targets: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
        ..Profile::default()
    };
    match decide(Call::read(method, target).expect(request), &profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => panic!("{request}: {denial}"),
    }
}

/// What becomes of a body: what goes on, or the fields and messages that do not.
fn judge(
    request: &str,
    level: GuardLevel,
    allow: &[&str],
    body: &str,
) -> Result<String, Objection> {
    let cleared = world::settle(
        &permit(request, level, allow),
        Some("application/json"),
        body.as_bytes(),
    )?;
    Ok(cleared.body().unwrap_or_default().to_owned())
}

/// The first field that is objected to; `""` where nothing is, `!` where the body is no JSON that
/// all read alike.
fn field(request: &str, level: GuardLevel, allow: &[&str], body: &str) -> String {
    match judge(request, level, allow, body) {
        Ok(_) => String::new(),
        Err(Objection::Findings(findings)) => findings[0].field.clone(),
        Err(_) => "!".to_owned(),
    }
}

fn check(request: &str, rows: &[(&str, &str)]) {
    for (body, want) in rows {
        assert_eq!(
            field(request, BASELINE, &[], body),
            *want,
            "{request}: {body}"
        );
    }
}

/// A body, the exception that opens it, and one that is near and does not.
fn check_exceptions(request: &str, rows: &[(&str, &str, &str)]) {
    for (body, allow, near) in rows {
        assert_ne!(field(request, BASELINE, &[], body), "", "{body}");
        assert_eq!(
            field(request, BASELINE, &[allow], body),
            "",
            "{allow}: {body}"
        );
        assert_ne!(
            field(request, BASELINE, &[near], body),
            "",
            "{near}: {body}"
        );
    }
}

/// Of this version on, an engine keeps what is mounted below a read-only bind from being written.
const CREATE: &str = "POST /v1.44/containers/create?name=web";

/// A realistic body, as Portainer sends it.
const ORDINARY: &str = r#"{"Image":"nginx:1.27","Env":["A=b"],"Cmd":null,"Entrypoint":null,"Labels":{"Foo":"1","foo":"2"},"ExposedPorts":{"80/tcp":{}},
    "Volumes":{"/data":{}},"User":"","WorkingDir":"","MacAddress":"","Hostname":"h","OpenStdin":false,"Tty":true,"StopTimeout":10,
    "Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":1000000000},
    "HostConfig":{"RestartPolicy":{"Name":"always","MaximumRetryCount":0},"PublishAllPorts":false,"AutoRemove":false,
        "PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}],"81/tcp":null},"Binds":["data:/data","logs:/logs:ro"],
        "Mounts":[{"Type":"volume","Source":"x","Target":"/x","VolumeOptions":{"Subpath":"data/logs"}},{"Type":"tmpfs","Target":"/t",
            "TmpfsOptions":{"SizeBytes":1000,"Mode":448}}],
        "NetworkMode":"bridge","Privileged":false,"Init":true,"ExtraHosts":["a:1.2.3.4"],"GroupAdd":["100"],"CapAdd":["CAP_NET_RAW"],
        "CapDrop":["mknod"],"Devices":[],"Sysctls":{"net.ipv4.ip_unprivileged_port_start":"0"},"ShmSize":67108864,"Runtime":"",
        "SecurityOpt":["no-new-privileges:true"],"Memory":9007199254740993,"LogConfig":{"Type":"json-file","Config":{"max-size":"10m"}},
        "Tmpfs":{"/run":"rw,size=64m,exec"},"Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],"IpcMode":"private","ReadonlyRootfs":true},
    "NetworkingConfig":{"EndpointsConfig":{"shop_default":{"Aliases":["web"],"IPAMConfig":{"IPv4Address":"10.0.0.9"}}}}}"#;

#[test]
fn ordinary_containers_pass_and_keep_their_digits() {
    let judged =
        judge(CREATE, BASELINE, &[], ORDINARY).unwrap_or_else(|objection| panic!("{objection}"));
    assert!(judged.contains("\"Memory\":9007199254740993"), "{judged}");
    assert!(
        judged.contains("\"Labels\":{\"Foo\":\"1\",\"foo\":\"2\"}"),
        "{judged}"
    );
    assert!(
        !judged.contains("\"Cmd\""),
        "what is null goes no further: {judged}"
    );
    check(
        CREATE,
        &[
            ("{}", ""),
            ("", ""),
            (r#"{"Image":"x"}"#, ""),
            (r#"{"HostConfig":null}"#, ""),
        ],
    );
}

/// What an inspected container has comes back from clients that make it anew.
#[test]
fn a_container_can_be_made_again_from_what_is_inspected() {
    let host = r#""CgroupnsMode":"private","Cgroup":"","OomScoreAdj":0,"UTSMode":"","UsernsMode":"","PidMode":"","Runtime":"runc","Isolation":"",
        "ConsoleSize":[0,0],"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"DeviceCgroupRules":null,"DeviceRequests":null,"VolumesFrom":null,
        "MaskedPaths":["/proc/asound","/proc/acpi","/proc/kcore","/proc/keys","/proc/latency_stats","/proc/timer_list","/proc/timer_stats",
            "/proc/sched_debug","/proc/scsi","/sys/firmware"],"ReadonlyPaths":["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]"#;
    check(
        CREATE,
        &[(
            &format!("{{\"Image\":\"x\",\"HostConfig\":{{{host}}}}}"),
            "",
        )],
    );
}

#[test]
fn what_gives_the_host_away_is_refused() {
    for (host, want) in [
        (r#""Privileged":true"#, "Privileged"),
        (r#""Binds":["/:/host"]"#, "Binds[0]"),
        (r#""Binds":["a:/a","/etc:/x:ro"]"#, "Binds[1]"),
        (r#""Binds":["//etc:/x"]"#, "Binds[0]"),
        (r#""Binds":["./etc:/x"]"#, "Binds[0]"),
        (r#""Binds":["..:/x"]"#, "Binds[0]"),
        (r#""Binds":["~/x:/x"]"#, "Binds[0]"),
        (r#""Binds":["a:/x:rshared"]"#, "Binds[0]"),
        (r#""Binds":["a:/x:U"]"#, "Binds[0]"),
        (r#""Binds":["a:b:c:d"]"#, "Binds[0]"),
        (
            r#""Mounts":[{"Type":"bind","Source":"/etc","Target":"/x"}]"#,
            "Mounts[0].Source",
        ),
        (
            r#""Mounts":[{"Type":"BIND","Source":"/etc","Target":"/x"}]"#,
            "Mounts[0].Type",
        ),
        (
            r#""Mounts":[{"Source":"/etc","Target":"/x"}]"#,
            "Mounts[0].Type",
        ),
        (
            r#""Mounts":[{"Type":"npipe","Source":"x","Target":"/x"}]"#,
            "Mounts[0].Type",
        ),
        (
            r#""Mounts":[{"Type":"cluster","Source":"x","Target":"/x"}]"#,
            "Mounts[0].Type",
        ),
        (
            r#""Mounts":[{"Type":"volume","Source":"/etc","Target":"/x"}]"#,
            "Mounts[0].Source",
        ),
        (
            r#""Mounts":[{"Type":"volume","Source":"a,type=bind","Target":"/x"}]"#,
            "Mounts[0].Source",
        ),
        (
            r#""Mounts":[{"Type":"tmpfs","Target":"/x,type=bind,source=/"}]"#,
            "Mounts[0].Target",
        ),
        (
            r#""Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"none","o":"bind","device":"/"}}}}]"#,
            r#"Mounts[0].VolumeOptions.DriverConfig.Options["type"]"#,
        ),
        (
            r#""Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"DriverConfig":{"Name":"nfs"}}}]"#,
            "Mounts[0].VolumeOptions.DriverConfig.Name",
        ),
        (
            r#""Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"Subpath":"../../etc"}}]"#,
            "Mounts[0].VolumeOptions.Subpath",
        ),
        (
            r#""Mounts":[{"Type":"image","Source":"x","Target":"/x","ImageOptions":{"Subpath":"/etc"}}]"#,
            "Mounts[0].ImageOptions.Subpath",
        ),
        (
            r#""Mounts":[{"Type":"tmpfs","Target":"/x","TmpfsOptions":{"Options":[["suid"]]}}]"#,
            "Mounts[0].TmpfsOptions.Options[0]",
        ),
        (
            r#""Mounts":[{"Type":"tmpfs","Target":"/x","TmpfsOptions":{"Options":[["mode","755"],["upperdir","/"]]}}]"#,
            "Mounts[0].TmpfsOptions.Options[1]",
        ),
        (
            r#""Mounts":[{"Type":"tmpfs","Target":"/x","TmpfsOptions":{"Options":[[]]}}]"#,
            "Mounts[0].TmpfsOptions.Options[0]",
        ),
        (
            r#""Mounts":[{"Type":"volume","Target":"/x","BindOptions":{"Propagation":"rshared"}}]"#,
            "Mounts[0].BindOptions.Propagation",
        ),
        (r#""Tmpfs":{"/x":"exec,dev"}"#, r#"Tmpfs["/x"]"#),
        (r#""VolumesFrom":["other"]"#, "VolumesFrom"),
        (r#""VolumeDriver":"nfs""#, "VolumeDriver"),
        (r#""CapAdd":["SYS_ADMIN"]"#, "CapAdd"),
        (r#""CapAdd":["cap_sys_admin"]"#, "CapAdd"),
        (r#""CapAdd":["ALL"]"#, "CapAdd"),
        (r#""CapAdd":"SYS_PTRACE""#, "CapAdd"),
        (r#""Capabilities":["CAP_SYS_ADMIN"]"#, "Capabilities"),
        (r#""SecurityOpt":["seccomp=unconfined"]"#, "SecurityOpt[0]"),
        (r#""SecurityOpt":["seccomp:unconfined"]"#, "SecurityOpt[0]"),
        (
            r#""SecurityOpt":["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"]"#,
            "SecurityOpt[0]",
        ),
        (r#""SecurityOpt":["apparmor=unconfined"]"#, "SecurityOpt[0]"),
        (r#""SecurityOpt":["apparmor=mine"]"#, "SecurityOpt[0]"),
        (r#""SecurityOpt":["label=disable"]"#, "SecurityOpt[0]"),
        (r#""SecurityOpt":["label:disable"]"#, "SecurityOpt[0]"),
        (r#""SecurityOpt":["disable"]"#, "SecurityOpt[0]"),
        (r#""SecurityOpt":["label=type:spc_t"]"#, "SecurityOpt[0]"),
        (
            r#""SecurityOpt":["systempaths=unconfined"]"#,
            "SecurityOpt[0]",
        ),
        (
            r#""SecurityOpt":["writable-cgroups=true"]"#,
            "SecurityOpt[0]",
        ),
        (r#""SecurityOpt":["unmask=ALL"]"#, "SecurityOpt[0]"),
        (r#""MaskedPaths":[]"#, "MaskedPaths"),
        (r#""ReadonlyPaths":[]"#, "ReadonlyPaths"),
        (r#""MaskedPaths":["/proc/kcore"]"#, "MaskedPaths"),
        (r#""NetworkMode":"host""#, "NetworkMode"),
        (r#""NetworkMode":" HOST ""#, "NetworkMode"),
        (r#""NetworkMode":"ns:/proc/1/ns/net""#, "NetworkMode"),
        (r#""PidMode":"host""#, "PidMode"),
        (r#""PidMode":"container:db""#, "PidMode"),
        (r#""IpcMode":"host""#, "IpcMode"),
        (r#""UTSMode":"host""#, "UTSMode"),
        (r#""UsernsMode":"host""#, "UsernsMode"),
        (r#""UsernsMode":"keep-id""#, "UsernsMode"),
        (r#""CgroupnsMode":"host""#, "CgroupnsMode"),
        (r#""Cgroup":"container:db""#, "Cgroup"),
        (r#""CgroupParent":"/""#, "CgroupParent"),
        (
            r#""Devices":[{"PathOnHost":"/dev/sda","PathInContainer":"/dev/sda","CgroupPermissions":"rwm"}]"#,
            "Devices[0]",
        ),
        (
            r#""DeviceCgroupRules":["a *:* rwm"]"#,
            "DeviceCgroupRules[0]",
        ),
        (
            r#""DeviceRequests":[{"Driver":"nvidia","Count":-1,"Capabilities":[]}]"#,
            "DeviceRequests",
        ),
        (r#""Runtime":"io.containerd.kata.v2""#, "Runtime"),
        (r#""Runtime":"/bin/sh""#, "Runtime"),
        (
            r#""Annotations":{"run.oci.hooks":"x"}"#,
            r#"Annotations["run.oci.hooks"]"#,
        ),
        (
            r#""Sysctls":{"kernel.core_pattern":"x"}"#,
            r#"Sysctls["kernel.core_pattern"]"#,
        ),
        (
            r#""LogConfig":{"Type":"syslog","Config":{}}"#,
            "LogConfig.Type",
        ),
        (
            r#""StorageOpt":{"overlay2.x":"y"}"#,
            r#"StorageOpt["overlay2.x"]"#,
        ),
        (r#""OomScoreAdj":-1000"#, "OomScoreAdj"),
        (r#""CpuRealtimeRuntime":950000"#, "CpuRealtimeRuntime"),
        (r#""Isolation":"hyperv""#, "Isolation"),
        (r#""SomethingNew":true"#, "SomethingNew"),
        (r#""LxcConf":[{"Key":"lxc.x","Value":"y"}]"#, "LxcConf"),
    ] {
        let body = format!("{{\"Image\":\"x\",\"HostConfig\":{{{host}}}}}");
        assert_eq!(
            field(CREATE, BASELINE, &[], &body),
            format!("HostConfig.{want}"),
            "{host}"
        );
        // The same at the top level, where engines before 27 took it, and unversioned.
        let top = format!("{{\"Image\":\"x\",{host}}}");
        // An empty list is no field there: it is dropped, and the engine's own list holds.
        let top_field = if host.ends_with("[]") {
            ""
        } else {
            want.split(['.', '[']).next().unwrap_or_default()
        };
        assert_eq!(
            field("POST /containers/create", BASELINE, &[], &top),
            top_field,
            "{top}"
        );
    }
    check(
        CREATE,
        &[
            (
                r#"{"NetworkingConfig":{"EndpointsConfig":{"host":{}}}}"#,
                r#"NetworkingConfig.EndpointsConfig["host"]"#,
            ),
            (
                r#"{"NetworkingConfig":{"EndpointsConfig":{"n":{"DriverOpts":{"com.docker.network.endpoint.sysctls":"x"}}}}}"#,
                r#"NetworkingConfig.EndpointsConfig["n"].DriverOpts["com.docker.network.endpoint.sysctls"]"#,
            ),
        ],
    );
}

/// Go reads all of these as something else than a strict reader does: they are judged as what Go
/// reads.
#[test]
fn what_engines_read_in_their_own_way_is_refused() {
    check(
        CREATE,
        &[
            (
                r#"{"HostConfig":{"Privileged":false,"privileged":true}}"#,
                "HostConfig.Privileged",
            ),
            (
                r#"{"HostConfig":{"PRIVILEGED":true}}"#,
                "HostConfig.Privileged",
            ),
            (
                r#"{"hostconfig":{"Privileged":true}}"#,
                "HostConfig.Privileged",
            ),
            (
                "{\"Ho\u{17f}tConfig\":{\"Privileged\":true}}",
                "HostConfig.Privileged",
            ),
            (
                "{\"HostConfig\":{\"Networ\u{212a}Mode\":\"host\"}}",
                "HostConfig.NetworkMode",
            ),
            (r#"{"HostConfig":{"Privileged":true},"HostConfig":{}}"#, "!"),
            (
                r#"{"HostConfig":{"Privileged":true,"Privileged":null}}"#,
                "!",
            ),
            (
                r#"{"HostConfig":{"\u0050rivileged":true}}"#,
                "HostConfig.Privileged",
            ),
            (
                r#"{"HostConfig":{"Privileged":1}}"#,
                "HostConfig.Privileged",
            ),
            (
                r#"{"HostConfig":{"Privileged":"true"}}"#,
                "HostConfig.Privileged",
            ),
            (r#"{"HostConfig":{"Binds":"/:/x"}}"#, "HostConfig.Binds"),
            (r#"{"HostConfig":{"Binds":[null]}}"#, "HostConfig.Binds[0]"),
            (r#"{"HostConfig":[]}"#, "HostConfig"),
            (
                r#"{"HostConfig":{}} {"HostConfig":{"Privileged":true}}"#,
                "!",
            ),
            (r#"{"Image":"x"}]"#, "!"),
            ("{\"Image\":\"\u{0}\"}", "!"),
        ],
    );
    // What is empty and unknown says nothing, and goes no further.
    assert_eq!(
        judge(
            CREATE,
            BASELINE,
            &[],
            r#"{"Image":"x","Later":[],"More":null,"Yet":""}"#
        )
        .ok()
        .as_deref(),
        Some(r#"{"Image":"x"}"#)
    );
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in ["[]", "\"x\"", "1"] {
        assert!(judge(CREATE, BASELINE, &[], body).is_err(), "{body}");
    }
}

#[test]
fn content_types_are_those_that_the_engine_reads() {
    let body = r#"{"Image":"x"}"#;
    let to = |request, kind: Option<&str>| {
        world::settle(&permit(request, BASELINE, &[]), kind, body.as_bytes()).is_ok()
    };
    let with = |kind| to(CREATE, kind);
    assert!(with(Some("application/json")) && with(Some("Application/JSON; charset=utf-8")));
    // Docker refuses a body without a type, which is what a page in a browser can send; Podman's
    // client sends none.
    assert!(!with(None) && to("POST /v5.0.0/libpod/exec/abc/start", None).eq(&false));
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
    ] {
        assert!(!with(Some(kind)), "{kind:?}");
    }
    // Where the query says it all, a form would say something else.
    let pull = permit("POST /images/create?fromImage=nginx", BASELINE, &[]);
    for kind in [
        "application/x-www-form-urlencoded",
        "APPLICATION/X-WWW-FORM-URLENCODED; =",
        "multipart/form-data; boundary=x",
    ] {
        assert!(world::settle(&pull, Some(kind), b"").is_err(), "{kind}");
    }
    assert!(
        world::settle(&pull, Some("text/plain"), b"").is_ok()
            && world::settle(&pull, None, b"").is_ok()
    );
}

#[test]
fn each_exception_opens_what_it_says() {
    let host = |host: &str| format!("{{\"HostConfig\":{{{host}}}}}");
    for (text, allow, near) in [
        (r#""Privileged":true"#, "privileged", "exec-privileged"),
        (
            r#""Binds":["/srv/app/x:/x"]"#,
            "bind=/srv/app/**",
            "bind=/srv/app",
        ),
        (
            r#""Binds":["/srv/app/../app2:/x"]"#,
            "bind=/srv/app2",
            "bind=/srv/app/**",
        ),
        (
            r#""Binds":["/srv/app:/x:ro"]"#,
            "bind=/srv/app:ro",
            "bind=/srv/ap/**",
        ),
        (
            r#""Binds":["/srv/app:/x"]"#,
            "bind=/srv/app",
            "bind=/srv/app:ro",
        ),
        (
            r#""Mounts":[{"Type":"bind","Source":"/srv","Target":"/x","ReadOnly":true}]"#,
            "bind=/srv:ro",
            "bind=/",
        ),
        (
            r#""Mounts":[{"Type":"bind","Source":"/srv","Target":"/x"}]"#,
            "bind=/**",
            "bind=/**:ro",
        ),
        (
            r#""CapAdd":["CAP_NET_ADMIN"]"#,
            "capability=NET_ADMIN",
            "capability=NET_RAW",
        ),
        (
            r#""Devices":[{"PathOnHost":"/dev/dri/card0"}]"#,
            "device=/dev/dri/**",
            "device=/dev/dri",
        ),
        (
            r#""DeviceCgroupRules":["c 188:* rmw"]"#,
            "device-cgroup-rule=c 188:* rmw",
            "device=/dev/**",
        ),
        (
            r#""DeviceRequests":[{"Count":-1}]"#,
            "gpus",
            "device=/dev/**",
        ),
        (
            r#""NetworkMode":"host""#,
            "host-namespace=network",
            "host-namespace=pid",
        ),
        (
            r#""PidMode":"host""#,
            "host-namespace=pid",
            "host-namespace=ipc",
        ),
        (
            r#""SecurityOpt":["seccomp=unconfined"]"#,
            "security-opt=seccomp=unconfined",
            "security-opt=apparmor=*",
        ),
        (
            r#""Sysctls":{"net.core.rmem_max":"1"}"#,
            "sysctl=net.core.*",
            "sysctl=net.ipv4.*",
        ),
        (r#""Runtime":"runsc""#, "runtime=runsc", "runtime=kata"),
        (
            r#""LogConfig":{"Type":"syslog"}"#,
            "log-driver=syslog",
            "log-driver=gelf",
        ),
        (r#""VolumesFrom":["x"]"#, "volumes-from", "bind=/**"),
        (
            r#""VolumeDriver":"nfs""#,
            "volume-driver=nfs",
            "volume-option=nfs=x",
        ),
        (
            r#""Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"DriverConfig":{"Options":{"o":"addr=1"}}}}]"#,
            "volume-option=o=addr=*",
            "volume-option=device=*",
        ),
        (r#""MaskedPaths":[]"#, "masked-paths", "security-opt=*"),
        (
            r#""CgroupParent":"/x""#,
            "cgroup-parent=/x",
            "cgroup-parent=/y",
        ),
        (r#""Annotations":{"a":"b"}"#, "annotation=a", "annotation=b"),
        (r#""OomScoreAdj":-5"#, "oom-score", "realtime"),
        (r#""CpuRealtimePeriod":5"#, "realtime", "oom-score"),
        (
            r#""StorageOpt":{"a":"b"}"#,
            "storage-opt=a",
            "storage-opt=b",
        ),
        (
            r#""Mounts":[{"Type":"volume","Target":"/x","BindOptions":{"Propagation":"shared"}}]"#,
            "mount-propagation",
            "bind=/**",
        ),
    ] {
        check_exceptions(CREATE, &[(&host(text), allow, near)]);
    }
}

#[test]
fn images_and_registries_can_be_named() {
    let body = |image: &str| format!("{{\"Image\":\"{image}\"}}");
    for (allow, image, want) in [
        (&["image=ghcr.io/me/*"][..], "ghcr.io/me/app:1", ""),
        (&["image=ghcr.io/me/*"], "ghcr.io/you/app:1", "Image"),
        (&["image=ghcr.io/me/*"], "evil.io/ghcr.io/me/app", "Image"),
        (&["registry=ghcr.io"], "ghcr.io/me/app", ""),
        (&["registry=ghcr.io"], "nginx", "Image"),
        (&["registry=docker.io"], "nginx", ""),
        (&["registry=ghcr.io", "registry=docker.io"], "nginx", ""),
        (&[], "nginx", ""),
    ] {
        assert_eq!(
            field(CREATE, BASELINE, allow, &body(image)),
            want,
            "{allow:?} {image}"
        );
        let tag = if image.contains(":1") { "" } else { "&tag=1" };
        let pull = format!("POST /images/create?fromImage={image}{tag}");
        assert_eq!(
            field(&pull, BASELINE, allow, "").is_empty(),
            want.is_empty(),
            "{allow:?} {pull}"
        );
    }
    for request in ["POST /build?t=x", "POST /images/load"] {
        assert_eq!(field(request, BASELINE, &[], ""), "", "{request}");
        assert!(
            judge(request, BASELINE, &["image=x"], "").is_err(),
            "{request}"
        );
    }
    assert_eq!(
        field(
            "POST /auth",
            BASELINE,
            &["registry=ghcr.io"],
            r#"{"serveraddress":"https://ghcr.io/v2/"}"#
        ),
        ""
    );
    assert_eq!(
        field(
            "POST /auth",
            BASELINE,
            &["registry=ghcr.io"],
            r#"{"serveraddress":"10.0.0.1"}"#
        ),
        "serveraddress"
    );
}

#[test]
fn commands_in_containers() {
    let request = "POST /v1.43/containers/web/exec";
    check(
        request,
        &[
            (
                r#"{"AttachStdin":true,"AttachStdout":true,"Tty":true,"Cmd":["sh"],"Env":["A=b"],"User":"root","WorkingDir":"/","DetachKeys":"","ConsoleSize":[1,2]}"#,
                "",
            ),
            (r#"{"Privileged":false,"Cmd":["sh"]}"#, ""),
            (r#"{"Privileged":true,"Cmd":["sh"]}"#, "Privileged"),
            (r#"{"privileged":true,"Cmd":["sh"]}"#, "Privileged"),
            (r#"{"Cmd":42}"#, "Cmd"),
            (r#"{"Cmd":{}}"#, "Cmd"),
        ],
    );
    check_exceptions(
        request,
        &[(r#"{"Privileged":true}"#, "exec-privileged", "privileged")],
    );
    for (user, want) in [
        ("1000", ""),
        ("1000:0", ""),
        ("0", "User"),
        ("000:1", "User"),
        ("root", "User"),
        ("", "User"),
        ("+0", "User"),
        ("app", "User"),
    ] {
        assert_eq!(
            field(
                request,
                RESTRICTED,
                &[],
                &format!("{{\"User\":\"{user}\"}}")
            ),
            want,
            "{user}"
        );
    }
    // The client that starts a command need not be the one that made it.
    let start = |allow: &[&str], level| permit("POST /v1.43/exec/abc/start", level, allow);
    for (privileged, user, allow, level, want) in [
        (false, "", &[][..], BASELINE, true),
        (true, "", &[], BASELINE, false),
        (true, "", &["exec-privileged"], BASELINE, true),
        (false, "", &[], RESTRICTED, false),
        (false, "1000", &[], RESTRICTED, true),
    ] {
        let stored = format!(
            "{{\"ID\":\"abc\",\"ContainerID\":\"c0ffee\",\"ProcessConfig\":{{\"privileged\":{privileged},\"user\":{user:?}}}}}"
        );
        let objects = |kind, word: &str| match kind {
            ObjectKind::Exec => Some(Object::read(kind, stored.as_bytes()).expect("JSON")),
            kind => world::plain(kind, word),
        };
        let surroundings = Surroundings::default();
        let judged = world::settle_in(
            &start(allow, level),
            None,
            b"",
            surroundings,
            &objects,
            world::RECENT,
        );
        assert_eq!(judged.is_ok(), want, "{privileged} {user} {allow:?}");
    }
    check(
        "POST /exec/abc/start",
        &[
            (r#"{"Detach":false,"Tty":true}"#, ""),
            ("{}", ""),
            ("", ""),
            (r#"{"Privileged":true}"#, "Privileged"),
        ],
    );
}

#[test]
fn starts_and_updates() {
    check(
        "POST /containers/web/start",
        &[("", ""), ("{}", ""), (" null ", "")],
    );
    // Engines of 2023 and before took a whole HostConfig there.
    assert!(
        judge(
            "POST /containers/web/start",
            BASELINE,
            &[],
            r#"{"Binds":["/:/host"]}"#
        )
        .is_err()
    );
    assert_eq!(
        judge("POST /containers/web/start", BASELINE, &[], "{}")
            .ok()
            .as_deref(),
        Some("")
    );
    assert_eq!(
        field(
            "POST /containers/web/start?checkpoint=a&checkpoint-dir=/etc",
            BASELINE,
            &[],
            ""
        ),
        "?checkpoint-dir"
    );
    for (name, want) in [
        ("before-1.x", ""),
        ("..", "?checkpoint"),
        ("../../x", "?checkpoint"),
        ("a%2Fb", "?checkpoint"),
    ] {
        assert_eq!(
            field(
                &format!("POST /containers/web/start?checkpoint={name}"),
                BASELINE,
                &[],
                ""
            ),
            want,
            "{name}"
        );
    }
    // Podman before version 5 restarts every container of the host.
    for path in ["/containers/web", "/v4.0.0/libpod/containers/web"] {
        for (query, want) in [
            ("t=5&signal=SIGINT", ""),
            ("timeout=5", ""),
            ("all=true", "?all"),
            ("ALL=1", "?ALL"),
        ] {
            let request = format!("POST {path}/restart?{query}");
            assert_eq!(field(&request, BASELINE, &[], ""), want, "{request}");
        }
    }
    for request in [
        "GET /containers/web/checkpoints",
        "DELETE /containers/web/checkpoints/x",
    ] {
        assert_eq!(field(request, BASELINE, &[], ""), "", "{request}");
        assert_eq!(
            field(&format!("{request}?dir="), BASELINE, &[], ""),
            "",
            "{request}"
        );
        assert_eq!(
            field(&format!("{request}?dir=/etc"), BASELINE, &[], ""),
            "?dir",
            "{request}"
        );
        assert_eq!(
            field(&format!("{request}?Dir=/etc"), BASELINE, &[], ""),
            "?Dir",
            "{request}"
        );
    }
    check(
        "POST /containers/web/update",
        &[
            (
                r#"{"Memory":1,"NanoCpus":5,"RestartPolicy":{"Name":"no"},"BlkioWeight":0,"Devices":[],"CgroupParent":""}"#,
                "",
            ),
            (r#"{"Devices":[{"PathOnHost":"/dev/sda"}]}"#, "Devices[0]"),
            (
                r#"{"DeviceCgroupRules":["a *:* rwm"]}"#,
                "DeviceCgroupRules[0]",
            ),
            (r#"{"CgroupParent":"/"}"#, "CgroupParent"),
            (r#"{"Privileged":true}"#, "Privileged"),
        ],
    );
}

#[test]
fn volumes() {
    for request in ["POST /volumes/create", "POST /v4.0.0/libpod/volumes/create"] {
        let options = if request.contains("libpod") {
            "Options"
        } else {
            "DriverOpts"
        };
        for (fields, want) in [
            ("", ""),
            ("\"Driver\":\"local\"", ""),
            ("\"OPT\":{}", ""),
            ("\"OPT\":{\"size\":\"1g\"}", ""),
            (
                "\"OPT\":{\"type\":\"none\",\"o\":\"bind\",\"device\":\"/\"}",
                "OPT[\"type\"]",
            ),
            (
                "\"OPT\":{\"type\":\"ext4\",\"device\":\"/dev/sda1\"}",
                "OPT[\"type\"]",
            ),
            ("\"OPT\":{\"o\":\"rbind,rw\"}", "OPT[\"o\"]"),
            // A swarm fills in templates when it creates the volume.
            ("\"OPT\":{\"size\":\"{{.Node.ID}}\"}", "OPT[\"size\"]"),
            ("\"Driver\":\"nfs\"", "Driver"),
            ("\"driver\":\"nfs\"", "Driver"),
            (
                "\"ClusterVolumeSpec\":{\"Group\":\"x\"}",
                "ClusterVolumeSpec",
            ),
        ] {
            let fields = fields.replace("OPT", options);
            let body = format!(
                "{{\"Name\":\"v\"{}{fields}}}",
                if fields.is_empty() { "" } else { "," }
            );
            assert_eq!(
                field(request, BASELINE, &[], &body),
                want.replace("OPT", options),
                "{request} {body}"
            );
        }
    }
    check_exceptions(
        "POST /volumes/create",
        &[
            (
                r#"{"Driver":"nfs"}"#,
                "volume-driver=nfs",
                "volume-driver=nf",
            ),
            (
                r#"{"DriverOpts":{"type":"nfs"}}"#,
                "volume-option=type=nfs",
                "volume-option=type=none",
            ),
        ],
    );
}

#[test]
fn networks() {
    check(
        "POST /networks/create",
        &[
            (
                r#"{"Name":"n","Driver":"bridge","CheckDuplicate":true,"IPAM":{"Driver":"default","Config":[{"Subnet":"10.0.0.0/24","Gateway":"10.0.0.1"}]},"Options":{"com.docker.network.driver.mtu":"1400"},"Labels":{"a":"b"},"Internal":true,"EnableIPv6":false,"Attachable":false,"Ingress":false,"ConfigOnly":false,"ConfigFrom":{"Network":""},"Scope":""}"#,
                "",
            ),
            (r#"{"Name":"n","Driver":"macvlan"}"#, "Driver"),
            (r#"{"Name":"n","Driver":"host"}"#, "Driver"),
            (
                r#"{"Name":"n","Options":{"parent":"eth0"}}"#,
                r#"Options["parent"]"#,
            ),
            (
                r#"{"Name":"n","Options":{"com.docker.network.bridge.name":"docker0"}}"#,
                r#"Options["com.docker.network.bridge.name"]"#,
            ),
            (
                r#"{"Name":"n","ConfigFrom":{"Network":"x"}}"#,
                "ConfigFrom.Network",
            ),
            (r#"{"Name":"n","IPAM":{"Driver":"x"}}"#, "IPAM.Driver"),
            // An address that cannot be read could be that of a client.
            (
                r#"{"Name":"n","IPAM":{"Config":[{"Subnet":"10.0.0"}]}}"#,
                "IPAM.Config[0].Subnet",
            ),
            (r#"{"Name":"n","IPAM":{"Config":[{"Subnet":""}]}}"#, ""),
        ],
    );
    check_exceptions(
        "POST /networks/create",
        &[
            (
                r#"{"Driver":"macvlan"}"#,
                "network-driver=macvlan",
                "network-driver=ipvlan",
            ),
            (
                r#"{"Options":{"parent":"eth0"}}"#,
                "network-option=parent=eth0",
                "network-option=parent=eth1",
            ),
        ],
    );
    check(
        "POST /networks/n/connect",
        &[
            (
                r#"{"Container":"c","EndpointConfig":{"Aliases":["a"],"IPAMConfig":{"IPv4Address":"10.0.0.9"}}}"#,
                "",
            ),
            (
                r#"{"Container":"c","EndpointConfig":{"DriverOpts":{"x":"y"}}}"#,
                r#"EndpointConfig.DriverOpts["x"]"#,
            ),
            (
                r#"{"Container":"c","EndpointConfig":{"IPAMConfig":{"IPv4Address":"010.0.0.9"}}}"#,
                "EndpointConfig.IPAMConfig.IPv4Address",
            ),
            (
                r#"{"Container":"c","EndpointConfig":{"IPAMConfig":{"IPv4Address":""}}}"#,
                "",
            ),
        ],
    );
    check(
        "POST /networks/n/disconnect",
        &[(r#"{"Container":"c","Force":true}"#, "")],
    );
}

#[test]
fn images_and_builds() {
    for (query, want) in [
        ("fromImage=nginx&tag=1", ""),
        ("fromImage=nginx&platform=linux%2Famd64", ""),
        (
            "fromSrc=-&repo=x&changes=CMD+x&changes=USER+y&message=m",
            "",
        ),
        ("fromSrc=http%3A%2F%2F169.254.169.254%2F&repo=x", "?fromSrc"),
        ("fromSrc=/etc/passwd", "?fromSrc"),
        ("fromImage=a&fromImage=b", "?fromImage"),
        ("FromImage=a", "?FromImage"),
        ("fromimage=a", "?fromimage"),
        ("from\u{17f}rc=x", "?from\u{17f}rc"),
    ] {
        assert_eq!(
            field(&format!("POST /images/create?{query}"), BASELINE, &[], ""),
            want,
            "{query}"
        );
    }
    for (query, want) in [
        (
            "t=x&t=y&dockerfile=Dockerfile&rm=1&buildargs=%7B%22A%22%3A%22b%22%7D&labels=%7B%7D&cachefrom=%5B%5D&version=2&session=s&buildid=b",
            "",
        ),
        (
            "networkmode=default&shmsize=0&cpushares=0&ulimits=null&target=&extrahosts=a%3A1.2.3.4",
            "",
        ),
        ("remote=client-session&version=2", ""),
        (
            "outputs=%5B%7B%22Type%22%3A%22moby%22%2C%22Attrs%22%3A%7B%7D%7D%5D",
            "",
        ),
        ("networkmode=host", "?networkmode"),
        ("networkmode=HOST", "?networkmode"),
        ("networkmode=container:x", ""),
        ("remote=http%3A%2F%2Fx%2F", "?remote"),
        ("remote=git%3A%2F%2Fx", "?remote"),
        ("networkmode=host&remote=client-session", "?networkmode"),
        ("securityopt=seccomp%3Dunconfined", "?securityopt"),
        ("cgroupparent=%2F", "?cgroupparent"),
        (
            "buildargs=%7B%22BUILDKIT_SYNTAX%22%3A%22evil%22%7D",
            "?buildargs[\"BUILDKIT_SYNTAX\"]",
        ),
        ("buildargs=%7B%22A%22%3A1%2C%22A%22%3A2%7D", "?buildargs"),
        (
            "outputs=%5B%7B%22Type%22%3A%22registry%22%7D%5D",
            "?outputs[0].Type",
        ),
        (
            "outputs=%5B%7B%22type%22%3A%22registry%22%7D%5D",
            "?outputs[0].Type",
        ),
        (
            "outputs=%5B%7B%22Type%22%3A%22image%22%2C%22Attrs%22%3A%7B%22push%22%3A%22true%22%7D%7D%5D",
            "?outputs[0].Type",
        ),
        (
            "outputs=%5B%7B%22Type%22%3A%22moby%22%2C%22Attrs%22%3A%7B%22push%22%3A%22true%22%7D%7D%5D",
            "?outputs[0].Attrs",
        ),
        // Metadata for BuildKit: the configuration of the image, with its labels and its user.
        (
            "outputs=%5B%7B%22Attrs%22%3A%7B%22containerimage.config%22%3A%22%7B%7D%22%7D%7D%5D",
            "?outputs[0].Attrs",
        ),
        ("buildargs=&outputs=&isolation=", ""),
        ("isolation=default", ""),
        ("isolation=hyperv", "?isolation"),
        ("dockerfile=%2Fetc%2Fpasswd", "?dockerfile"),
        ("dockerfile=..%2Fx", "?dockerfile"),
        // Podman's own.
        ("volume=%2F%3A%2Fhost", "?volume"),
        ("addcaps=all", "?addcaps"),
        ("devices=%5B%5D", "?devices"),
        ("nsoptions=%5B%5D", "?nsoptions"),
        ("Volume=%2F%3A%2Fhost", "?Volume"),
    ] {
        assert_eq!(
            field(&format!("POST /v1.43/build?{query}"), BASELINE, &[], ""),
            want,
            "{query}"
        );
    }
    let allowed =
        |query: &str, allow: &str| field(&format!("POST /build?{query}"), BASELINE, &[allow], "");
    assert_eq!(allowed("networkmode=host", "host-namespace=network"), "");
    assert_eq!(
        allowed(
            "remote=https%3A%2F%2Fme%2Fx.git",
            "build-remote=https://me/*"
        ),
        ""
    );
    assert_ne!(
        allowed(
            "remote=https%3A%2F%2Fmeevil%2Fx.git",
            "build-remote=https://me/*"
        ),
        ""
    );
    assert_eq!(
        allowed(
            "buildargs=%7B%22BUILDKIT_SYNTAX%22%3A%22docker%2Fdockerfile%3A1%22%7D",
            "build-frontend=docker/dockerfile:*"
        ),
        ""
    );
    check(
        "POST /commit?container=c&repo=r&tag=t&pause=1&changes=CMD+x",
        &[
            (
                r#"{"Env":["A=b"],"Cmd":["x"],"ExposedPorts":{"80/tcp":{}}}"#,
                "",
            ),
            ("", ""),
            (r#"{"HostConfig":{"Privileged":true}}"#, "HostConfig"),
        ],
    );
}

#[test]
fn clusters() {
    check(
        "POST /nodes/n/update?version=3",
        &[
            (
                r#"{"Role":"worker","Availability":"drain","Labels":{"a":"b"},"Name":"n"}"#,
                "",
            ),
            (r#"{"Role":"manager"}"#, "Role"),
            (r#"{"Role":"Manager"}"#, "Role"),
            (r#"{"Role":"manager","Role":null}"#, "!"),
            (r#"{"Role":42}"#, "Role"),
        ],
    );
    for request in ["POST /secrets/create", "POST /configs/create"] {
        check(
            request,
            &[
                (r#"{"Name":"s","Data":"eA==","Labels":{}}"#, ""),
                (r#"{"Name":"s","Driver":{"Name":"x"}}"#, "Driver"),
                (
                    r#"{"Name":"s","Templating":{"Name":"golang"}}"#,
                    "Templating.Name",
                ),
            ],
        );
    }
}

#[test]
fn restricted_containers_are_nobody_and_can_nothing() {
    let body = |user: &str, host: &str| {
        format!("{{\"Image\":\"x\",\"User\":\"{user}\",\"HostConfig\":{{{host}}}}}")
    };
    let good = r#""CapDrop":["ALL"],"SecurityOpt":["no-new-privileges"]"#;
    for (user, host, want) in [
        ("1000", good, ""),
        ("1000:1000", good, ""),
        (
            "1000",
            r#""CapDrop":["all"],"CapAdd":["NET_BIND_SERVICE"],"SecurityOpt":["no-new-privileges:true"]"#,
            "",
        ),
        ("0", good, "User"),
        ("00", good, "User"),
        ("", good, "User"),
        (" root ", good, "User"),
        ("app", good, "User"),
        (
            "1000",
            r#""SecurityOpt":["no-new-privileges"]"#,
            "HostConfig.CapDrop",
        ),
        (
            "1000",
            r#""CapDrop":["NET_RAW"],"SecurityOpt":["no-new-privileges"]"#,
            "HostConfig.CapDrop",
        ),
        ("1000", r#""CapDrop":["ALL"]"#, "HostConfig.SecurityOpt"),
        (
            "1000",
            r#""CapDrop":["ALL"],"SecurityOpt":["no-new-privileges","no-new-privileges=false"]"#,
            "HostConfig.SecurityOpt",
        ),
        (
            "1000",
            r#""CapDrop":["ALL"],"CapAdd":["CHOWN"],"SecurityOpt":["no-new-privileges"]"#,
            "HostConfig.CapAdd",
        ),
        (
            "1000",
            r#""CapDrop":["ALL"],"CapAdd":["IPC_LOCK"],"SecurityOpt":["no-new-privileges"]"#,
            "HostConfig.CapAdd",
        ),
    ] {
        assert_eq!(
            field(CREATE, RESTRICTED, &[], &body(user, host)),
            want,
            "{user} {host}"
        );
    }
    assert_eq!(field(CREATE, RESTRICTED, &[], "{}"), "User");
}

#[test]
fn a_refusal_teaches() {
    let body =
        r#"{"Env":["PASSWORD=hunter2"],"HostConfig":{"Binds":["/etc:/x"],"Privileged":true}}"#;
    let Err(objection) = judge(CREATE, BASELINE, &[], body) else {
        panic!("it passed")
    };
    let text = objection.to_string();
    assert_eq!(
        text,
        "HostConfig.Binds[0]: mounts the host path /etc; use a named volume instead; allow it with \
        guard-allow bind=/etc | HostConfig.Privileged: gives the container every right on the \
        host; allow it with guard-allow privileged"
    );
    // No more than what it takes.
    let Err(objection) = judge(
        CREATE,
        BASELINE,
        &[],
        r#"{"HostConfig":{"Binds":["/etc:/x:ro"]}}"#,
    ) else {
        panic!("it passed")
    };
    assert_eq!(
        objection.exceptions().into_iter().collect::<Vec<_>>(),
        ["bind=/etc:ro"]
    );
    // As many as anybody reads.
    let many = format!(
        "{{\"HostConfig\":{{\"Binds\":[{}\"/z:/z\"]}}}}",
        "\"/a:/a\",".repeat(500)
    );
    let Err(objection) = judge(CREATE, BASELINE, &[], &many) else {
        panic!("it passed")
    };
    assert!(
        objection.to_string().ends_with(" more") && objection.to_string().len() < 2000,
        "{objection}"
    );
}

#[test]
fn what_is_judged_is_what_is_sent() {
    let with = |request: &str, kind, body: &[u8]| {
        world::settle(&permit(request, BASELINE, &[]), kind, body).expect("harmless")
    };
    let json = Some("application/json");
    let judged = with(
        "POST /v1.43/containers/create?name=a%2Fb&platform=",
        json,
        b"{\"Image\" : \"x\" }",
    );
    assert_eq!(
        judged
            .call(permit("GET /_ping", BASELINE, &[]).call())
            .target(),
        "/v1.43/containers/create?name=a%2Fb&platform="
    );
    assert_eq!(judged.body(), Some("{\"Image\":\"x\"}"));
    // docker-modem sends the fields of the body along; engines ignore them, and do not get them.
    let judged = with(
        "POST /containers/create?Hostname=x&HostConfig=y&name=z",
        json,
        b"null",
    );
    assert_eq!(
        (
            judged
                .call(permit("GET /_ping", BASELINE, &[]).call())
                .target()
                .as_str(),
            judged.body()
        ),
        ("/containers/create?name=z", Some("{}"))
    );
    for query in ["Name=a", "name=a&name=b", "NAME=a&name=b"] {
        assert!(
            judge(
                &format!("POST /containers/create?{query}"),
                BASELINE,
                &[],
                "{}"
            )
            .is_err(),
            "{query}"
        );
    }
    let judged = with("POST /build?t=a+b&t=c%26remote%3Dhttp", None, b"");
    assert_eq!(
        judged
            .call(permit("GET /_ping", BASELINE, &[]).call())
            .target(),
        "/build?t=a%20b&t=c%26remote%3Dhttp"
    );
    assert_eq!(judged.body(), None);
}

/// The mode is the client's own choice, unless it owns what it creates.
#[test]
fn volumes_of_another_container_keep_their_mode() {
    for from in ["x", "x:ro", "x:rw"] {
        let body = format!(r#"{{"HostConfig":{{"VolumesFrom":["{from}"]}}}}"#);
        let sent = judge(CREATE, BASELINE, &["volumes-from"], &body).expect("an exception");
        assert!(sent.contains(&format!(r#"["{from}"]"#)), "{from}: {sent}");
    }
}

/// The engine follows a link when it mounts, as root.
#[test]
fn links_of_the_host_are_judged_by_their_destination() {
    fn led_to(path: &str) -> HostPath {
        match path {
            "/srv/link" => HostPath::LeadsTo("/etc".to_owned()),
            "/srv/moved" => HostPath::LeadsTo("/srv/store/moved".to_owned()),
            "/srv/gone" => HostPath::Missing,
            "/srv/hung" => HostPath::Unknown,
            // A look at a file system that hangs would take the proxy's thread.
            "/mnt/hung" => panic!("a path that is refused is not looked at"),
            path => HostPath::LeadsTo(path.to_owned()),
        }
    }
    for (path, allow, passes) in [
        ("/srv/link", &["bind=/srv/**"][..], false),
        ("/srv/../srv//link", &["bind=/srv/**"], false),
        ("/srv/link", &["bind=/srv/**", "bind=/etc"], true),
        ("/srv/moved", &["bind=/srv/**"], true),
        ("/srv/moved", &["bind=/srv/moved"], false),
        ("/mnt/hung", &["bind=/srv/**"], false),
        ("/srv/gone", &["bind=/srv/**"], true),
        ("/srv/hung", &["bind=/srv/**"], false),
        ("/srv/plain", &["bind=/srv/**"], true),
    ] {
        let body = format!(r#"{{"HostConfig":{{"Binds":["{path}:/x"]}}}}"#);
        let around = Surroundings {
            resolve_path: Some(&led_to),
            ..Surroundings::default()
        };
        let settled = world::settle_in(
            &permit(CREATE, BASELINE, allow),
            Some("application/json"),
            body.as_bytes(),
            around,
            &world::plain,
            world::RECENT,
        );
        assert_eq!(settled.is_ok(), passes, "{path} with {allow:?}");
    }
}

/// A swarm fills in templates after the judgement, and engines have folders of their own for paths
/// without a slash: no exception means these.
#[test]
fn exceptions_for_binds_are_about_absolute_paths_alone() {
    for (source, want) in [
        ("/srv/x", ""),
        ("/srv/{{.Node.Hostname}}", "HostConfig.Mounts[0].Source"),
        ("srv/x", "HostConfig.Mounts[0].Source"),
        ("", "HostConfig.Mounts[0].Source"),
    ] {
        let mount = format!(r#"{{"Type":"bind","Source":"{source}","Target":"/x"}}"#);
        let body = format!(r#"{{"HostConfig":{{"Mounts":[{mount}]}}}}"#);
        let found = field(CREATE, BASELINE, &["bind=/**"], &body);
        assert_eq!(found, want, "{source:?}");
    }
}

/// Each object that a body names is a question to the engine, for which the client waits.
#[test]
fn a_body_names_a_bounded_number_of_objects() {
    for (count, is_refused) in [(60, false), (80, true)] {
        let volumes: Vec<String> = (0..count).map(|at| format!(r#""v{at}:/v{at}""#)).collect();
        let body = format!(r#"{{"HostConfig":{{"Binds":[{}]}}}}"#, volumes.join(","));
        let says_so = match judge(CREATE, BASELINE, &[], &body) {
            Ok(_) => false,
            Err(objection) => objection.to_string().contains("names more than 64 objects"),
        };
        assert_eq!(says_so, is_refused, "{count} volumes");
    }
}

#[test]
fn podman_pulls_from_registries_only() {
    for (reference, want) in [
        ("busybox", ""),
        ("quay.io/a/b:1", ""),
        ("localhost:5000/a", ""),
        ("docker%3A%2F%2Fquay.io%2Fa", ""),
        ("docker%3A%2F%2Fdir%3A%2Fetc", "?reference"),
        ("%2Fetc%2Fpasswd", "?reference"),
        ("busybox&authfile=", ""),
        ("busybox&authfile=%2Froot%2Fauth.json", "?authfile"),
    ] {
        assert_eq!(
            field(
                &format!("POST /v4.0.0/libpod/images/pull?reference={reference}&policy=always"),
                BASELINE,
                &[],
                ""
            ),
            want,
            "{reference}"
        );
    }
}

const LIBPOD_CREATE: &str = "POST /v4.3.1/libpod/containers/create";

/// What `podman --remote create` sends, with ports, volumes, limits, a user and a health check.
const PODMAN: &str = r#""name":"c2","command":["echo","hello"],"httpproxy":true,"env":{"A":"b"},"labels":{"a":"b"},"annotations":{"io.kubernetes.cri-o.TTY":"false"},
    "stop_timeout":10,"log_configuration":{},"raw_image_name":"busybox","restart_policy":"always","systemd":"true","sdnotifyMode":"container","pidns":{},"utsns":{},
    "hostname":"h","sysctl":{"net.ipv4.ip_unprivileged_port_start":"0"},"containerCreateCommand":["podman","create"],"init_container_type":"","manage_password":true,
    "image":"busybox","image_volume_mode":"anonymous","mounts":[{"destination":"/t","type":"tmpfs","source":"tmpfs","options":["rw","rprivate","nosuid","nodev","tmpcopyup"]}],
    "volumes":[{"Name":"data","Dest":"/data","Options":null,"IsAnonymous":false}],"ipcns":{},"user":"1000","cap_drop":["ALL"],"seccomp_policy":"default","no_new_privileges":true,
    "userns":{},"idmappings":{"HostUIDMapping":true,"HostGIDMapping":true,"UIDMap":null,"GIDMap":null,"AutoUserNs":false,
        "AutoUserNsOpts":{"Size":0,"InitialSize":0,"PasswdFile":"","GroupFile":"","AdditionalUIDMappings":null,"AdditionalGIDMappings":null}},
    "read_only_filesystem":true,"umask":"0022","cgroupns":{},"cgroups_mode":"enabled","netns":{"nsmode":"bridge"},
    "portmappings":[{"host_ip":"","container_port":80,"host_port":8080,"range":1,"protocol":""}],"Networks":{},"use_image_hosts":false,"hostadd":["x:1.2.3.4"],
    "resource_limits":{"memory":{"limit":67108864,"swap":134217728},"cpu":{"quota":100000,"period":100000},"pids":{"limit":5}},
    "r_limits":[{"type":"nofile","hard":6,"soft":5}],"healthconfig":{"Test":["CMD-SHELL","true"],"Interval":30000000000,"Timeout":30000000000,"Retries":3}"#;

#[test]
fn ordinary_containers_of_podman_pass() {
    let one_run = r#"{"image":"busybox","remove":true,"removeImage":true}"#;
    assert_eq!(field(LIBPOD_CREATE, BASELINE, &[], one_run), "");
    for (name, modes) in [
        (
            "ipcns",
            &["", "default", "private", "shareable", "none"][..],
        ),
        ("pidns", &["", "default", "private"]),
        ("netns", &["bridge", "none", "slirp4netns", "pasta"]),
        ("userns", &["auto", "keep-id", "nomap", "no-map"]),
    ] {
        for mode in modes {
            let body = format!(r#"{{"image":"busybox","{name}":{{"nsmode":"{mode}"}}}}"#);
            assert_eq!(field(LIBPOD_CREATE, BASELINE, &[], &body), "", "{body}");
        }
    }
    assert_eq!(
        field(LIBPOD_CREATE, BASELINE, &[], &format!("{{{PODMAN}}}")),
        ""
    );
    assert_eq!(
        field(LIBPOD_CREATE, RESTRICTED, &[], &format!("{{{PODMAN}}}")),
        ""
    );
}

#[test]
fn what_gives_podmans_host_away_is_refused() {
    for (more, want) in [
        (r#""privileged":true"#, "privileged"),
        (r#""rootfs":"/""#, "rootfs"),
        (r#""rootfs_overlay":true"#, "rootfs_overlay"),
        (r#""pidns":{"nsmode":"host"}"#, "pidns"),
        (r#""ipcns":{"nsmode":"host"}"#, "ipcns"),
        (r#""utsns":{"nsmode":"host"}"#, "utsns"),
        (r#""userns":{"nsmode":"host"}"#, "userns"),
        (r#""cgroupns":{"nsmode":"host"}"#, "cgroupns"),
        (r#""netns":{"nsmode":"host"}"#, "netns"),
        (
            r#""netns":{"nsmode":"path","value":"/proc/1/ns/net"}"#,
            "netns",
        ),
        (
            r#""netns":{"nsmode":"slirp4netns","value":"allow_host_loopback=true"}"#,
            "netns",
        ),
        (r#""pidns":{"nsmode":"pod"}"#, "pidns"),
        (r#""pod":"x""#, "pod"),
        (
            r#""mounts":[{"destination":"/x","type":"bind","source":"/etc"}]"#,
            "mounts[0].source",
        ),
        (
            r#""mounts":[{"destination":"/x","type":"none","source":"/etc","options":["rbind"]}]"#,
            "mounts[0]",
        ),
        (
            r#""mounts":[{"destination":"/x","type":"tmpfs","source":"/etc","options":["rbind"]}]"#,
            "mounts[0]",
        ),
        (
            r#""mounts":[{"destination":"/x","type":"cgroup","source":"cgroup"}]"#,
            "mounts[0]",
        ),
        (
            r#""volumes":[{"Name":"/etc","Dest":"/x"}]"#,
            "volumes[0].Name",
        ),
        (
            r#""volumes":[{"Name":"a","Dest":"/x","Options":["upperdir=/etc"]}]"#,
            "volumes[0]",
        ),
        (
            r#""overlay_volumes":[{"source":"/etc","destination":"/x"}]"#,
            "overlay_volumes",
        ),
        (r#""volumes_from":["x"]"#, "volumes_from"),
        (
            r#""devices":[{"path":"/dev/sda:/dev/x:rwm"}]"#,
            "devices[0]",
        ),
        (
            r#""device_cgroup_rule":[{"allow":true}]"#,
            "device_cgroup_rule",
        ),
        (
            r#""host_device_list":[{"path":"/dev/sda"}]"#,
            "host_device_list",
        ),
        (r#""cap_add":["SYS_ADMIN"]"#, "cap_add"),
        (
            r#""seccomp_profile_path":"unconfined""#,
            "seccomp_profile_path",
        ),
        (r#""seccomp_policy":"image""#, "seccomp_policy"),
        (r#""apparmor_profile":"unconfined""#, "apparmor_profile"),
        (r#""selinux_opts":["disable"]"#, "selinux_opts"),
        (r#""label_nested":true"#, "label_nested"),
        (r#""unmask":["ALL"]"#, "unmask"),
        (r#""procfs_opts":["hidepid=0"]"#, "procfs_opts"),
        (r#""oci_runtime":"/bin/sh""#, "oci_runtime"),
        (r#""init_path":"/bin/sh""#, "init_path"),
        (r#""conmon_pid_file":"/etc/x""#, "conmon_pid_file"),
        (r#""sdnotifyMode":"conmon""#, "sdnotifyMode"),
        (r#""env_host":true"#, "env_host"),
        (r#""secrets":[{"Source":"x"}]"#, "secrets"),
        (r#""secret_env":{"A":"x"}"#, "secret_env"),
        (r#""hostusers":["root"]"#, "hostusers"),
        (
            r#""log_configuration":{"options":{"path":"/etc/x"}}"#,
            r#"log_configuration.options["path"]"#,
        ),
        (
            r#""log_configuration":{"options":{"tag":"x","max-size":"1m"}}"#,
            "",
        ),
        (
            r#""log_configuration":{"driver":"k8s-file","path":"/etc/x"}"#,
            "log_configuration.path",
        ),
        (
            r#""annotations":{"run.oci.hooks.stdout":"/x"}"#,
            r#"annotations["run.oci.hooks.stdout"]"#,
        ),
        (r#""base_hosts_file":"/etc/shadow""#, "base_hosts_file"),
        (
            r#""network_options":{"slirp4netns":["x"]}"#,
            "network_options",
        ),
        (r#""cgroup_parent":"/x""#, "cgroup_parent"),
        (r#""cgroups_mode":"disabled""#, "cgroups_mode"),
        (r#""systemd":"always""#, "systemd"),
        (r#""systemd":"ALWAYS""#, "systemd"),
        (
            r#""resource_limits":{"devices":[{"allow":true,"access":"rwm"}]}"#,
            "resource_limits.devices",
        ),
        (
            r#""resource_limits":{"unified":{"x":"y"}}"#,
            "resource_limits.unified",
        ),
        (r#""unified":{"x":"y"}"#, "unified"),
        (r#""rootfs_propagation":"shared""#, "rootfs_propagation"),
        (r#""chroot_directories":["/x"]"#, "chroot_directories"),
        (r#""healthLogDestination":"/etc""#, "healthLogDestination"),
        (
            r#""idmappings":{"UIDMap":[{"container_id":0,"host_id":0,"size":1}]}"#,
            "idmappings.UIDMap",
        ),
        (
            r#""idmappings":{"AutoUserNsOpts":{"PasswdFile":"/etc/shadow"}}"#,
            "idmappings.AutoUserNsOpts.PasswdFile",
        ),
        (
            r#""sysctl":{"kernel.core_pattern":"x"}"#,
            r#"sysctl["kernel.core_pattern"]"#,
        ),
        (r#""oom_score_adj":-1"#, "oom_score_adj"),
        // Docker's words are none of Podman's, and Podman takes keys in any case.
        (r#""HostConfig":{"Privileged":true}"#, "HostConfig"),
        (r#""Privileged":true"#, "privileged"),
        (r#""netns":{"NSMode":"host"}"#, "netns"),
    ] {
        let body = format!("{{\"image\":\"x\",{more}}}");
        assert_eq!(field(LIBPOD_CREATE, BASELINE, &[], &body), want, "{body}");
    }
    for (body, allow, near) in [
        (r#"{"privileged":true}"#, "privileged", "exec-privileged"),
        (
            r#"{"mounts":[{"destination":"/x","type":"bind","source":"/srv/x","options":["bind","ro"]}]}"#,
            "bind=/srv/**:ro",
            "bind=/srv",
        ),
        (
            r#"{"netns":{"nsmode":"host"}}"#,
            "host-namespace=network",
            "host-namespace=pid",
        ),
        (
            r#"{"systemd":"always"}"#,
            "host-namespace=cgroup",
            "host-namespace=pid",
        ),
        (
            r#"{"devices":[{"path":"/dev/fuse"}]}"#,
            "device=/dev/fuse",
            "device=/dev",
        ),
        (
            r#"{"seccomp_profile_path":"unconfined"}"#,
            "security-opt=seccomp=unconfined",
            "security-opt=apparmor=unconfined",
        ),
        (
            r#"{"annotations":{"a":"b"}}"#,
            "annotation=a",
            "annotation=b",
        ),
    ] {
        check_exceptions(LIBPOD_CREATE, &[(body, allow, near)]);
    }
    for (more, want) in [
        (
            r#""user":"0","cap_drop":["ALL"],"no_new_privileges":true"#,
            "user",
        ),
        (
            r#""user":"1","cap_drop":["NET_RAW"],"no_new_privileges":true"#,
            "cap_drop",
        ),
        (
            r#""user":"1","cap_drop":["ALL"],"no_new_privileges":false"#,
            "no_new_privileges",
        ),
        (r#""user":"1","cap_drop":["ALL"]"#, "no_new_privileges"),
    ] {
        assert_eq!(
            field(LIBPOD_CREATE, RESTRICTED, &[], &format!("{{{more}}}")),
            want,
            "{more}"
        );
    }
}

/// What `docker stack deploy` makes of an ordinary service.
const SERVICE: &str = r#"{"Name":"shop_web","Labels":{"com.docker.stack.namespace":"shop"},"TaskTemplate":{"ContainerSpec":{"Image":"nginx@sha256:0","Labels":{"a":"b"},
    "Env":["A=b"],"Privileges":{"CredentialSpec":null,"SELinuxContext":null},"Mounts":[{"Type":"volume","Source":"data","Target":"/d","VolumeOptions":{"Labels":{"a":"b"}}}],
    "Isolation":"default","Secrets":[{"File":{"Name":"s","UID":"0","GID":"0","Mode":292},"SecretID":"x","SecretName":"s"}],"Sysctls":{"net.ipv4.tcp_syncookies":"1"}},
    "Resources":{"Limits":{"MemoryBytes":1000}},"RestartPolicy":{"Condition":"any"},"Placement":{"Constraints":["node.role == worker"],"Platforms":[{"Architecture":"amd64","OS":"linux"}]},
    "Networks":[{"Target":"8kvg5hnvs3xk3r7j4gqlyzd2p","Aliases":["web"]}],"ForceUpdate":0,"Runtime":"container"},"Mode":{"Replicated":{"Replicas":2}},
    "UpdateConfig":{"Parallelism":1,"FailureAction":"rollback","MaxFailureRatio":0,"Order":"start-first"},"EndpointSpec":{"Mode":"vip","Ports":[{"Protocol":"tcp","TargetPort":80,"PublishedPort":8080,"PublishMode":"ingress"}]}}"#;

#[test]
fn services() {
    for request in [
        "POST /services/create",
        "POST /v1.43/services/abc/update?version=12&registryAuthFrom=spec",
    ] {
        assert_eq!(field(request, BASELINE, &[], SERVICE), "", "{request}");
        assert_eq!(
            field(request, RESTRICTED, &[], SERVICE),
            "TaskTemplate.ContainerSpec.User"
        );
        for (more, want) in [
            (r#""CapabilityAdd":["ALL"]"#, "CapabilityAdd"),
            (
                r#""Mounts":[{"Type":"bind","Source":"/etc","Target":"/x"}]"#,
                "Mounts[0].Source",
            ),
            (
                r#""Mounts":[{"Source":"/etc","Target":"/x"}]"#,
                "Mounts[0].Type",
            ),
            (
                r#""Mounts":[{"Type":"BIND","Source":"/etc","Target":"/x"}]"#,
                "Mounts[0].Type",
            ),
            (
                r#""Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"DriverConfig":{"Options":{"device":"/"}}}}]"#,
                r#"Mounts[0].VolumeOptions.DriverConfig.Options["device"]"#,
            ),
            (
                r#""Mounts":[{"Type":"volume","Target":"/x","BindOptions":{"Propagation":"RShared"}}]"#,
                "Mounts[0].BindOptions.Propagation",
            ),
            (
                r#""Privileges":{"Seccomp":{"Mode":"unconfined"}}"#,
                "Privileges.Seccomp.Mode",
            ),
            (
                r#""Privileges":{"Seccomp":{"Mode":"default","Profile":"e30="}}"#,
                "Privileges.Seccomp.Profile",
            ),
            (
                r#""Privileges":{"AppArmor":{"Mode":"disabled"}}"#,
                "Privileges.AppArmor.Mode",
            ),
            (
                r#""Privileges":{"SELinuxContext":{"Disable":true}}"#,
                "Privileges.SELinuxContext.Disable",
            ),
            (
                r#""Privileges":{"CredentialSpec":{"File":"x"}}"#,
                "Privileges.CredentialSpec",
            ),
            (r#""Sysctls":{"kernel.x":"1"}"#, r#"Sysctls["kernel.x"]"#),
            (r#""OomScoreAdj":-5"#, "OomScoreAdj"),
            (r#""Isolation":"hyperv""#, "Isolation"),
            (r#""Configs":[{"Runtime":{},"ConfigID":"x"}]"#, ""),
            (r#""Devices":[{"PathOnHost":"/dev/sda"}]"#, "Devices"),
        ] {
            let body =
                format!("{{\"TaskTemplate\":{{\"ContainerSpec\":{{\"Image\":\"x\",{more}}}}}}}");
            let want = if want.is_empty() {
                String::new()
            } else {
                format!("TaskTemplate.ContainerSpec.{want}")
            };
            assert_eq!(field(request, BASELINE, &[], &body), want, "{body}");
        }
        check(
            request,
            &[
                (
                    r#"{"TaskTemplate":{"Networks":[{"Target":"host"}]}}"#,
                    "TaskTemplate.Networks[0].Target",
                ),
                (r#"{"Networks":[{"Target":"host"}]}"#, "Networks[0].Target"),
                (
                    r#"{"TaskTemplate":{"Runtime":"plugin"}}"#,
                    "TaskTemplate.Runtime",
                ),
                (
                    r#"{"TaskTemplate":{"PluginSpec":{"Name":"x"}}}"#,
                    "TaskTemplate.PluginSpec",
                ),
                (
                    r#"{"TaskTemplate":{"LogDriver":{"Name":"gelf"}}}"#,
                    "TaskTemplate.LogDriver.Name",
                ),
                (
                    r#"{"TaskTemplate":{"Resources":{"Reservations":{"GenericResources":[{"DiscreteResourceSpec":{"Kind":"GPU","Value":1}}]}}}}"#,
                    "TaskTemplate.Resources.Reservations.GenericResources",
                ),
            ],
        );
    }
    assert_eq!(
        field(
            "POST /services/abc/update?version=1&rollback=previous",
            BASELINE,
            &[],
            SERVICE
        ),
        "?rollback"
    );
    let strict = r#"{"TaskTemplate":{"ContainerSpec":{"User":"1","CapabilityDrop":["ALL"],"Privileges":{"NoNewPrivileges":true}}}}"#;
    // Engines drop NoNewPrivileges before this version, and capabilities before 1.41.
    for (version, want) in [
        ("/v1.44", ""),
        ("/v1.51", ""),
        ("/v1.43", "TaskTemplate.ContainerSpec"),
        ("/v1.40", "TaskTemplate.ContainerSpec"),
        ("", "TaskTemplate.ContainerSpec"),
    ] {
        for request in ["create", "abc/update?version=1"] {
            let request = format!("POST {version}/services/{request}");
            assert_eq!(field(&request, RESTRICTED, &[], strict), want, "{request}");
            assert_eq!(field(&request, BASELINE, &[], strict), "", "{request}");
        }
    }
}

/// Each of these once passed, and gave the host away or did not do what it said.
#[test]
fn what_an_attack_found() {
    let host = |host: &str| format!("{{\"HostConfig\":{{{host}}}}}");
    check(
        CREATE,
        &[
            // Podman takes the paths of volumes and file systems for whole mounts.
            (r#"{"Volumes":{"/:/host":{}}}"#, r#"Volumes["/:/host"]"#),
            (r#"{"Volumes":{"data:/x":{}}}"#, r#"Volumes["data:/x"]"#),
            (
                &host(r#""Tmpfs":{"/t:dev,suid":""}"#),
                r#"HostConfig.Tmpfs["/t:dev,suid"]"#,
            ),
            (
                &host(
                    r#""Mounts":[{"Type":"volume","Source":"v","Target":"/x","Consistency":"default,volume-opt=o=bind"}]"#,
                ),
                "HostConfig.Mounts[0].Consistency",
            ),
            // It takes the file to write to, and another driver, from the options of the log.
            (
                &host(r#""LogConfig":{"Type":"k8s-file","Config":{"path":"/root/.bashrc"}}"#),
                r#"HostConfig.LogConfig.Config["path"]"#,
            ),
            (
                &host(r#""LogConfig":{"Type":"json-file","Config":{"Driver":"k8s-file"}}"#),
                r#"HostConfig.LogConfig.Config["Driver"]"#,
            ),
            (
                &host(r#""LogConfig":{"Type":"","Config":{"syslog-address":"tcp://x"}}"#),
                r#"HostConfig.LogConfig.Config["syslog-address"]"#,
            ),
            // Its own environment is copied for a star.
            (r#"{"Env":["A=b","NAME","*"]}"#, "Env[2]"),
            (
                &host(r#""Binds":["/var/run/docker.sock:/x:ro"]"#),
                "HostConfig.Binds[0]",
            ),
        ],
    );
    let Err(objection) = judge(
        CREATE,
        BASELINE,
        &[],
        &host(r#""Binds":["/var/run/docker.sock:/x"]"#),
    ) else {
        panic!("it passed")
    };
    assert!(
        !objection.to_string().contains("guard-allow"),
        "{objection}"
    );
    let syslog = host(r#""LogConfig":{"Type":"syslog","Config":{"syslog-address":"tcp://x"}}"#);
    assert_eq!(field(CREATE, BASELINE, &["log-driver=syslog"], &syslog), "");

    // A label for SELinux is written to every file, and what is mounted below may stay writable.
    let reading = |body: &str| field(CREATE, BASELINE, &["bind=/srv/**:ro"], &host(body));
    assert_eq!(reading(r#""Binds":["/srv:/x:ro"]"#), "");
    assert_ne!(reading(r#""Binds":["/srv:/x:ro,Z"]"#), "");
    for option in ["ReadOnlyNonRecursive", "CreateMountpoint", "NonRecursive"] {
        let mount = format!(
            r#""Mounts":[{{"Type":"bind","Source":"/srv","Target":"/x","ReadOnly":true,"BindOptions":{{"{option}":true}}}}]"#
        );
        // Nothing below is mounted, or a folder is made as `-v` makes it: both only read.
        assert_eq!(
            reading(&mount).is_empty(),
            option != "ReadOnlyNonRecursive",
            "{option}"
        );
    }

    // What Podman unmarshals before it looks for a file, and what it fetches.
    for dockerfile in [
        "%20%5B%22/etc/shadow%22%5D",
        "%5B%22x%22%5D",
        "%22\\u002e\\u002e%22",
        "http%3A%2F%2Fx%2Fy",
        "a%2F%2Fb",
        "..%2Fx",
    ] {
        assert_eq!(
            field(
                &format!("POST /build?dockerfile={dockerfile}"),
                BASELINE,
                &[],
                ""
            ),
            "?dockerfile",
            "{dockerfile}"
        );
    }
    assert_eq!(
        field(
            "POST /build?dockerfile=docker%2FMy%20Dockerfile.prod-1",
            BASELINE,
            &[],
            ""
        ),
        ""
    );

    // Go reads the types of bodies more leniently than it should.
    let pull = permit("POST /images/create?fromImage=nginx", BASELINE, &[]);
    for kind in [
        "?",
        "mult\u{130}part/form-data; boundary=x",
        "application/x-www-form-urlencoded; a=\u{fffd}",
        "x/y",
    ] {
        assert!(world::settle(&pull, Some(kind), b"").is_err(), "{kind}");
    }
    for kind in [
        "application/x-tar",
        "application/tar",
        "application/json",
        "TEXT/plain; charset=utf-8",
    ] {
        assert!(world::settle(&pull, Some(kind), b"").is_ok(), "{kind}");
    }
    // No form says anything in an empty body.
    let start = permit("POST /containers/web/start", BASELINE, &[]);
    assert!(world::settle(&start, Some("application/x-www-form-urlencoded"), b"").is_ok());
}

#[test]
fn an_import_from_a_url_can_be_allowed() {
    let request = "POST /images/create?fromSrc=https%3A%2F%2Fme%2Fx.tar&repo=x";
    assert_eq!(
        field(request, BASELINE, &["import-url=https://me/*"], ""),
        ""
    );
    assert_eq!(
        field(request, BASELINE, &["import-url=https://you/*"], ""),
        "?fromSrc"
    );
}

#[test]
fn images_cannot_be_renamed_into_what_is_allowed() {
    let mine = &["image=ghcr.io/me/x:*"][..];
    for (request, want) in [
        ("POST /images/create?fromImage=ghcr.io%2Fme%2Fx&tag=1.0", ""),
        (
            "POST /images/create?fromImage=ghcr.io%2Fme%2Fy&tag=1.0",
            "?fromImage",
        ),
        (
            "POST /images/create?fromSrc=-&repo=ghcr.io%2Fme%2Fx&tag=1",
            "?fromSrc",
        ),
        (
            "POST /images/ghcr.io/me/x:1/tag?repo=ghcr.io%2Fyou%2Fx&tag=1",
            "?repo",
        ),
        (
            "POST /images/ghcr.io/me/x:1/tag?repo=ghcr.io%2Fme%2Fx&tag=2",
            "",
        ),
        // What is allowed must not become the name of another image.
        (
            "POST /images/alpine/tag?repo=ghcr.io%2Fme%2Fx&tag=1",
            "the image",
        ),
        (
            "POST /v1.43/images/evil.io/me/x:1/tag?repo=ghcr.io%2Fme%2Fx&tag=1",
            "the image",
        ),
        (
            "POST /v5.0.0/libpod/images/alpine/tag?repo=ghcr.io%2Fme%2Fx&tag=1",
            "the image",
        ),
        (
            "POST /v5.0.0/libpod/images/ghcr.io/me/x:1/tag?repo=ghcr.io%2Fyou%2Fx&tag=1",
            "?repo",
        ),
    ] {
        assert_eq!(field(request, BASELINE, mine, ""), want, "{request}");
        assert_eq!(field(request, BASELINE, &[], ""), "", "{request}");
    }
    // `alpine/tag` is not `alpine`.
    let two = &["image=alpine", "image=mine:1"][..];
    assert_eq!(
        field("POST /images/alpine/tag?repo=mine&tag=1", BASELINE, two, ""),
        ""
    );
    assert_eq!(
        field(
            "POST /images/alpine/tag/tag?repo=mine&tag=1",
            BASELINE,
            two,
            ""
        ),
        "the image"
    );
    // An identifier may be of any registry, and engines find an image by its first digit.
    for image in ["4f2a9c0d1e2b", "sha256:4f2a", "4f2a", "f", "0"] {
        assert_eq!(
            field(
                CREATE,
                BASELINE,
                &["registry=docker.io"],
                &format!("{{\"Image\":\"{image}\"}}")
            ),
            "Image"
        );
    }
    assert_eq!(
        field(
            "POST /images/alpine/tag?repo=x&tag=1&force=0",
            BASELINE,
            &[],
            ""
        ),
        ""
    );
}

/// What docker-modem, Portainer, docker-py and Podman send beside what an engine reads.
#[test]
fn what_clients_send_beside_is_not_in_their_way() {
    let dropped = judge(
        CREATE,
        BASELINE,
        &[],
        r#"{"name":"web","platform":"linux","Image":"x","HostConfig":{"ContainerIDFile":"/x"}}"#,
    );
    assert_eq!(
        dropped.ok().as_deref(),
        Some(r#"{"Image":"x","HostConfig":{}}"#)
    );
    check(
        "POST /commit?container=c",
        &[(
            r#"{"container":"c","repo":"r","tag":"t","comment":"x","author":"y","pause":true,"changes":"CMD x"}"#,
            "",
        )],
    );
    check(
        "POST /containers/web/exec",
        &[
            (
                r#"{"Container":"web","detachKeys":"ctrl-x","Cmd":["x"]}"#,
                "",
            ),
            (
                r#"{"DetachKeys":"a","detachKeys":"b","Cmd":["x"]}"#,
                "detachKeys",
            ),
        ],
    );
    check(
        "POST /v5.0.0/libpod/exec/abc/remove",
        &[(r#"{"Force":true}"#, "")],
    );
}

#[test]
fn refusals_keep_secrets_and_promise_nothing_that_would_not_help() {
    let text = |request: &str, body: &str| match judge(request, BASELINE, &[], body) {
        Ok(_) => panic!("it passed: {request} {body}"),
        Err(objection) => objection.to_string(),
    };
    for (request, body) in [
        (
            "POST /volumes/create",
            r#"{"DriverOpts":{"o":"username=bob,password=hunter2"}}"#,
        ),
        (
            "POST /build?remote=https%3A%2F%2Fme%3Ahunter2%40x%2Fy.git",
            "",
        ),
        (
            "POST /images/create?fromSrc=https%3A%2F%2Fme%3Ahunter2%40x%2Fy",
            "",
        ),
        (
            "POST /containers/create",
            r#"{"Env":["P=hunter2"],"HostConfig":{"SecurityOpt":["seccomp={\"hunter2\":1}"]}}"#,
        ),
    ] {
        let text = text(request, body);
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(
        text("POST /volumes/create", r#"{"DriverOpts":{"o":"x"}}"#)
            .ends_with("allow it with guard-allow volume-option=o=…")
    );
    let long = "\u{7f}".repeat(10_000);
    for body in [
        format!(r#"{{"HostConfig":{{"Runtime":"{long}"}}}}"#),
        format!(r#"{{"HostConfig":{{"LogConfig":{{"Type":"{long}"}}}}}}"#),
        format!(r#"{{"HostConfig":{{"VolumeDriver":"{long}"}}}}"#),
        format!(r#"{{"HostConfig":{{"Binds":["/{long}:/x"]}}}}"#),
        format!(r#"{{"HostConfig":{{"Binds":["/a*:/x"],"{long}":1}}}}"#),
    ] {
        let text = text("POST /containers/create", &body);
        assert!(
            text.len() < 2_000 && !text.contains("guard-allow"),
            "{} {}",
            text.len(),
            &text[..text.len().min(300)]
        );
    }
    assert!(
        text(&format!("POST /build?{}", "t=x&".repeat(1000)), "")
            .contains("more than 512 parameters")
    );
}

/// The engine's errors tell whether a path of the host exists.
#[test]
fn no_text_probes_the_files_of_the_host() {
    for (zone, is_good) in [
        ("Europe/Berlin", true),
        ("Etc/GMT+5", true),
        ("local", true),
        ("../../../etc/shadow", false),
        ("/etc/shadow", false),
        ("Europe/", false),
    ] {
        let body = format!(r#"{{"image":"x","timezone":"{zone}"}}"#);
        let judged = judge(LIBPOD_CREATE, GuardLevel::Baseline, &[], &body);
        assert_eq!(judged.is_ok(), is_good, "{zone}: {judged:?}");
    }
    for key in [
        "BlkioWeightDevice",
        "BlkioDeviceReadBps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteIOps",
    ] {
        for (path, is_good) in [
            ("/dev/sda", true),
            ("/dev/mapper/data", true),
            ("/etc/shadow", false),
            ("/dev/../etc/shadow", false),
            ("/dev/", false),
            ("sda", false),
        ] {
            let body = format!(r#"{{"HostConfig":{{"{key}":[{{"Path":"{path}"}}]}}}}"#);
            let judged = judge("POST /containers/create", GuardLevel::Baseline, &[], &body);
            assert_eq!(judged.is_ok(), is_good, "{key} {path}: {judged:?}");
        }
    }
}

/// Podman lists the files of the object that `parent` names.
#[test]
fn changes_are_those_of_the_object_in_the_path() {
    for (request, want) in [
        ("GET /containers/web/changes?parent=other", "?parent"),
        (
            "GET /v5.0.0/libpod/containers/web/changes?Parent=other",
            "?parent",
        ),
        (
            "GET /v5.0.0/libpod/images/web/changes?parent=other",
            "?parent",
        ),
        ("GET /containers/web/changes", ""),
        ("GET /containers/web/json?parent=other", ""),
    ] {
        assert_eq!(field(request, BASELINE, &[], ""), want, "{request}");
    }
}

/// The engine connects to the registry of a search, and of a question about an image.
#[test]
fn questions_go_to_registries_that_are_allowed() {
    for (request, want) in [
        ("GET /images/search?term=127.0.0.1:18181/x", "?term"),
        ("GET /images/search?Term=localhost/x", "?term"),
        ("GET /images/search?term=ghcr.io/x", ""),
        ("GET /images/search?term=x", "?term"),
        (
            "GET /v5.0.0/libpod/images/search?term=127.0.0.1:18181/x&tlsVerify=false",
            "?term",
        ),
        ("GET /distribution/127.0.0.1:18181/x/json", "the image"),
        ("GET /distribution/ghcr.io/x:1/json", ""),
        (
            "GET /plugins/privileges?remote=127.0.0.1:18585/x",
            "?remote",
        ),
        ("GET /plugins/privileges?remote=ghcr.io/x:1", ""),
        (
            "GET /v5.0.0/libpod/manifests/127.0.0.1:18181%2Fx/json",
            "the image",
        ),
        (
            "GET /v5.0.0/libpod/manifests/docker:%2F%2F127.0.0.1:18181%2Fx/json",
            "the image",
        ),
        ("GET /v5.0.0/libpod/manifests/ghcr.io%2Fx:1/json", ""),
    ] {
        assert_eq!(
            field(request, BASELINE, &["registry=ghcr.io"], ""),
            want,
            "{request}"
        );
        assert_eq!(field(request, BASELINE, &[], ""), "", "{request}");
    }
}

/// A list of manifests is made from images that Podman looks for by their transports.
#[test]
fn lists_of_manifests_take_images_of_registries_only() {
    for path in ["create?name=x", "x", "x/add"] {
        for (image, is_refused) in [
            ("containers-storage:[vfs@/a+/b]x", true),
            ("dir:/etc", true),
            ("quay.io/a/b:1", false),
            ("docker://quay.io/a/b:1", false),
        ] {
            let request = format!("POST /v5.0.0/libpod/manifests/{path}");
            let body = format!(r#"{{"operation":"update","images":["{image}"]}}"#);
            let found = field(&request, BASELINE, &[], &body);
            assert_eq!(
                found.starts_with("images"),
                is_refused,
                "{request} {body}: {found}"
            );
        }
    }
}

/// Podman opens a store of images at any path that a name tells.
#[test]
fn bodies_name_no_image_of_the_host() {
    let store = "containers-storage:[vfs@/a+/b]docker.io/library/x:1";
    for (request, body, want) in [
        (LIBPOD_CREATE, format!(r#""image":"{store}""#), "image"),
        (
            LIBPOD_CREATE,
            format!(r#""image":"x","image_volumes":[{{"Source":"{store}","Destination":"/a"}}]"#),
            "image_volumes",
        ),
        (
            "POST /containers/create",
            format!(r#""Image":"{store}""#),
            "Image",
        ),
        (
            "POST /containers/create",
            format!(
                r#""HostConfig":{{"Mounts":[{{"Type":"image","Target":"/a","Source":"{store}"}}]}}"#
            ),
            "HostConfig.Mounts[0].Source",
        ),
        (
            "POST /containers/create",
            r#""Image":"oci-archive:/etc/x""#.to_owned(),
            "Image",
        ),
    ] {
        let body = format!("{{{body}}}");
        assert_eq!(
            field(request, BASELINE, &[], &body),
            want,
            "{request} {body}"
        );
    }
}

/// Podman 5.4 and later update more than limits. A health check runs in the container as an exec
/// does, and the environment decides what the container runs at its next start.
#[test]
fn updates_of_podman_are_judged_as_creations_and_execs() {
    const UPDATE: &str = "POST /v5.4.0/libpod/containers/web/update";
    check(
        UPDATE,
        &[
            (
                r#"{"r_limits":[{"type":"RLIMIT_NOFILE","hard":9,"soft":9}]}"#,
                "",
            ),
            (r#"{"Env":["A=b"],"UnsetEnv":["C"]}"#, ""),
            (
                r#"{"health_cmd":"true","health_interval":"9s","health_retries":3}"#,
                "",
            ),
            (r#"{"no_healthcheck":true,"health_on_failure":"kill"}"#, ""),
            (r#"{"health_log_destination":"local"}"#, ""),
            (
                r#"{"health_log_destination":"/etc"}"#,
                "health_log_destination",
            ),
            (r#"{"Env":["*"]}"#, "Env[0]"),
            (r#"{"devices":[{"allow":true}]}"#, "devices"),
            (r#"{"unified":{"memory.max":"max"}}"#, "unified"),
        ],
    );
    let powerful = |kind: ObjectKind, word: &str| match kind {
        ObjectKind::Container => {
            let answer = r#"{"Id":"c0ffee","Name":"/web","HostConfig":{"Privileged":true}}"#;
            Some(Object::read(kind, answer.as_bytes()).expect("JSON"))
        }
        _ => world::plain(kind, word),
    };
    for (body, is_refused) in [
        (r#"{"memory":{"limit":1048576}}"#, false),
        (r#"{"health_interval":"9s"}"#, false),
        (r#"{"health_cmd":"true"}"#, true),
        (r#"{"health_startup_cmd":"true"}"#, true),
        (r#"{"Env":["LD_PRELOAD=/x"]}"#, true),
        (r#"{"UnsetEnv":["A"]}"#, true),
    ] {
        let judged = world::settle_in(
            &permit(UPDATE, BASELINE, &[]),
            Some("application/json"),
            body.as_bytes(),
            Surroundings::default(),
            &powerful,
            world::RECENT,
        );
        assert_eq!(judged.is_err(), is_refused, "{body}");
        if let Err(objection) = judged {
            let text = objection.to_string();
            assert!(text.contains("it is privileged"), "{text}");
        }
    }
}

/// Podman looks for a container of the name first.
#[test]
fn changes_of_an_image_are_those_of_no_container() {
    for request in [
        "GET /v5.0.0/libpod/images/web/changes",
        "GET /v5.0.0/libpod/images/web/changes?diffType=all",
        "GET /v5.0.0/libpod/images/web/changes?DIFFTYPE=container&difftype=all",
    ] {
        let permit = permit(request, BASELINE, &[]);
        let cleared = world::settle(&permit, None, b"").expect(request);
        let target = cleared.call(permit.call()).target();
        assert_eq!(
            target, "/v5.0.0/libpod/images/web/changes?diffType=image",
            "{request}"
        );
    }
}

/// No reader of the body takes a path of the host for its source.
#[test]
fn a_tmpfs_has_no_source() {
    for (source, want) in [
        ("", ""),
        ("tmpfs", ""),
        ("/etc", "HostConfig.Mounts[0].Source"),
        ("data", "HostConfig.Mounts[0].Source"),
    ] {
        let mount = format!(r#"{{"Type":"tmpfs","Target":"/x","Source":"{source}"}}"#);
        let body = format!(r#"{{"HostConfig":{{"Mounts":[{mount}]}}}}"#);
        assert_eq!(field(CREATE, BASELINE, &[], &body), want, "{source}");
    }
}
