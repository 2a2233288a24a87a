//! [`plan`]: from a request to the document that says what would go, in which batches, or why not.
//!
//! The planner only proposes. Whether the proposal may go is [`super::verify`]'s word, for the whole and after
//! every batch: a mistake in choosing can make a plan that is refused, never one that is wrongly allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{HostId, SubsystemName};
use crate::policy::nearest;

use super::batches::deal;
use super::constraints::Constraints;
use super::digest::digest;
use super::explain::refusal::{Asked, explain};
use super::gates::Gates;
use super::hosts::{obstacles_of, serves};
use super::membership::Membership;
use super::schedule::Schedule;
use super::settings::{BatchLimits, strictest};
use super::solver::Selector;
use super::stock::Ground;
use super::verify::{verify_named, verify_over};
use super::weights::units;
use super::{
    AssessError, Batch, Inputs, OtherRun, Plan, PlanDocument, PlannedHost, Request, RequestDocument, Rule, Selection,
    Stage, Taking, Verdict, Violation, Why, capacity, warnings,
};

/// How long a plan may be run after it was made (contract section 8, "Confirmation").
const LIFE: Duration = Duration::from_secs(15 * 60);

/// What a removal would do. There is always a document; its verdict says whether it may run.
///
/// # Errors
///
/// [`AssessError`] where a host of a subsystem concerned cannot be weighed or placed: exit 5.
pub fn plan(inputs: &Inputs<'_>, request: &Request) -> Result<Plan, AssessError> {
    plan_over(inputs, &Membership::new(inputs.policies, inputs.snapshot), request)
}

/// The same on a membership that is at hand.
pub(crate) fn plan_over(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    request: &Request,
) -> Result<Plan, AssessError> {
    let gates = &Gates::new(inputs, membership);
    let named = membership.find_subsystem(&request.subsystem);
    let mut draft = Draft::default();
    match named {
        None => draft.violations.push(unknown_subsystem(inputs, &request.subsystem, &mut draft.largest, request)),
        Some(named) => match &request.selection {
            Selection::Count(count) => draft.count(inputs, membership, gates, named, *count)?,
            Selection::Hosts(hosts) => draft.hosts(membership, named, hosts),
        },
    }
    let chosen: BTreeSet<usize> = draft.taking.hosts.iter().filter_map(|id| membership.find(id)).collect();
    let touched: BTreeSet<usize> = chosen.iter().flat_map(|&h| membership.of(h)).copied().chain(named).collect();
    if named.is_some() {
        let is_short = draft.violations.iter().any(|v| v.rule == Rule::TooFewCandidates);
        let verify = verifier(request);
        draft.violations.extend(verify(inputs, membership, gates, &draft.taking, Stage::Grant)?);
        // Nothing was selected because there is nothing to select, and that is said already.
        draft.violations.retain(|v| !(is_short && v.rule == Rule::EmptySelection));
        draft.suggest_hosts(inputs);
    }
    draft.group_maximums(inputs, membership, &chosen);
    draft.request_rules(inputs, membership, request, named, &touched, &chosen);

    let names: BTreeSet<SubsystemName> = touched.iter().map(|&s| membership.subsystem(s).name.clone()).collect();
    let watched = inputs.policies.watched(&names);
    let count = draft.asked(request);
    let settings = strictest(inputs, membership, &request.subsystem, &touched, &watched, count);
    let dealt = deal(membership, gates, &chosen, &BatchLimits::strictest(membership, &touched))?;
    if draft.violations.is_empty() {
        draft.prefixes(inputs, membership, gates, &dealt, verifier(request))?;
    }
    let schedule = match Schedule::of(inputs, membership, &dealt, &settings) {
        Ok(schedule) => schedule,
        Err(violation) => {
            if !draft.violations.iter().any(|v| v.rule == Rule::Budget) {
                draft.violations.push(violation);
            }
            Schedule::default()
        }
    };
    let batches = planned(inputs, membership, gates, named, &dealt)?;
    let tables = named.into_iter().chain(touched.iter().copied().filter(|&s| Some(s) != named));
    let subsystems = tables.map(|s| capacity::table(inputs, membership, s, &chosen)).collect::<Result<_, _>>()?;
    let mut warnings = draft.warnings;
    warnings.extend(warnings::all(inputs, membership, gates, &chosen, &touched, &watched, &schedule));
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
        batches,
        subsystems,
        others: others(inputs, &watched),
        watched: watched.into_iter().collect(),
        warnings,
        not_before: schedule.not_before(),
    };
    Ok(Plan { document, settings, takes: schedule.takes })
}

/// Whoever is about to take hosts should know who else does.
fn others(inputs: &Inputs<'_>, watched: &BTreeSet<SubsystemName>) -> Vec<OtherRun> {
    let concerns = |run: &&OtherRun| !run.watches.is_disjoint(watched) || !run.touches.is_disjoint(watched);
    inputs.ledger.others.iter().filter(concerns).cloned().collect()
}

