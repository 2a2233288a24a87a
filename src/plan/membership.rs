//! Which hosts belong to which subsystems: every host of a snapshot with the subsystems whose policies select it.
//!
//! [`Membership`] is what the planner and the independent check share beside the inputs, with the rules for single hosts
//! (`gates`, `hosts`, `doubts`). It matches and indexes, and must not count, add or judge anything.

use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

use crate::model::{FleetSnapshot, Group, GroupName, Host, HostId, SubsystemName, ZoneName};
use crate::policy::{Managed, PolicySet, SubsystemPolicy};

use super::numbering::{Lists, Places, inverted, narrow, wide};

/// The hosts of one snapshot, by id, and the subsystems of one policy directory, by name; each is identified by an
/// index.
pub(crate) struct Membership<'a> {
    hosts: Vec<&'a Host>,
    subsystems: Vec<&'a SubsystemPolicy>,
    /// By host, which kind it is of: selectors cannot tell hosts of a kind apart.
    kind_of: Vec<u32>,
    /// By kind.
    of: Lists,
    members: Lists,
    /// The kinds that a subsystem keeps for good, ascending, each with the first of these subsystems.
    never: Vec<(u32, &'a SubsystemName)>,
    /// Groups that have a host, by name.
    groups: Vec<&'a GroupName>,
    /// By host, its group's place in `groups`.
    group_of: Vec<Option<u32>>,
    /// By group, its hosts in any state, ascending.
    group_members: Lists,
    /// By group, the provider's description of it.
    listed: Vec<Option<&'a Group>>,
    /// Zones that have a host, by name.
    zones: Vec<&'a ZoneName>,
    /// By host, its zone's place in `zones`.
    zone_of: Vec<u32>,
    /// By group, what was found out about it.
    found_of_groups: OnceLock<Vec<Option<String>>>,
}

impl<'a> Membership<'a> {
    pub(crate) fn new(policies: &'a PolicySet, snapshot: &'a FleetSnapshot) -> Self {
        let subsystems: Vec<&SubsystemPolicy> = policies.subsystems.values().collect();
        let all = snapshot.hosts();
        let mut seen = Seen::with_capacity(all.len());
        let (mut of, mut never) = (Lists::with_capacity(all.len()), Vec::new());
        // The first of a kind is matched as soon as it was seen, while its tags are at hand.
        policies.matcher().matching().each(all.filter(|host| seen.is_first_of_kind(host)), |own, keeper| {
            never.extend(keeper.map(|subsystem| (narrow(of.lists()), &subsystems[subsystem].name)));
            of.push(own);
        });
        let Seen { hosts, zones, mut zone_of, groups, mut group_of, kind_of, .. } = seen;
        let (zones, sorted) = zones.sorted();
        zone_of.iter_mut().for_each(|place| *place = sorted[wide(*place)]);
        let (groups, sorted) = groups.sorted();
        group_of.iter_mut().flatten().for_each(|place| *place = sorted[wide(*place)]);
        let group_members = inverted(groups.len(), group_of.iter().map(|group| group.map(wide)));
        let listed = groups.iter().map(|name| snapshot.group(name)).collect();
        let members = inverted(subsystems.len(), kind_of.iter().map(|&kind| of.get(wide(kind))));
        let found_of_groups = OnceLock::new();
        Self {
            hosts,
            subsystems,
            kind_of,
            of,
            members,
            never,
            groups,
            group_of,
            group_members,
            listed,
            zones,
            zone_of,
            found_of_groups,
        }
    }

    /// Zones that have a host, by name.
    pub(crate) fn zones(&self) -> &[&'a ZoneName] {
        &self.zones
    }

    /// The place of a host's zone in [`Membership::zones`].
    pub(crate) fn zone_of(&self, host: usize) -> usize {
        wide(self.zone_of[host])
    }

    /// How many hosts there are; each has an index below it.
    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
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

    /// Groups that have a host, by name.
    pub(crate) fn groups(&self) -> &[&'a GroupName] {
        &self.groups
    }

    /// The place of a host's group in [`Membership::groups`].
    pub(crate) fn group_of(&self, host: usize) -> Option<usize> {
        self.group_of[host].map(wide)
    }

