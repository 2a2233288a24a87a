//! [`decide`]: the only way to change a [`FleetRecord`], but for [`halt`](super::halt()), which asks nothing.
//!
//! Pure and total: time, observation and policies are arguments, a refusal leaves the record as it was. The caller
//! writes the result by compare-and-swap at the version that it read; a conflict means reading and deciding again.

use std::time::Duration;

use crate::model::{FleetIdentity, FleetSnapshot, OperatorId, RunId, SubsystemName, Time};
use crate::plan::{Rule, Violation};

use super::record::RECENT;
use super::{
    AcceptedPolicy, Command, Context, FleetRecord, Granted, MEMORY, Refusal, RunEntry, clock, grant, group, halt, line,
    outcome, takeover, terminate,
};

/// How long a run that ended is remembered: until then a process of it that was stopped before it took its place in line
/// could still want to take it. Its plan has expired long before.
const ENDED_MEMORY: Duration = Duration::from_secs(3600);

/// Judges one command and makes the record that it leads to.
///
/// # Errors
///
/// A [`Refusal`], with everything that stands against the command; nothing is half-done.
pub(crate) fn decide(
    record: &FleetRecord,
    command: &Command<'_>,
    ctx: &Context<'_>,
) -> Result<(FleetRecord, Granted), Refusal> {
    is_this_fleet(record, command, ctx)?;
    clock::agrees(record, command, ctx)?;
    let mut next = record.clone();
    next.identity = identity(record, command, ctx.identity);
    let granted = match command {
        Command::Enlist { run, claims, planned_at, lapses_at, snapshot } => {
            let (planned_at, lapses_at) = (*planned_at, *lapses_at);
            line::enlist(&mut next, &line::Enlisting { run, claims, planned_at, lapses_at, snapshot }, ctx)?
        }
        Command::Grant { run, batch, hosts, rest, snapshot, reference, reference_at } => {
            let (number, reference_at) = (*batch, *reference_at);
            grant::grant(&mut next, &grant::Batch { run, number, hosts, rest, snapshot, reference, reference_at }, ctx)?
        }
        Command::StartTermination { run, epoch, hosts, snapshot } => {
            terminate::start(&mut next, run, *epoch, hosts, snapshot, ctx)?
        }
        Command::Resolve { run, epoch, outcomes } => outcome::resolve(&mut next, run, *epoch, outcomes, ctx)?,
        Command::HoldGroup { run, epoch, group, suspended } => {
            group::hold(&mut next, run, *epoch, group, suspended, ctx)?
        }
        Command::ReleaseGroup { run, epoch, group } => group::release(&mut next, run, *epoch, group, ctx)?,
        Command::TakeOver { run, epoch, process, .. } => takeover::take_over(&mut next, run, *epoch, process, ctx)?,
        Command::End { run, epoch, completed } => outcome::end(&mut next, run, *epoch, *completed, ctx)?,
        Command::AcceptPolicy { subsystem, operator, reason } => accept(&mut next, subsystem, operator, reason, ctx)?,
        Command::Unhalt { orders } => halt::unhalt(&mut next, orders)?,
        Command::Adopt => Granted::default(),
        Command::SetTime => clock::set(&mut next, ctx),
        Command::Forget { snapshot } => outcome::forget(&mut next, snapshot, ctx)?,
    };
    // By the earlier of two writers' clocks: one clock that is far ahead must not empty the memory of budgets.
    prune(&mut next, ctx.now.min(record.written_at), ctx);
    clock::advance(&mut next, command, ctx);
    Ok((next, granted))
}

/// S3, S8: whatever a command wants, the fleet behind it is the one that the record is of. `ledger adopt` alone may say
/// otherwise, after a person was shown both; `unhalt` looks at no host and may not know a simulated fleet's id.
fn is_this_fleet(record: &FleetRecord, command: &Command<'_>, ctx: &Context<'_>) -> Result<(), Refusal> {
    if record.fleet != ctx.policies.fleet.name {
        let (theirs, ours) = (&record.fleet, &ctx.policies.fleet.name);
        return Err(Refusal::Illegal(format!("it is of fleet {theirs}, the policies are of fleet {ours}")));
    }
    match command {
        Command::Adopt => Ok(()),
        Command::Unhalt { .. } if !is_whole(ctx.identity) => Ok(()),
        Command::Unhalt { .. }
        | Command::Enlist { .. }
        | Command::Grant { .. }
        | Command::StartTermination { .. }
        | Command::Resolve { .. }
        | Command::HoldGroup { .. }
        | Command::ReleaseGroup { .. }
        | Command::TakeOver { .. }
        | Command::End { .. }
        | Command::AcceptPolicy { .. }
        | Command::SetTime
        | Command::Forget { .. } => record.is_of(ctx.identity),
    }
}

/// Whether it names one fleet, and not only a kind.
fn is_whole(identity: &FleetIdentity) -> bool {
    identity.id.is_some() || identity.region.is_some()
}

/// The record is of the fleet that its first change was made for.
fn identity(record: &FleetRecord, command: &Command<'_>, seen: &FleetIdentity) -> Option<FleetIdentity> {
    let seen = || Some(FleetIdentity { caller: None, ..seen.clone() }).filter(is_whole);
    match (&record.identity, command) {
        (_, Command::Adopt) | (None, _) => seen(),
        (Some(known), _) => Some(known.clone()),
    }
}

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

/// Refuses what would leave no room for halts, outcomes and ends: a quarter of what the engine takes is theirs.
///
/// What will be forgotten is not counted. The next write forgets it: this one moves the record's time, by which it goes.
pub(super) fn fits(record: &FleetRecord, ctx: &Context<'_>) -> Result<(), Refusal> {
    let Some(most) = ctx.room else { return Ok(()) };
    let largest = most / 4 * 3;
    if record.size() <= largest {
        return Ok(());
    }
    let mut needed = record.clone();
    prune(&mut needed, ctx.now, ctx);
    let used = needed.size();
    if used > largest { Err(Refusal::Full { used, most }) } else { Ok(()) }
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
    let window = longest.saturating_add(ctx.bounds.tolerance.saturating_mul(2));
    let removals_from = now.minus(window.max(RECENT).saturating_add(ctx.bounds.settle));
    let under_way = &record.runs;
    // `max_hosts_per_run` counts what a run took before.
    let is_needed = |removal: &crate::plan::Removal| {
        removal.at.is_none_or(|at| at >= removals_from) || under_way.contains_key(&removal.run)
    };
    record.removals.retain(is_needed);

    let from = now.minus(MEMORY);
    record.largest_removals.retain(|_, counts| {
        counts.retain(|count| count.at >= from);
        !counts.is_empty()
    });
    let ended_from = now.minus(ENDED_MEMORY);
    record.ended.retain(|_, ended| ended.at >= ended_from);
    let intervals = ctx.policies.subsystems.values().chain(record.accepted.values().map(|accepted| &accepted.policy));
    let longest = intervals.map(|policy| policy.pace.interval).max().unwrap_or(Duration::ZERO);
    let ends_from = now.minus(longest.max(RECENT).saturating_add(ctx.bounds.settle));
    record.last_end.retain(|_, at| *at >= ends_from);
}
