//! Single cases. Error rates are `cargo bench --bench judge`'s.

use proptest::prelude::*;

use super::*;

const LEVELS: Levels = Levels { false_abort: 0.01, missed_harm: 0.001 };

fn of(numbers: &[f64]) -> Vec<Quantity> {
    numbers.iter().copied().map(Quantity::Number).collect()
}

/// Ten samples around 100, with a spread of about 2.
const BEFORE: [f64; 10] = [101.0, 98.0, 100.5, 97.0, 102.0, 99.0, 103.0, 100.0, 98.5, 101.0];

fn test(limit: f64) -> Sequential {
    against(&BEFORE, limit)
}

/// A limit so far from the reference: above, or below if negative.
fn against(before: &[f64], limit: f64) -> Sequential {
    let center = Summary::of(&of(before)).expect("samples").center;
    let bound = if limit < 0.0 { Bound::Below(center + limit) } else { Bound::Above(center + limit) };
    Sequential::new(&of(before), bound, LEVELS).expect("a test")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    Past,
    Within,
    Open,
}

/// How far above the reference a sample is that repeats the noise from before.
fn after(shift: f64, count: usize) -> Vec<f64> {
    BEFORE.iter().cycle().take(count).map(|sample| sample + shift).collect()
}

/// The verdict, and after how many samples. The bake is 18 samples long, and 54 at most.
fn verdict(mut test: Sequential, samples: &[f64]) -> (Evidence, usize) {
    for (place, sample) in samples.iter().take(54).enumerate() {
        if test.add((*sample).into()).is_some() {
            return (Evidence::Past, place + 1);
        }
        if place + 1 >= 18 && test.is_within() {
            return (Evidence::Within, place + 1);
        }
    }
    (Evidence::Open, samples.len().min(54))
}

#[test]
fn harm_of_twice_the_limit_is_seen_in_three_samples_and_none_in_a_whole_bake() {
    assert_eq!(verdict(test(20.0), &after(40.0, 54)), (Evidence::Past, 3));
    assert_eq!(verdict(test(20.0), &after(0.0, 54)), (Evidence::Within, 18));
    assert_eq!(verdict(test(20.0), &after(-40.0, 54)), (Evidence::Within, 18), "less is not more");
    assert_eq!(verdict(test(-20.0), &after(-40.0, 54)), (Evidence::Past, 3), "a limit below");
    assert_eq!(verdict(test(20.0), &after(20.0, 54)).0, Evidence::Open, "at the limit nothing is shown");
}

#[test]
fn one_sample_that_stands_out_ends_nothing() {
    for place in 0..18 {
        let mut samples = after(0.0, 54);
        samples[place] = 1_000.0;
        let (evidence, _) = verdict(test(20.0), &samples);
        assert_eq!(evidence, Evidence::Within, "at {place}");
        let mut before = BEFORE;
        before[place % 10] = 1_000.0;
        assert_eq!(verdict(against(&before, 20.0), &after(40.0, 54)).0, Evidence::Past, "the limit did not move");
    }
}

/// One of three servers behind a balancer fails: robust means call every third sample an outlier.
#[test]
fn harm_of_every_third_sample_is_never_within() {
    for more in [60.0, 100.0, 200.0, 10_000.0] {
        for phase in 0..3 {
            let mut samples = after(0.0, 54);
            samples.iter_mut().skip(phase).step_by(3).for_each(|sample| *sample += more);
            assert_ne!(verdict(test(20.0), &samples).0, Evidence::Within, "+{more} from {phase} on");
        }
    }
}

#[test]
fn harm_that_begins_late_or_rises_slowly_is_not_hidden_by_what_was_before() {
    let mut late = after(0.0, 17);
    late.extend(after(40.0, 37));
    assert_eq!(verdict(test(20.0), &late), (Evidence::Past, 19));
    // Up to one and a half times the limit within the bake, and no further.
    let rise: Vec<f64> =
        after(0.0, 54).iter().enumerate().map(|(n, sample)| sample + (n as f64 / 18.0).min(1.0) * 30.0).collect();
    assert_eq!(verdict(test(20.0), &rise).0, Evidence::Past);
}

