//! What a journal says: cut anywhere it is a history, and one that is out of order calls for a person.

use std::collections::BTreeSet;

use super::world::World;
use crate::model::{Call, CallOutcome, Effect, HostState, RunId, Time};
use crate::run::{
    EVENT_SCHEMA, Event, Finish, JournalRecord, JournalStage, Outcome, Purpose, Response, RunHistory, remains, report,
};

/// The journal of a run of four hosts in two batches that was done as it was meant.
fn completed() -> (World, Vec<JournalRecord>) {
    let mut world = World::new();
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let journal = world.journal.clone();
    (world, journal)
}

/// A run whose process died while its first batch was watched.
fn at_the_first_bake() -> World {
    let killed = |point| {
        let mut world = World::new();
        let mut machine = world.machine(4);
        world.drive_until(&mut machine, Response::Begin, point);
        world
    };
    let is_watched = |world: &World| RunHistory::of(&world.journal).stage == JournalStage::Baking;
    (0..200).map(killed).find(is_watched).expect("it is watched")
}

#[test]
fn a_journal_that_is_cut_anywhere_is_a_history() {
    let (_, journal) = completed();
    let stages: Vec<JournalStage> =
        (0..=journal.len()).map(|length| RunHistory::of(&journal[..length]).stage).collect();
    assert!(RunHistory::of(&journal).illegal.is_none());
    for stage in [
        JournalStage::Blank,
        JournalStage::Opened,
        JournalStage::Granted,
        JournalStage::Baking,
        JournalStage::Baked,
        JournalStage::Terminating,
    ] {
        assert!(stages.contains(&stage), "{stage:?}");
    }
    assert_eq!(stages.last(), Some(&JournalStage::Ended));
    // Each host goes one way, and nothing that was seen gone comes back.
    for length in 1..journal.len() {
        let (before, after) = (RunHistory::of(&journal[..length]), RunHistory::of(&journal[..=length]));
        assert!(before.terminated.is_subset(&after.terminated) && before.dropped.is_subset(&after.dropped));
        assert!(before.batches.keys().all(|batch| after.batches.contains_key(batch)));
    }
}

/// Any two neighbours that change places and still make a history must be ones whose order says nothing.
#[test]
fn records_that_changed_places_are_found() {
    let (_, mut journal) = completed();
    // Samples, waits and answers may come at any time.
    journal.retain(|record| !matches!(record.event, Event::Sampled { .. }));
    let mut found = 0;
    for place in 0..journal.len() - 1 {
        let mut mixed = journal.clone();
        mixed.swap(place, place + 1);
        found += u32::from(RunHistory::of(&mixed).illegal.is_some());
    }
    assert!(found >= 9, "only {found} of {}", journal.len());
    for missing in ["run-opened", "batch-granted", "batch-cordoned", "bake-ended"] {
        let without: Vec<_> = journal.iter().filter(|record| record.event.name() != missing).cloned().collect();
        let illegal = RunHistory::of(&without).illegal;
        assert!(illegal.is_some(), "a journal without {missing}");
    }
}

/// S3, S7: nobody goes forward by such a journal, a person is called, and what is out is put back.
#[test]
fn s7_a_journal_that_is_out_of_order_calls_for_a_person_and_keeps_nobody_from_putting_back() {
    for purpose in [Purpose::Resume, Purpose::Abandon] {
        let mut world = at_the_first_bake();
        let is_cordoned = |record: &JournalRecord| matches!(record.event, Event::BatchCordoned { .. });
        let cordoned = world.journal.iter().position(is_cordoned).expect("it was cordoned");
        let granted =
            world.journal.iter().position(|r| matches!(r.event, Event::BatchGranted { .. })).expect("granted");
        let (first, second) = (world.journal[granted].event.clone(), world.journal[cordoned].event.clone());
        (world.journal[granted].event, world.journal[cordoned].event) = (second, first);
        let run = world.journal[0].run.clone();
        assert!(RunHistory::of(&world.journal).illegal.is_some());
        assert_eq!(remains(&world.journal, &world.record, &run), None, "nothing goes forward");
        let document = report(&world.journal).expect("it is told all the same");
        assert!(document.warnings.iter().any(|warning| warning.contains("somebody must look")), "{document:?}");

        let terminated = |world: &World| world.log.iter().filter(|line| line.starts_with("terminate ")).count();
        let mut taker = world.take_over(purpose, &[]);
        assert_eq!(world.drive(&mut taker), Finish::Ended);
        assert_eq!(terminated(&world), 0);
        assert!(world.hosts.values().all(|host| host.state == HostState::InService), "{:?}", world.log);
        assert_eq!((world.document().outcome, world.document().exit_code), (Outcome::NeedsAttention, 8));
    }
}

