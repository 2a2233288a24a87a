//! The commands that change the record, and what each grants.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    BatchNumber, Bounds, FleetIdentity, FleetSnapshot, GroupName, HostId, HostTargets, OperatorId, PlanDigest,
    ProbeKey, Process, Quantity, RunId, SubsystemName, Time,
};
use crate::policy::PolicySet;

use super::{Asking, Halt, Pause, ProcessId};

/// The inputs that every command is judged by, beside the record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The policy directory, as it was read by this process.
    pub(crate) policies: &'a PolicySet,
    /// Which fleet.
    pub(crate) identity: &'a FleetIdentity,
    /// The provider's bounds.
    pub(crate) bounds: Bounds,
    /// The writer's clock.
    pub(crate) now: Time,
    /// Other runs whose process is known to be dead, or was not heard of for too long: whoever asks has looked.
    pub(crate) silent: &'a BTreeSet<RunId>,
    /// The engine's limit for a record, in bytes, if it has one.
    pub(crate) room: Option<u64>,
}

/// One change of the record. Each names the run and its epoch; an older epoch is refused.
#[derive(Clone, Debug)]
pub(crate) enum Command<'a> {
    /// Take a place in line, and claim the hosts of a confirmed plan. Its journal is claimed before.
    Enlist {
        /// The run.
        run: &'a RunIdentity,
        /// The hosts, each with its batch.
        claims: &'a BTreeMap<HostId, BatchNumber>,
        /// When the fleet was observed that the plan was made on.
        planned_at: Time,
        /// When the plan expires.
        lapses_at: Time,
        /// An observation: the provider vouches for the clock.
        snapshot: &'a FleetSnapshot,
    },
    /// Reserve a batch of what was claimed. One batch at a time; the same batch again, by the same process, is granted
    /// again.
    Grant {
        /// The run.
        run: &'a RunIdentity,
        /// The batch.
        batch: BatchNumber,
        /// Its hosts and the target groups that each is in.
        hosts: HostTargets,
        /// What is left of the plan behind it, each host with its batch. What is missing of the claims has left by itself.
        rest: &'a BTreeMap<HostId, BatchNumber>,
        /// The observation that the grant is decided on: complete, and no older than `max_age`.
        snapshot: &'a FleetSnapshot,
        /// The reference from before the first batch.
        reference: &'a BTreeMap<ProbeKey, Vec<Quantity>>,
        /// When its first sample was taken.
        reference_at: Time,
        /// Only note that a person is asked about the batch, which could go now, and reserve nothing.
        asking: Option<Asking>,
    },
    /// Pause the run, as its own caller asked (`--pause-after`).
    Pause {
        /// The run.
        run: RunId,
        /// Its epoch.
        epoch: u64,
        /// The order.
        order: &'a Pause,
    },
    /// Take the step to termination for hosts that are reserved and cordoned.
    StartTermination {
        /// The run.
        run: RunId,
        /// Its epoch.
        epoch: u64,
        /// Which hosts.
        hosts: BTreeSet<HostId>,
        /// The observation: all of them cordoned, every rule holds without them.
        snapshot: &'a FleetSnapshot,
    },
    /// Say what became of held hosts, and let go of those whose outcome is known.
    Resolve {
        /// The run.
        run: RunId,
        /// Its epoch.
        epoch: u64,
        /// The outcome of each host.
        outcomes: BTreeMap<HostId, HostOutcome>,
    },
    /// Note that a run needs a process of a group suspended; then suspend it, whatever a read says of it (another
    /// run's resume may just have landed). [`Refusal::Wait`](super::Refusal::Wait) while another run's resume is on its
    /// way.
    RequireSuspension {
        /// The run.
        run: RunId,
        /// Its epoch.
        epoch: u64,
        /// The group.
        group: GroupName,
        /// The processes that were suspended on it before this run suspended any.
        suspended: BTreeSet<Process>,
    },
    /// Note that nothing took the place of a host that the run terminated.
    SeeRemoval {
        /// The run.
        run: RunId,
        /// Its epoch.
        epoch: u64,
        /// The group.
        group: &'a GroupName,
        /// The host.
        host: &'a HostId,
    },
    /// Note that a run no longer needs it. If it was the last, [`Granted::resume`] says what to resume; sent again
    /// it says that this was done.
    ReleaseSuspension {
        /// The run.
        run: RunId,
        /// Its epoch.
        epoch: u64,
        /// The group.
        group: GroupName,
    },
    /// Take a run over. Its fence is in the journal; from here on commands of older epochs are refused. One that the
    /// record does not know is kept from being enlisted by its earlier process.
    TakeOver {
        /// The run.
        run: RunId,
        /// Its epoch from here on: above every one before.
        epoch: u64,
        /// The process that acts from here on.
        process: &'a ProcessId,
        /// Whether it may go forward, or only puts back.
        forward: bool,
    },
    /// End a run. Refused while it holds a group; holds that remain keep the run in the record.
    End {
        /// The run.
        run: RunId,
        /// Its epoch.
        epoch: u64,
        /// Everything it planned is gone: counts for `unusual`.
        completed: bool,
    },
    /// `policy accept`.
    AcceptPolicy {
        /// The subsystem. Its policy is taken from the context's policies, or removed if they lack it.
        subsystem: SubsystemName,
        /// Who.
        operator: OperatorId,
        /// Why.
        reason: String,
    },
    /// `unhalt`: lift stop orders. Who lifts them and why stands in a journal before.
    Unhalt {
        /// Exactly these, as somebody has read them.
        orders: &'a [Halt],
    },
    /// `ledger adopt`: this is the ledger of the fleet that the context names, whichever it was of before.
    Adopt,
    /// Set a wrong time of the record right: nothing in it stays later than the writer's clock.
    SetTime,
    /// Forget removed hosts that complete inventories, `settle` and `max_age` apart, no longer list.
    Forget {
        /// An observation.
        snapshot: &'a FleetSnapshot,
    },
}

