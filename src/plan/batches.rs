//! Groups the chosen hosts into batches and orders them, within the strictest `batch`, `ramp` and `zones_per_batch` of
//! everything touched.
//!
//! Any subset of an allowed set of hosts is allowed too, so the set may go in parts: every constraint is a sum that
//! only grows with the set (zone loss too, taken zone by zone). The planner has [`super::verify`] confirm that after
//! each batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ZoneName;

use super::AssessError;
use super::gates::Gates;
use super::membership::Membership;
use super::settings::BatchLimits;
use super::weights::units;

/// Deals the chosen hosts into batches. Hosts that are certainly idle go first, then hosts of the fewest subsystems,
/// then the longest-running, then by id: what costs least is tried first. Each batch takes the first remaining host and
/// then, in order, every host that still fits.
pub(crate) fn deal(
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    chosen: &BTreeSet<usize>,
    limits: &BatchLimits,
) -> Result<Vec<Vec<usize>>, AssessError> {
    let mut left: Vec<usize> = chosen.iter().copied().collect();
    left.sort_by_key(|&index| {
        let host = membership.host(index);
        (!gates.doubts().is_idle(index), membership.of(index).len(), host.launched_at, &host.id)
    });
    let mut batches = Vec::new();
    while !left.is_empty() {
        let most = limits.hosts_in(batches.len() as u64 + 1).max(1);
        let mut batch = Draft::default();
        let mut rest = Vec::new();
        for index in left {
            if batch.hosts.len() as u64 >= most || !batch.take(membership, index, limits)? {
                rest.push(index);
            }
        }
        batches.push(batch.hosts);
        left = rest;
    }
    Ok(batches)
}

#[derive(Default)]
struct Draft<'a> {
    hosts: Vec<usize>,
    zones: BTreeSet<&'a ZoneName>,
    units: BTreeMap<usize, u128>,
}

impl<'a> Draft<'a> {
    /// Takes the host if it fits; the first host of a batch is always taken.
    fn take(&mut self, membership: &Membership<'a>, index: usize, limits: &BatchLimits) -> Result<bool, AssessError> {
        let host = membership.host(index);
        let mut sums = Vec::new();
        for &(subsystem, most) in &limits.units {
            if membership.belongs(index, subsystem) {
                let own = u128::from(units(membership, subsystem, index)?);
                let sum = self.units.get(&subsystem).copied().unwrap_or(0) + own;
                if sum > u128::from(most) && !self.hosts.is_empty() {
                    return Ok(false);
                }
                sums.push((subsystem, sum));
            }
        }
        let zones = self.zones.len() as u64 + u64::from(!self.zones.contains(&host.zone));
        if limits.zones.is_some_and(|most| zones > most) && !self.hosts.is_empty() {
            return Ok(false);
        }
        self.zones.insert(&host.zone);
        self.units.extend(sums);
        self.hosts.push(index);
        Ok(true)
    }
}
