//! The keys of kind `http`, and of `prometheus`, which is asked by HTTP too.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ureq::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, PRAGMA, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use ureq::http::{HeaderName, HeaderValue, Uri};

use super::super::context::{Context, text};
use super::place::Place;
use crate::policy::raw::{RawHeader, RawHeaderSource};
use crate::policy::types::{
    AuthScheme, HeaderSource, Headers, HttpProbe, Masked, ProbeKind, PrometheusProbe, ValueSource,
};
use crate::policy::value::Spanned;

/// More is a circle, or a tour of the company. Browsers give up after 20.
const MOST_REDIRECTS: u64 = 10;

/// Headers that may be sent along a redirect: those that say nothing of who asks, and the one that goes to the same host
/// only.
const STAYS_AT_HOME: [&str; 5] = ["accept", "accept-language", "authorization", "cookie", "user-agent"];

pub(super) fn http(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let raw = &place.at.value;
    let url = url(context, place, "such as \"https://index.internal/health\"");
    let method = match &raw.method {
        None => Some("GET".to_owned()),
        Some(at) if !at.value.is_empty() && at.value.bytes().all(|b| b.is_ascii_uppercase()) => Some(at.value.clone()),
        Some(at) => {
            let help = "capital letters, such as \"GET\" or \"HEAD\"";
            context.error(&at.span, format!("{:?} is not a method", at.value), "not usable", help);
            None
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
    if let (Some(at), Some("HEAD")) = (&raw.pointer, method.as_deref()) {
        let message = "the answer to HEAD has no body for `pointer` to find a number in";
        context.error(&at.span, message, "nothing there", "take it out, or write method = \"GET\"");
    }
    if let (Some(at), None) = (&raw.parse, &raw.pointer) {
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
    let (expect_status, headers) = (statuses(context, place), headers(context, place));
    if let (Some(at), Some(headers), Some(1..)) = (&raw.redirects, &headers, redirects)
        && let Some(header) = headers.keys().find(|name| !STAYS_AT_HOME.contains(&name.as_str()))
    {
        let message = format!("a redirect would take the header `{header}` to whichever server it names");
        context.error(&at.span, message, "not with this header", "name the address at the end of the redirects");
        return None;
    }
    Some(ProbeKind::Http(HttpProbe {
        url: url?,
        method: method?,
        expect_status: expect_status?,
        pointer: pointer?,
        parse: raw.parse.as_ref().map(|at| at.value).unwrap_or_default(),
        redirects: redirects?,
        headers: headers?,
    }))
}

pub(super) fn prometheus(context: &mut Context<'_>, place: Place<'_>) -> Option<ProbeKind> {
    let help = "such as \"http://prometheus.internal:9090\"";
    let url = url(context, place, help).filter(|url| {
        let is_bare = url.to_string().trim_end_matches('/').ends_with("/api/v1/query");
        if let (true, Some(at)) = (is_bare, &place.at.value.url) {
            context.error(&at.span, "the path of the API is added to `url`", "one path too many", help);
        }
        !is_bare
    });
    let path = place.path("query");
    let help = "PromQL with one sample, such as 'sum(rate(http_requests_total{code=~\"5..\"}[2m]))'";
    let query = text(context, &place.at.value.query, &place.at.span, &path, help);
    let headers = headers(context, place);
    Some(ProbeKind::Prometheus(PrometheusProbe { url: url?, query: query?, headers: headers? }))
}

fn url(context: &mut Context<'_>, place: Place<'_>, help: &str) -> Option<Masked> {
    let at = context.required(&place.at.value.url, &place.at.span, &place.path("url"), help)?;
    if is_http_url(&at.value) {
        return Some(Masked::url(&at.value));
    }
    context.error(&at.span, "`url` is not an http or https address", "not usable", help);
    None
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

fn headers(context: &mut Context<'_>, place: Place<'_>) -> Option<Headers> {
    let (mut headers, mut names) = (Some(BTreeMap::new()), BTreeSet::new());
    for (name, at) in place.at.value.headers.iter().flat_map(|list| &list.value) {
        if !names.insert(name.to_ascii_lowercase()) {
            let message = format!("the header `{name}` is there twice: upper and lower case are the same");
            context.error(&at.span, message, "used twice", "take one of them out");
        }
        let is_reported = context.damaged.touches(&place.path(&format!("headers.{name}")));
        let header = if is_reported { None } else { header(context, name, at) };
        headers = headers.zip(header).map(|(mut headers, (name, source))| {
            headers.insert(name, source);
            headers
        });
    }
    headers
}

fn header(context: &mut Context<'_>, name: &str, at: &Spanned<RawHeader>) -> Option<(String, HeaderSource)> {
    let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
        let help = "letters, digits and hyphens, such as Authorization";
        context.error(&at.span, format!("{name:?} is not the name of a header"), "not usable", help);
        return None;
    };
    // These say how a request is sent, or that no cache is to answer it.
    let own = [
        CACHE_CONTROL,
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        HOST,
        PRAGMA,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    if own.contains(&known) {
        context.error(
            &at.span,
            format!("the header `{name}` says how a request is sent, which no policy does"),
            "not usable",
            "take it out",
        );
        return None;
    }
    let source = match &at.value {
        RawHeader::Value(value) => {
            if HeaderValue::from_str(value).is_err() {
                let message = format!("the value of the header `{name}` has characters that a header may not have");
                context.error(&at.span, message, "not usable", "letters, digits, spaces and punctuation");
                return None;
            }
            HeaderSource { from: ValueSource::Value(Masked::secret(value)), scheme: None }
        }
        RawHeader::From(raw) => HeaderSource { from: source(context, name, raw, &at.span)?, scheme: raw.scheme },
    };
    if let (Some(scheme), false) = (source.scheme, known == ureq::http::header::AUTHORIZATION) {
        let scheme = match scheme {
            AuthScheme::Basic => "Basic",
            AuthScheme::Bearer => "Bearer",
        };
        let message = format!("`scheme` is a part of Authorization, not of `{name}`");
        context.error(&at.span, message, "of another header", &format!("take out scheme = \"{scheme}\""));
        return None;
    }
    Some((known.as_str().to_owned(), source))
}

fn source(context: &mut Context<'_>, name: &str, raw: &RawHeaderSource, span: &Range<usize>) -> Option<ValueSource> {
    match (&raw.file, &raw.env) {
        (Some(file), None) if !file.is_empty() => Some(ValueSource::File(file.clone())),
        (None, Some(variable)) if !variable.is_empty() && !variable.contains(['=', '\0']) => {
            Some(ValueSource::Env(variable.clone()))
        }
        (Some(_) | None, Some(_) | None) => {
            let message = format!("the value of the header `{name}` comes from one file or one variable");
            context.error(span, message, "not usable", "write { file = \"token\" } or { env = \"TOKEN\" }");
            None
        }
    }
}

fn is_http_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
