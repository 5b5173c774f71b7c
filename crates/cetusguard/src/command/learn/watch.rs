//! What is being asked, while it is being asked: a line for everything new, and one when it has become ten times as much.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::policy::Subject;
use crate::lessons::Lessons;

/// How long news may wait.
const TICK: Duration = Duration::from_millis(200);

/// Tells of news on standard error until it is dropped. It has a thread of its own: a terminal that does not take any more
/// must not stop requests.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(lessons: &Arc<Lessons>, subjects: &[Subject], out: Option<&str>) -> Result<Self, String> {
        let names: Vec<_> = subjects.iter().map(|subject| subject.name.as_str()).collect();
        let out = out.unwrap_or("standard output").to_owned();
        let (lessons, names) = (Arc::clone(lessons), names.join(", "));
        let (stop, stopped) = channel();
        let watch = move || {
            tell(&format!("learning, so that NOTHING is refused: profile {names}"));
            tell(&format!(
                "stop it with Ctrl-C (SIGINT, SIGTERM), and the policy goes to {out}; SIGUSR1 writes it now"
            ));
            follow(&lessons, &stopped);
        };
        let thread = std::thread::Builder::new().name("watch".to_owned()).stack_size(256 << 10).spawn(watch);
        let thread = thread.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Says something in between.
    pub(super) fn say(&self, what: &str) {
        tell(what);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Told by the channel's end.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn follow(lessons: &Lessons, stopped: &Receiver<()>) {
    let mut told: HashMap<(String, String), u64> = HashMap::new();
    loop {
        let is_last = !matches!(stopped.recv_timeout(TICK), Err(std::sync::mpsc::RecvTimeoutError::Timeout));
        for seen in lessons.all().0 {
            let call = format!("{} {}", seen.lesson.method, seen.lesson.pattern);
            let before = told.entry((seen.profile.clone(), call.clone())).or_default();
            if seen.count.checked_ilog10() > before.checked_ilog10() {
                *before = seen.count;
                let power = seen.lesson.endpoint.map(|endpoint| endpoint.power);
                let (risk, says) = power
                    .map_or(("unknown", "no engine known here has it"), |power| (power.risk().name(), power.says()));
                let (count, profile) = (seen.count, &seen.profile);
                tell(&format!("{count:>6}×  [{risk}] {profile}: {call}  ({says})"));
            }
        }
        if is_last {
            return;
        }
    }
}

fn tell(line: &str) {
    let shown: String = line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let _ = writeln!(std::io::stderr(), "{shown}");
}
