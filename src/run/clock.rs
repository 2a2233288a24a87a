//! A clock that was ahead and came back: what the run keeps of the times that it read meanwhile.
//!
//! Every time that a run keeps is either past when it is read or a wait of a known length. A clock that is set back makes
//! both lie ahead, by ten years where it was ten years off, and what waits for such a time waits for ever (S7). So each
//! input's `now` comes by here first: what has happened did not happen later than now, what was seen at a time that has
//! not come proves nothing, and no wait is longer than it was meant to be. What is promised to others is left as it is: a
//! call's deadline, and the time from which an earlier process is out of reach.

use crate::model::Time;

use super::machine::{Machine, Phase, Todo};

impl Machine {
    /// Takes in what the clock says.
    pub(super) fn keep_time(&mut self, now: Time) {
        let latest = self.latest.max(Some(now));
        let is_set_back = latest > Some(now.plus(self.spec.bounds.tolerance));
        self.latest = if is_set_back { Some(now) } else { latest };

        self.acked_at = self.acked_at.map(|at| at.min(now));
        self.waiting_since = self.waiting_since.map(|at| at.min(now));
        let is_past = |at: &Time| *at <= now;
        // S2, S6: a sample of a time that has not come puts off no other.
        self.probed_at = self.probed_at.filter(is_past);
        self.observation =
            self.observation.take().filter(|observation| observation.begun_at.max(observation.ended_at) <= now);
        if !self.begun {
            self.reference_taken_at = self.reference_taken_at.filter(is_past);
        }
        self.reserved.values_mut().for_each(|reserved| reserved.keep_time(now));
        for group in self.groups.values_mut() {
            group.suspend.keep_time(now);
            group.resume.keep_time(now);
        }
        self.quiet_by =
            self.quiet_at.map(|at| at.min(now.plus(self.longest_quiet()))).min(self.quiet_by.or(self.quiet_at));
        let every = self.settings().every;
        let timeout_from = self.quiet_by.unwrap_or(now).max(now);
        let mut gap = None;
        match &mut self.phase {
            Phase::Reference { observations, next_at } => {
                observations.retain(|observation| is_past(&observation.begun_at));
                *next_at = (*next_at).min(now.plus(every));
            }
            Phase::TakingOver { since } | Phase::Restoring { since } => *since = (*since).min(timeout_from),
            Phase::Cordoning { since } | Phase::Verifying { since } => *since = (*since).min(now),
            // When its turn comes the record says again.
            Phase::Opening { not_before, .. } if is_set_back => *not_before = (*not_before).min(now),
            Phase::Baking { bake } => gap = bake.set_back(now),
            Phase::Enlisting
            | Phase::Opening { .. }
            | Phase::Suspending
            | Phase::Terminating { .. }
            | Phase::Closing { .. }
            | Phase::Over => {}
        }
        if is_set_back {
            self.wait_told = None;
            for todo in &mut self.queue {
                if let Todo::Sleep { until } = todo {
                    *until = (*until).min(now);
                }
            }
        }
        if let Some(gap) = gap {
            self.bake_broke(gap, now);
        }
    }

    /// The longest time from now on for which clocks that agree let an earlier process act.
    fn longest_quiet(&self) -> std::time::Duration {
        let bounds = self.spec.bounds;
        self.settings().offline_limit.max(bounds.call_life) + bounds.tolerance * 2
    }

    /// Until when it is waited that an earlier process is out of reach. Where that is before it is, the journal is dated
    /// ahead, by years perhaps, and nobody waits so long: what can be put back is, and a person is told of the rest.
    pub(super) fn is_dated_ahead(&self) -> bool {
        self.quiet_by < self.quiet_at
    }
}
