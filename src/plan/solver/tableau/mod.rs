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

use model::Model;

use super::basis::{Range, Row};
use super::columns::Columns;

/// A pivot closer to 0 than this is not used.
const PIVOT: f64 = 1e-9;

/// A variable is outside its range if it is further outside than this.
const OUTSIDE: f64 = 1e-7;

/// A column is between its ends if it is further than this from both.
const BETWEEN: f64 = 1e-7;

/// The number of pivots after which rounding errors are cleared away.
const FRESH: usize = 300;

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
    /// By place, whether that variable is at its upper end.
    at_high: Vec<bool>,
    /// By row, what its basic variable is.
    values: Vec<f64>,
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
            at_high: vec![false; count],
            values: vec![0.0; rows.len()],
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
        self.at_high[place] = self.reduced[place] > 0.0;
        self.shift(place, self.end(place) - before);
    }

    /// Changes the ranges of all columns.
    pub(super) fn set_all(&mut self, range: &Range) {
        for (column, (&low, &high)) in range.low.iter().zip(&range.high).enumerate() {
            self.set(column, low, high);
        }
    }

    /// Solves again, from the basis that was reached last.
    pub(super) fn solve(&mut self, below: f64, pivots: usize) -> End {
        let mut candidates = Vec::new();
        for _ in 0..pivots {
            if self.worth() < below {
                return End::Below;
            }
            if self.pivots >= FRESH {
                self.refresh();
            }
            let Some(row) = self.leaving() else { return End::Optimal };
            if !self.step(row, &mut candidates) {
                return End::Empty(row);
            }
        }
        End::Pivots
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
        if self.at_high[place] { self.high[variable] } else { self.low[variable] }
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

    /// The row whose basic variable is furthest outside its range.
    fn leaving(&self) -> Option<usize> {
        let outside = |row: usize| {
            let (variable, value) = (self.basic[row], self.values[row]);
            (self.low[variable] - value).max(value - self.high[variable])
        };
        let rows = (0..self.values.len()).map(|row| (row, outside(row))).filter(|(_, by)| *by > OUTSIDE);
        rows.max_by(|(a, by), (b, other)| by.total_cmp(other).then(b.cmp(a))).map(|(row, _)| row)
    }

    /// Brings a row's basic variable to the end of its range that it is beyond, in exchange for a variable outside the
    /// basis; false if nothing can.
    fn step(&mut self, row: usize, candidates: &mut Vec<(f64, usize)>) -> bool {
        let count = self.outside.len();
        let (variable, value) = (self.basic[row], self.values[row]);
        let is_low = value < self.low[variable];
        let target = if is_low { self.low[variable] } else { self.high[variable] };
        candidates.clear();
        for (place, &cell) in self.cells[row * count..(row + 1) * count].iter().enumerate() {
            let other = self.outside[place];
            let helps = if is_low != self.at_high[place] { cell < -PIVOT } else { cell > PIVOT };
            if helps && self.low[other] < self.high[other] {
                candidates.push((self.reduced[place].abs() / cell.abs(), place));
            }
        }
        candidates.sort_unstable_by(|(a, place), (b, other)| a.total_cmp(b).then(place.cmp(other)));
        // Whoever is passed goes to its other end, as long as that alone does not bring the variable back.
        let mut left = (target - value).abs();
        let brings_back = |&(_, place): &(f64, usize)| {
            let other = self.outside[place];
            left -= self.cells[row * count + place].abs() * (self.high[other] - self.low[other]);
            left <= OUTSIDE
        };
        let Some(passed) = candidates.iter().position(brings_back) else { return false };
        let entering = candidates[passed].1;
        for &(_, place) in candidates.iter().take(passed) {
            let before = self.end(place);
            self.at_high[place] = !self.at_high[place];
            self.shift(place, self.end(place) - before);
        }
        let by = (self.values[row] - target) / self.cells[row * count + entering];
        let reached = self.end(entering) + by;
        self.shift(entering, by);
        self.pivot(row, entering);
        self.values[row] = reached;
        self.at_high[entering] = !is_low;
        true
    }

    /// Exchanges a basic variable for one outside the basis, in the cells only.
    fn pivot(&mut self, row: usize, place: usize) {
        let count = self.outside.len();
        let (before, rest) = self.cells.split_at_mut(row * count);
        let (own, after) = rest.split_at_mut(count);
        let inverse = 1.0 / own[place];
        own.iter_mut().for_each(|cell| *cell *= inverse);
        own[place] = inverse;
        let reduced = std::iter::once(self.reduced.as_mut_slice());
        for other in before.chunks_exact_mut(count).chain(after.chunks_exact_mut(count)).chain(reduced) {
            let factor = other[place];
            if factor != 0.0 {
                other.iter_mut().zip(own.iter()).for_each(|(cell, own)| *cell -= factor * own);
                other[place] = -factor * inverse;
            }
        }
        std::mem::swap(&mut self.basic[row], &mut self.outside[place]);
        self.pivots += 1;
        self.work += Self::size(count, self.values.len());
    }

    /// Computes everything anew for the present basis, which clears rounding errors away.
    fn refresh(&mut self) {
        let (columns, rows) = (self.model.value.len(), self.model.bounds.len());
        let entering: Vec<usize> = self.basic.iter().copied().filter(|&variable| variable < columns).collect();
        let mut leaving: Vec<usize> =
            self.outside.iter().filter_map(|variable| variable.checked_sub(columns)).collect();
        leaving.sort_unstable();
        self.outside = (0..columns).collect();
        self.basic = (columns..columns + rows).collect();
        self.reduced.clone_from(&self.model.value);
        self.cells.clear();
        self.cells.resize(rows * columns, 0.0);
        for (row, takes) in self.model.takes.iter().enumerate() {
            takes.iter().for_each(|&(column, units)| self.cells[row * columns + column] = units);
        }
        for variable in entering {
            // A column that has entered has left its place to a slack; the others are still at their own.
            let size = |row: &usize| self.cells[row * columns + variable].abs();
            let best =
                (0..leaving.len()).max_by(|&a, &b| size(&leaving[a]).total_cmp(&size(&leaving[b])).then(b.cmp(&a)));
            // A basis that has become singular is left in part: every basis will do.
            if let Some(best) = best.filter(|&best| size(&leaving[best]) > PIVOT) {
                let row = leaving.swap_remove(best);
                self.pivot(row, variable);
            }
        }
        self.pivots = 0;
        for place in 0..columns {
            self.at_high[place] = self.reduced[place] > 0.0;
        }
        self.evaluate();
    }

    /// Computes what the basic variables are, and the worth.
    fn evaluate(&mut self) {
        let columns = self.model.value.len();
        let ends: Vec<f64> = (0..columns).map(|place| self.end(place)).collect();
        let bounds: Vec<f64> =
            self.outside.iter().map(|v| v.checked_sub(columns).map_or(0.0, |row| self.model.bounds[row])).collect();
        // A slack outside the basis stands for the bound of its row.
        let missing = |cells: &[f64]| -> f64 {
            cells.iter().zip(bounds.iter().zip(&ends)).map(|(cell, (bound, end))| cell * (bound - end)).sum()
        };
        for row in 0..self.values.len() {
            let own = self.basic[row].checked_sub(columns).map_or(0.0, |row| self.model.bounds[row]);
            self.values[row] = own + missing(&self.cells[row * columns..(row + 1) * columns]);
        }
        self.worth = -missing(&self.reduced);
        self.work += Self::size(columns, self.values.len());
    }
}
