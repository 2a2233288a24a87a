//! What a run does while a write of it has no answer from the ledger: how long the write is repeated, and what is watched
//! meanwhile. Nothing is started here: the write is answered, or given up, before anything else is asked for.
//!
//! A machine asks for one thing at a time, and a write may take long. Whoever performs it observes fleet and probes whenever
//! [`Machine::observe_without_ledger_at`] says so, tells the machine ([`Machine::observed_without_ledger`]), and repeats the
//! write, with the nonce that it has, until [`Machine::gives_write_up_at`].

use std::time::Duration;

use crate::health::Bake;
use crate::model::Time;

use super::machine::Machine;
use super::phase::Direction;
use super::reason::Reason;
use super::timeouts;

impl Machine {
    /// Whether a write that fails is repeated until it is given up, and not a few times only. Before the run exists
    /// there is nothing to lose by ending, and what is to be put back waits for nobody (S7).
    pub(crate) fn repeats_writes(&self, now: Time) -> bool {
        match self.phase.direction() {
            Direction::Back => false,
            Direction::Closing => now < self.offline_until(now).unwrap_or(now),
            Direction::Over if self.is_following() => false,
            Direction::Forward | Direction::Over => self.begun,
        }
    }

    /// Until when a write that has no answer is repeated. From then on it counts as lost. Whoever waits asks again and
    /// heeds the earliest answer (S7): where the clock was ahead when the wait began, the first one lies years ahead.
    pub(crate) fn gives_write_up_at(&self, now: Time) -> Time {
        // Half of the limit is for waiting, half for putting back.
        let limit = self.settings().offline_limit;
        match self.phase.direction() {
            Direction::Over if self.is_following() => now,
            // S7: each restore is recorded first if that is quick.
            Direction::Back => now,
            // Everything is where it should be: what is left is to say so, as long as the policy bears.
            Direction::Closing => self.offline_until(now).unwrap_or(now).max(now),
            Direction::Forward | Direction::Over => {
                // No call was ever sent, so nothing is out of service: a busy ledger is waited for. A run that gave up now
                // would leave a reservation to somebody else.
                if self.calls.last == 0 {
                    now.plus(limit.max(timeouts::NOTHING_OUT))
                } else if self.reservations.hosts.is_empty() {
                    now.plus(limit / 2)
                } else {
                    self.link.acked_at.unwrap_or(now).min(now).plus(limit / 2).max(now)
                }
            }
        }
    }

    /// The timeout for the answer to one write, in real time whatever the run's clock. When it is over the run observes
    /// the world while it goes on waiting.
    pub(crate) fn answer_timeout(&self) -> Duration {
        let limit = self.settings().offline_limit;
        match self.phase.direction() {
            // S7: the ledger is known to be lost, and a restore whose intent waits for it too long is too late to be sent.
            Direction::Back if self.link.offline => timeouts::LAST_WORDS,
            Direction::Back => (timeouts::ANSWER / 2).min(limit / 10),
            Direction::Closing if self.link.offline && self.link.offline_notice_sent => timeouts::LAST_WORDS,
            Direction::Closing | Direction::Forward | Direction::Over => timeouts::ANSWER,
        }
    }

    /// When fleet and probes are to be observed while a write has no answer; `None` if nothing is out of service, or what is
    /// out is being put back.
    pub(crate) fn observe_without_ledger_at(&self, now: Time) -> Option<Time> {
        if self.is_stopping() || self.reservations.hosts.is_empty() {
            return None;
        }
        let Some(at) = self.phase.bake().map(Bake::next_round_at) else {
            return self.baseline.watch.is_some().then(|| self.next_sample(now));
        };
        // Further ahead than a period lies only what was sampled before the clock was set back.
        Some(if at > now.plus(self.settings().every) { now } else { at })
    }

    /// S6: what was observed, or ordered, while a write had no answer comes first: it is what the run stops for.
    pub(super) fn stop_for_what_came_meanwhile(&mut self, now: Time) {
        for reason in std::mem::take(&mut self.stopping.postponed) {
            self.stop(reason, now);
        }
        while let Some(order) = self.stopping.orders.pop_front() {
            self.stop(Reason::Ordered(order), now);
        }
    }

    /// The end of the time in which restoring without the ledger is allowed, if the ledger was ever heard.
    fn offline_until(&self, now: Time) -> Option<Time> {
        self.link.offline_until(self.settings().offline_limit, now)
    }
}
