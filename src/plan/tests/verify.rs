//! The choke point's rules, one by one.

use std::time::Duration;

use rust_decimal::Decimal;

use crate::model::{FleetMark, Health, HostState, ProbeKey, Protection};
use crate::plan::testing::{NOON, World, brief, host, ids, policy, taking};
use crate::plan::{AssessError, Claim, Stage, Taking};
use crate::policy::{Budget, ProviderFloor, Windows, ZoneMinimum};

/// Billing can spare five of its eight; index shares them and cannot.
fn s3() -> World {
    World::new([policy("billing", 3), policy("index", 6)]).with("shared", 8, &["a", "b"], &["billing", "index"])
}

#[test]
fn s1_s3_2017_the_subsystem_nobody_named_refuses() {
    let world = s3();
    assert_eq!(world.refusals(&["shared-01", "shared-02"]), Vec::<String>::new());
    assert_eq!(world.refusals(&["shared-01", "shared-02", "shared-03"]), ["minimum index 5/6"]);
}

#[test]
fn s1_exactly_the_minimum_is_enough_and_one_less_is_not() {
    let world = World::new([policy("index", 3)]).with("i", 4, &["a"], &["index"]);
    assert!(world.refusals(&["i-01"]).is_empty());
    assert_eq!(world.refusals(&["i-01", "i-02"]), ["minimum index 2/3"]);
}

#[test]
fn hosts_that_do_not_serve_may_go_even_from_a_subsystem_that_is_short() {
    let mut world = World::new([policy("index", 5)]).with("i", 4, &["a"], &["index"]);
    world.host_mut("i-01").health = Health::Failed;
    assert!(world.refusals(&["i-01"]).is_empty());
    assert_eq!(world.refusals(&["i-01", "i-02"]), ["minimum index 2/5"]);
}

#[test]
fn s1_a_host_that_another_run_holds_is_neither_capacity_nor_a_candidate() {
    let mut world = World::new([policy("index", 3)]).with("i", 4, &["a"], &["index"]);
    world.reserve("i-04");
    assert_eq!(world.refusals(&["i-01"]), ["minimum index 2/3"]);
    assert_eq!(world.refusals(&["i-04"]), ["not-removable i-04"]);
    world.ledger.claims.insert("i-04".into(), Claim::Removed { run: "r".into(), at: NOON });
    assert_eq!(world.refusals(&["i-04"]), ["unknown-host i-04"]);
}

#[test]
fn s1_a_host_that_is_out_counts_as_taken_whatever_a_late_read_says() {
    let world = World::new([policy("index", 3)]).with("i", 4, &["a"], &["index"]);
    let held = |out: &[&str]| Taking { hosts: ids(&[]), out: ids(out) };
    assert!(world.verify(&held(&["i-01"]), Stage::Hold).expect("judged").is_empty());
    let found = world.verify(&held(&["i-01", "i-02"]), Stage::Hold).expect("judged");
    assert_eq!(found.iter().map(brief).collect::<Vec<_>>(), ["minimum index 2/3"]);
    let mixed = Taking { hosts: ids(&["i-03"]), out: ids(&["i-01"]) };
    let found = world.verify(&mixed, Stage::Hold).expect("judged");
    assert_eq!(found.iter().map(brief).collect::<Vec<_>>(), ["minimum index 2/3"]);
}

#[test]
fn s1_a_bake_ends_when_another_host_fails_by_itself() {
    let mut world = World::new([policy("index", 3)]).with("i", 4, &["a"], &["index"]);
    world.host_mut("i-01").state = HostState::Cordoned;
    let out = Taking { hosts: ids(&[]), out: ids(&["i-01"]) };
    assert!(world.verify(&out, Stage::Hold).expect("judged").is_empty());
    world.host_mut("i-02").health = Health::Failed;
    let found = world.verify(&out, Stage::Hold).expect("judged");
    assert_eq!(found.iter().map(brief).collect::<Vec<_>>(), ["minimum index 2/3"]);
}

