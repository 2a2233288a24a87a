//! A clock that is ten years ahead for a while and comes back: what was fixed meanwhile is waited for no longer than it
//! would have been (S7), and no wait that a jump ended counts as over (S2).

use std::sync::Arc;
use std::time::Duration;

use super::world::{Driven, START, Stopped, World};
use crate::model::{Effect, HostState, Time};
use crate::run::{
    Action, Event, Finish, Machine, Outcome, Purpose, RecordUpdate, Response, RunDocument, report, silent_from,
};

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Longer than any run here takes by a clock that is right.
const LONG: Duration = Duration::from_secs(6 * 3600);

const LIMIT: Duration = Duration::from_secs(90);

impl World {
    /// Goes on from write to write until one is asked for that `is` describes.
    fn until(&mut self, machine: &mut Machine, from: Option<Stopped>, is: impl Fn(&Action) -> bool) -> Stopped {
        let mut driven = match from {
            None => self.drive_until(machine, Response::Begin, 0),
            Some(stopped) => self.next_write(machine, stopped),
        };
        loop {
            driven = match driven {
                Driven::Stopped(Stopped::Before(action)) if is(&action) => return Stopped::Before(action),
                Driven::Stopped(stopped) => self.next_write(machine, stopped),
                Driven::Finished(finish) => panic!("it ends before: {finish:?}\n{}", self.log.join("\n")),
            };
        }
    }

    fn jump_ahead(&mut self) {
        self.ahead = TEN_YEARS;
        self.now = self.now.plus(TEN_YEARS);
    }

    fn come_back(&mut self) {
        self.ahead = Duration::ZERO;
        self.now = self.now.minus(TEN_YEARS);
    }

    /// Goes on to the end, which comes in time.
    fn end(&mut self, machine: &mut Machine, stopped: Stopped) -> RunDocument {
        let finish = self.wake(machine, stopped);
        assert_eq!(finish, Finish::Ended);
        self.is_in_time();
        report(machine.journal()).expect("opened")
    }

    fn is_in_time(&self) {
        let took = self.now.since(START);
        assert!(took < LONG, "it waited for {took:?}\n{}", self.log.join("\n"));
    }
}

fn records(action: &Action, is: impl Fn(&Event) -> bool) -> bool {
    matches!(action, Action::Record(record) if is(&record.event))
}

/// A sample with hosts out.
fn is_sample(action: &Action) -> bool {
    records(action, |event| matches!(event, Event::Sampled { batch: Some(_), .. }))
}

/// The probe turns bad as soon as a host is out.
fn regresses() -> World {
    let mut world = World::new();
    world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
    world
}

#[test]
fn s7_a_clock_that_was_ahead_and_came_back_keeps_no_restore_waiting() {
    let is_intent = |action: &Action| {
        records(
            action,
            |event| matches!(event, Event::CallIntended { intent, .. } if matches!(intent.effect, Effect::Restore { .. })),
        )
    };
    let is_call =
        |action: &Action| matches!(action, Action::Send { call, .. } if matches!(call.effect, Effect::Restore { .. }));
    let is_answer = |action: &Action| records(action, |event| matches!(event, Event::CallAnswered { .. }));
    // It is not sent, or the provider refuses it: each has its pause.
    for is_restore in [&is_intent as &dyn Fn(&Action) -> bool, &is_call] {
        let mut world = regresses();
        let mut machine = world.machine(2);
        let stopped = world.until(&mut machine, None, is_restore);
        world.jump_ahead();
        let stopped = world.until(&mut machine, Some(stopped), is_answer);
        world.come_back();
        let document = world.end(&mut machine, stopped);
        assert_eq!((world.serving(), document.restored.len()), (12, 2), "{:?}", world.log);
        assert_eq!(document.outcome, Outcome::Aborted);
    }
}

#[test]
fn s7_a_clock_that_was_ahead_and_came_back_ends_the_patience_of_restoring_in_time() {
    let mut world = regresses();
    world.faults = (1..1000).map(|n| ("restore", n, super::world::Fault::Throttled)).collect();
    let mut machine = world.machine(2);
    let stopped =
        world.until(&mut machine, None, |action| records(action, |e| matches!(e, Event::CallAnswered { .. })));
    world.jump_ahead();
    let stopped =
        world.until(&mut machine, Some(stopped), |action| records(action, |e| matches!(e, Event::Stopped { .. })));
    world.come_back();
    let document = world.end(&mut machine, stopped);
    assert_eq!((document.outcome, document.in_doubt.len()), (Outcome::NeedsAttention, 2), "{:?}", world.log);
}

