//! Taking a run over: the fence into its journal, its epoch into the record, both read again, and only then the
//! machine that acts. Whether, at which epoch and what follows is decided in `run`.

use std::collections::BTreeSet;

use crate::coordination::{Command, Context, FleetRecord, HostOutcome, Refusal, decide};
use crate::model::{BatchNumber, HostId, chain};
use crate::ports::{LedgerError, Written};
use crate::run::{Fence, JournalRecord, Machine, Purpose, Spec, Successor, TakeoverError, TakeoverRequest};

use super::append::append;
use super::retry::nonce;
use super::update::{CONFLICTS, Unchanged, update};
use super::{Ports, fault};

/// Fences that conflict with what a living process writes, at most: it does not write so often.
const FENCES: u32 = 50;

/// A run that was taken over.
#[derive(Debug)]
pub(crate) enum Taken {
    /// [`super::drive`] goes on with it.
    Run(Box<Machine>),
    /// Its journal had ended, and only the record was not told: now it was.
    Closed,
    /// Its journal is lost, and a person gave these hosts up: they are released, and it is over.
    Released(Vec<HostId>),
}

/// Takes the run over.
///
/// # Errors
///
/// [`TakeoverError`]; after a fence that was written the run waits for whoever takes it over next.
pub(crate) async fn take_over(ports: &Ports, request: TakeoverRequest) -> Result<Taken, TakeoverError> {
    fault::before("fence");
    let (fenced, epoch) = match fence(ports, &request).await? {
        Fenced::By(journal, epoch) => (journal, epoch),
        Fenced::NotNeeded { completed } => return close(ports, &request, completed).await,
    };
    fault::before("epoch");
    raise_epoch(ports, &request, epoch).await?;
    fault::behind();

    // Read again, and only then acted on.
    let record = read(ports).await?;
    let journal = journal(ports, &request).await?;
    request.has_it(epoch, &fenced, &journal, &record)?;
    let successor = Successor { epoch, ..request.successor.clone() };
    match Spec::recorded(&journal, successor) {
        Some(spec) => Ok(Taken::Run(Box::new(Machine::take_over(spec, journal, &record, ports.clock.now())))),
        None => give_up(ports, &request, epoch, journal.len() as u64).await.map(Taken::Released),
    }
}

/// The result of a fence.
enum Fenced {
    /// The journal ends with it, and this is the epoch from here on.
    By(Vec<JournalRecord>, u64),
    /// None is needed: only the record does not know that the run has ended.
    NotNeeded { completed: bool },
}

/// Appends the fence, behind whatever a living process writes meanwhile.
async fn fence(ports: &Ports, request: &TakeoverRequest) -> Result<Fenced, TakeoverError> {
    for _ in 0..FENCES {
        // In this order: what ends in between is seen to have ended, or the fence conflicts with its last line.
        let mut before = journal(ports, request).await?;
        let record = read(ports).await?;
        let (fence, epoch) = match request.fence(&before, &record, ports.clock.now())? {
            Fence::Record { record, epoch } => (record, epoch),
            Fence::NotNeeded { completed } => return Ok(Fenced::NotNeeded { completed }),
        };
        match append(ports.ledger.as_ref(), &fence, &nonce()).await.map_err(lost)? {
            Written::Acknowledged(_) => {
                before.push(*fence);
                return Ok(Fenced::By(before, epoch));
            }
            Written::Conflict => request.conflict(before.len(), &journal(ports, request).await?)?,
        }
    }
    Err(TakeoverError::Alive)
}

async fn journal(ports: &Ports, request: &TakeoverRequest) -> Result<Vec<JournalRecord>, TakeoverError> {
    ports.ledger.journal(&request.successor.run).await.map_err(lost)
}

async fn read(ports: &Ports) -> Result<FleetRecord, TakeoverError> {
    ports.ledger.read().await.map(|(_, record)| record).map_err(lost)
}

fn lost(error: LedgerError) -> TakeoverError {
    TakeoverError::Ledger(chain(&error))
}

/// S9: from here on the record refuses what the earlier process still wants of it.
async fn raise_epoch(ports: &Ports, request: &TakeoverRequest, epoch: u64) -> Result<(), TakeoverError> {
    let Successor { run, process, .. } = &request.successor;
    let forward = request.purpose == Purpose::Resume;
    let decided = |record: &FleetRecord| {
        let command = Command::TakeOver { run: run.clone(), epoch, process, forward };
        decided(ports, request, record, &command)
    };
    update(ports.ledger.as_ref(), CONFLICTS, decided).await.map_err(unchanged)
}

fn decided(
    ports: &Ports,
    request: &TakeoverRequest,
    record: &FleetRecord,
    command: &Command<'_>,
) -> Result<(Option<FleetRecord>, ()), Refusal> {
    let Successor { policies, fleet, bounds, .. } = &request.successor;
    let (none, now) = (BTreeSet::new(), ports.clock.now());
    let context = Context { policies, identity: fleet, bounds: *bounds, now, silent: &none, room: None };
    decide(record, command, &context).map(|(next, _)| (Some(next), ()))
}

fn unchanged(why: Unchanged<Refusal>) -> TakeoverError {
    match why {
        Unchanged::Refused(refusal) => refusal.into(),
        Unchanged::Busy(others) => TakeoverError::Ledger(format!("{others} writes of others came first")),
        Unchanged::Lost(error) => lost(error),
    }
}

/// Tells the record that a run has ended whose journal says so. Its own process may do the same at the same time.
async fn close(ports: &Ports, request: &TakeoverRequest, completed: bool) -> Result<Taken, TakeoverError> {
    let run = &request.successor.run;
    let decided = |record: &FleetRecord| {
        let Some(entry) = record.runs.get(run) else { return Ok((None, ())) };
        decided(ports, request, record, &Command::End { run: run.clone(), epoch: entry.epoch, completed })
    };
    update(ports.ledger.as_ref(), CONFLICTS, decided).await.map_err(unchanged)?;
    Ok(Taken::Closed)
}

/// Lets go of what a run without a journal holds; a person has named every host of it.
async fn give_up(
    ports: &Ports,
    request: &TakeoverRequest,
    epoch: u64,
    next: u64,
) -> Result<Vec<HostId>, TakeoverError> {
    let run = &request.successor.run;
    let held = update(ports.ledger.as_ref(), CONFLICTS, |record: &FleetRecord| {
        let Some(entry) = record.runs.get(run) else { return Ok((None, Vec::new())) };
        let held: Vec<(HostId, BatchNumber)> =
            entry.reservations.iter().map(|(host, hold)| (host.clone(), hold.batch)).collect();
        let outcomes = held.iter().map(|(host, _)| (host.clone(), HostOutcome::GivenUp)).collect();
        let (next, ()) = decided(ports, request, record, &Command::Resolve { run: run.clone(), epoch, outcomes })?;
        let next = next.unwrap_or_else(|| record.clone());
        let (next, ()) = decided(ports, request, &next, &Command::End { run: run.clone(), epoch, completed: false })?;
        Ok((next, held))
    });
    let held = held.await.map_err(unchanged)?;
    for line in request.given_up(&held, next, ports.clock.now()) {
        match append(ports.ledger.as_ref(), &line, &nonce()).await.map_err(lost)? {
            Written::Acknowledged(_) => {}
            Written::Conflict => {
                return Err(TakeoverError::Another("another process writes its journal".to_owned()));
            }
        }
    }
    Ok(held.into_iter().map(|(host, _)| host).collect())
}
