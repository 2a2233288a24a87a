//! Removals on the simulated fleet, told as stories: what an operator does, and what must be seen.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::environment::{Ran, TestEnvironment};
use crate::fleets::Fleet;
use crate::support::engines::{Engine, on_each_engine};

const REMOVE: [&str; 4] = ["--subsystem", "index", "--yes", "--output=json"];

fn remove(environment: &TestEnvironment, count: &str, more: &[&str]) -> Ran {
    environment.run(&[&REMOVE[..], &["--count", count], more].concat())
}

/// Capacity that a plan finds, per subsystem.
pub(crate) fn capacity(environment: &TestEnvironment, subsystem: &str) -> u64 {
    let plan = environment.run(&["plan", "--subsystem", subsystem, "--count", "1", "-o", "json"]).json();
    plan["subsystems"]
        .as_array()
        .expect("subsystems")
        .iter()
        .find(|s| s["name"] == subsystem)
        .unwrap_or_else(|| panic!("{subsystem} is not in {plan}"))["capacity"]
        .as_u64()
        .expect("a number")
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().expect("an array").iter().map(|v| v.as_str().expect("a text")).collect()
}

/// Waits until the check holds; the child must not end before.
pub(crate) fn wait_until(child: &mut Child, what: &str, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        if let Some(status) = child.try_wait().expect("a child") {
            panic!("it ended with {status} before {what}");
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} was not seen in a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Hosts that the simulated fleet has out of service.
pub(crate) fn cordoned(directory: &Path) -> usize {
    std::fs::read_to_string(directory.join("state/fleet.json")).map_or(0, |text| text.matches("cordoned\"").count())
}

pub(crate) fn signal(child: &Child, signal: &str) {
    let status = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    assert!(status.success());
}

/// Signals a run until it has ended. The first signal stops it; those that come while it restores change nothing; the first
/// one behind that ends its reading on.
pub(crate) fn signal_until_it_ends(child: &mut Child, name: &str) {
    let begun = std::time::Instant::now();
    while child.try_wait().expect("a child").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(90), "it does not end");
        signal(child, name);
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_removal_goes_in_batches_to_a_verified_end() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let run = remove(&environment, "6", &["--reason", "decommission"]).exits(0).json();
    assert_eq!(run["schema"], "safe-remove/run/v1");
    assert_eq!(run["outcome"], "completed");
    assert_eq!(run["batches"].as_array().expect("batches").len(), 3);
    assert_eq!(run["terminated"].as_array().expect("hosts").len(), 6);
    assert_eq!(capacity(&environment, "index"), 12);
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    assert_eq!(history["runs"][0]["run"], run["run"]);
}

/// s3-2017: billing alone could spare twenty; the subsystems that share its hosts could not.
#[test]
fn s1_s3_2017_a_count_that_billing_could_spare_is_refused_for_index_and_placement() {
    let environment = TestEnvironment::new();
    Fleet::default().write(&environment);
    let refused = environment.run(&["--subsystem", "billing", "--count", "20", "--yes", "-o", "json"]).exits(3);
    let plan = refused.json();
    assert_eq!(plan["verdict"], "refused");
    assert_eq!(plan["largest_allowed_count"], 15);
    let named: Vec<&str> =
        plan["violations"].as_array().expect("violations").iter().filter_map(|v| v["subsystem"].as_str()).collect();
    assert!(named.contains(&"index") && named.contains(&"placement") && !named.contains(&"billing"), "{plan:#}");
    for word in ["index", "placement", "16", "11", "15"] {
        assert!(refused.stderr.contains(word), "the message names {word}:\n{}", refused.stderr);
    }
    assert_eq!(capacity(&environment, "billing"), 24, "nothing was touched");

    let run = environment.run(&["--subsystem", "billing", "--count", "15", "--yes", "-o", "json"]).exits(0).json();
    assert_eq!(run["terminated"].as_array().expect("hosts").len(), 15);
    assert_eq!((capacity(&environment, "index"), capacity(&environment, "placement")), (16, 11));
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(3);
}

