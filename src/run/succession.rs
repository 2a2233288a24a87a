//! Whether a run may be taken over, by this request, and what is written for that: decided from the journal and the record
//! alone (protocol section 6).
//!
//! In this order: [`TakeoverRequest::permission`] before anybody is asked, [`TakeoverRequest::fence`] with what is read
//! then, and [`TakeoverRequest::has_it`] with what is read when the epoch is raised.

use std::collections::BTreeSet;

use crate::coordination::{FleetRecord, Refusal};
use crate::model::{BatchNumber, HostId, RunId, Time};

use super::silence::MayLive;
use super::takeover::{RunStatus, next_epoch, run_status, taken_over_by};
use super::{EVENT_SCHEMA, Event, JournalRecord, Outcome, Purpose, RunHistory, Successor, has_ended};

/// Who wants which run, and what for.
#[derive(Clone, Debug)]
pub(crate) struct TakeoverRequest {
    /// Who takes over; its epoch is found here.
    pub(crate) successor: Successor,
    /// The purpose.
    pub(crate) purpose: Purpose,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Hosts that are given up if they cannot be put back.
    pub(crate) leave: BTreeSet<HostId>,
    /// The journal's length when its process was found dead or silent. If it has grown since, somebody lives.
    pub(crate) seen: usize,
    /// Whether the run is taken also from a process that still writes.
    pub(crate) even_if_alive: bool,
}

/// Why a run was not taken over. Nothing of it was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TakeoverError {
    /// It has ended, or is not known: there is nothing to take over.
    Over(RunStatus),
    /// Its process wrote meanwhile: it lives.
    Alive,
    /// Another process took it over first.
    Another(String),
    /// The ledger cannot be used.
    Ledger(String),
    /// The record refuses, for a reason that has nothing to do with the run: a clock, another fleet.
    Refused(String),
}

impl From<Refusal> for TakeoverError {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Fenced { why, .. } = refusal { Self::Another(why) } else { Self::Refused(refusal.to_string()) }
    }
}

/// Why a person or a program may not take a run over by this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotPermitted {
    /// Nobody knows the run.
    Unknown,
    /// It has ended and holds nothing.
    Over,
    /// Its journal is lost: nobody knows what to go on with.
    NothingToGoOnWith,
    /// Its process is alive, or is not known to be dead.
    MayLive(MayLive),
    /// It does not hold a host that is to be given up.
    NotHeld {
        /// The host.
        host: HostId,
        /// The hosts that it holds.
        held: BTreeSet<HostId>,
    },
}

/// A takeover's record for the journal.
#[derive(Debug)]
pub(crate) enum Fence {
    /// This record, which begins the epoch.
    Record {
        /// The record.
        record: Box<JournalRecord>,
        /// The epoch from here on.
        epoch: u64,
    },
    /// Nothing: the run has ended and holds nothing, only the record does not know it.
    NotNeeded {
        /// Whether everything that was asked for is gone.
        completed: bool,
    },
}

/// Whether a run may be taken over, before anybody is asked and before anything is written.
///
/// # Errors
///
/// [`NotPermitted`].
pub(crate) fn permission(
    run: &RunId,
    purpose: Purpose,
    leave: &BTreeSet<HostId>,
    (journal, record): (&[JournalRecord], &FleetRecord),
    may_live: MayLive,
) -> Result<(), NotPermitted> {
    match run_status(journal, record, run) {
        RunStatus::Unknown => return Err(NotPermitted::Unknown),
        RunStatus::Ended => return Err(NotPermitted::Over),
        RunStatus::Lost if purpose == Purpose::Resume => return Err(NotPermitted::NothingToGoOnWith),
        // Its process said its last word.
        RunStatus::Holding | RunStatus::Unclosed => {}
        RunStatus::UnderWay | RunStatus::Unlisted | RunStatus::Lost if may_live == MayLive::No => {}
        RunStatus::UnderWay | RunStatus::Unlisted | RunStatus::Lost => return Err(NotPermitted::MayLive(may_live)),
    }
    let held: BTreeSet<HostId> =
        record.runs.get(run).map(|entry| entry.reservations.keys().cloned().collect()).unwrap_or_default();
    match leave.iter().find(|host| !held.contains(*host)) {
        Some(host) => Err(NotPermitted::NotHeld { host: host.clone(), held }),
        None => Ok(()),
    }
}

impl TakeoverRequest {
    fn run(&self) -> &RunId {
        &self.successor.run
    }

