//! [`Tree`]: branch and bound on a [`Tableau`], for problems that are small enough for one.
//!
//! It splits the choices at a column that the relaxation leaves between whole numbers, until every part is excluded: by
//! a single row ([`propagate`]), or by prices ([`Prices`]). Nothing is excluded by a float. A tree makes no cuts, or only at
//! its beginning ([`Tree::with_cuts`]): where hosts weigh differently in many subsystems, many quick relaxations often
//! prove more than few sharp ones. [`super::small`] tries both.
//!
//! The column to split is chosen by how much either part lowered the bound before, and by trying where that is not
//! known yet (reliability branching: Achterberg, Koch, Martin, "Branching rules revisited", 2005).

use super::basis::{Basis, Range, Row};
use super::columns::{Columns, Exactly};
use super::costs::{Costs, product};
use super::cuts::cuts;
use super::effort::Effort;
use super::prices::{Priced, Prices, propagate};
use super::rounding::{filled, nearest};
use super::tableau::{End, Tableau};

/// A relaxation that needs more pivots than this is left as it is: its prices are good all the same.
const PIVOTS: usize = 10_000;

/// A bound is compared with what is wanted by this much less: whether it is low enough is decided in integers.
const BELOW: f64 = 1e-6;

/// A share counts as whole if it is this close.
const WHOLE: f64 = 1e-6;

/// Columns that are tried at one split, and pivots per try.
const TRIES: usize = 8;
const TRY_PIVOTS: usize = 30;

/// The work of a visit besides its relaxation, for each column and each entry of a row.
const VISIT: u64 = 20;

/// Rounds of cuts that close less than this part of the gap, before there are no more.
const STALLED: usize = 4;
const PROGRESS: f64 = 0.01;

/// The part of the gap between the bound and what is wanted that cuts must close.
const WORTH_CUTTING: f64 = 0.25;

/// Visits from one rounding to the next.
const ROUNDINGS: usize = 8;

