//! The details of groups: what changes rarely and costs several calls a group. Main function: [`details`].

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

use aws_sdk_autoscaling::types::{
    Activity, AutoScalingGroup, Instance as Member, ScalingPolicy, ScheduledUpdateGroupAction,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::AwsFleet;
use super::client::{CONCURRENCY, DETAIL_AGE};
use super::groups::Detail;
use super::pages::{in_parts, pages};
use crate::model::{GroupName, Time};
use crate::ports::FleetError;

/// How many groups' details are read again with one look, if nothing but their age asks for it: those of a large fleet do
/// not all come due with one look, which would wait for the account's tokens.
const IN_TURN: usize = 4;

/// Details that wait for their turn are never older than this many times [`DETAIL_AGE`].
const TURNS: u32 = 5;

/// From so many groups on the whole region's scheduled actions and scaling policies cost less than each group's own.
const LISTED_FROM: usize = 8;

/// The detail of a group as it was read.
#[derive(Debug)]
pub(super) struct Remembered {
    at: Time,
    /// The group's members with their states, and its desired capacity, as a hash. Whatever changes these is an activity.
    state: u64,
    detail: Detail,
}

/// A group's name, and the hash of its state.
pub(super) fn state(group: &AutoScalingGroup) -> Option<(String, u64)> {
    Some((group.auto_scaling_group_name.clone()?, state_of(group)))
}

fn state_of(group: &AutoScalingGroup) -> u64 {
    let mut hash = DefaultHasher::new();
    group.desired_capacity().hash(&mut hash);
    let state = |member: &Member| (member.instance_id().map(str::to_owned), member.lifecycle_state().cloned());
    let members: BTreeMap<_, _> =
        group.instances().iter().map(state).map(|(id, state)| (id, state.map(|s| s.as_str().to_owned()))).collect();
    members.hash(&mut hash);
    hash.finish()
}

/// The detail of each of these groups, given with the hash of its [`state`], from memory where that is young enough. The activities of a group are read again as soon as
/// its members change: they say why.
pub(super) async fn details(
    fleet: &AwsFleet,
    states: &BTreeMap<String, u64>,
    now: Time,
) -> Result<BTreeMap<String, Detail>, FleetError> {
    let (mut missing, mut due, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    {
        let known = fleet.details.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, state) in states {
            match known.get(name.as_str()) {
                Some(known) if known.at <= now && now.since(known.at) < DETAIL_AGE * TURNS => {
                    if now.since(known.at) >= DETAIL_AGE {
                        due.push((known.at, name));
                    }
                    if known.state != *state {
                        changed.push(name.clone());
                    }
                }
                Some(_) | None => missing.push(name.clone()),
            }
        }
    }
    due.sort();
    missing.extend(due.into_iter().take(IN_TURN).map(|(_, name)| name.clone()));
    changed.retain(|name| !missing.contains(name));
    if !missing.is_empty() {
        let of = (missing.len() < LISTED_FROM).then_some(&missing);
        let (scheduled, policies) = tokio::try_join!(scheduled_actions(fleet, of), scaling_policies(fleet, of))?;
        let (scheduled, policies) = (&scheduled, &policies);
        let read: Vec<(String, Detail)> = stream::iter(missing)
            .map(|name| async move {
                let mut detail = detail(fleet, &name).await?;
                detail.scheduled = scheduled.get(&name).cloned().unwrap_or_default();
                detail.policies = policies.get(&name).cloned().unwrap_or_default();
                Ok::<_, FleetError>((name, detail))
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut known = fleet.details.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(read.into_iter().map(|(name, detail)| {
            let state = states.get(&name).copied().unwrap_or_default();
            (GroupName::new(name), Remembered { at: now, state, detail })
        }));
    }
    let read: Vec<(String, Vec<Activity>)> = stream::iter(changed)
        .map(|name| async move { Ok::<_, FleetError>((name.clone(), read_activities(fleet, &name).await?)) })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut known = fleet.details.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, activities) in read {
        if let (Some(known), Some(state)) = (known.get_mut(name.as_str()), states.get(&name)) {
            (known.state, known.detail.activities) = (*state, activities);
        }
    }
    Ok(states.keys().filter_map(|name| Some((name.clone(), known.get(name.as_str())?.detail.clone()))).collect())
}

/// One page, newest first: what is older than a hundred activities says nothing about today.
async fn read_activities(fleet: &AwsFleet, group: &str) -> Result<Vec<Activity>, FleetError> {
    let read = fleet.autoscaling().await.describe_scaling_activities();
    let answer = read.auto_scaling_group_name(group).max_records(100).send().await.map_err(|e| {
        super::errors::provider(&format!("read the activities of {group}"), "autoscaling:DescribeScalingActivities", &e)
    })?;
    Ok(answer.activities.unwrap_or_default())
}

async fn detail(fleet: &AwsFleet, group: &str) -> Result<Detail, FleetError> {
    let hooks = async {
        let answer =
            fleet.autoscaling().await.describe_lifecycle_hooks().auto_scaling_group_name(group).send().await.map_err(
                |e| {
                    super::errors::provider(
                        &format!("read the lifecycle hooks of {group}"),
                        "autoscaling:DescribeLifecycleHooks",
                        &e,
                    )
                },
            )?;
        Ok::<_, FleetError>(answer.lifecycle_hooks.unwrap_or_default())
    };
    let refreshes = async {
        // One page, newest first: a group has one refresh at a time.
        let answer =
            fleet.autoscaling().await.describe_instance_refreshes().auto_scaling_group_name(group).send().await;
        let answer = answer.map_err(|e| {
            super::errors::provider(
                &format!("read the instance refreshes of {group}"),
                "autoscaling:DescribeInstanceRefreshes",
                &e,
            )
        })?;
        Ok::<_, FleetError>(answer.instance_refreshes.unwrap_or_default())
    };
    let (activities, hooks, refreshes) = tokio::try_join!(read_activities(fleet, group), hooks, refreshes)?;
    Ok(Detail { activities, hooks, refreshes, ..Detail::default() })
}

/// Whom a list is asked for: each of these groups, or all at once.
fn each(of: Option<&Vec<String>>) -> Vec<Option<String>> {
    of.map_or_else(|| vec![None], |names| names.iter().cloned().map(Some).collect())
}

/// The scaling policies of these groups, or of all.
async fn scaling_policies(
    fleet: &AwsFleet,
    of: Option<&Vec<String>>,
) -> Result<BTreeMap<String, Vec<ScalingPolicy>>, FleetError> {
    let tried = format!("list the scaling policies in {}", fleet.region());
    let tried = &tried;
    let policies: Vec<ScalingPolicy> = in_parts(each(of), |group| async move {
        pages(tried, async |token| {
            let read = fleet.autoscaling().await.describe_policies().set_auto_scaling_group_name(group.clone());
            let page = read.max_records(100).set_next_token(token).send().await;
            let page = page.map_err(|e| super::errors::provider(tried, "autoscaling:DescribePolicies", &e))?;
            Ok((page.scaling_policies.unwrap_or_default(), page.next_token))
        })
        .await
    })
    .await?;
    Ok(by_group(policies, |policy| policy.auto_scaling_group_name.clone()))
}

/// The scheduled actions of these groups, or of all.
async fn scheduled_actions(
    fleet: &AwsFleet,
    of: Option<&Vec<String>>,
) -> Result<BTreeMap<String, Vec<ScheduledUpdateGroupAction>>, FleetError> {
    let tried = format!("list the scheduled actions in {}", fleet.region());
    let tried = &tried;
    let actions: Vec<ScheduledUpdateGroupAction> = in_parts(each(of), |group| async move {
        pages(tried, async |token| {
            let read =
                fleet.autoscaling().await.describe_scheduled_actions().set_auto_scaling_group_name(group.clone());
            let page = read.max_records(100).set_next_token(token).send().await;
            let page = page.map_err(|e| super::errors::provider(tried, "autoscaling:DescribeScheduledActions", &e))?;
            Ok((page.scheduled_update_group_actions.unwrap_or_default(), page.next_token))
        })
        .await
    })
    .await?;
    Ok(by_group(actions, |action| action.auto_scaling_group_name.clone()))
}

fn by_group<T>(items: Vec<T>, group: impl Fn(&T) -> Option<String>) -> BTreeMap<String, Vec<T>> {
    let mut all: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for item in items {
        if let Some(group) = group(&item) {
            all.entry(group).or_default().push(item);
        }
    }
    all
}