#[test]
fn numbers_that_never_varied_are_compared_as_they_are() {
    let test = || Sequential::new(&of(&[73.3; 10]), Bound::Above(87.96), LEVELS).expect("a test");
    assert_eq!(verdict(test(), &[73.3; 54]), (Evidence::Within, 18));
    assert_eq!(verdict(test(), &[87.96; 54]), (Evidence::Within, 18), "at the limit");
    assert_eq!(verdict(test(), &[87.97; 54]), (Evidence::Past, 3), "past it, and three samples say so");
    let mut spike = [73.3; 54];
    spike[0] = 1_000.0;
    assert_eq!(verdict(test(), &spike), (Evidence::Within, 18), "one that stands out ends nothing");
    let mut spike = [73.3; 54];
    spike[17] = 1_000.0;
    assert_eq!(verdict(test(), &spike).0, Evidence::Within);
    assert!(verdict(test(), &spike).1 > 18, "and nothing ends with it");
}

#[test]
fn of_a_reference_of_zero_zero_is_within_and_more_is_shown_by_more_than_one_sample() {
    let test = || Sequential::new(&of(&[0.0; 10]), Bound::Above(0.0), LEVELS).expect("a test");
    assert_eq!(verdict(test(), &[0.0; 54]), (Evidence::Within, 18));
    assert_eq!(verdict(test(), &[0.01; 54]), (Evidence::Past, 3));
    let mut one = [0.0; 54];
    one[9] = 0.01;
    assert_eq!(verdict(test(), &one).0, Evidence::Within, "once it is no longer in the later half");
}

#[test]
fn a_reference_that_is_too_noisy_says_so_beforehand() {
    assert!(test(20.0).can_tell(54));
    assert!(!test(3.0).can_tell(54));
    let needs = test(3.0).needs(54);
    assert!((3.0..10.0).contains(&needs), "{needs}");
    let longer: Vec<f64> = after(0.0, 60);
    let longer = against(&longer, 3.0);
    assert!(longer.needs(54) < needs, "more samples before tell more");
    assert!(test(3.0).needs(90) < needs, "and so does a longer bake");
}

#[test]
fn s3_what_tells_nothing_is_no_test() {
    for (before, limit) in [(&[][..], 1.0), (&[1.0, f64::NAN], 1.0), (&BEFORE, f64::NAN), (&BEFORE, f64::INFINITY)] {
        assert_eq!(Sequential::new(&of(before), Bound::Above(limit), LEVELS), None, "{before:?} {limit}");
    }
    assert!(!test(20.0).is_within(), "without a sample nothing is shown");
}

#[test]
fn s3_a_sample_that_is_no_number_shows_nothing() {
    let mut test = test(20.0);
    for sample in after(0.0, 30) {
        assert_eq!(test.add(sample.into()), None);
        let before = test.is_within();
        assert_eq!((test.add(f64::NAN.into()), test.add(f64::INFINITY.into()), test.is_within()), (None, None, before));
    }
    assert!(test.is_within(), "and changes nothing");
}

#[test]
fn another_batch_begins_with_no_sample() {
    let mut test = test(20.0);
    for sample in after(15.0, 30) {
        assert_eq!(test.add(sample.into()), None);
    }
    test.begin();
    assert_eq!((test.is_within(), test.later_half()), (false, None));
}

#[test]
fn what_was_shown_is_said_in_the_unit_of_the_samples() {
    let mut test = test(-20.0);
    let shown = after(-40.0, 3).into_iter().find_map(|sample| test.add(sample.into())).expect("harm");
    assert!((59.0..61.0).contains(&shown.center) && shown.give_or_take > 0.0, "{shown:?}");
    assert_eq!(shown.count, 3);
    assert!((99.0..101.0).contains(&test.reference().center), "{:?}", test.reference());
}

#[test]
fn quantiles_are_those_of_the_tables() {
    for (normal, freedom, table) in
        [(2.326, 9.0, 2.821), (3.090, 9.0, 4.297), (2.326, 30.0, 2.457), (3.090, 60.0, 3.232)]
    {
        let found = student(normal, freedom);
        assert!((found / table - 1.0).abs() < 0.03, "{normal} with {freedom}: {found}, by the table {table}");
    }
}

proptest! {
    #[test]
    fn units_and_signs_do_not_matter(
        before in prop::collection::vec(50.0..150.0_f64, 10..20),
        since in prop::collection::vec(50.0..250.0_f64, 1..54),
        scale in 0.001..1000.0_f64,
    ) {
        let one = against(&before, 20.0);
        let other: Vec<f64> = before.iter().map(|sample| -sample * scale).collect();
        let other = against(&other, -20.0 * scale);
        let turned: Vec<f64> = since.iter().map(|sample| -sample * scale).collect();
        prop_assert_eq!(verdict(one, &since), verdict(other, &turned));
    }
}
