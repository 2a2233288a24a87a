//! How many hosts can go, from the few rows that refuse many: the quick way to a maximum, where it works.
//!
//! A host serves other subsystems too, and nearly every row is about a handful of hosts. A bound from some of the rows is
//! a bound still; where a choice that is within all of them reaches it, nothing more is possible, and the many small
//! rows never had to be solved for. What cannot be settled here is left to [`super::search`].

use std::collections::BTreeSet;

use super::columns::ROUNDING;
use super::problem::{Problem, fitting, is_feasible};
use super::relaxation::Relaxation;

/// A row counts as one of the few that refuse many where it refuses at least this part of what the worst one does.
const PART: u128 = 8;

/// A choice of as many hosts as can go, by class, and rows that by themselves let no more go of `most`; `None` where
/// the first look does not prove it. `most` is what each class has, at most what its rows let it give.
pub(super) fn aggregate_bound(problem: &Problem, bounds: &[u128], most: &[u64]) -> Option<(Vec<u64>, BTreeSet<usize>)> {
    let refused = refused(problem, bounds, most);
    let worst = refused.iter().copied().max()?;
    let is_heavy = |row: usize| refused[row].saturating_mul(PART) >= worst;
    if (0..bounds.len()).all(|row| refused[row] == 0 || is_heavy(row)) {
        return None;
    }
    let heavy: Vec<u128> =
        bounds.iter().enumerate().map(|(row, &bound)| if is_heavy(row) { bound } else { u128::MAX }).collect();
    let Relaxation { columns, bound, at } = Relaxation::of(problem, &heavy, most)?;
    let mut counts = vec![0; most.len()];
    let mut left = bounds.to_vec();
    let mut add = |class: usize, hosts: u64| {
        let takes = &problem.classes[class].takes;
        let fit = takes.iter().map(|&(row, units)| if units == 0 { u64::MAX } else { fitting(left[row], units) }).min();
        let more = (most[class] - counts[class]).min(hosts).min(fit.unwrap_or(u64::MAX));
        for &(row, units) in takes {
            left[row] -= u128::from(units) * u128::from(more);
        }
        counts[class] += more;
        more
    };
    for (column, &at) in columns.all.iter().zip(&at) {
        // `as` saturates and takes NaN for 0.
        let mut wanted = (at + ROUNDING).floor() as u64;
        column.classes.iter().for_each(|&class| wanted -= add(class, wanted));
    }
    (0..most.len()).for_each(|class| _ = add(class, u64::MAX));
    let hosts: u64 = counts.iter().sum();
    // In integers, as everything that is accepted.
    let is_proved = i128::from(hosts) >= bound && is_feasible(problem, bounds, most, &counts);
    is_proved.then(|| (counts, columns.tight(&at)))
}

/// By row, how many hosts at least it keeps back of all.
fn refused(problem: &Problem, bounds: &[u128], most: &[u64]) -> Vec<u128> {
    let mut all = vec![(0_u128, 1_u64); bounds.len()];
    for (class, &most) in problem.classes.iter().zip(most) {
        for &(row, units) in &class.takes {
            let (wanted, largest) = &mut all[row];
            *wanted = wanted.saturating_add(u128::from(units).saturating_mul(u128::from(most)));
            *largest = units.max(*largest);
        }
    }
    let refuse = |(&(wanted, largest), bound): (&(u128, u64), &u128)| {
        wanted.saturating_sub(*bound).div_ceil(u128::from(largest))
    };
    all.iter().zip(bounds).map(refuse).collect()
}
