//! Checks made right before an effect, because only a fresh read can show the state, or because the effect would do
//! something other than intended. Each returns the reason not to send.
//!
//! A guard never decides about capacity: that is the task of the choke point, on a whole observation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use aws_sdk_autoscaling::types::{AutoScalingGroup, AutoScalingInstanceDetails};
use aws_sdk_ec2::types::{Filter, Instance, InstanceAttributeName, InstanceStateName};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::AwsFleet;
use super::addresses::{Addresses, Named};
use super::client::CONCURRENCY;
use super::errors;
use super::marker::{KEY, Marker, Registration, short};
use super::pages::target_health;
use super::tags::{GROUP_TAG, tag};
use super::targets::{is_deregistered, is_draining};
use crate::model::{CallOutcome, GroupName, HostId, HostTargets, TargetGroupId};
use crate::ports::FleetError;

/// How long AWS is asked before a restore. A restore that waits is capacity that stays out.
const RESTORE_GUARD: Duration = Duration::from_secs(8);

/// Why nothing was sent.
pub(super) struct NotSent {
    message: String,
    retryable: bool,
}

impl NotSent {
    /// A reason that does not pass by itself.
    pub(super) fn because(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: false }
    }

    /// A reason that passes by itself.
    fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true }
    }

    /// A new call may succeed, with a deadline of its own.
    pub(super) fn too_late(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true }
    }
}

impl From<FleetError> for NotSent {
    fn from(error: FleetError) -> Self {
        let cause = std::error::Error::source(&error).map(|e| format!(": {e}")).unwrap_or_default();
        Self { message: format!("{error}{cause}"), retryable: true }
    }
}

impl From<NotSent> for CallOutcome {
    fn from(NotSent { message, retryable }: NotSent) -> Self {
        Self::Refused { message: format!("nothing was sent: {message}"), retryable }
    }
}

