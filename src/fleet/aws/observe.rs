//! Reads every page of everything, in parallel where one list does not depend on another. Main function: [`observe`].
//!
//! The SDK's own paginators silently end a list where a page token repeats, so a fault would become a partial
//! inventory. Therefore this module reads the pages itself.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

use aws_sdk_autoscaling::types::{
    Activity, AutoScalingGroup, Instance as Member, ScalingPolicy, ScheduledUpdateGroupAction,
};
use aws_sdk_ec2::types::{Instance, InstanceStatus};
use aws_sdk_elasticloadbalancingv2::types::{TargetGroup, TargetHealthDescription, TargetTypeEnum};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::client::CONCURRENCY;
use super::groups::Detail;
use super::hosts::{self, Assembled, Inventory};
use super::{AwsFleet, activities, controllers, held};
use crate::model::{FleetMark, FleetSnapshot, GroupName, Time};
use crate::ports::FleetError;

/// The most pages of one list: a hundred thousand hosts at a hundred a page.
const PAGES: usize = 1_000;

/// Observes the whole fleet, and once more where the lists contradict each other.
pub(super) async fn observe(fleet: &AwsFleet) -> Result<FleetSnapshot, FleetError> {
    let answer = observe_once(fleet).await;
    let is_contradictory = match &answer {
        Ok(snapshot) => !snapshot.contradictions.is_empty(),
        Err(error) => matches!(error, FleetError::Inventory(_)),
    };
    if !is_contradictory {
        return answer;
    }
    // An instance launched or terminated between two lists is in one of them only. That passes.
    tokio::time::sleep(fleet.timeouts.reread).await;
    observe_once(fleet).await
}

async fn observe_once(fleet: &AwsFleet) -> Result<FleetSnapshot, FleetError> {
    let begun_at = super::now();
    let inventory = read(fleet, begun_at).await;
    // A clock that is off makes AWS refuse signatures, so the clock is the better explanation.
    fleet.clock.verdict()?;
    let inventory = inventory?;
    let protected = fleet.protected.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Assembled { hosts, groups, contradictions } = hosts::assemble(&inventory, &protected, begun_at)?;
    let snapshot = FleetSnapshot::new(begun_at, super::now(), hosts, groups, FleetMark::OnHosts)?;
    let told = activities::Told::of(&inventory.details);
    let snapshot = snapshot.with_contradictions(contradictions).with_held(held::held(&inventory));
    // What AWS does once a host is terminated in Standby, nobody has documented.
    Ok(snapshot.with_departures(told.departures).with_launches(told.launches).proving_removals(true))
}

async fn read(fleet: &AwsFleet, now: Time) -> Result<Inventory, FleetError> {
    let grouped = async {
        let groups = groups(fleet).await?;
        let (warm, details) = tokio::try_join!(warm_pools(fleet, &groups), details(fleet, &groups, now))?;
        Ok::<_, FleetError>((groups, warm, details))
    };
    let ((groups, warm, details), instances, statuses, targets) =
        tokio::try_join!(grouped, instances(fleet), statuses(fleet), targets(fleet))?;
    let controllers = controllers::read(fleet, &targets, now).await?;
    Ok(Inventory { groups, warm, instances, statuses, targets, controllers, details })
}

/// Reads the pages of one list until there is no next one.
async fn pages<T, F, A>(tried: &str, mut page: F) -> Result<Vec<T>, FleetError>
where
    F: FnMut(Option<String>) -> A,
    A: Future<Output = Result<(Vec<T>, Option<String>), FleetError>>,
{
    let mut all = Vec::new();
    let mut tokens = BTreeSet::new();
    let mut token = None;
    for _ in 0..PAGES {
        let (items, next) = page(token).await?;
        all.extend(items);
        token = next.filter(|token| !token.is_empty());
        match &token {
            None => return Ok(all),
            Some(token) if !tokens.insert(token.clone()) => {
                return Err(super::errors::endless(tried, "the provider sends a page token again that it sent before"));
            }
            Some(_) => {}
        }
    }
    Err(super::errors::endless(tried, "the list has more pages than can be"))
}

async fn groups(fleet: &AwsFleet) -> Result<Vec<AutoScalingGroup>, FleetError> {
    let tried = format!("list the Auto Scaling groups in {}", fleet.region());
    pages(&tried, async |token| {
        let page = fleet
            .clients
            .reads
            .autoscaling
            .describe_auto_scaling_groups()
            .max_records(fleet.timeouts.page.clamp(1, 100))
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| super::errors::provider(&tried, "autoscaling:DescribeAutoScalingGroups", &e))?;
        Ok((page.auto_scaling_groups.unwrap_or_default(), page.next_token))
    })
    .await
}

