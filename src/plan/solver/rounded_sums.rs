//! Cuts from sums of rows: [`super::search`] and [`super::tree`] add them to a relaxation before they branch. Without them, a gap of one host can take more branches than anybody waits for.
//!
//! They are Gomory's mixed-integer cuts in the form of mixed-integer rounding (Nemhauser and Wolsey, "A recursive
//! procedure to generate all cuts for 0-1 mixed integer programs", 1990): multiples of rows are added up to one
//! equation in whole numbers, and the remainders of its coefficients over a common divisor are rounded. Floats only
//! propose the multiples and the divisor. Every cut is made in integers from rows that hold, and holds whatever was
//! proposed: a poor proposal makes a weak cut, never a wrong one. A cut that does not fit the integers is dropped.

use std::collections::BTreeSet;

use super::basis::{Basis, Range, Row};
use super::cut::{Cut, Made, Rounded};

/// The largest divisor that is tried.
const DIVISOR: f64 = 1e6;

/// A multiple of a row counts as a whole number if it is this close to one.
const WHOLE: f64 = 1e-5;

/// Larger multiples of a row are not used: floats do not know them well enough.
const COEFFICIENT: f64 = 1e7;

/// The divisor where a simpler one is not known.
const FINE: i128 = 1 << 20;

/// What multiples are multiplied by before they are rounded.
const SCALES: [f64; 6] = [1.0, -1.0, 2.0, -2.0, 3.0, -3.0];

/// Larger units of a cut are divided, which weakens it: in floating point, they are of little use.
const UNITS: i128 = 1 << 13;

/// The work of one proposal, for each entry of a row and each column.
const WORK: u64 = 30;

/// Two cuts at a smaller angle than this do the same; its cosine.
const ALIKE: f64 = 0.9;

/// How far a cut must be broken, as a distance in hosts, to be worth adding.
const BROKEN: f64 = 1e-4;

/// Maximum number of cuts from one relaxation.
const CUTS: usize = 32;

/// Cuts that hold within `range` and that the fractions `at` break, made from the tight rows by their place; and the work
/// that it was to find them.
pub(super) fn rounded_sums(basis: &Basis<'_>, range: &Range, at: &[f64]) -> (Vec<Cut>, u64) {
    let mut broken: Vec<(f64, Cut)> = Vec::new();
    let proposals = proposals(basis);
    let entries: usize = basis.tight.iter().map(|row| row.takes.len()).sum();
    let work = (proposals.len() * (entries + at.len())) as u64 * WORK;
    for (times, divisor) in proposals {
        let Some(cut) = rounded(&basis.tight, &times, divisor, range, at) else { continue };
        let distance = (cut.row.taken(at) - cut.row.bound as f64) / length(&cut.row);
        if distance > BROKEN {
            broken.push((distance, cut));
        }
    }
    broken.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut chosen: Vec<Cut> = Vec::new();
    for (_, cut) in broken {
        if chosen.len() < CUTS && chosen.iter().all(|known| alike(&known.row, &cut.row, at.len()) < ALIKE) {
            chosen.push(cut);
        }
    }
    (chosen, work)
}

fn length(row: &Row) -> f64 {
    row.takes.iter().map(|&(_, units)| (units as f64).powi(2)).sum::<f64>().sqrt()
}

/// The cosine of the angle between two rows.
fn alike(one: &Row, other: &Row, columns: usize) -> f64 {
    let mut all = vec![0.0; columns];
    one.takes.iter().for_each(|&(column, units)| all[column] = units as f64);
    other.taken(&all) / (length(one) * length(other))
}

