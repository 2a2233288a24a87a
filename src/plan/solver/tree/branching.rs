//! At which column a [`Tree`] splits: by how much either part lowered the bound before, and by trying where that is not
//! known yet (reliability branching: Achterberg, Koch, Martin, "Branching rules revisited", 2005).

use super::costs::{Costs, product};
use super::{BELOW, End, Part, Range, Tableau, Tree, WHOLE, propagate};

/// Columns that are tried at one split, and pivots per try.
const TRIES: usize = 8;
const TRY_PIVOTS: usize = 30;

impl Tree<'_> {
    /// Splits at the column that promises most.
    pub(super) fn split(&mut self, range: Range, at: &[f64]) {
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
        let [first, second] = self.trace.as_mut().map_or([0, 0], |trace| trace.split(column, at));
        let bound = self.tableau.worth();
        let mut fewer = Part { range: range.clone(), bound, number: first };
        let mut more = Part { range, bound, number: second };
        fewer.range.high[column] = at;
        more.range.low[column] = at + 1;
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
            let is_left = propagate(self.own(), &mut part);
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
