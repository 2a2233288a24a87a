//! The outcome of reserved hosts, the end of runs, and the end of memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, GroupName, HostId, RunId, SubsystemName, Time, counted};
use crate::plan::Removal;

use super::guard::{entry, fresh};
use super::{
    Context, EndedRun, FleetRecord, Granted, HostOutcome, Refusal, RemovalSeen, Reservation, ReservationState,
    TerminationCount, WaitOn, clock,
};

/// Lets go of hosts whose outcome is known: the only command that does.
pub(super) fn resolve(
    record: &mut FleetRecord,
    run: &RunId,
    epoch: u64,
    outcomes: &BTreeMap<HostId, HostOutcome>,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    entry(record, run, epoch)?;
    for (host, outcome) in outcomes {
        let Some(reservation) = record.runs.get(run).and_then(|entry| entry.reservations.get(host)).cloned() else {
            is_resolved(record, run, host, outcome)?;
            continue;
        };
        match outcome {
            HostOutcome::Removed(seen) => {
                let at = clock::stamp(record, reservation.granted_at, *seen);
                ended(record, &reservation.subsystems, at);
                let Reservation { subsystems, units, .. } = reservation.clone();
                let removal = Removal { host: host.clone(), run: run.clone(), subsystems, units, at: Some(at) };
                record.removals.push(removal.clone());
                record.removed.insert(host.clone(), removal);
            }
            HostOutcome::Restored => {
                is_proved(host, &reservation, outcome, ctx)?;
                let at = clock::stamp(record, reservation.granted_at, ctx.now);
                ended(record, &reservation.subsystems, at);
            }
            HostOutcome::NeverCordoned => is_proved(host, &reservation, outcome, ctx)?,
            HostOutcome::GivenUp => {
                is_proved(host, &reservation, outcome, ctx)?;
                // S4: it is lost to the subsystem, whoever may bring it back. It is not `removed`: where it serves
                // again by the provider's word it is capacity again.
                let at = clock::stamp(record, reservation.granted_at, ctx.now);
                ended(record, &reservation.subsystems, at);
                let Reservation { subsystems, units, .. } = reservation.clone();
                record.removals.push(Removal { host: host.clone(), run: run.clone(), subsystems, units, at: Some(at) });
            }
            HostOutcome::Settling(_) => {}
        }
        let entry = entry(record, run, epoch)?;
        match outcome {
            HostOutcome::Removed(_) => {
                entry.terminated += 1;
                entry.reservations.remove(host);
            }
            HostOutcome::Restored | HostOutcome::NeverCordoned | HostOutcome::GivenUp => {
                entry.reservations.remove(host);
            }
            HostOutcome::Settling(until) => {
                let until = match reservation.state {
                    ReservationState::Settling { until: before } => before.max(*until),
                    ReservationState::Reserved | ReservationState::Terminating => *until,
                };
                if let Some(reservation) = entry.reservations.get_mut(host) {
                    reservation.state = ReservationState::Settling { until };
                }
            }
        }
    }
    close(record, run, ctx);
    Ok(Granted::default())
}

/// Remembers the first termination that nothing answered. A later one changes nothing.
pub(super) fn see(
    record: &mut FleetRecord,
    run: &RunId,
    epoch: u64,
    group: &GroupName,
    host: &HostId,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    entry(record, run, epoch)?;
    let seen = || RemovalSeen { run: run.clone(), host: host.clone(), group: group.clone(), at: ctx.now };
    record.removal_seen.get_or_insert_with(seen);
    Ok(Granted::default())
}

/// Hosts of these went or came back: the interval runs from there, whichever run it was (S4).
fn ended(record: &mut FleetRecord, subsystems: &BTreeSet<SubsystemName>, at: Time) {
    for name in subsystems {
        let last = record.last_end.entry(name.clone()).or_insert(at);
        *last = (*last).max(at);
    }
}

/// A host that the run no longer holds is no contradiction where the same was said of it before (schedule 13).
fn is_resolved(record: &FleetRecord, run: &RunId, host: &HostId, outcome: &HostOutcome) -> Result<(), Refusal> {
    let was_removed = record.removals.iter().any(|removal| removal.host == *host && removal.run == *run);
    let fits = match outcome {
        HostOutcome::Removed(_) | HostOutcome::GivenUp => was_removed,
        HostOutcome::Restored | HostOutcome::NeverCordoned => !was_removed,
        HostOutcome::Settling(_) => false,
    };
    if fits { Ok(()) } else { Err(Refusal::Illegal(format!("run {run} does not hold host {host}"))) }
}

