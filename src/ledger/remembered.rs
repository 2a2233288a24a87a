//! [`remembered`]: wraps any ledger and watches it for as long as the process lives. A ledger that works never takes
//! back what it showed to the process or acknowledged to it. Where it does, an older state was put back.
//!
//! Such a ledger is lost to the process ([`LedgerError::PutBack`]), and stays lost: whatever is written to it later, it
//! lacks what the process relies on. It is never taken for a takeover, because a takeover makes the journal of a run
//! longer. This module decides nothing and writes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use thiserror::Error;

use crate::coordination::FleetRecord;
use crate::model::{LedgerId, Nonce, RunId, Time, chain};
use crate::ports::{Lasting, Ledger, LedgerError, Permission, Version, Written};
use crate::run::{JournalRecord, records_ever};

/// What one process knows of a ledger. Shared by all handles that the process opens on the same ledger.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    ledger: Option<LedgerId>,
    version: Option<Version>,
    journals: BTreeMap<RunId, Journal>,
    /// The evidence that an older state was put back.
    lost: Option<Forgot>,
}

/// One run's journal.
#[derive(Clone, Copy, Debug, Default)]
struct Journal {
    /// The least number of records that it has.
    length: u64,
    /// Whether this process appended to it.
    is_ours: bool,
    /// Whether the record named the run when it was last read.
    is_in_record: bool,
}

/// The evidence that a ledger knows less than it did.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum Forgot {
    #[error("its record is at version {found}, and was at {known} before")]
    Record { known: u64, found: u64 },
    #[error("the journal of run {run} has {found} records, and had {known} before")]
    Journal { run: RunId, known: u64, found: u64 },
    #[error("it is ledger {found}, and was {known} before")]
    Another { known: LedgerId, found: LedgerId },
    /// The engine reported it itself.
    #[error("{0}")]
    Said(String),
}

