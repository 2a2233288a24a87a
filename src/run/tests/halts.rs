//! Stop orders, put into the record at every moment of a run.

use std::sync::Arc;
use std::time::Duration;

use super::world::{START, World};
use crate::coordination::{self, Halt, ProcessSuspension, Resuming};
use crate::model::{Process, Time};
use crate::plan::{Removal, Rule};
use crate::policy::Budget;
use crate::run::{CauseKind, Event, Finish, JournalRecord, Machine, NotStarted, Order, Outcome, RunHistory, Step};

const EVERY: Duration = Duration::from_secs(10);

fn order(of: Option<&str>) -> Halt {
    Halt { subsystem: of.map(Into::into), operator: "ann@there".into(), reason: Some("smoke".to_owned()), at: START }
}

/// Puts the order into the record as soon as it is that late.
fn halt_from(world: &mut World, of: Option<&'static str>, from: Time) {
    world.meddle = Box::new(move |m| {
        if *m.now >= from
            && let Some(next) = coordination::halt(m.record, &order(of))
        {
            *m.record = next;
        }
    });
}

/// What is back, gone and held after a run that was halted.
#[track_caller]
fn is_put_back(world: &World, why: &str) {
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::Halted, 9), "{why}");
    let cause = document.cause.as_ref().expect("a cause");
    assert_eq!((cause.kind, cause.rule.as_deref()), (CauseKind::Rule, Some("halted")), "{why}");
    assert!(cause.message.contains("smoke") && cause.message.contains("ann@there"), "{why}: {}", cause.message);
    assert_eq!(world.serving() + document.terminated.len(), 12, "{why}: everything else serves");
    assert!(document.in_doubt.is_empty() && world.suspended.is_empty(), "{why}");
    assert!(world.record.runs.is_empty(), "{why}: nothing is held");
}

/// Whatever the run is about: reference, grant, cordon, bake, termination, the interval, the second batch.
#[test]
fn s6_a_halt_at_any_second_is_seen_within_one_sampling_period() {
    let (mut halted, mut refused, mut completed) = (0, 0, 0);
    for second in 0..=360 {
        let from = START.plus(Duration::from_secs(second));
        let mut world = World::new();
        halt_from(&mut world, None, from);
        let mut machine = world.machine(4);
        let why = format!("halted after {second} s");
        let seen = match world.drive(&mut machine) {
            Finish::NotStarted(NotStarted::Rules(violations)) => {
                assert_eq!((second, violations[0].rule), (0, Rule::Halted), "{why}");
                continue;
            }
            Finish::NotStarted(NotStarted::Halted(message)) => {
                assert!(message.contains("smoke") && message.contains("ann@there"), "{message}");
                assert!(world.took_nothing(), "{why}: no run was made");
                refused += 1;
                world.now
            }
            Finish::Ended if world.document().outcome == Outcome::Completed => {
                completed += 1;
                continue;
            }
            Finish::Ended => {
                is_put_back(&world, &why);
                halted += 1;
                world.journal.iter().find(|r| matches!(r.event, Event::Stopped { .. })).expect("stopped").at
            }
            other => panic!("{why}: {other:?}"),
        };
        assert!(seen.since(from) <= EVERY, "{why}: seen at {seen}, {:?} late", seen.since(from));
    }
    assert!(halted > 200 && refused > 10 && completed > 10, "{halted} {refused} {completed}");
}

/// A run that was stopped before its first cordon, or between batches, has nothing to put back and does not say so.
#[test]
fn s7_only_what_is_out_is_said_to_be_restored() {
    let (mut restoring, mut closing) = (0, 0);
    for second in (0..=360).step_by(3) {
        let mut world = World::new();
        halt_from(&mut world, None, START.plus(Duration::from_secs(second)));
        let mut machine = world.machine(4);
        world.drive(&mut machine);
        let shown: Vec<bool> =
            world.shown.iter().filter(|(step, _)| *step == Step::Restoring).map(|(_, is_out)| *is_out).collect();
        assert!(shown.iter().all(|is_out| *is_out), "halted after {second} s: {:?}", world.shown);
        assert_eq!(world.shown.last().map(|(step, _)| *step), Some(Step::Closing), "{second}: {:?}", world.shown);
        let stopped = world.journal.iter().any(|record| matches!(record.event, Event::Stopped { .. }));
        *if shown.is_empty() { &mut closing } else { &mut restoring } += usize::from(stopped);
    }
    assert!(restoring > 10 && closing > 10, "{restoring} {closing}");
}

