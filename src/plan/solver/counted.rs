//! [`Counted`]: sums of rows, rounded, in whole numbers.
//!
//! Every cut that is made here follows from the rows, whatever multiples and divisor were proposed ([`super::rounded_sums`]).
//! Numbers are of 64 bits; what does not fit them is no cut.

use super::basis::{Range, Row};
use super::cut::{Cut, Made, Rounded};

/// Larger units of a cut are divided, which weakens it: in floating point, they are of little use.
const UNITS: i64 = 1 << 13;

/// Rows with every column counted from one end of its range: up from its least or down from its most, whichever the
/// relaxation is nearer to. So no count is negative.
pub(super) struct Counted {
    rows: Vec<Counts>,
    /// By column, the end, and whether it is counted down from there.
    ends: Vec<(u64, bool)>,
}

/// One of these rows.
struct Counts {
    /// By column, for each host from its end.
    takes: Vec<(usize, i64)>,
    /// The part of the bound that is left with all columns at their ends.
    spare: i64,
    exact: bool,
}

/// `sum(units * count) <= bound`, made from several rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RoundedSum {
    /// By column, ascending; never 0, never empty.
    pub(super) takes: Vec<(usize, i64)>,
    pub(super) bound: i64,
    /// The number that the rounded units were divided by.
    shrink: i64,
}

impl Counted {
    /// `None` if a number does not fit.
    pub(super) fn of(rows: &[&Row], range: &Range, at: &[f64]) -> Option<Self> {
        let end = |(column, at): (usize, &f64)| {
            let (low, high) = (range.low[column], range.high[column]);
            let down = at - low as f64 > high as f64 - at;
            (if down { high } else { low }, down)
        };
        let ends: Vec<(u64, bool)> = at.iter().enumerate().map(end).collect();
        let rows = rows.iter().map(|row| Counts::of(row, &ends)).collect::<Option<_>>()?;
        Some(Self { rows, ends })
    }

    /// The sum of the multiples of the rows, rounded over the divisor, which is at least 1: every whole choice within the
    /// rows and the range keeps it. `None` if there is nothing to round or a number is too large.
    pub(super) fn rounded(&self, times: &[i64], divisor: i64) -> Option<RoundedSum> {
        let used = || self.rows.iter().zip(times).filter(|(_, times)| **times != 0);
        let mut sum = vec![0_i64; self.ends.len()];
        let mut bound = 0_i64;
        for (row, &times) in used() {
            bound = bound.checked_add(times.checked_mul(row.spare)?)?;
            for &(column, units) in &row.takes {
                sum[column] = sum[column].checked_add(times.checked_mul(units)?)?;
            }
        }
        let left = bound.rem_euclid(divisor);
        if left == 0 {
            return None;
        }
        // `sum(a * y) = bound` in whole numbers y >= 0: the new coefficient for each `a` once the remainder is rounded
        // away.
        let round = |a: i64| {
            let whole = (divisor - left).checked_mul(a.div_euclid(divisor))?;
            whole.checked_add((a.rem_euclid(divisor) - left).max(0))
        };
        let mut least = (divisor - left).checked_mul(bound.div_euclid(divisor))?;
        let mut cut = sum;
        for units in cut.iter_mut().filter(|units| **units != 0) {
            *units = round(*units)?;
        }
        // The slack of a row is a whole number of its own, and 0 if the row is exact.
        for (row, &times) in used().filter(|(row, _)| !row.exact) {
            let units = round(times)?;
            least = least.checked_sub(units.checked_mul(row.spare)?)?;
            for &(column, takes) in &row.takes {
                cut[column] = cut[column].checked_sub(units.checked_mul(takes)?)?;
            }
        }
        self.shrunk(&cut, least)
    }

    /// The sum in counts from nothing. Counts from the ends are whole numbers, so each of their units may be rounded down,
    /// and then the bound.
    fn shrunk(&self, cut: &[i64], least: i64) -> Option<RoundedSum> {
        let common = cut.iter().fold(0, |common, units| gcd(common, units.unsigned_abs()));
        let common = i64::try_from(common).ok().filter(|common| *common > 0)?;
        let largest = i64::try_from(cut.iter().map(|units| units.unsigned_abs()).max()?).ok()?;
        let shrink = common.checked_mul(largest.div_euclid(common.checked_mul(UNITS)?) + 1)?;
        let mut bound = least.div_euclid(shrink);
        let mut takes = Vec::new();
        for (column, units) in cut.iter().enumerate().filter(|(_, units)| **units != 0) {
            let (from, down) = self.ends[column];
            let units = units.div_euclid(shrink);
            let units = if down { -units } else { units };
            bound = bound.checked_add(units.checked_mul(from.try_into().ok()?)?)?;
            if units != 0 {
                takes.push((column, units));
            }
        }
        (!takes.is_empty()).then_some(RoundedSum { takes, bound, shrink })
    }

    /// A sum as a row, with how it was made.
    pub(super) fn cut(&self, sum: RoundedSum, times: &[i64], divisor: i64) -> Cut {
        let used = || times.iter().copied().enumerate().filter(|(_, times)| *times != 0);
        let mut columns: Vec<usize> =
            used().flat_map(|(row, _)| self.rows[row].takes.iter().map(|(column, _)| *column)).collect();
        columns.sort_unstable();
        columns.dedup();
        let with_end = |column: usize| {
            let (from, down) = self.ends[column];
            (column, from, down)
        };
        let made = Rounded {
            rows: used().collect(),
            divisor,
            shrink: sum.shrink,
            ends: columns.into_iter().map(with_end).collect(),
        };
        let takes = sum.takes.into_iter().map(|(column, units)| (column, units.into())).collect();
        Cut { row: Row { takes, bound: sum.bound.into(), exact: false }, made: Made::Rounded(made) }
    }
}

impl Counts {
    fn of(row: &Row, ends: &[(u64, bool)]) -> Option<Self> {
        let mut spare = i64::try_from(row.bound).ok()?;
        let mut takes = Vec::with_capacity(row.takes.len());
        for &(column, units) in &row.takes {
            let (from, down) = ends[column];
            let units = i64::try_from(units).ok()?;
            spare = spare.checked_sub(units.checked_mul(from.try_into().ok()?)?)?;
            takes.push((column, if down { units.checked_neg()? } else { units }));
        }
        Some(Self { takes, spare, exact: row.exact })
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
