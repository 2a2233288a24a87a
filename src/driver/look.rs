//! One look at the world: the record first, then the fleet, and the probes beside them.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::coordination::FleetRecord;
use crate::ports::FleetError;
use crate::run::{Blind, Input, Machine, Round};

use super::{World, append, chain};

pub(super) async fn look(world: &World, machine: &Machine, probes: bool) -> Input {
    let begun_at = world.clock.now();
    let specs = if probes { machine.probes() } else { Default::default() };
    let reads = join_all(specs.iter().map(|(key, spec)| world.prober.sample(&key.subsystem, spec)));
    // The record before the fleet: what is claimed meanwhile shows as a conflict, what is released as still claimed.
    let state = async {
        let record = world.ledger.read().await;
        (record, world.fleet.observe().await)
    };
    let (samples, (record, fleet)) = tokio::join!(reads, state);
    let identity = &machine.spec().identity;
    // One that the record does not know any more was ended by whoever took it over, or by this process.
    let is_anothers = |record: &FleetRecord| {
        let entry = record.runs.get(&identity.run);
        !machine.journal().is_empty() && entry.is_none_or(|entry| entry.process != identity.process)
    };
    let taken_over_by = match &record {
        Ok((_, record)) if is_anothers(record) => {
            append::taker(world.ledger.as_ref(), &identity.run, &identity.process).await
        }
        Ok(_) | Err(_) => None,
    };
    let record = record.map(|(_, record)| Arc::new(record)).map_err(|error| chain(&error));
    let fleet = fleet.map(Arc::new).map_err(|error| Blind {
        contradictory: matches!(error, FleetError::Inventory(_) | FleetError::WrongFleet(_) | FleetError::Clock { .. }),
        message: chain(&error),
    });
    let ended_at = world.clock.now();
    let round = Round { begun_at, ended_at, record, taken_over_by, fleet, probed: probes, samples };
    Input::Looked(Box::new(round))
}
