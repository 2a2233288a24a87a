//! A request id that was used before: the first run is reported, resumed where its process died, and never repeated
//! (S9).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::coordination::FleetRecord;
use crate::driver::{StopSignal, Untaken, stop_signal};
use crate::model::RunId;
use crate::plan::Request;
use crate::run::{JournalRecord, Purpose, Standing, has_ended, report, standing};

use super::args::Global;
use super::error::CommandError;
use super::going_on::{self, Terms};
use super::screen::Screen;
use super::signals::Signals;
use super::takeover::{self, Asked, Went};
use super::world::World;
use super::{Answered, Exit, plan, process, refusal, selection};

/// How often the journal of a run that is under way is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The answer that the request id has already, if it has one.
pub(super) async fn answer(
    world: &World,
    request: &Request,
    yes: bool,
    global: &Global,
    screen: &Arc<Screen>,
) -> Result<Option<Answered>, CommandError> {
    let Some(id) = &request.request_id else { return Ok(None) };
    let (_, record) = world.ledger.read().await?;
    let Some(entry) = record.requests.get(id) else { return Ok(None) };
    if entry.fingerprint == selection::fingerprint(request) {
        let signals = Signals::listen(screen).map_err(|e| CommandError::internal("signals cannot be heard", e))?;
        let (orders, mut stop) = stop_signal();
        tokio::spawn(signals.forward(orders));
        let terms = Terms { yes, reason: request.reason.clone() };
        return of_run(world, &entry.run, &terms, screen, &mut stop).await.map(Some);
    }
    // Another request: refused, with the plan that it would have had.
    let mut seen = world.look().await?;
    let planned = world.plan(request, &mut seen).await?;
    let violation = refusal::request_id(&planned.document, &entry.run);
    let document = refusal::with(&planned.document, vec![violation]);
    plan::refused(global, &document, &world.place()).map(Some)
}

/// The report of a run; where it is under way, at its end; where its process died, after going on with it. What would
/// still go then is confirmed by this call anew: nobody terminates by asking again.
pub(super) async fn of_run(
    world: &World,
    run: &RunId,
    terms: &Terms,
    screen: &Arc<Screen>,
    stop: &mut StopSignal,
) -> Result<Answered, CommandError> {
    let mut said = false;
    loop {
        let (journal, record) = takeover::look(world, run).await?;
        match standing(&journal, &record, run) {
            Standing::Unknown | Standing::Ended | Standing::Holding => return told(world, run, &journal, screen),
            Standing::Unopened | Standing::UnderWay => {}
        }
        let alive = takeover::actor(&journal, &record, run).and_then(process::is_alive);
        // Design section 3: taken over only where it is silent, so that two retries do not take it from each other.
        if alive != Some(true) && takeover::silence(world, run, &journal, &record).is_none() {
            if let Some(no) = unconfirmed(world, run, &journal, &record, terms, screen).await? {
                if takeover::look(world, run).await?.0.len() == journal.len() {
                    return Ok(no);
                }
                // Another retry has taken it meanwhile: that one's run is waited for.
                continue;
            }
            let asked = Asked {
                seen: journal.len(),
                purpose: Purpose::Resume,
                reason: None,
                leave: BTreeSet::new(),
                even_if_alive: false,
                yes: terms.yes,
            };
            match takeover::take(world, run, asked, screen, stop).await? {
                Ok(Went::Over(document)) => return super::report::of(&document, &world.policies.directory),
                Ok(Went::On(ended)) => return super::report::ended(world, &ended, screen),
                // What was granted and never begun is told like every other end.
                Ok(Went::Released(_)) | Err(Untaken::Over(_) | Untaken::Alive | Untaken::Another(_)) => {}
                Err(why @ (Untaken::Ledger(_) | Untaken::Refused(_))) => return Err(takeover::not_taken(run, &why)),
            }
        } else if !said {
            said = true;
            screen.note(&format!("run {run} of this request id is under way: waiting for its end"));
        }
        tokio::select! {
            () = world.clock.sleep_until(world.clock.now().plus(LOOK_EVERY)) => {}
            () = stop.ordered() => {
                return Err(CommandError::NotStarted {
                    exit: Exit::HALTED,
                    message: format!("interrupted while waiting for run {run}; this call touched nothing"),
                    causes: vec!["the run itself goes on".to_owned()],
                    hint: "safe-remove status shows it; its own process must be stopped where it runs",
                });
            }
        }
    }
}

/// The question, with signals of its own: those of this call wait for the run.
async fn unconfirmed(
    world: &World,
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
    terms: &Terms,
    screen: &Arc<Screen>,
) -> Result<Option<Answered>, CommandError> {
    let mut signals = Signals::listen(screen).map_err(|e| CommandError::internal("signals cannot be heard", e))?;
    going_on::unconfirmed(world, run, journal, record, terms, &mut signals, screen).await
}

fn told(world: &World, run: &RunId, journal: &[JournalRecord], screen: &Screen) -> Result<Answered, CommandError> {
    for record in journal {
        screen.event(record);
    }
    screen.note(&format!("this request id was used before: nothing is removed, run {run} is reported"));
    match report(journal) {
        Some(document) => super::report::of(&document, &world.policies.directory),
        None if has_ended(journal) => Err(CommandError::NotStarted {
            exit: Exit::HALTED,
            message: format!("run {run} of this request id ended before it touched anything"),
            causes: vec![
                "its process died between the grant and its first record; what it held is released".to_owned(),
            ],
            hint: "decide anew, with a new request id",
        }),
        None => Err(CommandError::NotStarted {
            exit: Exit::LEDGER,
            message: format!("run {run} of this request id has no journal"),
            causes: Vec::new(),
            hint: "safe-remove status says what it holds",
        }),
    }
}
