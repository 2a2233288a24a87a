//! An observation is taken in and judged. The judges return a reason to stop.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordination::FleetRecord;
use crate::model::{ProbeKey, Reading, Time};

use super::action::Action;
use super::machine::{Machine, Next};
use super::phase::{BatchStep, BatchUnderWay, Phase};
use super::reason::Reason;
use super::{Event, Loss, Observation, timeouts};

impl Machine {
    /// Takes in an observation of the record, the fleet, and the probes if they were read.
    pub(super) fn observed(&mut self, observation: Observation, now: Time) {
        if let Err(reason) = self.read(&observation, now) {
            self.stop(reason, now);
        }
        let is_blind = observation.fleet.is_err();
        let seen = self.see(&Arc::new(observation), now);
        if is_blind {
            self.queue.push_front(Next::Action(Action::Sleep { until: now.plus(timeouts::CALL_PAUSE) }));
        }
        match seen {
            Ok(sampled) => self.queue.extend(sampled.map(Next::Event)),
            Err(reason) => self.stop(reason, now),
        }
    }

    /// Takes in an observation of fleet and probes that was made while a write has no answer. Says whether the write must
    /// be given up, because the run has to stop: what stops it is heeded with the answer to the write.
    pub(crate) fn observed_without_ledger(&mut self, observation: Observation, now: Time) -> bool {
        let observation = Arc::new(observation);
        let mut reasons: Vec<Reason> = self.keep_time(now).err().into_iter().collect();
        let seen = self.see(&observation, now);
        let sampled = seen.unwrap_or_else(|reason| {
            // The run goes on until the write has an answer: what made it stop is recorded before the stop.
            reasons.push(reason);
            self.sampled(&observation)
        });
        self.queue.extend(sampled.map(Next::Event));
        reasons.extend(self.keep_time(now).err());
        self.stopping.postponed.extend(reasons);
        !self.stopping.postponed.is_empty()
    }

    /// Takes in the record: whose run it is, and whether a stop order is in force.
    fn read(&mut self, observation: &Observation, now: Time) -> Result<(), Reason> {
        let record = match &observation.record {
            Ok(record) => record,
            Err(why) => {
                if self.is_stopping() || !self.link.is_silent(self.settings().offline_limit, now) {
                    return Ok(());
                }
                self.link.offline = true;
                return Err(Reason::LedgerUnreadable(why.clone()));
            }
        };
        let is_first = self.observed.record.replace(Arc::clone(record)).is_none();
        record.is_of(&self.spec.fleet).map_err(|other| Reason::OtherFleet(other.to_string()))?;
        if let Some(why) = self.is_anothers(record) {
            self.lost(&Loss::Fenced(observation.taken_over_by.clone().unwrap_or(why)), None, now);
            return Ok(());
        }
        if self.is_stopping() {
            return Ok(());
        }
        // S6: a stop order that concerns what the run watches ends it, from the observation on that shows it.
        //
        // One that was there at the first observation refuses a run that never started (rule `halted`, exit 3); one that
        // came later stops a run that was under way, granted or not (exit 9).
        match record.halts.iter().find(|order| order.concerns(&self.spec.identity.watched)) {
            Some(order) => Err(Reason::Halted { order: order.clone(), at_first: is_first }),
            None => Ok(()),
        }
    }

    /// S9: who acts for the run, if the record says that it is not this process any more.
    fn is_anothers(&self, record: &FleetRecord) -> Option<String> {
        let identity = &self.spec.identity;
        match record.runs.get(&identity.run) {
            Some(entry) if entry.epoch != identity.epoch || entry.process != identity.process => {
                let (pid, host) = (entry.process.pid, &entry.process.host);
                Some(format!("process {pid} on {host} acts for it, epoch {}", entry.epoch))
            }
            // The record lets go of a run at its end, and where whoever took it over has ended it.
            None if self.has_reservations() && self.link.unreported.is_empty() => {
                Some("the record has let go of it".to_owned())
            }
            Some(_) | None => None,
        }
    }

    /// Takes in what an observation shows of fleet and probes, and judges it. The event to record, where probes were read
    /// with hosts out.
    ///
    /// # Errors
    ///
    /// The reason to stop. A run that stops already is not judged.
    fn see(&mut self, observation: &Arc<Observation>, now: Time) -> Result<Option<Event>, Reason> {
        self.observed.newest = Some(Arc::clone(observation));
        if observation.probed {
            self.observed.probed_at = Some(observation.begun_at);
        }
        match &observation.fleet {
            Ok(snapshot) => {
                self.observed.blind = 0;
                self.observed.fleet = Some(Arc::clone(snapshot));
                self.reservations.observe(snapshot);
                if !self.is_stopping() {
                    self.judge_fleet(now)?;
                }
            }
            Err(blind) => {
                self.observed.blind += 1;
                if !self.is_stopping() && blind.contradictory {
                    return Err(Reason::Fleet(blind.message.clone()));
                }
                if !self.is_stopping() && self.observed.blind >= timeouts::BLIND_OBSERVATIONS {
                    return Err(Reason::Provider(blind.message.clone()));
                }
            }
        }
        if !self.is_stopping() && observation.probed {
            self.judge_health(observation, now)?;
        }
        Ok(self.sampled(observation))
    }

    fn sampled(&self, observation: &Observation) -> Option<Event> {
        let Phase::InBatch(BatchUnderWay { number, step, .. }) = &self.phase else { return None };
        let is_told =
            matches!(step, BatchStep::Cordoning { .. } | BatchStep::Baking { .. } | BatchStep::Verifying { .. });
        (observation.probed && is_told).then(|| Event::Sampled { batch: *number, readings: readings(observation) })
    }
}

/// Probe readings for the journal: a number, or words.
fn readings(observation: &Observation) -> BTreeMap<ProbeKey, String> {
    let text = |reading: &Result<Reading, String>| match reading {
        Ok(Reading::Number(value)) => value.to_string(),
        Ok(Reading::Good) => "good".to_owned(),
        Err(why) => why.clone(),
    };
    observation.samples.iter().map(|sample| (sample.key.clone(), text(&sample.reading))).collect()
}
