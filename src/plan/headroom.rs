//! How much can be removed now, and what limits it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::SubsystemName;

use super::constraints::{Ground, Names, Problem};
use super::explain::exclusion;
use super::gates::Gates;
use super::membership::Membership;
use super::select::Selector;
use super::verify::{judge_one, verify_over};
use super::{AssessError, Inputs, Rule, Stage, Taking, Violation};

/// What one subsystem can lose now: rules 1 to 6 with budgets taken as empty, and whatever is closed at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headroom {
    /// Its name.
    pub name: SubsystemName,
    /// The most hosts that a `--count` could take.
    pub hosts_allowed: u64,
    /// No larger count is possible; otherwise `hosts_allowed` is "at least".
    pub exact: bool,
    /// What one host more would violate; `None` where every candidate can go.
    pub binding: Option<Violation>,
    /// What would bind if the rule that binds were lifted.
    pub next: Option<Violation>,
    /// How many hosts could go then; `None` where nothing binds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_allowed: Option<u64>,
}

/// Headroom of one subsystem, or of all by name. A name that has no policy gives an empty list.
///
/// # Errors
///
/// [`AssessError`] where a host of a subsystem concerned cannot be weighed or placed.
pub fn headroom(inputs: &Inputs<'_>, only: Option<&SubsystemName>) -> Result<Vec<Headroom>, AssessError> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    let wanted = |&s: &usize| only.is_none_or(|name| membership.subsystem(s).name == *name);
    let gates = Gates::new(inputs, &membership);
    let ground = Ground::new(inputs, &membership, &gates);
    let decision = Decision { inputs, membership: &membership, gates: &gates, ground };
    (0..membership.subsystems().len()).filter(wanted).map(|s| decision.headroom(s)).collect()
}

struct Decision<'a> {
    inputs: &'a Inputs<'a>,
    membership: &'a Membership<'a>,
    gates: &'a Gates<'a>,
    ground: Ground<'a>,
}

impl Decision<'_> {
    fn headroom(&self, subsystem: usize) -> Result<Headroom, AssessError> {
        let problem = Problem::new(&self.ground, subsystem)?.merged();
        let (gated, open) = (Selector::new(&problem, true), Selector::new(&problem, false));
        let maximum = gated.maximum();
        let mut limits = Vec::new();
        if maximum.hosts < open.candidates() {
            let most = if gated.candidates() == open.candidates() { maximum.clone() } else { open.maximum() };
            if maximum.hosts < most.hosts {
                // Only what is closed at this moment stands in the way: once it opens, the rows decide.
                let taking = self.taking(open.any(maximum.hosts + 1, &most));
                let found = verify_over(self.inputs, self.membership, self.gates, &taking, Stage::Grant)?;
                limits.push((found.into_iter().next(), most.hosts));
                if let Some((row, rest)) = first_of(exclusion(&open, most.hosts + 1)) {
                    let then = open.keeping(|kept| kept != row).maximum().hosts;
                    limits.push((self.violation(&problem, &open, most.hosts + 1, row, &rest)?, then));
                }
            } else if let Some((row, rest)) = first_of(exclusion(&open, most.hosts + 1)) {
                let without = open.keeping(|kept| kept != row);
                let then = without.maximum().hosts;
                limits.push((self.violation(&problem, &open, most.hosts + 1, row, &rest)?, then));
                if let Some((next, rest)) = first_of(exclusion(&without, then + 1)) {
                    limits.push((self.violation(&problem, &without, then + 1, next, &rest)?, then));
                }
            }
        }
        let next_allowed = limits.first().map(|(_, then)| *then);
        let mut limits = limits.into_iter().filter_map(|(violation, _)| violation);
        Ok(Headroom {
            name: self.membership.subsystem(subsystem).name.clone(),
            hosts_allowed: maximum.hosts,
            exact: maximum.proved,
            binding: limits.next(),
            next: limits.next(),
            next_allowed,
        })
    }

    fn taking(&self, hosts: BTreeSet<usize>) -> Taking {
        let hosts = hosts.into_iter().map(|h| self.membership.host(h).id.clone()).collect();
        Taking { hosts, ..Taking::default() }
    }

    /// What taking so many hosts violates of the rule that a row stands for, with the numbers of the check.
    fn violation(
        &self,
        problem: &Problem<'_>,
        selector: &Selector<'_>,
        count: u64,
        row: usize,
        rest: &[usize],
    ) -> Result<Option<Violation>, AssessError> {
        // A choice that the rest of the set allows can only be excluded by this row: its numbers are the ones to show.
        let rest = selector.keeping(|kept| rest.contains(&kept));
        let most = rest.maximum();
        let some = rest.any(count, &most);
        // Where the search gave up, looking harder may still find one.
        let taking = self.taking(if (some.len() as u64) < count { rest.choose(count, &most) } else { some });
        let names = problem.rows[row].names;
        let found = judge_one(self.inputs, self.membership, &taking, names.subsystem, names.group)?;
        Ok(found.into_iter().find(|violation| is_meant(violation, names)))
    }
}

/// Whether a violation is of the rule that a row stands for.
pub(super) fn is_meant(violation: &Violation, names: Names<'_>) -> bool {
    let rule = if violation.rule == Rule::Budget { Rule::RunSize } else { violation.rule };
    let places = (violation.subsystem.as_ref(), violation.zone.as_ref(), violation.group.as_ref());
    rule == names.rule && places == (names.subsystem, names.zone, names.group)
}

/// The row without which more hosts could go, or the first of several that only do so together; and the others.
fn first_of(rows: Option<Vec<usize>>) -> Option<(usize, Vec<usize>)> {
    let rows = rows?;
    let (&row, rest) = rows.split_first()?;
    Some((row, rest.to_vec()))
}
