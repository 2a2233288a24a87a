//! Hosts that do not serve: which of them are idle for sure, which may still get work, and when nothing goes at all.

use serde_json::Value;

use crate::environment::{START, TestEnvironment, words};
use crate::fleets::FLEET_TOML;
#[cfg(debug_assertions)]
use crate::removal::cordoned;

/// Nine hosts of `web`, in the states that `hosts` gives them, and more of the scenario and of `[pace]`.
fn fleet(minimum: u64, pace: &str, hosts: &str, events: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.write("policies/fleet.toml", FLEET_TOML);
    environment.write(
        "policies/scenario.toml",
        &format!(
            r#"clock = "virtual"
start = "{START}"
[[hosts]]
pool = "web"
count = 9
zones = ["a", "b", "c"]
tags = {{ role = "web" }}
{hosts}
{events}"#
        ),
    );
    environment.write(
        "policies/web.toml",
        &format!(
            r#"name = "web"
[hosts]
tags = {{ role = ["web"] }}
[capacity]
baseline = 9
minimum = {minimum}
[pace]
max_hosts_per_run = 9
batch = 3
interval = "1m"
budgets = [{{ hosts = 9, per = "1h" }}]
{pace}
[health]
bake = "1m"
every = "10s"
[[health.probe]]
name = "errors"
kind = "simulated"
metric = "error_rate"
max = 0.01
[confirm]
unattended_max = 9
"#
        ),
    );
    environment
}

const ALL: &str = "['web-0001', 'web-0002', 'web-0003', 'web-0004', 'web-0005', 'web-0006', 'web-0007', 'web-0008', \
                   'web-0009']";
const NO_LIMIT: &str = "max_unserving = \"100%\"";

fn rules(plan: &Value) -> Vec<&str> {
    let violations = plan["violations"].as_array().expect("violations");
    violations.iter().map(|violation| violation["rule"].as_str().expect("a name")).collect()
}

fn hosts(plan: &Value) -> Vec<&Value> {
    let batches = plan["batches"].as_array().expect("batches");
    batches.iter().flat_map(|batch| batch["hosts"].as_array().expect("hosts")).collect()
}

#[test]
fn s1_where_nothing_serves_and_nobody_knows_why_nothing_goes() {
    let environment = fleet(6, NO_LIMIT, &format!("doubtful = {ALL}"), "");
    let refused = environment.run(&["--subsystem", "web", "--count", "6", "--yes", "-o", "json"]).exits(3);
    let plan = refused.json();
    assert_eq!((rules(&plan), &plan["largest_allowed_count"]), (vec!["minimum"], &Value::from(0)));
    assert!(hosts(&plan).iter().all(|host| host["serving"] == false && host["doubtful"] == true), "{plan:#}");
    assert!(refused.stderr.contains("minimum (web)"), "{}", refused.stderr);
    let named = environment.run(&["--subsystem", "web", "--host", "web-0001", "--yes"]).exits(3);
    assert!(named.stdout.contains("host web-0001 is unhealthy and may still get work"), "{}", named.stdout);
    let words = words(&named.stdout);
    assert!(words.contains("1 host that would go is unhealthy and may still get work"), "{words}");
    assert!(words.contains("warning host web-0001 is unhealthy and may still get work"), "{words}");
}

#[test]
fn slack_2021_too_many_that_do_not_serve_stop_a_count_unless_the_policy_says_otherwise() {
    let unhealthy = "unhealthy = ['web-0001', 'web-0002']";
    let environment = fleet(6, "", unhealthy, "");
    // The default of 20% is not even two of nine.
    let refused = environment.run(&["--subsystem", "web", "--count", "2", "--yes", "-o", "json"]).exits(3).json();
    assert_eq!(rules(&refused), ["too-many-unserving"]);
    assert!(environment.run(&["policy", "show"]).exits(0).stdout.contains("max_unserving      20%"));
    // They are what is wrong, and may be named; a host that serves is another matter.
    let beside = ["--subsystem", "web", "--host", "web-0001", "--host", "web-0003", "--yes", "-o", "json"];
    assert_eq!(rules(&environment.run(&beside).exits(3).json()), ["too-many-unserving"]);
    let named = ["--subsystem", "web", "--host", "web-0001", "--host", "web-0002", "--yes", "-o", "json"];
    let run = environment.run(&named).exits(0).json();
    assert_eq!(run["terminated"].as_array().map(Vec::len), Some(2), "{run:#}");

    let environment = fleet(7, NO_LIMIT, unhealthy, "");
    let run = environment.run(&["--subsystem", "web", "--count", "2", "--yes", "-o", "json"]).exits(0).json();
    assert_eq!(run["terminated"], serde_json::json!(["web-0001", "web-0002"]), "what is idle costs nothing");
}

