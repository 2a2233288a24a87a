//! Opens the ledger engine that the policies name. Only this module knows all engines.

use std::sync::Arc;

use crate::ledger::{Displaced, SqliteLedger};
use crate::model::{FleetName, LedgerId, Nonce, Time};
use crate::policy::{DynamodbPlace, EtcdPlace, LedgerKind};
use crate::ports::Ledger;
use crate::run::JournalRecord;

use super::error::OperationError;

/// A ledger that accepts no writes, and its id.
pub(crate) type Read = (Arc<dyn Ledger>, Option<LedgerId>);

/// Opens the ledger of a fleet, and creates it where it does not exist.
pub(crate) async fn open(kind: &LedgerKind, fleet: &FleetName, now: Time) -> Result<Arc<dyn Ledger>, OperationError> {
    match kind {
        LedgerKind::Sqlite { path } => {
            let ledger = SqliteLedger::open(path, fleet, now).map_err(OperationError::Ledger)?;
            Ok(Arc::new(ledger))
        }
        LedgerKind::Dynamodb(place) => dynamodb::open(place, fleet, now).await,
        LedgerKind::Etcd(place) => etcd::open(place, fleet, now).await,
    }
}

/// Opens the ledger of a fleet and creates nothing. Where there is none, the id is `None`.
pub(crate) async fn open_read_only(kind: &LedgerKind, fleet: &FleetName, now: Time) -> Result<Read, OperationError> {
    match kind {
        LedgerKind::Sqlite { path } => {
            let ledger = SqliteLedger::open_read_only(path, fleet, now).map_err(OperationError::Ledger)?;
            let id = ledger.id().cloned();
            Ok((Arc::new(ledger), id))
        }
        LedgerKind::Dynamodb(place) => dynamodb::open_read_only(place, fleet, now).await,
        LedgerKind::Etcd(place) => etcd::open_read_only(place, fleet, now).await,
    }
}

/// As [`open_read_only`], also where the ledger is a copy or went back: no decision may rest on it.
pub(crate) async fn open_unchecked(kind: &LedgerKind, fleet: &FleetName, now: Time) -> Result<Read, OperationError> {
    match kind {
        LedgerKind::Sqlite { path } => {
            let ledger = SqliteLedger::open_unchecked(path, fleet, now).map_err(OperationError::Ledger)?;
            let id = ledger.id().cloned();
            Ok((Arc::new(ledger), id))
        }
        LedgerKind::Dynamodb(_) | LedgerKind::Etcd(_) => open_read_only(kind, fleet, now).await,
    }
}

/// What is wrong with the ledger's place. Only a file knows its place.
pub(crate) fn displaced(kind: &LedgerKind) -> Result<Option<Displaced>, OperationError> {
    match kind {
        LedgerKind::Sqlite { path } => SqliteLedger::displaced(path).map_err(OperationError::Ledger),
        LedgerKind::Dynamodb(_) | LedgerKind::Etcd(_) => Ok(None),
    }
}

/// Makes the ledger's present place its home, and records who did it.
pub(crate) fn adopt(
    kind: &LedgerKind,
    fleet: &FleetName,
    record: &JournalRecord,
    nonce: &Nonce,
) -> Result<(), OperationError> {
    match kind {
        LedgerKind::Sqlite { path } => SqliteLedger::adopt(path, fleet, record, nonce).map_err(OperationError::Ledger),
        LedgerKind::Dynamodb(_) | LedgerKind::Etcd(_) => Ok(()),
    }
}

/// Creates the engine's storage for the ledger, if it is not created with the record. Returns what was done, in words.
pub(crate) async fn init(kind: &LedgerKind) -> Result<Vec<String>, OperationError> {
    match kind {
        LedgerKind::Sqlite { .. } | LedgerKind::Etcd(_) => Ok(Vec::new()),
        LedgerKind::Dynamodb(place) => dynamodb::init(place).await,
    }
}

#[cfg(feature = "dynamodb")]
mod dynamodb {
    use super::*;
    use crate::ledger::DynamodbLedger;

    pub(crate) async fn open(
        place: &DynamodbPlace,
        fleet: &FleetName,
        now: Time,
    ) -> Result<Arc<dyn Ledger>, OperationError> {
        let ledger = DynamodbLedger::open(place, fleet, now).await.map_err(OperationError::Ledger)?;
        Ok(Arc::new(ledger))
    }

    pub(crate) async fn open_read_only(
        place: &DynamodbPlace,
        fleet: &FleetName,
        now: Time,
    ) -> Result<Read, OperationError> {
        let ledger = DynamodbLedger::open_read_only(place, fleet, now).await.map_err(OperationError::Ledger)?;
        let id = ledger.id().cloned();
        Ok((Arc::new(ledger), id))
    }

    pub(crate) async fn init(place: &DynamodbPlace) -> Result<Vec<String>, OperationError> {
        let done = crate::ledger::dynamodb::init(place).await.map_err(OperationError::Ledger)?;
        let made = done
            .created
            .then(|| format!("{place} was made: on-demand, with deletion protection and point-in-time recovery"));
        Ok(made.into_iter().chain(done.changed.iter().map(|&what| what.to_owned())).collect())
    }
}

#[cfg(not(feature = "dynamodb"))]
mod dynamodb {
    use super::*;

    pub(crate) async fn open(_: &DynamodbPlace, _: &FleetName, _: Time) -> Result<Arc<dyn Ledger>, OperationError> {
        Err(OperationError::WithoutEngine("DynamoDB"))
    }

    pub(crate) async fn open_read_only(_: &DynamodbPlace, _: &FleetName, _: Time) -> Result<Read, OperationError> {
        Err(OperationError::WithoutEngine("DynamoDB"))
    }

    pub(crate) async fn init(_: &DynamodbPlace) -> Result<Vec<String>, OperationError> {
        Err(OperationError::WithoutEngine("DynamoDB"))
    }
}

#[cfg(feature = "etcd")]
mod etcd {
    use super::*;
    use crate::ledger::EtcdLedger;

    pub(crate) async fn open(
        place: &EtcdPlace,
        fleet: &FleetName,
        now: Time,
    ) -> Result<Arc<dyn Ledger>, OperationError> {
        let ledger = EtcdLedger::open(place, fleet, now).await.map_err(OperationError::Ledger)?;
        Ok(Arc::new(ledger))
    }

    pub(crate) async fn open_read_only(
        place: &EtcdPlace,
        fleet: &FleetName,
        now: Time,
    ) -> Result<Read, OperationError> {
        let ledger = EtcdLedger::open_read_only(place, fleet, now).await.map_err(OperationError::Ledger)?;
        let id = ledger.id().cloned();
        Ok((Arc::new(ledger), id))
    }
}

#[cfg(not(feature = "etcd"))]
mod etcd {
    use super::*;

    pub(crate) async fn open(_: &EtcdPlace, _: &FleetName, _: Time) -> Result<Arc<dyn Ledger>, OperationError> {
        Err(OperationError::WithoutEngine("etcd"))
    }

    pub(crate) async fn open_read_only(_: &EtcdPlace, _: &FleetName, _: Time) -> Result<Read, OperationError> {
        Err(OperationError::WithoutEngine("etcd"))
    }
}
