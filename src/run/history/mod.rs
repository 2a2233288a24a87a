//! [`RunHistory`]: what a run's journal says, folded once. Nothing else interprets its records.
//!
//! Which record may follow which is [`JournalStage::next`]: the one table of it. A journal that breaks it was not written by this
//! program, or not by this program alone. What it says is told all the same, a person is called, and nothing goes forward;
//! it never keeps anybody from putting hosts back.

mod facts;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use crate::coordination::{Pause, ProcessId};
use crate::health::{Measured, ProbeLimits, Reference, Shown};
use crate::model::{BatchNumber, Call, Effect, GroupName, HookStage, HostId, ProbeKey, Time};
use crate::plan::{Batch, SubsystemCapacity};

use super::{Cause, Event, JournalRecord, Outcome, Purpose};

pub(crate) use facts::{
    BatchConfirmation, BatchTimes, CallHistory, Doubt, End, HostStage, LastStep, Opening, PauseHistory, SampledRound,
    Single, Takeover,
};
pub(crate) use stage::{IllegalEvent, JournalStage};

/// What a journal says of the latest attempt of its run. Calls with one request id that were granted nothing are each
/// followed by the next attempt.
#[derive(Debug, Default)]
pub(crate) struct RunHistory<'a> {
    pub(crate) stage: JournalStage,
    /// The first record that may not come where it stands.
    pub(crate) illegal: Option<IllegalEvent>,
    pub(crate) opening: Option<Opening<'a>>,
    pub(crate) last: Option<&'a JournalRecord>,
    pub(crate) single: Option<Single<'a>>,
    /// The highest epoch of any attempt.
    pub(crate) epoch: Option<u64>,
    /// The process that acted last, in any attempt.
    pub(crate) actor: Option<&'a ProcessId>,
    pub(crate) takeovers: Vec<Takeover<'a>>,
    /// The last takeover of any attempt.
    pub(crate) last_takeover: Option<Takeover<'a>>,
    pub(crate) reference: Option<(&'a Reference, Time)>,
    /// The limits of each probe, as they were told last.
    pub(crate) limits: Option<&'a BTreeMap<ProbeKey, ProbeLimits>>,
    /// Every round of readings, the earliest first.
    pub(crate) rounds: Vec<SampledRound<'a>>,
    /// When a host was last seen back in service.
    pub(crate) restored_at: Option<Time>,
    /// Since when it puts back what is out: it began to stop, or was taken over while it did.
    pub(crate) stopping_since: Option<Time>,
    /// Why it stops, by its last word.
    pub(crate) cause: Option<&'a Cause>,
    pub(crate) batches: BTreeMap<BatchNumber, BatchTimes>,
    /// Batches of which hosts were left for a later one.
    shrunk: Vec<(BatchNumber, &'a BTreeSet<HostId>, BatchNumber)>,
    /// Hosts with their batch, but for those that left by themselves.
    pub(crate) hosts: BTreeMap<&'a HostId, (BatchNumber, HostStage)>,
    /// Hosts that were seen gone, whatever was recorded of them afterwards.
    pub(crate) terminated: BTreeSet<&'a HostId>,
    /// Hosts that left by themselves, or were dropped from the plan.
    pub(crate) dropped: BTreeSet<&'a HostId>,
    /// What was known, when it was given up, of hosts that could not be put back.
    pub(crate) doubts: BTreeMap<&'a HostId, Doubt<'a>>,
    pub(crate) calls: BTreeMap<u64, CallHistory<'a>>,
    /// The number of the last call of a hook.
    pub(crate) last_hook: u64,
    /// Calls of earlier attempts that no answer tells of, by number: each attempt counts anew.
    earlier: Vec<(u64, &'a Call)>,
    pub(crate) warnings: Vec<String>,
    /// Groups that were not put back, with why.
    pub(crate) left: BTreeMap<&'a GroupName, &'a String>,
    /// The pause that was not lifted.
    pub(crate) paused: Option<&'a Pause>,
    /// Every pause that the run noticed.
    pub(crate) pauses: Vec<PauseHistory<'a>>,
    /// The batches that a person let go after the first one.
    pub(crate) confirmations: Vec<BatchConfirmation<'a>>,
    pub(crate) end: Option<End>,
    /// Capacity as it was measured at the last end, whatever came behind it.
    pub(crate) measured: Option<&'a [SubsystemCapacity]>,
    /// The last record that says how far the run is.
    pub(crate) step: Option<LastStep<'a>>,
}

impl<'a> RunHistory<'a> {
    /// Folds a journal, or a part of one.
    pub(crate) fn of(journal: &'a [JournalRecord]) -> Self {
        let mut history = Self::default();
        for record in journal {
            history.take(record);
        }
        history
    }

    /// Whether the journal says that the run ended.
    pub(crate) fn has_ended(&self) -> bool {
        // Readings may come behind the end; a takeover takes it back.
        self.end.is_some() || matches!(self.last.map(|last| &last.event), Some(Event::JournalPruned { .. }))
    }

    /// Whether it ended and took nothing: then its request id is as good as new.
    pub(crate) fn took_nothing(&self) -> bool {
        self.has_ended() && self.end.is_some_and(|end| end.outcome == Outcome::NotStarted)
    }

    /// Whether it ended and called for a person.
    pub(crate) fn needed_attention(&self) -> bool {
        self.has_ended() && self.end.is_some_and(|end| end.outcome == Outcome::NeedsAttention)
    }

    /// The batches of its plan, with what hooks left for later ones.
    pub(crate) fn planned(&self, batches: &[Batch]) -> Vec<Batch> {
        let mut planned = batches.to_vec();
        for (from, hosts, later) in &self.shrunk {
            let Some(batch) = planned.iter_mut().find(|batch| batch.number == *from) else { continue };
            let (left, kept) = batch.hosts.drain(..).partition(|host| hosts.contains(&host.id));
            batch.hosts = kept;
            let left: Vec<_> = left;
            match planned.iter_mut().find(|batch| batch.number == *later) {
                Some(later) => later.hosts.extend(left),
                None if left.is_empty() => {}
                None => planned.push(Batch { number: *later, hosts: left }),
            }
        }
        planned
    }

    /// Whether it was granted anything.
    pub(crate) fn was_granted(&self) -> bool {
        self.batches.values().any(|batch| batch.granted.is_some())
    }

    /// Whether a batch was granted, and not all of it is known to be gone.
    pub(crate) fn is_unfinished(&self, batch: BatchNumber) -> bool {
        self.batches.get(&batch).is_some_and(|times| times.granted.is_some() && times.terminated.is_none())
    }

    /// Calls of which no answer says what became of them, each with its number: each may take effect until its deadline.
    pub(crate) fn open_calls(&self) -> Vec<(u64, &'a Call)> {
        let open = self.calls.iter().filter(|(_, call)| call.is_open()).map(|(number, call)| (*number, call.intent));
        self.earlier.iter().copied().chain(open).collect()
    }

    /// Whether a person is asked, by the last step.
    pub(crate) fn asks(&self) -> bool {
        matches!(self.step, Some(LastStep::Asked { .. }))
    }

    /// The last takeover that abandoned the run: that decision is final (S6).
    pub(crate) fn abandoned(&self) -> Option<&Takeover<'a>> {
        self.takeovers.iter().rev().find(|takeover| takeover.purpose == Purpose::Abandon)
    }

    /// The last readings, with their limits and the samples before them.
    pub(crate) fn measured(&self) -> Vec<Measured> {
        let mut shown = Shown::default();
        self.limits.into_iter().for_each(|limits| shown.limits(limits));
        self.rounds.iter().for_each(|round| shown.take(round.readings));
        shown.measured()
    }

    fn take(&mut self, record: &'a JournalRecord) {
        let (to, from) = self.stage.next(&record.event);
        if !from.contains(&self.stage) && self.illegal.is_none() {
            let event = record.event.name();
            self.illegal = Some(IllegalEvent { seq: record.seq, stage: self.stage, event });
        }
        self.stage = to;
        self.last = Some(record);
        self.learn(record);
    }

    fn learn(&mut self, record: &'a JournalRecord) {
        let at = record.at;
        match &record.event {
            Event::RunOpened { .. } => self.open(record),
            Event::ReferenceTaken { reference, sampled_at, limits } => {
                self.reference = Some((reference, *sampled_at));
                self.limits = Some(limits);
            }
            Event::BatchGranted { batch, granted } => {
                self.batch(*batch).granted = Some(at);
                self.step = Some(LastStep::Cordoning(*batch));
                self.hosts.extend(granted.keys().map(|host| (host, (*batch, HostStage::Granted))));
            }
            Event::HostDropped { host, why, .. } => {
                // Whatever was sent for it: it left by itself.
                self.hosts.remove(host);
                self.dropped.insert(host);
                self.warnings.extend(why.as_ref().map(|why| format!("host {host} was dropped: {why}")));
            }
            Event::GroupReleased { group } => _ = self.left.remove(group),
            Event::GroupLeft { group, message } => _ = self.left.insert(group, message),
            Event::CallIntended { call, intent } => {
                if let (Effect::Restore { hosts, .. }, Some(_)) = (&intent.effect, self.cause)
                    && let Some((batch, _)) = hosts.keys().next().and_then(|host| self.hosts.get(host))
                {
                    self.step = Some(LastStep::Restoring(*batch));
                }
                for host in intent.effect.hosts() {
                    if let Some((_, stage @ HostStage::Granted)) = self.hosts.get_mut(host) {
                        *stage = HostStage::Touched;
                    }
                }
                self.calls.insert(*call, CallHistory { intent, answers: Vec::new() });
            }
            Event::CallAnswered { call, outcome } => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.answers.push((at, outcome));
                }
            }
            Event::BatchCordoned { batch } => {
                self.batch(*batch).cordoned = Some(at);
                self.batch(*batch).baking_since = Some(at);
                self.step = Some(LastStep::Baking(*batch));
                for (of, stage) in self.hosts.values_mut() {
                    if of == batch && *stage == HostStage::Touched {
                        *stage = HostStage::Cordoned;
                    }
                }
            }
            Event::HookIntended { call, intent } => {
                self.last_hook = self.last_hook.max(*call);
                if intent.on == HookStage::Drain {
                    self.step = Some(LastStep::Draining(intent.batch));
                }
            }
            Event::HookAnswered { .. } => {}
            Event::BatchShrunk { batch, hosts, later } => self.shrunk.push((*batch, hosts, *later)),
            Event::BatchDrained { batch } => {
                self.batch(*batch).baking_since = Some(at);
                self.step = Some(LastStep::Baking(*batch));
            }
            Event::BakeExtended { batch, until, .. } => self.batch(*batch).baking_until = Some(*until),
            Event::BakeRestarted { batch, .. } => {
                self.batch(*batch).baking_since = Some(at);
                self.batch(*batch).baking_until = None;
                self.step = Some(LastStep::Baking(*batch));
            }
            Event::Sampled { batch, readings, capacity } => {
                // At other stages the run reads the probes too.
                if let (Some(batch), JournalStage::Baking) = (batch, self.stage) {
                    self.step = Some(LastStep::Baking(*batch));
                }
                if !readings.is_empty() {
                    self.rounds.push(SampledRound { at, batch: *batch, readings, capacity });
                }
            }
            Event::BakeEnded { batch, .. } => {
                self.batch(*batch).baked = Some(at);
                self.step = Some(LastStep::Terminating(*batch));
            }
            Event::TerminationStarted { batch } => self.step = Some(LastStep::Terminating(*batch)),
            Event::HostTerminated { batch, host } => {
                self.hosts.insert(host, (*batch, HostStage::Gone));
                self.terminated.insert(host);
                self.step = Some(LastStep::Terminating(*batch));
            }
            Event::BatchTerminated { batch } => {
                self.batch(*batch).terminated = Some(at);
                self.step = Some(LastStep::Gone(*batch));
            }
            Event::Paused { pause } => {
                // A reason that came later belongs to the pause that is told already.
                match self.pauses.last_mut().filter(|last| last.continued.is_none() && last.pause.is_same(pause)) {
                    Some(last) => last.pause = pause,
                    None => self.pauses.push(PauseHistory { pause, continued: None }),
                }
                self.paused = Some(pause);
                self.step = Some(LastStep::Paused);
            }
            Event::Continued { operator } => {
                self.paused = None;
                if let Some(pause) = self.pauses.last_mut() {
                    pause.continued.get_or_insert((at, operator.as_ref()));
                }
                self.step = Some(LastStep::Continued(operator.as_ref()));
            }
            Event::Asked { batch, attended, until } => {
                self.step = Some(LastStep::Asked { batch: *batch, attended: *attended, until: *until });
            }
            Event::BatchConfirmed { batch, operator, how } => {
                self.confirmations.push(BatchConfirmation { at, batch: *batch, operator, how });
                self.step = Some(LastStep::Confirmed(*batch));
            }
            // Where a person is waited for, that says it all.
            Event::Waiting { .. } if self.step.as_ref().is_some_and(LastStep::is_a_persons) => {}
            Event::Waiting { until, why } => self.step = Some(LastStep::Waiting { until: *until, why }),
            Event::Stopped { cause } => {
                self.cause = Some(cause);
                self.stopping_since.get_or_insert(at);
                self.step = Some(LastStep::Stopping(cause));
            }
            Event::HostRestored { batch, host } => {
                self.hosts.insert(host, (*batch, HostStage::Back));
                self.batch(*batch).restored = Some(at);
                self.restored_at = Some(at);
                self.step = Some(self.way_back(*batch));
            }
            Event::HostUntouched { batch, host } => {
                self.hosts.insert(host, (*batch, HostStage::Untouched));
                self.step = Some(self.way_back(*batch));
            }
            Event::HostInDoubt { batch, host, cordoned, until, why } => {
                let stage = if *cordoned { HostStage::Cordoned } else { HostStage::Doubt };
                self.hosts.insert(host, (*batch, stage));
                self.doubts.insert(host, Doubt { why, until: *until });
                self.step = Some(LastStep::InDoubt(host));
            }
            Event::HostGivenUp { batch, host, operator, reason, why } => {
                // A person has decided about it.
                self.doubts.remove(host);
                self.hosts.insert(host, (*batch, HostStage::Doubt));
                let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                self.step = Some(LastStep::GivenUp(host));
                self.warnings.push(format!("host {host} was given up by {operator}{reason}: {why}"));
            }
            Event::RunTakenOver { epoch, process, operator, purpose, reason, leave, even_if_alive } => {
                self.acts(*epoch, process);
                // Whatever it ended with before, it is under way again.
                self.end = None;
                let takeover = Takeover {
                    at,
                    epoch: *epoch,
                    process,
                    operator,
                    purpose: *purpose,
                    reason: reason.as_ref(),
                    leave,
                    even_if_alive: *even_if_alive,
                };
                self.takeovers.push(takeover);
                self.last_takeover = Some(takeover);
                self.stopping_since = self.cause.map(|_| at);
                self.step = Some(LastStep::TakenOver { operator, purpose: *purpose });
            }
            Event::Warned { message } => self.warnings.push(message.clone()),
            Event::RunEnded { outcome, exit_code, subsystems } => {
                self.end = Some(End { outcome: *outcome, exit_code: *exit_code, at });
                self.measured = Some(subsystems);
                self.step = Some(LastStep::Closing);
            }
            Event::HaltOrdered { order } => self.single = Some(Single::Halted(order)),
            Event::HaltLifted { orders, operator, reason } => {
                self.single = Some(Single::Lifted(orders, operator, reason));
            }
            Event::PauseOrdered { of, pause } => self.single = Some(Single::Paused(of, pause)),
            Event::ContinueOrdered { of, operator, lifted, confirmed } => {
                let (lifted, confirmed) = (lifted.as_ref(), *confirmed);
                self.single = Some(Single::Continued { run: of, operator, lifted, confirmed });
            }
            Event::JournalPruned { request, .. } => self.single = Some(Single::Pruned(request)),
            Event::LedgerAdopted { .. } | Event::MinimumRaised { .. } | Event::LedgerTimeSet { .. } => {
                self.single = Some(Single::Other);
            }
            Event::GroupHeld { .. } => {}
        }
    }

    /// Another attempt: what was before took nothing, and only its calls and processes are known of.
    fn open(&mut self, record: &'a JournalRecord) {
        let Event::RunOpened {
            plan,
            settings,
            fleet,
            operator,
            reason,
            request_id,
            process,
            epoch,
            confirmed,
            expect_remaining,
            pause_after,
            hook_wait,
            minimums,
        } = &record.event
        else {
            return;
        };
        let before = std::mem::take(self);
        let earlier = before.open_calls();
        let (stage, illegal, last, step) = (before.stage, before.illegal, before.last, Some(LastStep::Opened));
        let (highest, last_takeover) = (before.epoch, before.last_takeover);
        *self = Self { stage, illegal, last, step, epoch: highest, last_takeover, earlier, ..Self::default() };
        self.acts(*epoch, process);
        self.opening = Some(Opening {
            record,
            plan,
            settings,
            fleet,
            operator,
            reason: reason.as_ref(),
            request_id: request_id.as_ref(),
            confirmed,
            expect_remaining: *expect_remaining,
            pause_after: *pause_after,
            hook_wait: *hook_wait,
            minimums,
        });
    }

    /// The step of a run that goes back: once nothing is out any more, only its end is left.
    fn way_back(&self, batch: BatchNumber) -> LastStep<'a> {
        let is_out = |stage| matches!(stage, HostStage::Touched | HostStage::Cordoned | HostStage::Doubt);
        let any = self.hosts.values().any(|(_, stage)| is_out(*stage));
        if any { LastStep::Restoring(batch) } else { LastStep::Closing }
    }

    fn acts(&mut self, epoch: u64, process: &'a ProcessId) {
        self.epoch = self.epoch.max(Some(epoch));
        self.actor = Some(process);
    }

    fn batch(&mut self, number: BatchNumber) -> &mut BatchTimes {
        self.batches.entry(number).or_default()
    }
}
