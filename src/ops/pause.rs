//! Pauses a run between two batches, and continues it. Both need only the ledger: no policy but `fleet.toml`, and no fleet.

use std::path::Path;

use serde::Serialize;

use crate::coordination::{self, FleetRecord, NotHeld, Pause, WentOn};
use crate::driver::{Unchanged, update};
use crate::model::{BatchNumber, OperatorId, RunId, Time};
use crate::output::{Place, StatusRun, next};
use crate::ports::Ledger;
use crate::run::{Event, Failure};

use super::error::OperationError;
use super::frontend::{Frontend, Question};
use super::reader::{LedgerReader, writable_ledger};
use super::site::Site;
use super::{fleets, process, run_orders, run_status, status};

/// How many writes of others may come first, one after the other. About a minute.
const CONFLICTS: u32 = 1000;

/// A run that takes no further batch.
#[derive(Debug, Serialize)]
pub(crate) struct Paused {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// When this was done.
    pub(crate) at: Time,
    /// Who paused it.
    pub(crate) operator: OperatorId,
    /// Why, if it was said.
    pub(crate) reason: Option<String>,
    /// Since when.
    pub(crate) since: Time,
    /// It was paused before: that pause stands, and is the one above.
    pub(crate) already: bool,
    /// The run.
    pub(crate) status: StatusRun,
}

/// A run that was told to go on.
#[derive(Debug, Serialize)]
pub(crate) struct WentOnWith {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// When this was done.
    pub(crate) at: Time,
    /// Who continued it.
    pub(crate) operator: OperatorId,
    /// The pause that was lifted.
    pub(crate) lifted: Option<PauseLifted>,
    /// The batch that was confirmed. Neither: the run was not waiting for anybody.
    pub(crate) confirmed: Option<BatchNumber>,
    /// The run.
    pub(crate) status: StatusRun,
}

/// A pause that was lifted.
#[derive(Debug, Serialize)]
pub(crate) struct PauseLifted {
    /// Who had paused the run.
    pub(crate) operator: OperatorId,
    /// Why, if it was said.
    pub(crate) reason: Option<String>,
    /// Since when.
    pub(crate) since: Time,
}

/// The ledger of a run that is to be paused or continued.
struct Target {
    site: Site,
    reader: LedgerReader,
    ledger: std::sync::Arc<dyn Ledger>,
    place: Place,
    now: Time,
}

impl Target {
    /// Opens what the policy directory names, if the run is there.
    async fn of(policies: &Path, run: &RunId) -> Result<Self, OperationError> {
        let site = Site::find(policies)?;
        let now = fleets::now(&site.fleet);
        let reader = LedgerReader::open(&site.fleet, now).await?;
        let (_, record) = reader.read().await?;
        if !record.runs.contains_key(run) {
            return Err(not_under_way(run, &record, &reader, policies).await);
        }
        let place = site.place(&reader);
        let ledger = reader.remembering(writable_ledger(&site.fleet, now).await?);
        Ok(Self { site, reader, ledger, place, now })
    }

    async fn status(&self, run: &RunId) -> Result<StatusRun, OperationError> {
        let (_, record) = self.reader.read().await?;
        let journal = self.reader.journals().journal(run).await.map_err(OperationError::Ledger)?;
        match record.runs.get(run) {
            Some(entry) => Ok(run_status::of_run(run, entry, &journal, &self.site.directory, self.now)),
            None => Err(not_under_way(run, &record, &self.reader, &self.site.directory).await),
        }
    }

    async fn change<T>(
        &self,
        run: &RunId,
        decide: impl FnMut(&FleetRecord) -> Result<(Option<FleetRecord>, T), NotHeld>,
    ) -> Result<T, OperationError> {
        match update(self.ledger.as_ref(), CONFLICTS, decide).await {
            Ok(changed) => Ok(changed),
            Err(Unchanged::Refused(why)) => Err(self.refused(run, &why).await),
            Err(Unchanged::Busy(others)) => Err(OperationError::NotStarted {
                failure: Failure::Ledger,
                message: "the ledger is too busy".to_owned(),
                causes: vec![format!("{others} writes of others came first")],
                hint: "try again",
            }),
            Err(Unchanged::Lost(error)) => Err(OperationError::Ledger(error)),
        }
    }

