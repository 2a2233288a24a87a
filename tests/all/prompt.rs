//! The confirmation in a real pseudo-terminal: only the answer is an answer, and whatever else happens touches
//! nothing.

use std::process::Command;

use rexpect::process::Signal;
use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::environment::{TestEnvironment, moment, words};
use crate::fleets::Fleet;

/// Far above what a loaded machine takes.
const TIMEOUT_MS: u64 = 30_000;

const REMOVE: [&str; 4] = ["--subsystem", "index", "--count", "3"];

fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment
}

/// A removal that has come to its question.
fn asked(environment: &TestEnvironment, more: &[&str]) -> (PtySession, String) {
    let mut session =
        spawn_command(environment.interactive(&[&REMOVE[..], more].concat()), Some(TIMEOUT_MS)).expect("it starts");
    let before = session.exp_string("Type 3 to remove 3 hosts, anything else to stop").expect("the question");
    (session, before)
}

fn code(session: &mut PtySession) -> (i32, String) {
    let rest = session.exp_eof().expect("it ends");
    match session.process().wait().expect("it ends") {
        WaitStatus::Exited(_, code) => (code, rest),
        other => panic!("{other:?}: {rest}"),
    }
}

/// Moves the fleet's virtual clock, which stands still while somebody is asked: 15 minutes and a second.
fn fifteen_minutes_pass(environment: &TestEnvironment) {
    let path = environment.path().join("state/fleet.json.clock");
    let text = std::fs::read_to_string(&path).expect("a clock");
    let face: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let later = serde_json::to_value(moment(&face["now"]).plus(std::time::Duration::from_secs(901))).expect("a time");
    let moved = text.replacen(&face["now"].to_string(), &later.to_string(), 1);
    assert_eq!(moved.len(), text.len(), "the file is written in place, as the fleet itself does");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("a clock");
    std::io::Write::write_all(&mut file, moved.as_bytes()).expect("written");
}

/// Nothing was written and nobody is missing.
#[track_caller]
fn untouched(environment: &TestEnvironment) {
    assert!(!environment.path().join("state/ledger.db").exists(), "no ledger was made");
    let plan = environment.run(&["plan", "--subsystem", "index", "--count", "1", "-o", "json"]).exits(0).json();
    assert_eq!(plan["subsystems"][0]["capacity"], 18);
}

#[test]
fn s8_the_right_answer_removes() {
    let environment = fleet();
    let (mut session, before) = asked(&environment, &[]);
    for word in ["fleet", "demo (simulated, its clock", "index", "placement", "capacity", "ends about"] {
        assert!(before.contains(word), "{word}: {before}");
    }
    session.send_line("3").expect("typed");
    let (code, rest) = code(&mut session);
    assert_eq!(code, 0, "{rest}");
    assert!(rest.contains("3 of 3 hosts are gone from index"), "{rest}");
}

#[test]
fn s8_every_other_answer_touches_nothing() {
    for answer in ["", "4", "03", "30", "y", "yes", "Y", "index 3", "3 hosts", "all", "\u{1b}[A"] {
        let environment = fleet();
        let (mut session, _) = asked(&environment, &[]);
        session.send_line(answer).expect("typed");
        let (code, rest) = code(&mut session);
        assert_eq!(code, 6, "{answer:?}: {rest}");
        assert!(rest.contains("not confirmed") && rest.contains("nothing was touched"), "{rest}");
        untouched(&environment);
    }
}

#[test]
fn s8_end_of_file_and_ctrl_c_touch_nothing_and_leave_the_terminal_usable() {
    for key in ['d', 'c'] {
        let environment = fleet();
        // A shell around it, to see what state the terminal is left in.
        let binary = env!("CARGO_BIN_EXE_safe-remove");
        let script =
            format!("trap : INT; stty -a > before; {binary} {}; echo code=$?; stty -a > after", REMOVE.join(" "));
        let shell = environment.shell(&script);
        let mut session = spawn_command(shell, Some(TIMEOUT_MS)).expect("it starts");
        session.exp_string("anything else to stop").expect("the question");
        session.send_control(key).expect("typed");
        let rest = session.exp_eof().expect("it ends");
        assert!(rest.contains("code=6"), "Ctrl-{key}: {rest}");
        assert!(!rest.contains("[?25l") || rest.ends_with("[?25h"), "the cursor is hidden: {rest:?}");
        let state = |name: &str| std::fs::read_to_string(environment.path().join(name)).expect("stty wrote it");
        assert_eq!(state("before"), state("after"), "Ctrl-{key}");
        untouched(&environment);
    }
}

