//! Between two batches: a person is asked on the run's terminal, or continues the run from anywhere; a run is paused.

use std::process::Child;
use std::time::Duration;

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};
use serde_json::Value;

use crate::environment::{TestEnvironment, ran, words};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned, wait_until};

/// Far above what a loaded machine takes.
const TIMEOUT_MS: u64 = 60_000;

const REMOVE: [&str; 5] = ["--subsystem", "index", "--count", "4", "--step"];

/// Eighteen hosts, batches of two, on a clock six times as fast.
fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { clock: "6", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    environment
}

fn confirmed(environment: &TestEnvironment) -> PtySession {
    let mut session = spawn_command(environment.interactive(&REMOVE), Some(TIMEOUT_MS)).expect("it starts");
    session.exp_string("Type 4 to remove 4 hosts, anything else to stop").expect("the question");
    session.send_line("4").expect("typed");
    session
}

fn ended(mut session: PtySession) -> (i32, String) {
    let rest = session.exp_eof().expect("it ends");
    match session.process().wait().expect("it ends") {
        WaitStatus::Exited(_, code) => (code, rest),
        other => panic!("{other:?}: {rest}"),
    }
}

/// A run whose first batch is out of service.
fn begun(environment: &TestEnvironment, remove: &[&str]) -> Child {
    let mut child = environment.command(remove).spawn().expect("it starts");
    wait_until(&mut child, "the first cordon", || cordoned(environment.path()) == 2);
    child
}

/// The id of the one run that is under way.
fn only_id(environment: &TestEnvironment) -> String {
    only_run(environment)["run"].as_str().expect("an id").to_owned()
}

/// The one run that is under way.
fn only_run(environment: &TestEnvironment) -> Value {
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(status["runs"].as_array().map(Vec::len), Some(1), "{status:#}");
    status["runs"][0].clone()
}

#[test]
fn s8_with_step_each_batch_is_asked_about_and_only_its_number_lets_it_go() {
    let environment = fleet();
    let mut session = confirmed(&environment);
    let shown = session.exp_string("Type 2 to go on with batch 2, anything else to stop").expect("asked");
    for words in ["gone", "next", "batch 2 of 2", "it is the last", "What the batch leaves", "readings", "exit 9"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(cordoned(environment.path()), 0, "nothing is out of service while somebody is asked");
    let run = only_run(&environment);
    assert_eq!((&run["asks"]["batch"], &run["asks"]["attended"]), (&2.into(), &true.into()), "{run:#}");
    // Nobody else can answer for the person at the terminal.
    let id = run["run"].as_str().expect("an id").to_owned();
    let refused = environment.run(&["continue", &id]).exits(3);
    assert!(refused.stderr.contains("on its own terminal"), "{}", refused.stderr);
    session.send_line("2").expect("typed");
    let (code, rest) = ended(session);
    assert_eq!(code, 0, "{rest}");
    let document = environment.run(&["status", &id, "-o", "json"]).exits(0).json();
    let confirmations = &document["ended"]["confirmations"];
    assert_eq!((&confirmations[0]["batch"], &confirmations[0]["how"]), (&2.into(), &"typed".into()), "{document:#}");
}

#[test]
fn s8_any_other_answer_and_ctrl_c_end_the_run_between_two_batches() {
    for (answer, why) in
        [("yes", "the answer was \"yes\", not \"2\""), ("\u{3}", "interrupted"), ("\u{4}", "the input ended")]
    {
        let environment = fleet();
        let mut session = confirmed(&environment);
        session.exp_string("Type 2 to go on with batch 2").expect("asked");
        std::thread::sleep(Duration::from_millis(300));
        if answer == "yes" {
            session.send_line(answer).expect("typed");
        } else {
            session.send(answer).expect("typed");
            session.flush().expect("sent");
        }
        let (code, rest) = ended(session);
        let words = words(&rest);
        assert_eq!(code, 9, "{answer:?}: {rest}");
        assert!(words.contains(why), "{why}: {rest}");
        assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 16), "{answer:?}");
    }
}

