//! The progress of a run, as people see it.

use std::time::Duration;

use crate::health;
use crate::model::{BatchNumber, HostId, ProbeKey, Reading, Sample, Time};

use super::Observation;
use super::machine::Machine;
use super::phase::{BatchStep, BatchUnderWay, Phase};

/// The progress of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    /// The step.
    pub(crate) step: Step,
    /// The batch under way, from 1, and how many there are.
    pub(crate) batch: (BatchNumber, u64),
    /// The hosts of the batch that are still in the plan, or those being put back.
    pub(crate) hosts: Vec<HostId>,
    /// The time left in the step, if known: of a bake, or of a wait.
    pub(crate) left: Option<Duration>,
    /// The length of the whole step, if known.
    pub(crate) total: Option<Duration>,
    /// Each probe's last reading, for people.
    pub(crate) readings: Vec<(ProbeKey, String)>,
}

/// The steps of a run, as people know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The reference is sampled.
    Reference,
    /// The run was taken over: what an earlier process sent must be over first.
    TakingOver,
    /// The next batch is checked and granted.
    Checking,
    /// A budget or an interval asks to wait.
    Waiting,
    /// The run is paused.
    Paused,
    /// A person is asked about the next batch.
    Asking,
    /// The batch is taken out of service.
    Cordoning,
    /// The system is watched without it.
    Baking,
    /// The batch is terminated.
    Terminating,
    /// The provider must show that it is gone.
    Verifying,
    /// Cordoned hosts are put back.
    Restoring,
    /// The run is being closed.
    Closing,
}

impl Machine {
    /// The progress at `now`.
    pub(crate) fn progress(&self, now: Time) -> Progress {
        let every = self.settings().every;
        let (step, left, total) = match &self.phase {
            Phase::Enlisting => (Step::Checking, None, None),
            Phase::Reference { observations, .. } => {
                let total = every * (health::REFERENCE_SAMPLES.saturating_sub(1)) as u32;
                let done = every * observations.len().saturating_sub(1) as u32;
                (Step::Reference, Some(total.saturating_sub(done)), Some(total))
            }
            Phase::TakingOver { since } => (Step::TakingOver, Some(since.since(now)), None),
            // The last batch is gone, and there is nothing left to check.
            Phase::Opening { .. } if self.batches.current().is_none() => (Step::Closing, None, None),
            Phase::Opening { .. } if self.waiting.paused.is_some() => (Step::Paused, None, None),
            Phase::Asking { until, .. } => (Step::Asking, Some(until.since(now)), None),
            Phase::Opening { .. } if self.waiting.in_line => (Step::Waiting, None, None),
            Phase::Opening { not_before, .. } if *not_before > now => {
                (Step::Waiting, Some(not_before.since(now)), None)
            }
            Phase::Opening { .. } => (Step::Checking, None, None),
            Phase::InBatch(BatchUnderWay { step, .. }) => match step {
                BatchStep::Suspending | BatchStep::Cordoning { .. } => (Step::Cordoning, None, None),
                BatchStep::Baking { bake } => {
                    let progress = bake.progress(now);
                    (Step::Baking, Some(progress.left), Some(progress.bake))
                }
                BatchStep::Terminating { .. } => (Step::Terminating, None, None),
                BatchStep::Verifying { .. } => (Step::Verifying, None, None),
            },
            Phase::Restoring { .. } => (Step::Restoring, None, None),
            Phase::Closing { .. } | Phase::Withdrawing { .. } | Phase::Over => (Step::Closing, None, None),
        };
        let hosts = match step {
            Step::Restoring => self.reservations.hosts.keys().cloned().collect(),
            Step::Reference
            | Step::TakingOver
            | Step::Checking
            | Step::Waiting
            | Step::Paused
            | Step::Asking
            | Step::Cordoning
            | Step::Baking
            | Step::Terminating
            | Step::Verifying
            | Step::Closing => self.batches.current().map(|batch| batch.hosts.clone()).unwrap_or_default(),
        };
        let readings = self.observed.newest.as_ref().filter(|r| r.probed).map(|r| readings(r)).unwrap_or_default();
        let count = self.batches.count();
        let number = self.batches.current().map_or(BatchNumber::new(count), |batch| batch.number);
        Progress { step, batch: (number, count), hosts, left, total, readings }
    }
}

/// Each probe's last reading, short enough to be taken in at a glance. The journal has it exactly.
fn readings(observation: &Observation) -> Vec<(ProbeKey, String)> {
    let text = |sample: &Sample| match &sample.reading {
        Ok(Reading::Number(value)) => short(*value),
        Ok(Reading::Good) => "good".to_owned(),
        Err(why) => why.clone(),
    };
    observation.samples.iter().map(|sample| (sample.key.clone(), text(sample))).collect()
}

/// At most four decimals, and none that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn readings_are_short() {
        let texts = [0.0, 100.000_000_000_000_03, 73.333_333_333, 0.012_34, 1500.0, f64::INFINITY].map(short);
        assert_eq!(texts, ["0", "100", "73.3333", "0.0123", "1500", "inf"]);
    }
}
