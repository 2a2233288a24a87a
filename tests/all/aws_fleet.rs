//! The AWS provider against an AWS API server that was not written for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use safe_remove::fleet::aws::{AwsFleet, Patience};
use safe_remove::model::{
    Call, CallOutcome, Effect, GroupName, HostId, HostState, InventoryError, Process, Protection,
};
use safe_remove::ports::{Fleet, FleetError};
use serde_json::json;

use crate::support::cloud::{ACCOUNT, Cloud, Described, PATIENCE, named, now, observe, open, perform};

fn cordon(group: &str, hosts: BTreeMap<HostId, BTreeSet<safe_remove::model::TargetGroupId>>) -> Effect {
    Effect::Cordon { group: Some(group.into()), hosts }
}

fn refused(outcome: &CallOutcome) -> Option<(&str, bool)> {
    match outcome {
        CallOutcome::Refused { message, retryable } => Some((message, *retryable)),
        CallOutcome::Done | CallOutcome::Unknown { .. } => None,
    }
}

async fn state(fleet: &AwsFleet, id: &HostId) -> Option<HostState> {
    observe(fleet).await.host(id).map(|host| host.state)
}

/// The words of an error and of its cause, and its hint.
fn words(error: &FleetError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let hint = match error {
        FleetError::Provider { hint, .. } => hint.clone().unwrap_or_default(),
        _ => String::new(),
    };
    format!("{error}: {cause}\nhint: {hint}")
}

#[tokio::test]
async fn two_hundred_instances_over_three_zones_are_observed_whole() {
    let cloud = Cloud::new().await;
    let web = cloud.target_group("web").await;
    let mut members = BTreeMap::new();
    for (name, size) in [("index", 90), ("placement", 60), ("billing", 42)] {
        members.insert(name, cloud.group(name, size, 0, &[&web]).await);
    }
    let mut alone = Vec::new();
    for _ in 0..8 {
        alone.push(cloud.instance(&[("role", "cron")]).await);
    }
    let fleet = cloud.fleet().await;
    let snapshot = observe(&fleet).await;

    assert_eq!(snapshot.hosts().len(), 200);
    assert!(cloud.moto.calls("DescribeInstances") > 2, "the list had several pages");
    for (name, members) in &members {
        let group = snapshot.group(&(*name).into()).expect("its group");
        let size = u64::try_from(members.len()).expect("small");
        assert_eq!((group.desired, group.stated_members, group.max_size), (size, size, size));
        for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
            let in_zone = snapshot.hosts().filter(|h| h.group.as_ref() == Some(&group.name) && h.zone.as_str() == zone);
            assert_eq!(in_zone.count(), members.len() / 3, "{name} in {zone}");
        }
    }
    for host in snapshot.hosts() {
        assert!(host.is_serving(), "{host:?}");
        assert_eq!(host.tags["role"], host.group.as_ref().map_or("cron", GroupName::as_str));
        assert_eq!(host.target_groups.len(), usize::from(host.group.is_some()));
    }
    assert!(alone.iter().all(|id| snapshot.host(id).is_some_and(|h| h.group.is_none())));
}