    /// The provider's description of a host's group.
    pub(crate) fn group(&self, host: usize) -> Option<&'a Group> {
        self.group_of(host).and_then(|group| self.listed[group])
    }

    /// The members of a group, in any state, ascending.
    pub(crate) fn group_members(&self, group: &GroupName) -> impl ExactSizeIterator<Item = usize> {
        self.group_members.find(self.groups.binary_search_by(|name| (*name).cmp(group)).ok())
    }

    /// The subsystems that a host belongs to, serving or not, ascending.
    pub(crate) fn of(&self, host: usize) -> impl ExactSizeIterator<Item = usize> + Clone {
        self.of.get(wide(self.kind_of[host]))
    }

    /// Whether a host belongs to a subsystem, serving or not.
    pub(crate) fn belongs(&self, host: usize, subsystem: usize) -> bool {
        self.of(host).any(|own| own == subsystem)
    }

    /// The hosts that belong to a subsystem, in any state, ascending.
    pub(crate) fn members(&self, subsystem: usize) -> impl ExactSizeIterator<Item = usize> {
        self.members.get(subsystem)
    }

    /// Whether every policy that selects the host allows what is managed elsewhere.
    pub(crate) fn allows_managed(&self, host: usize) -> bool {
        let mut own = self.of(host).map(|subsystem| self.subsystems[subsystem].hosts.managed);
        own.len() > 0 && own.all(|managed| managed == Managed::Allow)
    }

    /// What somebody who judges groups found out about each of them, by its place in [`Membership::groups`]; asked once.
    pub(crate) fn found_of_groups(&self, find: impl FnOnce() -> Vec<Option<String>>) -> &[Option<String>] {
        self.found_of_groups.get_or_init(find)
    }

    /// The subsystem whose `[hosts] never` keeps the host out for good.
    pub(crate) fn never(&self, host: usize) -> Option<&'a SubsystemName> {
        let kind = self.kind_of[host];
        let place = self.never.binary_search_by_key(&kind, |&(kept, _)| kept).ok()?;
        Some(self.never[place].1)
    }
}

/// What is read of the hosts of a snapshot, each once, in the order of their ids.
struct Seen<'a> {
    hosts: Vec<&'a Host>,
    zones: Places<'a, ZoneName>,
    /// By host, its zone's number in `zones`.
    zone_of: Vec<u32>,
    groups: Places<'a, GroupName>,
    /// By host, its group's number in `groups`.
    group_of: Vec<Option<u32>>,
    /// By host, its kind. Hosts are of one kind if they have the same tags and the same group: selectors see nothing else
    /// of a host.
    kind_of: Vec<u32>,
    /// How many kinds there are.
    kinds: u32,
    /// The kinds of hosts that share their tags, by these and by the group's number.
    known: HashMap<(usize, Option<u32>), u32, RandomState>,
}

impl<'a> Seen<'a> {
    fn with_capacity(hosts: usize) -> Self {
        Self {
            hosts: Vec::with_capacity(hosts),
            zones: Places::default(),
            zone_of: Vec::with_capacity(hosts),
            groups: Places::default(),
            group_of: Vec::with_capacity(hosts),
            kind_of: Vec::with_capacity(hosts),
            kinds: 0,
            known: HashMap::default(),
        }
    }

    /// Takes in the next host; whether it is the first of its kind.
    fn is_first_of_kind(&mut self, host: &'a Host) -> bool {
        let group = host.group.as_ref().map(|group| self.groups.of(group, group.as_str()));
        // Hosts with the same tags share them, so their place tells them apart; tags that nobody shares need no look-up.
        let kind = match host.tags.are_shared() {
            false => self.kinds,
            true => *self.known.entry((host.tags.place(), group)).or_insert(self.kinds),
        };
        self.hosts.push(host);
        self.zone_of.push(self.zones.of(&host.zone, host.zone.as_str()));
        self.group_of.push(group);
        self.kind_of.push(kind);
        let is_first = kind == self.kinds;
        self.kinds += u32::from(is_first);
        is_first
    }
}
