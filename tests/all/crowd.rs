//! Fifty operators press the button at the same moment, and others who write all the time, on each engine.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::time::{Duration, Instant};

use safe_remove::model::Time;

use crate::environment::{TestEnvironment, moment};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned};
use crate::support::engines::{Engine, on_each_engine};

const OPERATORS: usize = 50;

on_each_engine!(
    s4_fifty_processes_at_once_with_a_budget_for_some,
    s9_fifty_processes_at_once_with_headroom_for_some,
    s4_a_run_gets_through_a_storm,
);

/// Headroom is not short: the budget has room for so many of them, and the others are told to wait, or lost a race for the
/// hosts that there are.
fn s4_fifty_processes_at_once_with_a_budget_for_some(engine: Engine) {
    for (room, budgets) in [(1, "[{ hosts = 1, per = \"24h\" }]"), (3, "[{ hosts = 3, per = \"24h\" }]")] {
        let fleet = Fleet { clock: "1", index_minimum: 6, budgets, ..Fleet::default() };
        crowd(engine, &fleet, room, &[10, 11]);
    }
}

/// The minimum leaves room for so many of them, and the others lost a race.
fn s9_fifty_processes_at_once_with_headroom_for_some(engine: Engine) {
    for room in [2, 4] {
        let fleet = Fleet { clock: "1", index_minimum: 18 - room, ..Fleet::default() };
        crowd(engine, &fleet, room, &[10]);
    }
}

/// Fifty want one host each, nobody says which. Exactly so many get one, all others one of these codes.
fn crowd(engine: Engine, fleet: &Fleet, room: u64, others: &[i32]) {
    let mut environment = TestEnvironment::new();
    fleet.write_quick(&environment);
    engine.keeps_the_ledger_of(&mut environment);
    bears_a_crowd(&environment);
    environment.set("SAFE_REMOVE_LOG", "error");
    // The fleet and its clock begin before them.
    environment.run(&["plan", "--subsystem", "index", "--count", "1"]).exits(0);
    let remove = ["--subsystem", "index", "--count", "1", "--yes", "--quiet", "--output=json"];
    let processes: Vec<Child> =
        (0..OPERATORS).map(|_| environment.command(&remove).spawn().expect("it starts")).collect();
    let mut codes: BTreeMap<i32, u64> = BTreeMap::new();
    let mut said: BTreeMap<String, u64> = BTreeMap::new();
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        let code = output.status.code().expect("nobody is killed");
        *codes.entry(code).or_default() += 1;
        if code != 0 {
            *said.entry(String::from_utf8_lossy(&output.stderr).into_owned()).or_default() += 1;
        }
    }
    let is_known = |code: &i32| *code == 0 || others.contains(code);
    assert!(codes.get(&0) == Some(&room) && codes.keys().all(is_known), "room for {room}: {codes:?}\n{said:#?}");

    // The record, the journals and the fleet agree.
    assert_eq!((capacity(&environment, "index"), cordoned(environment.path())), (18 - room, 0));
    let status = environment.run(&["status", "--output=json"]).exits(0).json();
    assert_eq!(status["runs"].as_array().map(Vec::len), Some(0), "nothing is held any more: {status:#}");
    let history = environment.run(&["history", "--output=json"]).exits(0).json();
    let mut batches: Vec<(Time, Time, String)> = Vec::new();
    for run in history["runs"].as_array().expect("runs") {
        for host in run["terminated"].as_array().expect("hosts") {
            let report = environment.run(&["status", run["run"].as_str().expect("an id"), "--output=json"]);
            let report = report.exits(0).json();
            let batch = &report["ended"]["batches"][0];
            batches.push((moment(&batch["cordoned_at"]), moment(&batch["terminated_at"]), host.to_string()));
        }
    }
    batches.sort();
    let hosts: BTreeSet<&String> = batches.iter().map(|(_, _, host)| host).collect();
    assert_eq!((batches.len() as u64, hosts.len() as u64), (room, room), "each host once: {history:#}");
    // One batch at a time, and the interval of a second between them.
    for (earlier, later) in batches.iter().zip(&batches[1..]) {
        let turn = earlier.1.plus(Duration::from_secs(1));
        assert!(later.0 >= turn, "cordoned at {}, before {turn}", later.0);
    }
}

/// Fifty processes start on what may be a single core, and share one server. A ledger or a probe that is slow for that
/// reason is not what these stories are about: it has time. The lost ledger has its own (`outage.rs`).
fn bears_a_crowd(environment: &TestEnvironment) {
    for name in ["index", "placement", "billing"] {
        environment.replace(
            &format!("policies/{name}.toml"),
            "bake = \"6s\"\nevery = \"1s\"",
            "bake = \"10s\"\nevery = \"5s\"",
        );
    }
    environment.replace("policies/fleet.toml", "[ledger]\n", "[ledger]\noffline_limit = \"5m\"\n");
}

/// Others write the record a hundred times a second, so that hardly a version lives for as long as a decision takes.
fn s4_a_run_gets_through_a_storm(engine: Engine) {
    let mut environment = TestEnvironment::new();
    // On the real clock: under the virtual one a run takes no time for others to write in.
    Fleet { clock: "1", index_minimum: 6, ..Fleet::default() }.write_quick(&environment);
    let place = engine.keeps_the_ledger_of(&mut environment);
    let begun = Instant::now();
    let remove = ["--subsystem", "index", "--count", "2", "--yes", "--output=json"];
    let (written, run) = place.in_a_storm(|_| environment.run(&remove));
    let document = run.exits(0).json();
    assert_eq!(document["outcome"], "completed", "{document:#}");
    assert_eq!(capacity(&environment, "index"), 16);
    // The run writes the record nine times, and each time some ten others came first, however slow the machine is.
    assert!(written > 90, "{written} writes in {:?} are no storm", begun.elapsed());
}
