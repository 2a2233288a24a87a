//! Which constraints stand in the way of a count: a small irreducible set of them.
//!
//! [`exclusion`] is a deletion filter over the rows of [`Problem`]: a row is left out where the others still exclude
//! the count. Together the rows that stay exclude it, and without any one of them it is possible. Only a *proof*
//! drops a row, so that a search that gives up leaves the set larger, never insufficient.
//!
//! Nothing here judges a plan: that is [`super::verify`]'s part.

use std::cell::Cell;

use super::select::Selector;

/// Relaxations for one set: a bound on work, not on time, so that the same input gives the same answer.
const NODES: usize = 4000;

/// Rows that together exclude `count` hosts, none of them to spare; `None` where the count is possible, or beyond
/// the candidates, or not proved to be impossible.
pub(crate) fn exclusion(selector: &Selector<'_>, count: u64) -> Option<Vec<usize>> {
    if count > selector.candidates() {
        return None;
    }
    // The common case, and the shortest answer: one row alone, the tightest.
    let ceilings = selector.ceilings();
    let tightest = (0..ceilings.len()).min_by_key(|&row| (ceilings[row], row));
    if let Some(row) = tightest.filter(|&row| ceilings[row] < count) {
        return Some(vec![row]);
    }
    // A row that lets every candidate go stands in nobody's way.
    let mut kept: Vec<usize> = (0..ceilings.len()).filter(|&row| ceilings[row] < selector.candidates()).collect();
    let nodes = Cell::new(NODES);
    let suspects = selector.in_the_way();
    if suspects.len() < kept.len() && excludes(selector, &suspects, count, &nodes) {
        kept = suspects;
    } else if !excludes(selector, &kept, count, &nodes) {
        return None;
    }
    for row in kept.clone() {
        let fewer: Vec<usize> = kept.iter().copied().filter(|&k| k != row).collect();
        if excludes(selector, &fewer, count, &nodes) {
            kept = fewer;
        }
    }
    Some(kept)
}

/// Whether these rows are proved to let fewer than `count` go.
fn excludes(selector: &Selector<'_>, kept: &[usize], count: u64, nodes: &Cell<usize>) -> bool {
    selector.keeping(|row| kept.contains(&row)).can_give(count, nodes) == Some(false)
}
