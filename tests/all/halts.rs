//! `halt` and `unhalt`, as the operators on both sides of it see them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rexpect::session::spawn_command;
use serde_json::Value;

use crate::environment::{Ran, TestEnvironment, set_mode, words};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned, signal, wait_until};

const REMOVE: [&str; 4] = ["--subsystem", "index", "--yes", "--output=json"];

/// Far above what a loaded machine takes.
const TIMEOUT_MS: u64 = 30_000;

/// A fleet whose clock is twenty times as fast as ours: a bake takes three seconds, an interval six.
fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { clock: "20", index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment
}

fn begun(environment: &TestEnvironment, count: &str) -> Child {
    environment.command(&[&REMOVE[..], &["--count", count]].concat()).spawn().expect("it starts")
}

fn halt(environment: &TestEnvironment, more: &[&str]) -> Ran {
    environment.run(&[&["halt", "--reason", "smoke in zone b"], more].concat())
}

/// The run ended with this code; its document.
#[track_caller]
fn ended(child: Child, code: i32) -> Value {
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{}\n{stderr}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).expect("a document")
}

fn len(value: &Value) -> usize {
    value.as_array().expect("an array").len()
}

#[test]
fn s6_a_halt_in_the_bake_puts_everything_back_and_nothing_starts_until_it_is_lifted() {
    // Named; watched only, since placement needs index; the whole fleet.
    for scope in [&["--subsystem", "index"][..], &["--subsystem", "placement"], &[]] {
        let environment = fleet();
        let mut child = begun(&environment, "4");
        let directory = environment.path().to_owned();
        wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
        let halted = halt(&environment, &[scope, &["-o", "json"]].concat()).exits(0).json();
        assert_eq!((&halted["schema"], &halted["command"]), (&"safe-remove/result/v1".into(), &"halt".into()));
        let result = &halted["result"];
        assert_eq!((len(&result["runs"]), len(&result["others"]), len(&result["already"])), (1, 0, 0), "{result:#}");
        assert_eq!((&result["runs"][0]["alive"], len(&result["runs"][0]["holds"])), (&true.into(), 2), "{result:#}");
        assert!(result["runs"][0]["calls"].is_array());
        assert_eq!(result["runs"][0]["sampling"], "10s");

        let run = ended(child, 9);
        assert_eq!((&run["outcome"], &run["cause"]["kind"]), (&"halted".into(), &"rule".into()));
        assert_eq!((&run["cause"]["rule"], len(&run["restored"])), (&"halted".into(), 2), "{run:#}");
        assert!(run["cause"]["message"].as_str().is_some_and(|m| m.contains("smoke in zone b") && m.contains('@')));
        assert_eq!((cordoned(&directory), capacity(&environment, "index")), (0, 18), "{scope:?}");

        let refused = environment.run(&[&REMOVE[..], &["--count", "2"]].concat()).exits(3);
        let rules = refused.json()["violations"].as_array().expect("violations").clone();
        assert!(rules.iter().all(|v| v["rule"] == "halted") && !rules.is_empty(), "{rules:?}");
        for word in ["smoke in zone b", "@", "safe-remove unhalt"] {
            assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
        }
        let lifted = environment.run(&[&["unhalt", "--reason", "it was toast", "-o", "json"], scope].concat()).exits(0);
        assert_eq!(lifted.json()["result"]["lifted"][0]["reason"], "smoke in zone b");
        environment.run(&[&REMOVE[..], &["--count", "2"]].concat()).exits(0);
        assert_eq!(capacity(&environment, "index"), 16);
    }
}

#[test]
fn s6_a_halt_of_an_unrelated_subsystem_stops_nobody() {
    let environment = fleet();
    let mut child = begun(&environment, "2");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    let halted = halt(&environment, &["--subsystem", "billing", "-o", "json"]).exits(0).json();
    assert_eq!((len(&halted["result"]["runs"]), len(&halted["result"]["others"])), (0, 1), "{halted:#}");
    assert_eq!(ended(child, 0)["outcome"], "completed");
    environment.run(&["--subsystem", "billing", "--count", "1", "--yes"]).exits(3);
}

