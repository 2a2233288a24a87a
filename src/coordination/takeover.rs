//! Taking a run over: its epoch is raised, and whatever an older process still wants of the record is refused.

use crate::model::RunId;

use super::{Context, EndedRun, FleetRecord, Granted, ProcessId, Refusal};

/// S9: the run answers to this process alone. The fence in its journal came first, so that of two that take it over
/// at once the record and the journal name the same one.
///
/// # Errors
///
/// [`Refusal::Fenced`] if another process took it over since, or ended it.
pub(super) fn take_over(
    record: &mut FleetRecord,
    run: &RunId,
    epoch: u64,
    process: &ProcessId,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    let fenced = |why: String| Refusal::Fenced { run: run.clone(), why };
    if let Some(ended) = record.ended.get(run).filter(|ended| ended.epoch >= epoch) {
        return Err(fenced(format!("it ended at {}", ended.at)));
    }
    let Some(entry) = record.runs.get_mut(run) else {
        // Its process may still be about to take its place in line: then it finds this.
        record.ended.insert(run.clone(), EndedRun { epoch, at: ctx.now });
        return Ok(Granted::default());
    };
    if entry.epoch == epoch && entry.process == *process {
        // Said before, and the reply was lost.
        return Ok(Granted::default());
    }
    if entry.epoch >= epoch {
        let by = &entry.process;
        return Err(fenced(format!("process {} on {} took it over: epoch {}", by.pid, by.host, entry.epoch)));
    }
    entry.epoch = epoch;
    entry.process = process.clone();
    // It asks anew: whoever was asked before has seen another process's readings.
    entry.asking = None;
    entry.continued = None;
    Ok(Granted::default())
}
