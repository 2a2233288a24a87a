//! Unhealthy is not idle: hosts that are neither capacity nor free to take.

use std::time::Duration;

use crate::model::{Health, HostId, HostState, TargetHealth};
use crate::plan::testing::{NOON, World, brief, counted, host, ids, policy, taking};
use crate::plan::{Claim, Request, Selection, Stage, Taking, Verdict, WouldAllow, plan};
use crate::policy::ZoneMinimum;

use TargetHealth::{Fails, Passes, Unsure};

/// Nine hosts behind the target group `tg-web`, in which they pass.
fn web(minimum: u64) -> World {
    let mut world = World::new([policy("web", minimum)]).with("w", 9, &["a", "b", "c"], &["web"]);
    for number in 1..=9 {
        says(&mut world, &format!("w-0{number}"), "tg-web", Passes);
    }
    world
}

/// Sets what a target group says about a host from now on.
fn says(world: &mut World, id: &str, group: &str, health: TargetHealth) {
    let host = world.host_mut(id);
    host.target_groups.insert(group.into());
    host.target_health.insert(group.into(), health);
    let is_well = host.target_health.values().all(|health| *health == Passes);
    host.health = if is_well { Health::Healthy } else { Health::Doubtful };
}

fn doubt(world: &mut World, id: &str) {
    world.host_mut(id).health = Health::Doubtful;
}

/// The hosts that a count would take, in their order.
fn chosen(world: &World, count: u64) -> Vec<String> {
    let document = counted(world, "web", count).document;
    document.batches.iter().flat_map(|batch| &batch.hosts).map(|host| host.id.to_string()).collect()
}

fn refusals(world: &World, count: u64) -> Vec<String> {
    counted(world, "web", count).document.violations.iter().map(brief).collect()
}

#[test]
fn s1_where_every_target_fails_load_balancers_send_work_to_all_of_them() {
    let mut world = web(6);
    for number in 1..=9 {
        says(&mut world, &format!("w-0{number}"), "tg-web", Fails);
    }
    assert_eq!(world.refusals(&["w-01"]), ["minimum web 0/6"]);
    let document = counted(&world, "web", 6).document;
    assert_eq!(document.violations.iter().map(brief).collect::<Vec<_>>(), ["minimum web 0/6"]);
    assert_eq!(document.largest_allowed_count, Some(0));
    let words = "web would keep 0 of the 6 units that it must keep (0 serve now); \
                 6 hosts that would go are unhealthy and may still get work";
    assert_eq!(document.violations[0].message, words);
    assert!(document.batches.iter().flat_map(|batch| &batch.hosts).all(|host| host.doubtful && !host.serving));
    // Once the minimum serves, doubtful hosts cost nothing.
    let ways = document.why.expect("it is excluded").would_allow;
    assert!(ways.iter().any(|way| matches!(way, WouldAllow::MoreCapacity { units: 6, .. })), "{ways:?}");
    assert!(ways.iter().any(|way| matches!(way, WouldAllow::Policy { changes, .. } if changes[0].would_be == 0)));
    // One passing host is enough for the others to get no work: they are idle, and it is not.
    says(&mut world, "w-09", "tg-web", Passes);
    assert!(refusals(&world, 6).is_empty());
    assert_eq!(counted(&world, "web", 9).document.largest_allowed_count, Some(8));
}

#[test]
fn s1_a_host_that_fails_in_one_target_group_may_serve_through_another() {
    let mut world = web(6);
    for number in 1..=9 {
        says(&mut world, &format!("w-0{number}"), "tg-admin", if number <= 4 { Fails } else { Passes });
    }
    assert_eq!(refusals(&world, 4), ["minimum web 1/6"], "of those it prefers, all would serve");
    assert_eq!(counted(&world, "web", 4).document.largest_allowed_count, Some(0));
    assert_eq!(world.refusals(&["w-01"]), ["minimum web 5/6"]);
    // It fails in both, and others pass in both.
    says(&mut world, "w-01", "tg-web", Fails);
    assert!(world.refusals(&["w-01"]).is_empty());
    assert_eq!(chosen(&world, 1), ["w-01"]);
    assert_eq!(counted(&world, "web", 2).document.largest_allowed_count, Some(1));
}

