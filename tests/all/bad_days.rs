//! Bad days: each gives the exit code of the contract and a message that says what to do, and touches nothing.

use std::fs;
use std::process::Stdio;

use rexpect::process::WaitStatus;
use rexpect::session::spawn_command;

use crate::environment::{Ran, TestEnvironment, set_mode};
use crate::fleets::Fleet;
use crate::removal::{capacity, cordoned};
use crate::support::engines::{Engine, on_each_engine};

fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment
}

fn remove(environment: &TestEnvironment, more: &[&str]) -> Ran {
    environment.run(&[&["--subsystem", "index", "--yes", "-o", "json"], more].concat())
}

/// `error/v1` on stdout, and for people a message with a hint on stderr.
#[track_caller]
fn fails(ran: Ran, code: i32) -> Ran {
    let ran = ran.exits(code);
    let document = ran.json();
    assert_eq!(document["schema"], "safe-remove/error/v1", "{document:#}");
    assert_eq!(document["exit_code"], code);
    assert!(document["hint"].is_string(), "{document:#}");
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("hint: "), "{}", ran.stderr);
    ran
}

/// The rules that a refused plan names.
#[track_caller]
fn refused(ran: Ran) -> Vec<String> {
    let plan = ran.exits(3).json();
    assert_eq!(plan["schema"], "safe-remove/plan/v1");
    assert_eq!(plan["verdict"], "refused");
    let violations = plan["violations"].as_array().expect("violations");
    assert!(violations.iter().all(|v| v["message"].as_str().is_some_and(|m| !m.is_empty())));
    violations.iter().map(|v| v["rule"].as_str().expect("a rule").to_owned()).collect()
}

#[test]
fn larger_than_the_fleet_and_names_that_do_not_exist() {
    let environment = fleet();
    assert!(!refused(remove(&environment, &["--count", "1000"])).is_empty());
    assert!(!refused(remove(&environment, &["--count", &u64::MAX.to_string()])).is_empty());
    let ran = environment.run(&["--subsystem", "indexx", "--count", "1", "--yes"]).exits(3);
    assert!(ran.stderr.contains("unknown-subsystem") && ran.stderr.contains("index"), "{}", ran.stderr);
    assert!(refused(remove(&environment, &["--host", "index-0099"])).contains(&"unknown-host".to_owned()));
    assert!(refused(remove(&environment, &["--host", "placement-0001"])).contains(&"not-serving-it".to_owned()));
}

#[test]
fn s3_an_empty_selection_never_means_everything() {
    let environment = fleet();
    let arguments = ["--subsystem", "index", "--host", "-", "--yes", "-o", "json"];
    let ran = environment.run_with_stdin(&arguments, b"").exits(2);
    assert!(ran.stderr.contains("no host is named, which never means all"), "{ran:?}");
}

#[test]
fn a_dry_run_plans_the_hosts_that_stdin_names() {
    let environment = fleet();
    let of_a_plan = ["plan", "--subsystem", "index", "--host", "-", "-o", "json"];
    let of_a_removal = ["--subsystem", "index", "--host", "-", "--dry-run", "-o", "json"];
    for arguments in [&of_a_plan[..], &of_a_removal] {
        let ran = environment.run_with_stdin(arguments, b"index-0002\nindex-0001\n").exits(0);
        assert_eq!(ran.json()["request"]["hosts"], serde_json::json!(["index-0002", "index-0001"]), "{arguments:?}");
    }
}

#[test]
fn the_wrong_double_entry_is_refused() {
    let environment = fleet();
    assert!(
        refused(remove(&environment, &["--count", "2", "--expect-remaining", "17"])).contains(&"expectation".into())
    );
    remove(&environment, &["--count", "2", "--expect-remaining", "16"]).exits(0);
}

#[test]
fn s3_policies_that_cannot_be_used() {
    let missing = TestEnvironment::new();
    fails(remove(&missing, &["--count", "1"]), 4);
    fs::create_dir(missing.path().join("policies")).expect("a directory");
    fails(remove(&missing, &["--count", "1"]), 4);

    let environment = fleet();
    let policy = environment.path().join("policies/index.toml");
    let good = fs::read_to_string(&policy).expect("a policy");
    for (what, text) in [
        ("not UTF-8", b"name = \"\xff\"".to_vec()),
        ("empty", Vec::new()),
        ("a minimum above the baseline", good.replace("minimum = 12", "minimum = 99").into_bytes()),
        ("no minimum", good.replace("minimum = 12", "").into_bytes()),
        ("a cycle", good.replace("depends_on = []", "depends_on = [\"placement\"]").into_bytes()),
        ("an infinite limit", good.replace("max = 0.01", "max = inf").into_bytes()),
        ("an escape sequence", good.replace("name = \"index\"", "name = \"index\\u001b[2J\"").into_bytes()),
    ] {
        fs::write(&policy, &text).expect("written");
        let ran = fails(remove(&environment, &["--count", "1"]), 4);
        assert!(!ran.stderr.chars().any(|c| c.is_control() && c != '\n'), "{what}: {:?}", ran.stderr);
    }
    environment.write("policies/index.toml", &good);
    set_mode(&policy, 0o666);
    let ran = fails(remove(&environment, &["--count", "1"]), 4);
    assert!(ran.stderr.contains("chmod"), "{}", ran.stderr);
    assert!(!environment.path().join("state").exists(), "nothing was made");
}

