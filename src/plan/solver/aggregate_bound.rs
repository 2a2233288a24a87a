//! How many hosts can go, from the few rows that refuse many: the quick way to a maximum, if it works.
//!
//! A host serves other subsystems too, and nearly every row limits a handful of hosts. A bound from some of the rows is
//! still a bound. If a choice within all rows reaches it, nothing more is possible, and the many small rows never had
//! to be solved. What cannot be settled here is left to [`super::search`].

use std::collections::BTreeSet;

use super::columns::ROUNDING;
use super::problem::{Problem, fitting, is_feasible};
use super::relaxation::Relaxation;

/// A row is one of the few that refuse many if it refuses at least one part in this many of what the worst row refuses. More
/// rows make a larger relaxation and seldom a better bound.
const PART: u128 = 3;

/// A choice of the maximum number of hosts, by class, and rows that alone allow no more of `most`; `None` if this quick
/// test does not prove it. `most` is the number of hosts in each class, at most what its rows allow.
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
        // `as` saturates and maps NaN to 0.
        let mut wanted = (at + ROUNDING).floor() as u64;
        column.classes.iter().for_each(|&class| wanted -= add(class, wanted));
    }
    (0..most.len()).for_each(|class| _ = add(class, u64::MAX));
    let hosts: u64 = counts.iter().sum();
    // In integers, like everything that is accepted.
    let is_proved = i128::from(hosts) >= bound && is_feasible(problem, bounds, most, &counts);
    is_proved.then(|| (counts, columns.tight(&at)))
}

/// By row, the minimum number of hosts that it refuses out of all hosts.
fn refused(problem: &Problem, bounds: &[u128], most: &[u64]) -> Vec<u128> {
    let mut all = vec![(0_u128, 1_u64); bounds.len()];
    for (class, &most) in problem.classes.iter().zip(most) {
        for &(row, units) in &class.takes {
            let (wanted, largest) = &mut all[row];
            *wanted = wanted.saturating_add(u128::from(units).saturating_mul(u128::from(most)));
            *largest = units.max(*largest);
        }
    }
    // Nearly all of it is small, and dividing small numbers is quick.
    let refuse = |(&(wanted, largest), bound): (&(u128, u64), &u128)| {
        let refused = wanted.saturating_sub(*bound);
        u64::try_from(refused)
            .map_or_else(|_| refused.div_ceil(largest.into()), |refused| refused.div_ceil(largest).into())
    };
    all.iter().zip(bounds).map(refuse).collect()
}
