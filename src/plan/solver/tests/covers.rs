//! Cuts from single rows against every choice: none may be lost that keeps the row.

use proptest::prelude::*;

use crate::plan::solver::basis::{Range, Row};
use crate::plan::solver::covers::covers;

/// Units, the lower end, the width of the range, and where in it the relaxation is, by column; and the bound as a part of
/// all that there is.
type Case = (Vec<(i128, u64, u64, f64)>, f64);

fn case() -> impl Strategy<Value = Case> {
    let units = prop_oneof![8 => 1..40_i128, 1 => -20..0_i128];
    let share = prop_oneof![1 => Just(0.0), 2 => Just(1.0), 3 => 0.0..=1.0];
    (prop::collection::vec((units, 0..2_u64, 0..3_u64, share), 1..7), 0.2..0.9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn s1_every_choice_that_keeps_the_row_keeps_what_follows((columns, part) in case()) {
        let all: i128 = columns.iter().map(|&(units, low, more, _)| units.max(0) * i128::from(low + more)).sum();
        let takes: Vec<(usize, i128)> = columns.iter().map(|column| column.0).enumerate().collect();
        let row = Row { takes, bound: (all as f64 * part) as i128, exact: false };
        let range = Range {
            low: columns.iter().map(|column| column.1).collect(),
            high: columns.iter().map(|column| column.1 + column.2).collect(),
        };
        let at: Vec<f64> = columns.iter().map(|&(_, low, more, share)| low as f64 + more as f64 * share).collect();
        let mut choices = vec![Vec::new()];
        for (&low, &high) in range.low.iter().zip(&range.high) {
            choices = choices.iter().flat_map(|some| (low..=high).map(|n| [some.as_slice(), &[n]].concat())).collect();
        }
        let taken = |row: &Row, counts: &[u64]| -> i128 {
            row.takes.iter().map(|&(column, units)| units * i128::from(counts[column])).sum()
        };
        choices.retain(|counts| taken(&row, counts) <= row.bound);
        for cut in covers(&row, &range, &at).0 {
            prop_assert!(cut.taken(&at) > cut.bound as f64, "the relaxation keeps {cut:?}");
            for counts in &choices {
                prop_assert!(taken(&cut, counts) <= cut.bound, "{counts:?} breaks {cut:?}");
            }
        }
    }
}

fn row(units: &[i128], bound: i128) -> Row {
    Row { takes: units.iter().copied().enumerate().collect(), bound, exact: false }
}

/// Of 3, 3, 3 and 5 within 8, two at most go: of the first three any two make it full, and the last one counts as much.
#[test]
fn a_cover_is_lifted() {
    let range = Range { low: vec![0; 4], high: vec![1; 4] };
    let (found, _) = covers(&row(&[3, 3, 3, 5], 8), &range, &[0.9, 0.9, 0.9, 0.1]);
    assert_eq!(found, [row(&[1, 1, 1, 1], 2)]);
}

/// Of 4, 4, 4 and 12 within 12, the last goes alone: it counts as all of the others.
#[test]
fn what_fills_the_row_alone_is_lifted_by_all_of_the_others() {
    let range = Range { low: vec![0; 5], high: vec![1; 5] };
    let (found, _) = covers(&row(&[4, 4, 4, 4, 12], 12), &range, &[0.8, 0.8, 0.8, 0.8, 0.2]);
    assert_eq!(found, [row(&[1, 1, 1, 1, 3], 3)]);
}

#[test]
fn rows_of_too_many_hosts_are_left_alone() {
    let range = Range { low: vec![0, 0], high: vec![u64::MAX, 1] };
    assert!(covers(&row(&[3, 5], 7), &range, &[2.5, 0.0]).0.is_empty());
}
