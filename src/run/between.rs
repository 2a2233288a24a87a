//! Between two batches: the run is paused, or a person is asked whether the next batch may go. Nothing is out of service
//! then, and nothing is reserved; health is watched all the while, and a stop order ends the wait (S6).

use std::sync::Arc;

use crate::coordination::{Asking, Continued, Pause, RunEntry};
use crate::model::{BatchNumber, OperatorId, Time, duration_text};

use super::action::RecordUpdate;
use super::machine::Machine;
use super::phase::Phase;
use super::reason::Reason;
use super::{Answer, Event, timeouts};

impl Machine {
    /// Takes in what the person at this run's terminal replied.
    pub(crate) fn answer(&mut self, answer: Answer) {
        self.waiting.answer = Some(answer);
    }

    /// The run in the record, as it was last read.
    fn entry(&self) -> Option<&RunEntry> {
        self.observed.record.as_ref().and_then(|record| record.runs.get(&self.spec.identity.run))
    }

    /// Whether the run takes no batch because it is paused. If it is, it observes again within a sampling period.
    pub(super) fn stays_paused(&mut self, now: Time) -> bool {
        let (pause, continued) = match self.entry() {
            Some(entry) => (entry.pause.clone(), entry.continued.clone()),
            None => return false,
        };
        let Some(pause) = pause else {
            if self.waiting.paused.take().is_some() {
                // Whoever took the run over meanwhile has made the record forget who it was.
                let by = continued.filter(|continued| continued.batch.is_none());
                let operator = by.map(|Continued { operator, .. }| operator);
                self.record(Event::Continued { operator });
            }
            return false;
        };
        if self.waiting.paused.as_ref() != Some(&pause) {
            self.waiting.paused = Some(pause.clone());
            self.record(Event::Paused { pause: pause.clone() });
        }
        self.tell_waiting(pause.to_string(), now, now);
        let again = now.plus(self.settings().every);
        self.phase = Phase::opening_at(again);
        self.observe_at(again, now);
        true
    }

    /// Pauses the run where its caller asked for it: in front of the batch behind the given one (`--pause-after`).
    pub(super) fn pauses_itself(&mut self, batch: BatchNumber, now: Time) -> bool {
        let is_due = self.spec.pause_after.is_some_and(|after| batch > after) && !self.waiting.paused_itself;
        let Some(after) = self.spec.pause_after.filter(|_| is_due) else { return false };
        let operator = self.spec.identity.operator.clone();
        self.update(RecordUpdate::Pause { order: Pause { operator, reason: None, at: now, after: Some(after) } });
        true
    }

    /// The record took the run's own pause, or keeps that of somebody who came first.
    pub(super) fn paused_itself(&mut self, standing: Pause, now: Time) {
        self.waiting.paused_itself = true;
        // The record was last read before the pause: it would look as if somebody had lifted it.
        if let Some(record) = &mut self.observed.record
            && let Some(entry) = Arc::make_mut(record).runs.get_mut(&self.spec.identity.run)
        {
            entry.pause = Some(standing);
        }
        self.phase = Phase::opening_at(now);
    }

    /// The question that must be answered before the batch may be granted, if there is one.
    pub(super) fn asks_about(&self, batch: BatchNumber, now: Time) -> Option<Asking> {
        let settings = self.settings();
        let is_confirmed =
            self.waiting.confirmed.is_some_and(|(of, at)| of == batch && now.since(at) <= settings.answer_within);
        // S8: the first batch was confirmed with the plan.
        let is_asked = settings.between_batches && self.begun && !is_confirmed;
        let (attended, until) = (self.spec.attended, now.plus(settings.answer_within));
        is_asked.then_some(Asking { batch, attended, until })
    }

    /// The record took the question: the person is asked from now on.
    pub(super) fn asked(&mut self, asking: &Asking) {
        let Asking { batch, attended, until } = *asking;
        self.waiting.answer = None;
        self.record(Event::Asked { batch, attended, until });
        self.phase = Phase::Asking { batch, until };
    }

    /// Waits for the answer about the batch.
    ///
    /// # Errors
    ///
    /// [`Reason::NotConfirmed`]: any other answer, or none in time.
    pub(super) fn await_answer(&mut self, batch: BatchNumber, until: Time, now: Time) -> Result<(), Reason> {
        let not_confirmed = |why: String| Err(Reason::NotConfirmed(format!("batch {batch} was not confirmed: {why}")));
        if self.entry().is_some_and(|entry| entry.pause.is_some()) {
            // The question is withdrawn. Once the run is continued it is asked anew.
            self.phase = Phase::opening_at(now);
            return Ok(());
        }
        let right = self.batches.current().map_or(0, |batch| batch.hosts.len()).to_string();
        match self.waiting.answer.take().filter(|answer| answer.batch == batch).map(|answer| answer.reply) {
            Some(Ok(typed)) if typed == right => {
                let operator = self.spec.identity.operator.clone();
                self.confirm_batch(batch, operator, "typed", now);
                return Ok(());
            }
            Some(Ok(typed)) => return not_confirmed(format!("the answer was {typed:?}, not {right:?}")),
            Some(Err(why)) => return not_confirmed(why),
            None => {}
        }
        let continued = self.entry().and_then(|entry| entry.continued.clone());
        if let Some(Continued { operator, .. }) = continued.filter(|continued| continued.batch == Some(batch)) {
            self.confirm_batch(batch, operator, "continue", now);
            return Ok(());
        }
        if now >= until {
            let within = duration_text(self.settings().answer_within);
            return not_confirmed(format!("there was no answer within {within}"));
        }
        self.tell_waiting(format!("a person is asked about batch {batch}, until {until}"), now, now);
        self.observe_at(until.min(now.plus(self.settings().every)), now);
        Ok(())
    }

    fn confirm_batch(&mut self, batch: BatchNumber, operator: OperatorId, how: &str, now: Time) {
        self.record(Event::BatchConfirmed { batch, operator, how: how.to_owned() });
        self.waiting.confirmed = Some((batch, now));
        self.phase = Phase::opening_at(now);
    }

    /// Tells the journal that the run waits: at least once a minute, so that nobody takes a process that waits for a
    /// silent one.
    pub(super) fn tell_waiting(&mut self, why: String, not_before: Time, now: Time) {
        let is_told = |(told, until): &(String, Time)| *told == why && now < *until;
        if !self.waiting.told.as_ref().is_some_and(is_told) {
            let until = not_before.max(now.plus(timeouts::WAIT_TOLD));
            self.waiting.told = Some((why.clone(), until));
            self.record(Event::Waiting { until, why });
        }
    }
}
