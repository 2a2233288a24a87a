//! `resume`, `abandon` and retried calls, as operators and pipelines see them: processes that are killed, stopped,
//! woken up, and started together.

use std::process::{Child, Command};

use serde_json::Value;

use crate::environment::{Ran, TestEnvironment, ran, words};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned, signal, wait_until};
use crate::support::engines::{Engine, on_each_engine};

pub(crate) const REMOVE: [&str; 4] = ["--subsystem", "index", "--yes", "--output=json"];

/// A fleet whose clock is sixty times as fast as ours: a bake takes a second, a takeover waits a second and a half.
fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { clock: "60", index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment
}

/// A run of so many hosts, with its first batch out of service.
fn baking(environment: &TestEnvironment, count: &str, more: &[&str]) -> Child {
    let arguments = [&REMOVE[..], &["--count", count], more].concat();
    let mut child = environment.command(&arguments).spawn().expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    child
}

fn kill(child: &mut Child) {
    signal(child, "-KILL");
    child.wait().expect("it is dead");
}

/// The run that `status` shows.
fn shown(environment: &TestEnvironment) -> Value {
    environment.run(&["status", "-o", "json"]).exits(0).json()["runs"][0].clone()
}

pub(crate) fn run_id(environment: &TestEnvironment) -> String {
    shown(environment)["run"].as_str().expect("a run under way").to_owned()
}

pub(crate) fn len(value: &Value) -> usize {
    value.as_array().expect("an array").len()
}

#[track_caller]
pub(crate) fn nothing_is_held(environment: &TestEnvironment) {
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(len(&status["runs"]), 0, "{status:#}");
    assert_eq!(cordoned(environment.path()), 0);
}

/// What is pasted at night must work: another policy directory is another ledger.
#[test]
fn the_next_command_names_the_policy_directory() {
    let environment = fleet();
    let mut child = baking(&environment, "2", &[]);
    kill(&mut child);
    let elsewhere = ["status", "--policies", "../policies"];
    std::fs::create_dir(environment.path().join("here")).expect("made");
    let typed = |words: &[&str]| {
        let mut command = environment.command(words);
        let output = command.current_dir(environment.path().join("here")).output().expect("it starts");
        crate::environment::ran(words, output)
    };
    let status = typed(&[&elsewhere[..], &["-o", "json"]].concat()).exits(0).json();
    let next = status["runs"][0]["next_command"].as_str().expect("a command").to_owned();
    let words: Vec<&str> = next.split(' ').skip(1).collect();
    assert_eq!(words[2..], ["--policies", "../policies"], "{next}");
    typed(&words).exits(0);
    nothing_is_held(&environment);
}

#[test]
fn s9_a_run_that_was_killed_in_its_bake_is_resumed_and_ends_as_it_would_have() {
    let environment = fleet();
    let mut child = baking(&environment, "4", &[]);
    kill(&mut child);

    let run = shown(&environment);
    assert_eq!((&run["alive"], len(&run["holds"])), (&false.into(), 2), "{run:#}");
    let id = run["run"].as_str().expect("an id").to_owned();
    // What only puts back comes first: a script that follows it terminates nothing.
    assert_eq!(run["next_command"], format!("safe-remove abandon {id}"));
    let advice = run["advice"].as_str().expect("an advice");
    assert!(advice.find("`abandon`") < advice.find("`resume`") && advice.contains("`resume`"), "{advice}");
    let text = environment.run(&["status"]).exits(0).stdout;
    assert!(text.contains("abandon") && text.contains("last record"), "{text}");

    let resumed = environment.run(&["resume", &id, "--yes", "-o", "json"]).exits(0);
    assert!(resumed.stderr.contains("nothing goes forward"), "{}", resumed.stderr);
    let document = resumed.json();
    assert_eq!((&document["schema"], &document["run"]), (&"safe-remove/run/v1".into(), &id.as_str().into()));
    assert_eq!((&document["outcome"], len(&document["terminated"])), (&"completed".into(), 4), "{document:#}");
    assert_eq!(capacity(&environment, "index"), 14);
    nothing_is_held(&environment);

    // There is nothing left to take over: a script that repeats the command gets the same answer.
    for verb in ["resume", "abandon"] {
        let again = environment.run(&[verb, &id, "-o", "json"]).exits(0);
        assert_eq!(again.json(), document, "{verb}");
        assert!(again.stderr.contains("has ended"), "{}", again.stderr);
    }
    let events = environment.run(&["resume", &id, "-o", "ndjson"]).exits(0);
    let first: Value = serde_json::from_str(events.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["event"], &first["run"]), (&"run-opened".into(), &document["run"]));
    assert_eq!(events.last_line(), document);
    // What it does not hold cannot be given up, now as before.
    environment.run(&["abandon", &id, "--leave", "index-0001"]).exits(3);
}

