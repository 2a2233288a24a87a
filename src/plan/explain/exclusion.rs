//! Which constraints exclude a count: a small irreducible set of them.
//!
//! [`exclusion`] is a deletion filter over the rows of a problem: it drops a row if the others still exclude the count.
//! Together, the remaining rows exclude it, and without any one of them it is possible. Only a *proof* drops a row, so
//! a search that gives up leaves the set larger, but never insufficient.
//!
//! Nothing here judges a plan: [`crate::plan::verify()`] does.

use std::time::Duration;

use super::super::solver::{Effort, Maximum, Reach, Selector};

/// The effort for one set.
const EFFORT: Duration = Duration::from_millis(40);

/// Rows that together exclude a count.
pub(crate) struct Exclusion {
    pub(crate) rows: Vec<usize>,
    /// Whether it is shown of each that the count would be possible without it: none is superfluous.
    pub(crate) is_minimal: bool,
}

/// Rows that together exclude `count` hosts. `None` if the count is possible, if it is above the number of candidates, or
/// if it is not proved to be impossible.
pub(crate) fn exclusion(selector: &Selector<'_>, count: u64) -> Option<Exclusion> {
    let question = Question { selector, count, effort: Effort::about(EFFORT) };
    let mut rows = question.suspects(None)?;
    let (mut needed, mut is_minimal) = (0, true);
    while let Some(limit) = question.next_needed(&mut rows, needed) {
        is_minimal &= limit.choice.is_some();
        needed += 1;
    }
    Some(Exclusion { rows, is_minimal })
}

/// The first row of an [`exclusion`].
pub(crate) struct Limit {
    pub(crate) row: usize,
    /// Together with `row`, these rows exclude one host more; without it, they do not.
    pub(crate) others: Vec<usize>,
    /// A choice of one host more that the other rows allow, if one was found.
    pub(crate) choice: Option<Maximum>,
}

/// The row that limits a selector to its maximum. `None` if every candidate can go, or if it was not proved that no
/// more can.
pub(crate) fn limit(selector: &Selector<'_>, maximum: &Maximum) -> Option<Limit> {
    let question = Question { selector, count: maximum.hosts + 1, effort: Effort::about(EFFORT) };
    let mut kept = question.suspects(Some(maximum))?;
    question.next_needed(&mut kept, 0)
}

struct Question<'q, 'a> {
    selector: &'q Selector<'a>,
    count: u64,
    effort: Effort,
}

impl Question<'_, '_> {
    /// Rows that are proved to exclude the count: few rows, if a cheap test finds them.
    fn suspects(&self, maximum: Option<&Maximum>) -> Option<Vec<usize>> {
        let (selector, count) = (self.selector, self.count);
        if count > selector.candidates() {
            return None;
        }
        // The common case, and the shortest answer: the tightest row alone.
        let ceilings = selector.ceilings();
        let tightest = (0..ceilings.len()).min_by_key(|&row| (ceilings[row], row));
        if let Some(row) = tightest.filter(|&row| ceilings[row] < count) {
            return Some(vec![row]);
        }
        // A row that no choice of so many hosts breaks excludes nothing.
        let can_break = selector.can_break(count);
        if let Some(rows) = maximum.and_then(|maximum| maximum.excluding(count)) {
            return Some(rows.iter().copied().filter(|&row| can_break[row]).collect());
        }
        let all: Vec<usize> = (0..ceilings.len()).filter(|&row| can_break[row]).collect();
        let suspects: Vec<usize> = selector.in_the_way().into_iter().filter(|&row| can_break[row]).collect();
        let is_proved = |rows: &[usize]| matches!(self.among(rows), Reach::Impossible);
        if suspects.len() < all.len() && is_proved(&suspects) {
            return Some(suspects);
        }
        is_proved(&all).then_some(all)
    }

    /// Drops unneeded rows from `place` on, up to the first row that is needed; that row is then at `place`.
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

    /// Whether these rows allow the count.
    fn among(&self, kept: &[usize]) -> Reach<Maximum> {
        self.selector.keeping(|row| kept.contains(&row)).reach(self.count, &self.effort)
    }
}
