//! The end of a run, whatever it was: groups are released, the fleet measured, the run closed.

use crate::coordination::Granted;
use crate::model::{Effect, GroupName, HostId, Process, Time};

use super::action::RecordUpdate;
use super::calls::Last;
use super::machine::Machine;
use super::phase::{ClosingStep, Phase};
use super::{CauseKind, Event, Outcome, RunHistory, report, timeouts};

impl Machine {
    /// The next step of the end.
    pub(super) fn close(&mut self, now: Time) {
        let Phase::Closing { step } = self.phase else { return };
        match step {
            ClosingStep::Groups if self.link.offline && !self.link.offline_notice_sent => self.send_offline_notice(),
            ClosingStep::Groups => self.release_groups(now),
            ClosingStep::Measuring => {
                self.phase = Phase::Closing { step: ClosingStep::Forgetting };
                self.observe(false);
            }
            ClosingStep::Forgetting => {
                self.phase = Phase::Closing { step: ClosingStep::Closing };
                if let Some(snapshot) = self.observed.fleet.clone() {
                    self.update(RecordUpdate::Forget { snapshot });
                }
            }
            ClosingStep::Closing if !self.link.unreported.is_empty() => {
                // Told once more; where that fails too, the record keeps the hosts reserved, which is the safe side.
                let outcomes = std::mem::take(&mut self.link.unreported);
                self.update(RecordUpdate::Resolve { outcomes });
            }
            ClosingStep::Closing => {
                // First the journal and then the record: whoever dies in between has a history, and stands in `status`
                // until somebody ends it there.
                let outcome = self.outcome();
                self.phase = Phase::Closing { step: ClosingStep::Ending { outcome } };
                self.record(Event::RunEnded {
                    outcome,
                    exit_code: self.exit_code(outcome),
                    subsystems: self.measured(now),
                });
            }
            ClosingStep::Ending { outcome } => {
                let completed = outcome == Outcome::Completed;
                if self.link.is_enlisted {
                    self.update(RecordUpdate::End { completed });
                }
                self.follow_or_finish(outcome);
            }
        }
    }

    /// What was done without the ledger is recorded in order, with the times at which it was done, once it is back. At the
    /// end, where everything is as it should be and only the ledger does not know it, this is the record with which it is
    /// waited for, as long as the policy bears.
    pub(super) fn send_offline_notice(&mut self) {
        self.link.offline_notice_sent = true;
        let since = self.link.acked_at.map(|at| format!(" from {at} on")).unwrap_or_default();
        let message = format!("the ledger was out of reach{since}: what was done since is recorded late");
        self.record(Event::Warned { message });
    }

    fn outcome(&self) -> Outcome {
        // S7: whatever else was said, a host that nobody saw gone or back is somebody's business.
        if self.stopping.attention || report(&self.journal).is_some_and(|told| !told.in_doubt.is_empty()) {
            return Outcome::NeedsAttention;
        }
        if !self.begun {
            return Outcome::NotStarted;
        }
        match self.stopping.cause.as_ref().map(|c| c.kind) {
            // S9: less than was confirmed is not completed, whatever became of the rest.
            None if !self.is_all_gone() => Outcome::Aborted,
            None => Outcome::Completed,
            // After "halted" people may ask for the rest of the plan, and there is none.
            Some(CauseKind::Order) if self.is_all_gone() => Outcome::Completed,
            Some(CauseKind::Order) => Outcome::Halted,
            Some(
                CauseKind::Probe
                | CauseKind::Inconclusive
                | CauseKind::Hook
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

    /// Puts AZRebalance back if this run is the last that needed it suspended and it was on before.
    fn release_groups(&mut self, now: Time) {
        let Some((name, calls)) =
            self.reservations.groups.iter().find(|(_, g)| !g.released).map(|(n, g)| (n.clone(), g.clone()))
        else {
            self.phase = Phase::Closing { step: ClosingStep::Measuring };
            return;
        };
        if !calls.resuming {
            if self.link.offline {
                self.warn_suspended(&name, "the ledger cannot be asked whether another run needs it suspended");
                return;
            }
            self.update(RecordUpdate::ReleaseSuspension { group: name });
        } else if calls.resume.last == Last::Done && self.link.offline {
            // Waited for already: whoever resumes the run releases it.
            self.unreleased(&name, "it cannot be reached");
        } else if calls.resume.last == Last::Done {
            // Released once more: until then no other run relies on the group (schedule 20).
            self.update(RecordUpdate::ReleaseSuspension { group: name });
        } else if let Some(why) = calls.resume.gave_up() {
            let why = why.to_owned();
            self.warn_suspended(&name, &why);
        } else if calls.resume.may_try(now) {
            self.intend(Effect::Resume { group: name, process: Process::AzRebalance }, now);
        } else {
            self.sleep(now.plus(timeouts::POLL));
            self.observe(false);
        }
    }

    fn warn_suspended(&mut self, name: &GroupName, why: &str) {
        if let Some(group) = self.reservations.groups.get_mut(name) {
            group.released = true;
        }
        let mut message = format!("AZRebalance of group {name} stays suspended: {why}");
        if let Some(command) = self.spec.resume_by_hand {
            message.push_str(&format!(". To put it back: {}", command.replace("GROUP", name.as_str())));
        }
        self.record(Event::GroupLeft { group: name.clone(), message });
    }

    /// The record does not release the group: the run goes on leaving, and says how the group stands.
    pub(super) fn unreleased(&mut self, name: &GroupName, why: &str) {
        let is_resumed = self.reservations.groups.get(name).is_some_and(|g| g.resuming && g.resume.last == Last::Done);
        if !is_resumed {
            self.warn_suspended(name, why);
            return;
        }
        if let Some(group) = self.reservations.groups.get_mut(name) {
            group.released = true;
        }
        let message = format!("AZRebalance of group {name} is resumed, but the ledger does not take it: {why}");
        self.record(Event::GroupLeft { group: name.clone(), message });
    }

    /// The record released the group.
    pub(super) fn released(&mut self, name: &GroupName, granted: &Granted) {
        let Some(group) = self.reservations.groups.get_mut(name) else { return };
        if !group.resuming && granted.resume.contains(&Process::AzRebalance) {
            group.resuming = true;
        } else {
            group.released = true;
            self.record(Event::GroupReleased { group: name.clone() });
        }
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
