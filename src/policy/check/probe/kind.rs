//! The kinds of `[[health.probe]]`, each with its own keys and no others. The kinds with many keys have files of their own.

use std::ops::Range;

use super::super::context::Context;
use super::cloudwatch::{cloudwatch_alarm, cloudwatch_metric};
use super::http::{http, prometheus};
use super::place::Place;
use crate::model::Arn;
use crate::policy::problem::suggest;
use crate::policy::raw::RawProbe;
use crate::policy::types::{ProbeKind, SimulatedMetric};
use crate::policy::value::Spanned;

const KINDS: [&str; 8] =
    ["simulated", "http", "tcp", "exec", "prometheus", "target-group", "cloudwatch-alarm", "cloudwatch-metric"];

/// Whether every answer of this kind is a number, which only a limit can call bad.
pub(super) fn needs_a_limit(kind: &str) -> bool {
    matches!(kind, "simulated" | "target-group" | "prometheus" | "cloudwatch-metric")
}

/// Whether an answer of this kind can be a number.
pub(super) fn has_a_number(kind: &str) -> bool {
    kind != "cloudwatch-alarm"
}

/// A key that not every kind has: its name, the kinds that have it, and where it stands if it does.
type Key<'a> = (&'static str, &'static [&'static str], Option<&'a Range<usize>>);

/// All of them.
fn keys(raw: &RawProbe) -> [Key<'_>; 21] {
    fn span<T>(of: &Option<Spanned<T>>) -> Option<&Range<usize>> {
        of.as_ref().map(|at| &at.span)
    }
    const METRIC: &[&str] = &["cloudwatch-metric"];
    const HTTP: &[&str] = &["http"];
    const COUNTS: &[&str] = &["http", "prometheus", "cloudwatch-metric"];
    [
        ("metric", &["simulated", "cloudwatch-metric"], span(&raw.metric)),
        ("url", &["http", "prometheus"], span(&raw.url)),
        ("headers", &["http", "prometheus"], span(&raw.headers)),
        ("method", HTTP, span(&raw.method)),
        ("expect_status", HTTP, span(&raw.expect_status)),
        ("pointer", HTTP, span(&raw.pointer)),
        ("events", COUNTS, span(&raw.events)),
        ("of", COUNTS, span(&raw.of)),
        ("parse", HTTP, span(&raw.parse)),
        ("redirects", HTTP, span(&raw.redirects)),
        ("address", &["tcp"], span(&raw.address)),
        ("command", &["exec"], span(&raw.command)),
        ("query", &["prometheus"], span(&raw.query)),
        ("arn", &["target-group"], span(&raw.arn)),
        ("alarm", &["cloudwatch-alarm"], span(&raw.alarm)),
        ("namespace", METRIC, span(&raw.namespace)),
        ("dimensions", METRIC, span(&raw.dimensions)),
        ("statistic", METRIC, span(&raw.statistic)),
        ("period", METRIC, span(&raw.period)),
        ("missing", METRIC, span(&raw.missing)),
        ("region", &["cloudwatch-alarm", "cloudwatch-metric"], span(&raw.region)),
    ]
}

/// The probe's kind with its keys.
pub(super) fn kind_of(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let (raw, span) = (&place.at.value, &place.at.span);
    let help = "\"simulated\", \"http\", \"tcp\", \"exec\", \"prometheus\", \"target-group\", \"cloudwatch-alarm\" or \
                \"cloudwatch-metric\"";
    let kind_at = context.required(&raw.kind, span, &place.path("kind"), help)?;
    let kind = kind_at.value.as_str();
    if !KINDS.contains(&kind) {
        let help = suggest(kind, "kinds are", KINDS);
        context.error(&kind_at.span, format!("there is no probe kind `{kind}`"), "unknown kind", &help);
        return None;
    }
    for (key, of, at) in keys(raw) {
        if let Some(at) = at.filter(|_| !of.contains(&kind)) {
            let message = format!("`{key}` is not a key of the probe kind `{kind}`");
            let of = of.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" or ");
            context.error(at, message, &format!("of kind {of}"), "take it out, or change `kind`");
        }
    }
    match kind {
        "simulated" => simulated(context, place),
        "http" => http(context, place),
        "tcp" => tcp(context, place),
        "prometheus" => prometheus(context, place),
        "target-group" => target_group(context, place),
        "cloudwatch-alarm" => cloudwatch_alarm(context, place),
        "cloudwatch-metric" => cloudwatch_metric(context, place),
        _ => exec(context, place),
    }
}

