//! Between two batches: a person is asked, the run is paused, and nothing is out of service meanwhile.

use std::time::Duration;

use crate::coordination::{self, NotHeld, Pause, WentOn};
use crate::model::{OperatorId, RunId, Time};
use crate::run::{Answer, CauseKind, Event, Finish, Machine, Order, Outcome, Purpose, Response, Spec};

use super::world::{Driven, Meddled, World};

const RUN: &str = "r-1";

/// A world whose runs ask before every batch after the first.
fn asking() -> World {
    let mut world = World::new();
    world.step = true;
    world
}

/// What a run that asks hears, with each action as it stands.
fn reply(batch: u64, reply: Result<&str, &str>) -> Answer {
    Answer { batch: batch.into(), reply: reply.map(str::to_owned).map_err(str::to_owned) }
}

fn run() -> RunId {
    RunId::new(RUN)
}

fn order(at: Time) -> Pause {
    Pause { operator: "ben".into(), reason: Some("smoke".to_owned()), at, after: None }
}

fn pause(m: &mut Meddled<'_>) {
    if let Some(next) = coordination::pause(m.record, &run(), &order(*m.now)).expect("it is under way") {
        *m.record = next;
    }
}

fn go_on(m: &mut Meddled<'_>) -> Result<WentOn, NotHeld> {
    let (next, went_on) = coordination::go_on(m.record, &run(), &OperatorId::new("cat"), *m.now)?;
    *m.record = next;
    Ok(went_on)
}

/// Whether the run's question is open, by the record.
fn is_asked(m: &Meddled<'_>) -> bool {
    m.record.runs.get(&run()).is_some_and(|entry| entry.asking.is_some())
}

/// What the journal says of pauses.
fn told(world: &World) -> Vec<String> {
    let said = |event: &Event| match event {
        Event::Paused { pause } => Some(format!("paused by {}", pause.operator)),
        Event::Continued { operator } => {
            Some(format!("continued by {}", operator.as_ref().map_or("nobody", OperatorId::as_str)))
        }
        _ => None,
    };
    world.journal.iter().filter_map(|record| said(&record.event)).collect()
}

/// How often a batch was taken out of service.
fn cordons(world: &World) -> usize {
    world.log.iter().filter(|line| line.starts_with("cordon")).count()
}

#[test]
fn s8_every_batch_after_the_first_goes_only_once_its_number_was_typed() {
    let mut world = asking();
    let mut machine = world.machine(6);
    let mut since = None;
    world.meddle = Box::new(move |m| {
        let Some(batch) = m.record.runs.get(&run()).and_then(|entry| entry.asking.as_ref()).map(|asking| asking.batch)
        else {
            since = None;
            return;
        };
        let since = *since.get_or_insert(*m.now);
        m.answer = (m.now.since(since) >= Duration::from_secs(30)).then(|| reply(batch.get(), Ok("2")));
    });
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 6));
    let asked: Vec<_> = world
        .journal
        .iter()
        .filter_map(|record| match &record.event {
            Event::Asked { batch, .. } => Some(batch.get()),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [2, 3], "the first batch was confirmed with the plan");
    let confirmed: Vec<_> =
        document.confirmations.iter().map(|c| (c.batch.get(), c.operator.as_str(), c.how.as_str())).collect();
    assert_eq!(confirmed, [(2, "ada@here", "typed"), (3, "ada@here", "typed")]);
}

#[test]
fn s8_any_other_answer_ends_the_run_with_nothing_out_of_service() {
    for (said, why) in [
        (Ok("3"), "the answer was \"3\", not \"2\""),
        (Ok(""), "the answer was \"\", not \"2\""),
        (Ok("yes"), "the answer was \"yes\", not \"2\""),
        (Err("the input ended"), "the input ended"),
    ] {
        let mut world = asking();
        let mut asked = false;
        world.meddle = Box::new(move |m| {
            if asked && m.action.is_empty() {
                m.answer = Some(reply(2, said));
            }
            asked |= m.action == "ask about 2";
        });
        let mut machine = world.machine(6);
        assert_eq!(world.drive(&mut machine), Finish::Ended);
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Halted, 9), "{said:?}");
        assert_eq!((document.terminated.len(), world.serving(), cordons(&world)), (2, 10, 1), "{said:?}");
        let cause = document.cause.expect("a cause");
        assert_eq!((cause.kind, cause.rule.as_deref()), (CauseKind::Rule, Some("not-confirmed")));
        assert!(cause.message.contains(why), "{}", cause.message);
        assert!(world.record.runs.is_empty() && world.suspended.is_empty());
    }
}

#[test]
fn s8_an_answer_about_another_batch_is_none_and_no_answer_in_time_ends_the_run() {
    let mut world = asking();
    world.meddle = Box::new(|m| m.answer = Some(reply(7, Ok("2"))));
    let mut machine = world.machine(6);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code, document.terminated.len()), (Outcome::Halted, 9, 2));
    let cause = document.cause.expect("a cause").message;
    assert!(cause.contains("there was no answer within 15m"), "{cause}");
    let asked = |event: &Event| matches!(event, Event::Asked { .. });
    let at = world.journal.iter().find(|record| asked(&record.event)).expect("asked").at;
    let waited = document.ended_at.since(at);
    assert!(waited >= Duration::from_secs(900) && waited < Duration::from_secs(1000), "{waited:?}");
    // A process that waits is not taken for a silent one.
    let times: Vec<_> = world.journal.iter().filter(|record| record.at >= at).map(|record| record.at).collect();
    assert!(times.windows(2).all(|two| two[1].since(two[0]) <= Duration::from_secs(90)), "{times:?}");
}

