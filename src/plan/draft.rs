//! A plan in the making: the proposed hosts, and every rule on the request that they violate.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{GroupName, HostId, SubsystemName, counted};
use crate::policy::{SubsystemPolicy, nearest};

use super::constraints::Constraints;
use super::explain::{CountQuery, explain};
use super::gates::Gates;
use super::hosts::obstacles_of;
use super::membership::Membership;
use super::solver::{Effort, Selector};
use super::stock::Ground;
use super::{AssessError, Inputs, Request, Rule, Selection, Stage, Taking, Violation, Why, capacity};

/// The check before every effect.
pub(super) type Verify =
    fn(&Inputs<'_>, &Membership<'_>, &Gates<'_>, &Taking, Stage) -> Result<Vec<Violation>, AssessError>;

/// A plan in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) taking: Taking,
    pub(super) violations: Vec<Violation>,
    pub(super) warnings: Vec<String>,
    pub(super) largest: Option<u64>,
    /// Whether it was not proved that `largest` is the largest.
    pub(super) more_may_go: bool,
    pub(super) why: Option<Why>,
    unproved: Unproved,
}

/// What is not proved to exclude the count, because the search ended before it found a choice or excluded all.
#[derive(Default)]
struct Unproved {
    /// The rules about numbers.
    numbers: bool,
    /// What is closed at this moment.
    gates: bool,
}

impl Unproved {
    fn any(&self) -> bool {
        self.numbers || self.gates
    }
}

impl Draft {
    pub(super) fn count(
        &mut self,
        inputs: &Inputs<'_>,
        membership: &Membership<'_>,
        gates: &Gates<'_>,
        (named, count): (usize, u64),
        request: &Request,
        avoided: &BTreeSet<GroupName>,
    ) -> Result<(), AssessError> {
        let ground = Ground::new(inputs, membership, gates);
        let mut constraints = Constraints::new(&ground, named)?;
        let lacks = |subsystem: usize| lacks(request, count, membership.subsystem(subsystem));
        // Every choice touches the named subsystem, so nothing is avoided for the sake of what it lacks itself.
        let is_lacking = |host: usize| !lacks(named) && membership.of(host).any(lacks);
        let is_avoided =
            |host: usize| membership.host(host).group.as_ref().is_some_and(|group| avoided.contains(group));
        // The request may not take these hosts, and is given others, as for those of a closed subsystem.
        constraints.problem.close(|host| is_avoided(host) || is_lacking(host));
        let problem = &constraints.problem;
        let (gated, open) = (Selector::new(problem, true), Selector::new(problem, false));
        let effort = Effort::about(inputs.prove);
        let (largest, is_answered) = open.most(count, &effort);
        self.largest = Some(largest.hosts);
        self.more_may_go = !largest.proved;
        self.unproved.numbers = !is_answered;
        let now = if gated.candidates() == open.candidates() {
            largest.clone()
        } else {
            let (now, is_answered_now) = gated.most(count, &effort);
            let is_impossible = is_answered && count > largest.hosts;
            self.unproved.gates = !is_answered_now && !is_impossible;
            now
        };
        let chosen = if count <= now.hosts {
            gated.choose(count, &now)
        } else if count <= largest.hosts {
            open.choose(count, &largest)
        } else {
            open.unconstrained(count)
        };
        if !now.proved {
            self.warnings.push(format!("at least {} hosts can go; whether more can was not proved", now.hosts));
        }
        let candidates = open.candidates();
        if count > candidates {
            let name = &membership.subsystem(named).name;
            let message = match candidates {
                0 => format!("asked for: {}; no host of {name} is a candidate", counted(count, "host")),
                some => format!("asked for: {}; candidates of {name}: {some}", counted(count, "host")),
            };
            let violation = Violation::new(Rule::TooFewCandidates, message);
            self.violations.push(violation.subsystem(name).numbers(count, candidates));
            self.violations.extend(excluded(inputs, membership, named));
        }
        if count > now.hosts && !self.unproved.any() {
            let too_few = self.violations.iter().find(|violation| violation.rule == Rule::TooFewCandidates);
            let asked = CountQuery { inputs, membership, gates, named, count };
            self.why = explain(asked, &constraints, &now, &largest, too_few)?;
        }
        self.taking.hosts = chosen.into_iter().map(|h| membership.host(h).id.clone()).collect();
        Ok(())
    }

