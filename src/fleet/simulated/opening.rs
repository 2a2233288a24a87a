//! The fleet of a place: found there, or created from its scenario.

use std::path::Path;

use super::clock::{FleetClock, VirtualClock, machine_time};
use super::scenario::{ClockKind, Scenario};
use super::state::State;
use super::store::{Store, StoreError};
use crate::ports::FleetError;

/// The fleet's id and clock; `None` where it was created from another scenario.
pub(super) fn found_or_made(store: &Store, scenario: &Scenario) -> Result<Option<(String, FleetClock)>, StoreError> {
    let directory = store.paths.directory();
    std::fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
    let mut locked = store.lock()?;
    let state = match locked.load()? {
        Some(state) => state,
        None => {
            let fleet = uuid::Uuid::new_v4().simple().to_string();
            let machine = machine_time();
            let state = State::create(scenario, fleet, scenario.start.unwrap_or(machine), machine);
            if scenario.clock == ClockKind::Virtual {
                // Created before the state: a fleet that exists has its clock.
                VirtualClock::create(&locked, &state.fleet, state.created_at)?;
            }
            locked.save(state)?
        }
    };
    if state.scenario != scenario.digest {
        return Ok(None);
    }
    let clock = match scenario.clock {
        ClockKind::Virtual => FleetClock::Virtual(Box::new(VirtualClock::join(&mut locked, &state.fleet)?)),
        ClockKind::Real(speed) => {
            FleetClock::Running { origin: state.created_at, on_machine: state.created_on_machine, speed }
        }
    };
    Ok(Some((state.fleet.clone(), clock)))
}

/// The error where a fleet was created from another scenario.
pub(super) fn changed(scenario: &Path, directory: &Path) -> FleetError {
    FleetError::WrongFleet(format!(
        "{} has changed since the fleet in {} was made from it (only [[faults]] may): undo the change, or delete \
         that whole directory, ledger included, to start over",
        scenario.display(),
        directory.display()
    ))
}
