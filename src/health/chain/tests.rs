//! The chain, round by round, and against an oracle.

use proptest::prelude::*;

use super::*;
use crate::health::Reference;
use crate::health::fixtures::{EVERY, number, second, specs};
use crate::health::tested::LevelsOf;

const BAKE: Duration = Duration::from_secs(60);

fn times(bake: Duration, every: Duration) -> BakeTimes {
    BakeTimes { bake, bake_max: bake.saturating_mul(3), every }
}

fn bake(failures: u64) -> Bake {
    Bake::new(times(BAKE, EVERY), second(0), Watch::new(specs(failures), &Reference::new(), &LevelsOf::new()))
}

fn round(at: i64, reading: f64) -> Round {
    Round { begun_at: second(at), ended_at: second(at), samples: vec![number(at, reading)], fleet_holds: true }
}

fn baking() -> BakeVerdict {
    BakeVerdict::Baking { restarted: None }
}

#[test]
fn s2_a_bake_is_clean_when_the_chain_spans_it() {
    let mut bake = bake(1);
    for at in [0, 10, 20, 30, 40, 50] {
        assert_eq!(bake.fold(&round(at, 0.5)), baking());
    }
    assert_eq!(bake.progress(second(50)).left, Duration::from_secs(10));
    assert_eq!(bake.fold(&round(60, 0.5)), BakeVerdict::Clean { from: second(0), until: second(60) });
}

#[test]
fn s2_rounds_that_take_time_count_only_for_what_they_surely_cover() {
    let mut bake = bake(1);
    for at in [0, 10, 20, 30, 40, 50, 60] {
        assert_eq!(bake.fold(&Round { ended_at: second(at + 3), ..round(at, 0.5) }), baking());
    }
    assert_eq!(bake.next_round_at(), second(63));
    assert_eq!(bake.fold(&round(63, 0.5)), BakeVerdict::Clean { from: second(3), until: second(63) });
}

#[test]
fn the_last_round_comes_when_the_bake_is_over_not_a_period_later() {
    let long_period = Duration::from_secs(45);
    let mut bake =
        Bake::new(times(BAKE, long_period), second(0), Watch::new(specs(1), &Reference::new(), &LevelsOf::new()));
    assert_eq!(bake.next_round_at(), second(0));
    assert_eq!(bake.fold(&round(0, 0.5)), baking());
    assert_eq!(bake.next_round_at(), second(45));
    assert_eq!(bake.fold(&round(45, 0.5)), baking());
    assert_eq!(bake.next_round_at(), second(60));
    assert_eq!(bake.fold(&round(60, 0.5)), BakeVerdict::Clean { from: second(0), until: second(60) });
}

#[test]
fn s2_rounds_that_lie_ahead_of_the_clock_are_forgotten() {
    let mut bake = bake(1);
    assert_eq!(bake.fold(&round(0, 0.5)), baking());
    assert_eq!(bake.set_back(second(0)), None, "it stands where it stood");
    let mut bake = Bake::new(times(BAKE, EVERY), second(1000), bake.watch().clone());
    assert_eq!(bake.fold(&round(1000, 0.5)), baking());
    assert_eq!(bake.fold(&round(1010, 0.5)), baking());
    let gap = bake.set_back(second(20)).expect("the chain breaks");
    assert_eq!((gap.length, bake.progress(second(20)).restarts), (Duration::from_secs(990), 1));
    assert_eq!(bake.set_back(second(20)), None, "once");
    assert_eq!(bake.next_round_at(), second(20));
    for at in [20, 30, 40, 50, 60, 70] {
        assert_eq!(bake.fold(&round(at, 0.5)), baking());
    }
    assert_eq!(bake.fold(&round(80, 0.5)), BakeVerdict::Clean { from: second(20), until: second(80) });
}

#[test]
fn s2_a_gap_starts_the_bake_again() {
    let mut bake = bake(1);
    assert_eq!(bake.fold(&round(0, 0.5)), baking());
    assert_eq!(bake.fold(&round(20, 0.5)), baking(), "twice the period is tolerated");
    let gap = Gap { length: Duration::from_millis(20_001), tolerated: Duration::from_secs(20) };
    let late = second(40).plus(Duration::from_millis(1));
    let late = Round { begun_at: late, ended_at: late, ..round(40, 0.5) };
    assert_eq!(bake.fold(&late), BakeVerdict::Baking { restarted: Some(gap) });
    assert_eq!(bake.progress(late.ended_at).left, BAKE);
    for at in [50, 60, 70, 80, 90, 100] {
        assert_eq!(bake.fold(&round(at, 0.5)), baking());
    }
    assert!(matches!(bake.fold(&round(101, 0.5)), BakeVerdict::Clean { .. }));
    assert_eq!(bake.progress(second(101)).restarts, 1);
}

