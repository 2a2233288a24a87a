//! Which ledger engine the policies name, opened. The only place that knows all of them.

use std::sync::Arc;

use crate::ledger::SqliteLedger;
use crate::model::{FleetName, LedgerId, Time};
use crate::policy::{EtcdPlace, LedgerKind};
use crate::ports::Ledger;

use super::error::CommandError;

/// A ledger that takes no writes, and its id.
pub(super) type Read = (Arc<dyn Ledger>, Option<LedgerId>);

/// The ledger of a fleet, made where it does not exist.
pub(super) async fn open(kind: &LedgerKind, fleet: &FleetName, now: Time) -> Result<Arc<dyn Ledger>, CommandError> {
    match kind {
        LedgerKind::Sqlite { path } => {
            let ledger = SqliteLedger::open(path, fleet, now).map_err(CommandError::Ledger)?;
            Ok(Arc::new(ledger))
        }
        LedgerKind::Etcd(place) => etcd::open(place, fleet, now).await,
    }
}

/// The ledger of a fleet; nothing is made, and where there is none there is no id.
pub(super) async fn open_read_only(kind: &LedgerKind, fleet: &FleetName, now: Time) -> Result<Read, CommandError> {
    match kind {
        LedgerKind::Sqlite { path } => {
            let ledger = SqliteLedger::open_read_only(path, fleet, now).map_err(CommandError::Ledger)?;
            let id = ledger.id().cloned();
            Ok((Arc::new(ledger), id))
        }
        LedgerKind::Etcd(place) => etcd::open_read_only(place, fleet, now).await,
    }
}

#[cfg(feature = "etcd")]
mod etcd {
    use super::*;
    use crate::ledger::EtcdLedger;

    pub(super) async fn open(place: &EtcdPlace, fleet: &FleetName, now: Time) -> Result<Arc<dyn Ledger>, CommandError> {
        let ledger = EtcdLedger::open(place, fleet, now).await.map_err(CommandError::Ledger)?;
        Ok(Arc::new(ledger))
    }

    pub(super) async fn open_read_only(place: &EtcdPlace, fleet: &FleetName, now: Time) -> Result<Read, CommandError> {
        let ledger = EtcdLedger::open_read_only(place, fleet, now).await.map_err(CommandError::Ledger)?;
        let id = ledger.id().cloned();
        Ok((Arc::new(ledger), id))
    }
}

#[cfg(not(feature = "etcd"))]
mod etcd {
    use super::*;

    pub(super) async fn open(_: &EtcdPlace, _: &FleetName, _: Time) -> Result<Arc<dyn Ledger>, CommandError> {
        Err(CommandError::WithoutEtcd)
    }

    pub(super) async fn open_read_only(_: &EtcdPlace, _: &FleetName, _: Time) -> Result<Read, CommandError> {
        Err(CommandError::WithoutEtcd)
    }
}
