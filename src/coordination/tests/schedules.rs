//! The schedules that broke S1 or S2 in the protocol's model where one mechanism was left out, on the real code.
//! Numbers are those of the list in `SAFETY.md`.

use super::*;
use crate::policy::{Budget, Freeze, Windows};

#[test]
fn s1_schedule_1_a_host_that_another_run_holds_is_no_candidate_whatever_it_looks_like() {
    for state in [HostState::InService, HostState::Cordoned, HostState::Pending] {
        let mut room = Room::new(5);
        let (a, b) = (run("a", "pa"), run("b", "pb"));
        room.grant(&a, 1, &["index-01"]).expect("granted");
        room.set("index-01", state);
        room.world.host_mut("index-01").health = crate::model::Health::Failed;
        assert_eq!(why(room.grant(&b, 1, &["index-01"])), "race: not-removable", "{state:?}");
    }
}

#[test]
fn s1_schedule_1_headroom_counts_every_held_host_as_gone() {
    let mut room = Room::new(4);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.grant(&a, 1, &["index-01", "index-02"]).expect("granted");
    assert_eq!(why(room.grant(&b, 1, &["index-03"])), "wait for a");
    // Nobody waits for a silent run; what it holds is gone all the same.
    room.silent.insert(a.run);
    let found = why(room.grant(&b, 1, &["index-03"]));
    assert_eq!(found, "minimum run-in-the-way", "01 and 02 serve by the provider's word");
}

#[test]
fn s1_schedule_3_a_restored_host_is_held_until_a_read_can_prove_it() {
    let mut room = Room::new(3);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.grant(&a, 1, &["index-01"]).expect("granted");
    assert_eq!(why(room.resolve(&a, "index-01", HostOutcome::Restored)), "wait", "settle after the grant at least");
    let until = room.now().plus(seconds(300));
    room.resolve(&a, "index-01", HostOutcome::Settling(until)).expect("noted");
    room.pass(seconds(299));
    assert_eq!(why(room.enlist(&b, &[&["index-01"]])), "race: not-removable");
    assert_eq!(why(room.grant(&b, 1, &["index-02"])), "wait for a");
    room.silent.insert(a.run.clone());
    let found = why(room.grant(&b, 1, &["index-02"]));
    assert_eq!(found, "minimum run-in-the-way", "settling is no capacity");
    room.silent.clear();
    for outcome in [HostOutcome::Restored, HostOutcome::NeverCordoned] {
        assert_eq!(why(room.resolve(&a, "index-01", outcome)), "wait");
    }
    room.pass(seconds(1));
    room.resolve(&a, "index-01", HostOutcome::Restored).expect("proved");
    room.end(&a, false).expect("ends");
    room.grant(&b, 1, &["index-02"]).expect("it is capacity again");
}

#[test]
fn s3_schedule_4_doubt_is_only_ever_extended() {
    let mut room = Room::new(3);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    let (late, early) = (room.now().plus(seconds(900)), room.now().plus(seconds(10)));
    room.resolve(&a, "index-01", HostOutcome::Settling(late)).expect("noted");
    room.resolve(&a, "index-01", HostOutcome::Settling(early)).expect("noted");
    room.pass(seconds(899));
    assert_eq!(why(room.resolve(&a, "index-01", HostOutcome::NeverCordoned)), "wait");
    room.pass(seconds(1));
    room.resolve(&a, "index-01", HostOutcome::NeverCordoned).expect("proved");
}

#[test]
fn s2_schedule_5_a_cordon_seen_before_the_grant_is_not_this_runs() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    room.set("index-01", HostState::Cordoned);
    let before = room.world.snapshot();
    room.set("index-01", HostState::InService);
    room.pass(seconds(1));
    room.grant(&a, 1, &["index-01"]).expect("granted");
    let (run, epoch) = (a.run.clone(), a.epoch);
    let start = Command::StartTermination { run, epoch, hosts: ids(&["index-01"]), snapshot: &before };
    assert_eq!(why(room.decide(&start)), "stale");
    assert_eq!(why(room.start(&a, &["index-01"])), name(Rule::NotRemovable), "it serves: never terminated unbaked");
}

