//! How a ledger is read and written: what is checked before, and how its progress file is written after.
//!
//! The order of steps makes a false alarm impossible. The progress file ([`Progress`]) is written only by the process
//! that holds SQLite's write lock, which one process holds at a time ("File Locking And Concurrency", `RESERVED`;
//! `BEGIN IMMEDIATE` takes it), and only with a count that is committed: a commit is on the disk once it returns
//! ("Atomic Commit In SQLite", 3.11 and 3.12, and `PRAGMA synchronous = EXTRA`). So the progress file is never ahead of
//! the ledger, and never goes back. A reader reads the progress file first and the ledger after it. A process that is
//! killed between its commit and the progress file leaves the progress file one behind: that write was acknowledged to
//! nobody, and the next write makes up for it.
//!
//! [`Progress`]: super::progress::Progress

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::ports::LedgerError;

use super::error::SqliteError;
use super::file::LedgerFile;
use super::home::{Here, Home};
use super::progress::{self, Found};

/// The wait between two attempts to get the write lock for the progress file. Another writer may have written as much
/// already.
const GLANCE: Duration = Duration::from_millis(20);

impl LedgerFile {
    pub(super) fn home(&self, conn: &Connection) -> Result<Option<Home>, LedgerError> {
        Home::load(conn).map_err(|error| self.error("read", error))
    }

    /// S1, S3: neither a copy nor a file that went back is believed. The progress file is read first, `conn` after it.
    pub(super) fn check(&self, conn: &Connection) -> Result<(), LedgerError> {
        if self.is_unchecked {
            return Ok(());
        }
        let beside = self.beside()?;
        let home = self.home(conn)?;
        let here = self.here()?;
        self.judge(home.as_ref(), &beside, &here).map_err(|why| why.at(self.place(), "read"))
    }

    pub(super) fn judge(&self, home: Option<&Home>, beside: &Found, here: &Here) -> Result<(), SqliteError> {
        home.ok_or(SqliteError::Homeless)?.judge(beside, here, &progress::beside(&self.path))
    }

    /// Begins a write: takes the write lock, and checks that this is still the same ledger.
    pub(super) fn begin<'c>(&self, conn: &'c mut Connection) -> Result<Transaction<'c>, LedgerError> {
        let tx = self.immediate(conn)?;
        self.check(&tx)?;
        if let Some(home) = self.home(&tx)?.filter(|home| home.writes == 0) {
            // From the first write on, a missing progress file means that it was removed.
            self.say(&home.mark, home.writes).map_err(|error| self.unreadable(error))?;
        }
        Ok(tx)
    }

    pub(super) fn immediate<'c>(&self, conn: &'c mut Connection) -> Result<Transaction<'c>, LedgerError> {
        Transaction::new(conn, TransactionBehavior::Immediate).map_err(|e| self.error("written", e))
    }

    /// Counts this write. Every transaction that changes anything calls it.
    pub(super) fn count(tx: &Transaction<'_>) -> Result<u64, rusqlite::Error> {
        tx.query_row("UPDATE home SET writes = writes + 1 RETURNING writes", [], |r| r.get(0))
    }

    pub(super) fn say(&self, mark: &str, writes: u64) -> io::Result<()> {
        progress::write(&progress::beside(&self.path), mark, writes, &fs::metadata(&self.path)?)
    }

    /// A write stays in doubt for its writer until the progress file says it, too.
    pub(super) fn unsaid(&self, error: io::Error) -> LedgerError {
        let why = SqliteError::Progress { path: progress::beside(&self.path), source: error };
        LedgerError::InDoubt { place: self.place(), source: Box::new(why) }
    }

    /// Brings the progress file up to date: after a commit, and before anybody is told of it.
    ///
    /// `at_least` is the count of that commit. Where another writer has already written as much, there is nothing to
    /// do.
    pub(super) fn keep_up(&self, conn: &mut Connection, at_least: u64) -> Result<(), LedgerError> {
        let begun = Instant::now();
        conn.busy_timeout(GLANCE).map_err(|error| self.error("written", error))?;
        loop {
            let mark = self.home(conn).unwrap_or_default().map(|home| home.mark);
            if let Found::Itself(progress) = self.beside()?
                && Some(&progress.mark) == mark.as_ref()
                && progress.writes >= at_least
            {
                return Ok(());
            }
            match Transaction::new(conn, TransactionBehavior::Immediate) {
                Ok(tx) => {
                    self.check(&tx)?;
                    let Some(home) = self.home(&tx)? else {
                        return Err(SqliteError::Homeless.at(self.place(), "read"));
                    };
                    if home.writes < at_least {
                        // The ledger was overwritten since the commit.
                        let progress = progress::beside(&self.path);
                        let why = SqliteError::WentBack { here: home.writes, beside: at_least, progress };
                        return Err(why.at(self.place(), "read"));
                    }
                    return self.say(&home.mark, home.writes).map_err(|error| self.unsaid(error));
                }
                Err(rusqlite::Error::SqliteFailure(cause, _))
                    if cause.code == ErrorCode::DatabaseBusy && begun.elapsed() < self.lock_wait => {}
                Err(error) => {
                    let source = Box::new(SqliteError::from_sqlite(error));
                    return Err(LedgerError::InDoubt { place: self.place(), source });
                }
            }
        }
    }

    /// How many writes the ledger has taken.
    pub(super) fn writes(&self, conn: &Connection) -> Result<u64, LedgerError> {
        Ok(self.home(conn)?.map_or(0, |home| home.writes))
    }
}
