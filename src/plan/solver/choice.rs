//! A choice in the making: a number of hosts of each class, and what is left of every row and zone.
//!
//! [`Choice`] adds, removes and compares; [`super::select`] decides which choice is wanted.

use std::cmp::{Ordering, Reverse};

use super::problem::Problem;

/// Hosts per class, and what is left.
pub(crate) struct Choice<'a> {
    problem: &'a Problem,
    /// Hosts per class.
    pub(crate) counts: Vec<u64>,
    rows: Vec<u128>,
    zones: Vec<u128>,
}

/// Comes after every level.
const NO_LEVEL: (usize, Reverse<u128>) = (usize::MAX, Reverse(0));

impl<'a> Choice<'a> {
    /// Chooses nobody; `bounds` says what may be taken from each row.
    pub(crate) fn new(problem: &'a Problem, bounds: &[u128]) -> Self {
        Self { problem, counts: vec![0; problem.classes.len()], rows: bounds.to_vec(), zones: problem.zones.clone() }
    }

    /// Whether every row allows one more host of the class.
    pub(crate) fn fits(&self, class: usize) -> bool {
        self.problem.classes[class].takes.iter().all(|&(row, units)| self.rows[row] >= u128::from(units))
    }

    /// Takes one more host of the class, which must fit.
    pub(crate) fn take(&mut self, class: usize) {
        for &(row, units) in &self.problem.classes[class].takes {
            self.rows[row] -= u128::from(units);
        }
        for &(_, slot, units) in &self.problem.classes[class].zones {
            self.zones[slot] -= u128::from(units);
        }
        self.counts[class] += 1;
    }

    /// Gives back one of the hosts taken.
    pub(crate) fn give_back(&mut self, class: usize) {
        for &(row, units) in &self.problem.classes[class].takes {
            self.rows[row] += u128::from(units);
        }
        for &(_, slot, units) in &self.problem.classes[class].zones {
            self.zones[slot] += u128::from(units);
        }
        self.counts[class] -= 1;
    }

    /// Orders two classes by which one should give the next host: the idle one; then the one with the fewest other
    /// subsystems; then the one that lowers the first level's sum of squares further, then the next level's; then the
    /// one with the longer-running host, then by id.
    pub(crate) fn compare(&self, one: usize, other: usize) -> Ordering {
        let of = |class: usize| (self.problem.classes[class].busy, self.problem.classes[class].others);
        of(one)
            .cmp(&of(other))
            .then_with(|| self.sinks(one).cmp(self.sinks(other)))
            .then_with(|| self.next(one).cmp(&self.next(other)))
    }

    /// How far one host lowers each level's sum of squares. The sequence ends with [`NO_LEVEL`], so that lowering a
    /// further level is better than not.
    fn sinks(&self, class: usize) -> impl Iterator<Item = (usize, Reverse<u128>)> {
        let zones = self.problem.classes[class].zones.iter();
        let sink = |&(level, slot, units): &(usize, usize, u64)| {
            // r^2 - (r - u)^2 = u * (2r - u)
            let (left, units) = (self.zones[slot], u128::from(units));
            (level, Reverse(units.saturating_mul(left.saturating_mul(2).saturating_sub(units))))
        };
        zones.map(sink).chain([NO_LEVEL])
    }

    /// The rank of the next host of the class.
    fn next(&self, class: usize) -> usize {
        let next = usize::try_from(self.counts[class]).ok();
        next.and_then(|n| self.problem.classes[class].ranks.get(n)).copied().unwrap_or(usize::MAX)
    }

    /// The number of hosts that are not idle, and the number of other subsystems in all.
    pub(crate) fn first_levels(&self) -> (u64, u128) {
        let chosen = || self.problem.classes.iter().zip(&self.counts);
        let busy = chosen().filter(|(class, _)| class.busy).map(|(_, &count)| count).sum();
        (busy, chosen().map(|(class, &count)| u128::from(class.others) * u128::from(count)).sum())
    }

    /// The objective value of this choice: the smaller one is the better choice.
    pub(crate) fn objective(&self) -> Objective {
        let (busy, others) = self.first_levels();
        let mut unevenness = vec![0_u128; self.problem.levels];
        for (left, &level) in self.zones.iter().zip(&self.problem.level_of) {
            unevenness[level] = unevenness[level].saturating_add(left.saturating_mul(*left));
        }
        let mut ranks: Vec<usize> = self.ranks().collect();
        ranks.sort_unstable();
        Objective { busy, others, unevenness, ranks }
    }

    /// The longest-running hosts of each class, as places in [`Problem::candidates`].
    pub(crate) fn ranks(&self) -> impl Iterator<Item = usize> {
        let chosen = self.problem.classes.iter().zip(&self.counts);
        chosen.flat_map(|(class, &n)| class.ranks.iter().take(usize::try_from(n).unwrap_or(usize::MAX)).copied())
    }
}

/// The objective of a choice: the smaller one is preferred.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Objective {
    /// Hosts that are not idle.
    pub(crate) busy: u64,
    pub(crate) others: u128,
    /// Sum of squares of remaining units per zone, by level.
    unevenness: Vec<u128>,
    /// Places in the order of age and id, ascending.
    ranks: Vec<usize>,
}
