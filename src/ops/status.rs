//! The state of a fleet's runs, from the ledger alone, so that it works while the fleet cannot be reached.

use std::path::Path;

use crate::coordination::{FleetRecord, Reservation, ReservationState, RunEntry};
use crate::model::{Bounds, Call, Effect, HostId, RunId, Time};
use crate::output::{StatusCall, StatusDocument, StatusHalt, StatusHold, StatusRun, next};
use crate::policy;
use crate::run::{self, JournalRecord, LastStep, Purpose, RunHistory};

use super::error::OperationError;
use super::reader::LedgerReader;
use super::site::Site;
use super::{fleets, offline_journal, process, report};

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
    let mut ended = None;
    if let Some(run) = only
        && runs.is_empty()
    {
        let journal = ledger.journals().journal(run).await.map_err(OperationError::Ledger)?;
        ended = run::report(&journal).map(|document| report::placed(document, &site.directory));
        if ended.is_none() {
            if let Some(lost) = offline_journal::known_here_only(&site.fleet, run) {
                return Err(lost);
            }
            return Err(no_such_run(run, &record, &ledger).await);
        }
    }
    Ok(StatusDocument {
        schema: StatusDocument::SCHEMA,
        place: ledger.place(&site.fleet.name, &site.directory, fleets::named_identity(&site.fleet)),
        at: now,
        runs,
        halts: record.halts.iter().map(StatusHalt::from).collect(),
        ended,
        warnings: site.warning().into_iter().chain(ledger.warning(&record)).collect(),
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
        "all runs: safe-remove status, and safe-remove history".to_owned()
    } else {
        format!("did you mean {}?", nearest.join(" or "))
    };
    OperationError::NoSuch { message: format!("there is no run {run}"), hint: Some(hint) }
}

/// The status of a run, from the record and its journal.
pub(crate) fn of_run(
    run: &RunId,
    entry: &RunEntry,
    journal: &[JournalRecord],
    policies: &Path,
    now: Time,
) -> StatusRun {
    let history = RunHistory::of(journal);
    let alive = process::is_alive(&entry.process);
    let until = entry
        .reservations
        .values()
        .filter_map(|hold| match hold.state {
            ReservationState::Settling { until } => Some(until),
            ReservationState::Reserved | ReservationState::Terminating => None,
        })
        .max();
    let silent_at = run::silent_from(journal, entry.enlisted_at);
    let situation = RunSituation {
        entry,
        alive,
        is_opened: !journal.is_empty(),
        has_ended: history.has_ended(),
        is_stopping: history.cause.is_some(),
        // Counted as `resume` does: the process's clock may be ahead of this one.
        silent: silent_at.plus(Bounds::TOLERANCE) <= now,
        until,
        calls_until: history.open_calls().iter().map(|(_, call)| call.not_after).max().filter(|at| *at >= now),
    };
    let (words, advice) = advice(run, &situation);
    StatusRun {
        run: run.clone(),
        operator: entry.operator.clone(),
        subsystem: entry.subsystem.clone(),
        state: state(entry, &history),
        alive,
        process: format!("pid {} on {}", entry.process.pid, entry.process.host),
        started_at: entry.enlisted_at,
        last_record_at: history.last.map(|record| record.at),
        ended_at: entry.ended_at,
        holds: entry.reservations.iter().map(|(host, hold)| of_hold(host, hold)).collect(),
        calls: open_calls(&history),
        until,
        taken_over_by: run::takeovers(journal),
        next_command: Some(next::command(policies, &words)),
        advice,
    }
}

fn open_calls(history: &RunHistory<'_>) -> Vec<StatusCall> {
    history.open_calls().into_iter().map(|(call, intent)| of_call(call, intent)).collect()
}

fn of_call(call: u64, intent: &Call) -> StatusCall {
    let (effect, group) = match &intent.effect {
        Effect::Cordon { group, .. } => ("cordon", group.clone()),
        Effect::Restore { group, .. } => ("restore", group.clone()),
        Effect::Terminate { group, .. } => ("terminate", group.clone()),
        Effect::Suspend { group, .. } => ("suspend", Some(group.clone())),
        Effect::Resume { group, .. } => ("resume", Some(group.clone())),
        Effect::Adopt { .. } => ("adopt", None),
    };
    StatusCall {
        call,
        effect,
        group,
        hosts: intent.effect.hosts().into_iter().cloned().collect(),
        intent_at: intent.intent_at,
        not_after: intent.not_after,
    }
}

