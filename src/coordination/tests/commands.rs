//! Each command by itself: what it writes, and what it refuses.

use super::*;

#[test]
fn s3_the_policies_of_another_fleet_decide_nothing() {
    let mut room = Room::new(5);
    room.world.policies.fleet.name = "other".into();
    assert_eq!(why(room.grant(&run("a", "pa"), 1, &["index-01"])), "illegal");
}

#[test]
fn a_grant_writes_down_what_is_needed_to_put_hosts_back() {
    let mut room = Room::new(5);
    let a = run("a", "pa");
    room.world.host_mut("index-02").health = crate::model::Health::Failed;
    let snapshot = room.world.snapshot();
    let claimed: [&[&str]; 4] = [&[], &[], &[], &["index-01", "index-02"]];
    room.enlist(&a, &claimed).expect("stands in line");
    let hosts = BTreeMap::from([
        ("index-01".into(), BTreeSet::from(["blue".into(), "green".into()])),
        ("index-02".into(), BTreeSet::new()),
    ]);
    let (reference, rest, reference_at) = (BTreeMap::new(), BTreeMap::new(), NOON);
    let grant = Command::Grant {
        run: &a,
        batch: 4.into(),
        hosts,
        rest: &rest,
        snapshot: &snapshot,
        reference: &reference,
        reference_at,
        asking: None,
    };
    room.decide(&grant).expect("granted");
    let entry = &room.record.runs[&a.run];
    assert_eq!((entry.epoch, entry.enlisted_at, entry.granted_at, entry.terminated), (1, NOON, Some(NOON), 0));
    assert!(entry.claims.is_empty(), "what is held is no claim any more");
    assert_eq!(entry.touched, BTreeSet::from(["index".into()]));
    assert_eq!(entry.watched, BTreeSet::from(["index".into()]));
    let (first, second) = (&entry.reservations["index-01"], &entry.reservations["index-02"]);
    assert_eq!((first.batch.get(), first.serving, second.serving), (4, true, false));
    assert_eq!(first.target_groups.len(), 2);
    assert_eq!(first.subsystems, BTreeSet::from(["index".into()]));
    assert_eq!((first.units.get("index"), second.units.len()), (Some(&1), 0));
    assert_eq!(room.record.accepted["index"].by, a.operator);
}

#[test]
fn s1_dependants_are_watched_whoever_was_named() {
    let mut room = Room::new(5);
    let mut placement = policy("placement", 0);
    placement.depends_on = BTreeSet::from(["index".into()]);
    room.world.policies.subsystems.insert("placement".into(), placement);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    assert_eq!(room.record.runs[&a.run].watched, BTreeSet::from(["index".into(), "placement".into()]));
}

#[test]
fn s3_nothing_unknown_or_unlisted_or_removed_is_granted() {
    let mut room = Room::new(6);
    let a = run("a", "pa");
    assert_eq!(why(room.enlist(&a, &[])), "illegal");
    assert_eq!(why(room.grant(&run("x", "px"), 1, &["index-99"])), name(Rule::UnknownHost));
    room.record.runs.clear();
    room.remove(&a, 1, "index-01").expect("removed");
    room.world.hosts.push(crate::plan::testing::host("index-01", "a", &["index"]));
    assert_eq!(why(room.grant(&a, 2, &[])), name(Rule::EmptySelection));
    assert_eq!(why(room.grant(&a, 2, &["index-01"])), name(Rule::UnknownHost), "a late read still lists it");
    room.record.runs.get_mut(&a.run).expect("there").claims.clear();
    room.reference =
        BTreeMap::from([(ProbeKey { subsystem: "index".into(), probe: "x".into() }, vec![f64::NAN.into()])]);
    assert_eq!(why(room.grant(&a, 2, &["index-02"])), "illegal");
}

