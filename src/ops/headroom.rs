//! How much can be removed now, and what limits it. Touches nothing.
//!
//! With assumptions: how much could be removed if they held. That is computed on altered copies, which are then
//! dropped.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::model::SubsystemName;
use crate::output::{HeadroomDocument, Hypothesis};
use crate::plan::{self, Assumption, UnknownAssumption, WhatIf};

use super::cores::OnAllCores;
use super::environment::Environment;
use super::error::OperationError;

/// Observes the fleet, and asks the planner.
///
/// # Errors
///
/// The policies are invalid; no policy or zone has such a name; the fleet or the ledger cannot be read.
pub(crate) async fn headroom(
    policies: &Path,
    only: Option<&SubsystemName>,
    assumptions: &[Assumption],
    prove: Option<Duration>,
) -> Result<HeadroomDocument, OperationError> {
    let environment = Environment::open(policies).await?.proving(prove);
    if let Some(name) = only
        && !environment.policies.subsystems.contains_key(name)
    {
        return Err(OperationError::unknown_subsystem(name, &environment.policies));
    }
    let observation = environment.observe_then_read().await?;
    let none = std::collections::BTreeMap::new();
    // A wrong name is reported before any probe is read.
    let hypothesis = if assumptions.is_empty() {
        None
    } else {
        Some(
            WhatIf::new(&environment.inputs(&observation, &none), assumptions)
                .map_err(|error| unknown(&error, &environment))?,
        )
    };
    // Hosts are shared: a question about one subsystem must also consider the probes of those that depend on any.
    let all: BTreeSet<SubsystemName> = environment.policies.subsystems.keys().cloned().collect();
    let bad_probes = environment.bad_probes(&all).await?;
    let inputs = environment.inputs(&observation, &bad_probes);
    let mut subsystems = plan::headroom(&inputs, only, &OnAllCores).map_err(OperationError::Assess)?;
    let mut hypothetical = None;
    if let Some(what_if) = hypothesis {
        let supposed = plan::headroom(&what_if.inputs(&inputs), only, &OnAllCores).map_err(OperationError::Assess)?;
        let as_it_is = std::mem::replace(&mut subsystems, supposed);
        hypothetical = Some(Hypothesis {
            assumptions: what_if.assumed().to_vec(),
            as_it_is_exact: as_it_is.iter().map(|headroom| (headroom.name.clone(), headroom.exact)).collect(),
            as_it_is: as_it_is.into_iter().map(|headroom| (headroom.name, headroom.hosts_allowed)).collect(),
        });
    }
    Ok(HeadroomDocument {
        schema: HeadroomDocument::SCHEMA,
        place: environment.place(),
        observed_at: observation.snapshot.begun_at,
        hypothesis: hypothetical,
        subsystems,
    })
}

/// The error for an unknown name, with the nearest names that exist.
fn unknown(error: &UnknownAssumption, environment: &Environment) -> OperationError {
    match error {
        UnknownAssumption::Subsystem(name) => OperationError::unknown_subsystem(name, &environment.policies),
        UnknownAssumption::Zone { zone, known } => {
            OperationError::unknown("zone", zone.as_str(), known.iter().map(|zone| zone.as_str()))
        }
    }
}