#[test]
fn s6_a_halt_in_the_interval_leaves_what_is_gone_and_takes_no_more() {
    let environment = fleet();
    let mut child = begun(&environment, "4");
    wait_until(&mut child, "the interval", || {
        let status = environment.run(&["status", "-o", "json"]).exits(0).json();
        status["runs"][0]["state"].as_str().is_some_and(|state| state.starts_with("waiting"))
    });
    halt(&environment, &[]).exits(0);
    let run = ended(child, 9);
    assert_eq!((len(&run["terminated"]), len(&run["restored"])), (2, 0), "{run:#}");
    assert_eq!(run["batches"][1]["state"], "not-started");
    assert_eq!(capacity(&environment, "index"), 16);
}

/// Before its first batch nothing is granted: there is no run to report, and nothing to put back.
#[test]
fn s6_a_halt_ends_a_wait_for_a_budget() {
    let environment = TestEnvironment::new();
    let budgets = "[{ hosts = 2, per = \"30m\" }]";
    Fleet { clock: "20", index_minimum: 12, budgets, ..Fleet::default() }.write(&environment);
    environment.run(&[&REMOVE[..], &["--count", "2"]].concat()).exits(0);
    let mut child = begun(&environment, "2");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("waiting"))), "it waits");
    halt(&environment, &["--subsystem", "index"]).exits(0);
    let told: Vec<String> = lines.map_while(Result::ok).collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(9), "{told:?}");
    let error: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!((&error["schema"], &error["exit_code"]), (&"safe-remove/error/v1".into(), &9.into()));
    assert!(error["causes"][0].as_str().is_some_and(|cause| cause.contains("smoke in zone b")), "{error:#}");
    assert_eq!(capacity(&environment, "index"), 16);
}

/// What was confirmed after the order was given never starts.
#[test]
fn s6_a_halt_at_the_prompt_refuses_what_is_then_confirmed() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let remove = ["--subsystem", "index", "--count", "3"];
    let mut session = spawn_command(environment.interactive(&remove), Some(TIMEOUT_MS)).expect("it starts");
    session.exp_string("Type 3 to remove 3 hosts").expect("the question");
    halt(&environment, &[]).exits(0);
    session.send_line("3").expect("typed");
    let rest = session.exp_eof().expect("it ends");
    let status = session.process().wait().expect("it ends");
    assert!(matches!(status, rexpect::process::WaitStatus::Exited(_, 3)), "{status:?}: {rest}");
    assert!(rest.contains("smoke in zone b") && rest.contains("nothing was touched"), "{rest}");
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 18));
}

#[test]
fn s6_a_second_halt_says_who_halted_first() {
    let environment = fleet();
    halt(&environment, &[]).exits(0);
    let second = environment.run(&["halt", "--reason", "me too"]).exits(0);
    assert!(second.stdout.contains("smoke in zone b") && second.stdout.contains("me too"), "{}", second.stdout);
    let again = halt(&environment, &["-o", "json"]).exits(0).json();
    let already = again["result"]["already"].as_array().expect("orders").clone();
    let reasons: Vec<&str> = already.iter().filter_map(|order| order["reason"].as_str()).collect();
    assert_eq!(reasons, ["smoke in zone b", "me too"], "the same order is in force once");
    assert_eq!(again["result"]["at"], already[0]["at"]);

    let lifted = environment.run(&["unhalt", "--reason", "toast", "-o", "json"]).exits(0).json();
    assert_eq!((len(&lifted["result"]["lifted"]), len(&lifted["result"]["halts"])), (2, 0), "{lifted:#}");
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    let orders: Vec<(&str, &str)> = history["halts"]
        .as_array()
        .expect("orders")
        .iter()
        .map(|order| (order["command"].as_str().expect("a text"), order["reason"].as_str().expect("a text")))
        .collect();
    let mut sorted = orders.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [("halt", "me too"), ("halt", "smoke in zone b"), ("unhalt", "toast")], "{orders:?}");
    let text = environment.run(&["history"]).exits(0).stdout;
    assert!(text.contains("toast") && text.contains("the whole fleet"), "{text}");
}

