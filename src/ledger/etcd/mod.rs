//! [`EtcdLedger`]: the ledger in an etcd cluster, for operators at many machines who do not want it in the cloud that
//! they operate on.
//!
//! Every operation is one transaction or one read that more than half of the members agreed on; none is answered from
//! the memory of a single member. This engine never interprets a record. Several fleets may share a cluster and a
//! prefix.
//!
//! | key, after prefix and fleet | value |
//! | --- | --- |
//! | `ledger` | the ledger's id |
//! | `record` | the record; its version is etcd's own version of this key, which is the number of its writes |
//! | `writes/VERSION` | the nonce of the write that made this version |
//! | `journal/RUN/SEQ` | one record of a journal, and the nonce of its append |
//! | `runs/RUN` | when the journal was begun, in milliseconds |
//!
//! The engine uses gRPC and not etcd's JSON gateway, which does not know a client by its certificate and may be
//! switched off.

mod cluster;
mod error;
mod wire;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::coordination::FleetRecord;
use crate::model::{FleetName, LedgerId, Nonce, RunId, Time};
use crate::policy::EtcdPlace;
use crate::ports::{Ledger, LedgerError, Version, Written};
use crate::run::JournalRecord;

use self::cluster::{Cluster, Failed};
use self::error::EtcdError;
use self::wire::{Compare, KeyValue, RangeRequest, RequestOp, TxnRequest, TxnResponse};
use super::codec;

/// The size of a request that a member takes by default (`--max-request-bytes`, etcd 3.4, "Configuration flags"). Where
/// an administrator raised it, grants are refused earlier than needed.
const REQUEST_BYTES: u64 = 1_572_864;

/// How many writes to a fleet's record have their nonces remembered: as many as in SQLite.
const REMEMBERED_WRITES: u64 = 10_000;

/// Keys per page: the records of a batch are a few kilobytes each.
const PAGE: i64 = 500;

/// The most pages of one listing. A ledger with more is not read in part.
const PAGES: usize = 10_000;

/// A ledger in an etcd cluster. Threads and tasks can share it.
#[derive(Debug)]
pub struct EtcdLedger {
    cluster: Cluster,
    place: String,
    keys: Keys,
    fleet: FleetName,
    /// The ledger that was found or created at opening; `None` where a reader found none.
    opened: Option<Opened>,
    /// The record that a reader gets where there is no ledger yet. Never written.
    fresh: FleetRecord,
}

/// Identifies the ledger, for as long as this process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Opened {
    ledger: LedgerId,
    /// The revision at which the record's key was created. A key that was deleted and created again has another.
    created: i64,
}

/// A journal record as it is stored. The record is a text of its own, so that it is decoded as strictly as elsewhere.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    nonce: String,
    record: String,
}

/// The names of one fleet's keys.
#[derive(Debug)]
struct Keys(String);

impl Keys {
    fn ledger(&self) -> String {
        format!("{}ledger", self.0)
    }

    fn record(&self) -> String {
        format!("{}record", self.0)
    }

    /// Zero-padded, so that the order of keys is the order of numbers.
    fn write(&self, version: u64) -> String {
        format!("{}writes/{version:020}", self.0)
    }

    fn journal(&self, run: &RunId) -> String {
        format!("{}journal/{run}/", self.0)
    }

    fn event(&self, run: &RunId, seq: u64) -> String {
        format!("{}{seq:020}", self.journal(run))
    }

    fn runs(&self) -> String {
        format!("{}runs/", self.0)
    }
}

/// The end of the range of keys with a prefix: every prefix ends with a slash, and `0` is the character after it.
fn end_of(prefix: &str) -> String {
    format!("{}0", prefix.trim_end_matches('/'))
}

impl EtcdLedger {
    /// Opens the ledger of a fleet. Creates the fleet's record where there is none.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: the ledger cannot be reached, or is incomplete.
    pub async fn open(settings: &EtcdPlace, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        let mut ledger = Self::new(settings, fleet, now)?;
        ledger.opened = match ledger.look().await? {
            Some((opened, _)) => Some(opened),
            None => Some(ledger.make().await?),
        };
        Ok(ledger)
    }

    /// Opens the ledger of a fleet for reading and writes nothing. Where there is no ledger, [`Ledger::read`] returns a
    /// fresh record that is stored nowhere. Every write through it is refused.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], as [`Self::open`].
    pub async fn open_read_only(settings: &EtcdPlace, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        let mut ledger = Self::new(settings, fleet, now)?;
        ledger.opened = ledger.look().await?.map(|(opened, _)| opened);
        Ok(ledger)
    }