#[test]
fn s4_one_run_takes_no_more_hosts_than_its_policy_allows_over_all_its_batches() {
    let mut room = Room::new(9);
    room.world.policy_mut("index").pace.max_hosts_per_run = 2;
    let a = run("a", "pa");
    room.remove(&a, 1, "index-01").expect("removed");
    room.remove(&a, 2, "index-02").expect("removed");
    match room.grant(&a, 3, &["index-03"]) {
        Err(Refusal::Rules(violations)) => {
            let [violation] = violations.as_slice() else { panic!("{violations:?}") };
            assert_eq!((violation.rule, violation.required, violation.remaining), (Rule::RunSize, Some(2), Some(3)));
        }
        other => panic!("{other:?}"),
    }
    room.end(&a, false).expect("ends");
    room.grant(&run("b", "pb"), 1, &["index-04"]).expect("another run may");
}

#[test]
fn s4_the_interval_runs_from_the_last_end_of_any_run_be_it_gone_or_back() {
    for restored in [false, true] {
        let mut room = Room::new(9);
        room.world.policy_mut("index").pace.interval = seconds(300);
        let (a, b) = (run("a", "pa"), run("b", "pb"));
        if restored {
            room.grant(&a, 1, &["index-01"]).expect("granted");
            room.pass(seconds(150));
            room.resolve(&a, "index-01", HostOutcome::Restored).expect("proved");
        } else {
            room.remove(&a, 1, "index-01").expect("removed");
        }
        room.end(&a, !restored).expect("ends");
        let last = room.now();
        room.pass(seconds(200));
        match room.grant(&b, 1, &["index-03"]) {
            Err(Refusal::Wait { until, on: WaitOn::Interval, .. }) => assert_eq!(until, last.plus(seconds(300))),
            other => panic!("{other:?}"),
        }
        room.world.now = last.plus(seconds(300));
        room.grant(&b, 1, &["index-03"]).expect("waited");
        room.set("index-03", HostState::Cordoned);
        room.start(&b, &["index-03"]).expect("the interval stands before cordons, not before terminations");
    }
}

#[test]
fn s9_a_run_that_ended_is_not_registered_again_by_a_process_that_slept() {
    let mut room = Room::new(9);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    room.resolve(&a, "index-01", HostOutcome::NeverCordoned).expect("let go");
    room.end(&a, false).expect("ends");
    assert_eq!(why(room.grant(&a, 2, &["index-02"])), "fenced");
    assert_eq!(why(room.enlist(&a, &[&["index-02"]])), "fenced", "nor does it stand in line again");
    assert_eq!(why(room.grant(&RunIdentity { epoch: 2, ..run("new", "pn") }, 1, &["index-02"])), "fenced");
    assert!(room.record.runs.is_empty() && room.held().is_empty());
    // A request id that took nothing may be used again: its next attempt has an epoch of its own.
    room.enlist(&RunIdentity { epoch: 2, ..run("a", "pz") }, &[&["index-02"]]).expect("a new attempt");
}

#[test]
fn s7_a_run_that_ends_with_a_host_in_doubt_keeps_it_until_its_outcome_is_known() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01", "index-02"]).expect("granted");
    assert_eq!(why(room.end(&a, true)), "illegal", "not completed while it holds hosts");
    room.resolve(&a, "index-02", HostOutcome::NeverCordoned).expect("let go");
    room.end(&a, false).expect("ends");
    let at = room.now();
    assert_eq!(room.record.runs[&a.run].ended_at, Some(at));
    assert_eq!(why(room.grant(&a, 2, &["index-03"])), "fenced");
    room.set("index-01", HostState::Cordoned);
    assert_eq!(why(room.start(&a, &["index-01"])), "fenced", "an ended run goes no further forward");
    room.pass(seconds(9000));
    let (b, snapshot) = (run("b", "pb"), room.world.snapshot());
    assert_eq!(why(room.enlist(&b, &[&["index-01"]])), "race: not-removable", "however long ago");
    room.enlist(&b, &[&["index-03"]]).expect("stands in line");
    let found = why(room.grant_claimed(&b, 1, &["index-03"], &snapshot));
    assert!(found.contains("run-in-the-way"), "an ended run is not waited for: {found}");
    room.end(&b, false).expect("ends");
    room.resolve(&a, "index-01", HostOutcome::Restored).expect("a person put it back");
    assert!(room.record.runs.is_empty());
    assert!(!room.record.ended.contains_key(&a.run), "its plan has expired long ago");
}

