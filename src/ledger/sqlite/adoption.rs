//! A ledger that is not where it was, and its adoption: how its new place becomes its home.

use std::fs;
use std::io;
use std::path::PathBuf;

use rusqlite::{Connection, Transaction};

use crate::ports::LedgerError;

use super::error::SqliteError;
use super::file::{LAYOUT, LedgerFile};
use super::home::{self, Home};
use super::progress;

/// A ledger that is not where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Displaced {
    /// Where it was created or last adopted; `None` where it does not know.
    pub(crate) was: Option<PathBuf>,
    /// Where it is.
    pub(crate) is: PathBuf,
    /// What is wrong with its place, in words.
    pub(crate) why: String,
    /// Whether it may have been moved on purpose. It was not where it went back in time, or where its original is still
    /// there.
    pub(crate) may_be_moved: bool,
}

impl LedgerFile {
    /// What is wrong with the place of the file; `None` where nothing is.
    pub(super) fn displaced(&self) -> Result<Option<Displaced>, LedgerError> {
        let Some(conn) = self.connect_if_exists()? else { return Ok(None) };
        let beside = self.beside()?;
        let (home, here) = (self.home(&conn)?, self.here()?);
        let Err(why) = self.judge(home.as_ref(), &beside, &here) else { return Ok(None) };
        let (mut why, mut may_be_moved) = (why.to_string(), why.may_be_a_move());
        if let Some(home) = home.as_ref().filter(|home| home.is_still_there(&here)) {
            may_be_moved = false;
            why = format!("{why}; and the ledger is still at {}", home.place.display());
        }
        Ok(Some(Displaced { was: home.map(|home| home.place), is: here.place, why, may_be_moved }))
    }

    /// Makes this file the ledger's home, in the transaction that records who did it.
    ///
    /// The progress file beside it belongs to the old place, and is removed first. If anything fails before
    /// [`Self::keep_up_adopted`], the ledger lacks that file, is refused, and can be adopted again.
    pub(super) fn adopt(&self, tx: &Transaction<'_>) -> Result<Home, LedgerError> {
        let write = |error| self.error("written", error);
        match fs::remove_file(progress::beside(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.unreadable(error)),
            Ok(()) | Err(_) => {}
        }
        tx.execute_batch(home::TABLE).map_err(write)?;
        tx.pragma_update(None, "user_version", LAYOUT).map_err(write)?;
        let writes = self.home(tx)?.map_or(0, |home| home.writes).saturating_add(1);
        self.settle_with(tx, writes)
    }

    /// Writes the progress file of the adopted ledger: after the commit, and only if nobody else has adopted it
    /// meanwhile.
    pub(super) fn keep_up_adopted(&self, conn: &mut Connection, adopted: &Home) -> Result<(), LedgerError> {
        let tx = self.immediate(conn)?;
        match self.home(&tx)?.filter(|home| home.mark == adopted.mark) {
            Some(home) => self.say(&home.mark, home.writes).map_err(|error| self.unsaid(error)),
            None => Err(SqliteError::OfAnother { progress: progress::beside(&self.path) }.at(self.place(), "read")),
        }
    }
}
