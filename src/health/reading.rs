//! [`ProbeReading`]: one sample as it was judged, with [`ProbeLimits`], the limits that were in force for it.
//!
//! Journals keep both, so that whoever reads one years later needs neither the policies of that day nor any arithmetic.
//! This module must not judge: [`super::judge`] does, and what it says is written down here.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::judge::{Against, Side, bounds, judge};
use super::number::nearest;
use super::probes::ProbeSpecs;
use super::reference::{Reference, center};
use crate::model::{ProbeKey, Quantity, Sample};
use crate::policy::{ProbeRole, ProbeSpec};

/// One sample of one probe, as it was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeReading {
    /// The number that was read; of two counts their share, 0 to 1. `None` if there was none, or no finite one.
    pub(crate) value: Option<f64>,
    /// Whether the sample is good.
    pub(crate) good: bool,
    /// Why it is not good, in words, without the probe's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) why: Option<String>,
    /// Bad samples in a row, this one included. 0 if it is good.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(crate) bad: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One limit: the number that a reading is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The limit itself, in the probe's unit. A reading at it is good. In documents `at` is always a time.
    #[serde(rename = "value")]
    pub(crate) at: f64,
    /// Set if it was computed from the reference: so many per cent above it, or below it if negative.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) percent: Option<f64>,
}

/// The limits of one probe as they are in force: of an absolute and a relative one, the stricter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeLimits {
    /// The unit of the probe's numbers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) unit: Option<String>,
    /// The mean of the samples before the first batch if it is tested, their median otherwise. Of counts, the share of all of
    /// them together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reference: Option<f64>,
    /// A reading above is bad.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) max: Option<Limit>,
    /// A reading below is bad.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) min: Option<Limit>,
    /// Bad samples in a row that make a regression, at least 1. `None`: a test of all samples decides about the relative
    /// limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) failures: Option<u64>,
    /// When it must be good.
    #[serde(skip_serializing_if = "ProbeRole::is_watch", default)]
    pub(crate) role: ProbeRole,
}

impl ProbeLimits {
    /// The limits of a probe against its reference.
    pub(crate) fn of(spec: &ProbeSpec, against: Against) -> Self {
        let reference = match against {
            Against::Reference(reference) => reference,
            Against::AbsoluteOnly => None,
        };
        // Limits that cannot be computed make every sample bad, and its reason says which and why.
        let bounds = bounds(spec, against).unwrap_or_default();
        let of = |side: Side| bounds.iter().filter(move |bound| bound.side == side);
        let limit = |bound: &super::judge::Bound| Some(Limit { at: nearest(&bound.at)?, percent: bound.percent });
        Self {
            unit: spec.shown_unit().map(str::to_owned),
            reference,
            max: of(Side::Above).min_by(|a, b| a.at.cmp(&b.at)).and_then(limit),
            min: of(Side::Below).max_by(|a, b| a.at.cmp(&b.at)).and_then(limit),
            failures: (!spec.is_tested()).then(|| spec.failures.unwrap_or(1)),
            role: spec.role,
        }
    }
}

/// The limits of every probe against this reference; without one, the absolute limits.
pub(crate) fn limits_of(specs: &ProbeSpecs, reference: Option<&Reference>) -> BTreeMap<ProbeKey, ProbeLimits> {
    let of = |key: &ProbeKey, spec| ProbeLimits::of(spec, against(reference, key, spec));
    specs.iter().map(|(key, spec)| (key.clone(), of(key, spec))).collect()
}

fn against(reference: Option<&Reference>, key: &ProbeKey, spec: &ProbeSpec) -> Against {
    let of = |reference: &Reference| reference.get(key).and_then(|before| center(spec, before));
    reference.map_or(Against::AbsoluteOnly, |reference| Against::Reference(of(reference)))
}

/// Writes rounds of samples down, and counts each probe's bad ones in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    in_a_row: BTreeMap<ProbeKey, u64>,
}

impl Tally {
    /// One round. Before there is a `reference` only absolute limits are judged. Every probe is in the answer: one that
    /// was not sampled is bad.
    pub(crate) fn round(
        &mut self,
        specs: &ProbeSpecs,
        reference: Option<&Reference>,
        samples: &[Sample],
    ) -> BTreeMap<ProbeKey, ProbeReading> {
        let mut readings = BTreeMap::new();
        for (key, spec) in specs {
            let sample = samples.iter().find(|sample| sample.key == *key);
            let why = judge(spec, against(reference, key, spec), sample).err().map(|bad| bad.message);
            let quantity = sample.and_then(|sample| sample.reading.as_ref().ok()?.quantity());
            let value = quantity.filter(|quantity| quantity.flaw().is_none()).map(Quantity::value);
            let count = self.in_a_row.entry(key.clone()).or_default();
            *count = if why.is_some() { count.saturating_add(1) } else { 0 };
            readings.insert(key.clone(), ProbeReading { value, good: why.is_none(), why, bad: *count });
        }
        readings
    }
}

/// The most samples of one probe that [`Shown`] keeps: more do not fit on a line beside the rest.
const RECENT: usize = 12;

