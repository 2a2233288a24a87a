//! [`judge`]: is one sample good?
//!
//! Of five kinds of input, only one passes: a number within every limit, or `Good` from a probe that has no limits. The
//! number of two counts is the share of one in the other. A number outside a limit, `Good` where a number is needed, a sample that could not be read, and no sample at all are
//! bad (S3). This module must not remember anything: [`super::Watch`] counts consecutive samples.

use bigdecimal::BigDecimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::number::{at_a_glance, exact, nearest, number_text, shifted};
use crate::model::{Reading, Sample};
use crate::policy::{Limits, ProbeSpec};

/// What the relative limits of a probe are measured against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Against {
    /// Nothing yet: before the reference is taken, only the absolute limits are judged.
    AbsoluteOnly,
    /// The probe's reference. A probe without one (`None`) is bad if a relative limit asks for it.
    Reference(Option<f64>),
}

/// Why a sample is bad.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BadReading {
    /// The number that was read, if any.
    pub(crate) measured: Option<f64>,
    /// The strictest limit that the reading broke, if a limit is the reason. Also `None` if no number can represent
    /// that limit.
    pub(crate) limit: Option<f64>,
    /// The reading and the limit in words, without the probe's name.
    pub(crate) message: String,
}

impl BadReading {
    fn because(message: impl Into<String>) -> Self {
        Self { measured: None, limit: None, message: message.into() }
    }
}

/// Judges one sample of a probe, or its absence.
///
/// Limits are inclusive (a reading at the limit is good) and compared exactly, as decimals. A relative limit is a
/// percentage of the reference's magnitude: with a reference of 0, any change in the limited direction is bad.
///
/// # Errors
///
/// [`BadReading`] unless the sample is good beyond doubt.
pub(crate) fn judge(spec: &ProbeSpec, against: Against, sample: Option<&Sample>) -> Result<(), BadReading> {
    let reading = match sample {
        None => return Err(BadReading::because("was not sampled")),
        Some(Sample { reading: Err(why), .. }) => return Err(BadReading::because(why.clone())),
        Some(Sample { reading: Ok(reading), .. }) => *reading,
    };
    match reading {
        Reading::Good if has_no_limit(&spec.limits) => Ok(()),
        Reading::Good => Err(BadReading::because("answered without a number, which its limits need")),
        Reading::Number(number) => within(spec, against, number),
        Reading::Share(share) => match share.flaw() {
            None => within(spec, against, share.value()),
            Some(why) => Err(BadReading::because(why)),
        },
    }
}

fn has_no_limit(limits: &Limits) -> bool {
    *limits == Limits::default()
}

/// Which side of a limit is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    Above,
    Below,
}

impl Side {
    pub(super) fn beyond(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// The key of a relative limit on this side.
    pub(super) fn relative(self) -> &'static str {
        match self {
            Self::Above => "max_increase",
            Self::Below => "max_decrease",
        }
    }
}

/// One limit, as a sample is compared with it.
pub(super) struct Bound {
    pub(super) side: Side,
    pub(super) at: BigDecimal,
    /// Of a relative limit: per cent above the reference, negative below it.
    pub(super) percent: Option<f64>,
    /// The limit in words, and the key that it follows from.
    pub(super) text: String,
}

impl Bound {
    /// A number beyond the limit as people read it: rounded, unless it would then look as if it were not beyond.
    fn past(&self, number: f64) -> String {
        let rounded = at_a_glance(number);
        let is_past = rounded.parse().ok().and_then(exact).is_some_and(|shown| match self.side {
            Side::Above => shown > self.at,
            Side::Below => shown < self.at,
        });
        if is_past { rounded } else { number_text(number) }
    }
}

fn within(spec: &ProbeSpec, against: Against, number: f64) -> Result<(), BadReading> {
    let Some(measured) = exact(number) else {
        return Err(BadReading::because(format!("read {number}, which is not a finite number")));
    };
    let bad = |limit, message| BadReading { measured: Some(number), limit, message };
    let bounds = bounds(spec, against).map_err(|why| bad(None, why))?;
    // All broken bounds lie on one side, unless the limits contradict each other; the strictest is reported.
    let mut broken: Vec<&Bound> = bounds
        .iter()
        .filter(|bound| match bound.side {
            Side::Above => measured > bound.at,
            Side::Below => measured < bound.at,
        })
        .collect();
    broken.sort_by(|a, b| match a.side {
        Side::Above => a.at.cmp(&b.at),
        Side::Below => b.at.cmp(&a.at),
    });
    match broken.first() {
        None => Ok(()),
        Some(bound) => {
            let side = bound.side.beyond();
            Err(bad(nearest(&bound.at), format!("read {}, {side} {}", bound.past(number), bound.text)))
        }
    }
}

