//! The keys of the kinds `cloudwatch-alarm` and `cloudwatch-metric`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::context::{Context, text};
use super::counts::counts;
use super::place::Place;
use crate::model::Arn;
use crate::policy::types::{CloudwatchAlarmProbe, CloudwatchMetricProbe, MissingData, ProbeKind};

/// The periods below a minute that `GetMetricData` takes (API reference, `MetricStat.Period`).
const SHORT_PERIODS: [u64; 5] = [1, 5, 10, 20, 30];

/// Metrics may have so many dimensions (API reference, `Metric.Dimensions`).
const MOST_DIMENSIONS: usize = 30;

/// The statistics without a number in their names (user guide, "CloudWatch statistics definitions").
const STATISTICS: [&str; 6] = ["Average", "Sum", "Minimum", "Maximum", "SampleCount", "IQM"];

/// The letters before the number of a statistic: percentile, trimmed mean, winsorized mean, trimmed count, trimmed sum.
const WITH_A_NUMBER: [&str; 5] = ["p", "tm", "wm", "tc", "ts"];

/// The names before the brackets of a statistic with bounds of its own.
const WITH_BOUNDS: [&str; 5] = ["TM", "WM", "PR", "TC", "TS"];

pub(super) fn cloudwatch_alarm(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let (raw, span) = (&place.at.value, &place.at.span);
    let alarm = text(context, &raw.alarm, span, &place.path("alarm"), "the alarm's name or ARN")?;
    if alarm.starts_with("arn:") && alarm_of(&alarm).is_none() {
        let at = raw.alarm.as_ref().map_or(span, |at| &at.span);
        let help = "such as \"arn:aws:cloudwatch:us-east-1:123456789012:alarm:index-errors\"";
        context.error(at, format!("{alarm:?} is not an alarm"), "wants an alarm's ARN", help);
        return None;
    }
    let region = region(context, place)?;
    if let (Some(at), Some((of_arn, _)), Some(region)) = (&raw.region, alarm_of(&alarm), &region)
        && of_arn != region
    {
        let message = format!("the alarm is in {of_arn} by its ARN, and not in {region}");
        context.error(&at.span, message, "another region", "take it out: the ARN has the region");
        return None;
    }
    Some(ProbeKind::CloudwatchAlarm(CloudwatchAlarmProbe { alarm, region }))
}

pub(super) fn cloudwatch_metric(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let (raw, span) = (&place.at.value, &place.at.span);
    let namespace = text(context, &raw.namespace, span, &place.path("namespace"), "such as \"AWS/ApplicationELB\"");
    let (metrics, statistic) = (metrics(context, place), statistic(context, place));
    let help = "such as \"60s\"";
    let period = context.required(&raw.period, span, &place.path("period"), help).and_then(|at| {
        if is_period(at.value.0) {
            return Some(at.value.0);
        }
        let message = "a period is 1, 5, 10, 20 or 30 seconds, or whole minutes of at most a day";
        context.error(&at.span, message, "not usable", help);
        None
    });
    let dimensions = match &raw.dimensions {
        None => Some(BTreeMap::new()),
        Some(at) if at.value.len() > MOST_DIMENSIONS || at.value.iter().any(|(k, v)| k.is_empty() || v.is_empty()) => {
            let message = format!("a metric has at most {MOST_DIMENSIONS} dimensions, none of them empty");
            context.error(&at.span, message, "not usable", "such as { LoadBalancer = \"app/index/0123456789abcdef\" }");
            None
        }
        Some(at) => Some(at.value.clone()),
    };
    if let (Some(period), Some(at)) = (period, &raw.max_age)
        && at.value.0 < period
    {
        let message = "the newest period that is over is up to a whole period old: `max_age` is shorter";
        context.warning(&at.span, message, "bad again and again", "at least two periods, and what the metric is late");
    }
    let region = region(context, place);
    let (metric, of) = metrics?;
    Some(ProbeKind::CloudwatchMetric(CloudwatchMetricProbe {
        namespace: namespace?,
        metric,
        of,
        dimensions: dimensions?,
        statistic: statistic?,
        period: period?,
        missing: raw.missing.as_ref().map_or_else(MissingData::default, |at| at.value),
        region: region?,
    }))
}

/// The metric of the number, or those of the two counts of a share. `None` where an error is reported.
fn metrics(context: &mut Context<'_>, place: Place<'_>) -> Option<(String, Option<String>)> {
    let (raw, span) = (&place.at.value, &place.at.span);
    let help = "such as \"HTTPCode_Target_5XX_Count\"";
    match counts(context, place, "metric", raw.metric.as_ref())? {
        None => text(context, &raw.metric, span, &place.path("metric"), help).map(|metric| (metric, None)),
        Some(_) => {
            let events = text(context, &raw.events, span, &place.path("events"), help);
            let of = text(context, &raw.of, span, &place.path("of"), "such as \"RequestCount\"");
            Some((events?, Some(of?)))
        }
    }
}

