//! Hosts that others move while a run has them out: detached, reclaimed, put back in service; and hosts that their
//! provider holds on their way out. What is known is said, and no other host is kept out for their sake.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::world::{Driven, Meddled, World};
use crate::model::{Bounds, HostId, HostState, Time};
use crate::run::{BatchState, CauseKind, Event, Finish, Order, Outcome, Purpose, Response, RunDocument};

/// Does something to the first host of the batch, once, when all of it is out of service.
fn once_out(mut act: impl FnMut(&HostId, &mut Meddled<'_>) + 'static) -> Box<dyn FnMut(&mut Meddled<'_>)> {
    let mut done = false;
    Box::new(move |m| {
        let out: Vec<HostId> =
            m.hosts.values().filter(|h| h.state == HostState::Cordoned).map(|h| h.id.clone()).collect();
        if out.len() == 2 && m.action.is_empty() && !done {
            done = true;
            act(&out[0], m);
        }
    })
}

fn detach(id: &HostId, m: &mut Meddled<'_>) {
    let host = m.hosts.get_mut(id).expect("there");
    (host.group, host.state) = (None, HostState::InService);
}

fn reclaim(id: &HostId, m: &mut Meddled<'_>) {
    m.hosts.get_mut(id).expect("there").state = HostState::Terminating;
}

/// Plays a run of two hosts, one of which is meddled with once both are out.
fn meddled(bounds: Bounds, act: fn(&HostId, &mut Meddled<'_>)) -> (World, HostId) {
    let mut world = World::new();
    world.bounds = bounds;
    world.meddle = once_out(act);
    let mut machine = world.machine(2);
    let mut planned: Vec<HostId> =
        machine.spec().confirmed.document().batches[0].hosts.iter().map(|h| h.id.clone()).collect();
    planned.sort();
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    (world, planned[0].clone())
}

/// How long the run went on once it had stopped.
fn time_to_end(world: &World) -> Duration {
    let at = |is: fn(&Event) -> bool| world.journal.iter().find(|r| is(&r.event)).expect("recorded").at;
    let stopped: Time = at(|e| matches!(e, Event::Stopped { .. }));
    at(|e| matches!(e, Event::RunEnded { .. })).since(stopped)
}

fn assert_dropped(document: &RunDocument, lost: &HostId, words: &str) {
    assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7), "{document:#?}");
    assert_eq!(document.dropped, std::slice::from_ref(lost));
    assert!(document.terminated.is_empty() && document.in_doubt.is_empty(), "{document:#?}");
    assert_eq!(document.restored.len(), 1);
    assert!(document.warnings.iter().any(|w| w.contains(lost.as_str()) && w.contains(words)), "{document:#?}");
    let cause = document.cause.as_ref().expect("a cause");
    assert_eq!(cause.kind, CauseKind::Inventory);
    assert!(cause.message.contains(words), "{cause:?}");
}

#[test]
fn s7_a_host_that_somebody_detached_is_dropped_and_the_others_are_put_back() {
    for bounds in [Bounds::SIMULATED, Bounds::AWS] {
        let (world, lost) = meddled(bounds, detach);
        assert_dropped(&world.document(), &lost, "somebody took it out of group index");
        assert!(time_to_end(&world) < Duration::from_secs(240), "{:?}", time_to_end(&world));
        assert!(!restores(&world, &lost), "it would be refused, and the other with it: {:?}", world.log);
        assert!(world.record.runs.is_empty(), "nothing is held");
        assert!(world.record.removed.is_empty(), "it runs: where it serves again it is capacity");
        assert_eq!(world.record.removals.len(), 1, "S4: it is lost to the subsystem");
    }
}

#[test]
fn s7_a_host_that_leaves_by_itself_is_dropped_at_once_and_never_put_back() {
    for bounds in [Bounds::SIMULATED, Bounds::AWS] {
        let (world, lost) = meddled(bounds, reclaim);
        assert_dropped(&world.document(), &lost, "it is terminating, and this run did not ask for it");
        assert!(time_to_end(&world) < Duration::from_secs(180), "{:?}", time_to_end(&world));
        // Desired capacity would go up for it, and the provider would launch another.
        assert!(!restores(&world, &lost), "{:?}", world.log);
        assert_eq!(world.desired, 11);
        assert!(world.record.removed.contains_key(&lost), "it is nobody's capacity while it is listed");
    }
}

fn restores(world: &World, host: &HostId) -> bool {
    world.log.iter().any(|line| line.starts_with("restore") && line.contains(host.as_str()))
}

