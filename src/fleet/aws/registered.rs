//! Which target groups concern which hosts, and what they say. Main functions: [`read`] and [`note`].
//!
//! Each target group costs a call of its own, and many of a region's have nothing to do with a run. Those that concern
//! it are read with every look: the ones attached to its groups, and the ones that ever listed one of its hosts.
//! Somebody may register a host in another one at any time, so a few of the others are read too, in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use aws_sdk_autoscaling::types::AutoScalingGroup;
use aws_sdk_ec2::types::Instance;
use aws_sdk_elasticloadbalancingv2::types::{TargetGroup, TargetHealthDescription, TargetTypeEnum};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::addresses::Addresses;
use super::client::CONCURRENCY;
use super::targets::Registrations;
use super::{AwsFleet, groups, pages};
use crate::model::{HostId, Scope, Time};
use crate::ports::FleetError;

/// How many target groups that do not concern a run are read with each of its looks. A region of 400 is gone through in
/// 40 looks, and the account's call rate is hardly touched.
const IN_TURN: usize = 10;

pub(super) type Targets = Vec<(TargetGroup, Vec<TargetHealthDescription>)>;

/// What this process has seen of the region's target groups.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By ARN: as it was described, and when its targets were last read.
    groups: BTreeMap<String, (TargetGroup, Time)>,
    /// The target groups that ever listed a host, draining or not.
    of: BTreeMap<HostId, BTreeSet<String>>,
}

impl Seen {
    /// The target groups that concern these hosts, beside those attached to their groups.
    fn concerning(&self, scope: &Scope) -> BTreeSet<String> {
        let of_hosts = scope.hosts.iter().filter_map(|host| self.of.get(host)).flatten().cloned();
        of_hosts.chain(scope.target_groups.iter().map(|group| group.as_str().to_owned())).collect()
    }

    /// Those of the others whose turn it is.
    fn in_turn(&self, concerning: &BTreeSet<String>) -> Vec<TargetGroup> {
        let mut others: Vec<_> = self.groups.iter().filter(|(arn, _)| !concerning.contains(*arn)).collect();
        others.sort_by_key(|(arn, (_, at))| (*at, *arn));
        others.into_iter().take(IN_TURN).map(|(_, (group, _))| group.clone()).collect()
    }
}

/// Every target group of the region.
pub(super) async fn all(fleet: &AwsFleet) -> Result<Targets, FleetError> {
    with_health(fleet, pages::target_groups(fleet).await?).await
}

/// The target groups that concern these groups and hosts, and a few of the others.
pub(super) async fn read(
    fleet: &AwsFleet,
    scope: &Scope,
    members_of: &[AutoScalingGroup],
) -> Result<Targets, FleetError> {
    let mut concerning: BTreeSet<String> =
        members_of.iter().flat_map(groups::target_groups).map(str::to_owned).collect();
    let others = {
        let seen = fleet.seen.lock().unwrap_or_else(PoisonError::into_inner);
        concerning.extend(seen.concerning(scope));
        (!seen.groups.is_empty()).then(|| seen.in_turn(&concerning))
    };
    // Without a look at the whole region nobody knows which there are.
    let Some(others) = others else { return all(fleet).await };
    let described = async {
        let described = pages::target_groups_of(fleet, &concerning).await?;
        with_health(fleet, described).await
    };
    let (mut found, others) = tokio::try_join!(described, with_health(fleet, others))?;
    found.extend(others);
    Ok(found)
}

async fn with_health(fleet: &AwsFleet, groups: Vec<TargetGroup>) -> Result<Targets, FleetError> {
    // Target groups of unknown kinds are read too: only these two are known to hold neither ids nor addresses of hosts.
    let holds_instances =
        |group: &TargetGroup| !matches!(group.target_type(), Some(TargetTypeEnum::Alb | TargetTypeEnum::Lambda));
    stream::iter(groups.into_iter().filter(holds_instances))
        .map(|group| async {
            let health = pages::target_health(fleet, group.target_group_arn().unwrap_or_default()).await?;
            Ok(health.map(|health| (group, health)))
        })
        .buffer_unordered(CONCURRENCY)
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await
}

/// Remembers what a look has shown, of the whole region or of a part.
pub(super) fn note(fleet: &AwsFleet, targets: &Targets, instances: &[Instance], is_whole: bool, now: Time) {
    let registrations = Registrations::new(targets, &Addresses::of(instances));
    let mut seen = fleet.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if is_whole {
        *seen = Seen::default();
    }
    for (group, _) in targets {
        seen.groups.extend(group.target_group_arn.clone().map(|arn| (arn, (group.clone(), now))));
    }
    for (host, group) in registrations.everywhere() {
        seen.of.entry(HostId::new(host)).or_default().insert(group.as_str().to_owned());
    }
}
