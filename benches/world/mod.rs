//! A fleet in memory, with its policies and an empty ledger, for the benchmarks of the planner.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use safe_remove::model::{
    Bounds, FleetIdentity, FleetMark, FleetSnapshot, Group, Health, Host, HostState, ProbeKey, Tags, Time,
};
use safe_remove::plan::{Inputs, LedgerView, Request, Selection};
use safe_remove::policy::{
    BatchLimit, Budget, CapacityPolicy, ConfirmPolicy, FleetConfig, HealthPolicy, LedgerConfig, LedgerKind, Managed,
    PacePolicy, PolicySet, ProviderConfig, ProviderFloor, ProviderKind, Selector, SubsystemPolicy, TestLevels,
    UnitsSource,
};

pub(crate) const NOON: Time = Time::from_millis(1_488_283_200_000);

/// Everything that a plan may depend on.
pub(crate) struct World {
    policies: PolicySet,
    snapshot: FleetSnapshot,
    ledger: LedgerView,
    bad_probes: BTreeMap<ProbeKey, String>,
    identity: FleetIdentity,
}

impl World {
    pub(crate) fn new(
        hosts: Vec<Host>,
        groups: Vec<Group>,
        subsystems: impl IntoIterator<Item = SubsystemPolicy>,
        subsystem_tag: Option<String>,
    ) -> Self {
        let policies = PolicySet {
            directory: PathBuf::from("policies"),
            fleet: FleetConfig {
                name: "bench".into(),
                provider: ProviderConfig {
                    kind: ProviderKind::Simulated { scenario: PathBuf::new(), state: PathBuf::new() },
                    subsystem_tag,
                    settle: None,
                },
                ledger: LedgerConfig {
                    kind: LedgerKind::Sqlite { path: PathBuf::new() },
                    offline_limit: Duration::from_secs(30),
                },
            },
            subsystems: subsystems.into_iter().map(|policy| (policy.name.clone(), policy)).collect(),
            warnings: Vec::new(),
        };
        let mut ledger = LedgerView::empty("ledger-1".into());
        ledger.accepted = policies.subsystems.clone();
        Self {
            snapshot: FleetSnapshot::new(NOON, NOON, hosts, groups, FleetMark::Open).expect("no contradiction"),
            policies,
            ledger,
            bad_probes: BTreeMap::new(),
            identity: FleetIdentity::simulated("fleet-1"),
        }
    }

    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs {
            policies: &self.policies,
            snapshot: &self.snapshot,
            ledger: &self.ledger,
            bad_probes: &self.bad_probes,
            identity: &self.identity,
            bounds: Bounds::SIMULATED,
            credentials_end: None,
            prove: Inputs::PROVE,
            now: NOON,
        }
    }
}

/// A healthy host outside groups, launched at noon.
pub(crate) fn host(id: &str, zone: &str, tags: Tags) -> Host {
    Host {
        id: id.into(),
        zone: zone.into(),
        group: None,
        instance_type: "m6i.large".into(),
        tags,
        state: HostState::InService,
        health: Health::Healthy,
        launched_at: NOON,
        protection: None,
        ledger: None,
        target_groups: BTreeSet::new(),
        address: None,
        target_health: BTreeMap::new(),
        obstacles: Vec::new(),
    }
}

/// A count of hosts of one subsystem.
pub(crate) fn request(subsystem: &str, count: u64) -> Request {
    Request {
        subsystem: subsystem.into(),
        selection: Selection::Count(NonZeroU64::new(count).expect("at least one host")),
        reason: None,
        request_id: None,
        expect_remaining: None,
    }
}

/// A subsystem of the hosts whose tag of its name has this value. It may lose all of them.
pub(crate) fn policy(name: &str, value: &str) -> SubsystemPolicy {
    SubsystemPolicy {
        hosts: Selector {
            tags: BTreeMap::from([(name.to_owned(), BTreeSet::from([value.to_owned()]))]),
            auto_scaling_groups: BTreeSet::new(),
            never: BTreeMap::new(),
            managed: Managed::Refuse,
        },
        name: name.into(),
        description: None,
        owner: None,
        depends_on: BTreeSet::new(),
        capacity: CapacityPolicy {
            baseline: 1,
            minimum: 0,
            minimum_per_zone: None,
            zones: None,
            survive_zone_loss: false,
            units: UnitsSource::One,
            provider_floor: ProviderFloor::Advised,
        },
        pace: PacePolicy {
            max_hosts_per_run: 100_000,
            batch: BatchLimit::Hosts(5),
            interval: Duration::from_secs(300),
            ramp: true,
            max_unserving: 100_000.into(),
            zones_per_batch: None,
            requires_launch: false,
            budgets: vec![Budget { hosts: 100_000, per: Duration::from_secs(3600) }],
        },
        health: HealthPolicy {
            bake: Duration::from_secs(180),
            every: Duration::from_secs(10),
            reference: Duration::from_secs(30),
            bake_max: Duration::from_secs(540),
            levels: TestLevels::default(),
            probes: Vec::new(),
        },
        hooks: Vec::new(),
        confirm: ConfirmPolicy::default(),
        windows: None,
    }
}
