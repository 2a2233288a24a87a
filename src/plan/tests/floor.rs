//! The floor below this program: what each group's MinSize must be, so that all together hold a policy's minimum.

use std::collections::BTreeMap;

use crate::model::HostState;
use crate::plan::testing::{World, policy};
use crate::plan::{LowMinimum, Membership, low_minimums};
use crate::policy::{ProviderFloor, UnitsSource};

/// Index in two groups of so many hosts each.
fn two_groups(minimum: u64, one: usize, two: usize) -> World {
    let mut world =
        World::new([policy("index", minimum)]).with("a", one, &["a"], &["index"]).with("b", two, &["a"], &["index"]);
    for host in &mut world.hosts {
        host.group = Some(if host.id.as_str().starts_with('a') { "one" } else { "two" }.into());
    }
    world
}

fn low(world: &World) -> Vec<LowMinimum> {
    let snapshot = world.snapshot();
    low_minimums(&Membership::new(&world.policies, &snapshot)).expect("weights can be read")
}

/// Sets what is asked for, and gives the sum of all.
fn raised(world: &mut World) -> u64 {
    for of in low(world) {
        assert!(of.why_not.is_none() && of.asked > of.is, "{of:?}");
        world.groups.insert(of.group, of.asked);
    }
    assert_eq!(low(world), [], "once is enough");
    world.groups.values().sum()
}

/// Not one host more than the policy asks for: what it lets go, the provider lets go too.
#[test]
fn minimums_of_groups_add_up_to_that_of_the_policy() {
    for (one, two) in (1..8).flat_map(|one| (1..8).map(move |two| (one, two))) {
        for minimum in 0..=(one + two) as u64 {
            let mut world = two_groups(minimum, one, two);
            assert_eq!(raised(&mut world), minimum, "{minimum} of {one} and {two}");
            world.policy_mut("index").capacity.provider_floor = ProviderFloor::Required;
            let of = |host: &str| world.refusals(&[host]).iter().any(|told| told.starts_with("provider-floor"));
            assert!(!of("a-01") && !of("b-01"), "{minimum} of {one} and {two}: {:?}", world.groups);
        }
    }
}

/// One that holds more than its share holds it for the other; none is lowered, and none raised beyond what is missing.
#[test]
fn a_minimum_that_is_higher_than_its_share_counts() {
    let mut world = two_groups(8, 8, 4);
    world.groups.insert("one".into(), 7);
    assert_eq!(raised(&mut world), 8, "{:?}", world.groups);
    assert_eq!(world.groups["two"], 1);
}

/// A run that begins where all is held makes no later batch of its own forbidden, and nothing is asked for anew.
#[test]
fn what_is_held_stays_held_whichever_hosts_go() {
    let mut world = two_groups(11, 10, 10);
    assert_eq!(raised(&mut world), 11);
    world.policy_mut("index").capacity.provider_floor = ProviderFloor::Required;
    for gone in ["a-01", "a-02", "a-03", "a-04"] {
        world.hosts.retain(|host| host.id.as_str() != gone);
        assert_eq!(low(&world), [], "{gone}");
        let told = [world.refusals(&["a-05"]), world.refusals(&["b-01"])].concat();
        assert!(!told.iter().any(|told| told.starts_with("provider-floor")), "{gone}: {told:?}");
    }
}

/// Two subsystems share a group: it holds for both, and less is asked of their other groups.
#[test]
fn shared_groups_are_asked_for_no_more_than_all_need() {
    let mut world = World::new([policy("index", 12), policy("billing", 6)])
        .with("a", 12, &["a"], &["index"])
        .with("s", 6, &["a"], &["index", "billing"])
        .with("c", 2, &["a"], &["billing"]);
    world.hosts.iter_mut().for_each(|host| host.group = Some(host.id.as_str()[..1].into()));
    raised(&mut world);
    let of = |names: [&str; 2]| names.iter().map(|name| world.groups.get(*name).copied().unwrap_or(0)).sum::<u64>();
    assert_eq!((of(["a", "s"]), of(["s", "c"])), (12, 6), "{:?}", world.groups);
}

/// Whoever shrinks a group takes the heaviest first, and no further than to its MinSize.
#[test]
fn a_size_holds_its_lightest_hosts() {
    let mut world = two_groups(20, 4, 4);
    world.policy_mut("index").capacity.units = UnitsSource::Tag("w".to_owned());
    for (host, weight) in world.hosts.iter_mut().zip(["1", "1", "8", "8", "4", "4", "4", "4"]) {
        host.tags = [("index", "1"), ("w", weight)].into();
    }
    world.groups.insert("one".into(), 3);
    world.groups.insert("two".into(), 3);
    assert_eq!(low(&world), [], "10 and 12 units are more than 20");
    world.host_mut("b-01").tags = [("index", "1")].into();
    let snapshot = world.snapshot();
    assert!(low_minimums(&Membership::new(&world.policies, &snapshot)).is_err(), "nobody knows its weight");
}

#[test]
fn each_group_holds_what_the_subsystem_needs_that_asks_most() {
    let mut world = World::new([policy("index", 5), policy("billing", 3)]).with("a", 8, &["a"], &["index", "billing"]);
    world.hosts.iter_mut().for_each(|host| host.group = Some("one".into()));
    let found: BTreeMap<_, _> = low(&world).into_iter().map(|of| (of.group, (of.asked, of.of))).collect();
    assert_eq!(found, BTreeMap::from([("one".into(), (5, "index".into()))]));
}

/// A size that holds the share of one subsystem among the hosts of another lets none of those go: a person decides.
#[test]
fn a_group_with_hosts_of_others_is_raised_for_those_that_are_in_all_of_it_alone() {
    let mut world = World::new([policy("index", 2), policy("billing", 3)])
        .with("a", 4, &["a"], &["index", "billing"])
        .with("b", 4, &["a"], &["billing"]);
    world.hosts.iter_mut().for_each(|host| host.group = Some("one".into()));
    let found = low(&world);
    let told: Vec<_> = found.iter().map(|of| (of.asked, of.of.as_str(), of.why_not.is_some())).collect();
    assert_eq!(told, [(3, "billing", false), (6, "index", true)], "{found:?}");
    assert!(found[1].why_not.as_ref().is_some_and(|why| why.contains("4 hosts of others")), "{found:?}");
}

/// The provider would launch hosts. The others hold more instead, as far as they can.
#[test]
fn no_minimum_is_raised_above_the_desired_size() {
    for (minimum, enough) in [(6, true), (7, false)] {
        let mut world = two_groups(minimum, 4, 4);
        for host in ["a-01", "a-02"] {
            world.host_mut(host).state = HostState::Cordoned;
        }
        let found = low(&world);
        let raised: Vec<_> =
            found.iter().filter(|of| of.why_not.is_none()).map(|of| (of.group.as_str(), of.asked)).collect();
        assert_eq!(raised, [("one", 2), ("two", 4)], "{found:?}");
        let left: Vec<_> = found.iter().filter_map(|of| of.why_not.as_deref()).collect();
        assert_eq!(left.is_empty(), enough, "{found:?}");
        assert!(left.iter().all(|why| why.contains("desired size is 2")), "{found:?}");
    }
}
