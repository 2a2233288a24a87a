//! How the load on a simulated fleet determines the readings of its subsystems (contract section 6).

use std::collections::{BTreeMap, BTreeSet};

use super::scenario::{Blueprint, Scenario};
use super::state::State;
use crate::model::{Host, HostId, HostState, SubsystemName};
use crate::policy::SimulatedMetric;

/// Which hosts of a simulated fleet serve which subsystem, in units, and which subsystems those need. The policies
/// determine it. It is computed once, because neither tags nor groups of a simulated host change.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadMembership {
    /// By subsystem, each host once, by id.
    pub(super) units: BTreeMap<SubsystemName, Vec<(HostId, u64)>>,
    pub(super) depends_on: BTreeMap<SubsystemName, BTreeSet<SubsystemName>>,
}

impl LoadMembership {
    /// See [`super::SimulatedFleet::membership`].
    pub(super) fn of(
        scenario: &Scenario,
        depends_on: BTreeMap<SubsystemName, BTreeSet<SubsystemName>>,
        serves: impl Fn(&Host) -> Vec<(SubsystemName, u64)>,
    ) -> Self {
        let mut units: BTreeMap<SubsystemName, Vec<(HostId, u64)>> = BTreeMap::new();
        let mut last: Option<(&Host, Vec<(SubsystemName, u64)>)> = None;
        for Blueprint { host, .. } in scenario.hosts.iter() {
            let served = match last.take() {
                Some((like, served)) if are_alike(like, host) => served,
                _ => serves(host),
            };
            for (subsystem, weight) in &served {
                match units.get_mut(subsystem) {
                    Some(hosts) => hosts.push((host.id.clone(), *weight)),
                    None => _ = units.insert(subsystem.clone(), vec![(host.id.clone(), *weight)]),
                }
            }
            last = Some((host, served));
        }
        Self { units, depends_on }
    }

    /// The units that are in service and healthy, reserved or not.
    fn capacity(&self, state: &State, subsystem: &SubsystemName) -> u64 {
        let Some(hosts) = self.units.get(subsystem) else { return 0 };
        let mut serving = state.hosts.iter().filter(|(_, h)| h.state == HostState::InService && h.healthy).peekable();
        // Both are in the order of ids.
        let mut serves = |id: &HostId| {
            while serving.next_if(|(own, _)| *own < id).is_some() {}
            serving.next_if(|(own, _)| *own == id).is_some()
        };
        hosts.iter().filter(|(id, _)| serves(id)).fold(0, |sum, (_, units)| sum.saturating_add(*units))
    }

    /// The subsystem and all that it depends on, transitively.
    fn with_dependencies<'a>(&'a self, subsystem: &'a SubsystemName) -> BTreeSet<&'a SubsystemName> {
        let mut found = BTreeSet::new();
        let mut next = vec![subsystem];
        while let Some(name) = next.pop() {
            if found.insert(name) {
                next.extend(self.depends_on.get(name).into_iter().flatten());
            }
        }
        found
    }
}

/// Whether selectors and weights cannot tell the hosts apart; they see nothing else of a host. Hosts of one pool share
/// their tags.
fn are_alike(one: &Host, other: &Host) -> bool {
    one.tags.place() == other.tags.place() && one.group == other.group && one.instance_type == other.instance_type
}

/// The reading of a subsystem at this moment. It is finite: utilization at capacity 0 is the largest number there is.
pub(super) fn metric(
    scenario: &Scenario,
    state: &State,
    membership: &LoadMembership,
    subsystem: &SubsystemName,
    metric: SimulatedMetric,
) -> f64 {
    match metric {
        SimulatedMetric::Utilization => utilization(scenario, state, membership, subsystem),
        SimulatedMetric::LatencyMs => {
            let latency = scenario.load.get(subsystem).map_or(0.0, |l| l.latency);
            latency / (1.0 - utilization(scenario, state, membership, subsystem).min(0.99))
        }
        SimulatedMetric::ErrorRate => membership
            .with_dependencies(subsystem)
            .into_iter()
            .map(|name| error_rate(utilization(scenario, state, membership, name)))
            .fold(0.0, f64::max),
    }
}

fn error_rate(utilization: f64) -> f64 {
    if utilization <= 1.0 { 0.0 } else { 1.0 - 1.0 / utilization }
}

#[expect(clippy::cast_precision_loss, reason = "units far below 2^53")]
fn utilization(scenario: &Scenario, state: &State, membership: &LoadMembership, subsystem: &SubsystemName) -> f64 {
    let Some(load) = scenario.load.get(subsystem) else { return 0.0 };
    let demand = load.demand * state.demand.get(subsystem).copied().unwrap_or(1.0);
    if demand == 0.0 {
        return 0.0;
    }
    // At capacity 0 the quotient is infinite, but a reading must be a number; error_rate is exactly 1 either way.
    (demand / (load.per_unit * membership.capacity(state, subsystem) as f64)).min(f64::MAX)
}

#[cfg(test)]
mod tests;
