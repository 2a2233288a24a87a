//! `safe-remove resume` and `safe-remove abandon`: the takeover of a run whose process died. A retried call with the
//! request id of such a run does the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::coordination::{FleetRecord, Life, ProcessId};
use crate::driver::{self, StopSignal, Taken, stop_signal};
use crate::model::{HostId, RunId, span_text};
use crate::output::{hosts_text, next};
use crate::ports::Processes as _;
use crate::run::{
    self, JournalRecord, MayLive, NotPermitted, NotStarted, Outcome, Purpose, RunDocument, RunHistory, RunStatus,
    Successor, TakeoverError, TakeoverRequest, quiet_from, run_status,
};

use super::environment::{self, Environment};
use super::error::OperationError;
use super::frontend::Frontend;
use super::not_taken::{not_begun, not_dead, not_taken};
use super::plan::PlanAnswer;
use super::remainder::{self, Terms};
use super::site::Site;
use super::{offline_journal, process, report, status};

/// The options of a takeover.
pub(crate) struct TakeoverOptions {
    /// The length of the journal by which it was judged whether the process lives.
    pub(crate) seen: usize,
    pub(crate) purpose: Purpose,
    pub(crate) reason: Option<String>,
    pub(crate) leave: BTreeSet<HostId>,
    pub(crate) even_if_alive: bool,
    /// `--yes`, for a run that is resumed.
    pub(crate) yes: bool,
}

/// The result of a takeover.
#[derive(Debug)]
pub(crate) enum TakenOver {
    /// The rest of the run was not confirmed, or is refused.
    Not(Box<PlanAnswer>),
    /// The run went on to its end, or had ended.
    Ended(Box<RunDocument>),
    /// The run was abandoned, and everything is back, as requested.
    Abandoned(Box<RunDocument>),
    /// The run had ended before; only now was the record told.
    Closed {
        /// The run's document, if its journal yields one.
        ended: Option<Box<RunDocument>>,
    },
    /// The run's journal is lost, and these hosts were given up.
    Released(Vec<HostId>),
}

