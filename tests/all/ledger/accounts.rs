//! Several accounts of one machine share a ledger: its directory belongs to a group, and gives it to what is made there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::environment::{Ran, TestEnvironment, ran, set_mode, words};
use crate::fleets::Fleet;

fn fleet() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    // The ledger is apart from the simulated fleet, which is another matter.
    environment.replace("policies/fleet.toml", "../state/ledger.db", "../shared/ledger.db");
    environment
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o7777
}

/// Runs a command line with a umask, as this account or as another one (uid, gid of its own, and the group it is in).
fn with_umask(
    environment: &TestEnvironment,
    umask: &str,
    account: Option<(u32, Option<u32>)>,
    arguments: &[&str],
) -> Ran {
    let binary = env!("CARGO_BIN_EXE_safe-remove");
    let mut command = match account {
        None => Command::new("sh"),
        Some((uid, group)) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}"));
            match group {
                Some(group) => command.arg(format!("--groups={group}")),
                None => command.arg("--clear-groups"),
            };
            command.arg("sh");
            command
        }
    };
    command.args(["-c", &format!("umask {umask} && exec \"$@\""), "sh"]);
    // Another account may not be able to look into this one's build directory.
    let copy = environment.path().join("safe-remove");
    if !copy.exists() {
        std::fs::copy(binary, &copy).expect("copied");
        set_mode(&copy, 0o755);
    }
    environment.isolate(command.arg(copy).args(arguments));
    let output = command.stdin(Stdio::null()).output().expect("a shell");
    ran(arguments, output)
}

/// A directory says by its own mode who shares what is made in it. Nobody's umask changes that.
#[test]
fn in_a_directory_of_a_group_the_ledger_is_the_groups_whatever_the_umask() {
    for (directory, umask, file) in [
        (0o2770, "077", 0o660),
        (0o2775, "022", 0o660),
        // Nobody said that it is shared: the umask decides, and nobody else ever reads it.
        (0o755, "022", 0o640),
        (0o755, "077", 0o600),
        (0o2755, "077", 0o600),
        (0o775, "002", 0o660),
    ] {
        let environment = fleet();
        let shared = environment.path().join("shared");
        std::fs::create_dir(&shared).expect("made");
        set_mode(&shared, directory);
        let halted = with_umask(&environment, umask, None, &["halt", "--reason", "a drill"]);
        assert_eq!(halted.code, Some(0), "{halted:?}");
        for name in ["ledger.db", "ledger.db-progress"] {
            assert_eq!(mode(&shared.join(name)), file, "{name} in {directory:o} with umask {umask}");
        }
        // Every write replaces the progress file.
        with_umask(&environment, umask, None, &["unhalt", "--reason", "it was a drill"]);
        assert_eq!(mode(&shared.join("ledger.db-progress")), file, "{directory:o} with umask {umask}");
    }
    // A directory that the ledger makes below one of a group is the group's, too.
    let environment = fleet();
    set_mode(environment.path(), 0o2770);
    with_umask(&environment, "077", None, &["ledger", "init"]).exits(0);
    assert_eq!(mode(&environment.path().join("shared")) & 0o2000, 0o2000);
}

/// With root's help: one account begins, the other reads, writes and takes over. A third one is told what to do.
#[test]
fn accounts_of_one_group_share_a_ledger_and_others_are_told_how() {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let is_root = status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(1) == Some("0"));
    let environment = fleet();
    let shared = environment.path().join("shared");
    std::fs::create_dir(&shared).expect("made");
    if !is_root {
        // Without root there is no other account: what it would meet is a directory that is closed to this one.
        with_umask(&environment, "022", None, &["ledger", "init"]).exits(0);
        set_mode(&shared, 0o000);
        let told = environment.run(&["status"]).exits(10);
        set_mode(&shared, 0o700);
        return is_told(&told);
    }
    let (ann, bob, eve, group) = (61_001, 61_002, 61_003, 61_100);
    // The simulated fleet is a file of everybody here.
    let state = environment.path().join("state");
    std::fs::create_dir(&state).expect("made");
    set_mode(&state, 0o777);
    set_mode(environment.path(), 0o755);
    std::os::unix::fs::chown(&shared, Some(ann), Some(group)).expect("given");
    set_mode(&shared, 0o2770);
    let of = |uid: u32, umask: &str, arguments: &[&str]| {
        let member = (uid != eve).then_some(group);
        with_umask(&environment, umask, Some((uid, member)), arguments)
    };
    // The fleet is for everybody (umask 0), so that only the ledger's permissions count.
    of(ann, "000", &["--subsystem", "index", "--count", "2", "--yes"]).exits(0);
    assert_eq!(mode(&shared.join("ledger.db")), 0o660);
    let seen = of(bob, "077", &["status", "-o", "json"]).exits(0).json();
    assert!(seen["ledger"].is_string(), "{seen:#}");
    of(bob, "077", &["halt", "--reason", "bob's"]).exits(0);
    of(ann, "022", &["unhalt", "--reason", "ann's"]).exits(0);
    let history = of(bob, "022", &["history", "-o", "json"]).exits(0).json();
    assert_eq!(history["halts"].as_array().map(Vec::len), Some(2), "{history:#}");
    for arguments in [&["status"][..], &["halt", "--reason", "eve's"], &["history"]] {
        is_told(&of(eve, "022", arguments).exits(10));
    }
}

fn is_told(ran: &Ran) {
    let words = words(&ran.stderr);
    assert!(words.contains("share a group") && words.contains("chgrp") && words.contains("chmod g+s"), "{words}");
}
