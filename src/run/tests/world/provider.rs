//! The provider: does what it is told, or not, and checks first that it may be told.

use std::time::Duration;

use super::{Fault, World};
use crate::model::{Call, CallOutcome, Departure, Effect, Host, HostState};
use crate::run::{Event, JournalRecord};

impl World {
    /// S2, S5, S6: what is sent was intended, baked, and comes before any stop.
    pub(super) fn check_send(&self, call: &Call) {
        let intended =
            self.journal.iter().any(|r| matches!(&r.event, Event::CallIntended { intent, .. } if intent == call));
        assert!(intended || self.is_ledger_lost(), "s5: sent without a recorded intent: {call:?}");
        // What a process was about to send when another took its run over may still leave, until its deadline.
        let is_intent = |r: &JournalRecord| matches!(&r.event, Event::CallIntended { intent, .. } if intent == call);
        let intent = self.journal.iter().position(is_intent).unwrap_or(self.journal.len());
        let is_fence = |r: &JournalRecord| matches!(r.event, Event::RunTakenOver { .. });
        let own = self.journal[intent..].iter().position(is_fence).map_or(self.journal.len(), |fence| intent + fence);
        let stopped = self.journal[..own].iter().any(|r| matches!(r.event, Event::Stopped { .. }));
        match &call.effect {
            Effect::Cordon { hosts, .. } => {
                assert!(!stopped, "s6: a cordon after the stop");
                // By a sum of its own: what serves now, less what is taken.
                let takes = hosts.keys().filter(|id| self.hosts.get(*id).is_some_and(Host::is_serving)).count();
                assert!(takes == 0 || self.serving() - takes >= 6, "s1: below the minimum:\n{}", self.log.join("\n"));
            }
            Effect::Terminate { host, .. } => {
                assert!(!stopped, "s6: a terminate after the stop");
                let since =
                    self.cordoned_since.get(host).unwrap_or_else(|| panic!("s2: {host} is terminated in service"));
                assert!(
                    self.now.minus(self.ahead).since(*since) >= Duration::from_secs(60),
                    "s2: {host} is terminated unbaked"
                );
            }
            Effect::Restore { .. }
            | Effect::Suspend { .. }
            | Effect::Resume { .. }
            | Effect::Adopt { .. }
            | Effect::RaiseMinimum { .. } => {}
        }
    }

    pub(super) fn send(&mut self, call: &Call) -> CallOutcome {
        let kind = match &call.effect {
            Effect::Cordon { .. } => "cordon",
            Effect::Restore { .. } => "restore",
            Effect::Terminate { .. } => "terminate",
            Effect::Suspend { .. } => "suspend",
            Effect::Resume { .. } => "resume",
            Effect::Adopt { .. } => "adopt",
            Effect::RaiseMinimum { .. } => "raise the minimum",
        };
        let count = self.calls.entry(kind).or_default();
        *count += 1;
        let number = *count;
        let fault = self.faults.iter().find(|(k, n, _)| *k == kind && *n == number).map(|(_, _, f)| *f);
        match fault {
            Some(Fault::Throttled) => return CallOutcome::Refused { message: "throttled".to_owned(), retryable: true },
            Some(Fault::Refused) => return CallOutcome::Refused { message: "refused".to_owned(), retryable: false },
            Some(Fault::Timeout) => return CallOutcome::Unknown { message: "timed out".to_owned() },
            Some(Fault::LostReply) | None => {}
        }
        let wanted = match &call.effect {
            Effect::Cordon { .. } => HostState::InService,
            _ => HostState::Cordoned,
        };
        for id in call.effect.hosts() {
            if matches!(call.effect, Effect::Restore { .. }) && self.refuses_to_restore.as_ref() == Some(id) {
                return CallOutcome::Refused { message: format!("{id} cannot be put back"), retryable: false };
            }
            if self.hosts.get(id).map(|h| h.state) != Some(wanted) {
                return CallOutcome::Refused { message: format!("{id} is not {wanted:?}"), retryable: false };
            }
        }
        match &call.effect {
            Effect::Cordon { hosts, .. } => {
                for id in hosts.keys() {
                    if let Some(host) = self.hosts.get_mut(id) {
                        host.state = HostState::Cordoned;
                    }
                    self.desired -= 1;
                    self.cordoned_since.insert(id.clone(), self.now.minus(self.ahead));
                }
            }
            Effect::Restore { hosts, .. } => {
                for id in hosts.keys() {
                    if let Some(host) = self.hosts.get_mut(id) {
                        host.state = HostState::InService;
                    }
                    self.desired += 1;
                    self.cordoned_since.remove(id);
                }
            }
            Effect::Terminate { host, .. } => {
                let why = "was taken out of service in response to a user request".to_owned();
                self.departures.insert(host.clone(), Departure { at: Some(self.now), why });
                match self.hosts.get_mut(host).filter(|_| self.holds.is_some()) {
                    Some(host) => host.state = HostState::Terminating,
                    None => _ = self.hosts.remove(host),
                }
            }
            Effect::Suspend { process, .. } => {
                self.suspended.insert(*process);
            }
            Effect::Resume { process, .. } => {
                self.suspended.remove(process);
            }
            Effect::Adopt { .. } | Effect::RaiseMinimum { .. } => {}
        }
        if fault == Some(Fault::LostReply) {
            return CallOutcome::Unknown { message: "the answer was lost".to_owned() };
        }
        CallOutcome::Done
    }
}
