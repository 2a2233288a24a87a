//! Real programs: their output, how they end, and that none of their processes stays.

use std::time::Instant;

use rustix::process::{Pid, Signal, test_kill_process};

use std::collections::BTreeSet;

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn key() -> ProbeKey {
    ProbeKey { subsystem: "index".into(), probe: "canary".to_owned() }
}

/// Here the shell is the program under test; the probe itself never starts one.
async fn sh(script: &str, timeout: Duration) -> Result<Reading, String> {
    read(&key(), &["sh".to_owned(), "-c".to_owned(), script.to_owned()], &BTreeSet::new(), timeout).await
}

/// Waits until the process is gone, or a zombie that its new parent has yet to reap; fails after ten seconds.
fn assert_gone(pid: &str) {
    let id = Pid::from_raw(pid.trim().parse().expect("a pid")).expect("a pid");
    let begun = Instant::now();
    while test_kill_process(id).is_ok() && !is_zombie(pid.trim()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_zombie(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

/// The content of a file that a program is about to write; fails after ten seconds.
async fn content(of: &std::path::Path) -> String {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(of) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(begun.elapsed() < Duration::from_secs(10), "{} was not written", of.display()),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_number_alone_is_the_reading_and_anything_else_is_talk() {
    for (printed, reading) in [
        ("", Reading::Good),
        ("0.25", Reading::Number(0.25)),
        (" -3e2 \n\n", Reading::Number(-300.0)),
        ("all is well", Reading::Good),
        ("12 ms", Reading::Good),
        ("1\n2", Reading::Good),
        ("1,5", Reading::Good),
    ] {
        let command = ["printf".to_owned(), "%s".to_owned(), printed.to_owned()];
        assert_eq!(read(&key(), &command, &BTreeSet::new(), LONG).await, Ok(reading), "{printed:?}");
    }
}

#[tokio::test]
async fn s3_a_number_that_is_not_finite_is_bad() {
    for printed in ["NaN", "inf", "-infinity", "1e999"] {
        let why = sh(&format!("echo {printed}"), LONG).await.expect_err("not finite");
        assert!(why.ends_with("not a finite number"), "{why}");
    }
}

#[tokio::test]
async fn s3_any_other_exit_status_is_bad_whatever_it_prints() {
    let why = sh("echo 0; echo first >&2; echo 'second [31mline' >&2; echo >&2; exit 3", LONG).await.expect_err("bad");
    assert!(why.ends_with(": exit status 3: second [31mline"), "{why}");
    let why = sh("echo 0; exit 1", LONG).await.expect_err("bad");
    assert!(why.ends_with(": exit status 1"), "{why}");
    let why = sh("kill -TERM $$", LONG).await.expect_err("bad");
    assert!(why.ends_with(": ended by signal 15"), "{why}");
}

#[tokio::test]
async fn s3_a_program_that_cannot_be_started_is_bad() {
    let why = read(&key(), &["/nonexistent/probe".to_owned()], &BTreeSet::new(), LONG).await.expect_err("not there");
    assert!(why.starts_with("/nonexistent/probe: ") && why.contains("No such file"), "{why}");
    assert_eq!(read(&key(), &[], &BTreeSet::new(), LONG).await, Err("has no command".to_owned()));
    assert!(read(&key(), &["a\0b".to_owned()], &BTreeSet::new(), LONG).await.is_err());
}

#[tokio::test]
async fn arguments_are_never_a_shell_s() {
    let command = ["printf".to_owned(), "%s".to_owned(), "$(exit 1); `false` | 1".to_owned()];
    assert_eq!(read(&key(), &command, &BTreeSet::new(), LONG).await, Ok(Reading::Good));
}

#[tokio::test]
async fn the_program_is_told_which_probe_it_is_and_finds_stdin_empty() {
    let script = "test \"$SAFE_REMOVE_SUBSYSTEM/$SAFE_REMOVE_PROBE\" = index/canary && test -n \"$PATH\" && cat";
    assert_eq!(sh(script, LONG).await, Ok(Reading::Good));
}

#[tokio::test]
async fn s3_too_much_output_is_unreadable_and_ends_the_program() {
    let begun = Instant::now();
    let why = sh("exec yes", LONG).await.expect_err("too much");
    assert!(why.ends_with("printed more than 65536 bytes"), "{why}");
    assert!(begun.elapsed() < LONG);
    // It may print any amount of stderr: only the end is kept.
    let why = sh("yes | head -c 300000 >&2; echo last >&2; exit 1", LONG).await.expect_err("bad");
    assert!(why.ends_with(": exit status 1: last"), "{why}");
}

#[tokio::test]
async fn s3_a_program_whose_time_is_up_is_killed_with_its_children() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pids");
    let script = format!("trap '' TERM; sleep 600 & echo $$ $! > {}; wait", file.display());
    let begun = Instant::now();
    let why = sh(&script, Duration::from_millis(1_500)).await.expect_err("too slow");
    assert!(why.ends_with(": no answer within 1500ms"), "{why}");
    assert!(begun.elapsed() < LONG);
    for pid in content(&file).await.split_whitespace() {
        assert_gone(pid);
    }
}

#[tokio::test]
async fn a_child_that_outlives_its_parent_is_killed_and_not_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pid");
    let begun = Instant::now();
    // The child holds stdout and stderr open.
    let script = format!("sleep 600 & echo $! > {}; echo 7", file.display());
    assert_eq!(sh(&script, LONG).await, Ok(Reading::Number(7.0)));
    assert!(begun.elapsed() < LONG);
    assert_gone(&content(&file).await);
}

#[tokio::test]
async fn what_left_the_group_with_stdout_open_is_not_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pid");
    let begun = Instant::now();
    let python = "import os, time, sys
pid = os.fork()
if pid:
    print(7, flush=True)
    time.sleep(0.3)
else:
    os.setsid()
    open(sys.argv[1], 'w').write(f'{os.getpid()}\\n')
    time.sleep(60)
";
    let command = ["python3", "-c", python, &file.display().to_string()].map(str::to_owned);
    assert_eq!(read(&key(), &command, &BTreeSet::new(), LONG).await, Ok(Reading::Number(7.0)));
    assert!(begun.elapsed() < LONG);
    // The test itself has to end this process.
    let escaped = content(&file).await;
    let id = Pid::from_raw(escaped.trim().parse().expect("a pid")).expect("a pid");
    rustix::process::kill_process(id, Signal::KILL).expect("it was there");
}

#[tokio::test]
async fn a_sample_that_is_given_up_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pids");
    let script = format!("sleep 600 & echo $$ $! > {}; wait", file.display());
    let sample = tokio::spawn(async move { sh(&script, LONG).await });
    let pids = content(&file).await;
    sample.abort();
    assert!(sample.await.expect_err("given up").is_cancelled());
    for pid in pids.split_whitespace() {
        assert_gone(pid);
    }
}

#[tokio::test]
async fn many_at_once_do_not_take_each_other_s_end() {
    let samples = (0..16).map(|n| async move { (n, sh(&format!("sleep 0.0{n}; echo {n}"), LONG).await) });
    for (n, reading) in futures_util::future::join_all(samples).await {
        assert_eq!(reading, Ok(Reading::Number(f64::from(n))));
    }
}
