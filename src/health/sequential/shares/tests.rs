//! Single cases of shares. Error rates are `cargo bench --bench judge`'s.

use proptest::prelude::*;

use super::*;
use crate::health::{Bound, Levels, Sequential};
use crate::model::Quantity;

const LEVELS: Levels = Levels { false_abort: 0.01, missed_harm: 0.001 };

/// Deviations as chance makes them, in standard deviations: their mean is 0.
const CHANCE: [f64; 10] = [0.3, -1.1, 0.8, -0.2, 1.4, -0.7, 0.1, -1.5, 1.2, -0.3];

fn share(events: f64, of: f64) -> Quantity {
    Quantity::Share(Share { events, of })
}

/// `count` samples of about `events`, which vary `spread` times as much as by chance.
fn samples(events: f64, of: f64, spread: f64, count: usize) -> Vec<Quantity> {
    let deviation = (events * (1.0 - events / of)).sqrt() * spread;
    CHANCE.iter().cycle().take(count).map(|chance| share((events + chance * deviation).round(), of)).collect()
}

/// Against a limit of so many times the share before, on its side of it.
fn against(before: &[Quantity], times: f64) -> Sequential {
    let at = Sequential::new(before, Bound::Above(0.0), LEVELS).expect("a test").reference().center * times;
    let bound = if times < 1.0 { Bound::Below(at) } else { Bound::Above(at) };
    Sequential::new(before, bound, LEVELS).expect("a test")
}

/// 1% of 10,000, and +50%.
fn test() -> Sequential {
    against(&samples(100.0, 10_000.0, 1.0, 10), 1.5)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    Past,
    Within,
    Open,
}

/// The verdict, and after how many samples. The bake is 18 samples long, and 54 at most.
fn verdict(mut test: Sequential, samples: &[Quantity]) -> (Evidence, usize) {
    for (place, sample) in samples.iter().take(54).enumerate() {
        if test.add(*sample).is_some() {
            return (Evidence::Past, place + 1);
        }
        if place + 1 >= 18 && test.is_within() {
            return (Evidence::Within, place + 1);
        }
    }
    (Evidence::Open, samples.len().min(54))
}

#[test]
fn harm_of_twice_the_limit_is_seen_in_some_samples_and_none_in_a_whole_bake() {
    assert_eq!(verdict(test(), &samples(100.0, 10_000.0, 1.0, 54)), (Evidence::Within, 18));
    let (evidence, after) = verdict(test(), &samples(200.0, 10_000.0, 1.0, 54));
    assert!(evidence == Evidence::Past && after <= 5, "{after}");
    assert_eq!(verdict(test(), &samples(150.0, 10_000.0, 1.0, 54)).0, Evidence::Open, "at the limit nothing is shown");
    assert_eq!(verdict(test(), &samples(10.0, 10_000.0, 1.0, 54)), (Evidence::Within, 18), "less is not more");
    let served = || against(&samples(9_000.0, 10_000.0, 1.0, 10), 0.9);
    assert_eq!(verdict(served(), &samples(9_000.0, 10_000.0, 1.0, 54)), (Evidence::Within, 18));
    assert_eq!(verdict(served(), &samples(7_200.0, 10_000.0, 1.0, 54)), (Evidence::Past, 3), "a limit below");
}

/// Of a share it does not matter how much there was.
#[test]
fn twice_the_traffic_with_twice_the_events_is_no_harm() {
    assert_eq!(verdict(test(), &samples(200.0, 20_000.0, 1.0, 54)), (Evidence::Within, 18));
    assert_eq!(verdict(test(), &samples(50.0, 5_000.0, 1.0, 54)).0, Evidence::Within);
    assert_eq!(verdict(test(), &samples(100.0, 4_000.0, 1.0, 54)).0, Evidence::Past, "as many of less is");
}

#[test]
fn one_sample_that_stands_out_ends_nothing_and_no_bake_ends_with_it() {
    for (before, place) in (0..18).flat_map(|place| [(10, place), (60, place)]) {
        let mut since = samples(100.0, 10_000.0, 1.0, 54);
        since[place] = share(5_000.0, 10_000.0);
        let test = against(&samples(100.0, 10_000.0, 1.0, before), 1.5);
        let (evidence, after) = verdict(test, &since);
        assert_eq!(evidence, Evidence::Within, "at {place}");
        assert!(after > place + 1, "it is not the last one");
    }
}

#[test]
fn harm_that_begins_late_is_not_hidden_by_what_was_before() {
    let mut late = samples(100.0, 10_000.0, 1.0, 17);
    late.extend(samples(250.0, 10_000.0, 1.0, 37));
    let (evidence, after) = verdict(test(), &late);
    assert!(evidence == Evidence::Past && after <= 22, "{after}");
}

