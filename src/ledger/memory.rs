//! [`MemoryLedger`]: a ledger in memory, for unit tests only.
//!
//! It passes the conformance suite, so it behaves towards a test as every engine does. A test may look into it, change
//! its contents, and put an older state of it back. Faults of a connection are injected with
//! [`Unreliable`](super::unreliable::Unreliable).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::coordination::FleetRecord;
use crate::model::{FleetName, LedgerId, Nonce, RunId, Time};
use crate::ports::{Ledger, LedgerError, Version, Written};
use crate::run::{JournalRecord, is_pruned};

use super::codec;

const PLACE: &str = "in memory";

/// The ledger of one fleet. A clone is a handle on the same ledger.
#[derive(Clone)]
pub(crate) struct MemoryLedger(Arc<Mutex<Contents>>);

/// The whole contents of a ledger. Putting a copy back is restoring a backup.
#[derive(Clone)]
pub(crate) struct Contents {
    fleet: FleetName,
    ledger: LedgerId,
    pub(crate) version: u64,
    /// As text, as in every engine.
    record: String,
    /// The version that each nonce wrote.
    writes: BTreeMap<Nonce, Version>,
    journals: BTreeMap<RunId, Journal>,
}

#[derive(Clone)]
struct Journal {
    begun_at: Time,
    records: Vec<(JournalRecord, Nonce)>,
}

fn corrupt(why: &str) -> LedgerError {
    LedgerError::Corrupt { place: PLACE.to_owned(), source: why.into() }
}

impl MemoryLedger {
    /// A ledger at version 1.
    pub(crate) fn new(record: &FleetRecord) -> Self {
        Self(Arc::new(Mutex::new(Contents::new(1, record))))
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("no panics")
    }
}

impl Contents {
    /// Contents with a record and no journals.
    pub(crate) fn new(version: u64, record: &FleetRecord) -> Self {
        let (fleet, ledger) = (record.fleet.clone(), record.ledger.clone());
        let text = codec::encode_record(record).expect("a record");
        Self { fleet, ledger, version, record: text, writes: BTreeMap::new(), journals: BTreeMap::new() }
    }

    /// Puts another record in place, also one of another ledger.
    pub(crate) fn set_record(&mut self, record: &FleetRecord) {
        let Self { ledger, record: text, .. } = Self::new(self.version, record);
        (self.ledger, self.record) = (ledger, text);
    }

    /// Removes the last record of a journal.
    pub(crate) fn forget_last(&mut self, run: &RunId) {
        self.journals.get_mut(run).and_then(|journal| journal.records.pop()).expect("a record");
    }

    pub(crate) fn read(&self) -> Result<(Version, FleetRecord), LedgerError> {
        let record = codec::decode_record(&self.record).map_err(|error| error.at(PLACE))?;
        self.is_ours(&record)?;
        Ok((Version(self.version), record))
    }

    fn is_ours(&self, record: &FleetRecord) -> Result<(), LedgerError> {
        let is_ours = record.ledger == self.ledger && record.fleet == self.fleet;
        if is_ours { Ok(()) } else { Err(corrupt("the record is of another fleet or ledger")) }
    }

