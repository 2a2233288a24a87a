//! [`Offer`]: what there is to choose from, and what can be told about it without a search.
//!
//! The preferred hosts one after the other ([`Offer::fill`]) are a choice that may go, but often not the best one. What
//! each row alone allows is an upper bound. The search starts from these; nothing here proves a maximum.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::Choice;
use super::problem::{Problem, clipped, fitting, is_feasible};

/// The candidates of one problem that may be chosen, and the bounds.
pub(super) struct Offer<'a> {
    pub(super) problem: &'a Problem,
    /// What may be taken from each row; no limit if the row is lifted.
    pub(super) bounds: Vec<u128>,
    /// Hosts per class that may be chosen; none of a closed class if gates count.
    pub(super) most: Vec<u64>,
}

/// What hosts take from a row.
#[derive(Clone, Copy)]
struct Alike {
    /// Each of them, unless it is uneven.
    units: u64,
    hosts: u64,
    /// Whether some take more than others.
    uneven: bool,
}

impl<'a> Offer<'a> {
    /// With `gated`, hosts of subsystems that are closed at this moment are left out.
    pub(super) fn new(problem: &'a Problem, gated: bool) -> Self {
        let most = problem
            .classes
            .iter()
            .map(|class| if gated && class.closed { 0 } else { class.ranks.len() as u64 })
            .collect();
        Self { problem, bounds: problem.rows.iter().map(|row| row.bound).collect(), most }
    }

    /// The same with other bounds: `bound` is given each row and its present bound.
    pub(super) fn bounded(&self, bound: impl Fn(usize, u128) -> u128) -> Self {
        let bounds = self.bounds.iter().enumerate().map(|(row, &is)| bound(row, is)).collect();
        Self { problem: self.problem, bounds, most: self.most.clone() }
    }

    /// How many candidates there are.
    pub(super) fn candidates(&self) -> u64 {
        self.most.iter().sum()
    }

    /// Hosts per class that may be chosen, at most what its rows alone allow.
    pub(super) fn clipped(&self) -> Vec<u64> {
        clipped(self.problem, &self.bounds, &self.most)
    }

    /// An upper bound of the maximum: the smallest number that a single row allows. `most` is [`Offer::clipped`].
    pub(super) fn ceiling(&self, most: &[u64]) -> u64 {
        self.ceilings_of(most).into_iter().min().unwrap_or_else(|| most.iter().sum())
    }

    /// Whether all of these can go together, in integers.
    pub(super) fn allows_all(&self, counts: &[u64]) -> bool {
        is_feasible(self.problem, &self.bounds, &self.most, counts)
    }

    /// The most hosts that each row would allow if it were the only one.
    pub(super) fn ceilings(&self) -> Vec<u64> {
        self.ceilings_of(&self.most)
    }

    /// By row, whether some choice of this many hosts takes more than it allows.
    pub(super) fn can_break(&self, count: u64) -> Vec<bool> {
        let mut takes: Vec<Vec<(u64, u64)>> = vec![Vec::new(); self.bounds.len()];
        for (class, &most) in self.problem.classes.iter().zip(&self.most) {
            class.takes.iter().for_each(|&(row, units)| takes[row].push((units, most)));
        }
        let can_break = |(mut takes, &bound): (Vec<(u64, u64)>, &u128)| {
            takes.sort_unstable_by(|one, other| other.cmp(one));
            let (mut left, mut taken) = (count, 0_u128);
            for (units, most) in takes {
                let hosts = most.min(left);
                taken = taken.saturating_add(u128::from(units) * u128::from(hosts));
                left -= hosts;
            }
            taken > bound
        };
        takes.into_iter().zip(&self.bounds).map(can_break).collect()
    }