/// The other host of the batch is still on its way out. It would have been waited for for over an hour.
#[test]
fn s7_a_cordon_that_somebody_undoes_ends_the_run_as_soon_as_no_read_can_be_late() {
    for bounds in [Bounds::SIMULATED, Bounds::AWS] {
        let mut world = World::new();
        world.bounds = bounds;
        let mut since = None;
        let undone = Rc::new(Cell::new(None));
        let when = Rc::clone(&undone);
        world.meddle = Box::new(move |m| {
            let out: Vec<HostId> =
                m.hosts.values().filter(|h| h.state == HostState::Cordoned).map(|h| h.id.clone()).collect();
            if since.is_none() && out.len() == 2 {
                since = Some(*m.now);
                when.set(since);
                m.hosts.get_mut(&out[0]).expect("there").state = HostState::InService;
                m.hosts.get_mut(&out[1]).expect("there").state = HostState::Pending;
            } else if since.is_some_and(|since| m.now.since(since) > Duration::from_secs(200)) {
                m.hosts
                    .values_mut()
                    .filter(|h| h.state == HostState::Pending)
                    .for_each(|h| h.state = HostState::Cordoned);
            }
        });
        let mut machine = world.machine(2);
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7), "{document:#?}");
        assert_eq!((document.restored.len(), document.in_doubt.len(), world.serving()), (2, 0, 12), "{document:#?}");
        let cause = document.cause.expect("a cause");
        assert_eq!(cause.kind, CauseKind::Inventory);
        assert!(cause.message.contains("somebody put it back in service"), "{cause:?}");
        let stopped = world.journal.iter().find(|r| matches!(r.event, Event::Stopped { .. })).expect("stopped").at;
        let waited = stopped.since(undone.get().expect("undone"));
        assert!(waited >= bounds.settle && waited < bounds.settle + Duration::from_secs(15), "{waited:?}");
    }
}

/// One id that the provider refuses, for whatever reason, keeps no other host out of service.
#[test]
fn s7_after_a_refused_restore_each_host_goes_alone() {
    let mut world = World::new();
    world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
    let mut machine = world.machine(2);
    let stuck = machine.spec().confirmed.document().batches[0].hosts[0].id.clone();
    world.refuses_to_restore = Some(stuck.clone());
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::NeedsAttention, 8));
    assert_eq!((document.in_doubt, document.restored.len()), (vec![stuck.clone()], 1));
    assert_eq!(world.serving(), 11);
    let together = world.log.iter().filter(|l| l.starts_with("restore") && l.split(' ').count() > 2).count();
    assert_eq!(together, 1, "{:?}", world.log);
}

/// A host that was reclaimed while nobody acted for the run is not waited for either, and the rest of its batch goes on.
#[test]
fn s7_whoever_takes_a_run_over_drops_a_host_that_left_meanwhile() {
    for (act, words) in [(detach as fn(&HostId, &mut Meddled<'_>), "out of group"), (reclaim, "terminating")] {
        let mut world = World::new();
        let mut machine = world.machine(2);
        let batch = machine.spec().confirmed.document().batches[0].hosts.clone();
        let lost = batch[0].id.clone();
        // It dies when the batch is out.
        let is_out = |world: &World| world.hosts.values().any(|h| h.state == HostState::Cordoned);
        let mut stopped = world.drive_until(&mut machine, Response::Begin, 0);
        while let (Driven::Stopped(point), false) = (stopped, is_out(&world)) {
            stopped = world.next_write(&mut machine, point);
        }
        act(&lost, &mut Meddled::of(&mut world));
        let mut taken = world.take_over(Purpose::Resume, &[]);
        let before = world.now;
        world.drive(&mut taken);
        let document = world.document();
        assert_eq!(document.dropped, std::slice::from_ref(&lost), "{document:#?}");
        assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 1), "{document:#?}");
        assert!(document.warnings.iter().any(|w| w.contains(words)), "{document:#?}");
        assert!(world.now.since(before) < Duration::from_secs(3600), "{:?}", world.now.since(before));
    }
}

/// A lifecycle hook holds a host on its way out. What is waited for is said once it is seen, and again when the run is
/// told to stop.
#[test]
fn s6_what_holds_a_terminated_host_is_said_and_said_again_after_a_stop() {
    let mut world = World::new();
    world.holds = Some("Terminating:Wait: lifecycle hook bye-bye may hold it for up to 3600 s".to_owned());
    let mut since = None;
    world.meddle = Box::new(move |m| {
        let is_held = m.hosts.values().any(|h| h.state == HostState::Terminating);
        if is_held && since.is_none() {
            since = Some(*m.now);
        }
        let Some(since) = since else { return };
        match m.now.since(since).as_secs() {
            300..=305 => m.order = Some(Order::Terminate),
            900.. => m.hosts.retain(|_, h| h.state != HostState::Terminating),
            _ => {}
        }
    });
    let mut machine = world.machine(1);
    let lost = machine.spec().confirmed.document().batches[0].hosts[0].id.clone();
    world.drive(&mut machine);
    let told = |record: &&crate::run::JournalRecord| match &record.event {
        Event::Waiting { why, .. } => why.contains(&format!("{lost} is in Terminating:Wait: lifecycle hook bye-bye")),
        _ => false,
    };
    let stop = world.journal.iter().position(|r| matches!(r.event, Event::Stopped { .. })).expect("a stop");
    assert!(world.journal[..stop].iter().filter(told).count() >= 2, "at least once a minute");
    assert!(world.journal[stop..].iter().filter(told).count() >= 2, "and after the stop");
    let gap = world.journal[stop..].iter().find(told).expect("told").at.since(world.journal[stop].at);
    assert!(gap < Duration::from_secs(10), "{gap:?}");
    assert_eq!(
        world.waited_for.last(),
        Some(&format!("{lost} is in Terminating:Wait: lifecycle hook bye-bye may hold it for up to 3600 s")),
        "the screen says it too"
    );
    let document = world.document();
    assert_eq!(document.terminated, [lost], "it was this run that asked for it");
    assert_eq!((document.outcome, document.batches[0].state), (Outcome::Completed, BatchState::Terminated));
}
