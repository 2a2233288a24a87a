//! One schedule: two to five drivers, two fleets, one record, and everything that goes wrong, all from one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Rig;
use super::check::Checker;
use super::fleet::{Fate, Fleet, SimHost};
use super::outage::Waiting;
use super::people::People;
use super::runner::{Doing, Runner, Wanted, identity, spec};
use super::takeover::Taking;
use crate::coordination::{self, Command, Context, FleetRecord, Halt, decide};
use crate::model::{Bounds, Call, CallOutcome, Health, HostId, HostState, OwnTime, Reading, Sample, Time};
use crate::plan::testing::Seeded;
use crate::policy::PolicySet;
use crate::run::{
    Action, Blind, Finish, JournalRecord, JournalStage, Loss, Machine, NotStarted, Observation, Order, Outcome,
    Response, RunHistory, is_pruned, prune, report, silent_from,
};

/// More than any schedule takes: one that reaches it does not end.
const STEPS: u64 = 60_000;

/// What a schedule showed.
pub(super) struct Shown {
    pub(super) violations: Vec<String>,
    /// Faults that were injected and outcomes that were reached.
    pub(super) seen: BTreeSet<&'static str>,
}

pub(super) struct World {
    pub(super) now: Time,
    pub(super) seeded: Seeded,
    pub(super) rig: Rig,
    pub(super) bounds: Bounds,
    pub(super) policies: Arc<PolicySet>,
    /// Two that look the same by name: the ledger is of one of them.
    pub(super) fleets: [Fleet; 2],
    pub(super) record: FleetRecord,
    pub(super) version: u64,
    /// Each run's journal, as the ledger has it.
    pub(super) journals: Vec<Vec<JournalRecord>>,
    /// Takeovers that are under way or will begin.
    pub(super) takings: Vec<Taking>,
    pub(super) runners: Vec<Runner>,
    pub(super) checker: Checker,
    /// Calls whose replies are lost, and when they land.
    pub(super) late: Vec<(Time, (usize, usize), Call)>,
    pub(super) fates: Vec<(Time, HostId, Fate)>,
    pub(super) ledger_gone: Option<(Time, Time)>,
    /// When a copy of the ledger is made, and when it is put in its place.
    pub(super) put_back: Option<(Time, Time)>,
    pub(super) copy: Option<(FleetRecord, Vec<Vec<JournalRecord>>)>,
    pub(super) bad_probe: Option<(Time, Time)>,
    /// A stop order, and from when to when it is in force.
    pub(super) halt: Option<(Time, Time, Halt)>,
    pub(super) seen: BTreeSet<&'static str>,
    /// One in so many acts goes wrong.
    pub(super) trouble: u64,
    pub(super) is_months_later: bool,
    pub(super) people: People,
}

/// Plays the schedule of a seed to its end.
pub(super) fn play(seed: u64, bounds: Bounds, rig: Rig) -> Shown {
    let mut world = World::new(seed, bounds, rig);
    let mut steps = 0;
    loop {
        while world.turn() {
            steps += 1;
            if steps > STEPS {
                world.checker.violations.push("s7: a run does not end".to_owned());
                break;
            }
        }
        if steps > STEPS || !world.months_later() {
            break;
        }
    }
    world.end();
    world.every_journal_is_in_order();
    Shown { violations: world.checker.violations, seen: world.seen }
}

impl World {
    /// Every journal, cut after every record, is the history of a run: in order, and the same however it is read. A rigged
    /// ledger keeps no order.
    fn every_journal_is_in_order(&mut self) {
        if self.rig != Rig::Whole {
            return;
        }
        for (run, journal) in self.journals.iter().enumerate() {
            for length in 0..=journal.len() {
                let history = RunHistory::of(&journal[..length]);
                if let Some(illegal) = &history.illegal {
                    self.checker.violations.push(format!("run {run}: {illegal}"));
                    break;
                }
                let over = matches!(history.stage, JournalStage::Withdrawn | JournalStage::Ended);
                let pruned = history.stage == JournalStage::Alone;
                let told = [
                    history.has_ended() == (over || pruned),
                    history.cause.is_none() || over || history.stage == JournalStage::Stopping,
                    history.terminated.iter().all(|host| history.hosts.contains_key(*host)),
                ];
                if told.contains(&false) {
                    self.checker.violations.push(format!("run {run}, {length} records, {:?}: {told:?}", history.stage));
                    break;
                }
            }
        }
    }

