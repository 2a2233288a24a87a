//! A clock that was ahead and came back: what the run keeps of the times that it read meanwhile.
//!
//! Every time that a run keeps is either past when it is read or a wait of a known length. A clock that is set back makes
//! both lie ahead, by ten years where it was ten years off, and what waits for such a time waits for ever (S7). So each
//! input's `now` comes by here first: what has happened did not happen later than now, what was seen at a time that has
//! not come proves nothing, and no wait is longer than it was meant to be. What is promised to others is left as it is: a
//! call's deadline, and the time from which an earlier process is out of reach.

use crate::model::Time;

use super::action::Action;
use super::knowledge::Predecessor;
use super::machine::{Machine, Next};
use super::phase::{BatchStep, BatchUnderWay, Phase};
use super::reason::Reason;

impl Machine {
    /// Takes in what the clock says, and stops if that broke a bake too often.
    pub(super) fn keep_time_or_stop(&mut self, now: Time) {
        if let Err(reason) = self.keep_time(now) {
            self.stop(reason, now);
        }
    }

    /// Takes in what the clock says.
    ///
    /// # Errors
    ///
    /// [`Reason::Timeout`]: the bake broke too often.
    pub(super) fn keep_time(&mut self, now: Time) -> Result<(), Reason> {
        let latest = self.latest.max(Some(now));
        let is_set_back = latest > Some(now.plus(self.spec.bounds.tolerance));
        self.latest = if is_set_back { Some(now) } else { latest };

        self.link.acked_at = self.link.acked_at.map(|at| at.min(now));
        self.waiting.since = self.waiting.since.map(|at| at.min(now));
        self.waiting.confirmed = self.waiting.confirmed.map(|(batch, at)| (batch, at.min(now)));
        self.observed.keep_time(now);
        let is_past = |at: &Time| *at <= now;
        if !self.begun {
            self.baseline.taken_at = self.baseline.taken_at.filter(is_past);
        }
        self.reservations.keep_time(now);
        self.hooks.keep_time(now, self.spec.hook_wait);
        let longest = self.longest_quiet();
        let Predecessor { quiet_at, quiet_by } = &mut self.predecessor;
        *quiet_by = quiet_at.map(|at| at.min(now.plus(longest))).min(quiet_by.or(*quiet_at));
        let timeout_from = quiet_by.unwrap_or(now).max(now);
        let (every, answer_within) = (self.settings().every, self.settings().answer_within);
        let mut gap = None;
        match &mut self.phase {
            Phase::Reference { observations, next_at } => {
                observations.retain(|observation| is_past(&observation.begun_at));
                *next_at = (*next_at).min(now.plus(every));
            }
            Phase::TakingOver { since } | Phase::Restoring { since } => *since = (*since).min(timeout_from),
            // When its turn comes the record says again.
            Phase::Opening { not_before, .. } if is_set_back => *not_before = (*not_before).min(now),
            Phase::Asking { until, .. } => *until = (*until).min(now.plus(answer_within)),
            Phase::InBatch(BatchUnderWay { step, .. }) => match step {
                BatchStep::Cordoning { since } | BatchStep::Verifying { since } => *since = (*since).min(now),
                BatchStep::Baking { bake, .. } => gap = bake.set_back(now),
                BatchStep::Suspending | BatchStep::Draining | BatchStep::Terminating { .. } => {}
            },
            Phase::Enlisting
            | Phase::Opening { .. }
            | Phase::Closing { .. }
            | Phase::Following { .. }
            | Phase::Withdrawing { .. }
            | Phase::Over => {}
        }
        if is_set_back {
            self.waiting.told = None;
            for next in &mut self.queue {
                if let Next::Action(Action::Sleep { until }) = next {
                    *until = (*until).min(now);
                }
            }
        }
        gap.map_or(Ok(()), |gap| self.bake_broke(gap, now))
    }

    /// The longest time from now on for which clocks that agree let an earlier process act.
    fn longest_quiet(&self) -> std::time::Duration {
        let bounds = self.spec.bounds;
        self.settings().offline_limit.max(bounds.call_life) + bounds.tolerance * 2
    }
}
