//! The exact part of choosing: the maximum number of hosts that may go, and the best total of a linear preference.
//!
//! [`best`] searches whole numbers by branch and cut, one for all classes that the binding rows do not distinguish
//! ([`super::columns`]): a hundred classes are often six numbers. Bounds come from the linear relaxation
//! ([`super::relaxation`], in floating point). They are sharpened by cuts ([`super::rounded_sums`]) and by removing what cannot
//! be worth more than the choice found ([`super::basis`]). Floats cannot make an answer wrong: cuts are made in
//! integers, everything that is *accepted* is checked in integers, and a bound can only be too generous. If the
//! relaxation fails, the bound is the trivial one.
//!
//! That is for problems that are large and nearly always easy. Small ones may be hard, and are given to [`super::small`].
//!
//! The search ends when its [`Effort`] is spent. The answer is then still feasible, and [`Found::proved`] says that it may
//! not be the best.

use super::aggregate_bound::aggregate_bound;
use super::basis::{Basis, Range, Row, SLACK};
use super::columns::{Columns, Exactly};
use super::effort::Effort;
use super::problem::{Problem, clipped, clipping, is_feasible};
use super::relaxation::{Relaxation, Relaxed, relax, rows};
use super::rounded_sums::rounded_sums;
use super::rounding::{exchanged, filled, nearest};
use super::small::{Searched, is_small, search_small};

/// The work of a relaxation: this often each entry of its rows for each row and column. On fleets
/// of some thousand hosts, an effort then takes about as long as it says.
const RELAXATION: u64 = 25;

/// Number of relaxations from one search for exchanges to the next; such a search costs as much as some relaxations.
const EXCHANGES: usize = 20;

/// Rounds of cuts before the first branch.
const CUTTING: usize = 12;

/// An answer of [`best`].
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Hosts per class.
    pub(crate) counts: Vec<u64>,
    /// Whether it is proved that no other choice has a higher value.
    pub(crate) proved: bool,
    /// Rows that alone allow no choice of a higher value, if the first relaxation was all the proof. `None` if it took
    /// more, or if nothing was proved.
    pub(crate) tight: Option<Vec<usize>>,
}

/// The choice of the highest value, where a host of class `c` is worth `value[c]`, among the choices for which
/// `exactly` holds. `bounds` says what may be taken from each row. `start` must be feasible and one of these choices.
pub(crate) fn best(
    problem: &Problem,
    bounds: &[u128],
    most: &[u64],
    value: &[i64],
    exactly: &[Exactly],
    start: Vec<u64>,
    effort: &Effort,
) -> Found {
    let clipped = clipped(problem, bounds, most);
    if exactly.is_empty()
        && value.iter().all(|&value| value == 1)
        && let Some((counts, mut rows)) = aggregate_bound(problem, bounds, &clipped)
    {
        rows.extend(clipping(problem, bounds, most, &clipped));
        return Found { counts, proved: true, tight: Some(rows.into_iter().collect()) };
    }
    let columns = Columns::of(problem, bounds, &clipped, value, exactly);
    let reached = value.iter().zip(&start).map(|(&v, &n)| i128::from(v) * i128::from(n)).sum();
    let Searched { found, proved, root } = search(&columns, exactly, (reached, i128::MAX), effort);
    let tight = root.as_ref().filter(|_| proved).map(|at| {
        let mut rows = columns.tight(at);
        rows.extend(clipping(problem, bounds, most, &clipped));
        rows.into_iter().collect()
    });
    let Some(counts) = found.map(|counts| columns.expand(&counts)) else {
        return Found { counts: start, proved, tight };
    };
    // Checked once more against the problem itself: an error in the columns must not become a choice.
    if exactly.iter().all(|e| e.holds(&counts)) && is_feasible(problem, bounds, &clipped, &counts) {
        Found { counts, proved, tight }
    } else {
        Found { counts: start, proved: false, tight: None }
    }
}

/// Whether a given number of hosts can go together.
#[derive(Clone, Debug)]
pub(crate) enum Reach<T> {
    /// These can.
    Found(T),
    /// No choice of this many hosts is feasible.
    Impossible,
    /// The search gave up.
    Unknown,
}

/// Whether this many hosts can go together, and hosts per class that can: far less work than finding the maximum.
/// Unknown if neither was shown with this effort. `most` is the number of hosts in each class, at most what its rows allow.
pub(crate) fn reaches(
    problem: &Problem,
    bounds: &[u128],
    most: &[u64],
    hosts: u64,
    effort: &Effort,
) -> Reach<Vec<u64>> {
    let columns = Columns::of(problem, bounds, most, &vec![1; most.len()], &[]);
    let enough = i128::from(hosts);
    // As if a choice of one host fewer had been found already: whatever cannot reach the count is left out at once.
    let Searched { found, proved, .. } = search(&columns, &[], (enough - 1, enough), effort);
    match found.map(|counts| columns.expand(&counts)) {
        // Checked once more against the problem itself, like everything that is accepted.
        Some(counts) if is_feasible(problem, bounds, most, &counts) => Reach::Found(counts),
        None if proved => Reach::Impossible,
        _ => Reach::Unknown,
    }
}

