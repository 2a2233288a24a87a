//! Rows that every choice of whole hosts keeps and the best choice in fractions breaks: [`super::search`] adds them to
//! its relaxation before it branches. Without them, a gap of one host can take more branches than anybody waits for.
//!
//! They are Gomory's mixed-integer cuts in the form of mixed-integer rounding (Nemhauser and Wolsey, "A recursive
//! procedure to generate all cuts for 0-1 mixed integer programs", 1990): multiples of rows are added up to one
//! equation in whole numbers, and the remainders of its coefficients over a common divisor are rounded. Floats only
//! propose the multiples and the divisor. Every cut is made in integers from rows that hold, and holds whatever was
//! proposed: a poor proposal makes a weak cut, never a wrong one. A cut that does not fit the integers is dropped.

use std::collections::BTreeSet;

use super::basis::{Basis, Range, Row};

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

/// Cuts that hold within `range` and that the fractions `at` break, and the work that it was to find them.
pub(super) fn cuts(basis: &Basis<'_>, range: &Range, at: &[f64]) -> (Vec<Row>, u64) {
    let mut broken: Vec<(f64, Row)> = Vec::new();
    let proposals = proposals(basis);
    let entries: usize = basis.tight.iter().map(|row| row.takes.len()).sum();
    let work = (proposals.len() * (entries + at.len())) as u64 * WORK;
    for (times, divisor) in proposals {
        let Some(row) = rounded(&basis.tight, &times, divisor, range, at) else { continue };
        let distance = (row.taken(at) - row.bound as f64) / length(&row);
        if distance > BROKEN {
            broken.push((distance, row));
        }
    }
    broken.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut chosen: Vec<Row> = Vec::new();
    for (_, cut) in broken {
        if chosen.len() < CUTS && chosen.iter().all(|known| alike(known, &cut, at.len()) < ALIKE) {
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
    // Whether a column is counted down, and the bound that it is counted from.
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
    // `sum(a * y) = bound` in whole numbers y >= 0: the new coefficient for each `a` once the remainder is rounded
    // away.
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
    // The slack of a row is a whole number of its own, and 0 if the row is exact.
    for (row, &times) in used().filter(|(row, _)| !row.exact) {
        let units = round(times)?;
        least = least.checked_sub(units.checked_mul(row.bound)?)?;
        for &(column, takes) in &row.takes {
            cut[column] = cut[column].checked_sub(units.checked_mul(takes)?)?;
        }
    }
    // Whole numbers of a column count from its end, so each of its units may be rounded down, and then the sum.
    let largest = cut.iter().map(|units| units.abs()).max()?;
    let common = largest.div_euclid(UNITS) + 1;
    if common > 1 && cut.iter().any(|units| units % common != 0) {
        let mut left = least;
        for (column, units) in cut.iter_mut().enumerate() {
            let (down, from) = counted(column);
            left = left.checked_sub(units.checked_mul(from)?)?;
            *units = if down { -(-*units).div_euclid(common) } else { units.div_euclid(common) };
        }
        least = left.div_euclid(common);
        for (column, units) in cut.iter().enumerate() {
            least = least.checked_add(units.checked_mul(counted(column).1)?)?;
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
