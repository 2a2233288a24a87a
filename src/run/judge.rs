//! The judges: whether the fleet still holds with hosts out (S1, S2), and whether health does (S2, S3). Each answers with
//! a reason to stop, and stops nothing itself.

use std::collections::BTreeSet;

use crate::health::{self, BakeVerdict};
use crate::model::Time;
use crate::plan::Stage;

use super::Observation;
use super::machine::Machine;
use super::phase::{BatchStep, BatchUnderWay, Phase};
use super::reason::Reason;
use super::reservation::ReservedHost;

impl Machine {
    /// S1: while hosts are out, every rule must hold as if they were gone; and they must be where the run put them.
    pub(super) fn judge_fleet(&self, now: Time) -> Result<(), Reason> {
        match &self.phase {
            Phase::InBatch(BatchUnderWay { step: BatchStep::Suspending, .. })
            | Phase::Enlisting
            | Phase::Reference { .. }
            | Phase::Opening { .. }
            | Phase::Asking { .. }
            | Phase::Restoring { .. }
            | Phase::Closing { .. }
            | Phase::Following { .. }
            | Phase::Withdrawing { .. }
            | Phase::Over => return Ok(()),
            // Nothing of the batch can come back.
            Phase::InBatch(BatchUnderWay { number, step: BatchStep::Verifying { .. }, .. })
                if self.reservations.of_batch(*number).all(|host| host.is_started) =>
            {
                return Ok(());
            }
            Phase::InBatch(BatchUnderWay {
                number,
                step:
                    BatchStep::Draining
                    | BatchStep::Baking { .. }
                    | BatchStep::Terminating { granted: false }
                    | BatchStep::Verifying { .. },
                ..
            }) => {
                // S2: a bake is worth nothing for a host that serves meanwhile (schedule 5), nor is a wait behind it.
                // "In service" from a read that may lie before the cordon's reply proves nothing (protocol section 5).
                let bounds = self.spec.bounds;
                let mut hosts = self.reservations.of_batch(*number).filter(|host| !host.is_started);
                if let Some(host) = hosts.find(|host| !host.is_cordoned() && !host.may_be_seen_late(bounds)) {
                    return Err(host.strayed(bounds));
                }
            }
            Phase::InBatch(BatchUnderWay {
                step: BatchStep::Cordoning { .. } | BatchStep::Terminating { granted: true },
                ..
            })
            | Phase::TakingOver { .. } => {}
        }
        let violations = self.violations(BTreeSet::new(), Stage::Hold, now)?;
        if violations.is_empty() { Ok(()) } else { Err(Reason::Rules(violations)) }
    }

    /// S2, S3: a probe that is bad or cannot be read, as often as its policy bears, is a regression.
    pub(super) fn judge_health(&mut self, observation: &Observation, now: Time) -> Result<(), Reason> {
        let regressions =
            if let Phase::InBatch(BatchUnderWay { number, step: BatchStep::Baking { bake, .. }, .. }) = &mut self.phase
            {
                let is_shown =
                    observation.fleet.is_ok() && self.reservations.of_batch(*number).all(ReservedHost::is_cordoned);
                let verdict = if is_shown {
                    bake.fold(&health::Round {
                        begun_at: observation.begun_at,
                        ended_at: observation.ended_at,
                        samples: observation.samples.clone(),
                        // `judge_fleet` has stopped the run if it does not.
                        fleet_holds: true,
                    })
                } else {
                    // A round that did not show the batch cordoned is no link of the chain; an alarm in it counts all the same.
                    bake.fold_unseen(observation.begun_at, &observation.samples)
                };
                match verdict {
                    BakeVerdict::Regressed { probes, .. } => probes,
                    BakeVerdict::Inconclusive { probes } => return Err(Reason::Inconclusive(probes)),
                    BakeVerdict::Baking { restarted: Some(gap) } => return self.bake_broke(gap, now),
                    BakeVerdict::Baking { restarted: None } => {
                        self.bake_goes_on(now);
                        return Ok(());
                    }
                    BakeVerdict::Clean { .. } => {
                        if is_shown {
                            self.baked();
                        }
                        return Ok(());
                    }
                }
            } else if let Some(watch) = &mut self.baseline.watch {
                watch.round(&observation.samples)
            } else {
                return Ok(());
            };
        regressions.into_iter().next().map_or(Ok(()), |regression| Err(Reason::Regression(regression)))
    }
}
