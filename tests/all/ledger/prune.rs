//! `ledger prune`: what ended long ago goes to a file, and what is asked about it is still answered.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::bad_days::set_clock;
use crate::environment::{TestEnvironment, words};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned};
use crate::support::engines::{Engine, on_each_engine};
use crate::takeover::REMOVE;

on_each_engine!(s9_what_is_pruned_is_in_the_file_and_still_answered_for);

const MONTHS_LATER: &str = "2017-06-30T12:00:00Z";

fn fleet(engine: Engine) -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    engine.keeps_the_ledger_of(&mut environment);
    environment
}

fn remove(environment: &TestEnvironment, more: &[&str]) -> Value {
    environment.run(&[&REMOVE[..], more].concat()).exits(0).json()
}

fn journals(environment: &TestEnvironment) -> Value {
    environment.run(&["ledger", "export"]).exits(0).json()["journals"].clone()
}

fn prune(environment: &TestEnvironment, before: &str, to: &str) -> Value {
    let pruned = environment.run(&["ledger", "prune", "--before", before, "--to", to, "--output=json"]);
    pruned.exits(0).json()["result"].clone()
}

/// Without the word on where the rest is.
fn documents(environment: &TestEnvironment) -> Vec<Value> {
    let history = environment.run(&["history", "--output=json"]).exits(0).json();
    let mut runs = history["runs"].as_array().expect("runs").clone();
    for run in &mut runs {
        let warnings = run["warnings"].as_array_mut().expect("warnings");
        warnings.retain(|warning| !warning.as_str().expect("a text").contains("was pruned at"));
    }
    runs
}

fn s9_what_is_pruned_is_in_the_file_and_still_answered_for(engine: Engine) {
    let environment = fleet(engine);
    let job = ["--host", "index-0001", "--request-id", "deploy-1"];
    let first = remove(&environment, &job);
    remove(&environment, &["--count", "1"]);
    environment.run(&["halt", "--subsystem", "index", "--reason", "smoke"]).exits(0);
    environment.run(&["unhalt", "--subsystem", "index", "--reason", "clear"]).exits(0);
    set_clock(&environment, MONTHS_LATER);
    let young = remove(&environment, &["--count", "1"]);
    let (before, history) = (journals(&environment), documents(&environment));
    assert_eq!(history.len(), 3);

    let pruned = prune(&environment, "90d", "old.json");
    assert_eq!(pruned["runs"].as_array().map(Vec::len), Some(2), "{pruned:#}");
    assert_eq!(pruned["kept"], json!({"later": 1, "under_way": 0, "repeatable": 0, "pruned": 0}));

    // The file has them whole, and is nobody else's to read.
    let path = environment.path().join("old.json");
    let archive: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
    assert_eq!(archive["schema"], "safe-remove/ledger-archive/v1");
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    let archived = archive["journals"].as_object().expect("journals");
    assert_eq!(archived.len(), 2);
    for (run, journal) in archived {
        assert_eq!(*journal, before[run]);
    }
    // The ledger has one record of each, and all others as they were: orders, the adoption, the young run.
    let after = journals(&environment);
    for (run, journal) in before.as_object().expect("journals") {
        if archived.contains_key(run) {
            assert_eq!(after[run].as_array().map(Vec::len), Some(1), "{run}");
            assert_eq!(after[run][0]["event"], "journal-pruned");
        } else {
            assert_eq!(after[run], *journal, "{run}");
        }
    }
    assert!(after[young["run"].as_str().expect("an id")].as_array().is_some_and(|journal| journal.len() > 1));

    // Whoever asks is still answered.
    assert_eq!(documents(&environment), history);
    let again = remove(&environment, &job);
    assert_eq!((&again["run"], &again["terminated"]), (&first["run"], &json!(["index-0001"])));
    let shown = environment.run(&["status", first["run"].as_str().expect("an id")]).exits(0);
    assert!(shown.stdout.contains("index-0001") && shown.stdout.contains("old.json"), "{}", shown.stdout);
    let other = ["--host", "index-0002", "--request-id", "deploy-1"];
    let refused = environment.run(&[&REMOVE[..], &other].concat()).exits(3).json();
    let rules: Vec<_> = refused["violations"].as_array().expect("violations").iter().map(|v| &v["rule"]).collect();
    assert!(rules.contains(&&json!("request-id")), "{rules:?}");
    for verb in ["abandon", "resume"] {
        let run = first["run"].as_str().expect("an id");
        environment.run(&[verb, run, "--yes"][..if verb == "resume" { 3 } else { 2 }]);
        assert_eq!(journals(&environment), after, "{verb}");
    }
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 15));

    // Once more there is nothing to do, and no file.
    let pruned = prune(&environment, "90d", "older.json");
    assert_eq!((&pruned["file"], &pruned["kept"]["pruned"]), (&Value::Null, &json!(2)));
    assert!(!environment.path().join("older.json").exists());
    assert_eq!(journals(&environment), after);

    // An export takes it along: a ledger that is moved answers as this one.
    let export = environment.run(&["ledger", "export"]).exits(0).json();
    environment.write("export.json", &export.to_string());
    let policy = std::fs::read_to_string(environment.path().join("policies/fleet.toml")).expect("a policy");
    let start = policy.find("[ledger]").expect("a ledger");
    let moved = format!("{}[ledger]\nkind = \"sqlite\"\npath = \"../state/moved.db\"\n", &policy[..start]);
    environment.write("policies/fleet.toml", &moved);
    environment.run(&["ledger", "import", "export.json"]).exits(0);
    assert_eq!(documents(&environment), history);
}

