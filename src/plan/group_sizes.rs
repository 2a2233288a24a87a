//! The sizes that the provider itself keeps to: no group falls below its minimum, and none rises above its maximum.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{GroupName, HostState, counted};

use super::membership::Membership;
use super::{Claim, Inputs, Rule, Violation};

/// `group-minimum`: the provider refuses to take a group's members out of service below MinSize. The provider has
/// already let go of members that the run took out, and no longer counts them.
pub(super) fn floor(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    taken: &BTreeSet<usize>,
    found: &mut Vec<Violation>,
) {
    let mut leaving: BTreeMap<&GroupName, u64> = BTreeMap::new();
    for &index in taken {
        let host = membership.host(index);
        if let Some(group) = host.group.as_ref().filter(|_| host.state == HostState::InService) {
            *leaving.entry(group).or_default() += 1;
        }
    }
    for (name, leaving) in leaving {
        let Some(group) = inputs.snapshot.group(name) else { continue };
        // The provider judges by desired capacity, which a scale-in under way has already lowered.
        let mut members = 0;
        for index in membership.group_members(name) {
            let host = membership.host(index);
            if host.state == HostState::InService && !inputs.ledger.claims.contains_key(&host.id) {
                members += 1;
            }
        }
        let members = group.desired.min(members);
        let after = members.saturating_sub(leaving);
        if members < leaving || after < group.min_size {
            let message = format!(
                "group {name} would keep {} in service; the provider refuses to go below its minimum of {}",
                counted(after, "host"),
                group.min_size
            );
            found.push(Violation::new(Rule::GroupMinimum, message).group(name).numbers(group.min_size, after));
        }
    }
}

/// S7: whether the groups of these hosts could take them back. Putting a member back raises desired capacity by one for
/// each that is out, and the provider refuses to go above the maximum: a scaling policy may have used the room meanwhile.
pub(super) fn ceiling(
    inputs: &Inputs<'_>,
    membership: &Membership<'_>,
    taken: &BTreeSet<usize>,
    out: &BTreeSet<usize>,
    found: &mut Vec<Violation>,
) {
    let groups: BTreeSet<&GroupName> =
        taken.iter().filter_map(|&index| membership.host(index).group.as_ref()).collect();
    for group in groups.into_iter().filter_map(|name| inputs.snapshot.group(name)) {
        let is_held = |&index: &usize| {
            let host = membership.host(index);
            let by_others = matches!(inputs.ledger.claims.get(&host.id), Some(Claim::Reserved { .. }));
            host.state == HostState::Cordoned && (by_others || out.contains(&index))
        };
        let held = membership.group_members(&group.name).filter(is_held).count() as u64;
        let wanted = group.desired.saturating_add(held);
        if wanted > group.max_size {
            let message = format!(
                "group {} could not take its hosts back: its desired capacity would be {wanted}, its maximum is {}",
                group.name, group.max_size
            );
            let violation = Violation::new(Rule::GroupMaximum, message).group(&group.name);
            found.push(violation.numbers(group.max_size, wanted));
        }
    }
}
