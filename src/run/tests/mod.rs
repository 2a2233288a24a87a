//! The machine against a world in memory. Each test is a story: what goes wrong, and what must be seen.

mod between;
mod clocks;
mod credentials;
mod departures;
mod halts;
mod history;
mod hooks;
mod ledger;
mod outage;
mod own_changes;
mod policies;
mod proof;
mod pruned;
mod readings;
mod scope;
mod simulation;
mod strays;
mod takeovers;
mod world;

use std::time::Duration;

use crate::model::{Bounds, HostState, Process};
use crate::run::{BatchState, CauseKind, Event, Finish, NotStarted, Order, Outcome};

use world::{Fault, World, host};

#[test]
fn s2_a_clean_run_bakes_every_batch_before_it_terminates() {
    let mut world = World::new();
    let mut machine = world.machine(6);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::Completed, 0));
    assert_eq!(document.terminated.len(), 6);
    assert_eq!(world.serving(), 6);
    assert_eq!(world.desired, 6, "desired capacity went down once for each host");
    assert!(document.batches.iter().all(|b| b.state == BatchState::Terminated));
    assert!(world.suspended.is_empty(), "AZRebalance is as it was before");
    assert!(world.record.runs.is_empty(), "nothing is held");
    insta::assert_snapshot!(world.log.join("\n"));
}

#[test]
fn s4_the_interval_is_waited_between_batches() {
    let mut world = World::new();
    let mut machine = world.machine(4);
    world.drive(&mut machine);
    let document = world.document();
    let (first, second) = (&document.batches[0], &document.batches[1]);
    let gap = second.cordoned_at.expect("cordoned").since(first.terminated_at.expect("terminated"));
    assert!(gap >= Duration::from_secs(120), "only {gap:?} between the batches");
}

#[test]
fn s7_a_regression_in_the_second_bake_restores_the_second_batch_alone() {
    let mut world = World::new();
    world.probe = Box::new(|world| if world.serving() <= 8 { Ok(0.5) } else { Ok(0.0) });
    let mut machine = world.machine(6);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7));
    let states: Vec<_> = document.batches.iter().map(|b| b.state).collect();
    assert_eq!(states, [BatchState::Terminated, BatchState::Restored, BatchState::NotStarted]);
    assert_eq!(document.cause.expect("a cause").kind, CauseKind::Probe);
    assert_eq!(document.restored.len(), 2);
    assert!(document.in_doubt.is_empty());
    assert_eq!(world.serving(), 10);
    assert!(world.record.runs.is_empty());
}

#[test]
fn s6_an_order_restores_what_is_cordoned_and_starts_nothing_new() {
    for after in ["grant 1", "hold index", "suspend index", "cordon", "start termination"] {
        let mut world = World::new();
        world.meddle = Box::new(move |m| {
            if m.action.starts_with(after) {
                m.order = Some(Order::Terminate);
            }
        });
        let mut machine = world.machine(4);
        assert_eq!(world.drive(&mut machine), Finish::Ended, "after {after}");
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Halted, 9), "after {after}");
        assert_eq!(world.serving(), 12, "after {after}: everything is back");
        assert!(world.suspended.is_empty() && world.record.runs.is_empty(), "after {after}: nothing is held");
        assert_eq!(world.desired, 12, "after {after}");
    }
}

#[test]
fn s6_an_order_between_two_terminations_restores_the_rest() {
    let mut world = World::new();
    let mut terminated = 0;
    world.meddle = Box::new(move |m| {
        if m.action.starts_with("terminate") {
            terminated += 1;
            if terminated == 1 {
                m.order = Some(Order::Interrupt);
            }
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.terminated.len(), document.restored.len()), (1, 1));
    assert_eq!((document.outcome, world.serving()), (Outcome::Halted, 11));
}

/// A runbook that is told "halted" asks for the rest, and there is none.
#[test]
fn s6_an_order_that_comes_when_all_is_gone_makes_no_halted_run() {
    for (after, hosts) in [("terminate", 1), ("resolve", 2)] {
        let mut world = World::new();
        world.meddle = Box::new(move |m| {
            if m.action.starts_with(after) {
                m.order = Some(Order::Terminate);
            }
        });
        let mut machine = world.machine(hosts);
        assert_eq!(world.drive(&mut machine), Finish::Ended, "after {after}");
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Completed, 0), "after {after}");
        assert_eq!(document.cause, None, "after {after}");
        assert!(document.warnings.iter().any(|w| w.contains("SIGTERM")), "after {after}: {:?}", document.warnings);
        assert_eq!(document.terminated.len(), usize::try_from(hosts).expect("few"), "after {after}");
    }
}

