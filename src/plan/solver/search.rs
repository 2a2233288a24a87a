//! The exact part of choosing: how many hosts may go at most, and the best total of a linear preference.
//!
//! [`best`] searches whole numbers by branch and cut, one for all classes that the rows in the way do not tell apart
//! ([`super::columns`]): a hundred classes are often six. Bounds come from the linear relaxation
//! (`microlp`, in floating point), sharpened by cuts ([`super::cuts`]) and by leaving out what cannot be worth more
//! than what is found ([`super::vertex`]); everything that is *accepted* is checked in integers. Why floats cannot
//! make an answer wrong: cuts are made in integers, rows are scaled to coefficients of at most 1 and widened by
//! [`SLACK`], far beyond the solver's own tolerance, and bounds are raised by [`SLACK`] again before they are rounded
//! down, so that a bound can only be too generous, which costs time. Where the solver fails, the bound is the trivial one.
//! The search ends after [`NODES`] relaxations: then the answer is still feasible, and [`Found::proved`] says
//! that it may not be the best.

use std::cell::Cell;
use std::collections::BTreeSet;

use microlp::{ComparisonOp, Error, OptimizationDirection, Variable};

use super::super::constraints::Problem;
use super::columns::{Column, Columns};
use super::cuts::cuts;
use super::near::{exchanged, filled, nearest};
use super::outline::outline;
use super::vertex::{Range, Row, SLACK, Vertex};

/// Relaxations solved before giving up on proof: a bound on work, not on time, so that the same input gives
/// the same plan on every machine.
const NODES: usize = 1_000;

/// A share this far below a whole number is that number.
pub(super) const ROUNDING: f64 = 1e-4;

/// The most that is added to a value to tell columns apart: thousands of hosts come to a small part of one.
const TILT: f64 = 1e-5;

/// Relaxations from one search for exchanges to the next, which costs as much as some of them.
const EXCHANGES: usize = 20;

/// Rounds of cuts before the first branch.
const CUTTING: usize = 12;

/// An answer of [`best`].
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Hosts per class.
    pub(crate) counts: Vec<u64>,
    /// No other choice has a higher value.
    pub(crate) proved: bool,
    /// Rows that by themselves let no choice have a higher one, where the first relaxation was all the proof; `None`
    /// where it took more, or where nothing was proved.
    pub(crate) tight: Option<Vec<usize>>,
}

/// Whether the counts are within what there is and every row holds, in integers.
pub(crate) fn is_feasible(problem: &Problem<'_>, bounds: &[u128], most: &[u64], counts: &[u64]) -> bool {
    let mut taken = vec![0_u128; bounds.len()];
    for ((class, &count), &most) in problem.classes.iter().zip(counts).zip(most) {
        if count > most {
            return false;
        }
        for &(row, units) in &class.takes {
            taken[row] = taken[row].saturating_add(u128::from(units).saturating_mul(u128::from(count)));
        }
    }
    taken.iter().zip(bounds).all(|(taken, bound)| taken <= bound)
}

/// Exactly so many hosts of these classes.
#[derive(Clone, Debug)]
pub(crate) struct Exactly {
    pub(crate) classes: Vec<usize>,
    pub(crate) hosts: u64,
}

impl Exactly {
    fn holds(&self, counts: &[u64]) -> bool {
        self.classes.iter().map(|&c| u128::from(counts[c])).sum::<u128>() == u128::from(self.hosts)
    }
}

/// The choice of the highest value, where a host of class `c` is worth `value[c]`, among those of which `exactly`
/// holds; `bounds` says what may be taken from each row. `start` is feasible and one of them.
pub(crate) fn best(
    problem: &Problem<'_>,
    bounds: &[u128],
    most: &[u64],
    value: &[i64],
    exactly: &[Exactly],
    start: Vec<u64>,
) -> Found {
    let clipped = clipped(problem, bounds, most);
    if exactly.is_empty()
        && value.iter().all(|&value| value == 1)
        && let Some((counts, mut rows)) = outline(problem, bounds, &clipped)
    {
        rows.extend(clipping(problem, bounds, most, &clipped));
        return Found { counts, proved: true, tight: Some(rows.into_iter().collect()) };
    }
    let columns = Columns::of(problem, bounds, &clipped, value, exactly);
    let reached = value.iter().zip(&start).map(|(&v, &n)| i128::from(v) * i128::from(n)).sum();
    let mut search = Search::new(&columns, exactly, reached, i128::MAX);
    let proved = search.run(&Cell::new(NODES));
    let tight = search.root.as_ref().filter(|_| proved).map(|at| {
        let mut rows = columns.tight(at);
        rows.extend(clipping(problem, bounds, most, &clipped));
        rows.into_iter().collect()
    });
    let Some(counts) = search.found.map(|counts| columns.expand(&counts)) else {
        return Found { counts: start, proved, tight };
    };
    // Once more against the problem itself: what is wrong with the columns must not become a choice.
    if exactly.iter().all(|e| e.holds(&counts)) && is_feasible(problem, bounds, &clipped, &counts) {
        Found { counts, proved, tight }
    } else {
        Found { counts: start, proved: false, tight: None }
    }
}

