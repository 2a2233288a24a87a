//! [`Home`]: which machine and which file a ledger is, kept in the file, and how many writes it has taken. Compared with
//! where the file is now, and with what is said beside it, before anything in it is believed.
//!
//! The order of things, which makes a false alarm impossible. The file beside the ledger ([`Progress`]) is written only
//! by who holds SQLite's write lock, of which there is one at a time ("File Locking And Concurrency", `RESERVED`;
//! `BEGIN IMMEDIATE` takes it), and only with a count that is committed: a commit is on the disk once it returns
//! ("Atomic Commit In SQLite", 3.11 and 3.12, and `PRAGMA synchronous = EXTRA`). So what is said beside it is never ahead
//! of the ledger, and never goes back. A reader reads the file beside it first and the ledger after that. A process that
//! is killed between its commit and the file beside it leaves that behind by one: nobody was told of that write, and the
//! next one makes up for it.
//!
//! [`Progress`]: super::progress::Progress

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use crate::ports::LedgerError;

use super::file::LedgerFile;
use super::progress::{self, Found, Identity};
use super::trouble::Trouble;

/// Made with the other tables of a new file, and by an adoption in an older one.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS home (
        one INTEGER PRIMARY KEY CHECK (one = 1), mark TEXT NOT NULL, machine TEXT, inode TEXT NOT NULL, born TEXT,
        place TEXT NOT NULL, writes INTEGER NOT NULL
    ) STRICT;
";

/// Between two tries to get the write lock for the file beside the ledger. Another writer may have said as much already.
const GLANCE: Duration = Duration::from_millis(20);

/// The row of `home`.
#[derive(Clone, Debug)]
pub(super) struct Home {
    /// Another one with each adoption: what lies beside an earlier copy is not taken for what belongs to this one.
    mark: String,
    machine: Option<String>,
    file: Identity,
    /// Where it was made or adopted. For people only: a directory that is renamed is no copy.
    place: PathBuf,
    writes: u64,
}

/// Where the file is now.
struct Here {
    machine: Option<String>,
    file: Identity,
    place: PathBuf,
}

/// A ledger that is not where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Displaced {
    /// Where it was made or adopted last; `None` where it does not know.
    pub(crate) was: Option<PathBuf>,
    /// Where it is.
    pub(crate) is: PathBuf,
    /// What is wrong with that, in words.
    pub(crate) why: String,
    /// Whether it may have been moved on purpose. Where it went back in time, or its original is still there, it was not.
    pub(crate) may_be_moved: bool,
}

impl Home {
    pub(super) fn load(conn: &Connection) -> Result<Option<Self>, rusqlite::Error> {
        let known: i64 =
            conn.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'home'", [], |r| {
                r.get(0)
            })?;
        if known == 0 {
            return Ok(None);
        }
        conn.query_row("SELECT mark, machine, inode, born, place, writes FROM home", [], |r| {
            let number = |column: usize, text: String| {
                text.parse::<u64>().map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
                })
            };
            let born = r.get::<_, Option<String>>(3)?.map(|born| number(3, born)).transpose()?;
            Ok(Self {
                mark: r.get(0)?,
                machine: r.get(1)?,
                file: Identity { inode: number(2, r.get(2)?)?, born },
                place: PathBuf::from(r.get::<_, String>(4)?),
                writes: r.get(5)?,
            })
        })
        .optional()
    }

    fn store(&self, conn: &Connection) -> Result<(), rusqlite::Error> {
        let sql = "INSERT OR REPLACE INTO home (one, mark, machine, inode, born, place, writes) \
                   VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";
        let (inode, born) = (self.file.inode.to_string(), self.file.born.map(|born| born.to_string()));
        let place = self.place.display().to_string();
        conn.execute(sql, params![self.mark, self.machine, inode, born, place, self.writes]).map(|_| ())
    }
}

