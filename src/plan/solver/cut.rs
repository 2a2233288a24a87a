//! [`Cut`]: a row that every choice of whole hosts keeps, and the relaxation breaks; with what it was made from, so that
//! somebody else can make it again.

use super::basis::Row;

/// A row, and how it follows from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) row: Row,
    pub(super) made: Made,
}

/// How a cut follows from the rows before it, within the range in which it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// From one row alone, by its number: no choice that keeps that row breaks the cut ([`super::covers`]).
    Cover(usize),
    /// From several rows, rounded ([`super::rounded_sums`]).
    Rounded(Rounded),
}

/// Multiples of rows, added up and rounded over a divisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rounded {
    /// The numbers of the rows, and their multiples; never 0.
    pub(crate) rows: Vec<(usize, i64)>,
    /// At least 1.
    pub(crate) divisor: i64,
    /// The rounded units are divided by it, and rounded down again. At least 1.
    pub(crate) shrink: i64,
    /// The end from which each column of these rows is counted, and whether it is counted down from there.
    pub(crate) ends: Vec<(usize, u64, bool)>,
}

impl Made {
    /// The same with other numbers of rows.
    pub(super) fn numbered(self, number: impl Fn(usize) -> usize) -> Self {
        match self {
            Self::Cover(row) => Self::Cover(number(row)),
            Self::Rounded(rounded) => {
                let rows = rounded.rows.iter().map(|&(row, times)| (number(row), times)).collect();
                Self::Rounded(Rounded { rows, ..rounded })
            }
        }
    }
}
