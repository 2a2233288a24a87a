//! The planner against an independent solver, on fleets that are too large for brute force.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Health, Protection};
use crate::plan::testing::{NOON, Seeded, World, counted, host, policy};
use crate::plan::{PlanDocument, Verdict};
use crate::policy::{Budget, UnitsSource, ZoneMinimum};

use super::certificate::assert_certified;
use super::program::Rules;
use super::proof::{Largest, largest};

/// The named subsystem; every host belongs to it.
pub(super) const NAMED: &str = "all";
const TYPES: [&str; 3] = ["m6i.large", "m6i.xlarge", "m6i.2xlarge"];

/// Random choices for a fleet.
pub(super) struct Random(pub(super) Seeded);

impl Random {
    /// Both ends included.
    pub(super) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.next() % (most - least + 1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.0.next() % 100 < percent
    }

    fn place<T>(&mut self, of: &[T]) -> usize {
        self.within(0, of.len() as u64 - 1) as usize
    }
}

/// How large a fleet is, and how mixed.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) hosts: usize,
    pub(super) subsystems: usize,
    pub(super) zones: usize,
    /// Subsystems that weigh their hosts, in per cent.
    pub(super) weighed: u64,
}

pub(super) fn fleet(size: Size, seed: u64) -> World {
    let mut random = Random(Seeded(seed));
    let names: Vec<String> =
        (0..size.subsystems).map(|s| if s == 0 { NAMED.to_owned() } else { format!("s{s:02}") }).collect();
    let mut world = World::new(names.iter().map(|name| policy(name, 0)));
    hosts(&mut world, &mut random, &names, size.zones, size.hosts);
    weights(&mut world, &mut random, &names, size.weighed);
    for name in &names {
        limits(&mut world, &mut random, name);
    }
    world
}

/// Pools of hosts that share the same one to four subsystems; most pools are a group as well.
fn hosts(world: &mut World, random: &mut Random, names: &[String], zones: usize, count: usize) {
    let zones: Vec<String> = (0..zones).map(|z| format!("zone-{z}")).collect();
    let pools: Vec<Vec<&str>> = (0..random.within(3, 3 + names.len() as u64))
        .map(|_| (0..random.within(0, 3)).map(|_| names[random.place(names)].as_str()).chain([NAMED]).collect())
        .collect();
    let grouped: Vec<bool> = pools.iter().map(|_| random.chance(80)).collect();
    for number in 0..count {
        let pool = random.place(&pools);
        let id = format!("h-{number:04}");
        let mut made = host(&id, &zones[random.place(&zones)], &pools[pool]);
        made.instance_type = TYPES[random.place(&TYPES)].into();
        made.health = if random.chance(5) { Health::Failed } else { Health::Healthy };
        made.protection = random.chance(2).then_some(Protection::ScaleIn);
        made.launched_at = NOON.minus(Duration::from_secs(random.within(1, 1000) * 3600));
        made.group = grouped[pool].then(|| format!("g{pool}").into());
        world.hosts.push(made);
        if random.chance(2) {
            world.reserve(&id);
        }
    }
    let mut members: BTreeMap<_, u64> = BTreeMap::new();
    for group in world.hosts.iter().filter_map(|h| h.group.clone()) {
        *members.entry(group).or_default() += 1;
    }
    for (group, members) in members {
        world.groups.insert(group, members * random.within(30, 95) / 100);
    }
}

fn weights(world: &mut World, random: &mut Random, names: &[String], weighed: u64) {
    for name in names {
        if !random.chance(weighed) {
            continue;
        }
        let units = &mut world.policies.subsystems.get_mut(name.as_str()).expect("it is there").capacity.units;
        if random.chance(70) {
            let weight = |(index, name): (usize, &&str)| ((*name).to_owned(), random.within(1, 4) << index);
            *units = UnitsSource::InstanceType(TYPES.iter().enumerate().map(weight).collect());
            continue;
        }
        *units = UnitsSource::Tag(name.clone());
        let most = random.within(2, 9);
        for host in &mut world.hosts {
            if let Some(tag) = host.tags_mut().get_mut(name) {
                *tag = random.within(1, most).to_string();
            }
        }
    }
}

/// Minimums somewhat below the capacity: if nothing can be spared, or everything, every question is easy.
fn limits(world: &mut World, random: &mut Random, name: &str) {
    let own = world.policies.subsystems[name].clone();
    let mut by_zone: BTreeMap<_, u64> = BTreeMap::new();
    for host in world.hosts.iter().filter(|h| h.tags.contains_key(name) && h.is_healthy()) {
        *by_zone.entry(host.zone.clone()).or_default() += match &own.capacity.units {
            UnitsSource::One => 1,
            UnitsSource::Tag(tag) => host.tags[tag].parse().expect("a weight"),
            UnitsSource::InstanceType(units) => units[&*host.instance_type],
        };
    }
    let total: u64 = by_zone.values().sum();
    let survives = random.chance(50);
    let reachable = if survives { total - by_zone.values().max().copied().unwrap_or(0) } else { total };
    let policy = world.policy_mut(name);
    policy.capacity.survive_zone_loss = survives;
    policy.capacity.minimum = reachable * random.within(60, 98) / 100;
    policy.capacity.baseline = total.max(1);
    policy.capacity.minimum_per_zone = match random.within(0, 2) {
        0 => None,
        1 => Some(ZoneMinimum::Units(total * random.within(50, 95) / 100 / by_zone.len().max(1) as u64)),
        _ => Some(ZoneMinimum::Percent(random.within(50, 95).into())),
    };
    policy.pace.max_hosts_per_run = 100_000;
    if random.chance(20) {
        let hosts = random.within(1, 2 + world.hosts.len() as u64 / 4);
        world.policy_mut(name).pace.budgets = vec![Budget { hosts, per: Duration::from_secs(3600) }];
    }
}

