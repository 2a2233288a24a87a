//! A run whose process is killed or stopped at every point, and the process that takes it over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::world::{Driven, Fault, Stopped, World};
use crate::coordination::{Life, ProcessId};
use crate::model::{Bounds, Effect, HostId, HostState, Time};
use crate::run::{
    Event, Fence, Finish, Machine, MayLive, NotPermitted, NotStarted, Outcome, Purpose, Response, RunStatus, Successor,
    TakeoverError, TakeoverRequest, has_ended, may_be_retried, may_live, permission, quiet_from, run_status,
    silent_from,
};

/// A run of four hosts in two batches, killed at that point; `None` where it ended before.
fn killed(world: &mut World, point: u64) -> Option<(Machine, Stopped)> {
    let mut machine = world.machine(4);
    match world.drive_until(&mut machine, Response::Begin, point) {
        Driven::Stopped(stopped) => Some((machine, stopped)),
        Driven::Finished(_) => None,
    }
}

/// Every point of the run at which its journal was begun, in a world that `make` makes.
fn at_every_point(make: impl Fn() -> World, mut story: impl FnMut(World, Machine, Stopped, u64)) {
    let mut told = 0;
    for point in 0..1000 {
        let mut world = make();
        let Some((machine, stopped)) = killed(&mut world, point) else {
            assert!(told > 40, "only {told} points");
            return;
        };
        if !world.journal.is_empty() {
            told += 1;
            story(world, machine, stopped, point);
        }
    }
    panic!("the run does not end");
}

/// How often each host was terminated, and that nothing is left behind.
#[track_caller]
fn is_tidy(world: &World, why: &str) {
    let mut terminated: BTreeMap<&str, u64> = BTreeMap::new();
    for line in world.log.iter().filter_map(|line| line.strip_prefix("terminate ")) {
        *terminated.entry(line).or_default() += 1;
    }
    let log = world.log.join("\n");
    assert!(terminated.values().all(|times| *times <= 2), "s9: {why}: {terminated:?}");
    assert!(world.hosts.values().all(|h| h.state == HostState::InService), "s7: {why}: something is left out\n{log}");
    assert!(world.record.runs.is_empty(), "{why}: nothing is held\n{log}");
    assert!(world.suspended.is_empty(), "{why}: AZRebalance is as it was\n{log}");
    assert!(has_ended(&world.journal), "{why}: the journal has an end\n{log}");
    assert!(world.document().in_doubt.is_empty(), "{why}");
}

#[test]
fn s9_killed_at_every_point_and_resumed_the_end_is_that_of_an_undisturbed_run() {
    at_every_point(World::new, |mut world, machine, stopped, point| {
        let planned: Vec<_> = machine.spec().confirmed.document().batches.iter().flat_map(|b| &b.hosts).collect();
        let planned: Vec<_> = planned.into_iter().map(|h| h.id.clone()).collect();
        let why = format!("killed at point {point}, {stopped:?}");
        if has_ended(&world.journal) {
            return;
        }
        let is_unlisted = world.record.runs.is_empty();
        let mut taker = world.take_over(Purpose::Resume, &[]);
        assert_eq!(world.drive(&mut taker), Finish::Ended, "{why}");
        let document = world.document();
        if is_unlisted {
            // It died before it stood in line: there is nothing to go on with, and it says that it took nothing.
            assert_eq!((document.outcome, world.serving()), (Outcome::NotStarted, 12), "{why}");
            is_tidy(&world, &why);
            return;
        }
        let log = world.log.join("\n");
        assert_eq!(
            (document.outcome, document.exit_code),
            (Outcome::Completed, 0),
            "{why}: {:?}\n{log}",
            document.cause
        );
        assert_eq!(document.terminated, planned, "s8: {why}");
        assert_eq!((world.serving(), world.desired), (8, 8), "{why}");
        is_tidy(&world, &why);
    });
}

