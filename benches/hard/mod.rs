//! Nine fleets that are hard at the boundary, for the benchmarks of the solver.

use std::collections::BTreeMap;

use safe_remove::plan::{PlanDocument, plan};
use safe_remove::policy::{SubsystemPolicy, UnitsSource, ZoneMinimum};
use serde::Deserialize;

use crate::world::{self, World};

/// One fleet a line.
const FLEETS: &str = include_str!("../boundary.jsonl");

/// The named subsystem; every host belongs to it.
const NAMED: &str = "all";

/// Fleets by their line: as fleets are, scattered, with few to spare, and dense.
pub(crate) const LINES: std::ops::Range<usize> = 0..9;

#[derive(Deserialize)]
pub(crate) struct Fleet {
    pub(crate) shape: String,
    /// Zone, and units by subsystem.
    pub(crate) hosts: Vec<(String, BTreeMap<String, u64>)>,
    /// By subsystem: minimum, minimum of a zone, whether the loss of a zone must be survived, and the most hosts of a run.
    pub(crate) limits: BTreeMap<String, (u64, Option<u64>, bool, u64)>,
    /// A choice of so many hosts is known.
    pub(crate) found: u64,
}

impl Fleet {
    pub(crate) fn at(line: usize) -> Self {
        serde_json::from_str(FLEETS.lines().nth(line).expect("a line")).expect("a fleet")
    }

    pub(crate) fn world(&self) -> World {
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

/// The plan of a count of hosts.
pub(crate) fn make(world: &World, count: u64) -> PlanDocument {
    plan(&world.inputs(), &world::request(NAMED, count)).expect("the fleet can be judged").document
}
