//! `pause` and `continue` in journals of their own, for `report` and `history`. Only a run's process writes into the run's
//! journal, and it may be dead, or busy until the order is lifted again.

use std::collections::BTreeMap;

use crate::driver::record_alone;
use crate::model::{Bounds, RunId, Time, chain};
use crate::ports::{Ledger, LedgerError, Written};
use crate::run::{EVENT_SCHEMA, Event, JournalRecord, RunOrder};

use super::ids;

/// Records an order that is in force already. Returns a warning if that cannot be done.
pub(super) async fn remember(ledger: &dyn Ledger, at: Time, event: Event) -> Option<String> {
    let journal = JournalRecord { schema: EVENT_SCHEMA.to_owned(), run: ids::run_order_id(), seq: 0, at, event };
    match record_alone(ledger, &journal).await {
        Ok(Written::Acknowledged(())) => None,
        Ok(Written::Conflict) => Some("this was done, but is not in the history".to_owned()),
        Err(error) => Some(format!("this was done, but is not in the history: {error}")),
    }
}

/// The orders that were given to a run which began at that time, the earliest first. Returns a warning if one cannot be
/// read: how the run stands is told all the same.
pub(super) async fn of_run(ledger: &dyn Ledger, run: &RunId, begun: Time) -> (Vec<RunOrder>, Option<String>) {
    let mut orders = RunOrders::default();
    let read = read_all(ledger, begun, &mut orders).await;
    let warning = read.err().map(|error| format!("the orders to run {run} cannot all be read: {}", chain(&error)));
    (orders.to(run), warning)
}

/// Takes in every order since that time. Goes on where one cannot be read, and returns the first error.
async fn read_all(ledger: &dyn Ledger, begun: Time, orders: &mut RunOrders) -> Result<(), LedgerError> {
    let mut failed = Ok(());
    // Whoever gave them may have a clock that is behind.
    for id in ledger.runs(Some(begun.minus(Bounds::TOLERANCE))).await? {
        if ids::is_run_order(&id) {
            match ledger.journal(&id).await {
                Ok(journal) => orders.take(&journal),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
    }
    failed
}

/// RunOrders, by the run that they were given to.
#[derive(Default)]
pub(super) struct RunOrders(BTreeMap<RunId, Vec<RunOrder>>);

impl RunOrders {
    /// Takes in a journal, if it is that of an order.
    pub(super) fn take(&mut self, journal: &[JournalRecord]) {
        if let Some(order) = RunOrder::of(journal) {
            self.0.entry(order.run.clone()).or_default().push(order);
        }
    }

    /// The orders that were given to a run, the earliest first.
    pub(super) fn to(&self, run: &RunId) -> Vec<RunOrder> {
        let mut orders = self.0.get(run).cloned().unwrap_or_default();
        orders.sort_by_key(|order| (order.at, order.command));
        orders
    }
}