#[test]
fn s7_killed_at_every_point_and_abandoned_everything_that_is_not_gone_is_back() {
    at_every_point(World::new, |mut world, _, stopped, point| {
        let why = format!("killed at point {point}, {stopped:?}");
        if has_ended(&world.journal) {
            return;
        }
        let has_granted = world.record.runs.values().any(|entry| entry.granted_at.is_some());
        let mut taker = world.take_over(Purpose::Abandon, &[]);
        assert_eq!(world.drive(&mut taker), Finish::Ended, "{why}");
        let document = world.document();
        assert_eq!(world.serving() + document.terminated.len(), 12, "{why}");
        // At the very end there is nothing left to abandon.
        let is_over = document.outcome == Outcome::Completed && document.terminated.len() == 4;
        let wanted = if has_granted { Outcome::Halted } else { Outcome::NotStarted };
        assert!(is_over || (document.outcome, document.exit_code) == (wanted, 9), "{why}: {document:?}");
        if !is_over {
            let cause = document.cause.as_ref().expect("a cause");
            assert!(cause.message.contains("abandoned by ann@there: it died"), "{}", cause.message);
        }
        is_tidy(&world, &why);
    });
}

/// A record from which a run's hosts were taken by hand, or by a restore of an older one: nothing is said to be well.
#[test]
fn s7_a_host_that_only_the_journal_has_out_is_for_a_person() {
    let mut lost = 0;
    at_every_point(World::new, |mut world, _, stopped, point| {
        for entry in world.record.runs.values_mut() {
            entry.reservations.clear();
        }
        if has_ended(&world.journal) || world.record.runs.is_empty() {
            return;
        }
        let mut taker = world.take_over(Purpose::Abandon, &[]);
        world.drive(&mut taker);
        let document = world.document();
        lost += usize::from(!document.in_doubt.is_empty());
        assert!(document.in_doubt.is_empty() || document.exit_code == 8, "{point}, {stopped:?}: {document:?}");
    });
    assert!(lost > 10, "{lost}");
}

/// Stopped instead of killed: it wakes up in the middle of the takeover or after it, sends nothing, and ends.
#[test]
fn s9_a_zombie_that_wakes_up_after_the_takeover_sends_nothing_and_says_who_has_the_run() {
    for taken in [Purpose::Resume, Purpose::Abandon] {
        for until in [3, 40, 1_000] {
            at_every_point(World::new, |mut world, mut machine, stopped, point| {
                if has_ended(&world.journal) {
                    return;
                }
                let why = format!("stopped at point {point} before {stopped:?}, woken at {until} of {taken:?}");
                let has_granted = world.record.runs.values().any(|entry| entry.granted_at.is_some());
                // The earlier process was about to send this, or had sent it.
                let mut taker = world.take_over(taken, &[]);
                let driven = world.drive_until(&mut taker, Response::Begin, until);
                let before = world.log.len();
                // An intent that was acknowledged before the fence may still leave, until its deadline: the taker waits.
                let intended = usize::from(
                    matches!(&stopped, Stopped::Behind(response) if matches!(**response, Response::Recorded)),
                );
                match world.wake(&mut machine, stopped) {
                    Finish::Ended => {
                        let document = crate::run::report(machine.journal()).expect("it was opened");
                        // Where the record has taken its end there was nothing left to take over.
                        let is_over = world.record.ended.contains_key(&document.run) && document.exit_code == 0;
                        assert!(document.exit_code == 8 || is_over, "{why}: {document:?}");
                        let told = match document.cause {
                            Some(cause) => vec![cause.message],
                            None if is_over => document.warnings,
                            None => panic!("{why}: no cause"),
                        };
                        assert!(told.iter().any(|line| line.contains("taken over")), "{why}: {told:?}");
                    }
                    Finish::NotStarted(NotStarted::TakenOver(_)) => {}
                    Finish::NotStarted(other) => panic!("{why}: {other:?}"),
                }
                let sent = |line: &&String| ["cordon ", "restore ", "terminate "].iter().any(|w| line.starts_with(w));
                let sent: Vec<_> = world.log[before..].iter().filter(sent).collect();
                assert!(sent.len() <= intended, "s9: {why}: the zombie sent {sent:?}");
                if let Driven::Stopped(stopped) = driven {
                    assert_eq!(world.wake(&mut taker, stopped), Finish::Ended, "{why}");
                }
                let wanted = match taken {
                    _ if !crate::run::RunHistory::of(&world.journal).was_granted() && !has_granted => {
                        Outcome::NotStarted
                    }
                    Purpose::Resume => Outcome::Completed,
                    Purpose::Abandon => Outcome::Halted,
                };
                let outcome = world.document().outcome;
                assert!(outcome == wanted || outcome == Outcome::Completed, "{why}: {:?}", world.document().cause);
                is_tidy(&world, &why);
            });
        }
    }
}

