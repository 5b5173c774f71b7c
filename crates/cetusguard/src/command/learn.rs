//! `cetusguard learn`: serves without refusing anything, or reads a log, and writes the smallest
//! policy that covers the calls.

mod policy;
mod watch;
mod write;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use cetusguard_config::printed::harmless;
use cetusguard_config::{Mistakes, Unwritable, read_input};
use cetusguard_policy::{Call, DenialKind, Method, Verdict, decide, list_value, split_list};

use super::log_lines::requests;
use super::serve;
use super::{CommandFailure, CommandOutput, Invocation};
use cetusguard_proxy::Config;
use cetusguard_proxy::Learning;
use cetusguard_proxy::Lessons;
use cetusguard_proxy::{Reason, RecordMessage};
use policy::{LearnedPolicy, LearnedProfile};
use watch::CallReporter;

/// Learns from clients until it is asked to stop, or from a log.
pub(super) fn run(mut asked: Invocation) -> Result<CommandOutput, CommandFailure> {
    let names: Vec<String> = asked
        .values("profile")
        .into_iter()
        .map(str::to_owned)
        .collect();
    let config = asked.load().1?.config;
    let teller = Arc::new(Teller {
        lessons: Arc::new(Lessons::default()),
        subjects: LearnedProfile::all(&config, &names)?,
        format: asked.value("format").unwrap_or_default().to_owned(),
        risky: asked.flag("risky"),
        out: asked.value("out").map(str::to_owned),
        from: asked.value("from").map(str::to_owned),
    });
    if teller.format == "rules" && teller.subjects.len() > 1 {
        let why =
            "a file of rules is for one profile: choose it with --profile, or take --format yaml";
        return Err(why.to_owned().into());
    }
    asked.sources.learned = Some(names);
    if let Some(path) = asked.value("from") {
        let config = asked.load().1?.config;
        let unknown = read_log(path, &read_input(path)?, &config, &teller.lessons)?;
        if let Some(notice) = describe_unknown(path, &unknown) {
            if teller.lessons.callers().is_empty() {
                return Err(format!("no policy is written: {notice}").into());
            }
            watch::say(&notice);
        }
        teller.tell()?;
        return Ok(String::new().into());
    }
    let (read, loaded) = asked.load();
    let loaded = loaded?;
    teller.check_out()?;
    let watch = CallReporter::start(&teller.lessons, &teller.subjects, teller.out.as_deref())?;
    let learning = Learning {
        lessons: Arc::clone(&teller.lessons),
        tell: &|| Teller::tell_aside(&teller),
    };
    let served = serve::run(loaded, &read, asked.sources, Some(learning));
    // The policy comes first: the terminal may have stopped taking output.
    let told = served.and_then(|()| teller.tell());
    drop(watch);
    Ok(told.map(|()| String::new().into())?)
}

/// The lessons of a run, and the place of the policy.
#[derive(Debug)]
struct Teller {
    lessons: Arc<Lessons>,
    subjects: Vec<LearnedProfile>,
    format: String,
    risky: bool,
    out: Option<String>,
    /// The log that is learned from, if no clients are.
    from: Option<String>,
}

impl Teller {
    /// Writes the policy from the lessons so far.
    fn tell(&self) -> Result<(), String> {
        let (seen, lost) = self.lessons.all();
        let book = LearnedPolicy::new(&self.subjects, seen, lost);
        if book.requests == 0 {
            return Err(self.nothing_learned());
        }
        let text = write::text(&book, &self.format, self.risky);
        match &self.out {
            Some(path) => std::fs::write(path, &text).map_err(|error| {
                print_policy(&text);
                let why = Unwritable::from(error);
                format!("cannot write {path}, so the policy is printed: {why}")
            }),
            None => {
                print_policy(&text);
                Ok(())
            }
        }
    }

    /// Explains why there is no policy. An empty policy would refuse everything, and replace the
    /// policy of an earlier run.
    fn nothing_learned(&self) -> String {
        let names: Vec<_> = self
            .subjects
            .iter()
            .map(|subject| subject.name.as_str())
            .collect();
        let (own, others): (Vec<_>, Vec<_>) = self
            .lessons
            .callers()
            .into_iter()
            .partition(|caller| names.contains(&caller.as_str()));
        let kept = match &self.out {
            Some(path) if Path::new(path).exists() => format!("so {path} stays as it is"),
            _ => "so no policy is written".to_owned(),
        };
        if !own.is_empty() {
            return format!(
                "every request of profile {} was refused, {kept}; the log has the reasons",
                own.join(", ")
            );
        }
        if let (true, Some(log)) = (others.is_empty(), &self.from) {
            return format!(
                "{log} has no line about a request, {kept}; requests are logged by a proxy with \
                log-level 7"
            );
        }
        if others.is_empty() {
            return format!("no client sent a request, {kept}");
        }
        let (names, others) = (names.join(", "), others.join(", "));
        format!(
            "no client of profile {names} asked for anything, {kept}; clients of profile {others} \
            did: learn for these with --profile, or run cetusguard explain with --client and what \
            is known of the client to see which profile it has"
        )
    }

