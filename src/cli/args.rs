//! The command line, as types. Help text is written here and nowhere else.
//!
//! What a single value can get wrong is refused here, with exit 2; what needs the policies or the fleet
//! is a rule and refused there.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::model::{HostId, RequestId, RunId, SubsystemName, Time, ZoneName};

use super::exit::Exit;

/// The policy directory where none is named.
pub const POLICIES: &str = "./policies";

/// The longest request id, in bytes: room for two UUIDs and a pipeline's name.
const REQUEST_ID_MAX: usize = 128;

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
    disable_help_subcommand = true,
    override_usage = "safe-remove --subsystem NAME (--count N | --host ID...) [OPTIONS]\n       safe-remove COMMAND [OPTIONS]",
    after_help = AFTER_HELP,
    after_long_help = after_long_help(),
)]
pub struct Cli {
    /// The removal itself, where no command is named.
    #[command(flatten)]
    pub removal: RemovalArgs,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// Anything but the removal itself.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What somebody who is on call needs at 3 a.m.: what `safe-remove` alone shows.
pub const SHORT_HELP: &str = "\
safe-remove takes hosts out of a fleet: out of service first, watched, then terminated,
in small batches, and never below any subsystem's minimum. It asks before it acts.

How much can go now?       safe-remove headroom
What would happen?         safe-remove plan --subsystem index --count 3
Remove three hosts:        safe-remove --subsystem index --count 3
What is going on?          safe-remove status
What happened before?      safe-remove history
Stop everything:           safe-remove halt --reason TEXT

Ctrl-C stops a run at any time and puts back what is not yet terminated.
All options and exit codes: safe-remove --help
";

const AFTER_HELP: &str = "\
Examples:
  safe-remove headroom                            how much can go now
  safe-remove plan --subsystem index --count 3    what would happen; touches nothing
  safe-remove --subsystem index --count 3         plan, ask, remove
  safe-remove status                              what is going on

Ctrl-C stops a run at any time and puts back what is not yet terminated.";

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
pub struct Global {
    /// The policy directory
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SAFE_REMOVE_POLICIES",
        hide_env_values = true,
        default_value = POLICIES
    )]
    pub policies: PathBuf,

    /// What stdout gets: text for people, one JSON document, or one event a line with the document last
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub output: Format,

    /// Say more on stderr (-vv: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Say less on stderr: no progress, only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Colours on stderr; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// `--output`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Text,
    /// One final document
    Json,
    /// One event a line, the final document last
    Ndjson,
}

/// `--color`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
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
pub struct SelectionArgs {
    /// The subsystem to take hosts from
    #[arg(long, value_name = "NAME", value_parser = subsystem)]
    pub subsystem: Option<SubsystemName>,

    /// How many hosts; safe-remove chooses them
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub count: Option<u64>,

    /// These hosts; may be repeated; - reads them from stdin, one a line
    #[arg(long, value_name = "ID", num_args = 1.., value_parser = host)]
    pub host: Vec<HostId>,

    /// Why; recorded, and required where a policy says so
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,

    /// Double entry: refuse unless exactly N hosts of the subsystem would still serve afterwards
    #[arg(long, value_name = "N", value_parser = remaining, allow_negative_numbers = true)]
    pub expect_remaining: Option<u64>,

    /// Idempotency key: a second call with the same ID never removes again, it reports the first run
    #[arg(long, value_name = "ID", value_parser = request_id)]
    pub request_id: Option<RequestId>,
}

/// The removal itself.
#[derive(Args, Clone, Debug, Default)]
pub struct RemovalArgs {
    /// Which hosts.
    #[command(flatten)]
    pub selection: SelectionArgs,

    /// No prompt; honoured only up to the policies' unattended_max
    #[arg(long, help_heading = "Whether and when")]
    pub yes: bool,

    /// Say what would happen and touch nothing, as plan does
    #[arg(long, help_heading = "Whether and when")]
    pub dry_run: bool,

    /// Do not wait for budgets: where the plan would have to, touch nothing and end with exit 11
    #[arg(long, help_heading = "Whether and when", conflicts_with = "max_wait")]
    pub no_wait: bool,

    /// Wait for budgets at most so long; a longer wait known beforehand ends with exit 11 [default: 1h]
    #[arg(long, value_name = "DURATION", help_heading = "Whether and when", value_parser = duration,
        allow_hyphen_values = true)]
    pub max_wait: Option<Duration>,
}

impl RemovalArgs {
    /// How long a run may wait for budgets where nothing else is said.
    pub const MAX_WAIT: Duration = Duration::from_secs(3600);

    /// How long the run may wait for budgets.
    pub fn patience(&self) -> Duration {
        if self.no_wait { Duration::ZERO } else { self.max_wait.unwrap_or(Self::MAX_WAIT) }
    }

