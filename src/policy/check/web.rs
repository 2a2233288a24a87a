//! The address of a server and the headers of a request, of probes and hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ureq::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, PRAGMA, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use ureq::http::{HeaderName, HeaderValue, Uri};

use super::context::Context;
use crate::policy::raw::{RawHeader, RawHeaderSource};
use crate::policy::types::{AuthScheme, HeaderSource, Headers, Masked, ValueSource};
use crate::policy::value::Spanned;

/// An `http` or `https` address. `path` is the key with its tables.
pub(super) fn url(
    context: &mut Context<'_>,
    at: &Option<Spanned<String>>,
    table: &Range<usize>,
    path: &str,
    help: &str,
) -> Option<Masked> {
    let at = context.required(at, table, path, help)?;
    if is_http_url(&at.value) {
        return Some(Masked::url(&at.value));
    }
    context.error(&at.span, "`url` is not an http or https address", "not usable", help);
    None
}

/// Headers of a request. `path` is the key with its tables.
pub(super) fn headers(
    context: &mut Context<'_>,
    list: Option<&Spanned<BTreeMap<String, Spanned<RawHeader>>>>,
    path: &str,
) -> Option<Headers> {
    let (mut headers, mut names) = (Some(BTreeMap::new()), BTreeSet::new());
    for (name, at) in list.iter().flat_map(|list| &list.value) {
        if !names.insert(name.to_ascii_lowercase()) {
            let message = format!("the header `{name}` is there twice: upper and lower case are the same");
            context.error(&at.span, message, "used twice", "take one of them out");
        }
        let is_reported = context.damaged.touches(&format!("{path}.{name}"));
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
            if value.trim().is_empty() || HeaderValue::from_str(value).is_err() {
                let message =
                    format!("the value of the header `{name}` is empty, or has characters that a header may not have");
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

/// `http` or `https`, a host, and a port that is one if there is a colon: a client takes another port for none.
fn is_http_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    let port = place.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':'));
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    !authority.host().is_empty() && port.is_none_or(is_port) && !text.contains('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_http_with_a_host() {
        for text in
            ["http://127.0.0.1:8080/health", "https://index.internal/a?b=c", "http://[::1]:80/", "http://u:p@x:80/"]
        {
            assert!(is_http_url(text), "{text}");
        }
        for text in [
            "",
            "index",
            "ftp://x/",
            "http://",
            "http:///x",
            "/health",
            "http://a b/",
            "http://x:99999/",
            "http://x:8o80/",
            "http://x:/",
            "http://x:+80/",
            "http://x:0/",
            "http://[::1]:99999/",
            "http://u:p@x:808080/",
            "http://x/#a",
        ] {
            assert!(!is_http_url(text), "{text}");
        }
    }
}