#[test]
fn s1_zone_minimums_hold_zone_by_zone() {
    let mut world = World::new([policy("index", 1)]).with("i", 6, &["a", "b"], &["index"]);
    world.policy_mut("index").capacity.minimum_per_zone = Some(ZoneMinimum::Units(2));
    assert!(world.refusals(&["i-01", "i-02"]).is_empty());
    assert_eq!(world.refusals(&["i-01", "i-03"]), ["zone-minimum index a 1/2"]);
    // Zone b is short by itself: that is no reason to refuse in zone a.
    world.host_mut("i-02").health = Health::Failed;
    world.host_mut("i-04").health = Health::Failed;
    assert!(world.refusals(&["i-01"]).is_empty());
}

#[test]
fn s1_the_loss_of_the_largest_zone_leaves_the_minimum() {
    let mut world = World::new([policy("index", 4)]).with("i", 6, &["a", "b", "c"], &["index"]);
    world.policy_mut("index").capacity.survive_zone_loss = true;
    // Two in each zone: without any zone, four remain.
    assert_eq!(world.refusals(&["i-01"]), ["zone-loss index b 3/4", "zone-loss index c 3/4"]);
    // A zone that is larger than the others may shrink: what remains without it does not.
    world.hosts.push(host("i-07", "a", &["index"]));
    assert_eq!(world.refusals(&["i-07"]), Vec::<String>::new());
    assert_eq!(world.refusals(&["i-02"]), ["zone-loss index a 3/4"]);
}

#[test]
fn s3_a_host_in_a_zone_outside_the_policy_is_an_error() {
    let mut world = World::new([policy("index", 1)]).with("i", 3, &["a", "b", "x"], &["index"]);
    world.policy_mut("index").capacity.zones = Some(["a".into(), "b".into()].into());
    let error = world.verify(&taking(&["i-01"]), Stage::Grant).expect_err("zone x");
    assert!(matches!(error, AssessError::Zone { zone, .. } if zone.as_str() == "x"));
}

#[test]
fn joyent_2014_no_selection_is_never_everything() {
    assert_eq!(s3().refusals(&[]), ["empty-selection"]);
}

#[test]
fn zombies_2012_hosts_that_no_policy_answers_for_stay() {
    let mut world = s3();
    world.hosts.push(host("untagged", "a", &[]));
    assert_eq!(world.refusals(&["untagged"]), ["no-policy untagged"]);
    world.host_mut("shared-01").tags_mut().insert("subsystems".to_owned(), "index+billing/ledgers".to_owned());
    assert_eq!(world.refusals(&["shared-01"]), ["no-policy shared-01"]);
    world.host_mut("shared-01").tags_mut().insert("subsystems".to_owned(), " index , billing;".to_owned());
    assert!(world.refusals(&["shared-01"]).is_empty());
}

#[test]
fn states_protections_and_claims_keep_hosts() {
    let mut world = World::new([policy("index", 1)]).with("i", 9, &["a"], &["index"]);
    world.host_mut("i-01").state = HostState::Pending;
    world.host_mut("i-02").state = HostState::Cordoned;
    world.host_mut("i-03").state = HostState::Terminating;
    world.host_mut("i-04").protection = Some(Protection::ScaleIn);
    world.host_mut("i-05").protection = Some(Protection::Termination);
    world.host_mut("i-06").tags_mut().insert("keep".to_owned(), "for-good".to_owned());
    let until = NOON.plus(Duration::from_secs(120));
    world.ledger.claims.insert("i-07".into(), Claim::Settling { run: "r".into(), until });
    assert_eq!(
        world.refusals(&["i-01", "i-02", "i-03", "i-04", "i-05", "i-06", "i-07", "i-99"]),
        [
            "not-removable i-01",
            "not-removable i-02",
            "not-removable i-03",
            "protected i-04",
            "protected i-05",
            "protected i-06",
            "not-removable i-07",
            "unknown-host i-99",
        ]
    );
}

#[test]
fn s1_hosts_of_another_ledger_or_of_none_stay() {
    let mut world = World::new([policy("index", 1)]).with("i", 3, &["a"], &["index"]);
    world.host_mut("i-01").ledger = Some("ledger-2".into());
    world.host_mut("i-02").ledger = Some("ledger-1".into());
    assert_eq!(world.refusals(&["i-01"]), ["foreign-ledger i-01"]);
    assert!(world.refusals(&["i-02"]).is_empty());
    assert!(world.refusals(&["i-03"]).is_empty());
    world.mark = FleetMark::OnHosts;
    assert!(world.refusals(&["i-02"]).is_empty());
    assert_eq!(world.refusals(&["i-03"]), ["foreign-ledger i-03"]);
    let out = Taking { hosts: ids(&[]), out: ids(&["i-01"]) };
    let held = world.verify(&out, Stage::Hold).expect("judged");
    assert_eq!(held.iter().map(brief).collect::<Vec<_>>(), ["foreign-ledger i-01"]);
}