    /// The options that belong to a removal and were given, for the message where a command is named too.
    pub fn given(&self) -> Vec<&'static str> {
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
pub enum Command {
    /// Say what a removal would do; touches nothing
    Plan {
        /// Which hosts.
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// How much can be removed now, and what limits it
    Headroom {
        /// Only this subsystem
        #[arg(long, value_name = "NAME", value_parser = subsystem)]
        subsystem: Option<SubsystemName>,
        /// Answer as if minimum=UNITS (of --subsystem) or zone-down=ZONE; may be repeated; changes nothing
        #[arg(long, value_name = "KEY=VALUE", value_parser = what_if)]
        what_if: Vec<Supposed>,
    },
    /// Runs under way, what they hold, halts
    Status {
        /// Only this run
        #[arg(value_name = "RUN", value_parser = run)]
        run: Option<RunId>,
        /// Show it again whenever it changes, until nothing is under way
        #[arg(long, short = 'w')]
        watch: bool,
    },
    /// Take over a run whose process died, and go on with exactly its plan
    Resume {
        /// Which run: status names it
        #[arg(value_name = "RUN", value_parser = run)]
        run: RunId,
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
    Abandon {
        /// Which run: status names it
        #[arg(value_name = "RUN", value_parser = run)]
        run: RunId,
        /// Give up this host of the run instead of putting it back; may be repeated; recorded with who decided it
        #[arg(long, value_name = "HOST", value_parser = host)]
        leave: Vec<HostId>,
        /// Why; recorded
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
        /// Also from a process that is not known to be dead: it then sends nothing more
        #[arg(long)]
        even_if_alive: bool,
    },
    /// Stop every run, and let none start, until unhalt: what is cordoned is put back
    Halt {
        /// Only runs that touch or watch this subsystem
        #[arg(long, value_name = "NAME", value_parser = subsystem)]
        subsystem: Option<SubsystemName>,
        /// Why; recorded, and told to everybody who is stopped
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
    /// Say who halted and why, and lift that halt
    Unhalt {
        /// The halt of this subsystem; without it, the halt of the whole fleet
        #[arg(long, value_name = "NAME", value_parser = subsystem)]
        subsystem: Option<SubsystemName>,
        /// Why it may go on; recorded, and asked for on a terminal
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
    },
    /// Ended runs and stop orders, newest first
    History {
        /// Only removals from this subsystem
        #[arg(long, value_name = "NAME", value_parser = subsystem)]
        subsystem: Option<SubsystemName>,
        /// Only runs begun since then: a time, a date, or how long ago (24h)
        #[arg(long, value_name = "T", value_parser = since)]
        since: Option<Since>,
    },
    /// Check, show and accept policies
    #[command(subcommand, arg_required_else_help = true)]
    Policy(PolicyCommand),
    /// The ledger that all operators of a fleet share
    #[command(subcommand, arg_required_else_help = true)]
    Ledger(LedgerCommand),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

impl Command {
    /// Whether all that it does is to answer.
    pub fn only_reads(&self) -> bool {
        match self {
            Self::Plan { .. }
            | Self::Headroom { .. }
            | Self::Status { .. }
            | Self::History { .. }
            | Self::Policy(PolicyCommand::Check | PolicyCommand::Show { .. } | PolicyCommand::Schema)
            | Self::Completions { .. }
            | Self::Man => true,
            Self::Resume { .. }
            | Self::Abandon { .. }
            | Self::Halt { .. }
            | Self::Unhalt { .. }
            | Self::Policy(PolicyCommand::Accept { .. })
            | Self::Ledger(_) => false,
        }
    }
}

/// `safe-remove policy`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Read every policy file and say what is wrong with it
    Check,
    /// Show the policies as they are understood, percentages resolved
    Show {
        /// Only this subsystem
        #[arg(value_name = "NAME", value_parser = subsystem)]
        name: Option<SubsystemName>,
    },
    /// Print the JSON Schema of the policy files
    Schema,
    /// Accept a policy that became looser than the one the ledger keeps
    Accept {
        /// Which subsystem
        #[arg(value_name = "NAME", value_parser = subsystem)]
        name: SubsystemName,
        /// Why; recorded
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
}

/// `safe-remove ledger`
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Make the ledger: on DynamoDB its table too, with backups and deletion protection (safe to repeat)
    Init,
    /// Print everything in the ledger as one document, also where its record cannot be read
    Export,
    /// Make a ledger from an export, in an empty place: with a new id, and halted
    Import {
        /// What `ledger export` printed
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
    },
    /// Print the IAM policy that a ledger in DynamoDB needs
    IamPolicy {
        /// With what `ledger init` needs besides
        #[arg(long)]
        init: bool,
    },
    /// Put the hosts of the policies under this ledger
    Adopt {
        /// Why; recorded
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
}

/// `--what-if`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supposed {
    /// `minimum=UNITS`: of the subsystem that `--subsystem` names.
    Minimum(u64),
    /// `zone-down=ZONE`
    ZoneDown(ZoneName),
}

/// `--since`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// A point in time.
    At(Time),
    /// So long ago.
    Ago(Duration),
}

impl Since {
    /// The point in time, as seen from `now`.
    pub fn time(self, now: Time) -> Time {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.minus(ago),
        }
    }
}

fn whole(text: &str, what: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{what} is a whole number"));
    }
    if text.starts_with('-') {
        return Err(format!("{what} is never negative"));
    }
    digits.parse().map_err(|_| format!("{what} is at most {}", u64::MAX))
}

fn count(text: &str) -> Result<u64, String> {
    match whole(text, "a count")? {
        0 => Err("a count is at least 1".to_owned()),
        count => Ok(count),
    }
}

fn remaining(text: &str) -> Result<u64, String> {
    whole(text, "a number of hosts")
}

/// Names and ids on the command line: nothing empty, no white space at the ends, no control characters.
fn name(text: &str, what: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{what} is never empty"));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(format!("{what} has no white space around it and no control characters"));
    }
    Ok(())
}

