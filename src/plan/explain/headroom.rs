//! How much can be removed now, and what limits it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::SubsystemName;

use super::super::constraints::{Constraints, Names};
use super::super::gates::Gates;
use super::super::membership::Membership;
use super::super::solver::{Effort, Maximum, Selector};
use super::super::stock::Ground;
use super::super::verify::{judge_one, verify_over};
use super::super::{AssessError, Inputs, Rule, Stage, Taking, Violation, contradictions};
use super::exclusion::{Limit, limit};

/// The part of the effort of a plan that each subsystem is given: there are many.
const PART: u32 = 10;

/// How many hosts are looked at together.
const TOGETHER: usize = 1024;

/// What one subsystem can lose now: rules 1 to 6 with budgets taken as empty, and everything that is closed at this
/// moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headroom {
    /// Its name.
    pub(crate) name: SubsystemName,
    /// Whom to ask about it, by its policy; null where the policy does not say.
    #[serde(default)]
    pub(crate) owner: Option<String>,
    /// The largest `--count` that would be allowed.
    pub(crate) hosts_allowed: u64,
    /// Whether it is proved that no larger count is possible; otherwise `hosts_allowed` means "at least".
    pub(crate) exact: bool,
    /// One host more would violate this, or one of the other rules that stop it; `None` if every candidate can go. The rule
    /// is `not-proved` if the count is not exact, or if it was not proved which few rules exclude one host more.
    pub(crate) binding: Option<Violation>,
    /// The rule that would bind if the binding one were lifted. Its count is the same if several rules stop one host more.
    pub(crate) next: Option<Violation>,
    /// How many hosts could go then; `None` if nothing binds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) next_allowed: Option<u64>,
    /// Whether it is proved that no more than `next_allowed` could go then; otherwise it means "at least".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) next_exact: Option<bool>,
}

/// A way to compute the answers to a list of independent questions; every implementation gives the same answers.
pub trait Spread {
    /// Maps the items, keeping their order.
    fn map<T: Sync, U: Send>(&self, items: &[T], each: impl Fn(&T) -> U + Sync) -> Vec<U>;
}

/// Computes one answer after the other.
#[derive(Clone, Copy, Debug)]
pub struct InTurn;

impl Spread for InTurn {
    fn map<T: Sync, U: Send>(&self, items: &[T], each: impl Fn(&T) -> U + Sync) -> Vec<U> {
        items.iter().map(each).collect()
    }
}

/// The headroom of one subsystem, or of all, by name. A name without a policy gives an empty list. The subsystems are
/// independent questions: `spread` computes the answers.
///
/// # Errors
///
/// [`AssessError`] if a host of a subsystem concerned cannot be weighed or placed.
pub fn headroom(
    inputs: &Inputs<'_>,
    only: Option<&SubsystemName>,
    spread: &impl Spread,
) -> Result<Vec<Headroom>, AssessError> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    contradictions::refuse(inputs.policies, &membership, inputs.snapshot)?;
    let wanted = |&s: &usize| only.is_none_or(|name| membership.subsystem(s).name == *name);
    let gates = Gates::new(inputs, &membership);
    let mut ground = Ground::new(inputs, &membership, &gates);
    if only.is_none() {
        let parts: Vec<usize> = (0..membership.hosts()).step_by(TOGETHER).collect();
        let end = |first: usize| membership.hosts().min(first + TOGETHER);
        ground.remember(spread.map(&parts, |&first| ground.look_at(first..end(first))).concat());
    }
    let decision = Decision { inputs, membership: &membership, gates: &gates, ground };
    let subsystems: Vec<usize> = (0..membership.subsystems().len()).filter(wanted).collect();
    spread.map(&subsystems, |&subsystem| decision.headroom(subsystem)).into_iter().collect()
}

struct Decision<'a> {
    inputs: &'a Inputs<'a>,
    membership: &'a Membership<'a>,
    gates: &'a Gates<'a>,
    ground: Ground<'a>,
}

