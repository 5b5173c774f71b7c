//! Quotas: the most that the clients of a profile may own at a time, all of them together.
//!
//! The policy knows the part of a quota that a call takes, its claim. Only the engine knows how
//! much is taken already, so that the proxy counts that before it sends the call.

use std::fmt;

use super::fields::ResourceFields;
use super::resources::{self, Amount};
use super::{Creation, RequirementSubject, find};
use crate::endpoint::EndpointId;
use crate::guard::json::Json;
use crate::guard::{Judge, Step};
use crate::request::call::Call;

/// The most that the clients of a profile may own at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Containers, running or not.
    pub containers: Option<u64>,
    /// Commands that run in containers.
    pub execs: Option<u64>,
    /// The sum of the memory limits of containers.
    pub memory: Option<Amount>,
    /// The sum of the processor limits of containers.
    pub cpus: Option<Amount>,
}

/// Amounts of what a quota bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Containers.
    pub containers: u64,
    /// Running commands.
    pub execs: u64,
    /// Commands that are in containers, running or not. Engines keep those that are never started.
    pub prepared: u64,
    /// The sum of memory limits, in bytes; `u64::MAX` if a container has none.
    pub memory: u64,
    /// The sum of processor limits, in billionths of a processor; `u64::MAX` if a container has
    /// none.
    pub cpus: u64,
}

/// The part of a quota that a call takes if the engine does what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The quota of the profile.
    pub quota: Quota,
    /// The additional usage.
    pub usage: Usage,
    /// The container whose limits the call replaces, by identifier. Those that the call leaves out
    /// are zero in `usage`, and stay as they are.
    pub replaces: Option<String>,
    /// The command that the call starts.
    pub starts: Option<String>,
}

impl Quota {
    /// Returns whether containers have to be counted.
    #[must_use]
    pub fn counts_containers(&self) -> bool {
        self.containers.is_some() || self.counts_limits()
    }

    /// Returns whether the limits of containers have to be added up.
    #[must_use]
    pub fn counts_limits(&self) -> bool {
        self.memory.is_some() || self.cpus.is_some()
    }
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            containers: self.containers.saturating_add(other.containers),
            execs: self.execs.saturating_add(other.execs),
            prepared: self.prepared.saturating_add(other.prepared),
            memory: self.memory.saturating_add(other.memory),
            cpus: self.cpus.saturating_add(other.cpus),
        }
    }
}

/// The commands that may be in containers beside those of the quota: a client creates a command
/// before it starts it, and some engines keep ended ones for minutes. Each has to be asked about
/// when commands are counted.
const PREPARED: u64 = 200;

/// The quota that a call would exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    key: &'static str,
    allowed: String,
    used: String,
    claimed: Option<String>,
    remedy: &'static str,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, and {}", self.key, self.allowed, self.used)?;
        if let Some(claimed) = &self.claimed {
            write!(f, "; this call asks for {claimed}")?;
        }
        write!(f, "; {}, or raise {}", self.remedy, self.key)
    }
}

impl std::error::Error for Excess {}

impl Claim {
    /// Checks that a quota has room for the claim beside what is used.
    ///
    /// # Errors
    /// The first quota without room.
    pub fn check(&self, used: &Usage) -> Result<(), Excess> {
        let counts = [
            (
                "quota-containers",
                self.quota.containers,
                (used.containers, self.usage.containers),
                "containers are there",
                "remove those that are no longer needed",
            ),
            (
                "quota-execs",
                self.quota.execs,
                (used.execs, self.usage.execs),
                "commands are running",
                "wait until one has ended",
            ),
            (
                "quota-execs",
                self.quota.execs.map(|execs| execs.saturating_add(PREPARED)),
                (used.prepared, self.usage.prepared),
                "commands are created, most of them not running",
                "remove containers in which commands were never started",
            ),
        ];
        for (key, allowed, (used, claimed), what, remedy) in counts {
            if let Some(allowed) = allowed
                && claimed > 0
                && used.saturating_add(claimed) > allowed
            {
                return Err(Excess {
                    key,
                    allowed: allowed.to_string(),
                    used: format!("{used} {what}"),
                    claimed: None,
                    remedy,
                });
            }
        }
        let sums = [
            (
                "quota-memory",
                &self.quota.memory,
                (used.memory, self.usage.memory),
                "bytes of memory",
            ),
            (
                "quota-cpus",
                &self.quota.cpus,
                (used.cpus, self.usage.cpus),
                "billionths of a processor",
            ),
        ];
        for (key, allowed, (used, claimed), unit) in sums {
            if let Some(allowed) = allowed
                && claimed > 0
                && used.saturating_add(claimed) > allowed.value()
            {
                let used = match used {
                    u64::MAX => "a container without a limit is there".to_owned(),
                    used => format!("the limits of containers add up to {used} {unit}"),
                };
                return Err(Excess {
                    key,
                    allowed: allowed.to_string(),
                    used,
                    claimed: Some(format!("{claimed} {unit}")),
                    remedy: "remove containers that are no longer needed",
                });
            }
        }
        Ok(())
    }
}