#[test]
fn what_may_still_get_work_is_free_above_the_minimum_and_never_goes_first() {
    let environment = fleet(7, NO_LIMIT, "doubtful = ['web-0001']", "");
    let plan = environment.run(&["plan", "--subsystem", "web", "--count", "1", "-o", "json"]).exits(0).json();
    assert_eq!(hosts(&plan)[0]["serving"], true, "{plan:#}");
    assert_eq!(hosts(&plan)[0].get("doubtful"), None, "{plan:#}");
    let named = ["plan", "--subsystem", "web", "--host", "web-0001", "-o", "json"];
    let plan = environment.run(&named).exits(0).json();
    assert_eq!(
        (&hosts(&plan)[0]["doubtful"], &plan["subsystems"][0]["remaining"]),
        (&Value::from(true), &Value::from(8))
    );
}

#[test]
fn s1_a_host_that_becomes_doubtful_in_a_bake_is_no_capacity_any_more() {
    let doubt = "[[events]]\nat = '40s'\ndoubt = ['web-0009']\n[[events]]\nat = '10m'\nrecover = ['web-0009']\n";
    let environment = fleet(6, NO_LIMIT, "", doubt);
    let run = environment.run(&["--subsystem", "web", "--count", "3", "--yes", "-o", "json"]).exits(7).json();
    assert_eq!(
        (&run["cause"]["kind"], &run["cause"]["rule"]),
        (&Value::from("rule"), &Value::from("minimum")),
        "{run:#}"
    );
    assert_eq!(run["restored"].as_array().map(Vec::len), Some(3), "{run:#}");
}

/// Its run died while it was out. That it did not serve was never established, so it is not free to take now either.
#[cfg(debug_assertions)]
#[test]
fn s1_a_host_of_doubt_that_is_out_is_of_doubt_still_when_its_run_is_resumed() {
    let environment = fleet(7, NO_LIMIT, "doubtful = ['web-0001']", "");
    let remove = ["--subsystem", "web", "--host", "web-0001", "--yes", "-o", "json"];
    let killed = environment
        .command(&remove)
        .env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned")
        .output()
        .expect("it starts");
    assert_eq!((killed.status.code(), cordoned(environment.path())), (None, 1));
    let run = crate::takeover::run_id(&environment);
    // Eight are capacity; from now on nine must remain.
    let policy = std::fs::read_to_string(environment.path().join("policies/web.toml")).expect("a policy");
    environment.write("policies/web.toml", &policy.replace("minimum = 7", "minimum = 9"));
    let refused = environment.run(&["resume", &run, "--yes", "-o", "json"]).exits(3).json();
    assert_eq!(rules(&refused), ["minimum"], "{refused:#}");
    environment.run(&["abandon", &run]).exits(0);
    assert_eq!(cordoned(environment.path()), 0);
}

/// Above the minimum it may go. Where the subsystem turns short meanwhile it may be all that there is.
#[test]
fn s1_a_host_of_doubt_that_is_out_is_put_back_where_its_subsystem_turns_short() {
    let fails = "[[events]]\nat = '40s'\nfail = ['web-0008', 'web-0009']\n";
    let environment = fleet(7, NO_LIMIT, "doubtful = ['web-0001']", fails);
    let run = environment.run(&["--subsystem", "web", "--host", "web-0001", "--yes", "-o", "json"]).exits(7).json();
    assert_eq!(run["cause"]["rule"], "minimum", "{run:#}");
    assert_eq!(run["restored"], serde_json::json!(["web-0001"]), "{run:#}");
}
