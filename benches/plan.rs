//! How long a plan takes, from a snapshot in memory to a plan that the independent check accepts.
//!
//! `cargo bench --no-default-features --bench plan` prints the numbers; nothing here is a timed test.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use divan::{AllocProfiler, Bencher};
use safe_remove::model::{
    Bounds, FleetIdentity, FleetMark, FleetSnapshot, Group, Health, Host, HostState, ProbeKey, Time,
};
use safe_remove::ops::OnAllCores;
use safe_remove::plan::{
    Inputs, LedgerView, PlanDocument, Request, Selection, Stage, Taking, Verdict, headroom, plan, verify,
};
use safe_remove::policy::{
    BatchLimit, Budget, CapacityPolicy, ConfirmPolicy, FleetConfig, HealthPolicy, LedgerConfig, LedgerKind, Managed,
    PacePolicy, PolicySet, ProviderConfig, ProviderFloor, ProviderKind, Selector, SubsystemPolicy, TestLevels,
    UnitsSource, ZoneMinimum,
};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const ZONES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const NOON: Time = Time::from_millis(1_488_283_200_000);

/// Counts what is allocated, so that a table of the peak stands beside that of the times.
#[global_allocator]
static MEMORY: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A fleet in which every host serves up to four subsystems, and every rule is in use.
struct World {
    policies: PolicySet,
    snapshot: FleetSnapshot,
    ledger: LedgerView,
    bad_probes: BTreeMap<ProbeKey, String>,
    identity: FleetIdentity,
}

impl World {
    fn new(hosts: usize) -> Self {
        let count = subsystems(hosts);
        let all: Vec<Host> = (0..hosts).map(|index| host(index, count)).collect();
        let mut sizes = vec![0_u64; count];
        let mut members: BTreeMap<&str, u64> = BTreeMap::new();
        for (index, host) in all.iter().enumerate() {
            serves(index, count).into_iter().for_each(|s| sizes[s] += 1);
            *members.entry(host.group.as_ref().map_or("", |g| g.as_str())).or_default() += 1;
        }
        let groups: Vec<Group> = members.into_iter().map(|(name, members)| group(name, members)).collect();
        let subsystems = sizes.iter().enumerate().map(|(index, &size)| policy(index, size));
        let policies = PolicySet {
            directory: PathBuf::from("policies"),
            fleet: FleetConfig {
                name: "bench".into(),
                provider: ProviderConfig {
                    kind: ProviderKind::Simulated { scenario: PathBuf::new(), state: PathBuf::new() },
                    subsystem_tag: Some("subsystems".to_owned()),
                    settle: None,
                },
                ledger: LedgerConfig {
                    kind: LedgerKind::Sqlite { path: PathBuf::new() },
                    offline_limit: Duration::from_secs(30),
                },
            },
            subsystems: subsystems.map(|p| (p.name.clone(), p)).collect(),
            warnings: Vec::new(),
        };
        let mut ledger = LedgerView::empty("ledger-1".into());
        ledger.accepted = policies.subsystems.clone();
        Self {
            snapshot: FleetSnapshot::new(NOON, NOON, all, groups, FleetMark::Open).expect("no contradiction"),
            policies,
            ledger,
            bad_probes: BTreeMap::new(),
            identity: FleetIdentity::simulated("fleet-1"),
        }
    }

