//! [`Sequential`]: is a number that varies past its limit? A test that may be looked at after every sample.
//!
//! The mean of the samples since the batch is out is compared with that of the samples before: *past* the limit is shown
//! where the difference, less its uncertainty, is above it; *within* it, where the difference and its uncertainty are below.
//! In between nothing is shown, and the bake goes on. The uncertainty holds at every look, however often one looks: it is the
//! one-sided normal mixture of Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
//! sequences" (Annals of Statistics 49, 2021, equation 14), with three things that real readings ask for, and which it then
//! holds only about, so that `docs/judge.md` proves it by simulation: means and spread are robust (Huber 1964), the spread
//! is estimated from few samples (as Student's), and samples resemble those before them (lag-1 autocorrelation).
//!
//! Samples are numbers or shares: `numbers` and `shares` say where a stretch of them lies and how sure that is, and all that
//! follows from it is here. Nothing here knows probes, times or policies.

mod before;
mod bound;
mod noise;
mod numbers;
mod shares;

use before::Before;
pub use bound::Bound;
pub(in crate::health) use noise::LEAST;
pub use noise::Summary;
use noise::{Comparison, float};

use crate::model::Quantity;

/// The most samples that are kept: of a wait of a day between two batches, the latest say how it is now.
const MOST: usize = 2_000;

/// The latest so many samples are looked at for harm, besides all of them.
const LENGTHS: [usize; 9] = [3, 4, 5, 6, 8, 10, 14, 20, 30];

/// The mixture is tightest at about so many samples: a bake has 18 of them by default, and harm should show earlier.
const TIGHTEST: f64 = 6.0;

/// The normal quantile of 99%.
const ONE_OF_HUNDRED: f64 = 2.326_347_874_040_841;

/// How sure a verdict has to be, as the probability of the opposite. Each above 0 and below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Of a bake without harm that is called a regression.
    pub false_abort: f64,
    /// Of a bake with harm that is called clean.
    pub missed_harm: f64,
}

/// The mean of the latest samples, and how much of them it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latest {
    /// Huber's estimate of their mean; of shares, that of all of them together, 0 to 1.
    pub center: f64,
    /// By how much the mean may be another one, at the level of `missed_harm`.
    pub give_or_take: f64,
    /// How many samples.
    pub count: usize,
}

impl Summary {
    /// Of these samples; `None` if there is none, one is not finite, or some are shares and some are not.
    pub fn of(samples: &[Quantity]) -> Option<Self> {
        Some(Before::of(samples)?.summary())
    }
}

/// The test of one limit on one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequential {
    before: Before,
    bound: Bound,
    levels: Levels,
    since: Vec<Quantity>,
}

impl Sequential {
    /// A test of samples that come, with those from before. `None` if those tell nothing, or the limit is not finite.
    pub fn new(before: &[Quantity], bound: Bound, levels: Levels) -> Option<Self> {
        let before = Before::of(before).filter(|_| bound.at().is_finite())?;
        Some(Self { before, bound, levels, since: Vec::new() })
    }

    /// Another sample. Returns the latest ones if they show that the limit is passed. A sample that is not finite, or of
    /// another kind than those before, shows nothing.
    #[must_use = "harm that nobody looks at is a removal that goes on"]
    pub fn add(&mut self, sample: Quantity) -> Option<Latest> {
        if !self.before.is_alike(sample) {
            return None;
        }
        self.since.push(sample);
        if self.since.len() > MOST {
            self.since.remove(0);
        }
        self.past()
    }

    /// Forgets the samples since: another batch is out.
    pub fn begin(&mut self) {
        self.since.clear();
    }

    /// The later half lies within the limit: a slow rise is not hidden by what was before. And so do all samples as they are,
    /// but for one: harm of every third sample is no noise. S2: and the last sample does, for a bake never ends on a doubt.
    pub fn is_within(&self) -> bool {
        let Some(last) = self.since.last() else { return false };
        if self.bound.past(last.value()) > 0.0 {
            return false;
        }
        if self.never_varied() || self.before.cannot_pass(self.bound) {
            return true;
        }
        let is_within = |half: Latest| half.count >= LEAST && self.bound.past(half.center) + half.give_or_take <= 0.0;
        self.later_half().is_some_and(is_within) && self.before.are_plainly_within(&self.since, self.bound)
    }

