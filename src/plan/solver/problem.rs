//! [`Problem`]: classes of hosts that are interchangeable, and the rows that limit how many of each may be taken.
//!
//! Every row is a packing row: a sum of non-negative multiples that must not exceed a bound. So choosing nothing is
//! always feasible, and so is every part of a feasible choice. This module does not know what a row stands for: the
//! caller keeps that, by the row's place. Nothing here chooses.

use std::collections::BTreeSet;

/// Interchangeable candidates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Class {
    /// Places in [`Problem::candidates`], ascending: the longest-running first, then by id.
    pub(crate) ranks: Vec<usize>,
    /// Whether they serve: only serving hosts have units to take.
    pub(crate) serving: bool,
    /// Whether they serve or may serve: they are not established to be idle.
    pub(crate) busy: bool,
    /// Subsystems that they belong to besides the named one.
    pub(crate) others: u64,
    /// Whether they are out of reach now, whatever the rows allow.
    pub(crate) closed: bool,
    /// What one of them takes from rows.
    pub(crate) takes: Vec<(usize, u64)>,
    /// What one of them takes from zones: level, place in [`Problem::zones`], units.
    pub(crate) zones: Vec<(usize, usize, u64)>,
}

/// One packing row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What may be taken from it.
    pub(crate) bound: u128,
    /// Whether it is short already: then no doubtful host may be taken from it either.
    pub(crate) is_short: bool,
}

/// The candidates, and what limits the choice of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem {
    /// The longest-running first, then by id.
    pub(crate) candidates: Vec<usize>,
    pub(crate) classes: Vec<Class>,
    /// Only rows that taking every candidate would break: the others cannot matter.
    pub(crate) rows: Vec<Row>,
    /// Units by zone before the choice, one level (subsystem) after the other: the named one first, then the others by
    /// name. Evenness is judged level by level.
    pub(crate) zones: Vec<u128>,
    /// By place in `zones`.
    pub(crate) level_of: Vec<usize>,
    /// How many levels there are.
    pub(crate) levels: usize,
}

impl Problem {
    /// Closes the classes of these candidates, whose hosts must be alike in that.
    pub(crate) fn close(&mut self, is_closed: impl Fn(usize) -> bool) {
        for class in &mut self.classes {
            class.closed |= class.ranks.first().is_some_and(|&rank| is_closed(self.candidates[rank]));
        }
    }

    /// The same as if these rows were not short: doubtful hosts then take nothing from them. `None` if that changes
    /// nothing.
    pub(crate) fn freed(&self, is_freed: impl Fn(usize) -> bool) -> Option<Self> {
        let is_barred = |class: &Class, row: usize| !class.serving && self.rows[row].is_short && is_freed(row);
        if !self.classes.iter().any(|class| class.takes.iter().any(|&(row, _)| is_barred(class, row))) {
            return None;
        }
        let mut freed = self.clone();
        for (class, was) in freed.classes.iter_mut().zip(&self.classes) {
            class.takes.retain(|&(row, _)| !is_barred(was, row));
        }
        Some(freed)
    }
}

/// Whether the counts are at most `most` and every row holds, in integers.
pub(super) fn is_feasible(problem: &Problem, bounds: &[u128], most: &[u64], counts: &[u64]) -> bool {
    let mut taken = vec![0_u128; bounds.len()];
    for ((class, &count), &most) in problem.classes.iter().zip(counts).zip(most) {
        if count > most {
            return false;
        }
        for &(row, units) in &class.takes {
            taken[row] = taken[row].saturating_add(u128::from(units).saturating_mul(u128::from(count)));
        }
    }
    taken.iter().zip(bounds).all(|(taken, bound)| taken <= bound)
}

/// `floor(bound / units)`, with `units` taken as at least 1. Nearly every bound is small, and dividing small numbers is
/// quick.
pub(super) fn fitting(bound: u128, units: u64) -> u64 {
    match u64::try_from(bound) {
        Ok(bound) => bound / units.max(1),
        // The result has more than 64 bits, and so it is for rows that are lifted.
        Err(_) if bound >> u64::BITS >= u128::from(units.max(1)) => u64::MAX,
        Err(_) => u64::try_from(bound / u128::from(units.max(1))).unwrap_or(u64::MAX),
    }
}

/// Limits each class to what each of its rows alone allows.
pub(super) fn clipped(problem: &Problem, bounds: &[u128], most: &[u64]) -> Vec<u64> {
    let clip = |(class, &most): (&Class, &u64)| {
        let rows = class.takes.iter().filter(|(_, units)| *units > 0);
        let least = rows.map(|&(row, units)| fitting(bounds[row], units)).min();
        least.map_or(most, |least| most.min(least))
    };
    problem.classes.iter().zip(most).map(clip).collect()
}

/// Rows that alone keep a class from giving all its hosts.
pub(super) fn clipping(problem: &Problem, bounds: &[u128], most: &[u64], clipped: &[u64]) -> BTreeSet<usize> {
    let mut rows = BTreeSet::new();
    for (index, class) in problem.classes.iter().enumerate().filter(|(c, _)| clipped[*c] < most[*c]) {
        let clips =
            class.takes.iter().filter(|&&(row, units)| units > 0 && fitting(bounds[row], units) <= clipped[index]);
        rows.extend(clips.map(|&(row, _)| row));
    }
    rows
}
