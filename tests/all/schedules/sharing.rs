//! Runs beside each other: schedules 1, 15, 16 and 20.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Stage, len, minutes, moment, removal, rules, wait_until};
use crate::fleets::Fleet;
use crate::support::engines::{Engine, on_each_engine};

on_each_engine!(schedule_16_s2_a_run_that_began_beside_another_judges_by_what_it_sees_without_its_damage);

/// Schedule 1: A's hosts look as if they did not serve, free to remove; B takes what there is, and not these.
#[test]
fn schedule_01_s1_a_host_that_another_run_has_out_is_neither_capacity_nor_a_candidate() {
    let stage = Stage::new(14);
    let a = stage.stopped(&removal(&["index-0001", "index-0004"], &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    let run = stage.run_under_way();
    assert_eq!((&run["alive"], len(&run["holds"]), len(&run["calls"])), (&true.into(), 2, 0), "{run:#}");
    assert_eq!((&run["state"], &run["holds"][0]["state"]), (&"baking batch 1".into(), &"reserved".into()), "{run:#}");

    // A race is never 3: A may put back what it has.
    let id = run["run"].as_str().expect("an id").to_owned();
    let named = stage.remove(&["index-0001"], &[]).exits(10);
    assert!(named.stderr.contains(&id), "it names the run: {}", named.stderr);
    assert_eq!(rules(&named.json()), BTreeSet::from(["not-removable"]));
    let count = |count: &str, more: &[&str]| {
        stage.run(&[&["--subsystem", "index", "--count", count, "--yes", "-o", "json"], more].concat())
    };
    let many = count("3", &[]).exits(10).json();
    assert_eq!(many["largest_allowed_count"], 2, "what A has out counts as gone: {many:#}");
    assert_eq!((&many["others"][0]["run"], &many["others"][0]["holds"]), (&id.as_str().into(), &2.into()), "{many:#}");
    // Others could go, and wait until A's batch is over.
    let waits = count("2", &["--no-wait"]).exits(11);
    assert!(waits.stderr.contains(&id), "it names the run: {}", waits.stderr);
    let in_words = stage.run(&["--subsystem", "index", "--count", "2", "--yes", "--no-wait"]).exits(11).stderr;
    assert!(in_words.contains("caused by") && in_words.contains("hosts out since"), "a person reads why: {in_words}");
    assert_eq!((stage.serving(), stage.cordoned()), (16, 2), "nothing more was touched");
    // Nobody waits for a process that says nothing any more.
    stage.pass(minutes(10));
    let refused = count("2", &[]).exits(3);
    assert!(refused.stderr.contains(&format!("abandon {id}")), "{}", refused.stderr);
    assert!(rules(&refused.json()).contains("run-in-the-way"));

    a.interrupt();
    let restored = a.wakes_and_ends().exits(9).json();
    assert_eq!((len(&restored["restored"]), stage.serving()), (2, 18), "{restored:#}");
    stage.is_tidy();
    let removed = count("2", &[]).exits(0).json();
    assert_eq!((len(&removed["terminated"]), stage.serving()), (2, 16), "{removed:#}");
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

/// Schedule 16: B begins while A's batch is out; what it sampled then is not what is normal, and is sampled again.
fn schedule_16_s2_a_run_that_began_beside_another_judges_by_what_it_sees_without_its_damage(engine: Engine) {
    let stage = Stage::on(engine, 12);
    // Three samples: with ten, A would be silent before B stands in line.
    let relative = "metric = \"utilization\"\nmax_increase = \"50%\"\nfailures = 1";
    let probe = "metric = \"error_rate\"\nmax = 0.01";
    stage.edit("policies/index.toml", probe, relative);
    // 18 hosts are used to a third, 16 to three eighths.
    let a = stage.stopped(&removal(&["index-0001", "index-0004"], &[]), "stop:behind-append-batch-cordoned");
    let first = stage.run_under_way()["run"].clone();
    let b = stage.start(&removal(&["index-0002", "index-0005"], &[]), "");
    let waits = |run: &Value| run["run"] != first && run["state"].as_str().is_some_and(|s| s.starts_with("waiting"));
    wait_until("B in line", || stage.status()["runs"].as_array().is_some_and(|runs| runs.iter().any(waits)));
    a.interrupt();
    let a = a.wakes_and_ends().exits(9).json();
    let b = b.ends().exits(0).json();
    assert_eq!((len(&b["terminated"]), stage.serving(), stage.cordoned()), (2, 16, 0), "{b:#}");
    let journal = stage.journal(b["run"].as_str().expect("an id"));
    let taken: Vec<&Value> = journal.iter().filter(|line| line["event"] == "reference-taken").collect();
    let [taken] = taken.as_slice() else { panic!("{taken:?}") };
    let normal = taken["reference"]["index/errors"].as_array().expect("samples");
    let is_normal = |sample: &Value| sample.as_f64().is_some_and(|share| (share - 1.0 / 3.0).abs() < 0.001);
    assert!(normal.len() == 3 && normal.iter().all(is_normal), "as it is with 18 hosts: {taken:#}");
    assert!(moment(&taken["sampled_at"]) >= moment(&a["batches"][0]["restored_at"]), "{taken:#}");
    stage.is_tidy();
}

const MORE: [&str; 4] = ["index-0001", "index-0004", "index-0007", "index-0010"];

/// Schedule 20: A suspends a group's process, B finds it suspended; A leaves first, B last, and it is as it was before.
#[test]
fn schedule_20_s7_the_last_run_to_leave_resumes_what_the_first_suspended() {
    let stage = Stage::new(10);
    let suspended = |stage: &Stage| len(&stage.fleet()["groups"]["index"]["suspended"]);
    // Between its two batches A has nothing out, and needs the group.
    let a = stage.stopped(&removal(&MORE, &[]), "stop:behind-append-batch-terminated");
    stage.pass(minutes(10));
    let b = stage.stopped(&removal(&["index-0002"], &[]), "stop:behind-append-batch-cordoned");
    assert_eq!((suspended(&stage), stage.cordoned()), (1, 1));
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
    let stage = Stage::new(10);
    let a = stage.stopped(&removal(&MORE, &[]), "stop:behind-append-batch-terminated");
    stage.pass(minutes(10));
    // B begins and ends while nobody hears of A.
    stage.remove(&["index-0002"], &[]).exits(0);
    assert_eq!(len(&stage.fleet()["groups"]["index"]["suspended"]), 1, "A still needs it suspended");
    a.interrupt();
    a.wakes_and_ends().exits(9);
    stage.is_tidy();
}
