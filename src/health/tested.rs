//! [`Tested`]: the tests of one probe's relative limits, against its reference; [`too_noisy`]: rule `too-noisy`.
//!
//! The words are here, the arithmetic is in [`super::sequential`]. This module must not judge absolute limits, nor what
//! cannot be read: [`super::judge`] does.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::prelude::ToPrimitive as _;

use super::judge::{self, Against, Side, bounds};
use super::number::{at_a_glance, nearest};
use super::probes::ProbeSpecs;
use super::reference::{Reference, center};
use super::sequential::{Bound, LEAST, Latest, Levels, Sequential, Summary};
use super::watch::Finding;
use crate::model::{ProbeKey, Quantity, SubsystemName, counted, duration_text};
use crate::policy::{LONGEST_REFERENCE, PolicySet, ProbeSpec, TestLevels, samples_in};

/// An increase of a hundred times is no limit.
const MOST_ADVISED: f64 = 100.0;

/// How sure the test must be, for each subsystem that is watched.
pub(crate) type LevelsOf = BTreeMap<SubsystemName, TestLevels>;

/// The levels of all policies.
pub(crate) fn levels_of(policies: &PolicySet) -> LevelsOf {
    policies.subsystems.values().map(|policy| (policy.name.clone(), policy.health.levels)).collect()
}

/// The limit of one side, and its test.
#[derive(Clone, Debug, PartialEq)]
struct TestOfSide {
    side: Side,
    at: f64,
    text: String,
    test: Sequential,
}

/// The tests of a probe: of an increase, of a decrease, or of both.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tested {
    sides: Vec<TestOfSide>,
}

impl Tested {
    /// Of these samples from before the first batch. `None` where they are too few, or a limit cannot be computed: then
    /// every sample is bad.
    pub(super) fn new(spec: &ProbeSpec, before: &[Quantity], levels: TestLevels) -> Option<Self> {
        if before.len() < LEAST {
            return None;
        }
        let share = |percent: rust_decimal::Decimal| percent.to_f64().map(|percent| percent / 100.0);
        let levels = Levels { false_abort: share(levels.false_abort)?, missed_harm: share(levels.missed_harm)? };
        let against = Against::Reference(center(spec, before));
        let relative = bounds(spec, against).ok()?.into_iter().filter(|bound| bound.percent.is_some());
        let side = |of: judge::Bound| {
            let at = nearest(&of.at)?;
            let bound = match of.side {
                Side::Above => Bound::Above(at),
                Side::Below => Bound::Below(at),
            };
            Some(TestOfSide { side: of.side, at, text: of.text, test: Sequential::new(before, bound, levels)? })
        };
        Some(Self { sides: relative.map(side).collect::<Option<_>>()? })
    }

    /// Another sample. Returns what it shows to be past its limit.
    pub(super) fn add(&mut self, key: &ProbeKey, sample: Quantity) -> Option<Finding> {
        let mut past = None;
        for TestOfSide { side, at, text, test } in &mut self.sides {
            // Every side takes the number in, whatever another one shows.
            let Some(latest) = test.add(sample) else { continue };
            past = past.or_else(|| {
                let (mean, beyond) = (at_a_glance(latest.center), side.beyond());
                let message = format!("reads {mean} {}, {beyond} {text}", in_the_last(latest, test));
                Some(Finding { key: key.clone(), message, measured: Some(latest.center), limit: Some(*at) })
            });
        }
        past
    }

    /// A limit that the samples are not shown to be within yet.
    pub(super) fn open(&self, key: &ProbeKey) -> Option<Finding> {
        let TestOfSide { at, text, test, .. } = self.sides.iter().find(|side| !side.test.is_within())?;
        let latest = test.later_half();
        let reads = latest.map_or_else(String::new, |latest| {
            let (mean, more) = (at_a_glance(latest.center), at_a_glance(latest.give_or_take));
            format!(": it reads {mean}, give or take {more}, {}", in_the_last(latest, test))
        });
        let message = format!("is not shown to be within {text}{reads}");
        let measured = latest.map(|latest| latest.center);
        Some(Finding { key: key.clone(), message, measured, limit: Some(*at) })
    }

    /// Another batch is out: what was read before says nothing about it.
    pub(super) fn begin(&mut self) {
        self.sides.iter_mut().for_each(|side| side.test.begin());
    }
}

/// `in the mean of its last 3 samples`; of shares there is no mean.
fn in_the_last(latest: Latest, test: &Sequential) -> String {
    let samples = counted(latest.count, "sample");
    match test.reference().share {
        None => format!("in the mean of its last {samples}"),
        Some(_) => format!("in its last {samples} together"),
    }
}

