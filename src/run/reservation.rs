//! What a run knows of one host that it holds: what was sent, what came back, what was seen.

use std::collections::BTreeSet;
use std::time::Duration;

use super::timeouts;
use crate::coordination::HostOutcome;
use crate::model::{Bounds, CallOutcome, FleetSnapshot, GroupName, HostId, HostState, TargetGroupId, Time};

/// What is known of the calls of one kind for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// How many intents were recorded.
    pub(super) attempts: u32,
    /// How the last one stands.
    pub(super) last: Last,
    /// The latest moment at which any of them that got no reply can still take effect.
    pub(super) reach: Option<Time>,
    /// When the newest acknowledgement came.
    pub(super) acked_at: Option<Time>,
    /// When the newest answer came.
    answered_at: Option<Time>,
    /// Looks since the newest answer came.
    pub(super) observations: u32,
}

/// How the last call of a kind stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Last {
    /// None was sent.
    #[default]
    None,
    /// The provider acknowledged it.
    Done,
    /// Certainly not done; `retry_at` where it may be tried again.
    Refused { retry_at: Option<Time>, message: String },
    /// It may or may not have been done.
    Unknown { message: String },
}

impl Calls {
    /// Takes in an answer to a call that the provider refuses after `not_after`.
    pub(super) fn answered(&mut self, outcome: &CallOutcome, not_after: Time, bounds: Bounds, now: Time) {
        self.observations = 0;
        self.answered_at = Some(now);
        self.last = match outcome {
            CallOutcome::Done => {
                self.acked_at = Some(now);
                Last::Done
            }
            CallOutcome::Refused { message, retryable } => {
                let retry_at = retryable.then(|| self.pause_ends());
                Last::Refused { retry_at, message: message.clone() }
            }
            CallOutcome::Unknown { message } => {
                self.reach = self.reach.max(Some(not_after.plus(bounds.tolerance)));
                Last::Unknown { message: message.clone() }
            }
        };
    }

    /// Takes in an intent of which no answer was recorded: its process died, or never sent it.
    pub(super) fn unanswered(&mut self, not_after: Time, bounds: Bounds) {
        self.observations = 0;
        self.reach = self.reach.max(Some(not_after.plus(bounds.tolerance)));
        self.last = Last::Unknown { message: "no answer was recorded".to_owned() };
    }

    /// Takes in that what was asked for was seen, whatever was answered.
    pub(super) fn seen_done(&mut self) {
        self.attempts = 0;
        self.last = Last::Done;
    }

    /// When the next attempt may follow the newest answer.
    fn pause_ends(&self) -> Time {
        self.answered_at.map_or(Time::from_millis(i64::MIN), |at| at.plus(self.pause()))
    }

    fn pause(&self) -> Duration {
        timeouts::CALL_PAUSE * 2_u32.pow(self.attempts.min(5))
    }

    /// S7: an answer did not come later than now, and a pause is no longer than it was. How far the calls reach is a
    /// promise to others, and stays.
    pub(super) fn keep_time(&mut self, now: Time) {
        self.acked_at = self.acked_at.map(|at| at.min(now));
        self.answered_at = self.answered_at.map(|at| at.min(now));
        let longest = now.plus(self.pause());
        if let Last::Refused { retry_at: Some(at), .. } = &mut self.last {
            *at = (*at).min(longest);
        }
    }

    /// Whether the provider acknowledged any, or may have done any.
    pub(super) fn may_be_done(&self) -> bool {
        self.acked_at.is_some() || self.reach.is_some()
    }

    /// When a read can prove a state in which the host was just before the call: `settle` after the reply,
    /// or after the deadline where a reply is missing (protocol section 5).
    fn proved_from(&self, bounds: Bounds) -> Option<Time> {
        self.acked_at.max(self.reach).map(|at| at.plus(bounds.settle))
    }

    /// Whether the next attempt may be made.
    pub(super) fn may_try(&self, now: Time) -> bool {
        match &self.last {
            Last::None => true,
            Last::Refused { retry_at: Some(at), .. } => self.attempts < timeouts::CALL_ATTEMPTS && now >= *at,
            Last::Unknown { .. } => {
                self.attempts < timeouts::CALL_ATTEMPTS && self.observations >= timeouts::DOUBT_OBSERVATIONS
            }
            Last::Refused { retry_at: None, .. } | Last::Done => false,
        }
    }