/// The limits that a number is compared with.
///
/// # Errors
///
/// One of them cannot be computed, in words: then every number is bad.
pub(super) fn bounds(spec: &ProbeSpec, against: Against) -> Result<Vec<Bound>, String> {
    let limits = &spec.limits;
    let mut bounds = Vec::new();
    for (side, name, limit) in [(Side::Above, "max", limits.max), (Side::Below, "min", limits.min)] {
        if let Some(limit) = limit {
            let Some(at) = exact(limit) else {
                return Err(format!("its limit {name} = {limit} is not a finite number"));
            };
            let text = format!("its limit {name} = {}", number_text(limit));
            bounds.push(Bound { side, at, percent: None, text });
        }
    }
    let Against::Reference(reference) = against else { return Ok(bounds) };
    for (side, percent, absolute) in
        [(Side::Above, limits.max_increase, limits.max), (Side::Below, limits.max_decrease, limits.min)]
    {
        let (name, Some(percent)) = (side.relative(), percent) else { continue };
        // Nothing is a share of nothing: where a test would ask for exactly 0, the limit that is a number decides.
        if spec.is_tested() && reference == Some(0.0) && absolute.is_some() {
            continue;
        }
        let Some((of, exact_of)) = reference.and_then(|of| exact(of).map(|exact_of| (of, exact_of))) else {
            return Err(format!("has no reference that {name} = {percent}% could be measured from"));
        };
        let change = if side == Side::Above { percent } else { -percent };
        let at = shifted(&exact_of, change);
        let shown = nearest(&at).map_or_else(|| "its limit".to_owned(), at_a_glance);
        let text = format!("{shown} ({name} = {percent}% of its reference {})", at_a_glance(of));
        bounds.push(Bound { side, at, percent: change.to_f64(), text });
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;
    use crate::health::fixtures::{failed, good, number, share, spec};

    const MAX_1: Limits = Limits { max: Some(1.0), min: None, max_increase: None, max_decrease: None };

    fn increase(percent: i64) -> Limits {
        Limits { max_increase: Some(percent.into()), ..Limits::default() }
    }

    #[test]
    fn s3_five_inputs_and_one_allow() {
        let limited = spec(MAX_1);
        let against = Against::Reference(None);
        assert_eq!(judge(&limited, against, Some(&number(0, 1.0))), Ok(()));
        let bad = judge(&limited, against, Some(&number(0, 1.5))).expect_err("above");
        assert_eq!((bad.measured, bad.limit), (Some(1.5), Some(1.0)));
        assert_eq!(bad.message, "read 1.5, above its limit max = 1");
        for (sample, message) in [
            (Some(good(0)), "answered without a number, which its limits need"),
            (Some(failed(0, "connection refused")), "connection refused"),
            (None, "was not sampled"),
        ] {
            let bad = judge(&limited, against, sample.as_ref()).expect_err("bad");
            assert_eq!(bad, BadReading { measured: None, limit: None, message: message.to_owned() });
        }
    }

    #[test]
    fn s3_a_share_is_judged_as_its_number_and_one_of_nothing_is_bad() {
        let spec = spec(Limits { max: Some(0.025), ..increase(20) });
        let judged = |events, of| judge(&spec, Against::Reference(Some(0.1)), Some(&share(0, events, of)));
        assert_eq!(judged(3.0, 120.0), Ok(()));
        let bad = judged(4.0, 120.0).expect_err("above");
        assert_eq!((bad.measured, bad.limit), (Some(4.0 / 120.0), Some(0.025)));
        for (events, of) in [(0.0, 0.0), (5.0, 4.0), (-1.0, 4.0), (f64::NAN, 4.0)] {
            let bad = judged(events, of).expect_err("no share");
            assert_eq!((bad.measured, bad.limit), (None, None), "{events} of {of}");
        }
    }

    #[test]
    fn s3_without_limits_only_what_cannot_be_read_is_bad() {
        let free = spec(Limits::default());
        assert_eq!(judge(&free, Against::Reference(None), Some(&good(0))), Ok(()));
        assert_eq!(judge(&free, Against::Reference(None), Some(&number(0, -3.5))), Ok(()));
        assert!(judge(&free, Against::Reference(None), Some(&failed(0, "x"))).is_err());
        assert!(judge(&free, Against::Reference(None), None).is_err());
    }

    #[test]
    fn s3_what_is_not_finite_is_bad_wherever_it_stands() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for limits in [Limits::default(), MAX_1, Limits { min: Some(1.0), ..Limits::default() }] {
                assert!(judge(&spec(limits), Against::Reference(Some(1.0)), Some(&number(0, odd))).is_err());
            }
            let odd_limit = spec(Limits { max: Some(odd), ..Limits::default() });
            assert!(judge(&odd_limit, Against::AbsoluteOnly, Some(&number(0, 0.0))).is_err());
            assert!(judge(&spec(increase(20)), Against::Reference(Some(odd)), Some(&number(0, 0.0))).is_err());
        }
    }

    #[test]
    fn s3_a_relative_limit_without_a_reference_is_bad_unless_none_can_be_there_yet() {
        let spec = spec(increase(20));
        let bad = judge(&spec, Against::Reference(None), Some(&number(0, 1.0))).expect_err("no reference");
        assert_eq!(bad.message, "has no reference that max_increase = 20% could be measured from");
        assert_eq!(judge(&spec, Against::AbsoluteOnly, Some(&number(0, 1.0))), Ok(()));
        assert!(judge(&spec, Against::AbsoluteOnly, Some(&good(0))).is_err());
    }

    #[test]
    fn relative_limits_are_exact_and_inclusive() {
        let against = Against::Reference(Some(0.3));
        assert_eq!(judge(&spec(increase(20)), against, Some(&number(0, 0.36))), Ok(()));
        let bad = judge(&spec(increase(20)), against, Some(&number(0, 0.360_000_000_000_000_1))).expect_err("above");
        assert_eq!(bad.limit, Some(0.36));
        assert_eq!(bad.message, "read 0.3600000000000001, above 0.36 (max_increase = 20% of its reference 0.3)");
        let decrease = spec(Limits { max_decrease: Some(Decimal::from(10)), ..Limits::default() });
        assert_eq!(judge(&decrease, against, Some(&number(0, 0.27))), Ok(()));
        assert_eq!(judge(&decrease, against, Some(&number(0, 0.269))).expect_err("below").limit, Some(0.27));
    }

    #[test]
    fn a_reference_of_zero_allows_no_increase_and_a_negative_one_shrinks() {
        let spec = spec(increase(20));
        assert_eq!(judge(&spec, Against::Reference(Some(0.0)), Some(&number(0, 0.0))), Ok(()));
        assert_eq!(judge(&spec, Against::Reference(Some(0.0)), Some(&number(0, -0.0))), Ok(()));
        assert!(judge(&spec, Against::Reference(Some(0.0)), Some(&number(0, 5e-324))).is_err());
        assert_eq!(judge(&spec, Against::Reference(Some(-10.0)), Some(&number(0, -8.0))), Ok(()));
        assert!(judge(&spec, Against::Reference(Some(-10.0)), Some(&number(0, -7.9))).is_err());
    }

    #[test]
    fn of_a_reference_of_zero_a_tested_probe_is_left_to_its_absolute_limit() {
        let both = spec(Limits { max: Some(0.01), ..increase(20) });
        assert_eq!(judge(&both, Against::Reference(Some(0.0)), Some(&number(0, 0.01))), Ok(()));
        assert!(judge(&both, Against::Reference(Some(0.0)), Some(&number(0, 0.011))).is_err());
        let compared = ProbeSpec { failures: Some(1), ..both };
        assert!(judge(&compared, Against::Reference(Some(0.0)), Some(&number(0, 0.001))).is_err());
    }

    #[test]
    fn of_several_broken_limits_the_strictest_is_told() {
        let both = spec(Limits { max: Some(100.0), ..increase(20) });
        let bad = |of| judge(&both, Against::Reference(Some(of)), Some(&number(0, 500.0))).expect_err("above").limit;
        assert_eq!(bad(50.0), Some(60.0));
        assert_eq!(bad(90.0), Some(100.0));
    }

    proptest! {
        /// The oracle works on whole thousandths: no decimals, no floats, nothing shared with the judge.
        #[test]
        fn s3_judge_agrees_with_integers(
            reading in -3_000_i64..3_000,
            reference in -2_000_i64..2_000,
            max in proptest::option::of(-2_000_i64..2_000),
            min in proptest::option::of(-2_000_i64..2_000),
            up in proptest::option::of(0_i64..3_000),
            down in proptest::option::of(0_i64..1_000),
            with_reference: bool,
        ) {
            let float = |thousandths: i64| format!("{thousandths}e-3").parse::<f64>().expect("a number");
            let limits = Limits {
                max: max.map(float),
                min: min.map(float),
                max_increase: up.map(|tenths| Decimal::new(tenths, 1)),
                max_decrease: down.map(|tenths| Decimal::new(tenths, 1)),
            };
            let relative_good = !with_reference || (
                up.is_none_or(|p| reading * 1_000 <= reference * 1_000 + reference.abs() * p)
                && down.is_none_or(|p| reading * 1_000 >= reference * 1_000 - reference.abs() * p));
            let good = relative_good && max.is_none_or(|m| reading <= m) && min.is_none_or(|m| reading >= m);
            let against =
                if with_reference { Against::Reference(Some(float(reference))) } else { Against::AbsoluteOnly };
            let spec = ProbeSpec { failures: Some(1), ..spec(limits) };
            let judged = judge(&spec, against, Some(&number(0, float(reading))));
            prop_assert_eq!(judged.is_ok(), good, "{:?}", judged);
        }

        #[test]
        fn s3_no_reading_or_limit_makes_it_panic(
            reading: f64,
            reference: f64,
            max: Option<f64>,
            min: Option<f64>,
            percent in proptest::option::of((0_i64..i64::MAX, 0_u32..28)),
        ) {
            let percent = percent.map(|(digits, scale)| Decimal::new(digits, scale));
            let limits = Limits { max, min, max_increase: percent, max_decrease: percent };
            let judged = judge(&spec(limits), Against::Reference(Some(reference)), Some(&number(0, reading)));
            prop_assert!(judged.is_err() || reading.is_finite());
        }
    }
}