#[test]
fn s8_without_a_terminal_the_run_waits_for_continue() {
    let environment = fleet();
    environment.replace("policies/index.toml", "[confirm]", "[confirm]\nbetween_batches = true");
    let remove = ["--subsystem", "index", "--count", "4", "--yes", "-o", "json"];
    let mut child = environment.command(&remove).spawn().expect("it starts");
    let asks = || environment.run(&["status", "-o", "json"]).json()["runs"][0]["asks"].is_object();
    wait_until(&mut child, "the question", asks);
    let id = only_id(&environment);
    assert_eq!(cordoned(environment.path()), 0);
    let went_on = environment.run(&["continue", &id, "-o", "json"]).exits(0).json();
    assert_eq!(went_on["result"]["confirmed"], 2, "{went_on:#}");
    let output = ran(&remove, child.wait_with_output().expect("it ends")).exits(0);
    assert!(output.stderr.contains(&format!("safe-remove continue {id}")), "{}", output.stderr);
    let document = output.json();
    assert_eq!(document["confirmations"][0]["how"], "continue", "{document:#}");
    let again = environment.run(&["continue", &id]).exits(3);
    assert!(again.stderr.contains("is not under way"), "{}", again.stderr);
}

#[test]
fn s6_a_paused_run_ends_its_batch_takes_no_other_and_goes_on_when_it_is_continued() {
    let environment = fleet();
    let remove = ["--subsystem", "index", "--count", "4", "--yes", "-o", "json"];
    let mut child = begun(&environment, &remove);
    let id = only_id(&environment);
    let paused = environment.run(&["pause", &id, "--reason", "smoke", "-o", "json"]).exits(0).json();
    assert_eq!((&paused["result"]["reason"], &paused["result"]["already"]), (&"smoke".into(), &false.into()));
    wait_until(&mut child, "the end of the batch", || {
        capacity(&environment, "index") == 16 && cordoned(environment.path()) == 0
    });
    // Far longer than the interval between two batches.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!((capacity(&environment, "index"), cordoned(environment.path())), (16, 0), "it takes no further batch");
    let status = environment.run(&["status"]).exits(0).stdout;
    assert!(status.contains("PAUSED") && status.contains("smoke"), "{status}");
    // A second pause changes nothing and says so.
    let again = environment.run(&["pause", &id, "-o", "json"]).exits(0).json();
    assert_eq!((&again["result"]["reason"], &again["result"]["already"]), (&"smoke".into(), &true.into()));
    // What is left of anything is counted from now, not from when it was paused.
    let again = again["result"].clone();
    assert!(again["at"].as_str() > again["since"].as_str(), "{again:#}");
    let went_on = environment.run(&["continue", &id]).exits(0).stdout;
    assert!(went_on.contains("is lifted") && !went_on.contains("PAUSED"), "{went_on}");
    let ran = ran(&remove, child.wait_with_output().expect("it ends")).exits(0);
    assert!(ran.stderr.contains(&format!("to go on: safe-remove continue {id}")), "{}", ran.stderr);
    let document = ran.json();
    assert_eq!(document["terminated"].as_array().map(Vec::len), Some(4));
    assert_eq!(document["pauses"][0]["reason"], "smoke", "{document:#}");
}

/// It is one pause: nothing lifts it before somebody does, and the screen does not say that anything did.
#[test]
fn a_pause_of_its_own_is_told_once_and_with_whoever_lifts_it() {
    let environment = fleet();
    let remove = ["--subsystem", "index", "--count", "4", "--yes", "--pause-after", "1", "-o", "json"];
    let mut child = environment.command(&remove).spawn().expect("it starts");
    let is_paused = || environment.run(&["status", "-o", "json"]).json()["runs"][0]["paused"].is_object();
    wait_until(&mut child, "the pause", is_paused);
    let id = only_id(&environment);
    // Some minutes of the fleet's clock: long enough for what is repeated every minute.
    std::thread::sleep(Duration::from_secs(25));
    environment.run(&["continue", &id]).exits(0);
    let ran = ran(&remove, child.wait_with_output().expect("it ends")).exits(0);
    let times = |words: &str| ran.stderr.lines().filter(|line| line.contains(words)).count();
    assert_eq!((times("  PAUSED"), times("paused after batch 1"), times("to go on:")), (1, 1, 1), "{}", ran.stderr);
    assert_eq!((times("continued by"), times("waiting, and looking again")), (1, 0), "{}", ran.stderr);
    let document = ran.json();
    assert_eq!(document["pauses"].as_array().map(Vec::len), Some(1), "{document:#}");
    assert!(document["pauses"][0]["continued_by"].is_string(), "{document:#}");
    let report = environment.run(&["report", &id]).exits(0).stdout;
    let words = words(&report);
    assert_eq!((words.matches("paused after batch 1").count(), words.matches("was continued").count()), (1, 1));
    let history = environment.run(&["history"]).exits(0).stdout;
    assert_eq!(history.matches("paused by").count(), 1, "{history}");
}

