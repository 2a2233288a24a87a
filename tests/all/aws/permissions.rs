//! Permissions that are missing: found before anything is touched, and tried without effect.

use std::collections::{BTreeMap, BTreeSet};

use safe_remove::ports::{Fleet, Permission, Trial, Trials};
use serde_json::json;

use crate::permissions::actions;
use crate::support::cloud::Cloud;

use super::story::{SMALL, Shape, Story, named_by, removal, rules, run, start, texts};

/// The actions that can be tried at any time.
const TRIED: [&str; 10] = [
    "autoscaling:ExitStandby",
    "autoscaling:EnterStandby",
    "elasticloadbalancing:RegisterTargets",
    "elasticloadbalancing:DeregisterTargets",
    "ec2:DeleteTags",
    "ec2:CreateTags",
    "ec2:TerminateInstances",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeWarmPool",
    "ec2:DescribeInstanceAttribute",
];

fn denied(found: &[Permission]) -> Vec<&str> {
    found.iter().filter(|p| matches!(p.trial, Trial::Denied(_))).map(|p| p.action).collect()
}

#[tokio::test]
async fn a_trial_finds_the_action_that_is_denied_and_changes_nothing() {
    let cloud = Cloud::new().await;
    let web = cloud.target_group("web").await;
    cloud.group("index", 3, 3, &[&web]).await;
    let alone = [cloud.instance(&[]).await, cloud.instance(&[]).await];
    let fleet = cloud.fleet().await;
    let (group, targets) = (cloud.described("index").await, cloud.targets(&web).await);
    let groups = BTreeSet::from(["index".into()]);
    let outside: BTreeMap<_, _> = alone.iter().map(|id| (id.clone(), BTreeSet::from([web.as_str().into()]))).collect();
    let tried = async |trials| fleet.try_permissions(trials, &groups, &outside).await.expect("clear answers");

    let all = tried(Trials::All).await;
    let allowed: BTreeSet<&str> = all.iter().filter(|p| p.trial == Trial::Allowed).map(|p| p.action).collect();
    assert_eq!(allowed, BTreeSet::from(TRIED), "{all:#?}");
    for action in TRIED {
        cloud.moto.set(&json!({"deny": [action]}));
        let all = tried(Trials::All).await;
        assert_eq!(denied(&all), [action], "{all:#?}");
    }
    // The only one that is tried right before a run and not at any time.
    cloud.moto.set(&json!({"deny": ["autoscaling:ResumeProcesses"]}));
    assert_eq!(denied(&tried(Trials::All).await), Vec::<&str>::new());
    assert_eq!(denied(&tried(Trials::WayBack).await), ["autoscaling:ResumeProcesses"]);
    // What another run suspended stays so, and the call is not sent where it would undo what a person suspended.
    cloud.moto.set(&json!({"deny": []}));
    let suspended = async |process: &str| {
        let suspend = cloud.autoscaling.suspend_processes().auto_scaling_group_name("index");
        suspend.scaling_processes(process).send().await.expect("suspended");
        let sent = cloud.moto.calls("ResumeProcesses");
        assert_eq!(denied(&tried(Trials::WayBack).await), Vec::<&str>::new());
        cloud.moto.calls("ResumeProcesses") - sent
    };
    assert_eq!(suspended("AZRebalance").await, 1);
    assert_eq!(suspended("AddToLoadBalancer").await, 0);

    cloud.moto.settle();
    let now = cloud.described("index").await;
    assert_eq!((now.desired, now.members), (group.desired, group.members));
    assert_eq!(now.suspended, BTreeSet::from(["AZRebalance".to_owned(), "AddToLoadBalancer".to_owned()]));
    assert_eq!(cloud.targets(&web).await, targets);
    assert!(cloud.running().await.is_superset(&alone.iter().map(ToString::to_string).collect()));
    for id in &alone {
        assert_eq!(cloud.tags(id, "safe-remove:").await, BTreeMap::new());
    }
}

