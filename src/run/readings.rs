//! Every reading of every round goes into the journal, as it was judged. Nothing here judges.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::health;
use crate::model::{BatchNumber, ProbeKey, SubsystemName, Time};

use super::machine::Machine;
use super::phase::{BatchUnderWay, Phase};
use super::{Event, Observation, RunHistory, timeouts};

/// A round of readings, before it has its place in the journal.
pub(super) type RoundOfReadings = BTreeMap<ProbeKey, health::ProbeReading>;

impl Machine {
    /// The longest time for one sample, in real time whatever the run's clock; `None`: as long as its policy says. While
    /// hosts are put back a probe that hangs must not keep them from being seen (S7).
    pub(crate) fn probe_patience(&self) -> Option<Duration> {
        matches!(self.phase, Phase::Restoring { .. }).then_some(timeouts::PROBE_WHILE_RESTORING)
    }

    /// The round that an observation read, if it read the probes. Written down before it is judged: a bake that ends, or a
    /// stop, changes what is known.
    pub(super) fn sampled(&mut self, observation: &Observation) -> Option<RoundOfReadings> {
        if !observation.probed {
            return None;
        }
        let specs = self.probes();
        let reference = self.baseline.is_known.then_some(&self.baseline.reference);
        let readings = self.baseline.tally.round(&specs, reference, &observation.samples);
        if reference.is_none() {
            self.baseline.shown.limits(&health::limits_of(&specs, None));
        }
        self.baseline.shown.take(&readings);
        Some(readings)
    }

    /// Queues a round for the journal, with the capacity that the observation showed.
    pub(super) fn tell(&mut self, readings: Option<RoundOfReadings>, observation: &Observation, now: Time) {
        let Some(readings) = readings.filter(|_| self.link.is_opened) else { return };
        let batch = self.batch_out();
        if batch.is_none() && readings.is_empty() {
            // No probe, and nothing is out: there is nothing to say.
            return;
        }
        let capacity = if observation.fleet.is_ok() { self.capacity(now) } else { BTreeMap::new() };
        self.record(Event::Sampled { batch, readings, capacity });
    }

    /// Tells the journal the reference, and the limits that follow from it.
    pub(super) fn tell_reference(&mut self, sampled_at: Time) {
        let reference = self.baseline.reference.clone();
        let limits = health::limits_of(&self.probes(), Some(&reference));
        self.record(Event::ReferenceTaken { reference, sampled_at, limits });
    }

    /// Whoever takes a run over judges by the policies of his day: where they give other limits, the journal has both.
    pub(super) fn tell_changed_limits(&mut self, history: &RunHistory<'_>) {
        let limits = health::limits_of(&self.probes(), Some(&self.baseline.reference));
        if let (Some(sampled_at), Some(told)) = (self.baseline.sampled_at, history.limits)
            && *told != limits
        {
            self.tell_reference(sampled_at);
        }
    }

    /// The batch that is on its way, or being put back.
    fn batch_out(&self) -> Option<BatchNumber> {
        match &self.phase {
            Phase::InBatch(BatchUnderWay { number, .. }) => Some(*number),
            Phase::TakingOver { .. } | Phase::Restoring { .. } => {
                self.reservations.hosts.values().next().map(|host| host.batch)
            }
            Phase::Enlisting
            | Phase::Reference { .. }
            | Phase::Opening { .. }
            | Phase::Asking { .. }
            | Phase::Closing { .. }
            | Phase::Following { .. }
            | Phase::Withdrawing { .. }
            | Phase::Over => None,
        }
    }

    /// The minimum of every subsystem that the run touches or watches.
    pub(super) fn minimums(&self) -> BTreeMap<SubsystemName, u64> {
        let policies = &self.spec.policies.subsystems;
        let minimum = |name: &SubsystemName| Some((name.clone(), policies.get(name)?.capacity.minimum));
        self.spec.identity.watched.iter().filter_map(minimum).collect()
    }
}