fn unknown_subsystem(
    inputs: &Inputs<'_>,
    name: &SubsystemName,
    largest: &mut Option<u64>,
    request: &Request,
) -> Violation {
    if matches!(request.selection, Selection::Count(_)) {
        *largest = Some(0);
    }
    let known = inputs.policies.subsystems.keys().map(SubsystemName::as_str);
    let message = format!("there is no subsystem {name:?}{}", nearest_hint(name.as_str(), known));
    Violation::new(Rule::UnknownSubsystem, message).subsystem(name)
}

/// Why hosts in service are no candidates: a rule a line, with the first host as the example.
fn excluded(inputs: &Inputs<'_>, membership: &Membership<'_>, named: usize) -> Vec<Violation> {
    let name = &membership.subsystem(named).name;
    let mut reasons: BTreeMap<Rule, (u64, Violation)> = BTreeMap::new();
    for &index in membership.members(named) {
        let mut rules = BTreeSet::new();
        for violation in obstacles_of(inputs, membership, index, Stage::Grant) {
            if rules.insert(violation.rule) {
                reasons.entry(violation.rule).or_insert((0, violation)).0 += 1;
            }
        }
    }
    let line = |(hosts, first): (u64, Violation)| {
        if hosts == 1 {
            return first.subsystem(name);
        }
        let message = format!("{} ({hosts} hosts of {name} in all)", first.message);
        Violation::new(first.rule, message).subsystem(name)
    };
    reasons.into_values().map(line).collect()
}

/// `; nearest: index, index-2`, or nothing where none is near.
fn nearest_hint<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(wanted, known);
    if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) }
}