#[test]
fn hosts_that_are_idle_for_sure_go_first_and_freely() {
    let mut world = web(6);
    says(&mut world, "w-04", "tg-web", Fails);
    world.host_mut("w-08").health = Health::Failed;
    world.policy_mut("web").capacity.minimum = 8;
    assert_eq!(chosen(&world, 2), ["w-04", "w-08"]);
    assert!(refusals(&world, 2).is_empty());
    let document = counted(&world, "web", 2).document;
    assert!(document.batches.iter().flat_map(|batch| &batch.hosts).all(|host| !host.doubtful && !host.serving));
    assert_eq!(counted(&world, "web", 3).document.largest_allowed_count, Some(2));
}

#[test]
fn what_is_of_doubt_costs_nothing_above_the_minimum_and_is_not_preferred() {
    let mut world = web(7);
    doubt(&mut world, "w-05");
    let long_ago = NOON.minus(Duration::from_secs(400 * 86_400));
    world.host_mut("w-05").launched_at = long_ago;
    // Eight serve, seven must.
    assert!(world.refusals(&["w-05"]).is_empty());
    assert!(world.refusals(&["w-05", "w-01"]).is_empty());
    assert_eq!(world.refusals(&["w-05", "w-01", "w-02"]), ["minimum web 6/7"]);
    assert_ne!(chosen(&world, 1), ["w-05"]);
    assert_eq!(counted(&world, "web", 3).document.largest_allowed_count, Some(2));
    // Exactly the minimum is enough: no host that counts can go, but this one can.
    world.policy_mut("web").capacity.minimum = 8;
    assert_eq!(chosen(&world, 1), ["w-05"]);
    assert!(refusals(&world, 1).is_empty());
    world.policy_mut("web").capacity.minimum = 9;
    assert_eq!(world.refusals(&["w-05"]), ["minimum web 8/9"]);
    assert_eq!(counted(&world, "web", 1).document.largest_allowed_count, Some(0));
}

#[test]
fn what_is_of_doubt_does_not_go_first_among_the_batches() {
    let mut world = web(0);
    world.policy_mut("web").pace.batch = crate::policy::BatchLimit::Hosts(1);
    doubt(&mut world, "w-01");
    world.host_mut("w-09").health = Health::Failed;
    assert_eq!(chosen(&world, 9)[0], "w-09");
}

#[test]
fn s1_a_zone_that_is_short_keeps_what_is_of_doubt_in_it() {
    let mut world = web(1);
    world.policy_mut("web").capacity.minimum_per_zone = Some(ZoneMinimum::Units(3));
    world.hosts.push(host("w-10", "b", &["web"]));
    doubt(&mut world, "w-01");
    doubt(&mut world, "w-10");
    // Two of three serve in zone a; three of three in zone b.
    assert_eq!(world.refusals(&["w-01"]), ["zone-minimum web a 2/3"]);
    assert!(world.refusals(&["w-10"]).is_empty());
    assert_eq!(chosen(&world, 1), ["w-10"]);
    assert_eq!(counted(&world, "web", 2).document.largest_allowed_count, Some(1));
}

#[test]
fn s1_a_subsystem_that_would_not_survive_a_zone_keeps_what_is_of_doubt_elsewhere() {
    let mut world = web(6);
    world.policy_mut("web").capacity.survive_zone_loss = true;
    doubt(&mut world, "w-01");
    // Without zone b or c five would serve; without zone a all six do, and w-01 is not among them.
    assert_eq!(world.refusals(&["w-01"]), ["zone-loss web b 5/6", "zone-loss web c 5/6"]);
    assert_eq!(counted(&world, "web", 1).document.largest_allowed_count, Some(0));
    world.host_mut("w-01").health = Health::Failed;
    assert!(world.refusals(&["w-01"]).is_empty());
}

#[test]
fn s1_only_a_host_of_the_same_subsystem_that_stays_speaks_for_the_others_being_idle() {
    let mut world = World::new([policy("web", 5), policy("api", 0)]);
    world.hosts = vec![host("w-1", "a", &["web", "api"]), host("w-2", "a", &["web"]), host("a-1", "a", &["api"])];
    says(&mut world, "w-1", "tg", Fails);
    says(&mut world, "a-1", "tg", Passes);
    // For api it is idle; for web it may be all that there is.
    assert_eq!(world.refusals(&["w-1"]), ["minimum web 1/5"]);
    says(&mut world, "w-2", "tg", Passes);
    assert!(world.refusals(&["w-1"]).is_empty());
    for claim in [
        Claim::Reserved { run: "r".into() },
        Claim::Settling { run: "r".into(), until: NOON.plus(Duration::from_secs(60)) },
        Claim::Removed { run: "r".into(), at: NOON },
    ] {
        world.ledger.claims.insert("w-2".into(), claim);
        assert_eq!(
            world.refusals(&["w-1"])[0].split_once('/').map(|(rule, _)| rule.to_owned()),
            Some("minimum web 0".to_owned())
        );
    }
    world.ledger.claims.clear();
    for (state, health) in [(HostState::Cordoned, Passes), (HostState::InService, Unsure)] {
        says(&mut world, "w-2", "tg", health);
        world.host_mut("w-2").state = state;
        assert_eq!(world.refusals(&["w-1"]), ["minimum web 0/5"], "{state:?} {health:?}");
    }
}

