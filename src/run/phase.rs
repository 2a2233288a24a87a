//! [`Phase`]: where a run is, with what it needs there.

use std::sync::Arc;

use crate::health::Bake;
use crate::model::{BatchNumber, FleetSnapshot, Time};

use super::{NotStarted, Observation, Outcome};

/// The phase of a run.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The run's journal is begun, and its place in line taken.
    Enlisting,
    /// Samples for the reference are taken, one after the other.
    Reference { observations: Vec<Arc<Observation>>, next_at: Time },
    /// The run was taken over: nothing goes forward until the earlier process is out of reach and the batch was seen.
    TakingOver { since: Time },
    /// The next batch is about to be granted, not before `not_before`. `fresh`: it was observed for this grant. `stale`:
    /// this many grants in a row were refused because the observation aged meanwhile.
    Opening { not_before: Time, fresh: bool, stale: u32 },
    /// A person is asked about the next batch, which could go now.
    Asking { batch: BatchNumber, until: Time },
    /// A batch is on its way.
    InBatch(BatchUnderWay),
    /// What is cordoned is put back.
    Restoring { since: Time },
    /// Groups are released and the run ended.
    Closing { step: ClosingStep },
    /// The run has ended, and holds nothing: it reads the probes until then, to say whether the readings recovered.
    Following { from: Time, until: Time },
    /// The run was granted nothing, and says so.
    Withdrawing { why: NotStarted },
    /// Nothing more is done.
    Over,
}

/// A batch on its way forward.
#[derive(Clone, Debug)]
pub(super) struct BatchUnderWay {
    pub(super) number: BatchNumber,
    /// The fleet as it was when the batch was granted. `None` after a takeover.
    pub(super) before: Option<Arc<FleetSnapshot>>,
    pub(super) step: BatchStep,
}

/// The step of a batch.
#[derive(Clone, Debug)]
pub(super) enum BatchStep {
    /// Groups' processes are suspended.
    Suspending,
    /// The batch is taken out of service.
    Cordoning { since: Time },
    /// Hooks drain it.
    Draining,
    /// The system is watched without it. `told_going_on`: the journal knows that it goes on behind its length.
    Baking { bake: Box<Bake>, told_going_on: bool },
    /// The batch is terminated, host by host, once the ledger took the step.
    Terminating { granted: bool },
    /// The provider must show that it is gone.
    Verifying { since: Time },
}

/// The step of a run's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClosingStep {
    /// Groups are released one by one.
    Groups,
    /// The fleet is measured once more.
    Measuring,
    /// The record forgets removed hosts that are no longer listed.
    Forgetting,
    /// The journal ends.
    Closing,
    /// The record lets go of the run, whose journal ends with this outcome.
    Ending { outcome: Outcome },
}

/// Which way the run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Towards the end of its plan.
    Forward,
    /// What is cordoned is put back.
    Back,
    /// Its groups are released, and its end is told.
    Closing,
    /// Nowhere.
    Over,
}

impl Phase {
    /// Which way the run goes in this phase.
    pub(super) fn direction(&self) -> Direction {
        match self {
            Self::Enlisting
            | Self::Reference { .. }
            | Self::TakingOver { .. }
            | Self::Opening { .. }
            | Self::Asking { .. }
            | Self::InBatch(_) => Direction::Forward,
            Self::Restoring { .. } => Direction::Back,
            Self::Closing { .. } => Direction::Closing,
            Self::Following { .. } | Self::Withdrawing { .. } | Self::Over => Direction::Over,
        }
    }

    /// A phase in which samples for the reference are taken from now on.
    pub(super) fn reference_from(now: Time) -> Self {
        Self::Reference { observations: Vec::new(), next_at: now }
    }

    /// A phase in which the next batch is observed and asked for, not before then.
    pub(super) fn opening_at(not_before: Time) -> Self {
        Self::Opening { not_before, fresh: false, stale: 0 }
    }

    /// The bake that is under way.
    pub(super) fn bake(&self) -> Option<&Bake> {
        match self {
            Self::InBatch(BatchUnderWay { step: BatchStep::Baking { bake, .. }, .. }) => Some(bake),
            Self::InBatch(_)
            | Self::Enlisting
            | Self::Reference { .. }
            | Self::TakingOver { .. }
            | Self::Opening { .. }
            | Self::Asking { .. }
            | Self::Restoring { .. }
            | Self::Closing { .. }
            | Self::Following { .. }
            | Self::Withdrawing { .. }
            | Self::Over => None,
        }
    }
}
