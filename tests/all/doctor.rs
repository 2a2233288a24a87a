//! `doctor`: what stands in the way of a removal is named before anybody needs one, and nothing is touched.

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::removal::{cordoned, signal_until_it_ends, wait_until};
use crate::support::terminal::{Ended, Terminal, keeps_to, one_line};

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

/// `doctor --fix` on a terminal of 80 columns, with this answer to its question.
pub(crate) fn fix(environment: &TestEnvironment, answer: &str) -> Ended {
    let mut asks = Terminal::open(environment, &["doctor", "--fix"], 80);
    asks.see("Type demo to raise");
    asks.type_line(answer);
    let ended = asks.end();
    keeps_to(80, &ended.rows);
    ended
}

fn minimums(environment: &TestEnvironment) -> Value {
    let state = std::fs::read_to_string(environment.path().join("state/fleet.json")).expect("a state");
    let state: Value = serde_json::from_str(&state).expect("a state");
    let groups = state["groups"].as_object().expect("groups");
    groups.iter().map(|(name, group)| (name.clone(), group["minimum"].clone())).collect()
}

/// Each group gets its share, and all together what the policy asks for: what it lets go, the provider lets go too.
#[test]
fn minimums_of_the_provider_are_raised_once_a_person_confirms_and_the_ledger_has_it() {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    environment.replace("policies/placement.toml", "minimum = 11", "minimum = 8");
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    environment.run(&["doctor", "--fix"]).exits(6);
    let no = fix(&environment, "yes");
    assert_eq!(no.code, 6, "{}", no.rows.join("\n"));
    assert!(one_line(&no.rows).contains("nothing was touched"), "{}", no.rows.join("\n"));
    assert!(minimums(&environment).as_object().expect("groups").values().all(Value::is_null));

    let raised = fix(&environment, "demo");
    assert_eq!(raised.code, 0, "{}", raised.rows.join("\n"));
    let said = one_line(&raised.rows);
    assert!(said.contains("RAISED the minimum of group index from 0 to"), "{said}");
    assert!(said.contains("was raised, nothing else was touched"), "{said}");
    let after = minimums(&environment);
    let held = |groups: [&str; 2]| groups.map(|group| after[group].as_u64().unwrap_or(0)).iter().sum::<u64>();
    assert_eq!((held(["index", "index-billing"]), held(["placement", "placement-billing"])), (12, 8), "{after:#}");
    let journal = environment.run(&["ledger", "export"]).exits(0).stdout;
    let raised = after.as_object().expect("groups").values().filter(|minimum| !minimum.is_null()).count();
    assert_eq!(journal.matches("minimum-raised").count(), raised, "{journal}");
    // Nothing is left to raise, and the provider itself refuses what another program asks.
    let again = environment.run(&["doctor", "--fix", "-o", "json"]).exits(0).json();
    assert_eq!(again["minimums"], serde_json::json!({"raised": [], "left": []}), "{again:#}");
    environment.run(&["--subsystem", "index", "--count", "2", "--yes"]).exits(0);
}

#[test]
fn minimums_are_not_raised_while_hosts_are_out() {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", ..Fleet::default() }.write_quick(&environment);
    environment.replace("policies/index.toml", "bake = \"6s\"", "bake = \"60s\"");
    let remove = ["--subsystem", "index", "--count", "1", "--yes", "-o", "json"];
    let mut child = environment.command(&remove).spawn().expect("it starts");
    wait_until(&mut child, "the cordon", || cordoned(environment.path()) == 1);
    let refused = environment.run(&["doctor", "--fix"]).exits(6);
    assert!(refused.stderr.contains("runs are under way"), "{}", refused.stderr);
    signal_until_it_ends(&mut child, "-TERM");
}

/// Somebody who sees that it is wrong stops it, and is told what was raised.
#[test]
fn minimums_are_not_raised_any_more_once_it_is_stopped() {
    let environment = TestEnvironment::new();
    // Forty groups more: to raise them takes seconds.
    let pool = |n: usize| {
        format!("[[hosts]]\npool = \"more-{n:02}\"\ncount = 4\nzones = [\"a\", \"b\"]\ntags = {{ role = \"index\" }}\n")
    };
    let events = (0..40).map(pool).collect();
    Fleet { clock: "1", index_minimum: 100, events, ..Fleet::default() }.write_quick(&environment);
    environment.replace("policies/index.toml", "baseline = 18", "baseline = 178");
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    let mut asks = Terminal::open(&environment, &["doctor", "--fix"], 80);
    asks.see("Type demo to raise");
    asks.type_line("demo");
    asks.see("raised the minimum of group");
    asks.interrupt();
    let ended = asks.end();
    let (raised, journal) =
        (one_line(&ended.rows).matches("RAISED").count(), environment.run(&["ledger", "export"]).exits(0).stdout);
    assert!(one_line(&ended.rows).contains("it was stopped before"), "{}", ended.rows.join("\n"));
    assert_eq!(journal.matches("minimum-raised").count(), raised, "{}", ended.rows.join("\n"));
}

/// What was shown is what is raised, or nothing.
#[test]
fn minimums_are_not_raised_by_policies_that_changed_while_it_was_asked() {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    let mut asks = Terminal::open(&environment, &["doctor", "--fix"], 80);
    asks.see("Type demo to raise");
    environment.replace("policies/index.toml", "minimum = 12", "minimum = 4");
    asks.type_line("demo");
    let ended = asks.end();
    assert_eq!(ended.code, 6, "{}", ended.rows.join("\n"));
    assert!(one_line(&ended.rows).contains("have changed since they were shown"), "{}", ended.rows.join("\n"));
    assert!(minimums(&environment).as_object().expect("groups").values().all(Value::is_null));
}
