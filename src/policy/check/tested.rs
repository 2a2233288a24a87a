//! The keys of `[health]` that the test of relative limits takes: what it compares with, how long it may take, how sure it
//! must be.

use std::time::Duration;

use rust_decimal::Decimal;

use super::context::Context;
use super::pace::some_time;
use crate::model::duration_text;
use crate::policy::raw::RawHealth;
use crate::policy::types::{LONGEST_REFERENCE, ProbeKind, ProbeSpec, TestLevels, samples_in};
use crate::policy::value::{DurationValue, Percent, Spanned};

/// The least samples of a reference that a test is made with: of fewer, their spread says little.
const LEAST_SAMPLES: u32 = 10;

/// The most: every run carries them in the record, and more tell hardly more.
const MOST_SAMPLES: u32 = 60;

/// Samples of a reference with which each sample is only compared.
const COMPARED_SAMPLES: u32 = 3;

/// How many bakes the longest one is, where the file does not say.
const BAKES: u32 = 3;

/// No verdict that is wrong more often is worth having, in per cent.
const LEAST_SURE: u32 = 20;

/// `reference`, or its default.
pub(super) fn reference(
    context: &mut Context<'_>,
    raw: &RawHealth,
    every: Duration,
    probes: &[ProbeSpec],
) -> Option<Duration> {
    let tested: Vec<&ProbeSpec> = probes.iter().filter(|probe| probe.is_tested()).collect();
    let Some(at) = &raw.reference else {
        let slowest = tested.iter().filter_map(|probe| period(probe)).max().unwrap_or_default().max(every);
        return Some(match tested.is_empty() {
            true => every.saturating_mul(COMPARED_SAMPLES),
            false => slowest.saturating_mul(LEAST_SAMPLES).min(longest(every)),
        });
    };
    let reference = some_time(context, at, "reference", "there would be nothing to compare with")?;
    let samples = samples_in(reference, every);
    let least = if tested.is_empty() { COMPARED_SAMPLES } else { LEAST_SAMPLES };
    if samples < u64::from(least) {
        let message = format!("`reference` has room for {samples} samples, and {least} are needed");
        let help = format!("write at least {}", duration_text(every.saturating_mul(least)));
        context.error(&at.span, message, "too short", &help);
        return None;
    }
    if reference > longest(every) {
        let message = format!("`reference` is longer than {}", duration_text(longest(every)));
        let help =
            "at most 60 times `every`, and 1h: what was longer ago is no reference, and more samples tell little more";
        context.error(&at.span, message, "too long", help);
        return None;
    }
    Some(reference)
}

fn longest(every: Duration) -> Duration {
    // Whoever samples less often than this has his three samples at least.
    every.saturating_mul(MOST_SAMPLES).min(LONGEST_REFERENCE.max(every.saturating_mul(LEAST_SAMPLES)))
}

/// How often the source has another number, where the policy says.
fn period(probe: &ProbeSpec) -> Option<Duration> {
    match &probe.kind {
        ProbeKind::CloudwatchMetric(metric) => Some(metric.period),
        ProbeKind::Simulated { .. }
        | ProbeKind::Http(_)
        | ProbeKind::Tcp { .. }
        | ProbeKind::Exec { .. }
        | ProbeKind::Prometheus(_)
        | ProbeKind::TargetGroup { .. }
        | ProbeKind::CloudwatchAlarm(_) => None,
    }
}

/// `bake_max`, or its default.
pub(super) fn bake_max(
    context: &mut Context<'_>,
    at: Option<&Spanned<DurationValue>>,
    bake: Duration,
) -> Option<Duration> {
    let Some(at) = at else { return Some(bake.saturating_mul(BAKES)) };
    if at.value.0 < bake {
        let (most, bake) = (duration_text(at.value.0), duration_text(bake));
        let message = format!("`bake_max`, {most}, is shorter than `bake`, {bake}");
        context.error(&at.span, message, "too short", "no bake is shorter than `bake`: write at least that");
        return None;
    }
    Some(at.value.0)
}

/// `false_abort` and `missed_harm`, or their defaults.
pub(super) fn levels(context: &mut Context<'_>, raw: &RawHealth) -> Option<TestLevels> {
    let default = TestLevels::default();
    let false_abort = level(context, raw.false_abort.as_ref(), "false_abort", default.false_abort);
    let missed_harm = level(context, raw.missed_harm.as_ref(), "missed_harm", default.missed_harm);
    Some(TestLevels { false_abort: false_abort?, missed_harm: missed_harm? })
}

fn level(context: &mut Context<'_>, at: Option<&Spanned<Percent>>, key: &str, default: Decimal) -> Option<Decimal> {
    let Some(at) = at else { return Some(default) };
    let percent = at.value.0;
    if percent <= Decimal::ZERO || percent > Decimal::from(LEAST_SURE) {
        let message = format!("`{key}`, {percent}%, is not above 0% and at most {LEAST_SURE}%");
        let help = format!(
            "such as \"{default}%\": a test that is never wrong never ends, and one that often is tells nothing"
        );
        context.error(&at.span, message, "not usable", &help);
        return None;
    }
    Some(percent)
}
