//! The ledger of the simulation: the record and the journals as one process reads and writes them, the ways in which that
//! goes wrong, and what a rig leaves out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Rig;
use super::outage::Waiting;
use super::runner::{Doing, Runner, identity};
use super::world::World;
use crate::coordination::{Context, FleetRecord, Granted, Refusal, WaitOn, decide};
use crate::model::{RunId, Time};
use crate::run::{JournalRecord, Loss, Response, has_ended, silent_from};

impl World {
    /// The ledger cannot be reached, by anybody or by this process alone.
    pub(super) fn is_ledger_gone(&mut self, runner: usize) -> bool {
        let within = |span: Option<(Time, Time)>| span.is_some_and(|(from, to)| from <= self.now && self.now < to);
        if self.is_put_back() {
            self.seen.insert("ledger put back");
            return true;
        }
        let (gone, cut_off) = (within(self.ledger_gone), within(self.runners[runner].cut_off));
        if gone {
            self.seen.insert("ledger gone");
        }
        if cut_off {
            self.seen.insert("cut off");
        }
        gone || cut_off
    }

    /// An older copy stands in the ledger's place: its engine tells, and nobody goes by it.
    pub(super) fn is_put_back(&self) -> bool {
        self.rig != Rig::TrustsCopies && self.put_back.is_some_and(|(_, at)| at <= self.now)
    }

    /// A copy is made, or put back where nobody would notice.
    pub(super) fn copy_or_put_back(&mut self) {
        let Some((copied, at)) = self.put_back else { return };
        if self.copy.is_none() && copied <= self.now {
            self.copy = Some((self.record.clone(), self.journals.clone()));
        }
        if self.rig == Rig::TrustsCopies
            && at <= self.now
            && let Some((record, journals)) = self.copy.take()
        {
            (self.record, self.journals, self.put_back) = (record, journals, None);
            self.version += 1;
        }
    }

    /// The ledger is there: it takes what it was not heard to take, or the reply is lost.
    pub(super) fn append_backlog(&mut self, run: usize) {
        let lost = self.goes_wrong("append lost");
        let runner = &mut self.runners[run];
        let journal = &mut self.journals[runner.run];
        let is_anothers = |record: &JournalRecord| {
            usize::try_from(record.seq).ok().and_then(|seq| journal.get(seq)).is_some_and(|there| there != record)
        };
        let is_fenced = runner.backlog.iter().any(is_anothers);
        if is_fenced && self.rig == Rig::HeedsNoFence {
            for record in std::mem::take(&mut runner.backlog) {
                let seq = journal.len() as u64;
                journal.push(JournalRecord { seq, ..record });
            }
            self.give(run, Response::Recorded, 20);
            return;
        }
        if is_fenced {
            self.seen.insert("fenced");
            self.give(run, Response::Lost(Loss::Fenced("another process has it".to_owned())), 1000);
            return;
        }
        if !lost || self.seeded.chance(2) {
            // What is in doubt is known again by its nonce.
            for record in &runner.backlog {
                if record.seq == journal.len() as u64 {
                    journal.push(record.clone());
                }
            }
        }
        if lost {
            self.give(run, Response::Lost(Loss::Unreachable("no reply".to_owned())), 1000);
        } else {
            self.runners[run].backlog.clear();
            self.give(run, Response::Recorded, 20);
        }
    }

    pub(super) fn read(&mut self, run: usize, change: crate::run::RecordUpdate) {
        if self.is_ledger_gone(run) {
            self.wait_or_lose(run, Waiting::Record(change));
            return;
        }
        let version = self.version;
        self.then(run, Doing::Write { change, version }, 30);
    }

