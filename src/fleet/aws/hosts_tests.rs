use aws_sdk_ec2::types::{InstanceState, InstanceStatusSummary, Placement, Tag};
use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealth, TargetHealthStateEnum};
use aws_smithy_types::DateTime;

use super::*;
use crate::model::{FleetMark, FleetSnapshot};

const NOW: Time = Time::from_millis(1_000_000_000);
const WEB: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0000000000000001";

fn instance(id: &str, state: InstanceStateName, tags: &[(&str, &str)]) -> Instance {
    Instance::builder()
        .instance_id(id)
        .state(InstanceState::builder().name(state).build())
        .placement(Placement::builder().availability_zone("us-east-1a").build())
        .launch_time(DateTime::from_millis(5_000))
        .set_tags(Some(tags.iter().map(|(k, v)| Tag::builder().key(*k).value(*v).build()).collect()))
        .build()
}

fn running(id: &str) -> Instance {
    instance(id, InstanceStateName::Running, &[])
}

fn member(id: &str, state: LifecycleState) -> Member {
    Member::builder().instance_id(id).lifecycle_state(state).health_status("Healthy").build()
}

fn group(name: &str, members: impl IntoIterator<Item = Member>) -> AutoScalingGroup {
    AutoScalingGroup::builder()
        .auto_scaling_group_name(name)
        .min_size(0)
        .max_size(9)
        .desired_capacity(1)
        .set_instances(Some(members.into_iter().collect()))
        .build()
}

fn checks(id: &str, word: SummaryStatus) -> InstanceStatus {
    let summary = InstanceStatusSummary::builder().status(word).build();
    InstanceStatus::builder().instance_id(id).instance_status(summary.clone()).system_status(summary).build()
}

fn targets(registered: &[(&str, TargetHealthStateEnum)]) -> (TargetGroup, Vec<TargetHealthDescription>) {
    let target = |(id, state): &(&str, TargetHealthStateEnum)| {
        TargetHealthDescription::builder()
            .target(TargetDescription::builder().id(*id).port(80).build())
            .target_health(TargetHealth::builder().state(state.clone()).build())
            .build()
    };
    let group = TargetGroup::builder().target_group_arn(WEB).load_balancer_arns("lb").build();
    (group, registered.iter().map(target).collect())
}

/// Assembles the inventory, checks it as a snapshot does, and finds the host.
fn observed(inventory: &Inventory, id: &str) -> Result<Option<Host>, InventoryError> {
    let Assembled { hosts, groups, contradictions } = assemble(inventory, &BTreeSet::new(), NOW)?;
    let snapshot = FleetSnapshot::new(NOW, NOW, hosts, groups, FleetMark::OnHosts)?;
    match contradictions.into_iter().next() {
        Some(contradiction) => Err(contradiction.error),
        None => Ok(snapshot.host(&id.into()).cloned()),
    }
}

fn of_member(state: LifecycleState, instance: Instance) -> Host {
    let inventory = Inventory {
        groups: vec![group("web", [member("i-1", state)])],
        instances: vec![instance],
        ..Default::default()
    };
    observed(&inventory, "i-1").expect("consistent").expect("listed")
}

#[test]
fn lifecycle_states_of_members() {
    use LifecycleState as L;
    for (state, expected) in [
        (L::InService, HostState::InService),
        (L::Standby, HostState::Cordoned),
        (L::EnteringStandby, HostState::Pending),
        (L::Pending, HostState::Pending),
        (L::PendingWait, HostState::Pending),
        (L::WarmedRunning, HostState::Pending),
        (L::Quarantined, HostState::Pending),
        (L::from("invented"), HostState::Pending),
        (L::Terminating, HostState::Terminating),
        (L::TerminatingWait, HostState::Terminating),
        (L::Detaching, HostState::Terminating),
    ] {
        assert_eq!(of_member(state.clone(), running("i-1")).state, expected, "{state:?}");
    }
}