    /// The ledger's id; `None` only for a reader of a ledger that did not exist when it was opened.
    pub fn id(&self) -> Option<&LedgerId> {
        self.opened.as_ref().map(|opened| &opened.ledger)
    }
}

#[async_trait]
impl Ledger for EtcdLedger {
    fn room(&self) -> Option<u64> {
        Some(REQUEST_BYTES)
    }

    async fn read(&self) -> Result<(Version, FleetRecord), LedgerError> {
        let found = self.look().await?;
        let Some(opened) = &self.opened else {
            // A reader that found no ledger at opening reads the one that exists by now.
            return match found {
                None => Ok((Version(0), self.fresh.clone())),
                Some((opened, record)) => self.record(&opened, &record),
            };
        };
        let (now, record) = found.ok_or_else(|| self.error(EtcdError::Gone))?;
        self.is_the_same(opened, Some(&now))?;
        self.record(&now, &record)
    }

    async fn stored(&self) -> Result<Option<String>, LedgerError> {
        self.look().await?.map(|(_, record)| self.text(&record)).transpose()
    }

    async fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError> {
        let opened = self.opened()?;
        if record.ledger != opened.ledger || record.fleet != self.fleet {
            return Err(self.error(EtcdError::Misfiled));
        }
        let text = codec::encode_record(record).map_err(|e| e.at(&self.place))?;
        let next = Version(at.0.saturating_add(1));
        let Ok(expected) = i64::try_from(at.0) else { return Ok(Written::Conflict) };
        let (ledger_key, record_key, write_key) = (self.keys.ledger(), self.keys.record(), self.keys.write(next.0));
        let forgotten = self.keys.write(next.0.saturating_sub(REMEMBERED_WRITES));
        let request = TxnRequest {
            compare: vec![
                Compare::value(&ledger_key, opened.ledger.as_str()),
                Compare::created(&record_key, opened.created),
                Compare::version(&record_key, expected),
            ],
            success: vec![
                RequestOp::put(&record_key, text),
                RequestOp::put(&write_key, nonce.as_str()),
                RequestOp::delete(&self.keys.write(0), &forgotten),
            ],
            failure: vec![RequestOp::get(&ledger_key), RequestOp::find(&record_key), RequestOp::get(&write_key)],
        };
        let mut answer = self.cluster.call(&request).await.map_err(|failed| self.not_written(failed))?;
        if answer.succeeded {
            return Ok(Written::Acknowledged(next));
        }
        let write = answer.found(2);
        let now = self.after(&mut answer)?;
        self.is_the_same(opened, now.as_ref().map(|(now, _)| now))?;
        // S9: of the writes at this version, at most one made the next version. Its nonce tells whose write that was,
        // for good: a repeat of this write that is still under way finds the version taken.
        let mine = write.is_some_and(|write| write.value == nonce.as_str().as_bytes());
        Ok(if mine { Written::Acknowledged(next) } else { Written::Conflict })
    }

