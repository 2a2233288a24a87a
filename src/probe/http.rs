//! `http`: one request. The reading is the number at the JSON pointer, or the milliseconds until the whole answer was
//! there.
//!
//! A probe checks exactly the server that its URL names: no proxy from the environment, no redirects (a 302 is its
//! status), and a new connection each time, because a connection that was kept alive does not show whether new ones
//! still get through. The certificate is checked against the operating system's trust store. Credentials and the query
//! of a URL must not appear in messages.
//!
//! An answer from a cache says nothing of now: the request asks for none, and an answer that is older than `max_age` by its own
//! `Age` or `Date` is bad (RFC 9111, sections 4.2.3 and 5.1). A number is read only from an answer that says that it is
//! JSON.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, DATE};
use ureq::http::{self, HeaderMap, HeaderName, Uri};
use ureq::tls::{RootCerts, TlsConfig};

use super::{finite, json, millis, text};
use crate::model::{Reading, chain, span_text};

/// The limit of an answer; a larger one is unreadable: a probe is read every few seconds, and its answer is kept in
/// memory.
const LARGEST_BODY: u64 = 1 << 20;

/// One request of a probe.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) method: String,
    pub(super) expect_status: BTreeSet<u16>,
    pub(super) pointer: Option<String>,
    /// `None`: whatever its age.
    pub(super) max_age: Option<Duration>,
    pub(super) timeout: Duration,
}

/// The part that all requests share.
pub(super) struct HttpClient {
    agent: Agent,
}

impl HttpClient {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            .user_agent(concat!("safe-remove/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build();
        Self { agent: config.into() }
    }

    /// Sends the request and reads the answer. The request's timeout covers both.
    pub(super) async fn read(&self, request: Request) -> Result<Reading, String> {
        let agent = self.agent.clone();
        let timeout = request.timeout;
        let tried = format!("{} {}", request.method, place(&request.url));
        // The agent enforces the timeout itself, so that its thread ends too. The outer timeout covers what the agent
        // may not see (a full thread pool).
        let reading = tokio::task::spawn_blocking(move || send(&agent, &request));
        match tokio::time::timeout(timeout, reading).await {
            Err(_) | Ok(Ok(Err(Failure::TimedOut))) => Err(text::timed_out(&tried, timeout)),
            Ok(Ok(Err(Failure::Bad(why)))) => Err(format!("{tried}: {why}")),
            Ok(Ok(Ok(reading))) => Ok(reading),
            Ok(Err(_)) => Err(format!("{tried}: the request was given up")),
        }
    }
}

enum Failure {
    TimedOut,
    Bad(String),
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::TimedOut,
            ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => Self::TimedOut,
            // These would quote the URL with its credentials.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Self::Bad("not a valid request".to_owned()),
            ureq::Error::BodyExceedsLimit(most) => Self::Bad(format!("the answer is larger than {most} bytes")),
            other => Self::Bad(chain(&other)),
        }
    }
}

fn send(agent: &Agent, request: &Request) -> Result<Reading, Failure> {
    let begun = Instant::now();
    let message = http::Request::builder()
        .method(request.method.as_str())
        .uri(request.url.as_str())
        .header(CACHE_CONTROL, "no-cache")
        .body(())
        .map_err(ureq::Error::Http)?;
    let message = agent.configure_request(message).timeout_global(Some(request.timeout)).build();
    let mut response = agent.run(message)?;
    let status = response.status().as_u16();
    if !request.expect_status.contains(&status) {
        let expected: Vec<String> = request.expect_status.iter().map(u16::to_string).collect();
        return Err(Failure::Bad(format!("status {status}, expected {}", expected.join(" or "))));
    }
    if let Some(most) = request.max_age {
        is_young(response.headers(), most, jiff::Timestamp::now()).map_err(Failure::Bad)?;
    }
    if request.pointer.is_some() {
        is_json(response.headers()).map_err(Failure::Bad)?;
    }
    let body = response.body_mut().with_config().limit(LARGEST_BODY).read_to_vec()?;
    match &request.pointer {
        None => Ok(millis(begun.elapsed())),
        Some(pointer) => number_at(&body, pointer).map_err(Failure::Bad),
    }
}

/// The JSON number at the pointer. A string, even one of digits, is not a number.
fn number_at(body: &[u8], pointer: &str) -> Result<Reading, String> {
    let found = json::at(body, pointer).map_err(|error| match error.is_data() {
        true => format!("the answer is ambiguous: {error}"),
        false => format!("the answer is not JSON: {error}"),
    })?;
    let shown = text::cut(pointer, 100);
    let found = found.ok_or_else(|| format!("the answer has nothing at {shown}"))?;
    match found.as_f64() {
        Some(number) => finite(number),
        None => Err(format!("the answer has {} at {shown}, not a number", json::kind_of(&found))),
    }
}

/// Each value of the header: it may be there more than once.
fn texts_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> + 'a {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
}

/// S3: how old an answer is by its own account. One whose account cannot be read may be of any age.
fn is_young(headers: &HeaderMap, most: Duration, now: jiff::Timestamp) -> Result<(), String> {
    let young = |age: Duration, name: &HeaderName| match age > most {
        true => Err(format!("the answer is {} old by its {name}, of {} allowed", span_text(age), span_text(most))),
        false => Ok(()),
    };
    let unreadable = |name: &HeaderName, text: &str| format!("its {name} cannot be read: {}", text::cut(text, 60));
    for text in texts_of(headers, &AGE) {
        young(text.parse().map(Duration::from_secs).map_err(|_| unreadable(&AGE, &text))?, &AGE)?;
    }
    for text in texts_of(headers, &DATE) {
        let at = jiff::fmt::rfc2822::parse(&text).map_err(|_| unreadable(&DATE, &text))?.timestamp();
        // One that is ahead is of a clock that is.
        young(Duration::try_from(now.duration_since(at)).unwrap_or_default(), &DATE)?;
    }
    Ok(())
}

/// A login page, or that of a proxy, has numbers too.
fn is_json(headers: &HeaderMap) -> Result<(), String> {
    let mut is_said = false;
    for said in texts_of(headers, &CONTENT_TYPE) {
        let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let suffixed = kind.starts_with("application/") && kind.ends_with("+json");
        if !suffixed && kind != "application/json" && kind != "text/json" {
            return Err(format!("the answer is {}, not JSON by its Content-Type", text::cut(&said, 60)));
        }
        is_said = true;
    }
    match is_said {
        true => Ok(()),
        false => Err("the answer has no Content-Type, and does not say that it is JSON".to_owned()),
    }
}

/// Scheme, host, port and path: the parts of a URL that may appear in a message.
fn place(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else { return "(a URL that cannot be read)".to_owned() };
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.host().unwrap_or("?");
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    text::cut(&format!("{scheme}://{host}{port}{}", uri.path()), 200)
}

#[cfg(test)]
mod tests;