    fn compare_and_swap(
        &mut self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError> {
        self.is_ours(record)?;
        let text = codec::encode_record(record).map_err(|error| error.at(PLACE))?;
        if let Some(written) = self.writes.get(nonce) {
            return Ok(Written::Acknowledged(*written));
        }
        if at.0 != self.version {
            return Ok(Written::Conflict);
        }
        self.version += 1;
        self.record = text;
        self.writes.insert(nonce.clone(), Version(self.version));
        Ok(Written::Acknowledged(Version(self.version)))
    }

    pub(crate) fn append(&mut self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
        codec::encode_event(record).map_err(|error| error.at(PLACE))?;
        let journal = self.journals.get(&record.run).map_or(&[][..], |journal| &journal.records);
        if let Some((_, taken)) = journal.iter().find(|(there, _)| there.seq == record.seq) {
            return Ok(if taken == nonce { Written::Acknowledged(()) } else { Written::Conflict });
        }
        if journal.first().is_some_and(|(first, _)| is_pruned(std::slice::from_ref(first))) {
            return Ok(Written::Conflict);
        }
        if journal.len() as u64 != record.seq {
            return Err(corrupt("the journal has a gap"));
        }
        let begun = || Journal { begun_at: record.at, records: Vec::new() };
        let journal = self.journals.entry(record.run.clone()).or_insert_with(begun);
        journal.records.push((record.clone(), nonce.clone()));
        Ok(Written::Acknowledged(()))
    }

    fn prune(&mut self, record: &JournalRecord, nonce: &Nonce) {
        if let Some(journal) = self.journals.get_mut(&record.run) {
            journal.records = vec![(record.clone(), nonce.clone())];
        }
    }

    pub(crate) fn journal(&self, run: &RunId) -> Vec<JournalRecord> {
        let journal = self.journals.get(run).into_iter().flat_map(|journal| &journal.records);
        journal.map(|(record, _)| record.clone()).collect()
    }

    fn runs(&self, since: Option<Time>) -> Vec<RunId> {
        let begun = self.journals.iter().map(|(run, journal)| (journal.begun_at, run));
        let mut runs: Vec<(Time, &RunId)> = begun.filter(|(at, _)| since.is_none_or(|since| *at >= since)).collect();
        runs.sort_by_key(|(at, run)| (std::cmp::Reverse(*at), *run));
        runs.into_iter().map(|(_, run)| run.clone()).collect()
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    fn room(&self) -> Option<u64> {
        None
    }

    /// The answer takes a moment, so that writes of others can come in between.
    async fn read(&self) -> Result<(Version, FleetRecord), LedgerError> {
        let read = self.contents().read();
        tokio::task::yield_now().await;
        read
    }

    async fn stored(&self) -> Result<Option<String>, LedgerError> {
        Ok(Some(self.contents().record.clone()))
    }

    async fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError> {
        self.contents().compare_and_swap(at, record, nonce)
    }

    async fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
        self.contents().append(record, nonce)
    }

    async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError> {
        self.contents().prune(record, nonce);
        Ok(())
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError> {
        Ok(self.contents().journal(run))
    }

    async fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError> {
        Ok(self.contents().runs(since))
    }
}

/// A ledger for each fleet.
#[derive(Default)]
struct Store(Mutex<BTreeMap<FleetName, MemoryLedger>>);

impl Store {
    fn ledger(&self, fleet: &str) -> MemoryLedger {
        let fresh = || {
            let id = format!("ledger-of-{fleet}");
            MemoryLedger::new(&FleetRecord::new(LedgerId::new(id), fleet.into(), Time::from_millis(0)))
        };
        self.0.lock().expect("no panics").entry(fleet.into()).or_insert_with(fresh).clone()
    }
}

impl super::conformance::Engine for Store {
    async fn open(&self, fleet: &str) -> Result<Arc<dyn Ledger>, LedgerError> {
        Ok(Arc::new(self.ledger(fleet)))
    }

    async fn replace_record(&self, fleet: &str, text: &str) {
        text.clone_into(&mut self.ledger(fleet).contents().record);
    }
}

mod conforms {
    use super::Store;
    crate::ledger::conformance::conformance!(Store::default());
}

mod conforms_through_a_connection {
    use std::sync::Arc;

    use super::{Ledger, LedgerError, Store};
    use crate::ledger::conformance::{Engine, conformance};
    use crate::ledger::unreliable::{Faults, Unreliable};

    /// A connection without injected faults changes nothing.
    struct Connected(Store);

    impl Engine for Connected {
        async fn open(&self, fleet: &str) -> Result<Arc<dyn Ledger>, LedgerError> {
            Ok(Arc::new(Unreliable::new(self.0.open(fleet).await?, Faults::default())))
        }

        async fn replace_record(&self, fleet: &str, text: &str) {
            self.0.replace_record(fleet, text).await;
        }
    }

    conformance!(Connected(Store::default()));
}
