//! The floor below this program: what a group's MinSize holds of a minimum whatever anybody's program does.
//!
//! A group's share is the part of a subsystem's minimum that falls to its members by their units, as far as all groups
//! together hold the minimum: rounded down then, and up where they do not.
//!
//! Where `[capacity] provider_floor = "required"`, a host may go only if its group holds its share.

use serde::Serialize;

use crate::model::{Group, GroupName, HostState, SubsystemName, counted};

use super::membership::Membership;
use super::weights::units;

/// A group whose MinSize holds less than its share of a subsystem's minimum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LowMinimum {
    /// The group.
    pub(crate) group: GroupName,
    /// Its MinSize, in hosts.
    pub(crate) is: u64,
    /// The MinSize that would hold its share, in hosts.
    pub(crate) asked: u64,
    /// The subsystem that asks most of it.
    pub(crate) of: SubsystemName,
    /// Why it cannot be raised to that now, if it cannot.
    pub(crate) why_not: Option<String>,
}

/// The groups that must hold more for all minimums to be held, whether or not a policy requires it.
pub(crate) fn low_minimums(membership: &Membership<'_>) -> Vec<LowMinimum> {
    let shares: Vec<Shares<'_>> = (0..membership.subsystems().len()).map(|of| Shares::of(membership, of)).collect();
    let asks: Vec<Ask<'_>> = shares.iter().flat_map(Shares::wanted).collect();
    let mut found = Vec::new();
    for (place, name) in membership.groups().iter().enumerate() {
        let first = membership.group_members(name).first();
        let Some(group) = first.and_then(|&host| membership.group(host)) else { continue };
        // A size that holds a share among hosts of others lets none of those go: that is for a person to decide.
        for is_mixed in [false, true] {
            let of_group = asks.iter().filter(|ask| ask.of.place == place && (ask.of.others > 0) == is_mixed);
            let low = of_group.filter(|ask| ask.size > u128::from(group.min_size)).max_by_key(|ask| ask.size);
            found.extend(low.map(|ask| LowMinimum {
                group: group.name.clone(),
                is: group.min_size,
                asked: u64::try_from(ask.size).unwrap_or(u64::MAX),
                of: ask.subsystem.clone(),
                why_not: why_not(group, ask),
            }));
        }
    }
    found
}

fn why_not(group: &Group, ask: &Ask<'_>) -> Option<String> {
    if let Some(obstacle) = group.obstacles.first() {
        return Some(obstacle.why.clone());
    }
    if group.deleting {
        return Some("it is being deleted".to_owned());
    }
    if ask.of.others > 0 {
        let others = counted(usize::try_from(ask.of.others).unwrap_or(usize::MAX), "host");
        return Some(format!("it has {others} of others, none of which could go then"));
    }
    (ask.size > u128::from(group.desired))
        .then(|| format!("its desired size is {}, and the provider would launch hosts", group.desired))
}

/// A MinSize that a subsystem asks of a group.
struct Ask<'a> {
    subsystem: &'a SubsystemName,
    of: &'a Part<'a>,
    /// In hosts.
    size: u128,
}

/// Why the host's provider does not hold what a policy requires of it.
pub(crate) fn lacking(membership: &Membership<'_>, host: usize) -> Option<String> {
    if !membership.of(host).iter().any(|&subsystem| requires(membership, subsystem)) {
        return None;
    }
    let Some(place) = membership.group_of(host) else {
        return Some("it is in no group, so its provider holds no minimum".to_owned());
    };
    membership.found_of_groups(|| of_groups(membership))[place].clone()
}

fn requires(membership: &Membership<'_>, subsystem: usize) -> bool {
    membership.subsystem(subsystem).capacity.provider_floor.is_required()
}

/// By group, why it holds less than its share.
fn of_groups(membership: &Membership<'_>) -> Vec<Option<String>> {
    let required = (0..membership.subsystems().len()).filter(|&subsystem| requires(membership, subsystem));
    let shares: Vec<Shares<'_>> = required.map(|subsystem| Shares::of(membership, subsystem)).collect();
    let of_group = |place: usize| shares.iter().find_map(|of| of.lacking(place));
    (0..membership.groups().len()).map(of_group).collect()
}

/// The parts that groups have in one subsystem.
struct Shares<'a> {
    name: &'a SubsystemName,
    /// In units.
    minimum: u128,
    /// The units of all members, those outside groups included.
    total: u128,
    parts: Vec<Part<'a>>,
    /// Groups that are not listed.
    unknown: Vec<usize>,
}

