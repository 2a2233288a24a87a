//! Processes suspended on groups: who needs it, and who puts back what was there before.

use std::collections::BTreeSet;

use crate::model::{GroupName, Process, RunId};

use super::guard::entry;
use super::{Context, FleetRecord, Granted, ProcessSuspension, Refusal, Resuming, WaitOn};

/// Every process that this tool ever suspends.
const PROCESSES: [Process; 1] = [Process::AzRebalance];

/// Notes that a run needs the group suspended. Only the first to come notes what was there before (schedule 20).
pub(super) fn reservation(
    record: &mut FleetRecord,
    run: &RunId,
    epoch: u64,
    group: &GroupName,
    suspended: &BTreeSet<Process>,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    let ended = entry(record, run, epoch)?.ended_at;
    if let Some(at) = ended {
        return Err(Refusal::Fenced { run: run.clone(), why: format!("it ended at {at}") });
    }
    let held = record.groups.entry(group.clone()).or_insert_with(|| ProcessSuspension {
        suspended_before: suspended.clone(),
        runs: BTreeSet::new(),
        resuming: None,
    });
    if let Some(resuming) = held.resuming.as_ref().filter(|resuming| ctx.now < resuming.until) {
        let until = resuming.until;
        let why = format!("run {} resumes processes of group {group}, which may take until {until}", resuming.run);
        return Err(Refusal::Wait { until, why, on: WaitOn::Provider });
    }
    // Nobody confirmed the resume: the processes from before are still to be put back.
    held.resuming = None;
    held.runs.insert(run.clone());
    Ok(Granted::default())
}

/// Notes that a run no longer needs it. The last to leave is told what to resume; until it says, by releasing once
/// more, that this is done, or its calls can no longer land, no other run may come to rely on the group.
pub(super) fn release(
    record: &mut FleetRecord,
    run: &RunId,
    epoch: u64,
    group: &GroupName,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    entry(record, run, epoch)?;
    let Some(held) = record.groups.get_mut(group) else { return Ok(Granted::default()) };
    if held.resuming.as_ref().is_some_and(|resuming| resuming.run == *run) {
        record.groups.remove(group);
        return Ok(Granted::default());
    }
    if !held.runs.remove(run) || !held.runs.is_empty() {
        return Ok(Granted::default());
    }
    let resume: BTreeSet<Process> =
        PROCESSES.into_iter().filter(|process| !held.suspended_before.contains(process)).collect();
    if resume.is_empty() {
        record.groups.remove(group);
    } else {
        let until = ctx.now.plus(ctx.bounds.call_life).plus(ctx.bounds.tolerance);
        held.resuming = Some(Resuming { run: run.clone(), until });
    }
    Ok(Granted { resume, ..Granted::default() })
}
