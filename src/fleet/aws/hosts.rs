//! Converts everything that AWS listed to the model's hosts and groups. Main function: [`assemble`]. Pure.
//!
//! The lists come from different services at slightly different times, and each may lag. Where they contradict each
//! other this module returns an error and never chooses which to believe; `observe` then reads once more.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{AutoScalingGroup, Instance as Member, LifecycleState};
use aws_sdk_ec2::types::{Instance, InstanceStateName, InstanceStatus, SummaryStatus};
use aws_sdk_elasticloadbalancingv2::types::{TargetGroup, TargetHealthDescription};

use super::LEDGER_TAG;
use super::addresses::Addresses;
use super::controllers::filled_again;
use super::groups::{self, Detail};
use super::managed::managed;
use super::marker::{self, Marker, name_in, short};
use super::tags::{GROUP_TAG, tag};
use super::targets::Registrations;
use crate::model::{
    Contradiction, Group, GroupName, Health, Host, HostId, HostState, InventoryError, LedgerId, Obstacle, ObstacleKind,
    Protection, Time,
};

/// Everything that AWS listed, each list complete.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Every group.
    pub(super) groups: Vec<AutoScalingGroup>,
    /// The instances of each warm pool, by group.
    pub(super) warm: BTreeMap<String, BTreeSet<String>>,
    /// Every instance, with terminated ones for as long as EC2 lists them.
    pub(super) instances: Vec<Instance>,
    /// The status checks of running instances.
    pub(super) statuses: Vec<InstanceStatus>,
    /// Every target group that may hold instances, with its targets.
    pub(super) targets: Vec<(TargetGroup, Vec<TargetHealthDescription>)>,
    /// The controllers that keep target groups filled, by target group.
    pub(super) controllers: BTreeMap<String, &'static str>,
    /// The detail of each group, by group.
    pub(super) details: BTreeMap<String, Detail>,
}