#[test]
fn s8_without_a_terminal_continue_is_the_answer_and_its_giver_is_recorded() {
    let mut world = asking();
    world.attended = false;
    world.meddle = Box::new(|m| {
        // A `continue` that comes before the question lets nothing go.
        let is_asked = is_asked(m);
        assert_eq!(go_on(m).is_ok(), is_asked, "{}", m.action);
    });
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 4));
    let by: Vec<_> = document.confirmations.iter().map(|c| (c.batch.get(), c.operator.as_str(), &*c.how)).collect();
    assert_eq!(by, [(2, "cat", "continue")]);
}

#[test]
fn s8_where_its_own_terminal_asks_continue_is_no_answer() {
    let mut world = asking();
    let mut asked = false;
    world.meddle = Box::new(move |m| {
        if asked && m.record.runs.contains_key(&run()) && m.record.runs[&run()].asking.is_some() {
            assert_eq!(go_on(m), Err(NotHeld::Attended(2.into())));
        }
        asked |= m.action == "ask about 2";
    });
    let mut machine = world.machine(4);
    world.drive(&mut machine);
    assert_eq!(world.document().outcome, Outcome::Halted);
}

#[test]
fn s6_an_order_or_a_regression_ends_the_question() {
    for regression in [false, true] {
        let mut world = asking();
        let mut asked = false;
        if regression {
            world.probe = Box::new(|world| Ok(if world.log.iter().any(|l| l == "ask about 2") { 0.9 } else { 0.0 }));
        }
        world.meddle = Box::new(move |m| {
            m.order = (asked && !regression).then_some(Order::Interrupt);
            asked |= m.action == "ask about 2";
        });
        let mut machine = world.machine(4);
        assert_eq!(world.drive(&mut machine), Finish::Ended);
        let document = world.document();
        let expected = if regression { (Outcome::Aborted, 7) } else { (Outcome::Halted, 9) };
        assert_eq!((document.outcome, document.exit_code), expected);
        assert_eq!((document.terminated.len(), world.serving()), (2, 10));
    }
}

#[test]
fn s6_a_paused_run_takes_no_further_batch_until_it_is_continued() {
    for ordered in ["grant 1", "cordon", "start termination", "resolve"] {
        let mut world = World::new();
        let (mut paused_at, mut cordoned) = (None, 0);
        world.meddle = Box::new(move |m| {
            if m.action.starts_with(ordered) && m.record.runs.contains_key(&run()) && paused_at.is_none() {
                pause(m);
                paused_at = Some(*m.now);
            }
            cordoned += u32::from(m.action.starts_with("cordon"));
            if paused_at.is_some_and(|at| m.now.since(at) > Duration::from_secs(1200)) && go_on(m).is_ok() {
                let expected = u32::from(ordered != "grant 1");
                assert!(cordoned <= expected, "paused after {ordered}, and {cordoned} batches were cordoned");
            }
        });
        let mut machine = world.machine(4);
        let ended = world.drive(&mut machine);
        assert_eq!(ended, Finish::Ended);
        let document = world.document();
        assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 4), "after {ordered}");
        let pauses: Vec<_> = document
            .pauses
            .iter()
            .map(|p| (p.operator.as_str(), p.reason.as_deref(), p.continued_by.as_ref()))
            .collect();
        assert_eq!(pauses, [("ben", Some("smoke"), Some(&"cat".into()))], "after {ordered}");
        let (first, second) = (&document.batches[0], &document.batches[1]);
        let from = if ordered == "grant 1" { document.started_at } else { first.terminated_at.expect("gone") };
        let to = if ordered == "grant 1" { first.cordoned_at } else { second.cordoned_at };
        let gap = to.expect("cordoned").since(from);
        assert!(gap > Duration::from_secs(600), "after {ordered}: {gap:?}");
    }
}

#[test]
fn s6_a_pause_withdraws_the_question_and_it_is_asked_anew() {
    let mut world = asking();
    let (mut step, mut since) = (0, Time::from_millis(0));
    world.meddle = Box::new(move |m| {
        let waited = m.now.since(since) >= Duration::from_secs(60);
        match step {
            0 if is_asked(m) => (step, since) = (1, *m.now),
            1 if waited => {
                pause(m);
                (step, since) = (2, *m.now);
            }
            2 if waited => {
                assert!(matches!(go_on(m), Ok(WentOn::Unpaused(_))));
                step = 3;
            }
            3 if is_asked(m) => (step, since) = (4, *m.now),
            4 if waited => m.answer = Some(reply(2, Ok("2"))),
            _ => {}
        }
    });
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    assert_eq!(world.document().outcome, Outcome::Completed, "{:#?}", world.log);
    let asked = world.journal.iter().filter(|record| matches!(record.event, Event::Asked { .. })).count();
    assert_eq!(asked, 2);
}

