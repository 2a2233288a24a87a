//! `[health]`: the bake, the sampling period and the probes, each with the keys of its kind and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::context::Context;
use super::pace::some_time;
use crate::model::Arn;
use crate::policy::problem::suggest;
use crate::policy::raw::{RawHealth, RawProbe};
use crate::policy::types::{HealthPolicy, Limits, ProbeKind, ProbeSpec};
use crate::policy::value::Spanned;

/// A probe that answers later than this says nothing about now; one that is sampled more often than this must be
/// faster.
const LONGEST_DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Clocks of servers are off by seconds, and their `Date` has whole ones.
const SHORTEST_DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);

/// A longer unit is a description, and would push the limit off the line.
const LONGEST_UNIT: usize = 16;

const KINDS: [&str; 5] = ["simulated", "http", "tcp", "exec", "target-group"];
const EXAMPLE: &str = "write: [health], bake = \"3m\", every = \"10s\", and a [[health.probe]]";

pub(super) fn health(context: &mut Context<'_>, at: Option<&Spanned<RawHealth>>) -> Option<HealthPolicy> {
    let Some(at) = at else {
        if !context.damaged.touches("health") {
            context.error(&(0..0), "there is no [health]", "", EXAMPLE);
        }
        return None;
    };
    let raw = &at.value;
    let help = "how long everything is watched before a batch is terminated, such as \"3m\"";
    let bake_at = context.required(&raw.bake, &at.span, "health.bake", help);
    let bake = bake_at.and_then(|at| some_time(context, at, "bake", "a batch would be terminated unwatched"));
    let help = "the sampling period, such as \"10s\"";
    let every_at = context.required(&raw.every, &at.span, "health.every", help);
    let every = every_at.and_then(|at| some_time(context, at, "every", "nothing can be sampled all the time"));
    if let (Some(bake), Some(every), Some(at)) = (bake, every, every_at)
        && every > bake
    {
        let help = "sample several times in a bake: an error between two samples is not seen";
        context.warning(&at.span, "`every` is longer than `bake`", "hardly sampled", help);
    }
    let list = raw.probe.as_ref().map(|list| list.value.as_slice()).unwrap_or_default();
    if list.is_empty() && !context.damaged.touches("health.probe") {
        let message = "no probe: only the fleet's own state is watched during a bake";
        context.warning(&at.span, message, "nothing is read", "add a [[health.probe]] that shows whether it works");
    }
    let mut probes = Some(Vec::new());
    let mut names = BTreeMap::new();
    for (index, at) in list.iter().enumerate() {
        if let Some(name) = &at.value.name
            && let Some(first) = names.insert(name.value.0.clone(), index + 1)
        {
            let message = format!("the name `{}` is also that of probe {first}", name.value.0);
            context.error(&name.span, message, "used twice", "each probe of a subsystem has its own name");
        }
        let probe = probe(context, at, index, every);
        if let (Some(probe), Some(bake), Some(every)) = (&probe, bake, every) {
            outlasts_bake(context, &at.value, probe, bake, every);
        }
        probes = probes.zip(probe).map(|(mut probes, probe)| {
            probes.push(probe);
            probes
        });
    }
    Some(HealthPolicy { bake: bake?, every: every?, probes: probes? })
}

/// Warns about a probe that is slower than its sampling, or that needs more bad samples than a bake has.
fn outlasts_bake(context: &mut Context<'_>, raw: &RawProbe, probe: &ProbeSpec, bake: Duration, every: Duration) {
    if let Some(at) = &raw.timeout
        && probe.timeout > every
    {
        let message = format!("the timeout of probe `{}` is longer than `every`", probe.name);
        context.warning(&at.span, message, "delays the next sample", "shorten it, or sample less often");
    }
    let samples = u64::try_from(bake.as_millis() / every.as_millis().max(1)).unwrap_or(u64::MAX).saturating_add(1);
    if let Some(at) = &raw.failures
        && probe.failures > samples
    {
        let message = format!("probe `{}` needs {} bad samples, a bake has {samples}", probe.name, probe.failures);
        context.warning(&at.span, message, "no bake can fail by it", "fewer failures, or a longer bake");
    }
}

