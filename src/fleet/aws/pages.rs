//! The lists that AWS gives in pages, each read to its end. Main function: [`pages`].
//!
//! The SDK's own paginators silently end a list where a page token repeats, so a fault would become a partial
//! inventory. Therefore this module reads the pages itself.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::{Filter, Instance, InstanceStatus};
use aws_sdk_elasticloadbalancingv2::types::{TargetGroup, TargetHealthDescription};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::AwsFleet;
use super::client::CONCURRENCY;
use crate::ports::FleetError;

/// The most pages of one list: a hundred thousand hosts at a hundred a page.
const PAGES: usize = 1_000;

/// The most names of one call (Auto Scaling API reference, `DescribeAutoScalingGroups`: "By default, you can only specify
/// up to 50 names. You can optionally increase this limit using the MaxRecords property"), which MaxRecords may lower too.
const GROUP_NAMES: usize = 50;

/// The most ids of one call (EC2 API reference, `DescribeInstanceStatus`: "Maximum 100 explicitly specified instance IDs").
const STATUS_IDS: usize = 100;

/// How many ARNs one call has here. The API reference states no limit for `DescribeTargetGroups`; of load balancers it
/// takes 20 (`DescribeLoadBalancers`).
const TARGET_GROUP_ARNS: usize = 20;

/// Reads the pages of one list until there is no next one.
pub(super) async fn pages<T, F, A>(tried: &str, mut page: F) -> Result<Vec<T>, FleetError>
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

/// Reads parts of a list beside each other.
pub(super) async fn in_parts<P, T, A>(
    parts: impl IntoIterator<Item = P>,
    read: impl FnMut(P) -> A,
) -> Result<Vec<T>, FleetError>
where
    A: Future<Output = Result<Vec<T>, FleetError>>,
{
    stream::iter(parts).map(read).buffer_unordered(CONCURRENCY).try_concat().await
}

/// Every group.
pub(super) async fn groups(fleet: &AwsFleet) -> Result<Vec<AutoScalingGroup>, FleetError> {
    groups_of(fleet, None).await
}

/// The groups with these names.
pub(super) async fn groups_named(
    fleet: &AwsFleet,
    names: &BTreeSet<String>,
) -> Result<Vec<AutoScalingGroup>, FleetError> {
    let names: Vec<String> = names.iter().cloned().collect();
    let most = usize::try_from(groups_a_page(fleet)).map_or(GROUP_NAMES, |page| page.min(GROUP_NAMES));
    let parts: Vec<Vec<String>> = names.chunks(most).map(<[String]>::to_vec).collect();
    in_parts(parts, |names| groups_of(fleet, Some(names))).await
}

fn groups_a_page(fleet: &AwsFleet) -> i32 {
    fleet.timeouts.page.clamp(1, 100)
}

async fn groups_of(fleet: &AwsFleet, names: Option<Vec<String>>) -> Result<Vec<AutoScalingGroup>, FleetError> {
    let tried = format!("list the Auto Scaling groups in {}", fleet.region());
    pages(&tried, async |token| {
        let page = fleet
            .autoscaling()
            .await
            .describe_auto_scaling_groups()
            .set_auto_scaling_group_names(names.clone())
            .max_records(groups_a_page(fleet))
            .set_next_token(token)
            .send()
            .await
            .map_err(|e| super::errors::provider(&tried, "autoscaling:DescribeAutoScalingGroups", &e))?;
        Ok((page.auto_scaling_groups.unwrap_or_default(), page.next_token))
    })
    .await
}

