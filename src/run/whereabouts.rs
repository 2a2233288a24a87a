//! Hosts that are not where the run put them: where they are, whether that is proved, and how people are told.

use super::calls::Last;
use super::reason::Reason;
use super::reservation::ReservedHost;
use crate::coordination::HostOutcome;
use crate::model::{Bounds, GroupName, HostState, Time};

impl ReservedHost {
    /// Gone, and since when that is known.
    ///
    /// "Gone" after our own terminate is believed at once: the host was there within `settle` before. Absent without
    /// one it is believed from two complete inventories `settle` apart (protocol section 5).
    pub(super) fn gone_at(&self, bounds: Bounds) -> Option<Time> {
        let since = self.absent_since?;
        let seen = self.observed?.begun_at;
        if self.terminate.may_be_done() {
            return Some(since);
        }
        (seen > since && seen.since(since) >= bounds.settle).then_some(since)
    }

    /// Its outcome, if it left without a terminate of this run and that is proved by now: on its way out it counts as
    /// removed, and where others moved it it is out of the run's hands.
    ///
    /// On its way out it stays: one read is enough. Where others moved it two complete inventories `settle` apart say so,
    /// and no call of this run can reach it any more.
    pub(super) fn left(&self, bounds: Bounds) -> Option<HostOutcome> {
        if self.terminate.may_be_done() {
            return None;
        }
        let observed = self.observed?;
        if observed.state == Some(HostState::Terminating) {
            return Some(HostOutcome::Removed(observed.begun_at));
        }
        let since = self.elsewhere_since?;
        let is_settled = observed.begun_at > since && observed.begun_at.since(since) >= bounds.settle;
        let is_past_calls = self.provable_from(bounds).is_none_or(|at| observed.begun_at >= at);
        (is_settled && is_past_calls).then_some(HostOutcome::GivenUp)
    }

    /// Whether somebody else put it back in service: the cordon was done, this run sent no restore, and a read that
    /// cannot lie before the cordon's reply shows the host in service.
    pub(super) fn is_undone(&self, bounds: Bounds) -> bool {
        let is_cordoned = self.cordon.last == Last::Done && !self.restore.may_be_done();
        is_cordoned
            && self.observed.is_some_and(|s| s.state == Some(HostState::InService))
            && self.cordon.observations > 0
            && !self.may_be_seen_late(bounds)
    }

    /// The reason to stop where a host is not where this run put it.
    pub(super) fn strayed(&self, bounds: Bounds) -> Reason {
        Reason::Fleet(format!("host {} is not cordoned any more: {}", self.id, self.how_it_left(bounds)))
    }

    /// How it left the cordon without this run, for people.
    pub(super) fn how_it_left(&self, bounds: Bounds) -> String {
        if self.is_undone(bounds) && self.elsewhere_since.is_none() {
            return "somebody put it back in service".to_owned();
        }
        self.doubt()
    }

    /// Where a host is that leaves or left, for people.
    pub(super) fn whereabouts(&self) -> String {
        let group = |name: &Option<GroupName>| name.as_ref().map(|name| format!("group {name}"));
        let is_terminating = self.observed.is_some_and(|s| s.state == Some(HostState::Terminating));
        match (group(&self.granted.group), group(&self.seen_in)) {
            _ if is_terminating => {
                let ours = if self.terminate.may_be_done() { "" } else { ", and this run did not ask for it" };
                let held = self.held.as_ref().map(|held| format!(" ({held})")).unwrap_or_default();
                format!("it is terminating{ours}{held}")
            }
            (Some(own), Some(other)) => format!("it runs: somebody moved it from {own} to {other}"),
            (Some(own), None) => format!("it runs: somebody took it out of {own}"),
            (None, other) => format!("it runs: somebody put it into {}", other.unwrap_or_else(|| "a group".to_owned())),
        }
    }

    /// The host's situation, for people.
    pub(super) fn doubt(&self) -> String {
        let seen = match self.observed.map(|s| (s.state, s.whole)) {
            _ if self.elsewhere_since.is_some() => &self.whereabouts(),
            Some((Some(HostState::Cordoned), _)) => "it is cordoned: running, out of service",
            Some((Some(HostState::InService), true)) => "it looks in service, which is not yet proved",
            Some((Some(HostState::InService), false)) => "it is in service but not healthy in all its target groups",
            Some((Some(HostState::Pending), _)) => "it is between service and cordon",
            Some((Some(HostState::Terminating), _)) => &self.whereabouts(),
            Some((None, _)) => "it is no longer listed, which is not yet proved",
            None => "it was not observed since",
        };
        let said = [("restore", &self.restore), ("terminate", &self.terminate), ("cordon", &self.cordon)]
            .into_iter()
            .find_map(|(name, calls)| match &calls.last {
                Last::Refused { message, .. } => Some(format!("; the {name} was refused: {message}")),
                Last::Unknown { message } => Some(format!("; the {name} got no clear answer: {message}")),
                Last::None | Last::Done => None,
            });
        format!("{seen}{}", said.unwrap_or_default())
    }
}