/// Reads the run, checks, takes it over, continues it, and reports.
///
/// # Errors
///
/// The run cannot be taken over, or not with these options. Nothing was touched.
pub(crate) async fn take_over(
    policies: &Path,
    run: &RunId,
    mut asked: TakeoverOptions,
    frontend: &dyn Frontend,
) -> Result<TakenOver, OperationError> {
    let environment = match asked.purpose {
        Purpose::Resume => Environment::open(policies).await,
        // It only restores, which must not wait until somebody mends a policy.
        Purpose::Abandon => Site::find(policies)?.world_to_put_back(frontend).await,
    };
    let environment = environment.map_err(|error| offline_journal::with_what_is_kept(error, policies, Some(run)))?;
    let (journal, record) = environment.read_run(run).await?;
    // S3: checked before anything is written, above all before a fence.
    record.is_of(environment.fleet.identity()).map_err(environment::other_fleet)?;
    asked.seen = journal.len();
    let status = run_status(&journal, &record, run);
    if status == RunStatus::Unknown
        && let Some(lost) = offline_journal::known_here_only(&environment.policies.fleet, run)
    {
        return Err(lost);
    }
    offline_journal::tell(&environment, run, &journal, frontend).await?;
    // S9: it goes forward no more. A script that repeats the command gets the answer that the run gave.
    let note = format!("run {run} has ended: nothing is taken over, and it is reported");
    if status == RunStatus::Ended
        && asked.leave.is_empty()
        && let Some(document) = report::of_earlier(&environment, &journal, &note, frontend)
    {
        return Ok(TakenOver::Ended(Box::new(document)));
    }
    is_permitted(&environment, run, &journal, &record, &asked).await?;

    let mut heard = frontend.listen().map_err(|e| OperationError::internal("signals cannot be heard", e))?;
    if asked.purpose == Purpose::Resume {
        let terms = Terms { yes: asked.yes, reason: asked.reason.clone() };
        let no = remainder::unconfirmed(&environment, run, &journal, &record, &terms, &mut heard, frontend).await?;
        if let Some(no) = no {
            return Ok(TakenOver::Not(Box::new(no)));
        }
    }
    let (orders, mut stop) = stop_signal();
    tokio::spawn(heard.forward(orders));
    let quiet_at = quiet_from(&journal, environment.fleet.bounds());
    let left = quiet_at.since(environment.clock.now());
    if !left.is_zero() {
        frontend.note(&format!(
            "taking over run {run}: nothing goes forward and nothing is released before {quiet_at} ({}), when the last \
             call of its earlier process is out of reach",
            span_text(left)
        ));
    }
    let abandons = asked.purpose == Purpose::Abandon;
    let directory = environment.policies.directory.as_path();
    match take(&environment, run, asked, frontend, &mut stop).await? {
        Ok(TakeoverOutcome::Ended(ended)) => {
            let is_back = ended.document.outcome != Outcome::NeedsAttention && ended.unrecorded.is_empty();
            Ok(match abandons && is_back {
                true => TakenOver::Abandoned(Box::new(ended.document)),
                false => TakenOver::Ended(Box::new(report::ended(&environment, &ended, frontend))),
            })
        }
        Ok(TakeoverOutcome::Completed(document)) => {
            Ok(TakenOver::Ended(Box::new(report::placed(*document, directory))))
        }
        Ok(TakeoverOutcome::Closed) => {
            let journal = environment.ledger.journals().journal(run).await.map_err(OperationError::Ledger)?;
            Ok(match run::report(&journal) {
                Some(document) if !abandons => TakenOver::Ended(Box::new(report::placed(document, directory))),
                ended => TakenOver::Closed { ended: ended.map(Box::new) },
            })
        }
        Ok(TakeoverOutcome::Released(released)) => Ok(TakenOver::Released(released)),
        Err(why) => Err(not_taken(run, &why)),
    }
}

/// Whether the process that acts for a run may still live.
fn may_live(environment: &Environment, run: &RunId, journal: &[JournalRecord], record: &FleetRecord) -> MayLive {
    run::may_live(run, journal, record, life(journal, record, run), environment.fleet.bounds(), environment.clock.now())
}

/// Whether this call, which repeats the request, may continue the run.
pub(crate) fn may_be_retried(
    environment: &Environment,
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
) -> bool {
    let (life, bounds) = (life(journal, record, run), environment.fleet.bounds());
    run::may_be_retried(run, journal, record, life, bounds, environment.clock.now())
}

/// The state of the process that acts for a run: by the record, otherwise by the journal's last mention of it.
fn life(journal: &[JournalRecord], record: &FleetRecord, run: &RunId) -> Life {
    actor(journal, record, run).map_or(Life::Dead, |process| process::Here.life(process))
}

fn actor<'a>(journal: &'a [JournalRecord], record: &'a FleetRecord, run: &RunId) -> Option<&'a ProcessId> {
    record.runs.get(run).map(|entry| &entry.process).or(RunHistory::of(journal).actor)
}

/// Whether the run can be taken over with these options.
async fn is_permitted(
    environment: &Environment,
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
    asked: &TakeoverOptions,
) -> Result<(), OperationError> {
    let may_live = if asked.even_if_alive { MayLive::No } else { may_live(environment, run, journal, record) };
    let policies = environment.policies.directory.as_path();
    match run::permission(run, asked.purpose, &asked.leave, (journal, record), may_live) {
        Ok(()) => Ok(()),
        Err(NotPermitted::Unknown) => Err(status::no_such_run(run, record, &environment.ledger).await),
        Err(NotPermitted::Over) => Err(not_taken(run, &TakeoverError::Over(RunStatus::Ended))),
        Err(NotPermitted::NothingToGoOnWith) => Err(OperationError::NotTaken {
            message: format!("the journal of run {run} is lost: nobody knows what to go on with"),
            causes: Vec::new(),
            hint: Some(format!("to end it in the ledger: {}", next::command(policies, &format!("abandon {run}")))),
        }),
        Err(NotPermitted::MayLive(how)) => {
            Err(not_dead(run, actor(journal, record, run), how, asked.purpose, policies))
        }
        Err(NotPermitted::NotHeld { host, held }) => Err(OperationError::NotTaken {
            message: format!("run {run} does not hold host {host}: it cannot be given up"),
            causes: Vec::new(),
            hint: Some(match held.is_empty() {
                true => "it holds nothing".to_owned(),
                false => format!("it holds {}", hosts_text(&held, usize::MAX)),
            }),
        }),
    }
}

