//! Taking a run over: the fence into its journal, its epoch into the record, both read again, and only then the
//! machine that acts. Which epoch, what is known and what follows is decided in `run`.

use std::collections::BTreeSet;

use crate::coordination::{Command, Context, FleetRecord, HostOutcome, Refusal, decide};
use crate::model::{HostId, RunId, Time, chain};
use crate::ports::Written;
use crate::run::{
    EVENT_SCHEMA, JournalRecord, Machine, Outcome, Past, Purpose, Spec, Standing, Successor, has_ended, next_epoch,
    standing, taken_over_by,
};

use super::append::append;
use super::change::{CONFLICTS, Unchanged, amend, nonce};
use super::{World, fault};

/// Fences that conflict with what a living process writes, at most: it does not write so often.
const FENCES: u32 = 50;

/// Who wants which run, and what for.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// Who takes over; its epoch is found here.
    pub(crate) successor: Successor,
    /// What for.
    pub(crate) purpose: Purpose,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Hosts that are given up where they cannot be put back.
    pub(crate) leave: BTreeSet<HostId>,
    /// How long its journal was when its process was found dead or silent: where it has grown, somebody lives.
    pub(crate) seen: usize,
    /// Whether the run is taken also from a process that still writes.
    pub(crate) even_if_alive: bool,
}

/// A run that was taken over.
#[derive(Debug)]
pub(crate) enum Taken {
    /// What goes on with it: [`super::drive`].
    Run(Box<Machine>),
    /// Its journal had ended, and only the record was not told: now it was.
    Closed,
    /// Its journal is lost, and a person gave these hosts up: they are released, and it is over.
    Released(Vec<HostId>),
}

/// Why a run was not taken over. Nothing of it was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Untaken {
    /// It has ended, or is not known: there is nothing to take over.
    Over(Standing),
    /// Its process wrote meanwhile: it lives.
    Alive,
    /// Another process took it over first.
    Another(String),
    /// The ledger cannot be used.
    Ledger(String),
    /// The record refuses, for a reason that has nothing to do with the run: a clock, another fleet.
    Refused(String),
}

/// Takes the run over.
///
/// # Errors
///
/// [`Untaken`]; after a fence that was written the run waits for whoever takes it over next.
pub(crate) async fn take_over(world: &World, claim: Claim) -> Result<Taken, Untaken> {
    fault::before("fence");
    let (journal, epoch) = match fence(world, &claim).await? {
        Fenced::By(journal, epoch) => (journal, epoch),
        Fenced::Unclosed(journal) => return close(world, &claim, &journal).await,
    };
    fault::before("epoch");
    raise_epoch(world, &claim, epoch).await?;
    fault::behind();

    // Read again, and only then acted on: of two that fenced the run the later one has it.
    let us = &claim.successor.process;
    let record = read(world).await?;
    let seen = world.ledger.journal(&claim.successor.run).await.map_err(|error| Untaken::Ledger(chain(&error)))?;
    if let Some(other) = taken_over_by(&seen, us) {
        return Err(Untaken::Another(other));
    }
    let is_ours =
        record.runs.get(&claim.successor.run).is_none_or(|entry| entry.epoch == epoch && entry.process == *us);
    if !is_ours || seen != journal {
        return Err(Untaken::Another("its record changed meanwhile".to_owned()));
    }
    let successor = Successor { epoch, ..claim.successor.clone() };
    match Spec::recorded(&journal, successor) {
        Some(spec) => Ok(Taken::Run(Box::new(Machine::take_over(spec, journal, &record, world.clock.now())))),
        None => give_up(world, &claim, epoch, journal).await.map(Taken::Released),
    }
}

/// What came of a fence.
enum Fenced {
    /// The journal ends with it, and this is the epoch from here on.
    By(Vec<JournalRecord>, u64),
    /// None is needed: the run has ended and holds nothing, only the record does not know it.
    Unclosed(Vec<JournalRecord>),
}