#[test]
fn s7_a_clock_that_was_ahead_and_came_back_keeps_no_write_waiting() {
    let mut world = World::new();
    let mut policies = (*world.policies).clone();
    policies.fleet.ledger.offline_limit = LIMIT;
    world.policies = Arc::new(policies);
    let mut machine = world.machine(2);
    let stopped = world.until(&mut machine, None, is_sample);
    let stopped = world.until(&mut machine, Some(stopped), is_sample);
    assert!(machine.has_reservations());
    world.jump_ahead();
    let stopped = world.until(&mut machine, Some(stopped), is_sample);
    let stopped = world.until(&mut machine, Some(stopped), is_sample);
    // This one waits, and meanwhile the clock comes back.
    world.come_back();
    let (now, every) = (world.now, machine.spec().confirmed.settings().every);
    let until = machine.gives_write_up_at(now);
    assert!(until <= now.plus(LIMIT / 2), "it waits until {until}, and it is {now}");
    let observe = machine.observe_without_ledger_at(now).expect("hosts are out");
    assert!(observe <= now.plus(every), "it looks away until {observe}, and it is {now}");
    // The ledger stays away: everything is put back without it.
    world.waits = true;
    world.ledger_lost_at = Some(now);
    let document = world.end(&mut machine, stopped);
    assert_eq!((world.serving(), document.outcome), (12, Outcome::NeedsAttention), "{:?}", world.log);
}

/// Everything is back, and the ledger is waited for to be told so: no longer than the policy bears.
#[test]
fn s7_a_wait_for_the_end_that_began_ahead_is_over_in_time() {
    let mut world = regresses();
    let mut machine = world.machine(2);
    let is_restored = |action: &Action| records(action, |event| matches!(event, Event::HostRestored { .. }));
    let stopped = world.until(&mut machine, None, is_restored);
    world.jump_ahead();
    let stopped =
        world.until(&mut machine, Some(stopped), |action| records(action, |e| matches!(e, Event::RunEnded { .. })));
    world.come_back();
    let limit = machine.spec().confirmed.settings().offline_limit;
    assert!(machine.gives_write_up_at(world.now) <= world.now.plus(limit));
    world.end(&mut machine, stopped);
}

#[test]
fn s2_a_clock_that_was_ahead_and_came_back_begins_the_bake_again() {
    let mut world = World::new();
    let mut machine = world.machine(2);
    let stopped = world.until(&mut machine, None, is_sample);
    let mut stopped = world.until(&mut machine, Some(stopped), is_sample);
    world.jump_ahead();
    for _ in 0..3 {
        stopped = world.until(&mut machine, Some(stopped), is_sample);
    }
    world.come_back();
    let back = world.now;
    let document = world.end(&mut machine, stopped);
    assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 2), "{:?}", world.log);
    let baked = document.batches[0].bake_ended_at.expect("baked");
    let bake = machine.spec().confirmed.settings().bake;
    assert!(baked.since(back) >= bake, "the whole bake lies behind the jump: {baked}, {back}");
    assert!(world.journal.iter().any(|r| matches!(r.event, Event::BakeRestarted { .. })), "{:?}", world.log);
}

/// A sample from ahead is not younger than every gap.
#[test]
fn s2_a_sample_from_ahead_does_not_pass_for_a_watched_batch() {
    let mut world = World::new();
    let mut machine = world.machine(2);
    let mut stopped = world.until(&mut machine, None, is_sample);
    world.jump_ahead();
    let is_end = |action: &Action| records(action, |event| matches!(event, Event::BakeEnded { .. }));
    stopped = world.until(&mut machine, Some(stopped), is_end);
    world.come_back();
    let back = world.now;
    let document = world.end(&mut machine, stopped);
    let first = document.batches[0].terminated_at;
    let bake = machine.spec().confirmed.settings().bake;
    assert!(first.is_none_or(|at| at.since(back) >= bake), "{first:?} {back}");
}

#[test]
fn s7_a_clock_that_was_ahead_and_came_back_keeps_no_batch_waiting() {
    let mut world = World::new();
    let mut machine = world.machine(4);
    let is_step = |action: &Action| matches!(action, Action::Update(RecordUpdate::StartTermination { .. }));
    let stopped = world.until(&mut machine, None, is_step);
    world.jump_ahead();
    let is_wait = |action: &Action| records(action, |event| matches!(event, Event::Waiting { .. }));
    let stopped = world.until(&mut machine, Some(stopped), is_wait);
    world.come_back();
    let document = world.end(&mut machine, stopped);
    assert!(document.terminated.len() >= 2, "{:?}", world.log);
    assert_eq!(world.hosts.values().filter(|host| host.state == HostState::Cordoned).count(), 0);
}

