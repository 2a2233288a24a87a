//! Fleets on which taking any fitting host, one after the other, ends too early, but looking at all hosts does not.
//! Each fleet is a path of three hosts, and the middle one, the longest-running, excludes both others.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{Host, HostId};
use crate::plan::testing::{World, counted, host, policy};
use crate::plan::{Stage, Taking, Verdict};
use crate::policy::{UnitsSource, ZoneMinimum};

use super::program::Rules;

/// What a script would do: take every host that may still go, in this order.
fn greedy<K: Ord>(world: &World, order: impl Fn(&Host) -> K) -> usize {
    let mut hosts: Vec<&Host> = world.hosts.iter().collect();
    hosts.sort_by_key(|host| order(host));
    let mut taking = Taking::default();
    for host in hosts {
        taking.hosts.insert(host.id.clone());
        if !may_go(world, &taking) {
            taking.hosts.remove(&host.id);
        }
    }
    taking.hosts.len()
}

fn may_go(world: &World, taking: &Taking) -> bool {
    world.verify(taking, Stage::Grant).expect("judged").is_empty()
}

fn subsystems(host: &Host) -> usize {
    host.tags.len()
}

/// The largest set that may go, found by trying every set; the check before every effect agrees on each.
fn brute_force(world: &World, named: &str) -> usize {
    let rules = Rules::of(world, named);
    let ids: Vec<&HostId> = world.hosts.iter().filter(|h| h.tags.contains_key(named)).map(|h| &h.id).collect();
    let mut largest = 0;
    for mask in 1..1_u32 << ids.len() {
        let hosts: BTreeSet<HostId> = (0..ids.len()).filter(|i| mask >> i & 1 == 1).map(|i| ids[i].clone()).collect();
        let taking = Taking { hosts, ..Taking::default() };
        assert_eq!(rules.allow(&taking.hosts), may_go(world, &taking), "{taking:?}");
        if rules.allow(&taking.hosts) {
            largest = largest.max(taking.hosts.len());
        }
    }
    largest
}

/// Both scripts end below what brute force finds; the planner takes exactly `expected`, and not one more.
#[track_caller]
fn only_exact_succeeds(world: &World, named: &str, expected: &[&str]) {
    let longest_running = greedy(world, |h| (h.launched_at, h.id.clone()));
    let least_shared = greedy(world, |h| (subsystems(h), h.launched_at, h.id.clone()));
    let most = brute_force(world, named);
    assert_eq!((longest_running, least_shared, most), (expected.len() - 1, expected.len() - 1, expected.len()));
    let plan = counted(world, named, most as u64).document;
    assert_eq!((plan.verdict, plan.largest_allowed_count), (Verdict::Allowed, Some(most as u64)));
    let chosen: BTreeSet<HostId> = plan.batches.iter().flat_map(|b| &b.hosts).map(|h| h.id.clone()).collect();
    assert_eq!(chosen, expected.iter().map(|id| HostId::from(*id)).collect());
    assert!(may_go(world, &Taking { hosts: chosen, ..Taking::default() }));
    let beyond = counted(world, named, most as u64 + 1).document;
    assert_eq!((beyond.verdict, beyond.largest_allowed_count), (Verdict::Refused, Some(most as u64)));
}

/// `old` has run the longest.
fn aged(mut world: World) -> World {
    let old = world.host_mut("old");
    old.launched_at = old.launched_at.minus(Duration::from_secs(86_400));
    world
}

#[test]
fn s1_shared_hosts_with_opposing_zone_slack() {
    let mut world = World::new(["all", "billing", "index", "orders", "placement"].map(|name| policy(name, 0)));
    // Index can spare one host in zone a and none in b, placement one in b and none in a, billing one anywhere.
    for name in ["index", "placement"] {
        world.policy_mut(name).capacity.minimum_per_zone = Some(ZoneMinimum::Units(1));
    }
    world.policy_mut("billing").capacity.minimum = 1;
    world.hosts = vec![
        host("old", "a", &["all", "index", "billing"]),
        host("index-a", "a", &["all", "index", "orders"]),
        host("index-b", "b", &["all", "index", "orders"]),
        host("place-a", "a", &["all", "placement", "orders"]),
        host("place-b", "b", &["all", "placement", "billing"]),
        host("keeper", "b", &["placement"]),
    ];
    // The provider keeps the keeper: it counts, but no script may take it.
    world.host_mut("keeper").group = Some("kept".into());
    world.groups.insert("kept".into(), 1);
    // The old host takes both what index-a needs of index and what place-b needs of billing.
    only_exact_succeeds(&aged(world), "all", &["index-a", "place-b"]);
}

#[test]
fn s1_weights_of_two_subsystems_must_fit_like_a_knapsack() {
    // Both can spare six units. The host that is lightest in sum, and oldest, leaves room for neither of the lopsided
    // ones.
    let mut world = World::new([policy("index", 2), policy("placement", 2)]);
    for (id, index, placement) in [("old", 2, 2), ("x", 5, 1), ("y", 1, 5)] {
        let mut made = host(id, "a", &["index", "placement"]);
        made.tags = [("index", index), ("placement", placement)].map(|(tag, n)| (tag, n.to_string())).into();
        world.hosts.push(made);
    }
    for name in ["index", "placement"] {
        world.policy_mut(name).capacity.units = UnitsSource::Tag(name.to_owned());
    }
    let world = aged(world);
    let lightest = greedy(&world, |h| h.tags.iter().map(|(_, n)| n.parse::<u64>().expect("units")).sum::<u64>());
    assert_eq!(lightest, 1);
    only_exact_succeeds(&world, "index", &["x", "y"]);
}

#[test]
fn s1_a_group_minimum_crosses_a_zone_minimum() {
    // Zone a can spare one host, and the group one of its own hosts, which are in both zones.
    let mut world = World::new([policy("index", 0)]);
    world.policy_mut("index").capacity.minimum_per_zone = Some(ZoneMinimum::Units(1));
    for (id, zone) in [("old", "a"), ("a-alone", "a"), ("b-group", "b"), ("b-kept", "b")] {
        world.hosts.push(host(id, zone, &["index"]));
    }
    for (id, group) in [("old", "group"), ("b-group", "group"), ("b-kept", "kept")] {
        world.host_mut(id).group = Some(group.into());
    }
    world.groups = [("group".into(), 1), ("kept".into(), 1)].into();
    only_exact_succeeds(&aged(world), "index", &["a-alone", "b-group"]);
}
