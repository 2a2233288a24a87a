//! The subcommands, as types. Their help is written here and nowhere else.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::model::{HostId, RunId, SubsystemName};

use super::removal::SelectionArgs;
use super::values::{Since, Supposed, duration, host, new_file, reason, run, since, subsystem, what_if};
use super::{candidates, examples};

/// Everything but the removal itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what a removal would do; touches nothing
    #[command(after_help = examples::PLAN)]
    Plan {
        /// Which hosts.
        #[command(flatten)]
        selection: SelectionArgs,
        /// Add the proof to the JSON if the count is refused because of numbers: certificate/v1, for a program to check
        #[arg(long)]
        certificate: bool,
    },
    /// How much can be removed now, and what limits it
    #[command(after_help = examples::HEADROOM)]
    Headroom {
        /// Only this subsystem
        #[arg(long, value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
        subsystem: Option<SubsystemName>,
        /// How long to look for more hosts, and for the proof that no more can go, on a fleet where that is hard; each
        /// subsystem gets a tenth of it [default: 10s]
        #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
        prove: Option<Duration>,
        /// Answer as if minimum=UNITS (of --subsystem) or zone-down=ZONE; may be repeated; changes nothing
        #[arg(long, value_name = "KEY=VALUE", value_parser = what_if)]
        what_if: Vec<Supposed>,
    },
    /// Every host: what it serves, and what stands against taking it
    #[command(after_help = examples::HOSTS)]
    Hosts {
        /// Only the hosts of this subsystem
        #[arg(long, value_name = "NAME", value_parser = subsystem, add = candidates::subsystems())]
        subsystem: Option<SubsystemName>,
    },
    /// Look at all that a removal relies on, and say what stands in its way; touches nothing
    ///
    /// Looks at the caller, the ledger, the permissions that can be tried without effect, how long an observation takes, and
    /// the state of each group. Exit 0, or 5 with what to do.
    #[command(after_help = examples::DOCTOR)]
    Doctor {
        /// Raise the minimum size of groups until they hold what the policies ask, before looking
        ///
        /// The provider itself then holds the floor, whoever asks. A person confirms it, the ledger records it. A minimum is
        /// never lowered, and never raised above the group's desired size.
        #[arg(long)]
        fix: bool,
    },
    /// Runs under way, what they hold, halts
    #[command(after_help = examples::STATUS)]
    Status {
        /// Only this run
        #[arg(value_name = "RUN", value_parser = run, add = candidates::all_runs())]
        run: Option<RunId>,
        /// Show it again whenever it changes, until nothing is under way; end with the exit code of the run, of several
        /// with the first that is not 0
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
    /// Say what happened in a run, for a post-mortem, also while it is under way
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
    /// Write, check, show and accept policies
    #[command(subcommand, arg_required_else_help = true, after_help = examples::POLICY)]
    Policy(PolicyCommand),
    /// The ledger that all operators of a fleet share
    #[command(subcommand, arg_required_else_help = true, after_help = examples::LEDGER)]
    Ledger(LedgerCommand),
    /// Print the least that IAM must allow: to the role that removes, to the one that adopts, or to a user of the ledger
    ///
    /// Every action on hosts and groups is tied to the ledger's tag, so that the role can neither cordon nor terminate what was
    /// not adopted. Target groups have no such tag: registering is limited by account and region.
    #[command(after_help = examples::IAM_POLICY)]
    IamPolicy {
        /// For the role that puts hosts under the ledger: ledger adopt
        #[arg(long, conflicts_with_all = ["ledger", "fix"])]
        adopt: bool,
        /// For the role that raises the minimum of groups: doctor --fix
        ///
        /// IAM cannot limit it to that: give it to a person, and to no pipeline.
        #[arg(long, conflicts_with = "ledger")]
        fix: bool,
        /// For a user of the ledger alone, which is in DynamoDB: halt, status, history
        #[arg(long)]
        ledger: bool,
        /// With what ledger init needs besides
        #[arg(long, requires = "ledger")]
        init: bool,
        /// With what ledger prune needs besides: it deletes
        #[arg(long, requires = "ledger")]
        prune: bool,
    },
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
            | Self::Hosts { .. }
            | Self::Doctor { .. }
            | Self::Status { .. }
            | Self::History(_)
            | Self::Report { html: None, .. }
            | Self::Policy(PolicyCommand::Check { .. } | PolicyCommand::Show { .. } | PolicyCommand::Schema { .. })
            | Self::IamPolicy { .. }
            | Self::Completions { .. }
            | Self::Man { .. } => true,
            Self::Resume { .. }
            | Self::Abandon { .. }
            | Self::Pause { .. }
            | Self::Continue { .. }
            | Self::Halt { .. }
            | Self::Unhalt { .. }
            | Self::Report { html: Some(_), .. }
            | Self::Policy(PolicyCommand::Accept { .. } | PolicyCommand::Init { .. })
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
    /// The answer of a hook
    HookAnswer,
}

/// `safe-remove policy`
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Write a first policy for each group that is found, with every guess marked
    ///
    /// Looks at the AWS account of the caller, or at the fleet of --policies where that has a fleet.toml, and touches nothing.
    /// Guesses are on the strict side, and marked with GUESS: correct them before the first removal. A directory that is
    /// there already is never written over (exit 4).
    #[command(after_help = examples::POLICY_INIT)]
    Init {
        /// The directory to write; it must not exist, or be empty
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        out: PathBuf,
        /// The AWS region; without it AWS_REGION or the profile's
        #[arg(long, value_name = "REGION")]
        region: Option<String>,
        /// A tag whose value names the subsystems of a host: a policy for each of them, and not for each group
        #[arg(long, value_name = "TAG")]
        subsystem_tag: Option<String>,
    },
    /// Read every policy file and say what is wrong with it
    #[command(after_help = examples::POLICY_CHECK)]
    Check {
        /// Read every probe once, and show what it reads (exit 5 where one is bad)
        #[arg(long)]
        probe: bool,
    },
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
        /// The file that has the output of `ledger export`
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
