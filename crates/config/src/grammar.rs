//! The command line: the arguments of each command, and every option with every command. The help
//! of `serve` describes the options; that of another command describes only its own arguments.

use std::ffi::OsString;

use cetusguard_policy::Preset;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};

use super::Mistake;
use super::option::{OPTIONS, Opt, nearest};

/// Returns the grammar of the command line.
#[must_use]
pub fn grammar() -> Command {
    Command::new("cetusguard")
        .about("A filtering proxy in front of a container engine's API socket.")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Without a command, it serves. cetusguard serve --help describes the options, which \
            every command takes that reads the configuration.",
        )
        .args(
            OPTIONS
                .iter()
                .map(|option| arg(option).global(true).hide(true)),
        )
        .subcommands(commands().map(|command| match command.get_name() {
            SERVE => command.args(OPTIONS.iter().map(arg)),
            "check" | "explain" | "test" | "learn" | "doctor" | "healthcheck" | "top" => {
                command.after_help(
                    "It takes the options of serve as well: cetusguard serve --help \
                    describes them.",
                )
            }
            _ => command,
        }))
}

/// The command that runs the proxy.
const SERVE: &str = "serve";

fn arg(option: &Opt) -> Arg {
    let arg = Arg::new(option.name)
        .long(option.name)
        .help(option.help)
        .long_help(long_help(option));
    let arg = arg.help_heading(option.section).action(ArgAction::Append);
    match option.value {
        // The argument behind an option is its value, even a negative number: the option's own
        // reader reports mistakes in it.
        Some(value) => arg.value_name(value).allow_hyphen_values(true),
        None => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL"),
    }
}

