//! The planner against brute force: every subset of hosts of small random fleets is judged by code that shares nothing
//! with the planner or the check but the names of things.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::certificate::certificate;
use super::checker::check;

use crate::model::{Health, HostId, Protection, TargetHealth};
use crate::plan::constraints::Constraints;
use crate::plan::explain::{Exclusion, exclusion, is_meant};
use crate::plan::gates::Gates;
use crate::plan::membership::Membership;
use crate::plan::planner::plan_over;
use crate::plan::solver::{Effort, Selector};
use crate::plan::stock::Ground;
use crate::plan::testing::{NOON, World, host, policy};
use crate::plan::verify::verify_over;
use crate::plan::{InTurn, PlanDocument, Request, Selection, Stage, Taking, Verdict, headroom, plan};
use crate::policy::{Budget, UnitsSource, ZoneMinimum};

/// The named subsystem first; the others come by name.
pub(super) const SUBSYSTEMS: [&str; 3] = ["mid", "aft", "zen"];
pub(super) const ZONES: [&str; 3] = ["a", "b", "c"];

/// The target groups of the fleets.
const TARGET_GROUPS: [&str; 2] = ["tg-admin", "tg-web"];

/// What the provider says about a host's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TestHealth {
    /// Passes in each target group that it is in.
    Well { registered: [bool; 2] },
    /// Its own status checks fail.
    Failed,
    /// Its own status checks do not fail; by target group, what the group says about it, if it is in the group.
    Unwell([Option<TargetHealth>; 2]),
}

#[derive(Clone, Debug)]
pub(super) struct TestHost {
    pub(super) zone: usize,
    /// Units by subsystem; 0 is not a member.
    pub(super) units: [u64; 3],
    pub(super) health: TestHealth,
    pub(super) held: bool,
    protected: bool,
    pub(super) group: usize,
    age: u64,
}

#[derive(Clone, Debug)]
pub(super) struct TestPolicy {
    pub(super) minimum: u64,
    pub(super) zone_minimum: Option<u64>,
    survive: bool,
    most: u64,
    budget: Option<u64>,
    pub(super) halted: bool,
}

#[derive(Clone, Debug)]
pub(super) struct TestFleet {
    pub(super) hosts: Vec<TestHost>,
    pub(super) policies: Vec<TestPolicy>,
    group_minimums: [u64; 2],
}

fn test_health() -> impl Strategy<Value = TestHealth> {
    let says = || {
        let one = prop_oneof![
            3 => Just(TargetHealth::Fails), 1 => Just(TargetHealth::Passes), 1 => Just(TargetHealth::Unsure)
        ];
        prop::option::weighted(0.7, one)
    };
    prop_oneof![
        7 => any::<[bool; 2]>().prop_map(|registered| TestHealth::Well { registered }),
        2 => Just(TestHealth::Failed),
        3 => [says(), says()].prop_map(TestHealth::Unwell),
    ]
}

fn test_host() -> impl Strategy<Value = TestHost> {
    let units = || prop_oneof![2 => Just(0_u64), 3 => Just(1), 1 => 2..5_u64];
    let named = prop_oneof![1 => Just(0_u64), 8 => Just(1), 3 => 2..4_u64];
    let unlikely = || prop::bool::weighted(0.08);
    (0..3_usize, named, units(), units(), test_health(), unlikely(), unlikely(), 0..3_usize, 0..3_u64).prop_map(
        |(zone, mid, aft, zen, health, held, protected, group, age)| TestHost {
            zone,
            units: [mid, aft, zen],
            health,
            held,
            protected,
            group,
            age,
        },
    )
}

impl TestHost {
    fn is_well(&self) -> bool {
        matches!(self.health, TestHealth::Well { .. })
    }

    /// By target group, what the group says about the host.
    fn words(&self) -> [Option<TargetHealth>; 2] {
        match self.health {
            TestHealth::Well { registered } => registered.map(|is| is.then_some(TargetHealth::Passes)),
            TestHealth::Failed => [None; 2],
            TestHealth::Unwell(words) => words,
        }
    }
}

/// A zone of a subsystem.
#[derive(Clone, Copy, Default)]
pub(super) struct TestZone {
    /// Units that serve now.
    before: u64,
    /// Units that serve afterwards.
    left: u64,
    takes_capacity: bool,
    takes_doubtful: bool,
}

