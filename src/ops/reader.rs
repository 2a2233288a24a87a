//! [`LedgerReader`]: the ledger for commands that only read. It creates nothing, and every write through it is refused.

use std::path::Path;
use std::sync::Arc;

use crate::coordination::FleetRecord;
use crate::ledger::{Memory, remembered};
use crate::model::{FleetIdentity, FleetName, Time};
use crate::output::Place;
use crate::policy::{FleetConfig, LedgerKind};
use crate::ports::{Ledger, Version};

use super::engines;
use super::error::OperationError;

/// Opens the ledger for writing, and creates it where it does not exist.
pub(crate) async fn writable_ledger(fleet: &FleetConfig, now: Time) -> Result<Arc<dyn Ledger>, OperationError> {
    engines::open(&fleet.ledger.kind, &fleet.name, now).await
}

/// The ledger for commands that only read.
pub(crate) struct LedgerReader {
    ledger: Arc<dyn Ledger>,
    at: String,
    id: Option<crate::model::LedgerId>,
    memory: Arc<Memory>,
}

impl LedgerReader {
    /// Opens the ledger without creating anything.
    pub(crate) async fn open(fleet: &FleetConfig, now: Time) -> Result<Self, OperationError> {
        Self::open_at(&fleet.ledger.kind, &fleet.name, now).await
    }

    /// The same, where only this is known of the fleet.
    pub(crate) async fn open_at(kind: &LedgerKind, fleet: &FleetName, now: Time) -> Result<Self, OperationError> {
        Ok(Self::watched(engines::open_read_only(kind, fleet, now).await?, kind))
    }

    /// The same with a ledger that may be a copy or an older state: no decision may rest on it.
    pub(crate) async fn open_unchecked(fleet: &FleetConfig, now: Time) -> Result<Self, OperationError> {
        let kind = &fleet.ledger.kind;
        Ok(Self::watched(engines::open_unchecked(kind, &fleet.name, now).await?, kind))
    }

    fn watched((ledger, id): engines::Read, kind: &LedgerKind) -> Self {
        let (at, memory) = (kind.place(), Arc::new(Memory::default()));
        Self { ledger: remembered(ledger, at.clone(), Arc::clone(&memory)), at, id, memory }
    }

    /// Wraps a ledger for writing, which must still know what this reader showed.
    pub(crate) fn remembering(&self, ledger: Arc<dyn Ledger>) -> Arc<dyn Ledger> {
        remembered(ledger, self.at.clone(), Arc::clone(&self.memory))
    }

    /// A warning about the size of the record, from half of the engine's limit on. Above three quarters grants are
    /// refused.
    pub(crate) fn warning(&self, record: &FleetRecord) -> Option<String> {
        let (used, most) = (record.size(), self.ledger.room()?);
        (used > most / 2).then(|| {
            format!(
                "the fleet's record takes {} of the {} KB that its ledger takes; above three quarters nothing is granted: end \
                 the runs that hold hosts, and keep budgets short",
                used.div_ceil(1 << 10),
                most >> 10
            )
        })
    }

    /// The evidence that this process has for an older state of the ledger having been put back, if there is any.
    pub(crate) fn went_back(&self) -> Option<String> {
        self.memory.went_back()
    }

    /// The ledger's id, if the fleet has a record already.
    pub(crate) fn id(&self) -> Option<&crate::model::LedgerId> {
        self.id.as_ref()
    }

    /// Whether the fleet has a record already.
    pub(crate) fn exists(&self) -> bool {
        self.id.is_some()
    }

    pub(crate) async fn read(&self) -> Result<(Version, FleetRecord), OperationError> {
        self.ledger.read().await.map_err(OperationError::Ledger)
    }

    /// The journals.
    pub(crate) fn journals(&self) -> &dyn Ledger {
        self.ledger.as_ref()
    }

    /// Where all this is.
    pub(crate) fn place(&self, fleet: &FleetName, policies: &Path, provider: FleetIdentity) -> Place {
        Place {
            fleet: fleet.clone(),
            provider,
            ledger: self.id.clone(),
            ledger_place: self.at.clone(),
            policies: policies.to_owned(),
            clock: None,
        }
    }
}
