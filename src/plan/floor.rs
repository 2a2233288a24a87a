//! The floor below this program: what a group's MinSize holds of a minimum whatever anybody's program does.
//!
//! Where `[capacity] provider_floor = "required"`, a host may go only if its group holds its share: the part of the
//! subsystem's minimum that falls to the group's members by their units.

use crate::model::HostState;

use super::membership::Membership;
use super::weights::units;

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
    let totals: Vec<(usize, u128)> =
        required.map(|subsystem| (subsystem, total(membership, subsystem, membership.members(subsystem)))).collect();
    let of_group = |place: usize| {
        let members = membership.group_members(membership.groups()[place]);
        totals.iter().find_map(|&(subsystem, total)| of_group(membership, members, subsystem, total))
    };
    (0..membership.groups().len()).map(of_group).collect()
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

fn of_group(membership: &Membership<'_>, members: &[usize], subsystem: usize, total: u128) -> Option<String> {
    let (own, others): (Vec<usize>, Vec<usize>) =
        members.iter().partition(|&&host| membership.of(host).contains(&subsystem));
    let policy = membership.subsystem(subsystem);
    let weights = own.iter().map(|&host| units(membership, subsystem, host).unwrap_or(0));
    let lightest = u128::from(weights.min()?);
    let minimum = u128::from(policy.capacity.minimum);
    let share = (minimum * self::total(membership, subsystem, &own)).div_ceil(total.max(1));
    let Some(group) = membership.group(*members.first()?) else {
        return Some("its group is not listed, so nobody knows what its provider holds".to_owned());
    };
    // Whoever shrinks the group takes the heaviest of the subsystem first, and nobody else's.
    let others = others.iter().filter(|&&host| stays(membership, host)).count() as u128;
    let held = u128::from(group.min_size).saturating_sub(others) * lightest;
    if held >= share {
        return None;
    }
    let needed = share.div_ceil(lightest.max(1)) + others;
    Some(format!(
        "MinSize of its group {} is {}, which holds {held} of {}, and the group's share of the minimum of {minimum} is {share}: \
         set MinSize to {needed}",
        group.name, group.min_size, policy.name
    ))
}
