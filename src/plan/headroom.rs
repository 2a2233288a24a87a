//! How much can be removed now, and what limits it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::SubsystemName;

use super::constraints::Problem;
use super::explain::{exclusion, only, without};
use super::gates::Gates;
use super::membership::Membership;
use super::select::Selector;
use super::verify::verify_over;
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
    (0..membership.subsystems().len()).filter(wanted).map(|s| of(inputs, &membership, &gates, s)).collect()
}

fn of(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    subsystem: usize,
) -> Result<Headroom, AssessError> {
    let problem = Problem::new(inputs, membership, gates, subsystem)?;
    let (gated, open) = (Selector::new(&problem, true), Selector::new(&problem, false));
    let maximum = gated.maximum();
    let mut limits = Vec::new();
    if maximum.hosts < open.candidates() {
        let judge = |hosts: BTreeSet<usize>| {
            let hosts = hosts.into_iter().map(|h| membership.host(h).id.clone()).collect();
            verify_over(inputs, membership, gates, &Taking { hosts, ..Taking::default() }, Stage::Grant)
        };
        let most = open.maximum();
        if maximum.hosts < most.hosts {
            // Only what is closed at this moment stands in the way: once it opens, the rows decide.
            limits.push((judge(open.choose(maximum.hosts + 1, &most))?.into_iter().next(), most.hosts));
            limits.extend(binding(&problem, most.hosts, &judge)?.map(|(violation, _, then)| (violation, then)));
        } else if let Some((violation, row, then)) = binding(&problem, most.hosts, &judge)? {
            limits.push((violation, then));
            limits.extend(binding(&without(&problem, row), then, &judge)?.map(|(next, _, after)| (next, after)));
        }
    }
    let next_allowed = limits.first().map(|(_, then)| *then);
    let mut limits = limits.into_iter().filter_map(|(violation, _)| violation);
    Ok(Headroom {
        name: membership.subsystem(subsystem).name.clone(),
        hosts_allowed: maximum.hosts,
        exact: maximum.proved,
        binding: limits.next(),
        next: limits.next(),
        next_allowed,
    })
}

/// A row that binds: what one host more would violate, the row, and how many hosts could go without it.
type Bound = (Option<Violation>, usize, u64);

/// The row without which more than `maximum` hosts could go, or the first of several that only do so together.
fn binding(
    problem: &Problem,
    maximum: u64,
    judge: &impl Fn(BTreeSet<usize>) -> Result<Vec<Violation>, AssessError>,
) -> Result<Option<Bound>, AssessError> {
    let Some(rows) = exclusion(problem, false, maximum + 1) else { return Ok(None) };
    let Some((&row, rest)) = rows.split_first() else { return Ok(None) };
    // A choice that the rest of the set allows can only be excluded by this row: its numbers are the ones to show.
    let freed = only(problem, rest);
    let selector = Selector::new(&freed, false);
    let hosts = selector.choose(maximum + 1, &selector.maximum());
    let names = &problem.rows[row].names;
    let is_meant = |v: &Violation| {
        let rule = if v.rule == Rule::Budget { Rule::RunSize } else { v.rule };
        (rule, &v.subsystem, &v.zone, &v.group) == (names.rule, &names.subsystem, &names.zone, &names.group)
    };
    let violation = judge(hosts)?.into_iter().find(is_meant);
    Ok(Some((violation, row, Selector::new(&without(problem, row), false).maximum().hosts)))
}
