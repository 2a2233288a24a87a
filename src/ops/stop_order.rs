//! A stop order in the ledger: it is put into force first, then explained, then remembered in a journal of its own.

use std::convert::Infallible;

use crate::coordination::{self, FleetRecord, Halt};
use crate::driver::{Unchanged, record_alone, update};
use crate::ports::{Ledger, LedgerError, Written};
use crate::run::{EVENT_SCHEMA, Event, Failure, JournalRecord};

use super::error::OperationError;
use super::frontend::{Frontend, Orders, Question};
use super::ids;

/// How many writes of others may come first: five times as many as in a run. About a minute.
const CONFLICTS: u32 = 1000;

/// Puts the order into the record, which stops runs.
///
/// Returns the record as it is now, the order in force, whether it is new, and the earlier orders of the same scope.
pub(super) async fn put(
    ledger: &dyn Ledger,
    order: Halt,
) -> Result<(FleetRecord, Halt, bool, Vec<Halt>), OperationError> {
    let updated = update(ledger, CONFLICTS, |record| {
        let earlier: Vec<Halt> = record.halts.iter().filter(|h| h.subsystem == order.subsystem).cloned().collect();
        let next = coordination::halt(record, &order);
        let now = next.clone().unwrap_or_else(|| record.clone());
        Ok::<_, Infallible>((next.clone(), (now, next.is_some(), earlier)))
    });
    let (record, is_new, earlier) = updated.await.map_err(|why| match why {
        Unchanged::Refused(never) => match never {},
        Unchanged::Busy(others) => failed(format!("{others} writes of others came first"), "the ledger is too busy"),
        Unchanged::Lost(error) => not_halted(error),
    })?;
    if !is_new {
        // This operator gave this very order before: the earlier one stays, with its time.
        let is_same = |h: &&Halt| h.operator == order.operator && h.reason == order.reason;
        let standing = earlier.iter().find(is_same).cloned().unwrap_or(order);
        return Ok((record, standing, false, earlier));
    }
    Ok((record, order, true, earlier))
}

/// Asks why, and puts the reply into the order, which is in force whatever the reply is.
pub(super) async fn explained(
    ledger: &dyn Ledger,
    order: Halt,
    frontend: &dyn Frontend,
    heard: &mut Orders,
    warnings: &mut Vec<String>,
) -> Halt {
    let question = Question::WhyHalted { scope: order.scope() };
    let Ok(reason) = frontend.ask(&question, heard).await.typed() else { return order };
    let explain = |record: &FleetRecord| Ok::<_, Infallible>((coordination::explain_halt(record, &order, &reason), ()));
    match update(ledger, CONFLICTS, explain).await {
        Ok(()) => Halt { reason: Some(reason), ..order },
        Err(_) => {
            warnings.push("the order is in force, but its reason is not recorded".to_owned());
            order
        }
    }
}

/// Puts the order into a journal of its own, for the history.
pub(super) async fn remember(ledger: &dyn Ledger, order: &Halt, warnings: &mut Vec<String>) {
    let journal = JournalRecord {
        schema: EVENT_SCHEMA.to_owned(),
        run: ids::order_id(),
        seq: 0,
        at: order.at,
        event: Event::HaltOrdered { order: order.clone() },
    };
    match record_alone(ledger, &journal).await {
        Ok(Written::Acknowledged(())) => {}
        Ok(Written::Conflict) => warnings.push("the order is in force, but not in the history".to_owned()),
        Err(error) => warnings.push(format!("the order is in force, but not in the history: {error}")),
    }
}

/// The error where the order could not be written. An operator who needs to stop a run can still stop its process.
pub(super) fn not_halted(error: LedgerError) -> OperationError {
    let message = match &error {
        LedgerError::InDoubt { .. } => "it is not known whether the order is in force",
        // Runs do not use this ledger: an order in it would stop nothing, and look as if it had.
        LedgerError::PutBack { .. }
        | LedgerError::Unreachable { .. }
        | LedgerError::Newer { .. }
        | LedgerError::Corrupt { .. } => "nothing is halted: the ledger cannot be used",
    };
    let mut causes = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        causes.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    failed(causes, message)
}

fn failed(cause: String, message: &str) -> OperationError {
    OperationError::NotStarted {
        failure: Failure::Ledger,
        message: message.to_owned(),
        causes: vec![cause],
        hint: "try again; Ctrl-C or SIGTERM stops a run as well, by its process: it restores and ends with 9",
    }
}
