//! One complete observation of a fleet, with the time it was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Departure, Group, GroupName, Health, Host, HostId, HostState, Launch, LedgerId, Ordered, Protection, Scope, Time,
    ZoneName,
};

/// Everything a provider said about its fleet in one observation, checked for contradictions.
///
/// Hosts and groups are kept in the order of their ids and names, so that nothing downstream can depend on
/// the order in which a provider lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSnapshot {
    /// When the first read of the observation began: its age counts from here.
    pub(crate) begun_at: Time,
    /// When the last read was answered.
    pub(crate) completed_at: Time,
    hosts: Ordered<Host>,
    groups: BTreeMap<GroupName, Group>,
    /// The mark of the fleet as a whole.
    pub(crate) mark: FleetMark,
    /// What the provider's lists say against each other of single groups.
    pub contradictions: Vec<Contradiction>,
    /// Hosts that the provider holds on their way out: how, and by what, in words that go on after "is in".
    held: BTreeMap<HostId, String>,
    /// Why the provider says that hosts left lately, or are on their way.
    departures: BTreeMap<HostId, Departure>,
    /// What each group launched lately that only a missing member explains.
    launches: BTreeMap<GroupName, Vec<Launch>>,
    /// Whether it must be seen once that nothing takes the place of a group's host that was terminated: the provider's
    /// documentation does not settle it.
    pub(crate) proves_removals: bool,
    /// The part of the fleet that it was to show; `None` where it shows the whole fleet.
    scope: Option<Scope>,
}

/// Lists that contradict each other about one group. The hosts that it is about are neither capacity nor candidates, and a
/// fleet in which a policy could select one of them cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// What contradicts what.
    pub error: InventoryError,
    /// The group, which need not be listed.
    pub group: GroupName,
    /// The host that is listed and says it is in the group; `None` for a member that no list has.
    pub host: Option<HostId>,
    /// The tags that the group gives its members as they are launched.
    pub launch_tags: BTreeMap<String, String>,
}

/// How a fleet says which ledger governs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FleetMark {
    /// Its hosts and groups have marks of their own, which a person sets.
    OnHosts,
    /// It has one mark as a whole, not set yet: its first run sets it.
    Open,
    /// It has this mark as a whole.
    Of(LedgerId),
}

impl FleetMark {
    /// The ledger that the mark of the fleet as a whole names.
    pub(crate) fn ledger(&self) -> Option<&LedgerId> {
        match self {
            Self::OnHosts | Self::Open => None,
            Self::Of(ledger) => Some(ledger),
        }
    }
}

/// Why an observation cannot be believed: exit 5.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum InventoryError {
    /// The same host twice.
    #[error("the inventory lists host {0} twice")]
    DuplicateHost(HostId),
    /// The same group twice.
    #[error("the inventory lists group {0} twice")]
    DuplicateGroup(GroupName),
    /// A host names a group that the inventory does not list.
    #[error("host {host} says it is in group {group}, which the inventory does not list")]
    UnknownGroup {
        /// The host.
        host: HostId,
        /// The group that it names.
        group: GroupName,
    },
    /// A group states a different number of members than the inventory lists.
    #[error("the inventory is incomplete: group {group} states {stated} members, {listed} are listed")]
    MemberCount {
        /// The group.
        group: GroupName,
        /// The number that it states.
        stated: u64,
        /// How many hosts are listed for it.
        listed: u64,
    },
    /// A group lists a host that the list of hosts does not contain.
    #[error("the inventory is incomplete: group {group} lists host {host}, the list of hosts does not")]
    MissingMember {
        /// The group.
        group: GroupName,
        /// The host.
        host: HostId,
    },
    /// A host names a group that does not list it.
    #[error("host {host} says it is in group {group}, which does not list it")]
    UnclaimedMember {
        /// The group.
        group: GroupName,
        /// The host.
        host: HostId,
    },
    /// The provider leaves out something that every decision needs.
    #[error("the inventory does not say {what}")]
    Unsaid {
        /// What is missing.
        what: String,
    },
}

impl FleetSnapshot {
    /// Checks and orders what a provider listed.
    ///
    /// # Errors
    ///
    /// An [`InventoryError`] if the lists contradict each other. Nothing is repaired or assumed (S3).
    pub fn new(
        begun_at: Time,
        completed_at: Time,
        hosts: impl IntoIterator<Item = Host>,
        groups: impl IntoIterator<Item = Group>,
        mark: FleetMark,
    ) -> Result<Self, InventoryError> {
        let mut by_group = BTreeMap::new();
        for group in groups {
            let name = group.name.clone();
            if by_group.insert(name.clone(), (group, 0_u64)).is_some() {
                return Err(InventoryError::DuplicateGroup(name));
            }
        }
        let mut hosts: Vec<Host> = hosts.into_iter().collect();
        let mut zones: BTreeMap<ZoneName, ZoneName> = BTreeMap::new();
        for host in &mut hosts {
            // One text that all hosts of the zone share is read more quickly than as many copies.
            host.zone = zones.entry(host.zone.clone()).or_insert_with(|| host.zone.clone()).clone();
            if let Some(name) = &mut host.group {
                let Some((group, listed)) = by_group.get_mut(name) else {
                    return Err(InventoryError::UnknownGroup { host: host.id.clone(), group: name.clone() });
                };
                *listed += 1;
                // The same for all members.
                *name = group.name.clone();
            }
        }
        let hosts = Ordered::of(hosts).map_err(InventoryError::DuplicateHost)?;
        let mut groups = BTreeMap::new();
        for (name, (group, listed)) in by_group {
            // S3: nothing is inferred from absence.
            if group.stated_members != listed {
                return Err(InventoryError::MemberCount { group: name, stated: group.stated_members, listed });
            }
            groups.insert(name, group);
        }
        Ok(Self {
            begun_at,
            completed_at,
            hosts,
            groups,
            mark,
            contradictions: Vec::new(),
            held: BTreeMap::new(),
            departures: BTreeMap::new(),
            launches: BTreeMap::new(),
            proves_removals: false,
            scope: None,
        })
    }

