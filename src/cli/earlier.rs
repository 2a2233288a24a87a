//! A request id that was used before: the first run is reported, never repeated (S9).

use std::time::Duration;

use crate::model::RunId;
use crate::plan::Request;
use crate::run::{JournalRecord, has_ended, report};

use super::args::Global;
use super::error::CommandError;
use super::screen::Screen;
use super::world::World;
use super::{Answered, plan, process, refusal, selection};

/// How often the journal of a run that is under way is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The answer that the request id has already, if it has one.
pub(super) async fn answer(
    world: &World,
    request: &Request,
    global: &Global,
    screen: &Screen,
) -> Result<Option<Answered>, CommandError> {
    let Some(id) = &request.request_id else { return Ok(None) };
    let (_, record) = world.ledger.read().await?;
    let Some(entry) = record.requests.get(id) else { return Ok(None) };
    if entry.fingerprint == selection::fingerprint(request) {
        return of_run(world, &entry.run, screen).await.map(Some);
    }
    // Another request: refused, with the plan that it would have had.
    let mut seen = world.look().await?;
    let planned = world.plan(request, &mut seen).await?;
    let violation = refusal::request_id(&planned.document, &entry.run);
    let document = refusal::with(&planned.document, vec![violation]);
    plan::refused(global, &document, &world.place()).map(Some)
}

/// The report of a run; where it is under way, at its end.
pub(super) async fn of_run(world: &World, run: &RunId, screen: &Screen) -> Result<Answered, CommandError> {
    let mut said = false;
    loop {
        let journal = world.ledger.journals().journal(run).await.map_err(CommandError::Ledger)?;
        if has_ended(&journal) {
            return told(run, &journal, screen);
        }
        if !is_under_way(world, run).await? {
            // It may have ended between the two looks: what it wrote last is there now.
            let journal = world.ledger.journals().journal(run).await.map_err(CommandError::Ledger)?;
            return told(run, &journal, screen);
        }
        if !said {
            said = true;
            screen.note(&format!("run {run} of this request id is under way: waiting for its end"));
        }
        world.clock.sleep_until(world.clock.now().plus(LOOK_EVERY)).await;
    }
}

/// Whether the run's process may still write its end. One that nobody can look at may.
async fn is_under_way(world: &World, run: &RunId) -> Result<bool, CommandError> {
    let (_, record) = world.ledger.read().await?;
    Ok(record
        .runs
        .get(run)
        .is_some_and(|entry| entry.ended_at.is_none() && process::is_alive(&entry.process) != Some(false)))
}

fn told(run: &RunId, journal: &[JournalRecord], screen: &Screen) -> Result<Answered, CommandError> {
    for record in journal {
        screen.event(record);
    }
    screen.note(&format!("this request id was used before: nothing is removed, run {run} is reported"));
    match report(journal) {
        Some(document) => super::report::of(&document),
        None => Err(CommandError::NotStarted {
            exit: super::Exit::LEDGER,
            message: format!("run {run} was granted hosts and recorded nothing: its process ended too early"),
            causes: Vec::new(),
            hint: "safe-remove status says what it holds; nothing was cordoned by it",
        }),
    }
}
