//! Every screen and document, as an operator and as a program sees it.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;

fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment
}

#[test]
fn plan_allowed() {
    let environment = fleet();
    let arguments = ["plan", "--subsystem", "index", "--count", "4", "--reason", "rack 7"];
    assert_snapshot!("plan_text", environment.show(&arguments));
    assert_snapshot!("plan_json", environment.show(&[&arguments[..], &["-o", "json"]].concat()));
    let line = environment.run(&[&arguments[..], &["-o", "ndjson"]].concat()).exits(0);
    assert_eq!(line.stdout.lines().count(), 1);
}

#[test]
fn plan_refused() {
    let environment = TestEnvironment::new();
    Fleet::default().write(&environment);
    assert_snapshot!("refused_text", environment.show(&["plan", "--subsystem", "billing", "--count", "18"]));
    let document = environment.run(&["plan", "--subsystem", "billing", "--count", "18", "-o", "json"]).exits(3).json();
    assert_snapshot!("refused_why", serde_json::to_string_pretty(&document["why"]).expect("JSON"));
    assert_snapshot!("refused_too_many", environment.show(&["plan", "--subsystem", "billing", "--count", "25"]));
    assert_snapshot!("refused_unknown", environment.show(&["plan", "--subsystem", "indx", "--count", "1"]));
    assert_snapshot!(
        "refused_hosts",
        environment.show(&["plan", "--subsystem", "index", "--host", "index-0001", "placement-0001", "index-0099"])
    );
}

#[test]
fn a_run_from_plan_to_history() {
    let environment = fleet();
    let arguments = ["--subsystem", "index", "--count", "4", "--yes", "--reason", "rack 7", "--request-id", "job-1"];
    assert_snapshot!("run_text", environment.show(&arguments));
    assert_snapshot!("run_again", environment.show(&[&arguments[..], &["-o", "json"]].concat()));
    assert_snapshot!("status_text", environment.show(&["status"]));
    assert_snapshot!("status_json", environment.show(&["status", "-o", "json"]));
    assert_snapshot!("history_text", environment.show(&["history"]));
    let run = environment.run(&["history", "-o", "json"]).exits(0).json()["runs"][0]["run"].clone();
    assert_snapshot!("status_of_an_ended_run", environment.show(&["status", run.as_str().expect("an id")]));
}

#[test]
fn an_aborted_run_says_what_is_gone_what_is_in_doubt_and_what_comes_next() {
    let environment = TestEnvironment::new();
    let events = "[[events]]\nat = \"230s\"\ndemand = { subsystem = \"index\", factor = 8.0 }\n";
    Fleet { index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write(&environment);
    assert_snapshot!(environment.show(&["--subsystem", "index", "--count", "6", "--yes"]));
}

/// A host that is held, one that its group protects, one that no policy selects: each says what stands against it.
#[test]
fn hosts() {
    let environment = fleet();
    environment.replace(
        "policies/index.toml",
        "[capacity]",
        "never = { tags = { role = [\"index-billing\"] } }\n[capacity]",
    );
    assert_snapshot!("hosts_text", environment.show(&["hosts"]));
    assert_snapshot!("hosts_json", environment.show(&["hosts", "--subsystem", "placement", "-o", "json"]));
    assert_snapshot!("hosts_unknown", environment.show(&["hosts", "--subsystem", "plcement"]));
}

#[test]
fn headroom() {
    let environment = fleet();
    assert_snapshot!("headroom_text", environment.show(&["headroom"]));
    assert_snapshot!("headroom_json", environment.show(&["headroom", "--subsystem", "placement", "-o", "json"]));
    assert_snapshot!("headroom_unknown", environment.show(&["headroom", "--subsystem", "plcement"]));
}

#[test]
fn headroom_of_what_is_not_so() {
    let environment = fleet();
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    let state = || {
        let files = std::fs::read_dir(environment.path().join("state")).expect("a directory");
        files.map(|file| file.expect("a file").path()).map(|path| (path.clone(), std::fs::read(path).ok())).collect()
    };
    let before: BTreeMap<_, _> = state();
    let minimum = ["headroom", "--subsystem", "index", "--what-if", "minimum=10"];
    assert_snapshot!("what_if_minimum", environment.show(&minimum));
    let both = [&minimum[..], &["--what-if", "zone-down=a", "--what-if=zone-down=b", "-o", "json"]].concat();
    assert_snapshot!("what_if_json", environment.show(&both));
    assert_snapshot!("what_if_zone", environment.show(&["headroom", "--what-if", "zone-down=a"]));
    assert_snapshot!("what_if_unknown_zone", environment.show(&["headroom", "--what-if", "zone-down=z"]));
    let unknown = ["headroom", "--subsystem", "indx", "--what-if", "minimum=10"];
    assert!(environment.run(&unknown).exits(3).stderr.contains("did you mean index?"));
    assert_eq!(before, state(), "a question changes nothing");
    // Without a question there is no trace of one.
    assert_eq!(environment.run(&["headroom", "-o", "json"]).exits(0).json().get("assumptions"), None);
}

#[test]
fn policy_commands() {
    let environment = fleet();
    assert_snapshot!("policy_check", environment.show(&["policy", "check"]));
    assert_snapshot!("policy_show", environment.show(&["policy", "show", "index"]));
    assert_snapshot!("policy_accept_nothing", environment.show(&["policy", "accept", "index", "--reason", "none"]));
    let schema = environment.run(&["policy", "schema"]).exits(0).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    environment.write("policies/index.toml", "name = \"index\"\nminimun = 3\n");
    assert_snapshot!("policy_check_invalid", environment.show(&["policy", "check"]));
}

#[test]
fn nothing_yet() {
    let environment = fleet();
    // Makes the fleet, and with it the time.
    environment.run(&["headroom"]).exits(0);
    assert_snapshot!("status_nothing", environment.show(&["status"]));
    assert_snapshot!("history_nothing", environment.show(&["history"]));
    assert_snapshot!("status_unknown_run", environment.show(&["status", "r-000000000000"]));
}

#[test]
fn events_end_with_the_run_document() {
    let environment = fleet();
    let ran = environment.run(&["--subsystem", "index", "--count", "2", "--yes", "-o", "ndjson"]).exits(0);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON on every line")).collect();
    let (document, events) = lines.split_last().expect("lines");
    assert_eq!(document["schema"], "safe-remove/run/v1");
    for (seq, event) in events.iter().enumerate() {
        assert_eq!(event["schema"], "safe-remove/event/v4");
        assert_eq!(event["seq"], seq);
        assert_eq!(event["run"], document["run"]);
    }
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    for name in ["run-opened", "batch-granted", "batch-cordoned", "bake-ended", "host-terminated", "run-ended"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}
