//! What leaves while a run is under way, and what others do to its groups: AZRebalance is kept suspended, and a host that
//! nobody's record explains is a reason to stop and look.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::world::{Meddled, World, host};
use crate::model::{Bounds, HostId, HostState, Launch, Process, SubsystemName};
use crate::plan::Removal;
use crate::run::{CauseKind, Event, Finish, Machine, Outcome, RunDocument};

/// Does something once, when so many hosts are out and, if a word is given, an act of that kind is about to be done.
pub(super) fn once(
    out: usize,
    act: &'static str,
    mut then: impl FnMut(&mut Meddled<'_>) + 'static,
) -> Box<dyn FnMut(&mut Meddled<'_>)> {
    let mut done = false;
    Box::new(move |m| {
        let is_out = m.hosts.values().filter(|h| h.state == HostState::Cordoned).count() == out;
        if is_out && m.action.starts_with(act) && !done {
            done = true;
            then(m);
        }
    })
}

/// A host that the plan does not name.
fn innocent(machine: &Machine, nth: usize) -> HostId {
    let planned: BTreeSet<HostId> =
        machine.spec().confirmed.document().batches.iter().flat_map(|b| &b.hosts).map(|h| h.id.clone()).collect();
    (1..=12).map(host).filter(|id| !planned.contains(id)).nth(nth).expect("there are twelve")
}

fn assert_stopped_to_look(document: &RunDocument, left: &[HostId]) {
    assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7), "{document:#?}");
    let cause = document.cause.as_ref().expect("a cause");
    assert_eq!(cause.kind, CauseKind::Inventory, "{cause:?}");
    for id in left {
        assert!(cause.message.contains(&format!("host {id} (index; group index) is ")), "{cause:?}");
    }
    assert!(cause.message.contains("Neither this run nor another one in the ledger removed"), "{cause:?}");
    assert!(document.dropped.is_empty() && document.in_doubt.is_empty(), "{document:#?}");
    for id in left {
        assert!(!document.terminated.contains(id), "{document:#?}");
    }
}

#[test]
fn s1_a_host_that_leaves_while_a_batch_is_out_stops_the_run_and_is_named() {
    for (bounds, state) in [(Bounds::SIMULATED, None), (Bounds::AWS, Some(HostState::Terminating))] {
        let mut world = World::new();
        world.bounds = bounds;
        let mut machine = world.machine(2);
        let lost = innocent(&machine, 3);
        let id = lost.clone();
        world.meddle = once(2, "", move |m| match state {
            Some(state) => m.hosts.get_mut(&id).expect("there").state = state,
            None => _ = m.hosts.remove(&id),
        });
        assert_eq!(world.drive(&mut machine), Finish::Ended);
        let document = world.document();
        assert_stopped_to_look(&document, &[lost]);
        assert_eq!((document.restored.len(), document.terminated.len()), (2, 0));
        assert_eq!(world.serving(), 11, "both are back");
        assert!(!world.log.iter().any(|line| line.starts_with("terminate")));
    }
}

#[test]
fn s1_a_host_that_leaves_at_any_later_step_stops_the_run() {
    // Before the second terminate, while the batch goes; and while the run waits for the next batch.
    for (out, act) in [(1, "terminate"), (0, "resolve"), (2, "start termination")] {
        let mut world = World::new();
        let mut machine = world.machine(4);
        let lost = innocent(&machine, 0);
        let id = lost.clone();
        world.meddle = once(out, act, move |m| _ = m.hosts.remove(&id));
        world.drive(&mut machine);
        let document = world.document();
        assert_stopped_to_look(&document, &[lost]);
        // What was decided on the observation before may still go, and no more.
        assert!(document.terminated.len() <= 2, "{document:#?}");
        assert_eq!(world.serving(), 12 - 1 - document.terminated.len(), "{act}");
    }
}

#[test]
fn s1_several_hosts_that_leave_are_all_told() {
    let mut world = World::new();
    let mut machine = world.machine(2);
    let lost: Vec<HostId> = (0..3).map(|nth| innocent(&machine, nth)).collect();
    let ids = lost.clone();
    world.meddle = once(2, "", move |m| m.hosts.retain(|id, _| !ids.contains(id)));
    world.drive(&mut machine);
    assert_stopped_to_look(&world.document(), &lost);
}

