use aws_sdk_autoscaling::types::{
    LaunchTemplate, LaunchTemplateOverrides, MixedInstancesPolicy, SuspendedProcess, TagDescription,
};
use aws_smithy_types::DateTime;

use super::*;

const NOW: Time = Time::from_millis(1_000_000_000);

fn plain() -> aws_sdk_autoscaling::types::builders::AutoScalingGroupBuilder {
    AutoScalingGroup::builder()
        .auto_scaling_group_name("web")
        .min_size(3)
        .max_size(9)
        .desired_capacity(6)
        .target_group_arns("tg")
}

fn launch(status: ScalingActivityStatusCode, seconds_ago: i64, message: &str) -> Activity {
    Activity::builder()
        .description("Launching a new EC2 instance.  Status Reason: …")
        .status_code(status)
        .status_message(message)
        .start_time(DateTime::from_millis(NOW.as_millis() - seconds_ago * 1000))
        .build()
}

#[test]
fn sizes_marks_and_suspended_processes_are_taken_over() {
    let described = plain()
        .status("Delete in progress")
        .tags(TagDescription::builder().key(LEDGER_TAG).value("ledger-1").build())
        .suspended_processes(SuspendedProcess::builder().process_name("AZRebalance").build())
        .build();
    let group = group(&described, &Detail::default(), 7, NOW).expect("complete");
    assert_eq!((group.min_size, group.desired, group.max_size, group.stated_members), (3, 6, 9, 7));
    assert_eq!(group.ledger, Some("ledger-1".into()));
    assert!(group.deleting && group.suspended.contains(&Process::AzRebalance));
    assert_eq!(group.notes, Vec::<String>::new());
}

#[test]
fn s3_a_size_that_is_not_said_is_an_error() {
    let described = AutoScalingGroup::builder().auto_scaling_group_name("web").min_size(3).max_size(9).build();
    let error = group(&described, &Detail::default(), 0, NOW).expect_err("no desired capacity");
    assert_eq!(error.to_string(), "the inventory does not say the desired capacity of group web");
}

#[test]
fn only_the_newest_finished_launch_says_whether_launches_fail() {
    use ScalingActivityStatusCode::{Cancelled, Failed, InProgress, Successful};
    let failed = || launch(Failed, 60, "no capacity");
    assert_eq!(launch_failure(&[failed()], NOW), Some("no capacity".to_owned()));
    assert_eq!(launch_failure(&[launch(InProgress, 1, ""), failed()], NOW), Some("no capacity".to_owned()));
    assert_eq!(launch_failure(&[failed(), launch(Successful, 30, "")], NOW), None);
    let abandoned = || launch(Cancelled, 30, "a lifecycle action was abandoned");
    assert_eq!(launch_failure(&[abandoned()], NOW), Some("a lifecycle action was abandoned".to_owned()));
    assert_eq!(launch_failure(&[launch(Cancelled, 30, ""), failed()], NOW), Some("no capacity".to_owned()));
    assert_eq!(launch_failure(&[launch(Successful, 10, ""), abandoned()], NOW), None);
    assert_eq!(launch_failure(&[launch(Failed, 2 * 86_400, "long ago")], NOW), None);
    assert_eq!(launch_failure(&[], NOW), None);
}

#[test]
fn weights_turn_into_hosts_that_never_promise_more_than_aws_allows() {
    let stated = Sizes { min: 10, max: 40, desired: 24 };
    // Six hosts of 4: down to 10 it is 14 units, three hosts of 4; up to 40 it is 16 units, four hosts.
    assert_eq!(stated.in_hosts(&[4; 6]), Sizes { min: 3, max: 10, desired: 6 });
    // Exceeded by less than one host: settled. By more: not.
    assert_eq!(stated.in_hosts(&[4, 4, 4, 4, 4, 4, 2]).desired, 7);
    assert_eq!(stated.in_hosts(&[4; 7]).desired, 8);
    assert_eq!(stated.in_hosts(&[4; 5]).desired, 6);
}

#[test]
fn s3_a_weighted_group_with_a_member_of_unknown_weight_is_an_error() {
    let weighs = LaunchTemplateOverrides::builder().instance_type("m6i.large").weighted_capacity("2").build();
    let policy =
        MixedInstancesPolicy::builder().launch_template(LaunchTemplate::builder().overrides(weighs).build()).build();
    let member = || Instance::builder().instance_id("i-1").lifecycle_state(LifecycleState::InService);
    let of = |member: Instance| plain().mixed_instances_policy(policy.clone()).instances(member).build();
    assert!(weights(&of(member().build())).is_err());
    assert!(weights(&of(member().weighted_capacity("0").build())).is_err());
    assert_eq!(weights(&of(member().weighted_capacity("2").build())), Ok(Some(vec![2])));
}

