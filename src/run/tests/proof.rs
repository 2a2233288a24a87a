//! The first removal of a fleet of which nobody has seen that nothing takes the place of what goes.

use std::time::Duration;

use super::departures::{launched, once};
use super::world::{Driven, World};
use crate::model::{Bounds, Health, HostState};
use crate::run::{CauseKind, Event, Order, Outcome, Purpose, Response, RunHistory};

/// Nobody has seen what this provider does: one host goes, and all others wait for what the group shows, those of its batch
/// out of service.
#[test]
fn s9_the_first_host_goes_alone_and_the_others_wait_for_what_the_group_shows() {
    for bounds in [Bounds::SIMULATED, Bounds::AWS] {
        let mut world = World::new();
        (world.bounds, world.proves_removals) = (bounds, true);
        let mut machine = world.machine(4);
        let document = machine.spec().confirmed.document();
        let sizes: Vec<usize> = document.batches.iter().map(|batch| batch.hosts.len()).collect();
        assert_eq!(sizes, [2, 2]);
        let first = document.batches[0].hosts.iter().map(|host| host.id.clone()).min().expect("one");
        let told = format!("host {first} is terminated first, and alone: ");
        assert!(document.warnings.iter().any(|w| w.starts_with(&told)), "{document:#?}");
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Completed, 0), "{document:#?}");
        let at = |is: &dyn Fn(&Event) -> bool| world.journal.iter().find(|r| is(&r.event)).expect("recorded").at;
        let gone = at(&|e| matches!(e, Event::HostTerminated { host, .. } if *host == first));
        let seen = world.record.removal_seen.as_ref().expect("seen");
        assert!(seen.at.since(gone) >= bounds.settle, "{seen:?}");
        let of = |line: &&String| {
            ["see ", "grant ", "cordon ", "start ", "terminate "].iter().any(|word| line.starts_with(word))
        };
        let mut order: Vec<&str> = world.log.iter().filter(of).filter_map(|line| line.split(' ').next()).collect();
        // A grant that has to wait is asked for again.
        order.dedup_by(|a, b| a == b && *a == "grant");
        let expected = [
            "grant",
            "cordon",
            "start",
            "terminate",
            "see",
            "start",
            "terminate",
            "grant",
            "cordon",
            "start",
            "terminate",
            "terminate",
        ];
        assert_eq!(order, expected, "{:#?}", world.log);

        // The next run of the fleet does not wait.
        let told = world.spec(2, "r-2").confirmed.document().warnings.clone();
        assert!(!told.iter().any(|w| w.contains("is terminated first")), "{told:?}");
    }
}

/// What waits for the proof is out of service, and is put back like any other batch.
#[test]
fn s7_what_stops_the_run_before_the_first_removal_was_seen_puts_the_others_back() {
    let is_first_gone = |world: &World| world.journal.iter().any(|r| matches!(r.event, Event::HostTerminated { .. }));
    for (name, exit) in [("launch", 7), ("serves", 7), ("order", 9)] {
        let mut world = World::new();
        (world.bounds, world.proves_removals) = (Bounds::AWS, true);
        let mut machine = world.machine(4);
        match name {
            "launch" => world.meddle = once(1, "resolve", |m| launched(m, Duration::ZERO)),
            "serves" => {
                world.meddle = once(1, "resolve", |m| {
                    let out = m.hosts.values_mut().find(|host| host.state == HostState::Cordoned).expect("one is out");
                    out.state = HostState::InService;
                });
            }
            _ => {}
        }
        let mut stopped = world.drive_until(&mut machine, Response::Begin, 0);
        let mut ordered = name != "order";
        while let Driven::Stopped(point) = stopped {
            if !ordered && is_first_gone(&world) {
                ordered = true;
                machine.order(Order::Interrupt);
            }
            stopped = world.next_write(&mut machine, point);
        }
        let document = world.document();
        let back = world.hosts.values().filter(|host| host.state == HostState::InService).count();
        assert_eq!((document.exit_code, document.terminated.len()), (exit, 1), "{name}: {document:#?}");
        assert_eq!(back, world.hosts.len(), "{name}: {document:#?}");
        assert!(world.record.removal_seen.is_none(), "{name}");
    }
}

