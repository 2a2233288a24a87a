//! [`Home`]: the machine and the file that a ledger belongs to, and how many writes it has taken. It is kept in the
//! ledger, and compared with where the file is now and with the progress file before anything in the ledger is
//! believed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use super::error::SqliteError;
use super::progress::{Found, Identity};

/// Created with the other tables of a new file, and in an older file by an adoption.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS home (
        one INTEGER PRIMARY KEY CHECK (one = 1), mark TEXT NOT NULL, machine TEXT, inode TEXT NOT NULL, born TEXT,
        place TEXT NOT NULL, writes INTEGER NOT NULL
    ) STRICT;
";

/// The row of the table `home`.
#[derive(Clone, Debug)]
pub(super) struct Home {
    /// Changes with each adoption, so that the progress file of an earlier copy is not taken for this ledger's.
    pub(super) mark: String,
    machine: Option<String>,
    file: Identity,
    /// Where it was created or adopted. For people only: a renamed directory does not make a copy.
    pub(super) place: PathBuf,
    pub(super) writes: u64,
}

/// Where the file is now.
pub(super) struct Here {
    machine: Option<String>,
    file: Identity,
    pub(super) place: PathBuf,
}

impl Here {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let place = fs::canonicalize(path)?;
        Ok(Self { machine: MACHINE.clone(), file: Identity::of(&metadata), place })
    }
}

impl Home {
    /// The home of a ledger that is where it belongs now, and has taken `writes` writes.
    pub(super) fn new(here: Here, writes: u64) -> Self {
        let Here { machine, file, place } = here;
        Self { mark: uuid::Uuid::new_v4().simple().to_string(), machine, file, place, writes }
    }

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

    pub(super) fn store(&self, conn: &Connection) -> Result<(), rusqlite::Error> {
        let sql = "INSERT OR REPLACE INTO home (one, mark, machine, inode, born, place, writes) \
                   VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";
        let (inode, born) = (self.file.inode.to_string(), self.file.born.map(|born| born.to_string()));
        let place = self.place.display().to_string();
        conn.execute(sql, params![self.mark, self.machine, inode, born, place, self.writes]).map(|_| ())
    }

    /// S1, S3: neither a copy nor a file that went back is believed. `progress` is the path of the progress file.
    pub(super) fn judge(&self, beside: &Found, here: &Here, progress: &Path) -> Result<(), SqliteError> {
        let was = || self.place.clone();
        let path = || progress.to_owned();
        // An image of a whole disk has the same inodes and births on another machine.
        if let (Some(then), Some(now)) = (&self.machine, &here.machine)
            && then != now
        {
            return Err(SqliteError::OtherMachine { was: was() });
        }
        match beside {
            Found::Itself(progress) | Found::Copy(progress) if progress.mark != self.mark => {
                return Err(SqliteError::OfAnother { progress: path() });
            }
            Found::Itself(progress) | Found::Copy(progress) if progress.writes > self.writes => {
                return Err(SqliteError::WentBack { here: self.writes, beside: progress.writes, progress: path() });
            }
            Found::Nothing | Found::Itself(_) | Found::Copy(_) | Found::Unreadable(_) => {}
        }
        if !self.file.is(here.file) {
            return Err(SqliteError::Copied { was: was() });
        }
        match beside {
            Found::Itself(_) => Ok(()),
            // It is created before the first write: until then there is nothing to go back to.
            Found::Nothing if self.writes == 0 => Ok(()),
            Found::Nothing => Err(SqliteError::NoProgress { progress: path() }),
            Found::Copy(_) => Err(SqliteError::ProgressCopied { progress: path() }),
            Found::Unreadable(why) => Err(SqliteError::ProgressUnreadable { progress: path(), why: why.clone() }),
        }
    }

    /// Whether the original of the copy at `here` is still in its place, on this machine.
    pub(super) fn is_still_there(&self, here: &Here) -> bool {
        self.place != here.place
            && self.machine == here.machine
            && fs::metadata(&self.place).is_ok_and(|found| self.file.is(Identity::of(&found)))
    }
}

/// This machine, or `None` where it has no id.
///
/// A machine's id is for that machine alone: a file holds only a digest of it, made for this purpose. Source:
/// machine-id(5).
static MACHINE: LazyLock<Option<String>> = LazyLock::new(|| {
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(|path| {
        let id = fs::read_to_string(path).ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty() && id != "uninitialized")
    })?;
    let digest = Sha256::new().chain_update("safe-remove ledger on ").chain_update(id).finalize();
    Some(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
});
