//! The rules that do not depend on which hosts of a subsystem go: halts, windows, policies that became
//! weaker, probes, launches, and subsystems that are in trouble already.
//!
//! Each asks one subsystem at a time, so that what is closed for a set of subsystems is exactly what is
//! closed for one of them. Nothing here adds up capacity.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::model::{SubsystemName, duration_text};
use crate::policy::{SubsystemPolicy, loosened};

use super::hosts::serves;
use super::membership::Membership;
use super::{Inputs, Rule, Stage, Violation};

/// Every such rule that a run violates which touches these subsystems.
pub(crate) fn closed(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    touched: &BTreeSet<usize>,
    stage: Stage,
) -> Vec<Violation> {
    let names = touched.iter().map(|&s| membership.subsystem(s).name.clone()).collect();
    let watched = inputs.policies.watched(&names);
    let mut found = halted(inputs, &watched);
    found.extend(policy_loosened(inputs, &watched));
    for &subsystem in touched {
        let policy = membership.subsystem(subsystem);
        if let Some(closed) = policy.windows.as_ref().and_then(|w| w.closed_at(inputs.now)) {
            let mut message = format!("{} may not lose hosts now: {}", policy.name, closed.why);
            if let Some(at) = closed.opens_at {
                message.push_str(&format!("; it may from {at} on ({} from now)", duration_text(at.since(inputs.now))));
            }
            found.push(Violation::new(Rule::Window, message).subsystem(&policy.name));
        }
        if stage == Stage::Grant {
            found.extend(cannot_launch(inputs, membership, subsystem));
            found.extend(too_many_unserving(inputs, membership, subsystem));
        }
    }
    if stage == Stage::Grant {
        found.extend(unhealthy_now(inputs, &watched));
    }
    found
}

/// A halt of a subsystem stops every run that touches or watches it.
fn halted(inputs: &Inputs<'_>, watched: &BTreeSet<SubsystemName>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (subsystem, why) in &inputs.ledger.halts {
        match subsystem {
            None => found.push(Violation::new(Rule::Halted, format!("the fleet is halted: {why}"))),
            Some(name) if watched.contains(name) => {
                found.push(Violation::new(Rule::Halted, format!("{name} is halted: {why}")).subsystem(name));
            }
            Some(_) => {}
        }
    }
    found
}

/// A policy that is not provably as strict as the accepted one. Where the change can move hosts out of the
/// policy's sight, it concerns every run: nobody can tell any more which hosts it would have asked about.
fn policy_loosened(inputs: &Inputs<'_>, watched: &BTreeSet<SubsystemName>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, accepted) in &inputs.ledger.accepted {
        let now = inputs.policies.subsystems.get(name);
        if !watched.contains(name) && !is_reach_changed(accepted, now) {
            continue;
        }
        let weaker = |now: &SubsystemPolicy| {
            let fields = loosened(accepted, now);
            fields.iter().map(|f| format!("{} was {}, is {}", f.field, f.was, f.is)).collect()
        };
        let reasons: Vec<String> = now.map_or_else(|| vec!["it has no policy file any more".to_owned()], weaker);
        if !reasons.is_empty() {
            let message = format!(
                "the policy of {name} is not provably as strict as the one that runs relied on: {}; \
                 `safe-remove policy accept {name} --reason TEXT` accepts it",
                reasons.join("; ")
            );
            found.push(Violation::new(Rule::PolicyLoosened, message).subsystem(name));
        }
    }
    found
}

fn is_reach_changed(accepted: &SubsystemPolicy, now: Option<&SubsystemPolicy>) -> bool {
    now.is_none_or(|now| accepted.hosts != now.hosts || accepted.depends_on != now.depends_on)
}

/// Nothing is removed from a system in trouble, however idle it looks (slack-2021).
fn unhealthy_now(inputs: &Inputs<'_>, watched: &BTreeSet<SubsystemName>) -> Vec<Violation> {
    let bad = inputs.bad_probes.iter().filter(|(key, _)| watched.contains(&key.subsystem));
    bad.map(|(key, measured)| {
        Violation::new(Rule::UnhealthyNow, format!("probe {key} is bad already: {measured}")).subsystem(&key.subsystem)
    })
    .collect()
}

/// What goes could not come back (planetscale-2025).
fn cannot_launch(inputs: &Inputs<'_>, membership: &Membership<'_>, subsystem: usize) -> Vec<Violation> {
    let policy = membership.subsystem(subsystem);
    if !policy.pace.requires_launch {
        return Vec::new();
    }
    let groups: BTreeSet<_> =
        membership.members(subsystem).iter().filter_map(|&h| membership.host(h).group.as_ref()).collect();
    let failing = groups.into_iter().filter_map(|name| inputs.snapshot.group(name)).filter_map(|group| {
        let why = group.launch_failure.as_ref()?;
        let message = format!(
            "group {} of {} cannot launch hosts, so what goes could not come back: {why}",
            group.name, policy.name
        );
        Some(Violation::new(Rule::CannotLaunch, message).subsystem(&policy.name).group(&group.name))
    });
    failing.collect()
}

/// More of the subsystem's hosts than `max_unserving` per cent do not serve: something is wrong already.
fn too_many_unserving(inputs: &Inputs<'_>, membership: &Membership<'_>, subsystem: usize) -> Option<Violation> {
    let policy = membership.subsystem(subsystem);
    let percent = policy.pace.max_unserving?;
    let members = membership.members(subsystem);
    let unserving = members.iter().filter(|&&h| !serves(inputs, membership.host(h))).count();
    // An allowance rounds down: exactly `percent` of the hosts may be out, not one more.
    if Decimal::from(unserving) * Decimal::ONE_HUNDRED <= Decimal::from(members.len()) * percent {
        return None;
    }
    let message = format!(
        "{unserving} of the {} hosts of {} do not serve already; its policy stops at more than {percent}%",
        members.len(),
        policy.name
    );
    Some(Violation::new(Rule::TooManyUnserving, message).subsystem(&policy.name))
}