/// S3, schedules 3 to 5: "in service" is not believed before a read can have proved it. When the last call could
/// land is the run's to know; what the record knows is enough to catch a run that does not wait at all.
fn is_proved(
    host: &HostId,
    reservation: &Reservation,
    outcome: &HostOutcome,
    ctx: &Context<'_>,
) -> Result<(), Refusal> {
    let since_grant = match outcome {
        // Nothing need have been sent, or nothing need be proved.
        HostOutcome::NeverCordoned | HostOutcome::GivenUp => reservation.granted_at,
        HostOutcome::Restored | HostOutcome::Removed(_) | HostOutcome::Settling(_) => {
            reservation.granted_at.plus(ctx.bounds.settle)
        }
    };
    let until = match reservation.state {
        ReservationState::Settling { until } => until.max(since_grant),
        ReservationState::Reserved | ReservationState::Terminating => since_grant,
    };
    if ctx.now < until {
        let why = format!("no read can prove before {until} where host {host} is");
        return Err(Refusal::Wait { until, why, on: WaitOn::Provider });
    }
    Ok(())
}

/// Ends a run. What it still holds keeps it in the record, and out of everybody's reach.
pub(super) fn end(
    record: &mut FleetRecord,
    run: &RunId,
    epoch: u64,
    completed: bool,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    if record.ended.get(run).is_some_and(|ended| ended.epoch == epoch) {
        // Said before, and the reply was lost.
        return Ok(Granted::default());
    }
    entry(record, run, epoch)?;
    if let Some((group, _)) = record.groups.iter().find(|(_, reservation)| reservation.runs.contains(run)) {
        return Err(Refusal::Illegal(format!("run {run} still needs group {group} suspended")));
    }
    let entry = entry(record, run, epoch)?;
    entry.claims.clear();
    if completed && !entry.reservations.is_empty() {
        return Err(Refusal::Illegal(format!("run {run} still holds {}", counted(entry.reservations.len(), "host"))));
    }
    if entry.ended_at.is_none() {
        entry.ended_at = Some(ctx.now);
        let (subsystem, hosts) = (entry.subsystem.clone(), entry.terminated);
        if completed && hosts > 0 {
            remember(record.largest_removals.entry(subsystem).or_default(), TerminationCount { at: ctx.now, hosts });
        }
    }
    close(record, run, ctx);
    Ok(Granted::default())
}

/// `unusual` asks for the largest removal of the last 90 days. One that a later one reaches is never the answer again, and
/// one figure a day is enough, so that the list is no longer than the largest removal is large.
fn remember(counts: &mut Vec<TerminationCount>, new: TerminationCount) {
    counts.retain(|count| count.hosts > new.hosts);
    counts.push(new);
}

/// A run that has ended and holds nothing leaves the record, but for its tombstone.
fn close(record: &mut FleetRecord, run: &RunId, ctx: &Context<'_>) {
    if let Some(entry) = record.runs.get(run).filter(|entry| entry.ended_at.is_some() && entry.reservations.is_empty())
    {
        let ended = EndedRun { epoch: entry.epoch, at: entry.ended_at.unwrap_or(ctx.now) };
        record.runs.remove(run);
        record.ended.insert(run.clone(), ended);
    }
}

/// Forgets removed hosts that two complete inventories, `settle` and `max_age` apart, do not list. Budgets remember
/// them longer.
pub(super) fn forget(
    record: &mut FleetRecord,
    snapshot: &FleetSnapshot,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    fresh(snapshot, ctx)?;
    let absent = &mut record.absent_since;
    record.removed.retain(|host, removal| {
        let is_later = removal.at.is_none_or(|at| snapshot.begun_at >= at);
        if snapshot.host(host).is_some() {
            // It is listed again: the first inventory without it was not the truth.
            absent.remove(host);
            return true;
        }
        // S4, S5: an observation of a part of the fleet says nothing of the other hosts.
        if !snapshot.lacks(host) {
            return true;
        }
        if !is_later {
            return true;
        }
        let Some(&since) = absent.get(host) else {
            absent.insert(host.clone(), snapshot.completed_at);
            return true;
        };
        // Another inventory, begun after the first was complete.
        // S1: until then somebody may act on an observation, `max_age` old, that shows it in service.
        let until = since.plus(ctx.bounds.settle).plus(ctx.bounds.max_age);
        let is_proof = snapshot.begun_at >= until;
        if is_proof {
            absent.remove(host);
        }
        !is_proof
    });
    Ok(Granted::default())
}
