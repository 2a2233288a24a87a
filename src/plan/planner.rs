//! [`plan`]: from a request to the document that says which hosts would go in which batches, or why not.
//!
//! The planner only proposes. [`super::verify`] decides whether the proposal may go, as a whole and after every batch:
//! a mistake in choosing can lead to a plan that is refused, but never to one that is wrongly allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{BatchNumber, GroupName, PUT_BACK, SubsystemName, Time};

use super::batches::deal;
use super::digest::digest;
use super::draft::{Draft, Verify, unknown_subsystem};
use super::gates::Gates;
use super::hosts::serves;
use super::membership::Membership;
use super::own_changes::{no_room, scheduled};
use super::schedule::Schedule;
use super::settings::{BatchLimits, strictest};
use super::verify::{verify_named, verify_over};
use super::weights::units;
use super::{
    AssessError, Batch, Inputs, OtherRun, PlanDocument, PlannedHost, Request, RequestDocument, Rule, Selection,
    Settings, Stage, Verdict, Violation, capacity, warnings,
};

/// How long a plan may be run after it was made (contract section 8, "Confirmation").
const LIFE: Duration = Duration::from_secs(15 * 60);

/// A plan that can be confirmed: the document, and what the run needs besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What people and programs are shown; the digest in it covers fleet, policies and hosts per batch.
    pub document: PlanDocument,
    /// The strictest settings.
    pub(crate) settings: Settings,
    /// From the decision to the last verified termination, as far as known beforehand: includes bakes, intervals and
    /// budgets, but not the prompt and not the provider's calls.
    pub(crate) takes: Duration,
}

impl Plan {
    /// When a run that starts now is expected to end.
    pub(crate) fn expected_end(&self, now: Time) -> Time {
        now.plus(self.takes)
    }
}

/// What a removal would do. There is always a document; its verdict says whether the plan may run.
///
/// # Errors
///
/// [`AssessError`] if a host of a subsystem concerned cannot be weighed or placed: exit 5.
pub fn plan(inputs: &Inputs<'_>, request: &Request) -> Result<Plan, AssessError> {
    plan_over(inputs, &Membership::new(inputs.policies, inputs.snapshot), request)
}

/// The same, with a membership that was already built.
pub(crate) fn plan_over(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    request: &Request,
) -> Result<Plan, AssessError> {
    let first = attempt(inputs, membership, request, &BTreeSet::new())?;
    if matches!(request.selection, Selection::Hosts(_)) {
        return Ok(first);
    }
    // The choice knows no rule about what groups do by themselves, so hosts of another group may do.
    let mut avoided = BTreeSet::new();
    let mut found = groups_to_avoid(&first.document.violations);
    while let Some(groups) = found.filter(|groups| !groups.is_subset(&avoided)) {
        avoided.extend(groups);
        let next = attempt(inputs, membership, request, &avoided)?;
        // No group is the reason either if nobody knows whether the hosts of others do.
        let is_unknown = next.document.violations.iter().any(|violation| violation.rule == Rule::NotProved);
        if next.document.verdict == Verdict::Allowed || is_unknown {
            return Ok(next);
        }
        found = groups_to_avoid(&next.document.violations);
    }
    Ok(first)
}

/// The groups without whose hosts nothing might refuse a plan; `None` if something else refuses it.
fn groups_to_avoid(violations: &[Violation]) -> Option<BTreeSet<GroupName>> {
    violations.iter().map(|violation| violation.group.clone().filter(|_| violation.is_of_group())).collect()
}