#[test]
fn more_scatter_than_chance_makes_is_a_doubt_and_less_is_none() {
    let needs = |spread| against(&samples(100.0, 10_000.0, spread, 10), 1.5).needs(54);
    let (none, chance, twice) = (needs(0.0), needs(1.0), needs(3.0));
    assert!((none - chance).abs() < 1e-3, "never surer than chance allows: {none} {chance}");
    assert!(twice > 1.5 * chance, "{twice} {chance}");
    // Windows that overlap: each sample is much like the one before.
    let wave = |place: u32| (f64::from(place) * std::f64::consts::TAU / 20.0).sin();
    let smooth: Vec<_> = (0..20).map(|place| share((100.0 + 14.0 * wave(place)).round(), 10_000.0)).collect();
    let alike = against(&smooth, 1.5);
    assert!(alike.reference().memory > 0.5, "{:?}", alike.reference());
    assert!(alike.needs(54) > against(&samples(100.0, 10_000.0, 1.0, 20), 1.5).needs(54));
}

/// Student's quantile is for what is estimated.
#[test]
fn chance_is_known_and_what_is_beyond_it_is_an_estimate() {
    assert_eq!(freedom_beyond_chance(1.0, 9, 10), f64::INFINITY);
    assert_eq!(freedom_beyond_chance(2.0, 9, 10), 68.0);
    assert!((freedom_beyond_chance(1e6, 9, 10) - 17.0).abs() < 0.001);
    let calm = overdispersion(&[&[0.5, -0.5, 0.5, -0.5]]);
    let restless = overdispersion(&[&[9.0, -9.0, 9.0, -9.0]]);
    assert!(calm == 1.0 && (100.0..108.0).contains(&restless), "{calm} {restless}");
    // Of two stretches the worse, however short it is.
    assert!(overdispersion(&[&[0.5; 60], &[20.0, -10.0, -10.0]]) > 200.0);
}

#[test]
fn the_uncertainty_is_that_of_both_sides_of_the_limit() {
    let all = |events, of| Share { events, of };
    // Were it as many of a whole that is known, only its own chance would be left.
    let known = variance(all(1e9, 1e11), all(100.0, 10_000.0), 1.0);
    assert!((known / (0.01 * 0.99 / 10_000.0) - 1.0).abs() < 0.01, "{known}");
    // The reference's own error counts as often as the limit is the reference.
    let (one, three) = (variance(all(100.0, 1e4), all(1e9, 1e11), 1.0), variance(all(100.0, 1e4), all(3e9, 1e11), 3.0));
    assert!((three / one / 9.0 - 1.0).abs() < 0.03, "{one} {three}");
    // By a root of both counts: the test of Anscombe, to a few per cent.
    for (before, since, ratio) in [(100.0, 270.0, 2.0), (100.0, 60.0, 1.5), (30.0, 10.0, 1.5), (1_000.0, 1_900.0, 1.2)]
    {
        let (before, since) = (all(before, 1e6), all(since, 2e6));
        let ours = (since.value() - ratio * before.value()) / variance(before, since, ratio).sqrt();
        let root = |count: f64| (count + 0.375).sqrt();
        let expected = ratio * since.of / before.of;
        let roots = 2.0 * (root(since.events) - expected.sqrt() * root(before.events)) / (1.0 + expected).sqrt();
        assert!((ours / roots - 1.0).abs() < 0.05, "{ours} {roots}");
    }
}

#[test]
fn of_a_reference_without_an_event_none_is_within_and_some_are_past() {
    let test = || against(&samples(0.0, 1_000.0, 1.0, 10), 1.5);
    assert!(test().can_tell(54));
    let none = vec![share(0.0, 1_000.0); 54];
    assert_eq!(verdict(test(), &none), (Evidence::Within, 18));
    let mut one = none.clone();
    one[9] = share(1.0, 1_000.0);
    let (evidence, after) = verdict(test(), &one);
    assert_eq!((evidence, after), (Evidence::Within, 20), "once it is no longer in the later half");
    let mut often = none.clone();
    often.iter_mut().step_by(5).for_each(|sample| *sample = share(1.0, 1_000.0));
    assert_ne!(verdict(test(), &often).0, Evidence::Within);
    assert_eq!(verdict(test(), &vec![share(20.0, 1_000.0); 54]).0, Evidence::Past);
}

