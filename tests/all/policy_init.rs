//! `policy init`: the first policies of a fleet that has none.

use std::path::Path;

use crate::environment::TestEnvironment;

/// The shipped fleet, whose policies say where it is.
fn shipped() -> TestEnvironment {
    let environment = TestEnvironment::new();
    for name in ["fleet.toml", "scenario.toml", "index.toml", "billing.toml", "placement.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name);
        environment.write(&format!("policies/{name}"), &std::fs::read_to_string(path).expect("a policy"));
    }
    environment
}

#[test]
fn what_it_writes_is_valid_marks_its_guesses_and_can_be_planned_with() {
    let environment = shipped();
    let by_group = ["billing", "index", "index-billing", "placement", "placement-billing"];
    for (out, tag, expected) in
        [("started", "role", &["billing", "index", "placement"][..]), ("again/by-group", "", &by_group[..])]
    {
        let mut arguments = vec!["policy", "init", "--out", out, "-o", "json"];
        if tag.is_empty() {
            environment.replace("policies/fleet.toml", "subsystem_tag = \"role\"", "");
        } else {
            arguments.extend(["--subsystem-tag", tag]);
        }
        let written = environment.run(&arguments).exits(0).json();
        let result = &written["result"];
        assert_eq!(result["subsystems"], serde_json::json!(expected), "{written:#}");
        assert!(result["guesses"].as_u64() > Some(20), "{written:#}");
        environment.run(&["policy", "check", "--policies", out]).exits(0);
        let headroom = environment.run(&["headroom", "--policies", out, "-o", "json"]).exits(0).json();
        for subsystem in headroom["subsystems"].as_array().expect("subsystems") {
            // By group, placement has too few hosts for the load that the scenario gives it: its probe is bad.
            let is_bad = tag.is_empty() && subsystem["name"] == "placement";
            assert!(is_bad || subsystem["hosts_allowed"].as_u64() > Some(0), "{headroom:#}");
        }
        environment.run(&["plan", "--policies", out, "--subsystem", "index", "--count", "1"]).exits(0);
    }
}

#[test]
fn nothing_is_written_over_and_no_half_is_left() {
    let environment = shipped();
    let refused = environment.run(&["policy", "init", "--out", "policies"]).exits(4);
    assert!(refused.stderr.contains("nothing is written over"), "{}", refused.stderr);
    environment.write("taken/notes.txt", "mine");
    environment.run(&["policy", "init", "--out", "taken"]).exits(4);
    environment.run(&["policy", "init", "--out", "taken/notes.txt"]).exits(4);
    std::fs::create_dir(environment.path().join("empty")).expect("a directory");
    environment.run(&["policy", "init", "--out", "empty"]).exits(0);
    environment.run(&["policy", "check", "--policies", "empty"]).exits(0);
    // Not even a ledger is made, and no directory is left beside.
    let left: Vec<String> = std::fs::read_dir(environment.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".policy-init"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    assert!(!environment.path().join(".safe-remove/ledger.db").exists());
    environment.write("policies/scenario.toml", "clock = \"virtual\"\n[[hosts]]\npool = \"a\"\ncount = 2\nzones = [\"a\"]\nunhealthy = [\"a-0001\", \"a-0002\"]\n");
    environment.replace("policies/fleet.toml", "subsystem_tag = \"role\"", "");
    std::fs::remove_dir_all(environment.path().join(".safe-remove")).expect("the fleet's state");
    let refused = environment.run(&["policy", "init", "--out", "nothing"]).exits(3);
    assert!(refused.stderr.contains("no host of it serves"), "{}", refused.stderr);
    assert!(!environment.path().join("nothing").exists());
}
