//! The step to termination: the last word of all operators before the point of no return.

use std::collections::BTreeSet;

use crate::model::{FleetSnapshot, Host, HostId, HostState, RunId};
use crate::plan::{Rule, Stage, Taking, Violation};

use super::guard::{entry, fresh};
use super::judge::{Judge, Pace};
use super::{Context, FleetRecord, Granted, Refusal, Reservation, ReservationState, RunEntry};

/// Everything is judged anew, also where the step was taken already and the reply was lost: a halt, a freeze or a
/// stricter policy may have come in between (S6).
pub(super) fn start(
    record: &mut FleetRecord,
    run: &RunId,
    epoch: u64,
    hosts: &BTreeSet<HostId>,
    snapshot: &FleetSnapshot,
    ctx: &Context<'_>,
) -> Result<Granted, Refusal> {
    let is_seen = record.removal_seen.is_some();
    let held = entry(record, run, epoch)?;
    if let Some(at) = held.ended_at {
        return Err(Refusal::Fenced { run: run.clone(), why: format!("it ended at {at}") });
    }
    if hosts.is_empty() {
        return Err(Refusal::Illegal("no host to terminate".to_owned()));
    }
    fresh(snapshot, ctx)?;
    if snapshot.proves_removals && !is_seen {
        goes_alone(held, hosts)?;
    }
    let mut found = Vec::new();
    for host in hosts {
        let Some(reservation) = held.reservations.get(host) else {
            return Err(Refusal::Illegal(format!("run {run} does not hold host {host}")));
        };
        match reservation.state {
            ReservationState::Reserved | ReservationState::Terminating => {}
            ReservationState::Settling { until } => {
                return Err(Refusal::Illegal(format!("host {host} is in doubt until {until}")));
            }
        }
        if snapshot.begun_at < reservation.granted_at {
            // S2, schedule 5: what it shows as cordoned would be another run's cordon.
            return Err(Refusal::Stale { begun_at: snapshot.begun_at, now: ctx.now });
        }
        match snapshot.host(host) {
            None => {
                let message = format!("host {host} is not listed any more");
                found.push(Violation::new(Rule::UnknownHost, message).host(host));
            }
            Some(seen) => {
                // S2: only what is out of service is terminated.
                if seen.state != HostState::Cordoned {
                    let message = format!("host {host} is {}, not cordoned", state_text(seen.state));
                    found.push(Violation::new(Rule::NotRemovable, message).host(host));
                }
            }
        }
    }
    // S1: whatever the observation says of them, all hosts of the run are taken away. One that was idle for sure when it
    // was granted costs nothing, unless it serves again; rules that are not about capacity hold for it all the same.
    let mut taking = Taking::default();
    for (id, reservation) in &held.reservations {
        let seen = snapshot.host(id);
        if reservation.may_serve || seen.is_some_and(Host::is_serving) {
            taking.out.insert(id.clone());
        } else if seen.is_some() {
            taking.hosts.insert(id.clone());
        }
    }
    let view = record.view(Some(run), ctx.silent, ctx.now);
    let judge = Judge::new(ctx, snapshot);
    let found = judge.rules(&view, &taking, Stage::Hold, found)?;
    if !found.is_empty() {
        return Err(Refusal::Rules(found));
    }

    // S4: a budget that became smaller while this batch baked.
    judge.pace(&view, hosts, Pace::Budgets)?;

    let members = judge.subsystems(hosts);
    let held = entry(record, run, epoch)?;
    for (host, subsystems) in members {
        if let Some(reservation) = held.reservations.get_mut(&host) {
            reservation.state = ReservationState::Terminating;
            reservation.subsystems.extend(subsystems);
        }
    }
    Ok(Granted::default())
}

/// S9: until it was seen that nothing takes the place of what goes, one member of a group goes, whatever the policies say.
fn goes_alone(held: &RunEntry, hosts: &BTreeSet<HostId>) -> Result<(), Refusal> {
    let is_going = |id: &HostId, held: &Reservation| hosts.contains(id) || held.state == ReservationState::Terminating;
    let members = held.reservations.iter().filter(|(id, held)| held.group.is_some() && is_going(id, held)).count();
    match members {
        0 | 1 => Ok(()),
        _ => {
            let why = "nobody has seen yet that nothing takes the place of what goes, and more than one host would go";
            Err(Refusal::Illegal(why.to_owned()))
        }
    }
}

fn state_text(state: HostState) -> &'static str {
    match state {
        HostState::Pending => "pending",
        HostState::InService => "in service",
        HostState::Cordoned => "cordoned",
        HostState::Terminating => "terminating",
    }
}
