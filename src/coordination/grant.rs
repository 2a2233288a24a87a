//! Reserving a batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{BatchNumber, FleetSnapshot, HostId, HostTargets, ProbeKey, Quantity, SubsystemName, Time, counted};
use crate::plan::{Rule, Stage, Taking, Violation};

use super::acceptance::accept_all;
use super::guard::{entry, fresh};
use super::judge::{Judge, Pace};
use super::reference::Reference;
use super::retention::fits;
use super::view::is_silent;
use super::{
    Context, FleetRecord, Granted, Refusal, Reservation, ReservationState, RunEntry, RunIdentity, WaitOn, line,
};

/// The request.
pub(super) struct GrantRequest<'a> {
    pub(super) run: &'a RunIdentity,
    pub(super) number: BatchNumber,
    pub(super) hosts: &'a HostTargets,
    pub(super) rest: &'a BTreeMap<HostId, BatchNumber>,
    pub(super) snapshot: &'a FleetSnapshot,
    pub(super) reference: &'a BTreeMap<ProbeKey, Vec<Quantity>>,
    pub(super) reference_at: Time,
}

/// In this order: whether it is this run's to ask, what the rules say, whose turn it is, what asks to wait. Whoever waits
/// for another run is judged when that one is done, not by what it has out meanwhile.
pub(super) fn grant(record: &mut FleetRecord, batch: &GrantRequest<'_>, ctx: &Context<'_>) -> Result<Granted, Refusal> {
    let run = &batch.run.run;
    is_own(record, batch.run)?;
    if is_repeat(record, batch)? {
        let entry = &record.runs[run];
        return Ok(Granted {
            reference: entry.reference.clone(),
            reference_at: entry.reference_at,
            ..Granted::default()
        });
    }
    if let Some(pause) = &record.runs[run].pause {
        return Err(Refusal::Wait { until: ctx.now, why: pause.to_string(), on: WaitOn::Person });
    }
    let odd = |samples: &&Vec<Quantity>| samples.iter().any(|sample| sample.flaw().is_some());
    if let Some((probe, samples)) = batch.reference.iter().find(|(_, samples)| odd(samples)) {
        return Err(Refusal::Illegal(format!("the reference of probe {probe} is {samples:?}")));
    }
    fresh(batch.snapshot, ctx)?;
    is_claimed(record, batch)?;

    let judge = Judge::new(ctx, batch.snapshot);
    let members = judge.subsystems(batch.hosts.keys());
    let view = record.view(Some(run), ctx.silent, ctx.now);
    // S1, S8: judged with every host of every other run taken away, and with all that is left of the plan gone.
    let hosts: BTreeSet<HostId> = batch.hosts.keys().cloned().collect();
    let all: BTreeSet<HostId> = hosts.iter().chain(batch.rest.keys()).cloned().collect();
    let taking = Taking { hosts: all, out: BTreeSet::new() };
    let mut found = obstacles(record, batch);
    let size = run_size(record, batch, &members, ctx);
    found.extend(size.iter().cloned());
    let is_first = record.runs[run].granted_at.is_none();
    let expected = batch.run.expect_remaining.filter(|_| is_first).map(|hosts| (&batch.run.subsystem, hosts));
    found.extend(expected.and_then(|(name, hosts)| judge.expectation(&view, name, &taking.hosts, hosts)));
    let found = judge.rules(&view, &taking, Stage::Grant, found)?;
    let refused = match found.is_empty() {
        true => None,
        false => Some(judge.refused(record, run, &taking, found, size, expected)?),
    };
    if let Some(Refusal::Rules(violations)) = refused {
        return Err(Refusal::Rules(violations));
    }
    let touched: BTreeSet<SubsystemName> = members.values().flatten().cloned().collect();
    line::turn(record, run, &touched, &judge, ctx)?;
    first_of_all_runs(record, batch, ctx)?;
    if let Some(race) = refused {
        return Err(race);
    }
    // S4: held hosts of any run count as removed now.
    judge.pace(&view, &hosts, Pace::BudgetsAndIntervals)?;
    let sampled = || Reference { values: batch.reference.clone(), since: batch.reference_at };
    let reference =
        if is_first { Reference::first(record, run, sampled(), ctx)? } else { Reference::kept(record, run) };

    let may_serve = judge.may_serve(&view, &hosts);
    reserve(record, batch, &members, &judge, &may_serve, &reference, ctx)?;
    fits(record, ctx)?;
    Ok(Granted { reference: reference.values, reference_at: Some(reference.since), ..Granted::default() })
}

