//! What SAFETY.md says about who is trusted with what, tried.

use crate::environment::{TestEnvironment, set_mode};
use crate::fleets::Fleet;

/// A fleet whose policy of index has a probe that leaves a mark: its environment.
fn marked() -> TestEnvironment {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    let probe = "[[health.probe]]\nname = \"mark\"\nkind = \"exec\"\ncommand = [\"./mark\"]\n[confirm]";
    environment.replace("policies/index.toml", "[confirm]", probe);
    let program = environment.write("policies/mark", "#!/bin/sh\nenv > mark.txt\n");
    set_mode(&program, 0o755);
    environment.set("AWS_SECRET_ACCESS_KEY", "of-the-operator");
    environment
}

/// Whether the probe's program ran since the last look.
fn ran(environment: &TestEnvironment) -> bool {
    let mark = environment.path().join("mark.txt");
    let Ok(text) = std::fs::read_to_string(&mark) else { return false };
    assert!(text.contains("AWS_SECRET_ACCESS_KEY=of-the-operator"), "it has the operator's environment: {text}");
    std::fs::remove_file(mark).expect("removed");
    true
}

/// These commands can be used with the policies of somebody who is not trusted: they start no program of theirs.
#[test]
fn programs_of_policies_are_started_by_the_commands_that_safety_md_names_and_by_no_other() {
    let environment = marked();
    for (starts, arguments) in [
        (true, &["plan", "--subsystem", "index", "--count", "1"][..]),
        (true, &["headroom"]),
        (true, &["--subsystem", "index", "--count", "1", "--yes"]),
        (false, &["policy", "check"]),
        (false, &["policy", "show"]),
        (false, &["policy", "schema"]),
        (false, &["policy", "accept", "index", "--reason", "none"]),
        (false, &["status"]),
        (false, &["history"]),
        (false, &["halt", "--reason", "a drill"]),
        (false, &["unhalt", "--reason", "it was a drill"]),
        (false, &["ledger", "init"]),
        (false, &["ledger", "export"]),
    ] {
        environment.run(arguments).exits(0);
        assert_eq!(ran(&environment), starts, "{arguments:?}");
    }
    let words = ["--", "safe-remove", "plan", "--subsystem", "index", "--host", ""];
    let mut tab = environment.command(&words);
    let proposed = tab.env("_SAFE_REMOVE_COMPLETE", "bash").output().expect("it starts");
    assert!(String::from_utf8_lossy(&proposed.stdout).contains("index-"), "{proposed:?}");
    assert!(!ran(&environment), "Tab");
}

/// The variable by which a shell asks for names may be left in somebody's environment: a command stays a command.
#[test]
fn s6_the_variable_of_the_tab_key_makes_no_command_do_nothing() {
    let mut environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    environment.set("_SAFE_REMOVE_COMPLETE", "bash");
    environment.run(&["halt", "--reason", "smoke"]).exits(0);
    environment.run(&["--subsystem", "index", "--count", "1", "--yes"]).exits(3);
}

/// S3: whoever can write a policy can lower a minimum and start programs.
#[test]
fn s3_a_policy_that_everybody_may_write_starts_no_program() {
    for (path, mode) in [("policies/index.toml", 0o666), ("policies/fleet.toml", 0o646), ("policies", 0o777)] {
        let environment = marked();
        set_mode(&environment.path().join(path), mode);
        for arguments in [&["plan", "--subsystem", "index", "--count", "1"][..], &["headroom"]] {
            let refused = environment.run(arguments).exits(4);
            assert!(refused.stderr.contains("writable by everybody"), "{path}: {}", refused.stderr);
        }
        assert!(!ran(&environment), "{path}");
    }
}
