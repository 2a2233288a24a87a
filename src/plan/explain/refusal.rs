//! `why` of a refused plan: the few constraints that together exclude the count, and what would make it possible.
//!
//! [`Why`] explains and decides nothing: `violations` are what refuses. Every entry of `would_allow` was found by
//! computing (a choice of that many hosts exists under it), never guessed; what nobody found is left out. The order
//! is the one in which somebody on call should think: fewer hosts, later, in several runs, more capacity first. What a
//! policy would have to say comes last, as a fact and not as advice.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{GroupName, SubsystemName, Time, ZoneName, duration_text};

use super::super::constraints::{Constraints, Names};
use super::super::gates::Gates;
use super::super::membership::Membership;
use super::super::solver::{Class, Maximum, Row, Selector};
use super::super::{AssessError, Inputs, Rule, Stage, Violation, capacity};
use super::exclusion::exclusion;
use super::remedies::{Question, group_members};
use super::several_runs;

/// Why a count is refused, and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Why {
    /// Together they exclude the count; without any one of them it would be possible, unless to prove that took too
    /// long. Never empty.
    pub(crate) constraints: Vec<Constraint>,
    /// Each alone would make it possible, or (`fewer-hosts`) what is possible as it is. What is closed now stays so.
    pub(crate) would_allow: Vec<WouldAllow>,
}

/// One constraint that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Constraint {
    /// Which rule.
    pub(crate) rule: Rule,
    /// Of which subsystem, where the rule is a subsystem's.
    pub(crate) subsystem: Option<SubsystemName>,
    /// In which zone, where the rule is a zone's; with `zone-loss`, the zone that might be lost.
    pub(crate) zone: Option<ZoneName>,
    /// Of which group, where the rule is a group's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) group: Option<GroupName>,
    /// What it lets go now: units, or hosts with `run-size`, `budget`, `group-minimum` and `too-few-candidates`. What
    /// is closed lets nothing go.
    pub(crate) allows: u64,
    /// The whole sentence for people, with the numbers.
    pub(crate) message: String,
}

/// Something that would make the count possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum WouldAllow {
    /// So many can go now.
    FewerHosts {
        /// Hosts, at least 1.
        count: u64,
        /// For people.
        message: String,
    },
    /// The same count, once windows have opened.
    Later {
        /// When.
        at: Time,
        /// For people.
        message: String,
    },
    /// The same count by one run after the other.
    SeveralRuns {
        /// In order; at least two.
        runs: Vec<LaterRun>,
        /// For people.
        message: String,
    },
    /// More units of the subsystem in service.
    MoreCapacity {
        /// Of which subsystem.
        subsystem: SubsystemName,
        /// In this zone; without `zone` and `outside_zone`, in any of its zones.
        zone: Option<ZoneName>,
        /// In any of its zones but this one.
        outside_zone: Option<ZoneName>,
        /// The least number of units that do in whichever of these zones they are added.
        units: u64,
        /// For people.
        message: String,
    },
    /// Another policy of the subsystem. A fact, not advice.
    Policy {
        /// Whose.
        subsystem: SubsystemName,
        /// All of them together.
        changes: Vec<Change>,
        /// For people.
        message: String,
    },
    /// A lower minimum of the group at the provider. A fact, not advice.
    GroupMinimum {
        /// Which group.
        group: GroupName,
        /// Hosts.
        is: u64,
        /// Hosts; the highest that would do.
        would_be: u64,
        /// For people.
        message: String,
    },
}

impl WouldAllow {
    /// The sentence for people, without a capital and without a full stop.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::FewerHosts { message, .. }
            | Self::Later { message, .. }
            | Self::SeveralRuns { message, .. }
            | Self::MoreCapacity { message, .. }
            | Self::Policy { message, .. }
            | Self::GroupMinimum { message, .. } => message,
        }
    }
}

/// One of several runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaterRun {
    /// Hosts.
    pub(crate) count: u64,
    /// When budgets and intervals let it start, if those before it take as long as is planned; `None` is now.
    pub(crate) not_before: Option<Time>,
}

/// One field of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// `minimum`, `minimum_per_zone`, `max_hosts_per_run` or `budgets` (every budget of `is` hosts).
    pub(crate) field: String,
    /// Units or hosts.
    pub(crate) is: u64,
    /// Units or hosts: the strictest that would do.
    pub(crate) would_be: u64,
}

/// What was asked, and of what.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) membership: &'a Membership<'a>,
    pub(crate) gates: &'a Gates<'a>,
    pub(crate) named: usize,
    pub(crate) count: u64,
}

impl Asked<'_> {
    /// `1 host`, `7 hosts`
    pub(crate) fn hosts(count: u64) -> String {
        if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") }
    }
}

