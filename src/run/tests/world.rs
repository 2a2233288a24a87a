//! A world in memory for the machine: a fleet that answers at once or wrong, a ledger that is the record itself, probes
//! that are a function. It checks the invariants after every act with sums of its own.

mod ledger;
mod meddled;
mod provider;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) use meddled::Meddled;
use words::words;

use super::policies::policies;
use crate::coordination::{Command, Context, FleetRecord, ProcessId, RunIdentity, decide};
use crate::model::{
    Bounds, CallOutcome, Departure, FleetIdentity, FleetMark, FleetSnapshot, Group, GroupName, HookAnswer, HookCall,
    HookStage, Host, HostId, HostState, Launch, LedgerId, OperatorId, OwnChanges, OwnTime, Process, Reading, RequestId,
    RunId, Sample, SubsystemName, Time,
};
use crate::plan::{Confirmation, Inputs, LedgerView, Plan, Request, Selection, plan};
use crate::policy::PolicySet;
use crate::run::{
    Action, Blind, Event, Finish, JournalRecord, Loss, Machine, Observation, Purpose, Response, RunDocument, Spec,
    Step, Successor, next_epoch, report,
};

pub(super) const START: Time = Time::from_millis(1_488_303_420_000);

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Throttled,
    /// Not done, and the answer does not say so.
    Timeout,
    /// Done, and the answer is lost.
    LostReply,
    Refused,
}

/// How far a process came.
#[derive(Debug)]
pub(super) enum Driven {
    Finished(Finish),
    Stopped(Stopped),
}

/// Where a process was stopped.
#[derive(Debug)]
pub(super) enum Stopped {
    /// About to do this.
    Before(Box<Action>),
    /// Done, and about to learn of it.
    Behind(Box<Response>),
}

pub(super) type Probe = Box<dyn Fn(&World) -> Result<f64, String>>;

