//! `microlp`'s own branch and bound on the fleets of the boundary, beside the planner's solver.
//!
//! `cargo bench --no-default-features --bench solvers` prints, of each, what was found and what was proved, and how long that
//! took. `tests/planner/oracle.py --file benches/boundary.jsonl` does the same for HiGHS.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

mod hard;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOptions};

use hard::{Fleet, LINES, make};

/// The time that `microlp` has for each.
const LIMIT: Duration = Duration::from_secs(20);

fn main() {
    println!("line, shape, hosts, subsystems | the planner, asked for one more than can go | microlp alone");
    for line in LINES {
        let fleet = Fleet::at(line);
        let begun = Instant::now();
        let document = make(&fleet.world(), fleet.found + 1);
        let took = begun.elapsed().as_secs_f64();
        let largest = document.largest_allowed_count.expect("a count was asked for");
        let ours = if document.exact { format!("{largest}, proved") } else { format!("at least {largest}") };
        let (hosts, subsystems) = (fleet.hosts.len(), fleet.limits.len());
        println!("{line}, {}, {hosts}, {subsystems} | {ours}, {took:.2} s | {}", fleet.shape, alone(&fleet));
    }
}

/// The answer of `microlp` for a fleet's rows.
fn alone(fleet: &Fleet) -> String {
    let mut program = Problem::new(OptimizationDirection::Maximize);
    let hosts: Vec<_> = fleet.hosts.iter().map(|_| program.add_binary_var(1.0)).collect();
    for (bound, takes) in rows(fleet) {
        let sum: Vec<_> = takes.iter().map(|&(host, units)| (hosts[host], units as f64)).collect();
        program.add_constraint(sum, ComparisonOp::Le, bound as f64);
    }
    let mut options = SolveOptions::default();
    options.time_limit = Some(LIMIT);
    let begun = Instant::now();
    let solved = program.solve_with(options).map(microlp::SolveOutcome::into_solution);
    let took = begun.elapsed().as_secs_f64();
    match solved {
        Ok(Ok(solution)) => {
            let bound = solution.stats().best_bound;
            format!("{:.0}, {:?}, no more than {bound:.2?}, {took:.2} s", solution.objective(), solution.status())
        }
        Ok(Err(_)) => format!("nothing, {took:.2} s"),
        Err(error) => format!("{error}, {took:.2} s"),
    }
}

/// The limits of the choice, as `tests/planner/oracle.py` has them: a bound, and the units of hosts.
fn rows(fleet: &Fleet) -> Vec<(u64, Vec<(usize, u64)>)> {
    let mut rows = Vec::new();
    for (name, &(minimum, zone_minimum, survives, most)) in &fleet.limits {
        let hosts = fleet.hosts.iter().enumerate();
        let own: Vec<(usize, &str, u64)> =
            hosts.filter_map(|(host, (zone, units))| Some((host, zone.as_str(), *units.get(name)?))).collect();
        let mut zones: BTreeMap<&str, u64> = BTreeMap::new();
        own.iter().for_each(|&(_, zone, units)| *zones.entry(zone).or_default() += units);
        let all: u64 = zones.values().sum();
        let of = |is_in: &dyn Fn(&str) -> bool| {
            own.iter().filter(|(_, zone, _)| is_in(zone)).map(|&(host, _, units)| (host, units)).collect::<Vec<_>>()
        };
        rows.push((most, own.iter().map(|&(host, _, _)| (host, 1)).collect()));
        rows.push((all.saturating_sub(minimum), of(&|_| true)));
        for (&zone, &here) in &zones {
            if let Some(least) = zone_minimum {
                rows.push((here.saturating_sub(least), of(&|of| of == zone)));
            }
            if survives {
                rows.push(((all - here).saturating_sub(minimum), of(&|of| of != zone)));
            }
        }
    }
    rows.retain(|(bound, takes)| takes.iter().map(|(_, units)| units).sum::<u64>() > *bound);
    rows
}
