//! [`Machine`]: the run as a pure state machine. One [`Response`] in, one [`Action`] out; time is an argument.
//!
//! What it knows is kept apart from what it does next: `handle` takes in a response, `advance` (in `forward`, `restore` and
//! `close`) decides from what is known and queues what follows. A step that cannot go on returns its [`Reason`], and only
//! [`Machine::stop`] turns the run. An effect is queued behind the record of its intent, and leaves the queue when that
//! record is not acknowledged: that is S5. A stop empties the queue of everything that goes forward: that is S6.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::coordination::RunIdentity;
use crate::health::{ProbeSpecs, probes_of};
use crate::model::{BatchNumber, Bounds, FleetIdentity, HostId, LedgerId, Time};
use crate::plan::Confirmed;
use crate::policy::PolicySet;

use super::action::{Action, Finish, RecordUpdate};
use super::batches::Batches;
use super::hook_calls::Hooks;
use super::knowledge::{Baseline, CallLog, LedgerLink, Observed, Predecessor, Stopping, Waiting};
use super::phase::{BatchStep, ClosingStep, Direction, Phase};
use super::present::Present;
use super::reason::{Reason, severity};
use super::reservation::Reservations;
use super::{Event, JournalRecord, Order, Outcome, Response};

/// The inputs of a run.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Who it is.
    pub(crate) identity: RunIdentity,
    /// The permit: the plan that was confirmed. There is no other way to a run (S8).
    pub(crate) confirmed: Confirmed,
    /// The policies that the plan was made with.
    pub(crate) policies: Arc<PolicySet>,
    /// Which fleet.
    pub(crate) fleet: FleetIdentity,
    /// The provider's bounds.
    pub(crate) bounds: Bounds,
    /// The longest wait for a budget or another run before the first batch; zero with `--no-wait`.
    pub(crate) max_wait: Duration,
    /// The longest wait that hooks may ask for at one stage: the `--max-wait` that the run began with.
    pub(crate) hook_wait: Duration,
    /// `--pause-after`: the run pauses itself once this batch is gone.
    pub(crate) pause_after: Option<BatchNumber>,
    /// Whether there is a person at this process's terminal who can be asked.
    pub(crate) attended: bool,
    /// Records that the journal of the run's id has already, of earlier calls that took nothing. Empty for a new id.
    pub(crate) prior: Vec<JournalRecord>,
    /// When the credentials of this process end, if they do and cannot be renewed.
    pub(crate) credentials_end: Option<Time>,
    /// The command with which a person resumes AZRebalance of a group, with `GROUP` for its name.
    pub(crate) resume_by_hand: Option<&'static str>,
}

/// An entry of the queue.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// An event for the journal. It gets its number and its time when its turn comes.
    Event(Event),
    /// Anything else.
    Action(Action),
}

/// Rounds of reasoning without an action before a bug is assumed; a plan has far fewer batches than this.
const SPINS: u32 = 100_000;

/// The run.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(super) spec: Spec,
    pub(super) phase: Phase,
    pub(super) queue: VecDeque<Next>,
    /// The action that has no response yet.
    pub(super) awaiting: Option<Action>,
    pub(super) journal: Vec<JournalRecord>,
    pub(super) batches: Batches,
    pub(super) reservations: Reservations,
    pub(super) observed: Observed,
    pub(super) link: LedgerLink,
    pub(super) baseline: Baseline,
    pub(super) present: Present,
    pub(super) calls: CallLog,
    pub(super) waiting: Waiting,
    pub(super) stopping: Stopping,
    pub(super) hooks: Hooks,
    pub(super) predecessor: Predecessor,
    /// The first grant was acknowledged: from here on a stop is the end of a run, and no refusal.
    pub(super) begun: bool,
    /// The latest time that the clock said since it was last set back.
    pub(super) latest: Option<Time>,
}