/// `statistic`: counts are sums.
fn statistic(context: &mut Context<'_>, place: Place<'_>) -> Option<String> {
    let (raw, span) = (&place.at.value, &place.at.span);
    let are_counts = raw.events.is_some() || raw.of.is_some();
    if are_counts && raw.statistic.is_none() && !context.damaged.touches(&place.path("statistic")) {
        return Some("Sum".to_owned());
    }
    let help = "such as \"Sum\", \"Average\" or \"p99\"";
    let at = context.required(&raw.statistic, span, &place.path("statistic"), help)?;
    if are_counts && at.value != "Sum" {
        let message = format!("`events` and `of` are counts, which are a \"Sum\", and not {:?}", at.value);
        context.error(&at.span, message, "no count", "take it out: it is \"Sum\" then");
        return None;
    }
    if is_statistic(&at.value) {
        return Some(at.value.clone());
    }
    context.error(&at.span, format!("{:?} is not a statistic of CloudWatch", at.value), "unknown", help);
    None
}

fn region(context: &mut Context<'_>, place: Place<'_>) -> Option<Option<String>> {
    let Some(at) = &place.at.value.region else { return Some(None) };
    let is_region = |text: &str| {
        text.len() <= 30
            && text.contains('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !is_region(&at.value) {
        let help = "such as \"us-east-1\"";
        context.error(&at.span, format!("{:?} is not a region", at.value), "not usable", help);
        return None;
    }
    Some(Some(at.value.clone()))
}

/// Region and name of an alarm's ARN; `None` where it is no such ARN.
pub(crate) fn alarm_of(arn: &str) -> Option<(&str, &str)> {
    let arn = Arn::parse(arn).filter(|arn| arn.service == "cloudwatch" && !arn.region.is_empty())?;
    let name = arn.resource.strip_prefix("alarm:").filter(|name| !name.is_empty())?;
    Some((arn.region, name))
}

fn is_period(period: Duration) -> bool {
    let seconds = period.as_secs();
    let is_whole = period.subsec_nanos() == 0;
    is_whole && (SHORT_PERIODS.contains(&seconds) || (seconds > 0 && seconds.is_multiple_of(60) && seconds <= 86_400))
}

fn is_statistic(text: &str) -> bool {
    let is_number = |number: &str| number.parse::<f64>().is_ok_and(|number| (0.0..=100.0).contains(&number));
    let numbered = |letters: &&str| {
        text.strip_prefix(*letters)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && is_number(rest))
    };
    let bounded = |name: &&str| {
        let inner = text.strip_prefix(*name).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
        inner.is_some_and(|inner| inner.contains(':'))
    };
    STATISTICS.contains(&text) || WITH_A_NUMBER.iter().any(numbered) || WITH_BOUNDS.iter().any(bounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_cloudwatchs_own() {
        for text in ["Average", "SampleCount", "IQM", "p99", "p99.9", "p0", "tm90", "wm98", "TM(2%:98%)", "PR(:300)"] {
            assert!(is_statistic(text), "{text}");
        }
        for text in ["", "average", "p", "p101", "p-1", "pinf", "median", "TM", "PR(300)"] {
            assert!(!is_statistic(text), "{text}");
        }
    }

    #[test]
    fn periods_are_those_that_cloudwatch_takes() {
        for (millis, good) in
            [(1_000, true), (20_000, true), (60_000, true), (300_000, true), (86_400_000, true), (0, false)]
        {
            assert_eq!(is_period(Duration::from_millis(millis)), good, "{millis}");
        }
        for millis in [500, 2_000, 45_000, 61_000, 60_001, 86_460_000] {
            assert!(!is_period(Duration::from_millis(millis)), "{millis}");
        }
    }

    #[test]
    fn alarms_are_arns_of_any_partition() {
        for (arn, of) in [
            ("arn:aws:cloudwatch:us-east-1:123456789012:alarm:index errors", Some(("us-east-1", "index errors"))),
            ("arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:a:b", Some(("cn-north-1", "a:b"))),
            ("arn:aws:cloudwatch::123456789012:alarm:a", None),
            ("arn:aws:cloudwatch:us-east-1:123456789012:alarm:", None),
            ("arn:aws:cloudwatch:us-east-1:123456789012:dashboard:a", None),
            ("index-errors", None),
        ] {
            assert_eq!(alarm_of(arn), of, "{arn}");
        }
    }
}