/// Rows without room to spare at the optimum of the relaxation, and rows that alone keep a class from giving all its
/// hosts: the first suspects. Empty if the solver failed.
pub(crate) fn tight(problem: &Problem, bounds: &[u128], most: &[u64]) -> Vec<usize> {
    let clipped = clipped(problem, bounds, most);
    let Some(Relaxation { columns, at, .. }) = Relaxation::of(problem, bounds, &clipped) else { return Vec::new() };
    let mut rows = columns.tight(&at);
    rows.extend(clipping(problem, bounds, most, &clipped));
    rows.into_iter().collect()
}

/// Looks for a choice that is worth more than the first of `worth`, and not for more than the second.
fn search(columns: &Columns, exactly: &[Exactly], worth: (i128, i128), effort: &Effort) -> Searched {
    if columns.all.is_empty() {
        // Nobody at all is the only choice, and is worth nothing.
        return Searched { found: (worth.0 < 0).then(Vec::new), proved: true, root: Some(Vec::new()) };
    }
    let rows = rows(columns, exactly);
    if !is_small(columns, &rows) {
        let mut search = Search::new(columns, exactly, rows, worth);
        let proved = search.run(effort);
        return Searched { proved, root: search.root, found: search.found };
    }
    search_small(columns, exactly, &rows, worth, effort)
}

struct Search<'a> {
    columns: &'a Columns,
    exactly: &'a [Exactly],
    /// The value of the choice that is found, or was known before.
    worth: i128,
    found: Option<Vec<u64>>,
    /// The search does not look for more than this value.
    enough: i128,
    /// The optimum of the first relaxation, if its bound alone excluded all choices that are worth more.
    root: Option<Vec<f64>>,
    /// The rows of the relaxation: the rows that can bind, the exact numbers, and then cuts.
    rows: Vec<Row>,
}

impl<'a> Search<'a> {
    fn new(columns: &'a Columns, exactly: &'a [Exactly], rows: Vec<Row>, (worth, enough): (i128, i128)) -> Self {
        Self { columns, exactly, worth, found: None, enough, root: None, rows }
    }

    /// Returns whether the search was exhaustive, or found enough.
    fn run(&mut self, effort: &Effort) -> bool {
        let mut open = vec![Range::of(self.columns)];
        let mut visited = 0_usize;
        let mut rounds = CUTTING;
        while let Some(range) = open.pop() {
            // The first relaxation is solved whatever it costs: it is nearly always all the proof.
            let is_spent = effort.left_beyond(self.worth) == 0;
            if (!effort.spend(self.work()) || is_spent) && visited > 0 {
                return false;
            }
            let (bound, at) = match relax(self.columns, &self.rows, &range, visited) {
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

    /// The work of a relaxation.
    fn work(&self) -> u64 {
        let entries: usize = self.rows.iter().map(|row| row.takes.len()).sum();
        let size = (self.rows.len() + self.columns.all.len()) as u64;
        size.saturating_mul(entries as u64 + size).saturating_mul(RELAXATION)
    }

    /// The range without what cannot be worth more than the choice found, and cuts, if they are requested; `None` if
    /// nothing is left of the range.
    fn sharpened(&self, range: Range, at: &[f64], cutting: bool) -> Option<(Range, Vec<Row>)> {
        let Some(basis) = Basis::of(&self.rows, &range, at) else { return Some((range, Vec::new())) };
        let narrowed = basis.narrowed(&range, |column| self.columns.all[column].value, self.worth.saturating_add(1))?;
        let new = if cutting { rounded_sums(&basis, &narrowed, at).0 } else { Vec::new() };
        let new = new.into_iter().map(|cut| cut.row).collect();
        Some((narrowed, new))
    }

    fn consider(&mut self, counts: Vec<u64>) {
        let worth = self.columns.worth(&counts);
        if worth > self.worth && self.columns.allow(&counts, self.exactly) {
            self.found = Some(counts);
            self.worth = worth;
        }
    }
}

/// Splits the range in two at the column whose share is furthest from whole, or at any column with a range if all
/// shares are whole; `None` if only one choice is left.
fn branch(at: &[f64], range: Range) -> Option<(Range, Range)> {
    let Range { low, high } = &range;
    let open = || (0..at.len()).filter(|&c| low[c] < high[c]);
    let apart = |c: usize| (at[c] - at[c].round()).abs();
    let column = open().max_by(|&a, &b| apart(a).total_cmp(&apart(b)).then(b.cmp(&a)))?;
    let split = if apart(column) > SLACK {
        // `as` saturates and maps NaN to 0.
        (at[column].floor() as u64).clamp(low[column], high[column] - 1)
    } else {
        low[column] + (high[column] - low[column]) / 2
    };
    let (mut below, mut above) = (range.clone(), range);
    below.high[column] = split;
    above.low[column] = split + 1;
    Some((below, above))
}
