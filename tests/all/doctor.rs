//! `doctor`: what stands in the way of a removal is named before anybody needs one, and nothing is touched.

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;

/// The states of the checks with this name, in order.
pub(crate) fn states<'a>(document: &'a Value, check: &str) -> Vec<&'a str> {
    let checks = document["checks"].as_array().expect("checks");
    let named = checks.iter().filter(|found| found["check"] == check);
    named.map(|found| found["state"].as_str().expect("a state")).collect()
}

/// What is bad, each with what it is of.
pub(crate) fn bad(document: &Value) -> Vec<String> {
    let checks = document["checks"].as_array().expect("checks");
    let bad = checks.iter().filter(|found| found["state"] == "bad");
    bad.map(|found| format!("{} {}", found["check"].as_str().expect("a name"), found["of"].as_str().unwrap_or("-")))
        .collect()
}

fn doctor(environment: &TestEnvironment, code: i32) -> Value {
    let ran = environment.run(&["doctor", "-o", "json"]).exits(code);
    let document = ran.json();
    assert_eq!(document["schema"], "safe-remove/doctor/v1");
    assert_eq!(document["exit_code"], code);
    assert_eq!(bad(&document).is_empty(), code == 0, "{document:#}");
    assert_eq!(ran.stderr.is_empty(), code == 0, "{}", ran.stderr);
    document
}

#[test]
fn a_simulated_fleet_with_nothing_wrong() {
    let environment = TestEnvironment::new();
    Fleet::default().write(&environment);
    let before = doctor(&environment, 0);
    assert_eq!(states(&before, "ledger"), ["warning"], "there is none yet: {before:#}");
    assert!(!environment.path().join("state/ledger.db").exists(), "a doctor makes no ledger");
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    let after = doctor(&environment, 0);
    assert_eq!(states(&after, "ledger"), ["ok"]);
    assert_eq!(states(&after, "observation"), ["ok"]);
    assert!(states(&after, "group").iter().all(|state| *state == "ok"), "{after:#}");
    insta::assert_snapshot!(steady(&environment.show(&["doctor"])));
}

/// How long a file takes to read differs.
fn steady(text: &str) -> String {
    let took = regex::Regex::new(r"opened and read in [0-9a-z.]+").expect("a pattern");
    took.replace_all(text, "opened and read in [TIME]").into_owned()
}

#[test]
fn each_thing_in_the_way_is_named_and_the_rest_is_looked_at_all_the_same() {
    let environment = TestEnvironment::new();
    Fleet::default().write(&environment);
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    let ledger = environment.path().join("state/ledger.db");

    // A stop order, and a group whose own minimum lets none go.
    environment.run(&["halt", "--reason", "smoke"]).exits(0);
    let halted = doctor(&environment, 5);
    assert!(bad(&halted).iter().all(|check| check.starts_with("group ")), "{halted:#}");
    assert!(halted.to_string().contains("smoke"), "{halted:#}");
    environment.run(&["unhalt", "--reason", "no smoke"]).exits(0);

    // A ledger that cannot be read hides the fleet's observation, and not the fleet.
    let kept = std::fs::read(&ledger).expect("a ledger");
    std::fs::write(&ledger, "not a database at all").expect("written");
    let broken = doctor(&environment, 5);
    assert_eq!(bad(&broken), ["ledger -"], "{broken:#}");
    assert_eq!((states(&broken, "fleet"), states(&broken, "observation")), (vec!["ok"], vec!["not-tried"]));
    std::fs::write(&ledger, kept).expect("written");

    // A policy that selects nothing of the fleet.
    environment.replace("policies/fleet.toml", "../state/ledger.db", "../elsewhere/ledger.db");
    let elsewhere = environment.run(&["doctor", "-o", "json"]).json();
    assert_eq!(states(&elsewhere, "fleet"), ["ok"], "{elsewhere:#}");

    // Policies that cannot be read are told as by every command.
    environment.replace("policies/index.toml", "[capacity]", "[capacities]");
    environment.run(&["doctor"]).exits(4);
}