/// A run whose process died in its first bake, with two hosts out of service; its id.
#[cfg(debug_assertions)]
fn dead_in_its_bake(environment: &TestEnvironment) -> String {
    let mut command =
        environment.command(&["--subsystem", "index", "--yes", "-o", "json", "--count", "2", "--request-id", "job-5"]);
    let killed = command.env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    status["runs"][0]["run"].as_str().expect("a run").to_owned()
}

/// What somebody does to a policy directory.
#[cfg(debug_assertions)]
type Breakage = fn(&std::path::Path);

/// At 3 in the morning nobody must mend a policy before a run can be looked at, stopped and put back. What goes forward
/// still needs all of them.
#[cfg(debug_assertions)]
#[test]
fn s6_a_broken_policy_stands_in_the_way_of_nothing_that_looks_stops_or_puts_back() {
    let breakages: [(&str, Breakage); 3] = [
        ("a typo", |index| fs::write(index, "name = \"index\"\nminimun = 3\n").expect("written")),
        ("a missing file", |index| fs::remove_file(index).expect("removed")),
        ("a file that anybody may write", |index| set_mode(index, 0o666)),
    ];
    for (what, breaks) in breakages {
        let environment = fleet();
        let run = dead_in_its_bake(&environment);
        breaks(&environment.path().join("policies/index.toml"));
        for forward in [
            &["plan", "--subsystem", "index", "--count", "1", "-o", "json"][..],
            &["--subsystem", "index", "--count", "1", "--yes", "-o", "json"],
            &["--subsystem", "index", "--count", "2", "--yes", "--request-id", "job-5", "-o", "json"],
            &["resume", &run, "-o", "json"],
        ] {
            fails(environment.run(forward), 4);
        }
        let status = environment.run(&["status", "-o", "json"]).exits(0).json();
        assert_eq!(status["runs"][0]["run"], run, "{what}: {status:#}");
        let warning = status["warnings"][0].as_str().expect("a warning").to_owned();
        assert!(warning.contains("index") && warning.contains("safe-remove policy check"), "{what}: {warning}");
        assert!(environment.run(&["status"]).exits(0).stdout.contains("policy check"), "{what}");
        let halted = environment.run(&["halt", "--reason", "smoke", "-o", "json"]).exits(0).json();
        assert!(halted["warnings"].to_string().contains("policy check"), "{what}: {halted:#}");
        assert_eq!(halted["result"]["runs"][0]["run"], run, "{what}: {halted:#}");
        let lifted = environment.run(&["unhalt", "--reason", "toast", "-o", "json"]).exits(0).json();
        assert_eq!(lifted["result"]["halts"], serde_json::json!([]), "{what}: {lifted:#}");
        assert!(lifted["warnings"].to_string().contains("policy check"), "{what}: {lifted:#}");

        let abandoned = environment.run(&["abandon", &run, "-o", "json"]).exits(0);
        assert!(abandoned.stderr.contains("policy check"), "{what}: {}", abandoned.stderr);
        let document = abandoned.json();
        assert_eq!(document["restored"].as_array().map(Vec::len), Some(2), "{what}: {document:#}");
        assert_eq!(document["subsystems"][0]["remaining"], 18, "by the accepted policy: {document:#}");
        let status = environment.run(&["status", "-o", "json"]).exits(0).json();
        assert_eq!((&status["runs"], crate::removal::cordoned(environment.path())), (&serde_json::json!([]), 0));
    }
}

