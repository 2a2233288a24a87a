//! The rules that do not depend on which hosts of a subsystem go: halts, windows, loosened policies, probes, launches,
//! and subsystems that are already in trouble.
//!
//! Each rule judges one subsystem at a time, so a set of subsystems is closed exactly if one of them is closed. Nothing
//! here adds up capacity.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rust_decimal::Decimal;

use crate::model::{Group, SubsystemName, counted, span_text};
use crate::policy::{SubsystemPolicy, command, loosened, quoted};

use super::doubts::Doubts;
use super::membership::Membership;
use super::{Claim, Inputs, Rule, Stage, Violation};

/// The gates of one decision. Answers that are the same for every subsystem are computed once.
pub(crate) struct Gates<'a> {
    inputs: &'a Inputs<'a>,
    membership: &'a Membership<'a>,
    weaker: Vec<Weaker>,
    doubts: Doubts<'a>,
    /// By subsystem: the gates that depend on it alone.
    own: Vec<Own>,
}

/// The gates that depend on one subsystem alone, each computed at most once.
#[derive(Default)]
struct Own {
    window: OnceLock<Option<Violation>>,
    grant: OnceLock<Vec<Violation>>,
    is_closed: OnceLock<bool>,
}

/// A policy that is not provably as strict as the accepted one.
struct Weaker {
    violation: Violation,
    name: SubsystemName,
    /// Whether the change can move hosts out of the policy's scope.
    concerns_all: bool,
}

impl<'a> Gates<'a> {
    pub(crate) fn new(inputs: &'a Inputs<'a>, membership: &'a Membership<'a>) -> Self {
        let weaker =
            inputs.ledger.accepted.iter().filter_map(|(name, accepted)| weaker(inputs, name, accepted)).collect();
        let own = membership.subsystems().iter().map(|_| Own::default()).collect();
        Self { inputs, membership, weaker, doubts: Doubts::new(inputs, membership), own }
    }

    /// Which hosts only do not count as capacity, and which are idle.
    pub(crate) fn doubts(&self) -> &Doubts<'a> {
        &self.doubts
    }

    /// Whether nothing of this subsystem may be granted now, whichever hosts are chosen.
    pub(crate) fn is_closed(&self, subsystem: usize) -> bool {
        let look = || !self.closed(&BTreeSet::from([subsystem]), Stage::Grant).is_empty();
        *self.own[subsystem].is_closed.get_or_init(look)
    }

    /// Every such rule that a run touching these subsystems violates.
    pub(crate) fn closed(&self, touched: &BTreeSet<usize>, stage: Stage) -> Vec<Violation> {
        let Self { inputs, membership, .. } = *self;
        let watched = self.watched(touched);
        let mut found = halted(inputs, &watched);
        found.extend(self.policy_loosened(&watched));
        for &subsystem in touched {
            let own = &self.own[subsystem];
            found.extend(own.window.get_or_init(|| window(inputs, membership.subsystem(subsystem))).clone());
            if stage == Stage::Grant {
                found.extend_from_slice(own.grant.get_or_init(|| {
                    let mut found = run_in_the_way(inputs, membership.subsystem(subsystem));
                    found.extend(cannot_launch(membership, subsystem));
                    found.extend(too_many_unserving(inputs, membership, subsystem));
                    found
                }));
            }
        }
        if stage == Stage::Grant {
            found.extend(unhealthy_now(inputs, &watched));
        }
        found
    }

    /// The subsystems whose state matters to the gates; empty if nothing is wrong anywhere.
    fn watched(&self, touched: &BTreeSet<usize>) -> BTreeSet<SubsystemName> {
        if self.weaker.is_empty() && self.inputs.ledger.halts.is_empty() && self.inputs.bad_probes.is_empty() {
            return BTreeSet::new();
        }
        let names = touched.iter().map(|&s| self.membership.subsystem(s).name.clone()).collect();
        self.inputs.policies.watched(&names)
    }

    /// If the change can move hosts out of the policy's scope, it concerns every run: nobody can tell any more which
    /// hosts it covered.
    fn policy_loosened(&self, watched: &BTreeSet<SubsystemName>) -> Vec<Violation> {
        let concerned = self.weaker.iter().filter(|w| w.concerns_all || watched.contains(&w.name));
        concerned.map(|w| w.violation.clone()).collect()
    }
}

fn window(inputs: &Inputs<'_>, policy: &SubsystemPolicy) -> Option<Violation> {
    let closed = policy.windows.as_ref()?.closed_at(inputs.now)?;
    let mut message = format!("{} may not lose hosts now: {}", policy.name, closed.why);
    if let Some(at) = closed.opens_at {
        message.push_str(&format!("; it may from {at} on ({} from now)", span_text(at.since(inputs.now))));
    }
    Some(Violation::new(Rule::Window, message).subsystem(&policy.name))
}

