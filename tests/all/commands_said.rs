//! Every command that a screen says for copying names the policy directory, and is one that this program reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::environment::TestEnvironment;
use crate::fleets::Fleet;

/// A fleet whose policies are in `elsewhere`.
fn elsewhere() -> TestEnvironment {
    let environment = TestEnvironment::new();
    Fleet { index_minimum: 12, ..Fleet::default() }.write(&environment);
    fs::rename(environment.path().join("policies"), environment.path().join("elsewhere")).expect("renamed");
    environment
}

/// The commands in an output, without clap's usage, which shows how a command is made up.
fn commands(text: &str) -> Vec<String> {
    let told = text.split("Usage:").next().unwrap_or_default();
    let command = regex::Regex::new(r"safe-remove (?:[a-z]|--)[^`\n]*").expect("a pattern");
    command.find_iter(told).map(|found| found.as_str().trim_end().to_owned()).collect()
}

/// The commands that a call says, each of which must name the directory and be readable.
#[track_caller]
fn said(environment: &TestEnvironment, line: &str, fault: Option<&str>) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').chain(["--policies", "elsewhere"]).collect();
    let mut call = environment.command(&words);
    call.envs(fault.map(|fault| ("SAFE_REMOVE_FAULT", fault)));
    let Output { stdout, stderr, .. } = call.output().expect("it starts");
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    let found: Vec<String> = [&stdout, &stderr].into_iter().flat_map(|text| commands(text)).collect();
    for command in &found {
        assert!(command.contains(" --policies elsewhere"), "{line}: {command}\n{stdout}\n{stderr}");
        reads(command);
    }
    found
}

/// In an empty directory a command that is read ends with 4, because there are no policies; one that is not, with 2.
#[track_caller]
fn reads(command: &str) {
    let empty = TestEnvironment::new();
    let given = command.replace("RUN", "r-0123456789ab").replace("NAME", "index").replace(" N ", " 3 ");
    let words: Vec<&str> = given.split(' ').skip(1).collect();
    let ran = empty.run(&words);
    let is_help = words.contains(&"--help") || words.contains(&"--version");
    assert!(ran.code == Some(4) || (is_help && ran.code == Some(0)), "{command}\n{ran:?}");
}

#[test]
fn what_is_said_to_a_wrong_or_refused_request_names_the_directory() {
    let environment = elsewhere();
    for line in [
        // Before there is a ledger.
        "ledger export",
        "ledger prune --before 90d",
        // Usage.
        "headroom --what-if minimum=10",
        "plan --count 3",
        "plan --subsystem index",
        "--subsystem index --count 3 plan",
        "--subsystem index --count 3 --force",
        "list",
        "stop",
        "rollback r-1",
        "drain index",
        "unpause",
        "validate",
        "index 3",
        "man nothing-like-it",
        "ledger import nowhere.json",
        "unhalt",
        // Refusals.
        "plan --subsystem index --count 12",
        "plan --subsystem inedx --count 1",
        "--subsystem index --count 2",
    ] {
        let told = said(&environment, line, None);
        let is_bare = line.starts_with("--subsystem index --count 2") || line.ends_with("--force");
        assert!(is_bare || !told.is_empty(), "{line} says no command");
    }
    said(&environment, "halt --reason smoke --no-follow", None);
    for line in ["plan --subsystem index --count 1", "status", "unhalt --subsystem index --reason x"] {
        assert!(!said(&environment, line, None).is_empty(), "{line}");
    }
    said(&environment, "unhalt --reason over", None);
    assert!(!said(&environment, "unhalt --reason over", None).is_empty());
}

#[test]
fn what_is_said_of_runs_and_loosened_policies_names_the_directory() {
    let environment = elsewhere();
    environment.replace("elsewhere/index.toml", "minimum = 12", "minimum = 13");
    said(&environment, "--subsystem index --count 1 --yes", Some("kill:behind-append-batch-cordoned"));
    let told = said(&environment, "plan --subsystem index --count 1", None);
    assert!(told.iter().any(|command| command.contains("safe-remove abandon r-")), "{told:?}");
    for line in [
        "status",
        "status r-0123456789ab",
        "report r-0123456789ab",
        "abandon r-0123456789ab",
        "resume r-0123456789ab",
        "pause r-0123456789ab",
        "continue r-0123456789ab",
    ] {
        assert!(!said(&environment, line, None).is_empty(), "{line}");
    }
    let run = environment.run(&["status", "-o", "json", "--policies", "elsewhere"]).json()["runs"][0]["run"].clone();
    let run = run.as_str().expect("a run").to_owned();
    said(&environment, &format!("abandon {run}"), None);
    assert!(!said(&environment, &format!("abandon {run}"), None).is_empty(), "it has ended");
    environment.replace("elsewhere/index.toml", "minimum = 13", "minimum = 12");
    let told = said(&environment, "plan --subsystem index --count 1", None);
    assert!(told.iter().filter(|command| command.contains("policy accept index")).count() > 1, "{told:?}");
    environment.write("elsewhere/index.toml", "nonsense = 1\n");
    for line in ["status", "plan --subsystem index --count 1"] {
        assert!(!said(&environment, line, None).is_empty(), "{line}");
    }
}

/// A path without its detours is the same directory, and shorter to read and to paste.
#[test]
fn the_directory_is_named_without_detours() {
    let environment = elsewhere();
    let plan = ["plan", "--subsystem", "index", "--count", "12", "--policies"];
    for typed in ["elsewhere/../elsewhere", "./elsewhere/", "elsewhere"] {
        let refused = environment.run(&[&plan[..], &[typed]].concat()).exits(3);
        assert!(!refused.stdout.contains("elsewhere/"), "{typed}: {}", refused.stdout);
    }
    let listed = environment.run(&["list", "--policies", "elsewhere/../elsewhere"]);
    assert!(listed.stderr.contains("--policies elsewhere"), "{}", listed.stderr);
    assert!(!listed.stderr.contains("elsewhere/"), "{}", listed.stderr);
}

/// In the source a command begins behind a colon or in backticks, where the directory is added, or is built by
/// `policy::command`.
#[test]
fn no_text_of_the_source_has_a_command_that_the_directory_is_not_added_to() {
    // The help of the program, which is read before anybody names a directory.
    const HELP: [&str; 2] = ["src/cli/args.rs", "src/cli/examples.rs"];
    let loose = regex::Regex::new(r"(?:^|[^`/]|[^:] )safe-remove (?:[a-z]|--|\\$)").expect("a pattern");
    let named =
        regex::Regex::new(r"(?:: |`)safe-remove |[a-z] safe-remove (?:was|wrote|panicked)|safe-remove ledger on")
            .expect("a pattern");
    let mut wrong = Vec::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("below").display().to_string();
        if HELP.contains(&name.as_str()) || name.ends_with("tests.rs") || name.contains("/tests/") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a file");
        let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let rest = named.replace_all(line, "");
            if line.contains('"') && loose.is_match(&rest) {
                wrong.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect()
}
