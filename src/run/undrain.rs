//! Undrain: hosts that were put back are put back to work, before the run lets go of them (S7).
//!
//! The hosts are in service by then, whatever the hook answers. One that fails is called again a few times, also without the
//! ledger; then a person is needed, and told which hosts. Whoever puts back a batch that another process drained goes by the
//! policies of his day, and beside them by the accepted ones: a hook that was taken out of a policy meanwhile is called too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::coordination::HostOutcome;
use crate::model::{BatchNumber, HookAnswer, HookCall, HookKey, HookStage, HostId, SubsystemName, Time};
use crate::policy::HookSpec;

use super::machine::Machine;
use super::{Event, timeouts};

/// Hooks, each with the hosts that it is called about.
type Due = BTreeMap<HookKey, (HookSpec, BTreeSet<HostId>)>;

impl Machine {
    /// Calls what undrains the hosts that are back, and says which of them still wait for it.
    pub(super) fn undrain(&mut self, now: Time) -> BTreeSet<HostId> {
        let bounds = self.spec.bounds;
        let back: BTreeMap<HostId, BatchNumber> = self
            .reservations
            .hosts
            .values()
            .filter(|host| host.outcome(bounds) == Some(HostOutcome::Restored))
            .map(|host| (host.id.clone(), host.batch))
            .collect();
        let mut waiting = BTreeSet::new();
        if back.is_empty() {
            return waiting;
        }
        let hosts: BTreeSet<HostId> = back.keys().cloned().collect();
        self.tell_of_no_undrain(&hosts);
        for (key, (spec, mut hosts)) in self.to_undrain(&hosts) {
            let of = self.hooks.undrained.0.entry(key.clone()).or_default();
            hosts.retain(|id| !of.over.contains(id));
            let Some(batch) = hosts.first().and_then(|id| back.get(id)).copied() else { continue };
            let since = *of.since.get_or_insert(now);
            let is_late = now.since(since) > self.spec.hook_wait.max(timeouts::RESTORE_TIMEOUT);
            if of.failures >= timeouts::UNDRAIN_ATTEMPTS || is_late || self.hooks.undrains_no_more {
                self.leave_drained(&key, hosts);
                continue;
            }
            let may_call = of.retry_at.is_none_or(|at| now >= at);
            waiting.extend(hosts.iter().cloned());
            let is_open = self.hooks.open_of(HookStage::Undrain).any(|call| call.hook == key);
            if may_call && !is_open {
                self.call_undrain(
                    HookCall { hook: key, on: HookStage::Undrain, before: None, batch, hosts, attempt: 0 },
                    spec,
                );
            }
        }
        waiting
    }

    fn call_undrain(&mut self, mut call: HookCall, spec: HookSpec) {
        if let Some(of) = self.hooks.undrained.0.get_mut(&call.hook) {
            of.calls += 1;
            call.attempt = of.calls;
        }
        self.call_hook(call, spec);
    }

    /// The hooks that undrain these hosts: those of the policies, and those that the record has accepted, of the hosts that
    /// serve their subsystem or were drained for it.
    fn to_undrain(&self, hosts: &BTreeSet<HostId>) -> Due {
        let mut due = self.hooks_of(HookStage::Undrain, hosts);
        let drained = self.drained(hosts);
        for (subsystem, drained) in drained {
            for (key, spec) in self.undrain_hooks(&subsystem) {
                due.entry(key).or_insert_with(|| (spec, BTreeSet::new())).1.extend(drained.iter().cloned());
            }
        }
        due
    }

    /// The hosts that a drain hook was called about, by any process of the run, for each subsystem.
    fn drained(&self, hosts: &BTreeSet<HostId>) -> BTreeMap<SubsystemName, BTreeSet<HostId>> {
        let mut drained: BTreeMap<SubsystemName, BTreeSet<HostId>> = BTreeMap::new();
        let calls = self.journal.iter().filter_map(|record| record.event.hook_intent());
        for call in calls.filter(|call| call.on == HookStage::Drain) {
            let of = call.hosts.intersection(hosts).cloned();
            drained.entry(call.hook.subsystem.clone()).or_default().extend(of);
        }
        drained.retain(|_, hosts| !hosts.is_empty());
        drained
    }

    /// Says, once, that hosts were drained which nothing undrains.
    fn tell_of_no_undrain(&mut self, hosts: &BTreeSet<HostId>) {
        for (subsystem, drained) in self.drained(hosts) {
            if self.undrain_hooks(&subsystem).is_empty() && self.hooks.undrained_by_nobody.insert(subsystem.clone()) {
                let named: Vec<&str> = drained.iter().map(HostId::as_str).collect();
                let message =
                    format!("a hook of {subsystem} drained {}, and no policy says what undrains them", named.join(" "));
                self.record(Event::Warned { message });
            }
        }
    }

    fn undrain_hooks(&self, subsystem: &SubsystemName) -> Vec<(HookKey, HookSpec)> {
        let own = self.spec.policies.subsystems.get(subsystem).map(|policy| &policy.hooks);
        let record = self.observed.record.as_ref();
        let accepted = record.and_then(|record| record.accepted.get(subsystem)).map(|accepted| &accepted.policy.hooks);
        let all = own.into_iter().chain(accepted).flatten().filter(|hook| hook.on == HookStage::Undrain);
        let key = |hook: &HookSpec| HookKey { subsystem: subsystem.clone(), hook: hook.name.clone() };
        let mut hooks: Vec<(HookKey, HookSpec)> = Vec::new();
        for hook in all {
            // The policies of the day come first.
            if hooks.iter().all(|(known, _)| known.hook != hook.name) {
                hooks.push((key(hook), self.spec.policies.callable(hook)));
            }
        }
        hooks
    }

    /// S7: the hosts are in service; that nobody put them back to work is a person's to know.
    fn leave_drained(&mut self, key: &HookKey, hosts: BTreeSet<HostId>) {
        self.stopping.attention = true;
        self.give_up_call(key);
        let named: Vec<&str> = hosts.iter().map(HostId::as_str).collect();
        let Some(of) = self.hooks.undrained.0.get_mut(key) else { return };
        let why = if of.why.is_empty() { "has not answered" } else { of.why.as_str() };
        let message = format!(
            "hook {key} did not undrain {}: in service, and perhaps without work. It {why}; run it by hand",
            named.join(" ")
        );
        of.over.extend(hosts);
        self.record(Event::Warned { message });
    }

    pub(super) fn undrain_answered(&mut self, call: &HookCall, answer: HookAnswer, now: Time) {
        let of = self.hooks.undrained.0.entry(call.hook.clone()).or_default();
        let (pause, why) = match answer {
            HookAnswer::Allow {} => {
                of.over.extend(call.hosts.iter().cloned());
                (of.failures, of.retry_at, of.since) = (0, None, None);
                return;
            }
            HookAnswer::Wait { seconds, reason } => {
                of.retry_at = Some(now.plus(Duration::from_secs(seconds).max(timeouts::POLL)));
                of.why = format!("asks for more time: {reason}");
                return;
            }
            HookAnswer::Deny { reason } => (timeouts::POLL, format!("says no: {reason}")),
            HookAnswer::Only { .. } => (timeouts::POLL, "answers \"only\", which is no answer to undrain".to_owned()),
            HookAnswer::Failed { message } => (timeouts::POLL, format!("has no answer: {message}")),
        };
        of.failures += 1;
        of.retry_at = Some(now.plus(pause));
        of.why = why;
    }
}