#[tokio::test]
async fn a_batch_in_a_group_goes_out_comes_back_and_goes_for_good() {
    let cloud = Cloud::new().await;
    let web = cloud.target_group("web").await;
    let index = cloud.group("index", 9, 3, &[&web]).await;
    let others = cloud.group("billing", 3, 3, &[&web]).await;
    let fleet = cloud.fleet().await;
    let billing_before = cloud.described("billing").await;

    let suspend = Effect::Suspend { group: "index".into(), process: Process::AzRebalance };
    assert_eq!(perform(&fleet, suspend).await, CallOutcome::Done);
    assert_eq!(cloud.described("index").await.suspended, BTreeSet::from(["AZRebalance".to_owned()]));

    // Two go out: exactly these, and desired capacity goes down once for each.
    let (gone, back) = (index[0].clone(), index[1].clone());
    let before = observe(&fleet).await;
    assert!(before.group(&"index".into()).expect("index").suspended.contains(&Process::AzRebalance));
    let batch = named(&before, &[gone.clone(), back.clone()]);
    assert_eq!(perform(&fleet, cordon("index", batch.clone())).await, CallOutcome::Done);
    assert_eq!(state(&fleet, &gone).await, Some(HostState::Pending), "on its way out of service");
    cloud.moto.settle();
    let cordoned = cloud.described("index").await;
    assert_eq!(cordoned.desired, 7);
    let standby: Vec<&str> =
        cordoned.members.iter().filter(|(_, state)| *state == "Standby").map(|(id, _)| id.as_str()).collect();
    assert_eq!(standby, {
        let mut ids = [gone.as_str(), back.as_str()];
        ids.sort_unstable();
        ids
    });
    assert_eq!(state(&fleet, &gone).await, Some(HostState::Cordoned));
    assert_eq!(state(&fleet, &back).await, Some(HostState::Cordoned));
    assert_eq!(cloud.targets(&web).await.len(), 7 + 3);

    // The same call again is refused, and takes nobody else.
    let again = perform(&fleet, cordon("index", batch.clone())).await;
    assert_eq!(refused(&again).map(|(_, retryable)| retryable), Some(false), "{again:?}");
    assert_eq!(cloud.described("index").await, cordoned);

    // One comes back, in its target group too.
    let restore = Effect::Restore {
        group: Some("index".into()),
        hosts: batch.into_iter().filter(|(id, _)| *id == back).collect(),
    };
    assert_eq!(perform(&fleet, restore).await, CallOutcome::Done);
    assert_eq!(cloud.described("index").await.desired, 8);
    assert!(!observe(&fleet).await.host(&back).is_some_and(safe_remove::model::Host::is_serving), "not yet");
    cloud.moto.settle();
    let snapshot = observe(&fleet).await;
    assert!(snapshot.host(&back).is_some_and(|h| h.is_serving() && h.target_groups.len() == 1));

    // One goes for good: no second decrement, no replacement, nobody else.
    let terminate = || Effect::Terminate { group: Some("index".into()), host: gone.clone() };
    assert_eq!(perform(&fleet, terminate()).await, CallOutcome::Done);
    assert_eq!(state(&fleet, &gone).await, Some(HostState::Terminating));
    cloud.moto.settle();
    assert!(cloud.is_gone(&gone).await);
    let after = cloud.described("index").await;
    let survivors: BTreeMap<String, String> =
        index.iter().filter(|id| **id != gone).map(|id| (id.to_string(), "InService".to_owned())).collect();
    assert_eq!((after.desired, &after.members), (8, &survivors));
    let snapshot = observe(&fleet).await;
    assert!(snapshot.host(&gone).is_none());
    assert_eq!(snapshot.group(&"index".into()).expect("index").stated_members, 8);
    let again = perform(&fleet, terminate()).await;
    assert!(refused(&again).is_some(), "gone is not done: {again:?}");

    // One that is in service is never terminated, whoever asks.
    let serving = perform(&fleet, Effect::Terminate { group: Some("index".into()), host: back.clone() }).await;
    assert!(refused(&serving).is_some_and(|(message, _)| message.contains("InService")), "{serving:?}");

    let resume = Effect::Resume { group: "index".into(), process: Process::AzRebalance };
    assert_eq!(perform(&fleet, resume).await, CallOutcome::Done);
    assert_eq!(cloud.described("index").await, Described { suspended: BTreeSet::new(), ..after });
    assert_eq!(cloud.described("billing").await, billing_before);
    let in_web: BTreeSet<String> = cloud.targets(&web).await.into_iter().map(|(id, _)| id).collect();
    let expected: BTreeSet<String> =
        index.iter().chain(&others).filter(|id| **id != gone).map(ToString::to_string).collect();
    assert_eq!(in_web, expected);
}

