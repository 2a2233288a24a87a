//! The world beyond one fleet, one day and one run at a time: a directory that leads elsewhere, a request id of three months
//! ago, several runs side by side.

use std::fs;
use std::process::Child;
use std::time::Duration;

use safe_remove::model::Nonce;

use crate::bad_days::set_clock;
use crate::environment::{TestEnvironment, moment, ran};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned};
#[cfg(debug_assertions)]
use crate::schedules::{Stage, removal, rules, strs};
use crate::support::engines::{Engine, on_each_engine};
use crate::takeover::{REMOVE, len, nothing_is_held};

on_each_engine!(
    s9_a_request_id_of_three_months_ago_removes_nothing,
    s4_five_runs_side_by_side_go_one_batch_and_one_interval_after_the_other,
    s6_a_record_that_is_nearly_full_takes_halts_and_no_grants,
);

#[cfg(debug_assertions)]
on_each_engine!(
    s3_whoever_takes_a_run_over_from_the_directory_of_another_fleet_is_refused,
    s8_what_was_expected_to_remain_is_asked_again_where_another_run_was_quicker,
    s1_a_policy_that_a_person_accepted_is_not_written_over_by_a_run_under_way,
    s7_a_run_that_was_killed_before_its_last_line_is_shown_until_somebody_ends_it,
);

fn fleet(engine: Engine) -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    engine.keeps_the_ledger_of(&mut environment);
    environment
}

/// The hosts of a fleet, each with its state.
fn hosts(environment: &TestEnvironment, state: &str) -> String {
    let text = fs::read_to_string(environment.path().join(state)).expect("a fleet");
    let fleet: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    fleet["hosts"].to_string()
}

/// A copy of the directory, with the ledger's and the fleet's name, of which the provider is another fleet.
#[cfg(debug_assertions)]
fn s3_whoever_takes_a_run_over_from_the_directory_of_another_fleet_is_refused(engine: Engine) {
    let environment = fleet(engine);
    let remove = [&REMOVE[..], &["--host", "index-0001", "--host", "index-0004", "--request-id", "job-1"]].concat();
    let killed = environment
        .command(&remove)
        .env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned")
        .output()
        .expect("it starts");
    assert_eq!((killed.status.code(), cordoned(environment.path())), (None, 2));
    let run = crate::takeover::run_id(&environment);

    for name in ["fleet.toml", "scenario.toml", "index.toml", "placement.toml", "billing.toml"] {
        let text = fs::read_to_string(environment.path().join("policies").join(name)).expect("a file");
        environment.write(&format!("other/{name}"), &text.replace("../state/fleet.json", "../elsewhere/fleet.json"));
    }
    // Its own first look makes the other fleet.
    environment.run(&["plan", "--subsystem", "index", "--count", "1", "--policies", "other"]);
    let before = (hosts(&environment, "state/fleet.json"), hosts(&environment, "elsewhere/fleet.json"));
    let journal = environment.run(&["ledger", "export"]).exits(0).json()["journals"].to_string();
    for verb in [&["abandon", &run][..], &["resume", &run, "--yes"], &remove] {
        let refused = environment.run(&[verb, &["--policies", "other"]].concat()).exits(5);
        assert_eq!(refused.stderr.matches("the fleet simulated, id ").count(), 2, "both are named: {}", refused.stderr);
        assert_eq!((hosts(&environment, "state/fleet.json"), hosts(&environment, "elsewhere/fleet.json")), before);
        assert_eq!(environment.run(&["ledger", "export"]).exits(0).json()["journals"].to_string(), journal);
    }
    environment.run(&["abandon", &run]).exits(0);
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 18));
    nothing_is_held(&environment);
}

/// The record forgets in 91 days; the journal does not.
fn s9_a_request_id_of_three_months_ago_removes_nothing(engine: Engine) {
    let environment = fleet(engine);
    let job = [&REMOVE[..], &["--host", "index-0001", "--request-id", "deploy-1"]].concat();
    let first = environment.run(&job).exits(0).json();
    set_clock(&environment, "2017-05-31T17:00:00Z");
    for _ in 0..2 {
        environment.run(&[&REMOVE[..], &["--count", "1"]].concat()).exits(0);
    }
    let before = hosts(&environment, "state/fleet.json");
    for _ in 0..2 {
        let again = environment.run(&job).exits(0).json();
        assert_eq!((&again["run"], &again["terminated"]), (&first["run"], &serde_json::json!(["index-0001"])));
        assert_eq!(hosts(&environment, "state/fleet.json"), before);
        nothing_is_held(&environment);
    }
}

/// A shell loop does not defeat "remove capacity more slowly".
fn s4_five_runs_side_by_side_go_one_batch_and_one_interval_after_the_other(engine: Engine) {
    let environment = fleet(engine);
    let policy = fs::read_to_string(environment.path().join("policies/index.toml")).expect("a policy");
    let slow = policy.replace("batch = 2", "batch = 1").replace("interval = \"2m\"", "interval = \"1h\"");
    assert_ne!(slow, policy);
    environment.write("policies/index.toml", &slow);
    let names = ["index-0001", "index-0002", "index-0003", "index-0004", "index-0005"];
    let start = |host: &str| -> Child {
        let arguments = [&REMOVE[..], &["--host", host, "--max-wait", "12h"]].concat();
        environment.command(&arguments).spawn().expect("it starts")
    };
    let children: Vec<Child> = names.into_iter().map(start).collect();
    let mut batches: Vec<_> = children
        .into_iter()
        .map(|child| {
            let document = ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(0).json();
            assert_eq!(len(&document["terminated"]), 1, "{document:#}");
            let batch = &document["batches"][0];
            (moment(&batch["cordoned_at"]), moment(&batch["terminated_at"]))
        })
        .collect();
    batches.sort();
    for (earlier, later) in batches.iter().zip(&batches[1..]) {
        let turn = earlier.1.plus(Duration::from_secs(3600));
        assert!(later.0 >= turn, "cordoned at {}, before {turn}", later.0);
    }
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 13));
}

