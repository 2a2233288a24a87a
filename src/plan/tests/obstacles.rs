//! What the provider's own settings have against taking hosts, and lists that contradict each other.

use crate::model::{Contradiction, HostId, HostState, InventoryError, Obstacle, ObstacleKind};
use crate::plan::testing::{World, brief, counted, ids, policy, taking};
use crate::plan::{AssessError, Stage, Taking, Verdict, believable};
use crate::policy::Managed;

fn nine() -> World {
    World::new([policy("index", 1)]).with("i", 9, &["a"], &["index"])
}

fn against(world: &mut World, id: &str, kind: ObstacleKind) {
    world.host_mut(id).obstacles.push(Obstacle::new(kind, "of what it is"));
}

#[test]
fn s7_a_host_that_stands_in_the_way_is_not_taken_and_another_is() {
    let mut world = nine();
    against(&mut world, "i-01", ObstacleKind::WayBack);
    against(&mut world, "i-02", ObstacleKind::NotRemovable);
    against(&mut world, "i-03", ObstacleKind::ManagedElsewhere);
    against(&mut world, "i-04", ObstacleKind::ZoneShifted);
    let rules = ["way-back i-01", "not-removable i-02", "managed-elsewhere i-03", "zone-shifted i-04"];
    assert_eq!(world.refusals(&["i-01", "i-02", "i-03", "i-04"]), rules);
    let plan = counted(&world, "index", 5).document;
    assert_eq!(plan.verdict, Verdict::Allowed);
    let refused = counted(&world, "index", 6).document;
    let found: Vec<String> = refused.violations.iter().map(brief).collect();
    assert!(found.iter().any(|line| line.starts_with("way-back")), "{found:?}");
}

/// A setting that changes while hosts are out is a reason to stop.
#[test]
fn s7_what_stands_in_the_way_is_looked_at_again_while_hosts_are_out() {
    let mut world = nine();
    world.host_mut("i-01").state = HostState::Cordoned;
    let out = Taking { hosts: ids(&[]), out: ids(&["i-01"]) };
    assert!(world.verify(&out, Stage::Hold).expect("judged").is_empty());
    against(&mut world, "i-01", ObstacleKind::WayBack);
    let found = world.verify(&out, Stage::Hold).expect("judged");
    assert_eq!(found.iter().map(brief).collect::<Vec<_>>(), ["way-back i-01"]);
}

#[test]
fn s1_every_policy_must_allow_what_is_managed_elsewhere() {
    let mut world = World::new([policy("index", 0), policy("billing", 0)]).with("i", 3, &["a"], &["index", "billing"]);
    against(&mut world, "i-01", ObstacleKind::ManagedElsewhere);
    world.policy_mut("index").hosts.managed = Managed::Allow;
    assert_eq!(world.refusals(&["i-01"]), ["managed-elsewhere i-01"]);
    world.policy_mut("billing").hosts.managed = Managed::Allow;
    assert_eq!(world.refusals(&["i-01"]), [""; 0]);
}

/// A scaling policy used the room that the hosts which are out need.
#[test]
fn s7_a_group_must_have_room_for_its_hosts_to_come_back() {
    let mut world = nine();
    for host in &mut world.hosts {
        host.group = Some("asg".into());
    }
    world.group_maximum = 9;
    assert_eq!(world.refusals(&["i-01"]), [""; 0]);
    // Eight are in service, and one is out.
    world.host_mut("i-01").state = HostState::Cordoned;
    let out = Taking { hosts: ids(&["i-02"]), out: ids(&["i-01"]) };
    assert!(world.verify(&out, Stage::Hold).expect("judged").is_empty());
    world.group_maximum = 8;
    let found = world.verify(&out, Stage::Hold).expect("judged");
    assert_eq!(found.iter().map(brief).collect::<Vec<_>>(), ["group-maximum asg 9/8"]);
    // One that nobody holds was put there by a person, who knows where it is to go.
    assert_eq!(world.refusals(&["i-02"]), [""; 0]);
    world.reserve("i-01");
    assert_eq!(world.refusals(&["i-02"]), ["group-maximum asg 9/8"]);
}

fn missing(launch_tags: &[(&str, &str)]) -> Contradiction {
    let host = HostId::from("i-99");
    Contradiction {
        error: InventoryError::MissingMember { group: "lab".into(), host },
        group: "lab".into(),
        host: None,
        launch_tags: launch_tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

#[test]
fn s3_a_contradiction_counts_where_a_policy_could_select_what_it_is_about() {
    let world = nine();
    let judged = |world: &World, about: Contradiction| {
        believable(&world.policies, &world.snapshot().with_contradictions(vec![about]))
    };
    // The launch tags do not say, or say so.
    assert!(judged(&world, missing(&[])).is_err());
    assert!(judged(&world, missing(&[("index", "1")])).is_err());
    let mut by_group = nine();
    by_group.policy_mut("index").hosts.auto_scaling_groups.insert("web-*".to_owned());
    let told = judged(&by_group, missing(&[])).expect("the group has another name");
    assert!(told[0].contains("i-99") && told[0].contains("lab"), "{told:?}");
    // Its siblings are known.
    let mut with_sibling = nine();
    with_sibling.hosts.push(crate::plan::testing::host("lab-1", "a", &[]));
    with_sibling.host_mut("lab-1").group = Some("lab".into());
    assert_eq!(judged(&with_sibling, missing(&[])).expect("no policy selects them").len(), 1);
    with_sibling.host_mut("lab-1").tags_mut().insert("index".to_owned(), "1".to_owned());
    assert!(judged(&with_sibling, missing(&[])).is_err());
    // A host that is listed says itself what it is.
    let unclaimed = |host: &str| Contradiction { host: Some(host.into()), ..missing(&[]) };
    assert!(judged(&world, unclaimed("i-01")).is_err());
    assert!(judged(&with_sibling, unclaimed("lab-1")).is_err());
    with_sibling.host_mut("lab-1").tags_mut().clear();
    assert!(judged(&with_sibling, unclaimed("lab-1")).is_ok());
    assert!(judged(&world, unclaimed("nobody")).is_err());
}

#[test]
fn s3_the_check_before_every_effect_believes_no_contradiction_either() {
    let world = nine();
    let snapshot = world.snapshot().with_contradictions(vec![missing(&[])]);
    let error = crate::plan::verify(&world.inputs(&snapshot), &taking(&["i-01"]), Stage::Grant);
    assert!(matches!(error, Err(AssessError::Inventory(InventoryError::MissingMember { .. }))), "{error:?}");
}
