//! A fleet on the AWS API server, built and looked at by clients that share nothing with the one under test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_autoscaling::types::{LaunchTemplateSpecification, Tag as GroupTag};
use aws_sdk_ec2::types::{
    Filter, InstanceStateName, InstanceType, Placement, RequestLaunchTemplateData, ResourceType, Tag, TagSpecification,
};
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetDescription, TargetHealthStateEnum, TargetTypeEnum};
use safe_remove::fleet::aws::{AwsFleet, AwsSettings, Timeouts};
use safe_remove::ledger::SqliteLedger;
use safe_remove::model::{Call, CallOutcome, Effect, FleetSnapshot, HostId, HostTargets, Nonce, Time};
use safe_remove::ports::{Fleet, FleetError, Permit, RecordedCall, Written, append};
use safe_remove::run::{EVENT_SCHEMA, Event, JournalRecord};
use serde_json::json;
use tempfile::TempDir;

use super::moto::{Moto, moto};

/// The account that moto plays where the credentials say nothing else.
pub(crate) const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
const IMAGE: &str = "ami-12c6146b";
const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

/// Short enough for tests, the pages too.
pub(crate) const TIMEOUTS: Timeouts = Timeouts {
    attempt: Duration::from_secs(10),
    attempts: 2,
    read: Duration::from_secs(20),
    observation: Duration::from_secs(60),
    part: Duration::from_secs(60),
    effect: Duration::from_secs(5),
    reread: Duration::from_millis(100),
    page: 7,
};

/// An empty AWS account and clients for it.
pub(crate) struct Cloud {
    pub(crate) moto: Moto,
    pub(crate) autoscaling: aws_sdk_autoscaling::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    vpc: String,
}

/// A group as Auto Scaling describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) desired: i32,
    /// Lifecycle state by id.
    pub(crate) members: BTreeMap<String, String>,
    pub(crate) suspended: BTreeSet<String>,
}

/// The clients' configuration. Plain text over loopback: the server checks no signature.
pub(crate) async fn sdk(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .load()
        .await
}

/// The provider under test, with its patience.
pub(crate) async fn open(endpoint: &str, account: &str, timeouts: Timeouts) -> Result<AwsFleet, FleetError> {
    let settings =
        AwsSettings { region: REGION.to_owned(), account: account.to_owned(), role: None, settle: None, timeouts };
    AwsFleet::connect(&sdk(endpoint).await, settings).await
}

/// Performs an effect whose intent is recorded now.
pub(crate) async fn perform(fleet: &AwsFleet, effect: Effect) -> CallOutcome {
    let intent_at = now();
    let call = Call { effect, intent_at, not_after: intent_at.plus(fleet.bounds().call_life) };
    fleet.perform(recorded(call).await).await
}

/// Nothing is performed whose intent no ledger has: this one goes with the test.
pub(crate) async fn recorded(intent: Call) -> RecordedCall {
    let home = TempDir::new().expect("a directory");
    let ledger = SqliteLedger::open(&home.path().join("ledger.db"), &"cloud".into(), now()).expect("a ledger");
    let event = Event::CallIntended { call: 1, intent };
    let record = JournalRecord { schema: EVENT_SCHEMA.to_owned(), run: "r-1".into(), seq: 0, at: now(), event };
    match append(&ledger, &record, &Nonce::new("1")).await {
        Ok(Written::Acknowledged(Permit::Call(recorded))) => recorded,
        other => panic!("{other:?}"),
    }
}

/// The observation, which must succeed.
pub(crate) async fn observe(fleet: &AwsFleet) -> FleetSnapshot {
    fleet.observe().await.expect("a complete observation")
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Time::from_millis(i64::try_from(since.as_millis()).expect("before the end"))
}

/// Hosts as an effect names them, each with the target groups that the observation shows.
pub(crate) fn named(snapshot: &FleetSnapshot, ids: &[HostId]) -> HostTargets {
    ids.iter().map(|id| (id.clone(), snapshot.host(id).expect("an observed host").target_groups.clone())).collect()
}

/// Takes members of a group out of service.
pub(crate) fn cordon(group: &str, hosts: HostTargets) -> Effect {
    Effect::Cordon { group: Some(group.into()), hosts }
}

