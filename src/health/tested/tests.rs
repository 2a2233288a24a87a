//! The words of the test, and the rule about noise. Its arithmetic is tested in `sequential`.

use std::time::Duration;

use rust_decimal::Decimal;

use super::*;
use crate::health::fixtures::{key, spec};
use crate::model::Share;
use crate::policy::Limits;

const NOISY: [f64; 10] = [100.0, 60.0, 140.0, 90.0, 120.0, 70.0, 130.0, 110.0, 80.0, 100.0];
const CALM: [f64; 10] = [100.0, 101.0, 99.0, 100.5, 99.5, 100.0, 101.5, 98.5, 100.0, 100.0];

fn relative() -> ProbeSpec {
    let limits =
        Limits { max_increase: Some(Decimal::from(20)), max_decrease: Some(Decimal::from(50)), ..Limits::default() };
    spec(limits)
}

fn of(numbers: &[f64]) -> Vec<Quantity> {
    numbers.iter().copied().map(Quantity::Number).collect()
}

/// Ten samples of so many events, and of as many in each.
fn shares(events: [f64; 10], of: f64) -> Vec<Quantity> {
    events.map(|events| Quantity::Share(Share { events, of })).to_vec()
}

fn tested(before: &[f64]) -> Tested {
    Tested::new(&relative(), &of(before), TestLevels::default()).expect("a test")
}

#[test]
fn a_regression_says_the_mean_its_limit_and_what_it_follows_from() {
    let mut tested = tested(&CALM);
    assert_eq!(tested.add(&key("errors"), 150.0.into()), None);
    assert_eq!(tested.add(&key("errors"), 150.0.into()), None);
    let found = tested.add(&key("errors"), 150.0.into()).expect("past it");
    let message = "reads 150 in the mean of its last 3 samples, above 120 (max_increase = 20% of its reference 100)";
    assert_eq!((found.message.as_str(), found.measured, found.key), (message, Some(150.0), key("errors")));
    let below = (0..3).filter_map(|_| self::tested(&CALM).add(&key("errors"), 10.0.into())).count();
    assert_eq!(below, 0, "each of them is one sample");
    let mut tested = self::tested(&CALM);
    let found = (0..3).find_map(|_| tested.add(&key("errors"), 10.0.into())).expect("past it");
    assert!(found.message.contains("below 50 (max_decrease = 50% of its reference 100)"), "{}", found.message);
}

#[test]
fn what_is_not_shown_yet_says_how_far_it_is_known() {
    let mut tested = tested(&CALM);
    let open = tested.open(&key("errors")).expect("no sample yet");
    assert_eq!(open.message, "is not shown to be within 120 (max_increase = 20% of its reference 100)");
    for sample in [118.0, 121.0, 119.5, 120.5, 122.0, 118.5, 120.0, 119.0] {
        assert_eq!(tested.add(&key("errors"), sample.into()), None);
    }
    let open = tested.open(&key("errors")).expect("at its limit");
    assert!(open.message.contains(": it reads 119."), "{}", open.message);
    tested.begin();
    CALM.iter().for_each(|sample| assert_eq!(tested.add(&key("errors"), (*sample).into()), None));
    assert_eq!(tested.open(&key("errors")), None);
}

#[test]
fn a_reference_that_is_too_noisy_says_the_numbers_and_what_would_do() {
    let specs = ProbeSpecs::from([(key("errors"), relative())]);
    let judged = |before: &[f64], bake: u64| {
        let reference = Reference::from([(key("errors"), of(before))]);
        too_noisy(&reference, &specs, &LevelsOf::new(), Duration::from_secs(bake), Duration::from_secs(10))
    };
    assert_eq!(judged(&CALM, 540), BTreeMap::new());
    let message = judged(&NOISY, 540)[&key("errors")].clone();
    for part in ["varies by 25", "around 100", "10 samples", "9m", "max_increase = 20% of", "; what would do: "] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // What it says would do, does.
    let wider = message.rsplit("max_increase = \"").next().and_then(|rest| rest.split('%').next());
    let wider: i64 = wider.and_then(|percent| percent.parse().ok()).expect("a percentage");
    let limits = Limits { max_increase: Some(Decimal::from(wider)), ..Limits::default() };
    let specs = ProbeSpecs::from([(key("errors"), spec(limits))]);
    let reference = Reference::from([(key("errors"), of(&NOISY))]);
    let (bake, every) = (Duration::from_secs(540), Duration::from_secs(10));
    assert_eq!(too_noisy(&reference, &specs, &LevelsOf::new(), bake, every), BTreeMap::new());
}