/// Returns the claim of a call with this body; `None` if it takes nothing of the quota.
pub(in crate::guard) fn claim(
    creation: &Creation,
    call: &Call,
    body: Option<&Json<'_>>,
) -> Option<Claim> {
    let quota = &creation.quota;
    let id = call.endpoint()?.id;
    let object = call.captured().map(|captured| captured.word.to_owned());
    let mut claim = Claim {
        quota: quota.clone(),
        usage: Usage::default(),
        replaces: None,
        starts: None,
    };
    let limits = |fields| {
        let (memory, cpus) = body.map_or((0, 0), |body| resources::asked(body, fields));
        Usage {
            memory,
            cpus,
            ..Usage::default()
        }
    };
    if matches!(id, EndpointId::ExecStart | EndpointId::LibpodExecStart) {
        claim.usage.execs = 1;
        claim.starts = object;
        return quota.execs.is_some().then_some(claim);
    }
    if matches!(id, EndpointId::ExecCreate | EndpointId::LibpodExecCreate) {
        claim.usage.prepared = 1;
        return quota.execs.is_some().then_some(claim);
    }
    match RequirementSubject::of_endpoint(id)? {
        RequirementSubject::Container(fields) => {
            claim.usage = limits(&fields.resources);
            claim.usage.containers = 1;
            quota.counts_containers().then_some(claim)
        }
        RequirementSubject::Update(fields) => {
            claim.usage = limits(fields);
            claim.replaces = object;
            let is_change = claim.usage != Usage::default();
            (is_change && quota.counts_limits()).then_some(claim)
        }
        RequirementSubject::Rename
        | RequirementSubject::Exec
        | RequirementSubject::Volume(_)
        | RequirementSubject::Network => None,
    }
}

/// Judges new limits of a container. Podman changes the cgroup, and goes on reporting the limits
/// that the container was created with, so that a sum would not include the new ones.
pub(super) fn update(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    fields: &ResourceFields,
) {
    let memory = [Some(fields.memory)];
    let [quota, period] = fields.quota.map_or([None, None], |paths| paths.map(Some));
    let cpus = [fields.nano_cpus, quota, period];
    let counted = [
        ("quota-memory", &creation.quota.memory, &memory[..]),
        ("quota-cpus", &creation.quota.cpus, &cpus[..]),
    ];
    for (key, _, paths) in counted.into_iter().filter(|(_, sum, _)| sum.is_some()) {
        let changed = paths.iter().copied().flatten().find(|path| {
            find(body, path).is_some_and(|value| !(fields.zero_is_missing && value.is_empty()))
        });
        let Some(path) = changed else { continue };
        judge.within(Step::Field(path), |judge| match judge.is_libpod {
            true => uncounted_limit(judge, key),
            // Docker reports the new limits.
            false => judge.uncounted.push((judge.place().to_vec(), key)),
        });
    }
}

/// Notes a new limit that Podman would not report.
pub(in crate::guard) fn uncounted_limit(judge: &mut Judge<'_>, key: &'static str) {
    judge.unmet(
        key,
        "Podman does not report new limits of a container, so that they would not be counted",
        "needs a new container for them: remove this one, and create it again",
    );
}

#[cfg(test)]
mod tests {
    use super::super::resources::Unit;
    use super::*;