#[test]
fn s2_five_seconds_are_tolerated_however_short_the_period() {
    assert_eq!(tolerated_gap(Duration::from_millis(100)), Duration::from_secs(5));
    assert_eq!(tolerated_gap(Duration::from_secs(3)), Duration::from_secs(6));
    assert_eq!(tolerated_gap(Duration::MAX), Duration::MAX);
}

#[test]
fn s2_a_round_that_hangs_is_a_gap() {
    let mut bake = bake(1);
    assert_eq!(bake.fold(&round(0, 0.5)), baking());
    // The process was frozen in the middle of its round: the readings may be an hour old.
    let frozen = Round { ended_at: second(3_610), ..round(10, 0.5) };
    assert!(matches!(bake.fold(&frozen), BakeVerdict::Baking { restarted: Some(_) }));
    assert_eq!(bake.progress(second(3_610)).left, BAKE);
}

#[test]
fn s2_rounds_before_the_cordon_do_not_count() {
    let mut bake = Bake::new(times(BAKE, EVERY), second(15), Watch::new(specs(1), &Reference::new(), &LevelsOf::new()));
    for at in [0, 10, 20, 30, 40, 50, 60, 70] {
        assert_eq!(bake.fold(&round(at, 0.5)), baking());
    }
    assert_eq!(bake.fold(&round(80, 0.5)), BakeVerdict::Clean { from: second(20), until: second(80) });
}

#[test]
fn s2_a_clock_that_goes_back_starts_the_bake_again() {
    let mut bake = bake(1);
    for at in [100, 110, 120] {
        assert_eq!(bake.fold(&round(at, 0.5)), baking());
    }
    assert!(matches!(bake.fold(&round(115, 0.5)), BakeVerdict::Baking { restarted: Some(_) }));
    for at in [125, 135, 145, 155, 165] {
        assert_eq!(bake.fold(&round(at, 0.5)), baking());
    }
    assert_eq!(bake.fold(&round(175, 0.5)), BakeVerdict::Clean { from: second(115), until: second(175) });
}

#[test]
fn s6_a_regression_is_told_at_once_and_for_good() {
    let mut bake = bake(1);
    assert_eq!(bake.fold(&round(0, 0.5)), baking());
    let BakeVerdict::Regressed { probes, fleet_holds: true } = bake.fold(&round(10, 1.5)) else {
        panic!("no regression")
    };
    assert_eq!(probes.len(), 1);
    for at in [20, 30, 40, 50, 60, 70, 80, 90] {
        let again = bake.fold(&round(at, 0.5));
        assert_eq!(again, BakeVerdict::Regressed { probes: probes.clone(), fleet_holds: true });
    }
}

#[test]
fn s6_facts_come_before_the_time() {
    // The round that would complete the bake, and a round after a gap: both are alarming first.
    for last in [60, 600] {
        let mut bake = bake(1);
        for at in [0, 10, 20, 30, 40, 50] {
            assert_eq!(bake.fold(&round(at, 0.5)), baking());
        }
        assert!(matches!(bake.fold(&round(last, 1.5)), BakeVerdict::Regressed { .. }));
    }
}

#[test]
fn s2_a_fleet_that_does_not_hold_ends_the_bake() {
    let mut bake = bake(9);
    let broken = Round { fleet_holds: false, ..round(0, 0.5) };
    assert_eq!(bake.fold(&broken), BakeVerdict::Regressed { probes: vec![], fleet_holds: false });
}

#[test]
fn s2_a_suspect_delays_the_end_and_a_gap_does_not_clear_it() {
    let mut bake = bake(2);
    for at in [0, 10, 20, 30, 40, 50] {
        assert_eq!(bake.fold(&round(at, 0.5)), baking());
    }
    assert_eq!(bake.fold(&round(60, 1.5)), baking());
    assert_eq!(bake.next_round_at(), second(70));
    let mut resolved = bake.clone();
    assert_eq!(resolved.fold(&round(70, 0.5)), BakeVerdict::Clean { from: second(0), until: second(70) });
    assert!(matches!(bake.fold(&round(600, 1.5)), BakeVerdict::Regressed { .. }));
}

