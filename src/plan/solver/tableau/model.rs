//! [`Model`]: the relaxation as it was given to a tableau, before any pivot.

use super::{Columns, Range, Row, float};

/// The relaxation as it was given, scaled by rows. Columns that have no choice are no variables of it.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// By column, its variable, or how many hosts there must be.
    pub(super) variables: Vec<Result<usize, u64>>,
    /// By variable, its column.
    pub(super) columns: Vec<usize>,
    /// By variable, the most that it can ever be.
    high: Vec<f64>,
    /// By row.
    pub(super) takes: Vec<Vec<(usize, f64)>>,
    pub(super) bounds: Vec<f64>,
    /// What a row was divided by.
    pub(super) scales: Vec<f64>,
    /// By variable.
    pub(super) value: Vec<f64>,
    /// What the columns without a choice are worth.
    pub(super) fixed: f64,
}

impl Model {
    /// Without rows yet.
    pub(super) fn new(columns: &Columns, range: &Range) -> Self {
        let mut model = Self {
            variables: Vec::new(),
            columns: Vec::new(),
            high: Vec::new(),
            takes: Vec::new(),
            bounds: Vec::new(),
            scales: Vec::new(),
            value: Vec::new(),
            fixed: 0.0,
        };
        for (place, column) in columns.all.iter().enumerate() {
            let (low, high) = (range.low[place], range.high[place]);
            if low == high {
                model.variables.push(Err(low));
                model.fixed += column.value as f64 * low as f64;
            } else {
                model.variables.push(Ok(model.columns.len()));
                model.columns.push(place);
                model.high.push(high as f64);
                model.value.push(column.value as f64);
            }
        }
        model
    }

    /// Adds a row; returns the most that its slack can be: all that it has, and can be given; 0 if it is exact.
    pub(super) fn add(&mut self, row: &Row) -> f64 {
        let scale = row.scale();
        let mut takes = Vec::with_capacity(row.takes.len());
        let mut bound = row.bound as f64;
        for &(column, units) in &row.takes {
            match self.variables[column] {
                Ok(variable) => takes.push((variable, float(units) / scale)),
                Err(hosts) => bound -= float(units) * hosts as f64,
            }
        }
        let bound = bound / scale;
        let given: f64 = takes.iter().map(|&(variable, units)| units.min(0.0) * self.high[variable]).sum();
        self.takes.push(takes);
        self.bounds.push(bound);
        self.scales.push(scale);
        if row.exact { 0.0 } else { bound - given }
    }
}
