//! Fifty operators press the button at the same moment, on each engine.

use std::collections::BTreeSet;
use std::process::Child;

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned};

const OPERATORS: usize = 50;

/// 18 units of index, 6 of them needed, and a budget of 9: neither headroom nor budget has room for all.
fn all_take_what_there_is_and_no_more(mut environment: TestEnvironment, ledger: &str) {
    Fleet { index_minimum: 6, budgets: "[{ hosts = 9, per = \"24h\" }]", ..Fleet::default() }.write(&environment);
    if !ledger.is_empty() {
        let fleet = std::fs::read_to_string(environment.path().join("policies/fleet.toml")).expect("a policy");
        let start = fleet.find("[ledger]").expect("a ledger");
        environment.write("policies/fleet.toml", &format!("{}[ledger]\n{ledger}\n", &fleet[..start]));
        environment.run(&["ledger", "init"]).exits(0);
    }
    environment.set("SAFE_REMOVE_LOG", "error");
    let remove = ["--subsystem", "index", "--count", "1", "--yes", "--no-wait", "--output=json"];
    let processes: Vec<Child> =
        (0..OPERATORS).map(|_| environment.command(&remove).spawn().expect("it starts")).collect();
    let mut done = 0;
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        let code = output.status.code();
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(code, Some(0 | 3 | 10 | 11)), "{code:?}: {}", said());
        done += usize::from(code == Some(0));
    }

    // The record, the journals and the fleet agree.
    assert!((1..=9).contains(&done), "{done} went through");
    assert_eq!(capacity(&environment, "index"), 18 - u64::try_from(done).expect("few"));
    assert_eq!(cordoned(environment.path()), 0);
    let status = environment.run(&["status", "--output=json"]).exits(0).json();
    assert_eq!(status["runs"].as_array().map(Vec::len), Some(0), "nothing is held any more: {status:#}");
    let history = environment.run(&["history", "--output=json"]).exits(0).json();
    let mut gone: Vec<&Value> = Vec::new();
    for run in history["runs"].as_array().expect("runs") {
        gone.extend(run["terminated"].as_array().expect("hosts"));
    }
    let once: BTreeSet<String> = gone.iter().map(ToString::to_string).collect();
    assert_eq!((gone.len(), once.len()), (done, done), "each host once: {history:#}");
}

#[test]
fn s4_fifty_processes_on_a_file() {
    all_take_what_there_is_and_no_more(TestEnvironment::new(), "");
}

#[cfg(feature = "etcd")]
#[test]
fn s4_fifty_processes_on_etcd() {
    let endpoints = &crate::support::etcd::shared().endpoints;
    let prefix = uuid::Uuid::new_v4();
    let ledger = format!("kind = \"etcd\"\nendpoints = {endpoints:?}\nprefix = \"/crowd-{prefix}\"");
    all_take_what_there_is_and_no_more(TestEnvironment::new(), &ledger);
}

#[cfg(feature = "dynamodb")]
#[test]
fn s4_fifty_processes_on_dynamodb() {
    let mut environment = TestEnvironment::new();
    for (name, value) in [
        ("AWS_ENDPOINT_URL", crate::support::dynamo::ministack().url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ] {
        environment.set(name, value);
    }
    let ledger = format!("kind = \"dynamodb\"\ntable = \"crowd-{}\"", uuid::Uuid::new_v4());
    all_take_what_there_is_and_no_more(environment, &ledger);
}