#[test]
fn s9_schedule_6_a_process_whose_run_was_taken_over_changes_nothing() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    room.set("index-01", HostState::Cordoned);
    let taker = RunIdentity { epoch: 2, ..run("a", "pt") };
    room.take_over(&taker).expect("the fence is in the journal");
    assert_eq!(why(room.resolve(&a, "index-01", HostOutcome::NeverCordoned)), "fenced");
    assert_eq!(why(room.start(&a, &["index-01"])), "fenced");
    assert_eq!(why(room.grant(&a, 1, &["index-01"])), "fenced");
    assert_eq!(why(room.end(&a, false)), "fenced");
    room.start(&taker, &["index-01"]).expect("the new epoch may");
}

#[test]
fn s1_schedule_8_an_old_observation_lends_no_headroom() {
    let mut room = Room::new(3);
    let a = run("a", "pa");
    let seen = room.world.snapshot();
    room.world.host_mut("index-03").health = crate::model::Health::Failed;
    room.pass(Bounds::MAX_AGE + Duration::from_millis(1));
    assert_eq!(why(room.grant_on(&a, 1, &["index-01"], &seen)), "stale");

    let mut early = Room::new(3);
    early.pass(Bounds::TOLERANCE + Duration::from_millis(1));
    let future = early.world.snapshot();
    early.world.now = NOON;
    assert_eq!(why(early.grant_on(&a, 1, &["index-01"], &future)), "stale", "nor one from the future");
}

#[test]
fn s1_schedule_8_a_host_that_died_since_the_grant_stops_the_termination() {
    let mut room = Room::new(3);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted at headroom 1");
    room.pass(seconds(7200));
    room.world.host_mut("index-03").health = crate::model::Health::Failed;
    room.set("index-01", HostState::Cordoned);
    assert_eq!(why(room.start(&a, &["index-01"])), name(Rule::Minimum), "S1, schedule 9: put back, not terminated");
}

#[test]
fn s1_schedule_8_a_host_that_did_not_serve_is_judged_as_serving_where_it_serves_again() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    for host in ["index-03", "index-04"] {
        room.world.host_mut(host).health = crate::model::Health::Failed;
    }
    room.grant(&a, 1, &["index-03", "index-04"]).expect("hosts that do not serve cost nothing");
    room.set("index-03", HostState::Cordoned);
    room.start(&a, &["index-03"]).expect("index-01 and index-02 serve");
    // index-04 serves again, and index-02 died: 1 of 2 would remain without it.
    room.world.host_mut("index-04").health = crate::model::Health::Healthy;
    room.world.host_mut("index-02").health = crate::model::Health::Failed;
    assert_eq!(why(room.start(&a, &["index-03"])), name(Rule::Minimum));
}

#[test]
fn s1_schedule_8_a_host_of_doubt_is_judged_as_taken_where_its_subsystem_turns_short() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    room.world.host_mut("index-04").health = crate::model::Health::Doubtful;
    room.grant(&a, 1, &["index-04"]).expect("three of two serve");
    room.set("index-04", HostState::Cordoned);
    room.start(&a, &["index-04"]).expect("three of two still serve");
    for host in ["index-02", "index-03"] {
        room.world.host_mut(host).health = crate::model::Health::Failed;
    }
    assert_eq!(why(room.start(&a, &["index-04"])), name(Rule::Minimum));
}

