//! The rules, as a command puts them to the independent check of `plan`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, HostId, ProbeKey, SubsystemName};
use crate::plan::{Inputs, LedgerView, Membership, Stage, Taking, Violation, earliest_start, verify};

use super::{Context, Refusal};

/// Refuses with every rule that `taking` violates, `found` among them.
pub(super) fn rules(
    ctx: &Context<'_>,
    snapshot: &FleetSnapshot,
    view: &LedgerView,
    taking: &Taking,
    stage: Stage,
    mut found: Vec<Violation>,
) -> Result<(), Refusal> {
    // Probes are the run's to watch: the record cannot know of them.
    let bad_probes = BTreeMap::new();
    for violation in verify(&inputs(ctx, snapshot, view, &bad_probes), taking, stage)? {
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

/// Refuses where a budget or an interval asks to wait, or never allows it.
pub(super) fn pace(
    ctx: &Context<'_>,
    snapshot: &FleetSnapshot,
    view: &LedgerView,
    hosts: &BTreeSet<HostId>,
) -> Result<(), Refusal> {
    let bad_probes = BTreeMap::new();
    match earliest_start(&inputs(ctx, snapshot, view, &bad_probes), hosts) {
        Ok(Some((until, why))) if until > ctx.now => Err(Refusal::Wait { until, why }),
        Ok(_) => Ok(()),
        Err(violation) => Err(Refusal::Rules(vec![violation])),
    }
}

fn inputs<'a>(
    ctx: &Context<'a>,
    snapshot: &'a FleetSnapshot,
    view: &'a LedgerView,
    bad_probes: &'a BTreeMap<ProbeKey, String>,
) -> Inputs<'a> {
    Inputs {
        policies: ctx.policies,
        snapshot,
        ledger: view,
        bad_probes,
        identity: ctx.identity,
        bounds: ctx.bounds,
        now: ctx.now,
    }
}

/// The subsystems that each of these hosts belongs to, serving or not; none of a host that is not listed.
pub(super) fn membership<'h>(
    ctx: &Context<'_>,
    snapshot: &FleetSnapshot,
    hosts: impl IntoIterator<Item = &'h HostId>,
) -> BTreeMap<HostId, BTreeSet<SubsystemName>> {
    let membership = Membership::new(ctx.policies, snapshot);
    let subsystems = |host: usize| membership.of(host).iter().map(|&s| membership.subsystem(s).name.clone()).collect();
    hosts.into_iter().map(|id| (id.clone(), membership.find(id).map(subsystems).unwrap_or_default())).collect()
}
