//! The search of small problems against every choice, and each thing that excludes choices on its own: whatever floats
//! propose, no choice of whole hosts may be lost that keeps the rows and is worth what is wanted.

use std::time::Duration;

use proptest::prelude::*;

use crate::plan::solver::basis::{Range, Row};
use crate::plan::solver::climb::climb;
use crate::plan::solver::columns::{Columns, Exactly};
use crate::plan::solver::effort::Effort;
use crate::plan::solver::prices::{Priced, Prices, propagate};
use crate::plan::solver::problem::{Class, Problem, Row as Bound};
use crate::plan::solver::relaxation::rows;
use crate::plan::solver::search::best;
use crate::plan::solver::small::search_small;
use crate::plan::solver::tableau::{End, Tableau};
use crate::plan::solver::tree::Tree;

/// A few classes that take from a few rows, each worth something.
#[derive(Clone, Debug)]
struct Case {
    most: Vec<u64>,
    /// By class, what one host takes from each row.
    takes: Vec<Vec<u64>>,
    bounds: Vec<u64>,
    value: Vec<i64>,
    /// So many hosts of the first classes, if any number is possible.
    exactly: Option<(usize, u64)>,
    prices: Vec<f64>,
    wanted: i128,
}

fn case() -> impl Strategy<Value = Case> {
    (1_usize..6, 1_usize..5).prop_flat_map(|(classes, rows)| {
        let takes =
            prop::collection::vec(prop::collection::vec(prop_oneof![Just(0), 1..9_u64, 90..99_u64], rows), classes);
        let exactly = prop::option::weighted(0.3, (1..=classes, 0..4_u64));
        (
            prop::collection::vec(1..4_u64, classes),
            takes,
            prop::collection::vec(0..200_u64, rows),
            prop::collection::vec(prop_oneof![3 => Just(1_i64), 1 => -3..5_i64], classes),
            exactly,
            prop::collection::vec(prop_oneof![4 => -0.1..1.0, 1 => -1e30..1e30], rows + 1),
            -2_i128..12,
        )
            .prop_map(|(most, takes, bounds, value, exactly, prices, wanted)| Case {
                most,
                takes,
                bounds,
                value,
                exactly,
                prices,
                wanted,
            })
    })
}

impl Case {
    fn problem(&self) -> Problem {
        let class = |(takes, &most): (&Vec<u64>, &u64)| Class {
            ranks: (0..usize::try_from(most).expect("few")).collect(),
            serving: true,
            busy: true,
            others: 0,
            closed: false,
            takes: takes.iter().copied().enumerate().filter(|(_, units)| *units > 0).collect(),
            zones: Vec::new(),
        };
        Problem {
            classes: self.takes.iter().zip(&self.most).map(class).collect(),
            rows: self.bounds.iter().map(|&bound| Bound { bound: bound.into(), is_short: false }).collect(),
            ..Problem::default()
        }
    }

    fn exactly(&self) -> Vec<Exactly> {
        self.exactly.iter().map(|&(classes, hosts)| Exactly { classes: (0..classes).collect(), hosts }).collect()
    }

    fn columns(&self) -> (Columns, Vec<Row>) {
        let bounds: Vec<u128> = self.bounds.iter().map(|&bound| bound.into()).collect();
        let columns = Columns::of(&self.problem(), &bounds, &self.most, &self.value, &self.exactly());
        let rows = rows(&columns, &self.exactly());
        (columns, rows)
    }

    /// All choices by column that are within the rows and the exact numbers.
    fn choices(&self, columns: &Columns) -> Vec<Vec<u64>> {
        let mut all = vec![Vec::new()];
        for column in &columns.all {
            all = all.iter().flat_map(|some| (0..=column.most).map(|n| [some.as_slice(), &[n]].concat())).collect();
        }
        all.retain(|counts| columns.allow(counts, &self.exactly()));
        all
    }

    /// The worth of the best of all choices.
    fn best(&self, columns: &Columns) -> Option<i128> {
        self.choices(columns).iter().map(|counts| columns.worth(counts)).max()
    }
}

