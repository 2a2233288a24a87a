//! A run that is killed, or stopped, at every step of its way (`src/driver/fault.rs`), and the process that takes it over.

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::environment::{Ran, TestEnvironment, ran};
use crate::fleets::Fleet;
use crate::removal::{cordoned, signal};
use crate::support::engines::{Engine, on_each_engine};

/// More than the run has.
const MOST: u64 = 300;
const HOSTS: [&str; 2] = ["index-0001", "index-0004"];
const REMOVE: [&str; 8] = ["--subsystem", "index", "--yes", "--output=json", "--host", HOSTS[0], "--host", HOSTS[1]];

on_each_engine!(
    s9_killed_at_every_point_and_resumed_by_another_process,
    s7_killed_at_every_point_and_abandoned_by_another_process,
    s7_killed_and_abandoned_by_a_process_that_loses_the_ledger,
    s9_stopped_at_points_of_every_kind_and_woken_up_after_the_takeover,
);

/// Every point where a ledger is a file, so many times fewer where each call of it crosses a network: the points are the
/// run's, the same on all engines.
fn sparse(engine: Engine, every: u64) -> u64 {
    match engine {
        Engine::File => every,
        #[cfg(feature = "etcd")]
        Engine::Etcd => 5 * every,
        #[cfg(feature = "dynamodb")]
        Engine::DynamoDb => 5 * every,
    }
}

/// A fleet whose waits take no time, and the run that is told to end there.
fn removal(engine: Engine, fault: &str) -> (TestEnvironment, Command) {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    engine.keeps_the_ledger_of(&mut environment);
    let mut command = environment.command(&REMOVE);
    command.env("SAFE_REMOVE_FAULT", fault);
    (environment, command)
}

/// How many of the hosts the fleet itself still has, and how many hosts are out of service, whatever the ledger says.
fn fleet_has(environment: &TestEnvironment) -> (usize, usize) {
    let text = std::fs::read_to_string(environment.path().join("state/fleet.json")).expect("a fleet");
    let left = HOSTS.iter().filter(|host| text.contains(&format!("\"{host}\""))).count();
    (left, cordoned(environment.path()))
}

/// The run that the record knows, if it knows one. Its journal begins before it stands there.
fn known(environment: &TestEnvironment) -> Option<String> {
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    let run = status["runs"].get(0)?;
    assert!(run["last_record_at"].is_string(), "a run on record without a journal: {run:#}");
    Some(run["run"].as_str().expect("an id").to_owned())
}

#[track_caller]
fn nothing_is_held(environment: &TestEnvironment, why: &str) {
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(status["runs"], Value::Array(Vec::new()), "{why}: {status:#}");
    assert_eq!(fleet_has(environment).1, 0, "{why}: something is left out of service");
}

/// Tells the story of every point, from the first to the one that the run does not reach, on a few threads.
fn at_every_point(every: u64, story: impl Fn(u64) -> bool + Sync) {
    let (next, told) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let point = next.fetch_add(every, Ordering::Relaxed);
                    assert!(point < MOST, "the run does not end");
                    if !story(point) {
                        return;
                    }
                    told.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(told.into_inner() * every > 50, "the points of a whole run");
}

/// The run, killed at the point; `None` where it came to its end before.
fn killed(engine: Engine, point: u64) -> Option<TestEnvironment> {
    let (environment, mut command) = removal(engine, &format!("kill:{point}"));
    let run = ran(&REMOVE, command.output().expect("it starts"));
    if run.code.is_some() {
        run.exits(0);
        return None;
    }
    Some(environment)
}

fn s9_killed_at_every_point_and_resumed_by_another_process(engine: Engine) {
    at_every_point(sparse(engine, 1), |point| {
        let Some(environment) = killed(engine, point) else { return false };
        let why = format!("killed at point {point}");
        match known(&environment) {
            // Before it stands in line, and behind its last word: there is nothing to go on with.
            None => assert!(matches!(fleet_has(&environment), (2 | 0, 0)), "{why}"),
            Some(run) => {
                let document = environment.run(&["resume", &run, "--yes", "-o", "json"]).exits(0).json();
                assert_eq!(document["terminated"], serde_json::json!(HOSTS), "{why}: {document:#}");
                assert_eq!(
                    (&document["outcome"], &document["in_doubt"]),
                    (&"completed".into(), &serde_json::json!([]))
                );
                assert_eq!(fleet_has(&environment), (0, 0), "{why}");
            }
        }
        nothing_is_held(&environment, &why);
        true
    });
}