#[test]
fn s8_what_was_typed_before_the_question_is_no_answer() {
    let environment = fleet();
    let mut session = spawn_command(environment.interactive(&REMOVE), Some(TIMEOUT_MS)).expect("it starts");
    session.send_line("3").expect("typed");
    session.exp_string("anything else to stop").expect("the question");
    session.send_control('d').expect("typed");
    let (code, rest) = code(&mut session);
    assert_eq!(code, 6, "{rest}");
    untouched(&environment);
}

/// A plan expires at the prompt too, 15 minutes after it was made. The question says when, and a late answer is told from
/// a wrong one and names the command to repeat.
#[test]
fn s8_an_answer_that_comes_after_the_plan_has_expired_touches_nothing() {
    let environment = fleet();
    let (mut session, before) = asked(&environment, &["--reason", "rack 7"]);
    let until = regex::Regex::new(r"the plan expires (\S.*?Z?(?: UTC)?)\r").expect("a pattern");
    let until = until.captures(&before).unwrap_or_else(|| panic!("{before}"))[1].to_owned();
    assert!(before.contains(&format!("answer by   {until}, in 15m")), "{until}: {before}");
    fifteen_minutes_pass(&environment);
    session.send_line("3").expect("typed");
    let (code, rest) = code(&mut session);
    assert_eq!(code, 3, "{rest}");
    let rest = words(&rest);
    for words in [
        "plan-stale",
        &format!("could be confirmed until {until}, and it is later now"),
        "make the plan again: safe-remove plan --subsystem index --count 3 --reason 'rack 7'",
    ] {
        assert!(rest.contains(words), "{words}: {rest}");
    }
    untouched(&environment);
}

/// A list of hosts that comes through a pipe leaves the terminal for the question, and is no answer to it.
#[test]
fn s8_a_list_of_hosts_on_stdin_leaves_the_terminal_for_the_question() {
    let binary = env!("CARGO_BIN_EXE_safe-remove");
    let piped = |environment: &TestEnvironment, list: &str, more: &str| {
        let remove = format!("{binary} --subsystem index {more}");
        let script = format!("trap : INT; stty -a > before; printf '{list}' | {remove}; echo code=$?; stty -a > after");
        spawn_command(environment.shell(&script), Some(TIMEOUT_MS)).expect("it starts")
    };
    let list = "index-0001\\nindex-0002\\n";
    for (answer, code) in [("2\r", 0), ("3\r", 6), ("\r", 6), ("\u{4}", 6), ("\u{3}", 6)] {
        let environment = fleet();
        let mut session = piped(&environment, list, "--host -");
        session.exp_string("Type 2 to remove 2 hosts, anything else to stop").expect("the question");
        session.send(answer).and_then(|_| session.flush()).expect("typed");
        let rest = session.exp_eof().expect("it ends");
        assert!(rest.contains(&format!("code={code}")), "{answer:?}: {rest}");
        let state = |name: &str| std::fs::read_to_string(environment.path().join(name)).expect("stty wrote it");
        assert_eq!(state("before"), state("after"), "{answer:?}");
        if code == 6 {
            untouched(&environment);
        }
    }
    // Whatever else stdin is, it is no list: a script that feeds an answer is no person.
    let environment = fleet();
    let rest = piped(&environment, "2\\n", "--count 2").exp_eof().expect("it ends");
    assert!(rest.contains("code=6") && rest.contains("no terminal to ask on"), "{rest}");
    // Without a terminal nobody is asked.
    let refused = environment.run_with_stdin(&["--subsystem", "index", "--host", "-"], b"index-0001\n").exits(6);
    assert!(refused.stderr.contains("no terminal to ask on"), "{}", refused.stderr);
    untouched(&environment);
}

#[test]
fn s8_signals_at_the_question_touch_nothing() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        let environment = fleet();
        let (mut session, _) = asked(&environment, &[]);
        session.process_mut().signal(signal).expect("sent");
        let (code, rest) = code(&mut session);
        assert_eq!(code, 6, "{signal}: {rest}");
        untouched(&environment);
    }
}

/// The terminal itself goes away: its window was closed, its connection dropped.
#[test]
fn s8_a_terminal_that_disappears_at_the_question_touches_nothing() {
    const HANG_UP: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b''
while b'anything else to stop' not in seen:
    seen += os.read(terminal, 4096)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";
    let environment = fleet();
    let mut python = Command::new("python3");
    python.args(["-c", HANG_UP, env!("CARGO_BIN_EXE_safe-remove")]).args(REMOVE);
    environment.isolate(&mut python);
    let output = python.output().expect("Python 3 is needed for this test");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "6", "{}", String::from_utf8_lossy(&output.stderr));
    untouched(&environment);
}

