//! [`Machine`]: the run as a pure state machine. One [`Response`] in, one [`Action`] out; time is an argument.
//!
//! What it knows is kept apart from what it does next: `handle` takes in an answer, `advance` (in `forward`, `restore`
//! and `close`) looks at what is known and queues what follows. An effect is queued behind the record of its intent, and
//! the queue is emptied when that record is not acknowledged: that is S5. A stop empties it of everything that goes
//! forward: that is S6.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::coordination::{FleetRecord, HostOutcome, RunIdentity};
use crate::health::{Bake, ProbeSpecs, Watch, probes_of};
use crate::model::{
    Bounds, Call, CallOutcome, Effect, FleetIdentity, FleetSnapshot, GroupName, HostId, LedgerId, OperatorId, ProbeKey,
    Time,
};
use crate::plan::{Confirmed, Inputs, LedgerView, PlanDocument, Settings, Stage, Taking, Violation, may_serve, verify};
use crate::policy::PolicySet;

use super::action::{Action, Finish, NotStarted, Observation, Order, RecordUpdate, Response};
use super::cause::{plain, severity};
use super::journal::EVENT_SCHEMA;
use super::reservation::ReservedHost;
use super::{Cause, CauseKind, Event, JournalRecord, Outcome};

/// What a run is made of.
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
    /// What the journal of the run's id has already: earlier calls with it that took nothing. Empty for a new id.
    pub(crate) prior: Vec<JournalRecord>,
    /// What a person types to resume AZRebalance of a group, with `GROUP` for its name.
    pub(crate) resume_by_hand: Option<&'static str>,
}

/// What comes next, in order.
#[derive(Clone, Debug)]
pub(super) enum Todo {
    Record(Event),
    RecordUpdate(RecordUpdate),
    Observe { probes: bool },
    Send { call: u64, intent: Call },
    Sleep { until: Time },
    Finish(Finish),
}

/// Where the run is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The run's journal is begun, and its place in line taken.
    Enlisting,
    /// Samples for the reference are taken: so many rounds yet.
    Reference { observations: Vec<Arc<Observation>>, next_at: Time },
    /// The run was taken over: nothing goes forward until the earlier process is out of reach and the batch was seen.
    TakingOver { since: Time },
    /// The next batch is about to be granted, not before `not_before`.
    Opening { not_before: Time, fresh: bool, stale: u32 },
    /// Groups' processes are suspended.
    Suspending,
    /// The batch is taken out of service.
    Cordoning { since: Time },
    /// The system is watched without it.
    Baking { bake: Box<Bake> },
    /// The batch is terminated, host by host.
    Terminating { granted: bool },
    /// The provider must show that it is gone.
    Verifying { since: Time },
    /// What is cordoned is put back.
    Restoring { since: Time },
    /// Groups are released and the run ended.
    Closing { step: super::closing::ClosingStep },
    /// Nothing more is done.
    Over,
}

/// Which way the run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Towards the end of its plan.
    Forward,
    /// What is cordoned is put back.
    Back,
    /// Its groups are released, and its end is told.
    Closing,
    /// Nowhere.
    Over,
}

impl Phase {
    /// Which way the run goes in this phase.
    pub(super) fn direction(&self) -> Direction {
        match self {
            Self::Enlisting
            | Self::Reference { .. }
            | Self::TakingOver { .. }
            | Self::Opening { .. }
            | Self::Suspending
            | Self::Cordoning { .. }
            | Self::Baking { .. }
            | Self::Terminating { .. }
            | Self::Verifying { .. } => Direction::Forward,
            Self::Restoring { .. } => Direction::Back,
            Self::Closing { .. } => Direction::Closing,
            Self::Over => Direction::Over,
        }
    }
}

/// A host that a person gave up.
#[derive(Clone, Debug)]
pub(super) struct GivenUp {
    /// Who decided it.
    pub(super) operator: OperatorId,
    /// Why.
    pub(super) reason: Option<String>,
}

/// Rounds of reasoning without an act before a bug is assumed; a plan has far fewer batches than this.
const SPINS: u32 = 100_000;