/// The number that no longer holds is the cause, and the host is told all the same.
#[test]
fn s1_a_departure_that_breaks_a_rule_is_told_beside_the_rule() {
    let mut world = World::new();
    let mut machine = world.machine(6);
    let lost: Vec<HostId> = (0..5).map(|nth| innocent(&machine, nth)).collect();
    let ids = lost.clone();
    world.meddle = once(2, "", move |m| m.hosts.retain(|id, _| !ids.contains(id)));
    world.drive(&mut machine);
    let document = world.document();
    let cause = document.cause.as_ref().expect("a cause");
    assert_eq!((document.exit_code, cause.rule.as_deref()), (7, Some("minimum")), "{cause:?}");
    assert!(document.warnings.iter().any(|w| w.contains(lost[0].as_str())), "{document:#?}");
}

#[test]
fn what_another_run_removed_is_no_departure() {
    let mut world = World::new();
    let mut machine = world.machine(2);
    let other = innocent(&machine, 0);
    let id = other.clone();
    world.meddle = once(2, "", move |m| {
        m.hosts.remove(&id);
        let removal = Removal {
            host: id.clone(),
            run: "r-2".into(),
            subsystems: BTreeSet::from(["index".into()]),
            units: Default::default(),
            at: Some(*m.now),
        };
        m.record.removals.push(removal);
    });
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::Completed, 0), "{document:#?}");
    assert!(!document.warnings.iter().any(|w| w.contains(other.as_str())), "{document:#?}");
}

#[test]
fn a_host_that_left_before_the_first_grant_is_no_departure() {
    let mut world = World::new();
    let mut machine = world.machine(2);
    // One that is on its way already, and goes later; one that is gone before the run was granted anything.
    let (going, gone) = (innocent(&machine, 0), innocent(&machine, 1));
    world.hosts.get_mut(&going).expect("there").state = HostState::Terminating;
    world.meddle = Box::new(move |m| {
        if m.action == "enlist" {
            m.hosts.remove(&gone);
        }
        if m.action.starts_with("terminate") {
            m.hosts.remove(&going);
        }
    });
    world.drive(&mut machine);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::Completed, 0), "{document:#?}");
}

/// A subsystem that depends on the one that is touched.
#[test]
fn s1_a_host_of_a_subsystem_that_is_only_watched_stops_the_run_and_one_of_another_does_not() {
    for (watched, exit_code) in [(true, 7), (false, 0)] {
        let mut world = World::new();
        let policies = Arc::make_mut(&mut world.policies);
        let mut store = policies.subsystems.values().next().expect("index").clone();
        store.name = SubsystemName::new("store");
        store.hosts.tags.insert("role".to_owned(), BTreeSet::from(["store".to_owned()]));
        (store.capacity.baseline, store.capacity.minimum) = (2, 1);
        policies.subsystems.insert(store.name.clone(), store);
        for id in ["store-0001", "store-0002"] {
            let mut host = world.hosts.get(&host(1)).expect("there").clone();
            (host.id, host.group) = (id.into(), None);
            host.tags_mut().insert("role".to_owned(), "store".to_owned());
            world.hosts.insert(host.id.clone(), host);
        }
        let mut spec = world.spec(2, "r-1");
        if watched {
            spec.identity.watched.insert("store".into());
        }
        let mut machine = Machine::new(spec);
        world.meddle = once(2, "", |m| _ = m.hosts.remove(&HostId::new("store-0002")));
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!(document.exit_code, exit_code, "{document:#?}");
        if watched {
            let cause = document.cause.expect("a cause");
            assert!(cause.message.contains("host store-0002 (store) is gone"), "{cause:?}");
        }
    }
}

