//! Processes that are taken for dead: schedules 2, 6, 7, 18 and 19.

use std::process::Child;

use serde_json::Value;

use super::{Stage, len, minutes, moment, removal, strs, takeover, wait_until};
use crate::environment::{Ran, ran};
use crate::removal::signal;

const TWO: [&str; 2] = ["index-0001", "index-0004"];

/// Schedule 2: A's intent is acknowledged and A is stopped before its call leaves; its run is abandoned, C takes the
/// headroom, A wakes up.
#[test]
fn schedule_02_s1_a_call_that_leaves_after_its_deadline_is_refused_by_the_provider() {
    let stage = Stage::new(16);
    let a = stage.stopped(&removal(&TWO, &[]), "stop:before-send-cordon");
    let run = stage.run_under_way();
    let call = &run["calls"][0];
    assert_eq!((len(&run["calls"]), &call["effect"], len(&call["hosts"])), (1, &"cordon".into(), 2), "{run:#}");
    let deadline = moment(&call["not_after"]);
    assert!(deadline > moment(&stage.status()["at"]), "{run:#}");
    let told = stage.run(&["status"]).exits(0).stdout;
    assert!(told.contains(&format!("cordon index-0001 index-0004: may land until {deadline}")), "{told}");
    stage.pass(minutes(1));
    let told = stage.run(&["status"]).exits(0).stdout;
    assert!(told.contains("could land until"), "{told}");

    let abandoned = stage.run(&strs(&takeover("abandon", &run))).exits(0).json();
    assert!(moment(&abandoned["ended_at"]) > deadline, "it waited for {deadline}: {abandoned:#}");
    stage.remove(&["index-0002", "index-0005"], &[]).exits(0);
    assert_eq!(stage.serving(), 16, "at the minimum");

    let zombie = a.wakes_and_ends().exits(8);
    assert!(zombie.stdout.contains("abandoned by"), "{zombie:?}");
    assert_eq!(stage.serving(), 16, "and still there");
    stage.is_tidy();
}

/// Schedule 2: A wakes up while its call can still land; whoever took the run over has not let go of the hosts yet.
#[test]
fn schedule_02_s7_a_takeover_waits_for_the_deadline_of_a_call_without_a_reply() {
    let stage = Stage::new(16);
    let a = stage.stopped(&removal(&TWO, &[]), "stop:before-send-cordon");
    let run = stage.run_under_way();
    // The clock stands still for as long as A counts as awake: its deadline is not past.
    let t = stage.start(&takeover("abandon", &run), "");
    wait_until("the takeover", || {
        stage.status()["runs"][0]["state"].as_str().is_none_or(|state| state.contains("abandoned by"))
    });
    a.wakes_and_ends().exits(8);
    let abandoned = t.ends().exits(0).json();
    assert_eq!(len(&abandoned["restored"]), 2, "A's call landed, and was undone: {abandoned:#}");
    assert_eq!(stage.serving(), 18);
    stage.is_tidy();
}

/// Schedule 6: A is about to release a host that was never cordoned; T fences the run; A's write comes.
#[test]
fn schedule_06_s9_a_process_of_an_earlier_epoch_releases_nothing() {
    let stage = Stage::new(12);
    let mut a = stage.stopped(&removal(&TWO, &[]), "stop:before-change-require-suspension,stop:write-change-resolve");
    a.interrupt();
    a.wake();
    a.stops();
    let run = stage.run_under_way();
    stage.pass(minutes(0));
    let t = stage.stopped(&takeover("resume", &run), "stop:behind-epoch");
    let zombie = a.wakes_and_ends().exits(10);
    assert!(zombie.stdout.contains("resumed by"), "{zombie:?}");
    assert_eq!(len(&stage.run_under_way()["holds"]), 2, "the hosts are T's");
    stage.pass(minutes(0));
    stage.remove(&["index-0001"], &[]).exits(10);
    t.wakes_and_ends().exits(9);
    stage.is_tidy();
    stage.remove(&["index-0001"], &[]).exits(0);
}

/// Schedule 7: A is cut off from the ledger and stopped before it restores; T abandons its run; C has the hosts in its
/// bake; A wakes up.
#[test]
fn schedule_07_s2_a_restore_without_the_ledger_does_not_outlive_offline_until() {
    let stage = Stage::new(12);
    let a = stage.stopped(&removal(&TWO, &[]), "cut:behind-append-batch-cordoned,stop:before-send-restore");
    let run = stage.run_under_way();
    assert_eq!(
        (stage.cordoned(), len(&run["holds"]), len(&run["calls"])),
        (2, 2, 0),
        "nobody knows of the restore: {run:#}"
    );
    let last = moment(&run["last_record_at"]);
    stage.pass(minutes(0));
    let abandoned = stage.run(&strs(&takeover("abandon", &run))).exits(0).json();
    let (offline_limit, tolerance) = (std::time::Duration::from_secs(30), minutes(1));
    let let_go = moment(&abandoned["ended_at"]);
    assert!(let_go >= last.plus(offline_limit).plus(tolerance), "A last wrote at {last}: {abandoned:#}");

    let c = stage.stopped(&removal(&TWO, &[]), "stop:behind-append-batch-cordoned");
    assert_eq!(stage.cordoned(), 2);
    stage.pass(minutes(0));
    let cut_off = a.wakes_and_ends().exits(8);
    assert!(cut_off.stderr.contains("index-0001"), "{}", cut_off.stderr);
    assert_eq!(stage.cordoned(), 2, "its restore came too late");
    let removed = c.wakes_and_ends().exits(0).json();
    assert_eq!((len(&removed["terminated"]), stage.serving()), (2, 16), "{removed:#}");
    stage.is_tidy();
}

