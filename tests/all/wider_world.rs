//! The world beyond one fleet, one day and one run at a time: a directory that leads elsewhere, a request id of three months
//! ago, several runs side by side.

use std::fs;
use std::process::Child;
use std::time::Duration;

use crate::bad_days::set_clock;
use crate::environment::{TestEnvironment, moment, ran};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned};
use crate::takeover::{REMOVE, len, nothing_is_held};

fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment
}

/// The hosts of a fleet, each with its state.
fn hosts(environment: &TestEnvironment, state: &str) -> String {
    let text = fs::read_to_string(environment.path().join(state)).expect("a fleet");
    let fleet: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    fleet["hosts"].to_string()
}

/// A copy of the directory, with the ledger's and the fleet's name, of which the provider is another fleet.
#[cfg(debug_assertions)]
#[test]
fn s3_whoever_takes_a_run_over_from_the_directory_of_another_fleet_is_refused() {
    let environment = fleet();
    let remove = [&REMOVE[..], &["--host", "index-0001", "--host", "index-0004", "--request-id", "job-1"]].concat();
    let killed = environment
        .command(&remove)
        .env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned")
        .output()
        .expect("it starts");
    assert_eq!((killed.status.code(), cordoned(environment.path())), (None, 2));
    let run = crate::takeover::run_id(&environment);

    for name in ["fleet.toml", "scenario.toml", "index.toml", "placement.toml", "billing.toml"] {
        let text = fs::read_to_string(environment.path().join("policies").join(name)).expect("a file");
        environment.write(&format!("other/{name}"), &text.replace("../state/fleet.json", "../elsewhere/fleet.json"));
    }
    // Its own first look makes the other fleet.
    environment.run(&["plan", "--subsystem", "index", "--count", "1", "--policies", "other"]);
    let before = (hosts(&environment, "state/fleet.json"), hosts(&environment, "elsewhere/fleet.json"));
    let journal = environment.run(&["ledger", "export"]).exits(0).json()["journals"].to_string();
    for verb in [&["abandon", &run][..], &["resume", &run, "--yes"], &remove] {
        let refused = environment.run(&[verb, &["--policies", "other"]].concat()).exits(5);
        assert_eq!(refused.stderr.matches("the fleet simulated, id ").count(), 2, "both are named: {}", refused.stderr);
        assert_eq!((hosts(&environment, "state/fleet.json"), hosts(&environment, "elsewhere/fleet.json")), before);
        assert_eq!(environment.run(&["ledger", "export"]).exits(0).json()["journals"].to_string(), journal);
    }
    environment.run(&["abandon", &run]).exits(0);
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 18));
    nothing_is_held(&environment);
}

/// The record forgets in 91 days; the journal does not.
#[test]
fn s9_a_request_id_of_three_months_ago_removes_nothing() {
    let environment = fleet();
    let job = [&REMOVE[..], &["--host", "index-0001", "--request-id", "deploy-1"]].concat();
    let first = environment.run(&job).exits(0).json();
    set_clock(&environment, "2017-05-31T17:00:00Z");
    for _ in 0..2 {
        environment.run(&[&REMOVE[..], &["--count", "1"]].concat()).exits(0);
    }
    let before = hosts(&environment, "state/fleet.json");
    for _ in 0..2 {
        let again = environment.run(&job).exits(0).json();
        assert_eq!((&again["run"], &again["terminated"]), (&first["run"], &serde_json::json!(["index-0001"])));
        assert_eq!(hosts(&environment, "state/fleet.json"), before);
        nothing_is_held(&environment);
    }
}

/// A shell loop does not defeat "remove capacity more slowly".
#[test]
fn s4_five_runs_side_by_side_go_one_batch_and_one_interval_after_the_other() {
    let environment = fleet();
    let policy = fs::read_to_string(environment.path().join("policies/index.toml")).expect("a policy");
    let slow = policy.replace("batch = 2", "batch = 1").replace("interval = \"2m\"", "interval = \"1h\"");
    assert_ne!(slow, policy);
    environment.write("policies/index.toml", &slow);
    let names = ["index-0001", "index-0002", "index-0003", "index-0004", "index-0005"];
    let start = |host: &str| -> Child {
        let arguments = [&REMOVE[..], &["--host", host, "--max-wait", "12h"]].concat();
        environment.command(&arguments).spawn().expect("it starts")
    };
    let children: Vec<Child> = names.into_iter().map(start).collect();
    let mut batches: Vec<_> = children
        .into_iter()
        .map(|child| {
            let document = ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(0).json();
            assert_eq!(len(&document["terminated"]), 1, "{document:#}");
            let batch = &document["batches"][0];
            (moment(&batch["cordoned_at"]), moment(&batch["terminated_at"]))
        })
        .collect();
    batches.sort();
    for (earlier, later) in batches.iter().zip(&batches[1..]) {
        let turn = earlier.1.plus(Duration::from_secs(3600));
        assert!(later.0 >= turn, "cordoned at {}, before {turn}", later.0);
    }
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 13));
}