    pub(super) fn goes_wrong(&mut self, what: &'static str) -> bool {
        self.one_in(self.trouble, what)
    }

    pub(super) fn one_in(&mut self, times: u64, what: &'static str) -> bool {
        let wrong = self.seeded.chance(times);
        if wrong {
            self.seen.insert(what);
        }
        wrong
    }

    /// Long after everything is over somebody uses a request id again, for another request. Says whether that was tried.
    fn months_later(&mut self) -> bool {
        if self.rig == Rig::TrustsCopies || self.put_back.is_some() || self.is_months_later || !self.seeded.chance(4) {
            return false;
        }
        self.is_months_later = true;
        self.pass(self.now.plus(Duration::from_secs(91 * 24 * 3600)));
        let used =
            |run: &usize| self.checker.has_taken(*run) && self.runners.iter().any(|r| r.run == *run && r.fleet == 0);
        let Some(run) = (0..self.journals.len()).find(used) else { return false };
        let none = BTreeSet::new();
        let policies = Arc::clone(&self.policies);
        let wanted = Wanted {
            number: run,
            policies: &policies,
            fleet: 0,
            spoken_for: &none,
            expects: false,
            asks: false,
            attended: false,
            pauses: false,
        };
        let (now, bounds) = (self.now, self.bounds);
        let made = spec(&wanted, &self.fleets[0], &self.record, bounds, now, &mut self.seeded);
        let Some((mut spec, asked)) = made else { return false };
        spec.identity.process.token = "months later".to_owned();
        if self.rig == Rig::ForgetsJournals {
            self.journals[run].clear();
            self.record.ended.clear();
        }
        if self.seeded.chance(2) {
            self.prune();
        }
        self.seen.insert("id used again");
        self.checker.asks_again(run, asked);
        self.runners.push(Runner::new(run, Machine::new(spec), now));
        true
    }

    /// Somebody prunes the ledger: of every journal that may go one record is left.
    fn prune(&mut self) {
        let before = self.now.minus(Duration::from_secs(7 * 24 * 3600));
        for journal in &mut self.journals {
            if let Ok(stub) = prune(journal, &self.record, before, self.now, &"casey".into(), "old.json") {
                *journal = vec![stub];
                self.seen.insert("pruned");
            }
        }
    }

    /// Whatever comes next in time: a late call, a death, or a driver. Says whether there was anything for a driver.
    fn turn(&mut self) -> bool {
        let next = (0..self.runners.len())
            .filter(|i| !self.runners[*i].is_over())
            .min_by_key(|i| (self.runners[*i].at, self.runners[*i].steps));
        let taking = (0..self.takings.len()).min_by_key(|i| self.takings[*i].at);
        match (next, taking) {
            (_, Some(taking)) if next.is_none_or(|next| self.takings[taking].at < self.runners[next].at) => {
                let taking = self.takings.remove(taking);
                self.pass(taking.at);
                self.take(taking);
            }
            (Some(next), _) => {
                self.pass(self.runners[next].at);
                self.drive(next);
            }
            (None, _) => return false,
        }
        true
    }

    /// Time passes, and what was to happen happens.
    fn pass(&mut self, until: Time) {
        loop {
            let landing = self.late.iter().enumerate().min_by_key(|(_, l)| l.0).map(|(i, l)| (l.0, i));
            let fate = self.fates.iter().enumerate().min_by_key(|(_, d)| d.0).map(|(i, d)| (d.0, i));
            match (landing, fate) {
                (Some((at, i)), _) if at <= until && fate.is_none_or(|d| at <= d.0) => {
                    let (_, run, call) = self.late.remove(i);
                    self.now = self.now.max(at);
                    self.land(run.0, run.1, &call);
                }
                (_, Some((at, i))) if at <= until => {
                    let (_, id, fate) = self.fates.remove(i);
                    self.now = self.now.max(at);
                    self.fulfil(&id, fate);
                }
                _ => break,
            }
        }
        self.now = self.now.max(until);
        self.order_or_lift();
        self.copy_or_put_back();
    }

