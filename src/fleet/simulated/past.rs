//! What a fleet was a short while ago, for observations that lag behind: each change keeps what it replaced, and is
//! undone by whoever looks further back. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::{GroupState, HostStanding, State};
use crate::model::{GroupName, HostId, Time};

/// What one change of the fleet replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Replaced {
    at: Time,
    /// Hosts are never added, so each of them was there.
    hosts: BTreeMap<HostId, HostStanding>,
    groups: BTreeMap<GroupName, GroupState>,
}

impl State {
    /// Keeps what differs from the state before, for so long; an answer of this fleet never lies further back.
    pub(super) fn remember(&mut self, before: &Self, now: Time, settle: Duration) {
        self.past.retain(|replaced| replaced.at >= now.minus(settle));
        if settle.is_zero() {
            return;
        }
        let hosts = before.hosts.iter().filter(|(id, was)| self.hosts.get(*id) != Some(*was));
        let groups = before.groups.iter().filter(|(name, was)| self.groups.get(*name) != Some(*was));
        self.past.push(Replaced {
            at: now,
            hosts: hosts.map(|(id, was)| (id.clone(), *was)).collect(),
            groups: groups.map(|(name, was)| (name.clone(), was.clone())).collect(),
        });
    }

    /// The fleet as it was then, as far back as it is remembered.
    pub(super) fn as_of(&self, then: Time) -> Self {
        let mut state = self.clone();
        for replaced in self.past.iter().rev().take_while(|replaced| replaced.at > then) {
            state.hosts.extend(replaced.hosts.iter().map(|(id, was)| (id.clone(), *was)));
            state.groups.extend(replaced.groups.iter().map(|(name, was)| (name.clone(), was.clone())));
        }
        state
    }
}
