//! The status of one run, from the record and its journal.

use std::path::Path;

use crate::coordination::{Asking, Life, Pause, Reservation, ReservationState, RunEntry};
use crate::model::{Bounds, Call, Effect, HostId, RunId, Time};
use crate::output::{StatusBatch, StatusCall, StatusHold, StatusPause, StatusQuestion, StatusRun, nearest_first, next};
use crate::ports::Processes as _;
use crate::run::{self, Event, JournalRecord, LastStep, Purpose, RunHistory};

use super::advice::{RunSituation, advice};
use super::process;

/// The status of a run, from the record and its journal.
pub(crate) fn of_run(
    run: &RunId,
    entry: &RunEntry,
    journal: &[JournalRecord],
    policies: &Path,
    now: Time,
) -> StatusRun {
    let history = RunHistory::of(journal);
    let life = process::Here.life(&entry.process);
    let alive = match life {
        Life::Running | Life::Stopped => Some(true),
        Life::Dead => Some(false),
        Life::Elsewhere => None,
    };
    let until = entry
        .reservations
        .values()
        .filter_map(|hold| match hold.state {
            ReservationState::Settling { until } => Some(until),
            ReservationState::Reserved | ReservationState::Terminating => None,
        })
        .max()
        .filter(|until| *until > now);
    let silent_at = run::silent_from(journal, entry.enlisted_at);
    let situation = RunSituation {
        entry,
        alive,
        stopped: life == Life::Stopped,
        asks_for_continue: history.asks() && entry.asking.as_ref().is_some_and(|asking| !asking.attended),
        is_opened: !journal.is_empty(),
        has_ended: history.has_ended(),
        is_stopping: history.cause.is_some(),
        // Counted as `resume` does: the process's clock may be ahead of this one.
        silent: silent_at.plus(Bounds::TOLERANCE) <= now,
        until,
        calls_until: history.open_calls().iter().map(|(_, call)| call.not_after).max().filter(|at| *at >= now),
    };
    let (words, advice) = advice(run, &situation);
    let overdue = alive != Some(false) && is_overdue(entry, &history, now);
    let is_watched = alive != Some(false) && life != Life::Stopped && !overdue;
    StatusRun {
        run: run.clone(),
        operator: entry.operator.clone(),
        subsystem: entry.subsystem.clone(),
        state: state(entry, &history),
        alive,
        stopped: life == Life::Stopped,
        overdue,
        batch: batch(entry, &history, is_watched),
        paused: entry.pause.as_ref().map(paused),
        asks: entry.asking.as_ref().filter(|_| history.asks()).map(asked),
        process: format!("pid {} on {}", entry.process.pid, entry.process.host),
        started_at: entry.enlisted_at,
        last_record_at: history.last.map(|record| record.at),
        ended_at: entry.ended_at,
        holds: entry.reservations.iter().map(|(host, hold)| of_hold(host, hold, &history)).collect(),
        calls: open_calls(&history),
        trouble: history.trouble(),
        readings: nearest_first(history.measured()),
        until,
        taken_over_by: run::takeovers(journal),
        next_command: Some(next::command(policies, &words)),
        advice,
    }
}

/// The number of sampling periods by which a record is late before the run is called overdue (contract section 7, `status/v1`).
const LATE_PERIODS: u32 = 3;

/// Whether the run has written nothing for three sampling periods longer than it should.
fn is_overdue(entry: &RunEntry, history: &RunHistory<'_>, now: Time) -> bool {
    let (Some(last), Some(opening)) = (history.last, history.opening) else { return false };
    let every = opening.settings.every;
    let due = match &last.event {
        Event::Waiting { until, .. } => (*until).max(last.at),
        _ => last.at.plus(every),
    };
    // Without hosts out of service the run writes only what happens, and a wait at least once a minute.
    !entry.reservations.is_empty() && due.plus(every * LATE_PERIODS) < now
}

/// The batch under way, or the next one. Its bake ends only if somebody watches it.
fn batch(entry: &RunEntry, history: &RunHistory<'_>, is_watched: bool) -> Option<StatusBatch> {
    let opening = history.opening?;
    let outstanding = entry.reservations.values().map(|hold| hold.batch).min();
    let (number, of) = run::shown_batch(history, outstanding)?;
    let times = history.batches.get(&number).copied().unwrap_or_default();
    let is_baking = is_watched && matches!(history.step, Some(LastStep::Baking(_))) && times.baked.is_none();
    let by_length = times.baking_since.map(|since| since.plus(opening.settings.bake));
    let bake_ends_at = times.baking_until.or(by_length).filter(|_| is_baking);
    Some(StatusBatch { number, of, granted_at: times.granted, cordoned_at: times.cordoned, bake_ends_at })
}

fn paused(of: &Pause) -> StatusPause {
    let Pause { operator, reason, at: since, after } = of.clone();
    StatusPause { operator, reason, since, after }
}

fn asked(of: &Asking) -> StatusQuestion {
    let Asking { batch, attended, until } = *of;
    StatusQuestion { batch, attended, until }
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
        Effect::RaiseMinimum { group, .. } => ("raise-minimum", Some(group.clone())),
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

fn of_hold(host: &HostId, hold: &Reservation, history: &RunHistory<'_>) -> StatusHold {
    let (state, until) = match hold.state {
        ReservationState::Reserved => ("reserved", None),
        ReservationState::Terminating => ("terminating", None),
        ReservationState::Settling { until } => ("settling", Some(until)),
    };
    StatusHold {
        host: host.clone(),
        state,
        stage: history.hosts.get(host).map(|(_, stage)| *stage),
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
    let step = history.step.as_ref().map_or_else(|| "granted".to_owned(), in_words);
    match (&history.step, history.cause) {
        (Some(LastStep::Restoring(_) | LastStep::InDoubt(_)), Some(cause)) => {
            format!("{step}, stopping: {}", cause.message)
        }
        _ => step,
    }
}

fn in_words(step: &LastStep<'_>) -> String {
    match step {
        LastStep::Opened => "opened".to_owned(),
        LastStep::Cordoning(batch) => format!("cordoning batch {batch}"),
        LastStep::Draining(batch) => format!("draining batch {batch}"),
        LastStep::Baking(batch) => format!("baking batch {batch}"),
        LastStep::Terminating(batch) => format!("terminating batch {batch}"),
        LastStep::Gone(batch) => format!("batch {batch} is gone"),
        LastStep::Waiting { until, why } => format!("waiting, and looking again by {until}: {why}"),
        // By whom and why is said beside it.
        LastStep::Paused => "paused".to_owned(),
        LastStep::Continued(Some(operator)) => format!("continued by {operator}"),
        LastStep::Continued(None) => "continued".to_owned(),
        LastStep::Asked { batch, attended: true, until } => {
            format!("its terminal asks about batch {batch}, until {until}")
        }
        LastStep::Asked { batch, attended: false, until } => {
            format!("waits until {until} for somebody to continue it with batch {batch}")
        }
        LastStep::Confirmed(batch) => format!("batch {batch} is confirmed"),
        LastStep::TakenOver { operator, purpose: Purpose::Resume } => format!("resumed by {operator}"),
        LastStep::TakenOver { operator, purpose: Purpose::Abandon } => format!("abandoned by {operator}"),
        LastStep::Stopping(cause) => format!("stopping: {}", cause.message),
        LastStep::Restoring(batch) => format!("restoring batch {batch}"),
        LastStep::InDoubt(host) => format!("{host} is in doubt"),
        LastStep::GivenUp(host) => format!("{host} is given up"),
        LastStep::Closing => "closing".to_owned(),
    }
}
