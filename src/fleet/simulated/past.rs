//! The state of a fleet a short while ago, for observations that lag behind. Each change keeps what it replaced, and a
//! lookup of an earlier state undoes it. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::status::{GroupState, HostStatus};
use crate::model::{GroupName, HostId, Time};

type Hosts = BTreeMap<HostId, HostStatus>;
type Groups = BTreeMap<GroupName, GroupState>;

/// The part of the fleet that one change replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Replaced {
    pub(super) at: Time,
    /// Hosts are never added, so each of them was there.
    hosts: Hosts,
    groups: Groups,
}

impl Replaced {
    /// Keeps the earlier state of everything that the change altered.
    pub(super) fn of(at: Time, before: (&Hosts, &Groups), after: (&Hosts, &Groups)) -> Self {
        let hosts = before.0.iter().filter(|(id, was)| after.0.get(*id) != Some(*was));
        let groups = before.1.iter().filter(|(name, was)| after.1.get(*name) != Some(*was));
        Self {
            at,
            hosts: hosts.map(|(id, was)| (id.clone(), *was)).collect(),
            groups: groups.map(|(name, was)| (name.clone(), was.clone())).collect(),
        }
    }

    /// Undoes the change.
    pub(super) fn put_back(&self, hosts: &mut Hosts, groups: &mut Groups) {
        hosts.extend(self.hosts.iter().map(|(id, was)| (id.clone(), *was)));
        groups.extend(self.groups.iter().map(|(name, was)| (name.clone(), was.clone())));
    }
}
