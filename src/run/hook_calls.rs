//! [`Hooks`]: what is known of the hooks of a run: what is asked, what is open, what was answered. Nothing here asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::timeouts;
use crate::model::{
    BatchNumber, ConsultedBefore, HookAnswer, HookCall, HookKey, HookStage, HostId, SubsystemName, Time,
};

/// A question to all hooks of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) on: HookStage,
    /// Of a consultation.
    pub(super) before: Option<ConsultedBefore>,
    pub(super) batch: BatchNumber,
    pub(super) hosts: BTreeSet<HostId>,
}

/// The word of all hooks of a stage together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All allow it, or there is none.
    Allowed,
    /// Only these hosts, and not all of them: never empty.
    Only(BTreeSet<HostId>),
    /// One has not answered yet, or wants to be asked again; what comes next is queued.
    Awaited,
}

/// The state of one hook of the question.
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
    /// When it was asked first.
    pub(super) since: Time,
    /// When a hook first asked for time.
    pub(super) waits_since: Option<Time>,
    /// All have allowed it: what is asked later, when that has grown old, is asked anew.
    pub(super) is_done: bool,
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
    /// The patience for other hosts is over: nothing more is waited for.
    pub(super) undrains_no_more: bool,
    /// Subsystems of which it was told that nothing undrains their hosts.
    pub(super) undrained_by_nobody: BTreeSet<SubsystemName>,
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
            round.since = round.since.min(now);
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

impl Round {
    pub(super) fn new(question: Question, now: Time) -> Self {
        Self { question, asked: BTreeMap::new(), since: now, waits_since: None, is_done: false }
    }

    /// Whether all had allowed it, and that is too long ago for one of them.
    pub(super) fn is_over(&self, now: Time) -> bool {
        let is_old = |asked: &Asked| match &asked.state {
            State::Said { at, .. } => !self.question.is_fresh(*at, now),
            State::Due | State::Open | State::Waits { .. } => false,
        };
        self.is_done && self.asked.values().any(is_old)
    }
}

impl Question {
    /// An answer about now is believed for a while. What was drained stays so.
    pub(super) fn is_fresh(&self, at: Time, now: Time) -> bool {
        match self.on {
            HookStage::Consult => at <= now && now.since(at) <= timeouts::CONSULT_LIFE,
            HookStage::Drain | HookStage::Undrain => true,
        }
    }

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
    /// When it was first needed for hosts that it has not undrained yet.
    pub(super) since: Option<Time>,
    /// When it may be called again.
    pub(super) retry_at: Option<Time>,
    /// What it said last, if that was not that it is done.
    pub(super) why: String,
}

impl Undrained {
    /// S7: no pause is longer than it may be.
    pub(super) fn keep_time(&mut self, now: Time) {
        for of in self.0.values_mut() {
            of.since = of.since.map(|at| at.min(now));
            of.retry_at = of.retry_at.map(|at| at.min(now.plus(timeouts::RESTORE_TIMEOUT)));
        }
    }
}