#[test]
fn of_a_reference_of_zero_there_is_no_test_beside_an_absolute_limit() {
    let limits = Limits { max: Some(0.01), max_increase: Some(Decimal::from(20)), ..Limits::default() };
    let mut tested = Tested::new(&spec(limits), &of(&[0.0; 10]), TestLevels::default()).expect("a test");
    assert!((0..5).all(|_| tested.add(&key("errors"), 0.009.into()).is_none()));
    assert_eq!(tested.open(&key("errors")), None);
}

#[test]
fn s3_of_too_few_samples_there_is_no_test() {
    assert_eq!(Tested::new(&relative(), &of(&[1.0, 1.0]), TestLevels::default()), None);
    assert_eq!(Tested::new(&relative(), &of(&[1.0, f64::NAN, 1.0]), TestLevels::default()), None);
}

#[test]
fn shares_have_words_of_their_own() {
    let before = shares([100.0, 104.0, 97.0, 99.0, 103.0, 101.0, 96.0, 102.0, 98.0, 100.0], 1_000.0);
    let mut tested = Tested::new(&relative(), &before, TestLevels::default()).expect("a test");
    let since = |events| Quantity::Share(Share { events, of: 1_000.0 });
    assert_eq!(tested.add(&key("errors"), since(120.0)), None);
    let open = tested.open(&key("errors")).expect("one sample");
    assert!(
        open.message.contains(": it reads 0.12, give or take ")
            && open.message.ends_with("in its last 1 sample together")
    );
    tested.begin();
    let found = (0..3).find_map(|_| tested.add(&key("errors"), since(240.0))).expect("past it");
    let message = "reads 0.24 in its last 3 samples together, above 0.12 (max_increase = 20% of its reference 0.1)";
    assert_eq!((found.message.as_str(), found.measured), (message, Some(0.24)));
}

#[test]
fn a_reference_of_few_events_says_how_many_there_were() {
    let limits = Limits { max_increase: Some(Decimal::from(50)), ..Limits::default() };
    let judged = |events, limits| {
        let reference = Reference::from([(key("errors"), shares(events, 120.0))]);
        let specs = ProbeSpecs::from([(key("errors"), spec(limits))]);
        let found = too_noisy(&reference, &specs, &LevelsOf::new(), Duration::from_secs(540), Duration::from_secs(10));
        found.get(&key("errors")).cloned()
    };
    let few = judged([0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0], limits).expect("too few");
    for part in [
        "had 3 events of 1200 in the 10 samples of its reference (a share of 0.0025",
        "can tell no change, however large",
    ] {
        assert!(few.contains(part), "{part}: {few}");
    }
    assert!(!few.contains("what would do"), "{few}");
    let some = [11.0, 9.0, 10.0, 12.0, 8.0, 10.0, 9.0, 11.0, 10.0, 10.0];
    let message = judged(some, limits).expect("not enough for 50%");
    // What it says would do, does.
    let wider = message.rsplit("max_increase = \"").next().and_then(|rest| rest.split('%').next());
    let wider: i64 = wider.and_then(|percent| percent.parse().ok()).expect("a percentage");
    assert!(wider > 50, "{message}");
    assert_eq!(judged(some, Limits { max_increase: Some(Decimal::from(wider)), ..limits }), None);
}
