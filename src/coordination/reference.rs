//! The reference that a run judges its probes by, and which one a first grant begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{ProbeKey, Quantity, RunId, SubsystemName, Time, duration_text};
use crate::plan::{Rule, Violation};
use crate::policy::command;

use super::view::is_silent;
use super::{Context, FleetRecord, Refusal, RunEntry, WaitOn};

/// How old a reference may be when it is handed to an overlapping run (contract section 8, "Sampling"), and
/// how old a run's own may be at its first grant.
pub(crate) const REFERENCE_LIFE: Duration = Duration::from_secs(3600);

/// The reference of a run.
pub(super) struct Reference {
    pub(super) values: BTreeMap<ProbeKey, Vec<Quantity>>,
    /// When the first sample of it was taken.
    pub(super) since: Time,
}

impl Reference {
    /// The run was granted a batch before, and keeps its reference.
    pub(super) fn kept(record: &FleetRecord, run: &RunId) -> Self {
        let entry = &record.runs[run];
        Self { values: entry.reference.clone(), since: entry.reference_at.unwrap_or(entry.enlisted_at) }
    }

    /// The reference that a first grant begins with; the run has `sampled` its own. A sample that was taken while hosts
    /// of something watched were out would call their absence normal (schedule 16). So while any are, those of the run
    /// that has them are taken over, and only while these are young: handed on from run to run they would be the load
    /// of another day.
    ///
    /// # Errors
    ///
    /// [`Refusal::Reference`] where the samples were taken while hosts were out; [`Refusal::Wait`] or [`Refusal::Rules`]
    /// if another run has hosts out and its reference is too old.
    pub(super) fn first(record: &FleetRecord, run: &RunId, sampled: Self, ctx: &Context<'_>) -> Result<Self, Refusal> {
        let own = &record.runs[run];
        let overlaps = |entry: &&RunEntry| !entry.reservations.is_empty() && !entry.watched.is_disjoint(&own.watched);
        let mut overlapping: Vec<(&RunId, &RunEntry)> =
            record.runs.iter().filter(|(other, entry)| *other != run && overlaps(entry)).collect();
        overlapping.sort_by_key(|(_, entry)| (entry.reference_at, entry.ticket));
        if overlapping.is_empty() {
            is_undamaged(record, &own.watched, sampled.since, ctx)?;
            return Ok(sampled);
        }
        let mut reference = Self { values: BTreeMap::new(), since: sampled.since };
        for (other, entry) in overlapping {
            let at = taken_at(other, entry, ctx)?;
            let watched = entry.reference.iter().filter(|(key, _)| own.watched.contains(&key.subsystem));
            for (key, value) in watched {
                // The oldest comes first.
                reference.values.entry(key.clone()).or_insert_with(|| value.clone());
            }
            reference.since = reference.since.min(at);
        }
        // The run's own samples fill the gaps: nothing that they depend on may have been out since they were taken.
        let mut own_samples = sampled.values;
        own_samples.retain(|key, _| !reference.values.contains_key(key));
        let judged = own_samples.keys().map(|key| key.subsystem.clone()).collect();
        is_undamaged(record, &judged, sampled.since, ctx)?;
        reference.values.append(&mut own_samples);
        Ok(reference)
    }
}

/// When the reference of another run was taken; refused if it is too old to be handed on.
fn taken_at(run: &RunId, entry: &RunEntry, ctx: &Context<'_>) -> Result<Time, Refusal> {
    let is_old = |at: Time| ctx.now.since(at) > REFERENCE_LIFE;
    if let Some(at) = entry.reference_at.filter(|at| !is_old(*at)) {
        return Ok(at);
    }
    let life = duration_text(REFERENCE_LIFE);
    let why = format!(
        "run {run} of {} has hosts out of what this run watches, and its reference is older than {life}",
        entry.operator
    );
    if is_silent(run, entry, ctx.silent) {
        let abandon = command(&ctx.policies.directory, &format!("abandon {run}"));
        let message = format!("{why}; its process is dead or silent: `{abandon}` puts them back");
        return Err(Refusal::Rules(vec![Violation::new(Rule::RunInTheWay, message)]));
    }
    Err(Refusal::Wait { until: ctx.now, why, on: WaitOn::Run(run.clone()) })
}

/// Refuses samples of these subsystems where hosts that they depend on were out since the first of them.
fn is_undamaged(
    record: &FleetRecord,
    judged: &BTreeSet<SubsystemName>,
    sampled_at: Time,
    ctx: &Context<'_>,
) -> Result<(), Refusal> {
    let concerns = |name: &SubsystemName| !ctx.policies.watched(&BTreeSet::from([name.clone()])).is_disjoint(judged);
    match record.last_end.iter().find(|(name, at)| **at > sampled_at && concerns(name)) {
        Some((name, at)) => Err(Refusal::Reference { sampled_at, why: format!("hosts of {name} were out until {at}") }),
        None => Ok(()),
    }
}
