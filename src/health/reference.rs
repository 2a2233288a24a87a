//! [`reference`]: what was "normal" before the first batch; [`bad_now`]: rule `unhealthy-now`.
//!
//! This module must not be lenient: nothing is removed from a system that is already in trouble (incident slack-2021),
//! and a reference taken during trouble would make trouble look normal.

use std::collections::BTreeMap;

use super::judge::{Against, judge};
use super::number::median;
use super::probes::ProbeSpecs;
use super::sequential::{LEAST, Summary};
use crate::model::{ProbeKey, Quantity, Sample};
use crate::policy::ProbeSpec;

/// The samples from before the first batch of each numeric probe, the oldest first. Probes that are only good or bad have
/// none.
pub(crate) type Reference = BTreeMap<ProbeKey, Vec<Quantity>>;

/// The number that samples are compared with: the median, or of a probe that is tested, the mean that the test goes by. Of shares it is
/// the share of all samples together, either way. `None` where there are too few.
pub(super) fn center(spec: &ProbeSpec, before: &[Quantity]) -> Option<f64> {
    let summary = || Summary::of(before);
    if spec.is_tested() {
        return summary().filter(|summary| summary.count >= LEAST).map(|summary| summary.center);
    }
    let numbers: Vec<f64> = before.iter().map(|sample| sample.value()).collect();
    summary().and_then(|summary| if summary.share.is_some() { Some(summary.center) } else { median(&numbers) })
}

/// The probes that are bad before the first batch, each with its reason: rule `unhealthy-now`.
///
/// One bad reading is enough, whatever `failures` says. Relative limits are not judged, because there is nothing to
/// measure them from yet; a probe that has them must still read a number.
pub(crate) fn bad_now(samples: &[Sample], specs: &ProbeSpecs) -> BTreeMap<ProbeKey, String> {
    let mut bad = BTreeMap::new();
    for (key, spec) in specs {
        let mut own = samples.iter().filter(|sample| sample.key == *key).peekable();
        let judged = if own.peek().is_none() {
            judge(spec, Against::AbsoluteOnly, None)
        } else {
            own.try_for_each(|sample| judge(spec, Against::AbsoluteOnly, Some(sample)))
        };
        if let Err(why) = judged {
            bad.insert(key.clone(), why.message);
        }
    }
    bad
}

/// The reference: each numeric probe's samples, at least so many.
///
/// A probe is numeric if all of its samples are numbers.
///
/// # Errors
///
/// The probes that have too few samples, cannot be read, or break an absolute limit, each with its reason: refused as
/// `unhealthy-now`.
pub(crate) fn reference(
    samples: &[Sample],
    specs: &ProbeSpecs,
    least: usize,
) -> Result<Reference, BTreeMap<ProbeKey, String>> {
    let mut bad = bad_now(samples, specs);
    let mut reference = Reference::new();
    for key in specs.keys() {
        let own: Vec<_> = samples.iter().filter(|sample| sample.key == *key).collect();
        if own.len() < least {
            // A missing sample was not taken, which is bad; a reason that is already there says more.
            let why = format!("was sampled {} of {least} times", own.len());
            bad.entry(key.clone()).or_insert(why);
            continue;
        }
        let quantity = |sample: &&Sample| sample.reading.as_ref().ok()?.quantity().filter(|it| it.flaw().is_none());
        let read: Option<Vec<Quantity>> = own.iter().map(quantity).collect();
        if let Some(read) = read.filter(|read| !read.is_empty()) {
            reference.insert(key.clone(), read);
        }
    }
    if bad.is_empty() { Ok(reference) } else { Err(bad) }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::health::fixtures::{failed, good, key, number, share, spec, specs};
    use crate::policy::Limits;

    #[test]
    fn the_reference_is_the_samples_and_comparisons_are_with_their_median() {
        let samples = [number(0, 0.1), number(10, 0.9), number(20, 0.3)];
        let found = reference(&samples, &specs(1), 3).expect("a reference");
        assert_eq!(found, BTreeMap::from([(key("errors"), vec![0.1.into(), 0.9.into(), 0.3.into()])]));
        assert_eq!(center(&specs(1)[&key("errors")], &found[&key("errors")]), Some(0.3), "one outlier moves nothing");
    }

    #[test]
    fn shares_are_compared_with_that_of_all_of_them_together() {
        let samples = [share(0, 1.0, 10.0), share(10, 0.0, 200.0), share(20, 3.0, 190.0)];
        let found = reference(&samples, &specs(1), 3).expect("a reference");
        let tested = spec(Limits { max_increase: Some(Decimal::from(20)), ..Limits::default() });
        for spec in [&specs(1)[&key("errors")], &tested] {
            assert_eq!(center(spec, &found[&key("errors")]), Some(0.01), "4 of 400");
        }
        let mixed = [share(0, 1.0, 10.0), number(10, 0.1), share(20, 1.0, 10.0)];
        let found = reference(&mixed, &specs(1), 3).expect("numbers all");
        assert_eq!(center(&tested, &found[&key("errors")]), None, "of two kinds nothing can be made");
    }

    #[test]
    fn s3_of_too_few_samples_there_is_no_mean_to_test_against() {
        let tested = spec(Limits { max_increase: Some(Decimal::from(20)), ..Limits::default() });
        assert!(tested.is_tested());
        assert_eq!(center(&tested, &[0.1.into(), 0.2.into()]), None);
        assert_eq!(center(&tested, &[0.2.into(); 3]), Some(0.2));
    }

    #[test]
    fn s3_a_reference_is_made_of_good_samples_only() {
        for (samples, why) in [
            (vec![], "was not sampled"),
            (vec![number(0, 0.1), number(10, 0.2)], "was sampled 2 of 3 times"),
            (vec![number(0, 0.1), failed(10, "refused"), number(20, 0.3)], "refused"),
            (vec![number(0, 0.1), number(10, 0.2), number(20, 1.1)], "read 1.1, above its limit max = 1"),
            (vec![number(0, 0.1), number(10, 0.2), good(20)], "answered without a number, which its limits need"),
            (vec![number(0, 0.1), number(10, 0.2), number(20, f64::NAN)], "read NaN, which is not a finite number"),
            (vec![share(0, 0.0, 0.0); 3], "read 0 of 0: nothing happened that could fail"),
        ] {
            // However many failures the policy tolerates during a bake.
            let refused = reference(&samples, &specs(5), 3).expect_err("no reference");
            assert_eq!(refused, BTreeMap::from([(key("errors"), why.to_owned())]));
        }
    }

    #[test]
    fn a_probe_that_is_only_good_or_bad_has_no_reference() {
        let specs = BTreeMap::from([(key("errors"), spec(Limits::default()))]);
        assert_eq!(reference(&[good(0), good(10), good(20)], &specs, 3), Ok(Reference::new()));
        assert_eq!(reference(&[good(0), number(10, 1.0), good(20)], &specs, 3), Ok(Reference::new()));
    }

    #[test]
    fn s3_bad_now_takes_one_bad_reading_and_knows_no_reference() {
        let relative = Limits { max_increase: Some(Decimal::from(20)), ..Limits::default() };
        let specs = BTreeMap::from([(key("errors"), spec(relative))]);
        assert_eq!(bad_now(&[number(0, 500.0)], &specs), BTreeMap::new());
        assert_eq!(bad_now(&[good(0)], &specs).len(), 1);
        assert_eq!(bad_now(&[], &specs).len(), 1);
        assert_eq!(bad_now(&[number(0, 1.0), failed(0, "refused")], &specs)[&key("errors")], "refused");
    }
}
