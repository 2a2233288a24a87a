//! Converts Auto Scaling's description of a group to the model's. Main function: [`group`]. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_autoscaling::types::{
    Activity, AutoScalingGroup, Instance, InstanceRefresh, LifecycleHook, LifecycleState, ScalingActivityStatusCode,
    ScalingPolicy, ScheduledUpdateGroupAction,
};

use super::LEDGER_TAG;
use super::changes::{names, own_changes, refreshing};
use crate::model::{Group, GroupName, InventoryError, LedgerId, Obstacle, ObstacleKind, Process, Time};

/// The lifecycle transition of hooks that hold members on their way out.
pub(super) const TERMINATING: &str = "autoscaling:EC2_INSTANCE_TERMINATING";

/// The heartbeat timeout of a hook that does not state one, in seconds (API reference, `PutLifecycleHook`).
pub(super) const HEARTBEAT: i32 = 3600;

/// The part of a group's description that costs a call per group, and changes rarely.
#[derive(Clone, Debug, Default)]
pub(super) struct Detail {
    /// The latest activities, newest first.
    pub(super) activities: Vec<Activity>,
    /// The group's lifecycle hooks.
    pub(super) hooks: Vec<LifecycleHook>,
    /// The scheduled actions that set the group's sizes.
    pub(super) scheduled: Vec<ScheduledUpdateGroupAction>,
    /// The group's scaling policies.
    pub(super) policies: Vec<ScalingPolicy>,
    /// The latest instance refreshes, newest first.
    pub(super) refreshes: Vec<InstanceRefresh>,
}

/// How old a failed launch may be to show that launches fail now. A group that is short keeps trying, and AWS suspends
/// its launches after a day of failures (Amazon EC2 Auto Scaling User Guide, "Suspend and resume processes",
/// "Administrative suspension").
const LAUNCH_FAILURE_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The model's view of a group with `members` members (in any state, gone ones left out).
pub(super) fn group(
    group: &AutoScalingGroup,
    detail: &Detail,
    members: u64,
    now: Time,
) -> Result<Group, InventoryError> {
    let name = GroupName::new(group.auto_scaling_group_name().unwrap_or_default());
    let size = |value: Option<i32>, what: &str| {
        value
            .and_then(|n| u64::try_from(n).ok())
            .ok_or_else(|| InventoryError::Unsaid { what: format!("the {what} of group {name}") })
    };
    let stated = Sizes {
        min: size(group.min_size(), "minimum size")?,
        max: size(group.max_size(), "maximum size")?,
        desired: size(group.desired_capacity(), "desired capacity")?,
    };
    let weights = weights(group)?;
    let sizes = weights.as_deref().map_or(stated, |weights| stated.in_hosts(weights));
    let suspended: BTreeSet<&str> = group.suspended_processes().iter().filter_map(|p| p.process_name()).collect();
    Ok(Group {
        min_size: sizes.min,
        max_size: sizes.max,
        desired: sizes.desired,
        stated_members: members,
        launch_failure: launch_failure(&detail.activities, now),
        ledger: group
            .tags()
            .iter()
            .find(|tag| tag.key() == Some(LEDGER_TAG))
            .and_then(|tag| tag.value())
            .map(LedgerId::from),
        suspended: suspended.contains("AZRebalance").then_some(Process::AzRebalance).into_iter().collect(),
        // Set only while `DeleteAutoScalingGroup` is in progress (API reference, `AutoScalingGroup.Status`).
        deleting: group.status().is_some_and(|status| !status.is_empty()),
        obstacles: obstacles(group, detail, &suspended, &name),
        changes: own_changes(&detail.scheduled, &detail.policies, &suspended, now),
        notes: notes(group, detail, weights.is_some(), &suspended),
        name,
    })
}

/// A group's sizes, in hosts or in the units of its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    min: u64,
    max: u64,
    desired: u64,
}

impl Sizes {
    /// Converts sizes from units to hosts. A mixed instances policy with weights counts sizes in units; they are
    /// converted at the heaviest weight, so that never more hosts may leave or return than AWS would allow, whichever
    /// they are. `weights` are those of the members outside Standby. Where they do not add up to desired capacity (they
    /// may exceed it by less than the heaviest weight), the group is changing its size, and is given one host more than
    /// it has.
    fn in_hosts(self, weights: &[u64]) -> Self {
        let heaviest = weights.iter().copied().max().unwrap_or(1).max(1);
        let (units, hosts) = (weights.iter().sum::<u64>(), weights.len() as u64);
        let settled = units >= self.desired && units - self.desired < heaviest;
        let desired = if settled { hosts } else { hosts + 1 };
        Self {
            min: desired.saturating_sub(self.desired.saturating_sub(self.min) / heaviest),
            max: desired.saturating_add(self.max.saturating_sub(self.desired) / heaviest),
            desired,
        }
    }
}