#[test]
fn a_stopped_member_that_its_group_keeps_does_not_serve_and_cannot_be_taken() {
    use aws_sdk_autoscaling::types::SuspendedProcess;
    let of = |suspended: &[&str], state: InstanceStateName| {
        let process = |name: &&str| SuspendedProcess::builder().process_name(*name).build();
        let mut group = group("web", [member("i-1", LifecycleState::InService)]);
        group.suspended_processes = Some(suspended.iter().map(process).collect());
        let instances = vec![instance("i-1", state, &[])];
        let inventory = Inventory { groups: vec![group], instances, ..Default::default() };
        observed(&inventory, "i-1").expect("consistent").expect("listed")
    };
    for process in ["HealthCheck", "ReplaceUnhealthy", "Terminate"] {
        let host = of(&[process], InstanceStateName::Stopped);
        assert_eq!((host.state, host.health), (HostState::InService, Health::Failed), "{process}");
        assert!(!host.is_serving());
        let [obstacle] = &host.obstacles[..] else { panic!("{:?}", host.obstacles) };
        assert!(
            obstacle.kind == ObstacleKind::NotRemovable && obstacle.why.starts_with("it is stopped"),
            "{obstacle:?}"
        );
        // It may serve until it is down.
        assert_eq!(of(&[process], InstanceStateName::Stopping).health, Health::Doubtful);
        assert!(!of(&[process], InstanceStateName::Stopping).obstacles.is_empty());
        assert_eq!(of(&[process], InstanceStateName::Running).obstacles, []);
    }
    for suspended in [&[][..], &["AZRebalance", "Launch"]] {
        let host = of(suspended, InstanceStateName::Stopped);
        assert_eq!((host.state, host.obstacles.len()), (HostState::Terminating, 0), "{suspended:?}");
    }
    let lone = Inventory { instances: vec![instance("i-1", InstanceStateName::Stopped, &[])], ..Default::default() };
    let lone = observed(&lone, "i-1").expect("consistent").expect("listed");
    assert_eq!((lone.state, lone.obstacles.len()), (HostState::Pending, 1));
}

#[test]
fn a_member_that_does_not_run_is_not_in_service_whatever_its_group_says() {
    use InstanceStateName as S;
    for (state, lifecycle, expected) in [
        (S::Stopped, LifecycleState::InService, HostState::Terminating),
        (S::ShuttingDown, LifecycleState::InService, HostState::Terminating),
        (S::ShuttingDown, LifecycleState::Standby, HostState::Terminating),
        (S::Stopped, LifecycleState::Standby, HostState::Pending),
        (S::Pending, LifecycleState::InService, HostState::Pending),
    ] {
        let host = of_member(lifecycle, instance("i-1", state.clone(), &[]));
        assert_eq!(host.state, expected, "{state:?}");
        assert!(!host.is_serving());
    }
}

#[test]
fn healthy_needs_the_group_its_target_groups_and_no_impaired_check() {
    use TargetHealthStateEnum::{Healthy, Unhealthy};
    let attached = || {
        let mut group = group("web", [member("i-1", LifecycleState::InService)]);
        group.target_group_arns = Some(vec![WEB.to_owned()]);
        group
    };
    let with = |targets, statuses| {
        let inventory = Inventory {
            groups: vec![attached()],
            instances: vec![running("i-1")],
            targets: vec![targets],
            statuses,
            ..Default::default()
        };
        observed(&inventory, "i-1").expect("consistent").expect("listed").health
    };
    assert_eq!(with(targets(&[("i-1", Healthy)]), vec![]), Health::Healthy);
    assert_eq!(with(targets(&[("i-1", Unhealthy)]), vec![]), Health::Doubtful);
    let unregistered = with(targets(&[]), vec![]);
    assert_eq!(unregistered, Health::Doubtful, "the group is attached, the member is not registered");
    let impaired = vec![checks("i-1", SummaryStatus::Impaired)];
    assert_eq!(with(targets(&[("i-1", Healthy)]), impaired), Health::Failed);
    let starting = vec![checks("i-1", SummaryStatus::Initializing)];
    assert_eq!(with(targets(&[("i-1", Healthy)]), starting), Health::Healthy);
}

