//! The part of the fleet that a run asks for, and what it makes of hosts that are not in it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{START, World, host};
use crate::model::{Bounds, GroupName, Host, HostId, HostState, Scope};
use crate::run::{Action, Finish, Machine, Outcome, Purpose, Response};

/// A host outside groups, of another team or of `index`.
fn lone(world: &World, name: &str, role: &str) -> Host {
    let tags = [("role", role)].into();
    Host { id: HostId::new(name), group: None, tags, ..world.hosts[&host(1)].clone() }
}

fn world() -> World {
    let mut world = World::new();
    for (name, role) in [("lone-index", "index"), ("lone-other", "other")] {
        let host = lone(&world, name, role);
        world.hosts.insert(host.id.clone(), host);
    }
    world
}

/// Drives the run until hosts are out, and gives what it asks for then.
fn scope_with_hosts_out(world: &mut World, machine: &mut Machine) -> Scope {
    let mut response = Response::Begin;
    for _ in 0..10_000 {
        let action = machine.step(response, world.now);
        if machine.has_reservations() && world.hosts.values().any(|host| host.state == HostState::Cordoned) {
            return machine.scope(world.now).expect("a part of the fleet");
        }
        assert!(!matches!(action, Action::Finish(_)), "hosts are out first");
        response = world.does(machine, action);
    }
    panic!("no host is ever out");
}

#[test]
fn a_run_asks_for_what_it_touches_and_watches_and_for_nothing_else() {
    let mut world = world();
    let mut machine = world.machine(2);
    assert_eq!(machine.scope(START), None, "nobody has looked yet");
    let scope = scope_with_hosts_out(&mut world, &mut machine);
    assert_eq!(scope.groups, BTreeSet::from([GroupName::new("index")]));
    let hosts: BTreeSet<HostId> = (1..=12).map(host).chain([HostId::new("lone-index")]).collect();
    assert_eq!(scope.hosts, hosts);
    // However long it takes: a look at everything could be too slow for a bake.
    assert!(machine.scope(world.now.plus(Duration::from_secs(86_400))).is_some());
}

#[test]
fn while_nothing_is_out_the_whole_fleet_is_looked_at_now_and_then() {
    let mut world = world();
    let mut machine = world.machine(2);
    let mut response = Response::Begin;
    while machine.scope(world.now).is_none() {
        let action = machine.step(response, world.now);
        response = world.does(&mut machine, action);
    }
    assert!(!machine.has_reservations());
    assert_eq!(machine.scope(world.now.plus(Duration::from_secs(3_600))), None);
    assert_eq!(machine.scope(world.now.minus(Duration::from_secs(60))), None, "nobody knows how old it is");
}

/// Every look at AWS takes calls of an account that others need too.
#[test]
fn a_run_that_waits_looks_at_a_metered_fleet_no_more_often_than_it_samples() {
    let looks = |bounds: Bounds, metered: bool| {
        let mut world = World::new();
        world.bounds = Bounds { metered, ..bounds };
        // A minute until the cordon shows.
        let mut machine = world.machine(2);
        let batch = machine.spec().confirmed.document().batches[0].hosts.clone();
        world.late = (batch.into_iter().map(|host| host.id).collect(), 12);
        let begun = world.now;
        assert_eq!(world.drive(&mut machine), Finish::Ended);
        let every = machine.spec().confirmed.settings().every;
        (world.looks, world.now.since(begun).as_secs() / every.as_secs())
    };
    for bounds in [Bounds::SIMULATED, Bounds::AWS] {
        let ((often, _), (seldom, samples)) = (looks(bounds, false), looks(bounds, true));
        assert!(seldom <= samples + 20, "{seldom} looks in the time of {samples} samples");
        assert!(seldom <= often, "{seldom} looks instead of {often}");
    }
}

/// What is new in the fleet shows in the next look at all of it; the run goes on with what it knows.
#[test]
fn s5_a_host_that_a_run_does_not_ask_for_is_not_gone() {
    let mut world = world();
    let mut machine = world.machine(2);
    world.meddle = Box::new(|m| {
        if m.action.is_empty() {
            m.hosts.remove("lone-other");
        }
    });
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    assert_eq!(world.document().outcome, Outcome::Completed, "{:?}", world.document().cause);
    let snapshot = world.snapshot();
    let part = crate::plan::testing::part(&snapshot, Scope { hosts: [host(1)].into(), ..Scope::default() });
    let missing = HostId::new("lone-other");
    assert!(snapshot.lacks(&missing) && !part.lacks(&missing), "only who was asked for is gone");
}

/// Whoever takes a run over has never seen the fleet. In a large region, or a throttled account, that look may fail for ever:
/// what is out goes back all the same.
#[test]
fn s7_hosts_are_put_back_by_a_process_that_never_sees_the_whole_fleet() {
    for purpose in [Purpose::Abandon, Purpose::Resume] {
        let mut world = world();
        let mut machine = world.machine(2);
        scope_with_hosts_out(&mut world, &mut machine);
        drop(machine);
        world.too_large = true;
        let mut taker = world.take_over(purpose, &[]);
        assert_eq!(world.drive(&mut taker), Finish::Ended);
        let document = world.document();
        assert_eq!((document.restored.len(), document.in_doubt.len()), (2, 0), "{purpose:?}: {document:#?}");
        assert!(world.hosts.values().all(|host| host.state == HostState::InService), "{purpose:?}");
        // What it did not see is not said to be missing.
        let index = &document.subsystems[0];
        assert!(index.remaining >= index.minimum, "{purpose:?}: {index:?}");
    }
}
