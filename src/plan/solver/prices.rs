//! [`Prices`]: what a relaxation proves, in integers.
//!
//! Any prices of the rows bound what a choice can be worth (weak duality): what the rows have, at these prices, and for
//! each host what it is worth beyond the price of what it takes. A relaxation only proposes prices. They are rounded to
//! whole parts of [`UNIT`], and everything that follows from them is computed in integers that cannot overflow unseen:
//! poor prices prove less, and never something wrong.

use super::basis::{Range, Row};
use super::columns::Columns;

/// The worth of one host, in parts. Prices of weights to a million are exact enough to tell one host of thousands.
pub(crate) const UNIT: i128 = 1 << 40;

/// Prices of rows, in parts of [`UNIT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prices(Vec<(usize, i128)>);

/// What is left of a range once it is priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Priced {
    /// No choice in it is worth what is wanted.
    Closed,
    /// Whether anything was taken from the range that cannot be worth what is wanted.
    Open { narrowed: bool },
}

impl Prices {
    /// Rounded so that they can be used: only an exact row may have a price below 0.
    pub(super) fn rounded(prices: &[(usize, f64)], rows: &[Row]) -> Self {
        let whole = |&(row, price): &(usize, f64)| {
            // `as` saturates and maps NaN to 0. Prices that do not fit 64 bits are no prices.
            let price = (price * UNIT as f64).round() as i64;
            let price = if price.unsigned_abs() >= i64::MAX as u64 { 0 } else { price.into() };
            (row, if rows[row].exact { price } else { price.max(0) })
        };
        Self(prices.iter().map(whole).filter(|(_, price)| *price != 0).collect())
    }

    /// The same, by number of row.
    pub(super) fn numbered(&self, numbers: &[usize]) -> Vec<(usize, i128)> {
        self.0.iter().map(|&(row, price)| (numbers[row], price)).collect()
    }

    /// Takes from the range what cannot be worth `wanted`. Leaves it as it is if a number becomes too large.
    pub(super) fn narrow(&self, columns: &Columns, rows: &[Row], range: &mut Range, wanted: i128) -> Priced {
        self.priced(columns, rows, range, wanted, UNIT).unwrap_or(Priced::Open { narrowed: false })
    }

    /// Whether these multiples of rows show that no choice in the range keeps them all.
    pub(super) fn exclude(&self, columns: &Columns, rows: &[Row], range: &Range) -> bool {
        // Nothing is worth anything, and still they leave less than nothing.
        matches!(self.priced(columns, rows, &mut range.clone(), 0, 0), Some(Priced::Closed))
    }

    /// No choice in the range is worth more; `None` if a number becomes too large.
    pub(super) fn bound(&self, columns: &Columns, rows: &[Row], range: &Range) -> Option<i128> {
        Some(self.worth(columns, rows, range, UNIT)?.0.div_euclid(UNIT))
    }

    /// What a choice in the range can be worth at most, in parts of which a host's value is worth `unit`, and what each
    /// column is worth beyond the price of what it takes.
    fn worth(&self, columns: &Columns, rows: &[Row], range: &Range, unit: i128) -> Option<(i128, Vec<i128>)> {
        let mut gains: Vec<i128> = Vec::with_capacity(columns.all.len());
        for column in &columns.all {
            gains.push(i128::from(column.value).checked_mul(unit)?);
        }
        let mut worth = 0_i128;
        for &(row, price) in &self.0 {
            worth = worth.checked_add(price.checked_mul(rows[row].bound)?)?;
            for &(column, units) in &rows[row].takes {
                gains[column] = gains[column].checked_sub(price.checked_mul(units)?)?;
            }
        }
        for (column, gain) in gains.iter().enumerate() {
            let best = if *gain > 0 { range.high[column] } else { range.low[column] };
            worth = worth.checked_add(gain.checked_mul(best.into())?)?;
        }
        Some((worth, gains))
    }

    fn priced(&self, columns: &Columns, rows: &[Row], range: &mut Range, wanted: i128, unit: i128) -> Option<Priced> {
        let (worth, gains) = self.worth(columns, rows, range, unit)?;
        let spare = worth.checked_sub(wanted.checked_mul(unit)?)?;
        if spare < 0 {
            return Some(Priced::Closed);
        }
        let mut narrowed = false;
        for (column, gain) in gains.iter().enumerate().filter(|(_, gain)| **gain != 0) {
            // Each host away from the better end costs its gain.
            let away = u64::try_from(spare / gain.checked_abs()?).unwrap_or(u64::MAX);
            let (low, high) = (range.low[column], range.high[column]);
            if high - low > away {
                narrowed = true;
                if *gain > 0 {
                    range.low[column] = high - away;
                } else {
                    range.high[column] = low + away;
                }
            }
        }
        Some(Priced::Open { narrowed })
    }
}

/// Takes from the range what no single row allows; false if a row does not even allow the least of it.
pub(super) fn propagate(rows: &[Row], range: &mut Range) -> bool {
    rows.iter().all(|row| propagate_row(row, range).unwrap_or(true))
}

fn propagate_row(row: &Row, range: &mut Range) -> Option<bool> {
    let mut least = 0_i128;
    for &(column, units) in &row.takes {
        let end = if units > 0 { range.low[column] } else { range.high[column] };
        least = least.checked_add(units.checked_mul(end.into())?)?;
    }
    let left = row.bound.checked_sub(least)?;
    if left < 0 {
        return Some(false);
    }
    for &(column, units) in &row.takes {
        let away = u64::try_from(left / units.checked_abs()?).unwrap_or(u64::MAX);
        if units > 0 {
            range.high[column] = range.high[column].min(range.low[column].saturating_add(away));
        } else {
            range.low[column] = range.low[column].max(range.high[column].saturating_sub(away));
        }
    }
    // Every unit of an exact row is 1.
    if row.exact {
        let mut most = 0_i128;
        for &(column, units) in &row.takes {
            most = most.checked_add(units.checked_mul(range.high[column].into())?)?;
        }
        let excess = most.checked_sub(row.bound)?;
        if excess < 0 {
            return Some(false);
        }
        for &(column, units) in &row.takes {
            let less = u64::try_from(excess / units).unwrap_or(u64::MAX);
            range.low[column] = range.low[column].max(range.high[column].saturating_sub(less));
        }
    }
    Some(true)
}
