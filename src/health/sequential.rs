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
//! Nothing here knows probes, times or policies.

/// The least samples that show anything: of fewer, one that stands out is half of them.
pub(super) const LEAST: usize = 3;

/// The most samples that are kept: of a wait of a day between two batches, the latest say how it is now.
const MOST: usize = 2_000;

/// The latest so many samples are looked at for harm, besides all of them.
const LENGTHS: [usize; 9] = [3, 4, 5, 6, 8, 10, 14, 20, 30];

/// Where Huber's estimate begins to hold samples back, in spreads.
const HUBER: f64 = 1.5;

/// Residuals count for no more than so many spreads.
const WINSOR: f64 = 2.5;

/// The mixture is tightest at about so many samples: a bake has 18 of them by default, and harm should show earlier.
const TIGHTEST: f64 = 6.0;

/// The median absolute deviation of normal noise times this is its standard deviation.
const NORMAL: f64 = 1.482_602_218_505_602;

/// Of independent samples, chance alone makes so much resemblance, over the root of their number. A whole standard error
/// would hide what is there.
const CHANCE: f64 = 0.5;

/// More resemblance than this, and a bake has no independent sample but one.
const MOST_MEMORY: f64 = 0.95;

/// How sure a verdict has to be, as the probability of the opposite. Each above 0 and below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Of a bake without harm that is called a regression.
    pub false_abort: f64,
    /// Of a bake with harm that is called clean.
    pub missed_harm: f64,
}

/// A limit, in the unit of the samples. A sample at it is within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Above is past it.
    Above(f64),
    /// Below is past it.
    Below(f64),
}

/// The mean of the latest samples, and how much of them it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latest {
    /// Huber's estimate of their mean.
    pub center: f64,
    /// By how much the mean may be another one, at the level of `missed_harm`.
    pub give_or_take: f64,
    /// How many samples.
    pub count: usize,
}

/// Samples as one number: where they lie, how far they spread, how much each resembles the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Huber's estimate of the mean.
    pub center: f64,
    /// About a standard deviation. 0: they never varied.
    pub spread: f64,
    /// Lag-1 autocorrelation, 0 to 0.95.
    pub memory: f64,
    /// How many samples.
    pub count: usize,
}

impl Summary {
    /// Of these samples; `None` if there is none, or one is not finite.
    pub fn of(samples: &[f64]) -> Option<Self> {
        if samples.is_empty() || samples.iter().any(|sample| !sample.is_finite()) {
            return None;
        }
        let (center, spread) = huber(samples);
        Some(Self { center, spread, memory: memory(&[residuals(samples, center, spread)]), count: samples.len() })
    }
}

/// The test of one limit on one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequential {
    before: Vec<f64>,
    reference: Summary,
    /// The limit; samples and limit are turned so that past is above.
    at: f64,
    sign: f64,
    levels: Levels,
    since: Vec<f64>,
}

impl Sequential {
    /// A test of samples that come, with those from before. `None` if those tell nothing, or the limit is not finite.
    pub fn new(before: &[f64], bound: Bound, levels: Levels) -> Option<Self> {
        let (sign, at) = match bound {
            Bound::Above(at) => (1.0, at),
            Bound::Below(at) => (-1.0, -at),
        };
        let before: Vec<f64> = before.iter().map(|sample| sample * sign).collect();
        let reference = Summary::of(&before).filter(|_| at.is_finite())?;
        Some(Self { before, reference, at, sign, levels, since: Vec::new() })
    }

    /// Another sample. Returns the latest ones if they show that the limit is passed. A sample that is not finite shows
    /// nothing.
    #[must_use = "harm that nobody looks at is a removal that goes on"]
    pub fn add(&mut self, sample: f64) -> Option<Latest> {
        if !sample.is_finite() {
            return None;
        }
        self.since.push(sample * self.sign);
        if self.since.len() > MOST {
            self.since.remove(0);
        }
        self.past()
    }

    /// Forgets the samples since: another batch is out.
    pub fn begin(&mut self) {
        self.since.clear();
    }

