//! The planner against HiGHS, on fleets that are kept with its answers: `tests/planner/oracle.py` made them, and has the
//! rules written once more in another language. The last one is its `dense(202, 30, 35)` with one subsystem more, `s07x`, of
//! one unit of each host, which must keep one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::certificate::assert_certified;
use crate::plan::testing::{World, counted, host, policy};
use crate::plan::{Constraint, Rule, Verdict};
use crate::policy::{UnitsSource, ZoneMinimum};

/// One fleet a line.
const KEPT: &str = include_str!("../../../tests/planner/kept.jsonl");

/// The named subsystem; every host belongs to it.
const NAMED: &str = "all";

/// A fleet, and how many of its hosts can go.
#[derive(Deserialize)]
struct Kept {
    shape: String,
    seed: u64,
    /// Zone, and units by subsystem.
    hosts: Vec<(String, BTreeMap<String, u64>)>,
    /// By subsystem: minimum, minimum of a zone, whether the loss of a zone must be survived, and the most hosts of a run.
    limits: BTreeMap<String, (u64, Option<u64>, bool, u64)>,
    /// What HiGHS found.
    found: u64,
    /// What HiGHS proved that no choice exceeds.
    bound: u64,
}

impl Kept {
    fn world(&self) -> World {
        let mut world = World::new(self.limits.iter().map(|(name, &(minimum, zone, survives, most))| {
            let mut made = policy(name, minimum);
            made.capacity.units = UnitsSource::Tag(name.clone());
            made.capacity.minimum_per_zone = zone.map(ZoneMinimum::Units);
            made.capacity.survive_zone_loss = survives;
            made.pace.max_hosts_per_run = most;
            made
        }));
        for (number, (zone, units)) in self.hosts.iter().enumerate() {
            let mut made = host(&format!("h{number:04}"), zone, &[]);
            made.tags_mut().extend(units.iter().map(|(name, units)| (name.clone(), units.to_string())));
            world.hosts.push(made);
        }
        world
    }

    /// Whether some choice of so many hosts breaks it, if nothing else matters.
    fn can_break(&self, constraint: &Constraint, count: u64) -> bool {
        let units_of = |(zone, units): &(String, BTreeMap<String, u64>)| {
            let units = *units.get(constraint.subsystem.as_ref()?.as_str())?;
            let is_here = constraint.zone.as_ref().is_none_or(|own| own.as_str() == zone);
            match constraint.rule {
                Rule::RunSize => Some(1),
                Rule::ZoneLoss => (!is_here).then_some(units),
                _ => is_here.then_some(units),
            }
        };
        let mut takes: Vec<u64> = self.hosts.iter().filter_map(units_of).collect();
        takes.sort_unstable_by(|one, other| other.cmp(one));
        takes.iter().zip(0..count).map(|(units, _)| units).sum::<u64>() > constraint.allows
    }
}

#[test]
fn s1_the_largest_count_is_the_one_that_another_solver_proves() {
    let kept: Vec<Kept> = KEPT.lines().map(|line| serde_json::from_str(line).expect("a fleet")).collect();
    assert!(kept.len() >= 100, "only {} fleets", kept.len());
    let mut steps = BTreeSet::new();
    for fleet in &kept {
        let what = format!("{} {}", fleet.shape, fleet.seed);
        assert_eq!(fleet.found, fleet.bound, "{what}: HiGHS did not finish it");
        let world = fleet.world();
        let more = counted(&world, NAMED, fleet.found + 1).document;
        assert_eq!(
            (more.verdict, more.largest_allowed_count, more.exact),
            (Verdict::Refused, Some(fleet.found), true),
            "{what}"
        );
        assert!(more.violations.iter().all(|violation| violation.rule != Rule::NotProved), "{what}");
        for constraint in more.why.iter().flat_map(|why| &why.constraints) {
            assert!(fleet.can_break(constraint, fleet.found + 1), "{what}: {}", constraint.message);
        }
        steps.extend(assert_certified(&world, NAMED, fleet.found + 1));
        if fleet.found > 0 {
            let document = counted(&world, NAMED, fleet.found).document;
            assert_eq!(document.verdict, Verdict::Allowed, "{what}: {:?}", document.violations);
        }
    }
    // Nothing that is only a sum of what hosts take is ever `broken`.
    let all = ["cover", "priced", "rounded"].map(str::to_owned);
    assert_eq!(steps, BTreeSet::from(all), "some kind of step was never checked");
}
