//! Several runs at once: the line, claims, races, references that are handed on, and what a record has room for.

use super::*;
use crate::policy::Budget;

/// index, billing, and hosts that serve both; no interval, no budget.
fn two_subsystems() -> Room {
    let policies = ["index", "billing"].map(|name| {
        let mut policy = policy(name, 1);
        policy.pace.interval = Duration::ZERO;
        policy
    });
    let world = World::new(policies)
        .with("index", 4, &["a"], &["index"])
        .with("billing", 4, &["a"], &["billing"])
        .with("both", 2, &["a"], &["index", "billing"]);
    Room::of(world, FleetRecord::new(LedgerId::from("ledger-1"), "demo".into(), NOON))
}

fn claimed(room: &mut Room, run: &RunIdentity, batch: u64, hosts: &[&str]) -> Result<Granted, Refusal> {
    let snapshot = room.world.snapshot();
    room.grant_claimed(run, batch, hosts, &snapshot)
}

/// Point 4: `batch` and `interval` hold over runs, or a loop in a shell removes capacity at once.
#[test]
fn s4_one_batch_of_a_subsystem_goes_at_a_time_whatever_the_runs() {
    let mut room = Room::new(9);
    room.world.policy_mut("index").pace.interval = seconds(3600);
    let runs: Vec<RunIdentity> = (1..=5).map(|n| run(&format!("r{n}"), "p")).collect();
    for (number, run) in runs.iter().enumerate() {
        room.enlist(run, &[&[&format!("index-{:02}", number + 1)]]).expect("stands in line");
    }
    claimed(&mut room, &runs[0], 1, &["index-01"]).expect("the first may");
    for (number, run) in runs.iter().enumerate().skip(1) {
        let host = format!("index-{:02}", number + 1);
        assert_eq!(why(claimed(&mut room, run, 1, &[&host])), "wait for r1");
    }
    room.set("index-01", HostState::Cordoned);
    room.start(&runs[0], &["index-01"]).expect("its own");
    room.lose("index-01");
    let gone_at = room.now();
    room.resolve(&runs[0], "index-01", HostOutcome::Removed(gone_at)).expect("gone");
    room.pass(seconds(3599));
    assert_eq!(why(claimed(&mut room, &runs[1], 1, &["index-02"])), "wait", "the interval is waited from its end");
    room.pass(seconds(1));
    claimed(&mut room, &runs[1], 1, &["index-02"]).expect("waited");
}

#[test]
fn s4_runs_that_share_no_subsystem_do_not_wait_for_each_other() {
    let mut room = two_subsystems();
    room.grant(&run("a", "pa"), 1, &["index-01"]).expect("granted");
    room.grant(&run("b", "pb"), 1, &["billing-01"]).expect("granted");
    assert_eq!(why(room.grant(&run("c", "pc"), 1, &["both-01"])), "wait for a", "it takes of both");
}

#[test]
fn s9_who_came_first_goes_first_and_who_is_not_ready_holds_up_nobody() {
    let mut room = Room::new(9);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&a, &[&["index-01", "index-02"]]).expect("stands in line");
    room.enlist(&b, &[&["index-03"]]).expect("stands in line");
    assert_eq!(why(claimed(&mut room, &b, 1, &["index-03"])), "wait for a");
    // A budget that has room for one: A's batch of two waits for it, B's of one need not.
    room.world.policy_mut("index").pace.budgets = vec![Budget { hosts: 2, per: seconds(3600) }];
    let subsystems = BTreeSet::from(["index".into()]);
    let units = BTreeMap::from([("index".into(), 1)]);
    let at = Some(room.now().minus(seconds(60)));
    room.record.removals.push(crate::plan::Removal { host: "gone".into(), run: "r".into(), subsystems, units, at });
    claimed(&mut room, &b, 1, &["index-03"]).expect("who is ready goes");
    assert_eq!(why(claimed(&mut room, &a, 1, &["index-01", "index-02"])), "wait for b");
    assert_eq!(room.record.runs[&a.run].claims.len(), 2, "its claims stay");
}

