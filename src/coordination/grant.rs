//! Reserving a batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, HostId, ProbeKey, SubsystemName, TargetGroupId};
use crate::plan::{Rule, Stage, Taking, Violation};

use super::decide::{accept_all, entry, fresh};
use super::judge::{Judge, Pace};
use super::{Context, FleetRecord, Granted, Hold, HoldState, Refusal, RequestEntry, RunEntry, RunIdentity};

/// What is asked for.
pub(super) struct Batch<'a> {
    pub(super) run: &'a RunIdentity,
    pub(super) number: u64,
    pub(super) hosts: &'a BTreeMap<HostId, BTreeSet<TargetGroupId>>,
    pub(super) snapshot: &'a FleetSnapshot,
    pub(super) reference: &'a BTreeMap<ProbeKey, f64>,
}

pub(super) fn grant(record: &mut FleetRecord, batch: &Batch<'_>, ctx: &Context<'_>) -> Result<Granted, Refusal> {
    let run = batch.run;
    is_own_request(record, run)?;
    let is_first = is_first_grant(record, run)?;
    if !is_first && is_repeat(record, batch)? {
        return Ok(Granted { reference: record.runs[&run.run].reference.clone(), ..Granted::default() });
    }
    if let Some((probe, value)) = batch.reference.iter().find(|(_, value)| !value.is_finite()) {
        return Err(Refusal::Illegal(format!("the reference of probe {probe} is {value}")));
    }
    fresh(batch.snapshot, ctx)?;

    let judge = Judge::new(ctx, batch.snapshot);
    let members = judge.subsystems(batch.hosts.keys());
    let mut found = claims(record, batch);
    found.extend(run_size(record, batch, &members, ctx));
    let view = record.view(Some(&run.run), ctx.now);
    let hosts: BTreeSet<HostId> = batch.hosts.keys().cloned().collect();
    // S1: judged on an observation with every host of every other run taken away, and these too.
    let taking = Taking { hosts, out: BTreeSet::new() };
    judge.rules(&view, &taking, Stage::Grant, found)?;
    // S4: held hosts of any run count as removed now.
    judge.pace(&view, &taking.hosts, Pace::BudgetsAndIntervals)?;

    Ok(Granted { reference: reserve(record, batch, &members, ctx), ..Granted::default() })
}

/// S9: a request id makes one run, however often it is sent.
fn is_own_request(record: &FleetRecord, run: &RunIdentity) -> Result<(), Refusal> {
    let Some((request, fingerprint)) = &run.request else { return Ok(()) };
    let Some(used) = record.requests.get(request) else { return Ok(()) };
    let same = used.fingerprint == *fingerprint;
    let is_own = used.run == run.run && record.runs.get(&run.run).is_some_and(|entry| entry.process == run.process);
    if same && is_own {
        return Ok(());
    }
    Err(Refusal::Consumed { request: request.clone(), run: used.run.clone(), same })
}

fn is_first_grant(record: &mut FleetRecord, run: &RunIdentity) -> Result<bool, Refusal> {
    if !record.runs.contains_key(&run.run) && !record.ended.contains_key(&run.run) && run.epoch == 1 {
        return Ok(true);
    }
    let fenced = |why: String| Refusal::Fenced { run: run.run.clone(), why };
    let entry = entry(record, &run.run, run.epoch)?;
    if entry.process != run.process {
        return Err(fenced(format!("process {} on {} acts for it", entry.process.pid, entry.process.host)));
    }
    match entry.ended_at {
        Some(at) => Err(fenced(format!("it ended at {at}"))),
        None => Ok(false),
    }
}

