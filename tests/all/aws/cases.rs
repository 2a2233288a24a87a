//! What users of other tools reported, as cases: each a small fleet, a command, and what must come of it
//! (tests/cases/README.md).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::python::environment;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Runs a case, which must hold.
#[track_caller]
fn holds(name: &str) {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moto/requirements.txt");
    let mut run = Command::new(environment("aws-server", &requirements).join("python"));
    run.arg(directory().join("run.py")).args(["-v", name]).env("SAFE_REMOVE_BIN", env!("CARGO_BIN_EXE_safe-remove"));
    let Output { status, stdout, stderr } = run.output().expect("Python starts");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{name}: {}{}", said(&stdout), said(&stderr));
}

/// A test for each case, named like it.
macro_rules! cases {
    ($($test:ident)*) => {
        $(#[test]
        fn $test() {
            holds(&stringify!($test).replace('_', "-"));
        })*

        const TESTED: &[&str] = &[$(stringify!($test)),*];
    };
}

cases! {
    all_unhealthy
    all_unhealthy_simulated
    contention_then_nothing
    contention_then_regression
    control_credentials
    control_no_shift
    control_regression
    control_removal
    control_unhealthy_first
    cordon_undone
    credentials_end_first
    doctor_missing_permission
    doctor_nothing_wrong
    empty_tag_value
    ghost_in_another_group
    ip_targets_beside
    launch_suspended
    managed_elsewhere
    managed_elsewhere_allowed
    no_room_for_tags
    rebalance_resumed
    reclaimed_while_cordoned
    restore_poisoned_by_detach
    second_target_group
    stop_in_terminating_wait
    stopped_by_off_hours
    stray_target_group
    stray_target_group_restored
    warm_pool_reuse
    zone_shifted
}

#[test]
fn every_case_is_a_test() {
    let has_command = |entry: &fs::DirEntry| entry.path().join("cmd").exists();
    let entries = fs::read_dir(directory()).expect("the cases").map(|entry| entry.expect("an entry"));
    let there: BTreeSet<String> =
        entries.filter(has_command).map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    let tested: BTreeSet<String> = TESTED.iter().map(|name| name.replace('_', "-")).collect();
    assert_eq!(tested, there);
}
