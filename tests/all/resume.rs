//! Going on with a run whose process died: what is left of it is judged anew, shown and confirmed, and who did so is
//! recorded.

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;
use crate::removal::cordoned;
use crate::takeover::{REMOVE, len, nothing_is_held, run_id};

/// A run of six, killed in its first bake on a virtual clock; its id.
fn dead_in_its_bake(environment: &TestEnvironment, more: &[&str]) -> String {
    let mut command = environment.command(&[&REMOVE[..], &["--count", "6"], more].concat());
    let killed = command.env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    run_id(environment)
}

fn virtual_fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment
}

/// Changes the policy of index.
fn edit(environment: &TestEnvironment, from: &str, to: &str) {
    let text = std::fs::read_to_string(environment.path().join("policies/index.toml")).expect("a policy");
    assert!(text.contains(from), "{text}");
    environment.write("policies/index.toml", &text.replace(from, to));
}

/// How many records a run's journal has, and its hosts that are out of service.
fn traces(environment: &TestEnvironment, run: &str) -> (u64, usize, usize) {
    let ledger = rusqlite::Connection::open(environment.path().join("state/ledger.db")).expect("a ledger");
    let count = "SELECT COUNT(*) FROM journal WHERE run = ?1";
    let records = ledger.query_row(count, [run], |row| row.get(0)).expect("a count");
    let text = std::fs::read_to_string(environment.path().join("state/fleet.json")).expect("a fleet");
    let fleet: Value = serde_json::from_str(&text).expect("JSON");
    (records, fleet["hosts"].as_object().expect("hosts").len(), cordoned(environment.path()))
}

/// Without a terminal somebody must say `--yes`, and the policies decide up to how many hosts that is enough.
#[test]
fn s8_resume_terminates_only_what_was_confirmed_for_it() {
    let environment = virtual_fleet();
    let id = dead_in_its_bake(&environment, &[]);
    let before = traces(&environment, &id);
    for policy in ["unattended_max = 24", "unattended_max = 5"] {
        edit(&environment, "unattended_max = 24", policy);
        let yes: &[&str] = if policy.ends_with("24") { &[] } else { &["--yes"] };
        for even in [&[][..], &["--even-if-alive"]] {
            let asked = environment.run(&[&["resume", &id, "-o", "json"], yes, even].concat()).exits(6);
            let plan = asked.json();
            assert_eq!((&plan["schema"], len(&plan["batches"])), (&"safe-remove/plan/v1".into(), 3), "{plan:#}");
            let hosts: usize = (0..3).map(|n| len(&plan["batches"][n]["hosts"])).sum();
            let index = &plan["subsystems"][0];
            let (capacity, remaining, minimum) = (&index["capacity"], &index["remaining"], &index["minimum"]);
            assert_eq!((hosts, capacity, remaining, minimum), (6, &16.into(), &12.into(), &12.into()), "{plan:#}");
            for words in ["nothing was touched", &format!("safe-remove abandon {id}")] {
                assert!(asked.stderr.contains(words), "{words}: {}", asked.stderr);
            }
            assert_eq!(traces(&environment, &id), before, "no fence, and nobody is missing");
        }
    }
    edit(&environment, "unattended_max = 5", "unattended_max = 6");
    let resumed = environment.run(&["resume", &id, "--yes", "-o", "json"]).exits(0).json();
    assert_eq!((len(&resumed["terminated"]), &resumed["outcome"]), (6, &"completed".into()), "{resumed:#}");
    nothing_is_held(&environment);

    // Whoever reads of it later sees who went on with it.
    let status = environment.run(&["status", &id, "-o", "json"]).exits(0).json();
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    for run in [&status["ended"], &history["runs"][0]] {
        let by = &run["taken_over_by"];
        assert_eq!((len(by), &by[0]["how"]), (1, &"resumed".into()), "{run:#}");
        assert!(by[0]["operator"].as_str().is_some_and(|who| who.contains('@')) && by[0]["at"].is_string(), "{by:#}");
    }
    let text = environment.run(&["status", &id]).exits(0).stdout;
    assert!(text.contains("taken over") && text.contains("resumed by"), "{text}");
}

