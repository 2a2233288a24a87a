//! Why a command is refused, and what it has to wait for.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::model::{FleetIdentity, RunId, Time};
use crate::plan::{AssessError, Violation};

use super::{FleetRecord, RunEntry};

/// The reason of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WaitOn {
    /// Earlier removals must leave a budget's window: `--no-wait` and `--max-wait` are about these.
    Budget,
    /// The pause between two batches of a subsystem, whichever runs they are of: always waited.
    Interval,
    /// A call or a read of the provider that must have passed.
    Provider,
    /// Another run, which comes first or has hosts of the same subsystem out: like waiting for a budget. When it ends
    /// nobody knows, so `until` is the present.
    Run(RunId),
    /// A person, who has paused the run: until somebody continues it. `until` is the present.
    Person,
}

/// Why a command was refused. The record is unchanged.
#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum Refusal {
    /// Rules that do not hold.
    #[error("{}", in_words(.0))]
    Rules(Vec<Violation>),
    /// Rules that do not hold only because of what other runs hold, claim or have just removed: never to be taken for a
    /// word of the policies (S9, "A race is never 3").
    #[error("{}", in_words(.0))]
    Race(Vec<Violation>),
    /// The record is of another fleet than the observed one.
    #[error("this ledger is of the fleet {known}; the policies lead to the fleet {seen}")]
    OtherFleet {
        /// The record's.
        known: Box<FleetIdentity>,
        /// The observed fleet.
        seen: Box<FleetIdentity>,
    },
    /// Hosts of something watched were out since the reference was begun: it must be sampled again.
    #[error("the reference of {sampled_at} cannot be judged by: {why}")]
    Reference {
        /// When it was begun.
        sampled_at: Time,
        /// Why not.
        why: String,
    },
    /// The record is too large for anything to be added but halts, outcomes and ends.
    #[error(
        "the ledger's record takes {used} bytes of the {most} that its engine takes: above three quarters no run is granted"
    )]
    Full {
        /// The size of the record with the change, in bytes.
        used: u64,
        /// The engine's limit, in bytes.
        most: u64,
    },
    /// A budget, an interval or the provider asks to wait.
    #[error("{why}")]
    Wait {
        /// Until when.
        until: Time,
        /// For what, in words.
        why: String,
        /// For what: only a wait for a budget can be declined.
        on: WaitOn,
    },
    /// The observation is too old, or from the future.
    #[error("the observation of {begun_at} is too old to act on at {now}")]
    Stale {
        /// When it began.
        begun_at: Time,
        /// Now.
        now: Time,
    },
    /// This machine's clock is behind the record's last write by more than the tolerance.
    #[error("this machine's clock says {ours}, but the ledger was written at {theirs}")]
    Clock {
        /// Ours.
        ours: Time,
        /// The record's.
        theirs: Time,
    },
    /// The run was taken over, or is unknown.
    #[error("run {run} is no longer this process's: {why}")]
    Fenced {
        /// The run.
        run: RunId,
        /// The reason, in words.
        why: String,
    },
    /// Nothing can be said about the fleet.
    #[error(transparent)]
    Assess(#[from] AssessError),
    /// The command does not fit the record: a bug in the caller.
    #[error("the command does not fit the record: {0}")]
    Illegal(String),
}

impl Refusal {
    /// Other runs that this is because of: whoever asked looks whether their processes live, and asks again.
    pub(crate) fn in_the_way(&self, record: &FleetRecord, own: &RunId) -> BTreeSet<RunId> {
        match self {
            Self::Wait { on: WaitOn::Run(run), .. } => BTreeSet::from([run.clone()]),
            Self::Race(_) => {
                let has_any = |entry: &RunEntry| !entry.reservations.is_empty() || !entry.claims.is_empty();
                let others = record.runs.iter().filter(|(run, entry)| *run != own && has_any(entry));
                others.map(|(run, _)| run.clone()).collect()
            }
            Self::Wait { on: WaitOn::Budget | WaitOn::Interval | WaitOn::Provider | WaitOn::Person, .. }
            | Self::Rules(_)
            | Self::OtherFleet { .. }
            | Self::Reference { .. }
            | Self::Full { .. }
            | Self::Stale { .. }
            | Self::Clock { .. }
            | Self::Fenced { .. }
            | Self::Assess(_)
            | Self::Illegal(_) => BTreeSet::new(),
        }
    }
}

fn in_words(violations: &[Violation]) -> String {
    violations.iter().map(|violation| violation.message.as_str()).collect::<Vec<_>>().join("; ")
}
