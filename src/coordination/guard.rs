//! The guard before every change: the run is this process's, and the observation is young enough.

use crate::model::{FleetSnapshot, RunId};

use super::{Context, FleetRecord, Refusal, RunEntry};

/// The entry of a run that this epoch may change.
///
/// S9: a process whose run was taken over, abandoned or ended is told so, whatever it remembers.
pub(super) fn entry<'r>(record: &'r mut FleetRecord, run: &RunId, epoch: u64) -> Result<&'r mut RunEntry, Refusal> {
    let fenced = |why: String| Refusal::Fenced { run: run.clone(), why };
    match record.runs.get_mut(run) {
        None => Err(fenced(match record.ended.get(run) {
            Some(ended) => format!("it ended at {}", ended.at),
            None => "the record does not know it".to_owned(),
        })),
        Some(entry) if entry.epoch != epoch => {
            let (by, at) = (&entry.process, entry.epoch);
            Err(fenced(format!("process {} on {} acts for it: epoch {at}, not {epoch}", by.pid, by.host)))
        }
        Some(entry) => Ok(entry),
    }
}

/// The observation is young enough to act on, and not from a future that a wrong clock made.
pub(super) fn fresh(snapshot: &FleetSnapshot, ctx: &Context<'_>) -> Result<(), Refusal> {
    let begun_at = snapshot.begun_at;
    if ctx.now.since(begun_at) > ctx.bounds.max_age || begun_at > ctx.now.plus(ctx.bounds.tolerance) {
        return Err(Refusal::Stale { begun_at, now: ctx.now });
    }
    Ok(())
}
