//! The rules, as a command puts them to the independent check of `plan`, and which of their violations are races.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, HostId, ProbeKey, RunId, SubsystemName, Time};
use crate::plan::{
    AssessError, Books, Inputs, LedgerView, Membership, Rule, Stage, Taking, Violation, may_serve, serving_without,
    units, verify, waits,
};

use super::view::is_silent;
use super::{Context, FleetRecord, Refusal, WaitOn};

/// The part of the pace that is judged.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// Before a batch.
    BudgetsAndIntervals,
    /// While it is held: intervals stand before batches only.
    Budgets,
}

/// One observation, and who belongs to what in it.
pub(super) struct Judge<'a> {
    ctx: &'a Context<'a>,
    snapshot: &'a FleetSnapshot,
    membership: Membership<'a>,
    /// None: probes are the run's to watch, the record cannot know of them.
    bad_probes: BTreeMap<ProbeKey, String>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(ctx: &'a Context<'a>, snapshot: &'a FleetSnapshot) -> Self {
        let membership = Membership::new(ctx.policies, snapshot);
        Self { ctx, snapshot, membership, bad_probes: BTreeMap::new() }
    }

    /// Every rule that `taking` violates, behind what was `found` against it already.
    pub(super) fn rules(
        &self,
        view: &LedgerView,
        taking: &Taking,
        stage: Stage,
        mut found: Vec<Violation>,
    ) -> Result<Vec<Violation>, AssessError> {
        for violation in verify(&self.inputs(view), taking, stage)? {
            if !found.iter().any(|known| is_same(known, &violation)) {
                found.push(violation);
            }
        }
        Ok(found)
    }

    /// Refuses if a budget asks to wait, or never allows it; and if an interval does, where intervals are judged.
    pub(super) fn pace(&self, view: &LedgerView, hosts: &BTreeSet<HostId>, pace: Pace) -> Result<(), Refusal> {
        let books = Books { removals: &view.removals, last_end: &view.last_end, now: self.ctx.now };
        let waits = waits(&self.inputs(view), &self.membership, hosts, &books)
            .map_err(|violation| Refusal::Rules(vec![violation]))?;
        let interval = match pace {
            Pace::BudgetsAndIntervals => waits.interval,
            Pace::Budgets => None,
        };
        let on = if waits.budget.is_some() { WaitOn::Budget } else { WaitOn::Interval };
        match waits.budget.into_iter().chain(interval).max_by_key(|wait| wait.until) {
            Some(wait) => Err(Refusal::Wait { until: wait.until, why: wait.why, on }),
            None => Ok(()),
        }
    }

    /// Whether another run's next batch could go now, by these policies and this observation.
    pub(super) fn could_go(&self, record: &FleetRecord, run: &RunId, hosts: &BTreeSet<HostId>) -> bool {
        let view = record.view(Some(run), self.ctx.silent, self.ctx.now);
        let taking = Taking { hosts: hosts.clone(), out: BTreeSet::new() };
        let violated = self.rules(&view, &taking, Stage::Grant, Vec::new());
        violated.is_ok_and(|found| found.is_empty()) && self.pace(&view, hosts, Pace::BudgetsAndIntervals).is_ok()
    }

    /// `--expect-remaining`, asked again.
    pub(super) fn expectation(
        &self,
        view: &LedgerView,
        subsystem: &SubsystemName,
        taken: &BTreeSet<HostId>,
        expected: u64,
    ) -> Option<Violation> {
        let named = self.membership.find_subsystem(subsystem)?;
        let chosen = taken.iter().filter_map(|id| self.membership.find(id)).collect();
        let remaining = serving_without(&self.inputs(view), &self.membership, named, &chosen);
        (remaining != expected).then(|| Violation::unexpected(subsystem, expected, remaining))
    }

    /// S9: a violation that stands only because of what other runs that live hold, claim or have just removed is a race,
    /// and never to be taken for a word of the policies. If one of them is not, all are told as rules. `own` is what was
    /// found beside the check of `plan` that no other run has to do with.
    pub(super) fn refused(
        &self,
        record: &FleetRecord,
        run: &RunId,
        taking: &Taking,
        found: Vec<Violation>,
        mut own: Vec<Violation>,
        expected: Option<(&SubsystemName, u64)>,
    ) -> Result<Refusal, AssessError> {
        let (silent, now) = (self.ctx.silent, self.ctx.now);
        let view = record.view(Some(run), silent, now);
        let alone = record.alone(Some(run), silent).view(Some(run), silent, now);
        let expected = expected.and_then(|(name, hosts)| self.expectation(&alone, name, &taking.hosts, hosts));
        own.extend(expected);
        let without = self.rules(&alone, taking, Stage::Grant, own)?;
        let since = record.runs.get(run).map_or(now, |entry| entry.planned_at);
        let is_race = |violation: &Violation| {
            let is_spoken_for = |host: &HostId| {
                let by_others = view.claims.contains_key(host) && !alone.claims.contains_key(host);
                by_others || view.claimed_by_others.contains_key(host)
            };
            violation.host.as_ref().is_some_and(is_spoken_for)
                || (violation.host.is_none() && !without.iter().any(|left| is_same(left, violation)))
                || is_made_up_for(violation, record, silent, Some(run), since)
        };
        Ok(if found.iter().all(is_race) { Refusal::Race(found) } else { Refusal::Rules(found) })
    }

    /// The subsystems that each of these hosts belongs to, serving or not; none of a host that is not listed.
    pub(super) fn subsystems<'h>(
        &self,
        hosts: impl IntoIterator<Item = &'h HostId>,
    ) -> BTreeMap<HostId, BTreeSet<SubsystemName>> {
        let name = |subsystem: usize| self.membership.subsystem(subsystem).name.clone();
        let names = |host: usize| self.membership.of(host).map(name).collect();
        hosts.into_iter().map(|id| (id.clone(), self.membership.find(id).map(names).unwrap_or_default())).collect()
    }

    /// Those of the hosts that serve, or may.
    pub(super) fn may_serve(&self, view: &LedgerView, hosts: &BTreeSet<HostId>) -> BTreeSet<HostId> {
        may_serve(&self.inputs(view), hosts)
    }

    /// A host's units in each of its subsystems.
    pub(super) fn units(&self, host: &HostId) -> Result<BTreeMap<SubsystemName, u64>, AssessError> {
        let Some(index) = self.membership.find(host) else { return Ok(BTreeMap::new()) };
        let weigh = |subsystem: usize| {
            let name = self.membership.subsystem(subsystem).name.clone();
            Ok((name, units(&self.membership, subsystem, index)?))
        };
        self.membership.of(index).map(weigh).collect()
    }

    fn inputs<'i>(&'i self, view: &'i LedgerView) -> Inputs<'i> {
        Inputs {
            policies: self.ctx.policies,
            snapshot: self.snapshot,
            ledger: view,
            bad_probes: &self.bad_probes,
            identity: self.ctx.identity,
            bounds: self.ctx.bounds,
            // The run's own; a record knows nobody's.
            credentials_end: None,
            prove: Inputs::PROVE,
            now: self.ctx.now,
        }
    }
}

