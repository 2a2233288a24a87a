//! Warnings where a probe is legal and will mislead: it aborts what is harmless, or calls a dead source good.

use std::time::Duration;

use super::super::context::Context;
use crate::model::duration_text;
use crate::policy::raw::RawProbe;
use crate::policy::types::{
    CloudwatchMetricProbe, Headers, Limits, MissingData, ProbeKind, ProbeSpec, PrometheusProbe, ValueSource,
};
use crate::policy::value::Spanned;

/// Warnings that the probe alone gives reason for.
pub(in crate::policy::check) fn by_itself(
    context: &mut Context<'_>,
    at: &Spanned<RawProbe>,
    probe: &ProbeSpec,
    bake: Duration,
) {
    one_sample_ends_a_run(context, &at.value, probe);
    period_outlasts_bake(context, &at.value, probe, bake);
    secret_in_the_file(context, at, probe);
}

fn one_sample_ends_a_run(context: &mut Context<'_>, raw: &RawProbe, probe: &ProbeSpec) {
    let relative = raw.max_increase.as_ref().map(|at| &at.span).or(raw.max_decrease.as_ref().map(|at| &at.span));
    if let (Some(span), Some(1)) = (relative, probe.failures) {
        let message = format!("one noisy sample of probe `{}` beyond a relative limit ends a run", probe.name);
        let help = "leave `failures` out: a test allows for noise then; or write failures = 3";
        context.warning(span, message, "of a number that varies", help);
    }
}

fn period_outlasts_bake(context: &mut Context<'_>, raw: &RawProbe, probe: &ProbeSpec, bake: Duration) {
    if let (ProbeKind::CloudwatchMetric(metric), Some(at)) = (&probe.kind, &raw.period)
        && metric.period.saturating_mul(2) > bake
    {
        let (bake, name) = (duration_text(bake), &probe.name);
        let message = format!("a bake of {bake} may end before one period of probe `{name}` lies within it");
        let help = "a bake of two periods at least, and what the metric is late; or a shorter period";
        context.warning(&at.span, message, "reads what was before", help);
    }
}

fn secret_in_the_file(context: &mut Context<'_>, at: &Spanned<RawProbe>, probe: &ProbeSpec) {
    for (header, source) in headers(&probe.kind).into_iter().flatten() {
        if !matches!(source.from, ValueSource::Value(_)) || !is_secret(header) {
            continue;
        }
        let message = format!("the value of the header `{header}` stands in the policy file");
        let span = at.value.headers.as_ref().map_or(&at.span, |at| &at.span);
        let help = "write { file = \"token\" } or { env = \"TOKEN\" }";
        context.warning(span, message, "who reads the file, reads it", help);
    }
}

fn headers(kind: &ProbeKind) -> Option<&Headers> {
    match kind {
        ProbeKind::Http(http) => Some(&http.headers),
        ProbeKind::Prometheus(prometheus) => Some(&prometheus.headers),
        ProbeKind::Simulated { .. }
        | ProbeKind::Tcp { .. }
        | ProbeKind::Exec { .. }
        | ProbeKind::TargetGroup { .. }
        | ProbeKind::CloudwatchAlarm(_)
        | ProbeKind::CloudwatchMetric(_) => None,
    }
}

/// Whether the value of a header with this name, in lower case, is likely one that nobody may know.
fn is_secret(header: &str) -> bool {
    ["auth", "token", "key", "cookie", "secret", "password"].iter().any(|word| header.contains(word))
}

/// Warnings that only all probes of a subsystem together give reason for.
pub(in crate::policy::check) fn beside_others(
    context: &mut Context<'_>,
    list: &[Spanned<RawProbe>],
    probes: &[ProbeSpec],
) {
    if probes.iter().any(notices_a_dead_source) {
        return;
    }
    for (at, probe) in list.iter().zip(probes).filter(|(_, probe)| falls_to_zero(probe)) {
        let message = format!("probe `{}` may read 0 when its source is dead, which is within its limit", probe.name);
        let help = "write a `min` or `max_decrease` for it, or a probe of the traffic beside it";
        context.warning(&at.span, message, "dead looks healthy", help);
    }
}

/// Whether the probe is bad when nothing works any more.
fn notices_a_dead_source(probe: &ProbeSpec) -> bool {
    let Limits { min, max_decrease, max: _, max_increase: _ } = probe.limits;
    let fails = match &probe.kind {
        ProbeKind::Http(_)
        | ProbeKind::Tcp { .. }
        | ProbeKind::Exec { .. }
        | ProbeKind::TargetGroup { .. }
        | ProbeKind::CloudwatchAlarm(_)
        | ProbeKind::Simulated { .. } => true,
        // A share of nothing is a bad sample.
        ProbeKind::Prometheus(prometheus) => prometheus.of.is_some(),
        ProbeKind::CloudwatchMetric(metric) => metric.of.is_some(),
    };
    probe.role.is_watch()
        && (fails
            || min.is_some_and(|min| min > 0.0)
            || max_decrease.is_some_and(|most| most < rust_decimal::Decimal::ONE_HUNDRED))
}

/// Whether the number is one of how much happened, which is 0 where nothing does. A share of nothing is no reading, and so
/// never 0.
fn falls_to_zero(probe: &ProbeSpec) -> bool {
    match &probe.kind {
        ProbeKind::CloudwatchMetric(CloudwatchMetricProbe { of: Some(_), .. })
        | ProbeKind::Prometheus(PrometheusProbe { of: Some(_), .. }) => false,
        ProbeKind::CloudwatchMetric(CloudwatchMetricProbe { statistic, missing, .. }) => {
            *missing == MissingData::Zero || statistic == "Sum" || statistic == "SampleCount"
        }
        ProbeKind::Prometheus(prometheus) => {
            let query = without_labels(&prometheus.query);
            // A share of nothing is no number, unless the query makes it one.
            let is_share = query.contains('/');
            query.contains("vector(0)")
                || (!is_share && ["rate(", "increase(", "count", "sum"].iter().any(|part| query.contains(part)))
        }
        ProbeKind::Simulated { .. }
        | ProbeKind::Http(_)
        | ProbeKind::Tcp { .. }
        | ProbeKind::Exec { .. }
        | ProbeKind::TargetGroup { .. }
        | ProbeKind::CloudwatchAlarm(_) => false,
    }
}

/// The query without what stands in braces: values of labels are any text.
fn without_labels(query: &str) -> String {
    let mut depth = 0_u32;
    let outside = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => return Some(c),
            _ => {}
        }
        None
    };
    query.chars().filter_map(outside).collect()
}