#[test]
fn s4_a_removal_is_stamped_when_it_was_observed_within_what_can_be() {
    let mut room = Room::new(6);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01", "index-02"]).expect("granted");
    let granted_at = room.now();
    room.pass(seconds(100));
    room.resolve(&a, "index-01", HostOutcome::Removed(granted_at.minus(seconds(9000)))).expect("gone");
    assert_eq!(room.record.removals[0].at, Some(granted_at), "not before it was granted");
    let seen = room.now().minus(seconds(3));
    room.resolve(&a, "index-02", HostOutcome::Removed(seen)).expect("gone");
    assert_eq!(room.record.removals[1].at, Some(seen));
    assert_eq!(room.record.last_end["index"], seen);
}

#[test]
fn a_settling_host_that_turns_out_gone_is_believed_at_once() {
    let mut room = Room::new(6);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    let until = room.now().plus(seconds(900));
    room.resolve(&a, "index-01", HostOutcome::Settling(until)).expect("noted");
    assert_eq!(why(room.start(&a, &["index-01"])), "illegal", "what is in doubt goes no further");
    let at = room.now();
    room.resolve(&a, "index-01", HostOutcome::Removed(at)).expect("gone");
    assert!(room.held().is_empty());
}

#[test]
fn s3_a_removed_host_is_forgotten_after_two_inventories_settle_apart() {
    let mut room = Room::new(6);
    let a = run("a", "pa");
    room.remove(&a, 1, "index-01").expect("removed");
    let forget = |room: &mut Room| {
        let snapshot = room.world.snapshot();
        room.decide(&Command::Forget { snapshot: &snapshot }).expect("looked");
        room.record.removed.len()
    };
    assert_eq!(forget(&mut room), 1, "the first without it");
    assert_eq!(forget(&mut room), 1, "the same again proves no more");
    room.pass(seconds(60));
    room.world.hosts.push(crate::plan::testing::host("index-01", "a", &["index"]));
    assert_eq!(forget(&mut room), 1);
    assert!(room.record.absent_since.is_empty(), "it is listed again: from the start");
    room.lose("index-01");
    assert_eq!(forget(&mut room), 1);
    room.pass(seconds(129));
    assert_eq!(forget(&mut room), 1, "an observation that shows it in service may still be acted on");
    room.pass(seconds(1));
    assert_eq!(forget(&mut room), 0);
    assert!(room.record.absent_since.is_empty());
    assert_eq!(room.record.removals.len(), 1, "budgets remember it");
    let old = room.world.snapshot();
    room.pass(seconds(11));
    assert_eq!(why(room.decide(&Command::Forget { snapshot: &old })), "stale");
}

/// A run's looks show the part of the fleet that concerns it. Hosts that others removed from the rest are not in them.
#[test]
fn s4_a_removed_host_that_nobody_asked_for_is_not_forgotten() {
    let mut room = Room::new(6);
    let a = run("a", "pa");
    room.remove(&a, 1, "index-01").expect("removed");
    let forget = |room: &mut Room, hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).into()).collect();
        let scope = crate::model::Scope { hosts, ..Default::default() };
        let snapshot = crate::plan::testing::part(&room.world.snapshot(), scope);
        room.decide(&Command::Forget { snapshot: &snapshot }).expect("looked");
        room.record.removed.len()
    };
    for _ in 0..3 {
        assert_eq!(forget(&mut room, &["index-02"]), 1);
        room.pass(seconds(3_600));
    }
    assert!(room.record.absent_since.is_empty());
    assert_eq!(forget(&mut room, &["index-01"]), 1, "the first that was asked for it");
    room.pass(seconds(3_600));
    assert_eq!(forget(&mut room, &["index-02"]), 1);
    assert_eq!(forget(&mut room, &["index-01"]), 0);
}

