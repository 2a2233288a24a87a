//! Which hosts are certainly idle, and which only do not count as capacity.
//!
//! There are two predicates instead of one. A host is *capacity* if every health check says so ([`super::hosts`]). A
//! host is *idle*, and free to take from a subsystem that is short, only if it is established that it does not serve:
//! its own status checks fail, or it fails in all of its target groups while another host of the subsystem passes in
//! each of them. A host that is neither is *doubtful*: not capacity, and not free to take, because a load balancer
//! sends work to failing targets if no target passes (Elastic Load Balancing, "Health checks for your target groups":
//! "the load balancer fails open").
//!
//! This module holds predicates only; nothing here knows what a subsystem must keep.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::model::{Health, HostId, HostState, TargetGroupId};

use super::Inputs;
use super::hosts::serves;
use super::membership::Membership;

/// The hosts that are capacity, or that are not established to be idle: while a run has such a host out, it counts as
/// taken from each of its subsystems. Call this while the hosts are in service.
pub(crate) fn may_serve(inputs: &Inputs<'_>, hosts: &BTreeSet<HostId>) -> BTreeSet<HostId> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    let doubts = Doubts::new(inputs, &membership);
    let is_idle = |id: &&HostId| membership.find(id).is_some_and(|host| doubts.is_idle(host));
    hosts.iter().filter(|id| !is_idle(id)).cloned().collect()
}

/// The doubts of one decision. The answer for a subsystem is computed once, and only if it is needed.
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

    /// Whether a host of the subsystem may serve it although it is not capacity. The host is judged as observed, before
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

    /// The subsystems that a host may serve although it is not capacity, ascending. Empty for nearly every host.
    pub(crate) fn of(&self, host: usize) -> impl Iterator<Item = usize> {
        self.membership.of(host).filter(move |&subsystem| self.is_doubtful(subsystem, host))
    }

    /// Whether it is established that the host serves none of its subsystems.
    pub(crate) fn is_idle(&self, host: usize) -> bool {
        !serves(self.inputs, self.membership.host(host)) && self.of(host).next().is_none()
    }

    /// Hosts that a run holds are left out. They are on their way out: that such a host still passes does not keep a
    /// load balancer from failing open.
    fn passing(&self, subsystem: usize) -> BTreeSet<TargetGroupId> {
        let members = self.membership.members(subsystem).map(|index| self.membership.host(index));
        let free = members.filter(|host| !self.inputs.ledger.claims.contains_key(&host.id));
        let passing: BTreeSet<&TargetGroupId> =
            free.flat_map(|host| host.target_health.keys().filter(|group| host.passes_in(group))).collect();
        passing.into_iter().cloned().collect()
    }
}
