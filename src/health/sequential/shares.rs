//! [`Shares`]: samples that are counts of events, and of all that could have been one.
//!
//! A stretch of samples has one share: its events over all. Chance alone makes it vary as a binomial does; traffic adds to
//! that (overdispersion), and so do windows that overlap (memory). Both only ever make the test less sure.

use super::noise::{CHANCE, Comparison, Summary, WINSOR, alike, float, freedom, memory};
use crate::model::Share;

/// Halvings of an interval until a number is as exact as it is shown.
const HALVINGS: usize = 40;

/// The samples from before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shares {
    /// Of all of them.
    all: Share,
    residuals: Vec<f64>,
    pub(super) summary: Summary,
}

impl Shares {
    /// `None` if there is none, or one is not a share.
    pub(super) fn of(samples: &[Share]) -> Option<Self> {
        if samples.is_empty() || samples.iter().any(|sample| sample.flaw().is_some()) {
            return None;
        }
        let (all, count) = (pooled(samples), samples.len());
        let residuals = residuals(samples, all);
        let memory = memory(&[winsorized(&residuals)]);
        let a_sample = deviation(smoothed(all)).powi(2) * float(count) / all.of;
        let spread = (overdispersion(&[&residuals]) * a_sample).sqrt();
        let summary = Summary { center: all.value(), spread, memory, count, share: Some(all) };
        Some(Self { all, residuals, summary })
    }

    /// These samples beside those from before, and a limit in per cent of what was before, which lies `at` a share.
    pub(super) fn compared(&self, latest: &[Share], at: f64) -> Comparison {
        let all = pooled(latest);
        let own = residuals(latest, all);
        let factor = overdispersion(&[&self.residuals, &own]);
        let alike = alike(memory(&[winsorized(&self.residuals), winsorized(&own)]));
        let error = (factor * alike * variance(self.all, all, self.ratio(at))).sqrt();
        let freedom = freedom_beyond_chance(factor, latest.len(), self.residuals.len());
        Comparison { center: all.value(), error, freedom }
    }

    /// The degrees of freedom of a comparison of so many samples, like those that there are, with so many of them.
    pub(super) fn freedom(&self, since: usize, before: usize) -> f64 {
        freedom_beyond_chance(overdispersion(&[&self.residuals]), since, before)
    }

    /// The least distance of a limit, above or below, that is `sure` standard errors of what a bake without harm would
    /// show: of so many samples, with so many before. Infinite where none is.
    pub(super) fn needs(&self, sure: f64, above: bool, since: usize, before: usize) -> f64 {
        let Summary { center, memory, .. } = self.summary;
        if center == 0.0 {
            return 0.0;
        }
        let noise = overdispersion(&[&self.residuals]) * alike(memory);
        let of_samples = |count: usize| {
            let times = float(count) / float(self.residuals.len());
            Share { events: self.all.events * times, of: self.all.of * times }
        };
        let tells = |distance: f64| {
            let at = if above { center + distance } else { center - distance };
            sure * (noise * variance(of_samples(before), of_samples(since), self.ratio(at))).sqrt() <= distance
        };
        let (mut short, mut far) = (0.0, if above { 1.0 - center } else { center });
        if !tells(far) {
            return f64::INFINITY;
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(short, far);
            if tells(middle) { far = middle } else { short = middle }
        }
        far
    }

    /// How many times the share from before the limit is.
    fn ratio(&self, at: f64) -> f64 {
        if self.summary.center > 0.0 { at / self.summary.center } else { 1.0 }
    }
}

fn pooled(samples: &[Share]) -> Share {
    let sum = |of: fn(&Share) -> f64| samples.iter().map(of).sum::<f64>();
    Share { events: sum(|sample| sample.events), of: sum(|sample| sample.of) }
}

/// The variance of the difference between the share since and `ratio` times the share before, by chance alone.
///
/// Were that difference 0, either share would follow from the other, so each has two estimates. The standard deviation is the
/// mean of both, which is what a test of square roots comes to (Anscombe 1948): by its own estimate alone a share of few
/// events looks too sure, by the other's too unsure. Nothing of nothing is no difference.
fn variance(before: Share, since: Share, ratio: f64) -> f64 {
    if before.events + since.events == 0.0 {
        return 0.0;
    }
    let (was, is) = (smoothed(before), smoothed(since));
    let between = |own, other| f64::midpoint(deviation(own), deviation(other)).powi(2);
    between(is, ratio * was) / since.of + ratio.powi(2) * between(was, is / ratio) / before.of
}

/// The standard deviation of one event.
fn deviation(share: f64) -> f64 {
    let share = share.min(1.0);
    (share * (1.0 - share)).sqrt()
}

/// Neither 0 nor 1: that no event was seen does not prove that there is none.
fn smoothed(share: Share) -> f64 {
    (share.events + 0.5) / (share.of + 1.0)
}

/// Pearson's: how far each sample is from what the share of all lets expect, in standard deviations.
fn residuals(samples: &[Share], all: Share) -> Vec<f64> {
    let (share, deviation) = (all.value(), deviation(smoothed(all)));
    samples.iter().map(|sample| (sample.events - share * sample.of) / (deviation * sample.of.sqrt())).collect()
}

/// The same without what stands out.
fn winsorized(residuals: &[f64]) -> Vec<f64> {
    let most = WINSOR * (square(residuals) / float(residuals.len())).sqrt();
    residuals.iter().map(|residual| residual.clamp(-most, most)).collect()
}

/// How much more samples vary than by chance alone, as a factor of the variance, at least 1: by each stretch of residuals
/// alone and by all together, the most. One sample that stands out thus makes its own stretch unsure of itself. An estimate
/// of it has a variance of 2 over its degrees of freedom, of which nothing is made.
fn overdispersion(stretches: &[&[f64]]) -> f64 {
    let factor = |square: f64, freedom: usize| {
        let freedom = float(freedom.max(1));
        square / freedom - CHANCE * (2.0 / freedom).sqrt()
    };
    let each = stretches.iter().map(|residuals| factor(square(residuals), residuals.len().saturating_sub(1)));
    let freedom = stretches.iter().map(|residuals| residuals.len().saturating_sub(1)).sum();
    let together = factor(stretches.iter().map(|residuals| square(residuals)).sum(), freedom);
    each.chain([together]).fold(1.0, f64::max)
}

/// Chance is known, and only what is beyond it is an estimate (Satterthwaite 1946).
fn freedom_beyond_chance(factor: f64, since: usize, before: usize) -> f64 {
    freedom(since, before) * (factor / (factor - 1.0)).powi(2)
}

fn square(of: &[f64]) -> f64 {
    of.iter().map(|residual| residual * residual).sum()
}

#[cfg(test)]
mod tests;