fn request_document(request: &Request) -> RequestDocument {
    let (count, hosts) = match &request.selection {
        Selection::Count(count) => (Some(*count), None),
        Selection::Hosts(hosts) => (None, Some(hosts.clone())),
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

/// The check before every effect.
type Verify = fn(&Inputs<'_>, &Membership<'_>, &Gates<'_>, &Taking, Stage) -> Result<Vec<Violation>, AssessError>;

/// The check, as strict as it is with hosts that this program chose or somebody named.
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
        let own = membership.of(index);
        let units = match named.filter(|named| own.contains(named)) {
            Some(named) => units(membership, named, index)?,
            None => 0,
        };
        Ok(PlannedHost {
            id: host.id.clone(),
            zone: host.zone.clone(),
            group: host.group.clone(),
            subsystems: own.iter().map(|&s| membership.subsystem(s).name.clone()).collect(),
            units,
            serving: serves(inputs, host),
            doubtful: gates.doubts().of(index).next().is_some(),
        })
    };
    let batch = |(index, hosts): (usize, &Vec<usize>)| {
        Ok(Batch { number: index as u64 + 1, hosts: hosts.iter().map(host).collect::<Result<_, AssessError>>()? })
    };
    dealt.iter().enumerate().map(batch).collect()
}

/// A plan in the making.
#[derive(Default)]
struct Draft {
    taking: Taking,
    violations: Vec<Violation>,
    warnings: Vec<String>,
    largest: Option<u64>,
    why: Option<Why>,
}

impl Draft {
    fn count(
        &mut self,
        inputs: &Inputs<'_>,
        membership: &Membership<'_>,
        gates: &Gates<'_>,
        named: usize,
        count: u64,
    ) -> Result<(), AssessError> {
        let ground = Ground::new(inputs, membership, gates);
        let constraints = Constraints::new(&ground, named)?;
        let problem = &constraints.problem;
        let (gated, open) = (Selector::new(problem, true), Selector::new(problem, false));
        let largest = open.maximum();
        self.largest = Some(largest.hosts);
        let now = if gated.candidates() == open.candidates() { largest.clone() } else { gated.maximum() };
        let chosen = if count <= now.hosts {
            gated.choose(count, &now)
        } else if count <= largest.hosts {
            open.choose(count, &largest)
        } else {
            open.wish(count)
        };
        if !largest.proved || !now.proved {
            let at_least = now.hosts.min(largest.hosts);
            self.warnings.push(format!("at least {at_least} hosts can go; whether more can was not proved"));
        }
        let candidates = open.candidates();
        if count > candidates {
            let name = &membership.subsystem(named).name;
            let (hosts, asked) = if count == 1 { ("host", "was") } else { ("hosts", "were") };
            let message = match candidates {
                0 => format!("{count} {hosts} {asked} asked for; no host of {name} is a candidate"),
                1 => format!("{count} {hosts} {asked} asked for; 1 host of {name} is a candidate"),
                more => format!("{count} {hosts} {asked} asked for; {more} hosts of {name} are candidates"),
            };
            let violation = Violation::new(Rule::TooFewCandidates, message);
            self.violations.push(violation.subsystem(name).numbers(count, candidates));
            self.violations.extend(excluded(inputs, membership, named));
        }
        if count > now.hosts {
            let too_few = self.violations.iter().find(|violation| violation.rule == Rule::TooFewCandidates);
            let asked = Asked { inputs, membership, gates, named, count };
            self.why = explain(asked, &constraints, &now, &largest, too_few)?;
        }
        self.taking.hosts = chosen.into_iter().map(|h| membership.host(h).id.clone()).collect();
        Ok(())
    }

    fn hosts(&mut self, membership: &Membership<'_>, named: usize, hosts: &[HostId]) {
        let name = &membership.subsystem(named).name;
        self.taking.hosts = hosts.iter().cloned().collect();
        for id in &self.taking.hosts {
            let Some(index) = membership.find(id) else { continue };
            if !membership.of(index).contains(&named) {
                let own: Vec<&str> =
                    membership.of(index).iter().map(|&s| membership.subsystem(s).name.as_str()).collect();
                let serves = if own.is_empty() { "no subsystem".to_owned() } else { own.join(", ") };
                let message = format!("host {id} does not belong to {name}; it belongs to {serves}");
                self.violations.push(Violation::new(Rule::NotServingIt, message).subsystem(name).host(id));
            }
        }
    }

    /// How many hosts the request is about: what the policies of confirmation count.
    fn asked(&self, request: &Request) -> u64 {
        match &request.selection {
            Selection::Count(count) => *count,
            Selection::Hosts(_) => self.taking.hosts.len() as u64,
        }
    }

    fn suggest_hosts(&mut self, inputs: &Inputs<'_>) {
        for violation in self.violations.iter_mut().filter(|v| v.rule == Rule::UnknownHost) {
            if let Some(id) = violation.host.as_ref().filter(|id| !inputs.ledger.claims.contains_key(*id)) {
                let hint = nearest_hint(id.as_str(), inputs.snapshot.hosts().map(|h| h.id.as_str()));
                violation.message.push_str(&hint);
            }
        }
    }

    /// A restore raises desired capacity back to what it is now: the group must allow that.
    fn group_maximums(&mut self, inputs: &Inputs<'_>, membership: &Membership<'_>, chosen: &BTreeSet<usize>) {
        let groups: BTreeSet<_> = chosen.iter().filter_map(|&h| membership.host(h).group.as_ref()).collect();
        for group in groups.into_iter().filter_map(|name| inputs.snapshot.group(name)) {
            if group.desired > group.max_size {
                let message = format!(
                    "group {} could not take its hosts back: its desired capacity is {}, its maximum {}",
                    group.name, group.desired, group.max_size
                );
                let violation = Violation::new(Rule::GroupMaximum, message).group(&group.name);
                self.violations.push(violation.numbers(group.max_size, group.desired));
            }
        }
    }

    /// The rules on the request itself.
    fn request_rules(
        &mut self,
        inputs: &Inputs<'_>,
        membership: &Membership<'_>,
        request: &Request,
        named: Option<usize>,
        touched: &BTreeSet<usize>,
        chosen: &BTreeSet<usize>,
    ) {
        let count = self.asked(request);
        let has_reason = request.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
        for &subsystem in touched {
            let policy = membership.subsystem(subsystem);
            let name = &policy.name;
            if policy.confirm.require_reason && !has_reason {
                let message = format!("the policy of {name} asks for a reason: give --reason TEXT");
                self.violations.push(Violation::new(Rule::ReasonRequired, message).subsystem(name));
            }
            // This version cannot take approvals: what needs one does not run (S3).
            for rule in policy.confirm.approvals.iter().filter(|rule| count > rule.above) {
                let message = format!(
                    "the policy of {name} asks for {} approvals above {} hosts, which this version cannot take",
                    rule.count, rule.above
                );
                self.violations.push(Violation::new(Rule::Approval, message).subsystem(name).numbers(rule.count, 0));
            }
        }
        if let (Some(expected), Some(named)) = (request.expect_remaining, named) {
            let remaining = capacity::serving_without(inputs, membership, named, chosen);
            if remaining != expected {
                let name = &membership.subsystem(named).name;
                self.violations.push(Violation::unexpected(name, expected, remaining));
            }
        }
    }

    /// Every rule must hold after every batch, not only at the end.
    fn prefixes(
        &mut self,
        inputs: &Inputs<'_>,
        membership: &Membership<'_>,
        gates: &Gates<'_>,
        dealt: &[Vec<usize>],
        verify: Verify,
    ) -> Result<(), AssessError> {
        let mut taking = Taking::default();
        for batch in dealt.iter().take(dealt.len().saturating_sub(1)) {
            taking.hosts.extend(batch.iter().map(|&h| membership.host(h).id.clone()));
            self.violations.extend(verify(inputs, membership, gates, &taking, Stage::Grant)?);
        }
        Ok(())
    }
}
