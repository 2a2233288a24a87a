//! What the run asks of the driver, one thing at a time, and what the driver answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::coordination::{Command, FleetRecord, Granted, HostOutcome, Refusal, RunIdentity};
use crate::model::{Call, CallOutcome, FleetSnapshot, GroupName, HostId, HostTargets, ProbeKey, Process, Sample, Time};
use crate::plan::Violation;

use super::cause::{order_cause, plain, rule_cause};
use super::{Cause, CauseKind, JournalRecord};

/// What the driver does next. It answers each with exactly one [`Response`].
#[derive(Clone, Debug)]
#[must_use]
pub(crate) enum Action {
    /// Append to the journal: [`Response::Recorded`] or [`Response::Lost`].
    Record(Box<JournalRecord>),
    /// Change the shared record: [`Response::Changed`], [`Response::Refused`] or [`Response::Lost`].
    RecordUpdate(RecordUpdate),
    /// Read the record and the fleet, and every watched probe if asked: [`Response::Observed`].
    Observe {
        /// Whether probes are read too.
        probes: bool,
    },
    /// Send a call, once: [`Response::Answered`]. Its intent is in the journal (S5).
    Send(Call),
    /// Sleep: [`Response::Woke`], early where an order arrived.
    Sleep {
        /// Until then.
        until: Time,
    },
    /// The end: nothing more is asked.
    Finish(Finish),
}

/// A change of the shared record, without the observation and identity that the driver adds.
#[derive(Clone, Debug)]
pub(crate) enum RecordUpdate {
    /// Take a place in line, with the hosts of the plan.
    Enlist {
        /// The hosts, each with its batch.
        claims: BTreeMap<HostId, u64>,
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
        batch: u64,
        /// Its hosts and the target groups that they are in.
        hosts: HostTargets,
        /// What is left of the plan behind it, each host with its batch.
        rest: BTreeMap<HostId, u64>,
        /// What it is decided on.
        snapshot: Arc<FleetSnapshot>,
        /// The reference of the probes.
        reference: BTreeMap<ProbeKey, f64>,
        /// When its first sample was taken.
        reference_at: Time,
    },
    /// Take the step to termination.
    StartTermination {
        /// Which hosts.
        hosts: BTreeSet<HostId>,
        /// What it is decided on.
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
        /// What is suspended on it now.
        suspended: BTreeSet<Process>,
    },
    /// Need it no longer.
    ReleaseSuspension {
        /// Which group.
        group: GroupName,
    },
    /// Forget removed hosts that are no longer listed.
    Forget {
        /// What is listed.
        snapshot: Arc<FleetSnapshot>,
    },
    /// End the run.
    End {
        /// Everything planned is gone.
        completed: bool,
    },
}

impl RecordUpdate {
    /// The change as the record's command, with who makes it.
    pub(crate) fn command<'a>(&'a self, identity: &'a RunIdentity) -> Command<'a> {
        let (run, epoch) = (identity.run.clone(), identity.epoch);
        match self {
            Self::Enlist { claims, planned_at, lapses_at, snapshot } => {
                let (planned_at, lapses_at) = (*planned_at, *lapses_at);
                Command::Enlist { run: identity, claims, planned_at, lapses_at, snapshot }
            }
            Self::Grant { batch, hosts, rest, snapshot, reference, reference_at } => Command::Grant {
                run: identity,
                batch: *batch,
                hosts: hosts.clone(),
                rest,
                snapshot,
                reference,
                reference_at: *reference_at,
            },
            Self::StartTermination { hosts, snapshot } => {
                Command::StartTermination { run, epoch, hosts: hosts.clone(), snapshot }
            }
            Self::Resolve { outcomes } => Command::Resolve { run, epoch, outcomes: outcomes.clone() },
            Self::RequireSuspension { group, suspended } => {
                Command::RequireSuspension { run, epoch, group: group.clone(), suspended: suspended.clone() }
            }
            Self::ReleaseSuspension { group } => Command::ReleaseSuspension { run, epoch, group: group.clone() },
            Self::Forget { snapshot } => Command::Forget { snapshot },
            Self::End { completed } => Command::End { run, epoch, completed: *completed },
        }
    }
}

/// What the driver saw.
#[derive(Clone, Debug)]
pub(crate) enum Response {
    /// The first: nothing was asked yet.
    Begin,
    /// The append was acknowledged.
    Recorded,
    /// The change was acknowledged.
    Changed(Granted),
    /// The change was refused; the record is as it was.
    Refused(Refusal),
    /// The ledger did not take the append or the change.
    Lost(Loss),
    /// A look, as far as it got.
    Observed(Box<Observation>),
    /// What is known of a call.
    Answered(CallOutcome),
    /// The sleep ended.
    Woke,
}

