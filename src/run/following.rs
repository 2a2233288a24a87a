//! Behind the end of a run that put hosts back: the probes are read for one more bake, so that the journal shows whether
//! the readings recovered.
//!
//! By then the journal has its `run-ended` and the ledger's record has let go of the run: its outcome and exit code stand,
//! no host and no place in line is held, and nobody waits for it. If the process dies here, the journal lacks readings and
//! nothing else. A run that a signal stopped reads on like any other; a further signal ends that at once, and so does a write
//! that fails. It is not begun where a person is needed: that is told at once.

use crate::coordination::ProcessId;
use crate::model::Time;

use super::action::Finish;
use super::machine::Machine;
use super::phase::Phase;
use super::{Event, JournalRecord, Outcome, RunHistory};

impl Machine {
    /// Whether the run has ended and only reads its probes.
    pub(super) fn is_following(&self) -> bool {
        matches!(self.phase, Phase::Following { .. })
    }

    /// Whether an order can shorten what is done now: on the way forward it stops the run, and behind the end it stops the
    /// reading.
    pub(crate) fn heeds_orders(&self) -> bool {
        !self.is_stopping() || self.is_following()
    }

    /// Goes on to read the probes behind the end, or ends.
    pub(super) fn follow_or_finish(&mut self, outcome: Outcome) {
        let is_wanted = is_read_behind(outcome) && !self.link.offline && !self.probes().is_empty();
        match last_restored(&self.journal).filter(|_| is_wanted) {
            Some(from) => self.phase = Phase::Following { from, until: from.plus(self.settings().bake) },
            None => self.finish_behind_queue(Finish::Ended),
        }
    }

    /// The next sample, or the end.
    pub(super) fn follow(&mut self, now: Time) {
        let Phase::Following { from, until } = self.phase else { return };
        let is_over = self.observed.probed_at.is_some_and(|at| at >= until);
        // Where the clock was set back nobody knows how long it was.
        if is_over || self.stopping.reads_enough || now < from {
            self.queue.clear();
            self.finish_behind_queue(Finish::Ended);
            return;
        }
        let next = self.next_sample(now).min(until);
        if next > now {
            self.sleep(next);
        }
        self.observe(true);
    }
}

/// When the process that acted last saw the last host that was out back in service.
fn last_restored(journal: &[JournalRecord]) -> Option<Time> {
    let epoch = journal.iter().rposition(|record| matches!(record.event, Event::RunTakenOver { .. }));
    let own = journal.get(epoch.unwrap_or(0)..).unwrap_or_default();
    own.iter().rev().find(|record| matches!(record.event, Event::HostRestored { .. })).map(|record| record.at)
}

/// Sampling periods without a reading after which nobody reads any more.
const LATE_PERIODS: u32 = 3;

/// A run that has ended and, by its journal alone, may still read its probes.
#[derive(Debug)]
pub(crate) struct ReadsOn<'a> {
    /// The process that would.
    pub(crate) process: &'a ProcessId,
    /// Until when.
    pub(crate) until: Time,
    /// If no reading came until then, it does not.
    pub(crate) late_at: Time,
}

/// Whether a run may still read its probes behind its end.
pub(crate) fn reads_on(journal: &[JournalRecord]) -> Option<ReadsOn<'_>> {
    let history = RunHistory::of(journal);
    let (end, last, opening) = (history.end?, history.last?, history.opening?);
    let until = last_restored(journal)?.plus(opening.settings.bake);
    let is_wanted = is_read_behind(end.outcome) && history.limits.is_some_and(|limits| !limits.is_empty());
    (is_wanted && last.at < until).then_some(ReadsOn {
        process: history.actor?,
        until,
        late_at: last.at.plus(opening.settings.every.saturating_mul(LATE_PERIODS)),
    })
}

/// Whether everything that was out is back, and the run stopped before it was through.
fn is_read_behind(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Aborted | Outcome::Halted => true,
        Outcome::Completed | Outcome::NeedsAttention | Outcome::NotStarted => false,
    }
}