#[test]
fn an_order_before_the_first_grant_leaves_no_run() {
    let mut world = World::new();
    let mut machine = world.machine(2);
    machine.order(Order::Interrupt);
    assert_eq!(world.drive(&mut machine), Finish::NotStarted(NotStarted::Ordered(Order::Interrupt)));
    assert!(world.took_nothing());
}

#[test]
fn s9_faults_of_calls_are_observed_before_anything_is_repeated() {
    for kind in ["cordon", "terminate", "suspend", "resume"] {
        for fault in [Fault::Throttled, Fault::Timeout, Fault::LostReply] {
            let mut world = World::new();
            world.faults = vec![(kind, 1, fault)];
            let mut machine = world.machine(4);
            assert_eq!(world.drive(&mut machine), Finish::Ended);
            let document = world.document();
            assert_eq!(document.outcome, Outcome::Completed, "{kind} {fault:?}: {:?}", document.cause);
            assert_eq!((document.terminated.len(), world.serving(), world.desired), (4, 8, 8), "{kind} {fault:?}");
            assert!(world.suspended.is_empty(), "{kind} {fault:?}");
        }
    }
}

#[test]
fn s7_faults_of_a_restore_do_not_leave_hosts_cordoned() {
    for fault in [Fault::Throttled, Fault::Timeout, Fault::LostReply, Fault::Refused] {
        let mut world = World::new();
        world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
        world.faults = vec![("restore", 1, fault)];
        let mut machine = world.machine(2);
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!((document.outcome, world.serving()), (Outcome::Aborted, 12), "{fault:?}: {:?}", world.log);
    }
}

#[test]
fn s7_what_cannot_be_restored_is_named_and_stays_reserved() {
    let mut world = World::new();
    world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
    world.faults = (1..1000).map(|n| ("restore", n, Fault::Throttled)).collect();
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::NeedsAttention, 8));
    assert_eq!(document.in_doubt.len(), 2);
    let run = world.record.runs.values().next().expect("the run is still on record");
    assert_eq!(run.reservations.len(), 2, "its hosts are nobody else's");
}

/// A restore without an answer may still be done, whatever a read shows that began before it could no longer be.
#[test]
fn s7_a_host_is_called_cordoned_only_where_no_call_can_have_changed_that() {
    for (fault, is_known) in [(Fault::Throttled, true), (Fault::Timeout, false)] {
        let mut world = World::new();
        world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
        world.faults = (1..1000).map(|n| ("restore", n, fault)).collect();
        let mut machine = world.machine(2);
        world.drive(&mut machine);
        let document = world.document();
        let state = if is_known { BatchState::Cordoned } else { BatchState::Unknown };
        assert_eq!(document.batches[0].state, state, "{fault:?}");
        let known: Vec<bool> = document.doubts.iter().map(|doubt| doubt.cordoned).collect();
        assert_eq!(known, [is_known; 2], "{fault:?}: {:?}", document.doubts);
    }
}

#[test]
fn s7_a_refused_cordon_puts_back_what_was_cordoned_before_it() {
    let mut world = World::new();
    world.faults = vec![("cordon", 2, Fault::Refused)];
    let mut machine = world.machine(4);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!(document.outcome, Outcome::Aborted);
    assert_eq!(document.terminated.len(), 2, "the first batch stays terminated");
    assert_eq!(world.serving(), 10);
}

/// Whoever reads the document is not told that the fleet showed something when the provider refused.
#[test]
fn what_the_provider_refuses_is_no_word_about_the_fleet() {
    for kind in ["suspend", "cordon", "terminate"] {
        let mut world = World::new();
        world.faults = vec![(kind, 1, Fault::Refused)];
        let mut machine = world.machine(2);
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!(document.outcome, Outcome::Aborted, "{kind}");
        assert_eq!(document.cause.expect("a cause").kind, CauseKind::Provider, "{kind}");
    }
}

