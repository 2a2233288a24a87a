//! [`DynamodbLedger`]: the ledger in a DynamoDB table, for operators at many machines on AWS.
//!
//! Every write is one conditional write and every read is consistent. The table is accessed in no other way, and no
//! transaction over several items is needed. Only pruning deletes, and only after it has written the record that
//! replaces the journal. This engine never interprets a record. Several fleets may share a table.
//!
//! | `pk` | `sk` | what |
//! | --- | --- | --- |
//! | FLEET | `record` | the record, its version, the ledger's id, and the marks of the last writes in `w0` to `w255` |
//! | FLEET | `run#RUN` | the first record of a run's journal, and when the journal was begun |
//! | FLEET`#`RUN | SEQ | the other records of the journal |
//!
//! The first record of a journal is in the partition of the fleet's record. So listing the runs reads one partition,
//! and a journal cannot begin without being listed. Names of fleets contain no `#`.

mod error;
mod permissions;
mod table;

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;
use sha2::{Digest as _, Sha256};

use crate::coordination::FleetRecord;
use crate::credentials;
use crate::model::{FleetName, LedgerId, Nonce, RunId, Time};
use crate::policy::DynamodbPlace;
use crate::ports::{Lasting, Ledger, LedgerError, Permission, Version, Written};
use crate::run::JournalRecord;

use self::error::DynamoDbError;
use self::table::{Failed, PK, SK, Table};
use super::codec;

pub(crate) use self::table::Initialised;

/// How many writes have their marks remembered: at least two seconds' worth at the highest rate that one item takes
/// (1,000 write units a second, of which a record of 10 KB costs ten). A writer that asks later gets a conflict and
/// reads again; `decide` then recognises what it was granted.
const REMEMBERED_WRITES: u64 = 256;

/// DynamoDB's limit for one item, names and values together.
const LARGEST_ITEM: usize = 400 << 10;

/// Room for everything in the record's item except the record itself: the marks take 19 bytes each.
const OVERHEAD: usize = 6 << 10;

/// The most pages that one listing may have, of a megabyte each.
const PAGES: usize = 1_000;

type Item = HashMap<String, AttributeValue>;

/// A ledger in a DynamoDB table. Threads and tasks can share it.
#[derive(Debug)]
pub struct DynamodbLedger {
    table: Table,
    place: String,
    fleet: FleetName,
    /// The ledger that was found or created at opening; `None` where a reader found none.
    ledger: Option<LedgerId>,
    /// The record that a reader gets where there is no ledger yet. Never written.
    fresh: FleetRecord,
}

/// Creates the table, or switches on what an existing table lacks: `safe-remove ledger init`. Safe to repeat.
///
/// # Errors
///
/// [`LedgerError`]: the table cannot be reached or created, or is not a ledger's table.
pub async fn init(place: &DynamodbPlace) -> Result<Initialised, LedgerError> {
    init_with(&table::sdk(place).await, place).await
}

/// As [`init`], for callers that bring their own credentials and endpoint.
///
/// # Errors
///
/// As [`init`].
pub async fn init_with(sdk: &SdkConfig, place: &DynamodbPlace) -> Result<Initialised, LedgerError> {
    let table = Table::new(sdk, place).map_err(|error| error.at(&place.to_string(), "made"))?;
    table.init(&place.to_string()).await
}

impl DynamodbLedger {
    /// Opens the ledger of a fleet, with the credentials of the default chain and the endpoint from the environment.
    /// Creates the fleet's record where there is none. The table must exist.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: the table cannot be reached, or is not a ledger's table.
    pub async fn open(place: &DynamodbPlace, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        Self::connect(&table::sdk(place).await, place, fleet, now).await
    }

    /// As [`Self::open`], for callers that bring their own credentials and endpoint.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn connect(
        sdk: &SdkConfig,
        place: &DynamodbPlace,
        fleet: &FleetName,
        now: Time,
    ) -> Result<Self, LedgerError> {
        let mut opened = Self::new(sdk, place, fleet, now)?;
        opened.ledger = Some(match opened.look().await? {
            Some(item) => opened.ledger_of(&item)?,
            None => opened.make().await?,
        });
        Ok(opened)
    }

    /// Opens the ledger of a fleet for reading and writes nothing. Where there is no ledger, [`Ledger::read`] returns a
    /// fresh record that is stored nowhere. Every write through it is refused.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], as [`Self::open`].
    pub(crate) async fn open_read_only(
        place: &DynamodbPlace,
        fleet: &FleetName,
        now: Time,
    ) -> Result<Self, LedgerError> {
        Self::connect_read_only(&table::sdk(place).await, place, fleet, now).await
    }

    /// As [`Self::open_read_only`], for callers that bring their own credentials and endpoint.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn connect_read_only(
        sdk: &SdkConfig,
        place: &DynamodbPlace,
        fleet: &FleetName,
        now: Time,
    ) -> Result<Self, LedgerError> {
        let mut opened = Self::new(sdk, place, fleet, now)?;
        opened.ledger = match opened.look().await? {
            Some(item) => Some(opened.ledger_of(&item)?),
            None => None,
        };
        Ok(opened)
    }

    /// The ledger's id; `None` only for a reader of a ledger that did not exist when it was opened.
    pub fn id(&self) -> Option<&LedgerId> {
        self.ledger.as_ref()
    }
}

