//! A ledger's file that was copied, moved or put back: nothing goes by it until a person said what it is. In every story
//! two hosts may go a day, and two went; whatever is done to the file, it is never four.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rexpect::process::WaitStatus;
use rexpect::session::spawn_command;
use rusqlite::Connection;

use crate::environment::{Ran, TestEnvironment, words};
use crate::fleets::Fleet;

const REMOVE: [&str; 7] = ["--subsystem", "index", "--count", "2", "--yes", "--no-wait", "--output=json"];
const TIMEOUT_MS: u64 = 30_000;
/// Hosts of the fleet, once the budget is spent.
const LEFT: usize = 40;

/// A fleet of which nothing has gone yet, with its ledger, and a copy of that in `backup`.
fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 6, budgets: "[{ hosts = 2, per = \"24h\" }]", ..Fleet::default() }.write(&environment);
    environment.run(&["ledger", "init"]).exits(0);
    fs::create_dir(environment.path().join("backup")).expect("a directory");
    for name in ["ledger.db", "ledger.db-progress"] {
        let backup = environment.path().join("backup").join(name);
        fs::copy(state(&environment).join(name), backup).expect("a backup");
    }
    environment
}

/// The same with the budget spent.
fn spent() -> TestEnvironment {
    let environment = fleet();
    environment.run(&REMOVE).exits(0);
    environment.run(&REMOVE).exits(11);
    environment
}

fn state(environment: &TestEnvironment) -> PathBuf {
    environment.path().join("state")
}

/// The same policies for the same fleet, but for where the ledger is.
fn goes_by(environment: &TestEnvironment, ledger: &str) {
    let path = "policies/fleet.toml";
    let text = fs::read_to_string(environment.path().join(path)).expect("a policy");
    let start = text.find("path = ").expect("a path");
    environment.write(path, &format!("{}path = \"../{ledger}\"\n", &text[..start]));
}

/// Hosts that the fleet still has, asked of nobody.
fn hosts(environment: &TestEnvironment) -> usize {
    let text = fs::read_to_string(state(environment).join("fleet.json")).expect("a fleet");
    let fleet: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    fleet["hosts"].as_object().expect("hosts").len()
}

fn said(ran: &Ran) -> String {
    words(&ran.stderr)
}

/// Everything that would rely on the ledger is refused and says why; it can be exported all the same.
#[track_caller]
fn is_refused(environment: &TestEnvironment, why: &str) {
    for command in [
        &REMOVE[..],
        &["plan", "--subsystem", "index", "--count", "1"],
        &["status"],
        &["history"],
        &["halt", "--reason", "a fire"],
        &["unhalt", "--reason", "no fire"],
        &["abandon", "r-000000000000"],
        &["ledger", "init"],
        &["policy", "accept", "index", "--reason", "it is looser"],
    ] {
        let said = said(&environment.run(command).exits(10));
        assert!(said.contains(why), "{command:?}: {said}");
    }
    let said = said(&environment.run(&REMOVE));
    assert!(said.contains("ledger import") && said.contains("ledger adopt"), "{said}");
    let exported = environment.run(&["ledger", "export"]).exits(0);
    assert!(exported.stderr.contains("not the ledger that was used last"), "{}", exported.stderr);
    assert_eq!(exported.json()["schema"], "safe-remove/ledger-export/v1");
    assert_eq!(hosts(environment), LEFT, "nothing more went");
}

#[test]
fn s1_a_copy_of_the_ledger_is_refused_with_and_without_what_lies_beside_it() {
    let environment = spent();
    goes_by(&environment, "state/copy.db");
    fs::copy(state(&environment).join("ledger.db"), state(&environment).join("copy.db")).expect("copied");
    is_refused(&environment, "this is not the file that it was");
    let beside = |name: &str| state(&environment).join(format!("{name}-progress"));
    fs::copy(beside("ledger.db"), beside("copy.db")).expect("copied");
    is_refused(&environment, "this is not the file that it was");
    let shown = said(&environment.run(&["status"]));
    assert!(shown.contains("state/ledger.db"), "where it was: {shown}");
    // A second name for the same file.
    fs::remove_file(beside("copy.db")).expect("removed");
    fs::remove_file(state(&environment).join("copy.db")).expect("removed");
    fs::hard_link(state(&environment).join("ledger.db"), state(&environment).join("copy.db")).expect("linked");
    is_refused(&environment, "copy.db-progress is gone");

    goes_by(&environment, "state/ledger.db");
    environment.run(&REMOVE).exits(11);
}

