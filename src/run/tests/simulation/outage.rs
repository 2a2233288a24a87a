//! Writes that have no answer yet, in the simulation: they are repeated while the world goes on, and the machine is given
//! glimpses of it.

use std::time::Duration;

use super::runner::Doing;
use super::world::World;
use crate::model::Time;
use crate::run::{Loss, Order, RecordUpdate, Response};

/// A write that is repeated.
pub(super) enum Waiting {
    /// Of what the journal was not heard to take.
    Journal,
    /// Of the record.
    Record(RecordUpdate),
}

impl World {
    /// The ledger is gone: most writes are repeated until it is back or the machine gives them up, the others are lost
    /// at once.
    pub(super) fn wait_or_lose(&mut self, run: usize, write: Waiting) {
        if self.seeded.chance(6) {
            self.lose(run);
            return;
        }
        self.seen.insert("write waited for");
        let until = self.runners[run].machine.gives_write_up_at(self.runners[run].clock(self.now));
        self.then(run, Doing::Wait { write, until }, 2000);
    }

    /// One more try.
    pub(super) fn wait(&mut self, run: usize, write: Waiting, until: Time) {
        if !self.is_ledger_gone(run) {
            self.seen.insert("ledger back in time");
            match write {
                Waiting::Journal => self.append_backlog(run),
                Waiting::Record(change) => self.read(run, change),
            }
            return;
        }
        // By its own clock.
        let now = self.runners[run].clock(self.now);
        let world = self.now;
        let runner = &mut self.runners[run];
        let until = until.min(runner.machine.gives_write_up_at(now));
        if runner.order_at.is_some_and(|at| at <= world) && !runner.machine.is_stopping() {
            runner.order_at = None;
            runner.ordered = true;
            runner.machine.order(Order::Interrupt);
            self.lose(run);
            return;
        }
        if now >= until {
            self.seen.insert("write given up");
            self.lose(run);
            return;
        }
        if runner.machine.observe_without_ledger_at(now).is_some_and(|at| at <= now) {
            let observed = self.observed(run, now, Err("it is gone".to_owned()), true);
            let Response::Observed(observation) = observed else { panic!("a look is a look") };
            self.seen.insert("glimpse");
            if self.runners[run].machine.observed_without_ledger(*observation, now) {
                self.seen.insert("stopped while waiting");
                self.lose(run);
                return;
            }
        }
        let runner = &mut self.runners[run];
        let next = runner
            .machine
            .observe_without_ledger_at(now)
            .unwrap_or(until)
            .min(until)
            .min(now.plus(Duration::from_secs(2)));
        runner.doing = Doing::Wait { write, until };
        let next = next.max(now.plus(Duration::from_millis(1)));
        runner.at = runner.when(next, world).max(world.plus(Duration::from_millis(1)));
    }

    fn lose(&mut self, run: usize) {
        self.give(run, Response::Lost(Loss::Unreachable("it is gone".to_owned())), 1000);
    }
}