fn of_hold(host: &HostId, hold: &Reservation) -> StatusHold {
    let (state, until) = match hold.state {
        ReservationState::Reserved => ("reserved", None),
        ReservationState::Terminating => ("terminating", None),
        ReservationState::Settling { until } => ("settling", Some(until)),
    };
    StatusHold {
        host: host.clone(),
        state,
        batch: hold.batch,
        group: hold.group.clone(),
        subsystems: hold.subsystems.iter().cloned().collect(),
        until,
    }
}

/// The state of the run, from the last record that tells it.
fn state(entry: &RunEntry, history: &RunHistory<'_>) -> String {
    if entry.ended_at.is_some() {
        return format!("ended, {} held", entry.reservations.len());
    }
    history.step.as_ref().map_or_else(|| "granted".to_owned(), in_words)
}

fn in_words(step: &LastStep<'_>) -> String {
    match step {
        LastStep::Opened => "opened".to_owned(),
        LastStep::Cordoning(batch) => format!("cordoning batch {batch}"),
        LastStep::Baking(batch) => format!("baking batch {batch}"),
        LastStep::Terminating(batch) => format!("terminating batch {batch}"),
        LastStep::Gone(batch) => format!("batch {batch} is gone"),
        LastStep::Waiting { until, why } => format!("waiting, and looking again by {until}: {why}"),
        LastStep::TakenOver { operator, purpose: Purpose::Resume } => format!("resumed by {operator}"),
        LastStep::TakenOver { operator, purpose: Purpose::Abandon } => format!("abandoned by {operator}"),
        LastStep::Stopping(cause) => format!("stopping: {}", cause.message),
        LastStep::Restoring(batch) => format!("restoring batch {batch}"),
        LastStep::InDoubt(host) => format!("{host} is in doubt"),
        LastStep::GivenUp(host) => format!("{host} is given up"),
        LastStep::Closing => "closing".to_owned(),
    }
}

/// The facts about a run that determine the next command.
struct RunSituation<'a> {
    entry: &'a RunEntry,
    alive: Option<bool>,
    is_opened: bool,
    /// Its journal says that it ended, but the record was not told.
    has_ended: bool,
    /// It was restoring cordoned hosts when its process died, and a takeover continues that.
    is_stopping: bool,
    /// It has not written for longer than a live process would.
    silent: bool,
    /// When the last settling host can be proved.
    until: Option<Time>,
    /// When its last call can no longer take effect, if one still can.
    calls_until: Option<Time>,
}

/// The next command, and what it means.
fn advice(run: &RunId, situation: &RunSituation<'_>) -> (String, Option<String>) {
    let watch = || format!("status {run} --watch");
    let host = &situation.entry.process.host;
    if situation.entry.ended_at.is_some() {
        let from =
            situation.until.map(|until| format!("; where they are can be proved from {until} on")).unwrap_or_default();
        let advice = format!(
            "it ended with hosts that it could not put back{from}. `abandon` tries again; with `--leave HOST` it gives a \
             host up, and records who decided it"
        );
        return (format!("abandon {run}"), Some(advice));
    }
    match (situation.alive, situation.silent) {
        (Some(true), _) => (watch(), None),
        (None, false) => {
            (watch(), Some(format!("whether it lives can be seen where it runs only, on {host}; it wrote lately")))
        }
        (Some(false), _) | (None, true) => {
            let dead = match situation.alive {
                Some(_) => "its process is dead".to_owned(),
                None => format!("its process is silent; whether it lives can be seen where it runs only, on {host}"),
            };
            if !situation.is_opened {
                let advice = format!("{dead}, and its journal is lost: `abandon` says what can be done");
                return (format!("abandon {run}"), Some(advice));
            }
            if situation.has_ended {
                let advice = "it ended, and its process died before the ledger was told. `abandon` ends it there too";
                return (format!("abandon {run}"), Some(advice.to_owned()));
            }
            let calls = match situation.calls_until {
                Some(until) => format!(" No call of it can land after {until}."),
                None => String::new(),
            };
            let meaning = match situation.is_stopping {
                // S6: a run that was stopping continues to stop.
                true => {
                    "It was stopping: `abandon` puts back what is still cordoned and ends it. `resume` does no more, and \
                     ends with the run's own exit code."
                }
                false => {
                    "`abandon` puts back what is cordoned and ends it. `resume` shows what is left of its plan, asks for \
                     its count and goes on terminating."
                }
            };
            let advice = format!("{dead}. What it holds counts as gone for every run. {meaning}{calls}");
            // The command that only restores comes first: a script that follows this terminates nothing.
            (format!("abandon {run}"), Some(advice))
        }
    }
}
