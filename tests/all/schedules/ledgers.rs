//! The ledger: schedules 11 to 14.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use safe_remove::ledger::SqliteLedger;
use safe_remove::model::{Nonce, Time};
use safe_remove::ports::Ledger as _;

use super::{Player, Stage, len, minutes, removal, rules};

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

/// Schedule 11: both find a fleet that no ledger governs yet, and begin together.
#[test]
fn schedule_11_s1_of_two_first_runs_with_two_ledgers_one_has_the_fleet() {
    let stage = Stage::new(16);
    stage.clone_policies("other");
    stage.edit("other/fleet.toml", "ledger.db", "another.db");
    let removals = [removal(&TWO, &[]), removal(&["index-0002", "index-0005"], &["--policies", "other"])];
    let ended = removals.map(|arguments| stage.start(&arguments, "")).map(Player::ends);
    let codes = ended.each_ref().map(|ran| ran.code);
    assert!(matches!(codes, [Some(0), Some(3 | 5 | 10)] | [Some(3 | 5 | 10), Some(0)]), "{ended:#?}");
    assert_eq!((stage.serving(), stage.cordoned()), (16, 0));
}

/// Schedule 12: a clone that lacks `placement.toml`, or narrows a selector, or drops a probe. No number is weaker.
#[test]
fn schedule_12_s1_a_clone_with_weaker_policies_removes_nothing() {
    let stage = Stage::new(12);
    stage.remove(&["placement-billing-0001"], &[]).exits(3);
    stage.run(&["--subsystem", "placement", "--host", "placement-0001", "--yes"]).exits(0);
    for (name, file, from, to) in [
        ("narrow", "placement.toml", "[\"placement\", \"placement-billing\"]", "[\"placement\"]"),
        ("blind", "placement.toml", "metric = \"error_rate\"\nmax = 0.01", "metric = \"error_rate\"\nmax = 1.0"),
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

/// Schedule 13: a write is applied, its reply is lost, and its repetition finds another's write on top.
#[test]
fn schedule_13_s9_a_write_whose_reply_was_lost_is_known_again() {
    let steps = [
        "change-grant",
        "append-run-opened",
        "append-batch-granted",
        "change-hold-group",
        "append-call-intended",
        "append-call-answered",
        "append-bake-ended",
        "change-start-termination",
        "append-host-terminated",
        "change-resolve",
        "change-release-group",
        "change-forget",
        "change-end",
        "append-run-ended",
    ];
    for step in steps {
        let stage = Stage::new(12);
        let a = stage.stopped(&removal(&TWO, &[]), &format!("lose:{step}"));
        // Nothing to do with the run, but the record is another's now.
        stage.run(&["halt", "--subsystem", "billing", "--reason", "a test"]).exits(0);
        stage.run(&["unhalt", "--subsystem", "billing", "--reason", "a test"]).exits(0);
        let ended = a.wakes_and_ends().exits(0).json();
        assert_eq!((len(&ended["terminated"]), stage.serving()), (2, 16), "{step}: {ended:#}");
        stage.is_tidy();
    }
}

/// Schedule 14: hundreds of foreign writes a second; no version that was read survives until it is written.
#[test]
fn schedule_14_s1_foreign_writes_do_not_starve_a_run() {
    let stage = Stage::new(12);
    let (over, writes) = (AtomicBool::new(false), AtomicU64::new(0));
    // The ledger exists from here on, and one write has just come too late; the observation is nine seconds old.
    let a = stage.stopped(&removal(&TWO, &[]), "stop:write-change-grant");
    stage.pass(Duration::from_secs(9));
    std::thread::scope(|scope| {
        scope.spawn(|| storm(&stage, &over, &writes));
        super::wait_until("the storm", || writes.load(Ordering::Relaxed) > 100);

        let ended = a.wakes_and_ends();
        over.store(true, Ordering::Relaxed);
        let ended = ended.exits(0).json();
        assert_eq!(len(&ended["terminated"]), 2, "{ended:#}");
    });
    stage.is_tidy();
}

/// Writes the record as it is, again and again.
fn storm(stage: &Stage, over: &AtomicBool, writes: &AtomicU64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let path = stage.environment.path().join("state/ledger.db");
    let ledger = SqliteLedger::open(&path, &"demo".into(), Time::from_millis(0)).expect("it opens");
    runtime.block_on(async {
        while !over.load(Ordering::Relaxed) {
            let Ok((version, record)) = ledger.read().await else { continue };
            let nonce = Nonce::new(format!("storm-{}", writes.fetch_add(1, Ordering::Relaxed)));
            // A conflict is as good as a write: then another wrote.
            let _ = ledger.compare_and_swap(version, &record, &nonce).await;
            // Two hundred a second at most: a file that is never free is another story.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
