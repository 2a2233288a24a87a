//! AZRebalance stays suspended on every group that the run takes hosts of, for as long as the run needs it: left running
//! it "might terminate instances in other zones". Other tools resume it (AWS CodeDeploy does at its end), so it is looked
//! at with every observation, and required before every cordon and termination.

use std::collections::BTreeSet;

use crate::model::{BatchNumber, Effect, GroupName, Process, Time};

use super::action::RecordUpdate;
use super::machine::Machine;
use super::phase::{BatchStep, Phase};
use super::reason::Reason;
use super::{Event, timeouts};

impl Machine {
    /// Suspends AZRebalance on the groups of the batch, and goes on once it is seen suspended. The record is told first.
    pub(super) fn suspend(&mut self, batch: BatchNumber, now: Time) -> Result<(), Reason> {
        let hosts = self.reservations.of_batch(batch);
        let groups: BTreeSet<GroupName> = hosts.filter_map(|host| host.granted.group.clone()).collect();
        for name in groups {
            let Some(suspended) =
                self.observed.fleet.as_ref().and_then(|fleet| fleet.group(&name)).map(|group| group.suspended.clone())
            else {
                return Err(Reason::Fleet(format!("group {name} is no longer listed")));
            };
            if !self.reservations.groups.contains_key(&name) {
                self.update(RecordUpdate::RequireSuspension { group: name, suspended });
                return Ok(());
            }
        }
        self.suspend_again(now)?;
        if self.queue.is_empty() && self.is_suspended_or_awaited(now) {
            self.go_on(BatchStep::Cordoning { since: now });
        }
        Ok(())
    }

    /// Suspends AZRebalance again on every held group that shows it running.
    ///
    /// # Errors
    ///
    /// [`Reason::Provider`]: it cannot be suspended, or does not stay so.
    pub(super) fn suspend_again(&mut self, now: Time) -> Result<(), Reason> {
        let patience = self.spec.bounds.settle.saturating_add(timeouts::SUSPENSION);
        for name in self.running_groups() {
            let Some(group) = self.reservations.groups.get_mut(&name) else { continue };
            if let Some(why) = group.suspend.gave_up() {
                let message = format!("AZRebalance of group {name} cannot be suspended: {why}");
                return Err(Reason::Provider(message));
            }
            let since = *group.running_since.get_or_insert(now);
            // Not by the clock alone: one that was set forward must not end it.
            if now.since(since) > patience && group.suspend.observations >= timeouts::DOUBT_OBSERVATIONS {
                let message = format!("AZRebalance of group {name} does not stay suspended: it runs since {since}");
                return Err(Reason::Provider(message));
            }
            if !(group.suspend.may_try(now) || group.suspend.may_repeat(now)) {
                continue;
            }
            if std::mem::take(&mut group.was_suspended) {
                let message = format!(
                    "AZRebalance of group {name} was resumed while this run needs it suspended, seen at {since}: it is \
                     suspended again"
                );
                self.record(Event::Warned { message });
            }
            self.intend(Effect::Suspend { group: name, process: Process::AzRebalance }, now);
        }
        Ok(())
    }

    /// Whether AZRebalance is seen suspended wherever the run needs it. If not, an observation is queued.
    pub(super) fn is_suspended_or_awaited(&mut self, now: Time) -> bool {
        let Some(name) = self.running_groups().into_iter().next() else { return true };
        let calls = self.reservations.groups.get(&name).map(|group| group.suspend.clone()).unwrap_or_default();
        self.observe_for(&calls, now);
        false
    }

    /// The held groups that the last complete observation shows with AZRebalance running.
    pub(super) fn running_groups(&self) -> Vec<GroupName> {
        let Some(fleet) = &self.observed.fleet else { return Vec::new() };
        let is_running =
            |name: &GroupName| fleet.group(name).is_some_and(|group| !group.suspended.contains(&Process::AzRebalance));
        let held = self.reservations.groups.iter().filter(|(_, group)| !group.released && !group.resuming);
        held.filter(|(name, _)| is_running(name)).map(|(name, _)| name.clone()).collect()
    }

    /// Whether the run is where it keeps its groups suspended.
    pub(super) fn needs_suspension(&self) -> bool {
        match &self.phase {
            Phase::TakingOver { .. } | Phase::Opening { .. } | Phase::Asking { .. } | Phase::InBatch(_) => true,
            Phase::Enlisting
            | Phase::Reference { .. }
            | Phase::Restoring { .. }
            | Phase::Closing { .. }
            | Phase::Following { .. }
            | Phase::Withdrawing { .. }
            | Phase::Over => false,
        }
    }
}
