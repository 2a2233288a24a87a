//! A person sets the ledger's time right. A clock that was ahead leaves a time behind, and until that time has come
//! every right time is refused.

use std::path::Path;

use serde::Serialize;

use crate::coordination::Command;
use crate::driver::record_alone;
use crate::model::{OperatorId, Time};
use crate::ports::Written;
use crate::run::{EVENT_SCHEMA, Event, Failure, JournalRecord};

use super::environment::Environment;
use super::error::OperationError;
use super::frontend::{Frontend, Question};
use super::{confirm, ids, process};

/// The result. Nothing was set where `was` equals `is`.
#[derive(Debug, Serialize)]
pub(crate) struct TimeSet {
    /// The record's time before.
    pub(crate) was: Time,
    /// The record's time now.
    pub(crate) is: Time,
    /// The time when the command was given.
    #[serde(skip)]
    pub(crate) now: Time,
    pub(crate) by: OperatorId,
    pub(crate) reason: String,
}

/// Observes, shows, asks for confirmation, records, and sets.
///
/// # Errors
///
/// Nobody can be asked, or the answer is not the right one (6); the record is of another fleet, or the fleet cannot be
/// observed, which on AWS also tells whether this machine's clock is right (5); the ledger cannot be written (10).
pub(crate) async fn set_time(
    policies: &Path,
    reason: &str,
    frontend: &dyn Frontend,
) -> Result<TimeSet, OperationError> {
    let environment = Environment::open(policies).await?;
    let by = process::operator(environment.fleet.identity());
    // Compares this machine's time with what the provider knows, before anything else.
    let seen = environment.observe_then_read().await?;
    let (was, now) = (seen.record.written_at, seen.now);
    let set = |is: Time| TimeSet { was, is, now: seen.now, by: by.clone(), reason: reason.to_owned() };
    if was <= now.plus(environment.fleet.bounds().tolerance) {
        return Ok(set(was));
    }
    if !frontend.can_ask() {
        return Err(OperationError::NotConfirmed {
            why: "there is no terminal to ask on; nothing was touched".to_owned(),
            hint: Some("a time is set right by a person: run it on a terminal".to_owned()),
        });
    }
    let question = Question::SetTime { place: &environment.place(), was, now };
    confirm::by_a_person(&question, "nothing was touched", frontend).await?;

    let ledger = environment.writable_ledger().await?;
    let not_recorded = |cause: Option<String>| OperationError::NotStarted {
        failure: Failure::Ledger,
        message: "the time cannot be recorded; nothing was changed".to_owned(),
        causes: cause.into_iter().collect(),
        hint: "try again",
    };
    let now = environment.clock.now();
    let record = JournalRecord {
        schema: EVENT_SCHEMA.to_owned(),
        run: ids::time_id(),
        seq: 0,
        at: now,
        event: Event::LedgerTimeSet { operator: by.clone(), reason: reason.to_owned(), was },
    };
    // The ledger records who and why before anything is set.
    match record_alone(ledger.as_ref(), &record).await.map_err(OperationError::Ledger)? {
        Written::Acknowledged(()) => {}
        Written::Conflict => return Err(not_recorded(None)),
    }
    environment.change(ledger.as_ref(), &Command::SetTime, |why| not_recorded(Some(why))).await?;
    Ok(set(now))
}