/// The run ended with 7, and so does whoever asks to take it over, however often.
#[test]
fn s9_resume_and_abandon_of_an_ended_run_end_as_it_did() {
    let environment = TestEnvironment::new();
    let events = "[[events]]\nat = \"230s\"\ndemand = { subsystem = \"index\", factor = 8.0 }\n";
    Fleet { index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write(&environment);
    let run = environment.run(&[&REMOVE[..], &["--count", "6"]].concat()).exits(7).json();
    let id = run["run"].as_str().expect("an id");
    for verb in ["resume", "abandon"] {
        for _ in 0..2 {
            let again = environment.run(&[verb, id, "-o", "json"]).exits(7);
            assert_eq!(again.json(), run, "{verb}");
        }
    }
    assert_eq!(cordoned(environment.path()), 0);
}

#[test]
fn s7_a_run_that_was_killed_in_its_bake_is_abandoned_and_everything_is_back() {
    let environment = fleet();
    let mut child = baking(&environment, "4", &[]);
    kill(&mut child);
    let id = run_id(&environment);
    let stranger = environment.run(&["abandon", &id, "--leave", "index-0099"]).exits(3);
    assert!(stranger.stderr.contains("index-0099") && stranger.stderr.contains("it holds"), "{}", stranger.stderr);
    assert_eq!(cordoned(environment.path()), 2, "nothing was touched");

    let abandoned = environment.run(&["abandon", &id, "--reason", "the laptop is gone", "-o", "json"]).exits(0);
    let document = abandoned.json();
    assert_eq!((&document["outcome"], len(&document["restored"])), (&"halted".into(), 2), "{document:#}");
    assert!(document["cause"]["message"].as_str().is_some_and(|m| m.contains("the laptop is gone")), "{document:#}");
    assert_eq!(capacity(&environment, "index"), 18);
    nothing_is_held(&environment);
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    assert_eq!((len(&history["runs"]), &history["runs"][0]["exit_code"]), (1, &9.into()), "{history:#}");
}

#[test]
fn a_run_that_is_not_known_is_refused_with_the_nearest() {
    let environment = fleet();
    let mut child = baking(&environment, "2", &[]);
    kill(&mut child);
    let id = run_id(&environment);
    let mut slip = id.clone();
    slip.pop();
    for verb in ["resume", "abandon"] {
        let refused = environment.run(&[verb, &slip]).exits(3);
        assert!(refused.stderr.contains(&id), "{}", refused.stderr);
        environment.run(&[verb, "nothing-like-it"]).exits(3);
        environment.run(&[verb]).exits(2);
    }
    assert_eq!(cordoned(environment.path()), 2);
}

/// Its process is alive: that must be said, and then it ends itself and says who has the run.
#[test]
fn s9_a_run_that_is_alive_is_taken_over_only_where_that_is_said() {
    let environment = fleet();
    let child = baking(&environment, "2", &[]);
    let id = run_id(&environment);
    let refused = environment.run(&["abandon", &id]).exits(3);
    assert!(refused.stderr.contains("alive") && refused.stderr.contains("--even-if-alive"), "{}", refused.stderr);
    assert_eq!(cordoned(environment.path()), 2);

    environment.run(&["abandon", &id, "--even-if-alive"]).exits(0);
    let first = ran(&["the first"], child.wait_with_output().expect("it ends")).exits(8);
    let said = first.json()["cause"]["message"].as_str().expect("a cause").to_owned();
    assert!(said.contains("taken over") && said.contains("abandoned by") && said.contains('@'), "{said}");
    // What it could not record belongs to nobody now: it says what it did, and keeps nothing for a journal that went on.
    assert!(!first.stderr.contains("the ledger could not take"), "{}", first.stderr);
    let words = words(&first.stderr);
    assert!(words.contains("did nothing after its last record"), "{words}");
    let kept = std::fs::read_dir(environment.path().join("state")).expect("a directory");
    assert!(!kept.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("unrecorded-")));
    assert_eq!(capacity(&environment, "index"), 18);
    nothing_is_held(&environment);
}

