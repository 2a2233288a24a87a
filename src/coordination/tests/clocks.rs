//! Which fleet, and which time: another fleet's word is refused, and a wrong clock locks nobody out.

use super::*;
use crate::model::FleetIdentity;

fn of_region(region: &str) -> FleetIdentity {
    FleetIdentity {
        kind: "aws".to_owned(),
        partition: Some("aws".to_owned()),
        account: Some("123456789012".to_owned()),
        region: Some(region.to_owned()),
        ..FleetIdentity::default()
    }
}

/// Point 1: whatever is asked, it is asked of the fleet that the record is of. Exhaustive by the match.
#[test]
fn s3_every_command_of_another_fleet_is_refused_and_changes_nothing() {
    let mut room = Room::new(9);
    room.world.identity = of_region("us-east-1");
    for host in &mut room.world.hosts {
        host.ledger = Some(LedgerId::from("ledger-1"));
    }
    let a = run("a", "pa");
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    assert_eq!(room.record.identity, Some(of_region("us-east-1")), "from the first change on");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    let before = room.record.clone();

    let caller = Some("arn:aws:iam::123456789012:user/ann".to_owned());
    let others = [
        of_region("eu-west-1"),
        FleetIdentity { account: Some("210987654321".to_owned()), ..of_region("us-east-1") },
        FleetIdentity { partition: Some("aws-cn".to_owned()), ..of_region("us-east-1") },
        FleetIdentity::simulated("fleet-2"),
    ];
    for other in others {
        room.world.identity = other;
        let snapshot = room.world.snapshot();
        let (run, epoch) = (a.run.clone(), a.epoch);
        let (group, suspended): (crate::model::GroupName, _) = ("pool".into(), BTreeSet::new());
        let outcomes = BTreeMap::from([("index-01".into(), HostOutcome::Removed(NOON))]);
        let claims = BTreeMap::from([("index-05".into(), 1.into())]);
        let (rest, reference) = (BTreeMap::new(), BTreeMap::new());
        let hosts = BTreeMap::from([("index-02".into(), BTreeSet::new())]);
        let (planned_at, lapses_at, reference_at) = (NOON, NOON.plus(seconds(900)), NOON);
        let b = super::run("b", "pb");
        let orders = [Halt { subsystem: None, operator: "ann".into(), reason: Some("smoke".to_owned()), at: NOON }];
        let commands = [
            Command::Enlist { run: &b, claims: &claims, planned_at, lapses_at, snapshot: &snapshot },
            Command::Grant {
                run: &a,
                batch: 2.into(),
                hosts,
                rest: &rest,
                snapshot: &snapshot,
                reference: &reference,
                reference_at,
                asking: None,
            },
            Command::StartTermination { run: run.clone(), epoch, hosts: ids(&["index-01"]), snapshot: &snapshot },
            Command::Resolve { run: run.clone(), epoch, outcomes },
            Command::RequireSuspension { run: run.clone(), epoch, group: group.clone(), suspended },
            Command::ReleaseSuspension { run: run.clone(), epoch, group },
            Command::TakeOver { run: run.clone(), epoch: 2, process: &b.process, forward: false },
            Command::End { run, epoch, completed: false },
            Command::AcceptPolicy { subsystem: "index".into(), operator: "ann".into(), reason: "why".to_owned() },
            Command::Unhalt { orders: &orders },
            Command::SetTime,
            Command::Forget { snapshot: &snapshot },
        ];
        for command in commands {
            assert_eq!(why(room.decide(&command)), "other fleet", "{command:?}");
        }
        let Err(Refusal::OtherFleet { known, seen }) = room.decide(&Command::SetTime) else { panic!("refused") };
        assert_eq!((*known, *seen), (of_region("us-east-1"), room.world.identity.clone()), "both are named");
        assert_eq!(room.record, before);
    }
    // Who looks does not matter, and `ledger adopt` alone makes it another fleet's.
    room.world.identity = FleetIdentity { caller, ..of_region("us-east-1") };
    room.decide(&Command::SetTime).expect("the same fleet");
    room.world.identity = of_region("eu-west-1");
    assert_eq!(why(room.decide(&Command::Adopt)), "illegal", "a run of the other fleet came after the question");
    room.world.identity = of_region("us-east-1");
    room.resolve(&a, "index-01", HostOutcome::NeverCordoned).expect("let go of");
    room.end(&a, false).expect("ended");
    room.world.identity = of_region("eu-west-1");
    room.decide(&Command::Adopt).expect("adopted");
    assert_eq!(room.record.identity, Some(of_region("eu-west-1")));
    room.decide(&Command::SetTime).expect("it is this fleet's now");
}

/// `unhalt` may not know a simulated fleet's id: it looks at no host.
#[test]
fn s6_a_fleet_that_was_not_looked_at_can_be_unhalted_and_is_not_written_down() {
    let mut room = Room::new(4);
    room.world.identity = FleetIdentity { kind: "simulated".to_owned(), ..FleetIdentity::default() };
    let order = Halt { subsystem: None, operator: "ann".into(), reason: Some("smoke".to_owned()), at: NOON };
    room.record = halt(&room.record, &order).expect("in force");
    room.decide(&Command::Unhalt { orders: &[order] }).expect("lifted");
    assert_eq!(room.record.identity, None);
}

