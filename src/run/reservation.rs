//! The hosts and groups that are reserved for a run: for each, the calls that were sent and the last observation.

use std::collections::BTreeMap;

use super::calls::{Calls, Last};
use super::event::GrantedHost;
use super::group_calls::GroupCalls;
use super::knowledge::GivenUp;
use super::timeouts;
use crate::coordination::HostOutcome;
use crate::model::{BatchNumber, Bounds, Effect, FleetSnapshot, GroupName, HostId, HostState, Time};

/// The last complete observation of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostObservation {
    /// When the observation began.
    pub(super) begun_at: Time,
    /// `None` if the host was absent.
    pub(super) state: Option<HostState>,
    /// In service, healthy, and in every target group that it was granted with.
    pub(super) whole: bool,
}

/// A host that the run holds.
#[derive(Clone, Debug)]
pub(super) struct ReservedHost {
    pub(super) id: HostId,
    pub(super) batch: BatchNumber,
    /// What it was granted with. `serving` says whether it served when it was last in service: then it is back only if it
    /// serves again.
    pub(super) granted: GrantedHost,
    /// Whether it served, or that it did not was not established: then capacity is judged as if it were gone.
    pub(super) may_serve: bool,
    /// The record took the step to its termination.
    pub(super) is_started: bool,
    pub(super) cordon: Calls,
    pub(super) terminate: Calls,
    pub(super) restore: Calls,
    pub(super) observed: Option<HostObservation>,
    /// When it was first seen absent, and not seen since.
    pub(super) absent_since: Option<Time>,
    /// When it was first seen outside the group that it was granted with, and not seen there since.
    pub(super) elsewhere_since: Option<Time>,
    /// Its group as it was seen last.
    pub(super) seen_in: Option<GroupName>,
    /// What holds it on its way out, in the provider's words.
    pub(super) held: Option<String>,
}

impl ReservedHost {
    /// A host of a batch, of which nothing is known yet but what it was granted with.
    pub(super) fn new(id: HostId, batch: BatchNumber, granted: GrantedHost) -> Self {
        Self {
            id,
            batch,
            // Whether it is idle for sure is asked again before it is cordoned.
            may_serve: granted.serving,
            granted,
            is_started: false,
            cordon: Calls::default(),
            terminate: Calls::default(),
            restore: Calls::default(),
            observed: None,
            absent_since: None,
            elsewhere_since: None,
            seen_in: None,
            held: None,
        }
    }

    /// When the last complete observation of it began.
    pub(super) fn observed_at(&self) -> Option<Time> {
        self.observed.map(|observed| observed.begun_at)
    }

    /// Takes in a complete observation.
    pub(super) fn observe(&mut self, snapshot: &FleetSnapshot) {
        let host = snapshot.host(&self.id);
        // S5: it is not gone where nobody asked for it.
        if host.is_none() && !snapshot.lacks(&self.id) {
            return;
        }
        let is_elsewhere = host.is_some_and(|h| h.group != self.granted.group);
        let whole = host.is_some_and(|h| {
            h.state == HostState::InService
                && !is_elsewhere
                && (h.is_healthy() || !self.granted.serving)
                && self.granted.target_groups.is_subset(&h.target_groups)
        });
        let state = host.map(|h| h.state);
        self.absent_since = match state {
            None => self.absent_since.or(Some(snapshot.begun_at)),
            Some(_) => None,
        };
        self.elsewhere_since = is_elsewhere.then(|| self.elsewhere_since.unwrap_or(snapshot.begun_at));
        self.seen_in = host.and_then(|h| h.group.clone());
        self.held = snapshot.held(&self.id).map(str::to_owned);
        self.observed = Some(HostObservation { begun_at: snapshot.begun_at, state, whole });
        for calls in [&mut self.cordon, &mut self.terminate, &mut self.restore] {
            calls.observations = calls.observations.saturating_add(1);
        }
    }

