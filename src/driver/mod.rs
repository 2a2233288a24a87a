//! The only loop that performs effects: it asks the pure [`Machine`] what comes next, does that one thing, and
//! answers with what it saw. It decides nothing.

mod change;
mod look;
mod stop;

use std::sync::Arc;

pub use stop::{StopSender, StopSignal, stop_signal};

use crate::model::CallOutcome;
use crate::ports::{Clock, Fleet, Ledger, LedgerError, Prober, Written};
use crate::run::{Act, Finish, Input, JournalRecord, Loss, Machine, NotStarted, Progress, RunDocument, Spec, report};

/// Everything that a run touches.
#[derive(Clone)]
pub struct World {
    /// The provider.
    pub fleet: Arc<dyn Fleet>,
    /// The shared record and the journals.
    pub ledger: Arc<dyn Ledger>,
    /// The probes.
    pub prober: Arc<dyn Prober>,
    /// The clock that the run goes by.
    pub clock: Arc<dyn Clock>,
}

/// Somebody who looks on: progress for people, events for programs. It cannot influence the run.
pub trait Watcher: Send + Sync {
    /// Where the run is; called before every act.
    fn progress(&self, progress: &Progress);
    /// A record that the journal acknowledged, or that could only be kept in memory.
    fn recorded(&self, record: &JournalRecord);
}

/// A run that came to an end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The run document.
    pub document: RunDocument,
    /// What the ledger could not take, if it was lost: nobody else knows of these.
    pub unrecorded: Vec<JournalRecord>,
}

/// Performs a confirmed plan to its end, whatever that is.
///
/// # Errors
///
/// [`NotStarted`]: nothing was touched.
pub async fn execute(
    world: &World,
    spec: Spec,
    watcher: &dyn Watcher,
    stop: &mut StopSignal,
) -> Result<Ended, NotStarted> {
    let mut driver = Driver { world, backlog: Vec::new() };
    let mut machine = Machine::new(spec, world.clock.now());
    let mut input = Input::Begin;
    loop {
        while let Some(order) = stop.pending() {
            machine.order(order);
        }
        let now = world.clock.now();
        let act = machine.step(input, now);
        watcher.progress(&machine.progress(now));
        input = match act {
            Act::Finish(Finish::NotStarted(why)) => return Err(why),
            Act::Finish(Finish::Ended) => {
                let unrecorded = driver.backlog;
                return match report(machine.journal()) {
                    Some(document) => Ok(Ended { document, unrecorded }),
                    // A run that ended was opened: its first record is there, recorded or not.
                    None => Err(NotStarted::Ledger("the run's journal does not begin with its opening".to_owned())),
                };
            }
            Act::Record(record) => {
                let input = driver.record(*record.clone()).await;
                watcher.recorded(&record);
                input
            }
            Act::Change(change) => change::change(world, machine.spec(), &change).await,
            Act::Send(call) => Input::Answered(driver.send(&call).await),
            // What waits can be interrupted; what acts cannot, and a restore is never interrupted.
            Act::Look { probes } if machine.is_stopping() => look::look(world, &machine, probes).await,
            Act::Look { probes } => tokio::select! {
                input = look::look(world, &machine, probes) => input,
                () = stop.ordered() => Input::Woke,
            },
            Act::Sleep { until } if machine.is_stopping() => {
                world.clock.sleep_until(until).await;
                Input::Woke
            }
            Act::Sleep { until } => tokio::select! {
                () = world.clock.sleep_until(until) => Input::Woke,
                () = stop.ordered() => Input::Woke,
            },
        };
    }
}

struct Driver<'a> {
    world: &'a World,
    /// Records that the ledger could not take, in order: they are appended before any later one.
    backlog: Vec<JournalRecord>,
}

impl Driver<'_> {
    async fn record(&mut self, record: JournalRecord) -> Input {
        self.backlog.push(record);
        while let Some(first) = self.backlog.first().cloned() {
            match self.append(&first).await {
                Ok(Written::Acknowledged(())) => {
                    self.backlog.remove(0);
                }
                Ok(Written::Conflict) => {
                    let why = format!("another process wrote record {} of its journal", first.seq);
                    return Input::Lost(Loss::Fenced(why));
                }
                Err(error) => return Input::Lost(Loss::Unreachable(chain(&error))),
            }
        }
        Input::Recorded
    }

    /// One append; a write in doubt is repeated with its nonce, which the ledger recognises.
    async fn append(&self, record: &JournalRecord) -> Result<Written<()>, LedgerError> {
        let nonce = change::nonce();
        let mut tries = 0;
        loop {
            match self.world.ledger.append(record, &nonce).await {
                Err(error) if tries < change::WRITE_TRIES => {
                    tracing::debug!(seq = record.seq, error = %chain(&error), "append failed, trying again");
                    tries += 1;
                    change::pause(tries).await;
                }
                answer => return answer,
            }
        }
    }

    async fn send(&self, call: &crate::model::Call) -> CallOutcome {
        let outcome = self.world.fleet.perform(call).await;
        tracing::info!(effect = ?call.effect, ?outcome, "call answered");
        outcome
    }
}

/// An error with its causes, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
