//! A request id that was used before: its first run is reported, resumed where its process died, and never repeated
//! (S9).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::coordination::FleetRecord;
use crate::driver::{StopSignal, stop_signal};
use crate::model::RunId;
use crate::plan::Request;
use crate::run::{
    Failure, JournalRecord, Outcome, Purpose, RunDocument, RunHistory, RunStatus, Single, TakeoverError, run_status,
    took_nothing,
};

use super::environment::{self, Environment};
use super::error::OperationError;
use super::frontend::Frontend;
use super::not_taken::not_taken;
use super::plan::PlanAnswer;
use super::remainder::{self, Terms};
use super::removal::{Removal, Removed};
use super::takeover::{self, TakeoverOptions, TakeoverOutcome};
use super::{ids, refusal, report};

/// The interval between two reads of the journal of a run in progress.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What earlier calls with a request id led to.
pub(crate) enum Repeated {
    /// They made a run, and this is the answer.
    Answered(Removed),
    /// They made no run yet. Contains the run that this call makes, and what its journal has of earlier calls that took
    /// nothing.
    New { run: RunId, prior: Vec<JournalRecord> },
}

/// Looks for the run of the request id. Its journal says for good what became of it.
pub(crate) async fn find(
    environment: &Environment,
    removal: &Removal,
    frontend: &dyn Frontend,
) -> Result<Repeated, OperationError> {
    let request = &removal.request;
    let run = ids::run_id(&environment.policies.fleet.name, request.request_id.as_ref());
    if request.request_id.is_none() {
        return Ok(Repeated::New { run, prior: Vec::new() });
    }
    let (journal, record) = environment.read_run(&run).await?;
    // S3: what a run of another fleet did says nothing about this one.
    record.is_of(environment.fleet.identity()).map_err(environment::other_fleet)?;
    if journal.is_empty() || (took_nothing(&journal) && !record.runs.contains_key(&run)) {
        return Ok(Repeated::New { run, prior: journal });
    }
    if !is_same_request(&journal, request) {
        // It was another request: refused, with the plan that it would have had.
        let mut seen = environment.observe_then_read().await?;
        let planned = environment.plan(request, &mut seen).await?;
        let violation = refusal::request_id(&planned.document, &run);
        let answer = PlanAnswer::refused(environment, &planned.document, vec![violation]);
        return Ok(Repeated::Answered(Removed::Not(Box::new(answer))));
    }
    let heard = frontend.listen().map_err(|e| OperationError::internal("signals cannot be heard", e))?;
    let (orders, mut stop) = stop_signal();
    tokio::spawn(heard.forward(orders));
    let terms = Terms { yes: removal.yes, reason: request.reason.clone() };
    of_run(environment, &run, &terms, frontend, &mut stop).await
}

/// Whether a run was begun for the same request: the same subsystem, and the same count or set of hosts. A journal that
/// has lost its beginning belongs to no request that could be repeated.
pub(crate) fn is_same_request(journal: &[JournalRecord], request: &Request) -> bool {
    let history = RunHistory::of(journal);
    let first = match (history.opening, history.single) {
        (Some(opening), _) => Some(&opening.plan.request),
        (None, Some(Single::Pruned(first))) => Some(first),
        (
            None,
            Some(
                Single::Halted(_) | Single::Lifted(..) | Single::Paused(..) | Single::Continued { .. } | Single::Other,
            )
            | None,
        ) => None,
    };
    first.is_some_and(|first| ids::fingerprint_of(first) == ids::fingerprint(request))
}