/// The run.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(super) spec: Spec,
    pub(super) phase: Phase,
    pub(super) queue: VecDeque<Todo>,
    pub(super) awaiting: Option<Todo>,
    pub(super) journal: Vec<JournalRecord>,
    /// Index of the batch under way.
    pub(super) current: usize,
    /// The hosts of each batch that are still in the plan.
    pub(super) batches: Vec<(u64, Vec<HostId>)>,
    pub(super) reserved: BTreeMap<HostId, ReservedHost>,
    /// Groups that the record says this run needs, with the calls to suspend and to resume.
    pub(super) groups: BTreeMap<GroupName, super::closing::GroupCalls>,
    pub(super) reference: BTreeMap<ProbeKey, f64>,
    /// Counts bad samples; `None` before the reference is known and while a bake has it.
    pub(super) watch: Option<Watch>,
    pub(super) observation: Option<Arc<Observation>>,
    /// The last complete observation, whatever the newest look showed.
    pub(super) snapshot: Option<Arc<FleetSnapshot>>,
    pub(super) record: Option<Arc<FleetRecord>>,
    /// When the newest look that read the probes began.
    pub(super) probed_at: Option<Time>,
    /// What was seen when the batch under way was granted.
    pub(super) before_batch: Option<Arc<FleetSnapshot>>,
    pub(super) blind_observations: u32,
    /// Looks since the last effect that were too old to act on, or that a sample was due before.
    pub(super) stale_observations: u32,
    pub(super) calls: u64,
    pub(super) in_flight: BTreeMap<u64, Call>,
    /// When the ledger last acknowledged a write of this run.
    pub(super) acked_at: Option<Time>,
    /// The ledger is lost: only restoring is allowed, and only for a while.
    pub(super) offline: bool,
    pub(super) cause: Option<Cause>,
    pub(super) orders: VecDeque<Order>,
    /// A look is taken in while a write has no answer: what it would stop the run for is kept in `postponed`.
    pub(super) glimpsing: bool,
    pub(super) postponed: Vec<(Cause, Option<NotStarted>)>,
    /// The ledger was told, or could not be told, that what follows is recorded late.
    pub(super) offline_notice_sent: bool,
    /// S9: who has taken the run from this process.
    pub(super) taken_by: Option<String>,
    /// The journal is this process's: its opening was acknowledged.
    pub(super) is_opened: bool,
    /// The run has a place in line.
    pub(super) is_enlisted: bool,
    /// The first grant was acknowledged: from here on a stop is the end of a run, and no refusal.
    pub(super) begun: bool,
    /// What the end of its journal says.
    pub(super) ended_as: Option<Outcome>,
    /// Why it ends without a grant; what is left is to say so.
    pub(super) withdrawing: Option<NotStarted>,
    /// When the first sample of the reference was taken.
    pub(super) reference_at: Option<Time>,
    /// When its last one was taken.
    pub(super) reference_taken_at: Option<Time>,
    /// Since when it waits for its first grant.
    pub(super) waiting_since: Option<Time>,
    /// The last wait that the journal was told: for what, and until when.
    pub(super) wait_told: Option<(String, Time)>,
    /// It waits for another run, and nobody knows how long.
    pub(super) waits_in_line: bool,
    pub(super) attention: bool,
    /// Outcomes that the record could not be told while it was out of reach.
    pub(super) unreported: BTreeMap<HostId, HostOutcome>,
    /// Of a run that was taken over: from when on nothing that an earlier process sent can take effect.
    pub(super) quiet_at: Option<Time>,
    /// The same, as far ahead as it can lie by clocks that agree.
    pub(super) quiet_by: Option<Time>,
    /// The latest time that the clock said since it was last set back.
    pub(super) latest: Option<Time>,
    /// Hosts that are given up where they cannot be put back.
    pub(super) given_up: BTreeMap<HostId, GivenUp>,
}

