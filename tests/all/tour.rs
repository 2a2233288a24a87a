//! The tour in README.md, typed in a pseudo-terminal: its commands are read from the file, and so is what it promises of
//! each. Whoever types slowly sees the same as somebody who types fast.
//!
//! A step is a block `sh`, the paragraph before it, and the block `text` behind it. The text says how the command ends
//! (`exit 7`) and how long it takes (`40 s`). The block shows what appears on the screen, in this order; `…` leaves
//! something out.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regex::Regex;
use rexpect::process::WaitStatus;
use rexpect::session::spawn_command;

use crate::environment::{self, TestEnvironment};

/// Far above what a loaded machine takes for the longest command.
const TIMEOUT_MS: u64 = 150_000;

/// What README has its reader type before the arguments.
const PROGRAM: &str = "cargo run --no-default-features -- ";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn readme() -> String {
    std::fs::read_to_string(root("README.md")).expect("README.md")
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of this file")
}

/// One command of the tour, and what README says of it.
#[derive(Debug)]
struct Step {
    /// `RUN` stands for the id of the last run.
    arguments: String,
    /// What is typed at the question.
    answer: Option<String>,
    exit: i32,
    takes: Option<Duration>,
    /// What is seen, without what `…` leaves out.
    seen: Vec<String>,
}

fn tour() -> Vec<Step> {
    let readme = readme();
    let section = readme.split("\n## ").find(|section| section.starts_with("Try it\n")).expect("README has a tour");
    let parts: Vec<&str> = section.split("```sh\n").collect();
    let steps = parts.windows(2).map(|pair| {
        let (before, rest) = (pair[0].trim_end().rsplit("\n\n").next().expect("a paragraph"), pair[1]);
        let (commands, rest) = rest.split_once("```").expect("the block ends");
        let arguments = commands.trim().strip_prefix(PROGRAM).unwrap_or_else(|| panic!("not {PROGRAM}…: {commands}"));
        let screen =
            rest.trim_start().strip_prefix("```text\n").map_or("", |rest| rest.split("```").next().expect("text"));
        let last = |what: &str| pattern(what).captures_iter(before).last().map(|found| found[1].to_owned());
        Step {
            arguments: arguments.to_owned(),
            answer: pattern("to stop › (.+)").captures(screen).map(|found| found[1].to_owned()),
            exit: last(r"exit\s+(\d+)")
                .and_then(|code| code.parse().ok())
                .unwrap_or_else(|| panic!("no exit: {before}")),
            takes: last(r"\b(\d+) s\b").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs),
            seen: screen.lines().flat_map(|line| line.split('…')).map(words).filter(|line| !line.is_empty()).collect(),
        }
    });
    steps.collect()
}

/// A text without colours and movements of the cursor; every gap is one space, whatever the width of the terminal.
fn words(text: &str) -> String {
    let plain = pattern("\u{1b}\\[[0-9;?]*[A-Za-z]").replace_all(text, " ");
    environment::words(&plain)
}

/// rexpect makes a character of every byte.
fn as_utf8(screen: &str) -> String {
    let bytes: Vec<u8> = screen.chars().map(|c| u8::try_from(c).expect("a byte")).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A copy of the shipped policies, with a fleet whose clock is such.
fn shipped(clock: Option<&str>) -> TestEnvironment {
    let environment = TestEnvironment::new();
    for entry in std::fs::read_dir(root("policies")).expect("the policies") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        environment.write(&format!("policies/{name}"), &std::fs::read_to_string(&path).expect("a policy"));
    }
    if let Some(clock) = clock {
        environment.replace("policies/scenario.toml", "\nclock = 12 ", &format!("\nclock = {clock} "));
    }
    environment
}

/// Types a command on a terminal, and the answer after so long; the exit code and the screen.
fn typed(environment: &TestEnvironment, arguments: &str, answer: Option<&str>, waits: Duration) -> (i32, String) {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let mut session = spawn_command(environment.interactive(&arguments), Some(TIMEOUT_MS)).expect("it starts");
    let mut screen = String::new();
    if let Some(answer) = answer {
        let question = "anything else to stop";
        screen.push_str(&session.exp_string(question).expect("the question"));
        screen.push_str(question);
        std::thread::sleep(waits);
        session.send_line(answer).expect("typed");
    }
    screen.push_str(&session.exp_eof().expect("it ends"));
    match session.process().wait().expect("it ends") {
        WaitStatus::Exited(_, code) => (code, words(&as_utf8(&screen))),
        other => panic!("{other:?}: {screen}"),
    }
}

/// How many hosts of the shipped fleet are cordoned.
fn out_of_service(environment: &TestEnvironment) -> usize {
    let text = std::fs::read_to_string(environment.path().join(".safe-remove/fleet.json")).expect("a fleet");
    let state: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    state["hosts"].as_object().expect("hosts").values().filter(|host| host["state"] == "cordoned").count()
}