/// Stops the process and runs a command. A process that is stopped in the middle of a write to the SQLite file keeps it
/// locked, and everybody else is told so: then it goes on a little.
fn stopped_outside_a_write(environment: &TestEnvironment, child: &Child, arguments: &[&str]) -> Ran {
    loop {
        signal(child, "-STOP");
        let ran = environment.run(arguments);
        if !(ran.code == Some(10) && ran.stderr.contains("locked")) {
            return ran;
        }
        signal(child, "-CONT");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// Stopped in its bake, woken up after the takeover: a zombie does no harm and ends itself.
#[test]
fn s9_a_process_that_was_stopped_and_wakes_up_after_the_takeover_does_no_harm() {
    for verb in ["resume", "abandon"] {
        let environment = fleet();
        let child = baking(&environment, "4", &[]);
        let id = run_id(&environment);
        let yes: &[&str] = if verb == "resume" { &["--yes"] } else { &[] };
        let takeover = [&[verb, &id, "--even-if-alive", "-o", "json"], yes].concat();
        let taken = stopped_outside_a_write(&environment, &child, &takeover).exits(0).json();
        let how = if verb == "resume" { "resumed with --even-if-alive" } else { "abandoned with --even-if-alive" };
        assert_eq!((len(&taken["taken_over_by"]), &taken["taken_over_by"][0]["how"]), (1, &how.into()), "{taken:#}");
        let left = if verb == "resume" { 14 } else { 18 };
        assert_eq!(capacity(&environment, "index"), left);
        signal(&child, "-CONT");
        let zombie = ran(&["the zombie"], child.wait_with_output().expect("it ends")).exits(8);
        let said = zombie.json()["cause"]["message"].as_str().expect("a cause").to_owned();
        assert!(said.contains("taken over"), "{said}");
        assert_eq!(capacity(&environment, "index"), left, "{verb}");
        nothing_is_held(&environment);
    }
}

/// A pipeline's job died; its retry goes on with the run, and removes no more than was asked for.
#[test]
fn s9_a_retried_call_goes_on_with_the_run_whose_process_died() {
    let environment = fleet();
    let mut child = baking(&environment, "4", &["--request-id", "job-9"]);
    kill(&mut child);
    let id = run_id(&environment);
    let retried = environment.run(&[&REMOVE[..], &["--count", "4", "--request-id", "job-9"]].concat()).exits(0);
    assert_eq!((&retried.json()["run"], len(&retried.json()["terminated"])), (&id.as_str().into(), 4));
    let again = environment.run(&[&REMOVE[..], &["--count", "4", "--request-id", "job-9"]].concat()).exits(0);
    assert_eq!(again.json()["run"], id);
    assert_eq!(capacity(&environment, "index"), 14);
    environment.run(&[&REMOVE[..], &["--count", "3", "--request-id", "job-9"]].concat()).exits(3);
    nothing_is_held(&environment);
}

on_each_engine!(s9_calls_with_one_request_id_that_start_together_make_one_run);

/// Three machines send the same id at the same moment: one run, one document, three times.
fn s9_calls_with_one_request_id_that_start_together_make_one_run(engine: Engine) {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    engine.keeps_the_ledger_of(&mut environment);
    let arguments = [&REMOVE[..], &["--count", "2", "--request-id", "job-3"]].concat();
    let calls: Vec<Child> = (0..3).map(|_| environment.command(&arguments).spawn().expect("it starts")).collect();
    let ended: Vec<Ran> =
        calls.into_iter().map(|call| ran(&arguments, call.wait_with_output().expect("it ends"))).collect();
    let documents: Vec<Value> = ended.into_iter().map(|call| call.exits(0).json()).collect();
    assert!(documents.iter().all(|document| *document == documents[0]), "{documents:#?}");
    assert_eq!(capacity(&environment, "index"), 16);
    nothing_is_held(&environment);
}

/// Makes the record say that the run's process is another machine's.
fn move_elsewhere(environment: &TestEnvironment) {
    let ledger = rusqlite::Connection::open(environment.path().join("state/ledger.db")).expect("a ledger");
    let text: String = ledger.query_row("SELECT record FROM fleets", [], |row| row.get(0)).expect("a record");
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    for run in record["runs"].as_object_mut().expect("runs").values_mut() {
        run["process"]["host"] = "another-machine.invalid".into();
    }
    ledger.execute("UPDATE fleets SET record = ?1", [record.to_string()]).expect("written");
}

/// A process that nobody can look at from here is taken for dead when it has been silent for long enough.
#[test]
fn s9_a_process_of_another_machine_is_taken_for_dead_only_when_it_is_silent() {
    let environment = TestEnvironment::new();
    Fleet { clock: "20", index_minimum: 12, ..Fleet::default() }.write(&environment);
    let mut child = baking(&environment, "2", &["--request-id", "job-2"]);
    kill(&mut child);
    move_elsewhere(&environment);
    let run = shown(&environment);
    let id = run["run"].as_str().expect("an id").to_owned();
    assert_eq!(run["alive"], Value::Null, "{run:#}");
    let refused = environment.run(&["resume", &id]).exits(3);
    for word in ["another-machine.invalid", "cannot be looked at", "--even-if-alive"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    // The retry waits for it, and then goes on.
    let retried = environment.run(&[&REMOVE[..], &["--count", "2", "--request-id", "job-2"]].concat()).exits(0);
    for word in ["under way", "is this process's now"] {
        assert!(retried.stderr.contains(word), "{word}: {}", retried.stderr);
    }
    assert_eq!((&retried.json()["run"], capacity(&environment, "index")), (&id.as_str().into(), 16));
    nothing_is_held(&environment);
}

/// Two containers of one host name: each sees its own pids only, and the other's run is not there.
#[test]
fn s9_a_run_of_another_container_of_the_same_name_is_not_taken_for_dead() {
    let environment = fleet();
    let mut child = baking(&environment, "2", &["--request-id", "job-7"]);
    let id = run_id(&environment);
    let inside = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
            env!("CARGO_BIN_EXE_safe-remove"),
        ]);
        environment.isolate(&mut command);
        ran(arguments, command.args(arguments).output().expect("it starts"))
    };
    let status = inside(&["status", "-o", "json"]);
    if status.code != Some(0) && status.stderr.contains("unshare") {
        // Where namespaces are not to be had, the constructed ids of src/cli/process.rs have to do.
        kill(&mut child);
        return;
    }
    let run = status.exits(0).json()["runs"][0].clone();
    assert_eq!(run["alive"], Value::Null, "{run:#}");
    let refused = inside(&["abandon", &id]).exits(3);
    assert!(refused.stderr.contains("cannot be looked at"), "{}", refused.stderr);
    assert_eq!(shown(&environment)["alive"], true);
    let run = ran(&["the run"], child.wait_with_output().expect("it ends")).exits(0).json();
    assert_eq!((&run["outcome"], len(&run["terminated"])), (&"completed".into(), 2), "{run:#}");
}

