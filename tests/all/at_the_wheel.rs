//! Stopping is easy: `halt` at the first press and from anywhere, Ctrl-Z, a run without its terminal, a process that was
//! stopped.

use std::io::Read as _;
use std::time::{Duration, Instant};

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};
use serde_json::Value;

use crate::environment::{TestEnvironment, heeding_signals, ran, set_mode};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned, signal, signal_until_it_ends, wait_until};

/// Far above what a loaded machine takes.
const TIMEOUT_MS: u64 = 60_000;

const REMOVE: [&str; 7] = ["--subsystem", "index", "--count", "2", "--yes", "-o", "json"];

/// Eighteen hosts on the real clock, with a bake of this length.
fn fleet(bake: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    for name in ["index", "placement", "billing"] {
        environment.replace(&format!("policies/{name}.toml"), "bake = \"6s\"", &format!("bake = \"{bake}\""));
    }
    environment
}

fn ended(session: &mut PtySession) -> (i32, String) {
    let rest = session.exp_eof().expect("it ends");
    match session.process().wait().expect("it ends") {
        WaitStatus::Exited(_, code) => (code, rest),
        other => panic!("{other:?}: {rest}"),
    }
}

fn status(environment: &TestEnvironment) -> Value {
    environment.run(&["status", "-o", "json"]).exits(0).json()
}

#[test]
fn s6_halt_needs_no_reason_and_says_what_became_of_each_run() {
    let environment = fleet("60s");
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    wait_until(&mut child, "the cordon", || cordoned(environment.path()) == 2);
    let halted = environment.run(&["halt", "-o", "json"]).exits(0).json();
    let run = &halted["result"]["runs"][0];
    assert_eq!(
        (&run["became"], &run["exit_code"], &run["in_doubt"]),
        (&"ended".into(), &9.into(), &serde_json::json!([]))
    );
    assert_eq!((&halted["result"]["reason"], cordoned(environment.path())), (&Value::Null, 0), "{halted:#}");
    let document = ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(9).json();
    assert!(
        document["cause"]["message"].as_str().is_some_and(|said| said.contains("no reason was given")),
        "{document:#}"
    );
    let history = environment.run(&["history"]).exits(0).stdout;
    assert!(history.contains("no reason was given"), "{history}");
}

/// Orders of one scope are lifted together, by one command.
#[test]
fn how_orders_of_one_scope_are_lifted_is_said_once() {
    let environment = fleet("6s");
    environment.run(&["ledger", "init"]).exits(0);
    for reason in ["smoke", "fire"] {
        environment.run(&["halt", "--reason", reason]).exits(0);
    }
    environment.run(&["halt", "--subsystem", "index", "--reason", "flood"]).exits(0);
    let shown = environment.run(&["status"]).exits(0).stdout;
    assert_eq!(shown.matches("to lift").count(), 2, "{shown}");
    for order in ["smoke", "fire", "flood", "to lift the whole fleet", "to lift index"] {
        assert!(shown.contains(order), "{order}: {shown}");
    }
}

#[test]
fn s6_halt_is_in_force_before_it_asks_why_and_an_empty_answer_leaves_it_so() {
    for (typed, reason) in [("smoke in zone b", Value::from("smoke in zone b")), ("", Value::Null)] {
        let environment = fleet("6s");
        environment.run(&["ledger", "init"]).exits(0);
        let mut session = spawn_command(environment.interactive(&["halt"]), Some(TIMEOUT_MS)).expect("it starts");
        session.exp_string("Type why, or nothing").expect("the question");
        assert_eq!(status(&environment)["halts"].as_array().map(Vec::len), Some(1), "it is in force already");
        session.send_line(typed).expect("typed");
        let (code, rest) = ended(&mut session);
        assert_eq!(code, 0, "{rest}");
        assert_eq!(status(&environment)["halts"][0]["reason"], reason);
        let history = environment.run(&["history", "-o", "json"]).exits(0).json();
        assert_eq!(history["halts"][0]["reason"], reason, "{history:#}");
    }
}