/// A share is between 0 and 1.
#[test]
fn a_limit_that_no_share_can_pass_is_never_in_doubt() {
    let before = [share(4.0, 8.0), share(5.0, 8.0), share(3.0, 8.0)];
    for bound in [Bound::Above(1.0), Bound::Above(1.2), Bound::Below(0.0)] {
        let mut test = Sequential::new(&before, bound, LEVELS).expect("a test");
        assert!(test.can_tell(6), "{bound:?}");
        for sample in [share(0.0, 8.0), share(8.0, 8.0), share(3.0, 8.0)] {
            assert_eq!((test.add(sample), test.is_within()), (None, true), "{bound:?}");
        }
    }
}

#[test]
fn a_reference_of_few_events_tells_no_limit_and_one_of_more_says_which() {
    let needs = |events, of, before, bake| against(&samples(events, of, 1.0, before), 1.5).needs(bake);
    assert_eq!(needs(0.0, 1_000.0, 10, 54), 0.0, "none at all");
    assert_eq!(against(&[share(1.0, 400.0), share(1.0, 400.0), share(1.0, 400.0)], 1.5).needs(54), f64::INFINITY);
    let few = needs(10.0, 1_000.0, 10, 54) / 0.01;
    assert!((1.0..3.0).contains(&few), "{few}");
    assert!(needs(10.0, 1_000.0, 30, 54) / 0.01 < few, "more samples before tell more");
    assert!(needs(10.0, 1_000.0, 10, 200) / 0.01 < few, "and so does a longer bake");
    assert!(needs(1_000.0, 100_000.0, 10, 54) / 0.01 < 0.2, "and more events");
    assert!(needs(10.0, 1_000.0, 60, 54) / 0.01 > 0.5, "1% of 1,000 does not carry +50%");
    let test = against(&samples(10.0, 1_000.0, 1.0, 10), 1.5);
    assert!((test.would_need(54, 30) - needs(10.0, 1_000.0, 30, 54)).abs() < 1e-3, "as if there were as many");
    let below = against(&samples(9_000.0, 10_000.0, 1.0, 10), 0.9);
    assert!(below.can_tell(54) && below.needs(54) < 0.05, "{}", below.needs(54));
}

#[test]
fn s3_what_is_no_share_is_no_test_and_shows_nothing() {
    let good = samples(100.0, 10_000.0, 1.0, 10);
    for odd in [share(0.0, 0.0), share(2.0, 1.0), share(-1.0, 5.0), share(f64::NAN, 5.0), Quantity::Number(0.01)] {
        let mut before = good.clone();
        before[3] = odd;
        assert_eq!(Sequential::new(&before, Bound::Above(0.015), LEVELS), None, "{odd:?}");
        let mut test = test();
        for sample in samples(100.0, 10_000.0, 1.0, 20) {
            assert_eq!((test.add(sample), test.add(odd)), (None, None));
        }
        assert!(test.is_within(), "and changes nothing");
        let mut numbers = Sequential::new(&[Quantity::Number(1.0); 3], Bound::Above(2.0), LEVELS).expect("a test");
        assert_eq!((numbers.add(share(1.0, 5.0)), numbers.is_within()), (None, false), "of another kind");
    }
    assert!(!test().is_within(), "without a sample nothing is shown");
}

proptest! {
    /// Failures and successes may change places where neither is rare.
    #[test]
    fn the_variance_is_that_of_the_complement(
        before in 1_u32..1_000, since in 1_u32..1_000,
    ) {
        let of = 1_000.0;
        let one = |events: u32| Share { events: events.into(), of };
        let other = |events: u32| Share { events: of - f64::from(events), of };
        let (ours, theirs) =
            (variance(one(before), one(since), 1.0), variance(other(before), other(since), 1.0));
        prop_assert!((ours / theirs - 1.0).abs() < 1e-9);
    }

    #[test]
    fn s3_no_counts_make_it_panic_or_pass_what_they_show_nothing_of(
        before in prop::collection::vec((0_u32..5, 1_u32..50), 3..12),
        since in prop::collection::vec((0_u32..5, 1_u32..50), 1..54),
        times in 0.0_f64..4.0,
    ) {
        let share = |(events, of): &(u32, u32)| share(f64::from(*events.min(of)), (*of).into());
        let before: Vec<_> = before.iter().map(share).collect();
        let mut test = against(&before, times);
        prop_assert!(test.needs(54) >= 0.0);
        for sample in since.iter().map(share) {
            let past = test.add(sample);
            prop_assert!(past.is_none() || !test.is_within());
            let half = test.later_half().expect("a sample");
            prop_assert!(half.give_or_take >= 0.0 && (0.0..=1.0).contains(&half.center), "{half:?}");
        }
    }
}
