//! [`Before`]: the samples that those since are compared with, of either kind.

use super::bound::Bound;
use super::noise::{Comparison, Summary, freedom};
use super::numbers::Numbers;
use super::shares::Shares;
use crate::model::{Quantity, Share};

/// The samples from before, all of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Before {
    Numbers(Numbers),
    Shares(Shares),
}

impl Before {
    pub(super) fn of(samples: &[Quantity]) -> Option<Self> {
        let numbers = || numbers(samples).and_then(Numbers::of).map(Self::Numbers);
        let shares = || shares(samples).and_then(|samples| Shares::of(&samples)).map(Self::Shares);
        numbers().or_else(shares)
    }

    pub(super) fn summary(&self) -> Summary {
        match self {
            Self::Numbers(numbers) => numbers.summary,
            Self::Shares(shares) => shares.summary,
        }
    }

    /// Whether such a sample can be compared with them.
    pub(super) fn is_alike(&self, sample: Quantity) -> bool {
        match (self, sample) {
            (Self::Numbers(_), Quantity::Number(_)) | (Self::Shares(_), Quantity::Share(_)) => sample.flaw().is_none(),
            (Self::Numbers(_), Quantity::Share(_)) | (Self::Shares(_), Quantity::Number(_)) => false,
        }
    }

    /// `None` if the latest are of another kind.
    pub(super) fn compared(&self, latest: &[Quantity], bound: Bound) -> Option<Comparison> {
        match self {
            Self::Numbers(before) => Some(before.compared(&numbers(latest)?)),
            Self::Shares(before) => Some(before.compared(&shares(latest)?, bound.at())),
        }
    }

    /// The least distance of a limit that is `sure` standard errors of what so many samples would show, with so many before.
    pub(super) fn needs(&self, sure: f64, bound: Bound, since: usize, before: usize) -> f64 {
        match self {
            Self::Numbers(numbers) => sure * numbers.error(since, before),
            Self::Shares(shares) => shares.needs(sure, matches!(bound, Bound::Above(_)), since, before),
        }
    }

    /// The degrees of freedom of so many samples with so many before, were they all like those that there are.
    pub(super) fn freedom(&self, since: usize, before: usize) -> f64 {
        match self {
            Self::Numbers(_) => freedom(since, before),
            Self::Shares(shares) => shares.freedom(since, before),
        }
    }

    /// Whether the samples since, as they are, lie within the limit. A share is that of all of them anyway.
    pub(super) fn are_plainly_within(&self, since: &[Quantity], bound: Bound) -> bool {
        match self {
            Self::Numbers(numbers) => {
                numbers.are_plainly_within(since.iter().map(|sample| bound.past(sample.value())).collect())
            }
            Self::Shares(_) => true,
        }
    }

    /// Whether there is no such sample as one past the limit: a share lies between 0 and 1.
    pub(super) fn cannot_pass(&self, bound: Bound) -> bool {
        match (self, bound) {
            (Self::Numbers(_), Bound::Above(_) | Bound::Below(_)) => false,
            (Self::Shares(_), Bound::Above(at)) => at >= 1.0,
            (Self::Shares(_), Bound::Below(at)) => at <= 0.0,
        }
    }

    /// Numbers that never varied are compared as they are. Chance is in every share.
    pub(super) fn never_varied(&self) -> bool {
        match self {
            Self::Numbers(numbers) => numbers.summary.spread == 0.0,
            Self::Shares(_) => false,
        }
    }
}

/// `None` if one is a share.
fn numbers(of: &[Quantity]) -> Option<Vec<f64>> {
    let number = |sample: &Quantity| match sample {
        Quantity::Number(number) => Some(*number),
        Quantity::Share(_) => None,
    };
    of.iter().map(number).collect()
}

/// `None` if one is a number.
fn shares(of: &[Quantity]) -> Option<Vec<Share>> {
    let share = |sample: &Quantity| match sample {
        Quantity::Share(share) => Some(*share),
        Quantity::Number(_) => None,
    };
    of.iter().map(share).collect()
}
