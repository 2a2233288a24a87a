//! [`Effort`]: how much work a search may do before it gives up on a proof.
//!
//! Work is counted in the numbers that are computed, not in time: the same fleet gives the same plan on every machine,
//! whatever else the machine does.

use std::cell::Cell;
use std::time::Duration;

/// The numbers that one core computes in a millisecond, roughly.
const PER_MILLISECOND: u64 = 1_000_000;

/// The part of an effort that is spent on numbers that nobody asked for: one in so many.
const UNASKED: u64 = 10;

/// Work that is left.
#[derive(Debug)]
pub(crate) struct Effort {
    left: Cell<u64>,
    asked: Option<Asked>,
}

/// The question that an effort is for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Whether so many hosts can go.
    count: i128,
    /// The work that is kept for it.
    kept: u64,
}

impl Effort {
    /// As much as one core does in about this time.
    pub(crate) fn about(time: Duration) -> Self {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self::of(milliseconds.saturating_mul(PER_MILLISECOND))
    }

    fn of(work: u64) -> Self {
        Self { left: Cell::new(work), asked: None }
    }

    /// Takes a part of it, or all if there is less.
    pub(super) fn part(&self, work: u64) -> Self {
        let work = work.min(self.left.get());
        self.left.set(self.left.get() - work);
        Self::of(work)
    }

    /// Takes all of it for the question whether so many hosts can go.
    pub(super) fn asked(&self, count: u64) -> Self {
        let left = self.left.take();
        let asked = Asked { count: count.into(), kept: left - left / UNASKED };
        Self { left: Cell::new(left), asked: Some(asked) }
    }

    /// Takes back what is left of a part.
    pub(super) fn take_back(&self, part: Self) {
        self.left.set(self.left.get().saturating_add(part.left.get()));
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// What is left to look for more than a choice of this worth. Where one host more is not the question, that is
    /// little.
    pub(super) fn left_beyond(&self, worth: i128) -> u64 {
        let kept = self.asked.filter(|asked| worth.checked_add(1) != Some(asked.count)).map_or(0, |asked| asked.kept);
        self.left.get().saturating_sub(kept)
    }

    /// Uses some of it; false if that was more than there was.
    pub(super) fn spend(&self, work: u64) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(work));
        work <= left
    }
}