/// Without `--to` the file's name is one that every shell and file system takes.
#[test]
fn an_archive_without_a_name_is_named_by_fleet_and_time() {
    let environment = fleet(Engine::File);
    remove(&environment, &["--count", "1"]);
    set_clock(&environment, MONTHS_LATER);
    remove(&environment, &["--count", "1"]);
    environment.run(&["ledger", "prune", "--before", "90d"]).exits(0);
    let named = std::fs::read_dir(environment.path()).expect("a directory").flatten().map(|entry| entry.file_name());
    let named: Vec<String> = named.map(|name| name.to_string_lossy().into_owned()).collect();
    let is_archive = |name: &String| name.starts_with("demo-journals-before-2017-04-01T") && name.ends_with("Z.json");
    assert!(named.iter().any(is_archive), "{named:?}");
}

#[test]
fn s5_nothing_is_removed_that_is_not_on_the_disk_or_is_young() {
    let environment = fleet(Engine::File);
    environment.run(&["ledger", "prune", "--before", "90d"]).exits(0);
    remove(&environment, &["--count", "1"]);
    set_clock(&environment, MONTHS_LATER);
    remove(&environment, &["--count", "1"]);
    let before = journals(&environment);
    let refused = |to: &str, before: &str| {
        let refused = environment.run(&["ledger", "prune", "--before", before, "--to", to]).exits(2);
        words(&refused.stderr)
    };
    environment.write("there.json", "a file of somebody's");
    assert!(refused("there.json", "90d").contains("nothing was removed"));
    assert_eq!(std::fs::read_to_string(environment.path().join("there.json")).expect("a file"), "a file of somebody's");
    assert!(refused("no/such/directory.json", "90d").contains("nothing was removed"));
    assert!(refused("full.json", "6d").contains("seven days"));
    assert!(refused("full.json", "2017-12-31").contains("seven days"), "a time that has not come");
    assert!(!environment.path().join("full.json").exists());
    let odd = std::os::unix::ffi::OsStringExt::from_vec(b"caf\xe9.json".to_vec());
    for to in [std::ffi::OsString::from("-"), "".into(), "/".into(), odd] {
        let mut prune = environment.command(&["ledger", "prune", "--before", "90d", "--to"]);
        assert_eq!(prune.arg(&to).output().expect("it starts").status.code(), Some(2), "{to:?}");
    }
    assert_eq!(journals(&environment), before);
    let left = std::fs::read_dir(environment.path()).expect("a directory");
    let left = left.filter(|entry| entry.as_ref().is_ok_and(|e| e.file_name().to_string_lossy().contains("archive")));
    assert_eq!(left.count(), 0, "no part of a file");
}

/// The clock of whoever prunes is months ahead: what ended within a week of the ledger's last write stays all the same. And
/// a ledger of another fleet is nobody's to prune.
#[test]
fn s3_a_wrong_clock_or_another_fleet_prunes_nothing() {
    let environment = fleet(Engine::File);
    remove(&environment, &["--count", "1"]);
    let before = journals(&environment);
    set_clock(&environment, MONTHS_LATER);
    let pruned = prune(&environment, "8d", "old.json");
    assert_eq!((&pruned["file"], &pruned["kept"]["later"]), (&Value::Null, &json!(1)));
    assert_eq!(journals(&environment), before);
    remove(&environment, &["--count", "1"]);
    let before = journals(&environment);

    for name in ["fleet.toml", "scenario.toml", "index.toml", "placement.toml", "billing.toml"] {
        let text = std::fs::read_to_string(environment.path().join("policies").join(name)).expect("a file");
        environment.write(&format!("other/{name}"), &text.replace("../state/fleet.json", "../elsewhere/fleet.json"));
    }
    let other = ["ledger", "prune", "--before", "8d", "--policies", "other"];
    // Where there is no such fleet, and where there is.
    environment.run(&other).exits(5);
    environment.run(&["plan", "--subsystem", "index", "--count", "1", "--policies", "other"]);
    let refused = environment.run(&other).exits(5);
    assert_eq!(refused.stderr.matches("the fleet simulated, id ").count(), 2, "{}", refused.stderr);
    assert_eq!(journals(&environment), before);
    assert_eq!(prune(&environment, "8d", "old.json")["runs"].as_array().map(Vec::len), Some(1));
}

/// Killed behind the first of three: the next call does the rest, and between the two files nothing is missing.
#[cfg(debug_assertions)]
#[test]
fn s5_killed_in_the_middle_nothing_is_lost() {
    let environment = fleet(Engine::File);
    for _ in 0..3 {
        remove(&environment, &["--count", "1"]);
    }
    set_clock(&environment, MONTHS_LATER);
    remove(&environment, &["--count", "1"]);
    let (before, history) = (journals(&environment), documents(&environment));
    let killed = environment
        .command(&["ledger", "prune", "--before", "90d", "--to", "a.json"])
        .env("SAFE_REMOVE_FAULT", "kill:behind-prune")
        .output()
        .expect("it starts");
    assert_eq!(killed.status.code(), None, "{killed:?}");
    assert_eq!(documents(&environment), history);
    let pruned = prune(&environment, "90d", "b.json");
    assert_eq!(pruned["runs"].as_array().map(Vec::len), Some(2), "{pruned:#}");
    assert_eq!(documents(&environment), history);
    for (file, count) in [("a.json", 3), ("b.json", 2)] {
        let archive: Value =
            serde_json::from_slice(&std::fs::read(environment.path().join(file)).expect("a file")).expect("JSON");
        let archived = archive["journals"].as_object().expect("journals");
        assert_eq!(archived.len(), count);
        for (run, journal) in archived {
            assert_eq!(*journal, before[run], "{file}");
        }
    }
}