/// Appends the fence; returns the journal that ends with it, and the epoch.
async fn fence(world: &World, claim: &Claim) -> Result<Fenced, Untaken> {
    let run = &claim.successor.run;
    for _ in 0..FENCES {
        // In this order: what ends in between is seen to have ended, or the fence conflicts with its last line.
        let mut journal = world.ledger.journal(run).await.map_err(|error| Untaken::Ledger(chain(&error)))?;
        let record = read(world).await?;
        // S3: nothing is written for a run of another fleet; a fence alone would take a living run from its process.
        record.is_of(&claim.successor.fleet).map_err(refused)?;
        match standing(&journal, &record, run) {
            over @ (Standing::Unknown | Standing::Ended) => return Err(Untaken::Over(over)),
            over @ (Standing::Holding | Standing::Unclosed) if claim.purpose == Purpose::Resume => {
                // S9: what has ended goes forward no more; what it holds can be put back.
                return Err(Untaken::Over(over));
            }
            Standing::Unclosed => return Ok(Fenced::Unclosed(journal)),
            Standing::Lost => may_be_given_up(claim, &record)?,
            Standing::Holding | Standing::Unlisted | Standing::UnderWay => {}
        }
        if journal.len() != claim.seen && !claim.even_if_alive {
            // S9, schedule 19: of two that found it silent the slower one does not take it from the faster.
            let new = journal.get(claim.seen..).unwrap_or_default();
            let other = taken_over_by(new, &claim.successor.process);
            return Err(other.map_or(Untaken::Alive, Untaken::Another));
        }
        let epoch = next_epoch(&journal, &record, run);
        let (written, before) = (fence_record(claim, epoch, journal.len() as u64, world.clock.now()), journal.len());
        match append(world.ledger.as_ref(), &written, &nonce()).await {
            Ok(Written::Acknowledged(_)) => {
                journal.push(written);
                return Ok(Fenced::By(journal, epoch));
            }
            Ok(Written::Conflict) => {
                let now = world.ledger.journal(run).await.map_err(|error| Untaken::Ledger(chain(&error)))?;
                let new = now.get(before..).unwrap_or_default();
                if has_ended(&now) {
                    continue;
                }
                if let Some(other) = taken_over_by(new, &claim.successor.process) {
                    return Err(Untaken::Another(other));
                }
                if !claim.even_if_alive {
                    return Err(Untaken::Alive);
                }
            }
            Err(error) => return Err(Untaken::Ledger(chain(&error))),
        }
    }
    Err(Untaken::Alive)
}

fn fence_record(claim: &Claim, epoch: u64, seq: u64, at: Time) -> JournalRecord {
    let event = Past::RunTakenOver {
        epoch,
        process: claim.successor.process.clone(),
        operator: claim.successor.operator.clone(),
        purpose: claim.purpose,
        reason: claim.reason.clone(),
        leave: claim.leave.clone(),
        even_if_alive: claim.even_if_alive,
    };
    line(&claim.successor.run, seq, at, event)
}

fn line(run: &RunId, seq: u64, at: Time, event: Past) -> JournalRecord {
    JournalRecord { schema: EVENT_SCHEMA.to_owned(), run: run.clone(), seq, at, event }
}

async fn read(world: &World) -> Result<FleetRecord, Untaken> {
    let (_, record) = world.ledger.read().await.map_err(|error| Untaken::Ledger(chain(&error)))?;
    Ok(record)
}

/// S9: from here on the record refuses what the earlier process still wants of it.
async fn raise_epoch(world: &World, claim: &Claim, epoch: u64) -> Result<(), Untaken> {
    let Successor { run, process, .. } = &claim.successor;
    let forward = claim.purpose == Purpose::Resume;
    let decided = |record: &FleetRecord| {
        let command = Command::TakeOver { run: run.clone(), epoch, process, forward };
        decided(world, claim, record, &command)
    };
    amend(world.ledger.as_ref(), CONFLICTS, decided).await.map_err(untaken)
}

fn decided(
    world: &World,
    claim: &Claim,
    record: &FleetRecord,
    command: &Command<'_>,
) -> Result<(Option<FleetRecord>, ()), Refusal> {
    let Successor { policies, fleet, bounds, .. } = &claim.successor;
    let (none, now) = (BTreeSet::new(), world.clock.now());
    let context = Context { policies, identity: fleet, bounds: *bounds, now, silent: &none, room: None };
    decide(record, command, &context).map(|(next, _)| (Some(next), ()))
}

