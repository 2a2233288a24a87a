//! Command lines that cannot be meant as they stand: exit 2, a message that says what to do, nothing touched.

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

/// Each is refused before policies or fleet are looked at: the directory is empty.
const WRONG: &[&[&str]] = &[
    &["--subsystem", "index", "--count", "0"],
    &["--subsystem", "index", "--count", "-3"],
    &["--subsystem", "index", "--count", "three"],
    &["--subsystem", "index", "--count", "1.5"],
    &["--subsystem", "index", "--count", "99999999999999999999999999"],
    &["--subsystem", "index", "--count", ""],
    &["--subsystem", "index"],
    &["--count", "3"],
    &["--subsystem", "index", "--count", "3", "--host", "index-0001"],
    &["--subsystem", "index", "--host", "index-0001", "--host", "index-0001"],
    &["--subsystem", "index", "--host", ""],
    &["--subsystem", "", "--count", "3"],
    &["--subsystem", "index", "--count", "3", "--count", "4"],
    &["--subsystem", "index", "--count", "3", "--request-id", ""],
    &["--subsystem", "index", "--count", "3", "--reason", " "],
    &["--subsystem", "index", "--count", "3", "--max-wait", "soon"],
    &["--subsystem", "index", "--count", "3", "--max-wait", "-1h"],
    &["--subsystem", "index", "--count", "3", "--max-wait", "1h", "--no-wait"],
    &["--subsystem", "index", "--count", "3", "--expect-remaining", "-1"],
    &["--subsystem", "index", "--count", "3", "-y"],
    &["--subsystem", "index", "--count", "3", "--output", "xml"],
    &["--subsystem", "index", "--count", "3", "plan"],
    &["--subsystem", "index", "--count", "3", "surplus"],
    &["--all"],
    &["plan"],
    &["plan", "--subsystem", "index", "--count", "3", "--yes"],
    &["headroom", "--what-if", "minimum=10"],
    &["headroom", "--subsystem", "index", "--what-if", "minimum=10", "--what-if", "minimum=11"],
    &["headroom", "--what-if", "zone-down=a", "--what-if", "zone-down=a"],
    &["headroom", "--subsystem", "index", "--what-if", "minimum=70%"],
    &["headroom", "--what-if", "zone-down="],
    &["headroom", "--what-if", "zone-up=a"],
    &["headroom", "--what-if"],
    &["history", "--since", "yesterday"],
    &["policy"],
    &["policy", "accept", "index"],
    &["ledger", "adopt"],
    &["statsu"],
    &["stop"],
    &["rollback", "r-1"],
    &["index", "3"],
    &["--subsystem", "index", "-n", "3"],
    &["--subsystem", "index", "--count", "3", "-y"],
    &["--subsystem", "index", "--count", "3", "--force"],
];

#[test]
fn wrong_command_lines_say_what_to_do() {
    let environment = TestEnvironment::new();
    let mut shown = String::new();
    for arguments in WRONG {
        let ran = environment.run(arguments).exits(2);
        assert!(ran.stdout.is_empty(), "{ran:?}");
        shown.push_str(&environment.shown(&ran));
        shown.push('\n');
    }
    assert_snapshot!(shown);
    assert_eq!(std::fs::read_dir(environment.path()).expect("a directory").count(), 0, "nothing was written");
}

#[test]
fn help_names_a_command_as_other_tools_take_it() {
    let environment = TestEnvironment::new();
    let help = environment.run(&["help", "plan"]).exits(0);
    assert_eq!(help.stdout, environment.run(&["plan", "--help"]).exits(0).stdout);
}

#[test]
fn wrong_command_lines_are_documents_where_documents_are_asked_for() {
    let environment = TestEnvironment::new();
    for arguments in WRONG.iter().filter(|arguments| !arguments.contains(&"xml")) {
        for format in [&["--output", "json"][..], &["-o", "ndjson"], &["--output=json"], &["-ojson"]] {
            let ran = environment.run(&[format, *arguments].concat()).exits(2);
            let document = ran.last_line_or_all();
            assert_eq!(document["schema"], "safe-remove/error/v1", "{ran:?}");
            assert_eq!(document["exit_code"], 2);
            assert!(document["message"].as_str().is_some_and(|m| !m.is_empty() && !m.starts_with("error")), "{ran:?}");
            assert!(document["causes"].is_array() && document.get("hint").is_some(), "{ran:?}");
            assert!(ran.stderr.starts_with("error: "), "the message for people also goes to stderr: {ran:?}");
        }
    }
}

#[test]
fn hosts_on_stdin_are_checked_like_any_other() {
    let environment = TestEnvironment::new();
    let arguments = ["--subsystem", "index", "--host", "-"];
    for (stdin, why) in [
        (&b"a\nb\na\n"[..], "named twice"),
        (b"a\n\nb\n", "line 2"),
        (b"a\nb\x1b[2J\n", "line 2"),
        (b"\xff\xfe\n", "cannot be read"),
    ] {
        let ran = environment.run_with_stdin(&arguments, stdin).exits(2);
        assert!(ran.stderr.contains(why), "{ran:?}");
        assert!(!ran.stderr.contains('\x1b'), "{ran:?}");
    }
    let mixed = ["--subsystem", "index", "--host", "a", "--host", "-"];
    let ran = environment.run_with_stdin(&mixed, b"a\n").exits(2);
    assert!(ran.stderr.contains("named twice"), "{ran:?}");
}

#[test]
fn an_escape_sequence_in_an_argument_does_not_reach_the_terminal() {
    let environment = TestEnvironment::new();
    for arguments in [&["--subsystem", "a\x1b[2J", "--count", "1"][..], &["\x1b]0;title\x07"], &["--\u{9b}31m"]] {
        let ran = environment.run(arguments).exits(2);
        assert!(!ran.stderr.chars().any(|c| c.is_control() && c != '\n'), "{ran:?}");
    }
}