/// The process that took over is killed too, at every point; a third one ends it.
#[test]
fn s9_takers_that_are_killed_too_change_nothing_in_the_end() {
    for first in [20, 37, 61] {
        for purpose in [Purpose::Resume, Purpose::Abandon] {
            for point in (0..400).step_by(3) {
                let mut world = World::new();
                let Some(_) = killed(&mut world, first) else { panic!("the run is longer") };
                let mut second = world.take_over(purpose, &[]);
                let Driven::Stopped(_) = world.drive_until(&mut second, Response::Begin, point) else { break };
                if has_ended(&world.journal) {
                    break;
                }
                let mut third = world.take_over(Purpose::Resume, &[]);
                assert_eq!(world.drive(&mut third), Finish::Ended);
                let why = format!("killed at {first}, then {purpose:?} killed at {point}");
                let document = world.document();
                let wanted = if purpose == Purpose::Resume { Outcome::Completed } else { Outcome::Halted };
                assert_eq!(document.outcome, wanted, "{why}: {:?}", document.cause);
                is_tidy(&world, &why);
            }
        }
    }
}

/// S6: whoever resumes a run that was stopping finishes the stop.
#[test]
fn s6_a_run_that_was_stopping_is_not_resumed_forward() {
    at_every_point(
        || {
            let mut world = World::new();
            world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
            world
        },
        |mut world, _, _, point| {
            let stopped = world.journal.iter().any(|r| matches!(r.event, Event::Stopped { .. }));
            if has_ended(&world.journal) {
                return;
            }
            // The probe is good from now on: only what the journal says stops the run.
            world.probe = Box::new(|_| Ok(0.0));
            if world.record.runs.is_empty() {
                return;
            }
            let mut taker = world.take_over(Purpose::Resume, &[]);
            world.drive(&mut taker);
            let wanted = if stopped { (Outcome::Aborted, 7) } else { (Outcome::Completed, 0) };
            let document = world.document();
            assert_eq!((document.outcome, document.exit_code), wanted, "point {point}: {:?}", document.cause);
            is_tidy(&world, &format!("point {point}"));
        },
    );
}

/// Schedule 2: nothing goes forward and nothing is released before the last call of the dead process is out of reach.
#[test]
fn s9_schedule_2_a_takeover_waits_for_the_deadlines_of_calls_without_a_reply() {
    for purpose in [Purpose::Resume, Purpose::Abandon] {
        // Stopped before its first cordon leaves: the intent is acknowledged, the call is not sent.
        let (mut world, mut machine, stopped) = (0..)
            .find_map(|point| {
                let mut world = World::new();
                world.bounds = Bounds::AWS;
                let mut machine = world.machine(4);
                match world.drive_until(&mut machine, Response::Begin, point) {
                    Driven::Stopped(stopped @ Stopped::Before(_))
                        if format!("{stopped:?}").contains("call: Call { effect: Cordon") =>
                    {
                        Some((world, machine, stopped))
                    }
                    Driven::Stopped(_) => None,
                    Driven::Finished(_) => panic!("it sends a cordon"),
                }
            })
            .expect("there is such a point");
        let intended = world.now;
        let mut taker = world.take_over(purpose, &[]);
        world.drive(&mut taker);
        let deadline = intended.plus(Bounds::AWS.call_life).plus(Bounds::AWS.tolerance);
        let first = |wanted: fn(&Event) -> bool| world.journal.iter().find(|r| wanted(&r.event)).map(|r| r.at);
        let released: Option<Time> =
            first(|event| matches!(event, Event::HostUntouched { .. } | Event::HostRestored { .. }));
        let forward = world.journal.iter().filter(|r| matches!(r.event, Event::CallIntended { .. })).map(|r| r.at);
        let forward: Vec<Time> = forward.filter(|at| *at > intended).collect();
        match purpose {
            Purpose::Resume => assert!(forward.iter().all(|at| *at >= deadline), "{forward:?} before {deadline}"),
            Purpose::Abandon => assert!(released.is_some_and(|at| at >= deadline), "{released:?} before {deadline}"),
        }
        // A wakes, and its call does not land.
        let log = world.log.len();
        world.wake(&mut machine, stopped);
        assert!(!world.log[log..].iter().any(|line| line.starts_with("cordon")), "{:?}", &world.log[log..]);
        is_tidy(&world, &format!("{purpose:?}"));
    }
}

