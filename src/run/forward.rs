//! The way forward before the first batch: the journal begins, the run takes its place in line, the reference is sampled.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::health;
use crate::model::{ProbeKey, Time};
use crate::plan::Rule;

use super::Event;
use super::action::RecordUpdate;
use super::machine::Machine;
use super::phase::{BatchStep, BatchUnderWay, Phase};
use super::reason::{Reason, violation};

impl Machine {
    /// The next step towards the end of the plan.
    ///
    /// # Errors
    ///
    /// The reason why there is none, and the run stops.
    pub(super) fn forward(&mut self, now: Time) -> Result<(), Reason> {
        if self.needs_suspension() {
            self.suspend_again(now)?;
            if !self.queue.is_empty() {
                return Ok(());
            }
        }
        match &self.phase {
            Phase::Enlisting => self.enlist(now),
            Phase::Reference { .. } => self.take_reference(now),
            Phase::TakingOver { since } => self.reconcile(*since, now),
            Phase::Opening { .. } => self.open_batch(now),
            Phase::Asking { batch, until } => self.await_answer(*batch, *until, now),
            Phase::InBatch(BatchUnderWay { number, step, .. }) => match (*number, step) {
                (batch, BatchStep::Suspending) => self.suspend(batch, now),
                (batch, BatchStep::Cordoning { since }) => self.cordon(batch, *since, now),
                (batch, BatchStep::Draining) => self.drain(batch, now),
                (batch, BatchStep::Baking { .. }) => {
                    self.bake(batch, now);
                    Ok(())
                }
                (batch, BatchStep::Terminating { granted }) => self.terminate(batch, *granted, now),
                (batch, BatchStep::Verifying { since }) => self.verify_gone(batch, *since, now),
            },
            Phase::Restoring { .. }
            | Phase::Closing { .. }
            | Phase::Following { .. }
            | Phase::Withdrawing { .. }
            | Phase::Over => Ok(()),
        }
    }

    /// Begins the journal, which is this run's alone from then on, and takes a place in line. In this order: what stands
    /// in the record has a journal.
    fn enlist(&mut self, now: Time) -> Result<(), Reason> {
        if !self.is_young(now) {
            return self.observe_again(false);
        }
        let Some(snapshot) = self.observed.fleet.clone() else { return Ok(()) };
        if !self.link.is_opened {
            self.record(self.opening());
        }
        let (claims, document) = (self.batches.remaining(), self.document());
        let (planned_at, lapses_at) = (document.observed_at, document.expires_at);
        self.update(RecordUpdate::Enlist { claims, planned_at, lapses_at, snapshot });
        Ok(())
    }

    fn opening(&self) -> Event {
        let (identity, document) = (&self.spec.identity, self.document().clone());
        Event::RunOpened {
            settings: Box::new(self.settings().clone()),
            fleet: document.fleet.clone(),
            operator: identity.operator.clone(),
            reason: document.request.reason.clone(),
            request_id: document.request.request_id.clone(),
            process: identity.process.clone(),
            epoch: identity.epoch,
            confirmed: self.spec.confirmed.how().to_owned(),
            expect_remaining: identity.expect_remaining,
            pause_after: self.spec.pause_after,
            hook_wait: self.spec.hook_wait,
            minimums: self.minimums(),
            plan: Box::new(document),
        }
    }

    fn take_reference(&mut self, now: Time) -> Result<(), Reason> {
        let (every, wanted) = (self.settings().every, self.settings().reference_samples());
        let Phase::Reference { observations, next_at } = &mut self.phase else { return Ok(()) };
        if let Some(newest) = &self.observed.newest {
            let is_new = observations.last().is_none_or(|last| !Arc::ptr_eq(last, newest));
            if is_new && newest.fleet.is_ok() && newest.record.is_ok() && newest.probed {
                observations.push(Arc::clone(newest));
            }
            *next_at = newest.begun_at.plus(every);
        }
        let next_at = *next_at;
        if observations.len() < wanted {
            if next_at > now {
                self.sleep(next_at);
            }
            self.observe(true);
            return Ok(());
        }
        let samples: Vec<_> = observations.iter().flat_map(|one| one.samples.clone()).collect();
        let sampled_at = observations.first().map_or(now, |first| first.begun_at);
        let probes = self.probes();
        let violated = |rule: Rule, is: &str, bad: BTreeMap<ProbeKey, String>| {
            let one = |(key, why): (ProbeKey, String)| {
                let message = format!("probe {key} {is}{why}");
                violation(rule, Some(key.subsystem), message)
            };
            Reason::Rules(bad.into_iter().map(one).collect())
        };
        let reference = health::reference(&samples, &probes, wanted)
            .map_err(|bad| violated(Rule::UnhealthyNow, "is bad already: ", bad))?;
        let bake_max = self.settings().bake_max.max(self.settings().bake);
        let noisy = health::too_noisy(&reference, &probes, &health::levels_of(&self.spec.policies), bake_max, every);
        if !noisy.is_empty() {
            return Err(violated(Rule::TooNoisy, "", noisy));
        }
        self.baseline.sampled_at = Some(sampled_at);
        self.baseline.taken_at = Some(now);
        self.refer_to(reference);
        self.phase = Phase::Opening { not_before: now, fresh: true, stale: 0 };
        Ok(())
    }

    /// From now on probes are compared with this reference.
    pub(super) fn refer_to(&mut self, reference: health::Reference) {
        let probes = self.probes();
        self.baseline.shown.limits(&health::limits_of(&probes, Some(&reference)));
        self.baseline.tally = health::Tally::default();
        self.baseline.reference = reference;
        self.baseline.watch = Some(self.new_watch());
        self.baseline.is_known = true;
    }
}
