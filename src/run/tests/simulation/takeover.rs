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
    EVENT_SCHEMA, JournalRecord, Machine, Outcome, Past, Purpose, Spec, Standing, Successor, next_epoch, standing,
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
    RaiseEpoch { epoch: u64, process: ProcessId },
    Begin { epoch: u64, process: ProcessId },
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
                let seen = identity(taking.fleet);
                if self.rig != Rig::AsksNoFleet && self.record.is_of(&seen).is_err() {
                    self.seen.insert("another fleet");
                    return;
                }
                match standing(&self.journals[run], &self.record, &id) {
                    Standing::Unknown | Standing::Ended => return,
                    Standing::Unclosed => {
                        self.close(run, &id);
                        return;
                    }
                    Standing::Lost => {
                        self.checker.violations.push(format!("s7: run {run} holds hosts and has no journal"));
                        return;
                    }
                    Standing::Holding => taking.purpose = Purpose::Abandon,
                    Standing::Unlisted | Standing::UnderWay => {}
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
                let forward = taking.purpose == Purpose::Resume;
                let command = Command::TakeOver { run: id.clone(), epoch, process: &process, forward };
                if self.amend(taking.fleet, |record, ctx| decide(record, &command, ctx).map(|(next, _)| next)).is_err()
                {
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
                    self.begin(run, id, epoch, process, (taking.purpose, taking.fleet));
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

    fn begin(&mut self, run: usize, id: RunId, epoch: u64, process: ProcessId, (purpose, fleet): (Purpose, usize)) {
        let policies = Arc::clone(&self.policies);
        let (operator, bounds) = ("ann@there".into(), self.bounds);
        let successor = Successor { run: id, epoch, process, operator, policies, fleet: identity(fleet), bounds };
        let Some(spec) = Spec::recorded(&self.journals[run], successor) else { return };
        self.seen.insert(if purpose == Purpose::Resume { "resumed" } else { "abandoned" });
        let mut machine = Machine::take_over(spec, self.journals[run].clone(), &self.record, self.now);
        if self.rig == Rig::ForgetsWhatWasSent {
            machine.held.values_mut().for_each(super::super::super::hold::Held::forget_calls);
        }
        let mut runner = Runner::new(run, machine, self.now);
        runner.fleet = fleet;
        runner.dies_after = self.seeded.chance(4).then(|| self.seeded.below(80));
        self.runners.push(runner);
    }

    /// Its journal has ended, and the record was not told.
    fn close(&mut self, run: usize, id: &RunId) {
        let is_completed = |event: &Past| matches!(event, Past::RunEnded { outcome: Outcome::Completed, .. });
        let completed = self.journals[run].last().is_some_and(|last| is_completed(&last.event));
        let closed = self.amend(0, |record, ctx| {
            let epoch = record.runs.get(id).map_or(1, |entry| entry.epoch);
            decide(record, &Command::End { run: id.clone(), epoch, completed }, ctx).map(|(next, _)| next)
        });
        if closed.is_ok() {
            self.seen.insert("closed");
        }
    }

    fn tell(&mut self, run: usize, event: Past) {
        let seq = self.journals[run].len() as u64;
        let (schema, run_id) = (EVENT_SCHEMA.to_owned(), RunId::new(format!("r-{run}")));
        self.journals[run].push(JournalRecord { schema, run: run_id, seq, at: self.now, event });
    }

    fn amend(
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
