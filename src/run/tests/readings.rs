//! What a journal says of the probes: every reading of every round, and whether they recovered.

use crate::health::ProbeReading;
use crate::model::Time;
use crate::run::{Event, Finish, Order, Outcome, Purpose, RecoveryState, RunDocument, reading_on, reads_on, report};

use super::world::{Driven, World};

/// `index/errors` in each round: when, whether a batch was out, and the reading.
fn rounds(world: &World) -> Vec<(Time, bool, ProbeReading)> {
    let reading = |readings: &std::collections::BTreeMap<_, ProbeReading>| readings.values().next().cloned();
    let round = |record: &crate::run::JournalRecord| match &record.event {
        Event::Sampled { batch, readings, .. } => Some((record.at, batch.is_some(), reading(readings)?)),
        _ => None,
    };
    world.journal.iter().filter_map(round).collect()
}

fn place(world: &World, is: impl Fn(&Event) -> bool) -> usize {
    world.journal.iter().position(|record| is(&record.event)).unwrap_or_else(|| panic!("{:?}", world.log))
}

/// The probe turns bad as soon as a host is out, and good again with it: unless it stays bad.
fn aborted(stays_bad: bool) -> (World, RunDocument) {
    let mut world = World::new();
    let was_bad = std::cell::Cell::new(false);
    world.probe = Box::new(move |world| {
        was_bad.set(was_bad.get() || world.serving() < 12);
        if world.serving() < 12 || (stays_bad && was_bad.get()) { Ok(0.5) } else { Ok(0.0) }
    });
    let mut machine = world.machine(2);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = world.document();
    assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7));
    (world, document)
}

#[test]
fn the_sample_that_stops_a_run_is_in_its_journal_before_the_stop_with_its_number_and_its_limit() {
    let (world, document) = aborted(false);
    let stopped = place(&world, |event| matches!(event, Event::Stopped { .. }));
    let Event::Sampled { readings, capacity, .. } = &world.journal[stopped - 1].event else {
        panic!("{:?}", world.journal[stopped - 1])
    };
    let bad = readings.values().next().expect("a reading");
    assert_eq!((bad.value, bad.good, bad.bad), (Some(0.5), false, 1));
    assert_eq!(bad.value, document.cause.expect("a cause").measured);
    assert!(capacity.values().all(|units| *units < 12), "{capacity:?}");
    let Event::RunOpened { minimums, .. } = &world.journal[0].event else { panic!("it was opened") };
    assert!(minimums.keys().eq(capacity.keys()), "{minimums:?} {capacity:?}");
    let Event::ReferenceTaken { limits, reference, .. } =
        &world.journal[place(&world, |event| matches!(event, Event::ReferenceTaken { .. }))].event
    else {
        panic!("a reference")
    };
    let limit = limits.values().next().and_then(|limits| limits.max).expect("a limit");
    assert_eq!((reference.len(), limit.at, limit.percent), (1, 0.01, None));
}

#[test]
fn the_rounds_of_the_reference_and_of_the_waits_are_in_the_journal_too() {
    let mut world = World::new();
    let mut machine = world.machine(4);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let granted = place(&world, |event| matches!(event, Event::BatchGranted { .. }));
    let is_round = |event: &Event| matches!(event, Event::Sampled { batch: None, .. });
    let before = world.journal[..granted].iter().filter(|record| is_round(&record.event)).count();
    assert!(before >= 3, "{before}");
    let gone = place(&world, |event| matches!(event, Event::BatchTerminated { .. }));
    assert!(world.journal[gone..].iter().any(|record| is_round(&record.event)), "the interval is watched too");
    assert_eq!(world.document().recovery, None, "nothing was put back");
    // Nothing is read behind the end of a run that completed.
    assert!(matches!(world.journal.last().expect("an end").event, Event::RunEnded { .. }));
}

