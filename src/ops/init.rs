//! Creates what a ledger needs before the first run: the table where the engine has one, and the fleet's record.

use std::path::Path;

use serde::Serialize;

use crate::model::{FleetName, LedgerId, Time};
use crate::policy::PolicySet;

use super::error::OperationError;
use super::reader::{LedgerReader, writable_ledger};
use super::{engines, environment, fleets};

/// The state after `ledger init`.
#[derive(Debug, Serialize)]
pub(crate) struct Initialised {
    pub(crate) fleet: FleetName,
    pub(crate) ledger: LedgerId,
    pub(crate) place: String,
    /// What was done, in words; empty where everything existed before.
    pub(crate) done: Vec<String>,
}

/// The ledger's id; `None` where there is none yet, or it cannot be read.
pub(crate) async fn ledger_id(policies: &PolicySet) -> Option<LedgerId> {
    let now = fleets::now(&policies.fleet);
    LedgerReader::open(&policies.fleet, now).await.ok()?.id().cloned()
}

/// Creates both. Either is left as it is where it exists.
///
/// # Errors
///
/// The policies are invalid; the ledger cannot be created or read.
pub(crate) async fn init(policies: &Path) -> Result<Initialised, OperationError> {
    let policies = environment::policies(policies)?;
    let (kind, now) = (&policies.fleet.ledger.kind, fleets::now(&policies.fleet));
    let mut done = engines::init(kind).await?;
    if !LedgerReader::open(&policies.fleet, now).await?.exists() {
        done.push(format!("the record of fleet {} was made", policies.fleet.name));
    }
    // The record is stamped 0: a simulated fleet that does not exist yet has a clock of its own, which must not cause a
    // refusal.
    let ledger = writable_ledger(&policies.fleet, Time::from_millis(0)).await?;
    let (_, record) = ledger.read().await.map_err(OperationError::Ledger)?;
    Ok(Initialised { fleet: policies.fleet.name.clone(), ledger: record.ledger, place: kind.place(), done })
}