/// Returns the commands of the program.
fn commands() -> [Command; 16] {
    [
        Command::new(SERVE).about("Run the proxy; the same as no command at all"),
        Command::new("check")
            .about(
                "Say what each client can do, what stands between it and root on the host, and \
                what is wrong; exit 0, 1 with --strict for warnings, 2 for mistakes",
            )
            .arg(switch("strict", "Exit 1 where there are warnings"))
            .arg(
                switch(
                    "hash",
                    "Print the hash of the policy alone, as the proxies that run it show it",
                )
                .conflicts_with_all(["strict", "format"]),
            )
            .arg(format_arg(&["text", "json"])),
        Command::new("explain")
            .about(
                "Say what becomes of a call and why, or of the refused calls of a log; exit 0 \
                if it is allowed, 1 if not, 2 for mistakes",
            )
            .arg(word("METHOD", "As in GET").required_unless_present("log"))
            .arg(
                word(
                    "PATH",
                    "With its query, as in /v1.43/containers/web/logs?follow=1",
                )
                .required_unless_present("log"),
            )
            .arg(
                value(
                    "profile",
                    "NAME",
                    "Decide for this profile [default: default]",
                )
                .conflicts_with("client"),
            )
            .arg(
                value(
                    "client",
                    "KEY=VALUE",
                    "Decide for a client with this mark, such as \
                container=web or address=10.0.0.7; may be repeated",
                )
                .action(ArgAction::Append),
            )
            .arg(value(
                "body",
                "FILE",
                "Judge this body with it; - is standard input",
            ))
            .arg(value(
                "log",
                "FILE",
                "Explain the refused lines of this log; - is standard input",
            ))
            .arg(format_arg(&["text", "json"])),
        Command::new("test")
            .about("Compare the decisions of a policy with the expected ones in files")
            .long_about(
                "Compare the decisions of a policy with the expected ones in files; exit 0 if all \
                are as expected, 1 if not, 2 for mistakes",
            )
            .arg(
                word("FILE", "Files with expected decisions; see docs/test.md")
                    .required(true)
                    .num_args(1..),
            )
            .arg(switch(
                "as-enforced",
                "Take profiles in audit mode for enforced ones",
            ))
            .arg(format_arg(&["text", "json"])),
        Command::new("diff")
            .about("Say what clients can do with one configuration file and not with another")
            .long_about(
                "Say what clients can do with one configuration file and not with another; exit 0 \
                if the second allows no more than the first, 1 if it does or may, 2 for mistakes",
            )
            .arg(word("OLD", "The configuration file to compare with").required(true))
            .arg(word("NEW", "The configuration file that is to replace it").required(true))
            .arg(format_arg(&["text", "json"])),
        Command::new("learn")
            .about(
                "Serve without refusing anything, and write the smallest policy for what was asked",
            )
            .long_about(
                "Serve without refusing anything, and write the smallest policy that covers \
                what was asked for: at the end, and on SIGUSR1",
            )
            .arg(
                value(
                    "profile",
                    "NAME",
                    "Learn for this profile alone, hold the others to \
                theirs; may be repeated",
                )
                .action(ArgAction::Append),
            )
            .arg(value(
                "from",
                "FILE",
                "Learn from the lines of a log (log-level 7) instead of \
                serving; - is standard input",
            ))
            .arg(value(
                "out",
                "FILE",
                "Where to write it [default: standard output]",
            ))
            .arg(switch(
                "risky",
                "Write risky endpoints as rules too, not as comments",
            ))
            .arg(format_arg(&["yaml", "rules", "json"])),
        Command::new("preset")
            .about("Rules for well-known clients")
            .subcommand_required(true)
            .subcommand(
                Command::new("list")
                    .about("Name each with what it is for")
                    .arg(format_arg(&["text", "json"])),
            )
            .subcommand(Command::new("show").about("Print the rules of one").arg(
                word("NAME", "As in homepage").required(true).value_parser(
                    PossibleValuesParser::new(Preset::ALL.iter().map(|preset| preset.name)),
                ),
            )),
        Command::new("migrate")
            .about(
                "Write a configuration with the intent of another proxy's; exit 0, 1 if a \
                restriction or something that clients need is missing in it, 2 for mistakes",
            )
            .arg(
                word("PROXY", "Which proxy the settings are of")
                    .required(true)
                    .value_parser(PossibleValuesParser::new([
                        "tecnativa",
                        "linuxserver",
                        "wollomatic",
                        "cetusguard",
                        "sockguard",
                        "11notes",
                    ])),
            )
            .arg(word(
                "FILE",
                "A compose file, a command line of docker run, or lines of \
                NAME=VALUE; - is standard input [default: -]",
            ))
            .arg(value(
                "service",
                "NAME",
                "The service of the compose file [default: all with the \
                proxy's image]",
            ))
            .arg(value(
                "project",
                "NAME",
                "The name of the Compose project, by which clients are told apart \
                [default: what the compose file, .env or the folder says]",
            ))
            .arg(value(
                "env-file",
                "FILE",
                "The file with the variables of the compose file [default: .env beside it]",
            ))
            .arg(value(
                "out",
                "FOLDER",
                "Write compose.yaml and the configuration into this \
                folder, and print the notes alone",
            ))
            .arg(format_arg(&["text", "json"])),
        Command::new("own")
            .about("What the clients of a profile own")
            .subcommand_required(true)
            .subcommand(owned_args(
                Command::new("list").about("List the objects that they have created"),
            ))
            .subcommand(owned_args(
                Command::new("remove").about("Remove these objects; exit 1 if one of them stays"),
            )),
        Command::new("doctor")
            .about(
                "Find out why it does not work here; exit 0 if nothing is wrong, 1 if something \
                is",
            )
            .arg(format_arg(&["text", "json"])),
        Command::new("healthcheck")
            .about(
                "Ask a running instance for /_ping; exit 0 if it answers, 1 with the reason if \
                not",
            )
            .arg(word(
                "ADDR",
                "Frontend to ask [default: the first of frontend-addr]",
            )),
        Command::new("top")
            .about("Show what a running instance does, until it is interrupted")
            .long_about(
                "Show the requests, refusals and clients of a running instance, over its admin \
                listener, until it is interrupted",
            )
            .arg(word(
                "ADDR",
                "Admin listener to ask [default: the one of admin-addr]",
            ))
            .arg(value(
                "token-file",
                "FILE",
                "File with the token of the admin listener [default: the one of \
                admin-token-file, for the listener of admin-addr]",
            ))
            .arg(value(
                "tls-cacert",
                "FILE",
                "CA certificates (PEM) for the admin listener on TCP [default: only the certificate \
                of admin-tls-cert, for the listener of admin-addr]",
            ))
            .arg(
                value(
                    "tls-cert",
                    "FILE",
                    "Certificate (PEM) to show to a listener with admin-tls-cacert",
                )
                .requires("tls-key"),
            )
            .arg(
                value("tls-key", "FILE", "Private key (PEM) of --tls-cert").requires("tls-cert"),
            )
            .arg(switch(
                "once",
                "Print what happens within a second, and exit; the default if standard output is \
                no terminal",
            )),
        Command::new("schema")
            .about("Print the JSON Schema of the configuration file, for editors"),
        Command::new("completions")
            .about("Print the completions of a shell")
            .arg(word("SHELL", "Which shell").required(true).value_parser(
                PossibleValuesParser::new(["bash", "elvish", "fish", "powershell", "zsh"]),
            )),
        Command::new("man").about("Print the manual page"),
        Command::new("version").about("Print the version"),
    ]
}