/// Nothing is guessed where `fleet.toml` itself is wrong: it could be another fleet or another ledger.
#[cfg(debug_assertions)]
#[test]
fn s3_a_broken_fleet_toml_is_exit_4_for_what_looks_and_puts_back_too() {
    let environment = fleet();
    let run = dead_in_its_bake(&environment);
    let path = environment.path().join("policies/fleet.toml");
    let good = fs::read_to_string(&path).expect("readable");
    for bad in
        [good.replace("[ledger]", "[ledger]\nsurplus = 7"), good.replace("\"simulated\"", "\"azure\""), String::new()]
    {
        fs::write(&path, bad).expect("written");
        for command in [&["status"][..], &["abandon", &run], &["unhalt", "--reason", "toast"]] {
            let failed = fails(environment.run(&[command, &["-o", "json"]].concat()), 4);
            assert!(failed.stderr.contains("fleet.toml"), "{}", failed.stderr);
        }
        assert_eq!(crate::removal::cordoned(environment.path()), 2, "nothing was touched");
    }
}

#[test]
fn s3_a_ledger_that_cannot_be_used() {
    let environment = fleet();
    remove(&environment, &["--count", "1"]).exits(0);
    let ledger = environment.path().join("state/ledger.db");
    for name in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(environment.path().join("state").join(name));
    }
    fs::write(&ledger, b"this is no database, however long one looks at it").expect("written");
    fails(remove(&environment, &["--count", "1"]), 10);
    fails(environment.run(&["status", "-o", "json"]), 10);
    fs::remove_file(&ledger).expect("removed");
    // What lies beside it says that there was one.
    fails(remove(&environment, &["--count", "1"]), 10);
    fs::remove_file(environment.path().join("state/ledger.db-progress")).expect("removed");
    // A ledger that was deleted is another ledger: the hosts name the first.
    let ran = remove(&environment, &["--host", "index-0002"]);
    assert!(ran.stderr.contains("safe-remove ledger adopt"), "{}", ran.stderr);
    assert!(refused(ran).contains(&"foreign-ledger".to_owned()));
    remove(&environment, &["--count", "1"]).exits(3);
}

#[test]
fn a_closed_stdin_is_no_confirmation() {
    let environment = fleet();
    let ran = environment.run(&["--subsystem", "index", "--count", "1"]).exits(6);
    assert!(ran.stderr.contains("Allowed") && ran.stderr.contains("no terminal") && ran.stdout.is_empty(), "{ran:?}");
    assert!(!environment.path().join("state/ledger.db").exists());
}

#[test]
fn a_full_stdout_is_said_and_is_no_panic() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        panic!("/dev/full is needed: run the tests on Linux")
    };
    let environment = fleet();
    let dry_run = ["--subsystem", "index", "--count", "1", "--dry-run"];
    for arguments in [&["plan", "--subsystem", "index", "--count", "1"][..], &dry_run, &["headroom"], &["man"]] {
        let full = full.try_clone().expect("another handle");
        let output = environment.command(arguments).stdout(Stdio::from(full)).output().expect("it ends");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(stderr.contains("cannot be written to stdout") && !stderr.contains("panicked"), "{stderr}");
        // Whoever asked has no answer, and must not take the code for one.
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
}

/// Tags and names are other people's text.
#[test]
fn escape_sequences_in_the_fleet_never_reach_the_terminal() {
    let environment = fleet();
    let path = environment.path().join("policies/scenario.toml");
    let scenario = fs::read_to_string(&path).expect("a scenario");
    let hostile = scenario.replacen(
        "tags = { role = \"index\" }",
        "tags = { role = \"index\", Name = \"\\u001b[2J\\u202e\\u009b31m\" }",
        1,
    );
    assert_ne!(scenario, hostile);
    environment.write("policies/scenario.toml", &hostile);
    for format in ["text", "json", "ndjson"] {
        for arguments in [&["plan", "--subsystem", "index", "--count", "3"][..], &["headroom"], &["status"]] {
            let ran = environment.run(&[arguments, &["-vv", "-o", format]].concat());
            assert!(matches!(ran.code, Some(0)), "{ran:?}");
            for text in [&ran.stdout, &ran.stderr] {
                assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
            }
        }
    }
}

#[test]
fn s3_a_scenario_that_cannot_be_read_is_exit_4() {
    let environment = fleet();
    environment.write("policies/scenario.toml", "clock = \"sundial\"\n");
    fails(remove(&environment, &["--count", "1"]), 4);
}

#[test]
fn hosts_that_are_not_in_service_are_not_removable() {
    let environment = TestEnvironment::new();
    let odd = r#"[[hosts]]
pool = "odd"
count = 3
zones = ["a"]
tags = { role = "index" }
instance_type = "m6i.large"
standby = ["odd-0001"]
pending = ["odd-0002"]
terminating = ["odd-0003"]
"#;
    Fleet { index_minimum: 12, events: odd.to_owned(), ..Fleet::default() }.write(&environment);
    for (host, word) in [("odd-0001", "cordoned"), ("odd-0002", "pending"), ("odd-0003", "terminating")] {
        let ran = remove(&environment, &["--host", host]);
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
        assert!(refused(ran).contains(&"not-removable".to_owned()));
    }
}