#[test]
fn s3_an_inventory_from_before_the_removal_proves_nothing() {
    let mut room = Room::new(6);
    room.bounds = Bounds::SIMULATED;
    let a = run("a", "pa");
    let hosts = room.world.hosts.clone();
    room.lose("index-01");
    let before = room.world.snapshot();
    room.world.hosts = hosts;
    room.pass(seconds(1));
    room.remove(&a, 1, "index-01").expect("removed");
    room.decide(&Command::Forget { snapshot: &before }).expect("looked");
    assert!(room.record.absent_since.is_empty());
}

#[test]
fn a_policy_is_accepted_by_name_with_its_reason() {
    let mut room = Room::new(6);
    let accept = |room: &mut Room, name: &str| {
        room.decide(&Command::AcceptPolicy {
            subsystem: name.into(),
            operator: "ann".into(),
            reason: "smaller fleet".to_owned(),
        })
    };
    room.world.policies.subsystems.insert("billing".into(), policy("billing", 0));
    accept(&mut room, "index").expect("accepted");
    assert_eq!(room.record.accepted.len(), 2, "before the first run the others are as they are found");
    room.grant(&run("a", "pa"), 1, &["index-01"]).expect("granted");

    room.world.policy_mut("index").capacity.minimum = 1;
    let loosened = why(room.grant(&run("b", "pb"), 1, &["index-02"]));
    assert!(loosened.contains("policy-loosened"), "{loosened}");
    accept(&mut room, "index").expect("accepted");
    let accepted = &room.record.accepted["index"];
    assert_eq!((accepted.by.as_str(), accepted.reason.as_deref()), ("ann", Some("smaller fleet")));
    let over = |room: &mut Room, of: &str, host: &str| {
        let of = run(of, &format!("p{of}"));
        room.resolve(&of, host, HostOutcome::NeverCordoned).expect("let go");
        room.end(&of, false).expect("ends");
    };
    over(&mut room, "a", "index-01");
    room.grant(&run("b", "pb"), 1, &["index-02"]).expect("granted");
    assert_eq!(room.record.accepted["index"].by.as_str(), "ann", "who accepted it stays on record");
    over(&mut room, "b", "index-02");

    room.world.policies.subsystems.remove("billing");
    assert_eq!(why(room.grant(&run("c", "pc"), 1, &["index-03"])), name(Rule::PolicyLoosened));
    accept(&mut room, "billing").expect("its absence is accepted");
    room.grant(&run("c", "pc"), 1, &["index-03"]).expect("granted");
    assert_eq!(why(accept(&mut room, "billing")), name(Rule::UnknownSubsystem));
}

#[test]
fn s4_memory_outlasts_every_window_and_one_clock_far_ahead() {
    let mut room = Room::new(9);
    let a = run("a", "pa");
    room.remove(&a, 1, "index-01").expect("removed");
    room.end(&a, true).expect("ends");
    let removed_at = room.now();
    room.world.policy_mut("index").pace.budgets = vec![crate::policy::Budget { hosts: 9, per: seconds(7 * 86_400) }];
    let touch = |room: &mut Room| {
        let snapshot = room.world.snapshot();
        room.decide(&Command::Forget { snapshot: &snapshot }).expect("looked");
        (room.record.removals.len(), room.record.ended.len(), room.record.largest_removals.len())
    };
    room.world.now = removed_at.plus(MEMORY + seconds(10));
    assert_eq!(touch(&mut room), (1, 1, 1), "one write from the far future forgets nothing");
    assert_eq!(touch(&mut room), (0, 0, 0), "two agree");

    let mut room = Room::new(9);
    room.remove(&a, 1, "index-01").expect("removed");
    room.end(&a, true).expect("ends");
    room.world.policy_mut("index").pace.budgets = vec![crate::policy::Budget { hosts: 9, per: seconds(7 * 86_400) }];
    // The window is longer by twice the tolerance, and a read may lie `settle` in the past.
    room.world.now = removed_at.plus(seconds(7 * 86_400 + 120 + 120));
    touch(&mut room);
    assert_eq!(touch(&mut room), (1, 0, 1), "a budget may still count it");
    room.pass(Duration::from_millis(1));
    touch(&mut room);
    assert_eq!(touch(&mut room), (0, 0, 1));
}

