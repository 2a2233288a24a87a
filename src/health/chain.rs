//! [`Bake`]: an unbroken chain of rounds that spans the whole bake (S2).
//!
//! A round reads every probe of every watched subsystem and observes the fleet. The chain is a fold over rounds: an
//! alarming round ends it at once, a good one only lengthens it, and a gap restarts it, because nobody knows what
//! happened in between. The findings of a round are judged before its time. This module must not sleep or read a clock:
//! the driver takes rounds when [`Bake::next_round_at`] says.

use std::time::Duration;

use super::watch::{Finding, Watch};
use crate::model::{Sample, Time};

/// The smallest gap that is always tolerated, however short `every` is: with less, a busy machine would break every
/// chain.
const LEAST_TOLERATED_GAP: Duration = Duration::from_secs(5);

/// How far apart the starts of two rounds of one chain may be: the larger of twice `every` and 5 s.
pub(crate) fn tolerated_gap(every: Duration) -> Duration {
    every.saturating_mul(2).max(LEAST_TOLERATED_GAP)
}

/// How long a bake takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BakeTimes {
    /// At least.
    pub(crate) bake: Duration,
    /// At most, where the samples of a tested probe show nothing yet. No shorter than `bake`.
    pub(crate) bake_max: Duration,
    /// Sampling period, from start to start.
    pub(crate) every: Duration,
}

/// One round of samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Round {
    /// When the first read began.
    pub(crate) begun_at: Time,
    /// When the last read ended.
    pub(crate) ended_at: Time,
    /// A sample of each probe.
    pub(crate) samples: Vec<Sample>,
    /// Whether an observation of the fleet in this round shows the batch cordoned and every rule holding. A failed
    /// observation does not.
    pub(crate) fleet_holds: bool,
}

/// What a round means for the batch.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a regression that nobody looks at is a removal that goes on"]
pub(crate) enum BakeVerdict {
    /// Restore the batch at once. Every later round gives the same verdict.
    Regressed {
        /// The probes that regressed, by name. Empty if the fleet alone is the reason.
        probes: Vec<Finding>,
        /// Whether the round said that the fleet holds; `true` if the round did not observe it.
        fleet_holds: bool,
    },
    /// Not yet.
    Baking {
        /// The chain broke before or in this round; the bake starts over from here.
        restarted: Option<Gap>,
    },
    /// The longest bake is over, and these probes showed neither that they are within their limits nor that they are past
    /// them: restore the batch. Never empty.
    Inconclusive {
        /// The probes, and how far each came.
        probes: Vec<Finding>,
    },
    /// Every watched subsystem was seen healthy from `from` to `until`, at least `bake` apart.
    Clean {
        /// When the chain's first round ended.
        from: Time,
        /// When its last round began.
        until: Time,
    },
}

/// Why a chain broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The time between two rounds that nobody watched; after the clock was set back, how far the last round lies ahead.
    pub(crate) length: Duration,
    /// The longest gap that would have been tolerated.
    pub(crate) tolerated: Duration,
}

/// How far a bake has come, for progress output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Time until the chain can span the bake; behind that, until it spans the longest one.
    pub(crate) left: Duration,
    /// The whole of it: the bake, or the longest one.
    pub(crate) whole: Duration,
    /// The chain spans the bake, and evidence is missing.
    pub(crate) goes_on: bool,
    /// How often the chain broke.
    pub(crate) restarts: u64,
    /// Rounds taken, over all chains.
    pub(crate) rounds: u64,
    /// Sampling is slower than `every`: the longest time between two starts, or of one round. Worth one warning.
    pub(crate) slow: Option<Duration>,
}

/// Rounds that follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chain {
    /// When its first round ended. A read shows some moment between its start and its end, so only the time from here
    /// on is known to be covered.
    from: Time,
    /// When its last round began: the time up to here is covered.
    until: Time,
}

/// The bake of one batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bake {
    times: BakeTimes,
    since: Time,
    watch: Watch,
    chain: Option<Chain>,
    last: Option<(Time, Time)>,
    /// When the last round that could not observe the fleet began; the next round is scheduled from it.
    attempted: Option<Time>,
    regressed: Option<BakeVerdict>,
    restarts: u64,
    rounds: u64,
    slow: Option<Duration>,
}

impl Bake {
    /// A bake. The last host of its batch was known to be cordoned at `since`. A run that takes over another run starts a
    /// new bake: the other run's samples are not its own.
    pub(crate) fn new(times: BakeTimes, since: Time, mut watch: Watch) -> Self {
        watch.begin();
        Self {
            times,
            since,
            watch,
            chain: None,
            last: None,
            attempted: None,
            regressed: None,
            restarts: 0,
            rounds: 0,
            slow: None,
        }
    }

    /// Adds one round.
    pub(crate) fn fold(&mut self, round: &Round) -> BakeVerdict {
        self.rounds = self.rounds.saturating_add(1);
        let probes = self.watch.round(&round.samples);
        // S6: an alarm is never withdrawn.
        if let Some(verdict) = &self.regressed {
            return verdict.clone();
        }
        // The findings first, then the time: a bad round counts however late it is.
        if !probes.is_empty() || !round.fleet_holds {
            let verdict = BakeVerdict::Regressed { probes, fleet_holds: round.fleet_holds };
            self.chain = None;
            self.regressed = Some(verdict.clone());
            return verdict;
        }
        let restarted = self.link(round);
        match self.chain {
            Some(Chain { from, until }) if self.is_clean() => BakeVerdict::Clean { from, until },
            Some(_) if self.spans(self.times.bake_max) => {
                let probes: Vec<Finding> = self.watch.open().collect();
                if probes.is_empty() { BakeVerdict::Baking { restarted } } else { BakeVerdict::Inconclusive { probes } }
            }
            Some(_) | None => BakeVerdict::Baking { restarted },
        }
    }