fn is_in(range: &Range, counts: &[u64]) -> bool {
    counts.iter().enumerate().all(|(column, n)| (range.low[column]..=range.high[column]).contains(n))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn s1_the_search_finds_the_best_of_all_choices(case in case()) {
        let (columns, rows) = case.columns();
        prop_assume!(!columns.all.is_empty());
        let exactly = case.exactly();
        let best = case.best(&columns);
        for seconds in [0, 1] {
            let effort = Effort::about(Duration::from_secs(seconds));
            let searched = search_small(&columns, &exactly, &rows, (-1000, i128::MAX), &effort);
            let proved = searched.proved;
            let found = searched.found.as_ref().map(|counts| columns.worth(counts));
            prop_assert!(searched.found.is_none_or(|counts| columns.allow(&counts, &exactly)));
            prop_assert!(found == best || !proved && found < best, "{found:?} of {best:?}");
            prop_assert!(proved || seconds == 0);
        }
    }

    /// Rows that come with the proof exclude more on their own.
    #[test]
    fn s1_the_rows_that_come_with_a_proof_are_enough(case in case()) {
        let case = Case { value: vec![1; case.value.len()], exactly: None, ..case };
        let bounds: Vec<u128> = case.bounds.iter().map(|&bound| bound.into()).collect();
        let (nobody, effort) = (vec![0; case.most.len()], Effort::about(Duration::from_secs(1)));
        let found = best(&case.problem(), &bounds, &case.most, &case.value, &[], nobody, &effort);
        prop_assert!(found.proved);
        if let Some(tight) = found.tight {
            let kept = |(row, &bound): (usize, &u64)| if tight.contains(&row) { bound } else { u64::MAX };
            let fewer = Case { bounds: case.bounds.iter().enumerate().map(kept).collect(), ..case };
            let (columns, _) = fewer.columns();
            prop_assert_eq!(fewer.best(&columns), Some(i128::from(found.counts.iter().sum::<u64>())), "{:?}", tight);
        }
    }

    /// Cuts lose nothing either. These problems are solved before any are made: here they are made at once.
    #[test]
    fn s1_the_search_with_cuts_finds_the_best_of_all_choices(case in case()) {
        let (columns, rows) = case.columns();
        prop_assume!(!columns.all.is_empty());
        let exactly = case.exactly();
        let best = case.best(&columns);
        let effort = Effort::about(Duration::from_secs(1));
        let mut tree = Tree::new(&columns, &exactly, rows, (-1000, i128::MAX));
        if !tree.begin()
            && let Some(mut cutting) = tree.with_cuts(&effort)
        {
            prop_assert!(cutting.go_on(&effort));
            let known = [&tree, &cutting].into_iter().filter_map(|tree| tree.best().1).map(|c| columns.worth(c)).max();
            prop_assert_eq!(known, best);
        }
    }

    #[test]
    fn s1_no_prices_exclude_a_choice_that_is_worth_what_is_wanted(case in case()) {
        let (columns, rows) = case.columns();
        let proposed: Vec<_> = case.prices.iter().copied().enumerate().filter(|(row, _)| *row < rows.len()).collect();
        let prices = Prices::rounded(&proposed, &rows);
        let mut range = Range::of(&columns);
        let closed = prices.narrow(&columns, &rows, &mut range, case.wanted) == Priced::Closed;
        let excluded = prices.exclude(&columns, &rows, &Range::of(&columns));
        let bound = prices.bound(&columns, &rows, &Range::of(&columns));
        for counts in case.choices(&columns) {
            prop_assert!(!excluded, "{counts:?}");
            prop_assert!(bound.is_none_or(|bound| columns.worth(&counts) <= bound), "{counts:?} is worth more than {bound:?}");
            if columns.worth(&counts) >= case.wanted {
                prop_assert!(!closed && is_in(&range, &counts), "{counts:?} is not in {range:?}");
            }
        }
    }

    #[test]
    fn s1_no_row_excludes_a_choice_that_keeps_it(case in case()) {
        let (columns, rows) = case.columns();
        let mut range = Range::of(&columns);
        let is_left = propagate(&rows, &mut range);
        for counts in case.choices(&columns) {
            prop_assert!(is_left && is_in(&range, &counts), "{counts:?} is not in {range:?}");
        }
    }

    /// The optimum in fractions is at least that in whole hosts, also after other ranges.
    #[test]
    fn the_relaxation_bounds_the_choices_of_every_range(case in case(), cuts in prop::collection::vec(0..3_u64, 6)) {
        let (columns, rows) = case.columns();
        prop_assume!(!columns.all.is_empty());
        let mut tableau = Tableau::new(&columns, &rows, &Range::of(&columns));
        let all = case.choices(&columns);
        for less in [0, 1, 0] {
            let mut range = Range::of(&columns);
            range.high.iter_mut().zip(&cuts).for_each(|(high, cut)| *high = high.saturating_sub(cut * less));
            tableau.set_all(&range);
            let end = tableau.solve(f64::NEG_INFINITY, 1000);
            let best = all.iter().filter(|counts| is_in(&range, counts)).map(|counts| columns.worth(counts)).max();
            match end {
                End::Empty(_) => prop_assert_eq!(best, None),
                End::Optimal => prop_assert!(best.is_none_or(|best| best as f64 <= tableau.worth() + 1e-6)),
                End::Below | End::Pivots => prop_assert!(false, "{:?}", end),
            }
        }
    }

    /// Rows that come and go leave the optimum that a tableau of its own has for those that are left.
    #[test]
    fn a_tableau_that_is_given_rows_is_as_good_as_a_new_one(case in case(), later in 0..4_usize, less in 0..2_u64) {
        let (columns, rows) = case.columns();
        prop_assume!(!columns.all.is_empty());
        let mut range = Range::of(&columns);
        // Columns without a choice are left out of the tableau from the start.
        range.high[0] = range.high[0].saturating_sub(less);
        range.low[0] = range.high[0];
        let of = |rows: &[Row]| {
            let mut new = Tableau::new(&columns, rows, &Range::of(&columns));
            new.set_all(&range);
            (new.solve(f64::NEG_INFINITY, 1000), new.worth())
        };
        let same = |(end, worth): (End, f64), (other, expected): (End, f64)| {
            matches!((end, other), (End::Empty(_), End::Empty(_))) || end == other && (worth - expected).abs() < 1e-6
        };
        let (first, second) = rows.split_at(later.min(rows.len()));
        let mut tableau = Tableau::new(&columns, first, &range);
        tableau.solve(f64::NEG_INFINITY, 1000);
        tableau.add(second);
        prop_assert!(same((tableau.solve(f64::NEG_INFINITY, 1000), tableau.worth()), of(&rows)));
        let left = tableau.keep(|row| row % 2 == 0);
        prop_assert!((0..rows.len()).filter(|row| row % 2 == 0).all(|row| left.contains(&row)));
        let left: Vec<Row> = left.into_iter().map(|row| rows[row].clone()).collect();
        prop_assert!(same((tableau.solve(f64::NEG_INFINITY, 1000), tableau.worth()), of(&left)));
    }

    #[test]
    fn what_is_climbed_to_keeps_every_row(case in case(), wanted in 1..8_u64) {
        let case = Case { value: vec![1; case.value.len()], exactly: None, ..case };
        let (columns, rows) = case.columns();
        prop_assume!(!columns.all.is_empty());
        let mut tableau = Tableau::new(&columns, &rows, &Range::of(&columns));
        tableau.solve(f64::NEG_INFINITY, 1000);
        let nobody = vec![0; columns.all.len()];
        let effort = Effort::about(Duration::from_millis(1));
        if let Some(counts) = climb(&columns, &rows, &tableau, &Range::of(&columns), &nobody, (wanted, 0), &effort) {
            prop_assert!(columns.allow(&counts, &[]));
            prop_assert_eq!(columns.worth(&counts), i128::from(wanted));
        }
    }
}
