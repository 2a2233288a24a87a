//! The command line, as types. Help text is written here and nowhere else.
//!
//! Errors in a single value are refused here, with exit 2. A check that needs the policies or the fleet is a rule and
//! is made there.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::model::{HostId, RequestId, RunId, SubsystemName};
use crate::policy::DEFAULT_DIRECTORY;

use super::candidates;
use super::examples;
use super::exit::Exit;
use super::values::{
    Since, Supposed, count, duration, host, new_file, reason, remaining, request_id, run, since, subsystem, what_if,
};

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
safe-remove takes hosts out of a fleet: out of service first, watched, then terminated,
in small batches, and never below any subsystem's minimum. It asks before it acts.

How much can go now?       safe-remove headroom
What would happen?         safe-remove plan --subsystem index --count 3
Remove three hosts:        safe-remove --subsystem index --count 3
What is going on?          safe-remove status
What happened before?      safe-remove history
Stop everything:           safe-remove halt

Ctrl-C stops a run at any time and puts back what is not yet terminated. So does a terminal
that is closed; --detach goes on without one.
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

/// Everything but the removal itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what a removal would do; touches nothing
    #[command(after_help = examples::PLAN)]
    Plan {
        /// Which hosts.
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// How much can be removed now, and what limits it
    #[command(after_help = examples::HEADROOM)]
    Headroom {
        /// Only this subsystem
        #[arg(long, value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
        subsystem: Option<SubsystemName>,
        /// Answer as if minimum=UNITS (of --subsystem) or zone-down=ZONE; may be repeated; changes nothing
        #[arg(long, value_name = "KEY=VALUE", value_parser = what_if)]
        what_if: Vec<Supposed>,
    },
    /// Runs under way, what they hold, halts
    #[command(after_help = examples::STATUS)]
    Status {
        /// Only this run
        #[arg(value_name = "RUN", value_parser = run, add = candidates::all_runs())]
        run: Option<RunId>,
        /// Show it again whenever it changes, until nothing is under way; of one run, end with its exit code
        #[arg(long, short = 'w')]
        watch: bool,
        /// End with 1 where a run is under way or holds hosts, or a stop order is in force
        #[arg(long)]
        check: bool,
    },
    /// Take over a run whose process died, and go on with exactly its plan
    ///
    /// The rest of the plan is judged anew, shown and confirmed. A run that was stopping, or had ended, only puts back,
    /// and asks nothing.
    #[command(after_help = examples::RESUME)]
    Resume {
        /// Which run: status names it
        #[arg(value_name = "RUN", value_parser = run, add = candidates::runs())]
        run: RunId,
        /// No prompt; honoured only up to the policies' unattended_max
        #[arg(long)]
        yes: bool,
        /// Why; recorded
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
        /// Also from a process that is not known to be dead: it then sends nothing more
        #[arg(long)]
        even_if_alive: bool,
    },
    /// Take over a run whose process died, put back what is cordoned, and end it
    ///
    /// Exit 0 where every cordoned host is back in service, 8 where one is not.
    #[command(after_help = examples::ABANDON)]
    Abandon {
        /// Which run: status names it
        #[arg(value_name = "RUN", value_parser = run, add = candidates::runs())]
        run: RunId,
        /// Give up this host of the run instead of putting it back; may be repeated; recorded with who decided it
        #[arg(long, value_name = "HOST", value_parser = host, add = candidates::held())]
        leave: Vec<HostId>,
        /// Why; recorded
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
        /// Also from a process that is not known to be dead: it then sends nothing more
        #[arg(long)]
        even_if_alive: bool,
    },
    /// Let a run take no further batch until continue; the batch under way goes on to its end
    ///
    /// halt is what stops at once.
    #[command(after_help = examples::PAUSE)]
    Pause {
        /// Which run: status names it
        #[arg(value_name = "RUN", value_parser = run, add = candidates::runs())]
        run: RunId,
        /// Why; recorded, and asked for on a terminal
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
    },
    /// Let a paused run go on, or confirm the batch that it waits for
    #[command(after_help = examples::CONTINUE)]
    Continue {
        /// Which run: status names it
        #[arg(value_name = "RUN", value_parser = run, add = candidates::runs())]
        run: RunId,
    },
    /// Stop every run, and let none start, until unhalt: what is cordoned is put back
    #[command(after_help = examples::HALT)]
    Halt {
        /// Only runs that touch or watch this subsystem
        #[arg(long, value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
        subsystem: Option<SubsystemName>,
        /// Why; recorded, told to everybody who is stopped, and asked for on a terminal once the order is in force
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
        /// Do not wait to see what becomes of the runs
        #[arg(long)]
        no_follow: bool,
    },
    /// Say who halted and why, and lift that halt
    #[command(after_help = examples::UNHALT)]
    Unhalt {
        /// The halt of this subsystem; without it, the halt of the whole fleet
        #[arg(long, value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
        subsystem: Option<SubsystemName>,
        /// Why it may go on; recorded, and asked for on a terminal
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
    },
    /// Ended runs and stop orders, newest first
    #[command(after_help = examples::HISTORY)]
    History(HistoryArgs),
    /// What happened in a run: for a post-mortem, also while it is under way
    ///
    /// Says what went when and why it stopped, with capacity and readings over time, what was refused, and the plan.
    #[command(after_help = examples::REPORT)]
    Report {
        /// Which run: status and history name it
        #[arg(value_name = "RUN", value_parser = run, add = candidates::all_runs())]
        run: RunId,
        /// As Markdown, to paste into a post-mortem
        #[arg(long, conflicts_with = "html")]
        markdown: bool,
        /// Write one self-contained page, with the timeline as a picture; an older one is replaced
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Check, show and accept policies
    #[command(subcommand, arg_required_else_help = true, after_help = examples::POLICY)]
    Policy(PolicyCommand),
    /// The ledger that all operators of a fleet share
    #[command(subcommand, arg_required_else_help = true, after_help = examples::LEDGER)]
    Ledger(LedgerCommand),
    /// Print what makes a shell complete commands, options, subsystems, runs and hosts
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page of safe-remove, or of one of its commands
    #[command(after_help = examples::MAN)]
    Man {
        /// Which command, such as policy check
        #[arg(value_name = "COMMAND")]
        path: Vec<String>,
    },
}

/// The options of `history`.
#[derive(Args, Clone, Debug)]
pub(crate) struct HistoryArgs {
    /// Only removals from this subsystem
    #[arg(long, value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
    pub(crate) subsystem: Option<SubsystemName>,
    /// Only runs that took this host or were about to
    #[arg(long, value_name = "ID", value_parser = host, add = candidates::hosts())]
    pub(crate) host: Option<HostId>,
    /// Only runs begun since then: a time, a date, or how long ago (24h)
    #[arg(long, value_name = "T", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// At most so many runs and orders, the newest
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,
}

impl Command {
    /// Whether the command only produces an answer.
    pub(crate) fn only_reads(&self) -> bool {
        match self {
            Self::Plan { .. }
            | Self::Headroom { .. }
            | Self::Status { .. }
            | Self::History(_)
            | Self::Report { html: None, .. }
            | Self::Policy(PolicyCommand::Check | PolicyCommand::Show { .. } | PolicyCommand::Schema { .. })
            | Self::Completions { .. }
            | Self::Man { .. } => true,
            Self::Resume { .. }
            | Self::Abandon { .. }
            | Self::Pause { .. }
            | Self::Continue { .. }
            | Self::Halt { .. }
            | Self::Unhalt { .. }
            | Self::Report { html: Some(_), .. }
            | Self::Policy(PolicyCommand::Accept { .. })
            | Self::Ledger(_) => false,
        }
    }
}

/// The kinds of policy files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The policy of a subsystem
    Subsystem,
    /// fleet.toml
    Fleet,
}