    /// Decided at the version that is still the newest, and written.
    pub(super) fn write(&mut self, run: usize, change: &crate::run::RecordUpdate) {
        let mut own = self.runners[run].machine.spec().identity.clone();
        if let Some(entry) = self.record.runs.get(&own.run).filter(|_| self.rig == Rig::HeedsNoFence) {
            (own.epoch, own.process) = (entry.epoch, entry.process.clone());
        }
        let mut change = change.clone();
        let mut record = self.record.clone();
        let mut identity = identity(self.runners[run].fleet);
        let now = self.runners[run].clock(self.now);
        let (mut hidden, mut sampled_at) = (BTreeMap::new(), None);
        match self.rig {
            Rig::AsksNoFleet => identity = record.identity.clone().unwrap_or(identity),
            Rig::HidesRuns => {
                let is_other = |id: &RunId| *id != own.run;
                hidden =
                    record.runs.iter().filter(|(id, _)| is_other(id)).map(|(id, e)| (id.clone(), e.clone())).collect();
                record.runs.retain(|id, _| !is_other(id));
            }
            Rig::HidesPauses => record.runs.values_mut().for_each(|entry| entry.pause = None),
            Rig::ForgetsEnds => record.last_end.clear(),
            Rig::ForgetsPolicies => record.accepted.clear(),
            Rig::TrustsClocks => record.written_at = record.written_at.min(now),
            Rig::TrustsOldSamples => {
                if let crate::run::RecordUpdate::Grant { reference_at, .. } = &mut change {
                    (sampled_at, *reference_at) = (Some(*reference_at), now);
                }
            }
            _ => {}
        }
        let policies = Arc::clone(&self.runners[run].machine.spec().policies);
        let command = change.command(&own);
        let mut silent = BTreeSet::new();
        let decided = loop {
            let ctx = Context {
                policies: &policies,
                identity: &identity,
                bounds: self.bounds,
                now,
                silent: &silent,
                room: None,
            };
            let decided = decide(&record, &command, &ctx);
            let Err(refusal) = &decided else { break decided };
            self.refused(refusal);
            let found: BTreeSet<RunId> = refusal.in_the_way(&record, &own.run);
            let found: BTreeSet<RunId> = found.into_iter().filter(|run| self.is_silent(run, now)).collect();
            if found.is_subset(&silent) {
                break decided;
            }
            silent.extend(found);
        };
        let decided = decided.map(|(mut next, granted)| {
            next.runs.extend(hidden);
            (next, granted)
        });
        let response = match decided {
            Err(refusal) => Response::Refused(refusal),
            Ok((next, granted)) => {
                let lost = self.goes_wrong("swap lost");
                if !lost || self.seeded.chance(2) {
                    let truly = sampled_at.filter(|_| granted.reference_at == Some(now)).or(granted.reference_at);
                    self.judge_reference(run, &own.run, &next, &granted, truly);
                    self.record = next;
                    self.version += 1;
                    let number = self.runners[run].run;
                    match &change {
                        crate::run::RecordUpdate::Grant { batch, asking: None, .. } => self.is_granted(number, *batch),
                        crate::run::RecordUpdate::Pause { .. } => self.is_paused(number),
                        _ => {}
                    }
                }
                if lost { Response::Lost(Loss::Unreachable("no reply".to_owned())) } else { Response::Updated(granted) }
            }
        };
        self.give(run, response, 30);
    }

    fn refused(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::OtherFleet { .. } => _ = self.seen.insert("another fleet"),
            Refusal::Race(_) => _ = self.seen.insert("taken by others"),
            Refusal::Wait { on: WaitOn::Run(_), .. } => _ = self.seen.insert("waits for another"),
            Refusal::Rules(found) if found.iter().any(|v| v.rule == crate::plan::Rule::PolicyLoosened) => {
                self.seen.insert("looser policy");
            }
            _ => {}
        }
    }

    /// As the driver finds out: by the process where it can be seen, else by what it wrote last.
    fn is_silent(&self, run: &RunId, now: Time) -> bool {
        let Some(entry) = self.record.runs.get(run) else { return false };
        let acts = |runner: &&Runner| runner.machine.spec().identity.process == entry.process;
        let Some(runner) = self.runners.iter().rev().find(acts) else { return false };
        let journal = &self.journals[runner.run];
        let is_dead = runner.killed && runner.run % 2 == 0;
        is_dead || has_ended(journal) || silent_from(journal, entry.enlisted_at).plus(self.bounds.tolerance) <= now
    }

    /// S2: no run begins with a reference from while hosts of what it watches were out.
    fn judge_reference(
        &mut self,
        run: usize,
        id: &RunId,
        next: &FleetRecord,
        granted: &Granted,
        sampled_at: Option<Time>,
    ) {
        let is_first = self.record.runs.get(id).is_some_and(|entry| entry.granted_at.is_none());
        if !is_first || next.runs.get(id).is_none_or(|entry| entry.granted_at.is_none()) {
            return;
        }
        let Some(sampled_at) = sampled_at else { return };
        // By true time: the stamps may come from clocks that disagree.
        let disagree = self.runners.iter().any(|runner| runner.skew != 0 || runner.jump.is_some());
        let slack = if disagree { self.bounds.tolerance } else { Duration::ZERO };
        let sampled_at = self.runners[run].when(sampled_at, self.now).plus(slack);
        for (key, samples) in &granted.reference {
            let ended = self.checker.last_end(key.subsystem.as_str());
            let is_damaged = samples.iter().any(|sample| sample.value() > 0.0);
            if is_damaged && self.checker.is_out_or_was(key.subsystem.as_str(), ended, sampled_at, &self.fleets[0]) {
                self.checker.violations.push(format!("s2: reference of run {run}: {key} is {samples:?}"));
            }
        }
    }
}
