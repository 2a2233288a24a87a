//! Ended runs, and stop orders that were given or lifted, newest first.

use std::path::Path;

use crate::model::{SubsystemName, Time};
use crate::output::{HistoryDocument, HistoryHalt, StatusHalt};
use crate::run::{self, JournalRecord, RunHistory, Single, has_ended};

use super::error::OperationError;
use super::reader::LedgerReader;
use super::{environment, fleets, report};

/// Reads the journals and folds each. Returns the runs that ended, or none where no run has.
///
/// `since` derives a time from the fleet's present time.
///
/// # Errors
///
/// The ledger cannot be read; nothing is known of such a subsystem.
pub(crate) async fn history(
    policies: &Path,
    subsystem: Option<&SubsystemName>,
    since: impl FnOnce(Time) -> Option<Time>,
) -> Result<HistoryDocument, OperationError> {
    let policies = environment::policies(policies)?;
    let now = fleets::now(&policies.fleet);
    let ledger = LedgerReader::open(&policies.fleet, now).await?;
    let (mut runs, mut halts) = (Vec::new(), Vec::new());
    // A subsystem whose policy was deleted still has a history.
    let mut is_known = subsystem.is_none_or(|name| policies.subsystems.contains_key(name));
    for id in ledger.journals().runs(since(now)).await.map_err(OperationError::Ledger)? {
        let journal = ledger.journals().journal(&id).await.map_err(OperationError::Ledger)?;
        if let Some(order) = order(&journal)
            && subsystem.is_none_or(|name| order.subsystem.as_ref().is_none_or(|of| of == name))
        {
            is_known |= order.subsystem.as_ref() == subsystem;
            halts.push(order);
        } else if has_ended(&journal)
            && let Some(document) = run::report(&journal)
            && subsystem.is_none_or(|name| document.subsystem == *name)
        {
            is_known = true;
            runs.push(report::placed(document, &policies.directory));
        }
    }
    if let Some(name) = subsystem.filter(|_| !is_known) {
        return Err(OperationError::unknown_subsystem(name, &policies));
    }
    let fleet = policies.fleet.name.clone();
    Ok(HistoryDocument { schema: HistoryDocument::SCHEMA, fleet, runs, halts })
}

/// A stop order, or the lifting of one, from its journal.
fn order(journal: &[JournalRecord]) -> Option<HistoryHalt> {
    let history = RunHistory::of(journal);
    let (command, subsystem, operator, reason, lifted) = match history.single? {
        Single::Halted(order) => {
            ("halt", order.subsystem.clone(), order.operator.clone(), order.reason.clone(), Vec::new())
        }
        Single::Lifted(orders, operator, reason) => {
            let subsystem = orders.first().and_then(|order| order.subsystem.clone());
            let lifted = orders.iter().map(StatusHalt::from).collect();
            ("unhalt", subsystem, operator.clone(), Some(reason.to_owned()), lifted)
        }
        Single::Pruned(..) | Single::Other => return None,
    };
    let at = history.last?.at;
    Some(HistoryHalt { at, command, subsystem, operator, reason, lifted })
}
