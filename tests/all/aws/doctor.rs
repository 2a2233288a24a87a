//! `doctor` on AWS: each obstacle in turn is named, and nothing is touched.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_sdk_autoscaling::types::{InstanceReusePolicy, TargetTrackingConfiguration};
use safe_remove::model::HostId;
use serde_json::{Value, json};

use crate::doctor::{bad, fix, states};
use crate::support::terminal::one_line;

use super::story::{SMALL, Story, removal, rules, run};

fn doctor(story: &Story, code: i32) -> Value {
    story.environment.run(&["doctor", "-o", "json"]).exits(code).json()
}

#[tokio::test]
async fn every_obstacle_is_named() {
    let story = Story::new(&SMALL).await;
    let foreign = doctor(&story, 5);
    assert_eq!(bad(&foreign), ["hosts outside groups -", "group billing", "group index", "group placement"]);
    assert!(foreign.to_string().contains("ledger adopt --reason TEXT"), "{foreign:#}");
    story.adopt();
    let fine = doctor(&story, 0);
    assert_eq!(bad(&fine), Vec::<String>::new());
    assert!(!states(&fine, "permission").contains(&"bad"), "{fine:#}");
    // Nobody can try these without effect.
    let not_tried = fine["checks"].as_array().expect("checks").iter().filter(|check| check["state"] == "not-tried");
    let not_tried: Vec<&str> = not_tried.map(|check| check["of"].as_str().expect("an action")).collect();
    assert_eq!(
        not_tried,
        [
            "autoscaling:ResumeProcesses",
            "autoscaling:SuspendProcesses",
            "autoscaling:TerminateInstanceInAutoScalingGroup"
        ]
    );

    for action in ["autoscaling:ExitStandby", "autoscaling:EnterStandby", "ec2:TerminateInstances", "ec2:DeleteTags"] {
        story.cloud.moto.set(&json!({"deny": [action]}));
        let found = bad(&doctor(&story, 5));
        assert!(found.iter().all(|check| *check == format!("permission {action}")), "{action}: {found:?}");
    }
    for (settings, expected) in [
        (json!({"deny": ["autoscaling:DescribeLifecycleHooks"]}), "observation -"),
        (json!({"deny": ["sts:GetCallerIdentity"]}), "fleet -"),
        (json!({"deny": [], "expired_keys": true}), "fleet -"),
        (json!({"expired_keys": [], "clock_shift_seconds": 600}), "fleet -"),
    ] {
        story.cloud.moto.set(&settings);
        let found = doctor(&story, 5);
        assert_eq!(bad(&found), [expected], "{settings}: {found:#}");
    }
    story.cloud.moto.set(&json!({"clock_shift_seconds": 0}));

    let update = |min: i32| {
        let group = story.cloud.autoscaling.update_auto_scaling_group().auto_scaling_group_name("index");
        group.min_size(min).send()
    };
    update(9).await.expect("MinSize is as high as the group");
    assert_eq!(bad(&doctor(&story, 5)), ["group index"]);
    update(0).await.expect("MinSize is as before");
    let suspend = story.cloud.autoscaling.suspend_processes().auto_scaling_group_name("index");
    suspend.scaling_processes("HealthCheck").send().await.expect("suspended");
    let suspended = doctor(&story, 0);
    assert!(suspended.to_string().contains("HealthCheck is suspended"), "{suspended:#}");
    let resume = story.cloud.autoscaling.resume_processes().auto_scaling_group_name("index");
    resume.scaling_processes("HealthCheck").send().await.expect("resumed");
    assert_eq!(story.now().await, story.before);
    assert_eq!(story.cloud.moto.calls("TerminateInstanceInAutoScalingGroup"), 0);
}

/// The doctor names it, a removal is refused by this rule alone, and of other groups hosts go.
#[track_caller]
fn named(story: &Story, rule: &str, word: &str) {
    let report = doctor(story, 5);
    assert_eq!(bad(&report), ["group index"], "{word}: {report:#}");
    assert!(report.to_string().contains(word), "{report:#}");
    let plan = run(&story.environment, &removal("index", &[story.id("index-0001")])).exits(3).json();
    assert_eq!(rules(&plan), BTreeSet::from([rule]), "{plan:#}");
    assert!(plan["violations"].to_string().contains(word), "{plan:#}");
    story.environment.run(&["plan", "--subsystem", "billing", "--count", "1", "-o", "json"]).exits(0);
}