/// The weights of the members that count towards desired capacity; `None` for a group without weights.
fn weights(group: &AutoScalingGroup) -> Result<Option<Vec<u64>>, InventoryError> {
    let weighs = group
        .mixed_instances_policy()
        .and_then(|policy| policy.launch_template())
        .is_some_and(|template| template.overrides().iter().any(|o| o.weighted_capacity().is_some()));
    if !weighs {
        return Ok(None);
    }
    let counted = group.instances().iter().filter(|member| counts_as_desired(member));
    let weight = |member: &Instance| {
        member.weighted_capacity().and_then(|w| w.parse().ok()).filter(|&w| w > 0).ok_or_else(|| {
            InventoryError::Unsaid { what: format!("the weight of {}", member.instance_id().unwrap_or("a member")) }
        })
    };
    counted.map(weight).collect::<Result<_, _>>().map(Some)
}

fn counts_as_desired(member: &Instance) -> bool {
    matches!(
        member.lifecycle_state(),
        Some(
            LifecycleState::InService
                | LifecycleState::Pending
                | LifecycleState::PendingProceed
                | LifecycleState::PendingWait
        )
    )
}

/// Why the newest finished launch failed, if it did: "If an attempt to launch instances failed, the StatusCode value is Failed
/// or Cancelled and the StatusMessage provides more information" (API reference, `DescribeScalingActivities`). One that was
/// cancelled without a message did not fail, and says nothing of others.
fn launch_failure(activities: &[Activity], now: Time) -> Option<String> {
    let is_launch = |a: &&Activity| a.description().is_some_and(|d| d.starts_with("Launching"));
    let has_ended = |a: &&Activity| match a.status_code() {
        Some(ScalingActivityStatusCode::Failed | ScalingActivityStatusCode::Successful) => true,
        Some(ScalingActivityStatusCode::Cancelled) => a.status_message().is_some_and(|why| !why.is_empty()),
        _ => false,
    };
    let started = |a: &&Activity| a.start_time().and_then(|t| t.to_millis().ok());
    let newest = activities.iter().filter(is_launch).filter(has_ended).max_by_key(started)?;
    let age = started(&newest).map_or(Duration::ZERO, |at| now.since(Time::from_millis(at)));
    if newest.status_code() == Some(&ScalingActivityStatusCode::Successful) || age > LAUNCH_FAILURE_AGE {
        return None;
    }
    Some(newest.status_message().unwrap_or("a launch failed; AWS does not say why").to_owned())
}

/// What the group's settings have against taking any of its members.
///
/// Sources: Amazon EC2 Auto Scaling User Guide, "Suspend and resume processes" (with Launch suspended "you can't return an
/// instance in a standby state to service"; without AddToLoadBalancer instances are not added to the load balancer), "How
/// lifecycle hooks work" and "Amazon EC2 Auto Scaling instance lifecycle" (a member that leaves Standby is pending, and a
/// launch hook's default result is ABANDON, which ends it), "Warm pools" (an instance reuse policy returns members to the
/// pool), "Instance refresh" (Standby instances make it wait for an hour, or are terminated); API reference,
/// `DesiredCapacityType`. docs/aws.md says which of these were measured.
fn obstacles(group: &AutoScalingGroup, detail: &Detail, suspended: &BTreeSet<&str>, name: &GroupName) -> Vec<Obstacle> {
    use ObstacleKind::{NotRemovable, WayBack};
    let mut found = Vec::new();
    let mut add = |applies: bool, kind, why: String| {
        if applies {
            found.push(Obstacle::new(kind, why));
        }
    };
    let is_routed = has_load_balancer(group);
    add(suspended.contains("Launch"), WayBack, format!("Launch is suspended on its group {name}"));
    add(
        is_routed && suspended.contains("AddToLoadBalancer"),
        WayBack,
        format!("AddToLoadBalancer is suspended on its group {name}, so it would get no work"),
    );
    for hook in &detail.hooks {
        let ends = hook.lifecycle_transition() == Some("autoscaling:EC2_INSTANCE_LAUNCHING")
            && hook.default_result().is_none_or(|result| result == "ABANDON");
        let hook = hook.lifecycle_hook_name().unwrap_or("without a name");
        let why = format!(
            "launch hook {hook} of its group {name} ends a host whose hook nobody answers in time (its default result is \
             ABANDON)"
        );
        add(ends, WayBack, why);
    }
    let reuse = group.warm_pool_configuration().and_then(|pool| pool.instance_reuse_policy());
    add(
        reuse.is_some_and(|policy| policy.reuse_on_scale_in() == Some(true)),
        NotRemovable,
        format!("the warm pool of its group {name} takes it back and reuses it (ReuseOnScaleIn), so it is never gone"),
    );
    add(
        suspended.contains("Terminate"),
        NotRemovable,
        format!("Terminate is suspended on its group {name}: somebody wants none of its members to go"),
    );
    if let Some(refresh) = refreshing(&detail.refreshes) {
        let why = format!(
            "instance refresh {refresh} is replacing the members of its group {name}, and does not go with standby"
        );
        add(true, NotRemovable, why);
    }
    if let Some(unit) = group.desired_capacity_type().filter(|unit| !unit.is_empty() && *unit != "units") {
        add(true, NotRemovable, format!("the sizes of its group {name} are in {unit}, not in hosts"));
    }
    found
}

