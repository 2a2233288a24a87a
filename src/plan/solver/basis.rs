//! The basis of a relaxation's optimum: the rows without room to spare, the columns that they hold between nothing and
//! all, and what follows for choices of whole hosts. Nothing here chooses, and nothing here solves.
//!
//! All of it is floating point. It proposes cuts ([`super::rounded_sums`]), which are made in integers, and it prices rows: any
//! prices bound what a choice can be worth (weak duality), and good prices bound it closely.

use super::columns::Columns;

/// A column is between nothing and all if it is further than this from both: the solver leaves the other columns there
/// to the last digit.
const INSIDE: f64 = 1e-7;

/// A row has no room to spare if at most this fraction of its largest coefficient is left.
const TIGHT: f64 = 1e-6;

/// A pivot closer to 0 than this is not used.
const PIVOT: f64 = 1e-7;

/// The fraction of a sum that rounding may have lost: thousands of terms, each accurate to 16 digits.
const LOST: f64 = 1e-11;

/// Widening of rows and bounds. `microlp` keeps constraints within about 1e-7 of their scale.
pub(super) const SLACK: f64 = 1e-6;

/// `sum(units * count) <= bound`, over columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// By column, ascending; never 0.
    pub(crate) takes: Vec<(usize, i128)>,
    pub(crate) bound: i128,
    /// Whether the sum must equal the bound, instead of being at most the bound.
    pub(super) exact: bool,
}

impl Row {
    /// The largest of the units, at least 1: rows are solved with coefficients of at most 1.
    pub(super) fn scale(&self) -> f64 {
        self.takes.iter().map(|(_, units)| units.unsigned_abs()).max().unwrap_or(1) as f64
    }

    /// The bound as it is given to a solver, before scaling.
    pub(super) fn widened(&self) -> f64 {
        let bound = self.bound as f64;
        if self.exact { bound } else { bound + SLACK * bound.abs().max(self.scale()) }
    }

    pub(super) fn taken(&self, at: &[f64]) -> f64 {
        self.takes.iter().map(|&(column, units)| float(units) * at[column]).sum()
    }
}

/// The nearest float. Nearly every number fits 64 bits, of which it is made many times faster.
pub(super) fn float(units: i128) -> f64 {
    i64::try_from(units).map_or(units as f64, |units| units as f64)
}

/// The choices between a lower and an upper bound of hosts for each column.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) low: Vec<u64>,
    pub(super) high: Vec<u64>,
}

impl Range {
    /// All choices.
    pub(super) fn of(columns: &Columns) -> Self {
        let high: Vec<u64> = columns.all.iter().map(|column| column.most).collect();
        Self { low: vec![0; high.len()], high }
    }

    pub(super) fn middle(&self) -> Vec<f64> {
        self.low.iter().zip(&self.high).map(|(&low, &high)| (low as f64 + high as f64) / 2.0).collect()
    }
}

/// An optimum in fractions.
pub(super) struct Basis<'a> {
    /// Rows without room to spare.
    pub(super) tight: Vec<&'a Row>,
    /// Columns that are neither at their lower nor at their upper bound.
    pub(super) inside: Vec<usize>,
    /// For each of these columns, the multiples of the tight rows whose sum contains the column once and the other
    /// columns not at all.
    pub(super) multiples: Vec<Vec<f64>>,
}

impl<'a> Basis<'a> {
    /// `None` if the rows do not determine the columns.
    pub(super) fn of(rows: &'a [Row], range: &Range, at: &[f64]) -> Option<Self> {
        let is_inside = |&c: &usize| at[c] > range.low[c] as f64 + INSIDE && at[c] < range.high[c] as f64 - INSIDE;
        let inside: Vec<usize> = (0..at.len()).filter(is_inside).collect();
        let is_tight = |row: &&Row| row.exact || row.taken(at) >= row.widened() - TIGHT * row.scale();
        let tight: Vec<&Row> = rows.iter().filter(is_tight).collect();
        let multiples = multiples(&tight, &inside)?;
        Some(Self { tight, inside, multiples })
    }