    /// A host's fate comes about.
    fn fulfil(&mut self, id: &HostId, fate: Fate) {
        let Some((state, was)) = self.fleets[0].hosts.get(id).and_then(SimHost::now) else { return };
        self.seen.insert(match fate {
            Fate::Vanishes => "host vanished",
            Fate::Leaves => "host left",
            Fate::Turns(Health::Failed) => "host unhealthy",
            Fate::Turns(Health::Doubtful) => "host doubtful",
            Fate::Turns(Health::Healthy) => "host recovered",
        });
        match fate {
            Fate::Vanishes => self.fleets[0].set(id, self.now, None),
            Fate::Leaves => {
                self.fleets[0].set(id, self.now, Some((HostState::Terminating, was)));
                let later = self.now.plus(Duration::from_secs(20 + id.as_str().len() as u64 * 10));
                self.fates.push((later, id.clone(), Fate::Vanishes));
            }
            Fate::Turns(health) => self.fleets[0].set(id, self.now, Some((state, health))),
        }
        if was == Health::Healthy && fate != Fate::Turns(Health::Healthy) {
            self.checker.has_died(id, self.now, matches!(fate, Fate::Vanishes | Fate::Leaves));
        } else if matches!(fate, Fate::Vanishes | Fate::Leaves) {
            self.checker.has_vanished(id);
        }
    }

    /// Somebody halts, and lifts it again: other writers of the record, as far as runs can see.
    fn order_or_lift(&mut self) {
        let Some((from, to, order)) = self.halt.clone() else { return };
        if self.now < from {
            return;
        }
        let is_due = self.now < to;
        if let Some(next) = coordination::halt(&self.record, &order).filter(|_| is_due) {
            self.record = next;
            self.version += 1;
        } else if !is_due {
            self.halt = None;
            let (identity, silent) = (identity(0), BTreeSet::new());
            // Whoever lifts it may have a clock that is years ahead, and locks nobody out by that (point 3 of the attack).
            let ahead = if self.seeded.chance(3) { Duration::from_secs(10 * 365 * 24 * 3600) } else { Duration::ZERO };
            let identity = self.record.identity.clone().unwrap_or(identity);
            let ctx = Context {
                policies: &self.policies,
                identity: &identity,
                bounds: self.bounds,
                now: self.now.plus(ahead),
                silent: &silent,
                room: None,
            };
            if let Ok((next, _)) = decide(&self.record, &Command::Unhalt { orders: &[order] }, &ctx) {
                self.record = next;
                self.version += 1;
            }
        }
    }

    /// A call of that run reaches the provider.
    fn land(&mut self, run: usize, fleet: usize, call: &Call) -> CallOutcome {
        if self.now > call.not_after {
            self.seen.insert("after its deadline");
        }
        let mut call = call.clone();
        if self.rig == Rig::TrustsClocks {
            (call.intent_at, call.not_after) = (self.now, self.now);
        }
        let outcome = self.fleets[fleet].land(&call, self.now);
        if outcome == CallOutcome::Done {
            let claims = self.claims_of_others(run);
            self.checker.is_done(run, fleet, &call, &self.fleets[fleet], &claims, self.bounds, self.now);
        }
        outcome
    }

    /// What other runs that live have confirmed and not yet taken.
    fn claims_of_others(&self, run: usize) -> BTreeSet<HostId> {
        let mut claims = BTreeSet::new();
        for runner in self.runners.iter().filter(|runner| runner.run != run && !runner.is_over()) {
            let id = &runner.machine.spec().identity.run;
            let Some(entry) = self.record.runs.get(id).filter(|entry| entry.has_claims(self.now)) else { continue };
            let silent_at = silent_from(&self.journals[runner.run], entry.enlisted_at);
            // Whether somebody takes it for silent is a matter of clocks: in between it is nobody's fault.
            if silent_at.plus(self.bounds.tolerance) > self.now.plus(self.bounds.tolerance * 2) {
                claims.extend(entry.claims.keys().cloned());
            }
        }
        claims
    }

