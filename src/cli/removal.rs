//! The options of a removal, as types. Help text is written here.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::{ArgGroup, Args};

use crate::model::{HostId, RequestId, SubsystemName};

use super::candidates;
use super::values::{count, duration, host, reason, remaining, request_id, subsystem};

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

    /// How long to look for more hosts, and for the proof that no more can go, on a fleet where that is hard [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) prove: Option<Duration>,

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

    /// Do not wait for budgets or other runs: where the run would have to, touch nothing and end with exit 11; an interval is
    /// always waited for, also after another run
    #[arg(long, help_heading = "Whether and when", conflicts_with = "max_wait")]
    pub(crate) no_wait: bool,

    /// Wait for budgets and other runs at most so long; a longer wait known beforehand ends with exit 11; an
    /// interval is always waited for, also after another run [default: 1h]
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
            (s.prove.is_some(), "--prove"),
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
