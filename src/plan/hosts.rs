//! What a single host is to the rules: whether it serves, and whether it may go at all.
//!
//! Predicates on single hosts only; nothing here knows how many hosts there are.

use std::collections::BTreeSet;

use crate::model::{
    FleetMark, Group, Host, HostId, HostState, Obstacle, ObstacleKind, Protection, RunId, Time, ZoneName,
};
use crate::policy::{command, names_of};

use super::floor;
use super::membership::Membership;
use super::{AssessError, Claim, Inputs, Rule, Stage, Violation};

/// In service and healthy according to the provider, and not held by another run, removed or settling.
pub(crate) fn serves(inputs: &Inputs<'_>, host: &Host) -> bool {
    host.is_serving() && !inputs.ledger.claims.contains_key(&host.id)
}

/// Whether its units are capacity. By contract section 8, "Candidates", a protected host is not capacity, even if it
/// serves: it is also never taken, so leaving it out can only refuse more.
pub(crate) fn is_capacity(inputs: &Inputs<'_>, host: &Host) -> bool {
    serves(inputs, host) && host.protection.is_none()
}

/// The zones of a subsystem: those that its policy lists, or else every zone in which it has a host in any state.
///
/// # Errors
///
/// [`AssessError::Zone`] if a host is in a zone that the policy does not list.
pub(crate) fn zones<'a>(membership: &Membership<'a>, subsystem: usize) -> Result<BTreeSet<&'a ZoneName>, AssessError> {
    let policy = membership.subsystem(subsystem);
    let mut seen = vec![false; membership.zones().len()];
    for index in membership.members(subsystem) {
        if std::mem::replace(&mut seen[membership.zone_of(index)], true) {
            continue;
        }
        let host = membership.host(index);
        if policy.capacity.zones.as_ref().is_some_and(|listed| !listed.contains(&host.zone)) {
            return Err(AssessError::Zone {
                host: host.id.clone(),
                subsystem: policy.name.clone(),
                zone: host.zone.clone(),
            });
        }
    }
    let seen = membership.zones().iter().zip(seen).filter(|(_, seen)| *seen).map(|(zone, _)| *zone);
    Ok(policy.capacity.zones.as_ref().map_or_else(|| seen.collect(), |listed| listed.iter().collect()))
}

/// Why a host may not be taken, whichever others are. Empty for a candidate.
pub(crate) fn obstacles(inputs: &Inputs<'_>, membership: &Membership<'_>, id: &HostId, stage: Stage) -> Vec<Violation> {
    match (membership.find(id), inputs.ledger.claims.get(id)) {
        (Some(index), _) => obstacles_of(inputs, membership, index, stage),
        (None, Some(Claim::Removed { run, at })) => vec![removed(id, run, *at)],
        (None, _) => vec![Violation::new(Rule::UnknownHost, format!("there is no host {id}")).host(id)],
    }
}

fn removed(id: &HostId, run: &RunId, at: Time) -> Violation {
    Violation::new(Rule::UnknownHost, format!("host {id} was removed by run {run} at {at}")).host(id)
}

/// The same for a host that is listed.
pub(crate) fn obstacles_of(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    index: usize,
    stage: Stage,
) -> Vec<Violation> {
    let host = membership.host(index);
    let id = &host.id;
    let claim = inputs.ledger.claims.get(id);
    if let Some(Claim::Removed { run, at }) = claim {
        return vec![removed(id, run, *at)];
    }
    let mut found = Vec::new();
    let mut not_removable = |why: String| {
        found.push(Violation::new(Rule::NotRemovable, format!("host {id} cannot be removed: {why}")).host(id));
    };
    match claim {
        Some(Claim::Reserved { run }) => not_removable(format!("run {run} holds it")),
        Some(Claim::Settling { run, until }) => {
            not_removable(format!("run {run} held it, and where it is can be told only after {until}"));
        }
        Some(Claim::Removed { .. }) | None => {}
    }
    // While a run holds its hosts, the run judges their states itself.
    if stage == Stage::Grant {
        // S9: a host that another run has confirmed is not for this run to take.
        if let Some(run) = inputs.ledger.claimed_by_others.get(id) {
            not_removable(format!("run {run} has confirmed to take it"));
        }
        match host.state {
            HostState::InService => {}
            HostState::Pending => not_removable("it is not in service yet (pending)".to_owned()),
            HostState::Cordoned => not_removable("it is already out of service (cordoned)".to_owned()),
            HostState::Terminating => not_removable("it is already on its way out (terminating)".to_owned()),
        }
        if let Some(group) = membership.group(index).filter(|group| group.deleting) {
            not_removable(format!("its group {} is being deleted", group.name));
        }
    }
    found.extend(lasting_obstacles(inputs, membership, index));
    found
}