/// The run never notices a pause that was lifted before its batch was gone. It was given all the same.
#[test]
fn a_pause_that_is_lifted_while_a_batch_is_under_way_is_told() {
    let environment = fleet();
    for name in ["index", "placement", "billing"] {
        environment.replace(&format!("policies/{name}.toml"), "bake = \"6s\"", "bake = \"60s\"");
    }
    let remove = ["--subsystem", "index", "--count", "2", "--yes"];
    let child = begun(&environment, &remove);
    let id = only_id(&environment);
    environment.run(&["pause", &id, "--reason", "smoke"]).exits(0);
    environment.run(&["continue", &id]).exits(0);
    ran(&remove, child.wait_with_output().expect("it ends")).exits(0);
    for command in [&["report", &id, "-o", "json"][..], &["history", "-o", "json"], &["status", &id, "-o", "json"]] {
        let document = environment.run(command).exits(0).json();
        let run = [&document["run"], &document["runs"][0], &document["ended"]].into_iter().find(|run| run.is_object());
        let pauses = &run.expect("a run")["pauses"];
        assert_eq!(pauses.as_array().map(Vec::len), Some(1), "{command:?}: {document:#}");
        let pause = &pauses[0];
        assert_eq!(pause["reason"], "smoke", "{command:?}: {document:#}");
        assert!(
            pause["continued_at"].is_string() && pause["operator"] == pause["continued_by"],
            "{command:?}: {pause:#}"
        );
    }
    let report = words(&environment.run(&["report", &id]).exits(0).stdout);
    for told in ["paused by ", ": smoke", "continued the run: the pause of"] {
        assert_eq!(report.matches(told).count(), 1, "{told}: {report}");
    }
    let history = words(&environment.run(&["history"]).exits(0).stdout);
    assert!(history.contains("(smoke), continued by"), "{history}");
    // How a run stands, and what became of it, is told even where an order to it cannot be read.
    let ledger = rusqlite::Connection::open(environment.path().join("state/ledger.db")).expect("a ledger");
    let altered = ledger.execute("UPDATE journal SET record = substr(record, 1, 40) WHERE run LIKE 'p-%'", []);
    assert_eq!(altered.expect("altered"), 2);
    let status = environment.run(&["status", &id, "-o", "json"]).exits(0).json();
    assert_eq!(status["ended"]["outcome"], "completed", "{status:#}");
    let report = environment.run(&["report", &id, "-o", "json"]).exits(0).json();
    for warnings in [&status["warnings"], &report["run"]["warnings"]] {
        assert!(warnings.to_string().contains("cannot all be read"), "{warnings:#}");
    }
}

/// The screens say each thing once, and the same: the run's own, `status` and `pause`.
#[test]
fn the_screens_say_of_a_pause_each_thing_once_and_the_same_batch() {
    let environment = fleet();
    let remove = ["--subsystem", "index", "--count", "4", "--yes"];
    let mut child = begun(&environment, &remove);
    let id = only_id(&environment);
    let paused = words(&environment.run(&["pause", &id, "--reason", "smoke"]).exits(0).stdout);
    let is_paused = || only_run(&environment)["state"] == "paused";
    wait_until(&mut child, "the pause", is_paused);
    let status = words(&environment.run(&["status"]).exits(0).stdout);
    for said in [&paused, &status] {
        for once in ["smoke", "PAUSED", "before `continue`"] {
            assert_eq!(said.matches(once).count(), 1, "{once}: {said}");
        }
    }
    assert!(paused.contains("batch 1 of 2"), "{paused}");
    assert!(status.contains("batch 2 of 2") && !status.contains("batch 1 of 2"), "{status}");
    assert_eq!(only_run(&environment)["batch"]["number"], 2);
    environment.run(&["continue", &id]).exits(0);
    let ran = ran(&remove, child.wait_with_output().expect("it ends")).exits(0);
    assert!(ran.stderr.contains("batch 2 of 2  PAUSED"), "{}", ran.stderr);
}

