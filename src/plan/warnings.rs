//! What an operator should know before confirming, although no rule forbids it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{GroupName, Host, SubsystemName, counted, span_text};
use crate::policy::UnitsSource;

use super::Inputs;
use super::contradictions::believable;
use super::gates::Gates;
use super::hosts::{names_in_tag, serves};
use super::membership::Membership;
use super::schedule::Schedule;

/// Everything worth a line, the most pressing first.
pub(crate) fn all(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    chosen: &BTreeSet<usize>,
    touched: &BTreeSet<usize>,
    watched: &BTreeSet<SubsystemName>,
) -> Vec<String> {
    let mut found = unwatched(inputs, watched);
    found.extend(touched.iter().flat_map(|&s| protected(membership, s)));
    found.extend(touched.iter().flat_map(|&s| group_minimums(inputs, membership, s)));
    let groups: BTreeSet<&GroupName> = chosen.iter().filter_map(|&h| membership.host(h).group.as_ref()).collect();
    for group in groups.into_iter().filter_map(|name| inputs.snapshot.group(name)) {
        found.extend(group.notes.iter().map(|note| format!("group {}: {note}", group.name)));
    }
    found.extend(believable(inputs.policies, inputs.snapshot).unwrap_or_default());
    found.extend(unrouted(membership, chosen));
    found.extend(unselected(inputs, membership, gates, chosen));
    found.extend(inputs.policies.warnings.iter().map(ToString::to_string));
    found
}

/// Why one host is terminated before all others, whatever the policies say.
pub(crate) fn goes_first(inputs: &Inputs<'_>, membership: &Membership<'_>, dealt: &[Vec<usize>]) -> Option<String> {
    if !inputs.is_first_removal() {
        return None;
    }
    let members = dealt.iter().map(|batch| batch.iter().map(|&index| membership.host(index)));
    let mut firsts = members.map(|hosts| hosts.filter(|host| host.group.is_some()).min_by_key(|host| &host.id));
    let first = firsts.find_map(|first| first)?;
    let group = first.group.as_ref()?;
    Some(format!(
        "host {} is terminated first, and alone: this ledger has not seen yet that its provider launches nothing in place of \
         what goes. The others follow once group {group} shows it",
        first.id
    ))
}

/// The waits of the batches. They are no warnings: once the run has begun, its progress says what it waits for.
pub(crate) fn waits(inputs: &Inputs<'_>, schedule: &Schedule) -> Vec<String> {
    let mut found = Vec::new();
    // Batches that wait for the same budget, one behind the other, are one line.
    for alike in schedule.budgets.chunk_by(|(_, a), (_, b)| a.why == b.why) {
        let [(batch, wait), behind @ ..] = alike else { continue };
        let long = span_text(wait.until.since(inputs.now));
        let more = behind.last().map(|(_, last)| format!(", and {} behind it until {}", behind.len(), last.until));
        let more = more.unwrap_or_default();
        found.push(format!("batch {batch} has to wait until {} ({long} from now){more}: {}", wait.until, wait.why));
    }
    if let Some(wait) = &schedule.interval {
        let long = span_text(wait.until.since(inputs.now));
        found.push(format!("the first batch waits until {} ({long} from now): {}", wait.until, wait.why));
    }
    found
}

/// A safety check that was never set up is reported prominently.
fn unwatched(inputs: &Inputs<'_>, watched: &BTreeSet<SubsystemName>) -> Vec<String> {
    let bare =
        watched.iter().filter(|name| inputs.policies.subsystems.get(*name).is_some_and(|p| p.health.probes.is_empty()));
    bare.map(|name| format!("{name} has no probe: a bake sees only whether its hosts are in service")).collect()
}

/// By the contract, a protected host is not capacity: this must be said, or the numbers look wrong.
fn protected(membership: &Membership<'_>, subsystem: usize) -> Option<String> {
    let members = membership.members(subsystem);
    let count = members.filter(|&h| membership.host(h).protection.is_some()).count();
    let name = &membership.subsystem(subsystem).name;
    (count > 0).then(|| format!("protected, and neither capacity nor candidates: {} of {name}", counted(count, "host")))
}

/// MinSize at the policy's minimum is the one minimum that the provider itself enforces against a late call.
pub(crate) fn group_minimums(inputs: &Inputs<'_>, membership: &Membership<'_>, subsystem: usize) -> Option<String> {
    let policy = membership.subsystem(subsystem);
    if policy.capacity.units != UnitsSource::One {
        return None;
    }
    let mut groups: BTreeMap<&GroupName, u64> = BTreeMap::new();
    for host in membership.members(subsystem) {
        let group = membership.host(host).group.as_ref()?;
        groups.insert(group, inputs.snapshot.group(group)?.min_size);
    }
    let provided = groups.values().fold(0_u64, |sum, min| sum.saturating_add(*min));
    let (name, minimum) = (&policy.name, policy.capacity.minimum);
    if provided < minimum {
        return Some(format!(
            "the groups of {name} have a minimum size of {provided} in all, its policy one of {minimum}: \
             set theirs as high, and the provider holds the floor too"
        ));
    }
    (provided > minimum).then(|| {
        format!("the groups of {name} have a minimum size of {provided} in all, above the {minimum} of its policy")
    })
}

/// S2: a cordon takes a host out of its group and its target groups. If the host is in neither, the bake watches a
/// system that still has it.
fn unrouted(membership: &Membership<'_>, chosen: &BTreeSet<usize>) -> Option<String> {
    let mut hosts = chosen.iter().map(|&h| membership.host(h));
    let is_unrouted = |host: &&Host| host.group.is_none() && host.target_groups.is_empty();
    let first = &hosts.find(is_unrouted)?.id;
    let which = match hosts.filter(is_unrouted).count() {
        0 => format!("host {first} is"),
        more => format!("host {first} and {more} more are"),
    };
    Some(format!(
        "{which} in no group and behind no target group: a cordon takes no work away, and a bake does not show what \
         goes with it"
    ))
}

/// A tag that names a subsystem whose policy does not count the host, and members that do not serve or are in doubt.
fn unselected(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    gates: &Gates<'_>,
    chosen: &BTreeSet<usize>,
) -> Vec<String> {
    let mut found = Vec::new();
    for &index in chosen {
        let host = membership.host(index);
        let own: BTreeSet<&str> = membership.of(index).map(|s| membership.subsystem(s).name.as_str()).collect();
        let named: BTreeSet<&str> = names_in_tag(inputs, host).collect();
        for name in named.into_iter().filter(|n| !own.contains(n) && inputs.policies.subsystems.contains_key(*n)) {
            let id = &host.id;
            found.push(format!("host {id} says that it serves {name}, but the policy of {name} does not select it"));
        }
        if gates.doubts().of(index).next().is_some() {
            found.push(format!("host {} is unhealthy and may still get work", host.id));
        } else if !serves(inputs, host) {
            found.push(format!("host {} does not serve now", host.id));
        }
    }
    found
}