/// The part of one group.
struct Part<'a> {
    /// Its place in the list of groups.
    place: usize,
    name: &'a GroupName,
    min_size: u64,
    desired: u64,
    /// The units of its members of the subsystem.
    units: u128,
    /// The units of the lightest of them.
    lightest: u128,
    /// Members of other subsystems only.
    others: u128,
}

impl Part<'_> {
    /// The units that this MinSize holds: whoever shrinks the group takes the heaviest of the subsystem first, and nobody
    /// else's.
    fn held(&self, min_size: u128) -> u128 {
        min_size.saturating_sub(self.others) * self.lightest
    }

    /// The MinSize that holds so many units.
    fn size(&self, units: u128) -> u128 {
        units.div_ceil(self.lightest.max(1)) + self.others
    }
}

impl<'a> Shares<'a> {
    fn of(membership: &Membership<'a>, subsystem: usize) -> Self {
        let policy = membership.subsystem(subsystem);
        let mut shares = Self {
            name: &policy.name,
            minimum: policy.capacity.minimum.into(),
            total: total(membership, subsystem, membership.members(subsystem)).max(1),
            parts: Vec::new(),
            unknown: Vec::new(),
        };
        for (place, name) in membership.groups().iter().enumerate() {
            let members = membership.group_members(name);
            let (own, others): (Vec<usize>, Vec<usize>) =
                members.iter().partition(|&&host| membership.of(host).contains(&subsystem));
            let weights = own.iter().map(|&host| units(membership, subsystem, host).unwrap_or(0));
            let (Some(lightest), Some(&first)) = (weights.min(), own.first()) else { continue };
            let Some(group) = membership.group(first) else {
                shares.unknown.push(place);
                continue;
            };
            shares.parts.push(Part {
                place,
                name: &group.name,
                min_size: group.min_size,
                desired: group.desired,
                units: total(membership, subsystem, &own),
                lightest: lightest.into(),
                others: others.iter().filter(|&&host| stays(membership, host)).count() as u128,
            });
        }
        shares
    }

    /// Why that group holds less than its share.
    fn lacking(&self, place: usize) -> Option<String> {
        if self.unknown.contains(&place) {
            return Some("its group is not listed, so nobody knows what its provider holds".to_owned());
        }
        let of = self.parts.iter().find(|of| of.place == place)?;
        let (exact, held) = (self.minimum * of.units, of.held(of.min_size.into()));
        let all: u128 = self.parts.iter().map(|of| of.held(of.min_size.into())).sum();
        let share = if all >= self.minimum { exact / self.total } else { exact.div_ceil(self.total) };
        if held >= share {
            return None;
        }
        let Self { name, minimum, .. } = self;
        Some(format!(
            "MinSize of its group {} is {}, which holds {held} of {name}, and the group's share of the minimum of {minimum} is \
             {share}: set MinSize to {}",
            of.name,
            of.min_size,
            of.size(share)
        ))
    }

    /// By group, a MinSize with which all hold the minimum: each its share rounded down, and one host more where most of the
    /// share is missing, until that is enough. None is lower than now.
    fn wanted(&self) -> Vec<Ask<'_>> {
        let exact = |of: &Part<'_>| self.minimum * of.units;
        let size = |of: &Part<'_>| of.size(exact(of) / self.total).max(of.min_size.into());
        let mut sizes: Vec<(&Part<'_>, u128)> = self.parts.iter().map(|of| (of, size(of))).collect();
        while sizes.iter().map(|&(of, size)| of.held(size)).sum::<u128>() < self.minimum {
            let missing = |(of, size): &(&Part<'_>, u128)| exact(of).saturating_sub(of.held(*size) * self.total);
            let can_grow = |(of, size): &&mut (&Part<'_>, u128)| *size < of.desired.into() && of.lightest > 0;
            let Some(next) = sizes.iter_mut().filter(can_grow).max_by_key(|part| missing(part)) else { break };
            next.1 += 1;
        }
        sizes.into_iter().map(|(of, size)| Ask { subsystem: self.name, of, size }).collect()
    }
}

/// Members on their way out hold nothing.
fn stays(membership: &Membership<'_>, host: usize) -> bool {
    membership.host(host).state != HostState::Terminating
}

fn total(membership: &Membership<'_>, subsystem: usize, hosts: &[usize]) -> u128 {
    // A weight that cannot be read is an error of the plan.
    let of = |&host: &usize| units(membership, subsystem, host).map_or(0, u128::from);
    hosts.iter().filter(|&&host| stays(membership, host)).map(of).sum()
}