/// Schedule 18: the reply to a terminate was never heard, and hours later the provider has forgotten the host.
#[test]
fn s9_schedule_18_a_host_that_the_provider_has_forgotten_is_gone_and_no_second_call_is_sent() {
    let mut world = World::new();
    world.faults = vec![("terminate", 1, Fault::LostReply)];
    let mut point = 0;
    loop {
        let mut fresh = World::new();
        fresh.faults.clone_from(&world.faults);
        let mut machine = fresh.machine(4);
        let driven = fresh.drive_until(&mut machine, Response::Begin, point);
        if fresh.hosts.len() < 12 {
            assert!(matches!(driven, Driven::Stopped(_)));
            world = fresh;
            break;
        }
        point += 1;
    }
    world.now = world.now.plus(Duration::from_secs(2 * 3600));
    let mut taker = world.take_over(Purpose::Resume, &[]);
    world.drive(&mut taker);
    assert_eq!(world.document().outcome, Outcome::Completed, "{:?}", world.document().cause);
    let first = world.log.iter().find(|line| line.starts_with("terminate")).expect("one was").clone();
    assert_eq!(world.log.iter().filter(|line| **line == first).count(), 1, "sent once: {:?}", world.log);
    is_tidy(&world, "schedule 18");
}

/// A host of the batch vanished while nobody looked: it is dropped, and none takes its place.
#[test]
fn s8_a_host_that_vanished_while_the_process_was_dead_is_dropped() {
    at_every_point(World::new, |mut world, machine, _, point| {
        let victim = machine.spec().confirmed.document().batches[1].hosts[0].id.clone();
        let is_out = world.hosts.get(&victim).is_none_or(|host| host.state != HostState::InService);
        if is_out || has_ended(&world.journal) || world.record.runs.is_empty() {
            return;
        }
        world.hosts.remove(&victim);
        world.desired -= 1;
        let mut taker = world.take_over(Purpose::Resume, &[]);
        world.drive(&mut taker);
        let document = world.document();
        assert_eq!(document.outcome, Outcome::Completed, "point {point}: {:?}", document.cause);
        assert_eq!(document.dropped, [victim], "point {point}");
        assert_eq!((document.terminated.len(), world.serving()), (3, 8), "point {point}");
        is_tidy(&world, &format!("point {point}"));
    });
}

/// What cannot be put back is named, kept, and let go of when a person decides it; the others are put back.
#[test]
fn s7_a_host_that_is_given_up_is_named_with_who_decided_it() {
    let mut world = World::new();
    world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
    world.faults = (1..200).map(|n| ("restore", n, Fault::Refused)).collect();
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert_eq!(world.document().in_doubt.len(), 2);
    assert_eq!(run_status(&world.journal, &world.record, &world.journal[0].run), RunStatus::Holding);
    let [left, back] = [0, 1].map(|n| world.document().in_doubt[n].clone());
    world.faults.clear();
    let mut taker = world.take_over(Purpose::Abandon, std::slice::from_ref(&left));
    assert_eq!(world.drive(&mut taker), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::NeedsAttention, 8));
    assert_eq!((document.in_doubt, document.restored), (vec![left.clone()], vec![back]));
    let said = document.warnings.iter().find(|warning| warning.contains(left.as_str())).expect("it is said");
    assert!(said.contains("ann@there") && said.contains("it died"), "{said}");
    assert!(world.record.runs.is_empty() && world.suspended.is_empty(), "{:?}", world.record.runs);
}

/// Schedule 7: a process that is cut off from the ledger may restore until `offline_until`. Until then whoever takes its
/// run over puts back what is cordoned, and lets go of nothing: another run's cordon would be undone under it.
#[test]
fn s7_schedule_7_a_takeover_lets_go_of_nothing_before_offline_until() {
    let limit = Duration::from_secs(600);
    at_every_point(
        || {
            let mut world = World::new();
            let mut policies = (*world.policies).clone();
            policies.fleet.ledger.offline_limit = limit;
            world.policies = Arc::new(policies);
            world
        },
        |mut world, _, _, point| {
            if has_ended(&world.journal) || point % 5 != 0 {
                return;
            }
            let last = world.journal.last().expect("it was opened").at;
            // The limit of the process that is cut off counts, and not what the successor's fleet.toml says.
            world.policies = World::new().policies;
            let before: usize = world.record.runs.values().map(|entry| entry.reservations.len()).sum();
            let mut taker = world.take_over(Purpose::Abandon, &[]);
            let taken_at = world.log.len();
            world.drive(&mut taker);
            let quiet = last.plus(limit).plus(world.bounds.tolerance);
            let let_go = world.journal.iter().filter(|r| {
                matches!(
                    r.event,
                    Event::HostUntouched { .. } | Event::HostRestored { .. } | Event::HostTerminated { .. }
                )
            });
            let early: Vec<_> = let_go.filter(|r| r.at > last && r.at < quiet).collect();
            assert!(early.is_empty(), "point {point}: before {quiet}: {early:?}");
            let restored_at = world.log[taken_at..].iter().any(|line| line.starts_with("restore"));
            assert!(before > 0 || !restored_at, "point {point}");
            is_tidy(&world, &format!("point {point}"));
        },
    );
}