#[tokio::test]
async fn the_groups_own_floor_and_ceiling_are_in_the_observation_and_aws_enforces_them() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 4, 3, &[]).await;
    let fleet = cloud.fleet().await;
    let snapshot = observe(&fleet).await;
    let group = snapshot.group(&"index".into()).expect("index");
    assert_eq!((group.min_size, group.desired, group.max_size), (3, 4, 4));
    let before = cloud.described("index").await;
    let outcome = perform(&fleet, cordon("index", named(&snapshot, &index[..2]))).await;
    assert_eq!(refused(&outcome).map(|(_, retryable)| retryable), Some(false), "{outcome:?}");
    assert_eq!(cloud.described("index").await, before);
}

#[tokio::test]
async fn an_instance_outside_groups_goes_out_comes_back_to_its_ports_and_goes_for_good() {
    let cloud = Cloud::new().await;
    let (web, api) = (cloud.target_group("web").await, cloud.target_group("api").await);
    let host = cloud.instance(&[("role", "cron")]).await;
    let bystander = cloud.instance(&[("role", "cron")]).await;
    cloud.register(&web, &host, 8080).await;
    cloud.register(&api, &host, 80).await;
    cloud.register(&api, &bystander, 80).await;
    let registered = (cloud.targets(&web).await, cloud.targets(&api).await);
    let fleet = cloud.fleet().await;

    let snapshot = observe(&fleet).await;
    let hosts = named(&snapshot, std::slice::from_ref(&host));
    assert_eq!(hosts[&host], BTreeSet::from([web.as_str().into(), api.as_str().into()]));
    let out = || Effect::Cordon { group: None, hosts: hosts.clone() };
    assert_eq!(perform(&fleet, out()).await, CallOutcome::Done);
    assert_eq!(cloud.targets(&web).await, BTreeSet::new());
    assert_eq!(cloud.targets(&api).await, BTreeSet::from([(bystander.to_string(), 80)]));
    assert_eq!(cloud.tags(&host, "safe-remove:cordoned").await.len(), 2);
    assert_eq!(state(&fleet, &host).await, Some(HostState::Pending), "still draining");
    cloud.moto.settle();
    assert_eq!(state(&fleet, &host).await, Some(HostState::Cordoned));

    assert_eq!(perform(&fleet, Effect::Restore { group: None, hosts: hosts.clone() }).await, CallOutcome::Done);
    assert_eq!((cloud.targets(&web).await, cloud.targets(&api).await), registered);
    assert_eq!(cloud.tags(&host, "safe-remove:").await, BTreeMap::new());
    cloud.moto.settle();
    assert!(observe(&fleet).await.host(&host).is_some_and(safe_remove::model::Host::is_serving));

    // In service it is not terminated; cordoned it is, alone.
    let terminate = || Effect::Terminate { group: None, host: host.clone() };
    let serving = perform(&fleet, terminate()).await;
    assert!(refused(&serving).is_some(), "{serving:?}");
    assert_eq!(perform(&fleet, out()).await, CallOutcome::Done);
    assert_eq!(perform(&fleet, terminate()).await, CallOutcome::Done);
    cloud.moto.settle();
    assert!(cloud.is_gone(&host).await);
    let snapshot = observe(&fleet).await;
    assert!(snapshot.host(&host).is_none());
    assert!(snapshot.host(&bystander).is_some_and(safe_remove::model::Host::is_serving));
}

#[tokio::test]
async fn a_member_of_a_group_is_never_treated_as_if_it_were_outside() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 3, 0, &[]).await;
    let fleet = cloud.fleet().await;
    let before = cloud.described("index").await;
    let hosts = named(&observe(&fleet).await, &index[..1]);
    for effect in [Effect::Cordon { group: None, hosts }, Effect::Terminate { group: None, host: index[0].clone() }] {
        let outcome = perform(&fleet, effect).await;
        assert!(refused(&outcome).is_some_and(|(message, _)| message.contains("group index")), "{outcome:?}");
    }
    assert_eq!(cloud.described("index").await, before);
}