fn simulated(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let help = "\"error_rate\", \"latency_ms\" or \"utilization\"";
    let at = context.required(&place.at.value.metric, &place.at.span, &place.path("metric"), help)?;
    let metric = match at.value.as_str() {
        "error_rate" => SimulatedMetric::ErrorRate,
        "latency_ms" => SimulatedMetric::LatencyMs,
        "utilization" => SimulatedMetric::Utilization,
        other => {
            let help = suggest(other, "metrics are", ["error_rate", "latency_ms", "utilization"]);
            context.error(&at.span, format!("a simulated fleet has no metric `{other}`"), "unknown metric", &help);
            return None;
        }
    };
    Some(ProbeKind::Simulated { metric })
}

fn tcp(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let help = "such as \"index.internal:443\"";
    let address = context.required(&place.at.value.address, &place.at.span, &place.path("address"), help)?;
    if !is_address(&address.value) {
        let message = format!("{:?} is not an address", address.value);
        context.error(&address.span, message, "wants host:port", help);
        return None;
    }
    Some(ProbeKind::Tcp { address: address.value.clone() })
}

fn target_group(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let help = "such as \"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef\"";
    let arn = context.required(&place.at.value.arn, &place.at.span, &place.path("arn"), help)?;
    if region_of(&arn.value).is_none() {
        let message = format!("{:?} is not a target group", arn.value);
        context.error(&arn.span, message, "wants an ARN", help);
        return None;
    }
    Some(ProbeKind::TargetGroup { arn: arn.value.clone() })
}

fn exec(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let help = "program and arguments, such as [\"./check-index\", \"--quick\"]";
    let command = context.required(&place.at.value.command, &place.at.span, &place.path("command"), help)?;
    if command.value.first().is_none_or(|program| program.trim().is_empty()) {
        context.error(&command.span, "`command` names no program", "empty", help);
        return None;
    }
    Some(ProbeKind::Exec { command: command.value.clone() })
}

/// The region of a target group's ARN, in whichever partition; `None` where it is no such ARN.
pub(crate) fn region_of(arn: &str) -> Option<&str> {
    let arn = Arn::parse(arn).filter(|arn| arn.service == "elasticloadbalancing" && !arn.region.is_empty())?;
    let is_group = arn.resource.starts_with("targetgroup/") && arn.resource.split('/').count() == 3;
    is_group.then_some(arn.region)
}

fn is_address(text: &str) -> bool {
    text.parse::<ureq::http::uri::Authority>().is_ok_and(|authority| {
        let port = authority.port();
        let port_fits = port.is_some_and(|port| port.as_u16() > 0 && port.as_str().bytes().all(|b| b.is_ascii_digit()));
        port_fits && !authority.host().is_empty() && !text.contains('@')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_groups_are_arns_of_any_partition() {
        for (arn, region) in [
            ("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/73e2d6bc24d8a067", Some("us-east-1")),
            ("arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/web/1", Some("cn-north-1")),
            ("arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:targetgroup/w/1", Some("us-gov-west-1")),
            ("arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/1", None),
            ("arn:aws:elasticloadbalancing::123456789012:targetgroup/web/1", None),
            ("arn:aws:elasticloadbalancing:us-east-1:12:targetgroup/web/1", None),
            ("arn:aws:autoscaling:us-east-1:123456789012:targetgroup/web/1", None),
            ("web", None),
            ("", None),
        ] {
            assert_eq!(region_of(arn), region, "{arn}");
        }
    }

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for text in ["index.internal:443", "127.0.0.1:80", "[::1]:80"] {
            assert!(is_address(text), "{text}");
        }
        for text in ["", ":80", "index", "index:", "index:0", "index:65536", "index:+80", "::1:80", "http://x:80"] {
            assert!(!is_address(text), "{text}");
        }
    }
}