impl Machine {
    /// A run at its very beginning.
    pub(crate) fn new(spec: Spec) -> Self {
        let document = spec.confirmed.document();
        let batches =
            document.batches.iter().map(|b| (b.number, b.hosts.iter().map(|h| h.id.clone()).collect())).collect();
        Self {
            phase: Phase::Enlisting,
            queue: VecDeque::new(),
            awaiting: None,
            journal: spec.prior.clone(),
            current: 0,
            batches,
            reserved: BTreeMap::new(),
            groups: BTreeMap::new(),
            reference: BTreeMap::new(),
            watch: None,
            observation: None,
            snapshot: None,
            record: None,
            probed_at: None,
            before_batch: None,
            blind_observations: 0,
            stale_observations: 0,
            calls: 0,
            in_flight: BTreeMap::new(),
            acked_at: None,
            offline: false,
            cause: None,
            orders: VecDeque::new(),
            glimpsing: false,
            postponed: Vec::new(),
            offline_notice_sent: false,
            taken_by: None,
            is_opened: false,
            is_enlisted: false,
            begun: false,
            ended_as: None,
            withdrawing: None,
            reference_at: None,
            reference_taken_at: None,
            waiting_since: None,
            wait_told: None,
            waits_in_line: false,
            attention: false,
            unreported: BTreeMap::new(),
            quiet_at: None,
            quiet_by: None,
            latest: None,
            given_up: BTreeMap::new(),
            spec,
        }
    }

    /// The probes of everything watched: what a look reads.
    pub(crate) fn probes(&self) -> ProbeSpecs {
        probes_of(&self.spec.policies, &self.spec.identity.watched)
    }

    /// The journal so far, with what the ledger could not take.
    pub(crate) fn journal(&self) -> &[JournalRecord] {
        &self.journal
    }

    /// What the run is made of.
    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The ledger whose record the run goes by, where it was read.
    pub(crate) fn ledger(&self) -> Option<&LedgerId> {
        self.record.as_ref().map(|record| &record.ledger)
    }

    /// Whether the run has hosts in its hands.
    pub(crate) fn has_reservations(&self) -> bool {
        !self.reserved.is_empty()
    }

    /// Who has taken the run from this process, in words.
    pub(crate) fn taken_by(&self) -> Option<&str> {
        self.taken_by.as_deref()
    }

