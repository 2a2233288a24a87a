//! People between batches: they pause runs, let them go on, and answer the question about the next batch with yes, with
//! no, or not in time.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::coordination::{self, Pause, WentOn};
use crate::model::{BatchNumber, RunId};
use crate::plan::testing::Seeded;
use crate::run::{Answer, Event};

/// Who is there, and what they did: the truth that grants are judged by.
pub(super) struct People {
    /// Chances of their own: what else a seed makes stays the same.
    pub(super) seeded: Seeded,
    /// Whether anybody pauses, continues or is asked at all.
    pub(super) are_there: bool,
    /// Nobody answers a question.
    pub(super) are_silent: bool,
    /// Runs that must ask before every batch after the first.
    pub(super) asking: BTreeSet<usize>,
    /// Runs that were paused and not continued.
    paused: BTreeSet<usize>,
    /// Batches that somebody let go.
    let_go: BTreeSet<(usize, BatchNumber)>,
    /// The first batch of a run was confirmed with its plan.
    first: BTreeMap<usize, BatchNumber>,
}

impl People {
    pub(super) fn new(seed: u64) -> Self {
        let mut seeded = Seeded(seed ^ 0x7065_6f70_6c65);
        let (are_there, are_silent) = (seeded.chance(3), seeded.chance(4));
        let (asking, paused, let_go, first) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { seeded, are_there, are_silent, asking, paused, let_go, first }
    }
}

impl World {
    /// Somebody may act before this process takes its next step.
    pub(super) fn people_act(&mut self, runner: usize) {
        if !self.people.are_there {
            return;
        }
        self.pause_or_continue();
        self.answer(runner);
    }

    fn pause_or_continue(&mut self) {
        if self.is_put_back() || self.ledger_gone.is_some_and(|(from, to)| from <= self.now && self.now < to) {
            return;
        }
        let number = usize::try_from(self.people.seeded.below(self.journals.len() as u64)).expect("small");
        let id = RunId::new(format!("r-{number}"));
        let Some(entry) = self.record.runs.get(&id) else { return };
        if entry.pause.is_none() && self.people.seeded.chance(40) {
            let order = Pause { operator: "ben@there".into(), reason: None, at: self.now, after: None };
            if let Ok(Some(next)) = coordination::pause(&self.record, &id, &order) {
                self.record = next;
                self.version += 1;
                self.people.paused.insert(number);
                self.seen.insert("paused");
            }
        } else if (entry.pause.is_some() || !self.people.are_silent) && self.people.seeded.chance(8) {
            let Ok((next, went_on)) = coordination::go_on(&self.record, &id, &"cat@there".into(), self.now) else {
                return;
            };
            self.record = next;
            self.version += 1;
            match went_on {
                WentOn::Unpaused(_) => {
                    self.people.paused.remove(&number);
                    self.seen.insert("continued");
                }
                WentOn::Confirmed(batch) => {
                    self.people.let_go.insert((number, batch));
                    self.seen.insert("let go from elsewhere");
                }
            }
        }
    }

    /// Whoever sits at the terminal of a process that asks.
    fn answer(&mut self, runner: usize) {
        let now = self.runners[runner].clock(self.now);
        let process = &mut self.runners[runner];
        let Some(question) = process.machine.question(now) else { return };
        let (batch, run) = (question.batch.0, process.run);
        if self.checker.has_out(run) {
            self.checker.violations.push(format!("s8: run {run} asks about batch {batch} while it has hosts out"));
        }
        if !question.attended || self.people.are_silent {
            return;
        }
        let reply = match self.people.seeded.below(40) {
            0..4 => {
                self.people.let_go.insert((run, batch));
                self.seen.insert("answered yes");
                Ok(question.hosts.len().to_string())
            }
            4..8 => {
                self.seen.insert("answered no");
                Ok("no".to_owned())
            }
            8 => Err("the input ended".to_owned()),
            _ => return,
        };
        self.runners[runner].machine.answer(Answer { batch, reply });
    }

    /// The record lets the run take a batch.
    pub(super) fn is_granted(&mut self, run: usize, batch: BatchNumber) {
        if self.people.paused.contains(&run) {
            self.checker.violations.push(format!("s6: pause: run {run} is granted batch {batch} while it is paused"));
        }
        let is_first = *self.people.first.entry(run).or_insert(batch) == batch;
        if self.people.asking.contains(&run) && !is_first && !self.people.let_go.contains(&(run, batch)) {
            self.checker.violations.push(format!("s8: answer: run {run} takes batch {batch}, which nobody let go"));
        }
    }

    /// The run paused itself.
    pub(super) fn is_paused(&mut self, run: usize) {
        self.people.paused.insert(run);
        self.seen.insert("pauses itself");
    }

    /// What the journal is told about people.
    pub(super) fn is_told(&mut self, event: &Event) {
        match event {
            Event::Asked { .. } => _ = self.seen.insert("asked"),
            Event::Stopped { cause } if cause.message.contains("there was no answer within") => {
                self.seen.insert("no answer in time");
            }
            _ => {}
        }
    }
}