/// CodeDeploy resumes all processes at its end.
#[test]
fn s1_azrebalance_that_somebody_resumes_is_suspended_again_before_anything_goes_forward() {
    for (out, act) in [(2, ""), (2, "start termination"), (1, "terminate"), (0, "grant 2")] {
        let mut world = World::new();
        let mut machine = world.machine(4);
        let resumed = Rc::new(Cell::new(false));
        let then = Rc::clone(&resumed);
        world.meddle = once(out, act, move |m| {
            m.suspended.clear();
            then.set(true);
        });
        world.drive(&mut machine);
        assert!(resumed.get());
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Completed, 0), "{document:#?}");
        let suspends = world.log.iter().filter(|line| line.starts_with("suspend")).count();
        assert_eq!(suspends, 2, "{act}: {:?}", world.log);
        let told = |w: &String| w.contains("AZRebalance of group index was resumed while this run needs it suspended");
        assert_eq!(document.warnings.iter().filter(|w| told(w)).count(), 1, "{act}: {document:#?}");
        assert!(world.suspended.is_empty(), "it is as it was before the run");
    }
}

#[test]
fn s1_nothing_goes_forward_while_azrebalance_does_not_stay_suspended() {
    for bounds in [Bounds::SIMULATED, Bounds::AWS] {
        let mut world = World::new();
        world.bounds = bounds;
        let mut is_out = false;
        world.meddle = Box::new(move |m| {
            is_out |= m.hosts.values().any(|h| h.state == HostState::Cordoned);
            if is_out && !m.action.starts_with("suspend") {
                m.suspended.clear();
            }
        });
        let mut machine = world.machine(2);
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7), "{document:#?}");
        let cause = document.cause.expect("a cause");
        assert_eq!(cause.kind, CauseKind::Provider);
        assert!(cause.message.contains("AZRebalance of group index does not stay suspended"), "{cause:?}");
        assert_eq!(world.serving(), 12);
        assert!(!world.log.iter().any(|line| line.starts_with("terminate")));
        let at = |is: fn(&Event) -> bool| world.journal.iter().find(|r| is(&r.event)).expect("recorded").at;
        let waited = at(|e| matches!(e, Event::Stopped { .. })).since(at(|e| matches!(e, Event::CallIntended { intent, .. } if matches!(intent.effect, crate::model::Effect::Cordon { .. }))));
        assert!(waited <= bounds.settle + Duration::from_secs(75), "{waited:?}");
        assert!(!world.suspended.contains(&Process::AzRebalance));
    }
}

pub(super) fn launched(m: &mut Meddled<'_>, before: Duration) {
    let why = "At 2017-02-28T17:40:00Z an instance was started in response to a difference".to_owned();
    m.launches.push(Launch { host: Some("index-0099".into()), at: m.now.minus(before), why });
}

/// What goes is replaced: taking more would replace more, and shrink nothing.
#[test]
fn s9_a_launch_that_answers_a_termination_stops_the_run() {
    for (out, act) in [(1, "terminate"), (0, "resolve"), (0, "grant 2")] {
        let mut world = World::new();
        let mut machine = world.machine(4);
        world.meddle = once(out, act, |m| launched(m, Duration::ZERO));
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7), "{act}: {document:#?}");
        let cause = document.cause.as_ref().expect("a cause");
        assert_eq!(cause.kind, CauseKind::Inventory, "{cause:?}");
        assert!(cause.message.starts_with("group index launched host index-0099 at "), "{cause:?}");
        assert!(cause.message.contains("an instance was started in response to"), "{cause:?}");
        // What was told to go is told to be gone, and nothing else went.
        assert!((1..=2).contains(&document.terminated.len()), "{act}: {document:#?}");
        assert!(document.dropped.is_empty() && document.in_doubt.is_empty(), "{document:#?}");
        assert!(!world.log.iter().any(|line| line.starts_with("cordon") && line.contains("index-0003")));
    }
}

#[test]
fn a_launch_before_the_first_termination_answers_none() {
    for act in ["enlist", "start termination"] {
        let mut world = World::new();
        let mut machine = world.machine(2);
        let out = if act == "enlist" { 0 } else { 2 };
        world.meddle = once(out, act, |m| launched(m, Duration::from_secs(90)));
        world.drive(&mut machine);
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Completed, 0), "{act}: {document:#?}");
    }
}