/// A reading with all that a person needs to weigh it: which probe, its limits, and the samples before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Measured {
    /// Which probe.
    #[serde(rename = "probe")]
    pub(crate) key: ProbeKey,
    /// Its last sample.
    #[serde(flatten)]
    pub(crate) reading: ProbeReading,
    /// The limits in force.
    #[serde(flatten)]
    pub(crate) limits: ProbeLimits,
    /// The numbers of its last samples, the newest last; `None` for one without a number.
    pub(crate) recent: Vec<Option<f64>>,
}

/// The last readings of every probe, as screens show them. It is fed by a run, or by its journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    limits: BTreeMap<ProbeKey, ProbeLimits>,
    last: BTreeMap<ProbeKey, ProbeReading>,
    recent: BTreeMap<ProbeKey, VecDeque<Option<f64>>>,
}

impl Shown {
    /// The limits from now on.
    pub(crate) fn limits(&mut self, limits: &BTreeMap<ProbeKey, ProbeLimits>) {
        self.limits.clone_from(limits);
    }

    /// Another round.
    pub(crate) fn take(&mut self, readings: &BTreeMap<ProbeKey, ProbeReading>) {
        for (key, reading) in readings {
            let recent = self.recent.entry(key.clone()).or_default();
            recent.push_back(reading.value);
            if recent.len() > RECENT {
                recent.pop_front();
            }
        }
        self.last.clone_from(readings);
    }

    /// Every probe of the last round, by name.
    pub(crate) fn measured(&self) -> Vec<Measured> {
        let of = |(key, reading): (&ProbeKey, &ProbeReading)| Measured {
            key: key.clone(),
            reading: reading.clone(),
            limits: self.limits.get(key).cloned().unwrap_or_default(),
            recent: self.recent.get(key).into_iter().flatten().copied().collect(),
        };
        self.last.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::health::fixtures::{failed, key, number, share, spec, specs};
    use crate::policy::Limits;

    #[test]
    fn a_round_says_value_verdict_and_bad_samples_in_a_row() {
        let (mut tally, specs, none) = (Tally::default(), specs(2), Reference::new());
        let mut read = |sample| tally.round(&specs, Some(&none), &[sample]).remove(&key("errors")).expect("a reading");
        let good = ProbeReading { value: Some(0.5), good: true, why: None, bad: 0 };
        assert_eq!(read(number(0, 0.5)), good);
        let above = "read 1.5, above its limit max = 1".to_owned();
        assert_eq!(read(number(1, 1.5)), ProbeReading { value: Some(1.5), good: false, why: Some(above), bad: 1 });
        let refused = ProbeReading { value: None, good: false, why: Some("refused".to_owned()), bad: 2 };
        assert_eq!(read(failed(2, "refused")), refused);
        assert_eq!(read(number(3, 0.5)), good);
    }

    #[test]
    fn s3_a_probe_that_was_not_sampled_is_written_down_as_bad() {
        let readings = Tally::default().round(&specs(1), None, &[]);
        assert_eq!(readings[&key("errors")].why.as_deref(), Some("was not sampled"));
        let odd = Tally::default().round(&specs(1), None, &[number(0, f64::NAN)]);
        assert_eq!((odd[&key("errors")].value, odd[&key("errors")].good), (None, false));
        let nothing = Tally::default().round(&specs(1), None, &[share(0, 0.0, 0.0)]);
        assert_eq!((nothing[&key("errors")].value, nothing[&key("errors")].good), (None, false));
        let some = Tally::default().round(&specs(1), None, &[share(0, 1.0, 8.0)]);
        assert_eq!((some[&key("errors")].value, some[&key("errors")].good), (Some(0.125), true));
    }

    #[test]
    fn of_an_absolute_and_a_relative_limit_the_stricter_is_in_force() {
        let both = spec(Limits {
            max: Some(150.0),
            max_increase: Some(Decimal::from(50)),
            max_decrease: Some(Decimal::from(25)),
            ..Limits::default()
        });
        let of = |reference| ProbeLimits::of(&both, Against::Reference(Some(reference)));
        assert_eq!(of(73.0).max, Some(Limit { at: 109.5, percent: Some(50.0) }));
        assert_eq!(of(73.0).min, Some(Limit { at: 54.75, percent: Some(-25.0) }));
        assert_eq!(of(140.0).max, Some(Limit { at: 150.0, percent: None }));
        // Without a reference the relative one makes every sample bad: there is no number for it.
        assert_eq!(ProbeLimits::of(&both, Against::Reference(None)).max, None);
        assert_eq!(ProbeLimits::of(&both, Against::AbsoluteOnly).max, Some(Limit { at: 150.0, percent: None }));
    }

    #[test]
    fn a_reading_is_numbers_as_numbers() {
        let reading = ProbeReading { value: Some(100.5), good: true, why: None, bad: 0 };
        assert_eq!(serde_json::to_string(&reading).expect("JSON"), r#"{"value":100.5,"good":true}"#);
        let limits = ProbeLimits {
            unit: Some("ms".to_owned()),
            reference: Some(73.0),
            max: Some(Limit { at: 109.5, percent: Some(50.0) }),
            min: None,
            failures: Some(2),
            role: ProbeRole::Watch,
        };
        let text = r#"{"unit":"ms","reference":73.0,"max":{"value":109.5,"percent":50.0},"failures":2}"#;
        assert_eq!(serde_json::to_string(&limits).expect("JSON"), text);
        assert_eq!(serde_json::from_str::<ProbeLimits>(text).expect("reads back"), limits);
    }
}