#[tokio::test]
async fn protection_is_honoured_and_other_peoples_text_is_kept_as_it_is() {
    let cloud = Cloud::new().await;
    // The eight-bit form of an escape sequence: XML cannot carry the other one at all.
    let evil = "\u{9b}2J\u{202e}<b>&amp;";
    let index = cloud.group("index", 3, 0, &[]).await;
    let alone = cloud.instance(&[("note", evil)]).await;
    cloud
        .autoscaling
        .set_instance_protection()
        .auto_scaling_group_name("index")
        .instance_ids(index[0].as_str())
        .protected_from_scale_in(true)
        .send()
        .await
        .expect("protected from scale-in");
    cloud.protect(&index[1]).await;
    cloud.protect(&alone).await;
    let fleet = cloud.fleet().await;
    let snapshot = observe(&fleet).await;
    assert_eq!(snapshot.host(&alone).expect("listed").tags["note"], evil);
    assert_eq!(snapshot.host(&index[0]).expect("listed").protection, Some(Protection::ScaleIn));

    // Termination protection shows where it is looked for, and from then on.
    let outcome = perform(&fleet, cordon("index", named(&snapshot, &index[1..]))).await;
    assert!(refused(&outcome).is_some_and(|(message, _)| message.contains(index[1].as_str())), "{outcome:?}");
    assert_eq!(cloud.described("index").await.desired, 3);
    assert_eq!(
        fleet.protections(&[index[2].clone(), alone.clone()]).await.expect("readable"),
        BTreeMap::from([(alone.clone(), Protection::Termination)])
    );
    let snapshot = observe(&fleet).await;
    for host in [&index[1], &alone] {
        assert_eq!(snapshot.host(host).expect("listed").protection, Some(Protection::Termination));
    }
    assert_eq!(snapshot.host(&index[2]).expect("listed").protection, None);
}

#[tokio::test]
async fn adoption_marks_groups_and_instances_outside_them() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 1, 0, &[]).await;
    let alone = cloud.instance(&[]).await;
    let fleet = cloud.fleet().await;
    let adopt = Effect::Adopt {
        ledger: "ledger-1".into(),
        groups: BTreeSet::from(["index".into()]),
        hosts: BTreeSet::from([alone.clone()]),
        replaces: BTreeSet::new(),
    };
    assert_eq!(perform(&fleet, adopt).await, CallOutcome::Done);
    let snapshot = observe(&fleet).await;
    for id in [&index[0], &alone] {
        let host = snapshot.host(id).expect("listed");
        assert_eq!(snapshot.ledger_of(host), Some(&"ledger-1".into()));
    }
    assert_eq!(cloud.tags(&index[0], "safe-remove:").await, BTreeMap::new(), "the group speaks for its members");
}

#[tokio::test]
async fn s3_reads_survive_throttling_and_server_errors_but_never_give_a_part() {
    let cloud = Cloud::new().await;
    cloud.group("index", 3, 0, &[]).await;
    let fleet = cloud.fleet().await;
    cloud.moto.faults(&json!([
        {"action": "DescribeAutoScalingGroups", "times": 1, "code": "Throttling", "message": "Rate exceeded"},
        {"action": "DescribeInstances", "times": 1, "status": 503, "code": "RequestLimitExceeded"},
        {"action": "DescribeTargetGroups", "times": 1, "status": 500, "code": "InternalFailure"},
    ]));
    assert_eq!(observe(&fleet).await.hosts().len(), 3);

    for (fault, expected) in [
        (json!({"action": "DescribeAutoScalingGroups", "code": "Throttling"}), "try again in a minute"),
        (json!({"action": "DescribeInstances", "status": 500, "code": "InternalError"}), "health page"),
        (
            json!({"action": "DescribeInstanceStatus", "status": 403, "code": "UnauthorizedOperation"}),
            "allow ec2:DescribeInstanceStatus",
        ),
        (json!({"action": "DescribeTargetGroups", "status": 403, "code": "ExpiredToken"}), "aws sso login"),
    ] {
        let mut fault = fault;
        fault["times"] = json!(1_000);
        cloud.moto.faults(&json!([fault]));
        let error = fleet.observe().await.expect_err("one list is missing");
        assert!(words(&error).contains(expected), "{}", words(&error));
    }
}

