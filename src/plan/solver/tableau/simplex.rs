//! The dual simplex method on a [`Tableau`]: from one basis to the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{End, Tableau};

/// A pivot closer to 0 than this is not used.
const PIVOT: f64 = 1e-9;

/// A variable is outside its range if it is further outside than this.
const OUTSIDE: f64 = 1e-7;

/// The number of pivots after which rounding errors are cleared away.
const FRESH: usize = 300;

impl Tableau {
    /// Solves again, from the basis that was reached last.
    pub(in super::super) fn solve(&mut self, below: f64, pivots: usize) -> End {
        let mut passed = Vec::new();
        for _ in 0..pivots {
            if self.worth() < below {
                return End::Below;
            }
            if self.pivots >= FRESH {
                self.refresh();
            }
            let Some(row) = self.leaving() else { return End::Optimal };
            if !self.step(row, &mut passed) {
                return End::Empty(row);
            }
        }
        End::Pivots
    }

    /// The row whose basic variable is furthest outside its range, by the measure of the steepest edge (dual Devex).
    fn leaving(&self) -> Option<usize> {
        let outside = |row: usize| {
            let (variable, value) = (self.basic[row], self.values[row]);
            (self.low[variable] - value).max(value - self.high[variable])
        };
        let rows = (0..self.values.len()).map(|row| (row, outside(row))).filter(|(_, by)| *by > OUTSIDE);
        let measured = rows.map(|(row, by)| (row, by * by / self.weights[row]));
        measured.max_by(|(a, by), (b, other)| by.total_cmp(other).then(b.cmp(a))).map(|(row, _)| row)
    }

    /// Changes the weights of rows as this pivot does (Devex: Harris, "Pivot selection methods of the Devex LP code", 1973).
    fn weigh(&mut self, row: usize, place: usize) {
        let count = self.outside.len();
        let pivot = self.cells[row * count + place];
        let own = self.weights[row] / (pivot * pivot);
        for (other, weight) in self.weights.iter_mut().enumerate() {
            let cell = self.cells[other * count + place];
            *weight = weight.max(cell * cell * own);
        }
        self.weights[row] = own.max(1.0);
    }

    /// Brings a row's basic variable to the end of its range that it is beyond, in exchange for a variable outside the
    /// basis; false if nothing can.
    fn step(&mut self, row: usize, passed: &mut Vec<usize>) -> bool {
        let count = self.outside.len();
        let (variable, value) = (self.basic[row], self.values[row]);
        // A slack without a range: the columns that have no choice take more than there is.
        if self.low[variable] > self.high[variable] + OUTSIDE {
            return false;
        }
        let is_low = value < self.low[variable];
        let target = if is_low { self.low[variable] } else { self.high[variable] };
        let sign = if is_low { 1.0 } else { -1.0 };
        let own = &self.cells[row * count..(row + 1) * count];
        let helps = own.iter().zip(&self.sides).enumerate().filter(|(_, (cell, side))| **cell * **side * sign > PIVOT);
        // No ratio is negative, so their bits are in the same order.
        let ratio = |place: usize, cell: f64| (self.reduced[place].abs() / cell.abs()).to_bits();
        let mut candidates: BinaryHeap<_> =
            helps.map(|(place, (cell, _))| Reverse((ratio(place, *cell), place))).collect();
        // Whoever is passed goes to its other end, as long as that alone does not bring the variable back.
        let mut left = (target - value).abs();
        passed.clear();
        let entering = loop {
            let Some(Reverse((_, place))) = candidates.pop() else { return false };
            let other = self.outside[place];
            left -= own[place].abs() * (self.high[other] - self.low[other]);
            if left <= OUTSIDE {
                break place;
            }
            passed.push(place);
        };
        for &place in &*passed {
            let before = self.end(place);
            self.sides[place] = -self.sides[place];
            self.shift(place, self.end(place) - before);
        }
        let by = (self.values[row] - target) / self.cells[row * count + entering];
        let reached = self.end(entering) + by;
        self.shift(entering, by);
        self.weigh(row, entering);
        self.pivot(row, entering);
        self.values[row] = reached;
        self.stand(entering, !is_low);
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
    pub(super) fn refresh(&mut self) {
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
        self.weights.fill(1.0);
        for place in 0..columns {
            self.stand(place, self.reduced[place] > 0.0);
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
