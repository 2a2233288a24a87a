//! The only loop that performs effects: it asks the pure [`Machine`] what comes next, does that one thing, and
//! answers with what it saw. It decides nothing.

mod append;
mod fault;
mod liveness;
mod observe;
mod retry;
mod stop;
mod takeover;
mod update;
mod while_writing;

use std::sync::Arc;

use async_trait::async_trait;

pub use append::record_alone;
pub(crate) use append::{prune, record_intent, record_kept};
pub(crate) use fault::under_faults;
pub(crate) use liveness::silent;
pub(crate) use stop::{StopSender, StopSignal, stop_signal};
pub(crate) use takeover::{Taken, take_over};
pub use update::update;
pub(crate) use update::{Unchanged, pause_for};

use crate::coordination::ProcessId;
use crate::model::{CallOutcome, LedgerId, Nonce};
use crate::ports::{Clock, Fleet, Ledger, Prober, Processes, RecordedCall};
use crate::run::{
    Action, Answer, BatchQuestion, Finish, JournalRecord, Machine, NotStarted, Progress, Response, RunDocument, Spec,
    report,
};

/// The driver's access to the world: one implementation of each port.
#[derive(Clone)]
pub(crate) struct Ports {
    /// The provider.
    pub(crate) fleet: Arc<dyn Fleet>,
    /// The shared record and the journals.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// The probes.
    pub(crate) prober: Arc<dyn Prober>,
    /// The clock that the run goes by.
    pub(crate) clock: Arc<dyn Clock>,
    /// Other processes, as far as they can be seen.
    pub(crate) processes: Arc<dyn Processes>,
}

/// Somebody who looks on: progress for people, events for programs. It can influence the run only where it is asked.
#[async_trait]
pub(crate) trait Watcher: Send + Sync {
    /// The run's progress; called before every action.
    fn progress(&self, progress: &Progress);
    /// A record that the journal acknowledged, or that could only be kept in memory.
    fn recorded(&self, record: &JournalRecord);
    /// The question that is open, or that none is; called before every action. Asking must not block.
    fn asks(&self, question: Option<&BatchQuestion>);
    /// Waits for the answer of a person; for ever where there is nobody to answer.
    async fn answered(&self) -> Answer;
}

/// A run that came to an end.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// The run document.
    pub(crate) document: RunDocument,
    /// What the ledger was not heard to take, each record with the nonce under which it may be there: nobody else knows
    /// of these.
    pub(crate) unrecorded: Vec<(JournalRecord, Nonce)>,
    /// Everything that this process knows of the run, acknowledged or not.
    pub(crate) journal: Vec<JournalRecord>,
    /// The ledger that the run went by.
    pub(crate) ledger: Option<LedgerId>,
    /// Which process this was, and the epoch at which it acted.
    pub(crate) acted: (ProcessId, u64),
    /// S9: who took the run from this process, which has sent nothing since it knows.
    pub(crate) taken_by: Option<String>,
}

/// Performs a confirmed plan to its end, whatever that is.
///
/// # Errors
///
/// [`NotStarted`]: nothing was touched.
pub(crate) async fn execute(
    ports: &Ports,
    spec: Spec,
    watcher: &dyn Watcher,
    stop: &mut StopSignal,
) -> Result<Ended, NotStarted> {
    drive(ports, Machine::new(spec), watcher, stop).await
}

/// Performs what a machine asks for, to its end: of a run that begins, or of one that was taken over.
///
/// # Errors
///
/// [`NotStarted`]: nothing was touched by this process.
pub(crate) async fn drive(
    ports: &Ports,
    mut machine: Machine,
    watcher: &dyn Watcher,
    stop: &mut StopSignal,
) -> Result<Ended, NotStarted> {
    let spec = machine.spec().clone();
    let us = spec.identity.process.clone();
    let mut journal = append::Appender::new(ports.ledger.as_ref(), us.clone());
    let mut response = Response::Begin;
    loop {
        while let Some(order) = stop.pending() {
            machine.order(order);
        }
        let now = ports.clock.now();
        let action = machine.step(response, now);
        watcher.progress(&machine.progress(now));
        watcher.asks(machine.question(now).as_ref());
        fault::before_action(&action);
        response = match action {
            Action::Finish(Finish::NotStarted(why)) => return Err(why),
            Action::Finish(Finish::Ended) => {
                let unrecorded = journal.unrecorded();
                return match report(machine.journal()) {
                    Some(document) => Ok(Ended {
                        document,
                        unrecorded,
                        journal: machine.journal().to_vec(),
                        ledger: machine.ledger().cloned(),
                        acted: (us, spec.identity.epoch),
                        taken_by: machine.taken_by().map(str::to_owned),
                    }),
                    // A run that ended was opened: its first record is there, recorded or not.
                    None => Err(NotStarted::Ledger("the run's journal does not begin with its opening".to_owned())),
                };
            }
            Action::Record(record) => {
                let (one, mut tries) = (*record.clone(), None);
                let write = |tries| journal.record(one, tries);
                let response = while_writing::write_while_observing(ports, &mut machine, stop, &mut tries, write).await;
                fault::behind();
                watcher.recorded(&record);
                response
            }
            Action::Update(update) => {
                let mut tries = None;
                let write = |tries| update::update_record(ports, &spec, &update, tries);
                let response = while_writing::write_while_observing(ports, &mut machine, stop, &mut tries, write).await;
                fault::behind();
                response
            }
            Action::Send { call, .. } => {
                let outcome = match journal.permit(&call) {
                    Some(recorded) => send(ports.fleet.as_ref(), recorded).await,
                    // S5: the machine does not ask for this. Nothing was sent.
                    None => CallOutcome::not_sent("its intent is not on record", false),
                };
                fault::behind();
                Response::Answered(outcome)
            }
            // A wait can be interrupted. An action cannot, and a restore never is.
            Action::Observe { probes } if !machine.heeds_orders() => observe::observe(ports, &machine, probes).await,
            Action::Observe { probes } => tokio::select! {
                response = observe::observe(ports, &machine, probes) => response,
                () = stop.ordered() => Response::Woke,
                answer = watcher.answered() => {
                    machine.answer(answer);
                    Response::Woke
                }
            },
            Action::Sleep { until } if !machine.heeds_orders() => {
                ports.clock.sleep_until(until).await;
                Response::Woke
            }
            Action::Sleep { until } => tokio::select! {
                () = ports.clock.sleep_until(until) => Response::Woke,
                () = stop.ordered() => Response::Woke,
                answer = watcher.answered() => {
                    machine.answer(answer);
                    Response::Woke
                }
            },
        };
    }
}

/// Sends a call: the only place from which an effect leaves this process.
pub(crate) async fn send(fleet: &dyn Fleet, recorded: RecordedCall) -> CallOutcome {
    let effect = recorded.call().effect.clone();
    let outcome = fleet.perform(recorded).await;
    tracing::info!(?effect, ?outcome, "call answered");
    outcome
}
