//! The independent re-check: whether a set of hosts may go, by every rule of contract section 5.
//!
//! [`verify`] stands before every effect, whatever command or path leads to it. It shares no arithmetic
//! with the planner: plain sums over hosts, subsystem by subsystem. It chooses nothing and must not
//! assume that the hosts came from a plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{GroupName, HostId, RunId, SubsystemName, ZoneName, counted};

use super::gates::Gates;
use super::membership::Membership;
use super::weights::units;
use super::{AssessError, Claim, Inputs, Rule, Stage, Taking, Violation, contradictions, group_sizes, hosts};

/// Every rule that taking these hosts violates; empty if they may go. [`super::waits`] judges budgets in time and
/// intervals.
///
/// A host of `taking.out` that the observation no longer lists takes nothing more: it is missing from
/// every sum, and constraints are judged for the others.
///
/// # Errors
///
/// [`AssessError`] if a host of a subsystem touched cannot be weighed or placed (S3).
pub fn verify(inputs: &Inputs<'_>, taking: &Taking, stage: Stage) -> Result<Vec<Violation>, AssessError> {
    let membership = Membership::new(inputs.policies, inputs.snapshot);
    verify_named(inputs, &membership, &Gates::new(inputs, &membership), taking, stage)
}

/// The same, with a membership and gates that were already built.
///
/// Hosts that are all certainly idle may be named even if too many hosts do not serve: they are what is wrong. A
/// request for a count leaves the choice to this program, which does not choose in such a state ([`verify_over`]).
pub(crate) fn verify_named(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    taking: &Taking,
    stage: Stage,
) -> Result<Vec<Violation>, AssessError> {
    let mut found = verify_over(inputs, membership, gates, taking, stage)?;
    let is_idle = |id: &HostId| membership.find(id).is_some_and(|host| gates.doubts().is_idle(host));
    if taking.out.is_empty() && taking.hosts.iter().all(is_idle) {
        found.retain(|violation| violation.rule != Rule::TooManyUnserving);
    }
    Ok(found)
}

/// The same for hosts that this program chose.
pub(crate) fn verify_over(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    taking: &Taking,
    stage: Stage,
) -> Result<Vec<Violation>, AssessError> {
    contradictions::refuse(inputs.policies, membership, inputs.snapshot)?;
    let mut found = Vec::new();
    if stage == Stage::Grant && taking.hosts.is_empty() {
        found.push(Violation::new(Rule::EmptySelection, "no host is selected, which never means all".to_owned()));
    }
    for id in &taking.hosts {
        found.extend(hosts::obstacles(inputs, membership, id, stage));
    }
    let taken = Taken::of(membership, taking);
    for &host in taken.out.difference(&taken.hosts) {
        found.extend(hosts::lasting_obstacles(inputs, membership, host));
    }
    let touched: BTreeSet<usize> = taken.all().flat_map(|host| membership.of(host)).collect();
    // S1: every subsystem that any of the hosts belongs to is judged, not only the named one.
    for &subsystem in &touched {
        Sums::of(inputs, membership, gates, subsystem, &taken)?.judge(&mut found);
        if stage == Stage::Grant {
            judge_size(membership, subsystem, &taken, &mut found);
        }
    }
    let all = taken.all().collect();
    group_sizes::floor(inputs, membership, &all, &mut found);
    group_sizes::ceiling(inputs, membership, &all, &taken.out, &mut found);
    found.extend(gates.closed(&touched, stage));
    Ok(found)
}

/// Of the sums of a grant, judges only those of one subsystem or one group: for showing the numbers of a rule that is
/// known to bind, never for allowing anything.
pub(crate) fn judge_one(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    hosts: &BTreeSet<usize>,
    subsystem: Option<&SubsystemName>,
    group: Option<&GroupName>,
) -> Result<Vec<Violation>, AssessError> {
    let mut found = Vec::new();
    let taken = Taken { hosts: hosts.clone(), out: BTreeSet::new() };
    if let Some(subsystem) = subsystem.and_then(|name| membership.find_subsystem(name)) {
        Sums::of(inputs, membership, gates, subsystem, &taken)?.judge(&mut found);
        judge_size(membership, subsystem, &taken, &mut found);
    }
    if group.is_some() {
        group_sizes::floor(inputs, membership, &taken.hosts, &mut found);
    }
    Ok(found)
}

/// The hosts of a [`Taking`] that the observation lists, by index.
struct Taken {
    hosts: BTreeSet<usize>,
    out: BTreeSet<usize>,
}

impl Taken {
    fn of(membership: &Membership<'_>, taking: &Taking) -> Self {
        let find = |ids: &BTreeSet<HostId>| ids.iter().filter_map(|id| membership.find(id)).collect();
        Self { hosts: find(&taking.hosts), out: find(&taking.out) }
    }

    fn all(&self) -> impl Iterator<Item = usize> {
        self.hosts.union(&self.out).copied()
    }
}

/// One zone of a subsystem, in units.
#[derive(Default)]
struct ZoneSums {
    before: u128,
    after: u128,
    /// Whether a host is taken from it that is capacity, or was when it was granted, or is not known to be idle.
    taken_from: bool,
}

/// One subsystem, in units.
struct Sums<'a> {
    policy: &'a crate::policy::SubsystemPolicy,
    zones: BTreeMap<&'a ZoneName, ZoneSums>,
    /// Members that other runs have reserved, or that are settling.
    held: BTreeMap<RunId, u64>,
    /// Hosts that are taken and are not capacity, but may still serve.
    doubtful: u64,
}

