//! [`Calls`]: what is known of the calls of one kind for one host or group: how often it was tried, what came back, how far
//! the calls can reach.

use std::time::Duration;

use super::timeouts;
use crate::model::{Bounds, CallOutcome, Time};

/// The calls of one kind for one host or group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// The number of recorded intents.
    pub(super) attempts: u32,
    /// The state of the last call.
    pub(super) last: Last,
    /// The latest moment at which any of them that got no reply can still take effect.
    pub(super) reach: Option<Time>,
    /// When the newest acknowledgement came.
    pub(super) acked_at: Option<Time>,
    /// When the newest answer came.
    answered_at: Option<Time>,
    /// Observations since the newest answer came.
    pub(super) observations: u32,
}

/// The state of the last call of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Last {
    /// None was sent.
    #[default]
    None,
    /// The provider acknowledged it.
    Done,
    /// Certainly not done; `retry_at` if it may be tried again.
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

    /// Whether the provider refused the last call, and not because it had no time for it.
    pub(super) fn was_refused(&self) -> bool {
        matches!(self.last, Last::Refused { retry_at: None, .. })
    }

    /// The last answer, if it was not that the call was done.
    pub(super) fn failure(&self) -> Option<&str> {
        match &self.last {
            Last::Refused { message, .. } | Last::Unknown { message } => Some(message),
            Last::None | Last::Done => None,
        }
    }

    /// When the next attempt may follow the newest answer.
    pub(super) fn pause_ends(&self) -> Time {
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
    pub(super) fn proved_from(&self, bounds: Bounds) -> Option<Time> {
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

    /// Whether an observation is yet to come that shows what these calls have done. What was refused at last may have been done
    /// by an earlier call that got no clear answer, and an observation may show what was up to `settle` before: a retry that
    /// comes too late for a host that is cordoned, or gone, is no reason to stop.
    pub(super) fn may_yet_show(&self, observed_at: Option<Time>, bounds: Bounds) -> bool {
        let shown_from = self.answered_at.filter(|_| self.reach.is_some()).map(|at| at.plus(bounds.settle));
        self.observations == 0 || shown_from.is_some_and(|from| observed_at.is_none_or(|at| at < from))
    }

    /// Whether what was acknowledged is to be asked for once more, because an observation since does not show it.
    pub(super) fn may_repeat(&self, now: Time) -> bool {
        self.last == Last::Done && self.observations > 0 && now >= self.pause_ends()
    }

    /// Why no further attempt will be made, if that is so.
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
