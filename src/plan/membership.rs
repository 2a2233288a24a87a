//! Who belongs to what: every host of a snapshot with the subsystems whose policies select it.
//!
//! [`Membership`] is the only thing that the planner and the independent check share beside the inputs:
//! it matches and indexes, and must not count, add or judge anything.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::{FleetSnapshot, GroupName, Host, HostId, SubsystemName, ZoneName};
use crate::policy::{PolicySet, SubsystemPolicy};

/// The hosts of one snapshot, by id, and the subsystems of one policy directory, by name, each as an index.
pub(crate) struct Membership<'a> {
    hosts: Vec<&'a Host>,
    subsystems: Vec<&'a SubsystemPolicy>,
    of: Lists,
    members: Lists,
    never: Vec<Option<&'a SubsystemName>>,
    groups: HashMap<&'a GroupName, Vec<usize>, RandomState>,
    /// Zones that have a host, by name.
    zones: Vec<&'a ZoneName>,
    /// By host, its zone's place in `zones`.
    zone_of: Vec<usize>,
}

impl<'a> Membership<'a> {
    pub(crate) fn new(policies: &'a PolicySet, snapshot: &'a FleetSnapshot) -> Self {
        let hosts: Vec<&Host> = snapshot.hosts().collect();
        let subsystems: Vec<&SubsystemPolicy> = policies.subsystems.values().collect();
        let mut of = Lists::with_capacity(hosts.len());
        let mut never = Vec::with_capacity(hosts.len());
        let mut groups: HashMap<&GroupName, Vec<usize>, RandomState> = HashMap::default();
        let matcher = policies.matcher();
        let mut matching = matcher.matching();
        for (index, host) in hosts.iter().enumerate() {
            let (own, keeper) = matching.of(host);
            of.push(own);
            never.push(keeper.map(|s| &subsystems[s].name));
            if let Some(group) = &host.group {
                groups.entry(group).or_default().push(index);
            }
        }
        let mut places: HashMap<&ZoneName, usize, RandomState> = HashMap::default();
        hosts.iter().for_each(|host| _ = places.insert(&host.zone, 0));
        let mut zones: Vec<&ZoneName> = places.keys().copied().collect();
        zones.sort_unstable();
        zones.iter().enumerate().for_each(|(place, zone)| _ = places.insert(zone, place));
        let zone_of = hosts.iter().map(|host| places[&host.zone]).collect();
        Self { members: of.inverted(subsystems.len()), hosts, subsystems, of, never, groups, zones, zone_of }
    }

    /// Zones that have a host, by name.
    pub(crate) fn zones(&self) -> &[&'a ZoneName] {
        &self.zones
    }

    /// The place of a host's zone in [`Membership::zones`].
    pub(crate) fn zone_of(&self, host: usize) -> usize {
        self.zone_of[host]
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
        self.of.get(host)
    }

    /// The hosts that belong to a subsystem, in any state, ascending.
    pub(crate) fn members(&self, subsystem: usize) -> &[usize] {
        self.members.get(subsystem)
    }

    /// The subsystem whose `[hosts] never` keeps the host out for good.
    pub(crate) fn never(&self, host: usize) -> Option<&'a SubsystemName> {
        self.never[host]
    }
}

/// Many short lists, one behind the other: a hundred thousand allocations fewer.
struct Lists {
    /// Where each list begins, and where the last one ends.
    bounds: Vec<usize>,
    items: Vec<usize>,
}

impl Lists {
    fn with_capacity(lists: usize) -> Self {
        let mut bounds = Vec::with_capacity(lists + 1);
        bounds.push(0);
        Self { bounds, items: Vec::with_capacity(lists) }
    }

    fn push(&mut self, list: &[usize]) {
        self.items.extend_from_slice(list);
        self.bounds.push(self.items.len());
    }

    fn get(&self, list: usize) -> &[usize] {
        &self.items[self.bounds[list]..self.bounds[list + 1]]
    }

    fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// For each item below `items`, the lists that it is in, ascending.
    fn inverted(&self, items: usize) -> Self {
        let mut bounds = vec![0; items + 1];
        for &item in &self.items {
            bounds[item + 1] += 1;
        }
        for item in 0..items {
            bounds[item + 1] += bounds[item];
        }
        let mut next = bounds.clone();
        let mut inverse = vec![0; self.items.len()];
        for list in 0..self.len() {
            for &item in self.get(list) {
                inverse[next[item]] = list;
                next[item] += 1;
            }
        }
        Self { bounds, items: inverse }
    }
}