#[test]
fn the_providers_own_minimum_is_known_before_anything_is_touched() {
    let mut world = World::new([policy("index", 1)]).with("i", 5, &["a"], &["index"]);
    for host in &mut world.hosts {
        host.group = Some("asg".into());
    }
    world.groups.insert("asg".into(), 4);
    assert!(world.refusals(&["i-01"]).is_empty());
    assert_eq!(world.refusals(&["i-01", "i-02"]), ["group-minimum asg 3/4"]);
    world.reserve("i-05");
    assert_eq!(world.refusals(&["i-01"]), ["group-minimum asg 3/4"]);
    // A member that does not serve is still a member for the provider.
    world.host_mut("i-01").health = Health::Failed;
    assert_eq!(world.refusals(&["i-01"]), ["group-minimum asg 3/4"]);
}

#[test]
fn run_size_and_budgets_count_hosts_that_do_not_serve() {
    let mut world = s3();
    world.host_mut("shared-01").health = Health::Failed;
    let pace = &mut world.policy_mut("index").pace;
    pace.max_hosts_per_run = 1;
    pace.budgets = vec![Budget { hosts: 1, per: Duration::from_secs(3600) }];
    assert_eq!(world.refusals(&["shared-01", "shared-02"]), ["run-size index 2/1", "budget index 2/1"]);
    let out = Taking { hosts: ids(&["shared-01", "shared-02"]), out: ids(&[]) };
    assert!(world.verify(&out, Stage::Hold).expect("judged").is_empty());
}

#[test]
fn slack_2021_nothing_goes_from_a_system_in_trouble() {
    let mut world = s3().with("p", 3, &["a"], &["placement"]);
    let mut placement = policy("placement", 1);
    placement.depends_on.insert("index".into());
    world.policies.subsystems.insert("placement".into(), placement);
    let key = ProbeKey { subsystem: "placement".into(), probe: "errors".to_owned() };
    world.bad_probes.insert(key, "0.2 is above 0.01".to_owned());
    // Placement depends on index: it is watched, although none of its hosts goes.
    assert_eq!(world.refusals(&["shared-01"]), ["unhealthy-now placement"]);
    assert!(world.verify(&taking(&["shared-01"]), Stage::Hold).expect("judged").is_empty());
}

#[test]
fn s6_a_halt_stops_whoever_touches_or_watches_it() {
    let mut world = s3().with("p", 3, &["a"], &["placement"]);
    let mut placement = policy("placement", 1);
    placement.depends_on.insert("index".into());
    world.policies.subsystems.insert("placement".into(), placement);
    world.ledger.halts = vec![(Some("placement".into()), "outage".to_owned())];
    assert_eq!(world.refusals(&["shared-01"]), ["halted placement"]);
    world.ledger.halts = vec![(Some("billing".into()), "outage".to_owned())];
    assert!(world.refusals(&["p-01"]).is_empty());
    world.ledger.halts = vec![(None, "outage".to_owned())];
    let held = world.verify(&taking(&["p-01"]), Stage::Hold).expect("judged");
    assert_eq!(held.iter().map(brief).collect::<Vec<_>>(), ["halted"]);
}

#[test]
fn a_freeze_of_any_subsystem_touched_holds() {
    let mut world = s3();
    let day = jiff::civil::date(2017, 2, 28);
    let freeze = crate::policy::Freeze { from: day, to: day, why: "launch".to_owned() };
    world.policy_mut("index").windows =
        Some(Windows { zone: "UTC".to_owned(), allow: Vec::new(), freeze: vec![freeze] });
    assert_eq!(world.refusals(&["shared-01"]), ["window index"]);
}

