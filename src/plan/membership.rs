//! Who belongs to what: every host of a snapshot with the subsystems whose policies select it.
//!
//! [`Membership`] is the only thing that the planner and the independent check share beside the inputs:
//! it matches and indexes, and must not count, add or judge anything.

use std::collections::BTreeMap;

use crate::model::{FleetSnapshot, GroupName, Host, HostId, SubsystemName};
use crate::policy::{PolicySet, SubsystemPolicy};

/// The hosts of one snapshot, by id, and the subsystems of one policy directory, by name, each as an index.
pub(crate) struct Membership<'a> {
    hosts: Vec<&'a Host>,
    subsystems: Vec<&'a SubsystemPolicy>,
    of: Vec<Vec<usize>>,
    members: Vec<Vec<usize>>,
    never: Vec<Option<&'a SubsystemName>>,
    groups: BTreeMap<&'a GroupName, Vec<usize>>,
}

impl<'a> Membership<'a> {
    pub(crate) fn new(policies: &'a PolicySet, snapshot: &'a FleetSnapshot) -> Self {
        let hosts: Vec<&Host> = snapshot.hosts().collect();
        let subsystems: Vec<&SubsystemPolicy> = policies.subsystems.values().collect();
        let mut members = vec![Vec::new(); subsystems.len()];
        let mut of = Vec::with_capacity(hosts.len());
        let mut never = Vec::with_capacity(hosts.len());
        let mut groups: BTreeMap<&GroupName, Vec<usize>> = BTreeMap::new();
        let find = |name: &SubsystemName| subsystems.binary_search_by(|s| s.name.cmp(name)).ok();
        let matched = policies.matcher().memberships(hosts.iter().copied());
        for (index, (host, matched)) in hosts.iter().zip(matched).enumerate() {
            let mut own: Vec<usize> = matched.subsystems.iter().filter_map(find).collect();
            own.sort_unstable();
            own.dedup();
            for &subsystem in &own {
                members[subsystem].push(index);
            }
            of.push(own);
            never.push(matched.never.as_ref().and_then(find).map(|s| &subsystems[s].name));
            if let Some(group) = &host.group {
                groups.entry(group).or_default().push(index);
            }
        }
        Self { hosts, subsystems, of, members, never, groups }
    }

    pub(crate) fn host(&self, index: usize) -> &'a Host {
        self.hosts[index]
    }

    pub(crate) fn find(&self, id: &HostId) -> Option<usize> {
        self.hosts.binary_search_by(|h| h.id.cmp(id)).ok()
    }

    pub(crate) fn subsystem(&self, index: usize) -> &'a SubsystemPolicy {
        self.subsystems[index]
    }

    /// All subsystems, by name.
    pub(crate) fn subsystems(&self) -> &[&'a SubsystemPolicy] {
        &self.subsystems
    }

    pub(crate) fn find_subsystem(&self, name: &SubsystemName) -> Option<usize> {
        self.subsystems.binary_search_by(|s| s.name.cmp(name)).ok()
    }

    /// The members of a group, in any state, ascending.
    pub(crate) fn group_members(&self, group: &GroupName) -> &[usize] {
        self.groups.get(group).map_or(&[], Vec::as_slice)
    }

    /// The subsystems that a host belongs to, serving or not, ascending.
    pub(crate) fn of(&self, host: usize) -> &[usize] {
        &self.of[host]
    }

    /// The hosts that belong to a subsystem, in any state, ascending.
    pub(crate) fn members(&self, subsystem: usize) -> &[usize] {
        &self.members[subsystem]
    }

    /// The subsystem whose `[hosts] never` keeps the host out for good.
    pub(crate) fn never(&self, host: usize) -> Option<&'a SubsystemName> {
        self.never[host]
    }
}