impl Machine {
    /// A run at its very beginning.
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            phase: Phase::Enlisting,
            queue: VecDeque::new(),
            awaiting: None,
            journal: spec.prior.clone(),
            batches: Batches::of(spec.confirmed.document()),
            reservations: Reservations::default(),
            observed: Observed::default(),
            link: LedgerLink::default(),
            baseline: Baseline::default(),
            present: Present::default(),
            calls: CallLog::default(),
            waiting: Waiting::default(),
            stopping: Stopping::default(),
            hooks: Hooks::default(),
            predecessor: Predecessor::default(),
            begun: false,
            latest: None,
            spec,
        }
    }

    /// The probes of everything watched: what an observation reads.
    pub(crate) fn probes(&self) -> ProbeSpecs {
        probes_of(&self.spec.policies, &self.spec.identity.watched)
    }

    /// The journal so far, with what the ledger could not take.
    pub(crate) fn journal(&self) -> &[JournalRecord] {
        &self.journal
    }

    /// The inputs of the run.
    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The ledger whose record the run goes by, if it was read.
    pub(crate) fn ledger(&self) -> Option<&LedgerId> {
        self.observed.record.as_ref().map(|record| &record.ledger)
    }

    /// Whether hosts are reserved for the run.
    pub(crate) fn has_reservations(&self) -> bool {
        !self.reservations.hosts.is_empty()
    }

    /// The hosts that are reserved for the run now: those of the batch that is out.
    pub(crate) fn hosts_out(&self) -> BTreeSet<HostId> {
        self.reservations.hosts.keys().cloned().collect()
    }

    /// Who has taken the run from this process, in words.
    pub(crate) fn taken_by(&self) -> Option<&str> {
        self.link.taken_by.as_deref()
    }

    /// Orders the run to stop: no further cordon or terminate, what is cordoned is put back (S6, S7). Behind its end it ends
    /// the reading.
    pub(crate) fn order(&mut self, order: Order) {
        self.stopping.reads_enough |= self.is_following() && order.is_asked_for();
        self.stopping.orders.push_back(order);
    }

    /// Whether the run is past the point where an order changes anything.
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase.direction() != Direction::Forward
    }

    /// Takes in a response and says what comes next.
    pub(crate) fn step(&mut self, response: Response, now: Time) -> Action {
        self.keep_time_or_stop(now);
        self.handle(response, now);
        // The response may bear times from before the clock was set back.
        self.keep_time_or_stop(now);
        self.stop_for_what_came_meanwhile(now);
        self.take_hook_answers(now);
        for _ in 0..SPINS {
            if self.queue.is_empty() {
                self.advance(now);
            }
            if let Some(action) = self.take(now) {
                return action;
            }
        }
        // A bug: nothing follows from what is known. Nothing more is sent; the record keeps what is reserved.
        let reason = Reason::Internal("the run found no next step; please report this".to_owned());
        let _ = self.journalled(Event::Stopped { cause: reason.cause() }, now);
        self.finish(Finish::Ended);
        Action::Finish(Finish::Ended)
    }

    fn advance(&mut self, now: Time) {
        match self.phase.direction() {
            Direction::Forward => {
                if let Err(reason) = self.forward(now) {
                    self.stop(reason, now);
                }
            }
            Direction::Back => self.restore(now),
            Direction::Closing => self.close(now),
            Direction::Over if self.is_following() => self.follow(now),
            Direction::Over => {
                let finish = match &self.phase {
                    Phase::Withdrawing { why } => Finish::NotStarted(why.clone()),
                    Phase::Enlisting
                    | Phase::Reference { .. }
                    | Phase::TakingOver { .. }
                    | Phase::Opening { .. }
                    | Phase::Asking { .. }
                    | Phase::InBatch(_)
                    | Phase::Restoring { .. }
                    | Phase::Closing { .. }
                    | Phase::Following { .. }
                    | Phase::Over => Finish::Ended,
                };
                self.finish(finish);
            }
        }
    }

    /// Stops going forward. Causes are kept by severity and only ever escalate (S6).
    pub(super) fn stop(&mut self, reason: Reason, now: Time) {
        // From here on the facts are settled: an order that comes now changes nothing that was done.
        if matches!(self.phase.direction(), Direction::Closing | Direction::Over) {
            return;
        }
        if !self.begun {
            self.withdraw(reason);
            return;
        }
        let cause = reason.cause();
        let graver = self.stopping.cause.as_ref().is_none_or(|old| severity(cause.kind) > severity(old.kind));
        if !graver {
            return;
        }
        if self.stopping.cause.replace(cause.clone()).is_none() {
            // S6: what goes forward and has not left is not sent. Its intent stands as a call that never was.
            self.queue.retain(|next| {
                let Next::Action(action) = next else { return true };
                !matches!(action, Action::Sleep { .. } | Action::Observe { .. } | Action::Update(_))
            });
            self.give_up_hooks();
        }
        self.record(Event::Stopped { cause });
        // What the run goes on waiting for is said anew.
        self.waiting.told = None;
        if !self.is_stopping() {
            self.phase = Phase::Restoring { since: now };
        }
    }

    /// Ends a run that was granted nothing: its journal says that it took nothing, and it leaves the line.
    fn withdraw(&mut self, reason: Reason) {
        self.queue.clear();
        self.give_up_hooks();
        let cause = reason.cause();
        let why = reason.not_started();
        if self.link.is_opened {
            self.stopping.cause = Some(cause.clone());
            self.record(Event::Stopped { cause });
            self.record(Event::RunEnded {
                outcome: Outcome::NotStarted,
                exit_code: why.failure().exit_code(),
                subsystems: Vec::new(),
            });
        }
        if self.link.is_enlisted {
            self.update(RecordUpdate::End { completed: false });
        }
        self.queue.push_back(Next::Action(Action::Finish(Finish::NotStarted(why.clone()))));
        self.phase = Phase::Withdrawing { why };
    }

    /// The end, once what is queued is done.
    pub(super) fn finish_behind_queue(&mut self, finish: Finish) {
        self.queue.push_back(Next::Action(Action::Finish(finish)));
    }

    pub(super) fn finish(&mut self, finish: Finish) {
        self.queue.clear();
        self.queue.push_back(Next::Action(Action::Finish(finish)));
        self.phase = Phase::Over;
    }

    /// Leaves the way forward or back for the end.
    pub(super) fn start_closing(&mut self) {
        self.phase = Phase::Closing { step: ClosingStep::Groups };
    }

    /// The batch under way goes on to its next step.
    pub(super) fn go_on(&mut self, next: BatchStep) {
        if let Phase::InBatch(batch) = &mut self.phase {
            batch.step = next;
        }
    }
}
