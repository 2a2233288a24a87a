//! [`Tree`]: branch and bound on a [`Tableau`], for problems that are small enough for one.
//!
//! It splits the choices at a column that the relaxation leaves between whole numbers ([`branching`]), until every part is
//! excluded: by a single row ([`propagate`]), or by prices ([`Prices`]). Nothing is excluded by a float. A tree makes no
//! cuts, or cuts wherever it goes ([`cutting`]): where hosts weigh differently in many subsystems, many quick relaxations
//! often prove more than few sharp ones. [`super::small`] decides which.

mod branching;
mod costs;
mod cutting;

use costs::Costs;

use super::basis::{Range, Row};
use super::climb::climb;
use super::columns::{Column, Columns, Exactly};
use super::effort::Effort;
use super::prices::{Priced, Prices, propagate};
use super::rounding::{filled, nearest};
use super::tableau::{End, PIVOTS, Tableau};
use super::trace::Trace;

/// A bound is compared with what is wanted by this much less: whether it is low enough is decided in integers.
const BELOW: f64 = 1e-6;

/// A share counts as whole if it is this close.
const WHOLE: f64 = 1e-6;

/// The work of a visit besides its relaxation, for each column and each entry of a row.
const VISIT: u64 = 20;

/// Visits from one rounding to the next.
const ROUNDINGS: usize = 8;

/// Visits from one that goes on at the part with the highest bound to the next: the others go on where they are, at the
/// part that was split last.
const HIGHEST: usize = 8;

/// With more open parts than this, the one with the highest bound is not looked for.
const MANY: usize = 1_000;

/// A search for the choice of the highest worth.
pub(super) struct Tree<'a> {
    columns: &'a Columns,
    exactly: &'a [Exactly],
    /// Those of the problem, and then cuts.
    rows: Vec<Row>,
    /// The number of each row, in the order in which they were made; and how many were made.
    numbers: Vec<usize>,
    made: usize,
    tableau: Tableau,
    /// The worth of the choice that is found, or was known before.
    worth: i128,
    found: Option<Vec<u64>>,
    /// The search does not look for more than this.
    enough: i128,
    costs: Costs,
    visits: usize,
    /// The work of a visit besides its relaxation.
    size: u64,
    /// What is left of everything.
    whole: Range,
    /// Whether it makes cuts.
    cutting: bool,
    /// How many of the rows are no cuts.
    problem: usize,
    /// Parts that are not excluded yet; the last is visited first.
    open: Vec<Part>,
    /// The optimum of the first relaxation, if that was all the proof.
    pub(super) root: Option<Vec<f64>>,
    /// Every step, if somebody wants to see them.
    pub(super) trace: Option<Trace>,
}

/// A part of the choices.
struct Part {
    range: Range,
    /// No choice in it is worth more, in floats.
    bound: f64,
    /// Its number in the trace.
    number: usize,
}

impl<'a> Tree<'a> {
    /// For choices worth more than `worth`, and not more than `enough`.
    pub(super) fn new(
        columns: &'a Columns,
        exactly: &'a [Exactly],
        rows: Vec<Row>,
        (worth, enough): (i128, i128),
    ) -> Self {
        let entries: usize = rows.iter().map(|row| row.takes.len()).sum();
        let whole = Range::of(columns);
        Self {
            tableau: Tableau::new(columns, &rows, &whole),
            costs: Costs::new(columns.all.len()),
            columns,
            exactly,
            numbers: (0..rows.len()).collect(),
            made: rows.len(),
            problem: rows.len(),
            rows,
            worth,
            found: None,
            enough,
            visits: 0,
            size: VISIT * (columns.all.len() + entries) as u64,
            whole,
            cutting: false,
            open: Vec::new(),
            root: None,
            trace: None,
        }
    }

    /// Keeps every step.
    pub(super) fn traced(mut self) -> Self {
        self.trace = Some(Trace::new());
        self
    }

    /// Looks at everything as a whole; returns whether that was all there is to do.
    pub(super) fn begin(&mut self) -> bool {
        let mut whole = self.whole.clone();
        let Some(at) = self.settle(&mut whole) else {
            // The rows with prices have no room to spare there. They are all the proof only if no other row took anything
            // from the range before.
            let prices = Prices::rounded(&self.tableau.prices(), &self.rows);
            let all = &mut Range::of(self.columns);
            let priced = prices.narrow(self.columns, &self.rows, all, self.worth.saturating_add(1));
            self.root = (priced == Priced::Closed).then(|| self.tableau.at());
            return true;
        };
        self.whole = whole.clone();
        self.split(whole, &at);
        false
    }

    /// Visits parts until none is left, or enough is found; false if there is not enough effort for that.
    pub(super) fn go_on(&mut self, effort: &Effort) -> bool {
        while !self.has_enough() {
            let Some(Part { mut range, number, .. }) = self.open.pop() else { break };
            if let Some(trace) = &mut self.trace {
                trace.look_at(number);
            }
            if let Some(at) = self.settle(&mut range).and_then(|at| self.sharpened(&mut range, at)) {
                self.split(range, &at);
            } else if self.visits.is_multiple_of(HIGHEST) && self.open.len() < MANY {
                self.highest_first();
            }
            if !effort.spend(std::mem::take(&mut self.tableau.work)) {
                return self.has_ended();
            }
        }
        true
    }