fn subsystem(text: &str) -> Result<SubsystemName, String> {
    name(text, "a subsystem's name").map(|()| text.into())
}

/// Also for hosts that are read from stdin.
pub(super) fn host(text: &str) -> Result<HostId, String> {
    name(text, "a host's id").map(|()| text.into())
}

fn what_if(text: &str) -> Result<Supposed, String> {
    let keys = "minimum=UNITS or zone-down=ZONE";
    let (key, value) = text.split_once('=').ok_or_else(|| format!("say what is assumed: {keys}"))?;
    match key {
        "minimum" => whole(value, "a minimum, in units,").map(Supposed::Minimum),
        "zone-down" => name(value, "a zone's name").map(|()| Supposed::ZoneDown(value.into())),
        _ => Err(format!("what can be assumed is {keys}")),
    }
}

fn run(text: &str) -> Result<RunId, String> {
    name(text, "a run's id").map(|()| text.into())
}

fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a reason says something".to_owned());
    }
    Ok(text.trim().to_owned())
}

fn request_id(text: &str) -> Result<RequestId, String> {
    name(text, "a request id")?;
    if text.len() > REQUEST_ID_MAX {
        return Err(format!("a request id has at most {REQUEST_ID_MAX} bytes"));
    }
    Ok(text.into())
}

/// A whole number and `ms`, `s`, `m`, `h` or `d`, as in policies.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is a whole number and ms, s, m, h or d, such as 90s".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "that is longer than can be counted".to_owned())
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse::<Time>() {
        return Ok(Since::At(at));
    }
    if let Ok(ago) = duration(text) {
        return Ok(Since::Ago(ago));
    }
    text.parse::<jiff::civil::Date>()
        .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|at| Since::At(Time::from_jiff(at.timestamp())))
        .map_err(|_| "give a time (2017-02-28T17:37:00Z), a date (2017-02-28, UTC) or how long ago (24h)".to_owned())
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
    fn counts_are_whole_and_positive() {
        assert_eq!(count("3"), Ok(3));
        assert_eq!(count("18446744073709551615"), Ok(u64::MAX));
        for bad in
            ["0", "-1", "-0", "", "x", "1.5", "1e3", "18446744073709551616", "+3", "99999999999999999999999999", " 3"]
        {
            assert!(count(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn durations_are_the_policies() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in
            ["", "90", "s", "-1s", "1.5h", "1 h", "1w", "1h30m", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn assumptions_are_a_key_and_a_value() {
        assert_eq!(what_if("minimum=55"), Ok(Supposed::Minimum(55)));
        assert_eq!(what_if("minimum=0"), Ok(Supposed::Minimum(0)));
        assert_eq!(what_if("zone-down=a=b"), Ok(Supposed::ZoneDown("a=b".into())));
        for bad in [
            "",
            "=",
            "minimum",
            "minimum=",
            "minimum=-1",
            "minimum=+1",
            "minimum=1.5",
            "minimum=70%",
            "minimum= 5",
            "minimum=18446744073709551616",
            "zone-down",
            "zone-down=",
            "zone-down= a",
            "zone-down=a\n",
            "zone=a",
            "Minimum=5",
            "maximum=5",
        ] {
            assert!(what_if(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn since_is_a_time_a_date_or_an_age() {
        let at = |text: &str| Since::At(text.parse().expect("valid"));
        assert_eq!(since("2017-02-28T17:37:00Z"), Ok(at("2017-02-28T17:37:00Z")));
        assert_eq!(since("2017-02-28"), Ok(at("2017-02-28T00:00:00Z")));
        assert_eq!(since("24h"), Ok(Since::Ago(Duration::from_secs(86_400))));
        for bad in ["", "yesterday", "-1h", "2017-02-30"] {
            assert!(since(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_never_empty_or_hostile() {
        for bad in ["", " ", " index", "index\n", "a\x1b[2J"] {
            assert!(subsystem(bad).is_err() && host(bad).is_err() && request_id(bad).is_err(), "{bad:?}");
        }
        assert!(request_id(&"x".repeat(REQUEST_ID_MAX)).is_ok());
        assert!(request_id(&"x".repeat(REQUEST_ID_MAX + 1)).is_err());
    }

    #[test]
    fn there_is_no_short_form_of_yes() {
        assert!(Cli::command().get_arguments().all(|arg| arg.get_short() != Some('y')));
    }
}
