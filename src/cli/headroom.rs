//! `safe-remove headroom`: how much can be removed now, and what limits it. Touches nothing.
//!
//! With `--what-if`, how much could be if something else were so: asked of altered copies, which are then dropped.

use std::collections::BTreeSet;

use crate::model::SubsystemName;
use crate::output::{HeadroomDocument, Hypothesis, headroom_text};
use crate::plan::{self, Assumption, UnknownAssumption, WhatIf};

use super::args::Global;
use super::error::CommandError;
use super::values::Supposed;
use super::world::World;
use super::{Answered, Exit, policy};

/// Look, ask the planner, show.
pub(super) async fn run(
    global: &Global,
    only: Option<&SubsystemName>,
    what_if: &[Supposed],
) -> Result<Answered, CommandError> {
    let assumptions = assumptions(only, what_if)?;
    let world = World::open(global).await?;
    if let Some(name) = only
        && !world.policies.subsystems.contains_key(name)
    {
        return Err(policy::unknown(name, &world.policies));
    }
    let seen = world.look().await?;
    let none = std::collections::BTreeMap::new();
    // A slip in a name is told before any probe is waited for.
    let hypothesis = if assumptions.is_empty() {
        None
    } else {
        Some(WhatIf::new(&world.inputs(&seen, &none), &assumptions).map_err(|error| unknown(&error, &world))?)
    };
    // Hosts are shared: whoever is asked about one subsystem must hear of probes of those that depend on any.
    let all: BTreeSet<SubsystemName> = world.policies.subsystems.keys().cloned().collect();
    let bad_probes = world.bad_probes(&all).await;
    let inputs = world.inputs(&seen, &bad_probes);
    let mut subsystems = plan::headroom(&inputs, only).map_err(CommandError::Assess)?;
    let mut hypothetical = None;
    if let Some(what_if) = hypothesis {
        let supposed = plan::headroom(&what_if.inputs(&inputs), only).map_err(CommandError::Assess)?;
        let as_it_is = std::mem::replace(&mut subsystems, supposed);
        hypothetical = Some(Hypothesis {
            assumptions: what_if.assumed().to_vec(),
            as_it_is: as_it_is.into_iter().map(|headroom| (headroom.name, headroom.hosts_allowed)).collect(),
        });
    }
    let document = HeadroomDocument {
        schema: HeadroomDocument::SCHEMA,
        place: world.place(),
        observed_at: seen.snapshot.begun_at,
        hypothesis: hypothetical,
        subsystems,
    };
    Answered::document(Exit::DONE, headroom_text(&document), &document)
}

/// What is assumed, or why the question cannot be meant as it stands.
fn assumptions(only: Option<&SubsystemName>, what_if: &[Supposed]) -> Result<Vec<Assumption>, CommandError> {
    let mut assumptions = Vec::new();
    for supposed in what_if {
        let assumption = match (supposed, only) {
            (Supposed::ZoneDown(zone), _) => Assumption::ZoneDown { zone: zone.clone() },
            (Supposed::Minimum(units), Some(name)) => Assumption::Minimum { subsystem: name.clone(), units: *units },
            (Supposed::Minimum(units), None) => {
                return Err(CommandError::usage(
                    "--what-if minimum is of one subsystem, and --subsystem is missing",
                    format!("say whose: safe-remove headroom --subsystem index --what-if minimum={units}"),
                ));
            }
        };
        // Two minimums contradict each other, and a list with repeats is not the list that was meant.
        let is_same = |other: &Assumption| match (other, &assumption) {
            (Assumption::Minimum { .. }, Assumption::Minimum { .. }) => true,
            (Assumption::ZoneDown { zone: other }, Assumption::ZoneDown { zone }) => other == zone,
            (Assumption::Minimum { .. }, Assumption::ZoneDown { .. })
            | (Assumption::ZoneDown { .. }, Assumption::Minimum { .. }) => false,
        };
        if assumptions.iter().any(is_same) {
            let what = match &assumption {
                Assumption::Minimum { .. } => "--what-if minimum is given twice".to_owned(),
                Assumption::ZoneDown { zone } => format!("--what-if zone-down={zone} is given twice"),
            };
            return Err(CommandError::usage(what, "assume each thing once"));
        }
        assumptions.push(assumption);
    }
    Ok(assumptions)
}

/// Exit 3, with the nearest.
fn unknown(error: &UnknownAssumption, world: &World) -> CommandError {
    match error {
        UnknownAssumption::Subsystem(name) => policy::unknown(name, &world.policies),
        UnknownAssumption::Zone { zone, known } => {
            policy::no_such("zone", zone.as_str(), known.iter().map(|zone| zone.as_str()))
        }
    }
}
