//! `ledger export` and `ledger import`: a ledger is repaired, and moved, as the operators see it.

use rusqlite::Connection;
use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
#[cfg(debug_assertions)]
use crate::removal::cordoned;

const REMOVE: [&str; 6] = ["--subsystem", "index", "--count", "2", "--yes", "--output=json"];

/// A fleet with a history of one run.
fn used() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 6, ..Fleet::default() }.write(&environment);
    environment.run(&REMOVE).exits(0);
    environment
}

fn exported(environment: &TestEnvironment) -> Value {
    let export = environment.run(&["ledger", "export"]).exits(0).json();
    assert_eq!(export["schema"], "safe-remove/ledger-export/v1");
    export
}

/// Another ledger is named in fleet.toml from now on.
fn goes_by(environment: &TestEnvironment, ledger: &str) {
    let fleet = std::fs::read_to_string(environment.path().join("policies/fleet.toml")).expect("a policy");
    let start = fleet.find("[ledger]").expect("a ledger");
    environment.write("policies/fleet.toml", &format!("{}[ledger]\n{ledger}\n", &fleet[..start]));
}

/// Imports into an empty place: all that was in the ledger is there, halted, and under another id.
fn moves(environment: &TestEnvironment, ledger: &str) {
    let before = exported(environment);
    let runs =
        |environment: &TestEnvironment| environment.run(&["history", "--output=json"]).exits(0).json()["runs"].clone();
    let history = runs(environment);
    environment.write("export.json", &before.to_string());
    goes_by(environment, ledger);
    let imported = environment.run(&["ledger", "import", "export.json", "--output=json"]).exits(0).json();
    assert_eq!(imported["result"]["replaces"], before["record"]["ledger"], "{imported:#}");
    assert_ne!(imported["result"]["ledger"], before["record"]["ledger"], "two copies are two ledgers");

    assert_eq!(runs(environment), history);
    let after = exported(environment);
    for same in ["removed", "removals", "completed", "accepted", "ended", "last_termination", "requests"] {
        assert_eq!(after["record"][same], before["record"][same], "{same}");
    }
    for (run, journal) in before["journals"].as_object().expect("journals") {
        assert_eq!(&after["journals"][run], journal, "{run}");
    }
    let refused = environment.run(&REMOVE).exits(3).json();
    let rules: Vec<_> = refused["violations"].as_array().expect("violations").iter().map(|v| &v["rule"]).collect();
    assert!(rules.contains(&&"halted".into()), "{rules:?}");
    environment.run(&["unhalt", "--reason", "looked"]).exits(0);
    let refused = environment.run(&REMOVE).exits(3).json();
    let rules: Vec<_> = refused["violations"].as_array().expect("violations").iter().map(|v| &v["rule"]).collect();
    assert!(rules.contains(&&"foreign-ledger".into()), "the hosts are not adopted yet: {rules:?}");

    let again = environment.run(&["ledger", "import", "export.json"]).exits(10);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
}

#[test]
fn s3_an_imported_ledger_has_a_new_id_and_starts_halted() {
    moves(&used(), "kind = \"sqlite\"\npath = \"../state/moved.db\"");
}

/// What `ledger init` made, and what an import left that was ended before it wrote anything.
#[test]
fn a_ledger_in_which_nothing_has_happened_is_an_empty_place() {
    let environment = used();
    let export = exported(&environment);
    environment.write("export.json", &export.to_string());
    goes_by(&environment, "kind = \"sqlite\"\npath = \"../state/moved.db\"");
    let made = environment.run(&["ledger", "init", "-o", "json"]).exits(0).json();
    let imported = environment.run(&["ledger", "import", "export.json", "-o", "json"]).exits(0).json();
    assert_eq!(imported["result"]["ledger"], made["result"]["ledger"]);

    goes_by(&environment, "kind = \"sqlite\"\npath = \"../state/other.db\"");
    environment.run(&["ledger", "init"]).exits(0);
    environment.run(&["halt", "--reason", "somebody works here"]).exits(0);
    let refused = environment.run(&["ledger", "import", "export.json"]).exits(10);
    assert!(refused.stderr.contains("already"), "{}", refused.stderr);
}

/// S5: a first run puts the hosts under its ledger, and may die before it is granted any: that ledger governs.
#[cfg(debug_assertions)]
#[test]
fn s5_a_ledger_that_governs_hosts_is_no_empty_place() {
    let export = exported(&used());
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 6, ..Fleet::default() }.write(&environment);
    environment.set("SAFE_REMOVE_FAULT", "kill:before-change-enlist");
    assert_eq!(environment.run(&REMOVE).code, None, "killed");
    environment.set("SAFE_REMOVE_FAULT", "");
    assert_eq!(exported(&environment)["record"]["runs"], serde_json::json!({}), "it was not even in line");
    environment.write("export.json", &export.to_string());
    let refused = environment.run(&["ledger", "import", "export.json"]).exits(10);
    assert!(refused.stderr.contains("already"), "{}", refused.stderr);
}

#[cfg(feature = "dynamodb")]
#[test]
fn a_ledger_moves_from_a_file_to_a_table() {
    let mut environment = used();
    for (name, value) in crate::support::dynamo::environment() {
        environment.set(name, &value);
    }
    let before = exported(&environment);
    environment.write("export.json", &before.to_string());
    let table = format!("kind = \"dynamodb\"\ntable = \"moved-{}\"", uuid::Uuid::new_v4());
    goes_by(&environment, &table);
    let early = environment.run(&["ledger", "import", "export.json"]).exits(10);
    assert!(early.stderr.contains("safe-remove ledger init"), "{}", early.stderr);
    environment.run(&["ledger", "init"]).exits(0);
    goes_by(&environment, "kind = \"sqlite\"\npath = \"../state/ledger.db\"");
    moves(&environment, &table);
}

