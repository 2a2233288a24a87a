//! Tries permissions without effect. Main function: [`tried`].
//!
//! EC2 has `DryRun`. Auto Scaling and Elastic Load Balancing have none, so the call names an instance that does not
//! exist: a caller without the permission is refused as such, one with it is told that the instance is wrong. AWS's own
//! Application Auto Scaling proves permissions in this way (Application Auto Scaling User Guide, "Permissions validation
//! for API calls on target resources": "For an authorized user, the API returns an `InvalidParameterValue` error code
//! response after it audits the request. However, for an unauthorized user, we get an `AccessDenied` error"). That EC2
//! Auto Scaling keeps the same order was not measured. Only the refusals named here count as an answer.
//!
//! `ResumeProcesses` takes no instance. It is tried by resuming `AddToLoadBalancer` where a description that was just read
//! does not list it as suspended: that changes nothing. It is never `AZRebalance`, which another run may suspend between
//! the two calls because it needs that. No run suspends `AddToLoadBalancer`, and none takes hosts where it is suspended
//! (rule `way-back`). A person who suspends it between the two calls is undone, so only a run tries it, and no report. An
//! unknown process name would be no better: where AWS ignored it, no name would be left, and "if you omit this property,
//! all processes are specified" (API reference, `ResumeProcesses`).

use std::collections::BTreeSet;

use aws_sdk_ec2::types::InstanceAttributeName;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::AwsFleet;
use super::client::CONCURRENCY;
use super::codes::ProviderError;
use super::errors::{self, Words};
use super::marker::KEY;
use crate::model::{GroupName, HostId, HostTargets, TargetGroupId};
use crate::ports::{FleetError, Permission, Trial, Trials};

/// Of the form that EC2 gives to ids, and no instance has it.
const NOBODY: &str = "i-00000000000000000";

/// The answers to a call that is allowed and cannot be done: the Auto Scaling API reference's "Common Errors", the
/// Elastic Load Balancing API reference (`RegisterTargets`), the EC2 API reference (`DryRun`, "Error codes").
const ALLOWED: [&str; 4] = ["ValidationError", "InvalidTarget", "DryRunOperation", "InvalidInstanceID.NotFound"];

/// The most instances that one dry run names.
const DRY_RUN_HOSTS: usize = 50;

/// The process with which `ResumeProcesses` is tried.
const RESUMED: &str = "AddToLoadBalancer";

const SUSPENDED_NOW: &str = "AddToLoadBalancer is suspended now, and resuming it would undo that";
const ONLY_BY_A_RUN: &str = "a removal tries it before its first cordon";
const NO_DRY_RUN: &str = "AWS has no trial of it without effect";

/// Tries the permissions on these groups, and on these hosts outside groups.
pub(super) async fn tried(
    fleet: &AwsFleet,
    trials: Trials,
    groups: &BTreeSet<GroupName>,
    outside: &HostTargets,
) -> Result<Vec<Permission>, FleetError> {
    let of_groups = stream::iter(groups.clone())
        .map(|group| async move { of_group(fleet, trials, &group).await })
        .buffered(CONCURRENCY)
        .try_concat();
    let target_groups: BTreeSet<TargetGroupId> = outside.values().flatten().cloned().collect();
    let of_target_groups = stream::iter(target_groups)
        .map(|group| async move { of_target_group(fleet, trials, &group).await })
        .buffered(CONCURRENCY)
        .try_concat();
    let ids: Vec<HostId> = outside.keys().cloned().collect();
    let of_hosts = stream::iter(ids.chunks(DRY_RUN_HOSTS).map(<[HostId]>::to_vec).collect::<Vec<_>>())
        .map(|hosts| async move { of_hosts(fleet, trials, &hosts).await })
        .buffered(CONCURRENCY)
        .try_concat();
    let rare = async {
        match (trials, groups.first()) {
            (Trials::All, Some(group)) => rare_reads(fleet, group).await,
            (Trials::All, None) | (Trials::WayBack, _) => Ok(Vec::new()),
        }
    };
    let (mut found, of_target_groups, of_hosts, rare) = tokio::try_join!(of_groups, of_target_groups, of_hosts, rare)?;
    fleet.clock.verdict()?;
    found.extend(of_target_groups);
    found.extend(of_hosts);
    found.extend(rare);
    Ok(found)
}

/// What not every observation reads: some of it only right before a host is terminated.
async fn rare_reads(fleet: &AwsFleet, group: &GroupName) -> Result<Vec<Permission>, FleetError> {
    let reads = &fleet.clients.reads;
    let members = reads.autoscaling.describe_auto_scaling_instances().instance_ids(NOBODY).send().await;
    let warm = reads.autoscaling.describe_warm_pool().auto_scaling_group_name(group.as_str()).send().await;
    let attribute = reads.ec2.describe_instance_attribute().instance_id(NOBODY);
    let attribute = attribute.attribute(InstanceAttributeName::DisableApiTermination).send().await;
    let resource = "the account";
    Ok(vec![
        judged("autoscaling:DescribeAutoScalingInstances", resource, members)?,
        judged("autoscaling:DescribeWarmPool", resource, warm)?,
        judged("ec2:DescribeInstanceAttribute", resource, attribute)?,
    ])
}

