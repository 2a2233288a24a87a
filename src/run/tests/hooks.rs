//! The system itself has a say: it is asked before a batch goes, drains it, and is told when its hosts are back.

use std::sync::Arc;
use std::time::Duration;

use super::world::{Driven, World};
use crate::model::{ConsultedBefore, HookAnswer, HookCall, HookStage, HostId, HostState};
use crate::plan::Rule;
use crate::policy::{HookKind, HookSpec};
use crate::run::{
    CauseKind, Event, Finish, Machine, NotStarted, Order, Outcome, Purpose, Response, RunHistory, has_ended,
};

/// A world whose subsystem has a hook of each stage, which all answer like this.
fn world(answers: fn(&HookCall) -> Option<HookAnswer>) -> World {
    let mut world = World::new();
    let mut policies = (*world.policies).clone();
    let hook = |(name, on): (&str, HookStage)| HookSpec {
        name: name.to_owned(),
        on,
        kind: HookKind::Exec { command: vec!["hook".to_owned()] },
        timeout: Duration::from_secs(30),
    };
    let hooks = [("ask", HookStage::Consult), ("move", HookStage::Drain), ("fill", HookStage::Undrain)];
    policies.subsystems.get_mut("index").expect("index").hooks = hooks.map(hook).to_vec();
    world.policies = Arc::new(policies);
    world.answers = answers;
    world
}

fn allow() -> Option<HookAnswer> {
    Some(HookAnswer::Allow {})
}

fn deny() -> Option<HookAnswer> {
    Some(HookAnswer::Deny { reason: "two replicas are behind".to_owned() })
}

/// What was asked, in order: stage, batch, and how many hosts.
fn asked(world: &World) -> Vec<String> {
    let line = |call: &HookCall| {
        let before = match call.before {
            Some(ConsultedBefore::Cordon) => " before cordon",
            Some(ConsultedBefore::Terminate) => " before terminate",
            None => "",
        };
        format!("{}{before} {} of {}", call.on.name(), call.batch, call.hosts.len())
    };
    world.asked.iter().map(line).collect()
}

#[track_caller]
fn is_tidy(world: &World) {
    let history = RunHistory::of(&world.journal);
    assert!(history.illegal.is_none(), "{:?}", history.illegal);
    assert!(has_ended(&world.journal) && world.record.runs.is_empty(), "{}", world.log.join("\n"));
    assert_eq!(world.serving(), world.hosts.len(), "nothing is left out\n{}", world.log.join("\n"));
}

#[test]
fn s2_a_batch_is_asked_about_twice_and_drained_before_its_bake() {
    let mut world = world(|_| allow());
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    assert_eq!(world.document().outcome, Outcome::Completed);
    let of_batch = |batch: u64| {
        [
            format!("consult before cordon {batch} of 2"),
            format!("drain {batch} of 2"),
            format!("consult before terminate {batch} of 2"),
        ]
    };
    assert_eq!(asked(&world), [of_batch(1), of_batch(2)].concat(), "{:#?}", world.log);
    let names: Vec<String> = world.journal.iter().map(|record| record.event.name()).collect();
    let place = |name: &str| names.iter().position(|of| of == name).expect(name);
    assert!(place("hook-intended") < place("batch-granted"), "{names:?}");
    assert!(place("batch-cordoned") < place("batch-drained") && place("batch-drained") < place("bake-ended"));
    is_tidy(&world);
}

#[test]
fn s3_a_hook_that_says_no_before_the_first_batch_refuses_and_touches_nothing() {
    for answers in [
        (|_| deny()) as fn(&HookCall) -> Option<HookAnswer>,
        |_| Some(HookAnswer::Failed { message: "exit status 1".to_owned() }),
        |_| Some(HookAnswer::Only { hosts: ["web-9".into()].into(), reason: None }),
        |_| Some(HookAnswer::Only { hosts: [].into(), reason: None }),
    ] {
        let mut world = world(answers);
        let mut machine = world.machine(4);
        let Finish::NotStarted(NotStarted::Rules(violations)) = world.drive(&mut machine) else {
            panic!("{:?}", world.log)
        };
        assert_eq!(violations[0].rule, Rule::Consult);
        assert!(violations[0].message.contains("hook"), "{}", violations[0].message);
        assert!(world.took_nothing());
    }
}

#[test]
fn s6_a_hook_that_says_no_later_ends_the_run_with_what_is_gone() {
    let mut world = world(|call| if call.batch.get() == 2 { deny() } else { allow() });
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code, document.terminated.len()), (Outcome::Aborted, 7, 2));
    let cause = document.cause.expect("a cause");
    assert_eq!(cause.kind, CauseKind::Hook);
    assert_eq!(cause.message, "hook index/ask (consult) says no: two replicas are behind");
    assert!(world.asked.iter().all(|call| call.on != HookStage::Undrain), "nothing was out");
    is_tidy(&world);
}

