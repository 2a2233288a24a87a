//! Choices of whole hosts near an optimum in fractions. [`super::search`] judges whether a choice is good, is within
//! every row, and gives the exact numbers that are required.

use super::basis::Range;
use super::columns::{Column, Columns, ROUNDING};
use super::problem::fitting;

/// Each share rounded to the nearest whole number. This may exceed a row; the other choices here do not.
pub(super) fn nearest(at: &[f64], range: &Range) -> Vec<u64> {
    // `as` saturates and maps NaN to 0.
    let whole = |(column, x): (usize, &f64)| (x.round() as u64).clamp(range.low[column], range.high[column]);
    at.iter().enumerate().map(whole).collect()
}

/// Rounded down and filled up again. The most valuable columns come first; among equals, those that lost most by
/// rounding down.
pub(super) fn filled(columns: &Columns, at: &[f64], range: &Range) -> Vec<u64> {
    let Range { low, high } = range;
    let mut left = columns.bounds.clone();
    let columns = &columns.all;
    let mut counts = vec![0; at.len()];
    let mut add = |column: usize, most: u64| {
        let more = most.saturating_sub(counts[column]).min(fit(&columns[column], &left));
        take(&columns[column], more, &mut left);
        counts[column] += more;
    };
    let down = |column: usize| ((at[column] + ROUNDING).floor() as u64).clamp(low[column], high[column]);
    (0..at.len()).for_each(|column| add(column, low[column]));
    (0..at.len()).for_each(|column| add(column, down(column)));
    let lost = |column: usize| at[column] - down(column) as f64;
    let mut order: Vec<usize> = (0..at.len()).filter(|&column| columns[column].value > 0).collect();
    order.sort_by(|&a, &b| columns[b].value.cmp(&columns[a].value).then(lost(b).total_cmp(&lost(a))).then(a.cmp(&b)));
    order.into_iter().for_each(|column| add(column, high[column]));
    counts
}

/// Gives back one host of a column for others, wherever that makes room for more: every pass must make the choice worth
/// more, so that this ends.
pub(super) fn exchanged(columns: &Columns, mut counts: Vec<u64>) -> Vec<u64> {
    let all = &columns.all;
    let mut left = columns.bounds.clone();
    all.iter().zip(&counts).for_each(|(column, &count)| take(column, count, &mut left));
    loop {
        let before = columns.worth(&counts);
        for out in 0..counts.len() {
            if counts[out] == 0 {
                continue;
            }
            let (mut tried, mut room) = (counts.clone(), left.clone());
            tried[out] -= 1;
            all[out].takes.iter().for_each(|&(row, units)| room[row] += u128::from(units));
            // Whatever else fits, and last the column that gave a host back.
            let others = (0..tried.len()).map(|step| (out + 1 + step) % counts.len());
            for column in others.filter(|&column| all[column].value > 0) {
                let more = all[column].most.saturating_sub(tried[column]).min(fit(&all[column], &room));
                take(&all[column], more, &mut room);
                tried[column] += more;
            }
            if columns.worth(&tried) >= columns.worth(&counts) {
                (counts, left) = (tried, room);
            }
        }
        if columns.worth(&counts) <= before {
            return counts;
        }
    }
}

/// How many hosts of a column fit into what is left of each row.
fn fit(column: &Column, left: &[u128]) -> u64 {
    column.takes.iter().map(|&(row, units)| fitting(left[row], units)).min().unwrap_or(u64::MAX)
}

fn take(column: &Column, hosts: u64, left: &mut [u128]) {
    for &(row, units) in &column.takes {
        left[row] = left[row].saturating_sub(u128::from(units).saturating_mul(u128::from(hosts)));
    }
}
