//! What the search adds to its relaxation, checked against every choice. Floats propose, and whatever they propose, no
//! choice of whole hosts may be lost that is within the rows and worth as much as is wanted.

use proptest::prelude::*;

use crate::plan::solver::basis::{Basis, Range, Row};
use crate::plan::solver::counted::Counted;
use crate::plan::solver::rounded_sums::rounded_sums;

/// A few columns and rows, and meaningless proposals.
#[derive(Clone, Debug)]
struct Case {
    rows: Vec<Row>,
    range: Range,
    at: Vec<f64>,
    times: Vec<i64>,
    divisor: i64,
    multiples: Vec<f64>,
    inside: Vec<usize>,
    value: Vec<i64>,
    wanted: i128,
}

fn case() -> impl Strategy<Value = Case> {
    (1_usize..5, 1_usize..4).prop_flat_map(|(columns, rows)| {
        let row = (prop::collection::vec(-9_i128..40, columns), -20_i128..120, prop::bool::weighted(0.2));
        let rows_of = prop::collection::vec(row, rows);
        let range = prop::collection::vec((0_u64..3, 0_u64..4), columns);
        let proposal = (prop::collection::vec(-7_i64..8, rows), 1_i64..60);
        let shares = prop::collection::vec(0.0..=1.0, columns);
        let multiples = prop::collection::vec(prop_oneof![4 => -1.5..1.5, 1 => -1e14..1e14], rows);
        let inside = prop::sample::subsequence((0..columns).collect::<Vec<_>>(), 1..=columns);
        let value = (prop::collection::vec(-3_i64..9, columns), -5_i128..30);
        (rows_of, range, proposal, shares, multiples, inside, value).prop_map(
            |(rows, range, (times, divisor), shares, multiples, inside, (value, wanted))| {
                let takes = |units: Vec<i128>| units.into_iter().enumerate().filter(|(_, units)| *units != 0).collect();
                let rows = rows.into_iter().map(|(units, bound, exact)| Row { takes: takes(units), bound, exact });
                let at = |(share, (low, more)): (&f64, &(u64, u64))| *low as f64 + share * *more as f64;
                Case {
                    rows: rows.collect(),
                    at: shares.iter().zip(&range).map(at).collect(),
                    range: Range {
                        low: range.iter().map(|(low, _)| *low).collect(),
                        high: range.iter().map(|(low, more)| low + more).collect(),
                    },
                    times,
                    divisor,
                    multiples,
                    inside,
                    value,
                    wanted,
                }
            },
        )
    })
}

/// Every choice in the range that is within the rows.
fn choices(case: &Case) -> Vec<Vec<u64>> {
    let mut all = vec![Vec::new()];
    for (&low, &high) in case.range.low.iter().zip(&case.range.high) {
        all = all.iter().flat_map(|some| (low..=high).map(|n| [some.as_slice(), &[n]].concat())).collect();
    }
    all.retain(|counts| case.rows.iter().all(|row| keeps(row, counts)));
    all
}

fn keeps(row: &Row, counts: &[u64]) -> bool {
    let taken: i128 = row.takes.iter().map(|&(column, units)| units * i128::from(counts[column])).sum();
    if row.exact { taken == row.bound } else { taken <= row.bound }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn s1_every_choice_keeps_whatever_is_rounded(case in case()) {
        let rows: Vec<&Row> = case.rows.iter().collect();
        let counted = Counted::of(&rows, &case.range, &case.at).expect("small numbers");
        if let Some(sum) = counted.rounded(&case.times, case.divisor) {
            let cut = counted.cut(sum, &case.times, case.divisor);
            for counts in choices(&case) {
                prop_assert!(keeps(&cut.row, &counts), "{counts:?} breaks {cut:?}");
            }
        }
    }

    #[test]
    fn s1_nothing_that_is_worth_as_much_as_is_wanted_is_left_out(case in case()) {
        let basis = Basis {
            tight: case.rows.iter().collect(),
            multiples: case.inside.iter().map(|_| case.multiples.clone()).collect(),
            inside: case.inside.clone(),
        };
        let narrowed = basis.narrowed(&case.range, |column| case.value[column], case.wanted);
        for counts in choices(&case) {
            let worth: i128 = case.value.iter().zip(&counts).map(|(v, n)| i128::from(*v) * i128::from(*n)).sum();
            if worth >= case.wanted {
                let range = narrowed.as_ref().expect("one of them is worth as much");
                let is_in = |(column, n): (usize, &u64)| (range.low[column]..=range.high[column]).contains(n);
                prop_assert!(counts.iter().enumerate().all(is_in), "{counts:?} is not within {range:?}");
            }
        }
    }
}

/// Two hosts of two units each, with a bound of three units: one and a half in fractions, one in whole hosts.
#[test]
fn what_whole_hosts_cannot_use_is_cut_off() {
    let rows = [Row { takes: vec![(0, 2)], bound: 3, exact: false }];
    let range = Range { low: vec![0], high: vec![2] };
    let at = [1.5];
    let basis = Basis::of(&rows, &range, &[1.5 + 1.5e-6]).expect("one row, one column");
    let cuts: Vec<Row> = rounded_sums(&basis, &range, &at).0.into_iter().map(|cut| cut.row).collect();
    assert_eq!(cuts, [Row { takes: vec![(0, 1)], bound: 1, exact: false }]);
}

#[test]
fn what_does_not_fit_the_integers_is_no_cut() {
    let of = |units: i128, bound: i128| {
        let row = Row { takes: vec![(0, units), (1, 3)], bound, exact: false };
        let range = Range { low: vec![0, 0], high: vec![9, 9] };
        Counted::of(&[&row], &range, &[1.0, 1.0])
    };
    let max = i128::from(i64::MAX);
    assert!(of(5, max + 1).is_none() && of(max + 1, 5).is_none());
    let counted = of(max / 2, max - 1).expect("they fit");
    assert_eq!(counted.rounded(&[5], 7), None);
    assert_eq!(of(5, 8).expect("they fit").rounded(&[i64::MAX], 7), None);
}
