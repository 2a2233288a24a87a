//! The ledger's storage fails under the binary: the disk is full, before the first write and in the middle of a run,
//! or the file may not be written. Whatever happens, nothing stays cordoned that the run does not name.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::environment::{Ran, TestEnvironment, ran, set_mode};
use crate::fleets::Fleet;

/// Bytes of a block of `ulimit -f`.
const BLOCK: u64 = 512;
/// Bytes of a page of the ledger's file: it grows by so much at a time.
const PAGE: u64 = 4096;
/// A user that owns nothing and may do nothing.
const NOBODY: u32 = 65_534;

const REMOVE: [&str; 6] = ["--subsystem", "index", "--count", "6", "--yes", "--output=json"];

fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment
}

/// A removal that cannot write any file beyond so many bytes. To the ledger this is a disk that is full: a write
/// beyond it fails, one below it does not. It needs neither a file system of its own nor the right to mount one.
fn remove_with_room(environment: &TestEnvironment, bytes: u64) -> Ran {
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / BLOCK);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_safe-remove")]).args(REMOVE);
    environment.isolate(&mut command);
    ran(&REMOVE, command.stdin(Stdio::null()).output().expect("sh starts"))
}

/// Hosts that the simulated fleet still has, with their states; none where it was never created.
fn hosts(directory: &Path) -> Vec<(String, String)> {
    let Ok(text) = fs::read_to_string(directory.join("state/fleet.json")) else { return Vec::new() };
    let state: Value = serde_json::from_str(&text).expect("a state file");
    let hosts = state["hosts"].as_object().expect("hosts");
    hosts.iter().map(|(id, host)| (id.clone(), host["state"].as_str().expect("a state").to_owned())).collect()
}

#[test]
fn s7_a_disk_that_is_full_at_any_moment_leaves_no_host_cordoned_unnamed() {
    let mut codes = std::collections::BTreeSet::new();
    // The file of an ended run of three batches has 14 pages; the first grant is on the ninth.
    for pages in 5..=24 {
        let environment = fleet();
        let ran = remove_with_room(&environment, pages * PAGE);
        let code = ran.code.unwrap_or_else(|| panic!("{pages} pages: {ran:?}"));
        codes.insert(code);
        let hosts = hosts(environment.path());
        let cordoned: Vec<_> = hosts.iter().filter(|(_, state)| state != "in-service").map(|(id, _)| id).collect();
        let said = || format!("{}{}", ran.stdout, ran.stderr);
        match code {
            // The ledger could not be used: nothing was touched, and what to do is said.
            10 => {
                assert!(cordoned.is_empty() && matches!(hosts.len(), 0 | 42), "{pages} pages: {cordoned:?}\n{ran:?}");
                assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
            }
            // Lost in the middle: put back, and every host that is not is named (S7).
            7 | 8 => {
                assert_eq!(ran.json()["cause"]["kind"], "ledger", "{pages} pages: {ran:?}");
                for host in &cordoned {
                    assert!(said().contains(host.as_str()), "{pages} pages: {host} is not named\n{}", said());
                }
                assert!(cordoned.is_empty(), "{pages} pages: the fleet can be reached, so all come back: {ran:?}");
            }
            0 => assert_eq!((hosts.len(), cordoned.len()), (36, 0), "{pages} pages"),
            other => panic!("{pages} pages: exit {other}\n{ran:?}"),
        }
        // Once there is room again, whatever the run held is still counted (S1), and nothing has to be repaired.
        let status = environment.run(&["status", "-o", "json"]).exits(0).json();
        if code == 8 {
            assert!(status["runs"].as_array().is_some_and(|runs| !runs.is_empty()), "{pages} pages: {status:#}");
        }
    }
    assert!(codes.contains(&10) && codes.contains(&8) && codes.contains(&0), "not every moment was met: {codes:?}");
}

#[test]
fn s5_a_ledger_that_cannot_be_written_is_exit_10_and_nothing_is_touched() {
    let environment = fleet();
    environment.run(&["--subsystem", "billing", "--host", "billing-0001", "--yes"]).exits(0);
    let state = environment.path().join("state");
    let before = hosts(environment.path());
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        if state.join(name).exists() {
            set_mode(&state.join(name), 0o444);
        }
    }
    let failed = remove_as_nobody(&environment);
    let failed = failed.exits(10);
    assert_eq!(failed.json()["schema"], "safe-remove/error/v1");
    assert!(failed.stderr.contains("permission") && failed.stderr.contains("ledger.db"), "{}", failed.stderr);
    assert_eq!(hosts(environment.path()), before);
}

/// A removal by a user whom permissions bind: they do not bind root, as whom tests run in many containers.
fn remove_as_nobody(environment: &TestEnvironment) -> Ran {
    let mut command = environment.command(&REMOVE);
    if rustix::process::geteuid().is_root() {
        // The build may lie where nobody else can reach it.
        let copy = environment.path().join("safe-remove");
        fs::copy(env!("CARGO_BIN_EXE_safe-remove"), &copy).expect("a copy");
        command = Command::new(&copy);
        command.args(REMOVE).stdin(Stdio::null());
        environment.isolate(&mut command);
        own(environment.path());
        command.uid(NOBODY).gid(NOBODY);
    }
    ran(&REMOVE, command.output().expect("the binary starts"))
}

/// Gives a directory and all that is in it to nobody.
fn own(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            own(&entry.expect("an entry").path());
        }
    }
}
