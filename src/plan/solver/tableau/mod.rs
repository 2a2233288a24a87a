//! [`Tableau`]: the linear relaxation of a small problem, solved again and again as ranges of columns change.
//!
//! It is the dual simplex method with bounded variables and a bound-flipping ratio test (Koberstein, "The dual simplex
//! method, techniques for a fast and stable implementation", 2005, chapters 3 and 6), on a dense tableau. Every variable
//! has a finite range, so every basis is dual feasible once each variable outside it stands at its better end: a change
//! of ranges never needs a first phase, and a search may go from any part of the choices to any other.
//!
//! All of it is floating point and proposes only: [`super::prices`] turns what it finds into bounds in integers.

mod model;
mod rows;
mod simplex;

use model::Model;

use super::basis::{Range, Row, float};
use super::columns::Columns;

/// A relaxation that needs more pivots than this is left as it is: its prices are good all the same.
pub(super) const PIVOTS: usize = 10_000;

/// A column is between its ends if it is further than this from both.
const BETWEEN: f64 = 1e-7;

/// How a solution of a relaxation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the optimum.
    Optimal,
    /// As soon as the optimum was known to be below the given worth.
    Below,
    /// Because this row cannot be kept, whatever the others allow; the multipliers are [`Tableau::multipliers`].
    Empty(usize),
    /// After the given number of pivots.
    Pivots,
}

/// The relaxation, and the basis that was reached last.
#[derive(Clone, Debug)]
pub(super) struct Tableau {
    model: Model,
    /// Row by row: what a basic variable loses by one more of a variable outside the basis.
    cells: Vec<f64>,
    /// By place outside the basis: what one more is worth.
    reduced: Vec<f64>,
    /// By row, the basic variable: columns first, then the slack of each row.
    basic: Vec<usize>,
    /// By place, the variable outside the basis.
    outside: Vec<usize>,
    /// By place, at which end of its range that variable is: 1 at the upper one, -1 at the lower one, and 0 if there is no
    /// choice.
    sides: Vec<f64>,
    /// By row, what its basic variable is.
    values: Vec<f64>,
    /// By row, what the distance of its basic variable from its range is divided by when the worst row is looked for.
    weights: Vec<f64>,
    /// By variable.
    low: Vec<f64>,
    high: Vec<f64>,
    worth: f64,
    /// Pivots since rounding errors were cleared away.
    pivots: usize,
    /// Cells computed so far: what the work of a search is counted in.
    pub(super) work: u64,
}

impl Tableau {
    /// For choices within `range`.
    pub(super) fn new(columns: &Columns, rows: &[Row], range: &Range) -> Self {
        let mut model = Model::new(columns, range);
        let ends = |ends: &[u64]| -> Vec<f64> { model.columns.iter().map(|&column| ends[column] as f64).collect() };
        let (mut low, mut high) = (ends(&range.low), ends(&range.high));
        let count = high.len();
        for row in rows {
            let slack = model.add(row);
            high.push(slack);
        }
        low.resize(high.len(), 0.0);
        let mut tableau = Self {
            cells: Vec::new(),
            reduced: Vec::new(),
            basic: (count..high.len()).collect(),
            outside: (0..count).collect(),
            sides: vec![0.0; count],
            values: vec![0.0; rows.len()],
            weights: vec![1.0; rows.len()],
            low,
            high,
            worth: 0.0,
            pivots: 0,
            work: 0,
            model,
        };
        tableau.refresh();
        tableau
    }

    /// The number of cells: what one pivot costs.
    pub(super) fn size(columns: usize, rows: usize) -> u64 {
        (columns as u64 + 1).saturating_mul(rows as u64 + 1)
    }

    /// The worth of the present basis: no choice is worth more, up to rounding.
    pub(super) fn worth(&self) -> f64 {
        self.worth + self.model.fixed
    }

    /// Changes the range of a column.
    pub(super) fn set(&mut self, column: usize, low: u64, high: u64) {
        let Ok(column) = self.model.variables[column] else { return };
        let (low, high) = (low as f64, high as f64);
        if self.low[column].total_cmp(&low).is_eq() && self.high[column].total_cmp(&high).is_eq() {
            return;
        }
        let Some(place) = self.outside.iter().position(|&variable| variable == column) else {
            (self.low[column], self.high[column]) = (low, high);
            return;
        };
        let before = self.end(place);
        (self.low[column], self.high[column]) = (low, high);
        self.stand(place, self.reduced[place] > 0.0);
        self.shift(place, self.end(place) - before);
    }

    /// Changes the ranges of all columns.
    pub(super) fn set_all(&mut self, range: &Range) {
        for (column, (&low, &high)) in range.low.iter().zip(&range.high).enumerate() {
            self.set(column, low, high);
        }
    }

