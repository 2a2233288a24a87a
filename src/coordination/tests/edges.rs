//! The edge of each limit, and the parts of an answer that a run relies on and no rule checks. Each test is for a change of
//! the code (made by `cargo mutants`) that no other test noticed.

use super::*;

#[test]
fn s3_a_record_remembers_the_fleet_and_not_who_looked() {
    let mut room = Room::new(5);
    room.world.identity.region = Some("us-east-1".to_owned());
    room.world.identity.caller = Some("arn:aws:iam::1:user/ann".to_owned());
    room.enlist(&run("a", "pa"), &[&["index-01"]]).expect("stands in line");
    let known = room.record.identity.clone().expect("the first change tells");
    assert_eq!((known.region.as_deref(), known.caller), (Some("us-east-1"), None));
}

/// A simulated fleet's id stands in its state file, which may be broken on the day that a halt must be lifted.
#[test]
fn s3_unhalt_and_nothing_else_is_done_without_knowing_which_fleet_it_is() {
    let mut room = Room::new(5);
    room.world.identity.id = Some("fleet-1".to_owned());
    room.enlist(&run("a", "pa"), &[&["index-01"]]).expect("stands in line");
    let order = Halt { subsystem: None, operator: "ann".into(), reason: Some("smoke".to_owned()), at: room.now() };
    room.record = halt(&room.record, &order).expect("in force");
    (room.world.identity.id, room.world.identity.region) = (None, None);
    assert_eq!(why(room.end(&run("a", "pa"), false)), "other fleet");
    room.decide(&Command::Unhalt { orders: std::slice::from_ref(&order) }).expect("lifted");
    // One that is known to be another is refused.
    room.record = halt(&room.record, &order).expect("in force");
    room.world.identity.id = Some("fleet-2".to_owned());
    assert_eq!(why(room.decide(&Command::Unhalt { orders: &[order] })), "other fleet");
}

#[test]
fn s3_an_observation_may_be_as_old_as_max_age_and_as_far_ahead_as_the_tolerance() {
    let mut room = Room::new(5);
    let seen = room.world.snapshot();
    room.pass(Bounds::MAX_AGE);
    room.grant_on(&run("a", "pa"), 1, &["index-01"], &seen).expect("just young enough");

    let mut room = Room::new(5);
    room.pass(Bounds::TOLERANCE);
    let seen = room.world.snapshot();
    room.world.now = NOON;
    room.grant_on(&run("a", "pa"), 1, &["index-01"], &seen).expect("just near enough");
}

#[test]
fn s6_three_quarters_of_the_room_are_for_runs_to_the_last_byte() {
    let mut room = Room::new(5);
    let a = run("a", "pa");
    room.enlist(&a, &[&["index-01"]]).expect("stands in line");
    // So much does it take; another change of the same record, to the same length, shows the edge.
    let used = room.record.size();
    let most = used.div_ceil(3) * 4;
    room.record.runs.clear();
    room.record.tickets = 0;
    let empty = room.record.clone();
    room.room = Some(most - 4);
    assert_eq!(why(room.enlist(&a, &[&["index-01"]])), "full");
    for forgettable in [false, true] {
        for pad in 0..3 {
            let padded = |by: u64| {
                let reason = "x".repeat(usize::try_from(by).expect("small"));
                let halts = vec![Halt { subsystem: None, operator: "a".into(), reason: Some(reason), at: NOON }];
                FleetRecord { halts, ..empty.clone() }
            };
            let without = padded(0).size() + used - empty.size();
            let largest = (without + pad).next_multiple_of(3);
            room.room = Some(largest / 3 * 4);
            for (over, expected) in [(0, None), (1, Some("full"))] {
                room.record = padded(largest - without + over);
                if forgettable {
                    // The next write forgets it, so it takes no room.
                    let ended = EndedRun { epoch: 1, at: NOON.minus(MEMORY) };
                    room.record.ended.insert("long-ago".into(), ended);
                }
                let enlisted = room.enlist(&a, &[&["index-01"]]);
                match expected {
                    None => assert_eq!((enlisted.is_ok(), room.record.size()), (true, largest), "to the last byte"),
                    Some(expected) => assert_eq!(why(enlisted), expected, "and not one more"),
                }
            }
        }
    }
}