/// The process that was stopped does not see the order. Whoever halts is told within a minute.
#[test]
fn s6_halt_names_a_process_that_does_not_answer() {
    let environment = fleet("60s");
    for name in ["index", "placement", "billing"] {
        // It writes less often, so that it is seldom stopped in the middle of a write.
        environment.replace(&format!("policies/{name}.toml"), "every = \"1s\"", "every = \"5s\"");
    }
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    wait_until(&mut child, "the cordon", || cordoned(environment.path()) == 2);
    // A process that was stopped in the middle of a write keeps the ledger's file locked. Everybody is told which.
    let names_it = |ran: &crate::environment::Ran| ran.stderr.contains(&format!("kill -CONT {}", child.id()));
    let mut halted = None;
    for _ in 0..10 {
        signal(&child, "-STOP");
        let status = environment.run(&["status", "-o", "json"]);
        if status.code == Some(0) {
            let order = environment.run(&["halt"]);
            assert!(order.code == Some(0) || names_it(&order), "{}", order.stderr);
            halted = Some((status.json(), order)).filter(|(_, order)| order.code == Some(0));
        } else {
            assert!(names_it(&status), "{}", status.stderr);
        }
        if halted.is_some() {
            break;
        }
        signal(&child, "-CONT");
        // What was due meanwhile is written at once.
        std::thread::sleep(Duration::from_secs(2));
    }
    let (before, halted) = halted.expect("a moment in which nothing is written");
    let run = &before["runs"][0];
    assert_eq!((&run["alive"], &run["stopped"]), (&true.into(), &true.into()), "{run:#}");
    let shown = environment.run(&["status"]).exits(0).stdout;
    assert!(shown.contains("STOPPED") && shown.contains("kill -CONT"), "{shown}");
    // A pause does not hide that: nothing goes on before the process does.
    let id = run["run"].as_str().expect("an id");
    environment.run(&["pause", id]).exits(0);
    let shown = environment.run(&["status"]).exits(0).stdout;
    assert!(shown.contains("PAUSED") && shown.contains("kill -CONT"), "{shown}");
    assert!(halted.stdout.contains("STOPPED"), "{}", halted.stdout);
    signal(&child, "-CONT");
    ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(9);
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 18));
}

#[test]
fn a_directory_without_policies_is_told_from_policies_that_are_invalid() {
    let environment = fleet("6s");
    std::fs::create_dir_all(environment.path().join("deep/er")).expect("a directory");
    let mut command = environment.command(&["halt", "--reason", "smoke"]);
    let elsewhere = command.current_dir(environment.path().join("deep/er")).output().expect("it runs");
    let refused = ran(&["halt"], elsewhere).exits(4);
    for words in ["there is no policy directory ./policies", "--policies ../../policies"] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("invalid"), "{}", refused.stderr);
}

#[test]
fn s7_ctrl_z_does_not_stop_a_run_and_says_what_does() {
    let environment = fleet("8s");
    let remove = ["--subsystem", "index", "--count", "2"];
    let mut session = spawn_command(environment.interactive(&remove), Some(TIMEOUT_MS)).expect("it starts");
    session.exp_string("Type 2 to remove 2 hosts").expect("the question");
    session.send_line("2").expect("typed");
    session.exp_string("baking").expect("the bake");
    session.send("\u{1a}").expect("typed");
    session.flush().expect("sent");
    session.exp_string("Ctrl-Z does not stop a run").expect("said");
    session.exp_string("safe-remove pause r-").expect("said");
    let (code, rest) = ended(&mut session);
    assert_eq!((code, capacity(&environment, "index")), (0, 16), "{rest}");
}