fn untaken(why: Unchanged<Refusal>) -> Untaken {
    match why {
        Unchanged::Refused(refusal) => refused(refusal),
        Unchanged::Busy(others) => Untaken::Ledger(format!("{others} writes of others came first")),
        Unchanged::Lost(error) => Untaken::Ledger(chain(&error)),
    }
}

fn refused(refusal: Refusal) -> Untaken {
    match refusal {
        Refusal::Fenced { why, .. } => Untaken::Another(why),
        refusal => Untaken::Refused(refusal.to_string()),
    }
}

/// Tells the record that a run has ended whose journal says so. Its own process may do the same at the same time.
async fn close(world: &World, claim: &Claim, journal: &[JournalRecord]) -> Result<Taken, Untaken> {
    let run = &claim.successor.run;
    let is_completed = |event: &Past| matches!(event, Past::RunEnded { outcome: Outcome::Completed, .. });
    let completed = journal.last().is_some_and(|last| is_completed(&last.event));
    let decided = |record: &FleetRecord| {
        let Some(entry) = record.runs.get(run) else { return Ok((None, ())) };
        decided(world, claim, record, &Command::End { run: run.clone(), epoch: entry.epoch, completed })
    };
    amend(world.ledger.as_ref(), CONFLICTS, decided).await.map_err(untaken)?;
    Ok(Taken::Closed)
}

/// S7: the record says that the run holds hosts, and its journal, which says what was done to them, is lost. Only a person
/// can tell what became of them.
fn may_be_given_up(claim: &Claim, record: &FleetRecord) -> Result<(), Untaken> {
    let Some(entry) = record.runs.get(&claim.successor.run) else { return Ok(()) };
    let unnamed: Vec<&str> =
        entry.holds.keys().filter(|host| !claim.leave.contains(*host)).map(HostId::as_str).collect();
    if unnamed.is_empty() {
        return Ok(());
    }
    let hosts = unnamed.join(", ");
    Err(Untaken::Refused(format!(
        "its journal is lost, so nobody can tell whether these are out of service: {hosts}. Look at each, put it back \
         where it is, and give them up: --leave HOST for each of them"
    )))
}

/// Lets go of what a run without a journal holds; a person has named every host of it.
async fn give_up(
    world: &World,
    claim: &Claim,
    epoch: u64,
    journal: Vec<JournalRecord>,
) -> Result<Vec<HostId>, Untaken> {
    let run = &claim.successor.run;
    let held = amend(world.ledger.as_ref(), CONFLICTS, |record: &FleetRecord| {
        let Some(entry) = record.runs.get(run) else { return Ok((None, Vec::new())) };
        let held: Vec<(HostId, u64)> = entry.holds.iter().map(|(host, hold)| (host.clone(), hold.batch)).collect();
        let outcomes = held.iter().map(|(host, _)| (host.clone(), HostOutcome::GivenUp)).collect();
        let (next, ()) = decided(world, claim, record, &Command::Resolve { run: run.clone(), epoch, outcomes })?;
        let next = next.unwrap_or_else(|| record.clone());
        let (next, ()) = decided(world, claim, &next, &Command::End { run: run.clone(), epoch, completed: false })?;
        Ok((next, held))
    });
    let held = held.await.map_err(untaken)?;
    let told = held.iter().map(|(host, batch)| Past::HostGivenUp {
        batch: *batch,
        host: host.clone(),
        operator: claim.successor.operator.clone(),
        reason: claim.reason.clone(),
        why: "its journal is lost".to_owned(),
    });
    let end = Past::RunEnded { outcome: Outcome::NeedsAttention, exit_code: 8, subsystems: Vec::new() };
    let lines = (journal.len() as u64..).zip(told.chain([end]));
    for (seq, event) in lines {
        let written = append(world.ledger.as_ref(), &line(run, seq, world.clock.now(), event), &nonce()).await;
        match written {
            Ok(Written::Acknowledged(_)) => {}
            Ok(Written::Conflict) => return Err(Untaken::Another("another process writes its journal".to_owned())),
            Err(error) => return Err(Untaken::Ledger(chain(&error))),
        }
    }
    Ok(held.into_iter().map(|(host, _)| host).collect())
}
