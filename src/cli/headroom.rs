//! `safe-remove headroom`: how much can be removed now, and what limits it.

use std::time::Duration;

use crate::model::SubsystemName;
use crate::ops::{self, OperationError};
use crate::output::headroom_text;
use crate::plan::Assumption;

use super::args::Global;
use super::values::Supposed;
use super::{CommandOutput, Exit};

/// Asks for the headroom, and shows it.
pub(super) async fn run(
    global: &Global,
    only: Option<&SubsystemName>,
    what_if: &[Supposed],
    prove: Option<Duration>,
) -> Result<CommandOutput, OperationError> {
    let document = ops::headroom(&global.policies, only, &assumptions(only, what_if)?, prove).await?;
    CommandOutput::document(Exit::DONE, headroom_text(&document), &document)
}

/// The assumptions, or why the question makes no sense as it stands.
fn assumptions(only: Option<&SubsystemName>, what_if: &[Supposed]) -> Result<Vec<Assumption>, OperationError> {
    let mut assumptions = Vec::new();
    for supposed in what_if {
        let assumption = match (supposed, only) {
            (Supposed::ZoneDown(zone), _) => Assumption::ZoneDown { zone: zone.clone() },
            (Supposed::Minimum(units), Some(name)) => Assumption::Minimum { subsystem: name.clone(), units: *units },
            (Supposed::Minimum(units), None) => {
                return Err(OperationError::usage(
                    "--what-if minimum is of one subsystem, and --subsystem is missing",
                    format!("say whose: safe-remove headroom --subsystem index --what-if minimum={units}"),
                ));
            }
        };
        // Two minimums contradict each other, and a list with repeats is probably not the list that was meant.
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
            return Err(OperationError::usage(what, "assume each thing once"));
        }
        assumptions.push(assumption);
    }
    Ok(assumptions)
}
