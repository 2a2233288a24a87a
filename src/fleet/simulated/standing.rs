//! How a host and a group stand, as the state keeps it. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{Health, HostState, Process};

/// A group's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupState {
    /// Desired capacity: members pending and in service.
    pub(crate) desired: u64,
    pub(crate) suspended: BTreeSet<Process>,
}

/// A host's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostStanding {
    pub(crate) state: HostState,
    pub(crate) healthy: bool,
    /// Where it is not healthy: whether it may serve all the same. Files of earlier versions do not say, and mean no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) doubtful: bool,
}

impl HostStanding {
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