/// Point 6 (a): above three quarters of what the engine takes nothing is granted, and the button still works. A file takes
/// whatever a record can have.
fn s6_a_record_that_is_nearly_full_takes_halts_and_no_grants(engine: Engine) {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let place = engine.keeps_the_ledger_of(&mut environment);
    let remove = [&REMOVE[..], &["--count", "1"]].concat();
    environment.run(&remove).exits(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // So many bytes are put into what the record keeps for good.
    let fill = |quarters: u64| {
        runtime.block_on(async {
            let ledger = place.open().await;
            let (version, mut record) = ledger.read().await.expect("reads");
            let most = ledger.room().unwrap_or(400 << 10);
            let size = usize::try_from(most / 4 * quarters).expect("a size");
            record.accepted.get_mut("index").expect("a policy").reason = Some("x".repeat(size));
            let nonce = Nonce::new(uuid::Uuid::new_v4().to_string());
            ledger.compare_and_swap(version, &record, &nonce).await.expect("writes");
            ledger.room().is_some()
        })
    };
    if fill(3) {
        let full = environment.run(&remove).exits(10);
        assert!(full.stderr.contains("three quarters"), "{}", full.stderr);
    } else {
        environment.run(&remove).exits(0);
    }
    let before = capacity(&environment, "index");
    assert_eq!(cordoned(environment.path()), 0);
    environment.run(&["halt", "--reason", "smoke"]).exits(0);
    environment.run(&remove).exits(3);
    environment.run(&["unhalt", "--reason", "no smoke"]).exits(0);
    fill(0);
    environment.run(&remove).exits(0);
    assert_eq!(capacity(&environment, "index"), before - 1);
    nothing_is_held(&environment);
}

/// Point 6 (c): it was true when the run was planned.
#[cfg(debug_assertions)]
fn s8_what_was_expected_to_remain_is_asked_again_where_another_run_was_quicker(engine: Engine) {
    let stage = Stage::on(engine, 12);
    let expecting = ["--expect-remaining", "17"];
    let slower = stage.stopped(&removal(&["index-0001"], &expecting), "stop:before-change-grant");
    stage.run(&[&REMOVE[..], &["--host", "index-0004"]].concat());
    // It lost a race, and its plan says nothing of that. Asked again, the policies' word is another.
    let lost = slower.wakes_and_ends().exits(10).json();
    assert!(lost["causes"][0].as_str().is_some_and(|why| why.starts_with("16 hosts of index would")), "{lost:#}");
    let refused = stage.run(&strs(&removal(&["index-0001"], &expecting))).exits(3).json();
    assert!(rules(&refused).contains("expectation"), "{refused:#}");
    assert_eq!((stage.serving(), stage.cordoned()), (17, 0), "the quicker one's host and no other");
    stage.is_tidy();
}

/// Point 6 (h): the run goes by its own policies, which are stricter, and leaves what a person has accepted since.
#[cfg(debug_assertions)]
fn s1_a_policy_that_a_person_accepted_is_not_written_over_by_a_run_under_way(engine: Engine) {
    let stage = Stage::on(engine, 12);
    let hosts = ["index-0001", "index-0004", "index-0007"];
    let run = stage.stopped(&removal(&hosts, &[]), "stop:behind-append-batch-terminated");
    stage.environment.replace("policies/index.toml", "minimum = 12", "minimum = 11");
    let accept = ["policy", "accept", "index", "--reason", "two racks are retired"];
    let mut session =
        rexpect::session::spawn_command(stage.environment.interactive(&accept), Some(60_000)).expect("starts");
    session.exp_string("Type index to accept").expect("the question");
    session.send_line("index").expect("typed");
    session.exp_eof().expect("it ends");
    let accepted = || stage.run(&["ledger", "export"]).exits(0).json()["record"]["accepted"]["index"].clone();
    let before = accepted();
    assert_eq!((&before["reason"], &before["policy"]["capacity"]["minimum"]), (&accept[4].into(), &11.into()));
    let document = run.wakes_and_ends().exits(0).json();
    assert_eq!(len(&document["batches"]), 2, "a grant followed: {document:#}");
    assert_eq!(accepted(), before);
    stage.is_tidy();
}

/// Point 6 (g): its host is gone, and nothing says so but its journal.
#[cfg(debug_assertions)]
fn s7_a_run_that_was_killed_before_its_last_line_is_shown_until_somebody_ends_it(engine: Engine) {
    let environment = fleet(engine);
    let mut remove = environment.command(&[&REMOVE[..], &["--host", "index-0001"]].concat());
    let killed = remove.env("SAFE_REMOVE_FAULT", "kill:before-append-run-ended").output().expect("it starts");
    assert_eq!((killed.status.code(), capacity(&environment, "index")), (None, 17));
    let run = crate::takeover::run_id(&environment);
    for status in [&["status", "-o", "json"][..], &["status", &run, "-o", "json"]] {
        let status = environment.run(status).exits(0).json();
        assert_eq!(status["runs"][0]["next_command"], format!("safe-remove abandon {run}"), "{status:#}");
    }
    let document = environment.run(&["abandon", &run, "-o", "json"]).exits(0).json();
    assert_eq!((&document["outcome"], len(&document["terminated"])), (&"completed".into(), 1), "{document:#}");
    let history = environment.run(&["history", "-o", "json"]).exits(0).json();
    assert_eq!(history["runs"][0]["run"], run.as_str(), "{history:#}");
    nothing_is_held(&environment);
}
