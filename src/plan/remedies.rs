//! What else would make a count possible: more capacity, or other limits. Found by raising the bounds of rows and
//! looking for a choice again; the least raise is found by halving.
//!
//! An answer is only ever a raise under which a choice of that many hosts was *found*. Where the search gives up, the
//! answer is missing or larger than it need be, never too small.

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::model::{Group, GroupName, HostState, SubsystemName, ZoneName};

use super::constraints::{Names, Problem};
use super::select::Selector;
use super::why::{Asked, Change, WouldAllow};
use super::{AssessError, Rule, SubsystemCapacity, capacity};

/// Zones that are tried one by one where more capacity just anywhere would not do: a bound on work.
const ZONES: usize = 8;

/// Relaxations for all ways out of one refusal together: a bound on work, not on time, so that the same input gives
/// the same answer.
const NODES: usize = 1500;

/// A count, and everything that excludes it.
pub(crate) struct Question<'q> {
    asked: Asked<'q>,
    problem: &'q Problem<'q>,
    selector: Selector<'q>,
    /// Relaxations left.
    nodes: Cell<usize>,
}

/// Where more units would serve.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    Anywhere,
    In(&'a ZoneName),
    Outside(&'a ZoneName),
}

impl<'q> Question<'q> {
    /// `problem` has a row for whatever is closed.
    pub(crate) fn new(asked: Asked<'q>, problem: &'q Problem<'q>) -> Self {
        Self { asked, problem, selector: Selector::new(problem, false), nodes: Cell::new(NODES) }
    }

    /// Whether a choice of so many hosts is found under other bounds.
    fn is_possible(&self, bound: impl Fn(&Names<'_>, u128) -> u128) -> bool {
        let selector = self.selector.bounded(|row, is| bound(&self.problem.rows[row].names, is));
        selector.can_give(self.asked.count, &self.nodes) == Some(true)
    }

    /// Whether only the sizes of runs and budgets are in the way.
    pub(crate) fn is_possible_in_several_runs(&self) -> bool {
        let limits_a_run = |names: &Names<'_>| names.rule == Rule::RunSize;
        self.problem.rows.iter().any(|row| limits_a_run(&row.names))
            && self.is_possible(|names, is| if limits_a_run(names) { u128::MAX } else { is })
    }

    /// More capacity, then other policies, of what these rows are about.
    pub(crate) fn remedies(&self, rows: &[usize]) -> Result<Vec<WouldAllow>, AssessError> {
        let names: Vec<Names<'_>> = rows.iter().map(|&row| self.problem.rows[row].names).collect();
        let subsystems: BTreeSet<&SubsystemName> = names.iter().filter_map(|names| names.subsystem).collect();
        let (mut capacities, mut policies) = (Vec::new(), Vec::new());
        for name in subsystems {
            let Some(index) = self.asked.membership.find_subsystem(name) else { continue };
            let table = capacity::table(self.asked.inputs, self.asked.membership, index, &BTreeSet::new())?;
            let own: Vec<Names<'_>> = names.iter().filter(|names| names.subsystem == Some(name)).copied().collect();
            capacities.extend(self.more_capacity(&table, &own));
            policies.extend(self.other_minimums(&table, &own));
            policies.extend(own.iter().find(|names| names.rule == Rule::RunSize).and_then(|_| self.other_pace(index)));
        }
        policies.extend(names.iter().filter_map(|names| names.group).filter_map(|group| self.other_group(group)));
        capacities.append(&mut policies);
        Ok(capacities)
    }

    fn more_capacity(&self, table: &SubsystemCapacity, own: &[Names<'_>]) -> Vec<WouldAllow> {
        let places = own.iter().filter_map(|names| match (names.rule, names.zone) {
            (Rule::Minimum, None) => Some(Place::Anywhere),
            (Rule::ZoneMinimum, Some(zone)) => Some(Place::In(zone)),
            (Rule::ZoneLoss, Some(zone)) => Some(Place::Outside(zone)),
            _ => None,
        });
        let mut found: Vec<(Place<'_>, u64)> =
            places.filter_map(|place| Some((place, self.least_units(table, place)?))).collect();
        if found.is_empty() && own.iter().any(|names| names.rule == Rule::Minimum) {
            // One zone may be short as well: then the right zone settles both.
            let zones = table.zones.iter().take(ZONES).map(|zone| Place::In(&zone.name));
            found.extend(zones.filter_map(|place| Some((place, self.least_units(table, place)?))).min_by_key(|f| f.1));
        }
        found.into_iter().map(|(place, units)| more_capacity(&table.name, place, units)).collect()
    }

    fn least_units(&self, table: &SubsystemCapacity, place: Place<'_>) -> Option<u64> {
        let zone_minimum = table.zones.iter().map(|zone| zone.minimum).max().unwrap_or(0);
        // With so much on top, nothing that may be taken is missed.
        let plenty = table.capacity.checked_add(table.minimum)?.checked_add(zone_minimum)?;
        let more = |added: bool, more: u64| if added { u128::from(more) } else { 0 };
        least(plenty, |units| {
            self.is_possible(|names, is| {
                if names.subsystem != Some(&table.name) {
                    return is;
                }
                let minimum = u128::from(table.minimum);
                let here = names.zone.and_then(|zone| table.zones.iter().find(|of| of.name == *zone));
                match (names.rule, here) {
                    (Rule::Minimum, _) => (u128::from(table.capacity) + more(true, units)).saturating_sub(minimum),
                    (Rule::ZoneMinimum, Some(zone)) => {
                        let serves = u128::from(zone.capacity) + more(place == Place::In(&zone.name), units);
                        serves.saturating_sub(u128::from(zone.minimum))
                    }
                    (Rule::ZoneLoss, Some(zone)) => {
                        let is_outside = match place {
                            Place::Anywhere => false,
                            Place::In(other) => *other != zone.name,
                            Place::Outside(other) => *other == zone.name,
                        };
                        let serves = u128::from(table.capacity.saturating_sub(zone.capacity)) + more(is_outside, units);
                        serves.saturating_sub(minimum)
                    }
                    _ => is,
                }
            })
        })
    }

    /// The highest minimum and the highest minimum per zone that would do, each for itself.
    fn other_minimums(&self, table: &SubsystemCapacity, own: &[Names<'_>]) -> Vec<WouldAllow> {
        let mut found = Vec::new();
        let serves = |zone: &ZoneName| table.zones.iter().find(|of| of.name == *zone).map_or(0, |of| of.capacity);
        if own.iter().any(|names| matches!(names.rule, Rule::Minimum | Rule::ZoneLoss)) {
            let lower = least(table.minimum, |less| {
                let minimum = table.minimum - less;
                self.is_possible(|names, is| match (names.rule, names.zone) {
                    _ if names.subsystem != Some(&table.name) => is,
                    (Rule::Minimum, _) => u128::from(table.capacity.saturating_sub(minimum)),
                    (Rule::ZoneLoss, Some(zone)) => {
                        u128::from(table.capacity.saturating_sub(serves(zone)).saturating_sub(minimum))
                    }
                    _ => is,
                })
            });
            found.extend(lower.map(|less| self.lower(table, "minimum", table.minimum, table.minimum - less)));
        }
        if own.iter().any(|names| names.rule == Rule::ZoneMinimum) {
            let is_now = table.zones.first().map_or(0, |zone| zone.minimum);
            let lower = least(is_now, |less| {
                self.is_possible(|names, is| match (names.rule, names.zone) {
                    _ if names.subsystem != Some(&table.name) => is,
                    (Rule::ZoneMinimum, Some(zone)) => u128::from(serves(zone).saturating_sub(is_now - less)),
                    _ => is,
                })
            });
            found.extend(lower.map(|less| self.lower(table, "minimum_per_zone", is_now, is_now - less)));
        }
        found
    }

    fn lower(&self, table: &SubsystemCapacity, field: &str, is: u64, would_be: u64) -> WouldAllow {
        let what = if field == "minimum" { "a minimum" } else { "a minimum per zone" };
        let hosts = Asked::hosts(self.asked.count);
        let name = &table.name;
        WouldAllow::Policy {
            subsystem: name.clone(),
            message: format!("the policy of {name} has {what} of {is}: {hosts} would need one of {would_be} or less"),
            changes: vec![Change { field: field.to_owned(), is, would_be }],
        }
    }

    /// The smallest ceiling of a run that would do, in every limit that is below it.
    fn other_pace(&self, subsystem: usize) -> Option<WouldAllow> {
        let policy = self.asked.membership.subsystem(subsystem);
        let name = &policy.name;
        let is_own = |names: &Names<'_>| names.rule == Rule::RunSize && names.subsystem == Some(name);
        let ceiling = least(self.asked.count, |hosts| {
            self.is_possible(|names, is| if is_own(names) { is.max(u128::from(hosts)) } else { is })
        })?;
        let mut changes = Vec::new();
        let limits: BTreeSet<u64> = policy.pace.budgets.iter().map(|budget| budget.hosts).collect();
        let limits =
            limits.into_iter().map(|is| ("budgets", is)).chain([("max_hosts_per_run", policy.pace.max_hosts_per_run)]);
        let mut words = Vec::new();
        for (field, is) in limits.filter(|(_, is)| *is < ceiling) {
            changes.push(Change { field: field.to_owned(), is, would_be: ceiling });
            let hosts = Asked::hosts(is);
            words.push(if field == "budgets" { format!("a budget of {hosts}") } else { format!("{hosts} a run") });
        }
        let (has, hosts) = (words.join(" and "), Asked::hosts(self.asked.count));
        let message = format!("the policy of {name} has {has}: {hosts} at once would need {ceiling} or more");
        Some(WouldAllow::Policy { subsystem: name.clone(), changes, message })
    }

    /// The highest minimum size of a group that would do.
    fn other_group(&self, name: &GroupName) -> Option<WouldAllow> {
        let group = self.asked.inputs.snapshot.group(name)?;
        let members = group_members(&self.asked, group);
        let less = least(group.min_size, |less| {
            let spare = u128::from(members.saturating_sub(group.min_size - less));
            self.is_possible(|names, is| if names.group == Some(name) { spare } else { is })
        })?;
        let (is, would_be) = (group.min_size, group.min_size - less);
        let hosts = Asked::hosts(self.asked.count);
        let message =
            format!("group {name} has a minimum size of {is} at the provider: {hosts} would need {would_be} or less");
        Some(WouldAllow::GroupMinimum { group: name.clone(), is, would_be, message })
    }
}

fn more_capacity(subsystem: &SubsystemName, place: Place<'_>, units: u64) -> WouldAllow {
    let (zone, outside_zone, place) = match place {
        Place::Anywhere => (None, None, String::new()),
        Place::In(zone) => (Some(zone.clone()), None, format!(" in zone {zone}")),
        Place::Outside(zone) => (None, Some(zone.clone()), format!(" outside zone {zone}")),
    };
    let unit = if units == 1 { "unit" } else { "units" };
    let message = format!("{units} more {unit} of {subsystem} in service{place}");
    WouldAllow::MoreCapacity { subsystem: subsystem.clone(), zone, outside_zone, units, message }
}

/// Members that the provider counts against a group's minimum.
pub(crate) fn group_members(asked: &Asked<'_>, group: &Group) -> u64 {
    let claims = &asked.inputs.ledger.claims;
    let members = asked.membership.group_members(&group.name).iter().map(|&host| asked.membership.host(host));
    let in_service = members.filter(|h| h.state == HostState::InService && !claims.contains_key(&h.id)).count() as u64;
    in_service.min(group.desired)
}

/// The least of 1 to `most` for which it holds, where more is never worse; `None` where it does not hold for `most`.
fn least(most: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if most == 0 || !holds(most) {
        return None;
    }
    let (mut low, mut high) = (1, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}
