//! Sends one call once, signed for its deadline ([`super::client`]). Main function: [`perform`].
//!
//! Effects name instances, never a size: with a size, AWS would choose the victims, and the call would race with
//! everybody else.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Instance;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;

use super::client::signing_time;
use super::errors::outcome;
use super::guards::{self, NotSent, Registered};
use super::marker::{Marker, Registration, keys};
use super::signatures::Service;
use super::{AwsFleet, LEDGER_TAG};
use crate::model::{
    CALL_HOSTS, Call, CallOutcome, Effect, GroupName, HostId, HostTargets, LedgerId, Process, TargetGroupId, Time,
};

/// The most resources that one tagging call names here.
/// Sources: Amazon EC2 API reference, `CreateTags` (1000); Auto Scaling states no limit for `CreateOrUpdateTags`.
const TAG_RESOURCES: usize = 50;

/// Sends one of the SDK's operations once, signed for the deadline of `$acting`'s call, and gives its answer.
macro_rules! signed {
    ($acting:expr, $service:expr, $sdk:ident, $operation:expr) => {{
        let at = $acting.at($service);
        let signed = $sdk::config::Builder::new().time_source(signing_time(at));
        let answer = $operation.customize().config_override(signed).send().await;
        $acting.fleet.signatures.judge($service, at, answer)
    }};
}

/// Performs a call, once.
pub(super) async fn perform(fleet: &AwsFleet, call: &Call) -> CallOutcome {
    if let Err(why) = sendable(fleet, call) {
        return why.into();
    }
    let acting = Acting { fleet, call };
    match &call.effect {
        Effect::Cordon { group: Some(group), hosts } => acting.enter_standby(group, hosts).await,
        Effect::Cordon { group: None, hosts } => acting.deregister(hosts).await,
        Effect::Restore { group: Some(group), hosts } => acting.exit_standby(group, hosts).await,
        Effect::Restore { group: None, hosts } => acting.register(hosts).await,
        Effect::Terminate { group: Some(group), host } => acting.terminate_member(group, host).await,
        Effect::Terminate { group: None, host } => acting.terminate_instance(host).await,
        Effect::Suspend { group, process } => acting.suspend(group, *process).await,
        Effect::Resume { group, process } => acting.resume(group, *process).await,
        Effect::RaiseMinimum { group, from, to } => acting.raise_minimum(group, *from, *to).await,
        // Tags cannot be written conditionally. A person was shown whose tags are replaced.
        Effect::Adopt { ledger, groups, hosts, replaces: _ } => acting.adopt(ledger, groups, hosts).await,
    }
}

/// Checks what makes any call futile or dangerous.
fn sendable(fleet: &AwsFleet, call: &Call) -> Result<(), NotSent> {
    fleet.clock.verdict()?;
    in_time(call, super::now())?;
    if let Effect::Cordon { hosts, .. } | Effect::Restore { hosts, .. } = &call.effect {
        // An empty list of ids often means "all" to AWS.
        if hosts.is_empty() || hosts.len() > CALL_HOSTS {
            return Err(NotSent::because(format!("a call names 1 to {CALL_HOSTS} hosts, this one {}", hosts.len())));
        }
    }
    Ok(())
}

/// AWS refuses a late call by its signature; this check only saves the attempt.
fn in_time(call: &Call, now: Time) -> Result<(), NotSent> {
    if now > call.not_after {
        return Err(NotSent::too_late(format!("it is {now}, the call was good until {}", call.not_after)));
    }
    Ok(())
}

struct Acting<'a> {
    fleet: &'a AwsFleet,
    call: &'a Call,
}

/// The progress of an effect that takes several calls.
#[derive(Default)]
struct Steps {
    done: Vec<String>,
}

impl Steps {
    /// Records a step's outcome. `Err` is the outcome of the whole effect, which ends here.
    fn take(&mut self, step: String, outcome: CallOutcome) -> Result<(), CallOutcome> {
        match outcome {
            CallOutcome::Done => {
                self.done.push(step);
                Ok(())
            }
            refused @ CallOutcome::Refused { .. } if self.done.is_empty() => Err(refused),
            CallOutcome::Refused { message, .. } | CallOutcome::Unknown { message } => {
                let before = if self.done.is_empty() {
                    String::new()
                } else {
                    format!("; done before: {}", self.done.join(", "))
                };
                Err(CallOutcome::Unknown { message: format!("{message}{before}") })
            }
        }
    }
}