/// A process that is cut off from the ledger may have put hosts back until `offline_until`, and a look may show what was
/// before: nothing goes forward on one that can lie so far back.
#[test]
fn s2_a_takeover_goes_forward_only_on_what_cannot_lie_before_offline_until() {
    let settle = Duration::from_secs(120);
    let mut forward = 0;
    at_every_point(
        || {
            let mut world = World::new();
            world.bounds.settle = settle;
            world
        },
        |mut world, _, _, point| {
            if has_ended(&world.journal) || point % 5 != 0 {
                return;
            }
            let quiet = quiet_from(&world.journal, world.bounds);
            let before = world.journal.len();
            let mut taker = world.take_over(Purpose::Resume, &[]);
            world.drive(&mut taker);
            let early: Vec<_> = world.journal[before..]
                .iter()
                .filter(|r| match &r.event {
                    Event::CallIntended { intent, .. } => {
                        matches!(intent.effect, Effect::Cordon { .. } | Effect::Terminate { .. })
                    }
                    _ => false,
                })
                .inspect(|_| forward += 1)
                .filter(|r| r.at < quiet.plus(settle))
                .collect();
            assert!(early.is_empty(), "point {point}: before {quiet}: {early:?}");
        },
    );
    assert!(forward > 20, "only {forward} calls");
}

/// When a run counts as silent, and when nothing that was sent for it can land any more.
#[test]
fn s9_silence_is_counted_from_the_last_append_and_from_what_the_run_said_it_waits_for() {
    let limit = Duration::from_secs(30);
    // The last record is a wait for the interval, two minutes from the first batch's end.
    let waiting = (0..1000).find_map(|point| {
        let mut world = World::new();
        let mut machine = world.machine(4);
        world.drive_until(&mut machine, Response::Begin, point);
        world.journal.last().is_some_and(|last| matches!(last.event, Event::Waiting { .. })).then_some(world)
    });
    let world = waiting.expect("it waits");
    let Some(Event::Waiting { until, .. }) = world.journal.last().map(|last| last.event.clone()) else {
        panic!("waits")
    };
    assert_eq!(silent_from(&world.journal, world.now), until.plus(limit), "it is not expected to write before");
    let last = world.journal.last().expect("a record").at;
    assert_eq!(quiet_from(&world.journal, Bounds::AWS), last.plus(limit).plus(Bounds::TOLERANCE));

    let intent = world.journal.iter().position(|r| matches!(r.event, Event::CallIntended { .. })).expect("one");
    let mut open = world.journal[..=intent].to_vec();
    let Some(Event::RunOpened { settings, .. }) = open.first_mut().map(|first| &mut first.event) else {
        panic!("its opening")
    };
    settings.offline_limit = Duration::from_millis(1);
    let Event::CallIntended { intent: call, .. } = &open[intent].event else { panic!("an intent") };
    assert_eq!(quiet_from(&open, Bounds::AWS), call.not_after.plus(Bounds::TOLERANCE));
    let every = Duration::from_secs(10);
    assert_eq!(silent_from(&open, world.now), open[intent].at.plus(every * 3), "three sampling periods");
    assert_eq!(silent_from(&[], world.now), world.now.plus(limit), "granted, and never begun");
}