/// Point 3. A clock that is behind takes nothing; whatever puts back, ends, stops or lets go is never refused for one.
#[test]
fn s3_a_clock_that_is_behind_takes_nothing_and_lets_go_of_everything() {
    let mut room = Room::new(9);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.pass(seconds(7200));
    room.enlist(&a, &[&["index-01", "index-02"]]).expect("stands in line");
    room.grant(&a, 1, &["index-01", "index-02"]).expect("granted");
    room.set("index-01", HostState::Cordoned);
    let right = room.now();
    room.world.now = right.minus(Bounds::TOLERANCE + Duration::from_millis(1));
    assert_eq!(why(room.enlist(&b, &[&["index-03"]])), "clock");
    assert_eq!(why(room.grant(&a, 1, &["index-01", "index-02"])), "clock");
    assert_eq!(why(room.start(&a, &["index-01"])), "clock");
    let (run, epoch, group) = (a.run.clone(), a.epoch, crate::model::GroupName::from("pool"));
    let suspended = BTreeSet::new();
    let hold = Command::RequireSuspension { run: run.clone(), epoch, group: group.clone(), suspended };
    assert_eq!(why(room.decide(&hold)), "clock");
    let process = &b.process;
    assert_eq!(why(room.decide(&Command::TakeOver { run: run.clone(), epoch: 2, process, forward: true })), "clock");
    let (subsystem, operator, reason) = ("index".into(), "ann".into(), "why".to_owned());
    assert_eq!(why(room.decide(&Command::AcceptPolicy { subsystem, operator, reason })), "clock");
    let snapshot = room.world.snapshot();
    assert_eq!(why(room.decide(&Command::Forget { snapshot: &snapshot })), "clock");

    let at = room.record.written_at;
    room.world.now = right.minus(seconds(3600));
    room.decide(&Command::ReleaseSuspension { run: run.clone(), epoch, group }).expect("lets go");
    room.decide(&Command::TakeOver { run: run.clone(), epoch: 2, process, forward: false }).expect("only puts back");
    let taker = RunIdentity { epoch: 2, process: b.process.clone(), ..a };
    let gone = room.now();
    room.lose("index-01");
    room.resolve(&taker, "index-01", HostOutcome::Removed(gone)).expect("lets go");
    assert_eq!(room.record.removals[0].at, Some(right), "S4: never stamped before it was granted");
    let until = room.now();
    room.resolve(&taker, "index-02", HostOutcome::Settling(until)).expect("ends");
    room.end(&taker, false).expect("ends");
    assert_eq!(room.record.written_at, at, "the record's time never goes back by itself");
}

/// One clock that is ten years ahead moves nothing by which others are judged.
#[test]
fn s7_a_clock_that_is_years_ahead_locks_nobody_out() {
    let mut room = Room::new(9);
    let (a, b) = (run("a", "pa"), run("b", "pb"));
    room.enlist(&a, &[&["index-01"], &["index-02"]]).expect("stands in line");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    let (right, written_at) = (room.now(), room.record.written_at);
    let ahead = right.plus(seconds(10 * 365 * 86_400));
    let order = Halt { subsystem: None, operator: "ann".into(), reason: Some("smoke".to_owned()), at: ahead };
    room.record = halt(&room.record, &order).expect("in force");
    room.world.now = ahead;
    room.decide(&Command::Unhalt { orders: &[order] }).expect("lifted");
    let (run, epoch, process) = (a.run.clone(), 2, &b.process);
    room.decide(&Command::TakeOver { run, epoch, process, forward: false }).expect("taken over");
    let taker = RunIdentity { epoch: 2, process: b.process.clone(), ..a };
    room.lose("index-01");
    room.resolve(&taker, "index-01", HostOutcome::Removed(ahead)).expect("gone");
    room.end(&taker, false).expect("ends");
    assert_eq!(room.record.written_at, written_at, "no provider has vouched for it");
    let at = room.record.removals[0].at.expect("stamped");
    assert!(at <= written_at.plus(seconds(86_400)), "{at}: no budget is spent for years");
    room.world.now = right.plus(seconds(30));
    assert_eq!(why(room.grant(&super::run("c", "pc"), 1, &["index-03"])), "wait", "for that long at most");
    room.world.now = right.plus(seconds(86_400));
    room.grant(&super::run("c", "pc"), 1, &["index-03"]).expect("nobody is locked out");
}

/// Whoever comes with an observation that the provider stands for moves the record's time, and it can be set right.
#[test]
fn s3_a_person_can_set_a_wrong_time_right() {
    let mut room = Room::new(9);
    let a = run("a", "pa");
    let right = room.now();
    room.pass(seconds(9000));
    room.remove(&a, 1, "index-01").expect("removed, on a clock that was ahead");
    room.end(&a, true).expect("ends");
    assert_eq!(room.record.written_at, room.now());
    room.world.now = right.plus(seconds(60));
    let b = run("b", "pb");
    assert_eq!(why(room.enlist(&b, &[&["index-02"]])), "clock");
    room.decide(&Command::SetTime).expect("set right");
    assert_eq!(room.record.written_at, room.now());
    assert_eq!(room.record.removals[0].at, Some(room.now()), "nothing in it is later");
    room.grant(&b, 1, &["index-02"]).expect("granted");
}