#[test]
fn unhalt_of_nothing_says_what_is_in_force() {
    let environment = fleet();
    let nothing = environment.run(&["unhalt", "--reason", "x"]).exits(0);
    assert!(nothing.stdout.contains("no stop order is in force"), "{}", nothing.stdout);
    assert!(!environment.path().join("state/ledger.db").exists(), "no ledger was made");
    // Without a terminal a reason is asked for only where there is something to lift.
    environment.run(&["unhalt"]).exits(0);
    halt(&environment, &["--subsystem", "billing"]).exits(0);
    for other in [&["unhalt", "--reason", "x"][..], &["unhalt", "--subsystem", "index", "--reason", "x"]] {
        let refused = words(&environment.run(other).exits(3).stderr);
        for word in ["billing is halted", "smoke in zone b", "unhalt --subsystem billing"] {
            assert!(refused.contains(word), "{word}: {refused}");
        }
    }
    let status = environment.run(&["status"]).exits(0).stdout;
    assert!(status.contains("to lift billing: safe-remove unhalt --subsystem billing --reason TEXT"), "{status}");
    environment.run(&["unhalt", "--subsystem", "billing"]).exits(2);
    environment.run(&["unhalt", "--subsystem", "billing", "--reason", "toast"]).exits(0);
}

#[test]
fn unhalt_shows_who_halted_and_asks_why_it_may_go_on() {
    let environment = fleet();
    halt(&environment, &[]).exits(0);
    for (typed, code) in [("", 6), ("it was toast", 0)] {
        let mut session = spawn_command(environment.interactive(&["unhalt"]), Some(TIMEOUT_MS)).expect("it starts");
        let shown = session.exp_string("Type why it may go on").expect("the question");
        assert!(shown.contains("smoke in zone b") && shown.contains('@'), "{shown}");
        session.send_line(typed).expect("typed");
        let rest = session.exp_eof().expect("it ends");
        let status = session.process().wait().expect("it ends");
        assert!(
            matches!(status, rexpect::process::WaitStatus::Exited(_, found) if found == code),
            "{status:?}: {rest}"
        );
    }
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    assert_eq!(history["halts"][0]["reason"], "it was toast");
}

/// A name that nobody has would stop nothing, and look as if it had.
#[test]
fn s6_a_halt_of_an_unknown_subsystem_halts_nothing_and_names_the_nearest() {
    let environment = fleet();
    let refused = halt(&environment, &["--subsystem", "indx"]).exits(3);
    assert!(refused.stderr.contains("index") && refused.stderr.contains("whole fleet"), "{}", refused.stderr);
    assert!(!environment.path().join("state/ledger.db").exists(), "no ledger was made");
}

/// What somebody does to a policy directory.
type Breakage = fn(&Path);

