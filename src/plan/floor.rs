//! The floor below this program: what a group's MinSize holds of a minimum whatever anybody's program does.
//!
//! Where `[capacity] provider_floor = "required"`, a host may go only if the groups of its subsystem together hold the
//! minimum, or its own group holds its share: the part that falls to the group's members by their units, rounded up.

use serde::Serialize;

use crate::model::{Group, GroupName, HostState, SubsystemName, counted};

use super::error::AssessError;
use super::membership::Membership;
use super::weights::units;

/// A group whose MinSize holds too little of a subsystem's minimum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LowMinimum {
    /// The group.
    pub(crate) group: GroupName,
    /// Its MinSize, in hosts.
    pub(crate) is: u64,
    /// The MinSize that would hold its part, in hosts.
    pub(crate) asked: u64,
    /// The subsystem that asks it.
    pub(crate) of: SubsystemName,
    /// Why it cannot be raised to that now, if it cannot.
    pub(crate) why_not: Option<String>,
}

/// The groups whose MinSize must be higher so that the provider holds every minimum, whether or not a policy requires it; and,
/// where those that can be raised are not enough, the others that hold less than their share.
///
/// # Errors
///
/// [`AssessError::Weight`]: nothing is said of groups where not every host's weight can be read.
pub(crate) fn low_minimums(membership: &Membership<'_>) -> Result<Vec<LowMinimum>, AssessError> {
    let subsystems = 0..membership.subsystems().len();
    let shares: Vec<Shares<'_>> = subsystems.map(|of| Shares::of(membership, of)).collect::<Result<_, _>>()?;
    let groups: Vec<Option<&Group>> = membership
        .groups()
        .iter()
        .map(|name| membership.group_members(name).next().and_then(|host| membership.group(host)))
        .collect();
    let mut sizes: Vec<u64> = groups.iter().map(|group| group.map_or(0, |group| group.min_size)).collect();
    for of in &shares {
        of.grow(&mut sizes);
    }
    // A group may have been asked for more than all need, once the other subsystems have asked of theirs too.
    for (place, group) in groups.iter().enumerate() {
        let Some(group) = group else { continue };
        let needs = |sizes: &[u64]| shares.iter().any(|of| of.is_short_without_one(place, sizes));
        while sizes[place] > group.min_size && !needs(&sizes) {
            sizes[place] -= 1;
        }
    }
    let mut found = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        let Some(group) = group else { continue };
        let of = shares.iter().filter_map(|of| Some((of.part(place)?, of)));
        if sizes[place] > group.min_size
            && let Some((_, of)) = of.max_by_key(|(part, of)| of.minimum * part.units() / of.total)
        {
            found.push(low(group, sizes[place], of.name, None));
        }
        let short = shares.iter().filter(|of| of.held(&sizes) < of.minimum);
        let left = short.filter_map(|of| {
            let part = of.part(place).filter(|part| part.held(sizes[place]) < of.share(part))?;
            Some(low(group, part.size(of.share(part)), of.name, Some(part.why_not())))
        });
        found.extend(left);
    }
    Ok(found)
}

fn low(group: &Group, asked: u64, of: &SubsystemName, why_not: Option<String>) -> LowMinimum {
    LowMinimum { group: group.name.clone(), is: group.min_size, asked, of: of.clone(), why_not }
}

/// Why the host's provider does not hold what a policy requires of it.
pub(crate) fn lacking(membership: &Membership<'_>, host: usize) -> Option<String> {
    if !membership.of(host).any(|subsystem| requires(membership, subsystem)) {
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
    // A weight that cannot be read is an error of the plan.
    let shares: Vec<Shares<'_>> = required.filter_map(|of| Shares::of(membership, of).ok()).collect();
    let of_group = |place: usize| shares.iter().find_map(|of| of.lacking(place));
    (0..membership.groups().len()).map(of_group).collect()
}

/// The parts that groups have in one subsystem.
struct Shares<'a> {
    name: &'a SubsystemName,
    /// In units.
    minimum: u128,
    /// The units of all members, those outside groups included; at least 1.
    total: u128,
    parts: Vec<Part<'a>>,
    /// Groups that are not listed.
    unknown: Vec<usize>,
}

/// The part of one group.
struct Part<'a> {
    /// Its place in the list of groups.
    place: usize,
    group: &'a Group,
    /// By a number of its members of the subsystem, the units of the lightest so many.
    lightest: Vec<u128>,
    /// Members of other subsystems only.
    others: u64,
}