#[test]
fn s7_a_regression_in_the_second_bake_keeps_batch_one_and_restores_batch_two() {
    let environment = TestEnvironment::new();
    // Demand grows eightfold in the second bake: 18 hosts of 10 bore 60, 14 do not bear 480.
    let events = r#"[[events]]
at = "230s"
demand = { subsystem = "index", factor = 8.0 }
"#;
    Fleet { index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write(&environment);
    let run = remove(&environment, "6", &[]).exits(7).json();
    assert_eq!(run["outcome"], "aborted");
    assert_eq!(run["cause"]["kind"], "probe");
    let states: Vec<&str> =
        run["batches"].as_array().expect("batches").iter().map(|b| b["state"].as_str().expect("a text")).collect();
    assert_eq!(states, ["terminated", "restored", "not-started"], "{run:#}");
    assert_eq!(run["batches"][0]["hosts"], run["terminated"]);
    assert_eq!(run["batches"][1]["hosts"], run["restored"]);
    assert_eq!(run["in_doubt"], Value::Array(Vec::new()));
    assert_eq!(cordoned(environment.path()), 0);
    let history = environment.run(&["history"]).exits(0);
    assert!(history.stdout.contains("aborted"), "{}", history.stdout);
    let slip = environment.run(&["history", "--subsystem", "indx"]).exits(3);
    assert!(slip.stderr.contains("did you mean index?"), "{}", slip.stderr);
}

#[test]
fn s4_repeating_the_command_ends_exactly_at_the_minimum() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 11, ..Fleet::default() }.write(&environment);
    let mut calls = 0;
    let last = loop {
        let ran = remove(&environment, "2", &[]);
        calls += 1;
        assert!(calls < 20, "it never refuses");
        if ran.code != Some(0) {
            break ran;
        }
    };
    last.exits(3);
    remove(&environment, "1", &[]).exits(0);
    remove(&environment, "1", &[]).exits(3);
    assert_eq!(capacity(&environment, "index"), 11);
}

#[test]
fn s4_repeating_the_command_ends_exactly_at_the_budget() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 6, budgets: r#"[{ hosts = 5, per = "24h" }]"#, ..Fleet::default() }.write(&environment);
    remove(&environment, "2", &["--no-wait"]).exits(0);
    // Intervals are waited, budgets are not.
    remove(&environment, "2", &[]).exits(0);
    let deferred = remove(&environment, "2", &["--no-wait"]).exits(11);
    assert!(deferred.json()["not_before"].is_string(), "{}", deferred.stdout);
    remove(&environment, "2", &[]).exits(11);
    remove(&environment, "1", &[]).exits(0);
    assert_eq!(capacity(&environment, "index"), 13);
    remove(&environment, "6", &[]).exits(3);
}

on_each_engine!(s4_no_wait_declines_budgets_not_intervals);

/// Another run's batch came just before: that is an interval, and intervals are always waited.
fn s4_no_wait_declines_budgets_not_intervals(engine: Engine) {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 10, budgets: "[{ hosts = 4, per = \"24h\" }]", ..Fleet::default() }.write(&environment);
    engine.keeps_the_ledger_of(&mut environment);
    let first = remove(&environment, "2", &["--no-wait"]).exits(0).json();
    let second = remove(&environment, "2", &["--no-wait"]).exits(0).json();
    let time = |value: &Value| value.as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    let (gone, next) = (time(&first["batches"][0]["terminated_at"]), time(&second["batches"][0]["cordoned_at"]));
    assert!(next.duration_since(gone).as_secs() >= 120, "only {} between the batches", next.duration_since(gone));
    // It waited for that, and has ended: nobody has to look at it any more.
    assert!(!second["warnings"].to_string().contains("waits until"), "{}", second["warnings"]);
    // The budget is spent now.
    let declined = remove(&environment, "2", &["--no-wait"]).exits(11);
    assert!(
        declined.stderr.contains("asks to wait until") && declined.stderr.contains("(23h "),
        "how long it would have been: {}",
        declined.stderr
    );
    remove(&environment, "2", &["--max-wait", "1h"]).exits(11);
    assert_eq!(capacity(&environment, "index"), 14);
}

