//! Which target groups a controller keeps filled: what is deregistered there, it registers again. Main function: [`read`].
//!
//! Only controllers that tag their target groups are known. ECS, and the AWS Load Balancer Controller with a
//! TargetGroupBinding, also fill target groups that others made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use aws_sdk_elasticloadbalancingv2::types::{Tag, TagDescription, TargetGroup, TargetHealthDescription};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::AwsFleet;
use super::client::{CONCURRENCY, DETAIL_AGE};
use super::errors;
use super::marker::name_in;
use crate::model::{TargetGroupId, Time};
use crate::ports::FleetError;

/// The most resources of one call (Elastic Load Balancing API reference, `DescribeTags`).
const RESOURCES: usize = 20;

/// The tags of such controllers: keys, or how they begin.
const TAGS: [(&str, &str); 5] = [
    // AWS Load Balancer Controller, "Subnet and resource tagging"; version 1 of it.
    ("elbv2.k8s.aws/cluster", "the AWS Load Balancer Controller"),
    ("ingress.k8s.aws/cluster", "the AWS ALB Ingress Controller"),
    // Kubernetes' cloud provider for AWS.
    ("kubernetes.io/cluster/", "Kubernetes"),
    // Amazon EKS User Guide, EKS Auto Mode.
    ("eks:eks-cluster-name", "Amazon EKS"),
    ("AmazonECSManaged", "Amazon ECS"),
];

fn controller(tags: &[Tag]) -> Option<&'static str> {
    let is_of = |key: &str| tags.iter().any(|tag| tag.key().is_some_and(|tag| tag.starts_with(key)));
    TAGS.iter().find(|(key, _)| is_of(key)).map(|(_, what)| *what)
}

/// The controller of each target group that has targets, by ARN; from memory where that is young enough.
pub(super) async fn read(
    fleet: &AwsFleet,
    targets: &[(TargetGroup, Vec<TargetHealthDescription>)],
    now: Time,
) -> Result<BTreeMap<String, &'static str>, FleetError> {
    let filled = targets.iter().filter(|(_, targets)| !targets.is_empty());
    let all: Vec<String> = filled.filter_map(|(group, _)| group.target_group_arn.clone()).collect();
    let unread: Vec<String> = {
        let known = fleet.controllers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |arn: &str| known.get(arn).is_some_and(|(at, _)| now.since(*at) < DETAIL_AGE && *at <= now);
        all.iter().filter(|arn| !is_fresh(arn)).cloned().collect()
    };
    let parts: Vec<Vec<String>> = unread.chunks(RESOURCES).map(<[String]>::to_vec).collect();
    let described: Vec<TagDescription> =
        stream::iter(parts).map(|part| tags(fleet, part)).buffer_unordered(CONCURRENCY).try_concat().await?;
    let mut known = fleet.controllers.lock().unwrap_or_else(PoisonError::into_inner);
    for of in described {
        let controller = controller(of.tags());
        known.extend(of.resource_arn.map(|arn| (arn, (now, controller))));
    }
    let of = |arn: String| known.get(&arn).and_then(|(_, found)| *found).map(|found| (arn, found));
    Ok(all.into_iter().filter_map(of).collect())
}

/// The tags of these target groups. One that is deleted meanwhile fails the whole call, so that each is asked for alone then.
async fn tags(fleet: &AwsFleet, arns: Vec<String>) -> Result<Vec<TagDescription>, FleetError> {
    let failed = |error: &_| {
        let tried = format!("read the tags of target groups in {}", fleet.region());
        errors::provider(&tried, "elasticloadbalancing:DescribeTags", error)
    };
    match fleet.elb().await.describe_tags().set_resource_arns(Some(arns.clone())).send().await {
        Ok(answer) => return Ok(answer.tag_descriptions.unwrap_or_default()),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_target_group_not_found_exception()) => {}
        Err(error) => return Err(failed(&error)),
    }
    let mut all = Vec::new();
    for arn in arns {
        match fleet.elb().await.describe_tags().resource_arns(arn).send().await {
            Ok(answer) => all.extend(answer.tag_descriptions.unwrap_or_default()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_target_group_not_found_exception()) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(all)
}

/// Why it would do nothing to deregister a host that is registered in these target groups, if it would.
pub(super) fn filled_again(
    registered: &BTreeSet<TargetGroupId>,
    controllers: &BTreeMap<String, &'static str>,
) -> Option<String> {
    let (group, by) = registered.iter().find_map(|group| Some((group, controllers.get(group.as_str())?)))?;
    Some(format!("{by} fills target group {}, and would register it there again", name_in(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_known_by_their_tags() {
        let tagged = |key: &str| controller(&[Tag::builder().key(key).value("x").build()]);
        assert_eq!(tagged("elbv2.k8s.aws/cluster"), Some("the AWS Load Balancer Controller"));
        assert_eq!(tagged("kubernetes.io/cluster/blue"), Some("Kubernetes"));
        assert_eq!(tagged("team"), None);
        assert_eq!(controller(&[]), None);
    }
}
