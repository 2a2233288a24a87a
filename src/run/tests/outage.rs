//! The machine and a ledger that stays silent for a while: what is watched meanwhile, what is put back, and what the
//! journal says of it afterwards.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::world::{Driven, Stopped, World};
use crate::model::{HostState, Time};
use crate::run::{CauseKind, Event, Loss, Machine, Outcome, Response};

/// How long the policy lets a run restore without its ledger: half of it is for waiting.
const LIMIT: Duration = Duration::from_secs(90);

impl World {
    /// A write is repeated while the ledger is silent, and the machine is given its glimpses. `None` once it answers.
    pub(super) fn wait_for_ledger(&mut self, machine: &mut Machine) -> Option<Response> {
        let lost = Some(Response::Lost(Loss::Unreachable("the disk is gone".to_owned())));
        let mut until = machine.gives_write_up_at(self.now);
        while self.is_ledger_lost() {
            until = until.min(machine.gives_write_up_at(self.now));
            if self.now >= until {
                return lost;
            }
            if machine.observe_without_ledger_at(self.now).is_some_and(|at| at <= self.now) {
                let Response::Observed(observation) = self.observe(machine, true) else { panic!("a look is a look") };
                self.log.push("glimpse".to_owned());
                if machine.observed_without_ledger(*observation, self.now) {
                    return lost;
                }
            }
            let next = machine.observe_without_ledger_at(self.now).unwrap_or(until).min(until);
            self.now = next.min(self.now.plus(Duration::from_secs(1))).max(self.now.plus(Duration::from_millis(1)));
        }
        None
    }
}

/// When the first batch was seen out of service and when it had baked, in an undisturbed run.
fn bake() -> (Time, Time) {
    let mut world = World::new();
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let at = |is: fn(&Event) -> bool| world.journal.iter().find(|r| is(&r.event)).expect("a bake").at;
    (at(|e| matches!(e, Event::BatchCordoned { .. })), at(|e| matches!(e, Event::BakeEnded { .. })))
}

/// The ledger is silent so long, beginning five seconds into the bake; the machine waits for it.
fn silent_for(time: Duration) -> World {
    silent_from(bake().0.plus(Duration::from_secs(5)), time)
}

fn silent_from(from: Time, time: Duration) -> World {
    let mut world = World::new();
    let mut policies = (*world.policies).clone();
    policies.fleet.ledger.offline_limit = LIMIT;
    world.policies = Arc::new(policies);
    world.ledger_lost_at = Some(from);
    world.ledger_back_at = Some(from.plus(time));
    world.waits = true;
    world
}

/// Fifty share a file: one of them may not get at it for longer than a run may restore without it. Nothing is out of service
/// yet, and whoever left would leave its reservation to somebody else. The ledger falls silent behind the grant, or
/// behind any write after it, up to the one that the first call follows.
#[test]
fn s7_a_run_that_has_taken_nothing_out_waits_for_its_ledger() {
    let mut silences = 0;
    for point in 1.. {
        let mut world = World::new();
        world.waits = true;
        let mut machine = world.machine(2);
        let Driven::Stopped(stopped) = world.drive_until(&mut machine, Response::Begin, point) else {
            panic!("a run sends calls")
        };
        let has = |word: &str| world.log.iter().any(|action| action.starts_with(word));
        if has("hold") && matches!(stopped, Stopped::Behind(_)) {
            break;
        }
        if !has("grant") || matches!(stopped, Stopped::Before(_)) {
            continue;
        }
        silences += 1;
        world.ledger_lost_at = Some(world.now);
        world.ledger_back_at = Some(world.now.plus(crate::run::timeouts::NOTHING_OUT - Duration::from_secs(1)));
        world.wake(&mut machine, stopped);
        let document = world.document();
        assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 2), "{point}: {:?}", world.log);
    }
    assert!(silences >= 3, "{silences}");
}

fn glimpses(world: &World) -> usize {
    world.log.iter().filter(|line| *line == "glimpse").count()
}

#[test]
fn s2_a_bake_goes_on_being_watched_while_the_ledger_is_silent() {
    let mut world = silent_for(Duration::from_secs(30));
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 2), "{:?}", world.log);
    assert!(glimpses(&world) >= 2, "{:?}", world.log);
    let restarted = world.journal.iter().any(|r| matches!(r.event, Event::BakeRestarted { .. }));
    assert!(!restarted, "no gap: {:?}", world.log);
    // The chain is as long as an undisturbed one: what was sampled meanwhile counts.
    let bake = document.batches[0].bake_ended_at.expect("baked").since(document.batches[0].cordoned_at.expect("out"));
    assert!(bake < Duration::from_secs(75), "{bake:?}");
    let seqs: Vec<u64> = world.journal.iter().map(|r| r.seq).collect();
    assert_eq!(seqs, (0..world.journal.len() as u64).collect::<Vec<_>>());
}

