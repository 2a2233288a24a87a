//! `doctor` on AWS: each obstacle in turn is named, and nothing is touched.

use serde_json::{Value, json};

use crate::doctor::{bad, states};

use super::story::{SMALL, Story};

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
