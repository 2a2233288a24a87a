//! [`Hooks`]: what is known of the hooks of a run: what is asked, what is open, what was answered. Nothing here asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::timeouts;
use crate::model::{BatchNumber, ConsultedBefore, HookAnswer, HookCall, HookKey, HookStage, HostId, Time};

/// What is asked of all hooks of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) on: HookStage,
    /// Of a consultation.
    pub(super) before: Option<ConsultedBefore>,
    pub(super) batch: BatchNumber,
    pub(super) hosts: BTreeSet<HostId>,
}

/// What all hooks of a stage say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All allow it, or there is none.
    Allowed,
    /// Only these hosts, and not all of them: never empty.
    Only(BTreeSet<HostId>),
    /// One has not answered yet, or wants to be asked again; what comes next is queued.
    Awaited,
}

/// What became of one hook of the question.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// How often it was called.
    pub(super) calls: u32,
    pub(super) state: State,
}

#[derive(Clone, Debug, Default)]
pub(super) enum State {
    #[default]
    Due,
    Open,
    Waits {
        until: Time,
        reason: String,
    },
    Said {
        at: Time,
        answer: HookAnswer,
    },
}

/// The question that is open, with its answers.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) question: Question,
    pub(super) asked: BTreeMap<HookKey, Asked>,
    /// When a hook first asked for time.
    pub(super) waits_since: Option<Time>,
}

/// The hooks of a run.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    /// The number of the last call.
    pub(super) last: u64,
    /// Called, and not answered.
    pub(super) open: BTreeMap<u64, HookCall>,
    pub(super) round: Option<Round>,
    /// Answers that were not taken in yet.
    pub(super) arrived: Vec<(u64, HookAnswer)>,
    pub(super) undrained: Undrained,
}

impl Hooks {
    /// The calls of a stage that have no answer yet.
    pub(super) fn open_of(&self, on: HookStage) -> impl Iterator<Item = &HookCall> {
        self.open.values().filter(move |call| call.on == on)
    }
}

impl Hooks {
    /// S7: nothing was answered later than now, and no wait is longer than it may be.
    pub(super) fn keep_time(&mut self, now: Time, max_wait: Duration) {
        if let Some(round) = &mut self.round {
            round.waits_since = round.waits_since.map(|at| at.min(now));
            for asked in round.asked.values_mut() {
                if let State::Waits { until, .. } = &mut asked.state {
                    *until = (*until).min(now.plus(max_wait));
                }
            }
        }
        self.undrained.keep_time(now);
    }
}

impl Question {
    pub(super) fn is_of(&self, call: &HookCall) -> bool {
        self.on == call.on
            && self.before == call.before
            && self.batch == call.batch
            && call.hosts.is_subset(&self.hosts)
    }
}

/// What each undrain hook has done in this process. Whoever takes the run over calls them again.
#[derive(Debug, Default)]
pub(super) struct Undrained(pub(super) BTreeMap<HookKey, OfHook>);

#[derive(Debug, Default)]
pub(super) struct OfHook {
    /// Hosts that need nothing more of it: they are undrained, or it was given up.
    pub(super) over: BTreeSet<HostId>,
    pub(super) calls: u32,
    pub(super) failures: u32,
    /// When it may be called again.
    pub(super) retry_at: Option<Time>,
    /// What it said last, if that was not that it is done.
    pub(super) why: String,
}

impl Undrained {
    /// S7: no pause is longer than it may be.
    pub(super) fn keep_time(&mut self, now: Time) {
        for of in self.0.values_mut() {
            of.retry_at = of.retry_at.map(|at| at.min(now.plus(timeouts::RESTORE_TIMEOUT)));
        }
    }
}