/// The report of a run: where it is in progress, once it has ended; where its process died, after going on with it.
/// This call must then confirm anew what would still be removed: repeating a request alone terminates nothing.
pub(crate) async fn of_run(
    environment: &Environment,
    run: &RunId,
    terms: &Terms,
    frontend: &dyn Frontend,
    stop: &mut StopSignal,
) -> Result<Repeated, OperationError> {
    let mut said = false;
    loop {
        let (journal, record) = environment.read_run(run).await?;
        match run_status(&journal, &record, run) {
            // The run took nothing: this call may.
            RunStatus::Ended if took_nothing(&journal) => {
                return Ok(Repeated::New { run: run.clone(), prior: journal });
            }
            // An ended run goes forward no more, whatever it still holds.
            RunStatus::Unknown | RunStatus::Ended | RunStatus::Holding | RunStatus::Lost => {
                return told(environment, run, &journal, frontend).map(ran);
            }
            // The process died before it told the record: nobody else will.
            RunStatus::Unclosed => {
                if let Err(why) = takeover::take(environment, run, put_back(journal.len()), frontend, stop).await? {
                    not_for_good(run, why)?;
                    pause(environment, run, stop).await?;
                }
                continue;
            }
            RunStatus::Unlisted | RunStatus::UnderWay => {}
        }
        // Protocol section 6: the run is taken over only where it is silent, so that two retries do not take it from
        // each other.
        if takeover::may_be_retried(environment, run, &journal, &record) {
            if let Some(no) = unconfirmed(environment, run, &journal, &record, terms, frontend).await? {
                if environment.read_run(run).await?.0.len() == journal.len() {
                    return Ok(Repeated::Answered(Removed::Not(Box::new(no))));
                }
                // Another retry has taken the run over meanwhile: wait for its end.
                continue;
            }
            let asked = TakeoverOptions {
                seen: journal.len(),
                purpose: Purpose::Resume,
                reason: None,
                leave: BTreeSet::new(),
                even_if_alive: false,
                yes: terms.yes,
            };
            match takeover::take(environment, run, asked, frontend, stop).await? {
                Ok(TakeoverOutcome::Completed(document)) => {
                    return Ok(ran(report::placed(*document, &environment.policies.directory)));
                }
                // The run was granted nothing, and nobody else will be granted anything in its name: this call may
                // remove.
                Ok(TakeoverOutcome::Ended(ended)) if ended.document.outcome == Outcome::NotStarted => {}
                Ok(TakeoverOutcome::Ended(ended)) => return Ok(ran(report::ended(environment, &ended, frontend))),
                Ok(TakeoverOutcome::Closed | TakeoverOutcome::Released(_)) => {}
                Err(why) => not_for_good(run, why)?,
            }
        } else if !said {
            said = true;
            frontend.note(&format!("run {run} of this request id is under way: waiting for its end"));
        }
        pause(environment, run, stop).await?;
    }
}

/// Lets the caller look at the run again where a takeover failed because another process acts for the run, or has ended
/// it.
fn not_for_good(run: &RunId, why: TakeoverError) -> Result<(), OperationError> {
    match why {
        TakeoverError::Over(_) | TakeoverError::Alive | TakeoverError::Another(_) => Ok(()),
        TakeoverError::Ledger(_) | TakeoverError::Refused(_) => Err(not_taken(run, &why)),
    }
}

/// Waits before the run is read again.
async fn pause(environment: &Environment, run: &RunId, stop: &mut StopSignal) -> Result<(), OperationError> {
    tokio::select! {
        () = environment.clock.sleep_until(environment.clock.now().plus(LOOK_EVERY)) => Ok(()),
        () = stop.ordered() => Err(OperationError::NotStarted {
            failure: Failure::Halted,
            message: format!("interrupted while waiting for run {run}; this call touched nothing"),
            causes: vec!["the run itself goes on".to_owned()],
            hint: "`safe-remove status` shows it; its own process must be stopped where it runs",
        }),
    }
}

/// Asks the question, with a listener of its own: the call's own signals wait for the run.
async fn unconfirmed(
    environment: &Environment,
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
    terms: &Terms,
    frontend: &dyn Frontend,
) -> Result<Option<PlanAnswer>, OperationError> {
    let mut orders = frontend.listen().map_err(|e| OperationError::internal("signals cannot be heard", e))?;
    remainder::unconfirmed(environment, run, journal, record, terms, &mut orders, frontend).await
}

/// The options of a takeover that ends a run and goes no further.
fn put_back(seen: usize) -> TakeoverOptions {
    TakeoverOptions {
        seen,
        purpose: Purpose::Abandon,
        reason: None,
        leave: BTreeSet::new(),
        even_if_alive: false,
        yes: false,
    }
}

fn ran(document: RunDocument) -> Repeated {
    Repeated::Answered(Removed::Ran(Box::new(document)))
}

fn told(
    environment: &Environment,
    run: &RunId,
    journal: &[JournalRecord],
    frontend: &dyn Frontend,
) -> Result<RunDocument, OperationError> {
    let note = format!("this request id was used before: nothing is removed, run {run} is reported");
    report::of_earlier(environment, journal, &note, frontend).ok_or_else(|| OperationError::NotStarted {
        failure: Failure::Ledger,
        message: format!("run {run} of this request id has no journal"),
        causes: Vec::new(),
        hint: "`safe-remove status` says what it holds",
    })
}