#[tokio::test]
async fn what_a_group_does_by_itself_is_named_and_refused() {
    let story = Story::adopted(&SMALL).await;
    let autoscaling = &story.cloud.autoscaling;
    let named = |rule: &str, word: &str| named(&story, rule, word);
    let fine = |word: &str| assert_eq!(bad(&doctor(&story, 0)), Vec::<String>::new(), "{word}");

    autoscaling.start_instance_refresh().auto_scaling_group_name("index").send().await.expect("started");
    named("not-removable", "instance refresh");
    autoscaling.cancel_instance_refresh().auto_scaling_group_name("index").send().await.expect("cancelled");
    fine("no refresh");

    let puts = || {
        let puts = autoscaling.put_scheduled_update_group_action().auto_scaling_group_name("index");
        puts.scheduled_action_name("night").desired_capacity(3)
    };
    puts().recurrence("* * * * *").send().await.expect("scheduled");
    named("not-removable", "scheduled action night");
    let in_days = SystemTime::now() + Duration::from_secs(3 * 86_400);
    autoscaling
        .delete_scheduled_action()
        .auto_scaling_group_name("index")
        .scheduled_action_name("night")
        .send()
        .await
        .expect("deleted");
    puts().start_time(in_days.into()).send().await.expect("scheduled");
    fine("long after the run");

    let tracks = TargetTrackingConfiguration::builder().target_value(50.0).build();
    let policy = autoscaling.put_scaling_policy().auto_scaling_group_name("index").policy_name("load");
    let policy = policy.policy_type("TargetTrackingScaling").target_tracking_configuration(tracks);
    policy.send().await.expect("a policy");
    let maximum =
        |size: i32| autoscaling.update_auto_scaling_group().auto_scaling_group_name("index").max_size(size).send();
    maximum(9).await.expect("no room");
    named("way-back", "scaling policy load");
    maximum(10).await.expect("room for one");
    let shown = story.environment.run(&["plan", "--subsystem", "index", "--count", "1"]).exits(0);
    assert!(shown.stdout.contains("load"), "{}", shown.stdout);
    let refused =
        story.environment.run(&["plan", "--subsystem", "index", "--count", "2", "-o", "json"]).exits(3).json();
    assert_eq!(rules(&refused), BTreeSet::from(["way-back"]), "{refused:#}");
}

/// Settings of a group that would keep a host from coming back or from going: each is named before a run needs to know.
#[tokio::test]
async fn each_setting_that_stands_in_the_way_is_named_and_refused() {
    let story = Story::adopted(&SMALL).await;
    let autoscaling = &story.cloud.autoscaling;
    let named = |rule: &str, word: &str| named(&story, rule, word);
    for (process, rule) in [("Launch", "way-back"), ("AddToLoadBalancer", "way-back"), ("Terminate", "not-removable")] {
        let suspend = autoscaling.suspend_processes().auto_scaling_group_name("index").scaling_processes(process);
        suspend.send().await.expect("suspended");
        named(rule, &format!("{process} is suspended on its group index"));
        let resume = autoscaling.resume_processes().auto_scaling_group_name("index").scaling_processes(process);
        resume.send().await.expect("resumed");
    }
    let hook = autoscaling.put_lifecycle_hook().auto_scaling_group_name("index").lifecycle_hook_name("warm-up");
    let hook = hook.lifecycle_transition("autoscaling:EC2_INSTANCE_LAUNCHING").default_result("ABANDON");
    hook.send().await.expect("a hook");
    named("way-back", "launch hook warm-up of its group index");
    let hook = autoscaling.delete_lifecycle_hook().auto_scaling_group_name("index").lifecycle_hook_name("warm-up");
    hook.send().await.expect("deleted");

    let reuse = InstanceReusePolicy::builder().reuse_on_scale_in(true).build();
    let pool = autoscaling.put_warm_pool().auto_scaling_group_name("index").min_size(0).instance_reuse_policy(reuse);
    pool.send().await.expect("a warm pool");
    named("not-removable", "ReuseOnScaleIn");
    autoscaling.delete_warm_pool().auto_scaling_group_name("index").force_delete(true).send().await.expect("deleted");

    let by_hand = story.cloud.target_group("byhand").await;
    let members: Vec<HostId> = (1..=9).map(|n| story.id(&format!("index-{n:04}")).into()).collect();
    for host in &members {
        story.cloud.register(&by_hand, host, 80).await;
    }
    named("stray-target-group", "byhand");
    for host in &members {
        story.cloud.deregister(&by_hand, host).await;
    }
    story.cloud.moto.settle();
    assert_eq!(bad(&doctor(&story, 0)), Vec::<String>::new(), "nothing is left of it");
}