#[test]
fn s6_nothing_goes_forward_while_a_write_has_no_answer() {
    let mut world = silent_for(Duration::from_secs(30));
    let (from, to) = (world.ledger_lost_at.expect("lost"), world.ledger_back_at.expect("back"));
    let sent = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&sent);
    world.meddle = Box::new(move |m| {
        let forward =
            ["cordon", "terminate", "start termination", "grant"].iter().any(|word| m.action.starts_with(word));
        if forward && (from..to).contains(m.now) {
            seen.borrow_mut().push(m.action.to_owned());
        }
    });
    let mut machine = world.machine(4);
    world.drive(&mut machine);
    assert!(sent.borrow().is_empty(), "{:?}", sent.borrow());
    assert_eq!(world.document().outcome, Outcome::Completed);
}

/// The probe turns bad in the middle of the silence: what is out goes back at once, without the ledger, and the journal
/// says so afterwards, with the probe as the cause.
#[test]
fn s7_a_regression_while_the_ledger_is_silent_restores_without_it_and_is_recorded_when_it_is_back() {
    let (cordoned, baked) = bake();
    // What waits is a sample; or the end of the bake, which a run that goes forward hangs on.
    for from in [cordoned.plus(Duration::from_secs(5)), baked] {
        regresses_while_silent(from);
    }
}

fn regresses_while_silent(from: Time) {
    let mut world = silent_from(from, Duration::from_secs(60));
    let from = world.ledger_lost_at.expect("lost");
    let back = world.ledger_back_at.expect("back");
    world.probe = Box::new(move |world| {
        Ok(if world.now > from.plus(Duration::from_secs(12)) && world.serving() < 12 { 0.5 } else { 0.0 })
    });
    let put_back = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&put_back);
    world.meddle = Box::new(move |m| {
        if m.action.starts_with("restore") {
            seen.borrow_mut().get_or_insert(*m.now);
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let restored = put_back.borrow().expect("a restore was sent");
    assert!(restored < back, "without the ledger: {:?}", world.log);
    assert_eq!(world.serving(), 12);
    let document = world.document();
    let cause = document.cause.clone().expect("a cause");
    assert_eq!((cause.kind, document.outcome, document.exit_code), (CauseKind::Probe, Outcome::Aborted, 7));
    assert_eq!(document.restored.len(), 2, "recorded afterwards: {:?}", world.log);
    assert!(document.warnings.iter().any(|w| w.contains("recorded late")), "{:?}", document.warnings);
    assert!(world.record.runs.is_empty(), "{:?}", world.record.runs);
    let told = world.journal.iter().find(|r| matches!(r.event, Event::HostRestored { .. })).expect("told");
    assert!(told.at < back, "with the time at which it was done");
}

/// It stays away: what is out is back before `offline_until`, and the run says that a person is needed.
#[test]
fn s7_a_ledger_that_stays_away_ends_the_run_with_everything_back_and_a_person_called() {
    let mut world = silent_for(Duration::from_secs(3600));
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert_eq!(world.serving(), 12, "{:?}", world.log);
    assert!(!world.log.iter().any(|line| line.starts_with("terminate")), "{:?}", world.log);
    let last = world.journal.last().expect("a journal").at;
    let kept = &machine.journal()[world.journal.len()..];
    let sent = kept.iter().find(|r| matches!(r.event, Event::CallAnswered { .. })).expect("a restore").at;
    assert!(sent <= last.plus(LIMIT), "{sent} is after offline_until, {last} and {LIMIT:?}");
    let document = crate::run::report(machine.journal()).expect("opened");
    assert_eq!((document.outcome, document.exit_code), (Outcome::NeedsAttention, 8));
    assert_eq!((document.restored.len(), document.in_doubt.len()), (2, 0));
    assert!(world.now.since(last) >= LIMIT, "it was waited for: {:?}", world.log);
    // The record still holds them: nobody counts on what is not recorded.
    let held = world.record.runs.values().next().expect("the run");
    assert_eq!(held.reservations.len(), 2);
    assert!(world.hosts.values().all(|host| host.state == HostState::InService));
}

/// An order is not kept waiting by a ledger that is silent.
#[test]
fn s6_a_halt_of_the_process_is_heeded_while_the_ledger_is_silent() {
    let mut world = silent_for(Duration::from_secs(3600));
    let from = world.ledger_lost_at.expect("lost");
    let mut ordered = false;
    world.meddle = Box::new(move |m| {
        if *m.now >= from && !ordered {
            ordered = true;
            m.order = Some(crate::run::Order::Interrupt);
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let document = crate::run::report(machine.journal()).expect("opened");
    assert_eq!((world.serving(), document.restored.len()), (12, 2), "{:?}", world.log);
    let cause = document.cause.expect("a cause");
    assert!(cause.message.contains("Ctrl-C"), "{}", cause.message);
}