/// The third of six hosts may not go: the others do, and it is asked about again at the end.
#[test]
fn s8_hosts_that_a_hook_leaves_out_go_last_or_not_at_all() {
    const THIRD: &str = "index-0003";
    fn but_for_the_third(call: &HookCall) -> Option<HookAnswer> {
        let third = HostId::from(THIRD);
        if !call.hosts.contains(&third) {
            return allow();
        }
        let hosts = call.hosts.iter().filter(|id| **id != third).cloned().collect();
        Some(HookAnswer::Only { hosts, reason: None })
    }
    let mut world = world(but_for_the_third);
    let mut machine = world.machine(6);
    let planned: Vec<HostId> =
        machine.spec().confirmed.document().batches.iter().flat_map(|b| &b.hosts).map(|h| h.id.clone()).collect();
    assert!(planned.contains(&THIRD.into()), "{planned:?}");
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code, document.terminated.len()), (Outcome::Aborted, 7, 5));
    assert!(!document.terminated.contains(&THIRD.into()));
    let sizes: Vec<usize> = document.batches.iter().map(|batch| batch.hosts.len()).collect();
    assert_eq!(sizes.len(), 4, "{sizes:?}");
    assert_eq!(document.batches[3].hosts, [HostId::from(THIRD)]);
    assert_eq!(document.cause.expect("a cause").message, "the hooks together leave no host of the batch");
    is_tidy(&world);
}

#[test]
fn s2_a_hook_that_asks_for_five_minutes_gets_them() {
    fn later(call: &HookCall) -> Option<HookAnswer> {
        match (call.on, call.attempt) {
            (HookStage::Drain | HookStage::Consult, 1..=5) => {
                Some(HookAnswer::Wait { seconds: 60, reason: "moves shards".to_owned() })
            }
            _ => allow(),
        }
    }
    let mut world = world(later);
    let mut machine = world.machine(2);
    let begun = world.now;
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    assert_eq!(world.document().outcome, Outcome::Completed);
    // Three times five minutes: before the cordon, the bake, and the termination.
    assert!(world.now.since(begun) >= Duration::from_secs(900), "{:?}", world.now.since(begun));
    assert!(world.waited_for.iter().any(|text| text.contains("hook index/ask says not yet")), "{:?}", world.waited_for);
    let waits = |record: &crate::run::JournalRecord| matches!(&record.event, Event::Waiting { why, .. } if why.contains("moves shards"));
    assert!(world.journal.iter().any(waits));
    is_tidy(&world);
}

#[test]
fn s6_a_hook_that_asks_for_more_time_than_there_is_defers_or_ends_the_run() {
    fn never(call: &HookCall) -> Option<HookAnswer> {
        match call.batch.get() {
            1 if call.before == Some(ConsultedBefore::Cordon) => allow(),
            _ => Some(HookAnswer::Wait { seconds: 600, reason: "moves shards".to_owned() }),
        }
    }
    let mut first = world(|_| Some(HookAnswer::Wait { seconds: 7200, reason: "moves shards".to_owned() }));
    let mut machine = first.machine(2);
    let finish = first.drive(&mut machine);
    assert!(matches!(finish, Finish::NotStarted(NotStarted::Deferred { .. })), "{finish:?}");
    assert!(first.took_nothing());
    // The batch is out by then: it comes back, and is undrained.
    let mut later = world(never);
    later.answers = never;
    let mut machine = later.machine(2);
    assert_eq!(later.drive(&mut machine), Finish::Ended);
    let document = later.document();
    assert_eq!((document.exit_code, document.terminated.len()), (8, 0), "undrain asks for time for ever, too");
    assert!(document.cause.expect("a cause").message.contains("asks for more time than `--max-wait` allows"));
    is_tidy(&later);
}

/// A drain that breaks off half-way: the batch comes back, and is undrained once its hosts are in service.
#[test]
fn s7_a_drain_that_fails_puts_the_batch_back_and_undrains_it() {
    let mut world = world(|call| match call.on {
        HookStage::Drain => Some(HookAnswer::Failed { message: "ended by signal 9".to_owned() }),
        HookStage::Consult | HookStage::Undrain => allow(),
    });
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code, document.restored.len()), (Outcome::Aborted, 7, 2));
    assert_eq!(
        document.cause.expect("a cause").message,
        "hook index/move (drain) has no answer, which is no: ended by signal 9"
    );
    assert_eq!(asked(&world).last().map(String::as_str), Some("undrain 1 of 2"));
    let names: Vec<String> =
        world.log.iter().filter(|l| l.starts_with("restore") || l.starts_with("ask index/fill")).cloned().collect();
    assert!(names.len() == 2 && names[0].starts_with("restore"), "{names:?}");
    is_tidy(&world);
}

