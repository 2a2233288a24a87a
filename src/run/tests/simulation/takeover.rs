//! Takeovers in the simulation: fence, epoch, a second look, each a step between which everything else goes on; takers
//! that die in between, and runs that are taken from processes that only sleep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Rig;
use super::runner::{Runner, identity};
use super::world::World;
use crate::coordination::{Command, Context, FleetRecord, HostOutcome, ProcessId, Refusal, decide};
use crate::model::{RunId, Time};
use crate::run::{
    EVENT_SCHEMA, JournalRecord, Machine, Outcome, Past, Purpose, Spec, Standing, Successor, next_epoch, standing,
};

/// A takeover of a run.
pub(super) struct Taking {
    pub(super) at: Time,
    run: usize,
    purpose: Purpose,
    stage: Stage,
}

/// What comes next of it.
enum Stage {
    Fence,
    RaiseEpoch { epoch: u64, process: ProcessId },
    Begin { epoch: u64, process: ProcessId },
}

impl World {
    /// Somebody will take the run over.
    pub(super) fn will_take(&mut self, run: usize, after: Duration) {
        let purpose = if self.seeded.chance(3) { Purpose::Abandon } else { Purpose::Resume };
        self.takings.push(Taking { at: self.now.plus(after), run, purpose, stage: Stage::Fence });
    }

    /// One step of a takeover.
    pub(super) fn take(&mut self, mut taking: Taking) {
        let (run, id) = (taking.run, RunId::new(format!("r-{}", taking.run)));
        if self.ledger_gone.is_some_and(|(from, to)| from <= self.now && self.now < to) {
            taking.at = self.now.plus(Duration::from_secs(20));
            self.takings.push(taking);
            return;
        }
        taking.stage = match taking.stage {
            Stage::Fence => {
                match standing(&self.journals[run], &self.record, &id) {
                    Standing::Unknown | Standing::Ended => return,
                    Standing::Holding => taking.purpose = Purpose::Abandon,
                    Standing::Unopened | Standing::UnderWay => {}
                }
                let epoch = next_epoch(&self.journals[run], &self.record, &id);
                let process = ProcessId {
                    host: "there".to_owned(),
                    pid: 2,
                    token: format!("{id}, epoch {epoch}"),
                    pid_space: None,
                };
                let fence = Past::RunTakenOver {
                    epoch,
                    process: process.clone(),
                    operator: "ann@there".into(),
                    purpose: taking.purpose,
                    reason: None,
                    leave: BTreeSet::new(),
                    even_if_alive: false,
                };
                self.tell(run, fence);
                if epoch > 2 {
                    self.seen.insert("taken over again");
                }
                Stage::RaiseEpoch { epoch, process }
            }
            Stage::RaiseEpoch { epoch, process } => {
                let command = Command::TakeOver { run: id.clone(), epoch, process: &process };
                let is_known = self.record.runs.contains_key(&id);
                if is_known && self.amend(|record, ctx| decide(record, &command, ctx).map(|(next, _)| next)).is_err() {
                    return;
                }
                Stage::Begin { epoch, process }
            }
            Stage::Begin { epoch, process } => {
                let last_is_ours = self.journals[run].last().is_some_and(
                    |last| matches!(&last.event, Past::RunTakenOver { process: by, .. } if *by == process),
                );
                let is_ours =
                    self.record.runs.get(&id).is_none_or(|entry| entry.epoch == epoch && entry.process == process);
                if last_is_ours && is_ours {
                    self.begin(run, id, epoch, process, taking.purpose);
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

    fn begin(&mut self, run: usize, id: RunId, epoch: u64, process: ProcessId, purpose: Purpose) {
        let policies = Arc::clone(&self.policies);
        let (operator, bounds) = ("ann@there".into(), self.bounds);
        let successor = Successor { run: id.clone(), epoch, process, operator, policies, fleet: identity(), bounds };
        let Some(spec) = Spec::recorded(&self.journals[run], successor) else {
            self.seen.insert("released");
            self.release(run, &id, epoch);
            return;
        };
        self.seen.insert(if purpose == Purpose::Resume { "resumed" } else { "abandoned" });
        let mut machine = Machine::take_over(spec, self.journals[run].clone(), &self.record, self.now);
        if self.rig == Rig::ForgetsWhatWasSent {
            machine.held.values_mut().for_each(super::super::super::hold::Held::forget_calls);
        }
        let mut runner = Runner::new(run, machine, self.now);
        runner.dies_after = self.seeded.chance(4).then(|| self.seeded.below(80));
        self.runners.push(runner);
    }

    /// Its journal was never begun: nothing was sent.
    fn release(&mut self, run: usize, id: &RunId, epoch: u64) {
        let released = self.amend(|record, ctx| {
            let Some(entry) = record.runs.get(id) else { return Ok(record.clone()) };
            let outcomes: BTreeMap<_, _> =
                entry.holds.keys().map(|host| (host.clone(), HostOutcome::NeverCordoned)).collect();
            let (next, _) = decide(record, &Command::Resolve { run: id.clone(), epoch, outcomes }, ctx)?;
            decide(&next, &Command::End { run: id.clone(), epoch, completed: false }, ctx).map(|(next, _)| next)
        });
        if released.is_ok() {
            let end = Past::RunEnded { outcome: Outcome::Halted, exit_code: 9, subsystems: Vec::new() };
            self.tell(run, end);
        }
    }

    fn tell(&mut self, run: usize, event: Past) {
        let seq = self.journals[run].len() as u64;
        let (schema, run_id) = (EVENT_SCHEMA.to_owned(), RunId::new(format!("r-{run}")));
        self.journals[run].push(JournalRecord { schema, run: run_id, seq, at: self.now, event });
    }

    fn amend(
        &mut self,
        change: impl FnOnce(&FleetRecord, &Context<'_>) -> Result<FleetRecord, Refusal>,
    ) -> Result<(), Refusal> {
        let identity = identity();
        let ctx = Context { policies: &self.policies, identity: &identity, bounds: self.bounds, now: self.now };
        self.record = change(&self.record, &ctx)?;
        self.version += 1;
        Ok(())
    }
}
