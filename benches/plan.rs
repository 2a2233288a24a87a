//! How long a plan takes, from a snapshot in memory to a plan that the independent check accepts.
//!
//! `cargo bench --no-default-features --bench plan` prints the numbers; nothing here is a timed test.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hint::black_box;
use std::time::Duration;

use divan::{AllocProfiler, Bencher};
use safe_remove::model::{Group, Health, Host};
use safe_remove::ops::OnAllCores;
use safe_remove::plan::{Inputs, PlanDocument, Stage, Taking, Verdict, headroom, plan, verify};
use safe_remove::policy::{Budget, SubsystemPolicy, ZoneMinimum};

use world::{NOON, World};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const ZONES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Counts what is allocated, so that a table of the peak stands beside that of the times.
#[global_allocator]
static MEMORY: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A fleet in which every host serves up to four subsystems, and every rule is in use.
fn world(hosts: usize) -> World {
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
    World::new(all, groups, subsystems, Some("subsystems".to_owned()))
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
        group: Some(format!("group-{:03}", index % 200).into()),
        health: if index.is_multiple_of(97) { Health::Failed } else { Health::Healthy },
        launched_at: NOON.minus(Duration::from_secs(3600 + (index % 1000) as u64)),
        ..world::host(&format!("i-{index:08}"), ZONES[index % ZONES.len()], tags.into())
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
    let mut policy = world::policy(&name, if index % 10 == 3 { "yes-*" } else { "yes" });
    policy.hosts.tags = policy.hosts.tags.into_iter().map(|(tag, values)| (format!("serves-{tag}"), values)).collect();
    if !index.is_multiple_of(10) {
        policy.depends_on = [format!("s{:03}", index - 1).into()].into();
    }
    policy.capacity.baseline = size.max(1);
    policy.capacity.minimum = size * 7 / 10;
    policy.capacity.minimum_per_zone = Some(ZoneMinimum::Units(size / 10));
    policy.capacity.survive_zone_loss = true;
    policy.pace.max_hosts_per_run = 50;
    policy.pace.max_unserving = 50.into();
    policy.pace.requires_launch = true;
    policy.pace.budgets = vec![Budget { hosts: 60, per: Duration::from_secs(3600) }];
    policy
}

fn make(world: &World, count: u64) -> PlanDocument {
    plan(&world.inputs(), &world::request("s042", count)).expect("the fleet can be judged").document
}

/// The floor: each tag of each host looked up by its text, in the simplest way, and the members of each subsystem listed. No
/// rule is judged, and no pattern but by its key.
#[divan::bench(args = SIZES, sample_count = 10)]
fn naive_matching(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = world(hosts);
    let Inputs { policies, snapshot, .. } = world.inputs();
    let keys = policies.subsystems.values().flat_map(|policy| policy.hosts.tags.keys());
    let places: HashMap<&str, usize> = keys.enumerate().map(|(place, key)| (key.as_str(), place)).collect();
    bencher.bench_local(|| {
        let mut members = vec![Vec::new(); places.len()];
        for (index, host) in snapshot.hosts().enumerate() {
            let own = host.tags.iter().filter_map(|(tag, _)| places.get(tag));
            own.for_each(|&place| members[place].push(index));
        }
        black_box(members)
    });
}

/// A count that is allowed, as long as the fleet is large enough for it.
#[divan::bench(args = SIZES, sample_count = 10)]
fn plan_three_hosts(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = world(hosts);
    bencher.bench_local(|| black_box(make(&world, 3)));
}

/// A count that is refused: the largest one that would pass has to be found.
#[divan::bench(args = SIZES, sample_count = 10)]
fn plan_too_many_hosts(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = world(hosts);
    assert_eq!(make(&world, 51).verdict, Verdict::Refused);
    bencher.bench_local(|| black_box(make(&world, 51)));
}

/// The check before every effect, alone.
#[divan::bench(args = SIZES, sample_count = 10)]
fn verify_three_hosts(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = world(hosts);
    let planned = make(&world, 3);
    let taken = planned.batches.iter().flat_map(|b| &b.hosts).map(|h| h.id.clone()).collect();
    let taking = Taking { hosts: taken, out: BTreeSet::new() };
    bencher.bench_local(|| black_box(verify(&world.inputs(), &taking, Stage::Grant)));
}

/// All subsystems, each asked how much it can lose.
#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3)]
fn headroom_of_all(bencher: Bencher<'_, '_>, hosts: usize) {
    let world = world(hosts);
    bencher.bench_local(|| black_box(headroom(&world.inputs(), None, &OnAllCores)));
}