    /// The same with what the provider's lists say against each other of single groups.
    #[cfg(any(test, feature = "aws"))]
    pub(crate) fn with_contradictions(self, contradictions: Vec<Contradiction>) -> Self {
        Self { contradictions, ..self }
    }

    /// The same, with what holds hosts on their way out.
    pub fn with_held(self, held: BTreeMap<HostId, String>) -> Self {
        Self { held, ..self }
    }

    /// What holds the host on its way out, if the provider says so.
    pub fn held(&self, id: &HostId) -> Option<&str> {
        self.held.get(id).map(String::as_str)
    }

    /// The same, with why hosts left.
    #[cfg(any(test, feature = "aws"))]
    pub(crate) fn with_departures(self, departures: BTreeMap<HostId, Departure>) -> Self {
        Self { departures, ..self }
    }

    /// Why the host left, in the provider's words, if the provider says so.
    pub(crate) fn departure(&self, id: &HostId) -> Option<&Departure> {
        self.departures.get(id)
    }

    /// The same, with what its groups launched lately.
    #[cfg(any(test, feature = "aws"))]
    pub(crate) fn with_launches(self, launches: BTreeMap<GroupName, Vec<Launch>>) -> Self {
        Self { launches, ..self }
    }

    /// The same, where it must be seen once that nothing takes the place of what goes.
    pub(crate) fn proving_removals(self, proves_removals: bool) -> Self {
        Self { proves_removals, ..self }
    }

    /// The same, where it was to show a part of the fleet only.
    #[cfg(any(test, feature = "aws"))]
    pub(crate) fn within(self, scope: Option<Scope>) -> Self {
        Self { scope, ..self }
    }

    /// Whether it shows every host and every group that there is.
    pub fn is_whole(&self) -> bool {
        self.scope.is_none()
    }

    /// Whether it was to show the host, and does not.
    ///
    /// S3, S5: a host that an observation was not asked for may be anywhere. It is not gone.
    pub fn lacks(&self, id: &HostId) -> bool {
        self.host(id).is_none() && self.scope.as_ref().is_none_or(|scope| scope.hosts.contains(id))
    }

    /// What the group launched lately that only a missing member explains.
    pub(crate) fn launches(&self, group: &GroupName) -> &[Launch] {
        self.launches.get(group).map_or(&[], Vec::as_slice)
    }

    /// The host with this id, unless it is gone.
    pub fn host(&self, id: &HostId) -> Option<&Host> {
        self.hosts.get(id.as_str())
    }

    /// Adds protections that the provider reports only when asked about a single host. A protection in the observation
    /// itself stays; a host that is not in the observation is skipped.
    pub(crate) fn protect(&mut self, protections: &BTreeMap<HostId, Protection>) {
        for (id, protection) in protections {
            if let Some(host) = self.hosts.get_mut(id.as_str()) {
                host.protection = host.protection.or(Some(*protection));
            }
        }
    }

    /// Marks every host of the zone as lost: unhealthy and on its way out. For hypothetical questions. Returns how many
    /// hosts the zone has.
    pub(crate) fn lose_zone(&mut self, zone: &ZoneName) -> u64 {
        let mut lost = 0;
        for host in self.hosts.iter_mut().filter(|host| host.zone == *zone) {
            host.health = Health::Failed;
            host.state = HostState::Terminating;
            lost += 1;
        }
        lost
    }

    /// All hosts, by id.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &Host> {
        self.hosts.iter()
    }

    /// The group with this name.
    pub fn group(&self, name: &GroupName) -> Option<&Group> {
        self.groups.get(name)
    }

    /// All groups, by name.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.values()
    }

    /// The ledger that governs a host: its own mark, else its group's, else the fleet's.
    pub fn ledger_of<'a>(&'a self, host: &'a Host) -> Option<&'a LedgerId> {
        host.ledger
            .as_ref()
            .or_else(|| host.group.as_ref().and_then(|g| self.groups.get(g)).and_then(|g| g.ledger.as_ref()))
            .or_else(|| self.mark.ledger())
    }
}
