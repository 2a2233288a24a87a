//! Takeovers in the simulation: fence, epoch, a second look, each a step between which everything else goes on; takers
//! that die in between, and runs that are taken from processes that only sleep.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Rig;
use super::runner::{Runner, identity};
use super::world::World;
use crate::coordination::{Command, Context, FleetRecord, ProcessId, Refusal, decide};
use crate::model::{RunId, Time};
use crate::run::{
    Fence, JournalRecord, Machine, Purpose, RunStatus, Spec, Successor, TakeoverError, TakeoverRequest, run_status,
};

/// A takeover of a run.
pub(super) struct Taking {
    pub(super) at: Time,
    run: usize,
    purpose: Purpose,
    stage: Stage,
    /// Which of the two fleets the taker looks at.
    fleet: usize,
}

/// What comes next of it.
enum Stage {
    Fence,
    RaiseEpoch { epoch: u64, fenced: Vec<JournalRecord>, request: Box<TakeoverRequest> },
    Begin { epoch: u64, fenced: Vec<JournalRecord>, request: Box<TakeoverRequest> },
}

impl World {
    /// Somebody will take the run over.
    pub(super) fn will_take(&mut self, run: usize, after: Duration) {
        let purpose = if self.seeded.chance(3) { Purpose::Abandon } else { Purpose::Resume };
        let fleet = usize::from(self.seeded.chance(8));
        self.takings.push(Taking { at: self.now.plus(after), run, purpose, stage: Stage::Fence, fleet });
    }

    /// One step of a takeover.
    pub(super) fn take(&mut self, mut taking: Taking) {
        let (run, id) = (taking.run, RunId::new(format!("r-{}", taking.run)));
        if self.is_put_back() {
            // Its engine refuses everybody, and those who took part have their own records.
            return;
        }
        if self.ledger_gone.is_some_and(|(from, to)| from <= self.now && self.now < to) {
            taking.at = self.now.plus(Duration::from_secs(20));
            self.takings.push(taking);
            return;
        }
        taking.stage = match taking.stage {
            Stage::Fence => {
                match run_status(&self.journals[run], &self.record, &id) {
                    RunStatus::Lost => {
                        self.checker.violations.push(format!("s7: run {run} holds hosts and has no journal"));
                        return;
                    }
                    RunStatus::Holding | RunStatus::Unclosed => taking.purpose = Purpose::Abandon,
                    RunStatus::Unknown | RunStatus::Ended | RunStatus::Unlisted | RunStatus::UnderWay => {}
                }
                let request = self.request(&taking, id);
                match request.fence(&self.journals[run], &self.record, self.now) {
                    Ok(Fence::Record { record, epoch }) => {
                        self.journals[run].push(*record);
                        if epoch > 2 {
                            self.seen.insert("taken over again");
                        }
                        let fenced = self.journals[run].clone();
                        Stage::RaiseEpoch { epoch, fenced, request: Box::new(request) }
                    }
                    Ok(Fence::NotNeeded { completed }) => {
                        self.close(&request.successor.run, completed);
                        return;
                    }
                    Err(TakeoverError::Refused(_)) => {
                        self.seen.insert("another fleet");
                        return;
                    }
                    Err(TakeoverError::Over(_)) => return,
                    Err(why) => panic!("nothing is written between the look and the fence: {why:?}"),
                }
            }
            Stage::RaiseEpoch { epoch, fenced, request } => {
                let forward = taking.purpose == Purpose::Resume;
                let process = &request.successor.process;
                let command = Command::TakeOver { run: id.clone(), epoch, process, forward };
                if self.update(taking.fleet, |record, ctx| decide(record, &command, ctx).map(|(next, _)| next)).is_err()
                {
                    return;
                }
                Stage::Begin { epoch, fenced, request }
            }
            Stage::Begin { epoch, fenced, request } => {
                if request.has_it(epoch, &fenced, &self.journals[run], &self.record).is_ok() {
                    self.begin(run, Successor { epoch, ..request.successor }, taking.purpose, taking.fleet);
                }
                return;
            }
        };
        if self.seeded.chance(12) {
            self.seen.insert("taker died");
            self.will_take(run, Duration::from_secs(30));
            return;
        }
        taking.at = self.now.plus(Duration::from_millis(1) + self.seeded.up_to(Duration::from_millis(200)));
        if self.seeded.chance(12) {
            taking.at = taking.at.plus(self.seeded.up_to(Duration::from_secs(120)));
            self.will_take(run, Duration::from_secs(5));
        }
        self.takings.push(taking);
    }

    fn request(&self, taking: &Taking, run: RunId) -> TakeoverRequest {
        let fleet = match (self.rig, &self.record.identity) {
            (Rig::AsksNoFleet, Some(any)) => any.clone(),
            _ => identity(taking.fleet),
        };
        let seen = self.journals[taking.run].len();
        let process = ProcessId {
            host: "there".to_owned(),
            pid: 2,
            token: format!("{run}, behind record {seen}"),
            pid_space: None,
        };
        let (policies, bounds) = (Arc::clone(&self.policies), self.bounds);
        let successor = Successor {
            run,
            epoch: 0,
            process,
            operator: "ann@there".into(),
            policies,
            fleet,
            bounds,
            credentials_end: None,
            resume_by_hand: None,
            attended: false,
        };
        let leave = BTreeSet::new();
        TakeoverRequest { successor, purpose: taking.purpose, reason: None, leave, seen, even_if_alive: false }
    }

    fn begin(&mut self, run: usize, successor: Successor, purpose: Purpose, fleet: usize) {
        let successor = Successor { fleet: identity(fleet), ..successor };
        let Some(spec) = Spec::recorded(&self.journals[run], successor) else { return };
        self.seen.insert(if purpose == Purpose::Resume { "resumed" } else { "abandoned" });
        let mut machine = Machine::take_over(spec, self.journals[run].clone(), &self.record, self.now);
        if self.rig == Rig::ForgetsWhatWasSent {
            machine
                .reservations
                .hosts
                .values_mut()
                .for_each(super::super::super::reservation::ReservedHost::forget_calls);
        }
        let mut runner = Runner::new(run, machine, self.now);
        runner.fleet = fleet;
        runner.dies_after = self.seeded.chance(4).then(|| self.seeded.below(80));
        self.runners.push(runner);
    }

    /// Its journal has ended, and the record was not told.
    fn close(&mut self, id: &RunId, completed: bool) {
        let closed = self.update(0, |record, ctx| {
            let epoch = record.runs.get(id).map_or(1, |entry| entry.epoch);
            decide(record, &Command::End { run: id.clone(), epoch, completed }, ctx).map(|(next, _)| next)
        });
        if closed.is_ok() {
            self.seen.insert("closed");
        }
    }

    fn update(
        &mut self,
        fleet: usize,
        change: impl FnOnce(&FleetRecord, &Context<'_>) -> Result<FleetRecord, Refusal>,
    ) -> Result<(), Refusal> {
        let (mut identity, silent) = (identity(fleet), BTreeSet::new());
        if self.rig == Rig::AsksNoFleet {
            identity = self.record.identity.clone().unwrap_or(identity);
        }
        let ctx = Context {
            policies: &self.policies,
            identity: &identity,
            bounds: self.bounds,
            now: self.now,
            silent: &silent,
            room: None,
        };
        self.record = change(&self.record, &ctx)?;
        self.version += 1;
        Ok(())
    }
}
