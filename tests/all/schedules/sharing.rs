//! Runs beside each other: schedules 1, 15, 16 and 20.

use std::collections::BTreeSet;

use super::{Stage, len, minutes, moment, removal, rules};
use crate::fleets::Fleet;

/// Schedule 1: A's hosts look as if they did not serve, free to remove; B takes what there is, and not these.
#[test]
fn schedule_01_s1_a_host_that_another_run_has_out_is_neither_capacity_nor_a_candidate() {
    let stage = Stage::new(14);
    let a = stage.stopped(&removal(&["index-0001", "index-0004"], &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    let run = stage.run_under_way();
    assert_eq!((&run["alive"], len(&run["holds"]), len(&run["calls"])), (&true.into(), 2, 0), "{run:#}");
    assert_eq!((&run["state"], &run["holds"][0]["state"]), (&"baking batch 1".into(), &"reserved".into()), "{run:#}");

    let named = stage.remove(&["index-0001"], &[]).exits(3);
    assert!(named.stderr.contains(run["run"].as_str().expect("an id")), "it names the run: {}", named.stderr);
    assert_eq!(rules(&named.json()), BTreeSet::from(["not-removable"]));
    let count = |count: &str| stage.run(&["--subsystem", "index", "--count", count, "--yes", "-o", "json"]);
    let many = count("3").exits(3).json();
    assert_eq!(many["largest_allowed_count"], 2, "what A has out counts as gone: {many:#}");
    let removed = count("2").exits(0).json();
    assert_eq!(len(&removed["terminated"]), 2, "{removed:#}");
    assert_eq!((stage.serving(), stage.cordoned()), (14, 2), "B took others");

    a.interrupt();
    let restored = a.wakes_and_ends().exits(9).json();
    assert_eq!((len(&restored["restored"]), stage.serving()), (2, 16), "{restored:#}");
    stage.is_tidy();
}

/// A fleet of which four hosts of `index` may go in an hour, after a bake of fifty minutes.
fn four_an_hour() -> Stage {
    let stage = Stage::of(Fleet { index_minimum: 8, budgets: "[{ hosts = 4, per = \"1h\" }]", ..Fleet::default() });
    stage.edit("policies/index.toml", "batch = 2", "batch = 4");
    stage.edit("policies/index.toml", "bake = \"1m\"\nevery = \"10s\"", "bake = \"50m\"\nevery = \"2m\"");
    stage.edit("policies/placement.toml", "every = \"10s\"", "every = \"2m\"");
    // Fewer signs of life than three a minute.
    stage.edit("policies/fleet.toml", "[ledger]", "[ledger]\noffline_limit = \"15m\"");
    stage
}

const FOUR: [&str; 4] = ["index-0001", "index-0004", "index-0007", "index-0010"];

/// Schedule 15: stamped at the grant, the budget would be free again ten minutes after the bake.
#[test]
fn schedule_15_s4_a_budget_counts_from_the_termination_however_long_the_bake() {
    let stage = four_an_hour();
    let ended = stage.remove(&FOUR, &[]).exits(0).json();
    let terminated = moment(&ended["batches"][0]["terminated_at"]);
    let waits = stage.remove(&["index-0002"], &["--no-wait"]).exits(11).json();
    assert!(moment(&waits["not_before"]) >= terminated.plus(minutes(60)), "terminated at {terminated}: {waits:#}");
    stage.pass(minutes(30));
    stage.remove(&["index-0002"], &["--no-wait"]).exits(11);
    assert_eq!(stage.serving(), 14);
    stage.pass(minutes(33));
    stage.remove(&["index-0002"], &["--no-wait"]).exits(0);
}

/// Schedule 15: stamped at the termination only, a run beside one that bakes would find the budget empty.
#[test]
fn schedule_15_s4_what_another_run_holds_counts_against_the_budget_now() {
    let stage = four_an_hour();
    let a = stage.stopped(&removal(&FOUR, &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    stage.remove(&["index-0002"], &["--no-wait"]).exits(11);
    // Put back, it has spent nothing.
    a.interrupt();
    a.wakes_and_ends().exits(9);
    stage.remove(&["index-0002"], &["--no-wait"]).exits(0);
    assert_eq!(stage.serving(), 17);
    stage.is_tidy();
}

/// Schedule 16: B begins while A's batch is out; what it samples then is not what is normal.
#[test]
fn schedule_16_s2_a_run_beside_another_judges_by_the_reference_from_before_both() {
    let stage = Stage::new(12);
    let (probe, relative) = ("metric = \"error_rate\"\nmax = 0.01", "metric = \"utilization\"\nmax_increase = \"20%\"");
    stage.edit("policies/index.toml", probe, relative);
    // 18 hosts at a third; 16 are an eighth more, 14 two sevenths more, but only a seventh more than 16.
    let a = stage.stopped(&removal(&["index-0001", "index-0004"], &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    let b = stage.remove(&["index-0002", "index-0005"], &[]).exits(7).json();
    assert_eq!((&b["cause"]["kind"], &b["cause"]["probe"]), (&"probe".into(), &"index/errors".into()), "{b:#}");
    assert_eq!((len(&b["terminated"]), stage.cordoned()), (0, 2), "{b:#}");
    a.interrupt();
    a.wakes_and_ends().exits(9);
    assert_eq!(stage.serving(), 18);
    stage.is_tidy();
}

/// Schedule 20: A suspends a group's process, B finds it suspended; A leaves first, B last, and it is as it was before.
#[test]
fn schedule_20_s7_the_last_run_to_leave_resumes_what_the_first_suspended() {
    let stage = Stage::new(12);
    let suspended = |stage: &Stage| len(&stage.fleet()["groups"]["index"]["suspended"]);
    let a = stage.stopped(&removal(&["index-0001"], &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    let b = stage.stopped(&removal(&["index-0002"], &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    assert_eq!((suspended(&stage), stage.cordoned()), (1, 2));
    a.interrupt();
    a.wakes_and_ends().exits(9);
    assert_eq!(suspended(&stage), 1, "B still needs it suspended");
    b.interrupt();
    b.wakes_and_ends().exits(9);
    stage.is_tidy();
}

/// Schedule 20: B begins after A and ends before it.
#[test]
fn schedule_20_s7_a_run_that_leaves_first_does_not_decide_for_the_other() {
    let stage = Stage::new(12);
    let a = stage.stopped(&removal(&["index-0001"], &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    // B begins and ends while A bakes.
    stage.remove(&["index-0002"], &[]).exits(0);
    assert_eq!(len(&stage.fleet()["groups"]["index"]["suspended"]), 1, "A still needs it suspended");
    a.interrupt();
    a.wakes_and_ends().exits(9);
    stage.is_tidy();
}
