//! [`measure`]: what remained of each subsystem when a run ended, for its report; [`capacities`]: what each has; [`in_service`]:
//! which hosts. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, Host, HostState, SubsystemName, ZoneName};
use crate::policy::PolicySet;

use super::capacity::shown;
use super::hosts::{is_capacity, zones};
use super::weights::units;
use super::{AssessError, Inputs, Membership, SubsystemCapacity, contradictions};

/// The same subsystems, with `remaining` updated to now; `capacity` and the minimums stay as they were before the run.
///
/// # Errors
///
/// An [`AssessError`] if a host can no longer be weighed or placed.
pub(crate) fn measure(
    inputs: &Inputs<'_>,
    before: &[SubsystemCapacity],
) -> Result<Vec<SubsystemCapacity>, AssessError> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    contradictions::refuse(inputs.policies, &membership, inputs.snapshot)?;
    let mut measured = before.to_vec();
    for (index, name) in inputs.policies.subsystems.keys().enumerate() {
        let Some(subsystem) = measured.iter_mut().find(|s| s.name == *name) else { continue };
        let by_zone = by_zone(inputs, &membership, index)?;
        subsystem.remaining = shown(by_zone.values().sum());
        for zone in &mut subsystem.zones {
            zone.remaining = shown(by_zone.get(&zone.name).copied().unwrap_or(0));
        }
    }
    Ok(measured)
}

/// The capacity of each of these subsystems, in units. One is left out that has a host which cannot be weighed or placed.
pub(crate) fn capacities(inputs: &Inputs<'_>, of: &BTreeSet<SubsystemName>) -> BTreeMap<SubsystemName, u64> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    let all = inputs.policies.subsystems.keys().enumerate().filter(|(_, name)| of.contains(*name));
    let capacity = |(index, name): (usize, &SubsystemName)| {
        let by_zone = by_zone(inputs, &membership, index).ok()?;
        Some((name.clone(), shown(by_zone.values().sum())))
    };
    all.filter_map(capacity).collect()
}

/// The hosts in service of these subsystems, healthy or not, each with a subsystem that it belongs to.
pub(crate) fn in_service<'a>(
    policies: &'a PolicySet,
    snapshot: &'a FleetSnapshot,
    of: &BTreeSet<SubsystemName>,
) -> Vec<(&'a Host, &'a SubsystemName)> {
    let mut found = hosts_of(policies, snapshot, of);
    found.retain(|(host, _)| host.state == HostState::InService);
    found
}

/// The hosts of these subsystems in any state, each with a subsystem that it belongs to.
pub(crate) fn hosts_of<'a>(
    policies: &'a PolicySet,
    snapshot: &'a FleetSnapshot,
    of: &BTreeSet<SubsystemName>,
) -> Vec<(&'a Host, &'a SubsystemName)> {
    let membership = Membership::new(policies, snapshot);
    let mut found = Vec::new();
    for (index, name) in policies.subsystems.keys().enumerate().filter(|(_, name)| of.contains(*name)) {
        found.extend(membership.members(index).map(|member| (membership.host(member), name)));
    }
    found
}

/// The capacity of a subsystem by zone.
fn by_zone<'a>(
    inputs: &Inputs<'_>,
    membership: &Membership<'a>,
    index: usize,
) -> Result<BTreeMap<&'a ZoneName, u128>, AssessError> {
    zones(membership, index)?;
    let mut by_zone: BTreeMap<&ZoneName, u128> = BTreeMap::new();
    for member in membership.members(index) {
        let host = membership.host(member);
        if is_capacity(inputs, host) {
            *by_zone.entry(&host.zone).or_default() += u128::from(units(membership, index, member)?);
        }
    }
    Ok(by_zone)
}
