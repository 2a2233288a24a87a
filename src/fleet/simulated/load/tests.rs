//! The contract's formulas, at their edges.

use proptest::prelude::*;

use super::*;
use crate::model::Time;

/// Pools `index` (capacity 10: one host weighs 3 instead of 1), `placement` (needs index) and `billing` (needs
/// placement).
struct World {
    scenario: Scenario,
    state: State,
    membership: LoadMembership,
}

const LOAD: &str = "
[[load]]
subsystem = 'index'
demand = 40.0
per_unit = 5.0
latency = 20.0
[[load]]
subsystem = 'placement'
demand = 0.0
per_unit = 1.0
latency = 7.0
";

impl World {
    fn new() -> Self {
        let pools =
            ["index", "placement", "billing"].map(|p| format!("[[hosts]]\npool = '{p}'\ncount = 8\nzones = ['a']\n"));
        let scenario = Scenario::of(&format!("{}{LOAD}", pools.concat()));
        let state = State::create(&scenario, "fleet".to_owned(), Time::from_millis(0), Time::from_millis(0));
        let mut membership = LoadMembership::default();
        for Blueprint { host: Host { id, .. }, .. } in scenario.hosts.iter() {
            let (pool, _) = id.as_str().split_once('-').expect("pool and number");
            let weight = if id.as_str() == "index-0008" { 3 } else { 1 };
            membership.units.entry(pool.into()).or_default().push((id.clone(), weight));
        }
        membership.depends_on.insert("placement".into(), ["index".into()].into());
        membership.depends_on.insert("billing".into(), ["placement".into()].into());
        Self { scenario, state, membership }
    }

    fn read(&self, subsystem: &str, of: SimulatedMetric) -> f64 {
        metric(&self.scenario, &self.state, &self.membership, &subsystem.into(), of)
    }

    /// Takes index hosts out of service until the pool's capacity is `capacity` units.
    fn set_index(&mut self, capacity: usize) {
        for (n, status) in self.state.hosts.iter_mut().filter(|(id, _)| id.as_str().starts_with("index")).enumerate() {
            let serves = n < capacity && capacity < 8 || capacity == 10;
            status.1.state = if serves { HostState::InService } else { HostState::Cordoned };
        }
    }
}

#[test]
fn readings_follow_demand_over_capacity_in_units() {
    let mut world = World::new();
    assert_eq!(world.read("index", SimulatedMetric::Utilization), 0.8);
    assert_eq!(world.read("index", SimulatedMetric::ErrorRate), 0.0);
    assert_eq!(world.read("index", SimulatedMetric::LatencyMs), 20.0 / (1.0 - 0.8));
    world.set_index(4);
    assert_eq!(world.read("index", SimulatedMetric::Utilization), 2.0);
    assert_eq!(world.read("index", SimulatedMetric::ErrorRate), 0.5);
    assert_eq!(world.read("index", SimulatedMetric::LatencyMs), 20.0 / (1.0 - 0.99));
}

#[test]
fn capacity_is_what_is_in_service_and_healthy() {
    let mut world = World::new();
    world.state.hosts.get_mut("index-0008").expect("there").healthy = false;
    assert_eq!(world.read("index", SimulatedMetric::Utilization), 40.0 / 35.0);
    world.state.hosts.remove("index-0001");
    assert_eq!(world.read("index", SimulatedMetric::Utilization), 40.0 / 30.0);
    world.state.hosts.get_mut("index-0002").expect("there").state = HostState::Pending;
    assert_eq!(world.read("index", SimulatedMetric::Utilization), 40.0 / 25.0);
}

#[test]
fn errors_come_through_dependencies_and_latency_does_not() {
    let mut world = World::new();
    world.set_index(4);
    assert_eq!(world.read("placement", SimulatedMetric::ErrorRate), 0.5);
    assert_eq!(world.read("billing", SimulatedMetric::ErrorRate), 0.5, "transitively");
    assert_eq!(world.read("placement", SimulatedMetric::LatencyMs), 7.0);
    assert_eq!(world.read("placement", SimulatedMetric::Utilization), 0.0);
}

#[test]
fn no_demand_is_no_error_and_demand_without_capacity_is_nothing_but_errors() {
    let mut world = World::new();
    world.state.hosts.clear();
    assert_eq!(world.read("index", SimulatedMetric::ErrorRate), 1.0);
    assert_eq!(world.read("index", SimulatedMetric::LatencyMs), 20.0 / (1.0 - 0.99));
    assert!(world.read("index", SimulatedMetric::Utilization).is_finite());
    assert_eq!(world.read("nobody", SimulatedMetric::ErrorRate), 0.0);
    assert_eq!(world.read("nobody", SimulatedMetric::LatencyMs), 0.0);
    world.state.demand.insert("index".into(), 0.0);
    assert_eq!(world.read("index", SimulatedMetric::ErrorRate), 0.0);
    assert_eq!(world.read("index", SimulatedMetric::LatencyMs), 20.0);
    assert_eq!(world.read("index", SimulatedMetric::Utilization), 0.0);
}

proptest! {
    /// Fewer units never read better, and every reading is a number in its range.
    #[test]
    fn s2_losing_capacity_never_reads_better(capacity in 0_usize..7, factor in 0.0..1e12) {
        let mut world = World::new();
        world.state.demand.insert("index".into(), factor);
        let metrics = [SimulatedMetric::Utilization, SimulatedMetric::ErrorRate, SimulatedMetric::LatencyMs];
        world.set_index(capacity + 1);
        let more = metrics.map(|m| world.read("index", m));
        world.set_index(capacity);
        let less = metrics.map(|m| world.read("index", m));
        for (more, less) in more.into_iter().zip(less) {
            prop_assert!(more.is_finite() && less.is_finite() && less >= more, "{more} -> {less}");
        }
        prop_assert!((0.0..=1.0).contains(&less[1]));
    }
}
