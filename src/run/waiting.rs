//! What a run does while a write of it has no answer from the ledger: how long the write is repeated, and what is watched
//! meanwhile. Nothing is started here: the write is answered, or given up, before anything else is asked for.
//!
//! A machine asks for one thing at a time, and a write may take long. Whoever performs it gives the machine a
//! [`Machine::observed_without_ledger`] of the world whenever [`Machine::observe_without_ledger_at`] says so, and repeats the write, with the nonce that
//! it has, until [`Machine::gives_write_up_at`].

use std::time::Duration;

use crate::model::Time;

use super::action::Observation;
use super::cause::plain;
use super::machine::{Direction, Machine, Phase};
use super::{CauseKind, timeouts};

impl Machine {
    /// Whether a write that fails is repeated until it is given up, and not a few times only. Before the run exists
    /// there is nothing to lose by ending, and what is to be put back waits for nobody (S7).
    pub(crate) fn repeats_writes(&self, now: Time) -> bool {
        match self.phase.direction() {
            Direction::Back => false,
            Direction::Closing => now < self.offline_until(now).unwrap_or(now),
            Direction::Forward | Direction::Over => self.begun,
        }
    }

    /// Until when a write that has no answer is repeated. From then on it counts as lost. Whoever waits asks again and
    /// heeds the earliest answer (S7): where the clock was ahead when the wait began, the first one lies years ahead.
    pub(crate) fn gives_write_up_at(&self, now: Time) -> Time {
        // Half of the limit is for waiting, half for putting back.
        let limit = self.settings().offline_limit;
        match self.phase.direction() {
            // S7: each restore is recorded first where that is quick.
            Direction::Back => now,
            // Everything is where it should be: what is left is to say so, as long as the policy bears.
            Direction::Closing => self.offline_until(now).unwrap_or(now).max(now),
            Direction::Forward | Direction::Over => {
                // No call was ever sent, so nothing is out of service: a busy ledger is waited for. A run that gave up now
                // would leave a reservation to somebody else.
                if self.calls == 0 {
                    now.plus(limit.max(timeouts::NOTHING_OUT))
                } else if self.reserved.is_empty() {
                    now.plus(limit / 2)
                } else {
                    self.acked_at.unwrap_or(now).min(now).plus(limit / 2).max(now)
                }
            }
        }
    }

    /// How long the answer to one write is awaited before the wait counts as one: real time, whatever the run's clock.
    pub(crate) fn answer_timeout(&self) -> Duration {
        let limit = self.settings().offline_limit;
        match self.phase.direction() {
            // S7: the ledger is known to be lost, and a restore whose intent waits for it too long is too late to be sent.
            Direction::Back if self.offline => timeouts::LAST_WORDS,
            Direction::Back => (timeouts::ANSWER / 2).min(limit / 10),
            Direction::Closing if self.offline && self.offline_notice_sent => timeouts::LAST_WORDS,
            Direction::Closing | Direction::Forward | Direction::Over => timeouts::ANSWER,
        }
    }

    /// When the world is to be looked at while a write has no answer; `None` where nothing is out of service, or what is
    /// out is being put back.
    pub(crate) fn observe_without_ledger_at(&self, now: Time) -> Option<Time> {
        if self.is_stopping() || self.reserved.is_empty() {
            return None;
        }
        let Phase::Baking { bake } = &self.phase else {
            return self.watch.is_some().then(|| self.next_sample(now));
        };
        // Further ahead than a period lies only what was sampled before the clock was set back.
        let at = bake.next_round_at();
        Some(if at > now.plus(self.settings().every) { now } else { at })
    }

    /// Takes in a look at fleet and probes that was made while a write has no answer. Says whether the write must be
    /// given up, because the run has to stop: what stops it is heeded with the answer to the write.
    pub(crate) fn observed_without_ledger(&mut self, observation: Observation, now: Time) -> bool {
        self.glimpsing = true;
        self.keep_time(now);
        self.observed(observation, now);
        self.keep_time(now);
        self.glimpsing = false;
        !self.postponed.is_empty()
    }

    /// S6: what was seen, or ordered, while a write had no answer comes first: it is what the run stops for.
    pub(super) fn stop_for_what_came_meanwhile(&mut self, now: Time) {
        for (cause, before_start) in std::mem::take(&mut self.postponed) {
            self.stop(cause, before_start, now);
        }
        while let Some(order) = self.orders.pop_front() {
            let before_start = Some(super::NotStarted::Ordered(order));
            self.stop(plain(CauseKind::Order, order.to_string()), before_start, now);
        }
    }

    /// How long restoring is allowed without the ledger (protocol section 7), where it was ever heard.
    fn offline_until(&self, now: Time) -> Option<Time> {
        self.acked_at.map(|at| at.min(now).plus(self.settings().offline_limit))
    }
}