/// `safe-remove policy`
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Read every policy file and say what is wrong with it
    #[command(after_help = examples::POLICY_CHECK)]
    Check,
    /// Show the policies as they are understood, percentages resolved
    #[command(after_help = examples::POLICY_SHOW)]
    Show {
        /// Only this subsystem
        #[arg(value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
        name: Option<SubsystemName>,
    },
    /// Print the JSON Schema of a kind of policy file, for editors
    #[command(after_help = examples::POLICY_SCHEMA)]
    Schema {
        /// Which kind of file
        #[arg(value_name = "FILE", value_enum, default_value_t = SchemaOf::Subsystem)]
        of: SchemaOf,
    },
    /// Accept a policy that became looser than the one the ledger keeps
    #[command(after_help = examples::POLICY_ACCEPT)]
    Accept {
        /// Which subsystem
        #[arg(value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
        name: SubsystemName,
        /// Why; recorded
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
}

/// `safe-remove ledger`
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Make the ledger: on DynamoDB its table too, with backups and deletion protection (safe to repeat)
    #[command(after_help = examples::LEDGER_INIT)]
    Init,
    /// Print everything in the ledger as one document, also where its record cannot be read
    #[command(after_help = examples::LEDGER_EXPORT)]
    Export,
    /// Make a ledger from an export, in an empty place: with a new id, and halted
    #[command(after_help = examples::LEDGER_IMPORT)]
    Import {
        /// What `ledger export` printed
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
    },
    /// Archive the journals of runs that ended long ago to a file, then remove them; each run's document stays
    #[command(after_help = examples::LEDGER_PRUNE)]
    Prune {
        /// Runs that ended before then: a time, a date, or how long ago (90d); at least seven days
        #[arg(long, value_name = "T", value_parser = since)]
        before: Since,
        /// The file to write, which must not exist [default: FLEET-journals-before-T.json, here]
        #[arg(long, value_name = "FILE", value_parser = new_file)]
        to: Option<std::path::PathBuf>,
    },
    /// Print the IAM policy that a ledger in DynamoDB needs
    #[command(after_help = examples::LEDGER_IAM_POLICY)]
    IamPolicy {
        /// With what `ledger init` needs besides
        #[arg(long)]
        init: bool,
        /// With what `ledger prune` needs besides: it deletes
        #[arg(long)]
        prune: bool,
    },
    /// Set the ledger's time right where a wrong clock left one behind that has not come yet
    #[command(after_help = examples::LEDGER_SET_TIME)]
    SetTime {
        /// Why; recorded
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
    /// Put the hosts of the policies under this ledger
    #[command(after_help = examples::LEDGER_ADOPT)]
    Adopt {
        /// Why; recorded
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
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
