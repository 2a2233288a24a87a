//! [`Progress`]: a small file beside the ledger that says how many writes the ledger had taken when it last
//! acknowledged one.
//!
//! Restoring a backup takes the ledger's own count back; this file does not go back with it. It contains its own inode
//! and birth, so that neither a copy of it nor an older one written over it is taken for it. This module knows nothing
//! of SQLite: `writes` decides who may write the file, and when.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// The schema. v1 is the first.
const SCHEMA: &str = "safe-remove/ledger-progress/v1";

/// Far larger than the file.
const SIZE_MAX: u64 = 64 << 10;

/// Identifies a file among all that a file system ever had.
///
/// The device number is left out: many are assigned anew with every mount or start. The birth distinguishes files that
/// had the same inode one after the other, and a copy from its original where both have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) inode: u64,
    /// Nanoseconds since 1970; `None` where the file system or the platform does not report it.
    pub(super) born: Option<u64>,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let since = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Self { inode: metadata.ino(), born: since.and_then(|since| u64::try_from(since.as_nanos()).ok()) }
    }

    /// Whether both are the same file. A birth that only one of them has is ignored.
    pub(super) fn is(self, other: Self) -> bool {
        self.inode == other.inode && (self.born == other.born || self.born.is_none() || other.born.is_none())
    }
}

/// The contents of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    schema: String,
    /// The mark of the ledger's home, the same as in the ledger.
    pub(super) mark: String,
    /// How many write transactions the ledger had taken when it last acknowledged one.
    pub(super) writes: u64,
    /// The identity of this file.
    file: Identity,
}

/// What is found in the place of the progress file.
#[derive(Debug)]
pub(super) enum Found {
    /// No file.
    Nothing,
    /// The file that was last written there.
    Itself(Progress),
    /// A copy of such a file.
    Copy(Progress),
    /// Not a whole file of safe-remove.
    Unreadable(String),
}

/// The path of the progress file: beside the file that a symbolic link leads to, as SQLite's own journal is.
pub(super) fn beside(ledger: &Path) -> PathBuf {
    let real = fs::canonicalize(ledger).unwrap_or_else(|_| ledger.to_owned());
    let mut name = OsString::from(real);
    name.push("-progress");
    name.into()
}

/// Reads the file.
///
/// # Errors
///
/// The file exists and cannot be read: whether the ledger went back is not known (S3).
pub(super) fn read(path: &Path) -> io::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Found::Nothing);
        }
        Err(error) => return Err(error),
    };
    // The identity of the open file, not of its name: another process may rename the next one to that name meanwhile.
    let identity = Identity::of(&file.metadata()?);
    let mut text = Vec::new();
    file.take(SIZE_MAX).read_to_end(&mut text)?;
    let progress: Progress = match serde_json::from_slice(&text) {
        Ok(progress) => progress,
        Err(error) => return Ok(Found::Unreadable(error.to_string())),
    };
    if progress.schema != SCHEMA {
        return Ok(Found::Unreadable(format!("its schema is {}, this version reads {SCHEMA}", progress.schema)));
    }
    Ok(if progress.file.is(identity) { Found::Itself(progress) } else { Found::Copy(progress) })
}

/// Writes the file: writes another file beside it, syncs that, and renames it. The readers of the ledger can read it.
///
/// The caller holds the ledger's write lock. A part that a killed process left here is removed first.
///
/// # Errors
///
/// The file that was there before may still be there.
pub(super) fn write(path: &Path, mark: &str, writes: u64, ledger: &Metadata) -> io::Result<()> {
    let mut part = OsString::from(path);
    part.push("-next");
    let part = PathBuf::from(part);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    let progress =
        Progress { schema: SCHEMA.to_owned(), mark: mark.to_owned(), writes, file: Identity::of(&file.metadata()?) };
    file.write_all(&serde_json::to_vec(&progress)?)?;
    // Operators who share a ledger share a group. A process that may not change the owner makes the file as readable as
    // it can.
    let _ = fchown(&file, Some(ledger.uid()), Some(ledger.gid())).or_else(|_| fchown(&file, None, Some(ledger.gid())));
    file.set_permissions(Permissions::from_mode(ledger.mode() & 0o666))?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    // The name must be on the disk, too, before anybody is told.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(writes: u64) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = directory.path().join("ledger.db");
        fs::write(&ledger, "").expect("written");
        let path = beside(&ledger);
        write(&path, "m", writes, &fs::metadata(&ledger).expect("is there")).expect("written");
        (directory, path)
    }

    #[test]
    fn what_was_written_is_itself_and_a_copy_of_it_is_not() {
        let (directory, path) = written(7);
        assert!(matches!(read(&path).expect("reads"), Found::Itself(progress) if progress.writes == 7));
        let copy = directory.path().join("copy");
        fs::copy(&path, &copy).expect("copied");
        assert!(matches!(read(&copy).expect("reads"), Found::Copy(_)));
        assert!(matches!(read(&directory.path().join("none")).expect("reads"), Found::Nothing));
    }

    #[test]
    fn s3_an_older_one_written_over_it_is_a_copy() {
        let (directory, path) = written(7);
        let old = fs::read(&path).expect("reads");
        write(&path, "m", 8, &fs::metadata(directory.path().join("ledger.db")).expect("is there")).expect("written");
        assert!(matches!(read(&path).expect("reads"), Found::Itself(progress) if progress.writes == 8));
        fs::write(&path, old).expect("written over");
        assert!(matches!(read(&path).expect("reads"), Found::Copy(progress) if progress.writes == 7));
    }

    #[test]
    fn s3_half_of_it_is_unreadable_and_what_a_killed_process_left_is_in_nobodys_way() {
        let (directory, path) = written(7);
        fs::write(&path, "{\"schema\":").expect("written");
        assert!(matches!(read(&path).expect("reads"), Found::Unreadable(_)));
        fs::write(directory.path().join("ledger.db-progress-next"), "half").expect("written");
        write(&path, "m", 8, &fs::metadata(directory.path().join("ledger.db")).expect("is there")).expect("written");
        assert!(matches!(read(&path).expect("reads"), Found::Itself(_)));
    }
}