    fn quota() -> Quota {
        let amount = |text, unit| Amount::read(text, unit).ok();
        Quota {
            containers: Some(2),
            execs: Some(1),
            memory: amount("1GiB", Unit::Bytes),
            cpus: amount("1.5", Unit::Cpus),
        }
    }

    fn claimed(target: &str, body: &str) -> Option<Claim> {
        let creation = Creation {
            quota: quota(),
            ..Creation::default()
        };
        let call = Call::read("POST", target).expect("a target");
        let body = Json::read(body.as_bytes()).expect("JSON");
        claim(&creation, &call, Some(&body))
    }

    #[test]
    fn calls_claim_what_they_would_take() {
        let libpod = r#"{"resource_limits": {"memory": {"limit": 7}, "cpu": {"quota": 50000, "period": 100000}}}"#;
        for (target, body, want) in [
            ("/containers/create", "{}", (1, 0, 0, 0)),
            (
                "/containers/create",
                r#"{"HostConfig": {"Memory": 7, "NanoCpus": 500000000}}"#,
                (1, 0, 7, 500_000_000),
            ),
            (
                "/containers/create",
                r#"{"HostConfig": {"CpuQuota": 50000}}"#,
                (1, 0, 0, 500_000_000),
            ),
            (
                "/v5.0.0/libpod/containers/create",
                libpod,
                (1, 0, 7, 500_000_000),
            ),
            ("/containers/x/update", r#"{"Memory": 7}"#, (0, 0, 7, 0)),
            ("/exec/x/start", "{}", (0, 1, 0, 0)),
        ] {
            let usage = claimed(target, body).expect(target).usage;
            let found = (usage.containers, usage.execs, usage.memory, usage.cpus);
            assert_eq!(found, want, "{target} {body}");
        }
        for (target, body) in [
            (
                "/containers/x/update",
                r#"{"RestartPolicy": {"Name": "no"}}"#,
            ),
            ("/containers/x/start", "{}"),
            ("/volumes/create", "{}"),
        ] {
            assert_eq!(claimed(target, body), None, "{target}");
        }
    }

    #[test]
    fn a_claim_needs_room_in_its_own_quotas_only() {
        let used = |containers, execs, memory, cpus| Usage {
            containers,
            execs,
            memory,
            cpus,
            ..Usage::default()
        };
        let create = claimed(
            "/containers/create",
            r#"{"HostConfig": {"Memory": 536870912, "NanoCpus": 500000000}}"#,
        )
        .expect("a claim");
        let exec = claimed("/exec/x/start", "{}").expect("a claim");
        let prepare = claimed("/containers/x/exec", "{}").expect("a claim");
        let prepared = |prepared| Usage {
            prepared,
            ..Usage::default()
        };
        for (claim, used, want) in [
            (&prepare, prepared(200), None),
            (
                &prepare,
                prepared(201),
                Some("quota-execs is 201, and 201 commands are created"),
            ),
            (&create, used(1, 9, 536_870_912, 1_000_000_000), None),
            (
                &create,
                used(2, 0, 0, 0),
                Some("quota-containers is 2, and 2 containers"),
            ),
            (
                &create,
                used(0, 0, 536_870_913, 0),
                Some(
                    "quota-memory is 1GiB, and the limits of containers add up to 536870913 bytes",
                ),
            ),
            (
                &create,
                used(1, 0, u64::MAX, 0),
                Some("quota-memory is 1GiB, and a container without a limit is there; this call"),
            ),
            (
                &create,
                used(0, 0, 0, 1_000_000_001),
                Some("quota-cpus is 1.5, and"),
            ),
            (&exec, used(9, 0, u64::MAX, u64::MAX), None),
            (
                &exec,
                used(0, 1, 0, 0),
                Some("quota-execs is 1, and 1 commands are running"),
            ),
        ] {
            match (claim.check(&used), want) {
                (Ok(()), None) => {}
                (Err(excess), Some(want)) => {
                    assert!(excess.to_string().starts_with(want), "{excess}");
                }
                (found, want) => panic!("{used:?}: {found:?}, not {want:?}"),
            }
        }
    }
}
