//! [`Effort`]: how much work a search may do before it gives up on a proof.
//!
//! Work is counted in the numbers that are computed, not in time: the same fleet gives the same plan on every machine,
//! whatever else the machine does.

use std::cell::Cell;
use std::time::Duration;

/// The numbers that one core computes in a millisecond, roughly.
const PER_MILLISECOND: u64 = 1_000_000;

/// Work that is left.
#[derive(Debug)]
pub(crate) struct Effort(Cell<u64>);

impl Effort {
    /// As much as one core does in about this time.
    pub(crate) fn about(time: Duration) -> Self {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self(Cell::new(milliseconds.saturating_mul(PER_MILLISECOND)))
    }

    /// Takes a part of it, or all if there is less.
    pub(super) fn part(&self, work: u64) -> Self {
        let work = work.min(self.0.get());
        self.0.set(self.0.get() - work);
        Self(Cell::new(work))
    }

    /// A tenth of it, for a first look.
    pub(super) fn tenth(&self) -> Self {
        self.part(self.0.get() / 10)
    }

    /// Takes back what is left of a part.
    pub(super) fn take_back(&self, part: Self) {
        self.0.set(self.0.get().saturating_add(part.0.get()));
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    /// Uses some of it; false if that was more than there was.
    pub(super) fn spend(&self, work: u64) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(work));
        work <= left
    }
}
