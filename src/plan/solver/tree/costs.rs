//! [`Costs`]: how much splits at each column lowered the bound so far, and what to expect of the next (pseudo-costs:
//! Bénichou and others, "Experiments in mixed-integer linear programming", 1971). It orders the columns that a
//! [`super::tree`] splits at, and excludes nothing.

/// How often a column must have been split, or tried, before what that did is relied on. More tries than this cost more
/// than they save: the relaxations are quick.
const RELIABLE: u32 = 2;

/// Both parts must gain for a split to gain.
pub(super) fn product(fewer: f64, more: f64) -> f64 {
    const LEAST: f64 = 1e-4;
    fewer.max(LEAST) * more.max(LEAST)
}

/// How much splits lowered the bound, by column, for each whole host that they went.
pub(super) struct Costs {
    fewer: Vec<Mean>,
    more: Vec<Mean>,
}

#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, lowered: f64) {
        self.sum += lowered;
        self.count += 1;
    }

    fn get(self) -> f64 {
        /// The expectation where nothing is known.
        const UNKNOWN: f64 = 0.3;
        if self.count == 0 { UNKNOWN } else { self.sum / f64::from(self.count) }
    }
}

impl Costs {
    pub(super) fn new(columns: usize) -> Self {
        Self { fewer: vec![Mean::default(); columns], more: vec![Mean::default(); columns] }
    }

    /// Remembers how much a split lowered the bound in either part, for each whole host.
    pub(super) fn add(&mut self, column: usize, fewer: f64, more: f64) {
        self.fewer[column].add(fewer);
        self.more[column].add(more);
    }

    pub(super) fn is_reliable(&self, column: usize) -> bool {
        self.fewer[column].count.min(self.more[column].count) >= RELIABLE
    }

    pub(super) fn expected(&self, column: usize, share: f64) -> f64 {
        product(self.fewer[column].get() * share, self.more[column].get() * (1.0 - share))
    }
}