/// The same rule of the same thing, whatever the numbers.
fn is_same(one: &Violation, other: &Violation) -> bool {
    let of = |v: &Violation| (v.rule, v.subsystem.clone(), v.zone.clone(), v.group.clone(), v.host.clone());
    of(one) == of(other)
}

/// Whether a rule of capacity would hold if the hosts still served that other runs which live hold now (they may put them
/// back), or have removed since then.
fn is_made_up_for(
    violation: &Violation,
    record: &FleetRecord,
    silent: &BTreeSet<RunId>,
    own: Option<&RunId>,
    since: Time,
) -> bool {
    let is_other = |run: &RunId| Some(run) != own;
    let is_of = |subsystems: &BTreeSet<SubsystemName>| {
        violation.subsystem.as_ref().is_none_or(|name| subsystems.contains(name))
    };
    let removed = record
        .removals
        .iter()
        .filter(|gone| is_other(&gone.run) && gone.at.is_some_and(|at| at > since) && is_of(&gone.subsystems));
    let live = record.runs.iter().filter(|(run, entry)| is_other(run) && !is_silent(run, entry, silent));
    let held =
        live.flat_map(|(_, entry)| entry.reservations.values()).filter(|reservation| is_of(&reservation.subsystems));
    let lately = match violation.rule {
        Rule::Minimum | Rule::ZoneMinimum | Rule::ZoneLoss => {
            let Some(name) = &violation.subsystem else { return false };
            let removed: u64 = removed.filter_map(|removal| removal.units.get(name)).sum();
            removed.saturating_add(held.filter_map(|reservation| reservation.units.get(name)).sum())
        }
        // The provider counts hosts.
        Rule::GroupMinimum => {
            (removed.count() + held.filter(|reservation| reservation.group == violation.group).count()) as u64
        }
        Rule::TooFewCandidates => (removed.count() + held.count()) as u64,
        // It wants a number, and every removal changes that.
        Rule::Expectation => return removed.count() + held.count() > 0,
        Rule::RunSize
        | Rule::Budget
        | Rule::NoPolicy
        | Rule::EmptySelection
        | Rule::UnhealthyNow
        | Rule::TooNoisy
        | Rule::Consult
        | Rule::Window
        | Rule::Halted
        | Rule::CannotLaunch
        | Rule::TooManyUnserving
        | Rule::ReasonRequired
        | Rule::UnknownSubsystem
        | Rule::UnknownHost
        | Rule::NotServingIt
        | Rule::NotRemovable
        | Rule::Protected
        | Rule::PolicyLoosened
        | Rule::ForeignLedger
        | Rule::RequestId
        | Rule::GroupMaximum
        | Rule::WayBack
        | Rule::Credentials
        | Rule::PlanStale
        | Rule::Approval
        | Rule::RunInTheWay
        | Rule::NotProved
        | Rule::ManagedElsewhere
        | Rule::ZoneShifted
        | Rule::StrayTargetGroup
        | Rule::ProviderFloor => return false,
    };
    let missing = violation.required.zip(violation.remaining).map(|(required, left)| required.saturating_sub(left));
    missing.is_some_and(|missing| missing > 0 && missing <= lately)
}

