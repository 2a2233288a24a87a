//! Whether a fleet can be judged although its lists contradict each other about single groups.

use crate::model::{Contradiction, FleetSnapshot, InventoryError};
use crate::policy::PolicySet;

use super::AssessError;
use super::membership::Membership;

/// The contradictions of the observation, each about hosts that no policy could select, as warnings.
///
/// # Errors
///
/// S3: the first contradiction about hosts that a policy could select. Nobody knows then what a subsystem has.
pub(crate) fn believable(policies: &PolicySet, snapshot: &FleetSnapshot) -> Result<Vec<String>, InventoryError> {
    // The usual case, in which nothing is to be matched.
    if snapshot.contradictions.is_empty() {
        return Ok(Vec::new());
    }
    judge(policies, &Membership::new(policies, snapshot), snapshot)
}

/// The same before an effect.
pub(super) fn refuse(
    policies: &PolicySet,
    membership: &Membership<'_>,
    snapshot: &FleetSnapshot,
) -> Result<(), AssessError> {
    judge(policies, membership, snapshot).map(|_| ()).map_err(AssessError::Inventory)
}

fn judge(
    policies: &PolicySet,
    membership: &Membership<'_>,
    snapshot: &FleetSnapshot,
) -> Result<Vec<String>, InventoryError> {
    let selects = |about: &Contradiction| match &about.host {
        Some(host) => membership.find(host).is_none_or(|index| membership.of(index).len() > 0),
        // What was launched by one group is selected like its siblings. Without any, its name and tags must do.
        None if membership.group_members(&about.group).len() == 0 => {
            policies.subsystems.values().any(|policy| policy.could_select(&about.group, &about.launch_tags))
        }
        None => membership.group_members(&about.group).any(|index| membership.of(index).len() > 0),
    };
    match snapshot.contradictions.iter().find(|about| selects(about)) {
        Some(about) => Err(about.error.clone()),
        None => {
            let told = snapshot.contradictions.iter().map(|about| {
                format!("{}: no policy selects hosts of group {}, so nothing is judged by it", about.error, about.group)
            });
            Ok(told.collect())
        }
    }
}