/// Whether so many hosts can go together.
#[derive(Clone, Debug)]
pub(crate) enum Reach<T> {
    /// These can.
    Found(T),
    /// No choice of so many is feasible.
    Impossible,
    /// The search gave up.
    Unknown,
}

/// Whether so many hosts can go together, and hosts per class that can: far less work than how many can. Unknown where
/// neither was shown before `nodes`, which counts down, came to nothing.
pub(crate) fn reaches(
    problem: &Problem<'_>,
    bounds: &[u128],
    most: &[u64],
    hosts: u64,
    nodes: &Cell<usize>,
) -> Reach<Vec<u64>> {
    let most = clipped(problem, bounds, most);
    let columns = Columns::of(problem, bounds, &most, &vec![1; most.len()], &[]);
    let enough = i128::from(hosts);
    // As if one host fewer were found already: whatever cannot reach the count is left out at once.
    let mut search = Search::new(&columns, &[], enough - 1, enough);
    let proved = search.run(nodes);
    match search.found.map(|counts| columns.expand(&counts)) {
        // Once more against the problem itself, as everything that is accepted.
        Some(counts) if is_feasible(problem, bounds, &most, &counts) => Reach::Found(counts),
        None if proved => Reach::Impossible,
        _ => Reach::Unknown,
    }
}

/// Rows without room to spare where the relaxation has its optimum, and those that by themselves keep a class from giving
/// all it has: the first suspects. Empty where the solver failed.
pub(crate) fn tight(problem: &Problem<'_>, bounds: &[u128], most: &[u64]) -> Vec<usize> {
    let clipped = clipped(problem, bounds, most);
    let Some(Relaxation { columns, at, .. }) = Relaxation::of(problem, bounds, &clipped) else { return Vec::new() };
    let mut rows = columns.tight(&at);
    rows.extend(clipping(problem, bounds, most, &clipped));
    rows.into_iter().collect()
}

/// As many hosts as can go, in fractions.
pub(super) struct Relaxation {
    pub(super) columns: Columns,
    /// No choice has more hosts.
    pub(super) bound: i128,
    /// Hosts by column.
    pub(super) at: Vec<f64>,
}

impl Relaxation {
    /// `None` where the solver failed.
    pub(super) fn of(problem: &Problem<'_>, bounds: &[u128], most: &[u64]) -> Option<Self> {
        let columns = Columns::of(problem, bounds, most, &vec![1; most.len()], &[]);
        let search = Search::new(&columns, &[], 0, i128::MAX);
        match search.relax(&Range::of(&columns), 0) {
            Relaxed::Bounded(bound, at) => Some(Self { columns, bound, at }),
            Relaxed::Empty | Relaxed::Unknown => None,
        }
    }
}

/// Rows that by themselves keep a class from giving all it has.
fn clipping(problem: &Problem<'_>, bounds: &[u128], most: &[u64], clipped: &[u64]) -> BTreeSet<usize> {
    let mut rows = BTreeSet::new();
    for (index, class) in problem.classes.iter().enumerate().filter(|(c, _)| clipped[*c] < most[*c]) {
        let clips =
            class.takes.iter().filter(|&&(row, units)| units > 0 && fitting(bounds[row], units) <= clipped[index]);
        rows.extend(clips.map(|&(row, _)| row));
    }
    rows
}

/// How many hosts of so many units a row lets go. Nearly every bound is small, and dividing small numbers is quick.
pub(super) fn fitting(bound: u128, units: u64) -> u64 {
    match u64::try_from(bound) {
        Ok(bound) => bound / units.max(1),
        Err(_) => u64::try_from(bound / u128::from(units.max(1))).unwrap_or(u64::MAX),
    }
}

/// No class can give more than any one of its rows lets it.
pub(crate) fn clipped(problem: &Problem<'_>, bounds: &[u128], most: &[u64]) -> Vec<u64> {
    let clip = |(class, &most): (&super::super::constraints::Class, &u64)| {
        let rows = class.takes.iter().filter(|(_, units)| *units > 0);
        let least = rows.map(|&(row, units)| fitting(bounds[row], units)).min();
        least.map_or(most, |least| most.min(least))
    };
    problem.classes.iter().zip(most).map(clip).collect()
}

struct Search<'a> {
    columns: &'a Columns,
    exactly: &'a [Exactly],
    /// Of what is found, or was known before.
    worth: i128,
    found: Option<Vec<u64>>,
    /// Nobody looks for more than this.
    enough: i128,
    /// Where the first relaxation has its optimum, if its bound alone left out all choices that are worth more.
    root: Option<Vec<f64>>,
    /// What the relaxation keeps: the rows that can bind, the exact numbers, and then cuts.
    rows: Vec<Row>,
}

/// What a relaxation says about a part of the choices.
enum Relaxed {
    Empty,
    /// Nothing in it is worth more than the bound; the optimum is at these fractions.
    Bounded(i128, Vec<f64>),
    /// The solver failed.
    Unknown,
}

