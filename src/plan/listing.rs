//! Every host as the rules see it: what it serves, whether it counts, and what stands against taking it.
//!
//! Nothing is decided here: a host against which nothing stands may still be one too many.

use serde::Serialize;

use crate::model::{GroupName, HostId, HostState, SubsystemName, ZoneName};

use super::doubts::Doubts;
use super::hosts::{is_capacity, obstacles_of};
use super::membership::Membership;
use super::weights::weight;
use super::{Inputs, Stage, Violation};

/// A host as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ListedHost {
    pub(crate) host: HostId,
    pub(crate) zone: ZoneName,
    /// Its Auto Scaling group, if it is in one.
    pub(crate) group: Option<GroupName>,
    /// `m6i.large` and the like.
    pub(crate) instance_type: String,
    pub(crate) state: HostState,
    /// Whether its units are capacity.
    pub(crate) serves: bool,
    /// Whether it is established that it serves nothing: then it is free to take.
    pub(crate) idle: bool,
    /// What it serves, by name.
    pub(crate) subsystems: Vec<ListedMembership>,
    /// What stands against taking it, whichever others go.
    pub(crate) against: Vec<Violation>,
}

/// What a host counts for in a subsystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ListedMembership {
    pub(crate) name: SubsystemName,
    /// Its weight; `None` where the policy's weights do not tell it: then nothing of that subsystem can be planned.
    pub(crate) units: Option<u64>,
}

/// The hosts by id, those of one subsystem or all of the fleet.
pub(crate) fn listed(inputs: &Inputs<'_>, only: Option<&SubsystemName>) -> Vec<ListedHost> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    let doubts = Doubts::new(inputs, &membership);
    let of = |index: usize| membership.of(index).map(|subsystem| membership.subsystem(subsystem));
    let wanted = |index: &usize| only.is_none_or(|name| of(*index).any(|policy| policy.name == *name));
    let hosts = inputs.snapshot.hosts().filter_map(|host| membership.find(&host.id)).filter(wanted);
    let mut listed: Vec<ListedHost> = hosts
        .map(|index| {
            let host = membership.host(index);
            let subsystems = of(index).map(|policy| ListedMembership {
                name: policy.name.clone(),
                units: weight(&policy.capacity.units, host).ok(),
            });
            ListedHost {
                host: host.id.clone(),
                zone: host.zone.clone(),
                group: host.group.clone(),
                instance_type: host.instance_type.to_string(),
                state: host.state,
                serves: is_capacity(inputs, host),
                idle: doubts.is_idle(index),
                subsystems: subsystems.collect(),
                against: obstacles_of(inputs, &membership, index, Stage::Grant),
            }
        })
        .collect();
    listed.sort_unstable_by(|a, b| a.host.cmp(&b.host));
    listed
}