#[test]
fn s1_a_copy_of_the_whole_directory_is_refused_and_a_renamed_one_is_the_same_ledger() {
    let environment = spent();
    let copied =
        std::process::Command::new("cp").args(["-a", "state", "copy"]).current_dir(environment.path()).status();
    assert!(copied.expect("cp runs").success());
    goes_by(&environment, "copy/ledger.db");
    is_refused(&environment, "this is not the file that it was");

    let environment = spent();
    fs::rename(state(&environment), environment.path().join("renamed")).expect("renamed");
    fs::create_dir(state(&environment)).expect("a directory");
    for entry in fs::read_dir(environment.path().join("renamed")).expect("a directory") {
        let entry = entry.expect("an entry");
        if !entry.file_name().to_string_lossy().starts_with("ledger.db") {
            fs::rename(entry.path(), state(&environment).join(entry.file_name())).expect("moved");
        }
    }
    goes_by(&environment, "renamed/ledger.db");
    environment.run(&REMOVE).exits(11);
}

#[test]
fn s1_a_ledger_of_another_machine_is_refused() {
    let environment = spent();
    let ledger = Connection::open(state(&environment).join("ledger.db")).expect("opens");
    ledger.execute("UPDATE home SET machine = 'another'", []).expect("alters");
    drop(ledger);
    is_refused(&environment, "belongs to another machine");
}

/// From a backup made before anything was removed.
#[test]
fn s1_a_ledger_that_is_put_back_is_refused_moved_into_place_or_written_over() {
    for (how, why) in [
        ("written over", "an older state of itself"),
        ("moved into place", "an older state of itself"),
        ("written over, and what lies beside it too", "ledger.db-progress is a copy"),
        ("written over, and what lies beside it removed", "ledger.db-progress is gone"),
        ("written over, and what lies beside it damaged", "ledger.db-progress cannot be understood"),
    ] {
        let environment = spent();
        let (ledger, backup) = (state(&environment).join("ledger.db"), environment.path().join("backup"));
        let beside = state(&environment).join("ledger.db-progress");
        let inode = |path: &Path| fs::metadata(path).expect("is there").ino();
        let before = inode(&ledger);
        match how {
            "moved into place" => fs::rename(backup.join("ledger.db"), &ledger).expect("moved"),
            _ => drop(fs::copy(backup.join("ledger.db"), &ledger).expect("written over")),
        }
        assert_eq!(inode(&ledger) == before, how != "moved into place", "{how}");
        match how.split_once(", and what lies beside it ") {
            Some((_, "too")) => drop(fs::copy(backup.join("ledger.db-progress"), &beside).expect("written over")),
            Some((_, "removed")) => fs::remove_file(&beside).expect("removed"),
            Some((_, "damaged")) => fs::write(&beside, "{").expect("written"),
            Some((_, other)) => panic!("{other}"),
            None => {}
        }
        is_refused(&environment, why);
    }
}

#[test]
fn s3_a_ledger_that_is_gone_is_not_begun_again() {
    let environment = spent();
    fs::remove_file(state(&environment).join("ledger.db")).expect("removed");
    for command in
        [&REMOVE[..], &["status"], &["halt", "--reason", "a fire"], &["ledger", "init"], &["ledger", "export"]]
    {
        let said = said(&environment.run(command).exits(10));
        assert!(said.contains("its file is gone, and") && said.contains("ledger.db-progress"), "{command:?}: {said}");
        assert!(!state(&environment).join("ledger.db").exists(), "{command:?}");
    }
    assert_eq!(hosts(&environment), LEFT);
}

/// Asks to adopt; what was shown, and how it ended.
fn adopt(environment: &TestEnvironment, answer: &str) -> (String, i32) {
    let command = environment.interactive(&["ledger", "adopt", "--reason", "a new disk"]);
    let mut session = spawn_command(command, Some(TIMEOUT_MS)).expect("it starts");
    let shown = session.exp_string("Type demo to adopt it").expect("the question");
    session.send_line(answer).expect("typed");
    let rest = session.exp_eof().expect("it ends");
    match session.process().wait().expect("it ends") {
        WaitStatus::Exited(_, code) => (words(&(shown + &rest)), code),
        other => panic!("{other:?}: {rest}"),
    }
}

