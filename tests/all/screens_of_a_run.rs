//! A run's screens while it goes on: live, asking, paused, stopping, and where hosts cannot be put back. Drawn by an
//! emulator of 60, 80 and 120 columns, and compared whole.

use std::fmt::Write as _;
use std::time::Duration;

use insta::assert_snapshot;

use crate::environment::{TestEnvironment, ran, words};
use crate::fleets::Fleet;
use crate::removal::{cordoned, signal, wait_until};
use crate::support::terminal::{COLUMNS, Terminal, keeps_to, one_line};

const REMOVE: [&str; 7] = ["--subsystem", "index", "--count", "2", "--yes", "-o", "json"];

/// Restores that the provider refuses, whoever asks.
const NO_WAY_BACK: &str = "[[faults]]\ncall = \"restore\"\nevery = 1\nerror = \"throttled\"\n";

/// Eighteen hosts, on a clock that is twenty times as fast as ours.
fn fast(events: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { clock: "20", index_minimum: 12, events: events.to_owned(), ..Fleet::default() }.write(&environment);
    environment
}

/// What every drawing of a screen has in common: no time, no duration, no count of tries, no samples so far, not how far the
/// bar is, no call that is under way at that moment, and nothing that differs from machine to machine. Messages are one line
/// each, because they break elsewhere where a time is longer.
fn still(environment: &TestEnvironment, rows: &[String]) -> String {
    let mut text = environment.steady(&rows.join("\n"));
    for (pattern, with) in [
        (r"[⠁-⣿]( [░█]+)?", "[BAR]"),
        (r"  [▁▂▃▄▅▆▇█]+", ""),
        (r"20[0-9]{2}-[0-9]{2}-[0-9]{2}\s+[0-9:]{8}\s+UTC", "[AT]"),
        (r"\b([0-9]+[hms]\s*)+\s+left", "[SPAN] left"),
        (r"tried\s+[0-9]+\s+times?", "tried [N] times"),
        (r"in ([0-9]+[hms] )+if", "in [SPAN] if"),
        (r"in\s+([0-9]+[hms]\s*)+\s+\(([0-9]+[hms]\s*)+\s+of\s+yours\)", "in [SPAN] ([SPAN] of yours)"),
        (r"(?m)^call  .*\n(?:            .*\n)*", ""),
        (r"(?m)^(readings    ).*(The probes are read until).*$", "$1[RECOVERY] $2 [AT]"),
        (r"On [^ ,]+, `fg`", "On [MACHINE], `fg`"),
        (r"`kill -(CONT|TERM) [0-9]+`", "`kill -$1 [PID]`"),
        (r"and [0-9]+ more lines", "and [N] more lines"),
        // Its columns are as wide as the operator's name.
        (r"(?s)(?:halted {2,}since|the whole fleet\n).*?(to lift the whole)", "[HALTS]\n$1"),
    ] {
        let pattern = regex::Regex::new(pattern).expect("a pattern of this file");
        text = pattern.replace_all(&text, with).into_owned();
    }
    let sentences = regex::Regex::new(
        r"(?s)[0-9]+ hosts? cannot be put back.*?\[AT\]|Nothing is out.*? 9\.|Nothing is out.*?\n9\.",
    )
    .expect("a pattern of this file");
    sentences.replace_all(&text, |found: &regex::Captures<'_>| words(&found[0])).into_owned()
}

/// A screen at each width, for one snapshot.
#[derive(Default)]
struct Shown(String);

impl Shown {
    fn add(&mut self, environment: &TestEnvironment, columns: u16, name: &str, rows: &[String]) {
        keeps_to(columns, rows);
        let used = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        let rows = &rows[..used];
        _ = writeln!(self.0, "=== {columns} columns: {name}\n{}", still(environment, rows));
    }
}

/// The block that is drawn again and again, once it has this text.
#[track_caller]
fn block(live: &Terminal, text: &str) -> Vec<String> {
    let is_bar = |row: &String| row.starts_with(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
    let block = |rows: Vec<String>| {
        let from = rows.iter().rposition(is_bar)?;
        let end = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        Some(rows[from..end].to_vec()).filter(|block| one_line(block).contains(text))
    };
    live.watch(text, block)
}

fn status(environment: &TestEnvironment) -> serde_json::Value {
    environment.run(&["status", "-o", "json"]).exits(0).json()["runs"][0].clone()
}

/// The bake, the pause behind it, and the question: live and in `status`.
#[test]
fn a_run_in_its_bake_paused_and_asked() {
    let mut shown = Shown::default();
    for columns in COLUMNS {
        let environment = fast("");
        let step = ["--subsystem", "index", "--count", "4", "--step", "--yes"];
        let mut live = Terminal::open(&environment, &step, columns);
        shown.add(&environment, columns, "bakes", &block(&live, "baking"));
        let run = status(&environment)["run"].as_str().expect("an id").to_owned();
        environment.run(&["pause", &run, "--reason", "smoke in zone b"]).exits(0);
        shown.add(&environment, columns, "paused", &block(&live, "PAUSED"));
        let rows = Terminal::open(&environment, &["status"], columns).end().rows;
        shown.add(&environment, columns, "status of it", &rows);
        environment.run(&["continue", &run]).exits(0);
        let rows = live.see("Type 2 to go on with batch 2");
        let asked = rows.iter().rposition(|row| row.starts_with("fleet ")).expect("the question");
        let end = rows.iter().rposition(|row| row.contains("Type 2")).expect("the question");
        shown.add(&environment, columns, "asks", &rows[asked..=end]);
        live.type_line("2");
        let ended = live.end();
        assert_eq!(ended.code, 0, "{}", ended.rows.join("\n"));
    }
    assert_snapshot!(shown.0);
}

/// Ctrl-Z at a question says what stops a run, and leaves the question and what was typed as they were.
#[test]
fn ctrl_z_at_a_question_leaves_it_whole() {
    let asked = regex::Regex::new("Type 2 to go on with batch 2[^›]*› 2").expect("a pattern");
    for columns in COLUMNS {
        let environment = fast("");
        let step = ["--subsystem", "index", "--count", "4", "--step", "--yes"];
        let mut live = Terminal::open(&environment, &step, columns);
        live.see("Type 2 to go on with batch 2");
        live.type_keys("2");
        // A terminal forgets what was typed and not read yet when a key is a signal.
        live.see("› 2");
        live.stop_key();
        let rows = live.see("Nothing of it is out of service");
        live.see("Ctrl-C");
        // The answer that was begun is ended.
        live.type_line("");
        let ended = live.end();
        assert_eq!(ended.code, 0, "{}\n{}", rows.join("\n"), ended.rows.join("\n"));
        keeps_to(columns, &ended.rows);
        let text = one_line(&ended.rows).replace("? ", "");
        assert_eq!(asked.find_iter(&text).count(), 2, "{}", ended.rows.join("\n"));
        assert!(text.contains("safe-remove pause r-") && !text.contains("hosts may be out"), "{text}");
    }
}

/// Exit 8: the error, the attempt and the time left while it tries, on the screen and in `status`; at the end the next
/// command first, and one line for each host.
#[test]
fn s7_hosts_that_cannot_be_put_back_are_told_while_it_tries_and_once_each_at_the_end() {
    let mut shown = Shown::default();
    for columns in COLUMNS {
        let environment = fast(NO_WAY_BACK);
        let mut live = Terminal::open(&environment, &["--subsystem", "index", "--count", "2", "--yes"], columns);
        live.see("baking: index-0001");
        live.interrupt();
        shown.add(&environment, columns, "restores", &block(&live, "cannot be put back, tried"));
        let run = status(&environment);
        assert_eq!(run["trouble"]["hosts"], 2, "{run:#}");
        assert!(run["trouble"]["attempts"].as_u64() >= Some(1), "{run:#}");
        let state = run["state"].as_str().expect("a state");
        assert_eq!(state, "restoring batch 1, stopping: interrupted (Ctrl-C)");
        assert_eq!(run["holds"][0]["stage"], "cordoned", "{run:#}");
        let rows = Terminal::open(&environment, &["status"], columns).end().rows;
        shown.add(&environment, columns, "status of it", &rows);
        let ended = live.end();
        assert_eq!(ended.code, 8, "{}", ended.rows.join("\n"));
        let from = ended.rows.iter().rposition(|row| row.contains("closing")).expect("its last step") + 1;
        shown.add(&environment, columns, "end", &ended.rows[from..]);
        let rows = Terminal::open(&environment, &["status"], columns).end().rows;
        shown.add(&environment, columns, "status behind it", &rows);
    }
    assert_snapshot!(shown.0);
}

/// Whoever watches a run, and whoever halts one, sees it stop and how it ended.
#[test]
fn s6_a_run_that_is_watched_and_halted() {
    let mut shown = Shown::default();
    for columns in COLUMNS {
        let environment = fast("");
        let mut child = environment.command(&REMOVE).spawn().expect("it starts");
        wait_until(&mut child, "the cordon", || cordoned(environment.path()) == 2);
        let run = status(&environment)["run"].as_str().expect("an id").to_owned();
        let watch = Terminal::open(&environment, &["status", &run, "--watch"], columns);
        shown.add(&environment, columns, "watched", &watch.see("baking batch 1"));
        let halt = Terminal::open(&environment, &["halt", "--reason", "smoke in zone b"], columns).end();
        assert_eq!(halt.code, 0, "{}", halt.rows.join("\n"));
        shown.add(&environment, columns, "halted", &halt.rows);
        let watched = watch.end();
        assert_eq!(watched.code, 9, "{}", watched.rows.join("\n"));
        shown.add(&environment, columns, "watched to its end", &watched.rows);
        ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(9);
    }
    assert_snapshot!(shown.0);
}

/// A process that was stopped (Ctrl-Z) does nothing and sees nothing. Every screen says so, and how it goes on.
#[test]
fn s6_a_run_whose_process_was_stopped() {
    let environment = TestEnvironment::new();
    Fleet { clock: "1", index_minimum: 12, ..Fleet::default() }.write(&environment);
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    wait_until(&mut child, "the cordon", || cordoned(environment.path()) == 2);
    wait_until(&mut child, "the bake", || status(&environment)["state"] == "baking batch 1");
    let halt = |columns| Terminal::open(&environment, &["halt", "--reason", "smoke in zone b"], columns).end();
    // What is stopped in the middle of a write keeps the ledger locked: then another moment.
    let halted = (0..10).find_map(|_| {
        signal(&child, "-STOP");
        let halted = halt(COLUMNS[0]);
        if halted.code == 0 {
            return Some(halted);
        }
        signal(&child, "-CONT");
        std::thread::sleep(Duration::from_secs(2));
        None
    });
    let mut shown = Shown::default();
    shown.add(&environment, COLUMNS[0], "halted", &halted.expect("a moment without a write").rows);
    for columns in COLUMNS {
        if columns != COLUMNS[0] {
            shown.add(&environment, columns, "halted", &halt(columns).rows);
        }
        let rows = Terminal::open(&environment, &["status"], columns).end().rows;
        shown.add(&environment, columns, "status", &rows);
        let mut watch = Terminal::open(&environment, &["status", "--watch"], columns);
        shown.add(&environment, columns, "watched", &watch.see("STOPPED"));
        watch.interrupt();
        watch.end();
    }
    signal(&child, "-CONT");
    ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(9);
    assert_snapshot!(shown.0);
}

/// The process lives and cannot write: nobody knows what it does, and `status` says so.
#[cfg(debug_assertions)]
#[test]
fn s7_a_run_that_writes_no_more_is_silent() {
    let mut environment = fast(NO_WAY_BACK);
    environment.set("SAFE_REMOVE_FAULT", "cut:behind-append-batch-cordoned");
    let mut child = environment.command(&REMOVE).spawn().expect("it starts");
    environment.set("SAFE_REMOVE_FAULT", "");
    let is_silent = || status(&environment)["overdue"] == true;
    wait_until(&mut child, "it writes no more", is_silent);
    let mut shown = Shown::default();
    for columns in COLUMNS {
        let rows = Terminal::open(&environment, &["status"], columns).end().rows;
        shown.add(&environment, columns, "status", &rows);
    }
    ran(&REMOVE, child.wait_with_output().expect("it ends")).exits(8);
    assert_snapshot!(shown.0);
}