    /// The record to append, by the journal and then the shared record as they are now.
    ///
    /// # Errors
    ///
    /// [`TakeoverError`]: nothing may be written.
    pub(crate) fn fence(
        &self,
        journal: &[JournalRecord],
        record: &FleetRecord,
        now: Time,
    ) -> Result<Fence, TakeoverError> {
        // S3: nothing is written for a run of another fleet; a fence alone would take a living run from its process.
        record.is_of(&self.successor.fleet)?;
        match run_status(journal, record, self.run()) {
            over @ (RunStatus::Unknown | RunStatus::Ended) => return Err(TakeoverError::Over(over)),
            over @ (RunStatus::Holding | RunStatus::Unclosed) if self.purpose == Purpose::Resume => {
                // S9: what has ended goes forward no more; what it holds can be put back.
                return Err(TakeoverError::Over(over));
            }
            RunStatus::Unclosed => {
                let end = RunHistory::of(journal).end;
                let completed = end.is_some_and(|end| end.outcome == Outcome::Completed);
                return Ok(Fence::NotNeeded { completed });
            }
            RunStatus::Lost => self.may_be_given_up(record)?,
            RunStatus::Holding | RunStatus::Unlisted | RunStatus::UnderWay => {}
        }
        if journal.len() != self.seen && !self.even_if_alive {
            // S9, schedule 19: of two that found it silent the slower one does not take it from the faster.
            return Err(self.who_wrote(journal.get(self.seen..).unwrap_or_default()));
        }
        let epoch = next_epoch(journal, record, self.run());
        let event = Event::RunTakenOver {
            epoch,
            process: self.successor.process.clone(),
            operator: self.successor.operator.clone(),
            purpose: self.purpose,
            reason: self.reason.clone(),
            leave: self.leave.clone(),
            even_if_alive: self.even_if_alive,
        };
        let record = Box::new(self.line(journal.len() as u64, now, event));
        Ok(Fence::Record { record, epoch })
    }

    /// The journal has something else where the fence was to be: whether the fence is tried again behind it.
    ///
    /// # Errors
    ///
    /// [`TakeoverError`]: whoever wrote that has the run.
    pub(crate) fn conflict(&self, before: usize, journal: &[JournalRecord]) -> Result<(), TakeoverError> {
        if has_ended(journal) {
            return Ok(());
        }
        let why = self.who_wrote(journal.get(before..).unwrap_or_default());
        if self.even_if_alive && why == TakeoverError::Alive { Ok(()) } else { Err(why) }
    }

    fn who_wrote(&self, new: &[JournalRecord]) -> TakeoverError {
        taken_over_by(new, &self.successor.process).map_or(TakeoverError::Alive, TakeoverError::Another)
    }

    /// Whether this process has the run: of two that fenced it the later one does. `fenced` is the journal that ends with
    /// the fence, `journal` and `record` are read after the epoch was raised.
    ///
    /// # Errors
    ///
    /// [`TakeoverError::Another`].
    pub(crate) fn has_it(
        &self,
        epoch: u64,
        fenced: &[JournalRecord],
        journal: &[JournalRecord],
        record: &FleetRecord,
    ) -> Result<(), TakeoverError> {
        let us = &self.successor.process;
        if let Some(other) = taken_over_by(journal, us) {
            return Err(TakeoverError::Another(other));
        }
        let is_ours = record.runs.get(self.run()).is_none_or(|entry| entry.epoch == epoch && entry.process == *us);
        if !is_ours || journal != fenced {
            return Err(TakeoverError::Another("its record changed meanwhile".to_owned()));
        }
        Ok(())
    }

    /// S7: the record says that the run holds hosts, and its journal, which says what was done to them, is lost. Only a
    /// person can tell what became of them.
    fn may_be_given_up(&self, record: &FleetRecord) -> Result<(), TakeoverError> {
        let Some(entry) = record.runs.get(self.run()) else { return Ok(()) };
        let unnamed: Vec<&str> =
            entry.reservations.keys().filter(|host| !self.leave.contains(*host)).map(HostId::as_str).collect();
        if unnamed.is_empty() {
            return Ok(());
        }
        let hosts = unnamed.join(", ");
        Err(TakeoverError::Refused(format!(
            "its journal is lost, so nobody can tell whether these are out of service: {hosts}. Look at each, put it back \
             where it is, and give them up: --leave HOST for each of them"
        )))
    }

    /// The last lines of a run whose journal is lost and whose hosts, each with its batch, a person gave up.
    pub(crate) fn given_up(&self, held: &[(HostId, BatchNumber)], from: u64, now: Time) -> Vec<JournalRecord> {
        let told = held.iter().map(|(host, batch)| Event::HostGivenUp {
            batch: *batch,
            host: host.clone(),
            operator: self.successor.operator.clone(),
            reason: self.reason.clone(),
            why: "its journal is lost".to_owned(),
        });
        let end = Event::RunEnded { outcome: Outcome::NeedsAttention, exit_code: 8, subsystems: Vec::new() };
        (from..).zip(told.chain([end])).map(|(seq, event)| self.line(seq, now, event)).collect()
    }

    fn line(&self, seq: u64, at: Time, event: Event) -> JournalRecord {
        JournalRecord { schema: EVENT_SCHEMA.to_owned(), run: self.run().clone(), seq, at, event }
    }
}
