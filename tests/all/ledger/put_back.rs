//! A service's ledger that is put back from a backup while a run is in its bake: the cluster is started anew on an older
//! data directory, the table's items are those of before. The run is the only one that knows of its hosts.

use serde_json::Value;

use crate::environment::{TestEnvironment, ran, words};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned, wait_until};

const REMOVE: [&str; 6] = ["--subsystem", "index", "--count", "2", "--yes", "--output=json"];

/// A fleet on the real clock, whose ledger is there. A bake is long enough for a cluster to be started in it.
fn fleet(ledger: &str, variables: &[(&str, String)]) -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    let fleet = std::fs::read_to_string(environment.path().join("policies/fleet.toml")).expect("a policy");
    let start = fleet.find("[ledger]").expect("a ledger");
    environment.write("policies/fleet.toml", &format!("{}[ledger]\n{ledger}\n", &fleet[..start]));
    for name in ["index", "placement", "billing"] {
        environment.replace(&format!("policies/{name}.toml"), "bake = \"6s\"", "bake = \"90s\"");
    }
    for (name, value) in variables {
        environment.set(name, value);
    }
    environment.run(&["ledger", "init"]).exits(0);
    environment
}

/// A run bakes; then the ledger is what it was before the run. What is out comes back, nothing goes, and whoever asks for
/// the run learns that there was one, and what became of it.
fn story(environment: &TestEnvironment, put_back: impl FnOnce()) {
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    let directory = environment.path().to_owned();
    wait_until(&mut child, "the cordon", || cordoned(&directory) == 2);
    wait_until(&mut child, "the bake", || environment.run(&["status"]).stdout.contains("baking"));
    put_back();
    let ended = ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(8);
    let document = ended.json();
    let run = document["run"].as_str().expect("an id");
    assert_eq!((cordoned(&directory), document["cause"]["kind"].as_str()), (0, Some("ledger")), "{document:#}");
    assert_eq!((&document["terminated"], &document["in_doubt"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!(document["next_command"], format!("safe-remove status {run}"), "{document:#}");
    assert!(!ended.stderr.contains("taken over"), "nobody has: {}", ended.stderr);
    for command in [["status", run], ["abandon", run], ["resume", run]] {
        let words = words(&environment.run(&command).exits(3).stderr);
        assert!(words.contains("there was one") && words.contains("no host of the run is out of service"), "{words}");
    }
    let status: Value = environment.run(&["status", "--output=json"]).exits(0).json();
    assert_eq!(status["runs"], serde_json::json!([]), "{status:#}");
    assert_eq!(capacity(environment, "index"), 18);
}

#[cfg(feature = "etcd")]
#[test]
fn s7_an_etcd_that_is_put_back_in_mid_run_is_lost_and_the_run_is_kept() {
    let mut cluster = crate::support::etcd::EtcdCluster::start(1);
    let ledger = format!("kind = \"etcd\"\nendpoints = {:?}", cluster.endpoints);
    let environment = fleet(&ledger, &[]);
    let backup = cluster.backup(0);
    story(&environment, || cluster.put_back(0, &backup));
}

#[cfg(feature = "dynamodb")]
#[test]
fn s7_a_table_that_is_put_back_in_mid_run_is_lost_and_the_run_is_kept() {
    use crate::support::dynamo;

    let table = format!("safe-remove-{}", uuid::Uuid::new_v4());
    let environment = fleet(&format!("kind = \"dynamodb\"\ntable = \"{table}\""), &dynamo::environment());
    let backup = dynamo::items(&table);
    story(&environment, || dynamo::put_items_back(&table, backup));
}