    /// An observation from the future was made before the clock was set back: it proves nothing.
    pub(super) fn keep_time(&mut self, now: Time) {
        self.absent_since = self.absent_since.map(|at| at.min(now));
        self.elsewhere_since = self.elsewhere_since.map(|at| at.min(now));
        if let Some(observed) = self.observed.as_mut().filter(|observed| observed.begun_at > now) {
            observed.begun_at = Time::from_millis(i64::MIN);
        }
        for calls in [&mut self.cordon, &mut self.terminate, &mut self.restore] {
            calls.keep_time(now);
        }
    }

    /// A process that takes a run over and knows nothing of what was sent: only tests have one.
    #[cfg(test)]
    pub(super) fn forget_calls(&mut self) {
        for calls in [&mut self.cordon, &mut self.terminate, &mut self.restore] {
            *calls = Calls::default();
        }
    }

    /// Seen out of service and restorable.
    pub(super) fn is_cordoned(&self) -> bool {
        self.observed.is_some_and(|s| s.state == Some(HostState::Cordoned))
    }

    /// Seen in service by a read that may lie before the cordon took effect.
    pub(super) fn may_be_seen_late(&self, bounds: Bounds) -> bool {
        let proved_from = self.cordon.proved_from(bounds);
        self.observed
            .is_some_and(|s| s.state == Some(HostState::InService) && proved_from.is_some_and(|at| s.begun_at < at))
    }

    /// Whether it may be out of service: it was seen so, or something was sent that may have been done.
    pub(super) fn may_be_out(&self) -> bool {
        self.is_cordoned() || self.cordon.may_be_done() || self.terminate.may_be_done()
    }

    /// Out of the run's hands for capacity: cordoned or on the way, terminated or on the way, not back.
    pub(super) fn is_out(&self) -> bool {
        self.may_serve && (self.cordon.may_be_done() || self.is_cordoned())
    }

    /// The host's outcome, if it is proved by now. A call that was merely sent proves nothing.
    pub(super) fn outcome(&self, bounds: Bounds) -> Option<HostOutcome> {
        if let Some(at) = self.gone_at(bounds) {
            return Some(HostOutcome::Removed(at));
        }
        if let Some(outcome) = self.left(bounds) {
            return Some(outcome);
        }
        let touched = self.cordon.may_be_done() || self.terminate.may_be_done() || self.restore.may_be_done();
        if !touched {
            // Nothing that was sent can have been done: no read is needed.
            return Some(HostOutcome::NeverCordoned);
        }
        let observed = self.observed?;
        let calls = [&self.cordon, &self.terminate, &self.restore];
        let proved_from = calls.into_iter().filter_map(|calls| calls.proved_from(bounds)).max()?;
        // Times are whole milliseconds: an observation of the same one may have begun before the answer.
        let looked_since = calls.into_iter().all(|calls| !calls.may_be_done() || calls.observations > 0);
        if !observed.whole || !looked_since || observed.begun_at < proved_from {
            return None;
        }
        // S3, schedules 3 and 4: "in service" is believed only from a read that cannot lie before the calls.
        // A host that was acknowledged as cordoned came back somehow: by a restore that nobody could record, or a
        // person.
        let was_out = self.restore.may_be_done() || self.cordon.acked_at.is_some();
        Some(if was_out { HostOutcome::Restored } else { HostOutcome::NeverCordoned })
    }

    /// When no call of this run can reach the host any more and a read can prove where it is.
    pub(super) fn provable_from(&self, bounds: Bounds) -> Option<Time> {
        [&self.cordon, &self.terminate, &self.restore].into_iter().filter_map(|c| c.proved_from(bounds)).max()
    }

    /// Whether it is known to be cordoned: seen so by a read that no call of this run, and none before `quiet_at`, can have
    /// overtaken.
    pub(super) fn is_known_cordoned(&self, bounds: Bounds, quiet_at: Option<Time>) -> bool {
        let proved_from = self.provable_from(bounds).max(quiet_at);
        self.is_cordoned() && proved_from.is_none_or(|at| self.observed_at().is_some_and(|seen| seen >= at))
    }

