//! Events that are tied to the state of a simulated fleet: they wait for hosts to be cordoned or terminated, however
//! long that takes. Pure: `state` writes down when a condition was met.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scenario::{Condition, Scenario, ScenarioEvent};
use super::status::HostStatus;
use crate::model::{HostId, HostState, Time};

/// A tied event whose condition was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tied {
    /// For the first time; the event counts from then, whatever became of the condition since.
    pub(crate) met_at: Time,
    pub(crate) fired: bool,
}

/// An event whose time has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due<'a> {
    pub(crate) at: Time,
    pub(crate) event: &'a ScenarioEvent,
    /// Its number among the tied events; `None` where it counts from the creation.
    pub(crate) tied: Option<usize>,
}

impl Condition {
    /// Whether it holds at this moment. `hosts` are those that are not gone.
    pub(super) fn is_met(&self, scenario: &Scenario, hosts: &BTreeMap<HostId, HostStatus>) -> bool {
        let (mut cordoned, mut terminated) = (0, 0);
        for blueprint in scenario.hosts.iter() {
            if self.pool.is_some() && blueprint.host.group != self.pool {
                continue;
            }
            match hosts.get(&blueprint.host.id).map(|host| host.state) {
                None => terminated += 1,
                Some(HostState::Cordoned) => cordoned += 1,
                Some(HostState::Pending | HostState::InService | HostState::Terminating) => {}
            }
        }
        cordoned >= self.cordoned && terminated >= self.terminated
    }
}

#[cfg(test)]
mod tests;