    fn inputs(&self) -> Inputs<'_> {
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

/// A hundred in a small fleet, a thousand in a large one.
fn subsystems(hosts: usize) -> usize {
    (hosts / 100).clamp(100, 1000)
}

/// One to four subsystems, scattered but always the same ones.
fn serves(host: usize, subsystems: usize) -> BTreeSet<usize> {
    let mix = |salt: usize| (host.wrapping_mul(2_654_435_761).wrapping_add(salt * 40_503)) >> 7;
    (0..=mix(9) % 4).map(|n| mix(n) % subsystems).collect()
}

fn host(index: usize, subsystems: usize) -> Host {
    let own = serves(index, subsystems);
    let names: Vec<String> = own.iter().map(|s| format!("s{s:03}")).collect();
    let mut tags: BTreeMap<String, String> =
        own.iter().map(|s| (format!("serves-s{s:03}"), if s % 10 == 3 { "yes-1" } else { "yes" }.to_owned())).collect();
    tags.insert("subsystems".to_owned(), names.join(","));
    Host {
        id: format!("i-{index:08}").into(),
        zone: ZONES[index % ZONES.len()].into(),
        group: Some(format!("group-{:03}", index % 200).into()),
        instance_type: "m6i.large".into(),
        tags: Arc::new(tags),
        state: HostState::InService,
        health: if index.is_multiple_of(97) { Health::Failed } else { Health::Healthy },
        launched_at: NOON.minus(Duration::from_secs(3600 + (index % 1000) as u64)),
        protection: None,
        ledger: None,
        target_groups: BTreeSet::new(),
        address: None,
        target_health: BTreeMap::new(),
        obstacles: Vec::new(),
    }
}

fn group(name: &str, members: u64) -> Group {
    Group {
        name: name.into(),
        min_size: members / 2,
        max_size: members * 2,
        desired: members,
        stated_members: members,
        launch_failure: None,
        ledger: None,
        suspended: BTreeSet::new(),
        deleting: false,
        obstacles: Vec::new(),
        changes: Default::default(),
        notes: Vec::new(),
    }
}

/// Selected by a tag, now and then with a pattern. About a tenth of each subsystem may go; each zone keeps its share, and
/// the loss of any zone is survived.
fn policy(index: usize, size: u64) -> SubsystemPolicy {
    let name = format!("s{index:03}");
    SubsystemPolicy {
        hosts: Selector {
            tags: BTreeMap::from([(
                format!("serves-{name}"),
                BTreeSet::from([if index % 10 == 3 { "yes-*" } else { "yes" }.to_owned()]),
            )]),
            auto_scaling_groups: BTreeSet::new(),
            never: BTreeMap::new(),
            managed: Managed::Refuse,
        },
        name: name.as_str().into(),
        description: None,
        owner: None,
        depends_on: if index.is_multiple_of(10) {
            BTreeSet::new()
        } else {
            [format!("s{:03}", index - 1).into()].into()
        },
        capacity: CapacityPolicy {
            baseline: size.max(1),
            minimum: size * 7 / 10,
            minimum_per_zone: Some(ZoneMinimum::Units(size / 10)),
            zones: None,
            survive_zone_loss: true,
            units: UnitsSource::One,
            provider_floor: ProviderFloor::Advised,
        },
        pace: PacePolicy {
            max_hosts_per_run: 50,
            batch: BatchLimit::Hosts(5),
            interval: Duration::from_secs(300),
            ramp: true,
            max_unserving: 50.into(),
            zones_per_batch: None,
            requires_launch: true,
            budgets: vec![Budget { hosts: 60, per: Duration::from_secs(3600) }],
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

fn make(world: &World, count: u64) -> PlanDocument {
    let request = Request {
        subsystem: "s042".into(),
        selection: Selection::Count(std::num::NonZeroU64::new(count).expect("at least one host")),
        reason: None,
        request_id: None,
        expect_remaining: None,
    };
    plan(&world.inputs(), &request).expect("the fleet can be judged").document
}

/// A count that is allowed, as long as the fleet is large enough for it.
#[divan::bench(args = SIZES, sample_count = 10)]
fn plan_three_hosts(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = World::new(hosts);
    bencher.bench_local(|| black_box(make(&world, 3)));
}

/// A count that is refused: the largest one that would pass has to be found.
#[divan::bench(args = SIZES, sample_count = 10)]
fn plan_too_many_hosts(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = World::new(hosts);
    assert_eq!(make(&world, 51).verdict, Verdict::Refused);
    bencher.bench_local(|| black_box(make(&world, 51)));
}

/// The check before every effect, alone.
#[divan::bench(args = SIZES, sample_count = 10)]
fn verify_three_hosts(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = World::new(hosts);
    let planned = make(&world, 3);
    let taken = planned.batches.iter().flat_map(|b| &b.hosts).map(|h| h.id.clone()).collect();
    let taking = Taking { hosts: taken, out: BTreeSet::new() };
    bencher.bench_local(|| black_box(verify(&world.inputs(), &taking, Stage::Grant)));
}

/// All subsystems, each asked how much it can lose.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3)]
fn headroom_of_all(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = World::new(hosts);
    bencher.bench_local(|| black_box(headroom(&world.inputs(), None, &OnAllCores)));
}
