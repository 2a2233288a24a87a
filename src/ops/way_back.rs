//! The permissions for putting back, tried after the confirmation and before the first cordon (S7: what is cordoned can
//! be put back).

use std::collections::BTreeSet;

use crate::model::{FleetSnapshot, GroupName, HostTargets};
use crate::plan::{PlanDocument, Rule, Violation};
use crate::ports::{Permission, Trials};

use super::environment::Environment;
use super::error::OperationError;

/// The permissions that putting the plan's hosts back needs and the caller does not have.
///
/// # Errors
///
/// The provider gave no clear answer: exit 5.
pub(crate) async fn missing(
    environment: &Environment,
    plan: &PlanDocument,
    snapshot: &FleetSnapshot,
) -> Result<Vec<Violation>, OperationError> {
    let hosts = || plan.batches.iter().flat_map(|batch| &batch.hosts);
    let groups: BTreeSet<GroupName> = hosts().filter_map(|host| host.group.clone()).collect();
    let outside: HostTargets = hosts()
        .filter(|host| host.group.is_none())
        .filter_map(|host| snapshot.host(&host.id))
        .map(|host| (host.id.clone(), host.target_groups.clone()))
        .collect();
    let tried = environment.fleet.try_permissions(Trials::WayBack, &groups, &outside).await;
    Ok(tried.map_err(OperationError::Fleet)?.iter().filter_map(violation).collect())
}

fn violation(permission: &Permission) -> Option<Violation> {
    let (action, resource) = (permission.action, &permission.resource);
    let why = permission.denied()?;
    let message = format!("what is cordoned could not be put back: {action} on {resource} is denied ({why})");
    Some(Violation::new(Rule::WayBack, message))
}
