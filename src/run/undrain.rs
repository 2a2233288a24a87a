//! Undrain: hosts that were put back are put back to work, before the run lets go of them (S7).
//!
//! The hosts are in service by then, whatever the hook answers. One that fails is called again a few times, also without the
//! ledger; then a person is needed, and told which hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::coordination::HostOutcome;
use crate::model::{BatchNumber, HookAnswer, HookCall, HookKey, HookStage, HostId, Time};

use super::machine::Machine;
use super::{Event, timeouts};

impl Machine {
    /// Calls what undrains the hosts that are back, and says which of them still wait for it.
    pub(super) fn undrain(&mut self, since: Time, now: Time) -> BTreeSet<HostId> {
        let bounds = self.spec.bounds;
        let is_back = |outcome: Option<HostOutcome>| outcome == Some(HostOutcome::Restored);
        let back: BTreeMap<HostId, BatchNumber> = self
            .reservations
            .hosts
            .values()
            .filter(|host| is_back(host.outcome(bounds)))
            .map(|host| (host.id.clone(), host.batch))
            .collect();
        let mut waiting = BTreeSet::new();
        for (key, (spec, mut hosts)) in self.hooks_of(HookStage::Undrain, &back.keys().cloned().collect()) {
            let of = self.hooks.undrained.0.entry(key.clone()).or_default();
            hosts.retain(|id| !of.over.contains(id));
            let Some(batch) = hosts.first().and_then(|id| back.get(id)).copied() else { continue };
            if self.hooks.open_of(HookStage::Undrain).any(|call| call.hook == key) {
                waiting.extend(hosts);
                continue;
            }
            let Some(of) = self.hooks.undrained.0.get_mut(&key) else { continue };
            if of.failures >= timeouts::UNDRAIN_ATTEMPTS || now.since(since) > timeouts::RESTORE_TIMEOUT {
                of.over.extend(hosts.iter().cloned());
                let why = of.why.clone();
                self.leave_drained(&key, &hosts, &why);
                continue;
            }
            waiting.extend(hosts.iter().cloned());
            if of.retry_at.is_none_or(|at| now >= at) {
                of.calls += 1;
                let attempt = of.calls;
                let call = HookCall { hook: key, on: HookStage::Undrain, before: None, batch, hosts, attempt };
                self.call_hook(call, spec);
            }
        }
        waiting
    }

    /// S7: the hosts are in service; that nobody put them back to work is a person's to know.
    fn leave_drained(&mut self, key: &HookKey, hosts: &BTreeSet<HostId>, why: &str) {
        self.stopping.attention = true;
        let named: Vec<&str> = hosts.iter().map(HostId::as_str).collect();
        let message = format!(
            "hook {key} did not undrain {}: in service, and perhaps without work. It {why}; run it by hand",
            named.join(" ")
        );
        self.record(Event::Warned { message });
    }

    pub(super) fn undrain_answered(&mut self, call: &HookCall, answer: HookAnswer, now: Time) {
        let of = self.hooks.undrained.0.entry(call.hook.clone()).or_default();
        let (retry_at, why) = match answer {
            HookAnswer::Allow {} => {
                of.over.extend(call.hosts.iter().cloned());
                of.failures = 0;
                of.retry_at = None;
                return;
            }
            HookAnswer::Wait { seconds, reason } => {
                let pause = Duration::from_secs(seconds).max(timeouts::POLL);
                of.retry_at = Some(now.plus(pause));
                of.why = format!("asks for more time: {reason}");
                return;
            }
            HookAnswer::Deny { reason } => (now.plus(timeouts::POLL), format!("says no: {reason}")),
            HookAnswer::Only { .. } => (now, "answers \"only\", which is no answer to undrain".to_owned()),
            HookAnswer::Failed { message } => (now.plus(timeouts::POLL), format!("has no answer: {message}")),
        };
        of.failures += 1;
        of.retry_at = Some(retry_at);
        of.why = why;
    }
}
