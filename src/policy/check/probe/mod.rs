//! `[[health.probe]]`: the keys that every kind has. Those of one kind are in `kind`.

mod cloudwatch;
mod counts;
mod http;
mod kind;
mod misleading;
mod place;

use std::time::Duration;

use super::context::Context;
use super::pace::some_time;
use crate::policy::raw::RawProbe;
use crate::policy::types::{Limits, ProbeKind, ProbeSpec};
use crate::policy::value::Spanned;
#[cfg(feature = "aws")]
pub(crate) use cloudwatch::alarm_of;
#[cfg(feature = "aws")]
pub(crate) use kind::region_of;
use kind::{has_a_number, kind_of, needs_a_limit};
pub(super) use misleading::{beside_others, by_itself};
use place::Place;

/// A probe that answers later than this says nothing about now; one that is sampled more often than this must be
/// faster.
const LONGEST_DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Clocks of servers are off by seconds, and their `Date` has whole ones.
const SHORTEST_DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);

/// Periods that a metric may be late. CloudWatch's load balancer metrics of a minute come one to three minutes later.
const DEFAULT_PERIODS_OF_AGE: u32 = 3;

/// Two scrapes of Prometheus' default interval of a minute, and some time to do them.
const SHORTEST_OF_PROMETHEUS: Duration = Duration::from_secs(150);

/// A longer unit is a description, and would push the limit off the line.
const LONGEST_UNIT: usize = 16;

/// One probe. `every` is the sampling period, if it is known.
pub(super) fn probe(
    context: &mut Context<'_>,
    at: &Spanned<RawProbe>,
    index: usize,
    every: Option<Duration>,
) -> Option<ProbeSpec> {
    let (place, raw) = (Place { at, index }, &at.value);
    let name = context.required(&raw.name, &at.span, &place.path("name"), "such as \"errors\"");
    let kind = kind_of(context, place);
    let timeout = match &raw.timeout {
        Some(at) => some_time(context, at, "timeout", "no probe answers in no time"),
        None => every.map(|every| every.min(LONGEST_DEFAULT_TIMEOUT)),
    };
    let max_age = match &raw.max_age {
        Some(at) => some_time(context, at, "max_age", "no reading has no age at all"),
        None => every.map(|every| default_max_age(kind.as_ref(), every)),
    };
    let limits = limits(context, place);
    let failures = match &raw.failures {
        None => Some(None),
        Some(at) if at.value.0 == 0 => {
            context.error(&at.span, "`failures` is 0: no sample is not a bad one", "nothing", "write at least 1");
            None
        }
        Some(at) => Some(Some(at.value.0)),
    };
    let unit = match &raw.unit {
        None => Some(None),
        Some(at) if is_unit(&at.value) => Some(Some(at.value.clone())),
        Some(at) => {
            let message = format!("{:?} is not a unit", at.value);
            context.error(&at.span, message, "not usable", "1 to 16 characters without spaces, such as \"ms\"");
            None
        }
    };
    Some(ProbeSpec {
        name: name?.value.0.clone(),
        kind: kind?,
        timeout: timeout?,
        max_age: Some(max_age?),
        limits,
        failures: failures?,
        role: raw.role.unwrap_or_default(),
        unit: unit?,
    })
}

fn default_max_age(kind: Option<&ProbeKind>, every: Duration) -> Duration {
    let of_all = every.saturating_mul(2).max(SHORTEST_DEFAULT_MAX_AGE);
    match kind {
        Some(ProbeKind::CloudwatchMetric(metric)) => of_all.max(metric.period.saturating_mul(DEFAULT_PERIODS_OF_AGE)),
        Some(ProbeKind::Prometheus(_)) => of_all.max(SHORTEST_OF_PROMETHEUS),
        Some(
            ProbeKind::Simulated { .. }
            | ProbeKind::Http(_)
            | ProbeKind::Tcp { .. }
            | ProbeKind::Exec { .. }
            | ProbeKind::TargetGroup { .. }
            | ProbeKind::CloudwatchAlarm(_),
        )
        | None => of_all,
    }
}

fn limits(context: &mut Context<'_>, place: Place<'_>) -> Limits {
    let (raw, span) = (&place.at.value, &place.at.span);
    let limits = Limits {
        max: raw.max.as_ref().map(|at| at.value.0),
        min: raw.min.as_ref().map(|at| at.value.0),
        max_increase: raw.max_increase.as_ref().map(|at| at.value.0),
        max_decrease: raw.max_decrease.as_ref().map(|at| at.value.0),
    };
    let is_damaged =
        ["max", "min", "max_increase", "max_decrease"].iter().any(|key| context.damaged.touches(&place.path(key)));
    let kind = raw.kind.as_ref().map(|at| at.value.as_str()).unwrap_or_default();
    if needs_a_limit(kind) && limits == Limits::default() && !is_damaged {
        let help = "such as max = 0.01, or max_increase = \"20%\"";
        context.error(span, "the probe has no limit: no number would ever be bad", "this probe", help);
    }
    if !has_a_number(kind) && limits != Limits::default() {
        let message = format!("a probe of kind `{kind}` has no number that a limit could be compared with");
        context.error(span, message, "this probe", "take the limit out: the alarm has its own");
    }
    if let (Some(max), Some(min), Some(at)) = (limits.max, limits.min, &raw.min)
        && min > max
    {
        let message = format!("`min`, {min}, is above `max`, {max}: no number would be good");
        context.error(&at.span, message, "above `max`", "a reading is good from `min` to `max`");
    }
    limits
}

/// Whether people can read it behind a number.
fn is_unit(text: &str) -> bool {
    let is_shown = |c: char| !c.is_whitespace() && !c.is_control();
    (1..=LONGEST_UNIT).contains(&text.chars().count()) && text.chars().all(is_shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_short_and_can_be_read() {
        for text in ["ms", "%", "req/s", "\u{b5}s"] {
            assert!(is_unit(text), "{text}");
        }
        for text in ["", " ", "m s", "\u{1b}[2J", "messages per second"] {
            assert!(!is_unit(text), "{text:?}");
        }
    }
}