    /// One driver takes its next step.
    fn drive(&mut self, run: usize) {
        let now = self.now;
        let runner = &mut self.runners[run];
        runner.steps += 1;
        if runner.dies_after.is_some_and(|after| runner.steps > after) {
            self.kill(run);
            return;
        }
        let epoch = runner.machine.spec().identity.epoch;
        if self.journals[runner.run].last().is_some_and(|last| is_later_fence(last, epoch)) {
            self.seen.insert("zombie");
        }
        let doing = std::mem::replace(&mut runner.doing, Doing::Sleep);
        match doing {
            Doing::Give(response) => self.step(run, response),
            Doing::Sleep => self.step(run, Response::Woke),
            Doing::Observe { begun_at, record, probes } => {
                let response = self.observed(run, begun_at, record, probes);
                self.give(run, response, 500);
            }
            Doing::Write { change, version } => {
                if self.is_ledger_gone(run) {
                    let lost = Loss::Unreachable("it is gone".to_owned());
                    self.give(run, Response::Lost(lost), 1000);
                } else if version != self.version {
                    self.seen.insert("conflict");
                    self.read(run, change);
                } else {
                    self.write(run, &change);
                }
            }
            Doing::Wait { write, until } => self.wait(run, write, until),
            Doing::Land(call) => {
                let (of, fleet) = (self.runners[run].run, self.runners[run].fleet);
                let outcome = self.land(of, fleet, &call);
                debug_assert!(now == self.now);
                self.give(run, Response::Answered(outcome), 200);
            }
        }
    }

    /// A process ends for ever; what it had sent is on its way all the same, and what it holds stays reserved.
    fn kill(&mut self, run: usize) {
        self.seen.insert("killed");
        let runner = &mut self.runners[run];
        runner.killed = true;
        match std::mem::replace(&mut runner.doing, Doing::Sleep) {
            Doing::Land(call) => {
                let after = self.seeded.up_to(self.bounds.call_life + Duration::from_secs(2));
                let from = (self.runners[run].run, self.runners[run].fleet);
                self.late.push((self.now.plus(after), from, call));
            }
            Doing::Write { change, version } if version == self.version => self.write(run, &change),
            Doing::Write { .. } | Doing::Wait { .. } | Doing::Give(_) | Doing::Sleep | Doing::Observe { .. } => {}
        }
        if self.rig == Rig::ForgetsTheDead {
            self.record.runs.remove(&self.runners[run].machine.spec().identity.run);
            self.version += 1;
        }
        if self.seeded.chance(2) {
            let after = Duration::from_secs(1) + self.seeded.up_to(Duration::from_secs(120));
            self.will_take(self.runners[run].run, after);
        }
    }

    /// The machine gets an answer within so many milliseconds, or much later where its process is frozen.
    pub(super) fn give(&mut self, run: usize, response: Response, millis: u64) {
        self.then(run, Doing::Give(response), millis);
    }

    pub(super) fn then(&mut self, run: usize, doing: Doing, millis: u64) {
        let mut takes = Duration::from_millis(1) + self.seeded.up_to(Duration::from_millis(millis));
        if self.seeded.chance(self.trouble * 6) {
            self.seen.insert("frozen");
            takes += self.seeded.up_to(Duration::from_secs(300));
            if self.seeded.chance(4) {
                // Somebody takes it for dead.
                self.seen.insert("taken from the living");
                let after = self.seeded.up_to(takes);
                self.will_take(self.runners[run].run, after);
            }
        }
        let runner = &mut self.runners[run];
        runner.doing = doing;
        runner.at = self.now.plus(takes);
    }