#[tokio::test]
async fn hosts_that_ecs_protects_from_scale_in_are_neither_capacity_nor_taken() {
    let story = Story::adopted(&SMALL).await;
    let tag = aws_sdk_autoscaling::types::Tag::builder().resource_id("index").resource_type("auto-scaling-group");
    let tag = tag.key("AmazonECSManaged").value("").propagate_at_launch(true).build();
    story.cloud.autoscaling.create_or_update_tags().tags(tag).send().await.expect("tagged");
    let busy = ["index-0001", "index-0002"].map(|name| story.id(name));
    let protect = story.cloud.autoscaling.set_instance_protection().auto_scaling_group_name("index");
    let protect = protect.set_instance_ids(Some(busy.to_vec())).protected_from_scale_in(true);
    protect.send().await.expect("protected");
    let plan = run(&story.environment, &removal("index", &busy[..1])).exits(3).json();
    assert_eq!(rules(&plan), BTreeSet::from(["protected"]), "{plan:#}");
    let of_index = &plan["subsystems"].as_array().expect("subsystems")[0];
    assert_eq!((&of_index["name"], &of_index["capacity"]), (&json!("index"), &json!(7)), "{plan:#}");
    let plan = story.environment.run(&["plan", "--subsystem", "index", "--count", "3", "-o", "json"]).exits(0).json();
    let chosen = plan["batches"].to_string();
    assert!(busy.iter().all(|id| !chosen.contains(id.as_str())), "{chosen}");
    assert!(plan["warnings"].to_string().contains("Amazon ECS manages it"), "{plan:#}");
}

/// One call for each group, with MinSize and nothing else; what AWS refuses is left and said.
#[tokio::test]
async fn minimums_are_raised_to_the_share_of_each_group_and_launch_nothing() {
    let story = Story::adopted(&SMALL).await;
    let low = doctor(&story, 0);
    assert!(states(&low, "floor").contains(&"warning"), "{low:#}");
    story.cloud.moto.set(&json!({"deny": ["autoscaling:UpdateAutoScalingGroup"]}));
    let denied = fix(&story.environment, "demo");
    assert!(one_line(&denied.rows).contains("not raised the minimum of group"), "{}", denied.rows.join("\n"));
    story.cloud.moto.set(&json!({"deny": []}));
    // One that may have been done is not repeated, nor is anything behind it begun; the next call raises the rest.
    let lost = json!([{"action": "UpdateAutoScalingGroup", "when": "after", "drop": true, "times": null}]);
    story.cloud.moto.faults(&lost);
    let before = story.cloud.moto.calls("UpdateAutoScalingGroup");
    let in_doubt = fix(&story.environment, "demo");
    assert_eq!(in_doubt.code, 5, "{}", in_doubt.rows.join("\n"));
    assert!(one_line(&in_doubt.rows).contains("may have been raised"), "{}", in_doubt.rows.join("\n"));
    assert_eq!(story.cloud.moto.calls("UpdateAutoScalingGroup"), before + 1);
    story.cloud.moto.faults(&json!([]));
    let calls = story.cloud.moto.calls("UpdateAutoScalingGroup");
    let raised = fix(&story.environment, "demo");
    assert_eq!(raised.code, 0, "{}", raised.rows.join("\n"));
    let sent = &story.cloud.moto.parameters("UpdateAutoScalingGroup")[calls..];
    assert!(!sent.is_empty());
    for parameters in sent {
        let names: BTreeSet<&str> = parameters.as_object().expect("parameters").keys().map(String::as_str).collect();
        assert!(names.contains("MinSize") && !names.contains("DesiredCapacity"), "{parameters:#}");
        let group = story.cloud.described(parameters["AutoScalingGroupName"].as_str().expect("a name")).await;
        assert!(group.desired > 0, "{parameters:#}");
    }
    story.cloud.moto.settle();
    assert_eq!(story.now().await, story.before, "nothing is launched, and nothing goes");
    // Nothing is left that could be raised, and something can still go.
    let again = story.environment.run(&["doctor", "--fix", "-o", "json"]).exits(0).json();
    assert_eq!(again["minimums"]["raised"], json!([]), "{again:#}");
}
