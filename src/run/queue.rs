//! The queue: events and actions in order, and the last check before a call leaves (S1, S6).

use crate::model::{Call, CallOutcome, Effect, Time};

use super::action::{Action, RecordUpdate};
use super::journal::EVENT_SCHEMA;
use super::knowledge::SentTerminate;
use super::machine::{Machine, Next};
use super::phase::Phase;
use super::{Event, JournalRecord};

impl Machine {
    /// Queues an event for the journal.
    pub(super) fn record(&mut self, event: Event) {
        self.queue.push_back(Next::Event(event));
    }

    /// Queues an update of the shared record.
    pub(super) fn update(&mut self, update: RecordUpdate) {
        self.queue.push_back(Next::Action(Action::Update(update)));
    }

    /// Queues an observation.
    pub(super) fn observe(&mut self, probes: bool) {
        self.queue.push_back(Next::Action(Action::Observe { probes }));
    }

    /// Queues a sleep.
    pub(super) fn sleep(&mut self, until: Time) {
        self.queue.push_back(Next::Action(Action::Sleep { until }));
    }

    /// Queues the intent of a call and, behind it, the call. Its deadline counts from the intent.
    pub(super) fn intend(&mut self, effect: Effect, now: Time) {
        self.calls.last += 1;
        self.observed.stale = 0;
        let number = self.calls.last;
        let mut not_after = now.plus(self.spec.bounds.call_life);
        if self.link.offline
            && let Some(acked) = self.link.acked_at
        {
            // Without the ledger a call may not outlive what a process that takes the run over waits for.
            not_after = not_after.min(acked.plus(self.settings().offline_limit));
        }
        for calls in self.reservations.calls_of(&effect) {
            calls.attempts += 1;
        }
        if let Effect::Terminate { group: Some(group), host } = &effect {
            let (group, host) = (group.clone(), host.clone());
            self.calls.terminates.push(SentTerminate { group, host });
        }
        let call = Call { effect, intent_at: now, not_after };
        self.calls.open.insert(number, call.clone());
        self.record(Event::CallIntended { call: number, intent: call.clone() });
        self.queue.push_back(Next::Action(Action::Send { number, call }));
    }

    /// The next thing of the queue that may still be done.
    pub(super) fn take(&mut self, now: Time) -> Option<Action> {
        let action = match self.queue.pop_front()? {
            Next::Event(event) => Action::Record(Box::new(self.journalled(event, now))),
            Next::Action(Action::Send { number, call }) => {
                if let Some(why) = self.unsendable(&call, now) {
                    self.answered(number, &call, CallOutcome::not_sent(&why, true), now);
                    return None;
                }
                Action::Send { number, call }
            }
            Next::Action(Action::Ask { number, .. }) if !self.awaits_hook(number) => return None,
            Next::Action(Action::Finish(finish)) => {
                self.phase = Phase::Over;
                // Asked again, the machine says the same again.
                self.queue.push_front(Next::Action(Action::Finish(finish.clone())));
                Action::Finish(finish)
            }
            Next::Action(action) => action,
        };
        self.awaiting = Some(action.clone());
        Some(action)
    }

    /// Why a call that was queued must not be sent any more.
    fn unsendable(&self, call: &Call, now: Time) -> Option<String> {
        if now > call.not_after {
            return Some("its deadline is past".to_owned());
        }
        if now < call.intent_at {
            // Nobody could tell what became of it before that deadline.
            return Some("the clock was set back, and its deadline lies too far ahead".to_owned());
        }
        let forward = matches!(call.effect, Effect::Cordon { .. } | Effect::Terminate { .. });
        if !forward {
            return None;
        }
        // S6: from a stop on, no new cordon or terminate starts.
        if self.stopping.cause.is_some() {
            return Some("the run is stopping".to_owned());
        }
        // S1: what the preflight judged must still be young when the call leaves (schedule 8).
        if !self.is_young(now) {
            return Some("the observation it was decided on is too old".to_owned());
        }
        if let Some(group) = self.running_groups().first() {
            return Some(format!("AZRebalance of group {group} is not suspended"));
        }
        None
    }

    /// Appends an event to the journal in memory, with its number and its time.
    pub(super) fn journalled(&mut self, event: Event, now: Time) -> JournalRecord {
        let record = JournalRecord {
            schema: EVENT_SCHEMA.to_owned(),
            run: self.spec.identity.run.clone(),
            seq: self.journal.len() as u64,
            at: now,
            event,
        };
        self.journal.push(record.clone());
        record
    }
}
