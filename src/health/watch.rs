//! [`Watch`]: what every probe showed since its batch is out, until it is a regression.
//!
//! So many bad samples in a row are one; one good sample clears the count, and nothing else does. The relative limits of a
//! probe that is tested are judged by all samples together ([`super::Tested`]). This module must not look at the time:
//! [`super::Bake`] decides when rounds are taken, and whether they form a bake.

use std::collections::BTreeMap;

use super::judge::{Against, BadReading, judge};
use super::probes::ProbeSpecs;
use super::reference::{Reference, center};
use super::tested::{LevelsOf, Tested};
use crate::model::{ProbeKey, Quantity, Sample};
use crate::policy::ProbeSpec;

/// So many samples in a row that cannot be read are a regression, of a probe that is tested: one that is lost is no more
/// than one that stands out.
const LOST: u64 = 3;

/// One in so many samples that cannot be read is the most that a bake may have of a probe that is tested.
const LOST_AT_MOST: u64 = 4;

/// A finding about one probe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// Which probe.
    pub(crate) key: ProbeKey,
    /// The reading and its limit, in words, without the probe's name.
    pub(crate) message: String,
    /// The number in the last sample, or the mean of several, if any.
    pub(crate) measured: Option<f64>,
    /// The limit, if a limit is the reason.
    pub(crate) limit: Option<f64>,
}

/// One probe that is watched.
#[derive(Clone, Debug, PartialEq)]
struct Watched {
    spec: ProbeSpec,
    /// The number that samples are compared with.
    center: Option<f64>,
    /// Set if its relative limits are tested, and its reference allows it.
    tested: Option<Tested>,
    /// The number of bad samples in a row up to now.
    in_a_row: u64,
    /// Of a probe that is tested: samples since its batch is out, and those of them that could not be read.
    since: u64,
    lost: u64,
    /// Of a precondition: its last sample, if it was bad.
    unmet: Option<Finding>,
}

/// Watches probes, round by round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watch {
    probes: BTreeMap<ProbeKey, Watched>,
}

impl Watch {
    /// Watches these probes against the reference from before the first batch. A subsystem without levels has the defaults.
    pub(crate) fn new(specs: ProbeSpecs, reference: &Reference, levels: &LevelsOf) -> Self {
        let watched = |key: &ProbeKey, spec: ProbeSpec| {
            let before = reference.get(key).map(Vec::as_slice).unwrap_or_default();
            let levels = levels.get(&key.subsystem).copied().unwrap_or_default();
            let tested = spec.is_tested().then(|| Tested::new(&spec, before, levels)).flatten();
            Watched { center: center(&spec, before), spec, tested, in_a_row: 0, since: 0, lost: 0, unmet: None }
        };
        Self { probes: specs.into_iter().map(|(key, spec)| (key.clone(), watched(&key, spec))).collect() }
    }

    /// Judges one round. Every probe must have one sample in it; a probe without one is bad.
    ///
    /// Returns the probes that are a regression now, in the order of their names: none of them a precondition, see
    /// [`Self::unmet`]. Samples of unwatched probes are ignored; if a probe has several samples, one bad sample is enough.
    #[must_use = "a regression that nobody looks at is a removal that goes on"]
    pub(crate) fn round(&mut self, samples: &[Sample]) -> Vec<Finding> {
        let of = |(key, watched): (&ProbeKey, &mut Watched)| {
            let own: Vec<&Sample> = samples.iter().filter(|sample| sample.key == *key).collect();
            watched.round(key, &own)
        };
        self.probes.iter_mut().filter_map(of).collect()
    }

    /// Another batch is out: what tested probes read before shows nothing about it.
    pub(crate) fn begin(&mut self) {
        self.probes.values_mut().for_each(Watched::begin);
    }

    /// Probes whose last sample was bad, but for preconditions.
    pub(crate) fn suspects(&self) -> impl Iterator<Item = &ProbeKey> {
        let is_suspect = |watched: &Watched| watched.in_a_row > 0 && watched.spec.role.is_watch();
        self.probes.iter().filter(move |(_, watched)| is_suspect(watched)).map(|(key, _)| key)
    }

