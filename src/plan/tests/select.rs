//! Choices in which the first idea is not the best one.

use std::collections::BTreeSet;

use crate::model::{FleetMark, Health};
use crate::plan::testing::{World, brief, counted, policy};
use crate::plan::{Plan, Verdict};
use crate::policy::{UnitsSource, ZoneMinimum};

fn chosen(plan: &Plan) -> Vec<String> {
    let ids: BTreeSet<_> = plan.document.batches.iter().flat_map(|b| &b.hosts).map(|h| h.id.to_string()).collect();
    ids.into_iter().collect()
}

#[test]
fn s3_2017_the_count_that_billing_could_spare_is_refused_by_what_shares_its_hosts() {
    let world = World::new([policy("billing", 3), policy("index", 6), policy("placement", 2)])
        .with("bill", 2, &["a", "b"], &["billing"])
        .with("shared", 8, &["a", "b"], &["billing", "index"])
        .with("place", 3, &["a", "b"], &["placement"]);
    let refused = counted(&world, "billing", 5);
    assert_eq!(refused.document.verdict, Verdict::Refused);
    assert_eq!(refused.document.largest_allowed_count, Some(4));
    assert_eq!(refused.document.violations.iter().map(brief).collect::<Vec<_>>(), ["minimum index 5/6"]);
    assert_eq!(
        refused.document.violations[0].message,
        "index would keep 5 of the 6 units that it must keep (8 serve now)"
    );
    let names: Vec<&str> = refused.document.subsystems.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["billing", "index"]);
    let allowed = counted(&world, "billing", 4);
    assert_eq!(allowed.document.verdict, Verdict::Allowed);
    assert_eq!(chosen(&allowed), ["bill-01", "bill-02", "shared-01", "shared-02"]);
}

#[test]
fn s1_weights_that_must_fit_like_a_knapsack() {
    // Four units of index may go. The oldest host weighs three; beside it nothing of two fits.
    let mut world = World::new([policy("all", 0), policy("index", 6)]).with("h", 5, &["a"], &["all", "index"]);
    world.policy_mut("index").capacity.units = UnitsSource::Tag("index".to_owned());
    for (id, units) in [("h-01", "3"), ("h-02", "2"), ("h-03", "2"), ("h-04", "2")] {
        world.host_mut(id).tags_mut().insert("index".to_owned(), units.to_owned());
    }
    let plan = counted(&world, "all", 3);
    assert_eq!(plan.document.largest_allowed_count, Some(2));
    assert_eq!(plan.document.verdict, Verdict::Refused);
    let plan = counted(&world, "all", 2);
    assert_eq!(plan.document.verdict, Verdict::Allowed);
    assert_eq!(chosen(&plan), ["h-01", "h-05"]);
    // With five to spare, taking the heaviest first would end at two hosts; three fit.
    world.policy_mut("index").capacity.minimum = 5;
    let plan = counted(&world, "all", 3);
    assert_eq!(plan.document.largest_allowed_count, Some(3));
    assert_eq!(plan.document.verdict, Verdict::Allowed);
    assert_eq!(chosen(&plan), ["h-02", "h-03", "h-05"]);
}

#[test]
fn s1_zones_with_opposite_slack_leave_only_the_hosts_between() {
    // Index has slack in zone a only, placement in zone b only: a host of both can go from neither.
    let mut world = World::new([policy("all", 0), policy("index", 0), policy("placement", 0)])
        .with("both", 4, &["a", "b"], &["all", "index", "placement"])
        .with("index", 2, &["a", "b"], &["all", "index"])
        .with("place", 2, &["a", "b"], &["all", "placement"]);
    for name in ["index", "placement"] {
        world.policy_mut(name).capacity.minimum_per_zone = Some(ZoneMinimum::Units(3));
    }
    world = world.with("spare", 2, &["a"], &["index"]).with("extra", 2, &["b"], &["placement"]);
    let plan = counted(&world, "all", 3);
    assert_eq!(plan.document.largest_allowed_count, Some(2));
    assert_eq!(plan.document.verdict, Verdict::Refused);
    let plan = counted(&world, "all", 2);
    assert_eq!(plan.document.verdict, Verdict::Allowed);
    assert_eq!(chosen(&plan), ["index-01", "place-02"]);
}

#[test]
fn choices_follow_the_contract_level_by_level() {
    let mut world = World::new([policy("index", 1), policy("billing", 0)])
        .with("i", 6, &["a", "a", "b"], &["index"])
        .with("s", 2, &["a", "b"], &["index", "billing"]);
    // Zone a holds five, zone b three: the largest zone first.
    assert_eq!(chosen(&counted(&world, "index", 2)), ["i-01", "i-02"]);
    // The longest-running of the zone.
    let earlier = world.host_mut("i-04").launched_at.minus(std::time::Duration::from_secs(1));
    world.host_mut("i-05").launched_at = earlier;
    assert_eq!(chosen(&counted(&world, "index", 1)), ["i-05"]);
    // A host that does not serve, before all others, wherever it is and whatever it is for.
    world.host_mut("s-02").health = Health::Failed;
    assert_eq!(chosen(&counted(&world, "index", 1)), ["s-02"]);
}

#[test]
fn s1_a_fleet_too_large_to_look_at_every_choice_is_still_taken_evenly() {
    let zones = ["a", "b", "c", "d", "e", "f"];
    let mut world = World::new([policy("index", 200)]).with("i", 600, &zones, &["index"]);
    for (index, host) in world.hosts.iter_mut().enumerate() {
        host.group = Some(format!("g{}", index % 4).into());
    }
    let plan = counted(&world, "index", 300);
    assert_eq!(plan.document.verdict, Verdict::Allowed);
    assert_eq!(plan.document.largest_allowed_count, Some(400));
    let zones = &plan.document.subsystems[0].zones;
    assert!(zones.iter().all(|zone| zone.remaining == 50), "{zones:?}");
}

#[test]
fn more_than_there_is_names_what_keeps_the_others() {
    let mut world = World::new([policy("index", 0)]).with("i", 4, &["a"], &["index"]);
    world.mark = FleetMark::OnHosts;
    world.host_mut("i-01").ledger = Some("ledger-1".into());
    let plan = counted(&world, "index", 2);
    let found: Vec<String> = plan.document.violations.iter().map(brief).collect();
    assert_eq!(found, ["too-few-candidates index 1/2", "foreign-ledger index"]);
    assert!(plan.document.violations[1].message.ends_with("(3 hosts of index in all)"));
    assert_eq!(counted(&world, "index", u64::MAX).document.verdict, Verdict::Refused);
    assert_eq!(counted(&world, "index", u64::MAX).document.largest_allowed_count, Some(1));
}

#[test]
fn headroom_that_another_run_holds_is_refused_by_name() {
    let mut world = World::new([policy("index", 3)]).with("i", 5, &["a"], &["index"]);
    world.reserve("i-01");
    world.reserve("i-02");
    let plan = counted(&world, "index", 1);
    assert_eq!(plan.document.largest_allowed_count, Some(0));
    let message = &plan.document.violations[0].message;
    assert!(message.ends_with("run other holds 2 of its hosts"), "{message}");
}
