//! The line: runs stand in the record from their confirmation on, with what they claim. Here it is said whose turn it is.
//!
//! A claim is no reservation: what is claimed is capacity still, and nobody else's candidate. One batch of a subsystem
//! goes at a time, all runs counted (S4), first come, first served. A run whose next batch could not go now, because a
//! budget, an interval, a window or a person asks to wait, does not hold up the others; its claims stay.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{BatchNumber, FleetSnapshot, HostId, RunId, SubsystemName, Time, counted};
use crate::plan::{Rule, Violation};

use super::guard::fresh;
use super::judge::Judge;
use super::retention::fits;
use super::view::is_silent;
use super::{Context, FleetRecord, Granted, Refusal, RunEntry, RunIdentity, WaitOn};

/// A run's request for a place in line.
pub(super) struct Enlisting<'a> {
    pub(super) run: &'a RunIdentity,
    pub(super) claims: &'a BTreeMap<HostId, BatchNumber>,
    pub(super) planned_at: Time,
    pub(super) lapses_at: Time,
    pub(super) snapshot: &'a FleetSnapshot,
}

/// Gives a confirmed run the last place in line.
///
/// # Errors
///
/// [`Refusal::Race`] if another run that lives holds or claims one of its hosts: a second run must not wait for hosts
/// that are spoken for.
pub(super) fn enlist(record: &mut FleetRecord, asked: &Enlisting<'_>, ctx: &Context<'_>) -> Result<Granted, Refusal> {
    let run = asked.run;
    let fenced = |why: String| Refusal::Fenced { run: run.run.clone(), why };
    if let Some(entry) = record.runs.get(&run.run) {
        if entry.process == run.process && entry.epoch == run.epoch && entry.ended_at.is_none() {
            // Said before, and the reply was lost.
            return Ok(Granted::default());
        }
        return Err(fenced(format!("process {} on {} acts for it", entry.process.pid, entry.process.host)));
    }
    if let Some(ended) = record.ended.get(&run.run).filter(|ended| ended.epoch >= run.epoch) {
        return Err(fenced(format!("it ended at {}", ended.at)));
    }
    fresh(asked.snapshot, ctx)?;
    if asked.claims.is_empty() {
        return Err(Refusal::Illegal("a run without hosts has no place in line".to_owned()));
    }
    if ctx.now >= asked.lapses_at {
        let message = format!("the plan expired at {}", asked.lapses_at);
        return Err(Refusal::Rules(vec![Violation::new(Rule::PlanStale, message)]));
    }
    let view = record.view(Some(&run.run), ctx.silent, ctx.now);
    let taken: Vec<Violation> = asked
        .claims
        .keys()
        .filter_map(|host| {
            let message = match (view.claims.get(host), view.claimed_by_others.get(host)) {
                (Some(_), _) => format!("host {host} is held or was removed by another run"),
                (None, Some(other)) => format!("run {other} has confirmed to take host {host}"),
                (None, None) => return None,
            };
            Some(Violation::new(Rule::NotRemovable, message).host(host))
        })
        .collect();
    if !taken.is_empty() {
        return Err(Refusal::Race(taken));
    }
    let judge = Judge::new(ctx, asked.snapshot);
    let touched: BTreeSet<SubsystemName> = judge.subsystems(asked.claims.keys()).into_values().flatten().collect();
    let mut watched = ctx.policies.watched(&touched);
    watched.extend(run.watched.iter().cloned());
    record.tickets += 1;
    let entry = RunEntry {
        epoch: run.epoch,
        process: run.process.clone(),
        operator: run.operator.clone(),
        subsystem: run.subsystem.clone(),
        touched,
        watched,
        plan: run.plan.clone(),
        ticket: record.tickets,
        planned_at: asked.planned_at,
        enlisted_at: ctx.now,
        claims: asked.claims.clone(),
        lapses_at: asked.lapses_at,
        granted_at: None,
        reference: BTreeMap::new(),
        reference_at: None,
        reservations: BTreeMap::new(),
        terminated: 0,
        pause: None,
        asking: None,
        continued: None,
        ended_at: None,
    };
    record.ended.remove(&run.run);
    record.runs.insert(run.run.clone(), entry);
    fits(record, ctx)?;
    Ok(Granted::default())
}

/// Whether a batch of these subsystems may go now, as far as other runs are concerned.
///
/// # Errors
///
/// [`Refusal::Wait`] for a run that has hosts of one of them out, or that comes first and could go now. Silent runs are
/// not waited for: what they have out is rule `run-in-the-way`.
pub(super) fn turn(
    record: &FleetRecord,
    run: &RunId,
    touched: &BTreeSet<SubsystemName>,
    judge: &Judge<'_>,
    ctx: &Context<'_>,
) -> Result<(), Refusal> {
    let ticket = record.runs.get(run).map_or(u64::MAX, |entry| entry.ticket);
    let mut others: Vec<(&RunId, &RunEntry)> =
        record.runs.iter().filter(|(other, entry)| *other != run && !is_silent(other, entry, ctx.silent)).collect();
    others.sort_by_key(|(_, entry)| entry.ticket);
    for (other, entry) in &others {
        let out: Vec<SubsystemName> = entry.holds_of().intersection(touched).cloned().collect();
        if !out.is_empty() {
            let since = entry
                .reservations
                .values()
                .map(|reservation| reservation.granted_at)
                .min()
                .unwrap_or(entry.enlisted_at);
            let why = format!(
                "run {other} of {} has {} out since {since} ({}): one batch of a subsystem goes at a time",
                entry.operator,
                counted(entry.reservations.len(), "host"),
                names(&out)
            );
            return Err(wait(other, why, ctx));
        }
    }
    for (other, entry) in others {
        if entry.ticket >= ticket || !entry.has_claims(ctx.now) || !entry.reservations.is_empty() {
            continue;
        }
        if entry.waits_for_a_person() {
            continue;
        }
        let next = entry.next_batch();
        let both: BTreeSet<SubsystemName> = judge.subsystems(&next).into_values().flatten().collect();
        let both: Vec<SubsystemName> = both.intersection(touched).cloned().collect();
        if !both.is_empty() && judge.could_go(record, other, &next) {
            let why = format!(
                "run {other} of {} comes first: it stands in line since {} ({})",
                entry.operator,
                entry.enlisted_at,
                names(&both)
            );
            return Err(wait(other, why, ctx));
        }
    }
    Ok(())
}

fn wait(other: &RunId, why: String, ctx: &Context<'_>) -> Refusal {
    Refusal::Wait { until: ctx.now, why, on: WaitOn::Run(other.clone()) }
}

fn names(of: &[SubsystemName]) -> String {
    of.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}