/// The process is killed while its clock is ahead: its journal says that it may act for ten years. Whoever takes it over
/// does not leave the batch out of service so long, and does not say that it is proved to be back.
#[test]
fn s7_a_journal_that_is_dated_ahead_does_not_keep_its_hosts_out() {
    for purpose in [Purpose::Resume, Purpose::Abandon] {
        let mut world = World::new();
        let mut machine = world.machine(2);
        let stopped = world.until(&mut machine, None, is_sample);
        world.jump_ahead();
        let stopped = world.until(&mut machine, Some(stopped), is_sample);
        world.until(&mut machine, Some(stopped), is_sample);
        world.come_back();
        let mut taker = world.take_over(purpose, &[]);
        assert_eq!(world.drive(&mut taker), Finish::Ended);
        world.is_in_time();
        let document = world.document();
        assert_eq!(world.serving(), 12, "{purpose:?}: {:?}", world.log);
        assert_eq!((document.outcome, document.in_doubt.len()), (Outcome::NeedsAttention, 2), "{purpose:?}");
        let held = &world.record.runs.values().next().expect("it stays on record").reservations;
        assert_eq!(held.len(), 2, "{purpose:?}: what may still change is nobody else's");
    }
}

/// What a run waits for may be dated ahead by another's clock: it does not pass for alive so long.
#[test]
fn s7_a_wait_that_was_told_until_years_ahead_is_not_believed() {
    let mut world = World::new();
    let mut machine = world.machine(4);
    world.until(&mut machine, None, |action| records(action, |event| matches!(event, Event::Waiting { .. })));
    let told = machine.journal().last().expect("told").clone();
    let Event::Waiting { until, .. } = told.event else { panic!("a wait") };
    assert!(silent_from(machine.journal(), START) > until, "a wait that is told is believed");
    let mut journal = machine.journal().to_vec();
    let last = journal.last_mut().expect("told");
    last.event = Event::Waiting { until: told.at.plus(TEN_YEARS), why: "a budget".to_owned() };
    let silent = silent_from(&journal, START);
    assert!(silent < told.at.plus(TEN_YEARS / 10), "it passes for alive until {silent}");
}

/// Whenever it jumps, and however long that lasts: at the end nothing is out of service that nobody was told of.
#[test]
fn s7_a_clock_that_is_ahead_for_a_while_leaves_nothing_out_whenever_that_is() {
    let throttled = || {
        let mut world = regresses();
        world.faults =
            vec![("restore", 1, super::world::Fault::Throttled), ("cordon", 1, super::world::Fault::Timeout)];
        world
    };
    let stories: [(&str, &dyn Fn() -> World); 3] =
        [("clean", &World::new), ("regression", &regresses), ("throttled", &throttled)];
    for (story, make) in stories {
        for from in 0.. {
            let mut is_over = false;
            for writes in if from % 2 == 0 { [1, 9] } else { [4, 30] } {
                let mut world = make();
                let mut machine = world.machine(4);
                let Driven::Stopped(mut stopped) = world.drive_until(&mut machine, Response::Begin, from) else {
                    is_over = true;
                    break;
                };
                world.jump_ahead();
                let mut finished = false;
                for _ in 0..writes {
                    match world.next_write(&mut machine, stopped) {
                        Driven::Stopped(next) => stopped = next,
                        Driven::Finished(_) => {
                            finished = true;
                            stopped = Stopped::Behind(Box::new(Response::Woke));
                            break;
                        }
                    }
                }
                world.come_back();
                if !finished {
                    world.wake(&mut machine, stopped);
                }
                let label = format!("{story}: ahead from point {from} on for {writes} writes");
                let took: Time = world.now;
                // What went while the clock was ahead is counted from when it came back: a window of the budget later.
                assert!(
                    took.since(START) < Duration::from_secs(2 * 86_400),
                    "{label}: it waited until {took}\n{}",
                    world.log.join("\n")
                );
                let named = report(machine.journal())
                    .filter(|document| document.outcome == Outcome::NeedsAttention)
                    .map(|document| document.in_doubt)
                    .unwrap_or_default();
                let left: Vec<_> = world.hosts.values().filter(|host| host.state == HostState::Cordoned).collect();
                for host in left {
                    assert!(named.contains(&host.id), "{label}: {} is left out\n{}", host.id, world.log.join("\n"));
                }
            }
            if is_over {
                break;
            }
        }
    }
}