#[test]
fn planetscale_2025_nothing_goes_that_could_not_come_back() {
    let mut world = World::new([policy("index", 1)]).with("i", 3, &["a"], &["index"]);
    world.host_mut("i-01").group = Some("asg".into());
    world.launch_failure = Some("no capacity".to_owned());
    assert!(world.refusals(&["i-02"]).is_empty());
    world.policy_mut("index").pace.requires_launch = true;
    assert_eq!(world.refusals(&["i-02"]), ["cannot-launch index asg"]);
}

#[test]
fn too_many_unserving_rounds_its_allowance_down() {
    let mut world = World::new([policy("index", 1)]).with("i", 10, &["a"], &["index"]);
    world.policy_mut("index").pace.max_unserving = Decimal::from(19);
    world.host_mut("i-01").health = Health::Failed;
    assert!(world.refusals(&["i-05"]).is_empty());
    world.host_mut("i-02").state = HostState::Cordoned;
    assert_eq!(world.refusals(&["i-05"]), ["too-many-unserving index"]);
    world.policy_mut("index").pace.max_unserving = Decimal::from(20);
    assert!(world.refusals(&["i-05"]).is_empty());
}

#[test]
fn seoul_dns_2018_a_policy_that_became_weaker_needs_a_name_under_it() {
    let mut world = s3();
    world.ledger.accepted = world.policies.subsystems.clone();
    assert!(world.refusals(&["shared-01"]).is_empty());
    world.policy_mut("index").capacity.minimum = 5;
    assert_eq!(world.refusals(&["shared-01"]), ["policy-loosened index"]);
    // A policy that is gone concerns every run: its hosts may be anywhere.
    world.policies.subsystems.remove("index");
    assert_eq!(world.refusals(&["shared-01"]), ["policy-loosened index"]);
}

#[test]
fn google_net_2019_concurrent_runs_share_one_zone_minimum() {
    let mut world = World::new([policy("net", 1)]).with("n", 6, &["a", "b"], &["net"]);
    world.policy_mut("net").capacity.minimum_per_zone = Some(ZoneMinimum::Units(2));
    assert!(world.refusals(&["n-03"]).is_empty());
    world.reserve("n-01");
    assert_eq!(world.refusals(&["n-03"]), ["zone-minimum net a 1/2"]);
}

#[test]
fn buildkite_2016_the_minimum_is_of_the_baseline_not_of_what_is_left() {
    // Half the fleet is gone already; the minimum is what it was.
    let world = World::new([policy("agents", 50)]).with("a", 50, &["a"], &["agents"]);
    assert_eq!(world.refusals(&["a-01"]), ["minimum agents 49/50"]);
}

/// Eight of index and two of others in one group, four of index in another: the minimum of six is four of the one and two of
/// the other.
#[test]
fn s1_where_the_provider_must_hold_the_minimum_each_group_holds_its_share() {
    let mut world = World::new([policy("index", 6), policy("other", 0)])
        .with("i", 8, &["a"], &["index"])
        .with("o", 2, &["a"], &["other"])
        .with("j", 4, &["a"], &["index"])
        .with("k", 1, &["a"], &["index"]);
    for (prefix, group) in [("i", "one"), ("o", "one"), ("j", "two")] {
        world.hosts.iter_mut().filter(|h| h.id.as_str().starts_with(prefix)).for_each(|h| h.group = Some(group.into()));
    }
    world.host_mut("k-01").state = HostState::Terminating;
    let lacking = |world: &World, host: &str| -> Vec<String> {
        let all = world.refusals(&[host]);
        all.into_iter().filter(|told| told.starts_with("provider-floor")).collect()
    };
    assert!(lacking(&world, "i-01").is_empty(), "nobody asked");
    world.policy_mut("index").capacity.provider_floor = ProviderFloor::Required;
    for (one, two, i, j) in [(6, 2, true, true), (5, 2, false, true), (6, 1, true, false), (0, 0, false, false)] {
        world.groups.insert("one".into(), one);
        world.groups.insert("two".into(), two);
        assert_eq!((lacking(&world, "i-01").is_empty(), lacking(&world, "j-01").is_empty()), (i, j), "{one} {two}");
        assert!(lacking(&world, "o-01").is_empty(), "its own policy does not ask");
    }
    world.host_mut("k-01").state = HostState::InService;
    assert!(!lacking(&world, "k-01").is_empty(), "nobody holds a host that is in no group");
}
