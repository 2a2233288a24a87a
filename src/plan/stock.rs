//! What the rules of a subsystem or a group leave to be taken, and which hosts may be taken at all.
//!
//! [`Ground`] computes everything that concerns a single subsystem, group or host. It does so once per decision,
//! however many problems are built from it ([`super::constraints`]). Nothing here knows which hosts somebody wants.

use std::ops::Range;
use std::sync::OnceLock;

use crate::model::{Host, HostState, Time, ZoneName};
use crate::policy::SubsystemPolicy;

use super::gates::Gates;
use super::hosts::{is_capacity, obstacles_of, serves, zones};
use super::membership::Membership;
use super::weights::units;
use super::{AssessError, Inputs, Stage};

/// What a rule leaves to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Units, or hosts.
    pub(crate) units: u128,
    /// Whether there is less than the rule requires.
    pub(crate) is_short: bool,
}

impl Room {
    /// The room above the minimum that must stay.
    pub(crate) fn above(least: u128, is: u128) -> Self {
        Self { units: is.saturating_sub(least), is_short: is < least }
    }

    /// A fixed limit on what may be taken, regardless of what there is.
    pub(crate) fn of(units: u128) -> Self {
        Self { units, is_short: false }
    }
}

/// What problems are built from: every answer about a subsystem or a host is computed once per decision, for any number
/// of problems.
pub(crate) struct Ground<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) membership: &'a Membership<'a>,
    pub(super) gates: &'a Gates<'a>,
    stock: Vec<OnceLock<Stock<'a>>>,
    /// By host, once all were looked at; empty before.
    known: Vec<Known>,
    candidates: Vec<OnceLock<bool>>,
    /// By group, how many hosts its provider allows to go; `None` for a group that the provider does not list.
    spare: Vec<OnceLock<Option<u64>>>,
}

/// The answers about a host that problems ask for again and again, in less memory than a host.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) serves: bool,
    pub(super) is_capacity: bool,
    pub(super) is_healthy: bool,
    pub(super) launched_at: Time,
}

/// The units of one subsystem that serve.
pub(super) struct Stock<'a> {
    /// By zone, by name.
    pub(super) zones: Vec<(&'a ZoneName, u128)>,
    /// By zone of the fleet, its place in `zones`.
    pub(super) places: Vec<Option<usize>>,
    /// What the subsystem's policy allows to go.
    pub(super) spare: Spare,
}

/// What the rules of one subsystem allow to go.
pub(super) struct Spare {
    /// Hosts, serving or not.
    pub(super) hosts: Room,
    /// Units that serve.
    pub(super) units: Room,
    /// By place in the stock's zones, units of the zone; empty if zones have no minimum of their own.
    pub(super) zones: Vec<Room>,
    /// By place in the stock's zones, units of all other zones; empty if the loss of a zone need not be survived.
    pub(super) losses: Vec<Room>,
    /// The smallest room of `units`, `zones` and `losses`: taking at most this many units exceeds none of them.
    pub(super) free: u128,
    /// Whether any of these is short.
    pub(super) is_short: bool,
}

impl<'a> Ground<'a> {
    pub(crate) fn new(inputs: &'a Inputs<'a>, membership: &'a Membership<'a>, gates: &'a Gates<'a>) -> Self {
        let stock = membership.subsystems().iter().map(|_| OnceLock::new()).collect();
        let candidates = (0..membership.hosts()).map(|_| OnceLock::new()).collect();
        let spare = membership.groups().iter().map(|_| OnceLock::new()).collect();
        Self { inputs, membership, gates, stock, known: Vec::new(), candidates, spare }
    }

    /// Looks at the host each time, unless all were looked at before.
    pub(super) fn host(&self, host: usize) -> Known {
        self.known.get(host).copied().unwrap_or_else(|| self.look(host))
    }

    fn look(&self, host: usize) -> Known {
        let host = self.membership.host(host);
        Known {
            serves: serves(self.inputs, host),
            is_capacity: is_capacity(self.inputs, host),
            is_healthy: host.is_healthy(),
            launched_at: host.launched_at,
        }
    }