#[test]
fn s9_the_same_request_id_removes_once() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let first = remove(&environment, "2", &["--request-id", "job-41"]).exits(0).json();
    let second = remove(&environment, "2", &["--request-id", "job-41"]).exits(0).json();
    assert_eq!(first, second);
    assert_eq!(capacity(&environment, "index"), 16);
    let other = remove(&environment, "3", &["--request-id", "job-41"]).exits(3);
    assert!(other.stderr.contains("job-41"), "{}", other.stderr);
    assert_eq!(capacity(&environment, "index"), 16);
}

/// How many hosts the fleet itself has in service, whatever the ledger says; all of them before its first look.
fn in_service(environment: &TestEnvironment) -> usize {
    let Ok(text) = std::fs::read_to_string(environment.path().join("state/fleet.json")) else { return EVERY_HOST };
    let fleet: Value = serde_json::from_str(&text).expect("a fleet");
    fleet["hosts"].as_object().expect("hosts").values().filter(|host| host["state"] == "in-service").count()
}

const EVERY_HOST: usize = 42;

/// With headroom for one of them the other loses a race; with headroom for both it waits for its turn.
#[test]
fn s1_two_processes_with_headroom_for_one() {
    for (minimum, expected) in [(16, [Some(0), Some(10)]), (14, [Some(0), Some(0)])] {
        let environment = TestEnvironment::new();
        Fleet { clock: "60", index_minimum: minimum, ..Fleet::default() }.write(&environment);
        let start = || environment.command(&[&REMOVE[..], &["--count", "2"]].concat()).spawn().expect("it starts");
        let both = [start(), start()];
        let mut codes = both.map(|child| child.wait_with_output().expect("it ends").status.code());
        codes.sort();
        assert_eq!((codes, in_service(&environment)), (expected, EVERY_HOST - 18 + minimum as usize));
        assert_eq!(capacity(&environment, "index"), minimum);
    }
}

#[test]
fn s1_a_killed_run_still_holds_its_hosts_and_status_names_it() {
    let environment = TestEnvironment::new();
    Fleet { clock: "20", index_minimum: 15, ..Fleet::default() }.write(&environment);
    let mut child = environment.command(&[&REMOVE[..], &["--count", "2"]].concat()).spawn().expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    signal(&child, "-KILL");
    child.wait().expect("it is dead");

    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    let run = &status["runs"][0];
    assert_eq!(run["alive"], false);
    assert_eq!(run["holds"].as_array().expect("holds").len(), 2, "{status:#}");
    let id = run["run"].as_str().expect("an id");
    assert_eq!(run["next_command"], format!("safe-remove abandon {id}"));
    assert_eq!(
        (cordoned(&directory), in_service(&environment), capacity(&environment, "index")),
        (2, EVERY_HOST - 2, 16)
    );
    // It is dead: nobody waits for it, and it is named with what ends it.
    let refused = remove(&environment, "1", &[]).exits(3);
    assert!(refused.stdout.contains("run-in-the-way") && refused.stderr.contains(id), "{}", refused.stderr);
    assert_eq!(in_service(&environment), EVERY_HOST - 2);
    let text = environment.run(&["status"]).exits(0);
    for host in
        strings(&Value::Array(run["holds"].as_array().expect("holds").iter().map(|h| h["host"].clone()).collect()))
    {
        assert!(text.stdout.contains(host), "{}", text.stdout);
    }
}

#[test]
fn s6_a_signal_restores_and_ends_with_9() {
    for name in ["-INT", "-TERM", "-HUP", "-QUIT"] {
        let environment = TestEnvironment::new();
        Fleet { clock: "20", index_minimum: 12, ..Fleet::default() }.write(&environment);
        let mut child = environment.command(&[&REMOVE[..], &["--count", "4"]].concat()).spawn().expect("it starts");
        let directory = environment.path().to_owned();
        wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(9), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let run: Value = serde_json::from_slice(&output.stdout).expect("a document");
        assert_eq!(run["outcome"], "halted");
        assert_eq!(cordoned(&directory), 0, "{name}");
        assert_eq!(capacity(&environment, "index"), 18, "{name}");
    }
}