#[test]
fn s1_what_a_group_calls_unhealthy_may_still_serve() {
    let with = |checks_of: &str, statuses| {
        let unhealthy = Member::builder().instance_id("i-1").lifecycle_state(LifecycleState::InService);
        let mut group = group("web", [unhealthy.health_status("Unhealthy").build()]);
        group.health_check_type = Some(checks_of.to_owned());
        let inventory =
            Inventory { groups: vec![group], instances: vec![running("i-1")], statuses, ..Default::default() };
        observed(&inventory, "i-1").expect("consistent").expect("listed").health
    };
    // A load balancer's check, a custom one or a scheduled event: the group does not say which.
    for checks_of in ["ELB", "EC2,ELB", "EC2"] {
        assert_eq!(with(checks_of, vec![checks("i-1", SummaryStatus::Ok)]), Health::Doubtful, "{checks_of}");
        assert_eq!(with(checks_of, vec![checks("i-1", SummaryStatus::Impaired)]), Health::Failed, "{checks_of}");
    }
}

#[test]
fn s1_a_host_that_fails_in_one_target_group_says_where_it_passes() {
    use TargetHealthStateEnum::{Healthy, Unhealthy};
    const ADMIN: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/admin/0000000000000002";
    let mut admin = targets(&[("i-1", Unhealthy), ("i-2", Healthy)]);
    admin.0.target_group_arn = Some(ADMIN.to_owned());
    let inventory = Inventory {
        groups: vec![group("web", ["i-1", "i-2", "i-3"].map(|id| member(id, LifecycleState::InService)))],
        instances: ["i-1", "i-2", "i-3"].map(running).to_vec(),
        targets: vec![targets(&[("i-1", Healthy), ("i-2", Healthy), ("i-3", Unhealthy)]), admin],
        ..Default::default()
    };
    let of = |id: &str| observed(&inventory, id).expect("consistent").expect("listed");
    assert_eq!((of("i-1").health, of("i-1").fails_everywhere().is_none()), (Health::Doubtful, true));
    assert!(of("i-1").passes_in(&WEB.into()) && !of("i-1").passes_in(&ADMIN.into()));
    assert!(of("i-2").is_serving() && of("i-2").passes_in(&ADMIN.into()));
    let everywhere = |host: Host| host.fails_everywhere().map(|groups| groups.cloned().collect::<Vec<_>>());
    assert_eq!(everywhere(of("i-3")), Some(vec![WEB.into()]));
}

#[test]
fn outside_groups_both_status_checks_must_be_ok() {
    for (word, expected) in [
        (SummaryStatus::Ok, Health::Healthy),
        (SummaryStatus::Initializing, Health::Doubtful),
        (SummaryStatus::InsufficientData, Health::Doubtful),
        (SummaryStatus::Impaired, Health::Failed),
    ] {
        let inventory = Inventory {
            instances: vec![running("i-1")],
            statuses: vec![checks("i-1", word.clone())],
            ..Default::default()
        };
        let host = observed(&inventory, "i-1").expect("consistent").expect("listed");
        assert_eq!((host.state, host.health), (HostState::InService, expected), "{word:?}");
    }
    let silent = Inventory { instances: vec![running("i-1")], ..Default::default() };
    let host = observed(&silent, "i-1").expect("consistent").expect("listed");
    assert_eq!(host.health, Health::Doubtful, "no word is no health, and no failure");
}

#[test]
fn outside_groups_cordoned_means_marked_deregistered_and_drained() {
    use TargetHealthStateEnum::{Draining, Healthy};
    let marked = [
        (super::super::marker::KEY, "2017-02-28T17:37:00.000Z 1"),
        ("safe-remove:cordoned:1", "web/0000000000000001:80"),
    ];
    let bare = [(super::super::marker::KEY, "2017-02-28T17:37:00.000Z 0")];
    let torn = [(super::super::marker::KEY, "2017-02-28T17:37:00.000Z 2")];
    let state = |tags: &[(&str, &str)], registered: &[(&str, TargetHealthStateEnum)]| {
        let inventory = Inventory {
            instances: vec![instance("i-1", InstanceStateName::Running, tags)],
            targets: vec![targets(registered)],
            ..Default::default()
        };
        observed(&inventory, "i-1").expect("consistent").expect("listed").state
    };
    assert_eq!(state(&marked, &[("i-1", Healthy)]), HostState::InService, "marked, not yet deregistered");
    assert_eq!(state(&marked, &[("i-1", Draining)]), HostState::Pending);
    assert_eq!(state(&marked, &[]), HostState::Cordoned);
    assert_eq!(state(&bare, &[]), HostState::Cordoned, "it was in no target group");
    assert_eq!(state(&bare, &[("i-1", Healthy)]), HostState::Pending, "somebody registered it meanwhile");
    assert_eq!(state(&torn, &[]), HostState::Pending, "nobody knows where it was registered");
    assert_eq!(state(&[], &[]), HostState::InService);
}