    async fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
        let opened = self.opened()?;
        let stored = self.stored_event(record, nonce)?;
        let (ledger_key, record_key) = (self.keys.ledger(), self.keys.record());
        let event_key = self.keys.event(&record.run, record.seq);
        let begun_key = format!("{}{}", self.keys.runs(), record.run);
        let mut request = TxnRequest {
            compare: vec![
                Compare::value(&ledger_key, opened.ledger.as_str()),
                Compare::created(&record_key, opened.created),
                Compare::created(&event_key, 0),
            ],
            success: vec![RequestOp::put(&event_key, stored)],
            failure: vec![RequestOp::get(&ledger_key), RequestOp::find(&record_key), RequestOp::get(&event_key)],
        };
        match record.seq.checked_sub(1) {
            // The record before must have been written exactly once: a first record that was written again replaced a
            // pruned journal.
            Some(before) => {
                request.compare.push(Compare::version(&self.keys.event(&record.run, before), 1));
                request.failure.push(RequestOp::get(&self.keys.event(&record.run, 0)));
            }
            None => request.success.push(RequestOp::put(&begun_key, record.at.as_millis().to_string())),
        }
        let mut answer = self.cluster.call(&request).await.map_err(|failed| self.not_written(failed))?;
        if answer.succeeded {
            return Ok(Written::Acknowledged(()));
        }
        let (taken, first) = (answer.found(2), answer.found(3));
        let now = self.after(&mut answer)?;
        self.is_the_same(opened, now.as_ref().map(|(now, _)| now))?;
        let Some(taken) = taken else {
            if let Some(first) = first
                && codec::is_pruned(&self.envelope(&first)?.record).map_err(|e| e.at(&self.place))?
            {
                return Ok(Written::Conflict);
            }
            // The writer knows of records that the ledger has lost.
            return Err(self.error(EtcdError::Gap { run: record.run.clone(), seq: record.seq }));
        };
        Ok(if self.envelope(&taken)?.nonce == nonce.as_str() { Written::Acknowledged(()) } else { Written::Conflict })
    }

    async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError> {
        let opened = self.opened()?;
        let stored = self.stored_event(record, nonce)?;
        let (ledger_key, record_key) = (self.keys.ledger(), self.keys.record());
        let (first, rest) = (self.keys.event(&record.run, 0), self.keys.event(&record.run, 1));
        let request = TxnRequest {
            compare: vec![
                Compare::value(&ledger_key, opened.ledger.as_str()),
                Compare::created(&record_key, opened.created),
                Compare::exists(&first),
            ],
            success: vec![
                RequestOp::put(&first, stored),
                RequestOp::delete(&rest, &end_of(&self.keys.journal(&record.run))),
            ],
            failure: vec![RequestOp::get(&ledger_key), RequestOp::find(&record_key)],
        };
        let mut answer = self.cluster.call(&request).await.map_err(|failed| self.not_written(failed))?;
        if answer.succeeded {
            return Ok(());
        }
        let now = self.after(&mut answer)?;
        self.is_the_same(opened, now.as_ref().map(|(now, _)| now))
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError> {
        let mut records = Vec::new();
        for (next, key) in (0_u64..).zip(self.all(&self.keys.journal(run)).await?) {
            let record = codec::decode_event(&self.envelope(&key)?.record).map_err(|e| e.at(&self.place))?;
            if record.seq != next || record.run != *run {
                return Err(self.error(EtcdError::Gap { run: run.clone(), seq: record.seq }));
            }
            records.push(record);
        }
        Ok(records)
    }

    async fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError> {
        let prefix = self.keys.runs();
        let since = since.map_or(i64::MIN, Time::as_millis);
        let mut begun = Vec::new();
        for key in self.all(&prefix).await? {
            let unreadable = || self.error(EtcdError::Unreadable(String::from_utf8_lossy(&key.key).into_owned()));
            let at: i64 = self.text(&key)?.parse().map_err(|_| unreadable())?;
            let run = std::str::from_utf8(&key.key).ok().and_then(|name| name.strip_prefix(&prefix));
            let run = RunId::from(run.ok_or_else(unreadable)?);
            if at >= since {
                begun.push((at, run));
            }
        }
        begun.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.cmp(other)));
        Ok(begun.into_iter().map(|(_, run)| run).collect())
    }
}

impl EtcdLedger {
    fn new(settings: &EtcdPlace, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        let place = settings.to_string();
        let cluster = Cluster::new(settings).map_err(|error| error.at(&place, "opened"))?;
        Ok(Self {
            cluster,
            keys: Keys(format!("{}/{fleet}/", settings.prefix)),
            place,
            fleet: fleet.clone(),
            opened: None,
            fresh: FleetRecord::new(format!("ledger-{}", uuid::Uuid::new_v4()).into(), fleet.clone(), now),
        })
    }

    fn error(&self, error: EtcdError) -> LedgerError {
        error.at(&self.place, "read")
    }

    fn not_read(&self, failed: Failed) -> LedgerError {
        self.error(failed.error)
    }

    /// Everything sent is decided by the cluster as a whole, so a repeat tells what became of a write.
    fn not_written(&self, failed: Failed) -> LedgerError {
        if failed.in_doubt {
            return LedgerError::InDoubt { place: self.place.clone(), source: Box::new(failed.error) };
        }
        failed.error.at(&self.place, "written")
    }

    /// Reads which ledger there is, together with its record's key, in one transaction, so that the two belong
    /// together.
    async fn look(&self) -> Result<Option<(Opened, KeyValue)>, LedgerError> {
        let request = TxnRequest {
            success: vec![RequestOp::get(&self.keys.ledger()), RequestOp::get(&self.keys.record())],
            ..TxnRequest::default()
        };
        let mut answer = self.cluster.call(&request).await.map_err(|failed| self.not_read(failed))?;
        let (ledger, record) = (answer.found(0), answer.found(1));
        match (ledger, record) {
            (None, None) => Ok(None),
            (Some(ledger), Some(record)) => {
                let ledger = self.text(&ledger)?.into();
                Ok(Some((Opened { ledger, created: record.create_revision }, record)))
            }
            (Some(_), None) => Err(self.error(EtcdError::Incomplete(self.keys.record()))),
            (None, Some(_)) => Err(self.error(EtcdError::Incomplete(self.keys.ledger()))),
        }
    }