/// S9: who may take a run from its process, by how that process stands and by what it wrote.
#[test]
fn s9_a_run_is_taken_only_from_a_process_that_is_dead_or_silent() {
    let mut world = World::new();
    killed(&mut world, 30).expect("it is under way");
    let (run, bounds) = (world.machine(4).spec().identity.run.clone(), world.bounds);
    let may_live = |world: &World, life| may_live(&run, &world.journal, &world.record, life, bounds, world.now);
    assert_eq!(may_live(&world, Life::Dead), MayLive::No);
    assert_eq!(may_live(&world, Life::Running), MayLive::Yes);
    assert_eq!(may_live(&world, Life::Stopped), MayLive::Yes, "it goes on when somebody lets it");
    let MayLive::Unseen { silent_in } = may_live(&world, Life::Elsewhere) else { panic!("it wrote lately") };
    assert!(silent_in > bounds.tolerance, "{silent_in:?}");

    // Schedule 19: a retry waits for silence even where the process is dead.
    let may_be_retried =
        |world: &World, life| may_be_retried(&run, &world.journal, &world.record, life, bounds, world.now);
    assert!(!may_be_retried(&world, Life::Dead) && !may_be_retried(&world, Life::Elsewhere));

    let permitted = |world: &World, purpose, leave: &[HostId], how| {
        let leave = leave.iter().cloned().collect();
        permission(&run, purpose, &leave, (&world.journal, &world.record), how)
    };
    let held: BTreeSet<HostId> = world.record.runs[&run].reservations.keys().cloned().collect();
    assert!(!held.is_empty());
    assert_eq!(permitted(&world, Purpose::Resume, &[], MayLive::No), Ok(()));
    for how in [MayLive::Yes, MayLive::Unseen { silent_in }] {
        assert_eq!(permitted(&world, Purpose::Abandon, &[], how), Err(NotPermitted::MayLive(how)));
    }
    let stranger = HostId::from("stranger");
    let not_held = NotPermitted::NotHeld { host: stranger.clone(), held };
    assert_eq!(permitted(&world, Purpose::Abandon, &[stranger], MayLive::No), Err(not_held));

    world.now = world.now.plus(silent_in);
    assert_eq!(may_live(&world, Life::Elsewhere), MayLive::No);
    assert!(may_be_retried(&world, Life::Dead) && !may_be_retried(&world, Life::Stopped));
    let nobody = permission(&"r-other".into(), Purpose::Resume, &BTreeSet::new(), (&[], &world.record), MayLive::No);
    assert_eq!(nobody, Err(NotPermitted::Unknown));
    world.journal.clear();
    assert_eq!(permitted(&world, Purpose::Resume, &[], MayLive::No), Err(NotPermitted::NothingToGoOnWith));
    assert_eq!(permitted(&world, Purpose::Abandon, &[], MayLive::No), Ok(()));
}

/// S9, schedule 19: of two that found a run silent the slower one does not take it from the faster.
#[test]
fn s9_what_was_written_since_the_look_decides_about_a_fence() {
    let mut world = World::new();
    let (machine, _) = killed(&mut world, 30).expect("it is under way");
    let spec = machine.spec();
    let process = ProcessId { token: "taker".to_owned(), ..spec.identity.process.clone() };
    let successor = Successor {
        run: spec.identity.run.clone(),
        epoch: 0,
        process,
        operator: "ann@there".into(),
        policies: spec.policies.clone(),
        fleet: spec.fleet.clone(),
        bounds: spec.bounds,
        credentials_end: None,
        resume_by_hand: None,
        attended: false,
    };
    let request = |seen, even_if_alive| TakeoverRequest {
        successor: successor.clone(),
        purpose: Purpose::Resume,
        reason: None,
        leave: BTreeSet::new(),
        seen,
        even_if_alive,
    };
    let (length, now) = (world.journal.len(), world.now);
    let fence = |world: &World, request: &TakeoverRequest| request.fence(&world.journal, &world.record, now);
    assert!(matches!(fence(&world, &request(length, false)), Ok(Fence::Record { epoch: 2, .. })));
    assert_eq!(fence(&world, &request(length - 1, false)).err(), Some(TakeoverError::Alive));
    assert!(matches!(fence(&world, &request(length - 1, true)), Ok(Fence::Record { epoch: 2, .. })));
    // Another one was faster.
    let mut faster = request(length, false);
    faster.successor.process.token = "faster".to_owned();
    let Ok(Fence::Record { record, .. }) = fence(&world, &faster) else { panic!("it may") };
    world.journal.push(*record);
    let lost = request(length, false);
    assert!(matches!(fence(&world, &lost), Err(TakeoverError::Another(_))));
    assert!(matches!(lost.conflict(length, &world.journal), Err(TakeoverError::Another(_))));
    let told = fence(&world, &request(length + 1, false));
    let Ok(Fence::Record { record, epoch: 3 }) = told else { panic!("{told:?}") };
    // Nobody acts on an epoch that is not the record's.
    let fenced: Vec<_> = world.journal.iter().cloned().chain([*record]).collect();
    assert!(matches!(lost.has_it(3, &fenced, &fenced, &world.record), Err(TakeoverError::Another(_))));
}
