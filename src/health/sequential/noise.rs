//! [`Summary`], and how much samples resemble the ones before them: for numbers and shares alike.

use crate::model::Share;

/// The least samples that show anything: of fewer, one that stands out is half of them.
pub(in crate::health) const LEAST: usize = 3;

/// Residuals count for no more than so many spreads.
pub(super) const WINSOR: f64 = 2.5;

/// The part of an estimate that chance alone makes is left out, in its standard errors: a whole one would hide what is there.
pub(super) const CHANCE: f64 = 0.5;

/// More resemblance than this, and a bake has no independent sample but one.
const MOST_MEMORY: f64 = 0.95;

/// Samples as one number: where they lie, how far they spread, how much each resembles the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Huber's estimate of the mean; of shares, that of all samples together, 0 to 1.
    pub center: f64,
    /// About a standard deviation of one sample. 0: they never varied.
    pub spread: f64,
    /// Lag-1 autocorrelation, 0 to 0.95.
    pub memory: f64,
    /// How many samples.
    pub count: usize,
    /// Of shares: the counts of all samples together.
    pub share: Option<Share>,
}

/// Samples beside those from before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Comparison {
    /// Where they lie.
    pub(super) center: f64,
    /// The standard error of how far that is from the limit.
    pub(super) error: f64,
    /// The degrees of freedom that the error is estimated with; infinite where it is known.
    pub(super) freedom: f64,
}

/// Lag-1 autocorrelation of the residuals of all stretches together, without its bias towards less (Kendall 1954).
pub(super) fn memory(stretches: &[Vec<f64>]) -> f64 {
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

/// How much more a mean of samples with this memory varies than one of as many that know nothing of each other, as a
/// factor of the variance.
pub(super) fn alike(memory: f64) -> f64 {
    (1.0 + memory) / (1.0 - memory)
}

/// The degrees of freedom of a spread of two stretches of so many samples.
pub(super) fn freedom(since: usize, before: usize) -> f64 {
    float((before + since).saturating_sub(2))
}

#[expect(clippy::cast_precision_loss, reason = "a bake has far fewer than 2^52 samples")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}