#[async_trait]
impl Ledger for DynamodbLedger {
    fn room(&self) -> Option<u64> {
        Some(LARGEST_ITEM as u64)
    }

    async fn read(&self) -> Result<(Version, FleetRecord), LedgerError> {
        let found = self.look().await?;
        let item = match (&self.ledger, found) {
            (None, None) => return Ok((Version(0), self.fresh.clone())),
            // A reader that found no ledger at opening reads the one that exists by now.
            (None, Some(item)) => item,
            (Some(opened), found) => self.the_same(opened, found)?,
        };
        let record = codec::decode_record(&self.string(&item, "record")?).map_err(|e| e.at(&self.place))?;
        if record.fleet != self.fleet || record.ledger != self.ledger_of(&item)? {
            return Err(self.error(DynamoDbError::Misfiled));
        }
        Ok((Version(self.number(&item, "version")?), record))
    }

    async fn stored(&self) -> Result<Option<String>, LedgerError> {
        self.look().await?.map(|item| self.string(&item, "record")).transpose()
    }

    async fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError> {
        let opened = self.opened()?;
        if &record.ledger != opened || record.fleet != self.fleet {
            return Err(self.error(DynamoDbError::Misfiled));
        }
        let encoded = codec::encode_record(record).map_err(|e| e.at(&self.place))?;
        self.fits(&encoded)?;
        let next = at.0.saturating_add(1);
        let update = || {
            self.table
                .client
                .update_item()
                .table_name(&self.table.name)
                .key(PK, text(self.fleet.as_str()))
                .key(SK, text("record"))
                .update_expression("SET #version = :next, #record = :record, #mark = :mark")
                .condition_expression("#ledger = :ledger AND #version = :at")
                .expression_attribute_names("#version", "version")
                .expression_attribute_names("#record", "record")
                .expression_attribute_names("#ledger", "ledger")
                .expression_attribute_names("#mark", slot(next))
                .expression_attribute_values(":next", number(next))
                .expression_attribute_values(":record", text(&encoded))
                .expression_attribute_values(":mark", mark(nonce))
                .expression_attribute_values(":ledger", text(opened.as_str()))
                .expression_attribute_values(":at", number(at.0))
                .send()
        };
        if self.table.call(update).await.map_err(|failed| self.not_written(failed))?.is_some() {
            return Ok(Written::Acknowledged(Version(next)));
        }
        // S9: the condition did not hold, so this version is taken for good; an earlier attempt of this write that is
        // still under way will find that too. The mark tells whether an earlier attempt of this same write took it.
        let item = self.look().await.map_err(|error| self.in_doubt(error))?;
        let item = self.the_same(opened, item)?;
        let now: u64 = self.number(&item, "version")?;
        let remembered = now >= next && now - next < REMEMBERED_WRITES;
        let mine = remembered && item.get(&slot(next)) == Some(&mark(nonce));
        Ok(if mine { Written::Acknowledged(Version(next)) } else { Written::Conflict })
    }

    async fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
        let opened = self.opened()?;
        let encoded = codec::encode_event(record).map_err(|e| e.at(&self.place))?;
        self.fits(&encoded)?;
        // Read before the write and not part of its condition, because nothing is removed from the table again. An item
        // of another ledger means that the table was created anew while this process was running.
        let looked = Looked::now();
        let before = match record.seq.checked_sub(1) {
            Some(before) => self.get(self.event_key(&record.run, before)).await?,
            None => Some(self.the_same(opened, self.look().await?)?),
        };
        // A pruned journal has its first record only, and nothing is appended to it.
        if record.seq == 1
            && let Some(first) = &before
            && self.is_pruned(first)?
        {
            return Ok(Written::Conflict);
        }
        let Some(before) = before else {
            self.the_same(opened, self.look().await?)?;
            if let Some(first) = self.get(self.event_key(&record.run, 0)).await?
                && self.is_pruned(&first)?
            {
                return Ok(Written::Conflict);
            }
            // The writer knows of records that the ledger has lost.
            return Err(self.error(DynamoDbError::Gap { run: record.run.clone(), seq: record.seq }));
        };
        self.the_same(opened, Some(before))?;