/// The membership of an instance in a group, as far as AWS tells it.
enum GroupMembership<'a> {
    /// Its group lists it.
    Listed(&'a AutoScalingGroup, &'a Member),
    /// Its tag names a group that does not list it, for a known reason: it is in the warm pool, or is being launched or
    /// terminated.
    Unlisted(&'a AutoScalingGroup),
    /// Its tag names this group, which is not listed, or does not list it: a contradiction.
    Unclaimed(&'a str),
    /// It is in no group.
    None,
}

/// The fleet in the model's terms.
#[derive(Debug)]
pub(super) struct Assembled {
    /// Every host that EC2 lists and does not call terminated.
    pub(super) hosts: Vec<Host>,
    /// Every group.
    pub(super) groups: Vec<Group>,
    /// What the lists say against each other of single groups.
    pub(super) contradictions: Vec<Contradiction>,
}

/// The fleet in the model's terms.
///
/// # Errors
///
/// An [`InventoryError`] where the lists contradict each other as a whole or leave something out (S3).
pub(super) fn assemble(
    inventory: &Inventory,
    protected: &BTreeSet<HostId>,
    now: Time,
) -> Result<Assembled, InventoryError> {
    let view = View::new(inventory, protected)?;
    let mut hosts = Vec::with_capacity(inventory.instances.len());
    let mut listed = BTreeSet::new();
    let mut gone: BTreeMap<&str, u64> = BTreeMap::new();
    let mut unlisted: BTreeMap<&str, u64> = BTreeMap::new();
    let mut contradictions = Vec::new();
    for instance in &inventory.instances {
        let id = instance.instance_id().ok_or_else(|| unsaid("the id of an instance"))?;
        listed.insert(id);
        if state_of(instance, id)? == &InstanceStateName::Terminated {
            // S3: EC2 itself says that the instance is gone; this is not inferred from absence.
            if let Some((group, _)) = view.members.get(id) {
                *gone.entry(name_of(group)).or_default() += 1;
            }
            continue;
        }
        let membership = view.membership(instance, id);
        match &membership {
            GroupMembership::Unlisted(group) => *unlisted.entry(name_of(group)).or_default() += 1,
            GroupMembership::Unclaimed(name) => contradictions.push(unclaimed(&view, id, name)),
            GroupMembership::Listed(..) | GroupMembership::None => {}
        }
        hosts.push(view.host(instance, id, &membership)?);
    }
    for (id, (group, _)) in view.members.iter().filter(|(id, _)| !listed.contains(*id)) {
        *gone.entry(name_of(group)).or_default() += 1;
        contradictions.push(Contradiction {
            error: InventoryError::MissingMember { group: name_of(group).into(), host: (*id).into() },
            group: name_of(group).into(),
            host: None,
            launch_tags: groups::launch_tags(group),
        });
    }
    let mut described = Vec::with_capacity(inventory.groups.len());
    for group in &inventory.groups {
        let name = name_of(group);
        let stated = u64::try_from(group.instances().len()).unwrap_or(u64::MAX);
        let members = stated - gone.get(name).copied().unwrap_or(0) + unlisted.get(name).copied().unwrap_or(0);
        let none = Detail::default();
        described.push(groups::group(group, inventory.details.get(name).unwrap_or(&none), members, now)?);
    }
    Ok(Assembled { hosts, groups: described, contradictions })
}

/// The contradiction of a host whose tag names a group that does not list it.
fn unclaimed(view: &View<'_>, id: &str, name: &str) -> Contradiction {
    let (group, host) = (GroupName::new(name), HostId::new(id));
    let error = match view.groups.contains_key(name) {
        true => InventoryError::UnclaimedMember { group: group.clone(), host: host.clone() },
        false => InventoryError::UnknownGroup { host: host.clone(), group: group.clone() },
    };
    Contradiction { error, group, host: Some(host), launch_tags: BTreeMap::new() }
}

/// The lists, indexed.
struct View<'a> {
    groups: BTreeMap<&'a str, &'a AutoScalingGroup>,
    members: BTreeMap<&'a str, (&'a AutoScalingGroup, &'a Member)>,
    statuses: BTreeMap<&'a str, &'a InstanceStatus>,
    warm: &'a BTreeMap<String, BTreeSet<String>>,
    targets: Registrations,
    controllers: &'a BTreeMap<String, &'static str>,
    protected: &'a BTreeSet<HostId>,
}

impl<'a> View<'a> {
    fn new(inventory: &'a Inventory, protected: &'a BTreeSet<HostId>) -> Result<Self, InventoryError> {
        let mut members = BTreeMap::new();
        for group in &inventory.groups {
            for member in group.instances() {
                let id = member.instance_id().ok_or_else(|| unsaid("the id of a group's member"))?;
                if members.insert(id, (group, member)).is_some() {
                    return Err(InventoryError::DuplicateHost(id.into()));
                }
            }
        }
        Ok(Self {
            groups: inventory.groups.iter().map(|group| (name_of(group), group)).collect(),
            members,
            statuses: inventory.statuses.iter().filter_map(|s| Some((s.instance_id()?, s))).collect(),
            warm: &inventory.warm,
            targets: Registrations::new(&inventory.targets, &Addresses::of(&inventory.instances)),
            controllers: &inventory.controllers,
            protected,
        })
    }