/// One that hangs keeps nobody from stopping the run.
#[test]
fn s6_a_stop_while_a_hook_hangs_puts_the_batch_back_at_once() {
    let mut world = world(|call| if call.on == HookStage::Drain { None } else { allow() });
    let mut machine = world.machine(4);
    let mut hangs_since = None;
    world.meddle = Box::new(move |m| {
        let asks = m.action.starts_with("ask index/move");
        hangs_since = hangs_since.or(asks.then_some(*m.now));
        if hangs_since.is_some_and(|since| m.now.since(since) >= Duration::from_secs(60)) {
            m.order = Some(Order::Interrupt);
        }
    });
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.restored.len()), (Outcome::Halted, 2));
    assert!(!machine.awaits_hook(2), "nobody waits for it any more");
    let samples = world.journal.iter().filter(|record| matches!(record.event, Event::Sampled { batch: Some(_), .. }));
    assert!(samples.count() >= 6, "health is watched meanwhile");
    is_tidy(&world);
}

#[test]
fn s7_an_undrain_that_fails_leaves_the_hosts_in_service_and_calls_a_person() {
    let mut world = world(|call| match call.on {
        HookStage::Consult => allow(),
        HookStage::Drain => deny(),
        HookStage::Undrain => Some(HookAnswer::Failed { message: "no route to host".to_owned() }),
    });
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::NeedsAttention, 8));
    assert_eq!((document.restored.len(), document.in_doubt.len()), (2, 0));
    let warning = document.warnings.iter().find(|warning| warning.contains("did not undrain")).expect("a warning");
    assert!(warning.contains("hook index/fill") && warning.contains("no route to host"), "{warning}");
    assert_eq!(world.asked.iter().filter(|call| call.on == HookStage::Undrain).count(), 3);
    is_tidy(&world);
}

/// One that hangs keeps no host from being told as back.
#[test]
fn s7_an_undrain_that_hangs_is_given_up_and_named() {
    let mut world = world(|call| match call.on {
        HookStage::Consult => allow(),
        HookStage::Drain => deny(),
        HookStage::Undrain => None,
    });
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.exit_code, document.restored.len(), document.in_doubt.len()), (8, 2, 0));
    assert!(document.warnings.iter().any(|warning| warning.contains("did not undrain")), "{:?}", document.warnings);
    is_tidy(&world);
}

/// `--max-wait` is the run's, whoever goes on with it: a drain that wants more time than that is no reason to keep hosts out.
#[test]
fn s7_after_a_takeover_a_hook_may_wait_no_longer_than_before() {
    fn never(call: &HookCall) -> Option<HookAnswer> {
        match call.on {
            HookStage::Drain => Some(HookAnswer::Wait { seconds: 600, reason: "moves shards".to_owned() }),
            HookStage::Consult | HookStage::Undrain => allow(),
        }
    }
    let killed_in_its_drain = |point: u64| {
        let mut world = world(never);
        let mut machine = world.machine(2);
        let driven = world.drive_until(&mut machine, Response::Begin, point);
        assert!(matches!(driven, Driven::Stopped(_)), "no drain");
        world.asked.iter().any(|call| call.on == HookStage::Drain).then_some(world)
    };
    let mut world = (0..1000).find_map(killed_in_its_drain).expect("a drain");
    world.now = world.now.plus(Duration::from_secs(120));
    let begun = world.now;
    let mut taken = world.take_over(Purpose::Resume, &[]);
    assert_eq!(world.drive(&mut taken), Finish::Ended);
    let document = world.document();
    assert_eq!((document.exit_code, document.restored.len()), (7, 2), "{:?}", document.cause);
    assert!(world.now.since(begun) < Duration::from_secs(2 * 3600), "{:?}", world.now.since(begun));
    is_tidy(&world);
}

/// Answers that are old before the last one comes are asked for again, but not for ever.
#[test]
fn s6_hooks_that_never_agree_at_one_time_end_the_run() {
    let mut world = world(|call| match (call.on, call.hook.hook.as_str()) {
        (HookStage::Consult, "slow") => Some(HookAnswer::Wait { seconds: 61, reason: "asks the others".to_owned() }),
        _ => allow(),
    });
    let mut policies = (*world.policies).clone();
    let index = policies.subsystems.get_mut("index").expect("index");
    let slow = HookSpec { name: "slow".to_owned(), ..index.hooks[0].clone() };
    index.hooks.push(slow);
    world.policies = Arc::new(policies);
    let mut machine = world.machine(2);
    let finish = world.drive(&mut machine);
    assert!(matches!(finish, Finish::NotStarted(_)), "{finish:?}");
    assert!(world.took_nothing());
}

