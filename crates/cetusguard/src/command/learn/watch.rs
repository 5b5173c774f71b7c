//! Reports calls while clients make them: a line for each new one, and one whenever its count has
//! grown tenfold.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cetusguard_policy::endpoint::says;

use super::policy::LearnedProfile;
use cetusguard_config::printed::harmless;
use cetusguard_proxy::Lessons;

/// The longest delay of a report.
const TICK: Duration = Duration::from_millis(200);

/// Reports new calls on standard error until it is dropped. It has a thread of its own: a terminal
/// that stops taking output must not stop requests.
#[derive(Debug)]
pub(super) struct CallReporter {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl CallReporter {
    /// Starts to watch.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(
        lessons: &Arc<Lessons>,
        subjects: &[LearnedProfile],
        out: Option<&str>,
    ) -> Result<Self, String> {
        let names: Vec<_> = subjects
            .iter()
            .map(|subject| subject.name.as_str())
            .collect();
        let out = out.unwrap_or("standard output").to_owned();
        let (lessons, names) = (Arc::clone(lessons), names.join(", "));
        let (stop, stopped) = channel();
        let watch = move || {
            say(&format!(
                "learning, so that NOTHING is refused: profile {names}"
            ));
            say(&format!(
                "stop it with Ctrl-C (SIGINT, SIGTERM), and the policy goes to {out}; SIGUSR1 \
                writes it now"
            ));
            report_calls(&lessons, &stopped);
        };
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .stack_size(256 << 10)
            .spawn(watch);
        let thread = thread.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for CallReporter {
    fn drop(&mut self) {
        // The end of the channel stops the thread.
        self.stop.take();
        let (Some(thread), started) = (self.thread.take(), Instant::now()) else {
            return;
        };
        // Not for a terminal that does not take any more.
        while !thread.is_finished() && started.elapsed() < Duration::from_secs(1) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

fn report_calls(lessons: &Lessons, stopped: &Receiver<()>) {
    let mut told: HashMap<(String, String), u64> = HashMap::new();
    loop {
        let is_last = !matches!(
            stopped.recv_timeout(TICK),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        );
        for seen in lessons.all().0 {
            let call = format!("{} {}", seen.lesson.method, seen.lesson.pattern);
            let before = told
                .entry((seen.profile.clone(), call.clone()))
                .or_default();
            if seen.count.checked_ilog10() > before.checked_ilog10() {
                *before = seen.count;
                let known = seen.lesson.power.zip(seen.lesson.endpoint);
                let (risk, says) = known.map_or_else(
                    || ("unknown", "no engine known here has it".to_owned()),
                    |(power, endpoint)| (power.risk().name(), says(power, &[endpoint.id])),
                );
                let (count, profile) = (seen.count, &seen.profile);
                say(&format!(
                    "{count:>6}×  [{risk}] {profile}: {call}  ({says})"
                ));
            }
        }
        if is_last {
            return;
        }
    }
}

/// Prints a line on standard error.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", harmless(line));
}
