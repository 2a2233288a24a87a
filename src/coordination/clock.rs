//! The record's time: who may move it, and whom it refuses.
//!
//! One clock that is wrong must not lock everybody else out. So the record's time moves only with a command that comes
//! with an observation, whose provider has vouched for the writer's clock; and what only puts back, ends, stops or lets
//! go is never refused for a clock.

use std::time::Duration;

use super::{Command, Context, FleetRecord, Granted, Refusal};
use crate::model::Time;

/// How much later than the record's time a host's end may be stamped. The step to termination moves the record's time, and
/// no call outlives it by more than a quarter of an hour; a host that vanishes while its run is dead may be seen to be gone
/// much later. What is said to be later still is stamped then, so that one clock that is years ahead spends no budget for
/// years.
const LATEST: Duration = Duration::from_secs(24 * 3600);

/// S3: a clock that is behind would find budgets and intervals still empty that are not.
pub(super) fn agrees(record: &FleetRecord, command: &Command<'_>, ctx: &Context<'_>) -> Result<(), Refusal> {
    let is_behind = ctx.now.plus(ctx.bounds.tolerance) < record.written_at;
    if is_behind && goes_forward(command) {
        return Err(Refusal::Clock { ours: ctx.now, theirs: record.written_at });
    }
    Ok(())
}

/// Whether a command takes capacity, or lets somebody take it.
fn goes_forward(command: &Command<'_>) -> bool {
    match command {
        Command::Enlist { .. }
        | Command::Grant { .. }
        | Command::StartTermination { .. }
        | Command::RequireSuspension { .. }
        | Command::SeeRemoval { .. }
        | Command::AcceptPolicy { .. }
        | Command::Forget { .. } => true,
        Command::TakeOver { forward, .. } => *forward,
        Command::Pause { .. }
        | Command::Resolve { .. }
        | Command::ReleaseSuspension { .. }
        | Command::End { .. }
        | Command::Unhalt { .. }
        | Command::Adopt
        | Command::SetTime => false,
    }
}

/// Moves the record's time, where the provider has vouched for the writer's clock.
pub(super) fn advance(record: &mut FleetRecord, command: &Command<'_>, ctx: &Context<'_>) {
    let is_vouched_for = match command {
        Command::Enlist { .. } | Command::Grant { .. } | Command::StartTermination { .. } | Command::Forget { .. } => {
            true
        }
        Command::Pause { .. }
        | Command::Resolve { .. }
        | Command::RequireSuspension { .. }
        | Command::SeeRemoval { .. }
        | Command::ReleaseSuspension { .. }
        | Command::TakeOver { .. }
        | Command::End { .. }
        | Command::AcceptPolicy { .. }
        | Command::Unhalt { .. }
        | Command::Adopt
        | Command::SetTime => false,
    };
    if is_vouched_for {
        record.written_at = record.written_at.max(ctx.now);
    }
}

/// When a removal that was observed at `seen` is stamped: never before the grant, or budgets would forget it too early,
/// and not much later than the record's time.
pub(super) fn stamp(record: &FleetRecord, granted_at: Time, seen: Time) -> Time {
    let latest = record.written_at.max(granted_at).plus(LATEST);
    seen.min(latest).max(granted_at)
}

/// Sets a wrong time right: whatever is later than the writer's clock becomes that.
pub(super) fn set(record: &mut FleetRecord, ctx: &Context<'_>) -> Granted {
    record.set_time(ctx.now);
    Granted::default()
}

impl FleetRecord {
    /// The record's time is `now`, and nothing in it was later: for a time that a wrong clock left behind.
    pub(crate) fn set_time(&mut self, now: Time) {
        self.written_at = now;
        let earlier = |at: &mut Time| *at = (*at).min(now);
        self.removals.iter_mut().chain(self.removed.values_mut()).filter_map(|r| r.at.as_mut()).for_each(earlier);
        self.last_end.values_mut().for_each(earlier);
        self.absent_since.values_mut().for_each(earlier);
        self.largest_removals.values_mut().flatten().map(|count| &mut count.at).for_each(earlier);
        self.halts.iter_mut().map(|halt| &mut halt.at).for_each(earlier);
        self.accepted.values_mut().map(|accepted| &mut accepted.at).for_each(earlier);
        self.ended.values_mut().map(|ended| &mut ended.at).for_each(earlier);
        for entry in self.runs.values_mut() {
            [&mut entry.planned_at, &mut entry.enlisted_at].into_iter().for_each(earlier);
            entry.pause.iter_mut().map(|pause| &mut pause.at).for_each(earlier);
            entry.continued.iter_mut().map(|continued| &mut continued.at).for_each(earlier);
            let stamps = [&mut entry.granted_at, &mut entry.reference_at, &mut entry.ended_at];
            stamps.into_iter().filter_map(Option::as_mut).for_each(earlier);
            entry.reservations.values_mut().map(|reservation| &mut reservation.granted_at).for_each(earlier);
        }
    }
}