    /// Whether a look is yet to come that shows what these calls have done. What was refused at last may have been done
    /// by an earlier call that got no clear answer, and a look may show what was up to `settle` before: a retry that
    /// comes too late for a host that is cordoned, or gone, is no reason to stop.
    pub(super) fn may_yet_show(&self, observed: Option<HostObservation>, bounds: Bounds) -> bool {
        let shown_from = self.answered_at.filter(|_| self.reach.is_some()).map(|at| at.plus(bounds.settle));
        self.observations == 0
            || shown_from.is_some_and(|from| observed.is_none_or(|observed| observed.begun_at < from))
    }

    /// Why no further attempt will be made, where that is so.
    pub(super) fn gave_up(&self) -> Option<&str> {
        let spent = self.attempts >= timeouts::CALL_ATTEMPTS;
        match &self.last {
            Last::Refused { retry_at: None, message } => Some(message),
            Last::Refused { message, .. } if spent => Some(message),
            Last::Unknown { message } if spent && self.observations >= timeouts::DOUBT_OBSERVATIONS => Some(message),
            Last::None | Last::Done | Last::Refused { .. } | Last::Unknown { .. } => None,
        }
    }
}

/// The last complete observation of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostObservation {
    /// When the observation began.
    pub(super) begun_at: Time,
    /// `None` where the host was absent.
    pub(super) state: Option<HostState>,
    /// In service, healthy, and in every target group that it was granted with.
    pub(super) whole: bool,
}

/// A host that the run holds.
#[derive(Clone, Debug)]
pub(super) struct ReservedHost {
    pub(super) id: HostId,
    pub(super) batch: u64,
    pub(super) group: Option<GroupName>,
    pub(super) target_groups: BTreeSet<TargetGroupId>,
    /// Whether it served when it was last in service: then it is back only where it serves again.
    pub(super) serving: bool,
    /// Whether it served, or that it did not was not established: then capacity is judged as if it were gone.
    pub(super) may_serve: bool,
    pub(super) cordon: Calls,
    pub(super) terminate: Calls,
    pub(super) restore: Calls,
    pub(super) observed: Option<HostObservation>,
    /// When it was first seen absent, and not seen since.
    pub(super) absent_since: Option<Time>,
}

impl ReservedHost {
    /// Takes in a complete observation.
    pub(super) fn observe(&mut self, snapshot: &FleetSnapshot) {
        let host = snapshot.host(&self.id);
        let whole = host.is_some_and(|h| {
            h.state == HostState::InService
                && (h.is_healthy() || !self.serving)
                && self.target_groups.is_subset(&h.target_groups)
        });
        let state = host.map(|h| h.state);
        self.absent_since = match state {
            None => self.absent_since.or(Some(snapshot.begun_at)),
            Some(_) => None,
        };
        self.observed = Some(HostObservation { begun_at: snapshot.begun_at, state, whole });
        for calls in [&mut self.cordon, &mut self.terminate, &mut self.restore] {
            calls.observations = calls.observations.saturating_add(1);
        }
    }

    /// What was seen at a time that has not come was seen before the clock was set back: it proves nothing.
    pub(super) fn keep_time(&mut self, now: Time) {
        self.absent_since = self.absent_since.map(|at| at.min(now));
        if let Some(observed) = self.observed.as_mut().filter(|observed| observed.begun_at > now) {
            observed.begun_at = Time::from_millis(i64::MIN);
        }
        for calls in [&mut self.cordon, &mut self.terminate, &mut self.restore] {
            calls.keep_time(now);
        }
    }

    /// A taker-over that knows nothing of what was sent: only tests have one.
    #[cfg(test)]
    pub(super) fn forget_calls(&mut self) {
        for calls in [&mut self.cordon, &mut self.terminate, &mut self.restore] {
            *calls = Calls::default();
        }
    }

    /// Seen out of service and restorable.
    pub(super) fn is_cordoned(&self) -> bool {
        self.observed.is_some_and(|s| s.state == Some(HostState::Cordoned))
    }

    /// Seen in service by a read that may lie before the cordon took effect.
    pub(super) fn may_be_seen_late(&self, bounds: Bounds) -> bool {
        let proved_from = self.cordon.proved_from(bounds);
        self.observed
            .is_some_and(|s| s.state == Some(HostState::InService) && proved_from.is_some_and(|at| s.begun_at < at))
    }

    /// Out of the run's hands for capacity: cordoned or on the way, terminated or on the way, not back.
    pub(super) fn is_out(&self) -> bool {
        self.may_serve && (self.cordon.may_be_done() || self.is_cordoned())
    }

    /// Gone, and since when that is known.
    ///
    /// "Gone" after our own terminate is believed at once: the host was there within `settle` before. Absent without
    /// one it is believed from two complete inventories `settle` apart (protocol section 5).
    pub(super) fn gone_at(&self, bounds: Bounds) -> Option<Time> {
        let since = self.absent_since?;
        let seen = self.observed?.begun_at;
        if self.terminate.may_be_done() {
            return Some(since);
        }
        (seen > since && seen.since(since) >= bounds.settle).then_some(since)
    }