    pub(super) fn hosts(&mut self, membership: &Membership<'_>, named: usize, hosts: &[HostId]) {
        let name = &membership.subsystem(named).name;
        self.taking.hosts = hosts.iter().cloned().collect();
        for id in &self.taking.hosts {
            let Some(index) = membership.find(id) else { continue };
            if !membership.belongs(index, named) {
                let own: Vec<&str> = membership.of(index).map(|s| membership.subsystem(s).name.as_str()).collect();
                let serves = if own.is_empty() { "no subsystem".to_owned() } else { own.join(", ") };
                let message = format!("host {id} does not belong to {name}; it belongs to {serves}");
                self.violations.push(Violation::new(Rule::NotServingIt, message).subsystem(name).host(id));
            }
        }
    }

    /// Takes back what is not proved to exclude the count: a rule must not be named as if it bound. The violations are
    /// those of one choice, and another may satisfy the rules.
    pub(super) fn withdraw_unproved(&mut self, subsystem: &SubsystemName, request: &Request) {
        if !self.unproved.any() {
            return;
        }
        let Unproved { numbers, gates } = self.unproved;
        let is_unproved = |rule: Rule| (numbers && rule.is_about_numbers()) || (gates && rule.is_gate());
        self.violations.retain(|violation| !is_unproved(violation.rule));
        self.violations.push(Violation::not_proved(subsystem, self.asked(request)));
    }

    /// Takes back what other hosts may avoid, beside `not-proved`: that refuses the plan, and other hosts may do.
    pub(super) fn withdraw_avoidable(&mut self, named: &SubsystemName) {
        if self.violations.iter().all(|violation| violation.rule != Rule::NotProved) {
            return;
        }
        self.violations.retain(|violation| {
            let is_of_request = matches!(violation.rule, Rule::ReasonRequired | Rule::Approval);
            let is_of_others = is_of_request && violation.subsystem.as_ref() != Some(named);
            !is_of_others && !violation.is_of_group()
        });
    }

    /// Whether a refusal may be for numbers that were proved.
    pub(super) fn is_proved(&self) -> bool {
        !self.unproved.any()
    }

    /// How many hosts the request is about, which is the number that confirmation policies count.
    pub(super) fn asked(&self, request: &Request) -> u64 {
        match &request.selection {
            Selection::Count(count) => count.get(),
            Selection::Hosts(_) => self.taking.hosts.len() as u64,
        }
    }

    pub(super) fn suggest_hosts(&mut self, inputs: &Inputs<'_>) {
        for violation in self.violations.iter_mut().filter(|v| v.rule == Rule::UnknownHost) {
            if let Some(id) = violation.host.as_ref().filter(|id| !inputs.ledger.claims.contains_key(*id)) {
                let hint = nearest_hint(id.as_str(), inputs.snapshot.hosts().map(|h| h.id.as_str()));
                violation.message.push_str(&hint);
            }
        }
    }

    /// The rules on the request itself.
    pub(super) fn request_rules(
        &mut self,
        inputs: &Inputs<'_>,
        membership: &Membership<'_>,
        request: &Request,
        named: Option<usize>,
        touched: &BTreeSet<usize>,
        chosen: &BTreeSet<usize>,
    ) {
        let count = self.asked(request);
        let has_reason = has_reason(request);
        for &subsystem in touched {
            let policy = membership.subsystem(subsystem);
            let name = &policy.name;
            if policy.confirm.require_reason && !has_reason {
                let message = format!("the policy of {name} asks for a reason: give --reason TEXT");
                self.violations.push(Violation::new(Rule::ReasonRequired, message).subsystem(name));
            }
            // This version cannot take approvals: a plan that needs one does not run (S3).
            for rule in policy.confirm.approvals.iter().filter(|rule| count > rule.above) {
                let message = format!(
                    "the policy of {name} asks for {} above {}, which this version cannot take",
                    counted(rule.count, "approval"),
                    counted(rule.above, "host")
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

    /// Checks that every rule holds after every batch, not only at the end.
    pub(super) fn prefixes(
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

fn has_reason(request: &Request) -> bool {
    request.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty())
}

/// Whether a policy asks for more than the request has, if so many hosts go.
fn lacks(request: &Request, count: u64, policy: &SubsystemPolicy) -> bool {
    let is_above = policy.confirm.approvals.iter().any(|rule| count > rule.above);
    is_above || policy.confirm.require_reason && !has_reason(request)
}

pub(super) fn unknown_subsystem(
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

/// Why hosts in service are not candidates: one line per rule, with the first host as the example.
fn excluded(inputs: &Inputs<'_>, membership: &Membership<'_>, named: usize) -> Vec<Violation> {
    let name = &membership.subsystem(named).name;
    let mut reasons: BTreeMap<Rule, (u64, Violation)> = BTreeMap::new();
    for index in membership.members(named) {
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

/// `; nearest: index, index-2`, or nothing if no name is near.
fn nearest_hint<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(wanted, known);
    if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) }
}