    /// The later half lies within the limit: a slow rise is not hidden by what was before. S2: and the last sample does, for
    /// a bake never ends on a doubt.
    pub fn is_within(&self) -> bool {
        let Some(last) = self.since.last() else { return false };
        if *last > self.at {
            return false;
        }
        if self.never_varied() {
            return true;
        }
        let half = self.since.len().div_ceil(2);
        half >= LEAST && self.later_half().is_some_and(|half| half.center * self.sign + half.give_or_take <= self.at)
    }

    /// The samples that [`Self::is_within`] looks at; `None` before there is one.
    pub fn later_half(&self) -> Option<Latest> {
        let count = self.since.len().div_ceil(2);
        (count > 0).then(|| {
            let (difference, error, freedom) = self.of_latest(count);
            let sure = student(mixture(float(count), self.levels.missed_harm), freedom);
            self.latest(difference, sure * error, count)
        })
    }

    /// Whether noise as before lets a bake of so many samples, without harm, end as within the limit in 99 of 100 cases.
    pub fn can_tell(&self, samples: usize) -> bool {
        self.needs(samples) <= self.limit()
    }

    /// The least distance of a limit from the reference that a bake of so many samples could tell, in the samples' unit.
    pub fn needs(&self, samples: usize) -> f64 {
        self.would_need(samples, self.reference.count)
    }

    /// The same with so many samples before, were they like those that there are.
    pub fn would_need(&self, samples: usize, before: usize) -> f64 {
        let half = (samples / 2).max(LEAST);
        let freedom = (before + half).saturating_sub(2);
        let sure = student(mixture(float(half), self.levels.missed_harm), freedom);
        (sure + ONE_OF_HUNDRED) * error(self.reference.spread, self.reference.memory, before, half)
    }

    /// The samples from before.
    pub fn reference(&self) -> Summary {
        Summary { center: self.reference.center * self.sign, ..self.reference }
    }

    /// How far the limit is from the reference.
    fn limit(&self) -> f64 {
        self.at - self.reference.center
    }

    /// Neither the samples before nor those since: numbers that are compared as they are.
    fn never_varied(&self) -> bool {
        self.reference.spread == 0.0 && self.is_constant()
    }

    fn is_constant(&self) -> bool {
        self.since.first().is_some_and(|first| self.since.iter().all(|sample| sample == first))
    }

    /// The latest samples of some length that lie past the limit: harm may begin at any sample.
    fn past(&self) -> Option<Latest> {
        let all = self.since.len();
        let last = *self.since.last()?;
        if self.never_varied() {
            return (all >= LEAST && last > self.at).then(|| self.latest(last - self.reference.center, 0.0, all));
        }
        let lengths = LENGTHS.into_iter().filter(|length| *length < all).chain([all]);
        lengths.filter(|length| *length >= LEAST).find_map(|length| {
            let (difference, error, freedom) = self.of_latest(length);
            let sure = student(mixture(float(length), self.levels.false_abort), freedom);
            (difference - sure * error > self.limit()).then(|| self.latest(difference, sure * error, length))
        })
    }

    fn latest(&self, difference: f64, give_or_take: f64, count: usize) -> Latest {
        Latest { center: (self.reference.center + difference) * self.sign, give_or_take, count }
    }

    /// Of the latest samples: how far they lie above the reference, the standard error of that, and its degrees of freedom.
    fn of_latest(&self, length: usize) -> (f64, f64, usize) {
        let latest = self.since.get(self.since.len().saturating_sub(length)..).unwrap_or_default();
        let (center, spread) = huber(latest);
        // The spread is that around the mean of the samples themselves: a step by the batch must not pass for noise.
        let (n, m) = (float(self.before.len()), float(length));
        let own = if length > LEAST { spread } else { self.reference.spread.max(spread) };
        let pooled = ((n * self.reference.spread.powi(2) + m * own.powi(2)) / (n + m)).sqrt();
        let spread = pooled.max(self.reference.spread);
        let memory = memory(&[
            residuals(&self.before, self.reference.center, self.reference.spread),
            residuals(latest, center, own),
        ]);
        let error = error(spread, memory, self.before.len(), length);
        (center - self.reference.center, error, (self.before.len() + length).saturating_sub(2))
    }
}