/// S7: nothing would hold the hosts of such a run while somebody takes it over.
#[cfg(debug_assertions)]
#[test]
fn s7_a_run_that_the_record_does_not_know_and_that_has_hosts_out_is_not_imported() {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 6, ..Fleet::default() }.write(&environment);
    environment.set("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned");
    assert_eq!(environment.run(&REMOVE).code, None, "killed");
    environment.set("SAFE_REMOVE_FAULT", "");
    let mut export = exported(&environment);
    export["record"]["runs"] = serde_json::json!({});
    environment.write("export.json", &export.to_string());
    goes_by(&environment, "kind = \"sqlite\"\npath = \"../state/moved.db\"");
    let refused = environment.run(&["ledger", "import", "export.json"]).exits(10);
    assert!(refused.stderr.contains("is out of service by the journal of run"), "{}", refused.stderr);
}

#[cfg(feature = "etcd")]
#[test]
fn a_ledger_moves_from_a_file_to_etcd() {
    let endpoints = &crate::support::etcd::shared().endpoints;
    let prefix = uuid::Uuid::new_v4();
    moves(&used(), &format!("kind = \"etcd\"\nendpoints = {endpoints:?}\nprefix = \"/moved-{prefix}\""));
}

#[test]
fn s3_a_damaged_record_is_exported_as_it_is_and_imported_only_repaired() {
    let environment = used();
    let good = exported(&environment);
    let text = good["record"].to_string();
    let connection = Connection::open(environment.path().join("state/ledger.db")).expect("opens");
    connection.execute("UPDATE fleets SET record = ?1", [&text[..text.len() / 2]]).expect("alters");
    drop(connection);
    let status = environment.run(&["status"]).exits(10);
    assert!(status.stderr.contains("safe-remove ledger export"), "{}", status.stderr);

    let damaged = environment.run(&["ledger", "export"]).exits(0);
    assert!(damaged.stderr.contains("the record cannot be read"), "{}", damaged.stderr);
    let mut damaged = damaged.json();
    assert_eq!(damaged["record"], text[..text.len() / 2]);
    assert_eq!(damaged["journals"], good["journals"], "what can be read is there");

    goes_by(&environment, "kind = \"sqlite\"\npath = \"../state/repaired.db\"");
    for (what, broken) in [
        ("as it is", damaged.to_string()),
        ("another fleet's", damaged.to_string().replacen("\"fleet\":\"demo\"", "\"fleet\":\"other\"", 1)),
        ("half of it", damaged.to_string()[..100].to_owned()),
        ("a hole in a journal", {
            let mut holed = good.clone();
            let journals = holed["journals"].as_object_mut().expect("journals");
            let of_run = journals.values_mut().find(|journal| journal[1].is_object()).expect("a run's");
            of_run.as_array_mut().expect("records").remove(1);
            holed.to_string()
        }),
        ("a field of a newer version", {
            let mut newer = good.clone();
            newer["record"]["quorum"] = 3.into();
            newer.to_string()
        }),
    ] {
        environment.write("export.json", &broken);
        let refused = environment.run(&["ledger", "import", "export.json"]);
        assert_eq!(refused.code, Some(10), "{what}: {}", refused.stderr);
    }
    assert!(!environment.path().join("state/repaired.db").exists(), "nothing was written");
    environment.run(&["ledger", "import", "nowhere.json"]).exits(2);
    damaged["record"] = good["record"].clone();
    environment.write("export.json", &damaged.to_string());
    environment.run(&["ledger", "import", "export.json"]).exits(0);
}

/// A run without a journal is taken for one that touched nothing: of one that is under way, that must not come about.
#[cfg(debug_assertions)]
#[test]
fn s7_a_run_under_way_whose_journal_cannot_be_read_is_not_imported() {
    let environment = used();
    let mut killed = environment.command(&REMOVE);
    let killed = killed.env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned").output().expect("it starts");
    assert_eq!((killed.status.code(), cordoned(environment.path())), (None, 2), "killed in its bake");
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    let run = status["runs"][0]["run"].as_str().expect("an id");
    let ledger = Connection::open(environment.path().join("state/ledger.db")).expect("opens");
    let holed = ledger.execute("DELETE FROM journal WHERE run = ?1 AND seq = 3", [run]).expect("alters");
    assert_eq!(holed, 1);
    drop(ledger);

    let export = environment.run(&["ledger", "export"]).exits(0);
    assert!(export.stderr.contains(&format!("the journal of run {run} cannot be read")), "{}", export.stderr);
    let mut export = export.json();
    environment.write("export.json", &export.to_string());
    goes_by(&environment, "kind = \"sqlite\"\npath = \"../state/repaired.db\"");
    let refused = environment.run(&["ledger", "import", "export.json"]).exits(10);
    for said in [run, "out of service", "record.runs"] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    assert!(!environment.path().join("state/repaired.db").exists(), "nothing was written");

    // Once somebody has seen to the hosts, the rest of it is imported, and what is missing is said.
    export["record"]["runs"] = serde_json::json!({});
    environment.write("export.json", &export.to_string());
    let imported = environment.run(&["ledger", "import", "export.json", "-o", "json"]).exits(0).json();
    let warnings = imported["warnings"].to_string();
    assert!(warnings.contains(run) && warnings.contains("is not in it"), "{warnings}");
}