#[test]
fn s3_a_ledger_of_a_newer_version_is_refused_and_left_alone() {
    let environment = fleet();
    remove(&environment, &["--count", "1"]).exits(0);
    let path = environment.path().join("state/ledger.db");
    let connection = rusqlite::Connection::open(&path).expect("a database");
    connection.pragma_update(None, "user_version", 9_999).expect("a newer layout");
    drop(connection);
    let before = fs::read(&path).expect("a file");
    let failed = fails(remove(&environment, &["--count", "1"]), 10);
    assert!(failed.stderr.contains("newer"), "{}", failed.stderr);
    assert_eq!(fs::read(&path).expect("a file"), before);
}

on_each_engine!(s3_a_clock_an_hour_off_is_refused_with_both_times, s7_a_clock_ten_years_ahead_is_set_right_by_a_person);

/// The virtual clock says another time from here on.
pub(crate) fn set_clock(environment: &TestEnvironment, time: &str) {
    let clock = environment.path().join("state/fleet.json.clock");
    let mut face: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&clock).expect("a clock")).expect("a clock");
    face["now"] = time.into();
    fs::write(&clock, face.to_string()).expect("written");
}

/// Behind the ledger's last write: refused with both times, and nothing was touched. (On AWS one that is ahead is told by
/// the provider: `aws::observation::s3_a_clock_that_disagrees_with_awss_stops_everything`.)
fn s3_a_clock_an_hour_off_is_refused_with_both_times(engine: Engine) {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    engine.keeps_the_ledger_of(&mut environment);
    remove(&environment, &["--count", "1"]).exits(0);
    set_clock(&environment, "2017-02-28T16:00:00Z");
    let failed = remove(&environment, &["--count", "1"]).exits(5);
    let causes = failed.json()["causes"].to_string();
    assert!(causes.contains("2017-02-28 16:") && causes.contains("2017-02-28 17:"), "{causes}");
    assert_eq!((cordoned(environment.path()), capacity(&environment, "index")), (0, 17));
    // Nobody was locked out.
    set_clock(&environment, "2017-02-28T18:00:00Z");
    remove(&environment, &["--count", "1"]).exits(0);
}

/// A clock ten years ahead wrote to the ledger; nobody but the ledger knows the time of a simulated fleet. Whoever comes
/// after it stops, looks and puts back as ever, and a person sets the time right.
fn s7_a_clock_ten_years_ahead_is_set_right_by_a_person(engine: Engine) {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    engine.keeps_the_ledger_of(&mut environment);
    remove(&environment, &["--count", "1"]).exits(0);
    set_clock(&environment, "2027-02-28T18:00:00Z");
    remove(&environment, &["--count", "1"]).exits(0);
    set_clock(&environment, "2017-02-28T18:00:00Z");
    let failed = remove(&environment, &["--count", "1"]).exits(5);
    assert!(failed.stderr.contains("ledger set-time"), "{}", failed.stderr);
    environment.run(&["halt", "--reason", "smoke"]).exits(0);
    environment.run(&["status"]).exits(0);
    environment.run(&["unhalt", "--reason", "no smoke"]).exits(0);

    let set = ["ledger", "set-time", "--reason", "the clock of ops-3 was wrong"];
    environment.run(&set).exits(6);
    for (answer, expected) in [("", 6), ("demo", 0)] {
        let mut session = spawn_command(environment.interactive(&set), Some(60_000)).expect("it starts");
        let shown = session.exp_string("Type demo to set the time").expect("the question");
        assert!(shown.contains("2027-02-28 18:") && shown.contains("2017-02-28 18:"), "{shown}");
        session.send_line(answer).expect("typed");
        session.exp_eof().expect("it ends");
        let ended = session.process().wait().expect("it ends");
        assert!(matches!(ended, WaitStatus::Exited(_, code) if code == expected), "{ended:?}");
    }
    remove(&environment, &["--count", "1"]).exits(0);
    let export = environment.run(&["ledger", "export"]).exits(0);
    assert!(export.stdout.contains("ledger-time-set") && export.stdout.contains("ops-3"), "it is recorded");
    let nothing = environment.run(&set).exits(0);
    assert!(nothing.stdout.contains("nothing to set right"), "{}", nothing.stdout);
}