impl TestZone {
    /// Whether what is taken from these zones leaves less than they must keep, or is doubtful while there is already
    /// less.
    pub(super) fn refuse(zones: &[Self], minimum: u64) -> bool {
        let is_below = zones.iter().map(|zone| zone.left).sum::<u64>() < minimum;
        zones.iter().any(|zone| zone.takes_capacity) && is_below || Self::bar(zones, minimum)
    }

    /// Whether what is taken from them is doubtful, and there is already less than they must keep.
    pub(super) fn bar(zones: &[Self], minimum: u64) -> bool {
        zones.iter().any(|zone| zone.takes_doubtful) && zones.iter().map(|zone| zone.before).sum::<u64>() < minimum
    }
}

fn test_policy() -> impl Strategy<Value = TestPolicy> {
    (
        0..7_u64,
        prop_oneof![2 => Just(None), 1 => (0..3_u64).prop_map(Some)],
        prop::bool::weighted(0.3),
        prop_oneof![2 => Just(100_u64), 1 => 1..4_u64],
        prop_oneof![3 => Just(None), 1 => (1..4_u64).prop_map(Some)],
        prop::bool::weighted(0.05),
    )
        .prop_map(|(minimum, zone_minimum, survive, most, budget, halted)| TestPolicy {
            minimum,
            zone_minimum,
            survive,
            most,
            budget,
            halted,
        })
}

pub(super) fn test_fleet() -> impl Strategy<Value = TestFleet> {
    (prop::collection::vec(test_host(), 1..9), prop::collection::vec(test_policy(), 3), [0..3_u64, 0..5_u64])
        .prop_map(|(hosts, policies, group_minimums)| TestFleet { hosts, policies, group_minimums })
}

pub(super) fn id(index: usize) -> String {
    // Not in the order of the hosts: ids must not decide by accident what ages decide.
    format!("h-{}{index}", (index * 7) % 5)
}

impl TestFleet {
    pub(super) fn world(&self) -> World {
        let mut world = World::new(SUBSYSTEMS.iter().zip(&self.policies).map(|(name, test)| {
            let mut made = policy(name, test.minimum);
            made.capacity.units = UnitsSource::Tag((*name).to_owned());
            made.capacity.minimum_per_zone = test.zone_minimum.map(ZoneMinimum::Units);
            made.capacity.survive_zone_loss = test.survive;
            made.pace.max_hosts_per_run = test.most;
            made.pace.budgets =
                test.budget.iter().map(|&hosts| Budget { hosts, per: Duration::from_secs(60) }).collect();
            made
        }));
        for (name, test) in SUBSYSTEMS.iter().zip(&self.policies) {
            if test.halted {
                world.ledger.halts.push((Some((*name).into()), "test".to_owned()));
            }
        }
        for (index, test) in self.hosts.iter().enumerate() {
            let mut made = host(&id(index), ZONES[test.zone], &[]);
            for (name, units) in SUBSYSTEMS.iter().zip(test.units).filter(|(_, units)| *units > 0) {
                made.tags_mut().insert((*name).to_owned(), units.to_string());
            }
            made.health = match test.health {
                TestHealth::Well { .. } => Health::Healthy,
                TestHealth::Failed => Health::Failed,
                TestHealth::Unwell(_) => Health::Doubtful,
            };
            for (group, health) in TARGET_GROUPS.iter().zip(test.words()) {
                made.target_groups.extend(health.map(|_| (*group).into()));
                made.target_health.extend(health.map(|health| ((*group).into(), health)));
            }
            made.protection = test.protected.then_some(Protection::ScaleIn);
            made.group = (test.group < 2).then(|| format!("g{}", test.group).into());
            made.launched_at = NOON.minus(Duration::from_secs(1000 * (1 + test.age)));
            world.hosts.push(made);
            if test.held {
                world.reserve(&id(index));
            }
        }
        for (group, minimum) in self.group_minimums.iter().enumerate() {
            world.groups.insert(format!("g{group}").into(), *minimum);
        }
        world
    }

    pub(super) fn is_candidate(&self, host: &TestHost) -> bool {
        host.units[0] > 0 && !host.held && !host.protected
    }

    pub(super) fn is_capacity(host: &TestHost) -> bool {
        host.is_well() && !host.held && !host.protected
    }