    /// The samples that [`Self::is_within`] looks at; `None` before there is one.
    pub fn later_half(&self) -> Option<Latest> {
        let count = self.since.len().div_ceil(2);
        if count > 0 { self.latest(count, self.levels.missed_harm) } else { None }
    }

    /// Whether noise as before lets a bake of so many samples, without harm, end as within the limit in 99 of 100 cases.
    pub fn can_tell(&self, samples: usize) -> bool {
        self.before.cannot_pass(self.bound) || self.needs(samples) <= -self.bound.past(self.reference().center)
    }

    /// The least distance of a limit from the reference that a bake of so many samples could tell, in the samples' unit.
    /// Infinite where it could tell none.
    pub fn needs(&self, samples: usize) -> f64 {
        self.would_need(samples, self.reference().count)
    }

    /// The same with so many samples before, were they like those that there are.
    pub fn would_need(&self, samples: usize, before: usize) -> f64 {
        let half = (samples / 2).max(LEAST);
        let sure = quantile(half, self.levels.missed_harm, self.before.freedom(half, before));
        self.before.needs(sure + ONE_OF_HUNDRED, self.bound, half, before)
    }

    /// The samples from before.
    pub fn reference(&self) -> Summary {
        self.before.summary()
    }

    /// Neither the samples before nor those since: numbers that are compared as they are.
    fn never_varied(&self) -> bool {
        self.before.never_varied()
            && self.since.first().is_some_and(|first| self.since.iter().all(|sample| sample == first))
    }

    /// The latest samples of some length that lie past the limit: harm may begin at any sample.
    fn past(&self) -> Option<Latest> {
        let all = self.since.len();
        let last = self.since.last()?.value();
        if self.never_varied() {
            let latest = Latest { center: last, give_or_take: 0.0, count: all };
            return (all >= LEAST && self.bound.past(last) > 0.0).then_some(latest);
        }
        let lengths = LENGTHS.into_iter().filter(|length| *length < all).chain([all]);
        lengths.filter(|length| *length >= LEAST).find_map(|length| {
            let latest = self.latest(length, self.levels.false_abort)?;
            (self.bound.past(latest.center) > latest.give_or_take).then_some(latest)
        })
    }

    /// The mean of the latest `count` samples, with its uncertainty at this level.
    fn latest(&self, count: usize, level: f64) -> Option<Latest> {
        let latest = self.since.get(self.since.len().saturating_sub(count)..).unwrap_or_default();
        let Comparison { center, error, freedom } = self.before.compared(latest, self.bound)?;
        Some(Latest { center, give_or_take: quantile(count, level, freedom) * error, count })
    }
}

/// How many standard errors a stretch of so many samples may be off, where these are estimated with so many degrees of
/// freedom.
fn quantile(count: usize, level: f64, freedom: f64) -> f64 {
    student(mixture(float(count), level), freedom)
}

/// How many standard errors at `count` samples: at most `level` of all sequences ever leave this bound.
fn mixture(count: f64, level: f64) -> f64 {
    let rho = TIGHTEST / (2.0 * (1.0 / level).ln() + 1.0);
    (2.0 * (1.0 + rho / count) * (((count + rho) / rho).sqrt() / (2.0 * level) + 1.0).ln()).sqrt()
}

/// The same where the spread is estimated with so many degrees of freedom: Cornish and Fisher's expansion of Student's
/// quantile, to two terms.
fn student(normal: f64, freedom: f64) -> f64 {
    let freedom = freedom.max(2.0);
    let (square, cube) = (normal * normal, normal.powi(3));
    normal
        + (cube + normal) / (4.0 * freedom)
        + (5.0 * cube * square + 16.0 * cube + 3.0 * normal) / (96.0 * freedom * freedom)
}

#[cfg(test)]
mod tests;