#[test]
fn s1_what_is_of_doubt_is_judged_again_before_it_is_cordoned() {
    let mut world = web(8);
    doubt(&mut world, "w-01");
    let hold = |world: &World| {
        let found = world.verify(&taking(&["w-01"]), Stage::Hold).expect("judged");
        found.iter().map(brief).collect::<Vec<_>>()
    };
    assert!(hold(&world).is_empty());
    world.host_mut("w-02").health = Health::Failed;
    assert_eq!(hold(&world), ["minimum web 7/8"]);
    // In standby it gets no work.
    world.host_mut("w-01").state = HostState::Cordoned;
    assert!(hold(&world).is_empty());
}

fn named(world: &World, hosts: &[&str]) -> Vec<String> {
    let request = Request {
        subsystem: "web".into(),
        selection: Selection::named(hosts.iter().map(|host| HostId::from(*host))),
        reason: None,
        request_id: None,
        expect_remaining: None,
    };
    let document = world.ask(|inputs| plan(inputs, &request)).expect("judged").document;
    assert_eq!(document.verdict == Verdict::Allowed, document.violations.is_empty());
    document.violations.iter().map(brief).collect()
}

#[test]
fn slack_2021_hosts_that_are_idle_for_sure_may_be_named_even_where_too_many_do_not_serve() {
    let mut world = web(0);
    world.policy_mut("web").pace.max_unserving = 20.into();
    for id in ["w-01", "w-02"] {
        world.host_mut(id).health = Health::Failed;
    }
    says(&mut world, "w-03", "tg-web", Fails);
    doubt(&mut world, "w-04");
    assert_eq!(refusals(&world, 1), ["too-many-unserving web"]);
    assert_eq!(counted(&world, "web", 1).document.largest_allowed_count, Some(9), "whatever is closed now");
    assert!(named(&world, &["w-01", "w-02", "w-03"]).is_empty());
    assert!(world.refusals(&["w-01", "w-03"]).is_empty(), "nor when it is granted");
    for other in ["w-04", "w-09"] {
        assert_eq!(named(&world, &["w-01", other]), ["too-many-unserving web"], "{other}");
        assert_eq!(world.refusals(&["w-01", other]), ["too-many-unserving web"], "{other}");
    }
    let beside = Taking { hosts: ids(&["w-01"]), out: ids(&["w-09"]) };
    let found = world.verify(&beside, Stage::Grant).expect("judged");
    assert_eq!(found.iter().map(brief).collect::<Vec<_>>(), ["too-many-unserving web"]);
}

#[test]
fn what_runs_hold_or_removed_is_out_on_purpose_and_nothing_that_is_wrong() {
    let mut world = web(0);
    world.policy_mut("web").pace.max_unserving = 20.into();
    for id in ["w-01", "w-02", "w-03"] {
        world.host_mut(id).state = HostState::Cordoned;
    }
    assert_eq!(refusals(&world, 1), ["too-many-unserving web"]);
    world.ledger.claims.insert("w-01".into(), Claim::Reserved { run: "r".into() });
    let until = NOON.plus(Duration::from_secs(60));
    world.ledger.claims.insert("w-02".into(), Claim::Settling { run: "r".into(), until });
    assert!(refusals(&world, 1).is_empty());
    // Two of nine are too many, and so is one of the five that are left.
    world.host_mut("w-04").state = HostState::Cordoned;
    assert_eq!(refusals(&world, 1), ["too-many-unserving web"]);
    world.host_mut("w-04").state = HostState::InService;
    assert!(refusals(&world, 1).is_empty());
    for id in ["w-05", "w-06", "w-07", "w-08", "w-09"] {
        world.ledger.claims.insert(id.into(), Claim::Removed { run: "r".into(), at: NOON });
    }
    assert_eq!(refusals(&world, 1), ["too-many-unserving web"], "what was removed is no host any more");
}
