//! The rules, as a command puts them to the independent check of `plan`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, HostId, ProbeKey, SubsystemName};
use crate::plan::{Books, Inputs, LedgerView, Membership, Stage, Taking, Violation, verify, waits};

use super::{Context, Refusal, WaitOn};

/// What of the pace is asked.
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

    /// Refuses with every rule that `taking` violates, and with what was `found` against it already.
    pub(super) fn rules(
        &self,
        view: &LedgerView,
        taking: &Taking,
        stage: Stage,
        mut found: Vec<Violation>,
    ) -> Result<(), Refusal> {
        for violation in verify(&self.inputs(view), taking, stage)? {
            let is_known = |known: &Violation| {
                (known.rule, &known.subsystem, &known.zone, &known.group, &known.host)
                    == (violation.rule, &violation.subsystem, &violation.zone, &violation.group, &violation.host)
            };
            if !found.iter().any(is_known) {
                found.push(violation);
            }
        }
        if found.is_empty() { Ok(()) } else { Err(Refusal::Rules(found)) }
    }

    /// Refuses where a budget asks to wait, or never allows it; and where an interval does, if it is asked.
    pub(super) fn pace(&self, view: &LedgerView, hosts: &BTreeSet<HostId>, pace: Pace) -> Result<(), Refusal> {
        let books = Books { removals: &view.removals, last_termination: &view.last_termination, now: self.ctx.now };
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

    /// The subsystems that each of these hosts belongs to, serving or not; none of a host that is not listed.
    pub(super) fn subsystems<'h>(
        &self,
        hosts: impl IntoIterator<Item = &'h HostId>,
    ) -> BTreeMap<HostId, BTreeSet<SubsystemName>> {
        let name = |&subsystem: &usize| self.membership.subsystem(subsystem).name.clone();
        let names = |host: usize| self.membership.of(host).iter().map(name).collect();
        hosts.into_iter().map(|id| (id.clone(), self.membership.find(id).map(names).unwrap_or_default())).collect()
    }

    fn inputs<'i>(&'i self, view: &'i LedgerView) -> Inputs<'i> {
        Inputs {
            policies: self.ctx.policies,
            snapshot: self.snapshot,
            ledger: view,
            bad_probes: &self.bad_probes,
            identity: self.ctx.identity,
            bounds: self.ctx.bounds,
            now: self.ctx.now,
        }
    }
}