async fn instances(fleet: &AwsFleet) -> Result<Vec<Instance>, FleetError> {
    let tried = format!("list the instances in {}", fleet.region());
    // No filter on states: `terminated` from EC2 is evidence, absence from its list is not.
    let reservations = pages(&tried, async |token| {
        let page = fleet
            .clients
            .reads
            .ec2
            .describe_instances()
            .max_results(fleet.timeouts.page.clamp(5, 1000))
            // Hosts managed by AWS services are hidden in some accounts; a list must be whole.
            .include_managed_resources(true)
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| super::errors::provider(&tried, "ec2:DescribeInstances", &e))?;
        Ok((page.reservations.unwrap_or_default(), page.next_token))
    })
    .await?;
    Ok(reservations.into_iter().flat_map(|r| r.instances.unwrap_or_default()).collect())
}

async fn statuses(fleet: &AwsFleet) -> Result<Vec<InstanceStatus>, FleetError> {
    let tried = format!("read the status checks of the instances in {}", fleet.region());
    pages(&tried, async |token| {
        let page = fleet
            .clients
            .reads
            .ec2
            .describe_instance_status()
            .max_results(fleet.timeouts.page.clamp(5, 1000))
            .include_managed_resources(true)
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| super::errors::provider(&tried, "ec2:DescribeInstanceStatus", &e))?;
        Ok((page.instance_statuses.unwrap_or_default(), page.next_token))
    })
    .await
}

type Targets = Vec<(TargetGroup, Vec<TargetHealthDescription>)>;

async fn targets(fleet: &AwsFleet) -> Result<Targets, FleetError> {
    let tried = format!("list the target groups in {}", fleet.region());
    let groups = pages(&tried, async |token| {
        let page = fleet
            .clients
            .reads
            .elb
            .describe_target_groups()
            .page_size(fleet.timeouts.page.clamp(1, 400))
            .set_marker(token)
            .send()
            .await
            .map_err(|e| super::errors::provider(&tried, "elasticloadbalancing:DescribeTargetGroups", &e))?;
        Ok((page.target_groups.unwrap_or_default(), page.next_marker))
    })
    .await?;
    // Target groups of unknown kinds are read too: only these two are known to hold neither ids nor addresses of hosts.
    let holds_instances =
        |group: &TargetGroup| !matches!(group.target_type(), Some(TargetTypeEnum::Alb | TargetTypeEnum::Lambda));
    stream::iter(groups.into_iter().filter(holds_instances))
        .map(|group| async {
            let health = target_health(fleet, group.target_group_arn().unwrap_or_default()).await?;
            Ok(health.map(|health| (group, health)))
        })
        .buffer_unordered(CONCURRENCY)
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await
}

/// All targets of one target group, with draining ones; `None` where AWS says that there is no such group. This list
/// has no pages.
pub(super) async fn target_health(
    fleet: &AwsFleet,
    arn: &str,
) -> Result<Option<Vec<TargetHealthDescription>>, FleetError> {
    match fleet.clients.reads.elb.describe_target_health().target_group_arn(arn).send().await {
        Ok(answer) => Ok(Some(answer.target_health_descriptions.unwrap_or_default())),
        Err(e) if e.as_service_error().is_some_and(|e| e.is_target_group_not_found_exception()) => Ok(None),
        Err(e) => Err(super::errors::provider(
            &format!("read the target health of {arn}"),
            "elasticloadbalancing:DescribeTargetHealth",
            &e,
        )),
    }
}