    /// Writes the policy while requests go on: a full disk, or a reader that does not read, must
    /// not stop them.
    fn tell_aside(this: &Arc<Self>) {
        let this = Arc::clone(this);
        let tell = move || {
            if let Err(why) = this.tell() {
                watch::say(&why);
            }
        };
        if let Err(error) = std::thread::Builder::new()
            .name("tell".to_owned())
            .spawn(tell)
        {
            watch::say(&format!("cannot start a thread: {error}"));
        }
    }

    /// Finds out now whether the policy can be written: an hour of watching should not be lost at
    /// its end.
    fn check_out(&self) -> Result<(), String> {
        let Some(path) = &self.out else { return Ok(()) };
        let opened = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        let file = opened.map_err(|error| explain_unwritable(error, path))?;
        // A file that was created for this test alone is removed.
        if file.metadata().is_ok_and(|meta| meta.len() == 0) {
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }
}

/// Returns the reason why the policy cannot be written, and the next step.
fn explain_unwritable(error: std::io::Error, path: &str) -> String {
    let why = Unwritable::from(error);
    let advice = match why {
        Unwritable::Folder => format!("name a file in it: --out {path}/cetusguard.yaml"),
        _ => why.advice(path),
    };
    format!(
        "cannot write {path}: {why}; {advice}; or leave --out out: the policy is then printed at \
        the end"
    )
}

fn print_policy(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The most unknown profiles that a message names.
const SHOWN: usize = 8;

/// Returns a sentence about the profiles of a log that the configuration does not have; `None` if it
/// has them all. A profile's conditions, guard and denials are in the configuration alone.
fn describe_unknown(path: &str, unknown: &BTreeSet<String>) -> Option<String> {
    if unknown.is_empty() {
        return None;
    }
    let mut names: Vec<_> = unknown
        .iter()
        .take(SHOWN)
        .map(|name| harmless(name))
        .collect();
    if let Some(more @ 1..) = unknown.len().checked_sub(SHOWN) {
        names.push(format!("{more} more"));
    }
    let (which, them) = match names.as_slice() {
        [_] => ("profile", "it"),
        _ => ("the profiles", "them"),
    };
    Some(format!(
        "{path} has requests of {which} {}, and this configuration does not have {them}: give \
        learn the configuration of the proxy that wrote the log, with --config FILE or in the \
        environment",
        names.join(", ")
    ))
}

/// Learns from the requests of a log whose profiles the configuration has. Returns the other
/// profiles.
fn read_log(
    path: &str,
    text: &str,
    config: &Config,
    lessons: &Lessons,
) -> Result<BTreeSet<String>, Mistakes> {
    let mut unknown = BTreeSet::new();
    for line in requests(path, text)?
        .into_iter()
        .filter(|line| line.message() != Some(RecordMessage::StreamStarted))
    {
        let Some(profile) = config
            .profiles
            .all()
            .find(|profile| profile.name == line.get("profile"))
        else {
            let name = line.get("profile");
            unknown.extend((!name.is_empty()).then(|| name.to_owned()));
            continue;
        };
        lessons.note_caller(&profile.name);
        let call = Method::parse(line.get("method"))
            .map(|method| Call::from_path(method, line.get("path")));
        let Some(Ok(call)) = call else { continue };
        // Those that are enforced are not learned.
        let Verdict::Allow(permit) = decide(call, profile).unless_enforced(profile) else {
            continue;
        };
        let exceptions: Vec<_> = split_list(line.get("guard_allow"), |_| false)
            .iter()
            .map(|one| list_value(one))
            .collect();
        let exceptions: BTreeSet<&str> = exceptions.iter().map(String::as_str).collect();
        let is_closed = matches!(
            line.reason(),
            Some(
                Reason::Guard | Reason::Denied(DenialKind::ClosedEndpoint | DenialKind::BeyondView)
            )
        );
        let hopeless = (is_closed && exceptions.is_empty()).then(|| line.get("detail").to_owned());
        lessons.add(
            &profile.name,
            permit.lesson(),
            &exceptions,
            hopeless,
            || line.get("time").to_owned(),
        );
    }
    Ok(unknown)
}
