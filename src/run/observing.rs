//! An observation is taken in and judged. The judges return a reason to stop.

use std::sync::Arc;

use crate::coordination::FleetRecord;
use crate::model::Time;

use super::action::Action;
use super::machine::{Machine, Next};
use super::reason::Reason;
use super::{Event, Loss, Observation, timeouts};

impl Machine {
    /// Takes in an observation of the record, the fleet, and the probes if they were read.
    pub(super) fn observed(&mut self, observation: Observation, now: Time) {
        if !self.is_following()
            && let Err(reason) = self.read(&observation, now)
        {
            self.stop(reason, now);
        }
        let is_blind = observation.fleet.is_err();
        let observation = Arc::new(observation);
        // A sample that stops the run is in the journal before the stop.
        let sampled = self.sampled(&observation);
        let seen = self.see(&observation, now);
        self.tell(sampled, &observation, now);
        if is_blind {
            self.queue.push_front(Next::Action(Action::Sleep { until: now.plus(timeouts::CALL_PAUSE) }));
        }
        if let Err(reason) = seen {
            self.stop(reason, now);
        }
    }

    /// Takes in an observation of fleet and probes that was made while a write has no answer. Says whether the write must
    /// be given up, because the run has to stop: what stops it is heeded with the answer to the write.
    pub(crate) fn observed_without_ledger(&mut self, observation: Observation, now: Time) -> bool {
        let observation = Arc::new(observation);
        let mut reasons: Vec<Reason> = self.keep_time(now).err().into_iter().collect();
        // The run goes on until the write has an answer: what made it stop is recorded before the stop.
        let sampled = self.sampled(&observation);
        reasons.extend(self.see(&observation, now).err());
        self.tell(sampled, &observation, now);
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

    /// Takes in what an observation shows of fleet and probes, and judges it.
    ///
    /// # Errors
    ///
    /// The reason to stop. A run that stops already is not judged.
    fn see(&mut self, observation: &Arc<Observation>, now: Time) -> Result<(), Reason> {
        self.observed.newest = Some(Arc::clone(observation));
        if observation.probed {
            self.observed.probed_at = Some(observation.begun_at);
        }
        match &observation.fleet {
            Ok(snapshot) => {
                self.observed.blind = 0;
                self.observed.fleet = Some(Arc::clone(snapshot));
                self.survey(snapshot);
                self.reservations.observe(snapshot);
                if !self.is_stopping() {
                    // Without the record nobody can tell who removed what. Nothing goes forward without it either.
                    let departed = observation.record.is_ok().then(|| self.departed(snapshot, now)).flatten();
                    // A group that launches in place of what goes may have too many members then, and take others.
                    let told = self.answering_launch(snapshot).into_iter().chain(departed).map(Reason::Fleet);
                    let mut reasons = self.judge_fleet(now).err().into_iter().chain(told);
                    if let Some(first) = reasons.next() {
                        for reason in reasons {
                            self.record(Event::Warned { message: reason.cause().message });
                        }
                        return Err(first);
                    }
                }
            }
            Err(blind) => {
                self.observed.blind += 1;
                self.survey_later(now);
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
        Ok(())
    }
}