/// Why a count above `now` is refused; `None` where no proof of it was found. `largest` is what could go if
/// everything were open.
pub(crate) fn explain(
    asked: Asked<'_>,
    constraints: &Constraints<'_>,
    now: &Maximum,
    largest: &Maximum,
    too_few: Option<&Violation>,
) -> Result<Option<Why>, AssessError> {
    let mut would_allow = Vec::new();
    if (1..asked.count).contains(&now.hosts) {
        would_allow.push(WouldAllow::FewerHosts { count: now.hosts, message: Asked::hosts(now.hosts) });
    }
    if let Some(violation) = too_few {
        let allows = violation.remaining.unwrap_or(0);
        return Ok(Some(Why { constraints: vec![gate(violation, allows)], would_allow }));
    }
    let (gated, closed) = with_gates(&asked, constraints);
    let open = constraints.names.len();
    // What is closed counts as a reason only where the numbers alone would let the count go; and what limits a single
    // run only where the count could go in several.
    let all = if asked.count > largest.hosts { constraints } else { &gated };
    let all = Selector::new(&all.problem, false);
    let lasting = all.keeping(|row| gated.names[row].rule != Rule::RunSize);
    let rows = exclusion(&lasting, asked.count).or_else(|| exclusion(&all, asked.count));
    let Some(rows) = rows else { return Ok(None) };
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
        let long = duration_text(at.since(asked.inputs.now));
        let message = format!("{} from {at} on ({long} from now)", Asked::hosts(asked.count));
        would_allow.push(WouldAllow::Later { at, message });
    }
    let question = Question::new(asked, &gated);
    if question.is_possible_in_several_runs()
        && let Some(runs) = several_runs::runs(&asked)?
    {
        would_allow.push(WouldAllow::SeveralRuns { message: several_runs::message(&runs), runs });
    }
    would_allow.extend(question.remedies(&rows)?);
    // A halt that excludes everything says all there is to say as a violation.
    if would_allow.is_empty() && rows.iter().all(|&row| row >= open) {
        return Ok(None);
    }
    Ok(Some(Why { constraints, would_allow }))
}

/// The constraints with a row for everything that is closed now, from which nothing may be taken; and what closes it.
fn with_gates<'a>(asked: &Asked<'_>, constraints: &Constraints<'a>) -> (Constraints<'a>, Vec<Violation>) {
    let problem = &constraints.problem;
    let mut gated = constraints.clone();
    let mut closed: Vec<(Violation, BTreeSet<usize>)> = Vec::new();
    let first = |class: &Class| class.ranks.first().map(|&rank| problem.candidates[rank]);
    let served = |host: Option<usize>| host.map_or(&[][..], |host| asked.membership.of(host));
    let touched: BTreeSet<usize> =
        problem.classes.iter().filter(|class| class.closed).flat_map(|class| served(first(class))).copied().collect();
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
            if served(first(class)).iter().any(|subsystem| closes.contains(subsystem)) {
                class.takes.push((row, 1));
            }
        }
    }
    (gated, closed.into_iter().map(|(violation, _)| violation).collect())
}

/// A constraint that was worded elsewhere.
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

/// A row in the field's terms.
fn constraint(asked: &Asked<'_>, names: Names<'_>, bound: u128) -> Result<Constraint, AssessError> {
    let Names { mut rule, subsystem, zone, group } = names;
    let allows = u64::try_from(bound).unwrap_or(u64::MAX);
    let can_go = |unit: &str| match allows {
        0 => "none can go".to_owned(),
        1 => format!("1 {unit} can go"),
        many => format!("{many} {unit}s can go"),
    };
    let mut message = String::new();
    if let Some(index) = subsystem.and_then(|name| asked.membership.find_subsystem(name)) {
        let policy = asked.membership.subsystem(index);
        let name = &policy.name;
        let table = capacity::table(asked.inputs, asked.membership, index, &BTreeSet::new())?;
        let here = zone.and_then(|zone| table.zones.iter().find(|of| of.name == *zone));
        message = match (rule, here) {
            (Rule::ZoneMinimum, Some(zone)) => format!(
                "{name} serves {} units in zone {} and must keep {} there: {}",
                zone.capacity,
                zone.name,
                zone.minimum,
                can_go("unit")
            ),
            (Rule::ZoneLoss, Some(zone)) => format!(
                "{name} must keep {} units even if zone {} were lost, and serves {} outside it: {} there",
                table.minimum,
                zone.name,
                table.capacity.saturating_sub(zone.capacity),
                can_go("unit")
            ),
            (Rule::RunSize, _) => match policy.pace.budgets.iter().min_by_key(|budget| budget.hosts) {
                Some(budget) if budget.hosts < policy.pace.max_hosts_per_run => {
                    rule = Rule::Budget;
                    format!("the budget of {name} is {} in any {}", Asked::hosts(allows), duration_text(budget.per))
                }
                _ => format!("one run may take {} of {name}", Asked::hosts(allows)),
            },
            _ => format!("{name} serves {} units and must keep {}: {}", table.capacity, table.minimum, can_go("unit")),
        };
    }
    if let Some(group) = group.and_then(|name| asked.inputs.snapshot.group(name)) {
        message = format!(
            "group {} has {} hosts in service, and the provider keeps its minimum of {}: {}",
            group.name,
            group_members(asked, group),
            group.min_size,
            can_go("host")
        );
    }
    let (subsystem, zone, group) = (subsystem.cloned(), zone.cloned(), group.cloned());
    Ok(Constraint { rule, subsystem, zone, group, allows, message })
}
