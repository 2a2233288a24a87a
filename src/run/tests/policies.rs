//! The policies of the world in memory: one subsystem, minimum six of twelve, batches of two, a bake of a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::policy::{
    BatchLimit, Budget, CapacityPolicy, ConfirmPolicy, FleetConfig, HealthPolicy, LedgerConfig, LedgerKind, Limits,
    Managed, PacePolicy, PolicySet, ProbeKind, ProbeRole, ProbeSpec, ProviderConfig, ProviderFloor, ProviderKind,
    Selector, SimulatedMetric, SubsystemPolicy, TestLevels, UnitsSource,
};

pub(super) fn policies() -> PolicySet {
    let index = SubsystemPolicy {
        name: "index".into(),
        description: None,
        owner: None,
        depends_on: BTreeSet::new(),
        hosts: Selector {
            tags: BTreeMap::from([("role".to_owned(), BTreeSet::from(["index".to_owned()]))]),
            auto_scaling_groups: BTreeSet::new(),
            never: BTreeMap::new(),
            managed: Managed::Refuse,
        },
        capacity: CapacityPolicy {
            baseline: 12,
            minimum: 6,
            minimum_per_zone: None,
            zones: None,
            survive_zone_loss: false,
            units: UnitsSource::One,
            provider_floor: ProviderFloor::Advised,
        },
        pace: PacePolicy {
            max_hosts_per_run: 6,
            batch: BatchLimit::Hosts(2),
            interval: Duration::from_secs(120),
            ramp: false,
            max_unserving: 100.into(),
            zones_per_batch: None,
            requires_launch: false,
            budgets: vec![Budget { hosts: 6, per: Duration::from_secs(3600) }],
        },
        health: HealthPolicy {
            bake: Duration::from_secs(60),
            every: Duration::from_secs(10),
            reference: Duration::from_secs(30),
            bake_max: Duration::from_secs(180),
            levels: TestLevels::default(),
            probes: vec![ProbeSpec {
                name: "errors".to_owned(),
                kind: ProbeKind::Simulated { metric: SimulatedMetric::ErrorRate },
                timeout: Duration::from_secs(5),
                max_age: None,
                limits: Limits { max: Some(0.01), ..Limits::default() },
                failures: None,
                role: ProbeRole::Watch,
                unit: None,
            }],
        },
        hooks: Vec::new(),
        confirm: ConfirmPolicy::default(),
        windows: None,
    };
    PolicySet {
        directory: PathBuf::from("policies"),
        fleet: FleetConfig {
            name: "demo".into(),
            provider: ProviderConfig {
                kind: ProviderKind::Simulated { scenario: PathBuf::new(), state: PathBuf::new() },
                subsystem_tag: None,
                settle: None,
            },
            ledger: LedgerConfig {
                kind: LedgerKind::Sqlite { path: PathBuf::new() },
                offline_limit: Duration::from_secs(30),
            },
        },
        subsystems: BTreeMap::from([(index.name.clone(), index)]),
        warnings: Vec::new(),
    }
}