#[test]
fn s7_a_closed_stdout_does_not_leave_hosts_cordoned() {
    let environment = TestEnvironment::new();
    Fleet { clock: "20", index_minimum: 12, ..Fleet::default() }.write(&environment);
    let arguments = ["--subsystem", "index", "--yes", "--count", "4", "-o", "ndjson"];
    let mut child = environment.command(&arguments).spawn().expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(cordoned(&directory), 0);
    assert_eq!(capacity(&environment, "index"), 18);
}

#[test]
fn s8_nothing_runs_unattended_without_yes() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let ran = environment.run(&["--subsystem", "index", "--count", "2", "-o", "json"]).exits(6);
    assert_eq!(ran.json()["schema"], "safe-remove/plan/v1");
    assert_eq!(capacity(&environment, "index"), 18);
}

#[test]
fn plan_and_dry_run_touch_nothing() {
    let environment = TestEnvironment::new();
    Fleet::default().write(&environment);
    let plan = environment.run(&["plan", "--subsystem", "index", "--count", "2", "-o", "json"]).exits(0).json();
    let dry = environment.run(&["--subsystem", "index", "--count", "2", "--dry-run", "-o", "json"]).exits(0).json();
    assert_eq!(plan["verdict"], "allowed");
    assert_eq!(plan["plan"], dry["plan"], "the same input gives the same plan");
    assert!(!environment.path().join("state/ledger.db").exists(), "no ledger was made");
}

/// slack-2021: nothing is removed from a system in trouble, however idle it looks.
#[test]
fn s3_slack_2021_a_bad_probe_refuses_before_anything_is_touched() {
    let environment = TestEnvironment::new();
    let events = "[[events]]\nat = \"0s\"\ndemand = { subsystem = \"index\", factor = 8.0 }\n";
    Fleet { index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write(&environment);
    let refused = remove(&environment, "2", &[]).exits(3).json();
    assert!(
        refused["violations"].as_array().expect("violations").iter().any(|v| v["rule"] == "unhealthy-now"),
        "{refused:#}"
    );
    assert_eq!(in_service(&environment), EVERY_HOST);
}

/// reddit-2016: an inventory that contradicts itself stops everything, and nothing is inferred from absence.
#[test]
fn s3_reddit_2016_a_partial_inventory_is_exit_5() {
    let environment = TestEnvironment::new();
    let faults = "[[faults]]\ncall = \"observe\"\nevery = 1\nerror = \"partial\"\n";
    Fleet { index_minimum: 12, events: faults.to_owned(), ..Fleet::default() }.write(&environment);
    let failed = remove(&environment, "2", &[]).exits(5).json();
    assert_eq!(failed["schema"], "safe-remove/error/v1");
    assert_eq!((&failed["exit_code"], in_service(&environment)), (&5.into(), EVERY_HOST));
    assert!(!environment.path().join("state/ledger.db").exists(), "no ledger was made");
}

/// seoul-dns-2018: a minimum that became weaker is refused until somebody accepts it by name.
#[test]
fn s3_seoul_dns_2018_a_loosened_policy_is_refused() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 16, ..Fleet::default() }.write(&environment);
    remove(&environment, "1", &[]).exits(0);
    Fleet { index_minimum: 4, ..Fleet::default() }.write(&environment);
    let refused = remove(&environment, "4", &[]).exits(3).json();
    assert!(
        refused["violations"].as_array().expect("violations").iter().any(|v| v["rule"] == "policy-loosened"),
        "{refused:#}"
    );
    // Weaker elsewhere is as good as weaker here: index's own policy is as it was.
    Fleet { index_minimum: 16, ..Fleet::default() }.write(&environment);
    environment.run(&["plan", "--subsystem", "index", "--count", "1"]).exits(0);
    std::fs::remove_file(environment.path().join("policies/placement.toml")).expect("a file");
    let refused = remove(&environment, "1", &[]).exits(3);
    assert!(refused.stdout.contains("policy-loosened") && refused.stderr.contains("placement"), "{}", refused.stderr);
    assert_eq!(in_service(&environment), EVERY_HOST - 1);
}

