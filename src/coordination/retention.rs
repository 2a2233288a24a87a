//! The record's retention, and its largest size.

use std::time::Duration;

use crate::model::Time;
use crate::plan::Removal;

use super::{Context, FleetRecord, Refusal};

/// The retention of the largest completed removals: `unusual` looks back 90 days (contract section 4).
pub(crate) const MEMORY: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long removals are remembered if no budget asks for longer: whoever confirmed a plan before them is told that
/// they came in between, and a plan lives for a quarter of an hour.
const RECENT: Duration = Duration::from_secs(3600);

/// How long a run that ended is remembered: until then a process of it that was stopped before it took its place in line
/// could still want to take it. Its plan has expired long before.
const ENDED_MEMORY: Duration = Duration::from_secs(3600);

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

/// Drops what nothing needs any more. What is held, removed and still listed, or under way is never dropped.
pub(super) fn prune(record: &mut FleetRecord, now: Time, ctx: &Context<'_>) {
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
    let is_needed =
        |removal: &Removal| removal.at.is_none_or(|at| at >= removals_from) || under_way.contains_key(&removal.run);
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
