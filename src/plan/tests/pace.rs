//! Budgets and intervals over all runs.

use std::time::Duration;

use super::super::membership::Membership;
use super::super::pace::{Books, Waits, waits};
use crate::model::Time;
use crate::plan::testing::{NOON, World, ids, policy};
use crate::plan::{Rule, Violation};
use crate::policy::Budget;

const HOUR: Duration = Duration::from_secs(3600);
/// Twice the tolerance.
const SLACK: Duration = Duration::from_secs(120);

fn world() -> World {
    let mut world = World::new([policy("index", 1)]).with("i", 9, &["a"], &["index"]);
    world.policy_mut("index").pace.budgets = vec![Budget { hosts: 3, per: HOUR }];
    world
}

fn found(world: &World, hosts: &[&str]) -> Result<Waits, Violation> {
    world.ask(|inputs| {
        let membership = Membership::new(inputs.policies, inputs.snapshot);
        let ledger = inputs.ledger;
        let books = Books { removals: &ledger.removals, last_end: &ledger.last_end, now: inputs.now };
        waits(inputs, &membership, &ids(hosts), &books)
    })
}

fn opens(world: &World, hosts: &[&str]) -> Option<Time> {
    let waits = found(world, hosts).expect("it fits");
    waits.budget.into_iter().chain(waits.interval).map(|wait| wait.until).max()
}

#[test]
fn s4_removals_of_every_run_fill_the_window() {
    let mut world = world();
    assert_eq!(opens(&world, &["i-01", "i-02", "i-03"]), None);
    let first = NOON.minus(Duration::from_secs(1800));
    world.removed("gone-1", Some(first));
    assert_eq!(opens(&world, &["i-01", "i-02"]), None);
    assert_eq!(opens(&world, &["i-01", "i-02", "i-03"]), Some(first.plus(HOUR).plus(SLACK)));
    let second = NOON.minus(Duration::from_secs(600));
    world.removed("gone-2", Some(second));
    assert_eq!(opens(&world, &["i-01"]), None);
    assert_eq!(opens(&world, &["i-01", "i-02"]), Some(first.plus(HOUR).plus(SLACK)));
    assert_eq!(opens(&world, &["i-01", "i-02", "i-03"]), Some(second.plus(HOUR).plus(SLACK)));
}

#[test]
fn s4_a_window_is_longer_by_twice_the_tolerance_and_not_by_more() {
    let mut world = world();
    for gone in ["gone-1", "gone-2", "gone-3"] {
        world.removed(gone, Some(NOON.minus(HOUR)));
    }
    assert_eq!(opens(&world, &["i-01"]), Some(NOON.plus(SLACK)));
    world.now = NOON.plus(SLACK);
    assert_eq!(opens(&world, &["i-01"]), None);
    world.now = NOON.plus(SLACK).minus(Duration::from_millis(1));
    assert_eq!(opens(&world, &["i-01"]), Some(NOON.plus(SLACK)));
}

#[test]
fn s4_a_reserved_host_counts_as_removed_now() {
    let mut world = world();
    for held in ["i-07", "i-08", "i-09"] {
        world.reserve(held);
    }
    assert_eq!(opens(&world, &["i-01"]), Some(NOON.plus(HOUR).plus(SLACK)));
    // The reservation in question is not counted twice.
    assert_eq!(opens(&world, &["i-07", "i-08", "i-09"]), None);
}

#[test]
fn s4_what_never_fits_is_a_violation() {
    let world = world();
    let violation = found(&world, &["i-01", "i-02", "i-03", "i-04"]).expect_err("four of three");
    assert_eq!((violation.rule, violation.required, violation.remaining), (Rule::Budget, Some(3), Some(4)));
}

#[test]
fn s4_the_interval_runs_from_the_last_verified_termination_of_any_run() {
    let mut world = world();
    world.ledger.last_end.insert("index".into(), NOON.minus(Duration::from_secs(100)));
    assert_eq!(opens(&world, &["i-01"]), Some(NOON.plus(Duration::from_secs(200))));
    world.now = NOON.plus(Duration::from_secs(200));
    assert_eq!(opens(&world, &["i-01"]), None);
}

#[test]
fn s4_the_longest_interval_of_everything_touched_holds() {
    let mut world = World::new([policy("billing", 1), policy("index", 1)]).with("x", 3, &["a"], &["billing", "index"]);
    world.policy_mut("billing").pace.interval = HOUR;
    world.ledger.last_end.insert("index".into(), NOON.minus(Duration::from_secs(600)));
    assert_eq!(opens(&world, &["x-01"]), Some(NOON.plus(Duration::from_secs(3000))));
}
