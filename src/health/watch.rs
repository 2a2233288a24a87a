//! [`Watch`]: consecutive bad samples per probe, until they are a [`Regression`].
//!
//! One good sample clears a probe's count; nothing else does. This module must not look at the time: [`super::Bake`]
//! decides when rounds are taken, and whether they form a bake.

use std::collections::BTreeMap;

use super::judge::{Against, BadReading, judge};
use super::probes::ProbeSpecs;
use super::reference::Reference;
use crate::model::{ProbeKey, Sample};

/// A probe whose last samples all broke its limits or could not be read, as many in a row as its policy allows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Regression {
    /// Which probe.
    pub(crate) key: ProbeKey,
    /// The reading and its limit, in words, without the probe's name.
    pub(crate) message: String,
    /// The number in the last sample, if any.
    pub(crate) measured: Option<f64>,
    /// The limit that it broke, if a limit is the reason.
    pub(crate) limit: Option<f64>,
}

/// Counts each probe's consecutive bad samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watch {
    specs: ProbeSpecs,
    reference: Reference,
    /// By probe, the number of bad samples in a row up to now.
    in_a_row: BTreeMap<ProbeKey, u64>,
    /// Preconditions whose last sample was bad.
    unmet: BTreeMap<ProbeKey, Regression>,
}

impl Watch {
    /// Watches these probes against the reference from before the first batch.
    pub(crate) fn new(specs: ProbeSpecs, reference: Reference) -> Self {
        Self { specs, reference, in_a_row: BTreeMap::new(), unmet: BTreeMap::new() }
    }

    /// Judges one round. Every probe must have one sample in it; a probe without one is bad.
    ///
    /// Returns the probes that are a regression now, in the order of their names: none of them a precondition, see
    /// [`Self::unmet`]. Samples of unwatched probes are ignored; if a probe has several samples, one bad sample is enough.
    #[must_use = "a regression that nobody looks at is a removal that goes on"]
    pub(crate) fn round(&mut self, samples: &[Sample]) -> Vec<Regression> {
        let mut regressions = Vec::new();
        for (key, spec) in &self.specs {
            let against = Against::Reference(self.reference.get(key).copied());
            let mut bad = None;
            let mut seen = false;
            for sample in samples.iter().filter(|sample| sample.key == *key) {
                seen = true;
                if let Err(why) = judge(spec, against, Some(sample)) {
                    bad = Some(why);
                    break;
                }
            }
            if !seen {
                // S3: no data is not good news.
                bad = judge(spec, against, None).err();
            }
            let before = self.in_a_row.get(key).copied().unwrap_or(0);
            let consecutive = if bad.is_some() { before.saturating_add(1) } else { 0 };
            self.unmet.remove(key);
            if let Some(bad) = &bad {
                if !spec.role.is_watch() {
                    self.unmet.insert(key.clone(), regression(key, bad, consecutive));
                } else if consecutive >= spec.failures {
                    regressions.push(regression(key, bad, consecutive));
                }
            }
            self.in_a_row.insert(key.clone(), consecutive);
        }
        regressions
    }

    /// Probes whose last sample was bad, but for preconditions.
    pub(crate) fn suspects(&self) -> impl Iterator<Item = &ProbeKey> {
        self.in_a_row.iter().filter(|(key, times)| **times > 0 && !self.unmet.contains_key(*key)).map(|(key, _)| key)
    }

    /// What preconditions read while a batch was out counts for nothing before the next one.
    pub(crate) fn forget_preconditions(&mut self) {
        self.unmet.clear();
        let specs = &self.specs;
        self.in_a_row.retain(|key, _| specs.get(key).is_some_and(|spec| spec.role.is_watch()));
    }

    /// Preconditions whose last sample was bad: no batch may begin. Each with whether it was bad as often as its policy
    /// bears.
    pub(crate) fn unmet(&self) -> impl Iterator<Item = (&Regression, bool)> {
        self.unmet.iter().map(|(key, unmet)| {
            let times = self.in_a_row.get(key).copied().unwrap_or(u64::MAX);
            (unmet, self.specs.get(key).is_none_or(|spec| times >= spec.failures))
        })
    }
}

