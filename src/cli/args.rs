//! The command line, as types: the removal, and the options of every command. Help text is written here and in
//! `commands`, and nowhere else.
//!
//! Errors in a single value are refused here, with exit 2. A check that needs the policies or the fleet is a rule and
//! is made there.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, ValueEnum, ValueHint};

use crate::model::{HostId, RequestId, SubsystemName};
use crate::policy::DEFAULT_DIRECTORY;

use super::candidates;
use super::commands::Command;
use super::exit::Exit;
use super::values::{count, duration, host, reason, remaining, request_id, subsystem};

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
a terminal that is closed; --detach goes on without one.
All options and exit codes: safe-remove --help
";

const AFTER_HELP: &str = "\
Examples:
  safe-remove headroom                            how much can go now
  safe-remove plan --subsystem index --count 3    what would happen
  safe-remove --subsystem index --count 3         plan, ask, remove
  safe-remove status                              what is going on

Ctrl-C stops a run at any time and puts back what is not yet terminated. So does a terminal
that is closed; --detach goes on without one.";

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

/// Which hosts, and what must be true: shared by the removal and by `plan`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which hosts", group(ArgGroup::new("selection").args(["count", "host"])))]
pub(crate) struct SelectionArgs {
    /// The subsystem to take hosts from
    #[arg(long, value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
    pub(crate) subsystem: Option<SubsystemName>,

    /// How many hosts; safe-remove chooses them
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) count: Option<NonZeroU64>,

    /// These hosts; may be repeated; - reads them from stdin, one a line
    #[arg(long, value_name = "ID", num_args = 1.., value_parser = host, add = candidates::hosts())]
    pub(crate) host: Vec<HostId>,

    /// Why; recorded, and required where a policy says so
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: Option<String>,

    /// Double entry: refuse unless exactly N hosts of the subsystem would still serve afterwards
    #[arg(long, value_name = "N", value_parser = remaining, allow_negative_numbers = true)]
    pub(crate) expect_remaining: Option<u64>,

    /// Idempotency key: a second call with the same ID never removes again, it reports the first run
    #[arg(long, value_name = "ID", value_parser = request_id)]
    pub(crate) request_id: Option<RequestId>,
}

/// The removal itself.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RemovalArgs {
    /// Which hosts.
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// No prompt; honoured only up to the policies' unattended_max
    #[arg(long, help_heading = "Whether and when")]
    pub(crate) yes: bool,

    /// Say what would happen and touch nothing, as plan does
    #[arg(long, help_heading = "Whether and when")]
    pub(crate) dry_run: bool,

    /// Ask before every batch, not only before the first; without a terminal the run waits for continue
    #[arg(long, help_heading = "Whether and when")]
    pub(crate) step: bool,

    /// Pause by itself once batch N is gone; continue goes on
    #[arg(long, value_name = "N", help_heading = "Whether and when", value_parser = count,
        allow_negative_numbers = true)]
    pub(crate) pause_after: Option<NonZeroU64>,

    /// Go on without this terminal once the run is confirmed, and log to a file that is named then
    #[arg(long, help_heading = "Whether and when")]
    pub(crate) detach: bool,

    /// As `detach`, in the process that goes on.
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub(crate) detached: bool,

    /// Do not wait for budgets or other runs: where the run would have to, touch nothing and end with exit 11
    #[arg(long, help_heading = "Whether and when", conflicts_with = "max_wait")]
    pub(crate) no_wait: bool,

    /// Wait for budgets and other runs at most so long; a longer wait known beforehand ends with exit 11 [default: 1h]
    #[arg(long, value_name = "DURATION", help_heading = "Whether and when", value_parser = duration,
        allow_hyphen_values = true)]
    pub(crate) max_wait: Option<Duration>,
}

impl RemovalArgs {
    /// How long a run may wait for budgets by default.
    pub(crate) const MAX_WAIT: Duration = Duration::from_secs(3600);

    /// How long the run may wait for budgets.
    pub(crate) fn max_wait(&self) -> Duration {
        if self.no_wait { Duration::ZERO } else { self.max_wait.unwrap_or(Self::MAX_WAIT) }
    }

    /// The removal options that were given, for the message where a command is named too.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let s = &self.selection;
        [
            (s.subsystem.is_some(), "--subsystem"),
            (s.count.is_some(), "--count"),
            (!s.host.is_empty(), "--host"),
            (s.reason.is_some(), "--reason"),
            (s.expect_remaining.is_some(), "--expect-remaining"),
            (s.request_id.is_some(), "--request-id"),
            (self.yes, "--yes"),
            (self.dry_run, "--dry-run"),
            (self.step, "--step"),
            (self.detach, "--detach"),
            (self.pause_after.is_some(), "--pause-after"),
            (self.no_wait, "--no-wait"),
            (self.max_wait.is_some(), "--max-wait"),
        ]
        .into_iter()
        .filter_map(|(given, name)| given.then_some(name))
        .collect()
    }
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
