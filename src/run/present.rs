//! [`Present`]: the hosts that a run has seen in service, and how those left that are not any more. Who took them is not
//! known here.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, GroupName, HostId, HostState, SubsystemName};

/// The hosts whose leaving concerns the run: those seen in service since its first grant, of every subsystem that it
/// touches or watches, and of every group that it takes hosts of.
#[derive(Debug, Default)]
pub(super) struct Present {
    hosts: BTreeMap<HostId, Place>,
}

/// Where a host was seen in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: Option<GroupName>,
    pub(super) subsystems: BTreeSet<SubsystemName>,
}

impl Present {
    /// Adds those that are in service, and says which left since: each with its place, and how it left.
    pub(super) fn update(
        &mut self,
        seen: BTreeMap<HostId, Place>,
        snapshot: &FleetSnapshot,
    ) -> Vec<(HostId, Place, String)> {
        let mut left = Vec::new();
        self.hosts.retain(|id, place| {
            let how = match snapshot.host(id).map(|host| host.state) {
                None if !snapshot.lacks(id) => return true,
                None => "is gone".to_owned(),
                Some(HostState::Terminating) => "is terminating".to_owned(),
                // Its subsystems may only be seen of a host in service: that it is out of it is for the rules.
                Some(HostState::Pending | HostState::Cordoned) => return true,
                Some(HostState::InService) => {
                    let now = seen.get(id).map(|place| &place.subsystems);
                    let lost: Vec<&str> = place
                        .subsystems
                        .iter()
                        .filter(|name| now.is_none_or(|now| !now.contains(*name)))
                        .map(SubsystemName::as_str)
                        .collect();
                    if lost.is_empty() {
                        return true;
                    }
                    format!("is no longer in {}", lost.join(", "))
                }
            };
            left.push((id.clone(), place.clone(), how));
            false
        });
        for (id, place) in seen {
            self.hosts.insert(id, place);
        }
        left
    }
}
