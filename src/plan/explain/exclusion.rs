//! Which constraints stand in the way of a count: a small irreducible set of them.
//!
//! [`exclusion`] is a deletion filter over the rows of a problem: a row is left out where the others still exclude
//! the count. Together the rows that stay exclude it, and without any one of them it is possible. Only a *proof*
//! drops a row, so that a search that gives up leaves the set larger, never insufficient.
//!
//! Nothing here judges a plan: that is [`crate::plan::verify()`]'s part.

use std::cell::Cell;

use super::super::solver::{Maximum, Reach, Selector};

/// Relaxations for one set: a bound on work, not on time, so that the same input gives the same answer.
const NODES: usize = 4000;

/// Rows that together exclude `count` hosts, none of them to spare; `None` where the count is possible, or beyond
/// the candidates, or not proved to be impossible.
pub(crate) fn exclusion(selector: &Selector<'_>, count: u64) -> Option<Vec<usize>> {
    let question = Question { selector, count, nodes: Cell::new(NODES) };
    let mut kept = question.suspects(None)?;
    let mut needed = 0;
    while question.next_needed(&mut kept, needed).is_some() {
        needed += 1;
    }
    Some(kept)
}

/// The first of the rows of an [`exclusion`].
pub(crate) struct Limit {
    pub(crate) row: usize,
    /// With it they exclude one host more, without it they do not.
    pub(crate) others: Vec<usize>,
    /// One host more, as far as the others are concerned, if such a choice was found.
    pub(crate) choice: Option<Maximum>,
}

/// What limits a selector to its maximum: `None` where every candidate can go, or where no proof was found that more
/// cannot.
pub(crate) fn limit(selector: &Selector<'_>, maximum: &Maximum) -> Option<Limit> {
    let question = Question { selector, count: maximum.hosts + 1, nodes: Cell::new(NODES) };
    let mut kept = question.suspects(Some(maximum))?;
    question.next_needed(&mut kept, 0)
}

struct Question<'q, 'a> {
    selector: &'q Selector<'a>,
    count: u64,
    /// Relaxations left.
    nodes: Cell<usize>,
}

impl Question<'_, '_> {
    /// Rows that are proved to exclude the count: few, if a first look finds them.
    fn suspects(&self, maximum: Option<&Maximum>) -> Option<Vec<usize>> {
        let (selector, count) = (self.selector, self.count);
        if count > selector.candidates() {
            return None;
        }
        // The common case, and the shortest answer: one row alone, the tightest.
        let ceilings = selector.ceilings();
        let tightest = (0..ceilings.len()).min_by_key(|&row| (ceilings[row], row));
        if let Some(row) = tightest.filter(|&row| ceilings[row] < count) {
            return Some(vec![row]);
        }
        if let Some(rows) = maximum.and_then(|maximum| maximum.excluding(count)) {
            return Some(rows.to_vec());
        }
        // A row that lets every candidate go stands in nobody's way.
        let all: Vec<usize> = (0..ceilings.len()).filter(|&row| ceilings[row] < selector.candidates()).collect();
        let suspects = selector.in_the_way();
        let is_proved = |rows: &[usize]| matches!(self.among(rows), Reach::Impossible);
        if suspects.len() < all.len() && is_proved(&suspects) {
            return Some(suspects);
        }
        is_proved(&all).then_some(all)
    }

    /// Leaves out the rows from a place on that are to spare, up to the first one that is not: that is at the place then.
    fn next_needed(&self, kept: &mut Vec<usize>, place: usize) -> Option<Limit> {
        while place < kept.len() {
            let row = kept.remove(place);
            let choice = match self.among(kept) {
                Reach::Impossible => continue,
                Reach::Found(choice) => Some(choice),
                Reach::Unknown => None,
            };
            let others = kept.clone();
            kept.insert(place, row);
            return Some(Limit { row, others, choice });
        }
        None
    }

    /// Whether these rows let so many go.
    fn among(&self, kept: &[usize]) -> Reach<Maximum> {
        self.selector.keeping(|row| kept.contains(&row)).reach(self.count, &self.nodes)
    }
}
