//! Responses are handled here; each action has its own kinds.

use crate::model::{Call, CallOutcome, HostId, Time};

use super::action::{Action, Finish, RecordUpdate};
use super::machine::{Machine, Next};
use super::phase::{Direction, Phase};
use super::reason::Reason;
use super::{Event, Loss, NotStarted, Response};

impl Machine {
    /// Takes in the response to the action that is awaited.
    pub(super) fn handle(&mut self, response: Response, now: Time) {
        let awaited = self.awaiting.take();
        match (awaited, response) {
            (_, Response::Begin)
            | (Some(Action::Sleep { .. }), Response::Woke)
            | (Some(Action::Ask { .. }), Response::Asked) => {}
            // A probe that hangs must not keep a run that has ended: whether it reads on is decided anew.
            (Some(Action::Observe { .. }), Response::Woke) if self.is_following() => {}
            (Some(Action::Record(record)), Response::Recorded) => self.recorded(&record.event),
            (Some(Action::Record(record)), Response::Lost(loss)) => self.lost(&loss, Some(&record.event), now),
            (Some(Action::Update(update)), Response::Updated(granted)) => self.updated(update, &granted, now),
            (Some(Action::Update(update)), Response::Refused(refusal)) => self.refused(&update, refusal, now),
            (
                Some(Action::Update(RecordUpdate::Grant { batch, hosts, snapshot, asking: None, .. })),
                Response::Lost(Loss::Unreachable(why)),
            ) => {
                // Schedule 13: the grant may be written. What may be reserved is named, and let go of like what is.
                if self.begun {
                    self.reserve(batch, &hosts, &snapshot);
                }
                let named: Vec<&str> = hosts.keys().map(HostId::as_str).collect();
                let why = format!("{why}; run {} may have reserved {}", self.spec.identity.run, named.join(", "));
                self.lost(&Loss::Unreachable(why), None, now);
            }
            // A convenience for later runs: what else is left to say shows whether the ledger is lost.
            (Some(Action::Update(RecordUpdate::Forget { .. })), Response::Lost(Loss::Unreachable(_))) => {}
            // The journal has ended: what the record still lists of the run is in nobody's way.
            (Some(Action::Update(RecordUpdate::End { .. })), Response::Lost(Loss::Unreachable(_))) => {}
            (Some(Action::Update(_)), Response::Lost(loss)) => self.lost(&loss, None, now),
            (Some(Action::Observe { .. }), Response::Observed(observation)) => self.observed(*observation, now),
            (Some(Action::Send { number, call }), Response::Answered(outcome)) => {
                self.answered(number, &call, outcome, now);
            }
            // The driver answers each action with its own kind of response; anything else changes nothing it could harm.
            (Some(action), _) => self.queue.push_front(Next::Action(action)),
            (None, _) => {}
        }
    }

    /// The ledger took an event.
    fn recorded(&mut self, event: &Event) {
        self.link.is_opened |= matches!(event, Event::RunOpened { .. });
        // `offline_until` is counted from what the journal says, so that whoever takes over counts the same.
        if self.link.offline && !self.link.offline_notice_sent && self.phase.direction() != Direction::Closing {
            self.send_offline_notice();
        }
        self.link.acked_at = self.journal.last().map(|record| record.at);
        self.link.offline = false;
    }

    /// Takes in what is known of a call, and queues its record before all else.
    pub(super) fn answered(&mut self, number: u64, call: &Call, outcome: CallOutcome, now: Time) {
        self.calls.open.remove(&number);
        let bounds = self.spec.bounds;
        for calls in self.reservations.calls_of(&call.effect) {
            calls.answered(&outcome, call.not_after, bounds, now);
        }
        self.queue.push_front(Next::Event(Event::CallAnswered { call: number, outcome }));
    }

    /// The ledger did not take a write.
    pub(super) fn lost(&mut self, loss: &Loss, event: Option<&Event>, now: Time) {
        if let Phase::Withdrawing { why } = &self.phase {
            // It took nothing, and whoever looks after it finds that out.
            self.finish(Finish::NotStarted(why.clone()));
            return;
        }
        if self.is_following() && matches!(event, Some(Event::Sampled { .. })) {
            // The run has ended, and what it did is on record. A reading less is nobody's business.
            self.journal.pop();
            self.finish(Finish::Ended);
            return;
        }
        match loss {
            Loss::Fenced(_) if !self.link.is_opened => {
                // S9: of calls with one request id that start together one begins the journal; the others report it.
                let run = self.spec.identity.run.clone();
                self.finish(Finish::NotStarted(NotStarted::Consumed { run }));
            }
            Loss::Fenced(why) => self.fenced(why, event, now),
            Loss::Unreachable(why) => self.unreachable(why, event, now),
        }
    }

    /// S9: another process has the run. Nothing more is sent, not even a restore.
    fn fenced(&mut self, why: &str, event: Option<&Event>, now: Time) {
        if matches!(event, Some(Event::RunEnded { .. })) {
            // The journal has no such end: how the run ends is another process's to say.
            self.journal.pop();
        }
        self.stopping.attention = true;
        self.link.taken_by = Some(why.to_owned());
        let message = format!("this run was taken over: {why}");
        let cause = Reason::Ledger(message.clone()).cause();
        self.stopping.cause = Some(cause.clone());
        if self.begun && self.calls.last > 0 {
            // Kept for the document only: the journal is another process's now.
            let _ = self.journalled(Event::Stopped { cause }, now);
            self.finish(Finish::Ended);
        } else {
            self.finish(Finish::NotStarted(NotStarted::TakenOver(message)));
        }
    }

    fn unreachable(&mut self, why: &str, event: Option<&Event>, now: Time) {
        self.stop_for_what_came_meanwhile(now);
        if self.phase.direction() == Direction::Closing {
            // S7: what the ledger was not told somebody must tell it.
            self.stopping.attention = true;
        }
        let is_bearable = !self.link.is_silent(self.settings().offline_limit, now);
        if matches!(event, Some(Event::Sampled { .. })) && is_bearable && !self.is_stopping() {
            // No effect hangs on it: the bake goes on being watched, and nothing starts without the ledger.
            return;
        }
        if self.link.offline {
            // S7 outranks S5 for a restore, and only until `offline_until`, which its deadline already is: its send stays in
            // the queue.
            return;
        }
        self.link.offline = true;
        if let Some(Event::CallIntended { call, .. }) = event {
            // S5: no acknowledged intent, no effect.
            self.unsend(*call, now);
        }
        if let Some(Event::HookIntended { call, .. }) = event {
            self.unask(*call);
        }
        if self.calls.last == 0 {
            let held: Vec<&str> = self.reservations.hosts.keys().map(HostId::as_str).collect();
            let held = if held.is_empty() { String::new() } else { format!("; it may still hold {}", held.join(", ")) };
            self.finish(Finish::NotStarted(NotStarted::Ledger(format!("{why}{held}"))));
            return;
        }
        if !self.is_stopping() {
            self.stop(Reason::LedgerUnreachable(why.to_owned()), now);
        }
    }

    /// Takes a call out of the queue whose intent the ledger did not take.
    fn unsend(&mut self, number: u64, now: Time) {
        let is_it = |next: &Next| matches!(next, Next::Action(Action::Send { number: of, .. }) if *of == number);
        self.queue.retain(|next| !is_it(next));
        if let Some(call) = self.calls.open.remove(&number) {
            let outcome = CallOutcome::not_sent("the ledger did not take its intent", true);
            self.answered(number, &call, outcome, now);
        }
    }
}