#[test]
fn s9_nobody_waits_for_a_silent_run_and_its_claims_are_nobodys() {
    let mut room = Room::new(9);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&a, &[&["index-01"]]).expect("stands in line");
    assert_eq!(why(room.enlist(&b, &[&["index-01"]])), "race: not-removable");
    room.silent.insert(a.run.clone());
    room.enlist(&b, &[&["index-01"]]).expect("a process that died took nothing");
    claimed(&mut room, &b, 1, &["index-01"]).expect("and is not waited for");
    room.silent.clear();
    // It was only slow: what another run holds is not granted to it, and that is a race.
    assert_eq!(why(claimed(&mut room, &a, 1, &["index-01"])), "wait for b");
    room.resolve(&b, "index-01", HostOutcome::NeverCordoned).expect("let go");
    room.enlist(&run("c", "pc"), &[&["index-02"]]).expect("stands in line");
    claimed(&mut room, &a, 1, &["index-01"]).expect("B let go of it");
}

#[test]
fn s9_a_claim_without_a_grant_lapses_with_its_plan_and_one_with_a_grant_does_not() {
    let mut room = Room::new(9);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    room.pass(seconds(899));
    assert_eq!(why(room.enlist(&b, &[&["index-02"]])), "race: not-removable");
    room.pass(seconds(1));
    room.enlist(&b, &[&["index-02"]]).expect("A's plan has expired");
    room.end(&b, false).expect("leaves the line");
    claimed(&mut room, &a, 1, &["index-01"]).expect("it waited long, and may go on");
    room.pass(seconds(5000));
    assert_eq!(why(room.enlist(&run("c", "pc"), &[&["index-02"]])), "race: not-removable", "it is under way");
    let expired = Command::Enlist {
        run: &run("d", "pd"),
        claims: &BTreeMap::from([("index-05".into(), 1.into())]),
        planned_at: room.now(),
        lapses_at: room.now(),
        snapshot: &room.world.snapshot(),
    };
    assert_eq!(why(room.decide(&expired)), name(Rule::PlanStale));
}

/// Point 2: whatever a process has come to believe, the record grants what was confirmed and nothing else.
#[test]
fn s8_a_host_that_was_not_confirmed_is_not_granted() {
    let mut room = Room::new(9);
    let a = run("a", "pa");
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    assert_eq!(why(claimed(&mut room, &a, 1, &["index-03"])), "illegal");
    assert_eq!(why(claimed(&mut room, &a, 1, &["index-01", "index-03"])), "illegal");
    assert_eq!(why(claimed(&mut room, &a, 2, &["index-01"])), "illegal", "nor in another batch");
    let snapshot = room.world.snapshot();
    let (hosts, reference) = (BTreeMap::from([("index-01".into(), BTreeSet::new())]), BTreeMap::new());
    for stranger in ["index-03", "index-01"] {
        let rest = BTreeMap::from([(HostId::from(stranger), 2.into())]);
        let (snapshot, reference, reference_at) = (&snapshot, &reference, NOON);
        let hosts = hosts.clone();
        let grant = Command::Grant {
            run: &a,
            batch: 1.into(),
            hosts,
            rest: &rest,
            snapshot,
            reference,
            reference_at,
            asking: None,
        };
        assert_eq!(why(room.decide(&grant)), "illegal", "nor claimed afterwards");
    }
    claimed(&mut room, &a, 1, &["index-01"]).expect("as confirmed");
    assert_eq!(why(room.grant_claimed(&run("b", "pb"), 1, &["index-04"], &snapshot)), "fenced", "nor without a place");
}

/// S8: the rest of the plan must still hold, not only the batch that is asked for.
#[test]
fn s8_a_batch_of_a_plan_that_no_longer_holds_is_not_granted() {
    let mut room = Room::new(5);
    let a = run("a", "pa");
    room.enlist(&a, &[&["index-01"], &["index-02"], &["index-03"]]).expect("stands in line");
    room.world.host_mut("index-05").health = crate::model::Health::Failed;
    assert_eq!(why(claimed(&mut room, &a, 1, &["index-01"])), name(Rule::Minimum));
}