#[test]
fn s3_a_probe_that_cannot_be_read_is_a_regression() {
    let mut world = World::new();
    world.probe = Box::new(|world| if world.serving() < 12 { Err("connection refused".to_owned()) } else { Ok(0.0) });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert_eq!(world.document().cause.expect("a cause").kind, CauseKind::Probe);
    assert_eq!(world.serving(), 12);
}

#[test]
fn s3_a_bad_probe_before_the_first_batch_refuses() {
    let mut world = World::new();
    let mut machine = world.machine(2);
    world.probe = Box::new(|_| Ok(0.5));
    let Finish::NotStarted(NotStarted::Rules(violations)) = world.drive(&mut machine) else { panic!("must not start") };
    assert_eq!(violations[0].rule, crate::plan::Rule::UnhealthyNow);
    assert!(violations[0].message.starts_with("probe index/errors is bad already: read 0.5"), "{violations:?}");
    assert!(world.took_nothing());
}

#[test]
fn one_look_that_shows_nothing_is_borne_and_three_are_not() {
    let mut world = World::new();
    world.blind = [9].into();
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert_eq!(world.document().outcome, Outcome::Completed);

    let mut world = World::new();
    world.blind = [9, 10, 11].into();
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.outcome, world.serving()), (Outcome::Aborted, 12));
    assert_eq!(document.cause.expect("a cause").kind, CauseKind::Provider);
}

/// Schedule 9: something else dies during the bake, probes stay clean; the batch could be put back, so it is.
#[test]
fn s1_a_host_that_dies_by_itself_during_the_bake_brings_the_batch_back() {
    let mut world = World::new();
    let mut hit = false;
    world.meddle = Box::new(move |m| {
        let out = m.hosts.values().filter(|h| h.state == HostState::Cordoned).count();
        if out == 2 && !hit && m.hosts.len() == 8 {
            hit = true;
            let victim = m.hosts.values_mut().find(|h| h.state == HostState::InService).expect("one serves");
            victim.health = crate::model::Health::Failed;
        }
    });
    let mut machine = world.machine(6);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!(document.cause.expect("a cause").kind, CauseKind::Rule);
    assert_eq!(document.outcome, Outcome::Aborted);
    assert_eq!(world.serving(), 7, "the third batch is back, the dead host is dead");
}

