//! The only loop that performs effects: it asks the pure [`Machine`] what comes next, does that one thing, and
//! answers with what it saw. It decides nothing.

mod append;
mod fault;
mod hooks;
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

use hooks::{FromHook, RunningHooks};

use crate::coordination::ProcessId;
use crate::model::{
    CallOutcome, HOOK_SCHEMA, HookAnswer, HookCall, HookDocument, HookHost, HookKey, LedgerId, Nonce, Time,
};
use crate::ports::{Clock, Fleet, HookCaller, Ledger, Prober, Processes, RecordedCall};
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
    /// The hooks.
    pub(crate) hooks: Arc<dyn HookCaller>,
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
    /// A line of progress of a hook.
    fn hook_said(&self, hook: &HookKey, line: &str);
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
    let inputs = machine.spec().clone();
    let us = inputs.identity.process.clone();
    let mut journal = append::Appender::new(ports.ledger.as_ref(), us.clone());
    let mut hooks = RunningHooks::new(Arc::clone(&ports.hooks));
    let mut response = Response::Begin;
    loop {
        hooks.keep(|number| machine.awaits_hook(number));
        for news in hooks.news() {
            heard(news, &mut machine, watcher);
        }
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
                        acted: (us, inputs.identity.epoch),
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
                let write = |tries| update::update_record(ports, &inputs, &update, tries);
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
            Action::Ask { number, call, hosts, spec } => {
                match journal.permit_hook(&call) {
                    Some(recorded) => hooks.start(number, recorded, told(&inputs, call, hosts), *spec),
                    // S5: the machine does not ask for this. Nothing was called.
                    None => machine.hook_answered(number, HookAnswer::Failed { message: UNRECORDED.to_owned() }),
                }
                fault::behind();
                Response::Asked
            }
            Action::Sleep { until } => {
                sleep(ports, until, &mut machine, watcher, stop, &mut hooks).await;
                Response::Woke
            }
        };
    }
}

const UNRECORDED: &str = "its intent is not on record";

/// Sleeps, until a hook answers, and where the run heeds them until an order or an answer comes.
async fn sleep(
    ports: &Ports,
    until: Time,
    machine: &mut Machine,
    watcher: &dyn Watcher,
    stop: &mut StopSignal,
    hooks: &mut RunningHooks,
) {
    let heeds_orders = machine.heeds_orders();
    // A hook takes real time, and a clock that stands still would leap over it.
    let waits_for_hook = ports.clock.stands_still() && !hooks.is_empty();
    let time_is_up = async {
        match waits_for_hook {
            true => std::future::pending().await,
            false => ports.clock.sleep_until(until).await,
        }
    };
    tokio::pin!(time_is_up);
    loop {
        tokio::select! {
            () = &mut time_is_up => return,
            () = stop.ordered(), if heeds_orders => return,
            answer = watcher.answered(), if heeds_orders => return machine.answer(answer),
            news = hooks.next() => {
                let is_answer = matches!(news, FromHook::Answered(..));
                heard(news, machine, watcher);
                if is_answer {
                    return;
                }
            }
        }
    }
}

fn heard(news: FromHook, machine: &mut Machine, watcher: &dyn Watcher) {
    match news {
        FromHook::Said(key, line) => watcher.hook_said(&key, &line),
        FromHook::Answered(number, answer) => machine.hook_answered(number, answer),
    }
}

/// The document that a hook gets.
fn told(spec: &Spec, call: HookCall, hosts: Vec<HookHost>) -> HookDocument {
    let HookCall { hook, on, before, batch, hosts: _, attempt } = call;
    HookDocument {
        schema: HOOK_SCHEMA,
        on,
        before,
        fleet: spec.policies.fleet.name.clone(),
        run: spec.identity.run.clone(),
        subsystem: hook.subsystem,
        batch,
        hosts,
        attempt,
    }
}

/// Sends a call: the only place from which an effect leaves this process.
pub(crate) async fn send(fleet: &dyn Fleet, recorded: RecordedCall) -> CallOutcome {
    let effect = recorded.call().effect.clone();
    let outcome = fleet.perform(recorded).await;
    tracing::info!(?effect, ?outcome, "call answered");
    outcome
}
