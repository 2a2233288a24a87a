//! Which hosts are idle for sure, and which only do not count.
//!
//! Two predicates instead of one. A host is *capacity* where every health check says so ([`super::hosts`]). It is
//! *idle*, free to take from a subsystem that is short, only where its not serving is established: its own status checks
//! fail, or it fails in all of its target groups while another host of the subsystem passes in each of them. Between the
//! two lies what is *doubtful*: no capacity, and not free, since load balancers send work to targets that fail where none
//! passes (Elastic Load Balancing, "Health checks for your target groups": "the load balancer fails open").
//!
//! Predicates only; nothing here knows what a subsystem must keep.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::model::{Health, HostId, HostState, TargetGroupId};

use super::Inputs;
use super::hosts::serves;
use super::membership::Membership;

/// Those of the hosts that are capacity, or of which it is not established that they are not: while a run has one of them
/// out it counts as taken from each of its subsystems. To be asked while they are in service.
pub(crate) fn may_serve(inputs: &Inputs<'_>, hosts: &BTreeSet<HostId>) -> BTreeSet<HostId> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    let doubts = Doubts::new(inputs, &membership);
    let is_idle = |id: &&HostId| membership.find(id).is_some_and(|host| doubts.is_idle(host));
    hosts.iter().filter(|id| !is_idle(id)).cloned().collect()
}

/// The doubts of one decision. What is asked of a subsystem is worked out once, and only where somebody asks.
pub(crate) struct Doubts<'a> {
    inputs: &'a Inputs<'a>,
    membership: &'a Membership<'a>,
    /// By subsystem: the target groups in which one of its hosts passes.
    passing: Vec<OnceLock<BTreeSet<TargetGroupId>>>,
}

impl<'a> Doubts<'a> {
    pub(crate) fn new(inputs: &'a Inputs<'a>, membership: &'a Membership<'a>) -> Self {
        Self { inputs, membership, passing: membership.subsystems().iter().map(|_| OnceLock::new()).collect() }
    }

    /// Whether a host of the subsystem may serve it although it is no capacity. It is judged as observed, before
    /// anything is taken: as long as the subsystem is short, no host that passes can be taken either.
    pub(crate) fn is_doubtful(&self, subsystem: usize, host: usize) -> bool {
        let seen = self.membership.host(host);
        if seen.state != HostState::InService || seen.health != Health::Doubtful {
            return false;
        }
        let Some(mut groups) = seen.fails_everywhere() else { return true };
        let passing = self.passing[subsystem].get_or_init(|| self.passing(subsystem));
        !groups.all(|group| passing.contains(group))
    }

    /// The subsystems of a host that it may serve although it is no capacity, ascending. Empty for nearly every host.
    pub(crate) fn of(&self, host: usize) -> impl Iterator<Item = usize> {
        self.membership.of(host).iter().copied().filter(move |&subsystem| self.is_doubtful(subsystem, host))
    }

    /// Whether it is established of every subsystem of the host that it does not serve it.
    pub(crate) fn is_idle(&self, host: usize) -> bool {
        !serves(self.inputs, self.membership.host(host)) && self.of(host).next().is_none()
    }

    /// A host that a run holds is on its way out: that it still passes keeps no load balancer from failing open.
    fn passing(&self, subsystem: usize) -> BTreeSet<TargetGroupId> {
        let members = self.membership.members(subsystem).iter().map(|&index| self.membership.host(index));
        let free = members.filter(|host| !self.inputs.ledger.claims.contains_key(&host.id));
        let passing: BTreeSet<&TargetGroupId> =
            free.flat_map(|host| host.target_health.keys().filter(|group| host.passes_in(group))).collect();
        passing.into_iter().cloned().collect()
    }
}