/// The provider refuses every restore: a person decides, and that is recorded.
#[cfg(debug_assertions)]
#[test]
fn s7_a_host_that_cannot_be_put_back_is_given_up_by_name() {
    let environment = TestEnvironment::new();
    let events = "[[faults]]\ncall = \"restore\"\nevery = 1\nerror = \"throttled\"\n".to_owned();
    Fleet { clock: "\"virtual\"", index_minimum: 12, events, ..Fleet::default() }.write(&environment);
    let mut child = environment
        .command(&[&REMOVE[..], &["--count", "2"]].concat())
        .env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned")
        .spawn()
        .expect("it starts");
    assert_eq!(child.wait().expect("it ends").code(), None, "it was killed in its bake");
    let id = run_id(&environment);

    let failed = environment.run(&["abandon", &id, "-o", "json"]).exits(8);
    let document = failed.json();
    assert_eq!(len(&document["in_doubt"]), 2, "{document:#}");
    assert_eq!(document["next_command"], format!("safe-remove abandon {id}"), "{document:#}");
    // A host that is known to be cordoned is not called unknown, and each has a line of its own.
    assert_eq!((&document["batches"][0]["state"], len(&document["doubts"])), (&"cordoned".into(), 2), "{document:#}");
    let doubt = &document["doubts"][0];
    assert!(
        doubt["cordoned"] == true && doubt["why"].as_str().is_some_and(|why| why.contains("Throttling")),
        "{doubt:#}"
    );
    let restoring = failed.stderr.matches("cannot be put back, tried").count();
    assert!(restoring >= 3 && failed.stderr.contains("it goes on until"), "{}", failed.stderr);
    let status = environment.run(&["status"]).exits(0).stdout;
    let place = |words: &str| status.find(words).unwrap_or_else(|| panic!("{words}: {status}"));
    assert!(place("next") < status.find("call ").unwrap_or(usize::MAX), "{status}");
    let ended = environment.run(&["status", &id]).exits(0).stdout;
    assert!(ended.lines().filter(|line| line.starts_with("call")).count() <= 3, "{ended}");
    let run = shown(&environment);
    assert_eq!(run["next_command"], format!("safe-remove abandon {id}"), "{run:#}");
    assert!(run["advice"].as_str().is_some_and(|advice| advice.contains("--leave HOST")), "{run:#}");
    // What has ended goes forward no more: to resume it is to try again to put back.
    let resumed = environment.run(&["resume", &id, "-o", "json"]).exits(8).json();
    assert_eq!((len(&resumed["in_doubt"]), len(&resumed["terminated"])), (2, 0), "{resumed:#}");

    let hosts: Vec<String> = (0..2).map(|n| run["holds"][n]["host"].as_str().expect("a host").to_owned()).collect();
    let leave = ["abandon", &id, "--leave", &hosts[0], "--leave", &hosts[1], "--reason", "dead disks", "-o", "json"];
    let left = environment.run(&leave).exits(8);
    let document = left.json();
    assert_eq!(document["in_doubt"], serde_json::json!(hosts), "{document:#}");
    let said = document["warnings"].to_string();
    assert!(said.contains("given up by") && said.contains('@') && said.contains("dead disks"), "{said}");
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(len(&status["runs"]), 0, "it is nobody's any more: {status:#}");
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    assert_eq!(history["runs"][0]["next_command"], format!("safe-remove status {id}"), "{history:#}");
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (2, 16), "and still out of service");
}

