//! The whole process, as an operator meets it: `--help`, plans, and a run of three batches on the virtual clock.
//!
//! `cargo bench --no-default-features --bench process` prints numbers and judges nothing.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use divan::Bencher;
use tempfile::TempDir;

fn main() {
    divan::main();
}

fn safe_remove(directory: &Path, arguments: &[&str]) {
    let status = Command::new(env!("CARGO_BIN_EXE_safe-remove"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the binary starts");
    assert!(status.success(), "safe-remove {} ended with {status}", arguments.join(" "));
}

/// The shipped fleet, so many times as large, in a directory of its own, on the virtual clock, with `--yes` allowed.
fn fleet(times: u64) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let to = directory.path().join("policies");
    fs::create_dir(&to).expect("a directory");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for entry in fs::read_dir(shipped).expect("the shipped policies") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a policy");
        let text: String = text
            .lines()
            .map(|line| match line.split_once('=').map(|(key, value)| (key.trim(), value)) {
                Some(("clock", _)) => "clock = \"virtual\"\n".to_owned(),
                Some(("unattended_max", _)) => "unattended_max = 6\n".to_owned(),
                Some((key @ ("count" | "group_minimum"), value)) => {
                    let number = value.split('#').next().and_then(|number| number.trim().parse::<u64>().ok());
                    format!("{key} = {}\n", number.expect("a whole number") * times)
                }
                _ => format!("{line}\n"),
            })
            .collect();
        fs::write(to.join(path.file_name().expect("a name")), text).expect("a copy");
    }
    directory
}

#[divan::bench]
fn help(bencher: Bencher<'_, '_>) {
    let directory = TempDir::new().expect("a directory");
    bencher.bench(|| safe_remove(directory.path(), &["--help"]));
}

#[divan::bench]
fn plan_of_the_shipped_fleet(bencher: Bencher<'_, '_>) {
    let directory = fleet(1);
    bencher.bench(|| safe_remove(directory.path(), &["plan", "--subsystem", "index", "--count", "6"]));
}

/// 102,600 hosts: files and state are read, the fleet is listed, every probe is sampled.
#[divan::bench(sample_count = 10)]
fn plan_of_a_hundred_thousand_hosts(bencher: Bencher<'_, '_>) {
    let directory = fleet(900);
    let plan = ["plan", "--subsystem", "billing", "--count", "3", "-o", "json"];
    // The first call makes the fleet.
    safe_remove(directory.path(), &plan);
    bencher.bench(|| safe_remove(directory.path(), &plan));
}

/// Seven and a half minutes of the fleet's time: six hosts in three batches, each baked for a minute.
#[divan::bench(sample_count = 10)]
fn run_of_three_batches(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| fleet(1)).bench_values(|directory| {
        safe_remove(directory.path(), &["--subsystem", "index", "--count", "6", "--yes", "--reason", "benchmark"]);
        directory
    });
}
