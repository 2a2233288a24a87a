//! How long a plan takes at the boundary: the largest count that can go, and one host more. Hosts weigh differently in the
//! subsystems that they share.
//!
//! `cargo bench --no-default-features --bench boundary` prints the numbers; nothing here is a timed test. The fleets, and how
//! many of their hosts can go by HiGHS, are from `tests/planner/oracle.py`; docs/planner.md says what its shapes are.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

mod hard;
mod world;

use std::hint::black_box;

use divan::Bencher;

use hard::{Fleet, LINES, make};

fn main() {
    println!("line, shape, hosts, subsystems: can go; what is said of one more");
    for line in LINES {
        let fleet = Fleet::at(line);
        let document = make(&fleet.world(), fleet.found + 1);
        let (hosts, subsystems) = (fleet.hosts.len(), fleet.limits.len());
        let said = document.largest_allowed_count.expect("a count was asked for");
        let at_least = if document.exact { "" } else { "at least " };
        println!("{line}, {}, {hosts}, {subsystems}: {}; {at_least}{said}", fleet.shape, fleet.found);
    }
    divan::main();
}

/// The largest count that is known to be possible.
#[divan::bench(args = LINES, sample_count = 3)]
fn as_many_as_can_go(bencher: Bencher<'_, '_>, line: usize) {
    let fleet = Fleet::at(line);
    let world = fleet.world();
    bencher.bench_local(|| black_box(make(&world, fleet.found)));
}

/// One host more: refused with a proof, or for want of one.
#[divan::bench(args = LINES, sample_count = 3)]
fn one_more(bencher: Bencher<'_, '_>, line: usize) {
    let fleet = Fleet::at(line);
    let world = fleet.world();
    bencher.bench_local(|| black_box(make(&world, fleet.found + 1)));
}
