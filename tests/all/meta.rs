//! Help, version, completions, the manual page: what needs no policies.

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

#[test]
fn alone_it_shows_what_a_tired_operator_needs_and_is_no_success() {
    assert_snapshot!(TestEnvironment::new().show(&[]));
}

#[test]
fn help_short_and_long() {
    let environment = TestEnvironment::new();
    assert_snapshot!("help_short", environment.show(&["-h"]));
    assert_snapshot!("help_long", environment.show(&["--help"]));
}

#[test]
fn version_names_the_program() {
    let ran = TestEnvironment::new().run(&["--version"]).exits(0);
    assert_eq!(ran.stdout, format!("safe-remove {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_not_there_yet_is_not_offered() {
    let environment = TestEnvironment::new();
    let help = environment.run(&["--help"]).exits(0).stdout;
    for command in ["apply", "approve", "drill", "audit"] {
        let listed = help.lines().any(|line| line.trim_start().starts_with(&format!("{command} ")));
        assert!(!listed, "{command} is listed");
        environment.run(&[command]).exits(2);
    }
}

#[test]
fn completions_for_every_shell() {
    let environment = TestEnvironment::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = environment.run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("safe-remove") && script.contains("_SAFE_REMOVE_COMPLETE"), "{shell}: {script}");
    }
    environment.run(&["completions"]).exits(2);
    environment.run(&["completions", "cmd.exe"]).exits(2);
}

#[test]
fn a_closed_stdout_is_no_panic() {
    let environment = TestEnvironment::new();
    let mut command = environment.command(&["--help"]);
    let mut child = command.spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn the_policy_directory_can_come_from_the_environment() {
    let mut environment = TestEnvironment::new();
    environment.set("SAFE_REMOVE_POLICIES", "elsewhere");
    let ran = environment.run(&["policy", "check"]).exits(4);
    assert!(ran.stderr.contains("elsewhere"), "{}", ran.stderr);
    let ran = environment.run(&["policy", "check", "--policies", "here"]).exits(4);
    assert!(ran.stderr.contains("here") && !ran.stderr.contains("elsewhere"), "{}", ran.stderr);
}

#[test]
fn what_a_log_filter_says_wrongly_is_told() {
    let mut environment = TestEnvironment::new();
    environment.set("SAFE_REMOVE_LOG", "safe_remove=loud");
    let ran = environment.run(&["man"]).exits(0);
    assert!(ran.stderr.contains("SAFE_REMOVE_LOG is not used"), "{}", ran.stderr);
    environment.set("SAFE_REMOVE_LOG", "safe_remove=debug");
    assert!(environment.run(&["man"]).exits(0).stderr.is_empty());
}

#[test]
fn colours_are_for_terminals_and_those_who_ask() {
    let mut environment = TestEnvironment::new();
    let wrong = ["plan", "--subsystem", "index", "--count", "1"];
    assert!(!environment.run(&wrong).stderr.contains('\x1b'));
    let asked = environment.run(&[&wrong[..], &["--color", "always"]].concat());
    assert!(asked.stderr.contains('\x1b') && !asked.stdout.contains('\x1b'));
    environment.set("NO_COLOR", "1");
    assert!(!environment.run(&wrong).stderr.contains('\x1b'));
}
