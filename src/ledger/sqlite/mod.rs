//! [`SqliteLedger`]: the embedded ledger, one file for the operators of one machine. The default.
//!
//! This engine never interprets a record and never retries by itself. After a failed commit it looks for the write by
//! its nonce before it reports anything. Several fleets may share a file: each has its own record, version and
//! journals.
//!
//! Every operation opens the file anew. That costs a millisecond, and makes it an error when a ledger is deleted or
//! replaced under a running process: an open descriptor would go on writing to a file that nobody else sees.

mod adoption;
mod error;
mod file;
mod holder;
mod home;
mod progress;
#[cfg(test)]
mod tests;
mod writes;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::coordination::FleetRecord;
use crate::model::{FleetName, LedgerId, Nonce, RunId, Time};
use crate::ports::{Ledger, LedgerError, Version, Written};
use crate::run::JournalRecord;

pub(crate) use self::adoption::Displaced;

use self::error::SqliteError;
use self::file::LedgerFile;
use super::codec;

/// How many writes to a fleet's record have their nonces remembered. A writer that repeats an older write gets a
/// conflict and reads again; `decide` then recognises what it was granted. Far more than can be written between the
/// two.
const REMEMBERED_WRITES: i64 = 10_000;

/// A ledger in one SQLite file. Cheap to clone. Threads, tasks and processes of one machine can share it.
#[derive(Clone, Debug)]
pub struct SqliteLedger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: LedgerFile,
    fleet: FleetName,
    /// The ledger that was found or created at opening; `None` where a reader found none.
    ledger: Option<LedgerId>,
    /// The record that a reader gets where there is no ledger yet. Never written.
    fresh: FleetRecord,
}

impl SqliteLedger {
    /// Opens the ledger of a fleet. Creates directory, file and record where they do not exist. Blocks for up to ten
    /// seconds where another process keeps the file locked.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: the ledger cannot be reached or written, was written by a newer version, or is corrupt.
    pub fn open(path: &Path, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        let file = LedgerFile::new(path);
        let fresh = fresh(fleet, now);
        let conn = file.create()?;
        let ledger = found_or_made(&file, conn, &fresh)?;
        Ok(Self { inner: Arc::new(Inner { file, fleet: fleet.clone(), ledger: Some(ledger), fresh }) })
    }

    /// Opens the ledger of a fleet for reading and changes nothing. Where there is no file, or no record of this fleet,
    /// [`Ledger::read`] returns a fresh record that is stored nowhere (its ledger id means nothing). Every write
    /// through it is refused. Blocks as [`Self::open`] does.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], as [`Self::open`]; a missing file is not an error.
    pub fn open_read_only(path: &Path, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        Self::reader(LedgerFile::read_only(path), fleet, now)
    }

    /// As [`Self::open_read_only`], also for a copy and for a file that went back in time: to export its contents, or
    /// to show what an adoption would change. No decision may rest on it.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], as [`Self::open_read_only`], but never [`LedgerError::PutBack`].
    pub(crate) fn open_unchecked(path: &Path, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        Self::reader(LedgerFile::unchecked(path), fleet, now)
    }

    fn reader(file: LedgerFile, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        let fresh = fresh(fleet, now);
        let mut ledger = None;
        if let Some(conn) = file.connect_if_exists()? {
            file.check(&conn)?;
            ledger = row(&file, &conn, fleet)?.map(|row| row.ledger);
        }
        Ok(Self { inner: Arc::new(Inner { file, fleet: fleet.clone(), ledger, fresh }) })
    }

    /// What is wrong with the place of a ledger's file; `None` where nothing is, or where there is no ledger.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: the file cannot be opened or understood.
    pub(crate) fn displaced(path: &Path) -> Result<Option<Displaced>, LedgerError> {
        LedgerFile::read_only(path).displaced()
    }