        let (pk, sk) = self.event_key(&record.run, record.seq);
        let item = Item::from([
            (PK.to_owned(), text(&pk)),
            (SK.to_owned(), text(&sk)),
            ("ledger".to_owned(), text(opened.as_str())),
            ("nonce".to_owned(), text(nonce.as_str())),
            ("at".to_owned(), number(record.at.as_millis())),
            ("record".to_owned(), text(encoded)),
        ]);
        if self.put_new(item).await? {
            // S9: a process that was stopped between the read and the write has written to a journal that was pruned
            // meanwhile, where nobody reads it. The write is not acknowledged; the next pruning removes it.
            if record.seq > 0
                && looked.is_old()
                && let Some(first) = self.get(self.event_key(&record.run, 0)).await.map_err(|e| self.in_doubt(e))?
                && self.is_pruned(&first)?
            {
                return Ok(Written::Conflict);
            }
            return Ok(Written::Acknowledged(()));
        }
        let taken = self.get((pk.clone(), sk.clone())).await.map_err(|error| self.in_doubt(error))?;
        // S9: the item that took the place may have been pruned by now. Then it was another process's, or its write was
        // already acknowledged.
        let Some(taken) = taken else {
            let first = self.get(self.event_key(&record.run, 0)).await.map_err(|error| self.in_doubt(error))?;
            return match first {
                Some(first) if self.is_pruned(&first)? => Ok(Written::Conflict),
                Some(_) | None => Err(self.unreadable(&pk, &sk)),
            };
        };
        let mine = self.string(&taken, "nonce")? == nonce.as_str();
        Ok(if mine { Written::Acknowledged(()) } else { Written::Conflict })
    }

    async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError> {
        let opened = self.opened()?;
        let encoded = codec::encode_event(record).map_err(|e| e.at(&self.place))?;
        self.fits(&encoded)?;
        // This item is written first: with it the journal is pruned, and the items after it are not read any more.
        let (pk, sk) = self.event_key(&record.run, 0);
        let update = || {
            self.table
                .client
                .update_item()
                .table_name(&self.table.name)
                .key(PK, text(&pk))
                .key(SK, text(&sk))
                .update_expression("SET #record = :record, #nonce = :nonce")
                .condition_expression("#ledger = :ledger")
                .expression_attribute_names("#record", "record")
                .expression_attribute_names("#nonce", "nonce")
                .expression_attribute_names("#ledger", "ledger")
                .expression_attribute_values(":record", text(&encoded))
                .expression_attribute_values(":nonce", text(nonce.as_str()))
                .expression_attribute_values(":ledger", text(opened.as_str()))
                .send()
        };
        if self.table.call(update).await.map_err(|failed| self.not_written(failed))?.is_none() {
            return match self.get((pk, sk)).await? {
                None => self.the_same(opened, self.look().await?).map(|_| ()),
                item => self.the_same(opened, item).map(|_| ()),
            };
        }
        // Deleted from the first one on: where a process dies here, what remains ends where the journal ended, and
        // nobody appends there.
        for item in self.all(&self.journal_key(&record.run), "").await? {
            let (pk, sk) = (self.string(&item, PK)?, self.string(&item, SK)?);
            let delete = || {
                let delete = self.table.client.delete_item().table_name(&self.table.name);
                delete.key(PK, text(&pk)).key(SK, text(&sk)).send()
            };
            self.table.call(delete).await.map_err(|failed| self.not_written(failed))?;
        }
        Ok(())
    }

    async fn lasting(&self) -> Lasting {
        credentials::lasting(self.table.credentials.as_ref()).await
    }

    async fn try_permissions(&self) -> Result<Vec<Permission>, LedgerError> {
        permissions::tried(&self.table, &self.fleet, &self.place).await
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError> {
        // In this order: pruning writes the first item before it deletes the others. So if the first item read here
        // does not yet stand for a pruned journal, none of the others was missing.
        let rest = self.all(&self.journal_key(run), "").await?;
        let mut items: Vec<Item> = self.get(self.event_key(run, 0)).await?.into_iter().collect();
        // The items of a pruned journal that follow its first one were left by a process that died while pruning.
        let is_pruned = items.first().map_or(Ok(false), |first| self.is_pruned(first))?;
        if !is_pruned {
            items.extend(rest);
        }
        let mut records = Vec::with_capacity(items.len());
        for (next, item) in (0_u64..).zip(items) {
            let record = codec::decode_event(&self.string(&item, "record")?).map_err(|e| e.at(&self.place))?;
            if record.seq != next || record.run != *run {
                return Err(self.error(DynamoDbError::Gap { run: run.clone(), seq: record.seq }));
            }
            records.push(record);
        }
        Ok(records)
    }

    async fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError> {
        let since = since.map_or(i64::MIN, Time::as_millis);
        let mut begun = Vec::new();
        for item in self.all(self.fleet.as_str(), "run#").await? {
            let (at, sk): (i64, _) = (self.number(&item, "at")?, self.string(&item, SK)?);
            let run = sk.strip_prefix("run#").ok_or_else(|| self.unreadable(self.fleet.as_str(), &sk))?;
            if at >= since {
                begun.push((at, RunId::from(run)));
            }
        }
        begun.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.cmp(other)));
        Ok(begun.into_iter().map(|(_, run)| run).collect())
    }
}