/// However many runs there are: what is remembered of them for `unusual` is no longer than the largest is large.
#[test]
fn the_largest_removals_are_a_staircase() {
    let mut room = Room::new(60);
    room.world.policy_mut("index").capacity.minimum = 0;
    let mut next = 1;
    for (number, hosts) in [3, 1, 2, 2, 1].into_iter().enumerate() {
        let a = run(&format!("a{number}"), "pa");
        for batch in 1..=hosts {
            room.remove(&a, batch, &format!("index-{next:02}")).expect("removed");
            next += 1;
        }
        room.end(&a, true).expect("ends");
        room.pass(seconds(60));
    }
    let sizes: Vec<u64> = room.record.largest_removals["index"].iter().map(|count| count.hosts).collect();
    assert_eq!(sizes, [3, 2, 1]);
    assert_eq!(room.record.view(None, &BTreeSet::new(), room.now()).largest_removal["index"], 3);
}

#[test]
fn the_view_shows_claims_of_others_and_removals_of_all() {
    let mut room = Room::new(9);
    room.world.policies.subsystems.insert("billing".into(), policy("billing", 0));
    room.world.hosts.push(crate::plan::testing::host("billing-01", "a", &["billing"]));
    room.world.hosts.push(crate::plan::testing::host("billing-02", "a", &["billing"]));
    let (a, b, c) = (run("a", "pa"), run("b", "pb"), run("c", "pc"));
    room.remove(&a, 1, "index-01").expect("removed");
    room.grant(&a, 2, &["index-02"]).expect("granted");
    room.grant(&b, 1, &["billing-01", "billing-02"]).expect("granted");
    room.enlist(&c, &[&["index-05"]]).expect("stands in line");
    let until = room.now().plus(seconds(60));
    room.resolve(&b, "billing-02", HostOutcome::Settling(until)).expect("noted");
    let claims = |room: &Room, own: Option<&RunIdentity>| {
        let view = room.record.view(own.map(|run| &run.run), &room.silent, room.now());
        let claims: Vec<String> = view.claims.keys().map(ToString::to_string).collect();
        let claimed: Vec<String> = view.claimed_by_others.keys().map(ToString::to_string).collect();
        (claims.join(" "), claimed.join(" "), view.removals.len())
    };
    let seen = |claims: &str, claimed: &str| (claims.to_owned(), claimed.to_owned(), 4);
    assert_eq!(claims(&room, None), seen("billing-01 billing-02 index-01 index-02", "index-05"));
    assert_eq!(claims(&room, Some(&a)), seen("billing-01 billing-02 index-01", "index-05"));
    assert_eq!(claims(&room, Some(&b)), seen("index-01 index-02", "index-05"));
    assert_eq!(claims(&room, Some(&c)), seen("billing-01 billing-02 index-01 index-02", ""));
    let view = room.record.view(None, &room.silent, room.now());
    assert!(matches!(view.claims["billing-02"], crate::plan::Claim::Settling { .. }));
    assert_eq!(view.removals.iter().filter(|removal| removal.at.is_none()).count(), 3);
    let others: Vec<(&str, u64, u64)> =
        view.others.iter().map(|other| (other.run.as_str(), other.holds, other.claims)).collect();
    assert_eq!(others, [("a", 1, 0), ("b", 2, 0), ("c", 0, 1)], "the first in line first");

    // What a silent run holds stays its own; what it merely claims does not.
    room.silent = BTreeSet::from([a.run.clone(), c.run.clone()]);
    assert_eq!(claims(&room, Some(&b)), seen("index-01 index-02", ""));
    room.silent.clear();
    // Nor does a claim outlive its plan.
    room.pass(seconds(900));
    assert_eq!(claims(&room, Some(&b)), seen("index-01 index-02", ""));

    room.resolve(&a, "index-02", HostOutcome::NeverCordoned).expect("let go");
    room.end(&a, true).expect("ends");
    assert_eq!(room.record.view(None, &room.silent, room.now()).largest_removal["index"], 1);
    let much_later = room.now().plus(MEMORY + seconds(1));
    assert!(room.record.view(None, &room.silent, much_later).largest_removal.is_empty());
}