    /// What became of the host, where that is proved by now. Nothing is inferred from what was merely sent.
    pub(super) fn outcome(&self, bounds: Bounds) -> Option<HostOutcome> {
        if let Some(at) = self.gone_at(bounds) {
            return Some(HostOutcome::Removed(at));
        }
        let touched = self.cordon.may_be_done() || self.terminate.may_be_done() || self.restore.may_be_done();
        if !touched {
            // Nothing that was sent can have been done: no read is needed.
            return Some(HostOutcome::NeverCordoned);
        }
        let observed = self.observed?;
        let calls = [&self.cordon, &self.terminate, &self.restore];
        let proved_from = calls.into_iter().filter_map(|calls| calls.proved_from(bounds)).max()?;
        // Times are whole milliseconds: a look of the same one may have begun before the answer.
        let looked_since = calls.into_iter().all(|calls| !calls.may_be_done() || calls.observations > 0);
        if !observed.whole || !looked_since || observed.begun_at < proved_from {
            return None;
        }
        // S3, schedules 3 and 4: "in service" is believed only from a read that cannot lie before the calls.
        // What the provider acknowledged as out came back somehow: a restore that nobody could record, or a person.
        let was_out = self.restore.may_be_done() || self.cordon.acked_at.is_some();
        Some(if was_out { HostOutcome::Restored } else { HostOutcome::NeverCordoned })
    }

    /// When no call of this run can reach the host any more and a read can prove where it is.
    pub(super) fn provable_from(&self, bounds: Bounds) -> Option<Time> {
        [&self.cordon, &self.terminate, &self.restore].into_iter().filter_map(|c| c.proved_from(bounds)).max()
    }

    /// Whether a restore may be sent now.
    ///
    /// Never while a terminate that got no reply can still land: it would terminate a host in service (S2).
    pub(super) fn may_restore(&self, bounds: Bounds, now: Time) -> bool {
        if self.absent_since.is_some() || self.terminate.acked_at.is_some() || self.outcome(bounds).is_some() {
            return false;
        }
        if let Some(reach) = self.terminate.reach {
            let proved = self.observed.is_some_and(|s| s.begun_at >= reach.plus(bounds.settle));
            if !proved {
                return false;
            }
        }
        // What the provider acknowledged is out, whatever an answer that lags says of it.
        let seen_back =
            self.restore.may_be_done() && self.restore.observations > 0 && self.observed.is_some_and(|s| s.whole);
        let out =
            self.is_cordoned() || (self.cordon.acked_at.is_some() && self.restore.acked_at.is_none() && !seen_back);
        if !out {
            return false;
        }
        match &self.restore.last {
            Last::None => true,
            // A restore is tried until the patience for it ends, not a number of times (S7).
            Last::Refused { retry_at, .. } => now >= retry_at.unwrap_or_else(|| self.restore.pause_ends()),
            Last::Unknown { .. } => self.restore.observations >= timeouts::DOUBT_OBSERVATIONS,
            // Acknowledged, yet seen cordoned by a read that cannot lie before it: once more.
            Last::Done => {
                self.is_cordoned()
                    && self
                        .restore
                        .acked_at
                        .zip(self.observed)
                        .is_some_and(|(at, observed)| observed.begun_at > at.plus(bounds.settle))
                    && self.restore.observations > timeouts::DOUBT_OBSERVATIONS
            }
        }
    }

    /// What is known, for people.
    pub(super) fn doubt(&self) -> String {
        let seen = match self.observed.map(|s| (s.state, s.whole)) {
            Some((Some(HostState::Cordoned), _)) => "it is cordoned: running, out of service",
            Some((Some(HostState::InService), true)) => "it looks in service, which is not yet proved",
            Some((Some(HostState::InService), false)) => "it is in service but not healthy in all its target groups",
            Some((Some(HostState::Pending), _)) => "it is between service and cordon",
            Some((Some(HostState::Terminating), _)) => "it is terminating",
            Some((None, _)) => "it is no longer listed, which is not yet proved",
            None => "it was not observed since",
        };
        let said = [("restore", &self.restore), ("terminate", &self.terminate), ("cordon", &self.cordon)]
            .into_iter()
            .find_map(|(name, calls)| match &calls.last {
                Last::Refused { message, .. } => Some(format!("; the {name} was refused: {message}")),
                Last::Unknown { message } => Some(format!("; the {name} got no clear answer: {message}")),
                Last::None | Last::Done => None,
            });
        format!("{seen}{}", said.unwrap_or_default())
    }
}
