//! Hypotheses are answered by the numbers alone, and on copies.

use proptest::prelude::*;

use crate::plan::testing::{World, brief, policy};
use crate::plan::{Assumed, Assumption, InTurn, UnknownAssumption, WhatIf, headroom};

/// Index: 18 hosts over three zones; 6 of them also serve billing.
fn fleet() -> World {
    World::new([policy("billing", 2), policy("index", 12)]).with("i", 12, &["a", "b", "c"], &["index"]).with(
        "s",
        6,
        &["a", "b", "c"],
        &["billing", "index"],
    )
}

fn minimum(of: &str, units: u64) -> Assumption {
    Assumption::Minimum { subsystem: of.into(), units }
}

fn down(zone: &str) -> Assumption {
    Assumption::ZoneDown { zone: zone.into() }
}

/// How many hosts of index could go, and what would bind.
fn index(world: &World, assumptions: &[Assumption]) -> (u64, Option<String>) {
    world.ask(|inputs| {
        let what_if = WhatIf::new(inputs, assumptions).expect("everything exists");
        let shown = headroom(&what_if.inputs(inputs), Some(&"index".into()), &InTurn).expect("judged").remove(0);
        (shown.hosts_allowed, shown.binding.as_ref().map(brief))
    })
}

#[test]
fn a_minimum_is_assumed_and_the_others_stay() {
    let world = fleet();
    assert_eq!(index(&world, &[]), (6, Some("minimum index 11/12".to_owned())));
    assert_eq!(index(&world, &[minimum("index", 10)]), (8, Some("minimum index 9/10".to_owned())));
    assert_eq!(index(&world, &[minimum("index", 0)]), (16, Some("minimum billing 1/2".to_owned())));
    assert_eq!(index(&world, &[minimum("billing", 7)]), (6, Some("minimum index 11/12".to_owned())));
}

#[test]
fn a_minimum_above_the_baseline_is_answered_not_refused() {
    // The fixture's baseline is 100.
    assert_eq!(index(&fleet(), &[minimum("index", 101)]), (0, Some("minimum index 17/101".to_owned())));
    assert_eq!(index(&fleet(), &[minimum("index", u64::MAX)]).0, 0);
}

#[test]
fn a_lower_minimum_is_answered_though_it_would_have_to_be_accepted() {
    let mut world = fleet();
    world.ledger.accepted = world.policies.subsystems.clone();
    assert_eq!(index(&world, &[minimum("index", 10)]).0, 8);
    let assumed =
        world.ask(|inputs| WhatIf::new(inputs, &[minimum("index", 10)]).expect("it exists").assumed().to_vec());
    let expected = Assumed::Minimum { subsystem: "index".into(), minimum: 10, instead_of: 12, needs_acceptance: true };
    assert_eq!(assumed, [expected]);
    // Whatever else was loosened still closes.
    world.policy_mut("index").pace.max_hosts_per_run += 1;
    assert_eq!(index(&world, &[minimum("index", 10)]), (0, Some("policy-loosened index".to_owned())));
}

#[test]
fn a_zone_that_is_down_neither_serves_nor_gives() {
    let world = fleet();
    // Twelve units are left, all of them needed.
    assert_eq!(index(&world, &[down("a")]), (0, Some("minimum index 11/12".to_owned())));
    assert_eq!(index(&world, &[down("a"), minimum("index", 10)]), (2, Some("minimum index 9/10".to_owned())));
    assert_eq!(index(&world, &[minimum("index", 1), minimum("billing", 0), down("c"), down("a")]).0, 5);
    assert_eq!(index(&world, &[down("a"), down("b"), down("c")]), (0, None));
}

#[test]
fn slack_2021_hosts_of_a_lost_zone_count_as_out_of_service() {
    let mut world = fleet();
    world.policy_mut("index").capacity.minimum = 1;
    world.policy_mut("index").pace.max_unserving = 30.into();
    assert_eq!(index(&world, &[down("a")]), (0, Some("too-many-unserving index".to_owned())));
}

#[test]
fn aws_group_minimums_see_a_lost_zone_as_out_of_service() {
    let mut world = fleet();
    world.policy_mut("index").capacity.minimum = 0;
    world.hosts.iter_mut().filter(|h| h.id.as_str().starts_with("i-")).for_each(|h| h.group = Some("asg".into()));
    world.groups.insert("asg".into(), 7);
    assert_eq!(index(&world, &[minimum("billing", 4), down("a")]), (1, Some("minimum billing 3/4".to_owned())));
}

#[test]
fn what_does_not_exist_is_said() {
    let world = fleet();
    let ask = |assumption| world.ask(|inputs| WhatIf::new(inputs, &[assumption]).map(|_| ()));
    let zones = ["a", "b", "c"].map(Into::into).into();
    assert_eq!(ask(down("d")), Err(UnknownAssumption::Zone { zone: "d".into(), known: zones }));
    assert_eq!(ask(minimum("indx", 1)), Err(UnknownAssumption::Subsystem("indx".into())));
}

#[test]
fn a_zone_that_only_a_policy_lists_can_be_down() {
    let mut world = fleet();
    world.policy_mut("index").capacity.zones = Some(["a", "b", "c", "d"].map(Into::into).into());
    assert_eq!(index(&world, &[down("d")]).0, 6);
}

proptest! {
    /// The answer is the same as with the edited file and the lost hosts, and asking leaves no trace.
    #[test]
    fn an_assumption_answers_as_the_fact_would(
        units in 0..20_u64, lost in prop::sample::subsequence(vec!["a", "b", "c"], 0..=3), current in 0..18_u64,
    ) {
        let mut world = fleet();
        world.policy_mut("index").capacity.minimum = current;
        let mut question: Vec<Assumption> = lost.iter().map(|zone| down(zone)).collect();
        question.push(minimum("index", units));
        let before = (world.hosts.clone(), world.policies.subsystems.clone(), world.ledger.clone());
        let answer = index(&world, &question);
        prop_assert_eq!(&before, &(world.hosts.clone(), world.policies.subsystems.clone(), world.ledger.clone()));
        world.policy_mut("index").capacity.minimum = units;
        // Gone altogether: the fixture's rules look at no host that does not serve.
        world.hosts.retain(|host| !lost.contains(&host.zone.as_str()));
        prop_assert_eq!(answer, index(&world, &[]));
    }
}
