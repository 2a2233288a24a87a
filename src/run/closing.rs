//! The end of a run, whatever it was: groups are released, the fleet measured, the run closed.

use std::collections::{BTreeMap, BTreeSet};

use crate::coordination::Granted;
use crate::model::{Effect, GroupName, HostId, Process, Time};
use crate::plan::{SubsystemCapacity, measure};

use super::action::{Finish, RecordUpdate};
use super::machine::{Machine, Phase, Todo};
use super::reservation::{Calls, Last};
use super::{CauseKind, Event, Outcome, RunHistory, report, timeouts};

/// The calls for a group's process.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupCalls {
    pub(super) suspend: Calls,
    pub(super) resume: Calls,
    /// The record said that this run was the last to need it: it puts back what was there before.
    pub(super) resuming: bool,
    /// Nothing more is to be done for the group.
    pub(super) released: bool,
}

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClosingStep {
    /// Groups are released one by one.
    Groups,
    /// The fleet is measured once more.
    Measuring,
    /// The record forgets removed hosts that are no longer listed.
    Forgetting,
    /// The journal ends.
    Closing,
    /// The record lets go of the run.
    Ending,
}

impl Machine {
    pub(super) fn start_closing(&mut self) {
        self.phase = Phase::Closing { step: ClosingStep::Groups };
    }

    pub(super) fn close(&mut self, now: Time) {
        let Phase::Closing { step } = self.phase else { return };
        match step {
            ClosingStep::Groups if self.offline && !self.offline_notice_sent => self.send_offline_notice(),
            ClosingStep::Groups => self.release_groups(now),
            ClosingStep::Measuring => {
                self.phase = Phase::Closing { step: ClosingStep::Forgetting };
                self.queue.push_back(Todo::Observe { probes: false });
            }
            ClosingStep::Forgetting => {
                self.phase = Phase::Closing { step: ClosingStep::Closing };
                if let Some(snapshot) = self.snapshot.clone() {
                    self.queue.push_back(Todo::RecordUpdate(RecordUpdate::Forget { snapshot }));
                }
            }
            ClosingStep::Closing if !self.unreported.is_empty() => {
                // Told once more; where that fails too, the record keeps the hosts reserved, which is the safe side.
                let outcomes = std::mem::take(&mut self.unreported);
                self.queue.push_back(Todo::RecordUpdate(RecordUpdate::Resolve { outcomes }));
            }
            ClosingStep::Closing => {
                self.phase = Phase::Closing { step: ClosingStep::Ending };
                // First the journal and then the record: whoever dies in between has a history, and stands in `status`
                // until somebody ends it there.
                let outcome = self.outcome();
                self.ended_as = Some(outcome);
                self.queue.push_back(Todo::Record(Event::RunEnded {
                    outcome,
                    exit_code: self.exit_code(outcome),
                    subsystems: self.measured(now),
                }));
            }
            ClosingStep::Ending => {
                let completed = self.ended_as == Some(Outcome::Completed);
                if self.is_enlisted {
                    self.queue.push_back(Todo::RecordUpdate(RecordUpdate::End { completed }));
                }
                self.queue.push_back(Todo::Finish(Finish::Ended));
            }
        }
    }

    /// What was done without the ledger is recorded in order, with the times at which it was done, once it is back. At the
    /// end, where everything is as it should be and only the ledger does not know it, this is the record with which it is
    /// waited for, as long as the policy bears.
    pub(super) fn send_offline_notice(&mut self) {
        self.offline_notice_sent = true;
        let since = self.acked_at.map(|at| format!(" from {at} on")).unwrap_or_default();
        let message = format!("the ledger was out of reach{since}: what was done since is recorded late");
        self.queue.push_back(Todo::Record(Event::Warned { message }));
    }

    fn outcome(&self) -> Outcome {
        // S7: whatever else was said, a host that nobody saw gone or back is somebody's business.
        if self.attention || report(&self.journal).is_some_and(|told| !told.in_doubt.is_empty()) {
            return Outcome::NeedsAttention;
        }
        if !self.begun {
            return Outcome::NotStarted;
        }
        match self.cause.as_ref().map(|c| c.kind) {
            // S9: less than was confirmed is not completed, whatever became of the rest.
            None if !self.is_all_gone() => Outcome::Aborted,
            None => Outcome::Completed,
            // Whoever is told that a run was halted may ask for the rest, and there is none.
            Some(CauseKind::Order) if self.is_all_gone() => Outcome::Completed,
            Some(CauseKind::Order) => Outcome::Halted,
            Some(
                CauseKind::Probe
                | CauseKind::Rule
                | CauseKind::Inventory
                | CauseKind::Timeout
                | CauseKind::Provider
                | CauseKind::Internal
                | CauseKind::Ledger,
            ) => Outcome::Aborted,
        }
    }