fn probe(
    context: &mut Context<'_>,
    at: &Spanned<RawProbe>,
    index: usize,
    every: Option<Duration>,
) -> Option<ProbeSpec> {
    let raw = &at.value;
    let path = |key: &str| format!("health.probe.{index}.{key}");
    let name = context.required(&raw.name, &at.span, &path("name"), "such as \"errors\"");
    let help = "\"simulated\", \"http\", \"tcp\", \"exec\" or \"target-group\"";
    let kind_at = context.required(&raw.kind, &at.span, &path("kind"), help);
    let kind = kind_at.and_then(|kind| probe_kind(context, at, index, &kind.value, kind));
    let timeout = match &raw.timeout {
        Some(at) => some_time(context, at, "timeout", "no probe answers in no time"),
        None => every.map(|every| every.min(LONGEST_DEFAULT_TIMEOUT)),
    };
    let max_age = match &raw.max_age {
        Some(at) => some_time(context, at, "max_age", "no reading has no age at all"),
        None => every.map(|every| every.saturating_mul(2).max(SHORTEST_DEFAULT_MAX_AGE)),
    };
    let limits = Limits {
        max: raw.max.as_ref().map(|at| at.value.0),
        min: raw.min.as_ref().map(|at| at.value.0),
        max_increase: raw.max_increase.as_ref().map(|at| at.value.0),
        max_decrease: raw.max_decrease.as_ref().map(|at| at.value.0),
    };
    let limits_damaged =
        ["max", "min", "max_increase", "max_decrease"].iter().any(|k| context.damaged.touches(&path(k)));
    let is_number = |kind: &Spanned<String>| matches!(kind.value.as_str(), "simulated" | "target-group");
    if kind_at.is_some_and(is_number) && limits == Limits::default() && !limits_damaged {
        let help = "such as max = 0.01, or max_increase = \"20%\"";
        context.error(&at.span, "the probe has no limit: no number would ever be bad", "this probe", help);
    }
    if let (Some(max), Some(min), Some(at)) = (limits.max, limits.min, &raw.min)
        && min > max
    {
        let message = format!("`min`, {min}, is above `max`, {max}: no number would be good");
        context.error(&at.span, message, "above `max`", "a reading is good from `min` to `max`");
    }
    let failures = match &raw.failures {
        None => Some(1),
        Some(at) if at.value.0 == 0 => {
            context.error(&at.span, "`failures` is 0: no sample is not a bad one", "nothing", "write at least 1");
            None
        }
        Some(at) => Some(at.value.0),
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
        unit: unit?,
    })
}

/// Whether people can read it behind a number.
fn is_unit(text: &str) -> bool {
    let is_shown = |c: char| !c.is_whitespace() && !c.is_control();
    (1..=LONGEST_UNIT).contains(&text.chars().count()) && text.chars().all(is_shown)
}

fn probe_kind(
    context: &mut Context<'_>,
    at: &Spanned<RawProbe>,
    index: usize,
    kind: &str,
    kind_at: &Spanned<String>,
) -> Option<ProbeKind> {
    let raw = &at.value;
    let path = |key: &str| format!("health.probe.{index}.{key}");
    if !KINDS.contains(&kind) {
        let help = suggest(kind, "kinds are", KINDS);
        context.error(&kind_at.span, format!("there is no probe kind `{kind}`"), "unknown kind", &help);
        return None;
    }
    let keys = [
        ("metric", "simulated", raw.metric.as_ref().map(|at| &at.span)),
        ("url", "http", raw.url.as_ref().map(|at| &at.span)),
        ("method", "http", raw.method.as_ref().map(|at| &at.span)),
        ("expect_status", "http", raw.expect_status.as_ref().map(|at| &at.span)),
        ("pointer", "http", raw.pointer.as_ref().map(|at| &at.span)),
        ("address", "tcp", raw.address.as_ref().map(|at| &at.span)),
        ("command", "exec", raw.command.as_ref().map(|at| &at.span)),
        ("arn", "target-group", raw.arn.as_ref().map(|at| &at.span)),
    ];
    for (key, of, span) in keys {
        if let Some(span) = span.filter(|_| of != kind) {
            let message = format!("`{key}` is not a key of the probe kind `{kind}`");
            context.error(span, message, &format!("of kind `{of}`"), "take it out, or change `kind`");
        }
    }
    match kind {
        "simulated" => {
            let help = "\"error_rate\", \"latency_ms\" or \"utilization\"";
            let metric = context.required(&raw.metric, &at.span, &path("metric"), help)?;
            Some(ProbeKind::Simulated { metric: metric.value })
        }
        "http" => http(context, at, &path("url")),
        "tcp" => {
            let help = "such as \"index.internal:443\"";
            let address = context.required(&raw.address, &at.span, &path("address"), help)?;
            if !is_address(&address.value) {
                let message = format!("{:?} is not an address", address.value);
                context.error(&address.span, message, "wants host:port", help);
                return None;
            }
            Some(ProbeKind::Tcp { address: address.value.clone() })
        }
        "target-group" => {
            let help =
                "such as \"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef\"";
            let arn = context.required(&raw.arn, &at.span, &path("arn"), help)?;
            if region_of(&arn.value).is_none() {
                let message = format!("{:?} is not a target group", arn.value);
                context.error(&arn.span, message, "wants an ARN", help);
                return None;
            }
            Some(ProbeKind::TargetGroup { arn: arn.value.clone() })
        }
        _ => {
            let help = "program and arguments, such as [\"./check-index\", \"--quick\"]";
            let command = context.required(&raw.command, &at.span, &path("command"), help)?;
            if command.value.first().is_none_or(|program| program.trim().is_empty()) {
                context.error(&command.span, "`command` names no program", "empty", help);
                return None;
            }
            Some(ProbeKind::Exec { command: command.value.clone() })
        }
    }
}

