//! `safe-remove ledger set-time`: a person sets the ledger's time right. A clock that was ahead leaves a time behind that
//! refuses every right one until it has come.

use std::sync::Arc;

use serde::Serialize;

use crate::coordination::Command;
use crate::driver::record_alone;
use crate::model::{OperatorId, Time};
use crate::output::clean_lines;
use crate::ports::Written;
use crate::run::{EVENT_SCHEMA, JournalRecord, Past};

use super::args::Global;
use super::error::CommandError;
use super::screen::Screen;
use super::signals::Signals;
use super::world::World;
use super::{Answered, Exit, process, prompt, selection};

/// What was set.
#[derive(Debug, Serialize)]
struct TimeSet {
    /// The record's time before.
    was: Time,
    /// The record's time now.
    is: Time,
    by: OperatorId,
    reason: String,
}

/// Look, show, ask, record, set.
///
/// # Errors
///
/// Nobody can be asked, or the answer is another (6); the record is of another fleet, or the fleet cannot be observed, which
/// on AWS also says whether this machine's clock is right (5); the ledger cannot be written (10).
pub(super) async fn set_time(global: &Global, reason: &str, screen: &Arc<Screen>) -> Result<Answered, CommandError> {
    let world = World::open(global).await?;
    let by = process::operator(world.fleet.identity());
    // What a provider knows of the time stands against this machine's before anything else.
    let seen = world.look().await?;
    let (was, now) = (seen.record.written_at, seen.now);
    let answer = |text: String, is: Time| {
        let set = TimeSet { was, is, by: by.clone(), reason: reason.to_owned() };
        Answered::result(Exit::DONE, "ledger set-time", clean_lines(&text).into_owned(), &set, &[])
    };
    if was <= now.plus(world.fleet.bounds().tolerance) {
        return answer(
            format!("The ledger was written at {was}, and it is {now}: there is nothing to set right.\n"),
            was,
        );
    }
    if !prompt::is_possible() {
        return Err(CommandError::NotConfirmed {
            why: "there is no terminal to ask on; nothing was touched".to_owned(),
            hint: Some("a time is set right by a person: run it on a terminal".to_owned()),
        });
    }
    screen.stderr(&format!(
        "{}\nThe ledger was written at {was}, and by this machine's clock it is {now}. If the latter is right, every time \
         in the ledger that is later becomes {now}: budgets and intervals count it as of now. If this machine's clock is the \
         wrong one, stop, and correct it.\n",
        world.place().text()
    ));
    let mut signals = Signals::listen(screen).map_err(|e| CommandError::internal("signals cannot be heard", e))?;
    let fleet = world.policies.fleet.name.as_str();
    let reply = prompt::ask(&format!("Type {fleet} to set the time, anything else to stop"), &mut signals).await;
    reply
        .is(fleet)
        .map_err(|why| CommandError::NotConfirmed { why: format!("{why}; nothing was touched"), hint: None })?;

    let ledger = world.writable_ledger().await?;
    let not_recorded = |cause: Option<String>| CommandError::NotStarted {
        exit: Exit::LEDGER,
        message: "the time cannot be recorded; nothing was changed".to_owned(),
        causes: cause.into_iter().collect(),
        hint: "try again",
    };
    let now = world.clock.now();
    let record = JournalRecord {
        schema: EVENT_SCHEMA.to_owned(),
        run: selection::time_id(),
        seq: 0,
        at: now,
        event: Past::LedgerTimeSet { operator: by.clone(), reason: reason.to_owned(), was },
    };
    // Who and why stand in the ledger before anything is set.
    match record_alone(ledger.as_ref(), &record).await.map_err(CommandError::Ledger)? {
        Written::Acknowledged(()) => {}
        Written::Conflict => return Err(not_recorded(None)),
    }
    world.change(ledger.as_ref(), &Command::SetTime, |why| not_recorded(Some(why))).await?;
    answer(format!("The ledger's time is {now}; it was {was}.\n"), now)
}
