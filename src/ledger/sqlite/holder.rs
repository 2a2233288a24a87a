//! Who keeps the ledger's file locked. SQLite locks with POSIX advisory locks (its documentation, "File Locking And
//! Concurrency"), and Linux lists them with their owners (proc(5), `/proc/locks`). Elsewhere nothing is known.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A process that keeps a file locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pid: u32,
    /// It was stopped, and keeps its locks until it goes on.
    is_stopped: bool,
}

impl Holder {
    /// The process that keeps this file locked for writing, if there is one and it is not this process.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let inode = fs::metadata(file).ok()?.ino();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        let pid = locks.lines().find_map(|line| writer(line, inode)).filter(|pid| *pid != std::process::id())?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').and_then(|(_, fields)| fields.trim_start().chars().next());
        Some(Self { pid, is_stopped: matches!(state, Some('T' | 't')) })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.pid;
        match self.is_stopped {
            true => write!(
                f,
                "process {pid} keeps it locked and was stopped (Ctrl-Z, SIGSTOP): kill -CONT {pid} lets it go on"
            ),
            false => write!(f, "process {pid} kept it locked for ten seconds: let it go on, or end it"),
        }
    }
}

/// The owner of a write lock on this inode, from a line such as `7: POSIX  ADVISORY  WRITE 812 fe:00:10452997 0 EOF`. A
/// line that waits for a lock has `->` behind its number.
fn writer(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    let (kind, _, access) = (words.next()?, words.next()?, words.next()?);
    let (pid, file) = (words.next()?, words.next()?);
    let is_it = file.rsplit(':').next()?.parse() == Ok(inode);
    (kind == "POSIX" && access == "WRITE" && is_it).then(|| pid.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_writer_of_its_file_and_no_other() {
        let line = "7: POSIX  ADVISORY  WRITE 812 fe:00:10452997 1073741825 1073741825";
        assert_eq!((writer(line, 10_452_997), writer(line, 1)), (Some(812), None));
        for other in [
            "7: POSIX  ADVISORY  READ  812 fe:00:10452997 0 EOF",
            "7: FLOCK  ADVISORY  WRITE 812 fe:00:10452997 0 EOF",
            "7: -> POSIX ADVISORY WRITE 812 fe:00:10452997 0 EOF",
            "",
        ] {
            assert_eq!(writer(other, 10_452_997), None, "{other}");
        }
    }

    #[test]
    fn this_process_is_not_named() {
        assert_eq!(Holder::of(Path::new("/proc/self/exe")), None);
        assert_eq!(Holder::of(Path::new("/nowhere")), None);
    }
}
