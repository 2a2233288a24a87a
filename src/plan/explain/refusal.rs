//! [`explain`]: the few constraints that together exclude a count, and what would make it possible.
//!
//! Every remedy was found by computing (a choice of that many hosts exists under it), never by guessing; a remedy that
//! was not found is left out. Nothing here decides: the plan's violations are what refuses.

use std::collections::BTreeSet;

use crate::model::{counted, duration_text, span_text};

use super::super::constraints::{Constraints, Names};
use super::super::solver::{Class, Maximum, Row, Selector};
use super::super::{AssessError, Constraint, Rule, Stage, Violation, Why, WouldAllow, capacity};
use super::exclusion::{Exclusion, exclusion};
use super::query::{CountQuery, group_members};
use super::remedies::Question;
use super::several_runs;

/// Why a count above `now` is refused; `None` if no proof was found, or nothing
/// would allow the count. `largest` is the maximum if everything were open.
pub(crate) fn explain(
    asked: CountQuery<'_>,
    constraints: &Constraints<'_>,
    now: &Maximum,
    largest: &Maximum,
    too_few: Option<&Violation>,
) -> Result<Option<Why>, AssessError> {
    let mut would_allow = Vec::new();
    if (1..asked.count).contains(&now.hosts) {
        let message = CountQuery::hosts(now.hosts);
        let message = if now.proved { message } else { format!("at least {message}") };
        would_allow.push(WouldAllow::FewerHosts { count: now.hosts, message });
    }
    if let Some(violation) = too_few {
        let allows = violation.remaining.unwrap_or(0);
        return Ok(Some(Why { constraints: vec![gate(violation, allows)], is_minimal: true, would_allow }));
    }
    let (gated, closed) = with_gates(&asked, constraints);
    let open = constraints.names.len();
    // A closed gate counts as a reason only if the numbers alone would allow the count; a limit on a single run counts
    // only if the count could go in several runs.
    let all = if asked.count > largest.hosts { constraints } else { &gated };
    let all = Selector::new(&all.problem, false);
    let lasting = all.keeping(|row| gated.names[row].rule != Rule::RunSize);
    let rows = exclusion(&lasting, asked.count).or_else(|| exclusion(&all, asked.count));
    let Some(Exclusion { rows, is_minimal }) = rows else { return Ok(None) };
    let mut constraints = Vec::new();
    for &row in &rows {
        constraints.push(match row.checked_sub(open).and_then(|place| closed.get(place)) {
            Some(violation) => gate(violation, 0),
            None => constraint(&asked, gated.names[row], gated.problem.rows[row].bound)?,
        });
    }
    if asked.count <= largest.hosts
        && let Some(at) = several_runs::opens(&asked)?
    {
        let long = span_text(at.since(asked.inputs.now));
        let message = format!("{} from {at} on ({long} from now)", CountQuery::hosts(asked.count));
        would_allow.push(WouldAllow::Later { at, message });
    }
    let question = Question::new(asked, &gated);
    if question.is_possible_in_several_runs()
        && let Some(runs) = several_runs::runs(&asked)?
    {
        would_allow.push(WouldAllow::SeveralRuns { message: several_runs::message(&runs), runs });
    }
    would_allow.extend(question.remedies(&rows)?);
    // If a halt excludes everything, the violation already says all there is to say.
    if would_allow.is_empty() && rows.iter().all(|&row| row >= open) {
        return Ok(None);
    }
    Ok(Some(Why { constraints, is_minimal, would_allow }))
}