    /// Whether a restore may be sent now.
    ///
    /// Never while a terminate that got no reply can still land: it would terminate a host in service (S2).
    pub(super) fn may_restore(&self, bounds: Bounds, now: Time) -> bool {
        if self.absent_since.is_some() || self.terminate.acked_at.is_some() || self.outcome(bounds).is_some() {
            return false;
        }
        // Desired capacity would go up for a host that does not come back, and the provider would launch another.
        let is_leaving = self.observed.is_some_and(|s| s.state == Some(HostState::Terminating));
        if is_leaving || self.elsewhere_since.is_some() || self.is_undone(bounds) {
            return false;
        }
        if let Some(reach) = self.terminate.reach {
            let proved = self.observed.is_some_and(|s| s.begun_at >= reach.plus(bounds.settle));
            if !proved {
                return false;
            }
        }
        // An acknowledged cordon counts, whatever a lagging read says.
        let seen_back =
            self.restore.may_be_done() && self.restore.observations > 0 && self.observed.is_some_and(|s| s.whole);
        let out =
            self.is_cordoned() || (self.cordon.acked_at.is_some() && self.restore.acked_at.is_none() && !seen_back);
        if !out {
            return false;
        }
        match &self.restore.last {
            Last::None => true,
            // A restore is tried until the patience for it ends, not a number of times (S7).
            Last::Refused { retry_at, .. } => now >= retry_at.unwrap_or_else(|| self.restore.pause_ends()),
            Last::Unknown { .. } => self.restore.observations >= timeouts::DOUBT_OBSERVATIONS,
            // Acknowledged, yet seen cordoned by a read that cannot lie before it: once more.
            Last::Done => {
                self.is_cordoned()
                    && self
                        .restore
                        .acked_at
                        .zip(self.observed)
                        .is_some_and(|(at, observed)| observed.begun_at > at.plus(bounds.settle))
                    && self.restore.observations > timeouts::DOUBT_OBSERVATIONS
            }
        }
    }
}

/// Everything that is reserved for the run.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    pub(super) hosts: BTreeMap<HostId, ReservedHost>,
    /// Groups that the record says this run needs suspended.
    pub(super) groups: BTreeMap<GroupName, GroupCalls>,
    /// Hosts that are given up if they cannot be put back.
    pub(super) given_up: BTreeMap<HostId, GivenUp>,
}

impl Reservations {
    /// The hosts of one batch.
    pub(super) fn of_batch(&self, number: BatchNumber) -> impl Iterator<Item = &ReservedHost> {
        self.hosts.values().filter(move |host| host.batch == number)
    }

    /// Takes in a complete observation.
    pub(super) fn observe(&mut self, snapshot: &FleetSnapshot) {
        for host in self.hosts.values_mut() {
            host.observe(snapshot);
        }
        for (name, group) in &mut self.groups {
            group.observe(name, snapshot);
        }
    }

    /// The calls that an effect is one of: those of each host that it touches, or of its group.
    pub(super) fn calls_of<'a>(&'a mut self, effect: &Effect) -> Vec<&'a mut Calls> {
        let groups = &mut self.groups;
        let of_group = match effect {
            Effect::Suspend { group, .. } => groups.get_mut(group).map(|group| &mut group.suspend),
            Effect::Resume { group, .. } => groups.get_mut(group).map(|group| &mut group.resume),
            Effect::Cordon { .. }
            | Effect::Restore { .. }
            | Effect::Terminate { .. }
            | Effect::Adopt { .. }
            | Effect::RaiseMinimum { .. } => None,
        };
        let touched = effect.hosts();
        let hosts = self.hosts.values_mut().filter(|host| touched.contains(&&host.id));
        let of_hosts = hosts.filter_map(|host| match effect {
            Effect::Cordon { .. } => Some(&mut host.cordon),
            Effect::Restore { .. } => Some(&mut host.restore),
            Effect::Terminate { .. } => Some(&mut host.terminate),
            Effect::Suspend { .. } | Effect::Resume { .. } | Effect::Adopt { .. } | Effect::RaiseMinimum { .. } => None,
        });
        of_group.into_iter().chain(of_hosts).collect()
    }

    /// S7: what was answered did not come later than now, and no pause is longer than it was.
    pub(super) fn keep_time(&mut self, now: Time) {
        self.hosts.values_mut().for_each(|host| host.keep_time(now));
        for group in self.groups.values_mut() {
            group.keep_time(now);
        }
    }
}
