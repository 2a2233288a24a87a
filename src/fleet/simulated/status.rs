//! The state of one host and of one group, as the fleet's state keeps it. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{Health, HostState, Process};

/// The state of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupState {
    /// Desired capacity: members pending and in service.
    pub(crate) desired: u64,
    pub(crate) suspended: BTreeSet<Process>,
    /// Its minimum, where that was raised since the scenario was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) minimum: Option<u64>,
}

/// The state of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostStatus {
    pub(crate) state: HostState,
    pub(crate) healthy: bool,
    /// The host may serve although it is not healthy. Files of earlier versions lack the field, which means no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) doubtful: bool,
}

impl HostStatus {
    pub(super) fn new(state: HostState, health: Health) -> Self {
        Self { state, healthy: health == Health::Healthy, doubtful: health == Health::Doubtful }
    }

    pub(super) fn health(self) -> Health {
        match (self.healthy, self.doubtful) {
            (true, _) => Health::Healthy,
            (false, false) => Health::Failed,
            (false, true) => Health::Doubtful,
        }
    }
}
