//! The search of a small problem: trees and a climb in turn, each of which finds and proves what the others do not.
//!
//! A [`Tree`] without cuts comes first. If cuts close a good part of the gap, one with cuts goes on in its place: it needs
//! far fewer visits. Where hosts weigh differently in many subsystems they close little, and many quick visits do more.
//! [`climb`] finds choices that neither comes across. Each turn gives them four times as much effort as the one before, so
//! that at most a few times the effort of the best of them is spent.

use super::basis::Row;
use super::columns::{Columns, Exactly};
use super::effort::Effort;
use super::tableau::Tableau;
use super::trace::Trace;
use super::tree::Tree;

/// The largest tableau: beyond it, few relaxations with cuts do more ([`super::search`]).
const CELLS: u64 = 1 << 18;

/// The work of each in the first turn.
const FIRST_TURN: u64 = 1_000_000;

/// The turn in which cuts are made: most problems are solved before.
const CUTTING: u32 = 2;

/// What a search came to.
pub(super) struct Searched {
    pub(super) found: Option<Vec<u64>>,
    /// Whether it was exhaustive, or found enough.
    pub(super) proved: bool,
    /// The optimum of the first relaxation, if its bound alone excluded all choices that are worth more.
    pub(super) root: Option<Vec<f64>>,
}

/// Whether a problem of this size is a small one.
pub(super) fn is_small(columns: &Columns, rows: &[Row]) -> bool {
    Tableau::size(columns.all.len(), rows.len()) <= CELLS
}

/// Looks for a choice that is worth more than the first of `worth`, and not for more than the second.
pub(super) fn search_small(
    columns: &Columns,
    exactly: &[Exactly],
    rows: &[Row],
    (worth, enough): (i128, i128),
    effort: &Effort,
) -> Searched {
    let mut plain = Tree::new(columns, exactly, rows.to_vec(), (worth, enough));
    let (proved, _) = search(&mut plain, rows, effort);
    Searched { proved, found: plain.best().1.cloned(), root: plain.root }
}

/// Why no choice of so many hosts keeps the rows, step by step; `None` if one does, or nothing was proved with this
/// effort.
pub(super) fn trace_small(columns: &Columns, rows: &[Row], count: u64, effort: &Effort) -> Option<Trace> {
    // As if a choice of one host fewer had been found already.
    let worth = (i128::from(count) - 1, i128::from(count));
    let mut plain = Tree::new(columns, &[], rows.to_vec(), worth).traced();
    let (proved, cutting) = search(&mut plain, rows, effort);
    if !proved || plain.best().1.is_some() {
        return None;
    }
    cutting.map_or(plain.trace, |tree| tree.trace)
}

/// Searches with one tree, and one with cuts in its place if that is worth it; returns whether that was exhaustive, or
/// found enough, and the tree that was used last.
fn search<'a>(plain: &mut Tree<'a>, rows: &[Row], effort: &Effort) -> (bool, Option<Tree<'a>>) {
    if plain.begin() || effort.is_spent() {
        return (plain.has_ended(), None);
    }
    // The relaxation bounds every choice; that of the whole is needed again.
    let relaxation = plain.relaxation().clone();
    let mut cutting: Option<Tree<'_>> = None;
    let mut turn = 0;
    loop {
        let work = FIRST_TURN.saturating_mul(1 << (2 * turn).min(40));
        if turn == CUTTING {
            cutting = plain.with_cuts(effort);
        }
        let tree = cutting.as_mut().unwrap_or(plain);
        let part = effort.part(work.min(effort.left_beyond(tree.best().0)));
        let mut proved = tree.go_on(&part);
        effort.take_back(part);
        if !proved {
            let part = effort.part(work.min(effort.left_beyond(tree.best().0)));
            tree.climb(rows, &relaxation, turn, &part);
            effort.take_back(part);
            proved = tree.has_enough();
        }
        if proved || effort.left_beyond(tree.best().0) == 0 {
            if let Some(counts) = cutting.as_ref().and_then(|tree| tree.best().1) {
                plain.know(counts);
            }
            return (proved, cutting);
        }
        turn += 1;
    }
}