/// Takes the whole tour. `waits`: how long its reader looks at every question, and between two commands.
fn take(environment: &TestEnvironment, waits: Duration, has_shipped_clock: bool) {
    let mut run = String::new();
    let mut exits = Vec::new();
    for step in tour() {
        let begun = Instant::now();
        let (code, screen) = typed(environment, &step.arguments.replace("RUN", &run), step.answer.as_deref(), waits);
        assert_eq!(code, step.exit, "{step:#?}\n{screen}");
        let mut rest = screen.as_str();
        for seen in &step.seen {
            let found = rest.split_once(seen.as_str());
            rest = found.unwrap_or_else(|| panic!("README shows {seen:?}\n{step:#?}\n{screen}")).1;
        }
        if let Some(takes) = step.takes.filter(|_| has_shipped_clock) {
            let took = begun.elapsed();
            assert!(took > takes / 2 && took < takes * 2, "README says {takes:?}, it took {took:?}: {step:#?}");
        }
        if let Some(found) = pattern(r"\b(r-[0-9a-z]{12})\b").captures_iter(&screen).last() {
            run = found[1].to_owned();
        }
        exits.push(code);
        std::thread::sleep(waits / 4);
    }
    assert_eq!(exits, [0, 3, 3, 7, 0], "a removal, the minimum, the outage, a regression, and its report");
    assert_eq!(out_of_service(environment), 0);
}

#[test]
fn the_tour_shows_what_readme_promises() {
    take(&shipped(None), Duration::ZERO, true);
}

/// Five minutes of the fleet's time pass at every question. The clock is three times the shipped one, or the test would
/// take three minutes.
#[test]
fn the_tour_shows_the_same_however_slowly_it_is_typed() {
    take(&shipped(Some("36")), Duration::from_secs(9), false);
}

/// README says how long a plan is good for, in the time of whoever reads it.
#[test]
fn the_tour_says_how_long_an_answer_may_take() {
    let scenario = std::fs::read_to_string(root("policies/scenario.toml")).expect("a scenario");
    let number = |text: &str, what: &str| -> u64 {
        let found = pattern(what).captures(text).unwrap_or_else(|| panic!("no {what}"));
        found[1].parse().expect("a number")
    };
    let (speed, readme) = (number(&scenario, r"(?m)^clock = (\d+)"), words(&readme()));
    assert_eq!(number(&readme, r"its clock runs (\d+) times as fast"), speed);
    let minutes = number(&readme, r"A plan is good for (\d+) minutes");
    assert_eq!(number(&readme, r"so here for (\d+) s\b"), minutes * 60 / speed);
    let environment = shipped(None);
    let plan = environment.run(&["plan", "--subsystem", "index", "--count", "6", "-o", "json"]).exits(0).json();
    let time = |name: &str| crate::environment::moment(&plan[name]);
    let good_for = time("expires_at").since(time("observed_at")).as_secs();
    assert!((minutes * 60..minutes * 60 + 60).contains(&good_for), "{good_for} s");
}

/// The regression of the tour, with a provider that puts nothing back: exit 8 names the hosts and the command that ends it.
#[test]
fn after_an_8_the_command_that_the_message_names_puts_the_hosts_back() {
    let environment = shipped(Some("\"virtual\""));
    let scenario = environment.path().join("policies/scenario.toml");
    let good = std::fs::read_to_string(&scenario).expect("a scenario");
    environment.write(
        "policies/scenario.toml",
        &format!("{good}\n[[faults]]\ncall = \"restore\"\nevery = 1\nerror = \"throttled\"\n"),
    );
    let step = tour().into_iter().find(|step| step.exit == 7).expect("a regression");
    let (code, screen) = typed(&environment, &step.arguments, step.answer.as_deref(), Duration::ZERO);
    assert_eq!((code, out_of_service(&environment)), (8, 2), "{screen}");
    let next = pattern(r"safe-remove (abandon r-[0-9a-z]{12})");
    let next = next.captures(&screen).unwrap_or_else(|| panic!("no command: {screen}"))[1].to_owned();
    for host in ["placement-0003", "placement-0004"] {
        assert!(pattern(&format!("{host}[^.]*cordoned|cordoned[^.]*{host}")).is_match(&screen), "{host}: {screen}");
    }
    let readme = words(&readme());
    let (_, after) = readme.split_once("**After an 8**").expect("README says what to do");
    assert!(after.split("## ").next().is_some_and(|text| text.contains("`safe-remove abandon RUN`")), "{after}");
    environment.write("policies/scenario.toml", &good);
    let (code, screen) = typed(&environment, &next, None, Duration::ZERO);
    assert_eq!((code, out_of_service(&environment)), (0, 0), "{screen}");
}

/// The example in the shipped scenario does what its comment says, also long after the fleet was made.
#[test]
fn the_event_in_the_shipped_scenario_is_tied_to_the_second_batch() {
    for long_before in [false, true] {
        let environment = shipped(Some("\"virtual\""));
        let path = environment.path().join("policies/scenario.toml");
        let scenario = std::fs::read_to_string(&path).expect("a scenario");
        let (head, example) = scenario.split_once("# [[events]]\n").expect("an example");
        let example: String = example.lines().map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        environment.write("policies/scenario.toml", &format!("{head}[[events]]\n{example}"));
        if long_before {
            let earlier = environment.run(&["--subsystem", "placement", "--count", "2", "--yes", "-o", "json"]);
            let earlier = earlier.exits(0).json();
            assert_eq!(
                earlier["terminated"].as_array().map(Vec::len),
                Some(2),
                "minutes of the fleet's time have passed"
            );
        }
        let (code, screen) = typed(&environment, "--subsystem index --count 4", Some("4"), Duration::ZERO);
        assert_eq!(code, 7, "{screen}");
        for seen in ["1 terminated index-0001 index-0002", "2 restored index-0003 index-0004"] {
            assert!(screen.contains(seen), "{seen}: {screen}");
        }
    }
}
