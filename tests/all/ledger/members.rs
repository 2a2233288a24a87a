//! Whole runs whose ledger is a cluster that loses members, as the operators see them.

use std::process::Child;

use serde_json::{Value, json};

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned, wait_until};
use crate::support::etcd::EtcdCluster;

const REMOVE: [&str; 4] = ["--subsystem", "index", "--yes", "--output=json"];

/// A fleet on the real clock, with short bakes, whose ledger is in etcd.
fn environment(cluster: &EtcdCluster) -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 6, ..Fleet::default() }.write_quick(&environment);
    let fleet = std::fs::read_to_string(environment.path().join("policies/fleet.toml")).expect("a policy");
    let start = fleet.find("[ledger]").expect("a ledger");
    let ledger = format!("[ledger]\nkind = \"etcd\"\nendpoints = {:?}\noffline_limit = \"15s\"\n", cluster.endpoints);
    environment.write("policies/fleet.toml", &format!("{}{ledger}", &fleet[..start]));
    environment
}

fn begun(environment: &TestEnvironment, count: &str) -> Child {
    environment.command(&[&REMOVE[..], &["--count", count]].concat()).spawn().expect("it starts")
}

/// How the run ended, and its document.
fn ended(child: Child) -> (i32, Value, String) {
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (output.status.code().expect("a code"), document, stderr)
}

#[test]
fn s6_a_run_goes_on_without_one_etcd_member_and_puts_back_without_two() {
    let mut cluster = EtcdCluster::start(3);
    let environment = environment(&cluster);
    let directory = environment.path().to_owned();

    let mut run = begun(&environment, "4");
    wait_until(&mut run, "the first cordon", || cordoned(&directory) == 2);
    cluster.kill(0);
    let (code, document, stderr) = ended(run);
    assert_eq!((code, &document["outcome"]), (0, &"completed".into()), "{document:#}\n{stderr}");
    assert_eq!((cordoned(&directory), capacity(&environment, "index")), (0, 14));

    // The second dies in the bake: nothing goes, and what is cordoned comes back while that is allowed.
    let mut run = begun(&environment, "2");
    wait_until(&mut run, "the cordon", || cordoned(&directory) == 2);
    cluster.kill(1);
    let (code, document, stderr) = ended(run);
    assert!([7, 8].contains(&code), "{code} {document:#}\n{stderr}");
    assert_eq!(document["cause"]["kind"], "ledger", "{document:#}");
    assert_eq!(document["terminated"].as_array().map(Vec::len), Some(0), "{document:#}");
    if code == 7 {
        assert_eq!(cordoned(&directory), 0, "{document:#}");
    }

    // With two dead nothing can be begun, everybody is told why, and it is over when they are back.
    let refused = environment.run(&[&REMOVE[..], &["--count", "1"]].concat()).exits(10);
    assert!(refused.stderr.contains("more than half of the cluster's members"), "{}", refused.stderr);
    cluster.revive();
    let history = environment.run(&["history", "--output=json"]).exits(0).json();
    assert_eq!(history["runs"].as_array().map(Vec::len), Some(1), "the second could not record its end: {history:#}");
    let status = environment.run(&["status", "--output=json"]).exits(0).json();
    assert_eq!(status["runs"].as_array().map(Vec::len), Some(1), "what it held is still counted: {status:#}");
    let advice = status["runs"][0]["advice"].as_str().expect("an advice");
    assert!(advice.contains(".local/state/safe-remove/unrecorded-"), "what it could not record is kept: {status:#}");

    // Whoever resumes it records that first, and finds everything back.
    let run = status["runs"][0]["run"].as_str().expect("an id");
    let resumed = environment.run(&["resume", run, "--output=json"]).exits(7).json();
    assert_eq!((&resumed["terminated"], &resumed["in_doubt"]), (&json!([]), &json!([])), "{resumed:#}");
    assert_eq!((cordoned(&directory), capacity(&environment, "index")), (0, 14));
    let status = environment.run(&["status", "--output=json"]).exits(0).json();
    assert_eq!(status["runs"], json!([]), "{status:#}");
}