pub(super) struct World {
    pub(super) now: Time,
    /// How far the clock, which is everybody's, is ahead.
    pub(super) ahead: Duration,
    /// Whether its runs ask before every batch after the first, and whether somebody is at their terminal.
    pub(super) step: bool,
    pub(super) attended: bool,
    pub(super) hosts: BTreeMap<HostId, Host>,
    pub(super) desired: u64,
    pub(super) suspended: BTreeSet<Process>,
    /// What the group does by itself.
    pub(super) changes: OwnChanges,
    pub(super) group_maximum: u64,
    pub(super) record: FleetRecord,
    pub(super) journal: Vec<JournalRecord>,
    pub(super) policies: Arc<PolicySet>,
    pub(super) bounds: Bounds,
    pub(super) probe: Probe,
    /// Kind of call (`cordon`, …), its number from 1, and what goes wrong.
    pub(super) faults: Vec<(&'static str, u64, Fault)>,
    calls: BTreeMap<&'static str, u64>,
    /// Looks that show nothing, by number from 1.
    pub(super) blind: BTreeSet<u64>,
    /// No look at the whole fleet succeeds.
    pub(super) too_large: bool,
    pub(super) looks: u64,
    /// How long a look takes.
    pub(super) look_takes: Duration,
    /// A restore that names this host is refused, whatever it looks like.
    pub(super) refuses_to_restore: Option<HostId>,
    /// What holds a host on its way out, in the provider's words. It stays listed until somebody removes it.
    pub(super) holds: Option<String>,
    /// What the group says that it launched.
    pub(super) launches: Vec<Launch>,
    /// The terminations that the group tells of.
    pub(super) departures: BTreeMap<HostId, Departure>,
    /// What hooks answer; one that answers nothing hangs.
    pub(super) answers: fn(&HookCall) -> Option<HookAnswer>,
    /// The calls of hooks, in order.
    pub(super) asked: Vec<HookCall>,
    /// Whether it must be seen that it launches nothing in place of what goes.
    pub(super) proves_removals: bool,
    /// What people were told that the run waits for, each text once.
    pub(super) waited_for: Vec<String>,
    /// Hosts that the next looks show in service whatever they are, and how many looks.
    pub(super) late: (BTreeSet<HostId>, u64),
    /// Called before each act with the act's words; may change the world or order a stop.
    pub(super) meddle: Box<dyn FnMut(&mut Meddled<'_>)>,
    /// From then on the ledger does not answer.
    pub(super) ledger_lost_at: Option<Time>,
    /// And from then on it does again.
    pub(super) ledger_back_at: Option<Time>,
    /// A write is repeated until the machine gives it up, and not lost at once.
    pub(super) waits: bool,
    /// What the journal was not heard to take.
    backlog: Vec<JournalRecord>,
    /// A change in words that is written while every reply to it is lost.
    pub(super) unheard: Option<&'static str>,
    /// Everything that was done, in words.
    pub(super) log: Vec<String>,
    /// The steps that people were shown, each once, and whether a host was out of service when it began.
    pub(super) shown: Vec<(Step, bool)>,
    cordoned_since: BTreeMap<HostId, Time>,
}

pub(super) fn host(number: u64) -> HostId {
    HostId::new(format!("index-{number:04}"))
}

impl World {
    /// Twelve hosts in three zones, minimum six, batches of two, a bake of a minute.
    pub(super) fn new() -> Self {
        let ledger = LedgerId::new("ledger-1");
        let hosts = (1..=12)
            .map(|n| {
                let zone = ["a", "b", "c"][(n % 3) as usize];
                let host = Host {
                    id: host(n),
                    zone: zone.into(),
                    group: Some(GroupName::new("index")),
                    instance_type: "m6i.large".into(),
                    tags: [("role", "index")].into(),
                    state: HostState::InService,
                    health: crate::model::Health::Healthy,
                    launched_at: START.minus(Duration::from_secs(86_400)),
                    protection: None,
                    ledger: None,
                    target_groups: BTreeSet::new(),
                    address: None,
                    target_health: BTreeMap::new(),
                    obstacles: Vec::new(),
                };
                (host.id.clone(), host)
            })
            .collect();
        let policies = Arc::new(policies());
        Self {
            now: START,
            ahead: Duration::ZERO,
            step: false,
            attended: true,
            hosts,
            desired: 12,
            suspended: BTreeSet::new(),
            changes: OwnChanges::default(),
            group_maximum: 100,
            record: FleetRecord::new(ledger, policies.fleet.name.clone(), START),
            journal: Vec::new(),
            policies,
            bounds: Bounds::SIMULATED,
            probe: Box::new(|_| Ok(0.0)),
            faults: Vec::new(),
            calls: BTreeMap::new(),
            blind: BTreeSet::new(),
            too_large: false,
            looks: 0,
            look_takes: Duration::ZERO,
            refuses_to_restore: None,
            holds: None,
            launches: Vec::new(),
            answers: |_| Some(HookAnswer::Allow {}),
            asked: Vec::new(),
            proves_removals: false,
            departures: BTreeMap::new(),
            waited_for: Vec::new(),
            late: (BTreeSet::new(), 0),
            meddle: Box::new(|_| {}),
            ledger_lost_at: None,
            ledger_back_at: None,
            waits: false,
            backlog: Vec::new(),
            unheard: None,
            log: Vec::new(),
            shown: Vec::new(),
            cordoned_since: BTreeMap::new(),
        }
    }

    pub(super) fn identity() -> FleetIdentity {
        FleetIdentity::simulated("fleet-1")
    }

    pub(super) fn snapshot(&self) -> FleetSnapshot {
        let group = Group {
            name: GroupName::new("index"),
            min_size: 0,
            max_size: self.group_maximum,
            desired: self.desired,
            stated_members: self.hosts.values().filter(|host| host.group.is_some()).count() as u64,
            launch_failure: None,
            ledger: None,
            suspended: self.suspended.clone(),
            deleting: false,
            obstacles: Vec::new(),
            changes: self.changes.clone(),
            notes: Vec::new(),
        };
        let going = self.hosts.values().filter(|host| host.state == HostState::Terminating);
        let held = going.filter_map(|host| Some((host.id.clone(), self.holds.clone()?))).collect();
        let snapshot = FleetSnapshot::new(self.now, self.now, self.hosts.values().cloned(), [group], FleetMark::Open);
        snapshot
            .expect("consistent")
            .proving_removals(self.proves_removals)
            .with_held(held)
            .with_departures(self.departures.clone())
            .with_launches(BTreeMap::from([(GroupName::new("index"), self.launches.clone())]))
    }

    /// The snapshot as a provider that lags may show it.
    fn seen(&mut self) -> FleetSnapshot {
        let truth = self.hosts.clone();
        if self.late.1 > 0 && self.hosts.values().any(|h| h.state == HostState::Cordoned) {
            self.late.1 -= 1;
            for id in &self.late.0 {
                if let Some(host) = self.hosts.get_mut(id) {
                    host.state = HostState::InService;
                }
            }
        }
        let seen = self.snapshot();
        self.hosts = truth;
        seen
    }

    /// A confirmed plan for so many hosts, and the machine that runs it.
    pub(super) fn machine(&self, count: u64) -> Machine {
        Machine::new(self.spec(count, "r-1"))
    }

    /// The same, asked for with this request id.
    pub(super) fn machine_for(&self, count: u64, request_id: Option<&str>) -> Machine {
        Machine::new(self.spec_for(count, "r-1", request_id))
    }

    pub(super) fn spec(&self, count: u64, run: &str) -> Spec {
        self.spec_for(count, run, None)
    }

    fn spec_for(&self, count: u64, run: &str, request_id: Option<&str>) -> Spec {
        let request = Request {
            subsystem: "index".into(),
            selection: Selection::counted(count),
            reason: Some("test".to_owned()),
            request_id: request_id.map(RequestId::from),
            expect_remaining: None,
        };
        let snapshot = self.snapshot();
        let view: LedgerView = self.record.view(None, &BTreeSet::new(), self.now);
        let none = BTreeMap::new();
        let identity = Self::identity();
        let inputs = Inputs {
            policies: &self.policies,
            snapshot: &snapshot,
            ledger: &view,
            bad_probes: &none,
            identity: &identity,
            bounds: self.bounds,
            credentials_end: None,
            prove: Inputs::PROVE,
            now: self.now,
        };
        let mut made: Plan = plan(&inputs, &request).expect("the fleet can be assessed");
        assert_eq!(made.document.violations, Vec::new(), "the test wants a plan that is allowed");
        made.settings.between_batches |= self.step;
        let answer = made.prompt_answer();
        let digest = made.document.plan.clone();
        let confirmed = made.confirm(Confirmation::Typed(answer), self.now).expect("confirmed");
        Spec {
            credentials_end: None,
            resume_by_hand: Some("resume GROUP, please"),
            identity: RunIdentity {
                run: RunId::new(run),
                epoch: 1,
                process: ProcessId { host: "here".to_owned(), pid: 1, token: run.to_owned(), pid_space: None },
                operator: "ada@here".into(),
                subsystem: SubsystemName::new("index"),
                watched: BTreeSet::from([SubsystemName::new("index")]),
                plan: digest,
                expect_remaining: None,
            },
            confirmed,
            policies: Arc::clone(&self.policies),
            fleet: identity,
            bounds: self.bounds,
            max_wait: Duration::from_secs(3600),
            hook_wait: Duration::from_secs(3600),
            pause_after: None,
            attended: self.attended,
            prior: Vec::new(),
        }
    }

    /// Runs the machine to its end.
    pub(super) fn drive(&mut self, machine: &mut Machine) -> Finish {
        match self.drive_until(machine, Response::Begin, u64::MAX) {
            Driven::Finished(finish) => finish,
            Driven::Stopped(_) => panic!("there are not so many points"),
        }
    }

    /// Runs the machine until the process is stopped at that point, counted from 0: there is one before and one behind
    /// each append, each change of the record and each call.
    pub(super) fn drive_until(&mut self, machine: &mut Machine, first: Response, point: u64) -> Driven {
        let mut response = first;
        let mut points = 0;
        for _ in 0..100_000 {
            let action = machine.step(response, self.now);
            let progress = machine.progress(self.now);
            self.show(progress.step);
            self.waited_for.extend(progress.waits_for);
            self.waited_for.dedup();
            let words = words(&action);
            if !words.is_empty() {
                self.log.push(words.clone());
            }
            let mut meddle = std::mem::replace(&mut self.meddle, Box::new(|_| {}));
            let mut meddled = Meddled {
                action: &words,
                hosts: &mut self.hosts,
                suspended: &mut self.suspended,
                launches: &mut self.launches,
                record: &mut self.record,
                now: &mut self.now,
                order: None,
                answer: None,
                skip_time: Duration::ZERO,
            };
            meddle(&mut meddled);
            let (order, answer, skipped) = (meddled.order, meddled.answer, meddled.skip_time);
            self.meddle = meddle;
            self.now = self.now.plus(skipped);
            if let Some(order) = order {
                machine.order(order);
            }
            if let Some(answer) = answer {
                machine.answer(answer);
            }
            if let Action::Finish(finish) = action {
                return Driven::Finished(finish);
            }
            let writes =
                matches!(action, Action::Record(_) | Action::Update(_) | Action::Send { .. } | Action::Ask { .. });
            if writes && points == point {
                return Driven::Stopped(Stopped::Before(Box::new(action)));
            }
            response = self.perform(machine, action, &words);
            if writes && points + 1 == point {
                return Driven::Stopped(Stopped::Behind(Box::new(response)));
            }
            points += if writes { 2 } else { 0 };
        }
        panic!("the run does not end; last:\n{}", self.log[self.log.len().saturating_sub(30)..].join("\n"));
    }

    fn show(&mut self, step: Step) {
        if self.shown.last().is_none_or(|(last, _)| *last != step) {
            let is_out = self.hosts.values().any(|host| host.state != HostState::InService);
            self.shown.push((step, is_out));
        }
    }

    /// A process that was stopped goes on with what it was about to do; returns how it ended.
    pub(super) fn wake(&mut self, machine: &mut Machine, stopped: Stopped) -> Finish {
        let response = match stopped {
            Stopped::Before(action) => {
                self.log.push(format!("wakes up before {}", words(&action)));
                self.perform(machine, *action, "")
            }
            Stopped::Behind(response) => *response,
        };
        match self.drive_until(machine, response, u64::MAX) {
            Driven::Finished(finish) => finish,
            Driven::Stopped(_) => panic!("there are not so many points"),
        }
    }

    /// A process that was stopped goes on until it is about to write again.
    pub(super) fn next_write(&mut self, machine: &mut Machine, stopped: Stopped) -> Driven {
        let response = match stopped {
            Stopped::Before(action) => self.perform(machine, *action, ""),
            Stopped::Behind(response) => *response,
        };
        self.drive_until(machine, response, 0)
    }

    /// Does what the machine asks for.
    pub(super) fn does(&mut self, machine: &mut Machine, action: Action) -> Response {
        self.perform(machine, action, "")
    }

    fn perform(&mut self, machine: &mut Machine, action: Action, words: &str) -> Response {
        if self.waits
            && matches!(action, Action::Record(_) | Action::Update(_))
            && let Some(lost) = self.wait_for_ledger(machine)
        {
            if let Action::Record(record) = action {
                self.backlog.push(*record);
            }
            return lost;
        }
        match action {
            Action::Finish(_) => panic!("there is nothing to do"),
            Action::Record(record) if self.waits => self.append_all(*record),
            Action::Record(record) => self.append(&record),
            Action::Update(update) => {
                let answer = self.change(machine.spec(), &update);
                let is_unheard = self.unheard.is_some_and(|unheard| words == unheard);
                match answer {
                    Response::Updated(_) if is_unheard => Response::Lost(Loss::Unreachable("no reply".to_owned())),
                    answer => answer,
                }
            }
            Action::Observe { probes } => self.observe(machine, probes),
            Action::Send { call, .. } => {
                if self.now > call.not_after {
                    return Response::Answered(CallOutcome::Refused {
                        message: "too late".to_owned(),
                        retryable: false,
                    });
                }
                self.check_send(&call);
                Response::Answered(self.send(&call))
            }
            Action::Ask { number, call, .. } => {
                let intended = Event::HookIntended { call: number, intent: call.clone() };
                let is_on_record = self.journal.iter().any(|record| record.event == intended);
                assert!(is_on_record || call.on == HookStage::Undrain, "S5: {call:?}");
                let answer = (self.answers)(&call);
                self.asked.push(call);
                if let Some(answer) = answer {
                    machine.hook_answered(number, answer);
                }
                Response::Asked
            }
            Action::Sleep { until } => {
                self.now = self.now.max(until);
                Response::Woke
            }
        }
    }

    /// Another process fences the run, raises its epoch and goes on with it.
    pub(super) fn take_over(&mut self, purpose: Purpose, leave: &[HostId]) -> Machine {
        let run = self.journal[0].run.clone();
        let epoch = next_epoch(&self.journal, &self.record, &run);
        let process = ProcessId { host: "there".to_owned(), pid: 2, token: format!("epoch {epoch}"), pid_space: None };
        let operator = OperatorId::new("ann@there");
        let fence = Event::RunTakenOver {
            epoch,
            process: process.clone(),
            operator: operator.clone(),
            purpose,
            reason: Some("it died".to_owned()),
            leave: leave.iter().cloned().collect(),
            even_if_alive: false,
        };
        let line = JournalRecord {
            schema: crate::run::EVENT_SCHEMA.to_owned(),
            run: run.clone(),
            seq: self.journal.len() as u64,
            at: self.now,
            event: fence,
        };
        self.append(&line);
        let identity = Self::identity();
        let silent = BTreeSet::new();
        let context = Context {
            policies: &self.policies,
            identity: &identity,
            bounds: self.bounds,
            now: self.now,
            silent: &silent,
            room: None,
        };
        let forward = purpose == Purpose::Resume;
        let command = Command::TakeOver { run: run.clone(), epoch, process: &process, forward };
        self.record = decide(&self.record, &command, &context).expect("taken over").0;
        let policies = Arc::clone(&self.policies);
        let successor = Successor {
            run,
            epoch,
            process,
            operator,
            policies,
            fleet: identity,
            bounds: self.bounds,
            credentials_end: None,
            resume_by_hand: None,
            attended: self.attended,
        };
        let spec = Spec::recorded(&self.journal, successor).expect("it was opened");
        Machine::take_over(spec, self.journal.clone(), &self.record, self.now)
    }

    /// No host was reserved or touched, and where there is a journal it says so.
    pub(super) fn took_nothing(&self) -> bool {
        let is_said = self.journal.is_empty() || crate::run::took_nothing(&self.journal);
        is_said && self.record.runs.is_empty() && !self.log.iter().any(|line| line.starts_with("cordon"))
    }

    pub(super) fn document(&self) -> RunDocument {
        report(&self.journal).expect("the run was opened")
    }

    pub(super) fn observe(&mut self, machine: &Machine, probes: bool) -> Response {
        self.looks += 1;
        let record =
            if self.is_ledger_lost() { Err("the disk is gone".to_owned()) } else { Ok(Arc::new(self.record.clone())) };
        let fleet = if self.blind.contains(&self.looks) || (self.too_large && machine.scope(self.now).is_none()) {
            Err(Blind { message: "throttled".to_owned(), contradictory: false })
        } else {
            // As the driver asks: what the run need not see is not shown.
            let seen = self.seen();
            Ok(Arc::new(match machine.scope(self.now) {
                Some(scope) => crate::plan::testing::part(&seen, scope),
                None => seen,
            }))
        };
        let begun_at = self.now;
        self.now = self.now.plus(self.look_takes);
        let reading = (self.probe)(self);
        let samples = if probes { machine.probes() } else { BTreeMap::new() }
            .into_keys()
            .map(|key| Sample {
                key,
                begun_at: self.now,
                ended_at: self.now,
                reading: reading.clone().map(Reading::Number),
                own_time: OwnTime::default(),
            })
            .collect();
        Response::Observed(Box::new(Observation {
            begun_at,
            ended_at: self.now,
            record,
            taken_over_by: None,
            fleet,
            probed: probes,
            samples,
        }))
    }

    pub(super) fn serving(&self) -> usize {
        self.hosts.values().filter(|h| h.is_serving()).count()
    }
}