    /// Goes on at the part with the highest bound.
    fn highest_first(&mut self) {
        let bound = |place: &usize| self.open[*place].bound;
        if let Some(best) = (0..self.open.len()).max_by(|a, b| bound(a).total_cmp(&bound(b)).then(a.cmp(b))) {
            let best = self.open.remove(best);
            self.open.push(best);
        }
    }

    /// The relaxation at its optimum, for a tree of which nothing but the whole was visited.
    pub(super) fn relaxation(&self) -> &Tableau {
        &self.tableau
    }

    /// Looks for choices of one host more, as long as the relaxation of the whole, and this effort, allow it.
    pub(super) fn climb(&mut self, rows: &[Row], relaxation: &Tableau, turn: u32, effort: &Effort) {
        if !self.exactly.is_empty() || self.columns.all.iter().any(|column| column.value != 1) {
            return;
        }
        while !self.has_enough()
            && let Ok(wanted) = u64::try_from(self.worth.saturating_add(1))
            && wanted as f64 <= relaxation.worth() + BELOW
        {
            let start = self.found.clone().unwrap_or_else(|| vec![0; self.columns.all.len()]);
            let ways = (wanted, turn.into());
            let Some(counts) = climb(self.columns, rows, relaxation, &self.whole, &start, ways, effort) else { break };
            self.consider(counts);
        }
    }

    /// Whether there is nothing left to do.
    pub(super) fn has_ended(&self) -> bool {
        self.open.is_empty() || self.has_enough()
    }

    /// Whether it has found as much as it looks for.
    pub(super) fn has_enough(&self) -> bool {
        self.worth >= self.enough
    }

    /// What is worth more than anything found elsewhere.
    pub(super) fn best(&self) -> (i128, Option<&Vec<u64>>) {
        (self.worth, self.found.as_ref())
    }

    /// Learns of a choice that was found elsewhere.
    pub(super) fn know(&mut self, counts: &[u64]) {
        self.consider(counts.to_vec());
    }

    /// Takes from the range what is excluded, until nothing more is, and looks for a choice near the optimum: the
    /// optimum in fractions, or `None` if nothing is left.
    fn settle(&mut self, range: &mut Range) -> Option<Vec<f64>> {
        self.visits += 1;
        self.tableau.work += self.size;
        loop {
            if !propagate(self.own(), range) || self.most(range) <= self.worth {
                return None;
            }
            self.tableau.set_all(range);
            let is_narrowed = self.bound(range)?;
            let at = self.tableau.at();
            let known = self.worth;
            self.consider(nearest(&at, range));
            if self.visits % ROUNDINGS == 1 {
                self.consider(filled(self.columns, &at, range));
            }
            if self.has_enough() || is_narrowed && !propagate(self.own(), range) {
                return None;
            }
            let is_inside = |column: usize| {
                at[column] > range.low[column] as f64 - WHOLE && at[column] < range.high[column] as f64 + WHOLE
            };
            if self.worth == known && (!is_narrowed || (0..at.len()).all(is_inside)) {
                return Some(at);
            }
        }
    }

    /// Solves the relaxation, and takes from the range what that excludes: whether it took anything, or `None` if
    /// nothing is left.
    fn bound(&mut self, range: &mut Range) -> Option<bool> {
        let wanted = self.worth.saturating_add(1);
        let mut narrowed = false;
        for below in [wanted as f64 - BELOW, f64::NEG_INFINITY] {
            let end = self.tableau.solve(below, PIVOTS);
            if let End::Empty(row) = end {
                let multiples = Prices::rounded(&self.tableau.multipliers(row), &self.rows);
                let is_empty = multiples.exclude(self.columns, &self.rows, range);
                if let Some(trace) = self.trace.as_mut().filter(|_| is_empty) {
                    trace.broken(&multiples, &self.numbers);
                }
                return (!is_empty).then_some(narrowed);
            }
            let prices = Prices::rounded(&self.tableau.prices(), &self.rows);
            let priced = prices.narrow(self.columns, &self.rows, range, wanted);
            if let Some(trace) = self.trace.as_mut().filter(|_| priced != Priced::Open { narrowed: false }) {
                trace.priced(&prices, &self.numbers);
            }
            match priced {
                Priced::Closed => return None,
                Priced::Open { narrowed: more } => narrowed |= more,
            }
            if end != End::Below {
                break;
            }
            // By floats it is excluded, by integers not quite: the optimum has the best prices.
            self.tableau.set_all(range);
        }
        Some(narrowed)
    }

    /// The rows of the problem. Cuts only lower bounds: what single rows exclude is left to the rows that everybody knows.
    fn own(&self) -> &[Row] {
        &self.rows[..self.problem]
    }

    /// What a choice in the range could be worth if there were no rows.
    fn most(&self, range: &Range) -> i128 {
        let best = |(place, column): (usize, &Column)| {
            let hosts = if column.value > 0 { range.high[place] } else { range.low[place] };
            i128::from(column.value) * i128::from(hosts)
        };
        self.columns.all.iter().enumerate().map(best).sum()
    }

    fn consider(&mut self, counts: Vec<u64>) {
        let worth = self.columns.worth(&counts);
        if worth > self.worth && self.columns.allow(&counts, self.exactly) {
            self.found = Some(counts);
            self.worth = worth;
        }
    }
}