fn s7_killed_at_every_point_and_abandoned_by_another_process(engine: Engine) {
    at_every_point(sparse(engine, 1), |point| {
        let Some(environment) = killed(engine, point) else { return false };
        let why = format!("killed at point {point}");
        match known(&environment) {
            None => assert!(matches!(fleet_has(&environment), (2 | 0, 0)), "{why}"),
            Some(run) => {
                let document = environment.run(&["abandon", &run, "-o", "json"]).exits(0).json();
                // A run that had said its last word is shown as it said it.
                let said = if document["result"].is_object() { &document["result"]["ended"] } else { &document };
                let gone = said["terminated"].as_array().map(Vec::len).unwrap_or_else(|| panic!("{why}: {document:#}"));
                assert_eq!(
                    (fleet_has(&environment), &said["in_doubt"]),
                    ((2 - gone, 0), &serde_json::json!([])),
                    "{why}"
                );
            }
        }
        nothing_is_held(&environment, &why);
        true
    });
}

/// Point 6 (f): whoever takes the run over loses the ledger for good, at each of its own points. It says so (8, 10), never
/// that it failed within itself (1), and the next one ends the run.
fn s7_killed_and_abandoned_by_a_process_that_loses_the_ledger(engine: Engine) {
    for (step, every) in [("behind-append-batch-granted", 2), ("behind-append-batch-cordoned", 5)] {
        let mut ends = BTreeSet::new();
        for point in (0..MOST).step_by(usize::try_from(sparse(engine, every)).expect("small")) {
            let (environment, mut command) = removal(engine, &format!("kill:{step}"));
            assert_eq!(command.output().expect("it starts").status.code(), None, "{step}");
            let run = known(&environment).expect("it is under way");
            let mut taker = environment.command(&["abandon", &run]);
            taker.env("SAFE_REMOVE_FAULT", format!("cut:{point}"));
            let taken = ran(&["abandon", &run], taker.output().expect("it starts"));
            let why = format!("{step}, then cut at {point}: {:?}\n{}", taken.code, taken.stderr);
            assert!(matches!(taken.code, Some(0 | 8 | 10)), "{why}");
            if known(&environment).is_some() {
                environment.run(&["abandon", &run]).exits(0);
            }
            nothing_is_held(&environment, &why);
            assert_eq!(fleet_has(&environment), (2, 0), "{why}");
            ends.insert(taken.code);
            if taken.code == Some(0) {
                break;
            }
        }
        assert!(ends.contains(&Some(0)) && ends.len() > 1, "{step}: {ends:?}");
    }
}

/// The process that takes over is killed too, at each of its own points; a third one ends it.
#[test]
fn s9_a_taker_that_is_killed_leaves_the_run_to_the_next() {
    // In the bake; behind the first terminate.
    for first in [30, 45] {
        at_every_point(6, |point| {
            let environment = killed(Engine::File, first).expect("the run is longer");
            let run = known(&environment).expect("it is under way");
            let mut taker = environment.command(&["resume", &run, "--yes"]);
            let taken =
                ran(&["resume"], taker.env("SAFE_REMOVE_FAULT", format!("kill:{point}")).output().expect("starts"));
            if taken.code.is_some() {
                taken.exits(0);
                return false;
            }
            let why = format!("killed at point {first}, its taker at {point}");
            if known(&environment).is_some() {
                environment.run(&["resume", &run, "--yes"]).exits(0);
            }
            assert_eq!(fleet_has(&environment), (0, 0), "{why}");
            nothing_is_held(&environment, &why);
            true
        });
    }
}

/// Whether the process was stopped; false where it ended.
pub(crate) fn is_stopped(child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        if stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('T')) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it neither ends nor stops");
}

/// Stopped in the middle of a step, woken up when another process has ended its run.
fn s9_stopped_at_points_of_every_kind_and_woken_up_after_the_takeover(engine: Engine) {
    at_every_point(sparse(engine, 7), |point| {
        let (environment, mut command) = removal(engine, &format!("stop:{point}"));
        let mut child = command.spawn().expect("it starts");
        if !is_stopped(&mut child) {
            ran(&REMOVE, child.wait_with_output().expect("it ended")).exits(0);
            return false;
        }
        let why = format!("stopped at point {point}");
        let known = known(&environment);
        let left = match &known {
            None => None,
            Some(run) => {
                let verb = if point % 2 == 0 { &["resume", "--yes"][..] } else { &["abandon"] };
                let taker = environment.run(&[verb, &[run, "--even-if-alive", "-o", "json"]].concat()).exits(0).json();
                // Its process had said its last word, and nobody has to take from it what is over.
                let had_ended = taker["result"].is_object() || taker["taken_over_by"] == serde_json::json!([]);
                (!had_ended).then(|| fleet_has(&environment))
            }
        };
        signal(&child, "-CONT");
        let zombie: Ran = ran(&REMOVE, child.wait_with_output().expect("it ends"));
        match left {
            // Nobody could take it over: it was not granted anything yet, or had said its last word.
            None => _ = zombie.exits(0),
            Some(left) => {
                assert!(matches!(zombie.code, Some(8 | 10)), "{why}: {zombie:?}");
                assert!(
                    zombie.stdout.contains("resumed by") || zombie.stdout.contains("abandoned by"),
                    "{why}: {zombie:?}"
                );
                assert_eq!(fleet_has(&environment), left, "{why}: the zombie did something");
            }
        }
        nothing_is_held(&environment, &why);
        true
    });
}