#[test]
fn s1_a_ledger_that_was_moved_on_purpose_is_adopted_by_a_person() {
    let environment = spent();
    fs::create_dir(environment.path().join("new")).expect("a directory");
    fs::rename(state(&environment).join("ledger.db"), environment.path().join("new/ledger.db")).expect("moved");
    goes_by(&environment, "new/ledger.db");
    is_refused(&environment, "ledger.db-progress is gone");
    environment.run(&["ledger", "adopt", "--reason", "a new disk"]).exits(6);
    let (shown, code) = adopt(&environment, "yes");
    assert_eq!(code, 6, "{shown}");
    for place in ["state/ledger.db", "new/ledger.db"] {
        assert!(shown.contains(place), "{place}: {shown}");
    }
    is_refused(&environment, "ledger.db-progress is gone");
    let (shown, code) = adopt(&environment, "demo");
    assert_eq!(code, 0, "{shown}");
    environment.run(&REMOVE).exits(11);
    let journals = environment.run(&["ledger", "export"]).exits(0).json()["journals"].to_string();
    assert!(journals.contains("a new disk (its file was moved from"), "{journals}");
    // What lay beside it before, and the file from before, are of no use to anybody any more.
    fs::copy(environment.path().join("backup/ledger.db"), environment.path().join("new/ledger.db")).expect("written");
    is_refused(&environment, "tells of another ledger");
}

#[test]
fn s1_what_went_back_or_is_a_copy_of_what_is_there_is_not_adopted() {
    let environment = spent();
    goes_by(&environment, "state/copy.db");
    fs::copy(state(&environment).join("ledger.db"), state(&environment).join("copy.db")).expect("copied");
    let refused = environment.run(&["ledger", "adopt", "--reason", "a new disk"]).exits(10);
    assert!(said(&refused).contains("the ledger is still at"), "{}", refused.stderr);
    assert!(said(&refused).contains("ledger import"), "{}", refused.stderr);

    let environment = spent();
    fs::copy(environment.path().join("backup/ledger.db"), state(&environment).join("ledger.db")).expect("written");
    let refused = environment.run(&["ledger", "adopt", "--reason", "a new disk"]).exits(10);
    assert!(said(&refused).contains("was not moved") && said(&refused).contains("older state"), "{}", refused.stderr);
}

/// The way out for a copy that is to be a ledger of its own: another id, halted, and nothing governed by it yet.
#[test]
fn s1_what_is_exported_from_a_copy_is_imported_as_another_ledger() {
    let environment = spent();
    let id = environment.run(&["ledger", "export"]).exits(0).json()["record"]["ledger"].clone();
    fs::copy(state(&environment).join("ledger.db"), state(&environment).join("copy.db")).expect("copied");
    goes_by(&environment, "state/copy.db");
    environment.write("export.json", &environment.run(&["ledger", "export"]).exits(0).stdout);
    goes_by(&environment, "state/imported.db");
    let imported = environment.run(&["ledger", "import", "export.json", "-o", "json"]).exits(0).json();
    assert_eq!(imported["result"]["replaces"], id);
    assert_ne!(imported["result"]["ledger"], id);
    environment.run(&REMOVE).exits(3);
    assert_eq!(hosts(&environment), LEFT);
}

/// Killed between its commit and the file beside the ledger, a process leaves that behind: nobody was told of its write.
#[test]
fn s5_what_lies_beside_may_be_behind_and_the_next_write_makes_up_for_it() {
    let environment = fleet();
    let ledger = Connection::open(state(&environment).join("ledger.db")).expect("opens");
    ledger.execute("UPDATE home SET writes = writes + 1", []).expect("alters");
    drop(ledger);
    environment.run(&["status"]).exits(0);
    environment.run(&REMOVE).exits(0);
    let ledger = Connection::open(state(&environment).join("ledger.db")).expect("opens");
    let writes: u64 = ledger.query_row("SELECT writes FROM home", [], |r| r.get(0)).expect("reads");
    let beside = fs::read_to_string(state(&environment).join("ledger.db-progress")).expect("reads");
    let beside: serde_json::Value = serde_json::from_str(&beside).expect("JSON");
    assert_eq!(beside["writes"], writes);
}