/// A race is never 3, and a refusal by policy is never a race.
#[test]
fn s9_what_other_runs_have_taken_is_a_race_and_what_nobody_took_is_not() {
    let removed_by_another = |lost: bool| {
        let mut room = Room::new(5);
        let (a, b) = (run("a", "pa"), run("b", "pb"));
        room.enlist(&b, &[&["index-04", "index-05"]]).expect("there is room for three");
        room.pass(seconds(1));
        room.remove(&a, 1, "index-01").expect_err("B comes first");
        room.silent.insert(b.run.clone());
        room.grant(&a, 1, &["index-01", "index-02"]).expect("B is silent");
        room.silent.clear();
        for host in ["index-01", "index-02"] {
            room.set(host, HostState::Cordoned);
        }
        room.start(&a, &["index-01", "index-02"]).expect("its own");
        let at = room.now();
        for host in ["index-01", "index-02"] {
            room.lose(host);
            room.resolve(&a, host, HostOutcome::Removed(at)).expect("gone");
        }
        room.end(&a, true).expect("ends");
        if lost {
            room.world.host_mut("index-03").health = crate::model::Health::Failed;
            room.world.host_mut("index-05").health = crate::model::Health::Failed;
        }
        why(claimed(&mut room, &b, 1, &["index-04", "index-05"]))
    };
    assert_eq!(removed_by_another(false), "race: minimum", "A has removed two of the three");
    // 0 would remain of 2: the two that A removed make up for it, whatever else is ill. The next try is told.
    assert_eq!(removed_by_another(true), "race: minimum");

    let mut room = Room::new(4);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&a, &[&["index-01"]]).expect("stands in line");
    room.enlist(&b, &[&["index-02"]]).expect("stands in line");
    room.world.host_mut("index-03").health = crate::model::Health::Failed;
    room.world.host_mut("index-04").health = crate::model::Health::Failed;
    assert_eq!(why(claimed(&mut room, &b, 1, &["index-02"])), name(Rule::Minimum), "nobody took anything");
    room.silent.insert(a.run.clone());
    let mut taken = Room::new(4);
    taken.grant(&a, 1, &["index-01", "index-02"]).expect("granted");
    taken.silent.insert(a.run);
    let found = why(taken.grant(&b, 1, &["index-03"]));
    assert_eq!(found, "minimum run-in-the-way", "a silent run needs a person: no try will ever be better");
}

/// Point 6 (c): the double entry is asked again when it counts.
#[test]
fn s8_what_was_expected_to_remain_is_asked_again_at_the_first_grant() {
    let mut room = Room::new(9);
    let a = RunIdentity { expect_remaining: Some(7), ..run("a", "pa") };
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    room.world.host_mut("index-09").health = crate::model::Health::Failed;
    assert_eq!(why(claimed(&mut room, &a, 1, &["index-01"])), name(Rule::Expectation));
    room.world.host_mut("index-09").health = crate::model::Health::Healthy;
    claimed(&mut room, &a, 1, &["index-01"]).expect("as expected");
    room.resolve(&a, "index-01", HostOutcome::NeverCordoned).expect("let go");
    room.world.host_mut("index-09").health = crate::model::Health::Failed;
    claimed(&mut room, &a, 2, &["index-02"]).expect("afterwards the rules alone decide");

    // A run that has hosts of another subsystem out is no reason for it.
    let mut room = two_subsystems();
    room.grant(&run("b", "pb"), 1, &["billing-01"]).expect("granted");
    let serving = room.world.snapshot().hosts().filter(|host| host.id.as_str() != "billing-01").count() as u64;
    let wrong = RunIdentity { expect_remaining: Some(serving), ..run("a", "pa") };
    room.enlist(&wrong, &[&["index-01"]]).expect("stands in line");
    assert_eq!(why(claimed(&mut room, &wrong, 1, &["index-01"])), name(Rule::Expectation));

    // Another run's removal in between: not this policy's word.
    let mut room = Room::new(9);
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    room.silent.insert(a.run.clone());
    room.pass(seconds(1));
    let b = run("b", "pb");
    room.remove(&b, 1, "index-05").expect("removed");
    room.end(&b, true).expect("ends");
    room.silent.clear();
    assert_eq!(why(claimed(&mut room, &a, 1, &["index-01"])), "race: expectation");
}

fn key(probe: &str) -> ProbeKey {
    ProbeKey { subsystem: "index".into(), probe: probe.to_owned() }
}

/// billing's dependants watch index too: a run of billing overlaps one of index without touching it.
fn overlapping() -> (Room, RunIdentity, RunIdentity) {
    let mut room = two_subsystems();
    room.world.policy_mut("index").depends_on = BTreeSet::from(["billing".into()]);
    (room, run("a", "pa"), RunIdentity { subsystem: "billing".into(), ..run("b", "pb") })
}

