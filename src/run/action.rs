//! [`Action`]: the machine's requests to the driver, one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::coordination::{Asking, Command, HostOutcome, Pause, RunIdentity};
use crate::model::{
    BatchNumber, Call, FleetSnapshot, GroupName, HookCall, HookHost, HostId, HostTargets, ProbeKey, Process, Quantity,
    Time,
};
use crate::policy::HookSpec;

use super::{JournalRecord, NotStarted};

/// The driver's next task. The driver answers each with exactly one [`Response`].
#[derive(Clone, Debug)]
#[must_use]
pub(crate) enum Action {
    /// Append to the journal: [`Response::Recorded`] or [`Response::Lost`].
    Record(Box<JournalRecord>),
    /// Update the shared record: [`Response::Updated`], [`Response::Refused`] or [`Response::Lost`].
    Update(RecordUpdate),
    /// Read the record and the fleet, and every watched probe if asked: [`Response::Observed`].
    Observe {
        /// Whether probes are read too.
        probes: bool,
    },
    /// Send a call, once: [`Response::Answered`]. Its intent is in the journal (S5).
    Send {
        /// Its number within the run.
        number: u64,
        /// The call, with its deadline.
        call: Call,
    },
    /// Call a hook: [`Response::Asked`] at once, and its answer by [`super::Machine::hook_answered`] when it comes. Its intent is
    /// in the journal (S5).
    Ask {
        /// Its number within the run's hooks.
        number: u64,
        /// The call.
        call: HookCall,
        /// Its hosts, as it is told of them.
        hosts: Vec<HookHost>,
        /// How it is called.
        spec: Box<HookSpec>,
    },
    /// Sleep: [`Response::Woke`], early if an order or the answer of a hook arrived.
    Sleep {
        /// Until then.
        until: Time,
    },
    /// The end: nothing more is asked.
    Finish(Finish),
}

/// An update of the shared record, without the observation and identity that the driver adds.
#[derive(Clone, Debug)]
pub(crate) enum RecordUpdate {
    /// Take a place in line, with the hosts of the plan.
    Enlist {
        /// The hosts, each with its batch.
        claims: BTreeMap<HostId, BatchNumber>,
        /// When the fleet was observed that the plan was made on.
        planned_at: Time,
        /// When the plan expires.
        lapses_at: Time,
        /// An observation.
        snapshot: Arc<FleetSnapshot>,
    },
    /// Reserve a batch.
    Grant {
        /// Its number.
        batch: BatchNumber,
        /// Its hosts and the target groups that they are in.
        hosts: HostTargets,
        /// The rest of the plan, behind this batch: each host with its batch.
        rest: BTreeMap<HostId, BatchNumber>,
        /// The observation that the decision rests on.
        snapshot: Arc<FleetSnapshot>,
        /// The reference of the probes.
        reference: BTreeMap<ProbeKey, Vec<Quantity>>,
        /// When its first sample was taken.
        reference_at: Time,
        /// Only note that a person is asked about the batch, which could go now.
        asking: Option<Asking>,
    },
    /// Pause the run, as its own caller asked (`--pause-after`).
    Pause {
        /// The order.
        order: Pause,
    },
    /// Take the step to termination.
    StartTermination {
        /// Which hosts.
        hosts: BTreeSet<HostId>,
        /// The observation that the decision rests on.
        snapshot: Arc<FleetSnapshot>,
    },
    /// Say what became of hosts.
    Resolve {
        /// Each.
        outcomes: BTreeMap<HostId, HostOutcome>,
    },
    /// Need a process of a group suspended.
    RequireSuspension {
        /// Which group.
        group: GroupName,
        /// The processes that are suspended on it now.
        suspended: BTreeSet<Process>,
    },
    /// Nothing took the place of a host that the run terminated.
    SeeRemoval {
        /// The group.
        group: GroupName,
        /// The host.
        host: HostId,
    },
    /// Need it no longer.
    ReleaseSuspension {
        /// Which group.
        group: GroupName,
    },
    /// Forget removed hosts that are no longer listed.
    Forget {
        /// The fleet as it is listed.
        snapshot: Arc<FleetSnapshot>,
    },
    /// End the run.
    End {
        /// Everything planned is gone.
        completed: bool,
    },
}

impl RecordUpdate {
    /// The update as the record's command, with who makes it.
    pub(crate) fn command<'a>(&'a self, identity: &'a RunIdentity) -> Command<'a> {
        let (run, epoch) = (identity.run.clone(), identity.epoch);
        match self {
            Self::Enlist { claims, planned_at, lapses_at, snapshot } => {
                let (planned_at, lapses_at) = (*planned_at, *lapses_at);
                Command::Enlist { run: identity, claims, planned_at, lapses_at, snapshot }
            }
            Self::Grant { batch, hosts, rest, snapshot, reference, reference_at, asking } => Command::Grant {
                run: identity,
                batch: *batch,
                hosts: hosts.clone(),
                rest,
                snapshot,
                reference,
                reference_at: *reference_at,
                asking: asking.clone(),
            },
            Self::Pause { order } => Command::Pause { run, epoch, order },
            Self::StartTermination { hosts, snapshot } => {
                Command::StartTermination { run, epoch, hosts: hosts.clone(), snapshot }
            }
            Self::Resolve { outcomes } => Command::Resolve { run, epoch, outcomes: outcomes.clone() },
            Self::RequireSuspension { group, suspended } => {
                Command::RequireSuspension { run, epoch, group: group.clone(), suspended: suspended.clone() }
            }
            Self::SeeRemoval { group, host } => Command::SeeRemoval { run, epoch, group, host },
            Self::ReleaseSuspension { group } => Command::ReleaseSuspension { run, epoch, group: group.clone() },
            Self::Forget { snapshot } => Command::Forget { snapshot },
            Self::End { completed } => Command::End { run, epoch, completed: *completed },
        }
    }
}

/// The end of a machine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finish {
    /// Nothing was granted and nothing touched.
    NotStarted(NotStarted),
    /// It ran: the journal says how.
    Ended,
}
