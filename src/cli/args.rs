//! The command line, as types: the whole, and the options of every command. Help text is written here, in `removal` and in
//! `commands`, and nowhere else.
//!
//! Errors in a single value are refused here, with exit 2. A check that needs the policies or the fleet is a rule and
//! is made there.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use clap::{Args, Parser, ValueEnum, ValueHint};

use crate::policy::{self, DEFAULT_DIRECTORY};

use super::commands::Command;
use super::exit::Exit;
use super::removal::RemovalArgs;

/// Remove hosts from a fleet slowly, reversibly first, and never below any subsystem's minimum.
///
/// A run takes a batch of hosts out of service, watches every subsystem concerned for a while, and only
/// then terminates the batch, verifies and goes on. On a regression it puts back what it took out.
#[derive(Debug, Parser)]
#[command(
    name = "safe-remove",
    version,
    propagate_version = false,
    max_term_width = 100,
    override_usage = "safe-remove --subsystem NAME (--count N | --host ID...) [OPTIONS]\n       safe-remove COMMAND [OPTIONS]",
    after_help = AFTER_HELP,
    after_long_help = after_long_help(),
)]
pub(crate) struct Cli {
    /// The removal itself, where no command is named.
    #[command(flatten)]
    pub(crate) removal: RemovalArgs,
    /// Options of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// Anything but the removal itself.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The help that an operator on call needs at 3 a.m.: the output of `safe-remove` alone.
pub(crate) const SHORT_HELP: &str = "\
safe-remove takes hosts out of a fleet: out of service first, watched, then
terminated, in small batches, and never below any subsystem's minimum. It asks
before it acts.

How much can go now?       safe-remove headroom
What would happen?         safe-remove plan --subsystem index --count 3
Remove three hosts:        safe-remove --subsystem index --count 3
What is going on?          safe-remove status
What happened before?      safe-remove history
Stop everything:           safe-remove halt

Ctrl-C stops a run at any time and puts back what is not yet terminated. So does
a terminal that is closed; --detach goes on without one. Then the run reads its
probes on for one bake; one more Ctrl-C ends that at once.
All options and exit codes: safe-remove --help
";

const AFTER_HELP: &str = "\
Examples:
  safe-remove headroom                            how much can go now
  safe-remove plan --subsystem index --count 3    what would happen
  safe-remove --subsystem index --count 3         plan, ask, remove
  safe-remove status                              what is going on

Ctrl-C stops a run at any time and puts back what is not yet terminated. So does a terminal
that is closed; --detach goes on without one. Then the run reads its probes on for one bake;
one more Ctrl-C ends that at once.";

fn after_long_help() -> String {
    let mut text = format!("{AFTER_HELP}\n\nExit codes:\n");
    for (exit, meaning) in Exit::TABLE {
        text.push_str(&format!("  {:>2}  {meaning}\n", exit.code()));
    }
    text.push_str(
        "\nEnvironment:\n  SAFE_REMOVE_POLICIES  the policy directory\n  SAFE_REMOVE_LOG       what to log on stderr: \
         a tracing filter such as safe_remove=debug\n  NO_COLOR              no colours",
    );
    text
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The policy directory
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SAFE_REMOVE_POLICIES",
        hide_env_values = true,
        default_value = DEFAULT_DIRECTORY,
        value_parser = PathBufValueParser::new().map(|path| policy::straight(&path)),
        value_hint = ValueHint::DirPath
    )]
    pub(crate) policies: PathBuf,

    /// What stdout gets: text for people, one JSON document, or one event a line with the document last
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

    /// Say more on stderr; -vv and -vvv say still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say less on stderr: no progress, only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Colours on stderr; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,
}

/// `--output`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    Text,
    /// One final document
    Json,
    /// One event a line, the final document last
    Ndjson,
}

/// `--color`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// Where stderr is a terminal
    Auto,
    /// Also where it is not
    Always,
    /// Never
    Never,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn there_is_no_short_form_of_yes() {
        assert!(Cli::command().get_arguments().all(|arg| arg.get_short() != Some('y')));
    }
}