/// Adds the arguments that name an owner.
fn owned_args(command: Command) -> Command {
    command
        .arg(word("PROFILE", "The profile, as in ci").required(true))
        .arg(word("SESSION", "One session of it [default: all]"))
        .arg(format_arg(&["text", "json"]))
}

fn word(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(name).help(help)
}

fn value(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
}

fn format_arg(formats: &[&'static str]) -> Arg {
    let [first, ..] = formats else {
        return Arg::new("format");
    };
    value("format", "FORMAT", "How to print it")
        .value_parser(PossibleValuesParser::new(formats))
        .default_value(*first)
}

/// Returns the help of an option with its variables, its default, and the syntax of several values.
fn long_help(option: &Opt) -> String {
    let env = option.env().collect::<Vec<_>>().join(", ");
    let default = if option.default.is_empty() {
        String::new()
    } else {
        format!(" [default: {}]", option.default)
    };
    format!(
        "{}{} [env: {env}]{default}",
        option.help,
        option.many.help()
    )
}

/// Accepts `-backend-addr` for `--backend-addr`, as Go programs do. Reports every unknown flag with
/// the nearest known one.
#[must_use]
pub fn normalise_args(
    args: impl Iterator<Item = OsString>,
    grammar: &Command,
    mistakes: &mut Vec<Mistake>,
) -> Vec<OsString> {
    let known = all_flags(grammar);
    let mut out = Vec::new();
    let mut args = args.peekable();
    out.extend(args.next());
    while let Some(arg) = args.next() {
        let Some((name, value)) = arg.to_str().and_then(split_flag) else {
            out.push(arg);
            continue;
        };
        if let Some((_, takes_value)) = known.iter().find(|(known, _)| known == name) {
            out.push(
                format!(
                    "--{name}{}",
                    value.map(|v| format!("={v}")).unwrap_or_default()
                )
                .into(),
            );
            // The argument behind a flag is its value, even if it looks like a flag.
            if value.is_none() && *takes_value {
                out.extend(args.next());
            }
            continue;
        }
        let near = nearest(name, known.iter().map(|(name, _)| name.as_str()));
        let fix = near.map_or_else(
            || "see --help".to_owned(),
            |near| format!("did you mean --{near}?"),
        );
        mistakes.push(Mistake::new(
            format!("unknown option {}", arg.to_string_lossy()),
            fix,
        ));
        // Its value, if it has one, is not a mistake of its own.
        if value.is_none()
            && args
                .peek()
                .and_then(|next| next.to_str())
                .is_some_and(|next| split_flag(next).is_none())
        {
            args.next();
        }
    }
    out
}

/// Returns every flag of any command, and whether a value follows it.
fn all_flags(grammar: &Command) -> Vec<(String, bool)> {
    fn gather_flags(command: &Command, flags: &mut Vec<(String, bool)>) {
        let long = |arg: &Arg| Some((arg.get_long()?.to_owned(), arg.get_action().takes_values()));
        // A switch of the configuration takes its value behind an equals sign, if any.
        let is_switch = |name: &str| {
            OPTIONS
                .iter()
                .any(|option| option.name == name && option.value.is_none())
        };
        flags.extend(
            command
                .get_arguments()
                .filter_map(long)
                .map(|(name, takes)| (name.clone(), takes && !is_switch(&name))),
        );
        command
            .get_subcommands()
            .for_each(|inner| gather_flags(inner, flags));
    }
    let mut flags = vec![("help".to_owned(), false), ("version".to_owned(), false)];
    gather_flags(grammar, &mut flags);
    flags
}

/// Splits `-name`, `--name` and `-name=value` into name and value. Flags of one letter are clap's
/// own.
fn split_flag(arg: &str) -> Option<(&str, Option<&str>)> {
    let rest = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'))?;
    let (name, value) = rest
        .split_once('=')
        .map_or((rest, None), |(name, value)| (name, Some(value)));
    (name.len() > 1).then_some((name, value))
}