    /// The answers about these hosts, for [`Ground::remember`].
    pub(super) fn look_at(&self, hosts: Range<usize>) -> Vec<Known> {
        let look = |host| {
            self.is_candidate(host);
            self.look(host)
        };
        hosts.map(look).collect()
    }

    /// Takes the answers about all hosts, in the order of their numbers. Where all are asked about, it is quicker to look at them in their order than in
    /// that of their subsystems.
    pub(super) fn remember(&mut self, known: Vec<Known>) {
        self.known = known;
    }

    pub(super) fn is_candidate(&self, host: usize) -> bool {
        let look = || obstacles_of(self.inputs, self.membership, host, Stage::Grant).is_empty();
        *self.candidates[host].get_or_init(look)
    }

    pub(super) fn stock(&self, subsystem: usize) -> Result<&Stock<'a>, AssessError> {
        let cell = &self.stock[subsystem];
        if let Some(stock) = cell.get() {
            return Ok(stock);
        }
        let stock = Stock::of(self, subsystem)?;
        Ok(cell.get_or_init(|| stock))
    }

    pub(super) fn spare(&self, group: usize) -> Option<u64> {
        let count = || {
            let name = self.membership.groups()[group];
            let group = self.inputs.snapshot.group(name)?;
            let members = self.membership.group_members(name).map(|h| self.membership.host(h));
            let is_held = |host: &Host| self.inputs.ledger.claims.contains_key(&host.id);
            let in_service = members.filter(|h| h.state == HostState::InService && !is_held(h)).count() as u64;
            Some(in_service.min(group.desired).saturating_sub(group.min_size))
        };
        *self.spare[group].get_or_init(count)
    }
}

impl<'a> Stock<'a> {
    fn of(ground: &Ground<'a>, subsystem: usize) -> Result<Self, AssessError> {
        let membership = ground.membership;
        let mut zones: Vec<(&ZoneName, u128)> =
            zones(membership, subsystem)?.into_iter().map(|zone| (zone, 0)).collect();
        let place = |zone: &&ZoneName| zones.binary_search_by(|(name, _)| name.cmp(zone)).ok();
        let places: Vec<Option<usize>> = membership.zones().iter().map(place).collect();
        for index in membership.members(subsystem) {
            let units = units(membership, subsystem, index)?;
            if ground.host(index).is_capacity
                && let Some(place) = places[membership.zone_of(index)]
            {
                zones[place].1 += u128::from(units);
            }
        }
        let spare = Spare::of(membership.subsystem(subsystem), &zones);
        Ok(Self { zones, places, spare })
    }
}

impl Spare {
    fn of(policy: &SubsystemPolicy, zones: &[(&ZoneName, u128)]) -> Self {
        let SubsystemPolicy { capacity, pace, .. } = policy;
        let minimum = u128::from(capacity.minimum);
        let total: u128 = zones.iter().map(|(_, units)| units).sum();
        let units = Room::above(minimum, total);
        let per_zone = capacity.minimum_per_zone.map(|m| u128::from(m.units(capacity.baseline, zones.len())));
        let own = |least: u128| zones.iter().map(|&(_, units)| Room::above(least, units)).collect();
        let losses = zones.iter().map(|(_, units)| Room::above(minimum, total - units));
        let (own, losses): (Vec<Room>, Vec<Room>) = (
            per_zone.map_or_else(Vec::new, own),
            if capacity.survive_zone_loss { losses.collect() } else { Vec::new() },
        );
        let all = || own.iter().chain(&losses).chain([&units]);
        let free = all().map(|room| room.units).min().unwrap_or(0);
        let is_short = all().any(|room| room.is_short);
        let hosts = pace.budgets.iter().map(|budget| budget.hosts).fold(pace.max_hosts_per_run, u64::min);
        Self { hosts: Room::of(hosts.into()), units, zones: own, losses, free, is_short }
    }
}