/// The reply to a grant was lost, and it is asked for again: the run goes by what the record says, and watches by it.
#[test]
fn s3_schedule_13_a_grant_that_is_asked_for_again_is_answered_like_the_first() {
    let mut room = Room::new(6);
    let a = run("a", "pa");
    room.world.host_mut("index-02").health = crate::model::Health::Failed;
    room.reference =
        BTreeMap::from([(ProbeKey { subsystem: "index".into(), probe: "latency".into() }, vec![20.0.into()])]);
    let first = room.grant(&a, 1, &["index-01", "index-02"]).expect("granted");
    assert_eq!((first.reference.len(), first.reference_at), (1, Some(NOON)));
    let hold = |room: &Room, host: &str| {
        let hold = &room.record.runs[&a.run].reservations[host];
        (hold.serving, hold.may_serve)
    };
    assert_eq!((hold(&room, "index-01"), hold(&room, "index-02")), ((true, true), (false, false)));

    // A restore must bring back every host that served at either time.
    room.world.host_mut("index-02").health = crate::model::Health::Healthy;
    room.world.host_mut("index-01").health = crate::model::Health::Failed;
    room.reference.clear();
    room.pass(seconds(5));
    let again = room.grant(&a, 1, &["index-01", "index-02"]).expect("it is the same");
    assert_eq!((again.reference, again.reference_at), (first.reference, first.reference_at));
    assert_eq!((hold(&room, "index-01"), hold(&room, "index-02")), ((true, true), (true, true)));

    // Another batch of the same hosts, and the same batch gone on, are not the same.
    assert_eq!(why(room.grant_claimed(&a, 2, &["index-01", "index-02"], &room.world.snapshot())), "illegal");
    let until = room.now().plus(seconds(300));
    room.resolve(&a, "index-01", HostOutcome::Settling(until)).expect("noted");
    assert_eq!(why(room.grant(&a, 1, &["index-01", "index-02"])), "illegal");
}

/// The check of `plan` refuses these too. The record's own words must not depend on it.
#[test]
fn s9_what_the_record_says_against_a_host_is_said_whatever_else_is() {
    let messages = |refused: Result<Granted, Refusal>| -> Vec<String> {
        match refused {
            Err(Refusal::Rules(violations) | Refusal::Race(violations)) => {
                violations.into_iter().map(|violation| violation.message).collect()
            }
            other => panic!("{other:?}"),
        }
    };
    let told = |messages: &[String], what: &str| assert!(messages.iter().any(|m| m == what), "{what}: {messages:?}");
    let mut room = Room::new(6);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&b, &[&["index-01"], &["index-02"]]).expect("stands in line");
    room.record.runs.get_mut(&b.run).expect("there").claims.clear();
    room.remove(&a, 1, "index-02").expect("removed");
    room.grant(&a, 2, &["index-01"]).expect("granted");
    room.silent.insert(a.run.clone());
    told(&messages(room.grant(&b, 1, &["index-01"])), "host index-01 is held by run a");
    told(&messages(room.grant(&b, 1, &["index-02"])), "host index-02 was removed by run a");
    told(&messages(room.grant(&b, 1, &["index-99"])), "host index-99 is not listed");
}

#[test]
fn s3_a_reference_is_taken_over_for_as_long_as_it_lives() {
    for (age, expected) in [(REFERENCE_LIFE, true), (REFERENCE_LIFE + Duration::from_millis(1), false)] {
        let mut room = Room::new(9);
        let mut placement = policy("placement", 0);
        placement.depends_on = BTreeSet::from(["index".into()]);
        room.world.policies.subsystems.insert("placement".into(), placement);
        room.world.hosts.push(crate::plan::testing::host("placement-01", "a", &["placement"]));
        let (a, b) = (run("a", "pa"), RunIdentity { subsystem: "placement".into(), ..run("b", "pb") });
        room.grant(&a, 1, &["index-01"]).expect("granted");
        room.pass(age);
        let granted = room.grant(&b, 1, &["placement-01"]);
        assert_eq!(granted.is_ok(), expected, "{granted:?}");
    }
}