/// Whether the very batch is held already: the reply to its grant was lost (schedule 13). Judging it again could
/// only refuse what was granted, and its hosts would stay held by a process that does not know it.
fn is_repeat(record: &mut FleetRecord, batch: &Batch<'_>) -> Result<bool, Refusal> {
    let Some(entry) = record.runs.get_mut(&batch.run.run) else { return Ok(false) };
    let Some(outstanding) = entry.holds.values().map(|hold| hold.batch).min() else { return Ok(false) };
    let is_same = entry.holds.keys().eq(batch.hosts.keys())
        && entry.holds.values().all(|hold| hold.batch == batch.number && hold.state == HoldState::Reserved);
    if !is_same {
        // S4: `interval` runs from one batch's verified end to the next batch, so there is one at a time.
        return Err(Refusal::Illegal(format!("batch {outstanding} of run {} is still held", batch.run.run)));
    }
    // It knows of no grant, so it has cordoned nothing: what it sees now is what a restore must bring back.
    for (host, target_groups) in batch.hosts {
        if let Some(hold) = entry.holds.get_mut(host) {
            hold.target_groups.clone_from(target_groups);
            hold.serving |= batch.snapshot.host(host).is_some_and(crate::model::Host::is_serving);
        }
    }
    Ok(true)
}

/// What the record and the inventory say against each host. The check of `plan` says it too; a host of another run
/// is refused here whatever becomes of that check (S1, S9).
fn claims(record: &FleetRecord, batch: &Batch<'_>) -> Vec<Violation> {
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
    batch: &Batch<'_>,
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
            let message = format!("{count} hosts of {name} would go in one run; one run may take {most}");
            (count > most).then(|| Violation::new(Rule::RunSize, message).subsystem(name).numbers(most, count))
        })
        .collect()
}

/// Writes the grant into the record. Returns the reference that the run must judge by.
fn reserve(
    record: &mut FleetRecord,
    batch: &Batch<'_>,
    members: &BTreeMap<HostId, BTreeSet<SubsystemName>>,
    ctx: &Context<'_>,
) -> BTreeMap<ProbeKey, f64> {
    let run = batch.run;
    let touched: BTreeSet<SubsystemName> = members.values().flatten().cloned().collect();
    let mut watched = ctx.policies.watched(&touched);
    watched.extend(run.watched.iter().cloned());
    let older = record.reference_for(&run.run, &watched);

    let entry = record.runs.entry(run.run.clone()).or_insert_with(|| {
        let mut reference = batch.reference.clone();
        // Schedule 16: a sample taken while another run had hosts out would call its damage normal.
        reference.extend(older.unwrap_or_default());
        RunEntry {
            epoch: run.epoch,
            process: run.process.clone(),
            operator: run.operator.clone(),
            subsystem: run.subsystem.clone(),
            touched: BTreeSet::new(),
            watched: BTreeSet::new(),
            plan: run.plan.clone(),
            started_at: ctx.now,
            reference,
            holds: BTreeMap::new(),
            terminated: 0,
            ended_at: None,
        }
    });
    entry.touched.extend(touched);
    entry.watched.extend(watched);
    for (id, target_groups) in batch.hosts {
        let host = batch.snapshot.host(id);
        let hold = Hold {
            batch: batch.number,
            subsystems: members.get(id).cloned().unwrap_or_default(),
            group: host.and_then(|host| host.group.clone()),
            target_groups: target_groups.clone(),
            serving: host.is_some_and(crate::model::Host::is_serving),
            granted_at: ctx.now,
            state: HoldState::Reserved,
        };
        entry.holds.insert(id.clone(), hold);
    }
    let reference = entry.reference.clone();
    let relied_on: BTreeSet<SubsystemName> = if record.accepted.is_empty() {
        ctx.policies.subsystems.keys().cloned().collect()
    } else {
        entry.touched.union(&entry.watched).cloned().collect()
    };
    accept_all(record, &relied_on, &run.operator, ctx);
    if let Some((request, fingerprint)) = &run.request {
        record.requests.entry(request.clone()).or_insert_with(|| RequestEntry {
            fingerprint: fingerprint.clone(),
            run: run.run.clone(),
            at: ctx.now,
        });
    }
    reference
}