    /// Orders the run to stop: no further cordon or terminate, what is cordoned is put back (S6, S7).
    pub(crate) fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    /// Whether the run is past the point where an order changes anything.
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase.direction() != Direction::Forward
    }

    /// Takes in an answer and says what comes next.
    pub(crate) fn step(&mut self, response: Response, now: Time) -> Action {
        self.keep_time(now);
        self.handle(response, now);
        // What was learnt may bear times from before the clock was set back.
        self.keep_time(now);
        self.stop_for_what_came_meanwhile(now);
        for _ in 0..SPINS {
            if self.queue.is_empty() {
                self.advance(now);
            }
            if let Some(action) = self.take(now) {
                return action;
            }
        }
        // A bug: nothing follows from what is known. Nothing more is sent; the record keeps what is held.
        let cause = plain(CauseKind::Internal, "the run found no next step; please report this".to_owned());
        let _ = self.journalled(Event::Stopped { cause }, now);
        self.finish(Finish::Ended);
        Action::Finish(Finish::Ended)
    }

    /// The next thing of the queue that may still be done.
    fn take(&mut self, now: Time) -> Option<Action> {
        let todo = self.queue.pop_front()?;
        let action = match &todo {
            Todo::Record(event) => {
                let record = self.journalled(event.clone(), now);
                Action::Record(Box::new(record))
            }
            Todo::RecordUpdate(change) => Action::RecordUpdate(change.clone()),
            Todo::Observe { probes } => Action::Observe { probes: *probes },
            Todo::Send { call, intent } => {
                if let Some(why) = self.unsendable(intent, now) {
                    let (call, intent) = (*call, intent.clone());
                    let outcome = CallOutcome::Refused { message: format!("not sent: {why}"), retryable: true };
                    self.answered(call, &intent, outcome, now);
                    return None;
                }
                Action::Send(intent.clone())
            }
            Todo::Sleep { until } => Action::Sleep { until: *until },
            Todo::Finish(finish) => {
                self.phase = Phase::Over;
                // Asked again, the machine says the same again.
                self.queue.push_front(todo.clone());
                Action::Finish(finish.clone())
            }
        };
        self.awaiting = Some(todo);
        Some(action)
    }

    /// Why a call that was queued must not be sent any more.
    fn unsendable(&self, intent: &Call, now: Time) -> Option<String> {
        if now > intent.not_after {
            return Some("its deadline is past".to_owned());
        }
        if now < intent.intent_at {
            // Nobody could tell what became of it before that deadline.
            return Some("the clock was set back, and its deadline lies too far ahead".to_owned());
        }
        let forward = matches!(intent.effect, Effect::Cordon { .. } | Effect::Terminate { .. });
        if !forward {
            return None;
        }
        // S6: from a stop on, no new cordon or terminate starts.
        if self.cause.is_some() {
            return Some("the run is stopping".to_owned());
        }
        // S1: what the choke point judged must still be young when the call leaves (schedule 8).
        if !self.is_young(now) {
            return Some("the observation it was decided on is too old".to_owned());
        }
        None
    }

    pub(super) fn journalled(&mut self, event: Event, now: Time) -> JournalRecord {
        let record = JournalRecord {
            schema: EVENT_SCHEMA.to_owned(),
            run: self.spec.identity.run.clone(),
            seq: self.journal.len() as u64,
            at: now,
            event,
        };
        self.journal.push(record.clone());
        record
    }

    /// What the rules say to taking `hosts` beside what is out already. `Err` where nothing can be said.
    pub(super) fn violations(
        &self,
        hosts: BTreeSet<HostId>,
        stage: Stage,
        now: Time,
    ) -> Result<Vec<Violation>, String> {
        let Some(record) = &self.record else {
            return Err("the ledger was not read".to_owned());
        };
        let Some(snapshot) = &self.snapshot else {
            return Err("the fleet was not observed".to_owned());
        };
        let view = record.view(Some(&self.spec.identity.run), &BTreeSet::new(), now);
        let none = BTreeMap::new();
        let inputs = self.inputs(snapshot, &view, &none, now);
        let out = self.reserved.values().filter(|h| h.is_out()).map(|h| h.id.clone()).collect();
        verify(&inputs, &Taking { hosts, out }, stage).map_err(|e| e.to_string())
    }

    /// Those of the hosts that serve, or may; all of them where nothing can be said.
    pub(super) fn may_serve(&self, hosts: &BTreeSet<HostId>, now: Time) -> BTreeSet<HostId> {
        let (Some(record), Some(snapshot)) = (&self.record, &self.snapshot) else { return hosts.clone() };
        let view = record.view(Some(&self.spec.identity.run), &BTreeSet::new(), now);
        let none = BTreeMap::new();
        may_serve(&self.inputs(snapshot, &view, &none, now), hosts)
    }

    /// What the planner is asked with. Probes are judged by the run's own watch.
    pub(super) fn inputs<'a>(
        &'a self,
        snapshot: &'a FleetSnapshot,
        view: &'a LedgerView,
        none: &'a BTreeMap<ProbeKey, String>,
        now: Time,
    ) -> Inputs<'a> {
        Inputs {
            policies: &self.spec.policies,
            snapshot,
            ledger: view,
            bad_probes: none,
            identity: &self.spec.fleet,
            bounds: self.spec.bounds,
            now,
        }
    }

    /// Whether the newest observation may still be acted on.
    pub(super) fn is_young(&self, now: Time) -> bool {
        self.observation.as_ref().is_some_and(|observation| {
            observation.record.is_ok()
                // One from the future is from before the clock was set back: nobody knows how old it is.
                && observation
                    .fleet
                    .as_ref()
                    .is_ok_and(|s| s.begun_at <= now && now.since(s.begun_at) <= self.spec.bounds.max_age)
        })
    }

    /// Queues the record of an intent and, behind it, the call. The call's deadline counts from the intent.
    pub(super) fn intend(&mut self, effect: Effect, now: Time) {
        self.calls += 1;
        self.stale_observations = 0;
        let call = self.calls;
        let mut not_after = now.plus(self.spec.bounds.call_life);
        if self.offline
            && let Some(acked) = self.acked_at
        {
            // Without the ledger a call may not outlive what a taker-over waits for.
            not_after = not_after.min(acked.plus(self.settings().offline_limit));
        }
        let intent = Call { effect, intent_at: now, not_after };
        for id in intent.effect.hosts().into_iter().cloned().collect::<Vec<_>>() {
            if let Some(reserved) = self.reserved.get_mut(&id) {
                match &intent.effect {
                    Effect::Cordon { .. } => reserved.cordon.attempts += 1,
                    Effect::Restore { .. } => reserved.restore.attempts += 1,
                    Effect::Terminate { .. } => reserved.terminate.attempts += 1,
                    Effect::Suspend { .. } | Effect::Resume { .. } | Effect::Adopt { .. } => {}
                }
            }
        }
        self.in_flight.insert(call, intent.clone());
        self.queue.push_back(Todo::Record(Event::CallIntended { call, intent: intent.clone() }));
        self.queue.push_back(Todo::Send { call, intent });
    }

    /// Stops going forward. Causes are kept by severity and only ever escalate (S6).
    pub(super) fn stop(&mut self, cause: Cause, before_start: Option<NotStarted>, now: Time) {
        if self.glimpsing {
            self.postponed.push((cause, before_start));
            return;
        }
        // From here on the facts are settled: an order that comes now changes nothing that was done.
        if matches!(self.phase, Phase::Closing { .. } | Phase::Over) {
            return;
        }
        if !self.begun {
            self.withdraw(before_start.unwrap_or(NotStarted::Blind(cause.message)));
            return;
        }
        let graver = self.cause.as_ref().is_none_or(|old| severity(cause.kind) > severity(old.kind));
        if !graver {
            return;
        }
        let first = self.cause.is_none();
        self.cause = Some(cause.clone());
        if first {
            // S6: what goes forward and has not left is not sent. Its intent stands as a call that never was.
            self.queue.retain(|t| !matches!(t, Todo::Sleep { .. } | Todo::Observe { .. } | Todo::RecordUpdate(_)));
        }
        self.queue.push_back(Todo::Record(Event::Stopped { cause }));
        if !self.is_stopping() {
            self.phase = Phase::Restoring { since: now };
        }
    }

    /// Ends a run that was granted nothing: its journal says that it took nothing, and it leaves the line.
    pub(super) fn withdraw(&mut self, why: NotStarted) {
        self.queue.clear();
        if self.is_opened {
            self.queue.push_back(Todo::Record(Event::Stopped { cause: why.cause() }));
            self.queue.push_back(Todo::Record(Event::RunEnded {
                outcome: Outcome::NotStarted,
                exit_code: why.failure().exit_code(),
                subsystems: Vec::new(),
            }));
        }
        if self.is_enlisted {
            self.queue.push_back(Todo::RecordUpdate(RecordUpdate::End { completed: false }));
        }
        self.queue.push_back(Todo::Finish(Finish::NotStarted(why.clone())));
        self.withdrawing = Some(why);
        self.phase = Phase::Over;
    }

    pub(super) fn finish(&mut self, finish: Finish) {
        self.queue.clear();
        self.queue.push_back(Todo::Finish(finish));
        self.phase = Phase::Over;
    }

    pub(super) fn document(&self) -> &PlanDocument {
        self.spec.confirmed.document()
    }

    pub(super) fn settings(&self) -> &Settings {
        self.spec.confirmed.settings()
    }

    /// The batch under way: its number and the hosts still in the plan.
    pub(super) fn batch(&self) -> Option<&(u64, Vec<HostId>)> {
        self.batches.get(self.current)
    }

    /// The held hosts of the batch under way.
    pub(super) fn batch_reserved(&self) -> impl Iterator<Item = &ReservedHost> {
        let number = self.batch().map(|b| b.0);
        self.reserved.values().filter(move |h| Some(h.batch) == number)
    }

    fn advance(&mut self, now: Time) {
        match self.phase.direction() {
            Direction::Forward => self.forward(now),
            Direction::Back => self.restore(now),
            Direction::Closing => self.close(now),
            Direction::Over => match self.withdrawing.take() {
                Some(why) => self.finish(Finish::NotStarted(why)),
                None => self.finish(Finish::Ended),
            },
        }
    }
}