    /// Whether every host that was confirmed was observed gone, by this process or an earlier one: terminated, or left
    /// by itself.
    fn is_all_gone(&self) -> bool {
        let history = RunHistory::of(&self.journal);
        let is_gone = |id: &HostId| history.terminated.contains(id) || history.dropped.contains(id);
        self.document().batches.iter().flat_map(|batch| &batch.hosts).all(|host| is_gone(&host.id))
    }

    /// Puts AZRebalance back where this run is the last that needed it suspended and it was on before.
    fn release_groups(&mut self, now: Time) {
        let Some((name, calls)) = self.groups.iter().find(|(_, g)| !g.released).map(|(n, g)| (n.clone(), g.clone()))
        else {
            self.phase = Phase::Closing { step: ClosingStep::Measuring };
            return;
        };
        if !calls.resuming {
            if self.offline {
                self.warn_suspended(&name, "the ledger cannot be asked whether another run needs it suspended");
                return;
            }
            self.queue.push_back(Todo::RecordUpdate(RecordUpdate::ReleaseSuspension { group: name }));
        } else if calls.resume.last == Last::Done && self.offline {
            // Waited for already: whoever resumes the run releases it.
            self.unreleased(&name, "it cannot be reached");
        } else if calls.resume.last == Last::Done {
            // Released once more: until then no other run relies on the group (schedule 20).
            self.queue.push_back(Todo::RecordUpdate(RecordUpdate::ReleaseSuspension { group: name }));
        } else if let Some(why) = calls.resume.gave_up() {
            let why = why.to_owned();
            self.warn_suspended(&name, &why);
        } else if calls.resume.may_try(now) {
            self.intend_for_group(&name, false, now);
        } else {
            self.queue.push_back(Todo::Sleep { until: now.plus(timeouts::POLL) });
            self.queue.push_back(Todo::Observe { probes: false });
        }
    }

    fn warn_suspended(&mut self, name: &GroupName, why: &str) {
        if let Some(group) = self.groups.get_mut(name) {
            group.released = true;
        }
        let mut message = format!("AZRebalance of group {name} stays suspended: {why}");
        if let Some(command) = self.spec.resume_by_hand {
            message.push_str(&format!(". To put it back: {}", command.replace("GROUP", name.as_str())));
        }
        self.queue.push_back(Todo::Record(Event::GroupLeft { group: name.clone(), message }));
    }

    /// The record does not release the group: the run goes on leaving, and says how the group stands.
    pub(super) fn unreleased(&mut self, name: &GroupName, why: &str) {
        let is_resumed = self.groups.get(name).is_some_and(|g| g.resuming && g.resume.last == Last::Done);
        if !is_resumed {
            self.warn_suspended(name, why);
            return;
        }
        if let Some(group) = self.groups.get_mut(name) {
            group.released = true;
        }
        let message = format!("AZRebalance of group {name} is resumed, but the ledger does not take it: {why}");
        self.queue.push_back(Todo::Record(Event::GroupLeft { group: name.clone(), message }));
    }

    /// The record released the group.
    pub(super) fn released(&mut self, name: &GroupName, granted: &Granted) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if !group.resuming && granted.resume.contains(&Process::AzRebalance) {
            group.resuming = true;
        } else {
            group.released = true;
            self.queue.push_back(Todo::Record(Event::GroupReleased { group: name.clone() }));
        }
    }

    /// Queues the intent to suspend or resume AZRebalance.
    pub(super) fn intend_for_group(&mut self, name: &GroupName, suspend: bool, now: Time) {
        if let Some(group) = self.groups.get_mut(name) {
            let calls = if suspend { &mut group.suspend } else { &mut group.resume };
            calls.attempts += 1;
        }
        let (group, process) = (name.clone(), Process::AzRebalance);
        let effect = if suspend { Effect::Suspend { group, process } } else { Effect::Resume { group, process } };
        self.intend(effect, now);
    }

    /// Capacity as the plan had it before, with what the last complete observation shows as remaining.
    fn measured(&self, now: Time) -> Vec<SubsystemCapacity> {
        let before = self.document().subsystems.clone();
        let (Some(snapshot), Some(record)) = (&self.snapshot, &self.record) else { return before };
        let view = record.view(None, &BTreeSet::new(), now);
        let none = BTreeMap::new();
        let inputs = self.inputs(snapshot, &view, &none, now);
        measure(&inputs, &before).unwrap_or(before)
    }

    fn exit_code(&self, outcome: Outcome) -> u8 {
        match outcome {
            Outcome::Completed => 0,
            Outcome::Aborted => 7,
            Outcome::NeedsAttention => 8,
            Outcome::Halted => 9,
            // Somebody ended it, or what it was about is gone, before it was granted anything.
            Outcome::NotStarted => 9,
        }
    }
}
