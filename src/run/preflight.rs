//! The preflight before every cordon and every terminate (S1), and the observations that it needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{BatchNumber, Host, HostId, HostState, Time};
use crate::plan::Stage;

use super::machine::Machine;
use super::reason::Reason;
use super::{Event, timeouts};

impl Machine {
    /// S1: whether these hosts of a batch may be cordoned, or terminated, now. `false` if they must be observed first:
    /// that is queued.
    ///
    /// They may on a young and complete observation of fleet and record in which every rule holds with what this run has
    /// out counted as gone, AZRebalance is suspended on every group that it takes hosts of, and every host is in the state
    /// that the effect needs.
    ///
    /// # Errors
    ///
    /// The reason to stop: a host is elsewhere, or a rule does not hold.
    pub(super) fn preflight(
        &mut self,
        batch: BatchNumber,
        hosts: &BTreeSet<HostId>,
        needs: HostState,
        now: Time,
    ) -> Result<bool, Reason> {
        if !self.is_young(now) {
            self.observe_again(false)?;
            return Ok(false);
        }
        if !self.is_suspended_or_awaited(now) {
            return Ok(false);
        }
        let Some(snapshot) = self.observed.fleet.clone() else { return Ok(false) };
        for id in hosts {
            let state = snapshot.host(id).map(|host| host.state);
            if state != Some(needs) {
                return Err(Reason::Fleet(format!("host {id} {} by itself", state_words(state))));
            }
        }
        let mut taking = BTreeSet::new();
        if needs == HostState::InService {
            // A host that serves again when it is to be cordoned is judged as serving, now and from now on; so is one
            // that may.
            let may_serve = self.may_serve(hosts, now);
            for id in hosts {
                let serves = snapshot.host(id).is_some_and(Host::is_serving);
                if let Some(host) = self.reservations.hosts.get_mut(id) {
                    host.granted.serving = host.granted.serving || serves;
                    host.may_serve = host.may_serve || may_serve.contains(id);
                }
            }
            // Everything that is reserved counts as taken, not only what this call takes.
            taking = self.reservations.of_batch(batch).filter(|host| !host.is_out()).map(|h| h.id.clone()).collect();
        }
        let violations = self.violations(taking, Stage::Hold, now)?;
        if violations.is_empty() { Ok(true) } else { Err(Reason::Rules(violations)) }
    }

    /// Observes once more before an effect, but not for ever: a provider or a probe that is always slower than what may be
    /// acted on is in trouble, and the batch must not stay out of service for it.
    ///
    /// # Errors
    ///
    /// [`Reason::Timeout`], after too many in a row.
    pub(super) fn observe_again(&mut self, probes: bool) -> Result<(), Reason> {
        self.observed.stale += 1;
        if self.observed.stale > timeouts::STALE_OBSERVATIONS {
            let message = format!("{} looks in a row took too long to be acted on", timeouts::STALE_OBSERVATIONS);
            return Err(Reason::Timeout(message));
        }
        self.observe(probes);
        Ok(())
    }

    /// Observes after a pause, or at the next sample if that is due before: whatever the run waits for, health is
    /// watched, and a stop order is seen within one sampling period (S6).
    pub(super) fn observe_at(&mut self, at: Time, now: Time) {
        let at = at.min(self.next_sample(now).max(now));
        self.beat(at);
        let probes = self.next_sample(at) <= at;
        self.sleep(at);
        self.observe(probes);
    }

    /// When to look again while something is under way that may take long: a host that drains, or ends. What is to be put
    /// back, and what a call may have done, is looked at more often.
    pub(super) fn poll_at(&self, now: Time) -> Time {
        let every = if self.spec.bounds.metered { self.settings().every } else { timeouts::POLL };
        now.plus(every.max(timeouts::POLL))
    }

    /// Records something, where hosts are reserved and the ledger must hear of the run.
    pub(super) fn beat(&mut self, now: Time) {
        let Some(batch) = self.reservations.hosts.values().next().map(|host| host.batch) else { return };
        if self.link.heartbeat_at(self.settings().offline_limit).is_some_and(|due| due <= now) {
            self.record(Event::Sampled { batch: Some(batch), readings: BTreeMap::new(), capacity: BTreeMap::new() });
        }
    }

    /// When the next sample is due.
    pub(super) fn next_sample(&self, now: Time) -> Time {
        self.observed.next_sample(self.settings().every, now)
    }

    /// Whether a sample must come before the next effect.
    pub(super) fn is_sample_due(&self, now: Time) -> bool {
        self.observed.is_sample_due(self.settings().every, now)
    }
}

fn state_words(state: Option<HostState>) -> &'static str {
    match state {
        None => "vanished",
        Some(HostState::Pending) => "is pending",
        Some(HostState::InService) => "is in service",
        Some(HostState::Cordoned) => "is cordoned",
        Some(HostState::Terminating) => "is terminating",
    }
}
