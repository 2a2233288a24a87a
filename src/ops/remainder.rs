//! The question before anybody continues a run whose process died: the rest of its plan is planned anew, shown and
//! confirmed, as if it had been requested now.
//!
//! Up to the confirmation nothing is written: no fence, and none of the records that the process kept. What runs
//! afterwards is the plan of the journal; the hosts shown here are the rest of it (S8).

use std::collections::BTreeSet;

use crate::coordination::{FleetRecord, Reservation};
use crate::model::{FleetSnapshot, Health, Host, HostId, HostState, RunId};
use crate::output::{hosts_text, next};
use crate::plan::{Batch, HostList, Plan, Request, Rule, Selection, Verdict, Violation, measure, weight};
use crate::policy::{BatchLimit, PolicySet};
use crate::run::{JournalRecord, Remains, remains};

use super::confirm::{self, Ask, Unconfirmed};
use super::environment::{Environment, ObservedFleet};
use super::error::OperationError;
use super::frontend::{Frontend, Orders, Part};
use super::plan::{Because, PlanAnswer};
use super::{offline_journal, refusal, way_back};

/// The options given by the operator who continues the run.
pub(crate) struct Terms {
    /// `--yes`
    pub(crate) yes: bool,
    /// `--reason`; without it, the run's own reason applies.
    pub(crate) reason: Option<String>,
}

/// Asks about the hosts that would still be removed, if there are any. `None` means yes: they were confirmed, or
/// nothing goes forward.
///
/// # Errors
///
/// The fleet or the ledger cannot be read.
pub(crate) async fn unconfirmed(
    environment: &Environment,
    run: &RunId,
    journal: &[JournalRecord],
    record: &FleetRecord,
    terms: &Terms,
    orders: &mut Orders,
    frontend: &dyn Frontend,
) -> Result<Option<PlanAnswer>, OperationError> {
    let whole = offline_journal::whole(environment, run, journal).await?;
    let Some(left) = remains(&whole, record, run) else { return Ok(None) };
    let Some((plan, observed)) = judged(environment, run, &left, terms).await? else { return Ok(None) };
    let document = plan.document.clone();
    if document.verdict == Verdict::Refused {
        return Ok(Some(PlanAnswer::new(environment, document, Because::Refused).rest_of(run)));
    }
    let ask = Ask {
        place: &environment.place(),
        now: environment.clock.now(),
        clock: environment.clock.as_ref(),
        yes: terms.yes,
        part: Part::Rest,
    };
    match confirm::confirm(plan, &ask, orders, frontend).await {
        Ok(_) => {}
        Err(Unconfirmed::Stale) => {
            let resume = next::command(&environment.policies.directory, &format!("resume {run}"));
            let stale = refusal::stale(&document, &format!("{resume} asks again"));
            return Ok(Some(PlanAnswer::refused(environment, &document, vec![stale]).rest_of(run)));
        }
        Err(Unconfirmed::Unanswered { why, hint }) => {
            let because = Because::Unconfirmed { why, hint };
            return Ok(Some(PlanAnswer::new(environment, document, because).rest_of(run)));
        }
    }
    let missing = way_back::missing(environment, &document, &observed).await?;
    if !missing.is_empty() {
        return Ok(Some(PlanAnswer::refused(environment, &document, missing).confirmed().rest_of(run)));
    }
    // Only what was shown was confirmed. A process that lives may have gone on meanwhile; later changes are caught by
    // the fence.
    let (journal, record) = environment.read_run(run).await?;
    let now = remains(&offline_journal::whole(environment, run, &journal).await?, &record, run);
    if now.as_ref() != Some(&left) {
        let message = format!("run {run} went on since it was shown: what was confirmed is not what is left of it");
        return Err(OperationError::NotConfirmed {
            why: format!("{message}; nothing was touched"),
            hint: Some(format!(
                "how it stands: {}",
                next::command(&environment.policies.directory, &format!("status {run}"))
            )),
        });
    }
    Ok(None)
}

/// The rest of the plan, planned as of now, with what was observed; `None` where none of it can be terminated any more.
async fn judged(
    environment: &Environment,
    run: &RunId,
    left: &Remains,
    terms: &Terms,
) -> Result<Option<(Plan, FleetSnapshot)>, OperationError> {
    let mut observation = environment.observe_then_read().await?;
    observation.view = observation.record.view(Some(run), &observation.silent, observation.now);
    let observed = observation.snapshot.clone();
    // A host that is gone, or terminating, is not asked about.
    let is_there = |id: &HostId| observed.host(id).is_some_and(|host| host.state != HostState::Terminating);
    let (there, going): (Vec<HostId>, Vec<HostId>) = left.hosts().into_iter().partition(|id| is_there(id));
    let Ok(selected) = HostList::new(there.clone()) else { return Ok(None) };
    let out = put_back_in_thought(&mut observation, run)?;
    let asked = &left.plan.request;
    let request = Request {
        subsystem: asked.subsystem.clone(),
        selection: Selection::Hosts(selected),
        reason: terms.reason.clone().or_else(|| asked.reason.clone()),
        request_id: asked.request_id.clone(),
        expect_remaining: asked.expect_remaining,
    };
    let mut plan = environment.plan(&request, &mut observation).await?;
    // The recorded plan runs, in its batches.
    let hosts: BTreeSet<&HostId> = there.iter().collect();
    let recorded = left.batches.iter().filter_map(|batch| {
        let hosts = batch.hosts.iter().filter(|host| hosts.contains(&host.id));
        let serves = |id: &HostId| observed.host(id).is_some_and(Host::is_serving);
        let hosts: Vec<_> =
            hosts.cloned().map(|host| crate::plan::PlannedHost { serving: serves(&host.id), ..host }).collect();
        (!hosts.is_empty()).then_some(Batch { number: batch.number, hosts })
    });
    let document = &mut plan.document;
    document.batches = recorded.collect();
    document.plan = left.plan.plan.clone();
    let too_large = too_large(&document.batches, &environment.policies, &observed);
    if !too_large.is_empty() {
        *document = refusal::with(document, too_large);
    }
    capacity_as_it_is(environment, &observation, observed.clone(), document)?;
    let said = |hosts: &[HostId]| hosts_text(hosts, usize::MAX);
    document
        .warnings
        .push(format!("these are the hosts that are left of run {run}, which its process began to remove"));
    if !out.is_empty() {
        document.warnings.push(format!("out of service for this run already, and no capacity now: {}", said(&out)));
    }
    if !going.is_empty() {
        document.warnings.push(format!("not listed any more, or terminating, and not asked about: {}", said(&going)));
    }
    Ok(Some((plan, observed)))
}