/// Between the stops at every write, and so between drain and bake too: whoever resumes the run drains again, and nothing is
/// terminated that was not.
#[test]
fn s9_killed_at_every_point_and_resumed_the_hooks_are_asked_again() {
    let (mut told, mut drained_again) = (0, 0);
    for point in 0..1000 {
        let mut world = world(|_| allow());
        let mut machine: Machine = world.machine(4);
        let Driven::Stopped(_) = world.drive_until(&mut machine, Response::Begin, point) else {
            assert!(told > 60 && drained_again > 5, "{told} points, drained again at {drained_again}");
            return;
        };
        let is_listed = world.journal.first().is_some_and(|first| world.record.runs.contains_key(&first.run));
        if !is_listed {
            continue;
        }
        told += 1;
        let was_drained = world.asked.iter().any(|call| call.on == HookStage::Drain);
        world.now = world.now.plus(Duration::from_secs(120));
        let before = world.asked.len();
        let mut taken = world.take_over(Purpose::Resume, &[]);
        world.drive(&mut taken);
        is_tidy(&world);
        let again = world.asked[before..].iter().any(|call| call.on == HookStage::Drain);
        drained_again += u64::from(was_drained && again);
        assert_eq!(world.document().terminated.len(), 4, "point {point}: {}", world.log.join("\n"));
        is_drained_before_each_bake(&world, point);
        let mut numbers: Vec<u64> = world.journal.iter().filter_map(intended).collect();
        let count = numbers.len();
        numbers.dedup();
        assert!(numbers.len() == count && numbers.is_sorted(), "point {point}: each call has a number of its own");
    }
    panic!("the run does not end");
}

fn intended(record: &crate::run::JournalRecord) -> Option<u64> {
    if let Event::HookIntended { call, .. } = &record.event { Some(*call) } else { None }
}

/// No bake ends whose batch was not drained by the process that watched it.
#[track_caller]
fn is_drained_before_each_bake(world: &World, point: u64) {
    let mut is_drained = false;
    for record in &world.journal {
        match &record.event {
            Event::RunTakenOver { .. } | Event::BatchCordoned { .. } => is_drained = false,
            Event::BatchDrained { .. } => is_drained = true,
            Event::BakeEnded { .. } => assert!(is_drained, "point {point}: {}", world.log.join("\n")),
            _ => {}
        }
    }
}

/// Abandoned at every point, what was out is back and undrained.
#[test]
fn s7_killed_at_every_point_and_abandoned_what_was_drained_is_undrained() {
    for point in 0..1000 {
        let mut world = world(|_| allow());
        let mut machine: Machine = world.machine(2);
        let Driven::Stopped(_) = world.drive_until(&mut machine, Response::Begin, point) else { return };
        if world.journal.first().is_none_or(|first| !world.record.runs.contains_key(&first.run)) {
            continue;
        }
        let drained: Vec<HostId> =
            world.asked.iter().filter(|call| call.on == HookStage::Drain).flat_map(|call| call.hosts.clone()).collect();
        world.now = world.now.plus(Duration::from_secs(120));
        let mut taken = world.take_over(Purpose::Abandon, &[]);
        world.drive(&mut taken);
        is_tidy(&world);
        let undrained: Vec<HostId> = world
            .asked
            .iter()
            .filter(|call| call.on == HookStage::Undrain)
            .flat_map(|call| call.hosts.clone())
            .collect();
        let back = drained.iter().filter(|id| world.hosts.contains_key(*id));
        assert!(back.clone().all(|id| undrained.contains(id)), "point {point}: {drained:?} {undrained:?}");
    }
    panic!("the run does not end");
}

/// Somebody gives what is out another subsystem's tags: its hooks are those of the plan all the same.
#[test]
fn s3_hosts_whose_tags_have_changed_are_drained_all_the_same() {
    let mut world = world(|_| allow());
    let mut policies = (*world.policies).clone();
    let mut store = policies.subsystems["index"].clone();
    store.name = "store".into();
    store.hosts.tags.insert("role".to_owned(), ["store".to_owned()].into());
    store.hooks.clear();
    (store.capacity.baseline, store.capacity.minimum) = (1, 0);
    policies.subsystems.insert(store.name.clone(), store);
    world.policies = Arc::new(policies);
    world.meddle = Box::new(|m| {
        for host in m.hosts.values_mut().filter(|host| host.state == HostState::Cordoned) {
            host.tags_mut().insert("role".to_owned(), "store".to_owned());
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let document = world.document();
    let drained = world.asked.iter().find(|call| call.on == HookStage::Drain).map(|call| call.hosts.len());
    assert_eq!(drained, Some(2), "{:?} gone {:?}: {:#?}", document.outcome, document.terminated, document.cause);
}
