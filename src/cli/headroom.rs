//! `safe-remove headroom`: how much can be removed now, and what limits it. Touches nothing.

use std::collections::BTreeSet;

use crate::model::SubsystemName;
use crate::output::{HeadroomDocument, headroom_text};
use crate::plan;

use super::args::Global;
use super::error::CommandError;
use super::world::World;
use super::{Answered, Exit, policy};

/// Look, ask the planner, show.
pub(super) async fn run(global: &Global, only: Option<&SubsystemName>) -> Result<Answered, CommandError> {
    let world = World::open(global).await?;
    if let Some(name) = only
        && !world.policies.subsystems.contains_key(name)
    {
        return Err(policy::unknown(name, &world.policies));
    }
    let seen = world.look().await?;
    // Hosts are shared: whoever is asked about one subsystem must hear of probes of those that depend on any.
    let all: BTreeSet<SubsystemName> = world.policies.subsystems.keys().cloned().collect();
    let bad_probes = world.bad_probes(&all).await;
    let subsystems = plan::headroom(&world.inputs(&seen, &bad_probes), only).map_err(CommandError::Assess)?;
    let document = HeadroomDocument {
        schema: HeadroomDocument::SCHEMA,
        place: world.place(),
        observed_at: seen.snapshot.begun_at,
        subsystems,
    };
    Answered::document(Exit::DONE, headroom_text(&document), &document)
}