#[test]
fn s6_schedule_10_a_halt_a_freeze_a_stricter_policy_or_a_smaller_budget_stops_the_termination() {
    let freeze = |room: &mut Room| {
        let day = jiff::civil::date(2017, 2, 28);
        let freeze = vec![Freeze { from: day, to: day, why: "an outage".to_owned() }];
        room.world.policy_mut("index").windows = Some(Windows { zone: "UTC".to_owned(), allow: Vec::new(), freeze });
    };
    let halt = |of: Option<&str>| {
        let subsystem = of.map(Into::into);
        move |room: &mut Room| {
            let (operator, at) = ("ann".into(), room.now());
            room.record.halts.push(Halt {
                subsystem: subsystem.clone(),
                operator,
                reason: Some("smoke".to_owned()),
                at,
            });
        }
    };
    let accepted = |room: &mut Room| {
        room.record.accepted.get_mut("index").expect("accepted").policy.capacity.minimum = 3;
    };
    let budget = |room: &mut Room| {
        room.world.policy_mut("index").pace.budgets = vec![Budget { hosts: 1, per: seconds(3600) }];
        room.record.accepted.get_mut("index").expect("accepted").policy = room.world.policy_mut("index").clone();
    };
    type Change<'a> = (&'a str, Box<dyn Fn(&mut Room) + 'a>);
    let changes: [Change<'_>; 6] = [
        ("window", Box::new(freeze)),
        ("halted", Box::new(halt(None))),
        ("halted", Box::new(halt(Some("index")))),
        ("policy-loosened", Box::new(accepted)),
        ("minimum", Box::new(|room| room.world.policy_mut("index").capacity.minimum = 4)),
        ("wait", Box::new(budget)),
    ];
    for (expected, change) in changes {
        let mut room = Room::new(5);
        let a = run("a", "pa");
        room.grant(&a, 1, &["index-01", "index-02"]).expect("granted");
        room.set("index-01", HostState::Cordoned);
        change(&mut room);
        let found = why(room.start(&a, &["index-01"]));
        assert!(found.split(' ').any(|rule| rule == expected), "{expected}: {found}");
        let state = &room.record.runs[&a.run].reservations["index-01"].state;
        assert_eq!(*state, ReservationState::Reserved, "{expected}: it can still be put back");
    }
}

#[test]
fn s6_schedule_10_a_halt_stops_hosts_that_did_not_serve_too() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    room.world.host_mut("index-01").health = crate::model::Health::Failed;
    room.grant(&a, 1, &["index-01"]).expect("granted");
    room.set("index-01", HostState::Cordoned);
    let at = room.now();
    room.record.halts.push(Halt { subsystem: None, operator: "ann".into(), reason: Some("smoke".to_owned()), at });
    assert_eq!(why(room.start(&a, &["index-01"])), name(Rule::Halted));
}

#[test]
fn s6_schedule_10_a_step_that_was_taken_is_judged_again_when_it_is_repeated() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    room.set("index-01", HostState::Cordoned);
    room.start(&a, &["index-01"]).expect("allowed");
    room.start(&a, &["index-01"]).expect("allowed again: the reply may have been lost");
    let at = room.now();
    room.record.halts.push(Halt { subsystem: None, operator: "ann".into(), reason: Some("smoke".to_owned()), at });
    assert_eq!(why(room.start(&a, &["index-01"])), name(Rule::Halted));
}

#[test]
fn s1_schedule_11_hosts_of_another_ledger_are_refused() {
    let mut room = Room::new(4);
    room.world.host_mut("index-01").ledger = Some(LedgerId::from("ledger-2"));
    assert_eq!(why(room.grant(&run("a", "pa"), 1, &["index-01"])), name(Rule::ForeignLedger));
}