/// Proposes multiples of the tight rows, and a divisor of their sum: the multiples that isolate a column, and every
/// single row, divided by the units that such a column takes from it. Where the multiples are no simple fractions, they
/// are rounded: then it is worth trying others than the nearest.
fn proposals(basis: &Basis<'_>) -> Vec<(Vec<i128>, i128)> {
    let mut proposals = Vec::new();
    for multiples in &basis.multiples {
        if let Some(exact) = whole(multiples) {
            proposals.push(exact);
            continue;
        }
        for times in SCALES {
            let rounded = multiples.iter().map(|multiple| (multiple * times * FINE as f64).round());
            if rounded.clone().all(|times| times.abs() < COEFFICIENT) {
                // `as` saturates and maps NaN to 0.
                proposals.push((rounded.map(|times| times as i128).collect(), FINE));
            }
        }
    }
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

/// Whole multiples, and the divisor that they need.
fn whole(multiples: &[f64]) -> Option<(Vec<i128>, i128)> {
    let mut divisor = 1.0;
    for multiple in multiples {
        divisor *= denominator(multiple * divisor)?;
        if divisor > DIVISOR {
            return None;
        }
    }
    // `as` saturates; numbers that are not finite were refused above.
    Some((multiples.iter().map(|multiple| (multiple * divisor).round() as i128).collect(), divisor as i128))
}

/// The smallest whole number whose product with `x` is a whole number, by continued fractions.
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

/// The sum of the multiples of the rows, rounded over the divisor: a row that every whole choice within the rows and
/// the range keeps. Columns are counted up from their lower bound, or down from their upper bound if `at` is nearer to
/// it. `None` if there is nothing to round or a number is too large.
pub(super) fn rounded(rows: &[&Row], times: &[i128], divisor: i128, range: &Range, at: &[f64]) -> Option<Cut> {
    let used = || rows.iter().zip(times).filter(|(_, times)| **times != 0);
    let mut sum = vec![0_i128; at.len()];
    let mut bound = 0_i128;
    let mut is_in = vec![false; at.len()];
    for (row, &times) in used() {
        bound = bound.checked_add(times.checked_mul(row.bound)?)?;
        for &(column, units) in &row.takes {
            sum[column] = sum[column].checked_add(times.checked_mul(units)?)?;
            is_in[column] = true;
        }
    }
    let columns: Vec<usize> = (0..at.len()).filter(|&column| is_in[column]).collect();
    // The end that a column is counted from, and whether it is counted down.
    let end = |column: usize| {
        let (low, high) = (range.low[column], range.high[column]);
        let down = at[column] - low as f64 > high as f64 - at[column];
        (if down { high } else { low }, down)
    };
    for &column in &columns {
        bound = bound.checked_sub(sum[column].checked_mul(end(column).0.into())?)?;
    }
    let left = bound.rem_euclid(divisor);
    if left == 0 {
        return None;
    }
    // `sum(a * y) = bound` in whole numbers y >= 0: the new coefficient for each `a` once the remainder is rounded
    // away.
    let round = |a: i128| {
        let whole = (divisor - left).checked_mul(a.div_euclid(divisor))?;
        whole.checked_add((a.rem_euclid(divisor) - left).max(0))
    };
    let mut least = (divisor - left).checked_mul(bound.div_euclid(divisor))?;
    let mut cut = vec![0_i128; at.len()];
    for &column in &columns {
        cut[column] = round(if end(column).1 { -sum[column] } else { sum[column] })?;
    }
    // The slack of a row is a whole number of its own, and 0 if the row is exact.
    for (row, &times) in used().filter(|(row, _)| !row.exact) {
        let units = round(times)?;
        let mut spare = row.bound;
        for &(column, takes) in &row.takes {
            let (from, down) = end(column);
            spare = spare.checked_sub(takes.checked_mul(from.into())?)?;
            cut[column] = cut[column].checked_sub(units.checked_mul(if down { -takes } else { takes })?)?;
        }
        least = least.checked_sub(units.checked_mul(spare)?)?;
    }
    // Whole numbers of a column count from its end, so each of its units may be rounded down, and then the sum.
    let common = cut.iter().fold(0, |common, &units| gcd(common, units.unsigned_abs()));
    let common = i128::try_from(common).ok().filter(|common| *common > 0)?;
    let largest = cut.iter().map(|units| units.abs()).max()?;
    let shrink = common.checked_mul(largest.div_euclid(common.checked_mul(UNITS)?) + 1)?;
    let mut bound = least.div_euclid(shrink);
    let mut takes = Vec::new();
    for &column in &columns {
        let (from, down) = end(column);
        let units = cut[column].div_euclid(shrink);
        let units = if down { -units } else { units };
        bound = bound.checked_add(units.checked_mul(from.into())?)?;
        if units != 0 {
            takes.push((column, units));
        }
    }
    let with_end = |column: usize| {
        let (from, down) = end(column);
        (column, from, down)
    };
    let made = Made::Rounded(Rounded {
        rows: times.iter().copied().enumerate().filter(|(_, times)| *times != 0).collect(),
        divisor,
        shrink,
        ends: columns.into_iter().map(with_end).collect(),
    });
    (!takes.is_empty()).then_some(Cut { row: Row { takes, bound, exact: false }, made })
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