    /// Makes a moved file the ledger's home and appends who did that, in one transaction. Blocks as [`Self::open`]
    /// does.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; [`LedgerError::PutBack`] where the file was not moved but went back, or where its original is
    /// still there. After a failure the ledger is refused as before, and can be adopted again.
    pub(crate) fn adopt(
        path: &Path,
        fleet: &FleetName,
        record: &JournalRecord,
        nonce: &Nonce,
    ) -> Result<(), LedgerError> {
        let file = LedgerFile::new(path);
        let mut conn = file.connect()?;
        let tx = file.immediate(&mut conn)?;
        // Read by a second connection, while this one holds the write lock.
        let why = match file.displaced()? {
            Some(displaced) if displaced.may_be_moved => None,
            Some(displaced) => Some(displaced.why),
            None => Some("somebody has adopted it meanwhile".to_owned()),
        };
        if let Some(why) = why {
            return Err(SqliteError::NotMoved(why).at(file.place(), "written"));
        }
        let home = file.adopt(&tx)?;
        let text = codec::encode_event(record).map_err(|e| e.at(&file.place()))?;
        insert(&tx, fleet, record, nonce, &text).and_then(|()| tx.commit()).map_err(|e| file.error("written", e))?;
        file.keep_up_adopted(&mut conn, &home)
    }

    /// The ledger's id; `None` only for a reader of a ledger that did not exist when it was opened.
    pub(crate) fn id(&self) -> Option<&LedgerId> {
        self.inner.ledger.as_ref()
    }

    /// Whether the fleet has a record: `false` only for a reader of a ledger that does not exist yet.
    pub fn exists(&self) -> bool {
        self.inner.ledger.is_some()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        tried: &'static str,
        work: impl FnOnce(&Inner) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            // A write may have been made before the thread was lost.
            Err(lost) if tried == "written" => {
                Err(LedgerError::InDoubt { place: self.inner.file.place(), source: Box::new(lost) })
            }
            Err(lost) => {
                Err(LedgerError::Unreachable { place: self.inner.file.place(), tried, source: Box::new(lost) })
            }
        }
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    fn room(&self) -> Option<u64> {
        None
    }

    async fn read(&self) -> Result<(Version, FleetRecord), LedgerError> {
        self.blocking("read", Inner::read).await
    }

    async fn stored(&self) -> Result<Option<String>, LedgerError> {
        self.blocking("read", Inner::stored).await
    }

    async fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError> {
        let (record, nonce) = (record.clone(), nonce.clone());
        self.blocking("written", move |inner| inner.compare_and_swap(at, &record, &nonce)).await
    }

    async fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
        let (record, nonce) = (record.clone(), nonce.clone());
        self.blocking("written", move |inner| inner.append(&record, &nonce)).await
    }

    async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError> {
        let (record, nonce) = (record.clone(), nonce.clone());
        self.blocking("written", move |inner| inner.prune(&record, &nonce)).await
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError> {
        let run = run.clone();
        self.blocking("read", move |inner| inner.journal(&run)).await
    }

    async fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError> {
        self.blocking("read", move |inner| inner.runs(since)).await
    }
}

/// The row of one fleet.
struct Row {
    ledger: LedgerId,
    version: Version,
    record: String,
}

fn fresh(fleet: &FleetName, now: Time) -> FleetRecord {
    FleetRecord::new(format!("ledger-{}", uuid::Uuid::new_v4()).into(), fleet.clone(), now)
}

fn row(file: &LedgerFile, conn: &Connection, fleet: &FleetName) -> Result<Option<Row>, LedgerError> {
    conn.query_row("SELECT ledger, version, record FROM fleets WHERE fleet = ?1", [fleet.as_str()], |r| {
        Ok(Row { ledger: r.get::<_, String>(0)?.into(), version: Version(r.get(1)?), record: r.get(2)? })
    })
    .optional()
    .map_err(|e| file.error("read", e))
}

/// Finds or creates the fleet's record. The first process that gets the write lock creates it; the others find it.
fn found_or_made(file: &LedgerFile, mut conn: Connection, fresh: &FleetRecord) -> Result<LedgerId, LedgerError> {
    file.check(&conn)?;
    if let Some(row) = row(file, &conn, &fresh.fleet)? {
        return Ok(row.ledger);
    }
    let text = codec::encode_record(fresh).map_err(|e| e.at(&file.place()))?;
    let tx = file.begin(&mut conn)?;
    if let Some(row) = row(file, &tx, &fresh.fleet)? {
        return Ok(row.ledger);
    }
    let writes = tx
        .execute(
            "INSERT INTO fleets (fleet, ledger, version, record) VALUES (?1, ?2, 1, ?3)",
            params![fresh.fleet.as_str(), fresh.ledger.as_str(), text],
        )
        .and_then(|_| LedgerFile::count(&tx))
        .and_then(|writes| tx.commit().map(|()| writes))
        .map_err(|e| file.error("written", e))?;
    file.keep_up(&mut conn, writes)?;
    Ok(fresh.ledger.clone())
}