#[test]
fn s1_schedule_12_a_clone_that_lacks_or_narrows_a_policy_is_refused() {
    let room = || {
        let mut room = Room::new(6);
        room.world.policies.subsystems.insert("placement".into(), policy("placement", 1));
        for host in &mut room.world.hosts {
            host.tags_mut().insert("placement".to_owned(), "1".to_owned());
        }
        let a = run("a", "pa");
        room.grant(&a, 1, &["index-01"]).expect("the first run accepts what it finds");
        room.resolve(&a, "index-01", HostOutcome::NeverCordoned).expect("let go");
        room.end(&a, false).expect("ends");
        assert_eq!(room.record.accepted.len(), 2);
        room
    };
    let mut lacking = room();
    lacking.world.policies.subsystems.remove("placement");
    assert_eq!(why(lacking.grant(&run("b", "pb"), 1, &["index-02"])), name(Rule::PolicyLoosened));

    let mut narrowed = room();
    let tags = &mut narrowed.world.policy_mut("placement").hosts.tags;
    tags.insert("tier".to_owned(), BTreeSet::from(["gold".to_owned()]));
    assert_eq!(why(narrowed.grant(&run("b", "pb"), 1, &["index-02"])), name(Rule::PolicyLoosened));
}

#[test]
fn s9_schedule_13_a_grant_whose_reply_was_lost_is_recognised_and_not_made_twice() {
    let mut room = Room::new(3);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted at headroom 1");
    let before = room.record.clone();
    room.pass(seconds(5));
    room.grant(&a, 1, &["index-01"]).expect("the headroom is gone, but to this very batch");
    assert_eq!(room.record, FleetRecord { written_at: room.now(), ..before });

    assert_eq!(why(room.grant(&a, 1, &["index-01", "index-02"])), "illegal", "not another batch in its name");
    assert_eq!(why(room.grant(&a, 2, &["index-02"])), "illegal", "not the next before this one is over");
    let other = RunIdentity { process: ProcessId { token: "pb".into(), ..a.process.clone() }, ..a };
    assert_eq!(why(room.grant(&other, 1, &["index-01"])), "fenced", "not to another process");
}

#[test]
fn s9_schedule_13_outcomes_said_twice_count_once() {
    let mut room = Room::new(5);
    let a = run("a", "pa");
    room.remove(&a, 1, "index-01").expect("removed");
    let at = room.now();
    room.resolve(&a, "index-01", HostOutcome::Removed(at)).expect("said before");
    assert_eq!((room.record.removals.len(), room.record.runs[&a.run].terminated), (1, 1));
    assert_eq!(why(room.resolve(&a, "index-01", HostOutcome::Restored)), "illegal", "the dead do not rise");
    assert_eq!(why(room.resolve(&a, "index-02", HostOutcome::Removed(at))), "illegal", "never held");
    room.end(&a, true).expect("ends");
    room.end(&a, true).expect("said before");
    assert_eq!(room.record.largest_removals["index"].len(), 1);
}

#[test]
fn s1_schedule_14_foreign_writes_do_not_starve_a_run() {
    let mut room = Room::new(9);
    let a = run("a", "pa");
    let seen = room.world.snapshot();
    for (writer, host) in ["index-02", "index-03", "index-04"].into_iter().enumerate() {
        room.pass(seconds(1));
        let b = run(&format!("b{writer}"), "pb");
        room.grant(&b, 1, &[host]).expect("granted");
        room.resolve(&b, host, HostOutcome::NeverCordoned).expect("let go");
        room.end(&b, false).expect("ends");
    }
    room.grant_on(&a, 1, &["index-01"], &seen).expect("decided again on the same observation while it is young");
}

