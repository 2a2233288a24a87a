//! What a run says behind its end, while it reads its probes on and once it has: nothing is concluded too early.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::environment::{TestEnvironment, ran};
use crate::fleets::Fleet;
use crate::removal::{cordoned, signal, wait_until};
use crate::support::terminal::Terminal;

const REMOVE: [&str; 7] = ["--subsystem", "index", "--count", "2", "--yes", "-o", "json"];

/// Demand grows eightfold two seconds after the cordon, and falls seven seconds later: some time after the hosts are back.
fn fleet(bake: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    let event = |at: &str, factor: &str| {
        format!(
            "[[events]]\nafter = {{ pool = \"index\", cordoned = 2 }}\nat = \"{at}\"\n\
             demand = {{ subsystem = \"index\", factor = {factor} }}\n"
        )
    };
    let events = event("2s", "8.0") + &event("9s", "0.125");
    Fleet { clock: "1", index_minimum: 12, events, ..Fleet::default() }.write_quick(&environment);
    for name in ["index", "placement", "billing"] {
        environment.replace(&format!("policies/{name}.toml"), "bake = \"6s\"", &format!("bake = \"{bake}\""));
    }
    environment
}

fn start(environment: &TestEnvironment) -> Child {
    environment.command(&REMOVE).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Waits until the run has ended, and gives its document in `history`.
fn ended(environment: &TestEnvironment) -> Value {
    let begun = Instant::now();
    loop {
        let history = environment.run(&["history", "-o", "json"]).json();
        if let Some(run) = history["runs"].get(0) {
            return run.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What everybody says of a run.
fn said(environment: &TestEnvironment, id: &str) -> [String; 3] {
    [&["status", id][..], &["status", id, "--watch"], &["report", id]]
        .map(|arguments| environment.run(arguments).stdout.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn while_a_run_reads_on_nobody_says_what_it_was() {
    let environment = fleet("12s");
    let child = start(&environment);
    let run = ended(&environment);
    let id = run["run"].as_str().expect("an id").to_owned();
    std::thread::sleep(Duration::from_secs(1));
    for text in said(&environment, &id) {
        assert!(text.contains("bad") && text.contains("The probes are read until 20"), "{text}");
        assert!(!text.contains("not the cause") && !text.contains("for only"), "{text}");
    }
    let status = environment.run(&["status", &id, "-o", "json"]).json();
    let recovery = &status["ended"]["recovery"];
    assert_eq!(recovery["state"], "read-in-part", "{recovery:#}");
    assert!(recovery["reads_until"].is_string(), "{recovery:#}");
    let document = ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(7).json();
    assert_eq!(document["recovery"]["state"], "recovered", "{document:#}");
    for text in said(&environment, &id) {
        assert!(text.contains("the readings recovered") && !text.contains("read until"), "{text}");
    }
}

/// A person who pressed Ctrl-C is told that everything is back, until when it reads on, and how to end that.
#[test]
fn ctrl_c_restores_and_reads_on_until_one_more_ctrl_c() {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    environment.replace("policies/index.toml", "bake = \"6s\"", "bake = \"60s\"");
    let mut live = Terminal::open(&environment, &["--subsystem", "index", "--count", "2", "--yes"], 80);
    live.see("baking: index-0001");
    live.interrupt();
    live.see("reading on until");
    let begun = Instant::now();
    live.interrupt();
    let ended = live.end();
    let text = ended.rows.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(ended.code, 9, "{text}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for words in ["ended, every cordoned host is back; reading on until", "(Ctrl-C or SIGTERM ends this at once)"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Before the first round, or after a few.
    assert!(text.contains("not read once") || text.contains("read for only"), "{text}");
}

/// The terminal is gone, and nobody waits: the journal has its readings to one bake after the last restore.
#[test]
fn a_run_that_lost_its_terminal_reads_on_to_the_end() {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write_quick(&environment);
    let mut child = start(&environment);
    wait_until(&mut child, "the cordon", || cordoned(environment.path()) == 2);
    signal(&child, "-HUP");
    wait_until(&mut child, "the restore", || cordoned(environment.path()) == 0);
    let run = ended(&environment);
    signal(&child, "-HUP");
    let document = ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(9).json();
    assert_eq!((&document["run"], &document["recovery"]["state"]), (&run["run"], &"never-bad".into()), "{document:#}");
    assert!(document["recovery"]["read_ms"].as_u64() >= document["recovery"]["bake_ms"].as_u64(), "{document:#}");
}

#[test]
fn what_was_read_for_too_short_a_time_is_not_known_for_good() {
    let environment = fleet("60s");
    let child = start(&environment);
    let run = ended(&environment);
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, "-INT");
    let document = ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(7).json();
    assert_eq!(document["recovery"]["state"], "read-in-part", "{document:#}");
    for text in said(&environment, run["run"].as_str().expect("an id")) {
        assert!(text.contains("They were read for only") && text.contains("of 1m: what follows"), "{text}");
        assert!(!text.contains("not the cause") && !text.contains("read until"), "{text}");
    }
}