/// The hosts that have termination protection. EC2 reports it for one instance at a time.
pub(super) async fn termination_protected(fleet: &AwsFleet, hosts: &[HostId]) -> Result<BTreeSet<HostId>, FleetError> {
    let read: Vec<(HostId, bool)> = stream::iter(hosts.to_vec())
        .map(|host| async move {
            let answer = fleet
                .clients
                .reads
                .ec2
                .describe_instance_attribute()
                .instance_id(host.as_str())
                .attribute(InstanceAttributeName::DisableApiTermination)
                .send()
                .await
                .map_err(|e| {
                    let tried = format!("read whether {host} has termination protection");
                    errors::provider(&tried, "ec2:DescribeInstanceAttribute", &e)
                })?;
            // S3: an answer without the value does not mean "no".
            let value = answer.disable_api_termination().and_then(|attribute| attribute.value()).unwrap_or(true);
            Ok::<_, FleetError>((host, value))
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut known = fleet.protected.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found = BTreeSet::new();
    for (host, is_protected) in read {
        if is_protected {
            known.insert(host.clone());
            found.insert(host);
        } else {
            known.remove(&host);
        }
    }
    Ok(found)
}

/// Checks that none of the hosts has termination protection. EC2 Auto Scaling ignores it ("does not prevent Amazon EC2
/// Auto Scaling from terminating", User Guide, "Instance scale-in protection"), so only this check honours it for
/// members of groups.
pub(super) async fn unprotected(fleet: &AwsFleet, hosts: &[HostId]) -> Result<(), NotSent> {
    let protected = termination_protected(fleet, hosts).await?;
    if protected.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = protected.iter().map(HostId::as_str).collect();
    Err(NotSent::because(format!("termination protection is on for {}", names.join(", "))))
}

/// Checks that the host is in Standby in that group, and not protected from scale-in. Terminating a member that is back
/// in service, without lowering desired capacity, would launch another in its place.
pub(super) async fn in_standby(fleet: &AwsFleet, group: &GroupName, host: &HostId) -> Result<(), NotSent> {
    let answer =
        fleet.clients.reads.autoscaling.describe_auto_scaling_instances().instance_ids(host.as_str()).send().await;
    let answer = answer.map_err(|e| {
        errors::provider(&format!("read the state of {host}"), "autoscaling:DescribeAutoScalingInstances", &e)
    })?;
    let member = answer
        .auto_scaling_instances()
        .iter()
        .find(|member| member.instance_id() == Some(host.as_str()))
        .ok_or_else(|| NotSent::because(format!("{host} is in no Auto Scaling group")))?;
    let (actual, state) = (member.auto_scaling_group_name(), member.lifecycle_state().unwrap_or("in no state"));
    if actual != Some(group.as_str()) {
        return Err(NotSent::because(format!("{host} is in group {}, not {group}", actual.unwrap_or("of no name"))));
    }
    if state != "Standby" {
        return Err(NotSent::because(format!("{host} is {state}, not Standby")));
    }
    if member.protected_from_scale_in().unwrap_or(false) {
        return Err(NotSent::because(format!("{host} is protected from scale-in")));
    }
    Ok(())
}

/// Checks that every host is in Standby in that group, and runs. AWS raises desired capacity for each: for one that is
/// dead the group would launch another (User Guide, "Temporarily remove instances from your Auto Scaling group":
/// a member that leaves Standby is subject to health checks again).
///
/// Where AWS cannot be asked nothing is refused: a host too many is better than capacity that stays out (S7).
pub(super) async fn restorable(fleet: &AwsFleet, group: &GroupName, hosts: &[HostId]) -> Result<(), NotSent> {
    let ids = || Some(hosts.iter().map(|host| host.as_str().to_owned()).collect());
    let members = fleet.clients.reads.autoscaling.describe_auto_scaling_instances().set_instance_ids(ids()).send();
    // By a filter: by its id one that EC2 has forgotten would be an error for all.
    let by_id = Filter::builder().name("instance-id").set_values(ids()).build();
    let instances = fleet.clients.reads.ec2.describe_instances().filters(by_id).send();
    let both = async { tokio::join!(members, instances) };
    let Ok((Ok(members), Ok(instances))) = tokio::time::timeout(RESTORE_GUARD, both).await else { return Ok(()) };
    let states: BTreeMap<&str, &InstanceStateName> = instances
        .reservations()
        .iter()
        .flat_map(|reservation| reservation.instances())
        .filter_map(|instance| Some((instance.instance_id()?, instance.state()?.name()?)))
        .collect();
    let (mut passing, mut bad) = (Vec::new(), Vec::new());
    for host in hosts {
        let is_it = |member: &&AutoScalingInstanceDetails| member.instance_id() == Some(host.as_str());
        let Some(member) = members.auto_scaling_instances().iter().find(is_it) else {
            bad.push(format!("{host} is in no Auto Scaling group"));
            continue;
        };
        let (actual, state) = (member.auto_scaling_group_name(), member.lifecycle_state().unwrap_or("in no state"));
        if actual != Some(group.as_str()) {
            bad.push(format!("{host} is in group {}, not {group}", actual.unwrap_or("of no name")));
        } else if state == "EnteringStandby" {
            passing.push(format!("{host} is {state}, not Standby yet"));
        } else if state != "Standby" {
            bad.push(format!("{host} is {state}, not Standby"));
        } else if let Some(state) = states.get(host.as_str()).filter(|state| ***state != InstanceStateName::Running) {
            bad.push(format!("{host} is {state}: to put it back would launch another"));
        } else if !states.contains_key(host.as_str()) {
            bad.push(format!("EC2 does not know {host}: to put it back would launch another"));
        }
    }
    match (bad.is_empty(), passing.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(NotSent::passing(passing.join(", "))),
        (false, _) => Err(NotSent::because(bad.join(", "))),
    }
}

/// Checks that the group's MinSize is what was seen, in hosts, and that another one launches nothing: "If a new value for
/// MinSize is specified without setting DesiredCapacity, and the new MinSize is larger than the current size of the group, this
/// sets the group's DesiredCapacity to the new MinSize value" (API reference, `UpdateAutoScalingGroup`).
pub(super) async fn raisable(fleet: &AwsFleet, group: &GroupName, from: u64, to: u64) -> Result<i32, NotSent> {
    let answer =
        fleet.clients.reads.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(group.as_str()).send();
    let answer = answer.await.map_err(|e| {
        errors::provider(&format!("describe group {group}"), "autoscaling:DescribeAutoScalingGroups", &e)
    })?;
    let named = answer.auto_scaling_groups().iter().find(|of| of.auto_scaling_group_name() == Some(group.as_str()));
    let of = named.ok_or_else(|| NotSent::because(format!("there is no group {group}")))?;
    if counts_units(of) {
        return Err(NotSent::because(format!("the sizes of group {group} are not in hosts")));
    }
    let size = |size: Option<i32>| size.and_then(|size| u64::try_from(size).ok());
    let (is, desired) = (size(of.min_size()), size(of.desired_capacity()));
    if is != Some(from) {
        let is = is.map_or_else(|| "not listed".to_owned(), |is| is.to_string());
        return Err(NotSent::because(format!("MinSize of group {group} is {is}, not {from}")));
    }
    if to <= from || desired.is_none_or(|desired| to > desired) {
        let why = format!("a MinSize of {to} is not between the one of group {group} and its desired capacity");
        return Err(NotSent::because(why));
    }
    i32::try_from(to).map_err(|_| NotSent::because(format!("a MinSize of {to} is none")))
}

/// Whether the group's sizes are in units of its own: weights, or what `DesiredCapacityType` says.
fn counts_units(of: &AutoScalingGroup) -> bool {
    let policy = of.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let mut overrides = policy.map(|template| template.overrides()).unwrap_or_default().iter();
    overrides.any(|of| of.weighted_capacity().is_some()) || of.desired_capacity_type().is_some_and(|of| of != "units")
}

/// Describes the hosts, and checks that each is running and in no group.
pub(super) async fn outside_groups(fleet: &AwsFleet, hosts: &[HostId]) -> Result<BTreeMap<HostId, Instance>, NotSent> {
    // Without ids EC2 would describe all instances.
    if hosts.is_empty() {
        return Err(NotSent::because("no host is named"));
    }
    let ids = hosts.iter().map(|host| host.as_str().to_owned()).collect();
    let answer = fleet.clients.reads.ec2.describe_instances().set_instance_ids(Some(ids)).send().await;
    let answer = answer.map_err(|e| errors::provider("describe the hosts of the call", "ec2:DescribeInstances", &e))?;
    let mut described: BTreeMap<HostId, Instance> = answer
        .reservations
        .unwrap_or_default()
        .into_iter()
        .flat_map(|reservation| reservation.instances.unwrap_or_default())
        .filter_map(|instance| Some((HostId::new(instance.instance_id()?), instance)))
        .collect();
    let mut found = BTreeMap::new();
    for host in hosts {
        let instance = described.remove(host).ok_or_else(|| NotSent::because(format!("EC2 does not know {host}")))?;
        if instance.state().and_then(|s| s.name()) != Some(&InstanceStateName::Running) {
            return Err(NotSent::because(format!("{host} is not running")));
        }
        if let Some(group) = tag(&instance, GROUP_TAG) {
            return Err(NotSent::because(format!("{host} is in group {group}, which would replace it")));
        }
        found.insert(host.clone(), instance);
    }
    Ok(found)
}

/// Checks that the instance has a marker that says it was cordoned.
pub(super) fn marked(host: &HostId, instance: &Instance) -> Result<(), NotSent> {
    if tag(instance, KEY).is_none() {
        return Err(NotSent::because(format!("{host} is not cordoned: it has no tag {KEY}")));
    }
    Ok(())
}

/// The registrations of each host now in those target groups, without draining ones.
#[derive(Debug, Default)]
pub(super) struct Registered {
    targets: BTreeMap<(HostId, TargetGroupId), BTreeSet<Registration>>,
    /// Target groups that no longer exist.
    pub(super) missing: BTreeSet<TargetGroupId>,
}

impl Registered {
    /// Reads the target groups that the hosts were seen in. `described` are the hosts' instances.
    pub(super) async fn read(
        fleet: &AwsFleet,
        hosts: &HostTargets,
        described: &BTreeMap<HostId, Instance>,
    ) -> Result<Self, NotSent> {
        let groups: BTreeSet<TargetGroupId> = hosts.values().flatten().cloned().collect();
        let health: Vec<(TargetGroupId, Option<_>)> = stream::iter(groups)
            .map(|group| async move {
                let targets = target_health(fleet, group.as_str()).await?;
                Ok::<_, FleetError>((group, targets))
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut all = Self::default();
        for (group, targets) in health {
            let Some(targets) = targets else {
                all.missing.insert(group);
                continue;
            };
            for target in targets {
                if is_draining(target.target_health()) || is_deregistered(target.target_health()) {
                    continue;
                }
                let Some(target) = target.target() else { continue };
                let is_in = |host: &HostId| hosts.get(host).is_some_and(|groups| groups.contains(&group));
                for (host, instance) in described.iter().filter(|(host, _)| is_in(host)) {
                    // That the host is in this target group was found by the group's VPC; here it is in one of the host's.
                    let addresses = Addresses::of([instance]);
                    let by = vpcs(instance).find_map(|vpc| match addresses.named(target, Some(vpc)) {
                        Named::Host(id, by) => (id == host.as_str()).then_some(by),
                        Named::Perhaps(_) | Named::Nobody => None,
                    });
                    if let Some((by, port)) = by.zip(target.port()) {
                        let found = Registration::new(&group, by, Some(port));
                        all.targets.entry((host.clone(), group.clone())).or_default().insert(found);
                    }
                }
            }
        }
        Ok(all)
    }

    /// The host's registrations in the target group; empty where it has none.
    pub(super) fn of(&self, host: &HostId, group: &TargetGroupId) -> BTreeSet<Registration> {
        self.targets.get(&(host.clone(), group.clone())).cloned().unwrap_or_default()
    }
}

/// The registrations in that target group that the instance's own marker records.
pub(super) fn recorded(instance: &Instance, group: &TargetGroupId) -> BTreeSet<Registration> {
    let tags = instance
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect();
    let mut found = Marker::read(&tags).ok().flatten().map(|marker| marker.registrations).unwrap_or_default();
    found.retain(|registration| registration.target_group == short(group));
    found
}

/// A registration at the target group's own port, for where no other is known.
pub(super) fn at_default_port(group: &TargetGroupId) -> BTreeSet<Registration> {
    BTreeSet::from([Registration::new(group, None, None)])
}

/// The VPCs that an instance has an interface in. An instance that is described without one may have ids alone.
fn vpcs(instance: &Instance) -> impl Iterator<Item = &str> {
    let of_interfaces = instance.network_interfaces().iter().filter_map(|interface| interface.vpc_id());
    instance.vpc_id().into_iter().chain(of_interfaces).chain([""])
}