#[test]
fn s9_calls_that_fail_or_lose_their_reply_still_end_well() {
    for (call, error) in [
        ("cordon", "throttled"),
        ("cordon", "internal"),
        ("cordon", "timeout"),
        ("cordon", "lost-reply"),
        ("terminate", "throttled"),
        ("terminate", "internal"),
        ("terminate", "timeout"),
        ("terminate", "lost-reply"),
        ("observe", "throttled"),
        ("adopt", "throttled"),
        ("adopt", "timeout"),
        ("adopt", "lost-reply"),
    ] {
        let environment = TestEnvironment::new();
        let nth = match call {
            "observe" => 5,
            "adopt" => 1,
            _ => 2,
        };
        let faults = format!("[[faults]]\ncall = \"{call}\"\nnth = {nth}\nerror = \"{error}\"\n");
        Fleet { index_minimum: 12, events: faults, ..Fleet::default() }.write(&environment);
        let run = remove(&environment, "4", &[]).exits(0).json();
        assert_eq!(run["terminated"].as_array().expect("hosts").len(), 4, "{call} {error}");
        assert_eq!(capacity(&environment, "index"), 14, "{call} {error}");
    }
}

/// A retried pipeline job while the first one still runs.
#[test]
fn s9_a_second_call_with_the_request_id_waits_for_the_first() {
    let environment = TestEnvironment::new();
    Fleet { clock: "20", index_minimum: 12, ..Fleet::default() }.write(&environment);
    let arguments = [&REMOVE[..], &["--count", "2", "--request-id", "job-7"]].concat();
    let mut first = environment.command(&arguments).spawn().expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut first, "the cordon", || cordoned(&directory) == 2);
    let status = environment.run(&["status"]).exits(0);
    assert!(status.stdout.contains("alive") && status.stdout.contains("--watch"), "{}", status.stdout);
    let second = environment.run(&arguments).exits(0);
    assert!(second.stderr.contains("under way"), "{}", second.stderr);
    let output = first.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), second.stdout, "one run, one document");
    assert_eq!(capacity(&environment, "index"), 16);
}

#[test]
fn status_watches_until_nothing_is_under_way() {
    let environment = TestEnvironment::new();
    Fleet { clock: "20", index_minimum: 12, ..Fleet::default() }.write(&environment);
    let mut run = environment.command(&[&REMOVE[..], &["--count", "2"]].concat()).spawn().expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut run, "the cordon", || cordoned(&directory) == 2);
    let watched = environment.run(&["status", "--watch", "-o", "ndjson"]).exits(0);
    assert!(run.wait_with_output().expect("it ends").status.success());
    let documents: Vec<Value> =
        watched.stdout.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect();
    assert!(documents.len() >= 2, "{}", watched.stdout);
    assert!(documents.iter().all(|d| d["schema"] == "safe-remove/status/v1"));
    assert_eq!(documents[0]["runs"][0]["alive"], true);
    assert_eq!(documents[documents.len() - 1]["runs"], Value::Array(Vec::new()));
}

/// `nohup` asks for hang-ups to be ignored.
#[test]
fn s6_a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let environment = TestEnvironment::new();
    Fleet { clock: "20", index_minimum: 12, ..Fleet::default() }.write(&environment);
    let mut shell = std::process::Command::new("/bin/sh");
    let binary = env!("CARGO_BIN_EXE_safe-remove");
    shell.args(["-c", &format!("trap '' HUP; exec {binary} {} --count 2", REMOVE.join(" "))]);
    environment.isolate(&mut shell);
    let mut child = shell
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    signal(&child, "-HUP");
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
    assert_eq!(capacity(&environment, "index"), 16);
}