#[tokio::test]
async fn s7_a_permission_for_the_way_back_is_missed_before_the_first_cordon() {
    let story = Story::adopted(&SMALL).await;
    let (member, alone) = (vec![story.id("index-0001")], vec![story.id("alone-0001")]);
    for (action, subsystem, hosts, resource) in [
        ("autoscaling:ExitStandby", "index", &member, "group index"),
        ("autoscaling:ResumeProcesses", "index", &member, "group index"),
        ("elasticloadbalancing:RegisterTargets", "billing", &alone, "targetgroup/bills"),
        ("ec2:DeleteTags", "billing", &alone, alone[0].as_str()),
    ] {
        story.cloud.moto.set(&json!({"deny": [action]}));
        let refused = run(&story.environment, &removal(subsystem, hosts)).exits(3);
        let document = refused.json();
        assert_eq!(rules(&document), BTreeSet::from(["way-back"]), "{action}: {}", refused.stderr);
        let message = document["violations"][0]["message"].as_str().expect("a message");
        assert!(message.contains(action) && message.contains(resource), "{message}");
        assert_eq!(story.now().await, story.before, "{action}");
    }
    // What nobody can tell is no permission.
    let fault = json!([{"action": "ExitStandby", "code": "InternalFailure", "status": 500, "times": null}]);
    story.cloud.moto.set(&json!({"deny": []}));
    story.cloud.moto.faults(&fault);
    let unclear = run(&story.environment, &removal("index", &member)).exits(5);
    assert!(unclear.stderr.contains("autoscaling:ExitStandby"), "{}", unclear.stderr);
    story.cloud.moto.faults(&json!([]));
    for effect in ["EnterStandby", "SuspendProcesses", "DeregisterTargets", "CreateTags"] {
        let adopted = usize::from(effect == "CreateTags");
        assert_eq!(story.cloud.moto.calls(effect), adopted, "{effect}");
    }
    let done = run(&story.environment, &removal("billing", &[&member[..], &alone].concat())).exits(0).json();
    assert_eq!(texts(&done["terminated"]).len(), 2, "{done:#}");
}

/// Whoever continues a run may be somebody else than who began it.
#[tokio::test]
async fn s7_a_run_is_not_continued_without_the_permissions_for_the_way_back() {
    let story = Story::adopted(&Shape { bake: "60s", ..SMALL }).await;
    let hosts = vec![story.id("index-0001")];
    let mut child = start(&story.environment, &removal("index", &hosts));
    story.wait_for_standby(&mut child, "index", 1).await;
    child.kill().expect("killed");
    child.wait().expect("dead");
    let status = story.environment.run(&["status", "-o", "json"]).exits(0).json();
    let id = status["runs"][0]["run"].as_str().expect("a run");
    story.cloud.moto.set(&json!({"deny": ["autoscaling:ExitStandby"]}));
    let refused = story.environment.run(&["resume", id, "--yes", "-o", "json"]).exits(3);
    assert_eq!(rules(&refused.json()), BTreeSet::from(["way-back"]), "{}", refused.stderr);
    assert_eq!(named_by(&story, "TerminateInstanceInAutoScalingGroup"), Vec::<String>::new());
}

fn printed(story: &Story, options: &[&str]) -> BTreeSet<String> {
    let ran = story.environment.run(&[&["iam-policy"], options].concat()).exits(0);
    actions(&serde_json::from_str(&ran.stdout).expect("a policy"))
}

#[tokio::test]
async fn the_printed_policies_are_enough() {
    let story = Story::new(&SMALL).await;
    story.cloud.moto.set(&json!({"allow": printed(&story, &["--adopt"])}));
    story.adopt();
    story.cloud.moto.set(&json!({"allow": printed(&story, &[])}));
    let hosts = story.one_of_each();
    assert_eq!(texts(&run(&story.environment, &removal("billing", &hosts)).exits(0).json()["terminated"]).len(), 4);
    // And what is left of the ledger's mark is tied to this ledger.
    let policy = story.environment.run(&["iam-policy", "-o", "json"]).exits(0).json();
    let ledger = story.environment.run(&["status", "-o", "json"]).exits(0).json()["ledger"].clone();
    let tag = "autoscaling:ResourceTag/safe-remove:ledger";
    assert_eq!(policy["result"]["Statement"][1]["Condition"]["StringEquals"][tag], ledger, "{policy:#}");
    assert_eq!(policy["warnings"], json!([]));
}

/// Each of them is needed, and somebody who lacks one is told which: by the doctor, or by the run.
#[tokio::test]
async fn each_action_of_the_policy_that_is_denied_is_named() {
    let story = Story::adopted(&SMALL).await;
    let host = vec![story.id("index-0001")];
    let mut by_a_run = Vec::new();
    for action in printed(&story, &[]) {
        story.cloud.moto.set(&json!({"deny": [&action]}));
        let ran = story.environment.run(&["doctor", "-o", "json"]);
        if ran.code == Some(5) {
            assert!(format!("{}{}", ran.stdout, ran.stderr).contains(&action), "{action}: {}", ran.stderr);
            continue;
        }
        let operation = action.split(':').next_back().expect("an operation");
        let ran = run(&story.environment, &removal("index", &host));
        assert!(ran.code != Some(0) && ran.stderr.contains(operation), "{action}: {ran:?}");
        story.cloud.moto.settle();
        assert_eq!(story.now().await, story.before, "{action}");
        by_a_run.push(action);
    }
    assert_eq!(
        by_a_run,
        [
            "autoscaling:ResumeProcesses",
            "autoscaling:SuspendProcesses",
            "autoscaling:TerminateInstanceInAutoScalingGroup"
        ]
    );
}
