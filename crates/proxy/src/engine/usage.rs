//! The usage of what the clients of a profile own, as quotas count it.

use std::time::{Duration, Instant};

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Claim, Usage, share_of};
use cetusguard_policy::{Object, Owner};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::arriving::{Elements, Single, fetch_json};
use super::objects::inspection_target;
use super::owned::{OwnerLabels, list_target};
use super::{AGENT, DEADLINE, EngineError, with_deadline};
use crate::engine::backend::Backend;
use crate::limits::known_limits::{ContainerClaim, KnownLimits};

/// The kind of the objects that have limits and commands.
const KIND: ObjectKind = ObjectKind::Container;

/// The time that all questions of one count may take together.
const COUNT_DEADLINE: Duration = Duration::from_secs(20);

/// The time that the list of containers may take: clients choose the length of its labels.
const LIST_DEADLINE: Duration = Duration::from_secs(15);

/// The time in which the engine has to describe a container that is known from before.
const KNOWN_DEADLINE: Duration = Duration::from_secs(1);

/// The most questions of one count. A profile whose containers or commands need more of them is
/// refused.
const QUESTIONS: usize = 1000;

/// The period of a processor quota that has none, in microseconds (moby and the kernel alike).
const DEFAULT_PERIOD: u64 = 100_000;

/// A container in a list.
#[derive(Debug, Deserialize)]
struct ListedContainer {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "State", default)]
    state: String,
    /// Seconds since 1970.
    #[serde(rename = "Created", default)]
    created: i64,
    #[serde(rename = "Labels", default)]
    labels: Option<OwnerLabels>,
}

/// The parts of a container's description that are counted.
#[derive(Debug, Deserialize)]
struct CountedSettings {
    #[serde(rename = "HostConfig", default)]
    host_config: HostConfig,
    #[serde(rename = "ExecIDs", default)]
    execs: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    memory: i64,
    nano_cpus: i64,
    cpu_quota: i64,
    cpu_period: i64,
}

impl From<CountedSettings> for ContainerClaim {
    fn from(inspected: CountedSettings) -> Self {
        let HostConfig {
            memory,
            nano_cpus,
            cpu_quota,
            cpu_period,
        } = inspected.host_config;
        let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
        let share = || {
            let period = positive(cpu_period).unwrap_or(DEFAULT_PERIOD);
            Some(share_of(positive(cpu_quota)?, period))
        };
        Self {
            limits: Usage {
                memory: positive(memory).unwrap_or(u64::MAX),
                cpus: positive(nano_cpus).or_else(share).unwrap_or(u64::MAX),
                ..Usage::default()
            },
            execs: inspected.execs.unwrap_or_default(),
            unnamed: 0,
        }
    }
}

/// The parts of a command's description that are counted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exec {
    running: bool,
    #[serde(default)]
    exit_code: Option<i64>,
}

/// Counts what the clients of a profile use of the quotas that a claim is about. Commands of
/// `started` count from their start on, before the engine reports that they run. A container that
/// the engine does not describe in time counts as it is known.
///
/// # Errors
/// The engine cannot be reached, does not answer in time, or answers in a form that cannot be read;
/// or the count needs too many questions.
pub(crate) async fn count_usage(
    claim: &Claim,
    owner: &Owner,
    started: &[String],
    known: &KnownLimits,
    backend: &Backend,
) -> Result<Usage, EngineError> {
    let target = list_target(KIND, owner);
    let count = async {
        let mut count = Count {
            backend,
            known,
            questions: 0,
        };
        count.usage(claim, owner, started, &target).await
    };
    with_deadline(COUNT_DEADLINE, &target, count).await
}

/// A count under way.
struct Count<'b> {
    backend: &'b Backend,
    known: &'b KnownLimits,
    questions: usize,
}