fn insert(
    tx: &Transaction<'_>,
    fleet: &FleetName,
    record: &JournalRecord,
    nonce: &Nonce,
    text: &str,
) -> Result<(), rusqlite::Error> {
    let (run, at) = (record.run.as_str(), record.at.as_millis());
    let sql = "INSERT INTO journal (fleet, run, seq, nonce, at, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    tx.execute(sql, params![fleet.as_str(), run, record.seq, nonce.as_str(), at, text]).map(|_| ())
}

impl Inner {
    /// The fleet's row, which must be of the ledger that was opened.
    fn row(&self, conn: &Connection) -> Result<Option<Row>, LedgerError> {
        let row = row(&self.file, conn, &self.fleet)?;
        let found = row.as_ref().map(|row| &row.ledger);
        match &self.ledger {
            // S3: two ledgers would coordinate nothing.
            Some(opened) if found != Some(opened) => Err(self.file.corrupt(SqliteError::Replaced {
                opened: opened.clone(),
                found: found.map_or_else(|| "none".to_owned(), ToString::to_string),
            })),
            Some(_) | None => Ok(row),
        }
    }

    fn read(&self) -> Result<(Version, FleetRecord), LedgerError> {
        let nothing = || (Version(0), self.fresh.clone());
        let conn = if self.ledger.is_some() {
            self.file.connect()?
        } else {
            let Some(conn) = self.file.connect_if_exists()? else { return Ok(nothing()) };
            conn
        };
        // Both reads see one state of the file.
        let tx = conn.unchecked_transaction().map_err(|e| self.file.error("read", e))?;
        self.file.check(&tx)?;
        let Some(row) = self.row(&tx)? else { return Ok(nothing()) };
        let record = codec::decode_record(&row.record).map_err(|e| e.at(&self.file.place()))?;
        if record.fleet != self.fleet || record.ledger != row.ledger {
            return Err(self.file.corrupt(SqliteError::Misfiled));
        }
        Ok((row.version, record))
    }

    fn stored(&self) -> Result<Option<String>, LedgerError> {
        let Some(conn) = self.file.connect_if_exists()? else { return Ok(None) };
        let conn = conn.unchecked_transaction().map_err(|e| self.file.error("read", e))?;
        self.file.check(&conn)?;
        Ok(self.row(&conn)?.map(|row| row.record))
    }

    /// The version that a nonce wrote, if it is still remembered.
    fn written_by(&self, conn: &Connection, nonce: &Nonce) -> Result<Option<Version>, rusqlite::Error> {
        conn.query_row(
            "SELECT version FROM writes WHERE fleet = ?1 AND nonce = ?2",
            [self.fleet.as_str(), nonce.as_str()],
            |r| r.get(0).map(Version),
        )
        .optional()
    }

    /// The result of a write, where that is known without writing.
    fn settled(&self, conn: &Connection, at: Version, nonce: &Nonce) -> Result<Option<Written<Version>>, LedgerError> {
        if let Some(version) = self.written_by(conn, nonce).map_err(|e| self.file.error("read", e))? {
            return Ok(Some(Written::Acknowledged(version)));
        }
        let row = self.row(conn)?;
        Ok((row.map(|row| row.version) != Some(at)).then_some(Written::Conflict))
    }

    fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError> {
        let mut conn = self.file.connect_to_write()?;
        if Some(&record.ledger) != self.ledger.as_ref() || record.fleet != self.fleet {
            return Err(self.file.corrupt(SqliteError::Misfiled));
        }
        let text = codec::encode_record(record).map_err(|e| e.at(&self.file.place()))?;
        // Checked before the write lock is taken, too: a writer that has already lost need not queue for it.
        if let Some(settled) = self.settled(&conn, at, nonce)? {
            return self.told(&mut conn, settled);
        }
        let tx = self.file.begin(&mut conn)?;
        if let Some(settled) = self.settled(&tx, at, nonce)? {
            drop(tx);
            return self.told(&mut conn, settled);
        }
        let next = Version(at.0.saturating_add(1));
        let written = (|| {
            let fleet = self.fleet.as_str();
            tx.execute("UPDATE fleets SET version = ?2, record = ?3 WHERE fleet = ?1", params![fleet, next.0, text])?;
            tx.execute(
                "INSERT INTO writes (fleet, version, nonce) VALUES (?1, ?2, ?3)",
                params![fleet, next.0, nonce.as_str()],
            )?;
            tx.execute(
                "DELETE FROM writes WHERE fleet = ?1 AND version <= ?2 - ?3",
                params![fleet, next.0, REMEMBERED_WRITES],
            )?;
            LedgerFile::count(&tx)
        })();
        let writes = written.map_err(|e| self.file.error("written", e))?;
        match tx.commit() {
            Ok(()) => self.file.keep_up(&mut conn, writes).map(|()| Written::Acknowledged(next)),
            Err(cause) => self.look_for(cause, |conn| self.written_by(conn, nonce)),
        }
    }

    /// Brings the progress file up to date before a write is acknowledged, also where an earlier call made the write
    /// and did not get that far.
    fn told<T>(&self, conn: &mut Connection, settled: Written<T>) -> Result<Written<T>, LedgerError> {
        if matches!(settled, Written::Acknowledged(_)) {
            let writes = self.file.writes(conn)?;
            self.file.keep_up(conn, writes)?;
        }
        Ok(settled)
    }

    /// The nonce that took a seq of a run's journal.
    fn taken_by(&self, conn: &Connection, record: &JournalRecord) -> Result<Option<String>, rusqlite::Error> {
        conn.query_row(
            "SELECT nonce FROM journal WHERE fleet = ?1 AND run = ?2 AND seq = ?3",
            params![self.fleet.as_str(), record.run.as_str(), record.seq],
            |r| r.get(0),
        )
        .optional()
    }

    fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
        let mut conn = self.file.connect_to_write()?;
        let text = codec::encode_event(record).map_err(|e| e.at(&self.file.place()))?;
        let tx = self.file.begin(&mut conn)?;
        self.row(&tx)?;
        let read = |e| self.file.error("read", e);
        if let Some(taken) = self.taken_by(&tx, record).map_err(read)? {
            drop(tx);
            let settled = if taken == nonce.as_str() { Written::Acknowledged(()) } else { Written::Conflict };
            return self.told(&mut conn, settled);
        }
        let key = params![self.fleet.as_str(), record.run.as_str()];
        let next: u64 = tx
            .query_row("SELECT COALESCE(MAX(seq) + 1, 0) FROM journal WHERE fleet = ?1 AND run = ?2", key, |r| r.get(0))
            .map_err(read)?;
        if next == 1 && self.is_pruned(&tx, &record.run)? {
            return Ok(Written::Conflict);
        }
        if next != record.seq {
            // The writer knows of records that the ledger has lost: it was restored from a copy, or cut.
            return Err(self.file.corrupt(SqliteError::Gap { run: record.run.clone(), seq: record.seq, next }));
        }
        let writes = insert(&tx, &self.fleet, record, nonce, &text)
            .and_then(|()| LedgerFile::count(&tx))
            .map_err(|e| self.file.error("written", e))?;
        match tx.commit() {
            Ok(()) => self.file.keep_up(&mut conn, writes).map(|()| Written::Acknowledged(())),
            Err(cause) => self.look_for(cause, |conn| {
                Ok(self.taken_by(conn, record)?.filter(|taken| taken == nonce.as_str()).map(|_| ()))
            }),
        }
    }

    /// Whether the first record of a journal is one that replaced a pruned journal.
    fn is_pruned(&self, conn: &Connection, run: &RunId) -> Result<bool, LedgerError> {
        let sql = "SELECT record FROM journal WHERE fleet = ?1 AND run = ?2 AND seq = 0";
        let first: Option<String> = conn
            .query_row(sql, [self.fleet.as_str(), run.as_str()], |r| r.get(0))
            .optional()
            .map_err(|e| self.file.error("read", e))?;
        first.map_or(Ok(false), |text| codec::is_pruned(&text).map_err(|e| e.at(&self.file.place())))
    }

    /// Prunes in one transaction. The pages that become free are used again; the file does not shrink.
    fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError> {
        let mut conn = self.file.connect_to_write()?;
        let text = codec::encode_event(record).map_err(|e| e.at(&self.file.place()))?;
        let tx = self.file.begin(&mut conn)?;
        self.row(&tx)?;
        let (fleet, run) = (self.fleet.as_str(), record.run.as_str());
        let written = (|| {
            // `at` stays: it is the time at which the journal was begun.
            let sql = "UPDATE journal SET nonce = ?3, record = ?4 WHERE fleet = ?1 AND run = ?2 AND seq = 0";
            tx.execute(sql, params![fleet, run, nonce.as_str(), text])?;
            tx.execute("DELETE FROM journal WHERE fleet = ?1 AND run = ?2 AND seq > 0", [fleet, run])?;
            LedgerFile::count(&tx)
        })();
        let writes = written.map_err(|e| self.file.error("written", e))?;
        match tx.commit() {
            Ok(()) => self.file.keep_up(&mut conn, writes),
            Err(cause) => self
                .look_for(cause, |conn| {
                    Ok(self.taken_by(conn, record)?.filter(|taken| taken == nonce.as_str()).map(|_| ()))
                })
                .map(|_| ()),
        }
    }

    /// After a failed commit: reads from the file whether the write is there, and does not infer it from the error.
    /// Opening the file anew either completes or rolls back what was under way, so a write that is absent then will
    /// never appear.
    fn look_for<T>(
        &self,
        cause: rusqlite::Error,
        find: impl FnOnce(&Connection) -> Result<Option<T>, rusqlite::Error>,
    ) -> Result<Written<T>, LedgerError> {
        match self.file.connect().map(|conn| (find(&conn), conn)) {
            Ok((Ok(Some(done)), mut conn)) => self.told(&mut conn, Written::Acknowledged(done)),
            Ok((Ok(None), _)) => Err(self.file.error("written", cause)),
            Ok((Err(_), _)) | Err(_) => Err(LedgerError::InDoubt {
                place: self.file.place(),
                source: Box::new(SqliteError::from_sqlite(cause)),
            }),
        }
    }

    fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError> {
        let Some(conn) = self.file.connect_if_exists()? else { return Ok(Vec::new()) };
        let conn = conn.unchecked_transaction().map_err(|e| self.file.error("read", e))?;
        self.file.check(&conn)?;
        let texts = (|| {
            let mut query = conn.prepare("SELECT record FROM journal WHERE fleet = ?1 AND run = ?2 ORDER BY seq")?;
            let rows = query.query_map([self.fleet.as_str(), run.as_str()], |r| r.get::<_, String>(0))?;
            rows.collect::<Result<Vec<_>, _>>()
        })()
        .map_err(|e| self.file.error("read", e))?;
        let mut records = Vec::with_capacity(texts.len());
        for (next, text) in (0_u64..).zip(texts) {
            let record = codec::decode_event(&text).map_err(|e| e.at(&self.file.place()))?;
            if record.seq != next || record.run != *run {
                return Err(self.file.corrupt(SqliteError::Gap { run: run.clone(), seq: record.seq, next }));
            }
            records.push(record);
        }
        Ok(records)
    }

    fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError> {
        let Some(conn) = self.file.connect_if_exists()? else { return Ok(Vec::new()) };
        let conn = conn.unchecked_transaction().map_err(|e| self.file.error("read", e))?;
        self.file.check(&conn)?;
        (|| {
            let mut query = conn
                .prepare("SELECT run FROM journal WHERE fleet = ?1 AND seq = 0 AND at >= ?2 ORDER BY at DESC, run")?;
            let since = since.map_or(i64::MIN, Time::as_millis);
            let rows = query.query_map(params![self.fleet.as_str(), since], |r| r.get::<_, String>(0))?;
            rows.map(|run| run.map(RunId::from)).collect::<Result<Vec<_>, _>>()
        })()
        .map_err(|e| self.file.error("read", e))
    }
}