    /// Neither well nor known not to serve: some check fails, but it may still get work.
    pub(super) fn is_doubtful(&self, host: &TestHost, subsystem: usize) -> bool {
        let TestHealth::Unwell(words) = host.health else { return false };
        let is_in: Vec<usize> = (0..2).filter(|&group| words[group].is_some()).collect();
        let passes = |other: &TestHost, group: usize| other.words()[group] == Some(TargetHealth::Passes);
        let is_out = |group: usize| {
            let others = self.hosts.iter().filter(|other| other.units[subsystem] > 0 && !other.held);
            words[group] == Some(TargetHealth::Fails) && others.into_iter().any(|other| passes(other, group))
        };
        is_in.is_empty() || !is_in.into_iter().all(is_out)
    }

    /// Known not to serve any of its subsystems.
    fn is_idle(&self, host: &TestHost) -> bool {
        !host.is_well() && (0..3).all(|s| host.units[s] == 0 || !self.is_doubtful(host, s))
    }

    /// The effect of a choice on a subsystem in a zone.
    pub(super) fn zone(&self, mask: u32, subsystem: usize, zone: usize) -> TestZone {
        let mut sums = TestZone::default();
        for (index, host) in self.hosts.iter().enumerate() {
            if host.zone != zone || host.units[subsystem] == 0 {
                continue;
            }
            let is_taken = mask >> index & 1 == 1;
            if Self::is_capacity(host) {
                sums.before += host.units[subsystem];
                sums.left += if is_taken { 0 } else { host.units[subsystem] };
                sums.takes_capacity |= is_taken;
            } else {
                sums.takes_doubtful |= is_taken && self.is_doubtful(host, subsystem);
            }
        }
        sums
    }

    /// Rules 1 to 6.
    fn may_go(&self, mask: u32) -> bool {
        let taken = || self.hosts.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1).map(|(_, h)| h);
        if !taken().all(|h| self.is_candidate(h)) {
            return false;
        }
        for (group, minimum) in self.group_minimums.iter().enumerate() {
            let leaving = taken().filter(|h| h.group == group).count() as u64;
            let members = self.hosts.iter().filter(|h| h.group == group && !h.held).count() as u64;
            if leaving > 0 && members - leaving < *minimum {
                return false;
            }
        }
        (0..3).all(|s| {
            let policy = &self.policies[s];
            let count = taken().filter(|h| h.units[s] > 0).count() as u64;
            let zones = [0, 1, 2].map(|zone| self.zone(mask, s, zone));
            let is_short = TestZone::refuse;
            let without = |zone: usize| (0..3).filter(|z| *z != zone).map(|z| zones[z]).collect::<Vec<_>>();
            // A zone without a host of the subsystem is not one of its zones; losing it loses nothing.
            count <= policy.most.min(policy.budget.unwrap_or(u64::MAX))
                && !is_short(&zones, policy.minimum)
                && zones.iter().all(|zone| !is_short(&[*zone], policy.zone_minimum.unwrap_or(0)))
                && (!policy.survive || (0..3).all(|zone| !is_short(&without(zone), policy.minimum)))
        })
    }

    fn is_halted(&self, mask: u32) -> bool {
        self.hosts
            .iter()
            .enumerate()
            .any(|(index, host)| mask >> index & 1 == 1 && (0..3).any(|s| host.units[s] > 0 && self.policies[s].halted))
    }

    /// The contract's order of preference, smallest first.
    fn key(&self, mask: u32) -> impl Ord + use<> {
        let taken: Vec<(usize, &TestHost)> =
            self.hosts.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).collect();
        let unevenness = [0, 1, 2].map(|s| (0..3).map(|z| self.zone(mask, s, z).left.pow(2)).sum::<u64>());
        let mut ages: Vec<(u64, String)> = taken.iter().map(|(i, h)| (100 - h.age, id(*i))).collect();
        ages.sort();
        (self.first_levels(mask), unevenness, ages)
    }

    fn first_levels(&self, mask: u32) -> (usize, usize) {
        let taken = || self.hosts.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1).map(|(_, h)| h);
        let others = taken().map(|h| h.units[1..].iter().filter(|u| **u > 0).count()).sum();
        (taken().filter(|h| !self.is_idle(h)).count(), others)
    }

    fn place(&self, host: &HostId) -> usize {
        (0..self.hosts.len()).find(|i| id(*i) == host.as_str()).expect("a host of the fleet")
    }

    fn ids(&self, mask: u32) -> BTreeSet<HostId> {
        (0..self.hosts.len()).filter(|i| mask >> i & 1 == 1).map(|i| id(i).into()).collect()
    }
}