async fn warm_pools(
    fleet: &AwsFleet,
    groups: &[AutoScalingGroup],
) -> Result<BTreeMap<String, BTreeSet<String>>, FleetError> {
    let with_pool = groups.iter().filter(|group| group.warm_pool_configuration().is_some());
    let names: Vec<String> = with_pool.filter_map(|group| group.auto_scaling_group_name.clone()).collect();
    stream::iter(names)
        .map(|name| async move {
            let tried = format!("list the warm pool of {name}");
            let warm = pages(&tried, async |token| {
                let page = fleet
                    .clients
                    .reads
                    .autoscaling
                    .describe_warm_pool()
                    .auto_scaling_group_name(&name)
                    .set_next_token(token)
                    .send()
                    .await
                    .map_err(|e| super::errors::provider(&tried, "autoscaling:DescribeWarmPool", &e))?;
                Ok((page.instances.unwrap_or_default(), page.next_token))
            })
            .await?;
            Ok((name, warm.into_iter().filter_map(|i| i.instance_id).collect()))
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

/// The detail of a group as it was read.
#[derive(Debug)]
pub(super) struct Remembered {
    at: Time,
    /// The group's members with their states, and its desired capacity, as a hash. Whatever changes these is an activity.
    state: u64,
    detail: Detail,
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

/// The detail of each group, from memory where that is young enough. The activities of a group are read again as soon as
/// its members change: they say why.
async fn details(
    fleet: &AwsFleet,
    groups: &[AutoScalingGroup],
    now: Time,
) -> Result<BTreeMap<String, Detail>, FleetError> {
    let states: BTreeMap<String, u64> =
        groups.iter().filter_map(|group| Some((group.auto_scaling_group_name.clone()?, state_of(group)))).collect();
    let (mut missing, mut changed) = (Vec::new(), Vec::new());
    {
        let known = fleet.details.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, state) in &states {
            match known.get(name.as_str()) {
                Some(known) if known.at <= now && now.since(known.at) < fleet.detail_age() => {
                    if known.state != *state {
                        changed.push(name.clone());
                    }
                }
                Some(_) | None => missing.push(name.clone()),
            }
        }
    }
    if !missing.is_empty() {
        let (scheduled, policies) = tokio::try_join!(scheduled_actions(fleet), scaling_policies(fleet))?;
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
    Ok(states.into_keys().filter_map(|name| Some((name.clone(), known.get(name.as_str())?.detail.clone()))).collect())
}

/// One page, newest first: what is older than a hundred activities says nothing about today.
async fn read_activities(fleet: &AwsFleet, group: &str) -> Result<Vec<Activity>, FleetError> {
    let read = fleet.clients.reads.autoscaling.describe_scaling_activities();
    let answer = read.auto_scaling_group_name(group).max_records(100).send().await.map_err(|e| {
        super::errors::provider(&format!("read the activities of {group}"), "autoscaling:DescribeScalingActivities", &e)
    })?;
    Ok(answer.activities.unwrap_or_default())
}

async fn detail(fleet: &AwsFleet, group: &str) -> Result<Detail, FleetError> {
    let autoscaling = &fleet.clients.reads.autoscaling;
    let hooks = async {
        let answer =
            autoscaling.describe_lifecycle_hooks().auto_scaling_group_name(group).send().await.map_err(|e| {
                super::errors::provider(
                    &format!("read the lifecycle hooks of {group}"),
                    "autoscaling:DescribeLifecycleHooks",
                    &e,
                )
            })?;
        Ok::<_, FleetError>(answer.lifecycle_hooks.unwrap_or_default())
    };
    let refreshes = async {
        // One page, newest first: a group has one refresh at a time.
        let answer = autoscaling.describe_instance_refreshes().auto_scaling_group_name(group).send().await;
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

/// The scaling policies of each group.
async fn scaling_policies(fleet: &AwsFleet) -> Result<BTreeMap<String, Vec<ScalingPolicy>>, FleetError> {
    let tried = format!("list the scaling policies in {}", fleet.region());
    let policies = pages(&tried, async |token| {
        let page = fleet
            .clients
            .reads
            .autoscaling
            .describe_policies()
            .max_records(100)
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| super::errors::provider(&tried, "autoscaling:DescribePolicies", &e))?;
        Ok((page.scaling_policies.unwrap_or_default(), page.next_token))
    })
    .await?;
    Ok(by_group(policies, |policy| policy.auto_scaling_group_name.clone()))
}

/// The scheduled actions of each group.
async fn scheduled_actions(fleet: &AwsFleet) -> Result<BTreeMap<String, Vec<ScheduledUpdateGroupAction>>, FleetError> {
    let tried = format!("list the scheduled actions in {}", fleet.region());
    let actions = pages(&tried, async |token| {
        let page = fleet
            .clients
            .reads
            .autoscaling
            .describe_scheduled_actions()
            .max_records(100)
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| super::errors::provider(&tried, "autoscaling:DescribeScheduledActions", &e))?;
        Ok((page.scheduled_update_group_actions.unwrap_or_default(), page.next_token))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s3_a_token_that_repeats_is_an_error_not_the_end() {
        for cycle in [&["a"][..], &["a", "b"]] {
            let mut tokens = cycle.iter().cycle();
            let answer = pages("list things", |_| {
                let token = tokens.next().map(|t| (*t).to_owned());
                async { Ok((vec![1], token)) }
            })
            .await;
            assert!(matches!(answer, Err(FleetError::Provider { .. })), "{cycle:?}");
        }
    }

    #[tokio::test]
    async fn every_page_is_read_and_an_empty_token_ends() {
        let answer = pages("list things", async |token: Option<String>| {
            let n: u32 = token.map_or(0, |t| t.parse().expect("ours"));
            Ok((vec![n], Some(if n < 5 { (n + 1).to_string() } else { String::new() })))
        })
        .await;
        assert_eq!(answer.expect("six pages"), [0, 1, 2, 3, 4, 5]);
    }
}