/// A plan that takes no host of these groups, if there is a choice.
fn attempt(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    request: &Request,
    avoided: &BTreeSet<GroupName>,
) -> Result<Plan, AssessError> {
    let gates = &Gates::new(inputs, membership);
    let named = membership.find_subsystem(&request.subsystem);
    let mut draft = Draft::default();
    match named {
        None => draft.violations.push(unknown_subsystem(inputs, &request.subsystem, &mut draft.largest, request)),
        Some(named) => match &request.selection {
            Selection::Count(count) => {
                draft.count(inputs, membership, gates, (named, count.get()), request, avoided)?
            }
            Selection::Hosts(hosts) => draft.hosts(membership, named, hosts.as_slice()),
        },
    }
    let chosen: BTreeSet<usize> = draft.taking.hosts.iter().filter_map(|id| membership.find(id)).collect();
    let touched: BTreeSet<usize> = chosen.iter().flat_map(|&h| membership.of(h)).chain(named).collect();
    if let Some(named) = named {
        let is_short = draft.violations.iter().any(|v| v.rule == Rule::TooFewCandidates);
        let verify = verifier(request);
        draft.violations.extend(verify(inputs, membership, gates, &draft.taking, Stage::Grant)?);
        // Nothing was selected because there is nothing to select, and a violation already says so.
        draft.violations.retain(|v| !(is_short && v.rule == Rule::EmptySelection));
        draft.withdraw_unproved(&membership.subsystem(named).name, request);
        draft.suggest_hosts(inputs);
    }
    draft.request_rules(inputs, membership, request, named, &touched, &chosen);

    let names: BTreeSet<SubsystemName> = touched.iter().map(|&s| membership.subsystem(s).name.clone()).collect();
    let watched = inputs.policies.watched(&names);
    let count = draft.asked(request);
    let settings = strictest(inputs, membership, &request.subsystem, &touched, &watched, count);
    let limits = BatchLimits::strictest(membership, &touched);
    let dealt = deal(membership, gates, &chosen, &limits)?;
    if draft.violations.is_empty() {
        draft.prefixes(inputs, membership, gates, &dealt, verifier(request))?;
    }
    let schedule = match Schedule::of(inputs, membership, &dealt, &settings) {
        Ok(schedule) => {
            draft.violations.extend(credentials(inputs, &schedule));
            draft.violations.extend(own_changes(inputs, membership, &dealt, &schedule));
            schedule
        }
        Err(violation) => {
            if draft.is_proved() && !draft.violations.iter().any(|v| v.rule == Rule::Budget) {
                draft.violations.push(violation);
            }
            Schedule::default()
        }
    };
    draft.withdraw_avoidable(&request.subsystem);
    // A plan that does not run waits for nothing.
    let schedule = if draft.violations.is_empty() { schedule } else { Schedule::default() };
    let batches = planned(inputs, membership, gates, named, &dealt)?;
    let tables = named.into_iter().chain(touched.iter().copied().filter(|&s| Some(s) != named));
    let subsystems = tables.map(|s| capacity::table(inputs, membership, s, &chosen)).collect::<Result<_, _>>()?;
    let mut warnings = draft.warnings;
    warnings.extend(warnings::goes_first(inputs, membership, &dealt));
    warnings.extend(warnings::all(inputs, membership, gates, &chosen, &touched, &watched));
    let verdict = if draft.violations.is_empty() { Verdict::Allowed } else { Verdict::Refused };
    let document = PlanDocument {
        schema: "safe-remove/plan/v1".to_owned(),
        plan: digest(inputs, &batches)?,
        fleet: inputs.policies.fleet.name.clone(),
        provider: inputs.identity.clone(),
        request: request_document(request),
        observed_at: inputs.snapshot.begun_at,
        expires_at: inputs.now.plus(LIFE),
        verdict,
        violations: draft.violations,
        why: draft.why.filter(|_| verdict == Verdict::Refused),
        largest_allowed_count: draft.largest,
        exact: !draft.more_may_go,
        certificate: None,
        batches,
        subsystems,
        others: others(inputs, &watched),
        owners: owners(inputs, &watched),
        watched: watched.into_iter().collect(),
        warnings,
        waits: warnings::waits(inputs, &schedule),
        not_before: schedule.not_before(),
    };
    Ok(Plan { document, settings, takes: schedule.takes })
}

/// S7: a run that loses its credentials cannot put back what it has cordoned.
fn credentials(inputs: &Inputs<'_>, schedule: &Schedule) -> Option<Violation> {
    let end = inputs.credentials_end?;
    let needed_until = inputs.now.plus(schedule.takes).plus(PUT_BACK);
    (end < needed_until).then(|| Violation::credentials(end, needed_until, inputs.now))
}

/// S7: what the groups of the chosen hosts do by themselves before everything is over.
fn own_changes(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    dealt: &[Vec<usize>],
    schedule: &Schedule,
) -> Vec<Violation> {
    let until = inputs.now.plus(schedule.takes).plus(PUT_BACK);
    let batches = || dealt.iter().map(|batch| batch.iter().map(|&index| membership.host(index)));
    let mut found = scheduled(inputs.snapshot, batches().flatten(), until);
    found.extend(no_room(inputs.snapshot, batches()));
    found
}

/// An operator who is about to take hosts should know which other runs do.
fn others(inputs: &Inputs<'_>, watched: &BTreeSet<SubsystemName>) -> Vec<OtherRun> {
    inputs.ledger.others.iter().filter(|run| run.concerns(watched)).cloned().collect()
}

/// Whoever is refused, or takes hosts, should know whom to ask. What is touched is watched too.
fn owners(inputs: &Inputs<'_>, watched: &BTreeSet<SubsystemName>) -> BTreeMap<SubsystemName, String> {
    let owner = |name: &SubsystemName| inputs.policies.subsystems.get(name)?.owner.clone();
    watched.iter().filter_map(|name| Some((name.clone(), owner(name)?))).collect()
}

fn request_document(request: &Request) -> RequestDocument {
    let (count, hosts) = match &request.selection {
        Selection::Count(count) => (Some(count.get()), None),
        Selection::Hosts(hosts) => (None, Some(hosts.as_slice().to_vec())),
    };
    RequestDocument {
        subsystem: request.subsystem.clone(),
        count,
        hosts,
        reason: request.reason.clone(),
        request_id: request.request_id.clone(),
        expect_remaining: request.expect_remaining,
    }
}

/// The check, with the strictness for hosts that this program chose or for hosts that somebody named.
fn verifier(request: &Request) -> Verify {
    match request.selection {
        Selection::Count(_) => verify_over,
        Selection::Hosts(_) => verify_named,
    }
}

fn planned(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    named: Option<usize>,
    dealt: &[Vec<usize>],
) -> Result<Vec<Batch>, AssessError> {
    let host = |&index: &usize| {
        let host = membership.host(index);
        let units = match named.filter(|&named| membership.belongs(index, named)) {
            Some(named) => units(membership, named, index)?,
            None => 0,
        };
        Ok(PlannedHost {
            id: host.id.clone(),
            zone: host.zone.clone(),
            group: host.group.clone(),
            subsystems: membership.of(index).map(|s| membership.subsystem(s).name.clone()).collect(),
            units,
            serving: serves(inputs, host),
            doubtful: gates.doubts().of(index).next().is_some(),
        })
    };
    let batch = |(index, hosts): (usize, &Vec<usize>)| {
        Ok(Batch {
            number: BatchNumber::new(index as u64 + 1),
            hosts: hosts.iter().map(host).collect::<Result<_, AssessError>>()?,
        })
    };
    dealt.iter().enumerate().map(batch).collect()
}