    fn step(&mut self, run: usize, response: Response) {
        let now = self.now;
        let runner = &mut self.runners[run];
        if runner.order_at.is_some_and(|at| at <= now) {
            runner.order_at = None;
            runner.ordered = true;
            runner.machine.order(Order::Interrupt);
            self.seen.insert("order");
        }
        self.people_act(run);
        let runner = &mut self.runners[run];
        // S6: from the answer to the look on, whatever is sent is sent after the order was seen.
        let is_read = matches!(&response, Response::Observed(observation) if observation.record.is_ok());
        if is_read && runner.shows_halt && !runner.machine.is_stopping() {
            runner.halted = true;
            self.seen.insert("halt seen");
        }
        let clock = self.runners[run].clock(now);
        let action = self.runners[run].machine.step(response, clock);
        match action {
            Action::Finish(finish) => self.runners[run].finish = Some(finish),
            Action::Record(record) => {
                self.is_told(&record.event);
                self.runners[run].backlog.push(*record);
                if self.is_ledger_gone(run) {
                    self.wait_or_lose(run, Waiting::Journal);
                } else {
                    self.append_backlog(run);
                }
            }
            Action::Update(update) => self.read(run, update),
            Action::Ask { .. } => panic!("its policies have no hooks"),
            Action::Observe { probes } => {
                let record = if self.is_ledger_gone(run) || self.one_in(self.trouble * 3, "record unread") {
                    Err("it is gone".to_owned())
                } else {
                    let mut record = self.record.clone();
                    let runner = &mut self.runners[run];
                    if self.rig == Rig::AsksNoFleet {
                        record.identity = None;
                    }
                    let identity = &runner.machine.spec().identity;
                    runner.shows_halt = record.halts.iter().any(|order| order.concerns(&identity.watched));
                    if let Some(entry) = record.runs.get_mut(&identity.run).filter(|_| self.rig == Rig::HidesPauses) {
                        entry.pause = None;
                    }
                    if self.rig == Rig::HidesHalts {
                        record.halts.clear();
                    }
                    if let Some(entry) = record.runs.get_mut(&identity.run).filter(|_| self.rig == Rig::HeedsNoFence) {
                        (entry.epoch, entry.process) = (identity.epoch, identity.process.clone());
                    }
                    Ok(Arc::new(record))
                };
                let slow = if self.one_in(self.trouble * 3, "slow look") { 15_000 } else { 300 };
                self.then(run, Doing::Observe { begun_at: clock, record, probes }, slow);
            }
            Action::Send { call, .. } => self.send(run, call),
            Action::Sleep { until } => {
                let runner = &mut self.runners[run];
                let early = runner.order_at.filter(|_| !runner.machine.is_stopping());
                runner.doing = Doing::Sleep;
                let until = runner.when(until, now);
                runner.at = early.map_or(until, |at| at.min(until)).max(now);
            }
        }
    }

    pub(super) fn observed(
        &mut self,
        run: usize,
        begun_at: Time,
        record: Result<Arc<FleetRecord>, String>,
        probes: bool,
    ) -> Response {
        let lag = if self.rig == Rig::OldReads { Duration::from_secs(900) } else { self.bounds.settle };
        let runner = &self.runners[run];
        let off = u128::from(runner.offset(self.now).unsigned_abs());
        let (of, stamp) = (runner.fleet, runner.clock(self.now));
        let fleet = if off > self.bounds.tolerance.as_millis() && self.rig != Rig::TrustsClocks {
            self.seen.insert("clock jumped");
            Err(Blind { message: "the clocks disagree".to_owned(), contradictory: true })
        } else if self.one_in(self.trouble * 3, "blind") {
            Err(Blind { message: "throttled".to_owned(), contradictory: self.seeded.chance(4) })
        } else {
            let seen = self.fleets[of].observe(self.now, stamp, lag, &mut self.seeded);
            Ok(Arc::new(match self.runners[run].machine.scope(stamp) {
                Some(scope) => {
                    self.seen.insert("part of the fleet");
                    crate::plan::testing::part(&seen, scope)
                }
                None => seen,
            }))
        };
        let bad = self.bad_probe.is_some_and(|(from, to)| from <= self.now && self.now < to);
        let specs = if probes { self.runners[run].machine.probes() } else { BTreeMap::new() };
        let unread = probes && self.seeded.chance(self.trouble * 4);
        // Hosts that are out cost a little: not enough for a regression, enough to be seen in a reference.
        let cost = |subsystem: &str| self.checker.out_of(subsystem, &self.fleets[of]) as f64 / 10_000.0;
        let reading = |key: &crate::model::ProbeKey| match (unread, bad) {
            (true, _) => Err("it cannot be read".to_owned()),
            (false, true) => Ok(Reading::Number(0.5)),
            (false, false) => Ok(Reading::Number(cost(key.subsystem.as_str()))),
        };
        if probes && (bad || unread) {
            self.seen.insert("regression");
        }
        let samples = specs
            .into_keys()
            .map(|key| Sample { reading: reading(&key), key, begun_at, ended_at: stamp, own_time: OwnTime::default() })
            .collect();
        Response::Observed(Box::new(Observation {
            begun_at,
            ended_at: stamp,
            record,
            taken_over_by: None,
            fleet,
            probed: probes,
            samples,
        }))
    }