/// Whether the group ends members that fail its health checks. It notices them with HealthCheck, and ends them with
/// ReplaceUnhealthy and Terminate (Amazon EC2 Auto Scaling User Guide, "Suspend and resume processes").
pub(super) fn replaces(group: &AutoScalingGroup) -> bool {
    let needed = ["HealthCheck", "ReplaceUnhealthy", "Terminate"];
    !group.suspended_processes().iter().filter_map(|p| p.process_name()).any(|name| needed.contains(&name))
}

/// The target groups that standby takes a member out of: those attached to the group, in either of the two ways.
pub(super) fn target_groups(group: &AutoScalingGroup) -> BTreeSet<&str> {
    let sources = group.traffic_sources().iter().filter(|source| source.r#type() == Some("elbv2"));
    let sources = sources.filter_map(|source| source.identifier());
    group.target_group_arns().iter().map(String::as_str).chain(sources).collect()
}

fn has_load_balancer(group: &AutoScalingGroup) -> bool {
    !(group.target_group_arns().is_empty()
        && group.load_balancer_names().is_empty()
        && group.traffic_sources().is_empty())
}

/// The tags that the group gives its members as they are launched.
pub(super) fn launch_tags(group: &AutoScalingGroup) -> BTreeMap<String, String> {
    let given = group.tags().iter().filter(|tag| tag.propagate_at_launch() == Some(true));
    given.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

/// What people should know before they remove members of this group.
fn notes(group: &AutoScalingGroup, detail: &Detail, weighs: bool, suspended: &BTreeSet<&str>) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |applies: bool, text: String| {
        if applies {
            notes.push(text);
        }
    };
    for hook in &detail.hooks {
        note(
            hook.lifecycle_transition() == Some(TERMINATING),
            format!(
                "lifecycle hook {} may hold a terminated member in Terminating:Wait for up to {} s: it is out of service all that time",
                hook.lifecycle_hook_name().unwrap_or("without a name"),
                hook.heartbeat_timeout().unwrap_or(HEARTBEAT),
            ),
        );
    }
    note(
        group.warm_pool_configuration().is_some(),
        "it has a warm pool: warm instances are neither capacity nor candidates".to_owned(),
    );
    note(weighs, "it weighs its instance types: its sizes are given in hosts of the heaviest weight".to_owned());
    let policies = names(&detail.policies, suspended).join(", ");
    note(!policies.is_empty(), format!("scaling policies may change its size during the run: {policies}"));
    // Amazon ECS Developer Guide, "Use managed termination protection".
    note(
        group.tags().iter().any(|tag| tag.key() == Some("AmazonECSManaged")),
        "Amazon ECS manages it, and may protect the hosts that run its tasks from scale-in: such hosts are neither capacity \
         nor candidates"
            .to_owned(),
    );
    note(group.capacity_rebalance() == Some(true), "capacity rebalancing may replace its Spot members".to_owned());
    note(
        group.max_instance_lifetime().is_some_and(|seconds| seconds > 0),
        "it replaces members that reach its maximum instance lifetime".to_owned(),
    );
    let others: Vec<&str> = group
        .load_balancer_names()
        .iter()
        .map(String::as_str)
        .chain(
            group
                .traffic_sources()
                .iter()
                .filter(|source| source.r#type().is_some_and(|kind| kind != "elbv2"))
                .filter_map(|source| source.identifier()),
        )
        .collect();
    note(!others.is_empty(), format!("the health that these report is not read: {}", others.join(", ")));
    note(
        others.is_empty() && group.target_group_arns().is_empty(),
        "no load balancer sends its members work: a member in standby may go on working, and a bake proves less"
            .to_owned(),
    );
    note(
        suspended.contains("HealthCheck"),
        "HealthCheck is suspended: the group no longer notices members that fail".to_owned(),
    );
    notes
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