impl Decision<'_> {
    fn headroom(&self, subsystem: usize) -> Result<Headroom, AssessError> {
        let Constraints { problem, names } = Constraints::merged(&self.ground, subsystem)?;
        let (gated, open) = (Selector::new(&problem, true), Selector::new(&problem, false));
        let effort = Effort::about(self.inputs.prove / PART);
        let maximum = gated.maximum(&effort);
        let (mut limits, mut then) = (Vec::new(), None);
        let is_limited = maximum.hosts < open.candidates();
        // What limits a count that is not proved to be the largest is not known either.
        if is_limited && maximum.proved {
            let is_open = gated.candidates() == open.candidates();
            let mut most = if is_open { maximum.clone() } else { open.maximum(&effort) };
            let first = limit(&open, &most);
            // A limit was proved to exclude one host more.
            most.proved |= first.is_some();
            if maximum.hosts < most.hosts {
                // Only what is closed at this moment limits the count: once it opens, the rows decide.
                let taking = self.taking(open.any(maximum.hosts + 1, &most));
                let found = verify_over(self.inputs, self.membership, self.gates, &taking, Stage::Grant)?;
                limits.push(found.into_iter().next());
                if let Some(limit) = first {
                    limits.push(self.violation(&names, &open, &most, &limit)?);
                }
                then = Some(most);
            } else if let Some(first) = first {
                let without = open.keeping(|kept| kept != first.row);
                let mut more = without.maximum(&effort);
                limits.push(self.violation(&names, &open, &most, &first)?);
                if let Some(next) = limit(&without, &more) {
                    more.proved = true;
                    limits.push(self.violation(&names, &without, &more, &next)?);
                }
                then = Some(more);
            }
        }
        let policy = self.membership.subsystem(subsystem);
        let name = &policy.name;
        let unknown = || match maximum.proved {
            true => Violation::unexplained(name, maximum.hosts + 1),
            false => Violation::not_proved(name, maximum.hosts + 1),
        };
        let mut limits = limits.into_iter().flatten();
        Ok(Headroom {
            name: name.clone(),
            owner: policy.owner.clone(),
            hosts_allowed: maximum.hosts,
            exact: maximum.proved,
            binding: limits.next().or_else(|| is_limited.then(unknown)),
            next: limits.next(),
            next_allowed: then.as_ref().map(|then: &Maximum| then.hosts),
            next_exact: then.map(|then| then.proved),
        })
    }

    fn taking(&self, hosts: BTreeSet<usize>) -> Taking {
        let hosts = hosts.into_iter().map(|h| self.membership.host(h).id.clone()).collect();
        Taking { hosts, ..Taking::default() }
    }

    /// The violation, with the check's numbers, of the rule that a row stands for, if one host more than the maximum
    /// were taken.
    fn violation(
        &self,
        names: &[Names<'_>],
        selector: &Selector<'_>,
        maximum: &Maximum,
        limit: &Limit,
    ) -> Result<Option<Violation>, AssessError> {
        let count = maximum.hosts + 1;
        let others = selector.keeping(|row| limit.others.contains(&row));
        // A choice that the other rows allow can only be excluded by this row, so its numbers are the ones to show. One
        // host on top of the maximum shows them best.
        let hosts = match others.one_more(maximum).as_ref().or(limit.choice.as_ref()) {
            Some(choice) => selector.keeping(|_| false).any(count, choice),
            // If the search gave up, a more thorough search may still find a choice.
            None => others.choose(count, &others.maximum(&Effort::about(self.inputs.prove / PART))),
        };
        let names = names[limit.row];
        let found = judge_one(self.inputs, self.membership, self.gates, &hosts, names.subsystem, names.group)?;
        Ok(found.into_iter().find(|violation| is_meant(violation, names)))
    }
}

/// Whether a violation belongs to the rule that a row stands for.
pub(crate) fn is_meant(violation: &Violation, names: Names<'_>) -> bool {
    let rule = if violation.rule == Rule::Budget { Rule::RunSize } else { violation.rule };
    let places = (violation.subsystem.as_ref(), violation.zone.as_ref(), violation.group.as_ref());
    rule == names.rule && places == (names.subsystem, names.zone, names.group)
}