#[test]
fn s8_yes_beyond_the_policy_still_asks() {
    let environment = fleet();
    let policy = environment.path().join("policies/index.toml");
    let text = std::fs::read_to_string(&policy).expect("a policy");
    environment.write("policies/index.toml", &text.replace("unattended_max = 24", "unattended_max = 2"));
    let (mut session, _) = asked(&environment, &["--yes"]);
    session.send_line("yes").expect("typed");
    let (code, rest) = code(&mut session);
    assert_eq!(code, 6, "{rest}");
    let refused = environment.run(&[&REMOVE[..], &["--yes"]].concat()).exits(6);
    assert!(refused.stderr.contains("--yes is enough for 2 hosts, not for 3"), "{}", refused.stderr);
    untouched(&environment);
}

#[test]
fn an_unusual_count_is_typed_out_with_its_name() {
    let environment = fleet();
    let policy = environment.path().join("policies/index.toml");
    let text = std::fs::read_to_string(&policy).expect("a policy");
    environment.write("policies/index.toml", &text.replace("[confirm]", "[confirm]\nunusual = 2"));
    // Nothing was removed yet: three batches of two are usual.
    let (mut session, _) = asked(&environment, &[]);
    session.send_line("no").expect("typed");
    assert_eq!(code(&mut session).0, 6);
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    environment.run(&[&REMOVE[..], &["--yes"]].concat()).exits(6);
    for (answer, expected) in [("3", 6), ("index 3", 0)] {
        let mut session = spawn_command(environment.interactive(&REMOVE), Some(TIMEOUT_MS)).expect("it starts");
        session.exp_string("Type index 3 to remove").expect("the question");
        session.send_line(answer).expect("typed");
        let (code, rest) = code(&mut session);
        assert_eq!(code, expected, "{rest}");
    }
}

/// A run of six hosts whose process was killed in the first bake, as `status` shows it.
#[cfg(debug_assertions)]
fn died_in_its_bake(environment: &TestEnvironment) -> serde_json::Value {
    let mut command = environment.command(&["--subsystem", "index", "--count", "6", "--yes"]);
    let killed = command.env("SAFE_REMOVE_FAULT", "kill:behind-append-batch-cordoned").output().expect("it starts");
    assert_eq!(killed.status.code(), None, "it was killed");
    environment.run(&["status", "-o", "json"]).exits(0).json()["runs"][0].clone()
}