#[test]
fn s2_schedule_16_an_overlapping_run_judges_by_the_older_reference() {
    let (mut room, a, b) = overlapping();
    room.reference = BTreeMap::from([(key("errors"), vec![0.01.into()])]);
    let granted = room.grant(&a, 1, &["index-01"]).expect("granted");
    assert_eq!((granted.reference, granted.reference_at), (room.reference.clone(), Some(NOON)));
    room.pass(seconds(60));
    room.reference = BTreeMap::from([(key("errors"), vec![0.5.into()]), (key("latency"), vec![20.0.into()])]);
    let granted = room.grant(&b, 1, &["billing-01"]).expect("granted");
    let expected = BTreeMap::from([(key("errors"), vec![0.01.into()]), (key("latency"), vec![20.0.into()])]);
    assert_eq!(granted.reference, expected, "A's damage is not normal");
    assert_eq!(granted.reference_at, Some(NOON), "and it is as old as A's");
    let (own, reference) = (&room.record.runs[&a.run], BTreeMap::from([(key("errors"), vec![0.01.into()])]));
    assert_eq!(own.reference, reference, "the older run keeps its own");
}

/// Point 6 (b): five overlapping runs were judged by a load that was four times the present one.
#[test]
fn s2_a_reference_is_not_handed_on_for_ever() {
    let (mut room, a, b) = overlapping();
    room.reference = BTreeMap::from([(key("errors"), vec![0.01.into()])]);
    room.grant(&a, 1, &["index-01"]).expect("granted");
    // A long bake; B was handed A's reference and hands it on.
    room.pass(seconds(3000));
    room.reference = BTreeMap::from([(key("errors"), vec![0.5.into()])]);
    let handed = room.grant(&b, 1, &["billing-01"]).expect("granted");
    assert_eq!((&handed.reference[&key("errors")], handed.reference_at), (&vec![0.01.into()], Some(NOON)));
    room.resolve(&a, "index-01", HostOutcome::Restored).expect("proved");
    room.end(&a, false).expect("ends");
    room.pass(seconds(601));
    let c = run("c", "pc");
    assert_eq!(why(room.grant(&c, 1, &["index-02"])), "wait for b", "until nothing that it watches is out");
    room.silent.insert(b.run.clone());
    assert_eq!(why(room.grant(&c, 1, &["index-02"])), name(Rule::RunInTheWay));
}

#[test]
fn s2_samples_from_while_hosts_were_out_are_taken_again() {
    let mut room = Room::new(9);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.grant(&a, 1, &["index-01"]).expect("granted");
    let sampled_at = room.now();
    room.pass(seconds(130));
    room.resolve(&a, "index-01", HostOutcome::Restored).expect("proved");
    room.end(&a, false).expect("ends");
    room.reference_at = Some(sampled_at);
    assert_eq!(why(room.grant(&b, 1, &["index-02"])), "reference", "A's host was out while B sampled");
    room.reference_at = None;
    room.grant(&b, 1, &["index-02"]).expect("sampled again");
}

/// Seed 4961 of the simulation: what an overlapping run does not hand on was taken as it was sampled.
#[test]
fn s2_what_no_overlapping_run_hands_on_is_not_from_while_hosts_were_out() {
    let (mut room, a, b) = overlapping();
    let errors = |subsystem: &str| ProbeKey { subsystem: subsystem.into(), probe: "errors".to_owned() };
    let c = RunIdentity { subsystem: "billing".into(), ..run("c", "pc") };
    room.grant(&c, 1, &["billing-01"]).expect("granted");
    let sampled_at = room.now();
    room.pass(seconds(130));
    room.resolve(&c, "billing-01", HostOutcome::Restored).expect("proved");
    room.end(&c, false).expect("ends");
    // Begun after that: it watches index alone, and hands on no more.
    room.reference = BTreeMap::from([(errors("index"), vec![0.01.into()])]);
    room.grant(&a, 1, &["index-01"]).expect("granted");

    room.reference = BTreeMap::from([(errors("index"), vec![0.5.into()]), (errors("billing"), vec![0.5.into()])]);
    room.reference_at = Some(sampled_at);
    assert_eq!(why(room.grant(&b, 1, &["billing-02"])), "reference", "C's host was out while B sampled");
    room.reference.insert(errors("billing"), vec![0.02.into()]);
    room.reference_at = None;
    let granted = room.grant(&b, 1, &["billing-02"]).expect("sampled again, while A's host is out");
    assert_eq!(
        granted.reference,
        BTreeMap::from([(errors("index"), vec![0.01.into()]), (errors("billing"), vec![0.02.into()])])
    );
}