#[test]
fn what_people_should_know_is_noted() {
    let described = plain()
        .load_balancer_names("classic")
        .tags(TagDescription::builder().key("AmazonECSManaged").value("").build())
        .suspended_processes(SuspendedProcess::builder().process_name("HealthCheck").build())
        .build();
    let detail = Detail {
        hooks: vec![
            LifecycleHook::builder()
                .lifecycle_hook_name("drain")
                .lifecycle_transition("autoscaling:EC2_INSTANCE_TERMINATING")
                .heartbeat_timeout(300)
                .build(),
        ],
        policies: vec![ScalingPolicy::builder().policy_name("load").policy_type("TargetTrackingScaling").build()],
        ..Detail::default()
    };
    let notes = group(&described, &detail, 6, NOW).expect("complete").notes;
    assert_eq!(notes.len(), 5, "{notes:#?}");
    assert!(notes[0].contains("drain") && notes[0].contains("300 s"));
}

/// What stands in the way of the members of a group.
fn against(
    described: aws_sdk_autoscaling::types::builders::AutoScalingGroupBuilder,
    detail: &Detail,
) -> Vec<(ObstacleKind, String)> {
    let group = group(&described.build(), detail, 6, NOW).expect("complete");
    group.obstacles.into_iter().map(|obstacle| (obstacle.kind, obstacle.why)).collect()
}

#[test]
fn s7_settings_that_keep_members_from_coming_back_are_known_beforehand() {
    let suspended = |process: &str| SuspendedProcess::builder().process_name(process).build();
    let none = Detail::default();
    assert_eq!(against(plain().suspended_processes(suspended("AZRebalance")), &none), []);
    for process in ["Launch", "AddToLoadBalancer"] {
        let found = against(plain().suspended_processes(suspended(process)), &none);
        assert!(matches!(&found[..], [(ObstacleKind::WayBack, why)] if why.starts_with(process)), "{found:?}");
    }
    let unrouted = AutoScalingGroup::builder().auto_scaling_group_name("w").min_size(0).max_size(9).desired_capacity(1);
    assert_eq!(against(unrouted.suspended_processes(suspended("AddToLoadBalancer")), &none), []);
    let hook = |transition: &str, result: Option<&str>| Detail {
        hooks: vec![
            LifecycleHook::builder()
                .lifecycle_hook_name("warm")
                .lifecycle_transition(transition)
                .set_default_result(result.map(str::to_owned))
                .build(),
        ],
        ..Detail::default()
    };
    let launching = "autoscaling:EC2_INSTANCE_LAUNCHING";
    for result in [None, Some("ABANDON")] {
        let found = against(plain(), &hook(launching, result));
        assert!(matches!(&found[..], [(ObstacleKind::WayBack, why)] if why.contains("warm")), "{found:?}");
    }
    assert_eq!(against(plain(), &hook(launching, Some("CONTINUE"))), []);
    assert_eq!(against(plain(), &hook("autoscaling:EC2_INSTANCE_TERMINATING", None)), []);
}

#[test]
fn members_that_would_not_be_gone_stay() {
    use aws_sdk_autoscaling::types::{InstanceReusePolicy, WarmPoolConfiguration};
    let none = Detail::default();
    let pool = |reuse| {
        let policy = InstanceReusePolicy::builder().reuse_on_scale_in(reuse).build();
        plain().warm_pool_configuration(WarmPoolConfiguration::builder().instance_reuse_policy(policy).build())
    };
    assert_eq!(against(pool(false), &none), []);
    let refreshing = InstanceRefresh::builder().instance_refresh_id("r-1").status("InProgress".into()).build();
    let refreshing = Detail { refreshes: vec![refreshing], ..Detail::default() };
    let suspended = SuspendedProcess::builder().process_name("Terminate").build();
    for (found, word) in [
        (against(pool(true), &none), "reuse"),
        (against(plain().suspended_processes(suspended), &none), "Terminate"),
        (against(plain(), &refreshing), "refresh"),
        (against(plain().desired_capacity_type("vcpu"), &none), "vcpu"),
    ] {
        assert!(matches!(&found[..], [(ObstacleKind::NotRemovable, why)] if why.contains(word)), "{found:?}");
    }
    assert_eq!(against(plain().desired_capacity_type("units"), &none), []);
}
