//! Virtual environments below `target/`, each made once from a file of pinned requirements.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::tmp;

/// The directory `bin` of an environment that has what the file pins, made if need be.
pub(crate) fn environment(name: &str, requirements: &Path) -> PathBuf {
    let home = tmp().join(format!("{name}-{}", digest_of(&[requirements])));
    let (bin, complete) = (home.join("bin"), home.join("complete"));
    // Several test binaries may want it at once; the lock goes with the process that holds it.
    let lock = File::create(tmp().join(format!("{name}.lock"))).expect("a lock below target/");
    lock.lock().expect("the lock of a Python environment");
    if !complete.exists() {
        let _ = fs::remove_dir_all(&home);
        run(Command::new("python3").args(["-m", "venv"]).arg(&home), "make a virtual environment");
        run(
            Command::new(bin.join("python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"])
                .arg(requirements),
            "install from PyPI what the tests need",
        );
        File::create(&complete).expect("a mark below target/");
    }
    bin
}

/// Of the contents of files that pin something.
pub(crate) fn digest_of(files: &[&Path]) -> String {
    let mut digest = DefaultHasher::new();
    for file in files {
        fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).hash(&mut digest);
    }
    format!("{:016x}", digest.finish())
}

fn run(command: &mut Command, what: &str) {
    let hint = "the AWS tests need Python 3 with venv (as root: `apt-get install python3-venv`), and PyPI for the \
                first run";
    let Output { status, stderr, .. } =
        command.output().unwrap_or_else(|error| panic!("cannot {what}: {error} ({hint})"));
    assert!(status.success(), "cannot {what}: {} ({hint})", String::from_utf8_lossy(&stderr));
}
