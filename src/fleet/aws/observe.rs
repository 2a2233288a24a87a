//! An observation: of the whole region, every page of everything, or of the part that concerns a run. Main function:
//! [`observe`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use super::hosts::{self, Assembled, Inventory};
use super::{AwsFleet, activities, controllers, details, held, pages, part, registered};
use crate::model::{FleetMark, FleetSnapshot, Scope, Time};
use crate::ports::FleetError;

/// Observes the scope or the whole region, and once more where the lists contradict each other.
pub(super) async fn observe(fleet: &AwsFleet, scope: Option<&Scope>) -> Result<FleetSnapshot, FleetError> {
    let answer = observe_once(fleet, scope).await;
    let is_contradictory = match &answer {
        Ok(snapshot) => !snapshot.contradictions.is_empty(),
        Err(error) => matches!(error, FleetError::Inventory(_)),
    };
    if !is_contradictory {
        return answer;
    }
    // An instance launched or terminated between two lists is in one of them only. That passes.
    tokio::time::sleep(fleet.timeouts.reread).await;
    observe_once(fleet, scope).await
}

async fn observe_once(fleet: &AwsFleet, scope: Option<&Scope>) -> Result<FleetSnapshot, FleetError> {
    let begun_at = super::now();
    let inventory = match scope {
        Some(scope) => part::read(fleet, scope, begun_at).await,
        None => read(fleet, begun_at).await,
    };
    // A clock that is off makes AWS refuse signatures, so the clock is the better explanation.
    fleet.clock.verdict()?;
    let inventory = inventory?;
    let protected = fleet.protected.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Assembled { hosts, groups, contradictions } = hosts::assemble(&inventory, &protected, begun_at)?;
    let snapshot = FleetSnapshot::new(begun_at, super::now(), hosts, groups, FleetMark::OnHosts)?;
    registered::note(fleet, &inventory.targets, &inventory.instances, scope.is_none(), begun_at);
    let told = activities::Told::of(&inventory.details);
    let snapshot = snapshot.with_contradictions(contradictions).with_held(held::held(&inventory));
    // What AWS does once a host is terminated in Standby, nobody has documented.
    let snapshot = snapshot.with_departures(told.departures).with_launches(told.launches).proving_removals(true);
    Ok(snapshot.within(scope.cloned()))
}

/// The lists in parallel, each with its pages in sequence: a page's token comes with the page before. Behind them the
/// details of groups, which cost several calls each, of those groups only that matter.
async fn read(fleet: &AwsFleet, now: Time) -> Result<Inventory, FleetError> {
    let grouped = async {
        let groups = pages::groups(fleet).await?;
        let warm = pages::warm_pools(fleet, &groups).await?;
        Ok::<_, FleetError>((groups, warm))
    };
    let targeted = async {
        let targets = registered::all(fleet).await?;
        let controllers = controllers::read(fleet, &targets, now).await?;
        Ok::<_, FleetError>((targets, controllers))
    };
    let ((groups, warm), instances, statuses, (targets, controllers)) =
        tokio::try_join!(grouped, pages::instances(fleet, None), pages::statuses(fleet, None), targeted)?;
    let inventory = Inventory { groups, warm, instances, statuses, targets, controllers, ..Inventory::default() };
    let details = details::details(fleet, &concerned(fleet, &inventory, now)?, now).await?;
    Ok(Inventory { details, ..inventory })
}

/// The names of the groups that have a host which a policy selects; of all groups where no policies are known.
fn concerned(fleet: &AwsFleet, inventory: &Inventory, now: Time) -> Result<BTreeMap<String, u64>, FleetError> {
    let states = inventory.groups.iter().filter_map(details::state);
    let Some(policies) = fleet.policies.as_ref().filter(|all| !all.subsystems.is_empty()) else {
        return Ok(states.collect());
    };
    let Assembled { hosts, .. } = hosts::assemble(inventory, &BTreeSet::new(), now)?;
    let (matcher, mut selected) = (policies.matcher(), BTreeSet::new());
    let mut matching = matcher.matching();
    for host in &hosts {
        if let Some(group) = host.group.as_ref().filter(|_| !matching.of(host).0.is_empty()) {
            selected.insert(group.as_str());
        }
    }
    Ok(states.filter(|(name, _)| selected.contains(name.as_str())).collect())
}