#[tokio::test]
async fn s3_a_page_that_never_comes_ends_the_observation() {
    let cloud = Cloud::new().await;
    cloud.group("index", 3, 0, &[]).await;
    let patience = Patience { attempt: Duration::from_millis(300), attempts: 2, ..PATIENCE };
    let fleet = open(cloud.moto.url(), ACCOUNT, patience).await.expect("opened");
    cloud.moto.faults(&json!([{"action": "DescribeInstances", "times": 2, "delay": 2}]));
    let error = fleet.observe().await.expect_err("no answer");
    assert!(words(&error).contains("check the network"), "{}", words(&error));
}

#[tokio::test]
async fn s9_an_effect_that_is_not_answered_is_in_doubt_and_not_repeated() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 6, 0, &[]).await;
    let fleet = cloud.fleet().await;
    let snapshot = observe(&fleet).await;
    let suspend = Effect::Suspend { group: "index".into(), process: Process::AzRebalance };
    assert_eq!(perform(&fleet, suspend).await, CallOutcome::Done);
    let standby = async |id: &HostId| cloud.described("index").await.members[id.as_str()] == "Standby";

    for (n, (fault, is_done)) in [
        (json!({"when": "after", "drop": true}), true),
        (json!({"when": "before", "drop": true}), false),
        (json!({"when": "after", "status": 500, "code": "InternalFailure"}), true),
        (json!({"when": "before", "status": 503, "code": "ServiceUnavailable"}), false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fault = fault;
        fault["action"] = json!("EnterStandby");
        cloud.moto.faults(&json!([fault]));
        let calls = cloud.moto.calls("EnterStandby");
        let outcome = perform(&fleet, cordon("index", named(&snapshot, &index[n..=n]))).await;
        assert!(matches!(outcome, CallOutcome::Unknown { .. }), "{fault}: {outcome:?}");
        assert_eq!(cloud.moto.calls("EnterStandby"), calls + 1, "{fault}");
        cloud.moto.settle();
        assert_eq!(standby(&index[n]).await, is_done, "{fault}");
    }
    for code in ["Throttling", "ScalingActivityInProgress", "ResourceContention"] {
        cloud.moto.faults(&json!([{"action": "EnterStandby", "code": code}]));
        let outcome = perform(&fleet, cordon("index", named(&snapshot, &index[4..5]))).await;
        assert_eq!(refused(&outcome).map(|(_, retryable)| retryable), Some(true), "{code}: {outcome:?}");
    }
    assert!(!standby(&index[4]).await);

    // A termination whose answer is lost: asking again must not take another.
    cloud.moto.faults(&json!([{"action": "TerminateInstanceInAutoScalingGroup", "when": "after", "drop": true}]));
    let terminate = || Effect::Terminate { group: Some("index".into()), host: index[0].clone() };
    let outcome = perform(&fleet, terminate()).await;
    assert!(matches!(outcome, CallOutcome::Unknown { .. }), "{outcome:?}");
    cloud.moto.settle();
    let after = cloud.described("index").await;
    assert!(refused(&perform(&fleet, terminate()).await).is_some());
    cloud.moto.settle();
    assert_eq!(cloud.described("index").await, after);
    assert_eq!((after.desired, after.members.len()), (4, 5));
}