/// The probes whose reference varies too much for their limit to be seen in the longest bake, each with the numbers and what
/// would do.
pub(crate) fn too_noisy(
    reference: &Reference,
    specs: &ProbeSpecs,
    levels: &LevelsOf,
    bake_max: Duration,
    every: Duration,
) -> BTreeMap<ProbeKey, String> {
    let samples = usize::try_from(samples_in(bake_max, every)).unwrap_or(usize::MAX);
    let mut found = BTreeMap::new();
    for (key, spec) in specs.iter().filter(|(_, spec)| spec.is_tested()) {
        let levels = levels.get(&key.subsystem).copied().unwrap_or_default();
        let before = reference.get(key).map(Vec::as_slice).unwrap_or_default();
        let tested = Tested::new(spec, before, levels);
        let blind = tested.iter().flat_map(|tested| &tested.sides).find(|side| !side.test.can_tell(samples));
        if let Some(side) = blind {
            found.insert(key.clone(), side.why_not(samples, bake_max, every));
        }
    }
    found
}

impl TestOfSide {
    /// How the reference varies, and that it hides the limit; with what would do.
    fn why_not(&self, samples: usize, bake_max: Duration, every: Duration) -> String {
        let reference = self.test.reference();
        let change = |distance: f64| {
            let percent = (distance / reference.center.abs() * 100.0).ceil();
            (reference.center != 0.0 && percent.is_finite()).then(|| format!("{}%", at_a_glance(percent)))
        };
        // A value that no policy may have is no advice: nothing falls by more than all of it.
        let may_be_written = |distance: f64| {
            let most = if self.side == Side::Above { MOST_ADVISED } else { 1.0 };
            distance <= most * reference.center.abs()
        };
        let sign = if self.side == Side::Above { "+" } else { "-" };
        let needs = self.test.needs(samples);
        let least = match change(needs) {
            Some(percent) => format!("can tell no less than {sign}{percent}"),
            None if needs.is_finite() => format!("can tell no less than {}", at_a_glance(needs)),
            None => "can tell no change, however large".to_owned(),
        };
        let mut message = format!(
            "{}, and a bake of at most {} {least}: that does not show whether it is past {}",
            noise_text(reference),
            duration_text(bake_max),
            self.text,
        );
        let ways: Vec<String> = [self.longer_bake(samples, every), self.longer_reference(samples, every)]
            .into_iter()
            .flatten()
            .chain(
                change(needs)
                    .filter(|_| may_be_written(needs))
                    .map(|percent| format!("{} = \"{percent}\"", self.side.relative())),
            )
            .collect();
        if !ways.is_empty() {
            message.push_str(&format!("; what would do: {}", ways.join(", or ")));
        }
        message
    }

    /// The least multiple of the longest bake that would do, up to eight.
    fn longer_bake(&self, samples: usize, every: Duration) -> Option<String> {
        let times = (2..=8).find(|times| self.test.can_tell(samples.saturating_mul(*times)))?;
        let most = u32::try_from(samples.saturating_mul(times)).ok()?;
        Some(format!("bake_max = \"{}\"", duration_text(every.saturating_mul(most))))
    }

    /// A reference of more samples, if one that a policy may ask for would do.
    fn longer_reference(&self, samples: usize, every: Duration) -> Option<String> {
        let reference = self.test.reference();
        let distance = (self.at - reference.center).abs();
        let would_do = |count: &u32| {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            count > reference.count && self.test.would_need(samples, count) <= distance
        };
        let count = [20, 30, 60].into_iter().find(would_do)?;
        let length = every.saturating_mul(count);
        (length <= LONGEST_REFERENCE).then(|| format!("reference = \"{}\"", duration_text(length)))
    }
}

/// `varies by 2 around 100 (standard deviation of 10 samples)`; of shares first of all how many events there were.
fn noise_text(reference: Summary) -> String {
    let Summary { center, spread, count, share, .. } = reference;
    let (center, spread, memory) = (at_a_glance(center), at_a_glance(spread), memory_text(reference));
    match share {
        None => format!("varies by {spread} around {center} (standard deviation of {count} samples{memory})"),
        Some(all) => {
            let (events, of) = (at_a_glance(all.events), at_a_glance(all.of));
            format!(
                "had {events} events of {of} in the {count} samples of its reference (a share of {center}, which varies by \
                 {spread} from sample to sample{memory})"
            )
        }
    }
}

fn memory_text(reference: Summary) -> String {
    match reference.memory > 0.0 {
        true => format!(", each much like the one before: {}", at_a_glance(reference.memory)),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests;
