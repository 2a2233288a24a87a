//! One observation of the world: the record first, then the fleet, and the probes beside them.

use std::sync::Arc;

use crate::coordination::FleetRecord;
use crate::health::ProbeSpecs;
use crate::model::{FleetSnapshot, Time, chain};
use crate::plan::believable;
use crate::ports::FleetError;
use crate::run::{Blind, Machine, Observation, Response};

use super::retry::answered;
use super::{Ports, append};

pub(super) async fn observe(ports: &Ports, machine: &Machine, probes: bool) -> Response {
    let begun_at = ports.clock.now();
    let specs = if probes { machine.probes() } else { Default::default() };
    let patience = machine.probe_patience();
    let out = machine.hosts_out();
    let reads = ports.prober.round(&specs, &out, patience);
    // The record before the fleet: what is claimed meanwhile shows as a conflict, what is released as still claimed.
    let state = async {
        let record = read(ports, machine).await;
        (record, believed(ports, machine, begun_at).await)
    };
    let (samples, (record, fleet)) = tokio::join!(reads, state);
    let identity = &machine.spec().identity;
    // One that the record does not know any more was ended by whoever took it over, or by this process.
    let is_anothers = |record: &FleetRecord| {
        let entry = record.runs.get(&identity.run);
        !machine.journal().is_empty() && entry.is_none_or(|entry| entry.process != identity.process)
    };
    let taken_over_by = match &record {
        Ok(record) if is_anothers(record) => {
            append::taker(ports.ledger.as_ref(), &identity.run, &identity.process).await
        }
        Ok(_) | Err(_) => None,
    };
    let record = record.map(Arc::new);
    let fleet = fleet.map(Arc::new).map_err(|error| blind(&error));
    let ended_at = ports.clock.now();
    let observation = Observation { begun_at, ended_at, record, taken_over_by, fleet, probed: probes, samples };
    Response::Observed(Box::new(observation))
}

/// An observation without the ledger, which is busy with a write.
pub(super) async fn observe_without_ledger(ports: &Ports, machine: &Machine, specs: &ProbeSpecs) -> Observation {
    let (begun_at, out) = (ports.clock.now(), machine.hosts_out());
    let (samples, fleet) = tokio::join!(ports.prober.round(specs, &out, None), believed(ports, machine, begun_at));
    Observation {
        begun_at,
        ended_at: ports.clock.now(),
        record: Err("a write has no answer yet".to_owned()),
        taken_over_by: None,
        fleet: fleet.map(Arc::new).map_err(|error| blind(&error)),
        probed: true,
        samples,
    }
}

/// The fleet, unless its lists contradict each other about hosts that the policies could select (S3).
async fn believed(ports: &Ports, machine: &Machine, now: Time) -> Result<FleetSnapshot, FleetError> {
    let snapshot = match machine.scope(now) {
        Some(scope) => ports.fleet.observe_part(&scope).await?,
        None => ports.fleet.observe().await?,
    };
    believable(&machine.spec().policies, &snapshot)?;
    Ok(snapshot)
}

/// The record. While hosts are out of service a ledger that stays silent must not keep the fleet and them from being
/// seen: the observation then shows no record, and nothing goes forward on it.
async fn read(ports: &Ports, machine: &Machine) -> Result<FleetRecord, String> {
    let read = async { ports.ledger.read().await.map(|(_, record)| record).map_err(|error| chain(&error)) };
    if !machine.has_reservations() {
        return read.await;
    }
    // Half: the write that follows may wait too, and both are to pass within the shortest gap that a bake tolerates.
    let read = answered(machine.answer_timeout() / 2, std::pin::pin!(read)).await;
    read.unwrap_or_else(|| Err("the ledger does not answer".to_owned()))
}

fn blind(error: &FleetError) -> Blind {
    Blind {
        contradictory: matches!(error, FleetError::Inventory(_) | FleetError::WrongFleet(_) | FleetError::Clock { .. }),
        message: chain(error),
    }
}
