//! Reads a part of the region: some groups with all their members, and some hosts by their ids. Main function: [`read`].
//!
//! Nothing is read in pages that could be asked for by name, so that what is asked for does not wait for what is not.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::{Instance, InstanceStateName, InstanceStatus};

use super::hosts::Inventory;
use super::queries::{VALUES, filter, queries};
use super::tags::{GROUP_TAG, tag};
use super::{AwsFleet, controllers, details, pages, registered};
use crate::model::{Scope, Time};
use crate::ports::FleetError;

/// Reads the groups and hosts of the scope, and the target groups that concern them.
pub(super) async fn read(fleet: &AwsFleet, scope: &Scope, now: Time) -> Result<Inventory, FleetError> {
    let mut names: BTreeSet<String> = scope.groups.iter().map(|name| name.as_str().to_owned()).collect();
    loop {
        let inventory = named(fleet, scope, &names, now).await?;
        // A host that somebody moved: without the group that it is in, its state would be unknown.
        let moved =
            inventory.instances.iter().filter(|instance| !is_terminated(instance)).filter_map(|i| tag(i, GROUP_TAG));
        let others: Vec<String> = moved.filter(|name| !names.contains(*name)).map(str::to_owned).collect();
        if others.is_empty() {
            return Ok(inventory);
        }
        names.extend(others);
    }
}

async fn named(fleet: &AwsFleet, scope: &Scope, names: &BTreeSet<String>, now: Time) -> Result<Inventory, FleetError> {
    let groups = pages::groups_named(fleet, names).await?;
    let states = groups.iter().filter_map(details::state).collect();
    let targeted = async {
        let targets = registered::read(fleet, scope, &groups).await?;
        let controllers = controllers::read(fleet, &targets, now).await?;
        Ok::<_, FleetError>((targets, controllers))
    };
    let (warm, details, (instances, lone), mut statuses, (targets, controllers)) = tokio::try_join!(
        pages::warm_pools(fleet, &groups),
        details::details(fleet, &states, now),
        instances(fleet, scope, &groups, names),
        impaired(fleet),
        targeted,
    )?;
    statuses.extend(lone);
    Ok(Inventory { groups, warm, instances, statuses, targets, controllers, details })
}

/// The instances that are tagged with these groups, those that the groups list, and those of the scope; with the status
/// checks of those outside groups.
async fn instances(
    fleet: &AwsFleet,
    scope: &Scope,
    groups: &[AutoScalingGroup],
    names: &BTreeSet<String>,
) -> Result<(Vec<Instance>, Vec<InstanceStatus>), FleetError> {
    let listed: BTreeSet<&str> =
        groups.iter().flat_map(|group| group.instances()).filter_map(|member| member.instance_id()).collect();
    let elsewhere: Vec<&str> = scope.hosts.iter().map(|id| id.as_str()).filter(|id| !listed.contains(id)).collect();
    let (members, apart) = tokio::try_join!(members(fleet, groups), by_id(fleet, &elsewhere))?;
    let mut all: BTreeMap<String, Instance> = BTreeMap::new();
    let mut take = |found: Vec<Instance>| {
        for instance in found {
            let id = instance.instance_id().unwrap_or_default();
            let is_asked = || listed.contains(id) || scope.hosts.contains(id);
            if tag(&instance, GROUP_TAG).is_some_and(|name| names.contains(name)) || is_asked() {
                all.entry(id.to_owned()).or_insert(instance);
            }
        }
    };
    take(members);
    take(apart);
    // A member that its tag does not tell of, because EC2's lists lag or nobody may see its tag.
    let missing: Vec<&str> = listed.into_iter().filter(|id| !all.contains_key(*id)).collect();
    let missing = by_id(fleet, &missing).await?;
    all.extend(missing.into_iter().filter_map(|instance| Some((instance.instance_id.clone()?, instance))));
    let is_lone = |instance: &&Instance| is_running(instance) && tag(instance, GROUP_TAG).is_none();
    let lone: Vec<&str> = all.values().filter(is_lone).filter_map(|instance| instance.instance_id()).collect();
    let statuses = pages::statuses_of(fleet, &lone).await?;
    Ok((all.into_values().collect(), statuses))
}

async fn members(fleet: &AwsFleet, groups: &[AutoScalingGroup]) -> Result<Vec<Instance>, FleetError> {
    let queries = queries(groups, usize::try_from(fleet.timeouts.page).unwrap_or(1));
    let filters: Vec<_> = queries.iter().map(|query| query.filters()).collect();
    pages::in_parts(filters, |filters| pages::instances(fleet, Some(filters))).await
}

/// By a filter: by its id one that EC2 has forgotten would be an error for all.
async fn by_id(fleet: &AwsFleet, ids: &[&str]) -> Result<Vec<Instance>, FleetError> {
    let filters: Vec<_> = ids.chunks(VALUES).map(|ids| vec![filter("instance-id", ids.iter().copied())]).collect();
    pages::in_parts(filters, |filters| pages::instances(fleet, Some(filters))).await
}

/// The instances whose own checks fail. Of a member nothing else of its status counts, and in a large region these are few.
async fn impaired(fleet: &AwsFleet) -> Result<Vec<InstanceStatus>, FleetError> {
    let by = |check: &str| Some(vec![filter(check, ["impaired"])]);
    let (own, system) = tokio::try_join!(
        pages::statuses(fleet, by("instance-status.status")),
        pages::statuses(fleet, by("system-status.status")),
    )?;
    Ok(own.into_iter().chain(system).collect())
}

fn state(instance: &Instance) -> Option<&InstanceStateName> {
    instance.state().and_then(|state| state.name())
}

fn is_running(instance: &Instance) -> bool {
    state(instance) == Some(&InstanceStateName::Running)
}

fn is_terminated(instance: &Instance) -> bool {
    state(instance) == Some(&InstanceStateName::Terminated)
}
