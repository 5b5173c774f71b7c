//! `docker build`: where BuildKit's channels are refused, buildx asks for a privileged container
//! instead. Its user is told of the rules that a build needs, before the exceptions for that
//! container.

use cetusguard_testkit::{Engine, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const CREATE: &str = "POST /v1.51/containers/create?name=buildx_buildkit_default";
/// What buildx 0.29 asks for, cut to what matters.
const BUILDER: &str = "{\"Image\":\"moby/buildkit:buildx-stable-1\",\"HostConfig\":{\"Privileged\":true,\"CgroupParent\":\"/docker/buildx\"}}";
const BOTH: &str = "POST %API_PREFIX_GRPC% and POST %API_PREFIX_SESSION%";

#[test]
fn a_refused_step_of_a_build_names_both_rules() {
    let engine = Engine::ok();
    let rules =
        "POST %API_PREFIX_CONTAINERS%/create\nGET %API_PREFIX_IMAGES%(/.*)?\nPOST %API_PREFIX%/.*";
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET %API_PREFIX_IMAGES%(/.*)?").start();
    let open = ProxyBuilder::new(PROGRAM, &engine, rules).start();
    for (proxy, line, body) in [
        (&proxy, "POST /v1.51/grpc", ""),
        (&proxy, "POST /session", ""),
        (&open, "POST /session", ""),
        (&proxy, CREATE, BUILDER),
        (
            &proxy,
            "POST /images/create?fromImage=moby%2Fbuildkit&tag=buildx-stable-1",
            "",
        ),
        (&open, CREATE, BUILDER),
        (&open, "POST /containers/create", BUILDER),
        (
            &open,
            "POST /containers/create?name=buildx_buildkit_x0",
            "{\"Image\":\"my/builder\",\"HostConfig\":{\"Privileged\":true}}",
        ),
    ] {
        let answer = proxy.client().request_with(line, body);
        assert!(
            answer.status == 403 && answer.body.contains(BOTH),
            "{line}: {answer:?}"
        );
        let (rules, exception) = (
            answer.body.find(BOTH),
            answer.body.find("guard-allow privileged"),
        );
        assert!(
            exception.is_none_or(|exception| rules < Some(exception)),
            "{line}: {answer:?}"
        );
        let path = line.split([' ', '?']).nth(1).expect("a path");
        let logged = proxy.logged(&["request refused", &format!("path={path} ")]);
        assert!(
            logged.contains("add_rules=\"POST %API_PREFIX_GRPC%, POST %API_PREFIX_SESSION%\""),
            "{logged}"
        );
    }
    // With these rules, both channels are open; and other privileged containers are refused as
    // before.
    let rules =
        "POST %API_PREFIX_GRPC%\nPOST %API_PREFIX_SESSION%\nPOST %API_PREFIX_CONTAINERS%/create";
    let proxy = ProxyBuilder::new(PROGRAM, &engine, rules).start();
    assert_eq!(proxy.client().request("POST /v1.51/grpc").status, 200);
    assert_eq!(proxy.client().request("POST /v1.51/session").status, 200);
    let other = proxy.client().request_with(
        "POST /containers/create?name=web",
        "{\"HostConfig\":{\"Privileged\":true}}",
    );
    assert!(
        other.body.contains("allow it with guard-allow privileged")
            && !other.body.contains("buildx"),
        "{other:?}"
    );
    // A builder that the guard lets pass is not spoken of.
    let builder = proxy
        .client()
        .request_with(CREATE, "{\"Image\":\"moby/buildkit:rootless\"}");
    assert_eq!(builder.status, 200, "{builder:?}");
}

/// A profile that is bound to images cannot see those of a build: no rule opens the channels.
#[test]
fn rules_are_not_offered_where_they_do_not_help() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(
        PROGRAM,
        &engine,
        "POST %API_PREFIX_CONTAINERS%/create\nPOST %API_PREFIX_GRPC%",
    );
    let proxy = proxy.arg("--guard-allow", "image=moby/buildkit:*").start();
    for (line, body) in [("POST /grpc", ""), (CREATE, BUILDER)] {
        let answer = proxy.client().request_with(line, body);
        assert!(
            answer.status == 403 && !answer.body.contains("add the rule"),
            "{line}: {answer:?}"
        );
    }
}

#[test]
fn explain_connects_the_steps() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let rules = "POST %API_PREFIX_CONTAINERS%/create";
    let mut proxy = ProxyBuilder::new(PROGRAM, &engine, rules).start();
    for (line, body) in [
        ("POST /v1.51/grpc", ""),
        ("POST /v1.51/grpc", ""),
        (CREATE, BUILDER),
    ] {
        assert_eq!(
            proxy.client().request_with(line, body).status,
            403,
            "{line}"
        );
    }
    proxy.signal("TERM");
    proxy.wait();
    let log = folder.write("log", &proxy.log().join("\n"));
    let explain = || {
        ProxyBuilder::bare(PROGRAM)
            .word("explain")
            .arg("--rules", rules)
    };
    let (_, out, _) = explain().arg("--log", &log).run();
    let groups: Vec<&str> = out.split("\n\n").collect();
    let group = |call: &str| {
        groups.iter().find(|group| {
            group
                .lines()
                .next()
                .is_some_and(|first| first.contains(call))
        })
    };
    let (create, grpc) = (
        group("POST /containers/create").expect(&out),
        group("POST /grpc").expect(&out),
    );
    let allowing = |group: &str| {
        let lines = group
            .lines()
            .filter_map(|line| line.trim().strip_prefix("to allow it: ").map(str::to_owned));
        lines.collect::<Vec<_>>()
    };
    let both = ["POST %API_PREFIX_GRPC%", "POST %API_PREFIX_SESSION%"];
    assert_eq!(allowing(grpc), both);
    assert_eq!(allowing(create)[..2], both, "{create}");
    assert!(
        create.contains("after   2 × POST /grpc refused"),
        "{create}"
    );

    let body = folder.write("body", BUILDER);
    let (code, out, _) = explain()
        .word("POST")
        .word("/containers/create?name=buildx_buildkit_default")
        .arg("--body", &body)
        .run();
    let (rule, exception) = (
        out.find("to allow it: POST %API_PREFIX_GRPC%"),
        out.find("guard-allow privileged"),
    );
    assert!(
        code == Some(1) && rule.is_some() && exception.is_some() && rule < exception,
        "{out}"
    );
    let (code, out, _) = explain().word("POST").word("/grpc").run();
    assert!(
        code == Some(1) && out.matches("%API_PREFIX_SESSION%").count() == 1,
        "{out}"
    );
}