impl Acting<'_> {
    /// The signing time of every request of the call to a service: the time of the intent, or an earlier time where the
    /// call's deadline comes before the signature expires. S2, S9: AWS itself then refuses a request that arrives later,
    /// however long it was held up.
    fn at(&self, service: Service) -> Time {
        self.call.intent_at.min(self.call.not_after.minus(self.fleet.signatures.of(service)))
    }

    async fn enter_standby(&self, group: &GroupName, hosts: &HostTargets) -> CallOutcome {
        let ids: Vec<HostId> = hosts.keys().cloned().collect();
        if let Err(why) = guards::unprotected(self.fleet, &ids).await.and_then(|()| in_time(self.call, super::now())) {
            return why.into();
        }
        let operation = self
            .fleet
            .clients
            .effects
            .autoscaling
            .enter_standby()
            .auto_scaling_group_name(group.as_str())
            .set_instance_ids(Some(texts(&ids)))
            // Without it the group would launch a replacement.
            .should_decrement_desired_capacity(true);
        outcome(
            &format!("EnterStandby in {group}"),
            signed!(self, Service::AutoScaling, aws_sdk_autoscaling, operation),
        )
    }

    async fn exit_standby(&self, group: &GroupName, hosts: &HostTargets) -> CallOutcome {
        let ids: Vec<HostId> = hosts.keys().cloned().collect();
        let looked = guards::restorable(self.fleet, group, &ids).await;
        if let Err(why) = looked.and_then(|()| in_time(self.call, super::now())) {
            return why.into();
        }
        let operation = self
            .fleet
            .clients
            .effects
            .autoscaling
            .exit_standby()
            .auto_scaling_group_name(group.as_str())
            .set_instance_ids(Some(texts(&ids)));
        outcome(&format!("ExitStandby in {group}"), signed!(self, Service::AutoScaling, aws_sdk_autoscaling, operation))
    }

    async fn terminate_member(&self, group: &GroupName, host: &HostId) -> CallOutcome {
        let looked = async {
            guards::unprotected(self.fleet, std::slice::from_ref(host)).await?;
            guards::in_standby(self.fleet, group, host).await?;
            in_time(self.call, super::now())
        };
        if let Err(why) = looked.await {
            return why.into();
        }
        let operation = self
            .fleet
            .clients
            .effects
            .autoscaling
            .terminate_instance_in_auto_scaling_group()
            .instance_id(host.as_str())
            // Standby already gave up its share of desired capacity: lowering it again would take another host.
            .should_decrement_desired_capacity(false);
        outcome(
            &format!("TerminateInstanceInAutoScalingGroup of {host}"),
            signed!(self, Service::AutoScaling, aws_sdk_autoscaling, operation),
        )
    }

    async fn terminate_instance(&self, host: &HostId) -> CallOutcome {
        let looked = async {
            let found = guards::outside_groups(self.fleet, std::slice::from_ref(host)).await?;
            found.values().try_for_each(|instance| guards::marked(host, instance))?;
            guards::unprotected(self.fleet, std::slice::from_ref(host)).await?;
            in_time(self.call, super::now())
        };
        if let Err(why) = looked.await {
            return why.into();
        }
        // One id per call: a call for several that fails for one may have terminated others.
        let operation = self.fleet.clients.effects.ec2.terminate_instances().instance_ids(host.as_str());
        let tried = format!("TerminateInstances of {host}");
        match signed!(self, Service::Ec2, aws_sdk_ec2, operation) {
            Ok(answer) if answer.terminating_instances().iter().all(|i| i.instance_id() != Some(host.as_str())) => {
                CallOutcome::Unknown { message: format!("{tried}: the answer does not name it") }
            }
            answer => outcome(&tried, answer),
        }
    }

    async fn suspend(&self, group: &GroupName, process: Process) -> CallOutcome {
        let operation = self
            .fleet
            .clients
            .effects
            .autoscaling
            .suspend_processes()
            .auto_scaling_group_name(group.as_str())
            // Always with a name: without one, every process of the group would be suspended.
            .scaling_processes(process.to_string());
        outcome(
            &format!("SuspendProcesses of {group}"),
            signed!(self, Service::AutoScaling, aws_sdk_autoscaling, operation),
        )
    }

    async fn resume(&self, group: &GroupName, process: Process) -> CallOutcome {
        let operation = self
            .fleet
            .clients
            .effects
            .autoscaling
            .resume_processes()
            .auto_scaling_group_name(group.as_str())
            .scaling_processes(process.to_string());
        outcome(
            &format!("ResumeProcesses of {group}"),
            signed!(self, Service::AutoScaling, aws_sdk_autoscaling, operation),
        )
    }

    async fn raise_minimum(&self, group: &GroupName, from: u64, to: u64) -> CallOutcome {
        let looked = guards::raisable(self.fleet, group, from, to).await;
        let to = match looked.and_then(|to| in_time(self.call, super::now()).map(|()| to)) {
            Ok(to) => to,
            Err(why) => return why.into(),
        };
        let operation = self
            .fleet
            .clients
            .effects
            .autoscaling
            .update_auto_scaling_group()
            .auto_scaling_group_name(group.as_str())
            // "Any properties that you don't specify are not changed" (API reference).
            .min_size(to);
        outcome(
            &format!("UpdateAutoScalingGroup of {group}"),
            signed!(self, Service::AutoScaling, aws_sdk_autoscaling, operation),
        )
    }

    /// Cordons hosts outside groups: first writes the markers on the instances, then deregisters them.
    async fn deregister(&self, hosts: &HostTargets) -> CallOutcome {
        let looked = async {
            let ids: Vec<HostId> = hosts.keys().cloned().collect();
            let found = guards::outside_groups(self.fleet, &ids).await?;
            guards::unprotected(self.fleet, &ids).await?;
            let registered = Registered::read(self.fleet, hosts, &found).await?;
            if let Some(group) = registered.missing.first() {
                return Err(NotSent::because(format!("target group {group} does not exist any more")));
            }
            in_time(self.call, super::now())?;
            Ok((found, registered))
        };
        let (found, registered) = match looked.await {
            Ok(found) => found,
            Err(why) => return why.into(),
        };
        // The registrations that a restore brings back: where the host is registered now; else where an earlier marker
        // says it was; else where it was seen, at the target group's own port.
        let to_record = |host: &HostId, group: &TargetGroupId| {
            let now = registered.of(host, group);
            let before = found.get(host).map(|instance| guards::recorded(instance, group)).unwrap_or_default();
            [now, before].into_iter().find(|r| !r.is_empty()).unwrap_or_else(|| guards::at_default_port(group))
        };
        // Hosts with the same marker share a call.
        let mut markers: BTreeMap<BTreeMap<String, String>, Vec<HostId>> = BTreeMap::new();
        for (host, groups) in hosts {
            let registrations = groups.iter().flat_map(|group| to_record(host, group)).collect();
            markers.entry(Marker { at: self.call.intent_at, registrations }.tags()).or_default().push(host.clone());
        }
        for (tags, hosts) in &markers {
            match self.create_tags(hosts, tags).await {
                CallOutcome::Done => {}
                refused @ CallOutcome::Refused { .. } => return refused,
                // A host that is marked and still registered takes work like any other, so nothing was cordoned.
                CallOutcome::Unknown { message } => return CallOutcome::Refused { message, retryable: true },
            }
        }
        let mut steps = Steps::default();
        for (group, targets) in by_group(hosts, |host, group| registered.of(host, group)) {
            let operation = self
                .fleet
                .clients
                .effects
                .elb
                .deregister_targets()
                .target_group_arn(group.as_str())
                .set_targets(Some(targets));
            let tried = format!("DeregisterTargets from {group}");
            let done =
                outcome(&tried, signed!(self, Service::LoadBalancing, aws_sdk_elasticloadbalancingv2, operation));
            if let Err(failed) = steps.take(tried, done) {
                return failed;
            }
        }
        CallOutcome::Done
    }

    /// Restores hosts outside groups: registers all that can be registered again, then removes the markers.
    async fn register(&self, hosts: &HostTargets) -> CallOutcome {
        let looked = async {
            let ids: Vec<HostId> = hosts.keys().cloned().collect();
            let found = guards::outside_groups(self.fleet, &ids).await?;
            let registered = Registered::read(self.fleet, hosts, &found).await?;
            in_time(self.call, super::now())?;
            Ok::<_, NotSent>((found, registered))
        };
        let (found, registered) = match looked.await {
            Ok(found) => found,
            Err(why) => return why.into(),
        };
        let missing = |host: &HostId, group: &TargetGroupId| {
            let now = registered.of(host, group);
            let before = found.get(host).map(|instance| guards::recorded(instance, group)).unwrap_or_default();
            let has_port = |r: &Registration| r.port.is_some();
            match (before.iter().any(has_port), now.is_empty()) {
                (true, _) => before.difference(&now).cloned().collect(),
                // Registering it at another port, too, would add a registration that it never had.
                (false, false) => BTreeSet::new(),
                (false, true) => guards::at_default_port(group),
            }
        };
        // S7: a target group that is gone does not keep a host out of the others.
        let mut steps = Steps::default();
        let mut failed: Option<CallOutcome> = None;
        for (group, targets) in by_group(hosts, missing) {
            let operation = self
                .fleet
                .clients
                .effects
                .elb
                .register_targets()
                .target_group_arn(group.as_str())
                .set_targets(Some(targets));
            let tried = format!("RegisterTargets in {group}");
            let done =
                outcome(&tried, signed!(self, Service::LoadBalancing, aws_sdk_elasticloadbalancingv2, operation));
            if let Err(this) = steps.take(tried, done) {
                failed = failed.or(Some(this));
            }
        }
        match failed {
            // The markers stay: they say what is still to be restored.
            Some(CallOutcome::Refused { message, .. }) if !steps.done.is_empty() => CallOutcome::Unknown { message },
            Some(failed) => failed,
            None => self.unmark(&found, steps).await,
        }
    }

    async fn unmark(&self, found: &BTreeMap<HostId, Instance>, mut steps: Steps) -> CallOutcome {
        let mut markers: BTreeMap<Vec<String>, Vec<&HostId>> = BTreeMap::new();
        for (host, instance) in found {
            let tags = instance.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), String::new()))).collect();
            let keys: Vec<String> = keys(&tags).collect();
            if !keys.is_empty() {
                markers.entry(keys).or_default().push(host);
            }
        }
        for (keys, hosts) in markers {
            let tags = keys.into_iter().map(|key| aws_sdk_ec2::types::Tag::builder().key(key).build()).collect();
            let ids = texts(hosts);
            let tried = format!("DeleteTags of {}", ids.join(", "));
            let operation = self.fleet.clients.effects.ec2.delete_tags().set_resources(Some(ids)).set_tags(Some(tags));
            let done = outcome(&tried, signed!(self, Service::Ec2, aws_sdk_ec2, operation));
            if let Err(failed) = steps.take(tried, done) {
                return failed;
            }
        }
        CallOutcome::Done
    }

    async fn adopt(&self, ledger: &LedgerId, groups: &BTreeSet<GroupName>, hosts: &BTreeSet<HostId>) -> CallOutcome {
        let mut steps = Steps::default();
        let groups: Vec<&GroupName> = groups.iter().collect();
        for part in groups.chunks(TAG_RESOURCES) {
            let tag = |group: &&GroupName| {
                aws_sdk_autoscaling::types::Tag::builder()
                    .resource_id(group.as_str())
                    .resource_type("auto-scaling-group")
                    .key(LEDGER_TAG)
                    .value(ledger.as_str())
                    // The group's tag covers its members; a detached member must not keep the mark.
                    .propagate_at_launch(false)
                    .build()
            };
            let operation = self
                .fleet
                .clients
                .effects
                .autoscaling
                .create_or_update_tags()
                .set_tags(Some(part.iter().map(tag).collect()));
            let tried = format!("CreateOrUpdateTags of {} group(s)", part.len());
            let done = outcome(&tried, signed!(self, Service::AutoScaling, aws_sdk_autoscaling, operation));
            if let Err(failed) = steps.take(tried, done) {
                return failed;
            }
        }
        let hosts: Vec<HostId> = hosts.iter().cloned().collect();
        let tags = BTreeMap::from([(LEDGER_TAG.to_owned(), ledger.to_string())]);
        for part in hosts.chunks(TAG_RESOURCES) {
            let done = self.create_tags(part, &tags).await;
            if let Err(failed) = steps.take(format!("CreateTags of {} host(s)", part.len()), done) {
                return failed;
            }
        }
        CallOutcome::Done
    }

    async fn create_tags(&self, hosts: &[HostId], tags: &BTreeMap<String, String>) -> CallOutcome {
        let tags =
            tags.iter().map(|(key, value)| aws_sdk_ec2::types::Tag::builder().key(key).value(value).build()).collect();
        let operation =
            self.fleet.clients.effects.ec2.create_tags().set_resources(Some(texts(hosts))).set_tags(Some(tags));
        outcome(
            &format!("CreateTags of {}", texts(hosts).join(", ")),
            signed!(self, Service::Ec2, aws_sdk_ec2, operation),
        )
    }
}

fn texts<'a>(hosts: impl IntoIterator<Item = &'a HostId>) -> Vec<String> {
    hosts.into_iter().map(ToString::to_string).collect()
}

/// The targets of each target group, given the `registrations` of a host in a group. A group without targets is left
/// out: an empty list is never sent.
fn by_group(
    hosts: &HostTargets,
    registrations: impl Fn(&HostId, &TargetGroupId) -> BTreeSet<Registration>,
) -> BTreeMap<TargetGroupId, Vec<TargetDescription>> {
    let mut all: BTreeMap<TargetGroupId, Vec<TargetDescription>> = BTreeMap::new();
    for (host, groups) in hosts {
        for group in groups {
            for registration in registrations(host, group) {
                let id = registration.address.map_or_else(|| host.to_string(), |address| address.to_string());
                let target = TargetDescription::builder().id(id).set_port(registration.port).build();
                all.entry(group.clone()).or_default().push(target);
            }
        }
    }
    all
}

#[cfg(test)]
#[path = "effects_tests.rs"]
mod tests;