/// Where one watches already, nobody needs to be told to. The command is right in a single look.
#[test]
fn a_status_that_is_watched_does_not_advise_watching() {
    let environment = fleet();
    let remove = ["--subsystem", "index", "--count", "2", "--yes"];
    let child = begun(&environment, &remove);
    let once = environment.run(&["status"]).exits(0).stdout;
    assert!(once.contains("--watch"), "{once}");
    let watched = environment.run(&["status", "--watch"]).exits(0).stdout;
    assert!(watched.contains("alive") && !watched.contains("--watch"), "{watched}");
    ran(&remove, child.wait_with_output().expect("it ends")).exits(0);
}

/// Nobody but its process writes into a run's journal, and that process is dead.
#[test]
fn orders_to_a_run_whose_process_is_dead_are_told() {
    let environment = fleet();
    let remove = ["--subsystem", "index", "--count", "4", "--yes"];
    let mut child = begun(&environment, &remove);
    child.kill().expect("killed");
    child.wait().expect("it is dead");
    let id = only_id(&environment);
    environment.run(&["pause", &id, "--reason", "smoke"]).exits(0);
    environment.run(&["pause", &id, "--reason", "changes nothing"]).exits(0);
    environment.run(&["continue", &id]).exits(0);
    environment.run(&["pause", &id, "--reason", "fire"]).exits(0);
    // Neither of them is the run's to notice; it has not even ended.
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    let given: Vec<_> = history["orders"].as_array().expect("orders").iter().map(|order| &order["command"]).collect();
    assert_eq!(given, ["pause", "continue", "pause"], "{history:#}");
    let shown = words(&environment.run(&["history"]).exits(0).stdout);
    assert!(shown.contains("smoke") && shown.contains("fire") && shown.contains(&id), "{shown}");
    let is_told = |document: &Value| {
        let pauses = document["pauses"].as_array().expect("pauses").clone();
        let told: Vec<_> = pauses.iter().map(|p| (p["reason"].as_str(), p["continued_by"].is_string())).collect();
        assert_eq!(told, [(Some("smoke"), true), (Some("fire"), false)], "{document:#}");
    };
    is_told(&environment.run(&["report", &id, "-o", "json"]).exits(0).json()["run"]);
    environment.run(&["abandon", &id]).exits(0);
    is_told(&environment.run(&["report", &id, "-o", "json"]).exits(0).json()["run"]);
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    is_told(&history["runs"][0]);
    assert_eq!(history["orders"], serde_json::json!([]), "{history:#}");
}

/// Nobody goes on with a run whose process is dead: what puts back comes next, not `continue`.
#[test]
fn s6_a_pause_of_a_dead_run_says_what_puts_back() {
    let environment = fleet();
    let remove = ["--subsystem", "index", "--count", "4", "--yes"];
    let mut child = begun(&environment, &remove);
    wait_until(&mut child, "the bake", || only_run(&environment)["state"] == "baking batch 1");
    child.kill().expect("killed");
    child.wait().expect("it is dead");
    let run = only_run(&environment);
    let id = run["run"].as_str().expect("an id").to_owned();
    // Nobody watches it: no bake goes on. What is out, and since when, is known.
    assert_eq!((&run["batch"]["number"], &run["batch"]["bake_ends_at"]), (&1.into(), &Value::Null), "{run:#}");
    let status = words(&environment.run(&["status"]).exits(0).stdout);
    assert!(!status.contains("left)") && !status.contains("bakes until"), "{status}");
    assert!(status.contains("last step: baking batch 1 batch 1 of 2, out of service since 2017"), "{status}");
    for command in ["pause", "continue"] {
        let said = environment.run(&[command, &id]).exits(0).stdout;
        assert!(said.contains("DEAD") && said.contains(&format!("safe-remove abandon {id}")), "{said}");
        assert!(!said.contains(&format!("safe-remove continue {id}")), "{said}");
    }
}
