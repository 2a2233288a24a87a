//! The machine and a ledger that fails it: replies lost, words refused, silence, clocks that disagree.

use std::sync::Arc;
use std::time::Duration;

use crate::model::HostState;
use crate::plan::Removal;
use crate::run::{CauseKind, Event, Outcome};

use super::world::{Fault, World};

/// One host vanished, the other waits for its restore; the record takes no word of this run's any more.
#[test]
fn s7_a_record_that_takes_no_word_keeps_no_host_from_being_put_back() {
    let mut world = World::new();
    world.faults = vec![("restore", 1, Fault::Throttled)];
    let mut hit = false;
    world.meddle = Box::new(move |m| {
        if !hit && m.hosts.values().filter(|h| h.state == HostState::Cordoned).count() == 2 {
            hit = true;
            let victim = m.hosts.values().find(|h| h.state == HostState::Cordoned).expect("two are").id.clone();
            m.hosts.remove(&victim);
            // Somebody adopted another fleet with this ledger.
            m.record.identity = Some(crate::model::FleetIdentity::simulated("fleet-2"));
        }
    });
    let mut machine = world.machine(2);
    let start = world.now;
    world.drive(&mut machine);
    assert!(world.now.since(start) < Duration::from_secs(600), "nobody waits for a host that vanished");
    assert_eq!(world.serving(), 11, "the other host is back: {:?}", world.log);
    let document = world.document();
    assert_eq!((document.outcome, document.restored.len()), (Outcome::NeedsAttention, 1), "{:?}", world.log);
    assert!(world.suspended.contains(&crate::model::Process::AzRebalance));
    let says = |word: &str| document.warnings.iter().any(|w| w.contains(word));
    assert!(
        says("AZRebalance of group index stays suspended") && says("To put it back: resume index, please"),
        "{:?}",
        document.warnings
    );
    assert!(!says("aws "), "a simulated fleet is not put right with the AWS CLI: {:?}", document.warnings);
}

/// The cordon takes minutes, samples are rare, and the ledger goes: there is still time to restore without it.
#[test]
fn s7_a_ledger_lost_in_a_slow_cordon_is_noticed_while_a_restore_may_be_sent() {
    let mut world = World::new();
    let mut policies = (*world.policies).clone();
    for policy in policies.subsystems.values_mut() {
        policy.health.every = Duration::from_secs(120);
        policy.health.bake = Duration::from_secs(600);
    }
    world.policies = Arc::new(policies);
    let start = world.now;
    // Three samples for the reference take four minutes; the cordon follows.
    let lost = start.plus(Duration::from_secs(340));
    world.ledger_lost_at = Some(lost);
    let mut slow = None;
    world.meddle = Box::new(move |m| {
        if slow.is_none() {
            slow = m.hosts.values().find(|h| h.state == HostState::Cordoned).map(|h| h.id.clone());
        }
        if let Some(host) = slow.as_ref().and_then(|id| m.hosts.get_mut(id))
            && host.state != HostState::InService
        {
            host.state = if *m.now < lost { HostState::Pending } else { HostState::Cordoned };
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert!(world.log.iter().any(|l| l.starts_with("cordon")), "{:?}", world.log);
    assert_eq!(world.serving(), 12, "{:?}", world.log);
}

/// Schedule 13: the grant of the second batch is written, its reply lost; its hosts are let go of.
#[test]
fn s7_a_grant_in_doubt_leaves_nothing_reserved() {
    let mut world = World::new();
    world.unheard = Some("grant 2");
    let mut machine = world.machine(4);
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.outcome, document.terminated.len()), (Outcome::Aborted, 2));
    assert!(world.record.runs.is_empty(), "{:?}", world.record.runs);
    assert_eq!(world.serving(), 10);
}

/// No process ends with a write in doubt that it does not name.
#[test]
fn s7_a_first_grant_in_doubt_is_named() {
    let mut world = World::new();
    world.unheard = Some("grant 1");
    let mut machine = world.machine(2);
    let finish = format!("{:?}", world.drive(&mut machine));
    let hosts = &machine.spec().confirmed.document().batches[0].hosts;
    assert!(hosts.iter().all(|h| finish.contains(h.id.as_str())), "{finish}");
    assert!(finish.contains("r-1"), "{finish}");
}

/// The clock goes back by an hour while half of the fleet falls ill: what was seen before is not young for an hour.
#[test]
fn s1_a_clock_that_was_set_back_makes_no_observation_young() {
    let mut world = World::new();
    world.meddle = Box::new(|m| {
        if m.action.starts_with("suspend index") {
            *m.now = m.now.minus(Duration::from_secs(3600));
            for host in m.hosts.values_mut().skip(6) {
                host.health = crate::model::Health::Failed;
            }
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert!(!world.log.iter().any(|l| l.starts_with("cordon")), "{:?}", world.log);
    assert!(world.journal.iter().any(|r| matches!(r.event, Event::Stopped { .. })));
}

/// Others spent the budget while the batch baked: the run ends for the rule, and the ledger is not blamed.
#[test]
fn s4_a_budget_spent_during_the_bake_is_the_rule_that_stops_the_run() {
    let mut world = World::new();
    world.meddle = Box::new(|m| {
        if m.action == "start termination" {
            m.record.removals = (0..5)
                .map(|n| Removal {
                    host: format!("elsewhere-{n}").into(),
                    run: "r-2".into(),
                    subsystems: std::iter::once("index".into()).collect(),
                    units: Default::default(),
                    at: Some(*m.now),
                })
                .collect();
        }
    });
    let mut machine = world.machine(2);
    world.drive(&mut machine);
    assert_eq!(world.serving(), 12, "everything is back: {:?}", world.log);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7));
    let cause = document.cause.expect("a cause");
    assert_eq!((cause.kind, cause.rule.as_deref()), (CauseKind::Rule, Some("budget")), "{}", cause.message);
}

/// The process stands still in the bake until the next append and the next sample are both due: it goes on.
#[test]
fn s7_a_process_frozen_in_the_bake_does_not_wait_for_the_past() {
    for frozen_at in 1..15 {
        let mut world = World::new();
        let mut policies = (*world.policies).clone();
        for policy in policies.subsystems.values_mut() {
            policy.health.every = Duration::from_secs(30);
        }
        world.policies = Arc::new(policies);
        let mut acts = 0;
        world.meddle = Box::new(move |m| {
            if m.hosts.values().any(|h| h.state == HostState::Cordoned) {
                acts += 1;
                if acts == frozen_at {
                    m.skip_time = Duration::from_secs(40);
                }
            }
        });
        let mut machine = world.machine(2);
        world.drive(&mut machine);
        assert_eq!(world.document().outcome, Outcome::Completed, "frozen at act {frozen_at}: {:?}", world.log);
    }
}