fn agree(document: &PlanDocument, verdict: Verdict, count: u64, rules: &Rules, what: &str) {
    assert_eq!(document.verdict, verdict, "{what}, {count} hosts: {:?}", document.violations);
    let chosen: Vec<_> = document.batches.iter().flat_map(|b| &b.hosts).map(|h| &h.id).collect();
    if verdict == Verdict::Allowed {
        assert_eq!(chosen.len() as u64, count, "{what}");
        assert!(rules.allow(chosen), "{what}: the hosts chosen");
    }
}

/// The planner's largest count is the solver's: that many may go, and one more may not.
fn judged_alike(size: Size, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let what = format!("{} hosts, seed {seed}", size.hosts);
        let world = fleet(size, seed);
        let rules = Rules::of(&world, NAMED);
        let Largest { found, ceiling } = largest(&rules.program());
        assert_eq!(found, ceiling, "{what}: not proved");
        let most = u64::try_from(found).expect("a count");
        for (count, verdict) in [(most, Verdict::Allowed), (most + 1, Verdict::Refused)] {
            if count > 0 {
                let document = counted(&world, NAMED, count).document;
                assert_eq!(document.largest_allowed_count, Some(most), "{what}: {:?}", document.warnings);
                agree(&document, verdict, count, &rules, &what);
            }
        }
        assert_certified(&world, NAMED, most + 1);
    }
}

#[test]
fn s1_hundreds_of_hosts_are_judged_as_another_solver_judges_them() {
    judged_alike(Size { hosts: 200, subsystems: 3, zones: 3, weighed: 0 }, 0..20);
    judged_alike(Size { hosts: 300, subsystems: 5, zones: 3, weighed: 50 }, 10..18);
    judged_alike(Size { hosts: 500, subsystems: 8, zones: 4, weighed: 30 }, 20..28);
}

#[test]
fn s1_thousands_of_hosts_are_judged_as_another_solver_judges_them() {
    judged_alike(Size { hosts: 1000, subsystems: 12, zones: 4, weighed: 30 }, 31..37);
    judged_alike(Size { hosts: 2000, subsystems: 20, zones: 6, weighed: 0 }, 40..46);
    judged_alike(Size { hosts: 4000, subsystems: 20, zones: 6, weighed: 20 }, 52..54);
}

/// Weights that leave shares in many classes: the relaxation rounded to the nearest exceeds some row, and rounded down
/// it wastes what a host of another class could use.
#[test]
fn s1_what_rounding_wastes_is_filled_up() {
    judged_alike(Size { hosts: 300, subsystems: 4, zones: 3, weighed: 100 }, 1012..1014);
    judged_alike(Size { hosts: 1000, subsystems: 12, zones: 4, weighed: 30 }, 37..38);
}

/// Cuts close the gap where branching alone gives up, one host away from the proof or from the largest choice. The
/// other solver gives up too, after minutes: the numbers are what HiGHS 1.16 proved.
#[test]
fn s1_cuts_prove_what_branches_do_not() {
    for (size, seed, most) in [
        (Size { hosts: 400, subsystems: 12, zones: 5, weighed: 70 }, 2011, 133),
        (Size { hosts: 400, subsystems: 12, zones: 5, weighed: 70 }, 2012, 126),
        (Size { hosts: 400, subsystems: 12, zones: 5, weighed: 70 }, 2020, 120),
        (Size { hosts: 300, subsystems: 4, zones: 3, weighed: 100 }, 1010, 31),
        (Size { hosts: 300, subsystems: 4, zones: 3, weighed: 100 }, 1020, 74),
        (Size { hosts: 1000, subsystems: 12, zones: 4, weighed: 30 }, 105, 288),
        (Size { hosts: 4000, subsystems: 20, zones: 6, weighed: 20 }, 57, 985),
    ] {
        let what = format!("{} hosts, seed {seed}", size.hosts);
        let world = fleet(size, seed);
        let rules = Rules::of(&world, NAMED);
        for (count, verdict) in [(most, Verdict::Allowed), (2 * most, Verdict::Refused)] {
            let document = counted(&world, NAMED, count).document;
            let largest = (document.largest_allowed_count, document.exact);
            assert_eq!(largest, (Some(most), true), "{what}: {:?}", document.warnings);
            assert!(!document.warnings.iter().any(|w| w.starts_with("at least")), "{what}: {:?}", document.warnings);
            agree(&document, verdict, count, &rules, &what);
        }
    }
}

/// No bound on work may turn into a wrong answer: a maximum that is not proved is reported as "at least", and is
/// possible.
#[test]
fn s1_what_is_not_proved_is_at_least_possible() {
    let mut world = fleet(Size { hosts: 200, subsystems: 4, zones: 6, weighed: 100 }, 7005);
    let proved = counted(&world, NAMED, 50).document;
    assert_eq!((proved.largest_allowed_count, proved.exact), (Some(49), true));
    world.prove = Duration::ZERO;
    let rules = Rules::of(&world, NAMED);
    let document = counted(&world, NAMED, 49).document;
    assert_eq!((document.largest_allowed_count, document.exact), (Some(49), false));
    assert!(document.warnings.iter().any(|w| w.starts_with("at least 49 hosts can go")), "{:?}", document.warnings);
    agree(&document, Verdict::Allowed, 49, &rules, "200 hosts, seed 7005");
}