#[test]
fn a_member_that_a_target_group_elsewhere_sends_work_is_not_cordoned_and_cannot_be() {
    let stray = |group: AutoScalingGroup| {
        let inventory = Inventory {
            groups: vec![group],
            instances: vec![running("i-1")],
            targets: vec![targets(&[("i-1", TargetHealthStateEnum::Healthy)])],
            ..Default::default()
        };
        let host = observed(&inventory, "i-1").expect("consistent").expect("listed");
        let is_stray = |of: &&Obstacle| of.kind == ObstacleKind::StrayTargetGroup;
        (host.state, host.obstacles.iter().find(is_stray).map(|of| of.why.clone()))
    };
    for (lifecycle, state) in
        [(LifecycleState::Standby, HostState::Pending), (LifecycleState::InService, HostState::InService)]
    {
        let (found, why) = stray(group("web", [member("i-1", lifecycle)]));
        assert_eq!(found, state);
        assert!(why.is_some_and(|why| why.contains("target group web, which its group web does not know")));
    }
    // Attached in either way, standby takes it out there.
    let mut attached = group("web", [member("i-1", LifecycleState::InService)]);
    attached.target_group_arns = Some(vec![WEB.to_owned()]);
    assert_eq!(stray(attached), (HostState::InService, None));
    let mut source = group("web", [member("i-1", LifecycleState::InService)]);
    let identifier = aws_sdk_autoscaling::types::TrafficSourceIdentifier::builder().identifier(WEB).r#type("elbv2");
    source.traffic_sources = Some(vec![identifier.build()]);
    assert_eq!(stray(source), (HostState::InService, None));
}

#[test]
fn s3_a_member_that_ec2_does_not_list_is_a_contradiction_but_a_terminated_one_is_gone() {
    let groups = || vec![group("web", [member("i-1", LifecycleState::InService)])];
    let missing = Inventory { groups: groups(), ..Default::default() };
    assert_eq!(
        observed(&missing, "i-1"),
        Err(InventoryError::MissingMember { group: "web".into(), host: "i-1".into() })
    );
    let gone = Inventory {
        groups: groups(),
        instances: vec![instance("i-1", InstanceStateName::Terminated, &[])],
        ..Default::default()
    };
    assert_eq!(observed(&gone, "i-1"), Ok(None));
}

#[test]
fn s3_an_instance_that_names_a_group_which_does_not_list_it() {
    let with = |groups: Vec<AutoScalingGroup>, state| {
        let instances = vec![instance("i-1", state, &[(GROUP_TAG, "web")])];
        observed(&Inventory { groups, instances, ..Default::default() }, "i-1")
    };
    let empty = || vec![group("web", [])];
    assert!(matches!(with(empty(), InstanceStateName::Running), Err(InventoryError::UnclaimedMember { .. })));
    assert!(matches!(with(vec![], InstanceStateName::Running), Err(InventoryError::UnknownGroup { .. })));
    let launching = with(empty(), InstanceStateName::Pending).expect("consistent").expect("listed");
    assert_eq!((launching.state, launching.group), (HostState::Pending, Some("web".into())));
    let leaving = with(empty(), InstanceStateName::ShuttingDown).expect("consistent").expect("listed");
    assert_eq!((leaving.state, leaving.health), (HostState::Terminating, Health::Doubtful));
    let orphan = with(vec![], InstanceStateName::ShuttingDown).expect("consistent").expect("listed");
    assert_eq!((orphan.state, orphan.group), (HostState::Terminating, None));
}

/// Whatever it is in truth, it must not go, nor count.
#[test]
fn s1_an_instance_whose_group_does_not_list_it_is_neither_capacity_nor_candidate() {
    let instances = vec![instance("i-1", InstanceStateName::Running, &[(GROUP_TAG, "web")])];
    let inventory = Inventory { groups: vec![group("web", [])], instances, ..Default::default() };
    let found = assemble(&inventory, &BTreeSet::new(), NOW).expect("of one group only");
    assert_eq!((found.hosts[0].state, found.hosts[0].health), (HostState::Pending, Health::Doubtful));
    assert_eq!(found.hosts[0].obstacles[0].kind, ObstacleKind::NotRemovable);
    assert_eq!(found.contradictions[0].host, Some("i-1".into()));
}