/// Judges the run's own hosts as if they were back in service, as they were when they were granted: every constraint
/// must then hold without them. Returns the hosts that are out.
fn put_back_in_thought(observation: &mut ObservedFleet, run: &RunId) -> Result<Vec<HostId>, OperationError> {
    let Some(entry) = observation.record.runs.get(run) else { return Ok(Vec::new()) };
    let held = |host: &Host| -> Option<&Reservation> {
        entry.reservations.get(&host.id).filter(|_| host.state == HostState::Cordoned)
    };
    let out: Vec<HostId> =
        observation.snapshot.hosts().filter(|host| held(host).is_some()).map(|h| h.id.clone()).collect();
    let hosts: Vec<Host> = observation
        .snapshot
        .hosts()
        .map(|host| match held(host) {
            Some(hold) => {
                let health = match (hold.serving, hold.may_serve) {
                    (true, _) => Health::Healthy,
                    (false, true) => Health::Doubtful,
                    (false, false) => Health::Failed,
                };
                Host { state: HostState::InService, health, ..host.clone() }
            }
            None => host.clone(),
        })
        .collect();
    let groups = observation.snapshot.groups().cloned().map(|mut group| {
        // Members in Standby do not count towards desired capacity.
        let back = observation
            .snapshot
            .hosts()
            .filter(|host| host.group.as_ref() == Some(&group.name) && held(host).is_some());
        group.desired = group.desired.saturating_add(back.count() as u64);
        group
    });
    let (begun_at, completed_at) = (observation.snapshot.begun_at, observation.snapshot.completed_at);
    let thought = FleetSnapshot::new(begun_at, completed_at, hosts, groups, observation.snapshot.mark.clone());
    observation.snapshot = thought
        .map_err(|error| OperationError::internal("an observation that was consistent is not any more", error))?;
    Ok(out)
}

/// Shows people what serves now, not what would serve if the run's hosts were back.
fn capacity_as_it_is(
    environment: &Environment,
    observation: &ObservedFleet,
    observed: FleetSnapshot,
    document: &mut crate::plan::PlanDocument,
) -> Result<(), OperationError> {
    let (record, view, silent) = (observation.record.clone(), observation.view.clone(), observation.silent.clone());
    let (credentials_end, now) = (observation.credentials_end, observation.now);
    let now = ObservedFleet { snapshot: observed, record, view, silent, credentials_end, now };
    let none = std::collections::BTreeMap::new();
    let measured = measure(&environment.inputs(&now, &none), &document.subsystems).map_err(OperationError::Assess)?;
    for (shown, measured) in document.subsystems.iter_mut().zip(measured) {
        shown.capacity = measured.remaining;
        shown.headroom = shown.capacity.saturating_sub(shown.minimum);
        for (shown, measured) in shown.zones.iter_mut().zip(measured.zones) {
            shown.capacity = measured.remaining;
        }
    }
    Ok(())
}

/// The recorded batches that today's policies would not allow. They run as they are recorded, or not at all.
fn too_large(batches: &[Batch], policies: &PolicySet, observed: &FleetSnapshot) -> Vec<Violation> {
    let mut found = Vec::new();
    for batch in batches.iter().filter(|batch| batch.hosts.len() > 1) {
        let touched: BTreeSet<_> = batch.hosts.iter().flat_map(|host| &host.subsystems).collect();
        for policy in touched.into_iter().filter_map(|name| policies.subsystems.get(name)) {
            let units = |id: &HostId| observed.host(id).and_then(|host| weight(&policy.capacity.units, host).ok());
            let (size, most, what) = match policy.pace.batch {
                BatchLimit::Hosts(most) => (batch.hosts.len() as u64, most, "hosts"),
                BatchLimit::Units(most) => {
                    let members = batch.hosts.iter().filter(|host| host.subsystems.contains(&policy.name));
                    (members.filter_map(|host| units(&host.id)).fold(0, u64::saturating_add), most, "units")
                }
            };
            let zones: BTreeSet<_> = batch.hosts.iter().map(|host| &host.zone).collect();
            let most_zones = policy.pace.zones_per_batch.filter(|most| zones.len() as u64 > *most);
            let (size, most, what) = match most_zones {
                Some(most) => (zones.len() as u64, most, "zones"),
                None => (size, most, what),
            };
            if size > most {
                found.push(Violation {
                    rule: Rule::PlanStale,
                    subsystem: Some(policy.name.clone()),
                    zone: None,
                    group: None,
                    host: None,
                    required: Some(most),
                    remaining: Some(size),
                    message: format!(
                        "batch {} of the run takes {size} {what}; the policy of {} now allows {most} in a batch",
                        batch.number, policy.name
                    ),
                });
            }
        }
    }
    found
}