/// When something was read, by two clocks: one of them stops while a machine sleeps.
struct Looked(Instant, SystemTime);

impl Looked {
    /// Far longer than an immediate write takes.
    const OLD: Duration = Duration::from_secs(1);

    fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// Whether it is so long ago that anything may have happened since.
    fn is_old(&self) -> bool {
        self.0.elapsed() > Self::OLD || self.1.elapsed().is_ok_and(|elapsed| elapsed > Self::OLD)
    }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The mark of a write: enough bytes of its nonce's digest to tell writes apart.
fn mark(nonce: &Nonce) -> AttributeValue {
    AttributeValue::B(Blob::new(&Sha256::digest(nonce.as_str().as_bytes())[..16]))
}

/// The attribute that holds a version's mark.
fn slot(version: u64) -> String {
    format!("w{}", version % REMEMBERED_WRITES)
}

impl DynamodbLedger {
    fn new(sdk: &SdkConfig, place: &DynamodbPlace, fleet: &FleetName, now: Time) -> Result<Self, LedgerError> {
        let table = Table::new(sdk, place).map_err(|error| error.at(&place.to_string(), "opened"))?;
        Ok(Self {
            table,
            place: place.to_string(),
            fleet: fleet.clone(),
            ledger: None,
            fresh: FleetRecord::new(format!("ledger-{}", uuid::Uuid::new_v4()).into(), fleet.clone(), now),
        })
    }

    fn error(&self, error: DynamoDbError) -> LedgerError {
        error.at(&self.place, "read")
    }

    fn not_read(&self, failed: Failed) -> LedgerError {
        self.error(failed.error)
    }

    fn not_written(&self, failed: Failed) -> LedgerError {
        if failed.in_doubt {
            return LedgerError::InDoubt { place: self.place.clone(), source: Box::new(failed.error) };
        }
        failed.error.at(&self.place, "written")
    }

    fn unreadable(&self, pk: &str, sk: &str) -> LedgerError {
        self.error(DynamoDbError::Unreadable(format!("{pk} {sk}")))
    }

    fn string(&self, item: &Item, name: &str) -> Result<String, LedgerError> {
        let value = item.get(name).and_then(|value| value.as_s().ok()).cloned();
        value.ok_or_else(|| self.unreadable(&self.key(item, PK), &self.key(item, SK)))
    }

    fn number<T: std::str::FromStr>(&self, item: &Item, name: &str) -> Result<T, LedgerError> {
        let value = item.get(name).and_then(|value| value.as_n().ok()).and_then(|value| value.parse().ok());
        value.ok_or_else(|| self.unreadable(&self.key(item, PK), &self.key(item, SK)))
    }

    fn key(&self, item: &Item, name: &str) -> String {
        item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
    }

    /// Whether the first item of a journal is one that replaced a pruned journal.
    fn is_pruned(&self, first: &Item) -> Result<bool, LedgerError> {
        codec::is_pruned(&self.string(first, "record")?).map_err(|e| e.at(&self.place))
    }

    /// The key of a journal record.
    fn event_key(&self, run: &RunId, seq: u64) -> (String, String) {
        if seq == 0 {
            (self.fleet.to_string(), format!("run#{run}"))
        } else {
            (self.journal_key(run), format!("{seq:020}"))
        }
    }

    fn journal_key(&self, run: &RunId) -> String {
        format!("{}#{run}", self.fleet)
    }

