//! When hosts may be taken: budgets and intervals, over all runs together (S4).
//!
//! [`waits`] only reads the ledger's view; `coordination` does the spending.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{HostId, SubsystemName, Time, counted, duration_text};
use crate::policy::{Budget, SubsystemPolicy};

use super::membership::Membership;
use super::{Inputs, Removal, Rule, Violation};

/// The removals, and the last time when hosts of each subsystem went or came back: pace is judged by these.
#[derive(Clone, Copy)]
pub(crate) struct Books<'a> {
    pub(crate) removals: &'a [Removal],
    pub(crate) last_end: &'a BTreeMap<SubsystemName, Time>,
    pub(crate) now: Time,
}

/// What requires waiting, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) until: Time,
    pub(crate) why: String,
}

/// The latest wait of each kind; `None` means now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) budget: Option<Wait>,
    pub(crate) interval: Option<Wait>,
}

/// When budgets and intervals next allow these hosts to be taken together, by kind, and what they wait for.
///
/// Reserved hosts count as removed now: nobody knows when they will be released, so their window is assumed to end a
/// whole window from now. Hosts that the observation does not list are skipped.
///
/// # Errors
///
/// The violation of rule `budget` if the hosts never fit.
pub(crate) fn waits(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    hosts: &BTreeSet<HostId>,
    books: &Books<'_>,
) -> Result<Waits, Violation> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for host in hosts.iter().filter_map(|id| membership.find(id)) {
        for subsystem in membership.of(host) {
            *counts.entry(subsystem).or_default() += 1;
        }
    }
    let touched = counts.keys().map(|&s| membership.subsystem(s));
    let interval = touched.map(|policy| policy.pace.interval).max().unwrap_or_default();
    let mut waits = Waits::default();
    let later = |kept: &mut Option<Wait>, until: Time, why: String| {
        if until > books.now && kept.as_ref().is_none_or(|wait| until > wait.until) {
            *kept = Some(Wait { until, why });
        }
    };
    for (&subsystem, &count) in &counts {
        let policy = membership.subsystem(subsystem);
        for budget in &policy.pace.budgets {
            if let Some(until) = budget_opens(inputs, policy, budget, count, hosts, books)? {
                let per = duration_text(budget.per);
                let why =
                    format!("the budget of {} ({} in any {per}) is spent", policy.name, counted(budget.hosts, "host"));
                later(&mut waits.budget, until, why);
            }
        }
        if let Some(last) = books.last_end.get(&policy.name) {
            let text = duration_text(interval);
            let why = format!("hosts of {} were out until {last}; the interval is {text}", policy.name);
            later(&mut waits.interval, last.plus(interval), why);
        }
    }
    Ok(waits)
}

/// Windows are longer by twice the tolerance, because the stamps of two removals come from two clocks.
pub(crate) fn window(inputs: &Inputs<'_>, budget: &Budget) -> Duration {
    budget.per.saturating_add(inputs.bounds.tolerance.saturating_mul(2))
}

fn budget_opens(
    inputs: &Inputs<'_>,
    policy: &SubsystemPolicy,
    budget: &Budget,
    count: usize,
    hosts: &BTreeSet<HostId>,
    books: &Books<'_>,
) -> Result<Option<Time>, Violation> {
    let name = &policy.name;
    let allowed = usize::try_from(budget.hosts).unwrap_or(usize::MAX);
    if count > allowed {
        let per = duration_text(budget.per);
        let message = format!("{} of {name} would go; its budget is {allowed} in any {per}", counted(count, "host"));
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        return Err(Violation::new(Rule::Budget, message).subsystem(name).numbers(budget.hosts, count));
    }
    let window = window(inputs, budget);
    let mut leave: Vec<Time> = books
        .removals
        .iter()
        .filter(|r| r.subsystems.contains(name))
        // The run's own reservation of the same host is the removal in question, not another one.
        .filter(|r| !(r.at.is_none() && hosts.contains(&r.host)))
        .map(|r| r.at.unwrap_or(inputs.now).plus(window))
        .filter(|leaves| *leaves > books.now)
        .collect();
    leave.sort_unstable();
    // This many of the earlier removals have to leave the window first, oldest first.
    let excess = (leave.len().saturating_add(count)).saturating_sub(allowed);
    Ok(excess.checked_sub(1).map(|last| leave[last]))
}
