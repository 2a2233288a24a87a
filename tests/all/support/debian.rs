//! Programs of Debian's packages, for a machine that does not have them: unpacked below `target/`, which needs no root.
//! A program that cannot be had is a failed test, never a skipped one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::tmp;

/// Packages that belong together.
pub(crate) struct Packages {
    /// The directory below `target/` that they are unpacked into.
    pub(crate) home: &'static str,
    /// Their names, each with a version if the tests need one. A Debian that does not have that version gives its own.
    pub(crate) names: &'static [&'static str],
    /// What a person can do instead.
    pub(crate) hint: &'static str,
}

impl Packages {
    /// Where they are unpacked. Downloads them the first time.
    pub(crate) fn unpacked(&self) -> PathBuf {
        unpacked(self.home, self.hint, |parts| self.names.iter().try_for_each(|name| download(name, parts)))
    }
}

/// The directory below `target/` into which the packages are unpacked that `download` puts there, the first time.
pub(crate) fn unpacked(home: &str, hint: &str, download: impl FnOnce(&Path) -> Result<(), String>) -> PathBuf {
    // Several test binaries may want them at once; the lock goes with the process that holds it.
    let lock = File::create(tmp().join(format!("{home}.lock"))).expect("a lock below target/");
    lock.lock().expect("the lock of a package");
    let home = tmp().join(home);
    if !home.exists() {
        let parts = home.with_extension("parts");
        let _ = fs::remove_dir_all(&parts);
        fs::create_dir_all(&parts).expect("a directory below target/");
        download(&parts).unwrap_or_else(|why| panic!("{why} ({hint})"));
        for package in packages_in(&parts) {
            run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&parts))
                .unwrap_or_else(|why| panic!("{why} ({hint})"));
            fs::remove_file(package).expect("removed");
        }
        fs::rename(&parts, &home).expect("a directory below target/");
    }
    home
}

fn packages_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory below target/");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|of| of == "deb")).collect();
    assert!(!found.is_empty(), "apt-get downloaded no package");
    found
}

fn download(package: &str, into: &Path) -> Result<(), String> {
    let any_version = package.split('=').next().unwrap_or(package);
    let exactly = |lists: &[String]| apt(into, lists, &["download", package]).map(drop);
    let any = |lists: &[String]| exactly(lists).or_else(|_| apt(into, lists, &["download", any_version]).map(drop));
    exactly(&[]).or_else(|_| by_own_lists(into, any)).or_else(|_| any(&[]))
}

/// By the machine's package lists; where it has none, by lists of its own below `target/`. `fetch` gets the options that
/// name them.
pub(crate) fn by_some_lists(into: &Path, fetch: impl Fn(&[String]) -> Result<(), String>) -> Result<(), String> {
    fetch(&[]).or_else(|_| by_own_lists(into, fetch))
}

fn by_own_lists(into: &Path, fetch: impl Fn(&[String]) -> Result<(), String>) -> Result<(), String> {
    let state = tmp().join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(state.join(part)).expect("a directory below target/");
    }
    let own = [
        format!("Dir::State::Lists={}", state.join("lists").display()),
        format!("Dir::Cache={}", state.join("cache").display()),
    ];
    apt(into, &own, &["update"])?;
    fetch(&own)
}

/// Runs `apt-get` in a directory, and gives what it printed.
pub(crate) fn apt(into: &Path, lists: &[String], arguments: &[&str]) -> Result<String, String> {
    let options = lists.iter().flat_map(|option| ["-o", option.as_str()]);
    let mut command = Command::new("apt-get");
    run(command.current_dir(into).args(["-q", "-o", "APT::Sandbox::User="]).args(options).args(arguments))
}

/// Runs a command to its end, and gives what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    Err(format!("{command:?} fails: {}", String::from_utf8_lossy(&stderr)))
}