    /// Removes from the range what cannot be worth `wanted`; `None` if nothing in the range can be.
    pub(super) fn narrowed(&self, range: &Range, value: impl Fn(usize) -> i64, wanted: i128) -> Option<Range> {
        let mut reduced: Vec<f64> = (0..range.high.len()).map(|column| value(column) as f64).collect();
        // The absolute values of everything that was added to each of them, and to the bound: what rounding may have
        // lost is a fraction of this.
        let mut sizes: Vec<f64> = reduced.iter().map(|value| value.abs()).collect();
        let (mut bound, mut size) = (0.0, 0.0);
        for (place, row) in self.tight.iter().enumerate() {
            let isolated = self.inside.iter().zip(&self.multiples);
            let price: f64 = isolated.map(|(&column, multiples)| value(column) as f64 * multiples[place]).sum();
            // Any price is valid for an exact row; for the other rows, any price that is not negative.
            let price = if row.exact { price } else { price.max(0.0) };
            bound += price * row.bound as f64;
            size += (price * row.bound as f64).abs();
            for &(column, units) in &row.takes {
                reduced[column] -= price * units as f64;
                sizes[column] += (price * units as f64).abs();
            }
        }
        for (column, &reduced) in reduced.iter().enumerate() {
            bound += reduced * if reduced > 0.0 { range.high[column] as f64 } else { range.low[column] as f64 };
            size += sizes[column] * range.high[column] as f64;
        }
        let spare = bound + LOST * size + SLACK * bound.abs().max(100.0) - wanted as f64;
        if !spare.is_finite() {
            return Some(range.clone());
        }
        if spare < 0.0 {
            return None;
        }
        let mut narrowed = range.clone();
        for (column, &reduced) in reduced.iter().enumerate() {
            // Each host away from the better end costs this much; `as` saturates.
            let cost = reduced.abs() - LOST * sizes[column];
            let away = (spare / cost.max(SLACK)).floor() as u64;
            if reduced < 0.0 {
                narrowed.high[column] = range.high[column].min(range.low[column].saturating_add(away));
            } else {
                narrowed.low[column] = range.low[column].max(range.high[column].saturating_sub(away));
            }
        }
        Some(narrowed)
    }
}

/// Computes [`Basis::multiples`] by elimination.
fn multiples(tight: &[&Row], inside: &[usize]) -> Option<Vec<Vec<f64>>> {
    let (rows, columns) = (tight.len(), inside.len());
    // One equation per column: the coefficients by row, then a column of the unit matrix for each right-hand side.
    let mut equations = vec![vec![0.0; rows + columns]; columns];
    for (place, &column) in inside.iter().enumerate() {
        for (index, row) in tight.iter().enumerate() {
            if let Ok(found) = row.takes.binary_search_by_key(&column, |(column, _)| *column) {
                equations[place][index] = row.takes[found].1 as f64;
            }
        }
        equations[place][rows + place] = 1.0;
    }
    let mut pivots = Vec::new();
    for row in 0..rows {
        let done = pivots.len();
        let size = |equation: &usize| equations[*equation][row].abs();
        let Some(best) = (done..columns).max_by(|a, b| size(a).total_cmp(&size(b))) else { break };
        if equations[best][row].abs() < PIVOT {
            continue;
        }
        equations.swap(done, best);
        let pivot = equations[done][row];
        equations[done].iter_mut().for_each(|x| *x /= pivot);
        let eliminated = equations[done].clone();
        for (_, equation) in equations.iter_mut().enumerate().filter(|(other, _)| *other != done) {
            let factor = equation[row];
            if factor != 0.0 {
                equation.iter_mut().zip(&eliminated).for_each(|(x, y)| *x -= factor * y);
            }
        }
        pivots.push(row);
    }
    if pivots.len() < columns {
        return None;
    }
    let of = |place: usize| {
        let mut multiples = vec![0.0; rows];
        pivots.iter().zip(&equations).for_each(|(&row, equation)| multiples[row] = equation[rows + place]);
        multiples
    };
    Some((0..columns).map(of).collect())
}