    async fn refused(&self, run: &RunId, why: &NotHeld) -> OperationError {
        match why {
            NotHeld::NotUnderWay | NotHeld::NotWaiting => match self.reader.read().await {
                Ok((_, record)) => not_under_way(run, &record, &self.reader, &self.site.directory).await,
                Err(error) => error,
            },
            NotHeld::Attended(batch) => OperationError::NotTaken {
                message: format!("run {run} asks about batch {batch} on its own terminal"),
                causes: Vec::new(),
                hint: Some("only what is typed there is an answer; without one in time the run ends".to_owned()),
            },
        }
    }
}

async fn not_under_way(run: &RunId, record: &FleetRecord, reader: &LedgerReader, policies: &Path) -> OperationError {
    match reader.journals().journal(run).await {
        Ok(journal) if !journal.is_empty() => OperationError::NotTaken {
            message: format!("run {run} is not under way"),
            causes: Vec::new(),
            hint: Some(format!("how it ended: {}", next::command(policies, &format!("status {run}")))),
        },
        Ok(_) => status::no_such_run(run, record, reader).await,
        Err(error) => OperationError::Ledger(error),
    }
}

/// Pauses a run: it takes no further batch. The order comes first, and only then the question why, where there is
/// somebody to ask and no reason was given.
///
/// # Errors
///
/// There is no such run under way; the ledger cannot be used.
pub(crate) async fn pause(
    policies: &Path,
    run: &RunId,
    reason: Option<&str>,
    frontend: &dyn Frontend,
) -> Result<(Paused, Vec<String>), OperationError> {
    let target = Target::of(policies, run).await?;
    let operator = process::operator(&target.place.provider);
    let order = Pause { operator, reason: reason.map(str::to_owned), at: target.now, after: None };
    let paused = target.change(run, |record| {
        let next = coordination::pause(record, run, &order)?;
        let standing = record.runs.get(run).and_then(|entry| entry.pause.clone());
        Ok((next, standing))
    });
    let standing = paused.await?;
    let already = standing.is_some();
    let mut order = standing.unwrap_or(order);
    if order.reason.is_none() && !already && frontend.can_ask() {
        let mut heard = frontend.listen().map_err(|e| OperationError::internal("signals cannot be heard", e))?;
        if let Ok(reason) = frontend.ask(&Question::WhyPaused { run }, &mut heard).await.typed() {
            let explain = |record: &FleetRecord| Ok((coordination::explain_pause(record, run, &order, &reason), ()));
            target.change(run, explain).await?;
            order.reason = Some(reason);
        }
    }
    let mut warnings: Vec<String> = target.site.warning().into_iter().collect();
    if !already {
        let event = Event::PauseOrdered { of: run.clone(), pause: order.clone() };
        warnings.extend(run_orders::remember(target.ledger.as_ref(), order.at, event).await);
    }
    let status = target.status(run).await?;
    let Pause { operator, reason, at: since, after: _ } = order;
    Ok((Paused { place: target.place, at: target.now, operator, reason, since, already, status }, warnings))
}

/// Lifts a run's pause, or confirms the batch that it asks about.
///
/// # Errors
///
/// There is no such run under way; its own terminal asks; the ledger cannot be used.
pub(crate) async fn go_on(policies: &Path, run: &RunId) -> Result<(WentOnWith, Vec<String>), OperationError> {
    let target = Target::of(policies, run).await?;
    let operator = process::operator(&target.place.provider);
    let decided = target.change(run, |record| match coordination::go_on(record, run, &operator, target.now) {
        Ok((next, went_on)) => Ok((Some(next), Some(went_on))),
        // It is as it was asked to be.
        Err(NotHeld::NotWaiting) => Ok((None, None)),
        Err(why) => Err(why),
    });
    let went_on = decided.await?;
    let mut warnings: Vec<String> = target.site.warning().into_iter().collect();
    if let Some(went_on) = &went_on {
        let (lifted, confirmed) = match went_on {
            WentOn::Unpaused(pause) => (Some(pause.clone()), None),
            WentOn::Confirmed(batch) => (None, Some(*batch)),
        };
        let event = Event::ContinueOrdered { of: run.clone(), operator: operator.clone(), lifted, confirmed };
        warnings.extend(run_orders::remember(target.ledger.as_ref(), target.now, event).await);
    }
    let (lifted, confirmed) = match went_on {
        Some(WentOn::Unpaused(Pause { operator, reason, at: since, after: _ })) => {
            (Some(PauseLifted { operator, reason, since }), None)
        }
        Some(WentOn::Confirmed(batch)) => (None, Some(batch)),
        None => (None, None),
    };
    let status = target.status(run).await?;
    Ok((WentOnWith { place: target.place, at: target.now, operator, lifted, confirmed, status }, warnings))
}
