//! The floor below this program: what each group's MinSize must be, so that all together hold a policy's minimum.

use std::collections::BTreeMap;

use crate::model::HostState;
use crate::plan::testing::{World, policy};
use crate::plan::{LowMinimum, Membership, low_minimums};
use crate::policy::ProviderFloor;

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
    low_minimums(&Membership::new(&world.policies, &snapshot))
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

/// One that holds more than its share holds it for the other; none is lowered.
#[test]
fn a_minimum_that_is_higher_than_its_share_counts() {
    let mut world = two_groups(8, 8, 4);
    world.groups.insert("one".into(), 7);
    assert_eq!(raised(&mut world), 9, "{:?}", world.groups);
    assert_eq!(world.groups["two"], 2);
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

/// The provider would launch hosts.
#[test]
fn no_minimum_is_raised_above_the_desired_size() {
    let mut world = two_groups(6, 4, 4);
    for host in ["a-01", "a-02"] {
        world.host_mut(host).state = HostState::Cordoned;
    }
    let found = low(&world);
    assert!(found.iter().all(|of| of.why_not.is_some() || of.asked <= 4), "{found:?}");
    let one = found.iter().find(|of| of.group.as_str() == "one").expect("it holds less than its share");
    assert!(one.why_not.as_ref().is_some_and(|why| why.contains("desired size is 2")), "{found:?}");
}