/// `unusual` goes by what went well, and by nothing that took no host.
#[test]
fn only_a_run_that_completed_and_took_hosts_is_remembered_as_a_usual_size() {
    for (takes, completed, expected) in [(true, true, 1), (true, false, 0), (false, true, 0)] {
        let mut room = Room::new(6);
        let a = run("a", "pa");
        if takes {
            room.remove(&a, 1, "index-01").expect("removed");
        } else {
            room.enlist(&a, &[&["index-01"]]).expect("stands in line");
        }
        room.end(&a, completed).expect("ends");
        assert_eq!(room.record.largest_removals.values().flatten().count(), expected, "{takes} {completed}");
    }
}

#[test]
fn a_host_that_is_not_cordoned_is_named_with_its_state() {
    for (state, words) in
        [(HostState::Pending, "pending"), (HostState::InService, "in service"), (HostState::Terminating, "terminating")]
    {
        let mut room = Room::new(6);
        let a = run("a", "pa");
        room.grant(&a, 1, &["index-01"]).expect("granted");
        room.set("index-01", state);
        let Err(Refusal::Rules(violations)) = room.start(&a, &["index-01"]) else { panic!("{state:?}: must refuse") };
        assert!(violations.iter().any(|v| v.message.contains(words)), "{words}: {violations:?}");
    }
}

/// A race may be tried again, a refusal by policy never: what makes up for a violation is of another run that lives, of the
/// subsystem in question, and since the command began.
#[test]
fn s9_only_what_live_others_took_since_makes_a_refusal_a_race() {
    let began_at = NOON;
    let short = |rule: Rule| {
        let mut violation = crate::plan::Violation::new(rule, String::new()).subsystem(&"index".into());
        (violation.required, violation.remaining) = (Some(3), Some(2));
        violation
    };
    let mut room = Room::new(6);
    let a = run("a", "pa");
    let is_race = |room: &Room, rule: Rule| {
        let without = [short(rule)];
        super::is_race(&room.record, &room.silent, began_at, &without, &without)
    };
    room.grant(&a, 1, &["index-01"]).expect("granted");
    for rule in [Rule::Minimum, Rule::TooFewCandidates] {
        assert!(is_race(&room, rule), "{rule:?}: it may come back");
        room.silent.insert(a.run.clone());
        assert!(!is_race(&room, rule), "{rule:?}: nobody waits for a silent run");
        room.silent.clear();
    }
    let mut of_group = short(Rule::GroupMinimum);
    for (group, expected) in [("pool", true), ("other", false)] {
        room.record.runs.get_mut(&a.run).expect("there").reservations.get_mut("index-01").expect("held").group =
            Some("pool".into());
        of_group.group = Some(group.into());
        let without = [of_group.clone()];
        assert_eq!(super::is_race(&room.record, &room.silent, began_at, &without, &without), expected, "{group}");
    }
    room.record.runs.clear();
    for (of, at, expected) in [
        ("index", NOON.plus(Duration::from_millis(1)), true),
        ("index", NOON, false),
        ("billing", NOON.plus(seconds(60)), false),
    ] {
        let (subsystems, units) = (BTreeSet::from([of.into()]), BTreeMap::from([(of.into(), 1)]));
        let removal = crate::plan::Removal { host: "gone".into(), run: "a".into(), subsystems, units, at: Some(at) };
        room.record.removals = vec![removal];
        for rule in [Rule::Minimum, Rule::TooFewCandidates, Rule::GroupMinimum] {
            assert_eq!(is_race(&room, rule), expected, "{rule:?}: {of} at {at}");
        }
    }
}

/// A run's own removals do not make its refusal a race.
#[test]
fn s9_a_run_is_no_race_with_itself() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    room.pass(seconds(1));
    room.remove(&a, 1, "index-01").expect("removed");
    room.world.host_mut("index-03").health = crate::model::Health::Failed;
    let snapshot = room.world.snapshot();
    assert_eq!(why(room.grant_claimed(&a, 2, &["index-02"], &snapshot)), name(Rule::Minimum));
}