async fn of_group(fleet: &AwsFleet, trials: Trials, group: &GroupName) -> Result<Vec<Permission>, FleetError> {
    let autoscaling = &fleet.clients.reads.autoscaling;
    let resource = format!("group {group}");
    let exits = autoscaling.exit_standby().auto_scaling_group_name(group.as_str()).instance_ids(NOBODY).send().await;
    let mut found = vec![judged("autoscaling:ExitStandby", &resource, exits)?];
    if trials == Trials::WayBack {
        found.push(resumes(fleet, group, &resource).await?);
        return Ok(found);
    }
    let enters = autoscaling
        .enter_standby()
        .auto_scaling_group_name(group.as_str())
        .instance_ids(NOBODY)
        .should_decrement_desired_capacity(true);
    found.push(judged("autoscaling:EnterStandby", &resource, enters.send().await)?);
    // Without the group's name the instance has no group whose tags a policy could ask for.
    for (action, why) in [
        ("autoscaling:ResumeProcesses", ONLY_BY_A_RUN),
        ("autoscaling:SuspendProcesses", NO_DRY_RUN),
        ("autoscaling:TerminateInstanceInAutoScalingGroup", NO_DRY_RUN),
    ] {
        found.push(Permission { action, resource: resource.clone(), trial: Trial::NotTried(why) });
    }
    Ok(found)
}

async fn resumes(fleet: &AwsFleet, group: &GroupName, resource: &str) -> Result<Permission, FleetError> {
    let autoscaling = &fleet.clients.reads.autoscaling;
    let described = autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(group.as_str()).send().await;
    let described = described
        .map_err(|e| errors::provider(&format!("describe {resource}"), "autoscaling:DescribeAutoScalingGroups", &e))?;
    let described =
        described.auto_scaling_groups().iter().find(|found| found.auto_scaling_group_name() == Some(group.as_str()));
    let action = "autoscaling:ResumeProcesses";
    // S3: a group that is not described may have it suspended.
    let is_suspended =
        described.is_none_or(|found| found.suspended_processes().iter().any(|p| p.process_name() == Some(RESUMED)));
    if is_suspended {
        return Ok(Permission { action, resource: resource.to_owned(), trial: Trial::NotTried(SUSPENDED_NOW) });
    }
    // Sent once: a late repetition could undo what a person suspended meanwhile.
    let autoscaling = &fleet.clients.effects.autoscaling;
    let resumes = autoscaling.resume_processes().auto_scaling_group_name(group.as_str()).scaling_processes(RESUMED);
    judged(action, resource, resumes.send().await)
}

async fn of_target_group(
    fleet: &AwsFleet,
    trials: Trials,
    group: &TargetGroupId,
) -> Result<Vec<Permission>, FleetError> {
    let elb = &fleet.clients.reads.elb;
    let resource = format!("target group {group}");
    let nobody = || TargetDescription::builder().id(NOBODY).build();
    let registers = elb.register_targets().target_group_arn(group.as_str()).targets(nobody()).send().await;
    let mut found = vec![judged("elasticloadbalancing:RegisterTargets", &resource, registers)?];
    if trials == Trials::All {
        // API reference, `DeregisterTargets`: "If the specified target does not exist, the action returns successfully."
        let deregisters = elb.deregister_targets().target_group_arn(group.as_str()).targets(nobody()).send().await;
        found.push(judged("elasticloadbalancing:DeregisterTargets", &resource, deregisters)?);
    }
    Ok(found)
}

async fn of_hosts(fleet: &AwsFleet, trials: Trials, hosts: &[HostId]) -> Result<Vec<Permission>, FleetError> {
    let ec2 = &fleet.clients.reads.ec2;
    let ids: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let resource = ids.join(", ");
    let marker = || aws_sdk_ec2::types::Tag::builder().key(KEY);
    let deletes = ec2.delete_tags().dry_run(true).set_resources(Some(ids.clone())).tags(marker().build());
    let mut found = vec![judged("ec2:DeleteTags", &resource, deletes.send().await)?];
    if trials == Trials::All {
        let creates = ec2.create_tags().dry_run(true).set_resources(Some(ids.clone())).tags(marker().value("").build());
        found.push(judged("ec2:CreateTags", &resource, creates.send().await)?);
        let terminates = ec2.terminate_instances().dry_run(true).set_instance_ids(Some(ids));
        found.push(judged("ec2:TerminateInstances", &resource, terminates.send().await)?);
    }
    Ok(found)
}

/// What the answer to a trial shows.
fn judged<T, E>(
    action: &'static str,
    resource: &str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Permission, FleetError>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let trial = match &answer {
        Ok(_) => Trial::Allowed,
        Err(error) if ProviderError::of(error) == ProviderError::Permission => {
            Trial::Denied(Words::of(error).to_string())
        }
        Err(error) if error.as_service_error().and_then(|e| e.code()).is_some_and(|code| ALLOWED.contains(&code)) => {
            Trial::Allowed
        }
        Err(error) => {
            return Err(errors::provider(
                &format!("find out whether {action} is allowed on {resource}"),
                action,
                error,
            ));
        }
    };
    Ok(Permission { action, resource: resource.to_owned(), trial })
}
