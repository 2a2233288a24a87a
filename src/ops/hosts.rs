//! Every host, what it serves, and what stands against taking it. Touches nothing.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::SubsystemName;
use crate::output::HostsDocument;
use crate::plan;

use super::environment::Environment;
use super::error::OperationError;

/// Observes the fleet, and lists its hosts.
///
/// # Errors
///
/// The policies are invalid; no policy has such a name; the fleet or the ledger cannot be read.
pub(crate) async fn hosts(policies: &Path, only: Option<&SubsystemName>) -> Result<HostsDocument, OperationError> {
    let environment = Environment::open(policies).await?;
    if let Some(name) = only
        && !environment.policies.subsystems.contains_key(name)
    {
        return Err(OperationError::unknown_subsystem(name, &environment.policies));
    }
    let observation = environment.observe_then_read().await?;
    let no_probes = BTreeMap::new();
    let inputs = environment.inputs(&observation, &no_probes);
    let warnings = plan::believable(&environment.policies, &observation.snapshot);
    let warnings = warnings.map_err(|error| OperationError::Fleet(error.into()))?;
    Ok(HostsDocument {
        schema: HostsDocument::SCHEMA,
        place: environment.place(),
        observed_at: observation.snapshot.begun_at,
        hosts: plan::listed(&inputs, only),
        warnings,
    })
}