/// The window is closed while hosts are out: the run hears that its terminal is gone, and puts them back.
#[test]
fn s7_a_terminal_that_closes_with_hosts_out_ends_the_run_in_order() {
    let environment = fleet("60s");
    let remove = [env!("CARGO_BIN_EXE_safe-remove"), "--subsystem", "index", "--count", "2", "--yes"].join(" ");
    let mut window = heeding_signals("script");
    window.args(["--quiet", "--command", &remove, "/dev/null"]);
    environment.isolate(&mut window);
    let (none, nowhere) = (std::process::Stdio::null(), std::process::Stdio::null());
    let mut window = window.stdin(none).stdout(nowhere).spawn().expect("a terminal");
    wait_until(&mut window, "the cordon", || cordoned(environment.path()) == 2);
    let run = status(&environment)["runs"][0]["run"].as_str().expect("an id").to_owned();
    window.kill().expect("it is closed");
    window.wait().expect("it is gone");
    let ended = environment.run(&["status", &run, "--watch", "-o", "json"]).exits(9).json();
    let cause = ended["ended"]["cause"]["message"].as_str().unwrap_or_default();
    assert!(cause.contains("terminal"), "{ended:#}");
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 18));
}

/// The run is confirmed on a terminal, which then goes away.
#[test]
fn s6_a_detached_run_goes_on_without_its_terminal_and_logs_to_the_file_that_it_names() {
    let environment = fleet("6s");
    let remove = ["--subsystem", "index", "--count", "4", "--detach", "--step"];
    let mut session = spawn_command(environment.interactive(&remove), Some(TIMEOUT_MS)).expect("it starts");
    session.exp_string("Type 4 to remove 4 hosts").expect("the question");
    session.send_line("4").expect("typed");
    let (code, rest) = ended(&mut session);
    assert_eq!(code, 0, "{rest}");
    let run = status(&environment)["runs"][0].clone();
    let id = run["run"].as_str().expect("an id").to_owned();
    assert_eq!(run["alive"], true, "{run:#}");
    for words in [format!("safe-remove-{id}.log"), format!("safe-remove status {id} --watch")] {
        assert!(rest.contains(&words), "{words}: {rest}");
    }
    drop(session);
    // Nobody can be asked between its batches, so it waits for `continue`.
    let begun = Instant::now();
    while !status(&environment)["runs"][0]["asks"].is_object() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:#}", status(&environment));
        std::thread::sleep(Duration::from_millis(200));
    }
    environment.run(&["continue", &id]).exits(0);
    let watched = environment.run(&["status", &id, "--watch", "-o", "json"]).exits(0).json();
    assert_eq!(watched["ended"]["outcome"], "completed", "{watched:#}");
    let mut log = String::new();
    let path = environment.path().join(format!("safe-remove-{id}.log"));
    std::fs::File::open(path).expect("a log").read_to_string(&mut log).expect("text");
    for words in ["baking", &format!("safe-remove continue {id}"), "4 of 4 hosts are gone"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(!log.contains('\u{1b}'), "a log is plain text: {log:?}");
    assert_eq!(capacity(&environment, "index"), 14);
}

#[test]
fn a_detached_run_that_is_not_confirmed_or_refused_ends_like_any_other() {
    let environment = fleet("6s");
    let refused =
        environment.run(&["--subsystem", "index", "--count", "17", "--yes", "--detach", "-o", "json"]).exits(3);
    assert_eq!(refused.json()["verdict"], "refused");
    environment.run(&["--subsystem", "index", "--count", "2", "--detach"]).exits(6);
}

