//! [`Unreliable`]: wraps any ledger, and injects the faults that a unit test asks for.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::coordination::FleetRecord;
use crate::model::{Nonce, RunId, Time};
use crate::ports::{Lasting, Ledger, LedgerError, Permission, Version, Written};
use crate::run::JournalRecord;

/// A ledger behind a bad connection.
pub(crate) struct Unreliable {
    ledger: Arc<dyn Ledger>,
    faults: Mutex<Faults>,
}

/// How often each fault is still to happen.
#[derive(Default)]
pub(crate) struct Faults {
    /// Another process writes the record first.
    pub(crate) conflicts: u32,
    /// A write is done and its reply is lost.
    pub(crate) lost_replies: u32,
}

impl Unreliable {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, faults: Faults) -> Self {
        Self { ledger, faults: Mutex::new(faults) }
    }

    /// Whether a fault is to happen now. Each one happens once.
    fn is_due(&self, fault: impl FnOnce(&mut Faults) -> &mut u32) -> bool {
        let mut faults = self.faults.lock().expect("no panics");
        let left = fault(&mut faults);
        let is_due = *left > 0;
        *left -= u32::from(is_due);
        is_due
    }

    async fn another_writes(&self) -> Result<(), LedgerError> {
        let (version, record) = self.ledger.read().await?;
        let nonce = Nonce::new(format!("another-{}", version.0));
        self.ledger.compare_and_swap(version, &record, &nonce).await.map(|_| ())
    }

    fn replied<T>(&self, answer: Result<Written<T>, LedgerError>) -> Result<Written<T>, LedgerError> {
        if matches!(answer, Ok(Written::Acknowledged(_))) && self.is_due(|faults| &mut faults.lost_replies) {
            return Err(LedgerError::InDoubt { place: "of a test".to_owned(), source: "the reply is lost".into() });
        }
        answer
    }
}

#[async_trait]
impl Ledger for Unreliable {
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
        self.ledger.read().await
    }

    async fn stored(&self) -> Result<Option<String>, LedgerError> {
        self.ledger.stored().await
    }

    async fn compare_and_swap(
        &self,
        at: Version,
        record: &FleetRecord,
        nonce: &Nonce,
    ) -> Result<Written<Version>, LedgerError> {
        if self.is_due(|faults| &mut faults.conflicts) {
            self.another_writes().await?;
        }
        self.replied(self.ledger.compare_and_swap(at, record, nonce).await)
    }

    async fn append(&self, record: &JournalRecord, nonce: &Nonce) -> Result<Written<()>, LedgerError> {
        self.replied(self.ledger.append(record, nonce).await)
    }

    async fn prune(&self, record: &JournalRecord, nonce: &Nonce) -> Result<(), LedgerError> {
        self.replied(self.ledger.prune(record, nonce).await.map(Written::Acknowledged)).map(|_| ())
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalRecord>, LedgerError> {
        self.ledger.journal(run).await
    }

    async fn runs(&self, since: Option<Time>) -> Result<Vec<RunId>, LedgerError> {
        self.ledger.runs(since).await
    }
}
