//! The bake: the system is watched without the batch, in an unbroken chain of samples (S2).

use std::collections::BTreeMap;

use crate::health::{Bake, BakeTimes, Gap, Watch, levels_of};
use crate::model::{BatchNumber, Time, duration_text, span_text};

use super::machine::Machine;
use super::phase::{BatchStep, BatchUnderWay, Phase};
use super::reason::Reason;
use super::{Event, timeouts};

impl Machine {
    /// A bake begins, from its start.
    pub(super) fn start_baking(&mut self, now: Time) {
        let settings = self.settings();
        let (bake, every) = (settings.bake, settings.every);
        let times = BakeTimes { bake, bake_max: settings.bake_max.max(bake), every };
        let watch = self.baseline.watch.take();
        let watch = watch.unwrap_or_else(|| self.new_watch());
        self.go_on(BatchStep::Baking { bake: Box::new(Bake::new(times, now, watch)), told_going_on: false });
    }

    /// Every probe against the reference, with nothing known of it yet.
    pub(super) fn new_watch(&self) -> Watch {
        Watch::new(self.probes(), &self.baseline.reference, &levels_of(&self.spec.policies))
    }

    /// Tells the journal, once, that the bake goes on because evidence is missing.
    pub(super) fn bake_goes_on(&mut self, now: Time) {
        let Phase::InBatch(BatchUnderWay { number, step: BatchStep::Baking { bake, told_going_on }, .. }) =
            &mut self.phase
        else {
            return;
        };
        let missing = bake.missing();
        let Some(first) = missing.first().filter(|_| !*told_going_on) else { return };
        *told_going_on = true;
        let until = now.plus(bake.progress(now).left);
        let why = format!("probe {} {}", first.key, first.message);
        let batch = *number;
        self.record(Event::BakeExtended { batch, until, why });
    }

    /// Waits for the next sample, or for the next sign of life that the ledger needs.
    pub(super) fn bake(&mut self, batch: BatchNumber, now: Time) {
        let Some(next) = self.phase.bake().map(Bake::next_round_at) else { return };
        // A ledger that is lost must be noticed while there is time to restore without it.
        let beat = self.link.heartbeat_at(self.settings().offline_limit);
        if beat.is_some_and(|at| at <= now) && next > now {
            self.record(Event::Sampled { batch: Some(batch), readings: BTreeMap::new(), capacity: BTreeMap::new() });
            self.sleep(next.min(now.plus(timeouts::POLL)));
            return;
        }
        // S7: only a beat that is yet to come is slept for. Where a process was stopped until beat and sample were both
        // due, the sample comes first: it is recorded, and that is the beat.
        if let Some(beat) = beat.filter(|beat| now < *beat && *beat < next) {
            self.sleep(beat);
            return;
        }
        if next > now {
            self.sleep(next);
        }
        self.observe(true);
    }

    /// The bake is clean: the chain of samples spans all of it.
    pub(super) fn baked(&mut self) {
        let Phase::InBatch(BatchUnderWay { number, step: BatchStep::Baking { bake, .. }, .. }) = &self.phase else {
            return;
        };
        let (batch, progress) = (*number, bake.progress(bake.next_round_at()));
        let mut watch = bake.watch().clone();
        watch.begin();
        self.baseline.watch = Some(watch);
        if let Some(slow) = progress.slow {
            let message = format!(
                "sampling took up to {} a round, slower than `every` = {}",
                span_text(slow),
                duration_text(self.settings().every)
            );
            self.record(Event::Warned { message });
        }
        self.record(Event::BakeEnded { batch, rounds: progress.rounds });
        self.go_on(BatchStep::Terminating { granted: false });
    }

    /// S2: the bake begins again, but not for ever.
    ///
    /// # Errors
    ///
    /// [`Reason::Timeout`], after too many restarts.
    pub(super) fn bake_broke(&mut self, gap: Gap, now: Time) -> Result<(), Reason> {
        let Phase::InBatch(BatchUnderWay { number, step: BatchStep::Baking { bake, .. }, .. }) = &self.phase else {
            return Ok(());
        };
        let (batch, restarts) = (*number, bake.progress(now).restarts);
        self.record(Event::BakeRestarted { batch, gap_ms: millis(gap.length) });
        if restarts >= timeouts::BAKE_RESTARTS {
            let message = format!(
                "the bake broke {restarts} times because sampling took too long or the clock was set back, the last time for \
                 {}",
                span_text(gap.length)
            );
            return Err(Reason::Timeout(message));
        }
        Ok(())
    }
}

/// Whole milliseconds, for the journal.
pub(super) fn millis(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