impl<'a> Search<'a> {
    fn new(columns: &'a Columns, exactly: &'a [Exactly], worth: i128, enough: i128) -> Self {
        let binding = columns.rows.iter().zip(&columns.bounds).filter_map(|(takes, &bound)| {
            // A relaxation without a row is a relaxation still.
            let bound = i128::try_from(bound).ok()?;
            let takes = takes.iter().map(|&(column, units)| (column, i128::from(units))).collect();
            Some(Row { takes, bound, exact: false })
        });
        let exact = exactly.iter().enumerate().map(|(place, exactly)| {
            let named = columns.all.iter().enumerate().filter(|(_, column)| column.exactly[place]);
            let takes = named.map(|(column, _)| (column, 1)).collect();
            Row { takes, bound: i128::from(exactly.hosts), exact: true }
        });
        let rows = binding.chain(exact).collect();
        Self { columns, exactly, worth, found: None, enough, root: None, rows }
    }

    /// Returns whether the search was exhaustive, or found enough.
    fn run(&mut self, nodes: &Cell<usize>) -> bool {
        let mut open = vec![Range::of(self.columns)];
        let mut visited = 0_usize;
        let mut rounds = CUTTING;
        while let Some(range) = open.pop() {
            let Some(left) = nodes.get().checked_sub(1) else { return false };
            nodes.set(left);
            let (bound, at) = match self.relax(&range, visited) {
                Relaxed::Empty => continue,
                Relaxed::Bounded(bound, at) => (bound, at),
                Relaxed::Unknown => (i128::MAX, range.middle()),
            };
            if bound <= self.worth {
                self.root = (visited == 0).then_some(at);
                continue;
            }
            self.consider(nearest(&at, &range));
            let filled = filled(self.columns, &at, &range);
            if self.exactly.is_empty() && visited.is_multiple_of(EXCHANGES) && self.columns.worth(&filled) < bound {
                self.consider(exchanged(self.columns, filled));
            } else {
                self.consider(filled);
            }
            visited += 1;
            if self.worth >= self.enough {
                return true;
            }
            if bound <= self.worth {
                self.root = (visited == 1).then_some(at);
                continue;
            }
            let Some((range, new)) = self.sharpened(range, &at, rounds > 0) else { continue };
            rounds = if new.is_empty() { 0 } else { rounds - 1 };
            self.rows.extend(new);
            if rounds > 0 {
                open.push(range);
            } else if let Some((below, above)) = branch(&at, range) {
                open.extend([below, above]);
            }
        }
        true
    }

    /// The range without what cannot be worth more than what is found, and cuts, where they are asked for; `None` where
    /// nothing is left of it.
    fn sharpened(&self, range: Range, at: &[f64], cutting: bool) -> Option<(Range, Vec<Row>)> {
        let Some(vertex) = Vertex::of(&self.rows, &range, at) else { return Some((range, Vec::new())) };
        let narrowed =
            vertex.narrowed(&range, |column| self.columns.all[column].value, self.worth.saturating_add(1))?;
        let new = if cutting { cuts(&vertex, &narrowed, at) } else { Vec::new() };
        Some((narrowed, new))
    }

    fn consider(&mut self, counts: Vec<u64>) {
        let worth = self.columns.worth(&counts);
        if worth > self.worth && self.columns.allow(&counts, self.exactly) {
            self.found = Some(counts);
            self.worth = worth;
        }
    }

    fn relax(&self, range: &Range, visited: usize) -> Relaxed {
        // Every other time, ties are broken in some way of its own, or all relaxations could end in the same poor
        // corner. Nothing is taken from a value, so that the bound holds for the values as they are too.
        let most = if visited.is_multiple_of(2) { 0.0 } else { TILT };
        let tilt = |column: usize| most * ((column + 1) as f64 * (visited + 1) as f64 * 0.618_033_988_75).fract();
        let mut program = microlp::Problem::new(OptimizationDirection::Maximize);
        let mut add = |(place, column): (usize, &Column)| {
            program.add_var(column.value as f64 + tilt(place), (range.low[place] as f64, range.high[place] as f64))
        };
        let x: Vec<Variable> = self.columns.all.iter().enumerate().map(&mut add).collect();
        for row in &self.rows {
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
}

/// The range in two, at the column whose share is furthest from whole; at any column with a range where all are whole;
/// `None` where one choice is left.
fn branch(at: &[f64], range: Range) -> Option<(Range, Range)> {
    let Range { low, high } = &range;
    let open = || (0..at.len()).filter(|&c| low[c] < high[c]);
    let apart = |c: usize| (at[c] - at[c].round()).abs();
    let column = open().max_by(|&a, &b| apart(a).total_cmp(&apart(b)).then(b.cmp(&a)))?;
    let split = if apart(column) > SLACK {
        // `as` saturates and takes NaN for 0.
        (at[column].floor() as u64).clamp(low[column], high[column] - 1)
    } else {
        low[column] + (high[column] - low[column]) / 2
    };
    let (mut below, mut above) = (range.clone(), range);
    below.high[column] = split;
    above.low[column] = split + 1;
    Some((below, above))
}