fn http(context: &mut Context<'_>, at: &Spanned<RawProbe>, path: &str) -> Option<ProbeKind> {
    let raw = &at.value;
    let help = "such as \"https://index.internal/health\"";
    let url = context.required(&raw.url, &at.span, path, help).and_then(|at| {
        if is_http_url(&at.value) {
            return Some(at.value.clone());
        }
        context.error(&at.span, format!("{:?} is not an http or https address", at.value), "not usable", help);
        None
    });
    let method = match &raw.method {
        None => Some("GET".to_owned()),
        Some(at) if !at.value.is_empty() && at.value.bytes().all(|b| b.is_ascii_uppercase()) => Some(at.value.clone()),
        Some(at) => {
            let help = "capital letters, such as \"GET\" or \"HEAD\"";
            context.error(&at.span, format!("{:?} is not a method", at.value), "not usable", help);
            None
        }
    };
    let statuses = match &raw.expect_status {
        None => Some(BTreeSet::from([200])),
        Some(list) => {
            let good: Option<BTreeSet<u16>> = list
                .value
                .iter()
                .map(|at| u16::try_from(at.value.0).ok().filter(|status| (100..=599).contains(status)))
                .collect();
            let good = good.filter(|good| !good.is_empty());
            if good.is_none() && !context.damaged.touches(&path.replace(".url", ".expect_status")) {
                let help = "such as [200, 204]";
                context.error(&list.span, "`expect_status` is a list of statuses from 100 to 599", "no such", help);
            }
            good
        }
    };
    let pointer = match &raw.pointer {
        None => Some(None),
        Some(at) if at.value.is_empty() || at.value.starts_with('/') => Some(Some(at.value.clone())),
        Some(at) => {
            let help = format!("a JSON pointer (RFC 6901) begins with a slash: \"/{}\"", at.value.replace('.', "/"));
            context.error(&at.span, format!("{:?} is not a JSON pointer", at.value), "no slash", &help);
            None
        }
    };
    Some(ProbeKind::Http { url: url?, method: method?, expect_status: statuses?, pointer: pointer? })
}

fn is_http_url(text: &str) -> bool {
    text.parse::<ureq::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
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

    #[test]
    fn units_are_short_and_can_be_read() {
        for text in ["ms", "%", "req/s", "\u{b5}s"] {
            assert!(is_unit(text), "{text}");
        }
        for text in ["", " ", "m s", "\u{1b}[2J", "messages per second"] {
            assert!(!is_unit(text), "{text:?}");
        }
    }

    #[test]
    fn urls_are_http_with_a_host() {
        for text in ["http://127.0.0.1:8080/health", "https://index.internal/a?b=c"] {
            assert!(is_http_url(text), "{text}");
        }
        for text in ["", "index", "ftp://x/", "http://", "http:///x", "/health", "http://a b/"] {
            assert!(!is_http_url(text), "{text}");
        }
    }
}
