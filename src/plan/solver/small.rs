//! The search of a small problem: two trees and a climb in turn, each of which finds and proves what the others do not.
//!
//! A [`Tree`] without cuts is quickest where hosts weigh differently in many subsystems, one with cuts where they weigh
//! alike, and [`climb`] finds choices that neither comes across. Each turn gives them four times as much effort as the one
//! before, so that at most a few times the effort of the best of them is spent.

use super::basis::Row;
use super::climb::climb;
use super::columns::{Columns, Exactly};
use super::effort::Effort;
use super::tableau::Tableau;
use super::tree::Tree;

/// The largest tableau: beyond it, few relaxations with cuts do more ([`super::search`]).
const CELLS: u64 = 1 << 18;

/// The work of each in the first turn.
const FIRST_TURN: u64 = 5_000_000;

/// The bound of a relaxation, in floats, may be too low by this.
const ROUNDING: f64 = 1e-6;

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
    rows: Vec<Row>,
    (worth, enough): (i128, i128),
    effort: &Effort,
) -> Searched {
    let mut plain = Tree::new(columns, exactly, rows.clone(), (worth, enough));
    let mut proved = plain.begin();
    // The relaxation bounds every choice; that of the whole is needed again.
    let (relaxation, bound) = (plain.relaxation().clone(), plain.relaxation().worth() + ROUNDING);
    let climbs = exactly.is_empty() && columns.all.iter().all(|column| column.value == 1);
    let mut cutting: Option<Tree<'_>> = None;
    for turn in 0.. {
        if proved || turn > 0 && effort.is_spent() {
            break;
        }
        let work = FIRST_TURN.saturating_mul(1 << (2 * turn).min(40));
        let part = effort.part(work);
        proved = plain.go_on(&part);
        effort.take_back(part);
        if proved {
            break;
        }
        if turn == 0 {
            cutting = plain.with_cuts(effort);
        }
        if let Some(tree) = &mut cutting {
            tell(&plain, tree);
            let part = effort.part(work);
            proved = tree.go_on(&part);
            effort.take_back(part);
            tell(tree, &mut plain);
        }
        let part = effort.part(work);
        while let (best, found) = plain.best()
            && let wanted = best.saturating_add(1)
            && climbs
            && !proved
            && best < enough
            && wanted as f64 <= bound
        {
            let start = found.cloned().unwrap_or_else(|| vec![0; columns.all.len()]);
            let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
            let Some(counts) = climb(columns, &rows, &relaxation, &start, (wanted, turn), &part) else { break };
            plain.know(&counts);
        }
        effort.take_back(part);
    }
    Searched { proved, found: plain.best().1.cloned(), root: plain.root }
}

/// What one tree has found, the other need not find.
fn tell(from: &Tree<'_>, to: &mut Tree<'_>) {
    if let (_, Some(counts)) = from.best() {
        to.know(counts);
    }
}