/// The plan of the journal expired long ago: it is judged as of now, by the policies and the fleet of now.
#[test]
fn s8_resume_judges_what_is_left_anew() {
    for (what, from, to, rule) in [
        ("a higher minimum", "minimum = 12", "minimum = 13", "minimum"),
        ("a smaller run", "max_hosts_per_run = 24", "max_hosts_per_run = 5", "run-size"),
        ("smaller batches", "batch = 2", "batch = 1", "plan-stale"),
        ("a reason", "[confirm]", "[confirm]\nrequire_reason = true", "reason-required"),
    ] {
        let environment = virtual_fleet();
        let id = dead_in_its_bake(&environment, &[]);
        let before = traces(&environment, &id);
        edit(&environment, from, to);
        let refused = environment.run(&["resume", &id, "--yes", "-o", "json"]).exits(3);
        let plan = refused.json();
        assert_eq!(plan["verdict"], "refused", "{what}");
        assert!(plan["violations"].as_array().expect("rules").iter().any(|v| v["rule"] == rule), "{what}: {plan:#}");
        assert!(refused.stderr.contains(&format!("safe-remove abandon {id}")), "{what}: {}", refused.stderr);
        assert_eq!(traces(&environment, &id), before, "{what}");
        environment.run(&["abandon", &id]).exits(0);
        nothing_is_held(&environment);
    }
    // The reason of whoever resumes it counts.
    let environment = virtual_fleet();
    let id = dead_in_its_bake(&environment, &["--expect-remaining", "12"]);
    edit(&environment, "[confirm]", "[confirm]\nrequire_reason = true");
    let resumed = environment.run(&["resume", &id, "--yes", "--reason", "the laptop is back"]).exits(0);
    assert!(resumed.stderr.contains("confirmed by --yes: 6"), "{}", resumed.stderr);
}

/// Double entry holds for whoever goes on, too: a host was lost by itself since.
#[test]
fn s8_resume_asks_again_for_what_was_expected_to_remain() {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 10, ..Fleet::default() }.write(&environment);
    let id = dead_in_its_bake(&environment, &["--expect-remaining", "12"]);
    let path = environment.path().join("state/fleet.json");
    let mut fleet: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a fleet")).expect("JSON");
    let hosts = fleet["hosts"].as_object_mut().expect("hosts");
    // The last of them is not among the longest-running, which go first.
    let (_, host) = hosts.iter_mut().rfind(|(id, _)| id.starts_with("index-0")).expect("a host");
    host["healthy"] = false.into();
    std::fs::write(&path, fleet.to_string()).expect("written");
    let refused = environment.run(&["resume", &id, "--yes", "-o", "json"]).exits(3).json();
    assert!(refused["violations"].to_string().contains("expectation"), "{refused:#}");
}

/// It terminates nothing, so it asks nothing.
#[test]
fn s6_resume_of_a_run_that_was_stopping_needs_no_confirmation() {
    let environment = virtual_fleet();
    let id = dead_in_its_bake(&environment, &[]);
    let mut taker = environment.command(&["abandon", &id]);
    let killed = taker.env("SAFE_REMOVE_FAULT", "kill:behind-append-stopped").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    let resumed = environment.run(&["resume", &id, "-o", "json"]).exits(9).json();
    assert_eq!((len(&resumed["terminated"]), len(&resumed["restored"])), (0, 2), "{resumed:#}");
    let how: Vec<&Value> = resumed["taken_over_by"].as_array().expect("takers").iter().map(|by| &by["how"]).collect();
    assert_eq!(how, ["abandoned", "resumed"]);
    nothing_is_held(&environment);
}

/// A retried call is a confirmation of its own, or none.
#[test]
fn s8_a_retried_call_goes_on_only_with_a_confirmation_of_its_own() {
    let environment = virtual_fleet();
    let id = dead_in_its_bake(&environment, &["--request-id", "job-4"]);
    let before = traces(&environment, &id);
    let call = ["--subsystem", "index", "--count", "6", "--request-id", "job-4", "-o", "json"];
    let asked = environment.run(&call).exits(6);
    assert_eq!(asked.json()["schema"], "safe-remove/plan/v1");
    assert!(asked.stderr.contains(&format!("safe-remove abandon {id}")), "{}", asked.stderr);
    edit(&environment, "unattended_max = 24", "unattended_max = 2");
    environment.run(&[&call[..], &["--yes"]].concat()).exits(6);
    assert_eq!(traces(&environment, &id), before);
    edit(&environment, "unattended_max = 2", "unattended_max = 24");
    let retried = environment.run(&[&call[..], &["--yes"]].concat()).exits(0).json();
    assert_eq!((&retried["run"], len(&retried["terminated"])), (&id.into(), 6), "{retried:#}");
    nothing_is_held(&environment);
}
