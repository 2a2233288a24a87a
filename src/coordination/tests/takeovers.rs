//! Takeovers and what is given up, command by command.

use super::*;

fn taker(epoch: u64, process: &str) -> RunIdentity {
    RunIdentity { epoch, ..run("a", process) }
}

/// Of two that fence one run the later epoch has it, whichever of the two writes the record first.
#[test]
fn s9_of_two_that_take_a_run_over_one_has_it() {
    let mut room = Room::new(4);
    room.grant(&run("a", "pa"), 1, &["index-01"]).expect("granted");
    let (second, third) = (taker(2, "p2"), taker(3, "p3"));
    room.take_over(&second).expect("taken");
    room.take_over(&second).expect("again: the reply was lost");
    room.take_over(&third).expect("taken from the taker");
    assert_eq!(why(room.take_over(&second)), "fenced");
    assert_eq!(why(room.take_over(&taker(3, "another"))), "fenced", "an epoch is one process's");
    assert_eq!(why(room.resolve(&second, "index-01", HostOutcome::NeverCordoned)), "fenced");
    room.resolve(&third, "index-01", HostOutcome::NeverCordoned).expect("its own");
}

#[test]
fn s9_a_run_that_ended_or_never_was_is_not_taken_over() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    // It was confirmed and died before it stood in line: whoever ends it keeps it from taking its place later.
    room.take_over(&taker(2, "p2")).expect("noted");
    assert!(room.record.runs.is_empty());
    assert_eq!(why(room.enlist(&a, &[&["index-01"]])), "fenced");
    let again = taker(3, "p3");
    room.remove(&again, 1, "index-01").expect_err("a taker of nothing stands in no line");
    room.enlist(&again, &[&["index-01"]]).expect("a further attempt");
    room.end(&again, false).expect("ended");
    assert_eq!(why(room.take_over(&taker(3, "p4"))), "fenced");
}

/// It is nobody's any more, counts as capacity only where it serves, and against every budget as long as they remember.
#[test]
fn s4_a_host_that_is_given_up_is_let_go_and_counts_as_a_removal() {
    let mut room = Room::new(4);
    let a = run("a", "pa");
    room.grant(&a, 1, &["index-01"]).expect("granted");
    room.set("index-01", HostState::Cordoned);
    let until = room.now().plus(seconds(600));
    room.resolve(&a, "index-01", HostOutcome::Settling(until)).expect("in doubt");
    assert_eq!(why(room.resolve(&a, "index-01", HostOutcome::GivenUp)), "wait", "S1: a call may still reach it");
    room.pass(seconds(600));
    room.resolve(&a, "index-01", HostOutcome::GivenUp).expect("given up");
    room.resolve(&a, "index-01", HostOutcome::GivenUp).expect("again: the reply was lost");
    assert!(room.held().is_empty());
    assert_eq!(room.record.removals.len(), 1);
    assert!(room.record.removed.is_empty(), "where somebody brings it back, it is capacity");
    room.end(&a, false).expect("it holds nothing");
    assert!(room.record.runs.is_empty());
}
