//! What the AWS provider sees, against an AWS API server that was not written for it.

use std::collections::BTreeMap;
use std::time::Duration;

use safe_remove::fleet::aws::Timeouts;
use safe_remove::model::{Contradiction, GroupName, Health, HostState, InventoryError, Protection};
use safe_remove::ports::{Fleet, FleetError};
use serde_json::json;

use crate::support::cloud::{ACCOUNT, Cloud, TIMEOUTS, cordon, named, observe, open, perform, refused};

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
        assert_eq!(&host.tags["role"], host.group.as_ref().map_or("cron", GroupName::as_str));
        assert_eq!(host.target_groups.len(), usize::from(host.group.is_some()));
    }
    assert!(alone.iter().all(|id| snapshot.host(id).is_some_and(|h| h.group.is_none())));
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
    assert_eq!(&snapshot.host(&alone).expect("listed").tags["note"], evil);
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
    let timeouts = Timeouts { attempt: Duration::from_millis(300), attempts: 2, ..TIMEOUTS };
    let fleet = open(cloud.moto.url(), ACCOUNT, timeouts).await.expect("opened");
    cloud.moto.faults(&json!([{"action": "DescribeInstances", "times": 2, "delay": 2}]));
    let error = fleet.observe().await.expect_err("no answer");
    assert!(words(&error).contains("check the network"), "{}", words(&error));
}

#[tokio::test]
async fn the_wrong_account_bad_credentials_and_no_server_are_told_apart() {
    let cloud = Cloud::new().await;
    let url = cloud.moto.url();
    let wrong = open(url, "999999999999", TIMEOUTS).await.expect_err("another account");
    assert!(matches!(&wrong, FleetError::WrongFleet(text) if text.contains(ACCOUNT) && text.contains("999999999999")));

    for (trouble, expected) in [
        (json!({"expired_keys": true}), "aws sso login"),
        (json!({"expired_keys": [], "deny": ["sts:GetCallerIdentity"]}), "allow sts:GetCallerIdentity"),
    ] {
        cloud.moto.set(&trouble);
        let error = open(url, ACCOUNT, TIMEOUTS).await.expect_err("no identity");
        assert!(words(&error).contains(expected), "{}", words(&error));
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let error = open(&format!("http://{nobody}"), ACCOUNT, TIMEOUTS).await.expect_err("nobody listens");
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
    assert_eq!((of(0).state, of(0).health), (HostState::InService, Health::Doubtful));
    assert_eq!((of(1).state, of(1).health), (HostState::InService, Health::Doubtful));
    assert_eq!((of(2).state, of(2).is_healthy()), (HostState::Terminating, false));
    assert!(of(3).is_serving());
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
        let error = open(cloud.moto.url(), ACCOUNT, TIMEOUTS).await.expect_err("the clocks disagree");
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
    let torn = observe(&fleet).await;
    let missing = |about: &Contradiction| matches!(about.error, InventoryError::MissingMember { .. });
    assert!(torn.contradictions.len() == 3 && torn.contradictions.iter().all(missing), "{:?}", torn.contradictions);
    cloud.moto.set(&json!({"stale_seconds": 0}));
    let whole = observe(&fleet).await;
    assert_eq!((whole.hosts().len(), whole.contradictions.len()), (6, 0));
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
    let held = "Terminating:Wait: lifecycle hook drain may hold it for up to 300 s";
    assert_eq!((snapshot.held(&index[0]), snapshot.held(&index[1])), (Some(held), None));
    let group = snapshot.group(&"index".into()).expect("index");
    assert!(group.notes.iter().any(|note| note.contains("drain") && note.contains("300 s")), "{:?}", group.notes);
    cloud.moto.settle();
    // A minute old, the detail would be read again; another process reads it now.
    let snapshot = observe(&cloud.fleet().await).await;
    let group = snapshot.group(&"index".into()).expect("index");
    assert!(group.launch_failure.as_deref().is_some_and(|why| why.contains("no capacity")), "{group:?}");
}
