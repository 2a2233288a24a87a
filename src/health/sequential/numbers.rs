//! [`Numbers`]: samples that are numbers. Their means and spreads are robust (Huber 1964): one sample that stands out
//! hardly moves them.

use super::noise::{Comparison, LEAST, Summary, WINSOR, alike, float, freedom, memory};

/// Where Huber's estimate begins to hold samples back, in spreads.
const HUBER: f64 = 1.5;

/// Standard errors that the plain mean of a bake must be within its limit.
const PLAINLY: f64 = 2.0;

/// The median absolute deviation of normal noise times this is its standard deviation.
const NORMAL: f64 = 1.482_602_218_505_602;

/// The samples from before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    samples: Vec<f64>,
    pub(super) summary: Summary,
}

impl Numbers {
    /// `None` if there is none, or one is not finite.
    pub(super) fn of(samples: Vec<f64>) -> Option<Self> {
        if samples.is_empty() || samples.iter().any(|sample| !sample.is_finite()) {
            return None;
        }
        let (center, spread) = huber(&samples);
        let memory = memory(&[residuals(&samples, center, spread)]);
        let summary = Summary { center, spread, memory, count: samples.len(), share: None };
        Some(Self { samples, summary })
    }

    /// These samples beside those from before.
    pub(super) fn compared(&self, latest: &[f64]) -> Comparison {
        let Summary { center: before, spread: usual, .. } = self.summary;
        let (center, spread) = huber(latest);
        // The spread is that around the mean of the samples themselves: a step by the batch must not pass for noise.
        let (n, m) = (float(self.samples.len()), float(latest.len()));
        let own = if latest.len() > LEAST { spread } else { usual.max(spread) };
        let pooled = ((n * usual.powi(2) + m * own.powi(2)) / (n + m)).sqrt();
        let memory = memory(&[residuals(&self.samples, before, usual), residuals(latest, center, own)]);
        let error = error(pooled.max(usual), memory, self.samples.len(), latest.len());
        Comparison { center, error, freedom: freedom(latest.len(), self.samples.len()) }
    }

    /// Whether samples are within a limit as they are, without the one that is furthest past it: `past` is how far each is,
    /// negative within. Robust means hold back what stands out, and harm that comes and goes stands out every time.
    pub(super) fn are_plainly_within(&self, mut past: Vec<f64>) -> bool {
        past.sort_by(f64::total_cmp);
        past.pop();
        let count = float(past.len());
        let mean = past.iter().sum::<f64>() / count;
        let square = past.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let usual = self.summary.spread.powi(2);
        let error = (usual / float(self.samples.len()) + square.max(usual) / count).sqrt();
        past.len() > 1 && mean + PLAINLY * error <= 0.0
    }

    /// The standard error where so many samples, like those that there are, are compared with so many of them.
    pub(super) fn error(&self, since: usize, before: usize) -> f64 {
        error(self.summary.spread, self.summary.memory, before, since)
    }
}

/// The standard error of the difference between two means.
fn error(spread: f64, memory: f64, before: usize, since: usize) -> f64 {
    spread * (alike(memory) * (1.0 / float(before) + 1.0 / float(since))).sqrt()
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
