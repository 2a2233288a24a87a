//! The keys of kind `http`, and of `prometheus`, which is asked by HTTP too.

use std::collections::BTreeSet;

use super::super::context::{Context, text};
use super::super::web::{headers, url};
use super::counts::counts;
use super::place::Place;
use crate::policy::types::{HeaderSource, HttpProbe, ProbeKind, PrometheusProbe, ValueSource};
use crate::policy::value::Spanned;

/// More is a circle, or a tour of the company. Browsers give up after 20.
const MOST_REDIRECTS: u64 = 10;

/// Headers that are sent along a redirect to the same host only, or not at all.
const STAYS_AT_HOME: [&str; 2] = ["authorization", "cookie"];

/// Headers that may be sent to any host, where their value stands in the policy file.
const TELLS_NOTHING: [&str; 3] = ["accept", "accept-language", "user-agent"];

pub(super) fn http(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let raw = &place.at.value;
    let url = url(context, &raw.url, &place.at.span, &place.path("url"), "such as \"https://index.internal/health\"");
    let method = match &raw.method {
        None => Some("GET".to_owned()),
        Some(at) if !at.value.is_empty() && at.value.bytes().all(|b| b.is_ascii_uppercase()) => Some(at.value.clone()),
        Some(at) => {
            let help = "capital letters, such as \"GET\" or \"HEAD\"";
            context.error(&at.span, format!("{:?} is not a method", at.value), "not usable", help);
            None
        }
    };
    let pointers = pointers(context, place);
    for (key, at) in [("pointer", &raw.pointer), ("events", &raw.events)] {
        if let (Some(at), Some("HEAD")) = (at, method.as_deref()) {
            let message = format!("the answer to HEAD has no body for `{key}` to find a number in");
            context.error(&at.span, message, "nothing there", "take it out, or write method = \"GET\"");
        }
    }
    if let (Some(at), None, None) = (&raw.parse, &raw.pointer, &raw.events) {
        let message = "`parse` says how the number at `pointer` is written, and there is no `pointer`";
        context.error(&at.span, message, "of nothing", "take it out, or write a `pointer`");
    }
    let redirects = match &raw.redirects {
        None => Some(0),
        Some(at) if at.value.0 <= MOST_REDIRECTS => Some(at.value.0),
        Some(at) => {
            let message = format!("`redirects` is at most {MOST_REDIRECTS}");
            context.error(&at.span, message, "too many", "name the address at the end of them");
            None
        }
    };
    let expect_status = statuses(context, place);
    let headers = headers(context, raw.headers.as_ref(), &place.path("headers"));
    let may_travel = |(name, source): &(&String, &HeaderSource)| {
        let is_open = matches!(source.from, ValueSource::Value(_)) && TELLS_NOTHING.contains(&name.as_str());
        is_open || STAYS_AT_HOME.contains(&name.as_str())
    };
    if let (Some(at), Some(headers), Some(1..)) = (&raw.redirects, &headers, redirects)
        && let Some((header, _)) = headers.iter().find(|header| !may_travel(header))
    {
        let message = format!("a redirect would take the header `{header}` to whichever server it names");
        context.error(&at.span, message, "not with this header", "name the address at the end of the redirects");
        return None;
    }
    let (pointer, of) = pointers?;
    Some(ProbeKind::Http(HttpProbe {
        url: url?,
        method: method?,
        expect_status: expect_status?,
        pointer,
        of,
        parse: raw.parse.as_ref().map(|at| at.value).unwrap_or_default(),
        redirects: redirects?,
        headers: headers?,
    }))
}

/// The pointers to the number, or to the two counts of a share. `None` where an error is reported.
fn pointers(context: &mut Context<'_>, place: Place<'_>) -> Option<(Option<String>, Option<String>)> {
    let number = place.at.value.pointer.as_ref();
    match (counts(context, place, "pointer", number)?, number) {
        (None, None) => Some((None, None)),
        (None, Some(at)) => pointer(context, at).map(|pointer| (Some(pointer), None)),
        (Some(counts), _) => {
            let (events, of) = (pointer(context, counts.events), pointer(context, counts.of));
            Some((Some(events?), Some(of?)))
        }
    }
}