    fn ceilings_of(&self, most: &[u64]) -> Vec<u64> {
        let all: u64 = most.iter().sum();
        let takes = || self.problem.classes.iter().zip(most).filter(|(_, most)| **most > 0);
        let mut rows = vec![Alike { units: 0, hosts: 0, uneven: false }; self.bounds.len()];
        for (class, &most) in takes() {
            for &(row, units) in &class.takes {
                let row = &mut rows[row];
                row.uneven |= row.hosts > 0 && row.units != units;
                row.units = units;
                row.hosts += most;
            }
        }
        // Rows from which hosts take differently are few.
        let mut uneven: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
        if rows.iter().any(|row| row.uneven) {
            for (class, &most) in takes() {
                for &(row, units) in class.takes.iter().filter(|(row, _)| rows[*row].uneven) {
                    uneven.entry(row).or_default().push((units, most));
                }
            }
        }
        let under = |(row, &bound): (usize, &u128)| {
            let Some(takes) = uneven.get_mut(&row) else {
                let Alike { units, hosts, .. } = rows[row];
                return all - (hosts - fitting(bound, units).min(hosts));
            };
            takes.sort_unstable();
            let mut left = bound;
            let mut refused = 0;
            for &(units, most) in &*takes {
                let fit = fitting(left, units).min(most);
                left -= u128::from(units) * u128::from(fit);
                refused += most - fit;
            }
            all - refused
        };
        self.bounds.iter().enumerate().map(under).collect()
    }

    /// Classes that have hosts to choose, the preferred ones first, as far as that is known beforehand.
    pub(super) fn by_first_levels(&self) -> Vec<usize> {
        let mut classes: Vec<usize> = (0..self.most.len()).filter(|&c| self.most[c] > 0).collect();
        classes.sort_by_key(|&c| self.first_levels(c));
        classes
    }

    pub(super) fn first_levels(&self, class: usize) -> (bool, u64) {
        (self.problem.classes[class].busy, self.problem.classes[class].others)
    }

    /// The first two levels of the preference if there were no rows: no choice of this many hosts is better in them.
    pub(super) fn ideal(&self, count: u64) -> (u64, u128) {
        let (mut left, mut busy, mut others) = (count, 0, 0);
        for class in self.by_first_levels() {
            let take = left.min(self.most[class]);
            let of = &self.problem.classes[class];
            left -= take;
            busy += if of.busy { take } else { 0 };
            others += u128::from(of.others) * u128::from(take);
        }
        (busy, others)
    }

    /// Chooses nobody.
    pub(super) fn nothing(&self) -> Choice<'a> {
        Choice::new(self.problem, &self.bounds)
    }

    /// The choice with these counts.
    pub(super) fn of(&self, counts: &[u64]) -> Choice<'a> {
        let mut choice = self.nothing();
        for (class, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                choice.take(class);
            }
        }
        choice
    }

    /// Takes one host after the other, each the best that still fits.
    pub(super) fn fill(&self, count: u64) -> Choice<'a> {
        let mut choice = self.nothing();
        let mut hosts = 0;
        // A class that does not fit now never will; and no class is preferred to a class of an earlier group.
        for group in self.by_first_levels().chunk_by(|&a, &b| self.first_levels(a) == self.first_levels(b)) {
            let mut open = group.to_vec();
            while hosts < count {
                open.retain(|&c| choice.counts[c] < self.most[c] && choice.fits(c));
                let preferred = open.iter().copied().min_by(|&a, &b| choice.compare(a, b).then(a.cmp(&b)));
                let Some(class) = preferred else { break };
                choice.take(class);
                hosts += 1;
            }
        }
        choice
    }

    /// Removes the least preferred hosts until `count` are left. Every part of a feasible choice is feasible.
    pub(super) fn trimmed(&self, mut counts: Vec<u64>, count: u64) -> Vec<u64> {
        let mut hosts: u64 = counts.iter().sum();
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|&c| self.first_levels(c));
        while let Some(class) = order.pop() {
            let excess = hosts.saturating_sub(count).min(counts[class]);
            counts[class] -= excess;
            hosts -= excess;
        }
        counts
    }

    /// The hosts of a choice, as the problem numbers them.
    pub(super) fn expand(&self, choice: &Choice<'_>) -> BTreeSet<usize> {
        choice.ranks().map(|rank| self.problem.candidates[rank]).collect()
    }
}