/// A search for the choice of the highest worth.
pub(super) struct Tree<'a> {
    columns: &'a Columns,
    exactly: &'a [Exactly],
    /// Those of the problem, and then cuts.
    rows: Vec<Row>,
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
    /// What was left of everything when it was looked at as a whole.
    whole: Range,
    /// Parts that are not excluded yet; the last is visited first.
    open: Vec<Range>,
    /// The optimum of the first relaxation, if that was all the proof.
    pub(super) root: Option<Vec<f64>>,
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
        Self {
            tableau: Tableau::new(columns, &rows),
            costs: Costs::new(columns.all.len()),
            columns,
            exactly,
            rows,
            worth,
            found: None,
            enough,
            visits: 0,
            size: VISIT * (columns.all.len() + entries) as u64,
            whole: Range::of(columns),
            open: Vec::new(),
            root: None,
        }
    }

    /// Looks at everything as a whole; returns whether that was all there is to do.
    pub(super) fn begin(&mut self) -> bool {
        let mut whole = Range::of(self.columns);
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
        while self.worth < self.enough {
            let Some(mut range) = self.open.pop() else { break };
            if let Some(at) = self.settle(&mut range) {
                self.split(range, &at);
            }
            if !effort.spend(std::mem::take(&mut self.tableau.work)) {
                return self.open.is_empty() || self.worth >= self.enough;
            }
        }
        true
    }

    /// The relaxation at its optimum, for a tree of which nothing but the whole was visited.
    pub(super) fn relaxation(&self) -> &Tableau {
        &self.tableau
    }

    /// What is worth more than anything found elsewhere.
    pub(super) fn best(&self) -> (i128, Option<&Vec<u64>>) {
        (self.worth, self.found.as_ref())
    }

    /// Learns of a choice that was found elsewhere.
    pub(super) fn know(&mut self, counts: &[u64]) {
        self.consider(counts.to_vec());
    }

    /// The same search from its beginning with cuts, as many as lower the bound of everything as a whole; `None` where they
    /// close too little of the gap.
    pub(super) fn with_cuts(&self, effort: &Effort) -> Option<Self> {
        let problem = self.rows.len();
        let mut tree = Self::new(self.columns, self.exactly, self.rows.clone(), (self.worth, self.enough));
        let mut whole = self.whole.clone();
        let Some(mut at) = tree.settle(&mut whole) else { return Some(tree) };
        let gap = |tree: &Self| tree.tableau.worth() - tree.worth.saturating_add(1) as f64;
        let uncut = gap(&tree);
        let (mut least, mut stalled) = (uncut, 0);
        while stalled < STALLED {
            let (tight, inside, multiples) = tree.tableau.isolated(&whole);
            let basis = Basis { tight: tight.iter().map(|&row| &tree.rows[row]).collect(), inside, multiples };
            let (new, work) = cuts(&basis, &whole, &at);
            if !effort.spend(work + tree.tableau.work) || new.is_empty() {
                break;
            }
            tree.rows.extend(new);
            tree.tableau = Tableau::new(tree.columns, &tree.rows);
            if tree.settle(&mut whole).is_none() {
                return Some(tree);
            }
            // Only what binds is kept.
            let needed = tree.tableau.needed();
            let mut places = 0..;
            tree.rows.retain(|_| places.next().is_some_and(|row| row < problem || needed[row]));
            tree.tableau = Tableau::new(tree.columns, &tree.rows);
            match tree.settle(&mut whole) {
                Some(now) => at = now,
                None => return Some(tree),
            }
            stalled += 1;
            if gap(&tree) < least - PROGRESS * uncut {
                (least, stalled) = (gap(&tree), 0);
            }
        }
        if uncut - gap(&tree) < WORTH_CUTTING * uncut {
            return None;
        }
        tree.split(whole, &at);
        Some(tree)
    }

    /// Takes from the range what is excluded, until nothing more is, and looks for a choice near the optimum: the
    /// optimum in fractions, or `None` if nothing is left.
    fn settle(&mut self, range: &mut Range) -> Option<Vec<f64>> {
        self.visits += 1;
        self.tableau.work += self.size;
        loop {
            if !propagate(&self.rows, range) || self.most(range) <= self.worth {
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
            if self.worth >= self.enough || is_narrowed && !propagate(&self.rows, range) {
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
                return (!multiples.exclude(self.columns, &self.rows, range)).then_some(narrowed);
            }
            let prices = Prices::rounded(&self.tableau.prices(), &self.rows);
            let priced = prices.narrow(self.columns, &self.rows, range, wanted);
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

    /// What a choice in the range could be worth if there were no rows.
    fn most(&self, range: &Range) -> i128 {
        let best = |(place, column): (usize, &super::columns::Column)| {
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

    /// Splits at the column that promises most.
    fn split(&mut self, range: Range, at: &[f64]) {
        let is_open = |c: &usize| range.low[*c] < range.high[*c];
        let between: Vec<usize> =
            (0..at.len()).filter(|&c| is_open(&c) && (at[c] - at[c].round()).abs() > WHOLE).collect();
        if let Some(column) = self.best_of(between, &range, at) {
            // `as` saturates and maps NaN to 0.
            let below = (at[column].floor() as u64).clamp(range.low[column], range.high[column] - 1);
            self.split_at(range, column, below, at[column].fract() > 0.5);
        } else if let Some(column) = (0..at.len()).find(is_open) {
            // Every share is whole and still it is no choice: rounding errors. Any column will do.
            let middle = range.low[column] + (range.high[column] - range.low[column]) / 2;
            self.split_at(range, column, middle, false);
        }
    }

    fn split_at(&mut self, range: Range, column: usize, at: u64, more_first: bool) {
        let (mut fewer, mut more) = (range.clone(), range);
        fewer.high[column] = at;
        more.low[column] = at + 1;
        self.open.extend(if more_first { [fewer, more] } else { [more, fewer] });
    }

    /// The column whose parts are expected to have the lowest bounds.
    fn best_of(&mut self, mut between: Vec<usize>, range: &Range, at: &[f64]) -> Option<usize> {
        let expected = |costs: &Costs, c: usize| costs.expected(c, at[c].fract());
        between.sort_by(|&a, &b| expected(&self.costs, b).total_cmp(&expected(&self.costs, a)).then(a.cmp(&b)));
        let mut tries = 0;
        let mut best: Option<(f64, usize)> = None;
        for column in between {
            let mut score = expected(&self.costs, column);
            if tries < TRIES && !self.costs.is_reliable(column) {
                tries += 1;
                score = self.try_both(column, range, at[column]);
            }
            if best.is_none_or(|(known, _)| score > known) {
                best = Some((score, column));
            }
        }
        best.map(|(_, column)| column)
    }

    /// Solves both parts for a few pivots, and remembers how much that lowered the bound.
    fn try_both(&mut self, column: usize, range: &Range, at: f64) -> f64 {
        let columns = range.high.len();
        let (below, share) = (at.floor() as u64, at.fract());
        let wanted = self.worth.saturating_add(1) as f64 - BELOW;
        let (mut fewer, mut more) = (range.clone(), range.clone());
        fewer.high[column] = below;
        more.low[column] = below.saturating_add(1);
        let lowered = [fewer, more].map(|mut part| {
            let mut tableau = self.tableau.clone();
            let is_left = propagate(&self.rows, &mut part);
            if is_left {
                tableau.set_all(&part);
            }
            let end = if is_left { tableau.solve(wanted, TRY_PIVOTS) } else { End::Empty(0) };
            self.tableau.work = tableau.work + Tableau::size(columns, self.rows.len());
            let reached = if matches!(end, End::Empty(_)) { wanted - 1.0 } else { tableau.worth() };
            ((self.tableau.worth() - reached).max(0.0), reached < wanted)
        });
        let [(fewer, fewer_closed), (more, more_closed)] = lowered;
        self.costs.add(column, fewer / share, more / (1.0 - share));
        // Nothing is better than a split of which only one part is left.
        product(fewer, more) * if fewer_closed || more_closed { 100.0 } else { 1.0 }
    }
}
