//! [`decide`]: the only way to change a [`FleetRecord`], but for [`halt`](super::halt()), which asks nothing.
//!
//! Pure and total: time, observation and policies are arguments, a refusal leaves the record as it was. The caller
//! writes the result by compare-and-swap at the version that it read; a conflict means reading and deciding again.

use std::time::Duration;

use crate::model::{FleetSnapshot, OperatorId, RunId, SubsystemName, Time};
use crate::plan::{Rule, Violation};

use super::{
    AcceptedPolicy, Command, Context, FleetRecord, Granted, MEMORY, Refusal, RunEntry, grant, group, halt, outcome,
    takeover, terminate,
};

/// Judges one command and makes the record that it leads to.
///
/// # Errors
///
/// A [`Refusal`], with everything that stands against the command; nothing is half-done.
pub fn decide(
    record: &FleetRecord,
    command: &Command<'_>,
    ctx: &Context<'_>,
) -> Result<(FleetRecord, Granted), Refusal> {
    // S3: a clock that is behind would find budgets and intervals still empty that are not.
    if ctx.now.plus(ctx.bounds.tolerance) < record.written_at {
        return Err(Refusal::Clock { ours: ctx.now, theirs: record.written_at });
    }
    if record.fleet != ctx.policies.fleet.name {
        let (theirs, ours) = (&record.fleet, &ctx.policies.fleet.name);
        return Err(Refusal::Illegal(format!("it is of fleet {theirs}, the policies are of fleet {ours}")));
    }
    let mut next = record.clone();
    let granted = match command {
        Command::Grant { run, batch, hosts, snapshot, reference } => {
            grant::grant(&mut next, &grant::Batch { run, number: *batch, hosts, snapshot, reference }, ctx)?
        }
        Command::StartTermination { run, epoch, hosts, snapshot } => {
            terminate::start(&mut next, run, *epoch, hosts, snapshot, ctx)?
        }
        Command::Resolve { run, epoch, outcomes } => outcome::resolve(&mut next, run, *epoch, outcomes, ctx)?,
        Command::HoldGroup { run, epoch, group, suspended } => {
            group::hold(&mut next, run, *epoch, group, suspended, ctx)?
        }
        Command::ReleaseGroup { run, epoch, group } => group::release(&mut next, run, *epoch, group, ctx)?,
        Command::TakeOver { run, epoch, process } => takeover::take_over(&mut next, run, *epoch, process)?,
        Command::End { run, epoch, completed } => outcome::end(&mut next, run, *epoch, *completed, ctx)?,
        Command::AcceptPolicy { subsystem, operator, reason } => accept(&mut next, subsystem, operator, reason, ctx)?,
        Command::Unhalt { orders } => halt::unhalt(&mut next, orders)?,
        Command::Forget { snapshot } => outcome::forget(&mut next, snapshot, ctx)?,
    };
    // By the earlier of two writers' clocks: one clock that is far ahead must not empty the memory of budgets.
    prune(&mut next, ctx.now.min(record.written_at), ctx);
    next.written_at = record.written_at.max(ctx.now);
    Ok((next, granted))
}

/// The entry of a run that this epoch may change.
///
/// S9: a process whose run was taken over, abandoned or ended is told so, whatever it remembers.
pub(super) fn entry<'r>(record: &'r mut FleetRecord, run: &RunId, epoch: u64) -> Result<&'r mut RunEntry, Refusal> {
    let fenced = |why: String| Refusal::Fenced { run: run.clone(), why };
    if let Some(ended) = record.ended.get(run) {
        return Err(fenced(format!("it ended at {}", ended.at)));
    }
    match record.runs.get_mut(run) {
        None => Err(fenced("the record does not know it".to_owned())),
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

/// `policy accept`: the directory's policy becomes the accepted one, or none where the directory lacks it.
fn accept(
    record: &mut FleetRecord,
    subsystem: &SubsystemName,
    operator: &OperatorId,
    reason: &str,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    let found = ctx.policies.subsystems.get(subsystem);
    if found.is_none() && !record.accepted.contains_key(subsystem) {
        let message = format!("subsystem {subsystem} has neither a policy nor an accepted one");
        return Err(Refusal::Rules(vec![Violation::new(Rule::UnknownSubsystem, message).subsystem(subsystem)]));
    }
    if record.accepted.is_empty() {
        // Before the first run everything is as it is found; afterwards this would no longer be the first time.
        accept_all(record, ctx.policies.subsystems.keys(), operator, ctx);
    }
    match found {
        None => {
            record.accepted.remove(subsystem);
        }
        Some(policy) => {
            let accepted = AcceptedPolicy {
                policy: policy.clone(),
                by: operator.clone(),
                at: ctx.now,
                reason: Some(reason.to_owned()),
            };
            record.accepted.insert(subsystem.clone(), accepted);
        }
    }
    Ok(Granted::default())
}

/// Takes over the directory's policies of some subsystems; who accepted one that is unchanged stays on record.
pub(super) fn accept_all<'n>(
    record: &mut FleetRecord,
    names: impl IntoIterator<Item = &'n SubsystemName>,
    by: &OperatorId,
    ctx: &Context<'_>,
) {
    for name in names {
        let Some(policy) = ctx.policies.subsystems.get(name) else { continue };
        if record.accepted.get(name).is_none_or(|accepted| accepted.policy != *policy) {
            let accepted = AcceptedPolicy { policy: policy.clone(), by: by.clone(), at: ctx.now, reason: None };
            record.accepted.insert(name.clone(), accepted);
        }
    }
}

/// Drops what nothing looks at any more. What is held, removed and still listed, or under way is never dropped.
fn prune(record: &mut FleetRecord, now: Time, ctx: &Context<'_>) {
    let longest = ctx
        .policies
        .subsystems
        .values()
        .chain(record.accepted.values().map(|accepted| &accepted.policy))
        .flat_map(|policy| policy.pace.budgets.iter().map(|budget| budget.per))
        .max()
        .unwrap_or(Duration::ZERO);
    // S4: longer than any window, which itself is longer by twice the tolerance.
    let removals_from = now.minus(MEMORY.max(longest.saturating_add(ctx.bounds.tolerance.saturating_mul(2))));
    record.removals.retain(|removal| removal.at.is_none_or(|at| at >= removals_from));

    let from = now.minus(MEMORY);
    record.completed.retain(|_, counts| {
        counts.retain(|count| count.at >= from);
        !counts.is_empty()
    });
    record.ended.retain(|_, ended| ended.at >= from);
    let under_way = &record.runs;
    record.requests.retain(|_, request| request.at >= from || under_way.contains_key(&request.run));
}