impl<'a> Sums<'a> {
    fn of(
        inputs: &Inputs<'_>,
        membership: &Membership<'a>,
        gates: &Gates<'_>,
        subsystem: usize,
        taken: &Taken,
    ) -> Result<Self, AssessError> {
        let policy = membership.subsystem(subsystem);
        let listed = hosts::zones(membership, subsystem)?;
        let mut by_zone: Vec<ZoneSums> = membership.zones().iter().map(|_| ZoneSums::default()).collect();
        let mut held: BTreeMap<RunId, u64> = BTreeMap::new();
        let mut doubtful = 0;
        for index in membership.members(subsystem) {
            let host = membership.host(index);
            if let Some(Claim::Reserved { run } | Claim::Settling { run, .. }) = inputs.ledger.claims.get(&host.id) {
                *held.entry(run.clone()).or_default() += 1;
            }
            let units = u128::from(units(membership, subsystem, index)?);
            let sums = &mut by_zone[membership.zone_of(index)];
            if taken.out.contains(&index) {
                // Out of service for this run: it counts for nothing, whatever a late read says about it.
                sums.taken_from = true;
            } else if hosts::is_capacity(inputs, host) {
                sums.before += units;
                if taken.hosts.contains(&index) {
                    sums.taken_from = true;
                } else {
                    sums.after += units;
                }
            } else if taken.hosts.contains(&index) && gates.doubts().is_doubtful(subsystem, index) {
                // S1: not capacity, but perhaps everything that is left of a subsystem that is short by every check.
                sums.taken_from = true;
                doubtful += 1;
            }
        }
        let mut zones: BTreeMap<&ZoneName, ZoneSums> =
            listed.into_iter().map(|zone| (zone, ZoneSums::default())).collect();
        // Every zone that has a member is listed.
        for (zone, sums) in membership.zones().iter().zip(by_zone) {
            zones.entry(zone).and_modify(|listed| *listed = sums);
        }
        Ok(Self { policy, zones, held, doubtful })
    }

    /// Rules 1 to 4.
    fn judge(&self, found: &mut Vec<Violation>) {
        let name = &self.policy.name;
        let capacity = &self.policy.capacity;
        let minimum = u128::from(capacity.minimum);
        let before: u128 = self.zones.values().map(|z| z.before).sum();
        let after: u128 = self.zones.values().map(|z| z.after).sum();
        // Rule 4: hosts that are idle may go even from a subsystem that is short.
        if after < minimum && self.zones.values().any(|z| z.taken_from) {
            let message = format!(
                "{name} would keep {after} of the {} that it must keep ({before} serve now)",
                counted(minimum, "unit")
            );
            found.push(self.violation(Rule::Minimum, minimum, after, message));
        }
        let per_zone = capacity.minimum_per_zone.map(|m| m.units(capacity.baseline, self.zones.len()));
        for (zone, sums) in &self.zones {
            let least = u128::from(per_zone.unwrap_or(0));
            if sums.after < least && sums.taken_from {
                let message = format!(
                    "{name} would keep {} in zone {zone} of the {} that it must keep there ({} serve now)",
                    sums.after,
                    counted(least, "unit"),
                    sums.before
                );
                found.push(self.violation(Rule::ZoneMinimum, least, sums.after, message).zone(zone));
            }
            let elsewhere = self.zones.iter().filter(|(other, _)| *other != zone);
            if capacity.survive_zone_loss && elsewhere.clone().any(|(_, z)| z.taken_from) {
                let rest: u128 = elsewhere.map(|(_, z)| z.after).sum();
                if rest < minimum {
                    let message = format!(
                        "{name} would keep {rest} of the {} that it must keep if zone {zone} were lost",
                        counted(minimum, "unit")
                    );
                    found.push(self.violation(Rule::ZoneLoss, minimum, rest, message).zone(zone));
                }
            }
        }
    }

    fn violation(&self, rule: Rule, required: u128, remaining: u128, mut message: String) -> Violation {
        for (run, hosts) in &self.held {
            message.push_str(&format!("; run {run} holds {hosts} of its hosts"));
        }
        match self.doubtful {
            0 => {}
            1 => message.push_str("; 1 host that would go is unhealthy and may still get work"),
            many => message.push_str(&format!("; {many} hosts that would go are unhealthy and may still get work")),
        }
        let narrow = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Violation::new(rule, message).subsystem(&self.policy.name).numbers(narrow(required), narrow(remaining))
    }
}

/// `run-size`, and the ceilings of budgets: every host that belongs to the subsystem counts, serving or not.
fn judge_size(membership: &Membership<'_>, subsystem: usize, taken: &Taken, found: &mut Vec<Violation>) {
    let policy = membership.subsystem(subsystem);
    let name = &policy.name;
    let mut count = 0_u64;
    for host in taken.all() {
        if membership.belongs(host, subsystem) {
            count += 1;
        }
    }
    let limit = policy.pace.max_hosts_per_run;
    if count > limit {
        let message = format!("{} of {name} would go; one run may take {limit}", counted(count, "host"));
        found.push(Violation::new(Rule::RunSize, message).subsystem(name).numbers(limit, count));
    }
    // S4: a set that is larger than a budget would never fit, however long it waits.
    for budget in &policy.pace.budgets {
        if count > budget.hosts {
            let (per, hosts) = (crate::model::duration_text(budget.per), counted(count, "host"));
            let message = format!("{hosts} of {name} would go; its budget is {} in any {per}", budget.hosts);
            found.push(Violation::new(Rule::Budget, message).subsystem(name).numbers(budget.hosts, count));
        }
    }
}
