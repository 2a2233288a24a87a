//! What a group does by itself while hosts of it are out: scheduled actions, and scaling policies that use its room.
//!
//! Asked for a plan, over its whole time, and again before each batch, over the batch's.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FleetSnapshot, Group, GroupName, Host, HostState, Time, counted};

use super::{Rule, Violation};

/// S7: a scheduled action sets a group's sizes. It may take hosts of its own choice, launch what the run has taken, or leave no
/// room to put hosts back.
pub(crate) fn scheduled<'a>(
    snapshot: &FleetSnapshot,
    hosts: impl IntoIterator<Item = &'a Host>,
    until: Time,
) -> Vec<Violation> {
    let groups: BTreeSet<&GroupName> = hosts.into_iter().filter_map(|host| host.group.as_ref()).collect();
    let groups = groups.into_iter().filter_map(|name| snapshot.group(name));
    let due = groups.flat_map(|group| group.changes.scheduled.iter().map(move |change| (group, change)));
    let before = due.filter(|(_, change)| change.at < until);
    before.map(|(group, change)| of_schedule(group, &change.what, change.at, until)).collect()
}

fn of_schedule(group: &Group, what: &str, at: Time, until: Time) -> Violation {
    let message = format!(
        "{what} sets the sizes of group {} at {at}, and hosts of it may be out until {until}: it may take other hosts, launch \
         others in their place, or leave no room to put them back",
        group.name
    );
    Violation::new(Rule::NotRemovable, message).group(&group.name)
}

/// S7: while a batch is out, a scaling policy may launch as many hosts as the batch gave up. Then there must still be room to
/// put the batch back. The batches go one after the other, and what is terminated leaves its room.
pub(crate) fn no_room<'a, B>(snapshot: &FleetSnapshot, batches: impl IntoIterator<Item = B>) -> Vec<Violation>
where
    B: IntoIterator<Item = &'a Host>,
{
    let mut gone: BTreeMap<GroupName, u64> = BTreeMap::new();
    let mut found: BTreeMap<GroupName, Violation> = BTreeMap::new();
    for batch in batches {
        let mut leaving: BTreeMap<&GroupName, u64> = BTreeMap::new();
        let in_service = batch.into_iter().filter(|host| host.state == HostState::InService);
        for name in in_service.filter_map(|host| host.group.as_ref()) {
            *leaving.entry(name).or_default() += 1;
        }
        for (name, leaving) in leaving {
            let before = *gone.get(name).unwrap_or(&0);
            let judged = snapshot.group(name).and_then(|group| of_room(group, before, leaving));
            if let Some(violation) = judged {
                found.entry(name.clone()).or_insert(violation);
            }
            *gone.entry(name.clone()).or_default() += leaving;
        }
    }
    found.into_values().collect()
}

fn of_room(group: &Group, gone: u64, leaving: u64) -> Option<Violation> {
    let by = group.changes.scales_out.as_ref()?;
    let wanted = group.desired.saturating_sub(gone).saturating_add(leaving);
    let message = format!(
        "{} could not be put back in group {} once {by} has used the room that they leave: its desired capacity would be \
         {wanted}, its maximum is {}. Raise the maximum, take smaller batches, or suspend AlarmNotification for the time",
        counted(leaving, "host"),
        group.name,
        group.max_size
    );
    let violation = Violation::new(Rule::WayBack, message).group(&group.name).numbers(group.max_size, wanted);
    (wanted > group.max_size).then_some(violation)
}
