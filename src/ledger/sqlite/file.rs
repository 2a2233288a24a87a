//! The ledger's file: how it is created, opened and recognised.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::ports::LedgerError;

use super::error::SqliteError;
use super::home::{self, Here, Home};
use super::progress::{self, Found};

/// `SRL1`: distinguishes a ledger from any other SQLite file.
const APPLICATION_ID: i32 = 0x5352_4C31;

/// The layout of the tables, in the file's `user_version`. A newer one is refused.
///
/// 1: the first that was published. 2: with the table `home`; without it a copy cannot be told from the ledger. A file
/// of layout 1 is refused like a copy: it is exported and imported, or adopted, which gives it its home.
pub(super) const LAYOUT: i32 = 2;

/// How long one operation waits for another process's lock. A process holds it for the time of two or three syncs. A
/// longer wait means a stopped process or a disk that hangs, and an operator should hear of that.
const LOCK_WAIT: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE fleets (
        fleet TEXT PRIMARY KEY, ledger TEXT NOT NULL, version INTEGER NOT NULL, record TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE writes (
        fleet TEXT NOT NULL, version INTEGER NOT NULL, nonce TEXT NOT NULL,
        PRIMARY KEY (fleet, version), UNIQUE (fleet, nonce)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE journal (
        fleet TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL, nonce TEXT NOT NULL,
        at INTEGER NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (fleet, run, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX journal_begun ON journal (fleet, at) WHERE seq = 0;
";

/// Mode bits of a directory that gives its group to what is made in it, and that this group may write.
const SETGID_AND_GROUP_WRITES: u32 = 0o2020;

/// Whether what is made in this directory is for all of its group.
fn is_shared(directory: &Path) -> io::Result<bool> {
    let mode = std::fs::metadata(directory)?.permissions().mode();
    Ok(mode & SETGID_AND_GROUP_WRITES == SETGID_AND_GROUP_WRITES)
}

/// Where the ledger is, and how it is opened.
#[derive(Debug)]
pub(super) struct LedgerFile {
    pub(super) path: PathBuf,
    read_only: bool,
    /// Whether a copy, or a file that went back, is opened too: to export it, or to adopt it.
    pub(super) is_unchecked: bool,
    pub(super) lock_wait: Duration,
    /// Limits the file to this many pages, for tests of a full disk.
    #[cfg(test)]
    pub(super) max_pages: std::sync::atomic::AtomicU32,
}

impl LedgerFile {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            read_only: false,
            is_unchecked: false,
            lock_wait: LOCK_WAIT,
            #[cfg(test)]
            max_pages: std::sync::atomic::AtomicU32::new(0),
        }
    }

    pub(super) fn read_only(path: &Path) -> Self {
        Self { read_only: true, ..Self::new(path) }
    }

    /// The same for a file that will not be relied on.
    pub(super) fn unchecked(path: &Path) -> Self {
        Self { is_unchecked: true, ..Self::read_only(path) }
    }

    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn error(&self, tried: &'static str, error: rusqlite::Error) -> LedgerError {
        SqliteError::from_sqlite(error).at(self.place(), tried)
    }

    pub(super) fn corrupt(&self, why: SqliteError) -> LedgerError {
        LedgerError::Corrupt { place: self.place(), source: Box::new(why) }
    }

    /// Opens the file. Creates it with its tables where it is new.
    pub(super) fn create(&self) -> Result<Connection, LedgerError> {
        // In this order, because the progress file is created after the ledger.
        let beside = self.beside()?;
        if !self.path.exists() {
            self.check_blank(&beside)?;
        }
        self.make_file().map_err(|e| self.not_seen(e).at(self.place(), "opened"))?;
        let mut conn = self.open()?;
        if !self.is_blank(&conn)? {
            return Ok(conn);
        }
        let tx = Transaction::new(&mut conn, TransactionBehavior::Immediate).map_err(|e| self.error("written", e))?;
        // Another process may have been faster.
        if self.is_blank(&tx)? {
            self.check_blank(&self.beside()?)?;
            tx.execute_batch(TABLES)
                .and_then(|()| tx.execute_batch(home::TABLE))
                .and_then(|()| tx.pragma_update(None, "application_id", APPLICATION_ID))
                .and_then(|()| tx.pragma_update(None, "user_version", LAYOUT))
                .map_err(|e| self.error("written", e))?;
            self.settle(&tx)?;
            tx.commit().map_err(|e| self.error("written", e))?;
        } else {
            drop(tx);
        }
        Ok(conn)
    }

    /// Opens a file that must exist and have its tables. Using a file never creates it, or creates it again.
    pub(super) fn connect(&self) -> Result<Connection, LedgerError> {
        let conn = self.open()?;
        if self.is_blank(&conn)? {
            return Err(self.corrupt(SqliteError::Blank));
        }
        Ok(conn)
    }

    /// As [`Self::connect`], for writing.
    pub(super) fn connect_to_write(&self) -> Result<Connection, LedgerError> {
        if self.read_only {
            return Err(SqliteError::OpenedToRead.at(self.place(), "written"));
        }
        self.connect()
    }

    /// As [`Self::connect`]; `None` where there is no file, or where the file is still blank.
    pub(super) fn connect_if_exists(&self) -> Result<Option<Connection>, LedgerError> {
        // In this order, because the progress file is created after the ledger.
        let beside = self.beside()?;
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.check_blank(&beside).map(|()| None);
            }
            Err(error) => return Err(self.not_seen(error).at(self.place(), "opened")),
            Ok(_) => {}
        }
        let conn = self.open()?;
        if self.is_blank(&conn)? {
            return self.check_blank(&beside).map(|()| None);
        }
        Ok(Some(conn))
    }

    /// Checks that nothing was ever in a blank file: a new ledger would not know what was removed (S3).
    fn check_blank(&self, beside: &Found) -> Result<(), LedgerError> {
        match beside {
            Found::Nothing => Ok(()),
            Found::Itself(_) | Found::Copy(_) | Found::Unreadable(_) => {
                Err(SqliteError::Vanished { progress: progress::beside(&self.path) }.at(self.place(), "opened"))
            }
        }
    }

    /// Creates the directory and the file. Both are for their owner and group only, as far as the umask allows: the
    /// contents say which hosts can be spared. Accounts of one machine share a ledger by sharing a group. A directory
    /// that gives its group to what is made in it (setgid), and that the group may write, says so: then the file is the
    /// group's to write, whatever the umask. SQLite gives its journal the file's mode, and so does the progress file.
    fn make_file(&self) -> io::Result<()> {
        let parent = self.directory();
        DirBuilder::new().recursive(true).mode(0o770).create(parent)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o660).open(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => Ok(()),
            Ok(file) if is_shared(parent)? => file.set_permissions(Permissions::from_mode(0o660)),
            Ok(_) => Ok(()),
        }
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The error where the file, its progress file or a directory above it cannot be looked at.
    fn not_seen(&self, error: io::Error) -> SqliteError {
        if error.kind() == io::ErrorKind::PermissionDenied {
            SqliteError::NotAllowed { directory: self.directory().to_owned(), source: error }
        } else {
            SqliteError::Directory(error)
        }
    }

    /// Opens without creating.
    ///
    /// Readers open for writing too, so that an interrupted transaction can be rolled back for them; `query_only` keeps
    /// them from writing. SQLite itself falls back to reading where the file is write-protected.
    ///
    /// The journal is a rollback journal, not a write-ahead log: a WAL needs shared memory beside the file (so no
    /// network file system, and no reader without write access to the directory), leaves acknowledged writes in a
    /// second file that a copy forgets, and would speed up something that happens a few times a minute. `EXTRA` is
    /// `FULL` with the directory synced after the journal is unlinked: without it a power loss just after a commit was
    /// acknowledged can undo it (S5). Source: SQLite documentation, `PRAGMA synchronous`.
    fn open(&self) -> Result<Connection, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let conn = Connection::open_with_flags(&self.path, flags)?;
            conn.busy_timeout(self.lock_wait)?;
            conn.pragma_update(None, "synchronous", "EXTRA")?;
            // Only macOS knows this pragma: there, fsync alone does not reach the platter.
            conn.pragma_update(None, "fullfsync", true)?;
            conn.pragma_update(None, "trusted_schema", false)?;
            conn.pragma_update(None, "query_only", self.read_only)?;
            #[cfg(test)]
            if let pages @ 1.. = self.max_pages.load(std::sync::atomic::Ordering::Relaxed) {
                conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            }
            Ok(conn)
        };
        open().map_err(|error: rusqlite::Error| {
            if self.path.exists() { self.error("opened", error) } else { SqliteError::Gone.at(self.place(), "opened") }
        })
    }

    /// Whether the file has no tables yet. A file of another program, or of a newer version, is an error.
    fn is_blank(&self, conn: &Connection) -> Result<bool, LedgerError> {
        let number = |pragma: &str| conn.pragma_query_value(None, pragma, |r| r.get::<_, i32>(0));
        let read = |e| self.error("read", e);
        let application = number("application_id").map_err(read)?;
        let layout = number("user_version").map_err(read)?;
        match (application, layout) {
            (APPLICATION_ID, 1..=LAYOUT) => Ok(false),
            (APPLICATION_ID, newer) if newer > LAYOUT => Err(LedgerError::Newer {
                place: self.place(),
                found: format!("file layout {newer}"),
                known: format!("file layout {LAYOUT}"),
            }),
            (0, 0) => {
                let objects: i64 =
                    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).map_err(read)?;
                if objects == 0 { Ok(true) } else { Err(self.corrupt(SqliteError::NotALedger)) }
            }
            _ => Err(self.corrupt(SqliteError::NotALedger)),
        }
    }

    /// Where the file is now.
    pub(super) fn here(&self) -> Result<Here, LedgerError> {
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => SqliteError::Gone.at(self.place(), "opened"),
            _ => self.not_seen(error).at(self.place(), "opened"),
        };
        Here::of(&self.path).map_err(gone)
    }

    /// Reads the progress file.
    pub(super) fn beside(&self) -> Result<Found, LedgerError> {
        progress::read(&progress::beside(&self.path)).map_err(|error| self.unreadable(error))
    }

    pub(super) fn unreadable(&self, error: io::Error) -> LedgerError {
        if error.kind() == io::ErrorKind::PermissionDenied {
            return self.not_seen(error).at(self.place(), "read");
        }
        SqliteError::Progress { path: progress::beside(&self.path), source: error }.at(self.place(), "read")
    }

    /// Makes a new file at home where it is, with no writes taken.
    fn settle(&self, tx: &Transaction<'_>) -> Result<(), LedgerError> {
        self.settle_with(tx, 0).map(|_| ())
    }

    /// As `settle`, for a file that was moved here and has taken `writes` writes.
    pub(super) fn settle_with(&self, tx: &Transaction<'_>, writes: u64) -> Result<Home, LedgerError> {
        let home = Home::new(self.here()?, writes);
        home.store(tx).map_err(|error| self.error("written", error))?;
        Ok(home)
    }
}