/// Whatever else is wrong, it must be possible to stop.
#[test]
fn s6_a_halt_needs_no_fleet_and_no_policy_that_holds() {
    let breakages: [(&str, Breakage); 6] = [
        ("a policy is not TOML", |policies| write(&policies.join("index.toml"), "name = index = 3")),
        ("a policy is gone", |policies| std::fs::remove_file(policies.join("index.toml")).expect("removed")),
        ("anybody may write fleet.toml", |policies| set_mode(&policies.join("fleet.toml"), 0o666)),
        ("the provider cannot be understood", |policies| {
            edit(&policies.join("fleet.toml"), "kind = \"simulated\"", "kind = \"azure\"");
        }),
        ("fleet.toml is not TOML", |policies| edit(&policies.join("fleet.toml"), "scenario = ", "scenario = = ")),
        ("the fleet's state is damaged", |policies| write(&policies.join("../state/fleet.json"), "{")),
    ];
    for (what, breaks) in breakages {
        let environment = fleet();
        let mut child = begun(&environment, "2");
        let directory = environment.path().to_owned();
        wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
        breaks(&environment.path().join("policies"));
        let halted = halt(&environment, &["--subsystem", "index", "-o", "json"]).exits(0).json();
        assert_eq!(len(&halted["result"]["runs"]), 1, "{what}: {halted:#}");
        if what.contains("state") {
            signal(&child, "-KILL");
            child.wait().expect("it is dead");
            continue;
        }
        assert_eq!(len(&ended(child, 9)["restored"]), 2, "{what}");
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("readable");
    assert!(text.contains(from), "{text}");
    write(path, &text.replace(from, to));
}

#[test]
fn s6_a_halt_needs_no_credentials() {
    let environment = fleet();
    let fleet = environment.path().join("policies/fleet.toml");
    let text = std::fs::read_to_string(&fleet).expect("readable");
    let (before, after) = (text.find("[provider]").expect("there"), text.find("[ledger]").expect("there"));
    let aws = "[provider]\nkind = \"aws\"\nregion = \"us-east-1\"\naccount = \"123456789012\"\n";
    write(&fleet, &format!("{}{aws}{}", &text[..before], &text[after..]));
    std::fs::remove_file(environment.path().join("policies/scenario.toml")).expect("removed");
    let halted = halt(&environment, &["-o", "json"]).exits(0).json();
    assert_eq!(halted["result"]["provider"]["account"], "123456789012");
    environment.run(&["unhalt", "--reason", "toast"]).exits(0);
}

/// Nobody may have meant this place: with policies that are not valid, a halt makes no ledger.
#[test]
fn s6_a_halt_that_cannot_be_written_says_that_nothing_is_halted() {
    let environment = fleet();
    write(&environment.path().join("policies/index.toml"), "");
    halt(&environment, &[]).exits(4);
    assert!(!environment.path().join("state").exists(), "nothing was made");
    let environment = TestEnvironment::new();
    halt(&environment, &[]).exits(4);

    let environment = fleet();
    environment.write("state/ledger.db", "not a ledger");
    let failed = halt(&environment, &["-o", "json"]).exits(10);
    assert_eq!(failed.json()["message"], "nothing is halted: the ledger cannot be used");
    assert!(failed.stderr.contains("SIGTERM"), "{}", failed.stderr);
}

/// A `halt` that is killed anywhere leaves a ledger that goes on, with the order in force or without.
#[test]
fn s6_a_halt_that_is_killed_loses_nothing() {
    let environment = fleet();
    halt(&environment, &["--subsystem", "billing"]).exits(0);
    for millis in [1, 3, 5, 7, 9, 12, 15, 20, 25, 30] {
        let mut child = environment.command(&["halt", "--reason", "killed"]).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().expect("killed or ended");
        child.wait().expect("it is dead");
        let status = environment.run(&["status", "-o", "json"]).exits(0).json();
        let orders = status["halts"].as_array().expect("orders").clone();
        assert_eq!(orders[0]["subsystem"], "billing");
        assert!(orders.len() <= 2 && orders.iter().skip(1).all(|order| order["reason"] == "killed"), "{orders:?}");
    }
    halt(&environment, &[]).exits(0);
    environment.run(&[&REMOVE[..], &["--count", "2"]].concat()).exits(3);
    environment.run(&["unhalt", "--reason", "toast"]).exits(0);
}

/// The process of the run is dead: the answer names what it holds, and what it may have sent.
#[test]
fn s6_a_halt_tells_of_dead_runs() {
    let environment = fleet();
    let mut child = begun(&environment, "2");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    signal(&child, "-KILL");
    child.wait().expect("it is dead");
    let halted = halt(&environment, &[]).exits(0);
    assert!(halted.stdout.contains("DEAD") && halted.stdout.contains("index-0001"), "{}", halted.stdout);
}

/// Thirty halts of thirty processes at once: every one is in force afterwards.
#[test]
fn s6_halts_of_many_processes_are_all_in_force() {
    let environment = fleet();
    let start = |n: usize| {
        let mut command: Command = environment.command(&["halt", "--reason", &format!("reason {n}")]);
        command.spawn().expect("it starts")
    };
    let children: Vec<Child> = (0..30).map(start).collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(len(&status["halts"]), 30);
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    assert_eq!(len(&history["halts"]), 30);
}
