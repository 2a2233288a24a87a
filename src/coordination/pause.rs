//! Between two batches: a run is paused, a person is asked about its next batch, and somebody lets it go on.
//!
//! [`pause`] and [`go_on`] take no capacity, so nothing is asked before them: no clock, no policy, no fleet. Whatever a
//! person allowed, the next batch is judged like every other one when it is granted.

use crate::model::{BatchNumber, OperatorId, RunId, Time};

use super::grant::{GrantRequest, grant};
use super::guard::entry;
use super::{Asking, Context, Continued, FleetRecord, Granted, Pause, Refusal, RunEntry};

/// The effect of a `continue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WentOn {
    /// It lifted this pause.
    Unpaused(Pause),
    /// It confirmed this batch.
    Confirmed(BatchNumber),
}

/// Why a run cannot be paused or continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotHeld {
    /// No run of this id is under way.
    NotUnderWay,
    /// It is neither paused nor waits for an answer.
    NotWaiting,
    /// Its own terminal asks about this batch, and only what is typed there is an answer.
    Attended(BatchNumber),
}

/// The record with the run paused; `None` if it is paused already: who paused first is never hidden.
///
/// # Errors
///
/// [`NotHeld::NotUnderWay`].
pub(crate) fn pause(record: &FleetRecord, run: &RunId, order: &Pause) -> Result<Option<FleetRecord>, NotHeld> {
    let entry = under_way(record, run)?;
    if entry.pause.is_some() {
        return Ok(None);
    }
    let mut next = record.clone();
    if let Some(entry) = next.runs.get_mut(run) {
        entry.pause = Some(order.clone());
        // Whoever continues it is asked anew about the batch.
        entry.asking = None;
        entry.continued = None;
    }
    Ok(Some(next))
}

/// A run pauses itself.
///
/// # Errors
///
/// [`Refusal::Fenced`]: the run is not this process's any more.
pub(super) fn pause_own(record: &mut FleetRecord, run: &RunId, epoch: u64, order: &Pause) -> Result<Granted, Refusal> {
    let entry = entry(record, run, epoch)?;
    let standing = entry.pause.get_or_insert_with(|| order.clone()).clone();
    Ok(Granted { pause: Some(standing), ..Granted::default() })
}

/// The record with the run's pause lifted, or with the batch confirmed that it asks about.
///
/// # Errors
///
/// [`NotHeld`].
pub(crate) fn go_on(
    record: &FleetRecord,
    run: &RunId,
    operator: &OperatorId,
    at: Time,
) -> Result<(FleetRecord, WentOn), NotHeld> {
    let entry = under_way(record, run)?;
    let went_on = match (&entry.pause, &entry.asking) {
        (Some(pause), _) => WentOn::Unpaused(pause.clone()),
        (None, Some(Asking { batch, attended: true, .. })) => return Err(NotHeld::Attended(*batch)),
        (None, Some(Asking { batch, attended: false, .. })) => WentOn::Confirmed(*batch),
        (None, None) => return Err(NotHeld::NotWaiting),
    };
    let batch = match &went_on {
        WentOn::Unpaused(_) => None,
        WentOn::Confirmed(batch) => Some(*batch),
    };
    let mut next = record.clone();
    if let Some(entry) = next.runs.get_mut(run) {
        entry.pause = None;
        entry.continued = Some(Continued { operator: operator.clone(), at, batch });
    }
    Ok((next, went_on))
}

fn under_way<'r>(record: &'r FleetRecord, run: &RunId) -> Result<&'r RunEntry, NotHeld> {
    record.runs.get(run).filter(|entry| entry.ended_at.is_none()).ok_or(NotHeld::NotUnderWay)
}

/// Notes that a person is asked about a batch that could be granted now. Nothing is reserved.
///
/// # Errors
///
/// As [`grant`]: a person is not asked about a batch that cannot go.
pub(super) fn ask(
    record: &mut FleetRecord,
    batch: &GrantRequest<'_>,
    asking: &Asking,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    let granted = grant(&mut record.clone(), batch, ctx)?;
    if let Some(entry) = record.runs.get_mut(&batch.run.run) {
        entry.asking = Some(asking.clone());
        entry.continued = None;
    }
    Ok(granted)
}

/// The record with the reason of a pause that was ordered without one; `None` if that pause is not in force any more.
pub(crate) fn explain_pause(record: &FleetRecord, run: &RunId, order: &Pause, reason: &str) -> Option<FleetRecord> {
    under_way(record, run).ok().filter(|entry| entry.pause.as_ref() == Some(order))?;
    let mut next = record.clone();
    next.runs.get_mut(run)?.pause.as_mut()?.reason = Some(reason.to_owned());
    Some(next)
}
