//! The largest count where the effort is short.

use std::time::Duration;

use crate::plan::solver::effort::Effort;
use crate::plan::solver::problem::{Class, Problem, Row};
use crate::plan::solver::select::Selector;
use crate::plan::testing::Seeded;

/// Hosts that each take from a few rows, and differ in what they take. About half of them can go.
fn dense(seed: u64) -> Problem {
    const HOSTS: usize = 30;
    const ROWS: usize = 12;
    let mut seeded = Seeded(seed);
    let mut class = |rank: usize| {
        let mut takes = Vec::new();
        for row in 0..ROWS {
            if seeded.next().is_multiple_of(3) {
                takes.push((row, 10 + seeded.next() % 90));
            }
        }
        Class { ranks: vec![rank], serving: true, busy: true, takes, ..Class::default() }
    };
    let classes: Vec<Class> = (0..HOSTS).map(&mut class).collect();
    let mut taken = [0; ROWS];
    classes.iter().flat_map(|class| &class.takes).for_each(|&(row, units)| taken[row] += units);
    let rows = taken.map(|units| Row { bound: u128::from(units / 2), is_short: false });
    Problem { candidates: (0..HOSTS).collect(), rows: rows.into(), classes, ..Problem::default() }
}

/// A count is the largest if one host more is proved to be impossible, however it was found.
#[test]
fn a_count_below_an_impossible_one_is_the_largest() {
    // Seeds and works at which a search for the largest count ends before it has proved it, after another one has proved that
    // one host more is impossible.
    for (seed, work) in [(4, 1_171_355), (16, 426_878), (23, 1_639_897), (28, 2_295_856)] {
        let problem = dense(seed);
        let selector = Selector::new(&problem, false);
        let whole = Effort::about(Duration::from_secs(60));
        let best = selector.maximum(&whole);
        assert!(best.proved);
        for count in best.hosts + 1..best.hosts + 4 {
            let (largest, is_answered) = selector.most(count, &whole.part(work));
            assert!(largest.hosts <= best.hosts, "seed {seed}: {count}");
            if is_answered && largest.hosts + 1 == count {
                assert!(largest.proved, "seed {seed}: {count}");
            }
        }
    }
}
