//! Ended runs, and stop orders that were given or lifted, newest first.

use std::path::Path;

use crate::model::{HostId, SubsystemName, Time};
use crate::output::{HistoryDocument, HistoryHalt, StatusHalt};
use crate::run::{self, JournalRecord, RunDocument, RunHistory, Single, has_ended};

use super::error::OperationError;
use super::reader::LedgerReader;
use super::run_orders::RunOrders;
use super::{environment, fleets, report};

/// The runs and orders to look for.
#[derive(Clone, Debug, Default)]
pub(crate) struct HistoryOf {
    /// Only runs and orders of this subsystem.
    pub(crate) subsystem: Option<SubsystemName>,
    /// Only runs that had this host in their plan; no orders.
    pub(crate) host: Option<HostId>,
    /// At most so many runs and orders, the newest.
    pub(crate) limit: Option<usize>,
}

/// Reads the journals and folds each. Returns the runs that ended, or none where no run has.
///
/// `since` derives a time from the fleet's present time.
///
/// # Errors
///
/// The ledger cannot be read; nothing is known of such a subsystem.
pub(crate) async fn history(
    policies: &Path,
    of: &HistoryOf,
    since: impl FnOnce(Time) -> Option<Time>,
) -> Result<HistoryDocument, OperationError> {
    let policies = environment::policies(policies)?;
    let now = fleets::now(&policies.fleet);
    let ledger = LedgerReader::open(&policies.fleet, now).await?;
    let (mut runs, mut halts, mut orders, mut more) = (Vec::new(), Vec::new(), Vec::new(), false);
    // The newest come first, so the orders given to a run come before the run.
    let mut given = RunOrders::default();
    let subsystem = of.subsystem.as_ref();
    // A subsystem whose policy was deleted still has a history.
    let mut is_known = subsystem.is_none_or(|name| policies.subsystems.contains_key(name));
    for id in ledger.journals().runs(since(now)).await.map_err(OperationError::Ledger)? {
        let journal = ledger.journals().journal(&id).await.map_err(OperationError::Ledger)?;
        given.take(&journal);
        let order = order(&journal).filter(|order| of.has_order(order));
        let run = run::report(&journal).filter(|run| of.has_run(run));
        let given = given.to(&id);
        if run.is_some() && !has_ended(&journal) {
            // Nobody sees the run here before it has ended, and its process may be dead.
            orders.extend(given.into_iter().rev());
            continue;
        }
        if order.is_none() && run.is_none() {
            continue;
        }
        is_known |= run.is_some() || order.as_ref().is_some_and(|order| order.subsystem.as_ref() == subsystem);
        if of.limit.is_some_and(|limit| runs.len() + halts.len() >= limit) {
            more = true;
            // An order for the whole fleet does not show that there is such a subsystem: an earlier run may.
            if is_known {
                break;
            }
            continue;
        }
        let run = run.map(|run| report::so_far(run::with_orders(run, &given), &journal, now));
        runs.extend(run.map(|run| report::placed(run, &policies.directory)));
        halts.extend(order);
    }
    if let Some(name) = subsystem.filter(|_| !is_known) {
        return Err(OperationError::unknown_subsystem(name, &policies));
    }
    let fleet = policies.fleet.name.clone();
    Ok(HistoryDocument { schema: HistoryDocument::SCHEMA, fleet, runs, halts, orders, more })
}

impl HistoryOf {
    fn has_order(&self, order: &HistoryHalt) -> bool {
        let concerns = |name| order.subsystem.as_ref().is_none_or(|of| of == name);
        self.host.is_none() && self.subsystem.as_ref().is_none_or(concerns)
    }

    fn has_run(&self, run: &RunDocument) -> bool {
        let has_host = |host| run.batches.iter().any(|batch| batch.hosts.contains(host)) || run.dropped.contains(host);
        self.subsystem.as_ref().is_none_or(|name| run.subsystem == *name) && self.host.as_ref().is_none_or(has_host)
    }
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
        Single::Paused(..) | Single::Continued { .. } | Single::Pruned(..) | Single::Other => return None,
    };
    let at = history.last?.at;
    Some(HistoryHalt { at, command, subsystem, operator, reason, lifted })
}