/// S9: until it was seen that nothing takes the place of what goes, one run at a time takes members of groups.
fn first_of_all_runs(record: &FleetRecord, batch: &GrantRequest<'_>, ctx: &Context<'_>) -> Result<(), Refusal> {
    if !batch.snapshot.proves_removals || record.removal_seen.is_some() {
        return Ok(());
    }
    let is_member = |id: &HostId| batch.snapshot.host(id).is_some_and(|host| host.group.is_some());
    if !batch.hosts.keys().any(is_member) {
        return Ok(());
    }
    let takes = |run: &RunEntry| run.terminated > 0 || run.reservations.values().any(|held| held.group.is_some());
    let mut others = record.runs.iter().filter(|(id, run)| **id != batch.run.run && !is_silent(id, run, ctx.silent));
    match others.find(|(_, run)| takes(run)) {
        None => Ok(()),
        Some((other, _)) => {
            let why = format!("run {other} removes the first host of this fleet: what answers that must be seen first");
            Err(Refusal::Wait { until: ctx.now, why, on: WaitOn::Run(other.clone()) })
        }
    }
}

/// S9: only the process that acts for a run that stands in line may ask.
fn is_own(record: &mut FleetRecord, run: &RunIdentity) -> Result<(), Refusal> {
    let fenced = |why: String| Refusal::Fenced { run: run.run.clone(), why };
    let entry = entry(record, &run.run, run.epoch)?;
    if entry.process != run.process {
        return Err(fenced(format!("process {} on {} acts for it", entry.process.pid, entry.process.host)));
    }
    match entry.ended_at {
        Some(at) => Err(fenced(format!("it ended at {at}"))),
        None => Ok(()),
    }
}

/// Whether the very batch is held already: the reply to its grant was lost (schedule 13). Judging it again could
/// only refuse what was granted, and its hosts would stay held by a process that does not know it.
fn is_repeat(record: &mut FleetRecord, batch: &GrantRequest<'_>) -> Result<bool, Refusal> {
    let Some(entry) = record.runs.get_mut(&batch.run.run) else { return Ok(false) };
    let Some(outstanding) = entry.reservations.values().map(|reservation| reservation.batch).min() else {
        return Ok(false);
    };
    let is_same = entry.reservations.keys().eq(batch.hosts.keys())
        && entry
            .reservations
            .values()
            .all(|reservation| reservation.batch == batch.number && reservation.state == ReservationState::Reserved);
    if !is_same {
        // S4: `interval` runs from one batch's verified end to the next batch, so there is one at a time.
        return Err(Refusal::Illegal(format!("batch {outstanding} of run {} is still held", batch.run.run)));
    }
    // It knows of no grant, so it has cordoned nothing: what it sees now is what a restore must bring back.
    for (host, target_groups) in batch.hosts {
        if let Some(reservation) = entry.reservations.get_mut(host) {
            reservation.target_groups.clone_from(target_groups);
            reservation.serving |= batch.snapshot.host(host).is_some_and(crate::model::Host::is_serving);
            reservation.may_serve |= reservation.serving;
        }
    }
    Ok(true)
}

/// S8: nothing goes that the run did not confirm, whatever its process has come to believe.
fn is_claimed(record: &FleetRecord, batch: &GrantRequest<'_>) -> Result<(), Refusal> {
    let claims = &record.runs[&batch.run.run].claims;
    let stranger = |host: &HostId| {
        Err(Refusal::Illegal(format!("host {host} is not in what is left of the plan that was confirmed")))
    };
    for host in batch.hosts.keys() {
        if claims.get(host) != Some(&batch.number) {
            return stranger(host);
        }
    }
    // A hook may have left a host for a later batch than it was claimed in.
    for host in batch.rest.keys() {
        if !claims.contains_key(host) || batch.hosts.contains_key(host) {
            return stranger(host);
        }
    }
    Ok(())
}