    /// The optimum in fractions, by column.
    pub(super) fn at(&self) -> Vec<f64> {
        let mut at: Vec<f64> =
            self.model.variables.iter().map(|of| of.map_or_else(|hosts| hosts as f64, |_| 0.0)).collect();
        let outside = self.outside.iter().enumerate().map(|(place, &variable)| (variable, self.end(place)));
        for (variable, value) in outside.chain(self.basic.iter().copied().zip(self.values.iter().copied())) {
            if let Some(&column) = self.model.columns.get(variable) {
                at[column] = value;
            }
        }
        at
    }

    /// The price of one unit of each row that has one, as it was given.
    pub(super) fn prices(&self) -> Vec<(usize, f64)> {
        self.slacks().map(|(place, row)| (row, -self.reduced[place] / self.model.scales[row])).collect()
    }

    /// The rows without room to spare, the columns between their ends, and for each of these the multiples of the rows
    /// that isolate it.
    pub(super) fn isolated(&self, range: &Range) -> (Vec<usize>, Vec<usize>, Vec<Vec<f64>>) {
        let count = self.outside.len();
        let slacks: Vec<(usize, usize)> = self.slacks().collect();
        let is_between = |&(row, &variable): &(usize, &usize)| {
            let (value, column) = (self.values[row], self.model.columns.get(variable));
            column.is_some_and(|&column| {
                value > range.low[column] as f64 + BETWEEN && value < range.high[column] as f64 - BETWEEN
            })
        };
        let mut between: Vec<(usize, usize)> =
            self.basic.iter().enumerate().filter(is_between).map(|(row, &variable)| (variable, row)).collect();
        between.sort_unstable();
        let multiples = |&(_, row): &(usize, usize)| {
            slacks.iter().map(|&(place, of)| self.cells[row * count + place] / self.model.scales[of]).collect()
        };
        let all = between.iter().map(multiples).collect();
        let between = between.into_iter().map(|(variable, _)| self.model.columns[variable]).collect();
        (slacks.iter().map(|&(_, row)| row).collect(), between, all)
    }

    /// By row, whether it has no room to spare.
    fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.values.len()];
        self.slacks().for_each(|(_, row)| needed[row] = true);
        needed
    }

    /// What one more of each column would be worth beyond what it takes, at these prices; 0 for the columns between
    /// their ends.
    pub(super) fn gains(&self) -> Vec<f64> {
        let mut gains = vec![0.0; self.model.variables.len()];
        for (&variable, &reduced) in self.outside.iter().zip(&self.reduced) {
            if let Some(&column) = self.model.columns.get(variable) {
                gains[column] = reduced;
            }
        }
        gains
    }

    /// The multiples of rows whose sum cannot be kept, for a row that [`End::Empty`] names.
    pub(super) fn multipliers(&self, row: usize) -> Vec<(usize, f64)> {
        let count = self.outside.len();
        let sign = if self.values[row] < self.low[self.basic[row]] { 1.0 } else { -1.0 };
        let own = self.basic[row].checked_sub(self.model.value.len()).map(|row| (row, sign / self.model.scales[row]));
        let others =
            self.slacks().map(|(place, of)| (of, sign * self.cells[row * count + place] / self.model.scales[of]));
        own.into_iter().chain(others).collect()
    }

    /// Places of slacks outside the basis, and their rows.
    fn slacks(&self) -> impl Iterator<Item = (usize, usize)> {
        let columns = self.model.value.len();
        self.outside
            .iter()
            .enumerate()
            .filter_map(move |(place, variable)| Some((place, variable.checked_sub(columns)?)))
    }

    /// What a variable outside the basis is.
    fn end(&self, place: usize) -> f64 {
        let variable = self.outside[place];
        if self.sides[place] > 0.0 { self.high[variable] } else { self.low[variable] }
    }

    /// Says at which end of its range a variable outside the basis is.
    fn stand(&mut self, place: usize, is_high: bool) {
        let variable = self.outside[place];
        let side = if is_high { 1.0 } else { -1.0 };
        self.sides[place] = if self.low[variable] < self.high[variable] { side } else { 0.0 };
    }

    /// Moves a variable outside the basis.
    fn shift(&mut self, place: usize, by: f64) {
        if by == 0.0 {
            return;
        }
        let count = self.outside.len();
        for (value, row) in self.values.iter_mut().zip(self.cells.chunks_exact(count)) {
            *value -= row[place] * by;
        }
        self.worth += self.reduced[place] * by;
        self.work += self.values.len() as u64;
    }
}
