//! [`Response`]: the driver's answers to actions.

use std::sync::Arc;

use crate::coordination::{FleetRecord, Granted, Refusal};
use crate::model::{BatchNumber, CallOutcome, FleetSnapshot, Sample, Time};

/// The driver's answer to an action.
#[derive(Clone, Debug)]
pub(crate) enum Response {
    /// The first: nothing was asked yet.
    Begin,
    /// The append was acknowledged.
    Recorded,
    /// The update was acknowledged.
    Updated(Granted),
    /// The update was refused; the record is as it was.
    Refused(Refusal),
    /// The ledger did not take the append or the update.
    Lost(Loss),
    /// An observation, as far as it got.
    Observed(Box<Observation>),
    /// The outcome of a call.
    Answered(CallOutcome),
    /// The hook is called.
    Asked,
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

/// One observation of the world.
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

/// Why an observation did not show the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blind {
    /// The attempt, and its answer.
    pub(crate) message: String,
    /// The inventory contradicts itself: observing it again is no cure.
    pub(crate) contradictory: bool,
}

/// What a person replied to the question about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The batch that the question was about.
    pub(crate) batch: BatchNumber,
    /// The text that was typed, or what happened instead.
    pub(crate) reply: Result<String, String>,
}
