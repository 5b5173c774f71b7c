//! The manual page and the completions of shells, from the grammar of the command line.

use cetusguard_config::grammar;
use clap_complete::{Shell, generate};

const NAME: &str = "cetusguard";

/// Returns the completions of a shell, by its name.
pub(super) fn completions(shell: &str) -> String {
    let shell = match shell {
        "elvish" => Shell::Elvish,
        "fish" => Shell::Fish,
        "powershell" => Shell::PowerShell,
        "zsh" => Shell::Zsh,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    generate(shell, &mut grammar(), NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Returns the manual page of section 1, in roff: the program, then each command.
pub(super) fn page() -> String {
    let mut roff = Vec::new();
    let whole = grammar();
    // Writing to memory does not fail.
    let _ = clap_mangen::Man::new(whole.clone())
        .date("")
        .render(&mut roff);
    for command in whole.get_subcommands() {
        // The options that every command takes stand above, once.
        let _ = render_command(command, &mut roff);
    }
    String::from_utf8_lossy(&roff).into_owned()
}

fn render_command(command: &clap::Command, roff: &mut Vec<u8>) -> std::io::Result<()> {
    let name = format!("{NAME} {}", command.get_name()).to_uppercase();
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
        .replace('-', "\\-");
    roff.extend(format!(".SH \"{name}\"\n{about}\n").bytes());
    match command.get_arguments().next() {
        Some(_) => clap_mangen::Man::new(command.clone()).render_options_section(roff),
        None => Ok(()),
    }
}
