//! Fifty operators press the button at the same moment, and others who write all the time, on each engine.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::Instant;

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned};
use crate::support::engines::{Engine, on_each_engine};

const OPERATORS: usize = 50;

on_each_engine!(s4_fifty_processes, s4_a_run_gets_through_a_storm);

/// 18 units of index, 6 of them needed, and a budget of 9: neither headroom nor budget has room for all.
fn s4_fifty_processes(engine: Engine) {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 6, budgets: "[{ hosts = 9, per = \"24h\" }]", ..Fleet::default() }.write(&environment);
    engine.keeps_the_ledger_of(&mut environment);
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
    assert!(u128::from(written) * 1000 > 30 * begun.elapsed().as_millis(), "{written} writes are no storm");
}
