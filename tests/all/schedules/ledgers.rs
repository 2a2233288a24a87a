//! The ledger: schedules 11 to 14.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rexpect::session::spawn_command;

use super::{Stage, len, minutes, removal, rules, takeover};
use crate::support::engines::Place;

const TWO: [&str; 2] = ["index-0001", "index-0004"];

/// Schedule 11: two checkouts, two SQLite files, one fleet.
#[test]
fn schedule_11_s1_a_fleet_that_one_ledger_governs_is_refused_to_another() {
    let stage = Stage::new(16);
    stage.clone_policies("other");
    stage.edit("other/fleet.toml", "ledger.db", "another.db");
    let a = stage.stopped(&removal(&TWO, &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    let refused = stage.remove(&["index-0002", "index-0005"], &["--policies", "other"]).exits(3).json();
    assert!(rules(&refused).contains("foreign-ledger"), "{refused:#}");
    a.wakes_and_ends().exits(0);
    stage.remove(&["index-0002"], &["--policies", "other"]).exits(3);
    assert_eq!(stage.serving(), 16);
}

/// Schedule 11: both have planned, and were confirmed, while no ledger governed the fleet yet.
#[test]
fn schedule_11_s1_of_two_first_runs_with_two_ledgers_one_has_the_fleet() {
    let stage = Stage::new(16);
    stage.clone_policies("other");
    stage.edit("other/fleet.toml", "ledger.db", "another.db");
    let b = ["--subsystem", "index", "--host", "index-0002", "--host", "index-0005", "--policies", "other"];
    let mut b = spawn_command(stage.environment.interactive(&b), Some(30_000)).expect("it starts");
    b.exp_string("Type 2 to remove 2 hosts").expect("the question");
    stage.pass(minutes(0));
    let a = stage.stopped(&removal(&TWO, &[]), "stop:behind-append-batch-cordoned");
    stage.pass(minutes(0));
    b.send_line("2").expect("typed");
    let said = b.exp_eof().expect("it ends");
    assert!(said.contains("foreign-ledger"), "{said}");
    assert_eq!((stage.serving(), stage.cordoned()), (16, 2));
    a.wakes_and_ends().exits(0);
    assert_eq!((stage.serving(), stage.cordoned()), (16, 0));
}

/// Schedule 12: a clone that lacks `placement.toml`, or narrows a selector, or drops a probe. No number is weaker.
#[test]
fn schedule_12_s1_a_clone_with_weaker_policies_removes_nothing() {
    let stage = Stage::new(12);
    stage.run(&["--subsystem", "placement", "--host", "placement-0001", "--yes"]).exits(0);
    for (name, file, from, to) in [
        ("narrow", "placement.toml", "[\"placement\", \"placement-billing\"]", "[\"placement\"]"),
        ("blind", "placement.toml", "name = \"errors\"", "name = \"others\""),
        ("apart", "placement.toml", "depends_on = [\"index\"]", "depends_on = []"),
    ] {
        stage.clone_policies(name);
        stage.edit(&format!("{name}/{file}"), from, to);
        let billing = ["--subsystem", "billing", "--host", "placement-billing-0001", "--yes", "-o", "json"];
        let refused = stage.run(&[&billing[..], &["--policies", name]].concat()).exits(3).json();
        assert!(rules(&refused).contains("policy-loosened"), "{name}: {refused:#}");
    }
    stage.clone_policies("lacks");
    std::fs::remove_file(stage.environment.path().join("lacks/placement.toml")).expect("removed");
    let billing = ["--subsystem", "billing", "--count", "4", "--yes", "-o", "json", "--policies", "lacks"];
    let refused = stage.run(&billing).exits(3).json();
    assert!(rules(&refused).contains("policy-loosened"), "{refused:#}");
    assert_eq!(stage.count(|id, _| id.starts_with("placement")), 11);
}

/// Schedule 13: a compare-and-swap is applied, its reply lost, and its repetition finds another's write on top.
#[test]
fn schedule_13_s9_a_change_whose_reply_was_lost_is_known_again() {
    let changes =
        ["grant", "require-suspension", "start-termination", "resolve", "release-suspension", "forget", "end"];
    for change in changes {
        a_lost_reply_changes_nothing(&format!("change-{change}"));
    }
}

/// Schedule 13: the same of the journal; its writer must not take itself for fenced.
#[test]
fn schedule_13_s7_an_append_whose_reply_was_lost_is_known_again() {
    let events =
        ["run-opened", "batch-granted", "call-intended", "call-answered", "bake-ended", "host-terminated", "run-ended"];
    for event in events {
        a_lost_reply_changes_nothing(&format!("append-{event}"));
    }
}

#[track_caller]
fn a_lost_reply_changes_nothing(step: &str) {
    let stage = Stage::new(12);
    let a = stage.stopped(&removal(&TWO, &[]), &format!("lose:{step}"));
    // Nothing to do with the run, but the record is another's now.
    stage.run(&["halt", "--subsystem", "billing", "--reason", "a test"]).exits(0);
    stage.run(&["unhalt", "--subsystem", "billing", "--reason", "a test"]).exits(0);
    let ended = a.wakes_and_ends().exits(0).json();
    assert_eq!((len(&ended["terminated"]), stage.serving()), (2, 16), "{step}: {ended:#}");
    stage.is_tidy();
}

/// Schedule 13: nothing stays cordoned because a reply was lost on the way back.
#[test]
fn schedule_13_s7_a_reply_that_is_lost_on_the_way_back_leaves_nothing_cordoned() {
    for step in ["append-stopped", "append-host-restored", "change-resolve"] {
        let stage = Stage::new(12);
        let mut a = stage.stopped(&removal(&TWO, &[]), &format!("stop:behind-append-bake-ended,lose:{step}"));
        a.interrupt();
        a.wake();
        a.stops();
        stage.run(&["halt", "--subsystem", "billing", "--reason", "a test"]).exits(0);
        let ended = a.wakes_and_ends().exits(9).json();
        assert_eq!((len(&ended["restored"]), stage.serving()), (2, 18), "{step}: {ended:#}");
        stage.is_tidy();
    }
}

/// Schedule 13: a takeover knows its own fence, and its own epoch.
#[test]
fn schedule_13_s9_a_takeover_whose_reply_was_lost_is_not_taken_for_anothers() {
    for step in ["fence", "epoch"] {
        let stage = Stage::new(12);
        let mut a = stage.start(&removal(&TWO, &[]), "kill:behind-append-sampled");
        assert_eq!(a.child.wait().expect("it ends").code(), None, "killed");
        let t = stage.stopped(&takeover("resume", &stage.run_under_way()), &format!("lose:{step}"));
        stage.run(&["halt", "--subsystem", "billing", "--reason", "a test"]).exits(0);
        let ended = t.wakes_and_ends().exits(0).json();
        assert_eq!((len(&ended["terminated"]), stage.serving()), (2, 16), "{step}: {ended:#}");
        let journal = stage.journal(ended["run"].as_str().expect("an id"));
        let taken = journal.iter().filter(|line| line["event"] == "run-taken-over").count();
        assert_eq!(taken, 1, "{step}: it took the run from itself");
        stage.is_tidy();
    }
}

/// Schedule 14: a hundred foreign writes a second; no version that was read survives until it is written.
#[test]
fn schedule_14_s1_foreign_writes_do_not_starve_a_run() {
    let stage = Stage::new(12);
    // The ledger exists from here on, and one write has just come too late; the observation is nine seconds old.
    let a = stage.stopped(&removal(&TWO, &[]), "stop:write-change-grant");
    stage.pass(Duration::from_secs(9));
    let ledger = Place::File(stage.environment.path().join("state/ledger.db"));
    let (_, ended) = ledger.in_a_storm(|writes| {
        super::wait_until("the storm", || writes.load(Ordering::Relaxed) > 100);
        a.wakes_and_ends()
    });
    let ended = ended.exits(0).json();
    assert_eq!(len(&ended["terminated"]), 2, "{ended:#}");
    stage.is_tidy();
}
