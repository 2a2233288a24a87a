//! [`Proof`]: why a number of hosts is impossible, in a form that is checked without a solver.

use super::basis::Row;
use super::columns::Columns;
use super::effort::Effort;
use super::offer::Offer;
use super::relaxation::rows;
use super::small::trace_small;
use super::tableau::Tableau;
use super::trace::{Part, Trace};

/// The largest tableau that is worth its memory, in cells: 128 MiB.
const CELLS: u64 = 1 << 24;

/// Why no choice of so many hosts keeps the rows.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// By column, the classes whose hosts it counts. No row tells these hosts apart.
    pub(crate) columns: Vec<Vec<usize>>,
    /// The rows that matter, by their place in the problem.
    pub(crate) names: Vec<usize>,
    /// What these rows say, in the same order. The cuts among the steps get the numbers after them.
    pub(crate) rows: Vec<Row>,
    /// Everything, split until nothing is left: a part, then its half with fewer hosts and all that follows from it, then
    /// the other half.
    pub(crate) parts: Vec<Part>,
}

impl Proof {
    /// That `count` is impossible; `None` if it is not, or if that was not proved with this effort.
    pub(super) fn of(offer: &Offer<'_>, count: u64, effort: &Effort) -> Option<Self> {
        let Offer { problem, bounds, most } = offer;
        let columns = Columns::of(problem, bounds, most, &vec![1; most.len()], &[]);
        let rows = rows(&columns, &[]);
        let all: u64 = columns.all.iter().map(|column| column.most).sum();
        let trace = if all < count {
            Trace::new()
        } else if Tableau::size(columns.all.len(), rows.len()) <= CELLS {
            trace_small(&columns, &rows, count, effort)?
        } else {
            return None;
        };
        let parts = in_order(trace, rows.len());
        Some(Self {
            columns: columns.all.into_iter().map(|column| column.classes).collect(),
            names: columns.names,
            rows,
            parts,
        })
    }
}

/// The parts, each before its halves, without the cuts that nothing rests on.
fn in_order(trace: Trace, problem: usize) -> Vec<Part> {
    let mut parts: Vec<Option<Part>> = without_unused(trace.parts, problem).into_iter().map(Some).collect();
    let mut sorted = Vec::new();
    let mut next = vec![0];
    while let Some(part) = next.pop().and_then(|number| parts[number].take()) {
        if let Some((_, _, [fewer, more])) = part.split {
            next.extend([more, fewer]);
        }
        sorted.push(part);
    }
    sorted
}

fn without_unused(mut parts: Vec<Part>, problem: usize) -> Vec<Part> {
    let cuts = parts.iter().flat_map(|part| &part.steps).filter(|step| step.is_cut()).count();
    let mut is_used = vec![false; problem + cuts];
    // Whatever a step rests on comes before it.
    let mut number = is_used.len();
    for step in parts.iter().flat_map(|part| &part.steps).rev() {
        if step.is_cut() {
            number -= 1;
            if !is_used[number] {
                continue;
            }
        }
        step.rows().into_iter().for_each(|row| is_used[row] = true);
    }
    let mut left = 0..;
    let renumbered: Vec<usize> = is_used
        .iter()
        .enumerate()
        .map(|(row, used)| if row < problem || *used { left.next().unwrap_or(row) } else { row })
        .collect();
    let mut number = problem..;
    for part in &mut parts {
        part.steps.retain(|step| !step.is_cut() || number.next().is_some_and(|number| is_used[number]));
        part.steps.iter_mut().for_each(|step| step.number(&renumbered));
    }
    parts
}