#[tokio::test]
async fn the_wrong_account_bad_credentials_and_no_server_are_told_apart() {
    let cloud = Cloud::new().await;
    let url = cloud.moto.url();
    let wrong = open(url, "999999999999", PATIENCE).await.expect_err("another account");
    assert!(matches!(&wrong, FleetError::WrongFleet(text) if text.contains(ACCOUNT) && text.contains("999999999999")));

    for (trouble, expected) in [
        (json!({"expired_keys": true}), "aws sso login"),
        (json!({"expired_keys": [], "deny": ["sts:GetCallerIdentity"]}), "allow sts:GetCallerIdentity"),
    ] {
        cloud.moto.set(&trouble);
        let error = open(url, ACCOUNT, PATIENCE).await.expect_err("no identity");
        assert!(words(&error).contains(expected), "{}", words(&error));
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let error = open(&format!("http://{nobody}"), ACCOUNT, PATIENCE).await.expect_err("nobody listens");
    assert!(words(&error).contains("check the network"), "{}", words(&error));
}

#[tokio::test]
async fn what_changes_behind_our_back_is_seen() {
    let cloud = Cloud::new().await;
    let web = cloud.target_group("web").await;
    let index = cloud.group("index", 6, 0, &[&web]).await;
    let fleet = cloud.fleet().await;
    cloud.moto.post("target-health", &json!({index[0].as_str(): ["unhealthy", "Target.FailedHealthChecks"]}));
    cloud
        .autoscaling
        .set_instance_health()
        .instance_id(index[1].as_str())
        .health_status("Unhealthy")
        .send()
        .await
        .expect("unhealthy by the group's word");
    cloud.ec2.stop_instances().instance_ids(index[2].as_str()).send().await.expect("stopped");
    let snapshot = observe(&fleet).await;
    let of = |n: usize| snapshot.host(&index[n]).expect("listed");
    assert_eq!((of(0).state, of(0).healthy), (HostState::InService, false));
    assert_eq!((of(1).state, of(1).healthy), (HostState::InService, false));
    assert_eq!((of(2).state, of(2).healthy), (HostState::Terminating, false));
    assert!(of(3).is_serving());
}

#[tokio::test]
async fn s9_aws_itself_refuses_a_call_whose_intent_is_too_old() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 3, 0, &[]).await;
    let fleet = cloud.fleet().await;
    let before = cloud.described("index").await;
    let hosts = named(&observe(&fleet).await, &index[..1]);
    // As if this process had been frozen after it looked at its clock.
    let not_after = now().plus(Duration::from_secs(60));
    for minutes in [16, 60] {
        let intent_at = now().minus(Duration::from_secs(minutes * 60));
        let late = Call { effect: cordon("index", hosts.clone()), intent_at, not_after };
        let outcome = fleet.perform(&late).await;
        assert!(refused(&outcome).is_some_and(|(message, _)| message.contains("Signature expired")), "{outcome:?}");
    }
    cloud.moto.settle();
    assert_eq!(cloud.described("index").await, before);
    let intent_at = now().minus(Duration::from_secs(14 * 60));
    let in_time = Call { effect: cordon("index", hosts), intent_at, not_after };
    assert_eq!(fleet.perform(&in_time).await, CallOutcome::Done);
}

#[tokio::test]
async fn s3_a_clock_that_disagrees_with_awss_stops_everything() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 3, 0, &[]).await;
    let fleet = cloud.fleet().await;
    let hosts = named(&observe(&fleet).await, &index[..1]);
    for shift in [90, -90, 3600] {
        cloud.moto.set(&json!({"clock_shift_seconds": shift}));
        let error = fleet.observe().await.expect_err("the clocks disagree");
        assert!(matches!(error, FleetError::Clock { .. }), "{shift} s: {error:?}");
        let error = open(cloud.moto.url(), ACCOUNT, PATIENCE).await.expect_err("the clocks disagree");
        assert!(matches!(error, FleetError::Clock { .. }), "{shift} s: {error:?}");
        let outcome = perform(&fleet, cordon("index", hosts.clone())).await;
        assert!(refused(&outcome).is_some_and(|(message, _)| message.contains("clocks")), "{outcome:?}");
    }
    assert_eq!(cloud.moto.calls("EnterStandby"), 0);
    cloud.moto.set(&json!({"clock_shift_seconds": 20}));
    assert_eq!(observe(&fleet).await.hosts().len(), 3, "within the tolerance, and known to be");
}