#[test]
fn a_run_pauses_by_itself_once_after_the_batch_that_was_named() {
    let mut world = World::new();
    let mut machine = Machine::new(Spec { pause_after: Some(1.into()), ..world.spec(6, RUN) });
    let mut paused = 0;
    world.meddle = Box::new(move |m| {
        paused += u32::from(m.action == "pause");
        if paused > 0 && m.action.is_empty() {
            let _ = go_on(m);
        }
    });
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.terminated.len()), (Outcome::Completed, 6));
    assert_eq!(world.log.iter().filter(|line| *line == "pause").count(), 1);
    let place = |of: &str| world.log.iter().position(|line| line == of).expect(of);
    assert!(place("grant 1") < place("pause") && place("pause") < place("grant 2"));
    assert_eq!(document.pauses.len(), 1);
    assert_eq!(document.pauses[0].after, Some(1.into()));
}

/// The run pauses once, and goes on when somebody continues it. The journal says so once, and by whom.
#[test]
fn a_pause_of_its_own_is_one_pause_and_one_continue_with_its_giver() {
    let mut world = World::new();
    let mut machine = Machine::new(Spec { pause_after: Some(1.into()), ..world.spec(6, RUN) });
    let mut paused_at = None;
    world.meddle = Box::new(move |m| {
        if m.action == "pause" {
            paused_at = Some(*m.now);
        }
        if paused_at.is_some_and(|at| m.now.since(at) > Duration::from_secs(600)) {
            let _ = go_on(m);
        }
    });
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    assert_eq!(told(&world), ["paused by ada@here", "continued by cat"]);
    assert_eq!(world.document().pauses.len(), 1);
}

/// The reason that is typed once the pause is in force belongs to that pause: it is no second one.
#[test]
fn a_reason_that_comes_later_makes_no_second_pause() {
    let mut world = World::new();
    let (mut paused_at, mut explained) = (None, false);
    world.meddle = Box::new(move |m| {
        let silent = |at| Pause { reason: None, ..order(at) };
        match paused_at {
            None if m.action.starts_with("resolve") => {
                paused_at = Some(*m.now);
                *m.record = coordination::pause(m.record, &run(), &silent(*m.now)).expect("under way").expect("new");
            }
            Some(at) if !explained && m.now.since(at) > Duration::from_secs(300) => {
                explained = true;
                *m.record = coordination::explain_pause(m.record, &run(), &silent(at), "smoke").expect("in force");
            }
            Some(at) if m.now.since(at) > Duration::from_secs(600) => _ = go_on(m),
            _ => {}
        }
    });
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let pauses = world.document().pauses;
    let said: Vec<_> = pauses.iter().map(|p| (p.reason.as_deref(), p.continued_by.as_ref())).collect();
    assert_eq!(said, [(Some("smoke"), Some(&"cat".into()))]);
}

/// S8: the process that died was let go; the one that takes over has other readings before it, and asks anew.
#[test]
fn s8_whoever_takes_the_run_over_is_asked_anew_wherever_the_process_died() {
    let mut points = 0;
    for point in 0.. {
        let mut world = asking();
        let meddle = || {
            let mut since = None;
            Box::new(move |m: &mut Meddled<'_>| {
                since = since.or(Some(*m.now)).filter(|_| is_asked(m));
                m.answer =
                    since.filter(|since| m.now.since(*since) >= Duration::from_secs(30)).map(|_| reply(2, Ok("2")));
            })
        };
        world.meddle = meddle();
        let mut machine = world.machine(4);
        match world.drive_until(&mut machine, Response::Begin, point) {
            Driven::Finished(_) => break,
            Driven::Stopped(_) => {}
        }
        let asked = |event: &Event| matches!(event, Event::Asked { .. });
        let was_asked = world.journal.iter().any(|record| asked(&record.event));
        let taken = world.log.iter().any(|line| line == "grant 2");
        points += usize::from(was_asked && !taken);
        if world.journal.is_empty() || !world.record.runs.contains_key(&run()) {
            continue;
        }
        world.log.clear();
        world.meddle = meddle();
        let mut machine = world.take_over(Purpose::Resume, &[]);
        assert_eq!(world.drive(&mut machine), Finish::Ended, "point {point}");
        if taken || world.record.runs.contains_key(&run()) {
            continue;
        }
        let fence = world.journal.iter().rposition(|record| matches!(record.event, Event::RunTakenOver { .. }));
        let since = &world.journal[fence.expect("taken over")..];
        let place = |is: fn(&Event) -> bool| since.iter().position(|record| is(&record.event));
        let granted = place(|event| matches!(event, Event::BatchGranted { batch, .. } if batch.get() == 2));
        let asked = place(|event| matches!(event, Event::Asked { batch, .. } if batch.get() == 2));
        assert!(asked.is_some() && asked < granted, "point {point}: {:#?}", world.log);
    }
    assert!(points > 4, "only {points} points were between the question and the grant");
}