#[test]
fn status_watch_of_one_run_ends_with_its_exit_code_and_check_says_whether_anything_is_under_way() {
    let environment = fleet("60s");
    environment.run(&["ledger", "init"]).exits(0);
    environment.run(&["status", "--check"]).exits(0);
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    wait_until(&mut child, "the cordon", || cordoned(environment.path()) == 2);
    environment.run(&["status", "--check"]).exits(1);
    let run = status(&environment)["runs"][0].clone();
    assert_eq!((&run["batch"]["number"], &run["batch"]["of"]), (&1.into(), &1.into()), "{run:#}");
    let id = run["run"].as_str().expect("an id").to_owned();
    // Of all runs too: it has shown only this one.
    let watches = [&["status", &id, "--watch"][..], &["status", "--watch"], &["status", "--watch", "-o", "json"]]
        .map(|arguments| environment.command(arguments).spawn().expect("it starts"));
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, "-TERM");
    let [watched, of_all, document] =
        watches.map(|watch| ran(&["status"], watch.wait_with_output().expect("it ends")).exits(9));
    assert!(of_all.stdout.contains("halted: 0 of 2 hosts are gone"), "{}", of_all.stdout);
    assert_eq!(document.json()["ended"]["exit_code"], 9, "{}", document.stdout);
    signal_until_it_ends(&mut child, "-TERM");
    ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(9);
    assert!(watched.stdout.contains("halted: 0 of 2 hosts are gone"), "{}", watched.stdout);
    environment.run(&["status", "--check"]).exits(0);
    environment.run(&["status", "--watch"]).exits(0);
}

/// Nobody puts back what it has out: whoever watched it must know.
#[test]
fn s7_a_watch_of_a_run_whose_process_dies_calls_a_person() {
    let environment = fleet("20s");
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    wait_until(&mut child, "the cordon", || cordoned(environment.path()) == 2);
    let id = status(&environment)["runs"][0]["run"].as_str().expect("an id").to_owned();
    let watch = environment.command(&["status", "--watch"]).spawn().expect("it starts");
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, "-KILL");
    child.wait().expect("it is gone");
    let watched = ran(&["status"], watch.wait_with_output().expect("it ends")).exits(8);
    assert!(watched.stdout.contains("DEAD") && watched.stdout.contains("abandon"), "{}", watched.stdout);
    environment.run(&["status", &id, "--watch"]).exits(8);
    environment.run(&["abandon", &id]).exits(0);
    environment.run(&["status", &id, "--watch"]).exits(9);
}

/// The probe would hang for two minutes. It is asked while hosts are put back, and what it keeps waiting is only its own
/// reading: the restore that the provider refuses twice is repeated meanwhile.
#[test]
fn s7_a_probe_that_hangs_does_not_keep_hosts_from_being_put_back() {
    let environment = TestEnvironment::new();
    let events = "[[faults]]\ncall = \"restore\"\nnth = 1\nerror = \"throttled\"\n\
                  [[faults]]\ncall = \"restore\"\nnth = 2\nerror = \"throttled\"\n";
    Fleet { clock: "1", index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write_quick(&environment);
    let directory = environment.path().to_owned();
    let hangs = directory.join("hangs");
    let script = format!("#!/bin/sh\n[ -e '{}' ] && exec sleep 120\nexit 0\n", hangs.display());
    environment.write("policies/look", &script);
    set_mode(&directory.join("policies/look"), 0o755);
    let probe =
        "[[health.probe]]\nname = \"look\"\nkind = \"exec\"\ncommand = [\"./look\"]\ntimeout = \"120s\"\n[confirm]";
    environment.replace("policies/index.toml", "[confirm]", probe);
    environment.replace("policies/index.toml", "bake = \"6s\"", "bake = \"60s\"");

    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    std::fs::write(&hangs, "").expect("written");
    signal(&child, "-INT");
    let begun = Instant::now();
    wait_until(&mut child, "the restore", || cordoned(&directory) == 0);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(30), "put back after {took:?}");
    // It reads on to see whether the readings recover, and the probe hangs still.
    signal_until_it_ends(&mut child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}: {said}", begun.elapsed());
    assert!(said.contains("no answer within 2s"), "{said}");
    std::fs::remove_file(&hangs).expect("it was there");
    assert_eq!(capacity(&environment, "index"), 18);
}