/// Whether a plan that is refused would be allowed but for what other runs that live hold or claim, or have removed since
/// the command that asks for it began: `without` is what it violates on a record that has them
/// [`alone`](FleetRecord::alone). What was gone before is the policies' word.
pub(crate) fn is_race(
    record: &FleetRecord,
    silent: &BTreeSet<RunId>,
    began_at: Time,
    violations: &[Violation],
    without: &[Violation],
) -> bool {
    let is_spoken_for = |host: &HostId| {
        let mut live = record.runs.iter().filter(|(run, entry)| !is_silent(run, entry, silent));
        live.any(|(_, entry)| entry.reservations.contains_key(host) || entry.claims.contains_key(host))
    };
    let is_others_doing = |violation: &Violation| {
        violation.host.as_ref().is_some_and(is_spoken_for) || is_made_up_for(violation, record, silent, None, began_at)
    };
    violations.iter().all(|violation| can_be_a_race(violation.rule)) && without.iter().all(is_others_doing)
}

/// Rules that another run can be the only reason for.
fn can_be_a_race(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::Minimum
            | Rule::ZoneMinimum
            | Rule::ZoneLoss
            | Rule::GroupMinimum
            | Rule::TooManyUnserving
            | Rule::TooFewCandidates
            | Rule::NotProved
            | Rule::NotRemovable
            | Rule::UnknownHost
            | Rule::Expectation
    )
}
