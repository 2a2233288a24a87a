//! Rows that every choice of whole hosts keeps and the best choice in fractions breaks: what [`super::search`] adds
//! to its relaxation before it branches. Without them a gap of one host can take more branches than anybody waits for.
//!
//! They are Gomory's mixed-integer cuts in the form of mixed-integer rounding (Nemhauser and Wolsey, "A recursive
//! procedure to generate all cuts for 0-1 mixed integer programs", 1990): rows, each so many times, are added up to one
//! equation in whole numbers, and what its coefficients leave over a common divisor is rounded. Floats only propose
//! the multiples and the divisor. Every cut is made in integers from rows that hold, and holds whatever was
//! proposed: a poor proposal makes a weak cut, never a wrong one. What does not fit the integers is no cut.

use std::collections::BTreeSet;

use super::basis::{Basis, Range, Row};

/// The largest divisor that is looked for.
const DIVISOR: f64 = 1e6;

/// A multiple of a row is a whole number where it is this close to one.
const WHOLE: f64 = 1e-5;

/// A cut with larger coefficients says little in floating point.
const COEFFICIENT: f64 = 1e7;

/// How far a cut must be broken, as a distance in hosts, to be worth solving with.
const BROKEN: f64 = 1e-4;

/// Cuts from one relaxation, at most.
const CUTS: usize = 16;

/// Cuts that the fractions `at` break, all within `range`.
pub(super) fn cuts(basis: &Basis<'_>, range: &Range, at: &[f64]) -> Vec<Row> {
    let mut broken: Vec<(f64, Row)> = Vec::new();
    for (times, divisor) in proposals(basis) {
        let Some(cut) = rounded(&basis.tight, &times, divisor, range, at) else { continue };
        let length = cut.takes.iter().map(|&(_, units)| (units as f64).powi(2)).sum::<f64>().sqrt();
        let distance = (cut.taken(at) - cut.bound as f64) / length;
        if distance > BROKEN && cut.scale() < COEFFICIENT && broken.iter().all(|(_, known)| *known != cut) {
            broken.push((distance, cut));
        }
    }
    broken.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    broken.into_iter().take(CUTS).map(|(_, cut)| cut).collect()
}

/// How often to take each of the tight rows, and what to divide the sum by: what isolates a column, and every row alone
/// over what such a column takes from it.
fn proposals(basis: &Basis<'_>) -> Vec<(Vec<i128>, i128)> {
    let mut proposals: Vec<_> = basis.multiples.iter().filter_map(|multiples| whole(multiples)).collect();
    for (place, row) in basis.tight.iter().enumerate() {
        let inside = |column: &usize| basis.inside.binary_search(column).is_ok();
        let taken = row.takes.iter().filter(|(column, units)| units.abs() > 1 && inside(column));
        let divisors: BTreeSet<i128> = taken.map(|(_, units)| units.abs()).collect();
        proposals.extend(divisors.into_iter().map(|divisor| {
            let mut times = vec![0; basis.tight.len()];
            times[place] = 1;
            (times, divisor)
        }));
    }
    proposals
}

/// Whole multiples and what they have to be divided by.
fn whole(multiples: &[f64]) -> Option<(Vec<i128>, i128)> {
    let mut divisor = 1.0;
    for multiple in multiples {
        divisor *= denominator(multiple * divisor)?;
        if divisor > DIVISOR {
            return None;
        }
    }
    // `as` saturates; what is not finite was refused above.
    Some((multiples.iter().map(|multiple| (multiple * divisor).round() as i128).collect(), divisor as i128))
}

/// The least whole number that makes a whole number of `x`, by continued fractions.
fn denominator(x: f64) -> Option<f64> {
    let (mut before, mut now) = (0.0, 1.0);
    let mut rest = x.abs().fract();
    while now <= DIVISOR {
        if ((x * now) - (x * now).round()).abs() < WHOLE {
            return Some(now);
        }
        if rest == 0.0 {
            return None;
        }
        let turned = 1.0 / rest;
        rest = turned.fract();
        (before, now) = (now, turned.floor() * now + before);
    }
    None
}

/// The sum of rows, each so many times, rounded over the divisor: a row that every whole choice within the rows and the
/// range keeps. Columns are counted up from their least, or down from their most where `at` is nearer to it. `None`
/// where there is nothing to round or a number is too large.
pub(super) fn rounded(rows: &[&Row], times: &[i128], divisor: i128, range: &Range, at: &[f64]) -> Option<Row> {
    let used = || rows.iter().zip(times).filter(|(_, times)| **times != 0);
    let mut sum = vec![0_i128; at.len()];
    let mut bound = 0_i128;
    for (row, &times) in used() {
        bound = bound.checked_add(times.checked_mul(row.bound)?)?;
        for &(column, units) in &row.takes {
            sum[column] = sum[column].checked_add(times.checked_mul(units)?)?;
        }
    }
    // Whether a column is counted down, and from where it is counted.
    let counted = |column: usize| {
        let (low, high) = (range.low[column], range.high[column]);
        let down = at[column] - low as f64 > high as f64 - at[column];
        (down, i128::from(if down { high } else { low }))
    };
    for (column, &units) in sum.iter().enumerate().filter(|(_, units)| **units != 0) {
        bound = bound.checked_sub(units.checked_mul(counted(column).1)?)?;
    }
    let left = bound.rem_euclid(divisor);
    if left == 0 {
        return None;
    }
    // `sum(a * y) = bound` in whole numbers y >= 0: what each `a` is worth once the remainder is rounded away.
    let round = |a: i128| {
        let whole = (divisor - left).checked_mul(a.div_euclid(divisor))?;
        whole.checked_add((a.rem_euclid(divisor) - left).max(0))
    };
    let mut cut = vec![0_i128; sum.len()];
    let mut least = (divisor - left).checked_mul(bound.div_euclid(divisor))?;
    for (column, &units) in sum.iter().enumerate().filter(|(_, units)| **units != 0) {
        let (down, from) = counted(column);
        cut[column] = if down { round(-units)?.checked_neg()? } else { round(units)? };
        least = least.checked_add(cut[column].checked_mul(from)?)?;
    }
    // What a row has to spare is a whole number of its own, and 0 where it is exact.
    for (row, &times) in used().filter(|(row, _)| !row.exact) {
        let units = round(times)?;
        least = least.checked_sub(units.checked_mul(row.bound)?)?;
        for &(column, takes) in &row.takes {
            cut[column] = cut[column].checked_sub(units.checked_mul(takes)?)?;
        }
    }
    let common = cut.iter().fold(0, |common, &units| gcd(common, units.unsigned_abs()));
    let common = i128::try_from(common).ok().filter(|common| *common > 0)?;
    let takes = cut.iter().enumerate().filter(|(_, units)| **units != 0);
    Some(Row {
        takes: takes.map(|(column, units)| (column, units / common)).collect(),
        bound: least.div_euclid(common),
        exact: false,
    })
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