#[test]
fn what_the_group_of_a_missing_member_gives_at_launch_is_known() {
    let tag = |key: &str, at_launch| {
        aws_sdk_autoscaling::types::TagDescription::builder().key(key).value("x").propagate_at_launch(at_launch).build()
    };
    let group = AutoScalingGroup::builder()
        .auto_scaling_group_name("web")
        .min_size(0)
        .max_size(9)
        .desired_capacity(1)
        .instances(member("i-1", LifecycleState::Standby))
        .tags(tag("role", true))
        .tags(tag("of-the-group", false))
        .build();
    let inventory = Inventory { groups: vec![group], ..Default::default() };
    let found = assemble(&inventory, &BTreeSet::new(), NOW).expect("of one group only");
    assert_eq!(found.groups[0].stated_members, 0, "the fleet can be used without it");
    assert_eq!(found.contradictions[0].launch_tags, BTreeMap::from([("role".to_owned(), "x".to_owned())]));
}

#[test]
fn s7_an_instance_without_room_for_the_marker_of_its_cordon_is_known_beforehand() {
    let with = |count: usize, more: &[(&str, &str)]| {
        let keys: Vec<String> = (0..count).map(|n| format!("tag-{n}")).collect();
        let tags: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "x")).chain(more.iter().copied()).collect();
        let inventory = Inventory {
            instances: vec![instance("i-1", InstanceStateName::Running, &tags)],
            targets: vec![targets(&[("i-1", TargetHealthStateEnum::Healthy)])],
            ..Default::default()
        };
        observed(&inventory, "i-1").expect("consistent").expect("listed").obstacles
    };
    // One tag says that it is cordoned, one where it was registered; those of AWS itself do not count.
    assert_eq!(with(48, &[("aws:cloudformation:stack-name", "s")]), []);
    let found = with(49, &[]);
    assert!(found[0].kind == ObstacleKind::NotRemovable && found[0].why.contains("49 tags"), "{found:?}");
    let marked = with(49, &[(marker::KEY, "1970-01-01T00:00:00Z 0")]);
    assert_eq!(marked, [], "it is there already");
}

#[test]
fn warm_instances_are_neither_capacity_nor_candidates() {
    let inventory = Inventory {
        groups: vec![group("web", [])],
        warm: BTreeMap::from([("web".to_owned(), BTreeSet::from(["i-1".to_owned()]))]),
        instances: vec![instance("i-1", InstanceStateName::Stopped, &[(GROUP_TAG, "web")])],
        ..Default::default()
    };
    let host = observed(&inventory, "i-1").expect("consistent").expect("listed");
    assert_eq!((host.state, host.group), (HostState::Pending, Some("web".into())));
}

#[test]
fn s3_what_is_not_said_is_an_error() {
    let mut nowhere = running("i-1");
    nowhere.placement = None;
    let inventory = Inventory { instances: vec![nowhere], ..Default::default() };
    assert_eq!(observed(&inventory, "i-1"), Err(InventoryError::Unsaid { what: "the zone of host i-1".to_owned() }));
}

#[test]
fn protections_marks_and_other_peoples_text_are_taken_over_as_they_are() {
    let evil = "\u{1b}[2J<script>";
    let mut protected = member("i-1", LifecycleState::InService);
    protected.protected_from_scale_in = Some(true);
    let inventory = Inventory {
        groups: vec![group("web", [protected])],
        instances: vec![
            instance("i-1", InstanceStateName::Running, &[("note", evil)]),
            instance("i-2", InstanceStateName::Running, &[(LEDGER_TAG, "ledger-1")]),
        ],
        ..Default::default()
    };
    let known = BTreeSet::from([HostId::from("i-2")]);
    let hosts = assemble(&inventory, &known, NOW).expect("consistent").hosts;
    assert_eq!(hosts[0].protection, Some(Protection::ScaleIn));
    assert_eq!(&hosts[0].tags["note"], evil);
    assert_eq!((hosts[1].protection, &hosts[1].ledger), (Some(Protection::Termination), &Some("ledger-1".into())));
}