#[test]
fn readings_go_on_for_one_bake_behind_the_last_restore_while_nothing_is_held() {
    let (world, document) = aborted(false);
    let ended = place(&world, |event| matches!(event, Event::RunEnded { .. }));
    assert!(ended + 1 < world.journal.len(), "the end is not the last record");
    assert!(world.journal[ended + 1..].iter().all(|record| matches!(record.event, Event::Sampled { batch: None, .. })));
    assert!(world.record.runs.is_empty());
    assert_eq!(document.ended_at, world.journal[ended].at, "the run ended before");
    let recovery = document.recovery.expect("hosts were put back");
    assert_eq!(recovery.state, RecoveryState::Recovered);
    assert!(recovery.read_ms >= recovery.bake_ms && recovery.read_ms <= recovery.bake_ms + 10_000, "{recovery:?}");
    assert_eq!(
        recovery.message,
        "the readings recovered once every cordoned host was back: index/errors is within limits."
    );
    // The record let go of the run before: nobody waits for its readings.
    let released = world.log.iter().position(|line| line == "end").expect("the record was told");
    assert!(world.log[released..].iter().all(|line| !line.starts_with("restore")), "{:?}", world.log);
    assert!(rounds(&world).iter().any(|(_, is_out, _)| *is_out));
}

#[test]
fn a_reading_that_stays_bad_was_not_the_removal() {
    let (world, document) = aborted(true);
    let recovery = document.recovery.expect("hosts were put back");
    assert_eq!((recovery.state, recovery.bad.as_slice()), (RecoveryState::StillBad, &["index/errors".to_owned()][..]));
    assert!(recovery.message.contains("was not the cause"), "{}", recovery.message);
    let (_, _, last) = rounds(&world).pop().expect("a round");
    assert!(last.bad > 3, "bad samples in a row are counted on: {last:?}");
}

/// A reading may follow the hosts later than at once: demand that falls, a queue that drains.
#[test]
fn nothing_is_concluded_before_the_readings_went_on_for_a_whole_bake() {
    for stays_bad in [false, true] {
        let (world, document) = aborted(stays_bad);
        let journal = &world.journal;
        let ended = place(&world, |event| matches!(event, Event::RunEnded { .. }));
        let whole = document.recovery.expect("hosts were put back").state;
        assert_eq!(whole, if stays_bad { RecoveryState::StillBad } else { RecoveryState::Recovered });
        assert!(reads_on(journal).is_none(), "it is through");
        for behind in 1..journal.len() - ended - 1 {
            let so_far = &journal[..ended + 1 + behind];
            let on = reads_on(so_far).expect("it is not through");
            assert!(on.until <= journal.last().expect("a round").at && on.late_at > so_far[ended + behind].at);
            let cut = report(so_far).expect("opened");
            let now = reading_on(cut.clone(), so_far, on.until).recovery.expect("put back");
            let cut = cut.recovery.expect("put back");
            for recovery in [&cut, &now] {
                assert_eq!(recovery.state, RecoveryState::ReadInPart, "{recovery:?}");
                assert!(!recovery.message.contains("cause"), "{recovery:?}");
                assert!(recovery.message.starts_with(if stays_bad {
                    "index/errors is bad"
                } else {
                    "index/errors is within"
                }));
            }
            assert!(cut.message.contains("They were read for only "), "{cut:?}");
            assert!(now.message.contains(&format!("The probes are read until {}", on.until)), "{now:?}");
        }
        // Before the first round behind the end, and before the end itself.
        let not_read = report(&journal[..=ended]).expect("opened").recovery.expect("put back");
        assert_eq!(not_read.state, RecoveryState::NotRead);
        assert_eq!(report(&journal[..ended]).expect("opened").recovery, None, "it has not ended");
    }
}

