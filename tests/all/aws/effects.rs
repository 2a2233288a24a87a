//! What the AWS provider does, against an AWS API server that was not written for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use safe_remove::fleet::aws::AwsFleet;
use safe_remove::model::{Call, CallOutcome, Effect, HostId, HostState, Process};
use safe_remove::ports::Fleet;
use serde_json::json;

use crate::support::cloud::{Cloud, Described, cordon, named, now, observe, perform, recorded, refused};

async fn state(fleet: &AwsFleet, id: &HostId) -> Option<HostState> {
    observe(fleet).await.host(id).map(|host| host.state)
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
    // With the statuses of AWS's service model: what its words say holds, whatever the status.
    for (code, status) in [("Throttling", 400), ("ScalingActivityInProgress", 400), ("ResourceContention", 500)] {
        cloud.moto.faults(&json!([{"action": "EnterStandby", "code": code, "status": status}]));
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

/// AWS raises desired capacity for each host that leaves Standby. For one that is dead the group would launch another; one
/// that somebody detached would be refused, and the others with it.
#[tokio::test]
async fn s7_a_restore_of_a_host_that_is_not_in_standby_any_more_is_not_sent() {
    let cloud = Cloud::new().await;
    let index = cloud.group("index", 6, 0, &[]).await;
    let fleet = cloud.fleet().await;
    let suspend = Effect::Suspend { group: "index".into(), process: Process::AzRebalance };
    assert_eq!(perform(&fleet, suspend).await, CallOutcome::Done);
    let batch = named(&observe(&fleet).await, &index[..4]);
    let restore = |ids: &[usize]| Effect::Restore {
        group: Some("index".into()),
        hosts: ids.iter().map(|n| (index[*n].clone(), BTreeSet::new())).collect(),
    };
    assert_eq!(perform(&fleet, cordon("index", batch)).await, CallOutcome::Done);
    // AWS needs a moment: that passes, and is no reason to send each alone.
    let early = perform(&fleet, restore(&[0, 1])).await;
    assert!(refused(&early).is_some_and(|(message, retryable)| retryable && message.contains("EnteringStandby")));
    cloud.moto.settle();

    let [detached, reclaimed, undone] = [&index[0], &index[1], &index[2]];
    let detach = cloud.autoscaling.detach_instances().auto_scaling_group_name("index");
    let detach = detach.instance_ids(detached.as_str()).should_decrement_desired_capacity(false);
    detach.send().await.expect("detached");
    cloud.ec2.terminate_instances().instance_ids(reclaimed.as_str()).send().await.expect("reclaimed");
    let exit = cloud.autoscaling.exit_standby().auto_scaling_group_name("index");
    exit.instance_ids(undone.as_str()).send().await.expect("put back");
    cloud.moto.settle();
    let before = cloud.described("index").await;
    assert_eq!(before.members[reclaimed.as_str()], "Standby", "it stays listed, dead");

    let calls = cloud.moto.calls("ExitStandby");
    for (ids, words) in [
        (&[0, 3][..], "is in no Auto Scaling group"),
        (&[1, 3], "would launch another"),
        (&[2, 3], "is InService, not Standby"),
        (&[0], "is in no Auto Scaling group"),
        (&[1], "would launch another"),
    ] {
        let outcome = perform(&fleet, restore(ids)).await;
        let (message, retryable) = refused(&outcome).expect("refused");
        assert!(message.contains(words) && !retryable, "{ids:?}: {outcome:?}");
    }
    assert_eq!(cloud.moto.calls("ExitStandby"), calls);
    cloud.moto.settle();
    assert_eq!(cloud.described("index").await, before, "nothing was launched");
    // A failed read keeps nobody out.
    cloud.moto.set(&json!({"deny": ["autoscaling:DescribeAutoScalingInstances"]}));
    assert_eq!(perform(&fleet, restore(&[3])).await, CallOutcome::Done);
    cloud.moto.settle();
    assert_eq!(cloud.described("index").await.members[index[3].as_str()], "InService");
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
    for minutes in [6, 16, 60] {
        let intent_at = now().minus(Duration::from_secs(minutes * 60));
        let late = Call { effect: cordon("index", hosts.clone()), intent_at, not_after };
        let outcome = fleet.perform(recorded(late).await).await;
        let (message, retryable) = refused(&outcome).expect("a refusal");
        assert!(retryable && message.contains("Signature expired"), "{outcome:?}");
    }
    cloud.moto.settle();
    assert_eq!(cloud.described("index").await, before);
    let intent_at = now().minus(Duration::from_secs(4 * 60));
    let in_time = Call { effect: cordon("index", hosts), intent_at, not_after };
    assert_eq!(fleet.perform(recorded(in_time).await).await, CallOutcome::Done);
}

/// Without the ledger a restore has 30 s, so it is signed early, for services that take a signature 5 minutes and others
/// that take it 15. After one refusal it arrives, in a group and outside.
#[tokio::test]
async fn s7_a_restore_with_little_time_arrives_at_services_that_take_a_signature_for_five_minutes() {
    let cloud = Cloud::new().await;
    let web = cloud.target_group("web").await;
    let index = cloud.group("index", 3, 0, &[&web]).await;
    let alone = cloud.instance(&[("role", "cron")]).await;
    cloud.register(&web, &alone, 80).await;
    let before = cloud.targets(&web).await;
    let fleet = cloud.fleet().await;
    let hosts = named(&observe(&fleet).await, &[index[0].clone(), alone.clone()]);
    for (group, host) in [(Some("index".into()), &index[0]), (None, &alone)] {
        let hosts: BTreeMap<_, _> = hosts.clone().into_iter().filter(|(id, _)| id == host).collect();
        assert_eq!(
            perform(&fleet, Effect::Cordon { group: group.clone(), hosts: hosts.clone() }).await,
            CallOutcome::Done
        );
        cloud.moto.settle();
        let restore = || {
            let (effect, intent_at) = (Effect::Restore { group: group.clone(), hosts: hosts.clone() }, now());
            Call { effect, intent_at, not_after: intent_at.plus(Duration::from_secs(30)) }
        };
        let first = fleet.perform(recorded(restore()).await).await;
        assert_eq!(refused(&first).map(|(_, retryable)| retryable), Some(true), "{first:?}");
        assert_eq!(fleet.perform(recorded(restore()).await).await, CallOutcome::Done);
        cloud.moto.settle();
        assert!(observe(&fleet).await.host(host).is_some_and(safe_remove::model::Host::is_serving));
    }
    assert_eq!(cloud.targets(&web).await, before);
}