/// Point 6 (h): the next grant of a running run wrote its old policy over what a person had accepted.
#[test]
fn s1_a_policy_that_a_person_accepted_is_not_written_over_by_a_run_that_was_under_way() {
    let mut room = Room::new(9);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    room.enlist(&b, &[&["index-03"]]).expect("stands in line");
    claimed(&mut room, &a, 1, &["index-01"]).expect("granted");
    let old = room.world.policies.clone();
    room.pass(seconds(10));
    room.world.policy_mut("index").capacity.minimum = 1;
    let (subsystem, operator) = ("index".into(), "ann".into());
    room.decide(&Command::AcceptPolicy { subsystem, operator, reason: "smaller fleet".to_owned() }).expect("accepted");
    room.world.policies = old;
    room.resolve(&a, "index-01", HostOutcome::NeverCordoned).expect("let go");
    claimed(&mut room, &a, 2, &["index-02"]).expect("it goes by its own, which is stricter");
    room.resolve(&a, "index-02", HostOutcome::NeverCordoned).expect("let go");
    room.end(&a, false).expect("ends");
    claimed(&mut room, &b, 1, &["index-03"]).expect("so does one that was confirmed before");
    let accepted = &room.record.accepted["index"];
    assert_eq!((accepted.by.as_str(), accepted.reason.as_deref()), ("ann", Some("smaller fleet")));
    assert_eq!(accepted.policy.capacity.minimum, 1);
    // Whoever plans from now on relies on what the directory says then, as ever.
    room.resolve(&b, "index-03", HostOutcome::NeverCordoned).expect("let go");
    room.end(&b, false).expect("ends");
    room.pass(seconds(1));
    room.grant(&run("c", "pc"), 1, &["index-04"]).expect("granted");
    assert_eq!(room.record.accepted["index"].policy.capacity.minimum, 2);
}

/// Point 6 (a): what stops and what ends must always fit.
#[test]
fn s6_a_record_that_is_nearly_full_takes_halts_outcomes_and_ends_and_no_grants() {
    let mut room = Room::new(9);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    room.room = Some(room.record.size() / 3 * 4 - 8);
    assert_eq!(why(room.enlist(&b, &[&["index-05"]])), "full");
    room.resolve(&a, "index-01", HostOutcome::NeverCordoned).expect("outcomes fit");
    room.room = Some(room.record.size());
    assert_eq!(why(claimed(&mut room, &a, 2, &["index-02"])), "full");
    let order = Halt { subsystem: None, operator: "ann".into(), reason: Some("smoke".to_owned()), at: room.now() };
    room.record = halt(&room.record, &order).expect("halts fit");
    room.end(&a, false).expect("ends fit");
}

/// Nobody else writes to the ledger of a quiet fleet: what its rules need no more must not keep the first run out.
#[test]
fn s6_what_is_no_longer_needed_takes_no_room_from_a_run() {
    let mut room = Room::new(9);
    let subsystems = BTreeSet::from(["index".into()]);
    for number in 0..200 {
        let (host, at) = (format!("gone-{number}").as_str().into(), Some(room.now()));
        let (subsystems, units) = (subsystems.clone(), BTreeMap::new());
        room.record.removals.push(crate::plan::Removal { host, run: "r".into(), subsystems, units, at });
    }
    room.record.written_at = room.now();
    let a = run("a", "pa");
    room.room = Some(room.record.size());
    assert_eq!(why(room.enlist(&a, &[&["index-01"]])), "full");
    room.pass(seconds(90 * 86_400));
    room.enlist(&a, &[&["index-01"]]).expect("they are forgotten");
    claimed(&mut room, &a, 1, &["index-01"]).expect("and so does a grant");
}

/// Thirteen single runs a day for a quarter of a year filled a DynamoDB item.
#[test]
fn s6_the_record_does_not_grow_with_the_number_of_runs() {
    let mut room = Room::new(4);
    room.bounds = Bounds::SIMULATED;
    room.world.policy_mut("index").pace.budgets = vec![Budget { hosts: 20, per: seconds(86_400) }];
    let mut largest = 0;
    for number in 0..1200 {
        let host = format!("fresh-{number:04}");
        room.world.hosts.push(crate::plan::testing::host(&host, "a", &["index"]));
        let a = run(&format!("r-{number:012}"), "pa");
        room.remove(&a, 1, &host).expect("removed");
        let snapshot = room.world.snapshot();
        room.decide(&Command::Forget { snapshot: &snapshot }).expect("looked");
        room.end(&a, true).expect("ends");
        room.pass(seconds(86_400 / 13));
        if number == 100 {
            largest = room.record.size();
        }
    }
    assert!(room.record.size() <= largest + largest / 10, "{} bytes, {largest} after 100 runs", room.record.size());
}