/// The job's process died before anything was sent: the same call goes on with it, once, and removes what it was asked.
#[cfg(debug_assertions)]
#[test]
fn s9_a_retried_call_of_a_run_that_sent_nothing_removes_what_was_asked_once() {
    for (point, held) in [("behind-append-run-opened", 0), ("behind-change-enlist", 0), ("behind-change-grant", 2)] {
        let environment = TestEnvironment::new();
        Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
        let arguments = [&REMOVE[..], &["--count", "2", "--request-id", "job-1"]].concat();
        let fault = format!("kill:{point}");
        let killed = environment.command(&arguments).env("SAFE_REMOVE_FAULT", &fault).output().expect("it starts");
        assert_eq!(killed.status.code(), None, "{point}: {}", String::from_utf8_lossy(&killed.stderr));
        let status = environment.run(&["status", "-o", "json"]).exits(0).json();
        let holds = status["runs"].get(0).map_or(0, |run| len(&run["holds"]));
        assert_eq!((holds, capacity(&environment, "index")), (held, 18 - held as u64), "{point}: {status:#}");
        for _ in 0..2 {
            environment.run(&arguments).exits(0);
            nothing_is_held(&environment);
            assert_eq!(capacity(&environment, "index"), 16, "{point}");
        }
    }
}

/// Nobody can tell what became of the hosts of a run whose journal is lost: they stay held.
#[cfg(debug_assertions)]
#[test]
fn s7_a_run_whose_journal_is_lost_is_not_taken_for_one_that_never_began() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let mut child = environment
        .command(&[&REMOVE[..], &["--count", "2"]].concat())
        .env("SAFE_REMOVE_FAULT", "kill:behind-send-terminate")
        .spawn()
        .expect("it starts");
    assert_eq!(child.wait().expect("it ends").code(), None, "it was killed at its first terminate");
    let id = run_id(&environment);
    let ledger = rusqlite::Connection::open(environment.path().join("state/ledger.db")).expect("a ledger");
    assert!(ledger.execute("DELETE FROM journal WHERE run = ?1", [&id]).expect("altered") > 10);
    drop(ledger);
    let refused = environment.run(&["abandon", &id]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("its journal is lost"), "{}", refused.stderr);
    assert_eq!(len(&shown(&environment)["holds"]), 2);
}