fn pointer(context: &mut Context<'_>, at: &Spanned<String>) -> Option<String> {
    if is_pointer(&at.value) {
        return Some(at.value.clone());
    }
    let (label, help) = match at.value.starts_with('/') {
        true => ("not escaped", "in a JSON pointer (RFC 6901) a tilde is ~0, and a slash of a name ~1".to_owned()),
        false => {
            let path = at.value.replace('.', "/");
            ("no slash", format!("a JSON pointer (RFC 6901) begins with a slash: \"/{path}\""))
        }
    };
    context.error(&at.span, format!("{:?} is not a JSON pointer", at.value), label, &help);
    None
}

pub(super) fn prometheus(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let help = "such as \"http://prometheus.internal:9090\"";
    let raw = &place.at.value;
    let url = url(context, &raw.url, &place.at.span, &place.path("url"), help).filter(|url| {
        let address = url.to_string();
        let path = address.split('?').next().unwrap_or_default().trim_end_matches('/');
        let is_bare = path.ends_with("/api/v1/query") || path.ends_with("/api/v1");
        if let (true, Some(at)) = (is_bare, &place.at.value.url) {
            context.error(&at.span, "the path of the API is added to `url`", "one path too many", help);
        }
        !is_bare
    });
    let queries = queries(context, place);
    let headers = headers(context, raw.headers.as_ref(), &place.path("headers"));
    let (query, of) = queries?;
    Some(ProbeKind::Prometheus(PrometheusProbe { url: url?, query, of, headers: headers? }))
}

/// The query for the number, or those for the two counts of a share. `None` where an error is reported.
fn queries(context: &mut Context<'_>, place: Place<'_>) -> Option<(String, Option<String>)> {
    let (raw, span) = (&place.at.value, &place.at.span);
    match counts(context, place, "query", raw.query.as_ref())? {
        None => {
            let help = "PromQL with one sample, such as 'sum(rate(http_requests_total{code=~\"5..\"}[2m]))'";
            text(context, &raw.query, span, &place.path("query"), help).map(|query| (query, None))
        }
        Some(_) => {
            let help = "PromQL with one sample, such as 'sum(increase(http_requests_total{code=~\"5..\"}[1m]))'";
            let events = text(context, &raw.events, span, &place.path("events"), help);
            let of = text(context, &raw.of, span, &place.path("of"), help);
            Some((events?, Some(of?)))
        }
    }
}

fn statuses(context: &mut Context<'_>, place: Place<'_>) -> Option<BTreeSet<u16>> {
    let Some(list) = &place.at.value.expect_status else { return Some(BTreeSet::from([200])) };
    let good: Option<BTreeSet<u16>> = list
        .value
        .iter()
        .map(|at| u16::try_from(at.value.0).ok().filter(|status| (100..=599).contains(status)))
        .collect();
    let good = good.filter(|good| !good.is_empty());
    if good.is_none() && !context.damaged.touches(&place.path("expect_status")) {
        let help = "such as [200, 204]";
        context.error(&list.span, "`expect_status` is a list of statuses from 100 to 599", "no such", help);
    }
    good
}

/// RFC 6901, section 3: empty, or tokens behind slashes in which a tilde is `~0` or `~1`.
fn is_pointer(text: &str) -> bool {
    let is_escaped = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(is_escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        for text in ["", "/", "/a/0/b~1c", "/~0~1"] {
            assert!(is_pointer(text), "{text}");
        }
        for text in ["a", "/a~", "/a~2b", "a/b"] {
            assert!(!is_pointer(text), "{text}");
        }
    }
}