    fn membership(&self, instance: &'a Instance, id: &str) -> GroupMembership<'a> {
        if let Some(&(group, member)) = self.members.get(id) {
            return GroupMembership::Listed(group, member);
        }
        let Some(name) = tag(instance, GROUP_TAG) else { return GroupMembership::None };
        // A launch shows here before its group lists it, a termination after the group dropped it.
        let passing = matches!(
            instance.state().and_then(|s| s.name()),
            Some(InstanceStateName::Pending | InstanceStateName::ShuttingDown)
        );
        match self.groups.get(name) {
            Some(&group) if passing || self.warm.get(name).is_some_and(|warm| warm.contains(id)) => {
                GroupMembership::Unlisted(group)
            }
            None if passing => GroupMembership::None,
            Some(_) | None => GroupMembership::Unclaimed(name),
        }
    }

    fn host(&self, instance: &Instance, id: &str, membership: &GroupMembership<'_>) -> Result<Host, InventoryError> {
        let tags: BTreeMap<String, String> = instance
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
            .collect();
        let zone = instance
            .placement()
            .and_then(|p| p.availability_zone())
            .ok_or_else(|| unsaid(&format!("the zone of host {id}")))?;
        let launched_at = instance
            .launch_time()
            .and_then(|t| t.to_millis().ok())
            .ok_or_else(|| unsaid(&format!("when host {id} was launched")))?;
        let (state, health, protection) = match membership {
            GroupMembership::Listed(group, member) => (
                self.member_state(state_of(instance, id)?, group, member, id),
                match state_of(instance, id)? {
                    // EC2 itself says that it does not run, or soon will not.
                    InstanceStateName::Stopped => Health::Failed,
                    InstanceStateName::Stopping => Health::Doubtful,
                    _ => self.member_health(group, member, id),
                },
                member.protected_from_scale_in().unwrap_or(false).then_some(Protection::ScaleIn),
            ),
            GroupMembership::Unlisted(_) => {
                let leaving = state_of(instance, id)? == &InstanceStateName::ShuttingDown;
                (if leaving { HostState::Terminating } else { HostState::Pending }, Health::Doubtful, None)
            }
            GroupMembership::Unclaimed(_) => (HostState::Pending, Health::Doubtful, None),
            GroupMembership::None => (self.lone_state(state_of(instance, id)?, &tags, id), self.lone_health(id), None),
        };
        let group = match membership {
            GroupMembership::Listed(group, _) | GroupMembership::Unlisted(group) => {
                Some(GroupName::new(name_of(group)))
            }
            GroupMembership::Unclaimed(_) | GroupMembership::None => None,
        };
        Ok(Host {
            id: id.into(),
            zone: zone.into(),
            group,
            instance_type: instance.instance_type().map_or_else(|| "".into(), |t| t.as_str().into()),
            state,
            health,
            launched_at: Time::from_millis(launched_at),
            protection: protection.or_else(|| self.protected.contains(id).then_some(Protection::Termination)),
            ledger: tags.get(LEDGER_TAG).map(|id| LedgerId::new(id.as_str())),
            address: instance.private_ip_address().and_then(|address| address.parse().ok()),
            target_groups: self.targets.of(id),
            target_health: self.targets.health_of(id),
            obstacles: self.obstacles(instance, id, membership, &tags),
            tags: tags.into(),
        })
    }

    /// What stands in the way of taking this host, beside what its group says of all its members.
    fn obstacles(
        &self,
        instance: &Instance,
        id: &str,
        membership: &GroupMembership<'_>,
        tags: &BTreeMap<String, String>,
    ) -> Vec<Obstacle> {
        let is_lone = matches!(membership, GroupMembership::None);
        let managed = managed(instance, !is_lone).map(|why| Obstacle::new(ObstacleKind::ManagedElsewhere, why));
        let shifted = self.targets.shifted(id).map(|why| Obstacle::new(ObstacleKind::ZoneShifted, why));
        let is_marked = tags.contains_key(marker::KEY);
        let unmarkable = (is_lone && !is_marked).then(|| marker::no_room(tags, self.targets.registered(id))).flatten();
        let unclaimed = match membership {
            GroupMembership::Unclaimed(name) => Some(format!("its tag says that it is in group {name}")),
            GroupMembership::Listed(..) | GroupMembership::Unlisted(_) | GroupMembership::None => None,
        };
        let stopped = stopped(instance, membership, is_marked);
        let not_removable = unmarkable.into_iter().chain(unclaimed).chain(stopped);
        let not_removable = not_removable.map(|why| Obstacle::new(ObstacleKind::NotRemovable, why));
        let stray = self.stray(id, membership).map(|why| Obstacle::new(ObstacleKind::StrayTargetGroup, why));
        managed.into_iter().chain(shifted).chain(not_removable).chain(stray).collect()
    }

    /// Which target groups would go on sending the host work while it is in standby, in words.
    ///
    /// Standby takes a member out of the target groups that are attached to its group, and of no other (Amazon EC2 Auto
    /// Scaling User Guide, "How the standby state works"). Who registered the member elsewhere cannot be told: the AWS Load
    /// Balancer Controller also fills target groups that others made and that carry no tag of its (its guide,
    /// "TargetGroupBinding"), and so does ECS. Such a controller undoes what is deregistered.
    fn stray(&self, id: &str, membership: &GroupMembership<'_>) -> Option<String> {
        if let Some(group) = self.targets.perhaps_of(id).next() {
            // S3: it is never deregistered by an address that may be another host's.
            return Some(format!(
                "target group {} lists an address outside its own VPC that is also this host's, and whose it is cannot be told",
                name_in(group)
            ));
        }
        let registered = self.targets.of(id);
        let group = match membership {
            GroupMembership::Listed(group, _) => group,
            GroupMembership::Unlisted(_) | GroupMembership::Unclaimed(_) => return None,
            GroupMembership::None => return filled_again(&registered, self.controllers),
        };
        let attached = groups::target_groups(group);
        let strays: Vec<&str> = registered.iter().filter(|tg| !attached.contains(tg.as_str())).map(name_in).collect();
        let one = match strays.as_slice() {
            [] => return None,
            [_] => "target group",
            _ => "target groups",
        };
        Some(format!(
            "it is registered in {one} {}, which its group {} does not know, so that standby leaves it there. Attach it \
             to the group, or deregister the host there",
            strays.join(", "),
            name_of(group),
        ))
    }

    fn member_state(
        &self,
        state: &InstanceStateName,
        group: &AutoScalingGroup,
        member: &Member,
        id: &str,
    ) -> HostState {
        use LifecycleState::{
            Detached, Detaching, InService, Standby, Terminated, Terminating, TerminatingProceed, TerminatingRetained,
            TerminatingWait,
        };
        let leaving = matches!(
            member.lifecycle_state(),
            Some(
                Detached
                    | Detaching
                    | Terminated
                    | Terminating
                    | TerminatingProceed
                    | TerminatingRetained
                    | TerminatingWait
            )
        );
        match (state, member.lifecycle_state()) {
            (InstanceStateName::ShuttingDown, _) => HostState::Terminating,
            _ if leaving => HostState::Terminating,
            (InstanceStateName::Running, Some(InService)) => HostState::InService,
            // Standby takes a member out of only the target groups of its group.
            (InstanceStateName::Running, Some(Standby)) if self.targets.of(id).is_empty() => HostState::Cordoned,
            (InstanceStateName::Stopping | InstanceStateName::Stopped, Some(InService)) => {
                if groups::replaces(group) {
                    HostState::Terminating
                } else {
                    HostState::InService
                }
            }
            _ => HostState::Pending,
        }
    }

    /// The group's `Unhealthy` does not say which check failed: a load balancer's where the group asks for those, a
    /// custom one that somebody reported, or a scheduled event of an instance that works (Amazon EC2 Auto Scaling User
    /// Guide, "About the health checks for your Auto Scaling group"). So only EC2 itself establishes that the
    /// instance's own checks fail.
    fn member_health(&self, group: &AutoScalingGroup, member: &Member, id: &str) -> Health {
        let is_well = member.health_status().is_some_and(|word| word.eq_ignore_ascii_case("healthy"))
            && self.targets.is_well(id, group.target_group_arns());
        match (self.is_impaired(id), is_well) {
            (true, _) => Health::Failed,
            (false, true) => Health::Healthy,
            (false, false) => Health::Doubtful,
        }
    }

    /// Whether one of the instance's own status checks fails. One that is still under way or has no data does not
    /// count.
    fn is_impaired(&self, id: &str) -> bool {
        self.statuses.get(id).is_some_and(|status| {
            [status.instance_status(), status.system_status()]
                .into_iter()
                .flatten()
                .any(|summary| summary.status() == Some(&SummaryStatus::Impaired))
        })
    }

    fn lone_state(&self, state: &InstanceStateName, tags: &BTreeMap<String, String>, id: &str) -> HostState {
        match state {
            InstanceStateName::ShuttingDown => HostState::Terminating,
            InstanceStateName::Running => match Marker::read(tags) {
                Ok(None) => HostState::InService,
                Ok(Some(marker)) => {
                    let registered = self.targets.of(id);
                    let now: BTreeSet<&str> = registered.iter().map(short).collect();
                    let recorded = marker.target_groups();
                    if now.is_empty() && !self.targets.is_draining(id) {
                        HostState::Cordoned
                    } else if !recorded.is_empty() && recorded.is_subset(&now) {
                        // It is marked, but not yet deregistered anywhere, or registered everywhere again: it takes
                        // work.
                        HostState::InService
                    } else {
                        HostState::Pending
                    }
                }
                // S3: somebody cordoned it, and nobody knows how to restore it.
                Err(_) => HostState::Pending,
            },
            _ => HostState::Pending,
        }
    }

    /// Only EC2 and the target groups report on an instance outside groups: both status checks must say `ok`.
    fn lone_health(&self, id: &str) -> Health {
        let is_ok = self.statuses.get(id).is_some_and(|status| {
            [status.instance_status(), status.system_status()]
                .into_iter()
                .all(|summary| summary.and_then(|s| s.status()) == Some(&SummaryStatus::Ok))
        });
        match (self.is_impaired(id), is_ok && self.targets.is_well(id, &[])) {
            (true, _) => Health::Failed,
            (false, true) => Health::Healthy,
            (false, false) => Health::Doubtful,
        }
    }
}

fn name_of(group: &AutoScalingGroup) -> &str {
    group.auto_scaling_group_name().unwrap_or_default()
}

/// Why a host that does not run cannot be taken, although it is established that it does not serve: it could not be put
/// back. A member that leaves Standby is subject to health checks again, which call every state but running unhealthy
/// (Amazon EC2 Auto Scaling User Guide, "How the standby state works", "Health checks for instances in an Auto Scaling
/// group"); a target must run (Elastic Load Balancing API reference, `RegisterTargets`). Whether `EnterStandby` takes a
/// stopped instance is not documented. One that is out already is left to whoever has it out.
fn stopped(instance: &Instance, membership: &GroupMembership<'_>, is_marked: bool) -> Option<String> {
    let state = instance.state().and_then(|state| state.name())?;
    if !matches!(state, InstanceStateName::Stopping | InstanceStateName::Stopped) {
        return None;
    }
    match membership {
        GroupMembership::Listed(group, member) if member.lifecycle_state() == Some(&LifecycleState::InService) => {
            (!groups::replaces(group)).then(|| {
                format!(
                    "it is {state} and could not be put back as it is; its group {} does not replace it, because health \
                     checks or replacements are suspended there. Start it first, or end it yourself",
                    name_of(group)
                )
            })
        }
        GroupMembership::None if !is_marked => {
            Some(format!("it is {state}, and could not be put back as it is. Start it first, or end it yourself"))
        }
        GroupMembership::Listed(..)
        | GroupMembership::Unlisted(_)
        | GroupMembership::Unclaimed(_)
        | GroupMembership::None => None,
    }
}

fn state_of<'a>(instance: &'a Instance, id: &str) -> Result<&'a InstanceStateName, InventoryError> {
    instance.state().and_then(|s| s.name()).ok_or_else(|| unsaid(&format!("the state of host {id}")))
}

fn unsaid(what: &str) -> InventoryError {
    InventoryError::Unsaid { what: what.to_owned() }
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