    /// Probes of which it is not shown yet that they are within their limits.
    pub(crate) fn open(&self) -> impl Iterator<Item = Finding> {
        self.probes.iter().filter_map(|(key, watched)| watched.open(key))
    }

    /// Readings of preconditions while a batch was out count for nothing before the next one.
    pub(crate) fn forget_preconditions(&mut self) {
        for watched in self.probes.values_mut().filter(|watched| !watched.spec.role.is_watch()) {
            watched.unmet = None;
            watched.in_a_row = 0;
        }
    }

    /// Preconditions whose last sample was bad: no batch may begin. Each with whether it was bad as often as its policy
    /// bears.
    pub(crate) fn unmet(&self) -> impl Iterator<Item = (&Finding, bool)> {
        let is_final = |watched: &Watched| watched.in_a_row >= watched.spec.failures.unwrap_or(1);
        self.probes.values().filter_map(move |watched| Some((watched.unmet.as_ref()?, is_final(watched))))
    }
}

impl Watched {
    fn begin(&mut self) {
        (self.since, self.lost) = (0, 0);
        self.tested.iter_mut().for_each(Tested::begin);
    }

    /// A limit that is not shown to hold yet. S3: a meter that is hardly read shows nothing, whatever it reads now and then.
    fn open(&self, key: &ProbeKey) -> Option<Finding> {
        let tested = self.tested.as_ref()?;
        if self.lost.saturating_mul(LOST_AT_MOST) > self.since {
            let message = format!("could not be read in {} of {} samples", self.lost, self.since);
            return Some(Finding { key: key.clone(), message, measured: None, limit: None });
        }
        tested.open(key)
    }

    fn round(&mut self, key: &ProbeKey, samples: &[&Sample]) -> Option<Finding> {
        // S3: no data is not good news, and of several samples the worst counts.
        let bad = match samples {
            [] => self.judge(None).err(),
            samples => samples.iter().find_map(|sample| self.judge(Some(sample)).err()),
        };
        self.since = self.since.saturating_add(1);
        self.lost = self.lost.saturating_add(u64::from(bad.as_ref().is_some_and(|bad| bad.measured.is_none())));
        self.in_a_row = if bad.is_some() { self.in_a_row.saturating_add(1) } else { 0 };
        self.unmet = None;
        match bad {
            Some(bad) if !self.spec.role.is_watch() => {
                self.unmet = Some(finding(key, &bad, self.in_a_row));
                None
            }
            Some(bad) => (self.in_a_row >= self.bears(&bad)).then(|| finding(key, &bad, self.in_a_row)),
            None => {
                let tested = self.tested.as_mut()?;
                samples.iter().filter_map(|sample| quantity(sample)).fold(None, |past, read| {
                    let found = tested.add(key, read);
                    past.or(found)
                })
            }
        }
    }

    /// One sample by itself, by the limits that one sample can break.
    fn judge(&self, sample: Option<&Sample>) -> Result<(), BadReading> {
        match &self.tested {
            None => judge(&self.spec, Against::Reference(self.center), sample),
            Some(_) => judge(&self.spec, Against::AbsoluteOnly, sample),
        }
    }

    /// Bad samples in a row that make a regression, if the last one is bad like this.
    fn bears(&self, bad: &BadReading) -> u64 {
        let is_lost = bad.measured.is_none();
        let default = if self.tested.is_some() && is_lost { LOST } else { 1 };
        self.spec.failures.unwrap_or(default)
    }
}

fn quantity(sample: &Sample) -> Option<Quantity> {
    sample.reading.as_ref().ok()?.quantity()
}

fn finding(key: &ProbeKey, bad: &BadReading, consecutive: u64) -> Finding {
    let message =
        if consecutive > 1 { format!("{} ({consecutive} times in a row)", bad.message) } else { bad.message.clone() };
    Finding { key: key.clone(), message, measured: bad.measured, limit: bad.limit }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::fixtures::{failed, good, key, number, specs};
    use crate::policy::{ProbeRole, ProbeSpec};

    fn watch(failures: u64) -> Watch {
        Watch::new(specs(failures), &Reference::new(), &LevelsOf::new())
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
        let mut watch = Watch::new(specs, &Reference::new(), &LevelsOf::new());
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
