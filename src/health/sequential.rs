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
const LEAST: usize = 3;

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

/// The outcome of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The limit is passed.
    Past,
    /// The limit is not passed.
    Within,
    /// Neither yet.
    Open,
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
    /// How far above the reference the limit is; the samples are turned so that it is above.
    limit: f64,
    sign: f64,
    levels: Levels,
    since: Vec<f64>,
}

impl Sequential {
    /// Samples from before, and a limit so far above them (`limit` positive) or below (negative), in their unit. `None` if
    /// the samples tell nothing, or the limit is 0 or not finite.
    pub fn new(before: &[f64], limit: f64, levels: Levels) -> Option<Self> {
        let sign = limit.signum();
        let before: Vec<f64> = before.iter().map(|sample| sample * sign).collect();
        let reference = Summary::of(&before).filter(|_| limit.is_finite() && limit != 0.0)?;
        Some(Self { before, reference, limit: limit.abs(), sign, levels, since: Vec::new() })
    }

    /// Another sample; one that is not finite shows nothing. `may_end`: the bake is as long as it must be at least.
    pub fn fold(&mut self, sample: f64, may_end: bool) -> Evidence {
        if !sample.is_finite() {
            return Evidence::Open;
        }
        self.since.push(sample * self.sign);
        if self.reference.spread == 0.0 && self.is_constant() {
            return self.compared(may_end);
        }
        if self.is_past() {
            return Evidence::Past;
        }
        if may_end && self.is_within() { Evidence::Within } else { Evidence::Open }
    }

    /// Whether noise as before lets a bake of so many samples, without harm, end as within the limit in 99 of 100 cases.
    pub fn can_tell(&self, samples: usize) -> bool {
        self.needs(samples) <= self.limit
    }

    /// The least limit that a bake of so many samples could tell, in the samples' unit.
    pub fn needs(&self, samples: usize) -> f64 {
        let half = (samples / 2).max(LEAST);
        let freedom = self.reference.count + half - 2;
        let sure = student(mixture(float(half), self.levels.missed_harm), freedom);
        let error = self.error(self.reference.spread, self.reference.memory, half);
        (sure + ONE_OF_HUNDRED) * error
    }

    fn is_constant(&self) -> bool {
        self.since.first().is_some_and(|first| self.since.iter().all(|sample| sample == first))
    }

    /// Numbers that never varied are compared as they are.
    fn compared(&self, may_end: bool) -> Evidence {
        let last = self.since.last().copied().unwrap_or_default();
        match last - self.reference.center > self.limit {
            true => Evidence::Past,
            false if may_end => Evidence::Within,
            false => Evidence::Open,
        }
    }

    /// The latest samples of some length lie above the limit: harm may begin at any sample.
    fn is_past(&self) -> bool {
        let all = self.since.len();
        let lengths = LENGTHS.into_iter().filter(|length| *length < all).chain([all]);
        lengths.filter(|length| *length >= LEAST).any(|length| {
            let (difference, error, freedom) = self.of_latest(length);
            let sure = student(mixture(float(length), self.levels.false_abort), freedom);
            difference - sure * error > self.limit
        })
    }

    /// The later half lies below the limit: a slow rise is not hidden by what was before. S2: and the last sample does, for
    /// a bake never ends on a doubt.
    fn is_within(&self) -> bool {
        let half = self.since.len().div_ceil(2);
        let is_doubted = self.since.last().is_none_or(|last| last - self.reference.center > self.limit);
        if half < LEAST || is_doubted {
            return false;
        }
        let (difference, error, freedom) = self.of_latest(half);
        let sure = student(mixture(float(half), self.levels.missed_harm), freedom);
        difference + sure * error < self.limit
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
        (center - self.reference.center, self.error(spread, memory, length), self.before.len() + length - 2)
    }

    fn error(&self, spread: f64, memory: f64, length: usize) -> f64 {
        let alike = (1.0 + memory) / (1.0 - memory);
        spread * (alike * (1.0 / float(self.before.len()) + 1.0 / float(length))).sqrt()
    }
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
