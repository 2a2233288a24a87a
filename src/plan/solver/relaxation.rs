//! The linear relaxation: what can go in fractions of hosts, which bounds what can go in whole hosts.
//!
//! It is solved in floating point: that of a small problem on a [`Tableau`], whose prices bound it in integers, and others by
//! `microlp`. Floats cannot make an answer wrong: for `microlp`, rows are scaled to coefficients of at most 1 and widened by
//! [`SLACK`], far beyond its tolerance, and bounds are raised by [`SLACK`] again before they are rounded down. So a bound can
//! only be too generous, which costs time. Nothing here accepts a choice.

use microlp::{ComparisonOp, Error, OptimizationDirection, Variable};

use super::basis::{Range, Row, SLACK};
use super::columns::{Column, Columns, Exactly};
use super::prices::Prices;
use super::problem::Problem;
use super::small::is_small;
use super::tableau::{PIVOTS, Tableau};

/// The most that is added to a value to tell columns apart: for thousands of hosts it adds up to a small part of one.
const TILT: f64 = 1e-5;

/// The maximum number of hosts that can go, in fractions.
pub(super) struct Relaxation {
    pub(super) columns: Columns,
    /// No choice has more hosts.
    pub(super) bound: i128,
    /// Hosts by column.
    pub(super) at: Vec<f64>,
}

impl Relaxation {
    /// `None` if the solver failed.
    pub(super) fn of(problem: &Problem, bounds: &[u128], most: &[u64]) -> Option<Self> {
        let columns = Columns::of(problem, bounds, most, &vec![1; most.len()], &[]);
        let (rows, range) = (rows(&columns, &[]), Range::of(&columns));
        if is_small(&columns, &rows) {
            let mut tableau = Tableau::new(&columns, &rows, &range);
            // Wherever it stops, its prices bound every choice.
            tableau.solve(f64::NEG_INFINITY, PIVOTS);
            let bound = Prices::rounded(&tableau.prices(), &rows).bound(&columns, &rows, &range)?;
            return Some(Self { bound, at: tableau.at(), columns });
        }
        match relax(&columns, &rows, &range, 0) {
            Relaxed::Bounded(bound, at) => Some(Self { columns, bound, at }),
            Relaxed::Empty | Relaxed::Unknown => None,
        }
    }
}

/// The result of a relaxation for a part of the choices.
pub(super) enum Relaxed {
    Empty,
    /// Nothing in it is worth more than the bound; the optimum is at these fractions.
    Bounded(i128, Vec<f64>),
    /// The solver failed.
    Unknown,
}

/// The rows of a relaxation: the rows that can bind, and the exact numbers.
pub(super) fn rows(columns: &Columns, exactly: &[Exactly]) -> Vec<Row> {
    let binding = columns.by_row().into_iter().zip(&columns.bounds).map(|(takes, &bound)| {
        // A larger bound than the row has still makes a relaxation.
        Row { takes, bound: i128::try_from(bound).unwrap_or(i128::MAX), exact: false }
    });
    let exact = exactly.iter().enumerate().map(|(place, exactly)| {
        let named = columns.all.iter().enumerate().filter(|(_, column)| column.exactly[place]);
        let takes = named.map(|(column, _)| (column, 1)).collect();
        Row { takes, bound: i128::from(exactly.hosts), exact: true }
    });
    binding.chain(exact).collect()
}

/// The best choice in fractions within the range and the rows.
pub(super) fn relax(columns: &Columns, rows: &[Row], range: &Range, visited: usize) -> Relaxed {
    // Every other time, ties are broken in a way of its own; otherwise all relaxations could end in the same poor
    // corner. Nothing is subtracted from a value, so the bound also holds for the unchanged values.
    let most = if visited.is_multiple_of(2) { 0.0 } else { TILT };
    let tilt = |column: usize| most * ((column + 1) as f64 * (visited + 1) as f64 * 0.618_033_988_75).fract();
    let mut program = microlp::Problem::new(OptimizationDirection::Maximize);
    let mut add = |(place, column): (usize, &Column)| {
        program.add_var(column.value as f64 + tilt(place), (range.low[place] as f64, range.high[place] as f64))
    };
    let x: Vec<Variable> = columns.all.iter().enumerate().map(&mut add).collect();
    for row in rows {
        let scale = row.scale();
        let sum: Vec<_> = row.takes.iter().map(|&(column, units)| (x[column], units as f64 / scale)).collect();
        let operator = if row.exact { ComparisonOp::Eq } else { ComparisonOp::Le };
        program.add_constraint(sum, operator, row.widened() / scale);
    }
    match program.solve().map(microlp::SolveOutcome::into_solution) {
        Ok(Ok(solution)) => {
            let worth = solution.objective();
            let bound = (worth + SLACK * worth.abs().max(100.0)).floor();
            if !bound.is_finite() {
                return Relaxed::Unknown;
            }
            Relaxed::Bounded(bound as i128, x.iter().map(|&x| solution.var_value(x)).collect())
        }
        Err(Error::Infeasible) => Relaxed::Empty,
        Ok(Err(_)) | Err(_) => Relaxed::Unknown,
    }
}