/// Every instance, or those that pass the filters.
pub(super) async fn instances(fleet: &AwsFleet, filters: Option<Vec<Filter>>) -> Result<Vec<Instance>, FleetError> {
    let tried = format!("list the instances in {}", fleet.region());
    // No filter on states: `terminated` from EC2 is evidence, absence from its list is not.
    let reservations = pages(&tried, async |token| {
        let page = fleet
            .ec2()
            .await
            .describe_instances()
            .set_filters(filters.clone())
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

/// The status checks of every running instance, or those that pass the filters.
pub(super) async fn statuses(
    fleet: &AwsFleet,
    filters: Option<Vec<Filter>>,
) -> Result<Vec<InstanceStatus>, FleetError> {
    let tried = format!("read the status checks of the instances in {}", fleet.region());
    pages(&tried, async |token| {
        let page = fleet
            .ec2()
            .await
            .describe_instance_status()
            .set_filters(filters.clone())
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

/// The status checks of these instances, which must exist: one that EC2 does not know fails the call.
pub(super) async fn statuses_of(fleet: &AwsFleet, ids: &[&str]) -> Result<Vec<InstanceStatus>, FleetError> {
    let parts: Vec<Vec<String>> =
        ids.chunks(STATUS_IDS).map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()).collect();
    in_parts(parts, |ids| async move {
        let read = fleet.ec2().await.describe_instance_status().set_instance_ids(Some(ids));
        let answer = read.include_managed_resources(true).send().await.map_err(|e| {
            let tried = format!("read the status checks of instances in {}", fleet.region());
            super::errors::provider(&tried, "ec2:DescribeInstanceStatus", &e)
        })?;
        Ok(answer.instance_statuses.unwrap_or_default())
    })
    .await
}

pub(super) async fn target_groups(fleet: &AwsFleet) -> Result<Vec<TargetGroup>, FleetError> {
    let tried = format!("list the target groups in {}", fleet.region());
    pages(&tried, async |token| {
        let page = fleet
            .elb()
            .await
            .describe_target_groups()
            .page_size(fleet.timeouts.page.clamp(1, 400))
            .set_marker(token)
            .send()
            .await
            .map_err(|e| super::errors::provider(&tried, "elasticloadbalancing:DescribeTargetGroups", &e))?;
        Ok((page.target_groups.unwrap_or_default(), page.next_marker))
    })
    .await
}

/// Those of these target groups that exist. One that does not fails the whole call, so that each is asked for alone then.
pub(super) async fn target_groups_of(
    fleet: &AwsFleet,
    arns: &BTreeSet<String>,
) -> Result<Vec<TargetGroup>, FleetError> {
    let arns: Vec<String> = arns.iter().cloned().collect();
    let parts: Vec<Vec<String>> = arns.chunks(TARGET_GROUP_ARNS).map(<[String]>::to_vec).collect();
    in_parts(parts, |arns| async move {
        if let Some(found) = described(fleet, &arns).await? {
            return Ok(found);
        }
        let mut all = Vec::new();
        for arn in arns {
            all.extend(described(fleet, &[arn]).await?.unwrap_or_default());
        }
        Ok(all)
    })
    .await
}

/// These target groups; `None` where one of them does not exist.
async fn described(fleet: &AwsFleet, arns: &[String]) -> Result<Option<Vec<TargetGroup>>, FleetError> {
    let tried = format!("describe target groups in {}", fleet.region());
    let (mut all, mut marker) = (Vec::new(), None);
    // Each page has one at least.
    for _ in 0..=arns.len() {
        let read = fleet.elb().await.describe_target_groups().set_target_group_arns(Some(arns.to_vec()));
        match read.set_marker(marker).send().await {
            Ok(page) => {
                all.extend(page.target_groups.unwrap_or_default());
                marker = page.next_marker.filter(|marker| !marker.is_empty());
            }
            Err(e) if e.as_service_error().is_some_and(|e| e.is_target_group_not_found_exception()) => return Ok(None),
            Err(e) => return Err(super::errors::provider(&tried, "elasticloadbalancing:DescribeTargetGroups", &e)),
        }
        if marker.is_none() {
            return Ok(Some(all));
        }
    }
    Err(super::errors::endless(&tried, "the list has more pages than can be"))
}

/// All targets of one target group, with draining ones; `None` where AWS says that there is no such group. This list
/// has no pages.
pub(super) async fn target_health(
    fleet: &AwsFleet,
    arn: &str,
) -> Result<Option<Vec<TargetHealthDescription>>, FleetError> {
    match fleet.elb().await.describe_target_health().target_group_arn(arn).send().await {
        Ok(answer) => Ok(Some(answer.target_health_descriptions.unwrap_or_default())),
        Err(e) if e.as_service_error().is_some_and(|e| e.is_target_group_not_found_exception()) => Ok(None),
        Err(e) => Err(super::errors::provider(
            &format!("read the target health of {arn}"),
            "elasticloadbalancing:DescribeTargetHealth",
            &e,
        )),
    }
}

pub(super) async fn warm_pools(
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
                    .autoscaling()
                    .await
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