/// Who a run is, for its first grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunIdentity {
    /// Its id, derived from the request id where there is one.
    pub(crate) run: RunId,
    /// Its epoch: 1 until somebody takes it over.
    pub(crate) epoch: u64,
    /// The process that acts.
    pub(crate) process: ProcessId,
    /// Who asks.
    pub(crate) operator: OperatorId,
    /// The subsystem named.
    pub(crate) subsystem: SubsystemName,
    /// The subsystems whose health it watches.
    pub(crate) watched: BTreeSet<SubsystemName>,
    /// The plan that was confirmed.
    pub(crate) plan: PlanDigest,
    /// `--expect-remaining`: hosts of the named subsystem that must serve when all of the plan is gone, exactly.
    pub(crate) expect_remaining: Option<u64>,
}

/// The outcome of a reserved host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostOutcome {
    /// Verified gone, observed then.
    Removed(Time),
    /// Back in service and healthy, proved by a read begun `settle` after the restore's reply.
    Restored,
    /// Never left service, proved by a read begun `settle` after the cordon's deadline or refusal.
    NeverCordoned,
    /// Restored or in doubt: no read can prove it before then.
    Settling(Time),
    /// Out of the run's hands, and not back: a person decided not to wait for it any more, or others took it out of its
    /// group. No call can reach it, and nobody knows that it serves.
    GivenUp,
}

/// The grant of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Granted {
    /// Processes to resume on the group that was released, because no run needs them suspended any more, whichever
    /// run suspended them. Not empty: resume them, then send [`Command::ReleaseSuspension`] once more. A run that cannot
    /// resume them leaves that out, and the next run to use the group puts back what was there before.
    pub(crate) resume: BTreeSet<Process>,
    /// For a batch: the reference that the run must judge by, its own or that of a run that it overlaps.
    pub(crate) reference: BTreeMap<ProbeKey, Vec<Quantity>>,
    /// For a batch: when the first sample of that reference was taken.
    pub(crate) reference_at: Option<Time>,
    /// For a run's own pause: the pause that is in force.
    pub(crate) pause: Option<Pause>,
}
