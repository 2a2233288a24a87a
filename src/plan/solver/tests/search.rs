//! The search of a problem that is too large for a tableau.

use std::time::Duration;

use crate::plan::solver::effort::Effort;
use crate::plan::solver::problem::{Class, Problem, Row};
use crate::plan::solver::search::best;

fn class(takes: (usize, u64)) -> Class {
    Class {
        ranks: vec![0, 1],
        serving: true,
        busy: true,
        others: 0,
        closed: false,
        takes: vec![takes],
        zones: Vec::new(),
    }
}

/// Whatever the effort, the first relaxation is solved: of nearly every fleet it is all the proof.
#[test]
fn a_large_problem_is_relaxed_once_without_any_effort() {
    // Of each row two hosts can go: those of one unit.
    const ROWS: usize = 400;
    let problem = Problem {
        classes: (0..ROWS).flat_map(|row| [class((row, 1)), class((row, 2))]).collect(),
        rows: vec![Row { bound: 2, is_short: false }; ROWS],
        ..Problem::default()
    };
    let (bounds, most) = ([2; ROWS], [2; 2 * ROWS]);
    let found = best(&problem, &bounds, &most, &[1; 2 * ROWS], &[], vec![0; 2 * ROWS], &Effort::about(Duration::ZERO));
    assert_eq!((found.counts.iter().sum::<u64>(), found.proved), (2 * ROWS as u64, true));
}
