//! [`Bake`]: an unbroken chain of rounds that spans the whole bake (S2).
//!
//! A round reads every probe of every watched subsystem and observes the fleet. The chain is a fold over rounds:
//! an alarming round ends it at once, a good one only lengthens it, and a gap starts it again, because nobody
//! knows what happened meanwhile. What a round found is looked at before what time it is. Must not
//! sleep or read a clock: the driver takes rounds when [`Bake::next_round_at`] says.

use std::time::Duration;

use super::watch::{Regression, Watch};
use crate::model::{Sample, Time};

/// The least gap that is tolerated however short `every` is: below it a busy machine would break every chain.
const LEAST_TOLERATED_GAP: Duration = Duration::from_secs(5);

/// How far apart the starts of two rounds may lie in one chain: the larger of twice `every` and 5 s.
pub(crate) fn tolerated_gap(every: Duration) -> Duration {
    every.saturating_mul(2).max(LEAST_TOLERATED_GAP)
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
    /// Whether an observation of the fleet, made in this round, shows the batch cordoned and every rule held.
    /// An observation that failed does not.
    pub(crate) fleet_holds: bool,
}

/// What a round means for the batch.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a regression that nobody looks at is a removal that goes on"]
pub(crate) enum BakeVerdict {
    /// Restore the batch, at once. Also the answer to every later round.
    Regressed {
        /// Probes that are a regression, by name. Empty where the fleet alone is the reason.
        probes: Vec<Regression>,
        /// What the round said of the fleet.
        fleet_holds: bool,
    },
    /// Not yet.
    Baking {
        /// The chain broke before or in this round; the bake counts from here again.
        restarted: Option<Gap>,
    },
    /// Every watched subsystem was seen in order from `from` to `until`, at least `bake` apart.
    Clean {
        /// When the chain's first round had ended.
        from: Time,
        /// When its last round began.
        until: Time,
    },
}

/// Why a chain broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// How long nobody looked.
    pub(crate) length: Duration,
    /// How long would have been tolerated.
    pub(crate) tolerated: Duration,
}

/// Where a bake stands, for progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Time until the chain can span the bake; zero while only a suspect is waited for.
    pub(crate) left: Duration,
    /// The whole bake.
    pub(crate) bake: Duration,
    /// How often the chain broke.
    pub(crate) restarts: u64,
    /// Rounds taken, all chains together.
    pub(crate) rounds: u64,
    /// Sampling is slower than `every`: the longest time between two starts. Worth one warning.
    pub(crate) slow: Option<Duration>,
}

/// Rounds that follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chain {
    /// When its first round had ended. A read shows some moment between its start and its end, so that only the
    /// time from here on is known to be covered.
    from: Time,
    /// When its last round began: the time up to here is covered.
    until: Time,
}

/// The bake of one batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bake {
    bake: Duration,
    every: Duration,
    since: Time,
    watch: Watch,
    chain: Option<Chain>,
    last: Option<(Time, Time)>,
    /// When the last round began that did not see the fleet: the next one waits its turn after it.
    attempted: Option<Time>,
    regressed: Option<BakeVerdict>,
    restarts: u64,
    rounds: u64,
    slow: Option<Duration>,
}

impl Bake {
    /// A bake of length `bake`, sampled every `every`, of a batch whose last host was known to be cordoned at
    /// `since`. A run that takes another over makes a new one: the other's samples are not its own.
    pub(crate) fn new(bake: Duration, every: Duration, since: Time, watch: Watch) -> Self {
        Self {
            bake,
            every,
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
        // S6: what was alarming once stays so.
        if let Some(verdict) = &self.regressed {
            return verdict.clone();
        }
        // The facts first, then the time. A bad round counts however late it is.
        if !probes.is_empty() || !round.fleet_holds {
            let verdict = BakeVerdict::Regressed { probes, fleet_holds: round.fleet_holds };
            self.chain = None;
            self.regressed = Some(verdict.clone());
            return verdict;
        }
        let restarted = self.link(round);
        match self.chain {
            Some(Chain { from, until }) if self.is_clean() => BakeVerdict::Clean { from, until },
            Some(_) | None => BakeVerdict::Baking { restarted },
        }
    }

    /// Adds the samples of a round in which the fleet could not be observed. It is no link of the chain, so that the
    /// gap rule says how long this may go on; what its samples say counts like any other round's.
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

    /// Lengthens the chain by a round that is not alarming, or starts it again.
    fn link(&mut self, round: &Round) -> Option<Gap> {
        let tolerated = tolerated_gap(self.every);
        let before = self.last.replace((round.begun_at, round.ended_at));
        let took = round.ended_at.since(round.begun_at);
        let gap = before.map_or(Duration::ZERO, |(begun, _)| round.begun_at.since(begun));
        self.note_slowness(gap.max(took));
        let backwards =
            round.ended_at < round.begun_at || before.is_some_and(|(_, ended_before)| round.begun_at < ended_before);
        // A round before the last host was cordoned says nothing about the system without the batch; one that took
        // longer than a gap may is a gap itself, since nobody knows which moment of it each read shows.
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

    /// The time is `now`. Where rounds lie ahead of it the clock was set back, and nobody knows when they were taken: the
    /// chain begins again. Says so where there was one.
    pub(crate) fn set_back(&mut self, now: Time) -> Option<Gap> {
        self.since = self.since.min(now);
        let sampled = self.last.map(|(begun, ended)| begun.max(ended)).max(self.attempted);
        let ahead = sampled.filter(|at| *at > now)?;
        self.last = None;
        self.attempted = None;
        self.chain.take()?;
        self.restarts = self.restarts.saturating_add(1);
        Some(Gap { length: ahead.since(now), tolerated: tolerated_gap(self.every) })
    }

    /// A tenth of `every` (at least 100 ms) is scheduling, not slowness.
    fn note_slowness(&mut self, period: Duration) {
        let punctual = self.every.saturating_add((self.every / 10).max(Duration::from_millis(100)));
        if period > punctual {
            self.slow = self.slow.max(Some(period));
        }
    }

    /// S2: the chain spans the whole bake, and nobody is under suspicion. A probe that may fail a few times in a
    /// row can end a run at any time, but a doubt never ends a bake.
    fn is_clean(&self) -> bool {
        self.regressed.is_none()
            && self.watch.suspects().next().is_none()
            && self.chain.is_some_and(|chain| chain.until >= chain.from && chain.until.since(chain.from) >= self.bake)
    }

    /// When the next round should begin: `every` after the start of the last one, or earlier where the chain is
    /// complete earlier, so that a bake takes no longer than it says. Times in the past mean at once.
    pub(crate) fn next_round_at(&self) -> Time {
        let Some(begun) = self.last.map(|(begun, _)| begun).max(self.attempted) else { return self.since };
        let regular = begun.plus(self.every);
        match self.chain {
            Some(chain) => {
                let complete = chain.from.plus(self.bake);
                if complete > begun && complete < regular { complete } else { regular }
            }
            None => regular,
        }
    }

    /// Where the bake stands at `now`.
    pub(crate) fn progress(&self, now: Time) -> Progress {
        let left = self.chain.map_or(self.bake, |chain| chain.from.plus(self.bake).since(now).min(self.bake));
        Progress { left, bake: self.bake, restarts: self.restarts, rounds: self.rounds, slow: self.slow }
    }

    /// The probes' last readings and counts.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }
}

#[cfg(test)]
mod tests;