#[test]
fn s4_schedule_15_budgets_count_reservations_as_now_and_removals_from_their_end() {
    let mut room = Room::new(12);
    room.world.policy_mut("index").pace.budgets = vec![Budget { hosts: 2, per: seconds(3600) }];
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.grant(&a, 1, &["index-01", "index-02"]).expect("granted");
    // A long bake: two hours after the grant the reservations still count as removed now.
    room.pass(seconds(7200));
    assert_eq!(why(room.grant(&b, 1, &["index-03"])), "wait for a");
    for host in ["index-01", "index-02"] {
        room.set(host, HostState::Cordoned);
    }
    room.start(&a, &["index-01", "index-02"]).expect("its own holds are counted once");
    let at = room.now();
    for host in ["index-01", "index-02"] {
        room.lose(host);
        room.resolve(&a, host, HostOutcome::Removed(at)).expect("gone");
    }
    room.end(&a, true).expect("ends");
    // The window is longer by twice the tolerance.
    let opens = at.plus(seconds(3600 + 120));
    match room.grant(&b, 1, &["index-03"]) {
        Err(Refusal::Wait { until, .. }) => assert_eq!(until, opens),
        other => panic!("{other:?}"),
    }
    room.world.now = opens;
    room.grant(&b, 1, &["index-03"]).expect("the window has passed");
}

#[test]
fn s4_schedule_15_a_restored_batch_spends_nothing() {
    let mut room = Room::new(6);
    room.world.policy_mut("index").pace.budgets = vec![Budget { hosts: 1, per: seconds(3600) }];
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.grant(&a, 1, &["index-01"]).expect("granted");
    room.pass(seconds(300));
    room.resolve(&a, "index-01", HostOutcome::Restored).expect("proved");
    room.end(&a, false).expect("ends");
    room.grant(&b, 1, &["index-02"]).expect("the budget is whole");
}

#[test]
fn s7_schedule_20_the_last_run_to_leave_resumes_what_the_first_found_running() {
    let mut room = Room::new(8);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&a, &[&["index-01"]]).expect("stands in line");
    room.enlist(&b, &[&["index-02"]]).expect("stands in line");
    let suspended = BTreeSet::from([crate::model::Process::AzRebalance]);
    let hold = |run: &RunIdentity, suspended: &BTreeSet<_>| Command::RequireSuspension {
        run: run.run.clone(),
        epoch: 1,
        group: "pool".into(),
        suspended: suspended.clone(),
    };
    let release =
        |run: &RunIdentity| Command::ReleaseSuspension { run: run.run.clone(), epoch: 1, group: "pool".into() };

    room.decide(&hold(&a, &BTreeSet::new())).expect("held");
    room.decide(&hold(&b, &suspended)).expect("B sees what A did");
    assert_eq!(why(room.end(&a, false)), "illegal", "not while it holds the group");
    assert_eq!(room.decide(&release(&a)).expect("released").resume, BTreeSet::new(), "B still needs it");
    assert_eq!(room.decide(&release(&b)).expect("released").resume, suspended, "whoever suspended it");

    // Until B's resume is over nobody may rely on the group being suspended.
    let until = match room.decide(&hold(&a, &suspended)) {
        Err(Refusal::Wait { until, .. }) => until,
        other => panic!("{other:?}"),
    };
    assert_eq!(until, room.now().plus(Bounds::AWS.call_life + Bounds::TOLERANCE));
    let unconfirmed = room.record.clone();
    room.decide(&release(&b)).expect("it is resumed");
    assert!(room.record.groups.is_empty());

    // Where B died instead, what A finds suspended is B's doing, and is put back all the same.
    room.record = unconfirmed;
    room.world.now = until;
    room.decide(&hold(&a, &suspended)).expect("no call of B can land any more");
    assert_eq!(room.decide(&release(&a)).expect("released").resume, suspended);
}

#[test]
fn s7_schedule_20_what_a_person_had_suspended_stays_suspended() {
    let mut room = Room::new(8);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    let (run, epoch, group) = (a.run, 1, crate::model::GroupName::from("pool"));
    let suspended = BTreeSet::from([crate::model::Process::AzRebalance]);
    let hold = Command::RequireSuspension { run: run.clone(), epoch, group: group.clone(), suspended };
    room.decide(&hold).expect("held");
    let released = room.decide(&Command::ReleaseSuspension { run, epoch, group }).expect("released");
    assert_eq!(released.resume, BTreeSet::new());
    assert!(room.record.groups.is_empty());
}
