//! Reading the configuration again while the program runs.
//!
//! The new one is read and checked whole, then takes the old one's place at once; requests and
//! streams that have begun go on under the old one. Where anything is wrong with the new one, the
//! old one stays.

mod files;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use cetusguard_config::{Mistake, Mistakes, ReadFiles, Sources};
use cetusguard_policy::Profiles;

use crate::admin::hash_policy;
use crate::advice::CheckInput;
use crate::config::Loaded;
use crate::flow::{Proxy, Settings};
use crate::runtime::service_manager::ServiceManager;
use crate::telemetry::log::{Level, Log};
use files::Files;
use reading::{Failed, Readings};

/// The time that reading the files may take, including the building of expressions. A longer
/// reading counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sources of the configuration, with the settings that only a new start can change.
#[derive(Debug)]
pub(crate) struct Reload {
    sources: Arc<Sources>,
    fixed: Vec<(&'static str, String)>,
    files: Files,
    readings: Readings<(ReadFiles, Result<Loaded, Mistakes>)>,
    /// The cause of one more reading, if it appeared after the current reading had begun.
    again: Option<&'static str>,
    manager: Arc<ServiceManager>,
}

impl Reload {
    /// Watches the files from which the configuration was read.
    pub(crate) fn new(
        sources: Sources,
        fixed: Vec<(&'static str, String)>,
        read: &ReadFiles,
        manager: Arc<ServiceManager>,
    ) -> Self {
        let files = Files::watch(&read.files, read.began);
        Self {
            sources: Arc::new(sources),
            fixed,
            files,
            readings: Readings::new(PATIENCE),
            again: None,
            manager,
        }
    }

    /// Begins to read the configuration, or will once the reading that is under way has ended: that
    /// one may have missed the cause.
    pub(crate) fn read_again(&mut self, cause: &'static str) {
        if self.readings.is_busy() {
            self.again = Some(cause);
            return;
        }
        self.manager.note_reload();
        let sources = Arc::clone(&self.sources);
        // Expressions take a while to build, and files may hang: requests go on in the meantime,
        // and signals are heard.
        self.readings.begin(cause, move || sources.load());
    }

    /// Waits until a file of the configuration has changed, or until the configuration was read,
    /// and goes on from there. Safe to cancel. Returns the configuration that is used from now on,
    /// for the warnings about it.
    pub(crate) async fn go_on(&mut self, proxy: &Proxy) -> Option<CheckInput> {
        tokio::select! {
            () = self.files.changed() => {
                self.read_again("file change");
                None
            }
            (cause, read) = self.readings.done() => {
                let reloaded = self.renew(cause, read, proxy);
                if let Some(cause) = self.again.take() {
                    self.read_again(cause);
                }
                reloaded
            }
        }
    }

    /// Replaces the settings with the new ones, or logs why it does not.
    fn renew(
        &self,
        cause: &'static str,
        read: Result<(ReadFiles, Result<Loaded, Mistakes>), Failed>,
        proxy: &Proxy,
    ) -> Option<CheckInput> {
        let loaded = match read {
            Ok((read, loaded)) => {
                // Also those of one that is wrong: the next change of them may mend it.
                self.files.follow(&read.files, read.began);
                loaded.and_then(|loaded| self.check(loaded))
            }
            Err(failed) => Err(Mistakes(vec![mistake(failed)])),
        };
        let log = &proxy.log;
        match loaded {
            Ok(Loaded { config, warnings }) => {
                log.set_level(config.log.level);
                log.send(
                    log.line(Level::Info, "configuration reloaded")
                        .text("cause", cause),
                );
                describe(&config.profiles, log);
                proxy.backend.replace_tls(config.backend_tls.clone());
                let to_check = CheckInput::new(&config, warnings);
                let access = config.admin.as_ref().map(|admin| admin.access.clone());
                let is_new = hash_policy(&proxy.profiles()) != hash_policy(&config.profiles);
                proxy.renew(Settings::from(config));
                proxy
                    .status
                    .note_reload(cause, access.unwrap_or_default(), is_new);
                self.manager
                    .note_ready(&format!("serving the configuration reloaded by {cause}"));
                Some(to_check)
            }
            Err(Mistakes(mistakes)) => {
                let line = log.line(
                    Level::Error,
                    "configuration not reloaded: the old one stays",
                );
                log.send(
                    line.text("cause", cause)
                        .number("mistakes", mistakes.len() as u64),
                );
                let mistakes: Vec<String> = mistakes.iter().map(Mistake::in_one_line).collect();
                for mistake in &mistakes {
                    log.send(log.line(Level::Error, "mistake").text("detail", mistake));
                }
                self.manager.note_ready(&format!(
                    "serving the old configuration: the new one has mistakes ({cause}), see the log"
                ));
                proxy.status.note_failed_reload(cause, mistakes);
                None
            }
        }
    }

    /// Rejects changes that need a new start.
    fn check(&self, loaded: Loaded) -> Result<Loaded, Mistakes> {
        let now = loaded.config.fixed();
        let changed = self
            .fixed
            .iter()
            .zip(now)
            .filter(|(old, new)| **old != *new);
        let fix = "restart the program to change it, or change it back";
        let mistakes: Vec<_> = changed
            .map(|((name, _), _)| {
                Mistake::new(format!("{name} cannot change while the program runs"), fix)
            })
            .collect();
        if mistakes.is_empty() {
            Ok(loaded)
        } else {
            Err(Mistakes(mistakes))
        }
    }
}

fn mistake(failed: Failed) -> Mistake {
    let seconds = PATIENCE.as_secs();
    match failed {
        Failed::Late => Mistake::new(
            format!("the configuration could not be read within {seconds} s"),
            "look whether a file is on a mount that hangs, or the name of the engine's host cannot \
            be resolved",
        ),
        Failed::Hanging => Mistake::new(
            "several earlier attempts to read the configuration still hang",
            "mend the mount on which its files are, or restart the program",
        ),
        Failed::Bug(error) => {
            Mistake::new(format!("a bug in Cetusguard: {error}"), "please report it")
        }
    }
}

/// Says which profiles there are, with their rules at level debug.
pub(crate) fn describe(profiles: &Profiles, log: &Log) {
    // A profile that is being learned has no rules yet, and `learn` has already described it.
    for (index, profile) in profiles
        .all()
        .enumerate()
        .filter(|(_, profile)| !profile.is_learner())
    {
        // The start reports the default profile if there is no other.
        if index > 0 {
            let line = log
                .line(Level::Info, "profile")
                .text("profile", &profile.name);
            log.send(line.number("rules", profile.rules.rules().len() as u64));
        }
        for rule in profile.rules.rules() {
            let line = log
                .line(Level::Debug, "rule")
                .text("profile", &profile.name);
            log.send(
                line.text("position", &rule.position.to_string())
                    .text("rule", rule.text()),
            );
        }
    }
}