impl Memory {
    /// The evidence that the ledger went back, if it did.
    pub(crate) fn went_back(&self) -> Option<String> {
        self.known().lost.as_ref().map(ToString::to_string)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wraps the ledger at `place`, which is watched with this memory.
pub fn remembered(ledger: Arc<dyn Ledger>, place: String, memory: Arc<Memory>) -> Arc<dyn Ledger> {
    Arc::new(Remembered { ledger, place, memory })
}

struct Remembered {
    ledger: Arc<dyn Ledger>,
    place: String,
    memory: Arc<Memory>,
}

impl Remembered {
    fn error(&self, forgot: Forgot) -> LedgerError {
        LedgerError::PutBack { place: self.place.clone(), source: Box::new(forgot) }
    }

    fn lost(&self, forgot: Forgot) -> LedgerError {
        self.memory.known().lost.get_or_insert_with(|| forgot.clone());
        self.error(forgot)
    }

    /// Refuses a ledger that went back: it is not asked any more.
    fn is_trusted(&self) -> Result<(), LedgerError> {
        self.memory.known().lost.clone().map_or(Ok(()), |forgot| Err(self.error(forgot)))
    }

    /// Keeps it in memory when the engine reports that it went back, as if it had been found here.
    fn heard<T>(&self, answer: Result<T, LedgerError>) -> Result<T, LedgerError> {
        if let Err(LedgerError::PutBack { source, .. }) = &answer {
            let said = Forgot::Said(chain(source.as_ref()));
            self.memory.known().lost.get_or_insert(said);
        }
        answer
    }

    /// Checks that a journal has at least the records that it had when the read began. A pruned journal says how many
    /// it had.
    fn judge_journal(&self, run: &RunId, at_least: u64, journal: &[JournalRecord]) -> Result<(), LedgerError> {
        let found = records_ever(journal);
        if found < at_least {
            return Err(self.lost(Forgot::Journal { run: run.clone(), known: at_least, found }));
        }
        let mut known = self.memory.known();
        let journal = known.journals.entry(run.clone()).or_default();
        journal.length = journal.length.max(found);
        Ok(())
    }

    fn length(&self, run: &RunId) -> u64 {
        self.memory.known().journals.get(run).map_or(0, |journal| journal.length)
    }

    /// The runs of this process that the record named and no longer names. Where such a run ended, or was taken over
    /// and ended, its journal says so. Where the journal is shorter than it was, the ledger went back and was written
    /// to since.
    fn let_go_of(&self, record: &FleetRecord) -> Vec<RunId> {
        let mut known = self.memory.known();
        let ours = known.journals.iter_mut().filter(|(_, journal)| journal.is_ours);
        ours.filter_map(|(run, journal)| {
            let is_in_record = record.runs.contains_key(run);
            let was = std::mem::replace(&mut journal.is_in_record, is_in_record);
            (was && !is_in_record).then(|| run.clone())
        })
        .collect()
    }
}

#[async_trait]
impl Ledger for Remembered {
    fn room(&self) -> Option<u64> {
        self.ledger.room()
    }

    async fn lasting(&self) -> Lasting {
        self.ledger.lasting().await
    }

    async fn try_permissions(&self) -> Result<Vec<Permission>, LedgerError> {
        self.ledger.try_permissions().await
    }

    async fn read(&self) -> Result<(Version, FleetRecord), LedgerError> {
        self.is_trusted()?;
        // Taken before the read: a read that begins after this must show at least as much, whatever is learned
        // meanwhile.
        let (id, at_least) = {
            let known = self.memory.known();
            (known.ledger.clone(), known.version)
        };
        let (version, record) = self.heard(self.ledger.read().await)?;
        if let Some(known) = at_least.filter(|known| version < *known) {
            return Err(self.lost(Forgot::Record { known: known.0, found: version.0 }));
        }
        // A reader gets a record of version 0, which is stored nowhere, where there is no ledger yet.
        if version.0 > 0 {
            if let Some(known) = id.filter(|known| *known != record.ledger) {
                return Err(self.lost(Forgot::Another { known, found: record.ledger }));
            }
            let mut known = self.memory.known();
            known.version = known.version.max(Some(version));
            known.ledger = Some(record.ledger.clone());
        }
        for run in self.let_go_of(&record) {
            self.journal(&run).await?;
        }
        Ok((version, record))
    }

    async fn stored(&self) -> Result<Option<String>, LedgerError> {
        self.is_trusted()?;
        self.heard(self.ledger.stored().await)
    }

    async fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError> {
        self.is_trusted()?;
        let written = self.heard(self.ledger.compare_and_swap(at, record, nonce).await)?;
        if let Written::Acknowledged(version) = written {
            let mut known = self.memory.known();
            known.version = known.version.max(Some(version));
        }
        Ok(written)
    }

    async fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
        self.is_trusted()?;
        let at_least = self.length(&record.run);
        match self.heard(self.ledger.append(record, nonce).await) {
            Ok(Written::Acknowledged(())) => {
                let mut known = self.memory.known();
                let journal = known.journals.entry(record.run.clone()).or_default();
                journal.length = journal.length.max(record.seq.saturating_add(1));
                journal.is_ours = true;
                Ok(Written::Acknowledged(()))
            }
            // What an engine calls a gap is either in what this process wrote, or shows that the ledger went back.
            Err(error @ LedgerError::Corrupt { .. }) if record.seq <= at_least => {
                if let Ok(journal) = self.ledger.journal(&record.run).await {
                    self.judge_journal(&record.run, at_least, &journal)?;
                }
                Err(error)
            }
            other => other,
        }
    }

    async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError> {
        self.is_trusted()?;
        self.heard(self.ledger.prune(record, nonce).await)
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError> {
        self.is_trusted()?;
        let at_least = self.length(run);
        let journal = self.heard(self.ledger.journal(run).await)?;
        self.judge_journal(run, at_least, &journal)?;
        Ok(journal)
    }

    async fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError> {
        self.is_trusted()?;
        self.heard(self.ledger.runs(since).await)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::coordination::RunEntry;
    use crate::ledger::conformance::{event, pruned};
    use crate::ledger::memory::{Contents, MemoryLedger};

    fn line(seq: u64) -> JournalRecord {
        event("r-1", seq, Time::from_millis(0))
    }

    /// A record that names run r-1 or not.
    fn record(names_the_run: bool) -> FleetRecord {
        let mut record = FleetRecord::new("ledger-1".into(), "demo".into(), Time::from_millis(0));
        if names_the_run {
            record.runs.insert("r-1".into(), RunEntry::in_line());
        }
        record
    }

    /// A ledger at version 5 whose record names the run, with two records in its journal, both of this process.
    async fn watched() -> (MemoryLedger, Arc<dyn Ledger>, Arc<Memory>) {
        let (engine, memory) = (MemoryLedger::new(&record(true)), Arc::new(Memory::default()));
        engine.contents().version = 5;
        let ledger = remembered(Arc::new(engine.clone()), "here".to_owned(), Arc::clone(&memory));
        for seq in 0..2 {
            ledger.append(&line(seq), &"n".into()).await.expect("appends");
        }
        ledger.read().await.expect("reads");
        (engine, ledger, memory)
    }

    #[tokio::test]
    async fn s3_a_record_that_went_back_is_lost_and_stays_so() {
        let (engine, ledger, memory) = watched().await;
        let before = engine.contents().clone();
        ledger.compare_and_swap(Version(5), &record(true), &"w".into()).await.expect("writes");
        *engine.contents() = before;
        let error = ledger.read().await.expect_err("it was at 6");
        assert!(matches!(error, LedgerError::PutBack { .. }), "{error:?}");
        assert_eq!(memory.went_back().as_deref(), Some("its record is at version 5, and was at 6 before"));
        // Others write to the ledger, and its version is higher than ever.
        engine.contents().version = 100;
        assert!(matches!(ledger.read().await, Err(LedgerError::PutBack { .. })));
        assert!(matches!(ledger.append(&line(2), &"n".into()).await, Err(LedgerError::PutBack { .. })));
        assert_eq!(engine.contents().journal(&"r-1".into()).len(), 2, "nothing more is written to it");
    }

    #[tokio::test]
    async fn s3_another_ledger_in_its_place_is_lost() {
        let (engine, ledger, _) = watched().await;
        engine.contents().set_record(&FleetRecord { ledger: "ledger-2".into(), ..record(true) });
        assert!(matches!(ledger.read().await, Err(LedgerError::PutBack { .. })));
    }

    #[tokio::test]
    async fn s3_a_journal_that_lacks_what_it_acknowledged_is_lost() {
        let (engine, ledger, _) = watched().await;
        engine.contents().forget_last(&"r-1".into());
        assert!(matches!(ledger.journal(&"r-1".into()).await, Err(LedgerError::PutBack { .. })));
        let (engine, ledger, _) = watched().await;
        engine.contents().forget_last(&"r-1".into());
        let appended = ledger.append(&line(2), &"n".into()).await;
        assert!(matches!(appended, Err(LedgerError::PutBack { .. })), "a gap, and not of its writer: {appended:?}");
    }

    /// Another process pruned the journal meanwhile, and it says how many records it had.
    #[tokio::test]
    async fn s3_a_journal_that_was_pruned_has_lost_nothing() {
        let (_, ledger, memory) = watched().await;
        ledger.prune(&pruned("r-1", 2), &"p".into()).await.expect("pruned");
        assert_eq!(ledger.journal(&"r-1".into()).await.expect("reads").len(), 1);
        assert_eq!(memory.went_back(), None);
        // A journal that had fewer records than this process knows of was pruned in another past.
        let (_, ledger, _) = watched().await;
        ledger.prune(&pruned("r-1", 1), &"p".into()).await.expect("pruned");
        assert!(matches!(ledger.journal(&"r-1".into()).await, Err(LedgerError::PutBack { .. })));
    }

    /// The version is higher than this process knows, but the record no longer names a run whose journal does not say
    /// why.
    #[tokio::test]
    async fn s9_a_run_that_the_record_forgot_is_no_takeover() {
        let (engine, ledger, _) = watched().await;
        *engine.contents() = Contents::new(90, &record(false));
        let error = ledger.read().await.expect_err("refused");
        assert!(matches!(error, LedgerError::PutBack { .. }), "{error:?}");
        // The journal of a run that was taken over and ended is longer.
        let (engine, ledger, memory) = watched().await;
        engine.contents().append(&line(2), &"theirs".into()).expect("appends");
        engine.contents().version = 90;
        engine.contents().set_record(&record(false));
        ledger.read().await.expect("whoever took it over has ended it");
        assert_eq!(memory.went_back(), None);
    }

    /// Two reads at once; the slower one began first. It shows less than the other, and nothing went back.
    #[tokio::test]
    async fn s3_a_read_that_began_earlier_may_show_less() {
        let (_, ledger, memory) = watched().await;
        let (slow, quick) = tokio::join!(ledger.read(), async {
            ledger.compare_and_swap(Version(5), &record(true), &"w".into()).await
        });
        assert_eq!((slow.expect("reads").0, quick.expect("writes")), (Version(5), Written::Acknowledged(Version(6))));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(memory.went_back(), None);
        assert_eq!(ledger.read().await.expect("reads").0, Version(6));
    }
}
