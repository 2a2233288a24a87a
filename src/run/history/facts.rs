//! The facts that a journal's records tell, one type for each kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::coordination::{Halt, Pause, ProcessId};
use crate::health::ProbeReading;
use crate::model::{
    BatchNumber, Call, CallOutcome, FleetName, HostId, OperatorId, ProbeKey, RequestId, RunId, SubsystemName, Time,
};
use crate::plan::{PlanDocument, RequestDocument, Settings};

use super::super::{Cause, JournalRecord, Outcome, Purpose};

/// The opening of a run: the first record of its latest attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) record: &'a JournalRecord,
    pub(crate) plan: &'a PlanDocument,
    pub(crate) settings: &'a Settings,
    pub(crate) fleet: &'a FleetName,
    pub(crate) operator: &'a OperatorId,
    pub(crate) reason: Option<&'a String>,
    pub(crate) request_id: Option<&'a RequestId>,
    pub(crate) confirmed: &'a str,
    pub(crate) expect_remaining: Option<u64>,
    pub(crate) pause_after: Option<BatchNumber>,
    pub(crate) hook_wait: Duration,
    /// The minimum of every subsystem that the run touches or watches. Empty in a journal of an earlier version.
    pub(crate) minimums: &'a BTreeMap<SubsystemName, u64>,
}

/// A person let a batch go after the first one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchConfirmation<'a> {
    pub(crate) at: Time,
    pub(crate) batch: BatchNumber,
    pub(crate) operator: &'a OperatorId,
    /// `typed` or `continue`.
    pub(crate) how: &'a str,
}

/// A pause, and when it was lifted, by whom if that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PauseHistory<'a> {
    pub(crate) pause: &'a Pause,
    pub(crate) continued: Option<(Time, Option<&'a OperatorId>)>,
}

/// A process took the run over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takeover<'a> {
    pub(crate) at: Time,
    pub(crate) epoch: u64,
    pub(crate) process: &'a ProcessId,
    pub(crate) operator: &'a OperatorId,
    pub(crate) purpose: Purpose,
    pub(crate) reason: Option<&'a String>,
    pub(crate) leave: &'a BTreeSet<HostId>,
    pub(crate) even_if_alive: bool,
}

/// A call that was intended, and what was answered, with the time of each answer.
#[derive(Clone, Debug)]
pub(crate) struct CallHistory<'a> {
    pub(crate) intent: &'a Call,
    pub(crate) answers: Vec<(Time, &'a CallOutcome)>,
}

impl CallHistory<'_> {
    /// Whether no answer says what became of it.
    pub(super) fn is_open(&self) -> bool {
        let says = |outcome: &CallOutcome| matches!(outcome, CallOutcome::Done | CallOutcome::Refused { .. });
        !self.answers.iter().any(|(_, outcome)| says(outcome))
    }
}

/// What was known of a host that could not be put back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubt<'a> {
    pub(crate) why: &'a str,
    /// When a read can prove where it is.
    pub(crate) until: Option<Time>,
}

/// The stage of a host, by the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HostStage {
    /// It was granted, and no call was sent.
    Granted,
    /// A call was sent, and nobody has seen since what became of it.
    Touched,
    Cordoned,
    Doubt,
    Gone,
    Back,
    Untouched,
}

/// When the steps of a batch were recorded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchTimes {
    pub(crate) granted: Option<Time>,
    pub(crate) cordoned: Option<Time>,
    /// When its bake began, or began again.
    pub(crate) baking_since: Option<Time>,
    /// When it ends at the latest, if it goes on behind its length.
    pub(crate) baking_until: Option<Time>,
    pub(crate) baked: Option<Time>,
    pub(crate) terminated: Option<Time>,
    pub(crate) restored: Option<Time>,
}

/// The end that a run's last record gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) exit_code: u8,
    pub(crate) at: Time,
}

/// One round of readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampledRound<'a> {
    pub(crate) at: Time,
    /// The batch that was out.
    pub(crate) batch: Option<BatchNumber>,
    pub(crate) readings: &'a BTreeMap<ProbeKey, ProbeReading>,
    /// The capacity of each subsystem that the run touches or watches, in units.
    pub(crate) capacity: &'a BTreeMap<SubsystemName, u64>,
}

/// The latest step of a run, by the last record that names one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LastStep<'a> {
    Opened,
    Cordoning(BatchNumber),
    /// Hooks drain it.
    Draining(BatchNumber),
    Baking(BatchNumber),
    Terminating(BatchNumber),
    /// A batch is gone.
    Gone(BatchNumber),
    Waiting {
        until: Time,
        why: &'a str,
    },
    Paused,
    /// The pause was lifted, by whom if that is known.
    Continued(Option<&'a OperatorId>),
    /// A person is asked about a batch.
    Asked {
        batch: BatchNumber,
        attended: bool,
        until: Time,
    },
    /// A person let a batch go.
    Confirmed(BatchNumber),
    TakenOver {
        operator: &'a OperatorId,
        purpose: Purpose,
    },
    Stopping(&'a Cause),
    Restoring(BatchNumber),
    InDoubt(&'a HostId),
    GivenUp(&'a HostId),
    /// Nothing is out any more, or the end is on record: the ledger's record is told.
    Closing,
}

impl LastStep<'_> {
    /// Whether a person is waited for.
    pub(super) fn is_a_persons(&self) -> bool {
        matches!(self, Self::Paused | Self::Asked { .. })
    }
}

/// A record that has a journal of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Single<'a> {
    /// A stop order.
    Halted(&'a Halt),
    /// Stop orders that were lifted, by whom and why.
    Lifted(&'a [Halt], &'a OperatorId, &'a str),
    /// A run was paused.
    Paused(&'a RunId, &'a Pause),
    /// A run was told to go on.
    Continued { run: &'a RunId, operator: &'a OperatorId, lifted: Option<&'a Pause>, confirmed: Option<BatchNumber> },
    /// A journal that was pruned: what its run was asked for.
    Pruned(&'a RequestDocument),
    /// An adoption, or a time that was set right.
    Other,
}