fn regression(key: &ProbeKey, bad: &BadReading, consecutive: u64) -> Regression {
    let message =
        if consecutive > 1 { format!("{} ({consecutive} times in a row)", bad.message) } else { bad.message.clone() };
    Regression { key: key.clone(), message, measured: bad.measured, limit: bad.limit }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::fixtures::{failed, good, key, number, specs};
    use crate::policy::{ProbeRole, ProbeSpec};

    fn watch(failures: u64) -> Watch {
        Watch::new(specs(failures), Reference::new())
    }

    #[test]
    fn one_bad_sample_is_a_regression_by_default() {
        let found = watch(1).round(&[number(0, 1.5)]);
        let [regression] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(regression.key, key("errors"));
        assert_eq!((regression.measured, regression.limit), (Some(1.5), Some(1.0)));
        assert_eq!(regression.message, "read 1.5, above its limit max = 1");
    }

    #[test]
    fn a_good_sample_clears_the_count_and_only_that() {
        let mut watch = watch(2);
        assert_eq!(watch.round(&[number(0, 1.5)]), []);
        assert_eq!(watch.suspects().collect::<Vec<_>>(), [&key("errors")]);
        assert_eq!(watch.round(&[number(1, 0.5)]), []);
        assert_eq!(watch.suspects().count(), 0);
        assert_eq!(watch.round(&[failed(2, "refused")]), []);
        let found = watch.round(&[good(3)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.ends_with("(2 times in a row)"), "{}", found[0].message);
    }

    #[test]
    fn s3_a_round_without_a_sample_is_a_bad_one() {
        let mut watch = watch(1);
        assert_eq!(watch.round(&[]).len(), 1);
        let other = Sample { key: key("another"), ..number(0, 0.0) };
        assert_eq!(watch.round(&[other]).len(), 1);
    }

    #[test]
    fn s3_of_two_samples_in_a_round_the_worse_counts() {
        for samples in [[number(0, 0.5), number(0, 1.5)], [number(0, 1.5), number(0, 0.5)]] {
            assert_eq!(watch(1).round(&samples).len(), 1);
        }
    }

    #[test]
    fn a_precondition_is_no_regression_and_no_suspect() {
        let precondition = |spec| ProbeSpec { role: ProbeRole::Precondition, ..spec };
        let specs = specs(2).into_iter().map(|(key, spec)| (key, precondition(spec))).collect();
        let mut watch = Watch::new(specs, Reference::new());
        let unmet =
            |watch: &Watch| watch.unmet().map(|(unmet, is_final)| (unmet.key.clone(), is_final)).collect::<Vec<_>>();
        assert_eq!(watch.round(&[number(0, 1.5)]), []);
        assert_eq!(unmet(&watch), [(key("errors"), false)]);
        // S3: neither is one that cannot be read.
        assert_eq!(watch.round(&[failed(1, "refused")]), []);
        assert_eq!((unmet(&watch), watch.suspects().count()), (vec![(key("errors"), true)], 0));
        assert_eq!(watch.round(&[number(2, 0.5)]), []);
        assert_eq!(unmet(&watch), []);
        // What was bad while a batch was out counts for nothing behind it.
        for at in 3..8 {
            assert_eq!(watch.round(&[number(at, 1.5)]), []);
        }
        watch.forget_preconditions();
        assert_eq!(unmet(&watch), []);
        assert_eq!(watch.round(&[number(8, 1.5)]), []);
        assert_eq!(unmet(&watch), [(key("errors"), false)]);
    }

    proptest! {
        #[test]
        fn a_regression_is_so_many_bad_samples_in_a_row(failures in 1_u64..5, rounds: Vec<bool>) {
            let mut watch = watch(failures);
            for (at, _) in rounds.iter().enumerate() {
                let found = watch.round(&[number(0, if rounds[at] { 0.5 } else { 1.5 })]);
                let run = rounds[..=at].iter().rev().take_while(|good| !**good).count();
                prop_assert_eq!(!found.is_empty(), run as u64 >= failures);
            }
        }
    }
}
