//! The state of a fleet's runs, from the ledger alone, so that it works while the fleet cannot be reached.

use std::path::Path;

use crate::coordination::FleetRecord;
use crate::model::RunId;
use crate::output::{StatusDocument, StatusHalt};
use crate::policy;
use crate::run;

use super::error::OperationError;
use super::reader::LedgerReader;
use super::run_status::of_run;
use super::site::Site;
use super::{fleets, offline_journal, report, run_orders};

/// Everything that the ledger knows of the runs that are in progress or hold hosts, or of one run.
///
/// # Errors
///
/// The ledger cannot be read; there is no such run.
pub(crate) async fn status(policies: &Path, only: Option<&RunId>) -> Result<StatusDocument, OperationError> {
    // A typing error in a policy must not hide what is going on.
    let site = Site::find(policies)?;
    let now = fleets::now(&site.fleet);
    let ledger = LedgerReader::open(&site.fleet, now).await;
    let ledger = ledger.map_err(|error| offline_journal::with_what_is_kept(error, policies, only))?;
    let (_, record) = ledger.read().await?;

    let mut runs = Vec::new();
    for (run, entry) in record.runs.iter().filter(|(run, _)| only.is_none_or(|only| only == *run)) {
        let journal = ledger.journals().journal(run).await.map_err(OperationError::Ledger)?;
        let mut status = of_run(run, entry, &journal, &site.directory, now);
        if let Some(path) = offline_journal::kept_at(&site.fleet, run).filter(|_| status.alive != Some(true)) {
            status.advice = Some(format!(
                "its process ended without its ledger. What it did last is kept on this machine, in {}: `abandon` and \
                 `resume` record it here first, and a run that was stopping then only puts back what is still \
                 cordoned. What it holds counts as gone for every run.",
                path.display()
            ));
        }
        runs.push(status);
    }
    let (mut ended, mut unread) = (None, None);
    if let Some(run) = only
        && !runs.iter().any(|run| run.ended_at.is_none() && run.alive != Some(false))
    {
        let journal = ledger.journals().journal(run).await.map_err(OperationError::Ledger)?;
        if let Some(document) = run::report(&journal).filter(|_| runs.is_empty() || run::has_ended(&journal)) {
            let (orders, warning) = run_orders::of_run(ledger.journals(), run, document.started_at).await;
            let document = report::so_far(run::with_orders(document, &orders), &journal, now);
            ended = Some(report::placed(document, &site.directory));
            unread = warning;
        }
        if ended.is_none() && runs.is_empty() {
            if let Some(lost) = offline_journal::known_here_only(&site.fleet, run) {
                return Err(lost);
            }
            return Err(no_such_run(run, &record, &ledger).await);
        }
    }
    Ok(StatusDocument {
        schema: StatusDocument::SCHEMA,
        place: site.place(&ledger),
        at: now,
        runs,
        halts: record.halts.iter().map(StatusHalt::from).collect(),
        ended,
        watched: Vec::new(),
        warnings: site.warning().into_iter().chain(ledger.warning(&record)).chain(unread).collect(),
    })
}

pub(crate) async fn no_such_run(run: &RunId, record: &FleetRecord, ledger: &LedgerReader) -> OperationError {
    let known = match ledger.journals().runs(None).await {
        Ok(runs) => runs,
        Err(error) => return OperationError::Ledger(error),
    };
    let names = record.runs.keys().chain(&known).map(RunId::as_str);
    let nearest = policy::nearest(run.as_str(), names);
    let hint = if nearest.is_empty() {
        "all runs: safe-remove status\nended ones: safe-remove history".to_owned()
    } else {
        format!("did you mean {}?", nearest.join(" or "))
    };
    OperationError::NoSuch { message: format!("there is no run {run}"), hint: Some(hint) }
}
