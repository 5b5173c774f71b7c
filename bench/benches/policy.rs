//! The pure parts, timed: reading a call, deciding it, compiling rules. `cargo bench -p
//! cetusguard-bench`

use std::sync::Arc;

use cetusguard_bench::rule_sets;
use cetusguard_policy::guard::Surroundings;
use cetusguard_policy::rule::{BUILT_IN, Expressions, RuleSet, parse_sharing};
use cetusguard_policy::{Call, ClientLimits, Mode, Profile, Verdict, decide};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

fn profile(rules: &str) -> Profile {
    let mut expressions = Expressions::default();
    let mut parsed = parse_sharing(&mut expressions, "bench", 1, rules).expect("valid rules");
    parsed.extend(parse_sharing(&mut expressions, "built-in", 1, BUILT_IN).expect("valid rules"));
    let (name, limits, guard, mode) = (
        "default".to_owned(),
        ClientLimits::default(),
        Arc::default(),
        Mode::Enforce,
    );
    Profile {
        name,
        rules: RuleSet::new(parsed),
        limits,
        guard,
        targets: Arc::default(),
        view: Arc::default(),
        mode,
        recreation: None,
    }
}

fn set(rules: usize) -> String {
    if rules == 7 {
        rule_sets::SEVEN.to_owned()
    } else {
        rule_sets::services(rules / 10)
    }
}

/// Every path of the rule sets in turn: the figure is for all eight together.
#[divan::bench(args = [7, 70, 700])]
fn decide_eight_calls(bencher: Bencher<'_, '_>, rules: usize) {
    let profile = profile(&set(rules));
    let calls: Vec<Call> = rule_sets::PATHS
        .iter()
        .map(|path| Call::read("GET", path).expect("plain"))
        .collect();
    bencher.bench_local(|| {
        for call in &calls {
            drop(black_box(decide(call.clone(), &profile)));
        }
    });
}

#[divan::bench(args = rule_sets::PATHS)]
fn decide_one_call_with_700_rules(bencher: Bencher<'_, '_>, path: &str) {
    let profile = profile(&set(700));
    let call = Call::read("GET", path).expect("plain");
    bencher.bench_local(|| drop(black_box(decide(call.clone(), &profile))));
}

#[divan::bench(args = ["/_ping", "/v1.43/containers/json?all=1", "/v1.43//containers/./%77eb/json?filters=%7B%22a%22%7D"])]
fn read_a_call(target: &str) -> Call {
    Call::read("GET", black_box(target)).expect("plain")
}

/// A body of 4 KB, as Compose sends it.
#[divan::bench]
fn judge_a_container(bencher: Bencher<'_, '_>) {
    let env: Vec<_> = (0..110)
        .map(|at| format!("\"VARIABLE_{at}=some value of {at}\""))
        .collect();
    let labels: Vec<_> = (0..20)
        .map(|at| format!("\"com.example.label.{at}\":\"value {at}\""))
        .collect();
    let body = format!(
        "{{\"Image\":\"nginx\",\"Env\":[{}],\"Labels\":{{{}}},\"HostConfig\":{{\"Binds\":[\"data:/data\"],\"PortBindings\":{{\"80/tcp\":[{{\"HostPort\":\"8080\"}}]}},\"CapAdd\":[\"CHOWN\"],\"NetworkMode\":\"shop\",\"Memory\":67108864}}}}",
        env.join(","),
        labels.join(",")
    );
    assert!(body.len() > 4000, "{}", body.len());
    let profile = profile("POST %API_PREFIX_CONTAINERS%/create");
    let call = Call::read("POST", "/v1.43/containers/create?name=web").expect("plain");
    let Verdict::Allow(permit) = decide(call, &profile) else {
        return;
    };
    bencher.bench_local(|| {
        drop(black_box(permit.open(
            Some("application/json"),
            black_box(body.as_bytes()),
            Surroundings::default(),
        )))
    });
}

#[divan::bench(args = [7, 70, 700], sample_count = 10)]
fn compile(bencher: Bencher<'_, '_>, rules: usize) {
    let text = set(rules);
    bencher.bench_local(|| profile(black_box(&text)));
}
