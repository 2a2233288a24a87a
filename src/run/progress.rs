//! What a person is shown while a run is under way.

use std::time::Duration;

use crate::health;
use crate::model::{HostId, ProbeKey, Time};

use super::machine::{Machine, Phase};

/// Where a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The step.
    pub step: Step,
    /// The batch under way, from 1, and how many there are.
    pub batch: (u64, u64),
    /// The hosts of the batch that are still in the plan, or those being put back.
    pub hosts: Vec<HostId>,
    /// How much of the step's time is left, where that is known: of the bake, or of a wait.
    pub left: Option<Duration>,
    /// How long the step takes in all, where that is known.
    pub total: Option<Duration>,
    /// Each probe's last reading, for people.
    pub readings: Vec<(ProbeKey, String)>,
}

/// The steps of a run, as people know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The reference is sampled.
    Reference,
    /// The next batch is checked and granted.
    Checking,
    /// A budget or an interval asks to wait.
    Waiting,
    /// The batch is taken out of service.
    Cordoning,
    /// The system is watched without it.
    Baking,
    /// The batch is terminated.
    Terminating,
    /// The provider must show that it is gone.
    Verifying,
    /// What was cordoned is put back.
    Restoring,
    /// The run is being closed.
    Closing,
}

impl Machine {
    /// Where the run is at `now`.
    pub fn progress(&self, now: Time) -> Progress {
        let every = self.settings().every;
        let (step, left, total) = match &self.phase {
            Phase::Reference { rounds, .. } => {
                let total = every * (health::REFERENCE_SAMPLES.saturating_sub(1)) as u32;
                let done = every * rounds.len().saturating_sub(1) as u32;
                (Step::Reference, Some(total.saturating_sub(done)), Some(total))
            }
            Phase::Opening { not_before, .. } if *not_before > now => {
                (Step::Waiting, Some(not_before.since(now)), None)
            }
            Phase::Opening { .. } => (Step::Checking, None, None),
            Phase::Suspending | Phase::Cordoning { .. } => (Step::Cordoning, None, None),
            Phase::Baking { bake } => {
                let progress = bake.progress(now);
                (Step::Baking, Some(progress.left), Some(progress.bake))
            }
            Phase::Terminating { .. } => (Step::Terminating, None, None),
            Phase::Verifying { .. } => (Step::Verifying, None, None),
            Phase::Restoring { .. } => (Step::Restoring, None, None),
            Phase::Leaving { .. } | Phase::Over => (Step::Closing, None, None),
        };
        let hosts = match step {
            Step::Restoring => self.held.keys().cloned().collect(),
            Step::Reference
            | Step::Checking
            | Step::Waiting
            | Step::Cordoning
            | Step::Baking
            | Step::Terminating
            | Step::Verifying
            | Step::Closing => self.batch().map(|b| b.1.clone()).unwrap_or_default(),
        };
        let readings = self.round.as_ref().filter(|r| r.probed).map(|r| super::learn::readings(r)).unwrap_or_default();
        let number = self.batch().map_or(self.batches.len() as u64, |b| b.0);
        Progress {
            step,
            batch: (number, self.batches.len() as u64),
            hosts,
            left,
            total,
            readings: readings.into_iter().collect(),
        }
    }
}