/// What the record and the inventory say against each host. The check of `plan` says it too; a host of another run
/// is refused here whatever becomes of that check (S1, S9).
fn obstacles(record: &FleetRecord, batch: &GrantRequest<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for host in batch.hosts.keys() {
        if let Some((holder, _)) = record.hold_of(host) {
            found.push(Violation::new(Rule::NotRemovable, format!("host {host} is held by run {holder}")).host(host));
        } else if let Some(removal) = record.removed.get(host) {
            let message = format!("host {host} was removed by run {}", removal.run);
            found.push(Violation::new(Rule::UnknownHost, message).host(host));
        } else if batch.snapshot.host(host).is_none() {
            found.push(Violation::new(Rule::UnknownHost, format!("host {host} is not listed")).host(host));
        }
    }
    if batch.hosts.is_empty() {
        let message = "no host is selected, which never means all".to_owned();
        found.push(Violation::new(Rule::EmptySelection, message));
    }
    found
}

/// `max_hosts_per_run` is of the whole run: what it took in earlier batches counts.
fn run_size(
    record: &FleetRecord,
    batch: &GrantRequest<'_>,
    members: &BTreeMap<HostId, BTreeSet<SubsystemName>>,
    ctx: &Context<'_>,
) -> Vec<Violation> {
    let mut taken: BTreeMap<&SubsystemName, u64> = BTreeMap::new();
    for name in members.values().flatten() {
        *taken.entry(name).or_default() += 1;
    }
    let earlier = record.removals.iter().filter(|removal| removal.run == batch.run.run);
    for name in earlier.flat_map(|removal| &removal.subsystems) {
        // Only what this batch touches is asked.
        if let Some(count) = taken.get_mut(name) {
            *count += 1;
        }
    }
    taken
        .into_iter()
        .filter_map(|(name, count)| {
            let most = ctx.policies.subsystems.get(name)?.pace.max_hosts_per_run;
            let message = format!("{} of {name} would go in one run; one run may take {most}", counted(count, "host"));
            (count > most).then(|| Violation::new(Rule::RunSize, message).subsystem(name).numbers(most, count))
        })
        .collect()
}

/// Writes the grant into the record.
fn reserve(
    record: &mut FleetRecord,
    batch: &GrantRequest<'_>,
    members: &BTreeMap<HostId, BTreeSet<SubsystemName>>,
    judge: &Judge<'_>,
    may_serve: &BTreeSet<HostId>,
    reference: &Reference,
    ctx: &Context<'_>,
) -> Result<(), Refusal> {
    let mut holds = BTreeMap::new();
    for (id, target_groups) in batch.hosts {
        let host = batch.snapshot.host(id);
        let serving = host.is_some_and(crate::model::Host::is_serving);
        let reservation = Reservation {
            batch: batch.number,
            subsystems: members.get(id).cloned().unwrap_or_default(),
            units: if serving { judge.units(id)? } else { BTreeMap::new() },
            group: host.and_then(|host| host.group.clone()),
            target_groups: target_groups.clone(),
            serving,
            may_serve: may_serve.contains(id),
            granted_at: ctx.now,
            state: ReservationState::Reserved,
        };
        holds.insert(id.clone(), reservation);
    }
    let is_first_of_fleet = record.accepted.is_empty();
    let Some(entry) = record.runs.get_mut(&batch.run.run) else { return Ok(()) };
    let is_first = entry.granted_at.is_none();
    entry.reservations.extend(holds);
    entry.claims.clone_from(batch.rest);
    entry.touched.extend(members.values().flatten().cloned());
    entry.watched.extend(ctx.policies.watched(&entry.touched));
    entry.granted_at = entry.granted_at.or(Some(ctx.now));
    entry.asking = None;
    entry.continued = None;
    entry.reference.clone_from(&reference.values);
    entry.reference_at = Some(reference.since);
    let relied_on: BTreeSet<SubsystemName> = if is_first_of_fleet {
        ctx.policies.subsystems.keys().cloned().collect()
    } else {
        entry.touched.union(&entry.watched).cloned().collect()
    };
    let planned_at = entry.planned_at;
    // A person has accepted a newer policy since this run read its own: the run must not overwrite it.
    let is_open = |name: &&SubsystemName| match record.accepted.get(*name) {
        None => true,
        Some(accepted) => is_first && !(accepted.reason.is_some() && accepted.at >= planned_at),
    };
    let relied_on: Vec<SubsystemName> = relied_on.iter().filter(is_open).cloned().collect();
    accept_all(record, &relied_on, &batch.run.operator, ctx);
    Ok(())
}