/// Why the ledger did not take a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Another process writes this run's journal: it was taken over.
    Fenced(String),
    /// It cannot be reached.
    Unreachable(String),
}

/// One look at the world.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    /// When its first read began.
    pub(crate) begun_at: Time,
    /// When its last read ended.
    pub(crate) ended_at: Time,
    /// The shared record, or why it cannot be read.
    pub(crate) record: Result<Arc<FleetRecord>, String>,
    /// Who took the run over, in words, where the record says that another process acts for it.
    pub(crate) taken_over_by: Option<String>,
    /// The fleet, or why it cannot be established.
    pub(crate) fleet: Result<Arc<FleetSnapshot>, Blind>,
    /// Whether the probes were to be read.
    pub(crate) probed: bool,
    /// The probes that were read.
    pub(crate) samples: Vec<Sample>,
}

/// Why a look did not show the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blind {
    /// What was tried, and what came back.
    pub(crate) message: String,
    /// The inventory contradicts itself: looking again is no cure.
    pub(crate) contradictory: bool,
}

/// Who orders a run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGQUIT (Ctrl-\).
    Quit,
    /// SIGHUP: the terminal is gone.
    HangUp,
    /// stdout is closed.
    ClosedOutput,
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted (Ctrl-C)",
            Self::Terminate => "asked to stop (SIGTERM)",
            Self::Quit => "asked to stop (SIGQUIT)",
            Self::HangUp => "the terminal is gone (SIGHUP)",
            Self::ClosedOutput => "stdout was closed",
        })
    }
}

/// How a run left the machine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finish {
    /// Nothing was granted and nothing touched.
    NotStarted(NotStarted),
    /// It ran: the journal says how.
    Ended,
}

/// Why a confirmed plan was not begun. Nothing was touched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NotStarted {
    /// Rules that no longer hold: exit 3.
    Rules(Vec<Violation>),
    /// Another run took the headroom since the plan was made: exit 10.
    TakenByOthers(Vec<Violation>),
    /// The fleet's state cannot be established: exit 5.
    Blind(String),
    /// The clocks disagree: exit 5.
    Clock(String),
    /// The ledger cannot be reached or refuses: exit 10.
    Ledger(String),
    /// Another process took the run over before this one sent anything: exit 10.
    TakenOver(String),
    /// A budget or an interval asks to wait longer than was allowed: exit 11.
    Deferred {
        /// Until then.
        until: Time,
        /// For what.
        why: String,
    },
    /// Another process has begun the journal of this run's id: a request id is one run's, and that run is reported.
    Consumed {
        /// That run.
        run: crate::model::RunId,
    },
    /// The record is of another fleet than the one that is looked at: exit 5. Both, in words.
    OtherFleet(String),
    /// A stop order came after the first look, before the first effect: exit 9. The order, in words.
    Halted(String),
    /// Stopped before the first effect: exit 9.
    Ordered(Order),
}

/// What kept a run, or another operation, from being begun. Nothing was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A rule, or a state that the request does not fit.
    Refused,
    /// The state of the fleet cannot be established.
    FleetUnknown,
    /// The ledger cannot be used, or another run was first.
    Ledger,
    /// A stop order, or a signal.
    Halted,
    /// A budget or another run asks to wait for longer than the caller wants.
    Deferred,
}

impl Failure {
    /// The exit code (contract section 3).
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Refused => 3,
            Self::FleetUnknown => 5,
            Self::Halted => 9,
            Self::Ledger => 10,
            Self::Deferred => 11,
        }
    }
}

impl NotStarted {
    /// What kept the run from its first host.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Rules(_) => Failure::Refused,
            Self::Blind(_) | Self::Clock(_) | Self::OtherFleet(_) => Failure::FleetUnknown,
            Self::TakenByOthers(_) | Self::Ledger(_) | Self::TakenOver(_) | Self::Consumed { .. } => Failure::Ledger,
            Self::Deferred { .. } => Failure::Deferred,
            Self::Halted(_) | Self::Ordered(_) => Failure::Halted,
        }
    }

    /// The same for the journal.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Rules(violations) | Self::TakenByOthers(violations) => {
                violations.first().map_or_else(|| plain(CauseKind::Rule, "a rule does not hold".to_owned()), rule_cause)
            }
            Self::Blind(message) | Self::OtherFleet(message) => plain(CauseKind::Inventory, message.clone()),
            Self::Clock(message) | Self::Ledger(message) | Self::TakenOver(message) => {
                plain(CauseKind::Ledger, message.clone())
            }
            Self::Consumed { run } => plain(CauseKind::Ledger, format!("another process has begun run {run}")),
            Self::Deferred { why, .. } => plain(CauseKind::Rule, why.clone()),
            Self::Halted(order) => order_cause(order.clone()),
            Self::Ordered(order) => plain(CauseKind::Order, order.to_string()),
        }
    }
}