fn weaker(inputs: &Inputs<'_>, name: &SubsystemName, accepted: &SubsystemPolicy) -> Option<Weaker> {
    let now = inputs.policies.subsystems.get(name);
    let fields = |now: &SubsystemPolicy| {
        loosened(accepted, now).iter().map(|f| format!("{} was {}, is {}", f.field, f.was, f.is)).collect()
    };
    let reasons: Vec<String> = now.map_or_else(|| vec!["it has no policy file any more".to_owned()], fields);
    if reasons.is_empty() {
        return None;
    }
    let message = format!(
        "the policy of {name} is not provably as strict as the one that runs relied on: {}; \
         `{}` accepts it",
        reasons.join("; "),
        command(&inputs.policies.directory, &format!("policy accept {} --reason TEXT", quoted(name.as_str())))
    );
    Some(Weaker {
        violation: Violation::new(Rule::PolicyLoosened, message).subsystem(name),
        name: name.clone(),
        concerns_all: now.is_none_or(|now| accepted.hosts != now.hosts || accepted.depends_on != now.depends_on),
    })
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

/// Nothing is removed from a system in trouble, however idle it looks (slack-2021).
fn unhealthy_now(inputs: &Inputs<'_>, watched: &BTreeSet<SubsystemName>) -> Vec<Violation> {
    let bad = inputs.bad_probes.iter().filter(|(key, _)| watched.contains(&key.subsystem));
    bad.map(|(key, measured)| {
        Violation::new(Rule::UnhealthyNow, format!("probe {key} is bad already: {measured}")).subsystem(&key.subsystem)
    })
    .collect()
}

/// One batch of a subsystem at a time, over all runs; a run that nobody can wait for needs a person.
fn run_in_the_way(inputs: &Inputs<'_>, policy: &SubsystemPolicy) -> Vec<Violation> {
    let in_the_way = inputs.ledger.others.iter().filter(|run| run.silent && run.holds_of.contains(&policy.name));
    in_the_way
        .map(|other| {
            let message = format!(
                "run {} of {} has {} of {} out of service, and its process is dead or silent: \
                 `{}` puts them back",
                other.run,
                other.operator,
                counted(other.holds, "host"),
                policy.name,
                command(&inputs.policies.directory, &format!("abandon {}", other.run))
            );
            Violation::new(Rule::RunInTheWay, message).subsystem(&policy.name)
        })
        .collect()
}

/// If launches fail, hosts that go could not come back (planetscale-2025).
fn cannot_launch(membership: &Membership<'_>, subsystem: usize) -> Vec<Violation> {
    let policy = membership.subsystem(subsystem);
    if !policy.pace.requires_launch {
        return Vec::new();
    }
    // By place, which is the order of names.
    let groups: BTreeMap<usize, &Group> = membership
        .members(subsystem)
        .filter_map(|h| Some((membership.group_of(h)?, membership.group(h)?)))
        .filter(|(_, group)| group.launch_failure.is_some())
        .collect();
    let failing = groups.into_values().filter_map(|group| {
        let why = group.launch_failure.as_ref()?;
        let message = format!(
            "group {} of {} cannot launch hosts, so what goes could not come back: {why}",
            group.name, policy.name
        );
        Some(Violation::new(Rule::CannotLaunch, message).subsystem(&policy.name).group(&group.name))
    });
    failing.collect()
}

/// More of the subsystem's hosts than `max_unserving` per cent do not serve: something is already wrong.
///
/// The provider's word decides whether a host serves, in any state. A host that a run holds, removed or put back a
/// moment ago is out on purpose and does not count as not serving; a removed host no longer belongs to the subsystem at
/// all.
fn too_many_unserving(inputs: &Inputs<'_>, membership: &Membership<'_>, subsystem: usize) -> Option<Violation> {
    let policy = membership.subsystem(subsystem);
    let percent = policy.pace.max_unserving;
    let (mut members, mut unserving) = (0_u64, 0_u64);
    for index in membership.members(subsystem) {
        let host = membership.host(index);
        match inputs.ledger.claims.get(&host.id) {
            None => {
                members += 1;
                unserving += u64::from(!host.is_serving());
            }
            Some(Claim::Reserved { .. } | Claim::Settling { .. }) => members += 1,
            Some(Claim::Removed { .. }) => {}
        }
    }
    // An allowance rounds down: exactly `percent` of the hosts may be out, but not one more.
    if Decimal::from(unserving) * Decimal::ONE_HUNDRED <= Decimal::from(members) * percent {
        return None;
    }
    let message = format!(
        "of the {} of {} {unserving} do not serve already; its policy stops at more than {percent}%",
        counted(members, "host"),
        policy.name
    );
    Some(Violation::new(Rule::TooManyUnserving, message).subsystem(&policy.name))
}