    /// Adds the samples of a round in which the fleet could not be observed. Such a round is not a link of the chain,
    /// so the gap rule limits how long this may go on; its samples count like those of any other round.
    pub(crate) fn fold_unseen(&mut self, begun_at: Time, samples: &[Sample]) -> BakeVerdict {
        self.rounds = self.rounds.saturating_add(1);
        self.attempted = Some(begun_at);
        let probes = self.watch.round(samples);
        if let Some(verdict) = &self.regressed {
            return verdict.clone();
        }
        if probes.is_empty() {
            return BakeVerdict::Baking { restarted: None };
        }
        let verdict = BakeVerdict::Regressed { probes, fleet_holds: true };
        self.chain = None;
        self.regressed = Some(verdict.clone());
        verdict
    }

    /// Extends the chain by a round that is not alarming, or starts it again.
    fn link(&mut self, round: &Round) -> Option<Gap> {
        let tolerated = tolerated_gap(self.times.every);
        let before = self.last.replace((round.begun_at, round.ended_at));
        let took = round.ended_at.since(round.begun_at);
        let gap = before.map_or(Duration::ZERO, |(begun, _)| round.begun_at.since(begun));
        self.note_slowness(gap.max(took));
        let backwards =
            round.ended_at < round.begun_at || before.is_some_and(|(_, ended_before)| round.begun_at < ended_before);
        // A round that began before the last host was cordoned says nothing about the system without the batch. A round
        // that took longer than the tolerated gap is itself a gap, since nobody knows which moment each of its reads
        // shows.
        let usable = round.begun_at >= self.since && round.ended_at >= round.begun_at && took <= tolerated;
        let unbroken = usable && !backwards && gap <= tolerated;
        let had = self.chain.is_some();
        self.chain = match self.chain {
            Some(Chain { from, .. }) if unbroken => Some(Chain { from, until: round.begun_at }),
            Some(_) | None if usable => Some(Chain { from: round.ended_at, until: round.begun_at }),
            Some(_) | None => None,
        };
        if had && !unbroken {
            self.restarts = self.restarts.saturating_add(1);
            return Some(Gap { length: gap.max(took), tolerated });
        }
        None
    }

    /// Tells the bake that the time is `now`. If rounds lie ahead of `now`, the clock was set back and nobody knows
    /// when they were taken: the chain starts again. Returns the gap if there was a chain.
    pub(crate) fn set_back(&mut self, now: Time) -> Option<Gap> {
        self.since = self.since.min(now);
        let sampled = self.last.map(|(begun, ended)| begun.max(ended)).max(self.attempted);
        let ahead = sampled.filter(|at| *at > now)?;
        self.last = None;
        self.attempted = None;
        self.chain.take()?;
        self.restarts = self.restarts.saturating_add(1);
        Some(Gap { length: ahead.since(now), tolerated: tolerated_gap(self.times.every) })
    }

    /// A delay of up to a tenth of `every` (at least 100 ms) is scheduling, not slowness.
    fn note_slowness(&mut self, period: Duration) {
        let every = self.times.every;
        let punctual = every.saturating_add((every / 10).max(Duration::from_millis(100)));
        if period > punctual {
            self.slow = self.slow.max(Some(period));
        }
    }

    /// S2: the chain spans the whole bake, no probe is under suspicion, and each that is tested is shown to be within its
    /// limits. A probe that may fail several times in a row can end a run at any time, but a bake never ends on a doubt.
    fn is_clean(&self) -> bool {
        self.regressed.is_none()
            && self.watch.suspects().next().is_none()
            && self.spans(self.times.bake)
            && self.watch.open().next().is_none()
    }

    fn spans(&self, length: Duration) -> bool {
        self.chain.is_some_and(|chain| chain.until >= chain.from && chain.until.since(chain.from) >= length)
    }

    /// The probes of which nothing is shown yet, where nothing else keeps the bake from its end.
    pub(crate) fn missing(&self) -> Vec<Finding> {
        if self.spans(self.times.bake) { self.watch.open().collect() } else { Vec::new() }
    }

    /// When the next round should begin: `every` after the start of the last one, or earlier if the chain is complete
    /// earlier, so that a bake takes no longer than it says. A time in the past means at once.
    pub(crate) fn next_round_at(&self) -> Time {
        let Some(begun) = self.last.map(|(begun, _)| begun).max(self.attempted) else { return self.since };
        let regular = begun.plus(self.times.every);
        let ends = |chain: Chain| [self.times.bake, self.times.bake_max].map(|length| chain.from.plus(length));
        let complete = self.chain.into_iter().flat_map(ends).find(|at| *at > begun && *at < regular);
        complete.unwrap_or(regular)
    }

    /// How far the bake has come at `now`.
    pub(crate) fn progress(&self, now: Time) -> Progress {
        let goes_on = !self.missing().is_empty();
        let whole = if goes_on { self.times.bake_max } else { self.times.bake };
        let left = self.chain.map_or(whole, |chain| chain.from.plus(whole).since(now).min(whole));
        Progress { left, whole, goes_on, restarts: self.restarts, rounds: self.rounds, slow: self.slow }
    }

    /// The count of bad samples in a row, for each probe.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }
}

#[cfg(test)]
mod tests;