/// Adds one row for everything that is closed now, from which nothing may be taken. Also returns what closes it.
fn with_gates<'a>(asked: &CountQuery<'_>, constraints: &Constraints<'a>) -> (Constraints<'a>, Vec<Violation>) {
    let problem = &constraints.problem;
    let mut gated = constraints.clone();
    let mut closed: Vec<(Violation, BTreeSet<usize>)> = Vec::new();
    let first = |class: &Class| class.ranks.first().map(|&rank| problem.candidates[rank]);
    let served = |host: Option<usize>| host.into_iter().flat_map(|host| asked.membership.of(host));
    let touched: BTreeSet<usize> =
        problem.classes.iter().filter(|class| class.closed).flat_map(|class| served(first(class))).collect();
    for subsystem in touched {
        for violation in asked.gates.closed(&BTreeSet::from([subsystem]), Stage::Grant) {
            match closed.iter_mut().find(|(known, _)| *known == violation) {
                Some((_, closes)) => _ = closes.insert(subsystem),
                None => closed.push((violation, BTreeSet::from([subsystem]))),
            }
        }
    }
    for (violation, closes) in &closed {
        let row = gated.names.len();
        gated.names.push(Names { rule: violation.rule, subsystem: None, zone: None, group: None });
        gated.problem.rows.push(Row { bound: 0, is_short: false });
        for class in &mut gated.problem.classes {
            if served(first(class)).any(|subsystem| closes.contains(&subsystem)) {
                class.takes.push((row, 1));
            }
        }
    }
    (gated, closed.into_iter().map(|(violation, _)| violation).collect())
}

/// A constraint whose message was worded elsewhere.
fn gate(violation: &Violation, allows: u64) -> Constraint {
    Constraint {
        rule: violation.rule,
        subsystem: violation.subsystem.clone(),
        zone: violation.zone.clone(),
        group: violation.group.clone(),
        allows,
        message: violation.message.clone(),
    }
}

/// A row as a constraint, worded for people.
fn constraint(asked: &CountQuery<'_>, names: Names<'_>, bound: u128) -> Result<Constraint, AssessError> {
    let Names { mut rule, subsystem, zone, group } = names;
    let allows = u64::try_from(bound).unwrap_or(u64::MAX);
    let can_go = |unit: &str| match allows {
        0 => "none can go".to_owned(),
        some => format!("{} can go", counted(some, unit)),
    };
    let mut message = String::new();
    if let Some(index) = subsystem.and_then(|name| asked.membership.find_subsystem(name)) {
        let policy = asked.membership.subsystem(index);
        let name = &policy.name;
        let table = capacity::table(asked.inputs, asked.membership, index, &BTreeSet::new())?;
        let here = zone.and_then(|zone| table.zones.iter().find(|of| of.name == *zone));
        message = match (rule, here) {
            (Rule::ZoneMinimum, Some(zone)) => format!(
                "{name} serves {} in zone {} and must keep {} there: {}",
                counted(zone.capacity, "unit"),
                zone.name,
                zone.minimum,
                can_go("unit")
            ),
            (Rule::ZoneLoss, Some(zone)) => format!(
                "{name} must keep {} even if zone {} were lost, and serves {} outside it: {} there",
                counted(table.minimum, "unit"),
                zone.name,
                table.capacity.saturating_sub(zone.capacity),
                can_go("unit")
            ),
            (Rule::RunSize, _) => match policy.pace.budgets.iter().min_by_key(|budget| budget.hosts) {
                Some(budget) if budget.hosts < policy.pace.max_hosts_per_run => {
                    rule = Rule::Budget;
                    format!(
                        "the budget of {name} is {} in any {}",
                        CountQuery::hosts(allows),
                        duration_text(budget.per)
                    )
                }
                _ => format!("one run may take {} of {name}", CountQuery::hosts(allows)),
            },
            _ => format!(
                "{name} serves {} and must keep {}: {}",
                counted(table.capacity, "unit"),
                table.minimum,
                can_go("unit")
            ),
        };
    }
    if let Some(group) = group.and_then(|name| asked.inputs.snapshot.group(name)) {
        message = format!(
            "group {} has {} in service, and the provider keeps its minimum of {}: {}",
            group.name,
            counted(group_members(asked, group), "host"),
            group.min_size,
            can_go("host")
        );
    }
    let (subsystem, zone, group) = (subsystem.cloned(), zone.cloned(), group.cloned());
    Ok(Constraint { rule, subsystem, zone, group, allows, message })
}
