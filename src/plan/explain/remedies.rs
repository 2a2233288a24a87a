//! What else would make a count possible: more capacity, or other limits. A remedy is found by raising the bounds of
//! rows and searching for a choice again; the smallest raise is found by bisection.
//!
//! An answer is always a raise under which a choice of that many hosts was *found*. If the search gives up, the answer
//! is missing or larger than necessary, but never too small.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{GroupName, SubsystemName, ZoneName, duration_text};

use super::super::constraints::{Constraints, Names};
use super::super::solver::{Effort, Reach, Selector};
use super::super::stock::Room;
use super::super::why::PolicyEdit;
use super::super::{AssessError, Rule, SubsystemCapacity, WouldAllow, capacity};
use super::query::{CountQuery, group_members};

/// Zones that are tried one by one if more capacity in any zone would not be enough: a bound on work.
const ZONES: usize = 8;

/// The effort for all remedies of one refusal together.
const EFFORT: Duration = Duration::from_millis(40);

/// A count, and everything that excludes it.
pub(crate) struct Question<'q> {
    asked: CountQuery<'q>,
    constraints: &'q Constraints<'q>,
    effort: Effort,
}

/// Where the additional units would serve.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    Anywhere,
    In(&'a ZoneName),
    Outside(&'a ZoneName),
}

/// The limits that a policy sets for a choice.
#[derive(Clone, Copy)]
struct PolicyLimits {
    minimum: u64,
    per_zone: u64,
    /// The smallest of `max_hosts_per_run` and all budgets.
    hosts: u64,
}

impl<'q> Question<'q> {
    /// `constraints` must have a row for everything that is closed.
    pub(crate) fn new(asked: CountQuery<'q>, constraints: &'q Constraints<'q>) -> Self {
        Self { asked, constraints, effort: Effort::about(EFFORT) }
    }

    /// Whether a choice of the requested number of hosts is found if `room` gives the room of each row.
    fn is_possible(&self, room: impl Fn(&Names<'_>, Room) -> Room) -> bool {
        let Constraints { problem, names } = self.constraints;
        let is = problem.rows.iter().map(|row| Room { units: row.bound, is_short: row.is_short });
        let rooms: Vec<Room> = names.iter().zip(is).map(|(names, is)| room(names, is)).collect();
        let freed = problem.freed(|row| !rooms[row].is_short);
        let selector = Selector::new(freed.as_ref().unwrap_or(problem), false).bounded(|row, _| rooms[row].units);
        matches!(selector.reach(self.asked.count, &self.effort), Reach::Found(_))
    }

    /// Whether only run sizes and budgets exclude the count.
    pub(crate) fn is_possible_in_several_runs(&self) -> bool {
        let limits_a_run = |names: &Names<'_>| names.rule == Rule::RunSize;
        self.constraints.names.iter().any(limits_a_run)
            && self.is_possible(|names, is| if limits_a_run(names) { Room::of(u128::MAX) } else { is })
    }

    /// More capacity first, then other policies, for what these rows limit.
    pub(crate) fn remedies(&self, rows: &[usize]) -> Result<Vec<WouldAllow>, AssessError> {
        let names: Vec<Names<'_>> = rows.iter().map(|&row| self.constraints.names[row]).collect();
        let subsystems: BTreeSet<&SubsystemName> = names.iter().filter_map(|names| names.subsystem).collect();
        let (mut capacities, mut policies) = (Vec::new(), Vec::new());
        for name in subsystems {
            let Some(index) = self.asked.membership.find_subsystem(name) else { continue };
            let table = capacity::table(self.asked.inputs, self.asked.membership, index, &BTreeSet::new())?;
            let own: Vec<Names<'_>> = names.iter().filter(|names| names.subsystem == Some(name)).copied().collect();
            capacities.extend(self.more_capacity(&table, &own));
            policies.extend(self.other_policy(&table, &own, index));
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
            // One zone may be short as well: then capacity in the right zone solves both.
            let zones = table.zones.iter().take(ZONES).map(|zone| Place::In(&zone.name));
            found.extend(zones.filter_map(|place| Some((place, self.least_units(table, place)?))).min_by_key(|f| f.1));
        }
        found.into_iter().map(|(place, units)| more_capacity(&table.name, place, units)).collect()
    }

    fn least_units(&self, table: &SubsystemCapacity, place: Place<'_>) -> Option<u64> {
        let zone_minimum = table.zones.iter().map(|zone| zone.minimum).max().unwrap_or(0);
        // With this many additional units, everything that may be taken can be spared.
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
                    (Rule::Minimum, _) => Room::above(minimum, u128::from(table.capacity) + more(true, units)),
                    (Rule::ZoneMinimum, Some(zone)) => {
                        let serves = u128::from(zone.capacity) + more(place == Place::In(&zone.name), units);
                        Room::above(zone.minimum.into(), serves)
                    }
                    (Rule::ZoneLoss, Some(zone)) => {
                        let is_outside = match place {
                            Place::Anywhere => false,
                            Place::In(other) => *other != zone.name,
                            Place::Outside(other) => *other == zone.name,
                        };
                        let serves = u128::from(table.capacity.saturating_sub(zone.capacity)) + more(is_outside, units);
                        Room::above(minimum, serves)
                    }
                    _ => is,
                }
            })
        })
    }

    /// What the policy would have to say: each field on its own, or all of them together if no single one is enough.
    fn other_policy(&self, table: &SubsystemCapacity, own: &[Names<'_>], index: usize) -> Vec<WouldAllow> {
        let pace = &self.asked.membership.subsystem(index).pace;
        let is = PolicyLimits {
            minimum: table.minimum,
            per_zone: table.zones.first().map_or(0, |zone| zone.minimum),
            hosts: pace.budgets.iter().map(|budget| budget.hosts).chain([pace.max_hosts_per_run]).min().unwrap_or(0),
        };
        let stands = |rules: &[Rule]| own.iter().any(|names| rules.contains(&names.rule));
        let mut found = Vec::new();
        if stands(&[Rule::Minimum, Rule::ZoneLoss]) {
            found.extend(self.highest(table, is.minimum, |minimum| PolicyLimits { minimum, ..is }));
        }
        if stands(&[Rule::ZoneMinimum]) {
            found.extend(self.highest(table, is.per_zone, |per_zone| PolicyLimits { per_zone, ..is }));
        }
        if stands(&[Rule::RunSize]) {
            found.extend(self.lowest(table, is.hosts, |hosts| PolicyLimits { hosts, ..is }));
        }
        if found.is_empty() {
            found.extend(self.together(table, is));
        }
        found.into_iter().map(|limits| self.policy(index, is, limits)).collect()
    }

    /// Makes one field after the other as strict as possible; the fields that are not set yet are unlimited.
    fn together(&self, table: &SubsystemCapacity, is: PolicyLimits) -> Option<PolicyLimits> {
        let free = PolicyLimits { minimum: 0, per_zone: 0, hosts: is.hosts.max(self.asked.count) };
        if !self.is_possible_under(table, free) {
            return None;
        }
        let minimum = |minimum| PolicyLimits { minimum, ..free };
        let first = self.highest(table, is.minimum, minimum).unwrap_or(free);
        let per_zone = |per_zone| PolicyLimits { per_zone, ..first };
        let second = self.highest(table, is.per_zone, per_zone).unwrap_or(first);
        Some(self.lowest(table, is.hosts, |hosts| PolicyLimits { hosts, ..second }).unwrap_or(second))
    }

    /// The highest value up to `is` that would be enough.
    fn highest(&self, table: &SubsystemCapacity, is: u64, with: impl Fn(u64) -> PolicyLimits) -> Option<PolicyLimits> {
        let is_enough = |less: u64| self.is_possible_under(table, with(is - less));
        if is_enough(0) { Some(with(is)) } else { least(is, is_enough).map(|less| with(is - less)) }
    }

    /// The lowest number of hosts, starting from `is`, that would be enough.
    fn lowest(&self, table: &SubsystemCapacity, is: u64, with: impl Fn(u64) -> PolicyLimits) -> Option<PolicyLimits> {
        let is_enough = |more: u64| self.is_possible_under(table, with(is + more));
        let most = self.asked.count.saturating_sub(is);
        if is_enough(0) { Some(with(is)) } else { least(most, is_enough).map(|more| with(is + more)) }
    }

    fn is_possible_under(&self, table: &SubsystemCapacity, limits: PolicyLimits) -> bool {
        let zone_of = |names: &Names<'_>| names.zone.and_then(|zone| table.zones.iter().find(|of| of.name == *zone));
        self.is_possible(|names, is| match (names.rule, zone_of(names)) {
            _ if names.subsystem != Some(&table.name) => is,
            (Rule::RunSize, _) => Room::of(limits.hosts.into()),
            (Rule::Minimum, _) => Room::above(limits.minimum.into(), table.capacity.into()),
            (Rule::ZoneMinimum, Some(zone)) => Room::above(limits.per_zone.into(), zone.capacity.into()),
            (Rule::ZoneLoss, Some(zone)) => {
                let outside = table.capacity.saturating_sub(zone.capacity);
                Room::above(limits.minimum.into(), outside.into())
            }
            _ => is,
        })
    }

    fn policy(&self, index: usize, is: PolicyLimits, limits: PolicyLimits) -> WouldAllow {
        let policy = self.asked.membership.subsystem(index);
        let change = |field: &str, is: u64, would_be: u64| PolicyEdit { field: field.to_owned(), is, would_be };
        let mut changes = Vec::new();
        if limits.minimum < is.minimum {
            changes.push(change("minimum", is.minimum, limits.minimum));
        }
        if limits.per_zone < is.per_zone {
            changes.push(change("minimum_per_zone", is.per_zone, limits.per_zone));
        }
        if policy.pace.max_hosts_per_run < limits.hosts {
            changes.push(change("max_hosts_per_run", policy.pace.max_hosts_per_run, limits.hosts));
        }
        let budgets: BTreeSet<u64> = policy.pace.budgets.iter().map(|budget| budget.hosts).collect();
        let mut fields: Vec<String> = changes
            .iter()
            .map(|PolicyEdit { field, is, would_be }| format!("{field} {is} ({would_be} would do)"))
            .collect();
        for hosts in budgets.into_iter().filter(|hosts| *hosts < limits.hosts) {
            // Two budgets, 6 hosts an hour and 10 a day, are told apart by their windows.
            let windows = policy.pace.budgets.iter().filter(|budget| budget.hosts == hosts);
            let per = windows.map(|budget| duration_text(budget.per)).collect::<Vec<_>>().join(" and ");
            fields.push(format!("budgets {hosts} per {per} ({} would do)", limits.hosts));
            changes.push(change("budgets", hosts, limits.hosts));
        }
        let name = &policy.name;
        let message = format!("the policy of {name} says {}", fields.join(", "));
        WouldAllow::Policy { subsystem: name.clone(), changes, message }
    }

    /// The highest minimum size of a group that would be enough.
    fn other_group(&self, name: &GroupName) -> Option<WouldAllow> {
        let group = self.asked.inputs.snapshot.group(name)?;
        let members = group_members(&self.asked, group);
        let less = least(group.min_size, |less| {
            let spare = Room::of(members.saturating_sub(group.min_size - less).into());
            self.is_possible(|names, is| if names.group == Some(name) { spare } else { is })
        })?;
        let (is, would_be) = (group.min_size, group.min_size - less);
        let message = format!("group {name} has minimum size {is} at the provider ({would_be} would do)");
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

/// The smallest value from 1 to `most` for which `holds` is true, if more is never worse; `None` if it is not true for
/// `most`.
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