/// The record after it, a fence of another process.
fn fenced(journal: &[JournalRecord]) -> Vec<JournalRecord> {
    let last = journal.last().expect("a journal");
    let Event::RunOpened { process, operator, .. } = &journal[0].event else { panic!("it was opened") };
    let event = Event::RunTakenOver {
        epoch: 9,
        process: process.clone(),
        operator: operator.clone(),
        purpose: Purpose::Abandon,
        reason: None,
        leave: BTreeSet::new(),
        even_if_alive: false,
    };
    let fence = JournalRecord { seq: last.seq + 1, event, ..last.clone() };
    journal.iter().cloned().chain([fence]).collect()
}

/// The record may hold hosts of a run that never heard of its grant: whoever abandons it is told of no disorder.
#[test]
fn s7_a_run_that_took_nothing_by_its_own_word_is_taken_over_and_only_put_back() {
    let (_, journal) = completed();
    let Event::RunEnded { subsystems, .. } = &journal.last().expect("it ended").event else { panic!("it ended") };
    let event = Event::RunEnded { outcome: Outcome::NotStarted, exit_code: 10, subsystems: subsystems.clone() };
    let journal = [journal[0].clone(), JournalRecord { seq: 1, event, ..journal[1].clone() }];
    assert_eq!(RunHistory::of(&journal).stage, JournalStage::Withdrawn);
    let journal = fenced(&journal);
    let history = RunHistory::of(&journal);
    assert_eq!((history.stage, history.illegal), (JournalStage::Stopping, None));
}

/// What was measured at an end stands until something else is measured.
#[test]
fn capacity_that_was_measured_at_an_end_stays_when_the_run_is_taken_over() {
    let (_, mut journal) = completed();
    let Some(JournalRecord { event: Event::RunEnded { subsystems, .. }, .. }) = journal.last_mut() else {
        panic!("it ended")
    };
    subsystems[0].remaining = 3;
    let measured = subsystems.clone();
    assert_eq!(report(&fenced(&journal)).expect("a document").subsystems, measured);
}

/// S9: calls are numbered anew in each attempt; one that is open in an earlier one stays so, whatever has its number now.
#[test]
fn s9_an_open_call_of_an_earlier_attempt_is_not_hidden_by_a_later_one() {
    let (_, journal) = completed();
    let is_call = |record: &&JournalRecord| record.event.intent().is_some();
    let call = journal.iter().find(is_call).expect("a call").clone();
    let later = Event::CallIntended {
        call: 1,
        intent: Call { not_after: Time::from_millis(0), ..call.event.intent().expect("a call").clone() },
    };
    let attempts =
        [journal[0].clone(), call.clone(), journal[0].clone(), JournalRecord { event: later, ..call.clone() }];
    let deadlines: BTreeSet<Time> =
        RunHistory::of(&attempts).open_calls().into_iter().map(|(_, call)| call.not_after).collect();
    assert_eq!(deadlines.len(), 2, "{deadlines:?}");
}

#[test]
fn a_call_is_open_until_an_answer_says_what_became_of_it() {
    let intended = |call: u64| Event::CallIntended {
        call,
        intent: Call {
            effect: Effect::Terminate { group: None, host: format!("h-{call}").as_str().into() },
            intent_at: Time::from_millis(0),
            not_after: Time::from_millis(5_000),
        },
    };
    let message = || "seen".to_owned();
    let answered = |call, outcome| Event::CallAnswered { call, outcome };
    let events = [
        intended(1),
        answered(1, CallOutcome::Done),
        intended(2),
        answered(2, CallOutcome::Unknown { message: message() }),
        intended(3),
        answered(3, CallOutcome::Refused { message: message(), retryable: true }),
        intended(4),
    ];
    let journal: Vec<JournalRecord> = (0..)
        .zip(events)
        .map(|(seq, event)| JournalRecord {
            schema: EVENT_SCHEMA.to_owned(),
            run: RunId::new("r-1"),
            seq,
            at: Time::from_millis(0),
            event,
        })
        .collect();
    let open: Vec<(u64, Time)> =
        RunHistory::of(&journal).open_calls().iter().map(|(call, intent)| (*call, intent.not_after)).collect();
    assert_eq!(open, [(2, Time::from_millis(5_000)), (4, Time::from_millis(5_000))]);
}