#[test]
fn s9_the_first_removal_of_one_host_is_seen_too_and_a_launch_stops_it() {
    for answered in [false, true] {
        let mut world = World::new();
        (world.bounds, world.proves_removals) = (Bounds::AWS, true);
        let mut machine = world.machine(1);
        world.meddle = once(0, "resolve", move |m| {
            if answered {
                launched(m, Duration::ZERO);
            }
        });
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!(document.exit_code, if answered { 7 } else { 0 }, "{document:#?}");
        assert_eq!((document.terminated.len(), world.record.removal_seen.is_some()), (1, !answered), "{document:#?}");
    }
}

/// S2: nobody watched what waits for the proof, so it bakes once more before it goes.
#[test]
fn s2_what_waits_for_the_proof_bakes_again_where_nobody_watched() {
    let mut world = World::new();
    (world.bounds, world.proves_removals) = (Bounds::AWS, true);
    let mut machine = world.machine(2);
    let mut stopped = world.drive_until(&mut machine, Response::Begin, 0);
    let mut slept = false;
    while let Driven::Stopped(point) = stopped {
        if !slept && world.log.iter().any(|line| line.starts_with("see ")) {
            slept = true;
            world.now = world.now.plus(Duration::from_secs(600));
        }
        stopped = world.next_write(&mut machine, point);
    }
    let document = world.document();
    assert_eq!((document.exit_code, document.terminated.len()), (0, 2), "{document:#?}");
    let restarted = world.journal.iter().position(|r| matches!(r.event, Event::BakeRestarted { .. }));
    let last = world.journal.iter().rposition(|r| matches!(r.event, Event::HostTerminated { .. }));
    assert!(restarted.expect("it bakes again") < last.expect("it goes"), "{:#?}", world.log);
    assert!(RunHistory::of(&world.journal).illegal.is_none(), "{:#?}", world.journal);
}

/// S1: as long as the first host is on its way out, what its batch has out is judged with everything else.
#[test]
fn s1_what_waits_for_the_first_host_goes_back_where_a_minimum_would_not_hold() {
    let mut world = World::new();
    (world.bounds, world.proves_removals) = (Bounds::AWS, true);
    world.holds = Some("lifecycle hook drain".to_owned());
    let mut machine = world.machine(2);
    let mut done = false;
    world.meddle = Box::new(move |m| {
        if done || !m.hosts.values().any(|host| host.state == HostState::Terminating) {
            return;
        }
        done = true;
        let serving = m.hosts.values_mut().filter(|host| host.state == HostState::InService);
        serving.take(6).for_each(|host| host.health = Health::Failed);
    });
    let mut stopped = world.drive_until(&mut machine, Response::Begin, 0);
    let is_back = |world: &World| world.journal.iter().any(|r| matches!(r.event, Event::HostRestored { .. }));
    while let (Driven::Stopped(point), false) = (stopped, is_back(&world)) {
        stopped = world.next_write(&mut machine, point);
    }
    let told = world.journal.iter().find_map(|r| match &r.event {
        Event::Stopped { cause } => Some((cause.kind, cause.message.clone())),
        _ => None,
    });
    let (kind, message) = told.expect("it stops");
    assert_eq!(kind, CauseKind::Rule, "{message}");
    assert!(is_back(&world), "{:#?}", world.log);
    assert_eq!(world.hosts.values().filter(|host| host.state == HostState::Terminating).count(), 1);
}

/// Whoever takes the run over waits as its first process would have, wherever that one died.
#[test]
fn s9_a_run_that_is_taken_over_waits_for_what_the_group_shows() {
    for died_behind in ["terminate ", "resolve "] {
        let mut world = World::new();
        (world.bounds, world.proves_removals) = (Bounds::AWS, true);
        let mut machine = world.machine(3);
        let has_come = |world: &World| world.log.iter().any(|line| line.starts_with(died_behind));
        let mut stopped = world.drive_until(&mut machine, Response::Begin, 0);
        while let (Driven::Stopped(point), false) = (stopped, has_come(&world)) {
            stopped = world.next_write(&mut machine, point);
        }
        assert!(world.record.removal_seen.is_none());
        let mut taken = world.take_over(Purpose::Resume, &[]);
        world.drive(&mut taken);
        let document = world.document();
        assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 3), "{document:#?}");
        let see = world.log.iter().position(|line| line.starts_with("see ")).expect("seen");
        let second = world.log.iter().rposition(|line| line == "terminate index-0002").expect("it goes");
        assert!(see < second, "{:?}", world.log);
    }
}