    /// Creates the fleet's record. The first process whose transaction is agreed on creates it; the others find it.
    async fn make(&self) -> Result<Opened, LedgerError> {
        let text = codec::encode_record(&self.fresh).map_err(|e| e.at(&self.place))?;
        let (ledger, record) = (self.keys.ledger(), self.keys.record());
        let request = TxnRequest {
            compare: vec![Compare::created(&ledger, 0), Compare::created(&record, 0)],
            success: vec![RequestOp::put(&ledger, self.fresh.ledger.as_str()), RequestOp::put(&record, text)],
            failure: vec![],
        };
        self.cluster.call(&request).await.map_err(|failed| self.not_written(failed))?;
        // The ledger is what is stored now, whichever process created it, and also where this is a repeat of a write
        // that was done.
        self.look().await?.map(|(opened, _)| opened).ok_or_else(|| self.error(EtcdError::Gone))
    }

    fn record(&self, opened: &Opened, key: &KeyValue) -> Result<(Version, FleetRecord), LedgerError> {
        let record = codec::decode_record(&self.text(key)?).map_err(|e| e.at(&self.place))?;
        if record.fleet != self.fleet || record.ledger != opened.ledger {
            return Err(self.error(EtcdError::Misfiled));
        }
        Ok((self.version(key)?, record))
    }

    // S3: two ledgers would coordinate nothing.
    fn is_the_same(&self, opened: &Opened, now: Option<&Opened>) -> Result<(), LedgerError> {
        if now == Some(opened) {
            return Ok(());
        }
        let found = now.map_or_else(
            || "none".to_owned(),
            |now| {
                if now.ledger == opened.ledger { "a copy put in its place".to_owned() } else { now.ledger.to_string() }
            },
        );
        Err(self.error(EtcdError::Replaced { opened: opened.ledger.clone(), found }))
    }

    fn opened(&self) -> Result<&Opened, LedgerError> {
        self.opened.as_ref().ok_or_else(|| EtcdError::OpenedToRead.at(&self.place, "written"))
    }

    fn version(&self, key: &KeyValue) -> Result<Version, LedgerError> {
        let version = u64::try_from(key.version);
        version.map(Version).map_err(|_| self.error(EtcdError::Unreadable(self.keys.record())))
    }

    fn text(&self, key: &KeyValue) -> Result<String, LedgerError> {
        String::from_utf8(key.value.clone())
            .map_err(|_| self.error(EtcdError::Unreadable(String::from_utf8_lossy(&key.key).into_owned())))
    }

    /// The ledger as it was when a transaction did not hold, from the first two of its answers.
    fn after(&self, answer: &mut TxnResponse) -> Result<Option<(Opened, KeyValue)>, LedgerError> {
        let (Some(ledger), Some(record)) = (answer.found(0), answer.found(1)) else { return Ok(None) };
        Ok(Some((Opened { ledger: self.text(&ledger)?.into(), created: record.create_revision }, record)))
    }

    /// Encodes a journal record as its key holds it.
    fn stored_event(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Vec<u8>, LedgerError> {
        let text = codec::encode_event(record).map_err(|e| e.at(&self.place))?;
        serde_json::to_vec(&Stored { nonce: nonce.as_str().to_owned(), record: text })
            .map_err(|source| LedgerError::Corrupt { place: self.place.clone(), source: Box::new(source) })
    }

    fn envelope(&self, key: &KeyValue) -> Result<Stored, LedgerError> {
        serde_json::from_str(&self.text(key)?)
            .map_err(|source| LedgerError::Corrupt { place: self.place.clone(), source: Box::new(source) })
    }

    /// Every key with this prefix, page by page, all at the revision of the first page.
    async fn all(&self, prefix: &str) -> Result<Vec<KeyValue>, LedgerError> {
        let mut request = RangeRequest {
            key: prefix.into(),
            range_end: end_of(prefix).into(),
            limit: PAGE,
            revision: 0,
            keys_only: false,
        };
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let page = self.cluster.call(&request).await.map_err(|failed| self.not_read(failed))?;
            request.revision = page.header.map_or(0, |header| header.revision);
            let last = page.kvs.last().map(|key| key.key.clone());
            all.extend(page.kvs);
            match last {
                Some(mut last) if page.more => {
                    last.push(0);
                    request.key = last;
                }
                Some(_) | None => return Ok(all),
            }
        }
        Err(self.error(EtcdError::Unreadable(format!("{prefix} (too many keys)"))))
    }
}
