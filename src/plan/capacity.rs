//! Before and after, subsystem by subsystem, for the document.
//!
//! These are the numbers that people are shown; whether they are enough is for [`super::verify`] to say.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ZoneName;

use super::hosts::{is_capacity, units, zones};
use super::membership::Membership;
use super::{AssessError, Inputs, SubsystemCapacity, ZoneCapacity};

/// Capacity of a subsystem now, and what would remain without the chosen hosts.
pub(crate) fn table(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    subsystem: usize,
    chosen: &BTreeSet<usize>,
) -> Result<SubsystemCapacity, AssessError> {
    let policy = membership.subsystem(subsystem);
    let limits = &policy.capacity;
    let mut by_zone: BTreeMap<&ZoneName, (u64, u64)> =
        zones(membership, subsystem)?.into_iter().map(|zone| (zone, (0, 0))).collect();
    for &index in membership.members(subsystem) {
        let host = membership.host(index);
        let units = units(policy, host)?;
        if is_capacity(inputs, host) {
            let (capacity, remaining) = by_zone.entry(&host.zone).or_default();
            *capacity = capacity.saturating_add(units);
            *remaining = remaining.saturating_add(if chosen.contains(&index) { 0 } else { units });
        }
    }
    let minimum = limits.minimum_per_zone.map_or(0, |m| m.units(limits.baseline, by_zone.len()));
    let capacity = by_zone.values().fold(0_u64, |sum, (capacity, _)| sum.saturating_add(*capacity));
    let remaining = by_zone.values().fold(0_u64, |sum, (_, remaining)| sum.saturating_add(*remaining));
    Ok(SubsystemCapacity {
        name: policy.name.clone(),
        capacity,
        remaining,
        minimum: limits.minimum,
        headroom: capacity.saturating_sub(limits.minimum),
        zones: by_zone
            .into_iter()
            .map(|(name, (capacity, remaining))| ZoneCapacity { name: name.clone(), capacity, remaining, minimum })
            .collect(),
    })
}