#[tokio::test]
async fn s3_an_inventory_that_is_cut_short_is_no_inventory() {
    let cloud = Cloud::new().await;
    cloud.group("index", 12, 0, &[]).await;
    cloud.group("billing", 12, 0, &[]).await;
    let fleet = cloud.fleet().await;
    // Pages shorter than asked for are whole all the same.
    cloud.moto.set(&json!({"max_page": 1}));
    assert_eq!(observe(&fleet).await.hosts().len(), 24);
    for fault in [
        json!({"action": "DescribeAutoScalingGroups", "repeat_token": true, "times": 100}),
        json!({"action": "DescribeInstances", "repeat_token": true, "times": 100}),
        json!({"action": "DescribeInstances", "cut": 0.5, "times": 100}),
        json!({"action": "DescribeAutoScalingGroups", "cut": 0.9, "times": 100}),
    ] {
        cloud.moto.faults(&json!([fault]));
        let error = fleet.observe().await.expect_err("a part of the inventory");
        assert!(matches!(error, FleetError::Provider { .. }), "{fault}: {error:?}");
    }
}

#[tokio::test]
async fn s3_lists_that_lag_contradict_each_other_until_they_agree() {
    let cloud = Cloud::new().await;
    cloud.group("index", 3, 0, &[]).await;
    let fleet = cloud.fleet().await;
    // EC2 answers from before the group grew; the group knows of its new members.
    cloud.moto.set(&json!({"stale_seconds": 60, "stale_actions": ["DescribeInstances"]}));
    let grow = cloud.autoscaling.update_auto_scaling_group().auto_scaling_group_name("index");
    grow.max_size(6).desired_capacity(6).send().await.expect("grown");
    let error = fleet.observe().await.expect_err("members that EC2 does not list");
    assert!(matches!(error, FleetError::Inventory(InventoryError::MissingMember { .. })), "{error:?}");
    cloud.moto.set(&json!({"stale_seconds": 0}));
    assert_eq!(observe(&fleet).await.hosts().len(), 6);
}

#[tokio::test]
async fn launches_that_fail_and_hooks_that_hold_are_told() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 3, 0, &[]).await;
    cloud
        .autoscaling
        .put_lifecycle_hook()
        .auto_scaling_group_name("index")
        .lifecycle_hook_name("drain")
        .lifecycle_transition("autoscaling:EC2_INSTANCE_TERMINATING")
        .heartbeat_timeout(300)
        .send()
        .await
        .expect("a hook");
    cloud.moto.set(&json!({"fail_launches": {"index": "no capacity in us-east-1a"}}));
    // Somebody else's termination: the group tries to replace it, and cannot.
    cloud
        .autoscaling
        .terminate_instance_in_auto_scaling_group()
        .instance_id(index[0].as_str())
        .should_decrement_desired_capacity(false)
        .send()
        .await
        .expect("terminated");
    let fleet = cloud.fleet().await;
    let snapshot = observe(&fleet).await;
    assert_eq!(snapshot.host(&index[0]).map(|h| h.state), Some(HostState::Terminating), "the hook holds it");
    let group = snapshot.group(&"index".into()).expect("index");
    assert!(group.notes.iter().any(|note| note.contains("drain") && note.contains("300 s")), "{:?}", group.notes);
    cloud.moto.settle();
    // A minute old, the detail would be read again; another process reads it now.
    let snapshot = observe(&cloud.fleet().await).await;
    let group = snapshot.group(&"index".into()).expect("index");
    assert!(group.launch_failure.as_deref().is_some_and(|why| why.contains("no capacity")), "{group:?}");
}
