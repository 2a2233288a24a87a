//! Capacity before and after, subsystem by subsystem, for the document.
//!
//! These are the numbers that people are shown; [`super::verify`] decides whether they are enough.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ZoneName;

use super::hosts::{is_capacity, serves, zones};
use super::membership::Membership;
use super::weights::units;
use super::{AssessError, Inputs, SubsystemCapacity, ZoneCapacity};

/// Capacity of a subsystem now, and the capacity that would remain without the chosen hosts.
pub(crate) fn table(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    subsystem: usize,
    chosen: &BTreeSet<usize>,
) -> Result<SubsystemCapacity, AssessError> {
    let policy = membership.subsystem(subsystem);
    let limits = &policy.capacity;
    let mut by_zone: BTreeMap<&ZoneName, (u128, u128)> =
        zones(membership, subsystem)?.into_iter().map(|zone| (zone, (0, 0))).collect();
    for index in membership.members(subsystem) {
        let host = membership.host(index);
        let units = u128::from(units(membership, subsystem, index)?);
        if is_capacity(inputs, host) {
            let (capacity, remaining) = by_zone.entry(&host.zone).or_default();
            *capacity += units;
            *remaining += if chosen.contains(&index) { 0 } else { units };
        }
    }
    let minimum = limits.minimum_per_zone.map_or(0, |m| m.units(limits.baseline, by_zone.len()));
    let capacity: u128 = by_zone.values().map(|(capacity, _)| capacity).sum();
    let remaining: u128 = by_zone.values().map(|(_, remaining)| remaining).sum();
    Ok(SubsystemCapacity {
        name: policy.name.clone(),
        owner: policy.owner.clone(),
        capacity: shown(capacity),
        remaining: shown(remaining),
        minimum: limits.minimum,
        headroom: shown(capacity.saturating_sub(limits.minimum.into())),
        zones: by_zone
            .into_iter()
            .map(|(name, (capacity, remaining))| {
                let (capacity, remaining) = (shown(capacity), shown(remaining));
                ZoneCapacity { name: name.clone(), capacity, remaining, minimum }
            })
            .collect(),
    })
}

/// The number of hosts of a subsystem that serve, not counting the chosen ones, for `--expect-remaining`.
pub(crate) fn serving_without(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    subsystem: usize,
    chosen: &BTreeSet<usize>,
) -> u64 {
    let left = membership.members(subsystem).filter(|host| !chosen.contains(host));
    left.filter(|&host| serves(inputs, membership.host(host))).count() as u64
}

/// Units as documents show them, capped at the largest number that they can hold.
pub(crate) fn shown(units: u128) -> u64 {
    u64::try_from(units).unwrap_or(u64::MAX)
}
