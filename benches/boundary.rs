//! How long a plan takes at the boundary: the largest count that can go, and one host more. Hosts weigh differently in the
//! subsystems that they share.
//!
//! `cargo bench --no-default-features --bench boundary` prints the numbers; nothing here is a timed test. The fleets, and how
//! many of their hosts can go by HiGHS, are from `tests/planner/oracle.py`; docs/planner.md says what its shapes are.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

mod world;

use std::collections::BTreeMap;
use std::hint::black_box;

use divan::Bencher;
use safe_remove::plan::{PlanDocument, plan};
use safe_remove::policy::{SubsystemPolicy, UnitsSource, ZoneMinimum};
use serde::Deserialize;

use world::World;

/// One fleet a line.
const FLEETS: &str = include_str!("boundary.jsonl");

/// The named subsystem; every host belongs to it.
const NAMED: &str = "all";

/// Fleets by their line: as fleets are, scattered, with few to spare, and dense.
const LINES: std::ops::Range<usize> = 0..9;

#[derive(Deserialize)]
struct Fleet {
    shape: String,
    /// Zone, and units by subsystem.
    hosts: Vec<(String, BTreeMap<String, u64>)>,
    /// By subsystem: minimum, minimum of a zone, whether the loss of a zone must be survived, and the most hosts of a run.
    limits: BTreeMap<String, (u64, Option<u64>, bool, u64)>,
    /// A choice of so many hosts is known.
    found: u64,
}

impl Fleet {
    fn at(line: usize) -> Self {
        serde_json::from_str(FLEETS.lines().nth(line).expect("a line")).expect("a fleet")
    }

    fn world(&self) -> World {
        let policies = self.limits.iter().map(|(name, &(minimum, zone, survives, most))| {
            let mut policy: SubsystemPolicy = world::policy(name, "*");
            policy.capacity.units = UnitsSource::Tag(name.clone());
            policy.capacity.baseline = minimum.max(1);
            policy.capacity.minimum = minimum;
            policy.capacity.minimum_per_zone = zone.map(ZoneMinimum::Units);
            policy.capacity.survive_zone_loss = survives;
            policy.pace.max_hosts_per_run = most;
            policy
        });
        let host = |(number, (zone, units)): (usize, &(String, BTreeMap<String, u64>))| {
            let tags = units.iter().map(|(name, units)| (name, units.to_string())).collect();
            world::host(&format!("h{number:04}"), zone, tags)
        };
        World::new(self.hosts.iter().enumerate().map(host).collect(), Vec::new(), policies, None)
    }
}

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

fn make(world: &World, count: u64) -> PlanDocument {
    plan(&world.inputs(), &world::request(NAMED, count)).expect("the fleet can be judged").document
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