fn order(of: Option<&str>, by: &str, reason: &str) -> Halt {
    Halt { subsystem: of.map(Into::into), operator: by.into(), reason: Some(reason.to_owned()), at: NOON }
}

/// A machine whose clock is an hour off may halt, and stops nobody but by the halt.
#[test]
fn s6_a_halt_asks_no_clock_and_changes_nothing_else() {
    let mut room = Room::new(5);
    room.grant(&run("a", "pa"), 1, &["index-01"]).expect("granted");
    let before = room.record.clone();
    for at in [NOON.minus(seconds(3600)), NOON.plus(seconds(3600))] {
        let order = Halt { at, ..order(None, "ann", "smoke") };
        let next = halt(&before, &order).expect("in force");
        assert_eq!(next.halts, [order]);
        assert_eq!(FleetRecord { halts: Vec::new(), ..next }, before);
    }
}

#[test]
fn s6_who_halted_first_is_never_hidden() {
    let mut room = Room::new(5);
    let (first, second) = (order(Some("index"), "ann", "smoke"), order(Some("index"), "bob", "fire"));
    room.record = halt(&room.record, &first).expect("in force");
    room.record = halt(&room.record, &second).expect("in force too");
    assert_eq!(
        halt(&room.record, &Halt { at: NOON.plus(seconds(9)), ..first.clone() }),
        None,
        "it is in force already"
    );
    assert_eq!(room.record.halts, [first, second]);
    let Err(Refusal::Rules(refused)) = room.grant(&run("a", "pa"), 1, &["index-01"]) else { panic!("must refuse") };
    let told: Vec<&str> = refused.iter().map(|violation| violation.message.as_str()).collect();
    assert!(told.iter().any(|m| m.contains("ann") && m.contains("smoke")), "{told:?}");
    let planned: Vec<String> =
        room.record.view(None, &room.silent, NOON).halts.into_iter().map(|(_, why)| why).collect();
    assert!(planned[0].contains("ann") && planned[1].contains("bob") && planned[1].contains("fire"), "{planned:?}");
}

#[test]
fn s6_unhalt_lifts_what_was_read_and_nothing_else() {
    let mut room = Room::new(5);
    let read = [order(None, "ann", "smoke"), order(None, "bob", "fire")];
    let (later, other) = (order(None, "cid", "flood"), order(Some("index"), "ann", "smoke"));
    for order in [&read[0], &other, &read[1], &later] {
        room.record = halt(&room.record, order).expect("in force");
    }
    room.decide(&Command::Unhalt { orders: &read }).expect("lifted");
    assert_eq!(room.record.halts, [other.clone(), later.clone()]);
    assert_eq!(why(room.decide(&Command::Unhalt { orders: &read })), name(Rule::Halted), "nothing to lift");
    assert_eq!(why(room.grant(&run("a", "pa"), 1, &["index-01"])), name(Rule::Halted));
    room.world.now = room.record.written_at.minus(seconds(3600));
    room.decide(&Command::Unhalt { orders: &[later, other] }).expect("lifted, whatever the clock");
    room.world.now = room.record.written_at;
    room.grant(&run("a", "pa"), 1, &["index-01"]).expect("nothing is halted any more");
}