/// A run that died in its bake is gone on with by the count of what is left, and by nothing else.
#[cfg(debug_assertions)]
#[test]
fn s8_resume_asks_for_the_count_of_what_is_left() {
    let environment = fleet();
    let dead = died_in_its_bake(&environment);
    let (id, last) = (dead["run"].as_str().expect("a run").to_owned(), dead["last_record_at"].clone());
    for (answer, expected) in [("2", 6), ("yes", 6), ("", 6), ("6", 0)] {
        let now = environment.run(&["status", "-o", "json"]).exits(0).json();
        assert_eq!((&now["runs"][0]["last_record_at"], crate::removal::cordoned(environment.path())), (&last, 2));
        let mut session =
            spawn_command(environment.interactive(&["resume", &id]), Some(TIMEOUT_MS)).expect("it starts");
        let shown = session.exp_string("Type 6 to go on and remove 6 hosts").expect("the question");
        for word in ["index-0001", "Subsystems", "out of service for this run already", "expires", "ends about"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        session.send_line(answer).expect("typed");
        let (code, rest) = code(&mut session);
        assert_eq!(code, expected, "{rest}");
    }
}

#[cfg(debug_assertions)]
#[test]
fn s8_resume_takes_no_late_answer_and_names_itself() {
    let environment = fleet();
    let id = died_in_its_bake(&environment)["run"].as_str().expect("a run").to_owned();
    let mut session = spawn_command(environment.interactive(&["resume", &id]), Some(TIMEOUT_MS)).expect("it starts");
    let shown = session.exp_string("Type 6 to go on and remove 6 hosts").expect("the question");
    assert!(shown.contains("answer by") && shown.contains(", in 15m"), "{shown}");
    fifteen_minutes_pass(&environment);
    session.send_line("6").expect("typed");
    let (code, rest) = code(&mut session);
    assert_eq!(code, 3, "{rest}");
    let rest = words(&rest);
    assert!(rest.contains(&format!("it is later now: safe-remove resume {id} asks again")), "{rest}");
    assert_eq!(crate::removal::cordoned(environment.path()), 2, "as it was");
}

/// A process that lives goes on while somebody reads: what was confirmed is not what is left, and nothing is taken.
#[cfg(debug_assertions)]
#[test]
fn s8_resume_takes_nothing_from_a_run_that_went_on_while_it_was_asked_about() {
    let environment = fleet();
    let mut command = environment.command(&["--subsystem", "index", "--count", "4", "--yes", "-o", "json"]);
    let mut child = command.env("SAFE_REMOVE_FAULT", "stop:behind-append-batch-cordoned").spawn().expect("it starts");
    assert!(crate::fault_points::is_stopped(&mut child));
    let status = environment.run(&["status", "-o", "json"]).exits(0).json();
    let id = status["runs"][0]["run"].as_str().expect("a run").to_owned();
    let resume = environment.interactive(&["resume", &id, "--even-if-alive"]);
    let mut session = spawn_command(resume, Some(TIMEOUT_MS)).expect("it starts");
    session.exp_string("Type 4 to go on and remove 4 hosts").expect("the question");
    // The fleet's clock does not wait for somebody at a prompt.
    crate::removal::signal(&child, "-CONT");
    let begun = std::time::Instant::now();
    loop {
        let text = std::fs::read_to_string(environment.path().join("state/fleet.json")).expect("a fleet");
        let hosts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        if hosts["hosts"].as_object().expect("hosts").len() < 42 {
            break;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it does not go on");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    session.send_line("4").expect("typed");
    let (code, rest) = code(&mut session);
    assert_eq!(code, 6, "{rest}");
    assert!(rest.contains("went on since it was shown"), "{rest}");
    let run = child.wait_with_output().expect("it ends");
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn s3_policy_accept_asks_for_the_name() {
    let environment = fleet();
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    Fleet { index_minimum: 11, ..Fleet::default() }.write(&environment);
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(3);
    let accept = ["policy", "accept", "index", "--reason", "two racks are retired"];
    environment.run(&accept).exits(6);
    for (answer, expected) in [("yes", 6), ("index", 0)] {
        let mut session = spawn_command(environment.interactive(&accept), Some(TIMEOUT_MS)).expect("it starts");
        let shown = session.exp_string("Type index to accept").expect("the question");
        assert!(shown.contains("looser") && shown.contains("capacity.minimum"), "{shown}");
        session.send_line(answer).expect("typed");
        let (code, rest) = code(&mut session);
        assert_eq!(code, expected, "{rest}");
    }
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    let again = environment.run(&accept).exits(0);
    assert!(again.stdout.contains("Nothing to accept"), "{}", again.stdout);
}

/// Schedule 11: between the question and the answer another ledger has come to govern the fleet.
#[test]
fn ledger_adopt_marks_nothing_that_has_changed_hands_since_it_was_shown() {
    let environment = fleet();
    for file in ["fleet.toml", "scenario.toml", "index.toml", "placement.toml", "billing.toml"] {
        let text = std::fs::read_to_string(environment.path().join("policies").join(file)).expect("a file");
        environment.write(&format!("other/{file}"), &text.replace("ledger.db", "another.db"));
    }
    let adopt = ["ledger", "adopt", "--reason", "it is new", "--policies", "other"];
    let mut session = spawn_command(environment.interactive(&adopt), Some(TIMEOUT_MS)).expect("it starts");
    session.exp_string("Type demo to adopt").expect("the question");
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    session.send_line("demo").expect("typed");
    let (code, rest) = code(&mut session);
    assert_eq!(code, 6, "{rest}");
    assert!(rest.contains("has changed since they were shown"), "{rest}");
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
}

#[test]
fn ledger_adopt_puts_hosts_under_another_ledger() {
    let environment = fleet();
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
    for entry in std::fs::read_dir(environment.path().join("state")).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ledger.db")) {
            std::fs::remove_file(path).expect("removed");
        }
    }
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(3);
    let adopt = ["ledger", "adopt", "--reason", "the disk was lost"];
    environment.run(&adopt).exits(6);
    for (answer, expected) in [("", 6), ("demo", 0)] {
        let mut session = spawn_command(environment.interactive(&adopt), Some(TIMEOUT_MS)).expect("it starts");
        let shown = session.exp_string("Type demo to adopt").expect("the question");
        assert!(shown.contains("index-billing") && shown.contains("its ledger now"), "{shown}");
        session.send_line(answer).expect("typed");
        let (code, rest) = code(&mut session);
        assert_eq!(code, expected, "{rest}");
    }
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(0);
}
