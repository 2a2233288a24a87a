//! Which journals may be pruned, and what is still known of a run whose journal was.

use std::time::Duration;

use super::world::{Driven, World};
use crate::coordination::Halt;
use crate::model::Time;
use crate::run::{
    Finish, JournalRecord, OfflineJournal, Purpose, Response, RunStatus, Stays, follows, has_ended, is_pruned, prune,
    records_ever, report, run_status, took_nothing,
};

const FILE: &str = "old.json";

fn pruned(world: &World, before: Time) -> Result<JournalRecord, Stays> {
    prune(&world.journal, &world.record, before, before, &"casey".into(), FILE)
}

fn ended() -> World {
    let mut world = World::new();
    let mut machine = world.machine(2);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    world
}

fn after(world: &World) -> Time {
    world.journal.last().expect("an end").at.plus(Duration::from_millis(1))
}

#[test]
fn s9_a_pruned_journal_has_the_runs_document_and_its_request_and_takes_nothing_more() {
    let world = ended();
    let stub = pruned(&world, after(&world)).expect("it ended long ago");
    let (journal, run) = ([stub], world.journal[0].run.clone());
    assert!(is_pruned(&journal) && has_ended(&journal) && !took_nothing(&journal));
    assert_eq!(records_ever(&journal), world.journal.len() as u64);
    assert_eq!(run_status(&journal, &world.record, &run), RunStatus::Ended, "nobody takes it over");
    let mut document = report(&journal).expect("a document");
    // Less than half of it stays even here, where there are two hosts and no subsystem beside theirs.
    let size = |journal: &[JournalRecord]| serde_json::to_string(journal).expect("JSON").len();
    assert!(2 * size(&journal) < size(&world.journal), "{} of {}", size(&journal), size(&world.journal));
    let warning = document.warnings.pop().expect("it says where the rest is");
    assert!(warning.contains(FILE) && warning.contains("casey"), "{warning}");
    assert_eq!(Some(document), report(&world.journal));
    // What a process wrote aside long ago is not brought into it.
    assert_eq!(follows(&journal, &world.journal[1..]), OfflineJournal::WentOn);
    let mut again = ended();
    again.journal = journal.to_vec();
    assert_eq!(pruned(&again, after(&world)), Err(Stays::Pruned));
}

#[test]
fn s7_what_ended_later_is_held_or_has_not_ended_stays() {
    let world = ended();
    let end = world.journal.last().expect("an end").at;
    assert_eq!(pruned(&world, end), Err(Stays::Late), "the time itself is not before it");
    assert!(pruned(&world, after(&world)).is_ok());

    // Killed at every point of a run, also behind its end: as long as the record names it, it stays.
    for point in 0..1000 {
        let mut world = World::new();
        let mut machine = world.machine(2);
        if matches!(world.drive_until(&mut machine, Response::Begin, point), Driven::Finished(_)) {
            assert!(point > 20, "only {point} points");
            return;
        }
        let run = machine.spec().identity.run.clone();
        if world.journal.is_empty() || (has_ended(&world.journal) && !world.record.runs.contains_key(&run)) {
            continue;
        }
        let far = Time::from_millis(i64::MAX / 2);
        assert_eq!(pruned(&world, far), Err(Stays::UnderWay), "at point {point}");
        // And once somebody has ended it, it goes.
        let mut successor = world.take_over(Purpose::Abandon, &[]);
        world.drive(&mut successor);
        let goes = pruned(&world, far);
        assert!(goes.is_ok() || took_nothing(&world.journal), "at point {point}: {goes:?}");
    }
    panic!("the run does not end");
}

/// With its request id the next call goes on in the same journal. One without an id is asked for by nobody.
#[test]
fn s9_a_run_that_took_nothing_stays_where_it_may_be_asked_for_again() {
    for request_id in [None, Some("job-1")] {
        let mut world = World::new();
        let mut machine = world.machine_for(2, request_id);
        world.meddle = Box::new(|m| {
            if m.action.starts_with("grant 1") {
                m.record.halts = vec![Halt {
                    subsystem: None,
                    operator: "ben".into(),
                    reason: Some("smoke".to_owned()),
                    at: *m.now,
                }];
            }
        });
        world.drive(&mut machine);
        assert!(took_nothing(&world.journal), "{:?}", world.journal);
        let goes = pruned(&world, after(&world));
        assert_eq!(goes.err(), request_id.map(|_| Stays::Repeatable));
    }
}