/// The outcome of a run that was taken over.
pub(crate) enum TakeoverOutcome {
    /// The run went on to its end.
    Ended(Box<driver::Ended>),
    /// The run had ended before; only the record had not been told.
    Closed,
    /// The run's journal is lost, and these hosts were given up.
    Released(Vec<HostId>),
    /// Only the run's last records were missing, and they are there now.
    Completed(Box<RunDocument>),
}

/// Takes the run over and continues it to its end.
pub(crate) async fn take(
    environment: &Environment,
    run: &RunId,
    asked: TakeoverOptions,
    frontend: &dyn Frontend,
    stop: &mut StopSignal,
) -> Result<Result<TakeoverOutcome, TakeoverError>, OperationError> {
    let ports = environment.ports(environment.writable_ledger().await?);
    let brought = offline_journal::bring_in(environment, ports.ledger.as_ref(), run, frontend).await?;
    if brought > 0 {
        let (journal, record) = environment.read_run(run).await?;
        if let (RunStatus::Ended, Some(document)) = (run_status(&journal, &record, run), run::report(&journal)) {
            return Ok(Ok(TakeoverOutcome::Completed(Box::new(document))));
        }
    }
    let successor = Successor {
        run: run.clone(),
        epoch: 0,
        process: process::this_process(),
        operator: process::operator(environment.fleet.identity()),
        policies: Arc::clone(&environment.policies),
        fleet: environment.fleet.identity().clone(),
        bounds: environment.fleet.bounds(),
        credentials_end: environment.credentials_end().await,
        resume_by_hand: environment.fleet.resume_by_hand(),
        attended: frontend.stays(),
    };
    let TakeoverOptions { seen, mut purpose, reason, leave, even_if_alive, yes: _ } = asked;
    let seen = seen + brought;
    let (journal, record) = environment.read_run(run).await?;
    if matches!(run_status(&journal, &record, run), RunStatus::Holding | RunStatus::Unclosed) {
        // S9: a run that has ended goes forward no more. Its hosts are put back, and the record is told.
        purpose = Purpose::Abandon;
    }
    let request = TakeoverRequest { successor, purpose, reason, leave, seen, even_if_alive };
    let machine = match driver::take_over(&ports, request).await {
        Ok(Taken::Run(machine)) => machine,
        Ok(Taken::Closed) => return Ok(Ok(TakeoverOutcome::Closed)),
        Ok(Taken::Released(hosts)) => return Ok(Ok(TakeoverOutcome::Released(hosts))),
        Err(why) => return Ok(Err(why)),
    };
    frontend.note(&match purpose {
        Purpose::Resume => format!("run {run} is this process's now: going on with it"),
        Purpose::Abandon => format!("run {run} is this process's now: putting back what is cordoned"),
    });
    let watcher = frontend.watcher(Arc::clone(&environment.clock), environment.place());
    match driver::drive(&ports, *machine, watcher.as_ref(), stop).await {
        Ok(ended) => Ok(Ok(TakeoverOutcome::Ended(Box::new(ended)))),
        Err(NotStarted::TakenOver(why)) => Ok(Err(TakeoverError::Another(why))),
        // The run was granted nothing, or nothing was ever sent for it: nothing was touched.
        Err(why) => Err(not_begun(run, &why)),
    }
}
