//! Lists of processes: the options and columns of `ps`.
//!
//! Docker runs the host's own `ps` with the client's options, and keeps the lines whose PID column
//! names a process of the container. With other options, `ps` shows environments (`e`), or a column
//! of the client's choice under the name `PID`, such as the login user ID, which a process sets for
//! itself: then the lines of the whole host pass. So only known options and columns pass.

use super::Judge;
use super::query::{Parameter, many_judged, plain};

/// The parameters of `top`, of both engines.
pub(super) const TOP: &[Parameter] = &[
    many_judged("ps_args", arguments),
    plain("stream"),
    plain("delay"),
];

/// Options that select processes, and ready-made sets of columns.
const OPTIONS: &[&str] = &[
    "-A", "-F", "-H", "-L", "-T", "-a", "-aux", "-auxww", "-ax", "-e", "-eF", "-eLf", "-ef",
    "-efl", "-efww", "-el", "-elf", "-ely", "-f", "-j", "-l", "-ly", "-w", "-ww", "-x", "-y", "a",
    "aux", "auxf", "auxw", "auxww", "ax", "axf", "axu", "axuww", "f", "l", "u", "w", "ww", "x",
];

/// Options before a list of columns.
const BEFORE_COLUMNS: &[&str] = &["-Ao", "-axo", "-eo", "-o", "axo", "o"];

/// Columns about a process of the container alone (ps(1)), and those that Podman adds
/// (podman-top(1)).
const COLUMNS: &[&str] = &[
    "%cpu",
    "%mem",
    "args",
    "bsdstart",
    "bsdtime",
    "c",
    "capamb",
    "capbnd",
    "capeff",
    "capinh",
    "capprm",
    "cgname",
    "cgroup",
    "class",
    "cls",
    "cmd",
    "comm",
    "command",
    "cp",
    "cputime",
    "cputimes",
    "drs",
    "egid",
    "egroup",
    "etime",
    "etimes",
    "euid",
    "euser",
    "f",
    "flag",
    "fname",
    "gid",
    "group",
    "groups",
    "hgroup",
    "hgroups",
    "hpid",
    "huser",
    "label",
    "lstart",
    "lwp",
    "maj_flt",
    "min_flt",
    "ni",
    "nice",
    "nlwp",
    "pcpu",
    "pgid",
    "pgrp",
    "pid",
    "pmem",
    "policy",
    "ppid",
    "pri",
    "psr",
    "rgid",
    "rgroup",
    "rss",
    "rssize",
    "rsz",
    "rtprio",
    "ruid",
    "ruser",
    "s",
    "sched",
    "seccomp",
    "sess",
    "sid",
    "size",
    "spid",
    "start",
    "start_time",
    "stat",
    "state",
    "stime",
    "sz",
    "tgid",
    "thcount",
    "tid",
    "time",
    "times",
    "tname",
    "trs",
    "tt",
    "tty",
    "ucmd",
    "ucomm",
    "uid",
    "uname",
    "user",
    "vsize",
    "vsz",
    "wchan",
];

/// Judges the options of `ps`. Columns without an option are Podman's syntax.
fn arguments(judge: &mut Judge<'_>, arguments: &str) {
    let mut is_list = false;
    for word in arguments.split([' ', ',']).filter(|word| !word.is_empty()) {
        let attached = BEFORE_COLUMNS
            .iter()
            .find_map(|option| word.strip_prefix(option));
        let is_column = |word: &str| COLUMNS.contains(&word.to_ascii_lowercase().as_str());
        match attached {
            Some("") => is_list = true,
            // `ps -opid` is one word; `o` alone begins nothing else.
            Some(column) if word.starts_with('-') && is_column(column) => is_list = true,
            _ if OPTIONS.contains(&word) && (!is_list || word.starts_with('-')) => {}
            _ if is_column(word) => {}
            _ => {
                let what = format!(
                    "the option or column {:?} of ps is not among those that show only the \
                    container's own processes; columns are written as in -eo pid,user,args",
                    super::shortened(word)
                );
                judge.refuse(what, None);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Guard;

    #[test]
    fn only_known_options_and_columns_pass() {
        for (text, want) in [
            ("", true),
            ("-ef", true),
            ("aux", true),
            ("-eo pid,user,args", true),
            ("-o pid,ppid -e", true),
            ("-e -o pid -o args", true),
            ("axo pid,cmd,%cpu", true),
            ("-opid", true),
            ("pid,huser,capeff", true),
            ("user PID ARGS", true),
            ("-oluid=PID -eoargs --sort=-luid eww", false),
            ("-oluid", false),
            ("-eo pid,luid", false),
            ("-eo pid=PID", false),
            ("-eo pid,args=PID", false),
            ("e", false),
            ("eww", false),
            ("auxe", false),
            ("auxeww", false),
            ("-ef e", false),
            ("--sort=pid", false),
            ("-C sh", false),
            ("-p 1", false),
            ("p1", false),
            ("-eo environ", false),
            ("-o\tpid", false),
            ("-o pid:9999999", false),
            ("O pid", false),
            ("-o", true),
            ("-eo e", false),
        ] {
            let (guard, targets) = (Guard::default(), crate::Targets::default());
            let mut judge = Judge::new(&guard, &targets, crate::guard::Surroundings::default());
            arguments(&mut judge, text);
            assert_eq!(judge.count() == 0, want, "{text}");
        }
    }
}