impl Count<'_> {
    async fn usage(
        &mut self,
        claim: &Claim,
        owner: &Owner,
        started: &[String],
        target: &str,
    ) -> Result<Usage, EngineError> {
        let rows = Elements {
            member: None,
            sum: Vec::new(),
            add: |rows: &mut Vec<ListedContainer>, row| rows.push(row),
        };
        let asked = Instant::now();
        let rows = fetch_json(AGENT, self.backend, target, LIST_DEADLINE, rows).await?;
        // An engine may ignore a filter that it does not know.
        let rows: Vec<ListedContainer> = rows
            .ok_or_else(|| EngineError::Status(404, target.to_owned()))?
            .into_iter()
            .filter(|row| {
                row.labels
                    .as_ref()
                    .is_some_and(|labels| labels.are_of(owner, KIND))
            })
            .collect();
        self.known
            .keep_listed(rows.iter().map(|row| row.id.as_str()), asked);
        let mut usage = Usage {
            containers: rows.len() as u64,
            ..Usage::default()
        };
        let adds_limits = claim.usage.memory > 0 || claim.usage.cpus > 0;
        if claim.quota.counts_limits() && adds_limits {
            for row in rows
                .iter()
                .filter(|row| claim.replaces.as_ref() != Some(&row.id))
            {
                usage = usage + self.describe(row).await?.limits;
            }
        }
        if claim.quota.execs.is_some() && claim.usage.prepared > 0 {
            for row in rows.iter().filter(|row| row.state != "exited") {
                let known = self.describe(row).await?;
                usage.prepared += known.execs.len() as u64 + known.unnamed;
            }
        }
        if claim.quota.execs.is_some() && claim.usage.execs > 0 {
            for row in rows.iter().filter(|row| row.state != "exited") {
                usage.execs += self.execs(row, claim, started).await?;
            }
        }
        Ok(usage)
    }

    /// Returns the limits and commands of a container; nothing if it is gone.
    async fn describe(&mut self, row: &ListedContainer) -> Result<ContainerClaim, EngineError> {
        let id = &row.id;
        if let Some(known) = self.known.while_late(id) {
            return Ok(known);
        }
        let deadline = match self.known.knows(id) {
            true => KNOWN_DEADLINE,
            false => DEADLINE,
        };
        let changes = self.known.changes();
        let target = inspection_target(KIND, id);
        match self.ask_within::<CountedSettings>(&target, deadline).await {
            Ok(Some(inspected)) => {
                let told = ContainerClaim::from(inspected);
                self.known.note_told(id, told.clone(), changes);
                Ok(told)
            }
            Ok(None) => Ok(ContainerClaim::default()),
            Err(trouble @ EngineError::Late(_)) => {
                let created = u64::try_from(row.created).unwrap_or_default();
                self.known.note_late(id, created).ok_or(trouble)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Returns the number of commands that run in a container, without the one that the call starts.
    async fn execs(
        &mut self,
        row: &ListedContainer,
        claim: &Claim,
        started: &[String],
    ) -> Result<u64, EngineError> {
        let known = self.describe(row).await?;
        let mut running = known.unnamed;
        for exec in known.execs {
            if claim.starts.as_ref() == Some(&exec) {
                continue;
            }
            let target = format!("/exec/{}/json", Object::escaped(&exec));
            let is_started = started.contains(&exec);
            if let Some(exec) = self.ask_within::<Exec>(&target, DEADLINE).await?
                && (exec.running || (is_started && exec.exit_code.is_none()))
            {
                running += 1;
            }
        }
        Ok(running)
    }

    /// Asks the engine; `None` if the object is gone.
    async fn ask_within<T: DeserializeOwned + Send + 'static>(
        &mut self,
        target: &str,
        deadline: Duration,
    ) -> Result<Option<T>, EngineError> {
        self.questions += 1;
        if self.questions > QUESTIONS {
            return Err(EngineError::Answer(format!(
                "the quota cannot be counted: that takes more than {QUESTIONS} questions to the \
                engine; remove containers that are no longer needed"
            )));
        }
        fetch_json(AGENT, self.backend, target, deadline, Single::new()).await
    }
}