/// Schedule 17: a process that was stopped for ten minutes in its bake does not wake up finished.
#[test]
fn s2_a_process_stopped_in_its_bake_bakes_again() {
    let mut world = World::new();
    let mut cordons = 0;
    let mut skipped = false;
    world.meddle = Box::new(move |m| {
        if m.action.starts_with("cordon") {
            cordons += 1;
        }
        if cordons == 1 && m.action.is_empty() && !skipped && m.hosts.values().any(|h| h.state == HostState::Cordoned) {
            skipped = true;
            m.skip_time = Duration::from_secs(600);
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert_eq!(world.document().outcome, Outcome::Completed);
    let cordoned = world.document().batches[0].cordoned_at.expect("cordoned");
    let ended = world.document().batches[0].bake_ended_at.expect("baked");
    assert!(ended.since(cordoned) >= Duration::from_secs(60));
}

/// Schedule 8: granted, then stopped for two hours while the world changes.
#[test]
fn s1_a_process_stopped_before_its_cordon_looks_again() {
    let mut world = World::new();
    world.meddle = Box::new(|m| {
        if m.action.starts_with("hold index") {
            m.skip_time = Duration::from_secs(7200);
            for host in m.hosts.values_mut().skip(6) {
                host.health = crate::model::Health::Failed;
            }
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert!(!world.log.iter().any(|l| l.starts_with("cordon")), "{:?}", world.log);
    assert_eq!(world.document().outcome, Outcome::Aborted);
}

#[test]
fn s8_a_host_that_vanished_is_dropped_and_none_takes_its_place() {
    let mut world = World::new();
    let mut machine = world.machine(4);
    let victim = machine.spec().confirmed.document().batches[1].hosts[0].id.clone();
    world.hosts.remove(&victim);
    world.desired -= 1;
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!(document.outcome, Outcome::Completed);
    assert_eq!(document.dropped, [victim]);
    assert_eq!(document.terminated.len(), 3);
}

#[test]
fn s5_without_the_ledger_nothing_goes_forward_and_restores_end_in_time() {
    for at in ["hold index", "cordon"] {
        let mut world = World::new();
        let flag = std::rc::Rc::new(std::cell::Cell::new(false));
        let seen = std::rc::Rc::clone(&flag);
        world.meddle = Box::new(move |m| {
            if m.action.starts_with(at) {
                seen.set(true);
            }
        });
        let mut machine = world.machine(2);
        // The ledger is lost a little after the step: by then the cordon is out, or never goes out.
        let lost = world.now.plus(Duration::from_secs(if at == "cordon" { 35 } else { 20 }));
        world.ledger_lost_at = Some(lost);
        let finish = world.drive(&mut machine);
        assert!(!world.log.iter().any(|l| l.starts_with("terminate")), "{:?}", world.log);
        assert_eq!(world.serving(), 12, "{finish:?} {:?}", world.log);
    }
}

#[test]
fn s3_on_a_provider_that_lags_a_restore_is_believed_only_after_settling() {
    let mut world = World::new();
    world.bounds = Bounds::AWS;
    world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!(document.outcome, Outcome::Aborted);
    let stopped = world.journal.iter().find(|r| matches!(r.event, Event::Stopped { .. })).expect("stopped").at;
    let restored = document.batches[0].restored_at.expect("restored");
    assert!(restored.since(stopped) >= Bounds::AWS.settle);
}

#[test]
fn s7_a_regression_while_the_batch_terminates_waits_for_it_to_be_gone() {
    let mut world = World::new();
    world.probe = Box::new(|world| if world.hosts.len() < 12 { Ok(0.5) } else { Ok(0.0) });
    let mut machine = world.machine(4);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!(document.outcome, Outcome::Aborted);
    assert_eq!(document.terminated.len() + document.restored.len(), 2);
    assert!(document.in_doubt.is_empty());
    assert!(world.record.runs.is_empty());
}

#[test]
fn a_process_suspended_before_the_run_stays_suspended_after_it() {
    let mut world = World::new();
    world.suspended.insert(Process::AzRebalance);
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert_eq!(world.document().outcome, Outcome::Completed);
    assert!(world.suspended.contains(&Process::AzRebalance));
    assert!(!world.log.iter().any(|l| l.starts_with("suspend") || l.starts_with("resume")));
}

#[test]
fn s8_a_plan_that_no_longer_holds_is_not_begun() {
    let mut world = World::new();
    let mut machine = world.machine(6);
    // Meanwhile six others fell ill: fewer may go now.
    let planned: Vec<_> =
        machine.spec().confirmed.document().batches.iter().flat_map(|b| &b.hosts).map(|h| h.id.clone()).collect();
    for n in 1..=12 {
        if !planned.contains(&host(n)) && n % 2 == 0 {
            world.hosts.get_mut(&host(n)).expect("there").health = crate::model::Health::Failed;
        }
    }
    let finish = world.drive(&mut machine);
    assert!(matches!(finish, Finish::NotStarted(NotStarted::Rules(_))), "{finish:?}");
    assert!(world.took_nothing());
}

#[test]
fn s3_a_late_in_service_does_not_end_a_bake_and_proves_nothing() {
    let mut world = World::new();
    world.bounds = Bounds { settle: Duration::from_secs(120), ..Bounds::SIMULATED };
    let mut machine = world.machine(2);
    let batch = machine.spec().confirmed.document().batches[0].hosts.clone();
    world.late = (batch.into_iter().map(|h| h.id).collect(), 4);
    world.drive(&mut machine);
    assert_eq!(world.document().outcome, Outcome::Completed, "{:?}", world.document().cause);
}

/// A look that is always older than `max_age` when it is answered is never acted on, and not waited for for ever.
#[test]
fn s7_looks_that_are_always_too_slow_end_the_run_with_everything_back() {
    let mut world = World::new();
    world.look_takes = Duration::from_secs(11);
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert_eq!(world.serving(), 12, "{:?}", world.log);
    assert!(!world.log.iter().any(|l| l.starts_with("terminate")), "{:?}", world.log);
}