/// The standard error of the difference between two means.
fn error(spread: f64, memory: f64, before: usize, since: usize) -> f64 {
    let alike = (1.0 + memory) / (1.0 - memory);
    spread * (alike * (1.0 / float(before) + 1.0 / float(since))).sqrt()
}

/// The normal quantile of 99%.
const ONE_OF_HUNDRED: f64 = 2.326_347_874_040_841;

/// How many standard errors at `count` samples: at most `level` of all sequences ever leave this bound.
fn mixture(count: f64, level: f64) -> f64 {
    let rho = TIGHTEST / (2.0 * (1.0 / level).ln() + 1.0);
    (2.0 * (1.0 + rho / count) * (((count + rho) / rho).sqrt() / (2.0 * level) + 1.0).ln()).sqrt()
}

/// The same where the spread is estimated with so many degrees of freedom: Cornish and Fisher's expansion of Student's
/// quantile, to two terms.
fn student(normal: f64, freedom: usize) -> f64 {
    let freedom = float(freedom.max(2));
    let (square, cube) = (normal * normal, normal.powi(3));
    normal
        + (cube + normal) / (4.0 * freedom)
        + (5.0 * cube * square + 16.0 * cube + 3.0 * normal) / (96.0 * freedom * freedom)
}

/// Mean and spread, both of which one sample that stands out hardly moves.
fn huber(samples: &[f64]) -> (f64, f64) {
    let median = median(samples.iter().copied());
    let scale = NORMAL * self::median(samples.iter().map(|sample| (sample - median).abs()));
    let count = float(samples.len());
    if scale == 0.0 {
        if samples.iter().all(|sample| *sample == median) {
            return (median, 0.0);
        }
        // More than half are equal: counts of rare things, coarse numbers.
        let mean = samples.iter().sum::<f64>() / count;
        let square = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>();
        return (mean, (square / (count - 1.0).max(1.0)).sqrt());
    }
    let mut center = median;
    for _ in 0..20 {
        let held = samples.iter().map(|sample| (sample - center).clamp(-HUBER * scale, HUBER * scale)).sum::<f64>();
        let step = held / count;
        center += step;
        if step.abs() <= 1e-9 * scale {
            break;
        }
    }
    let square = samples.iter().map(|s| (s - center).clamp(-WINSOR * scale, WINSOR * scale).powi(2)).sum::<f64>();
    (center, (square / (count - 1.0).max(1.0)).sqrt())
}

fn residuals(samples: &[f64], center: f64, spread: f64) -> Vec<f64> {
    samples.iter().map(|sample| (sample - center).clamp(-WINSOR * spread, WINSOR * spread)).collect()
}

/// Lag-1 autocorrelation of the residuals of all stretches together, without its bias towards less (Kendall 1954).
fn memory(stretches: &[Vec<f64>]) -> f64 {
    let square: f64 = stretches.iter().flatten().map(|residual| residual * residual).sum();
    let (count, pairs) =
        (stretches.iter().map(Vec::len).sum::<usize>(), stretches.iter().map(|s| s.iter().zip(s.iter().skip(1))));
    if square == 0.0 || count < 4 {
        return 0.0;
    }
    let raw = pairs.flatten().map(|(one, next)| one * next).sum::<f64>() / square;
    let unbiased = raw + (1.0 + 3.0 * raw) * float(stretches.len()) / float(count);
    (unbiased - CHANCE / float(count).sqrt()).clamp(0.0, MOST_MEMORY)
}

#[expect(clippy::cast_precision_loss, reason = "a bake has far fewer than 2^52 samples")]
fn float(count: usize) -> f64 {
    count as f64
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = of.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or_default();
    match sorted.len().is_multiple_of(2) {
        true => f64::midpoint(sorted.get(middle.wrapping_sub(1)).copied().unwrap_or(upper), upper),
        false => upper,
    }
}

#[cfg(test)]
mod tests;