impl LedgerFile {
    fn here(&self) -> Result<Here, LedgerError> {
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Trouble::Gone.at(self.place(), "opened"),
            _ => Trouble::Directory(error).at(self.place(), "opened"),
        };
        let metadata = fs::metadata(&self.path).map_err(gone)?;
        let place = fs::canonicalize(&self.path).map_err(gone)?;
        Ok(Here { machine: MACHINE.clone(), file: Identity::of(&metadata), place })
    }

    pub(super) fn beside(&self) -> Result<Found, LedgerError> {
        progress::read(&progress::beside(&self.path)).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, error: io::Error) -> LedgerError {
        Trouble::Progress { path: progress::beside(&self.path), source: error }.at(self.place(), "read")
    }

    fn home(&self, conn: &Connection) -> Result<Option<Home>, LedgerError> {
        Home::load(conn).map_err(|error| self.trouble("read", error))
    }

    /// A file that is new is at home where it is, and has taken no write.
    pub(super) fn settle(&self, tx: &Transaction<'_>) -> Result<(), LedgerError> {
        self.settle_with(tx, 0).map(|_| ())
    }

    fn settle_with(&self, tx: &Transaction<'_>, writes: u64) -> Result<Home, LedgerError> {
        let Here { machine, file, place } = self.here()?;
        let home = Home { mark: uuid::Uuid::new_v4().simple().to_string(), machine, file, place, writes };
        home.store(tx).map_err(|error| self.trouble("written", error))?;
        Ok(home)
    }

    /// S1, S3: nothing in a copy is believed, nor in a file that went back. `conn` reads only after this began.
    pub(super) fn check(&self, conn: &Connection) -> Result<(), LedgerError> {
        if self.is_unchecked {
            return Ok(());
        }
        let beside = self.beside()?;
        let home = self.home(conn)?;
        let here = self.here()?;
        self.judge(home.as_ref(), &beside, &here).map_err(|why| why.at(self.place(), "read"))
    }

    fn judge(&self, home: Option<&Home>, beside: &Found, here: &Here) -> Result<(), Trouble> {
        let Some(home) = home else { return Err(Trouble::Homeless) };
        let was = || home.place.clone();
        let path = || progress::beside(&self.path);
        // An image of a whole disk has the same inodes and births on another machine.
        if let (Some(then), Some(now)) = (&home.machine, &here.machine)
            && then != now
        {
            return Err(Trouble::OtherMachine { was: was() });
        }
        match beside {
            Found::Itself(progress) | Found::Copy(progress) if progress.mark != home.mark => {
                return Err(Trouble::OfAnother { progress: path() });
            }
            Found::Itself(progress) | Found::Copy(progress) if progress.writes > home.writes => {
                return Err(Trouble::WentBack { here: home.writes, beside: progress.writes, progress: path() });
            }
            Found::Nothing | Found::Itself(_) | Found::Copy(_) | Found::Unreadable(_) => {}
        }
        if !home.file.is(here.file) {
            return Err(Trouble::Copied { was: was() });
        }
        match beside {
            Found::Itself(_) => Ok(()),
            // Before the first write it is made: until then there is nothing to go back to.
            Found::Nothing if home.writes == 0 => Ok(()),
            Found::Nothing => Err(Trouble::NoProgress { progress: path() }),
            Found::Copy(_) => Err(Trouble::ProgressCopied { progress: path() }),
            Found::Unreadable(why) => Err(Trouble::ProgressUnreadable { progress: path(), why: why.clone() }),
        }
    }

    /// Begins to write: takes the write lock, and looks that this is the ledger that it was.
    pub(super) fn begin<'c>(&self, conn: &'c mut Connection) -> Result<Transaction<'c>, LedgerError> {
        let tx = self.immediate(conn)?;
        self.check(&tx)?;
        if let Some(home) = self.home(&tx)?.filter(|home| home.writes == 0) {
            // From the first write on a file that is missing beside it is one that was taken away.
            self.say(&home.mark, home.writes).map_err(|error| self.unreadable(error))?;
        }
        Ok(tx)
    }

    pub(super) fn immediate<'c>(&self, conn: &'c mut Connection) -> Result<Transaction<'c>, LedgerError> {
        Transaction::new(conn, TransactionBehavior::Immediate).map_err(|e| self.trouble("written", e))
    }

    /// Counts this write. Every transaction that changes anything does.
    pub(super) fn count(tx: &Transaction<'_>) -> Result<u64, rusqlite::Error> {
        tx.query_row("UPDATE home SET writes = writes + 1 RETURNING writes", [], |r| r.get(0))
    }

    fn say(&self, mark: &str, writes: u64) -> io::Result<()> {
        progress::write(&progress::beside(&self.path), mark, writes, &fs::metadata(&self.path)?)
    }

    /// What is in the ledger is in doubt for its writer until it is said beside it, too.
    fn unsaid(&self, error: io::Error) -> LedgerError {
        let why = Trouble::Progress { path: progress::beside(&self.path), source: error };
        LedgerError::InDoubt { place: self.place(), source: Box::new(why) }
    }

    /// Says beside the ledger what is in it. After a commit, and before anybody is told of it.
    ///
    /// The count of that commit is `at_least`. Where another writer has said as much, there is nothing to do.
    pub(super) fn keep_up(&self, conn: &mut Connection, at_least: u64) -> Result<(), LedgerError> {
        let begun = Instant::now();
        conn.busy_timeout(GLANCE).map_err(|error| self.trouble("written", error))?;
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
                    let Some(home) = self.home(&tx)? else { return Err(Trouble::Homeless.at(self.place(), "read")) };
                    if home.writes < at_least {
                        // It was written over since the commit.
                        let progress = progress::beside(&self.path);
                        let why = Trouble::WentBack { here: home.writes, beside: at_least, progress };
                        return Err(why.at(self.place(), "read"));
                    }
                    return self.say(&home.mark, home.writes).map_err(|error| self.unsaid(error));
                }
                Err(rusqlite::Error::SqliteFailure(cause, _))
                    if cause.code == ErrorCode::DatabaseBusy && begun.elapsed() < self.lock_wait => {}
                Err(error) => {
                    let source = Box::new(Trouble::from_sqlite(error));
                    return Err(LedgerError::InDoubt { place: self.place(), source });
                }
            }
        }
    }

    /// How many writes the ledger has taken.
    pub(super) fn writes(&self, conn: &Connection) -> Result<u64, LedgerError> {
        Ok(self.home(conn)?.map_or(0, |home| home.writes))
    }

    /// What is wrong with where the file is; `None` where nothing is.
    pub(super) fn displaced(&self) -> Result<Option<Displaced>, LedgerError> {
        let Some(conn) = self.connect_if_exists()? else { return Ok(None) };
        let beside = self.beside()?;
        let (home, here) = (self.home(&conn)?, self.here()?);
        let Err(why) = self.judge(home.as_ref(), &beside, &here) else { return Ok(None) };
        let (mut why, mut may_be_moved) = (why.to_string(), why.may_be_a_move());
        if let Some(home) = home.as_ref().filter(|home| self.is_still_there(home, &here)) {
            may_be_moved = false;
            why = format!("{why}; and the ledger is still at {}", home.place.display());
        }
        Ok(Some(Displaced { was: home.map(|home| home.place), is: here.place, why, may_be_moved }))
    }

    /// Whether the file of which this is a copy is still in its place, on this machine.
    fn is_still_there(&self, home: &Home, here: &Here) -> bool {
        home.place != here.place
            && home.machine == here.machine
            && fs::metadata(&home.place).is_ok_and(|found| home.file.is(Identity::of(&found)))
    }

    /// Makes this file the ledger's home, in the transaction that records who did.
    ///
    /// What lies beside it belongs to where it was, and goes first: whatever happens until [`Self::keep_up_adopted`], the
    /// ledger then lacks it, is refused, and can be adopted again.
    pub(super) fn adopt(&self, tx: &Transaction<'_>) -> Result<Home, LedgerError> {
        let write = |error| self.trouble("written", error);
        match fs::remove_file(progress::beside(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.unreadable(error)),
            Ok(()) | Err(_) => {}
        }
        tx.execute_batch(TABLE).map_err(write)?;
        tx.pragma_update(None, "user_version", super::file::LAYOUT).map_err(write)?;
        let writes = self.home(tx)?.map_or(0, |home| home.writes).saturating_add(1);
        self.settle_with(tx, writes)
    }

    /// Says beside the ledger that it is adopted: after the commit, and if nobody else has adopted it meanwhile.
    pub(super) fn keep_up_adopted(&self, conn: &mut Connection, adopted: &Home) -> Result<(), LedgerError> {
        let tx = self.immediate(conn)?;
        match self.home(&tx)?.filter(|home| home.mark == adopted.mark) {
            Some(home) => self.say(&home.mark, home.writes).map_err(|error| self.unsaid(error)),
            None => Err(Trouble::OfAnother { progress: progress::beside(&self.path) }.at(self.place(), "read")),
        }
    }
}

/// This machine, or `None` where it has no id.
///
/// An id of a machine is for that machine alone: what goes into a file is a digest with a purpose. Source: machine-id(5).
static MACHINE: LazyLock<Option<String>> = LazyLock::new(|| {
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(|path| {
        let id = fs::read_to_string(path).ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty() && id != "uninitialized")
    })?;
    let digest = Sha256::new().chain_update("safe-remove ledger on ").chain_update(id).finalize();
    Some(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
});