    fn send(&mut self, run: usize, call: Call) {
        let runner = &self.runners[run];
        let unheard = !runner.backlog.is_empty();
        let (of, stops) = (runner.run, runner.ordered || runner.halted);
        self.checker.is_sent(of, &call, &self.journals[of], unheard, stops);
        if self.one_in(self.trouble / 2, "died sending") {
            self.runners[run].doing = Doing::Land(call);
            self.kill(run);
        } else if self.one_in(self.trouble / 4, "throttled") {
            let outcome = CallOutcome::Refused { message: "throttled".to_owned(), retryable: true };
            self.give(run, Response::Answered(outcome), 300);
        } else if self.one_in(self.trouble / 4, "reply lost") {
            // Done at once, later than anybody waits, or never.
            let endless = self.rig == Rig::NoDeadline;
            let life = if endless { Duration::from_secs(300) } else { self.bounds.call_life + Duration::from_secs(2) };
            let after = if self.seeded.chance(3) { Duration::ZERO } else { self.seeded.up_to(life) };
            if !endless && self.seeded.chance(3) {
                self.seen.insert("never done");
            } else {
                let from = (self.runners[run].run, self.runners[run].fleet);
                self.late.push((self.now.plus(after), from, call));
            }
            let outcome = CallOutcome::Unknown { message: "timed out".to_owned() };
            self.give(run, Response::Answered(outcome), 2000);
        } else {
            self.then(run, Doing::Land(call), 300);
        }
    }

    /// Everything that is under way lands; then each run must have kept its word.
    fn end(&mut self) {
        let last = self.now.plus(Duration::from_secs(3600));
        self.pass(last);
        for runner in &self.runners {
            let Some(finish) = &runner.finish else { continue };
            if matches!(finish, Finish::NotStarted(NotStarted::Consumed { .. })) {
                // An id that was used again: the run that has it is another process's, dead or alive.
                continue;
            }
            let number = runner.run;
            let epoch = runner.machine.spec().identity.epoch;
            // A journal that was pruned since has no fences any more.
            let is_taken = runner.machine.taken_by().is_some() && is_pruned(&self.journals[number]);
            if is_taken || self.journals[number].iter().any(|r| is_later_fence(r, epoch)) {
                // What became of the run is its successor's to say.
                continue;
            }
            let document = match finish {
                Finish::NotStarted(_) => {
                    self.seen.insert("not started");
                    None
                }
                Finish::Ended => report(runner.machine.journal()),
            };
            if let Some(document) = &document {
                self.seen.insert(match document.outcome {
                    Outcome::Completed => "completed",
                    Outcome::Aborted => "aborted",
                    Outcome::Halted => "halted",
                    Outcome::NeedsAttention => "needs attention",
                    Outcome::NotStarted => "not started",
                });
            }
            self.checker.has_ended(number, document.as_ref());
        }
    }
}

fn is_later_fence(record: &JournalRecord, epoch: u64) -> bool {
    matches!(record.event, crate::run::Event::RunTakenOver { epoch: fence, .. } if fence > epoch)
}
