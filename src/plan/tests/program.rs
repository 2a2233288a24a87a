//! "How many of these may go?" as an integer program, written once more from hosts and policies alone: contract section
//! 5 line by line, using nothing of `constraints.rs`, `verify.rs` or `hosts.rs`.
//!
//! It covers the fleets that tests build, not every possible policy: a host belongs to a subsystem if it has a tag with
//! the subsystem's name.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Host, HostId, HostState, ZoneName};
use crate::plan::testing::World;
use crate::policy::{SubsystemPolicy, UnitsSource, ZoneMinimum};

/// The most of `sum(count)`, with `0 <= count <= supply` and `sum(take * count) <= bound` for every row.
pub(super) struct Program {
    /// Candidates that take the same from every row.
    pub(super) classes: Vec<Class>,
    /// What may be taken from each row.
    pub(super) bounds: Vec<i128>,
}

pub(super) struct Class {
    /// How many there are.
    pub(super) supply: i128,
    /// Row and units, by row; no row twice, no units of 0.
    pub(super) takes: Vec<(usize, i128)>,
}

/// What every single host takes from every row, and the bounds of the rows.
pub(super) struct Rules {
    takes: BTreeMap<HostId, Vec<(usize, i128)>>,
    bounds: Vec<i128>,
}

impl Rules {
    /// Everything that limits a removal from `named`, host by host.
    pub(super) fn of(world: &World, named: &str) -> Self {
        let candidates: Vec<&Host> =
            world.hosts.iter().filter(|h| h.tags.contains_key(named) && is_candidate(world, h)).collect();
        let mut rules =
            Self { takes: candidates.iter().map(|h| (h.id.clone(), Vec::new())).collect(), bounds: Vec::new() };
        for policy in world.policies.subsystems.values() {
            rules.subsystem(world, policy, &candidates);
        }
        rules.groups(world, &candidates);
        rules
    }

    /// A row from which some candidates take something.
    fn row<'h>(&mut self, bound: i128, takes: impl IntoIterator<Item = (&'h Host, i128)>) {
        for (host, units) in takes {
            self.takes.get_mut(&host.id).expect("a candidate").push((self.bounds.len(), units));
        }
        // Rule 4: a row that is already short only forbids taking from it.
        self.bounds.push(bound.max(0));
    }

    fn subsystem(&mut self, world: &World, policy: &SubsystemPolicy, candidates: &[&Host]) {
        let belongs = |host: &&Host| host.tags.contains_key(policy.name.as_str());
        let members: Vec<&Host> = world.hosts.iter().filter(belongs).collect();
        let own: Vec<&Host> = candidates.iter().copied().filter(|h| belongs(h)).collect();
        // Rule 5: every host counts, serving or not.
        for most in policy.pace.budgets.iter().map(|b| b.hosts).chain([policy.pace.max_hosts_per_run]) {
            self.row(i128::from(most), own.iter().map(|h| (*h, 1)));
        }
        let serving = |hosts: &[&Host], zone: Option<&ZoneName>, is_in: bool| -> i128 {
            let wanted = hosts.iter().filter(|h| zone.is_none_or(|z| (h.zone == *z) == is_in) && is_capacity(world, h));
            wanted.map(|h| units(policy, h)).sum()
        };
        let takes = |zone: Option<&ZoneName>, is_in: bool| -> Vec<(&Host, i128)> {
            let taken = own.iter().filter(|h| zone.is_none_or(|z| (h.zone == *z) == is_in) && is_capacity(world, h));
            taken.map(|h| (*h, units(policy, h))).collect()
        };
        let minimum = i128::from(policy.capacity.minimum);
        // Rule 1.
        self.row(serving(&members, None, true) - minimum, takes(None, true));
        let seen: BTreeSet<&ZoneName> = members.iter().map(|h| &h.zone).collect();
        let zones = policy.capacity.zones.as_ref().map_or(seen, |zones| zones.iter().collect());
        for &zone in &zones {
            // Rule 2.
            if let Some(least) = policy.capacity.minimum_per_zone {
                let least = match least {
                    ZoneMinimum::Units(units) => i128::from(units),
                    ZoneMinimum::Percent(percent) => {
                        let percent: i128 = percent.try_into().expect("a whole percentage");
                        let parts = 100 * zones.len() as i128;
                        (i128::from(policy.capacity.baseline) * percent + parts - 1) / parts
                    }
                };
                self.row(serving(&members, Some(zone), true) - least, takes(Some(zone), true));
            }
            // Rule 3: the capacity elsewhere must be enough without this zone.
            if policy.capacity.survive_zone_loss {
                self.row(serving(&members, Some(zone), false) - minimum, takes(Some(zone), false));
            }
        }
    }

    fn groups(&mut self, world: &World, candidates: &[&Host]) {
        for group in candidates.iter().filter_map(|h| h.group.as_ref()).collect::<BTreeSet<_>>() {
            let is_in = |host: &&Host| host.group.as_ref() == Some(group);
            let held = |host: &Host| world.ledger.claims.contains_key(&host.id);
            let in_service = |host: &&Host| is_in(host) && host.state == HostState::InService && !held(host);
            let members = world.hosts.iter().filter(in_service).count() as i128;
            let minimum = world.groups.get(group).copied().unwrap_or(0);
            let own: Vec<_> = candidates.iter().copied().filter(is_in).map(|h| (h, 1)).collect();
            self.row(members - i128::from(minimum), own);
        }
    }

    /// Everybody who may be chosen.
    pub(super) fn candidates(&self) -> BTreeSet<HostId> {
        self.takes.keys().cloned().collect()
    }

    /// By row, what each host takes from it, and its bound.
    pub(super) fn rows(&self) -> BTreeSet<(BTreeMap<HostId, i128>, i128)> {
        let mut rows: Vec<_> = self.bounds.iter().map(|&bound| (BTreeMap::new(), bound)).collect();
        for (host, takes) in &self.takes {
            takes.iter().for_each(|&(row, units)| _ = rows[row].0.insert(host.clone(), units));
        }
        rows.into_iter().collect()
    }

    /// Whether all of these may go together.
    pub(super) fn allow<'h>(&self, hosts: impl IntoIterator<Item = &'h HostId>) -> bool {
        let mut left = self.bounds.clone();
        for host in hosts {
            let Some(takes) = self.takes.get(host) else { return false };
            takes.iter().for_each(|&(row, units)| left[row] -= units);
        }
        left.iter().all(|left| *left >= 0)
    }

    /// Hosts that take the same are one class.
    pub(super) fn program(&self) -> Program {
        let mut classes: BTreeMap<&[(usize, i128)], i128> = BTreeMap::new();
        for takes in self.takes.values() {
            *classes.entry(takes).or_default() += 1;
        }
        let class = |(takes, supply): (&[(usize, i128)], i128)| Class { supply, takes: takes.to_vec() };
        Program { classes: classes.into_iter().map(class).collect(), bounds: self.bounds.clone() }
    }
}

/// In service, healthy or not; not protected, and not held by another run.
fn is_candidate(world: &World, host: &Host) -> bool {
    host.state == HostState::InService && host.protection.is_none() && !world.ledger.claims.contains_key(&host.id)
}

fn is_capacity(world: &World, host: &Host) -> bool {
    host.is_healthy() && is_candidate(world, host)
}

fn units(policy: &SubsystemPolicy, host: &Host) -> i128 {
    match &policy.capacity.units {
        UnitsSource::One => 1,
        UnitsSource::Tag(tag) => host.tags[tag].parse().expect("a weight"),
        UnitsSource::InstanceType(units) => units[&*host.instance_type].into(),
    }
}
