//! `role = "precondition"`: good before every batch, and no reason to abort the one that is out.

use crate::environment::TestEnvironment;

use super::with_probe;

/// A precondition that is good where this condition of a shell holds for the fleet's state, `$STATE`.
fn good_if(condition: &str) -> TestEnvironment {
    let environment = with_probe("");
    let fleet = environment.path().join("state/fleet.json");
    let script = environment.write("policies/probe", &format!("STATE='{}'\n{condition}\n", fleet.display()));
    let probe = format!(
        "name = \"quiet\"\nkind = \"exec\"\ncommand = [\"sh\", {:?}]\nrole = \"precondition\"\n",
        script.display().to_string()
    );
    environment.replace("policies/index.toml", "[[health.probe]]\n\n", &format!("[[health.probe]]\n{probe}"));
    environment
}

fn remove(environment: &TestEnvironment, code: i32) -> serde_json::Value {
    environment.run(&["--subsystem", "index", "--count", "4", "--yes", "-o", "json"]).exits(code).json()
}

#[test]
fn s2_a_precondition_that_is_bad_in_a_bake_aborts_nothing_and_is_in_the_journal() {
    let environment = good_if("! grep -q 'cordoned\"' $STATE");
    let run = remove(&environment, 0);
    assert_eq!(run["terminated"].as_array().expect("hosts").len(), 4);
    let run = run["run"].as_str().expect("an id");
    let report = environment.run(&["report", run, "-o", "json"]).exits(0);
    assert!(report.stdout.contains("exit status 1"), "its readings are journalled: {}", report.stdout);
}

#[test]
fn s2_a_precondition_that_is_bad_before_a_batch_keeps_it_from_beginning() {
    // Until the first host is gone.
    let environment = good_if("test $(grep -o '\"state\":' $STATE | wc -l) -ge 42");
    let run = remove(&environment, 7);
    assert_eq!(run["terminated"].as_array().expect("hosts").len(), 2, "{run:#}");
    assert_eq!(run["restored"], serde_json::json!([]), "{run:#}");
    assert_eq!(run["batches"][1]["state"], "not-started", "{run:#}");
    assert_eq!(run["cause"]["rule"], "unhealthy-now", "{run:#}");
    let message = run["cause"]["message"].as_str().expect("a message");
    assert!(message.contains("precondition index/quiet is bad: "), "{message}");
}

/// The batch could not begin for two minutes anyway.
#[test]
fn s2_a_precondition_that_recovers_within_the_interval_keeps_nothing() {
    // Five times bad once the first hosts are gone.
    let gone = "test $(grep -o '\"state\":' $STATE | wc -l) -ge 42";
    let environment = good_if(&format!("{gone} || {{ echo x >> $STATE.seen; test $(wc -l < $STATE.seen) -gt 5; }}"));
    let run = remove(&environment, 0);
    assert_eq!(run["terminated"].as_array().expect("hosts").len(), 4, "{run:#}");
}

/// As often as the policy says, and then by its name.
#[test]
fn a_precondition_may_be_bad_for_long_before_it_ends_a_run() {
    let environment = good_if("test $(grep -o '\"state\":' $STATE | wc -l) -ge 42");
    environment.replace("policies/index.toml", "role = \"precondition\"", "role = \"precondition\"\nfailures = 40");
    let run = remove(&environment, 7);
    let message = run["cause"]["message"].as_str().expect("a message");
    assert!(message.contains("precondition index/quiet is bad: ") && message.contains(" times in a row"), "{message}");
    let times = message.rsplit('(').next().and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    assert!(times.is_some_and(|times| times >= 40), "{message}");
}

#[test]
fn s3_a_precondition_that_is_bad_before_the_first_batch_refuses() {
    let environment = good_if("false");
    let plan = remove(&environment, 3);
    assert_eq!(plan["violations"][0]["rule"], "unhealthy-now", "{plan:#}");
}