    async fn get(&self, (pk, sk): (String, String)) -> Result<Option<Item>, LedgerError> {
        let (pk, sk) = (&pk, &sk);
        let answer = self
            .table
            .call(|| {
                let get = self.table.client.get_item().table_name(&self.table.name).consistent_read(true);
                get.key(PK, text(pk)).key(SK, text(sk)).send()
            })
            .await
            .map_err(|failed| self.not_read(failed))?;
        Ok(answer.and_then(|answer| answer.item))
    }

    /// Reads the item of the fleet's record.
    async fn look(&self) -> Result<Option<Item>, LedgerError> {
        self.get((self.fleet.to_string(), "record".to_owned())).await
    }

    fn ledger_of(&self, item: &Item) -> Result<LedgerId, LedgerError> {
        self.string(item, "ledger").map(LedgerId::from)
    }

    /// Writes an item if no item has its key, and returns whether it did.
    async fn put_new(&self, item: Item) -> Result<bool, LedgerError> {
        let put = || {
            let put = self.table.client.put_item().table_name(&self.table.name).set_item(Some(item.clone()));
            put.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", PK).send()
        };
        let done = self.table.call(put).await.map_err(|failed| self.not_written(failed))?;
        Ok(done.is_some())
    }

    /// Creates the fleet's record. The first process whose condition holds creates it; the others find it.
    async fn make(&self) -> Result<LedgerId, LedgerError> {
        let record = codec::encode_record(&self.fresh).map_err(|e| e.at(&self.place))?;
        let item = Item::from([
            (PK.to_owned(), text(self.fleet.as_str())),
            (SK.to_owned(), text("record")),
            ("ledger".to_owned(), text(self.fresh.ledger.as_str())),
            ("version".to_owned(), number(1)),
            ("record".to_owned(), text(record)),
        ]);
        self.put_new(item).await?;
        // The ledger is what is stored now, whichever process created it, and also where this was a repeat of a write
        // that was done.
        let made = self.look().await?.ok_or_else(|| self.unreadable(self.fleet.as_str(), "record"))?;
        self.ledger_of(&made)
    }

    // S3: two ledgers would coordinate nothing.
    fn the_same(&self, opened: &LedgerId, now: Option<Item>) -> Result<Item, LedgerError> {
        let ledger = now.as_ref().map(|item| self.ledger_of(item)).transpose()?;
        match now {
            Some(item) if ledger.as_ref() == Some(opened) => Ok(item),
            Some(_) | None => {
                let found = ledger.map_or_else(|| "none".to_owned(), |ledger| ledger.to_string());
                Err(self.error(DynamoDbError::Replaced { opened: opened.clone(), found }))
            }
        }
    }

    fn opened(&self) -> Result<&LedgerId, LedgerError> {
        self.ledger.as_ref().ok_or_else(|| DynamoDbError::OpenedToRead.at(&self.place, "written"))
    }

    /// Refuses a text that is too large for an item. DynamoDB would refuse it too, with another message.
    fn fits(&self, text: &str) -> Result<(), LedgerError> {
        let size = text.len() + OVERHEAD;
        if size <= LARGEST_ITEM {
            return Ok(());
        }
        Err(DynamoDbError::TooLarge { kilobytes: size.div_ceil(1 << 10) }.at(&self.place, "written"))
    }

    /// A write whose condition did not hold may have been done by an earlier attempt. If that cannot be read, the write
    /// is in doubt.
    fn in_doubt(&self, error: LedgerError) -> LedgerError {
        match error {
            LedgerError::Unreachable { place, source, .. } => LedgerError::InDoubt { place, source },
            error @ (LedgerError::InDoubt { .. }
            | LedgerError::Newer { .. }
            | LedgerError::PutBack { .. }
            | LedgerError::Corrupt { .. }) => error,
        }
    }

    /// Every item of a partition whose sort key begins with `prefix`, page by page.
    async fn all(&self, pk: &str, prefix: &str) -> Result<Vec<Item>, LedgerError> {
        let (mut items, mut from) = (Vec::new(), None);
        for _ in 0..PAGES {
            let query = || {
                let query = self.table.client.query().table_name(&self.table.name).consistent_read(true);
                let query = query.expression_attribute_names("#pk", PK).expression_attribute_values(":pk", text(pk));
                let query = query.set_exclusive_start_key(from.clone());
                if prefix.is_empty() {
                    return query.key_condition_expression("#pk = :pk").send();
                }
                query
                    .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
                    .expression_attribute_names("#sk", SK)
                    .expression_attribute_values(":prefix", text(prefix))
                    .send()
            };
            let page = self.table.call(query).await.map_err(|failed| self.not_read(failed))?;
            let Some(page) = page else { return Ok(items) };
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(items);
            }
        }
        Err(self.error(DynamoDbError::TooLong(PAGES)))
    }
}