/// It restores, and reads on like any other run. Repeated signals before that, and a terminal that goes away, end nothing.
#[test]
fn a_run_that_a_signal_stopped_reads_on_for_one_bake_until_another_one_ends_that() {
    for (behind, is_whole) in [(None, true), (Some(Order::HangUp), true), (Some(Order::Terminate), false)] {
        for first in [Order::Interrupt, Order::HangUp, Order::ClosedOutput] {
            let (mut world, mut seen) = (World::new(), 0);
            world.meddle = Box::new(move |meddled| {
                let is_early = ["cordon", "restore"].iter().any(|word| meddled.action.starts_with(word));
                seen += u32::from(seen > 0 || meddled.action.starts_with("end"));
                let later = (seen == 4).then_some(behind).flatten();
                meddled.order = if is_early { Some(first) } else { later };
            });
            let mut machine = world.machine(2);
            assert_eq!(world.drive(&mut machine), Finish::Ended);
            let document = world.document();
            assert_eq!((document.outcome, document.exit_code, world.serving()), (Outcome::Halted, 9, 12));
            let recovery = document.recovery.expect("hosts were put back");
            let state = if is_whole { RecoveryState::NeverBad } else { RecoveryState::ReadInPart };
            assert_eq!(recovery.state, state, "{first:?} {behind:?}: {recovery:?}");
            assert_eq!(recovery.read_ms >= recovery.bake_ms, is_whole, "{recovery:?}");
        }
    }
}

/// Who sees the process wants it to end.
#[test]
fn a_signal_ends_the_readings_behind_the_end_and_changes_nothing_else() {
    for after in [1, 2] {
        let (mut world, mut seen) = (World::new(), 0);
        world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
        let mut ended = false;
        world.meddle = Box::new(move |meddled| {
            ended |= meddled.action.starts_with("end");
            if ended {
                seen += 1;
            }
            if ended && seen == after + 1 {
                meddled.order = Some(Order::Interrupt);
            }
        });
        let mut machine = world.machine(2);
        assert_eq!(world.drive(&mut machine), Finish::Ended);
        let document = world.document();
        assert_eq!((document.outcome, document.exit_code), (Outcome::Aborted, 7), "{after}");
        let recovery = document.recovery.expect("hosts were put back");
        assert!(recovery.read_ms < recovery.bake_ms, "{after}: {recovery:?}");
        assert!(recovery.message.contains("not known"), "{after}: {recovery:?}");
    }
}

/// S7: what is lost behind the end is lost, and nobody is called for it.
#[test]
fn s7_a_ledger_that_is_lost_behind_the_end_calls_nobody() {
    let (whole, _) = aborted(false);
    let ended = whole.journal[place(&whole, |event| matches!(event, Event::RunEnded { .. }))].at;
    let mut world = World::new();
    world.probe = Box::new(|world| if world.serving() < 12 { Ok(0.5) } else { Ok(0.0) });
    world.ledger_lost_at = Some(ended.plus(std::time::Duration::from_secs(5)));
    let mut machine = world.machine(2);
    assert_eq!(world.drive(&mut machine), Finish::Ended);
    let document = crate::run::report(machine.journal()).expect("opened");
    assert_eq!((document.outcome, document.exit_code, document.in_doubt.len()), (Outcome::Aborted, 7, 0));
    assert_eq!(machine.journal().len(), world.journal.len(), "no reading is left over");
}

/// The journal has the limits of both days.
#[test]
fn whoever_takes_a_run_over_with_other_limits_writes_them_down() {
    for is_other in [false, true] {
        let mut world = World::new();
        let mut machine = world.machine(2);
        for point in 0..200 {
            let first = crate::run::Response::Begin;
            let Driven::Stopped(_) = world.drive_until(&mut machine, first, point) else { panic!("it ended") };
            if world.journal.iter().any(|record| matches!(record.event, Event::BatchCordoned { .. })) {
                break;
            }
            (world, machine) = (World::new(), world.machine(2));
        }
        if is_other {
            let mut policies = (*world.policies).clone();
            let index = policies.subsystems.values_mut().next().expect("a policy");
            index.health.probes[0].limits.max = Some(0.005);
            world.policies = std::sync::Arc::new(policies);
        }
        let mut taker = world.take_over(Purpose::Resume, &[]);
        world.drive(&mut taker);
        let told: Vec<f64> = world
            .journal
            .iter()
            .filter_map(|record| match &record.event {
                Event::ReferenceTaken { limits, .. } => limits.values().next()?.max.map(|limit| limit.at),
                _ => None,
            })
            .collect();
        assert_eq!(told, if is_other { vec![0.01, 0.005] } else { vec![0.01] });
        assert!(crate::run::RunHistory::of(&world.journal).illegal.is_none());
    }
}