/// Schedule 18: killed behind a terminate, resumed two hours later: the provider does not know the id any more.
#[test]
fn schedule_18_s9_a_host_that_the_provider_has_forgotten_is_gone_and_is_not_terminated_again() {
    let stage = Stage::new(12);
    let mut a = stage.start(&removal(&TWO, &[]), "kill:behind-send-terminate");
    assert_eq!(a.child.wait().expect("it ends").code(), None, "killed");
    assert_eq!((stage.serving(), stage.cordoned()), (16, 1));
    stage.pass(minutes(120));
    let run = stage.run_under_way();
    let id = run["run"].as_str().expect("an id");
    assert_eq!((&run["alive"], len(&run["holds"])), (&false.into(), 2), "{run:#}");
    assert_eq!((len(&run["calls"]), &run["calls"][0]["effect"]), (1, &"terminate".into()), "{run:#}");
    assert_eq!(run["next_command"], format!("safe-remove abandon {id}"));
    let told = stage.run(&["status"]).exits(0).stdout;
    for words in ["DEAD", "terminate index-0001: could land until", "2 terminating: index-0001 index-0004"] {
        assert!(told.contains(words), "{words}: {told}");
    }

    let resumed = stage.run(&["resume", id, "--yes", "-o", "json"]).exits(0).json();
    assert_eq!((len(&resumed["terminated"]), &resumed["in_doubt"]), (2, &Value::Array(Vec::new())), "{resumed:#}");
    let mut asked: Vec<String> = stage.intents(id, "terminate").iter().map(|line| line["host"].to_string()).collect();
    asked.sort();
    assert_eq!(asked, ["\"index-0001\"", "\"index-0004\""], "once each");
    assert_eq!(stage.serving(), 16);
    stage.is_tidy();
}

/// Schedule 19: retries of one pipeline's job find its process dead; one goes on with the run, the others wait for that.
#[test]
fn schedule_19_s9_retries_do_not_take_the_run_from_each_other() {
    let stage = Stage::new(12);
    let arguments = removal(&TWO, &["--request-id", "job-19"]);
    let mut a = stage.start(&arguments, "kill:behind-append-sampled");
    assert_eq!(a.child.wait().expect("it ends").code(), None, "killed");
    let id = stage.run_under_way()["run"].clone();
    let arguments = strs(&arguments);
    let calls: Vec<Child> = (0..3).map(|_| stage.environment.command(&arguments).spawn().expect("it starts")).collect();
    let ended: Vec<Ran> =
        calls.into_iter().map(|call| ran(&arguments, call.wait_with_output().expect("it ends"))).collect();
    assert_eq!(ended.iter().filter(|call| call.stderr.contains("is this process's now")).count(), 1, "{ended:?}");
    let documents: Vec<Value> = ended.into_iter().map(|call| call.exits(0).json()).collect();
    assert!(documents.iter().all(|document| *document == documents[0]), "{documents:#?}");
    assert_eq!((&documents[0]["run"], len(&documents[0]["terminated"]), stage.serving()), (&id, 2, 16));
    stage.is_tidy();
}

/// Schedule 19: a retry that found the run silent and was stopped there comes after another has taken it over.
#[test]
fn schedule_19_s9_of_two_retries_that_found_it_silent_the_slower_one_fences_nobody() {
    let stage = Stage::new(12);
    let arguments = removal(&TWO, &["--request-id", "job-19"]);
    let mut a = stage.start(&arguments, "kill:behind-append-sampled");
    assert_eq!(a.child.wait().expect("it ends").code(), None, "killed");
    let slow = stage.stopped(&arguments, "stop:before-fence");
    stage.pass(minutes(0));
    let fast = stage.stopped(&arguments, "stop:behind-append-batch-cordoned");
    signal(&slow.child, "-CONT");
    std::thread::sleep(std::time::Duration::from_millis(500));
    stage.pass(minutes(0));
    let first = fast.wakes_and_ends().exits(0).json();
    assert_eq!(slow.ends().exits(0).json(), first);
    assert_eq!(
        stage
            .journal(first["run"].as_str().expect("an id"))
            .iter()
            .filter(|line| line["event"] == "run-taken-over")
            .count(),
        1
    );
    assert_eq!(stage.serving(), 16);
    stage.is_tidy();
}

/// A's journal has ended and the record does not know it yet when a second call with its request id looks. Before that one
/// has closed the run, A has: both report the same run.
#[test]
fn s9_a_retry_between_the_last_two_writes_of_a_run_reports_it() {
    let stage = Stage::new(12);
    let arguments = removal(&TWO, &["--request-id", "job-21"]);
    let a = stage.stopped(&arguments, "stop:before-change-end");
    stage.pass(minutes(0));
    let retry = stage.stopped(&arguments, "stop:before-fence");
    stage.pass(minutes(0));
    let first = a.wakes_and_ends().exits(0);
    let second = retry.wakes_and_ends().exits(0);
    assert_eq!(first.stdout, second.stdout, "one run, one document");
    stage.is_tidy();
}