/// What a refusal says, and whether the call may be sent again.
pub(crate) fn refused(outcome: &CallOutcome) -> Option<(&str, bool)> {
    match outcome {
        CallOutcome::Refused { message, retryable } => Some((message, *retryable)),
        CallOutcome::Done | CallOutcome::Unknown { .. } => None,
    }
}

impl Cloud {
    pub(crate) async fn new() -> Self {
        let moto = moto();
        // What is under way stays so until `settle`, however slow the machine.
        moto.set(&json!({
            "entering_standby_seconds": 60, "pending_seconds": 60, "terminating_seconds": 60,
            "initial_seconds": 60, "draining_seconds": 60,
        }));
        let sdk = sdk(moto.url()).await;
        let ec2 = aws_sdk_ec2::Client::new(&sdk);
        let vpcs = ec2.describe_vpcs().send().await.expect("the default VPC");
        let vpc = vpcs.vpcs()[0].vpc_id().expect("its id").to_owned();
        let cloud = Self {
            moto,
            autoscaling: aws_sdk_autoscaling::Client::new(&sdk),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&sdk),
            ec2,
            vpc,
        };
        let template = RequestLaunchTemplateData::builder().image_id(IMAGE).instance_type(InstanceType::M5Large);
        cloud
            .ec2
            .create_launch_template()
            .launch_template_name("base")
            .launch_template_data(template.build())
            .send()
            .await
            .expect("a launch template");
        cloud
    }

    pub(crate) async fn fleet(&self) -> AwsFleet {
        open(self.moto.url(), ACCOUNT, TIMEOUTS).await.expect("the fleet opens")
    }

    /// A group of `size` members, dealt over three zones, with its minimum and target groups.
    pub(crate) async fn group(&self, name: &str, size: i32, minimum: i32, target_groups: &[&str]) -> Vec<HostId> {
        let template = LaunchTemplateSpecification::builder().launch_template_name("base").version("$Latest");
        let role = GroupTag::builder()
            .resource_id(name)
            .resource_type("auto-scaling-group")
            .key("role")
            .value(name)
            .propagate_at_launch(true);
        self.autoscaling
            .create_auto_scaling_group()
            .auto_scaling_group_name(name)
            .min_size(minimum)
            .max_size(size)
            .desired_capacity(size)
            .set_availability_zones(Some(ZONES.map(str::to_owned).to_vec()))
            .launch_template(template.build())
            .tags(role.build())
            .set_target_group_arns(Some(target_groups.iter().map(|&arn| arn.to_owned()).collect()))
            .send()
            .await
            .expect("a group");
        self.moto.settle();
        self.described(name).await.members.keys().map(|id| HostId::new(id.as_str())).collect()
    }

    /// An instance outside groups.
    pub(crate) async fn instance(&self, tags: &[(&str, &str)]) -> HostId {
        let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        let tags = TagSpecification::builder().resource_type(ResourceType::Instance).set_tags(Some(tags)).build();
        let tags = (!tags.tags().is_empty()).then(|| vec![tags]);
        let answer = self
            .ec2
            .run_instances()
            .image_id(IMAGE)
            .instance_type(InstanceType::M5Large)
            .placement(Placement::builder().availability_zone(ZONES[0]).build())
            .set_tag_specifications(tags)
            .min_count(1)
            .max_count(1)
            .send()
            .await
            .expect("an instance");
        self.moto.settle();
        HostId::new(answer.instances()[0].instance_id().expect("its id"))
    }

    /// A target group of instances, behind a load balancer; its ARN.
    pub(crate) async fn target_group(&self, name: &str) -> String {
        self.target_group_of(name, TargetTypeEnum::Instance).await
    }

    /// The same, of addresses.
    pub(crate) async fn address_group(&self, name: &str) -> String {
        self.target_group_of(name, TargetTypeEnum::Ip).await
    }

    /// The host's private address.
    pub(crate) async fn address(&self, host: &HostId) -> String {
        let answer = self.ec2.describe_instances().instance_ids(host.as_str()).send().await.expect("the instance");
        answer.reservations()[0].instances()[0].private_ip_address().expect("an address").to_owned()
    }

    async fn target_group_of(&self, name: &str, kind: TargetTypeEnum) -> String {
        let group = self
            .elb
            .create_target_group()
            .name(name)
            .target_type(kind)
            .protocol(ProtocolEnum::Http)
            .port(80)
            .vpc_id(&self.vpc)
            .send()
            .await
            .expect("a target group");
        group.target_groups()[0].target_group_arn().expect("its ARN").to_owned()
    }

    pub(crate) async fn register(&self, target_group: &str, host: &HostId, port: i32) {
        self.elb
            .register_targets()
            .target_group_arn(target_group)
            .targets(TargetDescription::builder().id(host.as_str()).port(port).build())
            .send()
            .await
            .expect("registered");
        self.moto.settle();
    }

    pub(crate) async fn deregister(&self, target_group: &str, host: &HostId) {
        let target = TargetDescription::builder().id(host.as_str()).build();
        let sent = self.elb.deregister_targets().target_group_arn(target_group).targets(target).send().await;
        sent.expect("deregistered");
    }

    /// The targets that a target group does not call draining: id and port.
    pub(crate) async fn targets(&self, target_group: &str) -> BTreeSet<(String, i32)> {
        let answer = self.elb.describe_target_health().target_group_arn(target_group).send().await.expect("health");
        answer
            .target_health_descriptions()
            .iter()
            .filter(|t| t.target_health().and_then(|h| h.state()) != Some(&TargetHealthStateEnum::Draining))
            .filter_map(|t| Some((t.target()?.id()?.to_owned(), t.target()?.port()?)))
            .collect()
    }

    /// What a target group says of each of its targets: `healthy`, `draining`.
    pub(crate) async fn target_health(&self, target_group: &str) -> BTreeMap<String, String> {
        let answer = self.elb.describe_target_health().target_group_arn(target_group).send().await.expect("health");
        let targets = answer.target_health_descriptions().iter();
        targets
            .map(|t| {
                let id = t.target().and_then(|target| target.id()).expect("an id");
                let state = t.target_health().and_then(|health| health.state()).expect("a state");
                (id.to_owned(), state.to_string())
            })
            .collect()
    }

    /// Every instance that EC2 calls running.
    pub(crate) async fn running(&self) -> BTreeSet<String> {
        let running = Filter::builder().name("instance-state-name").values("running").build();
        let mut pages = self.ec2.describe_instances().filters(running).into_paginator().items().send();
        let mut ids = BTreeSet::new();
        while let Some(reservation) = pages.next().await {
            let reservation = reservation.expect("a page of instances");
            ids.extend(reservation.instances().iter().filter_map(|i| i.instance_id().map(str::to_owned)));
        }
        ids
    }

    pub(crate) async fn described(&self, group: &str) -> Described {
        let answer = self.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(group).send().await;
        let answer = answer.expect("the group");
        let group = &answer.auto_scaling_groups()[0];
        Described {
            desired: group.desired_capacity().expect("a size"),
            members: group
                .instances()
                .iter()
                .map(|i| {
                    (i.instance_id().expect("an id").to_owned(), i.lifecycle_state().expect("a state").to_string())
                })
                .collect(),
            suspended: group.suspended_processes().iter().filter_map(|p| p.process_name.clone()).collect(),
        }
    }

    /// Whether EC2 says that the instance is gone, or lists it no more.
    pub(crate) async fn is_gone(&self, host: &HostId) -> bool {
        let id = Filter::builder().name("instance-id").values(host.as_str()).build();
        let answer = self.ec2.describe_instances().filters(id).send().await.expect("instances");
        answer
            .reservations()
            .iter()
            .flat_map(|reservation| reservation.instances())
            .all(|instance| instance.state().and_then(|s| s.name()) == Some(&InstanceStateName::Terminated))
    }

    /// The instance's tags whose key begins like this.
    pub(crate) async fn tags(&self, host: &HostId, prefix: &str) -> BTreeMap<String, String> {
        let answer = self.ec2.describe_instances().instance_ids(host.as_str()).send().await.expect("the instance");
        answer.reservations()[0].instances()[0]
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
            .filter(|(key, _)| key.starts_with(prefix))
            .collect()
    }

    /// Switches termination protection on.
    pub(crate) async fn protect(&self, host: &HostId) {
        let on = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(true).build();
        self.ec2
            .modify_instance_attribute()
            .instance_id(host.as_str())
            .disable_api_termination(on)
            .send()
            .await
            .expect("protected");
    }
}