pub(super) fn request(selection: Selection) -> Request {
    Request { subsystem: SUBSYSTEMS[0].into(), selection, reason: None, request_id: None, expect_remaining: None }
}

pub(super) fn chosen(document: &PlanDocument) -> BTreeSet<HostId> {
    document.batches.iter().flat_map(|b| &b.hosts).map(|h| h.id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Never a refusal of a count for which some choice satisfies every rule, and never an allowed plan that breaks
    /// one; always the true maximum, and the preferred choice to the last host.
    #[test]
    fn s1_counts_are_judged_as_brute_force_judges_them(fleet in test_fleet()) {
        let world = fleet.world();
        let mut largest = 0;
        let mut by_count: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for mask in 1..1_u32 << fleet.hosts.len() {
            if fleet.may_go(mask) {
                largest = largest.max(mask.count_ones());
                if !fleet.is_halted(mask) {
                    by_count.entry(mask.count_ones()).or_default().push(mask);
                }
            }
        }
        let snapshot = world.snapshot();
        let inputs = world.inputs(&snapshot);
        let membership = Membership::new(inputs.policies, inputs.snapshot);
        for count in 1..=fleet.hosts.len() as u32 + 1 {
            let counted = request(Selection::counted(count.into()));
            let document = plan_over(&inputs, &membership, &counted).expect("judged").document;
            prop_assert_eq!(document.largest_allowed_count, Some(u64::from(largest)));
            let expected = by_count.get(&count).map(|masks| masks.iter().min_by_key(|m| fleet.key(**m)));
            match expected.flatten() {
                Some(best) => {
                    prop_assert_eq!(document.verdict, Verdict::Allowed, "{:?}", document.violations);
                    prop_assert_eq!(chosen(&document), fleet.ids(*best));
                }
                None => {
                    prop_assert_eq!(document.verdict, Verdict::Refused);
                    prop_assert!(!document.violations.is_empty());
                }
            }
            let certificate = certificate(&world, SUBSYSTEMS[0], count.into());
            prop_assert_eq!(certificate.is_some(), count > largest);
            prop_assert_eq!(certificate.map_or(Ok(()), |certificate| check(&certificate)), Ok(()));
        }
    }

    /// The check before every effect agrees with brute force on any set of hosts.
    #[test]
    fn s1_sets_are_judged_as_brute_force_judges_them(fleet in test_fleet(), mask in any::<u32>()) {
        let mask = mask & ((1 << fleet.hosts.len()) - 1);
        let world = fleet.world();
        let taking = Taking { hosts: fleet.ids(mask), out: BTreeSet::new() };
        let snapshot = world.snapshot();
        let inputs = world.inputs(&snapshot);
        let membership = Membership::new(inputs.policies, inputs.snapshot);
        let gates = Gates::new(&inputs, &membership);
        let found = verify_over(&inputs, &membership, &gates, &taking, Stage::Grant).expect("judged");
        let belongs = (0..fleet.hosts.len()).all(|i| mask >> i & 1 == 0 || fleet.hosts[i].units[0] > 0);
        // Brute force does not cover hosts outside the named subsystem.
        prop_assume!(belongs);
        let fine = mask != 0 && fleet.may_go(mask) && !fleet.is_halted(mask);
        prop_assert_eq!(found.is_empty(), fine, "{:?}", found);
        // No request names no host.
        prop_assume!(mask != 0);
        let hosts: Vec<HostId> = fleet.ids(mask).into_iter().collect();
        let made = plan_over(&inputs, &membership, &request(Selection::named(hosts))).expect("judged");
        prop_assert_eq!(made.document.verdict == Verdict::Allowed, fine, "{:?}", made.document.violations);
        prop_assert_eq!(made.document.largest_allowed_count, None);
    }

    /// If there are too many choices to look at them all: still the true maximum, a choice that may go, and the first
    /// two levels of preference at their best.
    #[test]
    fn s1_large_fleets_lose_only_the_finer_preferences(fleet in test_fleet()) {
        let world = fleet.world();
        let snapshot = world.snapshot();
        let inputs = world.inputs(&snapshot);
        let membership = Membership::new(inputs.policies, inputs.snapshot);
        let gates = Gates::new(&inputs, &membership);
        let named = membership.find_subsystem(&SUBSYSTEMS[0].into()).expect("it is there");
        let ground = Ground::new(&inputs, &membership, &gates);
        let Constraints { problem, .. } = Constraints::new(&ground, named).expect("judged");
        let mut selector = Selector::new(&problem, false);
        selector.ways = 0;
        let masks: Vec<u32> = (1..1 << fleet.hosts.len()).filter(|mask| fleet.may_go(*mask)).collect();
        let maximum = selector.maximum(&Effort::about(Duration::from_secs(1)));
        prop_assert!(maximum.proved);
        prop_assert_eq!(maximum.hosts, masks.iter().map(|m| u64::from(m.count_ones())).max().unwrap_or(0));
        for count in 1..=maximum.hosts {
            let chosen = selector.choose(count, &maximum);
            let mask = chosen.iter().fold(0_u32, |mask, &host| mask | 1 << fleet.place(&membership.host(host).id));
            prop_assert_eq!(u64::from(mask.count_ones()), count);
            prop_assert!(fleet.may_go(mask));
            let best = masks.iter().filter(|m| u64::from(m.count_ones()) == count).map(|m| fleet.first_levels(*m)).min();
            prop_assert_eq!(Some(fleet.first_levels(mask)), best);
        }
    }

    /// The reason that is named is one: it excludes the count, and without any one of its rows it would not.
    #[test]
    fn an_exclusion_is_sufficient_and_none_of_it_is_to_spare(fleet in test_fleet()) {
        let world = fleet.world();
        let snapshot = world.snapshot();
        let inputs = world.inputs(&snapshot);
        let membership = Membership::new(inputs.policies, inputs.snapshot);
        let gates = Gates::new(&inputs, &membership);
        let named = membership.find_subsystem(&SUBSYSTEMS[0].into()).expect("it is there");
        let ground = Ground::new(&inputs, &membership, &gates);
        let Constraints { problem, names } = Constraints::new(&ground, named).expect("judged");
        let takes: Vec<_> = problem.classes.iter().flat_map(|c| c.ranks.iter().map(|_| &c.takes)).collect();
        // Every subset of candidates, with sums of its own.
        let is_possible = |rows: &[usize], count: u64| (0..1_u32 << takes.len()).any(|mask| {
            let taken = |row: usize| takes.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1)
                .flat_map(|(_, t)| t.iter()).filter(|(r, _)| *r == row).map(|(_, units)| u128::from(*units)).sum::<u128>();
            u64::from(mask.count_ones()) == count && rows.iter().all(|&row| taken(row) <= problem.rows[row].bound)
        });
        let all: Vec<usize> = (0..problem.rows.len()).collect();
        let selector = Selector::new(&problem, false);
        for count in 1..=takes.len() as u64 {
            let found = exclusion(&selector, count);
            prop_assert_eq!(found.is_none(), is_possible(&all, count));
            let Some(Exclusion { rows, is_minimal }) = found else { continue };
            prop_assert!(is_minimal);
            prop_assert!(!is_possible(&rows, count));
            for row in &rows {
                let rest: Vec<usize> = rows.iter().copied().filter(|r| r != row).collect();
                prop_assert!(is_possible(&rest, count), "{:?} is to spare", names[*row]);
            }
        }
        let shown = headroom(&inputs, Some(&SUBSYSTEMS[0].into()), &InTurn).expect("judged").remove(0);
        let largest = |rows: &[usize]| (0..=takes.len() as u64).rev().find(|&n| is_possible(rows, n));
        let is_open = fleet.policies.iter().all(|p| !p.halted);
        prop_assert!(!is_open || Some(shown.hosts_allowed) == largest(&all));
        prop_assert_eq!(shown.binding.is_none(), shown.hosts_allowed == takes.len() as u64);
        if let Some(binding) = shown.binding.filter(|_| is_open) {
            let rest: Vec<usize> = all.iter().copied().filter(|&r| !is_meant(&binding, names[r])).collect();
            prop_assert_eq!(rest.len() + 1, all.len());
            prop_assert_eq!(shown.next_allowed, largest(&rest));
            prop_assert_eq!(shown.next.is_none(), shown.next_allowed == Some(takes.len() as u64));
        }
    }

    /// In whatever order the provider lists its hosts.
    #[test]
    fn the_same_fleet_gives_the_same_plan(fleet in test_fleet(), count in 1..5_u64) {
        let forward = fleet.world();
        let mut backward = fleet.world();
        backward.hosts.reverse();
        let ask = |world: &World| world.ask(|inputs| plan(inputs, &request(Selection::counted(count)))).expect("judged");
        prop_assert_eq!(ask(&forward), ask(&backward));
    }
}