#[test]
fn s3_a_round_that_did_not_see_the_fleet_is_no_link_but_its_alarms_count() {
    let mut bake = bake(2);
    for at in [0, 10, 20, 30, 40, 50] {
        assert_eq!(bake.fold(&round(at, 0.5)), baking());
    }
    let mut blind = bake.clone();
    assert_eq!(blind.fold_unseen(second(60), &[number(60, 0.5)]), baking(), "the bake is not complete");
    assert_eq!(blind.next_round_at(), second(70), "no sooner than any other round");
    assert!(
        matches!(blind.fold(&round(71, 0.5)), BakeVerdict::Baking { restarted: Some(_) }),
        "nobody looked for 21 s"
    );

    assert_eq!(bake.fold_unseen(second(60), &[number(60, 1.5)]), baking());
    let verdict = bake.fold_unseen(second(65), &[number(65, 1.5)]);
    assert!(matches!(&verdict, BakeVerdict::Regressed { probes, .. } if probes.len() == 1));
    assert_eq!(bake.fold_unseen(second(70), &[number(70, 0.5)]), verdict);
    assert_eq!(bake.fold(&round(75, 0.5)), verdict);
}

#[test]
fn slow_sampling_is_noticed() {
    let mut bake = bake(1);
    assert_eq!(bake.fold(&round(0, 0.5)), baking());
    assert_eq!(bake.fold(&round(11, 0.5)), baking());
    assert_eq!(bake.progress(second(11)).slow, None);
    assert_eq!(bake.fold(&round(25, 0.5)), baking());
    assert_eq!(bake.progress(second(25)).slow, Some(Duration::from_secs(14)));
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let mut bake = Bake::new(
        times(Duration::MAX, Duration::MAX),
        second(0),
        Watch::new(specs(1), &Reference::new(), &LevelsOf::new()),
    );
    assert_eq!(bake.fold(&round(0, 0.5)), baking());
    let end = Time::from_millis(i64::MAX);
    assert_eq!(bake.fold(&Round { begun_at: end, ended_at: end, ..round(0, 0.5) }), baking());
    assert_eq!(bake.progress(Time::from_millis(i64::MIN)).left, Duration::from_millis(i64::MAX as u64));
    let _ = bake.next_round_at();
}

/// One round of the property test: seconds since the previous start, its length in seconds, and whether its reading is
/// good.
fn step() -> impl Strategy<Value = (i64, i64, bool)> {
    (1_i64..16, 0_i64..3, proptest::bool::weighted(0.9))
}

proptest! {
    /// The oracle judges the whole history anew: clean is a suffix of rounds that is long enough, has no gap, holds no
    /// `failures` bad samples in a row and ends well.
    #[test]
    fn s2_clean_means_a_whole_bake_without_gap_or_regression(steps in proptest::collection::vec(step(), 1..60)) {
        const FAILURES: usize = 2;
        let every = Duration::from_secs(6);
        let mut bake = Bake::new(times(Duration::from_secs(30), every), second(0), Watch::new(specs(FAILURES as u64), &Reference::new(), &LevelsOf::new()));
        let mut history: Vec<(i64, i64, bool)> = Vec::new();
        let mut now = 0;
        for (after, took, good) in steps {
            let begun = now + after.max(history.last().map_or(0, |(begun, ended, _)| ended - begun));
            now = begun;
            history.push((begun, begun + took, good));
            let samples = vec![number(begun, if good { 0.5 } else { 1.5 })];
            let verdict = bake.fold(&Round {
                begun_at: second(begun),
                ended_at: second(begun + took),
                samples,
                fleet_holds: true,
            });
            let regressed = history.windows(FAILURES).any(|run| run.iter().all(|(_, _, good)| !good));
            let ends_well = good && (0..history.len()).any(|first| {
                let chain = &history[first..];
                begun - chain[0].1 >= 30 && chain.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 12)
            });
            prop_assert_eq!(matches!(verdict, BakeVerdict::Regressed { .. }), regressed);
            prop_assert_eq!(matches!(verdict, BakeVerdict::Clean { .. }), !regressed && ends_well);
        }
    }
}