/// Why a host may not go in any state. Also applies to hosts that are held.
pub(crate) fn lasting_obstacles(inputs: &Inputs<'_>, membership: &Membership<'_>, index: usize) -> Vec<Violation> {
    let host = membership.host(index);
    let id = &host.id;
    let mut found = Vec::new();
    let mut add = |rule: Rule, message: String| found.push(Violation::new(rule, message).host(id));
    match host.protection {
        Some(Protection::ScaleIn) => add(Rule::Protected, format!("host {id} has its group's scale-in protection")),
        Some(Protection::Termination) => add(Rule::Protected, format!("host {id} has termination protection")),
        None => {}
    }
    if let Some(keeper) = membership.never(index) {
        add(Rule::Protected, format!("host {id} is kept for good by `[hosts] never` in the policy of {keeper}"));
    }
    let of_group = membership.group(index).map(|group| group.obstacles.as_slice()).unwrap_or_default();
    for Obstacle { kind, why } in host.obstacles.iter().chain(of_group) {
        match kind {
            ObstacleKind::WayBack => add(Rule::WayBack, format!("host {id} could not be put back: {why}")),
            ObstacleKind::NotRemovable => add(Rule::NotRemovable, format!("host {id} cannot be removed: {why}")),
            ObstacleKind::ZoneShifted => add(Rule::ZoneShifted, format!("host {id} takes no work now: {why}")),
            ObstacleKind::StrayTargetGroup => {
                add(Rule::StrayTargetGroup, format!("host {id} would get work while it is cordoned: {why}"));
            }
            // S1: every policy concerned must know better.
            ObstacleKind::ManagedElsewhere if membership.allows_managed(index) => {}
            ObstacleKind::ManagedElsewhere => add(
                Rule::ManagedElsewhere,
                format!(
                    "host {id} is managed elsewhere, so what goes may be replaced: {why}; `managed = \"allow\"` under \
                     [hosts] says that the policy knows better"
                ),
            ),
        }
    }
    if let Some(why) = floor::lacking(membership, index) {
        add(Rule::ProviderFloor, format!("host {id} cannot go under `provider_floor = \"required\"`: {why}"));
    }
    // A cleanup once terminated hosts because they had no tag (zombies-2012): no policy, no removal.
    if membership.of(index).len() == 0 {
        add(Rule::NoPolicy, format!("host {id} is selected by no policy"));
    }
    let without = named_without_policy(inputs, membership, index);
    if !without.is_empty() {
        let names = without.join(", ");
        add(Rule::NoPolicy, format!("host {id} says that it also serves {names}, which has no policy file"));
    }
    if let Some(why) = foreign(inputs, host, membership.group(index)) {
        add(Rule::ForeignLedger, why);
    }
    found
}

/// The subsystems that the host's own tag names, split as the contract says.
pub(crate) fn names_in_tag<'h>(inputs: &Inputs<'_>, host: &'h Host) -> impl Iterator<Item = &'h str> + use<'h> {
    let tag = inputs.policies.fleet.provider.subsystem_tag.as_ref();
    tag.and_then(|tag| host.tags.get(tag)).into_iter().flat_map(names_of)
}

fn named_without_policy(inputs: &Inputs<'_>, membership: &Membership<'_>, index: usize) -> Vec<String> {
    // Nearly always it is one of the few whose policies select the host.
    let selects = |name: &str| membership.of(index).any(|s| membership.subsystem(s).name.as_str() == name);
    let is_known = |name: &str| selects(name) || inputs.policies.subsystems.contains_key(name);
    let named = names_in_tag(inputs, membership.host(index));
    let mut names: Vec<String> = named.filter(|name| !is_known(name)).map(|name| format!("{name:?}")).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// S1: two ledgers would coordinate nothing. Every mark is checked, not only the nearest.
fn foreign(inputs: &Inputs<'_>, host: &Host, group: Option<&Group>) -> Option<String> {
    let id = &host.id;
    let ours = &inputs.ledger.ledger;
    let marks = [host.ledger.as_ref(), group.and_then(|g| g.ledger.as_ref()), inputs.snapshot.mark.ledger()];
    if let Some(other) = marks.into_iter().flatten().find(|mark| *mark != ours) {
        return Some(format!("host {id} belongs to ledger {other}, not to this one ({ours})"));
    }
    // If the first run does not set the mark, a missing mark means that nobody said which ledger governs.
    if marks.iter().all(Option::is_none) && inputs.snapshot.mark != FleetMark::Open {
        let adopt = command(&inputs.policies.directory, "ledger adopt --reason TEXT");
        return Some(format!("host {id} carries no ledger's mark: adopt it with `{adopt}` first"));
    }
    None
}
