//! What taking every candidate of a subsystem would take: a rule that allows all of it needs no row.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::candidates::{Candidates, Key};
use super::membership::Membership;
use super::stock::Stock;

/// What hosts would take from a row.
#[derive(Clone, Copy, Default)]
pub(super) struct Taken {
    /// Units that serve, or hosts.
    pub(super) units: u128,
    /// Hosts that are not capacity, but are not established to be idle.
    pub(super) doubtful: u128,
}

impl Taken {
    /// So many units that serve, or hosts.
    pub(super) fn units(units: u128) -> Self {
        Self { units, doubtful: 0 }
    }

    fn add(&mut self, key: &Key<'_>, subsystem: usize, units: u64) {
        if key.serving {
            self.units += u128::from(units);
        } else if key.doubtful.contains(&subsystem) {
            self.doubtful += 1;
        }
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self { units: self.units - other.units, doubtful: self.doubtful - other.doubtful }
    }
}

/// What taking every candidate would take.
pub(super) struct Wanted {
    /// The subsystems that any candidate belongs to, by name.
    pub(super) subsystems: Vec<usize>,
    /// By subsystem: the number of hosts, and what they take.
    pub(super) sums: Vec<(u128, Taken)>,
    /// By subsystem and zone of the fleet: what the hosts there take.
    zones: HashMap<(usize, usize), Taken, RandomState>,
    /// Hosts by group.
    pub(super) groups: Vec<u128>,
}

impl Wanted {
    pub(super) fn of(membership: &Membership<'_>, candidates: &Candidates) -> Self {
        let mut sums = vec![(0, Taken::default()); membership.subsystems().len()];
        let mut zones: HashMap<_, Taken, _> = HashMap::default();
        let mut groups = vec![0; membership.groups().len()];
        for rank in 0..candidates.all.len() {
            let key = candidates.key(rank);
            for &(subsystem, units) in key.units {
                let (all, taken) = &mut sums[subsystem];
                *all += 1;
                taken.add(&key, subsystem, units);
                zones.entry((subsystem, key.zone)).or_default().add(&key, subsystem, units);
            }
            if let Some(group) = key.group {
                groups[group] += 1;
            }
        }
        let subsystems = (0..sums.len()).filter(|&s| sums[s].0 > 0).collect();
        Self { subsystems, sums, zones, groups }
    }

    /// From one subsystem, by place in its stock's zones.
    pub(super) fn by_zone(&self, stock: &Stock<'_>, subsystem: usize) -> Vec<Taken> {
        let mut by_place = vec![Taken::default(); stock.zones.len()];
        for (zone, place) in stock.places.iter().enumerate() {
            if let Some((&taken, place)) = self.zones.get(&(subsystem, zone)).zip(*place) {
                by_place[place] = taken;
            }
        }
        by_place
    }
}