/// A batch was granted, and nothing of it was cordoned.
#[test]
fn s7_a_granted_batch_that_never_left_service_is_not_said_to_be_restored() {
    let mut world = World::new();
    world.meddle = Box::new(|m| m.order = m.action.starts_with("hold index").then_some(Order::Interrupt));
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    assert!(!world.log.iter().any(|line| line.starts_with("cordon")), "{:?}", world.log);
    assert!(!world.shown.iter().any(|(step, _)| *step == Step::Restoring), "{:?}", world.shown);
    let untouched = |record: &JournalRecord| matches!(record.event, Event::HostUntouched { .. });
    let after = world.journal.iter().rposition(untouched).expect("it was granted") + 1;
    let step = RunHistory::of(&world.journal[..after]).step.map(|step| format!("{step:?}"));
    assert_eq!(step.as_deref(), Some("Closing"));
}

/// The look before showed no order; the record has one when the step is taken.
#[test]
fn s6_a_halt_between_the_look_and_the_step_is_an_order_too() {
    for at in ["hold index", "suspend index", "cordon", "start termination"] {
        let mut world = World::new();
        world.meddle = Box::new(move |m| {
            if m.action.starts_with(at)
                && let Some(next) = coordination::halt(m.record, &order(None))
            {
                *m.record = next;
            }
        });
        let mut machine = world.machine(4);
        assert_eq!(world.drive(&mut machine), Finish::Ended, "at {at}");
        is_put_back(&world, at);
        assert_eq!(world.document().terminated.len(), 0, "at {at}");
    }
    let mut world = World::new();
    world.meddle = Box::new(|m| {
        if m.action.starts_with("grant 1") {
            m.record.halts = vec![order(None)];
        }
    });
    let mut machine = world.machine(4);
    assert!(matches!(world.drive(&mut machine), Finish::NotStarted(NotStarted::Halted(_))));
    assert!(world.took_nothing());
}

#[test]
fn s6_a_halt_concerns_what_is_touched_or_watched_and_nothing_else() {
    let from = START.plus(Duration::from_secs(55));
    for (of, outcome) in [
        (Some("index"), Outcome::Halted),
        (Some("placement"), Outcome::Halted),
        (Some("billing"), Outcome::Completed),
        (None, Outcome::Halted),
    ] {
        let mut world = World::new();
        halt_from(&mut world, of, from);
        let mut spec = world.spec(2, "r-1");
        spec.identity.watched.insert("placement".into());
        world.drive(&mut Machine::new(spec));
        assert_eq!(world.document().outcome, outcome, "{of:?}");
    }
}

#[test]
fn s6_a_halt_is_seen_while_a_budget_is_waited_for() {
    let from = START.plus(Duration::from_secs(400));
    let mut world = World::new();
    let mut policies = (*world.policies).clone();
    let index = policies.subsystems.values_mut().next().expect("one");
    index.pace.budgets = vec![Budget { hosts: 2, per: Duration::from_secs(1800) }];
    world.policies = Arc::new(policies);
    for host in ["index-98", "index-99"] {
        world.record.removals.push(Removal {
            host: host.into(),
            run: "r-0".into(),
            subsystems: ["index".into()].into(),
            units: Default::default(),
            at: Some(START),
        });
    }
    halt_from(&mut world, Some("index"), from);
    let mut machine = world.machine(2);
    let finish = world.drive(&mut machine);
    assert!(matches!(&finish, Finish::NotStarted(NotStarted::Halted(why)) if why.contains("smoke")), "{finish:?}");
    assert!(world.now.since(from) <= EVERY, "{:?} late", world.now.since(from));
}

/// Another run's resume may take a quarter of an hour to land.
#[test]
fn s6_a_halt_is_seen_while_a_group_is_waited_for() {
    let from = START.plus(Duration::from_secs(100));
    let mut world = World::new();
    let resuming = Resuming { run: "r-0".into(), until: START.plus(Duration::from_secs(900)) };
    let hold = ProcessSuspension { suspended_before: [].into(), runs: [].into(), resuming: Some(resuming) };
    world.record.groups.insert("index".into(), hold);
    halt_from(&mut world, Some("index"), from);
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let stopped = world.journal.iter().find(|r| matches!(r.event, Event::Stopped { .. })).expect("stopped").at;
    assert!(stopped.since(from) <= EVERY, "{:?} late", stopped.since(from));
    assert_eq!((world.document().exit_code, world.serving()), (9, 12));
    assert!(!world.suspended.contains(&Process::AzRebalance));
}

/// A regression beside the order outranks it: the run says what was wrong (contract section 3, exit 7).
#[test]
fn s6_a_rule_that_is_broken_beside_a_halt_is_the_cause() {
    let mut world = World::new();
    world.meddle = Box::new(|m| {
        if m.action.starts_with("start termination") {
            m.record.halts = vec![order(None)];
            m.record.accepted.values_mut().for_each(|accepted| accepted.policy.capacity.minimum = 11);
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.outcome, world.serving()), (Outcome::Aborted, 12));
    assert_eq!(document.cause.expect("a cause").rule.as_deref(), Some("policy-loosened"));
}