impl Part<'_> {
    /// The units of all its members of the subsystem that stay.
    fn units(&self) -> u128 {
        self.lightest.last().copied().unwrap_or(0)
    }

    /// The units that this MinSize holds: whoever shrinks the group takes the heaviest of the subsystem first, and nobody
    /// else's.
    fn held(&self, min_size: u64) -> u128 {
        let members = usize::try_from(min_size.saturating_sub(self.others)).unwrap_or(usize::MAX);
        self.lightest[members.min(self.lightest.len() - 1)]
    }

    /// The MinSize that holds so many units, or all that there are.
    fn size(&self, units: u128) -> u64 {
        let members = self.lightest.partition_point(|&held| held < units).min(self.lightest.len() - 1);
        members as u64 + self.others
    }

    /// Whether a MinSize one higher would hold more, and may be set: nothing stands against it, the provider launches no host
    /// for it, and it keeps no host of others.
    fn can_grow(&self, size: u64) -> bool {
        let Group { obstacles, deleting, desired, .. } = self.group;
        obstacles.is_empty() && !deleting && self.others == 0 && size < *desired && self.held(size) < self.units()
    }

    /// Why it could not grow further.
    fn why_not(&self) -> String {
        let group = self.group;
        match group.obstacles.first() {
            Some(obstacle) => obstacle.why.clone(),
            None if group.deleting => "it is being deleted".to_owned(),
            None if self.others > 0 => {
                let others = counted(usize::try_from(self.others).unwrap_or(usize::MAX), "host");
                format!("it has {others} of others, none of which could go then")
            }
            None => format!("its desired size is {}, and the provider would launch hosts", group.desired),
        }
    }
}

impl<'a> Shares<'a> {
    fn of(membership: &Membership<'a>, subsystem: usize) -> Result<Self, AssessError> {
        let policy = membership.subsystem(subsystem);
        // Members on their way out hold nothing.
        let stays = |host: usize| membership.host(host).state != HostState::Terminating;
        let mut total = 0;
        for host in membership.members(subsystem) {
            let units = u128::from(units(membership, subsystem, host)?);
            total += if stays(host) { units } else { 0 };
        }
        let minimum = policy.capacity.minimum.into();
        let mut shares =
            Self { name: &policy.name, minimum, total: total.max(1), parts: Vec::new(), unknown: Vec::new() };
        for (place, name) in membership.groups().iter().enumerate() {
            let members = membership.group_members(name);
            let (own, others): (Vec<usize>, Vec<usize>) =
                members.partition(|&host| membership.belongs(host, subsystem));
            let Some(&first) = own.first() else { continue };
            let Some(group) = membership.group(first) else {
                shares.unknown.push(place);
                continue;
            };
            let own = own.iter().filter(|&&host| stays(host));
            let mut weights = own.map(|&host| units(membership, subsystem, host)).collect::<Result<Vec<_>, _>>()?;
            weights.sort_unstable();
            let mut lightest = vec![0];
            lightest.extend(weights.iter().scan(0, |sum, &units| {
                *sum += u128::from(units);
                Some(*sum)
            }));
            let others = others.iter().filter(|&&host| stays(host)).count() as u64;
            shares.parts.push(Part { place, group, lightest, others });
        }
        Ok(shares)
    }

    fn part(&self, place: usize) -> Option<&Part<'a>> {
        let at = self.parts.binary_search_by_key(&place, |part| part.place).ok()?;
        self.parts.get(at)
    }

    /// The part of the minimum that falls to a group, rounded up.
    fn share(&self, part: &Part<'_>) -> u128 {
        (self.minimum * part.units()).div_ceil(self.total)
    }

    /// The units that all groups hold with these sizes.
    fn held(&self, sizes: &[u64]) -> u128 {
        self.parts.iter().map(|part| part.held(sizes[part.place])).sum()
    }

    /// Whether the minimum would not be held if that group's size were one less; a subsystem that is short anyway needs all.
    fn is_short_without_one(&self, place: usize, sizes: &[u64]) -> bool {
        let Some(part) = self.part(place) else { return false };
        let size = sizes[place];
        let less = part.held(size) - part.held(size.saturating_sub(1));
        less > 0 && self.held(sizes) < self.minimum + less
    }

    /// Raises sizes until all groups hold the minimum, one host after the other, where most of a share is missing.
    fn grow(&self, sizes: &mut [u64]) {
        let mut held = self.held(sizes);
        while held < self.minimum {
            let missing = |part: &&Part<'_>| {
                (self.minimum * part.units()).saturating_sub(part.held(sizes[part.place]) * self.total)
            };
            // Of equals the first: the order of names.
            let growing = self.parts.iter().rev().filter(|part| part.can_grow(sizes[part.place]));
            let Some(part) = growing.max_by_key(missing) else { return };
            held -= part.held(sizes[part.place]);
            sizes[part.place] += 1;
            held += part.held(sizes[part.place]);
        }
    }

    /// Why that group holds less than its share, where not all together hold the minimum.
    fn lacking(&self, place: usize) -> Option<String> {
        if self.unknown.contains(&place) {
            return Some("its group is not listed, so nobody knows what its provider holds".to_owned());
        }
        let part = self.part(place)?;
        let (share, held) = (self.share(part), part.held(part.group.min_size));
        let all: u128 = self.parts.iter().map(|part| part.held(part.group.min_size)).sum();
        if held >= share || all >= self.minimum {
            return None;
        }
        let Self { name, minimum, .. } = self;
        Some(format!(
            "MinSize of its group {} is {}, which holds {held} of {name}, and the group's share of the minimum of {minimum} is \
             {share}: set MinSize to {}",
            part.group.name,
            part.group.min_size,
            part.size(share)
        ))
    }
}
